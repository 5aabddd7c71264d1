//! History out of files: JSON Lines of events as they are, or a table through a [`Map`].
//!
//! [`Reader`] turns a file into events one row at a time, in bounded memory. It promises that the
//! same file and map always give the same events with the same ids, and that a bad row costs that
//! row and nothing else: it comes out as a [`RowError`] with its line, and the next row follows.
//! It records nothing and validates nothing; events go through the one validator like all others.

pub mod batch;
pub mod checkpoint;
mod csv;
mod dates;
mod doc;
mod event;
mod fault;
mod forms;
mod lines;
mod map;
mod template;
mod value;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use self::csv::Split;
use self::fault::Fault;
pub use self::fault::{FileError, MapError, RowError};
use self::forms::Counters;
use self::lines::{Line, Lines};
use self::map::Binding;
pub use self::map::{Map, SHIPPED};

/// The longest line that is kept: four times the largest event.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A quoted field that runs over more lines than this is a stray quote, not a long remark.
const LINES_PER_ROW_MAX: usize = 100;

/// How much of a field an excerpt shows.
const EXCERPT_CHARS: usize = 40;

/// What is in a file and how it becomes events.
#[derive(Debug)]
pub enum Plan {
    /// One structured event a line, passed on as it is.
    JsonLines,
    /// A table whose rows become events through a map.
    Csv(Box<Map>),
}

/// One event of a file, or one row that gives none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The line in the file where the row starts, from 1.
    pub line: u64,
    /// The number of the row of data, from 1; headers and empty lines do not count.
    pub row: u64,
    /// No other item of this row follows: with it recorded, the row is.
    pub last_of_row: bool,
    /// Bytes taken from the file so far, compressed as they are; it runs a buffer ahead.
    pub bytes_read: u64,
    /// The row as it was read, beside the last of the events that a map made of it; empty
    /// elsewhere, since a line of JSON is its event and a bad row has its own.
    pub raw: Vec<u8>,
    /// A structured event as JSON, or why this row gives none.
    pub outcome: Result<Vec<u8>, RowError>,
}

/// The events of a file, in its order. After an `Err` nothing follows.
pub struct Reader {
    file: String,
    size: Option<u64>,
    lines: Lines,
    plan: Plan,
    binding: Binding,
    counters: Counters,
    row: u64,
    start_after_row: u64,
    ready: VecDeque<Item>,
    ended: bool,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("file", &self.file)
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file, plain or gzipped, or standard input for `-`, and begins after a row (0 for the
    /// beginning). Rows before are read but not turned into events.
    pub fn open(path: &Path, plan: Plan, start_after_row: u64) -> Result<Self, FileError> {
        let (lines, size) = Lines::open(path)?;
        Self::begin(path.display().to_string(), size, lines, plan, start_after_row)
    }

    /// Reads from anything that gives bytes; `name` is what faults call it.
    pub fn from_input(
        name: &str,
        input: Box<dyn Read + Send>,
        plan: Plan,
        start_after_row: u64,
    ) -> Result<Self, FileError> {
        let lines = Lines::new(name, input)?;
        Self::begin(name.to_owned(), None, lines, plan, start_after_row)
    }

    /// The size of the file, compressed as it is; unknown for a stream.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        self.size
    }

    fn begin(
        file: String,
        size: Option<u64>,
        mut lines: Lines,
        plan: Plan,
        start_after_row: u64,
    ) -> Result<Self, FileError> {
        let (binding, counters) = match &plan {
            Plan::JsonLines => (Binding::default(), Counters::new()),
            Plan::Csv(map) => (header(&file, &mut lines, map)?, map.counters()),
        };
        let ready = VecDeque::new();
        Ok(Self {
            file,
            size,
            lines,
            plan,
            binding,
            counters,
            row: 0,
            start_after_row,
            ready,
            ended: false,
        })
    }

