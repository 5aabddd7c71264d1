//! Rows of the table that are not about one event by itself: ids that come again with other content,
//! commands that are repeated, customers nobody knows, and a service that is busy or cannot write.

use std::time::Duration;

use api::app::{Caller, Face, Settings};
use api::scope::Scopes;
use api::{idempotency, ops};
use events::problem::Language;
use serde_json::{Value, json};
use store::{commands, quarantine};

use super::rows::{binary, booking, event};
use super::{Doors, LANGUAGES, bytes, faults, program, structured};
use crate::house::House;
use crate::support_nats::{eventually, main};

/// Makes the customer of all bookings known.
async fn known(doors: &Doors) {
    let headers = structured();
    let sent = doors.post("/v1/events", &doors.admin, Language::En, &headers, bytes(&booking()));
    assert_eq!(sent.await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_names_the_members_that_differ_and_no_value() {
    let doors = Doors::open().await;
    let first = booking();
    let headers = structured();
    let anybody = &doors.anybody;
    let sent = doors.post("/v1/events", anybody, Language::En, &headers, bytes(&first)).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let recorded_at = sent.body["recorded_at"].as_str().unwrap().to_owned();
    let mut other = first.clone();
    other["data"]["party"] = json!(77);
    other["data"]["note"] = json!("081234567890");
    other["subject"] = json!("c-other-9");
    let fields = ["/subject", "/data/note", "/data/party"];
    let values = ["77", "081234567890", "c-other-9"];

    let json = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    let batch = json!([booking(), other]).to_string().into_bytes();
    let data = other["data"].to_string().into_bytes();
    let binary = binary(&other, "", "");
    let mut details = Vec::new();
    for language in LANGUAGES {
        let one = doors.post("/v1/events", anybody, language, &headers, bytes(&other)).await;
        let asked = doors.request("events.append", None, language, &headers, bytes(&other)).await;
        let split = doors.post("/v1/events", anybody, language, &binary, data.clone()).await;
        let several = doors.post("/v1/events", anybody, language, &json, batch.clone()).await;
        for answer in [one, asked, split, several] {
            let wrong = faults(&answer, 409, "event_id_conflict", language);
            assert!(wrong.is_empty(), "B23: {wrong:?}");
            details.push(answer.body["detail"].as_str().unwrap().to_owned());
        }
    }
    let path = "/v1/events?atomic=false";
    let each = doors.post(path, anybody, Language::En, &json, batch).await;
    details.push(each.body["items"][1]["detail"].as_str().unwrap().to_owned());

    let subject = "sapa.v1.main.in.booking.requested";
    let sequence = doors.publish(subject, &headers, bytes(&other)).await;
    doors.settled().await;
    let kept = doors.quarantined().await;
    details.push(kept[&sequence].problem["detail"].as_str().unwrap().to_owned());

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("event.json"), bytes(&other)).unwrap();
    let server = format!("http://{}", doors.address);
    let arguments =
        ["event", "publish", "event.json", "--json", "--server", &server, "--key", anybody];
    let output = program(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    details.push(said["detail"].as_str().unwrap().to_owned());

    for it in &details {
        assert!(fields.iter().all(|name| it.contains(name)), "B23: {it}");
        assert!(!it.contains("/type") && !it.contains("/time"), "B23: {it}");
        // The instant is told, and its digits may be anything.
        let rest = it.replace(&recorded_at, "");
        assert!(values.iter().all(|value| !rest.contains(value)), "B23 tells a value: {it}");
    }
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_nobody_knows_is_repeated_up_to_64_characters() {
    let doors = Doors::open().await;
    let long = format!("sapa.booking.{}.v1", "x".repeat(300));
    let mut event = booking();
    event["type"] = json!(long);
    let headers = structured();
    let anybody = &doors.anybody;
    let http = doors.post("/v1/events", anybody, Language::En, &headers, bytes(&event)).await;
    let reply = doors.request("events.append", None, Language::En, &headers, bytes(&event)).await;
    for answer in [http, reply] {
        let wrong = faults(&answer, 422, "unknown_type", Language::En);
        assert!(wrong.is_empty(), "B27: {wrong:?}");
        assert!(answer.text.contains(&long[..64]) && !answer.text.contains(&long[..65]), "B27");
        let name = answer.body["quarantine_id"].as_str().unwrap();
        let kept = quarantine::get(doors.app.db(), &main(), name).await.unwrap().unwrap();
        assert!(!kept.problem.to_string().contains(&long[..65]), "B27");
        assert_eq!(kept.bytes, Some(bytes(&event)), "its bytes are kept whole");
    }
    let subject = "sapa.v1.main.in.booking.requested";
    let sequence = doors.publish(subject, &headers, bytes(&event)).await;
    doors.settled().await;
    assert!(!doors.quarantined().await[&sequence].problem.to_string().contains(&long[..65]));
    doors.close();
}

/// A plan for the customer of all bookings.
fn plan(at: &str) -> Value {
    json!({ "at": at, "owner": "rudi", "purpose": "courtesy" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_under_a_key_that_is_taken_is_refused_on_both_faces() {
    let doors = Doors::open().await;
    known(&doors).await;
    let path = "/v1/customers/c-sari/plans";
    let over_nats = |body: &Value| {
        let mut all = body.clone();
        all["id"] = json!("c-sari");
        bytes(&all)
    };
    let keyed = |key: &str| {
        vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("Idempotency-Key".to_owned(), key.to_owned()),
        ]
    };
    let admin = doors.admin.as_str();
    let (first, other) = (plan("2026-11-28T10:00:00+07:00"), plan("2026-11-29T10:00:00+07:00"));
    let done = doors.post(path, admin, Language::En, &keyed("k-1"), bytes(&first)).await;
    assert_eq!(done.status, 201, "{}", done.text);
    let again = doors.post(path, admin, Language::En, &keyed("k-1"), bytes(&first)).await;
    assert_eq!(again.headers["idempotent-replayed"], "true", "{}", again.text);
    let head = doors.head().await;

    // B24: somebody else is in the middle of the very same command.
    let operation = ops::find("customers.plan").unwrap();
    let caller = Caller {
        tenant: doors.app.tenants.get(&main()).unwrap(),
        scopes: Scopes::default(),
        sources: None,
        venues: std::sync::Arc::from([]),
        refuses_unknown_customers: false,
        actor: None,
        key_id: None,
        own_source: "/api",
        face: Face::Http,
        subject: None,
        language: Language::En,
        request_id: String::new(),
        trace: None,
        idempotency_key: None,
        if_match: None,
        at_least: None,
    };
    let sent: Value = serde_json::from_slice(&over_nats(&first)).unwrap();
    let request = idempotency::fingerprint(operation, &caller, sent.as_object().unwrap());
    let (db, now) = (doors.app.db(), doors.app.clock.now());
    commands::begin(db, &main(), operation.id, "k-2", &request, now).await.unwrap();

    for language in LANGUAGES {
        for (row, key, body, status, code) in [
            ("B25", "k-1", &other, 422, "idempotency_key_reused"),
            ("B24", "k-2", &first, 409, "in_progress"),
            ("B25", "k-2", &other, 422, "idempotency_key_reused"),
        ] {
            let http = doors.post(path, admin, language, &keyed(key), bytes(body)).await;
            let body = over_nats(body);
            let name = "customers.plan";
            let reply = doors.request(name, Some(admin), language, &keyed(key), body).await;
            if code == "in_progress" {
                assert_eq!(http.headers["retry-after"], "1", "{row}");
                assert_eq!(reply.body["retry_after_seconds"], 1, "{row}");
            }
            for answer in [http, reply] {
                let wrong = faults(&answer, status, code, language);
                assert!(wrong.is_empty(), "{row}: {wrong:?}");
            }
        }
    }
    assert_eq!(doors.head().await, head, "nothing was done twice");
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_nobody_knows_and_one_of_another_tenant_are_told_alike() {
    let doors = Doors::open().await;
    let mut theirs = booking();
    theirs["subject"] = json!("c-theirs");
    let headers = structured();
    let sent = doors.post("/v1/events", &doors.annex, Language::En, &headers, bytes(&theirs)).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let head = doors.head().await;
    let json = [("Content-Type".to_owned(), "application/json".to_owned())];
    let mut said = Vec::new();
    for customer in ["c-nobody", "c-theirs", "not an id"] {
        let body = plan("2026-11-28T10:00:00+07:00");
        let path = format!("/v1/customers/{}/plans", customer.replace(' ', "%20"));
        let admin = doors.admin.as_str();
        let http = doors.post(&path, admin, Language::En, &json, bytes(&body)).await;
        let mut all = body.clone();
        all["id"] = json!(customer);
        let (name, key) = ("customers.plan", Some(admin));
        let reply = doors.request(name, key, Language::En, &json, bytes(&all)).await;
        for answer in [http, reply] {
            let wrong = faults(&answer, 404, "customer_unknown", Language::En);
            assert!(wrong.is_empty(), "B52 {customer}: {wrong:?}");
            said.push((answer.body["detail"].clone(), answer.body["hint"].clone()));
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "B52 tells which it was: {said:?}");
    assert_eq!(doors.head().await, head);

    // A fact is refused for being malformed, never for being surprising.
    let mut resolved = event("complaint.resolved");
    resolved["data"]["complaint"] = json!("k-never-raised");
    let http = doors.post("/v1/events", &doors.admin, Language::En, &headers, bytes(&resolved));
    let http = http.await;
    let said = (http.status, &http.body["warnings"]);
    assert_eq!(said, (201, &json!(["customer_new"])), "B52: {}", http.text);
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_about_a_thread_that_never_began_is_shown_as_dangling() {
    let house = House::sqlite().await;
    let at = "2026-06-01T10:00:00+07:00";
    let mut data = event("complaint.resolved")["data"].take();
    data["complaint"] = json!("k-never-raised");
    house.fact(at, "c-1", "complaint.resolved", data).await;
    let timeline = house.timeline("c-1").await;
    assert_eq!(timeline.iter().map(|it| it.dangling).collect::<Vec<_>>(), [true], "B52");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let doors = Doors::with(Settings { rate_per_key: 1, ..Settings::default() }, true).await;
    let mut http = doors.get("/v1/events", &doors.anybody).await;
    for _ in 0..50 {
        if http.status == 429 {
            break;
        }
        http = doors.get("/v1/events", &doors.anybody).await;
    }
    let wrong = faults(&http, 429, "rate_limited", Language::En);
    assert!(wrong.is_empty(), "B65: {wrong:?}");
    assert!(http.headers.contains_key("retry-after"), "B65: {:?}", http.headers);
    // Another key of the same tenant has a measure of its own, over either face.
    let key = Some(doors.crs.as_str());
    let mut reply = doors.request("events.list", key, Language::En, &[], b"{}".to_vec()).await;
    assert_eq!(reply.status, 200, "B65: {}", reply.text);
    for _ in 0..50 {
        if reply.status == 429 {
            break;
        }
        reply = doors.request("events.list", key, Language::En, &[], b"{}".to_vec()).await;
    }
    let wrong = faults(&reply, 429, "rate_limited", Language::En);
    assert!(wrong.is_empty(), "B65: {wrong:?}");
    assert!(reply.body["retry_after_seconds"].as_u64().is_some_and(|it| 0 < it), "B65");
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_said_to_be_unrecorded_and_stays_on_the_stream() {
    let doors = Doors::with(Settings::default(), false).await;
    let headers = structured();
    for language in LANGUAGES {
        let sent = bytes(&booking());
        let http = doors.post("/v1/events", &doors.anybody, language, &headers, sent.clone()).await;
        let reply = doors.request("events.append", None, language, &headers, sent).await;
        assert!(http.headers.contains_key("retry-after"), "B66: {:?}", http.headers);
        for answer in [http, reply] {
            let wrong = faults(&answer, 503, "unavailable", language);
            assert!(wrong.is_empty(), "B66: {wrong:?}");
            assert!(answer.body["retry_after_seconds"].as_u64().is_some_and(|it| 0 < it), "B66");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("event.json"), bytes(&booking())).unwrap();
    let server = format!("http://{}", doors.address);
    let arguments =
        ["event", "publish", "event.json", "--json", "--server", &server, "--key", &doors.anybody];
    let output = program(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(69), "B66: {output:?}");

    doors.publish("sapa.v1.main.in.booking.requested", &headers, bytes(&booking())).await;
    let stream = doors.bench.context().await.get_stream("SAPA_IN").await.unwrap();
    let waits = async || stream.consumer_info("ingest").await.unwrap().num_ack_pending == 1;
    eventually("the message was taken and not answered for", waits).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(waits().await, "B66: it was answered for");
    assert_eq!(stream.get_info().await.unwrap().state.messages, 1, "B66: it is gone");
    assert!(doors.quarantined().await.is_empty(), "B66: it is no fault of the message");
    assert_eq!(doors.head().await, 0);
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_none_is_refused_with_one_that_is() {
    let doors = Doors::open().await;
    for zone in ["WIB", "GMT+7", "Mars/Olympus"] {
        let path = format!("/v1/events?tz={}", zone.replace('+', "%2B"));
        let http = doors.get(&path, &doors.anybody).await;
        let reply = doors.get_over_nats("events.list", json!({ "tz": zone })).await;
        for answer in [http, reply] {
            let wrong = faults(&answer, 422, "query_invalid", Language::En);
            assert!(wrong.is_empty(), "B42 {zone}: {wrong:?}");
            assert_eq!(answer.errors(), [("tz".to_owned(), "zone".to_owned())]);
            assert!(answer.text.contains("Asia/Jakarta"), "{}", answer.text);
        }
    }
    assert_eq!(doors.get("/v1/events?tz=Asia/Makassar", &doors.anybody).await.status, 200);
    doors.close();
}
