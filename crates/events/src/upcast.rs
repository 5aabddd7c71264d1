//! Yesterday's shapes to today's: one function per kind and version step.
//!
//! The log keeps data in the version it was recorded in, for ever. A step only moves and renames;
//! it never invents a fact. Members it does not know are carried along untouched. A version that
//! is already the newest costs nothing.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::kind::Kind;

type Members = Map<String, Value>;

/// The data of one kind in its newest shape.
///
/// `version` is the version it was written in. A version from the future is left as it is: reading
/// it as the newest is the best that can be done, and parsing will say what does not fit.
pub fn upcast(kind: Kind, version: u32, data: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    if kind.newest_version() <= version {
        return Ok(Cow::Borrowed(data));
    }
    let mut members: Members = serde_json::from_str(data)?;
    for from in version..kind.newest_version() {
        step(kind, from, &mut members);
    }
    serde_json::to_string(&members).map(Cow::Owned)
}

/// One version further. Every pair below the newest version of its kind has a line here.
fn step(kind: Kind, from: u32, members: &mut Members) {
    if (kind, from) == (Kind::FeedbackRequested, 1) {
        feedback_requested_1_to_2(members);
    }
}

/// `questions` and `seconds` moved together into `length`, so that a budget is one value.
fn feedback_requested_1_to_2(members: &mut Members) {
    let length: Members = ["questions", "seconds"]
        .into_iter()
        .filter_map(|name| members.remove_entry(name))
        .collect();
    members.insert("length".to_owned(), Value::Object(length));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Fact;

    const V1: &str = r#"{"feedback":"f-12","instrument":"csat","questions":2,"seconds":40,"x":1}"#;

    #[test]
    fn a_survey_of_the_first_version_reads_like_one_of_the_second() {
        let today = upcast(Kind::FeedbackRequested, 1, V1).unwrap();
        let members: Members = serde_json::from_str(&today).unwrap();
        assert_eq!(members["length"], serde_json::json!({"questions": 2, "seconds": 40}));
        assert_eq!(members["x"], 1, "what is not known is carried along");
        assert!(!members.contains_key("questions"));
        let Fact::FeedbackRequested(it) = Fact::parse(Kind::FeedbackRequested, &today).unwrap()
        else {
            panic!("another kind")
        };
        assert_eq!((it.length.questions, it.length.seconds), (2, 40));
    }

    #[test]
    fn the_newest_version_is_not_touched() {
        let data = r#"{"any": "thing"}"#;
        assert!(
            matches!(upcast(Kind::InteractionGreeted, 1, data), Ok(Cow::Borrowed(it)) if it == data)
        );
        assert!(upcast(Kind::FeedbackRequested, 1, "[]").is_err(), "data is an object");
    }
}
