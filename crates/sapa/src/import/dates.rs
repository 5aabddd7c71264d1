//! Dates and instants out of texts, for the forms of a map.
//!
//! Strict: what the map does not declare is read only as ISO 8601 (`2015-07-01`, `20150701`,
//! `14:00`), and `01/07/2015` is not guessed. Local times get the offset their zone had on that day.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::date_forms::{DateForm, Reading, Whereabouts, month_named};
use super::fault::Fault;
use super::forms::{fault, integer};
use super::template::{Expr, Row};
use super::value::{Moment, Value};

const A_DATE: &str = "a date such as 2015-07-01, or in a form that the map declares";
const A_TIME: &str = "a time of day such as 14:00, or in a form that the map declares";
const A_MOMENT: &str = "a moment such as 2015-07-01 14:00:00, or in a form that the map declares";

/// A date from one text, or from a year, a month and a day; `forms` are its own, if it has some.
pub(super) fn date<'r>(
    parts: &[Expr],
    forms: &[DateForm],
    row: &Row<'r>,
) -> Result<Value<'r>, Fault> {
    match parts {
        [year, month, day] => {
            let (Some(y), Some(m), Some(d)) =
                (integer(year, row)?, month_of(month, row)?, integer(day, row)?)
            else {
                return Ok(Value::Null);
            };
            let found = i16::try_from(y).ok().zip(i8::try_from(d).ok());
            let date = found.and_then(|(y, d)| Date::new(y, m, d).ok()).ok_or_else(|| {
                let quoting = format!("there is no day {y}-{m:02}-{d:02}");
                Fault::quoting(day.column(), "not_date", quoting, "there is no such day")
            })?;
            Ok(Value::Date(date))
        }
        [whole] => Ok(day(whole, forms, row)?.map_or(Value::Null, Value::Date)),
        // `Form::of` lets only one or three through.
        _ => Ok(Value::Null),
    }
}

/// The day that an expression names: a date, the local day of an instant, or a text.
fn day(expr: &Expr, forms: &[DateForm], row: &Row<'_>) -> Result<Option<Date>, Fault> {
    let value = expr.eval(row)?;
    let text = match &value {
        Value::Null => return Ok(None),
        Value::Date(date) => return Ok(Some(*date)),
        Value::Instant(moment) => return Ok(Some(moment.local.date())),
        other => other.to_text(),
    };
    let declared = if forms.is_empty() { &row.spelling.dates } else { forms };
    if let Some(reading) = the_one(declared, &text, expr, row, |it| it.date.is_some())? {
        return Ok(reading.date);
    }
    // Where years of the file come first, its days and months may stand in another order than ours.
    let is_iso = declared.iter().all(|it| !it.begins_with_year());
    match one_date(&text).filter(|_| is_iso) {
        Some(date) => Ok(Some(date)),
        None => Err(fault(expr, "not_date", &value, A_DATE)),
    }
}

/// What a text says in the forms that fit it; in two ways it must say the same.
fn the_one(
    forms: &[DateForm],
    text: &str,
    expr: &Expr,
    row: &Row<'_>,
    is_wanted: impl Fn(&Reading) -> bool,
) -> Result<Option<Reading>, Fault> {
    let mut found: Option<Reading> = None;
    for form in forms {
        let Some(reading) = form.read(text, &row.spelling.zones).filter(&is_wanted) else {
            continue;
        };
        match &found {
            Some(first) if *first != reading => {
                return Err(Fault::quoting(
                    expr.column(),
                    "date_form",
                    format!("`{text}` fits two forms of the map and means another time in each"),
                    "this fits two forms of the map and means another time in each",
                ));
            }
            _ => found = Some(reading),
        }
    }
    Ok(found)
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

/// A month by number or by its English or Indonesian name, whole or short.
fn month_of(expr: &Expr, row: &Row<'_>) -> Result<Option<i8>, Fault> {
    let value = expr.eval(row)?;
    if value == Value::Null {
        return Ok(None);
    }
    let text = value.to_text();
    match month_named(&text).or_else(|| text.parse().ok()) {
        Some(number @ 1..=12) => Ok(Some(number)),
        _ => Err(fault(expr, "not_month", &value, "a month from 1 to 12 or by its name")),
    }
}

/// A date moved by a number of days.
pub(super) fn shifted<'r>(
    date: &Expr,
    days: &Expr,
    sign: i64,
    row: &Row<'r>,
) -> Result<Value<'r>, Fault> {
    let Some(start) = day(date, &[], row)? else { return Ok(Value::Null) };
    let Some(count) = integer(days, row)? else { return Ok(Value::Null) };
    let moved =
        Span::new().try_days(count.saturating_mul(sign)).and_then(|span| start.checked_add(span));
    moved.map(Value::Date).map_err(|_| {
        let quoting = format!("{count} days from {start} leave the calendar");
        Fault::quoting(days.column(), "too_large", quoting, "so many days leave the calendar")
    })
}

