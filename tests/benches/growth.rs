//! P9 and P11: whether anything gets slower, or takes more memory, as the log grows.
//!
//! A history is appended, and at each mark everything is measured on what is there by then: all read
//! models are made anew from the whole log, and the last stretch of it is followed page by page.
//! There is a customer to every ten events at each mark, so a timeline is as long at the last mark as at
//! the first, and only the log differs. Afterwards the database alone grows as far, beside which the
//! appends stand. What is drawn is written as a picture for each database. Nothing here is kept for
//! every event: not even the curves grow with the log.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use events::id::CustomerId;
use events::time::Clock as _;
use futures_util::future::join_all;
use projections::{Runner, Views, timeline};
use sapa::clock::SystemClock;
use store::db::Place;
use store::{Db, generations};
use tokio_util::sync::CancellationToken;

use crate::bare::Bare;
use crate::folded::{On, STEP_SECONDS, fill_every, nothing_due, reactor, soonest, views};
use crate::ground::{Ground, OpenLog, memory_mb, rate};
use crate::load;
use crate::picture::{Curve, Panel, svg};
use crate::report::{Goal, Line, Report, median};

/// Events of the history where nobody says how many.
pub const EVENTS: u64 = 1_000_000;
/// Where it is looked at, as far as it goes; its end is one more. The first is compared with.
const MARKS: [u64; 7] =
    [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000];
/// Events appended in one stretch; the last one before a mark is followed page by page.
const STRETCH: u64 = 20_000;
/// Stretches before a mark whose median stands for it.
const STRETCHES: usize = 5;
/// Events to a customer.
const EVENTS_EACH: u64 = 10;
/// Customers at least.
const CUSTOMERS_MIN: u64 = 10_000;
/// Who read timelines at the same time.
const READERS: u64 = 8;
/// How long they read in one round.
const ROUND: Duration = Duration::from_millis(400);
/// Rounds that count; the one before them does not.
const ROUNDS: u64 = 5;
/// Entries of a page at most.
const PAGE: usize = 50;

/// How far a log is to grow, on what, and where the pictures go.
#[derive(Debug)]
pub struct Wanted {
    /// Events at the end.
    pub events: u64,
    /// The databases, one after the other.
    pub on: Vec<On>,
    /// The folder of the pictures.
    pub folder: PathBuf,
}

/// What one stretch or one second showed, thinned out so that it stays small: x and y.
#[derive(Debug)]
struct Trace {
    seen: usize,
    every: usize,
    points: Vec<(f64, f64)>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { seen: 0, every: 1, points: Vec::new() }
    }
}

impl Trace {
    /// Points at most; when there are as many, every other is dropped.
    const POINTS_MAX: usize = 1_024;

    fn push(&mut self, x: f64, y: f64) {
        if self.seen.is_multiple_of(self.every) {
            self.points.push((x, y));
        }
        self.seen += 1;
        if self.points.len() == Self::POINTS_MAX {
            let mut n = 0;
            self.points.retain(|_| {
                n += 1;
                n % 2 == 1
            });
            self.every *= 2;
        }
    }
}

/// What was found at a mark.
#[derive(Debug)]
struct Mark {
    events: u64,
    /// Seconds since the beginning.
    at: f64,
    appends: Vec<f64>,
    /// Of the database alone.
    bare: Vec<f64>,
    rebuilt: f64,
    followed: f64,
    pages: Vec<f64>,
    /// Entries of a page, on average.
    entries: f64,
    tick: f64,
    memory: f64,
    disk: f64,
}

/// All that was found on one database.
#[derive(Debug, Default)]
struct Growth {
    appends: Trace,
    rebuilds: Vec<(f64, f64)>,
    follows: Vec<(f64, f64)>,
    memory: Arc<Mutex<Trace>>,
    marks: Vec<Mark>,
    peak: f64,
}

