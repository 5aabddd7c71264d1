//! The router: one route per operation, made from the table, and the routes outside `/v1`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Query, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::{MethodFilter, get, on};
use events::cloudevents::json_problem;
use events::problem::{Code, Problem};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use super::{intake, outside, shape};
use crate::answer::Reply;
use crate::app::{App, Caller, Face};
use crate::http::shape::Framed;
use crate::identity::{self, Carried};
use crate::ops::{self, Method, Operation};
use crate::params::{Params, Raw, invalid};
use crate::sse;

/// Answers shorter than this are not compressed.
const COMPRESS_ABOVE_BYTES: u64 = 1_024;

/// What every route is handed.
#[derive(Clone, Debug)]
pub struct Served {
    /// What the faces share.
    pub app: Arc<App>,
    /// Asks open streams to end.
    pub stop: CancellationToken,
}

/// All routes; `extra` are the routes of other parts, such as the console.
pub fn router(app: &Arc<App>, extra: Router, stop: &CancellationToken) -> Router {
    let served = Served { app: Arc::clone(app), stop: stop.clone() };
    let mut router = Router::new();
    for operation in ops::table() {
        let handler =
            move |State(served): State<Served>, request: Request| run(served, operation, request);
        router = router.route(operation.path, on(filter(operation.method), handler));
    }
    let router = outside::routes(router)
        .route("/v1/stream", get(sse::stream))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method);
    let small = SizeAbove::new(COMPRESS_ABOVE_BYTES).and(NotForContentType::SSE);
    router
        .with_state(served.clone())
        .merge(extra)
        .layer(CompressionLayer::new().compress_when(small))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(served, around))
}

/// What those are answered who come past the proxy.
pub fn outsiders(app: &Arc<App>, stop: &CancellationToken) -> Router {
    let served = Served { app: Arc::clone(app), stop: stop.clone() };
    Router::new()
        .fallback(past_the_proxy)
        .with_state(served.clone())
        .layer(from_fn_with_state(served, around))
}

async fn past_the_proxy(State(served): State<Served>, request: Request) -> Response<Body> {
    let framed = framed(&served.app, &request);
    let problem = Problem::new(
        Code::HostNotAllowed,
        "Only the proxy in front of this server may connect to it.",
        "Hanya proksi di depan server ini yang boleh terhubung.",
    )
    .hint(
        "Use the address of the proxy; http.trusted_proxies names who may connect.",
        "Gunakan alamat proksi; http.trusted_proxies memuat siapa yang boleh terhubung.",
    );
    shape::problem(&served.app, &problem, &framed)
}

const fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    }
}

/// What stands around every request: limits of the head, the host, the request id, the count.
async fn around(State(served): State<Served>, mut request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let app = &served.app;
    let framed = Framed::of(app, request.headers(), request.uri().query());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let checked = intake::head(request.uri(), request.headers())
        .and_then(|()| intake::host(request.headers(), request.uri(), &app.settings.allowed_hosts));
    let response = match checked {
        Ok(()) => {
            request.extensions_mut().insert(framed.clone());
            shape::dress(next.run(request).await, &framed)
        }
        Err(problem) => shape::problem(app, &problem, &framed),
    };
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    app.metrics.http(route, method.as_str(), response.status().as_u16(), started.elapsed());
    response
}

/// A handler that panicked is a fault of ours; its message may hold anything and is not told.
fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response<Body> {
    tracing::error!("a handler panicked");
    let document = Problem::of(Code::Internal).to_json(events::problem::Language::En, None, "");
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    shape::set(response.headers_mut(), header::CONTENT_TYPE, "application/problem+json");
    response
}

async fn unknown(State(served): State<Served>, request: Request) -> Response<Body> {
    let framed = framed(&served.app, &request);
    let path: String = request.uri().path().chars().take(32).collect();
    let problem = Problem::new(
        Code::RouteUnknown,
        format!("There is nothing at {path}."),
        format!("Tidak ada apa pun di {path}."),
    )
    .hint("GET / lists what there is.", "GET / memuat daftar yang ada.");
    shape::problem(&served.app, &problem, &framed)
}

async fn wrong_method(State(served): State<Served>, request: Request) -> Response<Body> {
    let framed = framed(&served.app, &request);
    shape::problem(&served.app, &Problem::of(Code::MethodNotAllowed), &framed)
}

/// The frame that [`around`] made.
pub(crate) fn framed(app: &App, request: &Request) -> Framed {
    request
        .extensions()
        .get::<Framed>()
        .cloned()
        .unwrap_or_else(|| Framed::of(app, request.headers(), request.uri().query()))
}

async fn run(served: Served, operation: &'static Operation, request: Request) -> Response<Body> {
    let mut framed = framed(&served.app, &request);
    let query = request.uri().query().unwrap_or_default().to_owned();
    match answer(&served.app, operation, request, &mut framed).await {
        Ok(reply) => shape::reply(shape::linked(reply, &query), &framed),
        Err(problem) => shape::problem(&served.app, &problem, &framed),
    }
}

