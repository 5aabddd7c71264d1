//! `sapa demo`: a hotel with a year of history, in one command.

use clap::Args;

use crate::commands::session::Session;
use crate::exit::{Exit, Failure};

/// Its arguments.
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Customers in all
    #[arg(long, default_value_t = 500)]
    pub customers: u32,
    /// Days of history
    #[arg(long, default_value_t = 365)]
    pub days: u32,
    /// Everything that chance decides follows from it
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// The end of the story [default: now]
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// How often a new event comes, or off
    #[arg(long, default_value = "2s", value_name = "DURATION|off")]
    pub live: String,
    /// Remove the demo's data and start a new story
    #[arg(long)]
    pub fresh: bool,
    /// Where its data lies [default: ./sapa-data/demo]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The port of HTTP [default: 7272]
    #[arg(long)]
    pub port: Option<u16>,
    /// Without NATS
    #[arg(long)]
    pub no_nats: bool,
    /// Fetch nothing
    #[arg(long)]
    pub offline: bool,
}

impl Demo {
    /// The settings among its arguments.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, String, &'static str)> {
        [
            ("data_dir", self.data_dir.clone(), "--data-dir"),
            ("http.addr", self.port.map(|it| format!("127.0.0.1:{it}")), "--port"),
            ("nats.mode", self.no_nats.then(|| "off".to_owned()), "--no-nats"),
            ("nats.fetch", self.offline.then(|| "false".to_owned()), "--offline"),
        ]
        .into_iter()
        .filter_map(|(key, value, flag)| Some((key, value?, flag)))
        .collect()
    }

    /// Plays.
    pub async fn run(self, session: Session) -> Result<Exit, Failure> {
        drop(session);
        Ok(Exit::Done)
    }
}
