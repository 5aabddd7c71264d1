//! The service of one process: started piece by piece, told where it listens, run until a signal.
//! What answers comes first; what catches up comes after it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::metrics::Metrics;
use events::mint::Ids;
use events::time::Clock;
use store::db::Place;
use store::lease::{self, LEADER, RENEW_EVERY};
use store::{Appender, Bell, Log, Meter, Writer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::compose::Parts;
use super::lock::{Instance, Lock, UNFINISHED_RESTORE};
use super::nats::broker;
use super::{checks, compose, first, private_folder};
use crate::clock::{SystemClock, SystemIds};
use crate::config::{Config, NatsMode};
use crate::exit::{Exit, Failure};
use crate::lifecycle::{Ended, Task, Tasks, another_signal};
use crate::say;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit of this build, where its builder said it.
pub const COMMIT: &str = match option_env!("SAPA_COMMIT") {
    Some(it) => it,
    None => "unknown",
};

/// How a service is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `sapa serve`.
    Serve,
    /// `sapa demo`: keys are for trying, the managed broker asks nobody.
    Demo,
}

/// What every part works with.
#[derive(Clone, Debug)]
pub struct Base {
    /// What is set.
    pub config: Arc<Config>,
    /// How it is run.
    pub mode: Mode,
    /// The log, for reading.
    pub log: Log,
    /// The way into the log.
    pub appender: Appender,
    /// Rings when something was appended.
    pub bell: Bell,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// This start of this process, for leases.
    pub holder: String,
    /// Reactions begin when this is cancelled: the demo records its story first.
    pub decide: CancellationToken,
}

impl Base {
    /// Where the parts below the faces count.
    #[must_use]
    pub fn meter(&self) -> Arc<dyn Meter> {
        Arc::clone(&self.metrics) as Arc<dyn Meter>
    }
}

/// A service that runs.
#[derive(Debug)]
pub struct Service {
    /// What its parts work with.
    pub base: Base,
    /// Where it listens.
    pub http: SocketAddr,
    /// Where the broker is, if there is one.
    pub nats: Option<String>,
    /// The parts that run.
    pub parts: Parts,
    /// The admin key, if this start wrote one.
    pub new_key: Option<PathBuf>,
    tasks: Tasks,
    // Held until the process ends.
    _locks: Vec<Lock>,
}

impl Service {
    /// Starts everything; when this returns the service answers.
    pub async fn start(config: Config, mode: Mode) -> Result<Self, Failure> {
        checks::settings(&config).refuse()?;
        private_folder(&config.data_dir)?;
        let mut locks = locks(&config)?;
        let with_token = mode == Mode::Serve;
        let (opened, broker) = tokio::join!(open(&config, mode), broker(&config, with_token));
        let (log, new_key) = opened?;
        let broker = broker?;
        refuse_second_broker(&log, &config).await?;

        let listener = listen(config.http.addr, mode).await?;
        let http = listener.local_addr().map_err(Failure::internal)?;
        let mut tasks = Tasks::new(config.shutdown_grace);
        let base = base(config, mode, log, &mut tasks);
        if mode == Mode::Serve {
            base.decide.cancel();
        }
        for lock in &mut locks {
            lock.tell(Some(format!("http://{http}")), broker.as_ref().map(|it| it.url.clone()))?;
        }
        let nats = broker.as_ref().map(|it| it.url.clone());
        let parts = Box::pin(compose::compose(&base, listener, broker, &mut tasks)).await?;
        Ok(Self { base, http, nats, parts, new_key, tasks, _locks: locks })
    }

    /// The table of tasks, to add one that goes on until the end.
    pub fn tasks(&mut self) -> &mut Tasks {
        &mut self.tasks
    }

    /// Runs until `asked` (the first signal) or until a task ends, then stops everything.
    pub async fn run(self, asked: impl Future<Output = ()>) -> Exit {
        let asked = async {
            asked.await;
            tracing::info!("stopping");
        };
        let ended = self.tasks.run(asked, another_signal()).await;
        self.base.log.db().close().await;
        match ended {
            Ended::Asked => Exit::Done,
            Ended::Overdue => {
                tracing::warn!("stopped before everything was finished; nothing recorded is lost");
                Exit::Done
            }
            Ended::Failed(Task::NatsServer) => Exit::Unavailable,
            Ended::Failed(_) => Exit::Failed,
        }
    }
}

