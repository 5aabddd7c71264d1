//! The configuration: one typed value made from five layers, each value with where it came from.
//! Flags come first, then the environment, `./sapa.toml` (or `--config`), the user's
//! `sapa/config.toml`, and the defaults of the table. What is not in the table stops the start,
//! with the nearest name that is; so does a value that breaks its rule. Nothing here looks at
//! the machine except through [`Surroundings`].

mod file;
mod layers;
mod table;
mod value;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use api::http::proxy::Network;
use events::id::{Slug, Tenant};
use events::problem::Language;
use jiff::tz::TimeZone;
use store::Connections;
use store::db::Place;

pub use layers::{Origin, Resolved, Surroundings};
pub use table::{FOREIGN, KEYS, Key};
pub use value::{Setting, Sort, duration};

use crate::say;
use layers::Values;

/// A fault in the configuration, with its place, its rule and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}; {remedy}")]
pub struct ConfigError {
    /// Where it stands: a flag, a variable, a file with line and column.
    pub place: String,
    /// What is wrong.
    pub fault: String,
    /// What would be right.
    pub remedy: String,
}

impl From<ConfigError> for crate::exit::Failure {
    fn from(error: ConfigError) -> Self {
        let remedy = capital(&error.remedy);
        Self::config(
            format!("{}: {}", error.place, error.fault),
            say!(
                "{remedy}. `sapa config schema` lists every key.",
                "{remedy}. `sapa config schema` memuat semua kunci."
            ),
        )
    }
}

/// A sentence with a capital in front.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|it| it.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Whose defaults count: `sapa demo` has its own folder, may fetch a server and asks no questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// `sapa serve` and everything beside it.
    #[default]
    Service,
    /// A command that asks a server: it speaks the language of the terminal.
    CommandLine,
    /// `sapa demo`.
    Demo,
}

/// Everything a person may set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Databases, managed NATS, keys.
    pub data_dir: PathBuf,
    /// The tenant when a request does not say.
    pub tenant: Tenant,
    /// The language when a request does not say.
    pub lang: Language,
    /// The zone when a request does not say.
    pub time_zone: String,
    /// Where the log lives.
    pub database: Database,
    /// The broker.
    pub nats: Nats,
    /// What happens to members a schema does not know.
    pub refuse_unknown_fields: bool,
    /// An end for the kept bytes of refused messages; none: until released or discarded.
    pub quarantine_max_age: Option<Duration>,
    /// Append requests that may wait.
    pub writer_queue: usize,
    /// Events of one commit.
    pub writer_batch: usize,
    /// The listener.
    pub http: Http,
    /// How callers prove who they are: `keys` or `local`.
    pub auth_mode: AuthMode,
    /// `/metrics` for everybody; none: on loopback only.
    pub metrics_open: Option<bool>,
    /// The label `tenant` on some metrics.
    pub metrics_tenant_label: bool,
    /// Read models.
    pub projections: Projections,
    /// How often due times are looked at.
    pub reactions_tick: Duration,
    /// Reactions of one page.
    pub reactions_batch: usize,
    /// Events of one page of the relay.
    pub delivery_batch: usize,
    /// How long a stop may take.
    pub shutdown_grace: Duration,
    /// A level, or directives such as `info,store=debug`.
    pub log_level: String,
    /// `auto`, `text` or `json`.
    pub log_format: String,
    /// What this process does.
    pub roles: Vec<String>,
    values: Values,
}

/// `database.*`
#[derive(Clone, Debug)]
pub struct Database {
    /// A folder or a server.
    pub place: Place,
    /// Connections for reading.
    pub pool_max: u32,
    /// How long a question waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a statement may run.
    pub statement_timeout: Duration,
}

impl Database {
    /// As a process that answers uses it.
    #[must_use]
    pub const fn connections(&self) -> Connections {
        Connections {
            reads_max: self.pool_max,
            acquire_timeout: self.acquire_timeout,
            statement_timeout: self.statement_timeout,
        }
    }
}

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatsMode {
    /// One that somebody else runs.
    External,
    /// One that this process starts.
    Managed,
    /// None: HTTP only.
    Off,
}

