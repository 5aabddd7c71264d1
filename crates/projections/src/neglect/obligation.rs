//! What we owe: opened by one fact, closed by another, due after an allowance of working hours
//! (product 6.2).

use events::calendar::days_between;
use events::fact::complaint::Severity;
use events::id::{About, EventRef, Ident};
use events::policy::{Policies, ThanksFor};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::watch::Timer;

/// What is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owed {
    /// An answer to an inquiry.
    Answer {
        /// It was urgent.
        high: bool,
    },
    /// A decision about a booking request.
    Decision,
    /// A first reply to a complaint.
    Reply,
    /// An end of a complaint.
    Resolution {
        /// How bad it is.
        severity: Severity,
        /// It was reopened: half the time.
        reopened: bool,
    },
    /// A promise kept.
    Promise,
    /// Thanks.
    Thanks(ThanksFor),
    /// A contact after low feedback.
    Care,
    /// Money back.
    Refund,
    /// "You said, we did."
    Tell,
}

impl Owed {
    /// The word in answers; also the act that stops its alert.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Decision => "decision",
            Self::Reply => "reply",
            Self::Resolution { .. } => "resolution",
            Self::Promise => "promise",
            Self::Thanks(_) => "thanks",
            Self::Care => "care",
            Self::Refund => "refund",
            Self::Tell => "tell",
        }
    }

    /// A promise about the same thread takes its place.
    #[must_use]
    pub const fn can_be_covered(self) -> bool {
        matches!(self, Self::Answer { .. } | Self::Reply | Self::Resolution { .. })
    }

    /// Working minutes until it is due; `None` where the due time is given or counted in days.
    fn minutes(self, policies: &Policies) -> Option<i64> {
        let owe = &policies.owe;
        let hours = match self {
            Self::Answer { high: true } => owe.answer_high,
            Self::Answer { high: false } => owe.answer,
            Self::Decision => owe.decision,
            Self::Reply => owe.reply,
            Self::Resolution { severity, reopened } => {
                let hours = match severity {
                    Severity::High => owe.resolution.high,
                    Severity::Normal => owe.resolution.normal,
                    Severity::Low => owe.resolution.low,
                };
                return Some(if reopened { hours * 30 } else { hours * 60 });
            }
            Self::Thanks(_) => owe.thanks,
            Self::Care => owe.care,
            Self::Refund => owe.refund,
            Self::Promise | Self::Tell => return None,
        };
        Some(hours * 60)
    }
}

/// One thing we owe, or owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// What.
    pub owed: Owed,
    /// The fact that opened it.
    pub opened_by: EventRef,
    /// When that happened.
    pub opened_at: Timestamp,
    /// The thread it belongs to.
    pub about: Option<About>,
    /// Who promised, for a promise; nobody in particular otherwise.
    pub owner: Option<Ident>,
    /// The thread that a promise stands for.
    pub covers: Option<About>,
    /// When a promise is due.
    pub promised_for: Option<Timestamp>,
    /// The allowance runs from here: later than `opened_at` after a covering promise was settled.
    pub runs_from: Timestamp,
    /// Waiting for the customer since.
    pub paused_at: Option<Timestamp>,
    /// The answer that says so.
    pub paused_by: Option<EventRef>,
    /// Waits that are over.
    pub pauses: Vec<(Timestamp, Timestamp)>,
    /// What closed it, and when that happened.
    pub closed: Option<(Timestamp, EventRef)>,
    /// Settled as broken: its alert is critical.
    pub broken_by: Option<EventRef>,
    /// What its due time was computed from last.
    pub terms: Option<Terms>,
    /// Since when it is overdue.
    pub timer: Timer,
}

/// What the due time of an open obligation depends on, besides policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// It waits for the customer, or a promise stands in its place.
    pub held: bool,
    /// When a promise is due.
    pub promised_for: Option<Timestamp>,
    /// From where the allowance runs.
    pub runs_from: Timestamp,
    /// How many waits are over.
    pub pauses: usize,
}

