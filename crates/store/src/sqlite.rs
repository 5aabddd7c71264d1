//! What only SQLite needs. Same functions, same order as `postgres.rs`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use events::envelope::{Incoming, Receipt};
use events::id::Stream;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use crate::db::{Connections, Db, Durability, Tx};
use crate::error::OpenError;
use crate::sql::{SqlTime, prepared_chunks};
use crate::writer::{Judged, Outcome, Request};

/// Oldest SQLite without the corruption of a reset write-ahead log.
const VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
/// Statements that the writing connection keeps prepared: those of the read models have few texts.
const STATEMENTS_MAX: usize = 256;
/// Pages of 4 kB in the write-ahead log before they are copied into the file. Batches change pages all
/// over the indexes, and many of them again soon: with SQLite's own 1,000 pages nearly every batch
/// copied its pages twice. The commit that copies waits for it.
const CHECKPOINT_PAGES: &str = "8000";
/// Rows that wait between the thread of a connection and whoever reads them.
const ROWS_WAITING_MAX: usize = 512;
/// How long a transaction of the read models waits for the one connection that writes them: for a page
/// that is being folded, which nobody waits for.
const FOLDING_MAX: Duration = Duration::from_secs(30);

/// Opens one file: one connection that writes, several that cannot.
pub(crate) async fn open(
    path: &Path,
    durability: Durability,
    connections: Connections,
) -> Result<Db, sqlx::Error> {
    let write = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .busy_timeout(connections.statement_timeout)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma(
            "cache_size",
            match durability {
                // Every fact finds its customer's rows somewhere in the file.
                Durability::Rebuildable => "-32000",
                Durability::Full | Durability::Unsafe => "-16000",
            },
        )
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .statement_cache_capacity(STATEMENTS_MAX)
        .row_buffer_size(ROWS_WAITING_MAX)
        .synchronous(match durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Rebuildable => SqliteSynchronous::Normal,
            Durability::Unsafe => SqliteSynchronous::Off,
        });
    let read = read_only(path, connections.statement_timeout);

    // A file in this process does not go away between two questions.
    let pool = |max, acquire_timeout| {
        SqlitePoolOptions::new()
            .max_connections(max)
            .acquire_timeout(acquire_timeout)
            .test_before_acquire(false)
    };
    let wait = connections.acquire_timeout;
    let write_wait =
        if durability == Durability::Rebuildable { wait.max(FOLDING_MAX) } else { wait };
    // The writer comes first: it creates the file and its write-ahead log.
    Ok(Db::Sqlite {
        writes: pool(1, write_wait).connect_with(write).await?,
        reads: pool(connections.reads_max, wait).connect_with(read).await?,
    })
}

/// How a file is opened that is only read.
pub(crate) fn read_only(path: &Path, busy_timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(busy_timeout)
        .row_buffer_size(ROWS_WAITING_MAX)
}

