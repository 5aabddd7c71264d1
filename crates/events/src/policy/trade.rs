//! Policies of trade: loyalty, bookings and the venues they are for.
//!
//! Money is whole units of the tenant's currency (rupiah by default).

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::read::{Node, is_id, is_slug};
use super::{ByTier, DAYS_MAX, HOURS_MAX};
use crate::tier::Tier;

/// The largest amount of money in a policy.
const MONEY_MAX: i64 = 1_000_000_000_000_000;

/// What a primary customer must show. All but the count are days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrimaryRule {
    /// Days since the first qualifying day, at least.
    pub tenure_days: i64,
    /// Qualifying days count while they are younger than this.
    pub window_days: i64,
    /// So many of them must count.
    pub window_count: i64,
    /// The newest must be younger than this.
    pub recency_days: i64,
}

/// Surprise gifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surprise {
    /// Spent per month, at most.
    pub monthly_budget: i64,
    /// Worth of one gift, at most; never above the budget.
    pub per_gift_max: i64,
    /// Days between two gifts to one customer.
    pub cooldown_days: i64,
}

/// Policy `loyalty`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loyalty {
    /// The tiers in rising order: always the three of [`Tier`].
    pub tiers: Vec<Tier>,
    /// The conditions of the highest tier.
    pub primary: PrimaryRule,
    /// What customers of a tier are granted, by slug.
    pub privileges: BTreeMap<Tier, Vec<String>>,
    /// Limits of surprise gifts.
    pub surprise: Surprise,
}

/// One step of the refund table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundStep {
    /// Holds for cancellations at least this many days before the start.
    pub days_before: i64,
    /// Per cent of what was paid.
    pub percent: i64,
}

/// Policy `booking`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Hours a hold lasts.
    pub hold_hours: i64,
    /// Hours a hold lasts when the start is within 72 hours.
    pub hold_hours_last_minute: i64,
    /// Daytime hours left to a holder once somebody else is ready to pay.
    pub call_in_hours: i64,
    /// Per cent of the price that confirms.
    pub deposit_percent: i64,
    /// Hours an offer from the waitlist lasts.
    pub offer_hours: i64,
    /// How often one place on the waitlist may be overtaken.
    pub overtake_max: i64,
    /// Days around the wanted one in which another is looked for.
    pub alternative_days: i64,
    /// Hours the first alternative is kept out of courtesy; 0 for not at all.
    pub alternative_hold_hours: ByTier<i64>,
    /// Refunds on cancellation by the customer, farthest from the start first.
    pub refund_steps: Vec<RefundStep>,
}

impl Booking {
    /// Per cent paid back for a cancellation this many days before the start; 0 after it.
    #[must_use]
    pub fn refund_percent(&self, days_before: i64) -> i64 {
        let step = self.refund_steps.iter().find(|step| days_before >= step.days_before);
        step.map_or(0, |step| step.percent)
    }
}

/// Who decides about a venue's bookings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VenueAuthority {
    /// Sapa decides.
    #[default]
    Sapa,
    /// Another system decides; Sapa records and detects overlaps.
    External,
}

/// One venue. Only `site` and `capacity` must be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Venue {
    /// Alternatives are offered within one site.
    pub site: String,
    /// Guests, at most.
    pub capacity: i64,
    /// What it offers, by slug.
    pub features: BTreeSet<String>,
    /// Price of a day begun, if it has one.
    pub price_per_day: Option<i64>,
    /// Minutes kept free before a slot; 0 if not written.
    pub setup_minutes: i64,
    /// Minutes kept free after a slot; 0 if not written.
    pub clear_minutes: i64,
    /// Local dates on which it is closed.
    pub closed: BTreeSet<Date>,
    /// Who decides; Sapa if not written.
    pub authority: VenueAuthority,
    /// The ritual of visits here, a name in policy `ritual`.
    pub ritual: Option<String>,
}

/// Policy `venues`: all venues by id.
pub type Venues = BTreeMap<String, Venue>;

