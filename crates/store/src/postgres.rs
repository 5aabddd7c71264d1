//! What only PostgreSQL needs. Same functions, same order as `sqlite.rs`.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use events::envelope::{Incoming, Receipt};
use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, QueryBuilder, Row as _};

use crate::db::{Connections, Db, Durability};
use crate::error::OpenError;
use crate::sql::SqlTime;
use crate::sqlite::{attributes, parsed};
use crate::writer::{Judged, Outcome, Request};

/// Oldest PostgreSQL that the tests run on.
const VERSION_MIN: i64 = 150_000;
/// How long a statement that folds may run, and how long a transaction may be idle: nobody waits for it.
const FOLDING_MAX: Duration = Duration::from_secs(30);
/// How often two connections are compared to find out whether each has a session of its own.
const SESSION_ROUNDS: usize = 3;
/// A connection that was idle for longer is asked whether it still lives before it is used; to ask each
/// time would be a second round trip for every question.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Opens one schema: connections that write, and several that cannot.
pub(crate) async fn open(
    url: &str,
    schema: &str,
    durability: Durability,
    connections: Connections,
) -> Result<Db, sqlx::Error> {
    // Settings are made by statements: a connection pooler in front refuses or forgets those of the start.
    let server = PgConnectOptions::from_str(url)?.application_name("sapa").extra_float_digits(None);
    let of_statement = connections.statement_timeout;
    let writing = match durability {
        Durability::Rebuildable => of_statement.max(FOLDING_MAX),
        Durability::Full | Durability::Unsafe => of_statement,
    };
    let session = |statement_timeout: Duration, more: &str| {
        format!(
            "SET search_path = {schema}; SET synchronous_commit = {}; \
             SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; {more}",
            synchronous_commit(durability),
            statement_timeout.as_millis(),
            FOLDING_MAX.as_millis(),
        )
    };
    // What is written is found by its key. A plan is made once and kept, so it must not be the one
    // that suits the empty table it was made on.
    let write = session(
        writing,
        "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
         SET jit = off; SET plan_cache_mode = force_generic_plan",
    );
    let read = session(of_statement, "SET default_transaction_read_only = on");
    let pool = |max, settings: String| {
        PgPoolOptions::new()
            .max_connections(max)
            .acquire_timeout(connections.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                // Nothing in it is bound: the values are ours, and a name of a schema ends in a number.
                let settings = QueryBuilder::<Postgres>::new(settings.clone()).into_sql();
                Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(drop) })
            })
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if TRUSTED_IDLE < meta.idle_for {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
    };
    // The appender keeps one for itself; what is written around the log needs another.
    let writers = match durability {
        Durability::Full | Durability::Unsafe => 2,
        Durability::Rebuildable => 1,
    };

    let written = match pool(writers, write).connect_with(server.clone()).await {
        Err(sqlx::Error::PoolTimedOut) => {
            return Err(why_not(&server, connections.acquire_timeout).await);
        }
        connected => connected?,
    };
    Ok(Db::Postgres {
        writes: written,
        reads: pool(connections.reads_max, read).connect_with(server).await?,
    })
}

/// Why no connection is made: a pool tries again until its time is over and says no more than that.
async fn why_not(options: &PgConnectOptions, wait: Duration) -> sqlx::Error {
    let asked = PgConnection::connect_with(options);
    match tokio::time::timeout(wait, asked).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

/// What a commit of these tables waits for.
const fn synchronous_commit(durability: Durability) -> &'static str {
    match durability {
        Durability::Full => "on",
        Durability::Rebuildable | Durability::Unsafe => "off",
    }
}

/// A connection on which statements may take as long as they take. Close it after use.
pub(crate) async fn unhurried(writes: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    let mut connection = writes.acquire().await?;
    sqlx::raw_sql("SET statement_timeout = 0").execute(&mut *connection).await?;
    Ok(connection)
}

