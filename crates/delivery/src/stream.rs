//! `SAPA_OUT` as it has to be: made, repaired or only looked at.
//!
//! Promises that every difference is told field by field, wanted against found; what the server adds
//! by itself is passed over, and what no promise rests on is left alone. Refuses to repair in [`Mode::VerifyOnly`], which is what a running
//! service uses on a server that is not its own.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use events::broker_config::Reliance;
use events::subject::{ALERT_FILTER, OUT_FILTER};
use serde_json::{Value, json};

pub use events::broker_config::Difference;

/// The stream of recorded facts and alerts: a copy of the log.
pub const STREAM: &str = "SAPA_OUT";

/// What configuration decides about the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Copies of each message: 1, 3 or 5.
    pub replicas: u8,
    /// How long a message is kept.
    pub max_age: Duration,
    /// Bytes of the stream; the oldest messages go.
    pub out_max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { replicas: 1, max_age: Duration::from_hours(7 * 24), out_max_bytes: 16 << 30 }
    }
}

/// Whether differences are put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Make what is missing and change what differs.
    Repair,
    /// Only tell.
    VerifyOnly,
}

/// The streams could not be looked at or put right.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No answer. Check `nats.url` and that JetStream is on.
    #[error(
        "JetStream did not answer: {0}. Check nats.url, the credential, and that the server runs with JetStream."
    )]
    Unreachable(#[from] RequestError),
    /// The server said no.
    #[error(
        "the server refused {object}: {description} (error {code}). Run `sapa doctor`; some settings cannot be changed once the object exists."
    )]
    Refused {
        /// Which object.
        object: String,
        /// The server's sentence.
        description: String,
        /// The server's number.
        code: u64,
    },
}

impl StreamError {
    /// Nobody answers now, as in a cluster without a majority. A server without JetStream, or one that
    /// says no, will not answer otherwise by itself.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.kind() != RequestErrorKind::NoResponders,
            Self::Refused { code, .. } => *code == TEMPORARILY_UNAVAILABLE,
        }
    }
}

/// The wanted configuration, in the server's field names.
#[must_use]
pub fn wanted_stream(it: &Limits) -> Value {
    // Several copies are not compressed: `ingest::stream` tells what nats-server does to them otherwise.
    let compression = if 1 < it.replicas { "none" } else { "s2" };
    json!({
        "name": STREAM,
        "description": "Sapa recorded facts and alerts in log order; a copy of the log",
        "subjects": [OUT_FILTER, ALERT_FILTER],
        "retention": "limits", "storage": "file", "num_replicas": it.replicas, "discard": "old",
        "max_age": u64::try_from(it.max_age.as_nanos()).unwrap_or(u64::MAX),
        "max_bytes": it.out_max_bytes, "max_msg_size": 131_072,
        "duplicate_window": 120_000_000_000_u64, "compression": compression,
        "deny_delete": true, "deny_purge": false, "allow_rollup_hdrs": false,
        "allow_atomic": true, "allow_direct": false, "metadata": { "sapa.config": "1" },
    })
}

/// Looks at the stream; in [`Mode::Repair`] what is told has been put right.
pub async fn create_or_verify(
    context: &Context,
    limits: &Limits,
    mode: Mode,
) -> Result<Vec<Difference>, StreamError> {
    let wanted = wanted_stream(limits);
    let found = ask(context, &format!("STREAM.INFO.{STREAM}"), &json!({})).await?;
    let reliance = reliance(&wanted, limits.replicas);
    let found = found.as_ref().map(|it| &it["config"]);
    let told = reliance.differences(STREAM, found);
    if mode == Mode::Repair && told.iter().any(|it| it.matters) {
        let (verb, config) = match found {
            Some(found) => ("UPDATE", reliance.repaired(found)),
            None => ("CREATE", wanted.clone()),
        };
        ask(context, &format!("STREAM.{verb}.{STREAM}"), &config).await?;
    }
    Ok(told)
}

/// What order, resuming and fencing rest on. A stream that other streams feed would hold messages that
/// are not of the log.
fn reliance(wanted: &Value, replicas: u8) -> Reliance<'_> {
    const RELIED: &[&str] = &[
        "subjects",
        "retention",
        "storage",
        "num_replicas",
        "discard",
        "max_age",
        "max_bytes",
        "max_msg_size",
        "deny_delete",
        "allow_rollup_hdrs",
        "allow_atomic",
        // Only where there are several copies, as for SAPA_IN.
        "compression",
    ];
    let alone = RELIED.split_last().map_or(RELIED, |(_, rest)| rest);
    let relied = if 1 < replicas { RELIED } else { alone };
    let off =
        &["mirror", "sources", "sealed", "no_ack", "subject_transform", "max_msgs_per_subject"];
    Reliance { wanted, relied, off, own: &[] }
}

/// JetStream is there and has no leader now.
const TEMPORARILY_UNAVAILABLE: u64 = 10_008;
/// "stream not found".
const NOT_FOUND: u64 = 10_059;

/// One request of the JetStream API; `None` when the stream does not exist.
async fn ask(context: &Context, subject: &str, body: &Value) -> Result<Option<Value>, StreamError> {
    let answer: Value = context.request(subject.to_owned(), body).await?;
    let Some(error) = answer.get("error") else { return Ok(Some(answer)) };
    let code = error["err_code"].as_u64().unwrap_or_default();
    if code == NOT_FOUND && subject.contains(".INFO.") {
        return Ok(None);
    }
    let description = error["description"].as_str().unwrap_or("no reason given").to_owned();
    Err(StreamError::Refused { object: STREAM.to_owned(), description, code })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_put_foreign_messages_between_ours_matters_and_a_copy_elsewhere_does_not() {
        let wanted = wanted_stream(&Limits::default());
        let mut found = wanted.clone();
        found["republish"] = json!({ "src": ">", "dest": "copy.>" });
        found["allow_direct"] = json!(true);
        found["allow_atomic"] = json!(false);
        found["sources"] = json!([{ "name": "OTHER" }]);
        let told = reliance(&wanted, 1).differences(STREAM, Some(&found));
        let fields = |matters: bool| -> Vec<&str> {
            told.iter().filter(|it| it.matters == matters).map(|it| it.field.as_str()).collect()
        };
        assert_eq!(fields(true), ["allow_atomic", "sources"]);
        assert_eq!(fields(false), ["allow_direct", "republish"]);
    }
}
