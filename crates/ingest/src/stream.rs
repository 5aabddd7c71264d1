//! `SAPA_IN` and its consumer `ingest`, as they have to be: made, repaired or only looked at.
//!
//! Promises that every difference is told field by field, wanted against found; what the server adds
//! by itself is passed over. Refuses to repair in [`Mode::VerifyOnly`], which is what a running
//! service uses on a server that is not its own: there a missing stream is an event for a person.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use events::subject::{FROM_FILTER, IN_FILTER};
use serde_json::{Value, json};

/// The stream that publishers write to.
pub const STREAM: &str = "SAPA_IN";
/// The stream that alert and fact consumers read.
const OUT_STREAM: &str = "SAPA_OUT";
/// Our consumer on it.
pub const CONSUMER: &str = "ingest";
/// The priority group of that consumer: whoever is pinned in it pulls.
pub const GROUP: &str = "ingest";
/// Messages of one pull request, and events of one commit.
pub const BATCH_MAX: usize = 512;
/// Messages that may be delivered and not acknowledged.
pub const ACK_PENDING_MAX: usize = 2_048;
/// How long one pull request waits. Below [`PIN_TIMEOUT`], or two idle instances swap the pin.
pub const PULL_EXPIRES: Duration = Duration::from_secs(3);
/// How often the server says that it is there while nothing arrives.
pub const PULL_HEARTBEAT: Duration = Duration::from_secs(1);
/// After this long without a pull the pin goes to another instance.
pub const PIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What configuration decides about the streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Copies of each message: 1, 3 or 5.
    pub replicas: u8,
    /// How long a message is kept.
    pub max_age: Duration,
    /// Bytes of `SAPA_IN`; when it is full publishers are refused.
    pub in_max_bytes: u64,
    /// How long a delivered message may stay unacknowledged before it is delivered again.
    pub ack_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            replicas: 1,
            max_age: Duration::from_hours(7 * 24),
            in_max_bytes: 8 << 30,
            ack_wait: Duration::from_secs(10),
        }
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
    /// `SAPA_IN`, or `SAPA_IN/ingest` for a consumer.
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
    /// The name of a consumer is not one the server can address safely.
    #[error("{0:?} is not a name: use 1 to 32 of A-Z a-z 0-9 _ -")]
    Name(String),
}

impl StreamError {
    /// Nobody answers now, as in a cluster without a majority. A server without JetStream, or one that
    /// says no, will not answer otherwise by itself.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.kind() != RequestErrorKind::NoResponders,
            Self::Refused { code, .. } => *code == TEMPORARILY_UNAVAILABLE,
            Self::Name(_) => false,
        }
    }
}

/// The wanted configuration of `SAPA_IN`, in the server's field names.
#[must_use]
pub fn wanted_stream(it: &Limits) -> Value {
    json!({
        "name": STREAM,
        "description": "Sapa ingress: accepted, waiting to be recorded",
        "subjects": [IN_FILTER, FROM_FILTER],
        "retention": "limits", "storage": "file", "num_replicas": it.replicas, "discard": "new",
        "max_age": nanos(it.max_age), "max_bytes": it.in_max_bytes,
        "max_msgs": -1, "max_msgs_per_subject": -1, "max_msg_size": 81_920, "max_consumers": 16,
        "duplicate_window": 120_000_000_000_u64, "compression": compression(it.replicas),
        "deny_delete": true, "deny_purge": true, "allow_rollup_hdrs": false,
        "allow_msg_ttl": false, "allow_msg_schedules": false, "allow_msg_counter": false,
        "allow_atomic": false, "allow_direct": false, "metadata": { "sapa.config": "1" },
    })
}

/// How a stream with so many copies is compressed. Not at all where there are several: a nats-server
/// 2.15.1 that was killed and cuts back the end of a copy compresses that block and goes on writing into
/// it as if it were not, after which nobody can read it and the stream stands still (`s2: corrupt
/// input`; seen by the checker with `--brokers 3`).
const fn compression(replicas: u8) -> &'static str {
    if 1 < replicas { "none" } else { "s2" }
}

/// The wanted configuration of consumer `ingest`.
#[must_use]
pub fn wanted_consumer(it: &Limits) -> Value {
    json!({
        "durable_name": CONSUMER, "description": "Sapa: SAPA_IN to the log",
        "deliver_policy": "all", "ack_policy": "explicit", "ack_wait": nanos(it.ack_wait),
        "max_deliver": -1, "max_ack_pending": ACK_PENDING_MAX, "max_waiting": 64,
        "max_batch": BATCH_MAX, "max_expires": 30_000_000_000_u64, "replay_policy": "instant",
        "filter_subjects": [IN_FILTER, FROM_FILTER],
        "priority_policy": "pinned_client", "priority_groups": [GROUP],
        "priority_timeout": nanos(PIN_TIMEOUT), "metadata": { "sapa.config": "1" },
    })
}

/// The wanted configuration of a consumer on `SAPA_OUT`: alerts with `sapa.v1.<tenant>.alert.>`,
/// facts with any filter below `….out.`.
#[must_use]
pub fn wanted_reader(name: &str, filter: &str) -> Value {
    json!({
        "durable_name": name, "deliver_policy": "all", "ack_policy": "explicit",
        "ack_wait": 30_000_000_000_u64, "max_deliver": -1, "max_ack_pending": 256,
        "filter_subjects": [filter],
    })
}

