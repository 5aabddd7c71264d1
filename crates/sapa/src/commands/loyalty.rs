//! `sapa loyalty`: prospect, secondary or primary, and what made it so.

use clap::Subcommand;

use crate::cli::Paging;
use crate::client::Call;

/// Members of one answer, in the order of a page; what an answer does not have is left out.
const PAGE: &[&str] = &[
    "sentence",
    "customer",
    "tier",
    "since",
    "cause",
    "lapses_on",
    "held",
    "manual",
    "policy_version",
    "conditions",
    "counted",
    "not_counted",
    "next_tier",
    "privileges",
    "rewards",
    "referrals",
];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Loyalty {
    /// The tier of a customer
    Show {
        /// The customer
        id: String,
        /// On this date
        #[arg(long)]
        at: Option<String>,
    },
    /// The facts that were counted, and those that were not
    Explain {
        /// The customer
        id: String,
        /// On this date
        #[arg(long)]
        at: Option<String>,
    },
    /// Customers by tier
    List {
        /// prospect, secondary or primary
        #[arg(long)]
        tier: Option<String>,
        /// Whose tier ends before this date
        #[arg(long)]
        lapsing_before: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Loyalty {
    /// The question behind the words.
    #[must_use]
    pub fn call(self) -> Call {
        match self {
            Self::Show { id, at } => {
                Call::get(&["v1", "customers", &id, "loyalty"]).with("at", at).columns(PAGE)
            }
            Self::Explain { id, at } => Call::get(&["v1", "customers", &id, "loyalty", "explain"])
                .with("at", at)
                .columns(PAGE),
            Self::List { tier, lapsing_before, paging } => Call::get(&["v1", "loyalty"])
                .with("tier", tier)
                .with("lapsing_before", lapsing_before)
                .paged(&paging)
                .columns(&["customer", "name", "tier", "since", "cause", "lapses_on", "owner"]),
        }
    }
}
