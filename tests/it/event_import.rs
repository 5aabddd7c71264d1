//! `sapa event import` against a running service: a bad row is kept in quarantine with its file and
//! line and the rest goes on, a second run is all duplicates, and a run that was killed goes on.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::Program;
use crate::support_nats::eventually;

const MAP: &str = r#"
[source]
source = "/import/shop"
zone = "Asia/Jakarta"
imported = true
personal = ["name"]

[values]
date = { date = "{day}" }
at = { instant = ["{date}", "12:00"] }
amount = { money = ["{price}"], currency = "EUR" }

[[event]]
type = "sapa.purchase.recorded.v1"
id = "shop-{id}"
subject = "c-{id}"
time = "{at}"
actor = "customer"
data = { purchase = "p-{row}", kind = "sale", amount = "{amount}" }
"#;

const TABLE: &str = "id,day,price,name\n\
    1,2024-03-02,10.50,Sari\n\
    2,2024-13-02,1.00,Budi Santoso\n\
    3,2024-03-02,1.00\n\
    a b,2024-03-04,2.00,Dewi\n\
    5,2024-03-05,3.00,Rudi\n";

/// A contact of long ago.
fn contact(id: &str, purpose: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/import/stays", "subject": "c-sari",
        "type": "sapa.interaction.contacted.v1", "time": "2024-03-02T10:00:00+07:00",
        "actor": "staff/rudi", "channel": "phone", "imported": true,
        "data": {"purpose": purpose, "outcome": "reached"},
    })
}

/// The lines of a file, of which four are bad.
fn lines() -> Vec<u8> {
    let mut stranger = contact("s-3", "care");
    stranger["type"] = json!("sapa.booking.dreamt.v1");
    let lines: [Vec<u8>; 6] = [
        contact("s-1", "care").to_string().into(),
        b"{\"id\": broken".to_vec(),
        stranger.to_string().into(),
        contact("s-4", "care").to_string().into(),
        b"{\"id\":\"\xE9\"}".to_vec(),
        contact("s-1", "courtesy").to_string().into(),
    ];
    lines.join(&b'\n')
}

struct Shop {
    program: Program,
    key: String,
}

impl Shop {
    async fn open() -> Self {
        let mut program = Program::new(&[("nats.mode", "off")]);
        program.start();
        program.ready().await;
        let key = program.key();
        std::fs::write(program.folder().join("shop.toml"), MAP).unwrap();
        Self { program, key }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.program.folder().join(name), bytes).unwrap();
    }

    fn arguments<'a>(&'a self, url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut all = more.to_vec();
        all.extend(["--server", url, "--key", &self.key]);
        all
    }

    /// Runs a command and gives its exit code, the last line of its answer, and what it talked.
    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let url = self.program.url();
        let Output { status, stdout, stderr } =
            self.program.output(&self.arguments(&url, arguments)).await;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(stdout), text(stderr));
        (status.code(), out.lines().last().unwrap_or_default().to_owned(), err)
    }

    async fn import(&self, more: &[&str]) -> (Option<i32>, String, String) {
        self.run(&[&["event", "import", "--json"], more].concat()).await
    }

    /// What is in quarantine, by place.
    async fn kept(&self) -> Vec<Value> {
        let (exit, page, said) = self.run(&["quarantine", "list", "--json"]).await;
        assert_eq!(exit, Some(0), "{said}");
        assert!(!page.contains("Budi"), "a list shows what is personal: {page}");
        let page: Value = serde_json::from_str(&page).unwrap();
        let mut items = page["items"].as_array().unwrap().clone();
        items.sort_by_key(|it| it["subject"].to_string());
        items
    }
}

