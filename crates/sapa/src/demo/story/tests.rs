//! What the story promises, checked on its own bytes.
//!
//! Each check runs at several ends of a story, since a Sunday night is not a Tuesday noon.

use std::collections::{BTreeMap, BTreeSet};

use events::cloudevents::{Sender, structured};
use events::id::Tenant;
use events::kind::Kind;
use events::tier::Tier;
use events::warning::Warning;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::rhythm::Rhythms;
use super::{Calendar, Plan, StoryEvent, events, live, look_at, venues};

/// A Saturday morning, a Sunday night, a Monday before opening, a Tuesday afternoon, new year.
const ENDS: [&str; 5] = [
    "2026-11-21T10:15:30+07:00",
    "2026-11-22T02:40:00+07:00",
    "2026-11-23T08:20:00+07:00",
    "2026-11-24T15:40:00+07:00",
    "2027-01-01T09:00:00+07:00",
];

fn plan(now: &str) -> Plan {
    Plan {
        customers: 500,
        days: 365,
        seed: 7,
        now: now.parse().expect("a time"),
        tenant_zone: TimeZone::get("Asia/Jakarta").expect("bundled"),
    }
}

/// A parsed event.
struct Fact {
    at: Timestamp,
    kind: String,
    subject: String,
    body: Value,
}

impl Fact {
    fn text(&self, member: &str) -> &str {
        self.body["data"][member].as_str().unwrap_or("")
    }
    fn imported(&self) -> bool {
        self.body["imported"] == Value::Bool(true)
    }
    fn moment(&self, member: &str) -> Timestamp {
        self.text(member).parse().expect("an instant")
    }
}

fn parse(event: &StoryEvent) -> Fact {
    let body: Value = serde_json::from_str(&event.json).expect("JSON");
    let kind = format!("{}.{}", event.topic_action.0, event.topic_action.1);
    assert_eq!(body["type"], format!("sapa.{kind}.v1"));
    let written: Timestamp = body["time"].as_str().expect("time").parse().expect("an instant");
    assert_eq!(written, event.time);
    let subject = body["subject"].as_str().unwrap_or("_").to_owned();
    Fact { at: event.time, kind, subject, body }
}

fn facts(plan: &Plan) -> Vec<Fact> {
    events(plan).iter().map(parse).collect()
}

fn everywhere(check: impl Fn(&Plan, &[Fact])) {
    for now in ENDS {
        let plan = plan(now);
        check(&plan, &facts(&plan));
    }
}

/// Members a kind must have, and whether its envelope names a channel.
fn rule(kind: &str) -> (&'static [&'static str], bool) {
    match kind {
        "customer.registered" => (&["kind", "name"], false),
        "customer.identified" => (&["id_kind", "value", "strength"], false),
        "customer.trait_noted" => (&["trait", "value", "polarity", "confidence"], false),
        "customer.consent_changed" => (&["purpose", "state", "basis"], false),
        "customer.assigned" => (&["owner", "team"], false),
        "interaction.greeted" => (&["by_name"], true),
        "interaction.inquired" => (&["inquiry", "topic"], true),
        "interaction.messaged" => (&["about"], true),
        "interaction.answered" => (&["about", "complete"], true),
        "interaction.recommended" => (&["offer", "reason"], true),
        "interaction.contacted" => (&["purpose", "outcome"], true),
        "interaction.planned" => (&["plan", "at", "owner", "purpose"], false),
        "interaction.arrived" => (&["visit"], true),
        "interaction.served" => (&["service"], true),
        "interaction.thanked" => (&["for", "form"], true),
        "interaction.departed" => (&["visit", "farewell"], true),
        "interaction.noted" => (&["text", "visibility"], false),
        "booking.requested" => (&["booking", "venue", "starts_at", "ends_at", "party"], false),
        "booking.held" => (
            &[
                "booking",
                "venue",
                "starts_at",
                "ends_at",
                "hold_until",
                "call_in_hours",
                "price",
                "deposit_due",
                "reason",
            ],
            false,
        ),
        "booking.confirmed" => (&["booking", "venue", "starts_at", "ends_at", "paid"], false),
        "booking.waitlisted" => {
            (&["booking", "venue", "starts_at", "ends_at", "place", "rule"], false)
        }
        "booking.fulfilled" => (&["booking", "venue", "no_show"], false),
        "payment.recorded" => (&["payment", "kind", "amount"], false),
        "purchase.recorded" => (&["purchase", "kind", "amount"], false),
        "referral.recorded" => (&["referred"], false),
        "reward.posted" => (&["entry", "reward", "item", "value", "surprise", "reason"], false),
        "loyalty.tier_changed" => (&["from", "to", "cause", "policy_version", "evidence"], false),
        "complaint.raised" => (&["complaint", "kind", "category", "severity", "text"], true),
        "complaint.resolved" => (&["complaint", "remedy", "fault"], false),
        "complaint.reopened" => (&["complaint", "reason"], false),
        "promise.made" => (&["promise", "what", "due_at", "owner"], false),
        "promise.settled" => (&["promise", "how"], false),
        "feedback.requested" => (&["feedback", "instrument", "questions", "seconds"], false),
        "feedback.received" => (&[], true),
        "improvement.proposed" => (&["improvement", "title", "topic", "because"], false),
        "improvement.made" => (&["improvement", "what", "measure", "because"], false),
        "policy.published" => (&["name", "version", "effective_from", "hash", "body"], false),
        other => panic!("the story has no business with {other}"),
    }
}

