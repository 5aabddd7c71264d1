//! The clocks of silence: when a customer is due to be heard of again.
//!
//! Promises: exact arithmetic on whole days, so every machine gives the same date; `count`,
//! `first` and `last` are all that is needed; the same set of dates gives the same answer in any
//! order. Refuses nothing: impossible figures are kept out by the policy's reader.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Serialize, Serializer};

use crate::calendar::{Calendar, add_days, days_between};
use crate::policy::ClockPolicy;
use crate::tier::Tier;

/// What one clock has heard: a summary of the set of local dates that reset it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// How many dates; at least 1.
    pub count: i64,
    /// The earliest.
    pub first: Date,
    /// The latest.
    pub last: Date,
}

/// The dates that follow from a silence, with the instants at the alert hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// The expected gap in days.
    pub rhythm: Ratio,
    /// Due soon from this date on.
    pub warn_on: Date,
    /// Overdue from this date on, unless suspended.
    pub due_on: Date,
    /// The alert hour of `warn_on`.
    pub warn_at: Timestamp,
    /// The alert hour of `due_on`.
    pub due_at: Timestamp,
}

impl Silence {
    /// A single date: one contact, or our clock before any contact, counted from the first fact
    /// of theirs.
    #[must_use]
    pub fn once(day: Date) -> Self {
        Self { count: 1, first: day, last: day }
    }

    /// The summary of a set of dates; none if it is empty.
    #[must_use]
    pub fn of(days: &BTreeSet<Date>) -> Option<Self> {
        let count = i64::try_from(days.len()).ok()?;
        Some(Self { count, first: *days.first()?, last: *days.last()? })
    }

    /// The summary with one more date, if it can be told from the summary alone: a date between
    /// `first` and `last` may or may not be counted already, so the customer is folded again.
    #[must_use]
    pub fn with(self, day: Date) -> Option<Self> {
        if day == self.first || day == self.last {
            Some(self)
        } else if day > self.last {
            Some(Self { count: self.count + 1, last: day, ..self })
        } else if day < self.first {
            Some(Self { count: self.count + 1, first: day, ..self })
        } else {
            None
        }
    }

    /// The gap in days that is usual with this customer, before the policy's bounds: their own gaps
    /// and one gap of the population, averaged.
    #[must_use]
    pub fn usual(&self, clock: &ClockPolicy) -> Ratio {
        let span = days_between(self.first, self.last);
        Ratio::new(span.saturating_add(clock.g0_days), self.count.max(1))
    }

    /// The expected gap in days: the customer's own gaps and one gap of the population, averaged,
    /// and kept within the policy's bounds. With a single date it is the bounded population gap,
    /// which the deadlines do not use.
    #[must_use]
    pub fn rhythm(&self, clock: &ClockPolicy, tier: Tier) -> Ratio {
        let most = *clock.rhythm_max_days.get(tier);
        self.usual(clock).max(Ratio::whole(clock.rhythm_min_days)).min(Ratio::whole(most))
    }

    /// The first date on which the silence is due soon.
    #[must_use]
    pub fn warn_on(&self, clock: &ClockPolicy, tier: Tier) -> Date {
        self.after_last(clock.first_warn_days, self.rhythm(clock, tier).times(2))
    }

    /// The first date on which the silence is overdue, unless suspended.
    #[must_use]
    pub fn due_on(&self, clock: &ClockPolicy, tier: Tier) -> Date {
        self.after_last(clock.first_due_days, self.rhythm(clock, tier).times(3))
    }

    /// Rhythm and both dates with their instants in the tenant's calendar.
    #[must_use]
    pub fn deadlines(&self, clock: &ClockPolicy, tier: Tier, calendar: &Calendar) -> Deadlines {
        let (warn_on, due_on) = (self.warn_on(clock, tier), self.due_on(clock, tier));
        Deadlines {
            rhythm: self.rhythm(clock, tier),
            warn_on,
            due_on,
            warn_at: calendar.at_alert_hour(warn_on),
            due_at: calendar.at_alert_hour(due_on),
        }
    }

