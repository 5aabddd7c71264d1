//! A tenant's calendar: which minutes count as working time, and where a local day begins.
//!
//! Promises: every answer depends on the arguments and the bundled zone data only; every loop is
//! bounded by [`HORIZON_DAYS`]; the working time from `t` to `add_working(t, m)` is `m` minutes.
//! Refuses nothing: bodies of policies are checked in `policy`, before a calendar exists.
//! A calendar without any working interval counts plain minutes, so that a deadline always exists.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// An allowance of working time ends at the latest this many days after it began (20 years).
pub const HORIZON_DAYS: i64 = 7_305;

/// Minutes of a local day, and the largest value of [`Interval::to`].
pub const DAY_MINUTES: i16 = 1_440;

/// A half-open part of a local day, in minutes after midnight: `0 <= from < to <= 1440`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// The first minute inside.
    pub from: i16,
    /// The first minute after it; 1440 is the midnight that ends the day.
    pub to: i16,
}

/// Working hours, quiet hours and the zone in which local dates are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// The time zone of all local dates and times.
    pub zone: TimeZone,
    /// Its IANA name, such as `Asia/Jakarta`.
    pub zone_name: String,
    /// Open intervals of Monday (first) to Sunday, each day sorted and without overlaps.
    pub working: [Vec<Interval>; 7],
    /// Hours in which notices may be delivered, on every day of the week.
    pub daytime: Interval,
    /// Local dates without working time.
    pub holidays: BTreeSet<Date>,
    /// The local time at which durations in days become instants.
    pub alert_hour: Time,
}

impl Calendar {
    /// The instant at which `minutes` of working time after `from` have passed. An allowance that
    /// ends exactly at closing ends then. Zero or less gives `from` itself; an allowance that
    /// does not fit into [`HORIZON_DAYS`] ends with them.
    #[must_use]
    pub fn add_working(&self, from: Timestamp, minutes: i64) -> Timestamp {
        let week = self.week_minutes();
        if week == 0 {
            return after(from, minutes_long(minutes.max(0)));
        }
        self.spend(from, minutes, week, |day| self.working_on(day))
    }

    /// Like [`Calendar::add_working`], counted in daytime hours, which holidays do not interrupt.
    #[must_use]
    pub fn add_daytime(&self, from: Timestamp, minutes: i64) -> Timestamp {
        let week = self.daytime.minutes() * 7;
        self.spend(from, minutes, week, |_| std::slice::from_ref(&self.daytime))
    }

