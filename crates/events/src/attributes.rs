//! The CloudEvents attributes of an incoming event: read, checked, and nothing left over.
//!
//! Everything wrong with an envelope is collected before it is refused; the first fault gives the
//! problem its code. What only Sapa sets is removed with a warning, so that its own output can be
//! sent again as input.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use crate::cloudevents::{Sender, media_type};
use crate::envelope::{
    Attributes, CLOCK_SUSPECT_AFTER, Channel, FUTURE_MAX, LATE_AFTER, OLD_DAYS_MAX,
};
use crate::id::{
    Actor, CustomerId, EventId, EventRef, IdError, Source, looks_like_a_mobile_number,
};
use crate::kind::{CustomerRule, Kind, TypeError};
use crate::problem::{Code, Finding, Problem};
use crate::time::{TimeError, parse_instant, spell};
use crate::warning::{Warning, WarningAt};

/// Extension attributes of one event.
pub(crate) const EXTENSIONS_MAX: usize = 16;
/// Bytes of all extension attributes together.
pub(crate) const EXTENSION_BYTES_MAX: usize = 4_096;
/// Characters of a correlation, causation or trace attribute.
pub(crate) const THREAD_CHARS_MAX: usize = 512;

/// Attributes that only Sapa sets.
const OURS: [&str; 4] = ["stream", "streamversion", "recordedat", "position"];

/// An envelope that was checked.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) id: EventId,
    pub(crate) source: Source,
    pub(crate) kind: Kind,
    pub(crate) schema_version: u32,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) occurred_at: Timestamp,
    pub(crate) attributes: Attributes,
    pub(crate) correlation_id: Option<String>,
    pub(crate) causation_id: Option<String>,
    pub(crate) trace: Option<String>,
    pub(crate) expected_version: Option<i64>,
    pub(crate) warnings: Vec<WarningAt>,
}

/// Reads every attribute; the type comes last, so that an unknown one is refused only when the rest
/// of the envelope could be kept beside it.
pub(crate) fn read(
    members: Map<String, Value>,
    sender: &Sender<'_>,
) -> Result<Envelope, Box<Problem>> {
    let mut it = Reader { members, sender, faults: Vec::new(), warnings: Vec::new() };
    it.specversion();
    it.content_type()?;
    let id = it.id();
    let source = it.source();
    let time = it.time();
    let actor = it.actor();
    let imported = it.imported();
    it.age(time, imported);
    let voids = it.parsed::<EventRef>("voids");
    let expected_version = it.expected_version();
    let correlation_id = it.thread("correlationid");
    let causation_id = it.thread("causationid");
    let trace = it.thread("traceparent");
    it.tenant();
    let kind = it.kind()?;
    let customer = it.customer(kind.map(|(kind, _)| kind), imported);
    let channel = it.channel(kind.map(|(kind, _)| kind));
    let dataschema = it.dataschema(kind);
    let extensions = it.extensions();
    let Reader { faults, warnings, .. } = it;
    if let Some(problem) = refusal(faults) {
        return Err(problem);
    }
    let missing = || Box::new(Problem::of(Code::SchemaInvalid));
    let (kind, schema_version) = kind.ok_or_else(missing)?;
    let actor = actor.ok_or_else(missing)?;
    Ok(Envelope {
        id: id.ok_or_else(missing)?,
        source: source.ok_or_else(missing)?,
        kind,
        schema_version,
        customer,
        occurred_at: time.ok_or_else(missing)?,
        attributes: Attributes { actor, channel, voids, imported, dataschema, extensions },
        correlation_id,
        causation_id,
        trace,
        expected_version,
        warnings,
    })
}

