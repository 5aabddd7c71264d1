//! When which reaction has to look at whom: the only thing a tick reads.
//!
//! Each holder has at most one row per queue, with the earliest instant at which something is due.
//! So the work of a tick is proportional to what is due, however many customers there are.

use events::id::Tenant;
use jiff::Timestamp;
use store::error::ReadError;
use store::sql::SqlTime;
use store::{Tx, on_tx};

use crate::ahead::Span;
use crate::alerts::due::What;
use crate::dossier::{Dossier, Holder};
use crate::policies::Rules;
use crate::rows::{Table, row};
use crate::{alerts, loyalty, promises};

/// A line of people a reaction works through, earliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Promises past their time, or met.
    Promise,
    /// Tiers reached or lost.
    Loyalty,
    /// Alerts to raise, pass on, resolve or withdraw.
    Alert,
    /// Silences of imported history, so many a day per team.
    Rationed,
    /// Facts that claim to be from the future: the runner's own, no reaction works through it.
    Ahead,
    /// When history was loaded last: asked before imported silences ring, worked through by nobody.
    Import,
}

impl Queue {
    /// Those of the reactions, in the order in which they are worked: a broken promise rings in the same tick.
    pub const ALL: [Self; 4] = [Self::Promise, Self::Loyalty, Self::Alert, Self::Rationed];

    /// The word in the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promise => "promise",
            Self::Loyalty => "loyalty",
            Self::Alert => "alert",
            Self::Rationed => "rationed",
            Self::Ahead => "ahead",
            Self::Import => "import",
        }
    }
}

/// One row: this holder, in this queue, from this instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// Which queue.
    pub queue: Queue,
    /// From when something is due.
    pub at: Timestamp,
    /// For the rationed queue: whose ration.
    pub team: String,
}

/// All appointments of one holder, as facts and policies stand. What is due in a dossier counts
/// within the time in which that dossier holds.
#[must_use]
pub fn appointments(
    tenant: &Tenant,
    holder: &Holder,
    dossier: &Dossier,
    rules: &Rules<'_>,
) -> Vec<Appointment> {
    let mut found: Vec<Appointment> = Vec::new();
    let mut add = |queue, at, team: &str| match found.iter_mut().find(|it| it.queue == queue) {
        Some(it) if it.at <= at => {}
        Some(it) => *it = Appointment { queue, at, team: team.to_owned() },
        None => found.push(Appointment { queue, at, team: team.to_owned() }),
    };
    for Span { from, until, dossier } in dossier.spans() {
        let mut add = |queue, at: Timestamp, team: &str| {
            let at = at.max(from);
            if until.is_none_or(|until| at < until) {
                add(queue, at, team);
            }
        };
        for due in promises::due::dues(&dossier.promises) {
            add(Queue::Promise, due.at, "");
        }
        if holder.as_customer().is_some()
            && let Some(change) =
                loyalty::due::next_change(&dossier.loyalty, rules.history, &rules.active.calendar)
        {
            add(Queue::Loyalty, change.at, "");
        }
        for due in alerts::due::dues(tenant, holder, dossier, rules.active, Timestamp::MIN) {
            match &due.what {
                // Those that wait for their ration stand in the order of how overdue they are.
                What::Raise(it) if due.rationed => {
                    let is_overdue = dossier.seen.recorded_at.is_some_and(|known| due.at <= known);
                    let at = if is_overdue { it.due_at } else { due.at };
                    add(Queue::Rationed, at, due.team.as_str());
                }
                _ => add(Queue::Alert, due.at, due.team.as_str()),
            }
        }
    }
    if let Some(first) = dossier.ahead.first() {
        add(Queue::Ahead, first.from, "");
    }
    if let Some(at) = dossier.seen.imported_at {
        add(Queue::Import, at, "");
    }
    found.sort_by_key(|it| it.queue);
    found
}

