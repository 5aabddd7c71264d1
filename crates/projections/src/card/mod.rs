//! The question: who this is, in ten lines, before I greet.
//!
//! The card's own members come from one fold; tier, clocks, promises and alerts are other read
//! models' and are put in by whoever composes the answer.

pub mod fold;
pub mod habit;
pub mod query;
pub(crate) mod table;
mod words;

pub use fold::State;
pub use query::{Card, Filter, Pieces, Placed, Sort, get, list};
