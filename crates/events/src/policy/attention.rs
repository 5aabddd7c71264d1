//! Policies of attention: who is told, in which order, and when a matter goes one step up.

use std::collections::BTreeMap;

use super::read::{Node, is_id, is_slug};
use super::{ByTier, DAYS_MAX, HOURS_MAX};

/// `fairness.run_max` of versions that were published before there was one.
const RUN_MAX: i64 = 3;
/// No `run_max` is greater.
const RUN_LIMIT: i64 = 1_000;

/// One team: alerts go from the owner to its lead, then to its manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Staff id of the lead.
    pub lead: String,
    /// Staff id of the manager.
    pub manager: String,
    /// Whether it is the team of customers whom nobody was assigned. Exactly one team is.
    pub default: bool,
}

/// Policy `team`: all teams by slug.
pub type Teams = BTreeMap<String, Team>;

/// Policy `alert`: how long an alert may be acknowledged or snoozed before it moves up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Hours an acknowledgement may last.
    pub ack_hours_max: i64,
    /// Alerts a team gets on one day from imported history.
    pub import_alerts_per_day: i64,
    /// Working hours nobody acknowledges before each step up; the last step repeats daily.
    pub escalate_after: Vec<i64>,
    /// Days a snooze may last.
    pub snooze_max_days: i64,
    /// How often one alert may be snoozed.
    pub snooze_max_times: i64,
}

/// Hours by which some matters come earlier in the worklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadStart {
    /// For a broken or unmet obligation.
    pub we_owe: i64,
    /// For an endless debate.
    pub debate: i64,
    /// For the customer's tier, added to the above.
    pub tiers: ByTier<i64>,
}

/// Policy `fairness`: the order in which a team hands out overdue customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fairness {
    /// Head starts in hours.
    pub head_start_hours: HeadStart,
    /// The sum of head starts is cut here, in hours.
    pub head_start_max_hours: i64,
    /// Hand-outs in a row from more urgent bands while a less urgent one waits; the next one is from
    /// those.
    pub run_max: i64,
    /// Minutes a hand-out is kept for whoever took it.
    pub claim_minutes: i64,
}

/// Policy `promise`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// How often one promise may be moved.
    pub renegotiate_max: i64,
    /// Answers a topic needs before a time may be quoted for it.
    pub quote_min_samples: i64,
}

/// Who settles a debate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// The lead of the customer's team.
    Lead,
    /// The manager of the customer's team.
    Manager,
}

/// Policy `debate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debate {
    /// Returns at which the authority is called.
    pub returns_max: i64,
    /// Days without a fact after which a thread starts again at 0.
    pub quiet_days: i64,
    /// Who is called.
    pub authority: Authority,
}

/// Policy `complaint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Days after a resolution in which a return reopens the same complaint.
    pub grace_days: i64,
    /// Reopenings at which a complaint is escalated.
    pub reopen_escalate: i64,
}

pub(super) fn team(node: &Node<'_>) -> Teams {
    let teams = node.named(is_slug, |team| {
        let members = team.members();
        let read = Team {
            lead: members.get("lead").name(is_id),
            manager: members.get("manager").name(is_id),
            default: members.optional("default").bool(),
        };
        members.done();
        read
    });
    if teams.values().filter(|team| team.default).count() != 1 {
        node.fault(
            "required",
            "exactly one team has `default = true`",
            "tepat satu tim memiliki `default = true`",
        );
    }
    teams
}

pub(super) fn alert(node: &Node<'_>) -> Alert {
    let members = node.members();
    let steps = members.get("escalate_after");
    let alert = Alert {
        ack_hours_max: members.get("ack_hours_max").int(1..=720),
        import_alerts_per_day: members.get("import_alerts_per_day").int(1..=100_000),
        escalate_after: steps.items().iter().map(|step| step.int(1..=HOURS_MAX)).collect(),
        snooze_max_days: members.get("snooze_max_days").int(1..=366),
        snooze_max_times: members.get("snooze_max_times").int(0..=100),
    };
    if steps.is_present() && !(1..=10).contains(&alert.escalate_after.len()) {
        steps.fault("range", "must have 1 to 10 steps", "harus memiliki 1 sampai 10 langkah");
    }
    members.done();
    alert
}

pub(super) fn fairness(node: &Node<'_>) -> Fairness {
    let members = node.members();
    let start = members.get("head_start_hours").members();
    let hours = |name| start.get(name).int(0..=HOURS_MAX);
    let run = members.optional("run_max");
    let fairness = Fairness {
        head_start_hours: HeadStart {
            we_owe: hours("we_owe"),
            debate: hours("debate"),
            tiers: ByTier {
                prospect: hours("prospect"),
                secondary: hours("secondary"),
                primary: hours("primary"),
            },
        },
        head_start_max_hours: members.get("head_start_max_hours").int(0..=HOURS_MAX),
        run_max: if run.is_present() { run.int(1..=RUN_LIMIT) } else { RUN_MAX },
        claim_minutes: members.get("claim_minutes").int(1..=1_440),
    };
    start.done();
    members.done();
    fairness
}

pub(super) fn promise(node: &Node<'_>) -> Promise {
    let members = node.members();
    let promise = Promise {
        renegotiate_max: members.get("renegotiate_max").int(0..=100),
        quote_min_samples: members.get("quote_min_samples").int(1..=100_000),
    };
    members.done();
    promise
}

pub(super) fn debate(node: &Node<'_>) -> Debate {
    let members = node.members();
    let who = [("lead", Authority::Lead), ("manager", Authority::Manager)];
    let debate = Debate {
        returns_max: members.get("returns_max").int(1..=100),
        quiet_days: members.get("quiet_days").int(1..=DAYS_MAX),
        authority: members.get("authority").choice(&who).unwrap_or(Authority::Manager),
    };
    members.done();
    debate
}

pub(super) fn complaint(node: &Node<'_>) -> Complaint {
    let members = node.members();
    let complaint = Complaint {
        grace_days: members.get("grace_days").int(0..=DAYS_MAX),
        reopen_escalate: members.get("reopen_escalate").int(1..=100),
    };
    members.done();
    complaint
}
