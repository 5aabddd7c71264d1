//! Many events, each judged for itself, handed to the writer in order.
//!
//! Promises one answer per event, in the order given, and that the writer sees them in that order.

use events::envelope::Incoming;
use futures_util::future::join_all;
use store::{AppendError, Appended, Appender};

/// Appends each event as a request of its own; the writer commits them together.
pub(crate) async fn append_each(
    appender: &Appender,
    events: Vec<Incoming>,
) -> Vec<Result<Appended, AppendError>> {
    // Joined futures are polled first in the order given, so they take their places in the queue
    // in that order.
    join_all(events.into_iter().map(|it| async move {
        let answer = appender.append(vec![it]).await?;
        answer.into_iter().next().ok_or_else(|| AppendError::Unavailable("no answer".to_owned()))
    }))
    .await
}
