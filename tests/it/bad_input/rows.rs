//! The table of bad input as data: what is sent, and what everybody is told. The names of the rows
//! are those of the design; a row that has several spellings stands here once for each.

use std::sync::atomic::{AtomicU64, Ordering};

use events::kind::{CustomerRule, Kind};
use serde_json::{Map, Value, json};

use crate::support::files::golden;

/// Values about persons that stand in every event below, and must stand in no answer.
pub const PLANTED: [&str; 4] =
    ["081234567890", "6281234567890", "ibu.sari@example.org", "Ibu Sari Wulandari"];
/// How a structured event announces itself.
pub const STRUCTURED: (&str, &str) = ("Content-Type", "application/cloudevents+json");

/// Who sends a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Somebody who may send as any source.
    Anybody,
    /// Somebody who may send as `/crs` only.
    Crs,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub row: &'static str,
    pub what: String,
    /// What was recorded before, where the row depends on it.
    pub first: Option<Value>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The subject it is published to, behind the tenant.
    pub subject: String,
    pub by: By,
    pub status: u16,
    pub code: &'static str,
    /// A place and its rule, where the answer must name one.
    pub at: Option<(&'static str, &'static str)>,
    /// Members of the answer besides those of every problem.
    pub members: &'static [&'static str],
}

impl Row {
    fn new(row: &'static str, what: impl Into<String>, status: u16, code: &'static str) -> Self {
        Self {
            row,
            what: what.into(),
            first: None,
            headers: vec![(STRUCTURED.0.into(), STRUCTURED.1.into())],
            body: Vec::new(),
            subject: "in.booking.requested".to_owned(),
            by: By::Anybody,
            status,
            code,
            at: None,
            members: &[],
        }
    }

    fn event(mut self, event: &Value) -> Self {
        let name = event["type"].as_str().unwrap_or_default();
        if let [_, topic, action, _] = name.split('.').collect::<Vec<_>>()[..] {
            self.subject = format!("in.{topic}.{action}");
        }
        self.text(event.to_string())
    }

    fn text(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn at(mut self, pointer: &'static str, rule: &'static str) -> Self {
        self.at = Some((pointer, rule));
        self
    }

    fn headers(mut self, headers: &[(&str, &str)]) -> Self {
        self.headers = headers.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
        self
    }

    fn with(mut self, members: &'static [&'static str]) -> Self {
        self.members = members;
        self
    }
}

/// A valid event of a kind with an id of its own; half an hour old when the test begins.
pub fn event(kind: &str) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let known = Kind::from_name(kind).unwrap_or_else(|| panic!("no kind {kind}"));
    let mut event = json!({
        "specversion": "1.0",
        "id": format!("bad-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        "source": "/hotel/front-desk",
        "type": known.type_name(known.newest_version()),
        "time": "2026-11-21T16:30:00+07:00",
        "actor": "staff/rudi",
        "actorkind": "staff",
        "channel": "phone",
        "data": golden(known),
    });
    if known.customer() != CustomerRule::Never {
        event["subject"] = json!("c-sari");
    }
    event
}

/// A booking that is asked for, with planted values in it.
pub fn booking() -> Value {
    let mut event = event("booking.requested");
    event["data"]["purpose"] = json!(PLANTED.join(", "));
    event
}

/// The same event with other members: a name above `data`, or `data/` and a name in it.
fn with(mut event: Value, members: &[(&str, Value)]) -> Value {
    for (name, value) in members {
        match name.strip_prefix("data/") {
            Some(name) => event["data"][name] = value.clone(),
            None => event[*name] = value.clone(),
        }
    }
    event
}

fn without(mut event: Value, name: &str) -> Value {
    let object = match name.strip_prefix("data/") {
        Some(_) => event["data"].as_object_mut(),
        None => event.as_object_mut(),
    };
    object.unwrap().remove(name.trim_start_matches("data/"));
    event
}

fn changed(name: &str, value: impl Into<Value>) -> Value {
    with(booking(), &[(name, value.into())])
}

