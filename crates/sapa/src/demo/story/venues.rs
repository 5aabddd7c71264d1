//! Which rooms of the hotel are taken on which night, so that no two stays share one.
//!
//! Refuses a night on which every room is taken. The three halls are booked by people with
//! names only; their calendars are small enough to be written by hand.

use std::collections::BTreeSet;

use super::Plan;

/// The halls of the story.
pub(super) const HALLS: [&str; 3] = ["aula-sungai", "aula-taman", "aula-kota"];

/// How many rooms the hotel of a plan has.
pub(super) fn room_count(plan: &Plan) -> u32 {
    (plan.customers / 40).max(12)
}

/// The id of room `number`.
pub(super) fn room(number: u32) -> String {
    format!("kamar-{number:02}")
}

/// The nights that are taken.
#[derive(Debug)]
pub(super) struct Rooms {
    count: u32,
    taken: BTreeSet<(u32, i64)>,
}

impl Rooms {
    /// An empty hotel.
    pub(super) fn new(plan: &Plan) -> Self {
        Self { count: room_count(plan), taken: BTreeSet::new() }
    }

    /// Takes the first free room for `nights` nights from `day`; none if the hotel is full.
    pub(super) fn take(&mut self, day: i64, nights: i64) -> Option<String> {
        let free =
            |number: &u32| (day..day + nights).all(|night| !self.taken.contains(&(*number, night)));
        let number = (1..=self.count).find(free)?;
        self.reserve(number, day, nights);
        Some(room(number))
    }

    /// Takes a room known to be wanted by somebody with a name.
    pub(super) fn reserve(&mut self, number: u32, day: i64, nights: i64) {
        self.taken.extend((day..day + nights).map(|night| (number, night)));
    }
}
