//! Local days and hours of the story, counted from the day of its end.
//!
//! Day 0 is the local date of the story's `now`, day -1 the day before. Promises that the
//! same plan gives the same instants; does not know holidays.

use events::problem::Text;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::Plan;
use super::dice::Dice;

/// Turns days and minutes of the tenant's wall clock into instants and text.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    zone: TimeZone,
    today: Date,
}

/// Minutes of a day at which the desk opens.
const OPENS: i64 = 8 * 60;

impl Calendar {
    /// The calendar of a plan.
    pub(super) fn new(plan: &Plan) -> Self {
        let zone = plan.tenant_zone.clone();
        let today = plan.now.to_zoned(zone.clone()).date();
        Self { zone, today }
    }

    /// The local date of `day`.
    pub(super) fn date(&self, day: i64) -> Date {
        self.today.saturating_add(Span::new().days(day.clamp(-7_000, 7_000)))
    }

    /// The instant at `minute` minutes of the wall clock on `day`; minutes past the end of
    /// the day fall on the following days.
    pub(super) fn at(&self, day: i64, minute: i64) -> Timestamp {
        let date = self.date(day + minute.div_euclid(24 * 60));
        let minute = minute.rem_euclid(24 * 60);
        let hour = i8::try_from(minute / 60).expect("a day has 24 hours");
        let minute = i8::try_from(minute % 60).expect("an hour has 60 minutes");
        date.at(hour, minute, 0, 0)
            .to_zoned(self.zone.clone())
            .expect("the story lies within the years a clock can show")
            .timestamp()
    }

    /// The local day of an instant.
    pub(super) fn day_of(&self, at: Timestamp) -> i64 {
        let date = self.zone.to_datetime(at).date();
        date.duration_since(self.today).as_hours().div_euclid(24)
    }

    /// Minutes of the wall clock at an instant.
    pub(super) fn minute_of(&self, at: Timestamp) -> i64 {
        let time = self.zone.to_datetime(at).time();
        i64::from(time.hour()) * 60 + i64::from(time.minute())
    }

    /// `day`, or the Saturday before it if it is a Sunday.
    pub(super) fn open_day(&self, day: i64) -> i64 {
        if self.date(day).weekday() == Weekday::Sunday { day - 1 } else { day }
    }

    /// The first Saturday from `day` on.
    pub(super) fn saturday_from(&self, day: i64) -> i64 {
        let ahead = self.date(day).weekday().until(Weekday::Saturday);
        day + i64::from(ahead)
    }

    /// The last open day on which `minute` is not after `now`.
    pub(super) fn last_open_day(&self, now: Timestamp, minute: i64) -> i64 {
        let today = self.open_day(0);
        if self.at(today, minute) <= now { today } else { self.open_day(today - 1) }
    }

    /// `now` within opening hours, but for the first two; otherwise the last time the desk closed.
    pub(super) fn desk_time(&self, now: Timestamp) -> Timestamp {
        let minute = self.minute_of(now);
        if self.open_day(0) == 0 && (OPENS + 120..=self.closes(0)).contains(&minute) {
            return now;
        }
        let today = self.open_day(0);
        let closed = self.at(today, self.closes(today));
        if closed <= now {
            return closed;
        }
        let before = self.open_day(today - 1);
        self.at(before, self.closes(before))
    }

    /// Minutes of the day at which the desk closes.
    fn closes(&self, day: i64) -> i64 {
        if self.date(day).weekday() == Weekday::Saturday { 13 * 60 } else { 17 * 60 }
    }

    /// An instant in words, as somebody says it at `now`.
    pub(super) fn said(&self, at: Timestamp, now: Timestamp) -> Text {
        events::spoken::time(at, now, &self.zone)
    }

    /// A moment in opening hours of `day` (or of the Saturday before a Sunday), with at least
    /// `spare` minutes left before closing.
    pub(super) fn desk_moment(&self, day: i64, spare: i64, dice: &mut Dice) -> Timestamp {
        let day = self.open_day(day);
        let minute = dice.between(OPENS, (self.closes(day) - spare).max(OPENS));
        self.at(day, minute)
    }

    /// An instant as the publishers of the hotel write it: local time with offset.
    pub(super) fn text(&self, at: Timestamp) -> String {
        let at = at.round(jiff::Unit::Second).unwrap_or(at);
        at.display_with_offset(self.zone.to_offset(at)).to_string()
    }
}
