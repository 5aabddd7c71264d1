//! What can be wrong with a map, a file or a row, and how it is said.
//!
//! Each fault names the place, the rule and the remedy. A fault of a row is a value, because the
//! rest of the file goes on; a fault of a map or of the whole file ends the import. Texts of
//! columns that a map marks as personal never stand in one.

use std::fmt;
use std::io;

/// A map that cannot be used: where, what it broke, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: `{key}`: {rule}; {remedy}")]
pub struct MapError {
    /// The file as it was named, or `maps/<name>.toml` for a shipped map.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// The key the fault belongs to, such as `values.price`.
    pub key: String,
    /// What the map breaks.
    pub rule: String,
    /// What to write instead.
    pub remedy: String,
}

/// A file that cannot be read on: nothing after this comes out of it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is not there, or reading it failed half way.
    #[error("{file}: cannot be read")]
    Unreadable {
        /// The file as it was named; `-` is standard input.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file can be read but is not what the map or the format says.
    #[error("{file}:{line}: {rule}; {remedy}")]
    Refused {
        /// The file as it was named; `-` is standard input.
        file: String,
        /// The line in it, from 1.
        line: u64,
        /// What the file breaks.
        rule: String,
        /// What to do about it.
        remedy: String,
    },
}

/// One row that gives no events. The rows after it are not touched by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The line in the file where the row starts, from 1.
    pub line: u64,
    /// The column at fault, when it is one.
    pub column: Option<String>,
    /// The rule as a word: `columns`, `quotes`, `encoding`, `too_long`, `not_integer`, …
    pub rule: &'static str,
    /// The rule as a sentence, with the text at fault.
    pub detail: String,
    /// The row around the fault, and below it a line of `^` that points, when a column is known.
    pub excerpt: String,
    /// The row as it was read, for the quarantine: at most [`super::LINE_BYTES_MAX`].
    pub raw: Vec<u8>,
    /// Source and id of the first event that it would have had, as far as its map can tell.
    pub event: Option<(String, String)>,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column `{column}`")?;
        }
        write!(f, ": {} ({})\n{}", self.detail, self.rule, self.excerpt)
    }
}

impl std::error::Error for RowError {}

/// What an expression found wrong; the reader adds the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The slot of the column the text came from, when it came from one.
    pub(super) column: Option<usize>,
    pub(super) rule: &'static str,
    pub(super) detail: String,
    /// The same with the texts at fault, for rows that nothing personal stands in.
    pub(super) quoting: Option<String>,
    /// The id of the first event that the row would have had.
    pub(super) event_id: Option<String>,
}

impl Fault {
    /// A fault whose words are the map's own.
    pub(super) fn new(column: Option<usize>, rule: &'static str, detail: String) -> Self {
        Self { column, rule, detail, quoting: None, event_id: None }
    }

    /// A fault that quotes the row, and how it is said where that must not be shown.
    pub(super) fn quoting(
        column: Option<usize>,
        rule: &'static str,
        quoting: String,
        detail: impl Into<String>,
    ) -> Self {
        Self { quoting: Some(quoting), ..Self::new(column, rule, detail.into()) }
    }

    /// Puts the name of the value in front that could not be made.
    pub(super) fn of_value(mut self, name: &str) -> Self {
        for text in [Some(&mut self.detail), self.quoting.as_mut()].into_iter().flatten() {
            if !text.starts_with("value ") {
                *text = format!("value `{name}`: {text}");
            }
        }
        self
    }
}

/// The candidate nearest to a misspelt word, if any is near enough to be meant.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters wrong is still a slip; more is another word.
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or the given list of what there is.
pub(super) fn did_you_mean(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("there is {}", listed(candidates)),
    }
}

/// Names in back-quotes with commas.
pub(super) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// How many letters to insert, drop or replace to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((b, pair), left) in to.chars().zip(row.windows(2)).zip(i + 1..) {
            let [diagonal, above] = pair else { continue };
            let left = next.last().copied().unwrap_or(left);
            next.push((diagonal + usize::from(a != b)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
