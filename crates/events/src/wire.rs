//! One message, read the same way over every transport.
//!
//! Its headers announce the form of the event ([`Form::of`]); the body settles what they leave open
//! ([`Form::settled`]); [`event`] is the whole way from headers and body to an event or a problem.
//! What an event is called is read apart ([`Name`]), so that a refused one is found by its id.
//! Names of headers are compared without regard to case: NATS keeps the case that a client wrote.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::cloudevents::{self, Sender};
use crate::envelope::Incoming;
use crate::headers;
use crate::id::{EventId, Source};
use crate::problem::{Code, Problem};

/// How a message writes events down.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// The body is one event.
    Structured,
    /// The body is an array of events.
    Batch,
    /// The attributes are in `ce-*` headers, the body is the data.
    Binary(Map<String, Value>),
    /// JSON without a word about events: an object is one event, an array several.
    Json,
    /// No content type at all: an object is one event.
    Untyped,
}

impl Form {
    /// The form that the headers of a message announce.
    pub fn of<'a, H>(headers: H) -> Result<Self, Box<Problem>>
    where
        H: IntoIterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        let announced = announced(&headers);
        announced.map_err(|mut problem| {
            problem.event_id = Name::in_headers(headers).id;
            problem
        })
    }

    /// The form, now that the body is here: `Structured`, `Batch` or `Binary`.
    pub fn settled(self, body: &[u8]) -> Result<Self, Box<Problem>> {
        let first = body.trim_ascii_start().first();
        match self {
            Self::Json if first == Some(&b'[') => Ok(Self::Batch),
            Self::Json => Ok(Self::Structured),
            // An empty body and one that begins with a byte-order mark get answers of their own.
            Self::Untyped if matches!(first, None | Some(b'{' | 0xEF)) => Ok(Self::Structured),
            Self::Untyped => Err(unsupported()),
            settled => Ok(settled),
        }
    }
}

/// The one event of a message, or why there is none. A batch is no event: only `events.append`
/// takes one.
pub fn event<'a, H>(headers: H, body: &[u8], sender: &Sender<'_>) -> Result<Incoming, Box<Problem>>
where
    H: IntoIterator<Item = (&'a str, &'a [u8])> + Clone,
{
    match Form::of(headers)?.settled(body)? {
        Form::Binary(attributes) => cloudevents::binary(attributes, body, sender),
        Form::Batch => Err(not_one_event()),
        _ => cloudevents::structured(body, sender),
    }
}

fn announced<'a, H>(headers: &H) -> Result<Form, Box<Problem>>
where
    H: IntoIterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let header = |name: &str| {
        let mut all = headers.clone().into_iter();
        all.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_ascii())
    };
    headers::uncompressed(header("content-encoding"))?;
    let content_type = header("content-type").map(String::from_utf8_lossy);
    let content_type = content_type.as_deref().filter(|it| !it.is_empty());
    let media_type = content_type
        .map(|it| it.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .unwrap_or_default();
    let is_cloud_event = media_type.starts_with("application/cloudevents");
    if header("ce-specversion").is_some() {
        if is_cloud_event {
            return Err(ambiguous());
        }
        // What the content type says is judged as `datacontenttype`; where it is silent, it is JSON.
        return headers::attributes(headers.clone(), content_type).map(Form::Binary);
    }
    match media_type.as_str() {
        "application/cloudevents" | "application/cloudevents+json" => Ok(Form::Structured),
        "application/cloudevents-batch+json" => Ok(Form::Batch),
        "application/json" => Ok(Form::Json),
        "" => Ok(Form::Untyped),
        _ => Err(unsupported()),
    }
}

fn ambiguous() -> Box<Problem> {
    Box::new(Problem::of(Code::ModeAmbiguous).hint(
        "Leave out the ce-* headers, or the content type application/cloudevents+json.",
        "Hapus header ce-*, atau jenis konten application/cloudevents+json.",
    ))
}

/// The answer to a content type that announces no event (bad input B6).
#[must_use]
pub fn unsupported() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::MediaType,
            "Content-Type must be application/cloudevents+json, application/cloudevents-batch+json or application/json.",
            "Content-Type harus application/cloudevents+json, application/cloudevents-batch+json, atau application/json.",
        )
        .hint(
            "With ce-* headers the content type is that of the data (datacontenttype): application/json.",
            "Dengan header ce-*, jenis konten adalah jenis datanya (datacontenttype): application/json.",
        ),
    )
}

fn not_one_event() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::MediaType,
            "One message on a subject is one event, not a batch.",
            "Satu pesan pada sebuah subjek adalah satu peristiwa, bukan kumpulan.",
        )
        .hint(
            "Send each event by itself, or the batch to api.events.append or POST /v1/events.",
            "Kirim setiap peristiwa sendiri, atau kumpulannya ke api.events.append atau POST /v1/events.",
        ),
    )
}

/// What an event is called, as far as it can be read of one that is refused. Only what fits the
/// grammar counts: people search by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// Its source.
    pub source: Option<String>,
    /// Its id.
    pub id: Option<String>,
}

