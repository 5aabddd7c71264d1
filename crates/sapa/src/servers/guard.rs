//! The guard: `sapa __guard --parent PID --signal NAME [--uid N --gid N] -- program argument…`
//! asks the kernel for a signal when its parent dies, checks that the parent is still there,
//! and becomes the program. The request survives `exec`, so the server ends with its parent even
//! when the parent is killed and cannot clean up. Linux only; elsewhere servers start without it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use rustix::process::{Gid, Pid, Signal, Uid};

/// The hidden first argument of `sapa`.
pub const ARGUMENT: &str = "__guard";

/// What a shell answers for a program that cannot be run.
const CANNOT_RUN: u8 = 127;

/// How a server is tied to the life of the process that starts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// This `sapa` program starts the server, which then dies with its parent in every case.
    Program(PathBuf),
    /// The server is killed when its handle is dropped, and outlives a parent that is killed.
    None,
}

impl Default for Guard {
    fn default() -> Self {
        guard_program()
    }
}

/// Finds the program that can guard: this one, or the `sapa` beside or above a test program.
#[must_use]
pub fn guard_program() -> Guard {
    if !cfg!(target_os = "linux") {
        return Guard::None;
    }
    let Ok(current) = std::env::current_exe() else {
        return Guard::None;
    };
    if current.file_name() == Some(OsStr::new("sapa")) {
        return Guard::Program(current);
    }
    current
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("sapa"))
        .find(|program| program.is_file())
        .map_or(Guard::None, Guard::Program)
}

/// A user and group to run a server as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The signal a server gets when its parent dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastSignal {
    /// Certain and at once.
    Kill,
    /// PostgreSQL's immediate shutdown, which also ends its own children.
    Quit,
}

impl LastSignal {
    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
        }
    }

    const fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Quit => Signal::QUIT,
        }
    }
}

/// One command line of the guard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) parent: u32,
    pub(crate) signal: LastSignal,
    pub(crate) user: Option<User>,
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
}

impl Order {
    /// The arguments that `parse` reads back, the hidden first one included.
    pub(crate) fn into_args(self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![ARGUMENT.into(), "--parent".into()];
        args.push(self.parent.to_string().into());
        args.extend(["--signal".into(), self.signal.name().into()]);
        if let Some(user) = self.user {
            args.extend(["--uid".into(), user.uid.to_string().into()]);
            args.extend(["--gid".into(), user.gid.to_string().into()]);
        }
        args.extend(["--".into(), self.program]);
        args.extend(self.args);
        args
    }

    fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let (mut parent, mut uid, mut gid) = (None, None, None);
        let mut signal = LastSignal::Kill;
        loop {
            let name = args.next().ok_or("no program after --")?;
            if name == "--" {
                break;
            }
            let value = args.next().ok_or("an option without its value")?;
            let value = value.to_string_lossy();
            match name.to_string_lossy().as_ref() {
                "--parent" => parent = Some(number(&value)?),
                "--uid" => uid = Some(number(&value)?),
                "--gid" => gid = Some(number(&value)?),
                "--signal" if value == "KILL" => signal = LastSignal::Kill,
                "--signal" if value == "QUIT" => signal = LastSignal::Quit,
                other => return Err(format!("{other} {value} is not known")),
            }
        }
        Ok(Self {
            parent: parent.ok_or("--parent is missing")?,
            signal,
            user: uid.zip(gid).map(|(uid, gid)| User { uid, gid }),
            program: args.next().ok_or("no program after --")?,
            args: args.collect(),
        })
    }
}

fn number(value: &str) -> Result<u32, String> {
    value.parse().map_err(|_| format!("{value} is not a number"))
}

/// Runs the guard with the arguments after `__guard`. Returns only when the server cannot be run.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let why = match Order::parse(args) {
        Ok(order) => become_server(order),
        Err(why) => format!("{why}; this is internal to sapa and not meant to be called by hand"),
    };
    eprintln!("sapa {ARGUMENT}: {why}");
    ExitCode::from(CANNOT_RUN)
}

/// Gives up root if asked, ties this process to its parent, and becomes the server.
/// Returns the reason when that is not possible.
fn become_server(order: Order) -> String {
    // The order matters: changing the user would make the kernel forget the death signal.
    if let Some(user) = order.user
        && let Err(error) = give_up_root(user)
    {
        return format!("cannot become user {}: {error}", user.uid);
    }
    if let Err(error) = tie_to_parent(order.signal) {
        return format!("cannot ask for a signal at the parent's death: {error}");
    }
    // A parent that died before the line above sends no signal any more.
    let parent = rustix::process::getppid().map(Pid::as_raw_nonzero);
    if parent.and_then(|it| u32::try_from(it.get()).ok()) != Some(order.parent) {
        return format!("process {} is gone, so nothing is started", order.parent);
    }
    let error = Command::new(&order.program).args(order.args).exec();
    format!("cannot run {}: {error}", order.program.display())
}

/// The guard has one thread, so what is changed for the thread is changed for the process.
fn give_up_root(user: User) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

#[cfg(target_os = "linux")]
fn tie_to_parent(signal: LastSignal) -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(signal.signal()))
}

#[cfg(not(target_os = "linux"))]
fn tie_to_parent(_: LastSignal) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split(' ').map(OsString::from)
    }

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let order = || Order {
            parent: 17,
            signal: LastSignal::Quit,
            user: Some(User { uid: 65534, gid: 65533 }),
            program: "postgres".into(),
            args: vec!["-D".into(), "--".into()],
        };
        let written = order().into_args().into_iter().skip(1);
        assert_eq!(Order::parse(written), Ok(order()));
    }

    #[test]
    fn an_incomplete_order_is_refused() {
        for bad in
            ["--parent 1", "-- nats-server", "--parent x -- y", "--parent 1 --", "--new 1 -- x"]
        {
            assert!(Order::parse(words(bad)).is_err(), "{bad} should be refused");
        }
    }
}
