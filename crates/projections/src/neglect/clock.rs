//! How long it has been silent, and how long it may be (product 6.3).
//!
//! [`Inputs`] is what the rule needs and no more, so an alert can keep the inputs it rang on and a
//! late fact can be held against them.

use events::calendar::add_days;
use events::id::{CustomerId, EventRef};
use events::planted::{Mistake, planted};
use events::policy::Policies;
use events::silence::{Ratio, Silence};
use events::tier::Tier;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Events that one alert or row names as its reason.
pub const BECAUSE_MAX: usize = 20;

/// Whose silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The customer's.
    They,
    /// Ours.
    We,
}

impl Which {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::They => "they",
            Self::We => "we",
        }
    }

    /// The kind of alert that its end raises.
    #[must_use]
    pub const fn alert_kind(self) -> &'static str {
        match self {
            Self::They => "they_silent",
            Self::We => "we_silent",
        }
    }
}

/// The dates on which a clock was reset, as far as the rule needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    /// Count, first and last date; folded in order of time, so that is all there is to know.
    pub silence: Option<Span>,
    /// The first event of each of the newest dates, and whether it was imported.
    pub because: Vec<(EventRef, bool)>,
    /// The newest reset: when, and by which event.
    pub newest: Option<(Timestamp, EventRef)>,
}

/// Count, first and last of a set of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// How many dates.
    pub count: i64,
    /// The first.
    pub first: Date,
    /// The last.
    pub last: Date,
}

impl From<Span> for Silence {
    fn from(it: Span) -> Self {
        Self { count: it.count, first: it.first, last: it.last }
    }
}

impl Days {
    /// Counts a date; dates come in order.
    pub fn reset(&mut self, day: Date, at: Timestamp, event: EventRef, imported: bool) {
        let span = self.silence.get_or_insert(Span { count: 0, first: day, last: day });
        if span.count == 0 || span.last < day {
            span.count += 1;
            span.last = day;
            self.because.push((event.clone(), imported));
            if BECAUSE_MAX < self.because.len() {
                self.because.remove(0);
            }
        }
        self.newest = Some((at, event));
    }
}

/// What the rule of one clock is computed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Whose silence.
    pub which: Which,
    /// The dates that count; for *we* with AI agents counted like staff.
    pub days: Span,
    /// For *we*: the same without AI agents, where that differs.
    pub without_ai: Option<Span>,
    /// The earliest instant later than the last date until which the clock is suspended.
    pub suspended: Option<Timestamp>,
    /// The customer's tier.
    pub tier: Tier,
    /// Contact consent is withdrawn.
    pub muted: bool,
    /// Contacts in a row that reached nobody and were followed by nothing inbound.
    pub unanswered: i64,
    /// For *we*: there was no contact yet, so the clock runs from the first fact of theirs.
    #[serde(default)]
    pub is_first_contact: bool,
}

/// One clock, as the policies in force read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// Whose silence.
    pub which: Which,
    /// The dates behind it.
    pub span: Span,
    /// Days between contacts, shrunk and bounded.
    pub rhythm: Ratio,
    /// From here on it is `due_soon`.
    pub warn_at: Timestamp,
    /// From here on it is `overdue`, unless suspended.
    pub due_at: Timestamp,
    /// A plan, promise or booking holds it back until then.
    pub suspended_until: Option<Timestamp>,
    /// The later of the two: the `due_at` that an alert carries.
    pub effective_due_at: Timestamp,
    /// Contact consent withdrawn, or the tier is not watched.
    pub muted: bool,
    /// The last contacts reached nobody: we rest until something comes in.
    pub resting: bool,
    /// Dates of contact: none while the clock runs from the first fact of theirs.
    pub count: i64,
}

impl Inputs {
    /// Applies the rule.
    #[must_use]
    pub fn clock(&self, policies: &Policies) -> Clock {
        let neglect = &policies.neglect;
        let calendar = &policies.calendar;
        let rule = match self.which {
            Which::They => &neglect.they,
            Which::We => &neglect.we,
        };
        let span = match self.without_ai {
            Some(human) if !neglect.count_ai => human,
            _ => self.days,
        };
        let deadlines = Silence::from(span).deadlines(rule, self.tier, calendar);
        let latest = match self.which {
            Which::We => calendar.at_alert_hour(add_days(span.last, neglect.suspend_max_days)),
            Which::They => Timestamp::MAX,
        };
        let suspended_until = self.suspended.map(|it| it.min(latest));
        Clock {
            which: self.which,
            span,
            rhythm: deadlines.rhythm,
            warn_at: deadlines.warn_at,
            due_at: deadlines.due_at,
            suspended_until,
            effective_due_at: suspended_until
                .map_or(deadlines.due_at, |it| it.max(deadlines.due_at)),
            muted: self.muted || !rule.tiers.contains(&self.tier),
            resting: self.which == Which::We && neglect.rest_after <= self.unanswered,
            count: if self.is_first_contact { 0 } else { span.count },
        }
    }
}

impl Clock {
    /// Whether it may ring at all.
    #[must_use]
    pub fn rings(&self) -> bool {
        !self.muted && !self.resting
    }

    /// Until when nobody is to be reminded of it: while it is muted or suspended.
    #[must_use]
    pub fn held_until(&self) -> Option<Timestamp> {
        if self.muted { Some(Timestamp::MAX) } else { self.suspended_until }
    }

    /// What an alert of this silence is about: the date it began.
    #[must_use]
    pub fn episode(&self) -> String {
        self.span.last.to_string()
    }

    /// The word for how it stands at an instant (product 6.3, the first that applies).
    #[must_use]
    pub fn state(&self, now: Timestamp) -> &'static str {
        if self.muted {
            "muted"
        } else if self.resting {
            "resting"
        } else if self.due_at < self.effective_due_at
            && self.warn_at <= now
            && now < self.effective_due_at
        {
            "suspended"
        } else if self.effective_due_at <= now {
            "overdue"
        } else if self.warn_at <= now {
            "due_soon"
        } else {
            "ok"
        }
    }
}

/// The basis of an alert's id: `<alert kind>|<customer or _>|<episode>`.
#[must_use]
pub fn basis(alert_kind: &str, customer: Option<&CustomerId>, episode: &str) -> String {
    let episode = if planted(Mistake::AlertWithoutEpisode) { "_" } else { episode };
    format!("{alert_kind}|{}|{episode}", customer.map_or("_", CustomerId::as_str))
}