/// The text of a booking with the literal of one member of its data replaced.
fn literal(name: &str, literal: &str) -> String {
    changed(&format!("data/{name}"), "THE-LITERAL").to_string().replace("\"THE-LITERAL\"", literal)
}

/// The attributes of an event as headers, with one of them changed.
pub fn binary(event: &Value, name: &str, value: &str) -> Vec<(String, String)> {
    let attributes = event.as_object().unwrap().iter().filter(|(name, _)| *name != "data");
    let header = |(at, it): (&String, &Value)| {
        let text = if at == name { value } else { it.as_str().unwrap() };
        (format!("ce-{at}"), text.to_owned())
    };
    let mut headers: Vec<_> = attributes.map(header).collect();
    headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    headers
}

/// Everything that is refused on every way in.
pub fn refused() -> Vec<Row> {
    let mut rows = bytes();
    rows.extend(values());
    rows.extend(ids());
    rows.extend(types());
    rows.extend(data());
    rows.extend(times());
    rows.extend(access());
    rows
}

fn bytes() -> Vec<Row> {
    let text = booking().to_string();
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut latin = text.clone().into_bytes();
    let place = latin.iter().position(|it| *it == b'W').unwrap();
    latin[place] = 0xE9;
    let big = changed("data/purpose", "x".repeat(70_000)).to_string();
    vec![
        Row::new("B1", "nothing", 400, "body_empty"),
        Row::new("B1", "white space", 400, "body_empty").text(" \n"),
        Row::new("B2", "half an object", 400, "json_syntax").text(&text[..text.len() / 2]),
        Row::new("B2", "a word", 400, "json_syntax").text("hello"),
        Row::new("B2", "a number", 400, "json_syntax").text("5"),
        Row::new("B3", "text behind the event", 400, "json_trailing").text(format!("{text} {{}}")),
        Row::new("B4", "a byte-order mark", 400, "json_bom").text(format!("\u{FEFF}{text}")),
        Row::new("B5", "Latin-1", 400, "utf8_invalid").text(latin),
        Row::new("B5", "UTF-16", 400, "utf8_invalid").text(utf16),
        Row::new("B6", "another content type", 415, "media_type")
            .text(text.clone())
            .headers(&[("Content-Type", "text/plain")]),
        Row::new("B7", "an event over 64 KiB", 413, "too_large").text(big),
        Row::new("B9", "a compressed body", 415, "content_encoding")
            .text(text.clone())
            .headers(&[STRUCTURED, ("Content-Encoding", "gzip")]),
        Row::new("B15", "half a surrogate pair", 400, "json_syntax")
            .text(literal("purpose", "\"\\ud800\"")),
        Row::new("B33", "NaN", 400, "json_syntax").text(literal("party", "NaN")),
        Row::new("B33", "Infinity", 400, "json_syntax").text(literal("party", "Infinity")),
        Row::new("B58", "17 KB of headers", 431, "headers_too_large")
            .text(text.clone())
            .headers(&[STRUCTURED, ("X-Filler", &"y".repeat(17_000))]),
        Row::new("C4", "structured and binary at once", 400, "mode_ambiguous")
            .text(text)
            .headers(&[STRUCTURED, ("ce-specversion", "1.0")]),
    ]
}

