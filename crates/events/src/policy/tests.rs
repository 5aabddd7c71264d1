//! What a body of a policy may and may not say, and which version is in force when.

use jiff::SignedDuration;
use serde_json::json;

use super::*;

fn default_body(name: &str) -> Value {
    Policies::default().body_json(name).expect("a default of that name").clone()
}

/// A default body with one member replaced.
fn changed(name: &str, pointer: &str, value: Value) -> Value {
    let mut body = default_body(name);
    *body.pointer_mut(pointer).expect("the member is there") = value;
    body
}

fn faults(name: &str, body: &Value) -> Vec<(String, &'static str)> {
    let findings = Section::parse(name, body).expect_err("the body has faults");
    findings.into_iter().map(|finding| (finding.pointer, finding.rule)).collect()
}

#[test]
fn the_defaults_are_version_1_of_every_policy() {
    let policies = Policies::default();
    assert_eq!(policies.published().len(), 18);
    for (published, name) in policies.published().into_iter().zip(NAMES) {
        assert_eq!((published.name.as_str(), published.version), (*name, 1));
        assert_eq!(published.hash, canonical::hash(&published.body));
    }
    assert_eq!(policies.calendar.zone_name, "Asia/Jakarta");
    assert_eq!(policies.neglect.we.rhythm_max_days.get(Tier::Primary), &20);
    assert_eq!(policies.owe.resolution.high, 9);
    assert_eq!(policies.loyalty.primary.tenure_days, 730);
    assert_eq!(policies.default_team().0, "frontdesk");
    assert_eq!(policies.booking.refund_percent(14), 100);
    assert_eq!(policies.booking.refund_percent(13), 50);
    assert_eq!(policies.booking.refund_percent(0), 0);
    let stay = policies.ritual.get("hotel_stay").expect("a default ritual");
    let steps = [&stay.before, &stay.during, &stay.after].into_iter().flatten();
    assert_eq!(steps.filter(|step| step.required).count(), 10);
}

#[test]
fn the_default_text_of_a_policy_is_its_own_section_with_comments() {
    let team = Policies::default_toml("team").expect("a default of that name");
    assert!(team.starts_with("[team.frontdesk]") && team.contains("your own people"));
    assert!(!team.contains("[neglect"));
    for name in NAMES {
        let text = Policies::default_toml(name).expect("a default of that name");
        let bodies = from_toml(&text).expect("valid TOML");
        assert_eq!(bodies.get(*name), Some(&default_body(name)), "{name}");
    }
    assert_eq!(Policies::default_toml("neglec"), None);
}

#[test]
fn unknown_members_are_refused_with_the_one_that_was_meant() {
    let mut body = default_body("owe");
    body["warn_per_cent"] = json!(80);
    let findings = Section::parse("owe", &body).expect_err("a fault");
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (findings[0].pointer.as_str(), findings[0].rule),
        ("/warn_per_cent", "unknown_field")
    );
    assert_eq!(findings[0].detail, "is not known; did you mean `warn_percent`?");
    let findings = Section::parse("neglekt", &body).expect_err("a fault");
    assert!(findings[0].detail.contains("did you mean `neglect`?"));
}

#[test]
fn nonsense_is_refused_where_it_stands() {
    for (name, pointer, value, rule) in [
        ("neglect", "/we/first_warn_days", json!(14), "order"),
        ("neglect", "/we/g0_days", json!(-1), "range"),
        (
            "neglect",
            "/they/rhythm_max_days",
            json!({"prospect": 6, "secondary": 9, "primary": 9}),
            "order",
        ),
        ("neglect", "/they/tiers", json!({}), "type"),
        ("neglect", "/they/tiers/0", json!("gold"), "choice"),
        ("owe", "/answer", json!("4h"), "type"),
        ("owe", "/answer", json!(4.5), "type"),
        ("owe", "/warn_percent", json!(100), "range"),
        ("owe", "/resolution/low", json!(null), "type"),
        ("calendar", "/daytime", json!("20:00-08:00"), "interval"),
        ("calendar", "/daytime", json!("8-20"), "interval"),
        ("calendar", "/alert_hour", json!("24:00"), "time_invalid"),
        ("calendar", "/holidays", json!(["2026-02-30"]), "time_invalid"),
        ("calendar", "/working", json!({"mon": ["08:00-08:00"]}), "interval"),
        ("calendar", "/working", json!({"mon": ["08:00-12:00", "11:00-13:00"]}), "interval"),
        ("calendar", "/working", json!({"sun": []}), "required"),
        ("calendar", "/working", json!({"mon-fri": ["08:00-09:00"], "fri": []}), "duplicate"),
        ("calendar", "/working", json!({"mon-fr": [], "sat": ["08:00-09:00"]}), "unknown_field"),
        ("team", "/frontdesk/default", json!(false), "required"),
        ("team", "/frontdesk/lead", json!("Pak Rudi"), "bad_id"),
        ("alert", "/escalate_after", json!([]), "range"),
        ("loyalty", "/tiers", json!(["secondary", "primary"]), "choice"),
        ("loyalty", "/surprise/per_gift_max", json!(2_000_001), "order"),
        ("booking", "/refund_steps/1/percent", json!(101), "range"),
        ("booking", "/refund_steps/2/days_before", json!(7), "order"),
        ("venues", "", json!({"hall": {"site": "main", "capacity": 0}}), "range"),
        ("trend", "/z", json!("3"), "type"),
        ("ai", "/ai_may/0", json!("erase"), "choice"),
        ("ritual", "/shop/before/0", json!("served:"), "step"),
        ("ritual", "/shop", json!({"before": ["?greeted"], "during": [], "after": []}), "required"),
    ] {
        let body = changed(name, pointer, value.clone());
        let found = faults(name, &body);
        assert!(
            found.iter().any(|(_, found)| *found == rule),
            "{name}{pointer} = {value} gave {found:?}, not {rule}"
        );
    }
}

