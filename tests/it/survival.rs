//! The whole program under `kill -9`, and two of them of which one is held still: nothing that was
//! acknowledged is lost, nothing is doubled, no order is turned round, and no alert has two ids.
//!
//! `SAPA_SEED` repeats the moments of a run; a failed run prints its own. Where ten seconds have to
//! pass before a dead leader's lease ends, the killer ends it: it knows that the leader is dead.

use std::time::Duration;

use rustix::process::Signal;
use sapa::servers::guard::guard_program;
use sapa::servers::nats::{NatsOptions, NatsServer, PortChoice};
use sapa::servers::postgres::{self, Cluster, ClusterOptions};
use store::Log;
use store::db::Place;
use store::lease::{LEADER, holder};
use tempfile::TempDir;
use tests::dice::Dice;
use tests::read;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::program::{Program, free_port};
use crate::support_nats::{eventually, nats_program};
use crate::survival_checks::{
    all_went_out_once, forget_the_dead_leader, settled, the_log_holds, the_views_equal_a_rebuild,
};
use crate::survival_load::{Load, Note, connect};

/// Storms of one run: in each, so many kills of either at random moments.
const STORMS: u32 = 4;
const KILLS: u32 = 5;
/// How long a storm lasts, and the calm after it, in which a new instance gets as far as recording
/// what was accepted: the broker gives a dead one's place away after five seconds.
const STORM: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_secs(8);
/// How long something stays dead at most.
const DEAD: Duration = Duration::from_millis(500);
/// How long a leader is held still: for a minute, and then whoever leads by then for half as long
/// again as a lease lasts.
const STILL: [Duration; 2] = [Duration::from_mins(1), Duration::from_secs(15)];
/// How long the database stays away at first: longer than the writer tries again, so that whole
/// commits fail; and then how often it is killed, in which time, and for how long at most.
const LONG_OUTAGE: Duration = Duration::from_secs(13);
const OUTAGES: u32 = 4;
const OUTAGES_WITHIN: Duration = Duration::from_secs(20);
const OUTAGE: Duration = Duration::from_secs(3);
/// The least to have recorded then: the database is away for half of the time.
const OUTAGE_NOTES_MIN: usize = 50;
/// The least that a run has to have recorded and accepted to count.
const NOTES_MIN: usize = 300;

/// A nats-server that can be killed and comes back on the same files and port.
struct Broker {
    folder: TempDir,
    program: std::path::PathBuf,
    port: u16,
    server: Option<NatsServer>,
}

impl Broker {
    async fn start() -> Self {
        let program = nats_program().await;
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Self { folder, program, port: free_port(), server: None };
        broker.revive().await;
        broker
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }

    async fn revive(&mut self) {
        let options = NatsOptions {
            port: PortChoice::Exactly(self.port),
            ..NatsOptions::new(self.folder.path())
        };
        self.server = Some(NatsServer::start(&self.program, options).await.unwrap());
    }
}

/// An instance on a broker and, if it is not its own file, a database.
fn instance(broker: &Broker, database: Option<&str>) -> Program {
    let nats = broker.url();
    // What a killed instance had in its hands comes back after two seconds instead of ten.
    let mut settings = vec![("nats.url", nats.as_str()), ("nats.ack_wait", "2s")];
    settings.extend(database.map(|it| ("database.url", it)));
    Program::new(&settings)
}

/// A cluster that writes to the disk, as the program asks for, and a database in it.
pub async fn cluster() -> (Cluster, String) {
    let options = ClusterOptions { fsync: true, guard: guard_program(), ..Default::default() };
    let programs = postgres::locate(true).unwrap_or_else(|error| panic!("{error}"));
    let cluster = Cluster::start(programs, options).await.unwrap();
    cluster.create_database("sapa").await.unwrap();
    let url = cluster.url("sapa");
    (cluster, url)
}

fn dice() -> Dice {
    let given = std::env::var("SAPA_SEED").ok().and_then(|it| it.parse().ok());
    let seed = given.unwrap_or_else(|| jiff::Timestamp::now().as_microsecond().unsigned_abs());
    println!("SAPA_SEED={seed}");
    Dice::new(seed)
}

