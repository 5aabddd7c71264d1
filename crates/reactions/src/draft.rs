//! An event that Sapa wants to append, before the validator has seen it.

use events::cloudevents::{self, Sender};
use events::envelope::Incoming;
use events::envelope::OLD_DAYS_MAX;
use events::id::{CustomerId, EventId, EventRef, Tenant};
use events::kind::Kind;
use events::problem::Problem;
use events::time::spell;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

/// An event to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What happened.
    pub kind: Kind,
    /// Computed, so that the same decision has the same id.
    pub id: EventId,
    /// `/sapa/<reaction>`, or `/api` and its like for commands.
    pub source: String,
    /// Whom it is about.
    pub customer: Option<CustomerId>,
    /// The moment the rule became true, not the moment it was noticed.
    pub time: Timestamp,
    /// `system/<reaction>`, or who gave the command.
    pub actor: String,
    /// The data.
    pub data: Value,
    /// The event it takes back.
    pub voids: Option<EventRef>,
    /// The event that caused it.
    pub causation: Option<String>,
    /// The thread it belongs to.
    pub correlation: Option<String>,
    /// It concerns imported history only.
    pub imported: bool,
    /// The channel of an interaction.
    pub channel: Option<String>,
}

impl Draft {
    /// A reaction's event: its id is computed, its source and actor are the reaction's.
    #[must_use]
    pub fn of(reaction: &str, kind: Kind, id: uuid::Uuid, time: Timestamp, data: Value) -> Self {
        Self {
            kind,
            id: events::mint::event_id(id),
            source: format!("/sapa/{reaction}"),
            customer: None,
            time,
            actor: format!("system/{reaction}"),
            data,
            voids: None,
            causation: None,
            correlation: None,
            imported: false,
            channel: None,
        }
    }

    /// Whom it is about.
    #[must_use]
    pub fn about(mut self, customer: Option<CustomerId>) -> Self {
        self.customer = customer;
        self
    }

    /// Takes it through the validator that everybody's events go through.
    pub fn check(
        &self,
        tenant: &Tenant,
        key: &[u8],
        now: Timestamp,
    ) -> Result<Incoming, Box<Problem>> {
        let old =
            SignedDuration::from_hours(24 * (OLD_DAYS_MAX - 1)) < now.duration_since(self.time);
        let mut attributes = Map::new();
        let mut set = |name: &str, value: Value| attributes.insert(name.to_owned(), value);
        set("specversion", "1.0".into());
        set("id", self.id.as_str().into());
        set("source", self.source.as_str().into());
        set("type", self.kind.type_name(self.kind.newest_version()).into());
        set("time", spell(self.time).into());
        set("actor", self.actor.as_str().into());
        if let Some(customer) = &self.customer {
            set("subject", customer.as_str().into());
        }
        if let Some(voids) = &self.voids {
            set("voids", voids.to_string().into());
        }
        if let Some(causation) = &self.causation {
            set("causationid", causation.as_str().into());
        }
        if let Some(correlation) = &self.correlation {
            set("correlationid", correlation.as_str().into());
        }
        if let Some(channel) = &self.channel {
            set("channel", channel.as_str().into());
        }
        if self.imported || old {
            set("imported", true.into());
        }
        let sender = Sender {
            tenant,
            now,
            may_import: true,
            sources: None,
            route: None,
            key,
            refuse_unknown_fields: true,
            venues: &[],
        };
        cloudevents::binary(attributes, self.data.to_string().as_bytes(), &sender)
    }
}
