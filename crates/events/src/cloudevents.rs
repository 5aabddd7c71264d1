//! CloudEvents 1.0, both directions: structured and binary in, structured out.
//!
//! This is the one validator. HTTP, NATS, the command line and imports all hand their bytes to it
//! with a [`Sender`] that says what the credential or the subject proved, so the same bytes get the
//! same answer on every face. Stages run in a fixed order and a later one never sees input that an
//! earlier one refused: size, UTF-8, JSON, envelope, type, schema, meaning. Nothing here asks the
//! log; identity and versions are judged inside the append.

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::canonical::canonical;
use crate::envelope::{Incoming, Recorded};
use crate::fact::{self, Fact};
use crate::id::{CustomerId, EventId, Ident, Source, Tenant};
use crate::json::{self, Document, JsonFault};
use crate::kind::{CustomerRule, Family, Kind};
use crate::problem::{Code, Finding, Problem};
use crate::spoken::counted;
use crate::subject::Ingress;
use crate::warning::Warning;
use crate::{attributes, schema, upcast};

/// Bytes of one event.
pub const EVENT_BYTES_MAX: usize = 65_536;
/// Events of one batch.
pub const BATCH_EVENTS_MAX: usize = 512;
/// Bytes of one batch.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much of a batch a row of a file takes up: as much as it has events, and at least one, because
/// a row without an event is judged and kept too. Reader and server both count with it.
#[must_use]
pub fn row_weight(events: usize) -> usize {
    events.max(1)
}

/// What is proven about whoever sent the bytes, and the settings that judge them.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// Whose data it may send.
    pub tenant: &'a Tenant,
    /// Now, as the clock says.
    pub now: Timestamp,
    /// It may send decision kinds, old dates and `imported` (scope `import`, or Sapa itself).
    pub may_import: bool,
    /// The sources it may send as; `None` means any.
    pub sources: Option<&'a [Source]>,
    /// The subject the message came in on, if it came over the ingress stream.
    pub route: Option<&'a Ingress>,
    /// Key of the tenant's fingerprints.
    pub key: &'a [u8],
    /// Members unknown to the schema are refused instead of kept.
    pub refuse_unknown_fields: bool,
    /// Venues whose own system sends this: decisions about their bookings are its to make. Whoever
    /// fills this has checked the credential against `authority = "external"` of the policy.
    pub venues: &'a [Ident],
}

/// Reads one structured event.
pub fn structured(bytes: &[u8], sender: &Sender<'_>) -> Result<Incoming, Box<Problem>> {
    within(bytes.len(), EVENT_BYTES_MAX)?;
    let document = json::read(bytes).map_err(json_problem)?;
    let Value::Object(mut members) = document.value else {
        return Err(not_an_object());
    };
    if members.contains_key("data_base64") {
        return Err(media_type("/data_base64"));
    }
    let data = members.remove("data").unwrap_or_else(|| Value::Object(Map::new()));
    let notes = Notes { inexact: document.inexact, long: document.long, nul: document.nul };
    check(members, data, &notes, sender)
}

/// Reads one binary event: `ce-*` attributes beside a body that is the data.
pub fn binary(
    attributes: Map<String, Value>,
    body: &[u8],
    sender: &Sender<'_>,
) -> Result<Incoming, Box<Problem>> {
    within(body.len(), EVENT_BYTES_MAX)?;
    let Document { value, inexact, long, nul } = json::read(body).map_err(|fault| {
        let mut problem = json_problem(fault);
        for it in &mut problem.errors {
            it.pointer.insert_str(0, "/data");
        }
        problem
    })?;
    let below = |it: String| format!("/data{it}");
    let notes = Notes {
        inexact: inexact.into_iter().map(below).collect(),
        long: long.into_iter().map(|(it, chars)| (below(it), chars)).collect(),
        nul: nul.into_iter().map(below).collect(),
    };
    check(attributes, value, &notes, sender)
}

/// Splits a batch into its events without reading them.
pub fn batch(bytes: &[u8]) -> Result<Vec<&RawValue>, Box<Problem>> {
    within(bytes.len(), BATCH_BYTES_MAX)?;
    let items = json::elements(bytes).map_err(json_problem)?;
    if (1..=BATCH_EVENTS_MAX).contains(&items.len()) {
        return Ok(items);
    }
    Err(Box::new(Problem::new(
        Code::BatchSize,
        format!("Send 1 to {BATCH_EVENTS_MAX} events of one tenant, not {}.", items.len()),
        format!("Kirim 1 sampai {BATCH_EVENTS_MAX} peristiwa satu penyewa, bukan {}.", items.len()),
    )))
}

/// What the JSON reader noted for the schema to judge.
struct Notes {
    inexact: Vec<String>,
    long: Vec<(String, usize)>,
    nul: Vec<String>,
}

