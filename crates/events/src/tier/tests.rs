//! Tiers of the stories, and agreement with a day-by-day recomputation.

use proptest::prelude::*;

use super::*;
use crate::policy::Policies;

fn date(text: &str) -> Date {
    text.parse().expect("a test writes valid dates")
}

fn fulfilled(days: &[&str]) -> Qualifying {
    let mut qualifying = Qualifying::default();
    for day in days {
        qualifying.insert(date(day), format!("/hotel/pms#f-{day}"));
    }
    qualifying
}

fn fault(from: &str, to: Option<&str>) -> Faults {
    Faults::union([(date(from), to.map(date))])
}

fn rule() -> PrimaryRule {
    Policies::default().loyalty.primary
}

const RATNA: [&str; 3] = ["2024-03-16", "2025-03-15", "2026-03-14"];

#[test]
fn years_of_loyalty_make_a_customer_primary_on_the_very_day() {
    let (qualifying, faults, rule) = (fulfilled(&RATNA), Faults::default(), rule());
    let ratna = Standing { qualifying: &qualifying, faults: &faults, rule: &rule };
    assert_eq!(ratna.tier_at(date("2024-03-15")), Tier::Prospect);
    assert_eq!(ratna.tier_at(date("2026-03-15")), Tier::Secondary);
    let [tenure, count, recency] = ratna.conditions(date("2026-03-15"))[..] else {
        panic!("there are three conditions");
    };
    assert_eq!((tenure.needed, tenure.have, tenure.met), (730, Some(729), false));
    assert_eq!((count.needed, count.have, count.met), (3, Some(3), true));
    assert_eq!((recency.needed, recency.have, recency.met), (540, Some(1), true));
    assert_eq!(ratna.eligible_on(date("2026-03-15")), Some(date("2026-03-16")));
    let next = ratna.next_change(date("2026-03-15"), Tier::Secondary);
    assert_eq!(next, Some((date("2026-03-16"), Tier::Primary)));

    assert_eq!(ratna.tier_at(date("2026-03-16")), Tier::Primary);
    let june = date("2026-06-01");
    assert_eq!(ratna.since(june), Some(date("2026-03-16")));
    assert_eq!(ratna.lapses_on(june), Some(date("2027-03-16")));
    let have: Vec<_> = ratna.conditions(june).iter().map(|it| it.have).collect();
    assert_eq!(have, [Some(807), Some(3), Some(79)]);
    let next = ratna.next_change(june, Tier::Primary);
    assert_eq!(next, Some((date("2027-03-16"), Tier::Secondary)));
}

#[test]
fn nobody_is_demoted_while_we_are_at_fault_and_the_days_are_given_back() {
    let (qualifying, rule) = (fulfilled(&RATNA), rule());
    let open = fault("2027-02-20", None);
    let held = Standing { qualifying: &qualifying, faults: &open, rule: &rule };
    let day = date("2027-03-16");
    assert_eq!((held.tier_at(day), held.lapses_on(day)), (Tier::Primary, None));
    assert!(held.is_held(day) && held.faults.since(day) == Some(date("2027-02-20")));
    assert_eq!(held.next_change(day, Tier::Primary), None);

    let closed = fault("2027-02-20", Some("2027-03-22"));
    let after = Standing { faults: &closed, ..held };
    assert_eq!((after.tier_at(day), after.lapses_on(day)), (Tier::Primary, None));
    let end = date("2027-03-22");
    assert_eq!((after.lapses_on(end), after.held_days(end)), (Some(date("2027-04-15")), 30));
    assert_eq!(after.tier_at(date("2027-04-14")), Tier::Primary);
    assert_eq!(after.tier_at(date("2027-04-15")), Tier::Secondary);
    assert_eq!(after.since(date("2027-05-01")), Some(date("2027-04-15")));
    let next = after.next_change(end, Tier::Primary);
    assert_eq!(next, Some((date("2027-04-15"), Tier::Secondary)));

    let again = fulfilled(&[RATNA[0], RATNA[1], RATNA[2], "2027-04-10"]);
    let guest = Standing { qualifying: &again, ..after };
    assert_eq!(guest.lapses_on(date("2027-04-10")), Some(date("2028-03-14")));
    assert_eq!(guest.since(date("2027-04-10")), Some(date("2026-03-16")));
    assert_eq!(guest.held_days(date("2027-04-10")), 0);
}

