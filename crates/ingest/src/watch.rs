//! How `SAPA_IN` stands: how much waits, since when, how full it is, and whether its consumer is still
//! the one that was made. Looked at every few seconds, beside the pull.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::Context;
use events::time::parse_instant;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::stream::{CONSUMER, STREAM, StreamError, ask};

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Shares of the stream's size, in millionths, from which its filling is worth a warning.
const FILL_WARNINGS: [u64; 2] = [700_000, 850_000];

/// Looks until asked to stop. What cannot be asked keeps its last value.
pub async fn run(context: Context, counters: Arc<Counters>, stop: CancellationToken) {
    let mut warned = 0;
    while !stop.is_cancelled() {
        let looked = tokio::select! {
            it = look(&context, &counters) => it,
            () = stop.cancelled() => break,
        };
        match looked {
            Ok(fill) => {
                let level = FILL_WARNINGS.iter().filter(|it| **it <= fill).count();
                if warned < level {
                    let percent = fill / 10_000;
                    tracing::warn!(
                        percent,
                        "SAPA_IN fills up; when it is full publishers are refused"
                    );
                }
                warned = level;
            }
            Err(error) => tracing::debug!(%error, "SAPA_IN could not be looked at"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// One look; answers how full the stream is, in millionths.
async fn look(context: &Context, counters: &Counters) -> Result<u64, StreamError> {
    let nothing = json!({});
    let subject = format!("STREAM.INFO.{STREAM}");
    let Some(stream) = ask(context, &subject, &nothing, STREAM).await? else { return Ok(0) };
    let number =
        |it: &Value, pointer: &str| it.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let (bytes, size) = (number(&stream, "/state/bytes"), number(&stream, "/config/max_bytes"));
    let fill = bytes.saturating_mul(1_000_000).checked_div(size).unwrap_or(0);
    counters.fill.store(fill, Ordering::Relaxed);
    let kept = number(&stream, "/config/max_age") / 1_000_000_000;
    counters.kept_seconds.store(i64::try_from(kept).unwrap_or(i64::MAX), Ordering::Relaxed);

    let subject = format!("CONSUMER.INFO.{STREAM}.{CONSUMER}");
    let Some(consumer) = ask(context, &subject, &nothing, CONSUMER).await? else { return Ok(fill) };
    let pinned = consumer.pointer("/config/priority_policy").and_then(Value::as_str);
    counters.unpinned.store(pinned != Some("pinned_client"), Ordering::Relaxed);
    let pending = number(&consumer, "/num_pending") + number(&consumer, "/num_ack_pending");
    counters.pending.store(pending, Ordering::Relaxed);
    let oldest = match pending {
        0 => None,
        _ => oldest(context, number(&consumer, "/ack_floor/stream_seq") + 1).await?,
    };
    counters.waiting_since(oldest);
    Ok(fill)
}

/// When the first message at or after a place was accepted.
async fn oldest(context: &Context, from: u64) -> Result<Option<Timestamp>, StreamError> {
    let wanted = json!({ "seq": from, "next_by_subj": ">" });
    match ask(context, &format!("STREAM.MSG.GET.{STREAM}"), &wanted, STREAM).await {
        Ok(found) => Ok(found
            .as_ref()
            .and_then(|it| it.pointer("/message/time"))
            .and_then(Value::as_str)
            .and_then(|it| parse_instant(it).ok())),
        // Recorded meanwhile.
        Err(StreamError::Refused { code: NO_MESSAGE, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// "no message found".
const NO_MESSAGE: u64 = 10_037;
