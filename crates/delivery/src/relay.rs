//! Log → `SAPA_OUT`, in atomic batches, resumed from the last message's position.
//!
//! Promises one message per position, in the order of the log, at least once; a relay that was
//! asleep while another took over stores nothing (the fence). Runs only under a lease's epoch, and
//! stops when its checkpoint belongs to a newer one. Refuses to go on when the stream holds an event
//! that the log does not have there: the log has lost its end, and a person has to decide.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use events::cloudevents;
use events::envelope::Recorded;
use events::id::{EventRef, Stream, Tenant};
use events::kind::Kind;
use events::mint::Ids;
use events::planted::{Mistake, planted};
use events::subject;
use events::time::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use store::checkpoint::{self, Checkpoint, MoveError};
use store::{Bell, Log, ReadError, failpoint};
use tokio_util::sync::CancellationToken;

use crate::batch::{self, Outgoing, POSITION, PublishError};
use crate::counters::Counters;
use crate::place::{Look, Mark, Place};
use crate::resume::{Because, Found, Last, Seen, Start};
use crate::stream::STREAM;

/// Name of the relay's checkpoint, in the log's database.
pub const CHECKPOINT: &str = "relay";
/// How long is slept at the head of the log when no bell rings.
const POLL: Duration = Duration::from_secs(1);
/// Pause after a failure; it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// How many alerts' kinds are remembered.
const ALERT_KINDS_MAX: usize = 4_096;

/// What a relay works with.
#[derive(Clone, Debug)]
pub struct Relay {
    /// The connection that publishes, with a request timeout set.
    pub context: Context,
    /// What is published.
    pub log: Log,
    /// Rings when there is more of it.
    pub bell: Bell,
    /// What time it is: how old a position may be that an empty stream is filled from.
    pub clock: Arc<dyn Clock>,
    /// Where batches get their names.
    pub ids: Arc<dyn Ids>,
    /// Where the numbers go.
    pub counters: Arc<Counters>,
    /// `delivery.batch`: facts of one page, 1 to 500.
    pub page: usize,
    /// `nats.max_age`: how long the stream keeps a message.
    pub max_age: SignedDuration,
}

/// Why a relay came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Asked,
    /// Another instance has taken over under a newer epoch.
    Fenced,
    /// The stream holds an event that the log does not have at its position (F36, F60). The number of
    /// that position stays in [`Counters::rolled_back_at`] until somebody says that it is dealt with.
    LogRolledBack,
}

/// What stops one attempt.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Publish(#[from] PublishError),
    #[error("the log cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("SAPA_OUT cannot be looked at: {0}. Run `sapa doctor`.")]
    Look(String),
    #[error("the place cannot be stored: {0}")]
    Store(#[from] MoveError),
    #[error("the log does not hold at {0} what went out")]
    LogRolledBack(i64),
    #[error("the log as it is read here does not hold at {0} what went out")]
    Suspect(i64),
}

impl Relay {
    /// Publishes under the epoch of a held lease, until asked to stop or taken over.
    pub async fn run(self, epoch: i64, stop: CancellationToken) -> Ended {
        let mut kinds = AlertKinds::default();
        let mut pause = PAUSE_FIRST;
        loop {
            let attempt = async {
                let mut place = self.start(epoch).await?;
                self.follow(&mut place, &mut kinds, &mut pause, &stop).await
            };
            let trouble = match attempt.await {
                Ok(()) => return Ended::Asked,
                Err(it) => it,
            };
            match trouble {
                Trouble::Store(MoveError::Fenced { .. }) => return Ended::Fenced,
                Trouble::LogRolledBack(position) => {
                    Counters::count(&self.counters.log_rollbacks, 1);
                    self.counters.rolled_back_at.store(position, Ordering::Relaxed);
                    tracing::error!(
                        position,
                        "log_rollback: the log does not hold what went out at this position, and nothing more goes out. Restore the log; or, if what it lost is lost, stop Sapa and run `sapa recover`, which lets you choose what is published again"
                    );
                    return Ended::LogRolledBack;
                }
                Trouble::Publish(PublishError::Fenced) => {
                    Counters::count(&self.counters.fenced, 1);
                    tracing::warn!("the relay was fenced and looks again");
                }
                other => tracing::warn!(error = %other, "the relay tries again"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_LONGEST),
                () = stop.cancelled() => return Ended::Asked,
            }
        }
    }

