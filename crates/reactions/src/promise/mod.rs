//! A promise past its time → broken; evidence → kept or late (product 6.7).

pub mod decide;
