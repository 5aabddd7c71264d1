//! Tiers: rows out. What one customer's tier rests on is in [`super::explain`].

use events::calendar::Calendar;
use events::id::{CustomerId, Tenant};
use events::policy::Policies;
use events::tier::Tier;
use jiff::civil::Date;
use serde::Serialize;
use sqlx::FromRow;
use store::error::ReadError;
use store::on_tx;
use store::sql::END_OF_TEXT;

use super::explain::{Answer, Branch, Detail, answer};
use super::fold::State;
use crate::entry::Entry;
use crate::views::Snapshot;

/// What a list of customers by tier may hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only this tier.
    pub tier: Option<Tier>,
    /// Only those whose tier lapses before this date.
    pub lapsing_before: Option<Date>,
    /// Only those whom one condition keeps from this tier; of qualifying days at most one is short.
    pub one_step_from: Option<Tier>,
    /// Only after this customer.
    pub after: Option<String>,
    /// The other way: from there, or from the end, towards the beginning.
    pub back: bool,
}

/// One customer in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Whose.
    pub customer: CustomerId,
    /// Which tier.
    pub tier: Tier,
    /// Since when.
    pub since: Option<Date>,
    /// When it lapses; none while held.
    pub lapses_on: Option<Date>,
    /// When time alone makes the customer primary.
    pub eligible_on: Option<Date>,
    /// Whether we are at fault.
    pub held: bool,
    /// How many qualifying dates.
    pub qualifying_days: i64,
    /// The version of policy `loyalty`.
    pub policy_version: i64,
}

#[derive(Debug, FromRow)]
struct Row {
    holder: String,
    tier: String,
    since: Option<String>,
    lapses_on: Option<String>,
    eligible_on: Option<String>,
    held: bool,
    days: i64,
    policy_version: i64,
}

impl TryFrom<Row> for Listed {
    type Error = ReadError;
    fn try_from(row: Row) -> Result<Self, ReadError> {
        let corrupt =
            |column| ReadError::Corrupt { table: "loyalty", column, key: row.holder.clone() };
        let date = |column, text: &Option<String>| {
            text.as_ref().map(|it| it.parse().map_err(|_| corrupt(column))).transpose()
        };
        Ok(Self {
            customer: row.holder.parse().map_err(|_| corrupt("holder"))?,
            tier: Tier::ALL
                .into_iter()
                .find(|it| it.name() == row.tier)
                .ok_or_else(|| corrupt("tier"))?,
            since: date("since", &row.since)?,
            lapses_on: date("lapses_on", &row.lapses_on)?,
            eligible_on: date("eligible_on", &row.eligible_on)?,
            held: row.held,
            qualifying_days: row.days,
            policy_version: row.policy_version,
        })
    }
}

const LIST: &str = "
    SELECT holder, tier, since, lapses_on, eligible_on, held, days, policy_version
      FROM loyalty
     WHERE tenant = $1
       AND ($2 = '' OR tier = $2)
       AND ($3 = '' OR lapses_on < $3)
       AND ($4 = ''
            OR ($4 = 'secondary' AND tier = 'prospect')
            OR ($4 = 'primary' AND tier = 'secondary'
                AND $5 < almost_until
                AND CASE WHEN tenure_on <= $5 THEN 0 ELSE 1 END
                  + CASE WHEN $5 < count_until THEN 0 ELSE 1 END
                  + CASE WHEN $5 < recency_until THEN 0 ELSE 1 END = 1))
       AND holder > $6
     ORDER BY holder
     LIMIT $7";

/// The same the other way, nearest first.
const LIST_BACK: &str = "
    SELECT holder, tier, since, lapses_on, eligible_on, held, days, policy_version
      FROM loyalty
     WHERE tenant = $1
       AND ($2 = '' OR tier = $2)
       AND ($3 = '' OR lapses_on < $3)
       AND ($4 = ''
            OR ($4 = 'secondary' AND tier = 'prospect')
            OR ($4 = 'primary' AND tier = 'secondary'
                AND $5 < almost_until
                AND CASE WHEN tenure_on <= $5 THEN 0 ELSE 1 END
                  + CASE WHEN $5 < count_until THEN 0 ELSE 1 END
                  + CASE WHEN $5 < recency_until THEN 0 ELSE 1 END = 1))
       AND holder < $6
     ORDER BY holder DESC
     LIMIT $7";

