//! What an operator may do with the read models of the instance that leads: rebuild, swap, roll
//! back, retire, verify, pause, resume, and customers that are set aside.
//!
//! What takes long is done in the background by `work`, one thing at a time, and stops between two
//! pages. An instance that does not lead refuses and says who does. Nothing here decides which build
//! answers; that stands in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api::surroundings::{Action, Sample, Unpark};
use events::id::Tenant;
use events::problem::Problem;
use projections::runner::RunError;
use projections::upkeep::{self, About, Record, State};
use projections::{Holder, Runner, Views};
use store::generations;
use store::lease::{self, LEADER};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::refusals;
use super::work::{Job, Work};

/// How long an answer waits for a rebuild to begin or a swap to end, which seldom take longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is being done in the background, and how it is told to stop.
pub(super) type Running = Arc<std::sync::Mutex<Option<(Action, CancellationToken)>>>;

/// What one process may do with the read models.
#[derive(Debug)]
pub struct Upkeep {
    views: Views,
    term: Mutex<Option<Term>>,
    /// Generation and position of the build that is made here now; 0 for none.
    pub(super) building: (AtomicI64, AtomicI64),
}

/// The term that runs.
#[derive(Debug)]
struct Term {
    epoch: i64,
    runner: Arc<Mutex<Runner>>,
    jobs: mpsc::Sender<Job>,
    /// What is being done in the background; the worker empties it.
    running: Running,
    /// While it is here, nothing is folded.
    paused: Option<OwnedMutexGuard<Runner>>,
    /// Cancelled when it is not known any more what the runner holds.
    over: CancellationToken,
    has_ended: bool,
}

impl Upkeep {
    /// Nothing can be done before a term begins.
    #[must_use]
    pub fn new(views: Views) -> Self {
        Self { views, term: Mutex::default(), building: Default::default() }
    }

    /// The read models.
    #[must_use]
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// A term begins: from now on something can be done. What the last one left unfinished has
    /// failed, and what was paused stays so. The answer is what the term's worker works with.
    pub async fn begin(
        self: &Arc<Self>,
        epoch: i64,
        runner: &Arc<Mutex<Runner>>,
        over: CancellationToken,
    ) -> Result<Work, RunError> {
        let db = self.views.log().db();
        for about in [About::Rebuild, About::Verify] {
            if let Some(left) = upkeep::load(db, about).await?.filter(|it| it.state.is_running()) {
                let reason = Some("the instance that made it stopped".to_owned());
                let failed = Record { state: State::Failed, reason, ..left };
                generations::mark(db, failed.generation, "failed").await?;
                upkeep::store(db, about, epoch, &failed).await?;
            }
        }
        let folding = upkeep::load(db, About::Folding).await?;
        let paused = match folding.filter(|it| it.state == State::Paused) {
            Some(_) => Some(Arc::clone(runner).lock_owned().await),
            None => None,
        };
        let (jobs, received) = mpsc::channel(1);
        let running = Arc::default();
        let work = Work {
            upkeep: Arc::clone(self),
            epoch,
            runner: Arc::clone(runner),
            jobs: received,
            running: Arc::clone(&running),
            over: over.clone(),
        };
        let runner = Arc::clone(runner);
        let has_ended = false;
        *self.term.lock().await =
            Some(Term { epoch, runner, jobs, running, paused, over, has_ended });
        Ok(work)
    }

    /// The term is over. What was paused stays so until the next one begins.
    pub(super) async fn end(&self) {
        if let Some(term) = self.term.lock().await.as_mut() {
            term.has_ended = true;
        }
    }

