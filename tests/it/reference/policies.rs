//! `policies.md`: every number of the default policies with its meaning.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::heading;
use crate::support::files::root;

const PREFACE: &str = "\
A policy is what a business decides for itself: hours, rhythms, allowances, tiers, prices. Each first-level \
section is one policy with versions; a version never changes. `sapa policy show NAME` prints the one in force, \
`sapa policy check FILE` judges a draft, `sapa policy publish FILE` records it, and from `effective_from` on it is \
in force: everything that follows from it is computed again for everybody of the tenant.

Hours are working hours of the policy `calendar`, days are local dates of its zone, and an instant that comes \
from a number of days is at `alert_hour`.

*Recorded only* marks what is kept for a rule that this release does not have yet; changing it changes nothing.

";

/// A section, what it is for, and its members with their meaning.
type Section = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// The sections, what each is for, and the meaning of each of its members.
const SECTIONS: &[Section] = &[
    (
        "calendar",
        "When the business works; every tenant has its own.",
        &[
            ("zone", "The IANA time zone of days and hours."),
            (
                "working",
                "Open intervals by day of the week; several a day are allowed. Allowances count minutes inside them.",
            ),
            ("daytime", "When a customer may be disturbed; notices wait for it."),
            ("holidays", "Local dates without working hours."),
            ("alert_hour", "The local time at which something that is due in days becomes due."),
        ],
    ),
    (
        "team",
        "One section a team: `[team.<name>]`.",
        &[
            ("lead", "Gets alerts of customers without an owner, and the first escalation."),
            ("manager", "Gets the second escalation."),
            ("default", "The team of customers whom nobody was assigned."),
        ],
    ),
    (
        "neglect.they",
        "The clock *they are silent*: how long a customer may not be heard of.",
        &[
            ("tiers", "Tiers for which the clock runs."),
            (
                "g0_days",
                "One typical gap that is counted with the customer's own, so that two contacts do not decide alone.",
            ),
            ("rhythm_min_days", "A rhythm is never taken to be shorter."),
            ("rhythm_max_days", "A rhythm is never taken to be longer, by tier."),
            ("first_warn_days", "Days after a first and only contact until it is due soon."),
            ("first_due_days", "Days after a first and only contact until it is due."),
        ],
    ),
    (
        "neglect.we",
        "The clock *we are silent*: how long we may not turn to a customer.",
        &[
            ("tiers", "Tiers for which the clock runs."),
            ("g0_days", "One typical gap that is counted with our own."),
            ("rhythm_min_days", "A rhythm is never taken to be shorter."),
            ("rhythm_max_days", "A rhythm is never taken to be longer, by tier."),
            ("first_warn_days", "Days after a first and only contact until it is due soon."),
            ("first_due_days", "Days after a first and only contact until it is due."),
            (
                "suspend_max_days",
                "Plans, promises and bookings put the clock off by at most so many days after the last contact.",
            ),
            ("rest_after", "After so many contacts in a row that reached nobody the clock rests."),
            ("count_ai", "Whether a contact by a software agent counts."),
        ],
    ),
    (
        "owe",
        "The clock *we owe*: working hours until each obligation is due.",
        &[
            ("answer", "An inquiry."),
            ("answer_high", "An inquiry of high urgency."),
            ("decision", "A booking request."),
            ("reply", "The first reply to a complaint."),
            ("resolution", "The end of a complaint, by severity; half of it when it is reopened."),
            ("thanks", "Thanks."),
            ("thanks_for", "For what thanks are owed: `booking`, `referral`, `feedback`, `sale`."),
            ("care", "A contact after a low score."),
            ("refund", "Money to give back."),
            ("tell_days", "Days until those behind an improvement have heard of it."),
            ("warn_percent", "Share of the allowance after which it is due soon."),
        ],
    ),
    (
        "alert",
        "What becomes of an alert.",
        &[
            ("ack_hours_max", "An acknowledgement lasts at most so many hours."),
            (
                "import_alerts_per_day",
                "Alerts about imported history a day and team, after the import has ended.",
            ),
            ("escalate_after", "Working hours without acknowledgement until the next step."),
            ("snooze_max_days", "A snooze lasts at most so many days; one day for what we owe."),
            ("snooze_max_times", "How often an alert may be put off."),
        ],
    ),
    (
        "fairness",
        "The order of the worklist.",
        &[
            ("head_start_hours", "Hours by which a kind or a tier counts as more overdue."),
            ("head_start_max_hours", "The sum of head starts is never more."),
            (
                "run_max",
                "After so many hand-outs in a row from one band (critical, warning, notice), the most overdue of the lower bands is next.",
            ),
            ("claim_minutes", "How long `worklist next` reserves an alert."),
        ],
    ),
    (
        "loyalty",
        "Tiers by transactions.",
        &[
            ("tiers", "The tiers from lowest to highest."),
            (
                "primary",
                "Days since the first transaction, and how many within which window, and how recent the last, until a customer is primary.",
            ),
            ("privileges", "What each tier is entitled to, shown on the card."),
            ("surprise", "Budget a month, most per gift and days between gifts. Recorded only."),
        ],
    ),
    (
        "booking",
        "Decisions about venues. Recorded only, but for external venues.",
        &[
            ("hold_hours", "How long a slot is held unpaid."),
            ("hold_hours_last_minute", "The same within 72 hours of the start."),
            (
                "call_in_hours",
                "Daytime hours left to the holder when somebody else is ready to pay.",
            ),
            ("deposit_percent", "Share of the price that confirms."),
            ("offer_hours", "How long an offer from the waitlist stands."),
            ("overtake_max", "How often one may be overtaken on the waitlist."),
            ("alternative_days", "How far alternatives are looked for."),
            ("alternative_hold_hours", "How long the first alternative is held, by tier."),
            ("refund_steps", "Share given back by days before the start."),
        ],
    ),
    (
        "venues",
        "One section a venue: `[venues.<id>]`.",
        &[
            ("site", "Where it is."),
            ("capacity", "How many guests."),
            ("features", "What it has."),
            ("price_per_day", "Price of a day begun, in minor units (whole rupiah)."),
            ("setup_minutes", "Minutes before a booking."),
            ("clear_minutes", "Minutes after a booking."),
            ("closed", "Local dates on which it is closed."),
            ("authority", "Who decides: `sapa`, or `external` for a system of its own."),
            ("ritual", "The ritual of a visit there."),
        ],
    ),
    (
        "promise",
        "Promises with a time.",
        &[
            ("renegotiate_max", "How often a promise may be moved."),
            ("quote_min_samples", "Past answers needed before a time is suggested."),
        ],
    ),
    (
        "debate",
        "Threads that go in circles. Recorded only.",
        &[
            ("returns_max", "Returns without progress until somebody with authority takes over."),
            ("quiet_days", "Days of quiet that count as progress."),
            ("authority", "Who takes over: `manager` or `lead`."),
        ],
    ),
    (
        "complaint",
        "Complaints after they are resolved. Recorded only.",
        &[
            ("grace_days", "Days in which a complaint can be reopened."),
            ("reopen_escalate", "Reopenings until it is escalated."),
        ],
    ),
    (
        "survey",
        "How often a customer may be asked. Recorded only.",
        &[
            ("days_between", "Days between two surveys."),
            ("per_year", "Surveys in 365 days."),
            ("questions_max", "Questions of one survey."),
            ("seconds_max", "Seconds it may take."),
        ],
    ),
    (
        "habit",
        "Traits and habits on the card.",
        &[
            ("half_life_days", "Days after which a noted trait has half its strength."),
            ("hide_below", "Strength below which it is not shown."),
        ],
    ),
    (
        "trend",
        "Trends by week. Recorded only.",
        &[
            ("baseline_weeks", "Weeks that make the mean."),
            ("min_count", "Fewest cases of a week to be flagged."),
            (
                "z",
                "How far above the mean a week must be, in standard deviations of a Poisson count.",
            ),
            ("assess_weeks", "Weeks until an improvement is judged."),
        ],
    ),
    (
        "identity",
        "Which records are one person. Recorded only.",
        &[
            ("auto_merge", "Whether equal verified identifiers merge by themselves."),
            (
                "shared_identifier_max",
                "An identifier of more customers than this is a placeholder.",
            ),
        ],
    ),
    (
        "ai",
        "What software agents may do.",
        &[("ai_may", "Commands open to `ai/…` actors: `answer`, `note`, `trait`, `plan`.")],
    ),
    (
        "ritual",
        "One section a ritual: `[ritual.<name>]`. Recorded only.",
        &[
            ("before", "Steps of the welcome: `action[:detail]`, with `?` when optional."),
            ("during", "Steps of the service."),
            ("after", "Steps of the farewell."),
        ],
    ),
];

