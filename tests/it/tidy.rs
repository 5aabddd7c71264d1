//! The rules of the house that a machine can check. Each says every place where it is broken.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::files::{files_below, files_of, root, shown};

/// Spelled in two parts, so that this file does not break its own rules.
const EVERY_COLUMN: &str = concat!("SELECT", " *");
const ASSERTED: &str = concat!("Assert", "SqlSafe");
const HOMES: [&str; 4] =
    [concat!("/", "root/"), concat!("/", "home/"), concat!("/", "Users/"), concat!("/", "work/")];

/// The lines of the files that break a rule, for a message.
fn breaches(files: &[std::path::PathBuf], is_broken: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        // What is not text has no lines.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for (line, number) in text.lines().zip(1..) {
            if is_broken(line) {
                found.push(format!("{}:{number}: {}", shown(file), line.trim()));
            }
        }
    }
    found
}

#[test]
fn every_file_says_first_what_it_is() {
    let mut files = files_of("crates", "rs");
    files.extend(files_of("tests", "rs"));
    assert!(100 < files.len());
    let silent: Vec<String> = files
        .iter()
        .filter(|it| !std::fs::read_to_string(it).unwrap().starts_with("//!"))
        .map(|it| shown(it))
        .collect();
    assert!(silent.is_empty(), "begin with `//!`: {silent:?}");
}

#[test]
fn no_statement_asks_for_every_column() {
    let mut files = files_of("crates", "rs");
    files.extend(files_of("tests", "rs"));
    files.extend(files_of("schemas", "sql"));
    let found = breaches(&files, |line| {
        let code = line.split("--").next().unwrap_or_default();
        let code = code.split("//").next().unwrap_or_default();
        code.to_ascii_uppercase().contains(EVERY_COLUMN)
    });
    assert!(found.is_empty(), "name the columns:\n{}", found.join("\n"));
}

#[test]
fn statements_are_put_together_unchecked_in_tests_only() {
    let mut files = files_of("crates", "rs");
    files.retain(|it| !it.ends_with("tests.rs") && !shown(it).contains("/tests/"));
    // A mistake that is planted on purpose, and made only by a build that was asked for it.
    files.retain(|it| !it.ends_with("store/src/mistaken.rs"));
    let found = breaches(&files, |line| line.contains(ASSERTED));
    assert!(found.is_empty(), "bind values instead:\n{}", found.join("\n"));
}

#[test]
fn every_migration_is_there_in_both_dialects() {
    let names = |dialect: &str| -> BTreeSet<String> {
        let files = files_of(&format!("schemas/sql/{dialect}"), "sql");
        files.iter().map(|it| it.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
}

#[test]
fn no_file_knows_the_folders_of_one_machine() {
    let here = root().display().to_string();
    let mut files = files_below(&root());
    // Where a demonstration keeps its data is no file of the repository.
    files.retain(|it| !it.starts_with(root().join("sapa-data")));
    let found = breaches(&files, |line| {
        line.contains(&here) || HOMES.iter().any(|home| begins_a_path(line, home))
    });
    assert!(found.is_empty(), "write paths from the root of the repository:\n{}", found.join("\n"));
}

/// Whether an absolute path begins in this line: `/x/home/` is not one, and neither is `a.b/home/`.
fn begins_a_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line.get(..at).and_then(|it| it.chars().next_back());
        before.is_none_or(|it| !it.is_alphanumeric() && !matches!(it, '.' | '_' | '-' | '/' | '}'))
    })
}

#[test]
fn an_absolute_path_is_told_from_a_part_of_one() {
    let home = HOMES[1];
    assert!(begins_a_path(&format!("see {home}dewi/notes"), home));
    assert!(begins_a_path(&format!("\"{home}dewi\""), home));
    assert!(!begins_a_path(&format!("https://example.org{home}dewi"), home));
    assert!(Path::new(home).is_absolute());
}
