//! Keeps the read models up with the log: the loop around the runner's steps.
//!
//! Whatever the database forgets or does not answer, the loop reads what is stored and goes on. It
//! ends when it is asked to, when a newer epoch has taken over, and when the log cannot be read.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::{Bell, Meter};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::NAMES;
use crate::activation::{self, as_run_error};
use crate::rebuild::RebuildError;
use crate::runner::{Progress, RunError, Runner};
use crate::views::Views;

/// What a lost wake-up may cost.
pub const POLL_EVERY: Duration = Duration::from_secs(1);
/// Pause after the database did not answer.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Folds page after page until asked to stop, and rings the views' bell after each.
///
/// Where policies change for many customers, it makes the generation in which they hold, and goes on
/// with that. The runner is shared with a rebuild, which holds it for the moment of its swap only, and
/// with an operator, who holds it for as long as nothing is to be folded.
pub async fn keep_up(
    runner: Arc<Mutex<Runner>>,
    views: Views,
    appended: Bell,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let mut is_known = true;
    let mut may_be_left = true;
    let mut narrow = Narrow::default();
    while !stop.is_cancelled() {
        // Listen first: an append that lands while we fold must not be slept through.
        let rung = appended.listen();
        let held = tokio::select! {
            it = runner.lock() => Some(it),
            // Paused, it is held by an operator, and stays so to the end.
            () = stop.cancelled() => None,
        };
        let Some(mut held) = held else { break };
        let mut outcome = step(&mut held, is_known, &mut narrow, views.clock().now()).await;
        let (epoch, meter) = (held.epoch(), Arc::clone(held.meter()));
        drop(held);
        if let Ok(it) = outcome {
            let left_by = may_be_left.then_some(epoch);
            outcome = prepare(&views, &runner, it, left_by, &stop).await;
            may_be_left &= outcome.is_err();
        }
        is_known = outcome.is_ok();
        match outcome {
            Ok(progress) if progress.awaits_generation => continue,
            Ok(progress) if 0 < progress.events => {
                views.bell().ring(progress.position);
                became_visible(&*meter, &progress.recorded, views.clock().now());
                continue;
            }
            Ok(progress) => views.bell().ring(progress.position),
            Err(error) if error.may_pass() => {
                for name in NAMES {
                    meter.count("sapa_projection_failures_total", &[("projection", name)], 1);
                }
                tracing::warn!(%error, "the read models go on from what is stored");
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = rung => (),
            () = tokio::time::sleep(POLL_EVERY) => {
                if let Ok(runner) = runner.try_lock() {
                    is_known = runner.is_in_place().await.unwrap_or(false);
                }
            }
            () = stop.cancelled() => (),
        }
    }
    Ok(())
}

/// Tells how long it took until events could be seen: in all read models, since they are one build.
fn became_visible(meter: &dyn Meter, recorded: &[Timestamp], now: Timestamp) {
    let after = |it: &Timestamp| now.duration_since(*it).as_secs_f64().max(0.0);
    let seconds: Vec<f64> = recorded.iter().map(after).collect();
    for name in NAMES {
        meter.observe("sapa_visible_seconds", &[("projection", name)], &seconds);
    }
}

/// Makes the generation that a step waits for, or deletes one that nobody waits for any more, which
/// only a term before this one (`left_by`) may have left.
async fn prepare(
    views: &Views,
    runner: &Arc<Mutex<Runner>>,
    progress: Progress,
    left_by: Option<i64>,
    stop: &CancellationToken,
) -> Result<Progress, RunError> {
    let done = if progress.awaits_generation {
        views.bell().ring(progress.position);
        activation::activate(views, runner, stop).await
    } else if let Some(epoch) = left_by {
        activation::clear(views, epoch).await
    } else {
        return Ok(progress);
    };
    match done {
        Ok(()) | Err(RebuildError::Stopped) => Ok(progress),
        Err(error) => Err(as_run_error(error)),
    }
}

/// How the event is found whose rows the database refuses: in smaller and smaller pages.
#[derive(Debug, Default)]
struct Narrow {
    /// Events of a page, up to `end`; 0 while nothing was refused.
    events: i64,
    end: i64,
}

/// One step; after one that failed, from what is stored. Where nothing is left to be folded, time alone
/// may make a fact come true. If the database refused what it was to store, the page is halved, and in
/// the end the customer of that one event is parked.
async fn step(
    runner: &mut Runner,
    is_known: bool,
    narrow: &mut Narrow,
    now: Timestamp,
) -> Result<Progress, RunError> {
    if !is_known {
        runner.reload().await?;
    }
    let from = runner.position();
    if narrow.end <= from {
        *narrow = Narrow::default();
    }
    let end = if narrow.events == 0 { i64::MAX } else { narrow.end.min(from + narrow.events) };
    let outcome = runner.step_to(end).await;
    if let Ok(Progress { events: 0, awaits_generation: false, .. }) = outcome {
        runner.come_true(now).await?;
    }
    let Err(error) = &outcome else { return outcome };
    let Some(code) = error.refused_code() else { return outcome };
    let head = runner.head().await?;
    let refused = end.min(head).min(from + runner.page_max());
    tracing::error!(%error, from, to = refused, "the database refuses what these events come to");
    if refused <= from + 1 {
        runner.reload().await?;
        if !runner.park_next(&code).await? {
            return outcome;
        }
    } else {
        *narrow = Narrow { events: ((refused - from) / 2).max(1), end: narrow.end.max(refused) };
        runner.reload().await?;
    }
    let (position, recorded) = (runner.position(), Vec::new());
    Ok(Progress { position, events: 1, recorded, awaits_generation: false })
}
