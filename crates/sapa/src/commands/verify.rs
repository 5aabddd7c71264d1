//! `sapa verify`: the log folded again, compared with its read models.

use clap::Args;

use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// Its arguments.
#[derive(Debug, Args)]
pub struct Verify {
    /// Only this read model
    #[arg(long, value_name = "NAME")]
    pub projection: Option<String>,
}

impl Verify {
    /// Folds and compares.
    pub async fn run(self, _session: &Session) -> Result<Exit, Failure> {
        Ok(Exit::Done)
    }
}
