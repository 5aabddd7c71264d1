//! How far the relay is, for `/metrics` and `/readyz`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Numbers of one relay. Shared between it and whoever renders them.
#[derive(Debug, Default)]
pub struct Counters {
    /// The last position that `SAPA_OUT` has.
    pub position: AtomicI64,
    /// Recorded facts that it does not have yet, as far as we know.
    pub lag: AtomicI64,
    /// Times another relay had written first.
    pub fenced: AtomicU64,
    /// Messages published.
    pub published: AtomicU64,
    /// Times the broker was found with a shorter stream than we had seen, or another one.
    pub broker_rollbacks: AtomicU64,
    /// Times the log was found without an event that had gone out.
    pub log_rollbacks: AtomicU64,
    /// The position of that event while this relay stands still because of it; 0: it does not.
    pub rolled_back_at: AtomicI64,
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64, by: usize) {
        counter.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn at(&self, position: i64, head: i64) {
        self.position.store(position, Ordering::Relaxed);
        self.lag.store((head - position).max(0), Ordering::Relaxed);
    }
}