    fn after_last(&self, single: i64, gaps: Ratio) -> Date {
        add_days(self.last, if self.count <= 1 { single } else { gaps.ceil() })
    }
}

/// An exact, non-negative fraction of days. Serialises as a number with one decimal.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    above: i64,
    below: i64,
}

impl Ratio {
    /// `above` / `below`; a divisor below 1 is read as 1, a dividend below 0 as 0.
    #[must_use]
    pub fn new(above: i64, below: i64) -> Self {
        Self { above: above.max(0), below: below.max(1) }
    }

    /// A whole number.
    #[must_use]
    pub fn whole(days: i64) -> Self {
        Self::new(days, 1)
    }

    /// The least whole number that is not less.
    #[must_use]
    pub fn ceil(self) -> i64 {
        let whole = self.above / self.below;
        whole + i64::from(self.above % self.below > 0)
    }

    /// A multiple.
    #[must_use]
    pub fn times(self, factor: i64) -> Self {
        Self::new(self.above.saturating_mul(factor), self.below)
    }

    /// The whole number of days that is nearest, halves up.
    #[must_use]
    pub fn rounded(self) -> i64 {
        (2 * self.above + self.below) / (2 * self.below)
    }

    /// For people and JSON only: rounded to one decimal, halves up.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        let twice = i128::from(self.above) * 20 + i128::from(self.below);
        let tenths = twice / (i128::from(self.below) * 2);
        f64::from(i32::try_from(tenths).unwrap_or(i32::MAX)) / 10.0
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = i128::from(self.above) * i128::from(other.below);
        left.cmp(&(i128::from(other.above) * i128::from(self.below)))
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ratio {}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.to_f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::Policies;

    fn date(text: &str) -> Date {
        text.parse().expect("a test writes valid dates")
    }

    fn heard(days: &[&str]) -> Silence {
        Silence::of(&days.iter().map(|day| date(day)).collect()).expect("a test has dates")
    }

    fn check(days: &[&str], clock: &ClockPolicy, tier: Tier, rhythm: Ratio, warn: &str, due: &str) {
        let deadlines = heard(days).deadlines(clock, tier, &Policies::default().calendar);
        assert_eq!(deadlines.rhythm, rhythm, "{days:?}");
        assert_eq!(deadlines.warn_on, date(warn), "{days:?}");
        assert_eq!(deadlines.due_on, date(due), "{days:?}");
        let instant = format!("{due}T09:00+07").parse::<Timestamp>().expect("an instant");
        assert_eq!(deadlines.due_at, instant, "{days:?}");
    }

    #[test]
    fn the_clocks_of_the_stories_ring_when_the_stories_say() {
        let Policies { neglect, .. } = Policies::default();
        let (we, they) = (&neglect.we, &neglect.they);
        let (secondary, primary) = (Tier::Secondary, Tier::Primary);
        let half = |above| Ratio::new(above, 2);
        // S3: a first stay.
        let stay = ["2026-10-03", "2026-10-04"];
        check(&stay, we, secondary, half(31), "2026-11-04", "2026-11-20");
        let theirs = ["2026-09-20", "2026-09-21", "2026-10-03", "2026-10-04"];
        check(&theirs, they, secondary, half(37), "2026-11-10", "2026-11-29");
        // S6: the small customer.
        let sari = ["2026-03-02", "2026-03-23", "2026-04-13", "2026-06-26"];
        let m = Ratio::whole;
        check(&sari[..3], we, secondary, m(24), "2026-05-31", "2026-06-24");
        check(&sari, we, secondary, m(30), "2026-08-25", "2026-09-24");
        // S7: the late tablet.
        let budi = ["2026-04-01", "2026-05-01", "2026-07-12"];
        check(&budi[..2], we, secondary, m(30), "2026-06-30", "2026-07-30");
        check(&budi, we, secondary, m(30), "2026-09-10", "2026-10-10");
        // S9: two records, one person.
        let one = ["2026-05-04", "2026-06-01"];
        check(&one, we, secondary, m(29), "2026-07-29", "2026-08-27");
        check(&["2026-06-15"], we, secondary, m(30), "2026-06-25", "2026-06-29");
        let merged = ["2026-05-04", "2026-06-01", "2026-06-15"];
        check(&merged, we, primary, m(20), "2026-07-25", "2026-08-14");
    }

