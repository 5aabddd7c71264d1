//! Amounts of money: whole minor units and a currency, never a floating-point number.
//!
//! Minor units are those of ISO 4217, except the Indonesian rupiah, which is counted whole.

use serde::{Deserialize, Serialize};

/// An amount in minor units (IDR: whole rupiah), 0 to 10^15 on input; sums may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units.
    pub amount: i64,
    /// Which currency.
    pub currency: Currency,
}

impl Money {
    /// The greatest amount accepted: 10^15 minor units.
    pub const AMOUNT_MAX: i64 = 1_000_000_000_000_000;
}

/// The three letters of an ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// The text is not three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters of ISO 4217, such as IDR")]
pub struct CurrencyError;

impl Currency {
    /// The Indonesian rupiah, counted whole.
    pub const IDR: Self = Self(*b"IDR");

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters are UTF-8")
    }
}

impl std::str::FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters)).ok_or(CurrencyError)
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;
    fn try_from(text: String) -> Result<Self, CurrencyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(it: Currency) -> Self {
        it.as_str().to_owned()
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