/// Takes control and direction characters out of names and brings them into one normal form (B16,
/// B17); warns where a name mixes scripts whose letters look alike (B18).
pub(crate) fn clean_names(kind: Kind, data: &mut Value, warnings: &mut Vec<WarningAt>) {
    let member = match kind {
        Kind::CustomerRegistered => "name",
        Kind::CustomerIdentified if data["id_kind"] == "name" => "value",
        _ => return,
    };
    let Some(Value::String(name)) = data.get_mut(member) else { return };
    let visible = |it: &char| {
        !it.is_control()
            && !matches!(*it, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
    };
    let cleaned: String = name.chars().filter(visible).nfc().collect();
    if cleaned.chars().count() < name.nfc().count() {
        warnings.push(Warning::NameCleaned.at(format!("/data/{member}")));
    }
    let script = |from: char, to: char| cleaned.chars().any(|it| (from..=to).contains(&it));
    let latin = cleaned.chars().any(|it| it.is_ascii_alphabetic());
    if latin && (script('\u{0370}', '\u{03FF}') || script('\u{0400}', '\u{04FF}')) {
        warnings.push(Warning::NameConfusable.at(format!("/data/{member}")));
    }
    if !cleaned.trim().is_empty() {
        *name = cleaned;
    }
}

/// Whether a media type is JSON, whatever its parameters.
fn is_json(media_type: &str) -> bool {
    let bare = media_type.split(';').next().unwrap_or_default().trim();
    bare.eq_ignore_ascii_case("application/json")
}

/// All faults of the envelope as one problem, whose code is that of the first.
fn refusal(faults: Vec<(Code, Finding)>) -> Option<Box<Problem>> {
    let (code, first) = faults.first().map(|(code, it)| (*code, it.detail.clone()))?;
    let problem = Problem::new(code, first.en, first.id);
    Some(Box::new(problem.findings(faults.into_iter().map(|(_, it)| it).collect())))
}

struct Reader<'a> {
    members: Map<String, Value>,
    sender: &'a Sender<'a>,
    faults: Vec<(Code, Finding)>,
    warnings: Vec<WarningAt>,
}

