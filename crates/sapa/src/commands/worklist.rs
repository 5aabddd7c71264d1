//! `sapa worklist`: whose turn it is in a team, and why.

use clap::Subcommand;
use serde_json::json;

use super::{act, alert, object};
use crate::cli::Paging;
use crate::client::Call;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Worklist {
    /// Alerts that nobody has taken, the one whose turn it is first
    Show {
        /// Only of this team
        #[arg(long)]
        team: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Take the one whose turn it is
    Next {
        /// Only of this team
        #[arg(long)]
        team: Option<String>,
    },
}

impl Worklist {
    /// Asks.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Show { team, paging } => {
                let call = Call::get(&["v1", "worklist"]).with("team", team).paged(&paging);
                session.ask(call.columns(alert::COLUMNS)).await
            }
            Self::Next { team } => {
                let body = object([("team", team.map(|it| json!(it)))]);
                let call = act(&["v1", "worklist", "next"], &body).columns(alert::DONE);
                let (exit, answer) = session.ask_and_keep(call).await?;
                if exit == Exit::Done
                    && answer.json().get("alert").is_some_and(serde_json::Value::is_null)
                {
                    session.output.note(&say!("nobody is waiting", "tidak ada yang menunggu"));
                }
                Ok(exit)
            }
        }
    }
}
