//! A sheet of rows: what is recorded, what is kept with its place, and what refuses the whole sheet.

use serde_json::{Value, json};
use store::quarantine::{self, Wanted};

use super::{Server, contacted};
use crate::scope::{Scope, Scopes};

const PATH: &str = "/v1/events/import";

fn row(line: u64, event: &Value) -> Value {
    json!({"line": line, "raw": event.to_string()})
}

async fn kept(server: &Server) -> usize {
    let main = "main".parse().unwrap();
    quarantine::list(server.app.db(), &main, &Wanted::default(), 100).await.unwrap().len()
}

#[tokio::test]
async fn good_rows_are_recorded_and_bad_ones_are_kept_once_with_their_line() {
    let server = Server::start().await;
    let key = server.key("main", Scopes::of(&[Scope::Import])).await;
    let whole = contacted("3", "c-3");
    let half = contacted("4", "_");
    let sheet = json!({"file": "desk.csv", "rows": [
        row(1, &contacted("1", "c-1")),
        {"line": 2, "raw": "c-2;yesterday", "fault": {"rule": "not_date", "column": "day"}},
        {"line": 3, "raw": "c-3;_", "events": [whole, half]},
        {"line": 4, "raw_base64": "6Q=="},
        row(5, &json!({"id": "nul \u{0}", "source": "/desk"})),
    ]});
    let first = server.ask("POST", PATH, &key, Some(&sheet)).await;
    assert_eq!(first.status, 207, "{}", first.body);
    let counts =
        |it: &Value| ["recorded", "duplicates", "quarantined"].map(|name| it[name].clone());
    // Row 3 has a good event and a bad one: nothing of it is recorded.
    assert_eq!(counts(&first.body), [json!(1), json!(0), json!(4)], "{}", first.body);
    let told: Vec<(u64, &str)> = first.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["line"].as_u64().unwrap(), it["code"].as_str().unwrap()))
        .collect();
    let wanted = [(2, "schema_invalid"), (3, "bad_id"), (4, "utf8_invalid"), (5, "specversion")];
    assert_eq!(told, wanted, "{}", first.body);

    let again = server.ask("POST", PATH, &key, Some(&sheet)).await;
    assert_eq!(counts(&again.body), [json!(0), json!(1), json!(4)], "{}", again.body);
    let names = |it: &Value| -> Vec<Value> {
        it["items"].as_array().unwrap().iter().map(|it| it["quarantine_id"].clone()).collect()
    };
    assert_eq!(names(&again.body), names(&first.body));
    assert_eq!(kept(&server).await, 4);
    // The same row on another line is another row.
    let moved = json!({"file": "desk.csv", "rows": [{"line": 9, "raw_base64": "6Q=="}]});
    server.ask("POST", PATH, &key, Some(&moved)).await;
    assert_eq!(kept(&server).await, 5);
}

#[tokio::test]
async fn a_sheet_that_is_none_and_a_key_that_may_not_keep_nothing() {
    let server = Server::start().await;
    let rows = json!([row(1, &contacted("1", "c-1")), {"line": 2, "raw": "{"}]);
    let all = json!({"file": "desk.jsonl", "rows": rows});
    let publisher = server.key("main", Scopes::set("publisher").unwrap()).await;
    let narrow = server.key_for("main", Scopes::of(&[Scope::Import]), &["/crs"]).await;
    let admin = server.admin().await;
    let many = vec![json!({"line": 1, "raw": "{}"}); 513];
    for (key, sheet, status, code) in [
        (&publisher, all.clone(), 403, "scope_missing"),
        (&narrow, all, 403, "source_forbidden"),
        (&admin, json!({"file": "desk.jsonl"}), 400, "json_syntax"),
        (&admin, json!({"file": "desk.jsonl", "rows": [], "more": 1}), 400, "json_syntax"),
        (&admin, json!({"file": "desk.jsonl", "rows": []}), 400, "batch_size"),
        (&admin, json!({"file": "desk.jsonl", "rows": many}), 400, "batch_size"),
        (&admin, json!({"file": "../desk.jsonl", "rows": rows}), 422, "query_invalid"),
        (&admin, json!({"file": "desk.jsonl", "rows": [{"line": 1}]}), 422, "query_invalid"),
    ] {
        let answer = server.ask("POST", PATH, key, Some(&sheet)).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code)),
            "{}",
            answer.body
        );
    }
    assert_eq!((kept(&server).await, server.app.log.head().await.unwrap()), (0, 0));
}

/// What a sheet comes to: recorded, duplicates, quarantined.
async fn send(server: &Server, key: &str, path: &str, rows: Value) -> ([u64; 3], Value) {
    let sheet = json!({"file": "desk.csv", "rows": rows});
    let answer = server.ask("POST", path, key, Some(&sheet)).await;
    assert!((200..300).contains(&answer.status), "{}", answer.body);
    let count = |name: &str| answer.body[name].as_u64().unwrap();
    (["recorded", "duplicates", "quarantined"].map(count), answer.body)
}

async fn states(server: &Server) -> Vec<String> {
    let main = "main".parse().unwrap();
    let mut all = quarantine::list(server.app.db(), &main, &Wanted::default(), 100).await.unwrap();
    all.sort_by_key(|it| it.subject.clone());
    all.into_iter().map(|it| it.state).collect()
}

fn table_row(line: u64, events: &[Value]) -> Value {
    json!({"line": line, "raw": format!("row {line}"), "events": events})
}

