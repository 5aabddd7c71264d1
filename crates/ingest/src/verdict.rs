//! What becomes of a message once the log has answered: pure, and exhaustive on purpose.
//!
//! Promises that only an answer that another attempt cannot change ends a message; whatever may
//! succeed later keeps it.

use events::problem::{Code, Problem};
use store::{AppendError, Appended};

/// What is done with a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is in the log: acknowledge.
    Ack,
    /// It may succeed later: keep it and try again.
    Retry,
    /// It never will: keep its bytes with the reason, then terminate it.
    Quarantine(Box<Problem>),
}

/// The verdict on one answer of the log.
#[must_use]
pub fn of(outcome: &Result<Appended, AppendError>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Ack,
        Err(AppendError::Busy | AppendError::Unavailable(_)) => Verdict::Retry,
        Err(AppendError::EventIdConflict { original, .. }) => {
            Verdict::Quarantine(Box::new(Problem::id_conflict(original, &[])))
        }
        // One message is one request, so this cannot be; if it were, it would not get better.
        Err(AppendError::IdTwice { .. }) => {
            Verdict::Quarantine(Box::new(Problem::of(Code::BatchDuplicate)))
        }
        Err(AppendError::VersionConflict { expected, actual, .. }) => {
            Verdict::Quarantine(Box::new(Problem::at(
                Code::VersionConflict,
                "/expectedversion",
                format!("The stream is at version {actual}, not {expected}."),
                format!("Versi aliran ini {actual}, bukan {expected}."),
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use events::envelope::Receipt;
    use jiff::Timestamp;

    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            source: "/pms".parse().unwrap(),
            id: "1".parse().unwrap(),
            position: 7,
            stream: "customer/c-1".parse().unwrap(),
            version: 2,
            recorded_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_in_the_log_is_acknowledged() {
        assert_eq!(of(&Ok(Appended::Recorded(receipt()))), Verdict::Ack);
        assert_eq!(of(&Ok(Appended::Duplicate(receipt()))), Verdict::Ack);
    }

    #[test]
    fn what_may_succeed_later_is_kept() {
        assert_eq!(of(&Err(AppendError::Busy)), Verdict::Retry);
        assert_eq!(of(&Err(AppendError::Unavailable(String::new()))), Verdict::Retry);
    }

    #[test]
    fn what_never_will_goes_to_quarantine_with_its_code() {
        let code = |outcome| match of(&Err(outcome)) {
            Verdict::Quarantine(problem) => problem.code,
            other => panic!("{other:?}"),
        };
        let original = Box::new(receipt());
        assert_eq!(
            code(AppendError::EventIdConflict { original, index: 0 }),
            Code::EventIdConflict
        );
        let stream = "customer/c-1".parse().unwrap();
        let conflict = AppendError::VersionConflict { stream, expected: 1, actual: 2, index: 0 };
        assert_eq!(code(conflict), Code::VersionConflict);
    }
}
