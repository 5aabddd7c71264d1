//! `sapa event`: publish, read, follow and export events.

mod export;
mod import;
mod publish;
mod tail;

use std::path::PathBuf;

use clap::Subcommand;

use super::input;
use crate::cli::Paging;
use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

pub use import::Import;
pub use publish::Publish;
pub(super) use tail::tail;

/// Members of one event, in the order of a page.
const PAGE: &[&str] = &[
    "position",
    "type",
    "subject",
    "time",
    "recordedat",
    "actor",
    "channel",
    "source",
    "id",
    "stream",
    "streamversion",
    "tenant",
    "imported",
    "voids",
    "data",
];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Event {
    /// Record an event, from flags or from a file
    Publish(Box<Publish>),
    /// Whether an event would be recorded; records nothing
    Validate {
        /// A file, or - for standard input
        file: PathBuf,
    },
    /// The event at a position
    Get {
        /// Its place in the log
        position: u64,
    },
    /// Events in the order they were recorded
    List {
        /// After this position
        #[arg(long)]
        after: Option<u64>,
        /// Only of this topic, such as booking
        #[arg(long)]
        topic: Option<String>,
        /// Only of this customer
        #[arg(long)]
        customer: Option<String>,
        /// Of one thing: customer/ID, complaint/ID, promise/ID, alert/ID …
        #[arg(long)]
        stream: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Events as they are recorded
    Tail {
        /// After this position [default: from now on]
        #[arg(long)]
        after: Option<u64>,
        /// Only of this topic, such as booking
        #[arg(long)]
        topic: Option<String>,
        /// Only of this customer
        #[arg(long)]
        customer: Option<String>,
    },
    /// What became of an event: recorded (ends with 0), quarantined (4) or unknown (3)
    Receipt {
        /// The source of the event
        source: String,
        /// The id of the event
        id: String,
    },
    /// Record history out of a file
    Import(Import),
    /// The maps that come with the program, or one of them to copy and change
    Maps {
        /// The map to print
        name: Option<String>,
    },
    /// Write events into a file, one a line
    Export {
        /// After this position
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// A file, or - for standard output
        #[arg(long, value_name = "FILE", default_value = "-")]
        to: PathBuf,
    },
}

impl Event {
    /// Publishes, asks or follows.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let call = match self {
            Self::Publish(it) => return it.run(session).await,
            Self::Validate { file } => validation(&file)?,
            Self::Get { position } => {
                Call::get(&["v1", "events", &position.to_string()]).columns(PAGE)
            }
            Self::List { after, topic, customer, stream, paging } => Call::get(&["v1", "events"])
                .with("after", after)
                .with("topic", topic)
                .with("customer", customer)
                .with("stream", stream)
                .paged(&paging)
                .columns(&["position", "time", "type", "subject", "source", "id"]),
            Self::Tail { after, topic, customer } => {
                let wanted = [
                    ("after", after.map(|it| it.to_string())),
                    ("topic", topic),
                    ("customer", customer),
                ];
                let wanted: Vec<_> =
                    wanted.into_iter().filter_map(|(name, it)| Some((name, it?))).collect();
                return tail(session, &wanted).await;
            }
            Self::Receipt { source, id } => {
                let (exit, answer) = session.ask_and_keep(receipt(&source, &id)).await?;
                // What is in quarantine is not recorded: a script has to notice.
                let is_kept = answer.json().get("outcome").is_some_and(|it| it == "quarantined");
                return Ok(if is_kept { Exit::Invalid } else { exit });
            }
            Self::Import(it) => return it.run(session).await,
            Self::Maps { name } => return import::maps(session, name.as_deref()),
            Self::Export { after, to } => return export::export(session, after, &to).await,
        };
        session.ask(call).await
    }
}

fn validation(file: &std::path::Path) -> Result<Call, Failure> {
    let bytes = input(file)?;
    Ok(Call::new(crate::client::Method::POST, &["v1", "events", "validate"])
        .sending(publish::media_type(&bytes), bytes))
}

fn receipt(source: &str, id: &str) -> Call {
    let call = Call::get(&["v1", "receipts"]).with("source", Some(source)).with("id", Some(id));
    call.columns(&[
        "outcome",
        "position",
        "stream",
        "version",
        "recorded_at",
        "source",
        "id",
        "code",
        "quarantine_id",
    ])
}