/// P9 and P11, and the pictures.
pub async fn measure(ground: &Ground, report: &mut Report, wanted: &Wanted) {
    for on in &wanted.on {
        let growth = grow(ground, *on, ground.amount(wanted.events)).await;
        growth.tell(*on, report);
        let file = wanted.folder.join(format!("growth-{}.svg", on.name().to_lowercase()));
        std::fs::write(&file, growth.picture(*on)).expect("the picture can be written");
        eprintln!("written: {}", file.display());
    }
}

async fn grow(ground: &Ground, on: On, events: u64) -> Growth {
    let log = on.open(ground).await;
    let views = views(&log).await;
    let mut growth = Growth::default();
    // The peak of this process begins anew; what earlier measures left behind stays in it.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let began = Instant::now();
    let sampler = tokio::spawn(sample(growth.memory.clone(), began));
    let (mut here, step) = (0, step_seconds(events));
    let mut appends = VecDeque::new();
    for mark in marks(ground, events) {
        let stretch = ground.amount(STRETCH).min(mark - here);
        while here < mark - stretch {
            let count = stretch.min(mark - stretch - here);
            let appended = fill_every(&log, here, count, customers(ground, mark), step).await;
            growth.appends.push(number(here + count), appended);
            last(&mut appends, appended);
            here += count;
        }
        let (rebuilt, mut runner) = rebuild(&log, &views).await;
        let appended = fill_every(&log, here, stretch, customers(ground, mark), step).await;
        growth.appends.push(number(mark), appended);
        last(&mut appends, appended);
        here = mark;
        let followed = follow(&mut runner, stretch).await;
        growth.rebuilds.push((number(mark), rebuilt));
        growth.follows.push((number(mark), followed));
        let (pages, entries) = pages(&log, &views, customers(ground, mark)).await;
        let tick = tick(&log, &views).await;
        let found = Mark {
            events: mark,
            at: began.elapsed().as_secs_f64(),
            appends: appends.iter().copied().collect(),
            bare: Vec::new(),
            rebuilt,
            followed,
            pages,
            entries,
            tick,
            memory: memory_mb(std::process::id(), "VmRSS"),
            disk: disk_mb(&log).await,
        };
        eprintln!(
            "{}: {mark} events after {:.0} s: appends {:.0}/s, rebuilt {rebuilt:.0}/s, followed \
             {followed:.0}/s, pages {:.0}/s, {:.0} MB",
            on.name(),
            found.at,
            median(&found.appends),
            median(&found.pages),
            found.memory,
        );
        growth.marks.push(found);
    }
    sampler.abort();
    growth.peak = memory_mb(std::process::id(), "VmHWM");
    drop((views, log));
    let mut bare = Bare::open(ground, on).await;
    for mark in &mut growth.marks {
        let customers = customers(ground, mark.events);
        mark.bare = bare.grow(mark.events, customers, ground.amount(STRETCH), STRETCHES).await;
        let inserted = median(&mark.bare);
        eprintln!("{}: {} rows, the database alone: {inserted:.0}/s", on.name(), mark.events);
    }
    growth
}

/// Where it is looked at.
fn marks(ground: &Ground, events: u64) -> Vec<u64> {
    let before = MARKS.iter().map(|it| ground.amount(*it)).filter(|it| *it < events);
    before.chain([events]).collect()
}

/// How many customers a log of so many events is about.
fn customers(ground: &Ground, events: u64) -> u64 {
    (events / EVENTS_EACH).max(ground.amount(CUSTOMERS_MIN))
}

/// Seconds between two events, so that the last of them is not from the future.
fn step_seconds(events: u64) -> u64 {
    let past = SystemClock.now().duration_since(load::seconds_on(0)).as_secs();
    (u64::try_from(past).unwrap_or_default() / events).clamp(1, STEP_SECONDS)
}

fn last(figures: &mut VecDeque<f64>, figure: f64) {
    if figures.len() == STRETCHES {
        figures.pop_front();
    }
    figures.push_back(figure);
}

