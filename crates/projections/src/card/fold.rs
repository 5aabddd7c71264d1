//! What a customer's facts say about who they are and how they deal with us.
//!
//! Promises: the state knows no policy and no time but that of its facts; it stays small for
//! customers with thousands of them. What it costs: values and hours are kept by day and by hour of
//! UTC, and read in the tenant's zone later.

use std::collections::BTreeMap;

use events::envelope::Channel;
use events::fact::customer::{Consent, IdKind, Party, Purpose};
use events::fact::interaction::Outcome;
use events::fact::payment::PaymentKind;
use events::fact::purchase::PurchaseKind;
use events::fact::{Fact, customer};
use events::id::{Actor, CustomerId, Ident, Slug};
use events::kind::Direction;
use events::money::{Currency, Money};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::habit::{Observed, Trait, note};
use crate::entry::Entry;
use crate::timeline::recent::Recent;

/// Held and confirmed bookings that are remembered of one customer.
const BOOKINGS_MAX: usize = 64;
/// Marks that are remembered of one customer, for the search.
const IDENTIFIERS_MAX: usize = 16;
/// How many days of value are kept, counted back from the last fact.
const VALUE_DAYS: i64 = 366;

/// What this fold remembers of one customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// How the customer wishes to be called.
    pub name: Option<Box<str>>,
    /// A person or an organisation.
    pub kind: Option<Party>,
    /// The language to speak with them.
    pub language: Option<Box<str>>,
    /// How they found us.
    pub via: Option<Box<str>>,
    /// The customer who brought them.
    pub referred_by: Option<CustomerId>,
    /// Who looks after them.
    pub owner: Option<Ident>,
    /// Whose team that is.
    pub team: Option<Slug>,
    /// The tier they were last moved to; a prospect before that.
    pub tier: Option<Slug>,
    /// When the first fact about them happened.
    pub first_fact_at: Option<Timestamp>,
    /// Its local day.
    pub first_day: Option<Date>,
    /// When they last turned to us.
    pub last_in: Option<Move>,
    /// When somebody of us last turned to them.
    pub last_out: Option<Move>,
    /// How often they came.
    pub visits: i64,
    /// How many bookings were fulfilled.
    pub events: i64,
    /// The local day of the first of them.
    pub first_event_day: Option<Date>,
    /// Money they brought, by currency.
    pub value: BTreeMap<Box<str>, Value>,
    /// Held and confirmed bookings.
    bookings: Recent<Slot>,
    /// Habits, tastes and needs as somebody saw them.
    pub traits: Vec<Trait>,
    /// What fulfilled bookings have in common.
    pub observed: Observed,
    /// What they allowed or withdrew.
    pub consent: BTreeMap<Purpose, Consent>,
    /// Ways on which they turned to us or were reached, with how often.
    pub channels: BTreeMap<Channel, i64>,
    /// Hours of UTC in which that happened, with how often.
    pub hours: BTreeMap<i8, i64>,
    /// Marks by which they are found.
    pub identifiers: Vec<Identifier>,
}

/// One move of either side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// When.
    pub at: Timestamp,
    /// The type of the event.
    pub r#type: Box<str>,
    /// Who moved.
    pub actor: Actor,
}

/// Money of one currency, in minor units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// Of all time.
    pub total: i64,
    /// How many facts it is made of.
    pub count: i64,
    /// By local day, for the last year of facts.
    pub days: BTreeMap<Date, i64>,
}

/// A place that is kept for the customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Where.
    pub venue: Ident,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Whether the deposit was paid.
    pub is_confirmed: bool,
}

/// A mark by which the customer is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identifier {
    /// What sort of mark.
    pub kind: IdKind,
    /// The mark itself.
    pub value: Box<str>,
}

