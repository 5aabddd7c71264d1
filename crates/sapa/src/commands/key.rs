//! `sapa key`: API keys. A key is shown once, when it is made. `--tenant` names whose keys are meant,
//! which an admin of the server may do for every tenant.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{confirm, object};
use crate::client::{Call, Method};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;

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

/// Members of the answer to a new key.
const MADE: &[&str] = &[
    "key",
    "id",
    "tenant",
    "name",
    "scopes",
    "sources",
    "venues",
    "unknown_customers",
    "actor",
    "created_at",
    "expires_at",
];

/// What happens to an event about a customer nobody has heard of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum UnknownCustomers {
    /// It is recorded, and the receipt warns
    #[default]
    Record,
    /// It is refused, unless it is customer.registered
    Refuse,
}

impl UnknownCustomers {
    fn word(self) -> Option<serde_json::Value> {
        self.to_possible_value().map(|it| json!(it.get_name()))
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key; it is shown once
    Create {
        /// What it is for
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
        /// A venue whose own system this is: it may send decisions about its bookings, where policy
        /// `venues` says authority = "external"; may be repeated
        #[arg(long)]
        venue: Vec<String>,
        /// What happens to an event about a customer nobody has heard of
        #[arg(long, value_enum, default_value_t)]
        unknown_customers: UnknownCustomers,
        /// When it ends by itself
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// Keys, without their secrets
    List,
    /// Take a key back
    Revoke {
        /// The key, by its id in the list
        id: String,
    },
}

impl Key {
    /// Asks.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        // The tenant is a parameter here, not the one that the key has to belong to.
        let session = &session.of_any_tenant();
        let tenant = session.globals.tenant.clone();
        let call = match self {
            Self::Create { name, set, scope, source, venue, unknown_customers, expires_at } => {
                let set = set.and_then(|it| it.to_possible_value()).map(|it| json!(it.get_name()));
                let body = object([
                    ("name", Some(json!(name))),
                    ("set", set),
                    ("scopes", (!scope.is_empty()).then(|| json!(scope))),
                    ("sources", (!source.is_empty()).then(|| json!(source))),
                    ("venues", (!venue.is_empty()).then(|| json!(venue))),
                    ("unknown_customers", unknown_customers.word()),
                    ("actor", session.globals.actor.as_ref().map(|it| json!(it))),
                    ("expires_at", expires_at.map(|it| json!(it))),
                    ("tenant", tenant.map(|it| json!(it))),
                ]);
                Call::post(&["v1", "keys"], &body).columns(MADE)
            }
            Self::List => Call::get(&["v1", "keys"]).with("tenant", tenant).columns(&[
                "id",
                "tenant",
                "name",
                "scopes",
                "sources",
                "venues",
                "unknown_customers",
                "actor",
                "created_at",
                "expires_at",
            ]),
            Self::Revoke { id } => {
                let what = say!("the key {id} stops working", "kunci {id} berhenti berlaku");
                confirm(&session.globals, &what)?;
                Call::new(Method::DELETE, &["v1", "keys", &id]).with("tenant", tenant)
            }
        };
        session.ask(call).await
    }
}
