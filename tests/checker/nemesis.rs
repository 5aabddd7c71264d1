//! What goes wrong, when, and for how long: decided by the seed alone.

use std::time::Duration;

use rustix::process::Signal;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::db::Place;
use tests::dice::Dice;
use tokio::time::Instant;

use crate::brokers;
use crate::proxy::Mode;
use crate::world::{On, World};
use crate::{poison, rolling, standby};

/// How long nothing new goes wrong at the end of each minute.
const CALM: Duration = Duration::from_secs(10);
/// Between two faults.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_secs(5));
/// How often what has ended on its own is looked after.
const TEND_EVERY: Duration = Duration::from_millis(200);

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of an instance (F1 to F8, F57, F58).
    KillServe,
    /// An instance is asked to end and started again (F11).
    StopServe,
    /// An instance is held still and woken (F12, F52, F59).
    HoldServe,
    /// `kill -9` of nats-server (F15, F18).
    KillNats,
    /// nats-server loses the tail of its streams and uses their sequences again (F16).
    RollBackNats,
    /// The connections of an instance to NATS break (F20).
    CutNats,
    /// They are half-open (F19).
    HoldNats,
    /// They are slow.
    SlowNats,
    /// Every backend of PostgreSQL is ended (F33).
    EndBackends,
    /// `kill -9` of PostgreSQL (F35).
    KillPostgres,
    /// The connections of an instance to PostgreSQL break.
    CutDatabase,
    /// A request goes out and its answer is lost (F34).
    LoseAnswer,
    /// Every statement takes longer (F38).
    SlowDatabase,
    /// Another process holds the file (F45).
    LockFile,
    /// An event that cannot be folded gets into the log (F53).
    Poison,
    /// Every instance in its turn is asked to end and started again (F11).
    RollingRestart,
    /// `kill -9` of the one of three servers that leads a stream or its consumer (F22).
    KillLeader,
    /// Leaders of streams and consumer are told to give way (F22).
    StepDown,
    /// Two of three servers are killed (F23).
    NoQuorum,
    /// `kill -9` of PostgreSQL, and its standby takes over (F36).
    FailOver,
}

impl Fault {
    /// The one that is called so.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.replace(['_', '-'], "");
        let all = EVERYWHERE.iter().chain(&POSTGRES).chain(&SQLITE).chain(&THREE).chain(&STANDBY);
        all.copied().find(|it| format!("{it:?}").eq_ignore_ascii_case(&name))
    }
}

const EVERYWHERE: [Fault; 10] = [
    Fault::KillServe,
    Fault::KillServe,
    Fault::StopServe,
    Fault::HoldServe,
    Fault::KillNats,
    Fault::RollBackNats,
    Fault::CutNats,
    Fault::SlowNats,
    Fault::HoldNats,
    Fault::Poison,
];
const POSTGRES: [Fault; 7] = [
    Fault::EndBackends,
    Fault::KillPostgres,
    Fault::CutDatabase,
    Fault::LoseAnswer,
    Fault::LoseAnswer,
    Fault::SlowDatabase,
    Fault::RollingRestart,
];
const SQLITE: [Fault; 1] = [Fault::LockFile];
/// Where there are three brokers.
const THREE: [Fault; 3] = [Fault::KillLeader, Fault::NoQuorum, Fault::StepDown];
/// Where PostgreSQL has a standby.
const STANDBY: [Fault; 1] = [Fault::FailOver];

/// A fault that was there.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which.
    pub fault: Fault,
    /// Which instance, where one was chosen.
    pub instance: usize,
    /// Seconds from the start of the run.
    pub from: f64,
    /// When it was healed.
    pub to: f64,
    /// From when until when there was no quorum, if that was the fault.
    pub gap: Option<(f64, f64)>,
}