async fn answer(
    app: &Arc<App>,
    operation: &'static Operation,
    request: Request,
    framed: &mut Framed,
) -> Result<Reply, Box<Problem>> {
    let (mut parts, body) = request.into_parts();
    acceptable(&parts.headers, "application/json")?;
    let caller = identify(app, &parts, framed).await?;
    caller.needs(operation.scope)?;
    let mut params = path_and_query(&mut parts).await?;
    match operation.body {
        ops::Body::None => {}
        ops::Body::Events => params.raw = Some(events_of(&parts.headers, body).await?),
        ops::Body::Members | ops::Body::Data => {
            let bytes = intake::body(body, &parts.headers, intake::COMMAND_BYTES_MAX).await?;
            intake::json_type(&parts.headers, &bytes)?;
            add_members(&mut params, members(&bytes)?)?;
        }
    }
    ops::answer(app, operation, caller, params).await
}

/// Who asks; from here on texts may be in the tenant's language.
pub(crate) async fn identify(
    app: &App,
    parts: &Parts,
    framed: &mut Framed,
) -> Result<Caller, Box<Problem>> {
    let text = |name: &str| parts.headers.get(name).and_then(|it| it.to_str().ok());
    let carried = Carried {
        authorization: text("authorization"),
        tenant: text("sapa-tenant"),
        actor: text("sapa-actor"),
        at_least: text("sapa-at-least"),
        idempotency_key: text("idempotency-key"),
        if_match: text("if-match"),
        trace: text("traceparent"),
        language: shape::language(&parts.headers, parts.uri.query()),
    };
    let caller = identity::by_key(app, Face::Http, carried, &framed.request_id).await?;
    framed.language = caller.language;
    Ok(caller)
}

async fn events_of(headers: &HeaderMap, body: Body) -> Result<Raw, Box<Problem>> {
    let form = intake::form(headers)?;
    let bytes = intake::body(body, headers, intake::bytes_max(&form)).await?;
    let form = form.settled(&bytes)?;
    Ok(Raw { bytes, form, may_wrap: false })
}

/// The parameters in path and query.
pub(crate) async fn path_and_query(parts: &mut Parts) -> Result<Params, Box<Problem>> {
    let mut params = Params::default();
    let query: Query<Vec<(String, String)>> = Query::try_from_uri(&parts.uri).map_err(|_| {
        invalid(
            "",
            "type",
            "the query is not form-encoded UTF-8",
            "kueri bukan UTF-8 berbentuk formulir",
        )
    })?;
    for (name, value) in query.0 {
        params.add(&name, Value::from(value));
    }
    let path = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| Box::new(Problem::of(Code::RouteUnknown)))?;
    for (name, value) in &path {
        if params.has(name) {
            return Err(twice(name));
        }
        params.set(name, Value::from(value));
    }
    Ok(params)
}

/// The members of a body that is one JSON object; nothing sent is no member.
pub(crate) fn members(bytes: &[u8]) -> Result<Map<String, Value>, Box<Problem>> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match events::json::read(bytes).map_err(json_problem)?.value {
        Value::Object(members) => Ok(members),
        _ => Err(Box::new(Problem::new(
            Code::JsonSyntax,
            "The body of a command is one JSON object.",
            "Isi sebuah perintah adalah satu objek JSON.",
        ))),
    }
}

/// Adds the members of a body to what stood in path and query; a name in both is a mistake.
pub(crate) fn add_members(
    params: &mut Params,
    members: Map<String, Value>,
) -> Result<(), Box<Problem>> {
    for (name, value) in members {
        if params.has(&name) {
            return Err(twice(&name));
        }
        params.set(&name, value);
    }
    Ok(())
}

fn twice(name: &str) -> Box<Problem> {
    let name: String = name.chars().take(32).collect();
    invalid(
        &name,
        "type",
        "stands in the address and again elsewhere",
        "ada di alamat dan juga di tempat lain",
    )
}

/// Refuses an `Accept` that leaves out what can be answered here (406).
pub(crate) fn acceptable(headers: &HeaderMap, answered: &str) -> Result<(), Box<Problem>> {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()) else {
        return Ok(());
    };
    let fits = accept.split(',').any(|it| {
        let mut parts = it.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|it| matches!(it, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        let known = ["*/*", "application/*", "application/problem+json", answered];
        !refused
            && (known.contains(&kind.as_str()) || kind == "text/*" && answered.starts_with("text/"))
    });
    if fits { Ok(()) } else { Err(Box::new(Problem::of(Code::NotAcceptable))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_accept_that_leaves_json_out_is_refused() {
        let asked = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            acceptable(&headers, "application/json").is_ok()
        };
        assert!(acceptable(&HeaderMap::new(), "application/json").is_ok());
        for accept in
            ["*/*", "text/html, application/json;q=0.5", "application/*", "text/html,*/*;q=0.1"]
        {
            assert!(asked(accept), "{accept}");
        }
        for accept in ["text/html", "application/json;q=0", "image/*", "text/*"] {
            assert!(!asked(accept), "{accept}");
        }
    }

    #[test]
    fn a_body_is_an_object_and_repeats_no_name_of_the_address() {
        assert!(members(b"").unwrap().is_empty());
        assert_eq!(members(b"[]").unwrap_err().code, Code::JsonSyntax);
        assert_eq!(members(b"{\"a\":1,\"a\":2}").unwrap_err().code, Code::DuplicateKey);
        let mut params = Params::default();
        params.set("id", "c-1".into());
        let sent = members(b"{\"id\":\"c-2\"}").unwrap();
        assert!(add_members(&mut params, sent).is_err());
    }
}