pub(super) fn loyalty(node: &Node<'_>) -> Loyalty {
    let members = node.members();
    let tiers = members.get("tiers");
    let primary = members.get("primary").members();
    let days = |name| primary.get(name).int(1..=DAYS_MAX);
    let loyalty = Loyalty {
        tiers: tiers.items().iter().filter_map(super::tier).collect(),
        primary: PrimaryRule {
            tenure_days: primary.get("tenure_days").int(0..=DAYS_MAX),
            window_days: days("window_days"),
            window_count: primary.get("window_count").int(1..=1_000),
            recency_days: days("recency_days"),
        },
        privileges: privileges(&members.get("privileges")),
        surprise: surprise(&members.get("surprise")),
    };
    if tiers.is_present() && loyalty.tiers != Tier::ALL {
        tiers.fault(
            "choice",
            "must be prospect, secondary, primary, in this order",
            "harus prospect, secondary, primary, dalam urutan ini",
        );
    }
    primary.done();
    members.done();
    loyalty
}

fn privileges(node: &Node<'_>) -> BTreeMap<Tier, Vec<String>> {
    let members = node.members();
    let mut all = BTreeMap::new();
    for tier in Tier::ALL {
        let granted = members.optional(tier.name());
        if granted.is_present() {
            all.insert(tier, granted.items().iter().map(|item| item.name(is_slug)).collect());
        }
    }
    members.done();
    all
}

fn surprise(node: &Node<'_>) -> Surprise {
    let members = node.members();
    let gift = members.get("per_gift_max");
    let surprise = Surprise {
        monthly_budget: members.get("monthly_budget").int(0..=MONEY_MAX),
        per_gift_max: gift.int(0..=MONEY_MAX),
        cooldown_days: members.get("cooldown_days").int(0..=DAYS_MAX),
    };
    if surprise.per_gift_max > surprise.monthly_budget {
        gift.fault(
            "order",
            "must not be more than monthly_budget",
            "tidak boleh lebih dari monthly_budget",
        );
    }
    members.done();
    surprise
}

pub(super) fn booking(node: &Node<'_>) -> Booking {
    let members = node.members();
    let hours = |name| members.get(name).int(1..=HOURS_MAX);
    let steps = members.get("refund_steps");
    let booking = Booking {
        hold_hours: hours("hold_hours"),
        hold_hours_last_minute: hours("hold_hours_last_minute"),
        call_in_hours: hours("call_in_hours"),
        deposit_percent: members.get("deposit_percent").int(0..=100),
        offer_hours: hours("offer_hours"),
        overtake_max: members.get("overtake_max").int(0..=1_000),
        alternative_days: members.get("alternative_days").int(0..=366),
        alternative_hold_hours: ByTier::read(&members.get("alternative_hold_hours"), 0..=HOURS_MAX),
        refund_steps: steps.items().iter().map(refund_step).collect(),
    };
    let falls =
        |a: &RefundStep, b: &RefundStep| a.days_before > b.days_before && a.percent >= b.percent;
    if !booking.refund_steps.is_sorted_by(falls) {
        steps.fault(
            "order",
            "days_before must fall from step to step, and percent never rise",
            "days_before harus menurun tiap langkah, dan percent tidak boleh naik",
        );
    }
    members.done();
    booking
}

fn refund_step(node: &Node<'_>) -> RefundStep {
    let members = node.members();
    let step = RefundStep {
        days_before: members.get("days_before").int(0..=DAYS_MAX),
        percent: members.get("percent").int(0..=100),
    };
    members.done();
    step
}

pub(super) fn venues(node: &Node<'_>) -> Venues {
    const AUTHORITIES: [(&str, VenueAuthority); 2] =
        [("sapa", VenueAuthority::Sapa), ("external", VenueAuthority::External)];
    node.named(is_id, |venue| {
        let members = venue.members();
        let price = members.optional("price_per_day");
        let ritual = members.optional("ritual");
        let minutes = |name| members.optional(name).int(0..=10_080);
        let read = Venue {
            site: members.get("site").name(is_id),
            capacity: members.get("capacity").int(1..=1_000_000),
            features: members.optional("features").set(|item| Some(item.name(is_slug))),
            price_per_day: price.is_present().then(|| price.int(0..=MONEY_MAX)),
            setup_minutes: minutes("setup_minutes"),
            clear_minutes: minutes("clear_minutes"),
            closed: members.optional("closed").set(Node::date),
            authority: members.optional("authority").choice(&AUTHORITIES).unwrap_or_default(),
            ritual: ritual.is_present().then(|| ritual.name(is_slug)),
        };
        members.done();
        read
    })
}
