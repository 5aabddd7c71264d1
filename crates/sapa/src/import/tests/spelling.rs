//! Numbers and times as a map declares them: read as declared, or refused, and never guessed.

use std::io::Cursor;

use serde_json::{Value, json};

use super::super::{FileError, Item, Map, Plan, Reader};

/// A map over the columns `amount,when,text`, with more in its source and its values.
fn map(source: &str, values: &str, data: &str) -> String {
    format!(
        "[source]\nsource = \"/import/x\"\ncolumns = [\"amount\", \"when\", \"text\"]\n\
         delimiter = \"|\"\nzone = \"Asia/Jakarta\"\n{source}\n\
         [values]\nat = {{ instant = [\"2024-01-01\", \"12:00\"] }}\n{values}\n\
         [[event]]\ntype = \"sapa.interaction.noted.v1\"\nid = \"{{row}}\"\ntime = \"{{at}}\"\n\
         actor = \"customer\"\ndata = {{ {data} }}\n"
    )
}

fn items(map: &str, rows: &str) -> Vec<Item> {
    let plan = Plan::Mapped(Box::new(Map::parse("x.toml", map).unwrap()));
    let file = Box::new(Cursor::new(rows.as_bytes().to_vec()));
    Reader::from_input("x.csv", file, plan, 0).unwrap().map(Result::unwrap).collect()
}

/// The member `x` of the data of every row, or the rule that the row breaks.
fn x_of(map: &str, rows: &str) -> Vec<Value> {
    items(map, rows)
        .into_iter()
        .map(|item| match item.outcome {
            Ok(event) => serde_json::from_slice::<Value>(&event).unwrap()["data"]["x"].clone(),
            Err(error) => json!(error.rule),
        })
        .collect()
}

const ROWS: &str = "150.000||\n1.250.000,00||\n1,250,000.00||\n2.000||\n";

#[test]
fn money_and_whole_numbers_are_right_or_refused_under_every_declaration() {
    let money = r#"x = { money = ["{amount}"], currency = "IDR" }"#;
    let whole = r#"x = { integer = "{amount}" }"#;
    let amount = |number: u64| json!({"amount": number, "currency": "IDR"});
    let (no, open) = (json!("not_number"), json!("number_form"));
    let read = |source: &str, values: &str| x_of(&map(source, values, "x = \"{x}\""), ROWS);

    let indonesian = "decimal = \",\"\nthousands = \".\"";
    let wanted = [amount(150_000), amount(1_250_000), no.clone(), amount(2_000)];
    assert_eq!(read(indonesian, money), wanted);
    assert_eq!(
        read(indonesian, whole),
        [json!(150_000), json!(1_250_000), json!("not_integer"), json!(2_000)]
    );

    let english = "decimal = \".\"\nthousands = \",\"";
    let wanted = [amount(150), no.clone(), amount(1_250_000), amount(2)];
    assert_eq!(read(english, money), wanted);

    let plain = "decimal = \".\"";
    assert_eq!(read(plain, money), [amount(150), no.clone(), no.clone(), amount(2)]);

    // Nothing is declared: what has two meanings is refused, and so is what nobody declared.
    assert_eq!(read("", money), [open.clone(), no.clone(), no, open.clone()]);
    assert_eq!(
        read("", whole),
        [open.clone(), json!("not_integer"), json!("not_integer"), open.clone()]
    );
    // One value may have a form of its own.
    let own = r#"x = { number = "{amount}", decimal = ",", thousands = "." }"#;
    assert_eq!(
        read("", own),
        [json!(150_000), json!(1_250_000.00), json!("not_number"), json!(2_000)]
    );
    let ordered = r#"x = { if = "{amount} > 1000", then = "more", else = "less" }"#;
    assert_eq!(read("", ordered)[0], open);
    assert_eq!(read(indonesian, ordered)[0], "more");
    assert_eq!(read(plain, ordered)[0], "less");
}

#[test]
fn a_map_that_leaves_numbers_open_is_refused_before_the_first_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.csv");
    let money = r#"x = { money = ["{amount}"], currency = "IDR" }"#;
    let open = |source: &str, rows: &str| {
        std::fs::write(&path, rows).unwrap();
        let map = Map::parse("x.toml", &map(source, money, "x = \"{x}\"")).unwrap();
        Reader::open(&path, Plan::Mapped(Box::new(map)), 0)
    };
    let refused = open("", "12||\n150.000|a|b\n").unwrap_err();
    let FileError::Refused { line, rule, remedy, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*line, 2);
    assert!(rule.contains("`150.000` can be 150000 or 150"), "{rule}");
    assert!(
        remedy.contains("decimal = \",\"") && remedy.contains("150.000,a,b\n^^^^^^^"),
        "{remedy}"
    );
    // Without a number that has two meanings the file goes through.
    assert_eq!(open("", "12||\n12.5||\n").unwrap().count(), 2);
    assert_eq!(open("decimal = \".\"", "12||\n150.000||\n").unwrap().count(), 2);
    // Standard input cannot be read twice.
    let map = Map::parse("x.toml", &map("", money, "x = \"{x}\"")).unwrap();
    let refused = Reader::open(std::path::Path::new("-"), Plan::Mapped(Box::new(map)), 0);
    assert!(refused.unwrap_err().to_string().contains("does not say how numbers are written"));
}

