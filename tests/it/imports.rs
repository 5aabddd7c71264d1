//! History out of files, as people bring it: two real data sets through the product's own reader,
//! validator, log and read models, held against totals that were counted elsewhere.

mod cdnow;
mod hotel;

use std::time::{Duration, Instant};

use events::envelope::Incoming;
use events::time::Clock as _;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use projections::rebuild;
use sapa::import::{Map, Plan, Reader};
use tests::event::{anybody, incoming};

use crate::house::{House, main_tenant};

/// Events of one append, as `sapa event import` sends them.
const BATCH: usize = 512;

/// What became of the rows of a file.
#[derive(Debug, PartialEq, Eq)]
struct Imported {
    recorded: u64,
    duplicates: u64,
}

fn reader(path: &std::path::Path, map: &str) -> Reader {
    Reader::open(path, Plan::Mapped(Box::new(Map::load(map, &[]).unwrap())), 0).unwrap()
}

/// Takes events through the validator, a batch on each core, and appends them in their order.
async fn import(house: &House, events: impl Iterator<Item = Vec<u8>>) -> Imported {
    let mut events = events.peekable();
    let batches = std::iter::from_fn(move || {
        events.peek()?;
        Some(events.by_ref().take(BATCH).collect::<Vec<_>>())
    });
    let now = house.clock.now();
    let checked = stream::iter(batches)
        .map(|batch| tokio::task::spawn_blocking(move || check(&batch, now)))
        .buffered(2);
    let mut checked = std::pin::pin!(checked);
    let mut done = Imported { recorded: 0, duplicates: 0 };
    while let Some(batch) = checked.next().await {
        for it in house.appender.append(batch.unwrap()).await.unwrap() {
            *if it.is_new() { &mut done.recorded } else { &mut done.duplicates } += 1;
        }
    }
    done
}

fn check(batch: &[Vec<u8>], now: Timestamp) -> Vec<Incoming> {
    let tenant = main_tenant();
    let sender = anybody(&tenant, now);
    batch.iter().map(|it| incoming(it, &sender)).collect()
}

/// Waits until the read models show everything the log holds.
async fn caught_up(house: &House) {
    let began = Instant::now();
    let head = house.log.head().await.unwrap();
    while !house.views.wait_for(head, Duration::from_secs(10)).await.unwrap() {
        assert!(began.elapsed() < Duration::from_secs(500), "the read models do not catch up");
    }
}

/// The head of the log, and rows and hash of every read model.
async fn fingerprint(house: &House) -> (i64, Vec<(&'static str, i64, String)>) {
    caught_up(house).await;
    let hashes = rebuild::hashes(&*house.runner.lock().await).await.unwrap();
    (house.log.head().await.unwrap(), hashes)
}

/// Says on which local date something happened.
struct Days(TimeZone);

impl Days {
    fn new() -> Self {
        Self(TimeZone::get("Asia/Jakarta").unwrap())
    }

    fn of(&self, at: Timestamp) -> Date {
        self.0.to_datetime(at).date()
    }
}
