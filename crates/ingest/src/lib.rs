//! NATS → log: pull, read, record, acknowledge. Nothing else.
//!
//! Promises: a message is acknowledged after its event is recorded or quarantined, never before;
//! events enter the log in the order of `SAPA_IN`, over a take-over too; nothing is dropped while the
//! database is away. De-duplication rests on the event's id alone, never on a stream sequence.

pub mod attempts;
pub mod counters;
pub mod decode;
pub mod intake;
mod mistaken;
mod notice;
mod pull;
mod record;
pub mod step;
pub mod stream;
pub mod verdict;
pub mod watch;
mod wire;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{Consumer, pull as pulling};
use events::id::Tenant;
use events::time::Clock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use store::{Appender, Log, Meter};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use counters::Counters;
pub use decode::{TenantSettings, Tenants};

use crate::intake::{Intake, Opened};
use crate::pull::{Pull, Standing};
use crate::record::{Chunk, Recorder};
use crate::step::Delivery;
use crate::stream::BATCH_MAX;
use crate::wire::{Answer, Answers, Taken};

/// Messages pending and none delivered for this long: the pull is set up again.
pub const STALLED_AFTER: Duration = Duration::from_secs(30);
/// Missed heartbeats in a row after which the pull is set up again.
const MISSED_MAX: u32 = 3;
/// While a chunk is being committed, the next is begun once this many messages wait.
const AHEAD_MIN: usize = 128;
/// How long a stopping ingest waits for messages that are on their way to it.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// How long nothing has to be delivered before nothing more is expected.
const QUIET: Duration = Duration::from_millis(50);
/// How often everything is given back before the rest is left to `ack_wait`.
const GIVE_BACK_MAX: usize = 40;
/// Pause before a pull that failed is opened again; it doubles.
const REOPEN_FIRST: Duration = Duration::from_millis(100);
/// The longest of these pauses.
const REOPEN_LONGEST: Duration = Duration::from_secs(5);

/// The task that takes messages off `SAPA_IN`.
#[derive(Debug)]
pub struct Ingest {
    context: Context,
    recorder: Recorder,
    tenants: Receiver<Tenants>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
    ack_wait: Duration,
}

/// What [`Ingest`] works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The connection that pulls, with a request timeout set.
    pub context: Context,
    /// The way into the log.
    pub appender: Appender,
    /// The log, for quarantine and for finding out whether the database answers.
    pub log: Log,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The tenants there are.
    pub tenants: Receiver<Tenants>,
    /// Whose quarantine takes messages whose subject names no possible tenant.
    pub home: Tenant,
    /// Where the numbers go.
    pub counters: Arc<Counters>,
    /// Where events and appends are counted.
    pub meter: Arc<dyn Meter>,
    /// `nats.ack_wait`, as the consumer has it.
    pub ack_wait: Duration,
}

impl Ingest {
    /// A task that has not started.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let recorder = Recorder {
            appender: parts.appender,
            log: parts.log,
            clock: Arc::clone(&parts.clock),
            answers: Answers::new(parts.context.client()),
            counters: Arc::clone(&parts.counters),
            meter: parts.meter,
            home: parts.home,
        };
        Self {
            context: parts.context,
            recorder,
            tenants: parts.tenants,
            counters: parts.counters,
            clock: parts.clock,
            ack_wait: parts.ack_wait,
        }
    }

    /// Runs until asked to stop; then finishes the commit and gives back what is not committed.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = interval((self.ack_wait / 3).min(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flow = Flow::new(self, stop.clone());
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Nothing is left over unless somebody says stop, and that is the arm above.
                _ = maybe(&mut flow.committing) => Event::Committed,
                it = maybe(&mut flow.asking) => Event::Asked(it),
                it = next(&mut flow.source) => it,
                _ = ticks.tick() => Event::Tick,
            };
            flow.handle(event).await;
            flow.advance();
        }
        flow.finish().await;
    }
}

/// Where deliveries come from.
enum Source {
    Opening(BoxFuture<'static, Result<Box<Pull>, async_nats::Error>>),
    Open(Box<Pull>),
}

/// What the loop woke up for.
enum Event {
    Opened(Result<Box<Pull>, async_nats::Error>),
    Arrived(Option<Result<Delivery<Taken>, async_nats::Error>>),
    Committed,
    Asked(Result<Standing, async_nats::Error>),
    Tick,
}

async fn next(source: &mut Source) -> Event {
    match source {
        Source::Opening(it) => Event::Opened(it.await),
        Source::Open(it) => Event::Arrived(it.next().await),
    }
}

/// The result of a future that may be there, which is then gone.
async fn maybe<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    match slot {
        Some(it) => {
            let result = it.await;
            *slot = None;
            result
        }
        None => pending().await,
    }
}

