//! What a broken schema means to the publisher: the rule, the place and the remedy, in two
//! languages, without repeating the value.
//!
//! The formats that the schemas use are checked here by the same types that read the data, so the
//! two cannot disagree.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, ValidationError, ValidationOptions};
use serde_json::Value;

use crate::id::{About, CustomerId, EventRef, IdError, Ident, Slug};
use crate::problem::Finding;
use crate::time::{TimeError, parse_instant};

/// No text is longer, whatever its schema says.
const TEXT_CHARS_MAX: usize = 8_192;

/// How every schema is compiled: one draft, our formats, nothing fetched.
pub(super) fn options() -> ValidationOptions<'static> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_format("date-time", |it: &str| parse_instant(it).is_ok())
        .with_format("date", |it: &str| date(it).is_ok())
        .with_format("id", |it: &str| it.parse::<Ident>().is_ok())
        .with_format("customer-id", |it: &str| it.parse::<CustomerId>().is_ok())
        .with_format("slug", |it: &str| it.parse::<Slug>().is_ok())
        .with_format("reference", |it: &str| it.parse::<About>().is_ok())
        .with_format("event-reference", |it: &str| it.parse::<EventRef>().is_ok())
        .with_format("language-tag", is_language_tag)
}

/// A date of the calendar between 1970 and 2100, spelled `YYYY-MM-DD`.
fn date(text: &str) -> Result<(), TimeError> {
    let spelled = text.len() == 10 && text.bytes().all(|it| it.is_ascii_digit() || it == b'-');
    let date: jiff::civil::Date =
        spelled.then(|| text.parse().ok()).flatten().ok_or(TimeError::Invalid)?;
    (1970..=2100).contains(&date.year()).then_some(()).ok_or(TimeError::Range)
}

/// The shape of a BCP 47 tag; the registry of languages is not consulted.
fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let fits =
        |it: &str| (1..=8).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphanumeric());
    2 <= language.len()
        && fits(language)
        && language.bytes().all(|it| it.is_ascii_alphabetic())
        && parts.all(fits)
}

