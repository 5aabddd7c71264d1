//! `sapa projection`: read models, their builds, and customers whose events could not be read. All
//! read models are folded together, so what is asked of one is done with all.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{act, confirm};
use crate::cli::Paging;
use crate::client::Call;
use crate::commands::session::Session;
use crate::config::duration;
use crate::exit::{Exit, Failure};

/// How often a rebuild is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Projection {
    /// Every read model and how far it is
    List,
    /// One read model
    Status { name: String },
    /// Build it anew beside the live one and compare; with --wait until it is ready
    Rebuild { name: String },
    /// Make the new build the live one
    Swap { name: String },
    /// Go back to the build before
    Rollback { name: String },
    /// Delete every build but the live one
    Retire { name: String },
    /// Stop reading the log
    Pause { name: String },
    /// Go on reading the log
    Resume { name: String },
    /// Fold the log again and compare; with --wait until it is known
    Verify { name: String },
    /// Customers whose event could not be read
    Parked {
        /// What to do
        #[arg(value_enum)]
        verb: Parked,
        /// The read model
        name: String,
        /// The customer, for retry and skip
        customer: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
}

/// What can be done with parked customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Parked {
    /// Show them
    List,
    /// Try the event again
    Retry,
    /// Go on without the event
    Skip,
}

impl Projection {
    /// Asks, and waits for a rebuild if wanted.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let action = |name: &str, verb: &str| act(&["v1", "projections", name, verb], &json!({}));
        let call = match self {
            Self::List => Call::get(&["v1", "projections"]).columns(&[
                "name",
                "state",
                "generation",
                "position",
                "lag",
                "caught_up",
                "parked_customers",
            ]),
            Self::Status { name } => Call::get(&["v1", "projections", &name]),
            Self::Rebuild { name } => return begin(session, &name, "rebuild").await,
            Self::Swap { name } => action(&name, "swap"),
            Self::Rollback { name } => action(&name, "rollback"),
            Self::Retire { name } => {
                confirm(
                    &session.globals,
                    "every build of the read models but the live one is deleted",
                )?;
                action(&name, "retire")
            }
            Self::Pause { name } => action(&name, "pause"),
            Self::Resume { name } => action(&name, "resume"),
            Self::Verify { name } => return begin(session, &name, "verify").await,
            Self::Parked { verb: Parked::List, name, paging, .. } => {
                Call::get(&["v1", "projections", &name, "parked"])
                    .paged(&paging)
                    .columns(&["customer", "position", "error", "attempts", "waiting"])
            }
            Self::Parked { verb, name, customer, .. } => {
                let customer = customer.ok_or_else(|| {
                    Failure::new(
                        Exit::Usage,
                        "which customer?",
                        format!("Name one of `sapa projection parked list {name}`."),
                    )
                })?;
                let verb = if verb == Parked::Retry { "retry" } else { "skip" };
                act(&["v1", "projections", &name, "parked", &customer, verb], &json!({}))
            }
        };
        session.ask(call).await
    }
}

/// Starts a rebuild or a verification; with `--wait` looks until it has ended.
async fn begin(session: &Session, name: &str, verb: &str) -> Result<Exit, Failure> {
    let call = act(&["v1", "projections", name, verb], &json!({}));
    let exit = session.ask(call).await?;
    let Some(wait) = &session.globals.wait else { return Ok(exit) };
    let patience = duration(wait).ok_or_else(|| {
        Failure::new(Exit::Usage, "--wait is not a duration", "Write one such as 30s or 10m.")
    })?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    let member = if verb == "rebuild" { "rebuild" } else { "verification" };
    let client = session.client()?;
    let looked = async {
        loop {
            tokio::time::sleep(LOOK).await;
            let status = client.call(&Call::get(&["v1", "projections", name])).await?.json();
            if let Some(exit) = judged(session, name, status.get(member)) {
                return Ok(exit);
            }
        }
    };
    tokio::time::timeout(patience, looked).await.unwrap_or(Ok(Exit::Later))
}

/// How a rebuild or a verification ended; none while it goes on, of which it tells. One that is not
/// there any more was swapped in or deleted meanwhile.
fn judged(session: &Session, name: &str, told: Option<&Value>) -> Option<Exit> {
    let Some(told) = told.filter(|it| !it.is_null()) else { return Some(Exit::Done) };
    let text = |member: &str| told.get(member).and_then(Value::as_str).unwrap_or_default();
    let number = |member: &str| told.get(member).and_then(Value::as_i64).unwrap_or_default();
    let (at, target, percent) = (number("position"), number("target"), number("percent"));
    match text("state") {
        "ready" => {
            session.output.note(&format!("{name} is ready: run `sapa projection swap {name}`"));
            Some(Exit::Done)
        }
        "verified" => {
            session.output.note(&format!("{name} is as the log says, at position {at}"));
            Some(Exit::Done)
        }
        "failed" => {
            session.output.note(&format!("{name}: {}", text("reason")));
            Some(Exit::Failed)
        }
        _ => {
            session.output.note(&format!("{name}: {at} of {target}, {percent} %"));
            None
        }
    }
}
