//! sapa

pub mod servers;
