//! What closes an obligation (product 6.2), and what stands in its place.
//!
//! A fact that names a question, complaint or request means that one, whatever the clocks
//! of two systems say: if it comes before what it names, it is kept until that appears.

use events::fact::Fact;
use events::fact::interaction::{Outcome, Purpose};
use events::fact::payment::PaymentKind;
use events::id::{About, EventRef, Ident};
use events::kind::Direction;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fold::State;
use super::obligation::{Obligation, Owed};
use crate::entry::Entry;
use crate::promises;

/// Closing acts without anything to close that are kept.
const EARLY_MAX: usize = 16;

/// Which obligations an act closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closes {
    /// The answer to an inquiry.
    Answer,
    /// The first reply to a complaint.
    Reply,
    /// The reply and the end of a complaint.
    Complaint,
    /// The decision about a request.
    Decision,
}

/// A closing act that came before what it closes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Early {
    /// What it closes.
    pub closes: Closes,
    /// Which one.
    pub about: About,
    /// When.
    pub at: Timestamp,
    /// The act.
    pub by: EventRef,
}

impl Closes {
    fn fits(self, owed: Owed) -> bool {
        match owed {
            Owed::Answer { .. } => self == Self::Answer,
            Owed::Reply => matches!(self, Self::Reply | Self::Complaint),
            Owed::Resolution { .. } => self == Self::Complaint,
            Owed::Decision => self == Self::Decision,
            Owed::Promise | Owed::Thanks(_) | Owed::Care | Owed::Refund | Owed::Tell => false,
        }
    }
}

impl State {
    pub(super) fn close(&mut self, entry: &Entry<'_>) {
        let at = entry.at();
        match entry.fact {
            Fact::InteractionAnswered(it) if !it.automated => {
                match it.about.topic() {
                    "inquiry" if it.complete => self.meet(entry, Closes::Answer, &it.about),
                    "complaint" if entry.is_personal() => {
                        self.meet(entry, Closes::Reply, &it.about);
                    }
                    _ => {}
                }
                if it.waiting {
                    self.wait(&it.about, entry);
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
                if let Some(about) = About::new("complaint", it.complaint.as_str()) {
                    self.meet(entry, Closes::Complaint, &about);
                }
            }
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
            && let Some(thread) = entry.fact.about()
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

    /// Closes what an act names, now or once it appears.
    fn meet(&mut self, entry: &Entry<'_>, closes: Closes, about: &About) {
        let is_it = |o: &Obligation| closes.fits(o.owed) && o.about.as_ref() == Some(about);
        let is_known = self.obligations.iter().any(is_it);
        self.done(entry, is_it);
        let is_kept = self.early.iter().any(|it| (it.closes, &it.about) == (closes, about));
        // Loaded history opens nothing, so what closes it would be kept for nothing.
        if is_known || is_kept || entry.is_imported() {
            return;
        }
        let (about, at, by) = (about.clone(), entry.at(), entry.reference());
        self.early.push_back(Early { closes, about, at, by });
        if EARLY_MAX < self.early.len() {
            self.early.pop_front();
        }
    }

    /// The act that closed an obligation before it was opened.
    pub(super) fn closed_before(&self, it: &Obligation) -> Option<(Timestamp, EventRef)> {
        let fits =
            |early: &&Early| early.closes.fits(it.owed) && Some(&early.about) == it.about.as_ref();
        self.early.iter().find(fits).map(|early| (early.at, early.by.clone()))
    }

    fn decided(&mut self, entry: &Entry<'_>, booking: &Ident) {
        if let Some(about) = About::new("booking", booking.as_str()) {
            self.meet(entry, Closes::Decision, &about);
        }
    }

    fn refunded(&mut self, entry: &Entry<'_>, booking: Option<&Ident>) {
        let about = booking.and_then(|it| About::new("booking", it.as_str()));
        self.done(entry, |o| o.owed == Owed::Refund && (about.is_none() || o.about == about));
    }

    /// The allowance of a resolution stands still while we wait for the customer.
    fn wait(&mut self, about: &About, entry: &Entry<'_>) {
        for it in self.obligations.iter_mut().filter(|it| it.is_open()) {
            if matches!(it.owed, Owed::Resolution { .. })
                && it.about.as_ref() == Some(about)
                && it.paused_at.is_none()
            {
                it.paused_at = Some(entry.at());
                it.paused_by = Some(entry.reference());
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

    /// Takes over how promises stand after a fact: whether they are moved, broken or over follows
    /// from the promises alone.
    pub(super) fn follow(&mut self, entry: &Entry<'_>, promises: &promises::State) {
        let mut uncovered = Vec::new();
        let open = self.obligations.iter_mut().filter(|it| it.is_open());
        for it in open.filter(|it| it.owed == Owed::Promise) {
            let id = it.about.as_ref().and_then(|it| it.id().parse::<Ident>().ok());
            let Some(promise) = id.as_ref().and_then(|it| promises.get(it)) else { continue };
            it.promised_for = Some(promise.due_at);
            it.broken_by = promise.broken.clone().filter(|_| promise.is_recorded_broken());
            it.closed = promise.ended();
            if it.closed.is_some() {
                uncovered.extend(it.covers.clone());
            }
        }
        // What the promise stood for is still owed: it gets a fresh allowance from here.
        for it in self.obligations.iter_mut().filter(|it| it.is_open()) {
            if it.owed.can_be_covered()
                && it.about.as_ref().is_some_and(|it| uncovered.contains(it))
            {
                it.runs_from = entry.at();
            }
        }
    }
}

/// Thanks for a visit are thanks for the booking or purchase behind it.
pub(super) fn is_thanks_for(given: &About, owed: Option<&About>) -> bool {
    let visit = given.topic() == "visit"
        && owed.is_some_and(|it| matches!(it.topic(), "booking" | "purchase" | "visit"));
    visit || Some(given) == owed
}
