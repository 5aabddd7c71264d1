//! Every shipped map on a small file of its form: the events it makes are those the validator takes,
//! and what it cannot read is a fault that shows nothing personal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use events::cloudevents::{self, Sender};
use serde_json::{Value, json};

use super::super::{Map, Plan, Reader, RowError};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/imports").join(name)
}

/// The events of a file and what is wrong with its other rows, by line.
struct Outcome {
    events: Vec<Value>,
    faults: BTreeMap<u64, RowError>,
    silent: u64,
}

fn run(map: &str, file: &str, settings: &[(&str, &str)]) -> Outcome {
    let settings: Vec<(String, String)> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let map = Map::load(map, &settings).unwrap();
    let mut reader = Reader::open(&fixture(file), Plan::Mapped(Box::new(map)), 0).unwrap();
    let (mut events, mut faults) = (Vec::new(), BTreeMap::new());
    for item in reader.by_ref() {
        let item = item.unwrap();
        match item.outcome {
            Ok(event) => {
                valid(&event);
                events.push(serde_json::from_slice(&event).unwrap());
            }
            Err(error) => {
                faults.insert(item.line, error);
            }
        }
    }
    own_moments(&events);
    Outcome { events, faults, silent: reader.rows_without_events() }
}

/// The validator that every event goes through takes it.
fn valid(event: &[u8]) {
    let tenant = "main".parse().unwrap();
    let sender = Sender {
        tenant: &tenant,
        now: "2027-01-01T00:00:00Z".parse().unwrap(),
        may_import: true,
        sources: None,
        route: None,
        key: b"0123456789abcdef0123456789abcdef",
        refuse_unknown_fields: true,
        venues: &[],
    };
    if let Err(problem) = cloudevents::structured(event, &sender) {
        panic!("{problem:?}: {}", String::from_utf8_lossy(event));
    }
}

/// No two facts of a customer happen at once, so the order of arrival decides nothing.
fn own_moments(events: &[Value]) {
    let mut seen = BTreeMap::new();
    for event in events {
        let key = (event["subject"].to_string(), event["time"].to_string());
        if let Some(other) = seen.insert(key, event["id"].clone()) {
            panic!("{other} and {} are at one moment", event["id"]);
        }
    }
}

/// Type without its ends, time and data of every event.
fn told(events: &[Value]) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let short =
        |kind: &Value| text(kind).trim_start_matches("sapa.").trim_end_matches(".v1").to_owned();
    events.iter().map(|it| (short(&it["type"]), text(&it["time"]), it["data"].clone())).collect()
}

#[test]
fn both_hotels_are_read_and_na_is_no_child() {
    let Outcome { events, faults, .. } = run("hotel", "hotels.csv", &[]);
    assert!(faults.is_empty(), "{faults:?}");
    let ids: Vec<&str> = events.iter().map(|it| it["id"].as_str().unwrap()).collect();
    for id in ["h1-000001-requested", "h2-000002-cancelled", "h2-000003-fulfilled"] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
    let parties: Vec<&Value> = events.iter().filter_map(|it| it["data"].get("party")).collect();
    assert_eq!(parties, [2, 2, 2, 3, 3].map(|it| json!(it)).iter().collect::<Vec<_>>());
}

