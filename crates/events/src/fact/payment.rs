//! Facts about money that was paid or paid back.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::{Ident, Slug};
use crate::money::Money;

words!(
    /// What a payment was for.
    pub enum PaymentKind {
        Deposit = "deposit",
        Balance = "balance",
        Full = "full",
        Refund = "refund",
    }
);

/// Money was paid or paid back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The payment.
    pub payment: Ident,
    /// What for.
    pub kind: PaymentKind,
    /// How much.
    pub amount: Money,
    /// The booking it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booking: Option<Ident>,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Slug>,
}
