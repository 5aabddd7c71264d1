//! The broker as it was measured to behave: `SAPA_IN` with its pinned consumer, and `SAPA_OUT`.
//!
//! What is faithful: sequences are given again after a lost tail; an acknowledgement names a place
//! in the stream and nothing else, so a stale one takes whatever stands there now; redelivery comes
//! in any order; a pin outlives its client by [`PIN_TIMEOUT`]; a batch is stored whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tests::dice::Dice;

/// Milliseconds after which an unanswered delivery is made again.
pub const ACK_WAIT: u64 = 10_000;
/// Milliseconds for which a pin outlives its client.
pub const PIN_TIMEOUT: u64 = 5_000;
/// Deliveries that may be unanswered.
const ACK_PENDING_MAX: usize = 24;

/// Something published. `serial` says when it was accepted, over all sequences and incarnations.
#[derive(Clone, Debug)]
pub struct Message {
    pub serial: u64,
    pub subject: &'static str,
    pub body: Arc<str>,
}

/// A delivery on its way to an instance.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub pin: u64,
    pub stream_sequence: u64,
    pub consumer_sequence: u64,
    pub redelivered: bool,
    pub message: Message,
}

/// What an instance says to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Ack,
    Nak,
    Term,
    Progress,
}

/// How the consumer stands.
#[derive(Clone, Debug)]
pub struct Standing {
    pub acked_up_to: u64,
    pub delivered_up_to: u64,
    pub pinned: Option<u64>,
}

#[derive(Clone, Debug)]
struct Pending {
    due: u64,
    deliveries: u64,
    /// Which message it is that was delivered.
    serial: u64,
}

/// What the broker writes to its disk.
#[derive(Clone, Debug, Default)]
struct Stored {
    messages: Vec<Message>,
    delivered: u64,
    delivered_up_to: usize,
    pending: BTreeMap<usize, Pending>,
}

#[derive(Clone, Debug)]
struct Pin {
    id: u64,
    connection: u64,
    until: u64,
}

/// `SAPA_IN` and its consumer.
#[derive(Debug, Default)]
pub struct Inbound {
    pub incarnation: i64,
    stored: Stored,
    backups: Vec<Stored>,
    pin: Option<Pin>,
    pins: u64,
    next_serial: u64,
    /// Every message ever accepted: where it stood.
    pub accepted: Vec<(Message, i64, u64)>,
    /// Accepted and lost again by the broker itself.
    pub lost: BTreeSet<u64>,
    /// Taken away by an answer that was meant for a message that stood there before.
    pub mistaken: BTreeSet<u64>,
}

impl Inbound {
    /// Stores a message and says under which serial.
    pub fn accept(&mut self, subject: &'static str, body: Arc<str>) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        let message = Message { serial, subject, body };
        self.stored.messages.push(message.clone());
        self.accepted.push((message, self.incarnation, self.last_sequence()));
        serial
    }

    pub fn last_sequence(&self) -> u64 {
        u64::try_from(self.stored.messages.len()).unwrap()
    }

    pub fn is_idle(&self) -> bool {
        self.stored.pending.is_empty() && self.stored.delivered_up_to == self.stored.messages.len()
    }

    pub fn standing(&self) -> Standing {
        let floor = self.stored.pending.keys().next().copied();
        let floor = floor.unwrap_or(self.stored.delivered_up_to);
        Standing {
            acked_up_to: u64::try_from(floor).unwrap(),
            delivered_up_to: u64::try_from(self.stored.delivered_up_to).unwrap(),
            pinned: self.pin.as_ref().map(|it| it.id),
        }
    }

    /// A connection with an open pull asks for more; `true` if it is the one that gets it.
    pub fn pulls(&mut self, connection: u64, now: u64) -> bool {
        if self.pin.as_ref().is_none_or(|it| it.until <= now) {
            self.pins += 1;
            self.pin = Some(Pin { id: self.pins, connection, until: now + PIN_TIMEOUT });
        }
        let pin = self.pin.as_mut().unwrap();
        if pin.connection == connection {
            pin.until = now + PIN_TIMEOUT;
        }
        pin.connection == connection
    }

    /// The same client has connected again and resumed its pull under its pin.
    pub fn resumes(&mut self, old: u64, new: u64) {
        if let Some(pin) = self.pin.as_mut().filter(|it| it.connection == old) {
            pin.connection = new;
        }
    }

    /// The connection that is pinned now, whether or not it still pulls.
    pub fn pinned(&self, now: u64) -> Option<u64> {
        self.pin.as_ref().filter(|it| now < it.until).map(|it| it.connection)
    }

    /// When the next redelivery is due.
    pub fn next_due(&self) -> Option<u64> {
        self.stored.pending.values().map(|it| it.due).min()
    }