/// Refuses a server or a setting under which a recorded event could be lost. Nothing is written before.
pub(crate) async fn check(
    reads: &PgPool,
    writes: &PgPool,
    schema: &str,
    durability: Durability,
) -> Result<(), OpenError> {
    check_session(reads, writes, schema, durability).await?;
    let setting = async |name: &'static str| -> Result<String, sqlx::Error> {
        sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(writes).await
    };
    let version = setting("server_version_num").await?;
    if version.parse().unwrap_or(0) < VERSION_MIN {
        return Err(OpenError::Unsafe {
            found: format!("PostgreSQL {version} is older than 15"),
            remedy: "Install PostgreSQL 15 or later.".to_owned(),
        });
    }
    if durability != Durability::Full {
        return Ok(());
    }
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value = setting(name).await?;
        if value == "off" {
            return Err(OpenError::Unsafe {
                found: format!(
                    "PostgreSQL runs with {name} = off, so a recorded event can be lost"
                ),
                remedy: format!("ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"),
            });
        }
    }
    Ok(())
}

/// Refuses a connection that shares its session with others, as behind a pooler that lends it for one
/// transaction: settings such as `search_path` would reach other connections, and tables be made in
/// another schema. Asked without prepared statements, which such a pooler mixes up too.
async fn check_session(
    reads: &PgPool,
    writes: &PgPool,
    schema: &str,
    durability: Durability,
) -> Result<(), OpenError> {
    const ASK: &str = "
        SELECT pg_backend_pid(), current_setting('search_path'), current_setting('synchronous_commit')";
    let mut both = [writes.acquire().await?, reads.acquire().await?];
    let mut processes: [Option<i32>; 2] = [None; 2];
    for _ in 0..SESSION_ROUNDS {
        for (connection, known) in both.iter_mut().zip(&mut processes) {
            let row = sqlx::raw_sql(ASK).fetch_one(&mut **connection).await?;
            let process: i32 = row.try_get(0)?;
            if known.is_some_and(|it| it != process) {
                return Err(shared_session(
                    "one connection is answered by several server processes",
                ));
            }
            *known = Some(process);
            let wanted =
                [("search_path", schema), ("synchronous_commit", synchronous_commit(durability))];
            for (index, (name, wanted)) in (1..).zip(wanted) {
                let found: String = row.try_get(index)?;
                if found != wanted {
                    let found = format!("{name} was set to {wanted} and is {found}");
                    return Err(shared_session(&found));
                }
            }
        }
    }
    if processes[0] == processes[1] {
        return Err(shared_session("two connections are answered by one server process"));
    }
    Ok(())
}

fn shared_session(found: &str) -> OpenError {
    OpenError::Unsafe {
        found: format!("the connection to PostgreSQL has no session of its own: {found}"),
        remedy: "A connection pooler such as pgbouncer has to use pool_mode = session for this database; or \
                 connect to PostgreSQL itself."
            .to_owned(),
    }
}

/// One round trip: the function locks the head, judges, numbers, writes and answers in order.
const APPEND: &str = "
    SELECT outcome, position_at, stream_of, version_at, recorded
      FROM append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                         $17, $18, $19, $20, $21, $22)";

/// How the function reads that no version is expected.
const ANY_VERSION: i64 = -1;

type Row = (String, i64, Option<String>, i64, SqlTime);

