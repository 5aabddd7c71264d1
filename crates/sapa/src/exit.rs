//! How a command ends: the exit codes of the command line, and failures that say what to do next.
//! Every failure carries one sentence about what is wrong and one about the remedy; none of them
//! quotes a secret or a personal value.

use std::fmt;
use std::process::ExitCode;

use crate::say;

/// The exit codes, by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; `serve` and `demo` stopped by a signal.
    Done,
    /// Failed, or a task died.
    Failed,
    /// Wrong usage.
    Usage,
    /// What was asked for is not there.
    NotFound,
    /// The input is not valid.
    Invalid,
    /// A conflict, or a rule that refuses.
    Refused,
    /// A server, database or program that is needed is not there.
    Unavailable,
    /// Try again.
    Later,
    /// Not allowed.
    Forbidden,
    /// Configuration, version or an unsafe setting.
    Config,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The number a shell sees.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Invalid => 4,
            Self::Refused => 5,
            Self::Unavailable => 69,
            Self::Later => 75,
            Self::Forbidden => 77,
            Self::Config => 78,
            Self::Interrupted => 130,
        }
    }

    /// The exit for an answer of the API.
    #[must_use]
    pub fn of_answer(status: u16, code: &str) -> Self {
        match status {
            200..=399 => Self::Done,
            _ if code == "in_progress" => Self::Later,
            401 | 403 => Self::Forbidden,
            404 => Self::NotFound,
            409 | 412 => Self::Refused,
            429 | 504 => Self::Later,
            503 => Self::Unavailable,
            400..=499 => Self::Invalid,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub struct Failure {
    /// With which code.
    pub exit: Exit,
    /// What is wrong, in one sentence; empty when it has been said already.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Failure {
    /// A failure with its remedy.
    pub fn new(exit: Exit, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit, what: what.into(), remedy: remedy.into() }
    }

    /// A failure that the person has read already.
    #[must_use]
    pub const fn told(exit: Exit) -> Self {
        Self { exit, what: String::new(), remedy: String::new() }
    }

    /// A setting or the configuration as a whole is wrong.
    pub fn config(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::Config, what, remedy)
    }

    /// Something on our side went wrong; the message comes from below and is about no person.
    pub fn internal(error: impl fmt::Display) -> Self {
        Self::new(
            Exit::Failed,
            error.to_string(),
            say!(
                "Run it again with -v, and look at `sapa doctor`.",
                "Jalankan lagi dengan -v, dan lihat `sapa doctor`."
            ),
        )
    }

    /// A failed question to the database, for `map_err`.
    pub fn store(error: impl Into<store::ReadError>) -> Self {
        error.into().into()
    }

    /// A file that cannot be read or written.
    #[must_use]
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let path = path.display();
        let reason = reason(error);
        Self::new(
            Exit::Invalid,
            say!("cannot {what} {path}: {reason}", "{path} tidak dapat dipakai: {reason}"),
            say!(
                "Check that the path is right and that this user may use it.",
                "Periksa apakah jalurnya benar dan pengguna ini boleh memakainya."
            ),
        )
    }
}

/// Why a file cannot be used, in the language of the person where it is one of the usual reasons.
fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => say!("it is not there", "tidak ada"),
        ErrorKind::PermissionDenied => {
            say!("this user may not use it", "pengguna ini tidak boleh memakainya")
        }
        ErrorKind::AlreadyExists => say!("it is there already", "sudah ada"),
        ErrorKind::IsADirectory => say!("it is a folder", "itu sebuah folder"),
        _ => error.to_string(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.remedy) }
    }
}

impl std::error::Error for Failure {}

impl From<crate::servers::ServerError> for Failure {
    fn from(error: crate::servers::ServerError) -> Self {
        // These messages end with their remedy.
        Self::new(Exit::Unavailable, error.to_string(), "")
    }
}

impl From<store::OpenError> for Failure {
    fn from(error: store::OpenError) -> Self {
        let exit = match error {
            store::OpenError::Unreachable { .. } | store::OpenError::Check(_) => Exit::Unavailable,
            store::OpenError::Unsafe { .. }
            | store::OpenError::Newer { .. }
            | store::OpenError::Migrate(_) => Exit::Config,
        };
        Self::new(exit, error.to_string(), "")
    }
}

impl From<store::copy::CopyError> for Failure {
    fn from(error: store::copy::CopyError) -> Self {
        let remedy = match error {
            store::copy::CopyError::Unreadable { .. } => {
                "Check that the file is there, that this user may read it, and that the disk has room."
            }
            store::copy::CopyError::Damaged { .. } => {
                "Keep the file as it is, and restore the last backup: `sapa restore FILE`."
            }
        };
        Self::new(Exit::Failed, error.to_string(), remedy)
    }
}

impl From<store::ReadError> for Failure {
    fn from(error: store::ReadError) -> Self {
        match error {
            store::ReadError::Building => {
                Self::new(Exit::Later, error.to_string(), "Look at `sapa health`, and try again.")
            }
            store::ReadError::Unavailable(_) => Self::new(
                Exit::Unavailable,
                say!("the database does not answer", "basis data tidak menjawab"),
                say!(
                    "Check database.url and that the server runs; then `sapa doctor`.",
                    "Periksa database.url dan apakah servernya berjalan; lalu `sapa doctor`."
                ),
            ),
            other => Self::new(
                Exit::Failed,
                other.to_string(),
                say!("Restore the log from a backup.", "Pulihkan catatan dari cadangan."),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_catalogue_has_the_exit_of_the_table() {
        for (status, code, wanted) in [
            (200, "", 0),
            (207, "", 0),
            (400, "json_syntax", 4),
            (401, "token_invalid", 77),
            (403, "scope_missing", 77),
            (404, "customer_unknown", 3),
            (405, "method_not_allowed", 4),
            (408, "read_timeout", 4),
            (409, "command_refused", 5),
            (409, "in_progress", 75),
            (412, "version_conflict", 5),
            (413, "too_large", 4),
            (421, "host_not_allowed", 4),
            (422, "schema_invalid", 4),
            (429, "rate_limited", 75),
            (431, "headers_too_large", 4),
            (500, "internal", 1),
            (503, "unavailable", 69),
            (504, "timeout", 75),
        ] {
            assert_eq!(Exit::of_answer(status, code).number(), wanted, "{status} {code}");
        }
    }
}
