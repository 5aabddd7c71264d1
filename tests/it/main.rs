//! Promises of the whole system, in the order a newcomer should read them.

mod support;
mod support_nats;
mod house;

mod stories;

mod log_contract;
mod log_round_trip;
mod around_the_log;
mod statements;

mod ingest;
mod delivery;
mod projections;

mod architecture;
mod tidy;