/// Stages 7 to 10: envelope, type, schema, meaning.
fn check(
    members: Map<String, Value>,
    mut data: Value,
    notes: &Notes,
    sender: &Sender<'_>,
) -> Result<Incoming, Box<Problem>> {
    // What is no id is not repeated either.
    let event_id = members.get("id").and_then(Value::as_str);
    let event_id = event_id.filter(|it| it.parse::<EventId>().is_ok()).map(str::to_owned);
    let named = |mut problem: Box<Problem>| {
        problem.event_id.clone_from(&event_id);
        problem
    };
    let mut envelope = attributes::read(members, sender).map_err(named)?;
    let kind = envelope.kind;
    let version = envelope.schema_version;
    let name = kind.type_name(version);
    // Who may send a kind is asked before what it says; only some bookings depend on their venue.
    let by_venue = kind.topic() == "booking" && !sender.venues.is_empty();
    if !sender.may_import && kind.is_reserved() && kind.is_built() && !by_venue {
        return Err(named(reserved_type(kind, &name)));
    }

    let mut findings = noted(kind, notes);
    for it in schema::validate(kind, version, &data) {
        if findings.iter().all(|known| known.pointer != it.pointer) {
            findings.push(it);
        }
    }
    let unknown = schema::unknown_fields(kind, version, &data);
    if sender.refuse_unknown_fields {
        findings.extend(unknown.iter().map(|it| unknown_field(it)));
    }
    if !findings.is_empty() {
        return Err(named(schema_invalid(&name, findings)));
    }
    let unknown = unknown.iter().map(|it| Warning::UnknownField.at(format!("/data/{it}")));
    envelope.warnings.extend(unknown);
    attributes::clean_names(kind, &mut data, &mut envelope.warnings);

    let text = canonical(&data);
    let fact = upcast::upcast(kind, version, &text)
        .and_then(|today| Fact::parse(kind, &today))
        .map_err(|error| named(unreadable(&name, &error)))?;
    let mut findings = fact::check(&fact, envelope.occurred_at);
    if !sender.may_import {
        findings.extend(fact::personal_ids(&fact));
    }
    if !findings.is_empty() {
        return Err(named(schema_invalid(&name, findings)));
    }
    if !kind.is_built() {
        return Err(named(not_built(kind)));
    }
    if !sender.may_import && reserved(kind, &fact, sender) {
        return Err(named(reserved_type(kind, &name)));
    }
    finish(envelope, &fact, text, sender).map_err(named)
}

fn finish(
    envelope: attributes::Envelope,
    fact: &Fact,
    data: String,
    sender: &Sender<'_>,
) -> Result<Incoming, Box<Problem>> {
    let family = envelope.kind.family();
    let key = match family {
        Family::Customer => envelope.customer.as_ref().map(CustomerId::as_str),
        _ => fact.stream_key(),
    };
    // The schema demands the member that a family's stream is named after, so only a customer can
    // be missing here, and the envelope has refused that already.
    let stream = key
        .and_then(|key| format!("{}/{key}", family.as_str()).parse().ok())
        .ok_or_else(|| Box::new(Problem::of(Code::BadId)))?;
    let fingerprint = fingerprint(&envelope, &data, sender.key);
    Ok(Incoming {
        tenant: sender.tenant.clone(),
        source: envelope.source,
        id: envelope.id,
        kind: envelope.kind,
        schema_version: envelope.schema_version,
        customer: envelope.customer,
        occurred_at: envelope.occurred_at,
        stream,
        attributes: envelope.attributes,
        correlation_id: envelope.correlation_id,
        causation_id: envelope.causation_id,
        trace: envelope.trace,
        expected_version: envelope.expected_version,
        data: data.into_boxed_str(),
        fingerprint,
        provenance: None,
        warnings: envelope.warnings,
    })
}

/// Equal for equal content: type, time, subject, schema and canonical data, under a key.
fn fingerprint(envelope: &attributes::Envelope, data: &str, key: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    // The length in front keeps the key a block of its own: no text can pretend to be part of it.
    part(key);
    part(envelope.customer.as_ref().map_or("", CustomerId::as_str).as_bytes());
    part(envelope.kind.type_name(envelope.schema_version).as_bytes());
    part(&envelope.occurred_at.as_microsecond().to_be_bytes());
    part(envelope.attributes.dataschema.as_deref().unwrap_or_default().as_bytes());
    part(data.as_bytes());
    hash.finalize().into()
}

/// A decision kind from somebody who does not decide.
fn reserved(kind: Kind, fact: &Fact, sender: &Sender<'_>) -> bool {
    if !kind.is_reserved() && !fact::reserved(fact) {
        return false;
    }
    let decides = |venue: &Ident| sender.venues.contains(venue);
    let is_of_venue = match fact {
        // An offer may name several venues.
        Fact::BookingOffered(it) => it.options.iter().all(|it| decides(&it.venue)),
        other => other.venue().is_some_and(decides),
    };
    !(kind.topic() == "booking" && is_of_venue)
}

