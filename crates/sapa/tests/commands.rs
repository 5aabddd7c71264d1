//! Every command of the tree against a server with data, in every format and both languages: no
//! column that is always empty, no code where a word belongs, no JSON in a cell, no English in
//! Indonesian. A command that is not in the table below fails the test.

#![expect(clippy::indexing_slicing, reason = "a test that finds another answer fails loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use clap::CommandFactory;
use sapa::cli::Cli;
use serde_json::{Value, json};

const SAPA: &str = env!("CARGO_BIN_EXE_sapa");

/// What a command does with the server, and so how often it may run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A list: every column holds something somewhere, except those named.
    List(&'static [&'static str]),
    /// One thing.
    Page,
    /// It changes something and shows what.
    Change,
    /// The same, and a second time it is refused.
    Once,
    /// It is refused with this exit code.
    Refused(i32),
    /// It prints what is for programs, or asks no server; other tests run it.
    Elsewhere,
}
use Kind::{Change, Elsewhere, List, Once, Page, Refused};

/// Path, arguments, kind. `{word}` takes the next of a pool, `{word*}` the first of it.
const COMMANDS: &[(&str, &str, Kind)] = &[
    ("demo", "", Elsewhere),
    ("serve", "", Elsewhere),
    ("migrate", "", Elsewhere),
    ("nats config", "", Elsewhere),
    ("setup", "", Elsewhere),
    ("doctor", "", Elsewhere),
    ("health", "", Elsewhere),
    ("servers list", "", Elsewhere),
    ("servers fetch", "", Elsewhere),
    ("verify", "", Elsewhere),
    ("recover", "", Elsewhere),
    ("backup", "", Elsewhere),
    ("restore", "", Elsewhere),
    (
        "event publish",
        "--type interaction.contacted --customer c-sari --channel phone --actor staff/dewi --data {\"purpose\":\"courtesy\",\"outcome\":\"reached\"}",
        Change,
    ),
    ("event validate", "{event*}", Page),
    ("event get", "1", Page),
    ("event maps", "", Elsewhere),
    ("event list", "--customer c-sari --limit 500", List(&[])),
    ("event tail", "", Elsewhere),
    ("event receipt", "/gate g-1", Page),
    ("event import", "", Elsewhere),
    ("event export", "", Elsewhere),
    ("customer list", "--limit 500", List(&[])),
    ("customer show", "c-sari", Page),
    ("customer timeline", "c-rina --topic interaction --limit 500", List(&[])),
    ("customer assign", "c-sari --owner dewi --team frontdesk", Change),
    ("loyalty show", "c-ratna", Page),
    ("loyalty explain", "c-ratna", Page),
    // The names are put in by the API, which this test does not look into.
    ("loyalty list", "--limit 500", List(&["name", "cause", "owner"])),
    ("neglect show", "c-sari", Page),
    ("neglect list", "--limit 500", List(&["name"])),
    ("worklist show", "--team frontdesk", List(&[])),
    ("worklist next", "--team frontdesk --actor staff/dewi", Change),
    (
        "contact",
        "c-sari --channel phone --purpose courtesy --outcome reached --actor staff/dewi",
        Change,
    ),
    ("plan", "c-sari --at 2030-01-02T10:00:00+07:00 --owner dewi", Change),
    ("complaint list", "", Refused(5)),
    ("complaint show", "k-1", Refused(5)),
    (
        "complaint raise",
        "c-sari --kind service --category noise --text bising --actor staff/dewi",
        Change,
    ),
    (
        "complaint resolve",
        "{complaint*} --remedy minta-maaf --fault ours --actor staff/dewi",
        Change,
    ),
    ("complaint reopen", "{complaint*} --reason masih-bising", Change),
    ("complaint escalate", "{complaint*} --to sri", Change),
    ("promise list", "", List(&[])),
    ("promise show", "{promise*}", Page),
    ("promise make", "{promised*} --actor staff/dewi", Change),
    ("promise settle", "{made} --how released --actor staff/dewi", Change),
    ("promise quote", "price", Page),
    ("alert list", "--state all --limit 500", List(&[])),
    ("alert show", "{alert*}", Page),
    ("alert ack", "{alert} --actor staff/dewi", Change),
    ("alert snooze", "{alert} 2h --reason sibuk --actor staff/dewi", Change),
    ("alert escalate", "{alert} --to sri --actor staff/dewi", Change),
    ("alert tail", "", Elsewhere),
    ("policy list", "", List(&[])),
    ("policy show", "neglect", Page),
    ("policy check", "{policy*}", Page),
    ("policy publish", "{policy*}", Change),
    ("projection list", "", List(&[])),
    ("projection status", "timeline", Page),
    ("projection rebuild", "timeline --wait 60s", Change),
    ("projection swap", "timeline", Elsewhere),
    ("projection rollback", "timeline", Elsewhere),
    ("projection retire", "timeline --yes", Once),
    ("projection pause", "timeline", Change),
    ("projection resume", "timeline", Change),
    ("projection verify", "timeline --wait 60s", Change),
    ("projection parked", "list timeline", Page),
    ("quarantine list", "", List(&["subject"])),
    ("quarantine show", "{quarantine*}", Page),
    ("quarantine retry", "{quarantine*}", Refused(4)),
    ("quarantine discard", "{quarantine} --note coba --yes", Change),
    ("schema list", "", Elsewhere),
    ("schema show", "", Elsewhere),
    ("schema check", "", Elsewhere),
    ("schema export", "", Elsewhere),
    (
        "key create",
        "desk --set publisher --source /gate --expires-at 2030-01-01T00:00:00Z --actor staff/dewi",
        Change,
    ),
    ("key list", "", List(&[])),
    ("key revoke", "{key} --yes", Change),
    ("tenant list", "", List(&[])),
    ("tenant add", "{tenant}", Change),
    ("request", "customers.get {\"id\":\"c-sari\"}", Elsewhere),
    ("config show", "", Elsewhere),
    ("config check", "", Elsewhere),
    ("config schema", "", Elsewhere),
    ("config init", "", Elsewhere),
    ("version", "", Elsewhere),
];

