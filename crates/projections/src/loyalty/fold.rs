//! What a customer's facts about loyalty add up to; pure, and without any policy.
//!
//! Promises: what was taken back (a returned sale, a complaint that was theirs after all) is kept
//! with the time at which that became known, so that the answer for an earlier date stays what it
//! was. A ledger of rewards never falls below zero: what goes beyond is kept apart as dangling.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use events::fact::Fact;
use events::fact::booking::{Cancelled, ConflictDetected, ConflictRule};
use events::fact::complaint::Fault;
use events::fact::loyalty::{Cause, TierChanged};
use events::fact::payment::{self, PaymentKind};
use events::fact::promise::How;
use events::fact::purchase::{self, PurchaseKind};
use events::fact::reward::{self, Posted};
use events::id::{CustomerId, EventRef, Ident};
use events::money::Money;
use events::tier::Tier;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::promises::{self, Promise, Standing};

/// So many facts that do not count are kept for explanation, and so many dangling ones.
pub(super) const KEPT_MAX: usize = 100;

/// What this fold remembers of one customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Qualifying facts by local date, oldest first.
    pub(super) days: BTreeMap<Date, Vec<Evidence>>,
    /// Sales that can still be returned, with their date.
    pub(super) sales: BTreeMap<Ident, Date>,
    /// Facts that look like qualifying ones and are not; the newest.
    pub(super) skipped: VecDeque<Skipped>,
    /// When we were at fault, apart from refunds.
    pub(super) faults: Vec<Span>,
    /// Money we had to pay back.
    pub(super) refunds: Vec<Refund>,
    /// Paid by booking, until the booking is confirmed.
    pub(super) paid: BTreeMap<Ident, Money>,
    /// The last recorded tier of each identity.
    pub(super) recorded: BTreeMap<CustomerId, Recorded>,
    /// How many changes are recorded at the instant of the last one: it may be corrected at once.
    pub(super) changes: u32,
    /// The last merge or its end: when, the surviving id, and which of the two.
    pub(super) identity: Option<Identity>,
    /// Rewards by id.
    pub(super) rewards: BTreeMap<Ident, Reward>,
    /// Entries of the ledger that went beyond what there was; the newest.
    pub(super) dangling: VecDeque<EventRef>,
    /// Whom this customer brought.
    pub(super) referred: BTreeSet<CustomerId>,
    /// What the customer paid us, less what was paid back, in the first currency seen.
    pub(super) value: Option<Money>,
    /// The local date of the newest fact.
    pub(super) last_day: Option<Date>,
}

/// A qualifying fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Evidence {
    pub(super) event: EventRef,
    pub(super) at: Timestamp,
    pub(super) purchase: Option<Ident>,
    /// When it stopped counting, because the sale was returned.
    pub(super) returned: Option<Instant>,
}

/// A moment and its local date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Instant {
    pub(super) day: Date,
    pub(super) at: Timestamp,
}

/// A fact that does not count, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Skipped {
    pub(super) event: EventRef,
    pub(super) why: String,
    pub(super) day: Date,
}

/// A time at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    /// `complaint/k-55` or `promise/p-310`.
    pub(super) by: String,
    pub(super) from: Instant,
    pub(super) to: Option<Instant>,
    /// It turned out, at the end, that the fault was not ours.
    pub(super) theirs: bool,
}

/// Money we owe back from a moment on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refund {
    pub(super) booking: Ident,
    pub(super) opened: Timestamp,
    pub(super) left: Money,
    pub(super) closed: Option<Instant>,
}

/// A tier as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Which.
    pub tier: Tier,
    /// Since when.
    pub at: Timestamp,
    /// Since which local date.
    pub since: Date,
    /// Why.
    pub cause: Cause,
    /// Decided by this version of the policy.
    pub policy_version: u32,
    /// The events that showed it.
    pub evidence: Vec<EventRef>,
    /// When it would lapse, as seen then.
    pub lapses_on: Option<Date>,
    /// Set by hand.
    pub manual: Option<Manual>,
}

/// A tier that somebody decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// Who.
    pub by: Option<Ident>,
    /// The date on which it no longer holds.
    pub until: Date,
    /// Why.
    pub reason: Option<String>,
}

