//! What one term of the leader runs: the read models, the reactions and the relay, all under the
//! epoch of the lease. Being fenced is how a term learns that it has ended: it then says so, and is
//! asked to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_nats::jetstream;
use delivery::relay;
use jiff::SignedDuration;
use projections::rebuild::Progress;
use projections::runner::{RunError, Runner};
use projections::{Views, activation, keeper, replace};
use reactions::{Keys, Reactor};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::housekeeping::Housekeeping;
use super::leader::Term;
use super::pipes::Pipes;
use super::service::Base;
use super::told::Told;
use super::upkeep::Upkeep;
use crate::lifecycle::{Task, Tasks};

/// What a term works with.
#[derive(Clone)]
pub struct Plan {
    /// The process.
    pub base: Base,
    /// The read models.
    pub views: Views,
    /// The broker, if there is one.
    pub pipes: Option<Pipes>,
    /// Fingerprint keys by tenant.
    pub keys: Keys,
    /// Where numbers go.
    pub told: Arc<Told>,
    /// Where the runner is left for operators.
    pub upkeep: Arc<Upkeep>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Starts a term under an epoch, again and again.
#[must_use]
pub fn term(plan: Plan) -> Term {
    Arc::new(move |epoch, over| {
        let plan = plan.clone();
        Box::pin(async move { plan.begin(epoch, over).await })
    })
}

impl Plan {
    /// The runner of the build that is folded, and which build that is if not the live one.
    async fn open(&self, epoch: i64) -> anyhow::Result<(Arc<Mutex<Runner>>, Option<i64>)> {
        let opened = replace::open(&self.views, epoch, self.base.clock.now()).await?;
        let batch = self.base.config.projections.batch;
        let runner = opened.runner.with_page(batch).with_meter(self.base.meter());
        let runner = runner.with_in_place_max(activation::IN_PLACE_MAX);
        Ok((Arc::new(Mutex::new(runner)), opened.beside))
    }

    fn reactor(&self) -> Reactor {
        let config = &self.base.config;
        Reactor::new(self.views.clone(), self.base.appender.clone(), Arc::clone(&self.keys))
            .with_pace(config.reactions_tick, config.reactions_batch)
            .with_meter(self.base.meter())
    }

    #[expect(clippy::too_many_lines, reason = "the tasks of a term, one after the other")]
    async fn begin(self, epoch: i64, over: CancellationToken) -> anyhow::Result<Tasks> {
        let config = &self.base.config;
        self.views.refresh().await?;
        let (runner, beside) = self.open(epoch).await?;
        let work = self.upkeep.begin(epoch, &runner, over.clone()).await?;
        self.upkeep.replacing(beside.unwrap_or_default());

        // Nothing is decided on what another version folded.
        let is_current = CancellationToken::new();
        if beside.is_none() {
            is_current.cancel();
        }

        let mut tasks = Tasks::new(config.shutdown_grace);
        tasks.start(Task::Rebuild, |stop| async move {
            work.run(stop).await;
            Ok(())
        });
        let (views, bell) = (self.views.clone(), self.base.bell.clone());
        let (fence, upkeep) = (over.clone(), Arc::clone(&self.upkeep));
        let current = is_current.clone();
        // A decision that was appended is waited for in the read models, so they stop after it.
        tasks.found(Task::Views, |stop| async move {
            let kept = async {
                if let Some(generation) = beside
                    && !build_anew(&runner, generation, &views, &upkeep, &stop).await?
                {
                    return Ok(());
                }
                current.cancel();
                keeper::keep_up(runner, views, bell, stop.clone()).await
            };
            match kept.await {
                Err(RunError::Fenced(name)) => {
                    fenced(&name, &fence, &stop).await;
                    Ok(())
                }
                ended => Ok(ended?),
            }
        });
        let reactor = self.reactor();
        let housekeeping = self.housekeeping();
        tasks.start(Task::Housekeeping, |stop| async move {
            housekeeping.run(stop).await;
            Ok(())
        });
        let decide = self.base.decide.clone();
        tasks.start(Task::Reactions, |stop| async move {
            tokio::select! {
                () = async { tokio::join!(decide.cancelled(), is_current.cancelled()); } => {
                    Ok(reactor.run(stop).await?)
                }
                () = stop.cancelled() => Ok(()),
            }
        });
        if let Some(pipes) = &self.pipes {
            let relay = self.relay(pipes);
            let counters = Arc::clone(&self.told.relay);
            tasks.start(Task::Relay, |stop| async move {
                match relay.run(epoch, stop.clone()).await {
                    relay::Ended::Asked => Ok(()),
                    relay::Ended::Fenced => {
                        fenced(relay::CHECKPOINT, &over, &stop).await;
                        Ok(())
                    }
                    // Recording goes on; what leaves waits for a person, whom `/readyz` tells. The next
                    // term, here or elsewhere, looks again.
                    relay::Ended::LogRolledBack => {
                        stop.cancelled().await;
                        counters.rolled_back_at.store(0, Ordering::Relaxed);
                        Ok(())
                    }
                }
            });
        }
        Ok(tasks)
    }

    fn housekeeping(&self) -> Housekeeping {
        let config = &self.base.config;
        Housekeeping {
            db: self.base.log.db().clone(),
            clock: Arc::clone(&self.base.clock),
            upkeep: Arc::clone(&self.upkeep),
            keep_old: config.projections.keep_old,
            quarantine_max_age: config.quarantine_max_age,
        }
    }

    fn relay(&self, pipes: &Pipes) -> relay::Relay {
        let config = &self.base.config;
        relay::Relay {
            context: jetstream::new(pipes.relay.clone()),
            log: self.base.log.clone(),
            bell: self.base.bell.clone(),
            clock: Arc::clone(&self.base.clock),
            ids: Arc::clone(&self.base.ids),
            counters: Arc::clone(&self.told.relay),
            page: config.delivery_batch,
            max_age: SignedDuration::try_from(config.nats.max_age).unwrap_or(SignedDuration::MAX),
        }
    }
}

/// Folds the build of this version beside the one of another version, and lets it answer; `false` if
/// it was asked to stop before.
async fn build_anew(
    runner: &Mutex<Runner>,
    generation: i64,
    views: &Views,
    upkeep: &Upkeep,
    stop: &CancellationToken,
) -> Result<bool, RunError> {
    tracing::info!(generation, "another version folded the read models; they are built anew");
    let report = |it: Progress| upkeep.replaced(it);
    let is_done = replace::finish(runner, generation, views, stop, report).await?;
    if is_done {
        upkeep.replacing(0);
        tracing::info!(generation, "the read models of this version answer");
    }
    Ok(is_done)
}

/// Another instance has taken over: the term is over, and its tasks are asked to stop. Should the
/// lease say otherwise, the next term begins with it.
async fn fenced(name: &str, over: &CancellationToken, stop: &CancellationToken) {
    tracing::warn!(checkpoint = name, "fenced: another instance leads");
    over.cancel();
    stop.cancelled().await;
}
