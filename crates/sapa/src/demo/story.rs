//! The story of the demo: a year of a hotel in Lembang, as the events its systems would send.
//!
//! Pure: the same plan gives the same bytes, on every machine. The people of the acceptance
//! stories appear by name in the state the demo points at, generated customers around them.
//! Facts older than fourteen days carry `imported`, so that old debts ring for nobody;
//! decisions that only Sapa may take stand among those alone.
//! Promises no fact after the story's end, and refuses nothing: a plan of few customers still
//! has everybody with a name.

mod calendar;
mod crowd;
mod dice;
mod episodes;
mod house;
mod journal;
mod live;
mod names;
mod people;
mod rhythm;
mod venues;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use calendar::Calendar;
use journal::{Journal, quiet};
use serde_json::json;

/// What a story is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Customers in all, the fourteen with names among them; fewer than fifteen give fifteen.
    pub customers: u32,
    /// Length of the history in days. Years of loyalty reach further back.
    pub days: u32,
    /// Everything that chance decides follows from it.
    pub seed: u64,
    /// The end of the story; nothing happens after it.
    pub now: Timestamp,
    /// The zone of the hotel's days, hours and written times.
    pub tenant_zone: TimeZone,
}

/// One event of the story, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryEvent {
    /// When it happened.
    pub time: Timestamp,
    /// The structured `CloudEvent`.
    pub json: String,
    /// Topic and action, as they stand in its subject and type.
    pub topic_action: (String, String),
}

/// The whole story, sorted by time; all of it at or before `plan.now`.
#[must_use]
pub fn events(plan: &Plan) -> Vec<StoryEvent> {
    let mut log = Journal::new(plan);
    let mut rooms = venues::Rooms::new(plan);
    people::write(plan, &mut log, &mut rooms);
    crowd::write(plan, &mut log, &mut rooms);
    improvement(&mut log);
    house::write(&mut log);
    log.into_events()
}

/// The lines under "Look at these first": customer id, sentence in Indonesian, in English.
/// Their numbers are those of this plan.
#[must_use]
pub fn look_at(plan: &Plan) -> Vec<(String, String, String)> {
    people::lines(plan)
}

/// The `n`th event after the story's end, from 0, happening at `now`: an open kind, about a
/// generated customer. Called with growing `n` and `now`, it closes what it opens.
#[must_use]
pub fn live(plan: &Plan, n: u64, now: Timestamp) -> StoryEvent {
    live::event(plan, n, now)
}

/// Ids of the venues the story names: the halls, then the rooms.
#[must_use]
pub fn venues(plan: &Plan) -> Vec<String> {
    let halls = venues::HALLS.iter().map(|hall| (*hall).to_owned());
    halls.chain((1..=venues::room_count(plan)).map(venues::room)).collect()
}

/// One thing the house changed because people said so, long ago; nothing if nobody did.
fn improvement(log: &mut Journal) {
    let at = |day| log.calendar.at(log.calendar.open_day(day), 15 * 60);
    let (proposed, made) = (at(-160), at(-140));
    let heard =
        log.complaints.iter().filter(|(at, topic, _)| *topic == "breakfast" && *at < proposed);
    let because: Vec<String> = heard.take(6).map(|(_, _, reference)| reference.clone()).collect();
    if because.is_empty() {
        return;
    }
    let act = |kind| quiet(kind, "/console", "staff/sri");
    let data = json!({
        "improvement": "i-1", "title": "Sarapan dibuka sampai pukul 10.00", "topic": "breakfast", "because": because,
    });
    log.record_of_house(proposed, act("improvement.proposed"), &data);
    let data = json!({
        "improvement": "i-1", "what": "Dapur mendapat satu orang lagi; sarapan sampai pukul 10.00",
        "measure": "breakfast", "because": because,
    });
    log.record_of_house(made, act("improvement.made"), &data);
}