    /// Does what an operator asks for, or begins to.
    pub async fn act(&self, action: Action) -> Result<(), Box<Problem>> {
        let mut held = self.term.lock().await;
        let Some(term) = held.as_mut().filter(|it| !it.has_ended) else {
            return Err(self.elsewhere().await);
        };
        match term.running() {
            Some((Action::Rebuild | Action::Verify, halt)) if action == Action::Retire => {
                halt.cancel();
                return Ok(());
            }
            Some((it, _)) => return Err(refusals::busy(it)),
            None => {}
        }
        match action {
            Action::Pause | Action::Resume => return self.fold(term, action).await,
            _ if term.paused.is_some() => return Err(refusals::paused()),
            Action::Retire => return self.retire().await,
            _ => {}
        }
        let generation = self.target_of(action).await?;
        let (tell, told) = oneshot::channel();
        let halt = CancellationToken::new();
        *term.running.lock().expect("no holder of this lock can panic") =
            Some((action, halt.clone()));
        if term.jobs.try_send(Job { action, generation, tell, halt }).is_err() {
            return Err(refusals::busy(action));
        }
        drop(held);
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(Some(reason))) => Err(refusals::failed(action, &reason)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Tries a parked customer again, or gives up the event; `false` if it was not parked.
    pub async fn unpark(
        &self,
        tenant: &Tenant,
        customer: &str,
        how: Unpark,
    ) -> Result<bool, Box<Problem>> {
        let held = self.term.lock().await;
        let Some(term) = held.as_ref().filter(|it| !it.has_ended) else {
            return Err(self.elsewhere().await);
        };
        if let Some((it, _)) = term.running() {
            return Err(refusals::busy(it));
        }
        if term.paused.is_some() {
            return Err(refusals::paused());
        }
        let holder = Holder::stored(customer);
        let mut runner = term.runner.lock().await;
        let done = match how {
            Unpark::Retry => runner.retry(tenant, &holder).await,
            Unpark::Skip => runner.skip(tenant, &holder).await,
        };
        done.map_err(|error| {
            // What the runner remembers may be half of it: the next term reads what is stored.
            term.over.cancel();
            refusals::away(&error)
        })
    }

    /// What `/metrics` tells.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let (generation, position) = &self.building;
        let (generation, position) =
            (generation.load(Ordering::Relaxed), position.load(Ordering::Relaxed));
        if generation == 0 {
            return Vec::new();
        }
        let position = u64::try_from(position).unwrap_or_default();
        let sample = Sample::of("sapa_rebuild_position", super::told::as_number(position));
        vec![sample.with("projection", "all").with("generation", generation.to_string())]
    }

    /// Stops or goes on with folding. The runner is held while it is paused, so its keeper waits.
    async fn fold(&self, term: &mut Term, action: Action) -> Result<(), Box<Problem>> {
        let state = if action == Action::Pause { State::Paused } else { State::Live };
        let now = self.views.clock().now();
        let record = Record { state, begun_at: now, at: now, ..Record::default() };
        let db = self.views.log().db();
        upkeep::store(db, About::Folding, term.epoch, &record)
            .await
            .map_err(|error| refusals::away(&error))?;
        match (state, &term.paused) {
            (State::Paused, None) => {
                term.paused = Some(Arc::clone(&term.runner).lock_owned().await);
            }
            (State::Paused, Some(_)) => {}
            _ => term.paused = None,
        }
        tracing::info!(folding = state.as_str(), "an operator asked for it");
        Ok(())
    }

    /// Deletes every build but the one that answers.
    async fn retire(&self) -> Result<(), Box<Problem>> {
        let db = self.views.log().db();
        let all = generations::list(db).await.map_err(|error| refusals::away(&error))?;
        let kept = |state: &str| state == "live" || state == "retired";
        let old: Vec<i64> =
            all.iter().filter(|it| !kept(&it.state)).map(|it| it.generation).collect();
        if old.is_empty() {
            return Err(refusals::nothing_to(Action::Retire));
        }
        for generation in old {
            generations::forget(db, self.views.place(), generation)
                .await
                .map_err(|error| refusals::away(&error))?;
        }
        Ok(())
    }

    /// The build that an action is about; 0 if it makes one.
    async fn target_of(&self, action: Action) -> Result<i64, Box<Problem>> {
        let db = self.views.log().db();
        let all = generations::list(db).await.map_err(|error| refusals::away(&error))?;
        let of_state = |state: &str| all.iter().rfind(|it| it.state == state);
        let found = match action {
            Action::Swap => {
                let ready = upkeep::load(db, About::Rebuild).await;
                let ready = ready.map_err(|error| refusals::away(&error))?;
                let ready = ready.filter(|it| it.state == State::Ready).map(|it| it.generation);
                all.iter().find(|it| Some(it.generation) == ready && it.state == "building")
            }
            Action::Rollback => of_state("previous"),
            _ => return Ok(0),
        };
        found.map(|it| it.generation).ok_or_else(|| refusals::nothing_to(action))
    }

    /// Why nothing is done here.
    async fn elsewhere(&self) -> Box<Problem> {
        let db = self.views.log().db();
        match lease::holder(db, LEADER).await {
            Ok(Some((holder, _, until))) if self.views.clock().now() < until => {
                refusals::elsewhere(&holder)
            }
            Ok(_) => refusals::nobody_leads(),
            Err(error) => refusals::away(&error),
        }
    }
}

impl Term {
    fn running(&self) -> Option<(Action, CancellationToken)> {
        self.running.lock().expect("no holder of this lock can panic").clone()
    }
}
