//! The program from outside: started, asked, stopped and killed as a person would. Because this
//! file exists, a workspace test run builds `sapa`, through which other tests start servers.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const SAPA: &str = env!("CARGO_BIN_EXE_sapa");

/// The program in a folder of its own, with an environment of its own.
fn sapa(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(SAPA);
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    for name in ["PATH", "HOME", "XDG_CACHE_HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    sapa(folder, arguments).output().expect("the program runs")
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(bytes)))
}

/// A program that is killed when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn demo(folder: &Path, more: &[&str]) -> (Self, Value) {
        use std::io::{BufRead, BufReader};
        let mut arguments =
            vec!["demo", "--json", "--port", "0", "--customers", "20", "--days", "30"];
        arguments.extend(more);
        let mut command = sapa(folder, &arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output is piped");
        BufReader::new(out).read_line(&mut line).expect("it says that it is ready");
        (Self(child), json(line.as_bytes()))
    }

    /// Asks it to stop as Ctrl-C does, and gives its exit code.
    fn interrupt(mut self) -> Option<i32> {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().expect("kill is there");
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("a child of ours") {
                return status.code();
            }
            assert!(started.elapsed() < Duration::from_secs(10), "it takes more than 10 s to stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn server(ready: &Value) -> String {
    ready["api"].as_str().expect("an address").trim_end_matches("/v1").to_owned()
}

const FACT: &[&str] = &[
    "event",
    "publish",
    "--type",
    "interaction.contacted",
    "--customer",
    "c-sari",
    "--channel",
    "phone",
    "--actor",
    "staff/dewi",
    "--data",
    r#"{"purpose":"courtesy","outcome":"reached"}"#,
];

#[test]
fn a_demo_records_its_story_once_and_answers_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (demo, ready) = Running::demo(folder.path(), &["--live", "off"]);
    assert_eq!(ready["event"], "ready");
    let server = server(&ready);
    let nats = ready["nats"].as_str().expect("a broker, or its remedy is on standard error");

    let sent = run(folder.path(), &[FACT, &["--server", &server, "--json"]].concat());
    assert_eq!(sent.status.code(), Some(0), "{}", String::from_utf8_lossy(&sent.stderr));
    let receipt = json(&sent.stdout);
    assert_eq!(receipt["outcome"], "recorded");
    let position = receipt["position"].to_string();
    let body = format!("{{\"position\":{position}}}");
    let asked = ["request", "events.get", &body, "--nats", nats, "--server", &server, "--json"];
    let got = run(folder.path(), &asked);
    assert_eq!(json(&got.stdout)["position"], Value::from(position.clone()), "over NATS");
    let missing = run(folder.path(), &["event", "get", "999999", "--server", &server, "--json"]);
    assert_eq!(missing.status.code(), Some(3));
    assert_eq!(json(&missing.stdout)["code"], "not_found", "problems are data with --json");

    let second = run(folder.path(), &["serve", "--data-dir", "sapa-data/demo"]);
    assert_eq!(second.status.code(), Some(78));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("process {}", demo.0.id())), "{said}");
    assert_eq!(demo.interrupt(), Some(0));

    let (demo, again) = Running::demo(folder.path(), &["--live", "off"]);
    let moved = again["position"].as_i64().unwrap() - ready["position"].as_i64().unwrap();
    assert!((1..50).contains(&moved), "the story was recorded again: {moved} more events");
    drop(demo);
}

#[test]
fn the_same_seed_and_end_give_the_same_log() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ["one", "two"].map(|name| {
        let more = [
            "--data-dir",
            name,
            "--live",
            "off",
            "--no-nats",
            "--now",
            "2026-06-24T09:00:00+07:00",
        ];
        let (demo, ready) = Running::demo(folder.path(), &more);
        let key = folder.path().join(name).join("admin.key");
        let key = std::fs::read_to_string(key).unwrap();
        let arguments = ["event", "export", "--server", &server(&ready), "--key", key.trim(), "-q"];
        let exported = run(folder.path(), &arguments);
        assert_eq!(demo.interrupt(), Some(0));
        let text = String::from_utf8(exported.stdout).unwrap();
        let events = text.lines().map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            event.as_object_mut().unwrap().remove("recordedat");
            event
        });
        // What the clock decided after the story depends on when the test runs.
        events.take(300).collect::<Vec<Value>>()
    });
    assert_eq!(logs[0].len(), 300);
    assert_eq!(logs[0], logs[1]);
}

#[test]
fn a_folder_that_is_no_demo_is_neither_used_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let file = folder.path().join("mine").join("log.db");
    std::fs::write(&file, "somebody's").unwrap();
    for more in [&["--fresh"][..], &[]] {
        let out = run(folder.path(), &[&["demo", "--data-dir", "mine"], more].concat());
        assert_eq!(out.status.code(), Some(78));
        assert!(file.is_file());
    }
}

#[test]
fn wrong_usage_wrong_settings_and_absent_servers_have_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let code = |arguments: &[&str]| run(folder.path(), arguments).status.code();
    assert_eq!(code(&["event", "publsh"]), Some(2));
    assert_eq!(code(&["event", "get", "1", "--server", "http://127.0.0.1:1"]), Some(69));
    assert_eq!(code(&["schema", "show", "booking.requestd"]), Some(4));
    assert_eq!(code(&["schema", "show", "booking.requested"]), Some(0));
    assert_eq!(code(&["key", "revoke", "abc", "--server", "http://127.0.0.1:1"]), Some(2));
    std::fs::write(folder.path().join("sapa.toml"), "[http]\nadr = \"x\"\n").unwrap();
    let out = run(folder.path(), &["config", "check"]);
    assert_eq!(out.status.code(), Some(78));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("sapa.toml:2:1") && said.contains("`http.addr`"), "{said}");
}

#[test]
fn the_file_that_config_init_writes_is_valid_with_every_line_switched_on() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["config", "init"]).status.code(), Some(0));
    let path = folder.path().join("sapa.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let on = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.contains(" = ") && !rest.ends_with(" = \"\"") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = text.lines().map(on).collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    let out = run(folder.path(), &["config", "check"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = sapa(folder.path(), &["schema", "list", "--output", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
}
