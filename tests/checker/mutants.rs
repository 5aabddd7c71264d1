//! The proof of the checker: a program with one planted mistake at a time, and a verdict that finds it.
//!
//! A checker that misses one is not to be trusted, so the run fails then.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use events::planted::Mistake;
use serde_json::json;
use tokio::time::Instant;

use crate::nemesis::Fault;
use crate::world::{On, Shape};
use crate::{Plan, run};

/// Seeds that are tried for one mistake: together they take no longer than the smoke.
const SEEDS: u64 = 3;
/// Load of one try.
const TIME: Duration = Duration::from_secs(25);
/// How long it is waited for quiet: a mistake may be that it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a mistake shows, if it does.
const fn stage(mistake: Mistake) -> (On, &'static [Fault]) {
    match mistake {
        Mistake::AckBeforeCommit | Mistake::CheckpointApart | Mistake::ResumeTooFar => {
            (On::Sqlite, &[Fault::KillServe])
        }
        Mistake::DedupeBySequence => (On::Sqlite, &[Fault::RollBackNats]),
        Mistake::NoBarrier => (On::Sqlite, &[Fault::KillServe, Fault::KillServe, Fault::CutNats]),
        Mistake::NoFence | Mistake::NoEpoch => (On::Postgres, &[Fault::HoldServe]),
        Mistake::UnknownIsRefused => {
            (On::Postgres, &[Fault::LoseAnswer, Fault::KillPostgres, Fault::CutDatabase])
        }
        Mistake::DedupeWithoutSource
        | Mistake::ConflictIsDuplicate
        | Mistake::AlertWithoutEpisode
        | Mistake::WallClock
        | Mistake::EmptyAnswer => (On::Sqlite, &[]),
    }
}

/// Tries each mistake; `true` if every one was found.
pub async fn all_caught(seed: u64, report: &Path) -> bool {
    let program = build(report);
    let (mut lines, mut all) = (Vec::new(), true);
    for mistake in Mistake::ALL {
        let (on, only) = stage(mistake);
        let began = Instant::now();
        let mut caught = None;
        for seed in seed..seed + SEEDS {
            let plan = Plan {
                seed,
                time: TIME,
                shape: Shape { on, brokers: 1, standby: false },
                only: only.to_vec(),
                program: Some(program.clone()),
                mistake: Some(mistake),
                patience: PATIENCE,
            };
            let done = run(&plan).await;
            let broken: Vec<_> =
                done.found.verdicts.iter().filter(|it| !it.against.is_empty()).collect();
            if let Some(first) = broken.first() {
                let by: Vec<&str> = broken.iter().map(|it| it.id).collect();
                caught = Some((seed, by.join(" "), first.against[0].clone()));
                break;
            }
        }
        let took = began.elapsed().as_secs_f64();
        all &= caught.is_some();
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
            "mistake": mistake.number(), "name": format!("{mistake:?}"), "on": on.name(),
            "seed": caught.as_ref().map(|it| it.0), "by": caught.as_ref().map(|it| &it.1),
            "why": caught.as_ref().map(|it| &it.2), "seconds": took,
        }));
    }
    let text = serde_json::to_string_pretty(&lines).expect("plain data");
    std::fs::write(report.join("mutants.json"), text + "\n").expect("the report can be written");
    all
}

/// The program with mistakes in it, kept apart from the one without.
fn build(report: &Path) -> PathBuf {
    let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
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
