//! `sapa doctor`: every start-up check with what was found and what to do. It starts nothing and
//! changes nothing but to bring an existing database's tables up to date.

use clap::Args;
use events::mint::Ids;
use serde_json::{Value, json};
use store::Log;
use store::db::Place;

use crate::cli::Format;
use crate::clock::SystemIds;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::serve::checks::{self, Finding, Verdict};
use crate::serve::lock::Instance;

/// Its arguments: none of its own.
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    /// Looks at everything.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let config = &session.config;
        let mut findings = vec![checks::settings(config), folder(session), database(session).await];
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
    match Instance::read(folder) {
        Some(it) => Finding::fine(
            "data folder",
            format!("{}, in use by process {} on {}", folder.display(), it.pid, it.host),
        ),
        None if folder.is_dir() => Finding::fine("data folder", folder.display().to_string()),
        None => {
            Finding::fine("data folder", format!("{}, made at the first start", folder.display()))
        }
    }
}

async fn database(session: &Session) -> Finding {
    let place = &session.config.database.place;
    if let Place::Folder(folder) = place
        && !folder.join("log.db").is_file()
    {
        return Finding::fine("database", format!("{}, made at the first start", place.shown()));
    }
    match Log::open(place, 1, SystemIds.new_id()).await {
        Ok(log) => {
            let head = log.head().await.unwrap_or_default();
            log.db().close().await;
            Finding::fine("database", format!("{}, position {head}", place.shown()))
        }
        Err(error) => {
            // The store's messages end with their remedy.
            Finding::bad("database", Verdict::Refused, error.to_string(), "")
        }
    }
}
