//! What is recorded late has the effect it would have had in time; what was raised on a mistake is
//! withdrawn once, and nothing is made up for that lies in the past.

use std::time::Duration;

use events::time::Clock as _;
use projections::rebuild;
use serde_json::{Value, json};
use tests::dice::Dice;

use crate::house::{House, instant, local, main_tenant, stories};

#[path = "../../../crates/reactions/tests/late_facts/history.rs"]
#[expect(dead_code, reason = "the property over the list in memory asks for more")]
mod history;
#[expect(dead_code, reason = "the property over the list in memory asks for more")]
#[path = "../../../crates/reactions/tests/late_facts/machine.rs"]
mod machine;

stories![
    a_late_answer_that_waits_withdraws_the_alert,
    a_late_promise_withdraws_the_alert_it_covers,
    a_fact_from_months_ago_rings_once_and_then_by_the_calendar,
    a_silence_that_was_muted_rings_from_the_moment_of_consent,
    nobody_is_reminded_while_a_customer_is_muted,
    a_plan_that_is_dropped_rings_once,
    a_promise_that_is_released_rings_once,
    after_down_time_only_the_present_step_is_recorded,
    an_answer_closes_its_question_whatever_the_clocks_say,
    a_fact_comes_true_at_its_moment_in_a_quiet_log,
    nothing_imported_rings_before_the_import_has_ended,
    an_import_that_falls_silent_has_ended,
    any_order_of_recording_ends_the_same,
];

async fn count(house: &House, kind: &str) -> usize {
    house.recorded(kind).await.len()
}

fn reached() -> Value {
    json!({ "purpose": "courtesy", "outcome": "reached" })
}

async fn a_late_answer_that_waits_withdraws_the_alert(house: House) {
    let raised = json!({
        "complaint": "k1", "kind": "service", "category": "noise", "severity": "high",
        "text": "x",
    });
    house.fact("2026-11-23T10:00:00+07:00", "c-1", "complaint.raised", raised).await;
    house.pass_until("2026-11-30T10:00:00+07:00").await;
    assert_eq!(house.alert("c-1", "resolution").await["state"], "escalated");

    let answered = json!({ "about": "complaint/k1", "complete": false, "waiting": true });
    house.late("2026-11-23T11:00:00+07:00", "c-1", "interaction.answered", answered).await;
    for stop_by in ["reply", "resolution"] {
        assert_eq!(house.alert("c-1", stop_by).await["state"], "withdrawn", "{stop_by}");
    }
    let owed = house.obligation("c-1", "resolution", "complaint/k1").await;
    assert_eq!(owed["state"], "paused");
    let withdrawn = house.recorded("alert.withdrawn").await;
    assert_eq!(withdrawn.len(), 2);
    assert!(withdrawn.iter().all(|it| it.data.contains("interaction.answered")), "{withdrawn:?}");
    house.pass_until("2026-12-07T10:00:00+07:00").await;
    assert_eq!(count(&house, "alert.withdrawn").await, 2);
}

async fn a_late_promise_withdraws_the_alert_it_covers(house: House) {
    let asked = json!({ "inquiry": "q2", "topic": "price" });
    house.fact("2026-11-23T09:00:00+07:00", "c-1", "interaction.inquired", asked).await;
    house.pass_until("2026-11-30T10:00:00+07:00").await;
    let made = json!({
        "promise": "p2", "what": "x", "due_at": "2026-12-28T15:00:00+07:00", "owner": "ani",
        "about": "inquiry/q2",
    });
    house.late("2026-11-23T10:00:00+07:00", "c-1", "promise.made", made).await;
    assert_eq!(house.alert("c-1", "answer").await["state"], "withdrawn");
    assert_eq!(house.obligation("c-1", "answer", "inquiry/q2").await["state"], "covered");
    let withdrawn = house.recorded("alert.withdrawn").await;
    assert!(withdrawn[0].data.contains("promise.made"), "{}", withdrawn[0].data);
}

