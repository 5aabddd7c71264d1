//! A new build of all read models beside the one that answers: fold, compare, take over.
//!
//! The new generation reads the log from the beginning while the live one goes on, which is held up
//! only for the last page of a take-over. Both are compared at one position, table by table. The one
//! that answered before is kept until the next take-over, so that going back is possible. A build
//! that differs, or was not finished, never answers.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::checkpoint::MoveError;
use store::error::{OpenError, ReadError};
use store::{Db, checkpoint, generations};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::ahead::gone_to;
use crate::compare::difference;
pub use crate::compare::{hashes, hashes_in};
use crate::folds::Folds;
use crate::parked;
use crate::runner::{CHECKPOINT, RunError, Runner};
use crate::upkeep::{self, About};
use crate::views::Views;

/// Events of one page of a rebuild: the more of them, the more often one customer is written once for
/// several.
pub const PAGE_EVENTS_MAX: usize = 16_000;
/// Pause after the database did not answer.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Position reached.
    pub position: i64,
    /// Head of the log.
    pub target: i64,
}

/// What a comparison with the live build found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// At which position both stood.
    pub position: i64,
    /// The first table in which they differ.
    pub differs_in: Option<&'static str>,
}

/// Why a rebuild stopped.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The new tables could not be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log could not be folded.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The log's database could not be asked.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another version of this program folded it, so this one cannot go on with it.
    #[error("generation {generation} was folded by another version of Sapa")]
    OtherVersion {
        /// Which build.
        generation: i64,
    },
    /// It was asked to stop.
    #[error("it was stopped before its end")]
    Stopped,
    /// The new build differs from the live one; it is kept for inspection and not swapped in.
    #[error("generation {generation} differs from the live one in {table} at position {position}")]
    Differs {
        /// The new build.
        generation: i64,
        /// Where it differs.
        table: &'static str,
        /// At which position both stood.
        position: i64,
    },
}

impl From<MoveError> for RebuildError {
    fn from(error: MoveError) -> Self {
        Self::Run(error.into())
    }
}

impl RebuildError {
    /// It may pass by itself: begin again. So it is when another instance took over.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Open(it) => matches!(it, OpenError::Unreachable { .. } | OpenError::Check(_)),
            Self::Run(it) => it.may_pass() || matches!(it, RunError::Fenced(_)),
            Self::Read(it) => matches!(it, ReadError::Unavailable(_)),
            Self::Unavailable(_) => true,
            Self::OtherVersion { .. } | Self::Stopped | Self::Differs { .. } => false,
        }
    }
}

/// A build that does not answer, and its runner.
#[derive(Debug)]
pub struct Build {
    generation: i64,
    runner: Runner,
    /// What the runner remembers is what is stored.
    is_known: bool,
    /// It goes on to the head of the log, wherever the live build stands.
    passes_live: bool,
}

impl Build {
    /// Begins a new one under the leader's epoch.
    pub async fn begin(views: &Views, epoch: i64, now: Timestamp) -> Result<Self, RebuildError> {
        let db = views.log().db();
        let generation = generations::list(db).await?.last().map_or(0, |it| it.generation) + 1;
        generations::add(db, generation, "building", now).await?;
        let mut build = Self::open(views, generation, epoch).await?;
        let live = views.live();
        if live.folds != Folds::Unreadable {
            let mut tx = build.runner.db().begin_write().await?;
            for it in skipped(&live.db).await? {
                parked::carry(&mut tx, &it).await?;
            }
            tx.commit().await?;
            build.runner.reload().await?;
        }
        Ok(build)
    }

    /// Takes one up that stands beside the live one: to go on with it, or to go back to it.
    pub async fn open(views: &Views, generation: i64, epoch: i64) -> Result<Self, RebuildError> {
        let opened = views.open_generation(generation).await?;
        if opened.folds != Folds::Own {
            return Err(RebuildError::OtherVersion { generation });
        }
        let runner = Runner::open(views.log().clone(), opened.db, generation, epoch).await?;
        let runner = runner.with_page(PAGE_EVENTS_MAX);
        Ok(Self { generation, runner, is_known: true, passes_live: false })
    }

    /// One that does not stop where the live build stands.
    #[must_use]
    pub(crate) fn past_the_live_one(mut self) -> Self {
        self.passes_live = true;
        self
    }

    /// Goes on with a build that answers already.
    pub(crate) async fn adopt(
        views: &Views,
        generation: i64,
        epoch: i64,
        live: &Arc<Mutex<Runner>>,
    ) -> Result<(), RebuildError> {
        let mut current = live.lock().await;
        let build = Self::open(views, generation, epoch).await?;
        *current = build.runner.like(&current);
        views.bell().ring(current.position());
        Ok(())
    }

    /// What folds it, for whoever goes on with it.
    pub(crate) fn into_runner(self) -> Runner {
        self.runner
    }

