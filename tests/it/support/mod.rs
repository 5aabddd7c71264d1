//! What every test stands on: a log of its own on either database, a clock that is moved by hand,
//! events in one line. PostgreSQL is one cluster of our own for the whole run; it ends with the run.
//! A server that cannot be had fails the test with its remedy.

pub mod event;
pub mod files;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use events::envelope::{Receipt, Recorded};
use events::id::Tenant;
use events::time::{Clock, FixedClock};
use sapa::servers::guard::guard_program;
use sapa::servers::postgres::{Cluster, ClusterOptions, locate};
use sapa::servers::{Guard, ServerError};
use store::db::Place;
use store::{AppendError, Appended, Appender, Bell, Log, Writer};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use event::{Event, event};

/// What the clock shows when a test begins.
pub const NOW: &str = "2026-10-03T15:00:00+07:00";

/// Requests that may wait in front of a writer.
const QUEUE: usize = 4_096;

/// An empty log with its writer at work.
#[derive(Debug)]
pub struct TestLog {
    pub place: Place,
    pub log: Log,
    pub appender: Appender,
    pub bell: Bell,
    pub clock: Arc<FixedClock>,
    pub stop: CancellationToken,
    /// Removed with the log that lies in it.
    _folder: Option<TempDir>,
}

/// A log in a temporary folder.
pub async fn sqlite() -> TestLog {
    let folder = tempfile::tempdir().unwrap();
    TestLog::open(Place::Folder(folder.path().to_owned()), Some(folder)).await
}

/// A log in a fresh database of the cluster of this run.
pub async fn postgres() -> TestLog {
    TestLog::open(Place::Server(database().await), None).await
}

/// The address of a fresh database.
pub async fn database() -> String {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let cluster = CLUSTER.get_or_try_init(cluster).await.unwrap_or_else(|error| panic!("{error}"));
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    cluster.create_database(&name).await.unwrap_or_else(|error| panic!("{error}"));
    cluster.url(&name)
}

/// Nobody drops a static, so only the guard sees to it that the server ends with this process.
async fn cluster() -> Result<Cluster, ServerError> {
    let guard = guard_program();
    assert!(
        guard != Guard::None || !cfg!(target_os = "linux"),
        "the server would outlive the tests: run `cargo build -p sapa` first"
    );
    let options = ClusterOptions { guard, max_connections: 300, ..ClusterOptions::default() };
    Cluster::start(locate(true)?, options).await
}

impl TestLog {
    async fn open(place: Place, folder: Option<TempDir>) -> Self {
        let log = Log::open_unsafe_durability(&place, 4, Uuid::from_u128(1)).await.unwrap();
        let clock = Arc::new(FixedClock::at(at(NOW)));
        let bell = Bell::default();
        let stop = CancellationToken::new();
        let (writer, appender) = Writer::new(log.db().clone(), clock.clone(), bell.clone(), QUEUE);
        tokio::spawn(writer.run(stop.clone()));
        Self { place, log, appender, bell, clock, stop, _folder: folder }
    }

    /// Another process on the same log: its own connections, its own writer.
    pub async fn second_writer(&self) -> Appender {
        let log = Log::open_unsafe_durability(&self.place, 2, Uuid::from_u128(2)).await.unwrap();
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (writer, appender) = Writer::new(log.db().clone(), clock, Bell::default(), QUEUE);
        tokio::spawn(writer.run(self.stop.clone()));
        appender
    }

    /// Records one new fact.
    pub async fn record(&self, event: Event) -> Receipt {
        let outcomes = self.append([event]).await.unwrap();
        assert!(outcomes[0].is_new(), "{outcomes:?}");
        outcomes[0].receipt().clone()
    }

    /// Appends one request.
    pub async fn append(
        &self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Vec<Appended>, AppendError> {
        self.appender.append(events.into_iter().map(Event::incoming).collect()).await
    }

    /// All that the log holds, by position.
    pub async fn everything(&self) -> Vec<Recorded> {
        let mut facts = Vec::new();
        loop {
            let last = facts.last().map_or(0, |it: &Recorded| it.position);
            let page = self.log.read_after(last, 500).await.unwrap();
            if page.is_empty() {
                return facts;
            }
            facts.extend(page);
        }
    }
}

/// The tenant of all tests that are about one.
pub fn main_tenant() -> Tenant {
    "main".parse().unwrap()
}

/// An instant as people write it.
pub fn at(text: &str) -> jiff::Timestamp {
    events::time::parse_instant(text).unwrap()
}

/// Turns each promise into one test per database.
macro_rules! contract {
    ($($promise:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::support::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::support::postgres().await).await;
            })+
        }
    };
}
pub(crate) use contract;
