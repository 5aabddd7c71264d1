//! The generated customers: who they are, and a year with each of them.
//!
//! Promises ids `c-0001` and on, working hours for everything people do at a desk, and that
//! about one regular in twenty is neglected while all others were heard lately.

use events::tier::Tier;
use jiff::Timestamp;
use serde_json::json;

use super::Plan;
use super::dice::Dice;
use super::episodes::{
    BOOKING_SITE, CHAT, CLERKS, FRONT_DESK, Guest, PAYMENTS, PMS, Slot, assign, book, complaint,
    contact, fulfil, inquiry, later, purchase, register, rupiah, source_of, stay, survey,
};
use super::journal::{Journal, ours, quiet, theirs};
use super::names;
use super::rhythm::Rhythms;
use super::venues::Rooms;

/// Decisions about bookings are written only up to this day, so that they are imported.
const LAST_DECISION: i64 = -16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Prospect,
    Regular,
    Loyal,
}

/// What is settled about a generated customer before their year is written.
#[derive(Debug, Clone)]
struct Profile {
    number: u32,
    standing: Standing,
    joined: i64,
    /// The last day on which we turned to them, if they are one of the neglected.
    we_stop: Option<i64>,
    /// The last day on which they turned to us, if they have drifted away.
    they_stop: Option<i64>,
    /// The day on which a friend they sent us registered.
    refers: Option<i64>,
    referred_by: Option<u32>,
}

/// The id of generated customer `number`.
pub(super) fn id_of(number: u32) -> String {
    format!("c-{number:04}")
}

/// How many customers are generated around the people with names.
pub(super) fn count(plan: &Plan) -> u32 {
    let named = u32::try_from(super::people::COUNT).unwrap_or(0);
    plan.customers.saturating_sub(named).max(1)
}

/// Writes every generated customer.
pub(super) fn write(plan: &Plan, log: &mut Journal, rooms: &mut Rooms) {
    let rhythms = Rhythms::new();
    for profile in profiles(plan) {
        log.turn_page();
        write_customer(plan, &profile, &rhythms, log, rooms);
    }
}

fn profiles(plan: &Plan) -> Vec<Profile> {
    let days = i64::from(plan.days);
    let mut all: Vec<Profile> = Vec::new();
    for number in 1..=count(plan) {
        let mut dice = Dice::new(plan.seed, u64::from(number) << 1);
        let mut profile = profile(number, days, &mut dice);
        if let Some(friend) = all.last_mut() {
            let open = friend.we_stop.is_none() && friend.they_stop.is_none();
            if open && friend.joined + 14 < profile.joined && dice.chance(20) {
                friend.refers = Some(profile.joined);
                profile.referred_by = Some(friend.number);
            }
        }
        all.push(profile);
    }
    all
}

fn profile(number: u32, days: i64, dice: &mut Dice) -> Profile {
    let neglected = number % 31 == 5 && days >= 150;
    let drifted = number % 79 == 40 && days >= 250;
    let standing = match dice.between(0, 99) {
        _ if neglected || drifted => Standing::Regular,
        0..=24 => Standing::Prospect,
        25..=91 => Standing::Regular,
        _ => Standing::Loyal,
    };
    let founding = neglected || drifted || standing == Standing::Loyal || dice.chance(60);
    let (from, until) = if founding { (-days, -days + days / 12) } else { (-days, -2) };
    Profile {
        number,
        standing,
        joined: dice.between(from, until),
        we_stop: neglected.then(|| dice.between(-118, -93)),
        they_stop: drifted.then(|| dice.between(-days + days / 6, -days + days / 5)),
        refers: None,
        referred_by: None,
    }
}

