//! Alerts: what their table shows of a holder.

use events::fact::alert::Severity;
use events::id::Ident;
use jiff::SignedDuration;

use super::fold::Alert;
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
        "band",
        "status",
        "open",
        "step",
        "raised_at",
        "due_at",
        "fair_at",
        "owner",
        "team",
        "rationed_on",
        "handed_at",
        "run",
        "body",
    ],
    rows,
};

/// Its place among the severities, the most urgent first.
fn band(severity: Severity) -> i64 {
    match severity {
        Severity::Critical => 0,
        Severity::Warning => 1,
        Severity::Notice => 2,
    }
}

fn rows(key: &Key, dossier: &Dossier, rules: &Rules<'_>) -> Vec<Row> {
    let fairness = &rules.active.fairness;
    let present = super::due::present_terms(&key.0, &key.1, dossier);
    let calendar = &rules.active.calendar;
    let one = |(id, it): (&Ident, &Alert)| {
        // An open alert says since when it is due, and how urgent it is, as is known now.
        let (due_at, severity) = present.get(id).copied().unwrap_or((it.due_at, it.severity));
        let it = &Alert { severity, due_at, ..it.clone() };
        let of_kind = match it.kind.as_str() {
            "we_owe" => fairness.head_start_hours.we_owe,
            "debate" => fairness.head_start_hours.debate,
            _ => 0,
        };
        let of_tier = *fairness.head_start_hours.tiers.get(dossier.neglect.tier);
        let head_start = (of_kind + of_tier).min(fairness.head_start_max_hours);
        row![
            key,
            id.as_str(),
            it.kind.to_string(),
            it.severity.as_str(),
            band(it.severity),
            it.status.as_str(),
            it.status.is_open(),
            i64::from(it.step),
            it.raised_at,
            it.due_at,
            it.due_at - SignedDuration::from_hours(head_start),
            it.owner.to_string(),
            it.team.to_string(),
            it.rationed_at.map(|it| calendar.local_date(it).to_string()),
            it.handed.map(|it| it.position),
            it.handed.map(|it| i64::from(it.run)),
            serde_json::to_string(it).expect("an alert is text, numbers and instants"),
        ]
    };
    dossier.alerts.alerts.iter().map(one).collect()
}
