//! The HTTP face over a real log: what a client sends and what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use events::mint::Ids;
use events::problem::Language;
use events::time::FixedClock;
use jiff::Timestamp;
use projections::{Runner, Views};
use serde_json::{Value, json};
use store::db::Place;
use store::keys::{self, ApiKey};
use store::tenants::{self as stored_tenants, Profile};
use store::writer::QUEUE_REQUESTS_MAX;
use store::{Bell, Log, Writer};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use crate::app::{App, Parts, Settings, Tenants};
use crate::auth::NewKey;
use crate::scope::{Scope, Scopes};
use crate::surroundings::Alone;

mod import;
mod paging;
mod tenants;

#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Ids for Counting {
    fn new_id(&self) -> Uuid {
        Uuid::from_u64_pair(0x0199_0000_0000_7000, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct Server {
    app: Arc<App>,
    router: Router,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Value,
}

fn now() -> Timestamp {
    "2026-11-21T10:00:00+07:00".parse().unwrap()
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        let log = Log::open(&place, 4, Uuid::from_u128(1)).await.unwrap();
        for tenant in ["main", "other"] {
            let profile = Profile {
                tenant: tenant.parse().unwrap(),
                name: tenant.to_owned(),
                zone: "Asia/Jakarta".to_owned(),
                language: Language::En,
                fingerprint_key: vec![7; 32],
            };
            stored_tenants::add(log.db(), &profile, now()).await.unwrap();
        }
        let clock = Arc::new(FixedClock::at(now()));
        let bell = Bell::default();
        let (writer, appender) =
            Writer::new(log.db().clone(), clock.clone(), bell.clone(), QUEUE_REQUESTS_MAX);
        let views = Views::open(place, log.clone(), clock.clone(), 4).await.unwrap();
        let live = views.live();
        let runner = Runner::open(log.clone(), live.db, live.generation, 1).await.unwrap();
        let runner = Arc::new(tokio::sync::Mutex::new(runner));
        let kept = (views.clone(), bell.clone());
        let parts = Parts {
            tenants: Arc::new(Tenants::load(log.db()).await.unwrap()),
            log,
            appender,
            bell,
            views,
            clock,
            ids: Arc::new(Counting::default()),
            settings: Settings::default(),
            metrics: Arc::new(crate::metrics::Metrics::new("0", "0", false)),
            surroundings: Arc::new(Alone),
        };
        let app = App::new(parts).await.unwrap();
        let stop = CancellationToken::new();
        app.tracker.spawn(writer.run(stop.clone()));
        app.tracker.spawn(projections::keeper::keep_up(runner, kept.0, kept.1, stop.clone()));
        let router = crate::http::router::router(&app, Router::new(), &stop);
        Self { app, router, _folder: folder }
    }

    async fn key(&self, tenant: &str, scopes: Scopes) -> String {
        self.key_for(tenant, scopes, &[]).await
    }

    async fn key_for(&self, tenant: &str, scopes: Scopes, sources: &[&str]) -> String {
        let new = NewKey::make(&*self.app.ids, true);
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
            created_at: now(),
            expires_at: None,
            revoked_at: None,
        };
        keys::add(self.app.db(), &key).await.unwrap();
        new.text
    }

    async fn admin(&self) -> String {
        self.key("main", Scopes::of(&[Scope::Admin])).await
    }

    async fn raw(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, key: &str, body: Option<&Value>) -> Answer {
        self.ask_with(method, path, key, body, &[]).await
    }

    async fn ask_with(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let response = self.raw(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

fn contacted(id: &str, customer: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/desk", "subject": customer,
        "type": "sapa.interaction.contacted.v1", "time": "2026-11-21T09:00:00+07:00",
        "actor": "staff/rudi", "actorkind": "staff", "channel": "phone",
        "data": {"purpose": "courtesy", "outcome": "reached", "text": "Ibu Sari is well"}
    })
}

#[tokio::test]
async fn an_event_is_recorded_once_and_its_receipt_is_found() {
    let server = Server::start().await;
    let key = server.admin().await;
    let first = server.ask("POST", "/v1/events", &key, Some(&contacted("1", "c-sari"))).await;
    assert_eq!((first.status, &first.body["outcome"]), (201, &json!("recorded")));
    assert_eq!(first.headers["location"], "/v1/events/1");
    assert_eq!(first.headers["sapa-position"], "1");
    let again = server.ask("POST", "/v1/events", &key, Some(&contacted("1", "c-sari"))).await;
    assert_eq!((again.status, &again.body["outcome"]), (200, &json!("duplicate")));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = server.ask("POST", "/v1/events", &key, Some(&contacted("1", "c-rina"))).await;
    assert_eq!((other.status, &other.body["code"]), (409, &json!("event_id_conflict")));
    assert_eq!(other.body["receipt"]["position"], 1);
    let found = server.ask("GET", "/v1/receipts?source=/desk&id=1", &key, None).await;
    assert_eq!((found.status, &found.body["position"]), (200, &json!(1)));
    let missing = server.ask("GET", "/v1/receipts?source=/desk&id=2", &key, None).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_unless_asked_otherwise() {
    let server = Server::start().await;
    let key = server.admin().await;
    let mut bad = contacted("2", "c-2");
    bad["data"]["purpose"] = json!("nonsense");
    let batch = json!([contacted("1", "c-1"), bad, contacted("1", "c-1")]);
    let refused = server.ask("POST", "/v1/events", &key, Some(&batch)).await;
    assert_eq!((refused.status, &refused.body["index"]), (422, &json!(1)));
    assert_eq!(refused.body["errors"][0]["pointer"], "/1/data/purpose");
    let each = server.ask("POST", "/v1/events?atomic=false", &key, Some(&batch)).await;
    assert_eq!((each.status, &each.body["recorded"]), (207, &json!(1)), "{}", each.body);
    assert_eq!(each.body["items"][1]["code"], "schema_invalid");
    let good = json!([contacted("1", "c-1"), contacted("3", "c-3"), contacted("4", "c-4")]);
    let good = server.ask("POST", "/v1/events", &key, Some(&good)).await;
    assert_eq!((good.status, &good.body["duplicates"]), (201, &json!(1)));
    assert_eq!((&good.body["first_position"], &good.body["last_position"]), (&json!(2), &json!(3)));
}

#[tokio::test]
async fn a_type_nobody_knows_is_refused_and_kept_and_can_be_discarded() {
    let server = Server::start().await;
    let key = server.admin().await;
    let mut odd = contacted("1", "c-1");
    odd["type"] = json!("sapa.interaction.contact.v1");
    let refused = server.ask("POST", "/v1/events", &key, Some(&odd)).await;
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("unknown_type")));
    let id = refused.body["quarantine_id"].as_str().unwrap();
    let receipt = server.ask("GET", "/v1/receipts?source=/desk&id=1", &key, None).await;
    assert_eq!(receipt.body["outcome"], "quarantined");
    let listed = server.ask("GET", "/v1/quarantine?code=unknown_type", &key, None).await;
    assert_eq!(listed.body["items"][0]["quarantine_id"], id, "{}", listed.body);
    let retried = server.ask("POST", &format!("/v1/quarantine/{id}/retry"), &key, None).await;
    assert_eq!(retried.body["code"], "unknown_type", "{}", retried.body);
    let path = format!("/v1/quarantine/{id}/discard");
    let unsaid = server.ask("POST", &path, &key, None).await;
    assert_eq!((unsaid.status, &unsaid.body["code"]), (422, &json!("query_invalid")));
    let done = server.ask("POST", &path, &key, Some(&json!({"note": "a slip"}))).await;
    assert_eq!(done.status, 204);
}