impl State {
    /// Folds one fact in.
    pub fn apply(&mut self, entry: &Entry<'_>) {
        if entry.is_alert() {
            return;
        }
        if self.first_fact_at.is_none() {
            self.first_fact_at = Some(entry.at());
            self.first_day = Some(entry.day);
        }
        self.moves(entry);
        self.money(entry);
        self.book(entry);
        match entry.fact {
            Fact::InteractionArrived(_) => self.visits += 1,
            Fact::LoyaltyTierChanged(it) => self.tier = Some(it.to.clone()),
            Fact::CustomerRegistered(it) => self.register(it),
            Fact::CustomerIdentified(it) => self.identify(it.id_kind, &it.value),
            Fact::CustomerTraitNoted(it) => note(&mut self.traits, it, entry),
            Fact::CustomerConsentChanged(it) => {
                self.consent.insert(it.purpose, it.state);
            }
            Fact::CustomerAssigned(it) => {
                self.owner = Some(it.owner.clone());
                self.team = Some(it.team.clone());
            }
            _ => {}
        }
    }

    fn register(&mut self, it: &customer::Registered) {
        self.name = Some(it.name.as_str().into());
        self.kind = Some(it.kind);
        // A second registration that leaves something out does not take it back.
        if let Some(language) = &it.language {
            self.language = Some(language.as_str().into());
        }
        if let Some(via) = &it.via {
            self.via = Some(via.as_str().into());
        }
        if it.referred_by.is_some() {
            self.referred_by.clone_from(&it.referred_by);
        }
    }

    fn identify(&mut self, kind: IdKind, value: &str) {
        if self.name.is_none() && kind == IdKind::Name {
            self.name = Some(value.into());
        }
        let identifier = Identifier { kind, value: value.into() };
        if !self.identifiers.contains(&identifier) {
            self.identifiers.push(identifier);
            if IDENTIFIERS_MAX < self.identifiers.len() {
                self.identifiers.remove(0);
            }
        }
    }

    fn moves(&mut self, entry: &Entry<'_>) {
        let event = entry.event;
        let came = || Move {
            at: entry.at(),
            r#type: event.kind.type_name(event.schema_version).into(),
            actor: event.attributes.actor.clone(),
        };
        let was_reached = match entry.direction() {
            Direction::In => {
                self.last_in = Some(came());
                true
            }
            Direction::Out if entry.is_personal() => {
                self.last_out = Some(came());
                matches!(entry.fact, Fact::InteractionContacted(it) if it.outcome == Outcome::Reached)
            }
            _ => false,
        };
        // Only what came over a channel says how somebody likes to be spoken with.
        if let Some(channel) = event.attributes.channel
            && was_reached
            && !entry.is_imported()
        {
            let hour = entry.at().to_zoned(jiff::tz::TimeZone::UTC).hour();
            *self.channels.entry(channel).or_default() += 1;
            *self.hours.entry(hour).or_default() += 1;
        }
    }

    /// What they bought and what they paid for bookings. A payment without a booking belongs to
    /// a purchase, which counts itself.
    fn money(&mut self, entry: &Entry<'_>) {
        let (money, sign) = match entry.fact {
            Fact::PurchaseRecorded(it) => {
                (it.amount, if it.kind == PurchaseKind::Sale { 1 } else { -1 })
            }
            Fact::PaymentRecorded(it) if it.booking.is_some() => {
                (it.amount, if it.kind == PaymentKind::Refund { -1 } else { 1 })
            }
            _ => return,
        };
        let amount = money.amount.saturating_mul(sign);
        let value = self.value.entry(money.currency.as_str().into()).or_default();
        value.total = value.total.saturating_add(amount);
        value.count += 1;
        let day = value.days.entry(entry.day).or_default();
        *day = day.saturating_add(amount);
        let oldest = events::calendar::add_days(entry.day, -VALUE_DAYS);
        value.days.retain(|day, _| oldest <= *day);
    }

