//! Why the runner stopped, by what its keeper can do about it: go on from what is stored, leave it to
//! another instance, or call a person.

use store::checkpoint::MoveError;
use store::error::ReadError;

/// Why the runner stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another instance runs the read models now.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The read models do not stand where the runner left them: `Runner::reload`, and go on.
    #[error("the database no longer holds the last commits under {0}")]
    Elsewhere(String),
    /// The database could not be asked; try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// The log could not be read.
    #[error("the log cannot be read: {0}")]
    Log(#[from] ReadError),
    /// The log is shorter than the read models, or another event stands where they left off.
    #[error(
        "log_rollback: the read models stand at {position}, where the log holds another event. Restore the log; or, if what it lost is lost, stop Sapa and run `sapa recover`, which builds the read models anew."
    )]
    Rollback {
        /// Where the read models stand.
        position: i64,
    },
}

impl RunError {
    /// It may pass by itself: reload, and go on.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Elsewhere(_) => true,
            Self::Unavailable(error) | Self::Log(ReadError::Unavailable(error)) => {
                verdict(error) == Verdict::MayPass
            }
            _ => false,
        }
    }

    /// The code with which the database refuses what was to be stored: it is the same next time.
    #[must_use]
    pub fn refused_code(&self) -> Option<String> {
        match self {
            Self::Unavailable(error) if verdict(error) == Verdict::Refused => {
                error.as_database_error()?.code().map(Into::into)
            }
            _ => None,
        }
    }
}

/// What an error of the database means for whoever would try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is away, busy, full or on its way down.
    MayPass,
    /// It does not store these values.
    Refused,
    /// It cannot do this at all: a table is missing or cannot be read, a statement is wrong.
    Never,
}

fn verdict(error: &sqlx::Error) -> Verdict {
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. } => return Verdict::Never,
        _ => return Verdict::MayPass,
    };
    error.code().map_or(Verdict::MayPass, |it| judged(&it))
}

/// By SQLSTATE of PostgreSQL, or the extended result code of SQLite as a number.
fn judged(code: &str) -> Verdict {
    match (code.len(), code.parse::<u32>()) {
        (1..=4, Ok(code)) => match code & 0xff {
            // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH.
            18..=20 => Verdict::Refused,
            // SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_RANGE, SQLITE_NOTADB.
            1 | 11 | 25 | 26 => Verdict::Never,
            _ => Verdict::MayPass,
        },
        _ => match code.get(..2) {
            // Data exception, integrity constraint, raised by a trigger.
            Some("22" | "23" | "P0") => Verdict::Refused,
            // Feature not supported, cardinality, syntax or access rule.
            Some("0A" | "21" | "42") => Verdict::Never,
            _ => Verdict::MayPass,
        },
    }
}

impl From<MoveError> for RunError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Fenced { name } => Self::Fenced(name),
            MoveError::Elsewhere { name } => Self::Elsewhere(name),
            MoveError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_no_absence() {
        for code in ["22021", "23514", "P0001", "1811", "275", "19"] {
            assert_eq!(judged(code), Verdict::Refused, "{code}");
        }
        for code in ["42P01", "42703", "0A000", "1", "11", "26"] {
            assert_eq!(judged(code), Verdict::Never, "{code}");
        }
        // Shut down, starting up, connection lost, read only, deadlock, full; busy, locked, I/O, full.
        for code in
            ["57P01", "57P03", "08006", "25006", "40P01", "53100", "5", "6", "261", "10", "13"]
        {
            assert_eq!(judged(code), Verdict::MayPass, "{code}");
        }
        assert!(RunError::Unavailable(sqlx::Error::PoolTimedOut).may_pass());
        assert!(!RunError::Unavailable(sqlx::Error::ColumnNotFound("x".into())).may_pass());
    }
}
