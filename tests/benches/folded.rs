//! P7, P9 and P11: how fast the log is folded, what a tick costs, and whether either grows with the
//! log. In this process, because the program gives no clock to turn.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::envelope::Incoming;
use events::id::Tenant;
use events::time::Clock;
use jiff::Timestamp;
use projections::rebuild::Build;
use projections::{Runner, Views};
use reactions::Reactor;
use sapa::clock::SystemClock;
use store::on_tx;
use store::sql::SqlTime;
use tests::event::{self, anybody};
use tokio_util::sync::CancellationToken;

use crate::append::{sqlite_batches, unnested};
use crate::drain::hotel;
use crate::ground::{Ground, OpenLog, cpu_seconds, memory_mb, millis, rate, raw_sqlite};
use crate::load;
use crate::report::{Goal, Line, Report, median};

/// Events of the history that is folded.
const EVENTS: u64 = 1_000_000;
/// Customers they are about.
const CUSTOMERS: u64 = 100_000;
/// Seconds between two events of the history.
pub const STEP_SECONDS: u64 = 30;
/// Events handed in at once.
pub const BATCH: u64 = 512;

/// Where a history lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl On {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// A fresh log on it.
    pub async fn open(self, ground: &Ground) -> OpenLog {
        match self {
            Self::Sqlite => OpenLog::sqlite().await,
            Self::Postgres => OpenLog::postgres(ground).await,
        }
    }
}

/// P7 and P9.
pub async fn measure(ground: &Ground, report: &mut Report) {
    for on in On::ALL {
        let (events, customers) = (ground.amount(EVENTS), ground.amount(CUSTOMERS));
        let log = on.open(ground).await;
        fill(&log, 0, events, customers).await;
        let (folded, mut runner) = fold(&log).await;
        let (rebuilt, peak) = rebuild(&log).await;
        let raw = match on {
            On::Sqlite => {
                let place = tempfile::tempdir().unwrap();
                sqlite_batches(&raw_sqlite(place.path()).await, events.min(200_000), 2_000).await
            }
            On::Postgres => unnested(&ground.raw_postgres(1).await, events.min(200_000)).await,
        };
        let what = format!(
            "read models rebuilt from {events} events, {customers} customers, {}",
            on.name()
        );
        report.add(
            Line::plain("P7", what, &[rebuilt], "events/s")
                .beside("batched inserts, one row an event", &[raw])
                .goal(Goal::AtLeast(0.8)),
        );
        let what = format!("the same followed page by page, {}", on.name());
        report.add(
            Line::plain("P7", what, &[folded], "events/s")
                .beside("batched inserts, one row an event", &[raw]),
        );
        let what = format!("memory at most meanwhile, {}", on.name());
        report.add(Line::plain("P7", what, &[peak], "MB").goal(Goal::AtMost(512.0)));
        tick(&log, &mut runner, on, customers, report).await;
    }
    orders(ground, report).await;
}

/// The hotel's history followed in the order of its file, and with its lines shuffled: then nearly
/// every fact is late, and each customer is in nearly every page.
async fn orders(ground: &Ground, report: &mut Report) {
    let wanted = usize::try_from(ground.amount(243_995)).unwrap();
    let now = SystemClock.now();
    for on in On::ALL {
        let mut rates = Vec::new();
        for shuffled in [false, true] {
            let mut lines: Vec<Vec<u8>> = hotel().take(wanted).collect();
            if shuffled {
                lines.sort_by_cached_key(|it| shuffling(it));
            }
            let log = on.open(ground).await;
            for batch in lines.chunks(usize::try_from(BATCH).unwrap()) {
                let tenant = load::tenant();
                let sender = anybody(&tenant, now);
                let events = batch.iter().map(|it| event::incoming(it, &sender)).collect();
                log.appender.append(events).await.unwrap();
            }
            drop(lines);
            rates.push(fold(&log).await.0);
        }
        let what = format!("{wanted} events of the hotel followed, lines shuffled, {}", on.name());
        report.add(
            Line::plain("P7", what, &rates[1..], "events/s")
                .beside("in the order of the file", &rates[..1])
                .goal(Goal::AtLeast(0.5)),
        );
    }
}

