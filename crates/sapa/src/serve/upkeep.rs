//! What an operator may do with the read models of the instance that leads: rebuild, swap, roll
//! back, retire, verify, pause, resume, and customers that are set aside.
//!
//! What takes long is done in the background by `work`, one thing at a time, and stops between two
//! pages. An instance that does not lead refuses and says who does. Nothing here decides which build
//! answers; that stands in the database.

use std::sync::Arc;
use std::time::Duration;

use api::surroundings::{Action, Sample, Unpark};
use events::id::Tenant;
use events::problem::Problem;
use jiff::Timestamp;
use projections::rebuild::{self, Progress};
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
    /// Generation, position and head while a build of this version is made for one of another version.
    replacing: std::sync::Mutex<(i64, Option<Progress>)>,
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
        Self { views, term: Mutex::default(), replacing: std::sync::Mutex::default() }
    }

    /// A build of this version is made for one of another version; 0: it is done, or none is needed.
    pub(super) fn replacing(&self, generation: i64) {
        *self.replacing.lock().expect("no holder of this lock can panic") = (generation, None);
    }

    /// How far that build is.
    pub(super) fn replaced(&self, progress: Progress) {
        self.replacing.lock().expect("no holder of this lock can panic").1 = Some(progress);
    }

    /// What is told while that build is made.
    #[must_use]
    pub fn upgrade(&self) -> Option<String> {
        let (generation, progress) =
            *self.replacing.lock().expect("no holder of this lock can panic");
        let far = progress.map(|it| format!(": {} of {}", it.position, it.target));
        (generation != 0).then(|| format!("built anew by this version{}", far.unwrap_or_default()))
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
        if self.upgrade().is_some() {
            return Err(refusals::busy(Action::Rebuild));
        }
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
        if self.upgrade().is_some() {
            return Err(refusals::busy(Action::Rebuild));
        }
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
        let all = self.views.building().all().into_iter();
        all.map(|(generation, position)| {
            let position = u64::try_from(position).unwrap_or_default();
            let sample = Sample::of("sapa_rebuild_position", super::told::as_number(position));
            sample.with("projection", "all").with("generation", generation.to_string())
        })
        .collect()
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
        tracing::info!(
            folding = state.as_str(),
            projections = projections::NAMES.join(" "),
            "an operator asked for it, for all of them"
        );
        Ok(())
    }

    /// Deletes every build but the one that answers.
    async fn retire(&self) -> Result<(), Box<Problem>> {
        let db = self.views.log().db();
        let old = rebuild::unused(&self.views, &["live", "retired"]).await;
        let old = old.map_err(|error| refusals::away(&error))?;
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

    /// Deletes builds that were replaced and are kept since before an instant, unless an operator is at
    /// work on them or has paused them.
    pub(super) async fn retire_kept_before(
        &self,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<(), store::ReadError> {
        let held = self.term.lock().await;
        let is_free = |it: &Term| it.running().is_none() && it.paused.is_none() && !it.has_ended;
        if !held.as_ref().is_some_and(is_free) {
            return Ok(());
        }
        let db = self.views.log().db();
        for generation in generations::kept_since_before(db, now, before).await? {
            generations::forget(db, self.views.place(), generation).await?;
            tracing::info!(
                generation,
                "a replaced build is deleted: kept for projections.keep_old"
            );
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
