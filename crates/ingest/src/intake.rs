//! What is known of `SAPA_IN` while messages are taken off it: which incarnation it is, how far it
//! was seen, and, through the [`Sorter`], what may go on to the log. No input, no output.
//!
//! Promises that sequences of two incarnations, or of a tail that the broker has lost and one it
//! has grown since, are never compared. The loop in `lib.rs` and the simulation run this same code.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::step::{Delivery, Known, Sorter};

/// What a newly opened pull says about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The stream is as it was, or longer.
    Known,
    /// It is another stream under the same name, or the first we see.
    Anew,
    /// It has lost its tail: sequences up to `seen` will be given again (F16).
    RolledBack {
        /// The highest sequence that was delivered to us.
        seen: u64,
    },
}

/// Everything between the pull and the next chunk.
#[derive(Debug)]
pub struct Intake<M> {
    ack_wait: Duration,
    incarnation: Timestamp,
    highest: u64,
    sorter: Sorter<M>,
}

impl<M> Intake<M> {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(ack_wait: Duration) -> Self {
        let sorter = Sorter::new(ack_wait);
        Self { ack_wait, incarnation: Timestamp::UNIX_EPOCH, highest: 0, sorter }
    }

    /// A pull was opened on a stream that was created then and reaches this far.
    pub fn opened(&mut self, incarnation: Timestamp, last_sequence: u64, now: Instant) -> Opened {
        self.sorter.interrupted(now);
        if incarnation != self.incarnation {
            // What was held is of a stream that is gone; its sequences mean nothing here.
            *self = Self { incarnation, ..Self::new(self.ack_wait) };
            return Opened::Anew;
        }
        if last_sequence < self.highest {
            // What was held may be of the lost tail; what is not comes again.
            self.sorter = Sorter::new(self.ack_wait);
            let seen = std::mem::replace(&mut self.highest, last_sequence);
            return Opened::RolledBack { seen };
        }
        Opened::Known
    }

    /// Takes a delivery. `true` if something before it is missing that was not known to be: ask the
    /// consumer and tell [`Self::learn`].
    pub fn arrive(&mut self, it: Delivery<M>, now: Instant) -> bool {
        self.highest = self.highest.max(it.stream_sequence);
        self.sorter.arrive(it, now)
    }

    /// Hears what the consumer says about itself.
    pub fn learn(&mut self, known: &Known, now: Instant) {
        self.sorter.learn(known, now);
    }

    /// The pull stumbled: what was on its way may be lost and comes later.
    pub fn interrupted(&mut self, now: Instant) {
        self.sorter.interrupted(now);
    }

    /// Has to be called at least once a second.
    pub fn look(&mut self, now: Instant) {
        self.sorter.look(now);
    }

    /// At most `max` messages that may go to the log, in the order of the stream.
    pub fn release(&mut self, max: usize, now: Instant) -> Vec<M> {
        self.sorter.release(max, now)
    }

    /// When the stream was created that we pull from.
    #[must_use]
    pub fn incarnation(&self) -> Timestamp {
        self.incarnation
    }

    /// What is held, and whether it waits.
    #[must_use]
    pub fn sorter(&self) -> &Sorter<M> {
        &self.sorter
    }

    /// Everything held, for giving it back.
    pub fn drain(&mut self) -> Vec<M> {
        self.sorter.drain()
    }

    /// Every place in the stream that may be delivered to us and not acknowledged: what is in hand, and
    /// what was on its way when we left, for the first time or again. Nothing while somebody else is
    /// pinned, since then it is theirs.
    ///
    /// `pinned` is who the consumer says is pinned; it says that everything up to `acked_up_to` is
    /// acknowledged, and that nothing after `delivered_up_to` was ever delivered.
    #[must_use]
    pub fn unanswered(
        &self,
        pinned: Option<&str>,
        acked_up_to: u64,
        delivered_up_to: u64,
    ) -> RangeInclusive<u64> {
        let is_ours = pinned.is_some() && pinned == self.sorter.pin();
        let end = if is_ours { delivered_up_to } else { acked_up_to };
        acked_up_to + 1..=end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK_WAIT: Duration = Duration::from_secs(10);

    fn delivery(sequence: u64) -> Delivery<u64> {
        Delivery {
            pin: "a".to_owned(),
            stream_sequence: sequence,
            consumer_sequence: sequence,
            redelivered: false,
            message: sequence,
        }
    }

    #[test]
    fn f26_what_was_held_of_a_stream_that_is_gone_is_forgotten() {
        let (first, second) =
            (Timestamp::from_second(1).unwrap(), Timestamp::from_second(2).unwrap());
        let mut it = Intake::new(ACK_WAIT);
        assert_eq!(it.opened(first, 0, Instant::now()), Opened::Anew);
        it.arrive(delivery(1), Instant::now());
        assert_eq!(it.opened(second, 9, Instant::now()), Opened::Anew);
        assert!(it.sorter().is_empty());
        assert_eq!(it.incarnation(), second);
    }

    #[test]
    fn f16_a_stream_that_is_shorter_than_it_was_seen_has_lost_its_tail() {
        let mut it = Intake::new(ACK_WAIT);
        it.opened(Timestamp::UNIX_EPOCH, 3, Instant::now());
        for sequence in 1..=3 {
            it.arrive(delivery(sequence), Instant::now());
        }
        assert_eq!(it.opened(Timestamp::UNIX_EPOCH, 3, Instant::now()), Opened::Known);
        assert_eq!(
            it.opened(Timestamp::UNIX_EPOCH, 2, Instant::now()),
            Opened::RolledBack { seen: 3 }
        );
        assert_eq!(
            it.opened(Timestamp::UNIX_EPOCH, 2, Instant::now()),
            Opened::Known,
            "it is told once"
        );
    }

    #[test]
    fn what_is_not_acknowledged_is_ours_to_give_back_only_while_the_pin_is() {
        let mut it = Intake::new(ACK_WAIT);
        it.arrive(delivery(2), Instant::now());
        let places = |pinned| -> Vec<u64> { it.unanswered(pinned, 1, 4).collect() };
        assert_eq!(places(Some("a")), [2, 3, 4]);
        assert!(places(Some("b")).is_empty());
        assert!(places(None).is_empty());
        assert!(it.unanswered(Some("a"), 4, 4).is_empty(), "all of it is acknowledged");
    }
}
