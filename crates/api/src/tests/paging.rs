//! Every list from its beginning to its end and back again, over HTTP, by the links alone.

use serde_json::{Value, json};

use super::{Server, contacted};

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
