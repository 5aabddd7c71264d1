//! `events.import`: a file of history, a few hundred rows at a time.
//!
//! What becomes an event goes through the one validator. The events of a row are appended together,
//! so a row is recorded whole or kept in quarantine whole, with its bytes and its place in the file,
//! and the rows after it go on. The same row of the same file is kept once, however often it is
//! sent, and released once it is recorded. What may succeed later, and what is the fault of the key,
//! is no fault of a row: the whole request is refused and nothing of it is kept.
//!
//! A dry run takes the same way up to the log and to quarantine, and writes to neither.

use std::borrow::Cow;
use std::collections::HashMap;

use data_encoding::BASE64;
use events::cloudevents::{self, BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Sender, row_weight};
use events::envelope::{Incoming, Receipt};
use events::id::EventRef;
use events::problem::{Code, Language, Problem};
use events::time::spell;
use events::wire::Name;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use store::quarantine::{self, RecordedRow, Suspect};
use store::{AppendError, Appended};

use super::{Proven, raw};
use crate::answer::{Reply, put, unappended, unread, unwritten};
use crate::app::{App, Caller, Face};
use crate::ops::refused;
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
    /// The first event that the row would have had, as far as its map could name it.
    event: Option<Map<String, Value>>,
}

/// The events of a row, and their bytes.
struct Good<'a> {
    row: usize,
    bytes: Vec<&'a [u8]>,
    events: Vec<Incoming>,
}

/// A row that is not recorded.
struct Bad<'a> {
    row: usize,
    bytes: &'a [u8],
    problem: Box<Problem>,
}

/// What became of the rows: events that are new and known, and rows that have to be kept.
#[derive(Default)]
struct Outcome<'a> {
    recorded: u64,
    duplicates: u64,
    /// The one at the highest position.
    last: Option<Receipt>,
    bad: Vec<Bad<'a>>,
}

/// Where an import writes, and how much it may send at once. Progress on one log means nothing on
/// another, nor on one that was restored from a backup of before: with `source` and `id`, the position of
/// that event, or null.
pub(super) async fn target(
    app: &App,
    caller: &Caller,
    params: Params,
) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let (source, id) = (read.parsed("source"), read.parsed("id"));
    read.done()?;
    let mut body = json!({
        "log_id": app.log_id,
        "tenant": caller.tenant(),
        "events_max": BATCH_EVENTS_MAX,
        "bytes_max": BATCH_BYTES_MAX,
    });
    if let (Some(source), Some(id)) = (source, id) {
        let found = app.log.find(caller.tenant(), &EventRef { source, id }).await;
        let found = found.map_err(|error| unread(&error))?;
        put(&mut body, "position", found.map(|it| it.position));
    }
    Ok(Reply::ok(&body))
}

pub(super) async fn import(
    app: &App,
    caller: &Caller,
    params: Params,
) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let dry_run = read.truth("dry_run").unwrap_or_default();
    read.done()?;
    let caller = Caller { face: Face::Import, ..caller.clone() };
    let sheet: Sheet<'_> =
        serde_json::from_slice(&raw(&params)?.bytes).map_err(|error| no_sheet(&error))?;
    let file = name_of(&sheet)?;
    let texts = sheet.rows.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;

    let proven = Proven::of(app, &caller).await?;
    let sender = proven.sender();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (index, (row, text)) in sheet.rows.iter().zip(&texts).enumerate() {
        match read_row(index, row, text, &sender) {
            Ok(it) => good.push(it),
            Err(it) if is_of_the_key(&it.problem) => return Err(it.problem),
            Err(it) => bad.push(it),
        }
    }
    let outcome = Outcome { bad, ..Outcome::default() };
    let (outcome, items) = if dry_run {
        let outcome = judge(app, &caller, good, outcome).await?;
        let items = describe(&file, &sheet.rows, &texts, &outcome.bad)
            .into_iter()
            .map(|it| it.answer(app, &caller, None))
            .collect();
        (outcome, items)
    } else {
        let outcome = append(app, &caller, &file, &sheet.rows, good, outcome).await?;
        let items = keep(app, &caller, &file, &sheet.rows, &texts, &outcome.bad).await?;
        (outcome, items)
    };
    Ok(reply(&outcome, &items, dry_run))
}

fn reply(outcome: &Outcome<'_>, items: &[Value], dry_run: bool) -> Reply {
    let last = outcome.last.as_ref();
    let mut body = json!({
        "recorded": outcome.recorded, "duplicates": outcome.duplicates, "quarantined": items.len(),
        "last_position": last.map(|it| it.position), "items": items,
        "last": last.map(|it| json!({"source": it.source, "id": it.id, "position": it.position})),
    });
    if dry_run {
        put(&mut body, "dry_run", true);
    }
    let status = match (items.len(), outcome.recorded) {
        (0, 0) => 200,
        (0, _) if dry_run => 200,
        (0, _) => 201,
        _ => 207,
    };
    Reply::of(status, &body)
}