    /// Its number.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// Folds up to where the live build is, and never past it unless it is to. A database that is away is waited
    /// for; [`RebuildError::Stopped`] if it is asked to stop.
    pub async fn follow(
        &mut self,
        views: &Views,
        stop: &CancellationToken,
        mut report: impl FnMut(Progress) + Send,
    ) -> Result<(), RebuildError> {
        loop {
            if stop.is_cancelled() {
                return Err(RebuildError::Stopped);
            }
            match self.page(views, stop, &mut report).await {
                Ok((progress, true)) => report(progress),
                Ok((progress, false)) => {
                    report(progress);
                    return Ok(());
                }
                Err(error) if error.may_pass() => {
                    tracing::warn!(%error, "the rebuild waits for the database");
                    self.is_known = false;
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Everything at once where there is nothing, otherwise one page; `false` if there was none left.
    async fn page(
        &mut self,
        views: &Views,
        stop: &CancellationToken,
        report: &mut (impl FnMut(Progress) + Send),
    ) -> Result<(Progress, bool), RunError> {
        if !self.is_known {
            self.runner.reload().await?;
            self.is_known = true;
        }
        let end =
            if self.passes_live { views.log().head().await? } else { views.position().await? };
        if self.runner.position() == 0 {
            let told = |position| report(Progress { position, target: end });
            if !self.runner.found(end, stop, told).await? {
                return Ok((Progress { position: 0, target: end }, true));
            }
        }
        let done = self.runner.step_to(end).await?;
        let target = views.log().head().await?;
        Ok((Progress { position: done.position, target }, done.position < end))
    }

    /// Compares it with the live build, both at the position of one snapshot of that. Nothing waits
    /// for it meanwhile.
    pub async fn compare(&mut self, views: &Views) -> Result<Compared, RebuildError> {
        let mut snapshot = views.snapshot().await?;
        let position = snapshot.position;
        while self.runner.step_to(position).await?.events != 0 {}
        let detail = checkpoint::detail_in(&mut snapshot.tx, CHECKPOINT).await?;
        if let Some(now) = gone_to(detail.as_deref()) {
            self.runner.come_true(now).await?;
        }
        let live = hashes_in(&mut snapshot.tx).await?;
        snapshot.tx.rollback().await?;
        let own = hashes(&self.runner).await?;
        Ok(Compared { position, differs_in: difference(live, own) })
    }

    /// Lets it answer in the place of the live one, whose runner is `live`: the keeper goes on with
    /// this one. After an error it is not known which of them answers.
    pub async fn take_over(
        mut self,
        views: &Views,
        live: &Arc<Mutex<Runner>>,
    ) -> Result<i64, RebuildError> {
        let log = views.log();
        catch_up(&mut self.runner).await?;
        let mut current = live.lock().await;
        catch_up(&mut self.runner).await?;
        for it in skipped(current.db()).await? {
            // What an operator gave up since it was built stays given up; the rest is untouched.
            if self.runner.is_parked_at(&it.tenant, &it.holder, it.position) {
                self.runner.skip(&it.tenant, &it.holder).await?;
            }
        }
        let all = generations::list(log.db()).await?;
        generations::swap(log.db(), self.generation, self.runner.epoch()).await?;
        *current = self.runner.like(&current);
        views.refresh().await?;
        views.bell().ring(current.position());
        drop(current);
        for it in all.iter().filter(|it| it.state == "previous" && it.generation != self.generation)
        {
            // Nobody can go back to it any more. What cannot be deleted now only takes up room.
            if let Err(error) = generations::forget(log.db(), views.place(), it.generation).await {
                tracing::warn!(generation = it.generation, %error, "an old build could not be deleted");
            }
        }
        Ok(self.generation)
    }
}

/// Deletes every build but the live one, the one before it and one that is made for new policies: what
/// was not finished, differed, or was never swapped in.
pub async fn clear(views: &Views) -> Result<(), RebuildError> {
    let db = views.log().db();
    for generation in unused(views, &["live", "previous"]).await? {
        generations::forget(db, views.place(), generation).await?;
    }
    Ok(())
}

/// The builds in other states than these, without one that is made for new policies.
pub async fn unused(views: &Views, kept: &[&str]) -> Result<Vec<i64>, ReadError> {
    let db = views.log().db();
    let activation = upkeep::load(db, About::Activation).await?;
    let made = activation.filter(|it| it.state.is_running()).map(|it| it.generation);
    let all = generations::list(db).await?.into_iter();
    let unused = all.filter(|it| !kept.contains(&it.state.as_str()));
    Ok(unused.map(|it| it.generation).filter(|it| Some(*it) != made).collect())
}

/// Builds a new generation, and swaps it in if it agrees with the live one.
///
/// `live` is the runner of the leader: it is held only for the last page.
pub async fn rebuild(
    views: &Views,
    live: &Arc<Mutex<Runner>>,
    epoch: i64,
    now: Timestamp,
    report: impl FnMut(Progress) + Send,
) -> Result<i64, RebuildError> {
    clear(views).await?;
    let mut build = Build::begin(views, epoch, now).await?;
    build.follow(views, &CancellationToken::new(), report).await?;
    let Compared { position, differs_in } = build.compare(views).await?;
    let generation = build.generation;
    if let Some(table) = differs_in {
        generations::mark(views.log().db(), generation, "failed").await?;
        return Err(RebuildError::Differs { generation, table, position });
    }
    build.take_over(views, live).await
}

/// The events that operators gave up in a build.
async fn skipped(db: &Db) -> Result<Vec<parked::Parked>, RebuildError> {
    let mut tx = db.begin_write().await?;
    let stored = parked::load(&mut tx).await?;
    tx.rollback().await?;
    Ok(stored.into_iter().filter(|it| it.skipped).collect())
}

async fn catch_up(runner: &mut Runner) -> Result<(), RunError> {
    while runner.step().await?.events != 0 {}
    Ok(())
}
