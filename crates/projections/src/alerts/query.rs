//! Alerts: rows out.

use events::id::{CustomerId, Ident, Tenant};
use events::time::spell;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::FromRow;
use store::error::ReadError;
use store::sql::SqlTime;
use store::{Log, on_tx};

use super::fold::Alert;
use super::sentence::{Reader, sentence};
use super::table::ALERTS;
use crate::dossier::{Dossier, Holder};
use crate::listing::{Listed, Order, Part, Place, Question, Window, page};
use crate::views::Snapshot;

/// What a list of alerts may hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// One state, `open` for all that are not ended (the default), [`WAITING`], or `all`.
    pub state: Option<String>,
    /// Only this kind.
    pub kind: Option<String>,
    /// Only this severity.
    pub severity: Option<String>,
    /// Only about this customer.
    pub customer: Option<CustomerId>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only this team's.
    pub team: Option<String>,
}

/// The state of alerts that are open and that nobody has taken or put off.
pub const WAITING: &str = "waiting";

#[derive(Debug, FromRow)]
struct Row {
    alert: String,
    holder: String,
    band: i64,
    due_at: SqlTime,
    fair_at: SqlTime,
    body: String,
}

/// An alert and whom it is about.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id.
    pub id: Ident,
    /// Whom it is about.
    pub holder: Holder,
    /// The alert.
    pub alert: Alert,
    /// Its due time less its head start.
    pub fair_at: Timestamp,
}

impl Listed for Row {
    fn holder(&self) -> &str {
        &self.holder
    }

    fn apart(&self) -> [&str; 2] {
        [&self.alert, ""]
    }

    fn place(&self) -> Place {
        vec![
            Part::Number(self.band),
            Part::Time(self.fair_at.0),
            Part::Time(self.due_at.0),
            Part::Text(self.alert.clone()),
        ]
    }
}

impl TryFrom<Row> for Found {
    type Error = ReadError;
    fn try_from(row: Row) -> Result<Self, ReadError> {
        let corrupt =
            |column| ReadError::Corrupt { table: "alerts", column, key: row.alert.clone() };
        Ok(Self {
            id: row.alert.parse().map_err(|_| corrupt("alert"))?,
            holder: Holder::stored(&row.holder),
            alert: serde_json::from_str(&row.body).map_err(|_| corrupt("body"))?,
            fair_at: row.fair_at.0,
        })
    }
}

const GET: &str = "
    SELECT alert, holder, band, due_at, fair_at, body
      FROM alerts
     WHERE alert = $1
       AND tenant = $2";

/// One alert.
pub async fn get(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<Found>, ReadError> {
    let row: Option<Row> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(GET).bind(id).bind(tenant.as_str()).fetch_optional(conn).await?
    });
    row.map(Found::try_from).transpose()
}

const LIST_HEAD: &str = "
    SELECT alert, holder, band, due_at, fair_at, body
      FROM alerts
     WHERE tenant = ";

const ORDER: Order = Order {
    table: &ALERTS,
    columns: &["band", "fair_at", "due_at", "alert"],
    compared: "(band, fair_at, due_at, alert)",
    sorted: ["band, fair_at, due_at, alert", "band DESC, fair_at DESC, due_at DESC, alert DESC"],
    descending: false,
};

/// One page of alerts: the most urgent band first, and within it in the order of fairness
/// (product 6.4).
pub async fn list(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    wanted: &Wanted,
    window: &Window,
) -> Result<Vec<(Place, Found)>, ReadError> {
    let mut question = Question::new(LIST_HEAD);
    question.value(tenant.as_str());
    match wanted.state.as_deref().unwrap_or("open") {
        "all" => &mut question,
        "open" => question.sql(" AND open"),
        WAITING => question.sql(" AND open AND status IN ('raised', 'escalated')"),
        state => question.sql(" AND status = ").value(state),
    };
    question.and(" AND kind = ", wanted.kind.as_deref());
    question.and(" AND severity = ", wanted.severity.as_deref());
    let holder = wanted.customer.as_ref().map(Holder::customer);
    question.and(" AND holder = ", holder.as_ref().map(Holder::as_str));
    question.and(" AND owner = ", wanted.owner.as_deref());
    question.and(" AND team = ", wanted.team.as_deref());
    let rows: Vec<(Place, Row)> = page(snapshot, log, tenant, &ORDER, window, &question).await?;
    rows.into_iter().map(|(place, row)| Ok((place, Found::try_from(row)?))).collect()
}