/// Takes note that an import has ended: from now on what is overdue in it may ring.
pub(super) async fn end(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    params.read().done()?;
    let head = app.log.head().await.map_err(|error| unread(&error))?;
    let last = app.log.read_after((head - 1).max(0), 1).await.map_err(|error| unread(&error))?;
    // The clock of the instance that recorded the last row may be ahead of ours.
    let now = app.clock.now();
    let now = last.first().map_or(now, |it| it.recorded_at.max(now));
    store::imports::end(app.db(), caller.tenant(), head, now).await.map_err(unwritten)?;
    Ok(Reply::of(200, &json!({ "ended_at": spell(now), "position": head })))
}

/// All events of a row, or the first that is refused.
fn read_row<'a>(
    index: usize,
    row: &'a Row<'_>,
    text: &'a [u8],
    sender: &Sender<'_>,
) -> Result<Good<'a>, Bad<'a>> {
    let bad = |bytes, problem| Bad { row: index, bytes, problem };
    if let Some(fault) = &row.fault {
        return Err(bad(text, unread_row(fault)));
    }
    let bytes: Vec<&[u8]> = match &row.events {
        Some(events) => events.iter().map(|it| it.get().as_bytes()).collect(),
        None => vec![text],
    };
    let read =
        |it: &&'a [u8]| cloudevents::structured(it, sender).map_err(|problem| bad(it, problem));
    let events = bytes.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Good { row: index, bytes, events })
}

/// Appends each row as one request, counts what is new, and releases what waited in its place.
async fn append<'a>(
    app: &App,
    caller: &Caller,
    file: &str,
    rows: &[Row<'_>],
    mut good: Vec<Good<'a>>,
    mut outcome: Outcome<'a>,
) -> Result<Outcome<'a>, Box<Problem>> {
    let groups = good.iter_mut().map(|it| std::mem::take(&mut it.events)).collect();
    let timer = app.metrics.append_timer(caller.face);
    let appended = app.appender.append_groups(groups).await;
    timer.stop();
    let mut released = Vec::with_capacity(good.len());
    for (it, row) in appended.iter().zip(&good) {
        match it {
            Ok(events) => {
                count(app, caller, events, &mut outcome);
                let line = rows.get(row.row).map_or(0, |it| it.line);
                released.extend(recorded_row(events, &format!("{file}:{line}")));
            }
            Err(error) => {
                let problem = unappended(error);
                if problem.code.is_retryable() {
                    return Err(problem);
                }
                let bytes = row.bytes.get(index_of(error)).copied().unwrap_or_default();
                let problem = refused::with_fields(app, caller, bytes, None, problem).await;
                outcome.bad.push(Bad { row: row.row, bytes, problem });
            }
        }
    }
    quarantine::release_rows(app.db(), caller.tenant(), &released)
        .await
        .map_err(|error| unread(&error))?;
    Ok(outcome)
}

fn count(app: &App, caller: &Caller, events: &[Appended], outcome: &mut Outcome<'_>) {
    for it in events {
        let (number, word) = if it.is_new() {
            (&mut outcome.recorded, "recorded")
        } else {
            (&mut outcome.duplicates, "duplicate")
        };
        *number += 1;
        let receipt = it.receipt();
        if outcome.last.as_ref().is_none_or(|last| last.position < receipt.position) {
            outcome.last = Some(receipt.clone());
        }
        app.metrics.event(caller, word);
    }
}

/// What of quarantine a recorded row may release.
fn recorded_row<'a>(events: &'a [Appended], place: &str) -> Option<RecordedRow<'a>> {
    let receipts = || events.iter().map(Appended::receipt);
    Some(RecordedRow {
        place: events.iter().any(Appended::is_new).then(|| place.to_owned()),
        events: receipts().map(|it| (it.source.as_str(), it.id.as_str())).collect(),
        position: receipts().map(|it| it.position).max()?,
    })
}

/// Which event of its row an append refused.
fn index_of(error: &AppendError) -> usize {
    match error {
        AppendError::EventIdConflict { index, .. }
        | AppendError::VersionConflict { index, .. }
        | AppendError::IdTwice { index } => *index,
        AppendError::Busy | AppendError::Unavailable(_) => 0,
    }
}