#[test]
fn a_stricter_draft_policy_says_have_3_need_4() {
    let (qualifying, faults) = (fulfilled(&RATNA), Faults::default());
    let strict = PrimaryRule { window_count: 4, ..rule() };
    let ratna = Standing { qualifying: &qualifying, faults: &faults, rule: &strict };
    let june = date("2026-06-01");
    assert_eq!(ratna.tier_at(june), Tier::Secondary);
    let count = ratna.conditions(june)[1];
    assert_eq!((count.name, count.needed, count.have), ("window_count", 4, Some(3)));
    assert_eq!(ratna.eligible_on(june), None);
}

#[test]
fn the_other_stories_have_the_tiers_they_say() {
    let (faults, rule) = (Faults::default(), rule());
    let tier = |days: &[&str], on: &str| {
        let qualifying = fulfilled(days);
        let standing = Standing { qualifying: &qualifying, faults: &faults, rule: &rule };
        (standing.tier_at(date(on)), standing.lapses_on(date(on)))
    };
    // S1: Pak Hendra. S3: Bu Ida's first stay. S9: one record, the other, and both together.
    let hendra = ["2023-08-19", "2024-08-17", "2025-08-16"];
    let lapses = Some(date("2026-08-18"));
    assert_eq!(tier(&hendra, "2026-07-10"), (Tier::Primary, lapses));
    assert_eq!(tier(&["2026-10-04"], "2026-10-03").0, Tier::Prospect);
    assert_eq!(tier(&["2026-10-04"], "2026-10-04").0, Tier::Secondary);
    assert_eq!(tier(&["2025-05-10"], "2026-06-30").0, Tier::Secondary);
    assert_eq!(tier(&["2024-05-11", "2025-12-20"], "2026-06-30").0, Tier::Secondary);
    let merged = ["2024-05-11", "2025-05-10", "2025-12-20"];
    assert_eq!(tier(&merged, "2026-06-30").0, Tier::Primary);
    let qualifying = fulfilled(&merged);
    let standing = Standing { qualifying: &qualifying, faults: &faults, rule: &rule };
    assert_eq!(standing.conditions(date("2026-06-30"))[0].have, Some(780));
}

#[test]
fn a_day_counts_once_and_goes_when_its_last_event_goes() {
    let mut qualifying = fulfilled(&RATNA);
    qualifying.insert(date(RATNA[1]), "/shop#sale-1");
    assert_eq!(qualifying.iter().count(), 3);
    qualifying.remove(date(RATNA[1]), "/shop#sale-1");
    assert_eq!(qualifying.iter().count(), 3);
    qualifying.remove(date(RATNA[1]), "/hotel/pms#f-2025-03-15");
    assert_eq!(qualifying.iter().count(), 2);
}

#[test]
fn faults_are_a_union_whatever_their_order() {
    let day = |number| add_days(date("2026-01-01"), number);
    let union = Faults::union([
        (day(20), Some(day(25))),
        (day(5), Some(day(10))),
        (day(8), Some(day(12))),
        (day(12), Some(day(13))),
        (day(30), Some(day(30))),
    ]);
    assert_eq!(union.spans, [(day(5), Some(day(13))), (day(20), Some(day(25)))]);
    assert_eq!(union.days(day(6), day(22)), 6 + 3);
    assert_eq!((union.since(day(12)), union.since(day(13))), (Some(day(5)), None));
    let open = Faults::union([(day(5), None), (day(8), Some(day(9)))]);
    assert_eq!(open.spans, [(day(5), None)]);
}

