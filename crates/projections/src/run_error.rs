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
        "log rollback: the read models stand at {position}, where the log holds another event. Restore the log; or, if what it lost is lost, stop Sapa, delete the read models (views.db, or the schema of the views) and start it again: they are made anew."
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
        matches!(
            self,
            Self::Elsewhere(_) | Self::Unavailable(_) | Self::Log(ReadError::Unavailable(_))
        )
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
