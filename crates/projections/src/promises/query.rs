//! Promises: rows out, how reliable we are, and which time to quote.

use events::id::{CustomerId, Tenant};
use events::policy;
use events::time::spell;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::FromRow;
use store::error::ReadError;
use store::sql::SqlTime;
use store::{Log, on_tx};

use super::fold::Standing;
use super::table::PROMISES;
use crate::listing::{Listed, Order, Part, Place, Question, Window, page};
use crate::views::Snapshot;

/// Quotes rest on answers of this many days.
const QUOTE_DAYS: i64 = 180;
/// Quotes are rounded up to whole pieces of this many minutes.
const QUOTE_STEP_MINUTES: i64 = 30;
/// So many answers at most are looked at for a quote, the newest.
const QUOTE_ANSWERS_MAX: i64 = 10_000;

/// What a list of promises may hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only to this customer.
    pub customer: Option<CustomerId>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only of this team's customers.
    pub team: Option<String>,
    /// Only to this colleague.
    pub to: Option<String>,
    /// Only in these states, each one of [`STATES`]; none: in any.
    pub states: Vec<&'static str>,
    /// Only what is still owed and due by then.
    pub due_by: Option<Timestamp>,
    /// Only about this.
    pub about: Option<String>,
    /// Only of this sort.
    pub topic: Option<String>,
}

/// The states of a promise in answers. The first three depend on the time of the question.
pub const STATES: [&str; 7] = ["open", "due_soon", "overdue", "broken", "late", "kept", "released"];

/// One promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub promise: String,
    /// To which customer.
    pub customer: Option<String>,
    /// To which colleague.
    pub to: Option<String>,
    /// What was promised.
    pub what: String,
    /// Who will do it.
    pub owner: String,
    /// The team of the customer.
    pub team: Option<String>,
    /// Which sort of promise.
    pub topic: Option<String>,
    /// What it is about.
    pub about: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// From when on it is due soon.
    pub warn_at: Timestamp,
    /// By when now.
    pub due_at: Timestamp,
    /// By when at first.
    pub first_due_at: Timestamp,
    /// How often it was moved.
    pub rounds: i64,
    /// How it stands.
    pub standing: Standing,
    /// When it was fulfilled.
    pub fulfilled_at: Option<Timestamp>,
    /// The event that shows it.
    pub fulfilled_by: Option<String>,
    /// Version for conditional requests.
    pub version: i64,
}

#[derive(Debug, FromRow)]
struct Row {
    holder: String,
    promise: String,
    customer: Option<String>,
    recipient: Option<String>,
    what: String,
    owner: String,
    team: Option<String>,
    topic: Option<String>,
    about: Option<String>,
    made_at: SqlTime,
    warn_at: SqlTime,
    due_at: SqlTime,
    first_due_at: SqlTime,
    rounds: i64,
    state: String,
    fulfilled_at: Option<SqlTime>,
    fulfilled_by: Option<String>,
    version: i64,
}

impl Listed for Row {
    fn holder(&self) -> &str {
        &self.holder
    }

    fn apart(&self) -> [&str; 2] {
        [&self.promise, ""]
    }

    fn place(&self) -> Place {
        let text = |it: &str| Part::Text(it.to_owned());
        vec![Part::Time(self.due_at.0), text(&self.promise), text(&self.holder)]
    }
}

impl TryFrom<Row> for Found {
    type Error = ReadError;
    fn try_from(row: Row) -> Result<Self, ReadError> {
        let standing = Standing::from_word(&row.state).ok_or_else(|| ReadError::Corrupt {
            table: "promises",
            column: "state",
            key: row.promise.clone(),
        })?;
        Ok(Self {
            promise: row.promise,
            customer: row.customer,
            to: row.recipient,
            what: row.what,
            owner: row.owner,
            team: row.team,
            topic: row.topic,
            about: row.about,
            made_at: row.made_at.0,
            warn_at: row.warn_at.0,
            due_at: row.due_at.0,
            first_due_at: row.first_due_at.0,
            rounds: row.rounds,
            standing,
            fulfilled_at: row.fulfilled_at.map(|it| it.0),
            fulfilled_by: row.fulfilled_by,
            version: row.version,
        })
    }
}