async fn a_fact_from_months_ago_rings_once_and_then_by_the_calendar(house: House) {
    house.pass_until("2026-11-30T10:00:00+07:00").await;
    let fulfilled = json!({ "booking": "b7", "venue": "aula-taman", "no_show": false });
    house.late("2026-06-06T10:00:00+07:00", "c-1", "booking.fulfilled", fulfilled).await;
    assert_eq!(
        (count(&house, "alert.raised").await, count(&house, "alert.escalated").await),
        (3, 0)
    );
    house.pass_until("2026-11-30T13:59:00+07:00").await;
    assert_eq!(count(&house, "alert.escalated").await, 0);
    // Four working hours after it was recorded.
    house.pass_until("2026-11-30T14:00:00+07:00").await;
    assert_eq!(count(&house, "alert.escalated").await, 3);
}

async fn a_silence_that_was_muted_rings_from_the_moment_of_consent(house: House) {
    house.fact("2026-10-20T10:00:00+07:00", "c-1", "interaction.contacted", reached()).await;
    consent(&house, "2026-10-25T10:00:00+07:00", "withdrawn").await;
    consent(&house, "2026-11-30T10:00:00+07:00", "given").await;
    let raised = house.recorded("alert.raised").await;
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].occurred_at, instant("2026-11-30T10:00:00+07:00"));
    let alert = house.alert("c-1", "personal_contact").await;
    assert_eq!(
        (local(&alert["due_at"]), &alert["occurrence"]),
        ("2026-11-03 09:00".into(), &json!(1))
    );
    assert_eq!(
        (count(&house, "alert.escalated").await, count(&house, "alert.withdrawn").await),
        (0, 0)
    );
}

async fn consent(house: &House, at: &str, state: &str) {
    let data = json!({ "purpose": "contact", "state": state, "basis": "Said so" });
    house.fact(at, "c-1", "customer.consent_changed", data).await;
}

async fn nobody_is_reminded_while_a_customer_is_muted(house: House) {
    house.fact("2026-11-02T10:00:00+07:00", "c-1", "interaction.contacted", reached()).await;
    // It rings on Monday the 16th at nine, two working hours before they wish to be left alone.
    consent(&house, "2026-11-16T11:00:00+07:00", "withdrawn").await;
    assert_eq!(count(&house, "alert.raised").await, 1);
    consent(&house, "2026-11-25T09:00:00+07:00", "given").await;
    assert_eq!(count(&house, "alert.escalated").await, 0);
    house.pass_until("2026-11-25T10:59:00+07:00").await;
    assert_eq!(count(&house, "alert.escalated").await, 0);
    house.pass_until("2026-11-25T11:00:00+07:00").await;
    assert_eq!(count(&house, "alert.escalated").await, 1);
    assert_eq!(count(&house, "alert.withdrawn").await, 0);
}

async fn a_plan_that_is_dropped_rings_once(house: House) {
    house.fact("2026-11-10T10:00:00+07:00", "c-1", "interaction.contacted", reached()).await;
    let plan = |cancelled: bool| {
        json!({
            "plan": "pl5", "at": "2026-12-20T10:00:00+07:00", "owner": "dewi",
            "purpose": "courtesy", "cancelled": cancelled,
        })
    };
    house.fact("2026-11-12T10:00:00+07:00", "c-1", "interaction.planned", plan(false)).await;
    house.fact("2026-11-30T10:00:00+07:00", "c-1", "interaction.planned", plan(true)).await;
    let raised = house.recorded("alert.raised").await;
    assert_eq!((raised.len(), count(&house, "alert.withdrawn").await), (1, 0));
    assert_eq!(raised[0].occurred_at, instant("2026-11-30T10:00:00+07:00"));
    let alert = house.alert("c-1", "personal_contact").await;
    assert_eq!(
        (local(&alert["due_at"]), &alert["state"]),
        ("2026-11-24 09:00".into(), &json!("raised"))
    );
}

async fn a_promise_that_is_released_rings_once(house: House) {
    house.fact("2026-11-10T10:00:00+07:00", "c-1", "interaction.contacted", reached()).await;
    let made = json!({
        "promise": "p1", "what": "x", "due_at": "2027-02-20T10:00:00+07:00", "owner": "ani",
    });
    house.fact("2026-11-12T10:00:00+07:00", "c-1", "promise.made", made).await;
    let released = json!({ "promise": "p1", "how": "released" });
    house.fact("2027-01-11T10:00:00+07:00", "c-1", "promise.settled", released).await;
    assert_eq!(
        (count(&house, "alert.raised").await, count(&house, "alert.withdrawn").await),
        (1, 0)
    );
    let alert = house.alert("c-1", "personal_contact").await;
    assert_eq!(
        (local(&alert["due_at"]), &alert["state"]),
        ("2026-12-30 09:00".into(), &json!("raised"))
    );
}

