//! sapa

pub mod demo;
pub mod servers;
