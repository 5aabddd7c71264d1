//! What the timeline has to remember of a customer to say in which phase a fact belongs.
//!
//! Promises: the state knows no policy; a row is made from the state *before* its fact is applied,
//! and depends on nothing else but the fact and the policies in force when it happened.

use events::envelope::Channel;
use events::fact::{Fact, purchase, reward};
use events::id::{About, Actor, EventRef, Ident, Tenant};
use events::kind::{Direction, Kind, PhaseRule};
use events::policy::{Policies, Ritual, Step};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::recent::Recent;
use crate::dossier::Holder;
use crate::entry::Entry;

/// How long it is `after` once a booking was fulfilled, something was bought or somebody left.
pub const AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Live bookings that are remembered of one customer.
const BOOKINGS_MAX: usize = 64;
/// Visits that are remembered of one customer, for what is served as they leave.
const VISITS_MAX: usize = 16;
/// Threads that are remembered of one customer, to tell what refers to nothing.
const THREADS_MAX: usize = 128;
/// Rewards whose balance is remembered of one customer.
const REWARDS_MAX: usize = 32;

/// When in a customer's dealings something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before the dealing.
    Before,
    /// While it goes on.
    During,
    /// When it is over, for 30 days.
    After,
}

impl Phase {
    /// The word in answers and columns.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }

    /// The phase of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Before, Self::During, Self::After].into_iter().find(|it| it.as_str() == word)
    }
}

/// The word of a direction in answers and columns.
pub(crate) fn direction_word(it: Direction) -> &'static str {
    match it {
        Direction::In => "in",
        Direction::Out => "out",
        Direction::Internal => "internal",
        Direction::Either => "either",
    }
}

/// What this fold remembers of one customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Venues of requested, held and confirmed bookings, by booking.
    bookings: Recent<Box<str>>,
    visits: Recent<Visit>,
    /// When the last dealing ended.
    ended_at: Option<Timestamp>,
    /// `<topic>/<id>` of everything that was opened.
    threads: Recent<()>,
    /// What is left of each reward, in minor units.
    rewards: Recent<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Visit {
    venue: Option<Box<str>>,
    booking: Option<Box<str>>,
    open: bool,
}

/// One line of a timeline, as stored: what cannot be read off the log, and what is filtered by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) tenant: Tenant,
    pub(crate) holder: Holder,
    pub(crate) occurred_at: Timestamp,
    pub(crate) position: i64,
    pub(crate) kind: Kind,
    pub(crate) phase: Phase,
    pub(crate) direction: Direction,
    pub(crate) channel: Option<Channel>,
    pub(crate) actor: Actor,
    pub(crate) about: Option<About>,
    pub(crate) venue: Option<Ident>,
    pub(crate) visit: Option<Ident>,
    pub(crate) booking: Option<Ident>,
    pub(crate) out_of_order: bool,
    pub(crate) dangling: bool,
    pub(crate) voided_by: Option<EventRef>,
}

/// The line of a fact, from what was known before it. `out_of_order`: it was recorded after a later
/// fact of the same holder; `voided_by`: the event that takes it back.
pub(crate) fn row(
    before: &State,
    holder: &Holder,
    entry: &Entry<'_>,
    policies: &Policies,
    out_of_order: bool,
    voided_by: Option<EventRef>,
) -> Row {
    let Entry { event, fact, .. } = *entry;
    Row {
        tenant: event.tenant.clone(),
        holder: holder.clone(),
        occurred_at: event.occurred_at,
        position: event.position,
        kind: event.kind,
        phase: before.phase(entry, policies),
        direction: entry.direction(),
        channel: event.attributes.channel,
        actor: event.attributes.actor.clone(),
        about: fact.about(),
        venue: fact.venue().cloned(),
        visit: fact.visit().cloned(),
        booking: fact.booking().cloned(),
        out_of_order,
        dangling: before.is_dangling(entry),
        voided_by,
    }
}