impl Found {
    /// The state at a moment: one of [`STATES`].
    #[must_use]
    pub fn state(&self, now: Timestamp) -> &'static str {
        match self.standing {
            Standing::Open if self.due_at < now => "overdue",
            Standing::Open if self.warn_at <= now => "due_soon",
            other => other.as_str(),
        }
    }

    /// Minutes between fulfilment and due time: positive when it was early.
    #[must_use]
    pub fn margin_minutes(&self) -> Option<i64> {
        let done = self.fulfilled_at?;
        Some(self.due_at.duration_since(done).as_secs().div_euclid(60))
    }

    /// The promise as it is answered (interfaces 6).
    #[must_use]
    pub fn to_json(&self, now: Timestamp) -> Value {
        json!({
            "promise": self.promise,
            "customer": self.customer,
            "to": self.to,
            "what": self.what,
            "owner": self.owner,
            "team": self.team,
            "topic": self.topic,
            "about": self.about,
            "made_at": spell(self.made_at),
            "due_at": spell(self.due_at),
            "first_due_at": spell(self.first_due_at),
            "rounds": self.rounds,
            "state": self.state(now),
            "fulfilled_at": self.fulfilled_at.map(spell),
            "fulfilled_by": self.fulfilled_by,
            "margin_minutes": self.margin_minutes(),
            "version": self.version,
        })
    }
}

const GET: &str = "
    SELECT holder, promise, customer, recipient, what, owner, team, topic, about, made_at, warn_at,
           due_at, first_due_at, rounds, state, fulfilled_at, fulfilled_by, version
      FROM promises
     WHERE promise = $1
       AND tenant = $2
     ORDER BY made_at
     LIMIT 1";

/// One promise.
pub async fn get(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    promise: &str,
) -> Result<Option<Found>, ReadError> {
    let row: Option<Row> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(GET).bind(promise).bind(tenant.as_str()).fetch_optional(conn).await?
    });
    row.map(Found::try_from).transpose()
}

const LIST_HEAD: &str = "
    SELECT holder, promise, customer, recipient, what, owner, team, topic, about, made_at, warn_at,
           due_at, first_due_at, rounds, state, fulfilled_at, fulfilled_by, version
      FROM promises
     WHERE tenant = ";

const ORDER: Order = Order {
    table: &PROMISES,
    columns: &["due_at", "promise", "holder"],
    compared: "(due_at, promise, holder)",
    sorted: ["due_at, promise, holder", "due_at DESC, promise DESC, holder DESC"],
    descending: false,
};

/// One page of promises, the one due first in front.
pub async fn list(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    wanted: &Wanted,
    now: Timestamp,
    window: &Window,
) -> Result<Vec<(Place, Found)>, ReadError> {
    let mut question = Question::new(LIST_HEAD);
    question.value(tenant.as_str());
    question.and(" AND customer = ", wanted.customer.as_ref().map(AsRef::as_ref));
    question.and(" AND owner = ", wanted.owner.as_deref());
    question.and(" AND team = ", wanted.team.as_deref());
    question.and(" AND recipient = ", wanted.to.as_deref());
    question.and(" AND about = ", wanted.about.as_deref());
    question.and(" AND topic = ", wanted.topic.as_deref());
    in_states(&mut question, &wanted.states, now);
    if let Some(due_by) = wanted.due_by {
        question.sql(" AND state IN ('open', 'broken') AND due_at <= ").value(due_by);
    }
    let rows: Vec<(Place, Row)> = page(snapshot, log, tenant, &ORDER, window, &question).await?;
    rows.into_iter().map(|(place, row)| Ok((place, Found::try_from(row)?))).collect()
}

/// Any of some states, as conditions on the columns; none: whatever the state.
fn in_states(question: &mut Question, states: &[&'static str], now: Timestamp) {
    for (n, state) in states.iter().enumerate() {
        question.sql(if n == 0 { " AND (" } else { " OR " });
        match *state {
            "open" => question.sql("(state = 'open' AND warn_at > ").value(now),
            "due_soon" => {
                question.sql("(state = 'open' AND warn_at <= ").value(now);
                question.sql(" AND due_at >= ").value(now)
            }
            "overdue" => question.sql("(state = 'open' AND due_at < ").value(now),
            state => question.sql("(state = ").value(state),
        };
        question.sql(")");
    }
    if !states.is_empty() {
        question.sql(")");
    }
}

/// By what reliability is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Who promised.
    Owner,
    /// The team of the customer.
    Team,
    /// The sort of promise.
    Topic,
}

/// How reliable one owner, team or topic is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// Which owner, team or topic; none for promises without one.
    pub key: Option<String>,
    /// Done in time.
    pub kept: i64,
    /// Done after they were due.
    pub late: i64,
    /// Due and not done.
    pub broken: i64,
    /// How often promises were moved; told beside the rate.
    pub renegotiated: i64,
    /// Given up by the customer; left out of the rate.
    pub released: i64,
    /// Kept out of kept, late and broken, from 0 to 1; none if there are none.
    pub rate: Option<f64>,
    /// Kept with at least a quarter of the time left.
    pub beaten: i64,
}

