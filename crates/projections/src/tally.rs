//! What the read models hold, counted for `/metrics`: one statement a question, each over an index
//! that holds all it asks for.

use jiff::Timestamp;
use store::error::ReadError;
use store::on_tx;
use store::sql::SqlTime;

use crate::alerts;
use crate::views::Snapshot;

/// How a clock of silence may stand.
pub const CLOCK_STATES: &[&str] = &["ok", "due_soon", "overdue", "suspended", "resting", "muted"];

/// The counts at one position and instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tenant, clock, state, customers.
    pub clocks: Vec<(String, String, &'static str, i64)>,
    /// Tenant, kind, severity, open alerts.
    pub alerts: Vec<(String, String, String, i64)>,
    /// What is owed, how often.
    pub obligations: Vec<(String, i64)>,
    /// Promises past their time that are not kept.
    pub promises_overdue: i64,
}

/// The states of clocks that run, as `neglect::query` tells them one by one: of each clock all, overdue,
/// suspended and due soon. Without groups, since a group would sort every entry of the index.
const RUNNING: &str = "
    SELECT CAST(coalesce(sum(CASE WHEN clock = 'they' THEN 1 ELSE 0 END), 0) AS BIGINT),
           CAST(coalesce(sum(CASE WHEN clock = 'they' AND effective_due_at <= $1 THEN 1 ELSE 0 END), 0) AS BIGINT),
           CAST(coalesce(sum(CASE WHEN clock = 'they' AND warn_at <= $1 AND $1 < effective_due_at
                                   AND due_at < effective_due_at THEN 1 ELSE 0 END), 0) AS BIGINT),
           CAST(coalesce(sum(CASE WHEN clock = 'they' AND warn_at <= $1 AND $1 < effective_due_at
                                   AND due_at >= effective_due_at THEN 1 ELSE 0 END), 0) AS BIGINT),
           CAST(coalesce(sum(CASE WHEN clock = 'we' THEN 1 ELSE 0 END), 0) AS BIGINT),
           CAST(coalesce(sum(CASE WHEN clock = 'we' AND effective_due_at <= $1 THEN 1 ELSE 0 END), 0) AS BIGINT),
           CAST(coalesce(sum(CASE WHEN clock = 'we' AND warn_at <= $1 AND $1 < effective_due_at
                                   AND due_at < effective_due_at THEN 1 ELSE 0 END), 0) AS BIGINT),
           CAST(coalesce(sum(CASE WHEN clock = 'we' AND warn_at <= $1 AND $1 < effective_due_at
                                   AND due_at >= effective_due_at THEN 1 ELSE 0 END), 0) AS BIGINT)
      FROM clocks
     WHERE NOT muted
       AND NOT resting
       AND ($2 = '' OR tenant = $2)";

const STOPPED: &str = "
    SELECT tenant, clock, muted, count(*)
      FROM clocks
     WHERE (muted OR resting)
     GROUP BY tenant, clock, muted";

const OWED: &str = "
    SELECT obligation, count(*)
      FROM obligations
     WHERE closed_by IS NULL
     GROUP BY obligation
     ORDER BY obligation";

const PROMISES_OVERDUE: &str = "
    SELECT count(*)
      FROM promises
     WHERE state IN ('open', 'broken')
       AND due_at <= $1";

/// All, overdue, suspended and due soon of `they`, then of `we`.
type Running = (i64, i64, i64, i64, i64, i64, i64, i64);

/// Counts everything; the clocks of each of these tenants, or under an empty name those of all.
pub async fn count(
    snapshot: &mut Snapshot,
    now: Timestamp,
    tenants: &[String],
) -> Result<Tally, ReadError> {
    let alerts = alerts::query::count_open(snapshot).await?;
    let tx = &mut snapshot.tx;
    let stopped: Vec<(String, String, bool, i64)> =
        on_tx!(tx, conn => sqlx::query_as(STOPPED).fetch_all(conn).await?);
    let obligations = on_tx!(tx, conn => sqlx::query_as(OWED).fetch_all(conn).await?);
    let promises_overdue = on_tx!(tx, conn => {
        sqlx::query_scalar(PROMISES_OVERDUE).bind(SqlTime(now)).fetch_one(conn).await?
    });
    let mut clocks = Vec::new();
    for tenant in tenants {
        let it: Running = on_tx!(tx, conn => {
            sqlx::query_as(RUNNING).bind(SqlTime(now)).bind(tenant).fetch_one(conn).await?
        });
        let both = [("they", (it.0, it.1, it.2, it.3)), ("we", (it.4, it.5, it.6, it.7))];
        for (clock, (all, overdue, suspended, due_soon)) in both {
            let ok = all - overdue - suspended - due_soon;
            for (state, customers) in
                [("ok", ok), ("due_soon", due_soon), ("overdue", overdue), ("suspended", suspended)]
            {
                clocks.push((tenant.clone(), clock.to_owned(), state, customers));
            }
        }
    }
    for (tenant, clock, muted, customers) in stopped {
        clocks.push((tenant, clock, if muted { "muted" } else { "resting" }, customers));
    }
    Ok(Tally { clocks, alerts, obligations, promises_overdue })
}
