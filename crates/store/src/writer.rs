//! The one writer of this process: a bounded queue, natural group commit, receipts back.
//!
//! Callers hand in requests of one or more events; whatever is waiting is committed together, and
//! nobody waits for a timer. A request is recorded whole or not at all. An id that is already in the
//! batch, and a stream whose version somebody expects, wait for the next one, so that within one
//! batch no row has to know of another.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use events::envelope::{Incoming, Receipt};
use events::time::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::bell::Bell;
use crate::db::Db;
use crate::error::AppendError;
use crate::{postgres, sqlite};

/// Events of one commit. A request larger than this is committed alone.
pub const BATCH_EVENTS_MAX: usize = 512;
/// Requests that may wait.
pub const QUEUE_REQUESTS_MAX: usize = 4_096;
/// How long a caller waits for a place in a full queue before it is told to come back.
pub const QUEUE_WAIT: Duration = Duration::from_millis(500);
/// Attempts at one batch while the database does not answer.
pub const ATTEMPTS_MAX: u32 = 5;
/// Pause before the first of them; it doubles.
pub const RETRY_DELAY: Duration = Duration::from_millis(50);

/// The fact is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is new.
    Recorded(Receipt),
    /// The same event was here already; this is the receipt it got then.
    Duplicate(Receipt),
}

impl Appended {
    /// The receipt, whichever way it came to be.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        match self {
            Self::Recorded(it) | Self::Duplicate(it) => it,
        }
    }

    /// It was recorded just now.
    #[must_use]
    pub fn is_new(&self) -> bool {
        matches!(self, Self::Recorded(_))
    }
}

/// How one row of a batch ended in the database.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) receipt: Receipt,
}

/// The word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Recorded,
    Duplicate,
    EventIdConflict,
    VersionConflict,
    /// Another row of its request was refused.
    Refused,
}

/// One waiting request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) events: Vec<Incoming>,
    answer: oneshot::Sender<Result<Vec<Appended>, AppendError>>,
}

/// The handle that callers append through. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Appender(mpsc::Sender<Request>);

impl Appender {
    /// Appends the events of one request, all or none, and answers after the commit.
    ///
    /// Outcomes stand in the order of the events.
    pub async fn append(&self, events: Vec<Incoming>) -> Result<Vec<Appended>, AppendError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        let request = Request { events, answer };
        self.0.send_timeout(request, QUEUE_WAIT).await.map_err(|_| AppendError::Busy)?;
        let gone = |_| AppendError::Unavailable("the writer has stopped".to_owned());
        answered.await.map_err(gone)?
    }

    /// Requests that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }
}

/// The task that owns the writing connection.
#[derive(Debug)]
pub struct Writer {
    db: Db,
    clock: Arc<dyn Clock>,
    bell: Bell,
    queue: mpsc::Receiver<Request>,
    batch_events_max: usize,
}

impl Writer {
    /// A writer and the handle to it; `queue` requests may wait.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>, bell: Bell, queue: usize) -> (Self, Appender) {
        let (sender, receiver) = mpsc::channel(queue);
        let writer = Self { db, clock, bell, queue: receiver, batch_events_max: BATCH_EVENTS_MAX };
        (writer, Appender(sender))
    }

    /// Commits what is waiting until asked to stop; what waits then is still committed.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut held: VecDeque<Request> = VecDeque::new();
        loop {
            if held.is_empty() {
                let next = tokio::select! {
                    biased;
                    it = self.queue.recv() => it,
                    () = stop.cancelled() => {
                        self.queue.close();
                        self.queue.try_recv().ok()
                    }
                };
                let Some(request) = next else { return };
                held.push_back(request);
            }
            while held.len() < self.batch_events_max
                && let Ok(request) = self.queue.try_recv()
            {
                held.push_back(request);
            }
            let batch = take_batch(&mut held, self.batch_events_max);
            self.commit(batch).await;
        }
    }

    async fn commit(&self, batch: Vec<Request>) {
        match self.write(&batch).await {
            Ok(mut judged) => {
                if let Some(newest) = judged
                    .iter()
                    .filter(|it| it.outcome == Outcome::Recorded)
                    .map(|it| it.receipt.position)
                    .max()
                {
                    self.bell.ring(newest);
                }
                for request in batch {
                    let rest = judged.split_off(request.events.len().min(judged.len()));
                    let own = std::mem::replace(&mut judged, rest);
                    // A caller that went away finds the outcome by its receipt.
                    let _ = request.answer.send(answer(&request.events, own));
                }
            }
            Err(error) => {
                tracing::error!(error = %error, requests = batch.len(), "append failed");
                for request in batch {
                    let _ = request.answer.send(Err(AppendError::Unavailable(error.to_string())));
                }
            }
        }
    }

    /// Writes the batch; when the answer to a commit is lost, the ids make writing it again safe.
    async fn write(&self, batch: &[Request]) -> Result<Vec<Judged>, sqlx::Error> {
        let mut delay = RETRY_DELAY;
        let mut attempt = 1;
        loop {
            let now = self.clock.now();
            let outcome = match &self.db {
                Db::Sqlite { .. } => sqlite::append(&self.db, batch, now).await,
                Db::Postgres { writes, .. } => postgres::append(writes, batch, now).await,
            };
            match outcome {
                Err(error) if attempt < ATTEMPTS_MAX && is_transient(&error) => {
                    tracing::warn!(error = %error, attempt, "append is tried again");
                    tokio::time::sleep(delay).await;
                    attempt += 1;
                    delay *= 2;
                }
                other => return other,
            }
        }
    }
}

