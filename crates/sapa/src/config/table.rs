//! The table of keys: every name, what it takes, its default and what it is for. It is the only
//! list; loading, `config show`, `config schema` and `config init` read it.

use super::value::Sort;
use super::value::Sort::{Bytes, Count, Duration, Flag, OneOf, Path, Scopes, Text, Texts, Words};

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its dotted name.
    pub name: &'static str,
    /// What it takes.
    pub sort: Sort,
    /// Its default as text; empty: none.
    pub default: &'static str,
    /// The default of `sapa demo`, where it differs.
    pub demo: Option<&'static str>,
    /// Shown as `***`, and readable from a file named by `…_FILE`.
    pub secret: bool,
    /// Not built in this version: setting it is refused, with what to use instead.
    pub later: Option<&'static str>,
    /// What it is for.
    pub meaning: &'static str,
}

impl Key {
    /// Its name in the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("SAPA_{}", self.name.to_ascii_uppercase().replace('.', "__"))
    }
}

const fn key(name: &'static str, sort: Sort, default: &'static str, meaning: &'static str) -> Key {
    Key { name, sort, default, demo: None, secret: false, later: None, meaning }
}

const fn secret(name: &'static str, meaning: &'static str) -> Key {
    Key { secret: true, ..key(name, Text, "", meaning) }
}

/// A key of a part that is not built, and what to use instead.
const fn later(
    name: &'static str,
    sort: Sort,
    meaning: &'static str,
    instead: &'static str,
) -> Key {
    Key { later: Some(instead), ..key(name, sort, "", meaning) }
}

const OWN_LOGIN: &str = "nats.url with nats.creds, nats.nkey, nats.user or nats.token";
const PROXY: &str = "a proxy that ends TLS, with http.behind_proxy = true";
const ALERTS: &str = "alerts on NATS (sapa.v1.<tenant>.alert.>) or GET /v1/stream";

const fn in_demo(it: Key, demo: &'static str) -> Key {
    Key { demo: Some(demo), ..it }
}

/// What a process may do.
const ROLES: &[&str] = &["all", "ingest", "project", "react", "deliver", "api"];
/// The agents' set, and appending facts: on NATS the permission to publish a subject is the grant.
const AGENT: &str = "events:append,timeline:read,pii:read,events:read,interaction:write,customer:write,\
                     booking:write,promise:write,alert:ack";
const MANY: u64 = 1_000_000;

