//! Lists read from their end are the lists read from their beginning, on both databases: every
//! statement that runs backwards, from the end and from any place.

use jiff::SignedDuration;
use projections::card::{self, Sort};
use projections::listing::{Place, Window};
use projections::{alerts, loyalty, neglect, promises, timeline};
use serde_json::json;

use crate::house::{House, instant, main_tenant, stories};

stories![every_list_reads_the_same_both_ways, the_log_is_searched_both_ways];

/// More than any list here has.
const ALL: i64 = 100;

/// Compares a list with itself the other way, from the end and from behind each of its items.
macro_rules! both_ways {
    ($least:expr, |$window:ident| $list:expr) => {{
        let all = Window::first(ALL);
        let $window = &all;
        let forward: Vec<Place> =
            $list.await.unwrap().into_iter().map(|(place, _)| place).collect();
        assert!($least <= forward.len(), "only {} items", forward.len());
        for from in (0..=forward.len()).rev() {
            let after = forward.get(from).cloned();
            let back = Window { after, back: true, ..Window::first(ALL) };
            let $window = &back;
            let mut back: Vec<Place> =
                $list.await.unwrap().into_iter().map(|(place, _)| place).collect();
            back.reverse();
            assert_eq!(back, forward[..from]);
        }
    }};
}

/// Five customers with a promise, a silence and an alert each.
async fn some_days(house: &House) {
    for number in 1..=5 {
        let (customer, at) = (format!("c-{number}"), format!("2026-05-0{number}T10:00:00+07:00"));
        let sale = json!({
            "purchase": format!("s-{number}"), "kind": "sale",
            "amount": { "amount": 90_000, "currency": "IDR" },
        });
        house.fact(&at, &customer, "purchase.recorded", sale).await;
        let made = json!({
            "promise": format!("p-{number}"), "what": "A call", "owner": "ani",
            "due_at": "2026-06-01T15:00:00+07:00",
        });
        house.fact(&at, &customer, "promise.made", made).await;
    }
    house.pass_until("2026-09-20T12:00:00+07:00").await;
}

async fn every_list_reads_the_same_both_ways(house: House) {
    some_days(&house).await;
    let (mut snapshot, tenant) = (house.snapshot().await, main_tenant());
    let now = instant("2026-09-20T12:00:00+07:00");
    let today = "2026-09-20".parse().unwrap();
    let (log, snapshot, tenant) = (&house.log, &mut snapshot, &tenant);
    let state = Some("all".to_owned());
    let wanted = alerts::query::Wanted { state, ..Default::default() };
    both_ways!(5, |it| alerts::query::list(snapshot, log, tenant, &wanted, it));
    for (clock, least) in [(None, 10), (Some("owe"), 5)] {
        for state in [None, Some("overdue"), Some("due_soon"), Some("ok"), Some("suspended")] {
            let (clock, state) = (clock.map(str::to_owned), state.map(str::to_owned));
            let least = if state.is_some() { 0 } else { least };
            let wanted = neglect::query::Wanted { clock, state, ..Default::default() };
            both_ways!(least, |it| neglect::query::list(snapshot, log, tenant, &wanted, now, it));
        }
    }
    for states in [vec![], vec!["open"], vec!["due_soon"], vec!["overdue", "broken"]] {
        let least = if states.is_empty() { 5 } else { 0 };
        let wanted = promises::query::Wanted { states, ..Default::default() };
        both_ways!(least, |it| promises::query::list(snapshot, log, tenant, &wanted, now, it));
    }
    for sort in [Sort::LastIn, Sort::LastOut, Sort::Name] {
        let filter = card::Filter::default();
        both_ways!(5, |it| card::list(snapshot, log, tenant, &filter, sort, it, true));
    }
    let mut wanted = loyalty::query::Wanted::default();
    let forward = loyalty::query::list(snapshot, tenant, &wanted, today, ALL).await.unwrap();
    assert_eq!(forward.len(), 5);
    wanted.back = true;
    let mut back = loyalty::query::list(snapshot, tenant, &wanted, today, ALL).await.unwrap();
    back.reverse();
    assert_eq!(back, forward);
    timeline_both_ways(&house).await;
}

async fn timeline_both_ways(house: &House) {
    let (mut snapshot, tenant) = (house.snapshot().await, main_tenant());
    let customer = "c-1".parse().unwrap();
    let newest_first: Vec<i64> =
        house.timeline("c-1").await.iter().rev().map(|it| it.position).collect();
    let filter = timeline::Filter { back: true, include_voided: true, ..Default::default() };
    let (mut back, mut place) = (Vec::new(), None);
    loop {
        let (log, snapshot) = (&house.log, &mut snapshot);
        let page = timeline::page(snapshot, log, &tenant, &customer, &filter, place, 2, true);
        let page = page.await.unwrap();
        back.splice(0..0, page.entries.iter().map(|it| it.position));
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(back, newest_first);
    let newest = (instant("2026-09-20T12:00:00+07:00") + SignedDuration::from_hours(1), 1);
    for (place, is_past) in [(None, true), (Some(newest), false)] {
        let found = timeline::is_past(&mut snapshot, &tenant, &customer, &filter, place).await;
        assert_eq!(found.unwrap(), is_past);
    }
}

async fn the_log_is_searched_both_ways(house: House) {
    some_days(&house).await;
    let (tenant, head) = (main_tenant(), house.log.head().await.unwrap());
    let booked = store::log::Filter {
        type_prefixes: vec!["sapa.promise.".to_owned()],
        ..Default::default()
    };
    let own = store::log::Filter { customer: Some("c-2".parse().unwrap()), ..Default::default() };
    for filter in [store::log::Filter::default(), booked, own] {
        let (all, _) = house.log.search_after(&tenant, 0, &filter, 5_000, 5_000).await.unwrap();
        assert!(5 <= all.len());
        for (limit, scan) in [(1, 5_000), (3, 5_000), (3, 4), (500, 7)] {
            let (mut back, mut until) = (Vec::new(), head + 1);
            while 1 < until {
                let found = house.log.search_before(&tenant, until, &filter, limit, scan).await;
                let (found, seen) = found.unwrap();
                assert!(found.len() <= limit && seen < until);
                back.splice(0..0, found);
                until = seen;
            }
            assert_eq!(back, all, "{filter:?} by {limit} in {scan}");
        }
    }
}