/// Commands that show names of settings, or what somebody sent, as they are.
const AS_THEY_ARE: &[&str] = &["policy show", "quarantine show"];

/// English words that no Indonesian answer holds.
const ENGLISH: &[&str] = &[
    "the",
    "of",
    "is",
    "are",
    "was",
    "not",
    "with",
    "for",
    "by",
    "until",
    "since",
    "yes",
    "none",
    "owner",
    "state",
    "kind",
    "overdue",
    "open",
    "warning",
    "usually",
    "contacted",
    "due",
    "nothing",
    "error",
    "ready",
    "last",
    "next",
    "what",
    "when",
    "who",
    "name",
    "channel",
    "direction",
    "severity",
    "found",
    "done",
    "asked",
    "this",
    "that",
    "there",
    "look",
    "customer",
];

/// A demo that runs, and the pools its commands take from.
struct Bench {
    folder: tempfile::TempDir,
    server: String,
    pools: BTreeMap<&'static str, Vec<String>>,
    demo: Child,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.demo.kill();
        let _ = self.demo.wait();
    }
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(SAPA);
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    for name in ["PATH", "HOME", "XDG_CACHE_HOME"] {
        command.envs(std::env::var_os(name).map(|it| (name, it)));
    }
    command
}

impl Bench {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("what this test needs is there");
        let sizes = ["--customers", "250", "--days", "300", "--live", "off", "--no-nats"];
        let mut command = program(folder.path());
        command.args(["demo", "--json", "--port", "0"]).args(sizes);
        let mut demo =
            command.stdout(Stdio::piped()).spawn().expect("what this test needs is there");
        let mut line = String::new();
        BufReader::new(demo.stdout.take().expect("what this test needs is there"))
            .read_line(&mut line)
            .expect("what this test needs is there");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let server = ready["api"]
            .as_str()
            .expect("what this test needs is there")
            .trim_end_matches("/v1")
            .to_owned();
        let mut bench = Self { folder, server, pools: BTreeMap::new(), demo };
        bench.fill();
        bench
    }

    /// Writes the files that commands read, and publishes what a demo does not have.
    fn write(&mut self) {
        let event = json!({
            "specversion": "1.0", "id": "g-1", "source": "/gate", "subject": "c-sari", "actor": "customer",
            "type": "sapa.interaction.arrived.v1", "time": "2026-01-02T10:00:00+07:00", "channel": "desk",
            "imported": true, "data": {"visit": "v-1"},
        });
        let promise = json!({
            "customer": "c-sari", "what": "Harga aula", "due_at": "2030-01-02T10:00:00+07:00",
            "owner": "ani", "topic": "price",
        });
        let policy = "[promise]\nrenegotiate_max = 2\nquote_min_samples = 20\n";
        for (name, file, text) in [
            ("event", "event.json", event.to_string()),
            ("promised", "promise.json", promise.to_string()),
            ("policy", "policy.toml", policy.to_owned()),
        ] {
            std::fs::write(self.folder.path().join(file), text)
                .expect("what this test needs is there");
            self.pools.insert(name, vec![file.to_owned()]);
        }
        self.json("event publish event.json");
        for id in ["u-1", "u-2", "u-3"] {
            let unknown = json!({"specversion": "1.0", "id": id, "source": "/gate", "type": "sapa.gate.opened.v1",
                                 "time": "2026-01-02T10:00:00+07:00", "actor": "customer", "data": {}});
            std::fs::write(self.folder.path().join("unknown.json"), unknown.to_string())
                .expect("what this test needs is there");
            self.run("event publish unknown.json");
        }
    }

    /// Makes what a demo does not have, and remembers what commands can be about.
    fn fill(&mut self) {
        self.write();
        let ids = |bench: &Self, command: &str, member: &str| -> Vec<String> {
            let answer = bench.json(command);
            let items = answer["items"].as_array().unwrap_or_else(|| panic!("{command}: {answer}"));
            items
                .iter()
                .map(|it| it[member].as_str().expect("what this test needs is there").to_owned())
                .collect()
        };
        let made: Vec<String> = (0..4)
            .map(|_| {
                let answer = self.json("promise make promise.json --actor staff/dewi");
                answer["promise"]["promise"]
                    .as_str()
                    .expect("what this test needs is there")
                    .to_owned()
            })
            .collect();
        let complaint = self.json(
            "complaint raise c-sari --kind service --category noise --text bising --actor staff/dewi",
        );
        let complaint = complaint["complaint"]["complaint"]
            .as_str()
            .expect("what this test needs is there")
            .to_owned();
        let keys = (0..4).map(|_| {
            let answer = self.json("key create one --set alerting --source /gate --venue aula-kota --expires-at 2030-01-01T00:00:00Z --actor staff/dewi");
            answer["id"].as_str().expect("what this test needs is there").to_owned()
        });
        let pools = [
            ("key", keys.collect()),
            ("alert", ids(self, "alert list --limit 500 --state raised", "alert")),
            ("quarantine", ids(self, "quarantine list", "quarantine_id")),
            ("promise", ids(self, "promise list", "promise")),
            ("made", made),
            ("complaint", vec![complaint]),
            ("tenant", ["two", "three", "four"].map(str::to_owned).to_vec()),
        ];
        self.pools.extend(pools);
    }

    fn output(&self, arguments: &[String]) -> Output {
        let mut command = program(self.folder.path());
        command
            .args(arguments)
            .args(["--server", &self.server])
            .output()
            .expect("what this test needs is there")
    }

    fn run(&self, command: &str) -> Output {
        let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
        self.output(&arguments)
    }

    fn json(&self, command: &str) -> Value {
        let done = self.run(&format!("{command} --json"));
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            done.status.success(),
            "{command}: {said}{}",
            String::from_utf8_lossy(&done.stdout)
        );
        serde_json::from_slice(&done.stdout).unwrap_or_default()
    }

    /// The arguments of a command, with what it is about taken from the pools.
    fn filled(&mut self, path: &str, arguments: &str) -> Vec<String> {
        let words = path.split(' ').chain(arguments.split(' ').filter(|it| !it.is_empty()));
        let mut filled = Vec::new();
        for word in words {
            let pool = word.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
            filled.push(match pool.filter(|it| !it.contains('"')) {
                None => word.to_owned(),
                Some(name) => {
                    let bare = name.trim_end_matches('*');
                    let pool = self.pools.get_mut(bare).unwrap_or_else(|| panic!("no pool {bare}"));
                    assert!(!pool.is_empty(), "{path}: nothing is left of {bare}");
                    if name == bare { pool.pop() } else { pool.first().cloned() }
                        .unwrap_or_default()
                }
            });
        }
        filled
    }

    fn files(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// Every command of the tree that has no command below it.
fn leaves(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
    let mut below = command.get_subcommands().filter(|it| it.get_name() != "help").peekable();
    if below.peek().is_none() {
        found.insert(path.to_owned());
    }
    for it in below {
        leaves(it, format!("{path} {}", it.get_name()).trim(), found);
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| it.is_whitespace() || ",;()\"".contains(it)).filter(|it| !it.is_empty())
}

fn is_code(word: &str) -> bool {
    let snake = word.contains('_')
        && word.starts_with(|it: char| it.is_ascii_lowercase())
        && word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    snake || (word.starts_with("sapa.") && word.contains(".v"))
}

/// What is wrong with a table in English or Indonesian.
fn faults_of_table(text: &str) -> Vec<String> {
    let mut faults: Vec<String> =
        words(text).filter(|it| is_code(it)).map(|it| format!("the code `{it}`")).collect();
    if text.contains("{\"") || text.contains("[\"") {
        faults.push("JSON".to_owned());
    }
    faults
}

/// The columns of a table that hold nothing in any row, by the place of their headings.
fn empty_columns(csv: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headings: Vec<String> = reader
        .headers()
        .expect("what this test needs is there")
        .iter()
        .map(str::to_owned)
        .collect();
    let rows: Vec<csv::StringRecord> =
        reader.records().map(|it| it.expect("what this test needs is there")).collect();
    let is_empty = |at: usize| rows.iter().all(|row| row.get(at).is_none_or(str::is_empty));
    headings.iter().enumerate().filter(|(at, _)| is_empty(*at)).map(|(_, it)| it.clone()).collect()
}

fn english(text: &str) -> Vec<String> {
    let found = words(text).map(|it| it.trim_matches(|it: char| ".:!?`'".contains(it)));
    found.filter(|it| ENGLISH.contains(it)).map(|it| format!("English: `{it}`")).collect()
}

/// Runs one command in all formats and languages that suit it. Gives what is wrong.
fn walk(bench: &mut Bench, path: &str, arguments: &str, kind: Kind) -> Vec<String> {
    let mut faults = Vec::new();
    let mut say = |how: &str, what: String| faults.push(format!("{path} ({how}): {what}"));
    let repeatable = matches!(kind, List(_) | Page | Refused(_));
    let as_they_are = AS_THEY_ARE.contains(&path);
    let ways: &[&str] = if kind == Once {
        &["--output table"]
    } else if repeatable {
        &["--output table", "--json", "--output jsonl", "--output csv", "--output table --lang id"]
    } else {
        &["--output table", "--output table --lang id"]
    };
    for way in ways {
        let mut all = bench.filled(path, arguments);
        all.extend(way.split(' ').map(str::to_owned));
        let done = bench.output(&all);
        let (out, err) =
            (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let wanted = if let Refused(code) = kind { code } else { 0 };
        if done.status.code() != Some(wanted) {
            say(way, format!("ended with {:?}: {err}{out}", done.status.code()));
            continue;
        }
        match *way {
            "--json" => {
                if serde_json::from_str::<Value>(&out).is_err() {
                    say(way, format!("not one JSON document: {out}"));
                }
            }
            "--output jsonl" => {
                let bad = out.lines().find(|it| serde_json::from_str::<Value>(it).is_err());
                if let Some(it) = bad {
                    say(way, format!("not JSON: {it}"));
                }
            }
            "--output csv" if wanted == 0 => {
                if !as_they_are && (out.contains("{\"") || out.contains("[{")) {
                    say(way, format!("JSON in a cell: {out}"));
                }
                if let List(may_be_empty) = kind {
                    let empty = empty_columns(&out);
                    let empty = empty.into_iter().filter(|it| !may_be_empty.contains(&it.as_str()));
                    for it in empty {
                        say(way, format!("the column `{it}` is always empty"));
                    }
                }
            }
            "--output csv" => {}
            _ if as_they_are => {}
            _ => {
                for it in faults_of_table(&out) {
                    say(way, format!("{it} in\n{out}"));
                }
                if way.contains("--lang id") {
                    let text = format!("{out}{err}");
                    for it in english(&text) {
                        say(way, format!("{it} in\n{text}"));
                    }
                }
            }
        }
    }
    faults
}

#[test]
fn every_command_shows_words_and_no_empty_column_in_every_format_and_both_languages() {
    let mut tree = BTreeSet::new();
    leaves(&Cli::command(), "", &mut tree);
    let known: BTreeSet<String> = COMMANDS.iter().map(|(path, ..)| (*path).to_owned()).collect();
    assert_eq!(tree, known, "the table of this test and the tree of commands");

    let mut bench = Bench::start();
    let mut faults = Vec::new();
    for (path, arguments, kind) in COMMANDS.iter().filter(|(.., kind)| *kind != Elsewhere) {
        faults.extend(walk(&mut bench, path, arguments, *kind));
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(bench.files().is_dir());
}

#[test]
fn a_command_asks_the_server_that_is_configured_here_and_shows_its_key_to_no_other() {
    let bench = Bench::start();
    let folder = tempfile::tempdir().unwrap();
    let port = bench.server.rsplit_once(':').unwrap().1;
    let config = format!("[http]\naddr = \"0.0.0.0:{port}\"\n");
    std::fs::write(folder.path().join("sapa.toml"), config).unwrap();

    // The configuration of the folder says where; its key is that of another server.
    std::fs::create_dir_all(folder.path().join("sapa-data")).unwrap();
    let key = format!("sapa_live_{}_{}", "a".repeat(8), "A".repeat(43));
    std::fs::write(folder.path().join("sapa-data/admin.key"), &key).unwrap();
    let asked = |arguments: &[&str], server: Option<&str>| {
        let mut command = program(folder.path());
        command.envs(server.map(|it| ("SAPA_SERVER", it)));
        command.args(arguments).output().unwrap()
    };
    let health = asked(&["health"], None);
    assert_eq!(health.status.code(), Some(0), "{}", String::from_utf8_lossy(&health.stderr));
    let refused = asked(&["policy", "list"], None);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(77), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "an error names the server: {said}");
    // The variable comes before the configuration.
    let away = asked(&["health"], Some("http://127.0.0.1:1"));
    assert_eq!(away.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&away.stderr).contains("http://127.0.0.1:1"));
    // In the folder of the demo its own key is found, whatever the port.
    let own = bench.run("policy list");
    assert_eq!(own.status.code(), Some(0), "{}", String::from_utf8_lossy(&own.stderr));

    // A listener that is not Sapa never sees a key file.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hear = || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0_u8; 4_096];
        let read = stream.read(&mut bytes).unwrap();
        stream.write_all(b"HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&bytes[..read]).to_ascii_lowercase()
    };
    let heard = std::thread::scope(|scope| {
        let heard = scope.spawn(hear);
        asked(&["policy", "list"], Some(&url));
        heard.join().unwrap()
    });
    assert!(heard.starts_with("get /v1/policies") && !heard.contains("authorization"), "{heard}");
}

#[test]
fn a_dry_run_of_a_policy_is_judged_by_the_server() {
    let bench = Bench::start();
    let refused = bench.run("policy publish policy.toml --effective-from soon --dry-run");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("effective_from"), "{said}");
    let told = bench.run("policy publish policy.toml --dry-run --json");
    assert_eq!(told.status.code(), Some(0));
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("\"dry_run\":true"), "{told}");
}

