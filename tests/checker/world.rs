//! The real parts: brokers, a database, instances of the freshly built program, and a proxy between
//! each instance and each server. All of it lies in one folder and ends with the run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use events::planted::Mistake;
use rustix::process::{Pid, Signal, kill_process};
use sapa::exit::Exit;
use sapa::servers::guard::{ARGUMENT, Guard, guard_program};
use sapa::servers::postgres::{Cluster, ClusterOptions};
use store::Log;
use store::db::Place;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::aim::Aim;
use crate::brokers::{Brokers, urls};
use crate::proxy::Proxy;
use crate::rolling::Rolls;
use crate::standby;

/// On which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A file, one instance.
    Sqlite,
    /// A server, two instances.
    Postgres,
}

impl On {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// One `sapa serve`, its proxies, and what it said.
pub struct Instance {
    program: PathBuf,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    /// What its first start stumbles over.
    script: &'static str,
    /// Where it answers.
    pub http: u16,
    /// Between it and each broker.
    pub nats: Vec<Proxy>,
    /// Between it and PostgreSQL.
    pub database: Option<Proxy>,
    child: Option<Child>,
    /// Held still by a signal.
    pub still: bool,
    /// Ends that no fault explains.
    pub anomalies: Vec<String>,
    /// How often it was started.
    pub starts: u32,
}

impl Instance {
    /// Starts it, if it does not run.
    pub fn start(&mut self) {
        if self.child.is_some() {
            return;
        }
        std::fs::create_dir_all(&self.folder).unwrap();
        let log = std::fs::OpenOptions::new();
        let log = log.clone().create(true).append(true).open(self.folder.join("said.log")).unwrap();
        let mut command = self.command();
        if self.starts == 0 && !self.script.is_empty() {
            command.env("SAPA_FAIL", self.script);
        }
        command.args([ARGUMENT, "--parent", &std::process::id().to_string(), "--signal", "KILL"]);
        command.arg("--").arg(&self.program).arg("serve");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.kill_on_drop(true).spawn().unwrap());
        self.starts += 1;
    }

    /// Runs another command of it to its end.
    pub async fn run(&self, words: &[&str]) {
        let done = self.command().args(words).output().await.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "sapa {words:?} ended with {}: {said}", done.status);
    }

    fn command(&self) -> Command {
        std::fs::create_dir_all(&self.folder).unwrap();
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir(&self.folder);
        for kept in ["PATH", "HOME", "XDG_CACHE_HOME"] {
            command.envs(std::env::var_os(kept).map(|it| (kept, it)));
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A signal, if it runs.
    pub fn signal(&mut self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|it| it.try_into().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.still = false;
        if let Some(mut child) = self.child.take() {
            let _ = child.start_kill();
            let _ = child.wait().await;
        }
    }

    /// Asks it to end, as a service manager does; more than 15 s is an anomaly.
    pub async fn stop(&mut self) {
        self.wake();
        self.signal(Signal::TERM);
        if let Some(mut child) = self.child.take() {
            match tokio::time::timeout(Duration::from_secs(15), child.wait()).await {
                Ok(Ok(status)) => self.judge(status),
                _ => self.anomalies.push("did not stop within 15 s of SIGTERM".to_owned()),
            }
        }
    }

    /// Waits until it has ended; nothing if it goes on for longer.
    pub async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let waited = tokio::time::timeout(patience, self.child.as_mut()?.wait()).await;
        let status = waited.ok()?.ok()?;
        self.child = None;
        Some(status)
    }

    /// Lets it go on.
    pub fn wake(&mut self) {
        self.still = false;
        self.signal(Signal::CONT);
    }

    /// Starts it again if it has ended on its own.
    pub fn tend(&mut self) {
        let ended = self.child.as_mut().map(Child::try_wait);
        if let Some(Ok(Some(status))) = ended {
            self.child = None;
            self.judge(status);
        }
        self.start();
    }

    fn judge(&mut self, status: ExitStatus) {
        let code = status.code();
        let unavailable = i32::from(Exit::Unavailable.number());
        if code.is_some_and(|it| it != 0 && it != unavailable) {
            self.anomalies.push(format!("ended with {status}"));
        }
    }

    /// The admin key that the first start wrote.
    pub fn key(&self) -> Option<String> {
        let path = sapa::serve::first::admin_key_file(&self.folder.join("data"));
        std::fs::read_to_string(path).ok().map(|it| it.trim().to_owned())
    }

    /// Where it keeps its file, if it has one.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The lines it said that hold a word.
    pub fn said(&self, word: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join("said.log")).unwrap_or_default();
        text.lines().filter(|it| it.contains(word)).map(str::to_owned).collect()
    }
}

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Which database.
    pub on: On,
    /// How many brokers: 1 or 3.
    pub brokers: usize,
    /// Whether PostgreSQL has a synchronous standby.
    pub standby: bool,
    /// Faults that are aimed.
    pub aim: Option<Aim>,
}

/// Everything of one run.
pub struct World {
    /// Which database.
    pub on: On,
    /// The brokers.
    pub brokers: Brokers,
    /// PostgreSQL, where it is used.
    pub cluster: Option<Cluster>,
    /// What it fails over to, where that is wanted.
    pub standby: Option<Cluster>,
    /// The instances.
    pub instances: Vec<Instance>,
    /// Customers with an event that cannot be folded.
    pub poisoned: u32,
    /// What was restarted in turn.
    pub rolls: Rolls,
    /// The log, read without a proxy.
    pub log: Log,
    /// Where it is.
    pub place: Place,
    /// A key that may do everything.
    pub key: String,
    folder: TempDir,
}

