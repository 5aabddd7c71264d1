//! `sapa recover`: after a log that has lost its end, because a backup was restored or a standby took
//! over that missed commits. It builds the read models anew where they are ahead of the log, lets a
//! person choose what is published again, and has `SAPA_IN` read again from its beginning, so that
//! what the broker still holds is recorded. It runs while no server does; a managed nats-server is
//! started for it and stopped again.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use clap::Args;
use delivery::recover::{RecoverError, Standing, restart, standing};
use events::mint::Ids;
use events::time::Clock;
use jiff::{SignedDuration, Timestamp};
use projections::{Views, replace};
use serde_json::{Value, json};
use store::lease::{self, LEADER, RENEW_EVERY};
use store::{Log, generations};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::broker::connect;
use crate::clock::{SystemClock, SystemIds};
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::serve::nats::{Broker, broker};
use crate::serve::{pipes, service};

/// A little longer than a lease, and than the time in which it is renewed.
const PAUSE: Duration = Duration::from_millis(500);

/// Its arguments.
#[derive(Debug, Args)]
pub struct Recover {
    /// What is published again: `new` (what never went out), `all` (everything `SAPA_OUT` keeps), or
    /// what follows a position
    #[arg(long, value_name = "new|all|POSITION")]
    pub publish: Option<Choice>,
}

/// What is published again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What the log holds after the last event that stream and log have in common.
    New,
    /// Everything that the stream keeps by its age.
    All,
    /// What follows a position.
    After(i64),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "new" => Ok(Self::New),
            "all" => Ok(Self::All),
            _ => text.parse().ok().filter(|it| 0 <= *it).map(Self::After).ok_or_else(|| {
                "write new, all, or the position after which facts are published again".to_owned()
            }),
        }
    }
}

impl Choice {
    /// The position after which the relay goes on.
    fn after(self, it: &Standing) -> i64 {
        match self {
            Self::New => it.common,
            Self::All => it.before_kept,
            Self::After(position) => position.min(it.head),
        }
    }
}

impl Recover {
    /// Looks, and mends what it finds.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let config = &session.config;
        let _locks = service::locks(config)?;
        let log = Log::open(&config.database.place, 2, SystemIds.new_id()).await?;
        let holder = format!("recover-{}", SystemIds.new_id());
        let epoch = lead(session, &log, &holder).await?;
        let mended = Box::pin(self.mend(session, &log, epoch)).await;
        let released = lease::release(log.db(), LEADER, &holder, SystemClock.now()).await;
        let (exit, answer) = mended?;
        released.map_err(Failure::store)?;
        session.output.value(&answer, &[])?;
        Ok(exit)
    }

    async fn mend(
        &self,
        session: &Session,
        log: &Log,
        epoch: i64,
    ) -> Result<(Exit, Value), Failure> {
        let read_models = Box::pin(read_models(session, log, epoch)).await?;
        let mut exit = Exit::Done;
        let published = match broker(&session.config, true).await? {
            None => json!("there is no broker"),
            Some(mut broker) => {
                let published = Box::pin(self.publish(session, log, epoch, &broker)).await;
                if let Some(server) = broker.server.take() {
                    server.stop().await;
                }
                match published? {
                    Ok(answer) => answer,
                    Err(choice) => {
                        exit = Exit::Usage;
                        choice
                    }
                }
            }
        };
        Ok((exit, json!({ "read_models": read_models, "published": published })))
    }

    /// Starts the stream anew; the inner error is what there is to choose from.
    async fn publish(
        &self,
        session: &Session,
        log: &Log,
        epoch: i64,
        broker: &Broker,
    ) -> Result<Result<Value, Value>, Failure> {
        let config = &session.config;
        let (url, token) = (broker.url.as_str(), broker.token.as_deref());
        let client = connect(&config.nats, "setup", url, token, false).await?;
        let context = jetstream::new(client);
        pipes::streams(config, (&context, &context), broker.is_ours()).await?;
        let max_age = SignedDuration::try_from(config.nats.max_age).unwrap_or(SignedDuration::MAX);
        let found =
            standing(&context, log, SystemClock.now(), max_age).await.map_err(|it| failed(&it))?;
        if !found.is_ahead && self.publish.is_none() {
            return Ok(Ok(json!("nothing went out that the log does not hold")));
        }
        let Some(choice) = self.publish else {
            return Ok(Err(choices(session, &found)));
        };
        let after = choice.after(&found);
        if session.globals.dry_run {
            return Ok(Ok(json!({ "after": after, "facts": found.head - after })));
        }
        restart(&context, log, epoch, after).await.map_err(|it| failed(&it))?;
        read_in_again(config, &context).await?;
        session.output.note("SAPA_OUT is empty, and SAPA_IN is read again from its beginning");
        Ok(Ok(json!({ "after": after, "facts": found.head - after })))
    }
}