/// `nats.*`
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "settings that are yes or no")]
pub struct Nats {
    /// Which broker, `auto` decided.
    pub mode: NatsMode,
    /// Where the broker is.
    pub url: Option<String>,
    /// How to sign in, for all connections.
    pub login: Login,
    /// Credentials of one connection only: `ingest`, `relay`, `api`, `setup`.
    pub creds_of: Vec<(&'static str, PathBuf)>,
    /// Where the broker says how it is configured.
    pub monitor_url: Option<String>,
    /// A broker that writes to disk late is accepted.
    pub accept_lazy_sync: bool,
    /// Copies of each stream.
    pub replicas: u32,
    /// How long `SAPA_OUT` keeps.
    pub max_age: Duration,
    /// Bytes of `SAPA_IN`.
    pub in_max_bytes: u64,
    /// Bytes of `SAPA_OUT`.
    pub out_max_bytes: u64,
    /// How long the broker waits for an acknowledgement.
    pub ack_wait: Duration,
    /// The program of a managed server.
    pub server_bin: Option<PathBuf>,
    /// The port of a managed server.
    pub managed_port: u16,
    /// A missing program is fetched.
    pub fetch: bool,
    /// What a reply subject may begin with.
    pub reply_prefixes: Vec<String>,
    /// Requests need a key.
    pub require_token: bool,
    /// Scopes of a request without a key.
    pub default_scopes: Vec<String>,
    /// Not ready while the broker is away.
    pub required_ready: bool,
}

/// How a connection signs in.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// A file of credentials.
    pub creds: Option<PathBuf>,
    /// A file with the seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// A user,
    pub user: Option<String>,
    /// and the password.
    pub password: Option<String>,
    /// A token.
    pub token: Option<String>,
    /// Certificates to trust.
    pub tls_ca: Option<PathBuf>,
}

/// `http.*`
#[derive(Clone, Debug)]
pub struct Http {
    /// Where to listen.
    pub addr: std::net::SocketAddr,
    /// How the outside calls us.
    pub public_url: Option<String>,
    /// Host names that are answered.
    pub allowed_hosts: Vec<String>,
    /// A proxy in front ends TLS.
    pub behind_proxy: bool,
    /// Who may connect where a proxy ends TLS; none: anybody.
    pub trusted_proxies: Vec<Network>,
    /// Connections at once.
    pub max_connections: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Requests a second per key; 0: no limit.
    pub rate_per_key: u32,
}

/// How callers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Keys of the database.
    Keys,
    /// One admin key, loopback only.
    Local,
}

/// `projections.*`
#[derive(Clone, Debug)]
pub struct Projections {
    /// Events of one transaction.
    pub batch: usize,
    /// A read model further behind than this makes us not ready.
    pub max_lag_ready: Duration,
    /// How long the build before the live one is kept.
    pub keep_old: Duration,
}

impl Config {
    /// Reads all layers.
    pub fn load(from: &Surroundings, profile: Profile) -> Result<Self, ConfigError> {
        Self::from_values(layers::resolve(from, profile)?)
    }

    /// Every key of the table with its value and where that came from.
    pub fn values(&self) -> impl Iterator<Item = (&'static Key, &Resolved)> {
        KEYS.iter().filter_map(|key| self.values.of(key.name).map(|it| (key, it)))
    }

