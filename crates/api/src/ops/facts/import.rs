//! `events.import`: a file of history, a few hundred rows at a time.
//!
//! What becomes an event goes through the one validator and is appended by itself. A row that gives
//! none, or whose event is refused, is kept in quarantine with its bytes and its place in the file,
//! and the rows after it go on. The same row of the same file is kept once, however often it is
//! sent. What may succeed later, and what is the fault of the key, is no fault of a row: the whole
//! request is refused and nothing of it is kept.

use std::borrow::Cow;

use data_encoding::BASE64;
use events::cloudevents::{self, BATCH_EVENTS_MAX, Sender};
use events::envelope::Incoming;
use events::id::{EventId, Source};
use events::problem::{Code, Language, Problem};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::quarantine::{self, Suspect};

use super::{raw, sender};
use crate::answer::{Reply, put, unappended, unwritten};
use crate::app::{App, Caller, Face};
use crate::ops::refused::{self, Envelope};
use crate::params::{Params, invalid};

/// Characters of the name of a file.
const NAME_CHARS_MAX: usize = 128;
/// Characters of the name of a column, and of a rule.
const WORD_CHARS_MAX: usize = 64;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet<'a> {
    /// The name of the file, without folders.
    file: &'a RawValue,
    #[serde(borrow)]
    rows: Vec<Row<'a>>,
}

/// One row as it stands in the file, and what a map made of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    /// The line where it starts, from 1.
    line: u64,
    #[serde(borrow)]
    raw: Option<Cow<'a, str>>,
    /// Instead of `raw`, where the row is no text.
    raw_base64: Option<Cow<'a, str>>,
    /// Absent where the row itself is an event.
    #[serde(borrow)]
    events: Option<Vec<&'a RawValue>>,
    fault: Option<Fault>,
}

/// Why a map makes nothing of a row. Words only: values of a row stand nowhere but in its bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    rule: String,
    column: Option<String>,
}

/// The bytes of an event, and what the validator says to them.
type Tried<'a> = (&'a [u8], Result<Incoming, Box<Problem>>);

/// A row that is not recorded, or not all of it.
struct Bad<'a> {
    row: usize,
    bytes: &'a [u8],
    problem: Box<Problem>,
}

pub(super) async fn import(
    app: &App,
    caller: &Caller,
    params: Params,
) -> Result<Reply, Box<Problem>> {
    params.read().done()?;
    let caller = Caller { face: Face::Import, ..caller.clone() };
    let sheet: Sheet<'_> =
        serde_json::from_slice(&raw(&params)?.bytes).map_err(|error| no_sheet(&error))?;
    let file = name_of(&sheet)?;
    let texts = sheet.rows.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;

    let (mut good, mut owners, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    let sender = sender(app, &caller);
    for (index, (row, text)) in sheet.rows.iter().zip(&texts).enumerate() {
        for (bytes, read) in read(row, text, &sender) {
            match read {
                Ok(event) => {
                    good.push(event);
                    owners.push((index, bytes));
                }
                Err(problem) if is_of_the_key(&problem) => return Err(problem),
                Err(problem) => bad.push(Bad { row: index, bytes, problem }),
            }
        }
    }
    let timer = app.metrics.append_timer(caller.face);
    let appended = app.appender.append_each(good).await;
    timer.stop();
    let (mut recorded, mut duplicates, mut last) = (0_u64, 0_u64, None);
    for (it, (row, bytes)) in appended.into_iter().zip(owners) {
        match it {
            Ok(it) => {
                let count = if it.is_new() { &mut recorded } else { &mut duplicates };
                *count += 1;
                last = last.max(Some(it.receipt().position));
                let outcome = if it.is_new() { "recorded" } else { "duplicate" };
                app.metrics.event(caller.face, outcome);
            }
            Err(error) => {
                let problem = unappended(&error);
                if problem.code.is_retryable() {
                    return Err(problem);
                }
                let problem = refused::with_fields(app, &caller, bytes, None, problem).await;
                bad.push(Bad { row, bytes, problem });
            }
        }
    }
    let items = keep(app, &caller, &file, &sheet.rows, &texts, bad).await?;
    let body = json!({
        "recorded": recorded, "duplicates": duplicates, "quarantined": items.len(),
        "last_position": last, "items": items,
    });
    let status = match (items.len(), recorded) {
        (0, 0) => 200,
        (0, _) => 201,
        _ => 207,
    };
    Ok(Reply::of(status, &body))
}

/// The events of a row, each with its bytes, or why there are none.
fn read<'a>(row: &'a Row<'_>, text: &'a [u8], sender: &Sender<'_>) -> Vec<Tried<'a>> {
    if let Some(fault) = &row.fault {
        return vec![(text, Err(unread_row(fault)))];
    }
    let Some(events) = &row.events else {
        return vec![(text, cloudevents::structured(text, sender))];
    };
    let event = |it: &&'a RawValue| {
        let bytes = it.get().as_bytes();
        (bytes, cloudevents::structured(bytes, sender))
    };
    events.iter().map(event).collect()
}

