//! What every face shares: the log, the writer, the clock, the tenants, the settings.
//!
//! [`App`] is handed in by the binary and lives as long as the process. A [`Caller`] is what one
//! request proved and asked for besides its parameters; operations see nothing else of a face.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use events::id::{Actor, Ident, Source, Tenant};
use events::mint::Ids;
use events::policy::Policies;
use events::problem::{Code, Language, Problem};
use events::time::Clock;
use projections::Views;
use store::tenants::{self, Profile};
use store::{Appender, Bell, Db, Log, ReadError};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use crate::auth::Keys;
use crate::health::Health;
use crate::http::proxy::Network;
use crate::metrics::Metrics;
use crate::metrics::gauges::Gauges;
use crate::scope::{Scope, Scopes};
use crate::surroundings::Surroundings;

/// Live streams of one process.
pub const STREAMS_MAX: usize = 256;

/// What an operator may set about the faces.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the configuration")]
pub struct Settings {
    /// The tenant that the first start made: its admins are the admins of the server.
    pub home: Tenant,
    /// Names this server answers for, with or without port.
    pub allowed_hosts: Vec<String>,
    /// Where people reach it, without a slash at the end; empty if nobody said.
    pub public_url: String,
    /// Language of texts when neither request nor tenant says.
    pub language: Language,
    /// Over NATS: what a caller without a key may do.
    pub default_scopes: Scopes,
    /// Over NATS: a key is needed.
    pub require_token: bool,
    /// Over NATS: where an answer may go.
    pub reply_prefixes: Vec<String>,
    /// Members unknown to a schema are refused instead of kept.
    pub refuse_unknown_fields: bool,
    /// `/metrics` needs no key.
    pub metrics_open: bool,
    /// New keys are `sapa_live_…`; false in a demo.
    pub live_keys: bool,
    /// Connections at once.
    pub connections_max: usize,
    /// How long one answer may take.
    pub request_timeout: Duration,
    /// Requests a second of one key; 0 is without limit.
    pub rate_per_key: u32,
    /// Who may connect; none: anybody.
    pub proxies: Vec<Network>,
    /// How long open connections may take to end.
    pub grace: Duration,
    /// A read model that lags longer is not ready.
    pub lag_max: Duration,
    /// Version of the build.
    pub version: &'static str,
    /// Commit of the build.
    pub commit: &'static str,
    /// When it was built.
    pub built_at: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            home: "main".parse().expect("`main` is a tenant"),
            allowed_hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            public_url: String::new(),
            language: Language::En,
            default_scopes: Scopes::set("agent").unwrap_or_default(),
            require_token: false,
            reply_prefixes: ["_R_.", "_INBOX.", "_INBOX_"].map(str::to_owned).to_vec(),
            refuse_unknown_fields: false,
            metrics_open: true,
            live_keys: true,
            connections_max: 4_096,
            request_timeout: Duration::from_secs(30),
            rate_per_key: 0,
            proxies: Vec::new(),
            grace: Duration::from_secs(10),
            lag_max: Duration::from_secs(10),
            version: env!("CARGO_PKG_VERSION"),
            commit: "unknown",
            built_at: "unknown",
        }
    }
}

/// Everything the faces work with.
#[derive(Debug)]
pub struct App {
    /// The log, for reading.
    pub log: Log,
    /// The log's own identity; cursors are bound to it.
    pub log_id: String,
    /// The way into the log.
    pub appender: Appender,
    /// Rings when something was appended.
    pub bell: Bell,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// The read models.
    pub views: Views,
    /// Whose data there is.
    pub tenants: Arc<Tenants>,
    /// What keys prove.
    pub keys: Keys,
    /// What the operator set.
    pub settings: Settings,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether this process is up, and ready.
    pub health: Health,
    /// What the rest of the process tells.
    pub surroundings: Arc<dyn Surroundings>,
    /// What was counted in the read models last.
    pub(crate) gauges: Gauges,
    /// Where writes run that must outlive a dropped connection.
    pub tracker: TaskTracker,
    /// Places for live streams.
    pub streams: Arc<Semaphore>,
    /// When each key may ask again, in microseconds; see [`crate::http::rate`].
    pub(crate) rates: RwLock<BTreeMap<String, Arc<AtomicI64>>>,
}

/// What the binary hands in.
#[derive(Debug)]
pub struct Parts {
    /// The log.
    pub log: Log,
    /// The way into it.
    pub appender: Appender,
    /// Rings when something was appended.
    pub bell: Bell,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// The read models.
    pub views: Views,
    /// Whose data there is.
    pub tenants: Arc<Tenants>,
    /// What the operator set.
    pub settings: Settings,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the rest of the process tells.
    pub surroundings: Arc<dyn Surroundings>,
}

