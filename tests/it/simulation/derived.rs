//! The runner and the reactions over the real SQLite log, while commits fail inside their
//! transaction, answers are lost, instances die, sleep and are taken over, and clocks jump.
//!
//! Failures are real: a trigger of the test refuses a row somewhere in the middle of a transaction.
//! At the end everything is healed, and the read models have to equal a fresh fold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::envelope::Recorded;
use events::id::Tenant;
use events::kind::Kind;
use events::time::{Clock, FixedClock, spell};
use jiff::{SignedDuration, Timestamp};
use projections::rebuild::hashes;
use projections::runner::{CHECKPOINT, RunError};
use projections::{Runner, Views};
use reactions::Reactor;
use serde_json::{Value, json};
use store::checkpoint::{self, Checkpoint};
use store::db::Place;
use store::lease::{self, LEADER};
use store::{AppendError, Appender, Bell, Db, Log, Writer, on_tx};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::event::event;
use tests::dice::Dice;

/// Steps under faults.
const STEPS: usize = 60;
/// Rounds in which everything has to come to rest.
const ROUNDS: usize = 60;
/// How often it is looked whether something else has happened.
const LOOK: Duration = Duration::from_micros(200);
/// Statements in the middle of a step of the runner.
const IN_VIEWS: [&str; 5] = [
    "INSERT ON main.timeline",
    "INSERT ON main.dossiers",
    "INSERT ON main.agenda",
    "INSERT ON main.cards",
    "UPDATE ON main.checkpoints",
];
/// Statements in the middle of an append.
const IN_LOG: [&str; 2] = ["INSERT ON main.events", "UPDATE ON main.log_head"];

/// A mistake that is planted to see whether it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// M2: the checkpoint is moved in a transaction of its own.
    MovesTheCheckpointApart,
    /// M11: time is read off another clock than the one that was handed in.
    LooksAtAnotherClock,
}

/// An instance: the epoch it believes in and its runner, if it has one.
#[derive(Default)]
struct Instance {
    starts: u64,
    runner: Option<(i64, Runner)>,
}

struct Derived {
    dice: Dice,
    mistake: Option<Mistake>,
    clock: Arc<FixedClock>,
    log: Log,
    appender: Appender,
    views: Views,
    reactor: Reactor,
    instances: [Instance; 2],
    /// The newest epoch under which somebody claimed the read models.
    newest: i64,
    sent: u64,
    /// Whom each fact was about, in their order.
    about: Vec<u64>,
    told: Vec<(String, i64)>,
    /// When each promise is due.
    promises: BTreeMap<String, Timestamp>,
    stop: CancellationToken,
}

fn start() -> Timestamp {
    "2026-08-20T02:00:00Z".parse().unwrap()
}

/// Makes the folder that every run begins with a copy of.
pub async fn prepare(folder: &Path) {
    let place = Place::Folder(folder.to_owned());
    let log = Log::open_unsafe_durability(&place, 1, Uuid::from_u128(7)).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(start()));
    let views = Views::open(place, log.clone(), clock, 1).await.unwrap();
    let live = views.live();
    let runner = Runner::open(log.clone(), live.db.clone(), live.generation, 0).await.unwrap();
    drop(runner);
    live.db.close().await;
    log.db().close().await;
}

/// One run over a copy of that folder.
pub async fn run(seed: u64, template: &Path, mistake: Option<Mistake>) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    for it in std::fs::read_dir(template).unwrap() {
        let it = it.unwrap();
        std::fs::copy(it.path(), folder.path().join(it.file_name())).unwrap();
    }
    let place = Place::Folder(folder.path().to_owned());
    let clock = Arc::new(FixedClock::at(start()));
    let handed: Arc<dyn Clock> = clock.clone();
    let log = Log::open_unsafe_durability(&place, 2, Uuid::from_u128(7)).await.unwrap();
    let (writer, appender) = Writer::new(log.db().clone(), handed.clone(), Bell::default(), 64);
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    let views = Views::open(place, log.clone(), handed, 2).await.unwrap();
    let keys = Arc::new(|_: &Tenant| Some(b"key".to_vec()));
    let reactor = Reactor::new(views.clone(), appender.clone(), keys);
    let mut it = Derived {
        dice: Dice::apart(seed),
        mistake,
        clock,
        log,
        appender,
        views,
        reactor,
        instances: Default::default(),
        newest: 0,
        sent: 0,
        about: Vec::new(),
        told: Vec::new(),
        promises: BTreeMap::new(),
        stop,
    };
    let outcome = it.run().await;
    it.stop.cancel();
    writing.await.unwrap();
    it.instances = Default::default();
    it.views.live().db.close().await;
    it.log.db().close().await;
    outcome
}