/// The rules told day by day: a fault moves the lapse date by a day for each of its days.
fn slow(qualifying: &[Date], faults: &Faults, rule: &PrimaryRule, days: &[Date]) -> Vec<Tier> {
    let mut lapses_on: Option<Date> = None;
    let mut seen: Vec<Date> = Vec::new();
    let mut tier = Tier::Prospect;
    let mut tiers = Vec::new();
    for day in days.iter().copied() {
        let at_fault = faults.since(day).is_some();
        lapses_on = lapses_on.map(|on| if at_fault && day <= on { add_days(on, 1) } else { on });
        if qualifying.contains(&day) {
            seen.push(day);
            let wanted = usize::try_from(rule.window_count).expect("small");
            let newest = seen.iter().rev().nth(wanted - 1);
            let earned = newest.map(|oldest| {
                add_days(*oldest, rule.window_days).min(add_days(day, rule.recency_days))
            });
            let kept = lapses_on.filter(|on| tier == Tier::Primary && *on > day);
            lapses_on = earned.max(kept);
        }
        let conditions = seen.first().zip(seen.last()).is_some_and(|(first, last)| {
            let young = seen.iter().filter(|q| days_between(**q, day) < rule.window_days);
            days_between(*first, day) >= rule.tenure_days
                && i64::try_from(young.count()).expect("small") >= rule.window_count
                && days_between(*last, day) < rule.recency_days
        });
        let kept = tier == Tier::Primary && lapses_on.is_some_and(|on| day < on);
        tier = match (seen.is_empty(), conditions || kept) {
            (true, _) => Tier::Prospect,
            (false, true) => Tier::Primary,
            (false, false) => Tier::Secondary,
        };
        tiers.push(tier);
    }
    tiers
}

prop_compose! {
    fn any_rule()(
        tenure_days in 0_i64..50,
        window_days in 1_i64..70,
        window_count in 1_i64..4,
        recency_days in 1_i64..50,
    ) -> PrimaryRule {
        PrimaryRule { tenure_days, window_days, window_count, recency_days }
    }
}

fn any_faults() -> impl Strategy<Value = Faults> {
    let span = (0_i64..130, proptest::option::weighted(0.9, 0_i64..30));
    proptest::collection::vec(span, 0..5).prop_map(|spans| {
        let day = |number| add_days(date("2026-01-01"), number);
        Faults::union(spans.iter().map(|(from, long)| (day(*from), long.map(|n| day(from + n)))))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn tiers_agree_with_going_through_every_day(
        rule in any_rule(),
        faults in any_faults(),
        visits in proptest::collection::btree_set(0_i64..130, 0..9),
        now in 0_i64..160,
    ) {
        let day = |number| add_days(date("2026-01-01"), number);
        let all: Vec<Date> = (0..500).map(day).collect();
        let visits: Vec<Date> = visits.into_iter().map(day).collect();
        let mut qualifying = Qualifying::default();
        for visit in &visits {
            qualifying.insert(*visit, "e");
        }
        let standing = Standing { qualifying: &qualifying, faults: &faults, rule: &rule };
        let expected = slow(&visits, &faults, &rule, &all);
        for (date, tier) in all.iter().zip(&expected) {
            prop_assert_eq!(standing.tier_at(*date), *tier, "on {}", date);
        }

        // What is expected on a day, if nothing more happens after it.
        let now = day(now);
        let known: Vec<Date> = visits.into_iter().filter(|visit| *visit <= now).collect();
        let forecast = slow(&known, &faults.known_on(now), &rule, &all);
        let later = |wanted: &dyn Fn(Tier) -> bool| {
            let dated = all.iter().copied().zip(forecast.iter().copied());
            dated.into_iter().find(|(date, tier)| *date > now && wanted(*tier))
        };
        for current in Tier::ALL {
            prop_assert_eq!(standing.next_change(now, current), later(&|tier| tier != current));
        }
        let past: Vec<_> = all.iter().zip(&forecast).take_while(|(date, _)| **date <= now).collect();
        let tier = *past.last().expect("now is a day").1;
        let unbroken = past.iter().rev().take_while(|(_, then)| **then == tier);
        let since = unbroken.last().map(|(date, _)| **date).filter(|_| tier != Tier::Prospect);
        prop_assert_eq!(standing.since(now), since);
        if tier == Tier::Primary {
            prop_assert_eq!(standing.eligible_on(now), since);
            let end = later(&|tier| tier != Tier::Primary).map(|(date, _)| date);
            prop_assert_eq!(standing.lapses_on(now), end);
            prop_assert_eq!(standing.is_held(now), end.is_none());
        } else {
            let start = later(&|tier| tier == Tier::Primary).map(|(date, _)| date);
            prop_assert_eq!(standing.eligible_on(now), start);
            prop_assert_eq!(standing.lapses_on(now), None);
        }
    }
}