impl State {
    /// Folds one fact in.
    pub fn apply(&mut self, entry: &Entry<'_>) {
        if let Some((topic, id)) = opened(entry.fact) {
            self.threads.put(&format!("{topic}/{id}"), (), THREADS_MAX);
        }
        self.book(entry);
        self.visit(entry);
        if let Fact::PurchaseRecorded(it) = entry.fact
            && it.kind == purchase::PurchaseKind::Sale
        {
            self.end(entry.at());
        }
        if let Fact::RewardPosted(it) = entry.fact {
            let balance = self.rewards.get(it.reward.as_str()).copied().unwrap_or_default();
            let moved = match it.entry {
                reward::Entry::Grant | reward::Entry::Reverse => it.value.amount,
                reward::Entry::Redeem | reward::Entry::Expire => -it.value.amount,
            };
            let balance = balance.saturating_add(moved).max(0);
            self.rewards.put(it.reward.as_str(), balance, REWARDS_MAX);
        }
    }

    fn book(&mut self, entry: &Entry<'_>) {
        let (booking, venue) = match entry.fact {
            Fact::BookingRequested(it) => (&it.booking, &it.venue),
            Fact::BookingHeld(it) => (&it.booking, &it.venue),
            Fact::BookingConfirmed(it) => (&it.booking, &it.venue),
            Fact::BookingWaitlisted(it) => (&it.booking, &it.venue),
            Fact::BookingDeclined(it) => return self.bookings.remove(it.booking.as_str()),
            Fact::BookingCancelled(it) => return self.bookings.remove(it.booking.as_str()),
            Fact::BookingFulfilled(it) => {
                self.bookings.remove(it.booking.as_str());
                // Where nobody records departures, the end of the booking ends its visit.
                for visit in self.visits.values_mut() {
                    visit.open &= visit.booking.as_deref() != Some(it.booking.as_str());
                }
                return self.end(entry.at());
            }
            _ => return,
        };
        self.bookings.put(booking.as_str(), venue.as_str().into(), BOOKINGS_MAX);
    }

    fn visit(&mut self, entry: &Entry<'_>) {
        match entry.fact {
            Fact::InteractionArrived(it) => {
                let booked = it.booking.as_ref().and_then(|it| self.bookings.get(it.as_str()));
                let venue = it.venue.as_ref().map(|it| it.as_str().into());
                let visit = Visit {
                    venue: venue.or_else(|| booked.cloned()),
                    booking: it.booking.as_ref().map(|it| it.as_str().into()),
                    open: true,
                };
                self.visits.put(it.visit.as_str(), visit, VISITS_MAX);
            }
            Fact::InteractionDeparted(it) => {
                if let Some(visit) = self.visits.get_mut(it.visit.as_str()) {
                    visit.open = false;
                }
                self.end(entry.at());
            }
            _ => {}
        }
    }

    fn end(&mut self, at: Timestamp) {
        self.ended_at = self.ended_at.max(Some(at));
    }

    /// The phase of a fact that has not been applied yet.
    #[must_use]
    pub fn phase(&self, entry: &Entry<'_>, policies: &Policies) -> Phase {
        match entry.event.kind.phase() {
            PhaseRule::Before => Phase::Before,
            PhaseRule::During => Phase::During,
            PhaseRule::After => Phase::After,
            PhaseRule::Any => self.phase_at(entry.at()),
            PhaseRule::Ritual => self.step(entry.fact, policies).unwrap_or(Phase::During),
        }
    }

    /// The phase the customer is in at an instant after everything folded so far.
    #[must_use]
    pub fn phase_at(&self, at: Timestamp) -> Phase {
        if !self.bookings.is_empty() || self.visits.iter().any(|(_, it)| it.open) {
            return Phase::During;
        }
        match self.ended_at {
            Some(ended) if at.duration_since(ended) < AFTER => Phase::After,
            _ => Phase::Before,
        }
    }

    /// The phase of a step in the ritual of its visit. A fact that names no visit belongs to the
    /// one that is open, or else to the place it names.
    fn step(&self, fact: &Fact, policies: &Policies) -> Option<Phase> {
        let Fact::InteractionServed(served) = fact else { return None };
        let visit = match &served.visit {
            Some(id) => self.visits.get(id.as_str()),
            None => self.visits.iter().rev().map(|(_, it)| it).find(|it| it.open),
        };
        let own = served.venue.as_ref().map(Ident::as_str);
        let venue = visit.and_then(|it| it.venue.as_deref()).or(own)?;
        let ritual = policies.ritual.get(policies.venues.get(venue)?.ritual.as_ref()?)?;
        phase_of_service(ritual, served.service.as_str())
    }

