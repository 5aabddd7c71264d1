//! `sapa event import`: history out of a file, batch by batch, resumable. Ids come from the source
//! and the row, never from content, so that a second run says `duplicate` for every event and ends
//! with 0.
//!
//! A bad row costs that row only: the server keeps it in quarantine with its file and line, it is
//! told with its place, and the import ends with 4. It is kept once however often the file comes.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Answer, Call, Client, Method};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::import::batch::{Batch, Batches};
use crate::import::checkpoint::{self, Fingerprint};
use crate::import::{FileError, Map, Plan, Reader};

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

/// What became of a file: events that were recorded or here already, and rows that were kept aside.
#[derive(Debug, Default, Serialize)]
struct Tally {
    recorded: u64,
    duplicates: u64,
    quarantined: u64,
}

impl Import {
    /// Reads, sends, remembers.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (plan, hash) = self.plan()?;
        let is_table = matches!(plan, Plan::Csv(_));
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
        let reader = Reader::open(&self.file, plan, start).map_err(|error| told(&error))?;
        let bar = bar(session, reader.total_bytes());
        let mut batches = Batches::new(reader, &self.file, is_table);
        let client = session.client()?;
        let mut tally = Tally::default();
        let mut talk = Talk { left: TOLD_MAX, bar: &bar };
        while let Some(batch) =
            tokio::task::block_in_place(|| batches.next_batch()).map_err(|error| told(&error))?
        {
            bar.set_position(batch.bytes_read);
            batch.faults.iter().for_each(|it| talk.say(&it.to_string()));
            let (row, faults) = (batch.last_row, count(batch.faults.len()));
            if is_dry {
                tally.recorded += count(batch.events);
                tally.quarantined += faults;
                continue;
            }
            send(&client, session, batch, &mut tally, &mut talk).await?;
            if let Some(file) = &file {
                // Losing it costs time, not facts.
                let _ = checkpoint::store(&dir, file, &hash, row);
            }
        }
        bar.finish_and_clear();
        if let (Some(file), false) = (&file, is_dry) {
            let _ = checkpoint::clear(&dir, file, &hash);
        }
        end(session, &tally)
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

/// Bad rows, one by one, until there are too many to read.
struct Talk<'a> {
    left: u64,
    bar: &'a ProgressBar,
}

impl Talk<'_> {
    fn say(&mut self, line: &str) {
        if 0 < self.left {
            self.left -= 1;
            self.bar.suspend(|| eprintln!("{line}"));
        }
    }
}

/// Sends one batch; good rows are recorded beside bad ones, which are kept.
async fn send(
    client: &Client,
    session: &Session,
    batch: Batch,
    tally: &mut Tally,
    talk: &mut Talk<'_>,
) -> Result<(), Failure> {
    let call = Call::new(Method::POST, &["v1", "events", "import"])
        .sending("application/json", batch.body);
    let answer: Answer = client.call(&call).await?;
    let exit = answer.exit();
    if exit != Exit::Done {
        session.output.answer(&answer, &[])?;
        return Err(Failure::told(exit));
    }
    let answer = answer.json();
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    tally.recorded += number("recorded");
    tally.duplicates += number("duplicates");
    tally.quarantined += number("quarantined");
    for item in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        let line = item.get("line").and_then(Value::as_u64).unwrap_or_default();
        // What the reader found wrong has been told with its excerpt.
        if batch.faults.iter().all(|it| it.line != line) {
            let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
            talk.say(&format!("line {line}: {} ({})", text("detail"), text("code")));
            for it in item.get("errors").and_then(Value::as_array).into_iter().flatten() {
                let part = |name: &str| it.get(name).and_then(Value::as_str).unwrap_or_default();
                talk.say(&format!("  {}: {} ({})", part("pointer"), part("detail"), part("rule")));
            }
        }
    }
    Ok(())
}

/// Tells the counts, and what to do about the rows that were kept.
fn end(session: &Session, tally: &Tally) -> Result<Exit, Failure> {
    let is_dry = session.globals.dry_run;
    match session.output.format {
        _ if is_dry => {
            let would = json!({
                "would_record": tally.recorded, "would_quarantine": tally.quarantined,
            });
            session.output.value(&would, &[])?;
        }
        Format::Json | Format::Jsonl => {
            session.output.bytes(&serde_json::to_vec(tally).map_err(Failure::internal)?)?;
        }
        _ => {
            session.output.value(&serde_json::to_value(tally).map_err(Failure::internal)?, &[])?;
        }
    }
    if tally.quarantined == 0 {
        return Ok(Exit::Done);
    }
    let (many, next) = if is_dry {
        ("would be kept", "Correct them, or the map.")
    } else {
        (
            "are kept",
            "Look at `sapa quarantine list`, correct them or the map, and import the file again.",
        )
    };
    session.output.note(&format!("{} bad rows {many} in quarantine\n  {next}", tally.quarantined));
    Ok(Exit::Invalid)
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
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
