//! The vocabulary of Sapa: what can happen, how it is named and how it travels.
//!
//! Modules stand in reading order. Nothing here does I/O, knows a database or a broker, or reads
//! a clock it was not handed.

mod attributes;
pub mod broker_config;
pub mod calendar;
pub mod canonical;
pub mod cloudevents;
pub mod envelope;
pub mod fact;
pub mod failpoint;
pub mod headers;
pub mod id;
pub mod json;
pub mod kind;
pub mod mint;
pub mod money;
pub mod planted;
pub mod policy;
pub mod problem;
pub mod schema;
pub mod silence;
pub mod spoken;
pub mod subject;
pub mod tier;
pub mod time;
pub mod upcast;
pub mod warning;
pub mod wire;
