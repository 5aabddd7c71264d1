//! The ways in, all open on one log: HTTP, both modes of NATS, and what came of each message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::app::{App, Parts, Settings};
use api::auth::NewKey;
use api::scope::{Scope, Scopes};
use api::surroundings::Alone;
use async_nats::HeaderMap;
use events::problem::Language;
use events::time::Clock;
use ingest::{Ingest, TenantSettings};
use jiff::SignedDuration;
use serde_json::Value;
use store::Writer;
use store::db::Place;
use store::keys::{self, ApiKey};
use store::quarantine;
use store::tenants::{self, Profile};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::rows::STRUCTURED;
use crate::support_nats::{Bench, TestIds, eventually, main, spawn};

pub(super) const LANGUAGES: [Language; 2] = [Language::En, Language::Id];

/// One process with every way in, and who may use them.
pub(super) struct Doors {
    pub(super) bench: Bench,
    pub(super) app: Arc<App>,
    pub(super) http: reqwest::Client,
    pub(super) address: String,
    pub(super) nats: async_nats::Client,
    pub(super) anybody: String,
    pub(super) crs: String,
    pub(super) admin: String,
    pub(super) annex: String,
    pub(super) stop: CancellationToken,
    pub(super) _views: tempfile::TempDir,
}

/// What somebody was told.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn new(status: u16, headers: BTreeMap<String, String>, bytes: &[u8]) -> Self {
        let body = serde_json::from_slice(bytes).unwrap_or_default();
        Self { status, headers, text: String::from_utf8_lossy(bytes).into_owned(), body }
    }

    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Places and rules.
    pub(super) fn errors(&self) -> Vec<(String, String)> {
        errors_of(&self.body)
    }
}

pub(super) fn errors_of(problem: &Value) -> Vec<(String, String)> {
    let text = |it: &Value| it.as_str().unwrap_or("not a text").to_owned();
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().map(|it| (text(&it["pointer"]), text(&it["rule"]))).collect()
}

pub(super) async fn key(
    app: &App,
    tenant: &str,
    scopes: Scopes,
    sources: &[&str],
    days: i64,
) -> String {
    let new = NewKey::make(&*app.ids, true);
    let now = app.clock.now();
    let key = ApiKey {
        key_id: new.key_id,
        tenant: tenant.parse().unwrap(),
        name: "test".to_owned(),
        hash: new.hash,
        scopes: scopes.words().into_iter().map(str::to_owned).collect(),
        sources: sources.iter().map(|it| it.parse().unwrap()).collect(),
        venues: Vec::new(),
        refuses_unknown_customers: false,
        actor: None,
        created_at: now,
        expires_at: Some(now + SignedDuration::from_hours(24 * days)),
        revoked_at: None,
    };
    keys::add(app.db(), &key).await.unwrap();
    new.text
}

pub(super) async fn tenant(bench: &Bench, name: &str) {
    let profile = Profile {
        tenant: name.parse().unwrap(),
        name: name.to_owned(),
        zone: "Asia/Jakarta".to_owned(),
        language: Language::En,
        fingerprint_key: vec![7; 32],
    };
    tenants::add(bench.log.db(), &profile, bench.clock.now()).await.unwrap();
}

impl Doors {
    pub(super) async fn open() -> Self {
        Self::with(Settings::default(), true).await
    }

    /// The same under other settings; the log takes nothing unless it `writes`.
    pub(super) async fn with(settings: Settings, writes: bool) -> Self {
        sapa::client::install_cryptography();
        let mut bench = Bench::start(Duration::from_secs(10)).await;
        if !writes {
            let (db, bell) = (bench.log.db().clone(), bench.bell.clone());
            bench.appender = Writer::new(db, bench.clock.clone(), bell, 1).1;
        }
        tenant(&bench, "main").await;
        tenant(&bench, "annex").await;
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = bench.clock.clone();
        let place = Place::Folder(folder.path().to_owned());
        let views = projections::Views::open(place, bench.log.clone(), clock.clone(), 2);
        let sending = Scopes::of(&[Scope::EventsAppend, Scope::EventsRead]);
        let parts = Parts {
            log: bench.log.clone(),
            appender: bench.appender.clone(),
            bell: bench.bell.clone(),
            clock,
            ids: Arc::new(TestIds::default()),
            views: views.await.unwrap(),
            tenants: Arc::new(api::Tenants::load(bench.log.db()).await.unwrap()),
            settings: Settings { default_scopes: sending, ..settings },
            metrics: Arc::new(api::metrics::Metrics::new("0", "0", false)),
            surroundings: Arc::new(Alone),
        };
        let app = App::new(parts).await.unwrap();
        let stop = CancellationToken::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        spawn(api::serve(app.clone(), listener, stop.clone()));
        let client = bench.context().await.client();
        spawn(api::serve_nats(app.clone(), client, stop.clone()));
        spawn(ingest(&bench).await.run(stop.clone()));
        let anybody = key(&app, "main", sending, &[], 1).await;
        let crs = key(&app, "main", sending, &["/crs"], 1).await;
        let admin = key(&app, "main", Scopes::of(&[Scope::Admin]), &[], 1).await;
        let annex = key(&app, "annex", Scopes::of(&[Scope::Admin]), &[], 1).await;
        let nats = bench.context().await.client();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let doors = Self {
            bench,
            app,
            http,
            address,
            nats,
            anybody,
            crs,
            admin,
            annex,
            stop,
            _views: folder,
        };
        eventually("request-reply answers", async || {
            let asked = doors.nats.request("sapa.v1.main.api.events.list", "{}".into()).await;
            asked.is_ok()
        })
        .await;
        doors
    }

