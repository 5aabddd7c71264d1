//! S3 A first stay in three phases (articles 003, 004).

use events::tier::Tier;
use serde_json::{Value, json};

use crate::house::{House, instant, local, stories};

stories![a_first_stay_has_three_phases];

/// Something that happens to Bu Ida.
async fn ida(house: &House, at: &str, kind: &str, data: Value) {
    house.fact(&format!("{at}:00+07:00"), "c-ida", kind, data).await;
}

/// She asks for a room and pays for it.
async fn books_and_pays(house: &House) {
    let (starts_at, ends_at) = ("2026-10-03T14:00:00+07:00", "2026-10-04T12:00:00+07:00");
    let rupiah = |amount: i64| json!({ "amount": amount, "currency": "IDR" });
    let asked = json!({
        "booking": "b-12", "venue": "kamar-12", "starts_at": starts_at, "ends_at": ends_at,
        "party": 2, "price": rupiah(800_000),
    });
    ida(house, "2026-09-20T10:00", "booking.requested", asked).await;
    let held = json!({
        "booking": "b-12", "venue": "kamar-12", "starts_at": starts_at, "ends_at": ends_at,
        "hold_until": "2026-09-22T10:00:00+07:00", "call_in_hours": 4, "price": rupiah(800_000),
        "deposit_due": rupiah(400_000), "reason": "free",
    });
    ida(house, "2026-09-20T10:00", "booking.held", held).await;
    let deposit = json!({
        "payment": "pay-1", "kind": "deposit", "amount": rupiah(400_000), "booking": "b-12",
    });
    ida(house, "2026-09-21T09:00", "payment.recorded", deposit).await;
    let confirmed = json!({
        "booking": "b-12", "venue": "kamar-12", "starts_at": starts_at, "ends_at": ends_at,
        "paid": rupiah(400_000),
    });
    ida(house, "2026-09-21T09:00", "booking.confirmed", confirmed).await;
}

