//! NATS → log against a real nats-server: redelivery, duplicates, poison, restart, take-over.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use futures_util::StreamExt;
use ingest::stream::{Mode, create_or_verify, create_or_verify_reader};
use serde_json::Value;
use store::quarantine;

use crate::support_nats::{Bench, event, eventually, main};

const SUBJECT: &str = "sapa.v1.main.in.interaction.contacted";

fn ids(facts: &[events::envelope::Recorded]) -> Vec<&str> {
    facts.iter().map(|it| it.id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_consumers_are_made_once_and_then_found_as_wanted() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    let told = create_or_verify(&context, &bench.limits, Mode::VerifyOnly).await.unwrap();
    assert_eq!(told, []);
    let limits = delivery::stream::Limits::default();
    let told =
        delivery::stream::create_or_verify(&context, &limits, delivery::stream::Mode::VerifyOnly);
    assert_eq!(told.await.unwrap(), []);

    let filter = "sapa.v1.main.alert.>";
    let made = create_or_verify_reader(&context, "pager", filter, Mode::Repair).await.unwrap();
    assert_eq!(made[0].field, "exists");
    let told = create_or_verify_reader(&context, "pager", filter, Mode::VerifyOnly).await.unwrap();
    assert_eq!(told, []);
    assert!(create_or_verify_reader(&context, "a.b", filter, Mode::Repair).await.is_err());

    let bigger = ingest::stream::Limits { in_max_bytes: 4 << 30, ..bench.limits.clone() };
    let told = create_or_verify(&context, &bigger, Mode::VerifyOnly).await.unwrap();
    let fields: Vec<&str> = told.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["max_bytes"]);
    create_or_verify(&context, &bigger, Mode::Repair).await.unwrap();
    assert_eq!(create_or_verify(&context, &bigger, Mode::VerifyOnly).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn structured_and_binary_events_are_recorded_once_each() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let running = bench.running().await;
    let context = bench.context().await;
    bench.publish(&context, "k-1").await;
    let mut headers = HeaderMap::new();
    let structured = event("k-2");
    for (name, value) in structured.as_object().unwrap() {
        if let Value::String(value) = value {
            headers.insert(format!("ce-{name}").as_str(), value.as_str());
        }
    }
    headers.insert("Content-Type", "application/json");
    let body = structured["data"].to_string();
    let sent = context.publish_with_headers(SUBJECT, headers, body.into()).await.unwrap();
    sent.await.unwrap();
    // The same event three times, without a header that would let the broker drop it.
    for _ in 0..3 {
        bench.publish(&context, "k-3").await;
    }
    let facts = bench.recorded(3).await;
    assert_eq!(ids(&facts), ["k-1", "k-2", "k-3"]);
    let duplicates = &running.counters.duplicates;
    eventually("two duplicates", async || duplicates.load(Ordering::Relaxed) == 2).await;
    assert_eq!(running.counters.recorded.load(Ordering::Relaxed), 3);
    acknowledged(&context).await;
    let receipt = bench.log.find(&main(), &facts[1].reference()).await.unwrap().unwrap();
    assert_eq!((receipt.position, receipt.version), (2, 2));
    running.stop().await;
}

/// Nothing is left for another delivery.
async fn acknowledged(context: &async_nats::jetstream::Context) {
    let stream = context.get_stream("SAPA_IN").await.unwrap();
    eventually("everything is acknowledged", async || {
        let info = stream.consumer_info("ingest").await.unwrap();
        (info.num_ack_pending, info.num_pending) == (0, 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_kept_with_its_bytes_told_of_and_terminated() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    let mut notices = context.client().subscribe("sapa.v1.*.quarantine.*").await.unwrap();
    context.client().flush().await.unwrap();
    let running = bench.running().await;

    let mut wrong = event("bad-1");
    wrong["data"]["purpose"] = Value::from("gossip");
    let mut headers = HeaderMap::new();
    headers.insert("ce-specversion", "1.0");
    headers.insert("Content-Type", "application/cloudevents+json");
    let messages = [
        (SUBJECT, HeaderMap::new(), wrong.to_string()),
        (SUBJECT, HeaderMap::new(), "{ not json".to_owned()),
        (SUBJECT, headers, event("bad-2").to_string()),
        ("sapa.v1.nobody.in.interaction.contacted", HeaderMap::new(), event("bad-3").to_string()),
        ("sapa.v1.main.in.booking.requested", HeaderMap::new(), event("bad-4").to_string()),
        ("sapa.v1.UPPER.in.booking.requested", HeaderMap::new(), event("bad-5").to_string()),
    ];
    for (subject, headers, body) in messages {
        let sent = context.publish_with_headers(subject, headers, body.into()).await.unwrap();
        sent.await.unwrap();
    }
    bench.publish(&context, "good").await;
    assert_eq!(ids(&bench.recorded(1).await), ["good"], "poison does not stand in the way");
    acknowledged(&context).await;

    let all = quarantine::Wanted::default();
    let rows = quarantine::list(bench.log.db(), &main(), &all, 10).await.unwrap();
    let mut codes: Vec<&str> = rows.iter().map(|it| it.code.as_str()).collect();
    codes.sort_unstable();
    let wanted = ["bad_id", "json_syntax", "mode_ambiguous", "schema_invalid", "subject_mismatch"];
    assert_eq!(codes, wanted);
    let row = rows.iter().find(|it| it.code == "schema_invalid").unwrap();
    let kept = quarantine::get(bench.log.db(), &main(), &row.quarantine_id).await.unwrap().unwrap();
    assert_eq!(kept.bytes.unwrap(), wrong.to_string().into_bytes());
    assert_eq!((kept.event_id.as_deref(), kept.sequence), (Some("bad-1"), Some(1)));
    assert_eq!(kept.source.as_deref(), Some("/hotel/front-desk"));

    let nobody = "nobody".parse().unwrap();
    let foreign = quarantine::list(bench.log.db(), &nobody, &all, 10).await.unwrap();
    assert_eq!(foreign[0].code, "tenant_unknown");

    let mut told = Vec::new();
    for _ in 0..6 {
        let notice = notices.next().await.unwrap();
        let body: Value = serde_json::from_slice(&notice.payload).unwrap();
        assert!(!notice.payload.windows(6).any(|it| it == b"gossip"), "a notice quotes nothing");
        assert_eq!(notice.headers.unwrap().get("Sapa-Code").unwrap().as_str(), body["code"]);
        told.push(body["quarantine_id"].as_str().unwrap().to_owned());
    }
    assert!(told.contains(&row.quarantine_id));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_when_the_broker_is_killed() {
    let mut bench = Bench::start(Duration::from_secs(2)).await;
    let running = bench.running().await;
    let context = bench.context().await;
    for id in 0..50 {
        bench.publish(&context, &format!("a-{id}")).await;
    }
    bench.power_cut().await;
    eventually("the publisher is connected again", async || {
        context.client().connection_state() == async_nats::connection::State::Connected
    })
    .await;
    for id in 0..50 {
        bench.publish(&context, &format!("b-{id}")).await;
    }
    let facts = bench.recorded(100).await;
    let wanted: Vec<String> =
        ["a", "b"].iter().flat_map(|it| (0..50).map(move |id| format!("{it}-{id}"))).collect();
    assert_eq!(ids(&facts), wanted);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_stop_gives_the_rest_to_the_next_instance_at_once() {
    // Whatever is not given back comes after 30 s, and the pin of one who has gone after 5 s.
    let bench = Bench::start(Duration::from_secs(30)).await;
    let context = bench.context().await;
    let running = bench.running().await;
    for id in 0..20 {
        bench.publish(&context, &format!("e-{id}")).await;
    }
    running.stop().await;
    let running = bench.running().await;
    for id in 20..40 {
        bench.publish(&context, &format!("e-{id}")).await;
    }
    let facts = tokio::time::timeout(Duration::from_secs(4), bench.recorded(40)).await.unwrap();
    let wanted: Vec<String> = (0..40).map(|id| format!("e-{id}")).collect();
    assert_eq!(ids(&facts), wanted);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_in_a_row_while_messages_arrive_keep_the_order_and_hold_nothing_up() {
    let bench = Bench::start(Duration::from_secs(30)).await;
    let context = bench.context().await;
    let publishing = async {
        for id in 0..300 {
            bench.publish(&context, &format!("e-{id}")).await;
        }
    };
    let stopping = async {
        for pause in [0, 1, 3, 7, 20, 40, 60, 90] {
            let running = bench.running().await;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            running.stop().await;
        }
        bench.running().await
    };
    let ((), last) = tokio::join!(publishing, stopping);
    let facts = tokio::time::timeout(Duration::from_secs(8), bench.recorded(300)).await.unwrap();
    let wanted: Vec<String> = (0..300).map(|id| format!("e-{id}")).collect();
    assert_eq!(ids(&facts), wanted);
    last.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_is_set_up_again_when_its_consumer_was_deleted_and_made_anew() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    let running = bench.running().await;
    bench.publish(&context, "k-1").await;
    bench.recorded(1).await;
    let stream = context.get_stream("SAPA_IN").await.unwrap();
    stream.delete_consumer("ingest").await.unwrap();
    let rebuilds = &running.counters.pull_rebuilds;
    eventually("it looks for another", async || 1 <= rebuilds.load(Ordering::Relaxed)).await;
    bench.repair().await;
    bench.publish(&context, "k-2").await;
    assert_eq!(ids(&bench.recorded(2).await), ["k-1", "k-2"]);
    running.stop().await;
}

/// What a client does that makes the consumer its own way, as nats-py 2.16.0 does: it leaves out what it
/// does not know, and the server takes that for a change.
async fn rewrite_without_pin(context: &async_nats::jetstream::Context) {
    let info: Value =
        context.request("CONSUMER.INFO.SAPA_IN.ingest", &serde_json::json!({})).await.unwrap();
    let mut config = info["config"].clone();
    for name in ["priority_policy", "priority_groups", "priority_timeout"] {
        config.as_object_mut().unwrap().remove(name);
    }
    let body = serde_json::json!({ "stream_name": "SAPA_IN", "config": config });
    let done: Value =
        context.request("CONSUMER.DURABLE.CREATE.SAPA_IN.ingest", &body).await.unwrap();
    assert!(done.get("error").is_none(), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_another_client_rewrote_is_noticed_and_repaired() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    let running = bench.running().await;
    bench.publish(&context, "k-1").await;
    bench.recorded(1).await;
    let counters = running.counters.clone();
    let unpinned = || counters.unpinned.load(Ordering::Relaxed);
    assert!(!unpinned());
    let stop = tokio_util::sync::CancellationToken::new();
    let watching = ingest::watch::run(bench.context().await, counters.clone(), stop.clone());
    let watch = crate::support_nats::spawn(watching);
    rewrite_without_pin(&context).await;
    eventually("it is noticed", async || unpinned()).await;
    let told = create_or_verify(&context, &bench.limits, Mode::VerifyOnly).await.unwrap();
    let fields: Vec<&str> =
        told.iter().filter(|it| it.matters).map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["priority_groups", "priority_policy", "priority_timeout"]);
    create_or_verify(&context, &bench.limits, Mode::Repair).await.unwrap();
    eventually("it is as before", async || !unpinned()).await;
    bench.publish(&context, "k-2").await;
    assert_eq!(ids(&bench.recorded(2).await), ["k-1", "k-2"]);
    stop.cancel();
    watch.await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_pin_is_noticed_when_it_arrives() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    rewrite_without_pin(&context).await;
    let running = bench.running().await;
    bench.publish(&context, "k-1").await;
    bench.recorded(1).await;
    let counters = &running.counters;
    eventually("it is noticed", async || counters.unpinned.load(Ordering::Relaxed)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_feeds_the_stream_is_shown_and_survives_a_repair() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    let branch: Value = context
        .request(
            "STREAM.CREATE.BRANCH",
            &serde_json::json!({ "name": "BRANCH", "subjects": ["branch.>"], "storage": "memory" }),
        )
        .await
        .unwrap();
    assert!(branch.get("error").is_none(), "{branch}");
    let config = async || -> Value {
        let info: Value =
            context.request("STREAM.INFO.SAPA_IN", &serde_json::json!({})).await.unwrap();
        info["config"].clone()
    };
    let mut changed = config().await;
    changed["sources"] = serde_json::json!([{ "name": "BRANCH", "filter_subject": "branch.x" }]);
    changed["description"] = "ours".into();
    changed["allow_direct"] = true.into();
    changed["max_bytes"] = (1_u64 << 30).into();
    let done: Value = context.request("STREAM.UPDATE.SAPA_IN", &changed).await.unwrap();
    assert!(done.get("error").is_none(), "{done}");
    let fields = |told: &[ingest::stream::Difference], matters: bool| -> Vec<String> {
        told.iter().filter(|it| it.matters == matters).map(|it| it.field.clone()).collect()
    };
    let told = create_or_verify(&context, &bench.limits, Mode::Repair).await.unwrap();
    assert_eq!(fields(&told, true), ["max_bytes"]);
    assert_eq!(fields(&told, false), ["allow_direct", "description", "sources"]);
    let told = create_or_verify(&context, &bench.limits, Mode::VerifyOnly).await.unwrap();
    assert_eq!(fields(&told, true), [""; 0], "it is repaired");
    let now = config().await;
    assert_eq!(now["sources"][0]["name"], "BRANCH", "and the branch is still connected");
    assert_eq!(now["description"], "ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn f57_order_is_kept_when_the_pinned_instance_dies_in_the_middle_of_a_batch() {
    let bench = Bench::start(Duration::from_secs(8)).await;
    let context = bench.context().await;
    // The pinned one takes messages and dies with them: nothing recorded, nothing given back.
    let stream = context.get_stream("SAPA_IN").await.unwrap();
    let consumer: async_nats::jetstream::consumer::PullConsumer =
        stream.get_consumer("ingest").await.unwrap();
    let mut pinned = consumer.stream().group("ingest").max_messages_per_batch(100);
    pinned = pinned.expires(Duration::from_secs(3)).heartbeat(Duration::from_secs(1));
    let mut pinned = pinned.messages().await.unwrap();
    for id in 0..10 {
        bench.publish(&context, &format!("e-{id}")).await;
    }
    for _ in 0..10 {
        pinned.next().await.unwrap().unwrap();
    }
    drop(pinned);
    let running = bench.running().await;
    for id in 10..20 {
        bench.publish(&context, &format!("e-{id}")).await;
    }
    let facts = bench.recorded(20).await;
    let wanted: Vec<String> = (0..20).map(|id| format!("e-{id}")).collect();
    assert_eq!(ids(&facts), wanted, "those of the dead one came back after newer ones");
    assert!(10 <= running.counters.redelivered.load(Ordering::Relaxed));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_instances_the_second_goes_on_in_order_when_the_first_is_killed() {
    let bench = Bench::start(Duration::from_secs(2)).await;
    let context = bench.context().await;
    let (first, second) = (bench.running().await, bench.running().await);
    for id in 0..100 {
        bench.publish(&context, &format!("e-{id}")).await;
    }
    bench.recorded(60).await;
    first.kill();
    for id in 100..200 {
        bench.publish(&context, &format!("e-{id}")).await;
    }
    let facts = bench.recorded(200).await;
    let wanted: Vec<String> = (0..200).map(|id| format!("e-{id}")).collect();
    assert_eq!(ids(&facts), wanted);
    second.stop().await;
}
