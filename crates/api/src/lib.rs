//! The faces of Sapa: HTTP, NATS request-reply, server-sent events.
//!
//! One table of operations ([`ops`]) is what can be asked and commanded; HTTP and NATS are built from
//! it and answer with the same bytes. There is no business rule here: facts are judged by `events`,
//! decisions by `reactions`, and what is known of a customer is read from `projections`.

pub mod answer;
pub mod app;
pub mod auth;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod identity;
pub mod metrics;
pub mod nats;
pub mod ops;
pub mod page;
pub mod params;
pub mod problems;
pub mod record;
pub mod schemas;
pub mod scope;
pub mod sse;
pub mod surroundings;
pub mod zones;

pub use app::{App, Caller, Parts, Settings, Tenants};
pub use http::server::{serve, serve_with};
pub use nats::serve_nats;

#[cfg(test)]
mod tests;
