//! `sapa policy`: the thresholds of the business. `check` needs no server.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use events::policy::{Section, from_toml};
use events::time::{Clock, spell};
use serde_json::{Value, json};

use super::{input, object};
use crate::client::Call;
use crate::clock::SystemClock;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;

/// Members of one policy, in the order of a page.
const PAGE: &[&str] = &["name", "version", "effective_from", "hash", "body"];
/// Members of the answer to a new version.
const DONE: &[&str] = &["policy.name", "policy.version", "policy.effective_from"];
/// Columns of what would be published.
const DRY: &[&str] = &["name", "version", "effective_from", "dry_run"];

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Policies in force
    List,
    /// One policy
    Show {
        /// The name of the policy, such as neglect
        name: String,
        /// The version [default: the one in force]
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
                let call = Call::get(&["v1", "policies", &name]).with("version", version);
                session.ask(call.columns(PAGE)).await
            }
            Self::Check { file } => {
                let bodies = checked(&file)?;
                let names: Vec<&str> = bodies.iter().map(|(name, _)| name.as_str()).collect();
                session.output.value(&json!({"valid": true, "policies": names}), &[])?;
                Ok(Exit::Done)
            }
            Self::Publish { file, effective_from } => {
                let policies = checked(&file)?;
                // All of them begin at one moment, also when the file holds several.
                let effective_from = effective_from.unwrap_or_else(|| spell(SystemClock.now()));
                for (name, body) in policies {
                    let is_dry = session.globals.dry_run;
                    let body = object([
                        ("body", Some(body)),
                        ("effective_from", Some(json!(effective_from))),
                        ("dry_run", is_dry.then_some(json!(true))),
                    ]);
                    let call = Call::post(&["v1", "policies", &name], &body);
                    // The server judges a dry run too, and records nothing.
                    let exit = if is_dry {
                        let answer = session.client()?.call(&call).await?;
                        session.output.answer(&answer, DRY)?
                    } else {
                        session.ask(call.columns(DONE)).await?
                    };
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
            say!(
                "Compare with `sapa policy show NAME` and correct the file.",
                "Bandingkan dengan `sapa policy show NAMA` lalu perbaiki berkasnya."
            ),
        )
    };
    let shown = file.display();
    let bytes = input(file)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| invalid(say!("{shown} is not UTF-8 text", "{shown} bukan teks UTF-8")))?;
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
        return Err(invalid(say!("{shown} holds no policy", "{shown} tidak memuat kebijakan")));
    }
    if faults.is_empty() {
        Ok(bodies.into_iter().collect())
    } else {
        Err(invalid(faults.join("\n")))
    }
}
