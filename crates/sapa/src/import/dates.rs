//! Dates and instants out of texts, for the forms of a map.
//!
//! Strict: of dates only `2015-07-01` and `20150701` are read, and months also by their English
//! names; `01/07/2015` is not guessed. Local times get the offset their zone had on that day.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::fault::Fault;
use super::forms::{fault, integer};
use super::template::{Expr, Row};
use super::value::{Moment, Value};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A date from one text, or from a year, a month and a day.
pub(super) fn date<'r>(parts: &[Expr], row: &Row<'r>) -> Result<Value<'r>, Fault> {
    let date = match parts {
        [year, month, day] => {
            let (Some(y), Some(m), Some(d)) =
                (integer(year, row)?, month_of(month, row)?, integer(day, row)?)
            else {
                return Ok(Value::Null);
            };
            let found = i16::try_from(y).ok().zip(i8::try_from(d).ok());
            found.and_then(|(y, d)| Date::new(y, m, d).ok()).ok_or_else(|| {
                Fault::new(day.column(), "not_date", format!("there is no day {y}-{m:02}-{d:02}"))
            })?
        }
        [whole] => match whole.eval(row)? {
            Value::Null => return Ok(Value::Null),
            Value::Date(date) => date,
            value => one_date(&value.to_text())
                .ok_or_else(|| fault(whole, "not_date", &value, "a date such as 2015-07-01"))?,
        },
        // `Form::of` lets only one or three through.
        _ => return Ok(Value::Null),
    };
    Ok(Value::Date(date))
}

/// `2015-07-01` or `20150701`, and nothing else that a date library would also take.
fn one_date(text: &str) -> Option<Date> {
    let plain = match text.as_bytes() {
        [_, _, _, _, b'-', _, _, b'-', _, _] => text.replace('-', ""),
        _ => text.to_owned(),
    };
    if plain.len() != 8 || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| plain.get(from..to)?.parse::<i16>().ok();
    let (month, day) = (i8::try_from(part(4, 6)?).ok()?, i8::try_from(part(6, 8)?).ok()?);
    Date::new(part(0, 4)?, month, day).ok()
}

/// A month by number or by its English name, whole or its first three letters.
fn month_of(expr: &Expr, row: &Row<'_>) -> Result<Option<i8>, Fault> {
    let value = expr.eval(row)?;
    if value == Value::Null {
        return Ok(None);
    }
    let text = value.to_text();
    let named = |(month, number): (&&str, i8)| {
        let short = month.get(..3).unwrap_or(month);
        (text.eq_ignore_ascii_case(month) || text.eq_ignore_ascii_case(short)).then_some(number)
    };
    let number = MONTHS.iter().zip(1_i8..).find_map(named).or_else(|| text.parse().ok());
    match number {
        Some(number @ 1..=12) => Ok(Some(number)),
        _ => Err(fault(expr, "not_month", &value, "a month from 1 to 12 or by its English name")),
    }
}

/// A date moved by a number of days.
pub(super) fn shifted<'r>(
    date: &Expr,
    days: &Expr,
    sign: i64,
    row: &Row<'r>,
) -> Result<Value<'r>, Fault> {
    let start = match date.eval(row)? {
        Value::Null => return Ok(Value::Null),
        Value::Date(start) => start,
        value => one_date(&value.to_text())
            .ok_or_else(|| fault(date, "not_date", &value, "a date such as 2015-07-01"))?,
    };
    let Some(count) = integer(days, row)? else { return Ok(Value::Null) };
    let moved =
        Span::new().try_days(count.saturating_mul(sign)).and_then(|span| start.checked_add(span));
    moved.map(Value::Date).map_err(|_| {
        let detail = format!("{count} days from {start} leave the calendar");
        Fault::new(days.column(), "too_large", detail)
    })
}

/// The instant of a date at a local time of day, or of a text that holds both.
pub(super) fn instant<'r>(
    date: &Expr,
    time: Option<&Expr>,
    zone: &TimeZone,
    row: &Row<'r>,
) -> Result<Value<'r>, Fault> {
    let value = date.eval(row)?;
    if value == Value::Null {
        return Ok(Value::Null);
    }
    let Some(time) = time else { return whole_moment(date, &value, zone) };
    let day = match &value {
        Value::Date(day) => *day,
        other => one_date(&other.to_text())
            .ok_or_else(|| fault(date, "not_date", &value, "a date such as 2015-07-01"))?,
    };
    match time.eval(row)? {
        Value::Null => Ok(Value::Null),
        hour => match time_of_day(&hour.to_text()) {
            Some(hour) => local(day.to_datetime(hour), zone, date),
            None => Err(fault(time, "not_time", &hour, "a time of day such as 14:00")),
        },
    }
}

/// `2015-07-01T14:00:00+07:00`, or the same without the offset in the zone of the map.
fn whole_moment<'r>(expr: &Expr, value: &Value<'_>, zone: &TimeZone) -> Result<Value<'r>, Fault> {
    let text = value.to_text();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return placed(moment, zone, expr);
    }
    let local_time: Option<DateTime> = text.parse().ok();
    match local_time.filter(|_| text.contains(':')) {
        Some(datetime) => local(datetime, zone, expr),
        None => Err(fault(expr, "not_instant", value, "a moment such as 2015-07-01 14:00:00")),
    }
}

/// `14:00` or `14:00:30`.
fn time_of_day(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| {
        let plain = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse::<i8>().ok()).flatten()
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

/// The instant of a local time. An hour that a clock skips is read as one later, and of an hour
/// that comes twice the first is meant, as calendars do.
fn local<'r>(datetime: DateTime, zone: &TimeZone, expr: &Expr) -> Result<Value<'r>, Fault> {
    match zone.to_ambiguous_timestamp(datetime).compatible() {
        Ok(moment) => placed(moment, zone, expr),
        Err(_) => Err(Fault::new(
            expr.column(),
            "not_instant",
            format!("{datetime} is outside the calendar"),
        )),
    }
}

/// An instant as the clocks of the zone show it.
fn placed<'r>(moment: Timestamp, zone: &TimeZone, expr: &Expr) -> Result<Value<'r>, Fault> {
    let offset = zone.to_offset(moment);
    if offset.seconds() % 60 != 0 {
        // RFC 3339 has no seconds in an offset; only local mean times before about 1930 need them.
        let detail = format!("{moment} has an offset with seconds in this zone");
        return Err(Fault::new(expr.column(), "not_instant", detail));
    }
    let local = offset.to_datetime(moment);
    Ok(Value::Instant(Moment { local, offset_minutes: offset.seconds() / 60 }))
}
