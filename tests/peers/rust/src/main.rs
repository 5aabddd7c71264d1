//! mire under the load and the torture that Sapa gets: `sapa-peers MEASURE POSTGRES_URL [AMOUNT]`.
//!
//! MEASURE is p1, t1 or t2; one line of JSON comes out. The database must be empty: mire makes its
//! own tables. What is done and counted is the same as in tests/peers/torture.mjs.

mod mire_peer;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use mire_peer::{Delivered, Store};

/// Callers of P1, each with one append under way.
const CALLERS: u64 = 64;
/// Writers of T1.
const WRITERS: u64 = 16;
/// How long a delayed or torn transaction of T1 stays open.
const HOLD: Duration = Duration::from_millis(20);
/// Of so many appends of T1 one is delayed and one rolled back.
const HELD_EVERY: u64 = 10;
/// How long the idle writing transaction stays open after the last append.
const IDLE: Duration = Duration::from_secs(1);
/// How long a reader that is delivered nothing is waited for.
const SILENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [measure, url, rest @ ..] = words.as_slice() else {
        bail!("sapa-peers p1|t1|t2 POSTGRES_URL [AMOUNT]");
    };
    let amount: u64 = rest.first().map_or(Ok(1_000), |it| it.parse())?;
    let pool = PgPoolOptions::new().max_connections(64).connect(url).await?;
    let store = Store::open(pool.clone()).await?;
    let (figures, note) = match measure.as_str() {
        "p1" => (rate(&store, amount).await?, mire_peer::APPEND_NOTE),
        "t1" => (visibility(&store, &pool, amount).await?, mire_peer::READ_NOTE),
        "t2" => (idempotency(&store, &pool, amount).await?, mire_peer::ONCE_NOTE),
        other => bail!("there is no measure {other}"),
    };
    let mut line = json!({ "peer": "mire", "version": "0.4.0", "measure": measure, "note": note });
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

/// T1: a reader follows writers some of whose transactions are delayed or rolled back, while one that
/// has written idles.
async fn visibility(store: &Store, pool: &PgPool, count: u64) -> anyhow::Result<Value> {
    sqlx::raw_sql("CREATE TABLE idle_writer (n INT)").execute(pool).await?;
    let mut idle = pool.begin().await?;
    sqlx::raw_sql("INSERT INTO idle_writer VALUES (1)").execute(&mut *idle).await?;
    let delivered: Delivered = Arc::default();
    let stop = store.follow(delivered.clone());
    let acknowledged: Arc<Mutex<HashMap<u64, Times>>> = Arc::default();
    let (own, noting) = (store.clone(), acknowledged.clone());
    callers(WRITERS, count, move |n| {
        let (store, noting) = (own.clone(), noting.clone());
        async move {
            let began = Instant::now();
            match n % HELD_EVERY {
                0 => store.append_held(n, HOLD, true).await?,
                5 => return store.append_held(n, HOLD, false).await,
                _ => store.append(n).await?,
            }
            noting.lock().expect("nobody panics").insert(n, (began, Instant::now()));
            Ok(())
        }
    })
    .await?;
    tokio::time::sleep(IDLE).await;
    idle.commit().await?;
    let acknowledged = acknowledged.lock().expect("nobody panics").clone();
    let (mut last, mut before) = (Instant::now(), usize::MAX);
    loop {
        let seen: HashSet<u64> =
            delivered.lock().expect("nobody panics").iter().map(|it| it.0).collect();
        if seen.len() != before {
            (last, before) = (Instant::now(), seen.len());
        }
        if acknowledged.keys().all(|it| seen.contains(it)) || SILENCE < last.elapsed() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    let delivered = delivered.lock().expect("nobody panics").clone();
    Ok(seen(&acknowledged, &delivered))
}

/// When an append was begun, and when it was acknowledged.
type Times = (Instant, Instant);

fn seen(acknowledged: &HashMap<u64, Times>, delivered: &[(u64, i64, Instant)]) -> Value {
    let mut times: HashMap<u64, u64> = HashMap::new();
    let (mut inversions, mut highest, mut stall) = (0, 0, Duration::ZERO);
    for (n, position, at) in delivered {
        let own = times.entry(*n).or_default();
        *own += 1;
        inversions += u64::from(*position < highest);
        highest = highest.max(*position);
        if let Some((_, since)) = acknowledged.get(n)
            && *own == 1
        {
            stall = stall.max(at.saturating_duration_since(*since));
        }
    }
    let never = acknowledged.keys().filter(|it| !times.contains_key(it)).count();
    let slowest = acknowledged.values().map(|(began, ended)| *ended - *began).max();
    let phantoms = times.keys().filter(|it| !acknowledged.contains_key(it)).count();
    json!({
        "events": acknowledged.len(),
        "never_delivered": never + phantoms,
        "delivered_twice": times.values().filter(|it| 1 < **it).count(),
        "inversions": inversions,
        "stall_ms": stall.as_secs_f64() * 1e3,
        "append_ms": slowest.unwrap_or_default().as_secs_f64() * 1e3,
    })
}

/// T2: every event three times: by one caller at once, by three at the same time, and twice again
/// after everything else.
async fn idempotency(store: &Store, pool: &PgPool, count: u64) -> anyhow::Result<Value> {
    type Answers = Arc<Mutex<HashMap<u64, Vec<Option<i64>>>>>;
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
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM es_events").fetch_one(pool).await?;
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
