//! `sapa health`: `/readyz` of a server, as an exit code: 0 ready or degraded, 69 not.

use clap::Args;

use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// Its arguments: none of its own.
#[derive(Debug, Args)]
pub struct Health {}

impl Health {
    /// Asks, and prints one line per check.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let call = Call::get(&["readyz"]).with("verbose", Some(""));
        let answer = session.client()?.call(&call).await?;
        session.output.bytes(&answer.body)?;
        Ok(if answer.status == 200 { Exit::Done } else { Exit::Unavailable })
    }
}
