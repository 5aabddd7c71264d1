//! `sapa alert`: what somebody should act on. Nobody closes an alert by hand; the fact that ends
//! it does.

use clap::Subcommand;
use serde_json::json;

use super::{act, event, object};
use crate::cli::Paging;
use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::output::member;
use crate::say;

/// Columns of a list.
pub(super) const COLUMNS: &[&str] =
    &["alert", "kind", "severity", "state", "customer", "due_at", "owner", "sentence"];
/// Members of one alert, in the order of a page.
const PAGE: &[&str] = &[
    "sentence",
    "alert",
    "kind",
    "severity",
    "state",
    "customer",
    "owner",
    "team",
    "raised_at",
    "due_at",
    "ack_until",
    "snoozed_until",
    "stop_by",
    "history:at,to,by,note",
];
/// Members of the answer to a command.
pub(super) const DONE: &[&str] = &[
    "alert.sentence",
    "alert.alert",
    "alert.state",
    "alert.owner",
    "alert.ack_until",
    "alert.snoozed_until",
    "alert.step",
];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Alert {
    /// Alerts that are open, in the order of fairness
    List {
        /// Only this kind
        #[arg(long, help = "they_silent, we_silent, we_owe, debate, booking_conflict or trend")]
        kind: Option<String>,
        /// raised, acknowledged, snoozed, escalated, resolved, withdrawn or all
        #[arg(long)]
        state: Option<String>,
        /// notice, warning or critical
        #[arg(long)]
        severity: Option<String>,
        /// Only of this customer
        #[arg(long)]
        customer: Option<String>,
        /// Only of this person
        #[arg(long)]
        owner: Option<String>,
        /// Only of this team
        #[arg(long)]
        team: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One alert with its history
    Show {
        /// The alert
        id: String,
    },
    /// Take it on
    Ack {
        /// The alert
        id: String,
        /// Until this instant, at most as long as the policy `alert` allows
        #[arg(long)]
        until: Option<String>,
    },
    /// Come back to it later
    Snooze {
        /// The alert
        id: String,
        /// For this long, such as 2d
        r#for: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Give it to the next person
    Escalate {
        /// The alert
        id: String,
        /// To this person instead
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
                    .columns(COLUMNS)
            }
            Self::Show { id } => Call::get(&["v1", "alerts", &id]).columns(PAGE),
            Self::Ack { id, until } => return acknowledge(session, &id, until.as_deref()).await,
            Self::Snooze { id, r#for, reason } => {
                let body = json!({"for": r#for, "reason": reason});
                act(&["v1", "alerts", &id, "snooze"], &body).columns(DONE)
            }
            Self::Escalate { id, to } => {
                let body = object([("to", to.map(|it| json!(it)))]);
                act(&["v1", "alerts", &id, "escalate"], &body).columns(DONE)
            }
        };
        session.ask(call).await
    }
}

/// Takes an alert on, and says so when the policy gives less time than was asked for.
async fn acknowledge(session: &Session, id: &str, until: Option<&str>) -> Result<Exit, Failure> {
    let body = object([("until", until.map(|it| json!(it)))]);
    let call = act(&["v1", "alerts", id, "ack"], &body).columns(DONE);
    let (exit, answer) = session.ask_and_keep(call).await?;
    let answer = answer.json();
    let instant = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let given = member(&answer, "alert.ack_until").and_then(serde_json::Value::as_str);
    if exit == Exit::Done
        && let (Some(asked), Some(given)) = (until.and_then(instant), given.and_then(instant))
        && given < asked
    {
        let given = given.to_zoned(session.output.zone.clone()).strftime("%Y-%m-%d %H:%M");
        session.output.note(&say!(
            "the policy `alert` allows no longer than {given} (ack_hours_max)",
            "kebijakan `alert` mengizinkan paling lama {given} (ack_hours_max)"
        ));
    }
    Ok(exit)
}