/// A place that has nothing to do with the line, and is the same in every run.
fn shuffling(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

/// Appends so many events of the mixed history, from event `from` on.
pub async fn fill(log: &OpenLog, from: u64, count: u64, customers: u64) -> f64 {
    fill_every(log, from, count, customers, STEP_SECONDS).await
}

/// The same with so many seconds between two events; events a second.
pub async fn fill_every(log: &OpenLog, from: u64, count: u64, customers: u64, seconds: u64) -> f64 {
    let now = SystemClock.now();
    let began = Instant::now();
    let make = move |n, left| move || batch(n, customers, seconds, now, left);
    let mut waiting = tokio::task::spawn_blocking(make(from, count));
    let mut n = from;
    while n < from + count {
        let events = waiting.await.unwrap();
        n += BATCH;
        let left = (from + count).saturating_sub(n);
        // The next batch is made while this one is committed.
        waiting = tokio::task::spawn_blocking(make(n, left));
        log.appender.append(events).await.unwrap();
    }
    rate(count, began.elapsed())
}

fn batch(from: u64, customers: u64, seconds: u64, now: Timestamp, left: u64) -> Vec<Incoming> {
    let at = |n: u64| load::seconds_on(n * seconds);
    (from..from + BATCH.min(left))
        .map(|n| load::incoming(&load::mixed(n, customers, at(n).min(now)), now))
        .collect()
}

/// Folds a log from its beginning, page by page as it is followed; events a second.
async fn fold(log: &OpenLog) -> (f64, Runner) {
    let views = views(log).await;
    let live = views.live();
    let mut runner = Runner::open(log.log.clone(), live.db, live.generation, 1).await.unwrap();
    // The peak of this process begins anew.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (began, cpu) = (Instant::now(), cpu_seconds());
    while runner.step().await.unwrap().events != 0 {}
    let took = began.elapsed();
    eprintln!(
        "     followed to {} in {took:.1?}, {:.1} s of processor time here, {:.0} MB at most",
        runner.position(),
        cpu_seconds() - cpu,
        memory_mb(std::process::id(), "VmHWM"),
    );
    (rate(u64::try_from(runner.position()).unwrap(), took), runner)
}

/// Makes all read models anew beside those that were followed, and compares them; events a second
/// without the comparison, and the memory of this process at most.
async fn rebuild(log: &OpenLog) -> (f64, f64) {
    let views = views(log).await;
    // The peak of this process begins anew.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let began = Instant::now();
    let mut build = Build::begin(&views, 1, SystemClock.now()).await.unwrap();
    build.follow(&views, &CancellationToken::new(), |_| {}).await.unwrap();
    let took = began.elapsed();
    let peak = memory_mb(std::process::id(), "VmHWM");
    let compared = build.compare(&views).await.unwrap();
    assert_eq!(compared.differs_in, None, "a rebuild gives other rows");
    (rate(u64::try_from(compared.position).unwrap(), took), peak)
}

/// The read models beside a log.
pub async fn views(log: &OpenLog) -> Views {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Views::open(log.place.clone(), log.log.clone(), clock, 8).await.unwrap()
}

/// A tick on these read models: with nothing due, and with a thousand things due, until the read
/// models show what it decided.
async fn tick(log: &OpenLog, runner: &mut Runner, on: On, customers: u64, report: &mut Report) {
    let views = views(log).await;
    let reactor = reactor(log, &views);
    let due = soonest(&views, 1_000).await;
    let (Some(first), Some(last)) = (due.first(), due.last()) else {
        panic!("nothing is ever due")
    };
    let before = first.0 - jiff::SignedDuration::from_secs(1);
    let none = nothing_due(&reactor, before).await;
    let what = format!("tick, nothing due, {customers} customers, {}", on.name());
    report.add(Line::plain("P9", what, &[median(&none)], "ms").goal(Goal::AtMost(5.0)));
    let began = Instant::now();
    let ticked = tokio::select! {
        ticked = reactor.tick(last.0) => ticked.unwrap(),
        () = keep_folding(runner) => unreachable!("it folds for ever"),
    };
    let what = format!("tick, {} due, {customers} customers, {}", ticked.appended, on.name());
    report.add(Line::plain("P9", what, &[millis(began)], "ms").goal(Goal::AtMost(1_000.0)));
}

/// A reactor over these read models.
pub fn reactor(log: &OpenLog, views: &Views) -> Reactor {
    let keys: reactions::Keys = Arc::new(|_: &Tenant| Some(b"key".to_vec()));
    Reactor::new(views.clone(), log.appender.clone(), keys)
}

/// When so many customers are due, the soonest first.
pub async fn soonest(views: &Views, many: i64) -> Vec<SqlTime> {
    let mut snapshot = views.snapshot().await.unwrap();
    on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_scalar("SELECT act_at FROM agenda ORDER BY act_at LIMIT $1")
            .bind(many)
            .fetch_all(conn)
            .await
            .unwrap()
    })
}

/// Milliseconds of fifty ticks before anything is due.
pub async fn nothing_due(reactor: &Reactor, before: Timestamp) -> Vec<f64> {
    let mut took = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        let ticked = reactor.tick(before).await.unwrap();
        took.push(millis(began));
        assert!(ticked.appended == 0 && !ticked.behind, "something was due: {ticked:?}");
    }
    took
}

/// Folds what is appended, as the program does meanwhile.
async fn keep_folding(runner: &mut Runner) {
    loop {
        if runner.step().await.unwrap().events == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
