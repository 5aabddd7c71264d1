//! The demo: a hotel in Lembang with customers, debts and promises to look at.
//!
//! What it shows is made by [`story`], so that the same seed gives the same hotel.

pub mod story;
