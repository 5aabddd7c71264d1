//! A customer's loyalty as it was known on one date, under the policies in force on that date.
//!
//! Promises: nothing that happened later has any influence, even where the state knows of it.

use events::calendar::{Calendar, add_days, days_between};
use events::policy::{Policies, PolicyHistory};
use events::tier::{Faults, Qualifying, Standing, Tier};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::fold::{Evidence, Manual, Refund, State};

/// One time at fault: since when, until when if it ended, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// `complaint/k-55`, `promise/p-310` or `booking/b-902` (a refund past due).
    pub by: String,
    /// The first date.
    pub from: Date,
    /// The first date that is free again.
    pub to: Option<Date>,
}

/// What is known on a date.
#[derive(Debug)]
pub struct View<'a> {
    state: &'a State,
    on: Date,
    policies: &'a Policies,
    qualifying: Qualifying,
    spans: Vec<At>,
    faults: Faults,
}

impl<'a> View<'a> {
    /// Looks at a state on a date.
    #[must_use]
    pub fn new(state: &'a State, on: Date, policies: &'a Policies, calendar: &Calendar) -> Self {
        let mut qualifying = Qualifying::default();
        for (day, _) in counted(state, on) {
            // The rule asks for dates; which event stands for one is told by `counted`.
            qualifying.insert(day, String::new());
        }
        let spans = spans(state, on, policies, calendar);
        let faults = Faults::union(spans.iter().map(|it| (it.from, it.to)));
        Self { state, on, policies, qualifying, spans, faults }
    }

    /// Everything the rule of tiers needs.
    #[must_use]
    pub fn standing(&self) -> Standing<'_> {
        let rule = &self.policies.loyalty.primary;
        Standing { qualifying: &self.qualifying, faults: &self.faults, rule }
    }

    /// The date of the question.
    #[must_use]
    pub fn on(&self) -> Date {
        self.on
    }

    /// What the fold remembers.
    #[must_use]
    pub fn state(&self) -> &'a State {
        self.state
    }

    /// The policies in force.
    #[must_use]
    pub fn policies(&self) -> &'a Policies {
        self.policies
    }

    /// The tier that somebody decided, while it holds: up to, and not on, its date.
    #[must_use]
    pub fn manual(&self) -> Option<(Tier, &'a Manual)> {
        let recorded = self.state.recorded()?;
        let manual = recorded.manual.as_ref()?;
        let holds = recorded.since <= self.on && self.on < manual.until;
        holds.then_some((recorded.tier, manual))
    }

    /// The tier: what somebody decided, or what the rule says.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.manual().map_or_else(|| self.standing().tier_at(self.on), |(tier, _)| tier)
    }

    /// The dates that count, each with its first event, oldest first.
    pub(super) fn counted(&self) -> impl Iterator<Item = (Date, &'a Evidence)> {
        counted(self.state, self.on)
    }

    /// Further events of dates that count already.
    pub(super) fn same_day(&self) -> impl Iterator<Item = (Date, &'a Evidence)> {
        let on = self.on;
        let days = self.state.days.range(..=on);
        days.flat_map(move |(day, all)| {
            all.iter().filter(move |it| counts(it, on)).skip(1).map(move |it| (*day, it))
        })
    }

    /// When we were at fault.
    #[must_use]
    pub fn at_fault(&self) -> &[At] {
        &self.spans
    }

    /// What we are at fault for, or what moved the date of lapse since the last qualifying date.
    #[must_use]
    pub fn held_by(&self) -> Vec<String> {
        let last = self.counted().last().map(|(day, _)| day);
        let ends_after = |to: Option<Date>| to.is_none_or(|to| last.is_none_or(|last| last < to));
        let mut by: Vec<String> =
            self.spans.iter().filter(|it| ends_after(it.to)).map(|it| it.by.clone()).collect();
        by.sort();
        by.dedup();
        by
    }

    /// The window's dates, or the last one before it.
    pub(super) fn in_window(&self, on: Date) -> Vec<&'a Evidence> {
        let window = self.policies.loyalty.primary.window_days;
        let all: Vec<_> = self.counted().collect();
        let young = all.iter().filter(|(day, _)| days_between(*day, on) < window);
        let young: Vec<_> = young.map(|(_, it)| *it).collect();
        if young.is_empty() { all.last().map(|(_, it)| *it).into_iter().collect() } else { young }
    }
}

/// The policies in force at the end of a local date: what is decided on a date, a policy that came
/// into force on it decides.
#[must_use]
pub fn policies_on(
    history: &PolicyHistory,
    date: Date,
    calendar: &Calendar,
) -> std::sync::Arc<Policies> {
    history.in_force(before(calendar.start_of(add_days(date, 1))))
}

/// The instant just before another.
pub(super) fn before(at: Timestamp) -> Timestamp {
    at.checked_sub(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MIN)
}

/// When a refund is past due.
pub(super) fn refund_due(refund: &Refund, policies: &Policies, calendar: &Calendar) -> Timestamp {
    calendar.add_working(refund.opened, policies.owe.refund.saturating_mul(60))
}

fn counts(evidence: &Evidence, on: Date) -> bool {
    evidence.returned.is_none_or(|it| on < it.day)
}

fn counted(state: &State, on: Date) -> impl Iterator<Item = (Date, &Evidence)> {
    let first = move |all: &'_ [Evidence]| all.iter().position(|it| counts(it, on));
    let days = state.days.range(..=on);
    days.filter_map(move |(day, all)| Some((*day, all.get(first(all)?)?)))
}

fn spans(state: &State, on: Date, policies: &Policies, calendar: &Calendar) -> Vec<At> {
    let mut spans = Vec::new();
    for span in state.faults.iter().filter(|it| it.from.day <= on) {
        let to = span.to.map(|it| it.day).filter(|to| *to <= on);
        if to.is_none() || !span.theirs {
            spans.push(At { by: span.by.clone(), from: span.from.day, to });
        }
    }
    for refund in &state.refunds {
        let due = refund_due(refund, policies, calendar);
        let from = calendar.local_date(due);
        if from <= on && refund.closed.is_none_or(|it| due < it.at) {
            let to = refund.closed.map(|it| it.day).filter(|to| *to <= on);
            spans.push(At { by: format!("booking/{}", refund.booking), from, to });
        }
    }
    spans
}
