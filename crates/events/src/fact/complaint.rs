//! Facts about complaints, from the first word to the remedy and back.

use serde::{Deserialize, Serialize};

use super::{Mood, words};
use crate::id::{Ident, Slug};

words!(
    /// What a complaint is about.
    pub enum ComplaintKind {
        Technical = "technical",
        Service = "service",
        Billing = "billing",
        Staff = "staff",
        Other = "other",
    }
);

words!(
    /// How grave a complaint is.
    pub enum Severity {
        Low = "low",
        Normal = "normal",
        High = "high",
    }
);

words!(
    /// Why a complaint went to somebody else.
    pub enum EscalationReason {
        Debate = "debate",
        Reopened = "reopened",
        Overdue = "overdue",
        Manual = "manual",
    }
);

words!(
    /// Whose fault it was.
    pub enum Fault {
        Ours = "ours",
        Theirs = "theirs",
        Nobody = "nobody",
    }
);

/// The customer complained; a reply and a solution are owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// The complaint.
    pub complaint: Ident,
    /// What about.
    pub kind: ComplaintKind,
    /// Finer.
    pub category: Slug,
    /// How grave.
    pub severity: Severity,
    /// What they said.
    pub text: String,
    /// What they ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The complaint this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<Ident>,
    /// The booking it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booking: Option<Ident>,
    /// The place it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
}

/// Somebody else takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// The complaint.
    pub complaint: Ident,
    /// Who.
    pub to: Ident,
    /// Why.
    pub reason: EscalationReason,
    /// How often it went back and forth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<u32>,
}

/// A remedy was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The complaint.
    pub complaint: Ident,
    /// What was done.
    pub remedy: String,
    /// Whose fault it was.
    pub fault: Fault,
    /// Whether the customer agrees, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
}

/// The customer is not content with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopened {
    /// The complaint.
    pub complaint: Ident,
    /// What they said.
    pub reason: String,
}
