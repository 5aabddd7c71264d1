//! `sapa serve` as a process of its own, and the smallest HTTP client that keeps a connection: what
//! is measured should be the server's work, not the client's.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sapa::servers::guard::ARGUMENT;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long anything may take before the run gives up on it.
const PATIENCE: Duration = Duration::from_mins(30);

/// A running service.
pub struct Serving {
    child: Child,
    folder: PathBuf,
    /// Where it listens.
    pub port: u16,
    /// When it was started.
    pub began: Instant,
}

impl Serving {
    /// Starts the program in a folder with these settings, and returns at once.
    pub fn start(program: &Path, folder: &Path, words: &[&str], settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let log = std::fs::File::create(folder.join("said.log")).unwrap();
        let mut command = Command::new(program);
        command.args([
            ARGUMENT,
            "--parent",
            &std::process::id().to_string(),
            "--signal",
            "KILL",
            "--",
        ]);
        command.arg(program).args(words).current_dir(folder).env_clear();
        for kept in ["PATH", "HOME", "XDG_CACHE_HOME"] {
            command.envs(std::env::var_os(kept).map(|it| (kept, it)));
        }
        command.env("SAPA_DATA_DIR", folder.join("data"));
        command.env("SAPA_HTTP__ADDR", format!("127.0.0.1:{port}"));
        command.envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let began = Instant::now();
        let child = command.kill_on_drop(true).spawn().unwrap();
        Self { child, folder: folder.to_owned(), port, began }
    }

    /// Runs another command of it to its end.
    pub async fn run(program: &Path, folder: &Path, words: &[&str], settings: &[(&str, &str)]) {
        let mut command = Command::new(program);
        command.args(words).current_dir(folder).env_clear().envs(settings.iter().copied());
        command.env("SAPA_DATA_DIR", folder.join("data"));
        let done = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "sapa {words:?} ended with {}: {said}", done.status);
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits until it answers, and says how many milliseconds after its start that was.
    pub async fn answers(&self) -> f64 {
        while self.get("/readyz", "").await.is_none_or(|(status, _)| status != 200) {
            assert!(self.began.elapsed() < PATIENCE, "it does not answer: {}", self.said());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        crate::ground::millis(self.began)
    }

    /// One question on a connection of its own; nothing if nobody listens.
    pub async fn get(&self, path: &str, key: &str) -> Option<(u16, Vec<u8>)> {
        let mut connection = Connection::open(self.port).await.ok()?;
        connection.ask(&request("GET", path, key, b"")).await.ok()
    }

    /// A sample of `/metrics`, by its name and labels.
    pub async fn metric(&self, wanted: &str) -> Option<f64> {
        let (_, body) = self.get("/metrics", "").await?;
        let text = String::from_utf8(body).ok()?;
        let line = text.lines().find_map(|it| it.strip_prefix(wanted))?;
        line.trim().parse().ok()
    }

    /// The admin key that its first start wrote.
    pub fn key(&self) -> String {
        let path = sapa::serve::first::admin_key_file(&self.folder.join("data"));
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// What it said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("said.log")).unwrap_or_default()
    }

    /// Ends it.
    pub async fn end(mut self) {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw);
        let _ = rustix::process::kill_process(pid.expect("a pid"), rustix::process::Signal::TERM);
        let _ = self.child.wait().await;
    }
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, key: &str, body: &[u8]) -> Vec<u8> {
    let authorization =
        if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{authorization}content-type: application/cloudevents+json\r\ncontent-length: {}\r\n\r\n",
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// To a port of this machine.
    pub async fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(1 << 16) })
    }

    /// Sends a request and reads status and body.
    pub async fn ask(&mut self, request: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            if let Some(answer) = whole(&self.read) {
                return Ok(answer);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Status and body once all of it is there; both ways of telling a length.
fn whole(read: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = read.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&read[..end]).ok()?.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = &read[end..];
    let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
    if let Some(length) = length {
        let length: usize = length.trim().parse().ok()?;
        return (length <= body.len()).then(|| (status, body[..length].to_vec()));
    }
    body.ends_with(b"0\r\n\r\n").then(|| (status, body.to_vec()))
}
