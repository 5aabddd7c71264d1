//! Routes outside `/v1`: the index, health, metrics, version, schemas and problem pages.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use events::problem::{Code, Language, Problem};
use serde_json::json;

use super::router::{Served, framed, identify};
use super::shape;
use crate::answer::{json as text_of, missing};
use crate::health;
use crate::http::shape::Framed;
use crate::metrics;
use crate::ops;
use crate::problems::{self, Entry};
use crate::schemas;
use crate::scope::Scope;
use crate::surroundings::State as Part;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Adds the routes of this file.
pub(super) fn routes(router: Router<Served>) -> Router<Served> {
    router
        .route("/", get(index))
        .route("/livez", get(livez))
        .route("/startupz", get(startupz))
        .route("/readyz", get(readyz))
        .route("/version", get(version))
        .route("/metrics", get(scrape))
        .route("/schemas", get(catalogue))
        .route("/schemas/events/{file}", get(schema))
        .route("/problems", get(all_problems))
        .route("/problems/{code}", get(one_problem))
}

/// A document of the product: a status, a media type, a text.
pub(crate) fn document(
    status: u16,
    media_type: &'static str,
    text: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The same document again is told by its `ETag`.
fn cached(headers: &HeaderMap, media_type: &'static str, text: &'static str) -> Response<Body> {
    let etag = schemas::etag(text);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    let same =
        known.is_some_and(|it| it.split(',').any(|it| it.trim() == etag || it.trim() == "*"));
    let mut response = if same {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        document(200, media_type, text)
    };
    shape::set(response.headers_mut(), header::ETAG, &etag);
    shape::set(response.headers_mut(), header::CACHE_CONTROL, "public, max-age=300");
    response
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let place = |kind: &str| accept.find(kind);
    match (place("text/html"), place("application/json")) {
        (Some(html), Some(json)) => html < json,
        (html, _) => html.is_some(),
    }
}

/// Everything that can be asked for here, and nothing else.
async fn index(State(served): State<Served>) -> Response<Body> {
    let route = |it: &ops::Operation| {
        json!({
            "operation": it.id,
            "method": it.method.as_str(),
            "path": it.path,
            "scope": it.scope.as_str(),
            "nats": it.on_nats.then(|| format!("sapa.v1.<tenant>.api.{}", it.id)),
        })
    };
    let mut routes: Vec<_> = ops::table().iter().map(route).collect();
    let scope = Scope::EventsRead.as_str();
    let path = "/v1/stream";
    routes.push(
        json!({"operation": null, "method": "GET", "path": path, "scope": scope, "nats": null}),
    );
    let outside =
        ["/livez", "/startupz", "/readyz", "/version", "/metrics", "/schemas", "/problems"];
    let version = served.app.settings.version;
    let body = json!({"name": "sapa", "version": version, "api": "v1", "routes": routes, "documents": outside});
    document(200, JSON, body.to_string())
}

async fn livez() -> Response<Body> {
    document(200, PLAIN, "ok\n")
}

async fn startupz(State(served): State<Served>) -> Response<Body> {
    if served.app.health.is_started() {
        document(200, PLAIN, "ok\n")
    } else {
        document(503, PLAIN, "starting\n")
    }
}

async fn readyz(State(served): State<Served>, RawQuery(query): RawQuery) -> Response<Body> {
    let (state, checks) = health::readiness(&served.app).await;
    let verbose = query.is_some_and(|it| it.split('&').any(|it| it.starts_with("verbose")));
    let status = if state == Part::Failed { 503 } else { 200 };
    document(status, PLAIN, health::text(state, &checks, verbose))
}

async fn version(State(served): State<Served>) -> Response<Body> {
    let it = &served.app.settings;
    let body = json!({
        "name": "sapa",
        "version": it.version,
        "commit": it.commit,
        "built_at": it.built_at,
        "api": "v1",
        // So that a publisher who knows the server does not have to guess which broker is its own.
        "nats": served.app.surroundings.broker(),
    });
    document(200, JSON, body.to_string())
}

async fn scrape(State(served): State<Served>, request: Request) -> Response<Body> {
    let app = &served.app;
    if !app.settings.metrics_open {
        let mut framed = framed(app, &request);
        let (parts, _) = request.into_parts();
        let allowed = match identify(app, &parts, &mut framed).await {
            Ok(caller) => caller.needs(Scope::MetricsRead),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = allowed {
            return shape::problem(app, &problem, &framed);
        }
    }
    let mut samples = app.surroundings.samples();
    samples.extend(metrics::gauges::samples(app).await);
    app.metrics.take(&samples);
    document(200, metrics::MEDIA_TYPE, app.metrics.text())
}

async fn catalogue(headers: HeaderMap) -> Response<Body> {
    cached(&headers, JSON, schemas::catalogue())
}

async fn schema(
    State(served): State<Served>,
    Path(file): Path<String>,
    request: Request,
) -> Response<Body> {
    if let Some(text) = schemas::file(&file) {
        return cached(request.headers(), "application/schema+json", text);
    }
    let none = missing("schema", "skema", "name");
    let none = none.hint("/schemas lists them.", "/schemas memuat daftarnya.");
    refuse(&served, &request, &none)
}

fn refuse(served: &Served, request: &Request, problem: &Problem) -> Response<Body> {
    let framed: Framed = framed(&served.app, request);
    shape::problem(&served.app, problem, &framed)
}

fn language(served: &Served, request: &Request) -> Language {
    shape::language(request.headers(), request.uri().query())
        .unwrap_or(served.app.settings.language)
}

fn page(language: Language, html: String) -> Response<Body> {
    let mut response = document(200, HTML, html);
    let headers = response.headers_mut();
    shape::set(headers, header::CONTENT_LANGUAGE, language.tag());
    let csp = "default-src 'none'; style-src 'self'; frame-ancestors 'none'";
    shape::set(headers, HeaderName::from_static("content-security-policy"), csp);
    response
}

async fn all_problems(State(served): State<Served>, request: Request) -> Response<Body> {
    if wants_html(request.headers()) {
        let language = language(&served, &request);
        return page(language, problems::index_html(language));
    }
    let all: Vec<_> = Code::ALL.iter().map(|it| problems::told(*it)).collect();
    document(200, JSON, text_of(&all))
}

async fn one_problem(
    State(served): State<Served>,
    Path(code): Path<String>,
    request: Request,
) -> Response<Body> {
    let Some(entry) = Entry::from_word(&code) else {
        let none = missing("problem or warning", "masalah atau peringatan", "code");
        let none = none.hint("/problems lists them.", "/problems memuat daftarnya.");
        return refuse(&served, &request, &none);
    };
    if wants_html(request.headers()) {
        let language = language(&served, &request);
        return page(language, entry.html(language));
    }
    document(200, JSON, text_of(&entry.told()))
}
