//! The policies of a tenant: what the business decides as data, each policy with its versions.
//!
//! Promises: version 1 of every policy is the one in `policy/default.toml`; a body that was read
//! keeps every rule its type states; equal sets of policies serialise to equal bytes.
//! `[team.<name>]`, `[venues.<id>]` and `[ritual.<name>]` are parts of one policy each.
//! Refuses unknown members, wrong types and nonsense, all faults at once, each with its place.

pub mod attention;
pub mod clocks;
mod history;
pub mod listening;
mod read;
pub mod ritual;
pub mod trade;

use std::collections::BTreeMap;
use std::ops::{Deref, RangeInclusive};
use std::sync::LazyLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

pub use self::attention::{Alert, Complaint, Debate, Fairness, Promise, Team, Teams};
pub use self::clocks::{ClockPolicy, Neglect, Owe, ThanksFor};
pub use self::history::PolicyHistory;
pub use self::listening::{Ai, Habit, Identity, Survey, Trend};
pub use self::read::{Finding, closest, is_slug};
use self::read::{Node, read_body};
pub use self::ritual::{Ritual, Rituals, Step};
pub use self::trade::{Booking, Loyalty, PrimaryRule, Venue, VenueAuthority, Venues};
use crate::calendar::Calendar;
use crate::canonical;
use crate::tier::Tier;

/// The most days any policy may ask for (about a century).
const DAYS_MAX: i64 = 36_500;
/// The most hours any policy may ask for (a year of them).
const HOURS_MAX: i64 = 8_760;

static DEFAULT_TEXT: &str = include_str!("policy/default.toml");

static DEFAULTS: LazyLock<Policies> = LazyLock::new(|| {
    let bodies = from_toml(DEFAULT_TEXT).expect("the default policies are valid TOML");
    Policies::from_defaults(&bodies).expect("the default policies are valid")
});

/// What `policy.published` carries: one version of one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The policy's name: a first-level section of the defaults.
    pub name: String,
    /// From 1, which is the default; a version never changes.
    pub version: u64,
    /// In force from this instant on.
    pub effective_from: Timestamp,
    /// SHA-256 of the canonical body, hexadecimal.
    pub hash: String,
    /// The whole section as a JSON object.
    pub body: Value,
}

/// One policy in force: its typed content and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy<T> {
    /// Its version, hash and body as published.
    pub published: Published,
    content: T,
}

impl<T> Policy<T> {
    /// The version in force.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.published.version
    }

    /// The instant from which it is in force.
    #[must_use]
    pub fn effective_from(&self) -> Timestamp {
        self.published.effective_from
    }
}

impl<T> Deref for Policy<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.content
    }
}

/// A value for each tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByTier<T> {
    /// For prospects.
    pub prospect: T,
    /// For secondary customers.
    pub secondary: T,
    /// For primary customers.
    pub primary: T,
}

impl<T> ByTier<T> {
    /// The value of one tier.
    pub fn get(&self, tier: Tier) -> &T {
        match tier {
            Tier::Prospect => &self.prospect,
            Tier::Secondary => &self.secondary,
            Tier::Primary => &self.primary,
        }
    }
}

impl ByTier<i64> {
    fn read(node: &Node<'_>, range: RangeInclusive<i64>) -> Self {
        let members = node.members();
        let value = |tier: Tier| members.get(tier.name()).int(range.clone());
        let [prospect, secondary, primary] = Tier::ALL.map(value);
        members.done();
        Self { prospect, secondary, primary }
    }
}

fn tier(node: &Node<'_>) -> Option<Tier> {
    node.choice(&Tier::ALL.map(|tier| (tier.name(), tier)))
}

/// Writes the set of policies down once: member name, section name, type and reader.
macro_rules! sections {
    ($($name:ident, $Section:ident, $Content:ty, $read:path;)*) => {
        /// The names of all policies, in the order of the defaults.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// The typed content of one policy.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Section {
            $(#[doc = concat!("Policy `", stringify!($name), "`.")] $Section($Content),)*
        }

        impl Section {
            /// Reads the body of the named policy, or gives everything that is wrong with it.
            pub fn parse(name: &str, body: &Value) -> Result<Self, Vec<Finding>> {
                match name {
                    $(stringify!($name) => read_body(body, $read).map(Self::$Section),)*
                    _ => Err(vec![unknown_policy(name)]),
                }
            }
        }

        /// All policies in force at one instant.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Policies {
            $(#[doc = concat!("Policy `", stringify!($name), "`.")]
            pub $name: Policy<$Content>,)*
        }

        impl Policies {
            fn from_defaults(bodies: &BTreeMap<String, Value>) -> Result<Self, Vec<Finding>> {
                Ok(Self { $($name: {
                    let published = default_published(stringify!($name), bodies);
                    let content = read_body(&published.body, $read)?;
                    Policy { published, content }
                },)* })
            }

            /// Puts a published version in force in place of the one before. A body with faults
            /// changes nothing and is answered with all of them.
            pub fn apply(&mut self, published: Published) -> Result<(), Vec<Finding>> {
                let section = Section::parse(&published.name, &published.body)?;
                self.replace(published, section);
                Ok(())
            }

            fn replace(&mut self, published: Published, section: Section) {
                match section {
                    $(Section::$Section(content) => self.$name = Policy { published, content },)*
                }
            }

            /// Whether another system decides about the bookings of a venue.
            #[must_use]
            pub fn is_external(&self, venue: &str) -> bool {
                let venue = self.venues.get(venue);
                venue.is_some_and(|it| it.authority == VenueAuthority::External)
            }

            /// The published versions in force, in the order of [`NAMES`].
            #[must_use]
            pub fn published(&self) -> Vec<&Published> {
                vec![$(&self.$name.published),*]
            }
        }
    };
}

