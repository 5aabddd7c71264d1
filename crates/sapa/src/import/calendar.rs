//! Events of a calendar feed (RFC 5545), one row each, their times made instants.
//!
//! The feed is cut into its events here, so that memory is bounded and a bad event costs itself; what
//! stands in an event is parsed by the `icalendar` crate. A zone that neither the time zone database
//! nor the file nor the map knows (`TZID=WIB`) is a fault: taking such a time for floating would be
//! wrong by hours. So is an event that repeats, unless the map reads `RRULE` and says what it means.

use std::borrow::Cow;
use std::io;

use icalendar::parser::{Component, Property, read_components, unfold};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};

use super::LINE_BYTES_MAX;
use super::date_forms::Zones;
use super::fault::Fault;
use super::lines::Lines;
use super::map::Map;
use super::spelling::{Spelling, zone_named};
use super::value::{Moment, Value};

/// Properties whose values are made instants or days.
const TIMES: [&str; 6] =
    ["DTSTART", "DTEND", "DTSTAMP", "CREATED", "LAST-MODIFIED", "RECURRENCE-ID"];

/// What the head of a feed has told.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    zones: Zones,
}

/// One event as it stands in the feed.
pub(super) struct Piece {
    pub(super) line: u64,
    pub(super) raw: Vec<u8>,
    pub(super) is_whole: bool,
}

/// A day, or an instant with the clock that shows it.
#[derive(Clone)]
enum When {
    Day(Date),
    Moment(Timestamp, TimeZone),
}

impl Calendar {
    /// The next event; definitions of zones before it are kept.
    pub(super) fn next_event(&mut self, lines: &mut Lines) -> io::Result<Option<Piece>> {
        while let Some(line) = lines.next()? {
            if is(&line.text, "BEGIN:VTIMEZONE") {
                let piece = collect(lines, line.number, line.text, "END:VTIMEZONE")?;
                self.define(&piece);
            } else if is(&line.text, "BEGIN:VEVENT") {
                return collect(lines, line.number, line.text, "END:VEVENT").map(Some);
            }
        }
        Ok(None)
    }

    /// Remembers a zone that has a place in the database, or the same offset all the year round.
    fn define(&mut self, piece: &Piece) {
        let Some(text) = std::str::from_utf8(&piece.raw).ok().map(unfold) else { return };
        let Ok(components) = read_components(&text) else { return };
        let Some(zone) = components.first() else { return };
        let Some(name) = value(zone, "TZID") else { return };
        let located = value(zone, "X-LIC-LOCATION").and_then(|it| zone_named(&it));
        let mut offsets: Vec<Option<Offset>> = zone
            .components
            .iter()
            .map(|it| value(it, "TZOFFSETTO").and_then(|it| offset(&it)))
            .collect();
        offsets.dedup();
        let fixed = match offsets.as_slice() {
            [Some(offset)] => Some(TimeZone::fixed(*offset)),
            _ => None,
        };
        if let Some(zone) = located.or(fixed) {
            self.zones.insert(name.into_owned(), zone);
        }
    }

