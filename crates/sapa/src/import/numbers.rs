//! Exact numbers, and the form in which a file writes them.
//!
//! Money is counted in minor units and never passes through floating point. `150.000` is a hundred
//! and fifty thousand in one file and a hundred and fifty in the next: a map says which, and where it
//! does not, a text that can be read both ways is a fault and never a guess.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::doc::Node;
use super::fault::MapError;

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
        NumberForm::PLAIN.read(text).ok()
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

    /// The number times ten to the `places`, without what is smaller than one then.
    pub(super) fn cut(self, places: u32) -> Option<i64> {
        let up = 10_i128.checked_pow(places)?;
        let down = 10_i128.checked_pow(self.scale)?;
        i64::try_from(self.digits.checked_mul(up)?.div_euclid(down)).ok()
    }

    /// Which of two numbers is greater; `None` only beyond 128 bits.
    pub(super) fn compared(self, other: Self) -> Option<Ordering> {
        let scale = self.scale.max(other.scale);
        let left = self.digits.checked_mul(10_i128.checked_pow(scale - self.scale)?)?;
        let right = other.digits.checked_mul(10_i128.checked_pow(scale - other.scale)?)?;
        Some(left.cmp(&right))
    }

    /// Adds the number with a point, as JSON writes it.
    pub(super) fn push_to(self, out: &mut String) {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs();
        let power = 10_u128.checked_pow(self.scale).unwrap_or(1);
        write!(out, "{sign}{}", digits / power).expect("a String takes every text");
        if 0 < self.scale {
            let width = usize::try_from(self.scale).unwrap_or(0);
            write!(out, ".{:0width$}", digits % power).expect("a String takes every text");
        }
    }
}

/// What separates thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thousands {
    Character(char),
    /// A blank of any width.
    Space,
}

impl Thousands {
    fn is(self, c: char) -> bool {
        match self {
            Self::Character(separator) => c == separator,
            Self::Space => matches!(c, ' ' | '\u{a0}' | '\u{202f}'),
        }
    }
}

/// How a file writes its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NumberForm {
    /// `None` while the map leaves it open.
    decimal: Option<char>,
    thousands: Option<Thousands>,
}

/// Why a text gives no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misread {
    NotNumber,
    /// A number only if its separators were declared.
    Undeclared,
    /// Two numbers, and the map does not say which: with and without the separator of thousands.
    Ambiguous(String, String),
}

impl NumberForm {
    /// How numbers are written in a map itself.
    pub(super) const PLAIN: Self = Self { decimal: Some('.'), thousands: None };

    /// Reads the keys `decimal` and `thousands` of a table.
    pub(super) fn compile(
        decimal: Option<&Node<'_>>,
        thousands: Option<&Node<'_>>,
    ) -> Result<Self, MapError> {
        let decimal = match decimal {
            None => None,
            Some(node) => match node.text()? {
                "." => Some('.'),
                "," => Some(','),
                _ => return Err(node.fault("not a decimal separator", "write \".\" or \",\"")),
            },
        };
        let Some(node) = thousands else { return Ok(Self { decimal, thousands: None }) };
        let thousands = match node.text()? {
            "none" => None,
            "space" => Some(Thousands::Space),
            "." => Some(Thousands::Character('.')),
            "," => Some(Thousands::Character(',')),
            "'" => Some(Thousands::Character('\'')),
            _ => {
                let remedy = "write \".\", \",\", \"'\", \"space\" or \"none\"";
                return Err(node.fault("not a separator of thousands", remedy));
            }
        };
        if decimal.is_none() {
            return Err(node.fault("`decimal` is missing", "declare both, such as decimal = \",\""));
        }
        if decimal.is_some_and(|it| thousands == Some(Thousands::Character(it))) {
            return Err(node.fault(
                "decimals and thousands have the same separator",
                "give each its own; write thousands = \"none\" if there is none",
            ));
        }
        Ok(Self { decimal, thousands })
    }

    /// The map does not say how numbers are written.
    pub(super) fn is_open(&self) -> bool {
        self.decimal.is_none()
    }

    /// Reads a number as this form writes it.
    pub(super) fn read(&self, text: &str) -> Result<Decimal, Misread> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let is_negative = text.starts_with('-');
        let Some(decimal) = self.decimal else { return read_open(unsigned, is_negative) };
        let (before, after) = unsigned.split_once(decimal).unwrap_or((unsigned, ""));
        let grouped = self.thousands.and_then(|it| ungrouped(before, it));
        let before = grouped.as_deref().unwrap_or(before);
        number(before, after, is_negative).ok_or(Misread::NotNumber)
    }
}

/// A whole part without its separators, if they stand where they belong.
fn ungrouped(text: &str, thousands: Thousands) -> Option<String> {
    let mut groups = text.split(|c| thousands.is(c));
    let first = groups.next()?;
    let mut digits = first.to_owned();
    let mut any = false;
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        any = true;
        digits.push_str(group);
    }
    (any && (1..=3).contains(&first.len())).then_some(digits)
}