    pub(super) async fn head(&self) -> i64 {
        self.bench.log.head().await.unwrap()
    }

    /// Sends a body to a path.
    pub(super) async fn post(
        &self,
        path: &str,
        key: &str,
        language: Language,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Answer {
        let mut request = self
            .http
            .post(format!("http://{}{path}", self.address))
            .header("Authorization", format!("Bearer {key}"))
            .header("Accept-Language", language.tag())
            .body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        answered(request).await
    }

    pub(super) async fn get(&self, path: &str, key: &str) -> Answer {
        let request = self.http.get(format!("http://{}{path}", self.address));
        answered(request.header("Authorization", format!("Bearer {key}"))).await
    }

    /// Asks over NATS.
    pub(super) async fn request(
        &self,
        operation: &str,
        key: Option<&str>,
        language: Language,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Answer {
        let mut sent = nats_headers(headers);
        sent.insert("Accept-Language", language.tag());
        if let Some(key) = key {
            sent.insert("Authorization", format!("Bearer {key}"));
        }
        let subject = format!("sapa.v1.main.api.{operation}");
        let message = self.nats.request_with_headers(subject, sent, body.into()).await.unwrap();
        let headers: BTreeMap<String, String> = message
            .headers
            .iter()
            .flat_map(|it| it.iter())
            .map(|(name, values)| (name.to_string().to_ascii_lowercase(), values[0].to_string()))
            .collect();
        let status = headers["sapa-status"].parse().unwrap();
        Answer::new(status, headers, &message.payload)
    }

    pub(super) async fn get_over_nats(&self, operation: &str, body: Value) -> Answer {
        let body = body.to_string().into_bytes();
        self.request(operation, None, Language::En, &[], body).await
    }

    /// Publishes on the ingress stream; the place it has there.
    pub(super) async fn publish(
        &self,
        subject: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> u64 {
        let context = async_nats::jetstream::new(self.nats.clone());
        let headers = nats_headers(headers);
        let sent = context.publish_with_headers(subject.to_owned(), headers, body.into()).await;
        sent.unwrap().await.unwrap().sequence
    }

    /// Waits until nothing on the ingress stream is undecided.
    pub(super) async fn settled(&self) {
        let context = self.bench.context().await;
        let stream = context.get_stream("SAPA_IN").await.unwrap();
        eventually("everything is decided", async || {
            let info = stream.consumer_info("ingest").await.unwrap();
            (info.num_ack_pending, info.num_pending) == (0, 0)
        })
        .await;
    }

    /// What came over the stream and was kept, by its place there.
    pub(super) async fn quarantined(&self) -> BTreeMap<u64, quarantine::Kept> {
        let (db, tenant) = (self.bench.log.db(), main());
        let listed = quarantine::list(db, &tenant, &quarantine::Wanted::default(), 1_000).await;
        let mut found = BTreeMap::new();
        for it in listed.unwrap() {
            let Some(sequence) = it.sequence else { continue };
            let kept = quarantine::get(db, &tenant, &it.quarantine_id).await.unwrap().unwrap();
            found.insert(u64::try_from(sequence).unwrap(), kept);
        }
        found
    }

    pub(super) fn close(self) {
        self.stop.cancel();
    }
}

/// The ingress of a house whose publishers may not import.
pub(super) async fn ingest(bench: &Bench) -> Ingest {
    let settings = TenantSettings { fingerprint_key: vec![7; 32], ..TenantSettings::default() };
    let parts = ingest::Parts {
        context: bench.context().await,
        appender: bench.appender.clone(),
        log: bench.log.clone(),
        clock: bench.clock.clone(),
        tenants: watch::channel(Arc::new(BTreeMap::from([(main(), settings)]))).1,
        home: main(),
        counters: Arc::default(),
        meter: store::meter::silent(),
        ack_wait: bench.limits.ack_wait,
    };
    Ingest::new(parts)
}

pub(super) async fn answered(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = |it: &reqwest::header::HeaderValue| String::from_utf8_lossy(it.as_bytes()).into();
    let headers = response.headers().iter().map(|(name, it)| (name.to_string(), text(it)));
    let headers = headers.collect();
    Answer::new(status, headers, &response.bytes().await.unwrap())
}

pub(super) fn nats_headers(headers: &[(String, String)]) -> HeaderMap {
    let mut out = HeaderMap::new();
    for (name, value) in headers {
        out.insert(name.as_str(), value.as_str());
    }
    out
}

pub(super) fn structured() -> Vec<(String, String)> {
    vec![(STRUCTURED.0.to_owned(), STRUCTURED.1.to_owned())]
}
