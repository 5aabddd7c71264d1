//! Servers of our own: nats-server for `sapa demo` and `sapa serve`, PostgreSQL for tests.
//! They are found on this machine or fetched once with their hashes checked, listen on this
//! machine only, and end when the process that started them ends, however it ends.
//! Nothing here talks to a server that somebody else started.

mod child;
mod fetch;
pub mod guard;
pub mod nats;
pub mod postgres;
mod scratch;
pub mod version;

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

pub use guard::Guard;

/// The two programs Sapa knows how to find and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nats,
    Postgres,
}

impl Kind {
    /// The name of the program.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Nats => "nats-server",
            Self::Postgres => "postgres",
        }
    }

    /// What a person can do when the program cannot be had.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Nats => {
                "install nats-server 2.15.x, or run `sapa servers fetch nats`, or set NATS_URL to \
                 a running server, or start `sapa demo --no-nats`"
            }
            Self::Postgres => {
                "install PostgreSQL 15 or later (`apt install postgresql`), or run `sapa servers \
                 fetch postgres`, or set DATABASE_URL to a running server"
            }
        }
    }
}

/// A program that was found and cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub program: PathBuf,
    pub why: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.program.display(), self.why)
    }
}

/// A server could not be found, fetched or run. Every message ends with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nothing usable on this machine, and fetching was not allowed.
    #[error("no usable {} was found{}; {}", .kind.program(), list(.passed_over), .kind.remedy())]
    Missing { kind: Kind, passed_over: Vec<Rejected> },

    /// The program that the configuration names cannot be used. Nothing else is tried instead.
    #[error("the configured {} cannot be used: {rejected}; {}", .kind.program(), .kind.remedy())]
    Refused { kind: Kind, rejected: Rejected },

    /// Fetching was allowed and did not work. Nothing was kept.
    #[error("fetching {} failed: {why}; {}", .kind.program(), .kind.remedy())]
    Fetch { kind: Kind, why: String },

    /// The program is there and did not start, or did not answer in time.
    #[error("{} did not start: {why}; {remedy}", .kind.program())]
    Start { kind: Kind, why: String, remedy: &'static str },

    /// A file or folder of the server could not be made, read or written.
    #[error("cannot {what} {}: {error}; check that the folder exists, belongs to this user and has room", .path.display())]
    Folder { what: &'static str, path: PathBuf, error: std::io::Error },

    /// An option cannot be written into the server's configuration.
    #[error("{option} {rule}; {remedy}")]
    Option { option: &'static str, rule: String, remedy: &'static str },

    /// A helper program of PostgreSQL (initdb, createdb, psql) ended badly.
    #[error("{program} failed: {why}; check the server's log at {}", .log.display())]
    Helper { program: &'static str, why: String, log: PathBuf },
}

impl ServerError {
    /// Wraps a failed file operation; for `map_err`.
    fn folder(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Folder { what, path, error }
    }
}

/// The programs passed over, as the middle of a sentence.
fn list(passed_over: &[Rejected]) -> String {
    let named: Vec<String> = passed_over.iter().map(ToString::to_string).collect();
    if named.is_empty() { String::new() } else { format!(" (passed over {})", named.join("; ")) }
}

/// The end of a log file as one line, for a message about a server that did not start.
fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines.get(from..).unwrap_or_default().join(" | ")
}

/// How many lines of a server's log a message quotes.
const LOG_LINES: usize = 6;

/// Writes a part of a URL with everything escaped that is not plainly allowed in it.
fn percent_encoded(part: &str) -> String {
    let mut encoded = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_names_what_was_passed_over_and_ends_with_the_remedy() {
        let rejected = Rejected { program: "/usr/bin/nats-server".into(), why: "2.9.10".into() };
        let error = ServerError::Missing { kind: Kind::Nats, passed_over: vec![rejected] };
        let text = error.to_string();
        assert!(text.contains("/usr/bin/nats-server: 2.9.10"), "{text}");
        assert!(text.ends_with("`sapa demo --no-nats`"), "{text}");
    }

    #[test]
    fn a_folder_becomes_the_host_of_a_url() {
        assert_eq!(percent_encoded("/tmp/a b"), "%2Ftmp%2Fa%20b");
    }
}
