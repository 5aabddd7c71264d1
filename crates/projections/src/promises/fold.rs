//! What a customer's facts about promises add up to; pure, and without any policy.
//!
//! Promises: a promise is fulfilled by the first evidence after it was made, whether or not anybody
//! recorded that it was settled; moving a promise needs that the customer was told before it was
//! due. Facts about a promise that nobody made are left out. What the reaction concluded is no
//! evidence: it is remembered only to know what need not be recorded again, so a conclusion whose
//! evidence was taken back has no effect.

use std::collections::{BTreeMap, VecDeque};

use events::fact::Fact;
use events::fact::promise::{How, Made, Settled};
use events::id::{About, CustomerId, EventRef, Ident, Slug};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dossier::is_decision;
use crate::entry::Entry;

/// So many facts that came before what they name are remembered; the newest.
const EARLY_MAX: usize = 16;
/// So many answers of one customer are kept for the figures; the newest.
const ANSWERS_MAX: usize = 50;

/// What this fold remembers of one holder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    promises: BTreeMap<Ident, Promise>,
    /// Inquiries without a complete answer: since when, and of which topic.
    asked: BTreeMap<Ident, (Timestamp, Slug)>,
    /// How long the newest complete answers took.
    answers: VecDeque<Answer>,
    /// Ends of promises that are made only later, by the clock of another system.
    early: VecDeque<(Ident, Settlement)>,
    /// Complete answers to inquiries that come only later, by the clock of another system.
    early_answers: VecDeque<(Ident, Timestamp)>,
}

/// A complete answer to an inquiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which inquiry.
    pub inquiry: Ident,
    /// What it was about.
    pub topic: Slug,
    /// When it was answered.
    pub at: Timestamp,
    /// Minutes from the inquiry to the answer.
    pub minutes: i64,
}

/// How a promise stands. Whether it is due soon or overdue depends on the time of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Nothing has happened yet.
    Open,
    /// It was due, and nothing had been done.
    Broken,
    /// Done after it was due.
    Late,
    /// Done in time.
    Kept,
    /// The customer freed us, or the matter is gone.
    Released,
}

impl Standing {
    /// The word in columns and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Broken => "broken",
            Self::Late => "late",
            Self::Kept => "kept",
            Self::Released => "released",
        }
    }

    /// The standing of a word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Open, Self::Broken, Self::Late, Self::Kept, Self::Released];
        all.into_iter().find(|it| it.as_str() == word)
    }

    /// Whether we still owe it.
    #[must_use]
    pub const fn is_owed(self) -> bool {
        matches!(self, Self::Open | Self::Broken)
    }
}

/// When and by what a promise was fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilment {
    /// When it happened.
    pub at: Timestamp,
    /// The event that shows it.
    pub by: EventRef,
}

/// A decision that somebody recorded about a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// `kept`, `late` or `released`.
    pub how: How,
    /// The event that says so, or the act that it names.
    pub event: EventRef,
    /// When.
    pub at: Timestamp,
}

/// What the reaction concluded last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// `kept`, `late` or `broken`.
    pub how: How,
    /// Where it is recorded.
    pub position: i64,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// What was promised.
    pub what: String,
    /// The customer it was given to; none for a colleague.
    pub customer: Option<CustomerId>,
    /// The colleague it was given to.
    pub to: Option<Ident>,
    /// Who will do it.
    pub owner: Ident,
    /// What it is about.
    pub about: Option<About>,
    /// Which sort of promise.
    pub topic: Option<Slug>,
    /// The event that made it.
    pub event: EventRef,
    /// When it was made.
    pub made_at: Timestamp,
    /// By when now.
    pub due_at: Timestamp,
    /// By when at first.
    pub first_due_at: Timestamp,
    /// How often somebody recorded that it was moved, rightly or not.
    pub rounds: i64,
    /// The first evidence that it was done.
    pub fulfilled: Option<Fulfilment>,
    /// The decision that it was broken, while that has not been taken back.
    pub broken: Option<EventRef>,
    /// When it was broken, as that decision says.
    pub broken_at: Option<Timestamp>,
    /// The last end that somebody recorded.
    pub settled: Option<Settlement>,
    /// What the reaction concluded last.
    pub decided: Option<Decision>,
    /// How often the reaction concluded that it was done, in time or late.
    pub ends: u32,
    /// Version of its stream, for conditional requests.
    pub version: i64,
    /// Loaded history: nothing rings for it and no decision is owed.
    pub imported: bool,
}

