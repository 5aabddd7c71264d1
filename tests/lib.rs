//! Nothing lives here: the promises are in `it/`.
