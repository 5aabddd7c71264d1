//! The peers that install from a registry, beside Sapa: the rate of single appends, and T1 to T3 as
//! each peer's own documentation would do them.
//!
//! Every peer is a small program in tests/peers that prints one line of JSON for each measure. It is
//! copied beside the build, installed and built there. A peer that cannot be is a line of the
//! report, never left out.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::append::many_callers;
use crate::ground::{Ground, OpenLog};
use crate::report::{Goal, Line, Report};
use crate::torture::{CRASHED, CRASHES, Column, EVENTS, IDEMPOTENCY, REPEATED, VISIBILITY};

/// Events of one round of P1.
const MANY: u64 = 20_000;
/// How long installing one peer, and one measure of it, may take.
const PATIENCE: Duration = Duration::from_mins(20);

/// One peer.
struct Peer {
    /// As its authors write it.
    name: &'static str,
    /// Its folder in tests/peers, and beside the build.
    folder: &'static str,
    /// What installs and builds it there.
    prepare: &'static [&'static str],
    /// What runs it there.
    run: &'static [&'static str],
    /// What it can be put under.
    tortures: &'static [&'static str],
    /// How much faster single appends should be here.
    goal: f64,
}

const NPM: &[&str] = &["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"];

const CARGO: &[&str] = &["cargo", "build", "--release", "--locked", "--target-dir", "target"];

const PEERS: [Peer; 5] = [
    Peer {
        name: "mire",
        folder: "rust",
        prepare: CARGO,
        run: &["./target/release/sapa-peers"],
        tortures: &["t1", "t2"],
        goal: 5.0,
    },
    Peer {
        name: "cqrs-es",
        folder: "cqrs-es",
        prepare: CARGO,
        run: &["./target/release/sapa-peer-cqrs-es"],
        // It has no reader that follows the log, so there is nothing for T1 to look at.
        tortures: &["t2"],
        goal: 5.0,
    },
    Peer {
        name: "Emmett",
        folder: "emmett",
        prepare: NPM,
        run: &["node", "run.mjs"],
        tortures: &["t1", "t2", "t3"],
        goal: 7.0,
    },
    Peer {
        name: "message-db",
        folder: "message-db",
        prepare: NPM,
        run: &["node", "run.mjs"],
        tortures: &["t1", "t2", "t3"],
        goal: 7.0,
    },
    Peer {
        name: "UmaDB",
        folder: "umadb",
        prepare: &[
            "python3",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--upgrade",
            "--target",
            "packages",
            "--requirement",
            "requirements.txt",
        ],
        run: &["python3", "run.py"],
        tortures: &["t1", "t2"],
        goal: 2.0,
    },
];

/// Measures all of them.
pub async fn measure(ground: &Ground, report: &mut Report) {
    let mut ready = Vec::new();
    for peer in &PEERS {
        eprintln!("installing {}", peer.name);
        match peer.prepare().await {
            Ok(()) => ready.push(peer),
            Err(error) => failed(report, "P1", peer, &error),
        }
    }
    appends(ground, &ready, report).await;
    for peer in ready {
        for measure in peer.tortures {
            torture(ground, peer, measure, report).await;
        }
    }
}

/// What the peers that are written in JavaScript share.
const SHARED: &str = "torture.mjs";

/// What lies in the source only where somebody has run a peer by hand.
const MADE: [&str; 4] = ["node_modules", "packages", "target", "__pycache__"];

/// The folder beside the build that the peers are installed in, whatever the profile.
fn installed() -> PathBuf {
    crate::target().with_file_name("peers")
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if MADE.iter().any(|it| name == *it) {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            copy_file(&path, &to.join(name))?;
        }
    }
    Ok(())
}

/// Leaves alone what is the same, so that nothing is built again for it.
fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    let bytes = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    std::fs::write(to, bytes)
}

impl Peer {
    /// Where it is installed: the source stays as it is.
    fn folder(&self) -> PathBuf {
        installed().join(self.folder)
    }