    /// Reads one row and puts what comes of it into `ready`; `false` at the end of the file.
    fn read_row(&mut self) -> io::Result<bool> {
        let Some(line) = next_full(&mut self.lines)? else { return Ok(false) };
        self.row += 1;
        let (number, row) = (line.number, self.row);
        let skipped = row <= self.start_after_row;
        let mut events = Vec::new();
        let read = if line.cut {
            Err(too_long(line))
        } else {
            match &self.plan {
                Plan::JsonLines => {
                    events.push(line.text.trim_ascii().to_vec());
                    Ok(Vec::new())
                }
                Plan::Csv(map) => Table {
                    map,
                    binding: &self.binding,
                    counters: &mut self.counters,
                    row,
                    skipped,
                }
                .read(line, &mut self.lines, &mut events)?,
            }
        };
        if skipped {
            return Ok(true);
        }
        let bytes_read = self.lines.bytes_read();
        let (raw, outcomes) = match read {
            Ok(raw) => (raw, events.into_iter().map(Ok).collect()),
            Err(error) => (Vec::new(), vec![Err(error)]),
        };
        self.ready.extend(outcomes.into_iter().map(|outcome| Item {
            line: number,
            row,
            last_of_row: false,
            bytes_read,
            raw: Vec::new(),
            outcome,
        }));
        if let Some(last) = self.ready.back_mut() {
            last.last_of_row = true;
            last.raw = raw;
        }
        Ok(true)
    }
}

impl Iterator for Reader {
    type Item = Result<Item, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            match self.read_row() {
                Ok(more) => self.ended = !more,
                Err(source) => {
                    self.ended = true;
                    return Some(Err(FileError::Unreadable { file: self.file.clone(), source }));
                }
            }
        }
    }
}

