//! The notice of a quarantined message: what operators hear, never what stood in it.

use data_encoding::HEXLOWER;
use events::problem::{FINDINGS_MAX, Problem};
use events::subject;
use events::time::spell;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::quarantine::Suspect;

/// A core message: it may be missed, the quarantine table is the truth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    pub(crate) subject: String,
    pub(crate) code: String,
    pub(crate) original_subject: String,
    pub(crate) sequence: i64,
    pub(crate) body: Value,
}

/// The notice of a row that was kept under `name`.
pub(crate) fn of(it: &Suspect<'_>, name: &str, problem: &Problem) -> Notice {
    let place = it.provenance.as_ref();
    let sequence = place.map_or(0, |it| it.sequence);
    let errors: Vec<Value> = problem
        .errors
        .iter()
        .take(FINDINGS_MAX)
        .map(|it| json!({ "pointer": it.pointer, "rule": it.rule }))
        .collect();
    let body = json!({
        "quarantine_id": name,
        "tenant": it.tenant,
        "code": it.code,
        "errors": errors,
        "subject": it.subject,
        "incarnation": place.map(|it| it.incarnation.to_string()),
        "stream_sequence": sequence,
        "received_at": spell(it.received_at),
        "source": it.source,
        "event_id": it.event_id,
        "bytes": it.bytes.len(),
        "sha256": HEXLOWER.encode(&Sha256::digest(it.bytes)),
    });
    Notice {
        subject: subject::quarantine(it.tenant, it.code),
        code: it.code.to_owned(),
        original_subject: it.subject.unwrap_or_default().to_owned(),
        sequence,
        body,
    }
}