/// Refuses a row in the middle of whatever is written next.
async fn break_at(db: &Db, place: &str) {
    let statement = format!(
        "CREATE TEMP TRIGGER planted BEFORE {place} BEGIN SELECT RAISE(ABORT, 'planted'); END"
    );
    execute(db, statement).await;
}

async fn mend(db: &Db) {
    execute(db, "DROP TRIGGER temp.planted".to_owned()).await;
}

async fn execute(db: &Db, statement: String) {
    let mut tx = db.begin_write().await.unwrap();
    on_tx!(&mut tx, conn => {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(conn).await.unwrap();
    });
    tx.commit().await.unwrap();
}

impl Derived {
    async fn run(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            let i = self.dice.index(2);
            match self.dice.below(100) {
                0..38 => self.fact().await,
                38..48 => self.pass(),
                48..58 => self.lead(i).await,
                58..82 => self.fold(i).await?,
                82..94 => self.react(i).await?,
                94..97 => self.instances[i].runner = None,
                _ => {
                    self.instances[i] =
                        Instance { starts: self.instances[i].starts + 1, ..Default::default() }
                }
            }
        }
        self.heal().await?;
        self.check().await
    }

    fn pass(&mut self) {
        let minutes = [1, 20, 180, 1_440, 2_880, -30][self.dice.index(6)];
        self.clock.set(self.clock.now() + SignedDuration::from_mins(minutes));
    }

    /// A fact arrives, in time or late, and is sent again until the log has it.
    async fn fact(&mut self) {
        self.sent += 1;
        let id = format!("e-{}", self.sent);
        let late = [0, 0, 0, 5, 30][self.dice.index(5)];
        let time = self.clock.now() - SignedDuration::from_hours(late);
        let number = self.dice.below(3);
        let customer = format!("c-{number}");
        let own: Vec<usize> =
            (0..self.about.len()).filter(|it| self.about[*it] == number).collect();
        self.about.push(number);
        let made = match self.dice.below(10) {
            0..3 => event("interaction.inquired")
                .data(json!({ "inquiry": format!("q-{}", self.sent), "topic": "price" })),
            3..5 => {
                let due = self.clock.now()
                    + SignedDuration::from_mins(1 + i64::try_from(self.dice.below(3_000)).unwrap());
                let promise = format!("p-{}", self.sent);
                self.promises.insert(promise.clone(), due);
                event("promise.made").data(json!({
                    "promise": promise, "what": "call back", "due_at": spell(due), "owner": "dewi",
                }))
            }
            5 if !own.is_empty() => {
                let target = 1 + own[self.dice.index(own.len())];
                contacted().with("voids", format!("/sim#e-{target}"))
            }
            _ => contacted(),
        };
        let made = made.id(&id).source("/sim").customer(&customer).at(&spell(time)).incoming();
        // A promise that was taken back is not broken.
        if let Some(it) = &made.attributes.voids {
            let number = it.id.as_str().trim_start_matches("e-").to_owned();
            self.promises.remove(&format!("p-{number}"));
        }
        let broken = self.dice.percent(15).then(|| IN_LOG[self.dice.index(IN_LOG.len())]);
        if let Some(place) = broken {
            break_at(self.log.db(), place).await;
            let before = self.log.head().await.unwrap();
            let refused = self.appender.append(vec![made.clone()]).await;
            assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
            mend(self.log.db()).await;
            assert_eq!(self.log.head().await.unwrap(), before, "half an append is visible");
        }
        let times = 1 + self.dice.below(2);
        for _ in 0..times {
            let told = self.appender.append(vec![made.clone()]).await.unwrap();
            self.told.push((id.clone(), told[0].receipt().position));
        }
    }

    /// Takes the lease, and with it the read models.
    async fn lead(&mut self, i: usize) {
        let holder = format!("{i}-{}", self.instances[i].starts);
        let held = lease::take(self.log.db(), LEADER, &holder, self.clock.now()).await.unwrap();
        let Some(held) = held else { return };
        if self.instances[i].runner.as_ref().is_some_and(|(epoch, _)| *epoch == held.epoch) {
            return;
        }
        let live = self.views.live();
        let page = 1 + self.dice.index(9);
        let runner = Runner::open(self.log.clone(), live.db, live.generation, held.epoch).await;
        self.instances[i].runner = Some((held.epoch, runner.unwrap().with_page(page)));
        self.newest = self.newest.max(held.epoch);
    }

    /// One step of a runner, whether or not it was taken over meanwhile.
    async fn fold(&mut self, i: usize) -> Result<(), String> {
        let Some((epoch, mut runner)) = self.instances[i].runner.take() else { return Ok(()) };
        let broken = self.dice.percent(35).then(|| IN_VIEWS[self.dice.index(IN_VIEWS.len())]);
        let db = runner.db().clone();
        let from = checkpoint::load(&db, CHECKPOINT).await.unwrap();
        if let Some(place) = broken {
            break_at(&db, place).await;
        }
        let outcome = runner.step().await;
        if broken.is_some() {
            mend(&db).await;
        }
        let keeps = match outcome {
            Ok(it) if 0 < it.events && epoch < self.newest => {
                return Err(format!("I5: epoch {epoch} folded under {}", self.newest));
            }
            Ok(it) => {
                self.views.bell().ring(it.position);
                // Sometimes the answer is lost, sometimes the process with it.
                match self.dice.below(10) {
                    0 => runner.reload().await.is_ok(),
                    1 => false,
                    _ => true,
                }
            }
            Err(RunError::Fenced(_)) if epoch < self.newest => false,
            // It met rows of its successor before the fence; looking again it finds the fence.
            Err(_) if epoch < self.newest => match runner.reload().await {
                Err(RunError::Fenced(_)) => false,
                other => return Err(format!("I5: epoch {epoch} goes on: {other:?}")),
            },
            Err(RunError::Unavailable(_) | RunError::Log(_)) if broken.is_some() => {
                if self.mistake == Some(Mistake::MovesTheCheckpointApart) {
                    self.move_apart(&db, &from).await;
                }
                self.dice.percent(50) && runner.reload().await.is_ok()
            }
            Err(error) => return Err(format!("I5: the runner stops: {error}")),
        };
        if keeps {
            self.instances[i].runner = Some((epoch, runner));
        }
        Ok(())
    }

    async fn move_apart(&self, db: &Db, from: &Checkpoint) {
        let page = self.log.read_after(from.position, 1).await.unwrap();
        let Some(it) = page.first() else { return };
        let event = Some(it.reference());
        let to = Checkpoint { position: it.position, event, ..from.clone() };
        let mut tx = db.begin_write().await.unwrap();
        let _ = checkpoint::advance(&mut tx, CHECKPOINT, from, &to).await;
        tx.commit().await.unwrap();
    }

    /// The reactions look; sometimes they die after they have appended.
    async fn react(&mut self, i: usize) -> Result<(), String> {
        let Some((epoch, mut runner)) = self.instances[i].runner.take() else { return Ok(()) };
        if epoch < self.newest {
            return Ok(());
        }
        let dies = self.dice.percent(30);
        let off = self.mistake == Some(Mistake::LooksAtAnotherClock);
        let now = self.clock.now() + SignedDuration::from_hours(if off { 7 } else { 0 });
        catch_up(&mut runner, &self.views).await.map_err(|it| it.to_string())?;
        let head = self.log.head().await.unwrap();
        if dies {
            let appended = async {
                while self.log.head().await.unwrap() <= head {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                it = self.reactor.tick(now) => { it.map_err(|it| it.to_string())?; }
                () = appended => {}
            }
            return Ok(());
        }
        // As in production a step is never cut off: the runner goes on until the tick is over.
        let is_over = std::cell::Cell::new(false);
        let tick = async {
            let ticked = self.reactor.tick(now).await;
            is_over.set(true);
            ticked.map_err(|it| it.to_string())
        };
        let beside = async {
            while !is_over.get() {
                catch_up(&mut runner, &self.views).await.map_err(|it| it.to_string())?;
                tokio::time::sleep(LOOK).await;
            }
            Ok::<(), String>(())
        };
        tokio::try_join!(tick, beside)?;
        self.instances[i].runner = Some((epoch, runner));
        Ok(())
    }

    /// Everything falls due, somebody leads, and it has to come to rest.
    async fn heal(&mut self) -> Result<(), String> {
        self.clock.set(self.clock.now() + SignedDuration::from_hours(24 * 12));
        self.instances = Default::default();
        self.instances[0].starts = 1_000;
        self.lead(0).await;
        for _ in 0..ROUNDS {
            let before = self.log.head().await.unwrap();
            self.react(0).await?;
            if self.instances[0].runner.is_none() {
                self.clock.set(self.clock.now() + SignedDuration::from_secs(11));
                self.instances[0].starts += 1;
                self.lead(0).await;
            } else if self.log.head().await.unwrap() == before {
                return Ok(());
            }
        }
        Err(format!("I14: not at rest after {ROUNDS} rounds"))
    }

    async fn check(&mut self) -> Result<(), String> {
        let facts = self.log.read_after(0, 10_000).await.map_err(|it| format!("I4: {it}"))?;
        let by_id: BTreeMap<&str, i64> =
            facts.iter().map(|it| (it.id.as_str(), it.position)).collect();
        if by_id.len() != facts.len() {
            return Err("I2: an id stands twice".to_owned());
        }
        for (id, position) in &self.told {
            if by_id.get(id.as_str()) != Some(position) {
                return Err(format!("I1: {id} was told {position}"));
            }
        }
        if facts.windows(2).any(|it| it[1].recorded_at < it[0].recorded_at) {
            return Err("I6: time runs back".to_owned());
        }
        one_alert_per_episode(&facts)?;
        self.timers_fired_once(&facts)?;
        self.views_equal_a_fresh_fold().await
    }

    /// I9.
    fn timers_fired_once(&self, facts: &[Recorded]) -> Result<(), String> {
        let mut settled: BTreeMap<String, Vec<&Recorded>> = BTreeMap::new();
        for it in facts.iter().filter(|it| it.kind == Kind::PromiseSettled) {
            let data: Value = serde_json::from_str(&it.data).unwrap();
            settled.entry(data["promise"].as_str().unwrap().to_owned()).or_default().push(it);
        }
        for (promise, due) in &self.promises {
            let own = settled.get(promise).map_or(&[][..], Vec::as_slice);
            let [it] = own else {
                return Err(format!("I9: {promise} was settled {} times", own.len()));
            };
            if it.recorded_at < *due {
                return Err(format!("I9: {promise} is due {due} and broke {}", it.recorded_at));
            }
        }
        Ok(())
    }

    /// I5.
    async fn views_equal_a_fresh_fold(&mut self) -> Result<(), String> {
        let Some((_, folded)) = &self.instances[0].runner else {
            return Err("nobody leads".into());
        };
        let fresh = self.views.open_generation(2).await.unwrap();
        let mut runner = Runner::open(self.log.clone(), fresh.db.clone(), 2, 1).await.unwrap();
        while runner.step().await.unwrap().events != 0 {}
        let (one, other) = (hashes(folded).await.unwrap(), hashes(&runner).await.unwrap());
        drop(runner);
        fresh.db.close().await;
        let differs = one.iter().zip(&other).find(|(a, b)| a != b);
        differs.map_or(Ok(()), |(a, b)| Err(format!("I5: {} rows {} fresh {}", a.0, a.1, b.1)))
    }
}

fn contacted() -> crate::support::event::Event {
    event("interaction.contacted").data(json!({ "purpose": "courtesy", "outcome": "reached" }))
}

async fn catch_up(runner: &mut Runner, views: &Views) -> Result<(), RunError> {
    loop {
        let progress = runner.step().await?;
        views.bell().ring(progress.position);
        if progress.events == 0 {
            return Ok(());
        }
    }
}

/// I8.
fn one_alert_per_episode(facts: &[Recorded]) -> Result<(), String> {
    let mut raised = BTreeSet::new();
    let mut closed = BTreeSet::new();
    for it in facts {
        let data: Value = serde_json::from_str(&it.data).unwrap();
        let alert = data["alert"].as_str().unwrap_or_default().to_owned();
        match it.kind {
            Kind::AlertRaised
                if !raised.insert((alert.clone(), data["occurrence"].to_string())) =>
            {
                return Err(format!("I8: {alert} was raised twice"));
            }
            Kind::AlertResolved | Kind::AlertWithdrawn
                if !closed.insert((alert.clone(), it.kind.name(), spell(it.occurred_at))) =>
            {
                return Err(format!("I8: {alert} was closed twice"));
            }
            _ => {}
        }
    }
    Ok(())
}
