//! What is printed: data on standard output in the wanted format, talk on standard error.
//! `json` prints exactly what the API answered. A closed pipe ends the command quietly.

mod table;

use std::io::{IsTerminal, Write};

use events::problem::Language;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cli::Format;
use crate::client::Answer;
use crate::exit::{Exit, Failure};

pub use table::member;

/// How this process prints.
#[derive(Clone, Debug)]
pub struct Output {
    /// The format.
    pub format: Format,
    /// The language of sentences.
    pub language: Language,
    /// The zone of printed times.
    pub zone: TimeZone,
    /// Colour is wanted and possible.
    pub color: bool,
    /// No talk on standard error.
    pub quiet: bool,
}

impl Output {
    /// The format of a process: as asked, else by whether a person is looking.
    #[must_use]
    pub fn format_of(asked: Option<Format>, json: bool) -> Format {
        match asked {
            _ if json => Format::Json,
            Some(format) => format,
            None if std::io::stdout().is_terminal() => Format::Table,
            None => Format::Jsonl,
        }
    }

    /// Prints an answer of the API, or the problem it is, and says with which code to end.
    pub fn answer(&self, answer: &Answer, columns: &[&str]) -> Result<Exit, Failure> {
        let exit = answer.exit();
        if exit != Exit::Done {
            self.problem(answer)?;
            return Ok(exit);
        }
        if answer.body.is_empty() {
            self.note("done");
            return Ok(exit);
        }
        match self.format {
            Format::Json => self.bytes(&answer.body)?,
            _ => self.value(&answer.json(), columns)?,
        }
        Ok(exit)
    }

    /// Prints a value that did not come over a wire.
    pub fn value(&self, value: &Value, columns: &[&str]) -> Result<(), Failure> {
        let items = value.get("items").and_then(Value::as_array).or_else(|| value.as_array());
        match (self.format, items) {
            (Format::Jsonl, Some(items)) => {
                items.iter().try_for_each(|it| self.bytes(it.to_string().as_bytes()))
            }
            (Format::Json, _) | (Format::Jsonl, None) => self.bytes(value.to_string().as_bytes()),
            (Format::Csv, _) => {
                self.csv(items.map_or(std::slice::from_ref(value), |it| it), columns)
            }
            (Format::Table, Some(items)) => {
                self.text(&table::of_items(self, items, columns))?;
                if let Some(cursor) = value.get("next_cursor").and_then(Value::as_str) {
                    self.note(&format!("more: --cursor {cursor}"));
                }
                Ok(())
            }
            (Format::Table, None) => self.text(&table::of_object(self, value)),
        }
    }

    fn csv(&self, items: &[Value], columns: &[&str]) -> Result<(), Failure> {
        let columns = table::columns_of(items, columns);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let rows = items.iter().map(|item| {
            let cell = |name: &String| member(item, name).map(table::raw).unwrap_or_default();
            columns.iter().map(cell).collect::<Vec<String>>()
        });
        for row in std::iter::once(columns.clone()).chain(rows) {
            writer.write_record(&row).map_err(Failure::internal)?;
        }
        let bytes = writer.into_inner().map_err(Failure::internal)?;
        self.text(String::from_utf8_lossy(&bytes).trim_end())
    }

    /// Tells a problem: as JSON where JSON was asked for, else in words on standard error.
    fn problem(&self, answer: &Answer) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.bytes(&answer.body);
        }
        let problem = answer.json();
        let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("code").is_empty() {
            eprintln!("error: the server answered with status {}", answer.status);
            eprintln!("  Check that --server names a Sapa server.");
            return Ok(());
        }
        eprintln!("error: {} ({})", text("title"), text("code"));
        for line in [text("detail"), text("hint")] {
            if !line.is_empty() && line != text("title") {
                eprintln!("  {line}");
            }
        }
        for finding in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
            eprintln!("  {}: {} ({})", part("pointer"), part("detail"), part("rule"));
        }
        if let Some(next) = next_step(text("code")) {
            eprintln!("  {next}");
        }
        Ok(())
    }

    /// A line of talk on standard error.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// One document, with a newline behind it if it has none.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let ending: &[u8] = if bytes.ends_with(b"\n") { b"" } else { b"\n" };
        out.write_all(bytes)
            .and_then(|()| out.write_all(ending))
            .and_then(|()| out.flush())
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::BrokenPipe => Failure::told(Exit::Done),
                _ => Failure::internal(format!("standard output: {error}")),
            })
    }

    /// Lines of text.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }
}

/// The command to try after a problem, where there is one.
fn next_step(code: &str) -> Option<&'static str> {
    match code {
        "token_invalid" => Some("Give a key with --key, SAPA_KEY or SAPA_KEY_FILE."),
        "scope_missing" => Some("Ask for a key with that scope: `sapa key create NAME --scope …`."),
        "customer_unknown" => Some("Look at `sapa customer list`."),
        "unknown_type" => Some("Look at `sapa schema list`."),
        "schema_invalid" => Some("Look at `sapa schema show TYPE`."),
        "route_unknown" => Some("This server is of another version, or has no such command yet."),
        "unavailable" => Some("Look at `sapa health`."),
        _ => None,
    }
}
