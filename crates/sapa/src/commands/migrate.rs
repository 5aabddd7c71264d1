//! `sapa migrate`: the database brought up to date, or the SQL that would do it.

use clap::Args;
use events::mint::Ids;
use serde_json::json;
use store::Log;
use store::db::{LOG_STEPS, Place, Step};

use crate::clock::SystemIds;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::serve::lock::Lock;
use crate::serve::private_folder;

/// Its arguments.
#[derive(Debug, Args)]
pub struct Migrate {
    /// The database [default: database.url]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
}

impl Migrate {
    /// The settings among its arguments.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, String, &'static str)> {
        self.database.iter().map(|it| ("database.url", it.clone(), "--database")).collect()
    }

    /// Migrates, or prints.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let place = &session.config.database.place;
        if session.globals.dry_run {
            for step in LOG_STEPS {
                session.output.text(&format!(
                    "-- {} {}\n{}",
                    step.version,
                    step.name,
                    text(place, step)
                ))?;
            }
            return Ok(Exit::Done);
        }
        let _lock = match place {
            Place::Folder(folder) => {
                private_folder(folder)?;
                Some(Lock::take(folder)?)
            }
            Place::Server(_) => None,
        };
        let log = Log::open(place, 1, SystemIds.new_id()).await?;
        let position = log.head().await?;
        log.db().close().await;
        let steps = LOG_STEPS.len();
        let answer = json!({"database": place.shown(), "steps": steps, "position": position});
        session.output.value(&answer, &[])?;
        Ok(Exit::Done)
    }
}

fn text(place: &Place, step: &Step) -> &'static str {
    match place {
        Place::Folder(_) => step.sqlite,
        Place::Server(_) => step.postgres,
    }
}
