//! All that the log holds and all that went out, as whoever judges them reads it.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use events::envelope::Recorded;
use futures_util::StreamExt as _;
use serde_json::Value;
use store::{Log, ReadError};

/// Facts of one page.
const PAGE: usize = 500;
/// A machine that is busy with another storm answers late.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// The stream, and the header with the position.
const OUT: (&str, &str) = ("SAPA_OUT", "Sapa-Position");

/// One message of `SAPA_OUT`.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What its header says; 0 without one.
    pub position: i64,
    /// The event; `null` if it is none.
    pub body: Value,
}

/// All that the log holds; a hole is an error.
pub async fn recorded(log: &Log) -> Result<Vec<Recorded>, ReadError> {
    let mut facts: Vec<Recorded> = Vec::new();
    loop {
        let last = facts.last().map_or(0, |it| it.position);
        let page = log.read_after(last, PAGE).await?;
        if page.is_empty() {
            return Ok(facts);
        }
        facts.extend(page);
    }
}

/// All of `SAPA_OUT`, in its order.
pub async fn sent(context: &Context) -> Vec<Sent> {
    let mut context = context.clone();
    context.set_timeout(ANSWER_WAIT);
    let stream = context.get_stream(OUT.0).await.expect("the stream is there");
    let count = usize::try_from(stream.cached_info().state.messages).expect("it fits in memory");
    let config = pull::Config { ack_policy: AckPolicy::None, ..Default::default() };
    let consumer = stream.create_consumer(config).await.expect("a consumer is made");
    let messages = consumer.messages().await.expect("it is read");
    let read = messages.take(count).map(|it| {
        let it = it.expect("a message comes");
        let position = it.headers.as_ref().and_then(|it| it.get(OUT.1)?.as_str().parse().ok());
        let body = serde_json::from_slice(&it.payload).unwrap_or_default();
        Sent { position: position.unwrap_or_default(), body }
    });
    read.collect().await
}

/// The position of the last message of `SAPA_OUT`; 0 where there is none, or nobody answers.
pub async fn last_sent(context: &Context) -> i64 {
    let Ok(stream) = context.get_stream(OUT.0).await else { return 0 };
    let last = stream.get_last_raw_message_by_subject("sapa.v1.>").await.ok();
    let position = last.and_then(|it| it.headers.get(OUT.1)?.as_str().parse().ok());
    position.unwrap_or_default()
}
