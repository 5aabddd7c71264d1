//! Types, schemas and examples cannot drift apart.

use serde_json::{Map, json};

use super::*;
use crate::fact::{self, Fact};
use crate::kind::{CustomerRule, PhaseRule};
use crate::upcast::upcast;

fn schema_of(entry: &Entry) -> Value {
    serde_json::from_str(entry.text).unwrap()
}

fn example_of(entry: &Entry) -> Map<String, Value> {
    schema_of(entry)["examples"][0].as_object().unwrap().clone()
}

fn newest() -> impl Iterator<Item = &'static Entry> {
    catalogue().iter().filter(|it| it.version == it.kind.newest_version())
}

fn names(schema: &Value, member: &str) -> BTreeSet<String> {
    match &schema[member] {
        Value::Object(it) => it.keys().cloned().collect(),
        Value::Array(it) => it.iter().map(|it| it.as_str().unwrap().to_owned()).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn every_kind_has_a_schema_of_every_version() {
    let wanted: Vec<(Kind, u32)> = Kind::ALL
        .iter()
        .flat_map(|&kind| (1..=kind.newest_version()).map(move |version| (kind, version)))
        .collect();
    let found: Vec<(Kind, u32)> = catalogue().iter().map(|it| (it.kind, it.version)).collect();
    assert_eq!(found, wanted);
    assert_eq!(COMPILED.len(), wanted.len());
}

#[test]
fn a_schema_says_the_same_as_the_table_of_kinds() {
    for entry in catalogue() {
        let schema = schema_of(entry);
        let name = format!("{}.v{}", entry.kind, entry.version);
        assert_eq!(schema["$id"], format!("urn:sapa:schema:{name}"));
        assert_eq!(schema["additionalProperties"], true, "{name}");
        let phase = serde_json::to_value(entry.kind.phase()).unwrap();
        assert_eq!(entry.phase, phase.as_str().unwrap(), "{name}");
        assert!(entry.stream.starts_with(entry.kind.family().as_str()), "{name}");
        assert_eq!(entry.who.starts_with("Sapa"), entry.kind.is_reserved(), "{name}");
        assert!(!entry.title.id.is_empty() && entry.title.en == schema["title"], "{name}");
        for (field, it) in schema["properties"].as_object().unwrap() {
            assert!(
                it["description"].as_str().is_some_and(|it| it.ends_with('.')),
                "{name} {field}"
            );
        }
    }
}

#[test]
fn an_example_fills_every_property_and_is_valid() {
    for entry in catalogue() {
        let example = example_of(entry);
        let shown: BTreeSet<String> = example.keys().cloned().collect();
        let name = &entry.type_name;
        assert_eq!(shown, names(&schema_of(entry), "properties"), "{name}");
        let example = Value::Object(example);
        assert_eq!(validate(entry.kind, entry.version, &example), [], "{name}");
        assert!(unknown_fields(entry.kind, entry.version, &example).is_empty(), "{name}");
    }
}

/// Instants come back in UTC, so both sides are compared in that spelling.
fn in_utc(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(at) => json!(at),
            Err(_) => value.clone(),
        },
        Value::Array(list) => list.iter().map(in_utc).collect(),
        Value::Object(it) => it.iter().map(|(name, it)| (name.clone(), in_utc(it))).collect(),
        _ => value.clone(),
    }
}

#[test]
fn a_fact_knows_every_property_of_its_schema() {
    for entry in newest() {
        let example = Value::Object(example_of(entry));
        let fact = Fact::parse(entry.kind, &example.to_string()).unwrap();
        assert_eq!(fact.kind(), entry.kind);
        let written: Value = serde_json::from_str(&fact.to_json().unwrap()).unwrap();
        assert_eq!(in_utc(&written), in_utc(&example), "{}", entry.type_name);
        assert_eq!(validate(entry.kind, entry.version, &written), [], "{}", entry.type_name);
        let early = "2000-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(fact::check(&fact, early), [], "{}", entry.type_name);
    }
}

