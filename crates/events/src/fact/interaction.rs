//! Facts about what passed between a customer and us, from the greeting to the farewell.
//!
//! Every one may also say where, in which visit, about what and in which mood it happened, and
//! whether a program did it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Mood, read, words};
use crate::id::{About, EventRef, Ident, Slug};

words!(
    /// Where and how somebody was greeted.
    pub enum Manner {
        Door = "door",
        Queue = "queue",
        Phone = "phone",
        Chat = "chat",
        Online = "online",
    }
);

words!(
    /// How soon an inquiry wants its answer.
    pub enum Urgency {
        Normal = "normal",
        High = "high",
    }
);

words!(
    /// What a contact was for.
    pub enum Purpose {
        FollowUp = "follow_up",
        Courtesy = "courtesy",
        Care = "care",
        Thanks = "thanks",
        Reminder = "reminder",
        Sales = "sales",
        YouSaidWeDid = "you_said_we_did",
    }
);

words!(
    /// Whether a contact reached the customer.
    pub enum Outcome {
        Reached = "reached",
        LeftMessage = "left_message",
        NoAnswer = "no_answer",
    }
);

words!(
    /// How an act of service went.
    pub enum Quality {
        Ok = "ok",
        Below = "below",
    }
);

words!(
    /// How thanks were given.
    pub enum Thanks {
        InPerson = "in_person",
        Note = "note",
        Message = "message",
        Gift = "gift",
    }
);

words!(
    /// Where somebody was seen off.
    pub enum Farewell {
        Door = "door",
        Car = "car",
        Phone = "phone",
    }
);

words!(
    /// Who may read a note.
    pub enum Visibility {
        Team = "team",
        Managers = "managers",
    }
);

/// We greeted the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeted {
    /// Whether by their name.
    pub by_name: bool,
    /// Where and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manner: Option<Manner>,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The customer asked something; an answer is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquired {
    /// The inquiry.
    pub inquiry: Ident,
    /// What about.
    pub topic: Slug,
    /// How soon an answer is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<Urgency>,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The customer said something: a reply, thanks, a goodbye, a plain chat message. It opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messaged {
    /// The matter it belongs to, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// We answered in an open matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The matter.
    pub about: About,
    /// Whether nothing is left open.
    pub complete: bool,
    /// What is left open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Whether we now wait for the customer.
    #[serde(default)]
    pub waiting: bool,
    /// The events the answer rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<EventRef>,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// We recommended something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommended {
    /// What.
    pub offer: String,
    /// Why it suits them.
    pub reason: String,
    /// What else was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
    /// Whether they took it, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// We turned to the customer without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contacted {
    /// What for.
    pub purpose: Purpose,
    /// Whether they were reached.
    pub outcome: Outcome,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A contact is planned, or the plan is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The plan.
    pub plan: Ident,
    /// When it is due.
    #[serde(deserialize_with = "read::instant")]
    pub at: Timestamp,
    /// Who will do it.
    pub owner: Ident,
    /// What for.
    pub purpose: Slug,
    /// True drops the plan.
    #[serde(default)]
    pub cancelled: bool,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The customer is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// The visit that begins.
    pub visit: Ident,
    /// The booking they come for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booking: Option<Ident>,
    /// How many people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<u32>,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// An act of service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Which.
    pub service: Slug,
    /// How it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// We thanked the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thanked {
    /// For what.
    pub r#for: About,
    /// How.
    pub form: Thanks,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The customer left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    /// The visit that ends.
    pub visit: Ident,
    /// Whether somebody said goodbye.
    pub farewell: bool,
    /// Where they were seen off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manner: Option<Farewell>,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
    /// What was said, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A remark for the team. It moves no clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Who may read it.
    pub visibility: Visibility,
    /// The remark.
    pub text: String,
    /// The hall or place it happened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Ident>,
    /// The visit it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<Ident>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the customer seemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mood>,
    /// Whether a program did it: an automated act never counts as attention.
    #[serde(default)]
    pub automated: bool,
}
