//! Which build of the read models is the one that answers.

use jiff::Timestamp;
use sqlx::QueryBuilder;

use crate::checkpoint::{self, MoveError};
use crate::db::{Db, Place, Tx};
use crate::error::ReadError;
use crate::sql::SqlTime;
use crate::{on_db, on_tx};

/// One build of all read models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// From 1.
    pub generation: i64,
    /// `building`, `live`, `previous`, `retired` or `failed`.
    pub state: String,
    /// When it was begun.
    pub created_at: Timestamp,
}

/// The checkpoint that holds the epoch of the last swap.
const SWAPPED: &str = "generations.swap";

const LIST: &str = "
    SELECT generation, state, created_at
      FROM generations
     ORDER BY generation";

const ADD: &str = "
    INSERT INTO generations (generation, state, created_at)
    VALUES ($1, $2, $3)
    ON CONFLICT (generation) DO NOTHING";

const MARK: &str = "
    UPDATE generations
       SET state = $2
     WHERE generation = $1";

const MARK_ALL: &str = "
    UPDATE generations
       SET state = $2,
           since = NULL
     WHERE state = $1";

const RETIRE: &str = "
    UPDATE generations
       SET state = 'retired'
     WHERE generation = $1
       AND state <> 'live'";

const KEEP: &str = "
    UPDATE generations
       SET since = $1
     WHERE state = 'previous'
       AND since IS NULL";

const KEPT_LONG: &str = "
    SELECT generation
      FROM generations
     WHERE state = 'previous'
       AND since <= $1
     ORDER BY generation";

/// Builds that were replaced and have been kept since before an instant. One that was replaced since
/// this was asked last is kept from `now` on.
pub async fn kept_since_before(
    db: &Db,
    now: Timestamp,
    before: Timestamp,
) -> Result<Vec<i64>, sqlx::Error> {
    let mut tx = db.begin_write().await?;
    let found = on_tx!(&mut tx, conn => {
        sqlx::query(KEEP).bind(SqlTime(now)).execute(&mut *conn).await?;
        sqlx::query_scalar(KEPT_LONG).bind(SqlTime(before)).fetch_all(&mut *conn).await?
    });
    tx.commit().await?;
    Ok(found)
}

/// All builds, oldest first.
pub async fn list(db: &Db) -> Result<Vec<Generation>, ReadError> {
    let rows: Vec<(i64, String, SqlTime)> =
        on_db!(db, pool => sqlx::query_as(LIST).fetch_all(pool).await)?;
    Ok(rows
        .into_iter()
        .map(|(generation, state, at)| Generation { generation, state, created_at: at.0 })
        .collect())
}

/// The build that answers; the first one is made when there is none.
pub async fn live(db: &Db, now: Timestamp) -> Result<i64, ReadError> {
    if let Some(it) = list(db).await?.into_iter().rfind(|it| it.state == "live") {
        return Ok(it.generation);
    }
    add(db, 1, "live", now).await?;
    Ok(1)
}

/// Enters a build.
pub async fn add(db: &Db, generation: i64, state: &str, now: Timestamp) -> Result<(), sqlx::Error> {
    let mut tx = db.begin_write().await?;
    on_tx!(&mut tx, conn => {
        sqlx::query(ADD)
            .bind(generation)
            .bind(state)
            .bind(SqlTime(now))
            .execute(conn)
            .await?;
    });
    tx.commit().await
}

/// Says what became of a build.
pub async fn mark(db: &Db, generation: i64, state: &str) -> Result<(), sqlx::Error> {
    let mut tx = db.begin_write().await?;
    on_tx!(&mut tx, conn => {
        sqlx::query(MARK).bind(generation).bind(state).execute(conn).await?;
    });
    tx.commit().await
}

/// Makes `generation` the one that answers, in one step; the one before is kept as `previous`. Only for
/// whoever leads: after a swap under a newer epoch it is refused.
pub async fn swap(db: &Db, generation: i64, epoch: i64) -> Result<(), MoveError> {
    let mut tx = db.begin_write().await?;
    checkpoint::claim(&mut tx, SWAPPED, epoch).await?;
    on_tx!(&mut tx, conn => {
        sqlx::query(MARK_ALL).bind("previous").bind("retired").execute(&mut *conn).await?;
        sqlx::query(MARK_ALL).bind("live").bind("previous").execute(&mut *conn).await?;
        sqlx::query(MARK).bind(generation).bind("live").execute(&mut *conn).await?;
    });
    Ok(tx.commit().await?)
}

/// Deletes a build with all its rows; nothing happens to the one that answers. Whoever still reads
/// it is waited for, for a second, since the log waits too.
pub async fn forget(db: &Db, place: &Place, generation: i64) -> Result<(), sqlx::Error> {
    let mut tx = db.begin_write().await?;
    let retired = on_tx!(&mut tx, conn => {
        sqlx::query(RETIRE).bind(generation).execute(conn).await?.rows_affected()
    });
    if retired == 0 {
        return tx.rollback().await;
    }
    if let Tx::Postgres(tx) = &mut tx {
        sqlx::query("SET LOCAL lock_timeout = '1s'").execute(&mut **tx).await?;
        // As `Family::schema` names it. A name cannot be bound; this one ends in a number.
        QueryBuilder::new("DROP SCHEMA IF EXISTS views_")
            .push(generation)
            .push(" CASCADE")
            .build()
            .persistent(false)
            .execute(&mut **tx)
            .await?;
    }
    tx.commit().await?;
    if let Place::Folder(folder) = place {
        for ending in ["", "-wal", "-shm"] {
            // As `Place::open` names it. It may be gone, or never have been there.
            match std::fs::remove_file(folder.join(format!("views-{generation}.db{ending}"))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(sqlx::Error::Io(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
