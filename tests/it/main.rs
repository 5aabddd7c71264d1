//! Promises of the whole system, in the order a newcomer should read them.

mod house;
mod support;
mod support_nats;

mod stories;

mod around_the_log;
mod log_contract;
mod log_round_trip;
mod statements;

mod bad_input;
mod delivery;
mod event_import;
mod from_the_future;
mod imports;
mod ingest;
mod live_stream;
mod paging;

mod program;
mod projection_management;
mod projections;
mod simulation;
mod standby;
mod survival;
mod survival_checks;
mod survival_load;

mod architecture;
mod compose;
mod readme;
mod tidy;
