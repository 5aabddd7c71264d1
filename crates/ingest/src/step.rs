//! The order of what was delivered: a state machine without input or output.
//!
//! Promises that messages leave in the order of the stream although redelivery comes in any order
//! (3, 4, 0, 1, 2 was measured) and although a dead instance's messages come back after newer ones.
//! A message leaves once everything before it is acknowledged, as the consumer says, or has left
//! here; until then the [`Sorter`] is closed. Counting is not enough: what another instance
//! acknowledges meanwhile would be counted too. What never comes back has its time, but only time in
//! which we were awake and pinned.

use std::collections::BTreeMap;
use std::time::Duration;

use events::planted::{Mistake, planted};
use tokio::time::Instant;

/// What is waited beyond `ack_wait` for messages that do not come back.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(5);
/// Whoever has not looked for so long was asleep, and may have lost more than it knows of.
pub const ASLEEP_AFTER: Duration = Duration::from_secs(3);

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Everything up to this place in the stream is acknowledged.
    pub acked_up_to: u64,
    /// Who is pinned, if anybody.
    pub pinned: Option<String>,
}

/// Holds deliveries and lets them go in order.
#[derive(Debug)]
pub struct Sorter<M> {
    ack_wait: Duration,
    pin: Option<String>,
    last_delivery: u64,
    /// Everything up to here is acknowledged or has left; nothing is known before the first answer.
    through: Option<u64>,
    held: BTreeMap<u64, M>,
    /// Since when what is missing is waited for.
    since: Option<Instant>,
    /// When we last looked.
    looked: Option<Instant>,
    /// When the consumer last said that we are pinned.
    confirmed: Option<Instant>,
}

impl<M> Sorter<M> {
    /// An empty one that has seen no pin yet.
    #[must_use]
    pub fn new(ack_wait: Duration) -> Self {
        Self {
            ack_wait,
            pin: None,
            last_delivery: 0,
            through: None,
            held: BTreeMap::new(),
            since: None,
            looked: None,
            confirmed: None,
        }
    }

    /// Takes a delivery. `true` if something before it is missing that was not known to be: ask the
    /// consumer and tell [`Self::learn`].
    pub fn arrive(&mut self, it: Delivery<M>, now: Instant) -> bool {
        let was_closed = self.is_closed();
        let moved_back = it.consumer_sequence <= self.last_delivery;
        let begins_anew = moved_back || self.pin.as_ref() != Some(&it.pin);
        if moved_back {
            // The broker has lost its tail. What is held may be of it, and an answer to it would be
            // taken for an answer to whatever stands there now; the rest comes again.
            self.held.clear();
        }
        if begins_anew {
            self.through = None;
            self.pin = Some(it.pin);
        }
        self.last_delivery = it.consumer_sequence;
        // The newest handle is the one to acknowledge with.
        self.held.insert(it.stream_sequence, it.message);
        let closes = self.is_closed() && (begins_anew || !was_closed);
        if closes {
            self.interrupted(now);
        }
        closes
    }

    /// Hears what the consumer says; asked again while something is missing, it may say more.
    pub fn learn(&mut self, known: &Known, now: Instant) {
        let is_ours = known.pinned.is_some() && known.pinned == self.pin;
        if known.pinned.is_some() && !is_ours && self.is_closed() {
            // Whoever is pinned gets these again, with what is missing here.
            self.held.clear();
        }
        if is_ours {
            self.confirmed = Some(now);
        }
        self.through = Some(self.through.unwrap_or(0).max(known.acked_up_to));
    }

    /// The connection stumbled: what was on its way may be lost and comes later.
    pub fn interrupted(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// Has to be called at least once a second: a gap says that we were asleep.
    pub fn look(&mut self, now: Instant) {
        let asleep = |it: Instant| ASLEEP_AFTER < now.saturating_duration_since(it);
        if self.looked.is_some_and(asleep) {
            self.interrupted(now);
        }
        self.looked = Some(now);
    }

    /// Something before what is held is missing.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let follows = |first: &u64| self.through.is_some_and(|it| *first <= it + 1);
        self.held.keys().next().is_some_and(|first| !follows(first))
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
        self.held.values()
    }