impl Promise {
    /// How it stands, whoever has recorded what.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.fulfilled {
            Some(done) if done.at <= self.due_at => Standing::Kept,
            _ if self.is_recorded(How::Released) => Standing::Released,
            Some(_) => Standing::Late,
            None if self.is_recorded_broken() => Standing::Broken,
            None => Standing::Open,
        }
    }

    /// Minutes between fulfilment and due time: positive when it was early.
    #[must_use]
    pub fn margin_minutes(&self) -> Option<i64> {
        let done = self.fulfilled.as_ref()?;
        Some(self.due_at.duration_since(done.at).as_secs().div_euclid(60))
    }

    /// Kept with at least a quarter of the time left (product 2.5, row 15).
    #[must_use]
    pub fn is_beaten(&self) -> bool {
        let whole = self.due_at.duration_since(self.made_at).as_secs();
        let left = self.fulfilled.as_ref().map(|it| self.due_at.duration_since(it.at).as_secs());
        self.standing() == Standing::Kept
            && left.is_some_and(|left| whole <= left.saturating_mul(4))
    }

    /// A decision from before the promise was moved says nothing about the new due time.
    pub(crate) fn is_recorded_broken(&self) -> bool {
        self.broken_at.is_some_and(|at| self.due_at <= at)
    }

    /// Whether the reaction concluded that last.
    pub(super) fn is_decided(&self, how: How) -> bool {
        self.decided.as_ref().is_some_and(|it| it.how == how)
    }

    /// When and by what it ended: it was done, or we were freed of it.
    #[must_use]
    pub fn ended(&self) -> Option<(Timestamp, EventRef)> {
        if let Some(done) = &self.fulfilled {
            return Some((done.at, done.by.clone()));
        }
        let released = self.settled.as_ref().filter(|it| it.how == How::Released);
        released.map(|it| (it.at, it.event.clone()))
    }

    /// Whether that is the recorded end.
    pub(super) fn is_recorded(&self, how: How) -> bool {
        self.settled.as_ref().is_some_and(|it| it.how == how)
    }

    fn is_over(&self) -> bool {
        self.fulfilled.is_some() || self.is_recorded(How::Released)
    }

    fn settle(&mut self, settled: &Settled, entry: &Entry<'_>) {
        self.version = self.version.max(entry.event.version);
        if settled.how == How::Broken && self.broken_at.is_none_or(|at| at <= entry.at()) {
            self.broken = Some(entry.reference());
            self.broken_at = Some(entry.at());
        }
        if is_decision(entry.event) {
            self.decide(settled.how, entry.event.position);
            return;
        }
        match settled.how {
            How::Broken => {}
            How::Renegotiated => {
                if self.is_over() {
                    return;
                }
                self.rounds += 1;
                let in_time = entry.at() <= self.due_at && settled.told;
                if let Some(later) = settled.new_due_at.filter(|new| in_time && self.due_at < *new)
                {
                    self.due_at = later;
                }
            }
            how => self.end(how, entry.at(), entry.reference(), settled.by.clone()),
        }
    }

    fn decide(&mut self, how: How, position: i64) {
        self.ends += u32::from(matches!(how, How::Kept | How::Late));
        if self.decided.as_ref().is_none_or(|it| it.position < position) {
            self.decided = Some(Decision { how, position });
        }
    }

    fn end(&mut self, how: How, at: Timestamp, event: EventRef, by: Option<EventRef>) {
        if how == How::Released && self.is_over() {
            return;
        }
        // The evidence came after `late` had been recorded: what was recorded is superseded.
        if how == How::Late && self.is_recorded(How::Kept) {
            return;
        }
        if how != How::Released && !self.is_over() {
            self.fulfilled = Some(Fulfilment { at, by: by.unwrap_or_else(|| event.clone()) });
        }
        self.settled = Some(Settlement { how, event, at });
    }
}

impl State {
    /// Folds one fact in.
    pub fn apply(&mut self, entry: &Entry<'_>) {
        match entry.fact {
            Fact::PromiseMade(made) => self.make(made, entry),
            Fact::PromiseSettled(settled) => {
                if let Some(promise) = self.promises.get_mut(&settled.promise) {
                    promise.settle(settled, entry);
                } else if matches!(settled.how, How::Kept | How::Late | How::Released)
                    && !is_decision(entry.event)
                    && !entry.is_imported()
                {
                    let event = settled.by.clone().unwrap_or_else(|| entry.reference());
                    let end = Settlement { how: settled.how, event, at: entry.at() };
                    remember(&mut self.early, (settled.promise.clone(), end));
                }
            }
            Fact::InteractionInquired(it) => self.ask(&it.inquiry, &it.topic, entry.at()),
            // What a program sends on its own account closes nothing (product 6.1).
            Fact::InteractionAnswered(it) if it.complete && !it.automated => {
                self.answer(&it.about, entry.at());
                self.fulfil(it.about.as_str(), entry);
            }
            Fact::ComplaintResolved(it) => {
                self.fulfil(&format!("complaint/{}", it.complaint), entry);
            }
            _ => {}
        }
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&Ident, &Promise)> {
        self.promises.iter()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, promise: &Ident) -> Option<&Promise> {
        self.promises.get(promise)
    }