fn write_customer(
    plan: &Plan,
    profile: &Profile,
    rhythms: &Rhythms,
    log: &mut Journal,
    rooms: &mut Rooms,
) {
    let mut dice = Dice::new(plan.seed, (u64::from(profile.number) << 1) | 1);
    let id = id_of(profile.number);
    let guest = Guest {
        id: &id,
        clerk: dice.pick(&CLERKS),
        channel: dice.pick(&["whatsapp", "whatsapp", "phone", "phone", "email", "web"]),
    };
    appear(profile, guest, log, &mut dice);
    if profile.standing == Standing::Loyal {
        remember_old_stays(guest, log, &mut dice);
    }
    let ends = profile.we_stop.into_iter().chain(profile.they_stop).min().unwrap_or(0);
    live_through(profile, ends, guest, log, rooms, &mut dice);
    if let Some(day) = profile.refers {
        refer(profile.number + 1, day, guest, log, &mut dice);
    }
    keep_in_touch(profile, guest, log, &mut dice);
    close_gaps(profile, guest, rhythms, log, &mut dice);
}

fn appear(profile: &Profile, guest: Guest<'_>, log: &mut Journal, dice: &mut Dice) {
    let is_firm = dice.chance(6);
    let name = if is_firm { names::firm(dice) } else { names::person(dice) };
    let mut data =
        json!({"kind": if is_firm { "org" } else { "person" }, "name": name, "language": "id"});
    if let (Some(friend), Some(members)) = (profile.referred_by, data.as_object_mut()) {
        members.insert("referred_by".to_owned(), json!(id_of(friend)));
        members.insert("via".to_owned(), json!("teman"));
    }
    let at = log.calendar.desk_moment(profile.joined, 60, dice);
    register(log, at, guest, &data, &names::phone(profile.number, dice));
    if dice.chance(35) {
        let known = json!({
            "id_kind": "email", "value": names::email(&name, profile.number), "strength": "strong", "verified": false,
        });
        log.record(
            later(at, 2),
            guest.id,
            quiet("customer.identified", BOOKING_SITE, "customer"),
            &known,
        );
    }
    if profile.standing != Standing::Prospect && dice.chance(70) {
        assign(log, later(at, 20), guest);
    }
    let greeted = json!({"by_name": false, "manner": if guest.channel == "phone" { "phone" } else { "chat" }});
    log.record(
        later(at, 3),
        guest.id,
        ours("interaction.greeted", source_of(guest.channel), guest.clerk, guest.channel),
        &greeted,
    );
    if dice.chance(30) {
        let (slug, value, polarity) = dice.pick(&[
            ("coffee", "Kopi hitam tanpa gula", "likes"),
            ("room", "Kamar jauh dari lift", "likes"),
            ("pillow", "Dua bantal", "likes"),
            ("allergy", "Alergi kacang", "needs"),
            ("smoke", "Asap rokok", "dislikes"),
            ("newspaper", "Koran pagi", "likes"),
        ]);
        let data = json!({"trait": slug, "value": value, "polarity": polarity, "confidence": dice.between(50, 95)});
        log.record(
            later(at, 40),
            guest.id,
            quiet("customer.trait_noted", FRONT_DESK, guest.clerk),
            &data,
        );
    }
    if dice.chance(4) {
        let data =
            json!({"purpose": "marketing", "state": "withdrawn", "basis": "Diminta lewat telepon"});
        log.record(
            later(at, 50),
            guest.id,
            quiet("customer.consent_changed", "/console", guest.clerk),
            &data,
        );
    }
}

/// Stays of former years, from the old system: they make the loyal ones primary.
fn remember_old_stays(guest: Guest<'_>, log: &mut Journal, dice: &mut Dice) {
    for day in [dice.between(-1_060, -1_000), dice.between(-720, -650)] {
        let booking = log.name("b");
        fulfil(log, log.calendar.at(day, 12 * 60 + 5), guest, &booking, "kamar-01");
    }
}