    #[test]
    fn the_rhythm_is_exact_before_it_is_bounded_and_rounded_only_for_people() {
        assert_eq!(Ratio::new(146, 4), Ratio::new(73, 2)); // S6: 36.5
        let shown =
            |above, below| serde_json::to_string(&Ratio::new(above, below)).expect("serialisable");
        assert_eq!(shown(72, 3), "24.0");
        assert_eq!(shown(31, 2), "15.5");
        assert_eq!(shown(61, 3), "20.3");
        assert_eq!(shown(1, 20), "0.1");
        assert_eq!(Ratio::new(31, 2).times(3).ceil(), 47);
        assert_eq!(Ratio::new(31, 2).times(2).ceil(), 31);
    }

    fn dates() -> impl Strategy<Value = BTreeSet<Date>> {
        let days = proptest::collection::btree_set(0_i64..900, 1..12);
        days.prop_map(|days| {
            days.into_iter().map(|day| add_days(date("2024-01-01"), day)).collect()
        })
    }

    /// The definition of the rules by search: no fraction is formed, the least whole number of
    /// days is found that is not less than `factor` times the mean.
    fn slow_days(days: &BTreeSet<Date>, clock: &ClockPolicy, tier: Tier, factor: i64) -> i64 {
        let count = i64::try_from(days.len()).expect("few dates");
        let gaps: i64 =
            days.iter().zip(days.iter().skip(1)).map(|(a, b)| days_between(*a, *b)).sum();
        let most = factor * clock.rhythm_max_days.get(tier);
        let least = factor * clock.rhythm_min_days;
        (least..=most).find(|n| n * count >= factor * (gaps + clock.g0_days)).unwrap_or(most)
    }

    proptest! {
        #[test]
        fn deadlines_agree_with_a_search_for_them(
            days in dates(),
            g0 in 1_i64..200,
            least in 1_i64..20,
            more in 0_i64..100,
            tier in proptest::sample::select(&Tier::ALL[..]),
        ) {
            let mut clock = Policies::default().neglect.we.clone();
            (clock.g0_days, clock.rhythm_min_days) = (g0, least);
            clock.rhythm_max_days.primary = least + more;
            clock.rhythm_max_days.secondary = least + 2 * more;
            clock.rhythm_max_days.prospect = least;
            let silence = Silence::of(&days).expect("not empty");
            let last = *days.last().expect("not empty");
            if days.len() == 1 {
                prop_assert_eq!(silence.due_on(&clock, tier), add_days(last, 14));
                prop_assert_eq!(silence.warn_on(&clock, tier), add_days(last, 10));
            } else {
                let slow = |factor| add_days(last, slow_days(&days, &clock, tier, factor));
                prop_assert_eq!(silence.warn_on(&clock, tier), slow(2));
                prop_assert_eq!(silence.due_on(&clock, tier), slow(3));
            }
        }

        #[test]
        fn one_date_more_gives_the_summary_of_the_larger_set_or_asks_for_a_new_fold(
            mut days in dates(),
            day in 0_i64..900,
        ) {
            let day = add_days(date("2024-01-01"), day);
            let with = Silence::of(&days).expect("not empty").with(day);
            days.insert(day);
            if let Some(with) = with {
                prop_assert_eq!(Some(with), Silence::of(&days));
            }
        }
    }
}
