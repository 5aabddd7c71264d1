//! A PostgreSQL cluster of our own, for tests and benchmarks: made with `initdb`, reached through
//! a Unix socket in its own folder, trusted by whoever can enter that folder, ended with this
//! process. As root it runs as `nobody`, because PostgreSQL refuses root.
//! It promises that `start` and `restart` return only when the server takes connections.

mod find;
mod standby;

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::Instant;

pub use find::{PgPrograms, locate};

use super::child::{Held, Launch};
use super::guard::{Guard, LastSignal, User};
use super::{Kind, ServerError, last_lines, percent_encoded, scratch};

/// The owner of everything in the cluster.
const SUPERUSER: &str = "sapa";

/// The port in the socket's name when nothing listens on TCP.
const SOCKET_PORT: u16 = 5432;

/// The longest socket path every supported system takes, in bytes.
const SOCKET_PATH_MAX: usize = 103;

/// The user and group `nobody` where the list of users does not say otherwise.
const NOBODY: User = User { uid: 65_534, gid: 65_534 };

/// How long a server may take to recover and take connections.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// How long processes of a killed server may hold its memory, and how long a stop may take.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// How often a starting server is looked at.
const POLL: Duration = Duration::from_millis(10);

/// How a cluster runs.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where it lives and stays; none: a temporary folder, removed with the handle.
    pub dir: Option<PathBuf>,
    /// Whether writes reach the disk. On where a crash is tested, and in benchmarks.
    pub fsync: bool,
    pub max_connections: u32,
    /// Whether it also listens on 127.0.0.1, on a free port, without a password.
    pub tcp: bool,
    /// More settings, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    pub guard: Guard,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            dir: None,
            fsync: false,
            max_connections: 100,
            tcp: false,
            settings: Vec::new(),
            guard: Guard::default(),
        }
    }
}

/// A PostgreSQL cluster. Dropping it ends the server at once.
#[derive(Debug)]
pub struct Cluster {
    programs: PgPrograms,
    options: ClusterOptions,
    folder: PathBuf,
    user: Option<User>,
    port: u16,
    held: Option<Held>,
}

impl Cluster {
    /// Makes the cluster if its folder holds none, and starts it.
    pub async fn start(programs: PgPrograms, options: ClusterOptions) -> Result<Self, ServerError> {
        let folder = match &options.dir {
            Some(folder) => folder.clone(),
            None => scratch::create("sapa-pg").map_err(ServerError::folder(
                "make a temporary folder in",
                &std::env::temp_dir(),
            ))?,
        };
        let port = if options.tcp { free_port()? } else { SOCKET_PORT };
        // From here on a failure drops the value, which removes a temporary folder.
        let mut cluster = Self { programs, options, folder, user: user(), port, held: None };
        cluster.prepare()?;
        if !cluster.data().join("PG_VERSION").is_file() {
            cluster.initialise().await?;
        }
        cluster.run().await?;
        Ok(cluster)
    }

