//! What the leader throws away when its time is over: builds of the read models that were replaced,
//! and the bytes of messages that nobody released from quarantine.

use std::sync::Arc;
use std::time::Duration;

use events::time::Clock;
use jiff::{SignedDuration, Timestamp};
use store::{Db, quarantine};
use tokio_util::sync::CancellationToken;

use super::upkeep::Upkeep;

/// How often is looked, where nothing is kept for less.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// The shortest pause between two looks.
const LOOK_SELDOM: Duration = Duration::from_secs(1);
/// Messages given up in one transaction.
const EXPIRED_MAX: i64 = 500;
/// Why a message was given up, in its row.
const NOTE: &str = "older than quarantine.max_age";

/// What is thrown away, and when.
#[derive(Debug)]
pub struct Housekeeping {
    /// The log's database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What looks after the builds.
    pub upkeep: Arc<Upkeep>,
    /// `projections.keep_old`
    pub keep_old: Duration,
    /// `quarantine.max_age`
    pub quarantine_max_age: Option<Duration>,
}

impl Housekeeping {
    /// Looks every so often until asked to stop. What fails is tried again.
    pub async fn run(self, stop: CancellationToken) {
        let shortest = self.quarantine_max_age.unwrap_or(LOOK_EVERY).min(self.keep_old);
        let pause = shortest.clamp(LOOK_SELDOM, LOOK_EVERY);
        while !stop.is_cancelled() {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "what is kept too long could not be thrown away");
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn look(&self) -> Result<(), store::ReadError> {
        let now = self.clock.now();
        self.upkeep.retire_kept_before(now, before(now, self.keep_old)).await?;
        let Some(max_age) = self.quarantine_max_age else { return Ok(()) };
        loop {
            let expired =
                quarantine::expire(&self.db, before(now, max_age), NOTE, EXPIRED_MAX).await?;
            if 0 < expired {
                tracing::info!(messages = expired, "given up in quarantine: {NOTE}");
            }
            if expired < u64::try_from(EXPIRED_MAX).unwrap_or(u64::MAX) {
                return Ok(());
            }
        }
    }
}

/// So long ago; the beginning of time where that is before it.
fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH)
}
