//! `sapa customer`: who customers are and what happened with them.

use clap::Subcommand;
use serde_json::json;

use super::{act, object};
use crate::cli::Paging;
use crate::client::Call;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Customer {
    /// Customers, the last heard of first
    List {
        /// Words of a name
        #[arg(long)]
        search: Option<String>,
        /// prospect, secondary or primary
        #[arg(long)]
        tier: Option<String>,
        #[arg(long)]
        owner: Option<String>,
        #[arg(long)]
        team: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One customer in ten lines
    Show { id: String },
    /// Everything that happened, newest first
    Timeline {
        id: String,
        /// Only this topic
        #[arg(long)]
        topic: Option<String>,
        /// From this instant on
        #[arg(long)]
        from: Option<String>,
        /// Before this instant
        #[arg(long)]
        to: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Give a customer to a person and a team
    Assign {
        id: String,
        #[arg(long)]
        owner: Option<String>,
        #[arg(long)]
        team: Option<String>,
        /// What the new owner should know
        #[arg(long)]
        brief: Option<String>,
    },
}

impl Customer {
    /// The question behind the words.
    #[must_use]
    pub fn call(self) -> Call {
        match self {
            Self::List { search, tier, owner, team, paging } => Call::get(&["v1", "customers"])
                .with("search", search)
                .with("tier", tier)
                .with("owner", owner)
                .with("team", team)
                .paged(&paging)
                .columns(&[
                    "customer",
                    "name",
                    "tier.tier",
                    "owner",
                    "team",
                    "last_in.at",
                    "last_out.at",
                ]),
            Self::Show { id } => Call::get(&["v1", "customers", &id]),
            Self::Timeline { id, topic, from, to, paging } => {
                Call::get(&["v1", "customers", &id, "timeline"])
                    .with("topic", topic)
                    .with("from", from)
                    .with("to", to)
                    .paged(&paging)
                    .columns(&["occurred_at", "type", "direction", "channel", "actor", "summary"])
            }
            Self::Assign { id, owner, team, brief } => {
                let body = object([
                    ("owner", owner.map(|it| json!(it))),
                    ("team", team.map(|it| json!(it))),
                    ("brief", brief.map(|it| json!(it))),
                ]);
                act(&["v1", "customers", &id, "assign"], &body)
            }
        }
    }
}
