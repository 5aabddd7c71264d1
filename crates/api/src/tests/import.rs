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
    assert_eq!(counts(&first.body), [json!(2), json!(0), json!(4)], "{}", first.body);
    let told: Vec<(u64, &str)> = first.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["line"].as_u64().unwrap(), it["code"].as_str().unwrap()))
        .collect();
    let wanted = [(2, "schema_invalid"), (3, "bad_id"), (4, "utf8_invalid"), (5, "specversion")];
    assert_eq!(told, wanted, "{}", first.body);

    let again = server.ask("POST", PATH, &key, Some(&sheet)).await;
    assert_eq!(counts(&again.body), [json!(0), json!(2), json!(4)], "{}", again.body);
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
