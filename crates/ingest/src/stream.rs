//! `SAPA_IN` and its consumer `ingest`, as they have to be: made, repaired or only looked at.
//!
//! Promises that every difference is told field by field, wanted against found; what the server adds
//! by itself is passed over, and what no promise rests on is left alone. Refuses to repair in [`Mode::VerifyOnly`], which is what a running
//! service uses on a server that is not its own: there a missing stream is an event for a person.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use events::broker_config::Reliance;
use events::subject::{FROM_FILTER, IN_FILTER};
use serde_json::{Value, json};

pub use events::broker_config::Difference;

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
    let reliance = of_stream(&wanted, limits.replicas);
    let found = found.as_ref().map(|it| &it["config"]);
    let mut told = reliance.differences(STREAM, found);
    if mode == Mode::Repair && told.iter().any(|it| it.matters) {
        let (verb, config) = match found {
            Some(found) => ("UPDATE", reliance.repaired(found)),
            None => ("CREATE", wanted.clone()),
        };
        ask(context, &format!("STREAM.{verb}.{STREAM}"), &config, STREAM).await?;
    }
    if found.is_none() && mode == Mode::VerifyOnly {
        // A stream that is not there has no consumer to look at.
        return Ok(told);
    }
    let wanted = wanted_consumer(limits);
    told.extend(consumer(context, STREAM, CONSUMER, &of_consumer(&wanted), mode).await?);
    Ok(told)
}

/// Lets the consumer read `SAPA_IN` from its beginning again: for a log that has lost its end. What
/// the log holds already is recognised by its id.
pub async fn read_again(context: &Context, limits: &Limits) -> Result<(), StreamError> {
    let subject = format!("CONSUMER.DELETE.{STREAM}.{CONSUMER}");
    match ask(context, &subject, &json!({}), CONSUMER).await {
        Ok(_) | Err(StreamError::Refused { code: CONSUMER_NOT_FOUND, .. }) => {}
        Err(error) => return Err(error),
    }
    create_or_verify(context, limits, Mode::Repair).await.map(drop)
}

/// The same for a consumer of alerts or facts on `SAPA_OUT`.
pub async fn create_or_verify_reader(
    context: &Context,
    name: &str,
    filter: &str,
    mode: Mode,
) -> Result<Vec<Difference>, StreamError> {
    let wanted = wanted_reader(name, filter);
    // How long its owner may take over a message is the owner's business.
    let reliance = Reliance {
        wanted: &wanted,
        relied: &["durable_name", "ack_policy", "filter_subjects"],
        off: &["headers_only", "pause_until"],
        own: &OWN,
    };
    consumer(context, OUT_STREAM, name, &reliance, mode).await
}

async fn consumer(
    context: &Context,
    stream: &str,
    name: &str,
    reliance: &Reliance<'_>,
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
    let found = found.as_ref().map(|it| &it["config"]);
    let told = reliance.differences(&object, found);
    if mode == Mode::Repair && told.iter().any(|it| it.matters) {
        let config = found.map_or_else(|| reliance.wanted.clone(), |it| reliance.repaired(it));
        let request = json!({ "stream_name": stream, "config": config });
        let subject = format!("CONSUMER.DURABLE.CREATE.{stream}.{name}");
        ask(context, &subject, &request, &object).await?;
    }
    Ok(told)
}

/// What the promises of taking messages rest on.
fn of_stream(wanted: &Value, replicas: u8) -> Reliance<'_> {
    const RELIED: &[&str] = &[
        "subjects",
        "retention",
        "storage",
        "num_replicas",
        "discard",
        "max_age",
        "max_bytes",
        "max_msgs",
        "max_msgs_per_subject",
        "max_msg_size",
        "deny_delete",
        "deny_purge",
        "allow_rollup_hdrs",
        "allow_msg_ttl",
        "allow_msg_schedules",
        "allow_msg_counter",
        "allow_atomic",
        // Only where there are several copies: see `compression`.
        "compression",
    ];
    let alone = RELIED.split_last().map_or(RELIED, |(_, rest)| rest);
    let relied = if 1 < replicas { RELIED } else { alone };
    Reliance { wanted, relied, off: OFF, own: &[] }
}

/// Features under which a message would be lost, changed or never stored.
const OFF: &[&str] =
    &["mirror", "sealed", "no_ack", "subject_transform", "discard_new_per_subject", "persist_mode"];

/// What order and patience rest on.
fn of_consumer(wanted: &Value) -> Reliance<'_> {
    Reliance {
        wanted,
        relied: &[
            "durable_name",
            "deliver_policy",
            "ack_policy",
            "ack_wait",
            "max_deliver",
            "max_ack_pending",
            "max_batch",
            "max_expires",
            "filter_subjects",
            "priority_policy",
            "priority_groups",
            "priority_timeout",
        ],
        off: &[
            "headers_only",
            "pause_until",
            "backoff",
            "rate_limit_bps",
            "inactive_threshold",
            "deliver_subject",
            "mem_storage",
        ],
        own: &OWN,
    }
}

/// Fields that the server fills in for a consumer.
const OWN: [&str; 5] = ["name", "max_waiting", "replay_policy", "num_replicas", "metadata"];
/// JetStream is there and has no leader now.
const TEMPORARILY_UNAVAILABLE: u64 = 10_008;
/// "consumer not found".
const CONSUMER_NOT_FOUND: u64 = 10_014;
/// "stream not found", and the same for a consumer.
const NOT_FOUND: [u64; 2] = [10_059, CONSUMER_NOT_FOUND];

/// One request of the JetStream API; `None` when the object does not exist.
pub(crate) async fn ask(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_copy_is_compressed() {
        let of = |replicas| wanted_stream(&Limits { replicas, ..Limits::default() });
        assert_eq!(of(1)["compression"], "s2");
        assert_eq!(of(3)["compression"], "none");
    }

    #[test]
    fn a_branch_that_feeds_the_stream_is_left_alone_and_a_shorter_memory_is_not() {
        let wanted = wanted_stream(&Limits::default());
        let mut found = wanted.clone();
        found["sources"] = json!([{ "name": "SAPA_IN", "external": { "api": "$JS.branch.API" } }]);
        found["duplicate_window"] = json!(1_000_000_000);
        let told = of_stream(&wanted, 1).differences(STREAM, Some(&found));
        assert!(told.iter().all(|it| !it.matters) && told.len() == 2, "{told:?}");
        for (field, value) in
            [("discard", json!("old")), ("max_age", json!(1)), ("mirror", json!({ "name": "X" }))]
        {
            let mut found = wanted.clone();
            found[field] = value;
            let told = of_stream(&wanted, 1).differences(STREAM, Some(&found));
            assert!(told.len() == 1 && told[0].matters && told[0].field == field, "{told:?}");
        }
    }

    #[test]
    fn a_consumer_without_its_pin_is_told() {
        let wanted = wanted_consumer(&Limits::default());
        let mut found = wanted.clone();
        let members = found.as_object_mut().unwrap();
        for lost in ["priority_policy", "priority_groups", "priority_timeout"] {
            members.remove(lost);
        }
        let told = of_consumer(&wanted).differences("SAPA_IN/ingest", Some(&found));
        let fields: Vec<&str> =
            told.iter().filter(|it| it.matters).map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["priority_groups", "priority_policy", "priority_timeout"]);
    }
}
