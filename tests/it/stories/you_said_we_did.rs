//! S10 You said, we did (articles 001, 003), without the trends that lead to it.

use serde_json::{Value, json};

use crate::house::{House, local, stories};

stories![whoever_is_behind_an_improvement_is_told_of_it, who_must_not_be_contacted_is_not_told];

const GUESTS: [&str; 5] = ["c-1", "c-2", "c-3", "c-4", "c-5"];

async fn complain(house: &House, customer: &str, complaint: &str, at: &str) -> String {
    let data = json!({
        "complaint": complaint, "kind": "technical", "category": "air_conditioning",
        "severity": "normal", "venue": "aula-taman", "text": "Too warm",
    });
    house.fact(at, customer, "complaint.raised", data).await;
    format!("/test#{customer}-complaint.raised-{at}")
}

async fn make(house: &House, at: &str, because: &[String]) {
    house.pass_until(at).await;
    let data = json!({
        "improvement": "ac-1", "what": "Two new units", "measure": "complaints", "because": because,
    });
    house.event(json!({ "id": "made-1", "time": at, "data": data }), "improvement.made").await;
}

async fn tell(house: &House, customer: &str, at: &str, outcome: &str) {
    let data = json!({
        "purpose": "you_said_we_did", "outcome": outcome, "about": "improvement/ac-1",
    });
    house.fact(at, customer, "interaction.contacted", data).await;
}

async fn owed(house: &House, customer: &str) -> Value {
    house.obligation(customer, "tell", "improvement/ac-1").await
}

async fn whoever_is_behind_an_improvement_is_told_of_it(house: House) {
    // Given six complaints of five guests, and one of somebody else.
    let mut because = Vec::new();
    for (guest, at) in GUESTS.into_iter().zip(25..) {
        let at = format!("2026-05-{at}T10:00:00+07:00");
        because.push(complain(&house, guest, &format!("k-{guest}"), &at).await);
    }
    because.push(complain(&house, "c-1", "k-6", "2026-05-30T10:00:00+07:00").await);
    because.push("/test#never-recorded".to_owned());
    complain(&house, "c-6", "k-7", "2026-05-31T10:00:00+07:00").await;

    // When it is cooler from Saturday 2026-06-20 on, each of the five is to hear of it, once.
    make(&house, "2026-06-20T11:00:00+07:00", &because).await;
    for guest in GUESTS {
        let owed = owed(&house, guest).await;
        assert_eq!(local(&owed["due_at"]), "2026-07-04 09:00", "{guest}: {owed}");
        let all = house.neglect(guest).await["obligations"].to_string();
        assert_eq!(all.matches(r#""tell""#).count(), 1, "{all}");
        // It is ours, and stands on nobody's timeline.
        let own = house.timeline(guest).await;
        assert!(own.iter().all(|it| !it.r#type.contains("improvement")), "{own:?}");
    }
    assert_eq!(owed(&house, "c-6").await, Value::Null);

    // When four are told, by whatever reaches them, four debts are paid.
    for (guest, outcome) in
        GUESTS.into_iter().zip(["reached", "left_message", "reached", "reached"])
    {
        tell(&house, guest, "2026-06-22T10:00:00+07:00", outcome).await;
        assert!(owed(&house, guest).await["closed_by"].is_string(), "{guest}");
    }
    tell(&house, "c-5", "2026-06-23T10:00:00+07:00", "no_answer").await;
    let told = |alerts: Vec<Value>| -> Vec<Value> {
        alerts.into_iter().filter(|it| it["stop_by"] == "tell").collect()
    };
    house.pass_until("2026-07-04T08:59:59+07:00").await;
    assert_eq!(told(house.alerts("c-5").await), [] as [Value; 0]);

    // On Saturday 07-04 at 09:00 one alert rings, for the fifth.
    house.pass_until("2026-07-04T09:00:00+07:00").await;
    for guest in GUESTS {
        let rings = told(house.alerts(guest).await);
        assert_eq!(rings.len(), usize::from(guest == "c-5"), "{guest}: {rings:?}");
    }
    let alert = told(house.alerts("c-5").await).remove(0);
    assert_eq!(
        (alert["kind"].as_str(), alert["state"].as_str(), local(&alert["due_at"])),
        (Some("we_owe"), Some("raised"), "2026-07-04 09:00".to_owned())
    );
    assert_eq!(alert["because"][0], "/test#made-1", "{alert}");
    let raised = house.recorded("alert.raised").await;
    let raised = raised.iter().find(|it| it.data.contains(r#""stop_by":"tell""#)).unwrap();
    assert_eq!(raised.occurred_at, crate::house::instant("2026-07-04T09:00:00+07:00"));

    // Telling them stops it.
    tell(&house, "c-5", "2026-07-04T10:00:00+07:00", "reached").await;
    assert_eq!(told(house.alerts("c-5").await)[0]["state"], "resolved");
}

async fn who_must_not_be_contacted_is_not_told(house: House) {
    let mut because = Vec::new();
    for guest in ["c-1", "c-2"] {
        let complaint = format!("k-{guest}");
        because.push(complain(&house, guest, &complaint, "2026-05-25T10:00:00+07:00").await);
    }
    let withdraw = |customer: &'static str, at: &'static str| {
        let data = json!({ "purpose": "contact", "state": "withdrawn", "basis": "by telephone" });
        house.fact(at, customer, "customer.consent_changed", data)
    };
    withdraw("c-1", "2026-06-01T10:00:00+07:00").await;
    make(&house, "2026-06-20T11:00:00+07:00", &because).await;
    assert_eq!(owed(&house, "c-1").await, Value::Null);
    assert!(owed(&house, "c-2").await["closed_by"].is_null());

    // Who says so later need not be told any more.
    withdraw("c-2", "2026-06-21T10:00:00+07:00").await;
    assert!(owed(&house, "c-2").await["closed_by"].is_string());
    house.pass_until("2026-07-05T09:00:00+07:00").await;
    for guest in ["c-1", "c-2"] {
        assert!(house.alerts(guest).await.iter().all(|it| it["stop_by"] != "tell"));
    }
}
