//! What an instance does between the broker and the log, one step at a time.
//!
//! Around production's own decisions (`Intake`, `decode`, `Attempts`) stands only what its loops do,
//! and the places where a mistake can be planted.

use events::envelope::{Incoming, Provenance};
use ingest::attempts::{Attempts, Suspicious};
use ingest::intake::Opened;
use ingest::step::{Delivery, Known};
use jiff::Timestamp;

use crate::simulation::broker::Reply;
use crate::simulation::instance::{Asking, Taken, Work};
use crate::simulation::ledger::Kept;
use crate::simulation::world::{Mistake, World, created, start};

impl World {
    /// Opens the pull, or takes one delivery.
    pub fn receive(&mut self, i: usize) -> bool {
        let (created, last) = (created(self.inbound.incarnation), self.inbound.last_sequence());
        let (now, instant) = (self.now, self.base.at(self.now));
        let it = &mut self.instances[i];
        let Some(process) = it.process.as_mut().filter(|_| !it.is_asleep) else { return false };
        if !process.is_open {
            process.is_open = true;
            let opened = process.intake.opened(created, last, instant);
            self.inbound.pulls(it.connection, now);
            if !matches!(opened, Opened::Known) {
                self.note(|| format!("{i} opens its pull: {opened:?}"));
            }
            return false;
        }
        self.inbound.pulls(it.connection, now);
        let Some(parcel) = it.inbox.pop_front() else { return false };
        let sequence = parcel.stream_sequence;
        let closes = process.intake.arrive(
            Delivery {
                pin: parcel.pin.to_string(),
                stream_sequence: parcel.stream_sequence,
                consumer_sequence: parcel.consumer_sequence,
                redelivered: parcel.redelivered,
                message: Taken { stream_sequence: parcel.stream_sequence, message: parcel.message },
            },
            instant,
        );
        if closes {
            process.asking = Some(Asking::Asked);
        }
        if self.mistake == Some(Mistake::TakesOverAtOnce) {
            let before = sequence - 1;
            process.intake.learn(&Known { acked_up_to: before, pinned: None }, instant);
        }
        true
    }

    /// The question how the consumer stands makes one half of its way.
    pub fn question(&mut self, i: usize) {
        let instant = self.base.at(self.now);
        let Some(process) = self.instances[i].awake() else { return };
        match process.asking.take() {
            Some(Asking::Asked) => {
                process.asking = Some(Asking::Answered(self.inbound.standing()));
            }
            Some(Asking::Answered(it)) => {
                let pinned = it.pinned.map(|it| it.to_string());
                process.intake.learn(&Known { acked_up_to: it.acked_up_to, pinned }, instant);
            }
            None => {}
        }
    }

    /// One step of the chunk in work, or the next chunk.
    pub fn work(&mut self, i: usize) {
        let max = 1 + self.dice.index(6);
        let instant = self.base.at(self.now);
        let Some(process) = self.instances[i].awake() else { return };
        process.advance(max, instant);
        if process.work.is_none() {
            let Some((incarnation, messages)) = process.ahead.take() else { return };
            return self.begin(i, incarnation, messages);
        }
        let events = process.work.as_mut().and_then(|it| it.attempts.hand_out());
        match events {
            Some(events) => self.append(i, events),
            None => self.quarantine(i),
        }
    }

    pub fn begin(&mut self, i: usize, incarnation: Timestamp, messages: Vec<Taken>) {
        let now = self.wall(i);
        let mut pending = Vec::new();
        let mut suspicious = Vec::new();
        for (index, it) in messages.iter().enumerate() {
            let sequence = i64::try_from(it.stream_sequence).unwrap();
            let provenance = Some(Provenance { incarnation, sequence });
            match self.read(it.message.subject, &it.message.body, provenance, now) {
                Ok(incoming) => pending.push((index, incoming)),
                Err(refused) => suspicious.push(Suspicious { index, refused, conflicting: None }),
            }
        }
        if self.mistake == Some(Mistake::TrustsSequences) {
            let highest = self.ledger.highest_sequence;
            pending.retain(|(index, _)| highest < messages[*index].stream_sequence);
            for it in messages.iter().filter(|it| it.stream_sequence <= highest) {
                self.instances[i].answer(it, Reply::Ack);
            }
        }
        if self.mistake == Some(Mistake::AcknowledgesFirst) {
            for (index, _) in &pending {
                self.instances[i].answer(&messages[*index], Reply::Ack);
            }
        }
        if self.mistake == Some(Mistake::TerminatesFirst) {
            for it in &suspicious {
                self.instances[i].answer(&messages[it.index], Reply::Term);
            }
        }
        self.note(|| {
            let serials: Vec<u64> = messages.iter().map(|it| it.message.serial).collect();
            format!("{i} begins {serials:?}")
        });
        let work = Work { incarnation, messages, attempts: Attempts::new(pending), suspicious };
        if let Some(process) = self.instances[i].awake() {
            process.work = Some(work);
        }
    }

    pub fn append(&mut self, i: usize, events: Vec<Incoming>) {
        let (commit, now) = (self.commit(events.len()), self.wall(i));
        let outcomes = self.ledger.append_each(events, now, commit);
        let is_away = self.ledger.is_away || (!self.healed && self.dice.percent(30));
        let it = &mut self.instances[i];
        let Some(work) = it.process.as_mut().and_then(|it| it.work.as_mut()) else { return };
        let heard = work.attempts.heard(outcomes);
        let done: Vec<Taken> =
            heard.done.iter().map(|(index, _)| work.messages[*index].clone()).collect();
        work.suspicious.extend(heard.suspicious);
        if heard.again
            && let Some(it) = work.attempts.failed(heard.unavailable && !is_away)
        {
            self.given_up.extend(it.refused.event_id.clone());
            work.suspicious.push(it);
        }
        for message in &done {
            it.answer(message, Reply::Ack);
            self.ledger.highest_sequence =
                self.ledger.highest_sequence.max(message.stream_sequence);
        }
        let (newest, again) = (self.ledger.head(), heard.again);
        self.note(|| format!("{i} appends: {commit:?}, head {newest}, again {again}"));
    }

    pub fn quarantine(&mut self, i: usize) {
        let commit = self.commit(1);
        let Some(process) = self.instances[i].process.as_mut() else { return };
        let Some(work) = process.work.take() else { return };
        let suspects: Vec<(Kept, String)> = work
            .suspicious
            .iter()
            .map(|it| {
                let message = &work.messages[it.index];
                let kept = Kept {
                    incarnation: work.incarnation.duration_since(start()).as_secs(),
                    sequence: message.stream_sequence,
                    body: message.message.body.to_string(),
                };
                (kept, it.refused.problem.code.as_str().to_owned())
            })
            .collect();
        if suspects.is_empty() {
            return;
        }
        if !self.ledger.keep(&suspects, commit) {
            process.work = Some(work);
            return;
        }
        for it in &work.suspicious {
            let message = work.messages[it.index].clone();
            self.instances[i].answer(&message, Reply::Term);
        }
        self.note(|| format!("{i} keeps {} in quarantine", suspects.len()));
    }
}
