//! Tiers as stories S3, S8 and S9 tell them, step by step as the reaction records them.

use std::sync::Arc;

use events::fact::loyalty::Cause;
use events::id::EventRef;
use events::policy::{Policies, PolicyHistory, Published};
use events::tier::Tier;
use jiff::civil::Date;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::State;
use super::due::{Change, next_change};
use super::view::View;
use crate::promises::tests::{Story, at};

pub(crate) mod tables;

fn date(text: &str) -> Date {
    text.parse().expect("a test writes valid dates")
}

fn fulfilled(no_show: bool) -> Value {
    json!({ "booking": "b-1", "venue": "aula-sungai", "no_show": no_show })
}

fn fold(story: &Story) -> State {
    State::fold(&story.entries())
}

fn next(story: &Story, history: &PolicyHistory) -> Option<Change> {
    next_change(&fold(story), history, &Policies::default().calendar)
}

/// Records every change up to a moment, as the reaction does, and answers them.
fn walk(story: &mut Story, now: &str, history: &PolicyHistory) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    while let Some(change) = next(story, history).filter(|it| it.at <= at(now)) {
        assert!(changes.len() < 50, "a walk ends");
        let data = json!({
            "from": change.from, "to": change.to, "cause": change.cause,
            "policy_version": change.policy_version, "evidence": change.evidence,
            "lapses_on": change.lapses_on,
        });
        let id = format!("t-{}-{}", change.at, change.to.name());
        story.add(&id, "loyalty.tier_changed", &change.at.to_string(), data);
        changes.push(change);
    }
    changes
}

fn short(changes: &[Change]) -> Vec<(String, Tier, Cause)> {
    changes.iter().map(|it| (it.at.to_string(), it.to, it.cause)).collect()
}

fn refs(ids: &[&str]) -> Vec<EventRef> {
    ids.iter().map(|it| format!("/t#{it}").parse().unwrap()).collect()
}

fn ratna() -> Story {
    let mut story = Story::default();
    for day in ["2024-03-16", "2025-03-15", "2026-03-14"] {
        let id = format!("f-{}", &day[..4]);
        story.add(&id, "booking.fulfilled", &format!("{day}T16:00:00+07:00"), fulfilled(false));
    }
    story
}

