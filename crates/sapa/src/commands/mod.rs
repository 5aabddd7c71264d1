//! The words behind `sapa`, one file each. A word that asks a server turns its arguments into a
//! [`Call`]; the rest of the way is the same for all: send, print, exit code.

pub mod alert;
pub mod backup;
pub mod complaint;
pub mod config;
pub mod contact;
pub mod customer;
pub mod demo;
pub mod doctor;
pub mod event;
pub mod health;
pub mod key;
pub mod loyalty;
pub mod migrate;
pub mod nats;
pub mod neglect;
pub mod policy;
pub mod projection;
pub mod promise;
pub mod quarantine;
pub mod recover;
pub mod request;
pub mod restore;
pub mod schema;
pub mod serve;
pub mod servers;
pub mod session;
pub mod setup;
pub mod tenant;
pub mod verify;
pub mod worklist;

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Cli, Command, Globals};
use crate::client::Call;
use crate::config::Profile;
use crate::exit::{Exit, Failure};
use crate::say;
use session::Session;

/// What a command may read from a file or standard input: the largest batch and some room.
const INPUT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Runs one command to its end.
pub async fn run(cli: Cli) -> Result<Exit, Failure> {
    let Cli { globals, command } = cli;
    let session = Session::open(&globals, profile(&command), flags(&command))?;
    match command {
        Command::Demo(it) => Box::pin(it.run(session)).await,
        Command::Serve(it) => Box::pin(it.run(session)).await,
        Command::Migrate(it) => it.run(&session).await,
        Command::Setup(it) => it.run(&session).await,
        Command::Doctor(it) => Box::pin(it.run(&session)).await,
        Command::Health(it) => it.run(&session).await,
        Command::Servers(it) => it.run(&session),
        Command::Verify(it) => Box::pin(it.run(&session)).await,
        Command::Recover(it) => Box::pin(it.run(&session)).await,
        Command::Backup(it) => Box::pin(it.run(&session)).await,
        Command::Restore(it) => Box::pin(it.run(&session)).await,
        Command::Event(it) => it.run(&session).await,
        Command::Customer(it) => it.run(&session).await,
        Command::Loyalty(it) => session.ask(it.call()).await,
        Command::Neglect(it) => session.ask(it.call()).await,
        Command::Worklist(it) => it.run(&session).await,
        Command::Contact(it) => it.run(&session).await,
        Command::Plan(it) => it.run(&session).await,
        Command::Complaint(it) => session.ask(it.call()?).await,
        Command::Promise(it) => session.ask(it.call()?).await,
        Command::Alert(it) => it.run(&session).await,
        Command::Policy(it) => it.run(&session).await,
        Command::Projection(it) => it.run(&session).await,
        Command::Quarantine(it) => it.run(&session).await,
        Command::Schema(it) => it.run(&session),
        Command::Key(it) => it.run(&session).await,
        Command::Tenant(it) => session.ask(it.call()).await,
        Command::Nats(it) => it.run(&session),
        Command::Request(it) => it.run(&session).await,
        Command::Config(it) => it.run(&session),
        Command::Version => version(&session),
    }
}

fn profile(command: &Command) -> Profile {
    match command {
        Command::Demo(_) => Profile::Demo,
        Command::Serve(_)
        | Command::Migrate(_)
        | Command::Setup(_)
        | Command::Doctor(_)
        | Command::Verify(_)
        | Command::Recover(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Nats(_)
        | Command::Config(_) => Profile::Service,
        _ => Profile::CommandLine,
    }
}

/// The flags of a command that are settings.
fn flags(command: &Command) -> Vec<(&'static str, String, &'static str)> {
    match command {
        Command::Demo(it) => it.flags(),
        Command::Serve(it) => it.flags(),
        Command::Migrate(it) => it.flags(),
        _ => Vec::new(),
    }
}

fn version(session: &Session) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match session.output.format {
        crate::cli::Format::Table => session.output.text(&format!("sapa {version}"))?,
        _ => {
            session.output.value(&json!({"name": "sapa", "version": version, "api": "v1"}), &[])?;
        }
    }
    Ok(Exit::Done)
}

/// Reads a file, or standard input for `-`.
fn input(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::file("read", path, &error))?;
    let shown = path.display();
    if INPUT_BYTES_MAX < u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        return Err(Failure::new(
            Exit::Invalid,
            say!("{shown} holds more than 8 MiB", "{shown} berisi lebih dari 8 MiB"),
            say!(
                "Import large files with `sapa event import`.",
                "Impor berkas besar dengan `sapa event import`."
            ),
        ));
    }
    Ok(bytes)
}

/// Reads JSON from a file, or says where it breaks.
fn json_input(path: &Path) -> Result<Value, Failure> {
    serde_json::from_slice(&input(path)?).map_err(|error| {
        let (shown, line, column) = (path.display(), error.line(), error.column());
        Failure::new(
            Exit::Invalid,
            say!(
                "{shown}:{line}:{column}: not valid JSON",
                "{shown}:{line}:{column}: bukan JSON yang sah"
            ),
            say!(
                "Correct the file at that place and run the command again.",
                "Perbaiki berkas di tempat itu lalu jalankan lagi perintahnya."
            ),
        )
    })
}

/// Reads JSON from an argument.
fn json_argument(name: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let column = error.column();
        Failure::new(
            Exit::Invalid,
            say!(
                "{name} is not valid JSON (column {column})",
                "{name} bukan JSON yang sah (kolom {column})"
            ),
            say!(
                "Put it in single quotes: {name} '{{\"party\": 4}}'.",
                "Tulis dalam tanda kutip tunggal: {name} '{{\"party\": 4}}'."
            ),
        )
    })
}

/// Asks before something that cannot be taken back; without a terminal `--yes` is the answer.
fn confirm(globals: &Globals, what: &str) -> Result<(), Failure> {
    if globals.yes {
        return Ok(());
    }
    let refuse = || {
        Failure::new(
            Exit::Usage,
            say!("not done: {what}", "tidak dilakukan: {what}"),
            say!("Add --yes to confirm it.", "Tambahkan --yes untuk memastikannya."),
        )
    };
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(refuse());
    }
    eprint!("{}", say!("{what}. Go on? [y/N] ", "{what}. Lanjutkan? [y/T] "));
    let mut answer = String::new();
    // Without a line there is no yes.
    let _ = std::io::stderr().flush();
    let _ = std::io::stdin().read_line(&mut answer);
    if ["y", "yes", "ya"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        Ok(())
    } else {
        Err(refuse())
    }
}

/// An object of the members that have a value.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A call of `sapa WORD VERB` on one named thing.
fn act(segments: &[&str], body: &Value) -> Call {
    Call::post(segments, body)
}
