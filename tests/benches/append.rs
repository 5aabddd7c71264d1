//! P1 to P3: single events from many callers and from one, beside what the database does bare.

use std::time::Instant;

use events::envelope::Incoming;
use events::time::Clock as _;
use futures_util::future::join_all;
use sapa::clock::SystemClock;
use sqlx::{PgPool, SqlitePool};

use crate::ground::{CALLERS, Ground, OpenLog, millis, rate, raw_sqlite};
use crate::load;
use crate::report::{Goal, Line, Report, median};

/// Events of one round by 64 callers.
const MANY: u64 = 40_000;
/// Events of one round by one caller.
const FEW: u64 = 2_000;
/// Rows of one transaction where the database is told to batch.
const BATCH: usize = 512;

/// Measures all of them.
pub async fn measure(ground: &Ground, report: &mut Report) {
    many_on_postgres(ground, report).await;
    one_on_postgres(ground, report).await;
    many_on_sqlite(ground, report).await;
}

async fn many_on_postgres(ground: &Ground, report: &mut Report) {
    let count = ground.amount(MANY);
    let (mut ours, mut bare, mut batched, mut each) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ground.rounds {
        let raw = ground.raw_postgres(CALLERS).await;
        bare.push(bare_inserts(&raw, count).await);
        batched.push(unnested(&raw, count).await);
        raw.close().await;
        let log = OpenLog::postgres(ground).await;
        ours.push(many_callers(&log, count).await);
        each.push(one_batching_caller(&log, count).await);
    }
    let what = "single events, 64 callers, PostgreSQL";
    report.add(
        Line::plain("P1", what, &ours, "events/s")
            .beside("autocommit inserts on 64 connections", &bare)
            .goal(Goal::AtLeast(3.0)),
    );
    report.add(
        Line::plain("P1", "batches of 512, one caller, PostgreSQL", &each, "events/s")
            .beside("unnest of 512 rows", &batched),
    );
}

async fn one_on_postgres(ground: &Ground, report: &mut Report) {
    let count = ground.amount(FEW);
    let (mut ours, mut bare) = (vec![], vec![]);
    for _ in 0..ground.rounds {
        let raw = ground.raw_postgres(1).await;
        bare.push(sequential_inserts(&raw, count).await);
        raw.close().await;
        ours.push(sequential_appends(&OpenLog::postgres(ground).await, count).await);
    }
    report.add(
        Line::plain("P2", "one caller in sequence, PostgreSQL, p50", &ours, "ms")
            .beside("autocommit insert, p50", &bare)
            .goal(Goal::AtMost(1.3)),
    );
}

async fn many_on_sqlite(ground: &Ground, report: &mut Report) {
    let count = ground.amount(MANY);
    let (mut ours, mut batched) = (vec![], vec![]);
    for _ in 0..ground.rounds {
        let folder = tempfile::tempdir().unwrap();
        let raw = raw_sqlite(folder.path()).await;
        batched.push(sqlite_batches(&raw, count, CALLERS as usize).await);
        raw.close().await;
        ours.push(many_callers(&OpenLog::sqlite().await, count).await);
    }
    report.add(
        Line::plain("P3", "single events, 64 callers, SQLite", &ours, "events/s")
            .beside("64 rows a transaction", &batched)
            .goal(Goal::AtLeast(0.8)),
    );
}

fn notes(count: u64) -> Vec<Incoming> {
    let now = SystemClock.now();
    (0..count).map(|n| load::incoming(&load::note(n, 10_000, now), now)).collect()
}

/// Every caller hands one event in and waits for its receipt.
pub async fn many_callers(log: &OpenLog, count: u64) -> f64 {
    let mut shares: Vec<Vec<Incoming>> = (0..CALLERS).map(|_| Vec::new()).collect();
    for (n, event) in notes(count).into_iter().enumerate() {
        shares[n % CALLERS as usize].push(event);
    }
    let began = Instant::now();
    let callers = shares.into_iter().map(|share| {
        let appender = log.appender.clone();
        tokio::spawn(async move {
            for event in share {
                appender.append(vec![event]).await.unwrap();
            }
        })
    });
    join_all(callers.collect::<Vec<_>>()).await;
    rate(count, began.elapsed())
}

