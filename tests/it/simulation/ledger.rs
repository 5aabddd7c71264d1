//! The log as its contract says it is: dense positions, one place per id, refusals, checkpoints that
//! move only from where their reader left them, one lease.
//!
//! It takes the place of the database in the runs that need thousands of seeds. Another test holds
//! the real one to the same answers, operation by operation.

use std::collections::{BTreeMap, BTreeSet};

use events::envelope::{Incoming, Receipt};
use jiff::{SignedDuration, Timestamp};
use store::checkpoint::Checkpoint;
use store::lease::{Held, LEASE};
use store::{AppendError, Appended};

/// How a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It is made and answered.
    Fine,
    /// It is not made.
    Fails,
    /// It is made, and the answer is lost.
    AnswerLost,
    /// The queue is full from this request on.
    BusyFrom(usize),
    /// What comes before this request is committed, then the database goes away.
    CutAt(usize),
}

/// A fact of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    pub receipt: Receipt,
    pub event: Incoming,
}

/// A message in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    pub incarnation: i64,
    pub sequence: u64,
    pub body: String,
}

type Key = (String, String);

/// The log and what stands around it.
#[derive(Debug, Default)]
pub struct Ledger {
    pub entries: Vec<Entry>,
    pub quarantine: BTreeMap<Kept, String>,
    pub is_away: bool,
    /// Ids whose rows the database refuses, whatever else it takes.
    pub poison: BTreeSet<String>,
    by_id: BTreeMap<Key, usize>,
    versions: BTreeMap<String, i64>,
    lease: Option<(String, i64, Timestamp)>,
    checkpoint: Option<Checkpoint>,
    /// The highest sequence recorded, for those who believe in sequences.
    pub highest_sequence: u64,
}

/// A checkpoint or a lease could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Away,
    Fenced,
}

fn key(it: &Incoming) -> Key {
    (it.source.to_string(), it.id.to_string())
}

fn away() -> AppendError {
    AppendError::Unavailable("the database is away".to_owned())
}

impl Ledger {
    pub fn head(&self) -> i64 {
        i64::try_from(self.entries.len()).unwrap()
    }

    pub fn find(&self, source: &str, id: &str) -> Option<&Entry> {
        self.by_id.get(&(source.to_owned(), id.to_owned())).map(|it| &self.entries[*it])
    }

    /// What [`store::Appender::append_each`] promises.
    pub fn append_each(
        &mut self,
        events: Vec<Incoming>,
        now: Timestamp,
        commit: Commit,
    ) -> Vec<Result<Appended, AppendError>> {
        let mut outcomes = Vec::with_capacity(events.len());
        let mut torn = None;
        for (index, event) in events.into_iter().enumerate() {
            let error = match commit {
                _ if torn.is_some() => torn.clone(),
                _ if self.is_away => Some(away()),
                Commit::Fails => Some(away()),
                Commit::CutAt(at) if at <= index => Some(away()),
                Commit::BusyFrom(at) if at <= index => Some(AppendError::Busy),
                _ => None,
            };
            if let Some(error) = error {
                torn = Some(AppendError::Busy);
                outcomes.push(Err(error));
                continue;
            }
            // A row that is at fault alone tears nobody's line.
            let outcome = if self.poison.contains(event.id.as_str()) {
                Err(AppendError::Unavailable("this row cannot be written".to_owned()))
            } else {
                self.append(event, now)
            };
            outcomes.push(outcome);
        }
        if commit == Commit::AnswerLost {
            for it in &mut outcomes {
                *it = Err(away());
            }
        }
        outcomes
    }

    fn append(&mut self, event: Incoming, now: Timestamp) -> Result<Appended, AppendError> {
        if let Some(index) = self.by_id.get(&key(&event)) {
            let known = &self.entries[*index];
            return if known.event.fingerprint == event.fingerprint {
                Ok(Appended::Duplicate(known.receipt.clone()))
            } else {
                let original = Box::new(known.receipt.clone());
                Err(AppendError::EventIdConflict { original, index: 0 })
            };
        }
        let actual = self.versions.get(event.stream.as_str()).copied().unwrap_or(0);
        if let Some(expected) = event.expected_version.filter(|it| *it != actual) {
            let stream = event.stream.clone();
            return Err(AppendError::VersionConflict { stream, expected, actual, index: 0 });
        }
        self.versions.insert(event.stream.to_string(), actual + 1);
        let last = self.entries.last().map_or(Timestamp::UNIX_EPOCH, |it| it.receipt.recorded_at);
        let receipt = Receipt {
            source: event.source.clone(),
            id: event.id.clone(),
            position: self.head() + 1,
            stream: event.stream.clone(),
            version: actual + 1,
            recorded_at: now.max(last),
        };
        self.by_id.insert(key(&event), self.entries.len());
        self.entries.push(Entry { receipt: receipt.clone(), event });
        Ok(Appended::Recorded(receipt))
    }

    /// What [`store::quarantine::keep`] promises.
    pub fn keep(&mut self, suspects: &[(Kept, String)], commit: Commit) -> bool {
        if self.is_away || commit == Commit::Fails {
            return false;
        }
        for (kept, code) in suspects {
            self.quarantine.entry(kept.clone()).or_insert_with(|| code.clone());
        }
        commit != Commit::AnswerLost
    }

    /// What [`store::lease::take`] promises.
    pub fn take(&mut self, holder: &str, now: Timestamp) -> Result<Option<Held>, Refused> {
        if self.is_away {
            return Err(Refused::Away);
        }
        let expires_at = now + LEASE;
        let epoch = match &self.lease {
            None => 1,
            Some((own, epoch, _)) if own == holder => *epoch,
            Some((_, epoch, until)) if *until < now => epoch + 1,
            Some(_) => return Ok(None),
        };
        self.lease = Some((holder.to_owned(), epoch, expires_at));
        Ok(Some(Held { epoch, expires_at }))
    }

    pub fn release(&mut self, holder: &str, now: Timestamp) {
        if let Some((own, _, until)) = &mut self.lease
            && own == holder
        {
            *until = now - SignedDuration::from_secs(1);
        }
    }

    /// What [`store::checkpoint::claim`] promises, and the checkpoint as it stands.
    pub fn claim(&mut self, epoch: i64) -> Result<Checkpoint, Refused> {
        if self.is_away {
            return Err(Refused::Away);
        }
        let stored = self.checkpoint.get_or_insert_default();
        if epoch < stored.epoch {
            return Err(Refused::Fenced);
        }
        stored.epoch = epoch;
        Ok(stored.clone())
    }

    /// What [`store::checkpoint::advance`] promises.
    pub fn advance(&mut self, from: &Checkpoint, to: &Checkpoint) -> Result<(), Refused> {
        if self.is_away {
            return Err(Refused::Away);
        }
        match &mut self.checkpoint {
            Some(it) if (it.position, it.epoch) == (from.position, from.epoch) => {
                *it = Checkpoint { epoch: it.epoch, ..to.clone() };
                Ok(())
            }
            _ => Err(Refused::Fenced),
        }
    }
}
