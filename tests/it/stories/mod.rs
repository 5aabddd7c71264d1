//! The articles acted out: people with names, in their order, exact to the minute.

mod a_first_stay;
mod every_kind;
mod late_facts;
mod the_late_tablet;
mod the_small_customer;
mod tomorrow_then;
mod years_of_loyalty;
mod you_said_we_did;