fn with_view<T>(
    story: &Story,
    on: &str,
    policies: &Policies,
    ask: impl FnOnce(&View<'_>) -> T,
) -> T {
    ask(&View::new(&fold(story), date(on), policies, &policies.calendar))
}

#[test]
fn a_long_history_is_walked_change_by_change_and_ends() {
    let (mut story, history) = (ratna(), PolicyHistory::new());
    let changes = walk(&mut story, "2026-06-01T00:00:00+07:00", &history);
    assert_eq!(
        short(&changes),
        [
            ("2024-03-16T09:00:00Z".to_owned(), Tier::Secondary, Cause::Earned),
            ("2026-03-15T17:00:00Z".to_owned(), Tier::Primary, Cause::Earned),
        ]
    );
    let primary = &changes[1];
    assert_eq!((primary.date, primary.from), (date("2026-03-16"), Tier::Secondary));
    assert_eq!(primary.evidence, refs(&["f-2024", "f-2025", "f-2026"]));
    assert_eq!((primary.lapses_on, primary.policy_version), (Some(date("2027-03-16")), 1));
    let lapse = next(&story, &history).expect("without another visit the tier lapses");
    assert_eq!((lapse.at, lapse.to), (at("2027-03-16T00:00+07:00"), Tier::Secondary));
    assert_eq!((lapse.cause, lapse.lapses_on), (Cause::Lapsed, None));
}

#[test]
fn nobody_is_demoted_while_a_complaint_is_open_and_the_days_are_given_back() {
    let (mut story, history) = (ratna(), PolicyHistory::new());
    walk(&mut story, "2026-06-01T00:00:00+07:00", &history);
    let raised = json!({
        "complaint": "k-1", "kind": "technical", "category": "air_conditioning",
        "severity": "high", "text": "AC mati",
    });
    story.add("raised", "complaint.raised", "2027-02-20T10:00:00+07:00", raised);
    assert_eq!(next(&story, &history), None, "we are at fault, so nothing is ahead");
    let policies = Policies::default();
    with_view(&story, "2027-03-16", &policies, |view| {
        assert_eq!((view.tier(), view.standing().lapses_on(view.on())), (Tier::Primary, None));
        assert!(view.standing().is_held(view.on()));
        assert_eq!(view.held_by(), ["complaint/k-1"]);
    });

    let fixed = json!({ "complaint": "k-1", "remedy": "Repaired", "fault": "ours" });
    let mut theirs = story.clone();
    story.add("fixed", "complaint.resolved", "2027-03-22T15:00:00+07:00", fixed);
    let lapse = next(&story, &history).unwrap();
    assert_eq!((lapse.at, lapse.cause), (at("2027-04-15T00:00+07:00"), Cause::Lapsed));
    with_view(&story, "2027-03-22", &policies, |view| {
        assert_eq!(view.standing().lapses_on(view.on()), Some(date("2027-04-15")));
        assert_eq!(view.standing().held_days(view.on()), 30);
    });

    let mut guest = story.clone();
    guest.add("f-2027", "booking.fulfilled", "2027-04-10T16:00:00+07:00", fulfilled(false));
    assert_eq!(walk(&mut guest, "2027-05-01T00:00:00+07:00", &history), []);
    assert_eq!(next(&guest, &history).unwrap().date, date("2028-03-14"));

    let changes = walk(&mut story, "2027-05-01T00:00:00+07:00", &history);
    assert_eq!(
        short(&changes),
        [("2027-04-14T17:00:00Z".to_owned(), Tier::Secondary, Cause::Lapsed)]
    );
    assert_eq!(next(&story, &history), None);

    // A complaint that was theirs gives no days: the lapse comes when that is known.
    let fault = json!({ "complaint": "k-1", "remedy": "Explained", "fault": "theirs" });
    theirs.add("fixed", "complaint.resolved", "2027-03-22T15:00:00+07:00", fault);
    let lapse = next(&theirs, &history).unwrap();
    assert_eq!((lapse.at, lapse.to), (at("2027-03-22T15:00+07:00"), Tier::Secondary));
}

#[test]
fn a_complaint_that_comes_again_and_a_broken_promise_hold_too() {
    let (mut story, history) = (ratna(), PolicyHistory::new());
    walk(&mut story, "2026-06-01T00:00:00+07:00", &history);
    let broken = json!({ "promise": "p-1", "how": "broken" });
    story.add("broken", "promise.settled", "2027-03-01T10:00:00+07:00", broken);
    assert_eq!(next(&story, &history), None);
    let late = json!({ "promise": "p-1", "how": "late" });
    story.add("late", "promise.settled", "2027-03-11T10:00:00+07:00", late);
    assert_eq!(next(&story, &history).unwrap().date, date("2027-03-26"));
    let reopened = json!({ "complaint": "k-9", "reason": "Again" });
    story.add("again", "complaint.reopened", "2027-03-20T10:00:00+07:00", reopened);
    assert_eq!(next(&story, &history), None);
    story.void("broken").void("again");
    assert_eq!(next(&story, &history).unwrap().date, date("2027-03-16"));
}

#[test]
fn a_refund_holds_once_it_is_past_due_and_until_it_is_paid() {
    let (mut story, history) = (ratna(), PolicyHistory::new());
    walk(&mut story, "2026-06-01T00:00:00+07:00", &history);
    let money = json!({ "amount": 6_000_000, "currency": "IDR" });
    let cancelled =
        json!({ "booking": "b-7", "venue": "aula-sungai", "by": "venue", "refund_due": money });
    // 27 working hours from Monday 2027-03-08 09:00 end on Thursday 09:00.
    story.add("cancel", "booking.cancelled", "2027-03-08T09:00:00+07:00", cancelled);
    let policies = Policies::default();
    let since = |story: &Story, on| {
        with_view(story, on, &policies, |view| view.at_fault().first().map(|it| (it.from, it.to)))
    };
    assert_eq!(since(&story, "2027-03-10"), None);
    assert_eq!(since(&story, "2027-03-11"), Some((date("2027-03-11"), None)));
    let part = json!({ "amount": 1_000_000, "currency": "IDR" });
    let rest = json!({ "amount": 5_000_000, "currency": "IDR" });
    let refund = |id: &str, amount: &Value| {
        let mut data = json!({ "payment": id, "kind": "refund", "booking": "b-7" });
        data["amount"] = amount.clone();
        data
    };
    let mut prompt = story.clone();
    prompt.add("pay", "payment.recorded", "2027-03-11T08:00:00+07:00", refund("x", &money));
    assert_eq!(since(&prompt, "2027-03-12"), None);
    story.add("part", "payment.recorded", "2027-03-12T08:00:00+07:00", refund("x", &part)).add(
        "rest",
        "payment.recorded",
        "2027-03-15T08:00:00+07:00",
        refund("y", &rest),
    );
    assert_eq!(since(&story, "2027-03-12"), Some((date("2027-03-11"), None)));
    assert_eq!(since(&story, "2027-03-15"), Some((date("2027-03-11"), Some(date("2027-03-15")))));
    assert_eq!(next(&story, &history).unwrap().date, date("2027-03-20"));
}

#[test]
fn a_first_stay_makes_a_prospect_secondary_at_the_moment_it_is_fulfilled() {
    let (mut story, history) = (Story::default(), PolicyHistory::new());
    let requested = json!({
        "booking": "b-1", "venue": "kamar-12", "party": 1,
        "starts_at": "2026-10-03T14:00:00+07:00", "ends_at": "2026-10-04T12:00:00+07:00",
    });
    story.add("ask", "booking.requested", "2026-09-20T10:00:00+07:00", requested);
    assert_eq!(next(&story, &history), None);
    with_view(&story, "2026-10-03", &Policies::default(), |view| {
        assert_eq!(view.tier(), Tier::Prospect);
    });
    story.add("stay", "booking.fulfilled", "2026-10-04T12:05:00+07:00", fulfilled(false));
    let changes = walk(&mut story, "2026-10-04T12:05:00+07:00", &history);
    assert_eq!(
        short(&changes),
        [("2026-10-04T05:05:00Z".to_owned(), Tier::Secondary, Cause::Earned)]
    );
    assert_eq!(changes[0].evidence, refs(&["stay"]));
}

#[test]
fn merged_records_are_primary_from_the_merge_on_and_not_once_they_are_apart() {
    let history = PolicyHistory::new();
    let mut own = Story::default();
    own.add("a", "booking.fulfilled", "2025-05-10T16:00:00+07:00", fulfilled(false));
    walk(&mut own, "2026-06-30T00:00:00+07:00", &history);
    let policies = Policies::default();
    with_view(&own, "2026-06-30", &policies, |view| assert_eq!(view.tier(), Tier::Secondary));

    let mut both = own.clone();
    let merged = json!({ "absorbed": ["w-778"], "reason": "Same person" });
    both.of("w-778", "b", "booking.fulfilled", "2024-05-11T16:00:00+07:00", fulfilled(false))
        .of("w-778", "c", "booking.fulfilled", "2025-12-20T16:00:00+07:00", fulfilled(false))
        .add("merge", "customer.merged", "2026-06-30T09:00:00+07:00", merged.clone());
    let changes = walk(&mut both, "2026-07-01T00:00:00+07:00", &history);
    assert_eq!(
        short(&changes),
        [("2026-06-30T02:00:00Z".to_owned(), Tier::Primary, Cause::Merged)]
    );
    assert_eq!(changes[0].evidence, refs(&["b", "a", "c"]));
    with_view(&both, "2026-06-30", &policies, |view| {
        assert_eq!(view.standing().conditions(view.on())[0].have, Some(780));
    });

    let apart = json!({ "merge": "/t#merge", "reason": "Two people" });
    let recorded = json!({
        "from": "secondary", "to": "primary", "cause": "merged", "policy_version": 1,
        "evidence": [],
    });
    own.add("merge", "customer.merged", "2026-06-30T09:00:00+07:00", merged)
        .add("t-merged", "loyalty.tier_changed", "2026-06-30T09:00:00+07:00", recorded)
        .add("apart", "customer.unmerged", "2026-07-03T09:00:00+07:00", apart);
    let changes = walk(&mut own, "2026-07-04T00:00:00+07:00", &history);
    assert_eq!(
        short(&changes),
        [("2026-07-03T02:00:00Z".to_owned(), Tier::Secondary, Cause::Unmerged)]
    );
    assert_eq!(next(&own, &history), None);
}

#[test]
fn a_returned_sale_counts_until_it_is_returned_and_no_longer() {
    let (mut story, history) = (Story::default(), PolicyHistory::new());
    let amount = json!({ "amount": 100_000, "currency": "IDR" });
    let sale = json!({ "purchase": "x-1", "kind": "sale", "amount": amount });
    let back = json!({ "purchase": "x-2", "kind": "return", "amount": amount, "of": "x-1" });
    story.add("sale", "purchase.recorded", "2026-01-05T10:00:00+07:00", sale).add(
        "back",
        "purchase.recorded",
        "2026-01-09T11:00:00+07:00",
        back,
    );
    let changes = walk(&mut story, "2026-02-01T00:00:00+07:00", &history);
    assert_eq!(
        short(&changes),
        [
            ("2026-01-05T03:00:00Z".to_owned(), Tier::Secondary, Cause::Earned),
            ("2026-01-09T04:00:00Z".to_owned(), Tier::Prospect, Cause::Lapsed),
        ]
    );
    let policies = Policies::default();
    for (on, tier) in [("2026-01-08", Tier::Secondary), ("2026-01-09", Tier::Prospect)] {
        with_view(&story, on, &policies, |view| assert_eq!(view.tier(), tier, "{on}"));
    }
    assert_eq!(fold(&story).value.map(|it| it.amount), Some(0));
}

fn strict(from: &str) -> PolicyHistory {
    let mut history = PolicyHistory::new();
    let defaults = Policies::default();
    let mut body = defaults.body_json("loyalty").unwrap().clone();
    body["primary"]["window_count"] = json!(4);
    let published = Published::new("loyalty", 2, at(from), body);
    assert_eq!(history.publish(published), Ok(true));
    history
}

#[test]
fn a_stricter_policy_demotes_from_the_moment_it_is_in_force() {
    let mut story = ratna();
    walk(&mut story, "2026-06-01T00:00:00+07:00", &PolicyHistory::new());
    let history = strict("2026-06-02T10:00:00+07:00");
    let changes = walk(&mut story, "2026-07-01T00:00:00+07:00", &history);
    assert_eq!(
        short(&changes),
        [("2026-06-02T03:00:00Z".to_owned(), Tier::Secondary, Cause::Policy)]
    );
    assert_eq!(changes[0].policy_version, 2);

    let mut fresh = ratna();
    let changes = walk(&mut fresh, "2026-07-01T00:00:00+07:00", &history);
    let causes: Vec<_> = changes.iter().map(|it| (it.cause, it.policy_version)).collect();
    assert_eq!(causes, [(Cause::Earned, 1), (Cause::Earned, 1), (Cause::Policy, 2)]);
}

#[test]
fn a_tier_that_somebody_decided_holds_until_its_date_and_ends_by_itself() {
    let (mut story, history) = (ratna(), PolicyHistory::new());
    walk(&mut story, "2024-12-01T00:00:00+07:00", &history);
    let manual = json!({
        "from": "secondary", "to": "primary", "cause": "manual", "policy_version": 1,
        "evidence": [], "until": "2025-03-01", "by": "sri", "reason": "Wedding of the year",
    });
    story.add("manual", "loyalty.tier_changed", "2024-12-10T10:00:00+07:00", manual);
    let policies = Policies::default();
    for (on, tier) in [("2025-02-28", Tier::Primary), ("2025-03-01", Tier::Secondary)] {
        with_view(&story, on, &policies, |view| assert_eq!(view.tier(), tier, "{on}"));
    }
    let ends = next(&story, &history).unwrap();
    assert_eq!((ends.at, ends.to), (at("2025-03-01T00:00+07:00"), Tier::Secondary));
    let changes = walk(&mut story, "2026-06-01T00:00:00+07:00", &history);
    let tiers: Vec<_> = changes.iter().map(|it| it.to).collect();
    assert_eq!(tiers, [Tier::Secondary, Tier::Primary]);
}

#[test]
fn the_ledger_of_a_reward_never_falls_below_zero() {
    let mut story = Story::default();
    let post = |entry: &str, amount: i64| {
        json!({
            "entry": entry, "reward": "r-1", "item": "Coffee", "surprise": entry == "grant",
            "value": { "amount": amount, "currency": "IDR" }, "reason": "Loyal",
        })
    };
    story
        .add("g", "reward.posted", "2026-01-01T10:00:00+07:00", post("grant", 100))
        .add("r", "reward.posted", "2026-01-02T10:00:00+07:00", post("redeem", 70))
        .add("s", "reward.posted", "2026-01-03T10:00:00+07:00", post("redeem", 70));
    let reward = "r-1".parse().unwrap();
    let state = fold(&story);
    assert_eq!((state.balance(&reward), state.dangling.len()), (0, 1));
    assert_eq!(state.surprised_at(), Some(at("2026-01-01T10:00+07:00")));
    story.add("b", "reward.posted", "2026-01-04T10:00:00+07:00", post("reverse", 60));
    assert_eq!(fold(&story).balance(&reward), 60);
}

proptest! {
    #[test]
    fn walking_and_asking_agree_on_every_date_and_a_walk_is_not_repeated(
        stays in proptest::collection::btree_set(0_i64..1_600, 1..25),
        fault in proptest::option::of((0_i64..1_600, 1_i64..200)),
        policy in proptest::option::of(0_i64..1_600),
    ) {
        let base = date("2020-01-01");
        let on = |days: i64| events::calendar::add_days(base, days);
        let mut story = Story::default();
        for day in &stays {
            let time = format!("{}T16:00:00+07:00", on(*day));
            story.add(&format!("f-{day}"), "booking.fulfilled", &time, fulfilled(false));
        }
        if let Some((from, days)) = fault {
            let fixed = json!({ "complaint": "k", "remedy": "Done", "fault": "ours" });
            let reopened = json!({ "complaint": "k", "reason": "Again" });
            let (from, to) = (on(from), on(from + days));
            story.add("k", "complaint.reopened", &format!("{from}T10:00:00+07:00"), reopened);
            story.add("d", "complaint.resolved", &format!("{to}T10:00:00+07:00"), fixed);
        }
        let strict = |day: i64| strict(&format!("{}T10:00:00+07:00", on(day)));
        let history = policy.map_or_else(PolicyHistory::new, strict);
        let changes = walk(&mut story, "2030-01-01T00:00:00+07:00", &history);
        prop_assert!(next(&story, &history).is_none());
        let (state, calendar) = (fold(&story), Policies::default().calendar.clone());
        for day in (0..2_600).step_by(13) {
            let day = on(day);
            let policies: Arc<Policies> = super::view::policies_on(&history, day, &calendar);
            let asked = View::new(&state, day, &policies, &calendar).tier();
            let last = changes.iter().rfind(|it| it.date <= day);
            let walked = last.map_or(Tier::Prospect, |it| it.to);
            prop_assert_eq!(asked, walked, "on {}", day);
        }
    }
}

fn explained(story: &Story, on: &str, policies: &Policies) -> Value {
    let customer = "c-1".parse().unwrap();
    let entries = story.entries();
    let calendar = &policies.calendar;
    let answer = super::query::as_of(&customer, &entries, date(on), policies, calendar);
    serde_json::to_value(answer).unwrap()
}

#[test]
fn the_explanation_has_exactly_the_form_that_was_promised() {
    let mut story = ratna();
    walk(&mut story, "2026-06-01T00:00:00+07:00", &PolicyHistory::new());
    let friend = json!({ "referred": "c-2" });
    story.add("friend", "referral.recorded", "2026-05-20T10:00:00+07:00", friend);
    let condition = |name: &str, needed: i64, have: i64| {
        let mut it = json!({ "name": name, "needed": needed, "have": have });
        it["met"] = json!(true);
        it
    };
    let counted = |year: &str, day: &str| json!({ "event": format!("/t#f-{year}"), "date": day });
    assert_eq!(
        explained(&story, "2026-06-01", &Policies::default()),
        json!({
            "customer": "c-1", "tier": "primary", "at": "2026-06-01", "since": "2026-03-16",
            "cause": "earned", "policy_version": 1,
            "conditions": [
                condition("tenure_days", 730, 807),
                condition("window_count", 3, 3),
                condition("recency_days", 540, 79),
            ],
            "counted": [
                counted("2024", "2024-03-16"),
                counted("2025", "2025-03-15"),
                counted("2026", "2026-03-14"),
            ],
            "not_counted": [],
            "next_tier": null, "lapses_on": "2027-03-16", "held": null, "manual": null,
            "privileges": ["discount_10", "waitlist_first", "courtesy_hold", "direct_line"],
            "rewards": { "granted": 0, "redeemed": 0, "open": [] },
            "referrals": {
                "direct": 1, "branch": 1, "value": { "amount": 0, "currency": "IDR" },
            },
            "sentence": {
                "id": "Primer sejak 16 Maret 2026: 3 dari 3 hari transaksi dalam 1.095 hari, \
                    pelanggan sejak 16 Maret 2024.",
                "en": "Primary since 16 March 2026: 3 of 3 qualifying days within 1,095 days, \
                    customer since 16 March 2024.",
            },
        })
    );
    let eve = explained(&story, "2026-03-15", &Policies::default());
    assert_eq!((&eve["tier"], &eve["since"]), (&json!("secondary"), &json!("2024-03-16")));
    let missing = json!([{ "name": "tenure_days", "needed": 730, "have": 729, "met": false }]);
    assert_eq!(eve["next_tier"], json!({ "tier": "primary", "missing": missing }));
}

#[test]
fn a_draft_policy_says_have_3_need_4_and_a_hold_says_for_what_and_how_long() {
    let mut story = ratna();
    let history = strict("2026-06-01T00:00:00+07:00");
    let draft = history.in_force(at("2026-06-01T00:00:00+07:00"));
    let answer = explained(&story, "2026-06-01", &draft);
    assert_eq!((&answer["tier"], &answer["policy_version"]), (&json!("secondary"), &json!(2)));
    let missing = json!([{ "name": "window_count", "needed": 4, "have": 3, "met": false }]);
    assert_eq!(answer["next_tier"]["missing"], missing);

    let again = json!({ "complaint": "k-1", "reason": "Again" });
    let fixed = json!({ "complaint": "k-1", "remedy": "Repaired", "fault": "ours" });
    story.add("again", "complaint.reopened", "2027-02-20T10:00:00+07:00", again);
    story.add("fixed", "complaint.resolved", "2027-03-22T10:00:00+07:00", fixed);
    let policies = Policies::default();
    let during = explained(&story, "2027-03-16", &policies);
    let held = json!({ "since": "2027-02-20", "days": 25, "by": ["complaint/k-1"] });
    assert_eq!((&during["held"], &during["lapses_on"]), (&held, &Value::Null));
    let after = explained(&story, "2027-04-01", &policies);
    let held = json!({ "since": null, "days": 30, "by": ["complaint/k-1"] });
    assert_eq!((&after["held"], &after["lapses_on"]), (&held, &json!("2027-04-15")));
    assert_eq!(explained(&story, "2027-04-15", &policies)["cause"], "lapsed");
}

#[test]
fn what_does_not_count_is_told_with_why() {
    let mut story = ratna();
    let amount = json!({ "amount": 100_000, "currency": "IDR" });
    let sale = json!({ "purchase": "x-1", "kind": "sale", "amount": amount });
    let back = json!({ "purchase": "x-2", "kind": "return", "amount": amount, "of": "x-1" });
    story
        .add("gone", "booking.fulfilled", "2026-04-01T10:00:00+07:00", fulfilled(true))
        .add("twice", "booking.fulfilled", "2026-03-14T20:00:00+07:00", fulfilled(false))
        .add("sale", "purchase.recorded", "2026-04-05T10:00:00+07:00", sale)
        .add("back", "purchase.recorded", "2026-04-09T11:00:00+07:00", back);
    let answer = explained(&story, "2026-06-01", &Policies::default());
    let why = |event: &str, why: &str| json!({ "event": format!("/t#{event}"), "why": why });
    let expected =
        json!([why("twice", "same_day"), why("gone", "no_show"), why("sale", "returned")]);
    assert_eq!(answer["not_counted"], expected);
    assert_eq!(answer["counted"].as_array().unwrap().len(), 3);
}

#[test]
fn a_state_survives_being_stored() {
    let mut story = ratna();
    walk(&mut story, "2026-06-01T00:00:00+07:00", &PolicyHistory::new());
    let state = fold(&story);
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
}

proptest! {
    #[test]
    fn taking_a_counted_event_away_changes_the_listed_figures_accordingly(
        stays in proptest::collection::btree_set(0_i64..900, 1..8),
        gone in 0_usize..8,
        later in 0_i64..600,
    ) {
        let base = date("2024-01-01");
        let on = events::calendar::add_days(base, 900 + later).to_string();
        let mut story = Story::default();
        for day in &stays {
            let time = format!("{}T16:00:00+07:00", events::calendar::add_days(base, *day));
            story.add(&format!("f-{day}"), "booking.fulfilled", &time, fulfilled(false));
        }
        let policies = Policies::default();
        let all = explained(&story, &on, &policies);
        let counted = all["counted"].as_array().unwrap().clone();
        prop_assert_eq!(counted.len(), stays.len());
        let gone = counted[gone % counted.len()].clone();
        let id = gone["event"].as_str().unwrap().trim_start_matches("/t#").to_owned();
        let fewer = explained(story.void(&id), &on, &policies);
        let rest: Vec<Value> = counted.into_iter().filter(|it| *it != gone).collect();
        prop_assert_eq!(&fewer["counted"], &json!(rest));
        // Whoever keeps exactly the listed events finds the listed figures.
        let window = policies.loyalty.primary.window_days;
        let age = |it: &Value| {
            events::calendar::days_between(date(it["date"].as_str().unwrap()), date(&on))
        };
        let young = rest.iter().filter(|it| age(it) < window).count();
        let have = |name: usize| fewer["conditions"][name]["have"].clone();
        prop_assert_eq!(have(1), json!(young));
        prop_assert_eq!(have(0), rest.first().map_or(Value::Null, |it| json!(age(it))));
        prop_assert_eq!(have(2), rest.last().map_or(Value::Null, |it| json!(age(it))));
    }
}
