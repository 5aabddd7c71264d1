//! The checker: real parts, a mixed load, faults from a seed, and a verdict on every invariant.
//!
//! `cargo test -p tests --test checker` is the smoke: half a minute on each database. Longer:
//! `cargo test -p tests --test checker -- --time 20m --seed 7 --on postgres`. It writes JSON and a page
//! with pictures, says where, and ends with 1 if an invariant is broken. `--brokers 3` runs three
//! nats-servers with three copies of each stream, `--standby` gives PostgreSQL a synchronous standby; both
//! bring faults of their own. `-- --mutants` proves the checker itself: every mistake that can be planted
//! has to be found, and the same faults without a mistake must break nothing; `--mutants M2,M7` tries some.

mod aim;
mod brokers;
mod judge;
mod load;
mod mutants;
mod nemesis;
mod obligations;
mod poison;
mod proxy;
mod report;
mod rolling;
mod settle;
mod standby;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use events::planted::Mistake;
use events::time::{Clock as _, spell};
use sapa::clock::SystemClock;
use serde_json::json;
use tests::dice::Dice;
use tokio::time::Instant;

use load::{Doors, Load};
use nemesis::Fault;
use world::{On, Shape, World};

const USAGE: &str = "cargo test -p tests --test checker -- [--seed N] [--time 40s|5m] [--on sqlite,postgres] \
                     [--only FAULT] [--report FOLDER] [--mutants [M2,M7]]\n\
                     [--brokers 1|3]  three nats-servers, three copies of each stream: kill_leader, step_down, no_quorum\n\
                     [--standby]      a synchronous standby, on PostgreSQL only: fail_over";

struct Wanted {
    seed: u64,
    time: Duration,
    on: Vec<On>,
    only: Option<Fault>,
    report: PathBuf,
    /// Which mistakes are tried, if that is what is wanted.
    mutants: Option<Vec<Mistake>>,
    brokers: usize,
    standby: bool,
}

fn wanted() -> Option<Wanted> {
    let now = SystemClock.now().as_microsecond().unsigned_abs();
    let mut wanted = Wanted {
        seed: now % 1_000_000,
        time: Duration::from_secs(30),
        on: vec![On::Sqlite, On::Postgres],
        only: None,
        report: target().join("checker"),
        mutants: None,
        brokers: 1,
        standby: false,
    };
    let mut arguments = std::env::args().skip(1).peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--mutants" {
            let named = arguments.next_if(|it| !it.starts_with("--"));
            wanted.mutants = Some(mutants::named(named.as_deref())?);
            continue;
        }
        if argument == "--standby" {
            wanted.standby = true;
            continue;
        }
        let value = arguments.next()?;
        match argument.as_str() {
            "--seed" => wanted.seed = value.parse().ok()?,
            "--time" => wanted.time = length(&value)?,
            "--on" => wanted.on = value.split(',').map(database).collect::<Option<_>>()?,
            "--only" => wanted.only = Some(Fault::named(&value)?),
            "--brokers" => {
                wanted.brokers = ["1", "3"].contains(&&*value).then(|| value.parse().ok())??
            }
            "--report" => wanted.report = value.into(),
            _ => return None,
        }
    }
    let possible = !wanted.standby || wanted.on == [On::Postgres];
    possible.then_some(wanted)
}

fn length(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let number: u64 = number.parse().ok()?;
    match unit {
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        _ => None,
    }
}

fn database(name: &str) -> Option<On> {
    [On::Sqlite, On::Postgres].into_iter().find(|it| it.name() == name)
}

/// The folder of what was built.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(3).unwrap_or(Path::new(".")).to_owned()
}