#[tokio::test]
async fn pages_follow_one_another_and_hold_everything_once() {
    let server = Server::start().await;
    let key = server.admin().await;
    let batch: Vec<Value> = (0..25).map(|it| contacted(&format!("e-{it}"), "c-1")).collect();
    server.ask("POST", "/v1/events", &key, Some(&json!(batch))).await;
    let mut path = "/v1/events?limit=10&topic=interaction".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.ask("GET", &path, &key, None).await;
        assert_eq!(page.status, 200, "{}", page.body);
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("/v1/events?limit=10&topic=interaction&cursor={cursor}");
    }
    assert_eq!(seen.len(), 25);
    let stream = server.ask("GET", "/v1/streams/customer/c-1?limit=3", &key, None).await;
    assert_eq!(
        (&stream.body["version"], stream.headers["etag"].as_bytes()),
        (&json!(25), &b"\"25\""[..])
    );
    let tampered = server.ask("GET", "/v1/events?cursor=AAAA", &key, None).await;
    assert_eq!(tampered.body["code"], "cursor_invalid");
}

#[tokio::test]
async fn another_tenant_and_a_key_without_the_scope_see_nothing() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.ask("POST", "/v1/events", &admin, Some(&contacted("1", "c-1"))).await;
    let foreign = server.key("other", Scopes::of(&[Scope::Admin])).await;
    let theirs = server.ask("GET", "/v1/events/1", &foreign, None).await;
    let nothing = server.ask("GET", "/v1/events/9", &foreign, None).await;
    assert_eq!((theirs.status, nothing.status), (404, 404));
    assert_eq!(theirs.body["detail"], nothing.body["detail"]);
    let publisher = server.key("main", Scopes::set("publisher").unwrap()).await;
    let refused = server.ask("GET", "/v1/events", &publisher, None).await;
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("scope_missing")));
    for key in ["", "sapa_live_aaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(server.ask("GET", "/v1/events", key, None).await.status, 401);
    }
    let reader = server.key("main", Scopes::of(&[Scope::EventsRead])).await;
    let masked = server.ask("GET", "/v1/events/1", &reader, None).await;
    assert!(!masked.body.to_string().contains("Ibu Sari"), "{}", masked.body);
    let seen = server.ask("GET", "/v1/events/1", &admin, None).await;
    assert!(seen.body.to_string().contains("Ibu Sari"));
}

