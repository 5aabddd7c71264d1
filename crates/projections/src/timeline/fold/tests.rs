//! Promises about how phases follow from facts.

use events::envelope::Recorded;
use events::policy::{Policies, Published};
use serde_json::json;

use super::Phase::{After, Before, During};
use super::*;
use crate::timeline::given::{at, event, with};

fn policies() -> Policies {
    let mut policies = Policies::default();
    let room = json!({ "site": "hotel", "capacity": 2, "features": [], "ritual": "hotel_stay" });
    let body = json!({ "kamar-12": room });
    policies.apply(Published::new("venues", 2, at("2026-01-01 00:00"), body)).unwrap();
    policies
}

fn holder() -> Holder {
    Holder::customer(&"c-ida".parse().unwrap())
}

/// The rows of some facts, each from the state before it.
fn rows(events: &[Recorded]) -> Vec<Row> {
    let mut state = State::default();
    let policies = policies();
    let line = |it: &Recorded| {
        with(it, |entry| {
            let row = row(&state, &holder(), entry, &policies, false, None);
            state.apply(entry);
            row
        })
    };
    events.iter().map(line).collect()
}

fn phases(events: &[Recorded]) -> Vec<(&'static str, Phase)> {
    rows(events).iter().map(|it| (it.kind.action(), it.phase)).collect()
}

/// Facts at times, numbered from 1.
fn facts(lines: &[(&str, &str, &str)]) -> Vec<Recorded> {
    (1..).zip(lines).map(|(position, (at, kind, data))| event(position, kind, at, data)).collect()
}

const SLOT: &str =
    r#""starts_at":"2026-10-03T14:00:00+07:00","ends_at":"2026-10-04T12:00:00+07:00""#;

