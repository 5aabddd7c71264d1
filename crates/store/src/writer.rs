//! The one writer of this process: a bounded queue, natural group commit, receipts back.
//!
//! Callers hand in requests of one or more events; whatever is waiting is committed together, and
//! nobody waits for a timer. A request is recorded whole or not at all, and what is new enters the
//! log in the order in which it came. An id that is already in the batch, and a stream whose version
//! somebody expects, wait for the next one, so that no row of a batch has to know of another
//! request's fate.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events::envelope::{Incoming, Receipt};
use events::planted::{Mistake, planted};
use events::time::Clock;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::bell::Bell;
use crate::cut_times::recognise;
use crate::db::Db;
use crate::error::AppendError;
use crate::firsts::{COMMITTED_MAX, Committed, Firsts, tell_firsts};
use crate::log::Log;
use crate::meter::{self, Meter};
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
    /// It is new and the first about its customer. Told only by [`Appender::append_telling_firsts`] and
    /// [`Appender::append_each_telling_firsts`].
    RecordedFirst(Receipt),
    /// The same event was here already; this is the receipt it got then.
    Duplicate(Receipt),
}

impl Appended {
    /// The receipt, whichever way it came to be.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        match self {
            Self::Recorded(it) | Self::RecordedFirst(it) | Self::Duplicate(it) => it,
        }
    }

    /// It was recorded just now.
    #[must_use]
    pub fn is_new(&self) -> bool {
        matches!(self, Self::Recorded(_) | Self::RecordedFirst(_))
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

/// Where an answer will come out.
type Answer = oneshot::Receiver<Result<Vec<Appended>, AppendError>>;

/// One waiting request; no id stands in it twice.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) events: Vec<Incoming>,
    line: Line,
    /// Whoever asked wants to know which events are the first about their customer.
    firsts: Firsts,
    pub(crate) answer: oneshot::Sender<Result<Vec<Appended>, AppendError>>,
}

/// What came in one call and keeps its order: once one of it could not be written, those after it
/// are not written either.
#[derive(Clone, Debug, Default)]
struct Line(Arc<AtomicBool>);

