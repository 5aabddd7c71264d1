//! S4 "Tomorrow, then" (article 001): a promise kept, one broken and what a late letter does to it,
//! one moved in time.

use events::fact::promise::How;
use events::policy::Policies;
use projections::promises::due::{Refusal, may_settle};
use serde_json::{Value, json};

use crate::house::{House, instant, local, stories};

stories![tomorrow_then];

/// Bu Rina asks.
async fn asks(house: &House, at: &str, inquiry: &str) {
    let data = json!({ "inquiry": inquiry, "topic": "price" });
    house.fact(at, "c-rina", "interaction.inquired", data).await;
}

/// Something that Ani does.
async fn ani(house: &House, at: &str, kind: &str, data: Value) -> String {
    house.pass_until(at).await;
    let id = format!("ani-{kind}-{at}");
    let event = json!({
        "id": id, "time": at, "subject": "c-rina", "actor": "staff/ani", "data": data,
    });
    house.event(event, kind).await;
    format!("/test#{id}")
}

async fn answers(house: &House, at: &str, inquiry: &str, complete: bool) -> String {
    let data = json!({ "about": format!("inquiry/{inquiry}"), "complete": complete });
    ani(house, at, "interaction.answered", data).await
}

async fn promises(house: &House, at: &str, promise: &str, inquiry: &str, due_at: &str) {
    let data = json!({
        "promise": promise, "what": "The final price for 200 guests", "due_at": due_at,
        "owner": "ani", "about": format!("inquiry/{inquiry}"), "topic": "price",
    });
    ani(house, at, "promise.made", data).await;
}

async fn tomorrow_then(house: House) {
    a_promise_is_kept(&house).await;
    a_promise_is_broken_then_late_then_kept(&house).await;
    a_promise_is_moved_in_time(&house).await;

    // Then Ani's rate is 3 of 3, with one renegotiated beside it.
    let rates = house.reliability("2026-05-01T00:00:00+07:00", "2026-06-01T00:00:00+07:00").await;
    assert_eq!(rates.len(), 1, "{rates:?}");
    let own = &rates[0];
    assert_eq!(
        (own.key.as_deref(), own.kept, own.late, own.broken, own.renegotiated, own.rate),
        (Some("ani"), 3, 0, 0, 1, Some(1.0))
    );
}

async fn a_promise_is_kept(house: &House) {
    // When Bu Rina asks the price on a Saturday, the answer is due on Monday 11:30.
    asks(house, "2026-05-09T12:30:00+07:00", "q-88").await;
    let answer = house.obligation("c-rina", "answer", "inquiry/q-88").await;
    assert_eq!(local(&answer["due_at"]), "2026-05-11 11:30");

    // When Ani answers incompletely and promises Monday 10:00, that is the due time.
    answers(house, "2026-05-09T12:40:00+07:00", "q-88", false).await;
    let (at, due_at) = ("2026-05-09T12:40:00+07:00", "2026-05-11T10:00:00+07:00");
    promises(house, at, "p-310", "q-88", due_at).await;
    let answer = house.obligation("c-rina", "answer", "inquiry/q-88").await;
    assert_eq!(answer["state"], "covered");
    let promise = house.obligation("c-rina", "promise", "promise/p-310").await;
    assert_eq!(local(&promise["due_at"]), "2026-05-11 10:00");

    // Then nothing rings on Sunday.
    house.pass_until("2026-05-10T23:59:00+07:00").await;
    assert_eq!(house.alerts("c-rina").await, Vec::<Value>::new());

    // When Ani answers completely on Monday 09:20, the promise is kept, 40 minutes early.
    let answer = answers(house, "2026-05-11T09:20:00+07:00", "q-88", true).await;
    let promise = house.promise("p-310").await;
    assert_eq!(
        (&promise["state"], &promise["margin_minutes"], &promise["fulfilled_by"]),
        (&json!("kept"), &json!(40), &json!(answer))
    );
    let owed = house.obligation("c-rina", "promise", "promise/p-310").await;
    assert_eq!((&owed["state"], &owed["closed_by"]), (&json!("closed"), &json!(answer)));
    house.pass_until("2026-05-11T09:25:00+07:00").await;
    assert_eq!(house.alerts("c-rina").await, Vec::<Value>::new());
}