    /// Makes the checkpoint ours and decides where to go on.
    async fn start(&self, epoch: i64) -> Result<Place, Trouble> {
        let db = self.log.db();
        let mut tx = db.begin_write().await.map_err(MoveError::from)?;
        checkpoint::claim(&mut tx, CHECKPOINT, epoch).await?;
        tx.commit().await.map_err(MoveError::from)?;
        let checkpoint = checkpoint::load(db, CHECKPOINT).await?;
        if checkpoint.epoch != epoch {
            // Somebody claimed it between these two lines.
            return Err(MoveError::Fenced { name: CHECKPOINT.to_owned() }.into());
        }
        let (found, shown) = self.look().await?;
        let look = Look::new(checkpoint, found);
        if matches!(look.because(), Because::RolledBack | Because::MadeAnew) {
            Counters::count(&self.counters.broker_rollbacks, 1);
            tracing::error!(because = ?look.because(), "broker_rollback: SAPA_OUT is not as it was; its end is published again");
        }
        let position = match look.start() {
            Start::After(it) => it,
            Start::OldestKept => {
                before_oldest_kept(&self.log, self.clock.now(), self.max_age).await?
            }
        };
        // A log that has lost its end may have grown past it again, so the number alone proves nothing.
        if let (Some(last), Some(mark)) = (found.last, shown)
            && mark_at(&self.log, last.position).await? != Some(mark)
        {
            return Err(Trouble::LogRolledBack(last.position));
        }
        let head = self.log.head().await?;
        let skipped = i64::from(planted(Mistake::ResumeTooFar) && position < head);
        let position = position + skipped;
        let mark = mark_at(&self.log, position).await?;
        if 0 < position && mark.is_none() {
            return Err(Trouble::LogRolledBack(position));
        }
        self.counters.at(position, head);
        Ok(look.after(position).standing_on(mark))
    }

    /// The facts after a position, from a log that still holds the event that went out there. Read in
    /// one query: a database that fails over to a standby without the last commits shows at once.
    async fn page(
        &self,
        position: i64,
        mark: Option<&Mark>,
        limit: usize,
    ) -> Result<Vec<Recorded>, Trouble> {
        if position <= 0 {
            return Ok(self.log.read_after(0, limit).await?);
        }
        let mut page = self.log.read_after(position - 1, limit + 1).await?.into_iter();
        match page.next() {
            Some(it) if Some(&Mark::of(&it)) == mark => Ok(page.collect()),
            // A standby that still replays is behind and has lost nothing. To start anew means to write
            // first, which it refuses.
            _ => Err(Trouble::Suspect(position)),
        }
    }

