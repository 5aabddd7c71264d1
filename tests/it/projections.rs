//! Read models are a function of the log: rebuilding, cutting the pages differently, late facts,
//! what was taken back and policies on the way all end in the same rows, byte for byte. One event
//! that cannot be folded stops its own customer and nobody else.

use events::id::CustomerId;
use events::policy::Policies;
use events::time::Clock as _;
use projections::parked::{self, Parked};
use projections::rebuild::{Build, RebuildError};
use projections::{Holder, Runner, rebuild};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use store::{Tx, generations, on_tx};
use tokio_util::sync::CancellationToken;

use crate::house::{House, main_tenant, stories};

stories![
    a_rebuild_equals_the_incremental_rows,
    the_size_of_the_pages_does_not_matter,
    what_cannot_be_folded_parks_its_customer_and_nobody_else,
    a_second_event_that_cannot_be_folded_parks_again,
    read_models_that_stand_elsewhere_are_read_again_and_go_on,
    a_build_that_differs_is_not_swapped_in,
    a_build_goes_on_where_it_was_stopped,
    what_is_given_up_after_a_build_stays_given_up_when_it_is_swapped_in,
    a_promise_between_colleagues_that_is_taken_back_is_gone_however_the_log_is_cut,
    what_the_database_refuses_parks_its_customer_and_nobody_else,
    a_customer_with_a_long_history_and_many_late_facts_is_replayed_once_a_page,
];

/// A few days with everything that makes folding hard.
pub async fn hard_days(house: &House) {
    for customer in ["c-1", "c-2", "c-3"] {
        let at = "2026-05-04T09:00:00+07:00";
        let asked = json!({ "inquiry": format!("q-{customer}"), "topic": "price" });
        house.fact(at, customer, "interaction.inquired", asked).await;
        let made = json!({
            "promise": format!("p-{customer}"), "what": "The price", "owner": "ani",
            "due_at": "2026-05-04T15:00:00+07:00", "about": format!("inquiry/q-{customer}"),
        });
        house.fact("2026-05-04T09:10:00+07:00", customer, "promise.made", made).await;
    }
    // A policy that takes hold later, and one that does so at once.
    let mut owe = Policies::default().owe.published.body.clone();
    owe["answer"] = json!(2);
    house.publish("owe", 2, "2026-05-05T12:00:00+07:00", owe).await;
    let sale = json!({
        "purchase": "s-1", "kind": "sale", "amount": { "amount": 90_000, "currency": "IDR" },
    });
    house.fact("2026-05-05T08:00:00+07:00", "c-1", "purchase.recorded", sale).await;
    // The promise to the first was met in time, as we hear late; the second one is late.
    let answered =
        |customer: &str| json!({ "about": format!("inquiry/q-{customer}"), "complete": true });
    house.fact("2026-05-05T09:00:00+07:00", "c-2", "interaction.answered", answered("c-2")).await;
    house.late("2026-05-04T14:00:00+07:00", "c-1", "interaction.answered", answered("c-1")).await;
    // An answer that was given to somebody else, and was corrected.
    house.fact("2026-05-05T10:00:00+07:00", "c-3", "interaction.answered", answered("c-3")).await;
    house.pass_until("2026-05-05T11:00:00+07:00").await;
    let correction = json!({
        "id": "n-1", "time": "2026-05-05T09:30:00+07:00", "subject": "c-3",
        "voids": "/test#c-3-interaction.answered-2026-05-05T10:00:00+07:00",
        "data": { "text": "The answer was for Pak Anton", "visibility": "team" },
    });
    house.event(correction, "interaction.noted").await;
    // A correction on the page of one customer of what stood on the page of another.
    let across = json!({
        "id": "n-2", "time": "2026-05-05T09:40:00+07:00", "subject": "c-2",
        "voids": "/test#c-1-purchase.recorded-2026-05-05T08:00:00+07:00",
        "data": { "text": "That sale was to somebody else", "visibility": "team" },
    });
    house.event(across, "interaction.noted").await;
    let raised = json!({
        "complaint": "k-1", "kind": "service", "category": "cleanliness", "severity": "high",
        "text": "Dust",
    });
    house.late("2026-05-05T09:45:00+07:00", "c-3", "complaint.raised", raised).await;
    improve(house).await;
    house.pass_until("2026-05-05T12:30:00+07:00").await;
    let again = json!({ "inquiry": "q-9", "topic": "parking" });
    house.fact("2026-05-05T12:30:00+07:00", "c-1", "interaction.inquired", again).await;
    let mut neglect = Policies::default().neglect.published.body.clone();
    neglect["we"]["first_due_days"] = json!(12);
    house.publish("neglect", 2, "2026-05-05T12:30:00+07:00", neglect).await;
    house.pass_until("2026-05-06T12:00:00+07:00").await;
    let owed = house.obligation("c-1", "answer", "inquiry/q-9").await;
    assert_eq!(owed["due_at"], "2026-05-05T07:30:00.000000Z", "the second version decides");
}

