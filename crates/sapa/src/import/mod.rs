//! History out of files: JSON Lines of events as they are, or rows through a [`Map`].
//!
//! [`Reader`] turns a file into events one row at a time, in bounded memory. It promises that the
//! same file and map always give the same events with the same ids, and that a bad row costs that
//! row and nothing else: it comes out as a [`RowError`] with its line, and the next row follows.
//! It records nothing and validates nothing; events go through the one validator like all others.

pub mod batch;
mod calendar;
pub mod checkpoint;
mod csv;
mod date_forms;
mod dates;
mod doc;
mod event;
mod fault;
mod forms;
mod lines;
mod map;
mod numbers;
mod report;
mod rows;
pub mod shipped;
mod source;
mod spelling;
mod template;
mod texts;
mod value;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use self::calendar::Calendar;
use self::csv::Split;
pub use self::fault::{FileError, MapError, RowError};
use self::forms::Counters;
use self::lines::{Line, Lines};
use self::map::Binding;
pub use self::map::Map;
use self::report::explain;
use self::rows::RowReader;
use self::source::Format;
use self::template::AMBIGUOUS_NUMBER;

/// The longest line that is kept: four times the largest event.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What is in a file and how it becomes events.
#[derive(Debug)]
pub enum Plan {
    /// One structured event a line, passed on as it is.
    JsonLines,
    /// Rows that become events through a map.
    Mapped(Box<Map>),
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
    calendar: Calendar,
    row: u64,
    rows_without_events: u64,
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
    ///
    /// A map that does not say how the file writes numbers is refused here, with the first row whose
    /// number can be read in two ways; for that the file is read once more.
    pub fn open(path: &Path, plan: Plan, start_after_row: u64) -> Result<Self, FileError> {
        if let Plan::Mapped(map) = &plan
            && map.leaves_numbers_open()
        {
            refuse_open_numbers(path, map)?;
        }
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

    /// Rows so far of which the map made no event.
    #[must_use]
    pub fn rows_without_events(&self) -> u64 {
        self.rows_without_events
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
            Plan::Mapped(map) => (header(&file, &mut lines, map)?, map.counters()),
        };
        let ready = VecDeque::new();
        Ok(Self {
            file,
            size,
            lines,
            plan,
            binding,
            counters,
            calendar: Calendar::default(),
            row: 0,
            rows_without_events: 0,
            start_after_row,
            ready,
            ended: false,
        })
    }

