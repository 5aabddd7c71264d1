//! HTTP: the table of operations as routes, and what stands around them.
//!
//! Everything a client is told is a problem document or a document of the product; nothing comes out
//! of a library as plain text.

pub mod intake;
pub mod outside;
pub mod proxy;
pub mod rate;
pub mod router;
pub mod server;
pub mod shape;
