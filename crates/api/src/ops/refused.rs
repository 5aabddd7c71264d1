//! Events that are refused and kept all the same: a publisher may be deployed before Sapa, and what
//! it sent must not be lost (bad input B27, B28).

use events::cloudevents;
use events::problem::{Code, Problem};
use events::wire::Name;
use serde_json::{Map, Value, json};
use store::quarantine::{self, Suspect};

use crate::app::{App, Caller};

/// Adds the quarantine id to a problem whose event is kept; other problems pass unchanged.
pub(super) async fn keep(
    app: &App,
    caller: &Caller,
    bytes: &[u8],
    attributes: Option<&Map<String, Value>>,
    mut problem: Box<Problem>,
) -> Box<Problem> {
    if !matches!(problem.code, Code::UnknownType | Code::SchemaTooNew) {
        return problem;
    }
    let told = problem.to_json(events::problem::Language::En, None, "");
    let name = Name::of_event(attributes, bytes);
    let suspect = Suspect {
        tenant: caller.tenant(),
        code: problem.code.as_str(),
        problem: &told,
        face: caller.face.as_str(),
        subject: caller.subject.as_deref(),
        provenance: None,
        received_at: app.clock.now(),
        source: name.source.as_deref(),
        event_id: name.id.as_deref().or(problem.event_id.as_deref()),
        headers: &headers(attributes),
        bytes,
    };
    match quarantine::keep(app.db(), &[suspect]).await {
        Ok(names) => {
            app.metrics.quarantined(problem.code.as_str());
            let (tenant, code) = (caller.tenant(), problem.code.as_str());
            tracing::warn!(%tenant, code, first = names.first(), "messages were quarantined");
            problem.quarantine_id = names.into_iter().next();
            problem
        }
        // Refused without being kept is not what was promised: the sender has to try again.
        Err(error) => crate::answer::unwritten(error),
    }
}

/// Names what differs, where an id was recorded with other content (bad input B23). The event is
/// read again, so that nobody whose event is recorded pays for it.
pub(super) async fn with_fields(
    app: &App,
    caller: &Caller,
    bytes: &[u8],
    attributes: Option<&Map<String, Value>>,
    problem: Box<Problem>,
) -> Box<Problem> {
    let Some(receipt) = problem.receipt.as_ref().filter(|_| problem.code == Code::EventIdConflict)
    else {
        return problem;
    };
    let Ok(proven) = super::facts::Proven::of(app, caller).await else { return problem };
    let sender = proven.sender();
    let read = match attributes {
        None => cloudevents::structured(bytes, &sender),
        Some(attributes) => cloudevents::binary(attributes.clone(), bytes, &sender),
    };
    let found = app.log.read_positions(caller.tenant(), &[receipt.position]).await;
    match (read, found.ok().and_then(|it| it.into_iter().next())) {
        (Ok(it), Some(original)) => {
            Box::new(Problem::id_conflict(receipt, &original.differs_from(&it)))
        }
        _ => problem,
    }
}

/// The attributes of a binary event as the headers they came in.
#[must_use]
pub(super) fn headers(attributes: Option<&Map<String, Value>>) -> Value {
    let Some(attributes) = attributes else { return json!({}) };
    attributes.iter().map(|(name, value)| (format!("ce-{name}"), value.clone())).collect()
}
