//! Facts about promises: what was promised by when, and how it ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{read, words};
use crate::id::{About, EventRef, Ident, Slug};

words!(
    /// How a promise ended.
    pub enum How {
        Kept = "kept",
        Late = "late",
        Broken = "broken",
        Renegotiated = "renegotiated",
        Released = "released",
    }
);

/// We said we would do something by a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The promise.
    pub promise: Ident,
    /// What was promised.
    pub what: String,
    /// By when; not before it was made.
    #[serde(deserialize_with = "read::instant")]
    pub due_at: Timestamp,
    /// Who will do it.
    pub owner: Ident,
    /// A colleague, if promised to one: then there is no customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Which sort of promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<Slug>,
}

/// A promise was kept, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The promise.
    pub promise: Ident,
    /// How it ended; `broken` is a decision of Sapa.
    pub how: How,
    /// The event that settled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<EventRef>,
    /// With `renegotiated`: by when now.
    #[serde(
        default,
        deserialize_with = "read::maybe_instant",
        skip_serializing_if = "Option::is_none"
    )]
    pub new_due_at: Option<Timestamp>,
    /// Whether the customer was told.
    #[serde(default)]
    pub told: bool,
}
