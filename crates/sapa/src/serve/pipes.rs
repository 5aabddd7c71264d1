//! The connections to the broker of one process, and what has to be true of the broker before it
//! is used: its version, JetStream, how it writes, and both streams as promises need them. On a server
//! of our own the streams are made and repaired; on any other a difference is for a person.

use std::time::Duration;

use async_nats::{Client, jetstream};
use events::broker_config::Difference;
use serde_json::Value;

use super::checks::{self, Finding, Verdict};
use super::nats::Broker;
use crate::broker::{check_version, connect};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::say;

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
        Ok(Ok(client)) => match fit(config, broker, client).await {
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

/// Refuses a broker under which a promise would break. `client` is the recording connection; the
/// publishing one looks at the stream it publishes to, which the other may not be allowed to.
pub async fn fit(config: &Config, broker: &Broker, client: Client) -> Result<(), Failure> {
    check_version(&client)?;
    if !broker.is_ours() {
        // Our own is started with what this asks for.
        let found = checks::durability(config, broker.monitor_url.as_deref()).await.refuse()?;
        if found.verdict == Verdict::Warning {
            tracing::warn!(found = %found.found, remedy = %found.remedy, "nats durability");
        }
    }
    let (url, token) = (broker.url.as_str(), broker.token.as_deref());
    let relay = connect(&config.nats, "relay", url, token, false).await?;
    let both = (jetstream::new(client), jetstream::new(relay));
    let told = streams(config, (&both.0, &both.1), broker.is_ours()).await?;
    for it in told.iter().filter(|it| !it.matters) {
        tracing::info!(difference = %spelled(it), "left alone");
    }
    match told.iter().find(|it| it.matters && !broker.is_ours()) {
        Some(it) => finding(it).refuse().map(drop),
        None => Ok(()),
    }
}

/// Looks at both streams and our consumer, and repairs what matters if asked to. Tells each difference
/// as it was before. The connections are those that record and publish.
pub async fn streams(
    config: &Config,
    (incoming, outgoing): (&jetstream::Context, &jetstream::Context),
    repair: bool,
) -> Result<Vec<Difference>, Failure> {
    let nats = &config.nats;
    let limits = in_limits(config);
    let replicas = limits.replicas;
    let mode = if repair { ingest::stream::Mode::Repair } else { ingest::stream::Mode::VerifyOnly };
    let mut told = ingest::stream::create_or_verify(incoming, &limits, mode)
        .await
        .map_err(|error| broken(&error, error.is_away()))?;
    let limits = delivery::stream::Limits {
        replicas,
        max_age: nats.max_age,
        out_max_bytes: nats.out_max_bytes,
    };
    let mode =
        if repair { delivery::stream::Mode::Repair } else { delivery::stream::Mode::VerifyOnly };
    let out = delivery::stream::create_or_verify(outgoing, &limits, mode)
        .await
        .map_err(|error| broken(&error, error.is_away()))?;
    told.extend(out);
    Ok(told)
}

/// What the configuration says about `SAPA_IN`.
#[must_use]
pub fn in_limits(config: &Config) -> ingest::stream::Limits {
    let nats = &config.nats;
    ingest::stream::Limits {
        replicas: u8::try_from(nats.replicas).unwrap_or(1),
        max_age: nats.max_age,
        in_max_bytes: nats.in_max_bytes,
        ack_wait: nats.ack_wait,
    }
}

/// The streams could not be looked at; the message ends with what to do.
pub fn broken(error: &dyn std::fmt::Display, is_away: bool) -> Failure {
    let exit = if is_away { Exit::Unavailable } else { Exit::Config };
    Failure::new(exit, error.to_string(), "")
}

/// A difference as a check tells it.
#[must_use]
pub fn finding(it: &Difference) -> Finding {
    if it.matters {
        let remedy = say!("Run `sapa setup`.", "Jalankan `sapa setup`.");
        return Finding::bad("streams", Verdict::Refused, spelled(it), remedy);
    }
    let what = spelled(it);
    Finding::fine("streams", say!("{what} (left alone)", "{what} (dibiarkan)"))
}

/// A difference in words.
#[must_use]
pub fn spelled(it: &Difference) -> String {
    let Difference { object, field, wanted, found, .. } = it;
    match (field.as_str(), wanted, found) {
        ("exists", ..) => say!("{object} does not exist", "{object} tidak ada"),
        (_, Value::Null, found) => say!(
            "{object}: `{field}` is {found} and should not be set",
            "{object}: `{field}` bernilai {found}, seharusnya tidak diatur"
        ),
        (_, wanted, Value::Null) => say!(
            "{object}: `{field}` is not set and should be {wanted}",
            "{object}: `{field}` tidak diatur, seharusnya {wanted}"
        ),
        (_, wanted, found) => say!(
            "{object}: `{field}` is {found} and should be {wanted}",
            "{object}: `{field}` bernilai {found}, seharusnya {wanted}"
        ),
    }
}
