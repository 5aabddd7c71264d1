//! Promises of the whole system, in the order a newcomer should read them.

mod house;
mod support;
mod support_nats;

mod stories;

mod alive;

mod around_the_log;
mod log_contract;
mod log_round_trip;
mod statements;

mod backup;
mod bad_input;
mod delivery;
mod event_import;
mod from_the_future;
mod imports;
mod ingest;
mod live_stream;
mod nats_accounts;
mod paging;
mod tenant_zones;
mod walks;
mod worklist;

mod activation;
mod program;
mod projection_management;
mod projections;
mod simulation;
mod standby;
mod survival;
mod survival_checks;
mod survival_load;
mod two_tenants;

mod architecture;
mod compose;
mod documents;
mod readme;
mod reference;
mod tidy;
