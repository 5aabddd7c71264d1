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
use crate::say;

/// How often a rebuild is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Members of one read model, in the order of a page.
const PAGE: &[&str] = &[
    "name",
    "state",
    "generation",
    "position",
    "head",
    "lag",
    "caught_up",
    "parked_customers",
    "holder",
    "rebuild",
    "verification",
    "previous",
];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Projection {
    /// Every read model and how far it is
    List,
    /// One read model
    Status {
        /// The read model, such as timeline
        name: String,
    },
    /// Build it anew beside the live one and compare; with --wait until it is ready
    Rebuild {
        /// The read model, such as timeline
        name: String,
    },
    /// Make the new build the live one
    Swap {
        /// The read model, such as timeline
        name: String,
    },
    /// Go back to the build before
    Rollback {
        /// The read model, such as timeline
        name: String,
    },
    /// Delete every build but the live one
    Retire {
        /// The read model, such as timeline
        name: String,
    },
    /// Stop reading the log, for all read models
    Pause {
        /// The read model, such as timeline
        name: String,
    },
    /// Go on reading the log, for all read models
    Resume {
        /// The read model, such as timeline
        name: String,
    },
    /// Fold the log again and compare; with --wait until it is known
    Verify {
        /// The read model, such as timeline
        name: String,
    },
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
        let action = |name: &str, verb: &str| {
            act(&["v1", "projections", name, verb], &json!({})).columns(PAGE)
        };
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
            Self::Status { name } => Call::get(&["v1", "projections", &name]).columns(PAGE),
            Self::Rebuild { name } => return begin(session, &name, "rebuild").await,
            Self::Swap { name } => action(&name, "swap"),
            Self::Rollback { name } => action(&name, "rollback"),
            Self::Retire { name } => {
                let what = say!(
                    "every build of the read models but the live one is deleted",
                    "semua bangunan model baca selain yang aktif dihapus"
                );
                confirm(&session.globals, &what)?;
                action(&name, "retire")
            }
            Self::Pause { name } => return fold(session, &name, "pause").await,
            Self::Resume { name } => return fold(session, &name, "resume").await,
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
                        say!("the customer is missing", "pelanggannya belum disebut"),
                        say!(
                            "Name one of `sapa projection parked list {name}`.",
                            "Sebutkan salah satu dari `sapa projection parked list {name}`."
                        ),
                    )
                })?;
                let verb = if verb == Parked::Retry { "retry" } else { "skip" };
                act(&["v1", "projections", &name, "parked", &customer, verb], &json!({}))
            }
        };
        session.ask(call).await
    }
}

/// Pauses or resumes, and says which read models that concerns.
async fn fold(session: &Session, name: &str, verb: &str) -> Result<Exit, Failure> {
    let exit = session.ask(act(&["v1", "projections", name, verb], &json!({}))).await?;
    if exit == Exit::Done {
        let all = projections::NAMES.join(", ");
        session.output.note(&say!(
            "all read models are folded together, so this concerns {all}",
            "semua model baca dilipat bersama, jadi ini berlaku untuk {all}"
        ));
    }
    Ok(exit)
}

/// Starts a rebuild or a verification. Without `--wait` its beginning is the answer; with `--wait`
/// the answer is how it ended.
async fn begin(session: &Session, name: &str, verb: &str) -> Result<Exit, Failure> {
    let call = act(&["v1", "projections", name, verb], &json!({})).columns(PAGE);
    let Some(wait) = session.globals.wait.as_ref().filter(|_| !session.globals.dry_run) else {
        return session.ask(call).await;
    };
    let patience = duration(wait).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            say!("--wait is not a duration", "--wait bukan durasi"),
            say!("Write one such as 30s or 10m.", "Tulis misalnya 30s atau 10m."),
        )
    })?;
    let client = session.client()?;
    let begun = client.call(&session.completed(call)).await?;
    if begun.exit() != Exit::Done {
        return session.output.answer(&begun, PAGE);
    }
    let member = if verb == "rebuild" { "rebuild" } else { "verification" };
    let looked = async {
        loop {
            tokio::time::sleep(LOOK).await;
            let answer = client.call(&Call::get(&["v1", "projections", name])).await?;
            if let Some(exit) = judged(session, name, answer.json().get(member)) {
                session.output.answer(&answer, PAGE)?;
                return Ok(exit);
            }
        }
    };
    tokio::time::timeout(patience, looked).await.unwrap_or_else(|_| {
        session.output.note(&say!(
            "{name}: not ended within {wait}; `sapa projection status {name}` shows how far it is",
            "{name}: belum selesai dalam {wait}; `sapa projection status {name}` menunjukkan kemajuannya"
        ));
        Ok(Exit::Later)
    })
}

/// How a rebuild or a verification ended; none while it goes on, of which it tells. One that is not
/// there any more was swapped in or deleted meanwhile.
fn judged(session: &Session, name: &str, found: Option<&Value>) -> Option<Exit> {
    let Some(found) = found.filter(|it| !it.is_null()) else { return Some(Exit::Done) };
    let text = |member: &str| found.get(member).and_then(Value::as_str).unwrap_or_default();
    let number = |member: &str| found.get(member).and_then(Value::as_i64).unwrap_or_default();
    let (at, target, percent) = (number("position"), number("target"), number("percent"));
    let (line, exit) = match text("state") {
        "ready" => (
            say!(
                "{name} is ready: run `sapa projection swap {name}`",
                "{name} siap: jalankan `sapa projection swap {name}`"
            ),
            Some(Exit::Done),
        ),
        "verified" => (
            say!(
                "{name} equals the log, at position {at}",
                "{name} sama dengan catatan, pada posisi {at}"
            ),
            Some(Exit::Done),
        ),
        "failed" => (format!("{name}: {}", text("reason")), Some(Exit::Failed)),
        _ => (
            say!(
                "{name}: {at} of {target}, {percent} %",
                "{name}: {at} dari {target}, {percent} %"
            ),
            None,
        ),
    };
    session.output.note(&line);
    exit
}
