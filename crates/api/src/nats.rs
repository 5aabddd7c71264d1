//! The same operations over NATS request-reply: micro service `sapa`.
//!
//! Bodies are byte for byte those of HTTP (N21); an answer is never empty, and none goes to a reply
//! subject that a requester could have pointed at somebody else (N22).

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::header::{HeaderMap, HeaderValue};
use async_nats::service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE, Request, ServiceExt};
use async_nats::{Client, Message};
use events::id::Tenant;
use events::planted::{Mistake, planted};
use events::problem::{Code, Problem};
use events::subject::ROOT;
use events::wire::Form;
use futures_util::StreamExt;
use futures_util::stream::select_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::answer::Reply;
use crate::app::{App, Caller, Face};
use crate::http::router::members;
use crate::http::shape::{self, Framed};
use crate::identity::{self, Carried};
use crate::ops::{self, Operation};
use crate::params::{Params, Raw};

/// Name of the service.
pub const SERVICE: &str = "sapa";
/// Requests answered at once; more wait in the subscriptions.
pub const AT_ONCE_MAX: usize = 256;
/// What an answer leaves of the server's `max_payload`, for headers and protocol.
pub const PAYLOAD_SPARE_BYTES: usize = 8 * 1024;

/// Answers requests until asked to stop; then finishes those it has taken.
pub async fn serve_nats(
    app: Arc<App>,
    client: Client,
    stop: CancellationToken,
) -> Result<(), async_nats::Error> {
    let service = client
        .service_builder()
        .description("Customer interactions, event-sourced")
        .queue_group(SERVICE)
        .start(SERVICE, app.settings.version)
        .await?;
    let mut endpoints = Vec::new();
    for operation in ops::table().iter().filter(|it| it.on_nats) {
        let endpoint = service
            .endpoint_builder()
            .name(name(operation))
            .metadata(metadata(operation))
            .queue_group(SERVICE)
            .add(format!("{ROOT}.*.api.{}", operation.id))
            .await?;
        endpoints.push(endpoint.map(move |request| (operation, request)));
    }
    let mut requests = select_all(endpoints);
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let next = tokio::select! {
            next = requests.next() => next,
            () = stop.cancelled() => break,
        };
        let Some((operation, request)) = next else { break };
        let (app, client) = (Arc::clone(&app), client.clone());
        app.tracker.clone().spawn(async move {
            answer(&app, &client, operation, request).await;
            drop(place);
        });
    }
    // Every place that can be had again is a request that was answered.
    let all = u32::try_from(AT_ONCE_MAX).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(app.settings.grace, places.acquire_many(all)).await;
    service.stop().await?;
    client.flush().await?;
    Ok(())
}

/// `events-append`: unique, because the library keeps statistics by it.
fn name(operation: &Operation) -> String {
    operation.id.replace('.', "-")
}

fn metadata(operation: &Operation) -> HashMap<String, String> {
    let http = format!("{} {}", operation.method.as_str(), operation.path);
    HashMap::from([
        ("http".to_owned(), http),
        ("scope".to_owned(), operation.scope.as_str().to_owned()),
    ])
}

async fn answer(app: &Arc<App>, client: &Client, operation: &'static Operation, request: Request) {
    let started = Instant::now();
    let Some(reply) = request.message.reply.as_deref() else {
        app.metrics.count("sapa_api_refused_total", &[("reason", "no_reply")]);
        return;
    };
    if !app.settings.reply_prefixes.iter().any(|it| reply.starts_with(it.as_str())) {
        tracing::warn!(
            operation = operation.id,
            "reply_refused: the reply subject is not an inbox"
        );
        app.metrics.count("sapa_api_refused_total", &[("reason", "reply_refused")]);
        return;
    }
    let headers = request.message.headers.clone().unwrap_or_default();
    let mut framed = framed(app, &headers);
    let outcome = outcome(app, operation, &request.message, &headers, &mut framed).await;
    let max = client.server_info().max_payload.saturating_sub(PAYLOAD_SPARE_BYTES);
    let outcome = outcome.and_then(|it| fits(it, max));
    let (status, mut body, headers) = spelled(app, outcome, &framed);
    if planted(Mistake::EmptyAnswer) {
        body.clear();
    }
    if let Err(error) = request.respond_with_headers(Ok(body.into()), headers).await {
        tracing::warn!(operation = operation.id, error = %error, "an answer could not be sent");
    }
    app.metrics.request(&name(operation), status, started.elapsed());
}

/// A header by its documented name, or else by the same name in other letters: some clients write
/// all names in lower case.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let spelled = headers.get(name).map(HeaderValue::as_str);
    spelled.or_else(|| {
        let is_same =
            |it: &async_nats::HeaderName| AsRef::<str>::as_ref(it).eq_ignore_ascii_case(name);
        let found = headers.iter().find(|(it, _)| is_same(it));
        found.and_then(|(_, values)| values.first()).map(HeaderValue::as_str)
    })
}

