//! S8 Years of loyalty, and justice: a tier earned by time alone, held while we are at fault.

use events::fact::loyalty::Cause;
use events::tier::Tier;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::house::{House, local, stories};

stories![
    years_earn_a_tier_and_justice_holds_it,
    without_another_visit_it_lapses_after_the_days_held,
];

/// Bu Ratna is our guest, and is thanked as she leaves.
async fn stays(house: &House, day: &str) -> String {
    let (at, booking) = (format!("{day}T16:00:00+07:00"), format!("b-{day}"));
    let data = json!({ "booking": booking, "venue": "aula-taman", "no_show": false });
    house.fact(&at, "c-ratna", "booking.fulfilled", data).await;
    let thanks = json!({ "for": format!("booking/{booking}"), "form": "in_person" });
    let thanked_at = format!("{day}T16:05:00+07:00");
    house.fact(&thanked_at, "c-ratna", "interaction.thanked", thanks).await;
    format!("/test#c-ratna-booking.fulfilled-{at}")
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// The tiers that were recorded, with their moments.
async fn changes(house: &House) -> Vec<(String, Value)> {
    let facts = house.recorded("loyalty.tier_changed").await;
    let own = facts.iter().filter(|it| it.customer.as_ref().unwrap().as_str() == "c-ratna");
    own.map(|it| (local(&json!(it.occurred_at)), serde_json::from_str(&it.data).unwrap())).collect()
}

/// Up to the end of the complaint.
async fn until_the_complaint_is_resolved(house: &House) {
    // Given Bu Ratna, who does not wish to be called, and her three fulfilled bookings.
    let quiet = json!({ "purpose": "contact", "state": "withdrawn", "basis": "Said so" });
    let at = "2024-03-01T10:00:00+07:00";
    house.fact(at, "c-ratna", "customer.consent_changed", quiet).await;
    let stays = [
        stays(house, "2024-03-16").await,
        stays(house, "2025-03-15").await,
        stays(house, "2026-03-14").await,
    ];

    // Then as of 2026-03-15 she is secondary: one day is missing.
    house.pass_until("2026-03-15T12:00:00+07:00").await;
    let answer = house.loyalty("c-ratna").await;
    assert_eq!(answer.tier, Tier::Secondary);
    let missing = answer.next_tier.unwrap().missing;
    let missing: Vec<_> = missing.iter().map(|it| (it.needed, it.have)).collect();
    assert_eq!(missing, [(730, Some(729))]);
    house.pass_until("2026-03-15T23:59:00+07:00").await;
    assert_eq!(changes(house).await.len(), 1);

    // Then on 2026-03-16 00:00 she is primary, with those three events as evidence.
    house.pass_until("2026-03-16T00:00:00+07:00").await;
    let recorded = changes(house).await;
    let (at, change) = recorded.last().unwrap();
    assert_eq!((recorded.len(), at.as_str()), (2, "2026-03-16 00:00"));
    assert_eq!(
        (&change["from"], &change["to"], &change["cause"], &change["lapses_on"]),
        (&json!("secondary"), &json!("primary"), &json!("earned"), &json!("2027-03-16"))
    );
    assert_eq!(change["evidence"], json!(stays));
    let answer = house.loyalty("c-ratna").await;
    assert_eq!((answer.tier, answer.since), (Tier::Primary, Some(date("2026-03-16"))));
    assert_eq!(answer.lapses_on, Some(date("2027-03-16")));

    a_friend_comes(house).await;

    // When a complaint is open from 2027-02-20 to 2027-03-22.
    let raised = json!({
        "complaint": "k-9", "kind": "service", "category": "cleanliness", "severity": "low",
        "text": "The hall was not swept",
    });
    let at = "2027-02-20T10:00:00+07:00";
    house.fact(at, "c-ratna", "complaint.raised", raised).await;
    let asked = json!({ "about": "complaint/k-9", "complete": false, "waiting": true });
    let at = "2027-02-20T10:10:00+07:00";
    house.fact(at, "c-ratna", "interaction.answered", asked).await;
    house.pass_until("2027-03-17T00:00:00+07:00").await;

    // Then on 03-16 she is not demoted: the tier is held.
    let answer = house.loyalty("c-ratna").await;
    assert_eq!((answer.tier, answer.lapses_on), (Tier::Primary, None));
    let held = answer.held.unwrap();
    assert_eq!((held.since, held.by), (Some(date("2027-02-20")), vec!["complaint/k-9".to_owned()]));
    assert_eq!(changes(house).await.len(), 2);

    // Then after it the tier lapses 30 days later than it would have.
    let resolved = json!({
        "complaint": "k-9", "remedy": "Swept, and a free afternoon", "fault": "ours",
    });
    let at = "2027-03-22T10:00:00+07:00";
    house.fact(at, "c-ratna", "complaint.resolved", resolved).await;
    let answer = house.loyalty("c-ratna").await;
    assert_eq!((answer.tier, answer.lapses_on), (Tier::Primary, Some(date("2027-04-15"))));
    assert_eq!(answer.held.map(|it| (it.since, it.days)), Some((None, 30)));
}

async fn a_friend_comes(house: &House) {
    // When a friend she sent registers and the referral is recorded on a Tuesday morning.
    let friend = json!({ "kind": "person", "name": "Bu Maya", "referred_by": "c-ratna" });
    let at = "2026-06-02T08:55:00+07:00";
    house.fact(at, "c-maya", "customer.registered", friend).await;
    let referral = json!({ "referred": "c-maya", "via": "whatsapp" });
    let at = "2026-06-02T09:00:00+07:00";
    house.fact(at, "c-ratna", "referral.recorded", referral).await;

    // Then thanks are owed to her within 18 working hours.
    let owed = house.obligation("c-ratna", "thanks", "referral/c-maya").await;
    assert_eq!(local(&owed["due_at"]), "2026-06-04 09:00");
    assert_eq!(house.loyalty("c-ratna").await.referrals.direct, 1);
    let thanks = json!({ "for": "referral/c-maya", "form": "note" });
    let at = "2026-06-03T10:00:00+07:00";
    house.fact(at, "c-ratna", "interaction.thanked", thanks).await;
    let owed = house.obligation("c-ratna", "thanks", "referral/c-maya").await;
    assert_eq!(owed["state"], "closed");
}

async fn years_earn_a_tier_and_justice_holds_it(house: House) {
    until_the_complaint_is_resolved(&house).await;

    // When she is our guest on 2027-04-10, the tier lapses on 2028-03-14.
    stays(&house, "2027-04-10").await;
    let answer = house.loyalty("c-ratna").await;
    assert_eq!((answer.tier, answer.lapses_on), (Tier::Primary, Some(date("2028-03-14"))));
    house.pass_until("2027-04-15T00:00:00+07:00").await;
    assert_eq!(changes(&house).await.len(), 2);
    assert_eq!(house.alerts("c-ratna").await, Vec::<Value>::new());
}

async fn without_another_visit_it_lapses_after_the_days_held(house: House) {
    until_the_complaint_is_resolved(&house).await;

    // Without that visit she is secondary on 04-15 at 00:00, because it lapsed.
    house.pass_until("2027-04-14T23:59:00+07:00").await;
    assert_eq!(house.loyalty("c-ratna").await.tier, Tier::Primary);
    assert_eq!(changes(&house).await.len(), 2);
    house.pass_until("2027-04-15T00:00:00+07:00").await;
    let answer = house.loyalty("c-ratna").await;
    assert_eq!((answer.tier, answer.cause), (Tier::Secondary, Some(Cause::Lapsed)));
    let recorded = changes(&house).await;
    let (at, change) = recorded.last().unwrap();
    assert_eq!((recorded.len(), at.as_str()), (3, "2027-04-15 00:00"));
    assert_eq!(
        (&change["from"], &change["to"], &change["cause"]),
        (&json!("primary"), &json!("secondary"), &json!("lapsed"))
    );
}