/// What appending would come to: ids that are in the log, and ids that stand in these rows twice.
async fn judge<'a>(
    app: &App,
    caller: &Caller,
    good: Vec<Good<'a>>,
    mut outcome: Outcome<'a>,
) -> Result<Outcome<'a>, Box<Problem>> {
    let references: Vec<EventRef> =
        good.iter().flat_map(|it| it.events.iter().map(Incoming::reference)).collect();
    let recorded = app.log.known(caller.tenant(), &references).await;
    let recorded = recorded.map_err(|error| unread(&error))?;
    let mut seen: HashMap<EventRef, [u8; 32]> = HashMap::new();
    for row in good {
        let (mut new, mut conflict) = (HashMap::new(), None);
        for (index, it) in row.events.iter().enumerate() {
            let reference = it.reference();
            if let Some((receipt, fingerprint)) = recorded.get(&reference) {
                if fingerprint[..] != it.fingerprint[..] {
                    let original = Box::new(receipt.clone());
                    conflict = Some(AppendError::EventIdConflict { original, index });
                    break;
                }
            } else if let Some(first) = new.get(&reference).or_else(|| seen.get(&reference)) {
                if *first != it.fingerprint {
                    conflict = Some(AppendError::IdTwice { index });
                    break;
                }
            } else {
                new.insert(reference, it.fingerprint);
            }
        }
        if let Some(error) = conflict {
            let bytes = row.bytes.get(index_of(&error)).copied().unwrap_or_default();
            let problem = refused::with_fields(app, caller, bytes, None, unappended(&error)).await;
            outcome.bad.push(Bad { row: row.row, bytes, problem });
            continue;
        }
        let (all, fresh) = (row.events.len(), new.len());
        outcome.recorded += u64::try_from(fresh).unwrap_or_default();
        outcome.duplicates += u64::try_from(all - fresh).unwrap_or_default();
        seen.extend(new);
    }
    Ok(outcome)
}

/// A bad row as it is told and kept.
struct Described<'a> {
    line: u64,
    place: String,
    problem: Problem,
    /// The problem as it is kept.
    report: Value,
    headers: Value,
    name: Name,
    bytes: &'a [u8],
}

impl Described<'_> {
    fn answer(mut self, app: &App, caller: &Caller, quarantine_id: Option<String>) -> Value {
        self.problem.quarantine_id = quarantine_id;
        let instance = Some(caller.request_id.as_str());
        let mut item = self.problem.to_json(caller.language, instance, &app.settings.public_url);
        put(&mut item, "line", self.line);
        item
    }
}

/// Bad rows in the order of the file.
fn describe<'a>(
    file: &str,
    rows: &[Row<'_>],
    texts: &'a [Cow<'_, [u8]>],
    bad: &[Bad<'_>],
) -> Vec<Described<'a>> {
    let mut bad: Vec<&Bad<'_>> = bad.iter().collect();
    bad.sort_by_key(|it| it.row);
    let mut described = Vec::with_capacity(bad.len());
    for it in bad {
        let (Some(row), Some(text)) = (rows.get(it.row), texts.get(it.row)) else { continue };
        let problem = with_remedy((*it.problem).clone());
        let mut report = problem.to_json(Language::En, None, "");
        put(&mut report, "line", row.line);
        let mut headers = json!({"file": file, "line": row.line});
        if row.events.is_some() || row.fault.is_some() {
            put(&mut headers, "table", true);
        }
        if row.events.is_some() {
            let event: Value = serde_json::from_slice(it.bytes).unwrap_or_default();
            put(&mut headers, "event", event);
        }
        let event = row.fault.as_ref().and_then(|it| it.event.as_ref());
        let name = Name::of_event(event, it.bytes);
        let (line, place) = (row.line, format!("{file}:{}", row.line));
        described.push(Described { line, place, problem, report, headers, name, bytes: text });
    }
    described
}

/// Keeps every bad row once, and answers with what is wrong with it.
async fn keep(
    app: &App,
    caller: &Caller,
    file: &str,
    rows: &[Row<'_>],
    texts: &[Cow<'_, [u8]>],
    bad: &[Bad<'_>],
) -> Result<Vec<Value>, Box<Problem>> {
    let described = describe(file, rows, texts, bad);
    let suspects: Vec<Suspect<'_>> = described
        .iter()
        .map(|it| Suspect {
            tenant: caller.tenant(),
            code: it.problem.code.as_str(),
            problem: &it.report,
            face: caller.face.as_str(),
            subject: Some(&it.place),
            provenance: None,
            received_at: app.clock.now(),
            source: it.name.source.as_deref(),
            event_id: it.name.id.as_deref(),
            headers: &it.headers,
            bytes: it.bytes,
        })
        .collect();
    let names = quarantine::keep(app.db(), &suspects).await.map_err(unwritten)?;
    let mut items = Vec::with_capacity(names.len());
    for (it, name) in described.into_iter().zip(names) {
        app.metrics.quarantined(it.problem.code.as_str());
        app.metrics.event(caller, "quarantined");
        items.push(it.answer(app, caller, Some(name)));
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
    let weight = |it: &Row<'_>| row_weight(it.events.as_ref().map_or(1, Vec::len));
    if sheet.rows.is_empty() || BATCH_EVENTS_MAX < sheet.rows.iter().map(weight).sum() {
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
        let column = Some("party".to_owned());
        let fault = Fault { rule: "not_integer".to_owned(), column, event: None };
        let told = unread_row(&fault).to_json(Language::En, None, "");
        assert_eq!((&told["code"], &told["status"]), (&json!("schema_invalid"), &json!(422)));
        assert_eq!(told["errors"][0]["pointer"], "party");
        assert_eq!(told["errors"][0]["rule"], "not_integer");
        let fault = Fault { rule: "encoding".to_owned(), column: None, event: None };
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