    /// Whether a fact refers to something this customer never had. History that was loaded later
    /// begins somewhere, so it may refer to what lies before its beginning.
    fn is_dangling(&self, entry: &Entry<'_>) -> bool {
        if entry.event.customer.is_none() || entry.is_imported() {
            return false;
        }
        let unknown =
            |(topic, id): &(String, String)| self.threads.never_had(&format!("{topic}/{id}"));
        referred(entry.fact).iter().any(unknown) || self.overdraws(entry.fact)
    }

    /// Whether more of a reward is used than there is.
    fn overdraws(&self, fact: &Fact) -> bool {
        let Fact::RewardPosted(it) = fact else { return false };
        let left = |id: &Ident| match self.rewards.get(id.as_str()) {
            None if self.rewards.never_had(id.as_str()) => Some(0),
            other => other.copied(),
        };
        match it.entry {
            reward::Entry::Grant => false,
            reward::Entry::Redeem | reward::Entry::Expire => {
                left(&it.reward).is_some_and(|left| left < it.value.amount)
            }
            reward::Entry::Reverse => {
                self.rewards.never_had(it.of.as_ref().unwrap_or(&it.reward).as_str())
            }
        }
    }
}

/// The phase whose list has a step that this service does.
fn phase_of_service(ritual: &Ritual, service: &str) -> Option<Phase> {
    let fits = |it: &Step| {
        it.action == "served" && it.detail.as_ref().is_none_or(|detail| detail == service)
    };
    let lists = [
        (Phase::Before, &ritual.before),
        (Phase::During, &ritual.during),
        (Phase::After, &ritual.after),
    ];
    lists.into_iter().find(|(_, steps)| steps.iter().any(fits)).map(|(phase, _)| phase)
}

/// The thread that a fact opens.
fn opened(fact: &Fact) -> Option<(&'static str, &str)> {
    Some(match fact {
        Fact::InteractionInquired(it) => ("inquiry", it.inquiry.as_str()),
        Fact::InteractionArrived(it) => ("visit", it.visit.as_str()),
        // At a place with its own system, the first we hear of a booking may be the decision.
        Fact::BookingRequested(it) => ("booking", it.booking.as_str()),
        Fact::BookingHeld(it) => ("booking", it.booking.as_str()),
        Fact::BookingConfirmed(it) => ("booking", it.booking.as_str()),
        Fact::BookingWaitlisted(it) => ("booking", it.booking.as_str()),
        Fact::PurchaseRecorded(it) => ("purchase", it.purchase.as_str()),
        Fact::ReferralRecorded(it) => ("referral", it.referred.as_str()),
        Fact::ComplaintRaised(it) => ("complaint", it.complaint.as_str()),
        Fact::PromiseMade(it) => ("promise", it.promise.as_str()),
        Fact::FeedbackRequested(it) => ("feedback", it.feedback.as_str()),
        _ => return None,
    })
}

/// The threads that a fact takes for granted.
fn referred(fact: &Fact) -> Vec<(String, String)> {
    let opened = opened(fact);
    let mut found = Vec::new();
    let mut refer = |topic: &str, id: &str| {
        if opened != Some((topic, id)) {
            found.push((topic.to_owned(), id.to_owned()));
        }
    };
    if let Some(about) = fact.about() {
        // A greeting may be recorded a moment before the arrival, and improvements have no customer.
        let is_own_visit =
            about.topic() == "visit" && fact.visit().is_some_and(|it| it.as_str() == about.id());
        let is_departure = matches!(fact, Fact::InteractionDeparted(_));
        if about.topic() != "improvement" && (is_departure || !is_own_visit) {
            refer(about.topic(), about.id());
        }
    }
    if let Some(booking) = fact.booking() {
        refer("booking", booking.as_str());
    }
    match fact {
        Fact::ComplaintRaised(it) => {
            if let Some(follows) = &it.follows {
                refer("complaint", follows.as_str());
            }
        }
        Fact::PurchaseRecorded(it) => {
            if let Some(of) = &it.of {
                refer("purchase", of.as_str());
            }
        }
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests;
