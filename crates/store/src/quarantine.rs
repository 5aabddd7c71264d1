//! Messages we could not understand, kept with their bytes and the reason.
//!
//! Nothing that arrived is lost and nothing leaves silently: a row is `open` until an operator
//! releases it (the same bytes go through the same validator again) or discards it with a note.

use std::collections::HashMap;

use events::envelope::Provenance;
use events::id::Tenant;
use events::mint::NAMESPACE;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use crate::db::Db;
use crate::error::ReadError;
use crate::sql::{END_OF_TEXT, SqlTime, end_of_time, lists};
use crate::{on_db, on_tx};

/// Bytes kept of one message; its size and hash are those of the whole.
pub const BYTES_KEPT_MAX: usize = 65_536;

/// A message on its way into quarantine.
#[derive(Clone, Debug)]
pub struct Suspect<'a> {
    /// Whose subject it came in on.
    pub tenant: &'a Tenant,
    /// Code of the problem.
    pub code: &'a str,
    /// The problem, as it would have been answered.
    pub problem: &'a Value,
    /// The way it came: `nats`, `http`, `import`.
    pub face: &'a str,
    /// The subject, or the name of the file and its line.
    pub subject: Option<&'a str>,
    /// Where in `SAPA_IN` it stood.
    pub provenance: Option<Provenance>,
    /// When it was taken.
    pub received_at: Timestamp,
    /// The event's source, where one could be read.
    pub source: Option<&'a str>,
    /// The event's id, where one could be read.
    pub event_id: Option<&'a str>,
    /// Its headers.
    pub headers: &'a Value,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A message in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub quarantine_id: String,
    /// Whose subject it came in on.
    pub tenant: Tenant,
    /// Code of the problem.
    pub code: String,
    /// The problem, as it would have been answered.
    pub problem: Value,
    /// The way it came.
    pub face: String,
    /// The subject, or the name of the file and its line.
    pub subject: Option<String>,
    /// Incarnation of `SAPA_IN`.
    pub incarnation: Option<Timestamp>,
    /// Sequence in that incarnation.
    pub sequence: Option<i64>,
    /// When it was taken.
    pub received_at: Timestamp,
    /// The event's source, where one could be read.
    pub source: Option<String>,
    /// The event's id, where one could be read.
    pub event_id: Option<String>,
    /// Its headers.
    pub headers: Value,
    /// Bytes of the whole message.
    pub size: i64,
    /// SHA-256 of the whole message, in hex.
    pub sha256: String,
    /// What was kept of it; nothing after it was discarded.
    pub bytes: Option<Vec<u8>>,
    /// `open`, `released` or `discarded`.
    pub state: String,
    /// Where it was recorded after its release.
    pub position: Option<i64>,
    /// Why it was discarded.
    pub note: Option<String>,
}

const KEEP: &str = "
    INSERT INTO quarantine (quarantine_id, tenant, code, problem, face, subject, incarnation,
                            sequence, received_at, source, event_id, headers, size, sha256, bytes,
                            state)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'open')
    ON CONFLICT (quarantine_id) DO NOTHING";

const GET: &str = "
    SELECT quarantine_id, tenant, code, problem, face, subject, incarnation, sequence, received_at,
           source, event_id, headers, size, sha256, bytes, state, position, note
      FROM quarantine
     WHERE quarantine_id = $1
       AND (tenant = $2
            OR ($3 = 1 AND (code = 'tenant_unknown'
                            OR tenant NOT IN (SELECT tenant FROM tenants))))";

const LIST: &str = "
    SELECT quarantine_id, tenant, code, problem, face, subject, incarnation, sequence, received_at,
           source, event_id, headers, size, sha256, NULL AS bytes, state, position, note
      FROM quarantine
     WHERE (tenant = $1
            OR ($8 = 1 AND (code = 'tenant_unknown'
                            OR tenant NOT IN (SELECT tenant FROM tenants))))
       AND (code = $2 OR $2 IS NULL)
       AND (source = $3 OR $3 IS NULL)
       AND (state = $4 OR $4 IS NULL)
       AND (received_at, quarantine_id) > ($5, $6)
     ORDER BY received_at, quarantine_id
     LIMIT $7";