/// Customers by tier, in the order of their ids, as of `today`.
pub async fn list(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    wanted: &Wanted,
    today: Date,
    limit: i64,
) -> Result<Vec<Listed>, ReadError> {
    let (statement, end) = if wanted.back { (LIST_BACK, END_OF_TEXT) } else { (LIST, "") };
    let rows: Vec<Row> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(statement)
            .bind(tenant.as_str())
            .bind(wanted.tier.map_or("", Tier::name))
            .bind(wanted.lapsing_before.map_or_else(String::new, |it| it.to_string()))
            .bind(wanted.one_step_from.map_or("", Tier::name))
            .bind(today.to_string())
            .bind(wanted.after.as_deref().unwrap_or(end))
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    rows.into_iter().map(Listed::try_from).collect()
}

/// How many customers each tier has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Nothing bought or booked yet.
    pub prospect: i64,
    /// At least one qualifying day.
    pub secondary: i64,
    /// Long standing.
    pub primary: i64,
}

const COUNTS: &str = "
    SELECT tier, count(*)
      FROM loyalty
     WHERE tenant = $1
     GROUP BY tier";

/// Customers per tier.
pub async fn counts(snapshot: &mut Snapshot, tenant: &Tenant) -> Result<Counts, ReadError> {
    let rows: Vec<(String, i64)> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(COUNTS).bind(tenant.as_str()).fetch_all(conn).await?
    });
    let mut counts = Counts::default();
    for (tier, count) in rows {
        match tier.as_str() {
            "prospect" => counts.prospect = count,
            "secondary" => counts.secondary = count,
            _ => counts.primary = count,
        }
    }
    Ok(counts)
}

const BRANCH: &str = "
    WITH RECURSIVE branch (customer) AS (
        SELECT referred
          FROM loyalty_referrals
         WHERE holder = $1
           AND tenant = $2
        UNION
        SELECT more.referred
          FROM loyalty_referrals AS more
          JOIN branch ON more.holder = branch.customer
         WHERE more.tenant = $2
    )
    SELECT count(*), CAST(coalesce(sum(loyalty.value), 0) AS BIGINT)
      FROM branch
      LEFT JOIN loyalty ON loyalty.holder = branch.customer AND loyalty.tenant = $2
     WHERE branch.customer <> $1";

/// Everybody whom a customer brought, and whom those brought.
pub async fn branch(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    customer: &CustomerId,
) -> Result<Branch, ReadError> {
    let (count, value) = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(BRANCH)
            .bind(customer.as_str())
            .bind(tenant.as_str())
            .fetch_one(conn)
            .await?
    });
    Ok(Branch { count, value })
}

/// A customer's tier now, from what the folds remember.
pub async fn get(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    customer: &CustomerId,
    state: &State,
    policies: &Policies,
    today: Date,
    detail: Detail,
) -> Result<Answer, ReadError> {
    let branch = branch(snapshot, tenant, customer).await?;
    let calendar = &policies.calendar;
    Ok(answer(customer, state, today, policies, calendar, branch, detail))
}

/// What was the case on a date: from all facts that happened by its end, in the order of folding,
/// and the policies in force on it. Limiting the facts by position too gives what was known then.
#[must_use]
pub fn as_of<'a, 'b: 'a>(
    customer: &CustomerId,
    facts: impl IntoIterator<Item = &'a Entry<'b>>,
    on: Date,
    policies: &Policies,
    calendar: &Calendar,
) -> Answer {
    let state = State::fold(facts.into_iter().filter(|it| it.day <= on));
    answer(customer, &state, on, policies, calendar, Branch::default(), Detail::Full)
}
