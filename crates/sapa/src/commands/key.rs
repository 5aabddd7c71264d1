//! `sapa key`: API keys. A key is shown once, when it is made.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{confirm, object};
use crate::client::{Call, Method};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// Scopes that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Set {
    /// Publishes events
    Publisher,
    /// Works with customers
    Agent,
    /// An assistant
    Assistant,
    /// Receives alerts
    Alerting,
    /// Runs the service
    Operator,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key; it is shown once
    Create {
        name: String,
        /// A set of scopes
        #[arg(long, value_enum, required_unless_present = "scope")]
        set: Option<Set>,
        /// A single scope; may be repeated
        #[arg(long, conflicts_with = "set")]
        scope: Vec<String>,
        /// A source it may send as; may be repeated [default: any]
        #[arg(long)]
        source: Vec<String>,
        /// When it ends by itself
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// Keys, without their secrets
    List,
    /// Take a key back
    Revoke { id: String },
}

impl Key {
    /// Asks.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let call = match self {
            Self::Create { name, set, scope, source, expires_at } => {
                let set = set.and_then(|it| it.to_possible_value()).map(|it| json!(it.get_name()));
                let body = object([
                    ("name", Some(json!(name))),
                    ("set", set),
                    ("scopes", (!scope.is_empty()).then(|| json!(scope))),
                    ("sources", (!source.is_empty()).then(|| json!(source))),
                    ("actor", session.globals.actor.as_ref().map(|it| json!(it))),
                    ("expires_at", expires_at.map(|it| json!(it))),
                ]);
                Call::post(&["v1", "keys"], &body)
            }
            Self::List => Call::get(&["v1", "keys"]).columns(&[
                "id",
                "name",
                "scopes",
                "sources",
                "actor",
                "created_at",
                "expires_at",
            ]),
            Self::Revoke { id } => {
                confirm(&session.globals, &format!("the key {id} stops working"))?;
                Call::new(Method::DELETE, &["v1", "keys", &id])
            }
        };
        session.ask(call).await
    }
}
