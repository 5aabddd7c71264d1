//! How a file writes dates and times: `dd/mm/yyyy`, `hh.mm`, `epoch`, read strictly.
//!
//! A form is letters that stand for parts and characters that stand for themselves. `mm` is the month
//! until an hour has been named, and minutes after it. A part of two letters takes one or two digits
//! where something else than a digit follows it. Nothing is tried that the map does not name.

use std::collections::HashMap;

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::doc::Node;
use super::fault::MapError;
use super::numbers::Decimal;

/// The names of the months in English and in Indonesian, whole and short.
const MONTHS: [&[&str]; 12] = [
    &["january", "januari", "jan"],
    &["february", "februari", "feb"],
    &["march", "maret", "mar"],
    &["april", "apr"],
    &["may", "mei"],
    &["june", "juni", "jun"],
    &["july", "juli", "jul"],
    &["august", "agustus", "aug", "agu", "agt", "ags"],
    &["september", "sep", "sept"],
    &["october", "oktober", "oct", "okt"],
    &["november", "nov"],
    &["december", "desember", "dec", "des"],
];

/// The words of a form besides its own letters, for the reference.
pub(super) const WORDS: [&str; 13] = [
    "iso", "epoch", "epoch_ms", "yyyy", "yy", "mm", "month", "dd", "hh", "ss", "fff", "ap", "zone",
];

/// Zones by the name that a file gives them.
pub(super) type Zones = HashMap<String, TimeZone>;

/// A month by its name.
pub(super) fn month_named(text: &str) -> Option<i8> {
    let text = text.trim_end_matches('.');
    let named = |(names, number): (&&[&str], i8)| {
        names.iter().any(|name| text.eq_ignore_ascii_case(name)).then_some(number)
    };
    MONTHS.iter().zip(1_i8..).find_map(named)
}

/// One part of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(char),
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
    Half,
    Zone,
}

/// A declared form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DateForm {
    /// `2015-07-01`, `14:00`, `2015-07-01T14:00:00+07:00`.
    Iso,
    /// Seconds since 1970, perhaps with a fraction; or thousandths of seconds.
    Epoch(u32),
    Parts(Vec<Part>),
}

/// Where a local time is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Whereabouts {
    Offset(Offset),
    Zone(TimeZone),
}

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) date: Option<Date>,
    pub(super) time: Option<Time>,
    pub(super) place: Option<Whereabouts>,
    /// Only of a number of seconds.
    pub(super) instant: Option<Timestamp>,
}

/// What a form is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Date,
    Time,
    Instant,
}

impl DateForm {
    /// Reads one form, or a list of forms.
    pub(super) fn compile_all(node: &Node<'_>, wanted: Use) -> Result<Vec<Self>, MapError> {
        node.one_or_more()?.iter().map(|node| Self::compile(node, wanted)).collect()
    }

    fn compile(node: &Node<'_>, wanted: Use) -> Result<Self, MapError> {
        let text = node.text()?;
        let form = match text {
            "iso" => return Ok(Self::Iso),
            "epoch" => Self::Epoch(0),
            "epoch_ms" => Self::Epoch(3),
            _ => Self::Parts(parts(node, text)?),
        };
        let has = |part: Part| match &form {
            Self::Parts(parts) => parts.contains(&part),
            _ => wanted == Use::Instant,
        };
        let has_date = (has(Part::Year) || has(Part::ShortYear))
            && (has(Part::Month) || has(Part::MonthName))
            && has(Part::Day);
        let has_time = has(Part::Hour) && has(Part::Minute);
        let missing = match wanted {
            Use::Date if !has_date => "a year, a month and a day, such as \"dd/mm/yyyy\"",
            Use::Time if !has_time => "hours and minutes, such as \"hh.mm\"",
            Use::Instant if !has_date || !has_time => {
                "a date and a time, such as \"dd/mm/yyyy hh.mm\", or \"epoch\""
            }
            _ => return Ok(form),
        };
        Err(node.fault(format!("`{text}` does not say enough"), format!("it needs {missing}")))
    }

    /// Whether it writes hours up to twelve.
    pub(super) fn has_half_days(&self) -> bool {
        matches!(self, Self::Parts(parts) if parts.contains(&Part::Half))
    }

    /// Whether it begins as dates of ISO 8601 do.
    pub(super) fn begins_with_year(&self) -> bool {
        matches!(self, Self::Parts(parts) if parts.first() == Some(&Part::Year))
    }

    /// What a text says in this form; `None` if it is not in it.
    pub(super) fn read(&self, text: &str, zones: &Zones) -> Option<Reading> {
        match self {
            // `dates.rs` reads these, which is older than forms.
            Self::Iso => None,
            Self::Epoch(thousandths) => epoch(text, *thousandths),
            Self::Parts(parts) => read_parts(parts, text, zones),
        }
    }
}

/// Takes a form apart.
fn parts(node: &Node<'_>, text: &str) -> Result<Vec<Part>, MapError> {
    let words = [
        ("month", Part::MonthName),
        ("zone", Part::Zone),
        ("yyyy", Part::Year),
        ("yy", Part::ShortYear),
        ("dd", Part::Day),
        ("hh", Part::Hour),
        ("mm", Part::Month),
        ("ss", Part::Second),
        ("fff", Part::Fraction),
        ("ap", Part::Half),
    ];
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((word, part)) = words.iter().find(|(word, _)| rest.starts_with(word)) {
            let part = match part {
                Part::Month if parts.contains(&Part::Hour) => Part::Minute,
                part => *part,
            };
            if parts.contains(&part) {
                return Err(node.fault(format!("`{word}` stands in `{text}` twice"), "leave one"));
            }
            parts.push(part);
            rest = rest.strip_prefix(word).unwrap_or_default();
        } else if first.is_ascii_lowercase() {
            let known = WORDS.join(", ");
            return Err(node.fault(
                format!("`{first}` in `{text}` is no part of a date"),
                format!("write one of {known}; capitals and signs stand for themselves"),
            ));
        } else {
            parts.push(Part::Text(first));
            rest = rest.strip_prefix(first).unwrap_or_default();
        }
    }
    Ok(parts)
}