/// The last change of who counts as this customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) when: Instant,
    pub(super) survivor: Option<CustomerId>,
    pub(super) cause: Cause,
}

/// The ledger of one reward, in minor units of its currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reward {
    /// What it is.
    pub item: String,
    /// Given.
    pub granted: Money,
    /// Used.
    pub redeemed: i64,
    /// Expired.
    pub expired: i64,
    /// Used or expired, and taken back.
    pub reversed: i64,
    /// When a surprise was given last.
    pub surprised_at: Option<Timestamp>,
}

impl Reward {
    /// What is left of it; never below zero.
    #[must_use]
    pub fn balance(&self) -> i64 {
        self.granted.amount - self.redeemed - self.expired + self.reversed
    }
}

impl State {
    /// Folds one fact in, after it was folded into the promises.
    pub fn apply(&mut self, entry: &Entry<'_>, promises: &promises::State) {
        // An alert says nothing about a tier, and may be recorded long after it was due.
        if !entry.is_alert() {
            self.last_day = self.last_day.max(Some(entry.day));
        }
        match entry.fact {
            Fact::BookingFulfilled(it) if it.no_show => self.skip(entry, "no_show"),
            Fact::BookingFulfilled(_) => self.qualify(entry, None),
            Fact::PurchaseRecorded(it) => self.purchase(it, entry),
            Fact::PaymentRecorded(it) => self.payment(it, entry),
            Fact::BookingCancelled(it) => self.cancelled(it, entry),
            Fact::BookingConflictDetected(it) => self.conflict(it, entry),
            Fact::BookingConfirmed(it) => {
                self.paid.remove(&it.booking);
                self.close_refunds(&it.booking, entry);
            }
            Fact::ComplaintRaised(it) => self.fault_begins("complaint", &it.complaint, entry),
            Fact::ComplaintReopened(it) => self.fault_begins("complaint", &it.complaint, entry),
            Fact::ComplaintResolved(it) => {
                let theirs = it.fault == Fault::Theirs;
                self.fault_ends("complaint", &it.complaint, theirs, entry);
            }
            Fact::PromiseSettled(it) => {
                // A conclusion that other facts have overtaken says nothing about a fault.
                let standing = promises.get(&it.promise).map(Promise::standing);
                match it.how {
                    How::Broken if standing.is_none_or(|it| it == Standing::Broken) => {
                        self.fault_begins("promise", &it.promise, entry);
                    }
                    How::Late | How::Released | How::Kept if standing.is_none() => {
                        self.fault_ends("promise", &it.promise, false, entry);
                    }
                    _ => {}
                }
            }
            Fact::LoyaltyTierChanged(it) => self.tier_changed(it, entry),
            Fact::CustomerMerged(_) => self.identity(Cause::Merged, entry),
            Fact::CustomerUnmerged(_) => self.identity(Cause::Unmerged, entry),
            Fact::RewardPosted(it) => self.reward(it, entry),
            Fact::ReferralRecorded(it) if entry.event.customer.as_ref() != Some(&it.referred) => {
                self.referred.insert(it.referred.clone());
            }
            _ => {}
        }
        self.promises_end(promises, entry);
    }

