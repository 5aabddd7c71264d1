//! Copies of SQLite files: made while others write to them, and looked at before they are used.
//!
//! A copy is what one moment saw of one file, without the free pages and without a write-ahead log
//! beside it. Nothing here changes the file that is copied, not even the version of its tables.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use crate::sql::SqlTime;
use crate::sqlite;

/// A file cannot be copied, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be read or written.
    #[error("{} cannot be read as a database: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// SQLite found a fault in it.
    #[error("{} is damaged: {found}", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The first fault.
        found: String,
    },
}

/// What a file of the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogContent {
    /// The identity of the log.
    pub log_id: String,
    /// The highest position.
    pub position: i64,
    /// When the event at that position was recorded.
    pub recorded_at: Timestamp,
    /// The last migration step of its tables.
    pub step: i64,
    /// The build of the read models that answers, if there is one.
    pub generation: Option<i64>,
}

/// How long a copy waits for a lock of the process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const HEAD: &str = "
    SELECT position, recorded_at, log_id
      FROM log_head";

const EVENTS: &str = "
    SELECT count(*), CAST(coalesce(max(position), 0) AS BIGINT)
      FROM events";

const STEP: &str = "
    SELECT CAST(coalesce(max(version), 0) AS BIGINT)
      FROM _sqlx_migrations";

const LIVE: &str = "
    SELECT generation
      FROM generations
     WHERE state = 'live'
     ORDER BY generation DESC
     LIMIT 1";

const STANDS_AT: &str = "
    SELECT position
      FROM checkpoints
     WHERE name = $1";

/// Writes what a file holds at this moment to a new file. Writers of the file go on meanwhile.
pub async fn copy(from: &Path, to: &Path) -> Result<(), CopyError> {
    let mut file = open(from).await?;
    let target = to.to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO $1")
        .bind(target)
        .execute(&mut file)
        .await
        .map_err(unreadable(from))?;
    close(file, from).await
}

/// Reads a file of the log, and checks every page of it and that no position is missing.
pub async fn log_content(path: &Path) -> Result<LogContent, CopyError> {
    let mut file = open(path).await?;
    check(&mut file, path).await?;
    let (position, recorded_at, log_id): (i64, SqlTime, String) =
        sqlx::query_as(HEAD).fetch_one(&mut file).await.map_err(unreadable(path))?;
    let events: (i64, i64) =
        sqlx::query_as(EVENTS).fetch_one(&mut file).await.map_err(unreadable(path))?;
    if events != (position, position) {
        let found = format!(
            "its head is position {position}, and it holds {} events up to position {}",
            events.0, events.1
        );
        return Err(CopyError::Damaged { path: path.to_owned(), found });
    }
    let step = sqlx::query_scalar(STEP).fetch_one(&mut file).await.map_err(unreadable(path))?;
    let generation =
        sqlx::query_scalar(LIVE).fetch_optional(&mut file).await.map_err(unreadable(path))?;
    close(file, path).await?;
    Ok(LogContent { log_id, position, recorded_at: recorded_at.0, step, generation })
}

/// The build of the read models that answers, by a file of the log that may be in use.
pub async fn live_generation(path: &Path) -> Result<Option<i64>, CopyError> {
    let mut file = open(path).await?;
    let found = sqlx::query_scalar(LIVE).fetch_optional(&mut file).await;
    let found = found.map_err(unreadable(path))?;
    close(file, path).await?;
    Ok(found)
}

/// Where a reader of the log stands by a file that holds its checkpoint; 0 if it never read.
pub async fn stands_at(path: &Path, checkpoint: &str) -> Result<i64, CopyError> {
    let mut file = open(path).await?;
    check(&mut file, path).await?;
    let found = sqlx::query_scalar(STANDS_AT).bind(checkpoint).fetch_optional(&mut file).await;
    let found: Option<i64> = found.map_err(unreadable(path))?;
    close(file, path).await?;
    Ok(found.unwrap_or(0))
}

async fn open(path: &Path) -> Result<SqliteConnection, CopyError> {
    SqliteConnection::connect_with(&sqlite::read_only(path, BUSY_TIMEOUT))
        .await
        .map_err(unreadable(path))
}

async fn close(file: SqliteConnection, path: &Path) -> Result<(), CopyError> {
    file.close().await.map_err(unreadable(path))
}

async fn check(file: &mut SqliteConnection, path: &Path) -> Result<(), CopyError> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(file)
        .await
        .map_err(unreadable(path))?;
    if found == "ok" {
        return Ok(());
    }
    Err(CopyError::Damaged { path: path.to_owned(), found })
}

fn unreadable(path: &Path) -> impl FnOnce(sqlx::Error) -> CopyError {
    move |source| CopyError::Unreadable { path: path.to_owned(), source }
}