/// Refuses a library or a setting under which a recorded event could be lost.
pub(crate) async fn check(writes: &SqlitePool, durability: Durability) -> Result<(), OpenError> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(writes).await?;
    let mut parts = version.split('.').map(|it| it.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    if (next(), next(), next()) < VERSION_MIN {
        return Err(OpenError::Unsafe {
            found: format!("SQLite {version} can corrupt its write-ahead log (before 3.51.3)"),
            remedy: "Build with the bundled SQLite.".to_owned(),
        });
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(writes).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(writes).await?;
    let wanted = match durability {
        Durability::Full => 2,
        Durability::Rebuildable => 1,
        Durability::Unsafe => 0,
    };
    if !mode.eq_ignore_ascii_case("wal") || synchronous < wanted {
        return Err(OpenError::Unsafe {
            found: format!("SQLite runs with journal_mode={mode}, synchronous={synchronous}"),
            remedy: "Remove the override: the log needs WAL and FULL.".to_owned(),
        });
    }
    Ok(())
}

const FIND_EVENTS_HEAD: &str =
    "SELECT event_id, source, tenant, position, stream, version, recorded_at, fingerprint
       FROM events WHERE (event_id, source, tenant) IN (";
const FIND_STREAMS_HEAD: &str = "WITH wanted (stream, tenant) AS (";
const FIND_STREAMS_TAIL: &str = ")
    SELECT w.stream, w.tenant,
           (SELECT e.version FROM events e WHERE e.stream = w.stream AND e.tenant = w.tenant
             ORDER BY e.version DESC LIMIT 1)
      FROM wanted w";

/// Id, source and tenant of an event.
type Key<'a> = (&'a str, &'a str, &'a str);
/// Stream and tenant.
type StreamKey<'a> = (&'a str, &'a str);
/// What the log holds already under ids of a batch.
type KnownEvents<'a> = HashMap<Key<'a>, Known>;
/// The version of streams; one that is not here does not exist.
type Versions<'a> = HashMap<StreamKey<'a>, i64>;

/// What the log already holds under an id.
struct Known {
    receipt: Receipt,
    fingerprint: Vec<u8>,
}

/// Appends one batch in one transaction.
pub(crate) async fn append(
    db: &Db,
    batch: &[Request],
    now: Timestamp,
) -> Result<Vec<Judged>, sqlx::Error> {
    let Tx::Sqlite(mut tx) = db.begin_write().await? else {
        return Err(sqlx::Error::Configuration("a SQLite batch on another database".into()));
    };
    let (head, last): (i64, SqlTime) =
        sqlx::query_as("SELECT position, recorded_at FROM log_head").fetch_one(&mut *tx).await?;
    let recorded_at = now.max(last.0);
    let events: Vec<&Incoming> = batch.iter().flat_map(|it| &it.events).collect();
    let known = find_events(&mut tx, &events).await?;
    let mut versions = find_streams(&mut tx, &events).await?;

    let mut judged = Vec::with_capacity(events.len());
    let mut new = Vec::with_capacity(events.len());
    let mut position = head;
    for request in batch {
        let verdicts = judge(&request.events, &known, &versions);
        let refused = verdicts
            .iter()
            .any(|it| matches!(it, Outcome::EventIdConflict | Outcome::VersionConflict));
        for (event, verdict) in request.events.iter().zip(verdicts) {
            let (outcome, receipt) = match known.get(&key(event)) {
                Some(it) => (verdict, it.receipt.clone()),
                None if refused => {
                    let outcome =
                        if verdict == Outcome::Recorded { Outcome::Refused } else { verdict };
                    let version = versions.get(&stream(event)).copied().unwrap_or(0);
                    (outcome, receipt(event, 0, version, recorded_at))
                }
                None => {
                    let version = versions.entry(stream(event)).or_insert(0);
                    *version += 1;
                    position += 1;
                    let receipt = receipt(event, position, *version, recorded_at);
                    new.push((event, receipt.clone()));
                    (Outcome::Recorded, receipt)
                }
            };
            judged.push(Judged { outcome, receipt });
        }
    }
    if new.is_empty() {
        tx.rollback().await?;
    } else {
        write(&mut tx, &new, position, recorded_at).await?;
        tx.commit().await?;
    }
    Ok(judged)
}

/// Judges the events of one request in their order. An event that is already recorded is a
/// duplicate whatever version it expects; one that is new counts for those after it.
fn judge(request: &[Incoming], known: &KnownEvents<'_>, versions: &Versions<'_>) -> Vec<Outcome> {
    let mut ahead: Versions<'_> = HashMap::new();
    let mut verdicts = Vec::with_capacity(request.len());
    for event in request {
        verdicts.push(match known.get(&key(event)) {
            Some(it) if it.fingerprint == event.fingerprint => Outcome::Duplicate,
            Some(_) => Outcome::EventIdConflict,
            None => {
                let new = ahead.entry(stream(event)).or_insert(0);
                let actual = versions.get(&stream(event)).copied().unwrap_or(0) + *new;
                *new += 1;
                let fits = event.expected_version.is_none_or(|it| it == actual);
                if fits { Outcome::Recorded } else { Outcome::VersionConflict }
            }
        });
    }
    verdicts
}

type EventRow = (String, String, String, i64, String, i64, SqlTime, Vec<u8>);

async fn find_events<'a>(
    conn: &mut SqliteConnection,
    events: &[&'a Incoming],
) -> Result<KnownEvents<'a>, sqlx::Error> {
    let mut known = HashMap::new();
    for chunk in prepared_chunks(events) {
        let mut query = QueryBuilder::<Sqlite>::new(FIND_EVENTS_HEAD);
        query.push_values(chunk, |mut row, it| {
            let (id, source, tenant) = key(it);
            row.push_bind(id).push_bind(source).push_bind(tenant);
        });
        query.push(")");
        let rows: Vec<EventRow> = query.build_query_as().fetch_all(&mut *conn).await?;
        let found: HashMap<Key<'_>, &EventRow> =
            rows.iter().map(|it| ((&*it.0, &*it.1, &*it.2), it)).collect();
        for event in chunk {
            if let Some((_, _, _, position, stream, version, recorded_at, fingerprint)) =
                found.get(&key(event))
            {
                let mut receipt = receipt(event, *position, *version, recorded_at.0);
                receipt.stream = parsed(stream)?;
                known.insert(key(event), Known { receipt, fingerprint: fingerprint.clone() });
            }
        }
    }
    Ok(known)
}

