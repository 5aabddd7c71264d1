//! Rows on their way to the server: some hundred of a file in one request, each with its line and
//! its bytes as they were read, so that a bad one can be kept with its place.
//!
//! A batch holds whole rows in the order of the file and stays below what the server takes, however
//! long its rows are. A file that breaks off gives what stands before the break first.

use std::path::Path;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{FileError, Item, Reader, RowError};

/// Events of one request, and rows.
const EVENTS_MAX: usize = events::cloudevents::BATCH_EVENTS_MAX;
/// Bytes of one request, below what the server takes.
const BYTES_MAX: usize = 3 * 1024 * 1024;
/// Characters of the name of a file.
const NAME_CHARS_MAX: usize = 128;

/// Some rows of a file as one request.
#[derive(Debug)]
pub struct Batch {
    /// The body of the request.
    pub body: Vec<u8>,
    /// How many events are in it.
    pub events: usize,
    /// The last row that is in it.
    pub last_row: u64,
    /// Bytes taken from the file so far, compressed as they are.
    pub bytes_read: u64,
    /// What the reader found wrong; the bytes of these rows are in the body.
    pub faults: Vec<RowError>,
}

/// A row as it is sent.
#[derive(Debug)]
struct Packed {
    row: u64,
    text: Vec<u8>,
    events: usize,
    bytes_read: u64,
    fault: Option<RowError>,
}

/// The batches of a file.
#[derive(Debug)]
pub struct Batches {
    reader: Reader,
    head: Vec<u8>,
    is_table: bool,
    held: Option<Packed>,
    broken: Option<FileError>,
}

impl Batches {
    /// The rows of a reader; `is_table` when a map makes the events, `path` as the file was named.
    #[must_use]
    pub fn new(reader: Reader, path: &Path, is_table: bool) -> Self {
        let head = format!("{{\"file\":{},\"rows\":[", Value::from(name(path))).into_bytes();
        Self { reader, head, is_table, held: None, broken: None }
    }

    /// The next rows; `None` at the end of the file.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, FileError> {
        let mut batch = Batch {
            body: self.head.clone(),
            events: 0,
            last_row: 0,
            bytes_read: 0,
            faults: Vec::new(),
        };
        let mut rows = 0;
        while let Some(row) = self.next_row() {
            let fits = rows < EVENTS_MAX
                && batch.events + row.events <= EVENTS_MAX
                && batch.body.len() + row.text.len() <= BYTES_MAX;
            if 0 < rows && !fits {
                self.held = Some(row);
                break;
            }
            if 0 < rows {
                batch.body.push(b',');
            }
            rows += 1;
            batch.body.extend(row.text);
            batch.events += row.events;
            batch.last_row = row.row;
            batch.bytes_read = row.bytes_read;
            batch.faults.extend(row.fault);
        }
        if 0 < rows {
            batch.body.extend(b"]}");
            return Ok(Some(batch));
        }
        self.broken.take().map_or(Ok(None), Err)
    }

    /// The next row that is whole.
    fn next_row(&mut self) -> Option<Packed> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        if self.broken.is_some() {
            return None;
        }
        let mut events = Vec::new();
        loop {
            let Item { line, row, last_of_row, bytes_read, raw, outcome } =
                match self.reader.next()? {
                    Ok(item) => item,
                    Err(error) => {
                        self.broken = Some(error);
                        return None;
                    }
                };
            let packed = |text: Vec<u8>, events, fault| {
                Some(Packed { row, text, events, bytes_read, fault })
            };
            match outcome {
                Err(mut fault) => {
                    let raw = std::mem::take(&mut fault.raw);
                    let why = json!({"rule": fault.rule, "column": fault.column});
                    let text = row_of(line, &raw, Some(("fault", why.to_string().as_bytes())));
                    return packed(text, 0, Some(fault));
                }
                Ok(event) if !self.is_table => return packed(row_of(line, &event, None), 1, None),
                Ok(event) => events.push(event),
            }
            if last_of_row {
                let all = [b"[".as_slice(), &events.join(&b','), b"]"].concat();
                let mut text = row_of(line, &raw, Some(("events", &all)));
                if BYTES_MAX < self.head.len() + text.len() {
                    text = row_of(line, &raw, Some(("fault", b"{\"rule\":\"too_long\"}")));
                }
                return packed(text, events.len(), None);
            }
        }
    }
}

/// One row as JSON, with one more member that is JSON already.
fn row_of(line: u64, raw: &[u8], member: Option<(&str, &[u8])>) -> Vec<u8> {
    let as_text = std::str::from_utf8(raw).ok().map(|it| Value::from(it).to_string());
    let as_bytes = || format!("\"{}\"", BASE64.encode(raw));
    // Text that is mostly escapes would grow sixfold.
    let (name, raw) = match as_text {
        Some(text) if text.len() <= 2 * raw.len() + 2 => ("raw", text),
        _ => ("raw_base64", as_bytes()),
    };
    let mut text = format!("{{\"line\":{line},\"{name}\":{raw}").into_bytes();
    if let Some((name, member)) = member {
        text.extend(format!(",\"{name}\":").into_bytes());
        text.extend(member);
    }
    text.push(b'}');
    text
}

/// What a file is called in the quarantine: its name without folders, which say whose machine it was.
fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return "stdin".to_owned();
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.chars().filter(|it| !it.is_control()).take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::Plan;
    use super::*;

    fn batches(text: &[u8]) -> Vec<Value> {
        let file = Box::new(Cursor::new(text.to_vec()));
        let reader = Reader::from_input("x.jsonl", file, Plan::JsonLines, 0).unwrap();
        let mut batches = Batches::new(reader, Path::new("of-sari/x.jsonl"), false);
        let mut all = Vec::new();
        while let Some(batch) = batches.next_batch().unwrap() {
            assert!(batch.body.len() <= 4 * 1024 * 1024);
            all.push(serde_json::from_slice(&batch.body).unwrap());
        }
        all
    }

    #[test]
    fn a_line_is_sent_as_it_stands_whatever_it_is() {
        let all = batches(b"{\"id\": 1}\n{broken\n\xE9\n\n\x01\x02\x03\n");
        let rows = json!([
            {"line": 1, "raw": "{\"id\": 1}"},
            {"line": 2, "raw": "{broken"},
            {"line": 3, "raw_base64": "6Q=="},
            {"line": 5, "raw_base64": "AQID"},
        ]);
        assert_eq!(all, [json!({"file": "x.jsonl", "rows": rows})]);
    }

    #[test]
    fn a_batch_holds_so_many_rows_and_no_more_bytes_than_are_taken() {
        let count = |it: &Value| it["rows"].as_array().unwrap().len();
        let many = batches(&b"{}\n".repeat(1_000));
        assert_eq!(many.iter().map(count).collect::<Vec<_>>(), [512, 488]);
        let long = format!("{}\n", "x".repeat(900 * 1024)).repeat(4);
        assert_eq!(batches(long.as_bytes()).iter().map(count).collect::<Vec<_>>(), [3, 1]);
    }
}
