//! The articles acted out: people with names, in their order, exact to the minute.

mod the_small_customer;
