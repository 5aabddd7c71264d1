//! Reading the log: by position, by stream, by customer, by id.
//!
//! A page by position is dense; a hole is an error and never a silence.

use std::collections::{HashMap, HashSet};

use events::envelope::{Receipt, Recorded};
use events::id::{CustomerId, EventId, EventRef, Source, Stream, Tenant};
use events::kind::Kind;
use events::planted::{Mistake, planted};
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use crate::db::{Connections, Db, Durability, Family, LOG_STEPS, Place};
use crate::error::{OpenError, ReadError};
use crate::sql::{ROWS_PER_STATEMENT_MAX, SqlTime, lists};
use crate::{mistaken, on_db};

/// The log, for reading. Appends go through [`crate::Appender`].
#[derive(Clone, Debug)]
pub struct Log {
    db: Db,
}

/// Which end of the log a page continues from, and what it may hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this customer's.
    pub customer: Option<CustomerId>,
    /// Only this stream's.
    pub stream: Option<Stream>,
    /// Only types that begin so, for instance `sapa.booking.`.
    pub type_prefixes: Vec<String>,
    /// Recorded at or after.
    pub from: Option<Timestamp>,
    /// Recorded before.
    pub to: Option<Timestamp>,
}

impl Filter {
    fn matches(&self, it: &Recorded) -> bool {
        let type_name = || it.kind.type_name(it.schema_version);
        self.customer.as_ref().is_none_or(|wanted| it.customer.as_ref() == Some(wanted))
            && self.stream.as_ref().is_none_or(|wanted| it.stream == *wanted)
            && (self.type_prefixes.is_empty()
                || self.type_prefixes.iter().any(|prefix| type_name().starts_with(prefix.as_str())))
            && self.from.is_none_or(|from| from <= it.recorded_at)
            && self.to.is_none_or(|to| it.recorded_at < to)
    }
}

const HEAD: &str = "
    SELECT position, recorded_at, log_id
      FROM log_head";

const READ_AFTER: &str = "
    SELECT position, tenant, stream, version, source, event_id, type, customer_id, occurred_at,
           recorded_at, causation_id, correlation_id, trace, attributes, data
      FROM events
     WHERE position > $1
     ORDER BY position
     LIMIT $2";

const READ_STREAM: &str = "
    SELECT position, tenant, stream, version, source, event_id, type, customer_id, occurred_at,
           recorded_at, causation_id, correlation_id, trace, attributes, data
      FROM events
     WHERE stream = $1
       AND version > $2
       AND tenant = $3
     ORDER BY version
     LIMIT $4";

const FIND: &str = "
    SELECT position, stream, version, recorded_at
      FROM events
     WHERE event_id = $1
       AND source = $2
       AND tenant = $3";

