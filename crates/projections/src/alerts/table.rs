//! Alerts: rows in.

use events::id::Ident;
use events::policy::Policies;
use jiff::{SignedDuration, Timestamp};
use sqlx::QueryBuilder;
use store::sql::{ROWS_PER_STATEMENT_MAX, SqlTime};
use store::{Tx, on_tx};

use super::fold::{Alert, State};
use crate::rows::{self, Key};

/// One alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlertRow {
    alert: Ident,
    kind: String,
    severity: &'static str,
    status: &'static str,
    open: bool,
    step: i64,
    raised_at: Timestamp,
    due_at: Timestamp,
    fair_at: Timestamp,
    owner: String,
    team: String,
    rationed_on: Option<String>,
    body: String,
}

/// All alerts of a customer.
pub(crate) fn rows_of(state: &State, policies: &Policies) -> Vec<AlertRow> {
    state.alerts.iter().map(|(id, it)| row(id, it, policies)).collect()
}

fn row(id: &Ident, it: &Alert, policies: &Policies) -> AlertRow {
    let head_start = match it.kind.as_str() {
        "we_owe" => policies.fairness.head_start_hours.we_owe,
        "debate" => policies.fairness.head_start_hours.debate,
        _ => 0,
    };
    let head_start = head_start.min(policies.fairness.head_start_max_hours);
    AlertRow {
        alert: id.clone(),
        kind: it.kind.to_string(),
        severity: it.severity.as_str(),
        status: it.status.as_str(),
        open: it.status.is_open(),
        step: i64::from(it.step),
        raised_at: it.raised_at,
        due_at: it.due_at,
        fair_at: it.due_at - SignedDuration::from_hours(head_start),
        owner: it.owner.to_string(),
        team: it.team.to_string(),
        rationed_on: it.rationed_on.clone(),
        body: serde_json::to_string(it).expect("an alert is text, numbers and instants"),
    }
}

const DELETE_HEAD: &str = "DELETE FROM alerts WHERE (holder, tenant) IN (";
const INSERT_HEAD: &str = "INSERT INTO alerts (alert, tenant, holder, kind, severity, status, open,
    step, raised_at, due_at, fair_at, owner, team, rationed_on, body) ";

/// Replaces the alerts of some holders.
pub(crate) async fn replace(
    tx: &mut Tx,
    known: &[&Key],
    rows: &[(&Key, AlertRow)],
) -> Result<(), sqlx::Error> {
    rows::delete(tx, DELETE_HEAD, known).await?;
    for chunk in rows.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(INSERT_HEAD)
                .push_values(chunk, |mut row, ((tenant, holder), it)| {
                    row.push_bind(it.alert.as_str())
                        .push_bind(tenant.as_str())
                        .push_bind(holder.as_str())
                        .push_bind(&it.kind)
                        .push_bind(it.severity)
                        .push_bind(it.status)
                        .push_bind(it.open)
                        .push_bind(it.step)
                        .push_bind(SqlTime(it.raised_at))
                        .push_bind(SqlTime(it.due_at))
                        .push_bind(SqlTime(it.fair_at))
                        .push_bind(&it.owner)
                        .push_bind(&it.team)
                        .push_bind(it.rationed_on.as_deref())
                        .push_bind(&it.body);
                })
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}
