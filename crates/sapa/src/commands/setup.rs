//! `sapa setup`: streams and consumers on NATS, made and repaired with the setup credential.
//! Every difference is told, wanted against found, whether it was put right or only looked at.

use async_nats::jetstream;
use clap::Args;
use serde_json::json;

use crate::broker;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::serve::checks::Finding;
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
                "there is no NATS server to set up",
                "Set nats.url or NATS_URL; a managed server is set up by `sapa serve` itself.",
            ));
        };
        let client = broker::connect(nats, "setup", url, None, false).await?;
        broker::check_version(&client)?;
        let context = jetstream::new(client);
        let repair = !session.globals.dry_run;
        let mut found = pipes::streams(&session.config, &context, repair).await?;
        let alerts = format!("sapa.v1.{}.alert.>", session.config.tenant);
        let readers = [(self.alert_consumer, Some(alerts)), (self.fact_consumer, self.filter)];
        for (name, filter) in readers {
            if let (Some(name), Some(filter)) = (name, filter) {
                found.extend(reader(&context, &name, &filter, repair).await?);
            }
        }
        let word = if repair { "put right" } else { "to put right" };
        let lines = found.iter().map(|it| json!({"state": word, "difference": it.found}));
        session.output.value(&lines.collect::<Vec<_>>().into(), &["state", "difference"])?;
        let open = !repair && !found.is_empty();
        Ok(if open { Exit::Config } else { Exit::Done })
    }
}

async fn reader(
    context: &jetstream::Context,
    name: &str,
    filter: &str,
    repair: bool,
) -> Result<Vec<Finding>, Failure> {
    use ingest::stream::{Mode, create_or_verify_reader};
    let mode = if repair { Mode::Repair } else { Mode::VerifyOnly };
    let told = create_or_verify_reader(context, name, filter, mode)
        .await
        .map_err(|error| pipes::broken(&error, error.is_away()))?;
    Ok(told.iter().map(|it| pipes::differs(&it.object, &it.field, &it.wanted, &it.found)).collect())
}
