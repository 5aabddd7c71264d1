//! Promises of the whole system, in the order a newcomer should read them.

mod support;

mod around_the_log;
mod log_contract;
mod log_round_trip;
mod statements;

mod architecture;
mod tidy;
