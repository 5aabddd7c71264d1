//! Mistakes that are planted on purpose, to see whether whoever checks Sapa finds them.
//!
//! Compiled only with the feature `faults`, which nothing turns on by itself and no release has; there
//! `SAPA_MUTANT` names the one mistake of this process. Without the feature every question is answered
//! with a constant *no* and leaves nothing behind.

/// A mistake, with its number in the list of those that must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// M1: a message is acknowledged before its event is committed.
    AckBeforeCommit,
    /// M2: the checkpoint commits in a transaction of its own.
    CheckpointApart,
    /// M3: a sequence of the stream that was seen before counts as a repetition.
    DedupeBySequence,
    /// M4: the same id of another source counts as a repetition.
    DedupeWithoutSource,
    /// M5: other content under a known id counts as a repetition.
    ConflictIsDuplicate,
    /// M6: a position is taken before the head is locked.
    PositionOutsideLock,
    /// M7: what is delivered after a take-over does not wait for what was delivered before it.
    NoBarrier,
    /// M8: the relay publishes without saying what it expects to be the last message.
    NoFence,
    /// M9: the relay goes on one position too far.
    ResumeTooFar,
    /// M10: an alert's id does not say which episode it is about.
    AlertWithoutEpisode,
    /// M11: neglect looks at the clock on the wall while it folds.
    WallClock,
    /// M12: a checkpoint moves for whoever asks, under whatever epoch.
    NoEpoch,
    /// M13: what comes after an event that cannot be folded is folded nevertheless.
    ParkedGoesOn,
    /// M14: what nobody knows the end of is answered as refused.
    UnknownIsRefused,
    /// M15: an answer over NATS has no body.
    EmptyAnswer,
    /// M16: a time in a column of text has as few digits as it needs.
    RaggedTimes,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::AckBeforeCommit,
        Self::CheckpointApart,
        Self::DedupeBySequence,
        Self::DedupeWithoutSource,
        Self::ConflictIsDuplicate,
        Self::PositionOutsideLock,
        Self::NoBarrier,
        Self::NoFence,
        Self::ResumeTooFar,
        Self::AlertWithoutEpisode,
        Self::WallClock,
        Self::NoEpoch,
        Self::ParkedGoesOn,
        Self::UnknownIsRefused,
        Self::EmptyAnswer,
        Self::RaggedTimes,
    ];

    /// Its number, as `SAPA_MUTANT` has it.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "M1",
            Self::CheckpointApart => "M2",
            Self::DedupeBySequence => "M3",
            Self::DedupeWithoutSource => "M4",
            Self::ConflictIsDuplicate => "M5",
            Self::PositionOutsideLock => "M6",
            Self::NoBarrier => "M7",
            Self::NoFence => "M8",
            Self::ResumeTooFar => "M9",
            Self::AlertWithoutEpisode => "M10",
            Self::WallClock => "M11",
            Self::NoEpoch => "M12",
            Self::ParkedGoesOn => "M13",
            Self::UnknownIsRefused => "M14",
            Self::EmptyAnswer => "M15",
            Self::RaggedTimes => "M16",
        }
    }
}

/// Whether this process makes a mistake.
#[cfg(feature = "faults")]
#[must_use]
pub fn planted(mistake: Mistake) -> bool {
    static NAMED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var("SAPA_MUTANT").ok());
    named.as_deref() == Some(mistake.number())
}

/// This build makes none.
#[cfg(not(feature = "faults"))]
#[must_use]
#[inline]
pub const fn planted(_: Mistake) -> bool {
    false
}

/// When something happened; with [`Mistake::WallClock`] the moment at which it is looked at.
#[cfg(feature = "faults")]
#[must_use]
#[expect(clippy::disallowed_methods, reason = "that is the mistake")]
pub fn moment(at: jiff::Timestamp) -> jiff::Timestamp {
    if planted(Mistake::WallClock) { jiff::Timestamp::now() } else { at }
}

/// When something happened.
#[cfg(not(feature = "faults"))]
#[must_use]
#[inline]
pub const fn moment(at: jiff::Timestamp) -> jiff::Timestamp {
    at
}
