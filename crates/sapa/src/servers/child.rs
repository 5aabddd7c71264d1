//! One server process and the thread that holds it.
//! The kernel counts the death of the *thread* that started a process as the death of its parent.
//! Runtime threads and test threads come and go, so each server gets a thread of its own that
//! starts it, waits for it and ends with it: the server lives exactly as long as this process,
//! or until it is told to stop. It works across runtimes and needs none.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::sync::watch;

use super::guard::{Guard, LastSignal, Order, User};

/// What to start and how.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) guard: Guard,
    /// What the server gets when this process dies or the handle is dropped.
    pub(crate) last_signal: LastSignal,
    pub(crate) user: Option<User>,
    /// Where the server's own output goes.
    pub(crate) output: File,
    pub(crate) folder: PathBuf,
}

impl Launch {
    fn command(self) -> io::Result<Command> {
        let mut command = match self.guard {
            Guard::Program(guard) => {
                let order = Order {
                    parent: std::process::id(),
                    signal: self.last_signal,
                    user: self.user,
                    program: self.program.into(),
                    args: self.args,
                };
                let mut command = Command::new(guard);
                command.args(order.into_args());
                command
            }
            Guard::None => {
                let mut command = Command::new(self.program);
                command.args(self.args);
                if let Some(user) = self.user {
                    command.uid(user.uid).gid(user.gid);
                }
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            // PGDATA, PGPORT and their kin would override what we say on the command line.
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        let errors = self.output.try_clone()?;
        command.stdin(Stdio::null()).stdout(self.output).stderr(errors);
        command.current_dir(self.folder);
        // A group of its own: Ctrl-C reaches Sapa alone, which drains before it stops the server.
        command.process_group(0);
        Ok(command)
    }
}

/// A running server process. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Held {
    pid: Pid,
    last_signal: LastSignal,
    /// Whether the process id is still ours to send signals to.
    ours: Arc<Mutex<bool>>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// How often a drop looks whether the process has ended.
const DROP_POLL: Duration = Duration::from_millis(10);

/// How many times it looks before it kills.
const DROP_POLLS: u32 = 300;

impl Held {
    /// Starts the process on a thread that stays until the process ends.
    pub(crate) fn start(launch: Launch) -> io::Result<Self> {
        let last_signal = launch.last_signal;
        let command = launch.command()?;
        let ours = Arc::new(Mutex::new(true));
        let (started, pid) = sync_channel(1);
        let (end, ended) = watch::channel(None);
        let flag = Arc::clone(&ours);
        std::thread::Builder::new()
            .name("server-keeper".to_owned())
            .spawn(move || keep(command, &started, &flag, &end))?;
        let pid = pid.recv().map_err(|_| io::Error::other("the keeper thread ended"))??;
        Ok(Self { pid, last_signal, ours, ended })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits until the process has ended. None: its end could not be observed.
    pub(crate) async fn wait(&self) -> Option<ExitStatus> {
        self.ended.clone().wait_for(Option::is_some).await.ok().and_then(|it| *it)
    }

    /// Sends a signal unless the process has ended. The lock keeps the id from being given to
    /// another process between the look and the signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        if *ours && let Err(error) = rustix::process::kill_process(self.pid, signal) {
            tracing::warn!(pid = self.pid(), %error, "the server could not be signalled");
        }
    }

    /// Asks the process to end, and kills it when it has not after `patience`.
    pub(crate) async fn end(&self, signal: Signal, patience: Duration) {
        self.signal(signal);
        if tokio::time::timeout(patience, self.wait()).await.is_err() {
            self.signal(Signal::KILL);
            self.wait().await;
        }
    }

    /// Ends the process without a runtime, and waits for it.
    pub(crate) fn end_now(&self) {
        self.signal(match self.last_signal {
            LastSignal::Kill => Signal::KILL,
            LastSignal::Quit => Signal::QUIT,
        });
        for _ in 0..DROP_POLLS {
            if self.ended().is_some() {
                return;
            }
            std::thread::sleep(DROP_POLL);
        }
        self.signal(Signal::KILL);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.end_now();
        }
    }
}

/// The life of the thread: start, report, wait, report.
fn keep(
    mut command: Command,
    started: &SyncSender<io::Result<Pid>>,
    ours: &Mutex<bool>,
    end: &watch::Sender<Option<ExitStatus>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // The starter waits for exactly one report; if it is gone, nobody is to be told.
            let _ = started.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    let _ = started.send(Ok(pid));
    // Waits without collecting: until the process is collected its id cannot be given away.
    while let Err(rustix::io::Errno::INTR) =
        rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
    {
    }
    let mut ours = ours.lock().unwrap_or_else(PoisonError::into_inner);
    let status = child.wait();
    *ours = false;
    drop(ours);
    end.send_replace(status.ok());
}