    /// Where clients connect, as sqlx and psql read it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let host = if self.options.tcp {
            Ipv4Addr::LOCALHOST.to_string()
        } else {
            percent_encoded(&self.folder.to_string_lossy())
        };
        format!("postgres://{SUPERUSER}@{host}:{}/{}", self.port, percent_encoded(database))
    }

    /// The process id of the postmaster, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.held.as_ref().map(Held::pid)
    }

    /// Makes an empty database.
    pub async fn create_database(&self, name: &str) -> Result<(), ServerError> {
        self.helper("createdb", &["--maintenance-db=postgres", "--", name]).await.map(drop)
    }

    /// Runs SQL through `psql` and returns its plain rows, columns separated by `|`.
    pub async fn query(&self, database: &str, sql: &str) -> Result<String, ServerError> {
        let options = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql];
        self.helper("psql", &options).await
    }

    /// Stops the server in order: sessions are ended, everything is written.
    pub async fn stop(&mut self) {
        if let Some(held) = self.held.take() {
            held.end(Signal::INT, END_PATIENCE).await;
        }
    }

    /// Kills the server as a power cut would. [`Cluster::restart`] brings it back.
    pub async fn kill9(&mut self) {
        if let Some(held) = self.held.take() {
            held.end(Signal::KILL, END_PATIENCE).await;
        }
    }

    /// Stops the server if it runs, and starts it on the same data at the same address.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await;
        self.run().await
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    /// Makes the folder fit for the socket and for the user that runs the server.
    fn prepare(&self) -> Result<(), ServerError> {
        let folder = &self.folder;
        let socket = folder.join(format!(".s.PGSQL.{}", self.port));
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(ServerError::Option {
                option: "the folder of the PostgreSQL cluster",
                rule: format!("makes a socket path longer than {SOCKET_PATH_MAX} bytes"),
                remedy: "set TMPDIR to a folder with a shorter name",
            });
        }
        std::fs::create_dir_all(folder).map_err(ServerError::folder("make", folder))?;
        if let Some(user) = self.user {
            let above = folder.parent().unwrap_or(folder);
            if !find::is_open_to_all(above) {
                return Err(ServerError::Option {
                    option: "the folder of the PostgreSQL cluster",
                    rule: format!("lies in {}, which only root can enter", above.display()),
                    remedy: "set TMPDIR to a folder that every user can enter, such as /tmp",
                });
            }
            std::os::unix::fs::chown(folder, Some(user.uid), Some(user.gid))
                .map_err(ServerError::folder("give away", folder))?;
        }
        Ok(())
    }

    async fn initialise(&self) -> Result<(), ServerError> {
        let mut command = self.command("initdb");
        command.args(["--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"]);
        command.args(["-U", SUPERUSER, "-D"]).arg(self.data());
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        self.output("initdb", command).await.map(drop)
    }

    /// Starts the server and waits for it. What a killed server left may need a moment to go.
    async fn run(&mut self) -> Result<(), ServerError> {
        let deadline = Instant::now() + END_PATIENCE;
        loop {
            let held = self.launch()?;
            match self.ready(&held).await {
                Ok(()) => {
                    self.held = Some(held);
                    return Ok(());
                }
                Err(ServerError::Start { why, .. })
                    if why.contains("shared memory block") && Instant::now() < deadline =>
                {
                    tokio::time::sleep(POLL).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn launch(&self) -> Result<Held, ServerError> {
        let log = self.log();
        let output = File::create(&log).map_err(ServerError::folder("write", &log))?;
        let program = self.programs.bin.join("postgres");
        let launch = Launch {
            program: program.clone(),
            args: self.arguments().into_iter().map(Into::into).collect(),
            guard: self.options.guard.clone(),
            last_signal: LastSignal::Quit,
            user: self.user,
            output,
            folder: self.folder.clone(),
        };
        Held::start(launch).map_err(|error| failed(format!("{}: {error}", program.display())))
    }

    fn arguments(&self) -> Vec<String> {
        let folder = self.folder.to_string_lossy();
        let options = &self.options;
        let listen = if options.tcp { "127.0.0.1" } else { "" };
        let mut arguments = vec!["-D".to_owned(), self.data().to_string_lossy().into_owned()];
        let mut set = |name: &str, value: &str| {
            arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
        };
        set("listen_addresses", listen);
        set("port", &self.port.to_string());
        // In quotes, because a comma would separate two folders.
        set("unix_socket_directories", &format!("\"{}\"", folder.replace('"', "\"\"")));
        set("fsync", if options.fsync { "on" } else { "off" });
        set("max_connections", &options.max_connections.to_string());
        for (name, value) in &options.settings {
            set(name, value);
        }
        arguments
    }

    /// Waits until the server's own status file says that it takes connections.
    async fn ready(&self, held: &Held) -> Result<(), ServerError> {
        let deadline = Instant::now() + START_PATIENCE;
        let status_file = self.data().join("postmaster.pid");
        while !says_ready(&status_file, held.pid()) {
            if let Some(status) = held.ended() {
                return Err(failed(format!("it ended with {status}: {}", last_lines(&self.log()))));
            }
            if Instant::now() > deadline {
                let waited = START_PATIENCE.as_secs();
                return Err(failed(format!(
                    "not ready after {waited} s: {}",
                    last_lines(&self.log())
                )));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Runs a client program against this cluster.
    async fn helper(&self, program: &'static str, args: &[&str]) -> Result<String, ServerError> {
        let mut command = self.command(program);
        command.arg("-h").arg(&self.folder).arg("-p").arg(self.port.to_string());
        command.args(["-U", SUPERUSER]).args(args);
        self.output(program, command).await
    }

    /// A program of this PostgreSQL, unimpressed by the settings of whoever runs the tests.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.bin.join(program));
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command.current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn output(
        &self,
        program: &'static str,
        mut command: Command,
    ) -> Result<String, ServerError> {
        let helper = |why| ServerError::Helper { program, why, log: self.log() };
        let done = command.output().await.map_err(|error| helper(error.to_string()))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned());
        }
        Err(helper(String::from_utf8_lossy(&done.stderr).trim().replace('\n', " | ")))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The server first: it must not find its folder gone while it still runs.
        self.held = None;
        if self.options.dir.is_none() {
            // What is left is removed by the next process that makes a cluster.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Whether the postmaster with this id has written that it is ready: its id is the first line
/// of the file, its state the eighth. A file left by a killed server has another id.
fn says_ready(status_file: &Path, pid: u32) -> bool {
    let text = std::fs::read_to_string(status_file).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Who the server runs as: `nobody` when we are root, otherwise ourselves.
fn user() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(nobody_in(&users).unwrap_or(NOBODY))
}

fn nobody_in(users: &str) -> Option<User> {
    let mut fields = users.lines().find(|it| it.starts_with("nobody:"))?.split(':').skip(2);
    Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

fn free_port() -> Result<u16, ServerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|it| it.local_addr())
        .map(|it| it.port())
        .map_err(|error| failed(format!("no free port on 127.0.0.1: {error}")))
}

fn failed(why: String) -> ServerError {
    let remedy = "check that the disk has room and that PostgreSQL is installed whole (`apt \
                  install postgresql`), or set DATABASE_URL to a running server";
    ServerError::Start { kind: Kind::Postgres, why, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_found_in_the_list_of_users() {
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:99:98:nobody:/:/sbin/nologin\n";
        assert_eq!(nobody_in(users), Some(User { uid: 99, gid: 98 }));
        assert_eq!(nobody_in("root:x:0:0::/:"), None);
    }

    #[test]
    fn the_status_of_a_killed_server_is_not_taken_for_ours() {
        let folder = scratch::create("sapa-status-test").unwrap();
        let file = folder.join("postmaster.pid");
        std::fs::write(&file, "17\n/d\n1\n5432\n/d\n\n1 2\nready   \n").unwrap();
        assert!(says_ready(&file, 17));
        assert!(!says_ready(&file, 18));
        assert!(!says_ready(&folder.join("none"), 17));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