    fn command(&self, words: &[&str]) -> Command {
        let (program, rest) = words.split_first().expect("a peer has words to run it with");
        let mut command = match program.strip_prefix("./") {
            Some(own) => Command::new(self.folder().join(own)),
            None => Command::new(program),
        };
        // What cargo tells this program about its own package is none of a peer's business.
        for (name, _) in std::env::vars_os() {
            let told = name.to_string_lossy();
            let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_TARGET_"];
            if own.iter().any(|it| told.starts_with(it)) {
                command.env_remove(&name);
            }
        }
        command.args(rest).current_dir(self.folder()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn prepare(&self) -> Result<(), String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let copied = copy(&source.join(self.folder), &self.folder())
            .and_then(|()| copy_file(&source.join(SHARED), &installed().join(SHARED)));
        copied.map_err(|error| format!("its program cannot be copied: {error}"))?;
        ended(self.command(self.prepare)).await.map(drop)
    }

    /// The line that the peer prints.
    async fn figures(&self, measure: &str, url: &str, amount: u64) -> Result<Value, String> {
        let mut command = self.command(self.run);
        command.args([measure, url, &amount.to_string()]);
        let said = ended(command).await?;
        let line = said.lines().last().unwrap_or_default();
        serde_json::from_str(line).map_err(|error| format!("it printed no figures: {error}"))
    }
}

/// What a command printed, once it has ended well.
async fn ended(mut command: Command) -> Result<String, String> {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| format!("no end within {} s", PATIENCE.as_secs()))?;
    let output = output.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    eprintln!("{said}");
    let last = said.lines().rfind(|it| !it.trim().is_empty()).unwrap_or_default();
    Err(format!("{}: {}", output.status, last.trim()))
}

fn failed(report: &mut Report, id: &'static str, peer: &Peer, error: &str) {
    let what = format!("NOT MEASURED: {} cannot be run: {error}", peer.name);
    report.add(Line::of_a_peer(id, what, peer.name, f64::NAN, ""));
}

/// P1: ours and every peer's, one after the other in every round.
async fn appends(ground: &Ground, peers: &[&Peer], report: &mut Report) {
    let count = ground.amount(MANY);
    let mut ours = Vec::new();
    let mut theirs: Vec<Result<(String, Vec<f64>), String>> =
        peers.iter().map(|_| Ok((String::new(), Vec::new()))).collect();
    for _ in 0..ground.rounds {
        let log = OpenLog::postgres(ground).await;
        ours.push(many_callers(&log, count).await);
        drop(log);
        for (peer, own) in peers.iter().zip(&mut theirs) {
            let Ok((named, rates)) = own else { continue };
            match peer.figures("p1", &ground.database().await, count).await {
                Ok(line) => {
                    *named = spelled(&line);
                    rates.push(line["per_second"].as_f64().unwrap_or(f64::NAN));
                }
                Err(error) => *own = Err(error),
            }
        }
    }
    for (peer, own) in peers.iter().zip(theirs) {
        match own {
            Ok((named, rates)) => report.add(
                Line::plain("P1", "single events, 64 callers, PostgreSQL", &ours, "events/s")
                    .beside(named, &rates)
                    .goal(Goal::AtLeast(peer.goal)),
            ),
            Err(error) => failed(report, "P1", peer, &error),
        }
    }
}

async fn torture(ground: &Ground, peer: &Peer, measure: &str, report: &mut Report) {
    let (id, columns, amount): (_, &[Column], _) = match measure {
        "t1" => ("T1", &VISIBILITY, ground.amount(EVENTS)),
        "t2" => ("T2", &IDEMPOTENCY, ground.amount(REPEATED)),
        _ => ("T3", &CRASHED, (CRASHES / ground.part).max(20)),
    };
    let line = match peer.figures(measure, &ground.database().await, amount).await {
        Ok(line) => line,
        Err(error) => return failed(report, id, peer, &error),
    };
    let of = match (&line["events"], &line["crashes"]) {
        (events, Value::Null) => format!("{events} events"),
        (events, crashes) => format!("{events} events, {crashes} crashes"),
    };
    for column in columns {
        let figure = line[column.key].as_f64().unwrap_or(f64::NAN);
        let what = format!("{}; {of}", column.words);
        report.add(Line::of_a_peer(id, what, spelled(&line), figure, column.unit));
    }
}

/// The peer, its version and how it was used.
fn spelled(line: &Value) -> String {
    let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    format!("{} {} ({})", word("peer"), word("version"), word("note"))
}
