//! The demo: a hotel in Lembang with customers, debts and promises to look at.
//!
//! What it shows is made by [`story`], so that the same seed gives the same hotel. It is recorded
//! through the same doors that everybody uses: batches over HTTP, and the last day over NATS.

pub mod marker;
pub mod record;
pub mod story;
pub mod tell;
