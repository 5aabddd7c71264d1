//! Clocks and obligations: rows out.

use events::id::{CustomerId, Tenant};
use events::problem::Text;
use events::time::spell;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use sqlx::FromRow;
use store::error::ReadError;
use store::on_tx;
use store::sql::{END_OF_TEXT, SqlTime, end_of_time};

use crate::dossier::Holder;
use crate::views::Snapshot;

/// What a list of clocks may hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `they`, `we` or `owe`; all when absent.
    pub clock: Option<String>,
    /// `ok`, `due_soon`, `overdue`, `suspended`, `resting`, `muted`.
    pub state: Option<String>,
    /// Only this team's.
    pub team: Option<String>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only this tier's.
    pub tier: Option<String>,
    /// Only what is due before.
    pub due_before: Option<Timestamp>,
    /// Only after this place: when it is due, whose, which clock.
    pub after: Option<(Timestamp, String, String)>,
    /// The other way: from there, or from the end, towards the beginning.
    pub back: bool,
}

/// The place of a row in the order of a list.
pub type Place = (Timestamp, String, String);

#[derive(Debug, FromRow)]
struct ClockRow {
    holder: String,
    clock: String,
    tier: String,
    owner: Option<String>,
    team: Option<String>,
    days: i64,
    first: String,
    last: String,
    rhythm_days: f64,
    warn_at: SqlTime,
    due_at: SqlTime,
    suspended_until: Option<SqlTime>,
    effective_due_at: SqlTime,
    muted: bool,
    resting: bool,
    because: String,
    policy_version: i64,
}

impl ClockRow {
    fn state(&self, now: Timestamp) -> &'static str {
        let effective = self.effective_due_at.0;
        if self.muted {
            "muted"
        } else if self.resting {
            "resting"
        } else if self.due_at.0 < effective && self.warn_at.0 <= now && now < effective {
            "suspended"
        } else if effective <= now {
            "overdue"
        } else if self.warn_at.0 <= now {
            "due_soon"
        } else {
            "ok"
        }
    }

    fn to_json(&self, now: Timestamp, due_on: Date) -> Value {
        let because: Value = serde_json::from_str(&self.because).unwrap_or_default();
        json!({
            "clock": self.clock,
            "state": self.state(now),
            "count": self.days,
            "first": self.first,
            "last": self.last,
            "rhythm_days": self.rhythm_days,
            "warn_at": spell(self.warn_at.0),
            "due_at": spell(self.due_at.0),
            "suspended_until": self.suspended_until.map(|it| spell(it.0)),
            "effective_due_at": spell(self.effective_due_at.0),
            "sentence": self.sentence(due_on),
            "because": because,
            "policy_version": self.policy_version,
        })
    }

    /// "Usually every 24 days (3 contacts); last on 13 April; expected by 24 June."
    fn sentence(&self, due_on: Date) -> Text {
        let last: Option<Date> = self.last.parse().ok();
        let day = |months: &[&str; 12], it: Date| {
            let month = usize::try_from(it.month()).unwrap_or(1);
            format!("{} {}", it.day(), months.get(month - 1).copied().unwrap_or_default())
        };
        let last_en = last.map(|it| day(&MONTHS_EN, it)).unwrap_or_default();
        let last_id = last.map(|it| day(&MONTHS_ID, it)).unwrap_or_default();
        let (by_en, by_id) = (day(&MONTHS_EN, due_on), day(&MONTHS_ID, due_on));
        let rhythm = self.rhythm_days;
        if self.days < 2 {
            return Text::new(
                format!("One contact, on {last_en}; expected by {by_en}."),
                format!("Satu kontak, {last_id}; ditunggu sampai {by_id}."),
            );
        }
        let comma = format!("{rhythm}").replace('.', ",");
        Text::new(
            format!(
                "Usually every {rhythm} days ({} contacts); last on {last_en}; expected by {by_en}.",
                self.days
            ),
            format!(
                "Biasanya tiap {comma} hari ({} kontak); terakhir {last_id}; ditunggu sampai {by_id}.",
                self.days
            ),
        )
    }
}

/// English names of the months.
pub const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Indonesian names of the months.
pub const MONTHS_ID: [&str; 12] = [
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
];

#[derive(Debug, FromRow)]
struct ObligationRow {
    holder: String,
    obligation: String,
    opened_by: String,
    opened_at: SqlTime,
    about: Option<String>,
    due_at: Option<SqlTime>,
    warn_at: Option<SqlTime>,
    paused: bool,
    covered_by: Option<String>,
    owner: Option<String>,
    team: Option<String>,
    closed_by: Option<String>,
    closed_at: Option<SqlTime>,
}