#[test]
fn without_a_broker_nothing_is_accepted_over_nats() {
    let bench = Bench::start();
    let done = bench.run("event publish event.json --via nats");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(69), "{said}{}", String::from_utf8_lossy(&done.stdout));
    assert!(said.contains(&bench.server) && said.contains("NATS"), "{said}");
}

#[test]
fn a_demo_that_is_started_again_with_other_sizes_says_so() {
    let bench = Bench::start();
    drop(program(&bench.files()).args(["demo", "--customers", "21"]).output().unwrap());
    let again = program(&bench.files()).args(["demo", "--customers", "21"]).output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(2), "{said}");
    assert!(said.contains("250 customers") && said.contains("--fresh"), "{said}");
}

#[test]
fn promises_past_their_time_are_listed_and_kept_ones_of_last_year_are_not() {
    let bench = Bench::start();
    let states = |command: &str| -> BTreeSet<String> {
        let answer = bench.json(command);
        let items = answer["items"].as_array().unwrap();
        items.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect()
    };
    assert!(states("promise list --overdue --limit 500").contains("broken"));
    assert!(states("promise list --state all --limit 500").contains("kept"));
    let owed = states("promise list --limit 500");
    assert!(!owed.is_empty() && !owed.contains("kept") && !owed.contains("released"), "{owed:?}");
}