    /// The stream as it stands, and what its last message is.
    async fn look(&self) -> Result<(Found, Option<Mark>), Trouble> {
        let look = |error: &dyn std::fmt::Display| Trouble::Look(error.to_string());
        let stream = self.context.get_stream(STREAM).await.map_err(|it| look(&it))?;
        let info = stream.cached_info();
        let created = Timestamp::from_nanosecond(info.created.unix_timestamp_nanos())
            .map_err(|it| look(&it))?;
        let mut mark = None;
        let last = match stream.get_last_raw_message_by_subject(subject::ALL).await {
            Ok(it) => {
                let position = it.headers.get(POSITION).and_then(|it| it.as_str().parse().ok());
                let position = position.ok_or_else(|| look(&"its last message has no position"))?;
                mark = mark_in(&it.payload);
                Some(Last { sequence: it.sequence, position })
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
            Err(error) => return Err(look(&error)),
        };
        let stream = Seen { created, last_sequence: info.state.last_sequence };
        Ok((Found { stream, last }, mark))
    }

    /// Publishes page after page; the next is read while one is on its way.
    async fn follow(
        &self,
        place: &mut Place,
        kinds: &mut AlertKinds,
        pause: &mut Duration,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let limit = self.page.clamp(1, batch::BATCH_MAX);
        let mut page = Vec::new();
        while !stop.is_cancelled() {
            // Listen first: an append that lands while we read must not be slept through.
            let rung = self.bell.listen();
            if page.is_empty() {
                page = self.page(place.position(), place.mark(), limit).await?;
            }
            let Some(last) = page.last() else {
                self.counters.at(place.position(), place.position());
                tokio::select! {
                    () = rung => (),
                    () = tokio::time::sleep(POLL) => (),
                    () = stop.cancelled() => (),
                }
                continue;
            };
            let (position, event, mark) = (last.position, last.reference(), Mark::of(last));
            let messages = self.messages(&page, kinds).await?;
            let batch = self.ids.new_id();
            failpoint::pass("delivery.before_publish").await;
            let client = self.context.client();
            let (published, next) = tokio::join!(
                batch::publish(&client, &messages, place.fence(), batch),
                self.page(position, Some(&mark), limit),
            );
            let to = place.published(position, event, published?);
            *place = place.clone().standing_on(Some(mark));
            Counters::count(&self.counters.published, messages.len());
            self.counters.at(position, self.bell.position());
            self.store(place, to).await?;
            *pause = PAUSE_FIRST;
            page = next?;
        }
        Ok(())
    }

    /// Remembers the place, under our epoch only.
    async fn store(&self, place: &mut Place, to: Checkpoint) -> Result<(), Trouble> {
        let mut tx = self.log.db().begin_write().await.map_err(MoveError::from)?;
        checkpoint::advance(&mut tx, CHECKPOINT, place.checkpoint(), &to).await?;
        tx.commit().await.map_err(MoveError::from)?;
        place.stored(to);
        Ok(())
    }

    async fn messages(
        &self,
        page: &[Recorded],
        kinds: &mut AlertKinds,
    ) -> Result<Vec<Outgoing>, Trouble> {
        let mut messages = Vec::with_capacity(page.len());
        for it in page {
            let subject = if it.kind.topic() == "alert" {
                let kind = kinds.of(&self.log, it).await?;
                subject::alert(&it.tenant, &kind, it.customer.as_ref())
            } else {
                subject::out(&it.tenant, it.kind, it.customer.as_ref())
            };
            messages.push(Outgoing {
                subject,
                tenant: it.tenant.to_string(),
                position: it.position,
                trace: it.trace.clone(),
                body: cloudevents::write(it).into(),
            });
        }
        Ok(messages)
    }
}

/// Which kind of alert a stream is about: only its first event says so.
#[derive(Debug, Default)]
struct AlertKinds(HashMap<(Tenant, Stream), String>);

impl AlertKinds {
    async fn of(&mut self, log: &Log, it: &Recorded) -> Result<String, ReadError> {
        let key = (it.tenant.clone(), it.stream.clone());
        if let Some(kind) = self.0.get(&key) {
            return Ok(kind.clone());
        }
        let kind = if it.kind == Kind::AlertRaised {
            kind_in(&it.data)
        } else {
            let first = log.read_stream(&it.tenant, &it.stream, 0, 1).await?;
            first.first().and_then(|it| kind_in(&it.data))
        };
        // An alert that nobody raised has no kind; it is still told, under `_`.
        let kind = kind.unwrap_or_else(|| "_".to_owned());
        if ALERT_KINDS_MAX <= self.0.len() {
            self.0.clear();
        }
        self.0.insert(key, kind.clone());
        Ok(kind)
    }
}

/// What the log holds at a position; nothing beyond its head.
pub(crate) async fn mark_at(log: &Log, position: i64) -> Result<Option<Mark>, ReadError> {
    if position <= 0 {
        return Ok(None);
    }
    Ok(log.read_after(position - 1, 1).await?.first().map(Mark::of))
}

/// The position before the first one that the stream would still keep: `recorded_at` never decreases,
/// so it is found by halving.
pub(crate) async fn before_oldest_kept(
    log: &Log,
    now: Timestamp,
    max_age: SignedDuration,
) -> Result<i64, ReadError> {
    let Ok(oldest) = now.checked_sub(max_age) else { return Ok(0) };
    let (mut low, mut high) = (0, log.head().await?);
    while low < high {
        let middle = low + (high - low) / 2;
        match log.read_after(middle, 1).await?.first() {
            Some(it) if it.recorded_at < oldest => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// What a message is; nothing if it does not say.
pub(crate) fn mark_in(body: &[u8]) -> Option<Mark> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| body.get(name)?.as_str();
    let event = EventRef { source: text("source")?.parse().ok()?, id: text("id")?.parse().ok()? };
    Some(Mark { event, recorded_at: text("recordedat")?.parse().ok()? })
}

fn kind_in(data: &str) -> Option<String> {
    let data: Value = serde_json::from_str(data).ok()?;
    data.get("kind")?.as_str().map(str::to_owned)
}