fn number(before: &str, after: &str, is_negative: bool) -> Option<Decimal> {
    let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if before.is_empty() && after.is_empty() || !is_plain(before) || !is_plain(after) {
        return None;
    }
    if before.len() + after.len() > DIGITS_MAX {
        return None;
    }
    let digits = before
        .bytes()
        .chain(after.bytes())
        .fold(0_i128, |sum, byte| sum * 10 + i128::from(byte - b'0'));
    let digits = if is_negative { -digits } else { digits };
    Some(Decimal { digits, scale: u32::try_from(after.len()).ok()? })
}

/// A number of a file whose map says nothing about numbers: only what can be read in one way.
fn read_open(text: &str, is_negative: bool) -> Result<Decimal, Misread> {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'');
    let signs = text.chars().filter(|c| matches!(c, '.' | ',' | '\'')).count();
    if !text.chars().all(is_number) || !text.contains(|c: char| c.is_ascii_digit()) {
        return Err(Misread::NotNumber);
    }
    let Some((before, after)) = text.split_once(['.', ',']) else {
        return number(text, "", is_negative).ok_or(Misread::Undeclared);
    };
    // Nobody groups a number that begins with 0.
    let may_group = after.len() == 3 && (1..=3).contains(&before.len()) && !before.starts_with('0');
    if signs == 1 && may_group {
        let sign = if is_negative { "-" } else { "" };
        let whole = after.trim_end_matches('0');
        let fraction = if whole.is_empty() { String::new() } else { format!(".{whole}") };
        return Err(Misread::Ambiguous(
            format!("{sign}{before}{after}"),
            format!("{sign}{before}{fraction}"),
        ));
    }
    if signs == 1 && text.contains('.') {
        return number(before, after, is_negative).ok_or(Misread::NotNumber);
    }
    Err(Misread::Undeclared)
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

#[cfg(test)]
mod tests {
    use super::*;

    const INDONESIAN: NumberForm =
        NumberForm { decimal: Some(','), thousands: Some(Thousands::Character('.')) };
    const ENGLISH: NumberForm =
        NumberForm { decimal: Some('.'), thousands: Some(Thousands::Character(',')) };
    const SPACED: NumberForm = NumberForm { decimal: Some(','), thousands: Some(Thousands::Space) };

    /// The number in hundredths, or nothing.
    fn read(form: &NumberForm, text: &str) -> Option<i64> {
        form.read(text).ok()?.shifted(2)
    }

    #[test]
    fn a_number_is_read_as_declared_or_refused() {
        let table = [
            ("150.000", Some(15_000_000), Some(15_000), None),
            ("1.250.000,00", Some(125_000_000), None, None),
            ("1,250,000.00", None, Some(125_000_000), None),
            ("2.000", Some(200_000), Some(200), None),
            ("2,5", Some(250), None, Some(250)),
            ("-1.250,5", Some(-125_050), None, None),
            ("1 250 000,00", None, None, Some(125_000_000)),
            ("1\u{202f}250", None, None, Some(125_000)),
            ("1250000", Some(125_000_000), Some(125_000_000), Some(125_000_000)),
            ("1.25.000", None, None, None),
            ("1250.000,00", None, None, None),
            ("12,,5", None, None, None),
            (".", None, None, None),
            ("1e3", None, None, None),
        ];
        for (text, indonesian, english, spaced) in table {
            assert_eq!(read(&INDONESIAN, text), indonesian, "Indonesian {text}");
            assert_eq!(read(&ENGLISH, text), english, "English {text}");
            assert_eq!(read(&SPACED, text), spaced, "spaced {text}");
        }
    }

    #[test]
    fn a_form_left_open_reads_only_what_can_mean_one_number() {
        let open = NumberForm::default();
        for (text, wanted) in
            [("12.50", 1250), ("0.125", 12), ("1234.567", 123_456), ("7", 700), ("-3.5", -350)]
        {
            let number = open.read(text).unwrap();
            assert_eq!(number.compared(Decimal::parse(text).unwrap()), Some(Ordering::Equal));
            assert!(number.shifted(2).is_none_or(|it| it == wanted), "{text}");
        }
        let both = |a: &str, b: &str| Err(Misread::Ambiguous(a.to_owned(), b.to_owned()));
        assert_eq!(open.read("150.000"), both("150000", "150"));
        assert_eq!(open.read("-2,500"), both("-2500", "-2.5"));
        for text in ["1.250.000,00", "1,250,000.00", "1.250.000", "2,5", "1'000"] {
            assert_eq!(open.read(text), Err(Misread::Undeclared), "{text}");
        }
        assert_eq!(open.read("abc"), Err(Misread::NotNumber));
    }

    #[test]
    fn a_number_is_written_with_every_digit_it_had() {
        for text in ["0", "12.50", "-0.05", "1000000"] {
            let mut out = String::new();
            Decimal::parse(text).unwrap().push_to(&mut out);
            assert_eq!(out, text);
        }
    }
}
