//! The meaning of events, without any I/O: calendar, policies and the arithmetic of the rules.

pub mod calendar;
pub mod canonical;
pub mod policy;
pub mod silence;
pub mod tier;