    /// The promise that an event made.
    #[must_use]
    pub fn made_by(&self, event: &EventRef) -> Option<&Promise> {
        self.promises.values().find(|it| it.event == *event)
    }

    /// The open promise about a matter, whose due time stands in place of the matter's own; of
    /// several the one that is due first.
    #[must_use]
    pub fn covering(&self, about: &About) -> Option<(&Ident, &Promise)> {
        let about = Some(about);
        let open = self.promises.iter().filter(|(_, it)| it.standing().is_owed());
        open.filter(|(_, it)| it.about.as_ref() == about).min_by_key(|(_, it)| it.due_at)
    }

    /// How long answers took, oldest first.
    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter()
    }

    fn ask(&mut self, inquiry: &Ident, topic: &Slug, at: Timestamp) {
        let early = self.early_answers.iter().position(|(it, _)| it == inquiry);
        match early.and_then(|place| self.early_answers.remove(place)) {
            Some((_, answered_at)) => self.took(inquiry.clone(), topic.clone(), answered_at, 0),
            None => {
                self.asked.insert(inquiry.clone(), (at, topic.clone()));
            }
        }
    }

    fn answer(&mut self, about: &About, at: Timestamp) {
        let inquiry = about.as_str().strip_prefix("inquiry/").and_then(|it| it.parse().ok());
        let Some(inquiry) = inquiry else { return };
        if let Some((asked_at, topic)) = self.asked.remove(&inquiry) {
            self.took(inquiry, topic, at, at.duration_since(asked_at).as_mins());
        } else if self.answers.iter().all(|it| it.inquiry != inquiry) {
            remember(&mut self.early_answers, (inquiry, at));
        }
    }

    fn took(&mut self, inquiry: Ident, topic: Slug, at: Timestamp, minutes: i64) {
        self.answers.retain(|it| it.inquiry != inquiry);
        self.answers.push_back(Answer { inquiry, topic, at, minutes });
        if ANSWERS_MAX < self.answers.len() {
            self.answers.pop_front();
        }
    }

    fn make(&mut self, made: &Made, entry: &Entry<'_>) {
        // An id is given out once; whoever uses it again meant another promise we cannot tell.
        if self.promises.contains_key(&made.promise) {
            return;
        }
        let mut promise = Promise {
            what: made.what.clone(),
            customer: entry.event.customer.clone(),
            to: made.to.clone(),
            owner: made.owner.clone(),
            about: made.about.clone(),
            topic: made.topic.clone(),
            event: entry.reference(),
            made_at: entry.at(),
            due_at: made.due_at,
            first_due_at: made.due_at,
            rounds: 0,
            fulfilled: None,
            broken: None,
            broken_at: None,
            settled: None,
            decided: None,
            ends: 0,
            version: entry.event.version,
            imported: entry.is_imported(),
        };
        // Whoever names a promise means it, whatever the clocks of two systems say.
        while let Some(place) = self.early.iter().position(|(id, _)| *id == made.promise)
            && let Some((_, it)) = self.early.remove(place)
        {
            promise.end(it.how, it.at, it.event, None);
        }
        self.promises.insert(made.promise.clone(), promise);
    }

    /// Takes a fact about a matter as evidence for every promise about it.
    fn fulfil(&mut self, about: &str, entry: &Entry<'_>) {
        let named = about.strip_prefix("promise/").and_then(|it| it.parse::<Ident>().ok());
        for (id, promise) in &mut self.promises {
            let itself = named.as_ref() == Some(id);
            let meant = itself || promise.about.as_ref().is_some_and(|it| it.as_str() == about);
            if meant && !promise.is_over() {
                promise.fulfilled = Some(Fulfilment { at: entry.at(), by: entry.reference() });
            }
        }
        if let Some(id) = named.filter(|it| !self.promises.contains_key(it)) {
            let end = Settlement { how: How::Kept, event: entry.reference(), at: entry.at() };
            remember(&mut self.early, (id, end));
        }
    }
}

fn remember<T>(kept: &mut VecDeque<T>, one: T) {
    kept.push_back(one);
    if EARLY_MAX < kept.len() {
        kept.pop_front();
    }
}