/// Improvements that nobody is told of twice, one of them corrected, behind another what was voided.
async fn improve(house: &House) {
    let asked = |it: &str| format!("/test#{it}-interaction.inquired-2026-05-04T09:00:00+07:00");
    let made = |id: &str, improvement: &str, because: Value| {
        json!({
            "id": id, "time": "2026-05-05T11:00:00+07:00",
            "data": {
                "improvement": improvement, "what": "A list of prices", "measure": "inquiries",
                "because": because,
            },
        })
    };
    let sale = "/test#c-1-purchase.recorded-2026-05-05T08:00:00+07:00";
    let first = json!([asked("c-1"), asked("c-3"), asked("c-1"), "/test#nobody-knows"]);
    for event in [
        made("i-1", "im-1", first),
        made("i-2", "im-2", json!([sale, asked("c-2")])),
        made("i-3", "im-2", json!([asked("c-2"), asked("c-3")])),
    ] {
        house.event(event, "improvement.made").await;
    }
    for customer in ["c-1", "c-3"] {
        assert!(house.obligation(customer, "tell", "improvement/im-1").await.is_object());
    }
    assert_eq!(house.obligation("c-1", "tell", "improvement/im-2").await, Value::Null);
    let told = house.obligation("c-2", "tell", "improvement/im-2").await;
    assert_eq!(told["opened_by"], "/test#i-2", "{told}");

    // It was not for the first, and the correction of that was wrong for the second.
    let mut corrected = made("i-4", "im-1", json!([asked("c-2"), asked("c-3")]));
    corrected["voids"] = json!("/test#i-1");
    house.event(corrected, "improvement.made").await;
    assert_eq!(house.obligation("c-1", "tell", "improvement/im-1").await, Value::Null);
    for customer in ["c-2", "c-3"] {
        let told = house.obligation(customer, "tell", "improvement/im-1").await;
        assert_eq!(told["opened_by"], "/test#i-4", "{told}");
    }
    let note = json!({
        "id": "n-4", "time": "2026-05-05T11:00:00+07:00", "subject": "c-2",
        "voids": "/test#i-4", "data": { "text": "It was right before", "visibility": "team" },
    });
    house.event(note, "interaction.noted").await;
    assert_eq!(house.obligation("c-2", "tell", "improvement/im-1").await, Value::Null);
    for customer in ["c-1", "c-3"] {
        let told = house.obligation(customer, "tell", "improvement/im-1").await;
        assert_eq!(told["opened_by"], "/test#i-1", "{told}");
    }
}

