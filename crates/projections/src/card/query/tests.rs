//! Promises about how cards are found.

use super::*;
use crate::timeline::given::{Stage, at, event};
use events::envelope::Recorded;

fn of(customer: &str, position: i64, kind: &str, when: &str, data: &str) -> Recorded {
    let mut it = event(position, kind, when, data);
    it.customer = Some(customer.parse().unwrap());
    it.stream = format!("customer/{customer}").parse().unwrap();
    it
}

fn registered(customer: &str, position: i64, when: &str, name: &str) -> Recorded {
    let data = format!(r#"{{"kind":"person","name":"{name}"}}"#);
    of(customer, position, "customer.registered", when, &data)
}

fn facts() -> Vec<Recorded> {
    let asked = r#"{"inquiry":"q","topic":"price"}"#;
    vec![
        registered("c-sari", 1, "2026-05-01 09:00", "Ibu Sari Wulandari"),
        registered("c-budi", 2, "2026-05-01 09:01", "Budi"),
        of("c-nobody", 3, "interaction.inquired", "2026-05-01 09:02", asked),
        of("c-budi", 4, "interaction.inquired", "2026-05-02 09:00", asked),
        of(
            "c-sari",
            5,
            "customer.identified",
            "2026-05-02 09:01",
            r#"{"id_kind":"phone","value":"0812-3456-7890","strength":"strong"}"#,
        ),
        of(
            "c-sari",
            6,
            "customer.assigned",
            "2026-05-02 09:02",
            r#"{"owner":"dewi","team":"frontdesk"}"#,
        ),
        of(
            "c-sari",
            7,
            "customer.trait_noted",
            "2026-05-02 10:00",
            r#"{"trait":"coffee","value":"two sugars","polarity":"likes","confidence":80}"#,
        ),
        of(
            "c-sari",
            8,
            "interaction.contacted",
            "2026-05-02 11:00",
            r#"{"purpose":"care","outcome":"reached"}"#,
        ),
    ]
}

async fn listed(filter: Filter, sort: Sort) -> Vec<String> {
    let stage = Stage::with(&facts()).await;
    let mut snapshot = stage.snapshot().await;
    let tenant = "main".parse().unwrap();
    let log = &stage.log;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let window = Window { after, ..Window::first(1) };
        let page = list(&mut snapshot, log, &tenant, &filter, sort, &window, true).await.unwrap();
        let Some((place, card)) = page.into_iter().next() else { break };
        found.push(card["customer"].as_str().unwrap().to_owned());
        after = Some(place);
    }
    let back = Window { back: true, ..Window::first(9) };
    let page = list(&mut snapshot, log, &tenant, &filter, sort, &back, true).await.unwrap();
    let back = page.iter().rev().map(|(_, card)| card["customer"].as_str().unwrap());
    assert!(back.eq(found.iter().map(String::as_str)), "the same the other way");
    found
}

#[tokio::test]
async fn customers_are_listed_in_three_orders_without_a_gap() {
    let all = Filter::default;
    assert_eq!(listed(all(), Sort::LastIn).await, ["c-budi", "c-nobody", "c-sari"]);
    assert_eq!(listed(all(), Sort::LastOut).await, ["c-sari", "c-nobody", "c-budi"]);
    assert_eq!(listed(all(), Sort::Name).await, ["c-budi", "c-sari", "c-nobody"]);
}

#[tokio::test]
async fn customers_are_found_by_the_beginning_of_a_word_or_a_mark() {
    for text in [
        "ibu sari",
        "WULAN",
        "sari w",
        "c-sari",
        "+62812345",
        "0812345",
        "wulandari ibu",
        "0812-3456-7890",
        "62812",
        "sari 0812 3456",
    ] {
        let filter = Filter { search: Some(text.to_owned()), ..Filter::default() };
        assert_eq!(listed(filter, Sort::LastIn).await, ["c-sari"], "{text}");
    }
    let filter = Filter { search: Some("ulandari".to_owned()), ..Filter::default() };
    assert!(listed(filter, Sort::LastIn).await.is_empty());
}

#[tokio::test]
async fn lists_keep_to_tier_owner_and_team() {
    let owned = Filter { owner: Some("dewi".to_owned()), ..Filter::default() };
    assert_eq!(listed(owned, Sort::Name).await, ["c-sari"]);
    let team = Filter { team: Some("frontdesk".to_owned()), ..Filter::default() };
    assert_eq!(listed(team, Sort::Name).await, ["c-sari"]);
    let tier = |it: &str| Filter { tier: Some(it.to_owned()), ..Filter::default() };
    assert_eq!(listed(tier("prospect"), Sort::Name).await.len(), 3);
    assert!(listed(tier("primary"), Sort::Name).await.is_empty());
}