impl ObligationRow {
    fn state(&self, now: Timestamp) -> &'static str {
        let past = |at: Option<SqlTime>| at.is_some_and(|it| it.0 < now);
        if self.closed_by.is_some() {
            "closed"
        } else if self.paused {
            "paused"
        } else if self.covered_by.is_some() {
            "covered"
        } else if past(self.due_at) {
            "overdue"
        } else if past(self.warn_at) {
            "due_soon"
        } else {
            "ok"
        }
    }

    fn to_json(&self, now: Timestamp) -> Value {
        json!({
            "obligation": self.obligation,
            "opened_by": self.opened_by,
            "opened_at": spell(self.opened_at.0),
            "about": self.about,
            "due_at": self.due_at.map(|it| spell(it.0)),
            "paused": self.paused,
            "covered_by": self.covered_by,
            "owner": self.owner,
            "closed_by": self.closed_by,
            "closed_at": self.closed_at.map(|it| spell(it.0)),
            "state": self.state(now),
        })
    }
}

const CLOCKS_OF: &str = "
    SELECT holder, clock, tier, owner, team, days, first, last, rhythm_days, warn_at, due_at,
           suspended_until, effective_due_at, muted, resting, because, policy_version
      FROM clocks
     WHERE holder = $1
       AND tenant = $2
     ORDER BY clock DESC";

const OBLIGATIONS_OF: &str = "
    SELECT holder, obligation, opened_by, opened_at, about, due_at, warn_at, paused, covered_by,
           owner, team, closed_by, closed_at
      FROM obligations
     WHERE holder = $1
       AND tenant = $2
     ORDER BY opened_at, opened_by, obligation";

/// The clocks and obligations of one customer at an instant.
pub async fn of_customer(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    customer: &CustomerId,
    now: Timestamp,
) -> Result<Value, ReadError> {
    let policies = snapshot.policies_of(tenant).in_force(now);
    let calendar = &policies.calendar;
    let holder = Holder::customer(customer);
    let clocks: Vec<ClockRow> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(CLOCKS_OF)
            .bind(holder.as_str())
            .bind(tenant.as_str())
            .fetch_all(conn)
            .await?
    });
    let obligations: Vec<ObligationRow> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(OBLIGATIONS_OF)
            .bind(holder.as_str())
            .bind(tenant.as_str())
            .fetch_all(conn)
            .await?
    });
    let clocks: Vec<Value> = clocks
        .iter()
        .map(|it| it.to_json(now, calendar.local_date(it.effective_due_at.0)))
        .collect();
    let obligations: Vec<Value> = obligations.iter().map(|it| it.to_json(now)).collect();
    Ok(json!({
        "customer": customer,
        "policy_version": policies.neglect.version(),
        "clocks": clocks,
        "obligations": obligations,
    }))
}

// The states are spelled as conditions on the columns that the folds keep, so that a list never
// looks at rows it does not return; the partial index serves the ones people ask for.
const CLOCKS: &str = "
    SELECT holder, clock, tier, owner, team, days, first, last, rhythm_days, warn_at, due_at,
           suspended_until, effective_due_at, muted, resting, because, policy_version
      FROM clocks
     WHERE tenant = $1
       AND ($2 IS NULL OR clock = $2)
       AND ($3 IS NULL OR team = $3)
       AND ($4 IS NULL OR owner = $4)
       AND ($5 IS NULL OR tier = $5)
       AND effective_due_at < $6
       AND (effective_due_at, holder, clock) > ($7, $8, $9)
       AND ($10 IS NULL
            OR ($10 = 'muted' AND muted)
            OR ($10 = 'resting' AND resting AND NOT muted)
            OR ($10 = 'overdue' AND NOT muted AND NOT resting AND effective_due_at <= $11)
            OR ($10 = 'suspended' AND NOT muted AND NOT resting AND due_at < effective_due_at
                AND warn_at <= $11 AND effective_due_at > $11)
            OR ($10 = 'due_soon' AND NOT muted AND NOT resting AND warn_at <= $11
                AND effective_due_at > $11 AND due_at >= effective_due_at)
            OR ($10 = 'ok' AND NOT muted AND NOT resting AND warn_at > $11
                AND effective_due_at > $11))
     ORDER BY effective_due_at, holder, clock
     LIMIT $12";

/// The same the other way, nearest first.
const CLOCKS_BACK: &str = "
    SELECT holder, clock, tier, owner, team, days, first, last, rhythm_days, warn_at, due_at,
           suspended_until, effective_due_at, muted, resting, because, policy_version
      FROM clocks
     WHERE tenant = $1
       AND ($2 IS NULL OR clock = $2)
       AND ($3 IS NULL OR team = $3)
       AND ($4 IS NULL OR owner = $4)
       AND ($5 IS NULL OR tier = $5)
       AND effective_due_at < $6
       AND (effective_due_at, holder, clock) < ($7, $8, $9)
       AND ($10 IS NULL
            OR ($10 = 'muted' AND muted)
            OR ($10 = 'resting' AND resting AND NOT muted)
            OR ($10 = 'overdue' AND NOT muted AND NOT resting AND effective_due_at <= $11)
            OR ($10 = 'suspended' AND NOT muted AND NOT resting AND due_at < effective_due_at
                AND warn_at <= $11 AND effective_due_at > $11)
            OR ($10 = 'due_soon' AND NOT muted AND NOT resting AND warn_at <= $11
                AND effective_due_at > $11 AND due_at >= effective_due_at)
            OR ($10 = 'ok' AND NOT muted AND NOT resting AND warn_at > $11
                AND effective_due_at > $11))
     ORDER BY effective_due_at DESC, holder DESC, clock DESC
     LIMIT $12";

