//! JSON as strangers send it: read once, with every limit checked on the way.
//!
//! `serde_json` alone keeps the last of two equal keys, turns `-0` and 2^64 into floats and stops only
//! at depth 128. This reader refuses duplicate keys, depth over [`DEPTH_MAX`], more than
//! [`MEMBERS_MAX`] members, [`ELEMENTS_MAX`] elements or [`VALUES_MAX`] values, text after the
//! document, a byte-order mark and bytes that are not UTF-8. Long strings, NUL characters and
//! non-integers are noted with their pointers, because only a schema can judge them.

use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::de::StrRead;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How deep an event may nest.
pub const DEPTH_MAX: usize = 16;
/// Members of one object.
pub const MEMBERS_MAX: usize = 256;
/// Elements of one array.
pub const ELEMENTS_MAX: usize = 1_000;
/// Values in one document.
pub const VALUES_MAX: usize = 4_096;
/// Characters of one string.
pub const STRING_CHARS_MAX: usize = 8_192;
/// Greatest and least integer that every JSON reader keeps exactly: 2^53 - 1.
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// A document that was read, and what only a schema can judge.
#[derive(Debug)]
pub struct Document {
    /// The document itself.
    pub value: Value,
    /// Pointers to numbers that were not written as integers within ±(2^53 - 1).
    pub inexact: Vec<String>,
    /// Pointers to strings over [`STRING_CHARS_MAX`], with their length in characters.
    pub long: Vec<(String, usize)>,
    /// Pointers to strings with a NUL character, which PostgreSQL cannot store.
    pub nul: Vec<String>,
}

/// Why bytes are not a document we read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Nothing was sent (bad input B1).
    #[error("the body is empty; send one event as JSON")]
    Empty,
    /// A byte-order mark stands in front (B4).
    #[error("remove the byte-order mark at the start")]
    ByteOrderMark,
    /// The bytes are not UTF-8 (B5).
    #[error("byte 0x{byte:02X} at offset {offset} is not valid UTF-8")]
    Utf8 {
        /// Where, from 0.
        offset: usize,
        /// Which byte.
        byte: u8,
    },
    /// Not JSON (B2, B15, B33).
    #[error("invalid JSON at line {line}, column {column}: {reason}")]
    Syntax {
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
        /// What the reader expected.
        reason: String,
    },
    /// A number no machine can hold (B32).
    #[error("a number at line {line}, column {column} is out of range")]
    Number {
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
        /// Where.
        pointer: String,
    },
    /// Something stands behind the document (B3).
    #[error("extra characters after the JSON document at byte {offset}")]
    Trailing {
        /// Where, from 0.
        offset: usize,
    },
    /// Too deep (B10).
    #[error("nesting deeper than {DEPTH_MAX} at {pointer}")]
    TooDeep {
        /// Where.
        pointer: String,
    },
    /// Too many members, elements or values (B11).
    #[error("{what} at {pointer}: the limit is {limit}")]
    TooMany {
        /// Where.
        pointer: String,
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// One key twice (B12).
    #[error("key `{key}` occurs twice")]
    DuplicateKey {
        /// The key, cut to 32 characters.
        key: String,
        /// Where the second one stands.
        pointer: String,
    },
}

/// Reads one document.
pub fn read(bytes: &[u8]) -> Result<Document, JsonFault> {
    let text = text(bytes)?;
    let notes = RefCell::new(Notes::default());
    let mut reader = serde_json::Deserializer::from_str(text);
    let outcome = Seed { path: &Path::Root, depth: 0, notes: &notes }.deserialize(&mut reader);
    let Notes { fault, place, inexact, long, nul, .. } = notes.into_inner();
    let place = place.unwrap_or_default();
    let value = outcome.map_err(|error| fault.unwrap_or_else(|| syntax(&error, place)))?;
    end(&mut reader, text)?;
    Ok(Document { value, inexact, long, nul })
}

/// Cuts a list of documents into its elements without reading them.
pub fn elements(bytes: &[u8]) -> Result<Vec<&RawValue>, JsonFault> {
    let text = text(bytes)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let items = Vec::deserialize(&mut reader).map_err(|error| syntax(&error, String::new()))?;
    end(&mut reader, text)?;
    Ok(items)
}

/// Refuses what follows the document.
fn end(reader: &mut serde_json::Deserializer<StrRead<'_>>, text: &str) -> Result<(), JsonFault> {
    reader
        .end()
        .map_err(|error| JsonFault::Trailing { offset: offset(text, error.line(), error.column()) })
}

/// The bytes as text: not empty, no byte-order mark, UTF-8.
fn text(bytes: &[u8]) -> Result<&str, JsonFault> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(JsonFault::ByteOrderMark);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        JsonFault::Utf8 { offset, byte: bytes.get(offset).copied().unwrap_or_default() }
    })?;
    if text.trim_ascii().is_empty() { Err(JsonFault::Empty) } else { Ok(text) }
}

/// What `serde_json` says, in the words of the catalogue.
fn syntax(error: &serde_json::Error, pointer: String) -> JsonFault {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    if said.starts_with("number out of range") {
        return JsonFault::Number { line, column, pointer };
    }
    let reason = said.split(" at line ").next().unwrap_or_default().to_owned();
    JsonFault::Syntax { line, column, reason }
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}

/// What the reader wants to remember besides the value.
#[derive(Default)]
struct Notes {
    fault: Option<JsonFault>,
    /// The innermost value that could not be read.
    place: Option<String>,
    values: usize,
    inexact: Vec<String>,
    long: Vec<(String, usize)>,
    nul: Vec<String>,
}