/// Stays, questions, purchases and complaints, from joining to `ends`.
fn live_through(
    profile: &Profile,
    ends: i64,
    guest: Guest<'_>,
    log: &mut Journal,
    rooms: &mut Rooms,
    dice: &mut Dice,
) {
    let from = profile.joined + 2;
    let span = ends - from;
    if span < 1 {
        return;
    }
    let busy = profile.they_stop.is_some();
    let buys = profile.standing != Standing::Prospect;
    if buys {
        // A regular is one by having been here: one stay or sale at least.
        let stays = if busy { 2 } else { dice.times(1_330, span).max(i64::from(span > 60)) };
        for _ in 0..stays {
            write_stay(dice.between(from, ends), (profile.joined, ends), guest, log, rooms, dice);
        }
        let sales = if busy { 4 } else { dice.times(2_700, span).max(1) };
        for _ in 0..sales {
            let at = log.calendar.desk_moment(dice.between(from, ends), 5, dice);
            purchase(log, at, guest, dice);
        }
    }
    for _ in 0..dice.times(if buys { 2_300 } else { 2_500 }, span) {
        let promised = dice.chance(15);
        let at = log.calendar.desk_moment(dice.between(from, ends), 300, dice);
        inquiry(log, at, guest, promised, dice);
    }
    for _ in 0..dice.times(if buys { 450 } else { 0 }, span - 4) {
        let day = dice.between(from, ends - 4);
        let reopened = day < LAST_DECISION - 4 && dice.chance(8);
        let at = log.calendar.desk_moment(day, 290, dice);
        complaint(log, at, guest, reopened, dice);
    }
}

/// A stay of one or two nights: booked long before if the calendar allows it, else a walk-in.
fn write_stay(
    day: i64,
    (joined, ends): (i64, i64),
    guest: Guest<'_>,
    log: &mut Journal,
    rooms: &mut Rooms,
    dice: &mut Dice,
) {
    let nights = dice.between(1, 2);
    // What follows a stay, its survey, ends with the neglected customer's last good day.
    let day = day.min(if ends < 0 { ends - nights - 2 } else { ends });
    let Some(room) = rooms.take(day, nights).filter(|_| day > joined) else { return };
    let slot = Slot {
        venue: &room,
        starts: log.calendar.at(day, 14 * 60),
        ends: log.calendar.at(day + nights, 12 * 60),
        party: 2,
        price: 850_000 * nights,
    };
    let asked = joined.max(day - dice.between(6, 45)).min(LAST_DECISION);
    let booking = (asked >= joined).then(|| {
        let at = log.calendar.at(asked, dice.between(9 * 60, 15 * 60));
        book(log, at, guest, slot, None)
    });
    let arrives = later(slot.starts, dice.between(0, 90));
    let omit = dice.pick(&["", "", "farewell_drink", "recommended", "luggage_out"]);
    let visit = stay(log, arrives, nights, guest, &room, booking.as_deref(), omit);
    if booking.is_none() {
        let data = json!({"payment": log.name("pay"), "kind": "full", "amount": rupiah(slot.price), "method": "card"});
        log.record(
            later(arrives, 22),
            guest.id,
            quiet("payment.recorded", PAYMENTS, "customer"),
            &data,
        );
    }
    if dice.chance(40) {
        let at = log.calendar.desk_moment(day + nights + 1, 260, dice);
        if log.calendar.day_of(at) > day + nights {
            survey(log, at, guest, &visit, dice);
        }
    }
}

fn refer(friend: u32, day: i64, guest: Guest<'_>, log: &mut Journal, dice: &mut Dice) {
    let at = log.calendar.at(log.calendar.open_day(day), 12 * 60);
    let data = json!({"referred": id_of(friend), "via": "word_of_mouth"});
    log.record(at, guest.id, theirs("referral.recorded", FRONT_DESK, "desk"), &data);
    let thanks = json!({"for": format!("referral/{}", id_of(friend)), "form": "message"});
    let at = later(at, dice.between(20, 55));
    log.record(at, guest.id, ours("interaction.thanked", CHAT, guest.clerk, "whatsapp"), &thanks);
}