fn epoch(text: &str, places: u32) -> Option<Reading> {
    // To the microsecond, which is all that an event keeps.
    let number = Decimal::parse(text)?;
    let micros = number.cut(6 - places)?;
    let duration = SignedDuration::from_micros(micros);
    let instant = Timestamp::from_duration(duration).ok()?;
    Some(Reading { instant: Some(instant), ..Reading::default() })
}

/// The numbers that a text gives for the parts of a form.
#[derive(Default)]
struct Found {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    hour: Option<i8>,
    minute: Option<i8>,
    second: i8,
    nanosecond: i32,
    is_afternoon: Option<bool>,
    place: Option<Whereabouts>,
}

fn read_parts(parts: &[Part], text: &str, zones: &Zones) -> Option<Reading> {
    let mut found = Found::default();
    let mut rest = text.trim();
    let mut all = parts.iter().copied().peekable();
    while let Some(part) = all.next() {
        // Without a separator behind it a number has exactly two digits.
        let is_free = !matches!(
            all.peek(),
            Some(
                Part::Year
                    | Part::ShortYear
                    | Part::Month
                    | Part::Day
                    | Part::Hour
                    | Part::Minute
                    | Part::Second
                    | Part::Fraction
            )
        );
        rest = found.take(part, rest, if is_free { 1 } else { 2 }, zones)?;
    }
    if !rest.is_empty() {
        return None;
    }
    found.reading()
}

impl Found {
    /// Reads one part and gives what follows it.
    fn take<'t>(
        &mut self,
        part: Part,
        text: &'t str,
        digits_min: usize,
        zones: &Zones,
    ) -> Option<&'t str> {
        match part {
            // Blanks of any width, since telephones write narrow ones.
            Part::Text(' ') => {
                let rest = text.trim_start();
                return (rest.len() < text.len()).then_some(rest);
            }
            Part::Text(c) => return text.strip_prefix(c),
            Part::Year => {
                let (year, rest) = digits(text, 4, 4)?;
                self.year = Some(i16::try_from(year).ok()?);
                return Some(rest);
            }
            Part::Fraction => {
                let (_, rest) = digits(text, 1, 9)?;
                let written = text.get(..text.len() - rest.len())?;
                self.nanosecond = format!("{written:0<9}").parse().ok()?;
                return Some(rest);
            }
            Part::MonthName => {
                let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
                let (name, rest) = text.split_at_checked(end)?;
                self.month = Some(month_named(name)?);
                return Some(rest.strip_prefix('.').unwrap_or(rest));
            }
            Part::Half => {
                let lower = text.get(..2)?.to_ascii_lowercase();
                self.is_afternoon = Some(match lower.as_str() {
                    "am" => false,
                    "pm" => true,
                    _ => return None,
                });
                return text.get(2..);
            }
            Part::Zone => {
                let end = text.find(char::is_whitespace).unwrap_or(text.len());
                let (name, rest) = text.split_at_checked(end)?;
                self.place = Some(place_named(name, zones)?);
                return Some(rest);
            }
            _ => {}
        }
        let (number, rest) = digits(text, digits_min, 2)?;
        let number = i8::try_from(number).ok()?;
        match part {
            // History is of this century, unless its form has a year of four digits.
            Part::ShortYear => self.year = Some(2000 + i16::from(number)),
            Part::Month => self.month = Some(number),
            Part::Day => self.day = Some(number),
            Part::Hour => self.hour = Some(number),
            Part::Minute => self.minute = Some(number),
            _ => self.second = number,
        }
        Some(rest)
    }

    fn reading(self) -> Option<Reading> {
        let date = match (self.year, self.month, self.day) {
            (Some(year), Some(month), Some(day)) => Some(Date::new(year, month, day).ok()?),
            _ => None,
        };
        let time = match (self.hour, self.minute) {
            (Some(hour), Some(minute)) => {
                let hour = match self.is_afternoon {
                    None => hour,
                    Some(_) if !(1..=12).contains(&hour) => return None,
                    Some(is_afternoon) => hour % 12 + if is_afternoon { 12 } else { 0 },
                };
                Some(Time::new(hour, minute, self.second, self.nanosecond).ok()?)
            }
            _ => None,
        };
        Some(Reading { date, time, place: self.place, instant: None })
    }
}

/// The number at the start of a text and what follows it.
fn digits(text: &str, min: usize, max: usize) -> Option<(u32, &str)> {
    let end = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    if end < min {
        return None;
    }
    let (number, rest) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, rest))
}

/// UTC, an offset, or a name that the map declares. Other names are never guessed.
fn place_named(name: &str, zones: &Zones) -> Option<Whereabouts> {
    if let Some(zone) = zones.get(name) {
        return Some(Whereabouts::Zone(zone.clone()));
    }
    if matches!(name, "UTC" | "GMT" | "Z") {
        return Some(Whereabouts::Offset(Offset::UTC));
    }
    let sign = match name.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let plain = name.get(1..)?.replace(':', "");
    let (hours, rest) = digits(&plain, 2, 2)?;
    let (minutes, rest) = if rest.is_empty() { (0, rest) } else { digits(rest, 2, 2)? };
    if !rest.is_empty() || 59 < minutes {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    Offset::from_seconds(sign * seconds).ok().map(Whereabouts::Offset)
}
