//! A build that takes the place of the live one without being compared with it.
//!
//! Two reasons: another version of this program folded the live one, or it was folded from events that
//! the log has lost. Until the new build has reached the head of the log, the live one answers as of
//! where it stands, if its tables can be read. A build that was interrupted is gone on with.

use std::time::Duration;

use jiff::Timestamp;
use store::error::ReadError;
use store::{checkpoint, generations};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::folds::Folds;
use crate::rebuild::{Build, Progress, RebuildError};
use crate::runner::{CHECKPOINT, RunError, Runner};
use crate::views::Views;

/// Pause after the database did not answer.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The build that a leader folds.
#[derive(Debug)]
pub struct Opened {
    /// Its runner.
    pub runner: Runner,
    /// The build that [`finish`] has to let answer; `None`: it is the live one.
    pub beside: Option<i64>,
}

/// Opens the live build under the leader's epoch; where another version folded it, one beside it.
pub async fn open(views: &Views, epoch: i64, now: Timestamp) -> Result<Opened, RebuildError> {
    let live = views.live();
    if live.folds == Folds::Own {
        let runner = Runner::open(views.log().clone(), live.db, live.generation, epoch).await?;
        return Ok(Opened { runner, beside: None });
    }
    begin(views, epoch, now).await
}

/// Begins a build beside the live one, or goes on with one of this version.
pub async fn begin(views: &Views, epoch: i64, now: Timestamp) -> Result<Opened, RebuildError> {
    let all = generations::list(views.log().db()).await?;
    let mut unfinished = None;
    for it in all.iter().filter(|it| it.state == "building") {
        if views.open_generation(it.generation).await?.folds == Folds::Own {
            unfinished = Some(it.generation);
        }
    }
    let build = match unfinished {
        Some(generation) => Build::open(views, generation, epoch).await?,
        None => Build::begin(views, epoch, now).await?,
    };
    let beside = Some(build.generation());
    Ok(Opened { runner: build.into_runner(), beside })
}

/// Folds up to the head of the log and lets the build answer; `false` if it was asked to stop before.
/// A database that is away is waited for.
pub async fn finish(
    runner: &Mutex<Runner>,
    generation: i64,
    views: &Views,
    stop: &CancellationToken,
    mut report: impl FnMut(Progress) + Send,
) -> Result<bool, RunError> {
    let mut runner = runner.lock().await;
    // This is the generation in which policies change, whoever they concern.
    let in_place_max = runner.in_place_max.take();
    let finished = follow(&mut runner, generation, views, stop, &mut report).await;
    runner.in_place_max = in_place_max;
    finished
}

async fn follow(
    runner: &mut Runner,
    generation: i64,
    views: &Views,
    stop: &CancellationToken,
    report: &mut (impl FnMut(Progress) + Send),
) -> Result<bool, RunError> {
    let mut is_known = true;
    while !stop.is_cancelled() {
        if !is_known {
            is_known = runner.reload().await.is_ok();
        }
        match advance(runner, generation, views, stop, report).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "the new build waits for the database");
                is_known = false;
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// One page, or everything at once where there is nothing; `true` once the build answers.
async fn advance(
    runner: &mut Runner,
    generation: i64,
    views: &Views,
    stop: &CancellationToken,
    report: &mut (impl FnMut(Progress) + Send),
) -> Result<bool, RunError> {
    let log = views.log();
    let target = log.head().await?;
    if runner.position() == 0 && 0 < target {
        let folded = |position| report(Progress { position, target });
        if !runner.found(target, stop, folded).await? {
            return Ok(false);
        }
    }
    let position = runner.step_to(target).await?.position;
    report(Progress { position, target });
    if position < log.head().await? {
        return Ok(false);
    }
    generations::swap(log.db(), generation, runner.epoch()).await?;
    if let Err(error) = views.refresh().await {
        // The swap is stored: whoever looks next follows it.
        tracing::warn!(%error, "the new build could not be opened for reading yet");
    }
    views.bell().ring(position);
    Ok(true)
}

/// Whether the live build was folded from this log, and under no epoch that this log has still to
/// come to.
pub async fn follows_the_log(views: &Views, epoch: i64) -> Result<bool, ReadError> {
    let live = views.live();
    if live.folds == Folds::Unreadable {
        return Ok(true);
    }
    let at = checkpoint::load(&live.db, CHECKPOINT).await?;
    if epoch < at.epoch {
        return Ok(false);
    }
    Ok(at.position == 0 || at.event == views.log().reference_at(at.position).await?)
}
