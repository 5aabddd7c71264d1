//! How fast Sapa is, beside the raw limit of the same machine in the same run.
//!
//! `cargo bench -p tests` measures everything; `-- append drain` some of it; `--quick` a tenth of
//! the work in one round. `-- growth --events 10000000 --on sqlite` lets a log grow (a million events
//! on both databases unless told otherwise) and draws it; that takes minutes to hours, so it is
//! measured only when it is named. It prints a table and writes JSON beside the build. Nothing is asserted.

mod append;
mod bare;
mod drain;
mod faces;
mod folded;
mod ground;
mod growth;
mod load;
mod peers;
mod picture;
mod program;
mod report;
mod serving;
mod torture;

use std::path::{Path, PathBuf};
use std::process::Command;

use folded::On;
use ground::Ground;
use report::Report;

/// What can be measured, in the order in which it is.
const MEASURES: [&str; 9] =
    ["append", "http", "visible", "timelines", "drain", "folded", "program", "torture", "peers"];

/// What is measured only when it is named, because it takes long.
const GROWTH: &str = "growth";

struct Wanted {
    measures: Vec<String>,
    quick: bool,
    json: PathBuf,
    growth: growth::Wanted,
}

fn wanted() -> Result<Wanted, String> {
    let json = target().join("measures.json");
    let growth = growth::Wanted::beside(&json);
    let mut wanted = Wanted { measures: Vec::new(), quick: false, json, growth };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What `cargo bench` adds by itself.
            "--bench" => {}
            "--quick" => wanted.quick = true,
            "--json" => {
                wanted.json = arguments.next().ok_or("--json takes the name of a file")?.into();
                wanted.growth.folder = wanted.json.parent().unwrap_or(Path::new(".")).to_owned();
            }
            "--events" => wanted.growth.events = many(arguments.next())?,
            "--on" => wanted.growth.on = databases(arguments.next())?,
            name if name == GROWTH || MEASURES.contains(&name) => {
                wanted.measures.push(name.to_owned());
            }
            other => {
                let all = MEASURES.join(", ");
                return Err(format!(
                    "unknown: {other}. There are {all} and {GROWTH}, --quick, --json FILE, and for \
                     {GROWTH} --events NUMBER and --on sqlite,postgres."
                ));
            }
        }
    }
    if wanted.measures.is_empty() {
        wanted.measures = MEASURES.map(str::to_owned).into();
    }
    Ok(wanted)
}

/// A number of events, for the growing log.
fn many(word: Option<String>) -> Result<u64, String> {
    let number = word.and_then(|it| it.replace('_', "").parse().ok());
    number.filter(|it| (1_000..=100_000_000).contains(it)).ok_or_else(|| {
        "--events takes a number from 1000 to 100000000, such as 10000000".to_owned()
    })
}

/// The databases that a log grows on.
fn databases(word: Option<String>) -> Result<Vec<On>, String> {
    let wrong = || "--on takes sqlite, postgres or sqlite,postgres".to_owned();
    let on = |name: &str| On::ALL.into_iter().find(|it| it.name().to_lowercase().starts_with(name));
    let words = word.ok_or_else(wrong)?;
    words
        .split(',')
        .map(|name| on(name).filter(|_| ["sqlite", "postgres"].contains(&name)).ok_or_else(wrong))
        .collect()
}

/// The folder above the one this program lies in: `release`, or `debug` with `--profile dev`.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

/// The program that is measured is the one of this source, in the profile of this program.
fn build() -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo tells this program about its package would make it build dependencies again.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy().into_owned();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_"].iter().any(|it| told.starts_with(it)) {
            command.env_remove(name);
        }
    }
    command.args(["build", "--locked", "-p", "sapa"]);
    if !target().ends_with("debug") {
        command.arg("--release");
    }
    let built = command.status();
    built.is_ok_and(|it| it.success())
}

fn main() -> std::process::ExitCode {
    let wanted = match wanted() {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("{error}");
            return std::process::ExitCode::from(2);
        }
    };
    if !build() {
        eprintln!("the program does not build");
        return std::process::ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(run(&wanted));
    std::process::ExitCode::SUCCESS
}

async fn run(wanted: &Wanted) {
    let (rounds, part) = if wanted.quick { (1, 10) } else { (5, 1) };
    let ground = Ground::start(rounds, part).await;
    let machine = ground.machine().await;
    eprintln!("{machine}");
    let mut report = Report::default();
    for measure in &wanted.measures {
        eprintln!("== {measure}");
        match measure.as_str() {
            "append" => append::measure(&ground, &mut report).await,
            "http" => faces::appends(&ground, &mut report).await,
            "visible" => faces::visible(&ground, &mut report).await,
            "timelines" => faces::timelines(&ground, &mut report).await,
            "drain" => drain::measure(&ground, &mut report).await,
            "folded" => folded::measure(&ground, &mut report).await,
            "torture" => torture::measure(&ground, &mut report).await,
            "peers" => peers::measure(&ground, &mut report).await,
            GROWTH => growth::measure(&ground, &mut report, &wanted.growth).await,
            _ => program::measure(&ground, &mut report).await,
        }
    }
    println!("{}", report.table());
    report.write(&wanted.json, &machine).expect("the report can be written");
    eprintln!("written: {}", wanted.json.display());
}
