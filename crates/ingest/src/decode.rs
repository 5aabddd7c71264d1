//! A message as it came off the wire → an event for the log, or the reason why not.
//!
//! How headers and body are read is decided in `events::wire`, the same as over HTTP; what the event
//! says is judged by the one validator. Here the subject is added, which names the tenant and, where
//! it is stamped, the publisher. Refuses nothing silently: a [`Refused`] carries the problem, and
//! source and id where they could be read, for quarantine.
//!
//! Nobody proves on the ingress stream that they are the system of a venue, so decisions about bookings
//! are refused here; request-reply and HTTP take them from a key that names the venue.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::HeaderMap;
use events::cloudevents::Sender;
use events::envelope::{Incoming, Provenance};
use events::headers;
use events::id::Tenant;
use events::problem::{Code, Problem};
use events::subject::Ingress;
use events::wire::{self, Name};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Characters of a `traceparent` that is passed on.
const TRACE_CHARS_MAX: usize = 64;
/// Added by the server on delivery, and of no use to anybody who reads a quarantined message.
const PIN_HEADER: &str = "Nats-Pin-Id";

/// What one tenant's messages are judged by.
#[derive(Clone, Debug, Default)]
pub struct TenantSettings {
    /// Key of its fingerprints.
    pub fingerprint_key: Vec<u8>,
    /// Members unknown to the schema are refused instead of kept.
    pub refuse_unknown_fields: bool,
    /// Whoever may publish here may also send decision kinds and old dates.
    pub may_import: bool,
}

/// The tenants there are. Replaced as a whole; a chunk of messages sees one state of it.
pub type Tenants = Arc<BTreeMap<Tenant, TenantSettings>>;

/// One message of the ingress stream.
#[derive(Clone, Debug)]
pub struct Raw<'a> {
    /// Where it was published.
    pub subject: &'a str,
    /// Its headers, the server's included.
    pub headers: Option<&'a HeaderMap>,
    /// Its body.
    pub body: &'a [u8],
    /// Where in `SAPA_IN` it stands.
    pub provenance: Provenance,
}

/// Why a message is not an event.
#[derive(Clone, Debug)]
pub struct Refused {
    /// As a sender would have been answered.
    pub problem: Box<Problem>,
    /// Whose quarantine it belongs to; `None` when the subject names no possible tenant.
    pub tenant: Option<Tenant>,
    /// The event's source, where one could be read.
    pub source: Option<String>,
    /// The event's id, where one could be read.
    pub event_id: Option<String>,
}

/// Reads one message. It costs CPU and nothing else: no clock, no database, no broker.
pub fn decode(raw: &Raw<'_>, tenants: &Tenants, now: Timestamp) -> Result<Incoming, Refused> {
    let Ok(route) = Ingress::parse(raw.subject) else {
        let problem = Problem::of(Code::BadId).hint(
            "Publish to sapa.v1.<tenant>.in.<topic>.<action> with tokens of a-z 0-9 _.",
            "Kirim ke sapa.v1.<tenant>.in.<topic>.<action> dengan token a-z 0-9 _.",
        );
        return Err(refused(Box::new(problem), tenant_token(raw.subject), raw));
    };
    let tenant = Some(route.tenant.clone());
    let Some(settings) = tenants.get(&route.tenant) else {
        return Err(refused(Box::new(Problem::of(Code::TenantUnknown)), tenant, raw));
    };
    let sender = Sender {
        tenant: &route.tenant,
        now,
        may_import: settings.may_import,
        // On a stamped subject the validator itself holds the source against the publisher.
        sources: None,
        route: Some(&route),
        key: &settings.fingerprint_key,
        refuse_unknown_fields: settings.refuse_unknown_fields,
        venues: &[],
    };
    let pairs: Vec<(&str, &[u8])> = pairs(raw.headers).collect();
    let read = headers::within(pairs.iter().map(|(name, it)| name.len() + it.len() + 4).sum())
        .and_then(|()| wire::event(pairs.iter().copied(), raw.body, &sender));
    match read {
        Ok(mut incoming) => {
            if incoming.trace.is_none() {
                incoming.trace = trace(raw.headers);
            }
            incoming.provenance = Some(raw.provenance.clone());
            Ok(incoming)
        }
        Err(problem) => Err(refused(problem, tenant, raw)),
    }
}

