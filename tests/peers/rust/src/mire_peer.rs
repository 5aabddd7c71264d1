//! What of mire is used, as its documentation and its examples do.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mire::{
    Aggregate, Event, EventData, EventHandler, EventStore, ExpectedVersion, HandledEvent,
    ProjectionRunner,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub const APPEND_NOTE: &str = "append, ExpectedVersion::Any, 64 connections, 10,000 streams";
pub const READ_NOTE: &str = "ProjectionRunner with an EventHandler, looking again after 100 ms at the latest; its order is that of transactions, so a lower position may come later";
pub const ONCE_NOTE: &str =
    "ExpectedVersion::NoStream of the first attempt: a repeat is a conflict, not the receipt";

/// Streams that the events go round.
const CUSTOMERS: u64 = 10_000;
/// How often a reader that was not woken looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Serialize, Deserialize, EventData)]
#[serde(tag = "type")]
#[mire(entity = "note")]
enum NoteEvent {
    Noted { n: u64, visibility: String, text: String },
}

#[derive(Debug, Default)]
struct Note;

impl Aggregate for Note {
    type Event = NoteEvent;

    fn stream_category() -> &'static str {
        "note"
    }

    fn apply(&mut self, _event: &NoteEvent) {}
}

/// Which event was delivered, its position, and when.
pub type Delivered = Arc<Mutex<Vec<(u64, i64, Instant)>>>;

/// An event of 400 bytes of JSON.
fn noted(n: u64) -> Event<NoteEvent> {
    let made = |text: String| NoteEvent::Noted { n, visibility: "team".into(), text };
    let bare = serde_json::to_string(&made(String::new())).map_or(0, |it| it.len());
    Event::new(made("x".repeat(400_usize.saturating_sub(bare))))
}

fn stream(n: u64) -> String {
    format!("note-{}", n % CUSTOMERS)
}

#[derive(Clone)]
pub struct Store(EventStore);

impl Store {
    pub async fn open(pool: PgPool) -> anyhow::Result<Self> {
        let store = EventStore::new(pool);
        store.migrate().await?;
        Ok(Self(store))
    }

    pub async fn append(&self, n: u64) -> anyhow::Result<()> {
        self.0.append(&stream(n), "note", ExpectedVersion::Any, &[noted(n)]).await?;
        Ok(())
    }

    /// In a transaction that stays open for a while, then is committed or not.
    pub async fn append_held(&self, n: u64, hold: Duration, commit: bool) -> anyhow::Result<()> {
        let mut scope = self.0.begin_transaction().await?;
        scope.append(&stream(n), "note", ExpectedVersion::Any, &[noted(n)]).await?;
        tokio::time::sleep(hold).await;
        if commit {
            scope.commit().await?;
        } else {
            scope.rollback().await?;
        }
        Ok(())
    }

    /// Every event in a stream of its own, so whoever repeats it knows the version it expected.
    pub async fn append_once(&self, n: u64) -> anyhow::Result<i64> {
        let stream = format!("once-{n}");
        Ok(self.0.append(&stream, "note", ExpectedVersion::NoStream, &[noted(n)]).await?)
    }

    /// Notes what a reader is delivered until it is told to stop.
    pub fn follow(&self, delivered: Delivered) -> CancellationToken {
        let runner = ProjectionRunner::builder(self.0.clone())
            .idle_backstop_interval(LOOK_AGAIN)
            .subscribe("torture", Reader(delivered))
            .build();
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(async move {
            if let Err(error) = runner.run(token).await {
                eprintln!("the reader ended: {error:#}");
            }
        });
        stop
    }
}

struct Reader(Delivered);

impl EventHandler for Reader {
    type Aggregate = Note;

    async fn handle(&self, event: HandledEvent<NoteEvent>) -> anyhow::Result<()> {
        let NoteEvent::Noted { n, .. } = event.event;
        let own = (n, event.recorded.global_position, Instant::now());
        self.0.lock().expect("nobody panics").push(own);
        Ok(())
    }
}
