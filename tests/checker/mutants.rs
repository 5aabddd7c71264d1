//! The proof of the checker: a program with one planted mistake at a time, and a verdict that finds it.
//!
//! Faults are aimed where chance seldom hits. An aimed fault is first let loose on the same program without
//! a mistake, where it must break nothing: else it would prove nothing that it breaks something. A checker
//! that misses a mistake is not to be trusted, so the run fails then.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use events::planted::Mistake;
use serde_json::json;
use tokio::time::Instant;

use crate::aim::Aim;
use crate::nemesis::Fault;
use crate::world::{On, Shape};
use crate::{Done, Plan, run, settle};

/// Seeds that are tried for one mistake: together they take no longer than the smoke.
const SEEDS: u64 = 3;
/// Load of one try.
const TIME: Duration = Duration::from_secs(25);
/// How long it is waited for quiet: a mistake may be that it never comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the broker waits for an acknowledgement, unless that is what it is about.
const ACK_WAIT: &str = "2s";

/// Where a mistake shows, if it does.
#[derive(Clone, Copy, Debug)]
struct Stage {
    on: On,
    /// Faults by chance: these, or all where none is named.
    only: &'static [Fault],
    aim: Option<Aim>,
}

impl Stage {
    const fn chance(on: On, only: &'static [Fault]) -> Self {
        Self { on, only, aim: None }
    }

    const fn aimed(on: On, script: &'static str, hold_at: Option<&'static str>) -> Self {
        Self {
            on,
            only: &[],
            aim: Some(Aim { script, hold_at, ack_wait: ACK_WAIT, colleagues: true }),
        }
    }
}

const fn stage(mistake: Mistake) -> Stage {
    match mistake {
        Mistake::AckBeforeCommit | Mistake::ResumeTooFar => {
            Stage::chance(On::Sqlite, &[Fault::KillServe])
        }
        // Work piles up, and the process ends between the rows of all of it and their checkpoint.
        Mistake::CheckpointApart => Stage::aimed(
            On::Sqlite,
            "projections.before_page:sleep=2500@60,projections.before_checkpoint:abort@1",
            None,
        ),
        Mistake::DedupeBySequence => Stage::chance(On::Sqlite, &[Fault::RollBackNats]),
        // Messages pile up in the hands of the pinned instance, which then dies. The broker lets another
        // one pull before it gives out again what the dead one had.
        Mistake::NoBarrier => {
            let script = "ingest.after_pull:sleep=1500@40,ingest.after_pull:abort@1";
            let aim = Aim { script, hold_at: None, ack_wait: "10s", colleagues: true };
            Stage { on: On::Postgres, only: &[], aim: Some(aim) }
        }
        // The relay has its page and its fence in hand, and the next leader publishes meanwhile.
        Mistake::NoFence => Stage::aimed(
            On::Postgres,
            "delivery.before_publish:sleep=2000@60",
            Some("delivery.before_publish"),
        ),
        // The runner has read a long page, and the next leader folds it and goes on. A key of the read models
        // refuses promises between colleagues the second time, and so would hide what comes with them.
        Mistake::NoEpoch => {
            let script =
                "projections.before_page:sleep=2500@60,projections.after_page:sleep=2000@1";
            let hold_at = Some("projections.after_page");
            let aim = Aim { script, hold_at, ack_wait: ACK_WAIT, colleagues: false };
            Stage { on: On::Postgres, only: &[], aim: Some(aim) }
        }
        Mistake::UnknownIsRefused => Stage::chance(
            On::Postgres,
            &[Fault::LoseAnswer, Fault::KillPostgres, Fault::CutDatabase],
        ),
        Mistake::ParkedGoesOn => Stage::chance(On::Sqlite, &[Fault::Poison]),
        // Two instances append at the same time; nothing has to go wrong.
        Mistake::PositionOutsideLock => Stage::aimed(On::Postgres, "", None),
        Mistake::AlertWithoutEpisode | Mistake::RaggedTimes => Stage::aimed(On::Sqlite, "", None),
        Mistake::DedupeWithoutSource
        | Mistake::ConflictIsDuplicate
        | Mistake::WallClock
        | Mistake::EmptyAnswer => Stage::chance(On::Sqlite, &[]),
    }
}

/// The mistakes with these numbers, with commas between them; all of them where none is named.
pub fn named(numbers: Option<&str>) -> Option<Vec<Mistake>> {
    let Some(numbers) = numbers else { return Some(Mistake::ALL.to_vec()) };
    let find = |number: &str| {
        let number = number.trim_start_matches(['M', 'm']);
        Mistake::ALL.into_iter().find(|it| it.number().trim_start_matches('M') == number)
    };
    numbers.split(',').map(find).collect()
}

/// What one stage gave.
struct Outcome {
    /// By which seed, which invariants, and why.
    broken: Option<(u64, String, String)>,
    /// Why an aimed fault did not hit.
    astray: Option<String>,
}

