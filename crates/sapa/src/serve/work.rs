//! The worker of a term: rebuilds, verifications and take-overs, one at a time, beside the keeper of
//! the read models. Asked to stop, it stops between two pages; what it did not finish has failed.

use std::sync::Arc;

use api::surroundings::Action;
use projections::Runner;
use projections::rebuild::{self, Build, Compared, Progress, RebuildError};
use projections::runner::RunError;
use projections::upkeep::{self, About, Record, State};
use store::generations;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::upkeep::{Running, Upkeep};

/// One thing to do.
#[derive(Debug)]
pub(super) struct Job {
    pub action: Action,
    /// The build that is taken in; 0 where one is made.
    pub generation: i64,
    /// Told once it is swapped in, or has begun to be built; or the reason why not.
    pub tell: oneshot::Sender<Option<String>>,
    /// Cancelled to stop it between two pages.
    pub halt: CancellationToken,
}

/// What the worker of a term works with.
#[derive(Debug)]
pub struct Work {
    pub(super) upkeep: Arc<Upkeep>,
    pub(super) epoch: i64,
    pub(super) runner: Arc<Mutex<Runner>>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) running: Running,
    pub(super) over: CancellationToken,
}

impl Work {
    /// Does what comes until it is asked to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let job = tokio::select! {
                it = self.jobs.recv() => it,
                () = stop.cancelled() => None,
            };
            let Some(Job { action, generation, tell, halt }) = job else { break };
            let mut tell = Some(tell);
            let outcome = {
                let doing = async {
                    match action {
                        Action::Swap | Action::Rollback => self.take_over(generation, &halt).await,
                        _ => self.build(action, &mut tell, &halt).await,
                    }
                };
                tokio::pin!(doing);
                tokio::select! {
                    outcome = &mut doing => outcome,
                    () = stop.cancelled() => {
                        halt.cancel();
                        doing.await
                    }
                }
            };
            let reason = outcome.as_ref().err().map(reason);
            match &outcome {
                Ok(()) => tracing::info!(action = action.as_str(), "done"),
                Err(error) => tracing::error!(action = action.as_str(), %error, "not done"),
            }
            *self.running.lock().expect("no holder of this lock can panic") = None;
            if let Some(tell) = tell {
                // Whoever asked may have gone.
                let _ = tell.send(reason);
            }
        }
        self.upkeep.end().await;
    }

    /// Takes a build in that stands beside the live one.
    async fn take_over(
        &self,
        generation: i64,
        halt: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let views = self.upkeep.views();
        let mut build = Build::open(views, generation, self.epoch).await?;
        build.follow(views, halt, |_| {}).await?;
        let taken = build.take_over(views, &self.runner).await;
        if taken.is_err() {
            // It may have happened: the next term begins with the build that answers.
            self.over.cancel();
        }
        taken.map(|_| ())
    }

    /// Makes a build and compares it; one that was made to verify is thrown away.
    async fn build(
        &self,
        action: Action,
        tell: &mut Option<oneshot::Sender<Option<String>>>,
        halt: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let about = if action == Action::Verify { About::Verify } else { About::Rebuild };
        let views = self.upkeep.views();
        let now = views.clock().now();
        if about == About::Rebuild {
            rebuild::clear(views).await?;
        }
        let mut build = Build::begin(views, self.epoch, now).await?;
        let generation = build.generation();
        let state = if about == About::Verify { State::Verifying } else { State::Building };
        let first = Record { generation, state, begun_at: now, at: now, ..Record::default() };
        self.store(about, &first).await?;
        if let Some(tell) = tell.take() {
            // Whoever asked may have gone.
            let _ = tell.send(None);
        }
        let (told, seen) = watch::channel(first);
        let made = {
            let making = self.make(&mut build, &told, halt);
            let telling = upkeep::tell(views, about, self.epoch, seen);
            tokio::select! {
                // Asked to stop in the middle of a comparison, it holds nothing that others need.
                () = halt.cancelled() => Err(RebuildError::Stopped),
                made = making => made,
                _ = telling => Err(RebuildError::Stopped),
            }
        };
        views.building().end(generation);
        drop(build);
        let last = told.borrow().clone();
        self.close(about, last, made).await
    }

    async fn make(
        &self,
        build: &mut Build,
        told: &watch::Sender<Record>,
        halt: &CancellationToken,
    ) -> Result<Compared, RebuildError> {
        let views = self.upkeep.views();
        let generation = build.generation();
        let report = |it: Progress| {
            views.building().reach(generation, it.position);
            let now = views.clock().now();
            told.send_modify(|record| record.reach(it.position, it.target, now));
        };
        build.follow(views, halt, report).await?;
        told.send_modify(|it| it.state = State::Verifying);
        build.compare(views).await
    }

    /// Writes down how it ended, and what becomes of the build.
    async fn close(
        &self,
        about: About,
        last: Record,
        made: Result<Compared, RebuildError>,
    ) -> Result<(), RebuildError> {
        let views = self.upkeep.views();
        let db = views.log().db();
        let generation = last.generation;
        let now = views.clock().now();
        let made = made.and_then(|it| match it.differs_in {
            None => Ok(it.position),
            Some(table) => Err(RebuildError::Differs { generation, table, position: it.position }),
        });
        let mut record = Record { at: now, ..last };
        match &made {
            Ok(position) => {
                record.position = *position;
                record.target = *position;
                record.state = State::Ready;
                if about == About::Verify {
                    record.state = State::Verified;
                    generations::forget(db, views.place(), generation).await?;
                }
            }
            Err(error) => {
                record.state = State::Failed;
                record.reason = Some(reason(error));
                if let RebuildError::Differs { table, position, .. } = error {
                    record.differs_in = Some((*table).to_owned());
                    record.position = *position;
                }
                generations::mark(db, generation, "failed").await?;
            }
        }
        let stored = self.store(about, &record).await;
        made?;
        stored
    }

    async fn store(&self, about: About, record: &Record) -> Result<(), RebuildError> {
        let db = self.upkeep.views().log().db();
        let stored = upkeep::store(db, about, self.epoch, record).await;
        stored.map_err(|error| RebuildError::Run(error.into()))
    }
}

/// Why it failed, in words that do not quote the database.
fn reason(error: &RebuildError) -> String {
    match error {
        RebuildError::Stopped | RebuildError::Differs { .. } => error.to_string(),
        RebuildError::Run(RunError::Fenced(_)) => "another instance leads now".to_owned(),
        RebuildError::Run(error @ RunError::Rollback { .. }) => error.to_string(),
        _ => "the database did not do its part; the log of the process says more".to_owned(),
    }
}
