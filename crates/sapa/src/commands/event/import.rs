//! `sapa event import`: history out of a file, batch by batch, resumable. Ids come from the source
//! and the row, never from content, so that a second run says `duplicate` for every event and ends
//! with 0.
//!
//! A bad row costs that row only: the server keeps it in quarantine with its file and line, it is
//! told with its place, and the import ends with 4. It is kept once however often the file comes, and
//! released by the row that is recorded in its place. `--dry-run` takes the same way to the same
//! server, which judges every row and records nothing.

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
use crate::import::checkpoint::{self, Fingerprint, Last, Reached, Undertaking};
use crate::import::shipped::{self, SHIPPED};
use crate::import::{FileError, Map, Plan, Reader};
use crate::say;

/// Bad rows that are told one by one.
const TOLD_MAX: u64 = 20;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// One event a line
    Jsonl,
    /// Rows, read through a map
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
    /// How rows become events: a file, or the name of a shipped map (`sapa event maps`)
    #[arg(long, value_name = "MAP")]
    pub map: Option<String>,
    /// A setting of the map
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting, requires = "map")]
    pub settings: Vec<(String, String)>,
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

/// Whom an import writes to.
#[derive(Debug, Default)]
struct Target {
    log_id: String,
    tenant: String,
}

impl Import {
    /// Reads, sends, remembers.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (plan, map) = self.plan()?;
        let is_table = matches!(plan, Plan::Mapped(_));
        let client = session.client()?;
        let is_dry = session.globals.dry_run;
        let mut progress = if is_dry { None } else { self.progress(&client, map, session).await? };
        let start = match &mut progress {
            Some(progress) => progress.resume(&client, session).await?,
            None => 0,
        };
        let reader = tokio::task::block_in_place(|| Reader::open(&self.file, plan, start))
            .map_err(|error| refused(&error))?;
        let bar = bar(session, reader.total_bytes());
        let mut batches = Batches::new(reader, &self.file, is_table);
        let mut tally = Tally::default();
        let mut talk = Talk { left: TOLD_MAX, bar: &bar };
        while let Some(batch) = tokio::task::block_in_place(|| batches.next_batch())
            .map_err(|error| broken_off(&error))?
        {
            bar.set_position(batch.bytes_read);
            match send(&client, session, &batch, &mut tally, &mut talk).await? {
                Sent::Done(last) => {
                    if let Some(progress) = &mut progress {
                        progress.store(batch.last_row, last);
                    }
                }
                Sent::TooLarge => {
                    if !batches.halve(batch) {
                        return Err(too_large(&client));
                    }
                }
            }
        }
        bar.finish_and_clear();
        let silent = batches.rows_without_events();
        if 0 < silent {
            session.output.note(&say!(
                "{silent} rows give no event under this map",
                "{silent} baris tidak menghasilkan peristiwa dengan peta ini"
            ));
        }
        if !is_dry {
            // Only now do alerts about imported history ring, the most overdue first.
            finish(&client, session).await?;
            progress.iter().for_each(Progress::clear);
        }
        end(session, &tally)
    }

    /// How far an earlier run came on the same log; nothing for standard input, and nothing with a
    /// server that does not say which log it has.
    async fn progress(
        &self,
        client: &Client,
        map: String,
        session: &Session,
    ) -> Result<Option<Progress>, Failure> {
        if self.file == Path::new("-") {
            return Ok(None);
        }
        let file = Fingerprint::of(&self.file)
            .map_err(|error| Failure::file("read", &self.file, &error))?;
        let target = target(client, session).await?;
        let folder = session.config.data_dir.clone();
        Ok(target.map(|Target { log_id, tenant }| {
            let of = Undertaking { file, map, log_id, tenant };
            let reached = checkpoint::load(&folder, &of).unwrap_or_default();
            Progress { folder, of, reached }
        }))
    }

    fn plan(&self) -> Result<(Plan, String), Failure> {
        let name = self.file.to_string_lossy().to_ascii_lowercase();
        let name = Path::new(name.trim_end_matches(".gz"));
        let is_csv = match self.format {
            Some(format) => format == FileFormat::Csv,
            None => self.map.is_some() || name.extension().is_some_and(|it| it == "csv"),
        };
        let needs_map = ["ics", "txt"].iter().any(|it| name.extension().is_some_and(|e| e == *it));
        if !is_csv && !needs_map {
            return Ok((Plan::JsonLines, String::new()));
        }
        let Some(map) = &self.map else {
            return Err(Failure::new(
                Exit::Usage,
                say!(
                    "this file needs a map that says what its rows mean",
                    "berkas ini perlu peta yang menjelaskan arti barisnya"
                ),
                say!(
                    "Add --map FILE, or the name of a shipped map: see `sapa event maps`.",
                    "Tambahkan --map FILE, atau nama peta bawaan: lihat `sapa event maps`."
                ),
            ));
        };
        let map = Map::load(map, &self.settings).map_err(|error| {
            let remedy = say!("Correct the map.", "Perbaiki petanya.");
            Failure::new(Exit::Invalid, error.to_string(), remedy)
        })?;
        let map = match &self.source {
            Some(source) => map.with_source(source),
            None => map,
        };
        let hash = map.hash().to_owned();
        Ok((Plan::Mapped(Box::new(map)), hash))
    }
}