/// Builds the read models anew where they were folded from events that this log does not hold.
async fn read_models(session: &Session, log: &Log, epoch: i64) -> Result<&'static str, Failure> {
    let place = session.config.database.place.clone();
    let views = Views::open(place, log.clone(), Arc::new(SystemClock), 2).await?;
    if replace::follows_the_log(&views, epoch).await? {
        return Ok("follow the log");
    }
    if session.globals.dry_run {
        return Ok("are ahead of the log");
    }
    session.output.note("the read models are ahead of the log and are built anew");
    let old = views.live().generation;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, error.to_string(), "Run `sapa recover` again: it goes on.")
    };
    let opened =
        replace::begin(&views, epoch, SystemClock.now()).await.map_err(|it| failed(&it))?;
    let generation = opened.beside.unwrap_or_default();
    let runner = Mutex::new(opened.runner);
    let mut told = 0;
    let report = |it: projections::rebuild::Progress| {
        if told + 100_000 <= it.position {
            told = it.position;
            session.output.note(&format!("{} of {}", it.position, it.target));
        }
    };
    let stop = CancellationToken::new();
    replace::finish(&runner, generation, &views, &stop, report).await.map_err(|it| failed(&it))?;
    // Nobody may go back to rows of events that are gone.
    let forgotten = generations::forget(log.db(), views.place(), old).await;
    forgotten.map_err(Failure::store)?;
    Ok("were built anew")
}

/// What the log lost may still lie in the broker.
async fn read_in_again(config: &crate::config::Config, context: &Context) -> Result<(), Failure> {
    ingest::stream::read_again(context, &pipes::in_limits(config))
        .await
        .map_err(|error| pipes::broken(&error, error.is_away()))
}

/// What a person has to choose from, and what each choice means.
fn choices(session: &Session, it: &Standing) -> Value {
    let last = it.last.unwrap_or_default();
    session.output.note(&format!(
        "SAPA_OUT ends at position {last}. Up to position {} it holds what the log holds; what went out after that, the log has lost.",
        it.common
    ));
    session.output.note(&format!(
        "  sapa recover --publish new    {} facts: what never went out. Consumers miss what they had not read yet.",
        it.head - it.common
    ));
    session.output.note(&format!(
        "  sapa recover --publish all    {} facts: all that SAPA_OUT keeps. Consumers drop repeats by source and id.",
        it.head - it.before_kept
    ));
    json!({
        "last": last,
        "common": it.common,
        "new": it.head - it.common,
        "all": it.head - it.before_kept,
    })
}

fn failed(error: &RecoverError) -> Failure {
    Failure::new(
        Exit::Unavailable,
        error.to_string(),
        "Run `sapa doctor`, then `sapa recover` again.",
    )
}

/// Takes the lease. One that a killed server left, or that came with a backup, ends by itself and is
/// waited for; one that is renewed belongs to a server that runs.
pub async fn lead(session: &Session, log: &Log, holder: &str) -> Result<i64, Failure> {
    let mut seen: Option<(String, Timestamp)> = None;
    loop {
        let now = SystemClock.now();
        let taken = lease::take(log.db(), LEADER, holder, now).await.map_err(Failure::store)?;
        if let Some(held) = taken {
            return Ok(held.epoch);
        }
        let Some((other, _, until)) = lease::holder(log.db(), LEADER).await? else { continue };
        match &seen {
            Some((name, before)) if *name != other || *before < until => {
                return Err(Failure::new(
                    Exit::Later,
                    format!("{other} leads on this log"),
                    "Stop every instance, and run it again.",
                ));
            }
            Some(_) => {}
            None => session
                .output
                .note("waiting for a lease that was not given back, ten seconds at most"),
        }
        seen = Some((other, until));
        let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        // A server that runs renews within this time.
        tokio::time::sleep((left + PAUSE).min(RENEW_EVERY + PAUSE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_word_or_a_position_and_never_past_the_head() {
        let it = Standing { last: Some(30), common: 20, before_kept: 5, head: 22, is_ahead: true };
        let after = |text: &str| Choice::from_str(text).unwrap().after(&it);
        assert_eq!((after("new"), after("all"), after("7"), after("99")), (20, 5, 7, 22));
        assert!(Choice::from_str("-1").is_err() && Choice::from_str("some").is_err());
    }
}
