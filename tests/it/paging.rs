//! Lists read from their end are the lists read from their beginning, on both databases: every
//! statement that runs backwards, from the end and from any place.

use jiff::SignedDuration;
use projections::card::{self, Sort};
use projections::{alerts, loyalty, neglect, promises, timeline};
use serde_json::json;

use crate::house::{House, instant, main_tenant, stories};

stories![every_list_reads_the_same_both_ways, the_log_is_searched_both_ways];

/// More than any list here has.
const ALL: i64 = 100;

/// Compares a list with itself the other way, from the end and from behind each of its items.
macro_rules! both_ways {
    ($wanted:expr, $least:expr, |$it:ident| $list:expr, |$row:ident| $place:expr) => {{
        let mut $it = $wanted;
        let forward: Vec<_> = $list.iter().map(|$row| $place).collect();
        assert!($least <= forward.len(), "only {} items", forward.len());
        $it.back = true;
        for from in (0..=forward.len()).rev() {
            $it.after = forward.get(from).cloned();
            let mut back: Vec<_> = $list.iter().map(|$row| $place).collect();
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
    let state = Some("all".to_owned());
    both_ways!(
        alerts::query::Wanted { state, ..Default::default() },
        5,
        |it| alerts::query::list(&mut snapshot, &tenant, &it, ALL).await.unwrap(),
        |row| row.place.clone()
    );
    for (clock, least) in [(None, 10), (Some("owe"), 5)] {
        let clock = clock.map(str::to_owned);
        both_ways!(
            neglect::query::Wanted { clock, ..Default::default() },
            least,
            |it| neglect::query::list(&mut snapshot, &tenant, &it, now, ALL).await.unwrap(),
            |row| row.0.clone()
        );
    }
    both_ways!(
        promises::query::Wanted::default(),
        5,
        |it| promises::query::list(&mut snapshot, &tenant, &it, now, ALL).await.unwrap(),
        |row| (row.due_at, row.promise.clone())
    );
    both_ways!(
        loyalty::query::Wanted::default(),
        5,
        |it| loyalty::query::list(&mut snapshot, &tenant, &it, today, ALL).await.unwrap(),
        |row| row.customer.to_string()
    );
    for sort in [Sort::LastIn, Sort::LastOut, Sort::Name] {
        let mut filter = card::Filter::default();
        let all = card::list(&mut snapshot, &tenant, &filter, sort, None, ALL, true).await.unwrap();
        assert_eq!(all.len(), 5);
        filter.back = true;
        for from in 0..=all.len() {
            let place = all.get(from).map(|(place, _)| place);
            let found = card::list(&mut snapshot, &tenant, &filter, sort, place, ALL, true);
            let mut back = found.await.unwrap();
            back.reverse();
            assert_eq!(back, all[..from], "{sort:?}");
        }
    }
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