    /// Reads one row and puts what comes of it into `ready`; `false` at the end of the file.
    fn read_row(&mut self) -> io::Result<bool> {
        let mut events = Vec::new();
        let row = self.row + 1;
        let skipped = row <= self.start_after_row;
        let is_calendar = matches!(&self.plan, Plan::Mapped(map)
            if matches!(map.description().format, Format::Calendar));
        let (number, read) = if is_calendar {
            match self.read_calendar(row, skipped, &mut events)? {
                Some(read) => read,
                None => return Ok(false),
            }
        } else {
            let Some(line) = next_full(&mut self.lines)? else { return Ok(false) };
            let number = line.number;
            let read = if line.cut {
                Err(too_long(line))
            } else {
                match &self.plan {
                    Plan::JsonLines => {
                        events.push(line.text.trim_ascii().to_vec());
                        Ok(Vec::new())
                    }
                    Plan::Mapped(map) => {
                        let (binding, counters) = (&self.binding, &mut self.counters);
                        RowReader { map, binding, counters, row, skipped }.read(
                            line,
                            &mut self.lines,
                            &mut events,
                        )?
                    }
                }
            };
            (number, read)
        };
        self.row = row;
        if skipped {
            return Ok(true);
        }
        if read.is_ok() && events.is_empty() {
            self.rows_without_events += 1;
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

    /// The next event of a calendar, and the line where it begins.
    fn read_calendar(
        &mut self,
        row: u64,
        skipped: bool,
        events: &mut Vec<Vec<u8>>,
    ) -> io::Result<Option<(u64, rows::Read)>> {
        let Plan::Mapped(map) = &self.plan else { return Ok(None) };
        let Some(piece) = self.calendar.next_event(&mut self.lines)? else { return Ok(None) };
        let (binding, counters) = (&self.binding, &mut self.counters);
        let read = match self.calendar.fields(&piece, map) {
            Ok(fields) => RowReader { map, binding, counters, row, skipped }
                .apply(piece.line, &piece.raw, &fields, events),
            Err(fault) => Err(explain(map, binding, piece.line, &piece.raw, &[], fault)),
        };
        Ok(Some((piece.line, read.map(|()| piece.raw))))
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

/// Reads a file to its end, only to see that no number of it has two meanings.
fn refuse_open_numbers(path: &Path, map: &Map) -> Result<(), FileError> {
    let file = path.display().to_string();
    let remedy = "say in [source] how numbers are written: decimal = \".\", or decimal = \",\" and \
                  thousands = \".\"";
    let refused = |line, rule: String, remedy: String| FileError::Refused {
        file: file.clone(),
        line,
        rule,
        remedy,
    };
    if path.as_os_str() == "-" {
        let rule = "the map does not say how numbers are written".to_owned();
        return Err(refused(1, rule, remedy.to_owned()));
    }
    let (lines, size) = Lines::open(path)?;
    for item in Reader::begin(file.clone(), size, lines, Plan::Mapped(Box::new(map.clone())), 0)? {
        let Err(error) = item?.outcome else { continue };
        if error.rule == AMBIGUOUS_NUMBER {
            let column = error.column.map(|it| format!("column `{it}`: ")).unwrap_or_default();
            let rule = format!("{column}{}", error.detail);
            return Err(refused(error.line, rule, format!("{remedy}\n{}", error.excerpt)));
        }
    }
    Ok(())
}

/// Finds the columns of the map: in the first line, or in the map itself.
fn header(file: &str, lines: &mut Lines, map: &Map) -> Result<Binding, FileError> {
    let unreadable = |source| FileError::Unreadable { file: file.to_owned(), source };
    let refused = |line, rule: &str, remedy: &str| FileError::Refused {
        file: file.to_owned(),
        line,
        rule: rule.to_owned(),
        remedy: remedy.to_owned(),
    };
    let source = map.description();
    for _ in 0..source.skip {
        lines.next().map_err(unreadable)?;
    }
    if matches!(source.format, Format::Calendar) {
        let first = next_full(lines).map_err(unreadable)?;
        let begins = |it: &Line| it.text.trim_ascii_end().eq_ignore_ascii_case(b"BEGIN:VCALENDAR");
        if !first.as_ref().is_some_and(begins) {
            return Err(refused(
                1,
                "no calendar: it does not begin with BEGIN:VCALENDAR",
                "name an .ics file, or a map of another format",
            ));
        }
        let columns: Vec<Cow<'_, str>> = map.used_columns().map(Cow::from).collect();
        return map.bind(file, 0, &columns);
    }
    if let Some(columns) = source.declared_columns() {
        let columns: Vec<Cow<'_, str>> = columns.iter().map(Cow::from).collect();
        return map.bind(file, 0, &columns);
    }
    let remedy = "give the file a first line with names, or the map `columns`";
    let Some(line) = next_full(lines).map_err(unreadable)? else {
        return Err(refused(1, "an empty file without a header", remedy));
    };
    let Format::Table { delimiter, .. } = &source.format else {
        return Err(refused(line.number, "no table", remedy));
    };
    let mut fields = Vec::new();
    let text = source.encoding.decode(&line.text).ok_or_else(|| {
        let remedy = "save the file as UTF-8, or declare its `encoding` in [source]";
        refused(line.number, "the header is not UTF-8", remedy)
    })?;
    match csv::split(&text, *delimiter, &mut fields) {
        Split::Whole if !line.cut => map.bind(file, line.number, &fields),
        _ => Err(refused(line.number, "the header is not one row of names", remedy)),
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
        event: None,
    }
}
