//! Where it is measured: a PostgreSQL cluster with fsync, folders for SQLite, a nats-server that
//! syncs every write, the `sapa` that this machine has just built. All of it ends with the run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use events::time::Clock;
use sapa::clock::SystemClock;
use sapa::servers::guard::{Guard, guard_program};
use sapa::servers::nats::{NatsOptions, NatsServer, Search};
use sapa::servers::postgres::{Cluster, ClusterOptions};
use serde_json::{Value, json};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use store::db::Place;
use store::{Appender, Bell, Log, Writer};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Connections of a raw pool, and callers of ours.
pub const CALLERS: u32 = 64;

/// The servers of this run.
pub struct Ground {
    cluster: Cluster,
    next: AtomicU32,
    /// The freshly built program.
    pub program: PathBuf,
    /// Rounds of each figure.
    pub rounds: usize,
    /// Divides the amounts of work; 1 for the figures that are written down.
    pub part: u64,
}

impl Ground {
    /// Starts PostgreSQL as a durable server.
    pub async fn start(rounds: usize, part: u64) -> Self {
        let Guard::Program(program) = guard_program() else {
            panic!("there is no sapa beside this program: run `cargo build --release` first");
        };
        let options = ClusterOptions {
            fsync: true,
            max_connections: 300,
            settings: vec![
                ("shared_buffers".into(), "512MB".into()),
                ("max_wal_size".into(), "4GB".into()),
            ],
            guard: guard_program(),
            ..ClusterOptions::default()
        };
        let found = sapa::servers::postgres::locate(true).unwrap_or_else(|error| panic!("{error}"));
        let cluster =
            Cluster::start(found, options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { cluster, next: AtomicU32::new(1), program, rounds, part }
    }

    /// An amount of work, at least 100.
    pub fn amount(&self, whole: u64) -> u64 {
        (whole / self.part).max(100)
    }

    /// The address of a fresh database.
    pub async fn database(&self) -> String {
        let name = format!("measure_{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.cluster.create_database(&name).await.unwrap_or_else(|error| panic!("{error}"));
        self.cluster.url(&name)
    }

    /// Connections of its own to a fresh database.
    pub async fn raw_postgres(&self, connections: u32) -> PgPool {
        let url = self.database().await;
        let options =
            PgPoolOptions::new().min_connections(connections).max_connections(connections);
        options.connect(&url).await.unwrap()
    }

    /// Versions and the machine.
    pub async fn machine(&self) -> Value {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|it| it.strip_prefix("model name")).unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let version =
            self.cluster.query("postgres", "SHOW server_version").await.unwrap_or_default();
        json!({
            "at": events::time::spell(SystemClock.now()),
            "cpu": model.trim_start_matches(['\t', ' ', ':']),
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "memory": memory.lines().next().unwrap_or_default(),
            "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
            "postgresql": version.trim(),
            "nats_server": nats_version(),
            "sapa": env!("CARGO_PKG_VERSION"),
        })
    }
}

fn nats_program() -> PathBuf {
    let search = Search { fetch: true, ..Search::default() };
    sapa::servers::nats::locate(&search).unwrap_or_else(|error| panic!("{error}"))
}

fn nats_version() -> String {
    sapa::servers::nats::version(&nats_program())
        .map_or_else(|error| error.to_string(), |it| it.to_string())
}

/// A broker that has every message on disk before it says so.
pub async fn broker(folder: &Path) -> NatsServer {
    let options =
        NatsOptions { sync_always: true, guard: guard_program(), ..NatsOptions::new(folder) };
    NatsServer::start(&nats_program(), options).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A SQLite file of its own with the settings that our log has.
pub async fn raw_sqlite(folder: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("raw.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap()
}

/// An empty log with its writer at work.
pub struct OpenLog {
    /// The log.
    pub log: Log,
    /// The way in.
    pub appender: Appender,
    /// Where it lives.
    pub place: Place,
    stop: CancellationToken,
    _folder: Option<TempDir>,
}

impl Drop for OpenLog {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl OpenLog {
    /// In a fresh database of the durable server.
    pub async fn postgres(ground: &Ground) -> Self {
        Self::at(Place::Server(ground.database().await), None).await
    }

    /// In a temporary folder.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::at(Place::Folder(folder.path().to_owned()), Some(folder)).await
    }

    async fn at(place: Place, folder: Option<TempDir>) -> Self {
        let log = Log::open(&place, 8, Uuid::from_u128(7)).await.unwrap();
        let bell = Bell::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (writer, appender) = Writer::new(log.db().clone(), clock, bell, 4_096);
        let stop = CancellationToken::new();
        tokio::spawn(writer.run(stop.clone()));
        Self { log, appender, place, stop, _folder: folder }
    }
}

/// Things a second.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
pub fn rate(things: u64, took: Duration) -> f64 {
    things as f64 / took.as_secs_f64()
}

/// Milliseconds since.
pub fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Megabytes of a process that are in memory now (`VmRSS`) or were at most (`VmHWM`).
pub fn memory_mb(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|it| it.starts_with(field)).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|it| it.parse::<f64>().ok());
    kib.map_or(f64::NAN, |it| it / 1_024.0)
}

/// Seconds of processor time that this process has used, its own threads only.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, `utime` and `stime` are the 12th and the 13th.
    let after = stat.rsplit_once(')').map_or("", |it| it.1);
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
