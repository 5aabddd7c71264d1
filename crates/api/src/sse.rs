//! `GET /v1/stream`: recorded facts as they come in, as server-sent events.
//!
//! Who may not read the log but may take on alerts hears alerts and nothing else. The id of an event is its position, so a client that reconnects misses nothing and sees nothing
//! twice, on any instance (S1, S2). A client that does not read is told `bye` and cut off; nothing
//! is dropped silently (S4).

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Response, header};
use bytes::Bytes;
use events::envelope::Recorded;
use events::id::CustomerId;
use events::problem::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use crate::answer::unread;
use crate::app::{App, Caller};
use crate::http::router::{Served, acceptable, framed, identify, path_and_query};
use crate::http::shape;
use crate::ops::facts::{prefixes, reached};
use crate::ops::mask;
use crate::params::invalid;
use crate::scope::Scope;

/// Events that may wait for a client that does not read.
pub const WAITING_MAX: usize = 1_024;
/// How long they may wait before the client counts as gone.
const SLOW_AFTER: Duration = Duration::from_secs(5);
/// A stream with nothing to say says where it is this often.
const IDLE: Duration = Duration::from_secs(15);
/// What another instance records rings no bell here, so it is looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a key is looked at again.
const KEY_EVERY: Duration = Duration::from_secs(10);
/// What the types of alerts begin with.
const ALERTS: &str = "sapa.alert.";
/// Positions of one look.
const PAGE: usize = 256;

/// What a client wants to hear.
#[derive(Debug)]
struct Wanted {
    prefixes: Option<Vec<String>>,
    customers: Vec<CustomerId>,
}

impl Wanted {
    /// Narrows the wish to alerts; one that names anything else needs the scope for it.
    fn keep_to_alerts(&mut self, caller: &Caller) -> Result<(), Box<Problem>> {
        match &self.prefixes {
            Some(prefixes) if prefixes.is_empty() => self.prefixes = Some(vec![ALERTS.to_owned()]),
            Some(prefixes) if prefixes.iter().any(|it| !it.starts_with(ALERTS)) => {
                return caller.needs(Scope::EventsRead);
            }
            _ => {}
        }
        Ok(())
    }

    fn has(&self, it: &Recorded, caller: &Caller) -> bool {
        let Some(prefixes) = &self.prefixes else { return false };
        let name = it.kind.type_name(it.schema_version);
        it.tenant == *caller.tenant()
            && (prefixes.is_empty()
                || prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())))
            && (self.customers.is_empty()
                || it.customer.as_ref().is_some_and(|it| self.customers.contains(it)))
    }
}

/// Opens a live stream.
pub(crate) async fn stream(State(served): State<Served>, request: Request) -> Response<Body> {
    let mut framed = framed(&served.app, &request);
    match open(&served, request, &mut framed).await {
        Ok(response) => response,
        Err(problem) => shape::problem(&served.app, &problem, &framed),
    }
}

async fn open(
    served: &Served,
    request: Request,
    framed: &mut shape::Framed,
) -> Result<Response<Body>, Box<Problem>> {
    let app = &served.app;
    let (mut parts, _) = request.into_parts();
    acceptable(&parts.headers, "text/event-stream")?;
    let caller = identify(app, &parts, framed).await?;
    let alerts_only = alerts_only(&caller)?;
    let params = path_and_query(&mut parts).await?;
    params.only(&["topic", "type", "customer", "after", "lang", "tz"])?;
    let mut read = params.read();
    let after = read.position("after");
    read.zone("tz");
    let customers: Result<Vec<CustomerId>, _> =
        read.texts("customer").into_iter().map(str::parse).collect();
    let customers = customers.unwrap_or_else(|error: events::id::IdError| {
        read.fault("customer", "type", error.to_string(), "id pelanggan tidak sah");
        Vec::new()
    });
    let (topics, types) = (read.texts("topic"), read.texts("type"));
    read.done()?;
    let mut wanted = Wanted { prefixes: prefixes(&topics, &types)?, customers };
    if alerts_only {
        wanted.keep_to_alerts(&caller)?;
    }
    let last_seen = last_event(&parts.headers)?;
    let head = app.log.head().await.map_err(|error| unread(&error))?;
    reached(head, last_seen.or(after))?;
    let after = last_seen.or(after).unwrap_or(head);
    let place = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| too_many())?;

    let (lines, waiting) = mpsc::channel(WAITING_MAX);
    let goodbye = Arc::new(OnceLock::new());
    let writer = Writer {
        served: served.clone(),
        caller,
        wanted,
        lines,
        goodbye: Arc::clone(&goodbye),
        position: after,
    };
    app.tracker.spawn(writer.run());
    let mut response = Response::new(body(waiting, goodbye, place));
    let headers = response.headers_mut();
    shape::set(headers, header::CONTENT_TYPE, "text/event-stream");
    shape::set(headers, header::CACHE_CONTROL, "no-store");
    shape::set(headers, HeaderName::from_static("x-accel-buffering"), "no");
    Ok(response)
}

/// The position of the last event that a client has seen, if it says so.
fn last_event(headers: &HeaderMap) -> Result<Option<i64>, Box<Problem>> {
    let value = headers.get("last-event-id").filter(|it| !it.is_empty());
    let Some(value) = value else { return Ok(None) };
    let position = value.to_str().ok().and_then(|it| it.parse().ok()).filter(|it| 0 <= *it);
    position.map(Some).ok_or_else(|| {
        invalid(
            "Last-Event-ID",
            "type",
            "must be the position of an event of this stream",
            "harus posisi sebuah peristiwa dari aliran ini",
        )
    })
}