#[test]
fn exactly_the_required_properties_are_those_a_fact_cannot_do_without() {
    for entry in newest() {
        let required = names(&schema_of(entry), "required");
        for name in example_of(entry).keys() {
            let mut data = example_of(entry);
            data.remove(name);
            let text = Value::Object(data.clone()).to_string();
            let read = Fact::parse(entry.kind, &text);
            let place = format!("{} without {name}", entry.type_name);
            assert_eq!(read.is_err(), required.contains(name), "{place}");
            let findings = validate(entry.kind, entry.version, &Value::Object(data));
            let found: Vec<_> = findings.iter().map(|it| (it.pointer.as_str(), it.rule)).collect();
            if required.contains(name) {
                assert_eq!(found, [(format!("/data/{name}").as_str(), "required")], "{place}");
            } else {
                assert_eq!(found, [], "{place}");
                let written: Value =
                    serde_json::from_str(&read.unwrap().to_json().unwrap()).unwrap();
                assert_eq!(validate(entry.kind, entry.version, &written), [], "{place}");
            }
        }
    }
}

#[test]
fn what_was_valid_once_is_readable_for_ever() {
    for file in files::FILES {
        let golden: Value = serde_json::from_str(file.golden).unwrap();
        let name = file.kind.type_name(file.version);
        assert_eq!(validate(file.kind, file.version, &golden), [], "{name}");
        let text = golden.to_string();
        let today = upcast(file.kind, file.version, &text).unwrap();
        let fact = Fact::parse(file.kind, &today).unwrap_or_else(|it| panic!("{name}: {it}"));
        let newest: Value = serde_json::from_str(&today).unwrap();
        let version = file.kind.newest_version();
        assert_eq!(validate(file.kind, version, &newest), [], "{name}");
        assert_eq!(fact.kind(), file.kind);
    }
}

#[test]
fn every_stream_outside_the_customers_is_named_in_the_data() {
    for entry in newest() {
        let text = Value::Object(example_of(entry)).to_string();
        let fact = Fact::parse(entry.kind, &text).unwrap();
        let of_customer = entry.kind.family().as_str() == "customer";
        assert_eq!(fact.stream_key().is_none(), of_customer, "{}", entry.type_name);
        if of_customer {
            assert_eq!(entry.kind.customer(), CustomerRule::Required, "{}", entry.type_name);
        }
        let on_its_own = entry.kind.phase() == PhaseRule::Ritual;
        assert_eq!(on_its_own, entry.kind == Kind::InteractionServed);
    }
}

fn found(kind: Kind, data: &Value) -> Vec<(String, &'static str)> {
    validate(kind, 1, data).into_iter().map(|it| (it.pointer, it.rule)).collect()
}

fn one(pointer: &str, rule: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), rule)]
}

#[test]
fn each_fault_is_found_once_under_its_own_rule() {
    let requested = |name: &str, value: Value| {
        let entry = entry_of(Kind::BookingRequested, 1).unwrap();
        let mut data = example_of(entry);
        data.insert(name.to_owned(), value);
        found(Kind::BookingRequested, &Value::Object(data))
    };
    let long = "x".repeat(201);
    for (name, value, rule) in [
        ("party", json!(0), "range"),
        ("party", json!(1_000_000_000), "range"),
        ("party", json!("two"), "type"),
        ("party", json!(2.5), "number_range"),
        ("party", json!(null), "type"),
        ("booking", json!("../x"), "bad_id"),
        ("booking", json!(""), "bad_id"),
        ("purpose", json!(long), "too_long"),
        ("purpose", json!("a\u{0}b"), "nul_character"),
        ("starts_at", json!("2026-08-15T08:00"), "time_zone_missing"),
        ("starts_at", json!("2026-02-30T08:00:00Z"), "time_invalid"),
        ("starts_at", json!("tomorrow"), "time_invalid"),
        ("starts_at", json!("1900-01-01T08:00:00Z"), "time_range"),
        ("waitlist", json!("yes"), "type"),
        ("price", json!("free"), "type"),
    ] {
        assert_eq!(requested(name, value), one(&format!("/data/{name}"), rule), "{name}");
    }
    let price = |value: Value| requested("price", value);
    assert_eq!(
        price(json!({"amount": -1, "currency": "IDR"})),
        one("/data/price/amount", "number_range")
    );
    assert_eq!(
        price(json!({"amount": 1, "currency": "rp"})),
        one("/data/price/currency", "bad_id")
    );
    assert_eq!(price(json!({"amount": 1})), one("/data/price/currency", "required"));
}