/// The same the other way, nearest first.
const LIST_BACK: &str = "
    SELECT quarantine_id, tenant, code, problem, face, subject, incarnation, sequence, received_at,
           source, event_id, headers, size, sha256, NULL AS bytes, state, position, note
      FROM quarantine
     WHERE (tenant = $1
            OR ($8 = 1 AND (code = 'tenant_unknown'
                            OR tenant NOT IN (SELECT tenant FROM tenants))))
       AND (code = $2 OR $2 IS NULL)
       AND (source = $3 OR $3 IS NULL)
       AND (state = $4 OR $4 IS NULL)
       AND (received_at, quarantine_id) < ($5, $6)
     ORDER BY received_at DESC, quarantine_id DESC
     LIMIT $7";

const OF_EVENT: &str = "
    SELECT quarantine_id, code
      FROM quarantine
     WHERE event_id = $1
       AND source = $2
       AND tenant = $3
       AND state = 'open'
     ORDER BY received_at, quarantine_id
     LIMIT 1";

const SETTLE: &str = "
    UPDATE quarantine
       SET state = $3,
           position = $4,
           note = $5,
           bytes = CASE WHEN $3 = 'discarded' THEN NULL ELSE bytes END
     WHERE quarantine_id = $1
       AND tenant = $2
       AND state = 'open'";

const HAS_OPEN_ROWS: &str = "
    SELECT 1
      FROM quarantine
     WHERE tenant = $1
       AND face = 'import'
       AND state = 'open'
     LIMIT 1";

const OPEN_ROWS_HEAD: &str = "
    SELECT quarantine_id, subject, source, event_id
      FROM quarantine
     WHERE face = 'import'
       AND state = 'open'
       AND ";
const EXPIRE: &str = "
    UPDATE quarantine
       SET state = 'discarded',
           note = $2,
           bytes = NULL
     WHERE quarantine_id IN (SELECT quarantine_id
                               FROM quarantine
                              WHERE state = 'open'
                                AND received_at < $1
                              ORDER BY received_at
                              LIMIT $3)
       AND state = 'open'";

const COUNT_OPEN: &str = "
    SELECT code, count(*)
      FROM quarantine
     WHERE state = 'open'
     GROUP BY code
     ORDER BY code";

/// Keeps messages; one that is redelivered after a crash is kept once. Answers with their names.
pub async fn keep(db: &Db, suspects: &[Suspect<'_>]) -> Result<Vec<String>, sqlx::Error> {
    let mut names = Vec::with_capacity(suspects.len());
    let mut tx = db.begin_write().await?;
    for it in suspects {
        let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(it.bytes));
        let name = name(it, &sha256);
        let kept = it.bytes.get(..BYTES_KEPT_MAX).unwrap_or(it.bytes);
        on_tx!(&mut tx, conn => {
            sqlx::query(KEEP)
                .bind(&name)
                .bind(it.tenant.as_str())
                .bind(it.code)
                .bind(it.problem.to_string())
                .bind(it.face)
                .bind(it.subject)
                .bind(it.provenance.as_ref().map(|it| SqlTime(it.incarnation)))
                .bind(it.provenance.as_ref().map(|it| it.sequence))
                .bind(SqlTime(it.received_at))
                .bind(it.source)
                .bind(it.event_id)
                .bind(it.headers.to_string())
                .bind(i64::try_from(it.bytes.len()).unwrap_or(i64::MAX))
                .bind(&sha256)
                .bind(kept)
                .execute(conn)
                .await?;
        });
        names.push(name);
    }
    tx.commit().await?;
    Ok(names)
}

/// Computed from where the message stood, or, without such a place, from what it is.
fn name(it: &Suspect<'_>, sha256: &str) -> String {
    let place = match &it.provenance {
        Some(at) => format!("{}|{}", at.incarnation, at.sequence),
        None => format!("{}|{}", it.face, it.subject.unwrap_or_default()),
    };
    let basis = format!("{}|quarantine|{place}|{sha256}", it.tenant);
    Uuid::new_v5(&NAMESPACE, basis.as_bytes()).to_string()
}

/// Whose messages are meant.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// Those of this tenant.
    pub tenant: &'a Tenant,
    /// And those that came in for a tenant which did not exist: nobody else can look after them.
    pub with_unknown: bool,
}

impl<'a> From<&'a Tenant> for Whose<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        Self { tenant, with_unknown: false }
    }
}