/// Finds texts that cannot be stored: those with a NUL, which PostgreSQL refuses, and those longer
/// than any text may be.
pub(super) fn storable(value: &Value, at: &str, findings: &mut Vec<Finding>) {
    match value {
        Value::String(text) => findings.extend(unstorable(text, at)),
        Value::Array(list) => {
            for (index, it) in list.iter().enumerate() {
                if !it.is_number() {
                    storable(it, &format!("{at}/{index}"), findings);
                }
            }
        }
        Value::Object(members) => {
            for (name, it) in members {
                let at = below(at, name);
                if name.contains('\0') {
                    findings.push(nul(&at));
                }
                storable(it, &at, findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn unstorable(text: &str, at: &str) -> Option<Finding> {
    if text.contains('\0') {
        return Some(nul(at));
    }
    // Characters are counted only where the bytes leave a doubt.
    (TEXT_CHARS_MAX < text.len() && TEXT_CHARS_MAX < text.chars().count())
        .then(|| too_long(at.to_owned(), text, TEXT_CHARS_MAX))
}

fn nul(at: &str) -> Finding {
    Finding::new(
        at,
        "nul_character",
        "contains U+0000, which cannot be stored",
        "memuat U+0000 yang tidak dapat disimpan",
    )
}

fn too_long(at: String, text: &str, limit: impl std::fmt::Display) -> Finding {
    let chars = text.chars().count();
    Finding::new(
        at,
        "too_long",
        format!("has {chars} characters; the limit is {limit}"),
        format!("memiliki {chars} karakter; batasnya {limit}"),
    )
}

/// A pointer one member further (RFC 6901).
pub(super) fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// One error of the validator, as a finding; `schema` is the one that was broken.
pub(super) fn finding(schema: &Value, error: &ValidationError<'_>) -> Finding {
    let at = format!("/data{}", error.instance_path().as_str());
    let value = error.instance().as_ref();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            Finding::new(below(&at, name), "required", "is required", "wajib diisi")
        }
        ValidationErrorKind::Type { kind } => wrong_type(at, kind, value),
        ValidationErrorKind::MaxLength { limit } => {
            too_long(at, value.as_str().unwrap_or_default(), *limit)
        }
        ValidationErrorKind::MinLength { .. } => {
            Finding::new(at, "required", "must not be empty", "tidak boleh kosong")
        }
        ValidationErrorKind::Enum { options } => {
            let words = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
            let words = words.join(", ");
            Finding::new(
                at,
                "enum",
                format!("must be one of {words}"),
                format!("harus salah satu dari {words}"),
            )
        }
        ValidationErrorKind::Format { format } => wrong_format(at, format, value),
        ValidationErrorKind::MinItems { .. } | ValidationErrorKind::MaxItems { .. } => {
            outside(at, &limits(schema, error, "minItems", "maxItems"), (" elements", " unsur"))
        }
        ValidationErrorKind::Minimum { .. } | ValidationErrorKind::Maximum { .. } => {
            outside(at, &limits(schema, error, "minimum", "maximum"), ("", ""))
        }
        ValidationErrorKind::Pattern { .. } => Finding::new(
            at,
            "bad_id",
            "is not spelled as its type asks",
            "ejaannya tidak sesuai tipenya",
        ),
        other => Finding::new(
            at,
            "schema",
            format!("does not fit the schema (`{}`)", other.keyword()),
            format!("tidak sesuai skema (`{}`)", other.keyword()),
        ),
    }
}

fn wrong_type(at: String, wanted: &TypeKind, value: &Value) -> Finding {
    let wanted = match wanted {
        TypeKind::Single(it) => it.as_str(),
        TypeKind::Multiple(_) => "another type",
    };
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if wanted == "integer" && got == "number" {
        return Finding::new(
            at,
            "number_range",
            "must be an integer without fraction or exponent",
            "harus bilangan bulat tanpa pecahan atau eksponen",
        );
    }
    Finding::new(
        at,
        "type",
        format!("expected {wanted}, got {got}"),
        format!("harus {wanted}, bukan {got}"),
    )
}

/// The least and the most that the broken part of the schema allows: `1 to 100000`, `1 to 10`.
fn limits(schema: &Value, error: &ValidationError<'_>, least: &str, most: &str) -> [String; 2] {
    let path = error.schema_path().as_str();
    let part = path.rsplit_once('/').and_then(|(parent, _)| schema.pointer(parent));
    // Every number in the schemas has both limits; a list without its own ends at 1,000 elements.
    [(least, "0"), (most, "1000")].map(|(word, none)| {
        part.and_then(|it| it.get(word)).map_or_else(|| none.to_owned(), ToString::to_string)
    })
}

fn outside(at: String, [least, most]: &[String; 2], unit: (&str, &str)) -> Finding {
    if at.ends_with("/amount") {
        return Finding::new(
            at,
            "number_range",
            "amounts are integers, 0 to 10^15, IDR in whole rupiah",
            "jumlah uang adalah bilangan bulat 0 sampai 10^15, IDR dalam rupiah utuh",
        );
    }
    Finding::new(
        at,
        "range",
        format!("must be {least} to {most}{}", unit.0),
        format!("harus {least} sampai {most}{}", unit.1),
    )
}

fn wrong_format(at: String, format: &str, value: &Value) -> Finding {
    let text = value.as_str().unwrap_or_default();
    match format {
        "date-time" => wrong_time(at, parse_instant(text).err().unwrap_or(TimeError::Invalid)),
        "date" => match date(text) {
            Err(TimeError::Range) => wrong_time(at, TimeError::Range),
            _ => Finding::new(
                at,
                "time_invalid",
                "must be a date of the calendar, YYYY-MM-DD",
                "harus tanggal kalender, YYYY-MM-DD",
            ),
        },
        "language-tag" => Finding::new(
            at,
            "language",
            "must be a BCP 47 tag such as id or en",
            "harus tag BCP 47 seperti id atau en",
        ),
        "customer-id" if text.parse::<CustomerId>() == Err(IdError::Personal) => Finding::new(
            at,
            "id_personal",
            "use an opaque customer id; addresses and telephone numbers belong in customer.identified",
            "gunakan id pelanggan yang tidak bermakna; alamat dan nomor telepon tempatnya di customer.identified",
        ),
        "id" | "customer-id" => Finding::new(
            at,
            "bad_id",
            "must be 1 to 64 of A-Z a-z 0-9 . _ - : and begin with a letter or digit",
            "harus 1 sampai 64 karakter A-Z a-z 0-9 . _ - : dan diawali huruf atau angka",
        ),
        "slug" => Finding::new(
            at,
            "bad_id",
            "must be 1 to 64 of a-z 0-9 _ - and begin with a letter or digit",
            "harus 1 sampai 64 karakter a-z 0-9 _ - dan diawali huruf atau angka",
        ),
        "reference" => Finding::new(
            at,
            "bad_id",
            "must be <topic>/<id>, such as complaint/k-55",
            "harus <topik>/<id>, misalnya complaint/k-55",
        ),
        _ => Finding::new(
            at,
            "bad_id",
            "must be <source>#<id> of an event, such as /hotel/pms#f-2026",
            "harus <sumber>#<id> sebuah peristiwa, misalnya /hotel/pms#f-2026",
        ),
    }
}

fn wrong_time(at: String, error: TimeError) -> Finding {
    match error {
        TimeError::ZoneMissing => Finding::new(
            at,
            "time_zone_missing",
            "has no offset; send +07:00 or Z",
            "tanpa selisih zona; kirim +07:00 atau Z",
        ),
        TimeError::Range => Finding::new(
            at,
            "time_range",
            "must lie between 1970 and 2100",
            "harus antara tahun 1970 dan 2100",
        ),
        TimeError::Invalid => Finding::new(
            at,
            "time_invalid",
            "must be an RFC 3339 instant such as 2026-11-21T10:00:00+07:00",
            "harus saat RFC 3339 seperti 2026-11-21T10:00:00+07:00",
        ),
    }
}