fn noted(kind: Kind, notes: &Notes) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pointer in &notes.inexact {
        // The only two members in the catalogue that are numbers and not integers.
        let number = kind == Kind::ImprovementAssessed
            && matches!(pointer.as_str(), "/data/before" | "/data/after");
        if !number {
            findings.push(Finding::new(
                pointer,
                "number_range",
                "numbers are integers within ±(2^53 - 1), without fraction or exponent",
                "angka harus bilangan bulat dalam ±(2^53 - 1), tanpa pecahan atau eksponen",
            ));
        }
    }
    for (pointer, chars) in &notes.long {
        let max = json::STRING_CHARS_MAX;
        findings.push(Finding::new(
            pointer,
            "too_long",
            format!("{chars} characters; the limit is {max}"),
            format!("{chars} karakter; batasnya {max}"),
        ));
    }
    for pointer in &notes.nul {
        findings.push(Finding::new(
            pointer,
            "nul_character",
            "contains U+0000, which cannot be stored",
            "memuat U+0000, yang tidak dapat disimpan",
        ));
    }
    findings
}

/// A recorded fact as it is given out: one structured CloudEvent.
#[must_use]
pub fn write(it: &Recorded) -> String {
    serde_json::to_string(&Out(it)).expect("strings, numbers and JSON text always serialise")
}

struct Out<'a>(&'a Recorded);

impl Serialize for Out<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let it = self.0;
        let attributes = &it.attributes;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &it.id)?;
        map.serialize_entry("source", &it.source)?;
        map.serialize_entry("type", &it.kind.type_name(it.schema_version))?;
        if let Some(customer) = &it.customer {
            map.serialize_entry("subject", customer)?;
        }
        map.serialize_entry("time", &crate::time::spell(it.occurred_at))?;
        map.serialize_entry("actor", &attributes.actor)?;
        map.serialize_entry("actorkind", attributes.actor.kind().as_str())?;
        if let Some(channel) = attributes.channel {
            map.serialize_entry("channel", channel.as_str())?;
        }
        let texts = [
            ("correlationid", &it.correlation_id),
            ("causationid", &it.causation_id),
            ("traceparent", &it.trace),
            ("dataschema", &attributes.dataschema),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        if let Some(voids) = &attributes.voids {
            map.serialize_entry("voids", voids)?;
        }
        if attributes.imported {
            map.serialize_entry("imported", &true)?;
        }
        for (name, value) in &attributes.extensions {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("datacontenttype", "application/json")?;
        map.serialize_entry("tenant", &it.tenant)?;
        map.serialize_entry("stream", &it.stream)?;
        map.serialize_entry("streamversion", &it.version.to_string())?;
        map.serialize_entry("recordedat", &crate::time::spell(it.recorded_at))?;
        map.serialize_entry("position", &it.position.to_string())?;
        let data: &RawValue = serde_json::from_str(&it.data).map_err(serde::ser::Error::custom)?;
        map.serialize_entry("data", data)?;
        map.end()
    }
}

fn within(bytes: usize, max: usize) -> Result<(), Box<Problem>> {
    if bytes <= max {
        return Ok(());
    }
    Err(Box::new(Problem::new(
        Code::TooLarge,
        format!("{bytes} bytes; the limit is {max}. Put files elsewhere and send a link."),
        format!("{bytes} byte; batasnya {max}. Simpan berkas di tempat lain dan kirim tautannya."),
    )))
}

fn not_an_object() -> Box<Problem> {
    Box::new(Problem::new(
        Code::JsonSyntax,
        "One event is one JSON object.",
        "Satu peristiwa adalah satu objek JSON.",
    ))
}

/// The answer to data that is not JSON (bad input B64).
#[must_use]
pub fn media_type(pointer: &str) -> Box<Problem> {
    Box::new(Problem::at(
        Code::MediaType,
        pointer,
        "Event data must be JSON: datacontenttype application/json, and no data_base64.",
        "Data peristiwa harus JSON: datacontenttype application/json, tanpa data_base64.",
    ))
}

/// Faults of the data. A rule that is a code of the catalogue is the code, where it comes first.
fn schema_invalid(name: &str, findings: Vec<Finding>) -> Box<Problem> {
    let count = i64::try_from(findings.len()).unwrap_or(i64::MAX);
    let count = counted(count, "fault", "kesalahan");
    let file = name.trim_start_matches("sapa.");
    let code = findings.first().and_then(|it| Code::from_word(it.rule));
    Box::new(
        Problem::new(
            code.unwrap_or(Code::SchemaInvalid),
            format!("The data of {file} has {}.", count.en),
            format!("Data {file} memuat {}.", count.id),
        )
        .findings(findings)
        .hint(
            format!("See /schemas/events/{file}.json"),
            format!("Lihat /schemas/events/{file}.json"),
        ),
    )
}

