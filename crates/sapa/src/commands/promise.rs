//! `sapa promise`: what was promised, to whom, until when.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{act, json_input, object};
use crate::cli::Paging;
use crate::client::Call;
use crate::exit::Failure;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Promise {
    /// Promises, the next due first
    List {
        #[arg(long)]
        customer: Option<String>,
        #[arg(long)]
        owner: Option<String>,
        #[arg(long)]
        team: Option<String>,
        /// Only this state
        #[arg(long, help = "open, due_soon, overdue, broken, late, kept or released")]
        state: Option<String>,
        /// The same as --state overdue
        #[arg(long, conflicts_with = "state")]
        overdue: bool,
        /// Due within this time, such as 2h
        #[arg(long)]
        due_within: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One promise
    Show { id: String },
    /// Make a promise: the data of promise.made as JSON
    Make {
        /// A file, or - for standard input
        file: PathBuf,
    },
    /// Say how a promise ended
    Settle {
        id: String,
        /// kept, released or renegotiated
        #[arg(long)]
        how: String,
        /// Who kept it
        #[arg(long)]
        by: Option<String>,
        /// The new time, when it was renegotiated
        #[arg(long)]
        new_due_at: Option<String>,
    },
}

impl Promise {
    /// The question behind the words.
    pub fn call(self) -> Result<Call, Failure> {
        Ok(match self {
            Self::List { customer, owner, team, state, overdue, due_within, paging } => {
                let state = if overdue { Some("overdue".to_owned()) } else { state };
                Call::get(&["v1", "promises"])
                    .with("customer", customer)
                    .with("owner", owner)
                    .with("team", team)
                    .with("state", state)
                    .with("due_within", due_within)
                    .paged(&paging)
                    .columns(&["promise", "customer", "what", "due_at", "state", "owner", "team"])
            }
            Self::Show { id } => Call::get(&["v1", "promises", &id]),
            Self::Make { file } => act(&["v1", "promises"], &json_input(&file)?),
            Self::Settle { id, how, by, new_due_at } => {
                let body = object([
                    ("how", Some(json!(how))),
                    ("by", by.map(|it| json!(it))),
                    ("new_due_at", new_due_at.map(|it| json!(it))),
                ]);
                act(&["v1", "promises", &id, "settle"], &body)
            }
        })
    }
}
