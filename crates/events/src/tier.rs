//! Loyalty: which tier a customer has on a date, why, until when, and what comes next.
//!
//! Promises: the answer for a date depends on what happened up to that date only; removing one
//! qualifying event changes what follows from it and nothing else; nobody is demoted while we are
//! at fault, and a visit never shortens what was earned before it.
//! Leaves out: manual tiers, which stand above these rules until they end by themselves.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::calendar::{add_days, days_between};
use crate::policy::PrimaryRule;

/// The standing of a customer, in rising order. The list in a policy is data that names exactly
/// these three: their conditions differ in kind, so a fourth would need new rules, not new data.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Nothing bought or booked yet.
    #[default]
    Prospect,
    /// At least one qualifying day.
    Secondary,
    /// Long standing, often enough, lately enough.
    Primary,
}

impl Tier {
    /// All tiers, lowest first.
    pub const ALL: [Self; 3] = [Self::Prospect, Self::Secondary, Self::Primary];

    /// The name used in events, policies and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prospect => "prospect",
            Self::Secondary => "secondary",
            Self::Primary => "primary",
        }
    }
}

/// The qualifying events of a customer by local date; several on one date count once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qualifying {
    days: BTreeMap<Date, BTreeSet<String>>,
}

impl Qualifying {
    /// Adds an event, by its reference.
    pub fn insert(&mut self, day: Date, event: impl Into<String>) {
        self.days.entry(day).or_default().insert(event.into());
    }

    /// Takes an event out again, as a void or a returned sale does.
    pub fn remove(&mut self, day: Date, event: &str) {
        if let Some(events) = self.days.get_mut(&day) {
            events.remove(event);
            if events.is_empty() {
                self.days.remove(&day);
            }
        }
    }

    /// The dates with their events, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Date, &BTreeSet<String>)> {
        self.days.iter().map(|(day, events)| (*day, events))
    }

    /// The dates up to and including `date`, oldest first.
    fn up_to(&self, date: Date) -> Vec<Date> {
        self.days.range(..=date).map(|(day, _)| *day).collect()
    }
}

/// The local dates on which we were at fault: disjoint, sorted, half-open intervals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    spans: Vec<(Date, Option<Date>)>,
}

impl Faults {
    /// The union of intervals `[start date, end date)`, in any order; without an end a fault is
    /// still open.
    pub fn union(spans: impl IntoIterator<Item = (Date, Option<Date>)>) -> Self {
        let mut sorted: Vec<_> = spans.into_iter().collect();
        sorted.retain(|(from, to)| to.is_none_or(|to| to > *from));
        sorted.sort_by_key(|(from, _)| *from);
        let mut union: Vec<(Date, Option<Date>)> = Vec::new();
        for (from, to) in sorted {
            match union.last_mut() {
                Some((_, end)) if end.is_none_or(|end| end >= from) => {
                    *end = end.zip(to).map(|(a, b)| a.max(b));
                }
                _ => union.push((from, to)),
            }
        }
        Self { spans: union }
    }

    /// Since when we are at fault without a break, if we are on that date.
    #[must_use]
    pub fn since(&self, date: Date) -> Option<Date> {
        let latest = self.spans.iter().rev().find(|(from, _)| *from <= date)?;
        latest.1.is_none_or(|to| to > date).then_some(latest.0)
    }

    /// Days at fault that are later than `after` and not later than `until`.
    #[must_use]
    pub fn days(&self, after: Date, until: Date) -> i64 {
        let (begin, end) = (add_days(after, 1), add_days(until, 1));
        let inside = self.spans.iter().map(|(from, to)| {
            days_between((*from).max(begin), to.map_or(end, |to| to.min(end))).max(0)
        });
        inside.sum()
    }

    /// A lapse date moved by the days at fault after `last`. Faults that began after the moved
    /// date came too late to hold anything. None: a fault is open, so nothing lapses.
    fn hold(&self, lapses_on: Date, last: Date) -> Option<Date> {
        let (mut lapses_on, begin) = (lapses_on, add_days(last, 1));
        for (from, to) in &self.spans {
            let from = (*from).max(begin);
            if from > lapses_on {
                break;
            }
            let days = days_between(from, (*to)?);
            lapses_on = add_days(lapses_on, days.max(0));
        }
        Some(lapses_on)
    }

    /// What was known of the faults on a date: later ones left out, unfinished ones open.
    fn known_on(&self, date: Date) -> Self {
        let begun = self.spans.iter().filter(|(from, _)| *from <= date);
        Self { spans: begun.map(|(from, to)| (*from, to.filter(|to| *to <= date))).collect() }
    }
}

/// One condition of the tier `primary` on a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// `tenure_days`, `window_count` or `recency_days`.
    pub name: &'static str,
    /// The policy's figure: at least this for tenure and count, less than this for recency.
    pub needed: i64,
    /// The customer's figure; none without any qualifying day.
    pub have: Option<i64>,
    /// Whether it is met.
    pub met: bool,
}

/// Everything a tier depends on.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The customer's qualifying days, of all linked identities.
    pub qualifying: &'a Qualifying,
    /// When we were at fault towards the customer.
    pub faults: &'a Faults,
    /// The rule of the policy in force on the date asked for.
    pub rule: &'a PrimaryRule,
}

/// A time as primary: `[from, until)`; open while a fault holds it.
#[derive(Debug, Clone, Copy)]
struct Run {
    from: Date,
    until: Option<Date>,
}

impl Run {
    fn covers(&self, date: Date) -> bool {
        self.from <= date && self.until.is_none_or(|until| date < until)
    }
}

