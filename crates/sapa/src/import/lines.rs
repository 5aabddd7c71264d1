//! Lines out of a file, plain or gzipped, with their numbers and a limit on their length.
//!
//! Memory is bounded: a line longer than the limit is reported and passed over, not kept. A file
//! in UTF-16 or a zip archive is refused by name instead of giving a million bad rows. Lines can be
//! put back, so that a quoted field that never closes costs one line.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::LINE_BYTES_MAX;
use super::fault::FileError;

/// Large enough that a read of a disk or a pipe is not what an import waits for.
const BUFFER_BYTES: usize = 64 * 1024;

/// One line without its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// At most [`LINE_BYTES_MAX`]; what came after is passed over.
    pub(super) text: Vec<u8>,
    /// The line was longer than that.
    pub(super) cut: bool,
}

/// The lines of one input, in order.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    returned: VecDeque<Line>,
    number: u64,
    bytes_read: Arc<AtomicU64>,
}

impl Lines {
    /// Opens a file, or standard input for `-`; also gives the size of a file, compressed as it is.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<u64>), FileError> {
        let name = path.display().to_string();
        let unreadable = |source| FileError::Unreadable { file: name.clone(), source };
        if path.as_os_str() == "-" {
            return Ok((Self::new(&name, Box::new(io::stdin()))?, None));
        }
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        Ok((Self::new(&name, Box::new(file))?, Some(size)))
    }

    /// Reads from anything; `name` is what faults call it.
    pub(super) fn new(name: &str, input: Box<dyn Read + Send>) -> Result<Self, FileError> {
        let unreadable = |source| FileError::Unreadable { file: name.to_owned(), source };
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { input, bytes: Arc::clone(&bytes_read) };
        let (start, input) = peek(counted).map_err(unreadable)?;
        // Gzip and zip say so in their first bytes; file names are not to be trusted.
        let (start, input): (Vec<u8>, Box<dyn Read + Send>) = match start.as_slice() {
            [0x1f, 0x8b, ..] => {
                let (start, input) =
                    peek(flate2::read::MultiGzDecoder::new(input)).map_err(unreadable)?;
                (start, Box::new(input))
            }
            _ => (start, Box::new(input)),
        };
        let refused = |rule: &str, remedy: &str| FileError::Refused {
            file: name.to_owned(),
            line: 1,
            rule: rule.to_owned(),
            remedy: remedy.to_owned(),
        };
        match start.as_slice() {
            [b'P', b'K', 3, 4] => {
                return Err(refused("a zip archive", "unpack it and import the file inside"));
            }
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return Err(refused("text in UTF-16", "save it as UTF-8"));
            }
            _ => {}
        }
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        if start.starts_with(b"\xef\xbb\xbf") {
            // A byte order mark says nothing in UTF-8 and would become part of the first name.
            input.read_exact(&mut [0; 3]).map_err(unreadable)?;
        }
        Ok(Self { input: Box::new(input), returned: VecDeque::new(), number: 0, bytes_read })
    }

    /// Bytes taken from the file so far, compressed as they are.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Puts lines back in front, in their order.
    pub(super) fn put_back(&mut self, lines: Vec<Line>) {
        for line in lines.into_iter().rev() {
            self.returned.push_front(line);
        }
    }

    /// The next line, with `\n` or `\r\n` taken off its end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.returned.pop_front() {
            return Ok(Some(line));
        }
        let mut line = Line::default();
        let mut any = false;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let text = end.and_then(|end| chunk.get(..end)).unwrap_or(chunk);
            let room = LINE_BYTES_MAX.saturating_sub(line.text.len());
            line.cut |= text.len() > room;
            line.text.extend_from_slice(text.get(..room).unwrap_or(text));
            let used = text.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        if line.text.last() == Some(&b'\r') {
            line.text.pop();
        }
        self.number += 1;
        line.number = self.number;
        Ok(Some(line))
    }
}

/// An input whose first bytes were looked at and put back.
type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first four bytes, and an input that still has them.
fn peek<R: Read + Send + 'static>(mut input: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut start = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(input)))
}

/// Counts what passes through, for the progress line.
struct Counted {
    input: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.bytes.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(count)
    }
}