fn assert_well_formed(fact: &Fact) {
    let (members, channel) = rule(&fact.kind);
    for member in members {
        assert!(
            !fact.body["data"][*member].is_null(),
            "{} without {member}: {}",
            fact.kind,
            fact.body
        );
    }
    assert!(!channel || fact.body["channel"].is_string(), "no channel: {}", fact.body);
    let of_house = ["improvement.", "policy."].iter().any(|it| fact.kind.starts_with(it));
    assert_eq!(of_house, fact.subject == "_");
    let actor = fact.body["actor"].as_str().expect("actor");
    assert_eq!(fact.body["actorkind"], actor.split('/').next().expect("a part"));
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_another_story() {
    let plan = plan(ENDS[0]);
    assert_eq!(events(&plan), events(&plan));
    let other = Plan { seed: 8, ..plan.clone() };
    assert_ne!(events(&plan), events(&other));
}

#[test]
fn a_year_with_five_hundred_customers_is_about_eighteen_thousand_events_in_order_of_time() {
    everywhere(|plan, facts| {
        assert!((16_500..19_500).contains(&facts.len()), "{} events", facts.len());
        assert!(facts.is_sorted_by_key(|fact| fact.at));
        assert!(facts.iter().all(|fact| fact.at <= plan.now));
        let people: BTreeSet<_> =
            facts.iter().filter(|fact| fact.subject != "_").map(|fact| &fact.subject).collect();
        assert_eq!(people.len(), 500);
        let ids: BTreeSet<_> = facts.iter().map(|fact| fact.body["id"].to_string()).collect();
        assert_eq!(ids.len(), facts.len());
    });
}

#[test]
fn every_event_has_the_members_its_kind_requires() {
    everywhere(|_, facts| facts.iter().for_each(assert_well_formed));
}

/// The validator every face uses, as somebody with or without the scope `import`.
fn assert_admitted(plan: &Plan, event: &StoryEvent) {
    let tenant: Tenant = "main".parse().expect("a tenant");
    let sender = Sender {
        tenant: &tenant,
        now: plan.now,
        may_import: event.json.contains("\"imported\":true"),
        sources: None,
        route: None,
        key: b"demo",
        refuse_unknown_fields: true,
        venues: &[],
    };
    let admitted = structured(event.json.as_bytes(), &sender);
    let incoming = admitted.unwrap_or_else(|problem| panic!("{problem:?}\n{}", event.json));
    let expected = [Warning::Late];
    assert!(
        incoming.warnings.iter().all(|it| expected.contains(&it.warning)),
        "{:?}",
        incoming.warnings
    );
}

#[test]
fn the_validator_admits_every_event_and_only_the_imported_ones_need_the_import_scope() {
    for now in [ENDS[1], ENDS[3]] {
        let plan = plan(now);
        for event in events(&plan) {
            assert_admitted(&plan, &event);
        }
        for n in 0..48 {
            assert_admitted(&plan, &live(&plan, n, plan.now));
        }
    }
}

#[test]
fn history_older_than_fourteen_days_is_imported_and_only_it_holds_decisions() {
    everywhere(|plan, facts| {
        let fresh_from = plan.now - SignedDuration::from_hours(14 * 24);
        for fact in facts {
            assert_eq!(fact.imported(), fact.at < fresh_from, "{}", fact.body);
            let decision = Kind::from_name(&fact.kind).is_some_and(Kind::is_reserved);
            assert!(fact.imported() || !decision, "{}", fact.body);
        }
        let fresh = facts.iter().filter(|fact| !fact.imported()).count();
        assert!(fresh > 400, "only {fresh} recent facts");
    });
}

#[test]
fn no_two_confirmed_bookings_of_a_venue_overlap_and_every_venue_is_listed() {
    everywhere(|plan, facts| {
        let known = venues(plan);
        let mut slots: BTreeMap<&str, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
        for fact in facts.iter().filter(|fact| fact.kind == "booking.confirmed") {
            slots
                .entry(fact.text("venue"))
                .or_default()
                .push((fact.moment("starts_at"), fact.moment("ends_at")));
        }
        for (venue, mut taken) in slots {
            assert!(known.iter().any(|id| id == venue), "{venue}");
            taken.sort();
            assert!(taken.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{venue} is taken twice");
        }
    });
}

/// The days that move the clocks of one customer: them, us.
type Days = (BTreeSet<i64>, BTreeSet<i64>);

fn days_of(plan: &Plan, facts: &[Fact]) -> BTreeMap<String, Days> {
    let calendar = Calendar::new(plan);
    let mut days: BTreeMap<String, Days> = BTreeMap::new();
    for fact in facts {
        let (they, we) = days.entry(fact.subject.clone()).or_default();
        let day = calendar.day_of(fact.at);
        let farewell = fact.body["data"]["farewell"] == Value::Bool(true);
        match fact.kind.as_str() {
            "interaction.inquired"
            | "interaction.messaged"
            | "interaction.arrived"
            | "booking.requested"
            | "payment.recorded"
            | "purchase.recorded"
            | "referral.recorded"
            | "complaint.raised"
            | "complaint.reopened"
            | "feedback.received"
            | "booking.fulfilled" => {
                they.insert(day);
            }
            "interaction.departed" => {
                they.insert(day);
                if farewell {
                    we.insert(day);
                }
            }
            "interaction.contacted" if fact.text("outcome") == "no_answer" => {}
            "interaction.greeted"
            | "interaction.answered"
            | "interaction.recommended"
            | "interaction.served"
            | "interaction.thanked"
            | "interaction.contacted"
            | "complaint.resolved"
            | "promise.made" => {
                we.insert(day);
            }
            _ => {}
        }
    }
    days
}

#[test]
fn one_regular_in_twenty_is_neglected_and_nobody_else() {
    everywhere(|plan, facts| {
        let regular: BTreeSet<_> = facts
            .iter()
            .filter(|fact| ["purchase.recorded", "booking.fulfilled"].contains(&fact.kind.as_str()))
            .map(|fact| fact.subject.as_str())
            .collect();
        let calendar = Calendar::new(plan);
        let rhythms = Rhythms::new();
        let rings = |due: Option<i64>| due.is_some_and(|day| calendar.at(day, 9 * 60) <= plan.now);
        let (mut they_ring, mut we_ring) = (Vec::new(), Vec::new());
        for (id, (they, we)) in days_of(plan, facts) {
            let tier = match id.as_str() {
                "pt-graha" | "pt-nusantara" | "c-ratna" | "c-hendra" => Tier::Primary,
                id if regular.contains(id) => Tier::Secondary,
                _ => Tier::Prospect,
            };
            if rings(rhythms.we_ring_on(&we, tier)) {
                we_ring.push(id.clone());
            }
            if rings(rhythms.they_ring_on(&they, tier)) {
                they_ring.push(id);
            }
        }
        let share = we_ring.len() * 100 / regular.len();
        assert!((3..=7).contains(&share), "{share} %: {we_ring:?}");
        assert!(we_ring.contains(&"c-sari".to_owned()) && we_ring.contains(&"pt-graha".to_owned()));
        assert!((3..=10).contains(&they_ring.len()), "{they_ring:?}");
        let named = |ids: &[String]| ids.iter().filter(|id| !id.starts_with("c-0")).count();
        assert_eq!((named(&we_ring), named(&they_ring)), (2, 0), "{we_ring:?} {they_ring:?}");
    });
}

#[test]
fn sari_was_called_three_times_and_the_line_about_her_counts_right() {
    everywhere(|plan, facts| {
        let (they, we) = days_of(plan, facts).remove("c-sari").expect("she is there");
        let last = *we.last().expect("called");
        let usual = (last - we.first().expect("called") + 30) / 3;
        assert_eq!((we.len(), they.len()), (3, 2));
        let (id, _, english) = look_at(plan).swap_remove(0);
        assert_eq!(
            (id.as_str(), english),
            ("c-sari", format!("we have been silent for {} days, usually {usual}", -last))
        );
        assert_eq!(usual, 24);
        assert!((-73..=-72).contains(&last));
        let owner = facts
            .iter()
            .find(|fact| fact.subject == "c-sari" && fact.kind == "customer.assigned")
            .expect("owned");
        assert_eq!((owner.text("owner"), owner.text("team")), ("dewi", "frontdesk"));
    });
    assert_eq!(look_at(&plan(ENDS[3]))[0].1, "kami diam 72 hari, biasanya 24");
}

#[test]
fn rina_was_promised_an_answer_forty_minutes_ago_and_nothing_settled_it() {
    everywhere(|plan, facts| {
        let hers: Vec<_> = facts.iter().filter(|fact| fact.subject == "c-rina").collect();
        let made = hers.iter().find(|fact| fact.kind == "promise.made").expect("promised");
        let late = plan.now.duration_since(made.moment("due_at")).as_mins();
        let closed = ENDS.iter().position(|it| plan.now == it.parse().expect("a time"));
        assert_eq!(late == 40, matches!(closed, Some(0 | 3)), "{late} minutes");
        assert!(!made.imported());
        assert!(made.at < made.moment("due_at"));
        assert!(hers.iter().all(|fact| fact.kind != "promise.settled"));
        assert!(hers.iter().all(|fact| fact.body["data"]["complete"] != Value::Bool(true)));
    });
    assert_eq!(look_at(&plan(ENDS[3]))[1].2, "was promised an answer by 15:00; it is 15:40");
    assert_eq!(
        look_at(&plan(ENDS[1]))[1].2,
        "was promised an answer by 21 November, 12:20; it is 02:40"
    );
}

#[test]
fn people_with_names_act_and_promise_in_working_hours() {
    everywhere(|plan, facts| {
        let zone = &plan.tenant_zone;
        let is_open = |at: Timestamp| {
            let local = zone.to_datetime(at);
            let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
            let closes = match local.weekday() {
                Weekday::Sunday => return false,
                Weekday::Saturday => 13 * 60,
                _ => 17 * 60,
            };
            (8 * 60..=closes).contains(&minute)
        };
        for made in facts.iter().filter(|it| it.kind == "promise.made") {
            assert!(is_open(made.at), "{} promised at {}", made.subject, made.at);
            let due = made.moment("due_at");
            assert!(is_open(due), "{} was promised something for {due}", made.subject);
        }
        for owed in ["c-rina", "c-tono", "c-maya"] {
            let own = facts.iter().filter(|it| it.subject == owed);
            let ours = own.filter(|it| it.kind == "interaction.answered");
            assert!(ours.map(|it| it.at).all(is_open), "{owed}");
        }
    });
}

#[test]
fn wati_came_back_three_times_in_one_complaint_and_nobody_decided() {
    everywhere(|_, facts| {
        let thread: Vec<_> = facts
            .iter()
            .filter(|fact| {
                fact.subject == "c-wati"
                    && (fact.text("complaint") == "k-55" || fact.text("about") == "complaint/k-55")
            })
            .map(|fact| (fact.kind.as_str(), fact.imported()))
            .collect();
        let (answer, back) = (("interaction.answered", false), ("interaction.messaged", false));
        assert_eq!(thread, [("complaint.raised", false), answer, back, answer, back, answer, back]);
    });
}

#[test]
fn hendra_wants_a_day_that_somebody_else_has_paid_for() {
    everywhere(|plan, facts| {
        let asked = facts
            .iter()
            .rfind(|fact| fact.subject == "c-hendra" && fact.kind == "booking.requested")
            .expect("asked");
        assert!(!asked.imported());
        assert!(asked.moment("starts_at") > plan.now);
        let taken = facts.iter().find(|fact| {
            fact.kind == "booking.confirmed"
                && fact.text("venue") == "aula-sungai"
                && fact.text("starts_at") == asked.text("starts_at")
        });
        assert_eq!(taken.expect("taken").subject, "pt-nusantara");
        let used = facts
            .iter()
            .filter(|fact| fact.subject == "c-hendra" && fact.kind == "booking.fulfilled")
            .count();
        assert_eq!(used, 3);
    });
}

#[test]
fn what_generated_customers_are_owed_from_the_last_days_was_given_in_time() {
    everywhere(|plan, facts| {
        let old = |fact: &Fact| plan.now.duration_since(fact.at) > SignedDuration::from_hours(6);
        let crowd: Vec<_> = facts.iter().filter(|fact| fact.subject.starts_with("c-0")).collect();
        let closed: BTreeSet<String> = crowd
            .iter()
            .filter_map(|fact| match fact.kind.as_str() {
                "interaction.answered" if fact.body["data"]["complete"] == Value::Bool(true) => {
                    Some(fact.text("about").to_owned())
                }
                "complaint.resolved" => Some(format!("complaint/{}", fact.text("complaint"))),
                "promise.settled" => Some(format!("promise/{}", fact.text("promise"))),
                "interaction.thanked" => Some(fact.text("for").to_owned()),
                _ => None,
            })
            .collect();
        for fact in crowd.into_iter().filter(|fact| !fact.imported() && old(fact)) {
            let debt = match fact.kind.as_str() {
                "interaction.inquired" => format!("inquiry/{}", fact.text("inquiry")),
                "complaint.raised" => format!("complaint/{}", fact.text("complaint")),
                "promise.made" => format!("promise/{}", fact.text("promise")),
                "feedback.received" => format!("feedback/{}", fact.text("feedback")),
                "booking.fulfilled" => format!("booking/{}", fact.text("booking")),
                "referral.recorded" => format!("referral/{}", fact.text("referred")),
                "booking.requested" => panic!("nobody would decide about it: {}", fact.body),
                _ => continue,
            };
            assert!(closed.contains(&debt), "{debt} is open: {}", fact.body);
        }
    });
}

#[test]
fn live_events_are_open_kinds_about_generated_customers_and_close_what_they_open() {
    let plan = plan(ENDS[0]);
    let mut opened = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for n in 0..240 {
        let now = plan.now + SignedDuration::from_secs(2 * i64::try_from(n).expect("small"));
        let event = live(&plan, n, now);
        assert_eq!(event, live(&plan, n, now));
        let fact = parse(&event);
        assert_well_formed(&fact);
        assert!(fact.subject.starts_with("c-0") && !fact.imported());
        assert!(
            !["held", "confirmed", "waitlisted", "tier_changed"]
                .contains(&event.topic_action.1.as_str())
        );
        assert!(ids.insert(fact.body["id"].to_string()));
        match fact.kind.as_str() {
            "interaction.inquired" => {
                opened.insert((fact.subject.clone(), format!("inquiry/{}", fact.text("inquiry"))));
            }
            "complaint.raised" => {
                opened.insert((
                    fact.subject.clone(),
                    format!("complaint/{}", fact.text("complaint")),
                ));
            }
            "interaction.answered" if fact.body["data"]["complete"] == Value::Bool(true) => {
                assert!(opened.remove(&(fact.subject.clone(), fact.text("about").to_owned())));
            }
            "complaint.resolved" => {
                assert!(opened.remove(&(
                    fact.subject.clone(),
                    format!("complaint/{}", fact.text("complaint"))
                )));
            }
            _ => {}
        }
    }
    assert!(opened.is_empty(), "{opened:?}");
}

#[test]
fn a_story_of_few_customers_or_few_days_still_has_everybody_with_a_name() {
    for (customers, days) in [(0, 1), (3, 14), (20, 30), (60, 900)] {
        let plan = Plan { customers, days, ..plan(ENDS[3]) };
        let facts = facts(&plan);
        facts.iter().for_each(assert_well_formed);
        for id in look_at(&plan).iter().map(|(id, _, _)| id) {
            assert!(facts.iter().any(|fact| &fact.subject == id), "{id}");
        }
    }
}
