//! `sapa doctor`: every start-up check with what was found and what to do. It starts nothing, and
//! leaves the tables of the log as they are.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use delivery::recover::standing;
use events::time::Clock;
use jiff::SignedDuration;
use projections::folds::Folds;
use projections::{Views, replace};
use serde_json::{Value, json};
use store::db::{LOG_STEPS, Place};
use store::{Log, OpenError, generations};

use super::backup::{LOG, views_file};
use crate::broker;
use crate::cli::Format;
use crate::clock::SystemClock;
use crate::commands::session::Session;
use crate::config::NatsMode;
use crate::exit::{Exit, Failure};
use crate::say;
use crate::serve::checks::{self, Finding, Verdict};
use crate::serve::lock::{Instance, UNFINISHED_RESTORE};

/// Its arguments: none of its own.
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    /// Looks at everything.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let config = &session.config;
        let mut findings = vec![checks::settings(config), folder(session)];
        findings.extend(Box::pin(database(session)).await);
        findings.extend(ports(session));
        findings.extend(checks::nats(config).await);
        let exit = checks::exit(&findings);
        if session.output.format != Format::Table {
            let all: Vec<Value> = findings.iter().map(line).collect();
            session.output.value(&json!({"ok": exit == Exit::Done, "items": all}), &[])?;
            return Ok(exit);
        }
        for it in &findings {
            let mark = match it.verdict {
                Verdict::Fine => "[+]",
                Verdict::Warning => "[!]",
                Verdict::Refused => "[-]",
            };
            session.output.text(&format!("{mark} {}: {}", it.check, it.found))?;
            if !it.remedy.is_empty() {
                session.output.text(&format!("    {}", it.remedy))?;
            }
        }
        Ok(exit)
    }
}

fn line(it: &Finding) -> Value {
    let verdict = match it.verdict {
        Verdict::Fine => "fine",
        Verdict::Warning => "warning",
        Verdict::Refused => "refused",
    };
    json!({"check": it.check, "verdict": verdict, "found": it.found, "remedy": it.remedy})
}

fn folder(session: &Session) -> Finding {
    let folder = &session.config.data_dir;
    let shown = folder.display();
    match Instance::read(folder) {
        Some(Instance { pid, host, .. }) => Finding::fine(
            "data folder",
            say!(
                "{shown}, in use by process {pid} on {host}",
                "{shown}, dipakai oleh proses {pid} di {host}"
            ),
        ),
        None if folder.is_dir() => Finding::fine("data folder", folder.display().to_string()),
        None => {
            let found =
                say!("{shown}, made at the first start", "{shown}, dibuat saat mulai pertama");
            Finding::fine("data folder", found)
        }
    }
}

/// The database and what is derived from it, without bringing anything up to date.
async fn database(session: &Session) -> Vec<Finding> {
    let place = &session.config.database.place;
    if let Place::Folder(folder) = place {
        if folder.join(UNFINISHED_RESTORE).exists() {
            let found = format!("a restore into {} was interrupted", folder.display());
            let remedy = "Run `sapa restore FILE` again: it begins anew.";
            return vec![Finding::bad("database", Verdict::Refused, found, remedy)];
        }
        if !folder.join(LOG).is_file() {
            let found = format!("{}, made at the first start", place.shown());
            return vec![Finding::fine("database", found)];
        }
    }
    let (log, step) = match Log::look_at(place).await {
        Ok(Some(it)) => it,
        Ok(None) => {
            let found = format!("{}, made at the first start", place.shown());
            return vec![Finding::fine("database", found)];
        }
        // The store's messages end with their remedy.
        Err(error) => {
            return vec![Finding::bad("database", Verdict::Refused, error.to_string(), "")];
        }
    };
    let known = LOG_STEPS.last().map_or(0, |it| it.version);
    let mut findings = vec![match log.head().await {
        _ if known < step => {
            let error = OpenError::Newer { found: step, known };
            Finding::bad("database", Verdict::Refused, error.to_string(), "")
        }
        Err(error) => Finding::bad(
            "database",
            Verdict::Refused,
            format!("{}: {error}", place.shown()),
            "Check that the database answers; if it is damaged, restore a backup.",
        ),
        Ok(head) if step < known => Finding::bad(
            "database",
            Verdict::Warning,
            format!("{}, position {head}, tables at step {step} of {known}", place.shown()),
            "Make a backup; `sapa migrate` or the next start of `sapa serve` brings them up to date.",
        ),
        Ok(head) => Finding::fine("database", format!("{}, position {head}", place.shown())),
    }];
    if step == known {
        findings.push(read_models(place, &log).await);
        findings.extend(published(session, &log).await);
    }
    log.db().close().await;
    findings
}

