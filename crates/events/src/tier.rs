//! Customer tiers.

use serde::{Deserialize, Serialize};

/// The standing of a customer, in rising order. The list in a policy is data that names exactly
/// these three: their conditions differ in kind, so a fourth would need new rules, not new data.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Nothing bought or booked yet.
    #[default]
    Prospect,
    /// At least one qualifying day.
    Secondary,
    /// Long standing, often enough, lately enough.
    Primary,
}

impl Tier {
    /// All tiers, lowest first.
    pub const ALL: [Self; 3] = [Self::Prospect, Self::Secondary, Self::Primary];

    /// The name used in events, policies and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prospect => "prospect",
            Self::Secondary => "secondary",
            Self::Primary => "primary",
        }
    }
}
