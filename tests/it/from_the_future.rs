//! Facts that claim to be from the future: on the timeline at once, without effect until their time
//! has come, and with it then, whether or not anything else is recorded. However the log is cut and
//! whenever it is read, the rows are the same.

use events::time::Clock as _;
use projections::{Runner, rebuild};
use serde_json::{Value, json};

use crate::house::{House, instant, local, stories};

stories![
    an_alert_rings_on_until_the_contact_that_ends_it_has_happened,
    what_is_owed_is_due_before_an_answer_from_the_future,
    nothing_depends_on_when_the_log_is_read,
];

async fn buy(house: &House, customer: &str, at: &str) {
    let sale = json!({
        "purchase": format!("s-{customer}"), "kind": "sale",
        "amount": { "amount": 90_000, "currency": "IDR" },
    });
    house.fact(at, customer, "purchase.recorded", sale).await;
}

/// Reached, as a clock says that is ahead.
async fn reach(house: &House, customer: &str, at: &str) {
    let reached = json!({ "purpose": "courtesy", "outcome": "reached" });
    house.late(at, customer, "interaction.contacted", reached).await;
}

async fn an_alert_rings_on_until_the_contact_that_ends_it_has_happened(house: House) {
    // We have never been in contact, so an alert rings after two weeks.
    buy(&house, "c-1", "2026-05-04T10:00:00+07:00").await;
    house.pass_until("2026-05-18T12:00:00+07:00").await;
    let alert = house.alert("c-1", "personal_contact").await;
    assert_eq!(
        (alert["state"].as_str(), local(&alert["due_at"])),
        (Some("raised"), "2026-05-18 09:00".into())
    );

    // Somebody reached them at ten in the evening, says a tablet at noon.
    reach(&house, "c-1", "2026-05-18T22:00:00+07:00").await;
    let shown = house.timeline("c-1").await;
    let own = shown.iter().find(|it| it.r#type == "sapa.interaction.contacted.v1").unwrap();
    assert!(own.clock_suspect && !own.out_of_order, "{own:?}");
    let clock = house.clock_of("c-1", "we").await;
    assert_eq!(
        (clock["state"].as_str(), clock["last"].as_str()),
        (Some("overdue"), Some("2026-05-04"))
    );

    // Nothing that is recorded meanwhile lets it happen earlier.
    let note = json!({ "text": "Likes tea", "visibility": "team" });
    house.fact("2026-05-18T13:00:00+07:00", "c-1", "interaction.noted", note).await;
    house.pass_until("2026-05-18T21:59:59+07:00").await;
    let alert = house.alert("c-1", "personal_contact").await;
    assert!(matches!(alert["state"].as_str(), Some("raised" | "escalated")), "{alert}");

    // At its moment it happens by itself.
    house.pass_until("2026-05-18T22:00:00+07:00").await;
    let alert = house.alert("c-1", "personal_contact").await;
    assert_eq!(
        (alert["state"].as_str(), alert["ended_by"].as_str()),
        (Some("resolved"), Some("/test#c-1-interaction.contacted-2026-05-18T22:00:00+07:00"))
    );
    let clock = house.clock_of("c-1", "we").await;
    assert_eq!((clock["state"].as_str(), clock["last"].as_str()), (Some("ok"), Some("2026-05-18")));
    assert!(house.dossier("c-1").await.ahead.is_empty());
}

async fn what_is_owed_is_due_before_an_answer_from_the_future(house: House) {
    for customer in ["c-1", "c-2"] {
        let asked = json!({ "inquiry": format!("q-{customer}"), "topic": "price" });
        house.fact("2026-05-04T10:00:00+07:00", customer, "interaction.inquired", asked).await;
    }
    house.pass_until("2026-05-04T11:00:00+07:00").await;
    let answered =
        |customer: &str| json!({ "about": format!("inquiry/q-{customer}"), "complete": true });
    for (customer, at) in
        [("c-1", "2026-05-04T20:00:00+07:00"), ("c-2", "2026-05-04T13:00:00+07:00")]
    {
        house.late(at, customer, "interaction.answered", answered(customer)).await;
        let owed = house.obligation(customer, "answer", &format!("inquiry/q-{customer}")).await;
        assert_eq!(
            (local(&owed["due_at"]), &owed["closed_by"]),
            ("2026-05-04 14:00".into(), &Value::Null)
        );
    }

    // Nothing is recorded at one o'clock, and all the same the second one is answered then.
    house.pass_until("2026-05-04T13:30:00+07:00").await;
    let second = house.dossier("c-2").await;
    assert!(second.at(house.clock.now()).neglect.obligations[0].closed.is_some());

    house.pass_until("2026-05-04T14:00:00+07:00").await;
    assert_eq!(house.alert("c-1", "answer").await["state"], "raised");
    assert_eq!(house.alert("c-2", "answer").await, Value::Null);
    // The alert was recorded after one o'clock, so the rows know it too.
    let owed = house.obligation("c-2", "answer", "inquiry/q-c-2").await;
    assert!(owed["closed_by"].is_string(), "{owed}");

    house.pass_until("2026-05-04T20:00:00+07:00").await;
    assert_eq!(house.alert("c-1", "answer").await["state"], "resolved");
}

async fn nothing_depends_on_when_the_log_is_read(house: House) {
    for customer in ["c-1", "c-2", "c-3", "c-4"] {
        buy(&house, customer, "2026-05-04T10:00:00+07:00").await;
    }
    house.pass_until("2026-05-18T12:00:00+07:00").await;
    // Three moments, the first of which is taken back, and somebody of whom nothing else is known.
    reach(&house, "c-1", "2026-05-18T18:00:00+07:00").await;
    reach(&house, "c-1", "2026-05-18T20:00:00+07:00").await;
    reach(&house, "c-1", "2026-05-18T22:00:00+07:00").await;
    reach(&house, "c-2", "2026-05-18T19:00:00+07:00").await;
    reach(&house, "c-9", "2026-05-18T19:00:00+07:00").await;
    let taken_back = json!({
        "id": "n-1", "time": "2026-05-18T12:01:00+07:00", "subject": "c-1",
        "voids": "/test#c-1-interaction.contacted-2026-05-18T18:00:00+07:00",
        "data": { "text": "It was somebody else", "visibility": "team" },
    });
    house.clock.set(instant("2026-05-18T12:01:00+07:00"));
    house.event(taken_back, "interaction.noted").await;
    assert_eq!(house.dossier("c-1").await.ahead.len(), 2);
    assert_eq!(house.timeline("c-9").await.len(), 1);
    same_whenever(&house, 20).await;

    // Between the moments, and after all of them.
    house
        .fact("2026-05-18T19:30:00+07:00", "c-3", "interaction.greeted", json!({ "by_name": true }))
        .await;
    assert!(house.dossier("c-2").await.ahead.is_empty());
    assert_eq!(house.dossier("c-1").await.ahead.len(), 2);
    same_whenever(&house, 40).await;
    house.pass_until("2026-05-20T12:00:00+07:00").await;
    same_whenever(&house, 60).await;
}

/// Folds the log as it is in other pages, and in a build that takes over.
async fn same_whenever(house: &House, first: i64) {
    let live = house.hashes().await;
    for (generation, page) in (first..).zip([1, 7, 1_000]) {
        let db = house.views.open_generation(generation).await.unwrap().db;
        let runner = Runner::open(house.log.clone(), db, generation, 1).await.unwrap();
        let mut runner = runner.with_page(page);
        while runner.step().await.unwrap().events != 0 {}
        assert_eq!(rebuild::hashes(&runner).await.unwrap(), live, "pages of {page}");
    }
    rebuild::rebuild(&house.views, &house.runner, 1, house.clock.now(), |_| {}).await.unwrap();
    assert_eq!(house.hashes().await, live);
}
