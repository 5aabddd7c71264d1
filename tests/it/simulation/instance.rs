//! One instance: what production does between the broker, the log and `SAPA_OUT`, step by step.
//!
//! The decisions are production's own (`Intake`, `decode`, `Attempts`, `Look`, `Place`); what stands
//! here is only what its loops do around them. A process that dies loses everything in this file.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use delivery::place::Place;
use ingest::attempts::{Attempts, Suspicious};
use ingest::intake::Intake;
use jiff::Timestamp;
use store::checkpoint::Checkpoint;
use tokio::time::Instant;

use crate::simulation::broker::{ACK_WAIT, Message, Parcel, Reply, Standing};

/// A delivery in hand.
#[derive(Clone, Debug)]
pub struct Taken {
    pub stream_sequence: u64,
    pub message: Message,
}

/// A chunk on its way into the log.
#[derive(Debug)]
pub struct Work {
    pub incarnation: Timestamp,
    pub messages: Vec<Taken>,
    pub attempts: Attempts,
    pub suspicious: Vec<Suspicious>,
}

/// A question to the consumer on its way, or its answer.
#[derive(Debug)]
pub enum Asking {
    Asked,
    Answered(Standing),
}

/// Where the relay is.
#[derive(Debug)]
pub enum Relay {
    /// No term.
    Rests,
    Claims {
        epoch: i64,
    },
    Looks {
        checkpoint: Checkpoint,
    },
    Follows {
        place: Place,
    },
    Waits {
        place: Place,
        ticket: u64,
        since: u64,
        position: i64,
    },
    /// Fenced under this epoch.
    Fenced {
        epoch: i64,
    },
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    pub holder: String,
    pub intake: Intake<Taken>,
    pub is_open: bool,
    pub work: Option<Work>,
    pub ahead: Option<(Timestamp, Vec<Taken>)>,
    pub asking: Option<Asking>,
    pub last_progress: u64,
    pub lease_until: Timestamp,
    pub relay: Relay,
}

/// An instance, running or not, and the wires to it.
#[derive(Debug)]
pub struct Instance {
    pub process: Option<Process>,
    pub is_asleep: bool,
    /// Which connection it has; a new number each time.
    pub connection: u64,
    /// A connection of a dead process that the broker still believes in.
    pub ghost: Option<u64>,
    /// How far its clock is off, in milliseconds.
    pub skew: i64,
    pub inbox: VecDeque<Parcel>,
    pub outbox: VecDeque<(u64, u64, Reply)>,
}

impl Instance {
    pub fn new() -> Self {
        Self {
            process: None,
            is_asleep: false,
            connection: 0,
            ghost: None,
            skew: 0,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
        }
    }

    /// The process, if it gets any time.
    pub fn awake(&mut self) -> Option<&mut Process> {
        self.process.as_mut().filter(|_| !self.is_asleep)
    }

    pub fn answer(&mut self, to: &Taken, reply: Reply) {
        self.outbox.push_back((to.stream_sequence, to.message.serial, reply));
    }
}

impl Process {
    pub fn new(holder: String, now: u64) -> Self {
        Self {
            holder,
            intake: Intake::new(Duration::from_millis(ACK_WAIT)),
            is_open: false,
            work: None,
            ahead: None,
            asking: None,
            last_progress: now,
            lease_until: Timestamp::UNIX_EPOCH,
            relay: Relay::Rests,
        }
    }

    /// Everything that was delivered and is not answered.
    pub fn in_hand(&self) -> Vec<Taken> {
        let work = self.work.iter().flat_map(|it| &it.messages);
        let ahead = self.ahead.iter().flat_map(|(_, it)| it);
        work.chain(ahead).chain(self.intake.sorter().held()).cloned().collect()
    }

    /// Takes the next chunk, as far as there is room: one in work, one ahead.
    pub fn advance(&mut self, max: usize, now: Instant) {
        if self.ahead.is_none() {
            let messages = self.intake.release(max, now);
            if !messages.is_empty() {
                self.ahead = Some((self.intake.incarnation(), messages));
            }
        }
    }
}

/// The instant of a number of milliseconds.
#[derive(Clone, Debug)]
pub struct Base(Arc<Instant>);

impl Base {
    pub fn new() -> Self {
        Self(Arc::new(Instant::now()))
    }

    pub fn at(&self, millis: u64) -> Instant {
        *self.0 + Duration::from_millis(millis)
    }
}