    /// Where the value of a key came from.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.values.of(name).map(|it| &it.origin)
    }

    fn from_values(values: Values) -> Result<Self, ConfigError> {
        let data_dir = PathBuf::from(values.text("data_dir").unwrap_or_default());
        let zone = values.text("time_zone").unwrap_or_default();
        TimeZone::get(&zone).map_err(|_| {
            values.wrong(
                "time_zone",
                say!("is not a zone of the tz database", "bukan zona dari basis data tz"),
                say!("write one such as Asia/Jakarta", "tulis misalnya Asia/Jakarta"),
            )
        })?;
        let lang = values.text("lang").unwrap_or_default();
        Ok(Self {
            tenant: values.parsed(
                "tenant",
                say!("write 1 to 32 of a-z 0-9 _ -", "tulis 1 sampai 32 dari a-z 0-9 _ -"),
            )?,
            lang: Language::first_of(&lang).unwrap_or_default(),
            time_zone: zone,
            database: database(&values, &data_dir)?,
            nats: nats(&values)?,
            refuse_unknown_fields: values.text("events.unknown_fields").as_deref()
                == Some("refuse"),
            quarantine_max_age: values.optional_duration("quarantine.max_age"),
            writer_queue: values.size("writer.queue"),
            writer_batch: values.size("writer.batch"),
            http: http(&values)?,
            auth_mode: auth_mode(&values)?,
            metrics_open: values.optional_flag("metrics.open"),
            metrics_tenant_label: values.flag("metrics.tenant_label"),
            projections: Projections {
                batch: values.size("projections.batch"),
                max_lag_ready: values.duration("projections.max_lag_ready"),
                keep_old: values.duration("projections.keep_old"),
            },
            reactions_tick: values.duration("reactions.tick"),
            reactions_batch: values.size("reactions.batch"),
            delivery_batch: values.size("delivery.batch"),
            shutdown_grace: values.duration("shutdown.grace"),
            log_level: values.text("log.level").unwrap_or_default(),
            log_format: values.text("log.format").unwrap_or_default(),
            roles: values.list("roles"),
            data_dir,
            values,
        })
    }

    /// Whether this process has a role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|it| it == "all" || it == role)
    }

    /// Keys that are set and belong to a part that is not built, with what to use instead.
    pub fn not_built(&self) -> impl Iterator<Item = (&'static Key, &Resolved, &'static str)> {
        let set = self.values().filter(|(_, it)| it.origin != Origin::Default);
        set.filter_map(|(key, it)| Some((key, it, key.later?)))
    }
}

fn database(values: &Values, data_dir: &std::path::Path) -> Result<Database, ConfigError> {
    let place = match values.text("database.url") {
        None => Place::Folder(data_dir.to_owned()),
        Some(url) => Place::parse(&url).ok_or_else(|| {
            let remedy = say!(
                "write sqlite:<folder>/log.db or postgres://user@host/database",
                "tulis sqlite:<folder>/log.db atau postgres://pengguna@host/basisdata"
            );
            let fault = say!("is not the address of a database", "bukan alamat basis data");
            values.wrong("database.url", fault, remedy)
        })?,
    };
    let is_other_file = |url: String| url.starts_with("sqlite:") && !url.ends_with("/log.db");
    if values.text("database.url").is_some_and(is_other_file) {
        let remedy = say!("end the path with /log.db", "akhiri jalurnya dengan /log.db");
        let fault = say!("names another file than log.db", "menyebut berkas lain, bukan log.db");
        return Err(values.wrong("database.url", fault, remedy));
    }
    Ok(Database {
        place,
        pool_max: u32::try_from(values.count("database.pool_max")).unwrap_or(u32::MAX),
        acquire_timeout: values.duration("database.acquire_timeout"),
        statement_timeout: values.duration("database.statement_timeout"),
    })
}

