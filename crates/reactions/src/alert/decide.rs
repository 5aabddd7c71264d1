//! What is due about a customer's alerts, as events.

use events::fact::alert::Severity;
use events::id::{Ident, Tenant};
use events::kind::Kind;
use events::mint;
use events::policy::Policies;
use events::time::spell;
use jiff::Timestamp;
use projections::alerts::due::{self, Due, Raise, What};
use projections::{Dossier, Holder};
use serde_json::json;

use crate::draft::Draft;

/// The reaction that raises, resolves and withdraws.
pub const NEGLECT: &str = "neglect";
/// The reaction that passes on.
pub const ESCALATION: &str = "escalation";

/// Everything that has become due, in the order in which it became due.
///
/// `rationed` chooses between what rings at once and the silences of imported history.
#[must_use]
pub fn decide(
    tenant: &Tenant,
    holder: &Holder,
    dossier: &Dossier,
    policies: &Policies,
    now: Timestamp,
    rationed: bool,
) -> Vec<Draft> {
    let mut dues: Vec<Due> = due::dues(tenant, holder, dossier, policies, now)
        .into_iter()
        .filter(|it| it.at <= now && it.rationed == rationed)
        .collect();
    dues.sort_by(|a, b| (a.at, &a.alert).cmp(&(b.at, &b.alert)));
    dues.iter().map(|it| draft(tenant, holder, dossier, it)).collect()
}

fn draft(tenant: &Tenant, holder: &Holder, dossier: &Dossier, due: &Due) -> Draft {
    let alert = &due.alert;
    // The same alert may ring, and end, more than once.
    let occurrence = dossier.alerts.alerts.get(alert).map_or(1, |it| it.occurrence);
    let follow = |reaction: &str, kind: Kind| {
        let basis = format!("{alert}|{}", spell(due.at));
        mint::reaction_id(tenant, reaction, kind.name(), &basis, occurrence)
    };
    let mut draft = match &due.what {
        What::Raise(it) => raise(tenant, alert, due.at, it),
        What::Escalate { step, to, reason } => {
            let kind = Kind::AlertEscalated;
            let data = json!({ "alert": alert, "step": step, "to": to, "reason": reason.as_str() });
            Draft::of(ESCALATION, kind, follow(ESCALATION, kind), due.at, data)
        }
        What::Resolve { by } => {
            let kind = Kind::AlertResolved;
            let data = json!({ "alert": alert, "by": by });
            let mut draft = Draft::of(NEGLECT, kind, follow(NEGLECT, kind), due.at, data);
            draft.causation = Some(by.id.to_string());
            draft
        }
        What::Withdraw { because } => {
            let kind = Kind::AlertWithdrawn;
            let data = json!({ "alert": alert, "because": because });
            Draft::of(NEGLECT, kind, follow(NEGLECT, kind), due.at, data)
        }
    };
    draft.customer = holder.as_customer();
    if draft.customer.is_none() {
        draft.correlation = Some(holder.as_str().to_owned());
    }
    draft.imported = due.rationed;
    draft
}

fn raise(tenant: &Tenant, alert: &Ident, at: Timestamp, it: &Raise) -> Draft {
    let kind = Kind::AlertRaised;
    let id = mint::reaction_id(tenant, NEGLECT, kind.name(), &it.basis, it.occurrence);
    let severity: Severity = it.severity;
    let data = json!({
        "alert": alert,
        "kind": it.kind,
        "occurrence": it.occurrence,
        "severity": severity.as_str(),
        "due_at": spell(it.due_at),
        "owner": it.owner,
        "team": it.team,
        "because": it.because,
        "stop_by": it.stop_by,
        "policy": it.policy,
        "policy_version": it.policy_version,
    });
    Draft::of(NEGLECT, kind, id, at, data)
}