    /// Folds facts from the beginning, as a question about an earlier date needs.
    pub fn fold<'a, 'b: 'a>(facts: impl IntoIterator<Item = &'a Entry<'b>>) -> Self {
        let (mut state, mut promises) = (Self::default(), promises::State::default());
        for entry in facts {
            promises.apply(entry);
            state.apply(entry, &promises);
        }
        state
    }

    /// The local date of the newest fact; none if there is no fact at all.
    #[must_use]
    pub fn last_day(&self) -> Option<Date> {
        self.last_day
    }

    /// The tier as last recorded: of the surviving record, if records were merged.
    #[must_use]
    pub fn recorded(&self) -> Option<&Recorded> {
        let survivor = self.identity.as_ref().and_then(|it| it.survivor.as_ref());
        let own = survivor.and_then(|it| self.recorded.get(it));
        own.or_else(|| self.recorded.values().max_by_key(|it| it.at))
    }

    /// How many changes of tier are recorded at an instant, if none is recorded after it.
    #[must_use]
    pub fn changes_at(&self, at: Timestamp) -> u32 {
        if self.recorded.values().any(|it| it.at == at) { self.changes } else { 0 }
    }

    /// The balance of a reward in minor units; 0 for one that was never granted.
    #[must_use]
    pub fn balance(&self, reward: &Ident) -> i64 {
        self.rewards.get(reward).map_or(0, Reward::balance)
    }

    /// When the customer was last surprised with a gift.
    #[must_use]
    pub fn surprised_at(&self) -> Option<Timestamp> {
        self.rewards.values().filter_map(|it| it.surprised_at).max()
    }

    fn qualify(&mut self, entry: &Entry<'_>, purchase: Option<Ident>) {
        let evidence =
            Evidence { event: entry.reference(), at: entry.at(), purchase, returned: None };
        self.days.entry(entry.day).or_default().push(evidence);
    }

    fn skip(&mut self, entry: &Entry<'_>, why: &str) {
        let skipped = Skipped { event: entry.reference(), why: why.to_owned(), day: entry.day };
        keep(&mut self.skipped, skipped);
    }

    fn purchase(&mut self, it: &purchase::Recorded, entry: &Entry<'_>) {
        match it.kind {
            PurchaseKind::Sale => {
                self.earn(it.amount, 1);
                self.sales.insert(it.purchase.clone(), entry.day);
                self.qualify(entry, Some(it.purchase.clone()));
            }
            PurchaseKind::Return => {
                self.earn(it.amount, -1);
                let Some(day) = it.of.as_ref().and_then(|of| self.sales.remove(of)) else { return };
                let sold = self.days.get_mut(&day).into_iter().flatten();
                let own = sold.into_iter().find(|sale| sale.purchase == it.of);
                if let Some(sale) = own {
                    sale.returned = Some(Instant { day: entry.day, at: entry.at() });
                    let event = sale.event.clone();
                    keep(&mut self.skipped, Skipped { event, why: "returned".to_owned(), day });
                }
            }
        }
    }

    fn payment(&mut self, it: &payment::Recorded, entry: &Entry<'_>) {
        if it.kind != PaymentKind::Refund {
            self.earn(it.amount, 1);
            if let Some(booking) = &it.booking {
                let paid =
                    self.paid.entry(booking.clone()).or_insert(Money { amount: 0, ..it.amount });
                add(paid, it.amount, 1);
            }
            return;
        }
        self.earn(it.amount, -1);
        let now = Instant { day: entry.day, at: entry.at() };
        let fits = |refund: &&mut Refund| {
            refund.closed.is_none() && it.booking.as_ref().is_none_or(|own| *own == refund.booking)
        };
        // Without a booking it can only be meant for the one that has waited longest.
        if let Some(refund) = self.refunds.iter_mut().find(fits) {
            add(&mut refund.left, it.amount, -1);
            if refund.left.amount <= 0 {
                refund.closed = Some(now);
            }
        }
    }

    fn cancelled(&mut self, it: &Cancelled, entry: &Entry<'_>) {
        self.paid.remove(&it.booking);
        if let Some(left) = it.refund_due.filter(|due| 0 < due.amount) {
            let (booking, opened) = (it.booking.clone(), entry.at());
            self.refunds.push(Refund { booking, opened, left, closed: None });
        }
    }

    /// Whoever paid for a slot that was gone gets the money back.
    fn conflict(&mut self, it: &ConflictDetected, entry: &Entry<'_>) {
        if it.rule != ConflictRule::PaidWithoutHold {
            return;
        }
        for booking in &it.bookings {
            if let Some(left) = self.paid.remove(booking) {
                let (booking, opened) = (booking.clone(), entry.at());
                self.refunds.push(Refund { booking, opened, left, closed: None });
            }
        }
    }

    fn close_refunds(&mut self, booking: &Ident, entry: &Entry<'_>) {
        let now = Instant { day: entry.day, at: entry.at() };
        let open = self.refunds.iter_mut().filter(|it| it.closed.is_none());
        for refund in open.filter(|it| it.booking == *booking) {
            refund.closed = Some(now);
        }
    }

    fn fault_begins(&mut self, topic: &str, id: &Ident, entry: &Entry<'_>) {
        let by = format!("{topic}/{id}");
        if self.faults.iter().all(|it| it.by != by || it.to.is_some()) {
            let from = Instant { day: entry.day, at: entry.at() };
            self.faults.push(Span { by, from, to: None, theirs: false });
        }
    }

    fn fault_ends(&mut self, topic: &str, id: &Ident, theirs: bool, entry: &Entry<'_>) {
        let by = format!("{topic}/{id}");
        if let Some(span) = self.faults.iter_mut().find(|it| it.by == by && it.to.is_none()) {
            span.to = Some(Instant { day: entry.day, at: entry.at() });
            span.theirs = theirs;
        }
    }

    /// A broken promise is a fault until it is done or we are freed of it, whoever recorded that.
    fn promises_end(&mut self, promises: &promises::State, entry: &Entry<'_>) {
        for span in self.faults.iter_mut().filter(|it| it.to.is_none()) {
            let id = span.by.strip_prefix("promise/").and_then(|it| it.parse::<Ident>().ok());
            let promise = id.as_ref().and_then(|it| promises.get(it));
            if promise.is_some_and(|it| !it.standing().is_owed()) {
                span.to = Some(Instant { day: entry.day, at: entry.at() });
            }
        }
    }

    fn tier_changed(&mut self, it: &TierChanged, entry: &Entry<'_>) {
        let tier = Tier::ALL.into_iter().find(|tier| tier.name() == it.to.as_str());
        let (Some(tier), Some(customer)) = (tier, &entry.event.customer) else { return };
        let manual = it.until.filter(|_| it.cause == Cause::Manual).map(|until| Manual {
            by: it.by.clone(),
            until,
            reason: it.reason.clone(),
        });
        let recorded = Recorded {
            tier,
            at: entry.at(),
            since: entry.day,
            cause: it.cause,
            policy_version: it.policy_version,
            evidence: it.evidence.clone(),
            lapses_on: it.lapses_on,
            manual,
        };
        let is_again = self.recorded.values().any(|it| it.at == recorded.at);
        self.changes = if is_again { self.changes + 1 } else { 1 };
        self.recorded.insert(customer.clone(), recorded);
    }

    fn identity(&mut self, cause: Cause, entry: &Entry<'_>) {
        let when = Instant { day: entry.day, at: entry.at() };
        let survivor = entry.event.customer.clone();
        self.identity = Some(Identity { when, survivor, cause });
    }

    fn reward(&mut self, it: &Posted, entry: &Entry<'_>) {
        let id = if it.entry == reward::Entry::Reverse { it.of.as_ref() } else { None };
        let id = id.unwrap_or(&it.reward);
        let amount = it.value.amount;
        if it.entry == reward::Entry::Grant {
            let reward = self.rewards.entry(id.clone()).or_insert_with(|| Reward {
                item: it.item.clone(),
                granted: Money { amount: 0, ..it.value },
                redeemed: 0,
                expired: 0,
                reversed: 0,
                surprised_at: None,
            });
            if reward.granted.currency == it.value.currency {
                add(&mut reward.granted, it.value, 1);
                if it.surprise {
                    reward.surprised_at = Some(entry.at());
                }
                return;
            }
        } else if let Some(reward) = self.rewards.get_mut(id) {
            let gone = reward.redeemed + reward.expired - reward.reversed;
            let (room, side) = match it.entry {
                reward::Entry::Redeem => (reward.balance(), &mut reward.redeemed),
                reward::Entry::Expire => (reward.balance(), &mut reward.expired),
                _ => (gone, &mut reward.reversed),
            };
            if reward.granted.currency == it.value.currency {
                *side += amount.min(room);
                if amount <= room {
                    return;
                }
            }
        }
        keep(&mut self.dangling, entry.reference());
    }

    fn earn(&mut self, amount: Money, sign: i64) {
        let value = self.value.get_or_insert(Money { amount: 0, ..amount });
        add(value, amount, sign);
    }
}

/// Amounts of another currency are left out: there is no rate to turn them with.
fn add(sum: &mut Money, amount: Money, sign: i64) {
    if sum.currency == amount.currency {
        sum.amount = sum.amount.saturating_add(amount.amount.saturating_mul(sign));
    }
}

fn keep<T>(kept: &mut VecDeque<T>, one: T) {
    kept.push_back(one);
    if KEPT_MAX < kept.len() {
        kept.pop_front();
    }
}
