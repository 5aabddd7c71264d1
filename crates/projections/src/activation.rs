//! Policies that change for many customers: a generation in which they hold, made beside the one that
//! answers.
//!
//! Policies take hold by position, and then everybody's rows say something else. For some customers
//! that is done within a page. For many it would hold up a transaction for seconds or minutes, so the
//! runner stops before that event. The live generation goes on answering as of the position before it,
//! and no reaction decides meanwhile, since it is behind the log. A new generation is made from the log,
//! customer by customer as a rebuild makes one, with the new policies; at the head it takes over. So an
//! answer at a position is the same whichever generation gives it, and nobody sees half of a change.
//!
//! Which generation is being made is written down with its progress, for every instance to read. If the
//! process ends in between, the next leader's runner stops at the same event, and the same generation
//! goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::generations;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::rebuild::{Build, RebuildError};
use crate::runner::{RunError, Runner};
use crate::upkeep::{self, About, Record, State};
use crate::views::Views;

/// Customers of a tenant whose rows are made anew within a page: a fraction of a second.
pub const IN_PLACE_MAX: usize = 2_000;
/// Progress that was written down longer ago than this is of a process that ended.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// How often progress is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The generation that is being made now, whichever instance makes it.
#[must_use]
pub fn is_fresh(record: &Record, now: Timestamp) -> bool {
    record.state.is_running() && now.duration_since(record.at).unsigned_abs() <= FRESH_FOR
}

/// Makes the generation in which new policies hold and lets it answer, unless it is asked to stop.
pub(crate) async fn activate(
    views: &Views,
    live: &Arc<Mutex<Runner>>,
    stop: &CancellationToken,
) -> Result<(), RebuildError> {
    let epoch = live.lock().await.epoch();
    let left = left(views).await?;
    if let Some(left) = &left
        && answers(views, left.generation).await?
    {
        // It took over, and whoever asked did not hear of it.
        Build::adopt(views, left.generation, epoch, live).await?;
        return close(views, epoch, left).await;
    }
    let begun = Instant::now();
    let mut build = match &left {
        Some(it) if exists(views, it.generation).await? => {
            Build::open(views, it.generation, epoch).await?.past_the_live_one()
        }
        _ => Build::begin(views, epoch, views.clock().now()).await?.past_the_live_one(),
    };
    let generation = build.generation();
    let now = views.clock().now();
    let first = Record {
        generation,
        state: State::Building,
        begun_at: left.as_ref().map_or(now, |it| it.begun_at),
        at: now,
        ..Record::default()
    };
    upkeep::store(views.log().db(), About::Activation, epoch, &first).await?;
    let position = live.lock().await.position();
    tracing::info!(
        generation,
        position,
        resumed = left.is_some(),
        "policies change for many customers: a generation is made with the new ones; answers stay as they were until it takes over"
    );
    let (progress, seen) = watch::channel(first);
    let made = {
        let making = follow(&mut build, views, stop, &progress);
        let telling = upkeep::tell(views, About::Activation, epoch, seen);
        tokio::select! {
            made = making => made,
            error = telling => Err(RebuildError::Run(error.into())),
        }
    };
    views.building().end(generation);
    made?;
    build.take_over(views, live).await?;
    let last = progress.borrow().clone();
    tracing::info!(
        generation,
        position = last.target,
        seconds = begun.elapsed().as_secs(),
        "the new policies hold: the generation made with them answers"
    );
    close(views, epoch, &last).await
}

/// Up to the head of the log, saying how far it is.
async fn follow(
    build: &mut Build,
    views: &Views,
    stop: &CancellationToken,
    progress: &watch::Sender<Record>,
) -> Result<(), RebuildError> {
    let generation = build.generation();
    let mut logged = Instant::now();
    build
        .follow(views, stop, |it| {
            views.building().reach(generation, it.position);
            let now = views.clock().now();
            progress.send_modify(|record| record.reach(it.position, it.target, now));
            if LOG_EVERY <= logged.elapsed() {
                logged = Instant::now();
                let percent = progress.borrow().percent();
                tracing::info!(generation, position = it.position, percent, "new policies");
            }
        })
        .await
}

/// Deletes a generation that nobody waits for any more: another one, which an operator swapped in, has
/// passed the change of policies.
pub(crate) async fn clear(views: &Views, epoch: i64) -> Result<(), RebuildError> {
    let Some(left) = left(views).await? else { return Ok(()) };
    if exists(views, left.generation).await? {
        generations::forget(views.log().db(), views.place(), left.generation).await?;
    }
    close(views, epoch, &left).await
}

/// What was being made when this was last written down.
async fn left(views: &Views) -> Result<Option<Record>, RebuildError> {
    let stored = upkeep::load(views.log().db(), About::Activation).await?;
    Ok(stored.filter(|it| it.state.is_running()))
}

async fn close(views: &Views, epoch: i64, last: &Record) -> Result<(), RebuildError> {
    let record = Record { state: State::Live, at: views.clock().now(), ..last.clone() };
    Ok(upkeep::store(views.log().db(), About::Activation, epoch, &record).await?)
}

async fn answers(views: &Views, generation: i64) -> Result<bool, RebuildError> {
    views.refresh().await?;
    Ok(views.live().generation == generation)
}

async fn exists(views: &Views, generation: i64) -> Result<bool, RebuildError> {
    let all = generations::list(views.log().db()).await?;
    Ok(all.iter().any(|it| it.generation == generation && it.state == "building"))
}

/// What the keeper makes of it: a reason to try again, or to end.
pub(crate) fn as_run_error(error: RebuildError) -> RunError {
    match error {
        RebuildError::Run(error) => error,
        RebuildError::Read(error) => RunError::Log(error),
        RebuildError::Unavailable(error) => RunError::Unavailable(error),
        // Its tables could not be opened: the database is away, or will say so again.
        other => RunError::Unavailable(sqlx::Error::Configuration(other.to_string().into())),
    }
}
