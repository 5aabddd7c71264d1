//! The events of a chunk and what the log has said to them so far: what is appended next, what is
//! answered, what is at fault. No input, no output.
//!
//! Promises that an answer comes out only after the log has given one, and that while the database
//! is away everything undecided is tried again in its order. What fails alone, while the database
//! answers others, is given up after [`ATTEMPTS_MAX`] attempts of its own.

use events::envelope::Incoming;
use events::problem::{Code, Problem};
use store::{AppendError, Appended};

use crate::decode::Refused;
use crate::verdict::{self, Verdict};

/// Attempts at one message that fails alone.
pub const ATTEMPTS_MAX: u32 = 5;

/// A refused message of a chunk and what is known about it.
#[derive(Clone, Debug)]
pub struct Suspicious {
    /// Which message of the chunk.
    pub index: usize,
    /// Why it is refused.
    pub refused: Refused,
    /// The event itself, where its id has another content in the log.
    pub conflicting: Option<Box<Incoming>>,
}

/// Events that are on their way into the log.
#[derive(Debug)]
pub struct Attempts {
    /// By their index in the chunk, in order.
    pending: Vec<(usize, Incoming)>,
    /// How many of them were handed out last.
    asked: usize,
    /// One by one, to find out which message it is that fails.
    alone: bool,
    failures: u32,
}

/// What follows from one answer of the log.
#[derive(Debug, Default)]
pub struct Heard {
    /// In the log: acknowledge. With whether it is new.
    pub done: Vec<(usize, bool)>,
    /// Never will be: keep in quarantine.
    pub suspicious: Vec<Suspicious>,
    /// Something has to be tried again: pause, after telling [`Attempts::failed`].
    pub again: bool,
    /// The log could not be asked about some of it.
    pub unavailable: bool,
}

impl Attempts {
    /// Nothing was tried yet.
    #[must_use]
    pub fn new(pending: Vec<(usize, Incoming)>) -> Self {
        Self { pending, asked: 0, alone: false, failures: 0 }
    }

    /// What is appended now, each as a request of its own; none when everything is decided.
    pub fn hand_out(&mut self) -> Option<Vec<Incoming>> {
        self.asked = if self.alone { self.pending.len().min(1) } else { self.pending.len() };
        let events = self.pending.iter().take(self.asked).map(|(_, it)| it.clone()).collect();
        (0 < self.asked).then_some(events)
    }

    /// Hears what the log says to what was handed out last.
    pub fn heard(&mut self, outcomes: Vec<Result<Appended, AppendError>>) -> Heard {
        let mut heard = Heard::default();
        let rest = self.pending.split_off(self.asked.min(self.pending.len()));
        for ((index, incoming), outcome) in
            std::mem::take(&mut self.pending).into_iter().zip(outcomes)
        {
            match verdict::of(&outcome) {
                Verdict::Ack => heard.done.push((index, outcome.is_ok_and(|it| it.is_new()))),
                Verdict::Quarantine(problem) => {
                    let refused = refused(&incoming, problem);
                    let conflicting = refused.problem.receipt.is_some().then(|| incoming.into());
                    heard.suspicious.push(Suspicious { index, refused, conflicting });
                }
                Verdict::Retry => {
                    heard.unavailable |= matches!(outcome, Err(AppendError::Unavailable(_)));
                    self.pending.push((index, incoming));
                }
            }
        }
        heard.again = !self.pending.is_empty();
        if !heard.again {
            self.failures = 0;
        }
        self.pending.extend(rest);
        heard
    }

    /// Hears, after a failure, whether the log answers others meanwhile; says what is given up.
    pub fn failed(&mut self, answers_others: bool) -> Option<Suspicious> {
        self.failures = if answers_others && self.alone { self.failures + 1 } else { 0 };
        let is_over = self.failures == ATTEMPTS_MAX && !self.pending.is_empty();
        self.alone = answers_others && self.failures < ATTEMPTS_MAX;
        is_over.then(|| {
            let (index, incoming) = self.pending.remove(0);
            Suspicious { index, refused: internal(Some(&incoming)), conflicting: None }
        })
    }

    /// What is undecided, by its index in the chunk.
    #[must_use]
    pub fn left(self) -> Vec<usize> {
        self.pending.into_iter().map(|(index, _)| index).collect()
    }
}

fn refused(it: &Incoming, problem: Box<Problem>) -> Refused {
    Refused {
        problem,
        tenant: Some(it.tenant.clone()),
        source: Some(it.source.to_string()),
        event_id: Some(it.id.to_string()),
    }
}

/// The refusal of a message that fails for no reason of its sender's.
pub(crate) fn internal(it: Option<&Incoming>) -> Refused {
    let problem = Box::new(Problem::of(Code::Internal));
    match it {
        Some(it) => refused(it, problem),
        None => Refused { problem, tenant: None, source: None, event_id: None },
    }
}
