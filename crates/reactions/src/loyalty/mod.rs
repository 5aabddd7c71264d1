//! A tier reached or lost → changed (product 6.5).

pub mod decide;
