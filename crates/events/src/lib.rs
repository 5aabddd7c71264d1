//! events

pub mod kind;
