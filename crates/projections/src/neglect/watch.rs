//! Since when each silence and each debt was overdue, given all facts in their order.
//!
//! This is the one question behind an alert: it is raised for what is overdue, withdrawn when it
//! turns out that nothing was overdue when it was raised, resolved by what ended it, and passed on
//! only while nothing holds it. The answer follows from facts and policies, never from the alerts
//! that were recorded, so it does not depend on when a fact was recorded.
//!
//! Between two facts nothing changes but the time. So a [`Timer`] keeps when the thing it watches
//! will be overdue if nothing else happens, and looks at each fact whether that moment has passed.
//! An act at the very moment is in time.

use events::id::EventRef;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::clock::Inputs;

/// Times in which one alert stands still that are kept apart.
const HELD_MAX: usize = 32;

/// A time from an instant to another one.
pub type Interval = (Timestamp, Timestamp);

/// Something that is or was overdue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// Since when: its due time, or later if something held it back over that.
    pub from: Timestamp,
    /// When it was due.
    pub due_at: Timestamp,
    /// Times since then in which nobody is to be reminded, oldest first.
    pub held: Vec<Interval>,
    /// The act that ended it, and when that happened.
    pub ended: Option<(Timestamp, EventRef)>,
}

/// Watches one silence or one debt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// What follows holds from here.
    pub since: Timestamp,
    /// When it is due, if it can ring at all.
    pub due_at: Option<Timestamp>,
    /// Until when nobody is to be reminded of it.
    pub held_until: Option<Timestamp>,
    /// It has been overdue.
    pub overdue: Option<Overdue>,
}

impl Timer {
    /// Begins to watch.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self { since, due_at: None, held_until: None, overdue: None }
    }

    /// Time passes until just before an instant.
    pub fn pass(&mut self, now: Timestamp) {
        if self.overdue.is_none()
            && let Some((from, due_at)) = self.will_be_overdue()
            && from < now
        {
            self.overdue = Some(Overdue { from, due_at, held: Vec::new(), ended: None });
        }
    }

    /// From here on it is due at another time, or held for another one.
    pub fn set(
        &mut self,
        now: Timestamp,
        due_at: Option<Timestamp>,
        held_until: Option<Timestamp>,
    ) {
        if (self.due_at, self.held_until) == (due_at, held_until) {
            return;
        }
        self.keep_held(now);
        (self.since, self.due_at, self.held_until) = (now, due_at, held_until);
    }

    /// An act ends it. The first one counts.
    pub fn end(&mut self, at: Timestamp, by: EventRef) {
        self.keep_held(at);
        if let Some(overdue) = &mut self.overdue {
            overdue.ended.get_or_insert((at, by));
        }
    }

    /// Since when it is overdue or will be, and when it is or was due; `None` if it cannot ring.
    #[must_use]
    pub fn moment(&self) -> Option<Interval> {
        match &self.overdue {
            Some(it) => Some((it.from, it.due_at)),
            None => self.will_be_overdue(),
        }
    }

    /// The act that ended it.
    #[must_use]
    pub fn ended(&self) -> Option<&(Timestamp, EventRef)> {
        self.overdue.as_ref()?.ended.as_ref()
    }

    /// All times in which nobody is to be reminded, with the one that lies ahead.
    #[must_use]
    pub fn held(&self) -> Vec<Interval> {
        let mut held = self.overdue.as_ref().map(|it| it.held.clone()).unwrap_or_default();
        held.extend(self.held_until.filter(|it| self.since < *it).map(|it| (self.since, it)));
        held
    }

    fn will_be_overdue(&self) -> Option<Interval> {
        self.due_at.map(|due_at| (due_at.max(self.since), due_at))
    }

    fn keep_held(&mut self, now: Timestamp) {
        let (Some(overdue), Some(until)) = (&mut self.overdue, self.held_until) else { return };
        let (from, to) = (self.since.max(overdue.from), until.min(now));
        if to <= from || overdue.ended.is_some() {
            return;
        }
        match overdue.held.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => overdue.held.push((from, to)),
        }
        // With more of them than that, what lies between the last two counts as held too.
        if HELD_MAX < overdue.held.len()
            && let Some(last) = overdue.held.pop()
            && let Some(before) = overdue.held.last_mut()
        {
            before.1 = last.1;
        }
    }
}

/// Watches one silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// What the rule of the clock was computed from last.
    pub inputs: Option<Inputs>,
    /// The date on which the silence began.
    pub episode: Option<Date>,
    /// Since when it is overdue.
    pub timer: Timer,
}

impl Default for Watch {
    fn default() -> Self {
        Self { inputs: None, episode: None, timer: Timer::new(Timestamp::UNIX_EPOCH) }
    }
}

/// Something that was overdue and has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The kind of its alert.
    pub kind: Box<str>,
    /// Its episode.
    pub episode: Box<str>,
    /// Since when, until when.
    pub overdue: Overdue,
}