    fn book(&mut self, entry: &Entry<'_>) {
        let (booking, slot) = match entry.fact {
            Fact::BookingHeld(it) => {
                (&it.booking, slot(&it.venue, it.starts_at, it.ends_at, false))
            }
            Fact::BookingConfirmed(it) => {
                (&it.booking, slot(&it.venue, it.starts_at, it.ends_at, true))
            }
            Fact::BookingChanged(it) => {
                if let Some(slot) = self.bookings.get_mut(it.booking.as_str()) {
                    slot.venue = it.venue.clone();
                    slot.starts_at = it.to.starts_at;
                    slot.ends_at = it.to.ends_at;
                }
                return;
            }
            // A conflict sends a booking that was held back to the queue.
            Fact::BookingWaitlisted(it) => return self.bookings.remove(it.booking.as_str()),
            Fact::BookingDeclined(it) => return self.bookings.remove(it.booking.as_str()),
            Fact::BookingCancelled(it) => return self.bookings.remove(it.booking.as_str()),
            Fact::BookingFulfilled(it) => {
                self.bookings.remove(it.booking.as_str());
                if !it.no_show {
                    self.events += 1;
                    self.first_event_day.get_or_insert(entry.day);
                    self.observed.see(&it.venue, entry.day);
                }
                return;
            }
            _ => return,
        };
        self.bookings.put(booking.as_str(), slot, BOOKINGS_MAX);
    }

    /// The held or confirmed booking that begins first of those that are not over at an instant.
    #[must_use]
    pub fn next_booking(&self, now: Timestamp) -> Option<(&str, &Slot)> {
        let ahead = self.bookings.iter().filter(|(_, it)| now < it.ends_at);
        ahead.min_by_key(|(id, it)| (it.starts_at, *id))
    }

    /// Money of one year up to a local day and of all time, in the currency most facts are in;
    /// nothing in rupiah where there is none.
    #[must_use]
    pub fn value_at(&self, today: Date) -> (Money, Money) {
        let most = self.value.iter().max_by_key(|(code, it)| (it.count, std::cmp::Reverse(*code)));
        let none = Money { amount: 0, currency: Currency::IDR };
        let Some((code, value)) = most else { return (none, none) };
        let currency = code.parse().unwrap_or(Currency::IDR);
        let from = one_year_before(today);
        let recent = value.days.iter().filter(|(day, _)| from < **day && **day <= today);
        let year = recent.fold(0_i64, |sum, (_, it)| sum.saturating_add(*it));
        (Money { amount: year, currency }, Money { amount: value.total, currency })
    }

    /// What there is to be glad about with them, true on a local day: the latest round number of
    /// fulfilled bookings, and the year they first came.
    #[must_use]
    pub fn milestones(&self, today: Date) -> Vec<String> {
        const ROUND: [(i64, &str); 6] = [
            (100, "hundredth_event"),
            (50, "fiftieth_event"),
            (25, "twenty_fifth_event"),
            (10, "tenth_event"),
            (5, "fifth_event"),
            (3, "third_event"),
        ];
        let mut found = Vec::new();
        if let Some((_, name)) = ROUND.into_iter().find(|(count, _)| *count <= self.events) {
            found.push(name.to_owned());
        }
        if let Some(first) = self.first_event_day
            && first.year() < today.year()
        {
            found.push(format!("guest_since_{}", first.year()));
        }
        found
    }

    /// The tier as a word.
    #[must_use]
    pub fn tier_name(&self) -> &str {
        self.tier.as_ref().map_or("prospect", Slug::as_str)
    }
}

fn slot(venue: &Ident, starts_at: Timestamp, ends_at: Timestamp, is_confirmed: bool) -> Slot {
    Slot { venue: venue.clone(), starts_at, ends_at, is_confirmed }
}

fn one_year_before(day: Date) -> Date {
    day.checked_sub(jiff::Span::new().years(1)).unwrap_or(day)
}

#[cfg(test)]
mod tests;
