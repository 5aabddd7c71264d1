//! What is told of the last rebuild, the last verification and the last generation for new policies, and
//! whether folding is paused.
//!
//! It lies in the log's database beside the checkpoints, written by the leader under its epoch, so
//! that every instance can tell it. It decides nothing: which build answers stands in `generations`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::Db;
use store::checkpoint::{self, Checkpoint, MoveError};
use store::error::ReadError;
use tokio::sync::watch;

use crate::views::Views;

/// How often progress is written down.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// The same where nothing moves for a while.
const TELL_AT_LEAST_EVERY: Duration = Duration::from_secs(2);

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The last rebuild.
    Rebuild,
    /// The last verification.
    Verify,
    /// Folding: [`State::Paused`] or [`State::Live`].
    Folding,
    /// The last generation for new policies: [`State::Building`], or [`State::Live`] when it took over.
    Activation,
}

impl About {
    const fn name(self) -> &'static str {
        match self {
            Self::Rebuild => "upkeep.rebuild",
            Self::Verify => "upkeep.verify",
            Self::Folding => "upkeep.folding",
            Self::Activation => "upkeep.activation",
        }
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It reads the log.
    Building,
    /// It is compared with the live build.
    Verifying,
    /// It agrees with the live build and can be swapped in.
    Ready,
    /// It agreed with the live build, and was thrown away.
    Verified,
    /// It differs, or was not finished.
    Failed,
    /// Folding goes on.
    #[default]
    Live,
    /// Folding waits for an operator.
    Paused,
}

impl State {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Verifying => "verifying",
            Self::Ready => "ready",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Live => "live",
            Self::Paused => "paused",
        }
    }

    /// Somebody works on it.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Building | Self::Verifying)
    }
}

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which build it is about; 0 for folding.
    pub generation: i64,
    /// How it stands.
    pub state: State,
    /// The position reached.
    pub position: i64,
    /// The head of the log when this was written.
    pub target: i64,
    /// Whole events a second since it began.
    pub events_per_second: i64,
    /// When it began.
    pub begun_at: Timestamp,
    /// When this was written.
    pub at: Timestamp,
    /// The first table in which it differs from the live build.
    pub differs_in: Option<String>,
    /// Why it failed, for people; no content of events.
    pub reason: Option<String>,
}

impl Record {
    /// It has come further.
    pub fn reach(&mut self, position: i64, target: i64, now: Timestamp) {
        let millis =
            i64::try_from(now.duration_since(self.begun_at).as_millis()).unwrap_or(i64::MAX);
        self.events_per_second =
            if millis <= 0 { 0 } else { position.saturating_mul(1_000) / millis };
        (self.position, self.target, self.at) = (position, target, now);
    }

    /// How much of the way is behind it, in whole percent.
    #[must_use]
    pub fn percent(&self) -> i64 {
        if self.target <= 0 {
            return 100;
        }
        (self.position.clamp(0, self.target).saturating_mul(100)) / self.target
    }

    /// Seconds to go at this rate; `None` while there is no rate.
    #[must_use]
    pub fn eta_seconds(&self) -> Option<i64> {
        let left = (self.target - self.position).max(0);
        (0 < self.events_per_second).then(|| left / self.events_per_second)
    }
}

/// Reads a record; `None` if there never was one, or another version wrote it.
pub async fn load(db: &Db, about: About) -> Result<Option<Record>, ReadError> {
    let stored = checkpoint::load(db, about.name()).await?;
    Ok(stored.detail.and_then(|it| serde_json::from_str(&it).ok()))
}

/// Writes a record under the leader's epoch.
pub async fn store(db: &Db, about: About, epoch: i64, record: &Record) -> Result<(), MoveError> {
    let from = Checkpoint { epoch, ..Checkpoint::default() };
    let detail = serde_json::to_string(record).expect("a record is plain data");
    let mut tx = db.begin_write().await?;
    checkpoint::claim(&mut tx, about.name(), epoch).await?;
    let to = Checkpoint { detail: Some(detail), ..from.clone() };
    checkpoint::advance(&mut tx, about.name(), &from, &to).await?;
    Ok(tx.commit().await?)
}

/// Writes down how far it is, every now and then, and that it is at work; ends only when another
/// instance leads.
pub async fn tell(
    views: &Views,
    about: About,
    epoch: i64,
    mut seen: watch::Receiver<Record>,
) -> MoveError {
    loop {
        let record = seen.borrow_and_update().clone();
        let record = Record { at: views.clock().now(), ..record };
        match store(views.log().db(), about, epoch, &record).await {
            Err(error @ MoveError::Fenced { .. }) => {
                tracing::warn!(%error, "another instance leads: the work on a generation stops");
                return error;
            }
            Err(error) => tracing::warn!(%error, "progress could not be written down"),
            Ok(()) => {}
        }
        tokio::time::sleep(TELL_EVERY).await;
        if let Ok(Err(_)) = tokio::time::timeout(TELL_AT_LEAST_EVERY, seen.changed()).await {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_whole_numbers() {
        let half = Record { position: 21_000, target: 48_215, ..Record::default() };
        assert_eq!((half.percent(), half.eta_seconds()), (43, None));
        let mut moved = Record { begun_at: Timestamp::UNIX_EPOCH, ..Record::default() };
        moved.reach(500, 2_000, Timestamp::from_second(2).unwrap());
        assert_eq!(
            (moved.percent(), moved.events_per_second, moved.eta_seconds()),
            (25, 250, Some(6))
        );
        let rated = Record { events_per_second: 10_000, ..half };
        assert_eq!(rated.eta_seconds(), Some(2));
        assert_eq!(Record::default().percent(), 100);
        assert_eq!(Record { position: 9, target: 10, ..Record::default() }.percent(), 90);
    }
}
