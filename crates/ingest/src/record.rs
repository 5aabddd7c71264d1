//! A chunk of messages → the log or quarantine, and only then the answer to the broker.
//!
//! Promises that a message is acknowledged after its event is committed, and terminated after its
//! bytes are committed to quarantine. While the database is away the same chunk is tried again and
//! again. What follows from the answers of the log is decided in [`crate::attempts`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use events::envelope::{Incoming, Provenance};
use events::id::Tenant;
use events::planted::{Mistake, planted};
use events::problem::{Code, Language, Problem};
use events::time::Clock;
use jiff::Timestamp;
use serde_json::Value;
use store::{Appender, Log, Meter, failpoint, quarantine};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempts::{Attempts, Suspicious, internal};
use crate::counters::Counters;
use crate::decode::{Raw, Refused, Tenants, decode, headers_to_json};
use crate::wire::{Answer, Answers, Taken};
use crate::{mistaken, notice};

/// Pause before a chunk is tried again; it doubles.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// Chunks up to this are read where they are: another thread would cost more than it saves.
const INLINE_MAX: usize = 4;

/// Messages on their way into the log, in order.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) messages: Arc<[Taken]>,
    /// Of the stream that they were taken from, whatever stream there is by now.
    incarnation: Timestamp,
    decoded: Decoded,
}

#[derive(Debug)]
enum Decoded {
    Here(Vec<Result<Incoming, Refused>>),
    Soon(JoinHandle<Vec<Result<Incoming, Refused>>>),
}

impl Chunk {
    /// Starts to read the messages, on another thread where that pays.
    pub(crate) fn new(
        messages: Vec<Taken>,
        tenants: Tenants,
        incarnation: Timestamp,
        now: Timestamp,
    ) -> Self {
        let messages: Arc<[Taken]> = messages.into();
        let own = Arc::clone(&messages);
        let read = move || -> Vec<_> {
            own.iter().map(|it| decode(&raw(it, incarnation), &tenants, now)).collect()
        };
        let decoded = if messages.len() <= INLINE_MAX {
            Decoded::Here(read())
        } else {
            Decoded::Soon(tokio::task::spawn_blocking(read))
        };
        Self { messages, incarnation, decoded }
    }
}

/// A delivered message as the decoder wants it.
fn raw(it: &Taken, incarnation: Timestamp) -> Raw<'_> {
    Raw {
        subject: it.message.subject.as_str(),
        headers: it.message.headers.as_ref(),
        body: &it.message.payload,
        provenance: place(it, incarnation),
    }
}

fn place(it: &Taken, incarnation: Timestamp) -> Provenance {
    Provenance { incarnation, sequence: i64::try_from(it.stream_sequence).unwrap_or(i64::MAX) }
}

/// Takes chunks to the log.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) appender: Appender,
    pub(crate) log: Log,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) answers: Answers,
    pub(crate) counters: Arc<Counters>,
    pub(crate) meter: Arc<dyn Meter>,
    /// Whose quarantine takes messages whose subject names no possible tenant.
    pub(crate) home: Tenant,
}

impl Recorder {
    /// Records a chunk and answers for each message. What is left when asked to stop comes back.
    pub(crate) async fn record(self, chunk: Chunk, stop: CancellationToken) -> Vec<Taken> {
        failpoint::pass("ingest.after_pull").await;
        let Chunk { messages, incarnation, decoded } = chunk;
        let decoded = match decoded {
            Decoded::Here(it) => it,
            Decoded::Soon(task) => match task.await {
                Ok(it) => it,
                Err(error) => {
                    tracing::error!(%error, "reading a chunk of messages failed; all of it is kept in quarantine");
                    messages.iter().map(|_| Err(internal(None))).collect()
                }
            },
        };
        let mut pending = Vec::with_capacity(decoded.len());
        let mut suspicious = Vec::new();
        for (index, it) in decoded.into_iter().enumerate() {
            match it {
                Ok(incoming) => pending.push((index, incoming)),
                Err(refused) => suspicious.push(Suspicious { index, refused, conflicting: None }),
            }
        }
        let mut open = self.append(&messages, pending, &mut suspicious, &stop).await;
        if !self.quarantine(&messages, &suspicious, incarnation, &stop).await {
            open.extend(suspicious.iter().map(|it| it.index));
        }
        open.sort_unstable();
        open.into_iter().filter_map(|it| messages.get(it).cloned()).collect()
    }

    /// Appends until everything is decided or somebody says stop; answers with what is undecided.
    async fn append(
        &self,
        messages: &[Taken],
        mut pending: Vec<(usize, Incoming)>,
        suspicious: &mut Vec<Suspicious>,
        stop: &CancellationToken,
    ) -> Vec<usize> {
        let mut pause = RETRY_FIRST;
        if planted(Mistake::AckBeforeCommit) {
            for it in messages {
                self.answers.give(Some(it), Answer::Ack).await;
            }
        }
        mistaken::change(messages, &mut pending);
        let mut attempts = Attempts::new(pending);
        while let Some(events) = attempts.hand_out() {
            let began = Instant::now();
            let heard = attempts.heard(self.appender.append_each(events).await);
            let took = began.elapsed().as_secs_f64();
            self.meter.observe("sapa_append_duration_seconds", &[("path", "nats")], &[took]);
            self.count_done(messages, &heard.done);
            for (index, is_new) in heard.done {
                self.count(is_new);
                self.answers.give(messages.get(index), Answer::Ack).await;
            }
            for mut it in heard.suspicious {
                if let Some(other) = it.conflicting.take() {
                    it.refused.problem = self.with_fields(&other, it.refused.problem).await;
                }
                suspicious.push(it);
            }
            if !heard.again {
                pause = RETRY_FIRST;
                self.counters.flowing();
                continue;
            }
            self.counters.stuck(self.clock.now());
            let answers_others = heard.unavailable && self.log.head().await.is_ok();
            suspicious.extend(attempts.failed(answers_others));
            if !wait(&mut pause, stop).await {
                break;
            }
        }
        attempts.left()
    }

