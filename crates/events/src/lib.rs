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
pub mod schema;
pub mod upcast;
pub mod envelope;
mod attributes;
pub mod canonical;
pub mod json;
pub mod cloudevents;
pub mod subject;
pub mod calendar;
pub mod policy;
pub mod silence;
pub mod tier;
pub mod problem;
