//! P4, P6 and P8: recording over HTTP, from publishing to the timeline, and reading timelines.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use events::time::Clock as _;
use futures_util::future::join_all;
use sapa::clock::SystemClock;
use serde_json::Value;

use crate::append::unnested;
use crate::folded::{On, fill};
use crate::ground::{CALLERS, Ground, OpenLog, broker, millis, rate};
use crate::load;
use crate::report::{Goal, Line, Report, median, quantile};
use crate::serving::{Connection, Serving, request};

/// Events of one round over HTTP.
const EVENTS: u64 = 40_000;
/// Events of one batch over HTTP.
const BATCH: u64 = 100;
/// Timelines asked for in one round.
const PAGES: u64 = 20_000;
/// Events behind the timelines.
const HISTORY: u64 = 1_000_000;
/// Customers behind the timelines.
const CUSTOMERS: u64 = 10_000;
/// What is published a second while the way to the timeline is timed.
const PUBLISHED_PER_SECOND: u32 = 500;

/// P4: beside the raw batched insert; the ratio to P1 is read off the table.
pub async fn appends(ground: &Ground, report: &mut Report) {
    let count = ground.amount(EVENTS);
    let (mut single, mut batched, mut raw) = (vec![], vec![], vec![]);
    let mut library = vec![];
    for _ in 0..ground.rounds {
        let url = ground.database().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = [("DATABASE_URL", url.as_str())];
        let serving = Serving::start(&ground.program, folder.path(), &["serve"], &settings);
        serving.answers().await;
        let key = serving.key();
        single.push(requests(serving.port, count, &singles(&key, count)).await);
        batched.push(requests(serving.port, count, &batches(&key, count)).await);
        serving.end().await;
        raw.push(unnested(&ground.raw_postgres(1).await, count).await);
        library.push(crate::append::many_callers(&OpenLog::postgres(ground).await, count).await);
    }
    report.add(
        Line::plain(
            "P4",
            "POST /v1/events, one event, 64 connections, PostgreSQL",
            &single,
            "events/s",
        )
        .beside("the library with 64 callers", &library)
        .goal(Goal::AtLeast(0.6)),
    );
    report.add(
        Line::plain("P4", "POST /v1/events, batches of 100, PostgreSQL", &batched, "events/s")
            .beside("unnest of 512 rows", &raw)
            .goal(Goal::AtLeast(0.8)),
    );
}

fn singles(key: &str, count: u64) -> Vec<Vec<u8>> {
    let now = SystemClock.now();
    let one = |n| load::note(n, 10_000, now).to_string().into_bytes();
    (0..count).map(|n| request("POST", "/v1/events", key, &one(n))).collect()
}

fn batches(key: &str, count: u64) -> Vec<Vec<u8>> {
    let now = SystemClock.now();
    (0..count / BATCH)
        .map(|n| {
            let from = count + n * BATCH;
            let all: Vec<Value> =
                (from..from + BATCH).map(|n| load::note(n, 10_000, now)).collect();
            let body = Value::from(all).to_string();
            let bytes = request("POST", "/v1/events", key, body.as_bytes());
            let text = String::from_utf8(bytes).expect("a request is text");
            text.replacen("cloudevents+json", "cloudevents-batch+json", 1).into_bytes()
        })
        .collect()
}

/// Sends requests on 64 connections; counted things a second.
async fn requests(port: u16, things: u64, all: &[Vec<u8>]) -> f64 {
    let mut connections = Vec::new();
    for _ in 0..CALLERS {
        connections.push(Connection::open(port).await.unwrap());
    }
    let shares: Vec<Vec<Vec<u8>>> = (0..CALLERS as usize)
        .map(|caller| all.iter().skip(caller).step_by(CALLERS as usize).cloned().collect())
        .collect();
    let began = Instant::now();
    let callers = connections.into_iter().zip(shares).map(|(mut connection, share)| {
        tokio::spawn(async move {
            for request in share {
                let (status, body) = connection.ask(&request).await.unwrap();
                assert!(status < 300, "{status} {}", String::from_utf8_lossy(&body));
            }
        })
    });
    for caller in join_all(callers.collect::<Vec<_>>()).await {
        caller.unwrap();
    }
    rate(things, began.elapsed())
}

/// P6: from publishing to the timeline, on a service that takes 500 events a second meanwhile.
pub async fn visible(ground: &Ground, report: &mut Report) {
    for on in [On::Sqlite, On::Postgres] {
        let folder = tempfile::tempdir().unwrap();
        let server = broker(&folder.path().join("nats")).await;
        let url = server.url();
        let mut settings = vec![("SAPA_NATS__URL", url)];
        if on == On::Postgres {
            settings.push(("DATABASE_URL", ground.database().await));
        }
        let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
        Serving::run(&ground.program, folder.path(), &["setup"], &settings).await;
        let serving = Serving::start(&ground.program, folder.path(), &["serve"], &settings);
        serving.answers().await;
        let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        while context.get_stream("SAPA_IN").await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let key = serving.key();
        let seconds = u32::try_from(ground.amount(2_000) / 100).unwrap_or(20);
        let background = tokio::spawn(publish(context.clone(), PUBLISHED_PER_SECOND * seconds));
        let (mut seen, mut acknowledged, mut recorded) = (Vec::new(), Vec::new(), Vec::new());
        let mut connection = Connection::open(serving.port).await.unwrap();
        let mut n = 0;
        while !background.is_finished() {
            n += 1;
            let probe = probe(&context, &mut connection, &key, n).await;
            acknowledged.push(probe.acknowledged);
            recorded.push(probe.recorded);
            seen.push(probe.seen);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        background.await.unwrap();
        seen.sort_by(f64::total_cmp);
        let what = format!("published until on the timeline, p50, {}", on.name());
        report.add(
            Line::plain("P6", what, &[median(&seen)], "ms")
                .beside("the broker's acknowledgement, p50", &[median(&acknowledged)])
                .goal(Goal::AtMost(3.0)),
        );
        let what = format!("published until its commit began, p50, {}", on.name());
        report.add(Line::plain("P6", what, &[median(&recorded)], "ms"));
        let what = format!("published until on the timeline, p99, {}", on.name());
        report
            .add(Line::plain("P6", what, &[quantile(&seen, 0.99)], "ms").goal(Goal::AtMost(30.0)));
        serving.end().await;
        server.stop().await;
    }
}

async fn publish(context: jetstream::Context, count: u32) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PUBLISHED_PER_SECOND);
    for n in 0..u64::from(count) {
        ticks.tick().await;
        let body = load::note(n, 1_000, SystemClock.now()).to_string();
        let subject = "sapa.v1.main.in.interaction.noted";
        // Open loop: the next one does not wait for the broker.
        let ack = context.publish(subject, body.into()).await.unwrap();
        tokio::spawn(async move { ack.await.map(drop) });
    }
}

