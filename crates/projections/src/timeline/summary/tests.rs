//! Promises about the sentences about facts.

use std::collections::BTreeSet;

use events::kind::Kind;
use events::upcast::upcast;
use serde_json::Value;

use super::*;

fn jakarta() -> TimeZone {
    events::policy::Policies::default().calendar.zone.clone()
}

fn said(kind: &str, data: &str) -> Text {
    summary(&Fact::parse(kind.parse().unwrap(), data).unwrap(), &jakarta())
}

/// Every word of a value that somebody wrote.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.to_lowercase()),
        Value::Array(list) => list.iter().for_each(|it| texts(it, found)),
        Value::Object(members) => members.values().for_each(|it| texts(it, found)),
        _ => {}
    }
}

#[test]
fn every_kind_has_a_sentence_of_its_own_without_anything_personal() {
    let mut kinds = BTreeSet::new();
    for entry in schema::catalogue() {
        let text: Value = serde_json::from_str(entry.text).unwrap();
        for example in text["examples"].as_array().unwrap() {
            let data = example.to_string();
            let data = upcast(entry.kind, entry.version, &data).unwrap();
            let fact = Fact::parse(entry.kind, &data).unwrap();
            let text = summary(&fact, &jakarta());
            assert!(!text.id.is_empty() && !text.en.is_empty());
            assert!(text.en.chars().count() <= 120, "{} is long: {}", entry.type_name, text.en);
            let mut personal = Vec::new();
            for name in schema::personal_pointers(entry.kind) {
                texts(&example[*name], &mut personal);
            }
            for it in personal {
                let shown = format!("{} {}", text.id, text.en).to_lowercase();
                assert!(!shown.contains(&it), "{}: {shown} shows {it}", entry.type_name);
            }
            kinds.insert(entry.kind);
        }
    }
    assert_eq!(kinds.len(), Kind::ALL.len());
}

#[test]
fn a_complaint_reads_as_the_interfaces_say() {
    let it = said(
        "complaint.raised",
        r#"{"complaint":"k-55","kind":"technical","category":"air_conditioning",
            "severity":"high","text":"AC mati sejak pagi"}"#,
    );
    assert_eq!(it.en, "Technical complaint: air conditioning, high");
    assert_eq!(it.id, "Keluhan teknis: air conditioning, tinggi");
}

#[test]
fn money_and_times_are_written_as_people_write_them() {
    let paid = |amount: i64, currency: &str| {
        said(
            "payment.recorded",
            &format!(
                r#"{{"payment":"p","kind":"deposit","amount":{{"amount":{amount},"currency":"{currency}"}}}}"#
            ),
        )
    };
    assert_eq!(
        paid(6_000_000, "IDR"),
        Text::new("Deposit: Rp 6,000,000", "Uang muka: Rp 6.000.000")
    );
    assert_eq!(paid(123_456, "USD").en, "Deposit: USD 1,234.56");
    assert_eq!(paid(999, "IDR").id, "Uang muka: Rp 999");
    let promised = said(
        "promise.made",
        r#"{"promise":"p","what":"the price","owner":"ani","due_at":"2026-05-11T03:00:00Z"}"#,
    );
    assert_eq!(promised.en, "Promised by 11 May 2026, 10:00, ani takes care");
}

#[test]
fn no_code_stands_where_a_word_belongs() {
    let raised = said(
        "alert.raised",
        r#"{"alert":"a","kind":"we_owe","occurrence":1,"severity":"critical","owner":"ani",
            "due_at":"2026-05-11T03:00:00Z","team":"frontdesk","because":[],"stop_by":"promise",
            "policy":"owe","policy_version":1}"#,
    );
    let (en, id) = (
        "Alert for ani: we owe something (critical)",
        "Peringatan untuk ani: kita berutang sesuatu (kritis)",
    );
    assert_eq!(raised, Text::new(en, id));
    let changed = said(
        "loyalty.tier_changed",
        r#"{"from":"prospect","to":"secondary","cause":"earned","policy_version":1,"evidence":[]}"#,
    );
    let (en, id) = (
        "Tier changed from prospect to secondary: earned",
        "Golongan berubah dari prospek menjadi sekunder: diraih",
    );
    assert_eq!(changed, Text::new(en, id));
    let mut found = Vec::new();
    for entry in schema::catalogue() {
        let text: Value = serde_json::from_str(entry.text).unwrap();
        for example in text["examples"].as_array().unwrap() {
            let data = example.to_string();
            let data = upcast(entry.kind, entry.version, &data).unwrap();
            let said = summary(&Fact::parse(entry.kind, &data).unwrap(), &jakarta());
            for text in [&said.en, &said.id] {
                if text.contains('_') || text.contains("T0") || text.contains('/') {
                    found.push(text.clone());
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
