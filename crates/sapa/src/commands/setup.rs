//! `sapa setup`: streams and consumers on NATS, made and repaired with the setup credential.
//! Every difference is told, with what became of it; what no promise rests on is left alone.

use async_nats::jetstream;
use clap::Args;
use events::broker_config::Difference;
use serde_json::json;

use crate::broker;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::say;
use crate::serve::pipes;

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
    /// Makes and repairs; with `--dry-run` only looks.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let nats = &session.config.nats;
        let Some(url) = &nats.url else {
            return Err(Failure::new(
                Exit::Config,
                say!("there is no NATS server to set up", "tidak ada server NATS untuk disiapkan"),
                say!(
                    "Set nats.url or NATS_URL; a managed server is set up by `sapa serve` itself.",
                    "Atur nats.url atau NATS_URL; server terkelola disiapkan oleh `sapa serve` sendiri."
                ),
            ));
        };
        let client = broker::connect(nats, "setup", url, None, false).await?;
        broker::check_version(&client)?;
        let context = jetstream::new(client);
        let repair = !session.globals.dry_run;
        let mut found = self.look(session, &context, repair).await?;
        // What could not be changed differs still.
        let open = if repair { self.look(session, &context, false).await? } else { found.clone() };
        let is_open = |it: &Difference| {
            open.iter().any(|other| (&other.object, &other.field) == (&it.object, &it.field))
        };
        let state = |it: &Difference| match (it.matters, is_open(it), repair) {
            (false, ..) => say!("left alone", "dibiarkan"),
            (true, false, _) => say!("repaired", "diperbaiki"),
            (true, true, true) => say!("not repaired", "belum diperbaiki"),
            (true, true, false) => say!("to repair", "perlu diperbaiki"),
        };
        found.sort_by_key(|it| !it.matters);
        let lines =
            found.iter().map(|it| json!({"state": state(it), "difference": pipes::spelled(it)}));
        session.output.value(&lines.collect::<Vec<_>>().into(), &["state", "difference"])?;
        let is_done = !open.iter().any(|it| it.matters);
        Ok(if is_done { Exit::Done } else { Exit::Config })
    }

    /// Looks at everything this command is about; with `repair`, repairs what matters.
    async fn look(
        &self,
        session: &Session,
        context: &jetstream::Context,
        repair: bool,
    ) -> Result<Vec<Difference>, Failure> {
        let mut found = pipes::streams(&session.config, (context, context), repair).await?;
        let alerts = format!("sapa.v1.{}.alert.>", session.config.tenant);
        let readers =
            [(&self.alert_consumer, Some(&alerts)), (&self.fact_consumer, self.filter.as_ref())];
        for (name, filter) in readers {
            if let (Some(name), Some(filter)) = (name, filter) {
                found.extend(reader(context, name, filter, repair).await?);
            }
        }
        Ok(found)
    }
}

async fn reader(
    context: &jetstream::Context,
    name: &str,
    filter: &str,
    repair: bool,
) -> Result<Vec<Difference>, Failure> {
    use ingest::stream::{Mode, create_or_verify_reader};
    let mode = if repair { Mode::Repair } else { Mode::VerifyOnly };
    create_or_verify_reader(context, name, filter, mode)
        .await
        .map_err(|error| pipes::broken(&error, error.is_away()))
}
