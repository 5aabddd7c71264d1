//! Promises about what a card remembers.

use events::envelope::Recorded;
use events::policy::Policies;
use jiff::civil::date;

use super::*;
use crate::card::habit::shown;
use crate::timeline::given::{at, event, with};

fn folded(events: &[Recorded]) -> State {
    let mut state = State::default();
    for it in events {
        with(it, |entry| state.apply(entry));
    }
    state
}

fn coffee(position: i64, when: &str, confidence: u8, more: &str) -> Recorded {
    let data = format!(
        r#"{{"trait":"coffee","value":"two sugars","polarity":"likes","confidence":{confidence}{more}}}"#
    );
    event(position, "customer.trait_noted", when, &data)
}

/// Habits on a day, as `trait: value strength`.
fn habits(state: &State, day: Date) -> Vec<String> {
    let calendar = Policies::default().calendar;
    let now = calendar.at_alert_hour(day);
    let policy = &Policies::default().habit;
    let (habits, _) = shown(&state.traits, &state.observed, now, day, policy);
    habits.iter().map(|it| format!("{}: {} {}", it.r#trait, it.value, it.strength)).collect()
}

#[test]
fn a_habit_counts_half_after_a_year_and_fades() {
    let state = folded(&[coffee(1, "2026-10-03 15:00", 80, "")]);
    assert_eq!(habits(&state, date(2026, 10, 3)), ["coffee: two sugars 80"]);
    assert_eq!(habits(&state, date(2027, 10, 3)), ["coffee: two sugars 40"]);
    assert_eq!(habits(&state, date(2028, 3, 2)), ["coffee: two sugars 30"]);
    assert!(habits(&state, date(2028, 3, 3)).is_empty());
}

#[test]
fn noting_it_again_restarts_the_age_with_the_higher_confidence() {
    let state =
        folded(&[coffee(1, "2026-10-03 15:00", 80, ""), coffee(2, "2027-10-03 15:00", 50, "")]);
    assert_eq!(habits(&state, date(2027, 10, 3)), ["coffee: two sugars 80"]);
    assert_eq!(state.traits.len(), 1);
}

#[test]
fn a_habit_ends_when_it_is_taken_back_or_expires() {
    let noted = coffee(1, "2026-10-03 15:00", 80, "");
    let taken_back = coffee(2, "2026-10-04 15:00", 80, r#","forget":true"#);
    assert!(folded(&[noted, taken_back]).traits.is_empty());
    let expiring =
        coffee(1, "2026-10-03 15:00", 80, r#","expires_at":"2026-10-05T09:00:00+07:00""#);
    let state = folded(&[expiring]);
    assert_eq!(habits(&state, date(2026, 10, 4)).len(), 1);
    assert!(habits(&state, date(2026, 10, 5)).is_empty(), "it ends in that very moment");
}

#[test]
fn a_need_does_not_fade() {
    let it = event(
        1,
        "customer.trait_noted",
        "2020-01-01 09:00",
        r#"{"trait":"allergy","value":"peanut","polarity":"needs","confidence":90}"#,
    );
    let state = folded(&[it]);
    let policy = &Policies::default().habit;
    let now = at("2030-01-01 09:00");
    let (habits, needs) = shown(&state.traits, &state.observed, now, date(2030, 1, 1), policy);
    assert!(habits.is_empty());
    assert_eq!((needs[0].value.as_str(), needs[0].strength), ("peanut", 90));
}

#[test]
fn three_bookings_alike_are_a_habit_and_a_milestone() {
    let ended = |position: i64, when: &str, venue: &str| {
        let data = format!(r#"{{"booking":"b-{position}","venue":"{venue}","no_show":false}}"#);
        event(position, "booking.fulfilled", when, &data)
    };
    let mut facts = vec![
        ended(1, "2023-08-19 17:00", "aula-sungai"),
        ended(2, "2024-08-17 17:00", "aula-taman"),
        ended(3, "2025-08-16 17:00", "aula-sungai"),
    ];
    let state = folded(&facts);
    assert_eq!(
        habits(&state, date(2026, 1, 1)),
        ["usual_weekday: saturday 100", "usual_month: 08 100"]
    );
    assert_eq!(state.milestones(date(2026, 1, 1)), ["third_event", "guest_since_2023"]);
    facts.push(ended(4, "2026-08-15 17:00", "aula-sungai"));
    assert_eq!(habits(&folded(&facts), date(2026, 9, 1))[0], "favourite_venue: aula-sungai 75");
}

#[test]
fn who_they_are_is_what_was_said_last() {
    let state = folded(&[
        event(
            1,
            "customer.identified",
            "2026-05-01 08:00",
            r#"{"id_kind":"name","value":"Sari","strength":"weak"}"#,
        ),
        event(
            2,
            "customer.registered",
            "2026-05-01 09:00",
            r#"{"kind":"person","name":"Ibu Sari","language":"id","via":"a friend"}"#,
        ),
        event(
            3,
            "customer.registered",
            "2026-05-02 09:00",
            r#"{"kind":"person","name":"Sari Wulandari"}"#,
        ),
        event(4, "customer.assigned", "2026-05-02 10:00", r#"{"owner":"dewi","team":"frontdesk"}"#),
        event(
            5,
            "customer.consent_changed",
            "2026-05-02 11:00",
            r#"{"purpose":"contact","state":"withdrawn","basis":"by phone"}"#,
        ),
    ]);
    assert_eq!(state.name.as_deref(), Some("Sari Wulandari"));
    assert_eq!(state.language.as_deref(), Some("id"), "what is left out is not taken back");
    assert_eq!(state.owner.as_ref().map(Ident::as_str), Some("dewi"));
    assert_eq!(state.consent.get(&Purpose::Contact), Some(&Consent::Withdrawn));
    assert_eq!(state.tier_name(), "prospect");
    assert_eq!(state.first_fact_at, Some(at("2026-05-01 08:00")));
}

#[test]
fn last_in_and_last_out_are_moves_of_people() {
    let mut newsletter = event(
        3,
        "interaction.contacted",
        "2026-05-03 09:00",
        r#"{"purpose":"sales","outcome":"left_message","automated":true}"#,
    );
    newsletter.attributes.actor = "system/mailer".parse().unwrap();
    let state = folded(&[
        event(1, "interaction.inquired", "2026-05-01 09:00", r#"{"inquiry":"q","topic":"price"}"#),
        event(
            2,
            "interaction.contacted",
            "2026-05-02 16:00",
            r#"{"purpose":"care","outcome":"reached"}"#,
        ),
        newsletter,
        event(4, "interaction.noted", "2026-05-04 09:00", r#"{"text":"x","visibility":"team"}"#),
    ]);
    let (came, went) = (state.last_in.clone().unwrap(), state.last_out.clone().unwrap());
    assert_eq!((came.at, &*came.r#type), (at("2026-05-01 09:00"), "sapa.interaction.inquired.v1"));
    assert_eq!((went.at, went.actor.as_str()), (at("2026-05-02 16:00"), "staff/dewi"));
    assert_eq!(state.channels.get(&Channel::Desk), Some(&2));
    assert_eq!(state.hours, BTreeMap::from([(2, 1), (9, 1)]));
}

#[test]
fn value_is_what_came_in_less_what_went_back() {
    let paid = |position: i64, when: &str, kind: &str, amount: i64, booking: &str| {
        let data = format!(
            r#"{{"payment":"p-{position}","kind":"{kind}"{booking},
                "amount":{{"amount":{amount},"currency":"IDR"}}}}"#
        );
        event(position, "payment.recorded", when, &data)
    };
    let of = r#","booking":"b-1""#;
    let state = folded(&[
        paid(1, "2025-05-01 09:00", "full", 1_000, of),
        paid(2, "2026-05-01 09:00", "full", 500, of),
        paid(3, "2026-05-02 09:00", "refund", 200, of),
        paid(4, "2026-05-03 09:00", "full", 9_999, ""),
        event(
            5,
            "purchase.recorded",
            "2026-05-04 09:00",
            r#"{"purchase":"u","kind":"sale","amount":{"amount":70,"currency":"IDR"}}"#,
        ),
    ]);
    let (year, total) = state.value_at(date(2026, 5, 4));
    assert_eq!((year.amount, total.amount), (370, 1_370));
    assert_eq!(State::default().value_at(date(2026, 5, 4)).0.currency, Currency::IDR);
}

#[test]
fn the_next_booking_is_the_first_that_is_not_over() {
    let booked = |position: i64, day: &str| {
        let data = format!(
            r#"{{"booking":"b-{position}","venue":"aula-taman","paid":{{"amount":1,"currency":"IDR"}},
                "starts_at":"{day}T08:00:00+07:00","ends_at":"{day}T16:00:00+07:00"}}"#
        );
        event(position, "booking.confirmed", "2026-07-01 09:00", &data)
    };
    let mut facts = vec![booked(1, "2026-09-05"), booked(2, "2026-08-15")];
    let next = |state: &State, now: &str| state.next_booking(at(now)).map(|it| it.0.to_owned());
    let state = folded(&facts);
    assert_eq!(next(&state, "2026-07-02 09:00").as_deref(), Some("b-2"));
    assert_eq!(next(&state, "2026-08-15 12:00").as_deref(), Some("b-2"), "it is going on");
    assert_eq!(next(&state, "2026-08-15 16:00").as_deref(), Some("b-1"));
    facts.push(event(
        3,
        "booking.cancelled",
        "2026-07-03 09:00",
        r#"{"booking":"b-2","venue":"aula-taman","by":"customer"}"#,
    ));
    assert_eq!(next(&folded(&facts), "2026-07-04 09:00").as_deref(), Some("b-1"));
}

#[test]
fn the_card_stays_small_and_survives_being_stored() {
    let mut facts = Vec::new();
    for position in 1..=500 {
        let data = format!(r#"{{"id_kind":"member","value":"m-{position}","strength":"weak"}}"#);
        facts.push(event(position, "customer.identified", "2026-05-01 09:00", &data));
        let data = format!(
            r#"{{"trait":"likes","value":"thing {position}","polarity":"likes","confidence":50}}"#
        );
        facts.push(event(500 + position, "customer.trait_noted", "2026-05-01 09:00", &data));
    }
    let state = folded(&facts);
    let stored = serde_json::to_string(&state).unwrap();
    assert!(stored.len() < 24_576, "{} bytes", stored.len());
    assert_eq!(serde_json::from_str::<State>(&stored).unwrap(), state);
}
