//! A backup that is taken while others write, restored, and gone on from: every recorded event up to
//! its position is there, and what goes out afterwards is what the log holds.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use events::envelope::Recorded;
use sapa::serve::lock::Instance;
use sapa::servers::nats::{NatsOptions, NatsServer};
use serde_json::Value;
use store::Log;
use store::db::Place;
use tests::dice::Dice;
use tests::read::{last_sent, recorded, sent};
use uuid::Uuid;

use crate::program::{Program, free_port, http_client};
use crate::support_nats::{event, eventually, nats_program};
use crate::survival::cluster;
use crate::survival_checks::{settled, the_views_equal_a_rebuild};
use crate::survival_load::{Load, connect};

/// How long is written before the backup, and after it.
const WRITING: Duration = Duration::from_secs(3);

/// Runs a command that has to succeed, and reads its answer.
async fn answer(program: &Program, args: &[&str]) -> Value {
    let done = program.output(&[args, &["--json"]].concat()).await;
    assert_eq!(done.status.code(), Some(0), "{args:?}: {}", said(&done));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Runs a command that has to end with a code; what it said.
async fn refusal(program: &Program, args: &[&str], code: i32) -> String {
    let done = program.output(args).await;
    assert_eq!(done.status.code(), Some(code), "{args:?}: {}", said(&done));
    said(&done)
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&[&done.stdout[..], &done.stderr[..]].concat()).into_owned()
}

async fn facts(place: &Place) -> (Log, Vec<Recorded>) {
    let log = Log::open(place, 2, Uuid::from_u128(1)).await.unwrap();
    let facts = recorded(&log).await.unwrap();
    (log, facts)
}

/// Records some events over HTTP, each until it is.
async fn record(program: &Program, ids: std::ops::Range<usize>) {
    let client = http_client();
    for id in ids {
        let body = event(&format!("e-{id}")).to_string();
        eventually("it is recorded", async || {
            let call = client.post(format!("{}/v1/events", program.url()));
            let call = call.header("content-type", "application/cloudevents+json");
            let asked = call.bearer_auth(program.key()).body(body.clone()).send().await;
            asked.is_ok_and(|it| it.status().is_success())
        })
        .await;
    }
}

async fn readiness(program: &Program) -> (u16, String) {
    match http_client().get(format!("{}/readyz?verbose", program.url())).send().await {
        Ok(it) => (it.status().as_u16(), it.text().await.unwrap_or_default()),
        Err(_) => (0, String::new()),
    }
}

async fn says_log_rollback(program: &Program) {
    eventually("it says that the log was rolled back", async || {
        let (status, text) = readiness(program).await;
        status == 503 && text.contains("log_rollback")
    })
    .await;
    assert!(program.said().contains("sapa recover"), "{}", program.said());
}