impl Line {
    fn is_broken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn tear(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The handle that callers append through. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Appender(mpsc::Sender<Request>);

impl Appender {
    /// Appends the events of one request, all or none, and answers after the commit.
    ///
    /// Outcomes stand in the order of the events. An event that stands in the request twice is
    /// recorded once and its second place answers `Duplicate`.
    pub async fn append(&self, events: Vec<Incoming>) -> Result<Vec<Appended>, AppendError> {
        self.append_request(events, Firsts::Untold).await
    }

    /// Like [`Self::append`], and tells which events are the first about their customer. Of several
    /// requests at once about a new customer exactly one is told so.
    pub async fn append_telling_firsts(
        &self,
        events: Vec<Incoming>,
    ) -> Result<Vec<Appended>, AppendError> {
        self.append_request(events, Firsts::Told).await
    }

    async fn append_request(
        &self,
        events: Vec<Incoming>,
        firsts: Firsts,
    ) -> Result<Vec<Appended>, AppendError> {
        let (events, places) = without_twins(events)?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        placed(answered(self.enqueue(events, &Line::default(), firsts).await?).await, &places)
    }

    /// Appends every event as a request of its own; they enter the queue in their order and are
    /// waited for together.
    ///
    /// Once the queue has no place for one, or the database does not answer for one, those after it
    /// are `Busy`, so that none overtakes another.
    pub async fn append_each(&self, events: Vec<Incoming>) -> Vec<Result<Appended, AppendError>> {
        let groups = events.into_iter().map(|it| vec![it]).collect();
        self.append_groups(groups).await.into_iter().map(|it| it.and_then(only)).collect()
    }

    /// Like [`Self::append_each`], and tells which events are the first about their customer.
    pub async fn append_each_telling_firsts(
        &self,
        events: Vec<Incoming>,
    ) -> Vec<Result<Appended, AppendError>> {
        let groups = events.into_iter().map(|it| vec![it]).collect();
        let outcomes = self.append_in_order(groups, Firsts::Told).await;
        outcomes.into_iter().map(|it| it.and_then(only)).collect()
    }

    /// Appends every group as a request of its own, all of its events or none, in their order and
    /// under the rule of [`Self::append_each`]. A group without events has no outcomes.
    pub async fn append_groups(
        &self,
        groups: Vec<Vec<Incoming>>,
    ) -> Vec<Result<Vec<Appended>, AppendError>> {
        self.append_in_order(groups, Firsts::Untold).await
    }

    async fn append_in_order(
        &self,
        groups: Vec<Vec<Incoming>>,
        firsts: Firsts,
    ) -> Vec<Result<Vec<Appended>, AppendError>> {
        let mut waiting = Vec::with_capacity(groups.len());
        let line = Line::default();
        let mut refused: Option<AppendError> = None;
        for group in groups {
            waiting.push(match (without_twins(group), &refused) {
                // An id that stands in a group twice with other content is refused before the queue.
                (Err(error), _) => Err(error),
                (Ok((events, _)), _) if events.is_empty() => Ok(None),
                (_, Some(error)) => Err(error.clone()),
                (Ok((events, places)), None) => match self.enqueue(events, &line, firsts).await {
                    Ok(answer) => Ok(Some((answer, places))),
                    Err(error) => {
                        refused = Some(error.clone());
                        Err(error)
                    }
                },
            });
        }
        let mut outcomes = Vec::with_capacity(waiting.len());
        for it in waiting {
            outcomes.push(match it {
                Ok(Some((answer, places))) => placed(answered(answer).await, &places),
                Ok(None) => Ok(Vec::new()),
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    async fn enqueue(
        &self,
        events: Vec<Incoming>,
        line: &Line,
        firsts: Firsts,
    ) -> Result<Answer, AppendError> {
        let (answer, answered) = oneshot::channel();
        let request = Request { events, line: line.clone(), firsts, answer };
        let sent = self.0.send_timeout(request, QUEUE_WAIT).await;
        sent.map(|()| answered).map_err(|error| match error {
            SendTimeoutError::Timeout(_) => AppendError::Busy,
            SendTimeoutError::Closed(_) => stopped(),
        })
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
    meter: Arc<dyn Meter>,
    /// Committed requests that want to know which of their events are the first about a customer.
    asking: mpsc::Sender<Committed>,
    asked: Option<mpsc::Receiver<Committed>>,
    /// On PostgreSQL, the connection of the last commit: the pool would ask it twice whether it lives.
    kept: Option<PoolConnection<Postgres>>,
}

impl Writer {
    /// A writer and the handle to it; `queue` requests may wait.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>, bell: Bell, queue: usize) -> (Self, Appender) {
        let (sender, receiver) = mpsc::channel(queue);
        let (asking, asked) = mpsc::channel(COMMITTED_MAX);
        let writer = Self {
            db,
            clock,
            bell,
            queue: receiver,
            batch_events_max: BATCH_EVENTS_MAX,
            meter: meter::silent(),
            asking,
            asked: Some(asked),
            kept: None,
        };
        (writer, Appender(sender))
    }

    /// Commits fewer events at once.
    #[must_use]
    pub fn with_batch(mut self, events: usize) -> Self {
        self.batch_events_max = events.clamp(1, BATCH_EVENTS_MAX);
        self
    }

    /// Counts what it does.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = meter;
        self
    }

    /// Commits what is waiting until asked to stop; what waits then is still committed.
    pub async fn run(mut self, stop: CancellationToken) {
        let log = Log::of(self.db.clone());
        let asked = self.asked.take();
        // The next batch is committed while the log is read for the last one.
        tokio::join!(self.commit_all(stop), tell_firsts(log, asked));
    }

    async fn commit_all(mut self, stop: CancellationToken) {
        let mut held: VecDeque<Request> = VecDeque::new();
        loop {
            if held.is_empty() {
                let next = tokio::select! {
                    biased;
                    it = self.queue.recv() => it,
                    () = stop.cancelled() => {
                        self.queue.close();
                        self.queue.recv().await
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
            // Whoever was just answered may have more to say: one full batch costs less than one of the
            // first who speaks and one of all the others.
            tokio::task::yield_now().await;
        }
    }

    async fn commit(&mut self, batch: Vec<Request>) {
        let batch = without_overtakers(batch);
        if batch.is_empty() {
            return;
        }
        self.meter.observe("sapa_append_group_requests", &[], &[meter::number(batch.len())]);
        match self.write(&batch).await {
            // What no other attempt can cure is the fault of one request: its neighbours go on.
            Err(error) if 1 < batch.len() && Cure::of(&error) == Cure::None => {
                for request in batch {
                    let alone = without_overtakers(vec![request]);
                    if !alone.is_empty() {
                        let outcome = self.write(&alone).await;
                        self.tell(alone, outcome).await;
                    }
                }
            }
            Ok(judged) => self.tell_judged(batch, judged).await,
            outcome => self.tell(batch, outcome).await,
        }
    }

    /// Gives every request its answer; those with a conflict that may be none are judged again first.
    async fn tell_judged(&mut self, batch: Vec<Request>, mut judged: Vec<Judged>) {
        if judged.iter().all(|it| it.outcome != Outcome::EventIdConflict) {
            return self.tell(batch, Ok(judged)).await;
        }
        let (mut clear, mut clear_judged, mut conflicting) = (Vec::new(), Vec::new(), Vec::new());
        for request in batch {
            let rest = judged.split_off(request.events.len().min(judged.len()));
            let own = std::mem::replace(&mut judged, rest);
            if own.iter().any(|it| it.outcome == Outcome::EventIdConflict) {
                conflicting.push((request, own));
            } else {
                clear.push(request);
                clear_judged.extend(own);
            }
        }
        self.tell(clear, Ok(clear_judged)).await;
        let mut looked_at: Vec<_> =
            conflicting.iter_mut().map(|(it, own)| (&mut it.events, own.as_slice())).collect();
        let again = match recognise(&Log::of(self.db.clone()), &mut looked_at).await {
            Ok(again) => again,
            Err(error) => {
                let error = sqlx::Error::Io(std::io::Error::other(error));
                let conflicting = conflicting.into_iter().map(|it| it.0).collect();
                return self.tell(conflicting, Err(error)).await;
            }
        };
        let (again, settled): (Vec<_>, Vec<_>) =
            conflicting.into_iter().zip(again).partition(|(_, again)| *again);
        let (settled, judged): (Vec<_>, Vec<_>) = settled.into_iter().map(|it| it.0).unzip();
        self.tell(settled, Ok(judged.into_iter().flatten().collect())).await;
        let again: Vec<Request> = again.into_iter().map(|((request, _), _)| request).collect();
        if !again.is_empty() {
            let outcome = self.write(&again).await;
            self.tell(again, outcome).await;
        }
    }

    /// Gives every request its answer. A caller that went away finds the outcome by its receipt.
    async fn tell(&self, batch: Vec<Request>, outcome: Result<Vec<Judged>, sqlx::Error>) {
        match outcome {
            Ok(mut judged) => {
                // Duplicates too: they may be what a lost answer to a commit has recorded.
                self.bell.ring(judged.iter().map(|it| it.receipt.position).max().unwrap_or(0));
                let mut asking = Vec::new();
                for request in batch {
                    let rest = judged.split_off(request.events.len().min(judged.len()));
                    let own = std::mem::replace(&mut judged, rest);
                    match (answer(&request.events, own), request.firsts) {
                        (Ok(appended), Firsts::Told) => asking.push((request, appended)),
                        (answer, _) => drop(request.answer.send(answer)),
                    }
                }
                if !asking.is_empty() {
                    let _ = self.asking.send(asking).await;
                }
            }
            Err(error) => {
                tracing::error!(error = %error, requests = batch.len(), "append failed");
                let cure = Cure::of(&error);
                for request in batch {
                    // What is at fault alone would fail again for ever: nobody waits for it.
                    if cure != Cure::None {
                        request.line.tear();
                    }
                    let answer = match cure {
                        // It was rolled back, and says nothing about the request.
                        Cure::Later => AppendError::Busy,
                        _ => AppendError::Unavailable(error.to_string()),
                    };
                    let _ = request.answer.send(Err(answer));
                }
            }
        }
    }

    /// Writes the batch; when the answer to a commit is lost, the ids make writing it again safe.
    async fn write(&mut self, batch: &[Request]) -> Result<Vec<Judged>, sqlx::Error> {
        let mut delay = RETRY_DELAY;
        let mut attempt = 1;
        loop {
            match self.attempt(batch).await {
                Err(error) if attempt < ATTEMPTS_MAX && Cure::of(&error) == Cure::Again => {
                    tracing::warn!(error = %error, attempt, "append is tried again");
                    self.meter.count("sapa_db_retries_total", &[("reason", reason(&error))], 1);
                    tokio::time::sleep(delay).await;
                    attempt += 1;
                    delay *= 2;
                }
                other => return other,
            }
        }
    }

    async fn attempt(&mut self, batch: &[Request]) -> Result<Vec<Judged>, sqlx::Error> {
        let now = self.clock.now();
        match &self.db {
            Db::Sqlite { .. } => sqlite::append(&self.db, batch, now).await,
            Db::Postgres { writes, .. } => {
                let mut connection = match self.kept.take() {
                    Some(it) => it,
                    None => writes.acquire().await?,
                };
                let judged = postgres::append(&mut connection, batch, now).await?;
                // After an error it goes back to the pool, which throws it away if it is broken.
                self.kept = Some(connection);
                Ok(judged)
            }
        }
    }
}

/// What may cure a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cure {
    /// Another attempt: a lost connection, a rival transaction.
    Again,
    /// Time: the statement has waited for as long as it may, and whoever asked has waited with it.
    Later,
    /// Nothing.
    None,
}

impl Cure {
    fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => {
                Self::Again
            }
            sqlx::Error::Database(it) => match it.code().as_deref() {
                // PostgreSQL: `statement_timeout`. SQLite: busy, after waiting for the lock.
                Some("57014" | "5" | "773") => Self::Later,
                Some(code) if code.starts_with("08") || AGAIN.contains(&code) => Self::Again,
                _ => Self::None,
            },
            _ => Self::None,
        }
    }
}

/// PostgreSQL: serialization, deadlock, too many clients, shutdown, starting up, beside all about the
/// connection (08). SQLite: locked, and busy at once.
const AGAIN: [&str; 10] =
    ["40001", "40P01", "53300", "57P01", "57P02", "57P03", "6", "261", "262", "517"];

/// Why an attempt is repeated, as a label.
fn reason(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::PoolTimedOut => "no_connection",
        sqlx::Error::Database(it) if it.code().is_some_and(|it| it.starts_with('4')) => "rival",
        sqlx::Error::Database(_) => "refused",
        _ => "connection_lost",
    }
}

/// Leaves what may be written; what would overtake one of its own line that was not is told to come
/// back.
fn without_overtakers(batch: Vec<Request>) -> Vec<Request> {
    let (overtakers, batch): (Vec<Request>, _) =
        batch.into_iter().partition(|it| it.line.is_broken());
    for it in overtakers {
        let _ = it.answer.send(Err(AppendError::Busy));
    }
    batch
}

/// Takes what may be committed together; the rest waits in its order.
///
/// The batch ends where a request does not fit, so nothing new is overtaken. Only a request whose
/// every id is in the batch already holds up nobody: what it says is being recorded.
fn take_batch(held: &mut VecDeque<Request>, events_max: usize) -> Vec<Request> {
    let mut events = 0;
    let mut ids = HashSet::new();
    let mut streams = HashSet::new();
    let mut expected = HashSet::new();
    let mut is_taken = Vec::with_capacity(held.len());
    for request in &*held {
        let own = &request.events;
        let known = own.iter().filter(|it| ids.contains(&key(it))).count();
        if known == own.len() {
            is_taken.push(false);
            continue;
        }
        let is_conditional = own.iter().any(|it| it.expected_version.is_some());
        let waits = 0 < known
            || (0 < events && events_max < events + own.len())
            || own.iter().any(|it| expected.contains(&stream(it)))
            || (is_conditional && own.iter().any(|it| streams.contains(&stream(it))));
        if waits {
            break;
        }
        events += own.len();
        ids.extend(own.iter().map(key));
        streams.extend(own.iter().map(stream));
        if is_conditional {
            expected.extend(own.iter().map(stream));
        }
        is_taken.push(true);
    }
    let mut batch = Vec::with_capacity(is_taken.len());
    let mut rest = VecDeque::with_capacity(held.len());
    for (index, request) in held.drain(..).enumerate() {
        if is_taken.get(index).is_some_and(|it| *it) {
            batch.push(request);
        } else {
            rest.push_back(request);
        }
    }
    *held = rest;
    batch
}

fn key(it: &Incoming) -> (&str, &str, &str) {
    (it.id.as_str(), it.source.as_str(), it.tenant.as_str())
}

fn stream(it: &Incoming) -> (&str, &str) {
    (it.stream.as_str(), it.tenant.as_str())
}

/// Where an event of a request went: its index among those that are sent on, and whether it is the
/// first of its id.
type Place = (usize, bool);

/// Leaves the first of every id; the same id with other content is refused.
fn without_twins(events: Vec<Incoming>) -> Result<(Vec<Incoming>, Vec<Place>), AppendError> {
    let mut first: HashMap<(&str, &str, &str), (usize, &Incoming)> = HashMap::new();
    let mut places: Vec<Place> = Vec::with_capacity(events.len());
    for (index, it) in events.iter().enumerate() {
        let next = first.len();
        places.push(match first.entry(key(it)) {
            Entry::Occupied(twin) if !is_same(twin.get().1, it) => {
                return Err(AppendError::IdTwice { index });
            }
            Entry::Occupied(twin) => (twin.get().0, false),
            Entry::Vacant(place) => {
                place.insert((next, it));
                (next, true)
            }
        });
    }
    let own = events.into_iter().zip(&places).filter(|(_, place)| place.1).map(|(it, _)| it);
    Ok((own.collect(), places))
}

/// The outcome of a request, with the places that its events had before twins were left out.
fn placed(
    outcome: Result<Vec<Appended>, AppendError>,
    places: &[Place],
) -> Result<Vec<Appended>, AppendError> {
    let own = outcome.map_err(|error| error.at(|index| place_of(index, places)))?;
    Ok(spread(&own, places))
}

fn is_same(first: &Incoming, second: &Incoming) -> bool {
    first.fingerprint == second.fingerprint || first.differs_by_cut_time(second)
}

/// Which event of the request the `index`-th that was sent on is.
fn place_of(index: usize, places: &[Place]) -> usize {
    places.iter().position(|it| *it == (index, true)).unwrap_or(index)
}

/// The outcomes of what was sent on, as outcomes of the whole request.
fn spread(own: &[Appended], places: &[Place]) -> Vec<Appended> {
    let outcome = |(index, is_first): &Place| {
        let it = own.get(*index)?;
        Some(if *is_first { it.clone() } else { Appended::Duplicate(it.receipt().clone()) })
    };
    places.iter().filter_map(outcome).collect()
}

async fn answered(answer: Answer) -> Result<Vec<Appended>, AppendError> {
    answer.await.map_err(|_| stopped())?
}

fn only(outcomes: Vec<Appended>) -> Result<Appended, AppendError> {
    outcomes.into_iter().next().ok_or_else(stopped)
}

fn stopped() -> AppendError {
    AppendError::Unavailable("the writer has stopped".to_owned())
}

fn answer(events: &[Incoming], judged: Vec<Judged>) -> Result<Vec<Appended>, AppendError> {
    for (index, (event, it)) in events.iter().zip(&judged).enumerate() {
        match it.outcome {
            Outcome::EventIdConflict if !planted(Mistake::ConflictIsDuplicate) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_tried_again_under_a_name_of_the_table_of_metrics() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!((Cure::of(&lost), reason(&lost)), (Cure::Again, "connection_lost"));
        let waited = sqlx::Error::PoolTimedOut;
        assert_eq!((Cure::of(&waited), reason(&waited)), (Cure::Again, "no_connection"));
        assert_eq!(Cure::of(&sqlx::Error::RowNotFound), Cure::None);
    }

    fn request(line: &Line) -> (Request, Answer) {
        let (answer, answered) = oneshot::channel();
        let firsts = Firsts::Untold;
        (Request { events: Vec::new(), line: line.clone(), firsts, answer }, answered)
    }

    #[tokio::test]
    async fn what_came_after_something_that_was_not_written_is_not_written_either() {
        let (line, other) = (Line::default(), Line::default());
        let (first, _) = request(&line);
        first.line.tear();
        let (second, answered) = request(&line);
        let (neighbour, _) = request(&other);
        let left = without_overtakers(vec![second, neighbour]);
        assert_eq!(left.len(), 1);
        assert!(!left[0].line.is_broken());
        assert!(matches!(answered.await.unwrap(), Err(AppendError::Busy)));
    }
}
