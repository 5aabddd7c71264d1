//! A clock past its limit → an alert raised, passed on, resolved or withdrawn (product 6.15).

pub mod decide;