/// Everything between the pull and the log.
struct Flow {
    ingest: Ingest,
    stop: CancellationToken,
    source: Source,
    reopen_pause: Duration,
    missed: u32,
    /// The answer subject of the newest delivery.
    newest_reply: Option<String>,
    intake: Intake<Taken>,
    /// Read ahead, while another chunk is being committed.
    ahead: Option<Chunk>,
    /// The chunk being committed, for asking the broker to be patient.
    in_work: Arc<[Taken]>,
    committing: Option<BoxFuture<'static, Vec<Taken>>>,
    asking: Option<BoxFuture<'static, Result<Standing, async_nats::Error>>>,
    /// The question is whether the pull stands still.
    suspects_stall: bool,
    last_arrival: Instant,
    last_progress: Instant,
}

impl Flow {
    fn new(ingest: Ingest, stop: CancellationToken) -> Self {
        let now = Instant::now();
        Self {
            source: Source::Opening(pull::open(ingest.context.clone()).boxed()),
            intake: Intake::new(ingest.ack_wait),
            ingest,
            stop,
            reopen_pause: REOPEN_FIRST,
            missed: 0,
            newest_reply: None,
            ahead: None,
            in_work: Arc::from([]),
            committing: None,
            asking: None,
            suspects_stall: false,
            last_arrival: now,
            last_progress: now,
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Opened(Ok(pull)) => self.opened(pull),
            Event::Opened(Err(error)) => {
                tracing::warn!(%error, "cannot pull from SAPA_IN; `sapa doctor` says why");
                self.reopen();
            }
            Event::Arrived(Some(Ok(it))) => self.arrived(it),
            Event::Arrived(Some(Err(error))) => self.failed(&error),
            Event::Arrived(None) => {
                tracing::warn!("the pull on SAPA_IN has ended");
                self.reopen();
            }
            Event::Committed => self.in_work = Arc::from([]),
            Event::Asked(it) => self.asked(it),
            Event::Tick => self.tick().await,
        }
    }

    fn opened(&mut self, pull: Box<Pull>) {
        if let Opened::RolledBack { seen } =
            self.intake.opened(pull.incarnation, pull.last_sequence, Instant::now())
        {
            let found = pull.last_sequence;
            tracing::error!(seen, found, "broker_rollback: SAPA_IN has lost its tail");
            Counters::add(&self.ingest.counters.broker_rollbacks, 1);
        }
        self.missed = 0;
        self.last_arrival = Instant::now();
        self.source = Source::Open(pull);
    }

    /// Takes a delivery, and whatever else has arrived by now.
    fn arrived(&mut self, first: Delivery<Taken>) {
        let now = Instant::now();
        let mut taken = 1;
        let mut closed = self.take(first, now);
        while taken < BATCH_MAX
            && let Source::Open(pull) = &mut self.source
            && let Some(Some(it)) = pull.next().now_or_never()
        {
            match it {
                Ok(it) => closed |= self.take(it, now),
                Err(error) => return self.failed(&error),
            }
            taken += 1;
        }
        (self.missed, self.reopen_pause, self.last_arrival) = (0, REOPEN_FIRST, now);
        Counters::add(&self.ingest.counters.pulled, taken);
        self.ingest.counters.active(self.ingest.clock.now());
        if closed {
            Counters::add(&self.ingest.counters.takeovers, 1);
            // An answer to an older question would be about another moment.
            self.asking = None;
            self.ask();
        }
    }

    fn take(&mut self, it: Delivery<Taken>, now: Instant) -> bool {
        if it.redelivered {
            Counters::add(&self.ingest.counters.redelivered, 1);
        }
        self.ingest.counters.unpinned.store(it.pin.is_empty(), Ordering::Relaxed);
        self.newest_reply = it.message.message.reply.as_ref().map(ToString::to_string);
        self.intake.arrive(it, now)
    }

    /// A missed heartbeat is a hint, three are a reason; anything else is a reason at once.
    fn failed(&mut self, error: &async_nats::Error) {
        self.missed += 1;
        self.intake.interrupted(Instant::now());
        tracing::debug!(%error, missed = self.missed, "the pull on SAPA_IN stumbled");
        if MISSED_MAX <= self.missed {
            self.reopen();
        }
    }

    /// Drops the pull and opens another after a pause.
    fn reopen(&mut self) {
        Counters::add(&self.ingest.counters.pull_rebuilds, 1);
        let pause = self.reopen_pause;
        self.reopen_pause = (pause * 2).min(REOPEN_LONGEST);
        let context = self.ingest.context.clone();
        self.asking = None;
        self.source = Source::Opening(
            async move {
                tokio::time::sleep(pause).await;
                pull::open(context).await
            }
            .boxed(),
        );
    }

    fn ask(&mut self) {
        if let (Source::Open(pull), None) = (&self.source, &self.asking) {
            self.asking = Some(pull::ask(pull.consumer.clone()).boxed());
        }
    }

    fn asked(&mut self, it: Result<Standing, async_nats::Error>) {
        let stall = std::mem::take(&mut self.suspects_stall);
        let standing = match it {
            Ok(it) => it,
            Err(error) => {
                tracing::debug!(%error, "the consumer did not say how it stands");
                return;
            }
        };
        self.intake.learn(&standing.known, Instant::now());
        let pinned = standing.known.pinned.as_deref();
        let ours = pinned.is_none() || pinned == self.intake.sorter().pin();
        if stall && ours && 0 < standing.waiting && STALLED_AFTER <= self.last_arrival.elapsed() {
            tracing::warn!(
                waiting = standing.waiting,
                "the pull on SAPA_IN stands still and is set up again"
            );
            self.reopen();
        }
    }

