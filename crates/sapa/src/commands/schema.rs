//! `sapa schema`: the kinds of events and their schemas, out of this program; no server needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Subcommand;
use events::kind::Kind;
use events::schema::{self, Entry};
use serde_json::{Value, json};

use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Schema {
    /// Every kind and version
    List,
    /// The JSON Schema of a type: topic.action, or sapa.topic.action.vN
    Show {
        /// The type, such as booking.requested
        r#type: String,
    },
    /// Whether the schemas are compatible with those of a git revision
    Check {
        /// A revision, such as HEAD or a tag
        #[arg(long, value_name = "GIT_REF")]
        against: String,
    },
    /// Write all schemas into a folder
    Export {
        /// The folder to write into
        dir: PathBuf,
    },
}

impl Schema {
    /// Prints, compares or writes.
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let items: Vec<Value> = schema::catalogue().iter().map(line).collect();
                let columns = &["schema", "title", "stream", "phase", "personal"];
                session.output.value(&Value::from(items), columns)?;
                Ok(Exit::Done)
            }
            Self::Show { r#type } => {
                session.output.text(entry(&r#type)?.text)?;
                Ok(Exit::Done)
            }
            Self::Check { against } => check(session, &against),
            Self::Export { dir } => export(session, &dir),
        }
    }
}

fn line(it: &Entry) -> Value {
    json!({
        "schema": it.type_name, "type": it.type_name, "title": it.title, "who": it.who, "stream": it.stream,
        "phase": it.phase, "personal": it.personal,
    })
}

/// The newest version of a name, or exactly the type that is named.
fn entry(text: &str) -> Result<&'static Entry, Failure> {
    let (kind, version) = kind_and_version(text)?;
    schema::entry_of(kind, version).ok_or_else(|| unknown(text))
}

/// Reads `topic.action` as its newest version, or `sapa.topic.action.vN`.
pub(super) fn kind_and_version(text: &str) -> Result<(Kind, u32), Failure> {
    if text.starts_with("sapa.") {
        return Kind::parse_type(text).map_err(|_| unknown(text));
    }
    let kind = Kind::from_name(text).ok_or_else(|| unknown(text))?;
    Ok((kind, kind.newest_version()))
}

fn unknown(text: &str) -> Failure {
    let name = text.strip_prefix("sapa.").unwrap_or(text);
    let name = name.rsplit_once(".v").map_or(name, |(name, _)| name);
    let names = schema::catalogue().iter().map(|it| it.kind.name());
    let near = match events::policy::closest(name, names) {
        Some(near) => say!("; did you mean `{near}`?", "; maksud Anda `{near}`?"),
        None => String::new(),
    };
    Failure::new(
        Exit::Invalid,
        say!(
            "there is no kind of event `{text}`{near}",
            "tidak ada jenis peristiwa `{text}`{near}"
        ),
        say!("`sapa schema list` shows all of them.", "`sapa schema list` memuat semuanya."),
    )
}

fn file_name(it: &Entry) -> String {
    format!("{}.v{}.json", it.kind.name(), it.version)
}

fn export(session: &Session, dir: &Path) -> Result<Exit, Failure> {
    std::fs::create_dir_all(dir).map_err(|error| Failure::file("make", dir, &error))?;
    for it in schema::catalogue() {
        let path = dir.join(file_name(it));
        std::fs::write(&path, it.text).map_err(|error| Failure::file("write", &path, &error))?;
    }
    session.output.note(&format!("{} schemas in {}", schema::catalogue().len(), dir.display()));
    Ok(Exit::Done)
}

/// Compares every schema that the revision knows with the one of this program.
fn check(session: &Session, revision: &str) -> Result<Exit, Failure> {
    let mut breaks = Vec::new();
    let mut compared = 0;
    git(&["rev-parse", "--verify", "--quiet", revision]).ok_or_else(|| {
        Failure::new(
            Exit::Invalid,
            say!(
                "git knows no revision `{revision}` here",
                "git tidak mengenal revisi `{revision}` di sini"
            ),
            say!(
                "Run it inside the repository, with a revision such as HEAD.",
                "Jalankan di dalam repositori, dengan revisi seperti HEAD."
            ),
        )
    })?;
    for it in schema::catalogue() {
        let name = file_name(it);
        let Some(old) = git(&["show", &format!("{revision}:schemas/events/{name}")]) else {
            continue;
        };
        let (Ok(old), Ok(new)) = (serde_json::from_slice(&old), serde_json::from_str(it.text))
        else {
            continue;
        };
        compared += 1;
        let found = schema::compatibility(&old, &new);
        breaks.extend(
            found.into_iter().map(|it| json!({"schema": name, "break": format!("{it:?}")})),
        );
    }
    session.output.note(&say!(
        "{compared} schemas compared with {revision}",
        "{compared} skema dibandingkan dengan {revision}"
    ));
    if breaks.is_empty() {
        session.output.note(&say!("all of them are compatible", "semuanya cocok"));
        return Ok(Exit::Done);
    }
    session.output.value(&Value::from(breaks), &[])?;
    Ok(Exit::Invalid)
}

fn git(arguments: &[&str]) -> Option<Vec<u8>> {
    let done = Command::new("git").args(arguments).output().ok()?;
    done.status.success().then_some(done.stdout)
}
