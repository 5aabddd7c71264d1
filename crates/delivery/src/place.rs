//! Where a relay stands between two pages: what it has published, what it has stored, and what the
//! next page must follow. No input, no output.
//!
//! Promises that the fence is always the last sequence this relay has seen with its own eyes: one
//! that was asleep cannot know the sequences of whoever took over.

use events::id::EventRef;
use store::checkpoint::Checkpoint;

use crate::resume::{Because, Found, Resume, Seen, Start, decide};

/// The place of a relay that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    checkpoint: Checkpoint,
    position: i64,
    event: Option<EventRef>,
    seen: Seen,
    fence: u64,
}

/// What a relay decides from when it starts or looks again.
#[derive(Clone, Debug)]
pub struct Look {
    checkpoint: Checkpoint,
    found: Found,
    resume: Resume,
}

impl Look {
    /// What is stored, and the stream as it stands.
    #[must_use]
    pub fn new(checkpoint: Checkpoint, found: Found) -> Self {
        let seen = checkpoint.detail.as_deref().and_then(Seen::from_detail);
        let resume = decide(checkpoint.position, seen, &found);
        Self { checkpoint, found, resume }
    }

    /// Where to go on.
    #[must_use]
    pub fn start(&self) -> Start {
        self.resume.start
    }

    /// Why there.
    #[must_use]
    pub fn because(&self) -> Because {
        self.resume.because
    }

    /// The place after a position, which `start` has decided.
    #[must_use]
    pub fn after(self, position: i64) -> Place {
        let Self { checkpoint, found, resume } = self;
        Place { checkpoint, position, event: None, seen: found.stream, fence: resume.fence }
    }
}

impl Place {
    /// The same place, with the event that the log holds there.
    #[must_use]
    pub fn standing_on(self, event: Option<EventRef>) -> Self {
        Self { event, ..self }
    }

    /// The event at that position, where one is known: another one there later is another log.
    #[must_use]
    pub fn event(&self) -> Option<&EventRef> {
        self.event.as_ref()
    }

    /// The last position that was published.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The sequence that the next page must follow.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// The checkpoint as this relay believes it is stored.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// A page up to `position` is in the stream, which now ends at `sequence`; what to store.
    pub fn published(&mut self, position: i64, event: EventRef, sequence: u64) -> Checkpoint {
        self.fence = sequence;
        self.seen.last_sequence = sequence;
        self.position = position;
        self.event = Some(event.clone());
        Checkpoint {
            position,
            event: Some(event),
            epoch: self.checkpoint.epoch,
            detail: Some(self.seen.to_detail()),
        }
    }

    /// That checkpoint is stored.
    pub fn stored(&mut self, checkpoint: Checkpoint) {
        self.checkpoint = checkpoint;
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::resume::Last;

    #[test]
    fn the_next_page_follows_the_last_one_and_what_was_seen_is_stored_with_it() {
        let seen = Seen { created: Timestamp::UNIX_EPOCH, last_sequence: 7 };
        let last = Some(Last { sequence: 6, position: 6 });
        let stored = Checkpoint { position: 5, epoch: 3, ..Checkpoint::default() };
        let look = Look::new(stored.clone(), Found { stream: seen, last });
        assert_eq!((look.start(), look.because()), (Start::After(6), Because::First));
        let mut place = look.after(6);
        assert_eq!((place.position(), place.fence()), (6, 6));
        assert_eq!(*place.checkpoint(), stored);

        let event = EventRef { source: "/pms".parse().unwrap(), id: "e-9".parse().unwrap() };
        let to = place.published(9, event.clone(), 10);
        assert_eq!((place.position(), place.fence()), (9, 10));
        assert_eq!(place.event(), Some(&event));
        assert_eq!((to.position, to.epoch, to.event.clone()), (9, 3, Some(event)));
        let detail = to.detail.as_deref().and_then(Seen::from_detail).unwrap();
        assert_eq!(detail, Seen { last_sequence: 10, ..seen });
        place.stored(to.clone());
        assert_eq!(*place.checkpoint(), to);
    }
}
