//! The question: which policy was in force when?
//!
//! A published policy takes hold for the rows with the first event that is recorded at or after its
//! `effective_from`: so the rows are a function of the log alone, and a rebuild gives the same. The
//! history by time, which answers "as of" questions, knows the exact instants.

pub mod fold;
pub mod query;
pub(crate) mod table;

pub use fold::{Book, Rules};
