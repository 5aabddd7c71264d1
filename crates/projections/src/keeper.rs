//! Keeps the read models up with the log: the loop around the runner's steps.
//!
//! Whatever the database forgets or does not answer, the loop reads what is stored and goes on. It
//! ends when it is asked to, when a newer epoch has taken over, and when the log cannot be read.

use std::sync::Arc;
use std::time::Duration;

use store::Bell;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::runner::{Progress, RunError, Runner};
use crate::views::Views;

/// What a lost wake-up may cost.
pub const POLL_EVERY: Duration = Duration::from_secs(1);
/// Pause after the database did not answer.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Folds page after page until asked to stop, and rings the views' bell after each.
///
/// The runner is shared with a rebuild, which holds it for the moment of its swap only, and with an
/// operator, who holds it for as long as nothing is to be folded.
pub async fn keep_up(
    runner: Arc<Mutex<Runner>>,
    views: Views,
    appended: Bell,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let mut is_known = true;
    while !stop.is_cancelled() {
        // Listen first: an append that lands while we fold must not be slept through.
        let rung = appended.listen();
        let held = tokio::select! {
            it = runner.lock() => Some(it),
            // Paused, it is held by an operator, and stays so to the end.
            () = stop.cancelled() => None,
        };
        let Some(mut held) = held else { break };
        let outcome = step(&mut held, is_known).await;
        drop(held);
        is_known = outcome.is_ok();
        match outcome {
            Ok(progress) if 0 < progress.events => {
                views.bell().ring(progress.position);
                continue;
            }
            Ok(progress) => views.bell().ring(progress.position),
            Err(error) if error.may_pass() => {
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

/// One step; after one that failed, from what is stored.
async fn step(runner: &mut Runner, is_known: bool) -> Result<Progress, RunError> {
    if !is_known {
        runner.reload().await?;
    }
    runner.step().await
}