/// An instant moved by a number of units of so many seconds.
pub(super) fn moved<'r>(
    from: &Expr,
    count: &Expr,
    seconds: i64,
    row: &Row<'r>,
) -> Result<Value<'r>, Fault> {
    let start = match from.eval(row)? {
        Value::Null => return Ok(Value::Null),
        Value::Instant(moment) => moment.instant(),
        value => {
            return Err(fault(from, "not_instant", &value, "made with the form `instant`"));
        }
    };
    let Some(count) = integer(count, row)? else { return Ok(Value::Null) };
    let end = start
        .zip(count.checked_mul(seconds))
        .and_then(|(start, seconds)| start.checked_add(SignedDuration::from_secs(seconds)).ok());
    if let Some(end) = end {
        return placed(end, row.spelling.zone(), from);
    }
    let detail = "the instant leaves the calendar".to_owned();
    Err(Fault::new(from.column(), "too_large", detail))
}

/// The instant of a date at a local time of day, or of a text that holds both.
pub(super) fn instant<'r>(
    date: &Expr,
    time: Option<&Expr>,
    forms: &[DateForm],
    row: &Row<'r>,
) -> Result<Value<'r>, Fault> {
    let Some(time) = time else { return whole_moment(date, forms, row) };
    let Some(day) = day(date, &[], row)? else { return Ok(Value::Null) };
    let value = time.eval(row)?;
    if value == Value::Null {
        return Ok(Value::Null);
    }
    let (text, times) = (value.to_text(), &row.spelling.times);
    let reading = the_one(times, &text, time, row, |it| it.time.is_some())?;
    // 02:05 is no time of day for a file that writes 02:05 pm.
    let is_iso = times.iter().all(|it| !it.has_half_days());
    match reading.and_then(|it| it.time).or_else(|| time_of_day(&text).filter(|_| is_iso)) {
        Some(hour) => local(day.to_datetime(hour), row.spelling.zone(), row, date),
        None => Err(fault(time, "not_time", &value, A_TIME)),
    }
}

/// A text with a date and a time: in a declared form, or `2015-07-01T14:00:00+07:00`, or the same
/// without the offset in the zone of the map.
fn whole_moment<'r>(expr: &Expr, forms: &[DateForm], row: &Row<'r>) -> Result<Value<'r>, Fault> {
    let value = expr.eval(row)?;
    let text = match &value {
        Value::Null => return Ok(Value::Null),
        Value::Instant(moment) => return Ok(Value::Instant(*moment)),
        other => other.to_text(),
    };
    let zone = row.spelling.zone();
    let declared = if forms.is_empty() { &row.spelling.instants } else { forms };
    let is_moment = |it: &Reading| it.instant.is_some() || it.date.zip(it.time).is_some();
    if let Some(reading) = the_one(declared, &text, expr, row, is_moment)? {
        return of_reading(&reading, row, expr);
    }
    if declared.is_empty() || declared.contains(&DateForm::Iso) {
        if let Ok(moment) = text.parse::<Timestamp>() {
            return placed(moment, zone, expr);
        }
        let local_time: Option<DateTime> = text.parse().ok();
        if let Some(datetime) = local_time.filter(|_| text.contains(':')) {
            return local(datetime, zone, row, expr);
        }
    }
    Err(fault(expr, "not_instant", &value, A_MOMENT))
}

fn of_reading<'r>(reading: &Reading, row: &Row<'r>, expr: &Expr) -> Result<Value<'r>, Fault> {
    let zone = row.spelling.zone();
    if let Some(instant) = reading.instant {
        return placed(instant, zone, expr);
    }
    let (Some(date), Some(time)) = (reading.date, reading.time) else { return Ok(Value::Null) };
    let datetime = date.to_datetime(time);
    match &reading.place {
        None => local(datetime, zone, row, expr),
        Some(Whereabouts::Zone(other)) => local(datetime, other, row, expr),
        Some(Whereabouts::Offset(offset)) => match offset.to_timestamp(datetime) {
            Ok(instant) => placed(instant, zone, expr),
            Err(_) => Err(outside(expr)),
        },
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

/// The instant of a local time of `zone`, as the clocks of the map show it. An hour that a clock skips
/// is read as one later, and of an hour that comes twice the first is meant, as calendars do.
fn local<'r>(
    datetime: DateTime,
    zone: &TimeZone,
    row: &Row<'_>,
    expr: &Expr,
) -> Result<Value<'r>, Fault> {
    match zone.to_ambiguous_timestamp(datetime).compatible() {
        Ok(moment) => placed(moment, row.spelling.zone(), expr),
        Err(_) => Err(outside(expr)),
    }
}

fn outside(expr: &Expr) -> Fault {
    let detail = "the moment is outside the calendar".to_owned();
    Fault::new(expr.column(), "not_instant", detail)
}

/// An instant as the clocks of the zone show it.
fn placed<'r>(moment: Timestamp, zone: &TimeZone, expr: &Expr) -> Result<Value<'r>, Fault> {
    let offset = zone.to_offset(moment);
    if offset.seconds() % 60 != 0 {
        // RFC 3339 has no seconds in an offset; only local mean times before about 1930 need them.
        let detail = "the moment has an offset with seconds in this zone".to_owned();
        return Err(Fault::new(expr.column(), "not_instant", detail));
    }
    let local = offset.to_datetime(moment);
    Ok(Value::Instant(Moment { local, offset_minutes: offset.seconds() / 60 }))
}
