//! What travels around a fact: what a sender gave, what the log holds, what the sender gets back.
//!
//! [`Incoming`] has been through every check and is not recorded yet; [`Recorded`] has a position.
//! They are different types, so nobody reads a position that does not exist.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fact::Fact;
use crate::id::{Actor, CustomerId, EventId, EventRef, Source, Stream, Tenant};
use crate::kind::Kind;
use crate::time::{is_cut_from, spell};
use crate::upcast;
use crate::warning::WarningAt;

/// A fact recorded more than this after it happened is `late`.
pub const LATE_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// A fact from further ahead than this is recorded and flagged `clock_suspect`.
pub const CLOCK_SUSPECT_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// A fact from further ahead than this is refused.
pub const FUTURE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// How far back a fact may lie that is not `imported`, in days: 20 years.
pub const OLD_DAYS_MAX: i64 = 7_305;

/// The way a contact took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// At a counter or table.
    Desk,
    /// By telephone.
    Phone,
    /// By chat.
    Whatsapp,
    /// By mail.
    Email,
    /// On a web page.
    Web,
    /// We came to them.
    Visit,
    /// Anything else.
    Other,
}

impl Channel {
    /// The seven words, for messages.
    pub const WORDS: &'static str = "desk, phone, whatsapp, email, web, visit, other";

    /// The channel of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(Value::from(word)).ok()
    }

    /// The word in the attribute `channel`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Desk => "desk",
            Self::Phone => "phone",
            Self::Whatsapp => "whatsapp",
            Self::Email => "email",
            Self::Web => "web",
            Self::Visit => "visit",
            Self::Other => "other",
        }
    }
}

/// The CloudEvents attributes that have no column of their own in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Who acted.
    pub actor: Actor,
    /// Which way the contact took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// The event that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voids: Option<EventRef>,
    /// History loaded later: it fills views and opens no obligation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// The schema the sender named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataschema: Option<String>,
    /// Everything else, kept and given out unchanged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, Value>,
}

/// A checked event on its way into the log.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Whose data it is.
    pub tenant: Tenant,
    /// Who sent it.
    pub source: Source,
    /// Its id there; unique for ever together with tenant and source.
    pub id: EventId,
    /// What happened.
    pub kind: Kind,
    /// Version of the schema that `data` follows.
    pub schema_version: u32,
    /// Whom it is about.
    pub customer: Option<CustomerId>,
    /// When it happened, as the sender says.
    pub occurred_at: Timestamp,
    /// Where it goes; it follows from kind and data.
    pub stream: Stream,
    /// Attributes without a column.
    pub attributes: Attributes,
    /// The thread it belongs to.
    pub correlation_id: Option<String>,
    /// The event that caused it.
    pub causation_id: Option<String>,
    /// W3C `traceparent`.
    pub trace: Option<String>,
    /// Append only if the stream is at this version; 0 means it must not exist.
    pub expected_version: Option<i64>,
    /// Canonical JSON (RFC 8785) of the data.
    pub data: Box<str>,
    /// Keyed hash of the content: equal for equal content, telling nothing without the key.
    pub fingerprint: [u8; 32],
    /// Where in `SAPA_IN` it came from, if it did.
    pub provenance: Option<Provenance>,
    /// What the receipt will warn of.
    pub warnings: Vec<WarningAt>,
}

impl Incoming {
    /// The reference other events name this one by.
    #[must_use]
    pub fn reference(&self) -> EventRef {
        EventRef { source: self.source.clone(), id: self.id.clone() }
    }

    /// Whether another event of the same id differs from this one only in digits of `time` that
    /// one of them lacks.
    #[must_use]
    pub fn differs_by_cut_time(&self, other: &Self) -> bool {
        let content = |it: &Self| {
            let schema = it.attributes.dataschema.clone();
            (it.kind, it.schema_version, it.customer.clone(), schema)
        };
        is_cut_from(self.occurred_at, other.occurred_at)
            && content(self) == content(other)
            && self.data == other.data
    }
}

