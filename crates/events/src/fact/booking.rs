//! Facts about slots in a venue: requested, held, confirmed, waited for, offered, changed, ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{read, words};
use crate::id::{EventRef, Ident, Slug};
use crate::money::Money;

words!(
    /// Why a slot was held.
    pub enum HoldReason {
        Free = "free",
        OfferAccepted = "offer_accepted",
        CalledIn = "called_in",
        Courtesy = "courtesy",
    }
);

words!(
    /// Why a request was declined.
    pub enum DeclineReason {
        Taken = "taken",
        Capacity = "capacity",
        Closed = "closed",
        Past = "past",
        Duplicate = "duplicate",
    }
);

words!(
    /// Whether an offer answers the waitlist or proposes another slot.
    pub enum OfferKind {
        Waitlist = "waitlist",
        Alternative = "alternative",
    }
);

words!(
    /// Who ended a booking, or which deadline did.
    pub enum CancelledBy {
        Customer = "customer",
        Venue = "venue",
        HoldExpired = "hold_expired",
        OfferExpired = "offer_expired",
    }
);

words!(
    /// Which rule two bookings broke.
    pub enum ConflictRule {
        Overlap = "overlap",
        PaidWithoutHold = "paid_without_hold",
        ExternalOverlap = "external_overlap",
    }
);

/// One slot of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The hall or place.
    pub venue: Ident,
    /// From when.
    #[serde(deserialize_with = "read::instant")]
    pub starts_at: Timestamp,
    /// Until when; after `starts_at`.
    #[serde(deserialize_with = "read::instant")]
    pub ends_at: Timestamp,
    /// The price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Until when it is kept for the customer, if it is.
    #[serde(
        default,
        deserialize_with = "read::maybe_instant",
        skip_serializing_if = "Option::is_none"
    )]
    pub held_until: Option<Timestamp>,
}

/// A time and a number of guests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// From when.
    #[serde(deserialize_with = "read::instant")]
    pub starts_at: Timestamp,
    /// Until when; after `starts_at`.
    #[serde(deserialize_with = "read::instant")]
    pub ends_at: Timestamp,
    /// How many guests.
    pub party: u32,
}

/// The customer wants a slot; a decision is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// The booking.
    pub booking: Ident,
    /// The hall or place.
    pub venue: Ident,
    /// From when.
    #[serde(deserialize_with = "read::instant")]
    pub starts_at: Timestamp,
    /// Until when; after `starts_at`.
    #[serde(deserialize_with = "read::instant")]
    pub ends_at: Timestamp,
    /// How many guests.
    pub party: u32,
    /// What for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The price that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Whether to wait if the slot is taken.
    #[serde(default = "read::yes")]
    pub waitlist: bool,
    /// Whether the deposit can be paid at once.
    #[serde(default)]
    pub ready_to_pay: bool,
    /// The offer this accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepts: Option<Ident>,
    /// The booking this replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Ident>,
}

/// The slot is kept for the customer until the deposit is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The booking.
    pub booking: Ident,
    /// The hall or place.
    pub venue: Ident,
    /// From when.
    #[serde(deserialize_with = "read::instant")]
    pub starts_at: Timestamp,
    /// Until when; after `starts_at`.
    #[serde(deserialize_with = "read::instant")]
    pub ends_at: Timestamp,
    /// How long it is kept.
    #[serde(deserialize_with = "read::instant")]
    pub hold_until: Timestamp,
    /// How long the customer has to pay once somebody else wants the slot, in hours.
    pub call_in_hours: u32,
    /// The price.
    pub price: Money,
    /// What must be paid to confirm.
    pub deposit_due: Money,
    /// Why it is held.
    pub reason: HoldReason,
}

/// The slot is the customer's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The booking.
    pub booking: Ident,
    /// The hall or place.
    pub venue: Ident,
    /// From when.
    #[serde(deserialize_with = "read::instant")]
    pub starts_at: Timestamp,
    /// Until when; after `starts_at`.
    #[serde(deserialize_with = "read::instant")]
    pub ends_at: Timestamp,
    /// What has been paid.
    pub paid: Money,
    /// The payment that confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<EventRef>,
}

/// The request cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// The booking.
    pub booking: Ident,
    /// The hall or place.
    pub venue: Ident,
    /// Why.
    pub reason: DeclineReason,
    /// The rule that decided.
    pub rule: Slug,
}

/// The slot is taken; the customer waits in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waitlisted {
    /// The booking.
    pub booking: Ident,
    /// The hall or place.
    pub venue: Ident,
    /// From when.
    #[serde(deserialize_with = "read::instant")]
    pub starts_at: Timestamp,
    /// Until when; after `starts_at`.
    #[serde(deserialize_with = "read::instant")]
    pub ends_at: Timestamp,
    /// The place in the queue, from 1.
    pub place: u32,
    /// The rule that decided.
    pub rule: Slug,
}

/// One or more slots are offered until a deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The offer.
    pub offer: Ident,
    /// The booking.
    pub booking: Ident,
    /// Waitlist or alternative.
    pub kind: OfferKind,
    /// The slots to choose from.
    pub options: Vec<Choice>,
    /// Until when the offer stands.
    #[serde(deserialize_with = "read::instant")]
    pub offer_until: Timestamp,
}

/// The slot or the number of guests changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The booking.
    pub booking: Ident,
    /// The hall or place.
    pub venue: Ident,
    /// What it was.
    pub from: Slot,
    /// What it is now.
    pub to: Slot,
    /// Why.
    pub reason: String,
}

/// The booking ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// The booking.
    pub booking: Ident,
    /// The hall or place.
    pub venue: Ident,
    /// Who ended it; the two deadlines are decisions of Sapa.
    pub by: CancelledBy,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is to be paid back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_due: Option<Money>,
}

/// Two bookings cannot both be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictDetected {
    /// The hall or place.
    pub venue: Ident,
    /// The bookings.
    pub bookings: Vec<Ident>,
    /// From when.
    #[serde(deserialize_with = "read::instant")]
    pub starts_at: Timestamp,
    /// Until when; after `starts_at`.
    #[serde(deserialize_with = "read::instant")]
    pub ends_at: Timestamp,
    /// Which rule they broke.
    pub rule: ConflictRule,
}

/// The day came and went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilled {
    /// The booking.
    pub booking: Ident,
    /// The hall or place.
    pub venue: Ident,
    /// Whether nobody came.
    pub no_show: bool,
}