#[tokio::test]
async fn a_key_can_be_made_used_and_revoked() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let wanted = json!({"name": "pms", "set": "publisher", "sources": ["/hotel/pms"]});
    let made = server.ask("POST", "/v1/keys", &admin, Some(&wanted)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let key = made.body["key"].as_str().unwrap();
    let refused = server.ask("POST", "/v1/events", key, Some(&contacted("1", "c-1"))).await;
    assert_eq!(refused.body["code"], "source_forbidden");
    let path = format!("/v1/keys/{}", made.body["id"].as_str().unwrap());
    assert_eq!(server.ask("DELETE", &path, &admin, None).await.status, 204);
    let gone = server.ask("POST", "/v1/events", key, Some(&contacted("1", "c-1"))).await;
    assert_eq!(gone.status, 401);
    assert_eq!(server.ask("DELETE", &path, &admin, None).await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_as_a_problem() {
    let server = Server::start().await;
    let key = server.admin().await;
    for (method, path, status, code) in [
        ("GET", "/v1/nothing", 404, "route_unknown"),
        ("PUT", "/v1/events", 405, "method_not_allowed"),
        ("GET", "/v1/events?limit=0", 422, "query_invalid"),
        ("GET", "/v1/events?costumer=c-1", 422, "query_invalid"),
        ("POST", "/v1/events", 400, "body_empty"),
        ("GET", "/v1/streams/customer/c-9", 404, "not_found"),
    ] {
        let answer = server.ask(method, path, &key, None).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(answer.headers.contains_key("sapa-request-id"));
    }
    let evil = Request::get("/v1/events").header("host", "evil.example").body(Body::empty());
    assert_eq!(server.raw(evil.unwrap()).await.status().as_u16(), 421);
    let indonesian = server.ask("GET", "/v1/events?limit=0&lang=id", &key, None).await;
    assert_eq!(indonesian.headers["content-language"], "id");
}

#[tokio::test]
async fn documents_outside_v1_are_served_without_a_key() {
    let server = Server::start().await;
    server.app.health.started();
    for path in [
        "/",
        "/livez",
        "/startupz",
        "/readyz?verbose",
        "/version",
        "/metrics",
        "/schemas",
        "/schemas/events/booking.requested.v1.json",
        "/problems",
        "/problems/query_invalid",
    ] {
        assert_eq!(server.ask("GET", path, "", None).await.status, 200, "{path}");
    }
    // The index lists what exists and nothing else.
    let index = server.ask("GET", "/", "", None).await;
    for path in index.body["documents"].as_array().unwrap() {
        assert_eq!(server.ask("GET", path.as_str().unwrap(), "", None).await.status, 200, "{path}");
    }
    for it in index.body["routes"].as_array().unwrap() {
        let (method, path) = (it["method"].as_str().unwrap(), it["path"].as_str().unwrap());
        let asked = server.ask(method, &path.replace(['{', '}'], ""), "", None).await;
        assert_eq!(asked.status, 401, "{method} {path}");
    }
    let etag = server.ask("GET", "/schemas", "", None).await.headers["etag"].clone();
    let same = Request::get("/schemas").header("host", "localhost").header("if-none-match", etag);
    assert_eq!(server.raw(same.body(Body::empty()).unwrap()).await.status().as_u16(), 304);
}

#[tokio::test]
async fn a_live_stream_begins_where_it_is_asked_to_and_follows() {
    use futures_util::StreamExt;
    let server = Server::start().await;
    let key = server.admin().await;
    server.ask("POST", "/v1/events", &key, Some(&contacted("1", "c-1"))).await;
    let request = Request::get("/v1/stream?after=0&topic=interaction")
        .header("host", "localhost")
        .header("accept", "text/event-stream")
        .header("authorization", format!("Bearer {key}"));
    let response = server.raw(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status().as_u16(), 200);
    let mut chunks = response.into_body().into_data_stream();
    let mut heard = String::new();
    while !heard.contains("id: 1\n") {
        heard.push_str(std::str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap());
    }
    server.ask("POST", "/v1/events", &key, Some(&contacted("2", "c-1"))).await;
    while !heard.contains("id: 2\nevent: sapa.interaction.contacted.v1\ndata: {") {
        heard.push_str(std::str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(heard.starts_with("retry: 2000\n\n"));
}

#[tokio::test]
async fn what_a_person_records_is_on_the_card_and_in_the_timeline_at_once() {
    let server = Server::start().await;
    let key = server.admin().await;
    let event = server.ask("POST", "/v1/events", &key, Some(&contacted("1", "c-sari"))).await;
    let said = json!({"action": "contacted", "channel": "phone", "purpose": "courtesy", "outcome": "reached"});
    let actor = [("sapa-actor", "staff/dewi")];
    let path = "/v1/customers/c-sari/contacts";
    let made = server.ask_with("POST", path, &key, Some(&said), &actor).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["customer"]["last_out"]["actor"], "staff/dewi", "{}", made.body);
    let at = made.body["receipts"][0]["position"].as_i64().unwrap();
    assert!(event.body["position"].as_i64().unwrap() < at);
    let path = format!("/v1/customers/c-sari/timeline?at_least={at}&limit=1");
    let page = server.ask("GET", &path, &key, None).await;
    assert_eq!(page.body["items"][0]["position"], at, "{}", page.body);
    assert_eq!(page.body["as_of"]["reached"], true);
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let path = format!("/v1/customers/c-sari/timeline?limit=1&cursor={cursor}");
    let page = server.ask("GET", &path, &key, None).await;
    assert_eq!(page.body["items"][0]["position"], 1, "{}", page.body);
    for path in [
        "/v1/customers/c-sari",
        "/v1/customers/c-sari/loyalty",
        "/v1/customers/c-sari/neglect",
        "/v1/customers/c-sari/loyalty/explain?at=2026-11-20",
        "/v1/customers",
        "/v1/loyalty",
        "/v1/neglect",
        "/v1/projections",
        "/v1/projections/card",
        "/v1/projections/card/parked",
        "/v1/worklist",
    ] {
        let answer = server.ask("GET", path, &key, None).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        assert!(answer.body["as_of"]["position"].is_i64(), "{path}");
    }
    let nobody = server.ask("GET", "/v1/customers/c-nobody", &key, None).await;
    assert_eq!((nobody.status, &nobody.body["code"]), (404, &json!("customer_unknown")));
    let ahead = server.ask("GET", "/v1/customers?at_least=99999", &key, None).await;
    assert_eq!((ahead.status, &ahead.body["code"]), (400, &json!("position_unknown")));
    let reader = server.key("main", Scopes::of(&[Scope::TimelineRead])).await;
    let masked = server.ask("GET", "/v1/customers/c-sari/timeline", &reader, None).await;
    assert!(!masked.body.to_string().contains("Ibu Sari"), "{}", masked.body);
    let search = server.ask("GET", "/v1/customers?search=Sari", &reader, None).await;
    assert_eq!(search.status, 403);
}

#[tokio::test]
async fn a_command_is_done_once_under_its_key_and_refused_with_names_of_parameters() {
    let server = Server::start().await;
    let key = server.admin().await;
    server.ask("POST", "/v1/events", &key, Some(&contacted("1", "c-rina"))).await;
    let promise = json!({
        "customer": "c-rina", "promise": "p-1", "what": "an answer about the hall",
        "due_at": "2026-11-21T15:00:00+07:00", "owner": "ani"
    });
    let once = [("idempotency-key", "k-1"), ("sapa-actor", "staff/ani")];
    let first = server.ask_with("POST", "/v1/promises", &key, Some(&promise), &once).await;
    assert_eq!(
        (first.status, &first.body["promise"]["state"]),
        (201, &json!("open")),
        "{}",
        first.body
    );
    let again = server.ask_with("POST", "/v1/promises", &key, Some(&promise), &once).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let mut other = promise.clone();
    other["what"] = json!("something else");
    let twice = server.ask_with("POST", "/v1/promises", &key, Some(&other), &once).await;
    assert_eq!(twice.body["code"], "idempotency_key_reused");
    let taken = server.ask("POST", "/v1/promises", &key, Some(&other)).await;
    assert_eq!(taken.body["code"], "already_exists");
    other["promise"] = json!("p-2");
    other["colour"] = json!("red");
    let unknown = server.ask("POST", "/v1/promises", &key, Some(&other)).await;
    assert_eq!((unknown.status, &unknown.body["errors"][0]["pointer"]), (422, &json!("colour")));

    let untold = json!({"how": "renegotiated", "new_due_at": "2026-11-22T15:00:00+07:00"});
    let refused = server.ask("POST", "/v1/promises/p-1/settle", &key, Some(&untold)).await;
    assert_eq!(
        (refused.status, &refused.body["rule"]),
        (409, &json!("not_told")),
        "{}",
        refused.body
    );
    let kept = json!({"how": "kept"});
    let moved = [("if-match", "\"7\"")];
    let moved = server.ask_with("POST", "/v1/promises/p-1/settle", &key, Some(&kept), &moved).await;
    assert_eq!((moved.status, &moved.body["code"]), (412, &json!("version_conflict")));
    let kept = server.ask("POST", "/v1/promises/p-1/settle", &key, Some(&kept)).await;
    assert_eq!(
        (kept.status, &kept.body["promise"]["state"]),
        (201, &json!("kept")),
        "{}",
        kept.body
    );
    for path in [
        "/v1/promises/p-1",
        "/v1/promises?customer=c-rina",
        "/v1/promises/reliability",
        "/v1/promises/quote?topic=hall",
    ] {
        assert_eq!(server.ask("GET", path, &key, None).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_alert_is_taken_once_and_never_by_an_assistant() {
    let server = Server::start().await;
    let key = server.admin().await;
    let raised = json!({
        "specversion": "1.0", "id": "a-1", "source": "/sapa/neglect", "subject": "c-sari",
        "type": "sapa.alert.raised.v1", "time": "2026-11-21T09:00:00+07:00", "actor": "system/neglect",
        "data": {"alert": "a-1", "kind": "we_owe", "occurrence": 1, "severity": "warning",
            "due_at": "2026-11-21T09:00:00+07:00", "owner": "dewi", "team": "frontdesk",
            "because": ["/desk#1"], "stop_by": "answer", "policy": "owe", "policy_version": 1}
    });
    let recorded = server.ask("POST", "/v1/events", &key, Some(&raised)).await;
    assert_eq!(recorded.status, 201, "{}", recorded.body);
    let listed = server.ask("GET", "/v1/alerts?at_least=1&kind=we_owe", &key, None).await;
    assert_eq!(listed.body["items"][0]["alert"], "a-1", "{}", listed.body);
    let assistant = [("sapa-actor", "ai/helper")];
    let refused = server.ask_with("POST", "/v1/alerts/a-1/ack", &key, None, &assistant).await;
    assert_eq!(
        (refused.status, &refused.body["rule"]),
        (409, &json!("ai_may")),
        "{}",
        refused.body
    );
    let person = [("sapa-actor", "staff/rudi")];
    let next =
        server.ask_with("POST", "/v1/worklist/next?team=frontdesk", &key, None, &person).await;
    assert_eq!(
        (next.status, &next.body["alert"]["state"]),
        (201, &json!("acknowledged")),
        "{}",
        next.body
    );
    let none =
        server.ask_with("POST", "/v1/worklist/next?team=frontdesk", &key, None, &person).await;
    assert_eq!((none.status, &none.body["alert"]), (200, &Value::Null));
    // Somebody has it: asking again changes nothing and puts nothing off.
    let before = server.ask("GET", "/v1/alerts/a-1", &key, None).await;
    let again = server.ask_with("POST", "/v1/alerts/a-1/ack", &key, None, &person).await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("alert_state")), "{}", again.body);
    let after = server.ask("GET", "/v1/alerts/a-1", &key, None).await;
    assert_eq!(
        (&after.body["ack_until"], &after.headers["etag"]),
        (&before.body["ack_until"], &before.headers["etag"])
    );
    let long = json!({"for": "9d", "reason": "on holiday"});
    let refused =
        server.ask_with("POST", "/v1/alerts/a-1/snooze", &key, Some(&long), &person).await;
    assert_eq!(refused.body["rule"], "snooze_max", "{}", refused.body);
    let short = json!({"for": "4h", "reason": "calls back at three"});
    let snoozed =
        server.ask_with("POST", "/v1/alerts/a-1/snooze", &key, Some(&short), &person).await;
    assert_eq!(snoozed.body["alert"]["state"], "snoozed", "{}", snoozed.body);
    let late = server.ask_with("POST", "/v1/alerts/a-1/ack", &key, None, &person).await;
    assert_eq!((late.status, &late.body["code"]), (409, &json!("alert_state")));
    let one = server.ask("GET", "/v1/alerts/a-1", &key, None).await;
    assert_eq!(one.headers["etag"], "\"3\"", "{}", one.body);
}

#[tokio::test]
async fn a_policy_is_published_on_top_of_the_version_that_was_read() {
    let server = Server::start().await;
    let key = server.admin().await;
    let read = server.ask("GET", "/v1/policies/promise", &key, None).await;
    assert_eq!(read.headers["etag"], "\"1\"");
    let mut wanted =
        json!({"body": read.body["body"], "effective_from": "2026-12-01T00:00:00+07:00"});
    let stale = [("if-match", "\"4\"")];
    let refused =
        server.ask_with("POST", "/v1/policies/promise", &key, Some(&wanted), &stale).await;
    assert_eq!(refused.status, 412, "{}", refused.body);
    let fresh = [("if-match", "\"1\"")];
    let made = server.ask_with("POST", "/v1/policies/promise", &key, Some(&wanted), &fresh).await;
    assert_eq!((made.status, &made.body["policy"]["version"]), (201, &json!(2)), "{}", made.body);
    wanted["body"]["renegotiate_max"] = json!("often");
    let refused = server.ask("POST", "/v1/policies/promise", &key, Some(&wanted)).await;
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("policy_invalid")));
    let listed = server.ask("GET", "/v1/policies", &key, None).await;
    assert_eq!(listed.status, 200);
}

#[tokio::test]
async fn complaints_and_improvements_follow_on_what_exists() {
    let server = Server::start().await;
    let key = server.admin().await;
    server.ask("POST", "/v1/events", &key, Some(&contacted("1", "c-wati"))).await;
    let complaint = json!({
        "customer": "c-wati", "complaint": "k-1", "channel": "phone", "kind": "technical",
        "category": "air_conditioning", "severity": "high", "text": "too warm"
    });
    let made = server.ask("POST", "/v1/complaints", &key, Some(&complaint)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let remedy = json!({"remedy": "mended", "fault": "ours"});
    let done = server.ask("POST", "/v1/complaints/k-1/resolve", &key, Some(&remedy)).await;
    assert_eq!(done.status, 201, "{}", done.body);
    let none = server.ask("POST", "/v1/complaints/k-9/resolve", &key, Some(&remedy)).await;
    assert_eq!(none.status, 404);
    let idea = json!({"title": "new units", "topic": "air_conditioning", "because": ["/desk#1"]});
    let proposed = server.ask("POST", "/v1/improvements", &key, Some(&idea)).await;
    assert_eq!(proposed.status, 201, "{}", proposed.body);
    let tier = json!({"tier": "primary", "reason": "a friend of the house", "until": "2027-01-01"});
    let set = server.ask("POST", "/v1/customers/c-wati/tier", &key, Some(&tier)).await;
    assert_eq!(
        (set.status, &set.body["loyalty"]["tier"]),
        (201, &json!("primary")),
        "{}",
        set.body
    );
    let planned = json!({"at": "2026-11-25T10:00:00+07:00", "owner": "dewi", "purpose": "follow_up", "plan": "v-1"});
    let planned = server.ask("POST", "/v1/customers/c-wati/plans", &key, Some(&planned)).await;
    assert_eq!(planned.status, 201, "{}", planned.body);
    let cancelled = json!({"plan": "v-1", "cancelled": true});
    let cancelled = server.ask("POST", "/v1/customers/c-wati/plans", &key, Some(&cancelled)).await;
    assert_eq!(cancelled.status, 201, "{}", cancelled.body);
}