    async fn tick(&mut self) {
        self.intake.look(Instant::now());
        if self.intake.sorter().is_closed() {
            self.ask();
        } else if STALLED_AFTER <= self.last_arrival.elapsed() {
            self.suspects_stall = true;
            self.ask();
        }
        if self.ingest.ack_wait / 3 <= self.last_progress.elapsed() {
            self.last_progress = Instant::now();
            for it in self.in_hand() {
                self.ingest.recorder.answers.give(Some(it), Answer::Progress).await;
            }
        }
    }

    fn in_hand(&self) -> impl Iterator<Item = &Taken> {
        let ahead = self.ahead.iter().flat_map(|it| it.messages.iter());
        self.in_work.iter().chain(ahead).chain(self.intake.sorter().held())
    }

    /// Moves what is in order towards the log: one chunk committing, one read ahead.
    fn advance(&mut self) {
        let wanted = self.committing.is_none() || AHEAD_MIN <= self.intake.sorter().len();
        if self.ahead.is_none() && wanted {
            let messages = self.intake.release(BATCH_MAX, Instant::now());
            if !messages.is_empty() {
                let tenants = Arc::clone(&self.ingest.tenants.borrow());
                let now = self.ingest.clock.now();
                let incarnation = self.intake.incarnation();
                self.ahead = Some(Chunk::new(messages, tenants, incarnation, now));
            }
        }
        if self.committing.is_none()
            && let Some(chunk) = self.ahead.take()
        {
            self.in_work = Arc::clone(&chunk.messages);
            let recorder = self.ingest.recorder.clone();
            let work = recorder.record(chunk, self.stop.clone());
            self.committing = Some(work.boxed());
        }
    }

    /// Takes what is on its way, waits for the commit, then gives back everything that is not committed,
    /// and the pin.
    async fn finish(mut self) {
        let consumer = match std::mem::replace(&mut self.source, Source::Opening(pending().boxed()))
        {
            Source::Open(mut pull) => {
                self.take_last(&mut pull).await;
                Some(pull.consumer.clone())
            }
            Source::Opening(_) => None,
        };
        let mut left = match self.committing.take() {
            Some(it) => it.await,
            None => Vec::new(),
        };
        left.extend(self.ahead.iter().flat_map(|it| it.messages.iter().cloned()));
        left.extend(self.intake.drain());
        let answers = self.ingest.recorder.answers.clone();
        for it in &left {
            answers.give(Some(it), Answer::Nak).await;
        }
        answers.flush().await;
        if let Some(consumer) = consumer {
            self.give_back(consumer).await;
        }
    }

    /// Takes what has arrived and what the server says it has delivered, but waits for none of it long.
    async fn take_last(&mut self, pull: &mut Pull) {
        let end = Instant::now() + LAST_WAIT;
        loop {
            while let Some(Some(Ok(it))) = pull.next().now_or_never() {
                self.take(it, Instant::now());
            }
            let Ok(standing) = pull::ask(pull.consumer.clone()).await else { return };
            if standing.deliveries <= self.intake.sorter().last_delivery() {
                return;
            }
            match tokio::time::timeout_at(end.min(Instant::now() + QUIET), pull.next()).await {
                Ok(Some(Ok(it))) => {
                    self.take(it, Instant::now());
                }
                // They went to somebody else, or are lost; what is ours is given back all the same.
                _ => return,
            }
        }
    }

    /// Gives back whatever the consumer has delivered to us and holds for not acknowledged.
    ///
    /// The library tells the server in the background that nobody listens any more. Until the server has
    /// heard it, what is given back may be delivered to us again, and would lie there for a whole
    /// `ack_wait`. So it is given back until nothing was delivered since the last time.
    async fn give_back(&mut self, consumer: Consumer<pulling::Config>) {
        let answers = self.ingest.recorder.answers.clone();
        let mut seen = None;
        for _ in 0..GIVE_BACK_MAX {
            let Ok(standing) = pull::ask(consumer.clone()).await else { return };
            let pinned = standing.known.pinned.as_deref();
            if pinned.is_none() || pinned != self.intake.sorter().pin() {
                return;
            }
            if seen.replace(standing.deliveries) == Some(standing.deliveries) {
                break;
            }
            let places = self.intake.unanswered(
                pinned,
                standing.known.acked_up_to,
                standing.delivered_up_to,
            );
            answers.give_back(self.newest_reply.as_deref(), places, standing.deliveries).await;
            answers.flush().await;
            tokio::time::sleep(QUIET).await;
        }
        if let Err(error) = pull::unpin(self.ingest.context.clone()).await {
            tracing::debug!(%error, "the pin was not given back; it ends by itself");
        }
    }
}
