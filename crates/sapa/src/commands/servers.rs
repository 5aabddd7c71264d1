//! `sapa servers`: find or fetch the programs of nats-server and PostgreSQL.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::servers::{Kind, ServerError, nats, postgres};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Servers {
    /// What is on this machine
    List,
    /// Fetch one into the cache, with its hash checked
    Fetch {
        /// Which one
        #[arg(value_enum, value_name = "SERVER")]
        which: Server,
    },
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// nats-server
    Nats,
    /// PostgreSQL, for trying Sapa on it
    Postgres,
}

impl Servers {
    /// Looks, or fetches.
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let found = [
                    locate(session, Server::Nats, false),
                    locate(session, Server::Postgres, false),
                ];
                let missing = found.iter().any(Result::is_err);
                let lines: Vec<_> = [Kind::Nats, Kind::Postgres]
                    .into_iter()
                    .zip(found)
                    .map(|(kind, found)| match found {
                        Ok((path, version)) => json!({"server": kind.program(), "version": version, "path": path, "remedy": null}),
                        Err(error) => json!({"server": kind.program(), "version": null, "path": null, "remedy": error.to_string()}),
                    })
                    .collect();
                session.output.value(&lines.into(), &["server", "version", "path", "remedy"])?;
                Ok(if missing { Exit::Unavailable } else { Exit::Done })
            }
            Self::Fetch { which } => {
                let (path, version) = locate(session, which, true)?;
                session.output.value(&json!({"path": path, "version": version}), &[])?;
                Ok(Exit::Done)
            }
        }
    }
}

fn locate(session: &Session, server: Server, fetch: bool) -> Result<(String, String), ServerError> {
    let quiet = session.globals.quiet || !fetch;
    match server {
        Server::Nats => {
            let configured = session.config.nats.server_bin.clone();
            let path = nats::locate(&nats::Search { configured, fetch, quiet })?;
            let version = nats::version(&path).map_or_else(|it| it.why, |it| it.to_string());
            Ok((path.display().to_string(), version))
        }
        Server::Postgres => {
            let found = postgres::locate(fetch)?;
            Ok((found.bin.display().to_string(), found.major.to_string()))
        }
    }
}