sections! {
    calendar, Calendar, Calendar, clocks::calendar;
    team, Team, Teams, attention::team;
    neglect, Neglect, Neglect, clocks::neglect;
    owe, Owe, Owe, clocks::owe;
    alert, Alert, Alert, attention::alert;
    fairness, Fairness, Fairness, attention::fairness;
    loyalty, Loyalty, Loyalty, trade::loyalty;
    booking, Booking, Booking, trade::booking;
    venues, Venues, Venues, trade::venues;
    promise, Promise, Promise, attention::promise;
    debate, Debate, Debate, attention::debate;
    complaint, Complaint, Complaint, attention::complaint;
    survey, Survey, Survey, listening::survey;
    habit, Habit, Habit, listening::habit;
    trend, Trend, Trend, listening::trend;
    identity, Identity, Identity, listening::identity;
    ai, Ai, Ai, listening::ai;
    ritual, Ritual, Rituals, ritual::ritual;
}

impl Policies {
    /// The version of a policy in force; none if there is no policy of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Published> {
        self.published().into_iter().find(|published| published.name == name)
    }

    /// The body of a policy in force, for display.
    #[must_use]
    pub fn body_json(&self, name: &str) -> Option<&Value> {
        self.get(name).map(|published| &published.body)
    }

    /// The default text of a policy as TOML, comments and all.
    #[must_use]
    pub fn default_toml(name: &str) -> Option<String> {
        let mut inside = false;
        let mut text = String::new();
        for line in DEFAULT_TEXT.lines() {
            if let Some(header) = line.strip_prefix('[') {
                let section = header.split(['.', ']']).next().unwrap_or(header);
                inside = section == name;
            }
            if inside {
                text.push_str(line);
                text.push('\n');
            }
        }
        (!text.is_empty()).then(|| format!("{}\n", text.trim_end()))
    }

    /// The team of customers whom nobody was assigned: its slug and the team.
    #[must_use]
    pub fn default_team(&self) -> (&str, &Team) {
        let (slug, team) = self
            .team
            .iter()
            .find(|(_, team)| team.default)
            .expect("a policy `team` has exactly one default team");
        (slug, team)
    }
}

impl Default for Policies {
    fn default() -> Self {
        DEFAULTS.clone()
    }
}

impl Serialize for Policies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = self.published();
        serializer.collect_map(all.into_iter().map(|published| (&published.name, published)))
    }
}

impl<'de> Deserialize<'de> for Policies {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut policies = Self::default();
        for published in BTreeMap::<String, Published>::deserialize(deserializer)?.into_values() {
            let name = published.name.clone();
            policies.apply(published).map_err(|findings| {
                let pointers: Vec<_> = findings.iter().map(|it| it.pointer.as_str()).collect();
                serde::de::Error::custom(format!("policy {name} at {}", pointers.join(", ")))
            })?;
        }
        Ok(policies)
    }
}

impl Published {
    /// A version with the hash of its body. Whether the body is valid is not looked at.
    #[must_use]
    pub fn new(name: &str, version: u64, effective_from: Timestamp, body: Value) -> Self {
        let hash = canonical::hash(&body);
        Self { name: name.to_owned(), version, effective_from, hash, body }
    }
}

/// Reads a TOML file of policies into bodies by policy name. Dates may be written with or without
/// quotes. Which names and members there may be is not looked at.
pub fn from_toml(text: &str) -> Result<BTreeMap<String, Value>, Finding> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        Finding {
            pointer: String::new(),
            rule: "toml_syntax",
            detail: format!("is not valid TOML in line {line}: {}", error.message()),
            indonesian: format!("bukan TOML yang sah pada baris {line}"),
        }
    })?;
    Ok(table.into_iter().map(|(name, value)| (name, to_json(value))).collect())
}

fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::from(truth),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(to_json).collect(),
        toml::Value::Table(members) => {
            members.into_iter().map(|(name, member)| (name, to_json(member))).collect()
        }
    }
}

/// Version 1 of a policy, in force since before every event.
fn default_published(name: &str, bodies: &BTreeMap<String, Value>) -> Published {
    let body = bodies.get(name).cloned().expect("the defaults have a section for every policy");
    Published::new(name, 1, Timestamp::UNIX_EPOCH, body)
}

fn unknown_policy(name: &str) -> Finding {
    let (detail, indonesian) = match closest(name, NAMES.iter().copied()) {
        Some(known) => (
            format!("there is no policy of this name; did you mean `{known}`?"),
            format!("tidak ada kebijakan dengan nama ini; maksud Anda `{known}`?"),
        ),
        None => (
            format!("there is no policy of this name; there are: {}", NAMES.join(", ")),
            format!("tidak ada kebijakan dengan nama ini; yang ada: {}", NAMES.join(", ")),
        ),
    };
    Finding { pointer: String::new(), rule: "unknown_policy", detail, indonesian }
}

#[cfg(test)]
mod tests;
