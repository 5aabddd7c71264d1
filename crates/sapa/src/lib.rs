//! sapa

pub mod demo;
