//! Where the relay goes on: a decision out of what it remembers and what the stream shows.
//!
//! Pure. Promises that nothing is left out: in doubt it publishes again, and `Sapa-Position` lets
//! consumers drop the repeat. No dedupe window is relied on.

use jiff::Timestamp;
use serde_json::{Value, json};

/// What the relay saw of the stream when it stored its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When the stream was created.
    pub created: Timestamp,
    /// Its last sequence.
    pub last_sequence: u64,
}

impl Seen {
    /// As it is kept beside the checkpoint.
    #[must_use]
    pub fn to_detail(self) -> String {
        json!({ "created": self.created, "last_seq": self.last_sequence }).to_string()
    }

    /// Reads that text; one that cannot be read counts as nothing seen.
    #[must_use]
    pub fn from_detail(text: &str) -> Option<Self> {
        let it: Value = serde_json::from_str(text).ok()?;
        Some(Self {
            created: it.get("created")?.as_str()?.parse().ok()?,
            last_sequence: it.get("last_seq")?.as_u64()?,
        })
    }
}

/// The last message that the stream still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Its sequence: what the next message must follow.
    pub sequence: u64,
    /// Its position in the log.
    pub position: i64,
}

/// How the stream stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// When it was created, and its last sequence.
    pub stream: Seen,
    /// The last message, if there is any.
    pub last: Option<Last>,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this position.
    After(i64),
    /// From the oldest position that the stream would still keep.
    OldestKept,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The relay has never run.
    First,
    /// The stream is the one we know, with everything we put there.
    Same,
    /// It is the same stream, and its tail is gone (F16).
    RolledBack,
    /// It is another stream under the same name (F17).
    MadeAnew,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Where to go on.
    pub start: Start,
    /// What the first message has to follow.
    pub fence: u64,
    /// Why there.
    pub because: Because,
}

/// Decides where to go on from the stored place and the stream as it stands.
#[must_use]
pub fn decide(stored: i64, seen: Option<Seen>, found: &Found) -> Resume {
    let because = match seen {
        None => Because::First,
        Some(seen) if seen.created != found.stream.created => Because::MadeAnew,
        Some(seen) if found.stream.last_sequence < seen.last_sequence => Because::RolledBack,
        Some(_) => Because::Same,
    };
    let shown = found.last.map(|it| it.position);
    let start = match (because, shown) {
        // A purge may have taken the newest messages, so the stored place may be ahead (F62); a
        // crash before it was stored leaves it behind (F7).
        (Because::Same, shown) => Start::After(stored.max(shown.unwrap_or(0))),
        (_, Some(position)) => Start::After(position),
        (_, None) => Start::OldestKept,
    };
    Resume { start, fence: found.last.map_or(0, |it| it.sequence), because }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: Timestamp = Timestamp::UNIX_EPOCH;

    fn seen(last_sequence: u64) -> Seen {
        Seen { created: CREATED, last_sequence }
    }

    fn found(last_sequence: u64, last: Option<(u64, i64)>) -> Found {
        let last = last.map(|(sequence, position)| Last { sequence, position });
        Found { stream: Seen { created: CREATED, last_sequence }, last }
    }

    #[test]
    fn a_first_run_starts_at_the_oldest_position_that_would_be_kept() {
        let it = decide(0, None, &found(0, None));
        assert_eq!(it, Resume { start: Start::OldestKept, fence: 0, because: Because::First });
    }

    #[test]
    fn f7_a_crash_before_the_place_was_stored_does_not_repeat_the_page() {
        let it = decide(500, Some(seen(500)), &found(1_000, Some((1_000, 1_000))));
        assert_eq!(it, Resume { start: Start::After(1_000), fence: 1_000, because: Because::Same });
    }

    #[test]
    fn f16_a_lost_tail_is_published_again() {
        let it = decide(1_000, Some(seen(1_000)), &found(700, Some((700, 700))));
        assert_eq!(
            it,
            Resume { start: Start::After(700), fence: 700, because: Because::RolledBack }
        );
    }

    #[test]
    fn f17_a_stream_made_anew_is_filled_from_the_oldest_position() {
        let created = Timestamp::from_second(9).unwrap();
        let anew = |last_sequence, last| Found {
            stream: Seen { created, last_sequence },
            ..found(0, last)
        };
        let it = decide(1_000, Some(seen(1_000)), &anew(0, None));
        assert_eq!(it, Resume { start: Start::OldestKept, fence: 0, because: Because::MadeAnew });
        // Another relay has begun to fill it, or it was restored.
        let it = decide(1_000, Some(seen(1_000)), &anew(2_000, Some((200, 900))));
        assert_eq!(it, Resume { start: Start::After(900), fence: 200, because: Because::MadeAnew });
    }

    #[test]
    fn f58_half_a_batch_leaves_the_stream_as_it_was() {
        let it = decide(500, Some(seen(500)), &found(500, Some((500, 500))));
        assert_eq!(it.start, Start::After(500));
    }

    #[test]
    fn f59_a_zombie_looks_again_and_finds_what_the_other_wrote() {
        let it = decide(500, Some(seen(500)), &found(800, Some((800, 800))));
        assert_eq!((it.start, it.fence), (Start::After(800), 800));
    }

    #[test]
    fn f62_a_purge_of_the_newest_repeats_nothing_and_fences_on_the_last_that_is_left() {
        let it = decide(1_000, Some(seen(1_000)), &found(1_000, Some((940, 940))));
        assert_eq!(it, Resume { start: Start::After(1_000), fence: 940, because: Because::Same });
        let it = decide(1_000, Some(seen(1_000)), &found(1_000, None));
        assert_eq!(it, Resume { start: Start::After(1_000), fence: 0, because: Because::Same });
    }

    #[test]
    fn what_was_seen_survives_its_spelling() {
        let it = seen(12);
        assert_eq!(Seen::from_detail(&it.to_detail()), Some(it));
        assert_eq!(Seen::from_detail("{}"), None);
    }
}