/// The moments of all kills of one thing, from the start of the first storm.
fn moments(dice: &mut Dice) -> Vec<Duration> {
    let mut moments = Vec::new();
    for storm in 0..STORMS {
        let begins = (STORM + CALM) * storm;
        moments.extend((0..KILLS).map(|_| begins + dice.within(STORM)));
    }
    moments.sort();
    moments
}

/// Kills the program at its moments and starts it again, also where it gave up by itself.
async fn kill_program(program: &mut Program, log: &Log, mut dice: Dice, begin: Instant) {
    for moment in moments(&mut dice) {
        let moment = sleep_until(begin + moment);
        tokio::pin!(moment);
        loop {
            tokio::select! {
                () = &mut moment => break,
                () = program.gives_up() => program.start(),
            }
        }
        program.kill().await;
        sleep(dice.within(DEAD)).await;
        forget_the_dead_leader(log).await;
        program.start();
    }
}

async fn kill_broker(broker: &mut Broker, mut dice: Dice, begin: Instant) {
    for moment in moments(&mut dice) {
        sleep_until(begin + moment).await;
        broker.kill().await;
        sleep(dice.within(DEAD)).await;
        broker.revive().await;
    }
}

/// Twenty kills of each, and everything that has to hold afterwards.
async fn survives(mut broker: Broker, database: Option<&str>) {
    let mut dice = dice();
    let mut program = instance(&broker, database);
    let place = database.map_or_else(
        || Place::Folder(program.data()),
        |url| Place::parse(url).expect("the cluster names its databases so"),
    );
    program.run(&["setup"]).await;
    program.start();
    program.ready().await;
    let log = Log::open(&place, 2, Uuid::from_u128(1)).await.unwrap();
    let context = connect(broker.port).await;

    let load = Load::start(&[program.url()], &program.key(), broker.port, &mut dice).await;
    sleep(Duration::from_secs(2)).await;
    let begin = Instant::now();
    let (of_program, of_broker) = (Dice::new(dice.seed()), Dice::new(dice.seed()));
    tokio::join!(
        kill_program(&mut program, &log, of_program, begin),
        kill_broker(&mut broker, of_broker, begin),
    );
    let notes = tokio::select! {
        notes = load.stop() => notes,
        // Whatever the last kill of the broker has left behind.
        () = stays_up(&mut program) => unreachable!("it is looked after without an end"),
    };
    settled(&place, &log, &context).await;
    program.stop().await;
    let terms = holder(log.db(), LEADER).await.unwrap().map_or(0, |(_, epoch, _)| epoch);
    println!("{terms} instances led, {} found no server and ended", program.gave_up);
    assert!(i64::from(STORMS * KILLS / 4) < terms, "the killed ones had nothing to lose");
    check(&place, &log, &context, &notes, NOTES_MIN).await;
}

/// Starts the program again whenever it gives up, for ever.
async fn stays_up(program: &mut Program) {
    loop {
        program.gives_up().await;
        program.start();
    }
}