/// One message with its bytes.
pub async fn get<'a>(
    db: &Db,
    whose: impl Into<Whose<'a>>,
    name: &str,
) -> Result<Option<Kept>, ReadError> {
    let whose = whose.into();
    let row: Option<Row> = on_db!(db, pool => {
        sqlx::query_as(GET)
            .bind(name)
            .bind(whose.tenant.as_str())
            .bind(i64::from(whose.with_unknown))
            .fetch_optional(pool)
            .await
    })?;
    row.map(Kept::try_from).transpose()
}

/// What a list of quarantined messages may hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only this code.
    pub code: Option<String>,
    /// Only this source.
    pub source: Option<String>,
    /// Only this state.
    pub state: Option<String>,
    /// Only after this place in the order of arrival.
    pub after: Option<(Timestamp, String)>,
    /// The other way: from there, or from the end, towards the beginning.
    pub back: bool,
}

/// Messages in order of arrival, without their bytes.
pub async fn list<'a>(
    db: &Db,
    whose: impl Into<Whose<'a>>,
    wanted: &Wanted,
    limit: i64,
) -> Result<Vec<Kept>, ReadError> {
    let whose = whose.into();
    let (statement, ends) = if wanted.back {
        (LIST_BACK, (end_of_time(), END_OF_TEXT))
    } else {
        (LIST, (Timestamp::UNIX_EPOCH, ""))
    };
    let (after, name) = wanted.after.as_ref().map_or(ends, |(at, name)| (*at, name.as_str()));
    let rows: Vec<Row> = on_db!(db, pool => {
        sqlx::query_as(statement)
            .bind(whose.tenant.as_str())
            .bind(wanted.code.as_deref())
            .bind(wanted.source.as_deref())
            .bind(wanted.state.as_deref())
            .bind(SqlTime(after))
            .bind(name)
            .bind(limit)
            .bind(i64::from(whose.with_unknown))
            .fetch_all(pool)
            .await
    })?;
    rows.into_iter().map(Kept::try_from).collect()
}

/// The open row of an event that was refused: its name and code.
pub async fn of_event(
    db: &Db,
    tenant: &Tenant,
    source: &str,
    event_id: &str,
) -> Result<Option<(String, String)>, ReadError> {
    Ok(on_db!(db, pool => {
        sqlx::query_as(OF_EVENT)
            .bind(event_id)
            .bind(source)
            .bind(tenant.as_str())
            .fetch_optional(pool)
            .await
    })?)
}

/// How an open row ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled<'a> {
    /// Recorded at this position.
    Released(i64),
    /// Given up, for this reason; its bytes go.
    Discarded(&'a str),
}

/// Ends an open row; `false` if it was not open any more.
pub async fn settle(
    db: &Db,
    tenant: &Tenant,
    name: &str,
    how: &Settled<'_>,
) -> Result<bool, sqlx::Error> {
    let (state, position, note) = match how {
        Settled::Released(position) => ("released", Some(*position), None),
        Settled::Discarded(note) => ("discarded", None, Some(*note)),
    };
    let mut tx = db.begin_write().await?;
    let settled = on_tx!(&mut tx, conn => {
        sqlx::query(SETTLE)
            .bind(name)
            .bind(tenant.as_str())
            .bind(state)
            .bind(position)
            .bind(note)
            .execute(conn)
            .await?
            .rows_affected()
    });
    tx.commit().await?;
    Ok(settled == 1)
}

/// A row of a file whose events are all in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRow<'a> {
    /// The name of the file and the line, where the row had something new to say. Of a row that was
    /// known already the line proves nothing: rows before it may have been taken out.
    pub place: Option<String>,
    /// Source and id of its events.
    pub events: Vec<(&'a str, &'a str)>,
    /// Where the last of them stands.
    pub position: i64,
}