async fn a_rebuild_equals_the_incremental_rows(house: House) {
    hard_days(&house).await;
    let before = house.hashes().await;
    let made =
        rebuild::rebuild(&house.views, &house.runner, 1, house.clock.now(), |_| {}).await.unwrap();
    assert_eq!(made, 2);
    assert_eq!(house.views.live().generation, 2);
    assert_eq!(house.hashes().await, before);

    // And the new build goes on from there.
    let thanks = json!({ "about": "inquiry/q-c-2" });
    house.fact("2026-05-06T12:10:00+07:00", "c-2", "interaction.messaged", thanks).await;
    assert_eq!(house.timeline("c-2").await.last().unwrap().r#type, "sapa.interaction.messaged.v1");
    assert_ne!(house.hashes().await, before);
}

async fn the_size_of_the_pages_does_not_matter(house: House) {
    hard_days(&house).await;
    break_event(&house, "c-2", "x-1", "2026-05-06T12:01:00+07:00").await;
    greet(&house, "c-2", "2026-05-06T12:02:00+07:00").await;
    greet(&house, "c-3", "2026-05-06T12:03:00+07:00").await;
    cut_otherwise(&house).await;
}

/// Folds the log in pages of other sizes, which has to give the same rows.
async fn cut_otherwise(house: &House) {
    let live = house.hashes().await;
    for (generation, page) in [(11, 1), (12, 7), (13, 1_000)] {
        let db = house.views.open_generation(generation).await.unwrap().db;
        let runner = Runner::open(house.log.clone(), db, generation, 1).await.unwrap();
        let mut runner = runner.with_page(page);
        while runner.step().await.unwrap().events != 0 {}
        assert_eq!(rebuild::hashes(&runner).await.unwrap(), live, "pages of {page}");
    }
}

async fn a_promise_between_colleagues_that_is_taken_back_is_gone_however_the_log_is_cut(
    house: House,
) {
    let made = |promise: &str| {
        json!({
            "id": promise, "time": "2026-05-04T09:00:00+07:00",
            "data": {
                "promise": promise, "what": "The list of rooms", "owner": "ani", "to": "dewi",
                "due_at": "2026-05-04T15:00:00+07:00",
            },
        })
    };
    house.pass_until("2026-05-04T09:00:00+07:00").await;
    for promise in ["p-1", "p-2", "p-3"] {
        house.event(made(promise), "promise.made").await;
    }
    // Enough in between that pages end there, and one of them is broken and rings.
    for n in 0..9 {
        greet(&house, &format!("c-{n}"), "2026-05-04T09:10:00+07:00").await;
    }
    let taken_back = |promise: &str| {
        json!({
            "id": format!("n-{promise}"), "time": "2026-05-04T10:00:00+07:00", "subject": "c-1",
            "voids": format!("/test#{promise}"),
            "data": { "text": "That was somebody else's", "visibility": "team" },
        })
    };
    house.event(taken_back("p-1"), "interaction.noted").await;
    house.pass_until("2026-05-05T12:00:00+07:00").await;
    house.event(taken_back("p-2"), "interaction.noted").await;
    house.settle().await;
    assert_eq!(house.promise("p-1").await, Value::Null);
    assert_eq!(house.promise("p-2").await, Value::Null);
    assert_eq!(house.promise("p-3").await["promise"], "p-3");
    cut_otherwise(&house).await;
    let before = house.hashes().await;
    let now = house.clock.now();
    rebuild::rebuild(&house.views, &house.runner, 1, now, |_| {}).await.unwrap();
    assert_eq!(house.hashes().await, before);
}

async fn a_customer_with_a_long_history_and_many_late_facts_is_replayed_once_a_page(house: House) {
    // More facts than lie in memory at once of several customers, the newest recorded first.
    const FACTS: i64 = 9_000;
    let last = crate::house::instant("2026-05-04T09:00:00Z");
    house.clock.set(last);
    let held = house.runner.lock().await;
    let greeting = |n: i64| {
        let time = events::time::spell(last - jiff::SignedDuration::from_mins(n));
        let customer = if n % 100 == 0 { "c-short" } else { "c-long" };
        let event = json!({
            "id": format!("e-{n}"), "time": time, "subject": customer,
            "data": { "by_name": true },
        });
        house.incoming(event, "interaction.greeted")
    };
    let all: Vec<i64> = (0..FACTS).collect();
    for some in all.chunks(500) {
        house.appender.append(some.iter().map(|n| greeting(*n)).collect()).await.unwrap();
    }
    drop(held);
    house.settle().await;
    assert_eq!(house.dossier("c-long").await.seen.count, FACTS - FACTS / 100);
    let before = house.hashes().await;
    let now = house.clock.now();
    rebuild::rebuild(&house.views, &house.runner, 1, now, |_| {}).await.unwrap();
    assert_eq!(house.hashes().await, before);
}

/// Records an event whose data no schema allows, past the validator.
async fn break_event(house: &House, customer: &str, id: &str, at: &str) {
    house.pass_until(at).await;
    let event = json!({
        "id": id, "time": at, "subject": customer, "data": { "by_name": true },
    });
    let mut incoming = house.incoming(event, "interaction.greeted");
    incoming.data = r#"{"by_name":"perhaps"}"#.into();
    house.take(incoming).await;
}

async fn greet(house: &House, customer: &str, at: &str) {
    house.fact(at, customer, "interaction.greeted", json!({ "by_name": true })).await;
}

async fn all_parked(house: &House) -> Vec<Parked> {
    parked::load(&mut house.snapshot().await.tx).await.unwrap()
}

/// The days on which somebody was greeted, as the timeline shows them.
async fn greeted(house: &House, customer: &str) -> Vec<i8> {
    house
        .timeline(customer)
        .await
        .iter()
        .map(|it| it.occurred_at.to_zoned(jiff::tz::TimeZone::UTC).day())
        .collect()
}

async fn what_cannot_be_folded_parks_its_customer_and_nobody_else(house: House) {
    let (tenant, one) = (main_tenant(), Holder::customer(&"c-1".parse::<CustomerId>().unwrap()));
    greet(&house, "c-1", "2026-05-04T09:00:00+07:00").await;
    break_event(&house, "c-1", "x-1", "2026-05-05T09:00:00+07:00").await;
    greet(&house, "c-1", "2026-05-06T09:00:00+07:00").await;
    greet(&house, "c-2", "2026-05-06T10:00:00+07:00").await;

    // The one waits with what is later of theirs; the other goes on.
    let stored = all_parked(&house).await;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!((&stored[0].holder, stored[0].waiting, stored[0].skipped), (&one, 2, false));
    assert!(!stored[0].error.contains("perhaps"), "{}", stored[0].error);
    assert_eq!(greeted(&house, "c-1").await, [4]);
    assert_eq!(greeted(&house, "c-2").await, [6]);

    // Trying again while it is still broken changes nothing but the count of attempts.
    assert!(house.runner.lock().await.retry(&tenant, &one).await.unwrap());
    let again = all_parked(&house).await;
    assert_eq!((again.len(), again[0].attempts, again[0].waiting), (1, 2, 2), "{again:?}");
    assert_eq!(greeted(&house, "c-1").await, [4]);

    // Giving the event up folds the rest, and a rebuild knows about it.
    assert!(house.runner.lock().await.skip(&tenant, &one).await.unwrap());
    assert!(all_parked(&house).await[0].skipped);
    assert_eq!(greeted(&house, "c-1").await, [4, 6]);
    greet(&house, "c-1", "2026-05-07T09:00:00+07:00").await;
    assert_eq!(greeted(&house, "c-1").await, [4, 6, 7]);
    let before = house.hashes().await;
    let now = house.clock.now();
    rebuild::rebuild(&house.views, &house.runner, 1, now, |_| {}).await.unwrap();
    assert_eq!(house.hashes().await, before);
    assert!(all_parked(&house).await[0].skipped);

    // Nobody else can be tried again or given up.
    let two = Holder::customer(&"c-2".parse::<CustomerId>().unwrap());
    assert!(!house.runner.lock().await.retry(&tenant, &two).await.unwrap());
    assert!(!house.runner.lock().await.skip(&tenant, &two).await.unwrap());
}

async fn a_second_event_that_cannot_be_folded_parks_again(house: House) {
    let (tenant, one) = (main_tenant(), Holder::customer(&"c-1".parse::<CustomerId>().unwrap()));
    break_event(&house, "c-1", "x-1", "2026-05-04T09:00:00+07:00").await;
    greet(&house, "c-1", "2026-05-05T09:00:00+07:00").await;
    break_event(&house, "c-1", "x-2", "2026-05-06T09:00:00+07:00").await;
    greet(&house, "c-1", "2026-05-07T09:00:00+07:00").await;
    assert_eq!(greeted(&house, "c-1").await, Vec::<i8>::new());

    assert!(house.runner.lock().await.skip(&tenant, &one).await.unwrap());
    let stored = all_parked(&house).await;
    let states: Vec<(bool, i64)> = stored.iter().map(|it| (it.skipped, it.waiting)).collect();
    assert_eq!(states, [(true, 4), (false, 2)]);
    assert_eq!(greeted(&house, "c-1").await, [5]);

    assert!(house.runner.lock().await.skip(&tenant, &one).await.unwrap());
    assert_eq!(greeted(&house, "c-1").await, [5, 7]);
    let card: Value = house.card("c-1", "2026-05-07T10:00:00+07:00").await.to_json(true);
    assert_eq!(card["last_out"]["at"], "2026-05-07T02:00:00.000000Z");
}

/// Makes the tables refuse rows of one customer's timeline, as a constraint that nobody knew of.
async fn refuse(house: &House, customer: &str) {
    let mut tx = house.views.live().db.begin_write().await.unwrap();
    match &mut tx {
        Tx::Sqlite(tx) => {
            let statement = format!(
                "CREATE TRIGGER refuses BEFORE INSERT ON timeline WHEN NEW.holder = '{customer}'
                 BEGIN SELECT RAISE(ABORT, 'refused'); END"
            );
            sqlx::query(AssertSqlSafe(statement)).execute(&mut **tx).await.unwrap();
        }
        Tx::Postgres(tx) => {
            let statement = format!(
                "ALTER TABLE timeline ADD CONSTRAINT refuses CHECK (holder <> '{customer}') NOT VALID"
            );
            sqlx::query(AssertSqlSafe(statement)).execute(&mut **tx).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
}

async fn what_the_database_refuses_parks_its_customer_and_nobody_else(house: House) {
    greet(&house, "c-1", "2026-05-04T09:00:00+07:00").await;
    refuse(&house, "c-2").await;
    // All of these are in one page.
    let held = house.runner.lock().await;
    house.clock.set(crate::house::instant("2026-05-05T09:00:00+07:00"));
    for n in 0..20 {
        let customer = if n == 13 { "c-2".to_owned() } else { format!("c-{}", 3 + n % 4) };
        let event = json!({
            "id": format!("x-{n}"), "time": "2026-05-05T09:00:00+07:00", "subject": customer,
            "data": { "by_name": true },
        });
        let incoming = house.incoming(event, "interaction.greeted");
        house.appender.append(vec![incoming]).await.unwrap();
    }
    drop(held);
    house.settle().await;
    let stored = all_parked(&house).await;
    let parked: Vec<(&str, i64)> =
        stored.iter().map(|it| (it.holder.as_str(), it.waiting)).collect();
    assert_eq!(parked, [("c-2", 1)], "{stored:?}");
    assert!(stored[0].error.contains("refuses"), "{}", stored[0].error);
    assert_eq!(greeted(&house, "c-3").await, [5; 5]);
    greet(&house, "c-2", "2026-05-06T09:00:00+07:00").await;
    greet(&house, "c-6", "2026-05-06T09:00:00+07:00").await;
    assert_eq!(greeted(&house, "c-6").await.last(), Some(&6));
    assert_eq!(all_parked(&house).await[0].waiting, 2);
}

async fn read_models_that_stand_elsewhere_are_read_again_and_go_on(house: House) {
    greet(&house, "c-1", "2026-05-04T09:00:00+07:00").await;
    let live = house.views.live();
    let other = Runner::open(house.log.clone(), live.db, live.generation, 1).await.unwrap();
    {
        // As after a commit of which the answer was lost: what is stored is not what is remembered.
        let held = house.runner.lock().await;
        let event = json!({
            "id": "x-1", "time": "2026-05-04T10:00:00+07:00", "subject": "c-1",
            "data": { "by_name": true },
        });
        house.clock.set(crate::house::instant("2026-05-04T10:00:00+07:00"));
        let incoming = house.incoming(event, "interaction.greeted");
        house.appender.append(vec![incoming]).await.unwrap();
        let mut other = other;
        assert!(other.is_in_place().await.unwrap());
        assert_eq!(other.step().await.unwrap().events, 1);
        assert!(!held.is_in_place().await.unwrap());
    }
    greet(&house, "c-1", "2026-05-05T09:00:00+07:00").await;
    assert_eq!(greeted(&house, "c-1").await, [4, 4, 5]);
    assert!(house.runner.lock().await.is_in_place().await.unwrap());
}

async fn a_build_that_differs_is_not_swapped_in(house: House) {
    greet(&house, "c-1", "2026-05-04T09:00:00+07:00").await;
    let mut tx = house.views.live().db.begin_write().await.unwrap();
    on_tx!(&mut tx, conn => {
        sqlx::query("DELETE FROM timeline").execute(conn).await.unwrap();
    });
    tx.commit().await.unwrap();
    let now = house.clock.now();
    let refused = rebuild::rebuild(&house.views, &house.runner, 1, now, |_| {}).await;
    let Err(RebuildError::Differs { generation: 2, table: "timeline", position: 1 }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(house.views.live().generation, 1);
    let all = generations::list(house.log.db()).await.unwrap();
    assert_eq!(all.last().unwrap().state, "failed");
}

async fn a_build_goes_on_where_it_was_stopped(house: House) {
    hard_days(&house).await;
    break_event(&house, "c-2", "x-1", "2026-05-06T12:01:00+07:00").await;
    let mut build = Build::begin(&house.views, 1, house.clock.now()).await.unwrap();
    let generation = build.generation();
    // What stands apart from customers is in; of them nobody is folded yet.
    let stop = CancellationToken::new();
    let stopped = build.follow(&house.views, &stop, |_| stop.cancel()).await;
    assert!(matches!(stopped, Err(RebuildError::Stopped)), "{stopped:?}");
    drop(build);

    greet(&house, "c-3", "2026-05-06T12:02:00+07:00").await;
    let mut build = Build::open(&house.views, generation, 1).await.unwrap();
    build.follow(&house.views, &CancellationToken::new(), |_| {}).await.unwrap();
    assert_eq!(build.compare(&house.views).await.unwrap().differs_in, None);
}

async fn what_is_given_up_after_a_build_stays_given_up_when_it_is_swapped_in(house: House) {
    let (tenant, one) = (main_tenant(), Holder::customer(&"c-1".parse::<CustomerId>().unwrap()));
    break_event(&house, "c-1", "x-1", "2026-05-04T09:00:00+07:00").await;
    greet(&house, "c-1", "2026-05-05T09:00:00+07:00").await;
    let mut build = Build::begin(&house.views, 1, house.clock.now()).await.unwrap();
    build.follow(&house.views, &CancellationToken::new(), |_| {}).await.unwrap();
    assert_eq!(build.compare(&house.views).await.unwrap().differs_in, None);
    assert!(house.runner.lock().await.skip(&tenant, &one).await.unwrap());
    let before = house.hashes().await;
    build.take_over(&house.views, &house.runner).await.unwrap();
    assert_eq!(house.views.live().generation, 2);
    assert_eq!(house.hashes().await, before);
    assert_eq!(greeted(&house, "c-1").await, [5]);
}
