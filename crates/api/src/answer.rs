//! Answers: bodies and headers that every face gives out unchanged, and the problems behind failures
//! of the log.
//!
//! The one place where an [`AppendError`] or [`ReadError`] becomes something a client is told. What
//! the database said goes to the log of the process, once, here; a client never sees it.

use events::envelope::Receipt;
use events::planted::{Mistake, planted};
use events::problem::{Code, FINDINGS_MAX, Language, Problem};
use events::time::spell;
use events::warning::{Warning, WarningAt};
use serde::Serialize;
use serde_json::Value;
use store::{AppendError, Appended, ReadError};

use crate::page::Cursors;

/// A complete answer: what HTTP sends and what request-reply sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON text; empty only with 204.
    pub body: String,
    /// Headers with lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// The ways on from a page; HTTP tells them in `Link` too.
    pub cursors: Cursors,
}

impl Reply {
    /// A body with a status.
    #[must_use]
    pub fn new(status: u16, body: String) -> Self {
        Self { status, body, headers: Vec::new(), cursors: Cursors::default() }
    }

    /// 200 with anything that serialises.
    #[must_use]
    pub fn ok(body: &impl Serialize) -> Self {
        Self::new(200, json(body))
    }

    /// A status with anything that serialises.
    #[must_use]
    pub fn of(status: u16, body: &impl Serialize) -> Self {
        Self::new(status, json(body))
    }

    /// 204: done, and nothing to say.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(204, String::new())
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with the version of the object as its `ETag`.
    #[must_use]
    pub fn etag(self, version: i64) -> Self {
        self.header("etag", format!("\"{version}\""))
    }
}

/// The JSON text of a value.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("answers have text keys and finite numbers")
}

/// One event's receipt, in the order in which it is documented.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiptOut {
    outcome: &'static str,
    source: String,
    id: String,
    /// Place in the log.
    pub position: i64,
    stream: String,
    version: i64,
    recorded_at: String,
    #[serde(flatten)]
    warned: Warned,
}

/// What a receipt warns of: the words, and beside them what each is about.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Warned {
    warnings: Vec<Warning>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warning_details: Vec<WarningDetail>,
}

/// One warning in words.
#[derive(Clone, Debug, Serialize)]
struct WarningDetail {
    warning: Warning,
    pointer: String,
    detail: String,
    #[serde(rename = "type")]
    page: String,
}

impl Warned {
    /// Characters of the name of a place.
    const POINTER_CHARS_MAX: usize = 128;

    /// Warnings in a language; each word once, at most [`FINDINGS_MAX`] places.
    #[must_use]
    pub fn of(warnings: Vec<WarningAt>, language: Language) -> Self {
        let mut words: Vec<Warning> = Vec::new();
        for it in &warnings {
            if !words.contains(&it.warning) {
                words.push(it.warning);
            }
        }
        let detail = |WarningAt { warning, pointer }: WarningAt| WarningDetail {
            warning,
            pointer: pointer.chars().take(Self::POINTER_CHARS_MAX).collect(),
            detail: warning.cause().in_language(language).to_owned(),
            page: format!("/problems/{}", warning.as_str()),
        };
        let details = warnings.into_iter().take(FINDINGS_MAX).map(detail);
        Self { warnings: words, warning_details: details.collect() }
    }

    /// Adds them to an answer.
    pub(crate) fn put(&self, answer: &mut Value) {
        if let (Some(members), Ok(Value::Object(own))) =
            (answer.as_object_mut(), serde_json::to_value(self))
        {
            members.extend(own);
        }
    }
}

impl ReceiptOut {
    /// The receipt of what an append answered.
    #[must_use]
    pub fn of(appended: &Appended, warned: Warned) -> Self {
        let outcome = if appended.is_new() { "recorded" } else { "duplicate" };
        Self::found(appended.receipt(), outcome, warned)
    }

    /// A receipt under a word.
    #[must_use]
    pub fn found(it: &Receipt, outcome: &'static str, warned: Warned) -> Self {
        Self {
            outcome,
            source: it.source.to_string(),
            id: it.id.to_string(),
            position: it.position,
            stream: it.stream.to_string(),
            version: it.version,
            recorded_at: spell(it.recorded_at),
            warned,
        }
    }

    /// It was recorded just now.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.outcome == "recorded"
    }
}

/// What an answer was made from, and how far that is behind (R4 to R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AsOf {
    /// Everything up to here is in the answer.
    pub position: i64,
    /// The highest position in the log.
    pub head: i64,
    /// How many positions are missing.
    pub lag: i64,
    /// What was asked for with `at_least` is in the answer.
    pub reached: bool,
}

impl AsOf {
    /// An answer out of the log itself: nothing is missing.
    #[must_use]
    pub fn log(head: i64) -> Self {
        Self { position: head, head, lag: 0, reached: true }
    }
}