/// Makes faults until a moment, and heals all of them; what there was, in order.
pub async fn rage(
    world: &mut World,
    mut dice: Dice,
    began: Instant,
    until: Instant,
    only: &[Fault],
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut next = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        tend(world).await;
        tokio::time::sleep(TEND_EVERY).await;
        let second = began.elapsed().as_secs() % 60;
        if Instant::now() < next || 60 - CALM.as_secs() <= second {
            continue;
        }
        let fault = choose(world, only, events.len(), &mut dice);
        let instance = usize::try_from(dice.below(world.instances.len() as u64)).unwrap_or(0);
        let lasts = dice.between(shortest(fault), longest(fault));
        let from = began.elapsed().as_secs_f64();
        eprintln!("{from:7.1} s  {fault:?} of instance {instance} for {lasts:.1?}");
        let gap = strike(world, fault, instance, lasts).await;
        let seconds = |it: Instant| it.duration_since(began).as_secs_f64();
        let gap = gap.map(|(from, to)| (seconds(from), seconds(to)));
        let to = began.elapsed().as_secs_f64();
        events.push(Event { fault, instance, from, to, gap });
        next = Instant::now() + dice.between(PAUSE.0, PAUSE.1);
    }
    heal(world).await;
    events
}

/// One of those that fit. Every second one is of the kind that the run was asked for, in turn.
fn choose(world: &World, only: &[Fault], nth: usize, dice: &mut Dice) -> Fault {
    let own: &[Fault] = match world.on {
        On::Sqlite => &SQLITE,
        On::Postgres => &POSTGRES,
    };
    let mut all: Vec<Fault> = EVERYWHERE.iter().chain(own).copied().collect();
    let mut asked_for: Vec<Fault> = Vec::new();
    if 1 < world.brokers.count() {
        // A server whose files go back breaks what a quorum is made of; one copy alone may do so.
        all.retain(|it| *it != Fault::RollBackNats);
        asked_for.extend(THREE);
    }
    if world.standby.is_some() {
        asked_for.extend(STANDBY);
    }
    if only.is_empty() && nth.is_multiple_of(2) && !asked_for.is_empty() {
        return asked_for[nth / 2 % asked_for.len()];
    }
    if !only.is_empty() {
        all = only.to_vec();
    }
    all[usize::try_from(dice.below(all.len() as u64)).unwrap_or(0)]
}

const fn shortest(fault: Fault) -> Duration {
    match fault {
        // Longer than it takes until nothing can be on its way any more.
        Fault::NoQuorum => Duration::from_secs(8),
        Fault::KillLeader => Duration::from_secs(1),
        _ => Duration::from_millis(100),
    }
}

const fn longest(fault: Fault) -> Duration {
    match fault {
        // Longer than a lease lasts, so that another takes over.
        Fault::HoldServe | Fault::NoQuorum => Duration::from_secs(14),
        Fault::HoldNats => Duration::from_secs(8),
        Fault::KillNats | Fault::KillLeader | Fault::KillPostgres | Fault::LockFile => {
            Duration::from_secs(4)
        }
        Fault::StopServe | Fault::KillServe | Fault::EndBackends => Duration::from_millis(800),
        _ => Duration::from_secs(3),
    }
}

/// Starts again what gave up because a server was not there.
pub async fn tend(world: &mut World) {
    world.brokers.revive().await;
    for it in &mut world.instances {
        it.tend();
    }
}

