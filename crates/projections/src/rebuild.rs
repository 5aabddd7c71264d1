//! A new build of all read models beside the one that answers: fold, verify, swap.
//!
//! The new generation reads the log from the beginning while the live one goes on. When it has
//! caught up, both are compared at one position, table by table, and the new one takes over in one
//! step. The old one is kept until the next rebuild, so that going back is possible.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use store::db::Tx;
use store::error::{OpenError, ReadError};
use store::{Db, Log, generations, on_tx};
use tokio::sync::Mutex;

use crate::parked;
use crate::runner::{RunError, Runner};
use crate::views::Views;

/// Events of one page of a rebuild.
pub const PAGE_EVENTS_MAX: usize = 4_000;

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Position reached.
    pub position: i64,
    /// Head of the log.
    pub target: i64,
}

/// Why a rebuild stopped.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The new tables could not be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log could not be folded.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The log's database could not be asked.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new build differs from the live one; it is kept for inspection and not swapped in.
    #[error("generation {generation} differs from the live one in {table} at position {position}")]
    Differs {
        /// The new build.
        generation: i64,
        /// Where it differs.
        table: &'static str,
        /// At which position both stood.
        position: i64,
    },
}

/// Builds a new generation, and swaps it in if it agrees with the live one.
///
/// `live` is the runner of the leader: it is held only for the last page and the comparison.
pub async fn rebuild(
    views: &Views,
    live: &Arc<Mutex<Runner>>,
    epoch: i64,
    now: Timestamp,
    mut report: impl FnMut(Progress) + Send,
) -> Result<i64, RebuildError> {
    let log = views.log().clone();
    let newest = generations::list(log.db()).await?.last().map_or(0, |it| it.generation);
    let generation = newest + 1;
    generations::add(log.db(), generation, "building", now).await?;
    let opened = views.open_generation(generation).await?;
    carry_skipped(live.lock().await.db(), &opened.db).await?;
    let mut runner = Runner::open(log.clone(), opened.db.clone(), generation, epoch)
        .await?
        .with_page(PAGE_EVENTS_MAX);
    loop {
        let progress = runner.step().await?;
        let target = log.head().await?;
        report(Progress { position: progress.position, target });
        if progress.events < PAGE_EVENTS_MAX {
            break;
        }
    }
    let mut current = live.lock().await;
    catch_up(&mut current).await?;
    catch_up(&mut runner).await?;
    if let Some(table) = difference(&current, &runner).await? {
        generations::mark(log.db(), generation, "failed").await?;
        let position = runner.position();
        return Err(RebuildError::Differs { generation, table, position });
    }
    generations::swap(log.db(), generation).await?;
    *current = runner;
    views.refresh().await?;
    Ok(generation)
}