impl App {
    /// Puts the parts together; asks the log for its identity.
    pub async fn new(parts: Parts) -> Result<Arc<Self>, ReadError> {
        let (_, _, log_id) = parts.log.head_row().await?;
        let metrics = parts.metrics;
        parts.tenants.all().iter().for_each(|it| metrics.know_tenant(it.tenant.as_str()));
        Ok(Arc::new(Self {
            log: parts.log,
            log_id,
            appender: parts.appender,
            bell: parts.bell,
            clock: parts.clock,
            ids: parts.ids,
            views: parts.views,
            tenants: parts.tenants,
            keys: Keys::default(),
            settings: parts.settings,
            metrics,
            health: Health::default(),
            surroundings: parts.surroundings,
            gauges: Gauges::default(),
            tracker: TaskTracker::new(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            rates: RwLock::default(),
        }))
    }

    /// Whether a caller is an admin of the server and not only of a tenant on it: it proved, with a
    /// key, the scope `admin` in the server's own tenant.
    #[must_use]
    pub fn is_server_admin(&self, caller: &Caller) -> bool {
        caller.key_id.is_some()
            && caller.scopes.allow(Scope::Admin)
            && *caller.tenant() == self.settings.home
    }

    /// A tenant's policies in force now, as far as they are folded.
    pub async fn policies(&self, tenant: &Tenant) -> Result<Arc<Policies>, Box<Problem>> {
        let snapshot =
            self.views.snapshot().await.map_err(|error| crate::answer::unread(&error))?;
        Ok(snapshot.policies_of(tenant).in_force(self.clock.now()))
    }

    /// The database around the log: keys, quarantine, commands, tenants.
    #[must_use]
    pub fn db(&self) -> &Db {
        self.log.db()
    }
}

/// The tenants, as they were read last.
#[derive(Debug, Default)]
pub struct Tenants {
    known: RwLock<BTreeMap<Tenant, Arc<Profile>>>,
    /// Wakes whoever keeps a copy of them when one was added here.
    changed: Notify,
}

impl Tenants {
    /// Reads them.
    pub async fn load(db: &Db) -> Result<Self, ReadError> {
        let it = Self::default();
        it.refresh(db).await?;
        Ok(it)
    }

    /// Reads them again.
    pub async fn refresh(&self, db: &Db) -> Result<(), ReadError> {
        let all = tenants::list(db).await?;
        let all = all.into_iter().map(|it| (it.tenant.clone(), Arc::new(it))).collect();
        if let Ok(mut known) = self.known.write() {
            *known = all;
        }
        Ok(())
    }

    /// Reads them again after one was added here, and tells [`Tenants::changed`].
    pub async fn added(&self, db: &Db) -> Result<(), ReadError> {
        self.refresh(db).await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Waits until a tenant was added through this process.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// One of them, if it is known here.
    #[must_use]
    pub fn get(&self, tenant: &Tenant) -> Option<Arc<Profile>> {
        self.known.read().ok()?.get(tenant).cloned()
    }

    /// One of them; one that another instance added is read now.
    pub async fn find(&self, db: &Db, tenant: &Tenant) -> Result<Arc<Profile>, Box<Problem>> {
        if let Some(profile) = self.get(tenant) {
            return Ok(profile);
        }
        self.refresh(db).await.map_err(|error| crate::answer::unread(&error))?;
        self.get(tenant).ok_or_else(|| Box::new(Problem::of(Code::TenantUnknown)))
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Profile>> {
        self.known.read().map(|it| it.values().cloned().collect()).unwrap_or_default()
    }
}

/// Which face a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// HTTP.
    Http,
    /// NATS request-reply.
    Request,
    /// A file, row by row, over HTTP.
    Import,
}

impl Face {
    /// The word in metrics and in quarantine.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Request => "request",
            Self::Import => "import",
        }
    }
}

/// What one request proved and asked for.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose data it is about.
    pub tenant: Arc<Profile>,
    /// What it may do.
    pub scopes: Scopes,
    /// The sources it may send as; `None` means any.
    pub sources: Option<Arc<[Source]>>,
    /// The venues whose own system it is.
    pub venues: Arc<[Ident]>,
    /// It makes no customers.
    pub refuses_unknown_customers: bool,
    /// Who acts: the header, or the key's own actor.
    pub actor: Option<Actor>,
    /// The key behind it, if there is one.
    pub key_id: Option<String>,
    /// The source of the events its commands record.
    pub own_source: &'static str,
    /// The way it came.
    pub face: Face,
    /// The subject it came on, over NATS.
    pub subject: Option<String>,
    /// The language of texts.
    pub language: Language,
    /// The name of this request.
    pub request_id: String,
    /// W3C `traceparent`.
    pub trace: Option<String>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `If-Match`, as a version.
    pub if_match: Option<i64>,
    /// `Sapa-At-Least`.
    pub at_least: Option<i64>,
}

impl Caller {
    /// Whose data it is about.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant.tenant
    }

    /// Whether it may see personal fields.
    #[must_use]
    pub fn sees_personal(&self) -> bool {
        self.scopes.allow(Scope::PiiRead)
    }

    /// Refuses what the key does not allow, and says what is missing.
    pub fn needs(&self, scope: Scope) -> Result<(), Box<Problem>> {
        if self.scopes.allow(scope) {
            return Ok(());
        }
        let scope = scope.as_str();
        Err(Box::new(
            Problem::new(
                Code::ScopeMissing,
                format!("This needs the scope `{scope}`."),
                format!("Ini memerlukan cakupan `{scope}`."),
            )
            .hint(
                "Ask the person who made your key for one with that scope.",
                "Minta kunci dengan cakupan itu kepada pembuat kunci Anda.",
            ),
        ))
    }
}
