//! How far each reader of the log has got, and which event it saw there.
//!
//! A checkpoint lies with the rows it vouches for: this table exists in the log's database and in
//! every generation of read models. It moves only from the position and under the epoch its reader
//! believes in, so a reader that was asleep while another took over moves nothing.

use events::id::EventRef;
use events::planted::{Mistake, planted};

use crate::db::{Db, Tx};
use crate::error::ReadError;
use crate::{on_db, on_tx};

/// One reader's place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The last position it has dealt with; 0 before the first.
    pub position: i64,
    /// The event at that position: another one there means the log was rolled back.
    pub event: Option<EventRef>,
    /// Whose lease moved it last.
    pub epoch: i64,
    /// What the reader wants to remember besides, as JSON.
    pub detail: Option<String>,
}

/// The checkpoint was not where its reader left it.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// Stop reading; another instance does it now, under a newer epoch.
    #[error("another reader has moved the checkpoint {name}")]
    Fenced {
        /// Whose checkpoint.
        name: String,
    },
    /// It stands elsewhere under no newer epoch: read what is stored, and go on from there. So it
    /// is after the answer to a commit was lost, and after a server that does not wait for the disk
    /// (`synchronous_commit = off`) was killed and has forgotten its last commits.
    #[error("the checkpoint {name} is not where its reader left it")]
    Elsewhere {
        /// Whose checkpoint.
        name: String,
    },
    /// The database could not be asked.
    #[error("the database is unavailable")]
    Unavailable(#[from] sqlx::Error),
}

const LOAD: &str = "
    SELECT position, source, event_id, epoch, detail
      FROM checkpoints
     WHERE name = $1";

const CREATE: &str = "
    INSERT INTO checkpoints (name, position, source, event_id, epoch, detail)
    VALUES ($1, 0, NULL, NULL, 0, NULL)
    ON CONFLICT (name) DO NOTHING";

const CLAIM: &str = "
    UPDATE checkpoints
       SET epoch = $2
     WHERE name = $1
       AND epoch <= $2";

const EPOCH: &str = "
    SELECT epoch
      FROM checkpoints
     WHERE name = $1";

const MOVE: &str = "
    UPDATE checkpoints
       SET position = $2,
           source = $3,
           event_id = $4,
           detail = $5
     WHERE name = $1
       AND position = $6
       AND epoch = $7";

/// What [`Mistake::NoEpoch`] runs instead.
const MOVE_FOR_ANYONE: &str = "
    UPDATE checkpoints
       SET position = $2,
           source = $3,
           event_id = $4,
           detail = $5
     WHERE name = $1
       AND $6 >= 0
       AND $7 >= 0";

/// Reads a checkpoint; a reader that never ran stands at 0.
pub async fn load(db: &Db, name: &str) -> Result<Checkpoint, ReadError> {
    type Row = (i64, Option<String>, Option<String>, i64, Option<String>);
    let row: Option<Row> =
        on_db!(db, pool => sqlx::query_as(LOAD).bind(name).fetch_optional(pool).await)?;
    let Some((position, source, event_id, epoch, detail)) = row else {
        return Ok(Checkpoint::default());
    };
    let corrupt =
        || ReadError::Corrupt { table: "checkpoints", column: "event_id", key: name.to_owned() };
    let event = match (source, event_id) {
        (Some(source), Some(id)) => Some(EventRef {
            source: source.parse().map_err(|_| corrupt())?,
            id: id.parse().map_err(|_| corrupt())?,
        }),
        _ => None,
    };
    Ok(Checkpoint { position, event, epoch, detail })
}

const DETAIL: &str = "
    SELECT detail
      FROM checkpoints
     WHERE name = $1";

/// What a reader remembers besides its place, as a transaction sees it.
pub async fn detail_in(tx: &mut Tx, name: &str) -> Result<Option<String>, sqlx::Error> {
    let row: Option<Option<String>> =
        on_tx!(tx, conn => sqlx::query_scalar(DETAIL).bind(name).fetch_optional(conn).await?);
    Ok(row.flatten())
}

/// Makes the checkpoint this epoch's; from then on nobody with an older epoch can move it.
pub async fn claim(tx: &mut Tx, name: &str, epoch: i64) -> Result<(), MoveError> {
    let claimed = on_tx!(tx, conn => {
        sqlx::query(CREATE).bind(name).execute(&mut *conn).await?;
        sqlx::query(CLAIM).bind(name).bind(epoch).execute(&mut *conn).await?.rows_affected()
    });
    if claimed == 1 { Ok(()) } else { Err(MoveError::Fenced { name: name.to_owned() }) }
}

/// Moves the checkpoint from where its reader believes it is.
pub async fn advance(
    tx: &mut Tx,
    name: &str,
    from: &Checkpoint,
    to: &Checkpoint,
) -> Result<(), MoveError> {
    let text = if planted(Mistake::NoEpoch) { MOVE_FOR_ANYONE } else { MOVE };
    let epoch: Option<i64> = on_tx!(tx, conn => {
        let moved = sqlx::query(text)
            .bind(name)
            .bind(to.position)
            .bind(to.event.as_ref().map(|it| it.source.as_str()))
            .bind(to.event.as_ref().map(|it| it.id.as_str()))
            .bind(to.detail.as_deref())
            .bind(from.position)
            .bind(from.epoch)
            .execute(&mut *conn)
            .await?
            .rows_affected();
        if moved == 1 {
            return Ok(());
        }
        sqlx::query_scalar(EPOCH).bind(name).fetch_optional(conn).await?
    });
    let name = name.to_owned();
    Err(match epoch {
        Some(newer) if from.epoch < newer => MoveError::Fenced { name },
        _ => MoveError::Elsewhere { name },
    })
}