/// What went out is the log from a position on, each position once and in order.
async fn went_out(context: &async_nats::jetstream::Context, facts: &[Recorded], from: i64) {
    let out: Vec<(i64, String)> = sent(context)
        .await
        .iter()
        .map(|it| (it.position, it.body["id"].as_str().unwrap_or_default().to_owned()))
        .collect();
    let wanted: Vec<(i64, String)> = facts
        .iter()
        .filter(|it| from <= it.position)
        .map(|it| (it.position, it.id.as_str().to_owned()))
        .collect();
    assert_eq!(out, wanted[..out.len()]);
    assert!(!out.is_empty(), "nothing went out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_every_event_up_to_its_position_and_the_relay_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let binary = nats_program().await;
    let nats = NatsServer::start(&binary, NatsOptions::new(folder.path())).await.unwrap();
    let mut program = Program::new(&[("nats.url", nats.url().as_str())]);
    let place = Place::Folder(program.data());
    program.run(&["setup"]).await;
    program.start();
    program.ready().await;
    let context = connect(nats.port()).await;
    let mut dice = Dice::new(20_261_130);
    let load = Load::start(&[program.url()], &program.key(), nats.port(), &mut dice).await;
    tokio::time::sleep(WRITING).await;
    let file = program.folder().join("backup.tar");
    let file = file.to_str().unwrap();
    let made = answer(&program, &["backup", file]).await;
    let position = made["position"].as_i64().unwrap();
    refusal(&program, &["backup", file], 2).await;
    tokio::time::sleep(WRITING).await;
    let notes = load.stop().await;
    let (log, _) = facts(&place).await;
    settled(&place, &log, &context).await;
    let (_, before) = facts(&place).await;
    let kept = usize::try_from(position).unwrap();
    assert!(50 < kept && kept + 50 < before.len(), "{kept} of {}", before.len());
    assert!(made["read_models"].as_i64().is_some_and(|it| it <= position), "{made}");

    // A running server keeps its log, and so does a folder with a log unless it is said.
    refusal(&program, &["restore", file, "--yes"], 78).await;
    log.db().close().await;
    program.stop().await;
    refusal(&program, &["restore", file], 2).await;
    assert_eq!(facts(&place).await.1, before, "nothing was changed");
    let restored = answer(&program, &["restore", file, "--yes"]).await;
    let aside = PathBuf::from(restored["set_aside"].as_str().unwrap());
    assert_eq!(facts(&Place::Folder(aside)).await.1, before, "the old log is kept");
    let (log, after) = facts(&place).await;
    assert_eq!(after, before[..kept], "every event up to the position, and no other");
    log.db().close().await;
    for note in notes.iter().flatten() {
        let Some(receipt) = &note.receipt else { continue };
        let at =
            receipt["position"].as_str().map_or(receipt["position"].as_i64(), |it| it.parse().ok());
        let at = usize::try_from(at.unwrap()).unwrap();
        if let Some(it) = after.get(at - 1) {
            assert_eq!((it.source.as_str(), it.id.as_str()), (&*note.source, &*note.id));
        }
    }

    // SAPA_OUT is ahead of this log: nothing goes out until a person has chosen.
    program.start();
    says_log_rollback(&program).await;
    program.stop().await;
    assert!(refusal(&program, &["doctor"], 78).await.contains("log_rollback"));
    let choice = refusal(&program, &["recover"], 2).await;
    assert!(choice.contains("--publish new") && choice.contains("--publish all"), "{choice}");
    answer(&program, &["recover", "--publish", "all"]).await;
    program.start();
    program.ready().await;
    let (log, _) = facts(&place).await;
    settled(&place, &log, &context).await;
    let now = recorded(&log).await.unwrap();
    assert_eq!(last_sent(&context).await, log.head().await.unwrap());
    went_out(&context, &now, 1).await;
    // What SAPA_IN still held was recorded again.
    let in_stream = notes.iter().flatten().filter(|it| it.receipt.is_none());
    for note in in_stream {
        let count = now
            .iter()
            .filter(|it| it.source.as_str() == note.source && it.id.as_str() == note.id)
            .count();
        assert_eq!(count, 1, "{note:?}");
    }
    assert_eq!(now[..kept], before[..kept]);
    program.stop().await;
    the_views_equal_a_rebuild(&place, &log).await;
    assert!(
        answer(&program, &["recover"]).await["published"].as_str().unwrap().contains("nothing")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_broker_is_recovered_too_and_only_what_is_new_goes_out() {
    let binary = nats_program().await;
    let port = free_port().to_string();
    let settings =
        [("nats.server_bin", binary.to_str().unwrap()), ("nats.managed_port", port.as_str())];
    let mut program = Program::new(&settings);
    let place = Place::Folder(program.data());
    program.start();
    program.ready().await;
    record(&program, 0..10).await;
    let file = program.folder().join("backup.tar");
    let file = file.to_str().unwrap();
    let position = answer(&program, &["backup", file]).await["position"].as_i64().unwrap();
    record(&program, 10..15).await;
    let context = managed(&program).await;
    let (log, before) = facts(&place).await;
    eventually("all of it is out", async || last_sent(&context).await == log.head().await.unwrap())
        .await;
    log.db().close().await;
    program.stop().await;

    answer(&program, &["restore", file, "--yes"]).await;
    program.start();
    says_log_rollback(&program).await;
    program.stop().await;
    let chosen = answer(&program, &["recover", "--publish", "new"]).await;
    assert_eq!(chosen["published"]["after"].as_i64(), Some(position), "{chosen}");
    program.start();
    program.ready().await;
    record(&program, 20..23).await;
    let context = managed(&program).await;
    let (log, _) = facts(&place).await;
    eventually("what is new is out", async || {
        last_sent(&context).await == log.head().await.unwrap()
    })
    .await;
    let now = recorded(&log).await.unwrap();
    went_out(&context, &now, position + 1).await;
    let kept = usize::try_from(position).unwrap();
    assert_eq!(now[..kept], before[..kept]);
    program.stop().await;
}

/// A connection to the broker that a program runs.
async fn managed(program: &Program) -> async_nats::jetstream::Context {
    let url = Instance::read(&program.data()).unwrap().nats.unwrap();
    let token = std::fs::read_to_string(program.data().join("nats/token")).unwrap();
    let options = async_nats::ConnectOptions::new().token(token.trim().to_owned());
    async_nats::jetstream::new(options.connect(url).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_under_read_models_that_are_ahead_of_it_is_told_of_and_recovered() {
    let mut program = Program::new(&[("nats.mode", "off")]);
    let place = Place::Folder(program.data());
    program.start();
    program.ready().await;
    record(&program, 0..5).await;
    let early = program.folder().join("early.db");
    store::copy::copy(&program.data().join("log.db"), &early).await.unwrap();
    record(&program, 5..9).await;
    let (log, _) = facts(&place).await;
    eventually("all of it is folded", async || {
        let (status, text) = readiness(&program).await;
        status == 200 && text.contains(&format!("ok at {}", log.head().await.unwrap()))
    })
    .await;
    log.db().close().await;
    program.stop().await;
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(program.data().join(format!("log.db{ending}")));
    }
    std::fs::copy(&early, program.data().join("log.db")).unwrap();

    let told = refusal(&program, &["doctor"], 78).await;
    assert!(told.contains("log_rollback") && told.contains("sapa recover"), "{told}");
    let ended = refusal(&program, &["serve"], 1).await;
    assert!(ended.contains("sapa recover"), "{ended}");
    // The lease that it took ends by itself.
    eventually("it is recovered", async || program.output(&["recover"]).await.status.success())
        .await;
    assert!(refusal(&program, &["doctor"], 0).await.contains("build 2"));
    program.start();
    program.ready().await;
    record(&program, 30..31).await;
    let (log, _) = facts(&place).await;
    program.stop().await;
    the_views_equal_a_rebuild(&place, &log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_damaged_or_cut_short_changes_nothing() {
    let mut program = Program::new(&[("nats.mode", "off")]);
    program.start();
    program.ready().await;
    record(&program, 0..3).await;
    let file = program.folder().join("backup.tar");
    answer(&program, &["backup", file.to_str().unwrap()]).await;
    let place = Place::Folder(program.data());
    program.stop().await;
    let (log, before) = facts(&place).await;
    log.db().close().await;
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let bad = program.folder().join("bad.tar");
    for text in [&bytes[..], &bytes[..middle], b"text"] {
        std::fs::write(&bad, text).unwrap();
        refusal(&program, &["restore", bad.to_str().unwrap(), "--yes"], 4).await;
    }
    let (log, after) = facts(&place).await;
    log.db().close().await;
    assert_eq!(after, before);
    assert!(!program.data().join("restore.unfinished").exists());
    // One that was interrupted keeps an empty log from being begun in its place.
    std::fs::create_dir(program.data().join("restore.unfinished")).unwrap();
    for command in ["serve", "doctor"] {
        assert!(refusal(&program, &[command], 78).await.contains("interrupted"));
    }
    answer(&program, &["restore", file.to_str().unwrap(), "--yes"]).await;
    program.start();
    program.ready().await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_printed_for_postgresql_copy_and_restore_the_log() {
    let (cluster, url) = cluster().await;
    let mut program = Program::new(&[("nats.mode", "off"), ("database.url", &url)]);
    program.start();
    program.ready().await;
    record(&program, 0..20).await;
    let dump = program.folder().join("it's.dump");
    let printed = program.output(&["backup", dump.to_str().unwrap()]).await;
    shell(&program, &printed).await;
    let place = Place::parse(&url).unwrap();
    let (log, before) = facts(&place).await;
    log.db().close().await;
    program.stop().await;

    cluster.create_database("restored").await.unwrap();
    let to = cluster.url("restored");
    let mut second = Program::new(&[("nats.mode", "off"), ("database.url", &to)]);
    let printed = second.output(&["restore", dump.to_str().unwrap()]).await;
    shell(&second, &printed).await;
    let (log, after) = facts(&Place::parse(&to).unwrap()).await;
    log.db().close().await;
    assert_eq!(after[..20], before[..20]);
    second.start();
    second.ready().await;
    second.stop().await;
}

/// Runs printed commands as a person would paste them.
async fn shell(program: &Program, printed: &Output) {
    assert!(printed.status.success(), "{}", said(printed));
    let script = String::from_utf8(printed.stdout.clone()).unwrap();
    let done = program.shell(&script).await;
    assert!(done.status.success(), "{script}: {}", said(&done));
}

/// Marks a build as folded by another version, in a folder or on a server.
async fn belongs_to_another_version(place: &Place, statement: &'static str) {
    use store::db::{Db, Family};
    let db = place.open(Family::Views(1), 1).await.unwrap();
    match &db {
        Db::Sqlite { writes, .. } => drop(sqlx::query(statement).execute(writes).await.unwrap()),
        Db::Postgres { writes, .. } => drop(sqlx::query(statement).execute(writes).await.unwrap()),
    }
    db.close().await;
}

const OTHER_FOLDS: &str = "UPDATE checkpoints SET detail = 'another' WHERE name = 'folds'";
const OTHER_TABLES: &str = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 105";
const OLD_ROWS: &str = "DELETE FROM timeline";

async fn is_built_anew(mut program: Program, place: Place, other: &'static str) {
    program.start();
    program.ready().await;
    record(&program, 0..40).await;
    program.stop().await;
    belongs_to_another_version(&place, OLD_ROWS).await;
    belongs_to_another_version(&place, other).await;
    let told = refusal(&program, &["doctor"], 0).await;
    assert!(told.contains("another version folded build 1"), "{told}");
    program.start();
    eventually("the build of this version answers", async || {
        program.said().contains("the read models of this version answer")
    })
    .await;
    program.ready().await;
    let client = http_client();
    let path = format!("{}/v1/customers/c-sari/timeline?limit=50", program.url());
    eventually("its rows are there", async || {
        let Ok(asked) = client.get(&path).bearer_auth(program.key()).send().await else {
            return false;
        };
        let text = asked.text().await.unwrap_or_default();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        body["items"].as_array().is_some_and(|it| 40 <= it.len())
    })
    .await;
    let status = client.get(format!("{}/v1/projections/card", program.url()));
    let status = status.bearer_auth(program.key()).send().await.unwrap().text().await.unwrap();
    assert!(status.contains("\"generation\":2"), "{status}");
    // Rows of another version are no way back.
    let back = client.post(format!("{}/v1/projections/card/rollback", program.url()));
    let back = back.bearer_auth(program.key()).timeout(Duration::from_secs(20)).send().await;
    assert!(!back.unwrap().status().is_success());
    program.stop().await;
    let (log, _) = facts(&place).await;
    the_views_equal_a_rebuild(&place, &log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_of_other_folds_are_built_anew_on_sqlite() {
    let program = Program::new(&[("nats.mode", "off")]);
    let place = Place::Folder(program.data());
    is_built_anew(program, place, OTHER_FOLDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_of_other_tables_are_built_anew_on_sqlite() {
    let program = Program::new(&[("nats.mode", "off")]);
    let place = Place::Folder(program.data());
    is_built_anew(
        program,
        place,
        "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 105",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_of_other_folds_and_tables_are_built_anew_on_postgres() {
    for other in [OTHER_FOLDS, OTHER_TABLES] {
        let (_cluster, url) = cluster().await;
        let program = Program::new(&[("nats.mode", "off"), ("database.url", &url)]);
        is_built_anew(program, Place::parse(&url).unwrap(), other).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_a_newer_version_is_refused_and_left_as_it_is() {
    let mut program = Program::new(&[("nats.mode", "off")]);
    program.start();
    program.ready().await;
    program.stop().await;
    let place = Place::Folder(program.data());
    let db = place.open(store::db::Family::Log, 1).await.unwrap();
    let store::db::Db::Sqlite { writes, .. } = &db else { panic!("it lies in a folder") };
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9000, 'later', 1, x'00', 0)";
    sqlx::query(newer).execute(writes).await.unwrap();
    db.close().await;
    for command in ["serve", "migrate", "doctor"] {
        let told = refusal(&program, &[command], 78).await;
        assert!(told.contains("newer version of Sapa"), "{command}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_says_who_leads_or_that_nobody_does() {
    let (_cluster, url) = cluster().await;
    let mut faces = Program::new(&[("nats.mode", "off"), ("database.url", &url), ("roles", "api")]);
    faces.start();
    faces.ready().await;
    eventually("it says that nobody leads", async || {
        readiness(&faces).await.1.contains("[!] leader no instance leads")
    })
    .await;
    let mut whole = Program::new(&[("nats.mode", "off"), ("database.url", &url)]);
    whole.start();
    whole.ready().await;
    eventually("it names who leads", async || {
        let (_, text) = readiness(&faces).await;
        text.contains(&format!("-{}-", whole.pid())) && text.contains("[+] leader")
    })
    .await;
    whole.stop().await;
    eventually("it says that nobody leads any more", async || {
        readiness(&faces).await.1.contains("[!] leader no instance leads")
    })
    .await;
    faces.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_with_a_nats_server_of_its_own_is_refused() {
    let binary = nats_program().await;
    let (_cluster, url) = cluster().await;
    let (one, two) = (free_port().to_string(), free_port().to_string());
    let with = |port: &str| {
        let bin = binary.to_str().unwrap();
        Program::new(&[
            ("database.url", url.as_str()),
            ("nats.server_bin", bin),
            ("nats.managed_port", port),
        ])
    };
    let mut first = with(&one);
    first.start();
    first.ready().await;
    eventually("it leads", async || readiness(&first).await.1.contains("leader epoch")).await;
    let second = with(&two);
    let told = refusal(&second, &["serve"], 78).await;
    assert!(told.contains("leads on this database") && told.contains("nats.url"), "{told}");
    let told = refusal(&second, &["serve", "--role", "api"], 78).await;
    assert!(told.contains("nats.mode = off"), "{told}");
    // The folder of one nats-server has one owner, also where the log is on a server.
    let data = first.data();
    let told = refusal(&second, &["serve", "--data-dir", data.to_str().unwrap()], 78).await;
    assert!(told.contains("is in use by process"), "{told}");
    // One that was killed is no reason to refuse.
    first.kill().await;
    first.start();
    first.ready().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_knows_the_ports() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let managed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let managed_port = managed.local_addr().unwrap().port().to_string();
    let binary = nats_program().await;
    let program = Program::new(&[
        ("nats.server_bin", binary.to_str().unwrap()),
        ("nats.managed_port", managed_port.as_str()),
    ]);
    assert!(refusal(&program, &["doctor"], 0).await.contains("takes any free port"));
    let told = refusal(&program, &["doctor", "--lang", "id"], 0).await;
    assert!(told.contains("memakai port bebas mana pun"), "{told}");
    for english in ["valid", "made at", " is free", "listens", "Stop", "will be"] {
        assert!(!told.contains(english), "{english}: {told}");
    }
    let addr = format!("127.0.0.1:{port}");
    let done = program.with("http.addr", &addr).output(&["doctor"]).await;
    assert_eq!(done.status.code(), Some(78), "{}", said(&done));
    assert!(said(&done).contains(&format!("cannot listen on {addr}")), "{}", said(&done));
}
