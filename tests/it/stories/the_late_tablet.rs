//! S7 The late tablet: what happened counts, not when it was uploaded.

use serde_json::{Value, json};

use crate::house::{House, local, stories};

stories![a_late_dinner_withdraws_the_alert, any_order_of_the_facts_gives_the_same_rows,];

/// The three facts that reset our clock, in the order in which they happened.
const APRIL: &str = "2026-04-01T10:00:00+07:00";
const MAY: &str = "2026-05-01T10:00:00+07:00";
const DINNER: &str = "2026-07-12T19:00:00+07:00";

/// Records one of the three facts now.
async fn upload(house: &House, customer: &str, at: &str) -> store::Appended {
    if at == DINNER {
        let event = json!({
            "id": format!("{customer}-dinner"), "source": "/tablet", "time": at,
            "subject": customer, "channel": "visit", "data": { "service": "dinner" },
        });
        return house.event(event, "interaction.served").await;
    }
    let data = json!({ "purpose": "courtesy", "outcome": "reached" });
    house.late(at, customer, "interaction.contacted", data).await
}

/// What makes him secondary, and lets him be heard of now and then. He does not wish to be called,
/// so that nothing rings between one upload and the next.
async fn bought_and_wrote(house: &House, customer: &str) {
    let quiet = json!({ "purpose": "contact", "state": "withdrawn", "basis": "Said so" });
    house.late("2026-03-19T12:00:00+07:00", customer, "customer.consent_changed", quiet).await;
    let sale = json!({
        "purchase": "s-9", "kind": "sale", "amount": { "amount": 150_000, "currency": "IDR" },
    });
    house.late("2026-03-20T12:00:00+07:00", customer, "purchase.recorded", sale).await;
    let thanks = json!({ "about": "purchase/s-9" });
    house.late("2026-04-30T12:00:00+07:00", customer, "interaction.messaged", thanks).await;
}

async fn a_late_dinner_withdraws_the_alert(house: House) {
    // Given Pak Budi (secondary), whom we contacted on 04-01 and 05-01.
    house.pass_until("2026-03-20T12:00:00+07:00").await;
    let sale = json!({
        "purchase": "s-9", "kind": "sale", "amount": { "amount": 150_000, "currency": "IDR" },
    });
    house.fact("2026-03-20T12:00:00+07:00", "c-budi", "purchase.recorded", sale).await;
    house.pass_until(APRIL).await;
    upload(&house, "c-budi", APRIL).await;
    let thanks = json!({ "about": "purchase/s-9" });
    house.fact("2026-04-30T12:00:00+07:00", "c-budi", "interaction.messaged", thanks).await;
    house.pass_until(MAY).await;
    upload(&house, "c-budi", MAY).await;
    let clock = house.clock_of("c-budi", "we").await;
    assert_eq!(
        (clock["rhythm_days"].as_f64(), local(&clock["due_at"])),
        (Some(30.0), "2026-07-30 09:00".to_owned())
    );

    // Then the alert is raised when it is due.
    house.pass_until("2026-07-30T09:00:00+07:00").await;
    let alert = house.alert("c-budi", "personal_contact").await;
    assert_eq!(
        (alert["state"].as_str(), local(&alert["raised_at"])),
        (Some("raised"), "2026-07-30 09:00".to_owned())
    );

    // When at 16:00 a tablet that was off line uploads a dinner served on 07-12 at 19:00.
    house.pass_until("2026-07-30T16:00:00+07:00").await;
    let first = upload(&house, "c-budi", DINNER).await;
    assert!(first.is_new());

    // Then the timeline shows it on 07-12, marked late.
    let timeline = house.timeline("c-budi").await;
    let dinner = timeline.iter().find(|it| it.data["service"] == "dinner").unwrap();
    assert_eq!(
        (local(&json!(dinner.occurred_at)), local(&json!(dinner.recorded_at))),
        ("2026-07-12 19:00".to_owned(), "2026-07-30 16:00".to_owned())
    );
    assert!(dinner.late, "{dinner:?}");

    // Then the alert is withdrawn, not resolved, and there is a new due time.
    let alert = house.alert("c-budi", "personal_contact").await;
    assert_eq!(alert["state"], "withdrawn");
    let history = alert["history"].as_array().unwrap();
    assert!(history.iter().all(|it| it["to"] != "resolved"), "{history:?}");
    let withdrawn = house.recorded("alert.withdrawn").await;
    assert!(withdrawn[0].data.contains("/tablet#c-budi-dinner"), "{}", withdrawn[0].data);
    let clock = house.clock_of("c-budi", "we").await;
    assert_eq!(
        (clock["count"].as_i64(), clock["rhythm_days"].as_f64(), local(&clock["due_at"])),
        (Some(3), Some(30.0), "2026-10-10 09:00".to_owned())
    );
    assert_eq!(clock["state"], "ok");

    // When it is uploaded again, it yields the same receipt and changes nothing.
    let (rows, head) = (house.hashes().await, house.log.head().await.unwrap());
    let again = upload(&house, "c-budi", DINNER).await;
    assert!(!again.is_new());
    assert_eq!(again.receipt(), first.receipt());
    assert_eq!((house.hashes().await, house.log.head().await.unwrap()), (rows, head));
}

async fn any_order_of_the_facts_gives_the_same_rows(house: House) {
    // Given that the tablets of six guests with the same history are uploaded on one afternoon.
    house.pass_until("2026-07-30T16:00:00+07:00").await;
    let orders = [
        [APRIL, MAY, DINNER],
        [APRIL, DINNER, MAY],
        [MAY, APRIL, DINNER],
        [MAY, DINNER, APRIL],
        [DINNER, APRIL, MAY],
        [DINNER, MAY, APRIL],
    ];
    let mut found: Vec<[String; 3]> = Vec::new();
    for (index, order) in orders.iter().enumerate() {
        let customer = format!("c-budi-{index}");
        bought_and_wrote(&house, &customer).await;
        for at in order {
            upload(&house, &customer, at).await;
        }
        let dossier = house.dossier(&customer).await;
        assert_eq!(house.alerts(&customer).await, Vec::<Value>::new(), "{order:?}");
        let own = [
            house.neglect(&customer).await.to_string(),
            serde_json::to_string(&dossier.neglect).unwrap(),
            serde_json::to_string(&dossier.timeline).unwrap(),
        ];
        found.push(own.map(|it| it.replace(&customer, "c-budi")));
    }
    // Then all six have the same rows, due on 2026-10-10.
    let clock = house.clock_of("c-budi-0", "we").await;
    assert_eq!(local(&clock["due_at"]), "2026-10-10 09:00");
    for (own, order) in found.iter().zip(orders) {
        assert_eq!(own, &found[0], "{order:?}");
    }
}
