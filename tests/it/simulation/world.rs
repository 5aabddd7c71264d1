//! One run: a seed, two instances, a broker, a log and clocks, and everything that goes wrong.
//!
//! Nothing happens at the same time: each step is one choice of the dice, and between any two a
//! process can die. At the end everything is healed, and it has to come to rest in bounded time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use events::envelope::{Incoming, Provenance};
use ingest::decode::{Raw, Refused, TenantSettings, Tenants, decode};
use jiff::{SignedDuration, Timestamp};

use crate::simulation::broker::{ACK_WAIT, Inbound, Outbound, Page, Reply};
use crate::simulation::instance::{Asking, Base, Instance, Process, Taken};
use crate::simulation::ledger::{Commit, Ledger};
use crate::simulation::publishers::{INTO_STREAM, Op, Publisher, Sort};
use tests::dice::Dice;

/// Steps under faults.
const STEPS: usize = 300;
/// Half seconds in which everything has to come to rest once it is healed.
const ROUNDS: usize = 300;
/// Milliseconds that no process that is awake lets pass without looking up.
const SLICE: u64 = 500;

/// A mistake that is planted to see whether it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// M1: a message is acknowledged before its event is committed.
    AcknowledgesFirst,
    /// M3: a message is taken for recorded because its sequence was.
    TrustsSequences,
    /// M7: nothing is waited for after a take-over.
    TakesOverAtOnce,
    /// M8: pages are published without the fence.
    PublishesUnfenced,
    /// M9: the relay goes on one position too far.
    ResumesTooFar,
    /// A refused message is terminated before its bytes are kept.
    TerminatesFirst,
    /// The relay stores its place before the page is answered.
    RemembersFirst,
}

/// A page in flight.
#[derive(Debug)]
pub struct Flight {
    pub ticket: u64,
    pub page: Page,
}

/// Everything.
pub struct World {
    pub dice: Dice,
    pub trace: Option<Vec<String>>,
    pub mistake: Option<Mistake>,
    pub now: u64,
    pub inbound: Inbound,
    pub outbound: Outbound,
    pub ledger: Ledger,
    pub ops: Vec<Op>,
    /// Which op a serial was sent for.
    pub sent_for: Vec<usize>,
    /// Ids that the database refused so often alone that they were given up, without fault of theirs.
    pub given_up: BTreeSet<String>,
    /// What was wrong at the moment it happened.
    pub wrongs: Vec<String>,
    pub instances: Vec<Instance>,
    pub base: Base,
    pub tickets: u64,
    pub flights: Vec<Flight>,
    /// What the broker said to a page: the sequence, or that it was fenced.
    pub answers: BTreeMap<u64, Option<u64>>,
    pub healed: bool,
    publishers: Vec<Publisher>,
    /// How far the clock on the wall was moved, in milliseconds.
    jump: i64,
    connections: u64,
    starts: u64,
    /// Copies that arrive after their publisher has given up on them.
    late: Vec<usize>,
    tenants: Tenants,
}

pub fn start() -> Timestamp {
    "2026-06-26T04:00:00Z".parse().unwrap()
}

pub fn created(incarnation: i64) -> Timestamp {
    start() + SignedDuration::from_secs(incarnation)
}