#[test]
fn an_unknown_zone_names_the_three_zones_of_indonesia() {
    for zone in ["GMT+7", "WIB", "Asia/Bandung", "../etc/passwd", "+07:00"] {
        let findings =
            Section::parse("calendar", &changed("calendar", "/zone", json!(zone))).expect_err(zone);
        assert_eq!((findings[0].pointer.as_str(), findings[0].rule), ("/zone", "zone"));
        assert!(
            findings[0]
                .detail
                .ends_with("Use Asia/Jakarta (WIB), Asia/Makassar (WITA) or Asia/Jayapura (WIT).")
        );
    }
    for zone in ["Asia/Makassar", "UTC", "Europe/Berlin"] {
        assert!(Section::parse("calendar", &changed("calendar", "/zone", json!(zone))).is_ok());
    }
}

#[test]
fn all_faults_of_a_body_are_found_at_once() {
    let found = faults("complaint", &json!({ "grace_day": 7 }));
    let expected = [
        ("/grace_day", "unknown_field"),
        ("/grace_days", "required"),
        ("/reopen_escalate", "required"),
    ];
    assert_eq!(found, expected.map(|(pointer, rule)| (pointer.to_owned(), rule)));
    for body in [json!(null), json!([]), json!("x"), json!(7)] {
        for name in NAMES {
            assert!(faults(name, &body).contains(&(String::new(), "type")), "{name}");
        }
    }
}

#[test]
fn a_venue_needs_only_a_site_and_a_capacity() {
    let body = json!({ "aula-kota": { "site": "lembang", "capacity": 150 } });
    let Ok(Section::Venues(venues)) = Section::parse("venues", &body) else {
        panic!("a short venue is valid");
    };
    assert_eq!(venues["aula-kota"].setup_minutes, 0);
    assert_eq!(venues["aula-kota"].authority, VenueAuthority::Sapa);
}

#[test]
fn dates_in_a_toml_file_need_no_quotes() {
    let bodies = from_toml("[calendar]\nholidays = [2026-08-17]").expect("valid TOML");
    assert_eq!(bodies["calendar"], json!({ "holidays": ["2026-08-17"] }));
    let finding = from_toml("[owe]\nanswer = = 4").expect_err("not TOML");
    assert!(finding.detail.contains("line 2"), "{}", finding.detail);
}

#[test]
fn a_set_of_policies_survives_being_written_and_read() {
    let mut policies = Policies::default();
    let body = changed("owe", "/answer", json!(3));
    policies.apply(Published::new("owe", 2, Timestamp::UNIX_EPOCH, body)).expect("valid");
    let text = serde_json::to_string(&policies).expect("serialisable");
    let read: Policies = serde_json::from_str(&text).expect("readable");
    assert_eq!(read, policies);
    assert_eq!((read.owe.answer, read.owe.version()), (3, 2));
    assert_eq!(serde_json::to_string(&read).expect("serialisable"), text);
}

fn version(version: u64, days: i64, answer: i64) -> Published {
    let from = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days);
    Published::new("owe", version, from, changed("owe", "/answer", json!(answer)))
}

#[test]
fn the_version_in_force_is_decided_by_effective_from_whatever_the_order_of_arrival() {
    let all = [version(2, 100, 12), version(3, 50, 13), version(4, 100, 14)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut history = PolicyHistory::new();
        for index in order {
            assert_eq!(history.publish(all[index].clone()), Ok(true));
            assert_eq!(history.publish(all[index].clone()), Ok(false));
        }
        let answer = |day: i64| {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day);
            let policies = history.in_force(at);
            (policies.owe.version(), policies.owe.answer)
        };
        assert_eq!([answer(-1), answer(0), answer(49)], [(1, 4); 3]);
        assert_eq!([answer(50), answer(99)], [(3, 13); 2]);
        assert_eq!(answer(100), (4, 14));
        let versions: Vec<_> = history.versions("owe").iter().map(|it| it.version).collect();
        assert_eq!(versions, [1, 2, 3, 4]);
        assert_eq!(history.next_version("owe"), 5);
        assert_eq!(history.next_version("habit"), 2);
        assert_eq!(history.next_change(Timestamp::UNIX_EPOCH), Some(all[1].effective_from));
    }
}

#[test]
fn a_published_version_never_changes() {
    let mut history = PolicyHistory::new();
    history.publish(version(2, 10, 12)).expect("valid");
    for taken in [version(2, 10, 13), version(2, 11, 12), version(1, 10, 12)] {
        let findings = history.publish(taken).expect_err("taken");
        assert_eq!(findings[0].rule, "version_taken");
    }
    let mut forged = version(3, 10, 12);
    forged.hash = "00".to_owned();
    assert_eq!(history.publish(forged).expect_err("forged")[0].rule, "hash");
}
