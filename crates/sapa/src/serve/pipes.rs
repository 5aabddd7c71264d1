//! The connections to the broker of one process, and what has to be true of the broker before it
//! is used: its version, JetStream, how it writes, and both streams exactly as wanted. On a server
//! of our own the streams are made and repaired; on any other a difference is for a person.

use std::time::Duration;

use async_nats::{Client, jetstream};
use serde_json::Value;

use super::checks::{self, Finding, Verdict};
use super::nats::Broker;
use crate::broker::{check_version, connect};
use crate::config::Config;
use crate::exit::{Exit, Failure};

/// How long a start waits for a broker before it goes on without.
const START_PATIENCE: Duration = Duration::from_secs(2);

/// One connection for each role.
#[derive(Clone, Debug)]
pub struct Pipes {
    /// Takes messages.
    pub ingest: Client,
    /// Publishes facts.
    pub relay: Client,
    /// Answers requests.
    pub api: Client,
}

impl Pipes {
    /// All of them, by role.
    #[must_use]
    pub fn clients(&self) -> Vec<(&'static str, Client)> {
        vec![
            ("ingest", self.ingest.clone()),
            ("relay", self.relay.clone()),
            ("api", self.api.clone()),
        ]
    }
}

/// Connects all roles. A broker that is there is checked first; one that is away is waited for in
/// the background.
pub async fn open(config: &Config, broker: &Broker) -> Result<Pipes, Failure> {
    let (url, token) = (broker.url.as_str(), broker.token.as_deref());
    let asked = connect(&config.nats, "ingest", url, token, false);
    match tokio::time::timeout(START_PATIENCE, asked).await {
        Ok(Ok(client)) => match fit(config, broker, &client).await {
            // A cluster without a majority takes connections and answers nothing else.
            Err(failure) if !broker.is_ours() && failure.exit == Exit::Unavailable => {
                tracing::warn!(error = %failure.what, "nats does not answer; recording goes on over HTTP");
            }
            fits => fits?,
        },
        Ok(Err(failure)) if broker.is_ours() || failure.exit != Exit::Unavailable => {
            return Err(failure);
        }
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("nats is away; recording goes on over HTTP until it is back");
        }
    }
    let of = |role| connect(&config.nats, role, url, token, true);
    let (ingest, relay, api) = tokio::try_join!(of("ingest"), of("relay"), of("api"))?;
    Ok(Pipes { ingest, relay, api })
}

/// Refuses a broker under which a promise would break.
pub async fn fit(config: &Config, broker: &Broker, client: &Client) -> Result<(), Failure> {
    check_version(client)?;
    if !broker.is_ours() {
        // Our own is started with what this asks for.
        let found = checks::durability(config, broker.monitor_url.as_deref()).await.refuse()?;
        if found.verdict == Verdict::Warning {
            tracing::warn!(found = %found.found, remedy = %found.remedy, "nats durability");
        }
    }
    let context = jetstream::new(client.clone());
    let told = streams(config, &context, broker.is_ours()).await?;
    match told.into_iter().find(|_| !broker.is_ours()) {
        Some(finding) => finding.refuse().map(drop),
        None => Ok(()),
    }
}

/// Looks at both streams and our consumer, and puts them right if asked to. Tells each difference.
pub async fn streams(
    config: &Config,
    context: &jetstream::Context,
    repair: bool,
) -> Result<Vec<Finding>, Failure> {
    let nats = &config.nats;
    let replicas = u8::try_from(nats.replicas).unwrap_or(1);
    let limits = ingest::stream::Limits {
        replicas,
        max_age: nats.max_age,
        in_max_bytes: nats.in_max_bytes,
        ack_wait: nats.ack_wait,
    };
    let mode = if repair { ingest::stream::Mode::Repair } else { ingest::stream::Mode::VerifyOnly };
    let told = ingest::stream::create_or_verify(context, &limits, mode)
        .await
        .map_err(|error| broken(&error, error.is_away()))?;
    let mut findings: Vec<Finding> =
        told.iter().map(|it| differs(&it.object, &it.field, &it.wanted, &it.found)).collect();
    let limits = delivery::stream::Limits {
        replicas,
        max_age: nats.max_age,
        out_max_bytes: nats.out_max_bytes,
    };
    let mode =
        if repair { delivery::stream::Mode::Repair } else { delivery::stream::Mode::VerifyOnly };
    let told = delivery::stream::create_or_verify(context, &limits, mode)
        .await
        .map_err(|error| broken(&error, error.is_away()))?;
    findings.extend(told.iter().map(|it| differs(&it.object, &it.field, &it.wanted, &it.found)));
    Ok(findings)
}

/// The streams could not be looked at; the message ends with what to do.
pub fn broken(error: &dyn std::fmt::Display, is_away: bool) -> Failure {
    let exit = if is_away { Exit::Unavailable } else { Exit::Config };
    Failure::new(exit, error.to_string(), "")
}

/// One field that is not as wanted.
#[must_use]
pub fn differs(object: &str, field: &str, wanted: &Value, found: &Value) -> Finding {
    let text = format!("{object} {field}: wanted {wanted}, found {found}");
    Finding::bad("streams", Verdict::Refused, text, "Run `sapa setup`.")
}