fn values() -> Vec<Row> {
    let deep = format!("{}1{}", "{\"a\":".repeat(16), "}".repeat(16));
    let keys: Map<String, Value> = (0..300).map(|it| (format!("k{it}"), json!(1))).collect();
    let twice = booking().to_string().replacen('{', "{\"subject\":\"c-sari\",", 1);
    let number = |what: &str, text: &str| {
        Row::new("B32", what, 422, "schema_invalid")
            .text(literal("party", text))
            .at("/data/party", "number_range")
    };
    let amount = |what: &str, text: &str| {
        Row::new("B32", what, 422, "schema_invalid")
            .text(literal("price", &format!("{{\"amount\":{text},\"currency\":\"IDR\"}}")))
            .at("/data/price/amount", "number_range")
    };
    vec![
        Row::new("B10", "nesting over 16", 400, "too_deep")
            .text(literal("a", &deep))
            .at("/data/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "too_deep"),
        Row::new("B11", "300 members", 400, "too_many_values")
            .event(&changed("data", keys))
            .at("/data", "too_many_values"),
        Row::new("B11", "1,001 elements", 400, "too_many_values")
            .event(&changed("data/a", vec![1; 1_001]))
            .at("/data/a", "too_many_values"),
        Row::new("B12", "one key twice", 400, "duplicate_key")
            .text(twice)
            .at("/subject", "duplicate_key"),
        Row::new("B13", "9,100 characters", 422, "schema_invalid")
            .event(&changed("data/purpose", "x".repeat(9_100)))
            .at("/data/purpose", "too_long"),
        Row::new("B13", "more than the schema allows", 422, "schema_invalid")
            .event(&changed("data/purpose", "x".repeat(300)))
            .at("/data/purpose", "too_long"),
        Row::new("B14", "NUL in a text", 422, "schema_invalid")
            .event(&changed("data/purpose", "a\0b"))
            .at("/data/purpose", "nul_character"),
        number("1e400", "1e400"),
        number("2^63 + 1", "9223372036854775809"),
        number("-0", "-0"),
        number("5.0 for 5", "5.0"),
        amount("a fraction of a rupiah", "0.3"),
        amount("over 10^15", "1000000000000001"),
        amount("less than nothing", "-1"),
    ]
}

fn ids() -> Vec<Row> {
    let mut rows = Vec::new();
    for (row, what, subject) in [
        ("B16", "a direction override in an id", "c-\u{202E}1"),
        ("B16", "a zero-width space in an id", "c-\u{200B}1"),
        ("B19", "an asterisk", "c*1"),
        ("B19", "a tail wildcard", ">"),
        ("B19", "a space", "c 1"),
        ("B19", "the sign for no customer", "_"),
        ("B48", "a path", "../c-1"),
    ] {
        let event = changed("subject", subject);
        rows.push(Row::new(row, what, 422, "bad_id").event(&event).at("/subject", "bad_id"));
    }
    let path = changed("data/booking", "../b-1");
    rows.push(
        Row::new("B48", "a path in the data", 422, "bad_id")
            .event(&path)
            .at("/data/booking", "bad_id"),
    );
    rows.push(
        Row::new("B20", "no id", 400, "event_id_missing")
            .event(&without(booking(), "id"))
            .at("/id", "event_id_missing"),
    );
    for (what, id) in [
        ("an empty id", String::new()),
        ("65 characters", "x".repeat(65)),
        ("a bell", "a\u{7}".to_owned()),
        ("a space in front", " a".to_owned()),
        ("the nil UUID", "00000000-0000-0000-0000-000000000000".to_owned()),
        ("the greatest UUID", "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned()),
    ] {
        rows.push(
            Row::new("B21", what, 422, "event_id_invalid")
                .event(&changed("id", id))
                .at("/id", "event_id_invalid"),
        );
    }
    for (what, subject) in [
        ("a telephone number as customer id", PLANTED[0]),
        ("one with a plus", "+6281234567890"),
        ("one in groups", "0812-3456-7890"),
        ("one in groups with a plus", "+62-812-3456-7890"),
        ("an address as customer id", PLANTED[2]),
    ] {
        rows.push(
            Row::new("B69", what, 422, "id_personal")
                .event(&changed("subject", subject))
                .at("/subject", "id_personal"),
        );
    }
    let merged = with(event("customer.merged"), &[("data/absorbed", json!([PLANTED[0]]))]);
    let referred = with(event("customer.registered"), &[("data/referred_by", json!(PLANTED[2]))]);
    rows.push(
        Row::new("B69", "a telephone number that is absorbed", 422, "id_personal")
            .event(&merged)
            .at("/data/absorbed/0", "id_personal"),
    );
    rows.push(
        Row::new("B69", "an address that referred somebody", 422, "id_personal")
            .event(&referred)
            .at("/data/referred_by", "id_personal"),
    );
    rows
}

fn types() -> Vec<Row> {
    let recorded = booking();
    let mut conflict = Row::new("B23", "one id with other content", 409, "event_id_conflict")
        .event(&with(recorded.clone(), &[("data/party", json!(7))]))
        .at("/id", "event_id_conflict")
        .with(&["receipt"]);
    conflict.first = Some(recorded);
    let stranger = with(booking(), &[("type", json!("sapa.booking.request.v1"))]);
    let newer = with(booking(), &[("type", json!("sapa.booking.requested.v99"))]);
    vec![
        conflict,
        Row::new("B27", "a type nobody knows", 422, "unknown_type")
            .event(&stranger)
            .at("/type", "unknown_type")
            .with(&["quarantine_id", "did_you_mean"]),
        Row::new("B28", "a version that is newer", 422, "schema_too_new")
            .event(&newer)
            .at("/type", "schema_too_new")
            .with(&["quarantine_id"]),
        Row::new("B51", "another version of the stream", 409, "version_conflict")
            .event(&with(booking(), &[("expectedversion", json!(7_000))]))
            .at("/expectedversion", "version_conflict")
            .with(&["version"]),
        Row::new("B62", "CloudEvents 0.3", 400, "specversion")
            .event(&changed("specversion", "0.3"))
            .at("/specversion", "specversion"),
        Row::new("B62", "no specversion", 400, "specversion")
            .event(&without(booking(), "specversion"))
            .at("/specversion", "specversion"),
        Row::new("B64", "data in base64", 415, "media_type")
            .event(&changed("data_base64", "AAAA"))
            .at("/data_base64", "media_type"),
        Row::new("B64", "data that is no JSON", 415, "media_type")
            .event(&changed("datacontenttype", "text/xml"))
            .at("/datacontenttype", "media_type"),
    ]
}

fn data() -> Vec<Row> {
    let invalid = |row: &'static str, what: &str, event: &Value| {
        Row::new(row, what, 422, "schema_invalid").event(event)
    };
    let identified = |kind: &str, value: &str| {
        let members = [("data/id_kind", json!(kind)), ("data/value", json!(value))];
        with(event("customer.identified"), &members)
    };
    let mut rows = vec![
        invalid("B30", "no beginning", &without(booking(), "data/starts_at"))
            .at("/data/starts_at", "required"),
        invalid("B31", "a word for a number", &changed("data/party", "many"))
            .at("/data/party", "type"),
        invalid("B35", "an end before the beginning", &{
            changed("data/ends_at", "2026-08-14T08:00:00+07:00")
        })
        .at("/data/ends_at", "interval"),
        invalid("B41", "a promise due before it was made", &{
            with(event("promise.made"), &[("data/due_at", json!("2026-11-20T10:00:00+07:00"))])
        })
        .at("/data/due_at", "promise_past"),
        invalid("B43", "an address for a telephone number", &identified("phone", PLANTED[2]))
            .at("/data/value", "phone"),
        invalid("B44", "two lines for an address", &{
            identified("email", "ibu.sari@example.org\r\nBcc: x@example.org")
        })
        .at("/data/value", "email"),
    ];
    for party in [0, -1, 1_000_000_000] {
        let event = changed("data/party", party);
        rows.push(
            invalid("B34", &format!("a party of {party}"), &event).at("/data/party", "range"),
        );
    }
    rows
}

fn times() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |row: &'static str, code: &'static str, times: &[&str]| {
        for time in times {
            let event = changed("time", *time);
            rows.push(Row::new(row, *time, 422, code).event(&event).at("/time", code));
        }
    };
    add("B36", "time_zone_missing", &["2026-11-21T10:00", "2026-11-21T10:00:00"]);
    let invalid = [
        "2026-02-30T10:00:00+07:00",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:00:60Z",
        "2026-11-21T10:00:00+15:00",
        "2026-11-21T10:00:00+07:00[Asia/Jakarta]",
        "20261121T100000Z",
        "2026-11-21T10Z",
        "2026-11-21 10:00:00Z",
        "2026-11-21T10:00:00,5Z",
        "yesterday",
    ];
    add("B37", "time_invalid", &invalid);
    add("B38", "time_range", &["1969-12-31T23:59:59Z", "2101-01-01T00:00:00Z"]);
    add("B39", "time_future", &["2026-12-03T10:00:00+07:00"]);
    add("B40", "time_old", &["1999-01-01T00:00:00Z"]);
    let within = changed("data/starts_at", "2026-08-15T08:00:00");
    rows.push(
        Row::new("B36", "no offset in the data", 422, "time_zone_missing")
            .event(&within)
            .at("/data/starts_at", "time_zone_missing"),
    );
    rows
}

