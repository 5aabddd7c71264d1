//! What a customer's facts about promises add up to; pure, and without any policy.
//!
//! Promises: a promise is fulfilled by the first evidence after it was made, whether or not anybody
//! recorded that it was settled; moving a promise needs that the customer was told before it was
//! due. Facts about a promise that nobody made are left out.

use std::collections::{BTreeMap, VecDeque};

use events::fact::Fact;
use events::fact::promise::{How, Made, Settled};
use events::id::{About, CustomerId, EventRef, Ident, Slug};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entry::Entry;

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
    /// The event that says so.
    pub event: EventRef,
    /// When.
    pub at: Timestamp,
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
    /// The last recorded end.
    pub settled: Option<Settlement>,
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
    pub(super) fn is_recorded_broken(&self) -> bool {
        self.broken_at.is_some_and(|at| self.due_at <= at)
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
        match settled.how {
            How::Broken => {
                self.broken = Some(entry.reference());
                self.broken_at = Some(entry.at());
            }
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
            How::Released if self.is_over() => {}
            // The evidence came after `late` had been recorded: what was recorded is superseded.
            How::Late if self.is_recorded(How::Kept) => {}
            how => {
                if how != How::Released && !self.is_over() {
                    let by = settled.by.clone().unwrap_or_else(|| entry.reference());
                    self.fulfilled = Some(Fulfilment { at: entry.at(), by });
                }
                let event = entry.reference();
                self.settled = Some(Settlement { how, event, at: entry.at() });
            }
        }
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
                }
            }
            Fact::InteractionInquired(it) => {
                self.asked.insert(it.inquiry.clone(), (entry.at(), it.topic.clone()));
            }
            Fact::InteractionAnswered(it) if it.complete => {
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

    fn answer(&mut self, about: &About, at: Timestamp) {
        let inquiry = about.as_str().strip_prefix("inquiry/").and_then(|it| it.parse().ok());
        let Some(inquiry) = inquiry else { return };
        let Some((asked_at, topic)) = self.asked.remove(&inquiry) else { return };
        let minutes = at.duration_since(asked_at).as_mins();
        self.answers.retain(|it| it.inquiry != inquiry);
        self.answers.push_back(Answer { inquiry, topic, at, minutes });
        if ANSWERS_MAX < self.answers.len() {
            self.answers.pop_front();
        }
    }

    fn make(&mut self, made: &Made, entry: &Entry<'_>) {
        // An id is given out once; whoever uses it again meant another promise we cannot tell.
        self.promises.entry(made.promise.clone()).or_insert_with(|| Promise {
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
            version: entry.event.version,
            imported: entry.is_imported(),
        });
    }

    /// Takes a fact about a matter as evidence for every promise about it.
    fn fulfil(&mut self, about: &str, entry: &Entry<'_>) {
        for (id, promise) in &mut self.promises {
            let itself = about.strip_prefix("promise/") == Some(id.as_str());
            let meant = itself || promise.about.as_ref().is_some_and(|it| it.as_str() == about);
            if meant && !promise.is_over() {
                promise.fulfilled = Some(Fulfilment { at: entry.at(), by: entry.reference() });
            }
        }
    }
}