#[test]
fn an_indonesian_spreadsheet_is_read_with_its_separators_days_and_hours() {
    let Outcome { events, faults, .. } = run("spreadsheet_id", "penjualan.csv", &[]);
    let sales: Vec<(&str, &Value, &Value)> = events
        .iter()
        .map(|it| {
            let data = &it["data"];
            (it["time"].as_str().unwrap(), &data["amount"]["amount"], &data["lines"][0])
        })
        .collect();
    let line = |item: &str, quantity: u64| json!({"item": item, "quantity": quantity});
    assert_eq!(
        sales,
        [
            ("2024-07-03T14:05:00+07:00", &json!(1_250_000), &line("Sewa aula setengah hari", 1)),
            ("2024-07-03T14:10:00+07:00", &json!(150_000), &line("Kopi; teh, kue", 12)),
            ("2024-12-31T09:30:00+07:00", &json!(2_000), &line("Café au lait", 1)),
        ]
    );
    assert_eq!(
        (&events[0]["id"], &events[0]["subject"]),
        (&json!("sale-inv-2024-001"), &json!("P-0017"))
    );
    assert_eq!(events[2]["data"]["kind"], "return");
    let rules: Vec<_> = faults.iter().map(|(line, it)| (*line, it.rule)).collect();
    assert_eq!(rules, [(5, "not_date"), (6, "not_integer")]);
    assert_eq!(faults[&5].column.as_deref(), Some("Tanggal"));
    let event = ("/import/spreadsheet".to_owned(), "sale-inv-2024-005".to_owned());
    assert_eq!(faults[&6].event.as_ref(), Some(&event), "the map can still name the row");
    let other = run("spreadsheet_id", "penjualan.csv", &[("zone", "Asia/Makassar")]);
    assert_eq!(other.events[0]["time"], "2024-07-03T14:05:00+08:00");
}

#[test]
fn calls_of_an_exchange_become_inquiries_answers_and_contacts_without_a_number_in_an_id() {
    let key = [("key", "a secret")];
    let Outcome { events, faults, silent } = run("asterisk", "Master.csv", &key);
    let kinds: Vec<(String, String)> =
        told(&events).into_iter().map(|(kind, time, _)| (kind, time)).collect();
    let wanted = [
        ("customer.identified", "2024-11-30T14:05:11+07:00"),
        ("interaction.inquired", "2024-11-30T14:05:12+07:00"),
        ("interaction.answered", "2024-11-30T14:09:20+07:00"),
        ("interaction.inquired", "2024-12-01T08:00:00+07:00"),
        ("customer.identified", "2024-12-01T08:59:59+07:00"),
        ("interaction.contacted", "2024-12-01T09:00:00+07:00"),
    ];
    assert_eq!(kinds, wanted.map(|(kind, time)| (kind.to_owned(), time.to_owned())));
    assert_eq!(silent, 1, "a call between extensions tells nothing");
    assert_eq!(events[0]["data"]["value"], "+6281234567890");
    assert_eq!(events[1]["subject"], events[3]["subject"], "one number, however it is written");
    assert_eq!(events[2]["actor"], "staff/ext-201");
    assert_eq!(events[5]["data"]["outcome"], "reached");
    for event in &events {
        for name in ["id", "subject", "correlationid"] {
            assert!(!event[name].to_string().contains("81234567890"), "{event}");
        }
    }
    let other = run("asterisk", "Master.csv", &[("key", "another")]);
    assert_ne!(other.events[0]["subject"], events[0]["subject"]);
    let error = &faults[&5];
    assert_eq!(
        (faults.len(), error.rule, error.column.as_deref()),
        (1, "not_instant", Some("start"))
    );
    assert!(!error.to_string().contains("0813"), "{error}");
    assert!(Map::load("asterisk", &[]).unwrap_err().to_string().contains("--set key=…"));
}

