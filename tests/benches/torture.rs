//! T1 to T3: what Sapa does wrong under torture, counted. Every count must be zero.
//!
//! T1: 16 writers on several connections of their own, transactions that are held open and rolled
//! back, one that has written and idles; a reader follows. T2: every event three times. T3:
//! what folds the log is ended, connection and all, between its work and its checkpoint or at any
//! moment; whole processes are killed in the tests. The peers (tests/peers) get the same in their
//! own ways.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::envelope::Incoming;
use events::time::Clock;
use futures_util::future::join_all;
use jiff::Timestamp;
use projections::views::POLL_EVERY;
use projections::{Runner, Views, rebuild};
use sapa::clock::SystemClock;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use store::db::Place;
use store::sql::SqlTime;
use store::{Appended, Appender, Bell, Log, Writer};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::folded::{On, fill};
use crate::ground::{Ground, millis};
use crate::load;
use crate::report::{Goal, Line, Report};

/// Writers of T1.
const WRITERS: usize = 16;
/// Processes they would be: each has a writer and connections of its own.
const PROCESSES: usize = 4;
/// Appends of T1, by all writers.
pub const EVENTS: u64 = 4_000;
/// Events of each of the three ways of T2.
pub const REPEATED: u64 = 1_000;
/// Times that a process is killed in T3.
pub const CRASHES: u64 = 200;
/// Events that are folded at once in T3.
const PAGE: usize = 20;
/// How long a delayed or torn transaction of T1 stays open.
const HOLD: Duration = Duration::from_millis(20);
/// Of so many appends of T1 one is delayed, one rolled back and one refused.
const HELD_EVERY: u64 = 10;
/// How long the idle transaction stays open after the last append.
const IDLE: Duration = Duration::from_secs(1);
/// Pages that are appended when the fold has come near the head.
const PAGES_MORE: u64 = 50;
/// How long folding a page is believed to take before one was.
const STEP_AT_FIRST: Duration = Duration::from_millis(10);

/// One count of a torture: its name in what a peer prints, and in words.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub key: &'static str,
    pub words: &'static str,
    pub unit: &'static str,
    pub goal: Goal,
}

const fn count(key: &'static str, words: &'static str) -> Column {
    Column { key, words, unit: "", goal: Goal::AtMost(0.0) }
}

/// Who reads while others write. A stall is how long after its acknowledgement an event is
/// delivered; it must be shorter than the transaction that idles meanwhile.
pub const VISIBILITY: [Column; 5] = [
    count("never_delivered", "events never delivered, or delivered though rolled back"),
    count("delivered_twice", "events delivered twice"),
    count("inversions", "inversions: delivered after a later position"),
    Column {
        key: "stall_ms",
        words: "longest stall between acknowledged and delivered",
        unit: "ms",
        goal: Goal::AtMost(1_000.0),
    },
    // Who numbers in the order of commits waits for a transaction that is held; who does not, makes
    // its readers wait.
    Column { key: "append_ms", words: "slowest append", unit: "ms", goal: Goal::None },
];

/// Who sends everything three times.
pub const IDEMPOTENCY: [Column; 2] = [
    count("stored_twice", "copies stored too many"),
    count("other_receipt", "repeats not answered with the first receipt"),
];

/// Who is killed between handler and checkpoint.
pub const CRASHED: [Column; 2] = [
    count("applied_twice", "events applied twice"),
    count("never_applied", "events never applied"),
];

/// Measures all of them.
pub async fn measure(ground: &Ground, report: &mut Report) {
    visibility(ground, report).await;
    for on in [On::Postgres, On::Sqlite] {
        idempotency(ground, on, report).await;
    }
    for on in [On::Postgres, On::Sqlite] {
        crashes(ground, on, report).await;
    }
}

/// A process's way into the log.
struct Process {
    appender: Appender,
    stop: CancellationToken,
}

