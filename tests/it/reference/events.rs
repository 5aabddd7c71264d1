//! `events.md`, from the table of kinds and the JSON Schema of each.
//!
//! Every example is a whole event and is read by the validator before it is written here.

use std::fmt::Write as _;

use events::cloudevents::{Sender, structured};
use events::kind::{CustomerRule, Direction, Kind, PhaseRule};
use events::problem::Code;
use events::schema::{self, Entry};
use serde_json::{Value, json};

use super::{cell, heading};
use crate::support::files::golden;
use crate::support::{at, main_tenant};

/// The moment at which the examples are sent: an hour after they happened.
const NOW: &str = "2026-05-09T13:40:00+07:00";

const ENVELOPE: &str = "\
An event is a [CloudEvents 1.0](https://cloudevents.io) event. Structured, it is one JSON object with the \
attributes below and `data`; binary, the attributes are headers `ce-<name>` and the body is the data. Both \
mean the same and get the same receipt. The type says topic, action and version; on NATS the subject is \
`sapa.v1.<tenant>.in.<topic>.<action>`.

## Envelope

| Attribute | Required | Meaning |
|---|---|---|
| `specversion` | yes | `1.0` |
| `id` | yes | 1 to 64 printable characters, unique for ever within `source`; UUIDv7 advised. The same id again gets the first receipt; other content under a known id is `event_id_conflict`. An event that agrees but for digits of `time` that were cut off is the same event. |
| `source` | yes | who publishes, such as `/hotel/front-desk` |
| `type` | yes | `sapa.<topic>.<action>.v<version>` |
| `time` | yes | when it happened, RFC 3339 with offset; over 24 hours ahead is refused, over 5 minutes ahead moves no clock until then, over 20 years back needs `imported` |
| `subject` | as the kind says | the customer's id: a letter or digit, then letters, digits, `.`, `_`, `-`, `:`; nothing that looks like a telephone number or an e-mail address |
| `actor` | yes | who did it: `staff/dewi`, `customer`, `ai/desk-bot`, `system/pms` |
| `actorkind` | no | follows from `actor`; must agree if sent |
| `channel` | as the kind says | `desk`, `phone`, `whatsapp`, `email`, `web`, `visit`, `other` |
| `datacontenttype` | no | `application/json` |
| `dataschema` | no | `urn:sapa:schema:<topic>.<action>.v<version>`; must fit `type` |
| `tenant` | no | must be the tenant of the key or the subject |
| `correlationid`, `causationid` | no | the thread, and the event that caused this one |
| `traceparent`, `tracestate` | no | W3C trace context, passed on |
| `voids` | no | `<source>#<id>` of an event that this one takes back; every rule then behaves as if that one had never been |
| `imported` | no | `true`: history that is loaded later; fills views, opens no obligation; needs the scope `import` |
| `expectedversion` | no | refuse unless the stream is at this version; 0: it must not exist |
| others | no | kept and given out unchanged |

Recorded events carry besides: `tenant`, `stream`, `streamversion`, `recordedat` and `position`. They are \
removed from what is sent in, so an event of Sapa's can be sent again as it is.

Data may have members that its schema does not know; they are kept, and the receipt names them in a warning.
A member marked *personal* is left out for keys without the scope `pii:read`.

## Kinds

| Kind | Phase | Direction | Stream | Who may publish |
|---|---|---|---|---|
";

pub fn render() -> String {
    let mut text = heading("Events", "`crates/events/src/kind.rs` and `schemas/events`") + ENVELOPE;
    for kind in Kind::ALL {
        let Some(entry) = newest(*kind) else { continue };
        let _ = writeln!(
            text,
            "| [`{0}`](#{1}) | {2} | {3} | `{4}` | {5} |",
            kind.name(),
            kind.name().replace('.', ""),
            phase(*kind),
            direction(*kind),
            entry.stream,
            if kind.is_built() { cell(&entry.who) } else { "nobody yet: *not built*".to_owned() },
        );
    }
    for kind in Kind::ALL {
        if let Some(entry) = newest(*kind) {
            describe(&mut text, *kind, entry);
        }
    }
    text
}

fn newest(kind: Kind) -> Option<&'static Entry> {
    schema::entry_of(kind, kind.newest_version())
}

fn phase(kind: Kind) -> &'static str {
    match kind.phase() {
        PhaseRule::Before => "before",
        PhaseRule::During => "during",
        PhaseRule::After => "after",
        PhaseRule::Any => "any",
        PhaseRule::Ritual => "of its ritual step",
    }
}

fn direction(kind: Kind) -> &'static str {
    match kind.direction() {
        Direction::In => "in",
        Direction::Out => "out",
        Direction::Internal => "internal",
        Direction::Either => "in or out",
    }
}

