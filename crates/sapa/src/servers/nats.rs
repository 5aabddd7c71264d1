//! A nats-server of our own: JetStream on, on 127.0.0.1 only, written through to disk.
//! It promises that `start` returns only when clients can connect and JetStream answers, and that
//! the server ends with this process. It refuses a token it could not write down safely.

mod config;
pub(crate) mod find;

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

pub use find::{Places, Search, locate, locate_in, version};

use super::child::{Held, Launch};
use super::guard::{Guard, LastSignal};
use super::{Kind, ServerError, last_lines};

/// How long a server may take to load its streams and answer.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// How long a server may take to stop before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How often a starting server is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Which port clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// This one, or a free one when it is taken.
    Fixed(u16),
    /// Any free one.
    Free,
    /// This one or none.
    Exactly(u16),
}

/// How a managed server runs.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Sapa's data folder. The server keeps everything in `nats/` inside it.
    pub data_dir: PathBuf,
    pub port: PortChoice,
    /// What clients have to present; none: any program of this machine may connect.
    pub token: Option<String>,
    /// Whether every write reaches the disk before it is acknowledged. Off only in tests.
    pub sync_always: bool,
    /// Text after our own configuration. A setting given twice counts as it is here.
    pub extra: Option<String>,
    pub guard: Guard,
}

impl NatsOptions {
    /// A durable server on any free port, without a token.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: PortChoice::Free,
            token: None,
            sync_always: true,
            extra: None,
            guard: Guard::default(),
        }
    }

    /// Absolute, because the server runs in this folder and reads paths from there.
    fn folder(&self) -> PathBuf {
        let folder = self.data_dir.join("nats");
        std::path::absolute(&folder).unwrap_or(folder)
    }
}

/// A running nats-server. Dropping it kills the server; [`NatsServer::stop`] is the polite way.
#[derive(Debug)]
pub struct NatsServer {
    held: Held,
    port: u16,
    monitor: u16,
}

impl NatsServer {
    /// Writes the configuration, starts the server and waits until JetStream answers.
    pub async fn start(program: &Path, options: NatsOptions) -> Result<Self, ServerError> {
        let wanted = match options.port {
            PortChoice::Free => None,
            PortChoice::Exactly(port) => Some(port),
            PortChoice::Fixed(port) => is_free(port).then_some(port),
        };
        match Self::start_on(program, &options, wanted).await {
            // Somebody took the port between the look and the start.
            Err(_) if matches!(options.port, PortChoice::Fixed(port) if wanted.is_some() && !is_free(port)) => {
                Self::start_on(program, &options, None).await
            }
            result => result,
        }
    }

    async fn start_on(
        program: &Path,
        options: &NatsOptions,
        port: Option<u16>,
    ) -> Result<Self, ServerError> {
        let folder = options.folder();
        prepare(&folder)?;
        let config = config::write(&folder, options, port)?;
        let output = folder.join("nats-server.out");
        let file = File::create(&output).map_err(ServerError::folder("write", &output))?;
        let launch = Launch {
            program: program.to_path_buf(),
            args: vec!["-c".into(), config.into()],
            guard: options.guard.clone(),
            last_signal: LastSignal::Kill,
            user: None,
            output: file,
            folder: folder.clone(),
        };
        let held = Held::start(launch)
            .map_err(|error| failed(format!("{}: {error}", program.display())))?;
        let ports = ready(&held, &folder).await?;
        Ok(Self { held, port: ports.0, monitor: ports.1 })
    }

    /// Where clients connect. A token, if there is one, is not part of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where the server says how it is configured, `sync_always` included.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor)
    }

    /// The port of [`NatsServer::url`].
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server itself.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.held.pid()
    }

    /// Waits until the server has ended by itself or by another hand. None: not observable.
    pub async fn wait(&self) -> Option<ExitStatus> {
        self.held.wait().await
    }

    /// Asks the server to stop, and kills it after five seconds.
    pub async fn stop(self) {
        self.held.end(Signal::TERM, STOP_PATIENCE).await;
    }

    /// Kills the server as a power cut would, and waits until it is gone.
    pub async fn kill(&self) {
        self.held.end(Signal::KILL, STOP_PATIENCE).await;
    }
}

/// Makes the server's folder, and removes what a killed server left that would mislead us.
fn prepare(folder: &Path) -> Result<(), ServerError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(ServerError::folder("make", folder))?;
    for entry in std::fs::read_dir(folder).map_err(ServerError::folder("read", folder))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|it| it == "ports") {
            std::fs::remove_file(&path).map_err(ServerError::folder("remove", &path))?;
        }
    }
    Ok(())
}

/// What the server writes into its ports file.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
}

/// Waits for the ports file and the server's greeting. Returns the client and monitoring ports.
async fn ready(held: &Held, folder: &Path) -> Result<(u16, u16), ServerError> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        if let Some(status) = held.ended() {
            return Err(failed(format!("it ended with {status}: {}", logged(folder))));
        }
        if let Some((port, monitor)) = read_ports(folder, held.pid())
            && let Some(greeting) = greeting(port).await
        {
            if greeting.contains("\"jetstream\":true") {
                return Ok((port, monitor));
            }
            return Err(failed("JetStream is off; remove what switches it off".to_owned()));
        }
        if Instant::now() > deadline {
            let waited = START_PATIENCE.as_secs();
            return Err(failed(format!("no answer after {waited} s: {}", logged(folder))));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The ports the server has bound, once it has written them completely.
fn read_ports(folder: &Path, pid: u32) -> Option<(u16, u16)> {
    // The name begins with the program's, which a configuration may have chosen.
    let ending = format!("_{pid}.ports");
    let is_ours = |path: &PathBuf| path.to_string_lossy().ends_with(&ending);
    let path = std::fs::read_dir(folder).ok()?.flatten().map(|it| it.path()).find(is_ours)?;
    let text = std::fs::read(path).ok()?;
    let ports: Ports = serde_json::from_slice(&text).ok()?;
    Some((port_of(&ports.nats)?, port_of(&ports.monitoring)?))
}

fn port_of(urls: &[String]) -> Option<u16> {
    urls.first()?.rsplit(':').next()?.parse().ok()
}

/// The line every nats-server sends first. It says whether JetStream is on.
async fn greeting(port: u16) -> Option<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    let read = reader.read_line(&mut line);
    tokio::time::timeout(Duration::from_secs(1), read).await.ok()?.ok()?;
    line.starts_with("INFO ").then_some(line)
}

fn logged(folder: &Path) -> String {
    let said = last_lines(&folder.join("nats-server.out"));
    if said.is_empty() { last_lines(&folder.join("nats-server.log")) } else { said }
}

fn failed(why: String) -> ServerError {
    let remedy = "look at nats/nats-server.log in the data folder, choose another port with \
                  nats.managed_port, set NATS_URL to a running server, or start `sapa demo --no-nats`";
    ServerError::Start { kind: Kind::Nats, why, remedy }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
