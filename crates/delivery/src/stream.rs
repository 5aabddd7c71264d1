//! `SAPA_OUT` as it has to be: made, repaired or only looked at.
//!
//! Promises that every difference is told field by field, wanted against found; what the server adds
//! by itself is passed over. Refuses to repair in [`Mode::VerifyOnly`], which is what a running
//! service uses on a server that is not its own.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use events::subject::{ALERT_FILTER, OUT_FILTER};
use serde_json::{Value, json};

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

/// One field that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `SAPA_OUT`.
    pub object: String,
    /// Name of the field on the server; `exists` when the whole object is missing.
    pub field: String,
    /// As it should be.
    pub wanted: Value,
    /// As it is.
    pub found: Value,
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
    let told = differences(&wanted, found.as_ref().map(|it| &it["config"]));
    if mode == Mode::Repair && !told.is_empty() {
        let verb = if found.is_some() { "UPDATE" } else { "CREATE" };
        ask(context, &format!("STREAM.{verb}.{STREAM}"), &wanted).await?;
    }
    Ok(told)
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

/// Every field that differs: wanted ones that are otherwise, and others that are switched on.
fn differences(wanted: &Value, found: Option<&Value>) -> Vec<Difference> {
    let tell = |field: &str, wanted: &Value, found: &Value| Difference {
        object: STREAM.to_owned(),
        field: field.to_owned(),
        wanted: wanted.clone(),
        found: found.clone(),
    };
    let Some(found) = found else {
        return vec![tell("exists", &Value::Bool(true), &Value::Bool(false))];
    };
    let empty = serde_json::Map::new();
    let members = wanted.as_object().unwrap_or(&empty);
    let mut told = Vec::new();
    for (field, wanted) in members {
        let is = found.get(field).unwrap_or(&Value::Null);
        if !is_as_wanted(wanted, is) {
            told.push(tell(field, wanted, is));
        }
    }
    for (field, is) in found.as_object().unwrap_or(&empty) {
        let known = members.contains_key(field);
        if !known && !is_off(is) {
            told.push(tell(field, &Value::Null, is));
        }
    }
    told
}

fn is_as_wanted(wanted: &Value, is: &Value) -> bool {
    match (wanted, is) {
        // The server leaves out what is false, and adds names of its own to the metadata.
        (Value::Bool(false), Value::Null) => true,
        (Value::Object(wanted), Value::Object(is)) => {
            wanted.iter().all(|(name, it)| is.get(name) == Some(it))
        }
        _ => wanted == is,
    }
}

/// False, nothing, no limit: the value of a feature that nobody asked for.
fn is_off(it: &Value) -> bool {
    match it {
        Value::Null | Value::Bool(false) => true,
        Value::Number(it) => matches!(it.as_i64(), Some(0 | -1)),
        Value::String(it) => it.is_empty() || it == "default",
        Value::Array(it) => it.is_empty(),
        Value::Object(it) => it.values().all(is_off),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_adds_or_leaves_out_is_no_difference() {
        let wanted = wanted_stream(&Limits::default());
        let mut found = wanted.clone();
        found["metadata"]["_nats.level"] = json!("4");
        found["consumer_limits"] = json!({});
        found["max_msgs"] = json!(-1);
        assert_eq!(differences(&wanted, Some(&found)), []);
    }

    #[test]
    fn a_feature_that_nobody_asked_for_is_a_difference() {
        let wanted = wanted_stream(&Limits::default());
        let mut found = wanted.clone();
        found["allow_atomic"] = json!(false);
        found["republish"] = json!({ "src": ">", "dest": "copy.>" });
        let told = differences(&wanted, Some(&found));
        let fields: Vec<&str> = told.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["allow_atomic", "republish"]);
    }
}
