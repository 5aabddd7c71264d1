//! What the tests, the checker and the benchmarks share; the promises are in `it/`.

pub mod dice;
pub mod event;
pub mod read;