fn unreadable(name: &str, error: &serde_json::Error) -> Box<Problem> {
    // Only the position is told: serde's sentence may quote the value.
    let place = format!("column {}", error.column());
    schema_invalid(
        name,
        vec![Finding::new(
            "/data",
            "type",
            format!("does not have the form of this type at {place} of its canonical text"),
            format!("tidak sesuai bentuk jenis ini pada {place} teks kanoniknya"),
        )],
    )
}

fn unknown_field(name: &str) -> Finding {
    Finding::new(
        format!("/data/{name}"),
        "unknown_field",
        "this field is not known; remove it",
        "bidang ini tidak dikenal; hapus",
    )
}

fn reserved_type(kind: Kind, name: &str) -> Box<Problem> {
    let problem = Problem::at(
        Code::ReservedType,
        "/type",
        format!("{name} is a decision; this credential may not record decisions."),
        format!("{name} adalah keputusan; kredensial ini tidak boleh mencatat keputusan."),
    );
    Box::new(if kind.topic() == "booking" {
        problem.hint(
            "The system of a venue decides when policy `venues` says `authority = \"external\"` for it and its \
             key names it: `sapa key create NAME --set publisher --venue ID`. A key with the scope `import` \
             loads history.",
            "Sistem sebuah tempat memutuskan bila kebijakan `venues` memuat `authority = \"external\"` untuknya \
             dan kuncinya menyebutnya: `sapa key create NAMA --set publisher --venue ID`. Kunci dengan cakupan \
             `import` memuat riwayat.",
        )
    } else {
        problem.hint(
            "Send what happened and let Sapa decide; a key with the scope `import` loads history.",
            "Kirim kejadiannya dan biarkan Sapa memutuskan; kunci dengan cakupan `import` memuat riwayat.",
        )
    })
}

/// The answer to a kind whose effects are not built yet: recording it would promise what nobody keeps.
#[must_use]
pub fn not_built(kind: Kind) -> Box<Problem> {
    let name = kind.name();
    let problem = Problem::at(
        Code::NotBuilt,
        "/type",
        format!("{name} would be recorded and change nothing in this version, so it is refused."),
        format!("{name} akan tercatat tanpa mengubah apa pun di versi ini, jadi ditolak."),
    );
    Box::new(match kind {
        Kind::CustomerErased => problem.hint(
            "`customer.consent_changed` with purpose `contact` and state `withdrawn` ends all contact; nothing \
             removes recorded facts yet.",
            "`customer.consent_changed` dengan purpose `contact` dan state `withdrawn` menghentikan semua kontak; \
             belum ada yang menghapus fakta tercatat.",
        ),
        Kind::ImprovementAssessed => problem.hint(
            "Record the change itself with `improvement.made`.",
            "Catat perubahannya sendiri dengan `improvement.made`.",
        ),
        _ => problem.hint(
            "Use one customer id for the same person in every system that publishes.",
            "Pakai satu id pelanggan untuk orang yang sama di setiap sistem pengirim.",
        ),
    })
}

/// A fault of the JSON reader as a problem.
#[must_use]
pub fn json_problem(fault: JsonFault) -> Box<Problem> {
    let code = match fault {
        JsonFault::Empty => Code::BodyEmpty,
        JsonFault::ByteOrderMark => Code::JsonBom,
        JsonFault::Utf8 { .. } => Code::Utf8Invalid,
        JsonFault::Syntax { .. } => Code::JsonSyntax,
        JsonFault::Number { .. } => Code::SchemaInvalid,
        JsonFault::Trailing { .. } => Code::JsonTrailing,
        JsonFault::TooDeep { .. } => Code::TooDeep,
        JsonFault::TooMany { .. } => Code::TooManyValues,
        JsonFault::DuplicateKey { .. } => Code::DuplicateKey,
    };
    let said = fault.to_string();
    let indonesian = format!("{}: {said}", code.title(crate::problem::Language::Id));
    let problem = Problem::new(code, said.clone(), indonesian.clone());
    Box::new(match fault {
        JsonFault::Number { pointer, .. } => {
            problem.findings(vec![Finding::new(pointer, "number_range", said, indonesian)])
        }
        JsonFault::TooDeep { pointer }
        | JsonFault::TooMany { pointer, .. }
        | JsonFault::DuplicateKey { pointer, .. } => {
            problem.findings(vec![Finding::new(pointer, code.as_str(), said, indonesian)])
        }
        _ => problem,
    })
}

/// Whether a kind must, may or must not be about a customer; used by the envelope.
#[must_use]
pub fn needs_customer(kind: Kind) -> bool {
    kind.customer() == CustomerRule::Required
}