fn times(source: &str, values: &str, rows: &[&str]) -> Vec<Value> {
    let rows: String = rows.iter().flat_map(|it| ["|", it, "|\n"]).collect();
    x_of(&map(source, values, "x = \"{x}\""), &rows)
}

#[test]
fn a_date_is_read_in_its_declared_form_and_in_no_other() {
    let date = r#"x = { date = "{when}" }"#;
    let rows = ["03/07/2024", "3/7/2024", "2024-07-03", "31/02/2024", "07/2024", "03-07-2024"];
    let (good, bad) = (json!("2024-07-03"), json!("not_date"));
    assert_eq!(
        times("dates = \"dd/mm/yyyy\"", date, &rows),
        [good.clone(), good.clone(), good.clone(), bad.clone(), bad.clone(), bad.clone()]
    );
    let undeclared =
        [bad.clone(), bad.clone(), good.clone(), bad.clone(), bad.clone(), bad.clone()];
    assert_eq!(times("", date, &rows), undeclared);
    let named = r#"x = { date = "{when}", form = "dd month yyyy" }"#;
    assert_eq!(
        times("", named, &["3 Juli 2024", "3 Jul. 2024", "03 july 2024", "3 Juno 2024"]),
        [good.clone(), good.clone(), good.clone(), bad.clone()]
    );
    let tight = r#"x = { date = "{when}", form = "ddmmyy" }"#;
    assert_eq!(times("", tight, &["030724", "3724"]), [good, bad]);
    // Two forms that disagree decide nothing.
    let both = "dates = [\"dd/mm/yyyy\", \"mm/dd/yyyy\"]";
    assert_eq!(
        times(both, date, &["03/07/2024", "31/07/2024", "07/07/2024"]),
        [json!("date_form"), json!("2024-07-31"), json!("2024-07-07")]
    );
}

#[test]
fn an_instant_is_read_from_epochs_zones_and_hours_with_points() {
    let at = r#"x = { instant = "{when}" }"#;
    // The three forms of time in one webhook of Chatwoot.
    let forms = "instants = [\"epoch\", \"yyyy-mm-dd hh:mm:ss zone\"]";
    assert_eq!(
        times(forms, at, &["1583240758", "1583240758.25", "2020-03-03 13:05:57 UTC", "yesterday"]),
        [
            json!("2020-03-03T20:05:58+07:00"),
            json!("2020-03-03T20:05:58.25+07:00"),
            json!("2020-03-03T20:05:57+07:00"),
            json!("not_instant"),
        ]
    );
    let milliseconds = "instants = \"epoch_ms\"";
    assert_eq!(times(milliseconds, at, &["1583240758250"]), ["2020-03-03T20:05:58.25+07:00"]);
    let zones = "instants = \"dd/mm/yyyy hh.mm zone\"\nzones = { WITA = \"Asia/Makassar\" }";
    assert_eq!(
        times(
            zones,
            at,
            &["03/07/2024 14.05 WITA", "03/07/2024 14.05 +0900", "03/07/2024 14.05 WIB"]
        ),
        [
            json!("2024-07-03T13:05:00+07:00"),
            json!("2024-07-03T12:05:00+07:00"),
            json!("not_instant")
        ]
    );
    let half = "instants = \"mm/dd/yy, hh:mm ap\"";
    assert_eq!(
        times(half, at, &["7/3/24, 2:05\u{202f}PM", "7/3/24, 12:05 am", "7/3/24, 14:05 PM"]),
        [
            json!("2024-07-03T14:05:00+07:00"),
            json!("2024-07-03T00:05:00+07:00"),
            json!("not_instant")
        ]
    );
    // The day of a timestamp, and a time plus an interval.
    let day = "when_at = { instant = \"{when}\" }\nx = { date = \"{when_at}\" }";
    assert_eq!(times("", day, &["2024-07-03T22:30:00Z"]), ["2024-07-04"]);
    let later = "start = { instant = \"{when}\" }\nx = { plus = [\"{start}\", \"{text}\"], unit = \"minutes\" }";
    let rows = "|2024-07-03 22:30:00|90\n|2024-07-03 22:30:00|soon\n";
    assert_eq!(
        x_of(&map("decimal = \".\"", later, "x = \"{x}\""), rows),
        [json!("2024-07-04T00:00:00+07:00"), json!("not_integer")]
    );
}

