//! `sapa customer`: who customers are and what happened with them. A card is ten lines; a line of the
//! timeline shows what was said, to keys that may see it.

use clap::Subcommand;
use serde_json::json;

use super::{act, object};
use crate::cli::Paging;
use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// Columns of the timeline; `data.text` is what a message or a note says.
const TIMELINE: &[&str] =
    &["occurred_at", "type", "direction", "channel", "actor", "summary", "data.text"];
/// Members of the answer to a hand-over.
const ASSIGNED: &[&str] = &["customer.customer", "customer.owner", "customer.team", "receipts"];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Customer {
    /// Customers, the last heard of first
    List {
        /// Words of a name in any order, an id, or a telephone number
        #[arg(long)]
        search: Option<String>,
        /// prospect, secondary or primary
        #[arg(long)]
        tier: Option<String>,
        /// Only of this person
        #[arg(long)]
        owner: Option<String>,
        /// Only of this team
        #[arg(long)]
        team: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One customer in ten lines
    Show {
        /// The customer
        id: String,
    },
    /// Everything that happened, newest first
    Timeline {
        /// The customer
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
        /// The customer
        id: String,
        /// The person
        #[arg(long)]
        owner: Option<String>,
        /// The team
        #[arg(long)]
        team: Option<String>,
        /// What the new owner should know
        #[arg(long)]
        brief: Option<String>,
    },
}

impl Customer {
    /// Asks.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Show { id } => {
                let call = session.completed(Call::get(&["v1", "customers", &id]));
                let answer = session.client()?.call(&call).await?;
                let exit = session.output.card(&answer)?;
                Ok(session.reached(exit, &answer))
            }
            other => session.ask(other.call()).await,
        }
    }

    fn call(self) -> Call {
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
                    "tier",
                    "owner",
                    "team",
                    "last_in.at",
                    "last_out.at",
                    "visits",
                ]),
            Self::Show { id } => Call::get(&["v1", "customers", &id]),
            Self::Timeline { id, topic, from, to, paging } => {
                Call::get(&["v1", "customers", &id, "timeline"])
                    .with("topic", topic)
                    .with("from", from)
                    .with("to", to)
                    .paged(&paging)
                    .columns(TIMELINE)
            }
            Self::Assign { id, owner, team, brief } => {
                let body = object([
                    ("owner", owner.map(|it| json!(it))),
                    ("team", team.map(|it| json!(it))),
                    ("brief", brief.map(|it| json!(it))),
                ]);
                act(&["v1", "customers", &id, "assign"], &body).columns(ASSIGNED)
            }
        }
    }
}