/// Makes all read models anew from the whole log, and lets them answer; events a second, and the
/// runner that goes on with them. What answered before is deleted.
async fn rebuild(log: &OpenLog, views: &Views) -> (f64, Runner) {
    let (db, before, now) = (log.log.db(), views.live().generation, SystemClock.now());
    generations::add(db, before + 1, "building", now).await.unwrap();
    let built = views.open_generation(before + 1).await.unwrap();
    let mut runner = Runner::open(log.log.clone(), built.db, before + 1, 1).await.unwrap();
    let head = log.log.head().await.unwrap();
    let began = Instant::now();
    assert!(runner.found(head, &CancellationToken::new(), |_| {}).await.unwrap());
    let rebuilt = rate(head.unsigned_abs(), began.elapsed());
    generations::swap(db, before + 1, 1).await.unwrap();
    views.refresh().await.unwrap();
    generations::forget(db, &log.place, before).await.unwrap();
    (rebuilt, runner)
}

/// Folds what was appended, in pages of a service at work; events a second.
async fn follow(runner: &mut Runner, count: u64) -> f64 {
    let began = Instant::now();
    while runner.step().await.unwrap().events != 0 {}
    rate(count, began.elapsed())
}

/// Notes once a second how much memory this process has.
async fn sample(memory: Arc<Mutex<Trace>>, began: Instant) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        let now = memory_mb(std::process::id(), "VmRSS");
        memory.lock().expect("nobody panics").push(began.elapsed().as_secs_f64(), now);
    }
}

/// Pages a second of the timelines of customers picked at random, in each round, and how many
/// entries they had on average.
async fn pages(log: &OpenLog, views: &Views, customers: u64) -> (Vec<f64>, f64) {
    let (mut rates, mut pages, mut entries) = (Vec::new(), 0, 0);
    for round in 0..=ROUNDS {
        let began = Instant::now();
        let readers = (0..READERS).map(|reader| {
            let from = (round * READERS + reader) << 32;
            tokio::spawn(read(log.log.clone(), views.clone(), customers, from))
        });
        let mut own = 0;
        for read in join_all(readers.collect::<Vec<_>>()).await {
            let read = read.unwrap();
            own += read.0;
            entries += read.1;
        }
        pages += own;
        if round != 0 {
            rates.push(rate(own, began.elapsed()));
        }
    }
    (rates, number(entries) / number(pages))
}