async fn after_down_time_only_the_present_step_is_recorded(house: House) {
    // They wish not to be called, so only what we owe them rings.
    consent(&house, "2026-11-02T08:00:00+07:00", "withdrawn").await;
    let asked = json!({ "inquiry": "q1", "topic": "price" });
    house.fact("2026-11-02T09:00:00+07:00", "c-1", "interaction.inquired", asked).await;
    house.pass_until("2026-11-02T13:30:00+07:00").await;
    assert_eq!(count(&house, "alert.raised").await, 1);

    // Nothing runs for three weeks.
    house.clock.set(instant("2026-11-23T13:30:00+07:00"));
    house.settle().await;
    let escalated = house.recorded("alert.escalated").await;
    assert_eq!(escalated.len(), 1);
    assert!(escalated[0].data.contains("\"step\":2"), "{}", escalated[0].data);
    // From then on it is repeated daily.
    house.pass_until("2026-11-26T13:30:00+07:00").await;
    let alert = house.alert("c-1", "answer").await["alert"].as_str().unwrap().to_owned();
    let escalated = house.recorded("alert.escalated").await;
    assert_eq!(escalated.iter().filter(|it| it.data.contains(&alert)).count(), 4);
}

async fn an_answer_closes_its_question_whatever_the_clocks_say(house: House) {
    house.pass_until("2026-11-30T09:00:10+07:00").await;
    let (early, same) = ("2026-11-30T08:59:57+07:00", "2026-11-30T09:00:00+07:00");
    let asked = json!({ "inquiry": "q8", "topic": "price" });
    let answered = json!({ "about": "inquiry/q8", "complete": true });
    for (customer, at, answer_first) in
        [("c-1", same, true), ("c-2", same, false), ("c-3", early, true), ("c-4", early, false)]
    {
        let question = house.late(same, customer, "interaction.inquired", asked.clone());
        let answer = house.late(at, customer, "interaction.answered", answered.clone());
        if answer_first {
            answer.await;
            question.await;
        } else {
            question.await;
            answer.await;
        }
    }
    house.pass_until("2026-12-01T17:00:00+07:00").await;
    for customer in ["c-1", "c-2", "c-3", "c-4"] {
        let owed = house.obligation(customer, "answer", "inquiry/q8").await;
        assert_eq!(owed["state"], "closed", "{customer} {owed}");
        assert_eq!(house.alert(customer, "answer").await, Value::Null, "{customer}");
    }
    let marked = |entries: &[projections::timeline::TimelineEntry]| {
        entries.iter().filter(|it| it.out_of_order).count()
    };
    assert_eq!(marked(&house.timeline("c-1").await), 0);
    assert_eq!(marked(&house.timeline("c-4").await), 1);
    let rows = |dossier: projections::Dossier, customer: &str| {
        serde_json::to_string(&dossier.neglect).unwrap().replace(customer, "c")
    };
    let (one, two) = (house.dossier("c-1").await, house.dossier("c-2").await);
    assert_eq!(rows(one, "c-1"), rows(two, "c-2"));
}

