//! `command-line.md`, from the command tree.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};
use sapa::exit::Exit;

use super::{cell, heading};

const PREFACE: &str = "\
Data goes to standard output, talk to standard error; every failure names the next command to try. \
`--json` prints exactly what the API answered. `sapa COMMAND --help` says the same as this page.

";

const EXITS: [(Exit, &str); 11] = [
    (Exit::Done, "done; `serve` and `demo` were stopped by SIGINT or SIGTERM"),
    (Exit::Failed, "failed; a task of the program ended"),
    (Exit::Usage, "wrong usage"),
    (Exit::NotFound, "not found"),
    (Exit::Invalid, "invalid input"),
    (Exit::Refused, "conflict, or refused by a rule"),
    (Exit::Unavailable, "something that is needed is not there: server, database, nats-server"),
    (Exit::Later, "try again later"),
    (Exit::Forbidden, "no key, or not allowed"),
    (Exit::Config, "configuration, version or unsafe setting"),
    (Exit::Interrupted, "interrupted (every command but `serve` and `demo`)"),
];

pub fn render() -> String {
    let mut text = heading("Command line", "`crates/sapa/src/cli.rs`") + PREFACE;
    let mut tree = sapa::cli::Cli::command();
    tree.build();
    text.push_str("## Options of every command\n\n| Option | Meaning |\n|---|---|\n");
    for argument in tree.get_arguments().filter(|it| it.is_global_set() && !it.is_hide_set()) {
        row(&mut text, argument);
    }
    text.push_str("\n## Exit codes\n\n| Code | Meaning |\n|---|---|\n");
    for (exit, meaning) in EXITS {
        let _ = writeln!(text, "| {} | {meaning} |", exit.number());
    }
    for command in tree.get_subcommands().filter(|it| it.get_name() != "help") {
        describe(&mut text, command, "sapa", 2);
    }
    text
}

fn describe(text: &mut String, command: &Command, parent: &str, depth: usize) {
    if command.is_hide_set() {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n{} `{name}`\n\n{}.\n", "#".repeat(depth), about.trim_end_matches('.'));
    let own: Vec<_> = command
        .get_arguments()
        .filter(|it| !it.is_global_set() && !it.is_hide_set() && it.get_id() != "help")
        .collect();
    if !own.is_empty() {
        text.push_str("\n| Argument | Meaning |\n|---|---|\n");
        for argument in own {
            row(text, argument);
        }
    }
    for below in command.get_subcommands().filter(|it| it.get_name() != "help") {
        describe(text, below, &name, (depth + 1).min(4));
    }
}

fn row(text: &mut String, argument: &clap::Arg) {
    let value = argument
        .get_value_names()
        .filter(|_| argument.get_action().takes_values())
        .map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let spelling = match (argument.get_long(), value) {
        (Some(long), Some(value)) => format!("--{long} {value}"),
        (Some(long), None) => format!("--{long}"),
        (None, Some(value)) => value,
        (None, None) => argument.get_id().to_string(),
    };
    let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|it| !it.is_hide_set())
        .map(|it| it.get_name().to_owned())
        .collect();
    if argument.get_action().takes_values() && !words.is_empty() {
        let _ = write!(meaning, " ({})", words.join(", "));
    }
    let _ = writeln!(text, "| `{spelling}` | {} |", cell(&meaning));
}