/// A place in one incarnation of `SAPA_IN`. Never used to de-duplicate: the broker reuses sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// When the stream was created, as the broker tells it.
    pub incarnation: Timestamp,
    /// Sequence in that stream.
    pub sequence: i64,
}

/// A fact that the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Place in the whole log, dense, from 1.
    pub position: i64,
    /// Whose data it is.
    pub tenant: Tenant,
    /// Its stream.
    pub stream: Stream,
    /// Place in its stream, from 1.
    pub version: i64,
    /// Who sent it.
    pub source: Source,
    /// Its id there.
    pub id: EventId,
    /// What happened.
    pub kind: Kind,
    /// Version of the schema that `data` follows.
    pub schema_version: u32,
    /// Whom it is about.
    pub customer: Option<CustomerId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When the log took it; never decreases with position.
    pub recorded_at: Timestamp,
    /// The event that caused it.
    pub causation_id: Option<String>,
    /// The thread it belongs to.
    pub correlation_id: Option<String>,
    /// W3C `traceparent`.
    pub trace: Option<String>,
    /// Attributes without a column.
    pub attributes: Attributes,
    /// JSON of the data.
    pub data: Box<str>,
}

impl Recorded {
    /// The reference other events name this one by.
    #[must_use]
    pub fn reference(&self) -> EventRef {
        EventRef { source: self.source.clone(), id: self.id.clone() }
    }

    /// Whether an event that claims to be this one differs only in digits of `time` that one of them
    /// lacks: clients that keep milliseconds send an event back so, and it is still the same event.
    #[must_use]
    pub fn differs_by_cut_time(&self, it: &Incoming) -> bool {
        is_cut_from(self.occurred_at, it.occurred_at) && self.differs_from(it) == ["/time"]
    }

    /// Where an event that claims to be this one says something else: names of members, no values.
    #[must_use]
    pub fn differs_from(&self, it: &Incoming) -> Vec<String> {
        const NAMES_MAX: usize = 20;
        const NAME_CHARS_MAX: usize = 64;
        let kind = (self.kind, self.schema_version) != (it.kind, it.schema_version);
        let attributes = [
            ("/type", kind),
            ("/time", self.occurred_at != it.occurred_at),
            ("/subject", self.customer != it.customer),
            ("/dataschema", self.attributes.dataschema != it.attributes.dataschema),
        ];
        let of_data = |text| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
        let (ours, theirs) = (of_data(&self.data), of_data(&it.data));
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let names = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name));
        let names = names.map(|name| {
            let short: String = name.chars().take(NAME_CHARS_MAX).collect();
            format!("/data/{short}")
        });
        let attributes = attributes.into_iter().filter(|(_, differs)| *differs);
        attributes.map(|(name, _)| name.to_owned()).chain(names).take(NAMES_MAX).collect()
    }

    /// The data in today's shape, whatever version it was recorded in.
    pub fn fact(&self) -> Result<Fact, serde_json::Error> {
        let data = upcast::upcast(self.kind, self.schema_version, &self.data)?;
        Fact::parse(self.kind, &data)
    }

    /// It was recorded more than an hour after it happened.
    #[must_use]
    pub fn is_late(&self) -> bool {
        LATE_AFTER < self.recorded_at.duration_since(self.occurred_at)
    }

    /// It claims to have happened more than five minutes after it was recorded.
    #[must_use]
    pub fn is_clock_suspect(&self) -> bool {
        CLOCK_SUSPECT_AFTER < self.occurred_at.duration_since(self.recorded_at)
    }
}

/// What a sender holds in hand once an event is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Who sent it.
    pub source: Source,
    /// Its id there.
    pub id: EventId,
    /// Place in the whole log.
    pub position: i64,
    /// Its stream.
    pub stream: Stream,
    /// Place in that stream.
    pub version: i64,
    /// When the log took it.
    pub recorded_at: Timestamp,
}

impl Receipt {
    /// The members every spelling of a receipt has.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "source": self.source,
            "id": self.id,
            "position": self.position,
            "stream": self.stream,
            "version": self.version,
            "recorded_at": spell(self.recorded_at),
        })
    }
}