/// Milliseconds from publishing an event.
struct Probe {
    /// Until the broker had it.
    acknowledged: f64,
    /// Until the log began to commit it: its `recorded_at`, by the same clock.
    recorded: f64,
    /// Until the timeline showed it.
    seen: f64,
}

async fn probe(
    context: &jetstream::Context,
    connection: &mut Connection,
    key: &str,
    n: u64,
) -> Probe {
    let mut event = load::note(n, 1, SystemClock.now());
    event["id"] = format!("probe-{n}").into();
    event["subject"] = format!("probe-{n}").into();
    let path = format!("/v1/customers/probe-{n}/timeline?limit=1");
    let ask = request("GET", &path, key, b"");
    let (began, published) = (Instant::now(), SystemClock.now());
    let subject = "sapa.v1.main.in.interaction.noted";
    let ack = context.publish(subject, event.to_string().into()).await.unwrap();
    ack.await.unwrap();
    let acknowledged = millis(began);
    loop {
        let (status, body) = connection.ask(&ask).await.unwrap();
        // Nobody knew the customer before.
        if status == 200 {
            let seen = millis(began);
            let page: Value = serde_json::from_slice(&body).expect("an answer is JSON");
            let at = page["items"][0]["recorded_at"].as_str().unwrap_or_default();
            let at: jiff::Timestamp = at.parse().expect("an entry says when it was recorded");
            let recorded = at.duration_since(published).as_secs_f64() * 1e3;
            return Probe { acknowledged, recorded, seen };
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "never visible: {status} {}",
            String::from_utf8_lossy(&body)
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// P8: pages of 50 out of a long history, beside the same question asked of the database.
pub async fn timelines(ground: &Ground, report: &mut Report) {
    let (events, customers) = (ground.amount(HISTORY), ground.amount(CUSTOMERS));
    let log = On::Postgres.open(ground).await;
    fill(&log, 0, events, customers).await;
    let store::db::Place::Server(url) = log.place.clone() else { panic!("a server was opened") };
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", url.as_str())];
    let serving = Serving::start(&ground.program, folder.path(), &["serve"], &settings);
    serving.answers().await;
    let head = log.log.head().await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a count of events")]
    let head = head as f64;
    let name = "sapa_projection_position{projection=\"timeline\"}";
    while serving.metric(name).await.is_none_or(|it| it < head) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let key = serving.key();
    let count = ground.amount(PAGES);
    let (mut ours, mut raw) = (vec![], vec![]);
    for _ in 0..ground.rounds {
        raw.push(selects(&url, count, customers).await);
        let ask = |n: u64| {
            let path = format!("/v1/customers/c-{}/timeline?limit=50", n * 7 % customers);
            request("GET", &path, &key, b"")
        };
        let all: Vec<Vec<u8>> = (0..count).map(ask).collect();
        ours.push(requests(serving.port, count, &all).await);
    }
    serving.end().await;
    report.add(
        Line::plain(
            "P8",
            format!("timeline pages of 50 over {events} events, PostgreSQL"),
            &ours,
            "pages/s",
        )
        .beside("the same SQL on 64 connections", &raw)
        .goal(Goal::AtLeast(0.5)),
    );
}

/// The question behind a page, as often, on 64 connections.
async fn selects(url: &str, count: u64, customers: u64) -> f64 {
    let pool =
        sqlx::postgres::PgPoolOptions::new().max_connections(CALLERS).min_connections(CALLERS);
    let pool = pool.connect(url).await.unwrap();
    let schema: String = sqlx::query_scalar(
        "SELECT schemaname FROM pg_tables WHERE tablename = 'timeline' ORDER BY 1 DESC LIMIT 1",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let text = format!(
        "SELECT t.occurred_at, t.position, t.phase, t.direction, t.out_of_order, e.type, e.data FROM {schema}.timeline t JOIN log.events e USING (position)
          WHERE t.holder = $1 AND t.tenant = 'main'
          ORDER BY t.occurred_at DESC, t.position DESC LIMIT 50"
    );
    let text: &'static str = text.leak();
    let began = Instant::now();
    let callers = (0..u64::from(CALLERS)).map(|caller| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut connection = pool.acquire().await.unwrap();
            for n in (caller..count).step_by(CALLERS as usize) {
                let customer = format!("c-{}", n * 7 % customers);
                sqlx::query(text).bind(customer).fetch_all(&mut *connection).await.unwrap();
            }
        })
    });
    for caller in join_all(callers.collect::<Vec<_>>()).await {
        caller.unwrap();
    }
    rate(count, began.elapsed())
}
