//! Bad input gets one answer on every way in: HTTP, request-reply, the ingress stream and the
//! command line say the same code, place and remedy. What is refused is not recorded, what is
//! recorded is there once, and what arrives on the stream and cannot be understood is in quarantine
//! with its bytes. No answer repeats what it was told about a person.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use api::app::{App, Parts, Settings};
use api::scope::{Scope, Scopes};
use api::surroundings::Alone;
use events::id::Tenant;
use events::problem::{Code, FINDINGS_MAX, Language};
use futures_util::StreamExt;
use sapa::exit::Exit;
use sapa::servers::Guard;
use sapa::servers::guard::guard_program;
use serde_json::{Value, json};
use store::keys;
use store::quarantine::BYTES_KEPT_MAX;

use crate::support_nats::{main, spawn};

mod around;
mod doors;
mod forms;
mod publishers;
mod rows;

use doors::{Answer, Doors, LANGUAGES, answered, errors_of, key, structured};
use rows::{By, PLANTED, Row, binary, booking};

/// What is wrong with an answer that should be this problem in this language.
fn faults(answer: &Answer, status: u16, code: &str, language: Language) -> Vec<String> {
    let Some(known) = Code::from_word(code) else { return vec![format!("no code {code}")] };
    let body = &answer.body;
    let mut faults = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{what}: {} {}", answer.status, answer.text));
        }
    };
    check((answer.status, answer.code()) == (status, code), "another code");
    check(body["status"] == status, "another status inside");
    check(body["type"] == format!("/problems/{code}"), "another type");
    check(body["title"] == known.title(language), "another title");
    check(body["retryable"] == known.is_retryable(), "retryable");
    for name in ["detail", "hint"] {
        check(body[name].as_str().is_some_and(|it| !it.is_empty()), name);
    }
    let instance = body["instance"].as_str().unwrap_or_default();
    check(instance.starts_with("urn:uuid:"), "instance");
    let places = answer.errors();
    let mut unique = places.clone();
    unique.sort();
    unique.dedup_by(|a, b| a.0 == b.0);
    check(
        unique.len() == places.len() && places.len() <= FINDINGS_MAX,
        "a place stands there twice",
    );
    let told = body["errors"].as_array().is_none_or(|it| {
        it.iter().all(|it| it["detail"].as_str().is_some_and(|it| !it.is_empty()))
    });
    check(told, "an error without words");
    check(PLANTED.iter().all(|it| !answer.text.contains(it)), "it repeats what is personal");
    check(answer.headers["content-language"] == language.tag(), "content-language");
    check(answer.headers["content-type"] == "application/problem+json", "content-type");
    faults
}