fn describe(text: &mut String, kind: Kind, entry: &Entry) {
    let schema: Value = serde_json::from_str(entry.text).unwrap();
    let words = |name: &str| schema[name].as_str().unwrap_or_default().to_owned();
    let customer = match kind.customer() {
        CustomerRule::Required => "`subject` is the customer.",
        CustomerRule::Optional => "`subject` is the customer, if it is about one.",
        CustomerRule::Never => "It has no `subject`.",
    };
    let channel = if kind.requires_channel() { " `channel` is required." } else { "" };
    let built = if kind.is_built() { "" } else { " *Not built*: refused with `not_built`." };
    let _ = write!(
        text,
        "\n### `{}`\n\n{} Type `{}`, stream `{}`. {customer}{channel}{built}\n\n| Member | Type | Meaning |\n|---|---|---|\n",
        kind.name(),
        words("description"),
        entry.type_name,
        entry.stream,
    );
    members(text, &schema, &schema, "");
    let _ = write!(text, "\n```json\n{}\n```\n", example(kind, entry));
}

/// One row for each member, those of objects below it with their path.
fn members(text: &mut String, schema: &Value, root: &Value, at: &str) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let own = resolved(member, root);
        let path = format!("{at}{name}");
        let mut meaning = member["description"].as_str().unwrap_or_default().to_owned();
        if let Some(default) = own.get("default") {
            let _ = write!(meaning, " Default `{default}`.");
        }
        if own.get("x-personal").is_some_and(|it| it == true) {
            meaning.push_str(" *Personal.*");
        }
        let needed = if required.contains(&name.as_str()) { ", required" } else { "" };
        let _ = writeln!(
            text,
            "| `{path}` | {}{needed} | {} |",
            cell(&kind_of(own, root)),
            cell(&meaning)
        );
        let inner = if own["type"] == "array" { resolved(&own["items"], root) } else { own };
        let dots = if own["type"] == "array" { "[]." } else { "." };
        if inner.get("properties").is_some() && inner["properties"].get("currency").is_none() {
            members(text, inner, root, &format!("{path}{dots}"));
        }
    }
}

fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    let pointer = schema["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    pointer.and_then(|it| root.pointer(it)).unwrap_or(schema)
}

/// The type of a member in a few words: `text (1–120)`, `one of "a", "b"`, `money`.
fn kind_of(schema: &Value, root: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().map(|it| format!("`{}`", it.as_str().unwrap_or_default())).collect();
        return words.join(", ");
    }
    let range = |low: &str, high: &str| match (schema[low].as_i64(), schema[high].as_i64()) {
        (Some(low), Some(high)) => format!(" ({low}–{high})"),
        (Some(low), None) => format!(" (at least {low})"),
        (None, Some(high)) => format!(" (at most {high})"),
        (None, None) => String::new(),
    };
    match (schema["type"].as_str().unwrap_or_default(), schema["format"].as_str()) {
        ("string", Some("date-time")) => "instant".to_owned(),
        ("string", Some(format)) => format.to_owned(),
        ("string", None) => format!("text{}", range("minLength", "maxLength")),
        ("integer", _) => format!("whole number{}", range("minimum", "maximum")),
        ("number", _) => format!("number{}", range("minimum", "maximum")),
        ("boolean", _) => "`true`, `false`".to_owned(),
        ("array", _) => {
            let items = resolved(&schema["items"], root);
            format!("list of {}{}", kind_of(items, root), range("minItems", "maxItems"))
        }
        ("object", _) if schema["properties"].get("currency").is_some() => "money".to_owned(),
        _ => "object".to_owned(),
    }
}

/// A whole event around the example data of a schema, attributes first, which the validator accepts.
fn example(kind: Kind, entry: &Entry) -> String {
    let number = Kind::ALL.iter().position(|it| *it == kind).unwrap_or_default() + 1;
    let actor = match (kind.is_reserved(), kind.direction()) {
        (true, _) => format!("system/{}", kind.topic()),
        (false, Direction::In) => "customer".to_owned(),
        _ => "staff/dewi".to_owned(),
    };
    let mut members = vec![
        ("specversion", json!("1.0")),
        ("id", json!(format!("01a10091-d640-726b-b2a7-{number:012}"))),
        ("source", json!("/hotel/front-desk")),
        ("type", json!(entry.type_name)),
        ("time", json!("2026-05-09T12:40:00+07:00")),
        ("actor", json!(actor)),
    ];
    if kind.customer() != CustomerRule::Never {
        members.push(("subject", json!("c-1029")));
    }
    if kind.requires_channel() {
        members.push(("channel", json!("phone")));
    }
    members.push(("data", golden(kind)));
    let lines: Vec<String> = members
        .iter()
        .map(|(name, value)| {
            let value = serde_json::to_string_pretty(value).unwrap().replace('\n', "\n  ");
            format!("  \"{name}\": {value}")
        })
        .collect();
    let event = format!("{{\n{}\n}}", lines.join(",\n"));
    let tenant = main_tenant();
    let sender = Sender {
        tenant: &tenant,
        now: at(NOW),
        may_import: true,
        sources: None,
        route: None,
        key: b"reference",
        refuse_unknown_fields: true,
        venues: &[],
    };
    let read = structured(event.as_bytes(), &sender);
    let refused = read.err().map(|problem| problem.code);
    let expected = (!kind.is_built()).then_some(Code::NotBuilt);
    assert_eq!(refused, expected, "the example of {}", kind.name());
    event
}
