//! The promises of the import: same file, same events; a bad row costs one row; a bad map is told.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::checkpoint::{self, Fingerprint, Reached, Undertaking};
use super::shipped::SHIPPED;
use super::{FileError, Item, LINE_BYTES_MAX, Map, MapError, Plan, Reader, RowError};

mod reference;
mod shipped_maps;
mod spelling;

/// The hotel's bookings lie in this repository.
fn hotel_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/hotel_h1")
}

/// Data sets without a licence lie beside the repository, or nowhere.
fn beside(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SAPA_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    Some(root.join(file)).filter(|path| path.exists())
}

/// Says that a data set is not there. Past the test harness, which swallows what `eprintln!` prints.
fn absent(data_set: &str) {
    writeln!(std::io::stderr(), "absent: {data_set}").unwrap();
}

fn csv(map: &str) -> Plan {
    Plan::Mapped(Box::new(Map::load(map, &[]).unwrap()))
}

fn events(reader: Reader) -> Vec<Value> {
    reader.map(|item| serde_json::from_slice(&item.unwrap().outcome.unwrap()).unwrap()).collect()
}

fn counts(events: &[Value]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn expected(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A small map over the columns `id,day,price,name`.
const SHOP: &str = r#"
[source]
source = "/import/shop"
nulls = ["", "NULL"]
zone = "Asia/Jakarta"
personal = ["name"]

[values]
date = { date = "{day}" }
at = { instant = ["{date}", "12:00"] }
amount = { money = ["{price}"], currency = "EUR" }
number = { nth = "{id}" }

[[event]]
type = "sapa.purchase.recorded.v1"
id = "{id}-{number:02}"
subject = "c-{id}"
time = "{at}"
actor = "customer"
data = { purchase = "p-{row}", kind = "sale", amount = "{amount}", note = { by = "{name}" } }
"#;

const HEADER: &str = "id,day,price,name\n";

fn shop() -> Plan {
    Plan::Mapped(Box::new(Map::parse("shop.toml", SHOP).unwrap()))
}

fn items(rows: &str, start_after_row: u64) -> Vec<Item> {
    let file = Cursor::new(format!("{HEADER}{rows}").into_bytes());
    let reader = Reader::from_input("shop.csv", Box::new(file), shop(), start_after_row).unwrap();
    reader.map(Result::unwrap).collect()
}

fn id(item: &Item) -> String {
    let event: Value = serde_json::from_slice(item.outcome.as_ref().unwrap()).unwrap();
    event["id"].as_str().unwrap().to_owned()
}

fn error(item: &Item) -> &RowError {
    item.outcome.as_ref().unwrap_err()
}

fn map_error(text: &str) -> MapError {
    Map::parse("bad.toml", text).unwrap_err()
}

#[test]
fn the_hotel_gives_the_events_of_the_sample_and_the_expected_totals() {
    let folder = hotel_folder();
    let reader = Reader::open(&folder.join("hotel_h1.csv.gz"), csv("hotel"), 0).unwrap();
    let events = events(reader);

    let expected = expected(&folder.join("expected.json"));
    assert_eq!(expected["events"], events.len());
    assert_eq!(expected["events_under_the_mapping"], json!(counts(&events)));

    let made: BTreeMap<&str, &Value> =
        events.iter().map(|event| (event["id"].as_str().unwrap(), event)).collect();
    assert_eq!(made.len(), events.len(), "ids are unique");
    let sample = std::fs::read_to_string(folder.join("sample.jsonl")).unwrap();
    for line in sample.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(&&event, &made[event["id"].as_str().unwrap()]);
    }

    let with = |pointer: &str, value: Value| {
        events.iter().filter(|event| event.pointer(pointer) == Some(&value)).count()
    };
    assert_eq!(expected["no_show"], with("/data/no_show", json!(true)));
    assert_eq!(expected["checked_out_room_not_as_reserved"], with("/data/quality", json!("below")));
    let revenue: i64 = events
        .iter()
        .filter(|event| event["type"] == "sapa.purchase.recorded.v1")
        .map(|event| {
            let amount = event["data"]["amount"]["amount"].as_i64().unwrap();
            assert!(amount >= 0);
            if event["data"]["kind"] == "return" { -amount } else { amount }
        })
        .sum();
    assert_eq!(expected["revenue_of_checked_out_minor"], revenue);

    let negative = made["h1-014970-requested"];
    assert_eq!(negative["data"].get("price"), None, "a negative price is left out");
    assert_eq!(made["h1-014970-purchased"]["data"]["kind"], "return");
    assert_eq!(made["h1-014970-purchased"]["data"]["amount"]["amount"], 6380);
}

#[test]
fn the_sample_is_made_letter_by_letter() {
    let folder = hotel_folder();
    let sample = std::fs::read_to_string(folder.join("sample.jsonl")).unwrap();
    let made: std::collections::HashSet<Vec<u8>> =
        Reader::open(&folder.join("hotel_h1.csv.gz"), csv("hotel"), 0)
            .unwrap()
            .take_while(|item| item.as_ref().is_ok_and(|item| item.row <= 3681))
            .map(|item| item.unwrap().outcome.unwrap())
            .collect();
    for line in sample.lines() {
        assert!(made.contains(line.as_bytes()), "{line}");
    }
}

#[test]
fn the_events_of_one_booking_are_in_order_of_time() {
    let reader = Reader::open(&hotel_folder().join("hotel_h1.csv.gz"), csv("hotel"), 0).unwrap();
    let mut last: (u64, String) = (0, String::new());
    for item in reader {
        let item = item.unwrap();
        let event: Value = serde_json::from_slice(&item.outcome.unwrap()).unwrap();
        let time = event["time"].as_str().unwrap().to_owned();
        assert!(item.row != last.0 || time >= last.1, "{}", event["id"]);
        last = (item.row, time);
    }
}

#[test]
fn the_record_shop_numbers_the_purchases_of_each_customer() {
    let (Some(file), Some(totals), Some(sample)) = (
        beside("cdnow_sample/CDNOW_sample.txt"),
        beside("cdnow_sample/expected.json"),
        beside("examples/cdnow_sample.jsonl"),
    ) else {
        return absent("cdnow_sample");
    };
    let events = events(Reader::open(&file, csv("cdnow"), 0).unwrap());
    assert_eq!(expected(&totals)["events_under_the_mapping"], json!(counts(&events)));
    let made: BTreeMap<&str, &Value> =
        events.iter().map(|event| (event["id"].as_str().unwrap(), event)).collect();
    assert_eq!(made.len(), events.len(), "ids are unique");
    for line in std::fs::read_to_string(sample).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let id = event["id"].as_str().unwrap();
        // The sample has every purchase at noon; the map adds the second that keeps their order.
        let number: u32 = id.rsplit('-').next().unwrap().parse().unwrap();
        let mut same = made[id].clone();
        let time = same["time"].as_str().unwrap().to_owned();
        assert!(time.ends_with(&format!("T12:{:02}:{:02}Z", number / 60, number % 60)), "{time}");
        same["time"] = event["time"].clone();
        assert_eq!(event, same);
    }
    let dollars: i64 = events.iter().map(|e| e["data"]["amount"]["amount"].as_i64().unwrap()).sum();
    assert_eq!(expected(&totals)["amount_minor"], dollars);
}

