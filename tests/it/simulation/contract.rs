//! Holds the modelled log to the real one: the same operations, chosen by a seed, get the same
//! answers from both. What the simulation proves over the model holds for the database too.

use std::path::Path;
use std::sync::Arc;

use events::time::{Clock, FixedClock};
use jiff::SignedDuration;
use store::checkpoint::{self, Checkpoint, MoveError};
use store::db::Place;
use store::lease::{self, LEADER};
use store::{AppendError, Appended, Bell, Log, Writer};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::simulation::ledger::{Commit, Ledger, Refused};
use crate::support::event::event;
use tests::dice::Dice;

const OPERATIONS: usize = 60;
const RELAY: &str = "relay";

/// One run; panics where the two differ.
pub async fn compare(seed: u64, folder: &Path) {
    let place = Place::Folder(folder.to_owned());
    let clock = Arc::new(FixedClock::at("2026-08-01T02:00:00Z".parse().unwrap()));
    let handed: Arc<dyn Clock> = clock.clone();
    let log = Log::open_unsafe_durability(&place, 2, Uuid::from_u128(7)).await.unwrap();
    let (writer, appender) = Writer::new(log.db().clone(), handed, Bell::default(), 64);
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    let (mut model, mut dice) = (Ledger::default(), Dice::apart(seed));
    let mut believed = Checkpoint::default();
    for operation in 0..OPERATIONS {
        let now = clock.now();
        match dice.below(10) {
            0..5 => {
                let events: Vec<_> = (0..=dice.below(5)).map(|_| some_event(&mut dice)).collect();
                let real = appender.append_each(events.clone()).await;
                let said = model.append_each(events, now, Commit::Fine);
                let (real, said): (Vec<_>, Vec<_>) =
                    (real.iter().map(told).collect(), said.iter().map(told).collect());
                assert_eq!(real, said, "seed {seed}, operation {operation}");
                assert_eq!(log.head().await.unwrap(), model.head(), "seed {seed}");
            }
            5 => {
                let seconds = [-20, 1, 4, 11][dice.index(4)];
                clock.set(now + SignedDuration::from_secs(seconds));
            }
            6 | 7 => {
                let holder = ["a", "b", "c"][dice.index(3)];
                if dice.percent(20) {
                    lease::release(log.db(), LEADER, holder, now).await.unwrap();
                    model.release(holder, now);
                }
                let real = lease::take(log.db(), LEADER, holder, now).await.unwrap();
                let said = model.take(holder, now).unwrap();
                assert_eq!(real, said, "seed {seed}, operation {operation}: {holder}");
            }
            8 => {
                let epoch = i64::try_from(dice.below(4)).unwrap();
                let mut tx = log.db().begin_write().await.unwrap();
                let real = checkpoint::claim(&mut tx, RELAY, epoch).await;
                tx.commit().await.unwrap();
                let said = model.claim(epoch);
                assert_eq!(real.is_ok(), said.is_ok(), "seed {seed}, operation {operation}");
                if let Ok(said) = said {
                    assert_eq!(checkpoint::load(log.db(), RELAY).await.unwrap(), said);
                    believed = said;
                }
            }
            _ => {
                let to = Checkpoint { position: believed.position + 1, ..believed.clone() };
                let mut tx = log.db().begin_write().await.unwrap();
                let real = checkpoint::advance(&mut tx, RELAY, &believed, &to).await;
                tx.commit().await.unwrap();
                let said = model.advance(&believed, &to);
                // The model knows one refusal where the log tells a newer epoch from another place.
                let refused =
                    matches!(real, Err(MoveError::Fenced { .. } | MoveError::Elsewhere { .. }));
                assert_eq!(refused, said == Err(Refused::Fenced), "seed {seed}, {operation}");
                if said.is_ok() && dice.percent(70) {
                    believed = to;
                }
            }
        }
    }
    stop.cancel();
    writing.await.unwrap();
    log.db().close().await;
}

/// One of a few ids with one of two contents, now and then under a condition.
fn some_event(dice: &mut Dice) -> events::envelope::Incoming {
    let id = format!("e-{}", dice.below(40));
    let made = event("interaction.contacted")
        .id(&id)
        .source("/contract")
        .customer(&format!("c-{}", dice.below(2)))
        .at("2026-07-31T02:00:00Z");
    let made = if dice.percent(10) { made.member("outcome", "no_answer") } else { made };
    let condition = i64::try_from(dice.below(6)).unwrap();
    let made = if dice.percent(15) { made.expecting(condition) } else { made };
    made.incoming()
}

/// An answer, as far as the two have to agree.
fn told(it: &Result<Appended, AppendError>) -> String {
    match it {
        Ok(it) => format!("{} {:?}", it.is_new(), it.receipt()),
        Err(AppendError::EventIdConflict { original, .. }) => format!("conflict with {original:?}"),
        Err(AppendError::VersionConflict { stream, expected, actual, .. }) => {
            format!("{stream} is at {actual}, not {expected}")
        }
        Err(other) => other.to_string(),
    }
}
