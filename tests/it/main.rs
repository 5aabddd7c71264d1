//! Promises of the whole system, in the order a newcomer should read them.
