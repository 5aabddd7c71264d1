//! Rows on their way to the server: some hundred of a file in one request, each with its line and
//! its bytes as they were read, so that a bad one can be kept with its place.
//!
//! A batch holds whole rows in the order of the file and stays below what the server takes, however
//! long its rows are. Where something between here and the server takes less, a batch is cut in half
//! and all after it are smaller. A file that breaks off gives what stands before the break first.

use std::collections::VecDeque;
use std::path::Path;

use data_encoding::BASE64;
use events::cloudevents::row_weight;
use serde_json::{Value, json};

use super::{FileError, Item, Reader, RowError};

/// Events of one request, and rows.
const EVENTS_MAX: usize = events::cloudevents::BATCH_EVENTS_MAX;
/// Bytes of one request: less than what a proxy takes that nobody has configured.
const BYTES_MAX: usize = 1_000_000;
/// Bytes below which a batch is not cut further: a row of that size is cut itself.
const BYTES_MIN: usize = 16 * 1024;
/// Bytes that are sent of a row that is too large for any request.
const BYTES_OF_A_LARGE_ROW: usize = 8 * 1024;
/// The largest row that is sent whole. The server takes it alone.
const ROW_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Characters of the name of a file.
const NAME_CHARS_MAX: usize = 128;

/// Some rows of a file as one request.
#[derive(Debug)]
pub struct Batch {
    /// The body of the request.
    pub body: Vec<u8>,
    /// The last row that is in it.
    pub last_row: u64,
    /// Bytes taken from the file so far, compressed as they are.
    pub bytes_read: u64,
    rows: Vec<Packed>,
}

impl Batch {
    /// What the reader found wrong; the bytes of these rows are in the body.
    pub fn faults(&self) -> impl Iterator<Item = &RowError> {
        self.rows.iter().filter_map(|it| it.fault.as_ref())
    }
}

/// A row as it is sent.
#[derive(Debug)]
struct Packed {
    line: u64,
    row: u64,
    text: Vec<u8>,
    /// The start of its bytes, should it turn out to be too large.
    start: Vec<u8>,
    is_cut: bool,
    weight: usize,
    bytes_read: u64,
    fault: Option<RowError>,
}

/// The batches of a file.
#[derive(Debug)]
pub struct Batches {
    reader: Reader,
    head: Vec<u8>,
    is_table: bool,
    bytes_max: usize,
    held: VecDeque<Packed>,
    broken: Option<FileError>,
}

impl Batches {
    /// The rows of a reader; `is_table` when a map makes the events, `path` as the file was named.
    #[must_use]
    pub fn new(reader: Reader, path: &Path, is_table: bool) -> Self {
        let prefix = format!("{{\"file\":{},\"rows\":[", Value::from(name(path))).into_bytes();
        let (held, broken) = (VecDeque::new(), None);
        Self { reader, head: prefix, is_table, bytes_max: BYTES_MAX, held, broken }
    }

    /// Rows so far of which the map made no event.
    #[must_use]
    pub fn rows_without_events(&self) -> u64 {
        self.reader.rows_without_events()
    }

