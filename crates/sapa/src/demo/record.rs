//! Recording the story through the doors that everybody uses: history as batches over HTTP, the
//! last day as plain publishes over NATS. It ends when every read model has caught up, the first
//! decisions are made and the relay has told all of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use events::kind::Kind;
use events::time::Clock;
use jiff::{SignedDuration, Timestamp};
use reactions::Reactor;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::story::{self, Plan, StoryEvent};
use crate::client::{Answer, Call, Client, Method};
use crate::exit::{Exit, Failure};
use crate::say;
use crate::serve::service::Service;

/// Events of one batch.
const BATCH: usize = 512;
/// Publishes whose acknowledgement is waited for at once.
const WINDOW: usize = 256;
/// How long anything may take to catch up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the state is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Records the whole story. Sent again, it is recorded once.
pub async fn story(service: &Service, key: &str, plan: &Plan) -> Result<usize, Failure> {
    let events = tokio::task::block_in_place(|| story::events(plan));
    let over_nats = service.parts.pipes.as_ref().map(|it| jetstream::new(it.relay.clone()));
    let day = plan.now - SignedDuration::from_hours(24);
    let cut = match over_nats {
        Some(_) => events.partition_point(|it| it.time < day),
        None => events.len(),
    };
    let (history, last_day) = events.split_at(cut);
    let client = client(service, key)?;
    for batch in history.chunks(BATCH) {
        send(&client, batch).await?;
    }
    if let Some(context) = over_nats {
        publish(service, &context, last_day).await?;
        recorded(service, events.len()).await?;
    }
    end_import(&client).await?;
    Ok(events.len())
}

fn client(service: &Service, key: &str) -> Result<Client, Failure> {
    let headers = vec![("Authorization", format!("Bearer {key}"))];
    Client::new(&format!("http://{}", service.http), headers)
}

async fn send(client: &Client, batch: &[StoryEvent]) -> Result<(), Failure> {
    let texts: Vec<&str> = batch.iter().map(|it| it.json.as_str()).collect();
    let call = Call::new(Method::POST, &["v1", "events"]).sending(
        "application/cloudevents-batch+json",
        format!("[{}]", texts.join(",")).into_bytes(),
    );
    done(&client.call(&call).await?)
}

/// Silences in the history may ring from now on; otherwise they would wait for a minute of quiet.
async fn end_import(client: &Client) -> Result<(), Failure> {
    let call = Call::new(Method::POST, &["v1", "events", "import", "end"])
        .sending("application/json", b"{}".to_vec());
    done(&client.call(&call).await?)
}

fn done(answer: &Answer) -> Result<(), Failure> {
    if answer.exit() == Exit::Done {
        return Ok(());
    }
    let problem = answer.json();
    Err(Failure::internal(format!("the story was refused: {problem}")))
}

async fn publish(
    service: &Service,
    context: &Context,
    events: &[StoryEvent],
) -> Result<(), Failure> {
    for window in events.chunks(WINDOW) {
        let mut waiting = Vec::with_capacity(window.len());
        for event in window {
            waiting.push(publish_one(service, context, event).await?);
        }
        for it in waiting {
            it.await.map_err(|error| refused(&error))?;
        }
    }
    Ok(())
}

async fn publish_one(
    service: &Service,
    context: &Context,
    event: &StoryEvent,
) -> Result<jetstream::context::PublishAckFuture, Failure> {
    let (topic, action) = &event.topic_action;
    let kind = Kind::from_name(&format!("{topic}.{action}"))
        .ok_or_else(|| Failure::internal(format!("the story has no kind {topic}.{action}")))?;
    let subject = events::subject::ingress(&service.base.config.tenant, kind);
    let mut headers = HeaderMap::new();
    headers.insert("Content-Type", "application/cloudevents+json");
    let body = event.json.clone().into_bytes().into();
    context.publish_with_headers(subject, headers, body).await.map_err(|error| refused(&error))
}

fn refused(error: &impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Unavailable,
        say!(
            "nats-server did not accept the story: {error}",
            "nats-server tidak menerima ceritanya: {error}"
        ),
        say!(
            "Start `sapa demo --fresh`, or `sapa demo --no-nats`.",
            "Jalankan `sapa demo --fresh`, atau `sapa demo --no-nats`."
        ),
    )
}

