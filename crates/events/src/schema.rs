//! JSON Schema of every type and version: what is asked of the data of an event.
//!
//! Each schema is read and compiled once; looking at valid data costs one pass over it. Findings
//! name the place and the rule and never repeat a value. Members that a schema does not know are
//! allowed and reported apart, so that a newer publisher is not refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::kind::Kind;
use crate::problem::{Finding, Text};

mod compatibility;
mod files;
mod rules;

pub use compatibility::{Break, compatibility};

/// One line of the catalogue of types: what a publisher or a reader wants to know of it.
#[derive(Debug)]
pub struct Entry {
    /// The kind.
    pub kind: Kind,
    /// The version of its data, from 1.
    pub version: u32,
    /// The `CloudEvents` type: `sapa.<topic>.<action>.v<version>`.
    pub type_name: String,
    /// Its name for people.
    pub title: Text,
    /// Who publishes it, in English.
    pub who: String,
    /// The stream it is written to, such as `customer/<id>`.
    pub stream: String,
    /// The phase, or `any` or `ritual` where a rule finds it.
    pub phase: String,
    /// The members that are about a person.
    pub personal: Vec<String>,
    /// The schema itself, as it lies in the repository.
    pub text: &'static str,
}

/// The members a schema knows at one level.
#[derive(Debug)]
enum Known {
    /// An object with named members.
    Members(BTreeMap<String, Known>),
    /// A list of such.
    Items(Box<Known>),
    /// A single value, or an object that may hold anything.
    Anything,
}

struct Compiled {
    schema: Value,
    validator: Validator,
    known: Known,
}

static CATALOGUE: LazyLock<Vec<Entry>> =
    LazyLock::new(|| files::FILES.iter().map(|it| entry(it, &parsed(it))).collect());

static COMPILED: LazyLock<BTreeMap<(Kind, u32), Compiled>> = LazyLock::new(|| {
    let compiled = |file: &files::File| {
        let schema = parsed(file);
        let validator = rules::options().build(&schema).expect("a test compiles every schema");
        let known = known(&schema, &schema);
        Compiled { schema, validator, known }
    };
    files::FILES.iter().map(|it| ((it.kind, it.version), compiled(it))).collect()
});

static PERSONAL: LazyLock<BTreeMap<Kind, Vec<&'static str>>> = LazyLock::new(|| {
    let mut found: BTreeMap<Kind, BTreeSet<&'static str>> = BTreeMap::new();
    for entry in catalogue() {
        found.entry(entry.kind).or_default().extend(entry.personal.iter().map(String::as_str));
    }
    found.into_iter().map(|(kind, names)| (kind, names.into_iter().collect())).collect()
});

/// Every type and version, in the order of the catalogue.
#[must_use]
pub fn catalogue() -> &'static [Entry] {
    &CATALOGUE
}

/// The catalogue's line of one type and version.
#[must_use]
pub fn entry_of(kind: Kind, version: u32) -> Option<&'static Entry> {
    catalogue().iter().find(|it| it.kind == kind && it.version == version)
}

/// Everything in the data that breaks the schema of its type and version, each place once.
///
/// Pointers begin with `/data`. Empty means valid. A version that is not known is the business of
/// [`Kind::parse_type`]; here it has no schema and nothing is found.
#[must_use]
pub fn validate(kind: Kind, version: u32, data: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    rules::storable(data, "/data", &mut findings);
    let Some(compiled) = COMPILED.get(&(kind, version)) else { return findings };
    if compiled.validator.is_valid(data) {
        return findings;
    }
    let errors: Vec<_> = compiled.validator.iter_errors(data).collect();
    // A value of the wrong form breaks its pattern and its format: the format says it better.
    let (patterns, others): (Vec<_>, Vec<_>) =
        errors.iter().partition(|it| it.kind().keyword() == "pattern");
    for error in others.into_iter().chain(patterns) {
        let finding = rules::finding(&compiled.schema, error);
        if findings.iter().all(|it| it.pointer != finding.pointer) {
            findings.push(finding);
        }
    }
    findings
}

/// The members that are about a person, in any version of the kind: names at the top of the data.
#[must_use]
pub fn personal_pointers(kind: Kind) -> &'static [&'static str] {
    PERSONAL.get(&kind).map_or(&[], Vec::as_slice)
}

/// The members that the schema does not know, as pointers below `data` without the first slash:
/// `note`, `lines/0/colour`.
#[must_use]
pub fn unknown_fields(kind: Kind, version: u32, data: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(compiled) = COMPILED.get(&(kind, version)) {
        unknown(&compiled.known, data, "", &mut found);
    }
    found
}

fn unknown(known: &Known, value: &Value, at: &str, found: &mut Vec<String>) {
    match (known, value) {
        (Known::Members(members), Value::Object(object)) => {
            for (name, value) in object {
                let at = rules::below(at, name);
                match members.get(name) {
                    Some(known) => unknown(known, value, &at, found),
                    None => found.push(at.trim_start_matches('/').to_owned()),
                }
            }
        }
        (Known::Items(known), Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                unknown(known, value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn parsed(file: &files::File) -> Value {
    serde_json::from_str(file.text).expect("a test reads every schema")
}

/// The schema that a local `$ref` stands for, or the schema itself.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|it| root.pointer(it.strip_prefix('#')?))
        .unwrap_or(schema)
}

fn known(root: &Value, schema: &Value) -> Known {
    let schema = resolved(root, schema);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let member = |(name, it): (&String, &Value)| (name.clone(), known(root, it));
        return Known::Members(properties.iter().map(member).collect());
    }
    match schema.get("items") {
        Some(items) => Known::Items(Box::new(known(root, items))),
        None => Known::Anything,
    }
}

fn entry(file: &files::File, schema: &Value) -> Entry {
    let word = |pointer: &str| {
        schema.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let is_personal = |it: &Value| it.get("x-personal") == Some(&Value::Bool(true));
    let properties = schema.get("properties").and_then(Value::as_object);
    let personal = properties.into_iter().flatten().filter(|(_, it)| is_personal(it));
    Entry {
        kind: file.kind,
        version: file.version,
        type_name: file.kind.type_name(file.version),
        title: Text { id: word("/x-title/id"), en: word("/x-title/en") },
        who: word("/x-who"),
        stream: word("/x-stream"),
        phase: word("/x-phase"),
        personal: personal.map(|(name, _)| name.clone()).collect(),
        text: file.text,
    }
}

#[cfg(test)]
mod tests;
