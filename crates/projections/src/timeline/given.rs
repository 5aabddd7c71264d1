//! Facts for tests: who did what when, and everything else filled in; and a stage to fold them on.

use std::sync::Arc;

use events::envelope::{Attributes, Channel, Recorded};
use events::fact::Fact;
use events::id::EventRef;
use events::kind::Kind;
use events::policy::Policies;
use events::time::FixedClock;
use jiff::Timestamp;
use store::Log;
use store::db::Place;
use store::sql::SqlTime;

use crate::entry::Entry;
use crate::runner::Runner;
use crate::views::{Snapshot, Views};

/// A local time in Jakarta: `2026-10-03 14:00`.
pub(crate) fn at(text: &str) -> Timestamp {
    format!("{}:00+07:00", text.replace(' ', "T")).parse().unwrap()
}

/// A fact of `c-ida`, recorded when it happened, by staff unless the customer moved.
pub(crate) fn event(position: i64, kind: &str, when: &str, data: &str) -> Recorded {
    let kind: Kind = kind.parse().unwrap();
    let actor = match kind.direction() {
        events::kind::Direction::In => "customer",
        _ => "staff/dewi",
    };
    Recorded {
        position,
        tenant: "main".parse().unwrap(),
        stream: "customer/c-ida".parse().unwrap(),
        version: position,
        source: "/hotel/front-desk".parse().unwrap(),
        id: format!("e-{position}").parse().unwrap(),
        kind,
        schema_version: kind.newest_version(),
        customer: Some("c-ida".parse().unwrap()),
        occurred_at: at(when),
        recorded_at: at(when),
        causation_id: None,
        correlation_id: None,
        trace: None,
        attributes: Attributes {
            actor: actor.parse().unwrap(),
            channel: Some(Channel::Desk),
            voids: None,
            imported: false,
            dataschema: None,
            extensions: std::collections::BTreeMap::new(),
        },
        data: data.into(),
    }
}

/// Shows a fact to a fold, with the day it has in Jakarta.
pub(crate) fn with<T>(event: &Recorded, see: impl FnOnce(&Entry<'_>) -> T) -> T {
    let fact: Fact = event.fact().unwrap();
    let day = Policies::default().calendar.local_date(event.occurred_at);
    see(&Entry { event, fact: &fact, day })
}

/// The reference of the fact at a position.
pub(crate) fn reference(position: i64) -> EventRef {
    format!("/hotel/front-desk#e-{position}").parse().unwrap()
}

/// A log with some facts and read models that have folded them, on SQLite.
pub(crate) struct Stage {
    pub(crate) log: Log,
    pub(crate) views: Views,
    _folder: tempfile::TempDir,
}

const INSERT: &str = "
    INSERT INTO events (position, tenant, stream, version, source, event_id, type, customer_id,
                        occurred_at, recorded_at, attributes, fingerprint, data)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

impl Stage {
    /// Records facts, past the checks at the door, and folds them.
    pub(crate) async fn with(events: &[Recorded]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        let log = Log::open(&place, 2, uuid::Uuid::from_u128(7)).await.unwrap();
        record(&log, events).await;
        let clock = Arc::new(FixedClock::at(at("2026-11-21 09:00")));
        let views = Views::open(place, log.clone(), clock, 2).await.unwrap();
        let live = views.live();
        let mut runner = Runner::open(log.clone(), live.db, live.generation, 1).await.unwrap();
        while runner.step().await.unwrap().events != 0 {}
        Self { log, views, _folder: folder }
    }

    /// Begins an answer.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        self.views.snapshot().await.unwrap()
    }
}

async fn record(log: &Log, events: &[Recorded]) {
    let mut tx = log.db().begin_write().await.unwrap();
    for it in events {
        store::on_tx!(&mut tx, conn => {
            sqlx::query(INSERT)
                .bind(it.position)
                .bind(it.tenant.as_str())
                .bind(it.stream.as_str())
                .bind(it.version)
                .bind(it.source.as_str())
                .bind(it.id.as_str())
                .bind(it.kind.type_name(it.schema_version))
                .bind(it.customer.as_ref().map(|it| it.as_str().to_owned()))
                .bind(SqlTime(it.occurred_at))
                .bind(SqlTime(it.recorded_at))
                .bind(serde_json::to_string(&it.attributes).unwrap())
                .bind(vec![0_u8; 32])
                .bind(it.data.to_string())
                .execute(&mut *conn)
                .await
                .unwrap();
            sqlx::query("UPDATE log_head SET position = $1")
                .bind(it.position)
                .execute(conn)
                .await
                .unwrap();
        });
    }
    tx.commit().await.unwrap();
}