/// Sends one row over HTTP and request-reply in both languages; gives the places that were named.
async fn told(doors: &Doors, row: &Row, out: &mut Vec<String>) -> Vec<(String, String)> {
    let (http_key, nats_key) = match row.by {
        By::Anybody => (&doors.anybody, None),
        By::Crs => (&doors.crs, Some(doors.crs.as_str())),
    };
    // What is too large for one event is still read where a batch might come.
    let mut headers = row.headers.clone();
    if 65_536 < row.body.len() {
        headers[0].1 = "application/json".to_owned();
    }
    let mut places: Option<Vec<(String, String)>> = None;
    for language in LANGUAGES {
        let log_decides = matches!(row.code, "event_id_conflict" | "version_conflict");
        let path = "/v1/events";
        let http = doors.post(path, http_key, language, &headers, row.body.clone()).await;
        let reply = doors
            .request("events.append", nats_key, language, &row.headers, row.body.clone())
            .await;
        let path = "/v1/events/validate";
        let checked = doors.post(path, http_key, language, &headers, row.body.clone()).await;
        for (face, answer) in [("HTTP", &http), ("request-reply", &reply), ("validate", &checked)] {
            if face == "validate" && log_decides {
                continue;
            }
            let mut faults = faults(answer, row.status, row.code, language);
            if let Some((pointer, rule)) = row.at
                && !answer.errors().contains(&(pointer.to_owned(), rule.to_owned()))
            {
                faults.push(format!("{pointer} is not told for {rule}: {}", answer.text));
            }
            for name in row.members.iter().filter(|_| face != "validate") {
                if answer.body[*name].is_null() {
                    faults.push(format!("{name} is missing: {}", answer.text));
                }
            }
            if *places.get_or_insert_with(|| answer.errors()) != answer.errors() {
                faults.push(format!("other places than elsewhere: {}", answer.text));
            }
            if face == "request-reply"
                && (answer.headers["nats-service-error"] != row.code
                    || answer.headers["nats-service-error-code"] != row.status.to_string())
            {
                faults.push(format!("the headers of the service: {:?}", answer.headers));
            }
            out.extend(
                faults.into_iter().map(|it| format!("{} {} ({face}): {it}", row.row, row.what)),
            );
        }
    }
    places.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_refused_alike_on_every_way_in() {
    let doors = Doors::open().await;
    let mut notices = doors.nats.subscribe("sapa.v1.*.quarantine.*").await.unwrap();
    doors.nats.flush().await.unwrap();
    let mut out = Vec::new();
    let mut published = BTreeMap::new();
    for row in rows::refused() {
        if let Some(first) = &row.first {
            let body = first.to_string().into_bytes();
            let headers = structured();
            let answer =
                doors.post("/v1/events", &doors.anybody, Language::En, &headers, body).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
        }
        let head = doors.head().await;
        let places = told(&doors, &row, &mut out).await;
        let subject = format!("sapa.v1.main.{}", row.subject);
        let sequence = doors.publish(&subject, &row.headers, row.body.clone()).await;
        if doors.head().await != head {
            out.push(format!("{} {}: something was recorded", row.row, row.what));
        }
        published.insert(sequence, (row, places));
    }
    let head = doors.head().await;
    doors.settled().await;
    assert_eq!(doors.head().await, head, "something refused was recorded");

    let kept = doors.quarantined().await;
    for (sequence, (row, places)) in &published {
        let name = format!("{} {} (ingress)", row.row, row.what);
        let Some(it) = kept.get(sequence) else {
            out.push(format!("{name}: it is nowhere"));
            continue;
        };
        let bytes = row.body.get(..BYTES_KEPT_MAX).unwrap_or(&row.body);
        if it.bytes.as_deref() != Some(bytes) {
            out.push(format!("{name}: its bytes were not kept"));
        }
        if it.code != row.code || it.problem["status"] != row.status {
            out.push(format!("{name}: {} instead of {}", it.code, row.code));
        }
        if errors_of(&it.problem) != *places {
            out.push(format!("{name}: other places than elsewhere: {}", it.problem));
        }
        let told = it.problem.to_string();
        if PLANTED.iter().any(|it| told.contains(it)) {
            out.push(format!("{name}: it repeats what is personal: {told}"));
        }
    }
    for _ in &published {
        let notice = notices.next().await.unwrap();
        let text = String::from_utf8_lossy(&notice.payload).into_owned();
        if PLANTED.iter().any(|it| text.contains(it)) {
            out.push(format!("a notice repeats what is personal: {text}"));
        }
    }
    assert!(out.is_empty(), "{} faults:\n{}", out.len(), out.join("\n"));
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_is_recorded_once_whichever_way_it_comes() {
    let doors = Doors::open().await;
    let (tenant, taken): (Tenant, _) = (main(), rows::taken());
    for it in &taken {
        let bytes = it.event.to_string().into_bytes();
        let headers = structured();
        let post = doors.post("/v1/events", &doors.anybody, Language::En, &headers, bytes.clone());
        let post = post.await;
        assert_eq!(
            (post.status, &post.body["outcome"]),
            (201, &json!("recorded")),
            "{}",
            post.text
        );
        assert_eq!(post.body["warnings"], json!(it.warnings), "{}: {}", it.row, post.text);
        let request =
            doors.request("events.append", None, Language::En, &headers, bytes.clone()).await;
        assert_eq!((request.status, &request.body["outcome"]), (200, &json!("duplicate")));
        assert_eq!(request.headers["idempotent-replayed"], "true");
        assert_eq!(request.body["position"], post.body["position"]);
        let name = it.event["type"].as_str().unwrap();
        let subject = name.trim_start_matches("sapa.").trim_end_matches(".v1");
        doors.publish(&format!("sapa.v1.main.in.{subject}"), &headers, bytes).await;

        let position = post.body["position"].as_i64().unwrap();
        let found = doors.bench.log.read_positions(&tenant, &[position]).await.unwrap();
        let data: Value = serde_json::from_str(&found[0].data).unwrap();
        if let Some((name, text)) = it.stored {
            assert_eq!(data[name], text, "{}", it.row);
        }
    }
    // B22: the three ways to write one event down are one event; B58: what the broker adds of
    // itself, and what looks like it, changes nothing.
    let event = booking();
    let mut headers = binary(&event, "", "");
    headers.push(("Nats-Pin-Id".to_owned(), "forged".to_owned()));
    headers.push(("nats-request-info".to_owned(), "{\"acc\":\"other\"}".to_owned()));
    let data = event["data"].to_string().into_bytes();
    doors.publish("sapa.v1.main.in.booking.requested", &headers, data.clone()).await;
    doors.settled().await;
    let again = doors.post("/v1/events", &doors.anybody, Language::En, &headers, data).await;
    assert_eq!(
        (again.status, &again.body["outcome"]),
        (200, &json!("duplicate")),
        "{}",
        again.text
    );
    let batch = json!([event, event]).to_string().into_bytes();
    let json = [("Content-Type".to_owned(), "application/json".to_owned())];
    let again = doors.post("/v1/events", &doors.anybody, Language::En, &json, batch).await;
    assert_eq!((again.status, &again.body["duplicates"]), (200, &json!(2)), "{}", again.text);

    let wanted = i64::try_from(taken.len() + 1).unwrap();
    assert_eq!(doors.head().await, wanted, "each once");
    assert!(doors.quarantined().await.is_empty());
    doors.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_lists_and_credentials_are_refused_with_their_place() {
    let doors = Doors::open().await;
    let one = booking();
    let mut other = one.clone();
    other["data"]["party"] = json!(7);
    let mut annex = booking();
    annex["tenant"] = json!("annex");
    let many = vec![json!({}); 513];
    for (row, items, status, code, index) in [
        ("B49", json!([]), 400, "batch_size", None),
        ("B49", json!(many), 400, "batch_size", None),
        ("B49", json!([booking(), annex]), 403, "tenant_mixed", Some(1)),
        ("B50", json!([one, booking(), other]), 422, "batch_duplicate", Some(2)),
    ] {
        let json = [("Content-Type".to_owned(), "application/json".to_owned())];
        let bytes = items.to_string().into_bytes();
        let message = json!({ "events": items }).to_string().into_bytes();
        for language in LANGUAGES {
            let http = doors.post("/v1/events", &doors.anybody, language, &json, bytes.clone());
            let reply = doors.request("events.append", None, language, &json, message.clone());
            for answer in [http.await, reply.await] {
                let wrong = faults(&answer, status, code, language);
                assert!(wrong.is_empty(), "{row}: {wrong:?}");
                assert_eq!(answer.body["index"].as_i64(), index, "{}", answer.text);
            }
        }
    }
    assert_eq!(doors.head().await, 0, "all or nothing");
    let twice = json!([one, one]).to_string().into_bytes();
    let batch = [("Content-Type".to_owned(), "application/cloudevents-batch+json".to_owned())];
    let twice = doors.post("/v1/events", &doors.anybody, Language::En, &batch, twice).await;
    assert_eq!((twice.status, &twice.body["recorded"]), (201, &json!(1)), "{}", twice.text);

    lists(&doors).await;
    credentials(&doors).await;
    fields_and_zones(&doors).await;
    doors.close();
}

/// B54, B55: what a page may be asked with.
async fn lists(doors: &Doors) {
    doors.post("/v1/events", &doors.anybody, Language::En, &structured(), bytes(&booking())).await;
    for limit in ["0", "-1", "1000000000"] {
        let http = doors.get(&format!("/v1/events?limit={limit}"), &doors.anybody).await;
        let reply = doors.get_over_nats("events.list", json!({ "limit": limit })).await;
        for answer in [http, reply] {
            let wrong = faults(&answer, 422, "query_invalid", Language::En);
            assert!(wrong.is_empty(), "B55: {wrong:?}");
            assert_eq!(answer.errors(), [("limit".to_owned(), "limit".to_owned())]);
        }
    }
    let page = doors.get("/v1/events?limit=1", &doors.anybody).await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let mut changed = cursor.to_owned();
    let last = changed.pop().unwrap();
    changed.push(if last == 'A' { 'B' } else { 'A' });
    let asked = [
        (format!("limit=1&cursor={changed}"), &doors.anybody, json!({ "cursor": changed })),
        (
            format!("topic=booking&cursor={cursor}"),
            &doors.anybody,
            json!({ "topic": "booking", "cursor": cursor }),
        ),
        (format!("cursor={cursor}"), &doors.annex, json!({ "cursor": "AAAA" })),
    ];
    for (query, key, body) in asked {
        let http = doors.get(&format!("/v1/events?{query}"), key).await;
        let reply = doors.get_over_nats("events.list", body).await;
        for answer in [http, reply] {
            let wrong = faults(&answer, 400, "cursor_invalid", Language::En);
            assert!(wrong.is_empty(), "B54 {query}: {wrong:?}");
        }
    }
}

/// B56, B57, B59: who asks, and under which name.
async fn credentials(doors: &Doors) {
    let scopes = Scopes::of(&[Scope::Admin]);
    let expired = key(&doors.app, "main", scopes, &[], -1).await;
    let revoked = key(&doors.app, "main", scopes, &[], 1).await;
    let name = revoked.split('_').nth(2).unwrap();
    keys::revoke(doors.app.db(), &main(), name, doors.app.clock.now()).await.unwrap();
    let head = doors.head().await;
    let mut said = Vec::new();
    for key in ["", "nonsense", &expired, &revoked] {
        let event = bytes(&booking());
        let headers = structured();
        let http = doors.post("/v1/events", key, Language::En, &headers, event.clone()).await;
        let reply = doors.request("events.append", Some(key), Language::En, &headers, event).await;
        for answer in [http, reply] {
            let wrong = faults(&answer, 401, "token_invalid", Language::En);
            assert!(wrong.is_empty(), "B56: {wrong:?}");
            said.push(answer.body["detail"].clone());
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "B56 tells which it was: {said:?}");
    // Nobody without a key learns whether the bytes would have been understood.
    let blind = doors.post("/v1/events", "", Language::En, &structured(), b"{".to_vec()).await;
    assert_eq!(blind.code(), "token_invalid");
    let theirs = doors.get("/v1/events/1", &doors.annex).await;
    let nothing = doors.get("/v1/events/999999", &doors.annex).await;
    assert!(faults(&theirs, 404, "not_found", Language::En).is_empty(), "{}", theirs.text);
    assert_eq!(theirs.body["detail"], nothing.body["detail"], "B57");
    assert_eq!(doors.head().await, head);

    let request = doors
        .http
        .post(format!("http://{}/v1/events", doors.address))
        .header("Host", "evil.example")
        .header("Authorization", format!("Bearer {}", doors.anybody))
        .header("Content-Type", "application/json")
        .header("Accept-Language", "en")
        .body(booking().to_string());
    let wrong = faults(&answered(request).await, 421, "host_not_allowed", Language::En);
    assert!(wrong.is_empty(), "B59: {wrong:?}");
}

/// B29 where unknown members are refused, and B42.
async fn fields_and_zones(doors: &Doors) {
    let parts = Parts {
        log: doors.app.log.clone(),
        appender: doors.app.appender.clone(),
        bell: doors.app.bell.clone(),
        clock: doors.app.clock.clone(),
        ids: doors.app.ids.clone(),
        views: doors.app.views.clone(),
        tenants: doors.app.tenants.clone(),
        settings: Settings { refuse_unknown_fields: true, ..doors.app.settings.clone() },
        metrics: doors.app.metrics.clone(),
        surroundings: Arc::new(Alone),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = App::new(parts).await.unwrap();
    spawn(api::serve(app, listener, doors.stop.clone()));
    let mut event = booking();
    event["data"]["colour"] = json!("blue");
    let request = doors
        .http
        .post(format!("http://{address}/v1/events"))
        .header("Authorization", format!("Bearer {}", doors.anybody))
        .header("Content-Type", "application/json")
        .body(event.to_string());
    let answer = answered(request).await;
    let wrong = faults(&answer, 422, "schema_invalid", Language::En);
    assert!(wrong.is_empty(), "B29: {wrong:?}");
    assert_eq!(answer.errors(), [("/data/colour".to_owned(), "unknown_field".to_owned())]);

    for zone in ["GMT+7", "WIB"] {
        let request = doors
            .http
            .put(format!("http://{}/v1/tenants/third", doors.address))
            .header("Authorization", format!("Bearer {}", doors.admin))
            .header("Content-Type", "application/json")
            .body(json!({ "name": "Third", "zone": zone }).to_string());
        let answer = answered(request).await;
        let wrong = faults(&answer, 422, "query_invalid", Language::En);
        assert!(wrong.is_empty(), "B42: {wrong:?}");
        assert_eq!(answer.errors(), [("zone".to_owned(), "zone".to_owned())]);
    }
}

fn bytes(event: &Value) -> Vec<u8> {
    event.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn oddities_of_nats_record_nothing_and_reach_nobody() {
    let doors = Doors::open().await;
    let append = "sapa.v1.main.api.events.append";
    let elsewhere = "sapa.v1.main.in.booking.requested";
    let mut overheard = doors.nats.subscribe(elsewhere).await.unwrap();
    doors.nats.publish(append, bytes(&booking()).into()).await.unwrap();
    let body = bytes(&booking()).into();
    doors.nats.publish_with_reply(append, elsewhere, body).await.unwrap();
    // The next request is answered after both were dropped, or answered where they must not be.
    let nothing = doors.request("events.append", None, Language::En, &[], Vec::new()).await;
    assert!(faults(&nothing, 400, "body_empty", Language::En).is_empty(), "{}", nothing.text);
    let none = tokio::time::timeout(Duration::from_millis(500), overheard.next()).await;
    assert!(none.is_err(), "B58: an answer went where somebody pointed it");
    assert_eq!(doors.head().await, 0);

    // Without a content type only an object is an event, and who has no such tenant is told so.
    let word = doors.request("events.append", None, Language::En, &[], b"hello".to_vec()).await;
    assert!(faults(&word, 415, "media_type", Language::En).is_empty(), "{}", word.text);
    let sent = [
        ("sapa.v1.main.in.booking.requested", b"hello".to_vec(), "media_type"),
        ("sapa.v1.main.in.booking.*", bytes(&booking()), "bad_id"),
        ("sapa.v1.UPPER.in.booking.requested", bytes(&booking()), "bad_id"),
        ("sapa.v1.main.in.booking.confirmed", bytes(&booking()), "subject_mismatch"),
        ("sapa.v1.main.in.payment.recorded", bytes(&booking()), "subject_mismatch"),
    ];
    let mut wanted = BTreeMap::new();
    for (subject, body, code) in sent {
        wanted.insert(doors.publish(subject, &[], body.clone()).await, (code, body));
    }
    doors.settled().await;
    let kept = doors.quarantined().await;
    let kept: BTreeMap<u64, (&str, Vec<u8>)> = kept
        .iter()
        .map(|(sequence, it)| (*sequence, (it.code.as_str(), it.bytes.clone().unwrap())))
        .collect();
    assert_eq!(kept, wanted, "B19, B58, B61");
    assert_eq!(doors.head().await, 0);

    // Two events under one Nats-Msg-Id: the broker drops the second; the log says so when asked.
    let (first, second) = (booking(), booking());
    let headers = [("Nats-Msg-Id".to_owned(), "m-1".to_owned())];
    doors.publish(elsewhere, &headers, bytes(&first)).await;
    doors.publish(elsewhere, &headers, bytes(&second)).await;
    doors.settled().await;
    assert_eq!(doors.head().await, 1);
    let path = |it: &Value| {
        format!("/v1/receipts?source=/hotel/front-desk&id={}", it["id"].as_str().unwrap())
    };
    assert_eq!(doors.get(&path(&first), &doors.admin).await.status, 200);
    assert_eq!(doors.get(&path(&second), &doors.admin).await.status, 404);

    lies(&doors).await;
    doors.close();
}

/// B8: a head that promises more than there may be, and a body that does not come.
async fn lies(doors: &Doors) {
    let ask = |length: usize, body: &'static str| {
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/cloudevents+json\r\nContent-Length: {length}\r\n\r\n{body}",
            doors.address, doors.anybody
        );
        let address = doors.address.clone();
        tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let mut said = vec![0; 4_096];
            let count = stream.read(&mut said).unwrap();
            String::from_utf8_lossy(&said[..count]).into_owned()
        })
    };
    let (large, late) = tokio::join!(ask(70_000, ""), ask(500, "{\"id\":"));
    let (large, late) = (large.unwrap(), late.unwrap());
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("\"too_large\""), "{large}");
    assert!(late.starts_with("HTTP/1.1 408") && late.contains("\"read_timeout\""), "{late}");
    assert!(late.contains("\"retryable\":true") && late.contains("retry-after"), "{late}");
    assert_eq!(doors.head().await, 1);
}

/// Runs the program in a folder of its own, without anybody's settings.
fn program(folder: &Path, arguments: &[&str]) -> Output {
    let Guard::Program(program) = guard_program() else {
        panic!("there is no program: run `cargo build -p sapa` first");
    };
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SAPA_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).env("HOME", folder).args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_what_the_server_says() {
    let doors = Doors::open().await;
    let folder = tempfile::tempdir().unwrap();
    let server = format!("http://{}", doors.address);
    let wanted = ["B2", "B4", "B12", "B20", "B30", "B40", "B67", "B69"];
    let mut rows = rows::refused();
    rows.retain(|it| wanted.contains(&it.row));
    let head = doors.head().await;
    for row in rows {
        let file = folder.path().join("event.json");
        std::fs::write(&file, &row.body).unwrap();
        let exit = i32::from(Exit::of_answer(row.status, row.code).number());
        for (verb, language) in [("validate", Language::En), ("publish", Language::Id)] {
            let arguments = [
                "event",
                verb,
                "event.json",
                "--json",
                "--lang",
                language.tag(),
                "--server",
                &server,
                "--key",
                &doors.anybody,
            ];
            let output = program(folder.path(), &arguments);
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let name = format!("{} {} ({verb}): {output:?}", row.row, row.what);
            assert_eq!(output.status.code(), Some(exit), "{name}");
            assert_eq!((&said["code"], &said["status"]), (&json!(row.code), &json!(row.status)));
            let title = Code::from_word(row.code).unwrap().title(language);
            assert_eq!(said["title"], title, "{name}");
            let at = row.at.map(|(at, rule)| (at.to_owned(), rule.to_owned()));
            assert!(at.is_none_or(|it| errors_of(&said).contains(&it)), "{name}");
            let all = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(PLANTED.iter().all(|it| !all.contains(it)), "{name}");
        }
    }
    assert_eq!(doors.head().await, head);

    // For people: the title with its code, the place with its rule, and the remedy.
    let mut event = booking();
    event["data"]["party"] = json!(0);
    std::fs::write(folder.path().join("event.json"), event.to_string()).unwrap();
    let plain = ["event", "publish", "event.json", "--server", &server, "--key", &doors.anybody];
    let output = program(folder.path(), &plain);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["(schema_invalid)", "/data/party", "(range)", "See /schemas/events/"] {
        assert!(said.contains(part), "{said}");
    }
    doors.close();
}