fn main() -> ExitCode {
    let Some(wanted) = wanted() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    if let Some(mistakes) = &wanted.mutants {
        let all = mutants::all_caught(mistakes, wanted.seed, &wanted.report);
        let caught = runtime.block_on(all);
        return if caught { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut all = true;
    for on in &wanted.on {
        all &= runtime.block_on(check(&wanted, *on));
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run on one database; `true` if every invariant holds.
async fn check(wanted: &Wanted, on: On) -> bool {
    let only = wanted.only.map(|it| format!(" --only {it:?}")).unwrap_or_default();
    let three = if wanted.brokers == 3 { " --brokers 3" } else { "" };
    let standby = if wanted.standby { " --standby" } else { "" };
    let command = format!(
        "cargo test -p tests --test checker -- --seed {} --time {}s --on {}{three}{standby}{only}",
        wanted.seed,
        wanted.time.as_secs(),
        on.name(),
    );
    eprintln!("== {command}");
    let plan = Plan {
        seed: wanted.seed,
        time: wanted.time,
        shape: Shape { on, brokers: wanted.brokers, standby: wanted.standby, aim: None },
        only: wanted.only.into_iter().collect(),
        program: None,
        mistake: None,
        patience: settle::PATIENCE,
    };
    let done = run(&plan).await;
    let report = report::Run {
        seed: wanted.seed,
        on: on.name(),
        more: format!("{three}{standby}").replace(' ', "").replace("--", "-"),
        seconds: wanted.time.as_secs_f64(),
        command,
        setting: done.setting.clone(),
        history: &done.history,
        faults: &done.faults,
        found: &done.found,
    };
    for it in &done.found.verdicts {
        let word = if it.against.is_empty() { "holds " } else { "BROKEN" };
        eprintln!("{:4} {word} {} ({})", it.id, it.says, it.looked_at);
        for line in it.against.iter().take(5) {
            eprintln!("            {line}");
        }
    }
    let page = report.write(&wanted.report).expect("the report can be written");
    let (faults, operations) = (done.faults.len(), done.history.len());
    eprintln!("{faults} faults, {operations} operations; {}", page.display());
    if !report.holds() {
        for (name, text) in &done.said {
            let kept = page.with_extension(format!("{name}.log"));
            std::fs::write(&kept, text).expect("beside the report there is room");
        }
    }
    report.holds()
}

/// What one run is made of.
struct Plan {
    seed: u64,
    time: Duration,
    shape: Shape,
    only: Vec<Fault>,
    program: Option<PathBuf>,
    mistake: Option<Mistake>,
    patience: Duration,
}

/// What one run gave.
struct Done {
    history: Vec<load::Op>,
    faults: Vec<nemesis::Event>,
    found: judge::Found,
    setting: serde_json::Value,
    /// What programs and brokers said, by name: kept where an invariant is broken.
    said: Vec<(String, String)>,
    /// Why an aimed fault did not hit.
    astray: Option<String>,
}

async fn run(plan: &Plan) -> Done {
    let mut dice = Dice::new(plan.seed);
    let at = spell(SystemClock.now());
    let mut world = World::start(plan.shape, plan.program.clone(), plan.mistake).await;
    let began = Instant::now();
    let doors = Doors {
        urls: world.instances.iter().map(|it| format!("http://127.0.0.1:{}", it.http)).collect(),
        key: world.key.clone(),
        nats: world.brokers.url(),
        colleagues: plan.shape.aim.is_none_or(|it| it.colleagues),
    };
    let context = load::connect(&doors.nats).await;
    let load = Load::start(doors, &mut dice, began).await;
    let nemesis = Dice::new(dice.seed());
    let until = began + plan.time;
    let faults = match &plan.shape.aim {
        Some(aim) => aim::watch(&mut world, aim, began, until).await,
        None => nemesis::rage(&mut world, nemesis, began, until, &plan.only).await,
    };
    let astray = plan.shape.aim.and_then(|aim| aim::missed(&aim, &world, &faults));
    let history = load.stop().await;
    let healed = settle::settle(&mut world, &context, plan.patience).await;
    for it in &mut world.instances {
        it.stop().await;
    }
    let found = judge::judge(&world, &context, &history, &faults, healed).await;
    let setting = json!({
        "at": at, "instances": world.instances.len(), "brokers": plan.shape.brokers,
        "standby": plan.shape.standby, "clients": load::CLIENTS,
        "customers": load::CUSTOMERS, "sapa": env!("CARGO_PKG_VERSION"),
        "errors_said": world.instances.iter().map(|it| it.said("ERROR").len()).collect::<Vec<_>>(),
    });
    let said = world.said();
    Done { history, faults, found, setting, said, astray }
}
