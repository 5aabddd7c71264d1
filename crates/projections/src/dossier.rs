//! What the folds remember of one customer: one row, loaded once a page, changed in memory.
//!
//! A dossier is a function of the set of a customer's facts: folding them in the order
//! `(occurred_at, position)` without the voided ones gives it, and nothing else does. A fact that
//! comes later in that order than everything before it is simply applied; any other one, and every
//! void, makes the runner fold that customer's facts anew out of the log. So no fold has to know
//! that facts arrive late.

use events::id::CustomerId;
use events::kind::Kind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ahead::Stage;
use crate::entry::Entry;
use crate::{alerts, card, loyalty, neglect, promises, timeline};

/// Whose dossier: a customer, or the stream of what has no customer (`promise/p-7`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder(Box<str>);

impl Holder {
    /// The holder of an event, if any fold wants it: its customer; for a promise between colleagues
    /// the promise, and so for the alerts about it, which carry it as correlation.
    #[must_use]
    pub fn of(event: &events::envelope::Recorded) -> Option<Self> {
        use events::kind::Family;
        if let Some(customer) = &event.customer {
            return Some(Self(customer.as_str().into()));
        }
        match event.kind.family() {
            Family::Promise => Some(Self(event.stream.as_str().into())),
            Family::Alert => event
                .correlation_id
                .as_deref()
                .filter(|it| it.starts_with("promise/"))
                .map(|it| Self(it.into())),
            _ => None,
        }
    }

    /// A customer's.
    #[must_use]
    pub fn customer(id: &CustomerId) -> Self {
        Self(id.as_str().into())
    }

    /// As stored. A customer id has no slash, a stream has one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Out of a column.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The customer, if it is one.
    #[must_use]
    pub fn as_customer(&self) -> Option<CustomerId> {
        if self.0.contains('/') { None } else { self.0.parse().ok() }
    }
}

/// How far into a customer's facts the folds have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The last fact in the order of folding: when it happened.
    pub at: Option<Timestamp>,
    /// The last fact in the order of folding: its position.
    pub position: i64,
    /// The highest position of any of them.
    pub newest: i64,
    /// When the newest of them was recorded.
    pub recorded_at: Option<Timestamp>,
    /// How many there are.
    pub count: i64,
}

/// Everything the folds remember of one holder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dossier {
    /// Order of folding.
    pub seen: Seen,
    /// What the timeline needs to tell phases.
    pub timeline: timeline::State,
    /// Who this is.
    pub card: card::State,
    /// Tier and what it rests on.
    pub loyalty: loyalty::State,
    /// The three clocks.
    pub neglect: neglect::State,
    /// Answers given with a time.
    pub promises: promises::State,
    /// What rings.
    pub alerts: alerts::State,
    /// How all this will be once what claims to be from the future has come true, earliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<Stage>,
}

impl Dossier {
    /// Whether a fact comes after everything folded so far, and nothing waits for its time.
    #[must_use]
    pub fn is_in_order(&self, event: &events::envelope::Recorded) -> bool {
        let place = (event.occurred_at, event.position);
        self.ahead.is_empty()
            && !event.is_clock_suspect()
            && self.seen.at.is_none_or(|at| (at, self.seen.position) < place)
    }

    /// Folds one fact in, after all that happened before it. Total: no fact can be refused.
    pub fn apply(&mut self, entry: &Entry<'_>) {
        self.seen.at = Some(entry.at());
        self.seen.position = entry.event.position;
        self.seen.newest = self.seen.newest.max(entry.event.position);
        self.seen.recorded_at = self.seen.recorded_at.max(Some(entry.event.recorded_at));
        self.seen.count += 1;
        if entry.event.kind == Kind::ImprovementMade {
            // It says nothing about the customer, only what we owe them for it.
            self.neglect.apply(entry);
            return;
        }
        self.timeline.apply(entry);
        self.card.apply(entry);
        self.loyalty.apply(entry);
        self.promises.apply(entry);
        // An alert remembers how the clocks stood when it rang, so it is folded before they move.
        self.alerts.apply(entry, &self.neglect, &self.promises);
        self.neglect.apply(entry);
    }
}
