//! What the rest of the process tells the faces: its checks and its counters.
//!
//! The binary implements [`Surroundings`] over ingest, relay and connections; the faces ask it when
//! `/readyz` or `/metrics` is asked, so nothing is pushed and nothing goes stale.

use std::future::ready;

use events::id::Tenant;
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

/// What can be done with the read models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Build them anew beside the live ones, and compare.
    Rebuild,
    /// Let the new build answer.
    Swap,
    /// Let the build before answer again.
    Rollback,
    /// Delete every build but the live one.
    Retire,
    /// Stop folding.
    Pause,
    /// Go on folding.
    Resume,
    /// Fold the log again, compare, and throw it away.
    Verify,
}

impl Action {
    /// All of them, in the order of the documents.
    pub const ALL: [Self; 7] = [
        Self::Rebuild,
        Self::Swap,
        Self::Rollback,
        Self::Retire,
        Self::Pause,
        Self::Resume,
        Self::Verify,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Swap => "swap",
            Self::Rollback => "rollback",
            Self::Retire => "retire",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Verify => "verify",
        }
    }
}

/// What can be done with a customer who is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpark {
    /// Try the event again.
    Retry,
    /// Give the event up.
    Skip,
}

/// The rest of the process, as the faces see it.
pub trait Surroundings: Send + Sync + std::fmt::Debug {
    /// Parts that the faces cannot look at themselves: NATS, ingest, relay, leases.
    fn checks(&self) -> Vec<Check>;
    /// What those parts count.
    fn samples(&self) -> Vec<Sample>;
    /// Where the broker of this process is, without credentials; none if it has none.
    fn broker(&self) -> Option<String> {
        None
    }
    /// Acts on the read models, or begins to. Refuses where nothing here looks after them.
    fn project(&self, action: Action) -> BoxFuture<'_, Result<(), Box<Problem>>> {
        let _ = action;
        Box::pin(ready(Err(not_here())))
    }

    /// Tries a parked customer of a tenant again, or gives up the event; `false` if there is none of
    /// that name. Refuses where nothing here looks after the read models.
    fn unpark<'a>(
        &'a self,
        tenant: &'a Tenant,
        customer: &'a str,
        how: Unpark,
    ) -> BoxFuture<'a, Result<bool, Box<Problem>>> {
        let _ = (tenant, customer, how);
        Box::pin(ready(Err(not_here())))
    }
}

fn not_here() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::Unavailable,
            "This process does not look after the read models.",
            "Proses ini tidak mengurus model baca.",
        )
        .hint(
            "Ask an instance that has the role `project`.",
            "Minta ke instans yang memiliki peran `project`.",
        ),
    )
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
