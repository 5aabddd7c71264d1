//! What the folds remember of one customer: one row, loaded once a page, changed in memory.
//!
//! A dossier is a function of the set of a customer's facts: folding them in the order of [`Place`]
//! without the voided ones gives it, and nothing else does. A fact that comes later in that order
//! than everything before it is simply applied; any other one, and every void, makes the runner fold
//! that customer's facts anew out of the log. So no fold has to know that facts arrive late.
//!
//! What Sapa itself recorded about alerts says what was sent, not what happened with the customer.
//! It is folded by position, apart from the facts, and no rule about the customer reads it.

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::CustomerId;
use events::kind::Kind;
use events::policy::Policies;
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
    /// The place of the last fact in the order of folding.
    pub last: Option<Place>,
    /// The highest position of any of them.
    pub newest: i64,
    /// When the newest of them was recorded.
    pub recorded_at: Option<Timestamp>,
    /// When the newest of them was recorded that was loaded from history.
    pub imported_at: Option<Timestamp>,
    /// How many there are.
    pub count: i64,
    /// The latest moment at which a fact from the future came true.
    pub arrived_at: Option<Timestamp>,
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
    pub fn is_in_order(&self, event: &Recorded) -> bool {
        self.ahead.is_empty()
            && !event.is_clock_suspect()
            && self.seen.last.as_ref().is_none_or(|last| *last < Place::of(event))
    }

    /// Folds facts from nothing, given in the order of [`Place`] and without the voided ones.
    #[must_use]
    pub fn fold<'a, 'b: 'a>(
        facts: impl IntoIterator<Item = &'a Entry<'b>> + Clone,
        policies: &Policies,
    ) -> Self {
        let mut dossier = Self::default();
        for entry in facts.clone() {
            dossier.apply_fact(entry, policies);
        }
        dossier.apply_alerts(facts);
        dossier
    }

    /// Folds one fact in, after all that happened before it and all that was recorded before it.
    /// Total: no fact can be refused.
    pub fn apply(&mut self, entry: &Entry<'_>, policies: &Policies) {
        self.apply_fact(entry, policies);
        self.alerts.apply(entry);
    }

    /// Folds in what was recorded about alerts, one after the other as it was recorded.
    pub(crate) fn apply_alerts<'a, 'b: 'a>(
        &mut self,
        facts: impl IntoIterator<Item = &'a Entry<'b>>,
    ) {
        let mut own: Vec<&Entry<'_>> = facts.into_iter().filter(|it| it.is_alert()).collect();
        own.sort_by_key(|it| it.event.position);
        for entry in own {
            self.alerts.apply(entry);
        }
    }

    /// Folds one fact in, but for what it says about an alert.
    pub(crate) fn apply_fact(&mut self, entry: &Entry<'_>, policies: &Policies) {
        self.seen.last = Some(Place::of(entry.event));
        self.seen.newest = self.seen.newest.max(entry.event.position);
        self.seen.recorded_at = self.seen.recorded_at.max(Some(entry.event.recorded_at));
        if entry.is_imported() && !entry.is_alert() {
            self.seen.imported_at = self.seen.imported_at.max(Some(entry.event.recorded_at));
        }
        self.seen.count += 1;
        if entry.event.is_clock_suspect() {
            self.seen.arrived_at = self.seen.arrived_at.max(Some(entry.at()));
        }
        if entry.event.kind == Kind::ImprovementMade {
            // It says nothing about the customer, only what we owe them for it.
            self.neglect.apply(entry, &self.promises, policies);
            return;
        }
        self.timeline.apply(entry);
        self.card.apply(entry);
        self.promises.apply(entry);
        self.loyalty.apply(entry, &self.promises);
        if !entry.is_alert() {
            self.neglect.apply(entry, &self.promises, policies);
        }
    }
}

/// Where a fact stands among the facts of its customer, however they were recorded.
///
/// At one instant causes come before their effects (a question before its answer), and of two facts
/// of one rank the one whose id is smaller. What Sapa decided follows the facts it decided on, in the
/// order in which it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    at: Timestamp,
    rank: u8,
    position: i64,
    id: Box<str>,
    source: Box<str>,
}

impl Place {
    /// The place of a fact.
    #[must_use]
    pub fn of(event: &Recorded) -> Self {
        let rank = rank(event);
        let is_ours = rank == OURS;
        let text = |it: &str| if is_ours { "".into() } else { it.into() };
        Self {
            at: event.occurred_at,
            rank,
            position: if is_ours { event.position } else { 0 },
            id: text(event.id.as_str()),
            source: text(event.source.as_str()),
        }
    }
}

/// Puts facts in the order of folding.
pub fn put_in_order(facts: &mut [(&Recorded, &Fact)]) {
    facts.sort_by_cached_key(|(it, _)| Place::of(it));
}

/// What Sapa decided comes last.
const OURS: u8 = 4;

/// The rank of a fact among those of one instant.
fn rank(event: &Recorded) -> u8 {
    match event.kind {
        Kind::AlertRaised
        | Kind::AlertAcknowledged
        | Kind::AlertSnoozed
        | Kind::AlertEscalated
        | Kind::AlertResolved
        | Kind::AlertWithdrawn
        | Kind::LoyaltyTierChanged => OURS,
        Kind::PromiseSettled if is_decision(event) => OURS,
        Kind::PromiseSettled
        | Kind::ComplaintReopened
        | Kind::PaymentRecorded
        | Kind::BookingFulfilled
        | Kind::InteractionDeparted
        | Kind::RewardPosted => 3,
        Kind::InteractionAnswered
        | Kind::InteractionContacted
        | Kind::InteractionThanked
        | Kind::InteractionServed
        | Kind::InteractionRecommended
        | Kind::ComplaintResolved
        | Kind::BookingConfirmed
        | Kind::BookingCancelled
        | Kind::BookingDeclined
        | Kind::BookingConflictDetected => 2,
        Kind::PromiseMade
        | Kind::BookingHeld
        | Kind::BookingWaitlisted
        | Kind::BookingOffered
        | Kind::BookingChanged
        | Kind::ComplaintEscalated => 1,
        _ => 0,
    }
}

/// Whether the reaction that watches promises recorded it: a conclusion, not evidence.
pub(crate) fn is_decision(event: &Recorded) -> bool {
    event.kind == Kind::PromiseSettled && event.source.as_str() == "/sapa/promise"
}
