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
        "cannot open the database {url}: {source}. Check database.url and that the server runs."
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
    /// Tables could not be brought up to date.
    #[error(
        "migration failed: {0}. Restore the previous version, or run `sapa migrate` and read its output."
    )]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database answered something unexpected while being checked.
    #[error("the database failed while being checked: {0}. Try again; then run `sapa doctor`.")]
    Check(#[from] sqlx::Error),
}