/// Whether a caller may hear alerts and nothing else; refuses one who may not even do that.
fn alerts_only(caller: &Caller) -> Result<bool, Box<Problem>> {
    if caller.scopes.allow(Scope::EventsRead) {
        return Ok(false);
    }
    if caller.scopes.allow(Scope::AlertAck) && caller.scopes.allow(Scope::TimelineRead) {
        return Ok(true);
    }
    caller.needs(Scope::EventsRead).map(|()| false)
}

fn too_many() -> Box<Problem> {
    Box::new(Problem::new(
        Code::Unavailable,
        "There are as many live streams as this process serves.",
        "Jumlah aliran langsung di proses ini sudah penuh.",
    ))
}

/// The lines as a body; when the writer is gone, why it went.
fn body(
    waiting: mpsc::Receiver<Bytes>,
    goodbye: Arc<OnceLock<&'static str>>,
    place: OwnedSemaphorePermit,
) -> Body {
    let first = Bytes::from_static(b"retry: 2000\n\n");
    let state = (Some(first), Some(waiting), goodbye, place);
    Body::from_stream(futures_util::stream::unfold(state, |state| async move {
        let (first, waiting, goodbye, place) = state;
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (None, waiting, goodbye, place)));
        }
        let mut waiting = waiting?;
        if let Some(line) = waiting.recv().await {
            return Some((Ok(line), (None, Some(waiting), goodbye, place)));
        }
        let reason = goodbye.get()?;
        let bye = format!("event: bye\ndata: {{\"reason\":\"{reason}\"}}\n\n");
        Some((Ok(Bytes::from(bye)), (None, None, goodbye, place)))
    }))
}

/// What reads the log for one client.
struct Writer {
    served: Served,
    caller: Caller,
    wanted: Wanted,
    lines: mpsc::Sender<Bytes>,
    goodbye: Arc<OnceLock<&'static str>>,
    position: i64,
}

/// How one look at the log ended.
enum Look {
    /// There may be more at once.
    More,
    /// Nothing more for now.
    CaughtUp,
    /// The client is gone, or has been told to go.
    Over,
}

impl Writer {
    async fn run(mut self) {
        let app = Arc::clone(&self.served.app);
        let mut spoke = Instant::now();
        let mut asked = Instant::now();
        loop {
            if KEY_EVERY <= asked.elapsed() {
                asked = Instant::now();
                if !self.key_holds(&app).await {
                    return self.bye("revoked");
                }
            }
            // Listen first: what is recorded while we look must not be slept through.
            let rung = app.bell.listen();
            let before = self.position;
            match self.look(&app, &mut spoke).await {
                Look::Over => return,
                Look::More => continue,
                Look::CaughtUp => {}
            }
            if IDLE <= spoke.elapsed() {
                spoke = Instant::now();
                let position = self.position;
                let line = format!(
                    "id: {position}\nevent: position\ndata: {{\"position\":{position}}}\n\n"
                );
                if !self.say(Bytes::from(line)).await {
                    return;
                }
            }
            let moved = before < self.position;
            tokio::select! {
                () = rung => (),
                () = tokio::time::sleep(LOOK_EVERY), if !moved => (),
                () = self.served.stop.cancelled() => return self.bye("shutdown"),
                () = self.lines.closed() => return,
                () = std::future::ready(()), if moved => (),
            }
        }
    }

    async fn look(&mut self, app: &App, spoke: &mut Instant) -> Look {
        if self.served.stop.is_cancelled() {
            self.bye("shutdown");
            return Look::Over;
        }
        let page = match app.log.read_after(self.position, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(error = %error, "a live stream could not read the log");
                return Look::CaughtUp;
            }
        };
        let full = page.len() == PAGE;
        for it in page {
            self.position = it.position;
            if !self.wanted.has(&it, &self.caller) {
                continue;
            }
            *spoke = Instant::now();
            if !self.say(line(&it, &self.caller)).await {
                return Look::Over;
            }
        }
        if full { Look::More } else { Look::CaughtUp }
    }

    /// Hands a line over; a client that lets lines wait too long is told to go.
    async fn say(&self, line: Bytes) -> bool {
        use mpsc::error::SendTimeoutError;
        let said = tokio::select! {
            said = self.lines.send_timeout(line, SLOW_AFTER) => said,
            () = self.served.stop.cancelled() => {
                self.bye("shutdown");
                return false;
            }
        };
        match said {
            Ok(()) => true,
            Err(SendTimeoutError::Timeout(_)) => {
                self.bye("slow");
                false
            }
            Err(SendTimeoutError::Closed(_)) => false,
        }
    }

    /// Ends the stream; the body says why after what is still waiting.
    fn bye(&self, reason: &'static str) {
        let _ = self.goodbye.set(reason);
        self.served.app.metrics.count("sapa_sse_cut_total", &[("reason", reason)]);
    }

    async fn key_holds(&self, app: &App) -> bool {
        match &self.caller.key_id {
            Some(key_id) => app.keys.still_holds(app.db(), key_id, app.clock.now()).await,
            None => true,
        }
    }
}

fn line(it: &Recorded, caller: &Caller) -> Bytes {
    let name = it.kind.type_name(it.schema_version);
    // JSON text holds no line breaks of its own, so one data line is the whole event.
    let data = mask::write(it, caller);
    Bytes::from(format!("id: {}\nevent: {name}\ndata: {data}\n\n", it.position))
}