async fn find_streams<'a>(
    conn: &mut SqliteConnection,
    events: &[&'a Incoming],
) -> Result<Versions<'a>, sqlx::Error> {
    let wanted: HashSet<StreamKey<'a>> = events.iter().map(|it| stream(it)).collect();
    let wanted: Vec<StreamKey<'a>> = wanted.into_iter().collect();
    let mut versions = HashMap::new();
    for chunk in prepared_chunks(&wanted) {
        let mut query = QueryBuilder::<Sqlite>::new(FIND_STREAMS_HEAD);
        query.push_values(chunk, |mut row, (stream, tenant)| {
            row.push_bind(*stream).push_bind(*tenant);
        });
        query.push(FIND_STREAMS_TAIL);
        let rows: Vec<(String, String, Option<i64>)> =
            query.build_query_as().fetch_all(&mut *conn).await?;
        let found: HashMap<StreamKey<'_>, Option<i64>> =
            rows.iter().map(|it| ((&*it.0, &*it.1), it.2)).collect();
        for key in chunk {
            if let Some(Some(version)) = found.get(key) {
                versions.insert(*key, *version);
            }
        }
    }
    Ok(versions)
}

const WRITE_EVENTS_HEAD: &str = "INSERT INTO events (position, tenant, stream, version, source,
    event_id, type, customer_id, occurred_at, recorded_at, causation_id, correlation_id, trace,
    attributes, incarnation, sequence, fingerprint, data) ";

async fn write(
    conn: &mut SqliteConnection,
    new: &[(&Incoming, Receipt)],
    head: i64,
    recorded_at: Timestamp,
) -> Result<(), sqlx::Error> {
    for chunk in prepared_chunks(new) {
        let mut query = QueryBuilder::<Sqlite>::new(WRITE_EVENTS_HEAD);
        query.push_values(chunk, |mut row, (it, receipt)| {
            row.push_bind(receipt.position)
                .push_bind(it.tenant.as_str())
                .push_bind(it.stream.as_str())
                .push_bind(receipt.version)
                .push_bind(it.source.as_str())
                .push_bind(it.id.as_str())
                .push_bind(it.kind.type_name(it.schema_version))
                .push_bind(it.customer.as_ref().map(events::id::CustomerId::as_str))
                .push_bind(SqlTime(it.occurred_at))
                .push_bind(SqlTime(recorded_at))
                .push_bind(it.causation_id.as_deref())
                .push_bind(it.correlation_id.as_deref())
                .push_bind(it.trace.as_deref())
                .push_bind(attributes(it))
                .push_bind(it.provenance.as_ref().map(|it| SqlTime(it.incarnation)))
                .push_bind(it.provenance.as_ref().map(|it| it.sequence))
                .push_bind(&it.fingerprint[..])
                .push_bind(&*it.data);
        });
        query.build().execute(&mut *conn).await?;
    }
    sqlx::query("UPDATE log_head SET position = $1, recorded_at = $2")
        .bind(head)
        .bind(SqlTime(recorded_at))
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// The attributes without a column, as text.
pub(crate) fn attributes(it: &Incoming) -> String {
    serde_json::to_string(&it.attributes).expect("attributes are text, numbers and booleans")
}

fn key(it: &Incoming) -> Key<'_> {
    (it.id.as_str(), it.source.as_str(), it.tenant.as_str())
}

fn stream(it: &Incoming) -> StreamKey<'_> {
    (it.stream.as_str(), it.tenant.as_str())
}

fn receipt(it: &Incoming, position: i64, version: i64, recorded_at: Timestamp) -> Receipt {
    Receipt {
        source: it.source.clone(),
        id: it.id.clone(),
        position,
        stream: Stream::clone(&it.stream),
        version,
        recorded_at,
    }
}

/// A stored text back in the vocabulary.
pub(crate) fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, sqlx::Error>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error: T::Err| sqlx::Error::Decode(Box::new(error)))
}