#[tokio::test]
async fn a_row_without_an_event_counts_as_one_on_both_sides() {
    let server = Server::start().await;
    let key = server.admin().await;
    let fault = json!({"line": 1, "raw": "x", "fault": {"rule": "columns"}});
    let row = |n: usize| {
        let events: Vec<Value> =
            (0..7).map(|it| contacted(&format!("{n}-{it}"), &format!("c-{n}"))).collect();
        table_row(n as u64 + 2, &events)
    };
    // 73 rows of seven events and one of none: 512.
    let mut rows = vec![fault.clone()];
    rows.extend((0..73).map(row));
    assert_eq!(send(&server, &key, PATH, rows.clone().into()).await.0, [511, 0, 1]);
    rows.push(fault);
    let sheet = json!({"file": "desk.csv", "rows": rows});
    let answer = server.ask("POST", PATH, &key, Some(&sheet)).await;
    assert_eq!((answer.status, &answer.body["code"]), (400, &json!("batch_size")));
}

#[tokio::test]
async fn a_dry_run_judges_as_the_real_run_and_records_nothing() {
    let server = Server::start().await;
    let key = server.admin().await;
    let dry = format!("{PATH}?dry_run=true");
    send(&server, &key, PATH, json!([row(1, &contacted("1", "c-1"))])).await;
    let mut other = contacted("1", "c-1");
    other["data"]["outcome"] = json!("no_answer");
    let mut twin = contacted("5", "c-5");
    twin["data"]["outcome"] = json!("no_answer");
    let rows = json!([
        row(1, &contacted("1", "c-1")),
        row(2, &other),
        table_row(3, &[contacted("3", "c-3"), contacted("4", "_")]),
        row(4, &contacted("5", "c-5")),
        row(5, &twin),
        {"line": 6, "raw": "x", "fault": {"rule": "columns"}},
        row(7, &contacted("7", "c-7")),
    ]);
    let head = server.app.log.head().await.unwrap();
    let (would, told) = send(&server, &key, &dry, rows.clone()).await;
    assert_eq!((server.app.log.head().await.unwrap(), kept(&server).await), (head, 0));
    let (did, done) = send(&server, &key, PATH, rows).await;
    assert_eq!((would, did), ([2, 1, 4], [2, 1, 4]), "{told} {done}");
    let lines = |it: &Value| -> Vec<u64> {
        it["items"].as_array().unwrap().iter().map(|it| it["line"].as_u64().unwrap()).collect()
    };
    assert_eq!((lines(&told), lines(&done)), (vec![2, 3, 5, 6], vec![2, 3, 5, 6]));
}

#[tokio::test]
async fn a_kept_row_is_released_by_the_row_that_is_recorded_in_its_place() {
    let server = Server::start().await;
    let key = server.admin().await;
    let fault = |line: u64, id: Option<&str>| {
        let event = id.map(|id| json!({"source": contacted("x", "c-1")["source"], "id": id}));
        json!({"line": line, "raw": format!("bad {line}"), "fault": {"rule": "not_date", "event": event}})
    };
    let first = json!([
        table_row(2, &[contacted("2", "c-2")]),
        fault(3, None),
        fault(4, Some("4")),
        table_row(5, &[contacted("5", "_")]),
        fault(6, None),
    ]);
    assert_eq!(send(&server, &key, PATH, first).await.0, [1, 0, 4]);
    // The row of line 3 was taken out, so those after it have moved up: the one that stands in its
    // place is known already or has another identity of its own, and proves nothing about it.
    let moved = json!([table_row(3, &[contacted("2", "c-2")])]);
    assert_eq!(send(&server, &key, PATH, moved).await.0, [0, 1, 0]);
    assert_eq!(states(&server).await, ["open", "open", "open", "open"]);
    // Corrected: by its line, and by the id that it had, wherever it stands now.
    let corrected = json!([
        table_row(3, &[contacted("3", "c-3")]),
        table_row(14, &[contacted("4", "c-4")]),
        table_row(15, &[contacted("5", "c-5")]),
    ]);
    assert_eq!(send(&server, &key, PATH, corrected.clone()).await.0, [3, 0, 0]);
    assert_eq!(states(&server).await, ["released", "released", "released", "open"]);
    assert_eq!(send(&server, &key, PATH, corrected).await.0, [0, 3, 0]);
    assert_eq!(states(&server).await, ["released", "released", "released", "open"]);
}

#[tokio::test]
async fn an_import_may_ask_which_log_it_would_write_to() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let answer = server.ask("GET", PATH, &admin, None).await;
    assert_eq!((answer.status, &answer.body["tenant"]), (200, &json!("main")));
    assert_eq!(answer.body["log_id"], server.app.log_id.as_str());
    let publisher = server.key("main", Scopes::set("publisher").unwrap()).await;
    assert_eq!(server.ask("GET", PATH, &publisher, None).await.status, 403);
}

#[tokio::test]
async fn an_import_is_said_to_have_ended_by_who_may_import() {
    let server = Server::start().await;
    let key = server.admin().await;
    let ended = server.ask("POST", "/v1/events/import/end", &key, Some(&json!({}))).await;
    assert_eq!((ended.status, &ended.body["position"]), (200, &json!(0)), "{}", ended.body);
    assert!(ended.body["ended_at"].is_string(), "{}", ended.body);
    let odd = server.ask("POST", "/v1/events/import/end", &key, Some(&json!({"file": "a"}))).await;
    assert_eq!(odd.status, 422, "{}", odd.body);
}