/// Our own calls and letters: every three to six weeks, sometimes planned beforehand.
fn keep_in_touch(profile: &Profile, guest: Guest<'_>, log: &mut Journal, dice: &mut Dice) {
    let last = profile.we_stop.unwrap_or(0);
    let mut day = profile.joined + dice.between(1, 6);
    while day <= last {
        let at = log.calendar.desk_moment(day, 30, dice);
        // Somebody who drifted away is never reached: that alone would answer their silence.
        let drifted = profile.they_stop.is_some_and(|stop| day > stop);
        let planned = dice.chance(10) && day - 5 > profile.joined && !drifted;
        if planned {
            let made = log.calendar.at(log.calendar.open_day(day - 5), 10 * 60 + 30);
            plan_contact(log, made, at, guest);
        }
        let purpose = dice.pick(&["courtesy", "follow_up", "reminder", "care", "sales", "thanks"]);
        let outcome =
            dice.pick(&["reached", "reached", "reached", "reached", "left_message", "no_answer"]);
        let outcome = match (planned, drifted) {
            (true, _) => "reached",
            (_, true) => "left_message",
            _ => outcome,
        };
        contact(log, at, guest, purpose, outcome);
        day += dice.between(22, 44);
    }
    if profile.we_stop.is_none()
        && profile.they_stop.is_none()
        && profile.joined < -20
        && dice.chance(6)
    {
        let made = log.calendar.at(log.calendar.open_day(-dice.between(1, 9)), 10 * 60 + 30);
        let at = log.calendar.desk_moment(dice.between(4, 16), 30, dice);
        plan_contact(log, made, at, guest);
    }
}

fn plan_contact(log: &mut Journal, made: Timestamp, at: Timestamp, guest: Guest<'_>) {
    let data = json!({
        "plan": log.name("pl"), "at": log.calendar.text(at),
        "owner": guest.clerk.trim_start_matches("staff/"), "purpose": "courtesy",
    });
    log.record(made, guest.id, quiet("interaction.planned", "/console", guest.clerk), &data);
}

/// Whoever is not meant to be neglected is heard once more if silence would ring soon.
fn close_gaps(
    profile: &Profile,
    guest: Guest<'_>,
    rhythms: &Rhythms,
    log: &mut Journal,
    dice: &mut Dice,
) {
    let tier = match profile.standing {
        Standing::Prospect => Tier::Prospect,
        Standing::Regular => Tier::Secondary,
        Standing::Loyal => Tier::Primary,
    };
    let soon = |due: Option<i64>| due.is_some_and(|day| day <= 3);
    let since = (-profile.joined - 1).max(1);
    if profile.we_stop.is_none() && soon(rhythms.we_ring_on(&log.clocks.we, tier)) {
        let at = log.calendar.desk_moment(-dice.between(1, 16.min(since)), 30, dice);
        contact(
            log,
            at,
            guest,
            "courtesy",
            if profile.they_stop.is_some() { "left_message" } else { "reached" },
        );
    }
    if profile.standing == Standing::Prospect {
        return;
    }
    if profile.they_stop.is_none() && soon(rhythms.they_ring_on(&log.clocks.they, tier)) {
        let at = log.calendar.desk_moment(-dice.between(1, 16.min(since)), 5, dice);
        purchase(log, at, guest, dice);
    }
    if profile.standing == Standing::Loyal && dice.chance(50) {
        let data = json!({
            "entry": "grant", "reward": log.name("rw"), "item": "Minuman selamat datang gratis",
            "value": rupiah(60_000), "surprise": true, "reason": "Hadiah bulanan",
        });
        let at = log.calendar.at(log.calendar.open_day(-dice.between(2, 120)), 9 * 60);
        log.record(at, guest.id, quiet("reward.posted", PMS, "staff/sri"), &data);
    }
}