/// Appends one batch in one transaction, which is one statement.
pub(crate) async fn append(
    writes: &mut PgConnection,
    batch: &[Request],
    now: Timestamp,
) -> Result<Vec<Judged>, sqlx::Error> {
    let numbers: Vec<i64> = batch
        .iter()
        .zip(1..)
        .flat_map(|(it, number)| it.events.iter().map(move |_| number))
        .collect();
    let events: Vec<&Incoming> = batch.iter().flat_map(|it| &it.events).collect();
    let Layout { streams, slots, places } = layout(&events);
    let column =
        |value: fn(&Incoming) -> &str| -> Vec<&str> { events.iter().map(|it| value(it)).collect() };
    let optional = |value: fn(&Incoming) -> Option<&str>| -> Vec<Option<&str>> {
        events.iter().map(|it| value(it)).collect()
    };
    let provenance = |it: &Incoming| it.provenance.as_ref().map(|it| SqlTime(it.incarnation));
    let rows: Vec<Row> = sqlx::query_as(APPEND)
        .bind(SqlTime(now))
        .bind(streams.iter().map(|it| it.0).collect::<Vec<_>>())
        .bind(streams.iter().map(|it| it.1).collect::<Vec<_>>())
        .bind(numbers)
        .bind(slots)
        .bind(places)
        .bind(
            events.iter().map(|it| it.expected_version.unwrap_or(ANY_VERSION)).collect::<Vec<_>>(),
        )
        .bind(column(|it| it.stream.as_str()))
        .bind(column(|it| it.tenant.as_str()))
        .bind(column(|it| it.source.as_str()))
        .bind(column(|it| it.id.as_str()))
        .bind(events.iter().map(|it| it.kind.type_name(it.schema_version)).collect::<Vec<_>>())
        .bind(optional(|it| it.customer.as_ref().map(events::id::CustomerId::as_str)))
        .bind(events.iter().map(|it| SqlTime(it.occurred_at)).collect::<Vec<_>>())
        .bind(optional(|it| it.causation_id.as_deref()))
        .bind(optional(|it| it.correlation_id.as_deref()))
        .bind(optional(|it| it.trace.as_deref()))
        .bind(events.iter().map(|it| attributes(it)).collect::<Vec<_>>())
        .bind(events.iter().map(|it| provenance(it)).collect::<Vec<_>>())
        .bind(
            events
                .iter()
                .map(|it| it.provenance.as_ref().map(|it| it.sequence))
                .collect::<Vec<_>>(),
        )
        .bind(events.iter().map(|it| &it.fingerprint[..]).collect::<Vec<_>>())
        .bind(column(|it| &it.data))
        .fetch_all(writes)
        .await?;
    events.iter().zip(rows).map(|(it, row)| judged(it, row)).collect()
}

/// Where the events of a batch stand in their streams, counted from 1.
#[derive(Default)]
struct Layout<'a> {
    /// Every stream of the batch once, with its tenant.
    streams: Vec<(&'a str, &'a str)>,
    /// For each event, which of the streams is its own.
    slots: Vec<i32>,
    /// For each event, the how manieth of its stream it is in this batch.
    places: Vec<i32>,
}

fn layout<'a>(events: &[&'a Incoming]) -> Layout<'a> {
    let mut found = Layout::default();
    let mut known: HashMap<(&str, &str), (i32, i32)> = HashMap::new();
    for it in events {
        let stream = (it.stream.as_str(), it.tenant.as_str());
        let (slot, place) = known.entry(stream).or_insert_with(|| {
            found.streams.push(stream);
            (i32::try_from(found.streams.len()).unwrap_or(i32::MAX), 0)
        });
        *place += 1;
        found.slots.push(*slot);
        found.places.push(*place);
    }
    found
}

fn judged(event: &Incoming, row: Row) -> Result<Judged, sqlx::Error> {
    let (word, position, stream, version, recorded_at) = row;
    let outcome = match word.as_str() {
        "recorded" => Outcome::Recorded,
        "duplicate" => Outcome::Duplicate,
        "event_id_conflict" => Outcome::EventIdConflict,
        "version_conflict" => Outcome::VersionConflict,
        _ => Outcome::Refused,
    };
    let receipt = Receipt {
        source: event.source.clone(),
        id: event.id.clone(),
        position: position.max(0),
        stream: stream.map_or_else(|| Ok(event.stream.clone()), |it| parsed(&it))?,
        version,
        recorded_at: recorded_at.0,
    };
    Ok(Judged { outcome, receipt })
}
