//! Every list from its beginning to its end and back again, over HTTP, by the links alone.

use serde_json::{Value, json};

use super::{Server, contacted};
use crate::scope::{Scope, Scopes};

/// The reference in `Link` that leads one way.
fn link(headers: &axum::http::HeaderMap, rel: &str) -> Option<String> {
    let links = headers.get("link")?.to_str().unwrap();
    let own = links.split(", ").find(|it| it.ends_with(&format!("rel=\"{rel}\"")))?;
    Some(own.split(['<', '>']).nth(1).unwrap().to_owned())
}

/// One page: its items, and the ways on.
async fn page(
    server: &Server,
    key: &str,
    url: &str,
) -> (Vec<Value>, Option<String>, Option<String>) {
    let answer = server.ask("GET", url, key, None).await;
    assert_eq!(answer.status, 200, "{url}: {}", answer.body);
    let (next, prev) = (link(&answer.headers, "next"), link(&answer.headers, "prev"));
    for (link, member) in [(&next, "next_cursor"), (&prev, "prev_cursor")] {
        let cursor = answer.body.get(member).expect("it is null, and not absent");
        match cursor.as_str() {
            Some(cursor) => assert!(link.as_ref().unwrap().ends_with(cursor), "{url}"),
            None => assert_eq!((link, cursor), (&None, &Value::Null), "{url}"),
        }
    }
    (answer.body["items"].as_array().unwrap().clone(), next, prev)
}

/// All items of a list, which are the same in both directions.
async fn walked(server: &Server, key: &str, path: &str) -> Vec<Value> {
    let address = path.split('?').next().unwrap();
    let (mut on, mut url) = (Vec::new(), path.to_owned());
    let mut pages = Vec::new();
    loop {
        let (items, next, prev) = page(server, key, &url).await;
        assert_eq!(prev.is_none(), pages.is_empty(), "{url}");
        on.extend(items.clone());
        pages.push((items, prev));
        let Some(next) = next else { break };
        assert!(pages.len() < 50, "{path} has no end");
        url = format!("{address}{next}");
    }
    let (mut back, mut prev) = pages.pop().unwrap();
    while let Some(reference) = prev {
        let (items, next, further) = page(server, key, &format!("{address}{reference}")).await;
        assert!(next.is_some(), "{path}");
        back.splice(0..0, items);
        prev = further;
    }
    assert_eq!(back, on, "{path}");
    on
}

async fn record(server: &Server, key: &str, events: &[Value]) -> i64 {
    let answer = server.ask("POST", "/v1/events", key, Some(&json!(events))).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["last_position"].as_i64().unwrap()
}

#[tokio::test]
async fn every_list_is_walked_to_its_end_and_back() {
    let server = Server::start().await;
    let key = server.admin().await;
    let mut events: Vec<Value> =
        (0..7).map(|it| contacted(&format!("e-{it}"), &format!("c-{it}"))).collect();
    events.extend((10..17).map(|it| contacted(&format!("e-{it}"), "c-1")));
    for it in 0..7 {
        let mut promise = contacted(&format!("p-{it}"), &format!("c-{it}"));
        promise["type"] = json!("sapa.promise.made.v1");
        promise["data"] = json!({
            "promise": format!("p-{it}"), "what": "A call", "owner": "rudi",
            "due_at": format!("2026-11-2{}T09:00:00+07:00", it % 3 + 4),
        });
        events.push(promise);
    }
    let position = record(&server, &key, &events).await;
    for it in 0..7 {
        let mut odd = contacted(&format!("odd-{it}"), "c-1");
        odd["type"] = json!("sapa.interaction.contact.v1");
        let refused = server.ask("POST", "/v1/events", &key, Some(&odd)).await;
        assert_eq!(refused.status, 422);
    }
    let shown = format!("/v1/customers?limit=1&at_least={position}&wait=5s");
    assert_eq!(server.ask("GET", &shown, &key, None).await.body["as_of"]["reached"], true);
    for (path, count) in [
        ("/v1/events?topic=interaction&", 14),
        ("/v1/events?customer=c-1&", 9),
        ("/v1/events?customer=c-1&topic=promise&", 1),
        ("/v1/customers/c-1/timeline?", 9),
        ("/v1/customers/c-1/timeline?search=well&", 8),
        ("/v1/customers?", 7),
        ("/v1/customers?sort=last_out&", 7),
        ("/v1/customers?sort=name&", 7),
        ("/v1/customers?search=c-&", 7),
        ("/v1/neglect?clock=we&", 7),
        ("/v1/neglect?clock=owe&", 7),
        ("/v1/promises?", 7),
        ("/v1/loyalty?", 7),
        ("/v1/quarantine?", 7),
        ("/v1/alerts?", 0),
        ("/v1/worklist?team=frontdesk&", 0),
    ] {
        for limit in [2, 3, 7, 50] {
            let walked = walked(&server, &key, &format!("{path}limit={limit}")).await;
            assert_eq!(walked.len(), count, "{path}limit={limit}");
        }
    }
}

