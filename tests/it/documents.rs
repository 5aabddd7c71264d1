//! The guides under `docs/` say what is so: every command in a `console` block is run, in the order of
//! the document, against a running server; settings, metrics and links that are named exist.
//!
//! `<!-- the server is stopped -->` in front of a block stops it first. Blocks of other kinds show files
//! and commands for other machines, and are not run.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sapa::config::KEYS;

use crate::program::{Program, free_port};
use crate::support::files::{files_of, root, shown};
use crate::support_nats::nats_program;

/// The address that documents use.
const SHOWN_ADDRESS: &str = "127.0.0.1:7272";
/// What a document says in front of a block that needs the server to be stopped.
const STOPPED: &str = "<!-- the server is stopped -->";

/// A fenced block of a document.
struct Block {
    kind: String,
    text: String,
    /// The line in front of it.
    before: String,
    line: usize,
}

fn guides() -> Vec<(PathBuf, String)> {
    let read = |it: PathBuf| (it.clone(), std::fs::read_to_string(it).unwrap());
    files_of("docs", "md").into_iter().map(read).collect()
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = String::new();
    for (line, number) in text.lines().zip(1..) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => {
                let (kind, text) = (kind.trim().to_owned(), String::new());
                open = Some(Block { kind, text, before: before.clone(), line: number });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => line.clone_into(&mut before),
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// Runs the console blocks of a guide in a folder of their own.
async fn run(name: &str) {
    let path = root().join("docs/guides").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let binary = nats_program().await;
    let port = free_port().to_string();
    let mut program = Program::new(&[
        ("nats.server_bin", binary.to_str().unwrap()),
        ("nats.managed_port", port.as_str()),
    ]);
    program.start();
    program.ready().await;
    let mut runs = true;
    let mut count = 0;
    for block in blocks(&text).iter().filter(|it| it.kind == "console") {
        let wanted = block.before != STOPPED;
        match (runs, wanted) {
            (true, false) => program.stop().await,
            (false, true) => {
                program.start();
                program.ready().await;
            }
            _ => {}
        }
        runs = wanted;
        let script = block.text.replace(SHOWN_ADDRESS, program.url().trim_start_matches("http://"));
        let done = program.shell(&script).await;
        assert!(
            done.status.success(),
            "{}:{}: {}\n{}{}",
            shown(&path),
            block.line,
            done.status,
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        count += block.text.lines().count();
    }
    assert!(0 < count, "{} has no command that is run", shown(&path));
    if runs {
        program.stop().await;
    }
}

/// One test for each guide, so that they run beside each other.
macro_rules! guides {
    ($($test:ident: $name:literal),+ $(,)?) => {
        const TESTED: &[&str] = &[$($name),+];
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            run($name).await;
        })+
    };
}

guides! {
    the_commands_about_alerts_work: "alerts.md",
    the_commands_about_backups_work: "backup.md",
    the_commands_about_brokers_work: "brokers.md",
    the_commands_about_importing_work: "import.md",
    the_commands_about_operating_work: "operate.md",
    the_commands_about_proxies_work: "proxies.md",
    the_commands_about_publishing_work: "publish.md",
}

#[test]
fn every_guide_with_commands_is_run() {
    for (path, text) in guides() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_run = TESTED.contains(&name.as_str());
        let has_commands = blocks(&text).iter().any(|it| it.kind == "console");
        assert!(is_run || !has_commands, "name {name} in the list of this file");
    }
}

#[test]
fn every_setting_and_metric_that_a_document_names_exists() {
    let keys: BTreeSet<&str> = KEYS.iter().map(|it| it.name).collect();
    let variables: BTreeSet<String> = KEYS.iter().map(sapa::config::Key::variable).collect();
    let metrics = root().join("crates/api/src/metrics/table.rs");
    let metrics = std::fs::read_to_string(metrics).unwrap();
    for (path, text) in guides() {
        let path = shown(&path);
        // In a reference a block may show another kind of file, such as an import map.
        let is_guide = path.starts_with("docs/guides");
        for block in blocks(&text).iter().filter(|it| is_guide && it.kind == "toml") {
            let table: toml::Table = block.text.parse().unwrap();
            for (name, value) in &table {
                let inner = value.as_table().into_iter().flat_map(toml::Table::keys);
                let mut names: Vec<String> = inner.map(|it| format!("{name}.{it}")).collect();
                if names.is_empty() {
                    names.push(name.clone());
                }
                for name in names {
                    assert!(keys.contains(name.as_str()), "{path}: no setting {name}");
                }
            }
        }
        let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        for word in words {
            if word.starts_with("SAPA_") && word.contains("__") {
                let name = word.strip_suffix("_FILE").unwrap_or(word);
                assert!(variables.contains(name), "{path}: no variable {word}");
            }
            if word.starts_with("sapa_") {
                assert!(metrics.contains(&format!("\"{word}\"")), "{path}: no metric {word}");
            }
        }
    }
}

#[test]
fn every_link_of_a_document_leads_to_a_file() {
    for (path, text) in guides() {
        for target in text.split("](").skip(1).filter_map(|it| it.split(')').next()) {
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let file = target.split('#').next().unwrap();
            let to = path.parent().unwrap().join(file);
            assert!(to.exists(), "{} links to {target}", shown(&path));
        }
    }
}