    /// The next rows; `None` at the end of the file.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, FileError> {
        let mut body = self.head.clone();
        let (mut rows, mut weight): (Vec<Packed>, usize) = (Vec::new(), 0);
        while let Some(row) = self.next_row() {
            let fits =
                weight + row.weight <= EVENTS_MAX && body.len() + row.text.len() <= self.bytes_max;
            if !rows.is_empty() && !fits {
                self.held.push_front(row);
                break;
            }
            if !rows.is_empty() {
                body.push(b',');
            }
            body.extend_from_slice(&row.text);
            weight += row.weight;
            rows.push(row);
        }
        let Some(last) = rows.last() else { return self.broken.take().map_or(Ok(None), Err) };
        let (last_row, bytes_read) = (last.row, last.bytes_read);
        body.extend(b"]}");
        Ok(Some(Batch { body, last_row, bytes_read, rows }))
    }

    /// Takes back a batch that was too large, so that the next ones are half of it. `false` when there
    /// is nothing left to make smaller.
    pub fn halve(&mut self, batch: Batch) -> bool {
        self.bytes_max = (batch.body.len() / 2).max(BYTES_MIN);
        let is_alone = batch.rows.len() == 1;
        for mut row in batch.rows.into_iter().rev() {
            if is_alone {
                if row.is_cut {
                    return false;
                }
                let fault = Some(("fault", b"{\"rule\":\"too_long\"}".as_slice()));
                row.text = row_of(row.line, &row.start, fault);
                (row.is_cut, row.weight) = (true, row_weight(0));
            }
            self.held.push_front(row);
        }
        true
    }

    /// The next row that is whole.
    fn next_row(&mut self) -> Option<Packed> {
        if let Some(held) = self.held.pop_front() {
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
            let packed = |text: Vec<u8>, raw: &[u8], events, fault| {
                let start = raw.get(..BYTES_OF_A_LARGE_ROW).unwrap_or(raw).to_vec();
                let weight = row_weight(events);
                Some(Packed { line, row, text, start, is_cut: false, weight, bytes_read, fault })
            };
            match outcome {
                Err(mut fault) => {
                    let raw = std::mem::take(&mut fault.raw);
                    let mut why = json!({"rule": fault.rule, "column": fault.column});
                    if let (Some((source, id)), Some(why)) = (&fault.event, why.as_object_mut()) {
                        why.insert("event".to_owned(), json!({"source": source, "id": id}));
                    }
                    let text = row_of(line, &raw, Some(("fault", why.to_string().as_bytes())));
                    return packed(text, &raw, 0, Some(fault));
                }
                Ok(event) if !self.is_table => {
                    return packed(row_of(line, &event, None), &event, 1, None);
                }
                Ok(event) => events.push(event),
            }
            if last_of_row {
                let all = [b"[".as_slice(), &events.join(&b','), b"]"].concat();
                let mut text = row_of(line, &raw, Some(("events", &all)));
                if ROW_BYTES_MAX < self.head.len() + text.len() {
                    text = row_of(line, &raw, Some(("fault", b"{\"rule\":\"too_long\"}")));
                }
                return packed(text, &raw, events.len(), None);
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

    use super::super::{Map, Plan};
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

    fn count(it: &Value) -> usize {
        it["rows"].as_array().unwrap().len()
    }

    #[test]
    fn a_batch_holds_so_many_rows_and_no_more_bytes_than_are_taken() {
        let many = batches(&b"{}\n".repeat(1_000));
        assert_eq!(many.iter().map(count).collect::<Vec<_>>(), [512, 488]);
        let long = format!("{}\n", "x".repeat(300 * 1024)).repeat(4);
        assert_eq!(batches(long.as_bytes()).iter().map(count).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn a_row_without_an_event_takes_a_place_of_the_batch_too() {
        const MAP: &str = r#"
            source = { source = "/x", columns = ["id", "day"], decimal = "." }
            every = { actor = "customer", time = "{at}" }
            [values]
            at = { instant = ["{day}", "12:00"] }
            [[event]]
            type = "sapa.interaction.noted.v1"
            id = "a-{id}"
            data = {}
            [[event]]
            type = "sapa.interaction.noted.v1"
            id = "b-{id}"
            data = {}
        "#;
        let mut rows = vec!["1,2024-01-01"; 256];
        rows[7] = "1,yesterday";
        let file = Box::new(Cursor::new(rows.join("\n").into_bytes()));
        let plan = Plan::Mapped(Box::new(Map::parse("m.toml", MAP).unwrap()));
        let reader = Reader::from_input("x.csv", file, plan, 0).unwrap();
        let mut batches = Batches::new(reader, Path::new("x.csv"), true);
        let mut weights = Vec::new();
        while let Some(batch) = batches.next_batch().unwrap() {
            weights.push(batch.rows.iter().map(|it| it.weight).sum::<usize>());
            let body: Value = serde_json::from_slice(&batch.body).unwrap();
            let weight = |it: &Value| row_weight(it["events"].as_array().map_or(0, Vec::len));
            let rows = body["rows"].as_array().unwrap();
            assert_eq!(rows.iter().map(weight).sum::<usize>(), *weights.last().unwrap());
        }
        // 255 rows of two events and one of none: one too many by no count.
        assert_eq!(weights, [511]);
    }

    #[test]
    fn a_batch_that_is_too_large_comes_again_in_halves_down_to_a_row_and_its_start() {
        let line = "x".repeat(60 * 1024);
        let file = format!("{line}\n").repeat(4);
        let file = Box::new(Cursor::new(file.into_bytes()));
        let reader = Reader::from_input("x.jsonl", file, Plan::JsonLines, 0).unwrap();
        let mut batches = Batches::new(reader, Path::new("x.jsonl"), false);
        let (mut sizes, mut cut, limit) = (Vec::new(), 0, 20 * 1024);
        while let Some(batch) = batches.next_batch().unwrap() {
            if limit < batch.body.len() {
                sizes.push(batch.rows.len());
                assert!(batches.halve(batch));
                continue;
            }
            let body: Value = serde_json::from_slice(&batch.body).unwrap();
            for row in body["rows"].as_array().unwrap() {
                assert_eq!(row["fault"]["rule"], "too_long");
                assert!(line.starts_with(row["raw"].as_str().unwrap()));
                cut += 1;
            }
        }
        assert!(sizes.starts_with(&[4]) && sizes[1..].iter().all(|it| *it < 4), "{sizes:?}");
        assert_eq!(cut, 4);
    }
}
