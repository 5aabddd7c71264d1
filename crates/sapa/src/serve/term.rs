//! What one term of the leader runs: the read models, the reactions and the relay, all under the
//! epoch of the lease. Being fenced is how a term learns that it has ended: it then says so, and is
//! asked to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_nats::jetstream;
use delivery::relay;
use jiff::SignedDuration;
use projections::Views;
use projections::keeper;
use projections::runner::{RunError, Runner};
use reactions::{Keys, Reactor};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

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
    async fn begin(self, epoch: i64, over: CancellationToken) -> anyhow::Result<Tasks> {
        let config = &self.base.config;
        self.views.refresh().await?;
        let live = self.views.live();
        let runner = Runner::open(self.base.log.clone(), live.db, live.generation, epoch)
            .await?
            .with_page(config.projections.batch);
        let runner = Arc::new(Mutex::new(runner));
        let work = self.upkeep.begin(epoch, &runner, over.clone()).await?;

        let mut tasks = Tasks::new(config.shutdown_grace);
        tasks.start(Task::Rebuild, |stop| async move {
            work.run(stop).await;
            Ok(())
        });
        let (views, bell) = (self.views.clone(), self.base.bell.clone());
        let fence = over.clone();
        // A decision that was appended is waited for in the read models, so they stop after it.
        tasks.found(Task::Views, |stop| async move {
            match keeper::keep_up(runner, views, bell, stop.clone()).await {
                Err(RunError::Fenced(name)) => {
                    fenced(&name, &fence, &stop).await;
                    Ok(())
                }
                ended => Ok(ended?),
            }
        });
        let reactor =
            Reactor::new(self.views.clone(), self.base.appender.clone(), Arc::clone(&self.keys));
        let decide = self.base.decide.clone();
        tasks.start(Task::Reactions, |stop| async move {
            tokio::select! {
                () = decide.cancelled() => Ok(reactor.run(stop).await?),
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

/// Another instance has taken over: the term is over, and its tasks are asked to stop. Should the
/// lease say otherwise, the next term begins with it.
async fn fenced(name: &str, over: &CancellationToken, stop: &CancellationToken) {
    tracing::warn!(checkpoint = name, "fenced: another instance leads");
    over.cancel();
    stop.cancelled().await;
}
