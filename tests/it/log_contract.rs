//! What the log promises, on SQLite and on PostgreSQL: order, once and for ever, whole requests,
//! versions, and that nothing recorded is changed.

use std::collections::{BTreeMap, HashSet};

use events::id::{EventRef, Stream};
use sqlx::AssertSqlSafe;
use store::log::Filter;
use store::{AppendError, Appended, Db};
use uuid::Uuid;

use crate::support::{self, Event, TestLog, at, contract, event, main_tenant};

contract![
    positions_are_dense_and_in_commit_order,
    recording_the_same_event_twice_keeps_one_and_answers_the_first_receipt,
    of_thirty_two_at_once_one_is_recorded,
    an_event_twice_in_one_request_is_recorded_once,
    one_id_for_two_contents_in_one_request_is_refused,
    the_same_id_with_other_content_is_a_conflict_and_changes_nothing,
    an_event_whose_time_lost_digits_is_the_same_event,
    the_same_id_of_another_source_or_tenant_is_another_event,
    a_request_is_recorded_whole_or_not_at_all,
    an_expected_version_is_checked,
    a_request_may_expect_its_own_steps,
    of_two_that_expect_the_same_version_one_wins,
    a_duplicate_is_judged_before_the_version,
    streams_have_versions_without_holes,
    the_log_refuses_update_and_delete,
    half_a_second_sorts_after_the_whole_second,
    recorded_at_never_goes_back,
    reading_by_customer_and_by_reference,
    searching_skips_no_fact_and_repeats_none,
    the_first_event_about_a_customer_is_told_apart,
    of_many_at_once_about_a_new_customer_one_is_the_first,
    a_thousand_events_are_appended_in_groups,
    many_requests_at_once_are_answered_each,
    the_bell_rings_after_the_commit,
    what_waits_when_the_writer_stops_is_still_recorded,
    a_log_that_is_opened_again_is_the_same,
];

