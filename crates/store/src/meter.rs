//! Where the parts of a process count what they do. The names and labels are those of the table of
//! metrics (`api::metrics`), which implements this; what has nobody to count for uses [`silent`].

use std::fmt;
use std::sync::Arc;

/// A label and its value. A value is never a customer or an event.
pub type Label<'a> = (&'static str, &'a str);

/// Counts and measures for `/metrics`. Calls return at once.
pub trait Meter: fmt::Debug + Send + Sync {
    /// Adds to a counter.
    fn count(&self, name: &'static str, labels: &[Label<'_>], by: usize);
    /// Adds values to a histogram: seconds, or how many.
    fn observe(&self, name: &'static str, labels: &[Label<'_>], values: &[f64]);
}

#[derive(Debug)]
struct Silent;

impl Meter for Silent {
    fn count(&self, _: &'static str, _: &[Label<'_>], _: usize) {}
    fn observe(&self, _: &'static str, _: &[Label<'_>], _: &[f64]) {}
}

/// A meter that forgets everything.
#[must_use]
pub fn silent() -> Arc<dyn Meter> {
    Arc::new(Silent)
}

/// A whole number as a value of a metric; exact up to 2^53.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a metric is a float, and no count here nears 2^53")]
pub fn number(it: usize) -> f64 {
    it as f64
}