    /// The next delivery to whoever is pinned: what is due again in any order, and what is new.
    pub fn deliver(&mut self, now: u64, dice: &mut Dice) -> Option<Parcel> {
        let pin = self.pin.as_ref().filter(|it| now < it.until)?.id;
        let stored = &mut self.stored;
        let due: Vec<usize> =
            stored.pending.iter().filter(|(_, it)| it.due <= now).map(|(at, _)| *at).collect();
        let has_new = stored.delivered_up_to < stored.messages.len()
            && stored.pending.len() < ACK_PENDING_MAX;
        let again = !due.is_empty() && (!has_new || dice.percent(70));
        let index = if again {
            due[dice.index(due.len())]
        } else if has_new {
            stored.delivered_up_to
        } else {
            return None;
        };
        stored.delivered += 1;
        stored.delivered_up_to = stored.delivered_up_to.max(index + 1);
        let message = stored.messages[index].clone();
        let pending = stored.pending.entry(index).or_insert(Pending {
            due: 0,
            deliveries: 0,
            serial: message.serial,
        });
        pending.due = now + ACK_WAIT;
        pending.deliveries += 1;
        Some(Parcel {
            pin,
            stream_sequence: u64::try_from(index + 1).unwrap(),
            consumer_sequence: stored.delivered,
            redelivered: 1 < pending.deliveries,
            message,
        })
    }

    /// An answer arrives. `serial` is what its sender had in hand; the broker does not look at it.
    pub fn hear(&mut self, sequence: u64, serial: u64, reply: Reply, now: u64) {
        let Some(index) = usize::try_from(sequence).unwrap().checked_sub(1) else { return };
        let Some(pending) = self.stored.pending.get_mut(&index) else { return };
        match reply {
            Reply::Ack | Reply::Term => {
                if pending.serial != serial {
                    self.mistaken.insert(pending.serial);
                }
                self.stored.pending.remove(&index);
            }
            Reply::Nak => pending.due = now,
            Reply::Progress => pending.due = now + ACK_WAIT,
        }
    }

    /// What a power failure would bring back.
    pub fn back_up(&mut self) {
        self.backups.push(self.stored.clone());
    }

    /// Comes back without its tail: its sequences are given again, and the consumer moves back.
    pub fn roll_back(&mut self, dice: &mut Dice) -> bool {
        if self.backups.is_empty() {
            return false;
        }
        self.backups.truncate(dice.index(self.backups.len()) + 1);
        let old = self.backups.last().unwrap().clone();
        let kept = old.messages.len();
        self.lost.extend(self.stored.messages.iter().skip(kept).map(|it| it.serial));
        self.stored = old;
        self.pin = None;
        true
    }

    /// Is made again under the same name.
    pub fn make_anew(&mut self) {
        self.lost.extend(self.stored.messages.iter().map(|it| it.serial));
        self.stored = Stored::default();
        self.backups.clear();
        self.pin = None;
        self.incarnation += 1;
    }
}

/// What stands at one place of `SAPA_OUT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub position: i64,
    pub name: String,
}

/// A page on its way.
#[derive(Clone, Debug)]
pub struct Page {
    /// What the first message must follow; nothing where no fence was sent.
    pub fence: Option<u64>,
    pub messages: Vec<Sent>,
}

/// `SAPA_OUT`. A place that was purged is empty.
#[derive(Debug, Default)]
pub struct Outbound {
    pub incarnation: i64,
    places: Vec<Option<Sent>>,
    backups: Vec<usize>,
    /// Positions that an erasure has taken.
    pub purged: BTreeSet<i64>,
}

impl Outbound {
    pub fn last_sequence(&self) -> u64 {
        u64::try_from(self.places.len()).unwrap()
    }

    /// The last message that is left, with its sequence.
    pub fn last(&self) -> Option<(u64, &Sent)> {
        let index = self.places.iter().rposition(Option::is_some)?;
        Some((u64::try_from(index + 1).unwrap(), self.places[index].as_ref()?))
    }

    pub fn messages(&self) -> impl Iterator<Item = &Sent> {
        self.places.iter().flatten()
    }

    /// Stores a page whole, or refuses it: `None` is "wrong last sequence".
    pub fn take(&mut self, page: &Page) -> Option<u64> {
        let last = self.last().map_or(0, |(sequence, _)| sequence);
        if page.fence.is_some_and(|it| it != last) {
            return None;
        }
        self.places.extend(page.messages.iter().cloned().map(Some));
        Some(self.last_sequence())
    }

    pub fn back_up(&mut self) {
        self.backups.push(self.places.len());
    }

    pub fn roll_back(&mut self, dice: &mut Dice) -> bool {
        if self.backups.is_empty() {
            return false;
        }
        self.backups.truncate(dice.index(self.backups.len()) + 1);
        self.places.truncate(*self.backups.last().unwrap());
        true
    }

    pub fn make_anew(&mut self) {
        *self = Self { incarnation: self.incarnation + 1, ..Self::default() };
    }

    /// Takes the newest message away, as the erasure of whoever it is about does.
    pub fn purge_newest(&mut self) {
        if let Some((sequence, it)) = self.last() {
            let position = it.position;
            let index = usize::try_from(sequence - 1).unwrap();
            self.places[index] = None;
            self.purged.insert(position);
        }
    }
}