fn nanos(it: Duration) -> u64 {
    u64::try_from(it.as_nanos()).unwrap_or(u64::MAX)
}

/// Looks at `SAPA_IN` and its consumer; in [`Mode::Repair`] what is told has been put right.
pub async fn create_or_verify(
    context: &Context,
    limits: &Limits,
    mode: Mode,
) -> Result<Vec<Difference>, StreamError> {
    let wanted = wanted_stream(limits);
    let found = ask(context, &format!("STREAM.INFO.{STREAM}"), &json!({}), STREAM).await?;
    let mut told = differences(STREAM, &wanted, found.as_ref().map(|it| &it["config"]), &[]);
    if mode == Mode::Repair && !told.is_empty() {
        let verb = if found.is_some() { "UPDATE" } else { "CREATE" };
        ask(context, &format!("STREAM.{verb}.{STREAM}"), &wanted, STREAM).await?;
    }
    if found.is_none() && mode == Mode::VerifyOnly {
        // A stream that is not there has no consumer to look at.
        return Ok(told);
    }
    told.extend(consumer(context, STREAM, CONSUMER, wanted_consumer(limits), mode).await?);
    Ok(told)
}

/// The same for a consumer of alerts or facts on `SAPA_OUT`.
pub async fn create_or_verify_reader(
    context: &Context,
    name: &str,
    filter: &str,
    mode: Mode,
) -> Result<Vec<Difference>, StreamError> {
    consumer(context, OUT_STREAM, name, wanted_reader(name, filter), mode).await
}

async fn consumer(
    context: &Context,
    stream: &str,
    name: &str,
    wanted: Value,
    mode: Mode,
) -> Result<Vec<Difference>, StreamError> {
    let fits = (1..=32).contains(&name.len())
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    if !fits {
        return Err(StreamError::Name(name.to_owned()));
    }
    let object = format!("{stream}/{name}");
    let subject = format!("CONSUMER.INFO.{stream}.{name}");
    let mut found = ask(context, &subject, &json!({}), &object).await?;
    if let Some(config) = found.as_mut().and_then(|it| it["config"].as_object_mut())
        && let Some(filter) = config.remove("filter_subject")
    {
        // One filter may come back in a field of its own.
        config.insert("filter_subjects".to_owned(), json!([filter]));
    }
    let told = differences(&object, &wanted, found.as_ref().map(|it| &it["config"]), &OWN);
    if mode == Mode::Repair && !told.is_empty() {
        let request = json!({ "stream_name": stream, "config": wanted });
        let subject = format!("CONSUMER.DURABLE.CREATE.{stream}.{name}");
        ask(context, &subject, &request, &object).await?;
    }
    Ok(told)
}

/// Fields that the server fills in for a consumer.
const OWN: [&str; 5] = ["name", "max_waiting", "replay_policy", "num_replicas", "metadata"];
/// JetStream is there and has no leader now.
const TEMPORARILY_UNAVAILABLE: u64 = 10_008;
/// "stream not found", "consumer not found".
const NOT_FOUND: [u64; 2] = [10_059, 10_014];

/// One request of the JetStream API; `None` when the object does not exist.
async fn ask(
    context: &Context,
    subject: &str,
    body: &Value,
    object: &str,
) -> Result<Option<Value>, StreamError> {
    let answer: Value = context.request(subject.to_owned(), body).await?;
    let Some(error) = answer.get("error") else { return Ok(Some(answer)) };
    let code = error["err_code"].as_u64().unwrap_or_default();
    if NOT_FOUND.contains(&code) && subject.contains(".INFO.") {
        return Ok(None);
    }
    let description = error["description"].as_str().unwrap_or("no reason given").to_owned();
    Err(StreamError::Refused { object: object.to_owned(), description, code })
}

/// Every field that differs: wanted ones that are otherwise, and others that are switched on.
fn differences(
    object: &str,
    wanted: &Value,
    found: Option<&Value>,
    own: &[&str],
) -> Vec<Difference> {
    let tell = |field: &str, wanted: &Value, found: &Value| Difference {
        object: object.to_owned(),
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
        let known = members.contains_key(field) || own.contains(&field.as_str());
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
        for left_out in ["allow_atomic", "allow_msg_schedules", "allow_msg_counter"] {
            found.as_object_mut().unwrap().remove(left_out);
        }
        found["metadata"]["_nats.level"] = json!("4");
        found["consumer_limits"] = json!({});
        found["sealed"] = json!(false);
        assert_eq!(differences(STREAM, &wanted, Some(&found), &[]), []);
    }

    #[test]
    fn only_a_single_copy_is_compressed() {
        let of = |replicas| wanted_stream(&Limits { replicas, ..Limits::default() });
        assert_eq!(of(1)["compression"], "s2");
        assert_eq!(of(3)["compression"], "none");
    }

    #[test]
    fn every_difference_is_told_with_what_was_wanted_and_what_was_found() {
        let wanted = wanted_stream(&Limits::default());
        let mut found = wanted.clone();
        found["discard"] = json!("old");
        found["no_ack"] = json!(true);
        let told = differences(STREAM, &wanted, Some(&found), &[]);
        let fields: Vec<&str> = told.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["discard", "no_ack"]);
        assert_eq!((&told[0].wanted, &told[0].found), (&json!("new"), &json!("old")));
    }

    #[test]
    fn a_missing_object_is_one_difference() {
        let told = differences(STREAM, &wanted_stream(&Limits::default()), None, &[]);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].field, "exists");
    }
}
