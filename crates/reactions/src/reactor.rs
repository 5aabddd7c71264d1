//! Runs the reactions: after the read models have caught up, and once a second.
//!
//! A tick reads what is due, decides, appends and waits until the read models show it, so the next
//! question already has another answer. What is not due is never looked at.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use events::id::Tenant;
use jiff::Timestamp;
use projections::agenda::{self, Queue};
use projections::alerts::fold::ration_day;
use projections::{Dossier, Holder, Key, Snapshot, Views, alerts, runner};
use store::Appender;
use store::error::{AppendError, ReadError};
use tokio_util::sync::CancellationToken;

use crate::draft::Draft;
use crate::{alert, loyalty, promise};

/// How often time alone makes something due.
pub const TICK_EVERY: Duration = Duration::from_secs(1);
/// Holders of one queue decided about at once.
pub const BATCH_HOLDERS_MAX: i64 = 500;
/// Batches of one queue in one tick, so that a long line does not starve the others.
pub const BATCHES_PER_TICK_MAX: usize = 20;
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
        Self { views, appender, keys }
    }

    /// Ticks until asked to stop: whenever the read models move, and every second.
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
                () = tokio::time::sleep(TICK_EVERY) => (),
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
        if !self.views.wait_for(head, TICK_EVERY).await? {
            return Ok(Ticked { behind: true, ..ticked });
        }
        for queue in Queue::ALL {
            if queue == Queue::Rationed {
                ticked.appended += self.ration(now).await?;
                continue;
            }
            for _ in 0..BATCHES_PER_TICK_MAX {
                let (drafts, looked) = self.decide(queue, now).await?;
                ticked.appended += self.append(drafts, now).await?;
                if looked < usize::try_from(BATCH_HOLDERS_MAX).unwrap_or(usize::MAX) {
                    break;
                }
            }
        }
        Ok(ticked)
    }

    async fn decide(
        &self,
        queue: Queue,
        now: Timestamp,
    ) -> Result<(Vec<(Tenant, Draft)>, usize), TickError> {
        let mut snapshot = self.views.snapshot().await?;
        let due = agenda::due(&mut snapshot.tx, queue, now, None, BATCH_HOLDERS_MAX).await?;
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
                Queue::Alert | Queue::Rationed | Queue::Ahead => {
                    alert::decide::decide(tenant, holder, dossier, &policies, now, false)
                }
            };
            drafts.extend(own.into_iter().map(|it| (tenant.clone(), it)));
        }
        Ok((drafts, looked))
    }

    /// Silences of imported history, most overdue first, so many a day for each team.
    async fn ration(&self, now: Timestamp) -> Result<usize, TickError> {
        let mut appended = 0;
        let mut snapshot = self.views.snapshot().await?;
        let teams = agenda::rations(&mut snapshot.tx, now).await?;
        for (tenant, team) in teams {
            let policies = snapshot.policies_of(&tenant).in_force(now);
            let day = ration_day(now);
            let rang = alerts::query::rationed(&mut snapshot, &tenant, &team, &day).await?;
            let left = policies.alert.import_alerts_per_day - rang;
            if left <= 0 {
                continue;
            }
            let due =
                agenda::due(&mut snapshot.tx, Queue::Rationed, now, Some(&team), left).await?;
            let own: Vec<_> = due.into_iter().filter(|(it, _)| *it == tenant).collect();
            let order: Vec<Key> = own.clone();
            let found = dossiers(&mut snapshot, own).await?;
            let mut drafts = Vec::new();
            for key in order {
                let Some((_, dossier)) = found.iter().find(|(it, _)| *it == key) else { continue };
                let dossier = dossier.at(now);
                let own = alert::decide::decide(&key.0, &key.1, dossier, &policies, now, true);
                drafts.extend(own.into_iter().map(|it| (tenant.clone(), it)));
            }
            drafts.truncate(usize::try_from(left).unwrap_or(0));
            appended += self.append(drafts, now).await?;
        }
        Ok(appended)
    }

    /// Appends drafts one request each, and waits until the read models show them.
    async fn append(
        &self,
        drafts: Vec<(Tenant, Draft)>,
        now: Timestamp,
    ) -> Result<usize, TickError> {
        let mut events = Vec::with_capacity(drafts.len());
        for (tenant, draft) in drafts {
            let Some(key) = (self.keys)(&tenant) else { continue };
            match draft.check(&tenant, &key, now) {
                Ok(event) => events.push(event),
                // A decision that our own validator refuses is a mistake of ours: loud, not fatal.
                Err(problem) => tracing::error!(
                    kind = draft.kind.name(), code = problem.code.as_str(),
                    errors = ?problem.errors.iter().map(|it| (&it.pointer, it.rule)).collect::<Vec<_>>(),
                    "a decision was refused by the validator"
                ),
            }
        }
        let mut appended = 0;
        let mut newest = 0;
        for outcome in self.appender.append_each(events).await {
            match outcome {
                Ok(it) => {
                    newest = newest.max(it.receipt().position);
                    appended += usize::from(it.is_new());
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
    let found = runner::load_dossiers(&mut snapshot.tx, &keys).await?;
    let mut found: Vec<(Key, Dossier)> = found.into_iter().collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}
