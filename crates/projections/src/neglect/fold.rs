//! What resets, suspends, opens and closes (product 6.1 and 6.2), one fact after another.

use std::collections::BTreeMap;

use events::fact::Fact;
use events::fact::booking::{CancelledBy, ConflictRule};
use events::fact::complaint::Severity;
use events::fact::customer::{Consent, Purpose as ConsentPurpose};
use events::fact::feedback::Instrument;
use events::fact::interaction::{Outcome, Purpose, Urgency};
use events::fact::payment::PaymentKind;
use events::fact::promise::{How, Settled};
use events::fact::purchase::PurchaseKind;
use events::id::{About, EventRef, Ident, Slug};
use events::kind::Direction;
use events::planted;
use events::policy::ThanksFor;
use events::tier::Tier;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::clock::{Days, Inputs, Span, Which};
use super::obligation::{Obligation, Owed};
use crate::entry::Entry;

/// Closed obligations that are still remembered, for answers and for alerts about them.
pub const CLOSED_MAX: usize = 50;
/// Thanks given this long before they were owed count.
pub const THANKS_BEFORE: SignedDuration = SignedDuration::from_hours(24);
/// A contact this long before a planned one meets the plan.
pub const PLAN_BEFORE: SignedDuration = SignedDuration::from_hours(24);

/// What this fold remembers of one customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Dates with a fact of theirs.
    pub they: Days,
    /// Dates with a contact of ours, AI agents counted like staff.
    pub we: Days,
    /// The same without AI agents.
    pub we_without_ai: Days,
    /// The first fact of theirs: our clock runs from it while we have never been in contact.
    pub first_theirs: Option<(Span, EventRef, bool)>,
    /// The newest contact that reached them: it ends their alert without resetting their clock.
    pub reached: Option<(Timestamp, EventRef)>,
    /// Live bookings: from when to when.
    pub bookings: BTreeMap<Ident, (Timestamp, Timestamp)>,
    /// Planned contacts that have not been met.
    pub plans: BTreeMap<Ident, Timestamp>,
    /// Contacts in a row that reached nobody.
    pub unanswered: i64,
    /// Contact consent is withdrawn.
    pub muted: bool,
    /// The tier that was last recorded.
    pub tier: Tier,
    /// The accountable person.
    pub owner: Option<Ident>,
    /// The accountable team.
    pub team: Option<Slug>,
    /// What we owe and owed, oldest first.
    pub obligations: Vec<Obligation>,
    /// Thanks given lately, for what.
    pub thanked: Vec<(Timestamp, About, EventRef)>,
    /// How bad each complaint was, for when it is reopened.
    pub severities: BTreeMap<Ident, Severity>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            they: Days::default(),
            we: Days::default(),
            we_without_ai: Days::default(),
            first_theirs: None,
            reached: None,
            bookings: BTreeMap::new(),
            plans: BTreeMap::new(),
            unanswered: 0,
            muted: false,
            tier: Tier::Prospect,
            owner: None,
            team: None,
            obligations: Vec::new(),
            thanked: Vec::new(),
            severities: BTreeMap::new(),
        }
    }
}

impl State {
    /// Folds one fact in.
    pub fn apply(&mut self, entry: &Entry<'_>) {
        self.silence(entry);
        self.suspensions(entry);
        self.person(entry);
        self.close(entry);
        if !entry.is_imported() {
            self.open(entry);
        }
        self.forget();
    }