/// The appointments of a holder.
pub(crate) const AGENDA: Table = Table {
    name: "agenda",
    key: &["holder", "queue", "tenant"],
    apart: 1,
    columns: &["holder", "tenant", "queue", "act_at", "team"],
    rows: |key, dossier, rules| {
        let found = appointments(&key.0, &key.1, dossier, rules);
        found.into_iter().map(|it| row![key, it.queue.as_str(), it.at, it.team]).collect()
    },
};

const DUE: &str = "
    SELECT holder, tenant
      FROM agenda
     WHERE queue = $1
       AND act_at <= $2
     ORDER BY act_at, holder
     LIMIT $3";

const RATIONED: &str = "
    SELECT holder
      FROM agenda
     WHERE queue = 'rationed'
       AND team = $1
       AND tenant = $2
       AND act_at <= $3
     ORDER BY act_at, holder
     LIMIT $4";

const IMPORTED_AT: &str = "
    SELECT act_at
      FROM agenda
     WHERE queue = 'import'
       AND tenant = $1
     ORDER BY act_at DESC
     LIMIT 1";

const RATIONS: &str = "
    SELECT DISTINCT tenant, team
      FROM agenda
     WHERE queue = 'rationed'
       AND act_at <= $1
     ORDER BY tenant, team";

/// The holders whose time has come in a queue, earliest first.
pub async fn due(
    tx: &mut Tx,
    queue: Queue,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(Tenant, Holder)>, ReadError> {
    let found: Vec<(String, String)> = on_tx!(tx, conn => {
        sqlx::query_as(DUE)
            .bind(queue.as_str())
            .bind(SqlTime(now))
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    found
        .into_iter()
        .map(|(holder, tenant)| Ok((parsed(&tenant)?, Holder::stored(&holder))))
        .collect()
}

/// The holders for whom imported silences of a team wait, the most overdue first.
pub async fn rationed(
    tx: &mut Tx,
    tenant: &Tenant,
    team: &str,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Holder>, ReadError> {
    let found: Vec<String> = on_tx!(tx, conn => {
        sqlx::query_scalar(RATIONED)
            .bind(team)
            .bind(tenant.as_str())
            .bind(SqlTime(now))
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    Ok(found.iter().map(|it| Holder::stored(it)).collect())
}

/// When history of a tenant was loaded last.
pub async fn imported_at(tx: &mut Tx, tenant: &Tenant) -> Result<Option<Timestamp>, ReadError> {
    let found: Option<SqlTime> = on_tx!(tx, conn => {
        sqlx::query_scalar(IMPORTED_AT).bind(tenant.as_str()).fetch_optional(conn).await?
    });
    Ok(found.map(|it| it.0))
}

const NEXT_AHEAD: &str = "
    SELECT act_at
      FROM agenda
     WHERE queue = 'ahead'
       AND act_at > $1
     ORDER BY act_at
     LIMIT 1";

/// When the next fact from the future comes true, after an instant.
pub(crate) async fn next_ahead(
    tx: &mut Tx,
    after: Timestamp,
) -> Result<Option<Timestamp>, sqlx::Error> {
    let found: Option<SqlTime> = on_tx!(tx, conn => {
        sqlx::query_scalar(NEXT_AHEAD).bind(SqlTime(after)).fetch_optional(conn).await?
    });
    Ok(found.map(|it| it.0))
}

/// The teams for which imported silences wait.
pub async fn rations(tx: &mut Tx, now: Timestamp) -> Result<Vec<(Tenant, String)>, ReadError> {
    let found: Vec<(String, String)> =
        on_tx!(tx, conn => sqlx::query_as(RATIONS).bind(SqlTime(now)).fetch_all(conn).await?);
    found.into_iter().map(|(tenant, team)| Ok((parsed(&tenant)?, team))).collect()
}

fn parsed(tenant: &str) -> Result<Tenant, ReadError> {
    tenant.parse().map_err(|_| ReadError::Corrupt {
        table: "agenda",
        column: "tenant",
        key: tenant.to_owned(),
    })
}
