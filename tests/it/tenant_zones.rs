//! Days and hours are the tenant's: a calendar in another zone moves every rule and every question.

use events::policy::Policies;
use serde_json::{Value, json};

use crate::house::{House, stories};

stories![a_sale_late_in_the_evening_counts_on_the_day_of_the_tenant];

/// The default calendar in another zone.
fn calendar(zone: &str) -> Value {
    let mut body = Policies::default().body_json("calendar").cloned().unwrap();
    body["zone"] = json!(zone);
    body
}

async fn a_sale_late_in_the_evening_counts_on_the_day_of_the_tenant(house: House) {
    house.publish("calendar", 2, "1970-01-01T00:00:00Z", calendar("Europe/Berlin")).await;
    let sale = json!({
        "purchase": "s-1", "kind": "sale", "amount": { "amount": 9_000, "currency": "EUR" },
    });
    house.fact("2026-11-01T23:30:00+01:00", "c-1", "purchase.recorded", sale).await;
    let asked = json!({ "inquiry": "q-1", "topic": "price" });
    house.fact("2026-11-03T16:00:00+01:00", "c-1", "interaction.inquired", asked).await;
    // The first of November is the day of the sale, and what is due that way is due at nine there.
    let tier = house.loyalty("c-1").await;
    let counted = serde_json::to_value(tier.counted).unwrap();
    assert_eq!(counted[0]["date"], "2026-11-01");
    let we = house.clock_of("c-1", "we").await;
    assert_eq!(
        (&we["last"], &we["due_at"]),
        (&json!("2026-11-01"), &json!("2026-11-15T08:00:00.000000Z"))
    );
    // Four working hours from 16:00 end at 11:00 of the next day, by the clocks of Berlin.
    let answer = house.obligation("c-1", "answer", "inquiry/q-1").await;
    assert_eq!(answer["due_at"], "2026-11-04T10:00:00.000000Z");
    let sentence = house.clock_of("c-1", "we").await["sentence"]["en"].clone();
    let wanted = "Never contacted; first heard of on 1 November; expected by 15 November.";
    assert_eq!(sentence, wanted);
}
