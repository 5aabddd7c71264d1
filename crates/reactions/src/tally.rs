//! What the reactions count: ticks, events, how late they are, and what became of alerts.

use std::sync::Arc;
use std::time::Duration;

use events::id::Tenant;
use jiff::Timestamp;
use projections::Dossier;
use projections::agenda::Queue;
use store::error::AppendError;
use store::{Appended, Meter};

use crate::draft::Draft;

/// A decision on its way into the log.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) tenant: Tenant,
    pub(crate) draft: Draft,
    /// For a decision about an alert: which kind of alert.
    alert_kind: Option<String>,
}

impl Made {
    /// A decision about one customer. Only a raise names the kind of its alert; what comes after it is
    /// about an alert that the customer has.
    pub(crate) fn of(tenant: &Tenant, draft: Draft, dossier: &Dossier) -> Self {
        let text = |member: &str| draft.data.get(member).and_then(|it| it.as_str());
        let alert_kind = match (draft.kind.topic(), text("kind"), text("alert")) {
            ("alert", Some(kind), _) => Some(kind.to_owned()),
            ("alert", None, Some(alert)) => {
                let mut all = dossier.alerts.alerts.iter();
                all.find(|(id, _)| id.as_str() == alert).map(|(_, it)| it.kind.to_string())
            }
            _ => None,
        };
        Self { tenant: tenant.clone(), draft, alert_kind }
    }
}

/// Where it is counted.
pub(crate) struct Tally(pub(crate) Arc<dyn Meter>);

impl Tally {
    /// One round over a queue.
    pub(crate) fn ticked(&self, queue: Queue, took: Duration) {
        let labels = [("reaction", queue.as_str())];
        self.0.observe("sapa_reaction_tick_seconds", &labels, &[took.as_secs_f64()]);
    }

    /// One append of decisions.
    pub(crate) fn append_took(&self, took: Duration) {
        let labels = [("path", "own")];
        self.0.observe("sapa_append_duration_seconds", &labels, &[took.as_secs_f64()]);
    }

    /// One decision and what became of it.
    pub(crate) fn appended(
        &self,
        queue: Queue,
        made: &Made,
        outcome: &Result<Appended, AppendError>,
        now: Timestamp,
    ) {
        let word = match outcome {
            Ok(it) if it.is_new() => "recorded",
            Ok(_) => "duplicate",
            Err(AppendError::EventIdConflict { .. } | AppendError::VersionConflict { .. }) => {
                "conflict"
            }
            Err(_) => "refused",
        };
        let tenant = made.tenant.as_str();
        let labels = [("path", "own"), ("outcome", word), ("tenant", tenant)];
        self.0.count("sapa_events_total", &labels, 1);
        if word != "recorded" {
            return;
        }
        let reaction = [("reaction", queue.as_str())];
        self.0.count("sapa_reaction_events_total", &reaction, 1);
        let late = now.duration_since(made.draft.time).as_secs_f64().max(0.0);
        self.0.observe("sapa_reaction_late_seconds", &reaction, &[late]);
        if let Some(kind) = &made.alert_kind {
            let labels = [("kind", kind.as_str()), ("action", made.draft.kind.action())];
            self.0.count("sapa_alert_events_total", &labels, 1);
        }
    }
}