fn framed(app: &App, headers: &HeaderMap) -> Framed {
    let mut http = axum::http::HeaderMap::new();
    for name in ["sapa-request-id", "traceparent", "accept-language"] {
        if let Some(value) = text(headers, name)
            && let Ok(name) = name.parse()
        {
            shape::set(&mut http, name, value);
        }
    }
    Framed::of(app, &http, None)
}

async fn outcome(
    app: &Arc<App>,
    operation: &'static Operation,
    message: &Message,
    headers: &HeaderMap,
    framed: &mut Framed,
) -> Result<Reply, Box<Problem>> {
    events::headers::within(pairs(headers).map(|(name, it)| name.len() + it.len() + 4).sum())?;
    let tenant: Tenant = message
        .subject
        .split('.')
        .nth(2)
        .and_then(|it| it.parse().ok())
        .ok_or_else(|| Box::new(Problem::of(Code::TenantUnknown)))?;
    let mut caller = identify(app, &tenant, headers, framed).await?;
    caller.subject = Some(message.subject.to_string());
    caller.needs(operation.scope)?;
    let mut params = Params::default();
    if operation.body == ops::Body::Events {
        params.raw = Some(raw(headers, message)?);
    } else {
        params = Params::of(members(&message.payload)?);
    }
    if let Some(language) = params.values().get("lang").and_then(|it| it.as_str()) {
        let language = events::problem::Language::first_of(language);
        caller.language = language.unwrap_or(caller.language);
        framed.language = caller.language;
    }
    ops::answer(app, operation, caller, params).await
}

async fn identify(
    app: &App,
    tenant: &Tenant,
    headers: &HeaderMap,
    framed: &mut Framed,
) -> Result<Caller, Box<Problem>> {
    let carried = Carried {
        authorization: text(headers, "Authorization"),
        tenant: text(headers, "Sapa-Tenant"),
        actor: text(headers, "Sapa-Actor"),
        at_least: text(headers, "Sapa-At-Least"),
        idempotency_key: text(headers, "Idempotency-Key"),
        if_match: text(headers, "If-Match"),
        trace: text(headers, "traceparent"),
        language: text(headers, "Accept-Language").and_then(events::problem::Language::first_of),
    };
    let keyed = app.settings.require_token || carried.authorization.is_some();
    let caller = if keyed {
        let caller = identity::by_key(app, Face::Request, carried, &framed.request_id).await?;
        // A key opens its own tenant's subjects and no others.
        if caller.tenant() != tenant {
            return Err(identity::other_tenant(caller.tenant(), tenant.as_str()));
        }
        caller
    } else {
        identity::by_subject(app, tenant, carried, &framed.request_id).await?
    };
    framed.language = caller.language;
    Ok(caller)
}

/// Events over request-reply: as over HTTP, or `{"events": […]}`.
fn raw(headers: &HeaderMap, message: &Message) -> Result<Raw, Box<Problem>> {
    let bytes = message.payload.clone();
    let pairs: Vec<_> = pairs(headers).collect();
    let form = Form::of(pairs.iter().copied())?.settled(&bytes)?;
    Ok(Raw { bytes, form, may_wrap: true })
}

/// Every header with every value.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |it| (name, it.as_str().as_bytes()))
    })
}

/// Refuses an answer that the server would not carry (N23).
fn fits(reply: Reply, max: usize) -> Result<Reply, Box<Problem>> {
    let bytes = reply.body.len();
    if bytes <= max {
        return Ok(reply);
    }
    Err(Box::new(
        Problem::new(
            Code::ReplyTooLarge,
            format!("The answer has {bytes} bytes; one message here carries {max}."),
            format!("Jawabannya {bytes} byte; satu pesan di sini memuat {max}."),
        )
        .hint("Ask for a smaller page with `limit`.", "Minta halaman lebih kecil dengan `limit`."),
    ))
}

fn spelled(
    app: &App,
    outcome: Result<Reply, Box<Problem>>,
    framed: &Framed,
) -> (u16, String, HeaderMap) {
    let mut headers = HeaderMap::new();
    headers.insert("Sapa-Request-Id", framed.request_id.as_str());
    let (status, body) = match outcome {
        Ok(reply) => {
            headers.insert("Content-Type", "application/json");
            for (name, value) in &reply.headers {
                let name = match *name {
                    "sapa-position" => "Sapa-Position",
                    "idempotent-replayed" => "Idempotent-Replayed",
                    "location" => "Location",
                    "etag" => "ETag",
                    other => other,
                };
                headers.insert(name, value.as_str());
            }
            // What has nothing to say over HTTP says so in JSON here: an empty answer looks like none.
            let body = if reply.body.is_empty() { "{}".to_owned() } else { reply.body };
            (reply.status, body)
        }
        Err(problem) => {
            headers.insert("Content-Type", "application/problem+json");
            headers.insert("Content-Language", framed.language.tag());
            headers.insert(NATS_SERVICE_ERROR, problem.code.as_str());
            let status = shape::status(&problem);
            headers.insert(NATS_SERVICE_ERROR_CODE, status.to_string().as_str());
            (status, shape::problem_text(app, &problem, framed))
        }
    };
    headers.insert("Sapa-Status", status.to_string().as_str());
    (status, body, headers)
}
