//! Promises of the whole system, in the order a newcomer should read them.

mod delivery;
mod ingest;
mod support_nats;