/// The next line that is not empty.
fn next_full(lines: &mut Lines) -> io::Result<Option<Line>> {
    while let Some(line) = lines.next()? {
        if !line.text.trim_ascii().is_empty() {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// Finds the columns of the map: in the first line, or in the map itself.
fn header(file: &str, lines: &mut Lines, map: &Map) -> Result<Binding, FileError> {
    if let Some(columns) = map.declared_columns() {
        let columns: Vec<Cow<'_, str>> = columns.iter().map(Cow::from).collect();
        return map.bind(file, 0, &columns);
    }
    let unreadable = |source| FileError::Unreadable { file: file.to_owned(), source };
    let refused = |line, rule: &str, remedy: &str| FileError::Refused {
        file: file.to_owned(),
        line,
        rule: rule.to_owned(),
        remedy: remedy.to_owned(),
    };
    let remedy = "give the file a first line with names, or the map `columns`";
    let Some(line) = next_full(lines).map_err(unreadable)? else {
        return Err(refused(1, "an empty file without a header", remedy));
    };
    let mut fields = Vec::new();
    let text = std::str::from_utf8(&line.text)
        .map_err(|_| refused(line.number, "the header is not UTF-8", "save the file as UTF-8"))?;
    match csv::split(text, map.delimiter(), &mut fields) {
        Split::Whole if !line.cut => map.bind(file, line.number, &fields),
        _ => Err(refused(line.number, "the header is not one row of names", remedy)),
    }
}

/// One row of a table on its way through a map.
struct Table<'t> {
    map: &'t Map,
    binding: &'t Binding,
    counters: &'t mut Counters,
    row: u64,
    /// Recorded by an earlier run: read it, count it, and make nothing of it.
    skipped: bool,
}

impl Table<'_> {
    /// Turns a row into events and gives it as it was read. The row may go on over the following lines inside quotes; when that
    /// ends badly only its first line is blamed and the others are read again as rows.
    fn read(
        mut self,
        first: Line,
        lines: &mut Lines,
        events: &mut Vec<Vec<u8>>,
    ) -> io::Result<Result<Vec<u8>, RowError>> {
        let mut following: Vec<Line> = Vec::new();
        let mut raw = first.text.clone();
        loop {
            let Ok(text) = std::str::from_utf8(&raw) else {
                let fault = Fault::new(None, "encoding", "the row is not UTF-8".to_owned());
                return Ok(Err(self.blame(first, following, lines, &[], &fault)));
            };
            let mut fields = Vec::new();
            let split = csv::split(text, self.map.delimiter(), &mut fields);
            if split == Split::Open
                && following.len() < LINES_PER_ROW_MAX
                && let Some(next) = lines.next()?
            {
                let fits = !next.cut && raw.len() + next.text.len() < LINE_BYTES_MAX;
                if fits {
                    drop(fields);
                    raw.push(b'\n');
                    raw.extend_from_slice(&next.text);
                    following.push(next);
                    continue;
                }
                following.push(next);
            }
            let fault = match self.fault_of(split, fields.len()) {
                Some(fault) => fault,
                None if self.skipped => {
                    self.map.count(self.binding, self.row, &fields, self.counters);
                    return Ok(Ok(Vec::new()));
                }
                None => {
                    let applied =
                        self.map.apply(self.binding, self.row, &fields, self.counters, events);
                    let told = applied.map_err(|fault| self.explain(&first, &raw, &fields, &fault));
                    drop(fields);
                    return Ok(told.map(|()| raw));
                }
            };
            // The key of a bad row may still be readable; then rows after it keep their numbers.
            self.map.count(self.binding, self.row, &fields, self.counters);
            return Ok(Err(self.blame(first, following, lines, &fields, &fault)));
        }
    }

    fn fault_of(&self, split: Split, found: usize) -> Option<Fault> {
        let wanted = self.binding.names.len();
        let (rule, detail) = match split {
            Split::Open => ("quotes", "a quote opens a field and nothing closes it".to_owned()),
            Split::Stray => ("quotes", "text follows a closing quote".to_owned()),
            Split::Whole if found != wanted => {
                ("columns", format!("{found} fields where there are {wanted} columns"))
            }
            Split::Whole => return None,
        };
        Some(Fault::new(None, rule, detail))
    }

    /// A row that cannot be taken apart: its first line is bad, the others get another chance.
    fn blame(
        &mut self,
        first: Line,
        following: Vec<Line>,
        lines: &mut Lines,
        fields: &[Cow<'_, str>],
        fault: &Fault,
    ) -> RowError {
        lines.put_back(following);
        let error = self.explain(&first, &first.text, fields, fault);
        RowError { raw: first.text, ..error }
    }

    /// Adds the place to a fault, and hides what the map calls personal.
    fn explain(&self, line: &Line, raw: &[u8], fields: &[Cow<'_, str>], fault: &Fault) -> RowError {
        let mut detail = fault.detail.clone();
        let mut shown = Vec::with_capacity(fields.len());
        for (name, field) in self.binding.names.iter().zip(fields) {
            if self.map.is_personal(name) && !field.is_empty() {
                detail = detail.replace(field.as_ref(), "***");
                shown.push("***".to_owned());
            } else {
                shown.push(shortened(field));
            }
        }
        let place = fault.column.and_then(|column| self.binding.place(column));
        let excerpt = match place {
            Some(place) => pointed(&shown, place),
            None if self.map.has_personal() => {
                "(not shown: the map marks columns as personal)".into()
            }
            None => shortened_to(&String::from_utf8_lossy(raw), 2 * EXCERPT_CHARS),
        };
        RowError {
            line: line.number,
            column: fault.column.and_then(|column| self.map.column(column)).map(str::to_owned),
            rule: fault.rule,
            detail,
            excerpt,
            raw: raw.to_vec(),
        }
    }
}

fn too_long(line: Line) -> RowError {
    RowError {
        line: line.number,
        column: None,
        rule: "too_long",
        detail: format!("the line is longer than {LINE_BYTES_MAX} bytes (LINE_BYTES_MAX)"),
        excerpt: String::new(),
        raw: line.text,
    }
}

/// The field at fault between its neighbours, and a line below that points at it.
fn pointed(fields: &[String], place: usize) -> String {
    let field = fields.get(place).map_or("", String::as_str);
    let before = fields.get(place.saturating_sub(2)..place).unwrap_or_default();
    let after = fields.get(place + 1..).unwrap_or_default();
    let mut text = if place > 2 { "…,".to_owned() } else { String::new() };
    for field in before {
        text.push_str(field);
        text.push(',');
    }
    let blanks = " ".repeat(text.chars().count());
    text.push_str(field);
    for field in after.iter().take(2) {
        text.push(',');
        text.push_str(field);
    }
    if after.len() > 2 {
        text.push_str(",…");
    }
    format!("{text}\n{blanks}{}", "^".repeat(field.chars().count().max(1)))
}

fn shortened(text: &str) -> String {
    shortened_to(text, EXCERPT_CHARS)
}

/// One line of at most so many characters, with `…` where something was cut.
fn shortened_to(text: &str, chars: usize) -> String {
    let mut all = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = all.by_ref().take(chars).collect();
    if all.next().is_some() {
        short.push('…');
    }
    short
}
