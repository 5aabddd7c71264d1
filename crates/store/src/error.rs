//! What can go wrong with the log, by what the caller can do about it.

use events::envelope::Receipt;
use events::id::Stream;

/// The fact is not in the log, or we could not find out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Someone else wrote to this stream first. Read again and decide again.
    #[error("{stream} is at version {actual}, not {expected}")]
    VersionConflict {
        /// Which stream.
        stream: Stream,
        /// What the request expected.
        expected: i64,
        /// What the stream is at.
        actual: i64,
        /// Which event of the request, from 0.
        index: usize,
    },
    /// This id already names another event. The publisher has to choose a new one.
    #[error("event id already used at position {}", original.position)]
    EventIdConflict {
        /// What the log holds under that id.
        original: Box<Receipt>,
        /// Which event of the request, from 0.
        index: usize,
    },
    /// One request gives the same id to two events. Nothing was written; choose another id.
    #[error("the request holds this event id twice, with different content")]
    IdTwice {
        /// The second of them, from 0.
        index: usize,
    },
    /// The queue of waiting requests is full. Nothing was written; try again.
    #[error("the append queue is full")]
    Busy,
    /// The database did not answer. It may have written: retry, the event id makes that safe.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
}

impl AppendError {
    /// The same error with its index put where `place` says.
    pub(crate) fn at(mut self, place: impl Fn(usize) -> usize) -> Self {
        if let Self::VersionConflict { index, .. }
        | Self::EventIdConflict { index, .. }
        | Self::IdTwice { index } = &mut self
        {
            *index = place(*index);
        }
        self
    }
}

/// The database could not be asked, or holds what we cannot read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The read models were made by another version of this program, and are being built anew.
    #[error("the read models are being built anew by this version")]
    Building,
    /// Try again.
    #[error("the database is unavailable")]
    Unavailable(#[from] sqlx::Error),
    /// A stored value does not parse: somebody wrote past us.
    #[error("corrupt value in {table}.{column} at {key}")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// Which row.
        key: String,
    },
    /// A position is missing: an alarm, never a silence.
    #[error("the log has a hole: position {wanted} is missing")]
    Hole {
        /// The position that is not there.
        wanted: i64,
    },
}

/// The database cannot be used as it is. Every message ends with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there.
    #[error(
        "cannot open the database {url}: {}. Check database.url and that the server runs.",
        said(.source)
    )]
    Unreachable {
        /// Which one, without its password.
        url: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// A setting would break a promise.
    #[error("{found}. {remedy}")]
    Unsafe {
        /// What was found.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A newer version of this program has changed the tables.
    #[error(
        "the log belongs to a newer version of Sapa: its tables are at step {found}, and this version knows {known} steps. Install that version again; an older version can only go on from a backup that was made before the upgrade (`sapa restore FILE`)."
    )]
    Newer {
        /// The last step of its tables.
        found: i64,
        /// The last step that this program knows.
        known: i64,
    },
    /// Tables could not be brought up to date.
    #[error(
        "migration failed: {}. Restore the previous version, or run `sapa migrate` and read its output.",
        said_of_migration(.0)
    )]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database answered something unexpected while being checked.
    #[error(
        "the database failed while being checked: {}. Try again; then run `sapa doctor`.",
        said(.0)
    )]
    Check(#[from] sqlx::Error),
}

/// What the driver said, for people: the line of the server's own source, which PostgreSQL sends
/// along, is left out, and what only the driver knows is said in words.
#[must_use]
pub fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(it) => it.message().to_owned(),
        sqlx::Error::Io(it) if it.kind() == std::io::ErrorKind::ConnectionRefused => {
            "nothing listens there (connection refused)".to_owned()
        }
        sqlx::Error::Io(it) => it.to_string(),
        sqlx::Error::PoolTimedOut => "no connection was free in time".to_owned(),
        other => other.to_string(),
    }
}

fn said_of_migration(error: &sqlx::migrate::MigrateError) -> String {
    use sqlx::migrate::MigrateError::{Execute, ExecuteMigration};
    match error {
        Execute(error) | ExecuteMigration(error, _) => said(error),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_server_that_is_not_there_is_called_that() {
        let refused = sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into());
        let error = OpenError::Unreachable { url: "postgres://***@h/d".into(), source: refused };
        let said = error.to_string();
        assert!(said.contains("connection refused") && said.contains("database.url"), "{said}");
        assert!(!said.contains("pool"), "{said}");
    }
}
