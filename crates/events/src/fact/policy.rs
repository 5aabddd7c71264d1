//! Facts about the thresholds that the business sets for itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::read;
use crate::id::Slug;

/// New thresholds hold from a moment on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Which policy.
    pub name: Slug,
    /// Its version, from 1.
    pub version: u32,
    /// From when.
    #[serde(deserialize_with = "read::instant")]
    pub effective_from: Timestamp,
    /// The SHA-256 of its canonical body, in hex.
    pub hash: String,
    /// The thresholds.
    pub body: Map<String, Value>,
    /// What it would have done in the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backtest: Option<Map<String, Value>>,
}