/// The headers as they are kept in quarantine: name → values, without what delivery added.
#[must_use]
pub fn headers_to_json(headers: Option<&HeaderMap>) -> Value {
    let mut members = Map::new();
    for (name, values) in headers.iter().flat_map(|it| it.iter()) {
        let name: &str = name.as_ref();
        if name == PIN_HEADER {
            continue;
        }
        let values = values.iter().map(|it| Value::from(it.as_str())).collect();
        members.insert(name.to_owned(), Value::Array(values));
    }
    Value::Object(members)
}

/// Every header with every value.
fn pairs(headers: Option<&HeaderMap>) -> impl Iterator<Item = (&str, &[u8])> {
    headers.into_iter().flat_map(|it| it.iter()).flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |it| (name, it.as_str().as_bytes()))
    })
}

/// A `traceparent` header in the form that W3C gives it; anything else is not passed on.
fn trace(headers: Option<&HeaderMap>) -> Option<String> {
    let is_trace = |(name, _): &(&str, &[u8])| name.eq_ignore_ascii_case("traceparent");
    let text = str::from_utf8(pairs(headers).find(is_trace)?.1).ok()?;
    let fits = (1..=TRACE_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    fits.then(|| text.to_owned())
}

/// The third token of a subject that is otherwise wrong, if it could be a tenant.
fn tenant_token(subject: &str) -> Option<Tenant> {
    subject.split('.').nth(2)?.parse().ok()
}

/// What an event is called is read of its headers first, whatever is wrong with the rest.
fn refused(mut problem: Box<Problem>, tenant: Option<Tenant>, raw: &Raw<'_>) -> Refused {
    let name = Name::of(pairs(raw.headers), raw.body);
    if problem.event_id.is_none() {
        problem.event_id.clone_from(&name.id);
    }
    Refused { problem, tenant, source: name.source, event_id: name.id }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SUBJECT: &str = "sapa.v1.main.in.interaction.contacted";

    fn event() -> Value {
        json!({
            "specversion": "1.0", "id": "k-1", "source": "/hotel/front-desk",
            "type": "sapa.interaction.contacted.v1", "subject": "c-sari",
            "time": "2026-06-26T10:20:00+07:00", "actor": "staff/rudi", "actorkind": "staff",
            "channel": "phone", "data": { "purpose": "courtesy", "outcome": "reached" }
        })
    }

    fn binary() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in event().as_object().unwrap() {
            if let Value::String(value) = value {
                headers.insert(format!("ce-{name}").as_str(), value.as_str());
            }
        }
        headers
    }

    fn with(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, *value);
        }
        headers
    }

    fn read(subject: &str, headers: &HeaderMap, body: &str) -> Result<Incoming, Refused> {
        let settings = TenantSettings::default();
        let tenants = Arc::new(BTreeMap::from([("main".parse().unwrap(), settings)]));
        let provenance = Provenance { incarnation: Timestamp::UNIX_EPOCH, sequence: 9 };
        let raw = Raw { subject, headers: Some(headers), body: body.as_bytes(), provenance };
        decode(&raw, &tenants, "2026-06-26T04:00:00Z".parse().unwrap())
    }

    fn code(subject: &str, headers: &HeaderMap, body: &str) -> &'static str {
        read(subject, headers, body).unwrap_err().problem.code.as_str()
    }

    #[test]
    fn both_modes_of_one_event_are_the_same_event() {
        let structured = read(SUBJECT, &HeaderMap::new(), &event().to_string()).unwrap();
        let typed = with(&[("Content-Type", "Application/CloudEvents+JSON; charset=utf-8")]);
        let named = read(SUBJECT, &typed, &event().to_string()).unwrap();
        let apart = read(SUBJECT, &binary(), &event()["data"].to_string()).unwrap();
        assert_eq!(structured.fingerprint, named.fingerprint);
        assert_eq!(structured.fingerprint, apart.fingerprint);
        assert_eq!(structured.provenance.unwrap().sequence, 9);
    }

    #[test]
    fn the_mode_rules_refuse_what_is_neither_or_both() {
        let body = event().to_string();
        let both =
            with(&[("Content-Type", "application/cloudevents+json"), ("CE-specversion", "1.0")]);
        assert_eq!(code(SUBJECT, &both, &body), "mode_ambiguous");
        let batch = with(&[("Content-Type", "application/cloudevents-batch+json")]);
        assert_eq!(code(SUBJECT, &batch, &format!("[{body}]")), "media_type");
        let plain = with(&[("content-type", "application/json")]);
        assert!(read(SUBJECT, &plain, &body).is_ok());
        assert_eq!(code(SUBJECT, &plain, &format!("[{body}]")), "media_type");
        let none = HeaderMap::new();
        assert_eq!(code(SUBJECT, &none, "[]"), "media_type");
        assert_eq!(code(SUBJECT, &none, ""), "body_empty");
        assert_eq!(code(SUBJECT, &none, "\u{FEFF}{}"), "json_bom");
    }

    #[test]
    fn a_message_that_a_branch_forwarded_is_read_like_its_original() {
        let mut headers = binary();
        headers.insert("Nats-Stream-Source", "BRANCH 7 sapa.v1.main.in.> > sapa.v1.main.in.>");
        headers.insert("Nats-Msg-Id", "main:/hotel/front-desk:k-1");
        headers.insert("Nmqtt-Pub", "1");
        let original = read(SUBJECT, &HeaderMap::new(), &event().to_string()).unwrap();
        let forwarded = read(SUBJECT, &headers, &event()["data"].to_string()).unwrap();
        assert_eq!(forwarded.fingerprint, original.fingerprint);
        assert!(forwarded.attributes.extensions.is_empty());
    }

    #[test]
    fn headers_that_cannot_be_read_are_refused_and_the_event_is_named() {
        let mut headers = binary();
        headers.insert("ce-actor", "%FF");
        headers.insert("content-type", "application/cloudevents+json");
        let refused = read(SUBJECT, &headers, "not even JSON").unwrap_err();
        assert_eq!(refused.problem.code.as_str(), "mode_ambiguous");
        assert_eq!(refused.event_id.as_deref(), Some("k-1"));
        assert_eq!(refused.source.as_deref(), Some("/hotel/front-desk"));
    }

    #[test]
    fn headers_that_cannot_be_read_are_refused() {
        let mut headers = binary();
        headers.insert("ce-actor", "%FF");
        assert_eq!(code(SUBJECT, &headers, "{}"), "header_encoding");
        let mut headers = binary();
        headers.insert("CE-ID", "another");
        assert_eq!(code(SUBJECT, &headers, "{}"), "duplicate_key");
    }

    #[test]
    fn headers_over_the_limit_are_refused() {
        let big = with(&[("x", &"y".repeat(headers::BYTES_MAX))]);
        assert_eq!(code(SUBJECT, &big, "{}"), "headers_too_large");
    }

    #[test]
    fn the_subject_names_the_tenant_and_a_stamp_names_the_publisher() {
        let (none, body) = (HeaderMap::new(), event().to_string());
        let unknown = "sapa.v1.nobody.in.interaction.contacted";
        let refused = read(unknown, &none, &body).unwrap_err();
        assert_eq!(refused.problem.code.as_str(), "tenant_unknown");
        assert_eq!(refused.tenant.unwrap().as_str(), "nobody");
        assert_eq!(code("sapa.v1.main.in.interaction.*", &none, &body), "bad_id");
        assert_eq!(read("sapa.v1.M.in.a.b", &none, &body).unwrap_err().tenant, None);
        assert!(read("sapa.v1.main.from.hotel.interaction.contacted", &none, &body).is_ok());
        let stranger = "sapa.v1.main.from.crs.interaction.contacted";
        assert_eq!(code(stranger, &none, &body), "source_forbidden");
        assert_eq!(code("sapa.v1.main.in.booking.requested", &none, &body), "subject_mismatch");
    }

    #[test]
    fn a_refusal_names_the_event_where_it_can() {
        let mut wrong = event();
        wrong["data"]["purpose"] = json!("gossip");
        let refused = read(SUBJECT, &HeaderMap::new(), &wrong.to_string()).unwrap_err();
        assert_eq!(refused.event_id.as_deref(), Some("k-1"));
        assert_eq!(refused.source.as_deref(), Some("/hotel/front-desk"));
        let refused = read(SUBJECT, &HeaderMap::new(), "{").unwrap_err();
        assert_eq!(refused.event_id, None);
    }

    #[test]
    fn the_trace_of_the_headers_is_passed_on() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = with(&[("traceparent", trace), ("Nats-Pin-Id", "p"), ("a", "b"), ("a", "c")]);
        let it = read(SUBJECT, &headers, &event().to_string()).unwrap();
        assert_eq!(it.trace.as_deref(), Some(trace));
        assert_eq!(headers_to_json(Some(&headers))["a"], json!(["b", "c"]));
        assert_eq!(headers_to_json(Some(&headers)).get("Nats-Pin-Id"), None);
    }
}
