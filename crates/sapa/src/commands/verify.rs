//! `sapa verify`: the log folded again from its beginning, compared with the read models that
//! answer, table by table, at one position. It needs the data folder for itself on SQLite; the new
//! fold is thrown away.

use clap::Args;
use events::mint::Ids;
use events::time::Clock;
use projections::rebuild::hashes;
use projections::runner::Runner;
use serde_json::{Value, json};
use store::db::{Family, Place};
use store::lease::{self, LEADER};
use store::{Log, generations};

use crate::clock::{SystemClock, SystemIds};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
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
                "this needs the read models for itself, which PostgreSQL does not give",
                "Ask a running server: `sapa projection verify NAME`.",
            ));
        };
        let _lock = Lock::take(folder)?;
        let place = &session.config.database.place;
        let log = Log::open(place, 1, SystemIds.new_id()).await?;
        let holder = format!("verify-{}", SystemIds.new_id());
        let generation = generations::live(log.db(), SystemClock.now()).await?;
        let live = place.open(Family::Views(generation), 1).await?;
        let scratch = tempfolder(session)?;
        let fresh = Place::Folder(scratch.clone()).open(Family::Views(generation), 1).await?;
        let target = log.head().await?;
        let epoch = lead(&log, &holder).await?;

        let mut answers = Runner::open(log.clone(), live, generation, epoch)
            .await
            .map_err(|error| failed(&error))?;
        let mut again = Runner::open(log.clone(), fresh, generation, epoch)
            .await
            .map_err(|error| failed(&error))?
            .with_page(PAGE);
        while again.step().await.map_err(|error| failed(&error))?.events != 0 {
            session.output.note(&format!("{} of {target}", again.position()));
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
            session.output.note("a read model differs: run `sapa projection rebuild NAME`");
        }
        Ok(if same { Exit::Done } else { Exit::Failed })
    }
}

/// Takes the lease, so that the live read models may be brought up to the head.
async fn lead(log: &Log, holder: &str) -> Result<i64, Failure> {
    let taken = lease::take(log.db(), LEADER, holder, SystemClock.now()).await;
    taken.map_err(Failure::store)?.map(|it| it.epoch).ok_or_else(|| {
        Failure::new(
            Exit::Later,
            "the process before did not give its lease back",
            "It ends by itself: try again in ten seconds.",
        )
    })
}

fn tempfolder(session: &Session) -> Result<std::path::PathBuf, Failure> {
    let folder = session.config.data_dir.join("verify");
    let _ = std::fs::remove_dir_all(&folder);
    crate::serve::private_folder(&folder)?;
    Ok(folder)
}

fn failed(error: &projections::runner::RunError) -> Failure {
    Failure::new(Exit::Failed, error.to_string(), "Look at `sapa projection status`.")
}
