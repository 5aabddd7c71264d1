//! Runs the reactions: after the read models have caught up, and once a second.
//!
//! A tick reads what is due, decides, appends and waits until the read models show it, so the next
//! question already has another answer. What is not due is never looked at.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use events::id::Tenant;
use jiff::{SignedDuration, Timestamp};
use projections::agenda::{self, Queue};
use projections::{Dossier, Holder, Key, Snapshot, Views, alerts};
use store::error::{AppendError, ReadError};
use store::{Appended, Appender, Meter, meter};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::draft::Draft;
use crate::tally::{Made, Tally};
use crate::{alert, loyalty, promise};

/// How often time alone makes something due.
pub const TICK_EVERY: Duration = Duration::from_secs(1);
/// How long the read models may take to catch up before a tick is left out.
pub const CATCH_UP_WAIT: Duration = Duration::from_secs(1);
/// Holders of one queue decided about at once.
pub const BATCH_HOLDERS_MAX: i64 = 500;
/// Batches of one queue in one tick, so that a long line does not starve the others.
pub const BATCHES_PER_TICK_MAX: usize = 20;
/// After so long without a fact of history an import has ended, whether or not its client said so.
pub const IMPORT_QUIET: SignedDuration = SignedDuration::from_secs(60);
/// How long the read models may take to show what was appended.
pub const SHOW_WAIT: Duration = Duration::from_secs(10);

/// The fingerprint key of a tenant; `None` for an unknown one.
pub type Keys = Arc<dyn Fn(&Tenant) -> Option<Vec<u8>> + Send + Sync>;

/// Why a tick stopped. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// The read models could not be asked.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What a tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Events appended, without those that were there already.
    pub appended: usize,
    /// The read models were too far behind to decide on.
    pub behind: bool,
}

/// The reactions and what they need.
pub struct Reactor {
    views: Views,
    appender: Appender,
    keys: Keys,
    tick_every: Duration,
    batch_holders_max: i64,
    tally: Tally,
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor").field("views", &self.views).finish_non_exhaustive()
    }
}

impl Reactor {
    /// A reactor over some read models.
    #[must_use]
    pub fn new(views: Views, appender: Appender, keys: Keys) -> Self {
        Self {
            views,
            appender,
            keys,
            tick_every: TICK_EVERY,
            batch_holders_max: BATCH_HOLDERS_MAX,
            tally: Tally(meter::silent()),
        }
    }

    /// Looks as often, and at so many holders of a queue at once.
    #[must_use]
    pub fn with_pace(mut self, tick_every: Duration, batch_holders_max: usize) -> Self {
        self.tick_every = tick_every;
        self.batch_holders_max = i64::try_from(batch_holders_max).unwrap_or(i64::MAX).max(1);
        self
    }