impl Reader<'_> {
    fn fault(&mut self, code: Code, name: &str, en: impl Into<String>, id: impl Into<String>) {
        self.found(code, Finding::new(format!("/{name}"), code.as_str(), en, id));
    }

    /// Keeps the first fault of a place: what follows from it would only repeat it.
    fn found(&mut self, code: Code, finding: Finding) {
        if self.faults.iter().all(|(_, it)| it.pointer != finding.pointer) {
            self.faults.push((code, finding));
        }
    }

    /// A fault of the envelope that has no code of its own, only a rule.
    fn rule(
        &mut self,
        name: &str,
        rule: &'static str,
        en: impl Into<String>,
        id: impl Into<String>,
    ) {
        self.found(Code::SchemaInvalid, Finding::new(format!("/{name}"), rule, en, id));
    }

    fn required(&mut self, name: &str) {
        self.rule(name, "required", format!("`{name}` is required"), format!("`{name}` wajib ada"));
    }

    /// Takes a text attribute; anything but a text is a fault.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.members.remove(name)? {
            Value::String(it) => Some(it),
            Value::Null => None,
            _ => {
                self.rule(
                    name,
                    "type",
                    format!("`{name}` must be a string"),
                    format!("`{name}` harus berupa teks"),
                );
                None
            }
        }
    }

    fn parsed<T: std::str::FromStr<Err = IdError>>(&mut self, name: &str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(it) => Some(it),
            Err(error) => {
                self.fault(
                    Code::BadId,
                    name,
                    format!("`{name}`: {error}"),
                    format!("`{name}` tidak sesuai tata penulisan id"),
                );
                None
            }
        }
    }

    fn specversion(&mut self) {
        if self.text("specversion").as_deref() != Some("1.0") {
            self.fault(
                Code::Specversion,
                "specversion",
                "`specversion` must be \"1.0\"",
                "`specversion` harus \"1.0\"",
            );
        }
    }

    fn content_type(&mut self) -> Result<(), Box<Problem>> {
        match self.text("datacontenttype") {
            Some(it) if !is_json(&it) => Err(media_type("/datacontenttype")),
            _ => Ok(()),
        }
    }

    fn id(&mut self) -> Option<EventId> {
        let Some(text) = self.text("id") else {
            self.fault(
                Code::EventIdMissing,
                "id",
                "Give every event an id that you store before sending (UUIDv7 advised).",
                "Beri setiap peristiwa id yang disimpan sebelum dikirim (disarankan UUIDv7).",
            );
            return None;
        };
        let parsed = text.parse::<EventId>();
        if let Err(error) = &parsed {
            self.fault(
                Code::EventIdInvalid,
                "id",
                format!("{error}"),
                "`id` harus 1 sampai 64 karakter tercetak",
            );
        }
        parsed.ok()
    }

    fn source(&mut self) -> Option<Source> {
        if !self.members.contains_key("source") {
            self.required("source");
            return None;
        }
        let source = self.parsed::<Source>("source")?;
        let listed = self.sender.sources.is_none_or(|it| it.contains(&source));
        let publisher = self.sender.route.and_then(|it| it.publisher.as_ref());
        let own = publisher.is_none_or(|it| {
            let rest = source.as_str().strip_prefix('/').unwrap_or(source.as_str());
            rest.strip_prefix(it.as_str()).is_some_and(|it| it.is_empty() || it.starts_with('/'))
        });
        if !listed || !own {
            self.fault(
                Code::SourceForbidden,
                "source",
                "This credential may not send as that source; use one it was made for.",
                "Kredensial ini tidak boleh mengirim sebagai sumber itu; pakai sumber miliknya.",
            );
        }
        Some(source)
    }

    fn time(&mut self) -> Option<Timestamp> {
        let Some(text) = self.text("time") else {
            self.required("time");
            return None;
        };
        match parse_instant(&text) {
            Ok(it) => Some(it),
            Err(error) => {
                let (code, id) = match error {
                    TimeError::ZoneMissing => {
                        (Code::TimeZoneMissing, "`time` tanpa selisih zona; kirim +07:00 atau Z")
                    }
                    TimeError::Invalid => {
                        (Code::TimeInvalid, "`time` bukan waktu RFC 3339 yang sah")
                    }
                    TimeError::Range => (Code::TimeRange, "`time` harus di antara 1970 dan 2100"),
                };
                self.fault(code, "time", format!("`time`: {error}"), id);
                None
            }
        }
    }

    fn age(&mut self, time: Option<Timestamp>, imported: bool) {
        let Some(time) = time else { return };
        let now = self.sender.now;
        let ahead = time.duration_since(now);
        if FUTURE_MAX < ahead {
            let hours = ahead.as_hours();
            self.fault(
                Code::TimeFuture,
                "time",
                format!("`time` lies {hours} hours ahead of the server clock ({}).", spell(now)),
                format!("`time` {hours} jam di depan jam server ({}).", spell(now)),
            );
        } else if CLOCK_SUSPECT_AFTER < ahead {
            self.warnings.push(Warning::ClockSuspect.at("/time"));
        } else if !imported && SignedDuration::from_hours(24 * OLD_DAYS_MAX) < -ahead {
            self.fault(
                Code::TimeOld,
                "time",
                "`time` lies more than 20 years back; mark old history with `imported`.",
                "`time` lebih dari 20 tahun lalu; tandai riwayat lama dengan `imported`.",
            );
        } else if !imported && LATE_AFTER < -ahead {
            self.warnings.push(Warning::Late.at("/time"));
        }
    }

    fn actor(&mut self) -> Option<Actor> {
        let kind = self.text("actorkind");
        if !self.members.contains_key("actor") {
            self.required("actor");
            return None;
        }
        let actor = self.parsed::<Actor>("actor")?;
        if kind.is_some_and(|it| it != actor.kind().as_str()) {
            self.rule(
                "actorkind",
                "actorkind",
                "`actorkind` must be the first part of `actor`",
                "`actorkind` harus sama dengan bagian pertama `actor`",
            );
        }
        Some(actor)
    }

    fn imported(&mut self) -> bool {
        let imported = match self.members.remove("imported") {
            None | Some(Value::Null | Value::Bool(false)) => return false,
            Some(Value::Bool(true)) => true,
            // Headers carry texts, and Python writes its booleans with a capital.
            Some(Value::String(it)) if it.eq_ignore_ascii_case("true") => true,
            Some(Value::String(it)) if it.eq_ignore_ascii_case("false") => return false,
            Some(_) => {
                self.rule(
                    "imported",
                    "type",
                    "`imported` must be true or false",
                    "`imported` harus true atau false",
                );
                return false;
            }
        };
        if !self.sender.may_import {
            self.fault(
                Code::ScopeMissing,
                "imported",
                "`imported` needs the scope `import`.",
                "`imported` memerlukan cakupan `import`.",
            );
        }
        imported
    }

    fn expected_version(&mut self) -> Option<i64> {
        let value = self.members.remove("expectedversion")?;
        let number = match &value {
            Value::Number(it) => it.as_i64(),
            Value::String(it) => it.parse().ok(),
            _ => None,
        };
        let number = number.filter(|it| (0..=crate::json::INTEGER_MAX).contains(it));
        if number.is_none() {
            self.rule(
                "expectedversion",
                "type",
                "`expectedversion` must be a whole number from 0",
                "`expectedversion` harus bilangan bulat mulai 0",
            );
        }
        number
    }

    fn thread(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let fits = !text.is_empty()
            && text.chars().count() <= THREAD_CHARS_MAX
            && !text.chars().any(char::is_control);
        if !fits {
            self.rule(
                name,
                "too_long",
                format!("`{name}` must be 1 to {THREAD_CHARS_MAX} printable characters"),
                format!("`{name}` harus 1 sampai {THREAD_CHARS_MAX} karakter tercetak"),
            );
        }
        Some(text)
    }

    fn tenant(&mut self) {
        let tenant = self.text("tenant");
        if tenant.is_some_and(|it| it != self.sender.tenant.as_str()) {
            self.fault(
                Code::SubjectMismatch,
                "tenant",
                "`tenant` differs from the tenant of the subject or credential; leave it out.",
                "`tenant` berbeda dari penyewa pada subjek atau kredensial; hilangkan saja.",
            );
        }
    }

    /// The kind; an unknown one ends the reading, because nothing after it can be judged.
    fn kind(&mut self) -> Result<Option<(Kind, u32)>, Box<Problem>> {
        let Some(text) = self.text("type") else {
            self.required("type");
            return Ok(None);
        };
        let found = Kind::parse_type(&text);
        let known = match &found {
            Ok((kind, _)) | Err(TypeError::TooNew { kind, .. }) => Some(*kind),
            Err(_) => None,
        };
        if let (Some(route), Some(kind)) = (self.sender.route, known)
            && (route.topic != kind.topic() || route.action != kind.action())
        {
            self.fault(
                Code::SubjectMismatch,
                "type",
                format!(
                    "The subject says {}.{}, the type says {}.",
                    route.topic,
                    route.action,
                    kind.name()
                ),
                format!(
                    "Subjek menyebut {}.{}, jenis menyebut {}.",
                    route.topic,
                    route.action,
                    kind.name()
                ),
            );
        }
        match found {
            Ok(it) => Ok(Some(it)),
            Err(error) => Err(refusal(std::mem::take(&mut self.faults))
                .unwrap_or_else(|| unknown_type(&text, &error))),
        }
    }

    fn customer(&mut self, kind: Option<Kind>, imported: bool) -> Option<CustomerId> {
        let rule = kind.map_or(CustomerRule::Optional, Kind::customer);
        let Some(text) = self.text("subject") else {
            if rule == CustomerRule::Required {
                self.rule(
                    "subject",
                    "required",
                    "`subject` is required: the id of the customer",
                    "`subject` wajib ada: id pelanggan",
                );
            }
            return None;
        };
        if rule == CustomerRule::Never {
            self.rule(
                "subject",
                "no_customer",
                "this type is not about a customer; leave `subject` out",
                "jenis ini bukan tentang pelanggan; hilangkan `subject`",
            );
            return None;
        }
        let personal = looks_like_a_mobile_number(&text);
        match text.parse::<CustomerId>() {
            Ok(it) if !personal => Some(it),
            Ok(it) if imported && self.sender.may_import => {
                self.warnings.push(Warning::IdPersonal.at("/subject"));
                Some(it)
            }
            // A number with a plus in front is outside the alphabet too; what it is comes first.
            Err(IdError::Grammar(_)) if !personal => {
                self.fault(
                    Code::BadId,
                    "subject",
                    "`subject` may hold only A-Z a-z 0-9 . _ - : (1 to 64, first a letter or digit).",
                    "`subject` hanya boleh memuat A-Z a-z 0-9 . _ - : (1 sampai 64, diawali huruf atau angka).",
                );
                None
            }
            _ => {
                self.fault(
                    Code::IdPersonal,
                    "subject",
                    "Use an opaque customer id; addresses and telephone numbers belong in customer.identified.",
                    "Pakai id pelanggan yang tidak bermakna; alamat dan nomor telepon masuk ke customer.identified.",
                );
                None
            }
        }
    }

    fn channel(&mut self, kind: Option<Kind>) -> Option<Channel> {
        let words = Channel::WORDS;
        let Some(text) = self.text("channel") else {
            if kind.is_some_and(Kind::requires_channel) {
                self.rule(
                    "channel",
                    "required",
                    format!("`channel` is required: {words}"),
                    format!("`channel` wajib ada: {words}"),
                );
            }
            return None;
        };
        let channel = Channel::parse(&text);
        if channel.is_none() {
            self.rule(
                "channel",
                "range",
                format!("`channel` must be one of {words}"),
                format!("`channel` harus salah satu dari {words}"),
            );
        }
        channel
    }

    fn dataschema(&mut self, kind: Option<(Kind, u32)>) -> Option<String> {
        let text = self.text("dataschema")?;
        let (kind, version) = kind?;
        let file = format!("{}.v{version}", kind.name());
        let fits =
            text == format!("urn:sapa:schema:{file}") || text.ends_with(&format!("/{file}.json"));
        if !fits || THREAD_CHARS_MAX < text.chars().count() {
            self.rule(
                "dataschema",
                "dataschema",
                format!("`dataschema` must name {file}, or be left out"),
                format!("`dataschema` harus menyebut {file}, atau dihilangkan"),
            );
        }
        Some(text)
    }

    fn extensions(&mut self) -> std::collections::BTreeMap<String, Value> {
        for name in OURS {
            if self.members.remove(name).is_some() {
                self.warnings.push(Warning::AttributeIgnored.at(format!("/{name}")));
            }
        }
        let rest = std::mem::take(&mut self.members);
        let mut bytes = 0;
        let count = rest.len();
        for (name, value) in &rest {
            // CloudEvents advises at most 20 characters and forbids no more.
            let spelled =
                !name.is_empty() && name.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9'));
            if !spelled || value.is_object() || value.is_array() {
                let short: String = name.chars().take(32).collect();
                self.rule(
                    &short,
                    "extension",
                    "attribute names are of a-z 0-9, their values plain; business data belongs in `data`",
                    "nama atribut terdiri dari a-z 0-9 dengan nilai sederhana; data usaha masuk ke `data`",
                );
            }
            bytes += name.len() + value.as_str().map_or(8, str::len);
        }
        if EXTENSIONS_MAX < count || EXTENSION_BYTES_MAX < bytes {
            self.rule(
                "",
                "extension",
                format!("at most {EXTENSIONS_MAX} extension attributes with {EXTENSION_BYTES_MAX} bytes together"),
                format!("paling banyak {EXTENSIONS_MAX} atribut tambahan, {EXTENSION_BYTES_MAX} byte seluruhnya"),
            );
        }
        rest.into_iter().collect()
    }
}

