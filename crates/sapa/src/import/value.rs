//! The values a row is turned into, and exact numbers to make them with.
//!
//! Money is counted in minor units and never passes through floating point. A value knows how it
//! is written as text and as JSON; what it means in an event is the map's business.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use jiff::civil::{Date, DateTime};

/// One value of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'r> {
    /// Nothing: the member it stands for is left out.
    Null,
    Text(Cow<'r, str>),
    Integer(i64),
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
            Self::Integer(_) | Self::Boolean(_) => return self.push_text(out),
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

/// A decimal number exactly as written: `digits` divided by ten to the `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    scale: u32,
}

/// More digits than any price or count has, and few enough that two numbers multiply in 128 bits.
const DIGITS_MAX: usize = 18;

impl Decimal {
    pub(super) fn whole(number: i64) -> Self {
        Self { digits: i128::from(number), scale: 0 }
    }

    /// Reads `-12.50`: an optional sign, digits, perhaps a point and more digits. No exponent, no
    /// separators of thousands, at most [`DIGITS_MAX`] digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (before, after) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if before.is_empty() && after.is_empty() || !plain(before) || !plain(after) {
            return None;
        }
        if before.len() + after.len() > DIGITS_MAX {
            return None;
        }
        let digits = before
            .bytes()
            .chain(after.bytes())
            .fold(0_i128, |sum, byte| sum * 10 + i128::from(byte - b'0'));
        let digits = if text.starts_with('-') { -digits } else { digits };
        Some(Self { digits, scale: u32::try_from(after.len()).ok()? })
    }

    /// The number as a value holds it, if it is one.
    pub(super) fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(number) | Value::Money(number, _) => Some(Self::whole(*number)),
            Value::Text(text) => Self::parse(text),
            _ => None,
        }
    }

    /// The exact product, unless it leaves 128 bits.
    pub(super) fn times(self, other: Self) -> Option<Self> {
        let scale = self.scale.checked_add(other.scale)?;
        Some(Self { digits: self.digits.checked_mul(other.digits)?, scale })
    }

    /// The number times ten to the `places`, if that is a whole one: cents for `places` = 2.
    pub(super) fn shifted(self, places: u32) -> Option<i64> {
        let digits = if let Some(up) = places.checked_sub(self.scale) {
            self.digits.checked_mul(10_i128.checked_pow(up)?)?
        } else {
            let down = 10_i128.checked_pow(self.scale - places)?;
            if self.digits % down != 0 {
                return None;
            }
            self.digits / down
        };
        i64::try_from(digits).ok()
    }

    /// Which of two numbers is greater; `None` only beyond 128 bits.
    pub(super) fn compared(self, other: Self) -> Option<Ordering> {
        let scale = self.scale.max(other.scale);
        let left = self.digits.checked_mul(10_i128.checked_pow(scale - self.scale)?)?;
        let right = other.digits.checked_mul(10_i128.checked_pow(scale - other.scale)?)?;
        Some(left.cmp(&right))
    }
}

/// How many digits the minor unit of a currency has: ISO 4217, except IDR, whose sen nobody uses.
pub(super) fn minor_digits(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "IDR" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF"
        | "UGX" | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}
