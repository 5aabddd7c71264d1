//! What is printed: data on standard output in the wanted format, talk on standard error.
//! `json` prints exactly what the API answered. A closed pipe ends the command quietly.

mod card;
mod table;
pub(crate) mod words;

use std::io::{IsTerminal, Write};

use events::problem::Language;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cli::Format;
use crate::client::Answer;
use crate::exit::{Exit, Failure};
use crate::say;

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
    /// The server that is asked, named beside what it refuses.
    pub server: String,
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
            self.note(&say!("done", "selesai"));
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
                    self.note(&say!("more: --cursor {cursor}", "lanjut: --cursor {cursor}"));
                }
                Ok(())
            }
            (Format::Table, None) => self.text(&table::of_object(self, value, columns)),
        }
    }

    /// Prints an answer that is a customer's card: ten lines for a person.
    pub fn card(&self, answer: &Answer) -> Result<Exit, Failure> {
        if self.format != Format::Table || answer.exit() != Exit::Done {
            return self.answer(answer, &[]);
        }
        self.text(&card::lines(self, &answer.json()))?;
        Ok(Exit::Done)
    }

    fn csv(&self, items: &[Value], columns: &[&str]) -> Result<(), Failure> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in table::csv(self, items, columns) {
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
        let (problem, server) = (answer.json(), &self.server);
        let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
        let error = error_word();
        if text("code").is_empty() {
            let status = answer.status;
            let what = say!(
                "{server} answered with status {status} and says no more",
                "{server} menjawab dengan status {status} tanpa keterangan"
            );
            let remedy = say!(
                "Check that this is a Sapa server and that nothing stands in front of it.",
                "Periksa bahwa ini server Sapa dan tidak ada apa pun di depannya."
            );
            eprintln!("{error}: {what}\n  {remedy}");
            return Ok(());
        }
        eprintln!("{error}: {} ({})", text("title"), text("code"));
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
        eprintln!("  {}", say!("Asked: {server}", "Yang ditanya: {server}"));
        Ok(())
    }

    /// A value in one line for people.
    #[must_use]
    pub fn line(&self, value: &Value) -> String {
        table::shown(self, "", value)
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

/// What stands in front of an error.
#[must_use]
pub fn error_word() -> String {
    say!("error", "kesalahan")
}

/// The command to try after a problem, where its hint names none.
fn next_step(code: &str) -> Option<String> {
    Some(match code {
        "token_invalid" => say!(
            "Give a key of this server with --key, SAPA_KEY or SAPA_KEY_FILE.",
            "Berikan kunci server ini dengan --key, SAPA_KEY, atau SAPA_KEY_FILE."
        ),
        "scope_missing" => say!(
            "Ask for a key with that scope: `sapa key create NAME --scope …`.",
            "Minta kunci dengan cakupan itu: `sapa key create NAMA --scope …`."
        ),
        "customer_unknown" => {
            say!(
                "`sapa customer list` shows who is known.",
                "`sapa customer list` menunjukkan siapa yang dikenal."
            )
        }
        "unknown_type" => {
            say!(
                "`sapa schema list` shows every kind.",
                "`sapa schema list` menunjukkan semua jenis."
            )
        }
        "schema_invalid" => say!(
            "`sapa schema show TYPE` shows the schema.",
            "`sapa schema show JENIS` menunjukkan skemanya."
        ),
        "route_unknown" => say!(
            "The server is of another version, or has no such command yet.",
            "Servernya berversi lain, atau belum memiliki perintah ini."
        ),
        "unavailable" => {
            say!("`sapa health` shows what is missing.", "`sapa health` menunjukkan yang kurang.")
        }
        _ => return None,
    })
}
