//! `sapa event import`: history out of a file, batch by batch, resumable. Ids come from the source
//! and the row, never from content, so that a second run says `duplicate` for every row and ends
//! with 0. A bad row is told with its place and costs that row only.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::client::{Answer, Call, Client, Method};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::import::checkpoint::{self, Fingerprint};
use crate::import::{FileError, Item, Map, Plan, Reader};

/// Events of one request.
const BATCH: usize = 512;
/// Bytes of one request, below what the server takes.
const BATCH_BYTES: usize = 3 * 1024 * 1024;
/// Bad rows that are told one by one.
const TOLD_MAX: u64 = 20;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// One event a line
    Jsonl,
    /// A table, read through a map
    Csv,
}

/// Its arguments.
#[derive(Debug, Args)]
pub struct Import {
    /// The file, plain or gzipped, or - for standard input
    pub file: PathBuf,
    /// What it holds [default: by its name]
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// How rows become events: a file, or the name of a shipped map
    #[arg(long, value_name = "MAP")]
    pub map: Option<String>,
    /// The source of its events [default: that of the map]
    #[arg(long)]
    pub source: Option<String>,
}

/// Events, the last row that is whole with them, and whether the file has ended.
type Taken = (Vec<Vec<u8>>, Option<u64>, bool);

/// What became of the rows.
#[derive(Debug, Default)]
struct Tally {
    recorded: u64,
    duplicates: u64,
    refused: u64,
    last: Option<i64>,
}

impl Import {
    /// Reads, sends, remembers.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (plan, hash) = self.plan()?;
        let dir = session.config.data_dir.clone();
        let file = (self.file != Path::new("-"))
            .then(|| Fingerprint::of(&self.file))
            .transpose()
            .map_err(|error| Failure::file("read", &self.file, &error))?;
        let is_dry = session.globals.dry_run;
        let start = match &file {
            Some(file) if !is_dry => checkpoint::load(&dir, file, &hash).unwrap_or(0),
            _ => 0,
        };
        if start != 0 {
            session.output.note(&format!("going on after row {start}"));
        }
        let mut reader = Reader::open(&self.file, plan, start).map_err(|error| told(&error))?;
        let bar = bar(session, reader.total_bytes());
        let client = session.client()?;
        let mut tally = Tally::default();
        loop {
            let (batch, row, ended) =
                tokio::task::block_in_place(|| next(&mut reader, &bar, &mut tally))?;
            if !batch.is_empty() && !is_dry {
                send(&client, session, &batch, &mut tally).await?;
            } else {
                tally.recorded += u64::try_from(batch.len()).unwrap_or_default();
            }
            if let (Some(file), Some(row), false) = (&file, row, is_dry) {
                // Losing it costs time, not facts.
                let _ = checkpoint::store(&dir, file, &hash, row);
            }
            if ended {
                break;
            }
        }
        bar.finish_and_clear();
        if let (Some(file), false) = (&file, is_dry) {
            let _ = checkpoint::clear(&dir, file, &hash);
        }
        let outcome = if is_dry { "would_record" } else { "recorded" };
        let answer = json!({
            outcome: tally.recorded, "duplicates": tally.duplicates, "refused": tally.refused,
            "last_position": tally.last,
        });
        session.output.value(&answer, &[])?;
        Ok(if tally.refused == 0 { Exit::Done } else { Exit::Invalid })
    }

    fn plan(&self) -> Result<(Plan, String), Failure> {
        let name = self.file.to_string_lossy().to_ascii_lowercase();
        let name = Path::new(name.trim_end_matches(".gz"));
        let is_csv = match self.format {
            Some(format) => format == FileFormat::Csv,
            None => self.map.is_some() || name.extension().is_some_and(|it| it == "csv"),
        };
        if !is_csv {
            return Ok((Plan::JsonLines, String::new()));
        }
        let Some(map) = &self.map else {
            return Err(Failure::new(
                Exit::Usage,
                "a table needs a map that says what its columns mean",
                "Add --map FILE, or the name of a shipped map.",
            ));
        };
        let map = Map::load(map)
            .map_err(|error| Failure::new(Exit::Invalid, error.to_string(), "Correct the map."))?;
        let map = match &self.source {
            Some(source) => map.with_source(source),
            None => map,
        };
        let hash = map.hash().to_owned();
        Ok((Plan::Csv(Box::new(map)), hash))
    }
}

/// The next events that fit one request.
fn next(reader: &mut Reader, bar: &ProgressBar, tally: &mut Tally) -> Result<Taken, Failure> {
    let (mut batch, mut bytes, mut row) = (Vec::new(), 0, None);
    for item in reader.by_ref() {
        let Item { row: number, last_of_row, bytes_read, outcome, .. } =
            item.map_err(|error| told(&error))?;
        bar.set_position(bytes_read);
        match outcome {
            Ok(event) => {
                bytes += event.len();
                batch.push(event);
            }
            Err(error) => {
                tally.refused += 1;
                if tally.refused <= TOLD_MAX {
                    bar.suspend(|| eprintln!("{error}"));
                }
            }
        }
        if last_of_row {
            row = Some(number);
            if BATCH <= batch.len() + 8 || BATCH_BYTES <= bytes {
                return Ok((batch, row, false));
            }
        }
        if BATCH == batch.len() {
            return Ok((batch, row, false));
        }
    }
    Ok((batch, row, true))
}

/// Sends one batch; good events are recorded beside bad ones.
async fn send(
    client: &Client,
    session: &Session,
    batch: &[Vec<u8>],
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut body = vec![b'['];
    body.extend(batch.join(&b','));
    body.push(b']');
    let call = Call::new(Method::POST, &["v1", "events"])
        .with("atomic", Some(false))
        .sending("application/cloudevents-batch+json", body);
    let answer: Answer = client.call(&call).await?;
    let exit = answer.exit();
    if exit != Exit::Done {
        session.output.answer(&answer, &[])?;
        return Err(Failure::told(exit));
    }
    let answer = answer.json();
    for item in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        match item.get("outcome").and_then(Value::as_str) {
            Some("recorded") => tally.recorded += 1,
            Some(_) => tally.duplicates += 1,
            None => {
                tally.refused += 1;
                if tally.refused <= TOLD_MAX {
                    let text =
                        |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
                    eprintln!("{}: {} ({})", text("event_id"), text("detail"), text("code"));
                }
            }
        }
        tally.last = item.get("position").and_then(Value::as_i64).max(tally.last);
    }
    Ok(())
}

fn bar(session: &Session, total: Option<u64>) -> ProgressBar {
    let hidden = session.globals.quiet
        || !std::io::stderr().is_terminal()
        || std::env::var_os("CI").is_some();
    match total {
        Some(total) if !hidden => {
            let style = ProgressStyle::with_template(
                "{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            );
            let bar = ProgressBar::new(total);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        }
        _ => ProgressBar::hidden(),
    }
}

fn told(error: &FileError) -> Failure {
    let why = std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default();
    Failure::new(Exit::Invalid, format!("{error}{why}"), "Everything before it is recorded.")
}