impl Standing<'_> {
    /// The tier on a date.
    #[must_use]
    pub fn tier_at(&self, date: Date) -> Tier {
        let days = self.qualifying.up_to(date);
        if days.is_empty() {
            Tier::Prospect
        } else if self.run_at(date).is_some() {
            Tier::Primary
        } else {
            Tier::Secondary
        }
    }

    /// The date since which the tier of `date` holds without a break; none for a prospect, who
    /// was one from the start.
    #[must_use]
    pub fn since(&self, date: Date) -> Option<Date> {
        let first = *self.qualifying.up_to(date).first()?;
        let ended = |run: &Run| run.until.filter(|until| *until <= date);
        match self.run_at(date) {
            Some(run) => Some(run.from),
            None => Some(self.runs(date).iter().filter_map(ended).max().unwrap_or(first)),
        }
    }

    /// The date on which the customer becomes primary if nothing more happens, or became it if
    /// primary on `date`. None if time alone is not enough.
    #[must_use]
    pub fn eligible_on(&self, date: Date) -> Option<Date> {
        let ahead = |run: &Run| run.covers(date) || run.from > date;
        self.runs(date).into_iter().find(ahead).map(|run| run.from)
    }

    /// The date on which a primary customer stops being one if nothing more happens. None for
    /// other tiers, and while we are at fault.
    #[must_use]
    pub fn lapses_on(&self, date: Date) -> Option<Date> {
        let run = self.run_at(date)?;
        run.until.filter(|_| !self.is_held(date))
    }

    /// Whether we are at fault on a date, so that nobody is demoted.
    #[must_use]
    pub fn is_held(&self, date: Date) -> bool {
        self.faults.since(date).is_some()
    }

    /// Days by which faults moved the lapse date: those after the newest qualifying day and up to
    /// `date`.
    #[must_use]
    pub fn held_days(&self, date: Date) -> i64 {
        let days = self.qualifying.up_to(date);
        days.last().map_or(0, |last| self.faults.days(*last, date))
    }

    /// The first date after `after` on which the tier is not `current`, if nothing more happens
    /// that is not known on `after`.
    #[must_use]
    pub fn next_change(&self, after: Date, current: Tier) -> Option<(Date, Tier)> {
        let next = add_days(after, 1);
        let runs = self.runs(after);
        let tier = |date: Date| match self.qualifying.up_to(after).first() {
            None => Tier::Prospect,
            Some(_) if runs.iter().any(|run| run.covers(date)) => Tier::Primary,
            Some(_) => Tier::Secondary,
        };
        let ends = runs.iter().flat_map(|run| [Some(run.from), run.until]).flatten();
        let mut dates: Vec<_> = ends.filter(|date| *date > next).chain([next]).collect();
        dates.sort();
        dates.into_iter().map(|date| (date, tier(date))).find(|(_, tier)| *tier != current)
    }

    /// The conditions of `primary` on a date, each with what is needed and what is there.
    #[must_use]
    pub fn conditions(&self, date: Date) -> Vec<Condition> {
        let days = self.qualifying.up_to(date);
        let age = |day: Option<&Date>| day.map(|day| days_between(*day, date));
        let (tenure, recency) = (age(days.first()), age(days.last()));
        let young = days.iter().filter(|day| days_between(**day, date) < self.rule.window_days);
        let count = i64::try_from(young.count()).unwrap_or(i64::MAX);
        let PrimaryRule { tenure_days, window_count, recency_days, .. } = *self.rule;
        let condition = |name, needed, have, met| Condition { name, needed, have, met };
        vec![
            condition(
                "tenure_days",
                tenure_days,
                tenure,
                tenure.is_some_and(|have| have >= tenure_days),
            ),
            condition("window_count", window_count, Some(count), count >= window_count),
            condition(
                "recency_days",
                recency_days,
                recency,
                recency.is_some_and(|have| have < recency_days),
            ),
        ]
    }

    fn run_at(&self, date: Date) -> Option<Run> {
        self.runs(date).into_iter().find(|run| run.covers(date))
    }

    /// All times as primary, past and expected, as known on a date: sorted and apart.
    ///
    /// Between two qualifying days only time passes, so the conditions begin to hold once and stop
    /// once. Walking from one qualifying day to the next therefore finds every run.
    fn runs(&self, as_of: Date) -> Vec<Run> {
        let days = self.qualifying.up_to(as_of);
        let faults = self.faults.known_on(as_of);
        let mut runs: Vec<Run> = Vec::new();
        for index in 0..days.len() {
            let next = days.get(index + 1).copied();
            let Some(own) = self.run_from(&days, index, &faults) else { continue };
            if next.is_some_and(|next| own.from >= next) {
                continue; // the next qualifying day comes first and decides anew
            }
            match runs.last_mut() {
                // What was earned before is never shortened by coming again, and a run that ends
                // on the very day another begins goes on.
                Some(run) if run.until.is_none_or(|until| until >= own.from) => {
                    run.until = run.until.zip(own.until).map(|(a, b)| a.max(b));
                }
                _ => runs.push(own),
            }
        }
        runs
    }

    /// The run that follows from the qualifying days up to the one at `index`, if time goes on
    /// without another.
    fn run_from(&self, days: &[Date], index: usize, faults: &Faults) -> Option<Run> {
        let rule = self.rule;
        let (first, last) = (*days.first()?, *days.get(index)?);
        let wanted = usize::try_from(rule.window_count).ok()?.max(1);
        let oldest_needed = *days.get((index + 1).checked_sub(wanted)?)?;
        let from = add_days(first, rule.tenure_days).max(last);
        let leaves_window = add_days(oldest_needed, rule.window_days);
        let lapses_on = leaves_window.min(add_days(last, rule.recency_days));
        (from < lapses_on).then(|| Run { from, until: faults.hold(lapses_on, last) })
    }
}

#[cfg(test)]
mod tests;