#[test]
fn a_chat_of_android_is_read_with_its_long_messages_and_without_the_systems_lines() {
    let set = [("us", "Wisma Sari"), ("customer", "c-101")];
    let Outcome { events, faults, silent } = run("whatsapp", "whatsapp-android.txt", &set);
    let about = "inquiry/wa-c-101";
    let said = |text: &str| json!({"about": about, "text": text});
    let answered = |text: &str| json!({"about": about, "complete": true, "text": text});
    let wanted = [
        (
            "interaction.messaged",
            "2026-11-30T14:05:00+07:00",
            said("Selamat siang, apakah aula kosong tanggal 15?"),
        ),
        (
            "interaction.messaged",
            "2026-11-30T14:05:01+07:00",
            said("Untuk 200 orang:\n- pagi sampai sore\n\n- dengan katering"),
        ),
        (
            "interaction.answered",
            "2026-11-30T14:09:00+07:00",
            answered("Selamat siang Bu, kami periksa dulu."),
        ),
        ("interaction.answered", "2026-11-30T14:20:00+07:00", answered("<Media tidak disertakan>")),
        ("interaction.messaged", "2026-12-01T08:00:00+07:00", said("Terima kasih banyak")),
    ];
    let wanted: Vec<_> =
        wanted.into_iter().map(|(kind, at, data)| (kind.to_owned(), at.to_owned(), data)).collect();
    assert_eq!(told(&events), wanted);
    assert_eq!((silent, faults.len()), (1, 1));
    assert_eq!(
        (faults[&9].rule, faults[&9].raw.as_slice()),
        ("not_date", "31/11/26 08.00 - Ibu Ratna: Terima kasih".as_bytes())
    );
    assert!(!faults[&9].to_string().contains("Ratna"), "{}", faults[&9]);
}

#[test]
fn a_chat_of_ios_is_read_with_its_marks_and_attachments() {
    let set = [("us", "Wisma Sari"), ("customer", "c-101")];
    let Outcome { events, faults, silent } = run("whatsapp", "whatsapp-ios.txt", &set);
    let texts: Vec<(&str, &str)> = events
        .iter()
        .map(|it| (&it["time"].as_str().unwrap()[11..19], it["data"]["text"].as_str().unwrap()))
        .collect();
    let wanted = [
        ("03:15:00", "Selamat pagi"),
        ("03:15:01", "Ada kamar?"),
        ("03:16:10", "<terlampir: 00000005-PHOTO-2026-07-21.jpg>"),
        ("03:16:30", "gambar tidak disertakan"),
        ("03:20:05", "Ada Bu,\ndua kamar."),
    ];
    assert_eq!((texts.as_slice(), faults.len(), silent), (&wanted[..], 0, 1));
    assert_eq!(events[4]["actor"], "staff/whatsapp");
}

#[test]
fn a_calendar_is_read_with_its_zones_and_an_unknown_zone_is_never_floating() {
    let set = [("venue", "aula-taman")];
    let Outcome { events, faults, .. } = run("calendar", "bookings.ics", &set);
    let slots: Vec<(&str, &str)> = events
        .iter()
        .filter(|it| it["type"] == "sapa.booking.requested.v1")
        .map(|it| {
            (it["data"]["starts_at"].as_str().unwrap(), it["data"]["ends_at"].as_str().unwrap())
        })
        .collect();
    let wanted = [
        ("2026-08-15T08:00:00+07:00", "2026-08-15T16:00:00+07:00"),
        // `WIB` is in the zones of the map.
        ("2026-08-16T08:00:00+07:00", "2026-08-16T16:00:00+07:00"),
        ("2026-08-20T14:00:00+07:00", "2026-08-22T12:00:00+07:00"),
    ];
    assert_eq!(slots[..3], wanted);
    assert_eq!(slots[3].0, "2026-08-25T19:00:00+07:00", "the feed defines this zone itself");
    assert_eq!(events[0]["data"]["purpose"], "Pernikahan Ayu, 200 tamu, dengan katering");
    assert_eq!(
        (&events[0]["time"], &events[1]["time"]),
        (&json!("2026-05-20T15:00:00+07:00"), &json!("2026-05-20T15:00:01+07:00"))
    );
    let kinds: Vec<String> = told(&events).into_iter().map(|it| it.0).collect();
    assert_eq!(kinds[5], "booking.cancelled", "{kinds:?}");
    let rules: Vec<_> = faults.iter().map(|(line, it)| (*line, it.rule)).collect();
    assert_eq!(rules, [(49, "unknown_zone"), (55, "repeats")]);
    assert!(faults[&49].detail.contains("`Hall Time`"), "{}", faults[&49]);
    assert!(!faults[&49].to_string().contains("Rahasia"), "{}", faults[&49]);
}
