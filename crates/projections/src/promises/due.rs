//! What the reaction `promise` must record, and what a command may.
//!
//! Promises: deciding twice decides nothing; what is due does not depend on who recorded what in
//! which order. Loaded history asks for no decision.

use events::fact::promise::How;
use events::id::{EventRef, Ident};
use events::policy;
use jiff::Timestamp;

use super::fold::{Promise, Standing, State};

/// One event that is to be recorded as `promise.settled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which promise.
    pub promise: Ident,
    /// Its time: that of the event to record. What is broken is decided once the clock is *past*
    /// it, what is kept or late at once.
    pub at: Timestamp,
    /// How often it has to be concluded, from 1: again after what it rested on was taken back.
    pub occurrence: u32,
    /// What to record.
    pub what: What,
}

/// How a promise ended, as far as the clock or the evidence decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Due, and nothing had been done.
    Broken,
    /// Done in time.
    Kept {
        /// The evidence.
        by: EventRef,
        /// The decision `broken` that the same event takes back.
        voids: Option<EventRef>,
    },
    /// Done after it was due.
    Late {
        /// The evidence.
        by: EventRef,
    },
}

impl What {
    /// The word in the event.
    #[must_use]
    pub const fn how(&self) -> How {
        match self {
            Self::Broken => How::Broken,
            Self::Kept { .. } => How::Kept,
            Self::Late { .. } => How::Late,
        }
    }
}

/// Everything to record for these promises, in the order of its time. Of an open promise it is the
/// moment at which it will be broken if nothing happens.
#[must_use]
pub fn dues(state: &State) -> Vec<Due> {
    let mut dues: Vec<Due> = state.iter().flat_map(|(id, promise)| due(id, promise)).collect();
    dues.sort_by(|a, b| (a.at, &a.promise).cmp(&(b.at, &b.promise)));
    dues
}

fn due(id: &Ident, promise: &Promise) -> Vec<Due> {
    if promise.imported {
        return Vec::new();
    }
    let occurrence = promise.ends + 1;
    let due = |at, what| Due { promise: id.clone(), at, occurrence, what };
    // By the clock of another system it may have been done before it was made; that was recorded of
    // a promise that there was.
    let when = |at: Timestamp| at.max(promise.made_at);
    let broken = || due(when(promise.due_at), What::Broken);
    match (promise.standing(), &promise.fulfilled) {
        (Standing::Open, _) => vec![broken()],
        // It was concluded that it was done, and what showed it was taken back.
        (Standing::Broken, _) if promise.is_decided(How::Kept) || promise.is_decided(How::Late) => {
            vec![broken()]
        }
        (Standing::Kept, Some(done)) => {
            let voids = promise.broken.clone();
            let is_known = promise.is_recorded(How::Kept) || promise.is_decided(How::Kept);
            if is_known && voids.is_none() {
                return Vec::new();
            }
            vec![due(when(done.at), What::Kept { by: done.by.clone(), voids })]
        }
        (Standing::Late, Some(done)) => {
            let mut dues = Vec::new();
            if !promise.is_recorded_broken() {
                dues.push(broken());
            }
            // Whoever recorded `kept` too late has said that it was done; figures count it late.
            let is_said = promise.is_recorded(How::Late) || promise.is_recorded(How::Kept);
            if !is_said && !promise.is_decided(How::Late) {
                dues.push(due(when(done.at), What::Late { by: done.by.clone() }));
            }
            dues
        }
        _ => Vec::new(),
    }
}

/// Why a promise may not be settled so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has ended.
    #[error("the promise was {} already", .0.as_str())]
    AlreadySettled(Standing),
    /// Moved after it was due.
    #[error("the promise was due at {0}; it can only be moved before")]
    RenegotiateLate(Timestamp),
    /// Moved too often.
    #[error("the promise was moved {0} times already, which is the most the policy allows")]
    RenegotiateMax(i64),
    /// Moved without telling.
    #[error("a promise is moved only when the customer was told; send told: true")]
    NotTold,
    /// Moved to where it is, or nearer.
    #[error("the new due time must be later than {0}")]
    NotLater(Timestamp),
    /// What only the clock decides.
    #[error("that a promise is broken is decided by Sapa when it is due")]
    Reserved,
}

impl Refusal {
    /// The rule that was broken, as `command_refused` names it.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::AlreadySettled(_) => "already_settled",
            Self::RenegotiateLate(_) => "renegotiate_late",
            Self::RenegotiateMax(_) => "renegotiate_max",
            Self::NotTold => "not_told",
            Self::NotLater(_) => "not_later",
            Self::Reserved => "reserved_type",
        }
    }
}

/// Whether a promise may be settled so at `now`. `kept` and `late` are one command: which of them
/// it was follows from the time.
pub fn may_settle(
    promise: &Promise,
    how: How,
    now: Timestamp,
    new_due_at: Option<Timestamp>,
    told: bool,
    policy: &policy::Promise,
) -> Result<(), Refusal> {
    let standing = promise.standing();
    if !standing.is_owed() {
        return Err(Refusal::AlreadySettled(standing));
    }
    match how {
        How::Kept | How::Late | How::Released => Ok(()),
        How::Broken => Err(Refusal::Reserved),
        How::Renegotiated => {
            if standing == Standing::Broken || promise.due_at < now {
                return Err(Refusal::RenegotiateLate(promise.due_at));
            }
            if !told {
                return Err(Refusal::NotTold);
            }
            if policy.renegotiate_max <= promise.rounds {
                return Err(Refusal::RenegotiateMax(promise.rounds));
            }
            match new_due_at {
                Some(new) if promise.due_at < new => Ok(()),
                _ => Err(Refusal::NotLater(promise.due_at)),
            }
        }
    }
}
