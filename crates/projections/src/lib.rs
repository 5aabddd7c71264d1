//! Log → read models: one folder per question that an agent asks.
//!
//! Every projection has the same three files: `fold.rs` (pure: what a customer's facts add up to),
//! `table.rs` (rows in) and `query.rs` (rows out). One runner carries them all, so all stand at the
//! same position. What the folds remember of one customer is one [`Dossier`]; the tables beside it
//! exist only to be asked. Nothing here appends to the log, sends anything, or knows what time it is.

pub mod activation;
mod addressed;
pub mod agenda;
pub mod ahead;
pub mod alerts;
pub mod card;
pub mod compare;
pub mod dossier;
mod dossiers;
pub mod earlier;
pub mod entry;
pub mod folds;
mod founding;
pub mod keeper;
pub mod listing;
pub mod loyalty;
pub mod neglect;
pub mod parked;
pub mod policies;
pub mod promises;
pub mod rebuild;
pub mod replace;
mod replay;
mod rows;
mod run_error;
pub mod runner;
mod segment;
pub mod tally;
pub mod timeline;
mod unpark;
pub mod upkeep;
pub mod views;
mod voids;
mod work;

pub use dossier::{Dossier, Holder};
pub use entry::Entry;
pub use rows::Key;
pub use runner::{Runner, VIEWS_STEPS};
pub use views::{Snapshot, Views};
pub use voids::voided_among;

/// The names of the projections, in the order they are folded.
pub const NAMES: [&str; 7] =
    ["timeline", "card", "loyalty", "neglect", "promises", "alerts", "policies"];
