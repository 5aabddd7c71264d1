//! The question: whom are we forgetting?
//!
//! Three clocks run for every customer: they are silent, we are silent, we owe them something. This
//! module only measures; raising an alert is `reactions::alert`, so that rebuilding these tables can
//! never send one twice.

pub mod clock;
mod close;
pub mod fold;
pub mod obligation;
pub mod query;
pub(crate) mod table;
pub mod watch;

pub use clock::{Clock, Inputs, Which};
pub use fold::State;
pub use obligation::{Obligation, Owed};
pub use watch::{Interval, Overdue, Timer};
