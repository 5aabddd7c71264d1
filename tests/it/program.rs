//! The freshly built `sapa` as a process of its own: started in a folder and an environment of its
//! own, killed, held still, woken, asked to end.
//!
//! It is the program beside this test's, which every test run of the workspace builds. It dies with
//! the test. One that ends on its own for any reason but a missing server fails the test with what
//! it said.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sapa::exit::Exit;
use sapa::servers::guard::{ARGUMENT, Guard, guard_program};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support_nats::eventually;

/// How long a program may take to end once it was asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How many bytes of what it said a failed test shows.
const SHOWN_BYTES: usize = 6_000;

/// One instance and what it keeps between its starts.
pub struct Program {
    binary: PathBuf,
    folder: TempDir,
    settings: Vec<(String, String)>,
    http: u16,
    child: Option<Child>,
    /// How often it ended because a server was not there.
    pub gave_up: u32,
}

impl Program {
    /// An instance that has not started, with these settings: `("nats.url", "…")`.
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let Guard::Program(binary) = guard_program() else {
            panic!("there is no program to test: run `cargo build -p sapa` first");
        };
        let folder = tempfile::tempdir().unwrap();
        let http = free_port();
        let data = folder.path().join("data");
        let own = [
            ("data_dir", data.to_str().unwrap().to_owned()),
            ("http.addr", format!("127.0.0.1:{http}")),
            ("log.format", "text".to_owned()),
        ];
        let given = settings.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let variable = |key: &str| format!("SAPA_{}", key.to_ascii_uppercase().replace('.', "__"));
        let settings = given.chain(own).map(|(key, value)| (variable(key), value)).collect();
        Self { binary, folder, settings, http, child: None, gave_up: 0 }
    }

    /// Another setting, or another value of one it has.
    pub fn set(&mut self, key: &str, value: &str) {
        self.variable(&format!("SAPA_{}", key.to_ascii_uppercase().replace('.', "__")), value);
    }

    /// A variable of its environment; the last value counts.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Runs another command of it to its end.
    pub async fn run(&self, args: &[&str]) {
        let mut command = self.command(&self.binary);
        let done = command.args(args).output().await.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "sapa {args:?} ended with {}: {said}", done.status);
    }

    /// Runs another command of it in its folder to its end, however it ends.
    pub async fn output(&self, args: &[&str]) -> Output {
        self.command(&self.binary).args(args).output().await.unwrap()
    }

    /// Runs lines of a shell in its folder and its environment until one of them fails; `sapa` is this
    /// program there, and asks this instance.
    pub async fn shell(&self, script: &str) -> Output {
        let folder = self.folder.path().join("bin");
        std::fs::create_dir_all(&folder).unwrap();
        let script_of_sapa = folder.join("sapa");
        let line = format!("exec '{}' \"$@\" --server {}\n", self.binary.display(), self.url());
        std::fs::write(&script_of_sapa, format!("#!/bin/sh\n{line}")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script_of_sapa, mode).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.command(Path::new("/bin/sh"));
        command.env("PATH", format!("{}:{path}", folder.display()));
        command.args(["-e", "-c", script]).output().await.unwrap()
    }

    /// The same with one setting otherwise.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let name = format!("SAPA_{}", key.to_ascii_uppercase().replace('.', "__"));
        self.settings.retain(|(it, _)| *it != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Starts another command of it in its folder, which dies with the test.
    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(&self.binary);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true).spawn().unwrap()
    }

    /// Its folder, where its commands run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts `sapa serve` and returns at once.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command(&self.binary);
        // It becomes the service, and the kernel ends it with this process.
        command.args([ARGUMENT, "--parent", &std::process::id().to_string(), "--signal", "KILL"]);
        command.arg("--").arg(&self.binary).arg("serve");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.kill_on_drop(true).spawn().unwrap());
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        let client = http_client();
        let url = format!("{}/readyz", self.url());
        let is_ready = async || {
            let asked = client.get(&url).send().await;
            asked.is_ok_and(|it| it.status().is_success())
        };
        eventually("the program is ready", is_ready).await;
    }

    /// The admin key that its first start wrote.
    pub fn key(&self) -> String {
        let path = sapa::serve::first::admin_key_file(&self.data());
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("it runs")
    }

    /// Holds it still, wakes it, or whatever a signal does.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has just ended on its own cannot be killed, and is judged like any other.
            let _ = child.start_kill();
            let status = child.wait().await.unwrap();
            self.judge(status);
        }
    }

    /// Waits until it ends on its own, which it may do only where a server was not there.
    pub async fn gives_up(&mut self) {
        let child = self.child.as_mut().expect("it runs");
        let status = child.wait().await.unwrap();
        self.child = None;
        self.judge(status);
    }

    /// Asks it to end, as a service manager does.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("it runs");
        let ended = tokio::time::timeout(STOP_PATIENCE, child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it does not end: {}", self.said())).unwrap();
        assert!(status.success(), "it ended with {status}: {}", self.said());
    }

    fn judge(&mut self, status: ExitStatus) {
        match status.code() {
            None => {}
            Some(it) if it == i32::from(Exit::Unavailable.number()) => self.gave_up += 1,
            Some(it) => panic!("it ended on its own with {it}: {}", self.said()),
        }
    }

    /// The last of what it said.
    pub fn said(&self) -> String {
        let bytes = std::fs::read(self.log()).unwrap_or_default();
        let from = bytes.len().saturating_sub(SHOWN_BYTES);
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("serve.log")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // Nothing of the environment of whoever runs the tests reaches it.
        command.env_clear().current_dir(self.folder.path());
        for kept in ["PATH", "HOME", "XDG_CACHE_HOME"] {
            command.envs(std::env::var_os(kept).map(|it| (kept, it)));
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what {} said at last:\n{}", self.url(), self.said());
        }
    }
}

/// A client that waits two seconds for an answer and goes through no proxy.
pub fn http_client() -> reqwest::Client {
    sapa::client::install_cryptography();
    reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build().unwrap()
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
