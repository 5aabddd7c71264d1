//! Facts about the tier of a customer.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::words;
use crate::id::{EventRef, Ident, Slug};

words!(
    /// Why a tier changed.
    pub enum Cause {
        Earned = "earned",
        Lapsed = "lapsed",
        Manual = "manual",
        Merged = "merged",
        Unmerged = "unmerged",
        Policy = "policy",
    }
);

/// The customer moved to another tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierChanged {
    /// The tier before.
    pub from: Slug,
    /// The tier from now on.
    pub to: Slug,
    /// Why.
    pub cause: Cause,
    /// The policy that decided.
    pub policy_version: u32,
    /// The events that show it.
    pub evidence: Vec<EventRef>,
    /// When it lapses unless earned again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lapses_on: Option<Date>,
    /// With `manual`: until when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// With `manual`: who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Ident>,
    /// With `manual`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
