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
            let shown = folder.display();
            let found =
                say!("a restore into {shown} was interrupted", "pemulihan ke {shown} terputus");
            let remedy = say!(
                "Run `sapa restore FILE` again: it begins from the start.",
                "Jalankan `sapa restore FILE` lagi: ia mulai dari awal."
            );
            return vec![Finding::bad("database", Verdict::Refused, found, remedy)];
        }
        if !folder.join(LOG).is_file() {
            return vec![made_later(place)];
        }
    }
    let (log, step) = match Log::look_at(place).await {
        Ok(Some(it)) => it,
        Ok(None) => return vec![made_later(place)],
        // The store's messages end with their remedy.
        Err(error) => {
            return vec![Finding::bad("database", Verdict::Refused, error.to_string(), "")];
        }
    };
    let known = LOG_STEPS.last().map_or(0, |it| it.version);
    let shown = place.shown();
    let mut findings = vec![match log.head().await {
        _ if known < step => {
            let error = OpenError::Newer { found: step, known };
            Finding::bad("database", Verdict::Refused, error.to_string(), "")
        }
        Err(error) => Finding::bad(
            "database",
            Verdict::Refused,
            format!("{shown}: {error}"),
            say!(
                "Check that the database answers; if it is damaged, restore a backup.",
                "Periksa apakah basis data menjawab; jika rusak, pulihkan dari cadangan."
            ),
        ),
        Ok(head) if step < known => Finding::bad(
            "database",
            Verdict::Warning,
            say!(
                "{shown}, position {head}, tables at step {step} of {known}",
                "{shown}, posisi {head}, tabel di langkah {step} dari {known}"
            ),
            say!(
                "Make a backup; `sapa migrate` or the next start of `sapa serve` brings them up to date.",
                "Buat cadangan; `sapa migrate` atau `sapa serve` berikutnya memperbaruinya."
            ),
        ),
        Ok(head) => {
            Finding::fine("database", say!("{shown}, position {head}", "{shown}, posisi {head}"))
        }
    }];
    if step == known {
        findings.push(read_models(place, &log).await);
        findings.extend(published(session, &log).await);
    }
    log.db().close().await;
    findings
}

fn made_later(place: &Place) -> Finding {
    let shown = place.shown();
    Finding::fine(
        "database",
        say!("{shown}, made at the first start", "{shown}, dibuat saat mulai pertama"),
    )
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
        Ok(None) => {
            Finding::fine(CHECK, say!("made at the next start", "dibuat saat mulai berikutnya"))
        }
        Ok(Some((generation, _, false))) => Finding::bad(
            CHECK,
            Verdict::Refused,
            say!(
                "log_rollback: build {generation} was folded from events that the log does not hold",
                "log_rollback: model {generation} dibuat dari peristiwa yang tidak ada di log"
            ),
            say!(
                "Restore the log that belongs to them; or stop Sapa and run `sapa recover`.",
                "Pulihkan log yang sesuai; atau hentikan Sapa dan jalankan `sapa recover`."
            ),
        ),
        Ok(Some((generation, Folds::Own, true))) => {
            Finding::fine(CHECK, say!("build {generation}", "model {generation}"))
        }
        Ok(Some((generation, ..))) => Finding::bad(
            CHECK,
            Verdict::Warning,
            say!(
                "another version folded build {generation}",
                "model {generation} dibuat oleh versi lain"
            ),
            say!(
                "Nothing to do: `sapa serve` builds them again.",
                "Tidak perlu apa-apa: `sapa serve` membangunnya lagi."
            ),
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
        Ok(it) if it.is_ahead => {
            let (last, common) = (it.last.unwrap_or_default(), it.common);
            let found = say!(
                "log_rollback: SAPA_OUT ends at position {last}, and agrees with the log up to {common} only",
                "log_rollback: SAPA_OUT berakhir di posisi {last}, dan cocok dengan log hanya sampai {common}"
            );
            let remedy = say!(
                "Restore the log that belongs to it; or stop Sapa and run `sapa recover`.",
                "Pulihkan log yang sesuai; atau hentikan Sapa dan jalankan `sapa recover`."
            );
            Some(Finding::bad(CHECK, Verdict::Refused, found, remedy))
        }
        Ok(it) => {
            let (last, head) = (it.last.unwrap_or(it.common), it.head);
            let found = say!("up to position {last} of {head}", "sampai posisi {last} dari {head}");
            Some(Finding::fine(CHECK, found))
        }
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
        let found = say!("{addr}, where Sapa listens", "{addr}, tempat Sapa mendengarkan");
        Finding::fine("http port", found)
    } else if is_free(addr) {
        Finding::fine("http port", say!("{addr} is free", "{addr} bebas"))
    } else {
        Finding::bad(
            "http port",
            Verdict::Refused,
            say!(
                "cannot listen on {addr}: another program does, or it is no address of this machine",
                "tidak bisa mendengarkan di {addr}: dipakai program lain, atau bukan alamat mesin ini"
            ),
            say!(
                "Stop what listens there, or choose another http.addr.",
                "Hentikan program itu, atau pilih http.addr lain."
            ),
        )
    }];
    if config.nats.mode == NatsMode::Managed {
        let port = config.nats.managed_port;
        findings.push(if is_ours(running.nats.as_deref(), port) {
            let found =
                say!("{port}, where our nats-server listens", "{port}, tempat nats-server kami");
            Finding::fine("nats port", found)
        } else if is_free(SocketAddr::from(([127, 0, 0, 1], port))) {
            Finding::fine("nats port", say!("{port} is free", "{port} bebas"))
        } else {
            Finding::bad(
                "nats port",
                Verdict::Warning,
                say!(
                    "another program listens on {port}, so our nats-server takes any free port",
                    "{port} dipakai program lain, jadi nats-server kami memakai port bebas mana pun"
                ),
                say!(
                    "Stop what listens there, or choose another nats.managed_port, so that publishers find it.",
                    "Hentikan program itu, atau pilih nats.managed_port lain, agar pengirim menemukannya."
                ),
            )
        });
    }
    findings
}
