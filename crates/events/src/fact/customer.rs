//! Facts about who a customer is: name, marks, traits, consents, owner, merges and erasure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{read, words};
use crate::id::{CustomerId, EventRef, Ident, Slug};

words!(
    /// Whether a customer is one human or a body of them.
    pub enum Party {
        Person = "person",
        Org = "org",
    }
);

words!(
    /// What sort of mark a customer is recognised by.
    pub enum IdKind {
        Phone = "phone",
        Email = "email",
        Member = "member",
        Account = "account",
        Name = "name",
    }
);

words!(
    /// How much an identity proves: strong ones may merge customers, weak ones only suggest it.
    pub enum Strength {
        Strong = "strong",
        Weak = "weak",
    }
);

words!(
    /// How a customer stands to a trait.
    pub enum Polarity {
        Is = "is",
        Likes = "likes",
        Dislikes = "dislikes",
        Needs = "needs",
    }
);

words!(
    /// What a consent is for.
    pub enum Purpose {
        Contact = "contact",
        Survey = "survey",
        Marketing = "marketing",
        Sensitive = "sensitive",
    }
);

words!(
    /// Whether a consent holds.
    pub enum Consent {
        Given = "given",
        Withdrawn = "withdrawn",
    }
);

words!(
    /// How much of a customer is forgotten.
    pub enum Scope {
        All = "all",
        Before = "before",
    }
);

/// A customer has a name. A customer exists from the first fact about them; this adds who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// A person or an organisation.
    pub kind: Party,
    /// How the customer wishes to be called.
    pub name: String,
    /// The language to speak with them, a BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How they found us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The customer who brought them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<CustomerId>,
}

/// A mark by which the customer can be recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// What sort of mark it is.
    pub id_kind: IdKind,
    /// The mark itself; telephone numbers in international form.
    pub value: String,
    /// Whether it proves who they are or only suggests it.
    pub strength: Strength,
    /// Whether somebody checked it.
    #[serde(default)]
    pub verified: bool,
}

/// Two or more ids are one customer. The subject is the one that survives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The ids that are now read as the subject.
    pub absorbed: Vec<CustomerId>,
    /// Why they are the same.
    pub reason: String,
    /// The events that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EventRef>,
    /// How sure, per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
}

/// A merge was wrong and is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmerged {
    /// The merge that is undone.
    pub merge: EventRef,
    /// Why it was wrong.
    pub reason: String,
}

/// A habit, taste or need of the customer, as somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraitNoted {
    /// What it concerns.
    pub r#trait: Slug,
    /// What was seen.
    pub value: String,
    /// Whether they are, like, dislike or need it.
    pub polarity: Polarity,
    /// How sure, per cent.
    pub confidence: u8,
    /// The event in which it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_in: Option<EventRef>,
    /// When it is no longer believed.
    #[serde(
        default,
        deserialize_with = "read::maybe_instant",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at: Option<Timestamp>,
    /// True takes the trait back.
    #[serde(default)]
    pub forget: bool,
}

/// The customer allowed or withdrew something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentChanged {
    /// What it is for.
    pub purpose: Purpose,
    /// Whether it holds from now on.
    pub state: Consent,
    /// How they said so.
    pub basis: String,
}

/// Who looks after the customer from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The member of staff.
    pub owner: Ident,
    /// Their team.
    pub team: Slug,
    /// Who did before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Ident>,
    /// What the new owner should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brief: Option<String>,
}

/// Personal data was destroyed on request, with a certificate of what and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Everything, or everything before an instant.
    pub scope: Scope,
    /// With scope `before`: up to when.
    #[serde(
        default,
        deserialize_with = "read::maybe_instant",
        skip_serializing_if = "Option::is_none"
    )]
    pub before: Option<Timestamp>,
    /// When the customer asked.
    #[serde(deserialize_with = "read::instant")]
    pub requested_at: Timestamp,
    /// What was destroyed, as counts and hashes.
    pub certificate: Map<String, Value>,
}
