//! After the log has lost its end: what `SAPA_OUT` holds that the log does not, and a new start.
//!
//! Promises that a stream which was started anew holds nothing that is not in the log, and that its
//! consumers, their names and its sequences stay. Which facts go out again is the caller's choice.
//! Runs while no relay does, under the epoch of a lease.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use events::subject;
use jiff::{SignedDuration, Timestamp};
use store::checkpoint::{self, Checkpoint, MoveError};
use store::{Log, ReadError};

use crate::batch::POSITION;
use crate::place::Mark;
use crate::relay::{CHECKPOINT, before_oldest_kept, mark_at, mark_in};
use crate::resume::Seen;
use crate::stream::STREAM;

/// How the stream stands to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The position of the last message; `None` if the stream is empty.
    pub last: Option<i64>,
    /// The last position at which stream and log hold the same event. What the log holds after it has
    /// never gone out.
    pub common: i64,
    /// The position before the first one that the stream would keep by its age.
    pub before_kept: i64,
    /// The head of the log.
    pub head: i64,
    /// The stream ends with an event that the log does not hold there.
    pub is_ahead: bool,
}

/// The stream or the log cannot be looked at, or the place cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The stream.
    #[error("SAPA_OUT cannot be looked at: {0}")]
    Stream(String),
    /// The log.
    #[error("the log cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The place of the relay.
    #[error("the place of the relay cannot be stored: {0}")]
    Store(#[from] MoveError),
}

fn stream(error: &dyn std::fmt::Display) -> RecoverError {
    RecoverError::Stream(error.to_string())
}

/// Looks at the stream and the log. A stream keeps a message for `max_age`.
pub async fn standing(
    context: &Context,
    log: &Log,
    now: Timestamp,
    max_age: SignedDuration,
) -> Result<Standing, RecoverError> {
    let out = context.get_stream(STREAM).await.map_err(|it| stream(&it))?;
    let (head, before_kept) = (log.head().await?, before_oldest_kept(log, now, max_age).await?);
    let last = match out.get_last_raw_message_by_subject(subject::ALL).await {
        Ok(it) => Some(it.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
        Err(error) => return Err(stream(&error)),
    };
    let Some(last_sequence) = last else {
        let relayed = checkpoint::load(log.db(), CHECKPOINT).await?.position;
        let common = relayed.min(head);
        return Ok(Standing { last: None, common, before_kept, head, is_ahead: head < relayed });
    };
    let (last, is_same) = agrees(&out, log, last_sequence).await?;
    if is_same {
        return Ok(Standing { last: Some(last), common: last, before_kept, head, is_ahead: false });
    }
    // What comes first agrees and what comes later does not: the border is found by halving.
    let (mut low, mut high) = (out.cached_info().state.first_sequence, last_sequence);
    let (first, does_begin_the_same) = agrees(&out, log, low).await?;
    let mut common = if does_begin_the_same { first } else { (first - 1).min(head) };
    while does_begin_the_same && low + 1 < high {
        let middle = low + (high - low) / 2;
        match agrees(&out, log, middle).await? {
            (position, true) => (low, common) = (middle, position),
            (_, false) => high = middle,
        }
    }
    Ok(Standing { last: Some(last), common, before_kept, head, is_ahead: true })
}

/// The position of the first message at or after a sequence, and whether the log holds the same there.
async fn agrees(out: &Stream, log: &Log, sequence: u64) -> Result<(i64, bool), RecoverError> {
    let found = out.get_first_raw_message_by_subject(subject::ALL, sequence).await;
    let message = found.map_err(|it| stream(&it))?;
    let position: Option<i64> =
        message.headers.get(POSITION).and_then(|it| it.as_str().parse().ok());
    let position = position.ok_or_else(|| stream(&"a message has no position"))?;
    let shown: Option<Mark> = mark_in(&message.payload);
    let held = mark_at(log, position).await?;
    Ok((position, shown.is_some() && shown == held))
}

/// Empties the stream, and lets the next relay begin after a position.
pub async fn restart(
    context: &Context,
    log: &Log,
    epoch: i64,
    after: i64,
) -> Result<(), RecoverError> {
    let mut out = context.get_stream(STREAM).await.map_err(|it| stream(&it))?;
    out.purge().await.map_err(|it| stream(&it))?;
    let info = out.info().await.map_err(|it| stream(&it))?;
    let created = Timestamp::from_nanosecond(info.created.unix_timestamp_nanos())
        .map_err(|it| stream(&it))?;
    let seen = Seen { created, last_sequence: info.state.last_sequence };
    let db = log.db();
    let mut tx = db.begin_write().await.map_err(MoveError::from)?;
    checkpoint::claim(&mut tx, CHECKPOINT, epoch).await?;
    tx.commit().await.map_err(MoveError::from)?;
    let from = checkpoint::load(db, CHECKPOINT).await?;
    let to = Checkpoint {
        position: after,
        event: log.reference_at(after).await?,
        epoch,
        detail: Some(seen.to_detail()),
    };
    let mut tx = db.begin_write().await.map_err(MoveError::from)?;
    checkpoint::advance(&mut tx, CHECKPOINT, &from, &to).await?;
    Ok(tx.commit().await.map_err(MoveError::from)?)
}