/// One fault from its beginning to its end, and from when to when it left no quorum.
async fn strike(
    world: &mut World,
    fault: Fault,
    instance: usize,
    lasts: Duration,
) -> Option<(Instant, Instant)> {
    match fault {
        Fault::KillServe => {
            world.instances[instance].kill().await;
            wait(world, Some(instance), lasts).await;
        }
        Fault::StopServe => {
            world.instances[instance].stop().await;
            wait(world, Some(instance), lasts).await;
        }
        Fault::HoldServe => {
            world.instances[instance].still = true;
            world.instances[instance].signal(Signal::STOP);
            wait(world, None, lasts).await;
            world.instances[instance].wake();
        }
        Fault::KillNats => {
            let count = world.brokers.count();
            world.brokers.kill(instance % count).await;
            wait(world, None, lasts).await;
        }
        Fault::RollBackNats => {
            world.brokers.kill(0).await;
            world.brokers.copy(true);
            world.brokers.revive().await;
            wait(world, None, lasts).await;
            world.brokers.kill(0).await;
            world.brokers.copy(false);
            world.brokers.revive().await;
        }
        Fault::KillLeader => {
            brokers::kill_leader(&mut world.brokers, lasts).await;
            wait(world, None, lasts).await;
            world.brokers.revive().await;
        }
        Fault::StepDown => {
            brokers::step_down(&world.brokers).await;
            wait(world, None, lasts).await;
        }
        Fault::NoQuorum => {
            brokers::lose_quorum(&mut world.brokers).await;
            let lost = Instant::now();
            wait(world, None, lasts).await;
            let back = Instant::now();
            world.brokers.revive().await;
            return Some((lost, back));
        }
        Fault::FailOver => {
            standby::fail_over(world).await;
            wait(world, None, lasts).await;
            standby::restore(world).await;
        }
        Fault::Poison => poison::strike(world).await,
        Fault::RollingRestart => rolling::roll(world).await,
        Fault::CutNats => through_nats(world, instance, Mode::Cut, lasts).await,
        Fault::HoldNats => through_nats(world, instance, Mode::Hold, lasts).await,
        Fault::SlowNats => {
            through_nats(world, instance, Mode::Slow(Duration::from_millis(40)), lasts).await;
        }
        Fault::EndBackends => end_backends(world, lasts).await,
        Fault::KillPostgres => {
            if let Some(cluster) = &mut world.cluster {
                cluster.kill9().await;
            }
            wait(world, None, lasts).await;
            if let Some(cluster) = &mut world.cluster {
                cluster.restart().await.unwrap();
            }
        }
        Fault::CutDatabase => through_database(world, instance, Mode::Cut, lasts).await,
        Fault::LoseAnswer => through_database(world, instance, Mode::LoseAnswer, lasts).await,
        Fault::SlowDatabase => {
            let slow = Mode::Slow(Duration::from_millis(150));
            through_database(world, instance, slow, lasts).await;
        }
        Fault::LockFile => lock_file(world, lasts).await,
    }
    None
}

/// Lets a time pass; whoever ended on its own is started again, but not the one that is to be down.
pub async fn wait(world: &mut World, down: Option<usize>, lasts: Duration) {
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        for (n, it) in world.instances.iter_mut().enumerate() {
            if Some(n) != down {
                it.tend();
            }
        }
        tokio::time::sleep(TEND_EVERY.min(until.saturating_duration_since(Instant::now()))).await;
    }
}

async fn through_nats(world: &mut World, instance: usize, mode: Mode, lasts: Duration) {
    world.instances[instance].nats.iter().for_each(|it| it.set(mode));
    wait(world, None, lasts).await;
    world.instances[instance].nats.iter().for_each(|it| it.set(Mode::Pass));
}

async fn through_database(world: &mut World, instance: usize, mode: Mode, lasts: Duration) {
    if let Some(proxy) = &world.instances[instance].database {
        proxy.set(mode);
    }
    wait(world, None, lasts).await;
    if let Some(proxy) = &world.instances[instance].database {
        proxy.set(Mode::Pass);
    }
}

async fn end_backends(world: &mut World, lasts: Duration) {
    const END: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = 'sapa' AND pid <> pg_backend_pid()";
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        if let Some(cluster) = &world.cluster {
            let _ = cluster.query("sapa", END).await;
        }
        wait(world, None, Duration::from_millis(200)).await;
    }
}

/// Another process has the write lock of the log's file.
async fn lock_file(world: &mut World, lasts: Duration) {
    let Place::Folder(folder) = &world.place else { return };
    let options = SqliteConnectOptions::new().filename(folder.join("log.db"));
    let Ok(mut other) = SqliteConnection::connect_with(&options).await else { return };
    let locked = sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.is_ok();
    wait(world, None, lasts).await;
    if locked {
        let _ = sqlx::query("ROLLBACK").execute(&mut other).await;
    }
    let _ = other.close().await;
}

/// Everything is as it should be again.
pub async fn heal(world: &mut World) {
    for it in &mut world.instances {
        it.nats.iter().for_each(|it| it.set(Mode::Pass));
        if let Some(proxy) = &it.database {
            proxy.set(Mode::Pass);
        }
        if it.still {
            it.wake();
        }
    }
    tend(world).await;
}
