//! Servers of our own, with the real programs: found or fetched, started, asked, killed.
//! A program that cannot be had fails the test with its remedy.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use sapa::servers::Guard;
use sapa::servers::nats::{NatsOptions, NatsServer, PortChoice, Search, locate};
use sapa::servers::postgres::{self, Cluster, ClusterOptions};

/// Tells the second process of a test which folder to run its server in.
const HOLD: &str = "SAPA_TEST_HOLD";

fn nats_server() -> PathBuf {
    locate(&Search { fetch: true, ..Search::default() }).unwrap_or_else(|error| panic!("{error}"))
}

fn guard() -> Guard {
    Guard::Program(env!("CARGO_BIN_EXE_sapa").into())
}

fn options(folder: &Path) -> NatsOptions {
    NatsOptions { guard: guard(), ..NatsOptions::new(folder) }
}

fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A process that nobody has collected yet is dead all the same.
    state.rsplit(')').next().is_some_and(|it| !it.is_empty() && !it.starts_with(" Z"))
}

/// Waits for something that another process does; there is no clock to advance there.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The answer of the server's monitoring page, without a client library.
async fn monitored(server: &NatsServer, page: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = server.monitor_url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a monitoring port");
    let request = format!("GET {page} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a listener");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn a_server_keeps_a_message_over_a_stop_and_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(&nats_server(), options(folder.path())).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let streams = jetstream::new(client);
    let config = jetstream::stream::Config { name: "KEEP".into(), ..Default::default() };
    streams.create_stream(config).await.unwrap();
    streams.publish("KEEP", "kept".into()).await.unwrap().await.unwrap();
    let pid = server.pid();
    server.stop().await;
    assert!(!is_alive(pid));

    let server = NatsServer::start(&nats_server(), options(folder.path())).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("KEEP").await.unwrap();
    assert_eq!(stream.get_raw_message(1).await.unwrap().payload, "kept");
    server.stop().await;
}

#[tokio::test]
async fn the_server_says_that_it_writes_through() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(&nats_server(), options(folder.path())).await.unwrap();
    let answer = monitored(&server, "/jsz?config=1").await;
    assert!(answer.contains("\"sync_always\": true"), "{answer}");
    assert!(answer.contains("\"strict\": true"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_token_is_asked_for_and_lies_in_a_private_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let token = Some("only-for-friends".to_owned());
    let wanted = NatsOptions { token, ..options(folder.path()) };
    let server = NatsServer::start(&nats_server(), wanted).await.unwrap();
    assert!(async_nats::connect(server.url()).await.is_err());
    async_nats::ConnectOptions::with_token("only-for-friends".into())
        .connect(server.url())
        .await
        .unwrap();
    let config = folder.path().join("nats/nats-server.conf");
    assert_eq!(config.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    server.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_left_alone_unless_it_must_be_this_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();

    let must = NatsOptions { port: PortChoice::Exactly(port), ..options(folder.path()) };
    let error = NatsServer::start(&nats_server(), must).await.unwrap_err().to_string();
    assert!(error.contains("address already in use"), "{error}");
    assert!(error.ends_with("`sapa demo --no-nats`"), "{error}");

    let may = NatsOptions { port: PortChoice::Fixed(port), ..options(folder.path()) };
    let server = NatsServer::start(&nats_server(), may).await.unwrap();
    assert_ne!(server.port(), port);
    server.stop().await;

    drop(taken);
    let free = NatsOptions { port: PortChoice::Fixed(port), ..options(folder.path()) };
    let server = NatsServer::start(&nats_server(), free).await.unwrap();
    assert_eq!(server.port(), port);
    server.stop().await;
}

#[tokio::test]
async fn a_broken_configuration_is_quoted_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let extra = Some("cluster { name: $NOT_SET_ANYWHERE }".to_owned());
    let wanted = NatsOptions { extra, ..options(folder.path()) };
    let error = NatsServer::start(&nats_server(), wanted).await.unwrap_err().to_string();
    assert!(error.contains("NOT_SET_ANYWHERE"), "{error}");
}

#[tokio::test]
async fn who_waits_for_the_server_learns_that_it_died() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start(&nats_server(), options(folder.path())).await.unwrap();
    let (ended, ()) = tokio::join!(server.wait(), server.kill());
    assert!(!ended.unwrap().success());
    assert!(!is_alive(server.pid()));
}

#[test]
fn a_server_outlives_the_thread_and_the_runtime_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(NatsServer::start(&nats_server(), options(folder.path()))).unwrap()
    };
    let server = std::thread::scope(|scope| scope.spawn(start).join().unwrap());
    // Were it tied to that thread, it would be dying now; a connection proves that it is not.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..20 {
        runtime.block_on(async { async_nats::connect(server.url()).await.unwrap() });
    }
    let pid = server.pid();
    drop(server);
    assert!(!is_alive(pid), "a dropped server is gone");
}

