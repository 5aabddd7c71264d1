//! One event in every form that clients write it: the same answer over HTTP, request-reply and the
//! ingress stream, and one answer of the log for all of them.

use std::collections::BTreeMap;

use events::kind::Kind;
use events::problem::Language;
use serde_json::{Value, json};

use super::doors::{Answer, Doors};
use super::rows::{binary, booking, event};
use super::{bytes, faults, program};

type Headers = Vec<(String, String)>;

/// A message, and what becomes of it: `None` is recorded, else the code of the refusal.
struct Case {
    what: &'static str,
    headers: Headers,
    body: Vec<u8>,
    code: Option<(u16, &'static str)>,
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Attributes of an event as headers, without a content type.
fn untyped(event: &Value) -> Headers {
    let mut headers = binary(event, "", "");
    headers.retain(|(name, _)| name != "Content-Type");
    headers
}

fn structured(
    what: &'static str,
    pairs: &[(&str, &str)],
    code: Option<(u16, &'static str)>,
) -> Case {
    Case { what, headers: headers(pairs), body: bytes(&booking()), code }
}

fn in_headers(
    what: &'static str,
    more: &[(&str, &str)],
    code: Option<(u16, &'static str)>,
) -> Case {
    let event = booking();
    let mut headers = untyped(&event);
    headers.extend(self::headers(more));
    Case { what, headers, body: bytes(&event["data"]), code }
}

/// Every way to write headers that a client was seen to use, and some that none should.
fn cases() -> Vec<Case> {
    let media_type = Some((415, "media_type"));
    let ambiguous = Some((400, "mode_ambiguous"));
    let upper = || {
        let event = booking();
        let upper = untyped(&event).into_iter().map(|(name, it)| (name.to_uppercase(), it));
        Case {
            what: "binary, all names in capitals",
            headers: upper.collect(),
            body: bytes(&event["data"]),
            code: None,
        }
    };
    vec![
        structured("structured", &[("Content-Type", "application/cloudevents+json")], None),
        structured(
            "structured, name in lower case",
            &[("content-type", "application/cloudevents+json")],
            None,
        ),
        structured("structured as plain JSON", &[("Content-Type", "application/json")], None),
        structured(
            "the same, name in lower case",
            &[("content-type", "application/json; charset=utf-8")],
            None,
        ),
        structured("structured without a content type", &[], None),
        structured("structured as text", &[("content-type", "text/plain")], media_type),
        structured(
            "structured as XML",
            &[("content-type", "application/cloudevents+xml")],
            media_type,
        ),
        structured("compressed", &[("content-encoding", "gzip")], Some((415, "content_encoding"))),
        in_headers("binary without a content type", &[], None),
        in_headers("binary as JSON", &[("content-type", "application/json")], None),
        in_headers("binary as text", &[("content-type", "text/plain")], media_type),
        in_headers(
            "binary as text, name in capitals",
            &[("Content-Type", "text/plain")],
            media_type,
        ),
        in_headers(
            "binary and structured at once",
            &[("content-type", "application/cloudevents+json")],
            ambiguous,
        ),
        in_headers(
            "the same, name in capitals",
            &[("Content-Type", "application/cloudevents+json")],
            ambiguous,
        ),
        in_headers("an attribute of 21 letters", &[("ce-abcdefghijklmnopqrstu", "kept")], None),
        in_headers(
            "an attribute with a bad escape",
            &[("ce-shift", "%zz")],
            Some((400, "header_encoding")),
        ),
        in_headers("a boolean as Python writes it", &[("ce-imported", "False")], None),
        in_headers("what nats-server adds for an MQTT client", &[("Nmqtt-Pub", "1")], None),
        upper(),
    ]
}

fn id_of(case: &Case) -> String {
    let own = case.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("ce-id"));
    own.map_or_else(
        || serde_json::from_slice::<Value>(&case.body).unwrap()["id"].as_str().unwrap().to_owned(),
        |(_, id)| id.clone(),
    )
}

async fn receipt(doors: &Doors, id: &str) -> Answer {
    doors.get(&format!("/v1/receipts?source=/hotel/front-desk&id={id}&wait=5s"), &doors.admin).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_gets_the_same_answer_over_every_transport() {
    let doors = Doors::open().await;
    let mut wrong = Vec::new();
    let mut published = Vec::new();
    for case in cases() {
        let (sent, body) = (&case.headers, &case.body);
        let http = doors.post("/v1/events", &doors.anybody, Language::En, sent, body.clone()).await;
        let reply = doors.request("events.append", None, Language::En, sent, body.clone()).await;
        for (transport, answer, fresh) in [("HTTP", &http, 201), ("request-reply", &reply, 200)] {
            let faults = match case.code {
                Some((status, code)) => faults(answer, status, code, Language::En),
                None if answer.status == fresh => Vec::new(),
                None => vec![answer.text.clone()],
            };
            wrong.extend(faults.into_iter().map(|it| format!("{} ({transport}): {it}", case.what)));
        }
        if http.errors() != reply.errors() {
            wrong.push(format!("{}: {:?} and {:?}", case.what, http.errors(), reply.errors()));
        }
        doors.publish("sapa.v1.main.in.booking.requested", sent, body.clone()).await;
        published.push(case);
    }
    doors.settled().await;
    // What was refused over the stream is found by the id of its event, whatever was wrong with it.
    for case in &published {
        let found = receipt(&doors, &id_of(case)).await;
        let said = match case.code {
            None => ("recorded".to_owned(), String::new()),
            Some((_, code)) => ("quarantined".to_owned(), code.to_owned()),
        };
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let heard = (text(&found.body["outcome"]), text(&found.body["code"]));
        if heard != said {
            wrong.push(format!("{} (ingress): {}", case.what, found.text));
        }
    }
    let recorded = published.iter().filter(|it| it.code.is_none()).count();
    assert_eq!(doors.head().await, i64::try_from(recorded).unwrap(), "each event once");
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    let kept = doors.get("/v1/events?limit=50", &doors.anybody).await;
    let has = |it: &Value| it["abcdefghijklmnopqrstu"] == "kept";
    assert_eq!(kept.body["items"].as_array().unwrap().iter().filter(|it| has(it)).count(), 1);
    let hint = doors
        .post(
            "/v1/events",
            &doors.anybody,
            Language::En,
            &headers(&[("content-type", "text/plain")]),
            vec![],
        )
        .await;
    assert!(hint.text.contains("datacontenttype"), "{}", hint.text);
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_sent_back_with_milliseconds_is_a_duplicate_over_every_transport() {
    let doors = Doors::open().await;
    let mut original = booking();
    original["time"] = json!("2026-11-21T16:30:00.123456+07:00");
    let json = headers(&[("content-type", "application/json")]);
    let post = async |body: &Value| {
        doors.post("/v1/events", &doors.anybody, Language::En, &json, bytes(body)).await
    };
    let first = post(&original).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let mut cut = original.clone();
    cut["time"] = json!("2026-11-21T09:30:00.123Z");
    let again = post(&cut).await;
    assert_eq!(
        (again.status, &again.body["outcome"]),
        (200, &json!("duplicate")),
        "{}",
        again.text
    );
    assert_eq!(again.body["position"], first.body["position"]);
    let reply = doors.request("events.append", None, Language::En, &json, bytes(&cut)).await;
    assert_eq!(reply.body["outcome"], "duplicate", "{}", reply.text);
    let batch = post(&json!([cut, booking(), original])).await;
    assert_eq!((batch.status, &batch.body["recorded"]), (201, &json!(1)), "{}", batch.text);
    doors.publish("sapa.v1.main.in.booking.requested", &json, bytes(&cut)).await;
    doors.settled().await;
    assert!(doors.quarantined().await.is_empty());
    // Another time is another content, and so is a cut time beside other data.
    let mut other = original.clone();
    other["time"] = json!("2026-11-21T09:30:00.124Z");
    assert_eq!(post(&other).await.code(), "event_id_conflict");
    cut["data"]["party"] = json!(7);
    assert_eq!(post(&cut).await.code(), "event_id_conflict");
    assert_eq!(doors.head().await, 2);
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_would_change_nothing_are_refused_over_every_transport() {
    let doors = Doors::open().await;
    let folder = tempfile::tempdir().unwrap();
    let server = format!("http://{}", doors.address);
    let json = headers(&[("content-type", "application/json")]);
    let unbuilt: Vec<Kind> = Kind::ALL.iter().copied().filter(|it| !it.is_built()).collect();
    let mut wanted = BTreeMap::new();
    for kind in &unbuilt {
        let event = event(kind.name());
        let body = bytes(&event);
        for key in [&doors.anybody, &doors.admin] {
            let http = doors.post("/v1/events", key, Language::Id, &json, body.clone()).await;
            let wrong = faults(&http, 409, "not_built", Language::Id);
            assert!(wrong.is_empty(), "{kind}: {wrong:?}");
        }
        let reply = doors.request("events.append", None, Language::En, &json, body.clone()).await;
        assert!(faults(&reply, 409, "not_built", Language::En).is_empty(), "{}", reply.text);
        std::fs::write(folder.path().join("event.json"), &body).unwrap();
        let arguments = [
            "event",
            "publish",
            "event.json",
            "--json",
            "--server",
            &server,
            "--key",
            &doors.admin,
        ];
        let output = program(folder.path(), &arguments);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!((output.status.code(), &said["code"]), (Some(5), &json!("not_built")), "{said}");
        let subject = format!("sapa.v1.main.in.{kind}");
        wanted.insert(doors.publish(&subject, &json, body).await, "not_built".to_owned());
    }
    doors.settled().await;
    let kept = doors.quarantined().await;
    let kept: BTreeMap<u64, String> = kept.into_iter().map(|(at, it)| (at, it.code)).collect();
    assert_eq!(kept, wanted);
    assert_eq!(doors.head().await, 0);
    for (path, body) in [
        ("/v1/customers/c-1/merge", json!({"absorbed": ["c-2"], "reason": "the same person"})),
        ("/v1/customers/c-1/unmerge", json!({"merge": "/desk#1", "reason": "two persons"})),
        ("/v1/improvements/i-1/assess", json!({"weeks": 4})),
    ] {
        let answer = doors.post(path, &doors.admin, Language::En, &json, bytes(&body)).await;
        assert!(faults(&answer, 409, "not_built", Language::En).is_empty(), "{}", answer.text);
    }
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_names_its_field_and_every_word_of_an_answer_has_a_page() {
    let doors = Doors::open().await;
    let json = headers(&[("content-type", "application/json")]);
    let mut surprising = booking();
    surprising["data"]["colour"] = json!("blue");
    surprising["stream"] = json!("customer/c-1");
    let sent =
        doors.post("/v1/events", &doors.anybody, Language::Id, &json, bytes(&surprising)).await;
    assert_eq!(
        sent.body["warnings"],
        json!(["attribute_ignored", "unknown_field", "customer_new"])
    );
    let details = sent.body["warning_details"].as_array().unwrap();
    let places: Vec<&str> = details.iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    assert_eq!(places, ["/stream", "/data/colour", "/subject"]);
    for it in details {
        let path = it["type"].as_str().unwrap();
        let page = doors.get(path, &doors.anybody).await;
        assert_eq!((page.status, &page.body["warning"]), (200, &it["warning"]), "{}", page.text);
        assert_eq!(page.body["cause"]["id"], it["detail"]);
    }
    let words = events::problem::Code::ALL.iter().map(|it| it.as_str());
    let words = words.chain(events::warning::Warning::ALL.iter().map(|it| it.as_str()));
    for word in words {
        let page = doors.get(&format!("/problems/{word}"), &doors.anybody).await;
        assert_eq!(page.status, 200, "{word}");
        let request = doors.http.get(format!("http://{}/problems/{word}", doors.address));
        let html =
            request.header("Accept", "text/html").send().await.unwrap().text().await.unwrap();
        assert!(html.contains("<h1>") && html.contains(word), "{html}");
    }
    let none = doors.get("/problems/nonsense", &doors.anybody).await;
    assert!(none.body["detail"].as_str().unwrap().contains("problem or warning"), "{}", none.text);
    let event = doors.get("/v1/events/4000", &doors.anybody).await;
    assert!(event.body["detail"].as_str().unwrap().contains("event"), "{}", event.text);
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelled_type_is_answered_with_what_may_be_sent() {
    let doors = Doors::open().await;
    let json = headers(&[("content-type", "application/json")]);
    for (sent, meant, listed) in [
        ("booking.requested", json!("sapa.booking.requested.v1"), false),
        ("sapa.booking.requestet.v1", json!("sapa.booking.requested.v1"), false),
        ("feedback.requested", json!("sapa.feedback.requested.v2"), false),
        ("sapa.booking.foo.v1", Value::Null, true),
        ("sapa.booking.holds.v1", Value::Null, true),
    ] {
        let mut event = booking();
        event["type"] = json!(sent);
        let answer =
            doors.post("/v1/events", &doors.anybody, Language::En, &json, bytes(&event)).await;
        assert!(faults(&answer, 422, "unknown_type", Language::En).is_empty(), "{}", answer.text);
        assert_eq!(answer.body["did_you_mean"], meant, "{sent}: {}", answer.text);
        let hint = answer.body["hint"].as_str().unwrap();
        assert_eq!(hint.contains("requested, cancelled, fulfilled"), listed, "{sent}: {hint}");
    }
    doors.close();
}
