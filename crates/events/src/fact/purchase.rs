//! Facts about what was bought or brought back.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::Ident;
use crate::money::Money;

words!(
    /// Whether something was sold or brought back.
    pub enum PurchaseKind {
        Sale = "sale",
        Return = "return",
    }
);

/// One line of a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What.
    pub item: String,
    /// How many.
    pub quantity: u32,
}

/// Something was bought or brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The purchase.
    pub purchase: Ident,
    /// Sale or return.
    pub kind: PurchaseKind,
    /// How much, without sign.
    pub amount: Money,
    /// What.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// The purchase that is returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Ident>,
}