const LAST_RUN_HEAD: &str = "
    SELECT run, band
      FROM alerts
     WHERE handed_at IS NOT NULL
       AND tenant = ";

/// How many hand-outs of a team, or of all teams, have last gone ahead of a less urgent band in a row,
/// and from which band the last one was.
pub async fn last_run(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    team: Option<&str>,
) -> Result<(i64, i64), ReadError> {
    let mut question = Question::new(LAST_RUN_HEAD);
    question.value(tenant.as_str()).and(" AND team = ", team);
    question.sql(" ORDER BY handed_at DESC LIMIT 1");
    let found: Vec<(i64, i64)> = question.fetch(&mut snapshot.tx).await?;
    Ok(found.first().copied().unwrap_or_default())
}

const RATIONED: &str = "
    SELECT count(*)
      FROM alerts
     WHERE rationed_on = $1
       AND team = $2
       AND tenant = $3";

/// Silences of imported history that rang for a team on a day.
pub async fn rationed(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    team: &str,
    day: &str,
) -> Result<i64, ReadError> {
    Ok(on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_scalar(RATIONED)
            .bind(day)
            .bind(team)
            .bind(tenant.as_str())
            .fetch_one(conn)
            .await?
    }))
}

const COUNT_OPEN: &str = "
    SELECT tenant, kind, severity, count(*)
      FROM alerts
     WHERE open
     GROUP BY tenant, kind, severity
     ORDER BY tenant, kind, severity";

/// Open alerts by tenant, kind and severity.
pub async fn count_open(
    snapshot: &mut Snapshot,
) -> Result<Vec<(String, String, String, i64)>, ReadError> {
    Ok(on_tx!(&mut snapshot.tx, conn => sqlx::query_as(COUNT_OPEN).fetch_all(conn).await?))
}

impl Found {
    /// Where it stands within its band (product 6.4).
    #[must_use]
    pub fn standing(&self) -> (Timestamp, Timestamp, String) {
        (self.fair_at, self.alert.due_at, self.id.as_str().to_owned())
    }

    /// The alert as it is answered. `dossier` is that of its holder.
    #[must_use]
    pub fn to_json(
        &self,
        dossier: Option<&Dossier>,
        reader: Reader<'_>,
        with_history: bool,
    ) -> Value {
        let it = &self.alert;
        let instant = |at: Option<Timestamp>| at.map(spell);
        let mut out = json!({
            "alert": self.id,
            "kind": it.kind,
            "customer": self.holder.as_customer(),
            "severity": it.severity.as_str(),
            "state": it.status.as_str(),
            "occurrence": it.occurrence,
            "step": it.step,
            "raised_at": spell(it.raised_at),
            "due_at": spell(it.due_at),
            "owner": it.owner,
            "team": it.team,
            "ack_until": instant(it.ack_until),
            "snoozed_until": instant(it.snoozed_until),
            "stop_by": it.stop_by,
            "because": it.because,
            "ended_by": it.ended_by,
            "policy": it.policy,
            "policy_version": it.policy_version,
            "sentence": sentence(it, &self.holder, dossier, reader),
            "version": it.version,
        });
        if with_history && let Some(members) = out.as_object_mut() {
            let history = it.history.iter().map(|change| {
                json!({
                    "at": spell(change.at),
                    "event": change.event,
                    "to": change.to.as_str(),
                    "by": change.by,
                    "note": change.note,
                })
            });
            members.insert("history".to_owned(), history.collect());
        }
        out
    }
}
