//! Rows of a table and rows of a text, taken from the lines of a file and handed to a map.
//!
//! A row may go on over the following lines: inside quotes in a table, and until the next line that
//! begins a row in a text. When that ends badly only its first line is blamed, and the others are
//! read again as rows.

use std::borrow::Cow;
use std::io;

use super::LINE_BYTES_MAX;
use super::csv::{self, Delimiter, Split};
use super::fault::{Fault, RowError};
use super::forms::Counters;
use super::lines::{Line, Lines};
use super::map::{Binding, Map};
use super::report::explain;
use super::source::{Format, TextRows};

/// A quoted field that runs over more lines than this is a stray quote, not a long remark.
const LINES_PER_ROW_MAX: usize = 100;

/// What a row came to: its bytes, or what is wrong with it.
pub(super) type Read = Result<Vec<u8>, RowError>;

/// One row on its way through a map.
pub(super) struct RowReader<'t> {
    pub(super) map: &'t Map,
    pub(super) binding: &'t Binding,
    pub(super) counters: &'t mut Counters,
    pub(super) row: u64,
    /// Recorded by an earlier run: read it, count it, and make nothing of it.
    pub(super) skipped: bool,
}

impl RowReader<'_> {
    /// Turns a row that begins with this line into events and gives it as it was read.
    pub(super) fn read(
        &mut self,
        first: Line,
        lines: &mut Lines,
        events: &mut Vec<Vec<u8>>,
    ) -> io::Result<Read> {
        match &self.map.description().format {
            Format::Table { delimiter, optional, .. } => {
                self.read_table(first, lines, events, *delimiter, *optional)
            }
            Format::Text(rows) => self.read_text(first, lines, events, rows),
            // `calendar.rs` reads these.
            Format::Calendar => Ok(Ok(first.text)),
        }
    }

    fn read_table(
        &mut self,
        first: Line,
        lines: &mut Lines,
        events: &mut Vec<Vec<u8>>,
        delimiter: Delimiter,
        optional: usize,
    ) -> io::Result<Read> {
        let mut following: Vec<Line> = Vec::new();
        let mut raw = first.text.clone();
        loop {
            let Some(text) = self.map.description().encoding.decode(&raw) else {
                let fault = Fault::new(None, "encoding", "the row is not UTF-8".to_owned());
                // Its key is most likely plain, and rows after it keep their numbers.
                let lossy = String::from_utf8_lossy(&raw);
                let mut fields = Vec::new();
                csv::split(&lossy, delimiter, &mut fields);
                self.map.count(self.binding, self.row, &fields, self.counters);
                return Ok(Err(self.blame(first, following, lines, &[], fault)));
            };
            let mut fields = Vec::new();
            let split = csv::split(&text, delimiter, &mut fields);
            if split == Split::Open
                && following.len() < LINES_PER_ROW_MAX
                && let Some(next) = lines.next()?
            {
                let fits = !next.cut && raw.len() + next.text.len() < LINE_BYTES_MAX;
                if fits {
                    drop(fields);
                    drop(text);
                    raw.push(b'\n');
                    raw.extend_from_slice(&next.text);
                    following.push(next);
                    continue;
                }
                following.push(next);
            }
            if let Some(fault) = self.fault_of(split, fields.len(), optional) {
                // The key of a bad row may still be readable; then rows after it keep their numbers.
                self.map.count(self.binding, self.row, &fields, self.counters);
                return Ok(Err(self.blame(first, following, lines, &fields, fault)));
            }
            fields.resize(self.binding.names.len(), Cow::Borrowed(""));
            let applied = self.apply(first.number, &raw, &fields, events);
            drop(fields);
            drop(text);
            return Ok(applied.map(|()| raw));
        }
    }

    fn fault_of(&self, split: Split, found: usize, optional: usize) -> Option<Fault> {
        let wanted = self.binding.names.len();
        let (rule, detail) = match split {
            Split::Open => ("quotes", "a quote opens a field and nothing closes it".to_owned()),
            Split::Stray => ("quotes", "text follows a closing quote".to_owned()),
            Split::Whole if found > wanted || found + optional < wanted => {
                ("columns", format!("{found} fields where there are {wanted} columns"))
            }
            Split::Whole => return None,
        };
        Some(Fault::new(None, rule, detail))
    }

    fn read_text(
        &mut self,
        first: Line,
        lines: &mut Lines,
        events: &mut Vec<Vec<u8>>,
        rows: &TextRows,
    ) -> io::Result<Read> {
        let encoding = self.map.description().encoding;
        let Some(text) = encoding.decode(&first.text) else {
            let fault = Fault::new(None, "encoding", "the line is not UTF-8".to_owned());
            return Ok(Err(self.blame(first, Vec::new(), lines, &[], fault)));
        };
        let Some(mut fields) = fields_of(rows, &text) else {
            let detail = "the line begins no row: it matches none of `rows`".to_owned();
            let fault = Fault::new(None, "no_row", detail);
            drop(text);
            return Ok(Err(self.blame(first, Vec::new(), lines, &[], fault)));
        };
        let mut raw = first.text.clone();
        while let Some(column) = rows.continues
            && let Some(next) = lines.next()?
        {
            let more = encoding
                .decode(&next.text)
                .filter(|_| !next.cut && raw.len() + next.text.len() < LINE_BYTES_MAX);
            let Some(more) = more.filter(|more| fields_of(rows, more).is_none()) else {
                lines.put_back(vec![next]);
                break;
            };
            if let Some(field) = fields.get_mut(column) {
                let field = field.to_mut();
                field.push('\n');
                field.push_str(&more);
            }
            raw.push(b'\n');
            raw.extend_from_slice(&next.text);
        }
        if let Some(field) = rows.continues.and_then(|column| fields.get_mut(column)) {
            let end = field.trim_end().len();
            field.to_mut().truncate(end);
        }
        Ok(self.apply(first.number, &raw, &fields, events).map(|()| raw))
    }

    /// Lets the map make events of the fields of a row.
    #[expect(
        clippy::result_large_err,
        reason = "a faulty row is rare, and its error is what is kept of it"
    )]
    pub(super) fn apply(
        &mut self,
        line: u64,
        raw: &[u8],
        fields: &[Cow<'_, str>],
        events: &mut Vec<Vec<u8>>,
    ) -> Result<(), RowError> {
        if self.skipped {
            self.map.count(self.binding, self.row, fields, self.counters);
            return Ok(());
        }
        self.map
            .apply(self.binding, self.row, fields, self.counters, events)
            .map_err(|fault| explain(self.map, self.binding, line, raw, fields, fault))
    }

    /// A row that cannot be taken apart: its first line is bad, the others get another chance.
    fn blame(
        &mut self,
        first: Line,
        following: Vec<Line>,
        lines: &mut Lines,
        fields: &[Cow<'_, str>],
        fault: Fault,
    ) -> RowError {
        lines.put_back(following);
        let error = explain(self.map, self.binding, first.number, &first.text, fields, fault);
        RowError { raw: first.text, ..error }
    }
}

/// The groups of the first pattern that a line matches, in the order of the columns.
fn fields_of<'l>(rows: &TextRows, line: &'l str) -> Option<Vec<Cow<'l, str>>> {
    let found = rows.patterns.iter().find_map(|pattern| pattern.captures(line))?;
    let field = |name: &String| found.name(name).map_or("", |it| it.as_str().trim());
    Some(rows.columns.iter().map(|name| Cow::Borrowed(field(name))).collect())
}