#[test]
fn customers_are_found_by_words_in_any_order_and_by_numbers_in_any_form() {
    let bench = Bench::start();
    let found = |search: &str| -> Vec<String> {
        let all = ["customer", "list", "--search", search, "--json"].map(str::to_owned);
        let answer: Value = serde_json::from_slice(&bench.output(&all).stdout).unwrap();
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
        items.iter().map(|it| it["customer"].as_str().unwrap().to_owned()).collect()
    };
    let card = bench.json("customer show c-sari");
    let name = card["name"].as_str().unwrap();
    let mut words: Vec<&str> = name.split(' ').collect();
    words.reverse();
    assert_eq!(found(&words.join(" ")), ["c-sari"]);
    let timeline = bench.json("customer timeline c-sari --limit 500");
    let identified =
        timeline["items"].as_array().unwrap().iter().find(|it| {
            it["type"] == "sapa.customer.identified.v1" && it["data"]["id_kind"] == "phone"
        });
    let number = identified.unwrap()["data"]["value"].as_str().unwrap();
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let rest = digits.trim_start_matches("62").trim_start_matches('0');
    for form in [
        format!("0{rest}"),
        format!("62{rest}"),
        format!("+62 {rest}"),
        format!("0{}-{}-{}", &rest[..3], &rest[3..7], &rest[7..]),
    ] {
        assert_eq!(found(&form), ["c-sari"], "{form}");
    }
}