/// The stay of Bu Ida, story S3.
fn stay() -> Vec<Recorded> {
    let booked = |more: &str| format!(r#"{{"booking":"b-1","venue":"kamar-12",{SLOT}{more}}}"#);
    let served = |it: &str| format!(r#"{{"service":"{it}","visit":"s-1"}}"#);
    facts(&[
        ("2026-09-20 10:00", "booking.requested", &booked(r#","party":2"#)),
        (
            "2026-09-20 10:01",
            "booking.held",
            &booked(
                r#","hold_until":"2026-09-22T10:00:00+07:00","call_in_hours":4,"reason":"free",
                    "price":{"amount":1000000,"currency":"IDR"},
                    "deposit_due":{"amount":500000,"currency":"IDR"}"#,
            ),
        ),
        (
            "2026-09-21 10:00",
            "payment.recorded",
            r#"{"payment":"p-1","kind":"deposit","booking":"b-1",
                "amount":{"amount":500000,"currency":"IDR"}}"#,
        ),
        (
            "2026-09-21 10:01",
            "booking.confirmed",
            &booked(r#","paid":{"amount":500000,"currency":"IDR"}"#),
        ),
        ("2026-10-03 14:00", "interaction.arrived", r#"{"visit":"s-1","booking":"b-1","party":2}"#),
        ("2026-10-03 14:02", "interaction.greeted", r#"{"by_name":true,"visit":"s-1"}"#),
        ("2026-10-03 14:05", "interaction.served", &served("welcome_drink")),
        ("2026-10-03 14:10", "interaction.served", &served("luggage_in")),
        (
            "2026-10-03 14:12",
            "interaction.recommended",
            r#"{"offer":"city tour","reason":"first visit","visit":"s-1"}"#,
        ),
        ("2026-10-03 14:20", "interaction.served", &served("paperwork")),
        (
            "2026-10-03 15:00",
            "customer.trait_noted",
            r#"{"trait":"coffee","value":"two sugars","polarity":"likes","confidence":80}"#,
        ),
        ("2026-10-04 11:40", "interaction.served", &served("anything_else")),
        (
            "2026-10-04 11:55",
            "interaction.thanked",
            r#"{"for":"booking/b-1","form":"in_person","visit":"s-1"}"#,
        ),
        ("2026-10-04 12:00", "interaction.departed", r#"{"visit":"s-1","farewell":true}"#),
        ("2026-10-04 12:01", "interaction.served", &served("luggage_out")),
        (
            "2026-10-04 12:05",
            "booking.fulfilled",
            r#"{"booking":"b-1","venue":"kamar-12","no_show":false}"#,
        ),
    ])
}

#[test]
fn a_first_stay_has_its_three_phases() {
    assert_eq!(
        phases(&stay()),
        [
            ("requested", During),
            ("held", During),
            ("recorded", During),
            ("confirmed", During),
            ("arrived", Before),
            ("greeted", Before),
            ("served", Before),
            ("served", During),
            ("recommended", During),
            ("served", During),
            ("trait_noted", During),
            ("served", After),
            ("thanked", After),
            ("departed", After),
            ("served", After),
            ("fulfilled", After),
        ]
    );
    assert!(rows(&stay()).iter().all(|it| !it.dangling), "nothing refers to nothing");
}

#[test]
fn it_is_after_for_thirty_days_and_then_before_again() {
    let note = r#"{"text":"…","visibility":"team"}"#;
    let found = phases(&facts(&[
        ("2026-10-01 09:00", "interaction.noted", note),
        ("2026-10-02 09:00", "interaction.arrived", r#"{"visit":"s-1"}"#),
        ("2026-10-02 09:30", "interaction.noted", note),
        ("2026-10-02 10:00", "interaction.departed", r#"{"visit":"s-1","farewell":false}"#),
        ("2026-10-02 10:01", "interaction.noted", note),
        ("2026-11-01 09:59", "interaction.noted", note),
        ("2026-11-01 10:00", "interaction.noted", note),
        (
            "2026-11-02 10:00",
            "purchase.recorded",
            r#"{"purchase":"u-1","kind":"sale","amount":{"amount":1,"currency":"IDR"}}"#,
        ),
        ("2026-11-02 11:00", "interaction.noted", note),
    ]));
    let notes: Vec<Phase> = found.into_iter().filter(|it| it.0 == "noted").map(|it| it.1).collect();
    assert_eq!(notes, [Before, During, After, After, Before, After]);
}

#[test]
fn a_request_makes_it_during_until_it_ends() {
    let asked = format!(r#"{{"booking":"b-1","venue":"kamar-12",{SLOT},"party":2}}"#);
    let ask = r#"{"inquiry":"q-1","topic":"price"}"#;
    for (end, data) in [
        (
            "booking.declined",
            r#"{"booking":"b-1","venue":"kamar-12","reason":"past","rule":"past"}"#,
        ),
        ("booking.cancelled", r#"{"booking":"b-1","venue":"kamar-12","by":"customer"}"#),
    ] {
        let found = phases(&facts(&[
            ("2026-09-20 09:00", "booking.requested", &asked),
            ("2026-09-20 09:01", "interaction.inquired", ask),
            ("2026-09-20 09:02", end, data),
            ("2026-09-20 09:03", "interaction.inquired", ask),
        ]));
        assert_eq!((found[1].1, found[3].1), (Phase::During, Phase::Before), "{end}");
    }
}

#[test]
fn a_fulfilled_booking_ends_the_visit_nobody_saw_leave() {
    let mut stay = stay();
    stay.retain(|it| it.kind.action() != "departed");
    stay.push(event(
        20,
        "interaction.inquired",
        "2026-10-05 09:00",
        r#"{"inquiry":"q","topic":"x"}"#,
    ));
    assert_eq!(rows(&stay).last().unwrap().phase, Phase::After);
}

#[test]
fn a_service_without_a_ritual_is_given_during() {
    let found = phases(&facts(&[
        ("2026-10-03 14:00", "interaction.served", r#"{"service":"welcome_drink"}"#),
        (
            "2026-10-03 14:01",
            "interaction.served",
            r#"{"service":"welcome_drink","venue":"kamar-12"}"#,
        ),
        ("2026-10-03 14:02", "interaction.arrived", r#"{"visit":"s-2","venue":"kamar-12"}"#),
        ("2026-10-03 14:03", "interaction.served", r#"{"service":"luggage_out"}"#),
        ("2026-10-03 14:04", "interaction.served", r#"{"service":"massage"}"#),
    ]));
    let phases: Vec<Phase> = found.into_iter().map(|it| it.1).collect();
    assert_eq!(phases, [During, Before, Before, After, During]);
}

#[test]
fn what_refers_to_nothing_is_marked() {
    let lines = rows(&facts(&[
        ("2026-05-01 09:00", "promise.settled", r#"{"promise":"p-1","how":"kept"}"#),
        (
            "2026-05-01 10:00",
            "promise.made",
            r#"{"promise":"p-1","what":"call","owner":"ani","about":"inquiry/q-1",
                "due_at":"2026-05-02T10:00:00+07:00"}"#,
        ),
        ("2026-05-01 11:00", "promise.settled", r#"{"promise":"p-1","how":"kept"}"#),
        ("2026-05-01 12:00", "interaction.messaged", r#"{"about":"complaint/k-9"}"#),
        (
            "2026-05-01 13:00",
            "interaction.contacted",
            r#"{"purpose":"you_said_we_did","outcome":"reached","about":"improvement/i-1"}"#,
        ),
        ("2026-05-01 14:00", "interaction.greeted", r#"{"by_name":true,"visit":"s-1"}"#),
    ]));
    let dangling: Vec<bool> = lines.iter().map(|it| it.dangling).collect();
    assert_eq!(dangling, [true, true, false, true, false, false]);
}

#[test]
fn a_reward_cannot_be_used_twice() {
    let post = |entry: &str| {
        format!(
            r#"{{"entry":"{entry}","reward":"w-1","item":"dinner","surprise":false,"reason":"thanks",
                "value":{{"amount":100,"currency":"IDR"}}}}"#
        )
    };
    let lines = rows(&facts(&[
        ("2026-05-01 09:00", "reward.posted", &post("redeem")),
        ("2026-05-01 10:00", "reward.posted", &post("grant")),
        ("2026-05-01 11:00", "reward.posted", &post("redeem")),
        ("2026-05-01 12:00", "reward.posted", &post("redeem")),
    ]));
    let dangling: Vec<bool> = lines.iter().map(|it| it.dangling).collect();
    assert_eq!(dangling, [true, false, false, true]);
}

#[test]
fn imported_history_may_refer_to_what_lies_before_it() {
    let mut settled =
        event(1, "promise.settled", "2026-05-01 09:00", r#"{"promise":"p-1","how":"kept"}"#);
    settled.attributes.imported = true;
    assert!(!rows(&[settled])[0].dangling);
}

#[test]
fn the_state_stays_small_and_survives_being_stored() {
    let mut state = State::default();
    for position in 1..=1_000 {
        let data = format!(r#"{{"inquiry":"q-{position}","topic":"price"}}"#);
        let it = event(position, "interaction.inquired", "2026-05-01 09:00", &data);
        with(&it, |entry| state.apply(entry));
    }
    let stored = serde_json::to_string(&state).unwrap();
    assert!(stored.len() < 8_192, "{} bytes", stored.len());
    assert_eq!(serde_json::from_str::<State>(&stored).unwrap(), state);
}