#[test]
fn equal_rows_stay_two_facts() {
    let items = items("7,2020-01-02,1.5,Ida\n7,2020-01-02,1.5,Ida\n", 0);
    assert_eq!(items.iter().map(id).collect::<Vec<_>>(), ["7-01", "7-02"]);
    assert_eq!(
        serde_json::from_slice::<Value>(items[0].outcome.as_ref().unwrap()).unwrap(),
        json!({
            "specversion": "1.0", "id": "7-01", "source": "/import/shop",
            "type": "sapa.purchase.recorded.v1", "subject": "c-7",
            "time": "2020-01-02T12:00:00+07:00", "actor": "customer", "actorkind": "customer",
            "imported": true, "datacontenttype": "application/json",
            "data": {
                "purchase": "p-1", "kind": "sale",
                "amount": { "amount": 150, "currency": "EUR" }, "note": { "by": "Ida" },
            },
        })
    );
}

#[test]
fn what_is_nothing_is_left_out_and_an_object_of_nothing_too() {
    let items = items("7,2020-01-02,NULL,\n", 0);
    let event: Value = serde_json::from_slice(items[0].outcome.as_ref().unwrap()).unwrap();
    assert_eq!(event["data"], json!({ "purchase": "p-1", "kind": "sale" }));
}

