//! What the rest of the process tells the faces: its checks and its counters.
//!
//! The binary implements [`Surroundings`] over ingest, relay and connections; the faces ask it when
//! `/readyz` or `/metrics` is asked, so nothing is pushed and nothing goes stale.

use std::future::ready;

use events::problem::{Code, Problem};
use futures_util::future::BoxFuture;

/// How one part of the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// Something is missing, and recording over HTTP goes on.
    Degraded,
    /// Not ready.
    Failed,
}

/// One line of `/readyz?verbose`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which part, such as `nats`.
    pub name: String,
    /// How it is.
    pub state: State,
    /// In a few words, such as `disconnected 42 s`.
    pub detail: String,
}

impl Check {
    /// A line.
    #[must_use]
    pub fn new(name: impl Into<String>, state: State, detail: impl Into<String>) -> Self {
        Self { name: name.into(), state, detail: detail.into() }
    }
}

/// One counter or gauge with its labels, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name in the table of metrics; one that is not there is not shown.
    pub name: &'static str,
    /// Labels in the order of the table.
    pub labels: Vec<(&'static str, String)>,
    /// The value; a counter never goes down.
    pub value: f64,
}

impl Sample {
    /// A sample without labels.
    #[must_use]
    pub fn of(name: &'static str, value: f64) -> Self {
        Self { name, labels: Vec::new(), value }
    }

    /// The same with one more label.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

/// The rest of the process, as the faces see it.
pub trait Surroundings: Send + Sync + std::fmt::Debug {
    /// Parts that the faces cannot look at themselves: NATS, ingest, relay, leases.
    fn checks(&self) -> Vec<Check>;
    /// What those parts count.
    fn samples(&self) -> Vec<Sample>;
    /// Acts on the read models: `rebuild`, `swap`, `rollback`, `retire`, `pause`, `resume` or
    /// `verify`. Refuses where nothing here looks after them.
    fn project(&self, action: &'static str) -> BoxFuture<'_, Result<(), Box<Problem>>> {
        Box::pin(ready(Err(Box::new(Problem::new(
            Code::Unavailable,
            format!("This process does not look after the read models; {action} is not done here."),
            format!("Proses ini tidak mengurus model baca; {action} tidak dilakukan di sini."),
        )))))
    }
}

/// A process of nothing but faces.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Surroundings for Alone {
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }

    fn samples(&self) -> Vec<Sample> {
        Vec::new()
    }
}
