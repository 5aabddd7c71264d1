//! The parameters of one request, whichever face they came through: read once, by name and type.
//!
//! HTTP brings text from path and query and JSON from the body; request-reply brings one JSON
//! object. [`Reader`] takes both, collects everything that is wrong and refuses it in one answer,
//! `query_invalid`, which names the parameter and the rule and never repeats a value.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use events::problem::{Code, Finding, Problem};
use events::time::parse_instant;
use events::wire::Form;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

/// Items of a page when nobody says.
pub const LIMIT_DEFAULT: usize = 50;
/// Items of a page at most: ten default pages.
pub const LIMIT_MAX: usize = 500;
/// How long an answer waits for read models when nobody says.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(2);
/// How long an answer waits at most.
pub const WAIT_MAX: Duration = Duration::from_secs(5);

/// The body of a request that carries events, unread.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The bytes.
    pub bytes: Bytes,
    /// How they are written down.
    pub form: Form,
    /// Over request-reply one object may also be `{"events": […]}`.
    pub may_wrap: bool,
}

/// What was sent, by name.
#[derive(Clone, Debug, Default)]
pub struct Params {
    values: Map<String, Value>,
    /// The events, for the operations that take them.
    pub raw: Option<Raw>,
}

impl Params {
    /// Parameters out of one JSON object.
    #[must_use]
    pub fn of(values: Map<String, Value>) -> Self {
        Self { values, raw: None }
    }

    /// Adds one; a name that is there already collects a list.
    pub fn add(&mut self, name: &str, value: Value) {
        match self.values.get_mut(name) {
            None => {
                self.values.insert(name.to_owned(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }

    /// Sets one, whatever was there.
    pub fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// Whether one was sent.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Takes one out.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name)
    }

    /// All of them.
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Starts to read them.
    #[must_use]
    pub fn read(&self) -> Reader<'_> {
        Reader { values: &self.values, findings: Vec::new() }
    }

    /// What is left, as the data of an event.
    #[must_use]
    pub fn into_data(self) -> Map<String, Value> {
        self.values
    }

    /// Refuses names that the operation does not know (H6).
    pub fn only(&self, known: &[&str]) -> Result<(), Box<Problem>> {
        let unknown = self.values.keys().filter(|it| !known.contains(&it.as_str()));
        let mut meant = None;
        let findings: Vec<Finding> = unknown
            .map(|name| {
                meant = meant.or_else(|| nearest(name, known));
                unknown_parameter(name, nearest(name, known), known)
            })
            .collect();
        if findings.is_empty() {
            return Ok(());
        }
        let mut problem = refusal(findings);
        if let Some(meant) = meant {
            problem.more_members.insert("did_you_mean".to_owned(), meant.into());
        }
        Err(problem)
    }
}

fn unknown_parameter(name: &str, meant: Option<&str>, known: &[&str]) -> Finding {
    let shown: String = name.chars().take(32).collect();
    let (en, id) = match meant {
        Some(meant) => (
            format!("this parameter is not known; did you mean `{meant}`?"),
            format!("parameter ini tidak dikenal; maksud Anda `{meant}`?"),
        ),
        None => (
            format!("this parameter is not known; there are: {}", known.join(", ")),
            format!("parameter ini tidak dikenal; yang ada: {}", known.join(", ")),
        ),
    };
    Finding::new(shown, "unknown", en, id)
}

/// The known name a slip of the hand was meant to be.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    events::policy::closest(name, known.iter().copied())
}

fn refusal(findings: Vec<Finding>) -> Box<Problem> {
    let (en, id) = match findings.as_slice() {
        [one] => (
            format!("`{}`: {}.", one.pointer, one.detail.en),
            format!("`{}`: {}.", one.pointer, one.detail.id),
        ),
        many => (
            format!("{} parameters are not valid.", many.len()),
            format!("{} parameter tidak sah.", many.len()),
        ),
    };
    Box::new(Problem::new(Code::QueryInvalid, en, id).findings(findings))
}

/// A refusal of one parameter.
#[must_use]
pub fn invalid(
    name: &str,
    rule: &'static str,
    en: impl Into<String>,
    id: impl Into<String>,
) -> Box<Problem> {
    refusal(vec![Finding::new(name, rule, en, id)])
}

/// Reads parameters by type and remembers what is wrong with them.
#[derive(Debug)]
pub struct Reader<'a> {
    values: &'a Map<String, Value>,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    /// Ends the reading: everything that was wrong, at once.
    pub fn done(self) -> Result<(), Box<Problem>> {
        if self.findings.is_empty() { Ok(()) } else { Err(refusal(self.findings)) }
    }

