//! The start-up checks: settings under which a promise would break. `serve` refuses on the first
//! that fails; `doctor` runs all of them and explains each. Every finding ends with its remedy.

use std::time::Duration;

use serde_json::Value;

use crate::broker;
use crate::client::{Call, Client};
use crate::config::{Config, NatsMode};
use crate::exit::{Exit, Failure};

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Not known, or not as wished; it does not keep the service from starting.
    Warning,
    /// The service refuses to start.
    Refused,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing to do.
    pub remedy: String,
}

impl Finding {
    /// Nothing to do.
    #[must_use]
    pub fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fine, found: found.into(), remedy: String::new() }
    }

    /// Something to do.
    #[must_use]
    pub fn bad(
        check: &'static str,
        verdict: Verdict,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { check, verdict, found: found.into(), remedy: remedy.into() }
    }

    /// The failure that keeps a service from starting, if this is one.
    pub fn refuse(self) -> Result<Self, Failure> {
        match self.verdict {
            Verdict::Refused => Err(Failure::config(self.found, self.remedy)),
            _ => Ok(self),
        }
    }
}

/// Settings of parts that are not built, and addresses that are open without protection.
#[must_use]
pub fn settings(config: &Config) -> Finding {
    if let Some((key, it, instead)) = config.not_built().next() {
        return Finding::bad(
            "configuration",
            Verdict::Refused,
            format!("{}: `{}` is not built in this version", it.origin, key.name),
            format!("Remove it; use {instead}."),
        );
    }
    if !config.http.behind_proxy && !config.http.trusted_proxies.is_empty() {
        return Finding::bad(
            "configuration",
            Verdict::Refused,
            "http.trusted_proxies is set and http.behind_proxy is not",
            "Set http.behind_proxy = true, or remove http.trusted_proxies.",
        );
    }
    if !config.http.addr.ip().is_loopback() && !config.http.behind_proxy {
        return Finding::bad(
            "configuration",
            Verdict::Refused,
            format!("http.addr {} is open and there is no TLS in front", config.http.addr),
            "Put a proxy with TLS in front and set http.behind_proxy = true, or listen on 127.0.0.1.",
        );
    }
    let led = ["project", "react", "deliver"].map(|it| config.has_role(it));
    if led.contains(&true) && led.contains(&false) {
        return Finding::bad(
            "configuration",
            Verdict::Refused,
            format!(
                "roles = {}: project, react and deliver are led together",
                config.roles.join(",")
            ),
            "Give a process all three of them, or none.",
        );
    }
    let is_shared = matches!(config.database.place, store::db::Place::Server(_));
    if is_shared && config.nats.mode == NatsMode::Managed && led.contains(&false) {
        return Finding::bad(
            "configuration",
            Verdict::Refused,
            format!(
                "roles = {}: a nats-server of this process would get no facts, which leave from the instance that leads",
                config.roles.join(",")
            ),
            "Set nats.url to one broker for all instances; or nats.mode = off, for HTTP only.",
        );
    }
    Finding::fine("configuration", "valid")
}

/// Everything about a broker that can be asked: version, JetStream, how it writes.
pub async fn nats(config: &Config) -> Vec<Finding> {
    let nats = &config.nats;
    let Some(url) = nats.url.as_ref().filter(|_| nats.mode == NatsMode::External) else {
        return vec![program(config)];
    };
    let client = match broker::connect(nats, "setup", url, None, false).await {
        Ok(client) => client,
        Err(failure) => {
            return vec![Finding::bad("nats", Verdict::Warning, failure.what, failure.remedy)];
        }
    };
    let mut findings = vec![match broker::check_version(&client) {
        Ok(version) => Finding::fine("nats version", version),
        Err(it) => Finding::bad("nats version", Verdict::Refused, it.what, it.remedy),
    }];
    let context = async_nats::jetstream::new(client);
    findings.push(match context.query_account().await {
        Ok(_) => Finding::fine("jetstream", "on"),
        Err(error) => Finding::bad(
            "jetstream",
            Verdict::Refused,
            format!("JetStream does not answer: {error}"),
            "Switch JetStream on in the server's configuration, and allow it to this account.",
        ),
    });
    findings.push(durability(config, nats.monitor_url.as_deref()).await);
    match super::pipes::streams(config, (&context, &context), false).await {
        Ok(told) if told.is_empty() => findings.push(Finding::fine("streams", "as wanted")),
        Ok(told) => findings.extend(told.iter().map(super::pipes::finding)),
        Err(it) => findings.push(Finding::bad("streams", Verdict::Refused, it.what, it.remedy)),
    }
    findings
}

/// The program of a managed server.
fn program(config: &Config) -> Finding {
    use crate::servers::nats::{Search, locate};
    if config.nats.mode == NatsMode::Off {
        return Finding::fine("nats", "off");
    }
    let configured = config.nats.server_bin.clone();
    match locate(&Search { configured, fetch: false, quiet: true }) {
        Ok(path) => Finding::fine("nats-server", path.display().to_string()),
        Err(_) if config.nats.fetch => Finding::fine("nats-server", "will be fetched at the start"),
        Err(error) => Finding::bad("nats-server", Verdict::Refused, error.to_string(), ""),
    }
}

/// Whether the broker writes to disk before it acknowledges. Several copies make up for it.
pub async fn durability(config: &Config, monitor_url: Option<&str>) -> Finding {
    const CHECK: &str = "nats durability";
    const REMEDY: &str =
        "Set sync_interval: always, or accept it with nats.accept_lazy_sync = true.";
    if 1 < config.nats.replicas {
        return Finding::fine(CHECK, format!("{} replicas", config.nats.replicas));
    }
    let Some(url) = monitor_url else {
        let found = "it is not known whether nats-server writes to disk at once";
        let remedy = "Set nats.monitor_url to its monitoring port (8222).";
        return Finding::bad(CHECK, Verdict::Warning, found, remedy);
    };
    match sync_always(url).await {
        Some(true) => Finding::fine(CHECK, "every write reaches the disk"),
        Some(false) if config.nats.accept_lazy_sync => {
            Finding::bad(CHECK, Verdict::Warning, "writes reach the disk late, as accepted", REMEDY)
        }
        Some(false) => Finding::bad(
            CHECK,
            Verdict::Refused,
            "nats-server acknowledges before it writes to disk, and there is one replica",
            REMEDY,
        ),
        None => Finding::bad(
            CHECK,
            Verdict::Warning,
            format!("{url} does not say how nats-server writes"),
            "Check nats.monitor_url.",
        ),
    }
}

async fn sync_always(url: &str) -> Option<bool> {
    let call = Call::get(&["jsz"]).with("config", Some(true));
    let asked = async { Client::new(url, Vec::new()).ok()?.call(&call).await.ok() };
    let answer = tokio::time::timeout(Duration::from_secs(3), asked).await.ok()??;
    let always = answer.json().pointer("/config/sync_always").and_then(Value::as_bool);
    // The server leaves out what is false.
    (answer.status == 200).then_some(always.unwrap_or(false))
}

/// The worst of all, as an exit code.
#[must_use]
pub fn exit(findings: &[Finding]) -> Exit {
    if findings.iter().any(|it| it.verdict == Verdict::Refused) { Exit::Config } else { Exit::Done }
}