/// Errors that another attempt may cure: a lost connection, a busy file, a rival transaction.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(it) => {
            // PostgreSQL: serialization, deadlock, admin shutdown, starting up. SQLite: busy, locked.
            it.code().is_some_and(|code| {
                ["40001", "40P01", "57P01", "57P02", "57P03", "5", "6", "517"].contains(&&*code)
            })
        }
        _ => false,
    }
}

/// Takes what may be committed together, in order; the rest waits.
fn take_batch(held: &mut VecDeque<Request>, events_max: usize) -> Vec<Request> {
    let mut batch = Vec::new();
    let mut rest = VecDeque::new();
    let mut events = 0;
    let mut ids: HashSet<(String, String, String)> = HashSet::new();
    let mut streams: HashSet<(String, String)> = HashSet::new();
    let mut held_streams: HashSet<(String, String)> = HashSet::new();
    for request in held.drain(..) {
        let wanted: Vec<_> = request.events.iter().map(key).collect();
        let touched: Vec<_> = request.events.iter().map(stream).collect();
        let conditional = request.events.iter().any(|it| it.expected_version.is_some());
        let full = !batch.is_empty() && events_max < events + request.events.len();
        let waits = full
            || wanted.iter().any(|it| ids.contains(it))
            // What went to a stream before must be committed before, whatever made it wait.
            || touched.iter().any(|it| held_streams.contains(it))
            || (conditional && touched.iter().any(|it| streams.contains(it)));
        if waits {
            held_streams.extend(touched);
            rest.push_back(request);
        } else {
            if conditional {
                held_streams.extend(touched.iter().cloned());
            }
            events += request.events.len();
            ids.extend(wanted);
            streams.extend(touched);
            batch.push(request);
        }
    }
    *held = rest;
    batch
}

fn key(it: &Incoming) -> (String, String, String) {
    (it.id.to_string(), it.source.to_string(), it.tenant.to_string())
}

fn stream(it: &Incoming) -> (String, String) {
    (it.stream.to_string(), it.tenant.to_string())
}

fn answer(events: &[Incoming], judged: Vec<Judged>) -> Result<Vec<Appended>, AppendError> {
    for (index, (event, it)) in events.iter().zip(&judged).enumerate() {
        match it.outcome {
            Outcome::EventIdConflict => {
                return Err(AppendError::EventIdConflict {
                    original: Box::new(it.receipt.clone()),
                    index,
                });
            }
            Outcome::VersionConflict => {
                return Err(AppendError::VersionConflict {
                    stream: event.stream.clone(),
                    expected: event.expected_version.unwrap_or_default(),
                    actual: it.receipt.version,
                    index,
                });
            }
            _ => {}
        }
    }
    Ok(judged
        .into_iter()
        .map(|it| match it.outcome {
            Outcome::Recorded => Appended::Recorded(it.receipt),
            _ => Appended::Duplicate(it.receipt),
        })
        .collect())
}