async fn a_first_stay_has_three_phases(house: House) {
    // Given Bu Ida, who booked room kamar-12 on 09-20 and paid the deposit on 09-21.
    house.pass_until("2026-09-01T09:00:00+07:00").await;
    let room = json!({ "site": "hotel", "capacity": 2, "features": [], "ritual": "hotel_stay" });
    house.publish("venues", 2, "2026-09-01T09:00:00+07:00", json!({ "kamar-12": room })).await;
    books_and_pays(&house).await;
    assert_eq!(house.loyalty("c-ida").await.tier, Tier::Prospect);

    // When she arrives, stays and leaves.
    let visit = "v-ida";
    let served = |service: &str| json!({ "service": service, "visit": visit });
    let arrived = json!({ "visit": visit, "booking": "b-12", "party": 2 });
    ida(&house, "2026-10-03T14:00", "interaction.arrived", arrived).await;
    let greeted = json!({ "by_name": true, "visit": visit });
    ida(&house, "2026-10-03T14:02", "interaction.greeted", greeted).await;
    ida(&house, "2026-10-03T14:05", "interaction.served", served("welcome_drink")).await;
    ida(&house, "2026-10-03T14:10", "interaction.served", served("luggage_in")).await;
    let recommended = json!({
        "offer": "The garden side", "reason": "It is quieter", "visit": visit,
    });
    ida(&house, "2026-10-03T14:12", "interaction.recommended", recommended).await;
    ida(&house, "2026-10-03T14:20", "interaction.served", served("paperwork")).await;
    let coffee = json!({
        "trait": "coffee", "value": "two sugars", "polarity": "likes", "confidence": 80,
    });
    ida(&house, "2026-10-03T15:00", "customer.trait_noted", coffee).await;
    ida(&house, "2026-10-04T11:40", "interaction.served", served("anything_else")).await;
    let thanked = json!({ "for": "visit/v-ida", "form": "in_person", "visit": visit });
    ida(&house, "2026-10-04T11:55", "interaction.thanked", thanked).await;
    let departed = json!({ "visit": visit, "farewell": true, "manner": "car" });
    ida(&house, "2026-10-04T12:00", "interaction.departed", departed).await;
    ida(&house, "2026-10-04T12:01", "interaction.served", served("luggage_out")).await;
    let fulfilled = json!({ "booking": "b-12", "venue": "kamar-12", "no_show": false });
    ida(&house, "2026-10-04T12:05", "booking.fulfilled", fulfilled).await;

    // Then the timeline has those entries in their phases.
    let phases: Vec<(String, String, &str)> = house
        .timeline("c-ida")
        .await
        .iter()
        .filter(|it| instant("2026-10-03T14:00:00+07:00") <= it.occurred_at)
        .filter(|it| !it.r#type.contains("loyalty"))
        .map(|it| {
            let what = it.data["service"].as_str().unwrap_or(&it.r#type).to_owned();
            (local(&json!(it.occurred_at)), what, it.phase.as_str())
        })
        .collect();
    let expected = [
        ("2026-10-03 14:00", "sapa.interaction.arrived.v1", "before"),
        ("2026-10-03 14:02", "sapa.interaction.greeted.v1", "before"),
        ("2026-10-03 14:05", "welcome_drink", "before"),
        ("2026-10-03 14:10", "luggage_in", "during"),
        ("2026-10-03 14:12", "sapa.interaction.recommended.v1", "during"),
        ("2026-10-03 14:20", "paperwork", "during"),
        ("2026-10-03 15:00", "sapa.customer.trait_noted.v1", "during"),
        ("2026-10-04 11:40", "anything_else", "after"),
        ("2026-10-04 11:55", "sapa.interaction.thanked.v1", "after"),
        ("2026-10-04 12:00", "sapa.interaction.departed.v1", "after"),
        ("2026-10-04 12:01", "luggage_out", "after"),
        ("2026-10-04 12:05", "sapa.booking.fulfilled.v1", "after"),
    ];
    let expected = expected.map(|(at, what, phase)| (at.to_owned(), what.to_owned(), phase));
    assert_eq!(phases, expected);

    // Then her tier is secondary from 10-04, and nothing rang.
    let loyalty = house.loyalty("c-ida").await;
    assert_eq!((loyalty.tier, loyalty.since), (Tier::Secondary, "2026-10-04".parse().ok()));
    let changes = house.recorded("loyalty.tier_changed").await;
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].occurred_at, instant("2026-10-04T12:05:00+07:00"));
    assert_eq!(house.alerts("c-ida").await, Vec::<Value>::new());

    // Then no thanks are owed: they were given within 24 hours.
    assert_eq!(house.obligation("c-ida", "thanks", "booking/b-12").await, Value::Null);

    // Then both clocks run from the days on which something happened.
    let reading = |clock: Value| {
        let times = ["warn_at", "due_at", "effective_due_at"].map(|name| local(&clock[name]));
        (clock["count"].as_i64(), clock["rhythm_days"].as_f64(), times)
    };
    assert_eq!(
        reading(house.clock_of("c-ida", "we").await),
        (
            Some(2),
            Some(15.5),
            ["2026-11-04 09:00", "2026-11-20 09:00", "2026-11-20 09:00"].map(str::to_owned)
        )
    );
    assert_eq!(
        reading(house.clock_of("c-ida", "they").await),
        (
            Some(4),
            Some(18.5),
            ["2026-11-10 09:00", "2026-11-29 09:00", "2026-11-29 09:00"].map(str::to_owned)
        )
    );

    // When she returns after a year, the card shows the coffee at half its strength.
    let shown = async |at: &str| {
        let card = house.card("c-ida", &format!("{at}T14:00:00+07:00")).await;
        let coffee = card.habits.into_iter().find(|it| it.r#trait == "coffee");
        coffee.map(|it| (it.value, it.strength))
    };
    assert_eq!(shown("2027-10-03").await, Some(("two sugars".to_owned(), 40)));

    // Then it is last shown on 2028-03-02.
    assert_eq!(shown("2028-03-02").await, Some(("two sugars".to_owned(), 30)));
    assert_eq!(shown("2028-03-03").await, None);
}
