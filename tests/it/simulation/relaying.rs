//! What a leader does between the log and `SAPA_OUT`, one step at a time.
//!
//! Where to go on and under which fence is production's own (`Look`, `Place`); here stand the lease,
//! the wires, and the places where a mistake can be planted.

use delivery::place::{Look, Place};
use delivery::resume::{Found, Last, Seen, Start};
use events::id::EventRef;
use store::checkpoint::Checkpoint;

use crate::simulation::broker::{Page, Sent};
use crate::simulation::instance::Relay;
use crate::simulation::ledger::{Commit, Refused};
use crate::simulation::world::{Flight, Mistake, World, created};

/// Milliseconds after which an answer to a page is not waited for any longer.
const ANSWER_WAIT: u64 = 10_000;

impl World {
    pub fn lease(&mut self, i: usize) {
        let now = self.wall(i);
        let Some(process) = self.instances[i].awake() else { return };
        let held = self.ledger.take(&process.holder, now);
        match held {
            Ok(Some(held)) => {
                process.lease_until = held.expires_at;
                let starts = match process.relay {
                    Relay::Rests => true,
                    Relay::Fenced { epoch } => epoch < held.epoch,
                    _ => false,
                };
                if starts {
                    process.relay = Relay::Claims { epoch: held.epoch };
                    self.note(|| format!("{i} leads under epoch {}", held.epoch));
                }
            }
            Err(_) if now <= process.lease_until => {}
            Ok(None) | Err(_) => process.relay = Relay::Rests,
        }
    }

    pub fn relay(&mut self, i: usize) {
        let Some(process) = self.instances[i].awake() else { return };
        let relay = std::mem::replace(&mut process.relay, Relay::Rests);
        let next = match relay {
            Relay::Claims { epoch } => match self.ledger.claim(epoch) {
                Ok(checkpoint) => Relay::Looks { checkpoint },
                Err(Refused::Away) => Relay::Claims { epoch },
                Err(Refused::Fenced) => Relay::Fenced { epoch },
            },
            Relay::Looks { checkpoint } => self.look(i, checkpoint),
            Relay::Follows { place } => self.send(place),
            Relay::Waits { place, ticket, since, position } => match self.answers.remove(&ticket) {
                Some(Some(sequence)) => self.remember(place, position, sequence),
                Some(None) => Relay::Claims { epoch: place.checkpoint().epoch },
                None if ANSWER_WAIT <= self.now - since => {
                    Relay::Claims { epoch: place.checkpoint().epoch }
                }
                None => Relay::Waits { place, ticket, since, position },
            },
            other => other,
        };
        self.instances[i].process.as_mut().expect("it was awake").relay = next;
    }

    pub fn look(&mut self, i: usize, checkpoint: Checkpoint) -> Relay {
        let epoch = checkpoint.epoch;
        let last_sequence = self.outbound.last_sequence();
        let stream = Seen { created: created(self.outbound.incarnation), last_sequence };
        let last = self.outbound.last();
        let last = last.map(|(sequence, it)| Last { sequence, position: it.position });
        let look = Look::new(checkpoint, Found { stream, last });
        let mut position = match look.start() {
            Start::After(it) => it,
            Start::OldestKept => 0,
        };
        if self.ledger.head() < position {
            self.wrongs
                .push(format!("F60 without a cause: the relay would go on after {position}"));
            return Relay::Fenced { epoch };
        }
        if self.mistake == Some(Mistake::ResumesTooFar) && position < self.ledger.head() {
            position += 1;
        }
        let because = look.because();
        self.note(|| format!("{i} relays after {position}: {because:?}"));
        Relay::Follows { place: look.after(position) }
    }

    pub fn send(&mut self, mut place: Place) -> Relay {
        if self.ledger.is_away {
            return Relay::Claims { epoch: place.checkpoint().epoch };
        }
        let limit = 1 + self.dice.index(5);
        let after = usize::try_from(place.position()).unwrap();
        let page: Vec<Sent> = self
            .ledger
            .entries
            .iter()
            .skip(after)
            .take(limit)
            .map(|it| Sent {
                position: it.receipt.position,
                name: format!("{} {}", it.receipt.source, it.receipt.id),
            })
            .collect();
        let Some(position) = page.last().map(|it| it.position) else {
            return Relay::Follows { place };
        };
        self.tickets += 1;
        let (ticket, since) = (self.tickets, self.now);
        let fenced = self.mistake != Some(Mistake::PublishesUnfenced);
        let fence = fenced.then(|| place.fence());
        self.flights.push(Flight { ticket, page: Page { fence, messages: page } });
        if self.mistake == Some(Mistake::RemembersFirst) {
            let from = place.checkpoint().clone();
            let sequence = self.outbound.last_sequence();
            let to = place.published(position, self.event_at(position), sequence);
            let _ = self.ledger.advance(&from, &to);
            place.stored(to);
        }
        self.note(|| format!("a page up to {position} leaves as {ticket}, fence {fence:?}"));
        Relay::Waits { place, ticket, since, position }
    }

    pub fn event_at(&self, position: i64) -> EventRef {
        let index = usize::try_from(position - 1).unwrap();
        self.ledger.entries[index].event.reference()
    }

    pub fn remember(&mut self, mut place: Place, position: i64, sequence: u64) -> Relay {
        let from = place.checkpoint().clone();
        let epoch = from.epoch;
        let to = place.published(position, self.event_at(position), sequence);
        let commit = self.commit(1);
        if commit == Commit::Fails {
            return Relay::Claims { epoch };
        }
        match self.ledger.advance(&from, &to) {
            Ok(()) if commit == Commit::AnswerLost => Relay::Claims { epoch },
            Ok(()) => {
                place.stored(to);
                Relay::Follows { place }
            }
            Err(Refused::Away) => Relay::Claims { epoch },
            Err(Refused::Fenced) => Relay::Fenced { epoch },
        }
    }

    /// A page in flight reaches the broker, whoever still waits for it.
    pub fn land(&mut self) -> bool {
        if self.flights.is_empty() {
            return false;
        }
        let at = self.dice.index(self.flights.len());
        let flight = self.flights.swap_remove(at);
        let fate = if self.healed { 0 } else { self.dice.below(100) };
        if (90..95).contains(&fate) {
            self.note(|| format!("page {} is lost", flight.ticket));
            return true;
        }
        let stored = self.outbound.take(&flight.page);
        self.note(|| format!("page {} arrives: {stored:?}", flight.ticket));
        if fate < 90 {
            self.answers.insert(flight.ticket, stored);
        }
        true
    }
}
