//! The leader: one instance at a time runs the read models, the reactions and the relay. It takes
//! the lease, renews it every three seconds, and when it is lost stops the three and waits until
//! they have ended before it tries again. The lease is a hint; the epoch that every term gets is
//! the proof, and whatever still writes under an older one is refused.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use events::time::Clock;
use jiff::Timestamp;
use projections::rebuild::RebuildError;
use projections::runner::RunError;
use store::Db;
use store::error::OpenError;
use store::lease::{self, Held, LEADER, RENEW_EVERY};
use tokio_util::sync::CancellationToken;

use super::told::Told;
use crate::lifecycle::{Ended, Tasks};

/// How often an instance without the lease looks for it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a term starts, given its epoch and what it cancels when it cannot go on: it was fenced, or
/// does not know which build of the read models answers.
pub type Term = Arc<dyn Fn(i64, CancellationToken) -> Starting + Send + Sync>;
/// A term that starts.
pub type Starting = Pin<Box<dyn Future<Output = anyhow::Result<Tasks>> + Send>>;

/// The task that leads, or waits to.
pub struct Leader {
    /// Where leases are.
    pub db: Db,
    /// This start of this process.
    pub holder: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What a term starts.
    pub term: Term,
    /// Told when a term begins and ends.
    pub told: Arc<Told>,
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").field("holder", &self.holder).finish_non_exhaustive()
    }
}

impl Leader {
    /// Leads whenever it can, until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            match lease::take(&self.db, LEADER, &self.holder, self.clock.now()).await {
                Ok(Some(held)) => self.lead(held, &stop).await?,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the lease cannot be asked for"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// One term: from the lease to its loss.
    async fn lead(&self, held: Held, stop: &CancellationToken) -> anyhow::Result<()> {
        tracing::info!(epoch = held.epoch, "leading");
        self.told.leads(held.epoch);
        let over = CancellationToken::new();
        let tasks = match (self.term)(held.epoch, over.clone()).await {
            Ok(tasks) => tasks,
            Err(error) if may_pass(&error) => {
                tracing::warn!(%error, "the term could not begin; it is tried again");
                self.told.leads(0);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let until_lost = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.renew(&held) => tracing::warn!(epoch = held.epoch, "the lease is lost"),
                () = over.cancelled() => tracing::warn!(epoch = held.epoch, "the term ends early"),
            }
        };
        // The process has its own second signal; a term ends when its tasks have ended.
        let ended = tasks.run(until_lost, std::future::pending()).await;
        self.told.leads(0);
        if let Ended::Failed(task) = ended {
            anyhow::bail!("{task:?} ended during a term");
        }
        if stop.is_cancelled() {
            let released = lease::release(&self.db, LEADER, &self.holder, self.clock.now()).await;
            if let Err(error) = released {
                tracing::warn!(%error, "the lease could not be given back; it ends by itself");
            }
        }
        Ok(())
    }

    /// Renews until it cannot.
    async fn renew(&self, held: &Held) {
        let mut expires_at: Timestamp = held.expires_at;
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let now = self.clock.now();
            match lease::take(&self.db, LEADER, &self.holder, now).await {
                Ok(Some(it)) if it.epoch == held.epoch => expires_at = it.expires_at,
                // The database is away: the lease holds until its end, and nobody else can take it.
                Err(_) if now < expires_at => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// The database did not answer, or another instance took over before this term began: neither is a
/// reason for the process to end.
fn may_pass(error: &anyhow::Error) -> bool {
    let run = error.downcast_ref::<RunError>();
    let open = error.downcast_ref::<OpenError>();
    if let Some(it) = error.downcast_ref::<RebuildError>() {
        return it.may_pass();
    }
    run.is_some_and(|it| it.may_pass() || matches!(it, RunError::Fenced(_)))
        || matches!(open, Some(OpenError::Unreachable { .. } | OpenError::Check(_)))
}

#[cfg(test)]
mod tests {
    use store::Log;
    use store::db::Place;

    use super::*;
    use crate::clock::{SystemClock, SystemIds};
    use crate::lifecycle::Task;

    fn leader(db: &Db, holder: &str, terms: tokio::sync::mpsc::Sender<(String, i64)>) -> Leader {
        let name = holder.to_owned();
        let term: Term = Arc::new(move |epoch, _| {
            let (terms, name) = (terms.clone(), name.clone());
            Box::pin(async move {
                terms.send((name, epoch)).await?;
                let mut tasks = Tasks::new(Duration::from_secs(1));
                tasks.start(Task::Relay, |stop| async move {
                    stop.cancelled().await;
                    Ok(())
                });
                Ok(tasks)
            })
        });
        Leader {
            db: db.clone(),
            holder: holder.to_owned(),
            clock: Arc::new(SystemClock),
            term,
            told: Arc::default(),
        }
    }

    #[tokio::test]
    async fn when_the_leader_stops_the_next_one_leads_under_a_higher_epoch() {
        use events::mint::Ids;
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        let log = Log::open(&place, 1, SystemIds.new_id()).await.unwrap();
        let (terms, mut begun) = tokio::sync::mpsc::channel(4);
        let first = leader(log.db(), "first", terms.clone());
        let second = leader(log.db(), "second", terms);
        let (stop_first, stop_second) = (CancellationToken::new(), CancellationToken::new());
        let script = async {
            let one = begun.recv().await.unwrap();
            if one.0 == "first" {
                stop_first.cancel();
            } else {
                stop_second.cancel();
            }
            let two = begun.recv().await.unwrap();
            assert_ne!(one.0, two.0);
            assert_eq!((one.1, two.1), (1, 2));
            stop_first.cancel();
            stop_second.cancel();
        };
        let (one, two, ()) =
            tokio::join!(first.run(stop_first.clone()), second.run(stop_second.clone()), script);
        one.unwrap();
        two.unwrap();
    }
}