    /// Whole minutes of working time in `[a, b)`, rounded down; 0 when `b` is not after `a`.
    /// A calendar without any working interval counts every minute.
    #[must_use]
    pub fn working_between(&self, a: Timestamp, b: Timestamp) -> i64 {
        if b <= a {
            return 0;
        }
        let (mut day, last) = (self.local_date(a), self.local_date(b));
        let week = self.week_minutes();
        if week == 0 {
            return b.duration_since(a).as_mins();
        }
        let mut sum = SignedDuration::ZERO;
        while day <= last {
            // Only weeks that lie wholly between the two instants may be counted at once.
            let weeks = days_between(day, last) / 7;
            if self.start_of(day) >= a && weeks > 0 && self.is_regular(day, weeks) {
                sum += minutes_long(week.saturating_mul(weeks));
                day = add_days(day, weeks * 7);
                continue;
            }
            sum += self
                .windows(day, self.working_on(day))
                .map(|(open, close)| close.min(b).duration_since(open.max(a)))
                .filter(SignedDuration::is_positive)
                .fold(SignedDuration::ZERO, SignedDuration::saturating_add);
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        sum.as_mins()
    }

    /// The tenant's local date at an instant.
    #[must_use]
    pub fn local_date(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// The alert hour (09:00 by default) of a local date.
    #[must_use]
    pub fn at_alert_hour(&self, day: Date) -> Timestamp {
        self.at_time(day, self.alert_hour)
    }

    /// The first instant of a local date.
    #[must_use]
    pub fn start_of(&self, day: Date) -> Timestamp {
        self.at_time(day, Time::midnight())
    }

    /// Whether notices may be delivered now.
    #[must_use]
    pub fn in_daytime(&self, at: Timestamp) -> bool {
        let day = self.local_date(at);
        let (open, close) = self.window(day, self.daytime);
        open <= at && at < close
    }

    /// `at` itself when it lies in daytime, else the next moment at which daytime begins.
    #[must_use]
    pub fn next_daytime(&self, at: Timestamp) -> Timestamp {
        let day = self.local_date(at);
        let (open, close) = self.window(day, self.daytime);
        if at < close { at.max(open) } else { self.window(add_days(day, 1), self.daytime).0 }
    }

    /// Whether a local date has any working time.
    #[must_use]
    pub fn is_working_day(&self, day: Date) -> bool {
        !self.working_on(day).is_empty()
    }

    /// Lets `minutes` pass inside the intervals that `open_on` gives for each local date; a plain
    /// week of them holds `week` minutes.
    fn spend<'a>(
        &'a self,
        from: Timestamp,
        minutes: i64,
        week: i64,
        open_on: impl Fn(Date) -> &'a [Interval],
    ) -> Timestamp {
        let mut left = minutes_long(minutes);
        if !left.is_positive() {
            return from;
        }
        let first = self.local_date(from);
        let end = add_days(first, HORIZON_DAYS);
        let mut day = first;
        while day < end {
            // The last week is always walked, so an allowance can end exactly at closing.
            let weeks = ((left.as_mins() - 1) / week.max(1)).min(days_between(day, end) / 7);
            if day > first && week > 0 && weeks > 0 && self.is_regular(day, weeks) {
                left = left.saturating_sub(minutes_long(week.saturating_mul(weeks)));
                day = add_days(day, weeks * 7);
                continue;
            }
            for (open, close) in self.windows(day, open_on(day)) {
                let start = open.max(from);
                let room = close.duration_since(start);
                if room.is_positive() && left <= room {
                    return after(start, left);
                }
                left = left.saturating_sub(room.max(SignedDuration::ZERO));
            }
            day = add_days(day, 1);
        }
        self.start_of(end)
    }

    /// The working intervals of a local date; none on a holiday.
    fn working_on(&self, day: Date) -> &[Interval] {
        if self.holidays.contains(&day) {
            return &[];
        }
        let [mon, tue, wed, thu, fri, sat, sun] = &self.working;
        match day.weekday() {
            Weekday::Monday => mon,
            Weekday::Tuesday => tue,
            Weekday::Wednesday => wed,
            Weekday::Thursday => thu,
            Weekday::Friday => fri,
            Weekday::Saturday => sat,
            Weekday::Sunday => sun,
        }
    }

    /// Working minutes of a week, holidays and clock changes apart.
    fn week_minutes(&self) -> i64 {
        self.working.iter().flatten().map(Interval::minutes).sum()
    }

    /// Whether `weeks` weeks from `day` on have no holiday and no change of the clocks, so that
    /// each of them holds the working time of the written week.
    fn is_regular(&self, day: Date, weeks: i64) -> bool {
        let end = add_days(day, weeks.saturating_mul(7));
        if self.holidays.range(day..end).next().is_some() {
            return false;
        }
        let begin = after(self.start_of(day), SignedDuration::from_nanos(-1));
        let change = self.zone.following(begin).next();
        change.is_none_or(|change| change.timestamp() > self.start_of(end))
    }

    fn windows<'a>(
        &'a self,
        day: Date,
        intervals: &'a [Interval],
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + 'a {
        intervals.iter().map(move |interval| self.window(day, *interval))
    }

    fn window(&self, day: Date, interval: Interval) -> (Timestamp, Timestamp) {
        (self.at_minute(day, interval.from), self.at_minute(day, interval.to))
    }

    fn at_minute(&self, day: Date, minute: i16) -> Timestamp {
        if minute >= DAY_MINUTES {
            return self.start_of(add_days(day, 1));
        }
        self.at_time(day, time_of(minute))
    }

    /// A local time as an instant. A time that a clock change skips is read as the later one, a
    /// time that occurs twice as the earlier one.
    fn at_time(&self, day: Date, time: Time) -> Timestamp {
        let local = day.to_datetime(time);
        self.zone.to_ambiguous_timestamp(local).compatible().unwrap_or(Timestamp::MAX)
    }
}

