//! Promises about how a timeline is paged.

use super::*;
use crate::timeline::given::{Stage, at, event, reference};

/// The tablet of story S7, a complaint, and a promise that is taken back.
fn facts() -> Vec<Recorded> {
    let mut dinner = event(4, "interaction.served", "2026-07-12 19:00", r#"{"service":"dinner"}"#);
    dinner.recorded_at = at("2026-07-30 16:00");
    let promised = |position: i64, when: &str| {
        let data = r#"{"promise":"p-1","what":"call Pak Budi","owner":"ani","about":"complaint/k-1",
                       "due_at":"2026-09-01T10:00:00+07:00"}"#;
        event(position, "promise.made", when, data)
    };
    let mut noted = event(
        6,
        "interaction.noted",
        "2026-08-03 09:00",
        r#"{"text":"the promise was a slip","visibility":"team"}"#,
    );
    noted.attributes.voids = Some(reference(5));
    let mut facts = vec![
        event(1, "interaction.greeted", "2026-04-01 10:00", r#"{"by_name":true}"#),
        event(
            2,
            "complaint.raised",
            "2026-05-01 10:00",
            r#"{"complaint":"k-1","kind":"technical","category":"air_conditioning",
                "severity":"high","text":"AC mati SEJAK pagi","mood":"upset","room":{"no":12}}"#,
        ),
        event(3, "interaction.arrived", "2026-06-01 10:00", r#"{"visit":"s-1","booking":"b-7"}"#),
        dinner,
        promised(5, "2026-08-02 09:00"),
        noted,
        event(
            7,
            "interaction.contacted",
            "2026-08-04 09:00",
            r#"{"purpose":"care","outcome":"reached"}"#,
        ),
    ];
    // Time runs on: recorded when it happened, but never before what was recorded earlier.
    let mut latest = facts[0].recorded_at;
    for it in &mut facts {
        latest = latest.max(it.recorded_at);
        it.recorded_at = latest;
    }
    facts
}

async fn ask(filter: Filter, before: Option<Place>, limit: usize, pii: bool) -> Page {
    let stage = Stage::with(&facts()).await;
    let mut snapshot = stage.snapshot().await;
    let (tenant, customer) = ("main".parse().unwrap(), "c-ida".parse().unwrap());
    page(&mut snapshot, &stage.log, &tenant, &customer, &filter, before, limit, pii).await.unwrap()
}

async fn positions(filter: Filter) -> Vec<i64> {
    ask(filter, None, 50, true).await.entries.iter().map(|it| it.position).collect()
}

#[tokio::test]
async fn a_timeline_is_told_newest_first_by_when_it_happened() {
    assert_eq!(positions(Filter::default()).await, [7, 6, 4, 3, 2, 1]);
    let all = Filter { include_voided: true, ..Filter::default() };
    let page = ask(all, None, 50, true).await;
    assert_eq!(page.entries[2].position, 5);
    assert_eq!(page.entries[2].voided_by, Some(reference(6)));
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn the_dinner_from_the_tablet_stands_where_it_happened_and_is_late() {
    let page = ask(Filter::default(), None, 50, true).await;
    let dinner = page.entries.iter().find(|it| it.position == 4).unwrap();
    assert_eq!(dinner.occurred_at, at("2026-07-12 19:00"));
    assert!(dinner.late && !dinner.clock_suspect && !dinner.imported && !dinner.dangling);
    assert_eq!(dinner.phase, Phase::During);
    let others = page.entries.iter().filter(|it| it.position < 4);
    assert!(others.into_iter().all(|it| !it.late));
}

#[tokio::test]
async fn pages_meet_without_a_gap() {
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = ask(Filter::default(), before, 2, true).await;
        assert!(page.entries.len() <= 2);
        seen.extend(page.entries.iter().map(|it| it.position));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 4, 3, 2, 1]);
}

#[tokio::test]
async fn each_filter_keeps_what_it_names() {
    let of = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        positions(filter)
    };
    assert_eq!(of(|it| it.topics = vec!["complaint".to_owned()]).await, [2]);
    assert_eq!(
        of(|it| it.types = vec![Kind::InteractionArrived, Kind::InteractionServed]).await,
        [4, 3]
    );
    assert_eq!(of(|it| it.direction = Some(Direction::In)).await, [3, 2]);
    assert_eq!(of(|it| it.actor = Some("customer".to_owned())).await, [3, 2]);
    assert_eq!(of(|it| it.actor = Some("staff/dewi".to_owned())).await, [7, 6, 4, 1]);
    assert_eq!(of(|it| it.channel = Some(Channel::Phone)).await, [0_i64; 0]);
    assert_eq!(of(|it| it.phase = Some(Phase::Before)).await, [3, 2, 1]);
    assert_eq!(of(|it| it.about = "visit/s-1".parse().ok()).await, [3]);
    assert_eq!(of(|it| it.about = "booking/b-7".parse().ok()).await, [3]);
    let from = Filter { from: Some(at("2026-06-01 10:00")), ..Filter::default() };
    assert_eq!(positions(from).await, [7, 6, 4, 3]);
    let to = Filter { to: Some(at("2026-06-01 10:00")), ..Filter::default() };
    assert_eq!(positions(to).await, [2, 1]);
}

#[tokio::test]
async fn what_was_known_then_leaves_out_what_came_later_even_a_void() {
    let known = |at| Filter { known_at: Some(at), ..Filter::default() };
    assert_eq!(positions(known(5)).await, [5, 4, 3, 2, 1], "it was not taken back yet");
    assert_eq!(positions(known(6)).await, [6, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_search_reads_data_and_both_sentences_in_any_case() {
    let search = |text: &str| Filter { search: Some(text.to_owned()), ..Filter::default() };
    assert_eq!(positions(search("sejak PAGI")).await, [2]);
    assert_eq!(positions(search("keluhan teknis")).await, [2]);
    assert_eq!(positions(search("Technical")).await, [2]);
    assert_eq!(positions(search("nowhere")).await, [0_i64; 0]);
    let blind = ask(search("sejak pagi"), None, 50, false).await;
    assert!(blind.entries.is_empty(), "a search must not tell what the answer withholds");
}

#[tokio::test]
async fn without_pii_what_is_personal_or_unknown_is_absent_and_named() {
    let filter = Filter { topics: vec!["complaint".to_owned()], ..Filter::default() };
    let page = ask(filter, None, 50, false).await;
    let entry = &page.entries[0];
    assert_eq!(entry.masked, ["/data/text", "/data/room"]);
    let data = entry.data.to_string();
    assert!(!data.contains("AC mati") && !data.contains("12"), "{data}");
    assert_eq!(entry.data["category"], "air_conditioning");
    assert_eq!(entry.summary.en, "Technical complaint: air conditioning, high");
}

#[tokio::test]
async fn an_entry_has_exactly_the_members_of_the_interface() {
    let page = ask(Filter::default(), None, 1, true).await;
    let json = serde_json::to_value(&page.entries[0]).unwrap();
    let mut members: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    let mut wanted = "position event type occurred_at recorded_at phase direction channel actor \
                      actorkind summary about venue visit mood data via late clock_suspect \
                      out_of_order imported dangling voided_by erased masked"
        .split_whitespace()
        .collect::<Vec<_>>();
    wanted.sort_unstable();
    assert_eq!(members, wanted);
    assert_eq!(json["occurred_at"], "2026-08-04T02:00:00.000000Z");
    assert_eq!(json["direction"], "out");
}