#[derive(Debug, FromRow)]
struct ReliabilityRow {
    key: Option<String>,
    kept: i64,
    late: i64,
    broken: i64,
    renegotiated: i64,
    released: i64,
    beaten: i64,
}

/// Spells the same question for another column: a column cannot be bound.
macro_rules! reliability {
    ($column:literal) => {
        concat!(
            "SELECT ",
            $column,
            " AS key,
                   count(CASE WHEN state = 'kept' THEN 1 END) AS kept,
                   count(CASE WHEN state = 'late' THEN 1 END) AS late,
                   count(CASE WHEN state = 'broken' THEN 1 END) AS broken,
                   CAST(sum(rounds) AS BIGINT) AS renegotiated,
                   count(CASE WHEN state = 'released' THEN 1 END) AS released,
                   count(CASE WHEN beaten THEN 1 END) AS beaten
              FROM promises
             WHERE tenant = $1
               AND $2 <= due_at
               AND due_at < $3
             GROUP BY ",
            $column,
            " ORDER BY ",
            $column
        )
    };
}

/// Reliability for promises that were due in `[from, to)`.
pub async fn reliability(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    by: By,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Reliability>, ReadError> {
    let question = match by {
        By::Owner => reliability!("owner"),
        By::Team => reliability!("team"),
        By::Topic => reliability!("topic"),
    };
    let rows: Vec<ReliabilityRow> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(question)
            .bind(tenant.as_str())
            .bind(SqlTime(from))
            .bind(SqlTime(to))
            .fetch_all(conn)
            .await?
    });
    Ok(rows.into_iter().map(Reliability::from).collect())
}

impl From<ReliabilityRow> for Reliability {
    fn from(row: ReliabilityRow) -> Self {
        let exact = |it: i64| f64::from(i32::try_from(it).unwrap_or(i32::MAX));
        let all = row.kept + row.late + row.broken;
        Self {
            key: row.key,
            kept: row.kept,
            late: row.late,
            broken: row.broken,
            renegotiated: row.renegotiated,
            released: row.released,
            rate: (0 < all).then(|| exact(row.kept) / exact(all)),
            beaten: row.beaten,
        }
    }
}

/// How long answers to a topic take, and what to say to a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// Which topic.
    pub topic: String,
    /// How many answers it rests on.
    pub n: i64,
    /// Half of them took at most so many minutes.
    pub p50: Option<i64>,
    /// Four of five took at most so many minutes.
    pub p80: Option<i64>,
    /// Minutes to promise; none with too few answers.
    pub suggestion: Option<i64>,
}

const ANSWERS: &str = "
    SELECT minutes
      FROM answers
     WHERE topic = $1
       AND $2 < answered_at
       AND answered_at <= $3
       AND tenant = $4
     ORDER BY answered_at DESC
     LIMIT $5";

/// Which time to quote for a topic, from the answers of the 180 days before `now`.
pub async fn quote(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    topic: &str,
    now: Timestamp,
    policy: &policy::Promise,
) -> Result<Quote, ReadError> {
    let from = now
        .checked_sub(SignedDuration::from_hours(24 * QUOTE_DAYS))
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let minutes: Vec<i64> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_scalar(ANSWERS)
            .bind(topic)
            .bind(SqlTime(from))
            .bind(SqlTime(now))
            .bind(tenant.as_str())
            .bind(QUOTE_ANSWERS_MAX)
            .fetch_all(conn)
            .await?
    });
    Ok(quote_of(topic, minutes, policy.quote_min_samples))
}

pub(super) fn quote_of(topic: &str, mut minutes: Vec<i64>, samples_min: i64) -> Quote {
    minutes.sort_unstable();
    // Nearest rank: the smallest value that so many per cent do not exceed.
    let rank = |percent: usize| {
        let rank = (minutes.len() * percent).div_ceil(100);
        minutes.get(rank.checked_sub(1)?).copied()
    };
    let n = i64::try_from(minutes.len()).unwrap_or(i64::MAX);
    let (p50, p80) = (rank(50), rank(80));
    let steps = |it: i64| (it + QUOTE_STEP_MINUTES - 1).div_euclid(QUOTE_STEP_MINUTES);
    let suggestion = p80.filter(|_| samples_min <= n).map(|it| steps(it) * QUOTE_STEP_MINUTES);
    Quote { topic: topic.to_owned(), n, p50, p80, suggestion }
}
