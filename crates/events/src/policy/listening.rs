//! Policies of listening: surveys, habits, trends, identity and what AI agents may do.

use std::collections::BTreeSet;

use super::DAYS_MAX;
use super::read::Node;

/// Policy `survey`: how often and how much one customer may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Days between two requests of any instrument.
    pub days_between: i64,
    /// Requests in 365 days are fewer than this plus one.
    pub per_year: i64,
    /// Questions, at most.
    pub questions_max: i64,
    /// Seconds it takes, at most.
    pub seconds_max: i64,
}

/// Policy `habit`: how what we noticed fades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Habit {
    /// Days after which a noted trait counts half.
    pub half_life_days: i64,
    /// Traits weaker than this (0 to 100) are not shown.
    pub hide_below: i64,
}

/// Policy `trend`: when a series of complaints or topics stands out.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// Weeks before, whose mean is the expectation.
    pub baseline_weeks: i64,
    /// Cases a week needs to be flagged.
    pub min_count: i64,
    /// Standard deviations above the expectation, at least.
    pub z: f64,
    /// Weeks after an improvement until it is assessed.
    pub assess_weeks: i64,
}

/// Policy `identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whether equal verified strong identifiers merge without a person.
    pub auto_merge: bool,
    /// An identifier on more customers than this is a placeholder.
    pub shared_identifier_max: i64,
}

/// Policy `ai`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ai {
    /// What AI agents may do, out of [`AI_ACTS`].
    pub ai_may: BTreeSet<&'static str>,
}

/// Acts that policy `ai` can grant; the first four are granted by default.
pub const AI_ACTS: [&str; 10] = [
    "answer",
    "note",
    "trait",
    "plan",
    "promise",
    "remedy",
    "reward",
    "merge",
    "tier",
    "booking_override",
];

pub(super) fn survey(node: &Node<'_>) -> Survey {
    let members = node.members();
    let survey = Survey {
        days_between: members.get("days_between").int(0..=DAYS_MAX),
        per_year: members.get("per_year").int(0..=366),
        questions_max: members.get("questions_max").int(1..=1_000),
        seconds_max: members.get("seconds_max").int(1..=86_400),
    };
    members.done();
    survey
}

pub(super) fn habit(node: &Node<'_>) -> Habit {
    let members = node.members();
    let habit = Habit {
        half_life_days: members.get("half_life_days").int(1..=DAYS_MAX),
        hide_below: members.get("hide_below").int(0..=100),
    };
    members.done();
    habit
}

pub(super) fn trend(node: &Node<'_>) -> Trend {
    let members = node.members();
    let trend = Trend {
        baseline_weeks: members.get("baseline_weeks").int(1..=520),
        min_count: members.get("min_count").int(1..=1_000_000),
        z: members.get("z").number(0.1..=100.0),
        assess_weeks: members.get("assess_weeks").int(1..=520),
    };
    members.done();
    trend
}

pub(super) fn identity(node: &Node<'_>) -> Identity {
    let members = node.members();
    let identity = Identity {
        auto_merge: members.get("auto_merge").bool(),
        shared_identifier_max: members.get("shared_identifier_max").int(1..=1_000),
    };
    members.done();
    identity
}

pub(super) fn ai(node: &Node<'_>) -> Ai {
    let members = node.members();
    let acts = AI_ACTS.map(|act| (act, act));
    let ai = Ai { ai_may: members.get("ai_may").set(|item| item.choice(&acts)) };
    members.done();
    ai
}