const OBLIGATIONS: &str = "
    SELECT holder, obligation, opened_by, opened_at, about, due_at, warn_at, paused, covered_by,
           owner, team, closed_by, closed_at
      FROM obligations
     WHERE tenant = $1
       AND closed_by IS NULL
       AND covered_by IS NULL
       AND ($2 IS NULL OR team = $2)
       AND ($3 IS NULL OR owner = $3)
       AND due_at < $4
       AND (due_at, holder, opened_by) > ($5, $6, $7)
       AND ($8 IS NULL
            OR ($8 = 'overdue' AND due_at < $9)
            OR ($8 = 'due_soon' AND due_at >= $9 AND warn_at < $9)
            OR ($8 = 'ok' AND warn_at >= $9))
     ORDER BY due_at, holder, opened_by
     LIMIT $10";

/// The same the other way, nearest first.
const OBLIGATIONS_BACK: &str = "
    SELECT holder, obligation, opened_by, opened_at, about, due_at, warn_at, paused, covered_by,
           owner, team, closed_by, closed_at
      FROM obligations
     WHERE tenant = $1
       AND closed_by IS NULL
       AND covered_by IS NULL
       AND ($2 IS NULL OR team = $2)
       AND ($3 IS NULL OR owner = $3)
       AND due_at < $4
       AND (due_at, holder, opened_by) < ($5, $6, $7)
       AND ($8 IS NULL
            OR ($8 = 'overdue' AND due_at < $9)
            OR ($8 = 'due_soon' AND due_at >= $9 AND warn_at < $9)
            OR ($8 = 'ok' AND warn_at >= $9))
     ORDER BY due_at DESC, holder DESC, opened_by DESC
     LIMIT $10";

/// Clock rows over all customers, earliest due first, and the place to go on from.
pub async fn list(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    wanted: &Wanted,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(Place, Value)>, ReadError> {
    let latest = wanted.due_before.unwrap_or_else(end_of_time);
    let (clocks, obligations, ends) = if wanted.back {
        (CLOCKS_BACK, OBLIGATIONS_BACK, (end_of_time(), END_OF_TEXT, END_OF_TEXT))
    } else {
        (CLOCKS, OBLIGATIONS, (Timestamp::UNIX_EPOCH, "", ""))
    };
    let place = wanted.after.as_ref();
    let (after_at, after_holder, after_clock) =
        place.map_or(ends, |(at, holder, clock)| (*at, holder.as_str(), clock.as_str()));
    if wanted.clock.as_deref() == Some("owe") {
        let rows: Vec<ObligationRow> = on_tx!(&mut snapshot.tx, conn => {
            sqlx::query_as(obligations)
                .bind(tenant.as_str())
                .bind(wanted.team.as_deref())
                .bind(wanted.owner.as_deref())
                .bind(SqlTime(latest))
                .bind(SqlTime(after_at))
                .bind(after_holder)
                .bind(after_clock)
                .bind(wanted.state.as_deref())
                .bind(SqlTime(now))
                .bind(limit)
                .fetch_all(conn)
                .await?
        });
        return Ok(rows.iter().filter_map(|it| owed(it, now)).collect());
    }
    let policies = snapshot.policies_of(tenant).in_force(now);
    let calendar = &policies.calendar;
    let rows: Vec<ClockRow> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(clocks)
            .bind(tenant.as_str())
            .bind(wanted.clock.as_deref())
            .bind(wanted.team.as_deref())
            .bind(wanted.owner.as_deref())
            .bind(wanted.tier.as_deref())
            .bind(SqlTime(latest))
            .bind(SqlTime(after_at))
            .bind(after_holder)
            .bind(after_clock)
            .bind(wanted.state.as_deref())
            .bind(SqlTime(now))
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    let entry = |it: ClockRow| {
        let place = (it.effective_due_at.0, it.holder.clone(), it.clock.clone());
        let row = it.to_json(now, calendar.local_date(it.effective_due_at.0));
        let about = json!({
            "customer": it.holder, "tier": it.tier, "owner": it.owner, "team": it.team,
        });
        (place, joined(row, about))
    };
    Ok(rows.into_iter().map(entry).collect())
}

fn owed(it: &ObligationRow, now: Timestamp) -> Option<(Place, Value)> {
    let place = (it.due_at?.0, it.holder.clone(), it.opened_by.clone());
    let customer = Holder::stored(&it.holder).as_customer();
    let about = json!({ "clock": "owe", "customer": customer, "team": it.team });
    Some((place, joined(it.to_json(now), about)))
}

fn joined(mut row: Value, more: Value) -> Value {
    if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
        row.extend(more);
    }
    row
}
