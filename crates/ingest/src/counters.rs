//! What ingest has done so far, for `/metrics` and `/readyz`.
//!
//! Numbers only grow, except the instants. Reading them never waits for ingest.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

/// Counters of one process. Shared between ingest and whoever renders them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages delivered to us, again or for the first time.
    pub pulled: AtomicU64,
    /// Events that were new.
    pub recorded: AtomicU64,
    /// Events that were there already.
    pub duplicates: AtomicU64,
    /// Messages put into quarantine.
    pub quarantined: AtomicU64,
    /// Messages delivered more than once.
    pub redelivered: AtomicU64,
    /// Pulls that were set up again because they stood still or failed.
    pub pull_rebuilds: AtomicU64,
    /// Times this instance became the one that pulls, or lost deliveries on the way.
    pub takeovers: AtomicU64,
    /// Times the broker was found with a shorter stream than we had seen.
    pub broker_rollbacks: AtomicU64,
    /// Messages in the stream that are not recorded yet.
    pub pending: AtomicU64,
    /// How full the stream is, in millionths of its size; 0 where it has no limit.
    pub fill: AtomicU64,
    /// How long the stream keeps a message, in seconds; 0: for ever.
    pub kept_seconds: AtomicI64,
    /// Messages come without the header that names a pin: two instances may take them side by side.
    pub unpinned: AtomicBool,
    /// When the oldest pending message was accepted, in microseconds; 0 while there is none.
    oldest_at: AtomicI64,
    /// When a message last arrived, in microseconds since 1970; 0 for never.
    last_activity: AtomicI64,
    /// Since when the database does not take events, in microseconds; 0 while it does.
    stuck_since: AtomicI64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, by: usize) {
        counter.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn active(&self, now: Timestamp) {
        self.last_activity.store(now.as_microsecond(), Ordering::Relaxed);
    }

    pub(crate) fn stuck(&self, now: Timestamp) {
        // The first failure counts, until something succeeds.
        let at = now.as_microsecond();
        let _ = self.stuck_since.compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn flowing(&self) {
        self.stuck_since.store(0, Ordering::Relaxed);
    }

    pub(crate) fn waiting_since(&self, at: Option<Timestamp>) {
        self.oldest_at.store(at.map_or(0, Timestamp::as_microsecond), Ordering::Relaxed);
    }

    /// When the oldest message was accepted that is not recorded yet.
    #[must_use]
    pub fn oldest_at(&self) -> Option<Timestamp> {
        instant(self.oldest_at.load(Ordering::Relaxed))
    }

    /// When a message last arrived.
    #[must_use]
    pub fn last_activity(&self) -> Option<Timestamp> {
        instant(self.last_activity.load(Ordering::Relaxed))
    }

    /// Since when the database does not take events; degraded after a minute of it.
    #[must_use]
    pub fn stuck_since(&self) -> Option<Timestamp> {
        instant(self.stuck_since.load(Ordering::Relaxed))
    }
}

fn instant(micros: i64) -> Option<Timestamp> {
    (micros != 0).then(|| Timestamp::from_microsecond(micros).ok()).flatten()
}