/// Keeps every bad row once, and answers with what is wrong with it.
async fn keep(
    app: &App,
    caller: &Caller,
    file: &str,
    rows: &[Row<'_>],
    texts: &[Cow<'_, [u8]>],
    mut bad: Vec<Bad<'_>>,
) -> Result<Vec<Value>, Box<Problem>> {
    bad.sort_by_key(|it| it.row);
    bad.dedup_by_key(|it| it.row);
    let mut described = Vec::with_capacity(bad.len());
    for it in &bad {
        let (Some(row), Some(text)) = (rows.get(it.row), texts.get(it.row)) else { continue };
        let problem = with_remedy((*it.problem).clone());
        let mut told = problem.to_json(Language::En, None, "");
        put(&mut told, "line", row.line);
        let mut headers = json!({"file": file, "line": row.line});
        if row.events.is_some() || row.fault.is_some() {
            put(&mut headers, "table", true);
        }
        if row.events.is_some() {
            let event: Value = serde_json::from_slice(it.bytes).unwrap_or_default();
            put(&mut headers, "event", event);
        }
        let envelope = Envelope::read(it.bytes, None);
        described.push((
            row.line,
            format!("{file}:{}", row.line),
            problem,
            told,
            headers,
            envelope,
            text,
        ));
    }
    let suspects: Vec<Suspect<'_>> = described
        .iter()
        .map(|(_, place, problem, told, headers, envelope, text)| Suspect {
            tenant: caller.tenant(),
            code: problem.code.as_str(),
            problem: told,
            face: caller.face.as_str(),
            subject: Some(place),
            provenance: None,
            received_at: app.clock.now(),
            // What is no source and no id may be anything, and no database has to keep it as text.
            source: envelope.source.as_deref().filter(|it| it.parse::<Source>().is_ok()),
            event_id: envelope.id.as_deref().filter(|it| it.parse::<EventId>().is_ok()),
            headers,
            bytes: text,
        })
        .collect();
    let names = quarantine::keep(app.db(), &suspects).await.map_err(unwritten)?;
    let mut items = Vec::with_capacity(names.len());
    for ((line, _, mut problem, ..), name) in described.into_iter().zip(names) {
        app.metrics.quarantined(problem.code.as_str());
        app.metrics.event(caller.face, "quarantined");
        problem.quarantine_id = Some(name);
        let instance = Some(caller.request_id.as_str());
        let mut item = problem.to_json(caller.language, instance, &app.settings.public_url);
        put(&mut item, "line", line);
        items.push(item);
    }
    Ok(items)
}

/// A key that may not send this would be refused for every row of the file.
fn is_of_the_key(problem: &Problem) -> bool {
    problem.code.status() == 403
}

fn with_remedy(problem: Problem) -> Problem {
    if problem.hint.is_some() {
        return problem;
    }
    problem.hint(
        "Correct the row or the map, and import the file again.",
        "Perbaiki baris atau petanya, lalu impor lagi berkasnya.",
    )
}

/// A row of which its reader made nothing.
fn unread_row(fault: &Fault) -> Box<Problem> {
    let word = |text: &str| -> String {
        text.chars().filter(|it| !it.is_control()).take(WORD_CHARS_MAX).collect()
    };
    let rule = word(&fault.rule);
    let place = fault.column.as_deref().map(word);
    let (en, id) = match &place {
        Some(column) => (
            format!("The map makes nothing of this row: column `{column}`, rule `{rule}`."),
            format!("Peta tidak dapat membaca baris ini: kolom `{column}`, aturan `{rule}`."),
        ),
        None => (
            format!("This row cannot be read: rule `{rule}`."),
            format!("Baris ini tidak dapat dibaca: aturan `{rule}`."),
        ),
    };
    let code = match rule.as_str() {
        "too_long" => Code::TooLarge,
        "encoding" => Code::Utf8Invalid,
        _ => Code::SchemaInvalid,
    };
    let errors = json!([{"pointer": place.unwrap_or_default(), "rule": rule, "detail": en}]);
    Box::new(Problem::new(code, en, id).member("errors", errors))
}

fn name_of(sheet: &Sheet<'_>) -> Result<String, Box<Problem>> {
    let events: usize = sheet.rows.iter().map(|it| it.events.as_ref().map_or(1, Vec::len)).sum();
    if sheet.rows.is_empty() || BATCH_EVENTS_MAX < sheet.rows.len().max(events) {
        return Err(Box::new(Problem::of(Code::BatchSize)));
    }
    let file: String = serde_json::from_str(sheet.file.get()).unwrap_or_default();
    let fits = (1..=NAME_CHARS_MAX).contains(&file.chars().count())
        && file.chars().all(|it| !it.is_control() && it != '/');
    if fits {
        return Ok(file);
    }
    Err(invalid(
        "file",
        "type",
        "must be the name of the file without folders, 1 to 128 characters",
        "harus nama berkas tanpa folder, 1 sampai 128 karakter",
    ))
}

fn text_of<'a>(row: &'a Row<'_>) -> Result<Cow<'a, [u8]>, Box<Problem>> {
    let text = match (&row.raw, &row.raw_base64) {
        (Some(text), None) => Some(Cow::Borrowed(text.as_bytes())),
        (None, Some(text)) => BASE64.decode(text.as_bytes()).ok().map(Cow::Owned),
        _ => None,
    };
    text.ok_or_else(|| {
        invalid(
            "rows",
            "type",
            "every row has its bytes as `raw`, or as `raw_base64`",
            "setiap baris memuat isinya sebagai `raw`, atau `raw_base64`",
        )
    })
}

fn no_sheet(error: &serde_json::Error) -> Box<Problem> {
    let (line, column) = (error.line(), error.column());
    Box::new(
        Problem::new(
            Code::JsonSyntax,
            format!("This is no sheet of rows; it breaks at line {line}, column {column}."),
            format!("Ini bukan lembar baris; rusak di baris {line}, kolom {column}."),
        )
        .hint(
            "Send {\"file\": …, \"rows\": [{\"line\": …, \"raw\": …}]}, or use `sapa event import`.",
            "Kirim {\"file\": …, \"rows\": [{\"line\": …, \"raw\": …}]}, atau pakai `sapa event import`.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_no_map_can_read_names_its_column_and_rule() {
        let fault = Fault { rule: "not_integer".to_owned(), column: Some("party".to_owned()) };
        let told = unread_row(&fault).to_json(Language::En, None, "");
        assert_eq!((&told["code"], &told["status"]), (&json!("schema_invalid"), &json!(422)));
        assert_eq!(told["errors"][0]["pointer"], "party");
        assert_eq!(told["errors"][0]["rule"], "not_integer");
        let fault = Fault { rule: "encoding".to_owned(), column: None };
        assert_eq!(unread_row(&fault).code, Code::Utf8Invalid);
    }

    #[test]
    fn a_row_has_its_bytes_in_one_of_two_ways() {
        let row = |text: &'static str| serde_json::from_str::<Row<'_>>(text).unwrap();
        assert_eq!(text_of(&row(r#"{"line":1,"raw":"a\nb"}"#)).unwrap().as_ref(), b"a\nb");
        assert_eq!(text_of(&row(r#"{"line":1,"raw_base64":"6Q=="}"#)).unwrap().as_ref(), b"\xE9");
        for wrong in [r#"{"line":1}"#, r#"{"line":1,"raw":"a","raw_base64":"YQ=="}"#] {
            assert_eq!(text_of(&row(wrong)).unwrap_err().code, Code::QueryInvalid);
        }
    }
}
