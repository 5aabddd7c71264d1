//! What a setting may be, and how its text is read. The same reader serves every layer, so that a
//! value means the same in a flag, a variable and a file. It refuses with the rule and the remedy.

use std::time::Duration;

use crate::say;

/// What kind of value a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Any text without control characters.
    Text,
    /// A path.
    Path,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Count(u64, u64),
    /// Digits and one of `ms`, `s`, `m`, `h`, `d`.
    Duration,
    /// A number of bytes, or digits and one of `KiB`, `MiB`, `GiB`, `TiB`.
    Bytes,
    /// Texts, separated by commas outside files.
    Texts,
    /// Words out of a list, separated by commas outside files.
    Words(&'static [&'static str]),
    /// Scopes, separated by commas outside files.
    Scopes,
}

/// A value that fits its sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Nothing: the key is not set and has no default.
    Nothing,
    /// A text, path or word.
    Text(String),
    /// A yes or no.
    Flag(bool),
    /// A number, also of bytes.
    Count(u64),
    /// A span of time.
    Duration(Duration),
    /// Several texts.
    Texts(Vec<String>),
}

/// Why a text does not fit, and what would.
pub(super) type Misfit = (String, String);

impl Sort {
    /// Reads a text.
    pub(super) fn read(self, text: &str) -> Result<Setting, Misfit> {
        if text.chars().any(char::is_control) {
            return Err((
                say!("holds a control character", "memuat karakter kendali"),
                say!("remove it", "hapus"),
            ));
        }
        match self {
            Self::Text | Self::Path => one(text),
            Self::OneOf(words) => word(text, words).map(Setting::Text),
            Self::Flag => match text {
                "true" | "1" | "yes" | "on" => Ok(Setting::Flag(true)),
                "false" | "0" | "no" | "off" => Ok(Setting::Flag(false)),
                _ => Err((
                    say!("is neither true nor false", "bukan true dan bukan false"),
                    say!("write true or false", "tulis true atau false"),
                )),
            },
            Self::Count(min, max) => match text.parse() {
                Ok(number) if (min..=max).contains(&number) => Ok(Setting::Count(number)),
                Ok(_) => Err((
                    say!("is not between {min} and {max}", "tidak di antara {min} dan {max}"),
                    say!(
                        "write a number from {min} to {max}",
                        "tulis angka dari {min} sampai {max}"
                    ),
                )),
                Err(_) => Err((
                    say!("is not a whole number", "bukan bilangan bulat"),
                    say!(
                        "write a number from {min} to {max}",
                        "tulis angka dari {min} sampai {max}"
                    ),
                )),
            },
            Self::Duration => duration(text).map(Setting::Duration).ok_or_else(|| {
                let remedy = say!(
                    "write digits and ms, s, m, h or d, such as 500ms or 7d",
                    "tulis angka dan ms, s, m, h, atau d, misalnya 500ms atau 7d"
                );
                (say!("is not a duration", "bukan durasi"), remedy)
            }),
            Self::Bytes => bytes(text).map(Setting::Count).ok_or_else(|| {
                let remedy = say!(
                    "write digits and KiB, MiB, GiB or TiB, such as 8GiB",
                    "tulis angka dan KiB, MiB, GiB, atau TiB, misalnya 8GiB"
                );
                (say!("is not a size", "bukan ukuran"), remedy)
            }),
            Self::Texts | Self::Words(_) | Self::Scopes => {
                let items = text.split(',').map(str::trim).filter(|it| !it.is_empty());
                self.read_list(items.map(str::to_owned).collect())
            }
        }
    }

    /// Reads several texts at once: an array of a file.
    pub(super) fn read_list(self, items: Vec<String>) -> Result<Setting, Misfit> {
        match self {
            Self::Words(words) => {
                items.iter().try_for_each(|it| word(it, words).map(|_| ()))?;
                Ok(Setting::Texts(items))
            }
            Self::Scopes => match items.iter().find(|it| !super::is_word(it)) {
                Some(it) => Err((
                    say!("`{it}` is not a scope", "`{it}` bukan cakupan"),
                    say!(
                        "write scopes such as timeline:read",
                        "tulis cakupan seperti timeline:read"
                    ),
                )),
                None => Ok(Setting::Texts(items)),
            },
            Self::Texts => Ok(Setting::Texts(items)),
            _ => Err((
                say!("is a list", "berupa daftar"),
                say!("write one value", "tulis satu nilai"),
            )),
        }
    }

    /// The JSON type of the value, for the schema.
    #[must_use]
    pub const fn json_type(self) -> &'static str {
        match self {
            Self::Flag => "boolean",
            Self::Count(..) => "integer",
            Self::Texts | Self::Words(_) | Self::Scopes => "array",
            _ => "string",
        }
    }
}

fn one(text: &str) -> Result<Setting, Misfit> {
    if text.is_empty() {
        return Err((
            say!("is empty", "kosong"),
            say!("give it a value or remove it", "beri nilai atau hapus"),
        ));
    }
    Ok(Setting::Text(text.to_owned()))
}

fn word(text: &str, words: &[&'static str]) -> Result<String, Misfit> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    let near = events::policy::closest(text, words.iter().copied());
    let fault = match near {
        Some(near) => say!(
            "`{text}` is unknown; did you mean `{near}`?",
            "`{text}` tidak dikenal; maksud Anda `{near}`?"
        ),
        None => say!("`{text}` is unknown", "`{text}` tidak dikenal"),
    };
    let words = words.join(", ");
    Err((fault, say!("write one of {words}", "tulis salah satu dari {words}")))
}

/// Reads digits followed by `ms`, `s`, `m`, `h` or `d`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = |of: u64| number.checked_mul(of).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => None,
    }
}

/// Reads a number of bytes.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("none"),
            Self::Text(text) => f.write_str(text),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(number) => write!(f, "{number}"),
            Self::Duration(it) => write!(f, "{}", spelled(*it)),
            Self::Texts(items) => f.write_str(&items.join(",")),
        }
    }
}

/// The shortest spelling of a duration that reads back as the same.
fn spelled(it: Duration) -> String {
    let millis = it.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.iter().find(|(of, _)| millis != 0 && millis.is_multiple_of(*of));
    match whole {
        Some((of, unit)) => format!("{}{unit}", millis / of),
        None => format!("{millis}ms"),
    }
}
