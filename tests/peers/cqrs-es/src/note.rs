//! What of cqrs-es and postgres-es is used, as their documentation and their examples do.

use std::fmt;
use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

pub const APPEND_NOTE: &str = "execute, which loads the aggregate first, no snapshots, no queries, 64 connections, 10,000 aggregates";
pub const ONCE_NOTE: &str =
    "an aggregate that refuses to be noted twice: a repeat is an error, not the receipt";

/// Aggregates that the events go round.
const CUSTOMERS: u64 = 10_000;

/// The tables, as `db/init.sql` of postgres-es makes them.
const TABLES: &str = "
    CREATE TABLE events
    (
        aggregate_type text                         NOT NULL,
        aggregate_id   text                         NOT NULL,
        sequence       bigint CHECK (sequence >= 0) NOT NULL,
        event_type     text                         NOT NULL,
        event_version  text                         NOT NULL,
        payload        json                         NOT NULL,
        metadata       json                         NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    );
    CREATE TABLE snapshots
    (
        aggregate_type   text                                 NOT NULL,
        aggregate_id     text                                 NOT NULL,
        last_sequence    bigint CHECK (last_sequence >= 0)    NOT NULL,
        current_snapshot bigint CHECK (current_snapshot >= 0) NOT NULL,
        payload          json                                 NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
    );";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NoteEvent {
    Noted { n: u64, visibility: String, text: String },
}

impl DomainEvent for NoteEvent {
    fn event_type(&self) -> String {
        "Noted".into()
    }

    fn event_version(&self) -> String {
        "1.0".into()
    }
}

pub enum NoteCommand {
    /// However often.
    Note(NoteEvent),
    /// Only if nothing has been noted.
    NoteOnce(NoteEvent),
}

/// It was noted already.
#[derive(Debug)]
pub struct Known;

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was noted already")
    }
}

impl std::error::Error for Known {}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Notes {
    count: u64,
}

impl Aggregate for Notes {
    const TYPE: &'static str = "note";
    type Command = NoteCommand;
    type Event = NoteEvent;
    type Error = Known;
    type Services = ();

    async fn handle(
        &mut self,
        command: NoteCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Known> {
        let event = match command {
            NoteCommand::NoteOnce(_) if self.count != 0 => return Err(Known),
            NoteCommand::Note(event) | NoteCommand::NoteOnce(event) => event,
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, _event: NoteEvent) {
        self.count += 1;
    }
}

/// An event of 400 bytes of JSON.
fn noted(n: u64) -> NoteEvent {
    let made = |text: String| NoteEvent::Noted { n, visibility: "team".into(), text };
    let bare = serde_json::to_string(&made(String::new())).map_or(0, |it| it.len());
    made("x".repeat(400_usize.saturating_sub(bare)))
}

#[derive(Clone)]
pub struct Store(Arc<PostgresCqrs<Notes>>);

impl Store {
    pub async fn open(pool: PgPool) -> anyhow::Result<Self> {
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        Ok(Self(Arc::new(postgres_cqrs(pool, vec![], ()))))
    }

    pub async fn append(&self, n: u64) -> anyhow::Result<()> {
        let stream = (n % CUSTOMERS).to_string();
        Ok(self.0.execute(&stream, NoteCommand::Note(noted(n))).await?)
    }

    /// Every event in an aggregate of its own. It answers with nothing, so whoever was not refused
    /// knows only that theirs is the first there.
    pub async fn append_once(&self, n: u64) -> anyhow::Result<u64> {
        self.0.execute(&format!("once-{n}"), NoteCommand::NoteOnce(noted(n))).await?;
        Ok(1)
    }
}
