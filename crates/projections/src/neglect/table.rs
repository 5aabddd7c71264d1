//! Clocks and obligations: rows in.

use events::policy::Policies;
use jiff::Timestamp;
use sqlx::QueryBuilder;
use store::sql::{ROWS_PER_STATEMENT_MAX, SqlTime};
use store::{Tx, on_tx};

use super::clock::{Clock, Which};
use super::fold::State;
use crate::rows::{self, Key};

/// One clock of one customer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClockRow {
    clock: Clock,
    tier: &'static str,
    owner: Option<String>,
    team: Option<String>,
    because: String,
    policy_version: i64,
}

/// One obligation of one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObligationRow {
    obligation: &'static str,
    opened_by: String,
    opened_at: Timestamp,
    about: Option<String>,
    due_at: Option<Timestamp>,
    warn_at: Option<Timestamp>,
    paused: bool,
    covered_by: Option<String>,
    owner: Option<String>,
    team: Option<String>,
    closed: Option<(Timestamp, String)>,
}

/// The clocks that run for a customer.
pub(crate) fn clocks(state: &State, policies: &Policies) -> Vec<ClockRow> {
    let row = |which| {
        let clock = state.inputs(which)?.clock(policies);
        let (because, _) = state.because(which);
        Some(ClockRow {
            clock,
            tier: state.tier.name(),
            owner: state.owner.as_ref().map(ToString::to_string),
            team: state.team.as_ref().map(ToString::to_string),
            because: serde_json::to_string(&because).expect("event references are text"),
            policy_version: i64::try_from(policies.neglect.version()).unwrap_or(i64::MAX),
        })
    };
    [Which::They, Which::We].into_iter().filter_map(row).collect()
}

/// What is owed and was owed lately.
pub(crate) fn obligations(state: &State, policies: &Policies) -> Vec<ObligationRow> {
    let wanted = state.obligations.iter().filter(|it| it.is_wanted(policies));
    wanted
        .map(|it| ObligationRow {
            obligation: it.owed.as_str(),
            opened_by: it.opened_by.to_string(),
            opened_at: it.opened_at,
            about: it.about.as_ref().map(ToString::to_string),
            due_at: it.due_at(policies),
            warn_at: it.warn_at(policies),
            paused: it.is_open() && it.paused_at.is_some(),
            covered_by: state
                .covered_by(it)
                .and_then(|promise| promise.about.as_ref())
                .map(ToString::to_string),
            owner: it.owner.as_ref().or(state.owner.as_ref()).map(ToString::to_string),
            team: state.team.as_ref().map(ToString::to_string),
            closed: it.closed.as_ref().map(|(at, by)| (*at, by.to_string())),
        })
        .collect()
}

const DELETE_CLOCKS_HEAD: &str = "DELETE FROM clocks WHERE (holder, tenant) IN (";
const INSERT_CLOCKS_HEAD: &str =
    "INSERT INTO clocks (holder, tenant, clock, tier, owner, team, days,
    first, last, rhythm_days, warn_at, due_at, suspended_until, effective_due_at, muted, resting,
    because, policy_version) ";

/// Replaces the clocks of some holders.
pub(crate) async fn replace_clocks(
    tx: &mut Tx,
    known: &[&Key],
    rows: &[(&Key, ClockRow)],
) -> Result<(), sqlx::Error> {
    rows::delete(tx, DELETE_CLOCKS_HEAD, known).await?;
    for chunk in rows.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(INSERT_CLOCKS_HEAD)
                .push_values(chunk, |mut row, ((tenant, holder), it)| {
                    let clock = &it.clock;
                    row.push_bind(holder.as_str())
                        .push_bind(tenant.as_str())
                        .push_bind(clock.which.as_str())
                        .push_bind(it.tier)
                        .push_bind(it.owner.as_deref())
                        .push_bind(it.team.as_deref())
                        .push_bind(clock.span.count)
                        .push_bind(clock.span.first.to_string())
                        .push_bind(clock.span.last.to_string())
                        .push_bind(clock.rhythm.to_f64())
                        .push_bind(SqlTime(clock.warn_at))
                        .push_bind(SqlTime(clock.due_at))
                        .push_bind(clock.suspended_until.map(SqlTime))
                        .push_bind(SqlTime(clock.effective_due_at))
                        .push_bind(clock.muted)
                        .push_bind(clock.resting)
                        .push_bind(&it.because)
                        .push_bind(it.policy_version);
                })
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}

const DELETE_OBLIGATIONS_HEAD: &str = "DELETE FROM obligations WHERE (holder, tenant) IN (";
const INSERT_OBLIGATIONS_HEAD: &str =
    "INSERT INTO obligations (holder, tenant, obligation, opened_by,
    opened_at, about, due_at, warn_at, paused, covered_by, owner, team, closed_by, closed_at) ";

/// Replaces the obligations of some holders.
pub(crate) async fn replace_obligations(
    tx: &mut Tx,
    known: &[&Key],
    rows: &[(&Key, ObligationRow)],
) -> Result<(), sqlx::Error> {
    rows::delete(tx, DELETE_OBLIGATIONS_HEAD, known).await?;
    for chunk in rows.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(INSERT_OBLIGATIONS_HEAD)
                .push_values(chunk, |mut row, ((tenant, holder), it)| {
                    row.push_bind(holder.as_str())
                        .push_bind(tenant.as_str())
                        .push_bind(it.obligation)
                        .push_bind(&it.opened_by)
                        .push_bind(SqlTime(it.opened_at))
                        .push_bind(it.about.as_deref())
                        .push_bind(it.due_at.map(SqlTime))
                        .push_bind(it.warn_at.map(SqlTime))
                        .push_bind(it.paused)
                        .push_bind(it.covered_by.as_deref())
                        .push_bind(it.owner.as_deref())
                        .push_bind(it.team.as_deref())
                        .push_bind(it.closed.as_ref().map(|(_, by)| by.as_str()))
                        .push_bind(it.closed.as_ref().map(|(at, _)| SqlTime(*at)));
                })
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}