impl Interval {
    /// Its length in minutes.
    #[must_use]
    pub fn minutes(&self) -> i64 {
        i64::from(self.to - self.from)
    }
}

/// The date `days` days after `day` (before it, if negative); the last possible date when there is
/// no such date.
#[must_use]
pub fn add_days(day: Date, days: i64) -> Date {
    Span::new().try_days(days).and_then(|span| day.checked_add(span)).unwrap_or(Date::MAX)
}

/// Days from `a` to `b`; negative when `b` is before `a`.
#[must_use]
pub fn days_between(a: Date, b: Date) -> i64 {
    b.duration_since(a).as_hours() / 24
}

/// The local time `minute` minutes after midnight, for `0 <= minute < 1440`.
fn time_of(minute: i16) -> Time {
    let hour = i8::try_from(minute / 60).unwrap_or(23);
    let minute = i8::try_from(minute % 60).unwrap_or(59);
    Time::new(hour, minute, 0, 0).unwrap_or(Time::midnight())
}

/// A duration of minutes; more than an allowance can hold is cut, which the horizon hides.
fn minutes_long(minutes: i64) -> SignedDuration {
    let most = (HORIZON_DAYS + 1) * i64::from(DAY_MINUTES);
    SignedDuration::from_mins(minutes.min(most))
}