    /// At most `max` messages in the order of the stream, up to the first that is missing.
    pub fn release(&mut self, max: usize, now: Instant) -> Vec<M> {
        self.look(now);
        if self.is_closed() && (planted(Mistake::NoBarrier) || self.is_overdue(now)) {
            // It is gone from the stream, or the consumer's books are wrong.
            self.through = self.held.keys().next().map(|first| first.saturating_sub(1));
        }
        let mut out = Vec::with_capacity(max.min(self.held.len()));
        while out.len() < max
            && let Some(through) = self.through
            && let Some(first) = self.held.first_entry()
            && *first.key() <= through + 1
        {
            self.through = Some(through.max(*first.key()));
            out.push(first.remove());
        }
        if !out.is_empty() && self.is_closed() {
            self.interrupted(now);
        }
        out
    }

    /// Everything held, for giving it back.
    pub fn drain(&mut self) -> Vec<M> {
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// What is missing has had its time, and afterwards the consumer has said that it would be us
    /// to whom it came.
    fn is_overdue(&self, now: Instant) -> bool {
        let Some(since) = self.since else { return false };
        let end = since + self.ack_wait + GIVE_UP_AFTER;
        end <= now && self.confirmed.is_some_and(|it| end <= it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK_WAIT: Duration = Duration::from_secs(10);
    const NONE: [u64; 0] = [];

    fn delivery(pin: &str, stream: u64, consumer: u64) -> Delivery<u64> {
        Delivery {
            pin: pin.to_owned(),
            stream_sequence: stream,
            consumer_sequence: consumer,
            redelivered: false,
            message: stream,
        }
    }

    fn known(acked_up_to: u64, pinned: &str) -> Known {
        Known { acked_up_to, pinned: Some(pinned.to_owned()) }
    }

    /// A sorter that has pin `a` and has worked off one message.
    fn flowing(now: Instant) -> Sorter<u64> {
        let mut it = Sorter::new(ACK_WAIT);
        assert!(it.arrive(delivery("a", 1, 1), now), "the first message is a take-over");
        assert_eq!(it.release(512, now), NONE, "nobody has said yet what came before it");
        it.learn(&known(0, "a"), now);
        assert_eq!(it.release(512, now), [1]);
        it
    }

    #[test]
    fn messages_flow_while_nothing_was_missed() {
        let now = Instant::now();
        let mut it = flowing(now);
        for sequence in 2..5 {
            assert!(!it.arrive(delivery("a", sequence, sequence), now));
        }
        assert_eq!(it.release(2, now), [2, 3]);
        assert_eq!(it.release(2, now), [4]);
    }

    #[test]
    fn redeliveries_in_any_order_leave_in_the_order_of_the_stream() {
        let now = Instant::now();
        let mut it = Sorter::new(ACK_WAIT);
        for (consumer, stream) in [4, 5, 1, 2, 3].into_iter().enumerate() {
            it.arrive(delivery("b", stream, 6 + u64::try_from(consumer).unwrap()), now);
        }
        assert_eq!(it.release(512, now), NONE);
        it.learn(&known(0, "b"), now);
        assert_eq!(it.release(512, now), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn newer_messages_wait_for_those_of_a_dead_instance() {
        let now = Instant::now();
        let mut it = flowing(now);
        // The dead one held 2, 3, 4 as deliveries 2, 3, 4; we get 5 and 6 first.
        assert!(it.arrive(delivery("b", 5, 5), now));
        assert!(!it.arrive(delivery("b", 6, 6), now));
        it.learn(&known(1, "b"), now);
        assert_eq!(it.release(512, now), NONE);
        it.arrive(delivery("b", 7, 7), now);
        it.arrive(delivery("b", 4, 8), now);
        assert_eq!(it.release(512, now), NONE);
        it.arrive(delivery("b", 2, 9), now);
        assert_eq!(it.release(512, now), [2], "what is complete so far");
        it.arrive(delivery("b", 3, 10), now);
        assert_eq!(it.release(512, now), [3, 4, 5, 6, 7]);
        assert!(!it.is_closed());
    }

    #[test]
    fn what_another_instance_acknowledges_meanwhile_stands_for_nothing_else() {
        let now = Instant::now();
        let mut it = flowing(now);
        // A sleeper still has 2 and 3 in work. We have 4, and 2 a second time.
        it.arrive(delivery("b", 4, 4), now);
        it.arrive(delivery("b", 2, 5), now);
        // It acknowledges 2: two are unacknowledged, 3 and 4, and two are held, 2 and 4.
        it.learn(&known(2, "b"), now);
        assert_eq!(it.release(512, now), [2], "2 is recorded, so it overtakes nobody");
        assert!(it.is_closed(), "3 is not here");
        it.learn(&known(3, "b"), now);
        assert_eq!(it.release(512, now), [4]);
    }

    #[test]
    fn a_hole_under_the_same_pin_is_waited_for() {
        let now = Instant::now();
        let mut it = flowing(now);
        assert!(it.arrive(delivery("a", 4, 4), now), "2 and 3 were lost on the way");
        it.learn(&known(1, "a"), now);
        assert_eq!(it.release(512, now), NONE);
        it.arrive(delivery("a", 3, 5), now);
        it.arrive(delivery("a", 2, 6), now);
        assert_eq!(it.release(512, now), [2, 3, 4]);
    }

    /// One that misses 2 to 4 since `now`, and asks and looks every second for so many of them.
    fn missing(now: Instant, seconds: u64) -> Sorter<u64> {
        let mut it = flowing(now);
        it.arrive(delivery("b", 5, 5), now);
        for second in 1..=seconds {
            let now = now + Duration::from_secs(second);
            assert_eq!(it.release(512, now), NONE, "after {second} s");
            it.learn(&known(1, "b"), now);
        }
        it
    }

    #[test]
    fn what_never_comes_back_is_waited_for_only_so_long() {
        let now = Instant::now();
        let mut it = missing(now, 15);
        assert_eq!(it.release(512, now + ACK_WAIT + GIVE_UP_AFTER), [5]);
    }

    #[test]
    fn f12_time_that_was_slept_through_is_no_time_that_was_waited() {
        let now = Instant::now();
        let mut it = missing(now, 5);
        let later = now + Duration::from_mins(1);
        it.learn(&known(1, "b"), later);
        assert_eq!(it.release(512, later), NONE);
    }

    #[test]
    fn nothing_is_given_up_while_the_broker_does_not_say_that_we_are_pinned() {
        let now = Instant::now();
        let mut it = missing(now, 14);
        for second in 15..40 {
            assert_eq!(it.release(512, now + Duration::from_secs(second)), NONE);
        }
        it.learn(&known(1, "c"), now + Duration::from_secs(40));
        assert!(it.is_empty(), "another instance gets it, with what is missing here");
    }

    #[test]
    fn a_connection_that_breaks_begins_the_waiting_anew() {
        let now = Instant::now();
        let mut it = missing(now, 14);
        let later = now + Duration::from_secs(15);
        it.interrupted(later);
        it.learn(&known(1, "b"), later);
        assert_eq!(it.release(512, later), NONE);
    }

    #[test]
    fn acknowledgements_that_arrive_late_let_it_go_on_when_asked_again() {
        let now = Instant::now();
        let mut it = flowing(now);
        it.arrive(delivery("b", 5, 5), now);
        it.learn(&known(1, "b"), now);
        assert_eq!(it.release(512, now), NONE);
        it.learn(&known(4, "b"), now);
        assert_eq!(it.release(512, now), [5]);
    }

    #[test]
    fn f16_deliveries_that_count_backwards_mean_that_the_tail_is_lost() {
        let now = Instant::now();
        let mut it = flowing(now);
        it.arrive(delivery("a", 2, 2), now);
        it.arrive(delivery("a", 3, 3), now);
        // The broker came back with message 1 delivered once, and 2 and 3 are others now.
        assert!(it.arrive(delivery("a", 3, 3), now));
        it.learn(&known(1, "a"), now);
        assert_eq!(
            it.release(512, now),
            NONE,
            "the 2 that was held is not the 2 that stands there"
        );
        it.arrive(delivery("a", 2, 4), now);
        assert_eq!(it.release(512, now), [2, 3]);
    }

    #[test]
    fn a_message_that_comes_twice_leaves_once_with_its_newest_handle() {
        let now = Instant::now();
        let mut it = flowing(now);
        it.arrive(Delivery { message: 50, ..delivery("b", 5, 5) }, now);
        it.learn(&known(3, "b"), now);
        it.arrive(Delivery { message: 51, ..delivery("b", 5, 6) }, now);
        assert_eq!(it.release(512, now), NONE);
        it.arrive(delivery("b", 4, 7), now);
        assert_eq!(it.release(512, now), [4, 51]);
    }
}
