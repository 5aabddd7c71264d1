//! Policies that change for many customers: a generation of the read models is made in which they hold,
//! what answers goes on answering as it was, and in the end every row is as if the policies had changed
//! in place.

use std::time::Duration;

use events::policy::Policies;
use events::time::Clock as _;
use projections::rebuild::{self, Build, RebuildError};
use projections::upkeep::{self, About, Record, State};
use projections::{Runner, runner};
use serde_json::{Value, json};
use store::generations;
use tokio_util::sync::CancellationToken;

use crate::house::{House, stories};
use crate::projections::hard_days;

stories![
    new_policies_give_the_same_rows_in_a_generation_of_their_own_as_in_place,
    answers_and_decisions_wait_at_the_position_before_new_policies,
    a_generation_for_new_policies_goes_on_where_its_process_ended,
    a_generation_that_nobody_waits_for_is_deleted,
];

/// Lets the keeper's runner stop before every change of policies.
async fn never_in_place(house: &House) {
    let mut held = house.runner.lock().await;
    let live = house.views.live();
    let runner = Runner::open(house.log.clone(), live.db, live.generation, 1).await.unwrap();
    *held = runner.with_in_place_max(0);
}

/// Rows and hash of every table when the log is folded with every change in place.
async fn in_place(house: &House) -> Vec<(&'static str, i64, String)> {
    let db = house.views.open_generation(90).await.unwrap().db;
    let mut runner = Runner::open(house.log.clone(), db, 90, 1).await.unwrap();
    while runner.step().await.unwrap().events != 0 {}
    rebuild::hashes(&runner).await.unwrap()
}

fn stricter() -> Value {
    let mut owe = Policies::default().owe.published.body.clone();
    owe["answer"] = json!(1);
    owe
}

async fn ask(house: &House, at: &str, customer: &str) {
    let asked = json!({ "inquiry": format!("q-{customer}"), "topic": "price" });
    house.fact(at, customer, "interaction.inquired", asked).await;
}

async fn new_policies_give_the_same_rows_in_a_generation_of_their_own_as_in_place(house: House) {
    never_in_place(&house).await;
    hard_days(&house).await;
    // Two versions were published and one of them took hold later: three changes.
    assert!(3 < house.views.live().generation, "{:?}", house.views.live());
    assert_eq!(house.hashes().await, in_place(&house).await);
    let record = upkeep::load(house.log.db(), About::Activation).await.unwrap().unwrap();
    assert_eq!((record.state, record.percent()), (State::Live, 100));
    let all = generations::list(house.log.db()).await.unwrap();
    let left = all.iter().filter(|it| it.state == "building").count();
    assert_eq!(left, 0, "{all:?}");
}

async fn answers_and_decisions_wait_at_the_position_before_new_policies(house: House) {
    never_in_place(&house).await;
    ask(&house, "2026-05-04T09:00:00+07:00", "c-1").await;
    let owed = async || house.obligation("c-1", "answer", "inquiry/q-c-1").await["due_at"].clone();
    let (before, due) = (house.log.head().await.unwrap(), owed().await);
    let mut held = house.runner.lock().await;
    let published = house.policy("owe", 2, "2026-05-04T09:00:00+07:00", &stricter());
    house.appender.append(vec![published]).await.unwrap();
    let stopped = held.step().await.unwrap();
    let expected = runner::Progress {
        position: before,
        events: 0,
        recorded: Vec::new(),
        awaits_generation: true,
    };
    assert_eq!(stopped, expected);
    assert_eq!((house.snapshot().await.position, owed().await), (before, due.clone()));
    assert!(house.tick().await.behind, "a reaction decides on half the truth");

    drop(held);
    house.settle().await;
    assert_eq!(house.views.live().generation, 2);
    assert_ne!(owed().await, due, "the new policies do not hold");
    assert_eq!(house.hashes().await, in_place(&house).await);
}

async fn a_generation_for_new_policies_goes_on_where_its_process_ended(house: House) {
    never_in_place(&house).await;
    for customer in ["c-1", "c-2", "c-3"] {
        ask(&house, "2026-05-04T09:00:00+07:00", customer).await;
    }
    let held = house.runner.lock().await;
    let published = house.policy("owe", 2, "2026-05-04T09:00:00+07:00", &stricter());
    house.appender.append(vec![published]).await.unwrap();
    // As a process leaves it that is killed while it makes the generation.
    let now = house.clock.now();
    let mut build = Build::begin(&house.views, 1, now).await.unwrap();
    let generation = build.generation();
    let record =
        Record { generation, state: State::Building, begun_at: now, at: now, ..Record::default() };
    upkeep::store(house.log.db(), About::Activation, 1, &record).await.unwrap();
    let stop = CancellationToken::new();
    let stopped = build.follow(&house.views, &stop, |_| stop.cancel()).await;
    assert!(matches!(stopped, Err(RebuildError::Stopped)), "{stopped:?}");
    drop(build);
    // What an operator clears away meanwhile is not this.
    rebuild::clear(&house.views).await.unwrap();

    drop(held);
    house.settle().await;
    assert_eq!(house.views.live().generation, generation);
    assert_eq!(house.hashes().await, in_place(&house).await);
    ask(&house, "2026-05-04T10:00:00+07:00", "c-4").await;
    assert_eq!(house.hashes().await, in_place(&house).await);
}

async fn a_generation_that_nobody_waits_for_is_deleted(house: House) {
    ask(&house, "2026-05-04T09:00:00+07:00", "c-1").await;
    let now = house.clock.now();
    let build = Build::begin(&house.views, 1, now).await.unwrap();
    let generation = build.generation();
    drop(build);
    let record =
        Record { generation, state: State::Building, begun_at: now, at: now, ..Record::default() };
    upkeep::store(house.log.db(), About::Activation, 1, &record).await.unwrap();
    // The next term's keeper finds that its runner waits for nothing.
    let (stop, bell) = (CancellationToken::new(), store::Bell::default());
    let keeper =
        projections::keeper::keep_up(house.runner.clone(), house.views.clone(), bell, stop.clone());
    let looked = async {
        let state = async || {
            upkeep::load(house.log.db(), About::Activation).await.unwrap().map(|it| it.state)
        };
        while state().await != Some(State::Live) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    let (kept, ()) = tokio::join!(keeper, looked);
    kept.unwrap();
    let all = generations::list(house.log.db()).await.unwrap();
    let state = all.iter().find(|it| it.generation == generation).map(|it| it.state.as_str());
    assert_eq!(state, Some("retired"), "{all:?}");
}
