//! Log → `SAPA_OUT` against a real nats-server: order, positions, resume, fence, purge, loss.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::Context;
use delivery::{Ended, Relay};
use events::cloudevents::Sender;
use events::time::Clock as _;
use futures_util::StreamExt;
use serde_json::json;
use tests::event::{anybody, incoming};
use tokio_util::sync::CancellationToken;

use crate::support_nats::{Bench, event, eventually, main, spawn, tenants};

/// Appends facts straight into the log.
async fn append(bench: &Bench, ids: std::ops::Range<usize>) {
    let tenants = tenants();
    let settings = &tenants[&main()];
    let events: Vec<_> = ids
        .map(|id| {
            let (tenant, now) = (main(), bench.clock.now());
            let sender = Sender { key: &settings.fingerprint_key, ..anybody(&tenant, now) };
            let body = event(&format!("e-{id}")).to_string();
            incoming(body.as_bytes(), &sender)
        })
        .collect();
    bench.appender.append(events).await.unwrap();
}

/// The positions in the stream, in its order.
async fn positions(context: &Context) -> Vec<i64> {
    let stream = context.get_stream("SAPA_OUT").await.unwrap();
    let info = stream.cached_info();
    let count = usize::try_from(info.state.messages).unwrap();
    if count == 0 {
        return Vec::new();
    }
    let config = async_nats::jetstream::consumer::pull::Config {
        ack_policy: async_nats::jetstream::consumer::AckPolicy::None,
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let messages = consumer.messages().await.unwrap();
    messages
        .take(count)
        .map(|it| {
            let it = it.unwrap();
            let headers = it.headers.as_ref().unwrap();
            headers.get("Sapa-Position").unwrap().as_str().parse::<i64>().unwrap()
        })
        .collect()
        .await
}

async fn holds(context: &Context, count: u64) {
    eventually("the stream holds them", async || {
        let stream = context.get_stream("SAPA_OUT").await;
        stream.is_ok_and(|it| count <= it.cached_info().state.messages)
    })
    .await;
}

/// A relay at work, and the way to stop it.
struct Working {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Ended>,
    counters: std::sync::Arc<delivery::Counters>,
}

impl Working {
    fn start(relay: Relay, epoch: i64) -> Self {
        let stop = CancellationToken::new();
        let counters = relay.counters.clone();
        Self { task: spawn(relay.run(epoch, stop.clone())), stop, counters }
    }

    async fn stop(self) {
        self.stop.cancel();
        assert_eq!(self.task.await.unwrap(), Ended::Asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_position_is_published_once_and_in_order_over_a_restart() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    append(&bench, 0..1_200).await;
    let relay = Working::start(bench.relay(500).await, 1);
    holds(&context, 1_200).await;
    append(&bench, 1_200..1_201).await;
    holds(&context, 1_201).await;
    relay.stop().await;
    append(&bench, 1_201..1_300).await;
    let relay = Working::start(bench.relay(500).await, 2);
    holds(&context, 1_300).await;
    relay.stop().await;
    assert_eq!(positions(&context).await, (1..=1_300).collect::<Vec<i64>>());

    let stream = context.get_stream("SAPA_OUT").await.unwrap();
    let last = stream.get_last_raw_message_by_subject("sapa.v1.>").await.unwrap();
    assert_eq!(last.subject.as_str(), "sapa.v1.main.out.interaction.contacted.c-sari");
    assert_eq!(last.headers.get("Sapa-Tenant").unwrap().as_str(), "main");
    let body: serde_json::Value = serde_json::from_slice(&last.payload).unwrap();
    assert_eq!((&body["position"], &body["id"]), (&json!("1300"), &json!("e-1299")));
}

#[tokio::test(flavor = "multi_thread")]
async fn f59_a_relay_that_was_taken_over_stores_nothing_and_ends() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    append(&bench, 0..10).await;
    let old = Working::start(bench.relay(500).await, 1);
    holds(&context, 10).await;
    let new = Working::start(bench.relay(500).await, 2);
    eventually("the new one has claimed", async || {
        let it = store::checkpoint::load(bench.log.db(), delivery::relay::CHECKPOINT).await;
        it.unwrap().epoch == 2
    })
    .await;
    for start in (10..200).step_by(10) {
        append(&bench, start..start + 10).await;
    }
    holds(&context, 200).await;
    assert_eq!(old.task.await.unwrap(), Ended::Fenced);
    new.stop().await;
    let found = positions(&context).await;
    let mut once = found.clone();
    once.dedup();
    assert_eq!(once, (1..=200).collect::<Vec<i64>>(), "one order, whoever wrote: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f62_after_a_purge_of_the_newest_nothing_is_repeated() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    append(&bench, 0..20).await;
    let relay = Working::start(bench.relay(500).await, 1);
    holds(&context, 20).await;
    let stream = context.get_stream("SAPA_OUT").await.unwrap();
    stream.purge().filter("sapa.v1.main.out.*.*.c-sari").await.unwrap();
    // While it runs the fence tells it; after a restart the stored place does.
    append(&bench, 20..25).await;
    holds(&context, 5).await;
    assert_eq!(positions(&context).await, [21, 22, 23, 24, 25]);
    assert!(1 <= relay.counters.fenced.load(Ordering::Relaxed));
    relay.stop().await;
    stream.purge().filter("sapa.v1.main.out.*.*.c-sari").await.unwrap();
    append(&bench, 25..27).await;
    let relay = Working::start(bench.relay(500).await, 2);
    holds(&context, 2).await;
    relay.stop().await;
    assert_eq!(positions(&context).await, [26, 27]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_a_stream_made_anew_is_filled_again() {
    let bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    append(&bench, 0..30).await;
    let relay = Working::start(bench.relay(10).await, 1);
    holds(&context, 30).await;
    context.delete_stream("SAPA_OUT").await.unwrap();
    append(&bench, 30..31).await;
    bench.repair().await;
    holds(&context, 31).await;
    assert_eq!(positions(&context).await, (1..=31).collect::<Vec<i64>>());
    assert!(1 <= relay.counters.broker_rollbacks.load(Ordering::Relaxed));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_may_be_killed_while_the_relay_works() {
    let mut bench = Bench::start(Duration::from_secs(10)).await;
    let context = bench.context().await;
    append(&bench, 0..200).await;
    let relay = Working::start(bench.relay(20).await, 1);
    holds(&context, 60).await;
    bench.power_cut().await;
    append(&bench, 200..300).await;
    holds(&context, 300).await;
    relay.stop().await;
    assert_eq!(positions(&context).await, (1..=300).collect::<Vec<i64>>());
}
