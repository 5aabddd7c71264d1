//! Alerts: what their table shows of a holder.

use jiff::SignedDuration;

use crate::dossier::Dossier;
use crate::policies::Rules;
use crate::rows::{Key, Row, Table, row};

/// All alerts of a customer.
pub(crate) const ALERTS: Table = Table {
    name: "alerts",
    key: &["alert", "tenant"],
    apart: 1,
    columns: &[
        "holder",
        "tenant",
        "alert",
        "kind",
        "severity",
        "status",
        "open",
        "step",
        "raised_at",
        "due_at",
        "fair_at",
        "owner",
        "team",
        "rationed_on",
        "body",
    ],
    rows,
};

fn rows(key: &Key, dossier: &Dossier, rules: &Rules<'_>) -> Vec<Row> {
    let fairness = &rules.active.fairness;
    let one = |(id, it): (&events::id::Ident, &super::fold::Alert)| {
        let head_start = match it.kind.as_str() {
            "we_owe" => fairness.head_start_hours.we_owe,
            "debate" => fairness.head_start_hours.debate,
            _ => 0,
        };
        let head_start = head_start.min(fairness.head_start_max_hours);
        row![
            key,
            id.as_str(),
            it.kind.to_string(),
            it.severity.as_str(),
            it.status.as_str(),
            it.status.is_open(),
            i64::from(it.step),
            it.raised_at,
            it.due_at,
            it.due_at - SignedDuration::from_hours(head_start),
            it.owner.to_string(),
            it.team.to_string(),
            it.rationed_on.clone(),
            serde_json::to_string(it).expect("an alert is text, numbers and instants"),
        ]
    };
    dossier.alerts.alerts.iter().map(one).collect()
}
