//! The question: which tier, why, since when, until when.
//!
//! Promises: the answer for a date rests on what had happened by that date and on the policy in
//! force then; nobody is demoted while we are at fault. The fold knows no policy: what is due is
//! worked out in [`due`] and [`view`] with one.

pub mod due;
pub mod explain;
mod fold;
pub mod query;
mod sentence;
pub mod table;
pub mod view;

pub use fold::{Manual, Recorded, Reward, State};

#[cfg(test)]
pub(crate) mod tests;