fn access() -> Vec<Row> {
    let mut forbidden = Row::new("B60", "the source of somebody else", 403, "source_forbidden")
        .event(&booking())
        .at("/source", "source_forbidden");
    forbidden.by = By::Crs;
    forbidden.subject = "from.crs.booking.requested".to_owned();
    let mut rows = vec![
        forbidden,
        Row::new("B61", "another tenant", 422, "subject_mismatch")
            .event(&changed("tenant", "annex"))
            .at("/tenant", "subject_mismatch"),
    ];
    for (what, value) in [("an over-long form", "%C0%A0"), ("no hexadecimal digits", "%zz")] {
        let event = booking();
        let mut row = Row::new("B63", what, 400, "header_encoding")
            .text(event["data"].to_string())
            .at("/actor", "header_encoding");
        row.headers = binary(&event, "actor", value);
        rows.push(row);
    }
    let expired = with(event("booking.cancelled"), &[("data/by", json!("hold_expired"))]);
    let nonsense = with(event("loyalty.tier_changed"), &[("data", json!({"from": 7}))]);
    for (what, event) in [
        ("a decision", event("booking.confirmed")),
        ("a decision whose data is nonsense", nonsense),
        ("an expiry", expired),
    ] {
        rows.push(
            Row::new("B67", what, 403, "reserved_type").event(&event).at("/type", "reserved_type"),
        );
    }
    rows
}