/// The default policies, by section and member: `("neglect.we", "g0_days")`.
fn defaults() -> Vec<(String, String, Value)> {
    let path = root().join("crates/events/src/policy/default.toml");
    let table: Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let mut all = Vec::new();
    for (policy, members) in table {
        for (name, value) in members.as_table().unwrap().clone() {
            match (policy.as_str(), value) {
                // A section for each team, venue and ritual; the members are the same in each.
                ("team" | "venues" | "ritual", Value::Table(own)) => {
                    all.extend(own.into_iter().map(|(it, value)| (policy.clone(), it, value)));
                }
                ("neglect", Value::Table(own)) => {
                    let section = format!("{policy}.{name}");
                    all.extend(own.into_iter().map(|(it, value)| (section.clone(), it, value)));
                }
                (_, value) => all.push((policy.clone(), name, value)),
            }
        }
    }
    all
}

pub fn render() -> String {
    let defaults = defaults();
    let mut text =
        heading("Policies", "`tests/it/reference/policies.rs` and the default policies") + PREFACE;
    for (section, about, members) in SECTIONS {
        let _ = write!(
            text,
            "## {section}\n\n{about}\n\n| Member | Default | Meaning |\n|---|---|---|\n"
        );
        for (member, meaning) in *members {
            let mut values = defaults.iter().filter(|it| it.0 == *section && it.1 == *member);
            let default = values.next().map_or_else(|| "–".to_owned(), |it| format!("`{}`", it.2));
            // Teams, venues and rituals are each business's own: there is no default to speak of.
            let default = match *section {
                "team" | "venues" | "ritual" => "–".to_owned(),
                _ => default,
            };
            let _ = writeln!(text, "| `{member}` | {} | {meaning} |", default.replace('|', "\\|"));
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_member_of_the_default_policies_has_a_meaning() {
    let explained = |section: &str, member: &str| {
        SECTIONS
            .iter()
            .any(|(it, _, all)| *it == section && all.iter().any(|(it, _)| *it == member))
    };
    for (section, member, _) in defaults() {
        assert!(explained(&section, &member), "`{section}.{member}` has no meaning in policies.rs");
    }
}
