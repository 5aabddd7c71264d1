//! One page of the log as one atomic batch: the three headers, and the fence on the first message.
//!
//! Promises that a page becomes visible whole or not at all, and not at all when somebody else has
//! written to the stream since we looked. The server answers the first message of a batch with an
//! empty body, those between with nothing, and the last with the place of the last.

use std::time::Duration;

use async_nats::client::Request;
use async_nats::{Client, HeaderMap, RequestErrorKind};
use bytes::Bytes;
use events::planted::{Mistake, planted};
use events::subject;
use serde::Deserialize;
use uuid::Uuid;

use crate::stream::STREAM;

/// Names one batch.
pub const BATCH_ID: &str = "Nats-Batch-Id";
/// Place in the batch, from 1.
pub const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
/// On the last message: make the batch visible.
pub const BATCH_COMMIT: &str = "Nats-Batch-Commit";
/// The fence: sequence of the last stored message that matches the filter, 0 if there is none.
pub const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";
/// The filter of the fence.
pub const EXPECTED_LAST_FILTER: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// The fact's position in the log; consumers de-duplicate by it.
pub const POSITION: &str = "Sapa-Position";
/// Whose fact it is.
pub const TENANT: &str = "Sapa-Tenant";
/// Messages of one batch. The server takes 1,000.
pub const BATCH_MAX: usize = 500;

/// "wrong last sequence": somebody else has written.
const WRONG_LAST: u64 = 10_071;
/// How long the server may take to answer a batch.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub subject: String,
    /// Whose fact it is.
    pub tenant: String,
    /// Its position in the log.
    pub position: i64,
    /// The publisher's trace, passed on.
    pub trace: Option<String>,
    /// One structured event.
    pub body: Bytes,
}

/// Why a page was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The stream is not as we last saw it. Nothing was stored; look again.
    #[error("another relay has written to SAPA_OUT, or the stream was changed")]
    Fenced,
    /// The server refused it. Nothing was stored.
    #[error("the server refused the page: {description} (error {code}). Run `sapa doctor`.")]
    Refused {
        /// The server's number.
        code: u64,
        /// The server's sentence.
        description: String,
    },
    /// No answer: it may be stored or not. Look again.
    #[error("the server did not answer: {0}")]
    Unknown(String),
}

/// Publishes a page: one message plainly, more as one batch. Answers with the stream's new last
/// sequence. `fence` is the last sequence before it.
pub async fn publish(
    client: &Client,
    page: &[Outgoing],
    fence: u64,
    batch: Uuid,
) -> Result<u64, PublishError> {
    let Some((last, before)) = page.split_last() else { return Ok(fence) };
    let Some((first, between)) = before.split_first() else {
        let mut headers = headers(last);
        fenced(&mut headers, fence);
        return place(&ask(client, last, headers).await?);
    };
    let batch = batch.to_string();
    let in_batch = |it: &Outgoing, sequence: usize| {
        let mut headers = headers(it);
        headers.insert(BATCH_ID, batch.as_str());
        headers.insert(BATCH_SEQUENCE, sequence.to_string().as_str());
        headers
    };
    let mut own = in_batch(first, 1);
    fenced(&mut own, fence);
    refusal(&ask(client, first, own).await?)?;
    for (sequence, it) in (2..).zip(between) {
        client
            .publish_with_headers(it.subject.clone(), in_batch(it, sequence), it.body.clone())
            .await
            .map_err(|error| PublishError::Unknown(error.to_string()))?;
    }
    let mut own = in_batch(last, page.len());
    own.insert(BATCH_COMMIT, "1");
    place(&ask(client, last, own).await?)
}

fn headers(it: &Outgoing) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Content-Type", "application/cloudevents+json");
    headers.insert(POSITION, it.position.to_string().as_str());
    headers.insert(TENANT, it.tenant.as_str());
    if let Some(trace) = &it.trace
        && !trace.contains(['\r', '\n'])
    {
        headers.insert("traceparent", trace.as_str());
    }
    headers
}

fn fenced(headers: &mut HeaderMap, fence: u64) {
    if !planted(Mistake::NoFence) {
        headers.insert(EXPECTED_LAST, fence.to_string().as_str());
        headers.insert(EXPECTED_LAST_FILTER, subject::ALL);
    }
}

async fn ask(client: &Client, it: &Outgoing, headers: HeaderMap) -> Result<Bytes, PublishError> {
    let request =
        Request::new().headers(headers).payload(it.body.clone()).timeout(Some(ANSWER_WAIT));
    match client.send_request(it.subject.clone(), request).await {
        Ok(answer) => Ok(answer.payload),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            Err(PublishError::Refused {
                code: 503,
                description: "no stream takes this subject".to_owned(),
            })
        }
        Err(error) => Err(PublishError::Unknown(error.to_string())),
    }
}

/// An answer of the server to something published.
#[derive(Debug, Default, Deserialize)]
struct Said {
    stream: Option<String>,
    seq: Option<u64>,
    error: Option<SaidError>,
}

#[derive(Debug, Deserialize)]
struct SaidError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// The server's refusal, if the answer is one. The answer to the first of a batch is empty.
fn refusal(answer: &[u8]) -> Result<Said, PublishError> {
    if answer.is_empty() {
        return Ok(Said::default());
    }
    let said: Said = serde_json::from_slice(answer)
        .map_err(|error| PublishError::Unknown(format!("an answer that is not JSON: {error}")))?;
    match said.error {
        None => Ok(said),
        Some(it) if it.err_code == WRONG_LAST => Err(PublishError::Fenced),
        Some(it) => Err(PublishError::Refused { code: it.err_code, description: it.description }),
    }
}

/// The stream's new last sequence out of a publish acknowledgement.
fn place(answer: &[u8]) -> Result<u64, PublishError> {
    let said = refusal(answer)?;
    match (said.stream.as_deref(), said.seq) {
        (Some(STREAM), Some(sequence)) => Ok(sequence),
        _ => Err(PublishError::Unknown(format!("not an acknowledgement of {STREAM}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_the_server_are_told_apart() {
        assert!(refusal(b"").is_ok());
        assert_eq!(
            place(br#"{"stream":"SAPA_OUT","seq":12,"batch":"b","count":3}"#).ok(),
            Some(12)
        );
        let stale =
            br#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 4"}}"#;
        assert!(matches!(place(stale), Err(PublishError::Fenced)));
        let other =
            br#"{"error":{"code":400,"err_code":10199,"description":"batch is too large"}}"#;
        assert!(matches!(place(other), Err(PublishError::Refused { code: 10199, .. })));
        let elsewhere = br#"{"stream":"OTHER","seq":12}"#;
        assert!(matches!(place(elsewhere), Err(PublishError::Unknown(_))));
    }
}
