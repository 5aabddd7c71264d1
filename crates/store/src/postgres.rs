//! What only PostgreSQL needs. Same functions, same order as `sqlite.rs`.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use events::envelope::{Incoming, Receipt};
use jiff::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::db::{Db, Durability};
use crate::error::OpenError;
use crate::sql::SqlTime;
use crate::sqlite::{attributes, parsed};
use crate::writer::{Judged, Outcome, Request};

/// Oldest PostgreSQL that the tests run on.
const VERSION_MIN: i64 = 150_000;
/// How long a connection may be waited for.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that was idle for longer is asked whether it still lives before it is used; to ask each
/// time would be a second round trip for every question.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Opens one schema: connections that write, and several that cannot.
pub(crate) async fn open(
    url: &str,
    schema: &str,
    durability: Durability,
    reads_max: u32,
) -> Result<Db, sqlx::Error> {
    let synchronous_commit = match durability {
        Durability::Full => "on",
        Durability::Rebuildable | Durability::Unsafe => "off",
    };
    let base = PgConnectOptions::from_str(url)?.application_name("sapa").options([
        ("search_path", schema),
        ("synchronous_commit", synchronous_commit),
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "30s"),
    ]);
    // What is written is found by its key. A plan is made once and kept, so it must not be the one
    // that suits the empty table it was made on.
    let write = base.clone().options([
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    ]);
    let read = base.options([("default_transaction_read_only", "on")]);
    let pool = |max| {
        PgPoolOptions::new()
            .max_connections(max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
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

    Ok(Db::Postgres {
        writes: pool(writers).connect_with(write).await?,
        reads: pool(reads_max).connect_with(read).await?,
    })
}

/// Refuses a server or a setting under which a recorded event could be lost.
pub(crate) async fn check(writes: &PgPool, durability: Durability) -> Result<(), OpenError> {
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
