//! The program: what a person configures, starts, asks and stops. It reads the clock, spawns the
//! tasks and composes the other crates; no rule of the trade lives here.

pub mod archive;
pub mod broker;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
pub mod exit;
pub mod import;
pub mod lifecycle;
pub mod nats_accounts;
pub mod output;
pub mod say;
pub mod serve;
pub mod servers;
pub mod telemetry;

/// In the library, so that what is tested and measured in one process allocates as the program does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