/// What an operator gave up stays given up in a new build.
async fn carry_skipped(from: &Db, to: &Db) -> Result<(), RebuildError> {
    let mut tx = from.begin_write().await?;
    let stored = parked::load(&mut tx).await?;
    tx.rollback().await?;
    let mut tx = to.begin_write().await?;
    for it in stored.iter().filter(|it| it.skipped) {
        parked::carry(&mut tx, it).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn catch_up(runner: &mut Runner) -> Result<(), RunError> {
    while runner.step().await?.events != 0 {}
    Ok(())
}

/// The tables of the read models, each with its rows in the order of their keys as one text.
const TABLES: [(&str, &str); 12] = [
    (
        "dossiers",
        "SELECT holder || '|' || tenant || '|' || dossier FROM dossiers ORDER BY holder, tenant",
    ),
    (
        "agenda",
        "SELECT holder || '|' || tenant || '|' || queue || '|' || CAST(act_at AS TEXT) || '|' || team FROM agenda ORDER BY holder, queue, tenant",
    ),
    (
        "voids",
        "SELECT event_id || '|' || source || '|' || tenant || '|' || by_event_id || '|' || by_source FROM voids ORDER BY event_id, source, tenant, position",
    ),
    (
        "policies",
        "SELECT name || '|' || tenant || '|' || CAST(version AS TEXT) || '|' || body || '|' || CAST(active AS TEXT) FROM policies ORDER BY position, tenant",
    ),
    (
        "clocks",
        "SELECT holder || '|' || tenant || '|' || clock || '|' || tier || '|' || coalesce(owner, '') || '|' || coalesce(team, '') || '|' || CAST(days AS TEXT) || first || last || CAST(rhythm_days AS TEXT) || CAST(warn_at AS TEXT) || CAST(due_at AS TEXT) || coalesce(CAST(suspended_until AS TEXT), '') || CAST(effective_due_at AS TEXT) || CAST(muted AS TEXT) || CAST(resting AS TEXT) || because FROM clocks ORDER BY holder, clock, tenant",
    ),
    (
        "obligations",
        "SELECT holder || '|' || tenant || '|' || obligation || '|' || opened_by || CAST(opened_at AS TEXT) || coalesce(about, '') || coalesce(CAST(due_at AS TEXT), '') || coalesce(CAST(warn_at AS TEXT), '') || CAST(paused AS TEXT) || coalesce(covered_by, '') || coalesce(owner, '') || coalesce(closed_by, '') FROM obligations ORDER BY holder, opened_by, obligation, tenant",
    ),
    (
        "alerts",
        "SELECT alert || '|' || tenant || '|' || holder || '|' || status || CAST(fair_at AS TEXT) || body FROM alerts ORDER BY alert, tenant",
    ),
    ("timeline", timeline_text()),
    ("cards", cards_text()),
    ("identifiers", identifiers_text()),
    ("loyalty", loyalty_text()),
    ("promises", promises_text()),
];

const fn timeline_text() -> &'static str {
    crate::timeline::table::AS_TEXT
}

const fn cards_text() -> &'static str {
    crate::card::table::AS_TEXT
}

const fn identifiers_text() -> &'static str {
    crate::card::table::IDENTIFIERS_AS_TEXT
}

const fn loyalty_text() -> &'static str {
    crate::loyalty::table::AS_TEXT
}

const fn promises_text() -> &'static str {
    crate::promises::table::AS_TEXT
}

/// The first table in which two builds differ.
async fn difference(one: &Runner, other: &Runner) -> Result<Option<&'static str>, ReadError> {
    let (one, other) = (hashes(one).await?, hashes(other).await?);
    let pairs = one.into_iter().zip(other);
    Ok(pairs.filter(|(a, b)| a != b).map(|((table, _, _), _)| table).next())
}

/// Rows and SHA-256 of every table of a build.
pub async fn hashes(runner: &Runner) -> Result<Vec<(&'static str, i64, String)>, ReadError> {
    let mut tx = runner.db().begin_write().await?;
    let hashes = hashes_in(&mut tx).await;
    tx.rollback().await?;
    hashes
}

/// The same inside a transaction.
pub async fn hashes_in(tx: &mut Tx) -> Result<Vec<(&'static str, i64, String)>, ReadError> {
    use futures_util::TryStreamExt as _;
    let mut hashes = Vec::with_capacity(TABLES.len());
    for (table, text) in TABLES {
        let mut hash = Sha256::new();
        let mut rows = 0;
        on_tx!(tx, conn => {
            let mut found = sqlx::query_scalar::<_, String>(text).fetch(conn);
            while let Some(row) = found.try_next().await? {
                hash.update(row.as_bytes());
                hash.update(b"\n");
                rows += 1;
            }
        });
        let hex = data_encoding::HEXLOWER.encode(&hash.finalize());
        hashes.push((table, rows, hex));
    }
    Ok(hashes)
}

/// Swaps the previous build back in; `None` if there is none.
pub async fn rollback(log: &Log) -> Result<Option<i64>, RebuildError> {
    let all = generations::list(log.db()).await?;
    let Some(previous) = all.into_iter().rfind(|it| it.state == "previous") else {
        return Ok(None);
    };
    generations::swap(log.db(), previous.generation).await?;
    Ok(Some(previous.generation))
}
