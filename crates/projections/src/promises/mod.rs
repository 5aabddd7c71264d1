//! The question: what have we promised whom, by when.
//!
//! Promises: how a promise stands follows from when it was due and when it was fulfilled, so facts
//! that arrive late give what they would have given in time; `kept` and `released` are final.
//! The fold decides nothing: what a reaction has to record is answered by [`due`].

pub mod due;
mod fold;
pub mod query;
pub mod table;

pub use fold::{Answer, Decision, Fulfilment, Promise, Settlement, Standing, State};

#[cfg(test)]
pub(crate) mod tests;