    /// Names what differs from the event that has the id already; without it where the log is away.
    async fn with_fields(&self, it: &Incoming, problem: Box<Problem>) -> Box<Problem> {
        let Some(receipt) = problem.receipt.as_ref() else { return problem };
        let found = self.log.read_positions(&it.tenant, &[receipt.position]).await;
        match found.ok().and_then(|found| found.into_iter().next()) {
            Some(original) => Box::new(Problem::id_conflict(receipt, &original.differs_from(it))),
            None => problem,
        }
    }

    /// Counts events by tenant and outcome.
    fn count_done(&self, messages: &[Taken], done: &[(usize, bool)]) {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (index, is_new) in done {
            let outcome = if *is_new { "recorded" } else { "duplicate" };
            let subject = messages.get(*index).map_or("", |it| it.message.subject.as_str());
            let tenant = subject.split('.').nth(2).unwrap_or_default();
            *counts.entry((tenant, outcome)).or_default() += 1;
        }
        for ((tenant, outcome), events) in counts {
            let labels = [("path", "nats"), ("outcome", outcome), ("tenant", tenant)];
            self.meter.count("sapa_events_total", &labels, events);
        }
    }

    fn count_kept(&self, it: &quarantine::Suspect<'_>) {
        let conflict = [Code::EventIdConflict, Code::VersionConflict].map(Code::as_str);
        let outcome = if conflict.contains(&it.code) { "conflict" } else { "quarantined" };
        let labels = [("path", "nats"), ("outcome", outcome), ("tenant", it.tenant.as_str())];
        self.meter.count("sapa_events_total", &labels, 1);
        self.meter.count("sapa_quarantine_total", &[("code", it.code)], 1);
    }

    fn count(&self, new: bool) {
        let counter = if new { &self.counters.recorded } else { &self.counters.duplicates };
        Counters::add(counter, 1);
    }

    /// Keeps the refused ones, tells of them and terminates them; `false` if stopped before that.
    async fn quarantine(
        &self,
        messages: &[Taken],
        suspicious: &[Suspicious],
        incarnation: Timestamp,
        stop: &CancellationToken,
    ) -> bool {
        if suspicious.is_empty() {
            return true;
        }
        let received_at = self.clock.now();
        let told: Vec<(Value, Value)> = suspicious
            .iter()
            .map(|it| {
                let headers = messages.get(it.index).and_then(|it| it.message.headers.as_ref());
                let problem = it.refused.problem.to_json(Language::En, None, "");
                (problem, headers_to_json(headers))
            })
            .collect();
        let suspects: Vec<quarantine::Suspect<'_>> = suspicious
            .iter()
            .zip(&told)
            .filter_map(|(it, (problem, headers))| {
                let message = messages.get(it.index)?;
                Some(quarantine::Suspect {
                    tenant: it.refused.tenant.as_ref().unwrap_or(&self.home),
                    code: it.refused.problem.code.as_str(),
                    problem,
                    face: "nats",
                    subject: Some(message.message.subject.as_str()),
                    provenance: Some(place(message, incarnation)),
                    received_at,
                    source: it.refused.source.as_deref(),
                    event_id: it.refused.event_id.as_deref(),
                    headers,
                    bytes: &message.message.payload,
                })
            })
            .collect();
        let mut pause = RETRY_FIRST;
        let names = loop {
            match quarantine::keep(self.log.db(), &suspects).await {
                Ok(names) => break names,
                Err(error) => {
                    tracing::warn!(%error, "quarantine is tried again");
                    self.counters.stuck(self.clock.now());
                }
            }
            if !wait(&mut pause, stop).await {
                return false;
            }
        };
        self.counters.flowing();
        Counters::add(&self.counters.quarantined, suspects.len());
        log_quarantined(&suspects, &names);
        for ((suspect, name), it) in suspects.iter().zip(&names).zip(suspicious) {
            self.count_kept(suspect);
            self.answers.tell(notice::of(suspect, name, &it.refused.problem)).await;
            self.answers.give(messages.get(it.index), Answer::Term(suspect.code)).await;
        }
        true
    }
}

/// One line for each code and tenant of a chunk; nothing of what was sent stands in it.
fn log_quarantined(suspects: &[quarantine::Suspect<'_>], names: &[String]) {
    let mut by_code: BTreeMap<(&Tenant, &str), (usize, &str)> = BTreeMap::new();
    for (it, name) in suspects.iter().zip(names) {
        by_code.entry((it.tenant, it.code)).or_insert((0, name)).0 += 1;
    }
    for ((tenant, code), (messages, first)) in by_code {
        tracing::warn!(%tenant, code, messages, first, "messages were quarantined");
    }
}

/// Sleeps and doubles the pause; `false` when asked to stop.
async fn wait(pause: &mut Duration, stop: &CancellationToken) -> bool {
    let this = *pause;
    *pause = (this * 2).min(RETRY_LONGEST);
    tokio::select! {
        () = tokio::time::sleep(this) => true,
        () = stop.cancelled() => false,
    }
}
