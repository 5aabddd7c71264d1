//! Where a task can be told to wait or its process to end: the places of [`events::failpoint`], passed.
//!
//! Without the feature `faults` nothing happens here. Whoever waits says so, so that a checker can hold
//! the whole process still at that very place.

/// Passes a place.
pub async fn pass(place: &'static str) {
    if let Some(pause) = events::failpoint::reached(place) {
        tracing::warn!(place, "failpoint: waits");
        tokio::time::sleep(pause).await;
    }
}