/// Waits until so many events are in the log.
async fn recorded(service: &Service, wanted: usize) -> Result<(), Failure> {
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    let deadline = Instant::now() + PATIENCE;
    while service.base.log.head().await? < wanted {
        let lost = service.parts.told.ingest.quarantined.load(Ordering::Relaxed);
        if 0 < lost || deadline < Instant::now() {
            return Err(Failure::new(
                Exit::Failed,
                say!(
                    "the last day was not recorded; {lost} events are in quarantine",
                    "hari terakhir tidak tercatat; {lost} peristiwa ada di karantina"
                ),
                say!("Look at `sapa quarantine list`.", "Lihat `sapa quarantine list`."),
            ));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Makes the first decisions, lets the clock make the next ones, and waits until everything that
/// was recorded is seen everywhere. Returns the position.
pub async fn settle(service: &Service, now: Timestamp) -> Result<i64, Failure> {
    let parts = &service.parts;
    seen(service).await?;
    let app = std::sync::Arc::clone(&parts.app);
    let keys: reactions::Keys = std::sync::Arc::new(move |tenant| {
        app.tenants.get(tenant).map(|it| it.fingerprint_key.clone())
    });
    let reactor = Reactor::new(parts.views.clone(), service.base.appender.clone(), keys);
    loop {
        let ticked = reactor.tick(now).await.map_err(Failure::internal)?;
        if ticked.appended == 0 && !ticked.behind {
            break;
        }
    }
    service.base.decide.cancel();
    seen(service).await
}

/// Waits until read models and relay are at the head. Returns it.
async fn seen(service: &Service) -> Result<i64, Failure> {
    let head = service.base.log.head().await?;
    let is_there = service.parts.views.wait_for(head, PATIENCE).await?;
    let deadline = Instant::now() + PATIENCE;
    let told = || service.parts.told.relay.position.load(Ordering::Relaxed);
    while is_there && service.parts.pipes.is_some() && told() < head {
        if deadline < Instant::now() {
            break;
        }
        sleep(LOOK).await;
    }
    let is_told = service.parts.pipes.is_none() || head <= told();
    if is_there && is_told {
        return Ok(head);
    }
    Err(Failure::internal(format!("position {head} is not seen everywhere after a minute")))
}

/// Goes on with one new event at every interval, until asked to stop.
pub async fn live(
    service: Live,
    plan: Plan,
    every: Duration,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let period = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    loop {
        tokio::select! {
            () = sleep(every) => {}
            () = stop.cancelled() => return Ok(()),
        }
        let now = service.clock.now();
        // It grows over restarts too, since time does.
        let n = now.duration_since(plan.now).as_millis() / i128::from(period);
        let event = story::live(&plan, u64::try_from(n).unwrap_or_default(), now);
        if let Err(failure) = service.send(&event).await {
            tracing::warn!(why = %failure.what, "an event of the demo was not sent");
        }
    }
}

/// The way of the demo's next events.
#[derive(Clone, Debug)]
pub struct Live {
    /// The time.
    pub clock: std::sync::Arc<dyn Clock>,
    client: Client,
    context: Option<(Context, events::id::Tenant)>,
}

impl Live {
    /// Over NATS if there is one, else over HTTP.
    pub fn new(service: &Service, key: &str) -> Result<Self, Failure> {
        let tenant = service.base.config.tenant.clone();
        let pipes = service.parts.pipes.as_ref();
        Ok(Self {
            clock: std::sync::Arc::clone(&service.base.clock),
            client: client(service, key)?,
            context: pipes.map(|it| (jetstream::new(it.relay.clone()), tenant)),
        })
    }

    async fn send(&self, event: &StoryEvent) -> Result<(), Failure> {
        let Some((context, tenant)) = &self.context else {
            return send(&self.client, std::slice::from_ref(event)).await;
        };
        let (topic, action) = &event.topic_action;
        let subject = format!("sapa.v1.{tenant}.in.{topic}.{action}");
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", "application/cloudevents+json");
        let body = event.json.clone().into_bytes().into();
        let ack = context.publish_with_headers(subject, headers, body).await;
        ack.map_err(|error| refused(&error))?.await.map_err(|error| refused(&error))?;
        Ok(())
    }
}