/// Where the progress of this import is kept.
#[derive(Debug)]
struct Progress {
    folder: PathBuf,
    of: Undertaking,
    reached: Reached,
}

impl Progress {
    /// The row to go on after. The log may have been restored from a backup that is older than the rows
    /// sent to it: then it does not have the last event where it was, and all rows are sent again.
    async fn resume(&mut self, client: &Client, session: &Session) -> Result<u64, Failure> {
        let row = self.reached.row;
        if row == 0 {
            return Ok(0);
        }
        if has(client, session, self.reached.last.as_ref()).await? {
            session
                .output
                .note(&say!("going on after row {row}", "melanjutkan setelah baris {row}"));
        } else {
            session.output.note(&say!(
                "the log no longer has the events of rows 1 to {row}; starting again from row 1",
                "log tidak lagi berisi peristiwa dari baris 1 sampai {row}; mulai lagi dari baris 1"
            ));
            self.reached = Reached::default();
        }
        Ok(self.reached.row)
    }

    /// Losing it costs time, not facts.
    fn store(&mut self, row: u64, last: Option<Last>) {
        self.reached.row = row;
        self.reached.last = last.or(self.reached.last.take());
        let _ = checkpoint::store(&self.folder, &self.of, &self.reached);
    }

    fn clear(&self) {
        let _ = checkpoint::clear(&self.folder, &self.of);
    }
}

/// Reads `NAME=VALUE`.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as NAME=VALUE, such as venue=aula-taman".to_owned()),
    }
}

/// Which log and tenant the server would record into.
async fn target(client: &Client, session: &Session) -> Result<Option<Target>, Failure> {
    let answer = client.call(&Call::get(&["v1", "events", "import"])).await?;
    match answer.exit() {
        Exit::Done => {}
        // A server of before this question.
        Exit::NotFound => return Ok(None),
        _ if answer.status == 405 => return Ok(None),
        exit => {
            session.output.answer(&answer, &[])?;
            return Err(Failure::told(exit));
        }
    }
    let answer = answer.json();
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(text("log_id").zip(text("tenant")).map(|(log_id, tenant)| Target { log_id, tenant }))
}

/// Whether the log has an event at the position where it was recorded.
async fn has(client: &Client, session: &Session, last: Option<&Last>) -> Result<bool, Failure> {
    let Some(last) = last else { return Ok(false) };
    let call = Call::get(&["v1", "events", "import"])
        .with("source", Some(&last.source))
        .with("id", Some(&last.id));
    let answer = client.call(&call).await?;
    if answer.exit() != Exit::Done {
        session.output.answer(&answer, &[])?;
        return Err(Failure::told(answer.exit()));
    }
    Ok(answer.json().get("position").and_then(Value::as_i64) == Some(last.position))
}

/// Says that the last row was sent.
async fn finish(client: &Client, session: &Session) -> Result<(), Failure> {
    let answer = client.call(&Call::post(&["v1", "events", "import", "end"], &json!({}))).await?;
    match answer.exit() {
        // A server of before this call finds out by itself after a while.
        Exit::Done | Exit::NotFound => Ok(()),
        _ if answer.status == 405 => Ok(()),
        exit => {
            session.output.answer(&answer, &[])?;
            Err(Failure::told(exit))
        }
    }
}

/// The maps that come with the program, or one of them as a file to copy and change.
pub(super) fn maps(session: &Session, name: Option<&str>) -> Result<Exit, Failure> {
    let Some(name) = name else {
        let items: Vec<Value> =
            SHIPPED.iter().map(|it| json!({"name": it.name, "title": it.title()})).collect();
        session.output.value(&json!({"items": items}), &["name", "title"])?;
        return Ok(Exit::Done);
    };
    let Some(map) = shipped::find(name) else {
        let names = SHIPPED.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(
            Exit::NotFound,
            say!("there is no shipped map `{name}`", "tidak ada peta bawaan `{name}`"),
            say!("Name one of {names}.", "Sebutkan salah satu dari {names}."),
        ));
    };
    session.output.text(map.text.trim_end())?;
    Ok(Exit::Done)
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