impl Process {
    async fn start(place: &Place) -> Self {
        let log = Log::open(place, 1, Uuid::from_u128(7)).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (writer, appender) = Writer::new(log.db().clone(), clock, Bell::default(), 4_096);
        let stop = CancellationToken::new();
        tokio::spawn(writer.run(stop.clone()));
        Self { appender, stop }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn processes(place: &Place) -> Vec<Process> {
    join_all((0..PROCESSES).map(|_| Process::start(place))).await
}

fn note(n: u64, now: Timestamp) -> Incoming {
    load::incoming(&load::note(n, 10_000, now), now)
}

async fn raw(url: &str, connections: usize) -> PgPool {
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.options([("search_path", "log")]);
    let most = u32::try_from(connections).unwrap();
    PgPoolOptions::new().max_connections(most).connect_with(options).await.unwrap()
}

/// How an append of T1 is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Plain,
    Delayed,
    RolledBack,
    Refused,
}

impl Way {
    fn of(n: u64) -> Self {
        match n % HELD_EVERY {
            0 => Self::Delayed,
            5 => Self::RolledBack,
            7 => Self::Refused,
            _ => Self::Plain,
        }
    }
}

async fn visibility(ground: &Ground, report: &mut Report) {
    let url = ground.database().await;
    let place = Place::Server(url.clone());
    let processes = processes(&place).await;
    let held = raw(&url, WRITERS).await;
    let idle = raw(&url, 1).await;
    sqlx::raw_sql("CREATE TABLE public.idle_writer (n INT)").execute(&idle).await.unwrap();
    let mut idle = idle.begin().await.unwrap();
    sqlx::raw_sql("INSERT INTO public.idle_writer VALUES (1)").execute(&mut *idle).await.unwrap();

    let stop = CancellationToken::new();
    let reader = tokio::spawn(follow(place.clone(), stop.clone()));
    let (now, count) = (SystemClock.now(), ground.amount(EVENTS));
    let writers = (0..WRITERS).map(|writer| {
        let appender = processes[writer % PROCESSES].appender.clone();
        let held = held.clone();
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for n in (writer as u64..count).step_by(WRITERS) {
                let event = note(n, now);
                let began = Instant::now();
                if write(&appender, &held, event.clone(), Way::of(n)).await {
                    let times = (began, Instant::now());
                    acknowledged.push((event.id.as_str().to_owned(), times));
                }
            }
            acknowledged
        })
    });
    let acknowledged = join_all(writers.collect::<Vec<_>>()).await;
    let acknowledged: HashMap<String, Times> =
        acknowledged.into_iter().flat_map(Result::unwrap).collect();
    tokio::time::sleep(IDLE).await;
    idle.commit().await.unwrap();
    stop.cancel();
    let (delivered, holes) = reader.await.unwrap();
    let counts = seen(&acknowledged, &delivered, holes);
    let what = format!("{} events by 16 writers through 4 processes", acknowledged.len());
    add(report, "T1", &format!("{what}, PostgreSQL"), &VISIBILITY, &counts);
}

/// `true` if the event was acknowledged.
async fn write(appender: &Appender, held: &PgPool, mut event: Incoming, way: Way) -> bool {
    match way {
        Way::Plain => drop(appender.append(vec![event]).await.unwrap()),
        Way::Delayed | Way::RolledBack => {
            let mut tx = held.begin().await.unwrap();
            append_by_hand(&mut tx, &event).await;
            tokio::time::sleep(HOLD).await;
            if way == Way::RolledBack {
                tx.rollback().await.unwrap();
                return false;
            }
            tx.commit().await.unwrap();
        }
        Way::Refused => {
            event.expected_version = Some(1_000_000);
            assert!(appender.append(vec![event]).await.is_err(), "no stream has a million events");
            return false;
        }
    }
    true
}

/// The statement of an append in somebody's own transaction, as another version of us might do it.
async fn append_by_hand(tx: &mut sqlx::PgConnection, event: &Incoming) {
    let data: &str = &event.data;
    sqlx::query(
        "SELECT outcome FROM append_events(_now => $1, _streams => ARRAY[$3],
             _stream_tenants => ARRAY[$2], _requests => ARRAY[1]::bigint[], _slots => ARRAY[1],
             _places => ARRAY[1], _expected => ARRAY[-1]::bigint[], _row_streams => ARRAY[$3],
             _tenants => ARRAY[$2], _sources => ARRAY[$4], _event_ids => ARRAY[$5],
             _types => ARRAY[$6], _customers => ARRAY[$7], _occurred => ARRAY[$1],
             _causations => ARRAY[NULL]::text[], _correlations => ARRAY[NULL]::text[],
             _traces => ARRAY[NULL]::text[], _attributes => ARRAY[$8],
             _incarnations => ARRAY[NULL]::timestamptz[], _sequences => ARRAY[NULL]::bigint[],
             _fingerprints => ARRAY[$9], _data => ARRAY[$10])",
    )
    .bind(SqlTime(event.occurred_at))
    .bind(event.tenant.as_str())
    .bind(event.stream.as_str())
    .bind(event.source.as_str())
    .bind(event.id.as_str())
    .bind(event.kind.type_name(event.schema_version))
    .bind(event.customer.as_ref().map(events::id::CustomerId::as_str))
    .bind(serde_json::to_string(&event.attributes).unwrap())
    .bind(&event.fingerprint[..])
    .bind(data)
    .execute(tx)
    .await
    .unwrap();
}

