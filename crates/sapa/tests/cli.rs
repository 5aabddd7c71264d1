//! The command tree, word by word, as it was agreed: a change of a command or a flag changes
//! `cli.txt` and is seen in review.

use clap::CommandFactory;
use std::fmt::Write;

/// One line a command: its path, then its arguments and flags in order of declaration.
fn tree(path: &str, command: &clap::Command, text: &mut String) {
    let mut line = path.to_owned();
    for it in command.get_arguments().filter(|it| !it.is_global_set()) {
        let value = it.get_value_names().and_then(|it| it.first()).map_or("", |it| it.as_str());
        let takes = it.get_action().takes_values();
        let _ = match it.get_long() {
            Some(long) if takes => write!(line, " --{long} {value}"),
            Some(long) => write!(line, " --{long}"),
            None => write!(line, " {value}"),
        };
    }
    let _ = writeln!(text, "{line}");
    for it in command.get_subcommands() {
        tree(&format!("{path} {}", it.get_name()), it, text);
    }
}

#[test]
fn the_command_tree_is_the_agreed_one() {
    let mut text = String::new();
    let command = sapa::cli::Cli::command();
    command.clone().debug_assert();
    tree("sapa", &command, &mut text);
    let mut globals = String::from("global:");
    for it in command.get_arguments().filter(|it| it.is_global_set()) {
        let _ = write!(globals, " --{}", it.get_long().unwrap_or_default());
    }
    let text = format!("{text}{globals}\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli.txt");
    if std::env::var_os("SAPA_TEST_WRITE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let agreed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        agreed == text,
        "the tree has changed; if you mean it, run\n  SAPA_TEST_WRITE=1 cargo test -p sapa --test cli\n{text}"
    );
}

/// Panics if a command below has an argument that goes by the name of a global option: clap would
/// hand one the other's value, at run time only.
fn apart(path: &str, command: &clap::Command, globals: &[String]) {
    for it in command.get_arguments().filter(|it| !it.is_global_set()) {
        let id = it.get_id().as_str();
        assert!(
            !globals.iter().any(|global| global == id),
            "{path} has an argument of its own named {id}"
        );
    }
    for it in command.get_subcommands() {
        apart(&format!("{path} {}", it.get_name()), it, globals);
    }
}

#[test]
fn no_argument_of_a_command_is_named_like_a_global_option() {
    let command = sapa::cli::Cli::command();
    let globals: Vec<String> = command
        .get_arguments()
        .filter(|it| it.is_global_set())
        .map(|it| it.get_id().to_string())
        .collect();
    assert!(globals.iter().any(|it| it == "server"), "{globals:?}");
    apart("sapa", &command, &globals);
}
