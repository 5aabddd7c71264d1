//! What goes on after the story: one event after the other, for generated customers only.
//!
//! Events come in rounds of a fixed script, so that a question asked in one is answered a few
//! events later in the same round. Promises open kinds only and the same event for the same
//! plan, number and moment; remembers nothing between calls.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::dice::Dice;
use super::episodes::{CHAT, CLERKS, FRONT_DESK, PAYMENTS, PMS, TELEPHONE, TILL, rupiah};
use super::journal::{Act, compose, event_id, ours, quiet, theirs};
use super::{Calendar, Plan, StoryEvent, crowd, venues};

/// Events of one round.
const ROUND: u64 = 24;

/// The `n`th live event of a plan, happening at `now`.
pub(super) fn event(plan: &Plan, n: u64, now: Timestamp) -> StoryEvent {
    let (round, step) = (n / ROUND, n % ROUND);
    let (part, kind) = line(step);
    let mut dice = Dice::new(plan.seed ^ 0x006c_6976_6500, round * 8 + part);
    let last = i64::from(crowd::count(plan));
    let number = u32::try_from(dice.between(1, last)).unwrap_or(1);
    let clerk = dice.pick(&CLERKS);
    let room = venues::room(
        u32::try_from(dice.between(1, i64::from(venues::room_count(plan)))).unwrap_or(1),
    );
    // The things of a round, its question or visit, are named by the round and the story's end;
    // the event's own id also by its moment, so that a number used twice is not a conflict.
    let tie = format!("{}-{round}-{part}", plan.now.as_second());
    let calendar = Calendar::new(&Plan { now, ..plan.clone() });
    let (act, data) = fact(kind, clerk, &tie, &room, &calendar, now, &mut dice);
    let id = event_id(&format!("story|{}|live|{n}|{}", plan.seed, now.as_nanosecond()));
    compose(&calendar, &id, now, Some(&crowd::id_of(number)), act, false, &data)
}

/// Which of a round's customers acts at `step`, and what happens.
fn line(step: u64) -> (u64, &'static str) {
    match step {
        0 => (0, "arrived"),
        1 => (0, "greeted"),
        2 => (1, "inquired"),
        3 => (0, "welcome_drink"),
        4 => (2, "purchase"),
        5 => (0, "luggage_in"),
        6 => (1, "answered"),
        7 => (0, "recommended"),
        8 => (3, "contacted"),
        9 => (0, "paperwork"),
        10 => (4, "complaint"),
        11 => (5, "booking"),
        12 => (4, "reply"),
        13 => (2, "message"),
        14 => (4, "resolved"),
        15 => (6, "feedback"),
        16 => (0, "anything_else"),
        17 => (6, "thanks"),
        18 => (0, "thanked"),
        19 => (0, "departed"),
        20 => (0, "farewell_drink"),
        21 => (0, "luggage_out"),
        22 => (0, "paid"),
        _ => (3, "trait"),
    }
}