/// What a reader is given, in its order, until it has reached the head after being told to stop;
/// and how often the log had a hole.
async fn follow(place: Place, stop: CancellationToken) -> (Vec<(String, i64, Instant)>, u64) {
    let log = Log::open(&place, 2, Uuid::from_u128(7)).await.unwrap();
    let (mut delivered, mut position, mut holes) = (Vec::new(), 0, 0);
    loop {
        let is_last = stop.is_cancelled();
        match log.read_after(position, 1_000).await {
            Ok(page) if page.is_empty() && is_last => return (delivered, holes),
            Ok(page) if page.is_empty() => tokio::time::sleep(POLL_EVERY).await,
            Ok(page) => {
                let at = Instant::now();
                position = page.last().map_or(position, |it| it.position);
                delivered
                    .extend(page.iter().map(|it| (it.id.as_str().to_owned(), it.position, at)));
            }
            Err(error) => {
                eprintln!("the log cannot be followed: {error}");
                holes += 1;
                if 1_000 < holes {
                    return (delivered, holes);
                }
            }
        }
    }
}

/// When an append was begun, and when it was acknowledged.
type Times = (Instant, Instant);

fn seen(
    acknowledged: &HashMap<String, Times>,
    delivered: &[(String, i64, Instant)],
    holes: u64,
) -> [f64; 5] {
    let (mut times, mut stall, mut inversions) = (HashMap::new(), Duration::ZERO, holes);
    let (mut highest, mut phantoms) = (0, 0);
    for (id, position, at) in delivered {
        *times.entry(id.as_str()).or_insert(0_u64) += 1;
        if *position <= highest {
            inversions += 1;
        }
        highest = highest.max(*position);
        match acknowledged.get(id) {
            Some((_, since)) => stall = stall.max(at.saturating_duration_since(*since)),
            None => phantoms += 1,
        }
    }
    let never = acknowledged.keys().filter(|it| !times.contains_key(it.as_str())).count();
    let twice = times.values().filter(|it| 1 < **it).count();
    let slowest = acknowledged.values().map(|(began, ended)| *ended - *began).max();
    let [stall, slowest] = [stall, slowest.unwrap_or_default()].map(|it| it.as_secs_f64() * 1e3);
    [figure(never) + figure(phantoms), figure(twice), figure(inversions), stall, slowest]
}

fn figure(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::NAN, f64::from)
}

fn add(report: &mut Report, id: &'static str, what: &str, columns: &[Column], counts: &[f64]) {
    for (column, count) in columns.iter().zip(counts) {
        let what = format!("{}; {what}", column.words);
        report.add(Line::plain(id, what, &[*count], column.unit).goal(column.goal));
    }
}

/// Every event three times, in each of three ways.
async fn idempotency(ground: &Ground, on: On, report: &mut Report) {
    let log = on.open(ground).await;
    let processes = match on {
        On::Postgres => processes(&log.place).await,
        // A file has one process.
        On::Sqlite => Vec::new(),
    };
    let own: Vec<Appender> = match processes.as_slice() {
        [] => vec![log.appender.clone(); PROCESSES],
        some => some.iter().map(|it| it.appender.clone()).collect(),
    };
    let (now, count) = (SystemClock.now(), ground.amount(REPEATED));
    let mut answers: Vec<Vec<Option<Appended>>> = Vec::new();
    let later: Vec<Incoming> = (2 * count..3 * count).map(|n| note(n, now)).collect();
    let first = log.appender.append_each(later.clone()).await;
    for n in 0..count {
        let event = note(n, now);
        let outcomes = log.appender.append_each(vec![event; 3]).await;
        answers.push(outcomes.into_iter().map(Result::ok).collect());
        let event = note(count + n, now);
        let outcomes = join_all(own.iter().take(3).map(|it| it.append(vec![event.clone()]))).await;
        answers.push(outcomes.into_iter().map(|it| it.ok()?.pop()).collect());
    }
    // After everything else, and through a writer that has not seen them.
    let last = match on {
        On::Postgres => Some(Process::start(&log.place).await),
        On::Sqlite => None,
    };
    let appender = last.as_ref().map_or(&log.appender, |it| &it.appender);
    let second = appender.append_each(later.clone()).await;
    let third = appender.append_each(later).await;
    for ((a, b), c) in first.into_iter().zip(second).zip(third) {
        answers.push([a, b, c].into_iter().map(Result::ok).collect());
    }
    let stored = u64::try_from(log.log.head().await.unwrap()).unwrap();
    let counts = [figure(stored.saturating_sub(3 * count)), figure(unlike_the_first(&answers))];
    let what = "3 times at once, by 3 callers, after everything else";
    let what = format!("{} events {what}, {}", 3 * count, on.name());
    add(report, "T2", &what, &IDEMPOTENCY, &counts);
}

