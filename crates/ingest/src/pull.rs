//! The pull on consumer `ingest`: opened, read, and asked how it stands.
//!
//! Promises small steps that the loop in `lib.rs` can wait for side by side. Refuses to create
//! anything: a missing stream or consumer is told with its remedy and looked for again.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{Consumer, pull};
use futures_util::StreamExt;
use jiff::Timestamp;

use crate::step::{Delivery, Known};
use crate::stream::{BATCH_MAX, CONSUMER, GROUP, PULL_EXPIRES, PULL_HEARTBEAT, STREAM};
use crate::wire::Taken;

/// How long the server may take to say how a consumer stands.
const ASK_WAIT: Duration = Duration::from_secs(5);
/// The header by which the server names the pin; the last value is the server's own.
const PIN_HEADER: &str = "Nats-Pin-Id";

/// An open pull.
pub(crate) struct Pull {
    pub(crate) messages: pull::Stream,
    pub(crate) consumer: Consumer<pull::Config>,
    /// When the stream was created: sequences of two incarnations are never compared.
    pub(crate) incarnation: Timestamp,
    /// The newest sequence of the stream when it was opened.
    pub(crate) last_sequence: u64,
}

/// How the consumer stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) known: Known,
    /// The highest place in the stream that was ever delivered.
    pub(crate) delivered_up_to: u64,
    /// How many deliveries there were, to anybody.
    pub(crate) deliveries: u64,
    /// Messages that wait to be delivered.
    pub(crate) waiting: u64,
}

/// Opens the pull.
pub(crate) async fn open(context: Context) -> Result<Box<Pull>, async_nats::Error> {
    let stream = context.get_stream(STREAM).await?;
    let info = stream.cached_info();
    let incarnation = Timestamp::from_nanosecond(info.created.unix_timestamp_nanos())?;
    let last_sequence = info.state.last_sequence;
    let consumer: Consumer<pull::Config> = stream.get_consumer(CONSUMER).await?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(BATCH_MAX)
        .expires(PULL_EXPIRES)
        .heartbeat(PULL_HEARTBEAT)
        .group(GROUP)
        .messages()
        .await?;
    Ok(Box::new(Pull { messages, consumer, incarnation, last_sequence }))
}

/// Asks the consumer how it stands.
pub(crate) async fn ask(consumer: Consumer<pull::Config>) -> Result<Standing, async_nats::Error> {
    let info = tokio::time::timeout(ASK_WAIT, consumer.get_info()).await??;
    Ok(Standing {
        known: Known {
            acked_up_to: info.ack_floor.stream_sequence,
            pinned: info.priority_groups.into_iter().find_map(|it| it.pinned_client_id),
        },
        delivered_up_to: info.delivered.stream_sequence,
        deliveries: info.delivered.consumer_sequence,
        waiting: info.num_pending,
    })
}

/// Lets the next instance pull at once, instead of when the pin has had its time.
pub(crate) async fn unpin(context: Context) -> Result<(), async_nats::Error> {
    let stream = context.get_stream_no_info(STREAM).await?;
    Ok(tokio::time::timeout(ASK_WAIT, stream.unpin_consumer(CONSUMER, GROUP)).await??)
}

impl Pull {
    /// The next delivery; `None` when this pull is over.
    pub(crate) async fn next(&mut self) -> Option<Result<Delivery<Taken>, async_nats::Error>> {
        let it = self.messages.next().await?;
        Some(it.map_err(Into::into).and_then(delivery))
    }
}

fn delivery(it: async_nats::jetstream::Message) -> Result<Delivery<Taken>, async_nats::Error> {
    let info = it.info()?;
    let (stream_sequence, consumer_sequence) = (info.stream_sequence, info.consumer_sequence);
    let redelivered = 1 < info.delivered;
    let pin = it.headers.as_ref().and_then(|it| it.get_last(PIN_HEADER));
    let pin = pin.map(|it| it.as_str().to_owned()).unwrap_or_default();
    let message = Taken { stream_sequence, message: it.message };
    Ok(Delivery { pin, stream_sequence, consumer_sequence, redelivered, message })
}
