//! cqrs-es under the load and the torture that Sapa gets: `sapa-peer-cqrs-es MEASURE POSTGRES_URL
//! [AMOUNT]`.
//!
//! MEASURE is p1 or t2; one line of JSON comes out. The database must be empty: the tables of its
//! documentation are made in it. There is no t1, because it has no reader that follows the log: it
//! hands events to its queries inside the call that appended them. What is done and counted is the
//! same as in tests/peers/torture.mjs.

mod note;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use note::Store;

/// Callers of P1, each with one append under way.
const CALLERS: u64 = 64;
/// Callers of T2.
const WRITERS: u64 = 16;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [measure, url, rest @ ..] = words.as_slice() else {
        bail!("sapa-peer-cqrs-es p1|t2 POSTGRES_URL [AMOUNT]");
    };
    let amount: u64 = rest.first().map_or(Ok(1_000), |it| it.parse())?;
    let pool = PgPoolOptions::new().max_connections(64).connect(url).await?;
    let store = Store::open(pool.clone()).await?;
    let (figures, note) = match measure.as_str() {
        "p1" => (rate(&store, amount).await?, note::APPEND_NOTE),
        "t2" => (idempotency(&store, &pool, amount).await?, note::ONCE_NOTE),
        other => bail!("there is no measure {other}"),
    };
    let mut line =
        json!({ "peer": "cqrs-es", "version": "0.5.0", "measure": measure, "note": note });
    let line_fields = line.as_object_mut().context("a line is an object")?;
    line_fields.extend(figures.as_object().context("figures are an object")?.clone());
    println!("{line}");
    Ok(())
}

/// Runs `work` from so many callers at once; each takes the next number when it is free.
async fn callers<F>(
    many: u64,
    count: u64,
    work: impl Fn(u64) -> F + Send + Sync + 'static,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (next, work) = (Arc::new(AtomicU64::new(0)), Arc::new(work));
    let mut running = Vec::new();
    for _ in 0..many {
        let (next, work) = (next.clone(), work.clone());
        running.push(tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if count <= n {
                    return anyhow::Ok(());
                }
                work(n).await?;
            }
        }));
    }
    for it in running {
        it.await??;
    }
    Ok(())
}

/// P1: single events from 64 callers. Every caller appends once beforehand, which is not counted.
async fn rate(store: &Store, count: u64) -> anyhow::Result<Value> {
    let own = store.clone();
    callers(CALLERS, CALLERS, move |n| {
        let store = own.clone();
        async move { store.append(count + n).await }
    })
    .await?;
    let own = store.clone();
    let began = Instant::now();
    callers(CALLERS, count, move |n| {
        let store = own.clone();
        async move { store.append(n).await }
    })
    .await?;
    Ok(json!({ "events": count, "per_second": count as f64 / began.elapsed().as_secs_f64() }))
}

/// T2: every event three times: by one caller at once, by three at the same time, and twice again
/// after everything else.
async fn idempotency(store: &Store, pool: &PgPool, count: u64) -> anyhow::Result<Value> {
    type Answers = Arc<Mutex<HashMap<u64, Vec<Option<u64>>>>>;
    let answers: Answers = Arc::default();
    async fn again(store: &Store, answers: &Answers, n: u64) {
        let answer = store.append_once(n).await.ok();
        answers.lock().expect("nobody panics").entry(n).or_default().push(answer);
    }
    let ways: [(u64, u64, bool); 5] = [
        (2 * count, 1, false),
        (0, 3, false),
        (count, 3, true),
        (2 * count, 1, false),
        (2 * count, 1, false),
    ];
    for (from, times, together) in ways {
        let (store, answers) = (store.clone(), answers.clone());
        callers(WRITERS, count, move |n| {
            let (store, answers) = (store.clone(), answers.clone());
            async move {
                if together {
                    let one = || again(&store, &answers, from + n);
                    tokio::join!(one(), one(), one());
                } else {
                    for _ in 0..times {
                        again(&store, &answers, from + n).await;
                    }
                }
                Ok(())
            }
        })
        .await?;
    }
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(pool).await?;
    let answers = answers.lock().expect("nobody panics");
    let other: usize = answers
        .values()
        .map(|own| {
            let first = own.iter().flatten().next();
            own.iter().filter(|it| it.is_none() || it.as_ref() != first).count()
        })
        .sum();
    let events = 3 * count;
    Ok(json!({
        "events": events,
        "stored_twice": u64::try_from(stored)?.saturating_sub(events),
        "other_receipt": other,
    }))
}
