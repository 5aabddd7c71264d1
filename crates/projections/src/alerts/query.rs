//! Alerts: rows out.

use events::id::{CustomerId, Ident, Tenant};
use events::problem::Text;
use events::time::spell;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::FromRow;
use store::error::ReadError;
use store::on_tx;
use store::sql::{END_OF_TEXT, SqlTime, end_of_time};

use super::fold::Alert;
use crate::dossier::Holder;
use crate::views::Snapshot;

/// What a list of alerts may hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// One state, `open` for all that are not ended (the default), or `all`.
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
    /// Only after this place in the order of fairness.
    pub after: Option<Place>,
    /// The other way: from there, or from the end, towards the beginning.
    pub back: bool,
}

/// The place of an alert in the order of fairness: lateness with its head start, due time, id.
pub type Place = (Timestamp, Timestamp, String);

#[derive(Debug, FromRow)]
struct Row {
    alert: String,
    holder: String,
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
    /// Its place in a list.
    pub place: Place,
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
            place: (row.fair_at.0, row.due_at.0, row.alert.clone()),
        })
    }
}

const GET: &str = "
    SELECT alert, holder, due_at, fair_at, body
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

const LIST: &str = "
    SELECT alert, holder, due_at, fair_at, body
      FROM alerts
     WHERE tenant = $1
       AND ($2 = 'all' OR ($2 = 'open' AND open) OR status = $2)
       AND ($3 IS NULL OR kind = $3)
       AND ($4 IS NULL OR severity = $4)
       AND ($5 IS NULL OR holder = $5)
       AND ($6 IS NULL OR owner = $6)
       AND ($7 IS NULL OR team = $7)
       AND (fair_at, due_at, alert) > ($8, $9, $10)
     ORDER BY fair_at, due_at, alert
     LIMIT $11";

/// The same the other way, nearest first.
const LIST_BACK: &str = "
    SELECT alert, holder, due_at, fair_at, body
      FROM alerts
     WHERE tenant = $1
       AND ($2 = 'all' OR ($2 = 'open' AND open) OR status = $2)
       AND ($3 IS NULL OR kind = $3)
       AND ($4 IS NULL OR severity = $4)
       AND ($5 IS NULL OR holder = $5)
       AND ($6 IS NULL OR owner = $6)
       AND ($7 IS NULL OR team = $7)
       AND (fair_at, due_at, alert) < ($8, $9, $10)
     ORDER BY fair_at DESC, due_at DESC, alert DESC
     LIMIT $11";

/// Alerts in the order of fairness (product 6.4).
pub async fn list(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    wanted: &Wanted,
    limit: i64,
) -> Result<Vec<Found>, ReadError> {
    let (statement, ends) = if wanted.back {
        (LIST_BACK, (end_of_time(), end_of_time(), END_OF_TEXT))
    } else {
        (LIST, (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, ""))
    };
    let place = wanted.after.as_ref();
    let (fair_at, due_at, id) =
        place.map_or(ends, |(fair_at, due_at, id)| (*fair_at, *due_at, id.as_str()));
    let holder = wanted.customer.as_ref().map(Holder::customer);
    let rows: Vec<Row> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(statement)
            .bind(tenant.as_str())
            .bind(wanted.state.as_deref().unwrap_or("open"))
            .bind(wanted.kind.as_deref())
            .bind(wanted.severity.as_deref())
            .bind(holder.as_ref().map(Holder::as_str))
            .bind(wanted.owner.as_deref())
            .bind(wanted.team.as_deref())
            .bind(SqlTime(fair_at))
            .bind(SqlTime(due_at))
            .bind(id)
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    rows.into_iter().map(Found::try_from).collect()
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
    SELECT kind, severity, count(*)
      FROM alerts
     WHERE open
     GROUP BY kind, severity
     ORDER BY kind, severity";

/// Open alerts by kind and severity, over all tenants.
pub async fn count_open(snapshot: &mut Snapshot) -> Result<Vec<(String, String, i64)>, ReadError> {
    Ok(on_tx!(&mut snapshot.tx, conn => sqlx::query_as(COUNT_OPEN).fetch_all(conn).await?))
}

impl Found {
    /// The alert as it is answered. `name` only for those who may see it.
    #[must_use]
    pub fn to_json(&self, name: Option<&str>, now: Timestamp, with_history: bool) -> Value {
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
            "sentence": self.sentence(name, now),
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

    /// Plain words, never codes (article 004): who has not heard from whom, what we owe.
    fn sentence(&self, name: Option<&str>, now: Timestamp) -> Text {
        let customer = self.holder.as_customer();
        let who = name.or(customer.as_ref().map(CustomerId::as_str)).unwrap_or("-");
        let end = if self.alert.status.is_open() { now } else { self.alert.since };
        // The last contact lies before the due time; without its date the lateness is what we know.
        let late = end.duration_since(self.alert.due_at).as_hours().max(0);
        let (en, id) = if late < 48 {
            (format!("{late} hours"), format!("{late} jam"))
        } else {
            (format!("{} days", late / 24), format!("{} hari", late / 24))
        };
        let owed = self.alert.stop_by.as_str();
        match self.alert.kind.as_str() {
            "we_silent" => Text::new(
                format!("{who} should have heard from us {en} ago."),
                format!("{who} seharusnya mendengar kabar dari kita {id} yang lalu."),
            ),
            "they_silent" => Text::new(
                format!("{who} was expected to be in touch {en} ago."),
                format!("{who} diperkirakan menghubungi kita {id} yang lalu."),
            ),
            "we_owe" => Text::new(
                format!("We owe {who}: {owed}, overdue for {en}."),
                format!("Kita berutang kepada {who}: {owed}, lewat {id}."),
            ),
            kind => Text::new(
                format!("{kind} about {who}, for {en}."),
                format!("{kind} tentang {who}, sejak {id}."),
            ),
        }
    }
}