#[test]
fn a_bad_row_costs_one_row_and_the_rest_goes_on() {
    let rows = "1,2020-01-02,1,a\n2,2020-13-02,1,b\n3,2020-01-02,1\n\n4,2020-01-02,0.005,d\n5,2020-01-02,5,e\n";
    let items = items(rows, 0);
    assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [2, 3, 4, 6, 7]);
    assert_eq!(items.iter().map(|item| item.row).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(error(&items[1]).rule, "not_date");
    assert_eq!(error(&items[1]).column.as_deref(), Some("day"));
    assert_eq!(error(&items[1]).excerpt, "2,2020-13-02,1,***\n  ^^^^^^^^^^");
    assert_eq!(error(&items[2]).rule, "columns");
    assert_eq!(error(&items[2]).raw, b"3,2020-01-02,1");
    assert_eq!(error(&items[3]).rule, "not_money");
    assert_eq!(id(&items[4]), "5-01");
}

#[test]
fn a_row_that_lacks_the_time_is_told_and_not_sent() {
    let items = items("1,,1,a\n", 0);
    assert_eq!(error(&items[0]).rule, "missing");
    assert!(error(&items[0]).detail.contains("`time`"));
}

#[test]
fn a_stray_quote_costs_the_line_it_stands_in() {
    let items = items("1,2020-01-02,1,\"a\n2,2020-01-02,1,\"b\"\n3,2020-01-02,1,c\n", 0);
    assert_eq!(error(&items[0]).rule, "quotes");
    assert_eq!(items[1..].iter().map(id).collect::<Vec<_>>(), ["2-01", "3-01"]);
    assert_eq!(items[1..].iter().map(|item| item.row).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_quote_that_never_closes_costs_one_line_at_the_end_of_the_file() {
    let items = items("1,2020-01-02,1,\"a\n2,2020-01-02,1,b\n", 0);
    assert_eq!(error(&items[0]).rule, "quotes");
    assert_eq!(id(&items[1]), "2-01");
}

#[test]
fn a_quoted_field_may_hold_delimiters_quotes_and_lines() {
    let items = items("1,2020-01-02,1,\"a, \"\"b\"\"\nc\"\r\n2,2020-01-02,1,5\" pipe\r\n", 0);
    let event: Value = serde_json::from_slice(items[0].outcome.as_ref().unwrap()).unwrap();
    assert_eq!(event["data"]["note"]["by"], "a, \"b\"\nc");
    let event: Value = serde_json::from_slice(items[1].outcome.as_ref().unwrap()).unwrap();
    assert_eq!(event["data"]["note"]["by"], "5\" pipe");
    assert_eq!((items[1].line, items[1].row), (4, 2));
}

#[test]
fn text_that_is_not_utf_8_is_a_bad_row() {
    let mut file = HEADER.as_bytes().to_vec();
    file.extend_from_slice(b"1,2020-01-02,1,\xff\n2,2020-01-02,1,b\n");
    let reader = Reader::from_input("shop.csv", Box::new(Cursor::new(file)), shop(), 0).unwrap();
    let items: Vec<Item> = reader.map(Result::unwrap).collect();
    assert_eq!(error(&items[0]).rule, "encoding");
    assert_eq!(id(&items[1]), "2-01");
}

#[test]
fn personal_texts_stand_in_no_fault() {
    let map = SHOP.replace("\"{price}\"", "\"{name}\"");
    let plan = Plan::Mapped(Box::new(Map::parse("shop.toml", &map).unwrap()));
    let file = Cursor::new("id,day,price,name\n1,2020-01-02,1,Ida Ayu\n");
    let item = Reader::from_input("shop.csv", Box::new(file), plan, 0).unwrap().next();
    let item = item.unwrap().unwrap();
    assert_eq!(error(&item).rule, "not_number");
    assert!(!error(&item).to_string().contains("Ida"), "{}", error(&item));
}

#[test]
fn beginning_after_a_row_gives_what_the_whole_file_gives_from_there() {
    let rows =
        "7,2020-01-02,1,a\n8,2020-01-02,1,b\n7,2020-01-03,1,c\n7,bad,1,d\n7,2020-01-04,1,e\n";
    let whole = items(rows, 0);
    for start in 0..=5 {
        let rest = items(rows, start);
        let tail: Vec<&Item> = whole.iter().filter(|item| item.row > start).collect();
        assert_eq!(rest.iter().collect::<Vec<_>>(), tail);
    }
}

#[test]
fn the_last_event_of_a_row_says_so() {
    let reader = Reader::open(&hotel_folder().join("hotel_h1.csv.gz"), csv("hotel"), 8).unwrap();
    let first: Vec<(u64, bool)> =
        reader.take(4).map(|item| item.map(|item| (item.row, item.last_of_row)).unwrap()).collect();
    assert_eq!(first, [(9, false), (9, false), (9, true), (10, false)]);
}

#[test]
fn lines_of_json_pass_as_they_are() {
    let text = "\u{feff}{\"id\": 1}\r\n\n  {broken\n{\"id\":2}";
    let file = Cursor::new(text.as_bytes().to_vec());
    let reader = Reader::from_input("-", Box::new(file), Plan::JsonLines, 0).unwrap();
    let items: Vec<Item> = reader.map(Result::unwrap).collect();
    let lines: Vec<(u64, u64, &[u8])> = items
        .iter()
        .map(|item| (item.line, item.row, item.outcome.as_ref().unwrap().as_slice()))
        .collect();
    let wanted: [(u64, u64, &[u8]); 3] =
        [(1, 1, b"{\"id\": 1}"), (3, 2, b"{broken"), (4, 3, b"{\"id\":2}")];
    assert_eq!(lines, wanted);
}

#[test]
fn a_line_without_end_is_told_and_not_kept() {
    let text = format!("{}\n{{}}\n", "x".repeat(3 * LINE_BYTES_MAX));
    let file = Box::new(Cursor::new(text.into_bytes()));
    let items: Vec<Item> =
        Reader::from_input("-", file, Plan::JsonLines, 0).unwrap().map(Result::unwrap).collect();
    assert_eq!(error(&items[0]).rule, "too_long");
    assert_eq!(error(&items[0]).raw.len(), LINE_BYTES_MAX);
    assert_eq!(items[1].outcome.as_deref(), Ok(b"{}".as_slice()));
}

#[test]
fn a_gzipped_file_cut_short_ends_with_an_error_and_not_in_silence() {
    let whole = std::fs::read(hotel_folder().join("hotel_h1.csv.gz")).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    let reader =
        Reader::from_input("half.csv.gz", Box::new(Cursor::new(half)), csv("hotel"), 0).unwrap();
    let outcomes: Vec<bool> = reader.map(|item| item.is_ok()).collect();
    assert!(outcomes.len() > 1000);
    assert_eq!(outcomes.iter().filter(|ok| !**ok).count(), 1);
    assert_eq!(outcomes.last(), Some(&false));
}

fn refusal(file: &[u8]) -> String {
    let file = Box::new(Cursor::new(file.to_vec()));
    Reader::from_input("shop.csv", file, shop(), 0).unwrap_err().to_string()
}

#[test]
fn a_file_of_another_kind_is_refused_at_once() {
    assert!(refusal(b"PK\x03\x04rest").contains("unpack it"));
    assert!(refusal(b"\xff\xfei\0d\0").contains("save it as UTF-8"));
    assert!(refusal(b"").contains("empty file without a header"));
    let missing = Reader::open(Path::new("no/such/file.csv"), shop(), 0).unwrap_err();
    assert!(matches!(missing, FileError::Unreadable { .. }));
}

#[test]
fn a_column_the_map_misspells_is_found_in_the_header() {
    assert_eq!(
        refusal(b"id,day,prize,name\n"),
        "shop.csv:1: no column `price`, which shop.toml:11 uses in `values.amount.money`; \
         did you mean `prize`?"
    );
    assert!(refusal(b"id,day,price,name,day\n").contains("two columns are called `day`"));
    assert!(refusal(b"id,day,price,name,date\n").contains("give the value another name"));
}

#[test]
fn an_unknown_form_is_told_with_line_key_and_remedy() {
    let error = map_error(&SHOP.replace("{ date = \"{day}\" }", "{ sumx = [\"{day}\"] }"));
    assert_eq!(
        error.to_string(),
        "bad.toml:9: `values.date.sumx`: unknown form `sumx`; did you mean `sum`?"
    );
}

/// A change of [`SHOP`] and a part of what must be said about it.
const MISTAKES: [(&str, &str, &str); 18] = [
    ("[values]", "[valuse]", "did you mean `values`?"),
    ("zone = \"Asia/Jakarta\"", "zone = \"Asia/Jakata\"", "is not a time zone"),
    ("nulls =", "nuls =", "did you mean `nulls`?"),
    ("source = \"/import/shop\"", "", "`source` is missing"),
    ("currency = \"EUR\"", "currency = \"euro\"", "three capital letters"),
    ("currency = \"EUR\"", "curency = \"EUR\"", "did you mean `currency`?"),
    (", currency = \"EUR\"", "", "`currency` is missing"),
    ("{date}", "{amount}", "not defined above this line"),
    ("\"{at}\"", "\"{at\"", "unmatched brace"),
    ("{number:02}", "{number:2}", "is not a width"),
    ("{id}-{number:02}", "x", "every row would get the same id"),
    ("sapa.purchase.recorded.v1", "purchase.recorded", "is not a type"),
    ("actor = \"customer\"", "actr = \"customer\"", "did you mean `actor`?"),
    ("time = \"{at}\"", "", "`time` is missing"),
    ("kind = \"sale\"", "kind = 1.5", "not exact"),
    ("actor = \"customer\"", "actor = \"customer\"\nwhen = \"{price} = 0\"", "not a comparison"),
    ("actor = \"customer\"", "actor = \"customer\"\nwhen = \"1 == 1\"", "the same for every row"),
    ("[[event]]", "[[event]\n", "TOML"),
];

#[test]
fn every_mistake_in_a_map_has_a_remedy() {
    for (from, to, said) in MISTAKES {
        assert!(SHOP.contains(from), "{from}");
        let error = map_error(&SHOP.replacen(from, to, 1)).to_string();
        assert!(error.starts_with("bad.toml:"), "{error}");
        assert!(error.contains(said), "{to}: {error}");
    }
}

#[test]
fn two_events_of_a_map_never_share_an_id() {
    let event = SHOP.find("[[event]]").unwrap();
    let error = map_error(&format!("{SHOP}{}", &SHOP[event..]));
    assert!(error.to_string().contains("another event has the same id"), "{error}");
}

/// The forms that the shipped maps do not use.
const FORMS: &str = r#"
[source]
source = "/import/forms"
columns = ["a", "b", "c"]
delimiter = ";"
nulls = ["-"]
zone = "Europe/Berlin"

[values]
at = { instant = "{a}" }
flag = { boolean = "{b}" }
low = { lower = "{c}" }
some = { first = ["{b}", "{c}"] }
word = { lookup = "{c}", in = { X = "cross", Y = 3 }, else = "other" }
far = { abs = "{b}" }
between = { if = ["{b} >= 2", "{b} != null"], then = true, else = false }

[[event]]
type = "sapa.interaction.noted.v1"
id = "{row}"
time = "{at}"
actor = "staff/dewi"
[event.data]
low = "{low}"
some = "{some}"
word = "{word}"
far = "{far}"
between = "{between}"
braces = "{{{c}}}"
list = ["{b}", "{c}", 1]
"#;

#[test]
fn forms_choose_and_convert() {
    let plan = Plan::Mapped(Box::new(Map::parse("forms.toml", FORMS).unwrap()));
    let rows =
        "2020-07-01 14:00;-3;X\n2020-01-01T23:30:00Z;-;Y\n2020-01-01 10:00:00.5;10;\"Ä;\t\"\n";
    let events = events(Reader::from_input("f", Box::new(Cursor::new(rows)), plan, 0).unwrap());
    assert_eq!(events[0]["time"], "2020-07-01T14:00:00+02:00");
    assert_eq!(events[1]["time"], "2020-01-02T00:30:00+01:00");
    assert_eq!(events[2]["time"], "2020-01-01T10:00:00.5+01:00");
    let data: Vec<&Value> = events.iter().map(|event| &event["data"]).collect();
    assert_eq!(
        data[0],
        &json!({ "low": "x", "some": "-3", "word": "cross", "far": 3, "between": false,
                 "braces": "{X}", "list": ["-3", "X", 1] })
    );
    assert_eq!(
        data[1],
        &json!({ "low": "y", "some": "Y", "word": 3, "between": false, "braces": "{Y}",
                 "list": ["Y", 1] })
    );
    assert_eq!(
        data[2],
        &json!({ "low": "ä;\t", "some": "10", "word": "other", "far": 10, "between": true,
                 "braces": "{Ä;\t}", "list": ["10", "Ä;\t", 1] })
    );
    assert_eq!(events[0]["actorkind"], "staff");
}

#[test]
fn shipped_maps_are_found_by_name() {
    let error = Map::load("hotel_h1", &[]).unwrap_err();
    assert!(error.to_string().contains("`hotel`, `cdnow`"), "{error}");
    for map in SHIPPED {
        assert!(map.title().len() > 20, "{}", map.name);
    }
}

#[test]
fn another_source_or_setting_makes_another_map() {
    let map = Map::load("cdnow", &[]).unwrap();
    let other = map.clone().with_source("/import/other");
    assert_eq!((map.source(), other.source()), ("/import/cdnow", "/import/other"));
    assert_ne!(map.hash(), other.hash());
    let set =
        |venue: &str| Map::load("calendar", &[("venue".to_owned(), venue.to_owned())]).unwrap();
    assert_eq!(set("aula-taman").source(), "/import/calendar/aula-taman");
    assert_ne!(set("aula-taman").hash(), set("aula-sungai").hash());
}

/// What is imported of a file, into the log `l` of the tenant `main`.
fn undertaking(path: &Path) -> Undertaking {
    let (map, log_id, tenant) = ("m".to_owned(), "l".to_owned(), "main".to_owned());
    Undertaking { file: Fingerprint::of(path).unwrap(), map, log_id, tenant }
}

fn reached(row: u64) -> Reached {
    Reached { row, last: None }
}

#[test]
fn progress_is_of_one_file_one_map_one_log_and_one_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.csv");
    std::fs::write(&path, "a,b\n1,2\n").unwrap();
    let own = undertaking(&path);
    let load = |of: &Undertaking| checkpoint::load(folder.path(), of).unwrap().row;
    let store = |row| checkpoint::store(folder.path(), &own, &reached(row)).unwrap();

    assert_eq!(load(&own), 0);
    store(41);
    store(42);
    assert_eq!(load(&own), 42);
    for other in [
        Undertaking { map: "other".to_owned(), ..own.clone() },
        Undertaking { log_id: "other".to_owned(), ..own.clone() },
        Undertaking { tenant: "other".to_owned(), ..own.clone() },
    ] {
        assert_eq!(load(&other), 0);
    }

    // The same size, and the same words but one.
    std::fs::write(&path, "a,b\n1,3\n").unwrap();
    assert_eq!(load(&undertaking(&path)), 0);

    checkpoint::clear(folder.path(), &own).unwrap();
    checkpoint::clear(folder.path(), &own).unwrap();
    assert_eq!(load(&own), 0);
}

#[test]
fn a_damaged_checkpoint_means_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.csv");
    std::fs::write(&path, "a\n").unwrap();
    let own = undertaking(&path);
    checkpoint::store(folder.path(), &own, &reached(7)).unwrap();
    for entry in std::fs::read_dir(folder.path().join("import")).unwrap() {
        std::fs::write(entry.unwrap().path(), "{\"row\":").unwrap();
    }
    assert_eq!(checkpoint::load(folder.path(), &own).unwrap(), Reached::default());
}

#[test]
fn a_reader_can_work_on_another_thread() {
    fn sent<T: Send>(_: &T) {}
    let file = Box::new(Cursor::new(Vec::new()));
    sent(&Reader::from_input("-", file, Plan::JsonLines, 0).unwrap());
}