/// One reader for one round: pages, and entries on them.
async fn read(log: store::Log, views: Views, customers: u64, from: u64) -> (u64, u64) {
    let (began, tenant, filter) = (Instant::now(), load::tenant(), timeline::Filter::default());
    let (mut pages, mut entries) = (0, 0);
    while began.elapsed() < ROUND {
        let picked = ((from + pages).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % customers;
        let customer: CustomerId = format!("c-{picked}").parse().expect("a valid customer");
        let mut snapshot = views.snapshot().await.unwrap();
        let page =
            timeline::page(&mut snapshot, &log, &tenant, &customer, &filter, None, PAGE, true);
        entries += page.await.unwrap().entries.len() as u64;
        pages += 1;
    }
    (pages, entries)
}

/// Milliseconds of a tick when nothing is due.
async fn tick(log: &OpenLog, views: &Views) -> f64 {
    let due = soonest(views, 1).await;
    let first = due.first().expect("something is due one day");
    let before = first.0 - jiff::SignedDuration::from_secs(1);
    median(&nothing_due(&reactor(log, views), before).await)
}

/// What the log and the read models take on disk.
async fn disk_mb(log: &OpenLog) -> f64 {
    let bytes = match (&log.place, log.log.db()) {
        (Place::Folder(folder), _) => {
            let files = std::fs::read_dir(folder).unwrap();
            files.map(|it| it.unwrap().metadata().map_or(0, |it| it.len())).sum()
        }
        (Place::Server(_), Db::Postgres { reads, .. }) => {
            let size = "SELECT pg_database_size(current_database())";
            let bytes: i64 = sqlx::query_scalar(size).fetch_one(reads).await.unwrap();
            u64::try_from(bytes).unwrap_or_default()
        }
        (Place::Server(_), Db::Sqlite { .. }) => unreachable!("a file is no server"),
    };
    number(bytes) / f64::from(1 << 20)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn number(it: u64) -> f64 {
    it as f64
}

/// A number of events as it is said: 300 k, 10 M.
fn said(events: u64) -> String {
    match events {
        millions if millions.is_multiple_of(1_000_000) => format!("{} M", millions / 1_000_000),
        thousands if thousands.is_multiple_of(1_000) => format!("{} k", thousands / 1_000),
        other => other.to_string(),
    }
}

impl Growth {
    /// The lines of the report: each mark, and the last one over the first.
    fn tell(&self, on: On, report: &mut Report) {
        let on = on.name();
        for mark in &self.marks {
            let at = format!("{} events, {on}", said(mark.events));
            let plain = |what: &str, figures: &[f64], unit| {
                Line::plain("P11", format!("{what} at {at}"), figures, unit)
            };
            report.add(
                plain("appends, batches of 512,", &mark.appends, "events/s")
                    .beside("the same table, the database alone", &mark.bare),
            );
            report.add(plain("all read models rebuilt", &[mark.rebuilt], "events/s"));
            report.add(plain("read models followed page by page", &[mark.followed], "events/s"));
            let pages = format!("timeline pages, {:.1} entries each, 8 readers,", mark.entries);
            report.add(plain(&pages, &mark.pages, "pages/s"));
            let tick = Line::plain("P9", format!("tick, nothing due, at {at}"), &[mark.tick], "ms");
            report.add(tick.goal(Goal::AtMost(5.0)));
            report.add(plain("memory", &[mark.memory], "MB"));
            report.add(plain("log and read models on disk", &[mark.disk], "MB"));
        }
        if let [first, .., last] = self.marks.as_slice() {
            let over = |what: &str, ours: &[f64], theirs: &[f64], unit| {
                Line::plain(
                    "P11",
                    format!("{what} at {} events, {on}", said(last.events)),
                    ours,
                    unit,
                )
                .beside(format!("at {} events", said(first.events)), theirs)
                .goal(Goal::AtLeast(0.8))
            };
            report.add(over("appends", &last.appends, &first.appends, "events/s"));
            report.add(
                over("the database alone", &last.bare, &first.bare, "rows/s").goal(Goal::None),
            );
            report.add(over("timeline pages", &last.pages, &first.pages, "pages/s"));
        }
        let line = Line::plain("P11", format!("memory at most, {on}"), &[self.peak], "MB");
        report.add(line.goal(Goal::AtMost(512.0)));
    }

    /// Memory over time, and the two rates over the size of the log.
    fn picture(&self, on: On) -> String {
        let memory = self.memory.lock().expect("nobody panics").points.clone();
        let marked = |x: fn(&Mark) -> f64| -> Vec<(f64, String)> {
            self.marks.iter().map(|it| (x(it), said(it.events))).collect()
        };
        let events = self.marks.last().map_or(0, |it| it.events);
        let panels = [
            Panel {
                title: "Memory of the process".to_owned(),
                across: "seconds since the beginning (s)",
                up: "resident (MB)",
                curves: vec![Curve { name: "resident", points: memory }],
                marks: marked(|it| it.at),
            },
            Panel {
                title: "How fast events are appended, and read models made".to_owned(),
                across: "events in the log",
                up: "events per second (1/s)",
                curves: vec![
                    Curve { name: "appended", points: self.appends.points.clone() },
                    Curve { name: "rebuilt", points: self.rebuilds.clone() },
                    Curve { name: "followed", points: self.follows.clone() },
                ],
                marks: marked(|it| number(it.events)),
            },
        ];
        svg(&format!("A log that grows to {} events, {}", said(events), on.name()), &panels)
    }
}

impl Wanted {
    /// A million events on both databases.
    pub fn beside(json: &Path) -> Self {
        let folder = json.parent().unwrap_or(Path::new("."));
        Self { events: EVENTS, on: On::ALL.into(), folder: folder.to_owned() }
    }
}