/// Tries each mistake; `true` if every one was found and no stage breaks anything by itself.
pub async fn all_caught(mistakes: &[Mistake], seed: u64, report: &Path) -> bool {
    let program = build(report);
    let (mut lines, mut all) = (Vec::new(), true);
    let mut controls: HashMap<(&str, &str), bool> = HashMap::new();
    let whole = Instant::now();
    for mistake in mistakes {
        let stage = stage(*mistake);
        let mut control = None;
        if let Some(aim) = stage.aim {
            let key = (stage.on.name(), aim.script);
            let known = controls.get(&key).copied();
            let holds = match known {
                Some(it) => it,
                None => holds_without(stage, seed, &program).await,
            };
            controls.insert(key, holds);
            control = Some(holds);
        }
        let began = Instant::now();
        let caught = catch(stage, *mistake, seed, &program).await;
        let took = began.elapsed().as_secs_f64();
        all &= caught.is_some() && control != Some(false);
        match &caught {
            Some((seed, by, why)) => {
                eprintln!(
                    "{:4} {mistake:?} caught by {by}, seed {seed}, {took:.0} s: {why}",
                    mistake.number()
                );
            }
            None => eprintln!("{:4} {mistake:?} MISSED in {took:.0} s", mistake.number()),
        }
        lines.push(json!({
            "mistake": mistake.number(), "name": format!("{mistake:?}"), "on": stage.on.name(),
            "seed": caught.as_ref().map(|it| it.0), "by": caught.as_ref().map(|it| &it.1),
            "why": caught.as_ref().map(|it| &it.2), "seconds": took, "holds_without": control,
        }));
    }
    eprintln!("{} mistakes in {:.0} s", mistakes.len(), whole.elapsed().as_secs_f64());
    let text = serde_json::to_string_pretty(&lines).expect("plain data");
    std::fs::write(report.join("mutants.json"), text + "\n").expect("the report can be written");
    all
}

/// The first seed with which a mistake is found.
async fn catch(
    stage: Stage,
    mistake: Mistake,
    seed: u64,
    program: &Path,
) -> Option<(u64, String, String)> {
    for seed in seed..seed + SEEDS {
        let it = attempt(stage, Some(mistake), seed, program, PATIENCE).await;
        if let Some(why) = it.astray {
            eprintln!("     {why}");
        }
        if it.broken.is_some() {
            return it.broken;
        }
    }
    None
}

/// Whether the program without a mistake stands what a stage does to it. That only counts where the
/// faults have hit, so another seed may be needed.
async fn holds_without(stage: Stage, seed: u64, program: &Path) -> bool {
    for seed in seed..seed + SEEDS {
        let it = attempt(stage, None, seed, program, settle::PATIENCE).await;
        match (it.broken, it.astray) {
            (Some((_, by, why)), _) => {
                eprintln!("     without a mistake {by} is broken, seed {seed}: {why}");
                return false;
            }
            (None, None) => {
                eprintln!("     without a mistake every invariant holds, seed {seed}");
                return true;
            }
            (None, Some(why)) => eprintln!("     {why}"),
        }
    }
    false
}

async fn attempt(
    stage: Stage,
    mistake: Option<Mistake>,
    seed: u64,
    program: &Path,
    patience: Duration,
) -> Outcome {
    let plan = Plan {
        seed,
        time: TIME,
        shape: Shape { on: stage.on, brokers: 1, standby: false, aim: stage.aim },
        only: stage.only.to_vec(),
        program: Some(program.to_owned()),
        mistake,
        patience,
    };
    let Done { found, astray, .. } = run(&plan).await;
    let broken: Vec<_> = found.verdicts.iter().filter(|it| !it.against.is_empty()).collect();
    let mut by: Vec<&str> = broken.iter().map(|it| it.id).collect();
    by.dedup();
    let broken = broken.first().map(|first| (seed, by.join(" "), first.against[0].clone()));
    Outcome { broken, astray }
}

/// The program with mistakes in it, kept apart from the one without.
fn build(report: &Path) -> PathBuf {
    // What the outer cargo tells its children about the package of the tests would look to the inner one
    // like another environment, and half of what is built would be built again.
    let told = || std::env::vars_os().map(|it| it.0).filter(|it| is_of_cargo(it));
    let cargo = || {
        let mut it = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for name in told() {
            it.env_remove(name);
        }
        it
    };
    let words = ["build", "--locked", "-p", "sapa"];
    let built = cargo().args(words).args(["--features", "faults"]).status();
    assert!(built.is_ok_and(|it| it.success()), "the program does not build");
    std::fs::create_dir_all(report).unwrap();
    let kept = report.join("sapa");
    let program = crate::target().join("debug").join("sapa");
    std::fs::copy(&program, &kept).unwrap();
    // The one without comes back to its place.
    let built = cargo().args(words).status();
    assert!(built.is_ok_and(|it| it.success()), "the program does not build");
    kept
}

fn is_of_cargo(name: &OsStr) -> bool {
    let prefixes =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    name.to_str().is_some_and(|it| prefixes.iter().any(|prefix| it.starts_with(prefix)))
}
