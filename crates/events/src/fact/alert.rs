//! Facts about alerts: raised, taken care of, put off, passed on, ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{read, words};
use crate::id::{EventRef, Ident, Slug};

words!(
    /// How loud an alert is.
    pub enum Severity {
        Notice = "notice",
        Warning = "warning",
        Critical = "critical",
    }
);

words!(
    /// Why an alert went one step up.
    pub enum EscalationReason {
        Unacknowledged = "unacknowledged",
        AckExpired = "ack_expired",
        Manual = "manual",
    }
);

/// Somebody is being forgotten, or a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// The alert.
    pub alert: Ident,
    /// Which alert.
    pub kind: Slug,
    /// The how-manieth of its episode, from 1.
    pub occurrence: u32,
    /// How loud.
    pub severity: Severity,
    /// The moment the rule became true.
    #[serde(deserialize_with = "read::instant")]
    pub due_at: Timestamp,
    /// Who should act.
    pub owner: Ident,
    /// Their team.
    pub team: Slug,
    /// The events behind it, at most 20.
    pub because: Vec<EventRef>,
    /// What ends it.
    pub stop_by: Slug,
    /// The policy that decided.
    pub policy: Slug,
    /// Its version.
    pub policy_version: u32,
}

/// Somebody takes care of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The alert.
    pub alert: Ident,
    /// How long they have.
    #[serde(deserialize_with = "read::instant")]
    pub until: Timestamp,
    /// Who.
    pub by: Ident,
    /// The worklist handed it out: how many hand-outs in a row, with this one, went ahead of a less
    /// urgent band that waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
}

/// Not now, for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snoozed {
    /// The alert.
    pub alert: Ident,
    /// Until when.
    #[serde(deserialize_with = "read::instant")]
    pub until: Timestamp,
    /// Who.
    pub by: Ident,
    /// Why.
    pub reason: String,
}

/// Nobody acted; the next in line hears of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// The alert.
    pub alert: Ident,
    /// Which step, from 1.
    pub step: u32,
    /// Who hears of it now.
    pub to: Ident,
    /// Why.
    pub reason: EscalationReason,
}

/// What it asked for was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The alert.
    pub alert: Ident,
    /// The event that did it.
    pub by: EventRef,
}

/// Later knowledge shows that it should not have been raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The alert.
    pub alert: Ident,
    /// The events that show it.
    pub because: Vec<EventRef>,
}
