//! `sapa event import` against a running service: a bad row is kept in quarantine with its file and
//! line and the rest goes on, a second run is all duplicates, and a run that was killed goes on.

use std::io::Read as _;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::program::Program;
use crate::support::files::root;
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
        let (exit, page, said) =
            self.run(&["quarantine", "list", "--limit", "500", "--json"]).await;
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
    let wanted = json!({"would_record": 2, "would_duplicate": 0, "would_quarantine": 3});
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
    let (exit, would, _) = shop.import(&[&table[..], &["--dry-run"]].concat()).await;
    let wanted = json!({"would_record": 3, "would_duplicate": 2, "would_quarantine": 0});
    assert_eq!((exit, serde_json::from_str(&would).ok()), (Some(0), Some(wanted)));
    let (exit, answer, said) = shop.import(&table).await;
    assert_eq!(answer, r#"{"recorded":3,"duplicates":2,"quarantined":0}"#, "{said}");
    assert_eq!(exit, Some(0), "{said}");
    // Each was released by the row that was recorded in its place.
    let kept = shop.kept().await;
    assert!(kept.iter().all(|it| it["state"] == "released" && it["position"].is_u64()), "{kept:?}");
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

/// So many rows of the hotel's bookings, with their header.
fn bookings(rows: usize) -> Vec<String> {
    let path = root().join("tests/fixtures/hotel_h1/hotel_h1.csv.gz");
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().take(rows + 1).map(str::to_owned).collect()
}

fn count(answer: &str, name: &str) -> u64 {
    serde_json::from_str::<Value>(answer).unwrap()[name].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_in_every_batch_stops_nothing_and_is_released_when_it_is_corrected() {
    const ROWS: usize = 3_000;
    let shop = Shop::open().await;
    let good = bookings(ROWS);
    // A request holds 512 events of 3 to 9 a row: one bad row in 50 is one in every request.
    let mut bad = good.clone();
    let mut spoilt = 0;
    for (index, row) in bad.iter_mut().enumerate().skip(25).step_by(50) {
        let mut fields: Vec<&str> = row.split(',').collect();
        if index % 100 == 25 {
            // The map finds this one, after it has made other events of the row.
            *fields.last_mut().unwrap() = "yesterday";
        } else {
            // And the server this one: a party of more than 100,000.
            fields[9] = "200000";
        }
        *row = fields.join(",");
        spoilt += 1;
    }
    shop.write("hotel.csv", bad.join("\n"));
    let command = ["hotel.csv", "--map", "hotel"];

    let (exit, would, said) = shop.import(&[&command[..], &["--dry-run"]].concat()).await;
    assert_eq!(exit, Some(4), "{said}");
    let (exit, answer, said) = shop.import(&command).await;
    assert_eq!((exit, count(&answer, "quarantined")), (Some(4), spoilt), "{said}");
    assert_eq!(count(&would, "would_record"), count(&answer, "recorded"), "as the dry run said");
    assert_eq!(count(&would, "would_quarantine"), spoilt);
    let recorded = count(&answer, "recorded");

    // Nothing of a bad row is recorded.
    let kept = shop.kept().await;
    assert_eq!(kept.len() as u64, spoilt);
    for it in &kept {
        let line = it["subject"].as_str().unwrap().split_once(':').unwrap().1;
        let row = line.parse::<u64>().unwrap() - 1;
        let id = format!("h1-{row:06}-requested");
        let (exit, receipt, _) =
            shop.run(&["event", "receipt", "/import/hotel-bookings", &id, "--json"]).await;
        let wanted = if receipt.contains("\"quarantined\"") { 4 } else { 3 };
        assert_eq!(exit, Some(wanted), "{receipt}");
    }

    shop.write("hotel.csv", good.join("\n"));
    let (exit, answer, said) = shop.import(&command).await;
    assert_eq!((exit, count(&answer, "quarantined")), (Some(0), 0), "{said}");
    assert_eq!(count(&answer, "duplicates"), recorded);
    assert!(
        2 * spoilt < count(&answer, "recorded"),
        "every corrected row has its events: {answer}"
    );
    let kept = shop.kept().await;
    let open: Vec<&Value> = kept.iter().filter(|it| it["state"] != "released").collect();
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_on_one_server_means_nothing_on_another() {
    let (first, second) = (Shop::open().await, Shop::open().await);
    first.write("many.jsonl", many_lines());
    interrupt(&first.program, &first).await;

    // The same command from the same folder, with the other server's address and key.
    let (answer, said) = import_into(&second, &first.program).await;
    assert!(!said.contains("going on after"), "{said}");
    assert_eq!(count(&answer, "recorded"), MANY, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_starts_again_when_a_restored_log_no_longer_has_its_rows() {
    let (mut server, desk) = (Shop::open().await, Shop::open().await);
    desk.write("many.jsonl", many_lines());
    let backup = server.program.folder().join("before.tar");
    let backup = backup.to_str().unwrap();
    server.program.run(&["backup", backup]).await;
    interrupt(&desk.program, &server).await;
    server.program.stop().await;
    server.program.run(&["restore", backup, "--yes"]).await;
    server.program.start();
    server.program.ready().await;

    let (answer, said) = import_into(&server, &desk.program).await;
    assert!(said.contains("starting again from row 1"), "{said}");
    assert_eq!(count(&answer, "recorded"), MANY, "{said}");
}

/// Events of a file that takes a while.
const MANY: u64 = 20_000;

fn many_lines() -> String {
    let lines: Vec<String> =
        (0..MANY).map(|it| contact(&format!("k-{it}"), "care").to_string()).collect();
    lines.join("\n")
}

/// Begins to import into a server from the folder of a program, and is killed halfway.
async fn interrupt(from: &Program, into: &Shop) {
    let url = into.program.url();
    let mut child = from.spawn(&into.arguments(&url, &["event", "import", "many.jsonl", "--json"]));
    let folder = from.data().join("import");
    // A checkpoint has its name only when it is whole.
    let is_whole = |it: std::fs::DirEntry| it.path().extension().is_some_and(|it| it == "json");
    let begun = async || std::fs::read_dir(&folder).is_ok_and(|it| it.flatten().any(is_whole));
    eventually("a first part is recorded", begun).await;
    child.kill().await.unwrap();
}

/// Imports the same file to its end; the answer, and what was said.
async fn import_into(into: &Shop, from: &Program) -> (String, String) {
    let url = into.program.url();
    let all = into.arguments(&url, &["event", "import", "many.jsonl", "--json"]);
    let Output { stdout, stderr, .. } = from.output(&all).await;
    (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr).into_owned())
}

/// A proxy that takes no body above a limit, as proxies do; it answers with the paths it was asked.
async fn limiting_proxy(server: &str, limit: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = server.trim_start_matches("http://").to_owned();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let _ = pass_one(client, &server, limit, &paths).await;
        }
    });
    (url, asked)
}

/// Passes one request on, and closes.
async fn pass_one(
    mut client: TcpStream,
    server: &str,
    limit: usize,
    paths: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let length = lines
        .filter_map(|it| it.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse::<usize>().unwrap());
    while bytes.len() < head + 4 + length {
        client.read_buf(&mut bytes).await?;
    }
    paths.lock().unwrap().push(first.clone());
    if limit < length {
        let page = "<html><h1>413 Request Entity Too Large</h1></html>";
        let answer = format!(
            "HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/html\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{page}",
            page.len()
        );
        return client.write_all(answer.as_bytes()).await;
    }
    let mut upstream = TcpStream::connect(server).await?;
    upstream.write_all(format!("{first}\r\nConnection: close\r\n").as_bytes()).await?;
    upstream.write_all(&bytes[first.len() + 2..]).await?;
    tokio::io::copy(&mut upstream, &mut client).await?;
    client.shutdown().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_a_proxy_finds_too_large_is_sent_in_halves_and_the_end_is_said() {
    let shop = Shop::open().await;
    let (url, asked) = limiting_proxy(&shop.program.url(), 64 * 1024).await;
    let rows = bookings(400);
    shop.write("hotel.csv", rows.join("\n"));
    // A row that no request takes is kept with its start, and the others go through.
    let mut long = contact("long-1", "care");
    long["data"]["text"] = "x".repeat(70 * 1024).into();
    let lines = [contact("a", "care"), long, contact("b", "care")].map(|it| it.to_string());
    shop.write("long.jsonl", lines.join("\n"));
    let import = async |file: &str, more: &[&str]| {
        let server = ["event", "import", file, "--json", "--server", &url, "--key", &shop.key];
        let all = [&server[..], more];
        let Output { status, stdout, stderr } = shop.program.output(&all.concat()).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (status.code(), text(&stdout), text(&stderr))
    };
    let (exit, answer, said) = import("hotel.csv", &["--map", "hotel"]).await;
    assert_eq!((exit, count(&answer, "quarantined")), (Some(0), 0), "{said}");
    let direct = shop.import(&["hotel.csv", "--map", "hotel"]).await.1;
    assert_eq!(count(&direct, "duplicates"), count(&answer, "recorded"));
    let paths = asked.lock().unwrap().clone();
    assert!(paths.last().unwrap().starts_with("POST /v1/events/import/end"), "{paths:?}");

    let (exit, answer, said) = import("long.jsonl", &[]).await;
    assert_eq!((exit, count(&answer, "recorded")), (Some(4), 2), "{said}");
    assert_eq!(count(&answer, "quarantined"), 1);
    assert_eq!(reasons(&shop.kept().await), [["long.jsonl:2", "too_large", "", "too_long"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_leaves_numbers_open_records_nothing_and_shows_both_readings() {
    let shop = Shop::open().await;
    let map = std::fs::read_to_string(root().join("crates/sapa/maps/spreadsheet_id.toml")).unwrap();
    shop.write("open.toml", map.replace("decimal = \",\"\nthousands = \".\"\n", ""));
    let file = std::fs::read(root().join("tests/fixtures/imports/penjualan.csv")).unwrap();
    shop.write("penjualan.csv", &file);

    let (exit, _, said) = shop.import(&["penjualan.csv", "--map", "open.toml"]).await;
    assert_eq!(exit, Some(4), "{said}");
    for part in
        ["penjualan.csv:3", "column `Total`", "`150.000` can be 150000 or 150", "decimal = "]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (_, listed, _) = shop.run(&["event", "list", "--json"]).await;
    assert!(!listed.contains("sapa.purchase.recorded"), "{listed}");
    assert!(shop.kept().await.is_empty());

    // The shipped map reads it, and its own text is printed to be changed.
    let (exit, answer, said) = shop.import(&["penjualan.csv", "--map", "spreadsheet_id"]).await;
    assert_eq!(answer, r#"{"recorded":3,"duplicates":0,"quarantined":2}"#, "{said}");
    assert_eq!(exit, Some(4));
    let (exit, names, _) = shop.run(&["event", "maps", "--json"]).await;
    assert_eq!(exit, Some(0));
    for name in ["hotel", "cdnow", "spreadsheet_id", "asterisk", "whatsapp", "calendar"] {
        assert!(names.contains(&format!("\"{name}\"")), "{names}");
    }
    let (exit, last, _) = shop.run(&["event", "maps", "hotel"]).await;
    assert_eq!((exit, last.as_str()), (Some(0), "no_show = false"));
}