fn after(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a test writes valid instants")
    }

    fn jakarta() -> Calendar {
        let weekday = vec![Interval { from: 480, to: 1_020 }];
        let saturday = vec![Interval { from: 480, to: 780 }];
        Calendar {
            zone: TimeZone::get("Asia/Jakarta").expect("the zone is bundled"),
            zone_name: "Asia/Jakarta".to_owned(),
            working: std::array::from_fn(|day| match day {
                0..=4 => weekday.clone(),
                5 => saturday.clone(),
                _ => vec![],
            }),
            daytime: Interval { from: 480, to: 1_200 },
            holidays: BTreeSet::new(),
            alert_hour: Time::constant(9, 0, 0, 0),
        }
    }

    /// Minute by minute: the definition, too slow for anything but a test.
    fn slow(calendar: &Calendar, from: Timestamp, minutes: i64) -> Timestamp {
        let (mut now, mut left) = (from, minutes);
        while left > 0 {
            let local = calendar.zone.to_datetime(now);
            let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
            let open = calendar.working_on(local.date()).iter();
            left -= i64::from(open.clone().any(|it| it.from <= minute && minute < it.to));
            now += SignedDuration::from_mins(1);
        }
        now
    }

    #[test]
    fn allowances_of_the_stories_end_when_the_stories_say() {
        let calendar = jakarta();
        for (from, hours, due) in [
            ("2026-05-09T12:30+07", 4, "2026-05-11T11:30+07"), // S4 answer
            ("2026-05-16T10:00+07", 2, "2026-05-16T12:00+07"), // S5 reply
            ("2026-05-16T10:00+07", 9, "2026-05-18T14:00+07"), // S5 resolution
            ("2026-05-21T09:00+07", 2, "2026-05-21T11:00+07"), // S5 reopened
            ("2026-07-20T09:00+07", 27, "2026-07-23T09:00+07"), // S1 refund
            ("2026-08-02T18:05+07", 27, "2026-08-05T17:00+07"), // S2 refund, ends at closing
            ("2026-05-11T15:00+07", 4, "2026-05-12T10:00+07"), // S4 escalation
        ] {
            assert_eq!(calendar.add_working(at(from), hours * 60), at(due), "{from} + {hours} h");
        }
        let half = calendar.add_working(at("2026-05-21T09:00+07"), 270);
        assert_eq!(half, at("2026-05-21T13:30+07"));
    }

    #[test]
    fn a_call_in_counts_daytime_hours_on_a_sunday() {
        let calendar = jakarta();
        let until = calendar.add_daytime(at("2026-08-02T14:00+07"), 240);
        assert_eq!(until, at("2026-08-02T18:00+07"));
        let over_night = calendar.add_daytime(at("2026-08-02T18:00+07"), 240);
        assert_eq!(over_night, at("2026-08-03T10:00+07"));
    }

    #[test]
    fn an_allowance_that_ends_at_closing_ends_then_and_not_at_the_next_opening() {
        let calendar = jakarta();
        let closing = at("2026-05-09T13:00+07");
        assert_eq!(calendar.add_working(at("2026-05-09T08:00+07"), 300), closing);
        assert_eq!(calendar.add_working(closing, 0), closing);
        assert_eq!(calendar.working_between(closing, at("2026-05-11T08:00+07")), 0);
    }

    #[test]
    fn a_holiday_has_no_working_time_but_has_a_daytime() {
        let mut calendar = jakarta();
        calendar.holidays.insert(Date::constant(2026, 8, 17));
        let from = at("2026-08-15T12:00+07");
        assert_eq!(calendar.add_working(from, 120), at("2026-08-18T09:00+07"));
        assert!(calendar.in_daytime(at("2026-08-17T08:00+07")));
    }

    #[test]
    fn a_calendar_that_is_never_open_counts_plain_minutes() {
        let mut calendar = jakarta();
        calendar.working = std::array::from_fn(|_| vec![]);
        let from = at("2026-05-09T12:30+07");
        let due = calendar.add_working(from, 90);
        assert_eq!(due, at("2026-05-09T14:00+07"));
        assert_eq!(calendar.working_between(from, due), 90);
    }

    #[test]
    fn an_allowance_beyond_every_horizon_still_ends() {
        let calendar = jakarta();
        let due = calendar.add_working(at("2026-05-09T12:30+07"), i64::MAX);
        assert_eq!(calendar.local_date(due), Date::constant(2046, 5, 9));
    }

    #[test]
    fn quiet_hours_end_at_the_next_morning() {
        let calendar = jakarta();
        let evening = at("2026-08-02T20:00+07");
        assert!(!calendar.in_daytime(evening));
        assert_eq!(calendar.next_daytime(evening), at("2026-08-03T08:00+07"));
        assert_eq!(calendar.next_daytime(at("2026-08-02T03:00+07")), at("2026-08-02T08:00+07"));
        let noon = at("2026-08-02T12:00+07");
        assert_eq!(calendar.next_daytime(noon), noon);
    }

    #[test]
    fn local_days_begin_where_the_clocks_say_even_on_the_day_they_change() {
        let mut calendar = jakarta();
        calendar.zone = TimeZone::get("America/Havana").expect("the zone is bundled");
        let day = Date::constant(2026, 3, 8); // midnight does not exist: the day begins at 01:00
        assert_eq!(calendar.start_of(day), at("2026-03-08T01:00-04"));
        assert_eq!(calendar.local_date(calendar.start_of(day)), day);
        assert_eq!(calendar.at_alert_hour(day), at("2026-03-08T09:00-04"));
    }

    proptest! {
        #[test]
        fn the_calendar_agrees_with_counting_minute_by_minute(
            start in 0_i64..60 * 24 * 40,
            minutes in 0_i64..60 * 54 * 4,
            holidays in proptest::collection::btree_set(0_i64..70, 0..6),
            zone in prop_oneof![Just("Asia/Jakarta"), Just("Europe/Berlin")],
        ) {
            let mut calendar = jakarta();
            calendar.zone = TimeZone::get(zone).expect("the zone is bundled");
            let base = Date::constant(2026, 9, 14);
            calendar.holidays = holidays.into_iter().map(|day| add_days(base, day)).collect();
            let from = calendar.start_of(base) + SignedDuration::from_mins(start);
            let due = calendar.add_working(from, minutes);
            prop_assert_eq!(due, slow(&calendar, from, minutes));
            prop_assert_eq!(calendar.working_between(from, due), minutes);
        }

        #[test]
        fn skipping_weeks_gives_what_adding_in_two_parts_gives(
            first in 1_i64..60 * 54 * 60,
            second in 1_i64..60 * 54 * 60,
        ) {
            let calendar = jakarta();
            let from = at("2026-01-07T10:11:12.5+07");
            let once = calendar.add_working(from, first + second);
            prop_assert_eq!(calendar.add_working(calendar.add_working(from, first), second), once);
            prop_assert_eq!(calendar.working_between(from, once), first + second);
        }
    }
}