/// A page of items that are JSON text already.
#[must_use]
pub fn page(items: &[String], cursors: Cursors, as_of: AsOf) -> Reply {
    let bytes: usize = items.iter().map(|it| it.len() + 1).sum();
    let mut body = String::with_capacity(bytes + 256);
    body.push_str("{\"items\":[");
    for (index, item) in items.iter().enumerate() {
        if 0 < index {
            body.push(',');
        }
        body.push_str(item);
    }
    body.push_str("],\"next_cursor\":");
    body.push_str(&json(&cursors.next));
    body.push_str(",\"prev_cursor\":");
    body.push_str(&json(&cursors.prev));
    body.push_str(",\"as_of\":");
    body.push_str(&json(&as_of));
    body.push('}');
    Reply { cursors, ..Reply::new(200, body) }.header("sapa-position", as_of.position.to_string())
}

/// The problem behind an append that recorded nothing, or of which we do not know.
#[must_use]
pub fn unappended(error: &AppendError) -> Box<Problem> {
    Box::new(match error {
        AppendError::EventIdConflict { original, .. } => Problem::id_conflict(original, &[]),
        AppendError::VersionConflict { stream, expected, actual, .. } => Problem::at(
            Code::VersionConflict,
            "/expectedversion",
            format!("Expected {expected}, {stream} is at {actual}."),
            format!("Diharapkan {expected}, {stream} berada di {actual}."),
        )
        .member("version", *actual)
        .hint(
            "Read the stream again, then decide again.",
            "Baca lagi alirannya, lalu putuskan lagi.",
        ),
        AppendError::IdTwice { .. } => Problem::at(
            Code::BatchDuplicate,
            "/id",
            "This id stands twice in the request with other content.",
            "Id ini muncul dua kali dalam permintaan dengan isi lain.",
        ),
        AppendError::Busy => unavailable(),
        AppendError::Unavailable(_) if planted(Mistake::UnknownIsRefused) => {
            Problem::of(Code::SchemaInvalid)
        }
        AppendError::Unavailable(error) => {
            tracing::error!(error = %error, "the log did not answer an append");
            unavailable()
        }
    })
}

/// The problem behind a read that failed.
#[must_use]
pub fn unread(error: &ReadError) -> Box<Problem> {
    match error {
        ReadError::Unavailable(_) => {
            tracing::error!(error = ?error, "the database did not answer");
            Box::new(unavailable())
        }
        ReadError::Building => Box::new(
            Problem::new(
                Code::Unavailable,
                "The read models are being built anew by this version.",
                "Model baca sedang dibangun ulang oleh versi ini.",
            )
            .hint(
                "Ask again later. `/readyz?verbose` shows how far it is; recording goes on meanwhile.",
                "Tanya lagi nanti. `/readyz?verbose` menunjukkan kemajuannya; pencatatan tetap berjalan.",
            ),
        ),
        ReadError::Corrupt { .. } | ReadError::Hole { .. } => {
            tracing::error!(error = %error, "the log cannot be read");
            Box::new(Problem::of(Code::Internal))
        }
    }
}

/// The problem behind a write around the log that failed.
pub fn unwritten(error: impl Into<ReadError>) -> Box<Problem> {
    unread(&error.into())
}

/// The database is away or the queue is full (bad input B66).
#[must_use]
pub fn unavailable() -> Problem {
    Problem::new(
        Code::Unavailable,
        "The log did not answer. Send the same again with the same id.",
        "Catatan tidak menjawab. Kirim lagi yang sama dengan id yang sama.",
    )
}

/// The same 404 for what does not exist and for what is another tenant's (H5): what was looked for,
/// in both languages, and the parameter that named it. The value is not repeated.
#[must_use]
pub fn missing(en: &str, id: &str, parameter: &str) -> Box<Problem> {
    Box::new(Problem::at(
        Code::NotFound,
        parameter,
        format!("There is no {en} with this {parameter}."),
        format!("Tidak ada {id} dengan {parameter} ini."),
    ))
}

/// Adds a member to a JSON object.
pub(crate) fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_one_json_document() {
        let items = ["{\"a\":1}".to_owned(), "{}".to_owned()];
        let cursors = Cursors { next: Some("n".to_owned()), prev: None };
        let reply = page(&items, cursors, AsOf::log(7));
        let value: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(value["items"].as_array().unwrap().len(), 2);
        assert_eq!(value["next_cursor"], "n");
        assert_eq!(value["prev_cursor"], Value::Null);
        assert_eq!(value["as_of"]["position"], 7);
    }

    #[test]
    fn a_conflict_tells_what_the_log_holds() {
        let receipt = Receipt {
            source: "/a".parse().unwrap(),
            id: "1".parse().unwrap(),
            position: 4,
            stream: "customer/c-1".parse().unwrap(),
            version: 2,
            recorded_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let error = AppendError::EventIdConflict { original: Box::new(receipt.clone()), index: 0 };
        let problem = unappended(&error);
        assert_eq!(problem.receipt, Some(receipt));
        assert_eq!(problem.code, Code::EventIdConflict);
    }
}
