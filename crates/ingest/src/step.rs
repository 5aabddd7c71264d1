//! The order of what was delivered: a state machine without input or output.
//!
//! Promises that messages leave in the order of the stream although redelivery comes in any order
//! (3, 4, 0, 1, 2 was measured) and although a dead instance's messages come back after newer ones.
//! A new pin, or a hole in the consumer's own numbering, closes the [`Sorter`]: nothing leaves until
//! everything delivered and unacknowledged before it has arrived again, or until that has had its time.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// What is waited beyond `ack_wait` for messages that do not come back.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(5);

/// One delivery, as far as order is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<M> {
    /// Under which pin it came; empty where the server sent none.
    pub pin: String,
    /// Place in the stream.
    pub stream_sequence: u64,
    /// Which delivery of this consumer it is, from 1, without holes.
    pub consumer_sequence: u64,
    /// It was delivered before.
    pub redelivered: bool,
    /// The message.
    pub message: M,
}

/// What the consumer said about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Messages delivered to anybody and not acknowledged.
    pub ack_pending: usize,
    /// Number of the newest delivery.
    pub delivered: u64,
}

/// Holds deliveries and lets them go in order.
#[derive(Debug)]
pub struct Sorter<M> {
    ack_wait: Duration,
    pin: Option<String>,
    last_delivery: u64,
    barrier: Option<Barrier>,
    held: BTreeMap<u64, Held<M>>,
}

#[derive(Debug)]
struct Held<M> {
    /// Number of the first delivery that reached us.
    first_delivery: u64,
    /// That one was a redelivery.
    redelivered: bool,
    message: M,
}

#[derive(Debug)]
struct Barrier {
    since: Instant,
    known: Option<Known>,
}

impl<M> Sorter<M> {
    /// An empty one that has seen no pin yet.
    #[must_use]
    pub fn new(ack_wait: Duration) -> Self {
        Self { ack_wait, pin: None, last_delivery: 0, barrier: None, held: BTreeMap::new() }
    }