impl Name {
    /// What headers and body say; headers first.
    #[must_use]
    pub fn of<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>, body: &[u8]) -> Self {
        Self::in_headers(headers).or(|| Self::in_body(body))
    }

    /// What the attributes of a binary event say, or else the body of a structured one.
    #[must_use]
    pub fn of_event(attributes: Option<&Map<String, Value>>, body: &[u8]) -> Self {
        let Some(attributes) = attributes else { return Self::in_body(body) };
        let text = |name: &str| attributes.get(name)?.as_str().map(str::to_owned);
        Self::checked(text("source"), text("id"))
    }

    fn in_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let (mut source, mut id) = (None, None);
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("ce-id") {
                id = headers::decoded(value);
            } else if name.eq_ignore_ascii_case("ce-source") {
                source = headers::decoded(value);
            }
        }
        Self::checked(source, id)
    }

    /// Best effort: what is not JSON has no name, and what follows the first document is not read.
    fn in_body(body: &[u8]) -> Self {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let mut documents =
            serde_json::Deserializer::from_slice(body).into_iter::<HashMap<String, &RawValue>>();
        let Some(Ok(members)) = documents.next() else { return Self::default() };
        let text = |name: &str| serde_json::from_str(members.get(name)?.get()).ok();
        Self::checked(text("source"), text("id"))
    }

    fn checked(source: Option<String>, id: Option<String>) -> Self {
        Self {
            source: source.filter(|it| it.parse::<Source>().is_ok()),
            id: id.filter(|it| it.parse::<EventId>().is_ok()),
        }
    }

    fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self.source.is_some() && self.id.is_some() {
            return self;
        }
        let other = other();
        Self { source: self.source.or(other.source), id: self.id.or(other.id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn bytes(pairs: Pairs<'_>) -> Vec<(&str, &[u8])> {
        pairs.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
    }

    fn form(pairs: Pairs<'_>, body: &str) -> Result<Form, &'static str> {
        let form = Form::of(bytes(pairs)).and_then(|it| it.settled(body.as_bytes()));
        form.map_err(|problem| problem.code.as_str())
    }

    #[test]
    fn the_content_type_announces_the_form_whatever_the_case_of_its_name() {
        for name in ["Content-Type", "content-type", "CONTENT-TYPE"] {
            let typed = |it| form(&[(name, it)], "{}");
            assert_eq!(typed("Application/CloudEvents+JSON; charset=utf-8"), Ok(Form::Structured));
            assert_eq!(typed("application/cloudevents-batch+json"), Ok(Form::Batch));
            assert_eq!(typed("application/json"), Ok(Form::Structured));
            assert_eq!(typed("text/plain"), Err("media_type"));
            assert_eq!(typed("application/cloudevents+xml"), Err("media_type"));
        }
        assert_eq!(form(&[("content-type", "application/json")], " [{}]"), Ok(Form::Batch));
        assert_eq!(form(&[("content-encoding", "gzip")], "{}"), Err("content_encoding"));
    }

    #[test]
    fn without_a_content_type_only_an_object_is_an_event() {
        for body in [" {}", "", "\u{FEFF}{}"] {
            assert_eq!(form(&[], body), Ok(Form::Structured), "{body}");
        }
        for body in ["[]", "hello", "5"] {
            assert_eq!(form(&[], body), Err("media_type"), "{body}");
        }
    }

    #[test]
    fn a_binary_event_has_json_data_unless_its_content_type_says_otherwise() {
        let version = ("Ce-SpecVersion", "1.0");
        let data_type = |pairs: Pairs<'_>| match form(pairs, "5") {
            Ok(Form::Binary(it)) => it.get("datacontenttype").cloned().unwrap_or_default(),
            other => panic!("{other:?}"),
        };
        assert_eq!(data_type(&[version]), Value::Null);
        assert_eq!(data_type(&[version, ("content-type", "text/plain")]), "text/plain");
        let both = [version, ("content-type", "application/cloudevents+json")];
        assert_eq!(form(&both, "{}"), Err("mode_ambiguous"));
    }

    #[test]
    fn a_refusal_of_the_headers_names_the_event() {
        let both = [
            ("ce-specversion", "1.0"),
            ("CE-Id", "77%2Da"),
            ("content-type", "application/cloudevents+json"),
        ];
        assert_eq!(Form::of(bytes(&both)).unwrap_err().event_id.as_deref(), Some("77-a"));
        let encoding = [("ce-specversion", "1.0"), ("ce-id", "77-a"), ("ce-actor", "%FF")];
        let problem = Form::of(bytes(&encoding)).unwrap_err();
        assert_eq!(
            (problem.code, problem.event_id.as_deref()),
            (Code::HeaderEncoding, Some("77-a"))
        );
    }

    #[test]
    fn the_name_of_an_event_is_read_of_headers_first_and_of_broken_bodies_too() {
        let name = |pairs, body: &str| {
            let it = Name::of(bytes(pairs), body.as_bytes());
            (it.source.unwrap_or_default(), it.id.unwrap_or_default())
        };
        let pair = |source: &str, id: &str| (source.to_owned(), id.to_owned());
        let body = r#"{"id":"1","source":"/a","id":"2","data":{}} and more"#;
        assert_eq!(name(&[], body), pair("/a", "2"));
        assert_eq!(name(&[("ce-id", "9")], body), pair("/a", "9"));
        assert_eq!(name(&[("CE-ID", "9"), ("ce-source", "/b")], "{"), pair("/b", "9"));
        assert_eq!(name(&[], "\u{FEFF}{\"id\":\"1\",\"source\":7}"), pair("", "1"));
        assert_eq!(name(&[], "[]"), pair("", ""));
        assert_eq!(name(&[("ce-id", " ")], r#"{"id":"\u0007"}"#), pair("", ""));
    }
}