    fn silence(&mut self, entry: &Entry<'_>) {
        let (day, at, imported) = (entry.day, planted::moment(entry.at()), entry.is_imported());
        if entry.resets_they() {
            let event = entry.reference();
            if self.first_theirs.is_none() {
                let span = Span { count: 1, first: day, last: day };
                self.first_theirs = Some((span, event.clone(), imported));
            }
            self.they.reset(day, at, event, imported);
        }
        if entry.resets_we() {
            self.we.reset(day, at, entry.reference(), imported);
            if !entry.is_by_ai() {
                self.we_without_ai.reset(day, at, entry.reference(), imported);
            }
            self.plans.retain(|_, planned| at < *planned - PLAN_BEFORE);
        }
        match entry.fact {
            Fact::InteractionContacted(it) => {
                if it.outcome == Outcome::Reached {
                    self.unanswered = 0;
                    self.reached = Some((at, entry.reference()));
                } else {
                    self.unanswered += 1;
                }
            }
            _ if entry.direction() == Direction::In => self.unanswered = 0,
            _ => {}
        }
    }

    fn suspensions(&mut self, entry: &Entry<'_>) {
        match entry.fact {
            Fact::BookingHeld(it) => {
                self.bookings.insert(it.booking.clone(), (it.starts_at, it.ends_at));
            }
            Fact::BookingConfirmed(it) => {
                self.bookings.insert(it.booking.clone(), (it.starts_at, it.ends_at));
            }
            Fact::BookingChanged(it) => {
                if let Some(slot) = self.bookings.get_mut(&it.booking) {
                    *slot = (it.to.starts_at, it.to.ends_at);
                }
            }
            Fact::BookingCancelled(it) => {
                self.bookings.remove(&it.booking);
            }
            Fact::InteractionPlanned(it) if it.cancelled => {
                self.plans.remove(&it.plan);
            }
            Fact::InteractionPlanned(it) => {
                self.plans.insert(it.plan.clone(), it.at);
            }
            _ => {}
        }
    }

    fn person(&mut self, entry: &Entry<'_>) {
        match entry.fact {
            Fact::CustomerAssigned(it) => {
                self.owner = Some(it.owner.clone());
                self.team = Some(it.team.clone());
            }
            Fact::CustomerConsentChanged(it) if it.purpose == ConsentPurpose::Contact => {
                self.muted = it.state == Consent::Withdrawn;
            }
            Fact::LoyaltyTierChanged(it) => {
                let known = Tier::ALL.into_iter().find(|tier| tier.name() == it.to.as_str());
                self.tier = known.unwrap_or(self.tier);
            }
            _ => {}
        }
    }

    fn open(&mut self, entry: &Entry<'_>) {
        let about = entry.fact.about();
        match entry.fact {
            Fact::InteractionInquired(it) => {
                let high = it.urgency == Some(Urgency::High);
                self.owe(entry, Owed::Answer { high }, About::new("inquiry", it.inquiry.as_str()));
            }
            Fact::BookingRequested(it) => {
                self.owe(entry, Owed::Decision, About::new("booking", it.booking.as_str()));
            }
            Fact::ComplaintRaised(it) => {
                let about = About::new("complaint", it.complaint.as_str());
                self.owe(entry, Owed::Reply, about.clone());
                let severity = it.severity;
                self.owe(entry, Owed::Resolution { severity, reopened: false }, about);
            }
            Fact::ComplaintReopened(it) => {
                let about = About::new("complaint", it.complaint.as_str());
                let severity =
                    self.severities.get(&it.complaint).copied().unwrap_or(Severity::Normal);
                self.owe(entry, Owed::Reply, about.clone());
                self.owe(entry, Owed::Resolution { severity, reopened: true }, about);
            }
            Fact::PromiseMade(it) => {
                self.owe(entry, Owed::Promise, About::new("promise", it.promise.as_str()));
                if let Some(last) = self.obligations.last_mut() {
                    last.promised_for = Some(it.due_at);
                    last.covers.clone_from(&it.about);
                    last.owner = Some(it.owner.clone());
                }
            }
            Fact::BookingFulfilled(it) if !it.no_show => {
                let about = About::new("booking", it.booking.as_str());
                self.owe_thanks(entry, ThanksFor::Booking, about);
            }
            Fact::ReferralRecorded(it) => {
                let about = About::new("referral", it.referred.as_str());
                self.owe_thanks(entry, ThanksFor::Referral, about);
            }
            Fact::PurchaseRecorded(it) if it.kind == PurchaseKind::Sale => {
                let about = About::new("purchase", it.purchase.as_str());
                self.owe_thanks(entry, ThanksFor::Sale, about);
            }
            Fact::FeedbackReceived(it) => {
                self.owe_thanks(entry, ThanksFor::Feedback, about.clone());
                let low = match it.instrument {
                    Some(Instrument::Csat | Instrument::Ces) => 2,
                    Some(Instrument::Nps) => 6,
                    None => i64::MIN,
                };
                if it.score.is_some_and(|score| i64::from(score) <= low) {
                    self.owe(entry, Owed::Care, about);
                }
            }
            Fact::BookingCancelled(it) => {
                let due = it.refund_due.is_some_and(|it| 0 < it.amount);
                if due && matches!(it.by, CancelledBy::Customer | CancelledBy::Venue) {
                    self.owe(entry, Owed::Refund, About::new("booking", it.booking.as_str()));
                }
            }
            Fact::BookingConflictDetected(it) if it.rule == ConflictRule::PaidWithoutHold => {
                let about = it.bookings.first().and_then(|it| About::new("booking", it.as_str()));
                self.owe(entry, Owed::Refund, about);
            }
            Fact::ImprovementMade(_) => self.owe_news(entry, about),
            _ => {}
        }
        if let Fact::ComplaintRaised(it) = entry.fact {
            self.severities.insert(it.complaint.clone(), it.severity);
        }
    }

