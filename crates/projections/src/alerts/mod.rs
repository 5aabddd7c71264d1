//! The question: what rings, since when, who has it, and what stops it?
//!
//! An alert belongs to one episode and has one id for ever. Its state follows from its events; what
//! should happen to it next follows from the customer's facts and is told by [`due`]: the reaction
//! appends exactly that, and then nothing is due any more.

pub mod due;
pub mod fold;
pub mod query;
pub mod sentence;
mod steps;
pub(crate) mod table;

pub use due::{Due, What};
pub use fold::{Alert, Handed, State, Status};