    /// Counts what it does.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<dyn Meter>) -> Self {
        self.tally = Tally(meter);
        self
    }

    /// Ticks until asked to stop: whenever the read models move, and every so often.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ReadError> {
        while !stop.is_cancelled() {
            let rung = self.views.bell().listen();
            match self.tick(self.views.clock().now()).await {
                Ok(Ticked { appended: 1.., .. }) => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "tick failed; the next one tries again");
                }
            }
            tokio::select! {
                () = rung => (),
                () = tokio::time::sleep(self.tick_every) => (),
                () = stop.cancelled() => (),
            }
        }
        Ok(())
    }

    /// Appends everything that has become due by an instant.
    pub async fn tick(&self, now: Timestamp) -> Result<Ticked, TickError> {
        let mut ticked = Ticked::default();
        // Never on half the truth: after a restart the read models catch up first.
        let head = self.views.log().head().await?;
        if !self.views.wait_for(head, CATCH_UP_WAIT).await? {
            return Ok(Ticked { behind: true, ..ticked });
        }
        for queue in Queue::ALL {
            let began = Instant::now();
            ticked.appended += match queue {
                Queue::Rationed => self.ration(now).await?,
                _ => self.work_off(queue, now).await?,
            };
            self.tally.ticked(queue, began.elapsed());
        }
        Ok(ticked)
    }

    /// Decides about a queue, batch after batch, until it is empty or others have waited enough.
    async fn work_off(&self, queue: Queue, now: Timestamp) -> Result<usize, TickError> {
        let mut appended = 0;
        for _ in 0..BATCHES_PER_TICK_MAX {
            let (made, looked) = self.decide(queue, now).await?;
            appended += self.append(queue, made, now).await?;
            if looked < usize::try_from(self.batch_holders_max).unwrap_or(usize::MAX) {
                break;
            }
        }
        Ok(appended)
    }

    async fn decide(&self, queue: Queue, now: Timestamp) -> Result<(Vec<Made>, usize), TickError> {
        let mut snapshot = self.views.snapshot().await?;
        let due = agenda::due(&mut snapshot.tx, queue, now, self.batch_holders_max).await?;
        let looked = due.len();
        let found = dossiers(&mut snapshot, due).await?;
        let mut drafts = Vec::new();
        for ((tenant, holder), dossier) in &found {
            let history = snapshot.policies_of(tenant);
            let policies = history.in_force(now);
            let dossier = dossier.at(now);
            let own = match queue {
                Queue::Promise => promise::decide::decide(tenant, holder, dossier, now),
                Queue::Loyalty => {
                    loyalty::decide::decide(tenant, holder, dossier, &policies, &history, now)
                }
                Queue::Alert | Queue::Rationed | Queue::Ahead | Queue::Import => {
                    alert::decide::decide(tenant, holder, dossier, &policies, now, false)
                }
            };
            drafts.extend(own.into_iter().map(|it| Made::of(tenant, it, dossier)));
        }
        Ok((drafts, looked))
    }

    /// Silences of imported history, most overdue first, so many a day for each team, and none while
    /// an import goes on: what it loads next may show that somebody was not silent at all.
    async fn ration(&self, now: Timestamp) -> Result<usize, TickError> {
        let mut appended = 0;
        let mut snapshot = self.views.snapshot().await?;
        let teams = agenda::rations(&mut snapshot.tx, now).await?;
        for (tenant, team) in teams {
            if self.is_importing(&mut snapshot, &tenant, now).await? {
                continue;
            }
            let policies = snapshot.policies_of(&tenant).in_force(now);
            let day = policies.calendar.local_date(now).to_string();
            let rang = alerts::query::rationed(&mut snapshot, &tenant, &team, &day).await?;
            let left = policies.alert.import_alerts_per_day - rang;
            if left <= 0 {
                continue;
            }
            let due = agenda::rationed(&mut snapshot.tx, &tenant, &team, now, left).await?;
            let keys = due.into_iter().map(|it| (tenant.clone(), it)).collect();
            let mut drafts: Vec<Made> = Vec::new();
            for ((_, holder), dossier) in dossiers(&mut snapshot, keys).await? {
                let dossier = dossier.at(now);
                let own = alert::decide::decide(&tenant, &holder, dossier, &policies, now, true);
                drafts.extend(own.into_iter().map(|it| Made::of(&tenant, it, dossier)));
            }
            // Instants are spelled with the same digits, so their texts have their order.
            let due_at = |it: &Made| it.draft.data.get("due_at").map(ToString::to_string);
            drafts.sort_by_cached_key(|it| (due_at(it), it.draft.id.clone()));
            drafts.truncate(usize::try_from(left).unwrap_or(0));
            appended += self.append(Queue::Rationed, drafts, now).await?;
        }
        Ok(appended)
    }

    /// Whether history of a tenant is being loaded: some was recorded lately, and nobody said that it
    /// was the last.
    async fn is_importing(
        &self,
        snapshot: &mut Snapshot,
        tenant: &Tenant,
        now: Timestamp,
    ) -> Result<bool, ReadError> {
        let Some(last) = agenda::imported_at(&mut snapshot.tx, tenant).await? else {
            return Ok(false);
        };
        if IMPORT_QUIET <= now.duration_since(last) {
            return Ok(false);
        }
        let ended_at = store::imports::ended_at(self.views.log().db(), tenant).await?;
        Ok(ended_at.is_none_or(|it| it < last))
    }

    /// Appends drafts one request each, and waits until the read models show them.
    async fn append(
        &self,
        queue: Queue,
        drafts: Vec<Made>,
        now: Timestamp,
    ) -> Result<usize, TickError> {
        let mut events = Vec::with_capacity(drafts.len());
        let mut sent = Vec::with_capacity(drafts.len());
        for made in drafts {
            let draft: &Draft = &made.draft;
            let Some(key) = (self.keys)(&made.tenant) else { continue };
            match draft.check(&made.tenant, &key, now) {
                Ok(event) => {
                    events.push(event);
                    sent.push(made);
                }
                // A decision that our own validator refuses is a mistake of ours: loud, not fatal.
                Err(problem) => tracing::error!(
                    kind = draft.kind.name(), code = problem.code.as_str(),
                    errors = ?problem.errors.iter().map(|it| (&it.pointer, it.rule)).collect::<Vec<_>>(),
                    "a decision was refused by the validator"
                ),
            }
        }
        if events.is_empty() {
            return Ok(0);
        }
        let mut appended = 0;
        let mut newest = 0;
        let began = Instant::now();
        let outcomes = self.appender.append_each(events).await;
        self.tally.append_took(began.elapsed());
        for (outcome, made) in outcomes.into_iter().zip(sent) {
            self.tally.appended(queue, &made, &outcome, self.views.clock().now());
            match outcome {
                Ok(it) => {
                    newest = newest.max(it.receipt().position);
                    appended += usize::from(Appended::is_new(&it));
                }
                // The same decision with other content: another instance was first.
                Err(AppendError::EventIdConflict { original, .. }) => {
                    newest = newest.max(original.position);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if 0 < newest {
            self.views.wait_for(newest, SHOW_WAIT).await?;
        }
        Ok(appended)
    }
}

/// The dossiers of some holders, in the order of their keys.
async fn dossiers(
    snapshot: &mut Snapshot,
    due: Vec<(Tenant, Holder)>,
) -> Result<Vec<(Key, Dossier)>, ReadError> {
    let keys: BTreeSet<Key> = due.into_iter().collect();
    let found = snapshot.dossiers(&keys).await?;
    let mut found: Vec<(Key, Dossier)> = found.into_iter().collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}
