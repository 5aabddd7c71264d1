//! `sapa policy`: the thresholds of the business. `check` needs no server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use events::policy::{Section, from_toml};
use serde_json::{Value, json};

use super::{input, object};
use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Policies in force
    List,
    /// One policy
    Show {
        name: String,
        #[arg(long)]
        version: Option<u64>,
    },
    /// Whether a file of policies (TOML) is valid
    Check {
        /// A file, or - for standard input
        file: PathBuf,
    },
    /// Put the policies of a file (TOML) into force
    Publish {
        /// A file, or - for standard input
        file: PathBuf,
        /// From this instant on [default: now]
        #[arg(long)]
        effective_from: Option<String>,
    },
}

impl Policy {
    /// Checks here, asks for the rest.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let columns = &["name", "version", "effective_from", "hash"];
                session.ask(Call::get(&["v1", "policies"]).columns(columns)).await
            }
            Self::Show { name, version } => {
                session.ask(Call::get(&["v1", "policies", &name]).with("version", version)).await
            }
            Self::Check { file } => {
                let bodies = checked(&file)?;
                let names: Vec<&str> = bodies.iter().map(|(name, _)| name.as_str()).collect();
                session.output.value(&json!({"valid": true, "policies": names}), &[])?;
                Ok(Exit::Done)
            }
            Self::Publish { file, effective_from } => {
                for (name, body) in checked(&file)? {
                    let body = object([
                        ("body", Some(body)),
                        ("effective_from", effective_from.clone().map(|it| json!(it))),
                    ]);
                    let exit = session.ask(Call::post(&["v1", "policies", &name], &body)).await?;
                    if exit != Exit::Done {
                        return Ok(exit);
                    }
                }
                Ok(Exit::Done)
            }
        }
    }
}

/// The sections of a file, every one of them valid.
fn checked(file: &Path) -> Result<Vec<(String, Value)>, Failure> {
    let invalid = |what: String| {
        Failure::new(
            Exit::Invalid,
            what,
            "Compare with `sapa policy show NAME` and correct the file.",
        )
    };
    let bytes = input(file)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| invalid(format!("{} is not UTF-8 text", file.display())))?;
    let bodies = from_toml(&text)
        .map_err(|finding| invalid(format!("{} {}", file.display(), finding.detail)))?;
    let mut faults = Vec::new();
    for (name, body) in &bodies {
        let findings = Section::parse(name, body).err().unwrap_or_default();
        faults.extend(findings.into_iter().map(|it| {
            let at = it.pointer.replace('/', ".");
            format!("{}: {name}{at}: {} ({})", file.display(), it.detail, it.rule)
        }));
    }
    if bodies.is_empty() {
        return Err(invalid(format!("{} holds no policy", file.display())));
    }
    if faults.is_empty() {
        Ok(bodies.into_iter().collect())
    } else {
        Err(invalid(faults.join("\n")))
    }
}
