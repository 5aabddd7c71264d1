//! The start-up checks: settings under which a promise would break. `serve` refuses on the first
//! that fails; `doctor` runs all of them and explains each. Every finding ends with its remedy.

use std::time::Duration;

use serde_json::Value;

use crate::broker;
use crate::client::{Call, Client};
use crate::config::{Config, NatsMode};
use crate::exit::{Exit, Failure};
use crate::say;

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

const CONFIGURATION: &str = "configuration";

/// Settings of parts that are not built, and addresses that are open without protection.
#[must_use]
pub fn settings(config: &Config) -> Finding {
    if let Some((key, it, instead)) = config.not_built().next() {
        let (origin, name) = (&it.origin, key.name);
        return unfit(
            say!(
                "{origin}: `{name}` is not built in this version",
                "{origin}: `{name}` belum dibuat di versi ini"
            ),
            say!("Remove it; use {instead}.", "Hapus; pakai {instead}."),
        );
    }
    if !config.http.behind_proxy && !config.http.trusted_proxies.is_empty() {
        return unfit(
            say!(
                "http.trusted_proxies is set and http.behind_proxy is not",
                "http.trusted_proxies diisi tetapi http.behind_proxy tidak"
            ),
            say!(
                "Set http.behind_proxy = true, or remove http.trusted_proxies.",
                "Isi http.behind_proxy = true, atau hapus http.trusted_proxies."
            ),
        );
    }
    if !config.http.addr.ip().is_loopback() && !config.http.behind_proxy {
        let addr = config.http.addr;
        return unfit(
            say!(
                "http.addr {addr} is open and there is no TLS in front",
                "http.addr {addr} terbuka dan tidak ada TLS di depannya"
            ),
            say!(
                "Put a proxy with TLS in front and set http.behind_proxy = true, or listen on 127.0.0.1.",
                "Pasang proksi dengan TLS di depannya dan isi http.behind_proxy = true, atau dengarkan di 127.0.0.1."
            ),
        );
    }
    let roles = config.roles.join(",");
    let led = ["project", "react", "deliver"].map(|it| config.has_role(it));
    if led.contains(&true) && led.contains(&false) {
        return unfit(
            say!(
                "roles = {roles}: project, react and deliver are led together",
                "roles = {roles}: project, react dan deliver dipimpin bersama"
            ),
            say!(
                "Give a process all three of them, or none.",
                "Beri satu proses ketiganya, atau tidak satu pun."
            ),
        );
    }
    let is_shared = matches!(config.database.place, store::db::Place::Server(_));
    if is_shared && config.nats.mode == NatsMode::Managed && led.contains(&false) {
        return unfit(
            say!(
                "roles = {roles}: a nats-server of this process would get no facts, which leave from the instance that leads",
                "roles = {roles}: nats-server proses ini tidak mendapat fakta, karena fakta keluar dari proses yang memimpin"
            ),
            say!(
                "Set nats.url to one broker for all instances; or nats.mode = off, for HTTP only.",
                "Isi nats.url dengan satu broker untuk semua proses; atau nats.mode = off, hanya HTTP."
            ),
        );
    }
    Finding::fine(CONFIGURATION, say!("valid", "sah"))
}

fn unfit(found: String, remedy: String) -> Finding {
    Finding::bad(CONFIGURATION, Verdict::Refused, found, remedy)
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
        Ok(_) => Finding::fine("jetstream", say!("on", "aktif")),
        Err(error) => Finding::bad(
            "jetstream",
            Verdict::Refused,
            say!("JetStream does not answer: {error}", "JetStream tidak menjawab: {error}"),
            say!(
                "Switch JetStream on in the server's configuration, and allow it to this account.",
                "Aktifkan JetStream di konfigurasi server, dan izinkan untuk akun ini."
            ),
        ),
    });
    findings.push(durability(config, nats.monitor_url.as_deref()).await);
    match super::pipes::streams(config, (&context, &context), false).await {
        Ok(told) if told.is_empty() => {
            findings.push(Finding::fine("streams", say!("as wanted", "sesuai")));
        }
        Ok(told) => findings.extend(told.iter().map(super::pipes::finding)),
        Err(it) => findings.push(Finding::bad("streams", Verdict::Refused, it.what, it.remedy)),
    }
    findings
}

/// The program of a managed server.
fn program(config: &Config) -> Finding {
    use crate::servers::nats::{Search, locate};
    if config.nats.mode == NatsMode::Off {
        return Finding::fine("nats", say!("off", "nonaktif"));
    }
    let configured = config.nats.server_bin.clone();
    match locate(&Search { configured, fetch: false, quiet: true }) {
        Ok(path) => Finding::fine("nats-server", path.display().to_string()),
        Err(_) if config.nats.fetch => Finding::fine(
            "nats-server",
            say!("will be fetched at the start", "akan diunduh saat mulai"),
        ),
        Err(error) => Finding::bad("nats-server", Verdict::Refused, error.to_string(), ""),
    }
}

/// Whether the broker writes to disk before it acknowledges. Several copies make up for it.
pub async fn durability(config: &Config, monitor_url: Option<&str>) -> Finding {
    const CHECK: &str = "nats durability";
    let remedy = say!(
        "Set sync_interval: always, or accept it with nats.accept_lazy_sync = true.",
        "Isi sync_interval: always, atau terima dengan nats.accept_lazy_sync = true."
    );
    let replicas = config.nats.replicas;
    if 1 < replicas {
        return Finding::fine(CHECK, say!("{replicas} replicas", "{replicas} salinan"));
    }
    let Some(url) = monitor_url else {
        let found = say!(
            "it is not known whether nats-server writes to disk at once",
            "tidak diketahui apakah nats-server langsung menulis ke disk"
        );
        let remedy = say!(
            "Set nats.monitor_url to its monitoring port (8222).",
            "Isi nats.monitor_url dengan port pemantauannya (8222)."
        );
        return Finding::bad(CHECK, Verdict::Warning, found, remedy);
    };
    match sync_always(url).await {
        Some(true) => {
            let found = say!("every write reaches the disk", "setiap tulisan sampai ke disk");
            Finding::fine(CHECK, found)
        }
        Some(false) if config.nats.accept_lazy_sync => {
            let found = say!(
                "writes reach the disk late, as accepted",
                "tulisan terlambat sampai ke disk, seperti yang diterima"
            );
            Finding::bad(CHECK, Verdict::Warning, found, remedy)
        }
        Some(false) => Finding::bad(
            CHECK,
            Verdict::Refused,
            say!(
                "nats-server acknowledges before it writes to disk, and there is one replica",
                "nats-server mengakui sebelum menulis ke disk, dan hanya ada satu salinan"
            ),
            remedy,
        ),
        None => Finding::bad(
            CHECK,
            Verdict::Warning,
            say!(
                "{url} does not say how nats-server writes",
                "{url} tidak mengatakan bagaimana nats-server menulis"
            ),
            say!("Check nats.monitor_url.", "Periksa nats.monitor_url."),
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
