//! Facts about what we made better because customers spoke. They are about nobody in particular.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::{EventRef, Ident, Slug};

words!(
    /// Whether an improvement helped.
    pub enum Verdict {
        Better = "better",
        Same = "same",
        Worse = "worse",
    }
);

/// Something should get better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// The improvement.
    pub improvement: Ident,
    /// What.
    pub title: String,
    /// Which topic.
    pub topic: Slug,
    /// The events behind it.
    pub because: Vec<EventRef>,
}

/// It was done; the customers behind it should hear of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The improvement.
    pub improvement: Ident,
    /// What was done.
    pub what: String,
    /// What will show whether it helped.
    pub measure: Slug,
    /// The events behind it.
    pub because: Vec<EventRef>,
}

/// Whether it helped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessed {
    /// The improvement.
    pub improvement: Ident,
    /// How many weeks before and after were compared.
    pub weeks: u32,
    /// The measure before.
    pub before: f64,
    /// The measure after.
    pub after: f64,
    /// What follows.
    pub verdict: Verdict,
}
