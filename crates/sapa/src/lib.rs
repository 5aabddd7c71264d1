//! sapa

pub mod import;
