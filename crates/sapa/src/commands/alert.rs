//! `sapa alert`: what somebody should act on. Nobody closes an alert by hand; the fact that ends
//! it does.

use clap::Subcommand;
use serde_json::json;

use super::{act, event, object};
use crate::cli::Paging;
use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Alert {
    /// Alerts that are open, in the order of fairness
    List {
        /// Only this kind
        #[arg(long, help = "they_silent, we_silent, we_owe, debate, booking_conflict or trend")]
        kind: Option<String>,
        /// raised, acknowledged, snoozed, resolved …
        #[arg(long)]
        state: Option<String>,
        #[arg(long)]
        severity: Option<String>,
        #[arg(long)]
        customer: Option<String>,
        #[arg(long)]
        owner: Option<String>,
        #[arg(long)]
        team: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One alert with its history
    Show { id: String },
    /// Take it on
    Ack {
        id: String,
        /// Until this instant
        #[arg(long)]
        until: Option<String>,
    },
    /// Come back to it later
    Snooze {
        id: String,
        /// For this long, such as 2d
        r#for: String,
        #[arg(long)]
        reason: String,
    },
    /// Give it to the next person
    Escalate {
        id: String,
        #[arg(long)]
        to: Option<String>,
    },
    /// Alerts as they come
    Tail,
}

impl Alert {
    /// Asks, or follows.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let call = match self {
            Self::Tail => return event::tail(session, &[("topic", "alert".to_owned())]).await,
            Self::List { kind, state, severity, customer, owner, team, paging } => {
                Call::get(&["v1", "alerts"])
                    .with("kind", kind)
                    .with("state", state)
                    .with("severity", severity)
                    .with("customer", customer)
                    .with("owner", owner)
                    .with("team", team)
                    .paged(&paging)
                    .columns(&[
                        "alert", "kind", "severity", "state", "customer", "due_at", "owner",
                        "sentence",
                    ])
            }
            Self::Show { id } => Call::get(&["v1", "alerts", &id]),
            Self::Ack { id, until } => {
                act(&["v1", "alerts", &id, "ack"], &object([("until", until.map(|it| json!(it)))]))
            }
            Self::Snooze { id, r#for, reason } => {
                let body = json!({"for": r#for, "reason": reason});
                act(&["v1", "alerts", &id, "snooze"], &body)
            }
            Self::Escalate { id, to } => {
                act(&["v1", "alerts", &id, "escalate"], &object([("to", to.map(|it| json!(it)))]))
            }
        };
        session.ask(call).await
    }
}
