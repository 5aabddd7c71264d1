//! `docs/reference/`: written from the tables the program itself uses, so that every name it knows is
//! in its reference and no name in a reference is one it does not know.
//!
//! A file that differs from what the tables say fails here. `SAPA_TEST_WRITE_DOCS=1 cargo test -p
//! tests --test it reference` writes the files again.

mod command_line;
mod configuration;
mod events;
mod metrics;
mod operations;
mod policies;
mod problems;

use crate::support::files::root;

/// Says how a generated file came to be, to whoever opens it.
fn heading(title: &str, from: &str) -> String {
    format!(
        "# {title}\n\n<!-- Written from {from} by the test `the_reference_says_what_the_program_knows`; \
         edit there. -->\n\n"
    )
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Every generated file and what it should say.
fn documents() -> Vec<(&'static str, String)> {
    vec![
        ("events.md", events::render()),
        ("operations.md", operations::render()),
        ("problems.md", problems::render()),
        ("policies.md", policies::render()),
        ("configuration.md", configuration::render()),
        ("metrics.md", metrics::render()),
        ("command-line.md", command_line::render()),
    ]
}

#[test]
fn the_reference_says_what_the_program_knows() {
    let folder = root().join("docs/reference");
    let mut stale = Vec::new();
    for (name, wanted) in documents() {
        let path = folder.join(name);
        if std::env::var_os("SAPA_TEST_WRITE_DOCS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        if found != wanted {
            let line = found.lines().zip(wanted.lines()).position(|(a, b)| a != b);
            let line = line.unwrap_or_else(|| found.lines().count().min(wanted.lines().count()));
            let should = wanted.lines().nth(line).unwrap_or("(the end)");
            stale.push(format!("docs/reference/{name}:{} should be: {should}", line + 1));
        }
    }
    assert!(
        stale.is_empty(),
        "stale; write them with SAPA_TEST_WRITE_DOCS=1 and read the difference:\n{}",
        stale.join("\n")
    );
}
