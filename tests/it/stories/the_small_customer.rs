//! S6 The small customer is not forgotten (article 002, tip 7).

use serde_json::json;

use crate::house::{House, local, stories};

stories![the_small_customer_is_not_forgotten];

async fn contacted(house: &House, at: &str, outcome: &str) {
    let data = json!({ "purpose": "courtesy", "outcome": outcome });
    house.fact(at, "c-sari", "interaction.contacted", data).await;
}

async fn the_small_customer_is_not_forgotten(house: House) {
    // Given Ibu Sari (secondary, owner Dewi, team frontdesk), reached by telephone three times.
    house
        .fact(
            "2026-01-05T09:00:00+07:00",
            "c-sari",
            "customer.assigned",
            json!({"owner": "dewi", "team": "frontdesk"}),
        )
        .await;
    house.fact("2026-01-10T12:00:00+07:00", "c-sari", "purchase.recorded", json!({"purchase": "s-1", "kind": "sale", "amount": {"amount": 100_000, "currency": "IDR"}})).await;
    for at in
        ["2026-03-02T10:00:00+07:00", "2026-03-23T10:00:00+07:00", "2026-04-13T10:00:00+07:00"]
    {
        contacted(&house, at, "reached").await;
    }
    let clock = house.clock_of("c-sari", "we").await;
    assert_eq!(
        (clock["rhythm_days"].as_f64(), local(&clock["warn_at"]), local(&clock["due_at"])),
        (Some(24.0), "2026-05-31 09:00".into(), "2026-06-24 09:00".into())
    );
    assert_eq!(
        clock["sentence"]["en"],
        "Usually every 24 days (3 contacts); last on 13 April; expected by 24 June."
    );

    // When a newsletter goes out, a note is written and a call gets no answer, nothing moves.
    house
        .fact(
            "2026-05-20T08:00:00+07:00",
            "c-sari",
            "interaction.contacted",
            json!({"purpose": "sales", "outcome": "left_message", "automated": true}),
        )
        .await;
    house
        .fact(
            "2026-06-01T08:00:00+07:00",
            "c-sari",
            "interaction.noted",
            json!({"text": "café opens in August", "visibility": "team"}),
        )
        .await;
    contacted(&house, "2026-06-10T10:00:00+07:00", "no_answer").await;
    assert_eq!(local(&house.clock_of("c-sari", "we").await["due_at"]), "2026-06-24 09:00");
    // The id of the silence that began on 13 April, which everybody can compute.
    let id = "ce320430-85c2-5241-a8dc-9124f3b78af0";
    let ours = |alerts: Vec<serde_json::Value>| alerts.into_iter().find(|it| it["alert"] == id);
    assert!(ours(house.alerts("c-sari").await).is_none());

    // 06-24 09:00 the alert rings with Dewi, under the id that everybody can compute.
    house.pass_until("2026-06-24T09:00:00+07:00").await;
    let alert = ours(house.alerts("c-sari").await).expect("it rings");
    assert_eq!(
        (alert["state"].as_str(), alert["owner"].as_str(), local(&alert["raised_at"])),
        (Some("raised"), Some("dewi"), "2026-06-24 09:00".into())
    );

    // Dewi acknowledges and nothing happens; so does the lead.
    let acknowledge = |at: &'static str, until: &'static str, by: &'static str| {
        let data = json!({"alert": id, "until": until, "by": by});
        house.fact(at, "c-sari", "alert.acknowledged", data)
    };
    acknowledge("2026-06-24T10:00:00+07:00", "2026-06-25T10:00:00+07:00", "dewi").await;
    house.pass_until("2026-06-25T10:00:00+07:00").await;
    let alert = ours(house.alerts("c-sari").await).unwrap();
    assert_eq!(
        (alert["state"].as_str(), alert["step"].as_i64(), alert["owner"].as_str()),
        (Some("escalated"), Some(1), Some("lead"))
    );
    acknowledge("2026-06-25T11:00:00+07:00", "2026-06-26T10:00:00+07:00", "lead").await;
    house.pass_until("2026-06-26T10:00:00+07:00").await;
    let alert = ours(house.alerts("c-sari").await).unwrap();
    assert_eq!(
        (alert["state"].as_str(), alert["step"].as_i64(), alert["owner"].as_str()),
        (Some("escalated"), Some(2), Some("manager"))
    );

    // When the lead reaches her, that event resolves it, and her rhythm stays what it may be at most.
    contacted(&house, "2026-06-26T10:20:00+07:00", "reached").await;
    let alert = ours(house.alerts("c-sari").await).unwrap();
    assert_eq!(
        (alert["state"].as_str(), alert["ended_by"].as_str()),
        (Some("resolved"), Some("/test#c-sari-interaction.contacted-2026-06-26T10:20:00+07:00"))
    );
    let clock = house.clock_of("c-sari", "we").await;
    assert_eq!(
        (local(&clock["warn_at"]), local(&clock["due_at"])),
        ("2026-08-25 09:00".into(), "2026-09-24 09:00".into())
    );

    // A planned contact suspends the clock, and holds it to the plan.
    house.fact("2026-09-01T10:00:00+07:00", "c-sari", "interaction.planned", json!({"plan": "pl-1", "at": "2026-10-01T10:00:00+07:00", "owner": "dewi", "purpose": "courtesy"})).await;
    house.pass_until("2026-09-24T09:00:00+07:00").await;
    assert_eq!(house.clock_of("c-sari", "we").await["state"], "suspended");
    house.pass_until("2026-10-01T10:00:00+07:00").await;
    assert_eq!(house.clock_of("c-sari", "we").await["state"], "overdue");
}
