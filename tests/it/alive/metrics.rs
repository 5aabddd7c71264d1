//! Every line of the table of metrics exists from the start, and something drives it off zero.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api::metrics::{Kind, TABLE};
use api::surroundings::{Action, Surroundings as _};
use sapa::serve::told::Told;
use serde_json::json;

use super::{Live, contact, fact, is_a_test, question};
use crate::program::http_client;
use crate::support::event;
use crate::support_nats::eventually;

/// What drives a metric.
enum Drive {
    /// The scene below.
    Scene,
    /// A counter of another part, which this moves, and which the named test moves in earnest.
    Counter(fn(&Told), &'static str),
    /// A test of its own.
    Test(&'static str),
}

use Drive::{Counter, Scene, Test};

const CASES: &[(&str, Drive)] = &[
    ("sapa_build_info", Scene),
    ("sapa_events_total", Scene),
    ("sapa_append_duration_seconds", Scene),
    ("sapa_append_group_requests", Scene),
    ("sapa_append_queue_requests", Scene),
    ("sapa_log_position", Scene),
    (
        "sapa_log_rollbacks_total",
        Counter(
            |it| it.relay.log_rollbacks.store(1, Ordering::Relaxed),
            "f36_a_standby_that_misses_commits_publishes_nothing_under_their_positions",
        ),
    ),
    ("sapa_ingest_pending_messages", Scene),
    ("sapa_ingest_oldest_age_seconds", Scene),
    ("sapa_ingest_fill_ratio", Scene),
    (
        "sapa_ingest_redelivered_total",
        Counter(
            |it| it.ingest.redelivered.store(1, Ordering::Relaxed),
            "f57_order_is_kept_when_the_pinned_instance_dies_in_the_middle_of_a_batch",
        ),
    ),
    (
        "sapa_ingest_pull_rebuilds_total",
        Counter(
            |it| it.ingest.pull_rebuilds.store(1, Ordering::Relaxed),
            "a_pull_is_set_up_again_when_its_consumer_was_deleted_and_made_anew",
        ),
    ),
    ("sapa_ingest_takeovers_total", Scene),
    ("sapa_quarantine_total", Scene),
    ("sapa_quarantine_open", Scene),
    ("sapa_visible_seconds", Scene),
    ("sapa_projection_position", Scene),
    ("sapa_projection_lag_events", Scene),
    ("sapa_projection_parked_customers", Scene),
    ("sapa_projection_paused", Scene),
    ("sapa_projection_failures_total", Scene),
    ("sapa_rebuild_position", Scene),
    ("sapa_reaction_tick_seconds", Scene),
    ("sapa_reaction_events_total", Scene),
    ("sapa_reaction_late_seconds", Scene),
    ("sapa_relay_position", Scene),
    (
        "sapa_relay_lag_events",
        Counter(
            |it| it.relay.lag.store(1, Ordering::Relaxed),
            "every_position_is_published_once_and_in_order_over_a_restart",
        ),
    ),
    (
        "sapa_relay_fenced_total",
        Counter(
            |it| it.relay.fenced.store(1, Ordering::Relaxed),
            "f59_a_relay_that_was_taken_over_stores_nothing_and_ends",
        ),
    ),
    ("sapa_alerts_open", Scene),
    ("sapa_alert_events_total", Scene),
    ("sapa_clock_customers", Scene),
    ("sapa_obligations_open", Scene),
    ("sapa_promises_overdue", Scene),
    ("sapa_http_requests_total", Scene),
    ("sapa_http_request_duration_seconds", Scene),
    ("sapa_api_requests_total", Scene),
    ("sapa_api_request_duration_seconds", Scene),
    ("sapa_api_refused_total", Scene),
    ("sapa_sse_clients", Scene),
    ("sapa_sse_cut_total", Scene),
    ("sapa_nats_connected", Scene),
    ("sapa_nats_reconnects_total", Scene),
    (
        "sapa_broker_rollbacks_total",
        Counter(
            |it| it.ingest.broker_rollbacks.store(1, Ordering::Relaxed),
            "f16_a_stream_that_is_shorter_than_it_was_seen_has_lost_its_tail",
        ),
    ),
    ("sapa_lease_held", Scene),
    ("sapa_db_pool_connections", Scene),
    ("sapa_db_retries_total", Test("a_lost_connection_is_counted_and_the_append_succeeds")),
];

/// The values of all series of a metric: of a histogram, how often something was observed.
fn values(text: &str, name: &str, kind: Kind) -> Vec<f64> {
    let name = if kind == Kind::Histogram { format!("{name}_count") } else { name.to_owned() };
    let of = |line: &str| {
        let rest = line.strip_prefix(&name)?;
        let is_own = rest.starts_with('{') || rest.starts_with(' ');
        is_own.then(|| rest.rsplit(' ').next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(of).collect()
}

/// The scrapes of a scene, each metric at its highest.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    fn moved(&self, name: &str, kind: Kind) -> bool {
        self.0.iter().any(|text| values(text, name, kind).iter().any(|it| 0.0 < *it))
    }

    fn has(&self, line: &str) -> bool {
        let moved = |it: &str| {
            let value = it.strip_prefix(line).and_then(|it| it.trim().parse::<f64>().ok());
            value.is_some_and(|it| 0.0 < it)
        };
        self.0.iter().any(|text| text.lines().any(moved))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_exists_from_the_start_and_moves() {
    let named: BTreeSet<&str> = CASES.iter().map(|it| it.0).collect();
    let known: BTreeSet<&str> = TABLE.iter().map(|it| it.name).collect();
    assert_eq!(named, known, "a metric without a case, or a case without a metric");
    for (name, drive) in CASES {
        if let Counter(_, test) | Test(test) = drive {
            assert!(is_a_test(test), "{name}: there is no test {test}");
        }
    }
    let live = Arc::new(
        Live::start(&[
            ("nats.in_max_bytes", "1MiB"),
            ("nats.out_max_bytes", "8MiB"),
            ("nats.managed_port", &crate::program::free_port().to_string()),
            ("database.statement_timeout", "300ms"),
            ("reactions.tick", "200ms"),
        ])
        .await,
    );
    let first = live.metrics().await;
    for series in TABLE {
        for fixed in series.fixed() {
            let labels: Vec<String> =
                fixed.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
            let name = if series.kind == Kind::Histogram {
                format!("{}_count", series.name)
            } else {
                series.name.to_owned()
            };
            let sample = if labels.is_empty() {
                format!("\n{name} ")
            } else {
                format!("\n{name}{{{}}} ", labels.join(","))
            };
            assert!(first.contains(&sample), "{sample} does not exist from the start");
        }
    }
    let mut seen = Seen(vec![first]);
    facts(&live, &mut seen).await;
    over_nats(&live, &mut seen).await;
    stream(&live, &mut seen).await;
    locked(&live, &mut seen).await;
    read_models(&live, &mut seen).await;
    for (name, drive) in CASES {
        if let Counter(moves, _) = drive {
            moves(&live.parts.told);
            seen.0.push(live.metrics().await);
            let kind = TABLE.iter().find(|it| it.name == *name).unwrap().kind;
            assert!(seen.moved(name, kind), "{name} does not show its counter");
        }
    }
    let still: Vec<&str> = TABLE
        .iter()
        .filter(|it| {
            !CASES.iter().any(|(name, drive)| name == &it.name && matches!(drive, Test(_)))
        })
        .filter(|it| !seen.moved(it.name, it.kind))
        .map(|it| it.name)
        .collect();
    assert!(still.is_empty(), "never moved: {still:?}");
    for line in [
        "sapa_events_total{path=\"own\",outcome=\"recorded\"}",
        "sapa_events_total{path=\"nats\",outcome=\"recorded\"}",
        "sapa_events_total{path=\"nats\",outcome=\"quarantined\"}",
        "sapa_events_total{path=\"http\",outcome=\"duplicate\"}",
        "sapa_append_duration_seconds_count{path=\"own\"}",
        "sapa_append_duration_seconds_count{path=\"nats\"}",
        "sapa_alert_events_total{kind=\"we_owe\",action=\"raised\"}",
        "sapa_alert_events_total{kind=\"we_owe\",action=\"acknowledged\"}",
        "sapa_obligations_open{obligation=\"answer\"}",
        "sapa_lease_held{role=\"project\"}",
        "sapa_visible_seconds_count{projection=\"neglect\"}",
        "sapa_quarantine_total{code=\"json_syntax\"}",
    ] {
        assert!(seen.has(line), "{line} has not moved");
    }
    Arc::into_inner(live).unwrap().stop().await;
}

/// Facts over HTTP, what follows from them, and what is done about it.
async fn facts(live: &Live, seen: &mut Seen) {
    let twice = contact(live, "m-1", "c-m1");
    live.record(&twice).await;
    live.record(&twice).await;
    live.record(&question(live, "m-2", "c-m2", 12)).await;
    let due = events::time::spell(live.base.clock.now() - jiff::SignedDuration::from_hours(24));
    let promise = json!({"promise": "p-m3", "what": "a price", "due_at": due, "owner": "dewi"});
    live.record(&fact(live, "m-3", "promise.made", "c-m3", 2, promise)).await;
    eventually("an alert rings for the question", async || {
        let (_, text) = live.get("/v1/alerts?kind=we_owe&customer=c-m2", Some(&live.key())).await;
        text.contains("\"raised\"")
    })
    .await;
    let (_, text) = live.get("/v1/alerts?kind=we_owe&customer=c-m2", Some(&live.key())).await;
    let listed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let alert = listed["items"][0]["alert"].as_str().unwrap();
    let (status, body) = live.post(&format!("/v1/alerts/{alert}/ack"), &json!({})).await;
    assert!(status == 200 || status == 201, "{body}");
    eventually("the read models are counted again", async || {
        let text = live.metrics().await;
        let counted =
            values(&text, "sapa_obligations_open", Kind::Gauge).iter().any(|it| 0.0 < *it)
                && values(&text, "sapa_promises_overdue", Kind::Gauge).iter().any(|it| 0.0 < *it);
        seen.0.push(text);
        counted
    })
    .await;
}

/// What comes in over the broker, and what is asked there.
async fn over_nats(live: &Live, seen: &mut Seen) {
    let context = live.broker().await;
    let subject = "sapa.v1.main.in.interaction.contacted";
    let mut body = contact(live, "m-n1", "c-m4");
    body["actorkind"] = json!("staff");
    for text in [body.to_string(), "{ no json".to_owned()] {
        context.publish(subject, text.into()).await.unwrap().await.unwrap();
    }
    let client = context.client();
    client.request("sapa.v1.main.api.events.list", "{}".into()).await.unwrap();
    client
        .publish_with_reply("sapa.v1.main.api.events.list", "elsewhere.x", "{}".into())
        .await
        .unwrap();
    client.flush().await.unwrap();
    // A question under way when the connection ends is lost: the refusal comes first.
    let refused = [("sapa_api_refused_total", Kind::Counter)];
    moved("the question of another inbox is refused", live, seen, &refused).await;
    live.parts.pipes.as_ref().unwrap().api.force_reconnect().await.unwrap();
    let recorded = [
        ("sapa_quarantine_open", Kind::Gauge),
        ("sapa_ingest_fill_ratio", Kind::Gauge),
        ("sapa_relay_position", Kind::Gauge),
        ("sapa_nats_reconnects_total", Kind::Counter),
        ("sapa_ingest_takeovers_total", Kind::Counter),
    ];
    moved("it is recorded and quarantined, and the connection is back", live, seen, &recorded)
        .await;
}

/// Waits until each of `metrics` has been seen off zero, and names the first that has not.
async fn moved(what: &str, live: &Live, seen: &mut Seen, metrics: &[(&str, Kind)]) {
    for (name, kind) in metrics {
        eventually(&format!("{what}: {name} moves"), async || {
            seen.0.push(live.metrics().await);
            seen.moved(name, *kind)
        })
        .await;
    }
}

/// A live stream whose key is revoked.
async fn stream(live: &Live, seen: &mut Seen) {
    let (status, made) =
        live.post("/v1/keys", &json!({"name": "watch", "scopes": ["admin"]})).await;
    assert_eq!(status, 201, "{made}");
    let key = made["key"].as_str().unwrap().to_owned();
    let name = key.split('_').nth(2).unwrap().to_owned();
    let client = http_client();
    let request = client.get(format!("{}/v1/stream", live.url)).timeout(Duration::from_mins(1));
    let mut open = request.bearer_auth(&key).send().await.unwrap();
    assert_eq!(open.status().as_u16(), 200);
    let _ = open.chunk().await.unwrap();
    seen.0.push(live.metrics().await);
    let delete = client.delete(format!("{}/v1/keys/{name}", live.url)).bearer_auth(live.key());
    let revoked = delete.send().await.unwrap();
    assert!(revoked.status().is_success(), "{}", revoked.status());
    eventually("the stream is cut", async || {
        let text = live.metrics().await;
        let cut = values(&text, "sapa_sse_cut_total", Kind::Counter).iter().any(|it| 0.0 < *it);
        seen.0.push(text);
        cut
    })
    .await;
}

/// The log's file is held by somebody else: messages wait, and so do requests.
async fn locked(live: &Live, seen: &mut Seen) {
    use sqlx::Executor as _;
    let context = live.broker().await;
    let mut lock = live.lock("log.db").await;
    let mut body = contact(live, "m-n2", "c-m5");
    body["actorkind"] = json!("staff");
    let subject = "sapa.v1.main.in.interaction.contacted";
    context.publish(subject, body.to_string().into()).await.unwrap().await.unwrap();
    eventually("a message waits", async || {
        // The first is being committed while those after it wait.
        let many = (0..8).map(|n| {
            let event = event("interaction.greeted").id(&format!("m-q{n}")).incoming();
            let appender = live.base.appender.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(if n == 0 { 0 } else { 60 })).await;
                appender.append(vec![event]).await
            }
        });
        let (_, text) = tokio::join!(futures_util::future::join_all(many), async {
            tokio::time::sleep(Duration::from_millis(90)).await;
            live.metrics().await
        });
        let waits = ["sapa_ingest_pending_messages", "sapa_ingest_oldest_age_seconds"]
            .iter()
            .all(|it| values(&text, it, Kind::Gauge).iter().any(|it| 0.0 < *it));
        seen.0.push(text);
        waits
    })
    .await;
    lock.execute("ROLLBACK").await.unwrap();
}

/// A batch that fails, a customer who is set aside, a pause and a rebuild.
async fn read_models(live: &Live, seen: &mut Seen) {
    use sqlx::Executor as _;
    let mut lock = live.lock("views-1.db").await;
    let again = contact(live, "m-4", "c-m6");
    eventually("it can record again", async || live.post("/v1/events", &again).await.0 < 300).await;
    eventually("a batch fails", async || {
        let text = live.metrics().await;
        let failed = values(&text, "sapa_projection_failures_total", Kind::Counter);
        seen.0.push(text);
        failed.iter().any(|it| 0.0 < *it)
    })
    .await;
    lock.execute("ROLLBACK").await.unwrap();
    let mut broken = event("interaction.greeted").customer("c-broken").incoming();
    broken.data = r#"{"by_name":"perhaps"}"#.into();
    live.base.appender.append(vec![broken]).await.unwrap();
    eventually("a customer is set aside", async || {
        let text = live.metrics().await;
        let parked = values(&text, "sapa_projection_parked_customers", Kind::Gauge);
        seen.0.push(text);
        parked.iter().any(|it| 0.0 < *it)
    })
    .await;
    live.parts.told.project(Action::Pause).await.unwrap();
    live.record(&contact(live, "m-5", "c-m7")).await;
    seen.0.push(live.metrics().await);
    live.parts.told.project(Action::Resume).await.unwrap();
    // A rebuild of so few events may be over before it is scraped: another one is asked for until one
    // has been seen under way. One that is still running refuses the next, which is as good.
    eventually("a rebuild is told", async || {
        let _ = live.parts.told.project(Action::Rebuild).await;
        for _ in 0..50 {
            let text = live.metrics().await;
            let told = values(&text, "sapa_rebuild_position", Kind::Gauge);
            if told.iter().any(|it| 0.0 < *it) {
                seen.0.push(text);
                return true;
            }
        }
        false
    })
    .await;
}

/// On PostgreSQL the writer's connection is ended by the server: the append is repeated, and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_counted_and_the_append_succeeds() {
    let it = crate::support::postgres().await;
    let metrics = Arc::new(api::metrics::Metrics::new("0", "0", false));
    let (writer, appender) =
        store::Writer::new(it.log.db().clone(), it.clock.clone(), store::Bell::default(), 8);
    tokio::spawn(writer.with_meter(metrics.clone()).run(it.stop.clone()));
    appender.append(vec![event("interaction.greeted").id("r-1").incoming()]).await.unwrap();
    let store::Db::Postgres { reads, .. } = it.log.db() else { unreachable!("it is PostgreSQL") };
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .execute(reads)
        .await
        .unwrap();
    let again = appender.append(vec![event("interaction.greeted").id("r-2").incoming()]).await;
    assert!(again.unwrap()[0].is_new());
    let retries = values(&metrics.text(), "sapa_db_retries_total", Kind::Counter);
    assert!(retries.iter().any(|it| 0.0 < *it), "{retries:?}");
}
