//! The values a row is turned into.
//!
//! A value knows how it is written as text and as JSON; what it means in an event is the map's
//! business.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::numbers::Decimal;

/// One value of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'r> {
    /// Nothing: the member it stands for is left out.
    Null,
    Text(Cow<'r, str>),
    Integer(i64),
    Number(Decimal),
    Boolean(bool),
    Date(Date),
    Instant(Moment),
    /// Minor units and the currency.
    Money(i64, &'r str),
}

/// A local time and its distance from UTC: an instant that remembers where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) local: DateTime,
    pub(super) offset_minutes: i32,
}

impl Moment {
    /// The instant on the line of time.
    pub(super) fn instant(self) -> Option<Timestamp> {
        Offset::from_seconds(self.offset_minutes * 60).ok()?.to_timestamp(self.local).ok()
    }

    /// Which of two comes first, wherever their clocks hang.
    pub(super) fn cmp_instant(&self, other: &Self) -> Ordering {
        self.instant().cmp(&other.instant())
    }

    /// RFC 3339 with `Z` for UTC.
    fn push_to(self, out: &mut String) {
        push_date(self.local.date(), out);
        let (hour, minute, second) = (self.local.hour(), self.local.minute(), self.local.second());
        push(out, format_args!("T{hour:02}:{minute:02}:{second:02}"));
        if self.local.subsec_nanosecond() != 0 {
            let fraction = format!("{:09}", self.local.subsec_nanosecond());
            push(out, format_args!(".{}", fraction.trim_end_matches('0')));
        }
        if self.offset_minutes == 0 {
            out.push('Z');
            return;
        }
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let minutes = self.offset_minutes.unsigned_abs();
        push(out, format_args!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
    }
}

impl Value<'_> {
    /// Adds the value as text; says whether there was anything to add.
    pub(super) fn push_text(&self, out: &mut String) -> bool {
        match self {
            Self::Null => return false,
            Self::Text(text) => out.push_str(text),
            Self::Integer(number) | Self::Money(number, _) => push(out, format_args!("{number}")),
            Self::Number(number) => number.push_to(out),
            Self::Boolean(truth) => push(out, format_args!("{truth}")),
            Self::Date(date) => push_date(*date, out),
            Self::Instant(moment) => moment.push_to(out),
        }
        true
    }

    /// The value as text; empty for nothing.
    pub(super) fn to_text(&self) -> Cow<'_, str> {
        if let Self::Text(text) = self {
            return Cow::Borrowed(text);
        }
        let mut out = String::new();
        self.push_text(&mut out);
        Cow::Owned(out)
    }

    /// Adds the value as JSON; says whether there was anything to add.
    pub(super) fn push_json(&self, out: &mut String) -> bool {
        match self {
            Self::Null => return false,
            Self::Text(text) => push_json_text(text, out),
            Self::Integer(_) | Self::Number(_) | Self::Boolean(_) => return self.push_text(out),
            Self::Date(_) | Self::Instant(_) => {
                out.push('"');
                self.push_text(out);
                out.push('"');
            }
            Self::Money(amount, currency) => {
                push(out, format_args!("{{\"amount\":{amount},\"currency\":\"{currency}\"}}"));
            }
        }
        true
    }
}

/// Adds formatted text, which a `String` always takes.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes every text");
}

fn push_date(date: Date, out: &mut String) {
    let (year, month, day) = (date.year(), date.month(), date.day());
    push(out, format_args!("{year:04}-{month:02}-{day:02}"));
}

/// Adds a JSON string, quoted and escaped.
pub(super) fn push_json_text(text: &str, out: &mut String) {
    out.push('"');
    for piece in text.split_inclusive(|c: char| c < ' ' || c == '"' || c == '\\') {
        let Some(last) = piece.chars().next_back() else { continue };
        let plain = piece.strip_suffix(last).unwrap_or(piece);
        out.push_str(plain);
        match last {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => push(out, format_args!("\\u{:04x}", u32::from(control))),
            plain => out.push(plain),
        }
    }
    out.push('"');
}