async fn check(
    place: &Place,
    log: &Log,
    context: &async_nats::jetstream::Context,
    notes: &[Vec<Note>],
    notes_min: usize,
) {
    let all = notes.iter().flatten();
    let (recorded, accepted): (Vec<_>, Vec<_>) = all.partition(|it| it.receipt.is_some());
    println!("{} recorded, {} accepted", recorded.len(), accepted.len());
    let is_enough = notes_min < recorded.len() && notes_min < accepted.len();
    assert!(is_enough, "too little was sent");
    let facts = read::recorded(log).await.unwrap();
    the_log_holds(&facts, notes);
    all_went_out_once(&facts, context).await;
    the_views_equal_a_rebuild(place, log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_of_the_program_and_of_nats_lose_and_double_nothing_on_sqlite() {
    survives(Broker::start().await, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_of_the_program_and_of_nats_lose_and_double_nothing_on_postgres() {
    let (_cluster, url) = cluster().await;
    survives(Broker::start().await, Some(&url)).await;
}

/// Which of two instances leads; none while nobody does.
async fn leader(log: &Log, instances: &[Program; 2]) -> Option<usize> {
    let (name, _, expires_at) = holder(log.db(), LEADER).await.unwrap()?;
    let leads = |it: &Program| name.contains(&format!("-{}-", it.pid()));
    (jiff::Timestamp::now() < expires_at).then(|| instances.iter().position(leads)).flatten()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_held_still_and_wakes_doubles_nothing_and_turns_no_order_round() {
    let mut dice = dice();
    let (_cluster, url) = cluster().await;
    let broker = Broker::start().await;
    let mut instances = [instance(&broker, Some(&url)), instance(&broker, Some(&url))];
    instances[0].run(&["setup"]).await;
    for it in &mut instances {
        it.start();
        it.ready().await;
    }
    let place = Place::parse(&url).unwrap();
    let log = Log::open(&place, 2, Uuid::from_u128(1)).await.unwrap();
    let context = connect(broker.port).await;
    let urls: Vec<String> = instances.iter().map(Program::url).collect();
    let load = Load::start(&urls, &instances[0].key(), broker.port, &mut dice).await;
    // Each in its turn, so that whichever takes the messages off the stream is among them.
    for still in STILL {
        sleep(Duration::from_secs(2)).await;
        eventually("one leads", async || leader(&log, &instances).await.is_some()).await;
        let stilled = leader(&log, &instances).await.unwrap();
        instances[stilled].signal(Signal::STOP);
        let until = Instant::now() + still;
        let other = async || leader(&log, &instances).await.is_some_and(|it| it != stilled);
        eventually("the other one leads", other).await;
        sleep_until(until).await;
        instances[stilled].signal(Signal::CONT);
    }
    sleep(Duration::from_secs(2)).await;
    let notes = load.stop().await;
    settled(&place, &log, &context).await;
    for it in &mut instances {
        it.stop().await;
    }
    check(&place, &log, &context, &notes, NOTES_MIN).await;
}

/// Starts it again; sessions of the killed one may take a moment to notice and stand in the way.
async fn revive(cluster: &mut Cluster) {
    for _ in 0..50 {
        if cluster.restart().await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
    cluster.restart().await.unwrap();
}

/// Kills the database under a program that stays up.
async fn kill_database(cluster: &mut Cluster, mut dice: Dice) {
    sleep(dice.within(OUTAGE)).await;
    cluster.kill9().await;
    sleep(LONG_OUTAGE).await;
    revive(cluster).await;
    let begin = Instant::now();
    let mut moments: Vec<_> = (0..OUTAGES).map(|_| dice.within(OUTAGES_WITHIN)).collect();
    moments.sort();
    for moment in moments {
        sleep_until(begin + moment).await;
        cluster.kill9().await;
        sleep(dice.within(OUTAGE)).await;
        revive(cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_fail_because_the_database_is_away_turn_no_order_round() {
    let mut dice = dice();
    let (mut cluster, url) = cluster().await;
    let broker = Broker::start().await;
    let mut program = instance(&broker, Some(&url));
    program.run(&["setup"]).await;
    program.start();
    program.ready().await;
    let place = Place::parse(&url).unwrap();
    let context = connect(broker.port).await;
    let load = Load::start(&[program.url()], &program.key(), broker.port, &mut dice).await;
    let of_database = Dice::new(dice.seed());
    tokio::select! {
        () = kill_database(&mut cluster, of_database) => {}
        () = program.gives_up() => panic!("it ended with the database: {}", program.said()),
    }
    // What is sent once the database stays is recorded, folded and sent on as ever.
    sleep(CALM).await;
    let notes = load.stop().await;
    let log = Log::open(&place, 2, Uuid::from_u128(1)).await.unwrap();
    settled(&place, &log, &context).await;
    program.stop().await;
    check(&place, &log, &context, &notes, OUTAGE_NOTES_MIN).await;
}