/// What is taken, with the warnings that are told and a text that stands in the log afterwards.
pub struct Taken {
    pub row: &'static str,
    pub event: Value,
    pub warnings: &'static [&'static str],
    pub stored: Option<(&'static str, &'static str)>,
}

/// Everything that is odd and recorded all the same.
pub fn taken() -> Vec<Taken> {
    let named = |name: &str| with(event("customer.registered"), &[("data/name", json!(name))]);
    let taken = |row, event, warnings| Taken { row, event, warnings, stored: None };
    let stored = |row, event, warnings, name, text| {
        let stored = Some((name, text));
        Taken { row, event, warnings, stored }
    };
    let purpose =
        |text: &'static str| stored("B45", changed("data/purpose", text), &[], "purpose", text);
    vec![
        stored("B16", named("Ibu\u{202E} Sari"), &["name_cleaned"], "name", "Ibu Sari"),
        stored("B17", named("Rene\u{301}"), &[], "name", "Ren\u{e9}"),
        taken("B18", named("S\u{430}ri"), &["name_confusable"]),
        taken("B29", changed("data/colour_of_tablecloth", "blue"), &["unknown_field"]),
        taken("B39", changed("time", "2026-11-21T17:20:00+07:00"), &["clock_suspect"]),
        purpose("<script>alert(1)</script>"),
        Taken { row: "B46", ..purpose("=cmd()") },
        Taken { row: "B47", ..purpose("'; DROP TABLE events; --") },
        taken(
            "B68",
            with(booking(), &[("position", json!("48211")), ("stream", json!("customer/c-1"))]),
            &["attribute_ignored"],
        ),
    ]
}
