//! The service of one process: started piece by piece, told where it listens, run until a signal.
//! What answers comes first; what catches up comes after it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use events::mint::Ids;
use events::time::Clock;
use store::db::Place;
use store::{Appender, Bell, Log, Writer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::compose::Parts;
use super::lock::{Instance, Lock};
use super::nats::broker;
use super::{checks, compose, first, private_folder};
use crate::clock::{SystemClock, SystemIds};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::lifecycle::{Ended, Task, Tasks, another_signal};

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
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// This start of this process, for leases.
    pub holder: String,
    /// Reactions begin when this is cancelled: the demo records its story first.
    pub decide: CancellationToken,
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
    _lock: Option<Lock>,
}

impl Service {
    /// Starts everything; when this returns the service answers.
    pub async fn start(config: Config, mode: Mode) -> Result<Self, Failure> {
        checks::settings(&config).refuse()?;
        private_folder(&config.data_dir)?;
        let mut lock = lock(&config)?;
        let with_token = mode == Mode::Serve;
        let (opened, broker) = tokio::join!(open(&config, mode), broker(&config, with_token));
        let (log, new_key) = opened?;
        let broker = broker?;

        let listener = listen(config.http.addr, mode).await?;
        let http = listener.local_addr().map_err(Failure::internal)?;
        let mut tasks = Tasks::new(config.shutdown_grace);
        let base = base(config, mode, log, &mut tasks);
        if mode == Mode::Serve {
            base.decide.cancel();
        }
        if let Some(lock) = &mut lock {
            lock.tell(Some(format!("http://{http}")), broker.as_ref().map(|it| it.url.clone()))?;
        }
        let nats = broker.as_ref().map(|it| it.url.clone());
        let parts = Box::pin(compose::compose(&base, listener, broker, &mut tasks)).await?;
        Ok(Self { base, http, nats, parts, new_key, tasks, _lock: lock })
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

/// A file can have one writer; a server sorts several out itself.
fn lock(config: &Config) -> Result<Option<Lock>, Failure> {
    match &config.database.place {
        Place::Folder(folder) => {
            private_folder(folder)?;
            Lock::take(folder).map(Some)
        }
        Place::Server(_) => Ok(None),
    }
}

/// Opens the log, with a tenant and a key to begin with.
async fn open(config: &Config, mode: Mode) -> Result<(Log, Option<PathBuf>), Failure> {
    let database = &config.database;
    let log = Log::open(&database.place, database.pool_max, SystemIds.new_id()).await?;
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
            format!("cannot listen on {addr}: {error}"),
            "Stop what listens there, or choose another http.addr.",
        )),
    }
}

/// Starts the writer, on which everything else stands.
fn base(config: Config, mode: Mode, log: Log, tasks: &mut Tasks) -> Base {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bell = Bell::default();
    let (writer, appender) =
        Writer::new(log.db().clone(), Arc::clone(&clock), bell.clone(), config.writer_queue);
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
        clock,
        ids: Arc::new(SystemIds),
        decide: CancellationToken::new(),
        holder: format!("{}-{}-{}", this.host, this.pid, SystemIds.new_id()),
    }
}