/// Whether the read models follow from this log, and who folded them.
async fn read_models(place: &Place, log: &Log) -> Finding {
    const CHECK: &str = "read models";
    let looked = async {
        let all = generations::list(log.db()).await?;
        let live = all.iter().rfind(|it| it.state == "live");
        let is_there = |generation| match place {
            Place::Folder(folder) => folder.join(views_file(generation)).is_file(),
            Place::Server(_) => true,
        };
        let Some(live) = live.filter(|it| is_there(it.generation)) else { return Ok(None) };
        let views = Views::open(place.clone(), log.clone(), Arc::new(SystemClock), 1).await?;
        let follows = replace::follows_the_log(&views, i64::MAX).await?;
        Ok::<_, Failure>(Some((live.generation, views.live().folds, follows)))
    };
    match looked.await {
        Err(failure) => Finding::bad(CHECK, Verdict::Refused, failure.what, failure.remedy),
        Ok(None) => Finding::fine(CHECK, "made at the next start"),
        Ok(Some((generation, _, false))) => Finding::bad(
            CHECK,
            Verdict::Refused,
            format!(
                "log_rollback: build {generation} was folded from events that the log does not hold"
            ),
            "Restore the log that belongs to them; or stop Sapa and run `sapa recover`.",
        ),
        Ok(Some((generation, Folds::Own, true))) => {
            Finding::fine(CHECK, format!("build {generation}"))
        }
        Ok(Some((generation, ..))) => Finding::bad(
            CHECK,
            Verdict::Warning,
            format!("another version folded build {generation}"),
            "Nothing to do: `sapa serve` builds them anew.",
        ),
    }
}

/// Whether facts went out that the log does not hold. A managed broker is asked while it runs.
async fn published(session: &Session, log: &Log) -> Option<Finding> {
    const CHECK: &str = "published";
    let nats = &session.config.nats;
    let folder = &session.config.data_dir;
    let (url, token) = match nats.mode {
        NatsMode::Off => return None,
        NatsMode::External => (nats.url.clone()?, None),
        NatsMode::Managed => {
            let token = std::fs::read_to_string(folder.join("nats").join("token")).ok();
            (Instance::read(folder)?.nats?, token)
        }
    };
    let token = token.as_deref().map(str::trim);
    let client = broker::connect(nats, "setup", &url, token, false).await.ok()?;
    let context = async_nats::jetstream::new(client);
    let max_age = SignedDuration::try_from(nats.max_age).unwrap_or(SignedDuration::MAX);
    match standing(&context, log, SystemClock.now(), max_age).await {
        // What is wrong with the stream itself is told by the check of the streams.
        Err(_) => None,
        Ok(it) if it.is_ahead => Some(Finding::bad(
            CHECK,
            Verdict::Refused,
            format!(
                "log_rollback: SAPA_OUT ends at position {}, and agrees with the log up to {} only",
                it.last.unwrap_or_default(),
                it.common
            ),
            "Restore the log that belongs to it; or stop Sapa and run `sapa recover`.",
        )),
        Ok(it) => Some(Finding::fine(
            CHECK,
            format!("up to position {} of {}", it.last.unwrap_or(it.common), it.head),
        )),
    }
}

/// The ports that a start will want.
fn ports(session: &Session) -> Vec<Finding> {
    let config = &session.config;
    let running = Instance::read(&config.data_dir).unwrap_or_default();
    let is_ours =
        |told: Option<&str>, port: u16| told.is_some_and(|it| it.ends_with(&format!(":{port}")));
    let is_free = |addr: SocketAddr| std::net::TcpListener::bind(addr).is_ok();
    let addr = config.http.addr;
    let mut findings = vec![if is_ours(running.http.as_deref(), addr.port()) {
        Finding::fine("http port", format!("{addr}, where Sapa listens"))
    } else if is_free(addr) {
        Finding::fine("http port", format!("{addr} is free"))
    } else {
        Finding::bad(
            "http port",
            Verdict::Refused,
            format!(
                "cannot listen on {addr}: another program does, or it is no address of this machine"
            ),
            "Stop what listens there, or choose another http.addr.",
        )
    }];
    if config.nats.mode == NatsMode::Managed {
        let port = config.nats.managed_port;
        findings.push(if is_ours(running.nats.as_deref(), port) {
            Finding::fine("nats port", format!("{port}, where our nats-server listens"))
        } else if is_free(SocketAddr::from(([127, 0, 0, 1], port))) {
            Finding::fine("nats port", format!("{port} is free"))
        } else {
            Finding::bad(
                "nats port",
                Verdict::Warning,
                format!("another program listens on {port}, so our nats-server takes any free port"),
                "Stop what listens there, or choose another nats.managed_port, so that publishers find it.",
            )
        });
    }
    findings
}