#[test]
fn texts_are_cut_hashed_and_made_slugs() {
    let values = r#"
        a = { slug = "{text}" }
        b = { cut = "{text}", chars = 4 }
        c = { extract = "{text}", pattern = '([0-9]+)$' }
        d = { hash = "{text}" }
        e = { hash = "{text}", key = "k" }
        f = { phone = "{amount}", country = "62" }
    "#;
    let data = "x = [\"{a}\", \"{b}\", \"{c}\", \"{d}\", \"{e}\", \"{f}\"]";
    let x = x_of(&map("", values, data), "0812-345-6789||Aula Taman 12\n|| Café\n");
    let plain: Vec<&Value> = [0, 1, 2, 5].iter().map(|at| &x[0][*at]).collect();
    assert_eq!(plain, ["aula-taman-12", "Aula", "12", "+628123456789"]);
    assert!(x[0][3] != x[0][4] && x[0][3].as_str().is_some_and(|it| it.len() == 20));
    assert_eq!((x[1].as_array().unwrap().len(), &x[1][0]), (4, &json!("cafe")));
}

#[test]
fn a_file_without_a_header_may_lack_its_last_columns_and_begin_after_some_lines() {
    let map = r#"
        source = { source = "/x", columns = ["id", "note?"], skip = 2, encoding = "latin-1" }
        values = { at = { instant = ["2024-01-01", "12:00"] } }
        [[event]]
        type = "sapa.interaction.noted.v1"
        id = "{id}"
        time = "{at}"
        actor = "customer"
        data = { x = "{note}" }
    "#;
    let plan = || Plan::Mapped(Box::new(Map::parse("x.toml", map).unwrap()));
    let file = Box::new(Cursor::new(b"Report\n\n1,caf\xe9\n2\n3,a,b\n".to_vec()));
    let rows: Vec<Result<Value, &str>> = Reader::from_input("x.csv", file, plan(), 0)
        .unwrap()
        .map(|item| match item.unwrap().outcome {
            Ok(event) => Ok(serde_json::from_slice::<Value>(&event).unwrap()["data"].clone()),
            Err(error) => Err(error.rule),
        })
        .collect();
    assert_eq!(rows, [Ok(json!({"x": "café"})), Ok(json!({})), Err("columns")]);
}

#[test]
fn mistakes_in_the_spelling_of_a_map_have_a_remedy() {
    for (source, values, said) in [
        ("decimal = \";\"", "", "write \".\" or \",\""),
        ("thousands = \".\"", "", "`decimal` is missing"),
        ("decimal = \".\"\nthousands = \".\"", "", "the same separator"),
        ("dates = \"dd/mm\"", "", "it needs a year, a month and a day"),
        ("dates = \"dd/mm/jjjj\"", "", "`j` in `dd/mm/jjjj` is no part of a date"),
        ("dates = \"dd/dd/yyyy\"", "", "twice"),
        ("times = \"hh\"", "", "it needs hours and minutes"),
        ("zones = { WIB = \"Java\" }", "", "`Java` is not a time zone"),
        ("encoding = \"ebcdic\"", "", "`utf-8`, `latin-1`"),
        ("rows = ['x']", "", "has no `rows`"),
        ("format = \"xlsx\"", "", "`csv`, `text`, `ics`"),
        ("", "x = { extract = \"{text}\", pattern = '(' }", "not a regular expression"),
        ("", "x = { plus = [\"{at}\", 1], unit = \"weeks\" }", "no unit `weeks`"),
        ("", "x = { cut = \"{text}\", chars = 0 }", "not a number of characters"),
        ("", "x = { phone = \"{text}\", country = \"ID\" }", "write digits"),
        ("", "x = { hash = \"{text}\", key = \"{when}\" }", "name a setting"),
    ] {
        let text = map(source, values, "y = 1");
        let error = Map::parse("x.toml", &text).unwrap_err().to_string();
        assert!(error.contains(said), "{source}{values}: {error}");
    }
}

#[test]
fn a_setting_is_given_or_has_a_default_or_is_asked_for() {
    let map = r#"
        source = { source = "/import/{venue}", columns = ["id"] }
        settings = { venue = { about = "the hall" }, staff = { about = "who", default = "staff/desk" } }
        values = { at = { instant = ["2024-01-01", "12:00"] } }
        [[event]]
        type = "sapa.interaction.noted.v1"
        id = "{venue}-{id}"
        time = "{at}"
        actor = "{staff}"
        data = { venue = "{venue}" }
    "#;
    let load = |set: &[(&str, &str)]| {
        let set: Vec<_> = set.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Map::parse_with("x.toml", map, &set)
    };
    assert_eq!(load(&[("venue", "taman")]).unwrap().source(), "/import/taman");
    let error = load(&[]).unwrap_err().to_string();
    assert!(error.contains("add --set venue=…: the hall"), "{error}");
    let error = load(&[("venu", "taman")]).unwrap_err().to_string();
    assert!(error.contains("did you mean `venue`?"), "{error}");
    // What is set is a text, whatever braces stand in it.
    assert_eq!(load(&[("venue", "{id}")]).unwrap().source(), "/import/{id}");
}
