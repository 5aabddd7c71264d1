//! Where a relay stands between two pages: what it has published, what it has stored, and what the
//! next page must follow. No input, no output.
//!
//! Promises that the fence is always the last sequence this relay has seen with its own eyes: one
//! that was asleep cannot know the sequences of whoever took over.

use events::envelope::Recorded;
use events::id::EventRef;
use jiff::Timestamp;
use store::checkpoint::Checkpoint;

use crate::resume::{Because, Found, Resume, Seen, Start, decide};

/// What stands at a position of one history of the log. Reactions name their events by what they
/// decide, so after a loss the same name may come to stand there again; not at the same microsecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which event.
    pub event: EventRef,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

impl Mark {
    /// That of a fact.
    #[must_use]
    pub fn of(it: &Recorded) -> Self {
        Self { event: it.reference(), recorded_at: it.recorded_at }
    }
}

/// The place of a relay that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    checkpoint: Checkpoint,
    position: i64,
    mark: Option<Mark>,
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
        Place { checkpoint, position, mark: None, seen: found.stream, fence: resume.fence }
    }
}

impl Place {
    /// The same place, with what the log holds there.
    #[must_use]
    pub fn standing_on(self, mark: Option<Mark>) -> Self {
        Self { mark, ..self }
    }

    /// What the log holds at that position, where it is known: another one there later is another log.
    #[must_use]
    pub fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
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
        let mark = Mark { event: event.clone(), recorded_at: Timestamp::UNIX_EPOCH };
        let to = place.published(9, event.clone(), 10);
        place = place.standing_on(Some(mark.clone()));
        assert_eq!(place.mark(), Some(&mark));
        assert_eq!((place.position(), place.fence()), (9, 10));
        assert_eq!((to.position, to.epoch, to.event.clone()), (9, 3, Some(event)));
        let detail = to.detail.as_deref().and_then(Seen::from_detail).unwrap();
        assert_eq!(detail, Seen { last_sequence: 10, ..seen });
        place.stored(to.clone());
        assert_eq!(*place.checkpoint(), to);
    }
}
