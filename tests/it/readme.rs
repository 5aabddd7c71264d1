//! What README.md promises a newcomer: the commands, and functions that are where it says.

use crate::support::files::root;

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The text below a heading, up to the next one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let line = format!("\n## {heading}\n");
    let (_, rest) =
        text.split_once(&line).unwrap_or_else(|| panic!("README.md has no `{heading}`"));
    rest.split("\n## ").next().unwrap_or(rest)
}

/// What stands between backticks, in order.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

fn is_path(it: &str) -> bool {
    it.contains('/')
}

#[test]
fn one_greeting_is_followed_through_seven_functions_that_are_there() {
    let text = readme();
    let table = section(&text, "Follow one greeting");
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|it| it.starts_with("| ") && it.contains('`')).map(quoted).collect();
    assert_eq!(rows.len(), 7);
    for row in rows {
        let file = row.iter().find(|it| is_path(it)).unwrap_or_else(|| panic!("{row:?}"));
        let function = row.iter().find(|it| !is_path(it)).unwrap_or_else(|| panic!("{row:?}"));
        let code = std::fs::read_to_string(root().join(file));
        let code = code.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(code.contains(&format!("fn {function}(")), "{file} has no function {function}");
    }
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        let named: Vec<&str> = text
            .lines()
            .flat_map(quoted)
            .filter(|it| {
                ["crates/", "schemas/", "tests/", ".ci/"].iter().any(|at| it.starts_with(at))
            })
            .collect();
        assert!(5 < named.len(), "{document}: {named:?}");
        for path in named {
            assert!(root().join(path).exists(), "{document} names {path}");
        }
    }
}

#[test]
fn every_test_that_the_invariants_name_is_there() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut code = String::new();
    for folder in ["crates", "tests"] {
        for file in crate::support::files::files_of(folder, "rs") {
            code.push_str(&std::fs::read_to_string(file).unwrap());
        }
    }
    let held = text.lines().filter_map(|it| it.trim_start().strip_prefix("Held by "));
    let named: Vec<&str> = held.flat_map(quoted).collect();
    assert!(20 < named.len(), "{named:?}");
    for it in named {
        let is_there = code.contains(&format!("fn {it}(")) || root().join(it).exists();
        assert!(is_there, "ARCHITECTURE.md names {it}, which is no test and no file");
    }
}

#[test]
fn two_commands_lead_to_something_on_the_screen_and_one_tests_it_all() {
    let text = readme();
    let commands = |heading: &str| -> Vec<String> {
        let block = section(&text, heading).split("```console\n").nth(1).unwrap();
        let block = block.split("```").next().unwrap();
        block.lines().map(str::to_owned).collect()
    };
    assert_eq!(commands("Start"), ["cargo run --release -- demo"]);
    assert_eq!(commands("Test"), ["cargo test --workspace"]);
}