/// What happens at a word of the script.
fn fact<'a>(
    kind: &str,
    clerk: &'a str,
    tie: &str,
    room: &str,
    calendar: &Calendar,
    now: Timestamp,
    dice: &mut Dice,
) -> (Act<'a>, Value) {
    let chat = |kind| theirs(kind, CHAT, "whatsapp");
    let reply = |kind| ours(kind, CHAT, clerk, "whatsapp");
    match kind {
        "inquired" => (
            chat("interaction.inquired"),
            json!({"inquiry": format!("lq-{tie}"), "topic": "availability"}),
        ),
        "answered" => (
            reply("interaction.answered"),
            json!({"about": format!("inquiry/lq-{tie}"), "complete": true}),
        ),
        "contacted" => (
            ours("interaction.contacted", TELEPHONE, clerk, "phone"),
            json!({"purpose": "courtesy", "outcome": dice.pick(&["reached", "left_message", "no_answer"])}),
        ),
        "purchase" => (
            quiet("purchase.recorded", TILL, "customer"),
            json!({"purchase": format!("lpu-{tie}"), "kind": "sale", "amount": rupiah(dice.between(2, 30) * 10_000)}),
        ),
        "message" => (
            chat("interaction.messaged"),
            json!({"about": format!("purchase/lpu-{tie}"), "mood": "calm"}),
        ),
        "complaint" => (
            theirs("complaint.raised", "/complaint-desk", "phone"),
            json!({"complaint": format!("lk-{tie}"), "kind": "technical", "category": "wifi", "severity": "low",
                "text": "Wifi lambat di kamar", "venue": room}),
        ),
        "reply" => (
            ours("interaction.answered", "/complaint-desk", clerk, "phone"),
            json!({"about": format!("complaint/lk-{tie}"), "complete": false}),
        ),
        "resolved" => (
            quiet("complaint.resolved", "/complaint-desk", clerk),
            json!({"complaint": format!("lk-{tie}"), "remedy": "Pemancar dinyalakan ulang", "fault": "ours"}),
        ),
        "booking" => {
            (theirs("booking.requested", "/booking-site", "web"), booking(tie, calendar, now, dice))
        }
        "feedback" => (
            theirs("feedback.received", CHAT, "whatsapp"),
            json!({"feedback": format!("lf-{tie}"), "instrument": "csat", "score": dice.between(3, 5)}),
        ),
        "thanks" => (
            reply("interaction.thanked"),
            json!({"for": format!("feedback/lf-{tie}"), "form": "message"}),
        ),
        "paid" => (
            quiet("payment.recorded", PAYMENTS, "customer"),
            json!({"payment": format!("lpay-{tie}"), "kind": "full", "amount": rupiah(850_000), "method": "card"}),
        ),
        "trait" => (
            quiet("customer.trait_noted", FRONT_DESK, clerk),
            json!({"trait": "tea", "value": "Teh tawar hangat", "polarity": "likes", "confidence": 70}),
        ),
        step => step_of_visit(step, clerk, tie, room),
    }
}

/// A step of the stay that runs through the round, after the ritual `hotel_stay`.
fn step_of_visit<'a>(step: &str, clerk: &'a str, tie: &str, room: &str) -> (Act<'a>, Value) {
    let desk = |kind| ours(kind, FRONT_DESK, clerk, "desk");
    let visit = format!("lv-{tie}");
    match step {
        "arrived" => (
            theirs("interaction.arrived", PMS, "desk"),
            json!({"visit": visit, "venue": room, "party": 2}),
        ),
        "greeted" => (
            desk("interaction.greeted"),
            json!({"visit": visit, "venue": room, "by_name": true, "manner": "door"}),
        ),
        "recommended" => (
            desk("interaction.recommended"),
            json!({"visit": visit, "venue": room, "offer": "Makan malam di teras", "reason": "Cuaca cerah"}),
        ),
        "thanked" => (
            desk("interaction.thanked"),
            json!({"visit": visit, "venue": room, "for": format!("visit/{visit}"), "form": "in_person"}),
        ),
        "departed" => (
            desk("interaction.departed"),
            json!({"visit": visit, "venue": room, "farewell": true, "manner": "door"}),
        ),
        service => (
            desk("interaction.served"),
            json!({"visit": visit, "venue": room, "service": service, "quality": "ok"}),
        ),
    }
}

/// A request for the hall by the river on a day far enough ahead to be nobody's yet.
fn booking(tie: &str, calendar: &Calendar, now: Timestamp, dice: &mut Dice) -> Value {
    let day = calendar.day_of(now) + dice.between(60, 400);
    json!({
        "booking": format!("lb-{tie}"), "venue": "aula-sungai",
        "starts_at": calendar.text(calendar.at(day, 8 * 60)), "ends_at": calendar.text(calendar.at(day, 16 * 60)),
        "party": dice.between(40, 250), "waitlist": true,
    })
}