async fn a_promise_is_broken_then_late_then_kept(house: &House) {
    // Given a second promise, due Monday 15:00.
    asks(house, "2026-05-11T09:30:00+07:00", "q-89").await;
    answers(house, "2026-05-11T09:35:00+07:00", "q-89", false).await;
    let (at, due_at) = ("2026-05-11T09:40:00+07:00", "2026-05-11T15:00:00+07:00");
    promises(house, at, "p-311", "q-89", due_at).await;

    // When nothing happens, it is broken at 15:00 and rings, critical.
    house.pass_until("2026-05-11T14:59:00+07:00").await;
    assert_eq!(house.alerts("c-rina").await, Vec::<Value>::new());
    house.pass_until(due_at).await;
    assert_eq!(house.promise("p-311").await["state"], "broken");
    let settled = house.recorded("promise.settled").await;
    let broken = settled.last().unwrap();
    assert_eq!(broken.occurred_at, instant(due_at));
    assert!(broken.data.contains("broken"), "{}", broken.data);
    let alert = house.alert("c-rina", "promise").await;
    assert_eq!(
        (&alert["kind"], &alert["severity"], &alert["state"], &alert["owner"]),
        (&json!("we_owe"), &json!("critical"), &json!("raised"), &json!("ani"))
    );
    assert_eq!(local(&alert["raised_at"]), "2026-05-11 15:00");

    // When nobody acknowledges, it goes to the lead on Tuesday 10:00.
    house.pass_until("2026-05-12T09:59:00+07:00").await;
    assert_eq!(house.alert("c-rina", "promise").await["state"], "raised");
    house.pass_until("2026-05-12T10:00:00+07:00").await;
    let alert = house.alert("c-rina", "promise").await;
    assert_eq!(
        (&alert["state"], &alert["step"], &alert["owner"]),
        (&json!("escalated"), &json!(1), &json!("lead"))
    );

    // When Ani answers on Tuesday 10:30, it is late, and that answer resolves the alert.
    let answer = answers(house, "2026-05-12T10:30:00+07:00", "q-89", true).await;
    assert_eq!(house.promise("p-311").await["state"], "late");
    let alert = house.alert("c-rina", "promise").await;
    assert_eq!((&alert["state"], &alert["ended_by"]), (&json!("resolved"), &json!(answer)));

    // When the gateway delivers on Tuesday 11:00 an answer of Monday 14:50.
    house.pass_until("2026-05-12T11:00:00+07:00").await;
    let early = json!({
        "id": "g-7", "source": "/gateway", "time": "2026-05-11T14:50:00+07:00",
        "subject": "c-rina", "actor": "staff/ani", "channel": "whatsapp",
        "data": { "about": "inquiry/q-89", "complete": true },
    });
    house.event(early, "interaction.answered").await;

    // Then it is kept; that it was broken is taken back, and the alert is withdrawn.
    let promise = house.promise("p-311").await;
    assert_eq!(
        (&promise["state"], &promise["margin_minutes"], &promise["fulfilled_by"]),
        (&json!("kept"), &json!(10), &json!("/gateway#g-7"))
    );
    let timeline = house.timeline("c-rina").await;
    let ended: Vec<(String, String, bool)> = timeline
        .iter()
        .filter(|it| it.data["promise"] == "p-311" && it.data["how"].is_string())
        .map(|it| {
            let how = it.data["how"].as_str().unwrap().to_owned();
            (local(&json!(it.occurred_at)), how, it.voided_by.is_some())
        })
        .collect();
    let expected = [
        ("2026-05-11 14:50", "kept", false),
        ("2026-05-11 15:00", "broken", true),
        ("2026-05-12 10:30", "late", false),
    ];
    assert_eq!(ended, expected.map(|(at, how, voided)| (at.to_owned(), how.to_owned(), voided)));
    let alert = house.alert("c-rina", "promise").await;
    assert_eq!(alert["state"], "withdrawn");
    let withdrawn = house.recorded("alert.withdrawn").await;
    assert_eq!(withdrawn.len(), 1);
    assert_eq!(withdrawn[0].recorded_at, instant("2026-05-12T11:00:00+07:00"));
    assert!(withdrawn[0].data.contains("/gateway#g-7"), "{}", withdrawn[0].data);
}

async fn a_promise_is_moved_in_time(house: &House) {
    // Given a third promise, due Wednesday 12:00.
    asks(house, "2026-05-12T11:30:00+07:00", "q-90").await;
    let (at, due_at) = ("2026-05-12T11:40:00+07:00", "2026-05-13T12:00:00+07:00");
    promises(house, at, "p-312", "q-90", due_at).await;
    house.pass_until("2026-05-13T11:00:00+07:00").await;

    // The same attempt at 12:01 would be refused.
    let dossier = house.dossier("c-rina").await;
    let promise = dossier.promises.get(&"p-312".parse().unwrap()).unwrap();
    let (later, policies) = ("2026-05-13T16:00:00+07:00", Policies::default());
    let may = |at: &str| {
        let (now, new) = (instant(at), Some(instant(later)));
        may_settle(promise, How::Renegotiated, now, new, true, &policies.promise)
    };
    assert_eq!(may("2026-05-13T12:01:00+07:00"), Err(Refusal::RenegotiateLate(instant(due_at))));
    assert_eq!(may("2026-05-13T11:00:00+07:00"), Ok(()));

    // When she is told at 11:00 that it will be 16:00, and gets it at 15:00.
    let moved = json!({
        "promise": "p-312", "how": "renegotiated", "new_due_at": later, "told": true,
    });
    ani(house, "2026-05-13T11:00:00+07:00", "promise.settled", moved).await;
    house.pass_until("2026-05-13T12:01:00+07:00").await;
    assert_eq!(local(&house.promise("p-312").await["due_at"]), "2026-05-13 16:00");
    answers(house, "2026-05-13T15:00:00+07:00", "q-90", true).await;

    // Then it is kept, with one renegotiation, and nothing rang.
    let promise = house.promise("p-312").await;
    assert_eq!((&promise["state"], &promise["rounds"]), (&json!("kept"), &json!(1)));
    house.pass_until("2026-05-13T17:00:00+07:00").await;
    assert_eq!(house.alerts("c-rina").await.len(), 1, "the one that was withdrawn");
}
