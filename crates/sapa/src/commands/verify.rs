//! `sapa verify`: the log folded again from its beginning, compared with the read models that
//! answer, table by table, at one position. It needs the data folder for itself on SQLite; the new
//! fold is thrown away.

use std::sync::Arc;

use clap::Args;
use events::mint::Ids;
use events::time::Clock;
use projections::Views;
use projections::folds::Folds;
use projections::rebuild::hashes;
use projections::runner::Runner;
use serde_json::{Value, json};
use store::db::{Family, Place};
use store::lease::{self, LEADER};
use store::{Log, generations};

use super::recover::lead;
use crate::clock::{SystemClock, SystemIds};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;
use crate::serve::lock::Lock;

/// Events of one page.
const PAGE: usize = 4_000;

/// Its arguments.
#[derive(Debug, Args)]
pub struct Verify {
    /// Only this read model
    #[arg(long, value_name = "NAME")]
    pub projection: Option<String>,
}

impl Verify {
    /// Folds and compares.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let Place::Folder(folder) = &session.config.database.place else {
            return Err(Failure::new(
                Exit::Config,
                say!("this command works on SQLite only", "perintah ini hanya untuk SQLite"),
                say!(
                    "Ask a running server: `sapa projection verify NAME`.",
                    "Minta server yang berjalan: `sapa projection verify NAMA`."
                ),
            ));
        };
        let _lock = Lock::take(folder)?;
        let place = &session.config.database.place;
        let log = Log::open(place, 1, SystemIds.new_id()).await?;
        let holder = format!("verify-{}", SystemIds.new_id());
        let generation = generations::live(log.db(), SystemClock.now()).await?;
        let views = Views::open(place.clone(), log.clone(), Arc::new(SystemClock), 1).await?;
        if views.live().folds != Folds::Own {
            return Err(Failure::config(
                "another version of Sapa folded the read models, so there is nothing to compare",
                "Start `sapa serve`, which builds them anew; then verify.",
            ));
        }
        let live = views.live().db;
        let scratch = tempfolder(session)?;
        let fresh = Place::Folder(scratch.clone()).open(Family::Views(generation), 1).await?;
        let target = log.head().await?;
        let epoch = lead(session, &log, &holder).await?;

        let mut answers = Runner::open(log.clone(), live, generation, epoch)
            .await
            .map_err(|error| failed(&error))?;
        let mut again = Runner::open(log.clone(), fresh, generation, epoch)
            .await
            .map_err(|error| failed(&error))?
            .with_page(PAGE);
        while again.step().await.map_err(|error| failed(&error))?.events != 0 {
            let position = again.position();
            session.output.note(&say!("{position} of {target}", "{position} dari {target}"));
        }
        while answers.step().await.map_err(|error| failed(&error))?.events != 0 {}
        let pairs = hashes(&answers).await?.into_iter().zip(hashes(&again).await?);
        lease::release(log.db(), LEADER, &holder, SystemClock.now())
            .await
            .map_err(Failure::store)?;
        // The scratch folder is below the data folder and holds nothing else.
        let _ = std::fs::remove_dir_all(&scratch);
        let lines: Vec<Value> = pairs
            .filter(|((table, ..), _)| self.projection.as_deref().is_none_or(|it| it == *table))
            .map(|((table, rows, one), (_, _, two))| {
                json!({"table": table, "rows": rows, "same": one == two, "sha256": one})
            })
            .collect();
        let same = lines.iter().all(|it| it.get("same") == Some(&Value::Bool(true)));
        session.output.value(&lines.into(), &["table", "rows", "same", "sha256"])?;
        if !same {
            session.output.note(&say!(
                "a read model differs: run `sapa projection rebuild NAME`",
                "sebuah model baca berbeda: jalankan `sapa projection rebuild NAMA`"
            ));
        }
        Ok(if same { Exit::Done } else { Exit::Failed })
    }
}

fn tempfolder(session: &Session) -> Result<std::path::PathBuf, Failure> {
    let folder = session.config.data_dir.join("verify");
    let _ = std::fs::remove_dir_all(&folder);
    crate::serve::private_folder(&folder)?;
    Ok(folder)
}

fn failed(error: &projections::runner::RunError) -> Failure {
    Failure::new(
        Exit::Failed,
        error.to_string(),
        say!("Look at `sapa projection status NAME`.", "Lihat `sapa projection status NAMA`."),
    )
}