const KNOWN_HEAD: &str = "
    SELECT event_id, source, position, stream, version, recorded_at, fingerprint
      FROM events
     WHERE (event_id, source, tenant) IN (";
const FIRSTS_HEAD: &str = "WITH wanted (customer_id) AS (";
const FIRSTS_TAIL: &str = ")
    SELECT w.customer_id,
           (SELECT e.position FROM events e WHERE e.customer_id = w.customer_id AND e.tenant = ";
const FIRSTS_END: &str = " ORDER BY e.position LIMIT 1) FROM wanted w";

const FINGERPRINTS_HEAD: &str = "SELECT position, fingerprint FROM events WHERE position IN (";

const REFERENCE_AT: &str = "
    SELECT source, event_id
      FROM events
     WHERE position = $1";

const COUNT_AFTER: &str = "
    SELECT tenant, count(*)
      FROM events
     WHERE position > $1
     GROUP BY tenant
     ORDER BY tenant";

const COUNT_BY_CUSTOMER: &str = "
    SELECT customer_id, count(*)
      FROM events
     WHERE customer_id > $1
       AND position <= $2
     GROUP BY customer_id
     ORDER BY customer_id
     LIMIT $3";

const READ_APART: &str = "
    SELECT position, tenant, stream, version, source, event_id, type, customer_id, occurred_at,
           recorded_at, causation_id, correlation_id, trace, attributes, data
      FROM events
     WHERE position > $1
       AND position <= $2
       AND (customer_id IS NULL OR attributes LIKE '%voids%')
     ORDER BY position
     LIMIT $3";

/// Positions of one statement that looks for facts that stand apart.
const APART_POSITIONS_MAX: i64 = 100_000;

const LISTED_HEAD: &str = "
    SELECT position, tenant, stream, version, source, event_id, type, customer_id, occurred_at,
           recorded_at, causation_id, correlation_id, trace, attributes, data
      FROM events
     WHERE ";

/// The facts that a list finds, in no promised order: for each chunk of it one statement, which has
/// few texts. The block writes what is asked of a row.
macro_rules! read_listed {
    ($log:expr, $wanted:expr, ($query:ident, $chunk:ident) => $condition:block) => {{
        let mut facts = Vec::new();
        for $chunk in lists($wanted) {
            let rows: Vec<Row> = on_db!(&$log.db, pool => {
                let mut $query = QueryBuilder::new(LISTED_HEAD);
                $condition
                $query.build_query_as().fetch_all(pool).await
            })?;
            for row in rows {
                facts.push(Recorded::try_from(row)?);
            }
        }
        facts
    }};
}

impl Log {
    /// Opens the log at a place, brings its tables up to date and gives it an identity once.
    ///
    /// Refuses a database under whose settings a recorded event could be lost.
    pub async fn open(
        place: &Place,
        connections: impl Into<Connections>,
        identity: Uuid,
    ) -> Result<Self, OpenError> {
        Self::prepare(place.open(Family::Log, connections).await?, identity).await
    }

    /// Opens a log as it is, with the last step of its tables; `None` where there is none yet. For
    /// those who only look: nothing is brought up to date.
    pub async fn look_at(place: &Place) -> Result<Option<(Self, i64)>, OpenError> {
        let db = place.open(Family::Log, 1).await?;
        Ok(db.last_step().await?.map(|step| (Self { db }, step)))
    }

    /// The same without that refusal and without waiting for the disk: for tests, and for whoever
    /// starts the binary with `--unsafe-durability`.
    pub async fn open_unsafe_durability(
        place: &Place,
        connections: impl Into<Connections>,
        identity: Uuid,
    ) -> Result<Self, OpenError> {
        let db = place.open_as(Family::Log, Durability::Unsafe, connections.into()).await?;
        Self::prepare(db, identity).await
    }

    async fn prepare(db: Db, identity: Uuid) -> Result<Self, OpenError> {
        let known = LOG_STEPS.last().map_or(0, |it| it.version);
        match db.last_step().await? {
            Some(found) if known < found => return Err(OpenError::Newer { found, known }),
            Some(found) if found < known => {
                tracing::info!(found, known, "the tables of the log are brought up to date");
            }
            _ => {}
        }
        db.migrate(Family::Log, LOG_STEPS).await?;
        if planted(Mistake::PositionOutsideLock) {
            mistaken::number_outside_lock(&db).await?;
        }
        let mut tx = db.begin_write().await?;
        crate::on_tx!(&mut tx, conn => {
            sqlx::query(
                "INSERT INTO log_head (one, position, recorded_at, log_id)
                 SELECT 1, 0, $1, $2 WHERE TRUE ON CONFLICT DO NOTHING",
            )
            .bind(SqlTime(Timestamp::UNIX_EPOCH))
            .bind(identity.to_string())
            .execute(conn)
            .await?;
        });
        tx.commit().await?;
        Ok(Self { db })
    }

    /// The database, for what stands around the log.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The highest position.
    pub async fn head(&self) -> Result<i64, ReadError> {
        Ok(self.head_row().await?.0)
    }

    /// Highest position, when it was recorded, and the log's own identity.
    pub async fn head_row(&self) -> Result<(i64, Timestamp, String), ReadError> {
        let (position, at, id): (i64, SqlTime, String) =
            on_db!(&self.db, pool => sqlx::query_as(HEAD).fetch_one(pool).await)?;
        Ok((position, at.0, id))
    }

    /// The page that follows a position: dense, at most `limit` facts, empty at the head.
    pub async fn read_after(
        &self,
        position: i64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<Row> = on_db!(&self.db, pool => {
            sqlx::query_as(READ_AFTER).bind(position).bind(limit).fetch_all(pool).await
        })?;
        let page: Vec<Recorded> =
            rows.into_iter().map(Recorded::try_from).collect::<Result<_, _>>()?;
        for (wanted, it) in (position + 1..).zip(&page) {
            if it.position != wanted {
                return Err(ReadError::Hole { wanted });
            }
        }
        Ok(page)
    }

    /// At most `limit` facts of a tenant after a position that pass a filter, and the position up
    /// to which was looked. At most `scan` positions are looked at in one call.
    pub async fn search_after(
        &self,
        tenant: &Tenant,
        mut position: i64,
        filter: &Filter,
        limit: usize,
        scan: usize,
    ) -> Result<(Vec<Recorded>, i64), ReadError> {
        if let Some(customer) = &filter.customer {
            let own = self.read_customers(tenant, &[customer], i64::MAX).await?;
            let head = self.head().await?;
            let found: Vec<_> = own
                .into_iter()
                .filter(|it| position < it.position && filter.matches(it))
                .take(limit)
                .collect();
            let seen = if found.len() < limit { head.max(position) } else { 0 };
            let seen = found.last().map_or(seen, |it| it.position.max(seen));
            return Ok((found, seen));
        }
        let mut found = Vec::new();
        let mut left = scan;
        while found.len() < limit && 0 < left {
            let page = self.read_after(position, ROWS_PER_STATEMENT_MAX.min(left)).await?;
            let Some(last) = page.last() else { break };
            let end = last.position;
            left = left.saturating_sub(page.len());
            for it in page {
                if found.len() == limit {
                    break;
                }
                position = it.position;
                if it.tenant == *tenant && filter.matches(&it) {
                    found.push(it);
                }
            }
            if found.len() < limit {
                position = end;
            }
        }
        Ok((found, position))
    }

    /// The same the other way: at most `limit` facts before a position, the oldest first, and the
    /// position down to which was looked; 1 when there is nothing before.
    pub async fn search_before(
        &self,
        tenant: &Tenant,
        mut position: i64,
        filter: &Filter,
        limit: usize,
        scan: usize,
    ) -> Result<(Vec<Recorded>, i64), ReadError> {
        position = position.clamp(1, self.head().await? + 1);
        let mut found = Vec::new();
        let mut left = scan;
        if let Some(customer) = &filter.customer {
            found = self.read_customers(tenant, &[customer], position - 1).await?;
            found.retain(|it| filter.matches(it));
            let surplus = found.len().saturating_sub(limit);
            found.drain(..surplus);
            let seen = found.first().filter(|_| 0 < surplus).map_or(1, |it| it.position);
            return Ok((found, seen));
        }
        while found.len() < limit && 0 < left && 1 < position {
            let before = usize::try_from(position - 1).unwrap_or(usize::MAX);
            let step = ROWS_PER_STATEMENT_MAX.min(left).min(before);
            let from = position - 1 - i64::try_from(step).unwrap_or(i64::MAX);
            left -= step;
            for it in self.read_after(from, step).await?.into_iter().rev() {
                if found.len() == limit {
                    break;
                }
                position = it.position;
                if it.tenant == *tenant && filter.matches(&it) {
                    found.push(it);
                }
            }
        }
        found.reverse();
        Ok((found, position))
    }

    /// A stream's facts after a version.
    pub async fn read_stream(
        &self,
        tenant: &Tenant,
        stream: &Stream,
        after_version: i64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<Row> = on_db!(&self.db, pool => {
            sqlx::query_as(READ_STREAM)
                .bind(stream.as_str())
                .bind(after_version)
                .bind(tenant.as_str())
                .bind(limit)
                .fetch_all(pool)
                .await
        })?;
        rows.into_iter().map(Recorded::try_from).collect()
    }

    /// All facts of some customers up to a position, by position: what a fold starts over from.
    pub async fn read_customers(
        &self,
        tenant: &Tenant,
        customers: &[&CustomerId],
        up_to: i64,
    ) -> Result<Vec<Recorded>, ReadError> {
        let mut facts = read_listed!(self, customers, (query, chunk) => {
            query.push("customer_id IN (");
            let mut list = query.separated(", ");
            for it in chunk {
                list.push_bind(it.as_str());
            }
            query.push(") AND position <= ").push_bind(up_to);
            query.push(" AND tenant = ").push_bind(tenant.as_str());
        });
        facts.sort_by_key(|it| it.position);
        Ok(facts)
    }

    /// The position of the first fact about each of some customers; one nobody has heard of is left out.
    pub async fn first_positions(
        &self,
        tenant: &Tenant,
        customers: &[&CustomerId],
    ) -> Result<HashMap<CustomerId, i64>, ReadError> {
        let mut found = HashMap::with_capacity(customers.len());
        for chunk in lists(customers) {
            let rows: Vec<(String, Option<i64>)> = on_db!(&self.db, pool => {
                let mut query = QueryBuilder::new(FIRSTS_HEAD);
                query.push_values(chunk, |mut row, it| {
                    row.push_bind(it.as_str());
                });
                query.push(FIRSTS_TAIL).push_bind(tenant.as_str()).push(FIRSTS_END);
                query.build_query_as().fetch_all(pool).await
            })?;
            for (customer, first) in rows {
                let Some(first) = first else { continue };
                found.insert(customer.parse().map_err(|_| corrupt("customer_id", first))?, first);
            }
        }
        Ok(found)
    }

    /// The fingerprints of the facts at some positions.
    pub(crate) async fn fingerprints(
        &self,
        positions: &[i64],
    ) -> Result<HashMap<i64, Vec<u8>>, sqlx::Error> {
        let mut found = HashMap::with_capacity(positions.len());
        for chunk in lists(positions) {
            let rows: Vec<(i64, Vec<u8>)> = on_db!(&self.db, pool => {
                let mut query = QueryBuilder::new(FINGERPRINTS_HEAD);
                let mut list = query.separated(", ");
                for it in chunk {
                    list.push_bind(*it);
                }
                query.push(")");
                query.build_query_as().fetch_all(pool).await
            })?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// The log of a database that is open already.
    pub(crate) fn of(db: Db) -> Self {
        Self { db }
    }

    /// How many facts there are up to a position of each customer id that follows another one, in
    /// their order, whatever the tenant; at most `limit` customers.
    pub async fn count_by_customer(
        &self,
        after: &str,
        up_to: i64,
        limit: usize,
    ) -> Result<Vec<(String, i64)>, ReadError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(on_db!(&self.db, pool => {
            sqlx::query_as(COUNT_BY_CUSTOMER)
                .bind(after)
                .bind(up_to)
                .bind(limit)
                .fetch_all(pool)
                .await
        })?)
    }

    /// All facts up to a position about some customer ids, whatever the tenant, in no promised order.
    pub async fn read_customer_ids(
        &self,
        customers: &[String],
        up_to: i64,
    ) -> Result<Vec<Recorded>, ReadError> {
        Ok(read_listed!(self, customers, (query, chunk) => {
            query.push("customer_id IN (");
            let mut list = query.separated(", ");
            for it in chunk {
                list.push_bind(it);
            }
            query.push(") AND position <= ").push_bind(up_to);
        }))
    }

    /// What stands apart from the customers after a position and up to another one: facts about
    /// nobody, and all that may take another one back.
    pub async fn read_apart(
        &self,
        after: i64,
        up_to: i64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let mut found = Vec::new();
        let mut looked = after;
        // Few facts stand apart: one statement over a long log would run for as long as it is long.
        while looked < up_to && found.len() < limit {
            let end = up_to.min(looked.saturating_add(APART_POSITIONS_MAX));
            let left = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
            let rows: Vec<Row> = on_db!(&self.db, pool => {
                sqlx::query_as(READ_APART).bind(looked).bind(end).bind(left).fetch_all(pool).await
            })?;
            for row in rows {
                found.push(Recorded::try_from(row)?);
            }
            looked = end;
        }
        Ok(found)
    }

    /// How many facts each tenant has after a position.
    pub async fn count_after(&self, position: i64) -> Result<Vec<(String, i64)>, ReadError> {
        Ok(on_db!(&self.db, pool => {
            sqlx::query_as(COUNT_AFTER).bind(position).fetch_all(pool).await
        })?)
    }

    /// The facts at some positions, in no promised order.
    pub async fn read_positions(
        &self,
        tenant: &Tenant,
        positions: &[i64],
    ) -> Result<Vec<Recorded>, ReadError> {
        Ok(read_listed!(self, positions, (query, chunk) => {
            query.push("position IN (");
            let mut list = query.separated(", ");
            for it in chunk {
                list.push_bind(*it);
            }
            query.push(") AND tenant = ").push_bind(tenant.as_str());
        }))
    }

    /// The facts that some references name, in no promised order; unknown ones are left out.
    pub async fn read_references(
        &self,
        tenant: &Tenant,
        references: &[EventRef],
    ) -> Result<Vec<Recorded>, ReadError> {
        let wanted: HashSet<&EventRef> = references.iter().collect();
        let wanted: Vec<&EventRef> = wanted.into_iter().collect();
        Ok(read_listed!(self, &wanted, (query, chunk) => {
            query.push("(event_id, source, tenant) IN (");
            query.push_values(chunk, |mut row, it| {
                row.push_bind(it.id.as_str())
                    .push_bind(it.source.as_str())
                    .push_bind(tenant.as_str());
            });
            query.push(")");
        }))
    }

    /// The receipt of an event, if it is recorded.
    pub async fn find(
        &self,
        tenant: &Tenant,
        event: &EventRef,
    ) -> Result<Option<Receipt>, ReadError> {
        let row: Option<(i64, String, i64, SqlTime)> = on_db!(&self.db, pool => {
            sqlx::query_as(FIND)
                .bind(event.id.as_str())
                .bind(event.source.as_str())
                .bind(tenant.as_str())
                .fetch_optional(pool)
                .await
        })?;
        let Some((position, stream, version, recorded_at)) = row else { return Ok(None) };
        let stream = stream.parse().map_err(|_| corrupt("stream", position))?;
        Ok(Some(Receipt {
            source: event.source.clone(),
            id: event.id.clone(),
            position,
            stream,
            version,
            recorded_at: recorded_at.0,
        }))
    }

    /// What the log holds under some ids: the receipt and the fingerprint of each; ids that are not
    /// recorded are left out.
    pub async fn known(
        &self,
        tenant: &Tenant,
        references: &[EventRef],
    ) -> Result<HashMap<EventRef, (Receipt, Vec<u8>)>, ReadError> {
        type Row = (String, String, i64, String, i64, SqlTime, Vec<u8>);
        let mut known = HashMap::new();
        for chunk in lists(references) {
            let rows: Vec<Row> = on_db!(&self.db, pool => {
                let mut query = QueryBuilder::new(KNOWN_HEAD);
                query.push_values(chunk, |mut row, it| {
                    row.push_bind(it.id.as_str())
                        .push_bind(it.source.as_str())
                        .push_bind(tenant.as_str());
                });
                query.push(")");
                query.build_query_as().fetch_all(pool).await
            })?;
            for (id, source, position, stream, version, recorded_at, fingerprint) in rows {
                let id: EventId = id.parse().map_err(|_| corrupt("event_id", position))?;
                let source: Source = source.parse().map_err(|_| corrupt("source", position))?;
                let stream = stream.parse().map_err(|_| corrupt("stream", position))?;
                let receipt = Receipt {
                    source: source.clone(),
                    id: id.clone(),
                    position,
                    stream,
                    version,
                    recorded_at: recorded_at.0,
                };
                known.insert(EventRef { source, id }, (receipt, fingerprint));
            }
        }
        Ok(known)
    }

    /// Which event stands at a position.
    pub async fn reference_at(&self, position: i64) -> Result<Option<EventRef>, ReadError> {
        let row: Option<(String, String)> = on_db!(&self.db, pool => {
            sqlx::query_as(REFERENCE_AT).bind(position).fetch_optional(pool).await
        })?;
        let Some((source, id)) = row else { return Ok(None) };
        let source = source.parse().map_err(|_| corrupt("source", position))?;
        let id = id.parse().map_err(|_| corrupt("event_id", position))?;
        Ok(Some(EventRef { source, id }))
    }
}

/// The row as both databases return it; private, because nobody else should see its types.
#[derive(Debug, FromRow)]
struct Row {
    position: i64,
    tenant: String,
    stream: String,
    version: i64,
    source: String,
    event_id: String,
    r#type: String,
    customer_id: Option<String>,
    occurred_at: SqlTime,
    recorded_at: SqlTime,
    causation_id: Option<String>,
    correlation_id: Option<String>,
    trace: Option<String>,
    attributes: String,
    data: String,
}

impl TryFrom<Row> for Recorded {
    type Error = ReadError;
    fn try_from(row: Row) -> Result<Self, ReadError> {
        let at = row.position;
        let (kind, schema_version) =
            Kind::parse_type(&row.r#type).map_err(|_| corrupt("type", at))?;
        let customer = row.customer_id.map(|it| it.parse()).transpose();
        Ok(Self {
            position: at,
            tenant: row.tenant.parse().map_err(|_| corrupt("tenant", at))?,
            stream: row.stream.parse().map_err(|_| corrupt("stream", at))?,
            version: row.version,
            source: row.source.parse().map_err(|_| corrupt("source", at))?,
            id: row.event_id.parse().map_err(|_| corrupt("event_id", at))?,
            kind,
            schema_version,
            customer: customer.map_err(|_| corrupt("customer_id", at))?,
            occurred_at: row.occurred_at.0,
            recorded_at: row.recorded_at.0,
            causation_id: row.causation_id,
            correlation_id: row.correlation_id,
            trace: row.trace,
            attributes: serde_json::from_str(&row.attributes)
                .map_err(|_| corrupt("attributes", at))?,
            data: row.data.into_boxed_str(),
        })
    }
}

fn corrupt(column: &'static str, position: i64) -> ReadError {
    ReadError::Corrupt { table: "events", column, key: format!("position {position}") }
}
