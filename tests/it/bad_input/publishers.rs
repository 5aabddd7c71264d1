//! What a key lets its publisher send: decisions of a venue that another system decides about, and
//! events about customers nobody has heard of.

use std::sync::Arc;

use events::policy::Published;
use events::problem::Language;
use projections::{Runner, keeper};
use serde_json::{Value, json};

use super::doors::{Answer, Doors, structured};
use super::rows::{booking, event};
use super::{bytes, faults};
use crate::support_nats::{eventually, main, spawn};

/// Reads the log into the read models while the test runs.
async fn project(doors: &Doors) {
    let (log, views) = (doors.app.log.clone(), doors.app.views.clone());
    let live = views.live();
    let runner = Runner::open(log, live.db, live.generation, 1).await.unwrap();
    let runner = Arc::new(tokio::sync::Mutex::new(runner));
    spawn(keeper::keep_up(runner, views, doors.bench.bell.clone(), doors.stop.clone()));
}

async fn send(doors: &Doors, key: &str, event: &Value) -> Answer {
    doors.post("/v1/events", key, Language::En, &structured(), bytes(event)).await
}

/// A key made over the API.
async fn made(doors: &Doors, members: Value) -> String {
    let json = [("Content-Type".to_owned(), "application/json".to_owned())];
    let answer = doors.post("/v1/keys", &doors.admin, Language::En, &json, bytes(&members)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    for (name, value) in members.as_object().unwrap() {
        if name != "set" {
            assert_eq!(answer.body[name], *value, "{}", answer.text);
        }
    }
    answer.body["key"].as_str().unwrap().to_owned()
}

/// Publishes policy `venues` with two venues of which one decides for itself.
async fn publish_venues(doors: &Doors) {
    let venue =
        |authority: &str| json!({"site": "lembang", "capacity": 150, "authority": authority});
    let body = json!({"aula-kota": venue("external"), "aula-taman": venue("sapa")});
    let from = "2026-11-01T00:00:00+07:00";
    let hash = Published::new("venues", 2, from.parse().unwrap(), body.clone()).hash;
    let mut policy = event("policy.published");
    policy["data"] = json!({
        "name": "venues", "version": 2, "effective_from": from, "hash": hash, "body": body,
    });
    let sent = send(doors, &doors.admin, &policy).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    eventually("the policy is in force", async || {
        doors.app.policies(&main()).await.unwrap().is_external("aula-kota")
    })
    .await;
}

fn about(venue: &str, kind: &str) -> Value {
    let mut event = event(kind);
    event["subject"] = json!("c-hendra");
    event["data"]["venue"] = json!(venue);
    event["data"]["booking"] = json!("b-kota-1");
    event["source"] = json!("/booking-system");
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_of_an_external_venue_records_its_decisions_and_we_owe_none() {
    let doors = Doors::open().await;
    project(&doors).await;
    publish_venues(&doors).await;
    let plain = made(&doors, json!({"name": "desk", "set": "publisher"})).await;
    let venues = json!(["aula-kota", "aula-taman"]);
    let own = made(&doors, json!({"name": "kota", "set": "publisher", "venues": venues})).await;
    let requested = send(&doors, &plain, &about("aula-kota", "booking.requested")).await;
    assert_eq!(requested.status, 201, "{}", requested.text);

    let confirmed = about("aula-kota", "booking.confirmed");
    for (key, event, why) in [
        (&plain, confirmed.clone(), "the key names no venue"),
        (&own, about("aula-taman", "booking.confirmed"), "Sapa decides about this venue"),
        (&own, event("loyalty.tier_changed"), "not a booking"),
    ] {
        let refused = send(&doors, key, &event).await;
        assert!(
            faults(&refused, 403, "reserved_type", Language::En).is_empty(),
            "{why}: {}",
            refused.text
        );
    }
    let hint = send(&doors, &plain, &confirmed).await.body["hint"].to_string();
    assert!(hint.contains("sapa key create NAME --set publisher --venue ID"), "{hint}");

    // Nobody proves on the ingress stream whose system they are; the key does, and releases it.
    doors.publish("sapa.v1.main.in.booking.confirmed", &structured(), bytes(&confirmed)).await;
    doors.settled().await;
    let kept = doors.quarantined().await;
    assert_eq!(kept.values().map(|it| it.code.as_str()).collect::<Vec<_>>(), ["reserved_type"]);

    let reply = doors
        .request("events.append", Some(&own), Language::En, &structured(), bytes(&confirmed))
        .await;
    assert_eq!((reply.status, &reply.body["outcome"]), (201, &json!("recorded")), "{}", reply.text);
    let again = send(&doors, &own, &confirmed).await;
    assert_eq!(
        (again.status, &again.body["outcome"]),
        (200, &json!("duplicate")),
        "{}",
        again.text
    );
    let position = &reply.body["position"];
    let path = format!("/v1/customers/c-hendra/neglect?at_least={position}&wait=5s");
    let neglect = doors.get(&path, &doors.admin).await;
    let owed = neglect.body["obligations"].as_array().unwrap();
    let decision = owed.iter().find(|it| it["obligation"] == "decision");
    let decision = decision.unwrap_or_else(|| panic!("{}", neglect.text));
    assert!(!decision["closed_by"].is_null(), "{}", neglect.text);
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_customer_is_told_of_and_a_key_may_refuse_to_make_one() {
    let doors = Doors::open().await;
    let with = |kind: &str, customer: &str| {
        let mut event = event(kind);
        event["subject"] = json!(customer);
        event
    };
    let warnings =
        async |event: &Value| send(&doors, &doors.anybody, event).await.body["warnings"].clone();
    assert_eq!(warnings(&with("complaint.raised", "k-1")).await, json!(["customer_new"]));
    assert_eq!(warnings(&with("complaint.reopened", "k-1")).await, json!([]));
    assert_eq!(warnings(&with("interaction.greeted", "c-2")).await, json!(["customer_new"]));
    assert_eq!(warnings(&with("interaction.greeted", "c-2")).await, json!([]));
    assert_eq!(warnings(&with("customer.registered", "c-3")).await, json!([]));
    let batch = json!([with("interaction.greeted", "c-4"), with("interaction.greeted", "c-4")]);
    let json = [("Content-Type".to_owned(), "application/json".to_owned())];
    let post = async |key: &str, path: &str, body: &Value| {
        doors.post(path, key, Language::En, &json, bytes(body)).await
    };
    let answer = post(&doors.anybody, "/v1/events", &batch).await;
    let told: Vec<_> =
        answer.body["items"].as_array().unwrap().iter().map(|it| it["warnings"].clone()).collect();
    assert_eq!(told, [json!(["customer_new"]), json!([])], "{}", answer.text);
    // Over the stream nobody hears a warning; the receipt has it.
    let greeted = with("interaction.greeted", "c-5");
    doors.publish("sapa.v1.main.in.interaction.greeted", &structured(), bytes(&greeted)).await;
    let path = format!(
        "/v1/receipts?source=/hotel/front-desk&id={}&wait=5s",
        greeted["id"].as_str().unwrap()
    );
    let receipt = doors.get(&path, &doors.admin).await;
    assert_eq!(receipt.body["warnings"], json!(["customer_new"]), "{}", receipt.text);

    let till =
        made(&doors, json!({"name": "till", "set": "publisher", "unknown_customers": "refuse"}))
            .await;
    let head = doors.head().await;
    let stranger = with("purchase.recorded", "c-6");
    for path in ["/v1/events", "/v1/events/validate"] {
        let refused = post(&till, path, &stranger).await;
        assert!(
            faults(&refused, 404, "customer_unknown", Language::En).is_empty(),
            "{}",
            refused.text
        );
        assert_eq!(refused.errors(), [("/subject".to_owned(), "customer_unknown".to_owned())]);
        let refused = post(&till, path, &json!([booking_of("c-5"), stranger])).await;
        assert_eq!((refused.code(), &refused.body["index"]), ("customer_unknown", &json!(1)));
    }
    let key = Some(till.as_str());
    let reply = doors.request("events.append", key, Language::En, &json, bytes(&stranger)).await;
    assert_eq!(reply.code(), "customer_unknown", "{}", reply.text);
    assert_eq!(doors.head().await, head, "nothing was recorded");
    let each = json!([stranger, booking_of("c-5")]);
    let each = post(&till, "/v1/events?atomic=false", &each).await;
    assert_eq!((each.status, &each.body["recorded"]), (207, &json!(1)), "{}", each.text);
    assert_eq!(each.body["items"][0]["code"], "customer_unknown", "{}", each.text);
    let both = json!([with("customer.registered", "c-6"), stranger]);
    let both = post(&till, "/v1/events", &both).await;
    assert_eq!((both.status, &both.body["recorded"]), (201, &json!(2)), "{}", both.text);
    doors.close();
}

fn booking_of(customer: &str) -> Value {
    let mut event = booking();
    event["subject"] = json!(customer);
    event
}