async fn positions_are_dense_and_in_commit_order(it: TestLog) {
    let other = it.second_writer().await;
    let writers = (0..16).map(|writer| {
        let appender = if writer % 2 == 0 { it.appender.clone() } else { other.clone() };
        tokio::spawn(async move {
            let mut last = 0;
            for n in 0..20 {
                let fact =
                    event("interaction.greeted").customer(&format!("c-{}", (writer + n) % 5));
                let outcome = appender.append(vec![fact.incoming()]).await.unwrap();
                let position = outcome[0].receipt().position;
                assert!(last < position, "{position} was answered after {last}");
                last = position;
            }
        })
    });
    // Whoever reads while they write sees every position when they see a later one.
    let reader = tokio::spawn({
        let log = it.log.clone();
        async move {
            let mut seen = 0;
            while seen < 320 {
                let page = log.read_after(seen, 50).await.expect("a page without a hole");
                seen = page.last().map_or(seen, |it| it.position);
                tokio::task::yield_now().await;
            }
        }
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    reader.await.unwrap();

    let facts = it.everything().await;
    assert!(facts.iter().map(|it| it.position).eq(1..=320));
    assert!(facts.is_sorted_by_key(|it| it.recorded_at));
    assert_eq!(it.log.head().await.unwrap(), 320);
}

async fn recording_the_same_event_twice_keeps_one_and_answers_the_first_receipt(it: TestLog) {
    let fact = event("interaction.greeted").id("k-1");
    let first = it.record(fact.clone()).await;
    it.clock.set(at("2026-10-03T16:00:00+07:00"));
    it.record(event("interaction.thanked")).await;

    let again = it.append([fact]).await.unwrap();
    assert_eq!(again, [Appended::Duplicate(first.clone())]);
    assert_eq!(it.log.head().await.unwrap(), 2);

    let found = it.log.find(&main_tenant(), &reference("k-1")).await.unwrap();
    assert_eq!(found, Some(first));
}

async fn of_thirty_two_at_once_one_is_recorded(it: TestLog) {
    let other = it.second_writer().await;
    let fact = event("interaction.greeted").incoming();
    let senders: Vec<_> = (0..32)
        .map(|n| {
            let appender = if n % 2 == 0 { it.appender.clone() } else { other.clone() };
            let fact = fact.clone();
            tokio::spawn(async move { appender.append(vec![fact]).await.unwrap().remove(0) })
        })
        .collect();
    let mut new = 0;
    let mut receipts = Vec::new();
    for sender in senders {
        let outcome = sender.await.unwrap();
        new += usize::from(outcome.is_new());
        receipts.push(outcome.receipt().clone());
    }
    assert_eq!(new, 1);
    assert!(receipts.iter().all(|it| *it == receipts[0]));
    assert_eq!(it.everything().await.len(), 1);
}

async fn an_event_twice_in_one_request_is_recorded_once(it: TestLog) {
    let twin = || event("interaction.greeted").id("k-1");
    let request = [twin(), event("interaction.thanked").id("k-2"), twin(), twin()];
    let outcomes = it.append(request).await.unwrap();
    let new: Vec<bool> = outcomes.iter().map(Appended::is_new).collect();
    assert_eq!(new, [true, true, false, false]);
    assert_eq!(outcomes[2].receipt(), outcomes[0].receipt());
    assert_eq!(it.everything().await.len(), 2);

    // The index of what is refused is that of the request, twins counted.
    let request = [twin(), twin(), event("interaction.noted").id("k-3").expecting(7)];
    let refused = it.append(request).await.unwrap_err();
    assert!(matches!(refused, AppendError::VersionConflict { index: 2, .. }), "{refused:?}");
}

async fn one_id_for_two_contents_in_one_request_is_refused(it: TestLog) {
    let one = event("interaction.greeted").id("k-1");
    let other = one.clone().member("text", "Something else");
    let refused = it.append([one, event("interaction.thanked"), other]).await.unwrap_err();
    assert!(matches!(refused, AppendError::IdTwice { index: 2 }), "{refused:?}");
    assert_eq!(it.log.head().await.unwrap(), 0);
}

async fn the_same_id_with_other_content_is_a_conflict_and_changes_nothing(it: TestLog) {
    let fact = event("interaction.greeted").id("k-1");
    let first = it.record(fact.clone()).await;
    let before = it.everything().await;

    for other in [
        fact.clone().member("text", "Something else"),
        fact.clone().at("2026-10-03T14:58:00+07:00"),
        fact.clone().customer("c-2"),
    ] {
        match it.append([event("interaction.thanked"), other]).await.unwrap_err() {
            AppendError::EventIdConflict { original, index: 1 } => assert_eq!(*original, first),
            error => panic!("{error:?}"),
        }
    }
    assert_eq!(it.everything().await, before);
    assert_eq!(it.record(event("interaction.thanked")).await.position, 2);
}

async fn an_event_whose_time_lost_digits_is_the_same_event(it: TestLog) {
    let whole = event("interaction.greeted").id("k-1").at("2026-10-03T14:59:00.123456+07:00");
    let sent = |time: &str| whole.clone().at(time).incoming();
    let first = it.appender.append(vec![whole.clone().incoming()]).await.unwrap().remove(0);
    for cut in ["14:59:00.12345", "14:59:00.123", "14:59:00"] {
        let again = sent(&format!("2026-10-03T{cut}+07:00"));
        let again = it.appender.append(vec![again]).await.unwrap().remove(0);
        assert_eq!(again, Appended::Duplicate(first.receipt().clone()), "{cut}");
    }
    // The other way round, with new events around it and the same event twice in one request.
    let short = event("interaction.greeted").id("k-2").at("2026-10-03T14:59:00.5+07:00");
    let long = short.clone().at("2026-10-03T14:59:00.500001+07:00").incoming();
    let short = short.incoming();
    it.appender.append(vec![short.clone()]).await.unwrap();
    let request = vec![
        event("interaction.greeted").incoming(),
        long.clone(),
        sent("2026-10-03T14:59:00.123+07:00"),
        short,
        event("interaction.greeted").incoming(),
    ];
    let outcomes = it.appender.append(request.clone()).await.unwrap();
    let new: Vec<bool> = outcomes.iter().map(Appended::is_new).collect();
    assert_eq!(new, [true, false, false, false, true]);
    let each = it.appender.append_each(request).await;
    assert!(each.iter().all(|it| it.as_ref().is_ok_and(|it| !it.is_new())), "{each:?}");

    // Another time and other content stay conflicts, and a request with one records nothing.
    let other = sent("2026-10-03T14:59:00.124+07:00");
    let request = vec![event("interaction.greeted").incoming(), long, other];
    let refused = it.appender.append(request).await.unwrap_err();
    assert!(matches!(refused, AppendError::EventIdConflict { index: 2, .. }), "{refused}");
    let data = whole.at("2026-10-03T14:59:00.123+07:00").member("by_name", false);
    assert!(it.appender.append(vec![data.incoming()]).await.is_err());
    assert_eq!(it.log.head().await.unwrap(), 4);
}

async fn the_same_id_of_another_source_or_tenant_is_another_event(it: TestLog) {
    let fact = event("interaction.greeted").id("k-1");
    it.record(fact.clone()).await;
    it.record(fact.clone().source("/chat")).await;
    let elsewhere = it.record(fact.clone().tenant("annex")).await;
    assert_eq!((elsewhere.position, elsewhere.version), (3, 1), "its streams are its own");
}

async fn a_request_is_recorded_whole_or_not_at_all(it: TestLog) {
    it.record(event("interaction.greeted").id("k-1")).await;
    let conflict = event("interaction.greeted").id("k-1").member("text", "Something else");
    let behind = event("interaction.noted").expecting(0);
    for wrong in [conflict, behind] {
        let request = [event("interaction.greeted"), wrong, event("interaction.thanked")];
        it.append(request).await.unwrap_err();
        assert_eq!(it.everything().await.len(), 1);
    }
    let request =
        [event("interaction.greeted"), event("complaint.raised"), event("feedback.received")];
    let outcomes = it.append(request).await.unwrap();
    assert!(outcomes.iter().map(|it| it.receipt().position).eq(2..=4));
}

async fn an_expected_version_is_checked(it: TestLog) {
    it.record(event("interaction.greeted").expecting(0)).await;
    it.record(event("interaction.greeted").expecting(1)).await;
    for wrong in [0, 1, 3] {
        match it.append([event("interaction.greeted").expecting(wrong)]).await.unwrap_err() {
            AppendError::VersionConflict { stream, expected, actual: 2, index: 0 } => {
                assert_eq!((stream.as_str(), expected), ("customer/c-1", wrong));
            }
            error => panic!("{error:?}"),
        }
    }
    assert_eq!(it.log.head().await.unwrap(), 2);
}

async fn a_request_may_expect_its_own_steps(it: TestLog) {
    it.record(event("interaction.greeted").id("k-1").expecting(0)).await;
    let step = |version| event("interaction.noted").expecting(version);
    it.append([step(1), step(2), event("complaint.raised").expecting(0), step(3)]).await.unwrap();
    let refused = it.append([step(4), step(6)]).await.unwrap_err();
    assert!(matches!(refused, AppendError::VersionConflict { index: 1, .. }), "{refused:?}");

    // What is recorded already counts in the stream, not in the request.
    let known = event("interaction.greeted").id("k-1").expecting(0);
    let outcomes = it.append([known, step(4), step(5)]).await.unwrap();
    assert_eq!(outcomes[2].receipt().version, 6);
}

async fn of_two_that_expect_the_same_version_one_wins(it: TestLog) {
    let other = it.second_writer().await;
    for version in 0..8 {
        let step = || vec![event("interaction.greeted").expecting(version).incoming()];
        // Three at two writers: in one batch, and in two.
        let (a, b, c) = tokio::join!(
            it.appender.append(step()),
            it.appender.append(step()),
            other.append(step())
        );
        let lost: Vec<_> = [a, b, c].into_iter().filter_map(Result::err).collect();
        assert_eq!(lost.len(), 2, "{lost:?}");
        for error in lost {
            let AppendError::VersionConflict { actual, .. } = error else { panic!("{error:?}") };
            assert_eq!(actual, version + 1);
        }
    }
}

async fn a_duplicate_is_judged_before_the_version(it: TestLog) {
    let fact = event("interaction.greeted").id("k-1").expecting(0);
    let first = it.record(fact.clone()).await;
    it.record(event("interaction.thanked")).await;
    assert_eq!(it.append([fact]).await.unwrap(), [Appended::Duplicate(first)]);
}

async fn streams_have_versions_without_holes(it: TestLog) {
    for n in 0..40 {
        let complaint = format!("k-{}", n % 3);
        let raised = event("complaint.raised").member("complaint", complaint);
        it.append([event("interaction.greeted"), raised]).await.unwrap();
        it.append([event("interaction.noted").expecting(0)]).await.unwrap_err();
    }
    let mut streams: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for fact in it.everything().await {
        streams.entry(fact.stream.to_string()).or_default().push(fact.version);
    }
    assert_eq!(streams.len(), 4);
    for (stream, versions) in streams {
        assert!(versions.iter().copied().eq(1..=i64::try_from(versions.len()).unwrap()));
        let stream: Stream = stream.parse().unwrap();
        let page = it.log.read_stream(&main_tenant(), &stream, 3, 5).await.unwrap();
        assert!(page.iter().map(|it| it.version).eq(4..=8), "{stream}");
    }
}

async fn the_log_refuses_update_and_delete(it: TestLog) {
    it.record(event("interaction.greeted")).await;
    let before = it.everything().await;
    let mut statements = vec!["UPDATE events SET data = '{}'", "DELETE FROM events"];
    if matches!(it.log.db(), Db::Postgres { .. }) {
        statements.push("TRUNCATE events");
    }
    for statement in statements {
        let error = execute(&it, statement).await.unwrap_err().to_string();
        assert!(error.contains("correct a fact with an event that voids it"), "{error}");
    }
    assert_eq!(it.everything().await, before);
}

async fn half_a_second_sorts_after_the_whole_second(it: TestLog) {
    it.record(event("interaction.greeted").at("2026-10-03T14:00:00.5+07:00")).await;
    it.record(event("interaction.greeted").at("2026-10-03T14:00:00+07:00")).await;
    it.record(event("interaction.greeted").at("2026-10-03T14:00:00.000001+07:00")).await;
    let order: Vec<i64> = store::on_db!(it.log.db(), pool => {
        sqlx::query_scalar("SELECT position FROM events ORDER BY occurred_at").fetch_all(pool).await.unwrap()
    });
    assert_eq!(order, [2, 3, 1]);
}

async fn recorded_at_never_goes_back(it: TestLog) {
    let first = it.record(event("interaction.greeted")).await;
    it.clock.set(at("2026-10-03T14:30:00+07:00"));
    let second = it.record(event("interaction.greeted")).await;
    assert_eq!(second.recorded_at, first.recorded_at);
    it.clock.set(at("2026-10-03T15:00:00.25+07:00"));
    let third = it.record(event("interaction.greeted")).await;
    assert_eq!(third.recorded_at, at("2026-10-03T15:00:00.25+07:00"));
    assert_eq!(it.log.head_row().await.unwrap().1, third.recorded_at);
}

async fn reading_by_customer_and_by_reference(it: TestLog) {
    let main = main_tenant();
    it.record(event("interaction.greeted").id("k-1").customer("c-1")).await;
    it.record(event("complaint.raised").id("k-2").customer("c-2")).await;
    it.record(event("interaction.greeted").id("k-3").customer("c-3")).await;
    it.record(event("complaint.raised").id("k-4").customer("c-1")).await;
    it.record(event("interaction.greeted").id("k-5").customer("c-1").tenant("annex")).await;

    let (one, two) = ("c-1".parse().unwrap(), "c-2".parse().unwrap());
    let of = async |up_to| {
        let facts = it.log.read_customers(&main, &[&one, &two], up_to).await.unwrap();
        facts.iter().map(|it| it.position).collect::<Vec<_>>()
    };
    assert_eq!(of(i64::MAX).await, [1, 2, 4]);
    assert_eq!(of(3).await, [1, 2]);

    let wanted = ["k-3", "k-1", "k-1", "k-5", "nobody's"].map(reference);
    let facts = it.log.read_references(&main, &wanted).await.unwrap();
    let found: HashSet<i64> = facts.iter().map(|it| it.position).collect();
    assert_eq!((facts.len(), found), (2, HashSet::from([1, 3])));

    let facts = it.log.read_positions(&main, &[4, 5, 99]).await.unwrap();
    assert!(facts.iter().map(|it| it.position).eq([4]));
    assert_eq!(it.log.reference_at(3).await.unwrap(), Some(reference("k-3")));
    assert_eq!(it.log.reference_at(99).await.unwrap(), None);
    assert_eq!(it.log.find(&main, &reference("k-5")).await.unwrap(), None);
    assert_eq!(it.log.read_customers(&main, &[], i64::MAX).await.unwrap(), []);
}

async fn searching_skips_no_fact_and_repeats_none(it: TestLog) {
    for n in 0..30 {
        let kind = if n % 3 == 0 { "complaint.raised" } else { "interaction.greeted" };
        it.record(event(kind).customer(&format!("c-{}", n % 2))).await;
    }
    let complaints =
        Filter { type_prefixes: vec!["sapa.complaint.".to_owned()], ..Filter::default() };
    let of_one = Filter { customer: Some("c-1".parse().unwrap()), ..complaints.clone() };
    for (filter, wanted) in [(complaints, (1..=30).step_by(3)), (of_one, (4..=30).step_by(6))] {
        let (mut found, mut position) = (Vec::new(), 0);
        while position < 30 {
            let search = it.log.search_after(&main_tenant(), position, &filter, 2, 7).await;
            let (page, end) = search.unwrap();
            assert!(position < end && page.len() <= 2);
            position = end;
            found.extend(page.iter().map(|it| it.position));
        }
        assert!(found.iter().copied().eq(wanted), "{found:?}");
    }
}

async fn the_first_event_about_a_customer_is_told_apart(it: TestLog) {
    let about = |customer: &str, id: &str| event("interaction.greeted").customer(customer).id(id);
    let are_first = |outcomes: &[Appended]| -> Vec<bool> {
        outcomes.iter().map(|it| matches!(it, Appended::RecordedFirst(_))).collect()
    };
    let tell = async |events: Vec<Event>| {
        let events = events.into_iter().map(Event::incoming).collect();
        are_first(&it.appender.append_telling_firsts(events).await.unwrap())
    };
    assert_eq!(tell(vec![about("c-1", "f-1"), about("c-1", "f-2")]).await, [true, false]);
    assert_eq!(tell(vec![about("c-2", "f-3"), about("c-1", "f-4")]).await, [true, false]);
    assert_eq!(tell(vec![about("c-2", "f-3")]).await, [false], "a duplicate is not the first");
    // Somebody who was named in the stream of a venue is known when their own stream begins.
    let mut elsewhere = about("c-3", "f-5").incoming();
    elsewhere.stream = "venue/aula-taman".parse().unwrap();
    assert_eq!(
        are_first(&it.appender.append_telling_firsts(vec![elsewhere]).await.unwrap()),
        [true]
    );
    assert_eq!(tell(vec![about("c-3", "f-6")]).await, [false]);
    // Each tenant has its own customers.
    assert_eq!(tell(vec![about("c-1", "f-7").tenant("bank")]).await, [true]);
    let each = vec![about("c-4", "f-8").incoming(), about("c-4", "f-9").incoming()];
    let each = it.appender.append_each_telling_firsts(each).await;
    assert_eq!(are_first(&each.into_iter().map(Result::unwrap).collect::<Vec<_>>()), [true, false]);
}

async fn of_many_at_once_about_a_new_customer_one_is_the_first(it: TestLog) {
    let other = it.second_writer().await;
    let requests = (0..32).map(|n| {
        let appender = if n % 2 == 0 { it.appender.clone() } else { other.clone() };
        tokio::spawn(async move {
            let event = event("interaction.greeted").customer("c-new").incoming();
            appender.append_telling_firsts(vec![event]).await.unwrap().remove(0)
        })
    });
    let outcomes = futures_util::future::join_all(requests).await;
    let firsts: Vec<i64> = outcomes
        .into_iter()
        .map(Result::unwrap)
        .filter(|it| matches!(it, Appended::RecordedFirst(_)))
        .map(|it| it.receipt().position)
        .collect();
    assert_eq!(firsts, [1]);
}

async fn a_thousand_events_are_appended_in_groups(it: TestLog) {
    let mut facts: Vec<Event> = (0..1_000)
        .map(|n| {
            event("interaction.greeted").id(&format!("k-{n}")).customer(&format!("c-{}", n % 7))
        })
        .collect();
    let half = facts.split_off(600);
    let outcomes = it.append(facts.clone()).await.unwrap();
    assert!(outcomes.iter().map(|it| it.receipt().position).eq(1..=600), "one request is whole");

    let each = facts.iter().chain(&half).map(|it| it.clone().incoming()).collect();
    let outcomes = it.appender.append_each(each).await;
    for (outcome, wanted) in outcomes.into_iter().zip(1..) {
        let outcome = outcome.unwrap();
        assert_eq!((outcome.receipt().position, outcome.is_new()), (wanted, 600 < wanted));
    }
    let references: Vec<EventRef> = (0..1_000).map(|n| reference(&format!("k-{n}"))).collect();
    let found = it.log.read_references(&main_tenant(), &references).await.unwrap();
    assert_eq!(found.len(), 1_000);
}

async fn many_requests_at_once_are_answered_each(it: TestLog) {
    it.record(event("interaction.greeted").id("k-1")).await;
    let requests = vec![
        event("interaction.thanked").id("k-2"),
        event("interaction.greeted").id("k-1"),
        event("interaction.greeted").id("k-1").member("text", "Something else"),
        event("interaction.noted").id("k-3").expecting(9),
        event("interaction.noted").id("k-4").expecting(2),
        event("interaction.thanked").id("k-2"),
        event("interaction.noted").id("k-5").expecting(3),
        event("interaction.noted").id("k-6"),
    ];
    let requests = requests.into_iter().map(Event::incoming).collect();
    let outcomes = it.appender.append_each(requests).await;
    let words: Vec<String> = outcomes
        .iter()
        .map(|it| match it {
            Ok(Appended::Recorded(it) | Appended::RecordedFirst(it)) => {
                format!("recorded at {}", it.position)
            }
            Ok(Appended::Duplicate(it)) => format!("duplicate of {}", it.position),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(
        words,
        [
            "recorded at 2",
            "duplicate of 1",
            "event id already used at position 1",
            "customer/c-1 is at version 2, not 9",
            "recorded at 3",
            "duplicate of 2",
            "recorded at 4",
            "recorded at 5",
        ]
    );
}

async fn the_bell_rings_after_the_commit(it: TestLog) {
    let rings = it.bell.listen();
    it.record(event("interaction.greeted")).await;
    rings.await;
    assert_eq!(it.bell.position(), 1);
}

async fn what_waits_when_the_writer_stops_is_still_recorded(it: TestLog) {
    let facts = (0..100).map(|_| event("interaction.greeted").incoming()).collect();
    let appender = it.appender.clone();
    let sent = tokio::spawn(async move { appender.append_each(facts).await });
    while it.appender.waiting() == 0 && it.bell.position() == 0 {
        tokio::task::yield_now().await;
    }
    it.stop.cancel();
    let recorded = sent.await.unwrap().into_iter().flatten().count();
    assert_eq!(it.everything().await.len(), recorded, "nobody is told the contrary of what is");
    let late = it.append([event("interaction.greeted")]).await.unwrap_err();
    assert!(matches!(late, AppendError::Unavailable(_)), "{late:?}");
}

async fn a_log_that_is_opened_again_is_the_same(it: TestLog) {
    it.record(event("interaction.greeted")).await;
    let (before, head) = (it.everything().await, it.log.head_row().await.unwrap());
    let again = store::Log::open_unsafe_durability(&it.place, 2, Uuid::from_u128(9)).await.unwrap();
    assert_eq!(again.head_row().await.unwrap(), head, "its identity is given once");
    assert_eq!(again.read_after(0, 10).await.unwrap(), before);
}

#[tokio::test]
async fn a_server_that_can_lose_facts_is_refused_with_the_remedy() {
    let place = store::db::Place::Server(support::database().await);
    let refused = store::Log::open(&place, 2, Uuid::from_u128(1)).await.unwrap_err().to_string();
    assert!(refused.contains("fsync = off"), "{refused}");
    assert!(
        refused.ends_with("ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();"),
        "{refused}"
    );
}

fn reference(id: &str) -> EventRef {
    format!("/front-desk#{id}").parse().unwrap()
}

/// Runs a statement with the rights of the writer.
async fn execute(it: &TestLog, statement: &str) -> Result<(), sqlx::Error> {
    match it.log.db() {
        Db::Sqlite { writes, .. } => {
            sqlx::query(AssertSqlSafe(statement)).execute(writes).await.map(drop)
        }
        Db::Postgres { writes, .. } => {
            sqlx::query(AssertSqlSafe(statement)).execute(writes).await.map(drop)
        }
    }
}