fn unknown_type(text: &str, error: &TypeError) -> Box<Problem> {
    let short: String = text.chars().take(64).collect();
    Box::new(match error {
        TypeError::TooNew { kind, newest } => Problem::at(
            Code::SchemaTooNew,
            "/type",
            format!("This server knows {} up to v{newest}.", kind.name()),
            format!("Server ini mengenal {} sampai v{newest}.", kind.name()),
        ),
        TypeError::Unknown { did_you_mean: Some(kind) } => {
            let near = kind.type_name(kind.newest_version());
            Problem::at(
                Code::UnknownType,
                "/type",
                format!("Unknown type `{short}`; did you mean `{near}`?"),
                format!("Jenis `{short}` tidak dikenal; maksudnya `{near}`?"),
            )
            .member("did_you_mean", near)
        }
        TypeError::Unknown { did_you_mean: None } | TypeError::NotOurs => {
            let problem = Problem::at(
                Code::UnknownType,
                "/type",
                format!("Unknown type `{short}`; see /schemas for the types there are."),
                format!("Jenis `{short}` tidak dikenal; lihat /schemas."),
            );
            let topic = text.strip_prefix("sapa.").unwrap_or(text).split('.').next();
            let topic = topic.unwrap_or_default();
            match Kind::offered_actions(topic).join(", ") {
                none if none.is_empty() => problem,
                actions => problem.hint(
                    format!("What may be sent of `{topic}`: {actions}."),
                    format!("Yang boleh dikirim dari `{topic}`: {actions}."),
                ),
            }
        }
    })
}