fn nats(values: &Values) -> Result<Nats, ConfigError> {
    let url = values.text("nats.url");
    let mode = match (values.text("nats.mode").as_deref(), &url) {
        (Some("off"), _) => NatsMode::Off,
        (Some("managed"), _) | (Some("auto"), None) => NatsMode::Managed,
        (Some("external"), None) => {
            let remedy = say!(
                "set nats.url (or NATS_URL) to the server",
                "isi nats.url (atau NATS_URL) dengan alamat servernya"
            );
            let fault = say!(
                "is external and there is no nats.url",
                "bernilai external dan nats.url kosong"
            );
            return Err(values.wrong("nats.mode", fault, remedy));
        }
        _ => NatsMode::External,
    };
    let of = |name: &'static str| values.path(name);
    let creds = ["ingest", "relay", "api", "setup"].into_iter();
    Ok(Nats {
        mode,
        url,
        login: Login {
            creds: of("nats.creds"),
            nkey: of("nats.nkey"),
            user: values.text("nats.user"),
            password: values.text("nats.password"),
            token: values.text("nats.token"),
            tls_ca: of("nats.tls_ca"),
        },
        creds_of: creds
            .filter_map(|it| values.path(&format!("nats.{it}.creds")).map(|path| (it, path)))
            .collect(),
        monitor_url: values.text("nats.monitor_url"),
        accept_lazy_sync: values.flag("nats.accept_lazy_sync"),
        replicas: u32::try_from(values.count("nats.replicas")).unwrap_or(1),
        max_age: values.duration("nats.max_age"),
        in_max_bytes: values.count("nats.in_max_bytes"),
        out_max_bytes: values.count("nats.out_max_bytes"),
        ack_wait: values.duration("nats.ack_wait"),
        server_bin: of("nats.server_bin"),
        managed_port: u16::try_from(values.count("nats.managed_port")).unwrap_or(4272),
        fetch: values.flag("nats.fetch"),
        reply_prefixes: values.list("nats.reply_prefixes"),
        require_token: values.flag("nats.require_token"),
        default_scopes: values.list("nats.default_scopes"),
        required_ready: values.flag("nats.required_ready"),
    })
}

fn http(values: &Values) -> Result<Http, ConfigError> {
    let remedy = say!(
        "write an address and a port, such as 127.0.0.1:7272",
        "tulis alamat dan port, misalnya 127.0.0.1:7272"
    );
    let addr: std::net::SocketAddr = values.parsed("http.addr", remedy)?;
    let public_url = values.text("http.public_url");
    let mut allowed_hosts = values.list("http.allowed_hosts");
    if allowed_hosts.is_empty() {
        allowed_hosts = vec![addr.ip().to_string(), "localhost".to_owned()];
        if addr.ip().is_unspecified() {
            // It is asked on this machine too, by `sapa health` for instance.
            allowed_hosts.extend(["127.0.0.1", "[::1]"].map(str::to_owned));
        }
        allowed_hosts.extend(public_url.as_deref().and_then(host_of).map(str::to_owned));
    }
    Ok(Http {
        addr,
        public_url,
        allowed_hosts,
        behind_proxy: values.flag("http.behind_proxy"),
        trusted_proxies: proxies(values)?,
        max_connections: values.size("http.max_connections"),
        request_timeout: values.duration("http.request_timeout"),
        rate_per_key: u32::try_from(values.count("http.rate_per_key")).unwrap_or(u32::MAX),
    })
}

/// The proxies by address or network.
fn proxies(values: &Values) -> Result<Vec<Network>, ConfigError> {
    let read = |it: String| {
        it.parse().map_err(|()| {
            let remedy = "write addresses or networks, such as 10.0.0.5 or 10.0.0.0/24";
            values.wrong("http.trusted_proxies", format!("`{it}` is no address"), remedy)
        })
    };
    values.list("http.trusted_proxies").into_iter().map(read).collect()
}

fn auth_mode(values: &Values) -> Result<AuthMode, ConfigError> {
    match values.text("auth.mode").as_deref() {
        Some("local") => {
            let addr: Option<std::net::SocketAddr> =
                values.text("http.addr").and_then(|it| it.parse().ok());
            if addr.is_some_and(|it| !it.ip().is_loopback()) {
                let remedy = say!(
                    "set auth.mode = \"keys\", or listen on 127.0.0.1",
                    "isi auth.mode = \"keys\", atau dengarkan di 127.0.0.1"
                );
                let fault =
                    say!("is local on an open address", "bernilai local pada alamat terbuka");
                return Err(values.wrong("auth.mode", fault, remedy));
            }
            Ok(AuthMode::Local)
        }
        _ => Ok(AuthMode::Keys),
    }
}

/// The host of a URL, without port.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().filter(|it| !it.is_empty())
}

/// Whether a word is a name of the small sort: for roles and scopes in lists.
fn is_word(text: &str) -> bool {
    text.parse::<Slug>().is_ok() || text.split(':').all(|it| it.parse::<Slug>().is_ok())
}
