//! `sapa quarantine`: messages that could not be recorded. Nothing leaves it silently.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{act, confirm};
use crate::cli::Paging;
use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;

/// Members of one message, in the order of a page.
const PAGE: &[&str] = &[
    "quarantine_id",
    "tenant",
    "code",
    "errors:pointer,rule",
    "state",
    "position",
    "note",
    "face",
    "subject",
    "stream_sequence",
    "received_at",
    "source",
    "event_id",
    "bytes",
    "sha256",
    "headers",
    "payload",
    "payload_base64",
];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// What waits, without payloads
    List {
        /// Only this problem
        #[arg(long)]
        code: Option<String>,
        /// Only this sender
        #[arg(long)]
        source: Option<String>,
        /// open, released or discarded
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One message with its payload
    Show {
        /// The kept message
        id: String,
    },
    /// Send the same bytes through the same path again
    Retry {
        /// The kept message
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// Everything that waits
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Give up on a message; the row stays without its bytes
    Discard {
        /// The kept message
        id: String,
        /// Why
        #[arg(long)]
        note: String,
    },
}

impl Quarantine {
    /// Asks.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let call = match self {
            Self::List { code, source, state, paging } => Call::get(&["v1", "quarantine"])
                .with("code", code)
                .with("source", source)
                .with("state", state)
                .paged(&paging)
                .columns(&[
                    "quarantine_id",
                    "tenant",
                    "code",
                    "face",
                    "subject",
                    "source",
                    "event_id",
                    "received_at",
                    "state",
                ]),
            Self::Show { id } => Call::get(&["v1", "quarantine", &id]).columns(PAGE),
            Self::Retry { id: Some(id), .. } => retry(&id),
            Self::Retry { id: None, .. } => return retry_all(session).await,
            Self::Discard { id, note } => {
                let what = say!("the bytes of {id} are deleted", "byte pesan {id} dihapus");
                confirm(&session.globals, &what)?;
                act(&["v1", "quarantine", &id, "discard"], &json!({"note": note}))
            }
        };
        session.ask(call).await
    }
}

fn retry(id: &str) -> Call {
    act(&["v1", "quarantine", id, "retry"], &json!({}))
}

/// Tries everything that was open at the start once.
async fn retry_all(session: &Session) -> Result<Exit, Failure> {
    let client = session.client()?;
    let mut cursor: Option<String> = None;
    let mut worst = Exit::Done;
    loop {
        let page =
            Call::get(&["v1", "quarantine"]).with("state", Some("open")).with("limit", Some(500));
        let answer = client.call(&page.with("cursor", cursor.as_ref())).await?;
        if answer.exit() != Exit::Done {
            return session.output.answer(&answer, &[]);
        }
        let page = answer.json();
        for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            if let Some(id) = item.get("quarantine_id").and_then(Value::as_str) {
                let exit = session.ask(retry(id)).await?;
                worst = if exit == Exit::Done { worst } else { exit };
            }
        }
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(worst);
        }
    }
}
