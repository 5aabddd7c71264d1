//! `sapa promise`: what was promised, to whom, until when.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{act, json_input, object};
use crate::cli::Paging;
use crate::client::Call;
use crate::exit::Failure;

/// States of what is still owed.
const OWED: [&str; 4] = ["open", "due_soon", "overdue", "broken"];
/// States of what is past its time.
const PAST: [&str; 2] = ["overdue", "broken"];
/// Members of one promise, in the order of a page.
const PAGE: &[&str] = &[
    "what",
    "promise",
    "customer",
    "to",
    "owner",
    "team",
    "topic",
    "about",
    "state",
    "made_at",
    "due_at",
    "first_due_at",
    "rounds",
    "fulfilled_at",
    "fulfilled_by",
    "margin_minutes",
];
/// Members of the answer to a command.
const DONE: &[&str] =
    &["promise.what", "promise.promise", "promise.customer", "promise.state", "promise.due_at"];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Promise {
    /// Promises, the next due first
    List {
        /// Only of this customer
        #[arg(long)]
        customer: Option<String>,
        /// Only of this person
        #[arg(long)]
        owner: Option<String>,
        /// Only of this team
        #[arg(long)]
        team: Option<String>,
        /// Only this state; may be repeated [default: what is still owed]
        #[arg(
            long,
            help = "open, due_soon, overdue, broken, late, kept, released or all [default: what is still owed]"
        )]
        state: Vec<String>,
        /// What is past its time: overdue and broken
        #[arg(long, conflicts_with = "state")]
        overdue: bool,
        /// Due within this time, such as 2h
        #[arg(long)]
        due_within: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One promise
    Show {
        /// The promise
        id: String,
    },
    /// Make a promise: the data of promise.made as JSON
    Make {
        /// A file, or - for standard input
        file: PathBuf,
    },
    /// Say how a promise ended
    Settle {
        /// The promise
        id: String,
        /// kept, released or renegotiated
        #[arg(long)]
        how: String,
        /// Who kept it
        #[arg(long)]
        by: Option<String>,
        /// The new time, when it was renegotiated
        #[arg(long, required_if_eq("how", "renegotiated"))]
        new_due_at: Option<String>,
        /// The customer was told of the new time
        #[arg(long, required_if_eq("how", "renegotiated"))]
        told: bool,
    },
    /// Which time can be kept for a topic, from how long it took before
    Quote {
        /// What is promised, such as price
        topic: String,
    },
}

impl Promise {
    /// The question behind the words.
    pub fn call(self) -> Result<Call, Failure> {
        Ok(match self {
            Self::List { customer, owner, team, state, overdue, due_within, paging } => {
                let states: Vec<String> = if overdue {
                    PAST.map(str::to_owned).to_vec()
                } else if state.is_empty() {
                    OWED.map(str::to_owned).to_vec()
                } else {
                    state.into_iter().filter(|it| it != "all").collect()
                };
                states
                    .iter()
                    .fold(Call::get(&["v1", "promises"]), |call, it| call.with("state", Some(it)))
                    .with("customer", customer)
                    .with("owner", owner)
                    .with("team", team)
                    .with("due_within", due_within)
                    .paged(&paging)
                    .columns(&["promise", "customer", "what", "due_at", "state", "owner", "team"])
            }
            Self::Show { id } => Call::get(&["v1", "promises", &id]).columns(PAGE),
            Self::Quote { topic } => {
                Call::get(&["v1", "promises", "quote"]).with("topic", Some(topic))
            }
            Self::Make { file } => act(&["v1", "promises"], &json_input(&file)?).columns(DONE),
            Self::Settle { id, how, by, new_due_at, told } => {
                let body = object([
                    ("how", Some(json!(how))),
                    ("by", by.map(|it| json!(it))),
                    ("new_due_at", new_due_at.map(|it| json!(it))),
                    ("told", told.then_some(json!(true))),
                ]);
                act(&["v1", "promises", &id, "settle"], &body).columns(DONE)
            }
        })
    }
}
