//! Which versions of the servers are accepted: a pure table, asked before anything is started.
//! It reads what a program prints for `--version` and refuses what Sapa was never tested on.

use std::fmt;

/// The versions of nats-server that Sapa accepts, as messages say it.
pub const NATS_ACCEPTED: &str = "2.12.15 and later 2.12.x, 2.14.4 and later 2.14.x, 2.15 and later";

/// The oldest major version of PostgreSQL that Sapa accepts.
pub const POSTGRES_OLDEST: u32 = 15;

/// A version of a server program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
    /// False for `2.15.0-RC.1` and the like, which come before the version they prepare.
    pub released: bool,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.released { Ok(()) } else { f.write_str(" (a preview)") }
    }
}

impl Version {
    const fn released(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch, released: true }
    }

    /// Finds the version in what a program prints, such as `nats-server: v2.15.1`.
    #[must_use]
    pub fn found_in(printed: &str) -> Option<Self> {
        printed.split_whitespace().find_map(Self::parse)
    }

    /// Reads `2.15.1`, `v2.15.1`, `2.15.0-RC.1`, and `18.6`, whose last number is then 0.
    fn parse(word: &str) -> Option<Self> {
        let word = word.strip_prefix('v').unwrap_or(word);
        let end = word.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(word.len());
        let (numbers, suffix) = word.split_at(end);
        let mut parts = numbers.trim_end_matches('.').split('.').map(str::parse::<u32>);
        let major = parts.next()?.ok()?;
        let minor = parts.next()?.ok()?;
        let patch = parts.next().map_or(Ok(0), |it| it).ok()?;
        let released = suffix.is_empty() || suffix.starts_with('+');
        parts.next().is_none().then_some(Self { major, minor, patch, released })
    }

    /// Whether Sapa runs on a nats-server of this version.
    #[must_use]
    pub fn is_accepted_nats(self) -> bool {
        match (self.major, self.minor) {
            (2, 12) => self >= Self::released(2, 12, 15),
            (2, 14) => self >= Self::released(2, 14, 4),
            _ => self >= Self::released(2, 15, 0),
        }
    }
}

/// Finds the major version in what `postgres --version` prints: `postgres (PostgreSQL) 15.18`,
/// also for previews such as `19beta1`.
#[must_use]
pub fn postgres_major(printed: &str) -> Option<u32> {
    printed.split_whitespace().find_map(|word| {
        let end = word.find(|it: char| !it.is_ascii_digit()).unwrap_or(word.len());
        word.get(..end)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(printed: &str) -> bool {
        Version::found_in(printed).unwrap().is_accepted_nats()
    }

    #[test]
    fn the_table_of_accepted_nats_servers_holds() {
        for good in
            ["2.12.15", "2.12.16", "2.14.4", "2.14.9", "2.15.0", "2.15.1", "2.16.0", "3.0.0"]
        {
            assert!(accepted(&format!("nats-server: v{good}")), "{good} should be accepted");
        }
        for bad in
            ["2.9.10", "2.11.99", "2.12.14", "2.13.0", "2.13.99", "2.14.0", "2.14.3", "1.4.1"]
        {
            assert!(!accepted(&format!("nats-server: v{bad}")), "{bad} should be refused");
        }
    }

    #[test]
    fn a_preview_comes_before_the_version_it_prepares() {
        assert!(!accepted("nats-server: v2.15.0-RC.1"));
        assert!(!accepted("nats-server: v2.12.15-preview.2"));
        assert!(accepted("nats-server: v2.15.1-RC.1"));
    }

    #[test]
    fn a_program_that_prints_no_version_has_none() {
        assert_eq!(Version::found_in("command not found"), None);
        assert_eq!(Version::found_in(""), None);
        assert_eq!(Version::found_in("nats-server: v2"), None);
    }

    #[test]
    fn postgresql_counts_in_major_versions() {
        assert_eq!(postgres_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0)"), Some(15));
        assert_eq!(postgres_major("postgres (PostgreSQL) 18.6"), Some(18));
        assert_eq!(postgres_major("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(postgres_major("no such thing"), None);
    }
}