/// Where the reader is, as a list on the stack: rendered only when something is wrong there.
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(parent, key) => {
                let short: String = key.chars().take(32).collect();
                write!(f, "{parent}/{}", short.replace('~', "~0").replace('/', "~1"))
            }
            Self::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

struct Seed<'a> {
    path: &'a Path<'a>,
    depth: usize,
    notes: &'a RefCell<Notes>,
}

impl Seed<'_> {
    fn refuse<E: serde::de::Error>(&self, fault: JsonFault) -> E {
        self.notes.borrow_mut().fault = Some(fault);
        E::custom("refused")
    }

    fn inexact(&self, value: Value) -> Value {
        self.notes.borrow_mut().inexact.push(self.path.to_string());
        value
    }

    fn string(&self, text: &str) {
        // Bytes are never fewer than characters, so most strings are not counted.
        let chars = if text.len() > STRING_CHARS_MAX { text.chars().count() } else { 0 };
        if chars > STRING_CHARS_MAX {
            self.notes.borrow_mut().long.push((self.path.to_string(), chars));
        }
        if text.contains('\0') {
            self.notes.borrow_mut().nul.push(self.path.to_string());
        }
    }

    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        if self.depth == DEPTH_MAX {
            return Err(self.refuse(JsonFault::TooDeep { pointer: self.path.to_string() }));
        }
        Ok(self.depth + 1)
    }

    fn too_many<E: serde::de::Error>(&self, what: &'static str, limit: usize) -> E {
        self.refuse(JsonFault::TooMany { pointer: self.path.to_string(), what, limit })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let values = {
            let mut notes = self.notes.borrow_mut();
            notes.values += 1;
            notes.values
        };
        if VALUES_MAX < values {
            return Err(self.too_many("too many values", VALUES_MAX));
        }
        let (path, notes) = (self.path, self.notes);
        from.deserialize_any(self).inspect_err(|_| {
            notes.borrow_mut().place.get_or_insert_with(|| path.to_string());
        })
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(if it < -INTEGER_MAX { self.inexact(it.into()) } else { it.into() })
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(if INTEGER_MAX.unsigned_abs() < it { self.inexact(it.into()) } else { it.into() })
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(self.inexact(it.into()))
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        self.string(it);
        Ok(Value::String(it.to_owned()))
    }

    fn visit_string<E>(self, it: String) -> Result<Value, E> {
        self.string(&it);
        Ok(Value::String(it))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut items = Vec::new();
        loop {
            let path = Path::Index(self.path, items.len());
            match seq.next_element_seed(Seed { path: &path, depth, notes: self.notes })? {
                None => return Ok(Value::Array(items)),
                Some(_) if items.len() == ELEMENTS_MAX => {
                    return Err(self.too_many("an array has too many elements", ELEMENTS_MAX));
                }
                Some(item) => items.push(item),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if members.len() == MEMBERS_MAX {
                return Err(self.too_many("an object has too many members", MEMBERS_MAX));
            }
            let path = Path::Key(self.path, &key);
            if members.contains_key(&key) {
                let pointer = path.to_string();
                let key = key.chars().take(32).collect();
                return Err(self.refuse(JsonFault::DuplicateKey { key, pointer }));
            }
            if key.contains('\0') {
                return Err(A::Error::custom("a key holds U+0000"));
            }
            let value = map.next_value_seed(Seed { path: &path, depth, notes: self.notes })?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> JsonFault {
        read(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_same_key_twice_is_refused() {
        assert!(
            matches!(fault(r#"{"a":1,"a":2}"#), JsonFault::DuplicateKey { key, .. } if key == "a")
        );
    }

    #[test]
    fn depth_is_counted_in_containers() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(matches!(fault(&nested(DEPTH_MAX + 1)), JsonFault::TooDeep { .. }));
    }

    #[test]
    fn what_follows_the_document_is_named_by_its_byte() {
        assert_eq!(fault("{} x"), JsonFault::Trailing { offset: 3 });
    }

    #[test]
    fn a_list_is_cut_into_its_elements_and_ends_where_it_ends() {
        let items = elements(br#"[{"a":[1]}, 2]"#).unwrap();
        assert_eq!(items.iter().map(|it| it.get()).collect::<Vec<_>>(), [r#"{"a":[1]}"#, "2"]);
        assert_eq!(elements(b"[1] x").unwrap_err(), JsonFault::Trailing { offset: 4 });
        assert!(matches!(elements(b"{}").unwrap_err(), JsonFault::Syntax { .. }));
    }

    #[test]
    fn numbers_that_are_not_plain_integers_are_noted() {
        let it = read(br#"{"a":-0,"b":5.0,"c":18446744073709551616,"d":5}"#).unwrap();
        assert_eq!(it.inexact, ["/a", "/b", "/c"]);
        let big = fault(r#"{"a":{"b":[1,1e400]}}"#);
        assert!(matches!(big, JsonFault::Number { pointer, .. } if pointer == "/a/b/1"));
        assert!(matches!(fault(r#"{"a":NaN}"#), JsonFault::Syntax { .. }));
    }

    #[test]
    fn what_is_not_text_is_named() {
        assert_eq!(fault(""), JsonFault::Empty);
        assert_eq!(read(b"\xEF\xBB\xBF{}").unwrap_err(), JsonFault::ByteOrderMark);
        assert_eq!(
            read(b"{\"a\":\"\xE9\"}").unwrap_err(),
            JsonFault::Utf8 { offset: 6, byte: 0xE9 }
        );
        assert!(matches!(fault(r#"{"a":"\ud800"}"#), JsonFault::Syntax { .. }));
    }
}
