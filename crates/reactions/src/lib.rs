//! What the house decides on its own: read models and clock in, events out.
//!
//! Each reaction is two files: `decide.rs` is pure (what is known, the policies, now → drafts) and
//! `react.rs` says which line of the agenda it works through. [`Reactor`] runs them all after the
//! read models have caught up with the log, and once a second for what only time makes due. Ids are
//! computed from what an event is about, so deciding twice appends nothing the second time. Nothing
//! here writes a read model or sends anything.

pub mod alert;
pub mod command;
pub mod draft;
pub mod loyalty;
pub mod promise;
pub mod reactor;
mod tally;
pub mod worklist;

pub use draft::Draft;
pub use reactor::{Keys, Reactor};