    /// The values of an event for the columns that the map uses.
    pub(super) fn fields(&self, piece: &Piece, map: &Map) -> Result<Vec<Cow<'static, str>>, Fault> {
        if !piece.is_whole {
            let detail = "the event has no end, or is longer than a row may be".to_owned();
            return Err(Fault::new(None, "unfinished", detail));
        }
        let text = map.description().encoding.decode(&piece.raw);
        let text =
            text.ok_or_else(|| Fault::new(None, "encoding", "the event is not UTF-8".to_owned()))?;
        let text = unfold(&text);
        let components = read_components(&text).ok();
        let event = components.as_ref().and_then(|it| it.first()).ok_or_else(|| {
            Fault::new(None, "ics", "the event is not written as RFC 5545 has it".to_owned())
        })?;
        let repeats = event.find_prop("RRULE").or_else(|| event.find_prop("RDATE")).is_some();
        if repeats && map.used_columns().all(|it| it != "RRULE") {
            let detail = "the event repeats; one booking would stand for many".to_owned();
            return Err(Fault::new(None, "repeats", detail));
        }
        let spelling = &map.description().spelling;
        map.used_columns()
            .enumerate()
            .map(|(column, name)| {
                let text = if TIMES.contains(&name) {
                    self.time(event, name, spelling).map_err(|mut fault| {
                        fault.column = Some(column);
                        fault
                    })?
                } else {
                    value(event, name).map(Cow::into_owned)
                };
                Ok(Cow::Owned(text.unwrap_or_default()))
            })
            .collect()
    }

    /// A property as a day (`2026-08-15`) or an instant (`2026-08-15T08:00:00+07:00`).
    fn time(
        &self,
        event: &Component<'_>,
        name: &str,
        spelling: &Spelling,
    ) -> Result<Option<String>, Fault> {
        let when = match event.find_prop(name) {
            Some(property) => Some(self.when(property, spelling)?),
            None if name == "DTEND" => self.end(event, spelling)?,
            None => None,
        };
        Ok(when.map(|when| match when {
            When::Day(day) => Value::Date(day).to_text().into_owned(),
            When::Moment(instant, zone) => {
                let offset = zone.to_offset(instant);
                let local = offset.to_datetime(instant);
                let moment = Moment { local, offset_minutes: offset.seconds() / 60 };
                Value::Instant(moment).to_text().into_owned()
            }
        }))
    }

    /// When an event without `DTEND` ends: after its duration, else with its day or at once.
    fn end(&self, event: &Component<'_>, spelling: &Spelling) -> Result<Option<When>, Fault> {
        let Some(start) = event.find_prop("DTSTART") else { return Ok(None) };
        let start = self.when(start, spelling)?;
        let wrong =
            || Fault::new(None, "not_duration", "DURATION is none, or leaves the calendar".into());
        let duration: Option<Span> = match value(event, "DURATION") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| wrong())?),
        };
        let end = match (start, duration) {
            (When::Day(day), None) => day.tomorrow().map(When::Day),
            (When::Day(day), Some(span)) => day.checked_add(span).map(When::Day),
            (When::Moment(at, zone), None) => Ok(When::Moment(at, zone)),
            (When::Moment(at, zone), Some(span)) => at
                .to_zoned(zone.clone())
                .checked_add(span)
                .map(|end| When::Moment(end.timestamp(), zone)),
        };
        end.map(Some).map_err(|_| wrong())
    }

    fn when(&self, property: &Property<'_>, spelling: &Spelling) -> Result<When, Fault> {
        let text = property.val.as_str();
        let wrong = || {
            let detail = format!("{} is neither a day nor a time", property.name);
            Fault::new(None, "not_time", detail)
        };
        let (day, time) = match text.split_once('T') {
            None => return day_of(text).map(When::Day).ok_or_else(wrong),
            Some((day, time)) => (day_of(day).ok_or_else(wrong)?, time),
        };
        let (time, is_utc) = match time.strip_suffix('Z') {
            Some(time) => (time, true),
            None => (time, false),
        };
        let local = day.to_datetime(time_of(time).ok_or_else(wrong)?);
        if is_utc {
            return moment(local, &TimeZone::UTC, spelling.zone().clone()).ok_or_else(wrong);
        }
        let named = property.params.iter().find(|it| it.key.as_str().eq_ignore_ascii_case("TZID"));
        let zone = match named.and_then(|it| it.val.as_ref()) {
            Some(name) => self.zone(name.as_str(), spelling)?,
            None => spelling.zone.clone().ok_or_else(|| {
                let detail = format!(
                    "{} has no zone; say with `zone` in [source] where it is meant",
                    property.name
                );
                Fault::new(None, "floating_time", detail)
            })?,
        };
        moment(local, &zone, zone.clone()).ok_or_else(wrong)
    }

    /// A zone that the map names, the time zone database knows, or the feed has defined.
    fn zone(&self, name: &str, spelling: &Spelling) -> Result<TimeZone, Fault> {
        let known = spelling.zones.get(name).cloned().or_else(|| zone_named(name));
        known.or_else(|| self.zones.get(name).cloned()).ok_or_else(|| {
            let name: String = name.chars().filter(|it| !it.is_control()).take(64).collect();
            let detail = format!(
                "nothing says what the zone `{name}` is; add `{name}` to `zones` in [source], \
                 such as zones = {{ \"{name}\" = \"Asia/Jakarta\" }}"
            );
            Fault::new(None, "unknown_zone", detail)
        })
    }
}

/// The lines up to an end, which is kept.
fn collect(lines: &mut Lines, line: u64, first: Vec<u8>, end: &str) -> io::Result<Piece> {
    let mut piece = Piece { line, raw: first, is_whole: false };
    let mut fits = true;
    while let Some(next) = lines.next()? {
        let is_end = is(&next.text, end);
        fits &= !next.cut && piece.raw.len() + next.text.len() < LINE_BYTES_MAX;
        if fits {
            piece.raw.push(b'\n');
            piece.raw.extend_from_slice(&next.text);
        }
        if is_end {
            piece.is_whole = fits;
            break;
        }
    }
    // The parser wants its last line closed.
    piece.raw.push(b'\n');
    Ok(piece)
}

fn is(line: &[u8], wanted: &str) -> bool {
    line.trim_ascii_end().eq_ignore_ascii_case(wanted.as_bytes())
}

fn value<'c>(component: &'c Component<'_>, name: &str) -> Option<Cow<'c, str>> {
    let property =
        component.properties.iter().find(|it| it.name.as_str().eq_ignore_ascii_case(name));
    property.map(|it| Cow::Borrowed(it.val.as_str()))
}

fn moment(local: DateTime, zone: &TimeZone, shown: TimeZone) -> Option<When> {
    let instant = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(When::Moment(instant, shown))
}

/// `20260815`.
fn day_of(text: &str) -> Option<Date> {
    let digits = digits(text, 8)?;
    let (month, day) = (digits.get(4..6)?.parse().ok()?, digits.get(6..8)?.parse().ok()?);
    Date::new(digits.get(..4)?.parse().ok()?, month, day).ok()
}

/// `080000`.
fn time_of(text: &str) -> Option<Time> {
    let digits = digits(text, 6)?;
    let part = |from: usize| digits.get(from..from + 2)?.parse::<i8>().ok();
    // A leap second is the last of its minute.
    Time::new(part(0)?, part(2)?, part(4)?.min(59), 0).ok()
}

/// `+0700`.
fn offset(text: &str) -> Option<Offset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = digits(text.trim_start_matches(['+', '-']).get(..4)?, 4)?;
    let (hours, minutes) =
        (digits.get(..2)?.parse::<i32>().ok()?, digits.get(2..)?.parse::<i32>().ok()?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn digits(text: &str, count: usize) -> Option<&str> {
    (text.len() == count && text.bytes().all(|it| it.is_ascii_digit())).then_some(text)
}
