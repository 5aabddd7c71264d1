//! Facts about questions of satisfaction and what customers said, asked or not.

use serde::{Deserialize, Serialize};

use super::words;
use crate::id::{About, Ident, Slug};

words!(
    /// Which question of satisfaction was asked: CSAT 1 to 5, NPS 0 to 10, CES 1 to 7.
    pub enum Instrument {
        Csat = "csat",
        Nps = "nps",
        Ces = "ces",
    }
);

/// How long a questionnaire takes to answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    /// How many questions.
    pub questions: u32,
    /// How many seconds.
    pub seconds: u32,
}

/// We asked the customer how it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// The request.
    pub feedback: Ident,
    /// Which question.
    pub instrument: Instrument,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How long it takes to answer.
    pub length: Length,
}

/// The customer told us how it was, asked or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The request it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Ident>,
    /// Which question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Instrument>,
    /// The score: CSAT 1 to 5, NPS 0 to 10, CES 1 to 7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// What about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<Slug>,
    /// Whether it proposes something.
    #[serde(default)]
    pub suggestion: bool,
    /// What they said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
