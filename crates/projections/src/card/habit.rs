//! Habits, tastes and needs: noted ones that fade, and those that bookings show.
//!
//! Strength is `floor(confidence × 0.5^(age in days / half-life))`; noting something again restarts
//! its age and takes the higher confidence; needs do not fade. What fulfilled bookings have in
//! common counts from three cases and half of them on.

use std::collections::BTreeMap;

use events::calendar::days_between;
use events::fact::customer::{Polarity, TraitNoted};
use events::id::{EventRef, Ident, Slug};
use events::policy::Habit;
use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

use crate::entry::Entry;

/// Habits shown on a card.
pub const HABITS_MAX: usize = 7;
/// Traits remembered of one customer.
const TRAITS_MAX: usize = 64;
/// Places remembered of one customer's bookings.
const VENUES_MAX: usize = 32;
/// Cases from which on a pattern is one.
const CASES_MIN: i64 = 3;

/// A habit, taste or need as somebody saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trait {
    /// What it concerns.
    pub r#trait: Slug,
    /// What was seen.
    pub value: Box<str>,
    /// Whether they are, like, dislike or need it.
    pub polarity: Polarity,
    /// How sure, 0 to 100: the most anybody was.
    pub confidence: u8,
    /// When it was last seen.
    pub noted_at: Timestamp,
    /// The local day of that.
    pub noted_on: Date,
    /// When it is no longer believed.
    pub expires_at: Option<Timestamp>,
    /// The event that noted it last.
    pub event: EventRef,
}

/// A habit or need as a card shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What it concerns.
    pub r#trait: String,
    /// What was seen. About the person.
    pub value: String,
    /// How much it still counts, 0 to 100.
    pub strength: u8,
    /// The event that noted it; none where bookings show it.
    pub event: Option<EventRef>,
    /// Whether they are, like, dislike or need it.
    pub polarity: Polarity,
}

/// Takes a noted trait in: a new one, an old one again, or one that is taken back.
pub(super) fn note(traits: &mut Vec<Trait>, it: &TraitNoted, entry: &Entry<'_>) {
    let is_same = |known: &Trait| {
        known.r#trait == it.r#trait && known.value.to_lowercase() == it.value.to_lowercase()
    };
    let before = traits.iter().position(is_same).map(|at| traits.remove(at));
    if it.forget {
        return;
    }
    traits.push(Trait {
        r#trait: it.r#trait.clone(),
        value: it.value.as_str().into(),
        polarity: it.polarity,
        confidence: before.map_or(0, |it| it.confidence).max(it.confidence),
        noted_at: entry.at(),
        noted_on: entry.day,
        expires_at: it.expires_at,
        event: entry.reference(),
    });
    if TRAITS_MAX < traits.len() {
        // Needs stay: an allergy must not be forgotten over a favourite newspaper.
        let oldest = traits.iter().position(|it| it.polarity != Polarity::Needs).unwrap_or(0);
        traits.remove(oldest);
    }
}

impl Trait {
    /// How much it counts on a local day, 0 to 100.
    #[must_use]
    pub fn strength(&self, today: Date, policy: &Habit) -> u8 {
        if self.polarity == Polarity::Needs {
            return self.confidence;
        }
        let age = days_between(self.noted_on, today).max(0);
        // Days and half-lives are policy-sized numbers, far below where they would lose digits.
        let number = |it: i64| f64::from(i32::try_from(it).unwrap_or(i32::MAX));
        let halves = number(age) / number(policy.half_life_days.max(1));
        let left = f64::from(self.confidence) * 0.5_f64.powf(halves);
        (0..=self.confidence).rev().find(|it| f64::from(*it) <= left).unwrap_or(0)
    }

    /// Whether a card shows it.
    #[must_use]
    pub fn is_shown(&self, now: Timestamp, today: Date, policy: &Habit) -> bool {
        let fits = self.expires_at.is_none_or(|until| now < until);
        fits && policy.hide_below <= i64::from(self.strength(today, policy))
    }

