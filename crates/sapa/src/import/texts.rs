//! Forms that make texts of texts: pieces, ids and names that events may carry.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use regex::Regex;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::fault::Fault;
use super::template::{Expr, Row};
use super::value::Value;

/// Letters of a hash: enough that no two customers meet.
const HASH_LETTERS: usize = 20;
/// The longest slug that events take.
const SLUG_LETTERS_MAX: usize = 64;
/// How many digits a telephone number has: ITU-T E.164.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 6..=15;

/// What is made of one text.
#[derive(Clone, Debug)]
pub(super) enum TextForm {
    Lower,
    Slug,
    /// At most so many characters.
    Cut(usize),
    /// The first group of a pattern, or all that it matches.
    Extract(Box<Regex>),
    /// A stand-in for a text that must not be shown; with a key nobody else can make it.
    Hash(Option<Expr>),
    /// A telephone number with the code of its country.
    Phone(String),
}

impl TextForm {
    pub(super) fn eval<'r>(&'r self, expr: &'r Expr, row: &Row<'r>) -> Result<Value<'r>, Fault> {
        let value = expr.eval(row)?;
        if value == Value::Null {
            return Ok(Value::Null);
        }
        let text = value.to_text();
        let made = match self {
            Self::Lower => text.to_lowercase(),
            Self::Slug => slug(&text),
            Self::Cut(chars) => text.chars().take(*chars).collect(),
            Self::Extract(pattern) => {
                let found = pattern.captures(&text);
                let found = found.and_then(|it| it.get(1).or_else(|| it.get(0)));
                found.map(|it| it.as_str().trim().to_owned()).unwrap_or_default()
            }
            Self::Hash(None) => hash(&Sha256::digest(text.as_bytes())),
            Self::Hash(Some(key)) => {
                let key = key.eval(row)?;
                let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.to_text().as_bytes())
                    .expect("a key of any length is taken");
                mac.update(text.as_bytes());
                hash(&mac.finalize().into_bytes())
            }
            Self::Phone(country) => phone(&text, country).ok_or_else(|| {
                Fault::quoting(
                    expr.column(),
                    "not_phone",
                    format!("`{text}` is not a telephone number"),
                    "this is not a telephone number",
                )
            })?,
        };
        Ok(if made.is_empty() { Value::Null } else { Value::Text(made.into()) })
    }
}

fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes).chars().take(HASH_LETTERS).collect()
}

/// `Aula Taman (lt. 2)` as `aula-taman-lt-2`.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(SLUG_LETTERS_MAX);
    slug.trim_end_matches('-').to_owned()
}

/// `0812-3456 789` in country 62 as `+628123456789`.
fn phone(text: &str, country: &str) -> Option<String> {
    let plain: String =
        text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')).collect();
    let number = if let Some(whole) = plain.strip_prefix('+').or_else(|| plain.strip_prefix("00")) {
        whole.to_owned()
    } else if let Some(national) = plain.strip_prefix('0') {
        format!("{country}{national}")
    } else {
        plain
    };
    let fits = PHONE_DIGITS.contains(&number.len()) && number.bytes().all(|it| it.is_ascii_digit());
    fits.then(|| format!("+{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_has_letters_digits_and_single_dashes() {
        for (text, wanted) in [
            ("Aula Taman (lt. 2)", "aula-taman-lt-2"),
            ("  Café--Crème ", "cafe-creme"),
            ("№ 5", "no-5"),
            ("***", ""),
        ] {
            assert_eq!(slug(text), wanted);
        }
        assert_eq!(slug(&"x".repeat(100)).len(), SLUG_LETTERS_MAX);
    }

    #[test]
    fn one_telephone_has_one_number_however_it_is_written() {
        for text in ["0812-3456-789", "+62 812 3456 789", "0062812 3456789", "628123456789"] {
            assert_eq!(phone(text, "62").as_deref(), Some("+628123456789"), "{text}");
        }
        for text in ["201", "anonymous", "", "+62-abc-1234567"] {
            assert_eq!(phone(text, "62"), None, "{text}");
        }
    }
}