impl Obligation {
    /// Opens one.
    #[must_use]
    pub fn new(
        owed: Owed,
        opened_by: EventRef,
        opened_at: Timestamp,
        about: Option<About>,
    ) -> Self {
        Self {
            owed,
            opened_by,
            opened_at,
            about,
            owner: None,
            covers: None,
            promised_for: None,
            runs_from: opened_at,
            paused_at: None,
            paused_by: None,
            pauses: Vec::new(),
            closed: None,
            broken_by: None,
            terms: None,
            timer: Timer::new(opened_at),
        }
    }

    /// Looks at its due time again, at an instant, if that depends on something that has changed.
    pub fn watch(&mut self, now: Timestamp, covered: bool, policies: &Policies) {
        if let Some((at, by)) = &self.closed {
            self.timer.end(*at, by.clone());
            return;
        }
        let terms = Terms {
            held: covered || self.paused_at.is_some(),
            promised_for: self.promised_for,
            runs_from: self.runs_from,
            pauses: self.pauses.len(),
        };
        if self.terms.as_ref() == Some(&terms) {
            return;
        }
        if terms.held {
            self.timer.set(now, None, Some(Timestamp::MAX));
        } else {
            let due_at = self.due_at(policies).filter(|_| self.is_wanted(policies));
            self.timer.set(now, due_at, None);
        }
        self.terms = Some(terms);
    }

    /// Nobody has met it yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// A tenant may not want thanks for everything.
    #[must_use]
    pub fn is_wanted(&self, policies: &Policies) -> bool {
        match self.owed {
            Owed::Thanks(reason) => policies.owe.thanks_for.contains(&reason),
            _ => true,
        }
    }

    /// When it is due; `None` while it waits for the customer.
    #[must_use]
    pub fn due_at(&self, policies: &Policies) -> Option<Timestamp> {
        if self.paused_at.is_some() && self.is_open() {
            return None;
        }
        if let Some(at) = self.promised_for {
            return Some(at);
        }
        let calendar = &policies.calendar;
        Some(if let Some(minutes) = self.owed.minutes(policies) {
            calendar.add_working(self.runs_from, minutes + self.waited(policies))
        } else {
            let day = calendar.local_date(self.runs_from);
            calendar.at_alert_hour(events::calendar::add_days(day, policies.owe.tell_days))
        })
    }

    /// When most of the allowance is used (`owe.warn_percent`).
    #[must_use]
    pub fn warn_at(&self, policies: &Policies) -> Option<Timestamp> {
        let due_at = self.due_at(policies)?;
        let percent = policies.owe.warn_percent;
        let calendar = &policies.calendar;
        Some(match (self.promised_for, self.owed.minutes(policies)) {
            (None, Some(minutes)) => calendar
                .add_working(self.runs_from, minutes * percent / 100 + self.waited(policies)),
            (None, None) => {
                let day = calendar.local_date(self.runs_from);
                let days = days_between(day, calendar.local_date(due_at)) * percent / 100;
                calendar.at_alert_hour(events::calendar::add_days(day, days))
            }
            (Some(_), _) => {
                let seconds = due_at.duration_since(self.opened_at).as_secs() * percent / 100;
                self.opened_at + SignedDuration::from_secs(seconds)
            }
        })
    }

    fn waited(&self, policies: &Policies) -> i64 {
        let minutes =
            |(from, to): &(Timestamp, Timestamp)| policies.calendar.working_between(*from, *to);
        self.pauses.iter().map(minutes).sum()
    }

    /// What an alert about it is about: the obligation and the event that opened it.
    #[must_use]
    pub fn episode(&self) -> String {
        format!("{}:{}", self.owed.as_str(), self.opened_by)
    }

    /// Its alert cannot wait.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.broken_by.is_some()
            || matches!(self.owed, Owed::Resolution { severity: Severity::High, .. })
    }
}
