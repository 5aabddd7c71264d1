//! What resets, suspends, opens and closes (product 6.1 and 6.2), one fact after another.

use std::collections::{BTreeMap, VecDeque};

use events::fact::Fact;
use events::fact::booking::{CancelledBy, ConflictRule};
use events::fact::complaint::Severity;
use events::fact::customer::{Consent, Purpose as ConsentPurpose};
use events::fact::feedback::Instrument;
use events::fact::interaction::{Outcome, Urgency};
use events::fact::purchase::PurchaseKind;
use events::id::{About, EventRef, Ident, Slug};
use events::kind::Direction;
use events::planted;
use events::policy::{Policies, ThanksFor};
use events::tier::Tier;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::clock::{Clock, Days, Inputs, Span, Which};
use super::close::{Early, is_thanks_for};
use super::obligation::{Obligation, Owed};
use super::watch::{Past, Timer, Watch};
use crate::entry::Entry;
use crate::promises;

/// Closed obligations that are still remembered, for answers and for alerts about them.
pub const CLOSED_MAX: usize = 50;
/// Overdue silences and debts that have ended and are still remembered.
pub const PAST_MAX: usize = 64;
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
    /// Closing acts whose opening fact comes later by the clock of another system; the newest.
    pub early: VecDeque<Early>,
    /// Since when they have been silent for too long.
    pub they_watch: Watch,
    /// Since when we have been silent for too long.
    pub we_watch: Watch,
    /// What was overdue and has ended, apart from the obligations above; the newest.
    pub past: Vec<Past>,
    /// What became overdue up to here may no longer be remembered.
    pub forgotten: Option<Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            they: Days::default(),
            we: Days::default(),
            we_without_ai: Days::default(),
            first_theirs: None,
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
            early: VecDeque::new(),
            they_watch: Watch::default(),
            we_watch: Watch::default(),
            past: Vec::new(),
            forgotten: None,
        }
    }
}

impl State {
    /// Folds one fact in, after it was folded into the promises.
    pub fn apply(&mut self, entry: &Entry<'_>, promises: &promises::State, policies: &Policies) {
        self.pass(entry.at());
        self.silence(entry);
        self.suspensions(entry);
        self.person(entry);
        self.close(entry);
        if !entry.is_imported() {
            self.open(entry, promises);
        }
        self.follow(entry, promises);
        self.watch(entry, policies);
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
            Fact::ComplaintRaised(it) => {
                self.severities.insert(it.complaint.clone(), it.severity);
            }
            _ => {}
        }
    }

    fn open(&mut self, entry: &Entry<'_>, promises: &promises::State) {
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
            // An id is given out once: whoever uses it again makes no second promise.
            Fact::PromiseMade(it)
                if promises.get(&it.promise).is_none_or(|it| it.event == entry.reference()) =>
            {
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
    }

    fn owe(&mut self, entry: &Entry<'_>, owed: Owed, about: Option<About>) {
        let mut obligation = Obligation::new(owed, entry.reference(), entry.at(), about);
        // What was done before it was reopened is open again.
        if !matches!(entry.fact, Fact::ComplaintReopened(_)) {
            obligation.closed = self.closed_before(&obligation);
        }
        self.obligations.push(obligation);
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

    /// Looks at the time again in which each silence and debt became overdue, after a fact.
    fn watch(&mut self, entry: &Entry<'_>, policies: &Policies) {
        let now = entry.at();
        for which in [Which::They, Which::We] {
            let inputs = self.inputs(which);
            let watch = match which {
                Which::They => &mut self.they_watch,
                Which::We => &mut self.we_watch,
            };
            // They are silent, but somebody reached them: that is enough to stop the alert.
            if which == Which::They && entry.reaches_them() {
                watch.timer.end(now, entry.reference());
            }
            if inputs == watch.inputs {
                continue;
            }
            watch.inputs = inputs;
            let clock = watch.inputs.as_ref().map(|it| it.clock(policies));
            let episode = clock.as_ref().map(|it| it.span.last);
            if episode != watch.episode {
                watch.timer.end(now, entry.reference());
                if let (Some(overdue), Some(day)) = (watch.timer.overdue.take(), watch.episode) {
                    let episode = day.to_string().into();
                    self.past.push(Past { kind: which.alert_kind().into(), episode, overdue });
                }
                watch.timer = Timer::new(now);
                watch.episode = episode;
            }
            let rings_at = clock.as_ref().filter(|it| it.rings()).map(|it| it.effective_due_at);
            let held_until = clock.as_ref().and_then(Clock::held_until);
            watch.timer.set(now, rings_at, held_until);
        }
        let covering = self.covering();
        for it in &mut self.obligations {
            let covered = it.owed.can_be_covered() && covering.contains(&it.about);
            it.watch(now, covered, policies);
        }
    }

    /// The threads that an open promise stands for.
    fn covering(&self) -> Vec<Option<About>> {
        let open = self.obligations.iter().filter(|it| it.owed == Owed::Promise && it.is_open());
        open.filter(|it| it.covers.is_some()).map(|it| it.covers.clone()).collect()
    }

    /// Time passes until just before an instant.
    fn pass(&mut self, now: Timestamp) {
        self.they_watch.timer.pass(now);
        self.we_watch.timer.pass(now);
        for it in self.obligations.iter_mut().filter(|it| it.closed.is_none()) {
            it.timer.pass(now);
        }
    }

    /// Old closed obligations and old thanks are of no use to any rule. What was overdue is kept
    /// longer, for the alerts about it.
    fn forget(&mut self) {
        let closed = self.obligations.iter().filter(|it| !it.is_open()).count();
        let mut surplus = closed.saturating_sub(CLOSED_MAX);
        if 0 < surplus {
            let past = &mut self.past;
            self.obligations.retain(|it| {
                let goes = !it.is_open() && 0 < surplus;
                surplus -= usize::from(goes);
                if let Some(overdue) = it.timer.overdue.clone().filter(|_| goes) {
                    let (kind, episode) = ("we_owe".into(), it.episode().into());
                    past.push(Past { kind, episode, overdue });
                }
                !goes
            });
        }
        let surplus = self.thanked.len().saturating_sub(CLOSED_MAX);
        self.thanked.drain(..surplus);
        let surplus = self.past.len().saturating_sub(PAST_MAX);
        for it in self.past.drain(..surplus) {
            self.forgotten = self.forgotten.max(Some(it.overdue.from));
        }
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
            is_first_contact: which == Which::We && self.we.silence.is_none(),
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

    /// Watches one clock.
    #[must_use]
    pub fn watch_of(&self, which: Which) -> &Watch {
        match which {
            Which::They => &self.they_watch,
            Which::We => &self.we_watch,
        }
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