async fn one_batching_caller(log: &OpenLog, count: u64) -> f64 {
    let now = SystemClock.now();
    let events: Vec<Incoming> =
        (count..2 * count).map(|n| load::incoming(&load::note(n, 10_000, now), now)).collect();
    let began = Instant::now();
    for batch in events.chunks(BATCH) {
        log.appender.append(batch.to_vec()).await.unwrap();
    }
    rate(count, began.elapsed())
}

async fn sequential_appends(log: &OpenLog, count: u64) -> f64 {
    let mut took = Vec::new();
    for event in notes(count) {
        let began = Instant::now();
        log.appender.append(vec![event]).await.unwrap();
        took.push(millis(began));
    }
    median(&took)
}

const RAW_TABLE: &str = "CREATE TABLE IF NOT EXISTS bare (id TEXT PRIMARY KEY, data TEXT NOT NULL)";
const RAW_INSERT: &str = "INSERT INTO bare (id, data) VALUES ($1, $2)";
const RAW_BATCH: &str = "
    INSERT INTO bare (id, data)
    SELECT row.id, row.data FROM unnest($1::text[], $2::text[]) AS row (id, data)";

fn payload() -> String {
    load::note(0, 1, load::seconds_on(0))["data"].to_string()
}

async fn bare_inserts(pool: &PgPool, count: u64) -> f64 {
    sqlx::query(RAW_TABLE).execute(pool).await.unwrap();
    let data = payload();
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let mut connection = pool.acquire().await.unwrap();
        // Prepared beforehand, as ours are.
        insert(&mut connection, &format!("warm-{caller}"), &data).await;
        callers.push((caller, connection, data.clone()));
    }
    let began = Instant::now();
    let callers = callers.into_iter().map(|(caller, mut connection, data)| {
        tokio::spawn(async move {
            for n in 0..count / u64::from(CALLERS) {
                insert(&mut connection, &format!("{caller}-{n}"), &data).await;
            }
        })
    });
    join_all(callers.collect::<Vec<_>>()).await;
    rate(count, began.elapsed())
}

async fn insert(connection: &mut sqlx::PgConnection, id: &str, data: &str) {
    sqlx::query(RAW_INSERT).bind(id).bind(data).execute(connection).await.unwrap();
}

async fn sequential_inserts(pool: &PgPool, count: u64) -> f64 {
    sqlx::query(RAW_TABLE).execute(pool).await.unwrap();
    let (data, mut took) = (payload(), Vec::new());
    let mut connection = pool.acquire().await.unwrap();
    for n in 0..count {
        let began = Instant::now();
        insert(&mut connection, &format!("s-{n}"), &data).await;
        took.push(millis(began));
    }
    median(&took)
}

/// The raw rate of batches, 512 rows a statement.
pub async fn unnested(pool: &PgPool, count: u64) -> f64 {
    sqlx::query(RAW_TABLE).execute(pool).await.unwrap();
    let data = payload();
    let ids: Vec<String> = (0..count).map(|n| format!("u-{n}")).collect();
    let rows: Vec<String> = vec![data; BATCH];
    let began = Instant::now();
    for chunk in ids.chunks(BATCH) {
        sqlx::query(RAW_BATCH).bind(chunk).bind(&rows[..chunk.len()]).execute(pool).await.unwrap();
    }
    rate(count, began.elapsed())
}

/// The raw rate of transactions of so many rows.
pub async fn sqlite_batches(pool: &SqlitePool, count: u64, rows: usize) -> f64 {
    sqlx::query(RAW_TABLE).execute(pool).await.unwrap();
    let data = payload();
    let ids: Vec<String> = (0..count).map(|n| format!("b-{n}")).collect();
    let began = Instant::now();
    for chunk in ids.chunks(rows) {
        let mut tx = pool.begin().await.unwrap();
        for id in chunk {
            sqlx::query(RAW_INSERT).bind(id).bind(&data).execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    rate(count, began.elapsed())
}