/// Answers that are none, give another receipt, or call the same event new again.
fn unlike_the_first(answers: &[Vec<Option<Appended>>]) -> usize {
    let own = |answers: &Vec<Option<Appended>>| {
        let receipt = answers.iter().flatten().next().map(Appended::receipt);
        let other = answers.iter().filter(|it| it.as_ref().map(Appended::receipt) != receipt);
        let new = answers.iter().flatten().filter(|it| it.is_new()).count();
        other.count() + new.abs_diff(1)
    };
    answers.iter().map(own).sum()
}

/// A fold that is killed again and again, beside one that is not.
async fn crashes(ground: &Ground, on: On, report: &mut Report) {
    let times = (CRASHES / ground.part).max(20);
    let log = on.open(ground).await;
    let mut filled = 0;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let views = Views::open(log.place.clone(), log.log.clone(), clock, 2).await.unwrap();
    let generation = views.live().generation;
    let saboteur = match &log.place {
        Place::Server(url) => Some(raw(url, 2).await),
        Place::Folder(_) => None,
    };
    let (mut killed, mut epoch, mut typical) = (0, 0, STEP_AT_FIRST);
    while killed < times {
        epoch += 1;
        let position = u64::try_from(views.position().await.unwrap()).unwrap();
        if filled < position + 3 * PAGE as u64 {
            fill(&log, filled, PAGES_MORE * PAGE as u64, 200).await;
            filled += PAGES_MORE * PAGE as u64;
        }
        let live = views.open_generation(generation).await.unwrap();
        let opened = Runner::open(log.log.clone(), live.db.clone(), generation, epoch).await;
        let mut runner = opened.unwrap().with_page(PAGE);
        // Every third one gets a page done before it is killed.
        if epoch % 3 == 0 {
            runner.step().await.unwrap();
        }
        match &saboteur {
            Some(raw) if epoch % 2 == 0 => {
                killed += u64::from(kill_before_checkpoint(raw, &mut runner, generation).await);
            }
            _ => killed += u64::from(kill_somewhere(&mut runner, epoch, &mut typical).await),
        }
        drop(runner);
        let _ = tokio::time::timeout(Duration::from_secs(5), live.db.close()).await;
    }
    let live = views.live();
    let mut tortured = Runner::open(log.log.clone(), live.db, generation, epoch + 1).await.unwrap();
    while tortured.step().await.unwrap().events != 0 {}
    let clean = views.open_generation(generation + 1).await.unwrap();
    let mut clean = Runner::open(log.log.clone(), clean.db, generation + 1, 1).await.unwrap();
    while clean.step().await.unwrap().events != 0 {}
    let (tortured, clean) =
        (rebuild::hashes(&tortured).await.unwrap(), rebuild::hashes(&clean).await.unwrap());
    let rows = || tortured.iter().zip(&clean).map(|(a, b)| a.1 - b.1);
    let differing = tortured.iter().zip(&clean).filter(|(a, b)| a != b).count();
    let many: i64 = rows().map(|it| it.max(0)).sum();
    let few: i64 = rows().map(|it| (-it).max(0)).sum();
    let what = format!("folding killed {killed} times before its checkpoint, {}", on.name());
    let columns = [
        count("", "rows that a fold without a crash has not"),
        count("", "rows that only a fold without a crash has"),
        count("", "tables that differ from a fold without a crash"),
    ];
    add(report, "T3", &what, &columns, &[figure(many), figure(few), figure(differing)]);
}

/// Ends a step when its rows are written and its checkpoint waits; `true` if it was ended.
async fn kill_before_checkpoint(raw: &PgPool, runner: &mut Runner, generation: i64) -> bool {
    let mut held = raw.begin().await.unwrap();
    let lock = format!("SELECT 1 FROM views_{generation}.checkpoints FOR UPDATE");
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut *held).await.unwrap();
    let killed = tokio::select! {
        _ = runner.step() => false,
        () = until_blocked(raw) => true,
    };
    // The connection goes as it does when its process is killed.
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .execute(raw)
    .await
    .unwrap();
    held.rollback().await.unwrap();
    killed
}

async fn until_blocked(raw: &PgPool) {
    let began = Instant::now();
    while millis(began) < 10_000.0 {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
              WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(raw)
        .await
        .unwrap();
        if waiting != 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the checkpoint was never waited for");
}

/// Drops a step at some moment of the time that steps take; `true` if it had not ended by then.
async fn kill_somewhere(runner: &mut Runner, n: i64, typical: &mut Duration) -> bool {
    let part = n.unsigned_abs().wrapping_mul(7_919) % 1_000;
    let moment = typical.mul_f64(f64::from(u32::try_from(part).unwrap()) / 1e3);
    let began = Instant::now();
    let is_killed = tokio::time::timeout(moment, runner.step()).await.is_err();
    // One that ended before its moment says how long they take now; one that did not, that they
    // take longer than was believed.
    *typical = if is_killed { typical.mul_f64(1.05) } else { began.elapsed() };
    is_killed
}