impl World {
    pub fn new(seed: u64, mistake: Option<Mistake>, traced: bool) -> Self {
        let mut dice = Dice::apart(seed);
        let publishers = (0..=INTO_STREAM).map(|it| Publisher::new(it, &mut dice)).collect();
        let settings = TenantSettings { fingerprint_key: b"key".to_vec(), ..Default::default() };
        let tenants = BTreeMap::from([("main".parse().unwrap(), settings)]);
        Self {
            dice,
            trace: traced.then(Vec::new),
            mistake,
            now: 0,
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            ledger: Ledger::default(),
            ops: Vec::new(),
            sent_for: Vec::new(),
            given_up: BTreeSet::new(),
            wrongs: Vec::new(),
            publishers,
            instances: vec![Instance::new(), Instance::new()],
            base: Base::new(),
            jump: 0,
            connections: 0,
            starts: 0,
            tickets: 0,
            flights: Vec::new(),
            answers: BTreeMap::new(),
            late: Vec::new(),
            tenants: Arc::new(tenants),
            healed: false,
        }
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>7} {}", self.now, text()));
        }
    }

    /// The broker itself took it away: nobody else has to answer for it.
    pub fn is_excused(&self, serial: u64) -> bool {
        self.inbound.lost.contains(&serial) || self.inbound.mistaken.contains(&serial)
    }

    pub fn wall(&self, i: usize) -> Timestamp {
        let millis = i64::try_from(self.now).unwrap() + self.jump + self.instances[i].skew;
        start() + SignedDuration::from_millis(millis)
    }

    /// The whole run.
    pub fn run(&mut self) -> Result<(), String> {
        for i in 0..self.instances.len() {
            self.start(i);
        }
        for _ in 0..STEPS {
            self.step();
        }
        self.heal();
        for _ in 0..ROUNDS {
            if self.round() {
                return Ok(());
            }
        }
        Err(format!("I14: not at rest after {ROUNDS} rounds: {}", self.standing()))
    }

    fn standing(&self) -> String {
        let publishers: Vec<bool> = self.publishers.iter().map(Publisher::is_done).collect();
        format!(
            "publishers done {publishers:?}, consumer idle {}, head {}, out at {:?}, relays {:?}",
            self.inbound.is_idle(),
            self.ledger.head(),
            self.outbound.last().map(|(_, it)| it.position),
            self.instances
                .iter()
                .map(|it| it.process.as_ref().map(|it| format!("{:?}", it.relay)))
                .collect::<Vec<_>>()
        )
    }

    /// One choice of the dice.
    fn step(&mut self) {
        let i = self.dice.index(self.instances.len());
        match self.dice.below(1_000) {
            0..150 => self.publish(),
            150..260 => {
                self.deliver();
            }
            260..380 => {
                self.receive(i);
            }
            380..430 => self.question(i),
            430..590 => self.work(i),
            590..660 => {
                self.answer(i);
            }
            660..690 => self.lease(i),
            690..800 => self.relay(i),
            800..840 => {
                self.land();
            }
            840..900 => {
                let millis = [20, 400, 1_500, 4_000, 11_000, 16_000][self.dice.index(6)];
                self.pass(millis);
            }
            900..915 => self.crash(i),
            915..945 => self.start(i),
            945..955 => self.sleep(i),
            955..968 => self.disconnect(i),
            968..974 => self.stop(i),
            974..980 => {
                self.inbound.back_up();
                self.outbound.back_up();
            }
            980..984 => self.roll_back_in(),
            984..985 => self.make_in_anew(),
            985..989 => self.trouble_out(),
            989..992 => self.jump_clock(i),
            992..998 => {
                self.ledger.is_away = !self.ledger.is_away;
                let away = self.ledger.is_away;
                self.note(|| format!("the database is away: {away}"));
            }
            _ => self.arrive_late(),
        }
    }

    /// Takes every fault away.
    fn heal(&mut self) {
        self.healed = true;
        self.ledger.is_away = false;
        for i in 0..self.instances.len() {
            self.instances[i].is_asleep = false;
            self.instances[i].skew = 0;
            self.start(i);
        }
        while !self.late.is_empty() {
            self.arrive_late();
        }
        self.note(|| "healed".to_owned());
    }

    /// Half a second in which everybody does what they can; `true` once there is nothing left.
    fn round(&mut self) -> bool {
        self.pass(SLICE);
        for _ in 0..4 {
            for _ in 0..=INTO_STREAM {
                self.publish();
            }
            while self.deliver() {}
            for i in 0..self.instances.len() {
                while self.receive(i) {}
                self.question(i);
                self.question(i);
                for _ in 0..4 {
                    self.work(i);
                }
                while self.answer(i) {}
                self.lease(i);
                for _ in 0..4 {
                    self.relay(i);
                    while self.land() {}
                }
            }
        }
        let relayed = self.outbound.messages().map(|it| it.position).max().unwrap_or(0);
        let newest_is_gone = |it: &World| it.outbound.purged.contains(&it.ledger.head());
        self.publishers.iter().all(Publisher::is_done)
            && self.inbound.is_idle()
            && self.instances.iter().all(|it| {
                it.inbox.is_empty()
                    && it.outbox.is_empty()
                    && it.process.as_ref().is_some_and(|it| it.in_hand().is_empty())
            })
            && self.flights.is_empty()
            && (relayed == self.ledger.head() || newest_is_gone(self))
    }

    // Time.

    /// Lets time pass; whoever is awake looks up at least twice a second.
    fn pass(&mut self, mut millis: u64) {
        while 0 < millis {
            let slice = millis.min(SLICE);
            millis -= slice;
            self.now += slice;
            for i in 0..self.instances.len() {
                let connection = self.instances[i].connection;
                if self.instances[i].awake().is_some_and(|it| it.is_open) {
                    self.inbound.pulls(connection, self.now);
                }
            }
            while self.inbound.next_due().is_some_and(|it| it <= self.now) && self.deliver() {}
            for i in 0..self.instances.len() {
                while self.receive(i) {}
                self.question(i);
                self.question(i);
                self.tick(i);
            }
        }
    }

    fn jump_clock(&mut self, i: usize) {
        let by = [-15_000, -1_000, 2_000, 60_000, 86_400_000][self.dice.index(5)];
        if self.dice.percent(50) {
            self.jump += by;
        } else {
            self.instances[i].skew = by.clamp(-2_000, 2_000);
        }
        self.note(|| format!("the clock of {i} or of all jumps by {by} ms"));
    }

    // Publishers.

    fn publish(&mut self) {
        let p = self.dice.index(self.publishers.len());
        let publisher = &mut self.publishers[p];
        let Some(op) = publisher.current.or_else(|| publisher.next(&mut self.ops, &mut self.dice))
        else {
            return;
        };
        if self.ops[op].sort == Sort::Poison {
            let id = self.ops[op].id.clone();
            self.ledger.poison.insert(id);
        }
        if p == INTO_STREAM {
            return self.append_directly(op);
        }
        let outcome = if self.healed { 0 } else { self.dice.below(100) };
        let stored = match outcome {
            0..70 => true,
            // Stored, and the answer is lost.
            70..80 => {
                self.accept(op);
                return;
            }
            80..88 => return,
            88..92 => {
                self.late.push(op);
                return;
            }
            _ => false,
        };
        if stored {
            self.accept(op);
            self.publishers[p].current = None;
        }
    }

    fn accept(&mut self, op: usize) {
        let it = &self.ops[op];
        let serial = self.inbound.accept(it.subject, Arc::clone(&it.body));
        assert_eq!(usize::try_from(serial).unwrap(), self.sent_for.len());
        self.sent_for.push(op);
        let (id, publisher) = (it.id.clone(), it.publisher);
        let sequence = self.inbound.last_sequence();
        self.note(|| format!("p-{publisher} {id} accepted as #{serial} at sequence {sequence}"));
    }

    fn arrive_late(&mut self) {
        if !self.late.is_empty() {
            let at = self.dice.index(self.late.len());
            let op = self.late.swap_remove(at);
            self.accept(op);
        }
    }

    /// What HTTP does: the log's own answer.
    fn append_directly(&mut self, op: usize) {
        let body = Arc::clone(&self.ops[op].body);
        let incoming = self.read(self.ops[op].subject, &body, None, self.wall(0));
        let incoming = incoming.expect("who speaks to the log sends what is valid");
        let (commit, now) = (self.commit(1), self.wall(0));
        let before = self.ledger.head();
        let outcome = self.ledger.append_each(vec![incoming], now, commit).remove(0);
        match outcome {
            Ok(it) => {
                self.ops[op].recorded = Some(it.receipt().position);
                self.publishers[INTO_STREAM].current = None;
                self.note(|| format!("p-3 was told {it:?}"));
            }
            Err(store::AppendError::Busy) if self.ledger.head() != before => {
                self.wrongs.push("I11: answered busy, and recorded".to_owned());
            }
            Err(_) => {}
        }
    }

    pub fn commit(&mut self, events: usize) -> Commit {
        if self.healed {
            return Commit::Fine;
        }
        match self.dice.below(100) {
            0..80 => Commit::Fine,
            80..86 => Commit::Fails,
            86..92 => Commit::AnswerLost,
            92..95 => Commit::BusyFrom(self.dice.index(events)),
            _ => Commit::CutAt(self.dice.index(events)),
        }
    }

    pub fn read(
        &self,
        subject: &str,
        body: &str,
        provenance: Option<Provenance>,
        now: Timestamp,
    ) -> Result<Incoming, Refused> {
        let place = Provenance { incarnation: Timestamp::UNIX_EPOCH, sequence: 0 };
        let raw = Raw {
            subject,
            headers: None,
            body: body.as_bytes(),
            provenance: provenance.clone().unwrap_or(place),
        };
        decode(&raw, &self.tenants, now).map(|it| Incoming { provenance, ..it })
    }

    // The broker's wires.

    /// One delivery leaves the broker.
    fn deliver(&mut self) -> bool {
        let Some(connection) = self.inbound.pinned(self.now) else { return false };
        if self.instances.iter().any(|it| it.ghost == Some(connection)) {
            // Into a connection that nobody reads any more.
            return self.inbound.deliver(self.now, &mut self.dice).is_some();
        }
        let to = self.instances.iter().position(|it| {
            it.connection == connection && it.process.as_ref().is_some_and(|it| it.is_open)
        });
        let Some(to) = to else { return false };
        let Some(parcel) = self.inbound.deliver(self.now, &mut self.dice) else { return false };
        self.note(|| {
            let (serial, sequence) = (parcel.message.serial, parcel.stream_sequence);
            format!(
                "to {to}: #{serial} sequence {sequence} delivery {} pin {}",
                parcel.consumer_sequence, parcel.pin
            )
        });
        self.instances[to].inbox.push_back(parcel);
        true
    }

    fn disconnect(&mut self, i: usize) {
        let reopens = self.dice.percent(60);
        self.cut(i, reopens);
    }

    /// A connection breaks. What was on it is lost, or what we sent is sent again by the client.
    fn cut(&mut self, i: usize, reopens: bool) {
        self.connections += 1;
        let (old, new) = (self.instances[i].connection, self.connections);
        let (keeps, instant) = (self.dice.percent(50), self.base.at(self.now));
        let it = &mut self.instances[i];
        it.inbox.clear();
        if !keeps {
            it.outbox.clear();
        }
        it.connection = new;
        if let Some(process) = &mut it.process {
            process.asking = None;
            // The missed heartbeats tell, at the latest.
            process.intake.interrupted(instant);
            if reopens {
                process.is_open = false;
            } else {
                self.inbound.resumes(old, new);
            }
        }
        self.note(|| format!("{i} loses its connection, opens its pull again: {reopens}"));
    }

    fn roll_back_in(&mut self) {
        if self.inbound.roll_back(&mut self.dice) {
            let last = self.inbound.last_sequence();
            self.note(|| format!("SAPA_IN comes back with {last} messages"));
            for i in 0..self.instances.len() {
                let reopens = self.dice.percent(60);
                self.cut(i, reopens);
            }
        }
    }

    fn make_in_anew(&mut self) {
        self.inbound.make_anew();
        self.note(|| "SAPA_IN is made anew".to_owned());
        for i in 0..self.instances.len() {
            self.cut(i, true);
        }
    }

    fn trouble_out(&mut self) {
        match self.dice.below(4) {
            0 => self.outbound.make_anew(),
            1 => self.outbound.purge_newest(),
            _ => {
                self.outbound.roll_back(&mut self.dice);
            }
        }
        let last = self.outbound.last_sequence();
        self.note(|| format!("SAPA_OUT was changed and ends at {last}"));
    }

    /// An answer to a delivery reaches the broker, or is lost.
    fn answer(&mut self, i: usize) -> bool {
        let Some((sequence, serial, reply)) = self.instances[i].outbox.pop_front() else {
            return false;
        };
        if self.healed || !self.dice.percent(8) {
            self.inbound.hear(sequence, serial, reply, self.now);
            self.note(|| format!("{i} says {reply:?} to #{serial} at {sequence}"));
        }
        true
    }

    // Processes.

    fn start(&mut self, i: usize) {
        if self.instances[i].process.is_some() {
            return;
        }
        self.starts += 1;
        self.connections += 1;
        let it = &mut self.instances[i];
        it.process = Some(Process::new(format!("{i}-{}", self.starts), self.now));
        it.connection = self.connections;
        it.is_asleep = false;
        it.inbox.clear();
        it.outbox.clear();
        self.note(|| format!("{i} starts"));
    }

    fn crash(&mut self, i: usize) {
        let silent = self.dice.percent(30);
        let it = &mut self.instances[i];
        if it.process.take().is_some() {
            it.ghost = silent.then_some(it.connection);
            it.inbox.clear();
            let sent = self.dice.index(it.outbox.len() + 1);
            it.outbox.truncate(sent);
            while self.answer(i) {}
            self.note(|| format!("{i} is killed"));
        }
    }

    fn sleep(&mut self, i: usize) {
        let it = &mut self.instances[i];
        it.is_asleep = !it.is_asleep && it.process.is_some();
        let asleep = it.is_asleep;
        self.note(|| format!("{i} is asleep: {asleep}"));
    }

    /// A planned stop: nothing is taken any more, and what is not committed is given back.
    fn stop(&mut self, i: usize) {
        if self.instances[i].awake().is_none() {
            return;
        }
        while self.receive(i) {}
        let it = &mut self.instances[i];
        let Some(mut process) = it.process.take() else { return };
        let mut left: Vec<Taken> = Vec::new();
        if let Some(work) = process.work.take() {
            let open = work.attempts.left();
            let open = open.into_iter().chain(work.suspicious.iter().map(|it| it.index));
            left.extend(open.map(|index| work.messages[index].clone()));
        }
        left.extend(process.ahead.take().into_iter().flat_map(|(_, it)| it));
        left.extend(process.intake.drain());
        for message in &left {
            it.answer(message, Reply::Nak);
        }
        while self.answer(i) {}
        let standing = self.inbound.standing();
        let pinned = standing.pinned.map(|it| it.to_string());
        let unanswered = process.intake.unanswered(
            pinned.as_deref(),
            standing.acked_up_to,
            standing.delivered_up_to,
        );
        for place in unanswered {
            self.inbound.hear(place, u64::MAX, Reply::Nak, self.now);
        }
        self.ledger.release(&process.holder, self.wall(i));
        self.note(|| format!("{i} stops as planned"));
    }

    /// What a process does once in a while whatever happens.
    fn tick(&mut self, i: usize) {
        let (now, instant) = (self.now, self.base.at(self.now));
        let it = &mut self.instances[i];
        let Some(process) = it.process.as_mut().filter(|_| !it.is_asleep) else { return };
        process.intake.look(instant);
        if process.intake.sorter().is_closed() && process.asking.is_none() && process.is_open {
            process.asking = Some(Asking::Asked);
        }
        if ACK_WAIT / 3 <= now - process.last_progress {
            process.last_progress = now;
            for message in process.in_hand() {
                it.answer(&message, Reply::Progress);
            }
        }
    }
}