impl World {
    /// Starts all of it and waits until it answers.
    pub async fn start(shape: Shape, program: Option<PathBuf>, mistake: Option<Mistake>) -> Self {
        let on = shape.on;
        let Guard::Program(built) = guard_program() else {
            panic!("there is no program to check: run `cargo build` first");
        };
        let program = program.unwrap_or(built);
        let folder = tempfile::tempdir().unwrap();
        let brokers = Brokers::start(folder.path().join("nats"), shape.brokers).await;
        let (mut cluster, mut second) = (None, None);
        if on == On::Postgres {
            let first = self::cluster(shape.standby).await;
            if shape.standby {
                second = Some(standby::of(&first).await);
            }
            cluster = Some(first);
        }
        let url = cluster.as_ref().map(|it| it.url("sapa"));
        let mut instances = Vec::new();
        for n in 0..if on == On::Sqlite { 1 } else { 2 } {
            let folder = folder.path().join(format!("instance-{n}"));
            let mut instance = instance(&program, folder, &brokers, url.as_deref()).await;
            let planted = mistake.map(|it| ("SAPA_MUTANT".to_owned(), it.number().to_owned()));
            instance.settings.extend(planted);
            if let Some(aim) = &shape.aim {
                instance.settings.push(("SAPA_NATS__ACK_WAIT".to_owned(), aim.ack_wait.to_owned()));
                instance.script = if n == 0 { aim.script } else { "" };
            }
            instances.push(instance);
        }
        instances[0].run(&["setup"]).await;
        for it in &mut instances {
            it.start();
            ready(it.http).await;
        }
        let place = match &url {
            Some(url) => Place::parse(url).expect("the cluster names its databases so"),
            None => Place::Folder(instances[0].data()),
        };
        let log = Log::open(&place, 2, Uuid::from_u128(1)).await.unwrap();
        let key = instances.iter().find_map(Instance::key).expect("the first start writes a key");
        Self {
            on,
            brokers,
            cluster,
            standby: second,
            instances,
            poisoned: 0,
            rolls: Rolls::default(),
            log,
            place,
            key,
            folder,
        }
    }

    /// What all instances and brokers said, by name.
    pub fn said(&self) -> Vec<(String, String)> {
        let instances = (0..self.instances.len()).map(|n| format!("instance-{n}/said.log"));
        let brokers = (0..self.brokers.count()).map(|n| format!("nats/{n}/nats/nats-server.log"));
        let read = |name: String| {
            let bytes = std::fs::read(self.folder.path().join(&name)).unwrap_or_default();
            (name.replace('/', "-"), String::from_utf8_lossy(&bytes).into_owned())
        };
        instances.chain(brokers).map(read).collect()
    }
}

async fn cluster(with_standby: bool) -> Cluster {
    let settings = if with_standby { standby::settings() } else { Vec::new() };
    let guard = guard_program();
    let options = ClusterOptions { fsync: true, tcp: true, guard, settings, ..Default::default() };
    let programs = sapa::servers::postgres::locate(true).unwrap_or_else(|error| panic!("{error}"));
    let cluster = Cluster::start(programs, options).await.unwrap();
    cluster.create_database("sapa").await.unwrap();
    cluster
}

async fn instance(
    program: &std::path::Path,
    folder: PathBuf,
    brokers: &Brokers,
    url: Option<&str>,
) -> Instance {
    let mut nats = Vec::new();
    for port in brokers.ports() {
        nats.push(Proxy::start(local(port)).await.unwrap());
    }
    let doors: Vec<u16> = nats.iter().map(|it| it.port).collect();
    let http = free_port();
    let mut settings = vec![
        ("SAPA_DATA_DIR".to_owned(), folder.join("data").to_string_lossy().into_owned()),
        ("SAPA_HTTP__ADDR".to_owned(), format!("127.0.0.1:{http}")),
        ("SAPA_LOG__FORMAT".to_owned(), "text".to_owned()),
        ("SAPA_NATS__URL".to_owned(), urls(&doors)),
        ("SAPA_NATS__REPLICAS".to_owned(), brokers.count().to_string()),
        // What a killed instance had in its hands comes back after two seconds instead of ten.
        ("SAPA_NATS__ACK_WAIT".to_owned(), "2s".to_owned()),
    ];
    let mut database = None;
    if let Some(url) = url {
        let (rest, port) = split(url);
        let proxy = Proxy::start(local(port)).await.unwrap();
        settings.push(("DATABASE_URL".to_owned(), rest.replace("{}", &proxy.port.to_string())));
        database = Some(proxy);
    }
    Instance {
        program: program.to_owned(),
        folder,
        settings,
        script: "",
        http,
        nats,
        database,
        child: None,
        still: false,
        anomalies: Vec::new(),
        starts: 0,
    }
}

/// `postgres://user@host:port/name` with a place for the port, and the port.
pub fn split(url: &str) -> (String, u16) {
    let (before, after) = url.rsplit_once(':').expect("an address with a port");
    let (port, name) = after.split_once('/').expect("an address with a database");
    (format!("{before}:{{}}/{name}"), port.parse().expect("a port is a number"))
}

async fn ready(port: u16) {
    let client = crate::load::http_client();
    let began = tokio::time::Instant::now();
    loop {
        if is_ready(&client, port).await {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "it does not become ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether an instance says that it is ready.
pub async fn is_ready(client: &reqwest::Client, port: u16) -> bool {
    let asked = client.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
    asked.is_ok_and(|it| it.status().is_success())
}

/// A port of this machine.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A folder with all that is in it.
pub fn copy(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