/// Place, code, and the first member or column that is named with its rule.
fn reasons(kept: &[Value]) -> Vec<[&str; 4]> {
    kept.iter()
        .map(|it| {
            ["/subject", "/code", "/errors/0/pointer", "/errors/0/rule"]
                .map(|at| it.pointer(at).and_then(Value::as_str).unwrap_or_default())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_of_a_table_is_kept_with_its_line_and_the_rest_goes_on() {
    let shop = Shop::open().await;
    shop.write("guests.csv", TABLE);
    let table = ["guests.csv", "--map", "shop.toml"];

    let (exit, would, _) = shop.import(&[&table[..], &["--dry-run"]].concat()).await;
    let wanted = json!({"would_record": 3, "would_quarantine": 2});
    assert_eq!((exit, serde_json::from_str(&would).ok()), (Some(4), Some(wanted)));
    assert!(shop.kept().await.is_empty());

    let (exit, answer, said) = shop.import(&table).await;
    assert_eq!(answer, r#"{"recorded":2,"duplicates":0,"quarantined":3}"#, "{said}");
    assert_eq!(exit, Some(4), "{said}");
    for part in ["line 3, column `day`", "line 4: ", "line 5: ", "sapa quarantine list"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("Budi"), "{said}");

    let kept = shop.kept().await;
    let wanted = [
        ["guests.csv:3", "schema_invalid", "day", "not_date"],
        ["guests.csv:4", "schema_invalid", "", "columns"],
        ["guests.csv:5", "bad_id", "/subject", "bad_id"],
    ];
    assert_eq!(reasons(&kept), wanted);
    assert!(kept.iter().all(|it| it["face"] == "import" && it["state"] == "open"));

    let name = kept[0]["quarantine_id"].as_str().unwrap();
    let (exit, shown, _) = shop.run(&["quarantine", "show", name, "--json"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((exit, &shown["payload"]), (Some(0), &json!("2,2024-13-02,1.00,Budi Santoso")));
    assert_eq!(shown["problem"]["line"], 3);
    assert!(shown["problem"]["hint"].as_str().is_some_and(|it| it.contains("import the file")));
    // Only its map makes an event of it, and that is not on the server.
    let (exit, told, _) = shop.run(&["quarantine", "retry", name, "--json"]).await;
    assert_eq!(exit, Some(5), "{told}");

    let (exit, again, _) = shop.import(&table).await;
    assert_eq!(again, r#"{"recorded":0,"duplicates":2,"quarantined":3}"#);
    assert_eq!((exit, shop.kept().await), (Some(4), kept), "the same rows are kept once");

    let right = TABLE.replace("2024-13-02", "2024-03-12").replace("1.00\na b", "1.00,Adi\n4");
    shop.write("guests.csv", right);
    let (exit, answer, said) = shop.import(&table).await;
    assert_eq!(answer, r#"{"recorded":3,"duplicates":2,"quarantined":0}"#, "{said}");
    assert_eq!(exit, Some(0), "{said}");
    let (exit, answer, _) = shop.import(&table).await;
    assert_eq!(
        (exit, answer.as_str()),
        (Some(0), r#"{"recorded":0,"duplicates":5,"quarantined":0}"#)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_of_events_is_kept_as_it_stands_whatever_it_is() {
    let shop = Shop::open().await;
    shop.write("stays.jsonl", lines());
    let (exit, answer, said) = shop.import(&["stays.jsonl"]).await;
    assert_eq!(answer, r#"{"recorded":2,"duplicates":0,"quarantined":4}"#, "{said}");
    assert_eq!(exit, Some(4), "{said}");
    let kept = shop.kept().await;
    let wanted = [
        ["stays.jsonl:2", "json_syntax"],
        ["stays.jsonl:3", "unknown_type"],
        ["stays.jsonl:5", "utf8_invalid"],
        ["stays.jsonl:6", "event_id_conflict"],
    ];
    let found: Vec<[&str; 2]> = reasons(&kept).iter().map(|it| [it[0], it[1]]).collect();
    assert_eq!(found, wanted);
    assert_eq!(
        (&kept[1]["source"], &kept[1]["event_id"]),
        (&json!("/import/stays"), &json!("s-3"))
    );
    let payload = async |at: usize| {
        let name = kept[at]["quarantine_id"].as_str().unwrap();
        shop.run(&["quarantine", "show", name, "--json"]).await.1
    };
    let shown: Value = serde_json::from_str(&payload(0).await).unwrap();
    assert_eq!(shown["payload"], "{\"id\": broken");
    let shown: Value = serde_json::from_str(&payload(2).await).unwrap();
    assert_eq!(shown["payload_base64"], "eyJpZCI6IukifQ==");
    let shown: Value = serde_json::from_str(&payload(3).await).unwrap();
    assert!(shown["problem"]["detail"].as_str().is_some_and(|it| it.contains("/data/purpose")));

    let (exit, again, _) = shop.import(&["stays.jsonl"]).await;
    assert_eq!(again, r#"{"recorded":0,"duplicates":2,"quarantined":4}"#);
    assert_eq!((exit, shop.kept().await.len()), (Some(4), 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_where_it_was() {
    const EVENTS: u64 = 40_000;
    let shop = Shop::open().await;
    let text: Vec<String> =
        (0..EVENTS).map(|it| contact(&format!("k-{it}"), "care").to_string()).collect();
    shop.write("many.jsonl", text.join("\n"));
    let url = shop.program.url();
    let mut child =
        shop.program.spawn(&shop.arguments(&url, &["event", "import", "many.jsonl", "--json"]));
    let folder = shop.program.data().join("import");
    let has_begun = |folder: &Path| {
        let all = std::fs::read_dir(folder).into_iter().flatten().flatten();
        all.map(|it| it.path()).any(|it| it.extension().is_some_and(|it| it == "json"))
    };
    eventually("a first part is recorded", async || has_begun(&folder)).await;
    child.kill().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;

    let (exit, answer, said) = shop.import(&["many.jsonl"]).await;
    assert_eq!(exit, Some(0), "{said}");
    let from = said.split("going on after row ").nth(1).expect("it says where it goes on");
    let from: u64 = from.lines().next().unwrap().trim().parse().unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let count = |name: &str| answer[name].as_u64().unwrap();
    assert!((1..EVENTS).contains(&from), "{from}");
    assert_eq!(count("recorded") + count("duplicates"), EVENTS - from);
    assert!(0 < count("recorded"), "it was killed too late to prove anything");

    let (exit, again, _) = shop.import(&["many.jsonl"]).await;
    let wanted = format!(r#"{{"recorded":0,"duplicates":{EVENTS},"quarantined":0}}"#);
    assert_eq!((exit, again), (Some(0), wanted));
}
