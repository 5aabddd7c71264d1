//! Log → outside: recorded facts and alerts, in order, at least once.
//!
//! Promises that what leaves was read from the log, in the order of the log, and that a place is
//! remembered only after the other side has said it has it. Delivery decides nothing and appends
//! nothing.

pub mod batch;
pub mod counters;
pub mod place;
pub mod recover;
pub mod relay;
pub mod resume;
pub mod stream;

pub use counters::Counters;
pub use relay::{Ended, Relay};