async fn a_fact_comes_true_at_its_moment_in_a_quiet_log(house: House) {
    house.fact("2026-11-10T10:00:00+07:00", "c-1", "interaction.contacted", reached()).await;
    house.pass_until("2026-11-30T10:00:00+07:00").await;
    // The clock of the tablet is 303 seconds ahead.
    house.late("2026-11-30T10:05:03+07:00", "c-1", "interaction.contacted", reached()).await;
    assert_eq!(house.clock_of("c-1", "we").await["last"], "2026-11-10");
    let head = house.log.head().await.unwrap();

    house.clock.set(instant("2026-11-30T10:05:33+07:00"));
    let mut clock = Value::Null;
    for _ in 0..100 {
        clock = house.clock_of("c-1", "we").await;
        if clock["last"] == "2026-11-30" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(clock["last"], "2026-11-30");
    assert_eq!(house.log.head().await.unwrap(), head, "nothing was recorded for it");
    // Another build agrees, at the same position.
    rebuild::rebuild(&house.views, &house.runner, 1, house.clock.now(), |_| {}).await.unwrap();
    house.settle().await;
    assert_eq!(house.alert("c-1", "personal_contact").await["state"], "resolved");
}

/// Loads one contact of each of 55 customers, the first of whom is the most overdue.
async fn load(house: &House) {
    house.pass_until("2026-11-30T10:00:00+07:00").await;
    let first = instant("2026-05-01T10:00:00+07:00");
    let event = |number: i64| {
        let at = first + jiff::SignedDuration::from_hours(24 * number);
        let event = json!({
            "id": format!("h-{number}"), "time": events::time::spell(at), "imported": true,
            "subject": format!("c-{number}"), "data": reached(),
        });
        house.incoming(event, "interaction.contacted")
    };
    // The file is in no order.
    let all = (0..55).map(|it| event(it * 37 % 55)).collect();
    house.appender.append(all).await.unwrap();
    house.settle().await;
    assert_eq!(count(house, "alert.raised").await, 0);
}

/// The most overdue of the customers have rung, as many as a day allows.
async fn the_most_overdue_rang(house: &House) {
    let raised = house.recorded("alert.raised").await;
    let mut numbers: Vec<i64> = raised
        .iter()
        .map(|it| {
            it.customer.as_ref().unwrap().as_str().strip_prefix("c-").unwrap().parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..50).collect::<Vec<i64>>());
}

async fn nothing_imported_rings_before_the_import_has_ended(house: House) {
    load(&house).await;
    let (db, now) = (house.log.db(), house.clock.now());
    let head = house.log.head().await.unwrap();
    store::imports::end(db, &main_tenant(), head, now).await.unwrap();
    // An instance that starts later knows it too: it is stored.
    assert_eq!(store::imports::ended_at(db, &main_tenant()).await.unwrap(), Some(now));
    house.settle().await;
    the_most_overdue_rang(&house).await;
}

async fn an_import_that_falls_silent_has_ended(house: House) {
    load(&house).await;
    house.clock.set(instant("2026-11-30T10:00:59+07:00"));
    house.settle().await;
    assert_eq!(count(&house, "alert.raised").await, 0);
    house.clock.set(instant("2026-11-30T10:01:00+07:00"));
    house.settle().await;
    the_most_overdue_rang(&house).await;
    house.pass_until("2026-12-01T09:00:00+07:00").await;
    assert_eq!(count(&house, "alert.raised").await, 55);
}

/// The property of `crates/reactions/tests/late_facts` on a real log, for fewer histories.
async fn any_order_of_recording_ends_the_same(house: House) {
    let mut dice = Dice::apart(20_261_130);
    let mut histories = Vec::new();
    let mut arrivals = Vec::new();
    for customer in 0..8 {
        let history = history::History::random(&mut dice);
        for index in 0..history.facts.len() {
            let late = i64::try_from(dice.below(24 * 30)).unwrap() * i64::from(dice.percent(50));
            let at = history.facts[index].time + jiff::SignedDuration::from_hours(late);
            arrivals.push((at, dice.below(1_000), customer, index));
        }
        histories.push(history);
    }
    arrivals.sort_unstable();
    for (at, _, customer, index) in arrivals {
        let raw = &histories[customer].facts[index];
        house.clock.set(at.max(house.clock.now()));
        house.event(raw.event(&format!("c-{customer}")), raw.kind).await;
    }
    let end = house.clock.now() + jiff::SignedDuration::from_hours(24 * 30);
    house.clock.set(end);
    house.settle().await;
    for (number, history) in histories.iter().enumerate() {
        let customer = format!("c-{number}");
        let right = machine::Machine::in_order(&customer, history, end).unwrap().summary();
        let holder = projections::Holder::stored(&customer);
        let dossier = house.dossier(&customer).await;
        right.agrees(&machine::Summary::of(&holder, dossier.at(end))).unwrap();
    }
    rebuild::rebuild(&house.views, &house.runner, 1, house.clock.now(), |_| {}).await.unwrap();
}