/// A file can have one writer, and the files of a managed nats-server one server. A database server
/// sorts several instances out itself.
pub fn locks(config: &Config) -> Result<Vec<Lock>, Failure> {
    let mut folders = Vec::new();
    if let Place::Folder(folder) = &config.database.place {
        if folder.join(UNFINISHED_RESTORE).exists() {
            return Err(Failure::config(
                format!("a restore into {} was interrupted", folder.display()),
                "Run `sapa restore FILE` again: it begins anew.",
            ));
        }
        folders.push(folder);
    }
    if config.nats.mode == NatsMode::Managed && !folders.contains(&&config.data_dir) {
        folders.push(&config.data_dir);
    }
    let take = |folder: &&std::path::PathBuf| {
        private_folder(folder)?;
        Lock::take(folder)
    };
    folders.iter().map(take).collect()
}

/// Refuses a nats-server of its own where another instance leads on the same database: facts leave
/// through the broker of the leader, so those who listen at this one would hear nothing.
async fn refuse_second_broker(log: &Log, config: &Config) -> Result<(), Failure> {
    let is_shared = matches!(config.database.place, Place::Server(_));
    if !is_shared || config.nats.mode != NatsMode::Managed {
        return Ok(());
    }
    let Some((holder, _, until)) = lease::holder(log.db(), LEADER).await? else { return Ok(()) };
    if until <= SystemClock.now() {
        return Ok(());
    }
    // One that was killed renews nothing any more.
    tokio::time::sleep(RENEW_EVERY + Duration::from_secs(1)).await;
    match lease::holder(log.db(), LEADER).await? {
        Some((it, _, renewed)) if it == holder && until < renewed => Err(Failure::config(
            format!(
                "{holder} leads on this database, and a nats-server of this instance would get no facts"
            ),
            "Set nats.url to one broker for all instances; or nats.mode = off, for HTTP only.",
        )),
        _ => Ok(()),
    }
}

/// Opens the log, with a tenant and a key to begin with.
async fn open(config: &Config, mode: Mode) -> Result<(Log, Option<PathBuf>), Failure> {
    let database = &config.database;
    let log = Log::open(&database.place, database.connections(), SystemIds.new_id()).await?;
    first::tenant(log.db(), config, &SystemClock).await?;
    let live = mode == Mode::Serve;
    let new_key = first::admin_key(log.db(), config, &SystemClock, live).await?;
    Ok((log, new_key))
}

/// The listener; the demo takes another port when its own is busy.
async fn listen(addr: SocketAddr, mode: Mode) -> Result<TcpListener, Failure> {
    match TcpListener::bind(addr).await {
        Ok(listener) => Ok(listener),
        Err(error) if mode == Mode::Demo && error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind((addr.ip(), 0)).await.map_err(Failure::internal)
        }
        Err(error) => Err(Failure::new(
            Exit::Unavailable,
            say!("cannot listen on {addr}: {error}", "tidak dapat mendengarkan di {addr}: {error}"),
            say!(
                "Stop what listens there, or choose another http.addr.",
                "Hentikan yang mendengarkan di sana, atau pilih http.addr lain."
            ),
        )),
    }
}

/// Starts the writer, on which everything else stands.
fn base(config: Config, mode: Mode, log: Log, tasks: &mut Tasks) -> Base {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bell = Bell::default();
    let metrics = Arc::new(Metrics::new(VERSION, COMMIT, config.metrics_tenant_label));
    let (writer, appender) =
        Writer::new(log.db().clone(), Arc::clone(&clock), bell.clone(), config.writer_queue);
    let meter = Arc::clone(&metrics) as Arc<dyn Meter>;
    let writer = writer.with_batch(config.writer_batch).with_meter(meter);
    tasks.found(Task::Writer, |stop| async move {
        writer.run(stop).await;
        Ok(())
    });
    let this = Instance::this();
    Base {
        config: Arc::new(config),
        mode,
        log,
        appender,
        bell,
        metrics,
        clock,
        ids: Arc::new(SystemIds),
        decide: CancellationToken::new(),
        holder: format!("{}-{}-{}", this.host, this.pid, SystemIds.new_id()),
    }
}