#[tokio::test]
async fn what_is_recorded_while_somebody_walks_shifts_no_page() {
    let server = Server::start().await;
    let key = server.admin().await;
    let events: Vec<Value> = (0..6).map(|it| contacted(&format!("e-{it}"), "c-1")).collect();
    let position = record(&server, &key, &events).await;
    let path = "/v1/customers/c-1/timeline";
    let first = format!("{path}?limit=2&at_least={position}&wait=5s");
    let (mut seen, next, _) = page(&server, &key, &first).await;
    let mut newer = contacted("later", "c-1");
    newer["time"] = json!("2026-11-21T09:30:00+07:00");
    let position = record(&server, &key, &[newer]).await;
    let shown = format!("{path}?limit=1&at_least={position}&wait=5s");
    page(&server, &key, &shown).await;
    let mut way = next;
    let mut back = None;
    while let Some(reference) = way {
        let (items, next, prev) = page(&server, &key, &format!("{path}{reference}")).await;
        seen.extend(items);
        (way, back) = (next, prev);
    }
    let names =
        |items: &[Value]| -> Vec<Value> { items.iter().map(|it| it["event"].clone()).collect() };
    let wanted = [5, 4, 3, 2, 1, 0].map(|it| json!(format!("/desk#e-{it}")));
    assert_eq!(names(&seen), wanted);

    // Who goes back finds it in its place, before the page that was the first.
    let mut first = Vec::new();
    while let Some(reference) = back {
        let (items, _, prev) = page(&server, &key, &format!("{path}{reference}")).await;
        (first, back) = (items, prev);
    }
    assert_eq!(names(&first), ["/desk#later"].map(Value::from));
}

#[tokio::test]
async fn a_customer_who_writes_meanwhile_keeps_the_place_they_had() {
    let server = Server::start().await;
    let key = server.admin().await;
    let wrote = |id: &str, customer: &str, time: &str| {
        let mut event = contacted(id, customer);
        event["type"] = json!("sapa.interaction.inquired.v1");
        event["actor"] = json!("customer");
        event["actorkind"] = json!("customer");
        event["time"] = json!(time);
        event["data"] = json!({ "inquiry": id, "topic": "price" });
        event
    };
    let events: Vec<Value> = (1..=3)
        .map(|it| {
            let time = format!("2026-11-1{it}T10:00:00+07:00");
            wrote(&format!("m-{it}"), &format!("u{it}"), &time)
        })
        .collect();
    let position = record(&server, &key, &events).await;
    let path = "/v1/customers";
    let names =
        |items: &[Value]| -> Vec<Value> { items.iter().map(|it| it["customer"].clone()).collect() };
    let first = format!("{path}?limit=1&at_least={position}&wait=5s");
    let (items, next, prev) = page(&server, &key, &first).await;
    assert_eq!((names(&items), prev), (vec![json!("u3")], None));
    let position = record(&server, &key, &[wrote("m-4", "u1", "2026-11-21T09:00:00+07:00")]).await;
    let shown = format!("{path}?limit=1&at_least={position}&wait=5s");
    let (items, _, _) = page(&server, &key, &shown).await;
    assert_eq!(names(&items), ["u1"]);

    let (mut way, mut seen, mut back) = (next, Vec::new(), None);
    while let Some(reference) = way {
        let (items, next, prev) = page(&server, &key, &format!("{path}{reference}")).await;
        seen.extend(names(&items));
        (way, back) = (next, prev);
    }
    assert_eq!(seen, ["u2", "u1"]);
    let mut seen = Vec::new();
    while let Some(reference) = back {
        let (items, _, prev) = page(&server, &key, &format!("{path}{reference}")).await;
        seen.extend(names(&items));
        back = prev;
    }
    assert_eq!(seen, ["u2", "u3"]);
}

