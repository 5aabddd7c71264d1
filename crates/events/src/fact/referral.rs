//! Facts about friends whom a customer brought.

use serde::{Deserialize, Serialize};

use crate::id::{CustomerId, Slug};

/// The customer brought a friend. The subject is the one who referred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The friend.
    pub referred: CustomerId,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Slug>,
}
