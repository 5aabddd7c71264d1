//! The question: everything that happened with this customer, in order.
//!
//! One row per event of a holder, in the order `(occurred_at, position)`; the row knows the phase
//! and what became of the fact, the log keeps the data.

pub mod fold;
pub mod query;
pub(crate) mod recent;
pub mod summary;
pub(crate) mod table;

pub use fold::{Phase, State};
pub use query::{Filter, Page, Place, TimelineEntry, is_past, page};
pub use summary::summary;

#[cfg(test)]
pub(crate) mod given;