    /// Remembers one more fault.
    pub fn fault(
        &mut self,
        name: &str,
        rule: &'static str,
        en: impl Into<String>,
        id: impl Into<String>,
    ) {
        self.findings.push(Finding::new(name, rule, en, id));
    }

    /// Says that a parameter must be there.
    pub fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        let faulty = self.findings.iter().any(|it| it.pointer == name);
        if value.is_none() && !faulty {
            self.fault(name, "required", "is required", "wajib diisi");
        }
        value
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.values.get(name).filter(|it| !it.is_null())
    }

    fn typed(&mut self, name: &str, en: &str, id: &str) {
        self.fault(name, "type", en, id);
    }

    /// Text; an empty one counts as not sent.
    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text),
            _ => {
                self.typed(name, "must be one text", "harus satu teks");
                None
            }
        }
    }

    /// Texts: one, a list, or a name that was sent several times.
    pub fn texts(&mut self, name: &str) -> Vec<&'a str> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let list = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
        texts.unwrap_or_else(|| {
            self.typed(name, "must be text", "harus berupa teks");
            Vec::new()
        })
    }

    /// A whole number within a range.
    pub fn integer(&mut self, name: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let value = self.get(name)?;
        let number = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        };
        let Some(number) = number else {
            self.typed(name, "must be a whole number", "harus bilangan bulat");
            return None;
        };
        if range.contains(&number) {
            return Some(number);
        }
        let (from, to) = (range.start(), range.end());
        let rule = if name == "limit" { "limit" } else { "range" };
        self.fault(
            name,
            rule,
            format!("must be {from} to {to}"),
            format!("harus {from} sampai {to}"),
        );
        None
    }

    /// A place in the log or in a stream; 0 is before the first.
    pub fn position(&mut self, name: &str) -> Option<i64> {
        self.integer(name, 0..=events::json::INTEGER_MAX)
    }

    /// How many items a page may have (bad input B55).
    pub fn limit(&mut self) -> usize {
        let max = i64::try_from(LIMIT_MAX).unwrap_or(i64::MAX);
        let faults = self.findings.len();
        let wanted = self.integer("limit", 1..=max).and_then(|it| usize::try_from(it).ok());
        if let Some(it) = self.findings.get_mut(faults) {
            // Whatever is wrong with it, the rule that helps is the same.
            *it = Finding::new("limit", "limit", "must be 1 to 500", "harus 1 sampai 500");
        }
        wanted.unwrap_or(LIMIT_DEFAULT)
    }

    /// `true` or `false`.
    pub fn truth(&mut self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(it) => Some(*it),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => {
                self.typed(name, "must be true or false", "harus true atau false");
                None
            }
        }
    }

    /// An instant with offset.
    pub fn instant(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        match parse_instant(text) {
            Ok(at) => Some(at),
            Err(error) => {
                let hint =
                    "harus waktu RFC 3339 dengan selisih zona, misalnya 2026-11-21T10:00:00+07:00";
                self.fault(name, "type", error.to_string(), hint);
                None
            }
        }
    }

    /// A day of the calendar.
    pub fn date(&mut self, name: &str) -> Option<Date> {
        let text = self.text(name)?;
        let date = (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten();
        if date.is_none() {
            self.typed(
                name,
                "must be a date such as 2026-11-21",
                "harus tanggal, misalnya 2026-11-21",
            );
        }
        date
    }

    /// A zone of the IANA list (bad input B42).
    pub fn zone(&mut self, name: &str) -> Option<TimeZone> {
        let text = self.text(name)?;
        let zone = TimeZone::get(text).ok();
        if zone.is_none() {
            self.fault(
                name,
                "zone",
                "must be a zone such as Asia/Jakarta, Asia/Makassar or Asia/Jayapura",
                "harus zona seperti Asia/Jakarta, Asia/Makassar, atau Asia/Jayapura",
            );
        }
        zone
    }

    /// A duration such as `500ms`, `2s`, `15m`, `48h` or `7d`.
    pub fn duration(&mut self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        let duration = parse_duration(text);
        if duration.is_none() {
            self.typed(
                name,
                "must be a duration: digits, then ms, s, m, h or d",
                "harus durasi: angka, lalu ms, s, m, h, atau d",
            );
        }
        duration
    }

    /// How long to wait: [`WAIT_DEFAULT`] if nobody says, [`WAIT_MAX`] at most.
    pub fn wait(&mut self, default: Duration) -> Duration {
        match self.duration("wait") {
            None => default,
            Some(it) if it <= WAIT_MAX => it,
            Some(_) => {
                self.fault("wait", "range", "must be at most 5s", "paling lama 5s");
                default
            }
        }
    }

    /// An id or another word with a grammar of its own.
    pub fn parsed<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(name)?;
        match text.parse() {
            Ok(it) => Some(it),
            Err(error) => {
                let fault = T::Err::to_string(&error);
                let id = format!("bentuknya tidak sah: {fault}");
                self.fault(name, "type", fault, id);
                None
            }
        }
    }

    /// One word out of a closed set.
    pub fn word(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = words.iter().copied().find(|it| *it == text);
        if found.is_none() {
            self.not_among(name, words);
        }
        found
    }

    /// Words out of a closed set: one, a list, or a name that was sent several times.
    pub fn words(&mut self, name: &str, words: &[&'static str]) -> Vec<&'static str> {
        let texts = self.texts(name);
        let found = texts.iter().map(|text| words.iter().copied().find(|it| it == text));
        let found: Option<Vec<&'static str>> = found.collect();
        found.unwrap_or_else(|| {
            self.not_among(name, words);
            Vec::new()
        })
    }

    fn not_among(&mut self, name: &str, words: &[&str]) {
        let list = words.join(", ");
        let (en, id) = (format!("must be one of {list}"), format!("harus salah satu dari {list}"));
        self.fault(name, "type", en, id);
    }
}

/// Reads `500ms`, `2s`, `15m`, `48h`, `7d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let seconds = match text.get(digits..)? {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(value: Value) -> Params {
        let Value::Object(values) = value else { unreachable!("tests hand in objects") };
        Params::of(values)
    }

    #[test]
    fn text_of_a_query_and_json_of_a_message_are_read_alike() {
        for sent in [json!({"limit": 7, "atomic": false}), json!({"limit": "7", "atomic": "false"})]
        {
            let sent = params(sent);
            let mut read = sent.read();
            assert_eq!((read.limit(), read.truth("atomic")), (7, Some(false)));
            assert!(read.done().is_ok());
        }
    }

    #[test]
    fn a_limit_outside_1_to_500_is_refused_under_the_rule_limit() {
        for wrong in [json!(0), json!(-1), json!(1_000_000_000), json!("many"), json!(501)] {
            let sent = params(json!({"limit": wrong}));
            let mut read = sent.read();
            read.limit();
            let problem = read.done().unwrap_err();
            assert_eq!((problem.code, problem.errors[0].rule), (Code::QueryInvalid, "limit"));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_one_that_was_meant() {
        let problem = params(json!({"costumer": "c-1"})).only(&["customer", "limit"]).unwrap_err();
        assert_eq!(problem.errors[0].rule, "unknown");
        assert_eq!(problem.more_members["did_you_mean"], "customer");
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let sent = params(json!({"from": "yesterday", "at": "2026-02-30", "wait": "1 hour"}));
        let mut read = sent.read();
        read.instant("from");
        read.date("at");
        read.wait(WAIT_DEFAULT);
        let id: Option<String> = read.parsed("id");
        read.required("id", id);
        assert_eq!(read.done().unwrap_err().errors.len(), 4);
    }

    #[test]
    fn durations_have_one_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_hours(168)));
        for wrong in ["", "5", "s", "1h30m", "-1s", "18446744073709551615d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_sent_twice_is_a_list() {
        let mut sent = Params::default();
        sent.add("topic", "booking".into());
        sent.add("topic", "alert".into());
        assert_eq!(sent.read().texts("topic"), ["booking", "alert"]);
        let mut read = sent.read();
        assert_eq!(read.text("topic"), None);
        assert!(read.done().is_err());
    }
}