/// Releases the rows of imported files that wait where these were recorded, or that would have had
/// one of their events. Answers with how many.
pub async fn release_rows(
    db: &Db,
    tenant: &Tenant,
    rows: &[RecordedRow<'_>],
) -> Result<u64, ReadError> {
    let any: Option<i32> = on_db!(db, pool => {
        sqlx::query_scalar(HAS_OPEN_ROWS).bind(tenant.as_str()).fetch_optional(pool).await
    })?;
    if any.is_none() || rows.is_empty() {
        return Ok(0);
    }
    let places: HashMap<&str, i64> =
        rows.iter().filter_map(|it| Some((it.place.as_deref()?, it.position))).collect();
    let events: HashMap<(&str, &str), i64> =
        rows.iter().flat_map(|it| it.events.iter().map(|event| (*event, it.position))).collect();
    let mut waiting: Vec<OpenRow> = Vec::new();
    let (by_place, by_event): (Vec<_>, Vec<_>) = (places.keys().collect(), events.keys().collect());
    for chunk in lists(&by_place) {
        waiting.extend(on_db!(db, pool => {
            let mut query = QueryBuilder::new(OPEN_ROWS_HEAD);
            query.push("tenant = ").push_bind(tenant.as_str()).push(" AND subject IN (");
            let mut list = query.separated(", ");
            for it in chunk {
                list.push_bind(**it);
            }
            query.push(")");
            query.build_query_as::<OpenRow>().fetch_all(pool).await
        })?);
    }
    for chunk in lists(&by_event) {
        waiting.extend(on_db!(db, pool => {
            let mut query = QueryBuilder::new(OPEN_ROWS_HEAD);
            query.push("(event_id, source, tenant) IN (");
            query.push_values(chunk, |mut row, (source, id)| {
                row.push_bind(*id).push_bind(*source).push_bind(tenant.as_str());
            });
            query.push(")");
            query.build_query_as::<OpenRow>().fetch_all(pool).await
        })?);
    }
    let mut released = 0;
    for row in waiting {
        let event = row.source.as_deref().zip(row.event_id.as_deref());
        let by_event = event.and_then(|it| events.get(&it));
        let by_place = row.subject.as_deref().and_then(|it| places.get(it));
        if let Some(position) = by_event.or(by_place)
            && settle(db, tenant, &row.quarantine_id, &Settled::Released(*position)).await?
        {
            released += 1;
        }
    }
    Ok(released)
}

/// Gives up open rows that were taken before an instant, for this reason; their bytes go, the rows stay.
/// Says how many of them there were; at most `limit` at once.
pub async fn expire(
    db: &Db,
    before: Timestamp,
    note: &str,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let mut tx = db.begin_write().await?;
    let expired = on_tx!(&mut tx, conn => {
        sqlx::query(EXPIRE)
            .bind(SqlTime(before))
            .bind(note)
            .bind(limit)
            .execute(conn)
            .await?
            .rows_affected()
    });
    tx.commit().await?;
    Ok(expired)
}

/// Open rows by code, over all tenants.
pub async fn count_open(db: &Db) -> Result<Vec<(String, i64)>, ReadError> {
    Ok(on_db!(db, pool => sqlx::query_as(COUNT_OPEN).fetch_all(pool).await)?)
}

#[derive(Debug, FromRow)]
struct OpenRow {
    quarantine_id: String,
    subject: Option<String>,
    source: Option<String>,
    event_id: Option<String>,
}

#[derive(Debug, FromRow)]
struct Row {
    quarantine_id: String,
    tenant: String,
    code: String,
    problem: String,
    face: String,
    subject: Option<String>,
    incarnation: Option<SqlTime>,
    sequence: Option<i64>,
    received_at: SqlTime,
    source: Option<String>,
    event_id: Option<String>,
    headers: String,
    size: i64,
    sha256: String,
    bytes: Option<Vec<u8>>,
    state: String,
    position: Option<i64>,
    note: Option<String>,
}

impl TryFrom<Row> for Kept {
    type Error = ReadError;
    fn try_from(row: Row) -> Result<Self, ReadError> {
        let corrupt = |column| ReadError::Corrupt {
            table: "quarantine",
            column,
            key: row.quarantine_id.clone(),
        };
        Ok(Self {
            tenant: row.tenant.parse().map_err(|_| corrupt("tenant"))?,
            problem: serde_json::from_str(&row.problem).map_err(|_| corrupt("problem"))?,
            headers: serde_json::from_str(&row.headers).map_err(|_| corrupt("headers"))?,
            code: row.code,
            face: row.face,
            subject: row.subject,
            incarnation: row.incarnation.map(|it| it.0),
            sequence: row.sequence,
            received_at: row.received_at.0,
            source: row.source,
            event_id: row.event_id,
            size: row.size,
            sha256: row.sha256,
            bytes: row.bytes,
            state: row.state,
            position: row.position,
            note: row.note,
            quarantine_id: row.quarantine_id,
        })
    }
}
