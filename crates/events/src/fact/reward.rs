//! Facts about rewards: a ledger whose entries are never edited, only reversed.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::Ident;
use crate::money::Money;

words!(
    /// Which way a reward moved.
    pub enum Entry {
        Grant = "grant",
        Redeem = "redeem",
        Expire = "expire",
        Reverse = "reverse",
    }
);

/// A reward was given, used, expired or taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Which way it moved.
    pub entry: Entry,
    /// The reward.
    pub reward: Ident,
    /// What it is.
    pub item: String,
    /// What it is worth.
    pub value: Money,
    /// Whether nobody expected it.
    pub surprise: bool,
    /// Why.
    pub reason: String,
    /// The reward that is reversed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Ident>,
}