/// The second process of the test below. Run by itself, it shows that a held server starts.
#[tokio::test]
async fn holds_a_server_until_it_is_killed() {
    let asked = std::env::var_os(HOLD).map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = asked.as_deref().unwrap_or(temporary.path());
    let server = NatsServer::start(&nats_server(), options(folder)).await.unwrap();
    let cluster = Cluster::start(
        postgres::locate(true).unwrap(),
        ClusterOptions { guard: guard(), ..ClusterOptions::default() },
    )
    .await
    .unwrap();
    if asked.is_some() {
        let pids = format!("{} {}", server.pid(), cluster.pid().unwrap());
        std::fs::write(folder.join("pids.new"), pids).unwrap();
        std::fs::rename(folder.join("pids.new"), folder.join("pids")).unwrap();
        std::future::pending::<()>().await;
    }
    server.stop().await;
}

#[test]
fn a_parent_that_is_killed_takes_its_servers_along() {
    // Fetched before, so that the other process does not have to within the time it gets.
    nats_server();
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_server_until_it_is_killed"])
        .env(HOLD, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pids = folder.path().join("pids");
    eventually("the servers run", || pids.is_file());
    let pids = std::fs::read_to_string(pids).unwrap();
    let pids: Vec<u32> = pids.split(' ').map(|it| it.parse().unwrap()).collect();
    assert!(pids.iter().all(|it| is_alive(*it)));

    // SIGKILL: the parent has no chance to stop anything.
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("the servers are gone", || !pids.iter().any(|it| is_alive(*it)));
}

#[test]
fn the_guard_starts_nothing_for_a_parent_that_is_gone() {
    let marker = tempfile::tempdir().unwrap();
    let file = marker.path().join("started");
    // Our parent's id is not the guard's parent, as if we had died and it had been adopted.
    let gone = std::os::unix::process::parent_id().to_string();
    let done = Command::new(env!("CARGO_BIN_EXE_sapa"))
        .args(["__guard", "--parent", &gone, "--signal", "KILL", "--", "touch"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&done.stderr).contains("is gone"));
    assert!(!file.exists());
}

async fn cluster(options: ClusterOptions) -> Cluster {
    let programs = postgres::locate(true).unwrap_or_else(|error| panic!("{error}"));
    Cluster::start(programs, ClusterOptions { guard: guard(), ..options }).await.expect("a cluster")
}

#[tokio::test]
async fn a_cluster_keeps_what_was_committed_before_it_was_killed() {
    let mut cluster = cluster(ClusterOptions { fsync: true, ..ClusterOptions::default() }).await;
    cluster.create_database("a person's").await.unwrap();
    cluster.query("a person's", "CREATE TABLE kept AS SELECT 'yes' AS it").await.unwrap();
    let before = cluster.pid().unwrap();
    cluster.kill9().await;
    assert!(!is_alive(before));
    assert_eq!(cluster.pid(), None);
    cluster.restart().await.unwrap();
    assert_eq!(cluster.query("a person's", "SELECT it FROM kept").await.unwrap(), "yes");
    cluster.stop().await;
}

#[tokio::test]
async fn a_cluster_runs_with_the_settings_it_was_given() {
    let settings = vec![("work_mem".to_owned(), "5MB".to_owned())];
    let options = ClusterOptions { max_connections: 37, settings, ..ClusterOptions::default() };
    let cluster = cluster(options).await;
    let shown = cluster.query(
        "postgres",
        "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN \
         ('fsync', 'listen_addresses', 'max_connections', 'server_encoding', 'work_mem')",
    );
    assert_eq!(shown.await.unwrap(), "off  37 UTF8 5120");
}

#[tokio::test]
async fn the_url_of_a_cluster_is_understood_on_the_socket_and_over_tcp() {
    for tcp in [false, true] {
        let cluster = cluster(ClusterOptions { tcp, ..ClusterOptions::default() }).await;
        let psql = postgres::locate(true).unwrap().bin.join("psql");
        let done = Command::new(psql)
            .args(["-X", "-A", "-t", "-c", "SELECT 6 * 7"])
            .arg(cluster.url("postgres"))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "42", "tcp {tcp}");
    }
}

#[tokio::test]
async fn a_temporary_cluster_leaves_nothing_and_a_named_one_stays() {
    let named = tempfile::Builder::new().prefix("sapa-it").tempdir().unwrap();
    let dir = named.path().join("cluster");
    std::fs::set_permissions(named.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let stays = || ClusterOptions { dir: Some(dir.clone()), ..ClusterOptions::default() };
    let first = cluster(stays()).await;
    first.create_database("stays").await.unwrap();
    let pid = first.pid().unwrap();
    drop(first);
    assert!(!is_alive(pid));
    let again = cluster(stays()).await;
    assert_eq!(again.query("stays", "SELECT 1").await.unwrap(), "1");

    let temporary = cluster(ClusterOptions::default()).await;
    let folder = temporary.query("postgres", "SHOW data_directory").await.unwrap();
    assert!(Path::new(&folder).is_dir());
    drop(temporary);
    assert!(!Path::new(&folder).parent().unwrap().exists());
}

#[tokio::test]
async fn a_failed_statement_says_why_and_where_the_log_is() {
    let cluster = cluster(ClusterOptions::default()).await;
    let error = cluster.query("postgres", "SELECT nonsense").await.unwrap_err().to_string();
    assert!(error.contains("\"nonsense\" does not exist"), "{error}");
    assert!(error.ends_with("postgres.log"), "{error}");
}