async fn card(customer: &str) -> Option<Card> {
    let stage = Stage::with(&facts()).await;
    let mut snapshot = stage.snapshot().await;
    let (tenant, customer) = ("main".parse().unwrap(), customer.parse().unwrap());
    get(&mut snapshot, &tenant, &customer, at("2027-05-02 09:00")).await.unwrap()
}

#[tokio::test]
async fn a_card_has_every_member_of_the_interface() {
    let json = card("c-sari").await.unwrap().to_json(true);
    let wanted = "customer canonical_id aliases name kind language owner team tier last_in last_out \
                  visits qualifying_days value_12m value_total next_booking open_promises \
                  open_complaints open_obligations alerts habits needs milestones preferred debate \
                  consent survey_next_allowed_at neglect next_act masked";
    let mut wanted: Vec<&str> = wanted.split_whitespace().collect();
    wanted.sort_unstable();
    let mut members: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, wanted);
    assert_eq!(json["habits"][0]["strength"], 40);
    assert_eq!(json["preferred"], Value::Null, "one contact is no habit");
    assert_eq!(json["last_out"]["actor"], "staff/dewi");
    assert_eq!(json["value_total"], json!({ "amount": 0, "currency": "IDR" }));
    assert_eq!(json["tier"]["tier"], "prospect");
    assert!(card("c-unknown").await.is_none());
}

#[tokio::test]
async fn without_pii_a_card_has_no_name_and_no_value_of_a_trait() {
    let json = card("c-sari").await.unwrap().to_json(false);
    assert_eq!(json["masked"], json!(["/name", "/habits/0/value"]));
    let text = json.to_string();
    assert!(!text.contains("Sari W") && !text.contains("sugars"), "{text}");
    let stage = Stage::with(&facts()).await;
    let mut snapshot = stage.snapshot().await;
    let tenant = "main".parse().unwrap();
    let (log, all, window) = (&stage.log, Filter::default(), Window::first(9));
    let page = list(&mut snapshot, log, &tenant, &all, Sort::Name, &window, false).await.unwrap();
    assert!(page.iter().all(|(_, it)| it.get("name").is_none()));
}

#[test]
fn other_read_models_put_their_members_in() {
    let policies = Policies::default();
    let now = at("2026-05-02 09:00");
    let card = Card::of(&"c-1".parse().unwrap(), &State::default(), &policies, now);
    assert_eq!(card.to_json(true)["alerts"], json!([]));
    let pieces = Pieces { alerts: json!(["a-1"]), ..Pieces::with_tier("primary") };
    let json = card.compose(pieces).to_json(true);
    assert_eq!(json["alerts"], json!(["a-1"]));
    assert_eq!(json["tier"]["tier"], "primary");
}

/// How a customer is best reached, after contacts over some channels.
async fn preferred_after(channels: &[&str]) -> Value {
    let facts: Vec<Recorded> = (1..)
        .zip(channels)
        .map(|(position, channel)| {
            let data = r#"{"inquiry":"q","topic":"price"}"#;
            let when = format!("2026-05-01 10:0{position}");
            let mut it = of("c-1", position, "interaction.inquired", &when, data);
            it.attributes.channel = events::envelope::Channel::parse(channel);
            it
        })
        .collect();
    let stage = Stage::with(&facts).await;
    let (mut snapshot, tenant) = (stage.snapshot().await, "main".parse().unwrap());
    let customer = "c-1".parse().unwrap();
    let card = get(&mut snapshot, &tenant, &customer, at("2026-05-02 09:00")).await;
    card.unwrap().unwrap().to_json(true)["preferred"].clone()
}

#[tokio::test]
async fn a_channel_is_preferred_from_three_cases_and_half_of_them_on() {
    assert_eq!(preferred_after(&["phone"]).await, Value::Null);
    assert_eq!(preferred_after(&["phone", "phone"]).await, Value::Null);
    let three = preferred_after(&["phone", "phone", "phone"]).await;
    assert_eq!(three, json!({ "channel": "phone", "hour": 10 }));
    let half = ["phone", "email", "phone", "desk", "phone", "web"];
    assert_eq!(preferred_after(&half).await["channel"], "phone");
    let less = ["phone", "email", "phone", "desk", "phone", "web", "email"];
    assert_eq!(preferred_after(&less).await, Value::Null);
}
