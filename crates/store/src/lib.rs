//! The log and what stands around it, on SQLite and on PostgreSQL.
//!
//! Promises: positions are dense and their order is the order of commit; an event id of a source is
//! recorded once, for ever, and the second time answers with the first receipt; nothing recorded is
//! changed or deleted. This crate is the only one that knows there are two databases. It knows no
//! kind's meaning: what a fact says is for projections and reactions.

pub mod bell;
pub mod checkpoint;
pub mod commands;
pub mod copy;
mod cut_times;
pub mod db;
pub mod error;
pub mod failpoint;
mod firsts;
pub mod generations;
pub mod imports;
pub mod keys;
pub mod lease;
pub mod log;
pub mod meter;
mod mistaken;
mod postgres;
pub mod quarantine;
pub mod sql;
mod sqlite;
pub mod tenants;
pub mod writer;

pub use bell::Bell;
pub use db::{Connections, Db, Durability, Tx};
pub use error::{AppendError, OpenError, ReadError};
pub use log::Log;
pub use meter::Meter;
pub use writer::{Appended, Appender, Writer};