/// What came of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    /// With the last event of it that the log has.
    Done(Option<Last>),
    /// Nothing of it arrived: it has to be smaller.
    TooLarge,
}

/// Sends one batch; good rows are recorded beside bad ones, which are kept.
async fn send(
    client: &Client,
    session: &Session,
    batch: &Batch,
    tally: &mut Tally,
    talk: &mut Talk<'_>,
) -> Result<Sent, Failure> {
    let call = Call::new(Method::POST, &["v1", "events", "import"])
        .with("dry_run", session.globals.dry_run.then_some(true))
        .sending("application/json", batch.body.clone());
    let answer: Answer = client.call(&call).await?;
    // A proxy may say so with a page of its own.
    if answer.status == 413 {
        return Ok(Sent::TooLarge);
    }
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
    for it in batch.faults() {
        talk.say(&it.to_string());
    }
    for item in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        let line = item.get("line").and_then(Value::as_u64).unwrap_or_default();
        // What the reader found wrong has been told with its excerpt.
        if batch.faults().all(|it| it.line != line) {
            let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
            let (detail, code) = (text("detail"), text("code"));
            talk.say(&say!("line {line}: {detail} ({code})", "baris {line}: {detail} ({code})"));
            for it in item.get("errors").and_then(Value::as_array).into_iter().flatten() {
                let part = |name: &str| it.get(name).and_then(Value::as_str).unwrap_or_default();
                talk.say(&format!("  {}: {} ({})", part("pointer"), part("detail"), part("rule")));
            }
        }
    }
    let last = answer.get("last").and_then(|it| serde_json::from_value(it.clone()).ok());
    Ok(Sent::Done(last))
}

/// Tells the counts, and what to do about the rows that were kept.
fn end(session: &Session, tally: &Tally) -> Result<Exit, Failure> {
    let is_dry = session.globals.dry_run;
    let answer = if is_dry {
        json!({
            "would_record": tally.recorded,
            "would_duplicate": tally.duplicates,
            "would_quarantine": tally.quarantined,
        })
    } else {
        serde_json::to_value(tally).map_err(Failure::internal)?
    };
    match session.output.format {
        Format::Json | Format::Jsonl if !is_dry => {
            session.output.bytes(&serde_json::to_vec(tally).map_err(Failure::internal)?)?;
        }
        _ => session.output.value(&answer, &[])?,
    }
    if tally.quarantined == 0 {
        return Ok(Exit::Done);
    }
    let bad = tally.quarantined;
    let note = if is_dry {
        say!(
            "{bad} bad rows would be kept in quarantine\n  Correct them, or the map.",
            "{bad} baris yang salah akan dikarantina\n  Perbaiki barisnya, atau petanya."
        )
    } else {
        say!(
            "{bad} bad rows are kept in quarantine\n  Look at `sapa quarantine list`, correct them or the map, and import the file again.",
            "{bad} baris yang salah disimpan di karantina\n  Lihat `sapa quarantine list`, perbaiki baris atau petanya, lalu impor berkas itu lagi."
        )
    };
    session.output.note(&note);
    Ok(Exit::Invalid)
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

/// A file that cannot be begun: nothing of it was sent.
fn refused(error: &FileError) -> Failure {
    let remedy = say!("Nothing was recorded.", "Tidak ada yang tercatat.");
    Failure::new(Exit::Invalid, reason(error), remedy)
}

/// A file that ends with an error.
fn broken_off(error: &FileError) -> Failure {
    let remedy = say!("Everything before it is recorded.", "Semua sebelumnya sudah tercatat.");
    Failure::new(Exit::Invalid, reason(error), remedy)
}

fn reason(error: &FileError) -> String {
    let why = std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default();
    format!("{error}{why}")
}

/// Not even the start of one row goes through.
fn too_large(client: &Client) -> Failure {
    let server = client.server();
    Failure::new(
        Exit::Invalid,
        say!(
            "{server}, or a proxy before it, takes no request of 16 kB (413)",
            "{server}, atau proksi di depannya, menolak permintaan 16 kB (413)"
        ),
        say!(
            "Raise the limit of the proxy, such as client_max_body_size of nginx, and run it again.",
            "Naikkan batas proksi, seperti client_max_body_size di nginx, lalu jalankan lagi."
        ),
    )
}
