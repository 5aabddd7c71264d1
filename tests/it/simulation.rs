//! The step functions of ingest and relay against a modelled broker, log and clock: one seed, one
//! run, and everything that can go wrong between two steps goes wrong.
//!
//! `cargo test -p tests --test it simulation` runs [`SEEDS`] of them; `SAPA_SEEDS=100000` runs more,
//! `SAPA_SEED=7` runs one and prints what happened. A seed that ever failed stays in [`REGRESSIONS`].

mod broker;
mod checks;
mod contract;
mod derived;
mod instance;
mod ledger;
mod publishers;
mod relaying;
mod taking;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use world::{Mistake, World};

/// Seeds of one test run.
const SEEDS: u64 = 2_000;
/// Seeds of one test run over the real log, with read models and reactions.
const SEEDS_ON_SQLITE: u64 = 60;
/// Threads they are spread over.
const THREADS: u64 = 2;
/// Seeds within which every planted mistake has to be found.
const SEEDS_FOR_A_MISTAKE: u64 = 400;
/// Steps that are printed of a run that failed.
const TRACE_LINES_MAX: usize = 300;
/// Seeds that once found something.
const REGRESSIONS: &[u64] = &[145, 382, 556, 1_254, 1_648];

/// One run: what was wrong, and how it came to that.
fn run(seed: u64, mistake: Option<Mistake>, traced: bool) -> Result<(), (String, Vec<String>)> {
    let mut world = World::new(seed, mistake, traced);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        world.run()?;
        checks::check(&world)
    }));
    let outcome = outcome.unwrap_or_else(|it| Err(said(&*it)));
    outcome.map_err(|wrong| (wrong, world.trace.take().unwrap_or_default()))
}

/// What a panic says.
fn said(it: &(dyn std::any::Any + Send)) -> String {
    let text = it.downcast_ref::<String>().cloned();
    let text = text.or_else(|| it.downcast_ref::<&str>().map(|it| (*it).to_owned()));
    format!("panic: {}", text.unwrap_or_default())
}

/// The first seed of some that fails, of each thread.
fn first_failures(seeds: u64, mistake: Option<Mistake>) -> Vec<(u64, String)> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                scope.spawn(move || {
                    let mut own = (0..seeds).filter(|it| it % THREADS == n);
                    own.find_map(|seed| Some((seed, run(seed, mistake, false).err()?.0)))
                })
            })
            .collect();
        threads.into_iter().filter_map(|it| it.join().unwrap()).collect()
    })
}

/// Tells how a run went wrong, and how to see it again.
fn explain(seed: u64) -> String {
    let Err((wrong, trace)) = run(seed, None, true) else { return format!("seed {seed} holds") };
    let from = trace.len().saturating_sub(TRACE_LINES_MAX);
    let trace = trace[from..].join("\n");
    format!(
        "{trace}\n\n{wrong}\nagain: SAPA_SEED={seed} cargo test -p tests --test it simulation\n"
    )
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn whatever_goes_wrong_between_two_steps_nothing_is_lost_doubled_or_overtaken() {
    if let Some(seed) = number("SAPA_SEED") {
        println!("{}", explain(seed));
        assert!(run(seed, None, false).is_ok(), "seed {seed} fails");
        return;
    }
    for seed in REGRESSIONS {
        assert!(run(*seed, None, false).is_ok(), "{}", explain(*seed));
    }
    let (seeds, started) = (number("SAPA_SEEDS").unwrap_or(SEEDS), Instant::now());
    let failures = first_failures(seeds, None);
    if let Some((seed, _)) = failures.iter().min() {
        panic!("{}", explain(*seed));
    }
    println!("{seeds} seeds in {:.1} s", started.elapsed().as_secs_f64());
}

#[test]
fn every_planted_mistake_is_found() {
    let mistakes = [
        Mistake::AcknowledgesFirst,
        Mistake::TrustsSequences,
        Mistake::TakesOverAtOnce,
        Mistake::PublishesUnfenced,
        Mistake::ResumesTooFar,
        Mistake::TerminatesFirst,
        Mistake::RemembersFirst,
    ];
    for mistake in mistakes {
        let found = first_failures(SEEDS_FOR_A_MISTAKE, Some(mistake));
        let (seed, wrong) = found
            .iter()
            .min()
            .unwrap_or_else(|| panic!("{mistake:?} was not found in {SEEDS_FOR_A_MISTAKE} runs"));
        println!("{mistake:?} is found by seed {seed} (run {}): {wrong}", seed + 1);
    }
}

#[test]
fn one_seed_is_one_run() {
    let trace = |seed| {
        let mut world = World::new(seed, None, true);
        let _ = world.run();
        world.trace
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}

/// Runs some seeds in a runtime of one thread each, spread over the threads; the first failure.
fn on_sqlite(seeds: u64, mistake: Option<derived::Mistake>) -> Option<(u64, String)> {
    let template = tempfile::tempdir().unwrap();
    runtime().block_on(derived::prepare(template.path()));
    let template = template.path();
    let failures = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                scope.spawn(move || {
                    let runtime = runtime();
                    let mut own = (0..seeds).filter(|it| it % THREADS == n);
                    own.find_map(|seed| {
                        let run = || runtime.block_on(derived::run(seed, template, mistake));
                        let outcome = catch_unwind(AssertUnwindSafe(run));
                        let outcome = outcome.unwrap_or_else(|it| Err(said(&*it)));
                        Some((seed, outcome.err()?))
                    })
                })
            })
            .collect();
        threads.into_iter().filter_map(|it| it.join().unwrap()).collect::<Vec<_>>()
    });
    failures.into_iter().min()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn whatever_goes_wrong_read_models_equal_a_fresh_fold_and_alerts_and_timers_fire_once() {
    if let Some(seed) = number("SAPA_SEED") {
        let template = tempfile::tempdir().unwrap();
        runtime().block_on(derived::prepare(template.path()));
        runtime().block_on(derived::run(seed, template.path(), None)).unwrap();
        return;
    }
    let started = Instant::now();
    let seeds = number("SAPA_SEEDS").map_or(SEEDS_ON_SQLITE, |it| it / 10);
    if let Some((seed, wrong)) = on_sqlite(seeds, None) {
        panic!("{wrong}\nagain: SAPA_SEED={seed} cargo test -p tests --test it simulation");
    }
    println!("{seeds} seeds on SQLite in {:.1} s", started.elapsed().as_secs_f64());
}

#[test]
fn every_mistake_planted_over_the_real_log_is_found() {
    for mistake in
        [derived::Mistake::MovesTheCheckpointApart, derived::Mistake::LooksAtAnotherClock]
    {
        let found = on_sqlite(SEEDS_ON_SQLITE, Some(mistake));
        let (seed, wrong) = found.unwrap_or_else(|| panic!("{mistake:?} was not found"));
        println!("{mistake:?} is found by seed {seed} (run {}): {wrong}", seed + 1);
    }
}

#[test]
fn the_modelled_log_answers_as_the_real_one() {
    let runtime = runtime();
    for seed in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(contract::compare(seed, folder.path()));
    }
}