#[tokio::test]
async fn lists_of_people_say_who_they_are_to_those_who_may_see_it() {
    let server = Server::start().await;
    let key = server.admin().await;
    let blind = server.key("main", Scopes::from_words(["timeline:read"])).await;
    let mut named = contacted("n-1", "c-1");
    named["type"] = json!("sapa.customer.registered.v1");
    named["data"] = json!({ "kind": "person", "name": "Rina Kartika" });
    let mut owned = contacted("n-2", "c-1");
    owned["type"] = json!("sapa.customer.assigned.v1");
    owned["data"] = json!({ "owner": "dewi", "team": "frontdesk" });
    let position = record(&server, &key, &[named, owned, contacted("n-3", "c-1")]).await;
    for path in ["/v1/customers", "/v1/neglect?clock=we", "/v1/loyalty"] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{mark}at_least={position}&wait=5s");
        let row = server.ask("GET", &path, &key, None).await.body["items"][0].clone();
        assert_eq!(row["name"], "Rina Kartika", "{path}");
        assert_eq!((&row["tier"], &row["owner"]), (&json!("prospect"), &json!("dewi")), "{path}");
        assert_eq!(row["masked"], json!([]), "{path}");
        let row = server.ask("GET", &path, &blind, None).await.body["items"][0].clone();
        assert_eq!((row.get("name"), &row["masked"]), (None, &json!(["/name"])), "{path}");
    }
}

#[tokio::test]
async fn a_position_that_the_log_has_not_reached_is_refused_and_not_waited_for() {
    let server = Server::start().await;
    let key = server.admin().await;
    record(&server, &key, &[contacted("e-1", "c-1"), contacted("e-2", "c-1")]).await;
    for path in [
        "/v1/events?after=999999",
        "/v1/stream?after=999999",
        "/v1/customers/c-1/timeline?known_at=999999",
        "/v1/customers/c-1/loyalty?known_at=999999",
        "/v1/customers/c-1/neglect?known_at=999999",
        "/v1/customers?at_least=999999",
    ] {
        let answer = server.ask("GET", path, &key, None).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (400, &json!("position_unknown")),
            "{path}"
        );
    }
    let answer = server.ask("GET", "/v1/events?after=1", &key, None).await;
    assert_eq!(answer.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_clocks_of_a_date_know_nothing_of_what_came_later() {
    let server = Server::start().await;
    let key = server.admin().await;
    let at = |id: &str, time: &str| {
        let mut event = contacted(id, "c-1");
        event["time"] = json!(time);
        event
    };
    let events = [
        at("e-1", "2026-10-01T10:00:00+07:00"),
        at("e-2", "2026-10-11T10:00:00+07:00"),
        at("e-3", "2026-11-20T10:00:00+07:00"),
    ];
    let position = record(&server, &key, &events).await;
    let clock = async |query: &str| {
        let path = format!("/v1/customers/c-1/neglect?at_least={position}&wait=5s&{query}");
        let clocks = server.ask("GET", &path, &key, None).await.body["clocks"].clone();
        clocks.as_array().and_then(|it| it.iter().find(|it| it["clock"] == "we")).cloned()
    };
    let now = clock("").await.unwrap();
    assert_eq!((&now["count"], &now["last"]), (&json!(3), &json!("2026-11-20")));
    let then = clock("at=2026-10-20").await.unwrap();
    assert_eq!((&then["count"], &then["last"]), (&json!(2), &json!("2026-10-11")));
    // Recorded up to the first of them only, whatever happened.
    let first = position - 2;
    let known = clock(&format!("known_at={first}")).await.unwrap();
    assert_eq!((&known["count"], &known["last"]), (&json!(1), &json!("2026-10-01")));
    assert_eq!(clock("at=2026-09-01").await, None);
}

#[tokio::test]
async fn days_and_hours_of_a_new_tenant_are_those_of_its_zone() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let zone = json!({ "zone": "Europe/Berlin" });
    for status in [201, 200] {
        let answer = server.ask("PUT", "/v1/tenants/berlin", &admin, Some(&zone)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let key = server.key("berlin", Scopes::of(&[Scope::Admin])).await;
    let policy = server.ask("GET", "/v1/policies/calendar?wait=5s&at_least=1", &key, None).await;
    assert_eq!(policy.body["body"]["zone"], "Europe/Berlin", "{}", policy.body);
    assert_eq!(policy.body["version"], 2);
    let mut sale = contacted("s-1", "c-1");
    sale["type"] = json!("sapa.purchase.recorded.v1");
    sale["actor"] = json!("customer");
    sale["actorkind"] = json!("customer");
    sale["time"] = json!("2026-11-01T23:30:00+01:00");
    sale["data"] = json!({
        "purchase": "s-1", "kind": "sale", "amount": { "amount": 9_000, "currency": "EUR" },
    });
    let position = record(&server, &key, &[sale]).await;
    let path = format!("/v1/neglect?clock=we&at_least={position}&wait=5s");
    let row = server.ask("GET", &path, &key, None).await.body["items"][0].clone();
    assert_eq!(
        (&row["last"], &row["due_at"]),
        (&json!("2026-11-01"), &json!("2026-11-15T08:00:00.000000Z"))
    );
    let path = "/v1/customers/c-1/loyalty/explain?at=2026-11-01";
    let counted = server.ask("GET", path, &key, None).await.body["counted"].clone();
    assert_eq!(counted[0]["date"], "2026-11-01");
}
