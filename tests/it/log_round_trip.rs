//! Whatever the door lets in comes back from the log as it went in, on both databases.

use std::sync::atomic::{AtomicU32, Ordering};

use events::envelope::{Incoming, Recorded};
use proptest::prelude::*;
use proptest::string::{RegexGeneratorStrategy, string_regex};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use crate::support::{Event, TestLog, contract, event};

contract![an_event_comes_back_as_it_went_in, every_kind_comes_back_as_it_went_in];

async fn an_event_comes_back_as_it_went_in(it: TestLog) {
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    let next = AtomicU32::new(1);
    let outcome = TestRunner::new(config).run(&envelopes(), |(id, event)| {
        // An id is used once for ever, also by a case that was made smaller.
        let id = format!("{id}{}", next.fetch_add(1, Ordering::Relaxed));
        let round_trip = round_trip(&it, event.id(&id));
        tokio::task::block_in_place(|| Handle::current().block_on(round_trip));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

async fn every_kind_comes_back_as_it_went_in(it: TestLog) {
    // What is not built is refused at the door; what older logs hold of it is read by the golden files.
    for kind in events::kind::Kind::ALL.iter().filter(|it| it.is_built()) {
        // Before the day on which the promise of the golden files is due.
        round_trip(&it, event(kind.name()).at("2026-05-02T09:00:00+07:00")).await;
    }
}

async fn round_trip(it: &TestLog, event: Event) {
    let sent = event.incoming();
    let head = it.log.head().await.unwrap();
    let outcome = it.appender.append(vec![sent.clone()]).await.unwrap().remove(0);
    if !outcome.is_new() {
        return;
    }
    let page = it.log.read_after(head, 10).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(content(&page[0]), content_sent(&sent));
    assert_eq!(page[0].version, outcome.receipt().version);
    assert_eq!(page[0].recorded_at, outcome.receipt().recorded_at);
    assert!(page[0].fact().is_ok());
    let found = it.log.find(&sent.tenant, &sent.reference()).await.unwrap();
    assert_eq!(found.as_ref(), Some(outcome.receipt()));
}

fn content(it: &Recorded) -> String {
    format!(
        "{:?}",
        (
            (&it.tenant, &it.stream, &it.source, &it.id, it.kind, it.schema_version, &it.customer),
            (it.occurred_at, &it.causation_id, &it.correlation_id, &it.trace),
            (&it.attributes, &it.data),
        )
    )
}

fn content_sent(it: &Incoming) -> String {
    format!(
        "{:?}",
        (
            (&it.tenant, &it.stream, &it.source, &it.id, it.kind, it.schema_version, &it.customer),
            (it.occurred_at, &it.causation_id, &it.correlation_id, &it.trace),
            (&it.attributes, &it.data),
        )
    )
}

/// An id and an event whose every attribute is as strange as the door allows.
fn envelopes() -> impl Strategy<Value = (String, Event)> {
    let id = text("[^\\p{C}\\p{Z}]{1,32}");
    let thread = || proptest::option::of(text("[^\\p{C}]{1,64}"));
    let customer = text("[A-Za-z][A-Za-z0-9._:-]{0,63}");
    let source = text("/[a-z0-9/._~:?@!$&'()*+,;=-]{0,60}");
    let micros = 0_i64..4_102_444_799_000_000;
    let actor = prop_oneof![
        Just("customer".to_owned()),
        text("(staff|ai|system)/[A-Za-z0-9][A-Za-z0-9._:-]{0,20}")
    ];
    let extensions = proptest::collection::btree_map(text("x[a-z0-9]{1,15}"), plain(), 0..6);
    let attributes = (customer, source, micros, actor, extensions);
    let threads = (thread(), thread(), thread());
    (id, attributes, threads, data()).prop_map(|(id, attributes, threads, data)| {
        let (customer, source, micros, actor, extensions) = attributes;
        // History may be as old as 1970; nothing may lie in the future.
        let now = crate::support::at(crate::support::NOW).as_microsecond();
        let time = jiff::Timestamp::from_microsecond(micros.min(now)).unwrap();
        let mut event = event("interaction.greeted")
            .customer(&customer)
            .source(&source)
            .at(&events::time::spell(time))
            .with("actor", actor)
            .with("imported", true)
            .data(data);
        for (name, value) in extensions {
            event = event.with(&name, value);
        }
        let (correlation, causation, trace) = threads;
        for (name, value) in
            [("correlationid", correlation), ("causationid", causation), ("traceparent", trace)]
        {
            if let Some(value) = value {
                event = event.with(name, value);
            }
        }
        (id, event)
    })
}

/// Texts of a pattern, which is read once: a bare pattern is read again for every case.
fn text(pattern: &str) -> RegexGeneratorStrategy<String> {
    string_regex(pattern).expect("a pattern that reads")
}

/// A value that an extension attribute may have.
fn plain() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text("[^\\p{C}]{0,40}").prop_map(Value::from),
    ]
}

/// The data of a greeting, with members that the schema does not know.
fn data() -> impl Strategy<Value = Value> {
    let number = (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        text("[^\\x00]{0,40}").prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text("[a-z\u{e9}\u{1F600}]{1,8}"), inner, 0..4)
                .prop_map(|it| Value::Object(Map::from_iter(it))),
        ]
    });
    (
        any::<bool>(),
        text("[^\\x00]{0,200}"),
        proptest::collection::btree_map(text("y[a-z]{1,6}"), tree, 0..3),
    )
        .prop_map(|(by_name, text, more)| {
            let mut data = json!({ "by_name": by_name, "text": text });
            for (name, value) in more {
                data[name] = value;
            }
            data
        })
}