/// Every key, in the order of the documentation.
pub const KEYS: &[Key] = &[
    in_demo(
        key("data_dir", Path, "./sapa-data", "databases, managed NATS, keys; mode 0700"),
        "./sapa-data/demo",
    ),
    key("tenant", Text, "main", "the tenant when a request does not say"),
    key("lang", OneOf(&["en", "id"]), "en", "the language when a request does not say"),
    key("time_zone", Text, "Asia/Jakarta", "the zone when a request does not say"),
    key("roles", Words(ROLES), "all", "what this process does"),
    secret("database.url", "sqlite:<folder>/log.db (default: in data_dir) or postgres://…"),
    key("database.pool_max", Count(1, 1_000), "8", "connections for reading"),
    key("database.acquire_timeout", Duration, "2s", "how long a question waits for a connection"),
    key(
        "database.statement_timeout",
        Duration,
        "5s",
        "how long a statement may run; on SQLite how long it waits for a lock",
    ),
    key(
        "nats.mode",
        OneOf(&["auto", "external", "managed", "off"]),
        "auto",
        "external when a URL is known, otherwise managed; off: no NATS",
    ),
    key("nats.url", Text, "", "the server, such as nats://host:4222; several with commas"),
    later("nats.context", Text, "a context of the nats command line", OWN_LOGIN),
    key("nats.creds", Path, "", "a file of credentials, for all connections"),
    key("nats.nkey", Path, "", "a file with the seed of an nkey"),
    key("nats.user", Text, "", "a user"),
    secret("nats.password", "the user's password"),
    secret("nats.token", "a token"),
    key("nats.tls_ca", Path, "", "certificates to trust"),
    key("nats.monitor_url", Text, "", "where the server says how it is configured"),
    key("nats.accept_lazy_sync", Flag, "false", "accept a server that writes to disk late"),
    key("nats.replicas", Count(1, 5), "1", "copies of each stream"),
    key("nats.max_age", Duration, "7d", "how long SAPA_OUT keeps"),
    key("nats.in_max_bytes", Bytes, "8GiB", "size of SAPA_IN"),
    key("nats.out_max_bytes", Bytes, "16GiB", "size of SAPA_OUT"),
    key("nats.ack_wait", Duration, "10s", "how long the server waits for an acknowledgement"),
    key("nats.server_bin", Path, "", "the program of a managed server"),
    key("nats.managed_port", Count(1, 65_535), "4272", "the port of a managed server"),
    in_demo(key("nats.fetch", Flag, "false", "fetch a missing nats-server once"), "true"),
    key("nats.reply_prefixes", Texts, "_R_.,_INBOX.,_INBOX_", "what a reply subject begins with"),
    key("nats.require_token", Flag, "false", "requests over NATS need a key"),
    key("nats.default_scopes", Scopes, AGENT, "scopes of a request without a key"),
    key("nats.required_ready", Flag, "false", "not ready while NATS is away"),
    key("nats.ingest.creds", Path, "", "credentials of the recording connection"),
    key("nats.relay.creds", Path, "", "credentials of the publishing connection"),
    key("nats.api.creds", Path, "", "credentials of the answering connection"),
    key("nats.setup.creds", Path, "", "credentials of `sapa setup`"),
    key(
        "events.unknown_fields",
        OneOf(&["keep", "refuse"]),
        "keep",
        "members that a schema does not know",
    ),
    key("quarantine.max_age", Duration, "", "an end for kept bytes; none: until released"),
    key("writer.queue", Count(1, MANY), "4096", "append requests that may wait"),
    key("writer.batch", Count(1, 512), "512", "events of one commit"),
    key("http.addr", Text, "127.0.0.1:7272", "where to listen"),
    key("http.public_url", Text, "", "how the outside calls us"),
    key("http.allowed_hosts", Texts, "", "host names answered; none: addr, localhost, public_url"),
    later("http.tls_cert", Path, "a certificate", PROXY),
    later("http.tls_key", Path, "its key", PROXY),
    key("http.behind_proxy", Flag, "false", "a proxy in front ends TLS"),
    key(
        "http.trusted_proxies",
        Texts,
        "",
        "addresses or networks that may connect when a proxy ends TLS; none: any",
    ),
    key("http.max_connections", Count(1, MANY), "4096", "connections at once"),
    key("http.request_timeout", Duration, "30s", "how long a request may take"),
    key("http.rate_per_key", Count(0, MANY), "0", "requests a second per key; 0: no limit"),
    in_demo(
        key("auth.mode", OneOf(&["keys", "local"]), "keys", "local: one admin key, loopback only"),
        "local",
    ),
    key("metrics.open", Flag, "", "/metrics for everybody; none: on loopback only"),
    key("metrics.tenant_label", Flag, "false", "the label tenant on some metrics"),
    key("projections.batch", Count(1, 10_000), "8000", "events of one transaction at most"),
    key("projections.max_lag_ready", Duration, "10s", "further behind than this is not ready"),
    key("projections.keep_old", Duration, "7d", "how long the build before the live one is kept"),
    key("reactions.tick", Duration, "1s", "how often due times are looked at"),
    key("reactions.batch", Count(1, 10_000), "500", "customers decided about at once"),
    key("delivery.batch", Count(1, 500), "500", "events of one page of the relay"),
    later("webhooks.allow_private", Flag, "addresses inside may be called", ALERTS),
    later("webhooks.max_per_tenant", Count(0, 1_000), "webhooks of one tenant", ALERTS),
    later("alertmanager.urls", Texts, "where alerts are posted", ALERTS),
    later("alertmanager.resend", Duration, "how often they are posted again", ALERTS),
    key("shutdown.grace", Duration, "10s", "how long a stop may take"),
    key("log.level", Text, "info", "a level, or directives such as info,store=debug"),
    key(
        "log.format",
        OneOf(&["auto", "text", "json"]),
        "auto",
        "text on a terminal, otherwise JSON",
    ),
];

/// Variables of others that count when ours is not set.
pub const FOREIGN: &[(&str, &str)] = &[
    ("DATABASE_URL", "database.url"),
    ("NATS_URL", "nats.url"),
    ("NATS_CREDS", "nats.creds"),
    ("NATS_NKEY", "nats.nkey"),
    ("NATS_USER", "nats.user"),
    ("NATS_PASSWORD", "nats.password"),
    ("NATS_CONTEXT", "nats.context"),
    ("RUST_LOG", "log.level"),
];

/// The key of a name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|it| it.name == name)
}
