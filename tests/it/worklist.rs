//! Who is next: the most urgent first, nobody starved, and a hand-out that nobody works on is handed
//! out again.

use projections::alerts::query;
use reactions::worklist::{HandOut, Queue};
use serde_json::{Value, json};

use crate::house::{House, instant, main_tenant, stories};

stories![
    the_urgent_come_before_what_has_waited_for_months,
    the_policy_says_how_many_go_ahead,
    a_claim_that_lapses_waits_again_where_it_stood,
];

async fn ring(house: &House, at: &str, id: &str, kind: &str, severity: &str, due_at: &str) {
    let data = json!({
        "alert": id, "kind": kind, "occurrence": 1, "severity": severity, "due_at": due_at,
        "owner": "dewi", "team": "frontdesk", "because": [], "stop_by": "authority",
        "policy": "debate", "policy_version": 1,
    });
    house.fact(at, &format!("c-{id}"), "alert.raised", data).await;
}

/// Three notices of nine months ago and as many critical alerts as asked for.
async fn a_morning(house: &House, critical: usize) {
    for number in 1..=3 {
        let due_at = format!("2026-02-2{number}T09:00:00+07:00");
        let at = "2026-11-30T08:30:00+07:00";
        ring(house, at, &format!("n-{number}"), "trend", "notice", &due_at).await;
    }
    for number in 1..=critical {
        let at = format!("2026-11-30T08:4{number}:00+07:00");
        ring(house, &at, &format!("k-{number}"), "debate", "critical", &at).await;
    }
}

/// Hands out one alert, as `worklist.next` does.
async fn next(house: &House, by: &str) -> Option<String> {
    let (mut snapshot, tenant) = (house.snapshot().await, main_tenant());
    let policies = snapshot.policies_of(&tenant).in_force(house.clock_now());
    let team = Some("frontdesk");
    let queue = Queue::of(&mut snapshot, &house.log, &tenant, team, &policies).await;
    let HandOut { found, run } = queue.unwrap().next()?;
    let until = house.clock_now() + jiff::SignedDuration::from_mins(30);
    let data =
        json!({ "alert": found.id, "until": events::time::spell(until), "by": by, "run": run });
    let now = events::time::spell(house.clock_now());
    let event = json!({
        "id": format!("{}-{now}", found.id), "time": now, "data": data,
        "subject": found.holder.as_str(),
    });
    house.event(event, "alert.acknowledged").await;
    Some(found.id.to_string())
}

async fn all(house: &House) -> Vec<String> {
    let mut handed = Vec::new();
    while let Some(id) = next(house, "ani").await {
        handed.push(id);
    }
    handed
}

async fn the_urgent_come_before_what_has_waited_for_months(house: House) {
    a_morning(&house, 4).await;
    assert_eq!(all(&house).await, ["k-1", "k-2", "k-3", "n-1", "k-4", "n-2", "n-3"]);
    // The list stands in the same bands.
    let (mut snapshot, tenant) = (house.snapshot().await, main_tenant());
    let window = projections::listing::Window::first(10);
    let wanted = query::Wanted::default();
    let found = query::list(&mut snapshot, &house.log, &tenant, &wanted, &window).await.unwrap();
    let ids: Vec<String> = found.iter().map(|(_, it)| it.id.to_string()).collect();
    assert_eq!(ids, ["k-1", "k-2", "k-3", "k-4", "n-1", "n-2", "n-3"]);
    // What the worklist counts is in the log: a rebuild counts alike.
    let (run, _) = query::last_run(&mut snapshot, &tenant, Some("frontdesk")).await.unwrap();
    assert_eq!(run, 0);
}

async fn the_policy_says_how_many_go_ahead(house: House) {
    let mut body = events::policy::Policies::default().body_json("fairness").cloned().unwrap();
    body["run_max"] = json!(1);
    house.publish("fairness", 2, "2020-01-01T00:00:00Z", body).await;
    a_morning(&house, 3).await;
    assert_eq!(all(&house).await, ["k-1", "n-1", "k-2", "n-2", "k-3", "n-3"]);
}

async fn a_claim_that_lapses_waits_again_where_it_stood(house: House) {
    a_morning(&house, 1).await;
    assert_eq!(next(&house, "ani").await.as_deref(), Some("k-1"));
    let taken = house.alert("c-k-1", "authority").await;
    assert_eq!((&taken["state"], &taken["owner"]), (&json!("acknowledged"), &json!("ani")));
    house.pass_until("2026-11-30T09:20:00+07:00").await;
    let back = house.alert("c-k-1", "authority").await;
    let stands = |it: &Value| (it["state"].clone(), it["owner"].clone(), it["step"].clone());
    assert_eq!(stands(&back), (json!("raised"), json!("dewi"), json!(0)));
    assert_eq!(back["occurrence"], 2);
    assert!(instant("2026-11-30T09:00:00+07:00") < instant(back["raised_at"].as_str().unwrap()));
    assert_eq!(next(&house, "rudi").await.as_deref(), Some("k-1"));
    // One that a person acknowledges goes up when the time is over, as before.
    let data = json!({ "alert": "n-1", "until": "2026-11-30T10:00:00+07:00", "by": "dewi" });
    house.fact("2026-11-30T09:30:00+07:00", "c-n-1", "alert.acknowledged", data).await;
    house.pass_until("2026-11-30T10:01:00+07:00").await;
    let up = house.alerts("c-n-1").await.remove(0);
    assert_eq!((&up["state"], &up["step"]), (&json!("escalated"), &json!(1)));
}