    /// Takes a delivery. `true` if it closed the barrier: ask the consumer and tell [`Self::learn`].
    pub fn arrive(&mut self, it: Delivery<M>, now: Instant) -> bool {
        let same_pin = self.pin.as_ref() == Some(&it.pin);
        let in_sequence = it.consumer_sequence == self.last_delivery + 1;
        let closes = !(same_pin && in_sequence);
        if closes {
            // A hole under the same pin: deliveries were lost on the way and come back later.
            self.barrier = Some(Barrier { since: now, known: None });
            self.pin = Some(it.pin);
        }
        self.last_delivery = it.consumer_sequence;
        let held = Held {
            first_delivery: it.consumer_sequence,
            redelivered: it.redelivered,
            message: it.message,
        };
        match self.held.entry(it.stream_sequence) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(held);
            }
            // The newest handle is the one to acknowledge with.
            std::collections::btree_map::Entry::Occupied(mut place) => {
                place.get_mut().message = held.message;
            }
        }
        closes
    }

    /// Hears what the consumer says; asked again while the barrier is closed, it may say less.
    pub fn learn(&mut self, known: Known) {
        if let Some(barrier) = &mut self.barrier {
            barrier.known = Some(known);
        }
    }

    /// The barrier is closed: newer messages are held until older ones are back.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.barrier.is_some()
    }

    /// Under which pin we pull, once something arrived.
    #[must_use]
    pub fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    /// Number of the newest delivery that reached us.
    #[must_use]
    pub fn last_delivery(&self) -> u64 {
        self.last_delivery
    }

    /// How many messages are held now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// None is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Messages held now.
    pub fn held(&self) -> impl Iterator<Item = &M> {
        self.held.values().map(|it| &it.message)
    }

    /// At most `max` messages in the order of the stream; none while the barrier is closed.
    pub fn release(&mut self, max: usize, now: Instant) -> Vec<M> {
        if self.barrier.as_ref().is_some_and(|it| self.complete(it) || self.is_overdue(it, now)) {
            self.barrier = None;
        }
        if self.barrier.is_some() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(max.min(self.held.len()));
        while out.len() < max
            && let Some((_, it)) = self.held.pop_first()
        {
            out.push(it.message);
        }
        out
    }

    /// Everything held, for giving it back.
    pub fn drain(&mut self) -> Vec<M> {
        self.barrier = None;
        std::mem::take(&mut self.held).into_values().map(|it| it.message).collect()
    }

    /// Whatever was unacknowledged when the consumer was asked is in our hands.
    fn complete(&self, barrier: &Barrier) -> bool {
        let Some(known) = barrier.known else { return false };
        // What was first delivered after the question is not part of the answer, unless it came back.
        let counted = |it: &&Held<M>| it.first_delivery <= known.delivered || it.redelivered;
        known.delivered <= self.last_delivery
            && known.ack_pending <= self.held.values().filter(counted).count()
    }

    fn is_overdue(&self, barrier: &Barrier, now: Instant) -> bool {
        self.ack_wait + GIVE_UP_AFTER <= now.saturating_duration_since(barrier.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK_WAIT: Duration = Duration::from_secs(10);
    const NONE: [u64; 0] = [];

    fn delivery(pin: &str, stream: u64, consumer: u64, redelivered: bool) -> Delivery<u64> {
        Delivery {
            pin: pin.to_owned(),
            stream_sequence: stream,
            consumer_sequence: consumer,
            redelivered,
            message: stream,
        }
    }

    /// A sorter that has pin `a` and has worked off one message.
    fn flowing(now: Instant) -> Sorter<u64> {
        let mut it = Sorter::new(ACK_WAIT);
        assert!(it.arrive(delivery("a", 1, 1, false), now), "the first message is a take-over");
        it.learn(Known { ack_pending: 1, delivered: 1 });
        assert_eq!(it.release(512, now), [1]);
        it
    }

    #[test]
    fn messages_flow_while_nothing_was_missed() {
        let now = Instant::now();
        let mut it = flowing(now);
        for sequence in 2..5 {
            assert!(!it.arrive(delivery("a", sequence, sequence, false), now));
        }
        assert_eq!(it.release(2, now), [2, 3]);
        assert_eq!(it.release(2, now), [4]);
    }

    #[test]
    fn redeliveries_in_any_order_leave_in_the_order_of_the_stream() {
        let now = Instant::now();
        let mut it = Sorter::new(ACK_WAIT);
        for (consumer, stream) in [3, 4, 0, 1, 2].into_iter().enumerate() {
            let consumer = 6 + u64::try_from(consumer).unwrap();
            it.arrive(delivery("b", stream, consumer, true), now);
        }
        assert_eq!(it.release(512, now), NONE, "nobody has said yet how many there are");
        it.learn(Known { ack_pending: 5, delivered: 10 });
        assert_eq!(it.release(512, now), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn newer_messages_wait_for_those_of_a_dead_instance() {
        let now = Instant::now();
        let mut it = flowing(now);
        // The dead one held 2, 3, 4 as deliveries 2, 3, 4; we get 5 and 6 first.
        assert!(it.arrive(delivery("b", 5, 5, false), now));
        assert!(!it.arrive(delivery("b", 6, 6, false), now));
        it.learn(Known { ack_pending: 5, delivered: 6 });
        assert_eq!(it.release(512, now), NONE);
        // A still newer one does not count as one of the five.
        it.arrive(delivery("b", 7, 7, false), now);
        it.arrive(delivery("b", 4, 8, true), now);
        it.arrive(delivery("b", 2, 9, true), now);
        assert_eq!(it.release(512, now), NONE);
        it.arrive(delivery("b", 3, 10, true), now);
        assert_eq!(it.release(512, now), [2, 3, 4, 5, 6, 7]);
        assert!(!it.is_closed());
    }

    #[test]
    fn an_answer_that_counts_deliveries_still_on_the_way_waits_for_them() {
        let now = Instant::now();
        let mut it = Sorter::new(ACK_WAIT);
        it.arrive(delivery("a", 1, 1, false), now);
        it.learn(Known { ack_pending: 1, delivered: 2 });
        assert_eq!(it.release(512, now), NONE, "delivery 2 may be older than what we hold");
        it.arrive(delivery("a", 2, 2, false), now);
        assert_eq!(it.release(512, now), [1, 2]);
    }

    #[test]
    fn a_hole_under_the_same_pin_closes_the_barrier() {
        let now = Instant::now();
        let mut it = flowing(now);
        assert!(it.arrive(delivery("a", 4, 4, false), now), "2 and 3 were lost on the way");
        it.learn(Known { ack_pending: 3, delivered: 4 });
        assert_eq!(it.release(512, now), NONE);
        it.arrive(delivery("a", 3, 5, true), now);
        it.arrive(delivery("a", 2, 6, true), now);
        assert_eq!(it.release(512, now), [2, 3, 4]);
    }

    #[test]
    fn what_never_comes_back_is_waited_for_only_so_long() {
        let now = Instant::now();
        let mut it = flowing(now);
        it.arrive(delivery("b", 5, 5, false), now);
        it.learn(Known { ack_pending: 4, delivered: 5 });
        let nearly = now + ACK_WAIT + GIVE_UP_AFTER - Duration::from_millis(1);
        assert_eq!(it.release(512, nearly), NONE);
        assert_eq!(it.release(512, now + ACK_WAIT + GIVE_UP_AFTER), [5]);
    }

    #[test]
    fn acknowledgements_that_arrive_late_open_the_barrier_when_asked_again() {
        let now = Instant::now();
        let mut it = flowing(now);
        it.arrive(delivery("b", 5, 5, false), now);
        it.learn(Known { ack_pending: 4, delivered: 5 });
        assert_eq!(it.release(512, now), NONE);
        it.learn(Known { ack_pending: 1, delivered: 5 });
        assert_eq!(it.release(512, now), [5]);
    }

    #[test]
    fn a_message_that_comes_twice_leaves_once_with_its_newest_handle() {
        let now = Instant::now();
        let mut it = flowing(now);
        let mut first = delivery("b", 5, 5, false);
        first.message = 50;
        it.arrive(first, now);
        it.learn(Known { ack_pending: 2, delivered: 5 });
        let mut second = delivery("b", 5, 6, true);
        second.message = 51;
        it.arrive(second, now);
        assert_eq!(it.release(512, now), NONE, "one message that came twice is one");
        it.arrive(delivery("b", 4, 7, true), now);
        assert_eq!(it.release(512, now), [4, 51]);
    }
}