    fn owe(&mut self, entry: &Entry<'_>, owed: Owed, about: Option<About>) {
        self.obligations.push(Obligation::new(owed, entry.reference(), entry.at(), about));
    }

    /// An improvement is handed to each customer behind it. Nobody is told twice, and who may not be
    /// contacted is not told at all.
    fn owe_news(&mut self, entry: &Entry<'_>, about: Option<About>) {
        let is_same = |it: &Obligation| it.owed == Owed::Tell && it.about == about;
        if !self.muted && !self.obligations.iter().any(is_same) {
            self.owe(entry, Owed::Tell, about);
        }
    }

    fn owe_thanks(&mut self, entry: &Entry<'_>, reason: ThanksFor, about: Option<About>) {
        let earlier = self.thanked.iter().find(|(at, what, _)| {
            entry.at().duration_since(*at) <= THANKS_BEFORE && is_thanks_for(what, about.as_ref())
        });
        if earlier.is_none() {
            self.owe(entry, Owed::Thanks(reason), about);
        }
    }

    fn close(&mut self, entry: &Entry<'_>) {
        let at = entry.at();
        let thread = entry.fact.about();
        match entry.fact {
            Fact::InteractionAnswered(it) if !it.automated => {
                if it.complete {
                    self.done(entry, |o| {
                        matches!(o.owed, Owed::Answer { .. }) && o.about.as_ref() == Some(&it.about)
                    });
                }
                if entry.is_personal() {
                    self.done(entry, |o| {
                        o.owed == Owed::Reply && o.about.as_ref() == Some(&it.about)
                    });
                }
                if it.waiting {
                    self.wait(&it.about, at);
                }
            }
            Fact::BookingHeld(it) => self.decided(entry, &it.booking),
            Fact::BookingConfirmed(it) => {
                self.decided(entry, &it.booking);
                self.refunded(entry, Some(&it.booking));
            }
            Fact::BookingDeclined(it) => self.decided(entry, &it.booking),
            Fact::BookingWaitlisted(it) => self.decided(entry, &it.booking),
            Fact::PaymentRecorded(it) if it.kind == PaymentKind::Refund => {
                self.refunded(entry, it.booking.as_ref());
            }
            Fact::ComplaintResolved(it) => {
                let about = About::new("complaint", it.complaint.as_str());
                self.done(entry, |o| {
                    matches!(o.owed, Owed::Reply | Owed::Resolution { .. }) && o.about == about
                });
            }
            Fact::PromiseSettled(it) => self.settled(entry, it),
            // Nobody may tell them any more.
            Fact::CustomerConsentChanged(_) if self.muted => {
                self.done(entry, |o| o.owed == Owed::Tell);
            }
            Fact::InteractionThanked(it) if !it.automated => {
                self.thanked.push((at, it.r#for.clone(), entry.reference()));
                self.done(entry, |o| {
                    matches!(o.owed, Owed::Thanks(_)) && is_thanks_for(&it.r#for, o.about.as_ref())
                });
            }
            Fact::InteractionContacted(it) if !it.automated && it.outcome != Outcome::NoAnswer => {
                let fits = |o: &Obligation| it.about.is_none() || o.about == it.about;
                match it.purpose {
                    Purpose::Thanks => {
                        self.done(entry, |o| matches!(o.owed, Owed::Thanks(_)) && fits(o));
                    }
                    Purpose::Care => self.done(entry, |o| o.owed == Owed::Care && fits(o)),
                    Purpose::YouSaidWeDid => self.done(entry, |o| o.owed == Owed::Tell && fits(o)),
                    _ => {}
                }
            }
            _ => {}
        }
        if entry.direction() == Direction::In
            && let Some(thread) = thread
        {
            self.heard(&thread, at);
        }
    }

    fn done(&mut self, entry: &Entry<'_>, which: impl Fn(&Obligation) -> bool) {
        for it in self.obligations.iter_mut().filter(|it| it.is_open()) {
            if which(it) {
                it.closed = Some((entry.at(), entry.reference()));
            }
        }
    }

    fn decided(&mut self, entry: &Entry<'_>, booking: &Ident) {
        let about = About::new("booking", booking.as_str());
        self.done(entry, |o| o.owed == Owed::Decision && o.about == about);
    }

    fn refunded(&mut self, entry: &Entry<'_>, booking: Option<&Ident>) {
        let about = booking.and_then(|it| About::new("booking", it.as_str()));
        self.done(entry, |o| o.owed == Owed::Refund && (about.is_none() || o.about == about));
    }

    /// The allowance of a resolution stands still while we wait for the customer.
    fn wait(&mut self, about: &About, at: Timestamp) {
        for it in self.obligations.iter_mut().filter(|it| it.is_open()) {
            if matches!(it.owed, Owed::Resolution { .. }) && it.about.as_ref() == Some(about) {
                it.paused_at = it.paused_at.or(Some(at));
            }
        }
    }

    fn heard(&mut self, about: &About, at: Timestamp) {
        for it in self.obligations.iter_mut().filter(|it| it.about.as_ref() == Some(about)) {
            if let Some(since) = it.paused_at.take() {
                it.pauses.push((since, at));
            }
        }
    }

    fn settled(&mut self, entry: &Entry<'_>, settled: &Settled) {
        let about = About::new("promise", settled.promise.as_str());
        let is_it = |o: &Obligation| o.owed == Owed::Promise && o.about == about;
        match settled.how {
            How::Renegotiated => {
                for it in self.obligations.iter_mut().filter(|it| it.is_open() && is_it(it)) {
                    it.promised_for = settled.new_due_at.or(it.promised_for);
                }
            }
            How::Broken => {
                for it in self.obligations.iter_mut().filter(|it| is_it(it)) {
                    it.broken_by = Some(entry.reference());
                }
            }
            How::Kept | How::Late | How::Released => {
                let covered = self.obligations.iter().find(|it| it.is_open() && is_it(it));
                let covered = covered.and_then(|it| it.covers.clone());
                // The decision names the act that kept the promise; that act is what ends it.
                let by = settled.by.clone().unwrap_or_else(|| entry.reference());
                for it in self.obligations.iter_mut().filter(|it| it.is_open() && is_it(it)) {
                    it.closed = Some((entry.at(), by.clone()));
                }
                // What the promise stood for is still owed: it gets a fresh allowance from here.
                for it in self.obligations.iter_mut().filter(|it| it.is_open()) {
                    if it.owed.can_be_covered() && it.about.is_some() && it.about == covered {
                        it.runs_from = entry.at();
                    }
                }
            }
        }
    }

    /// Old closed obligations and old thanks are of no use to any rule.
    fn forget(&mut self) {
        let closed = self.obligations.iter().filter(|it| !it.is_open()).count();
        let mut surplus = closed.saturating_sub(CLOSED_MAX);
        self.obligations.retain(|it| {
            let goes = !it.is_open() && 0 < surplus;
            surplus -= usize::from(goes);
            !goes
        });
        let surplus = self.thanked.len().saturating_sub(CLOSED_MAX);
        self.thanked.drain(..surplus);
    }

    /// The inputs of a clock; `None` if it does not run at all.
    #[must_use]
    pub fn inputs(&self, which: Which) -> Option<Inputs> {
        let (days, without_ai) = match which {
            Which::They => (self.they.silence?, None),
            Which::We => {
                let never = self.first_theirs.as_ref().map(|(span, _, _)| *span);
                let all = self.we.silence.or(never)?;
                (all, self.we_without_ai.silence.or(never))
            }
        };
        Some(Inputs {
            which,
            days,
            without_ai,
            suspended: self.suspended(which),
            tier: self.tier,
            muted: self.muted,
            unanswered: if which == Which::We { self.unanswered } else { 0 },
        })
    }

    /// The events behind a clock, newest dates last, and whether all of them were imported.
    #[must_use]
    pub fn because(&self, which: Which) -> (Vec<EventRef>, bool) {
        let days = match which {
            Which::They => &self.they,
            Which::We => &self.we,
        };
        let first: Vec<(EventRef, bool)> = match (&self.first_theirs, days.because.is_empty()) {
            (Some((_, event, imported)), true) => vec![(event.clone(), *imported)],
            _ => days.because.clone(),
        };
        let imported = first.iter().all(|(_, imported)| *imported);
        (first.into_iter().map(|(event, _)| event).collect(), imported)
    }

    /// The earliest plan, promise or booking later than the last contact.
    fn suspended(&self, which: Which) -> Option<Timestamp> {
        let newest = match which {
            Which::They => self.they.newest.as_ref(),
            Which::We => self.we.newest.as_ref().or(self.they.newest.as_ref()),
        };
        let after = newest.map(|(at, _)| *at);
        let bookings = self.bookings.values().map(|(starts, ends)| match which {
            Which::We => *starts,
            Which::They => *ends,
        });
        let ours = (which == Which::We).then(|| {
            let promises =
                self.obligations.iter().filter(|it| it.is_open()).filter_map(|it| it.promised_for);
            self.plans.values().copied().chain(promises)
        });
        bookings
            .chain(ours.into_iter().flatten())
            .filter(|it| after.is_none_or(|after| after < *it))
            .min()
    }

    /// The open promise that takes the place of an obligation.
    #[must_use]
    pub fn covered_by(&self, obligation: &Obligation) -> Option<&Obligation> {
        if !obligation.owed.can_be_covered() {
            return None;
        }
        self.obligations.iter().find(|it| {
            it.owed == Owed::Promise
                && it.is_open()
                && it.covers.as_ref() == obligation.about.as_ref()
        })
    }
}

/// Thanks for a visit are thanks for the booking or purchase behind it.
fn is_thanks_for(given: &About, owed: Option<&About>) -> bool {
    let visit = given.topic() == "visit"
        && owed.is_some_and(|it| matches!(it.topic(), "booking" | "purchase" | "visit"));
    visit || Some(given) == owed
}
