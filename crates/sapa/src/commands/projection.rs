//! `sapa projection`: read models, their builds, and customers whose events could not be read.

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
    /// Build it anew beside the live one; with --wait until it stands
    Rebuild { name: String },
    /// Make the new build the live one
    Swap { name: String },
    /// Go back to the build before
    Rollback { name: String },
    /// Delete the build before
    Retire { name: String },
    /// Stop reading the log
    Pause { name: String },
    /// Go on reading the log
    Resume { name: String },
    /// Fold the log again and compare
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
            Self::Rebuild { name } => return rebuild(session, &name).await,
            Self::Swap { name } => action(&name, "swap"),
            Self::Rollback { name } => action(&name, "rollback"),
            Self::Retire { name } => {
                confirm(
                    &session.globals,
                    &format!("the build of {name} before the live one is deleted"),
                )?;
                action(&name, "retire")
            }
            Self::Pause { name } => action(&name, "pause"),
            Self::Resume { name } => action(&name, "resume"),
            Self::Verify { name } => action(&name, "verify"),
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

/// Starts a rebuild; with `--wait` looks until it has ended.
async fn rebuild(session: &Session, name: &str) -> Result<Exit, Failure> {
    let call = act(&["v1", "projections", name, "rebuild"], &json!({}));
    let exit = session.ask(call).await?;
    let Some(wait) = &session.globals.wait else { return Ok(exit) };
    let patience = duration(wait).ok_or_else(|| {
        Failure::new(Exit::Usage, "--wait is not a duration", "Write one such as 30s or 10m.")
    })?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    let client = session.client()?;
    let looked = async {
        loop {
            tokio::time::sleep(LOOK).await;
            let status = client.call(&Call::get(&["v1", "projections", name])).await?.json();
            match status.get("rebuild").filter(|it| !it.is_null()) {
                Some(it) if it.get("state").and_then(Value::as_str) == Some("failed") => {
                    return Ok(Exit::Failed);
                }
                Some(it) => {
                    let number =
                        |name: &str| it.get(name).and_then(Value::as_i64).unwrap_or_default();
                    let (at, target) = (number("position"), number("target"));
                    session.output.note(&format!("{name}: {at} of {target}"));
                }
                None => return Ok(Exit::Done),
            }
        }
    };
    tokio::time::timeout(patience, looked).await.unwrap_or(Ok(Exit::Later))
}