    fn shown(&self, today: Date, policy: &Habit) -> Shown {
        Shown {
            r#trait: self.r#trait.to_string(),
            value: self.value.to_string(),
            strength: self.strength(today, policy),
            event: Some(self.event.clone()),
            polarity: self.polarity,
        }
    }
}

/// The habits and the needs of a customer at an instant, the strongest first. Habits that bookings
/// show come after those that people saw.
#[must_use]
pub fn shown(
    traits: &[Trait],
    observed: &Observed,
    now: Timestamp,
    today: Date,
    policy: &Habit,
) -> (Vec<Shown>, Vec<Shown>) {
    let mut believed: Vec<&Trait> =
        traits.iter().filter(|it| it.is_shown(now, today, policy)).collect();
    believed.sort_by_key(|it| {
        let strength = it.strength(today, policy);
        (std::cmp::Reverse((strength, it.noted_at)), it.r#trait.clone(), it.value.clone())
    });
    let (needs, habits): (Vec<_>, Vec<_>) =
        believed.into_iter().partition(|it| it.polarity == Polarity::Needs);
    let show = |it: &Trait| it.shown(today, policy);
    let mut habits: Vec<Shown> = habits.into_iter().map(show).collect();
    habits.extend(observed.habits());
    habits.truncate(HABITS_MAX);
    (habits, needs.into_iter().map(show).collect())
}

/// How often fulfilled bookings shared a place, a weekday, a month.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    cases: i64,
    venues: BTreeMap<Ident, i64>,
    weekdays: BTreeMap<i8, i64>,
    months: BTreeMap<i8, i64>,
}

impl Observed {
    /// One more fulfilled booking.
    pub(super) fn see(&mut self, venue: &Ident, day: Date) {
        self.cases += 1;
        if self.venues.contains_key(venue) || self.venues.len() < VENUES_MAX {
            *self.venues.entry(venue.clone()).or_default() += 1;
        }
        *self.weekdays.entry(day.weekday().to_monday_zero_offset()).or_default() += 1;
        *self.months.entry(day.month()).or_default() += 1;
    }

    /// What at least three cases and half of them have in common; the strength is the share.
    fn habits(&self) -> Vec<Shown> {
        let usual = |name: &str, value: Option<(String, i64)>| {
            let (value, count) = value?;
            let share = count.saturating_mul(100).checked_div(self.cases)?;
            is_habit(count, self.cases).then(|| Shown {
                r#trait: name.to_owned(),
                value,
                strength: u8::try_from(share).unwrap_or(100),
                event: None,
                polarity: Polarity::Is,
            })
        };
        let venue = most(&self.venues).map(|(it, count)| (it.to_string(), count));
        let weekday = most(&self.weekdays).map(|(it, count)| (weekday_name(*it), count));
        let month = most(&self.months).map(|(it, count)| (format!("{it:02}"), count));
        [
            usual("favourite_venue", venue),
            usual("usual_weekday", weekday),
            usual("usual_month", month),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The most frequent key; of several the first.
fn most<K: Ord>(counts: &BTreeMap<K, i64>) -> Option<(&K, i64)> {
    let best = counts.iter().max_by_key(|(key, count)| (**count, std::cmp::Reverse(*key)))?;
    Some((best.0, *best.1))
}

/// The key that is a habit: of at least three cases and half of all.
pub(super) fn usual<K: Ord>(counts: &BTreeMap<K, i64>) -> Option<&K> {
    let (key, count) = most(counts)?;
    is_habit(count, counts.values().sum()).then_some(key)
}

fn is_habit(count: i64, cases: i64) -> bool {
    CASES_MIN <= count && cases <= count.saturating_mul(2)
}

fn weekday_name(offset: i8) -> String {
    let name = match Weekday::from_monday_zero_offset(offset) {
        Ok(Weekday::Monday) | Err(_) => "monday",
        Ok(Weekday::Tuesday) => "tuesday",
        Ok(Weekday::Wednesday) => "wednesday",
        Ok(Weekday::Thursday) => "thursday",
        Ok(Weekday::Friday) => "friday",
        Ok(Weekday::Saturday) => "saturday",
        Ok(Weekday::Sunday) => "sunday",
    };
    name.to_owned()
}
