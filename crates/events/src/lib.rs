//! The vocabulary of Sapa: what can happen, how it is named and how it travels.
//!
//! Modules stand in reading order. Nothing here does I/O, knows a database or a broker, or reads
//! a clock it was not handed.

pub mod id;
pub mod time;
pub mod money;
pub mod mint;
pub mod kind;
pub mod fact;
pub mod upcast;
pub mod schema;
pub mod json;
pub mod subject;
pub mod problem;
pub mod envelope;