#[test]
fn a_finding_says_what_would_be_right() {
    let told = |kind, data: Value| {
        let findings = validate(kind, 1, &data);
        findings.into_iter().map(|it| it.detail.en).collect::<Vec<_>>()
    };
    let arrived =
        |party: i64| told(Kind::InteractionArrived, json!({"visit": "v", "party": party}));
    assert_eq!(arrived(0), ["must be 1 to 100000"]);
    assert_eq!(arrived(1_000_000), ["must be 1 to 100000"]);
    let merged = json!({"absorbed": [], "reason": "same phone"});
    assert_eq!(told(Kind::CustomerMerged, merged), ["must be 1 to 10 elements"]);
    let mood = json!({"about": "complaint/k-1", "mood": "cross"});
    assert_eq!(told(Kind::InteractionMessaged, mood), ["must be one of calm, upset, angry"]);
    let text = json!({"visibility": "team", "text": "x".repeat(4_001)});
    assert_eq!(told(Kind::InteractionNoted, text), ["has 4001 characters; the limit is 4000"]);
    let party = json!({"visit": "v", "party": "two"});
    assert_eq!(told(Kind::InteractionArrived, party), ["expected integer, got string"]);
}

#[test]
fn references_words_and_lists_are_held_to_their_form() {
    let messaged = |about: &str| found(Kind::InteractionMessaged, &json!({ "about": about }));
    assert_eq!(messaged("weather/1"), one("/data/about", "bad_id"));
    let mood = json!({"about": "complaint/k-1", "mood": "cross"});
    assert_eq!(found(Kind::InteractionMessaged, &mood), one("/data/mood", "enum"));
    let referred = |id: &str| found(Kind::ReferralRecorded, &json!({ "referred": id }));
    assert_eq!(referred("ibu@contoh.id"), one("/data/referred", "id_personal"));
    assert_eq!(referred("_"), one("/data/referred", "bad_id"));
    let merged = |ids: &[&str]| {
        found(Kind::CustomerMerged, &json!({"absorbed": ids, "reason": "same phone"}))
    };
    assert_eq!(merged(&[]), one("/data/absorbed", "range"));
    assert_eq!(merged(&["c"; 11]), one("/data/absorbed", "range"));
    assert_eq!(merged(&["a", "b c"]), one("/data/absorbed/1", "bad_id"));
    let withdrawn = json!({"alert": "a-1", "because": ["no hash"]});
    assert_eq!(found(Kind::AlertWithdrawn, &withdrawn), one("/data/because/0", "bad_id"));
    assert_eq!(found(Kind::InteractionGreeted, &json!([])), one("/data", "type"));
    let noted = json!({"visibility": "team", "text": ""});
    assert_eq!(found(Kind::InteractionNoted, &noted), one("/data/text", "required"));
}

#[test]
fn a_text_that_cannot_be_stored_is_found_in_members_nobody_knows() {
    let data = json!({"by_name": true, "x/y": {"deep": ["a\u{0}"]}, "long": "é".repeat(8_193)});
    assert_eq!(
        found(Kind::InteractionGreeted, &data),
        [("/data/long".to_owned(), "too_long"), ("/data/x~1y/deep/0".to_owned(), "nul_character")]
    );
}

#[test]
fn a_finding_about_a_person_never_repeats_what_stood_there() {
    let data =
        json!({"kind": "person", "name": "Sari ".repeat(60), "referred_by": "sari@contoh.id"});
    let findings = validate(Kind::CustomerRegistered, 1, &data);
    assert_eq!(findings.len(), 2);
    let told = format!("{findings:?}");
    assert!(!told.contains("Sari") && !told.contains("contoh"));
}

#[test]
fn members_that_no_schema_knows_are_named_and_allowed() {
    let data = json!({"purchase": "p-1", "kind": "sale", "colour": "red",
        "amount": {"amount": 1, "currency": "IDR", "tax": 0},
        "lines": [{"item": "tea", "quantity": 1}, {"item": "tea", "quantity": 1, "a/b": 1}]});
    assert_eq!(found(Kind::PurchaseRecorded, &data), []);
    let mut unknown = unknown_fields(Kind::PurchaseRecorded, 1, &data);
    unknown.sort();
    assert_eq!(unknown, ["amount/tax", "colour", "lines/1/a~1b"]);
    let erased = json!({"certificate": {"any": {"thing": 1}}});
    assert!(unknown_fields(Kind::CustomerErased, 1, &erased).is_empty());
}

#[test]
fn personal_members_are_those_marked_in_the_schema() {
    assert_eq!(personal_pointers(Kind::ComplaintRaised), ["text", "wanted"]);
    assert_eq!(personal_pointers(Kind::CustomerRegistered), ["name"]);
    assert_eq!(personal_pointers(Kind::InteractionGreeted), ["text"]);
    assert!(personal_pointers(Kind::PolicyPublished).is_empty());
}
