//! A real nats-server and a log on this machine, for the promises about the pipes in and out.
//!
//! Everything lies in one temporary folder and ends with the test. A server that cannot be had fails
//! the test with its remedy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use events::envelope::Recorded;
use events::id::Tenant;
use events::mint::Ids;
use events::time::{Clock, whole_micros};
use ingest::{Ingest, Parts, TenantSettings, Tenants};
use jiff::{SignedDuration, Timestamp};
use sapa::servers::nats::{NatsOptions, NatsServer, PortChoice, Search, locate};
use serde_json::{Value, json};
use store::db::Place;
use store::{Appender, Bell, Log, Writer};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long the slowest thing may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The clock of this machine, without asking `jiff` for it: tests need real times, not real clocks.
#[derive(Debug)]
pub struct TestClock {
    start: tokio::time::Instant,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.start.elapsed()).unwrap();
        whole_micros("2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap() + elapsed)
    }
}

/// Ids that count up.
#[derive(Debug, Default)]
pub struct TestIds(AtomicU64);

impl Ids for TestIds {
    fn new_id(&self) -> Uuid {
        let n = self.0.fetch_add(1, Ordering::Relaxed);
        let salt = u128::from(std::process::id()) << 64;
        Uuid::from_u128((7 << 76) | salt | u128::from(n))
    }
}

/// The nats-server of this machine, fetched if it has none.
pub async fn nats_program() -> PathBuf {
    let found =
        tokio::task::spawn_blocking(|| locate(&Search { fetch: true, ..Search::default() }));
    found.await.unwrap().unwrap_or_else(|error| panic!("{error}"))
}

/// A server and a log.
pub struct Bench {
    folder: TempDir,
    program: PathBuf,
    port: u16,
    server: Option<NatsServer>,
    pub log: Log,
    pub bell: Bell,
    pub appender: Appender,
    pub clock: Arc<TestClock>,
    pub limits: ingest::stream::Limits,
}

impl Bench {
    /// Starts both. `ack_wait` is short in tests that wait for it.
    pub async fn start(ack_wait: Duration) -> Self {
        let program = nats_program().await;
        let folder = tempfile::tempdir().unwrap();
        let server = NatsServer::start(&program, NatsOptions::new(folder.path())).await.unwrap();
        let port = server.port();
        let place = Place::Folder(folder.path().join("log"));
        std::fs::create_dir_all(folder.path().join("log")).unwrap();
        let log = Log::open(&place, 4, Uuid::from_u128(1)).await.unwrap();
        let clock = Arc::new(TestClock { start: tokio::time::Instant::now() });
        let bell = Bell::default();
        let (writer, appender) = Writer::new(log.db().clone(), clock.clone(), bell.clone(), 4_096);
        spawn(writer.run(CancellationToken::new()));
        let limits = ingest::stream::Limits { ack_wait, ..Default::default() };
        let bench = Self {
            folder,
            program,
            port,
            server: Some(server),
            log,
            bell,
            appender,
            clock,
            limits,
        };
        bench.repair().await;
        bench
    }

    /// Makes both streams and the consumer.
    pub async fn repair(&self) {
        let context = self.context().await;
        ingest::stream::create_or_verify(&context, &self.limits, ingest::stream::Mode::Repair)
            .await
            .unwrap();
        let limits = delivery::stream::Limits::default();
        delivery::stream::create_or_verify(&context, &limits, delivery::stream::Mode::Repair)
            .await
            .unwrap();
    }

    /// A connection of its own.
    pub async fn context(&self) -> Context {
        let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let url = format!("nats://127.0.0.1:{}", self.port);
        let client = options.connect(url).await.unwrap();
        let mut context = jetstream::new(client);
        context.set_timeout(Duration::from_secs(5));
        context
    }

    /// Kills the server as a power cut would, and starts it again on the same files and port.
    pub async fn power_cut(&mut self) {
        let server = self.server.take().unwrap();
        server.kill().await;
        drop(server);
        let options = NatsOptions {
            port: PortChoice::Exactly(self.port),
            ..NatsOptions::new(self.folder.path())
        };
        self.server = Some(NatsServer::start(&self.program, options).await.unwrap());
    }

    /// An ingest that is not running yet, with a connection of its own.
    pub async fn ingest(&self) -> (Ingest, Arc<ingest::Counters>) {
        let counters = Arc::new(ingest::Counters::default());
        let parts = Parts {
            context: self.context().await,
            appender: self.appender.clone(),
            log: self.log.clone(),
            clock: self.clock.clone(),
            tenants: watch::channel(tenants()).1,
            home: main(),
            counters: counters.clone(),
            meter: store::meter::silent(),
            ack_wait: self.limits.ack_wait,
        };
        (Ingest::new(parts), counters)
    }

    /// A running ingest.
    pub async fn running(&self) -> Running {
        let (ingest, counters) = self.ingest().await;
        let stop = CancellationToken::new();
        let task = spawn(ingest.run(stop.clone()));
        Running { stop, task, counters }
    }

    /// A relay that is not running yet, with a connection of its own.
    pub async fn relay(&self, page: usize) -> delivery::Relay {
        delivery::Relay {
            context: self.context().await,
            log: self.log.clone(),
            bell: self.bell.clone(),
            clock: self.clock.clone(),
            ids: Arc::new(TestIds::default()),
            counters: Arc::default(),
            page,
            max_age: SignedDuration::from_hours(7 * 24),
        }
    }

    /// Publishes and waits for the broker to have it.
    pub async fn publish(&self, context: &Context, id: &str) {
        let body = event(id).to_string();
        let subject = "sapa.v1.main.in.interaction.contacted";
        context.publish(subject, body.into()).await.unwrap().await.unwrap();
    }

    /// Waits until the log has so many facts, and gives all of them.
    pub async fn recorded(&self, count: usize) -> Vec<Recorded> {
        let wanted = i64::try_from(count).unwrap();
        eventually("the log has them", async || wanted <= self.log.head().await.unwrap()).await;
        self.log.read_after(0, usize::MAX >> 1).await.unwrap()
    }
}

/// A task and the way to stop it.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    pub counters: Arc<ingest::Counters>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// As `kill -9` would: no acknowledgement, nothing given back.
    pub fn kill(self) {
        self.task.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is its own lifecycle")]
pub fn spawn<T: Send + 'static>(it: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(it)
}

/// Waits for something that another process does.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = tokio::time::Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn main() -> Tenant {
    "main".parse().unwrap()
}

pub fn tenants() -> Tenants {
    let settings = TenantSettings {
        fingerprint_key: vec![7; 32],
        may_import: true,
        ..TenantSettings::default()
    };
    Arc::new(BTreeMap::from([(main(), settings)]))
}

/// A contact with one customer, as a front desk sends it.
pub fn event(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/hotel/front-desk",
        "type": "sapa.interaction.contacted.v1", "subject": "c-sari",
        "time": "2026-06-26T10:20:00+07:00", "actor": "staff/rudi", "actorkind": "staff",
        "channel": "phone", "data": { "purpose": "courtesy", "outcome": "reached" }
    })
}
