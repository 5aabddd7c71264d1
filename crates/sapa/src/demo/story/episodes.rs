//! What happens in a hotel, one episode at a time: a stay, a booking, a question, a sale.
//!
//! Promises that every debt an episode opens is closed inside its allowance unless the story
//! ends before that. Episodes know nothing of who else is in the story.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::dice::Dice;
use super::journal::{Journal, ours, quiet, theirs};

pub(super) const FRONT_DESK: &str = "/hotel/front-desk";
pub(super) const BOOKING_SITE: &str = "/booking-site";
pub(super) const PAYMENTS: &str = "/payments";
pub(super) const CHAT: &str = "/chat";
pub(super) const COMPLAINT_DESK: &str = "/complaint-desk";
pub(super) const PMS: &str = "/hotel/pms";
pub(super) const TILL: &str = "/till";
pub(super) const TELEPHONE: &str = "/telephone";

/// Staff of the front desk, as actors.
pub(super) const CLERKS: [&str; 6] =
    ["staff/dewi", "staff/ani", "staff/rudi", "staff/joko", "staff/intan", "staff/bayu"];

/// The customer an episode is about, and who usually looks after them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guest<'a> {
    pub(super) id: &'a str,
    pub(super) clerk: &'static str,
    pub(super) channel: &'static str,
}

/// A slot of a venue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    pub(super) venue: &'a str,
    pub(super) starts: Timestamp,
    pub(super) ends: Timestamp,
    pub(super) party: i64,
    pub(super) price: i64,
}

/// `minutes` after `at`.
pub(super) fn later(at: Timestamp, minutes: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_mins(minutes)).unwrap_or(at)
}

/// Whole rupiah.
pub(super) fn rupiah(amount: i64) -> Value {
    json!({"amount": amount, "currency": "IDR"})
}

/// The system behind a channel.
pub(super) fn source_of(channel: &str) -> &'static str {
    match channel {
        "whatsapp" | "web" | "email" => CHAT,
        "phone" => TELEPHONE,
        _ => FRONT_DESK,
    }
}

/// The customer appears: a name, and an identifier if one is known.
pub(super) fn register(
    log: &mut Journal,
    at: Timestamp,
    guest: Guest<'_>,
    profile: &Value,
    phone: &str,
) {
    log.record(at, guest.id, quiet("customer.registered", FRONT_DESK, guest.clerk), profile);
    let known = json!({"id_kind": "phone", "value": phone, "strength": "strong", "verified": true});
    log.record(
        later(at, 1),
        guest.id,
        quiet("customer.identified", FRONT_DESK, guest.clerk),
        &known,
    );
}

/// Somebody of the desk becomes the customer's owner.
pub(super) fn assign(log: &mut Journal, at: Timestamp, guest: Guest<'_>) {
    let owner = guest.clerk.trim_start_matches("staff/");
    let data = json!({"owner": owner, "team": "frontdesk"});
    log.record(at, guest.id, quiet("customer.assigned", "/console", "staff/rudi"), &data);
}

/// We call or write on our own initiative.
pub(super) fn contact(
    log: &mut Journal,
    at: Timestamp,
    guest: Guest<'_>,
    purpose: &str,
    outcome: &str,
) -> Option<String> {
    let data = json!({"purpose": purpose, "outcome": outcome});
    log.record(
        at,
        guest.id,
        ours("interaction.contacted", source_of(guest.channel), guest.clerk, guest.channel),
        &data,
    )
}

/// A booking request, in the words of the booking site.
pub(super) fn request(
    log: &mut Journal,
    at: Timestamp,
    guest: Guest<'_>,
    booking: &str,
    slot: Slot<'_>,
    purpose: Option<&str>,
) {
    let mut data = json!({
        "booking": booking, "venue": slot.venue,
        "starts_at": log.calendar.text(slot.starts), "ends_at": log.calendar.text(slot.ends),
        "party": slot.party, "waitlist": true,
    });
    if let (Some(purpose), Some(members)) = (purpose, data.as_object_mut()) {
        members.insert("purpose".to_owned(), json!(purpose));
    }
    let channel = if purpose.is_some() { "phone" } else { "web" };
    log.record(at, guest.id, theirs("booking.requested", BOOKING_SITE, channel), &data);
}

/// A request that was held, paid and confirmed within two hours, long ago.
pub(super) fn book(
    log: &mut Journal,
    at: Timestamp,
    guest: Guest<'_>,
    slot: Slot<'_>,
    purpose: Option<&str>,
) -> String {
    let booking = log.name("b");
    request(log, at, guest, &booking, slot, purpose);
    let (starts, ends) = (log.calendar.text(slot.starts), log.calendar.text(slot.ends));
    let held = json!({
        "booking": booking, "venue": slot.venue, "starts_at": starts, "ends_at": ends,
        "hold_until": log.calendar.text(later(at, 48 * 60)), "call_in_hours": 4,
        "price": rupiah(slot.price), "deposit_due": rupiah(slot.price / 2), "reason": "free",
    });
    log.record(later(at, 3), guest.id, quiet("booking.held", PMS, "system/pms"), &held);
    let paid = json!({
        "payment": log.name("pay"), "kind": "deposit", "amount": rupiah(slot.price / 2),
        "booking": booking, "method": "transfer",
    });
    let payment =
        log.record(later(at, 95), guest.id, quiet("payment.recorded", PAYMENTS, "customer"), &paid);
    let mut confirmed = json!({
        "booking": booking, "venue": slot.venue, "starts_at": starts, "ends_at": ends,
        "paid": rupiah(slot.price / 2),
    });
    if let (Some(payment), Some(members)) = (payment, confirmed.as_object_mut()) {
        members.insert("payment".to_owned(), json!(payment));
    }
    log.record(later(at, 96), guest.id, quiet("booking.confirmed", PMS, "system/pms"), &confirmed);
    booking
}

/// The booking took place.
pub(super) fn fulfil(
    log: &mut Journal,
    at: Timestamp,
    guest: Guest<'_>,
    booking: &str,
    venue: &str,
) -> Option<String> {
    let data = json!({"booking": booking, "venue": venue, "no_show": false});
    log.record(at, guest.id, quiet("booking.fulfilled", PMS, "system/pms"), &data)
}

/// One night or more after the ritual `hotel_stay`; `omit` names a service left out.
/// The arrival is at `arrives`, the farewell on the morning `nights` days later.
pub(super) fn stay(
    log: &mut Journal,
    arrives: Timestamp,
    nights: i64,
    guest: Guest<'_>,
    venue: &str,
    booking: Option<&str>,
    omit: &str,
) -> String {
    let visit = log.name("v");
    let mut arrival = json!({"visit": visit, "venue": venue, "party": 2});
    if let (Some(booking), Some(members)) = (booking, arrival.as_object_mut()) {
        members.insert("booking".to_owned(), json!(booking));
    }
    log.record(arrives, guest.id, theirs("interaction.arrived", PMS, "desk"), &arrival);
    let at = |minutes| later(arrives, minutes);
    let desk = |kind| ours(kind, FRONT_DESK, guest.clerk, "desk");
    let greeted = json!({"visit": visit, "venue": venue, "by_name": true, "manner": "door"});
    log.record(at(2), guest.id, desk("interaction.greeted"), &greeted);
    let departs = log
        .calendar
        .at(log.calendar.day_of(arrives) + nights, 11 * 60 + log.calendar.minute_of(arrives) % 45);
    let services = [
        (at(5), "welcome_drink"),
        (at(10), "luggage_in"),
        (at(20), "paperwork"),
        (later(departs, -20), "anything_else"),
        (later(departs, 1), "farewell_drink"),
        (later(departs, 3), "luggage_out"),
    ];
    for (moment, service) in services.into_iter().filter(|(_, service)| *service != omit) {
        let data = json!({"visit": visit, "venue": venue, "service": service, "quality": "ok"});
        log.record(moment, guest.id, desk("interaction.served"), &data);
    }
    if omit != "recommended" {
        let data = json!({
            "visit": visit, "venue": venue, "offer": "Jalan pagi ke kebun teh",
            "reason": "Suka berjalan kaki", "accepted": true,
        });
        log.record(at(12), guest.id, desk("interaction.recommended"), &data);
    }
    let reason =
        booking.map_or_else(|| format!("visit/{visit}"), |booking| format!("booking/{booking}"));
    let thanked = json!({"visit": visit, "venue": venue, "for": reason, "form": "in_person"});
    log.record(later(departs, -5), guest.id, desk("interaction.thanked"), &thanked);
    let departed = json!({"visit": visit, "venue": venue, "farewell": true, "manner": "door"});
    log.record(
        departs,
        guest.id,
        ours("interaction.departed", FRONT_DESK, guest.clerk, "desk"),
        &departed,
    );
    if let Some(booking) = booking {
        fulfil(log, later(departs, 5), guest, booking, venue);
    }
    visit
}

/// A question and its whole answer; sometimes with a promise in between, which is kept.
pub(super) fn inquiry(
    log: &mut Journal,
    asked: Timestamp,
    guest: Guest<'_>,
    promised: bool,
    dice: &mut Dice,
) {
    let topics = [
        "price",
        "availability",
        "breakfast",
        "wedding",
        "meeting_room",
        "directions",
        "child_bed",
    ];
    let topic = dice.pick(&topics);
    let inquiry = log.name("q");
    let about = format!("inquiry/{inquiry}");
    let source = source_of(guest.channel);
    let data = json!({"inquiry": inquiry, "topic": topic});
    log.record(asked, guest.id, theirs("interaction.inquired", source, guest.channel), &data);
    let mut answered = later(asked, dice.between(6, 75));
    let mut promise = None;
    if promised {
        let partly = json!({"about": about, "complete": false, "missing": "Harga akhir"});
        log.record(
            answered,
            guest.id,
            ours("interaction.answered", source, guest.clerk, guest.channel),
            &partly,
        );
        let name = log.name("p");
        let made = json!({
            "promise": name, "what": "Harga akhir untuk rombongan", "due_at": log.calendar.text(later(answered, 180)),
            "owner": guest.clerk.trim_start_matches("staff/"), "about": about, "topic": topic,
        });
        log.record(
            later(answered, 1),
            guest.id,
            quiet("promise.made", FRONT_DESK, guest.clerk),
            &made,
        );
        promise = Some(name);
        answered = later(answered, dice.between(60, 150));
    }
    let clerk = if promise.is_none() && dice.chance(20) { "ai/frontdesk-bot" } else { guest.clerk };
    let whole = json!({"about": about, "complete": true});
    let by = log.record(
        answered,
        guest.id,
        ours("interaction.answered", source, clerk, guest.channel),
        &whole,
    );
    if let (Some(name), Some(by)) = (promise, by) {
        let kept = json!({"promise": name, "how": "kept", "by": by, "told": true});
        log.record(
            later(answered, 1),
            guest.id,
            quiet("promise.settled", FRONT_DESK, guest.clerk),
            &kept,
        );
    } else if dice.chance(25) {
        let data = json!({"about": about, "mood": "calm"});
        log.record(
            later(answered, 4),
            guest.id,
            theirs("interaction.messaged", source, guest.channel),
            &data,
        );
    }
}

/// Something bought at the till: coffee, cake, a lunch.
pub(super) fn purchase(
    log: &mut Journal,
    at: Timestamp,
    guest: Guest<'_>,
    dice: &mut Dice,
) -> Option<String> {
    let (item, price) = dice.pick(&[
        ("Kopi tubruk", 28_000),
        ("Pisang goreng", 35_000),
        ("Makan siang paket", 95_000),
        ("Oleh-oleh bolu", 65_000),
        ("Pijat refleksi", 180_000),
    ]);
    let quantity = dice.between(1, 4);
    let data = json!({
        "purchase": log.name("pu"), "kind": "sale", "amount": rupiah(price * quantity),
        "lines": [{"item": item, "quantity": quantity}],
    });
    log.record(at, guest.id, quiet("purchase.recorded", TILL, "customer"), &data)
}

/// A complaint that is answered within the hour and resolved the same day.
pub(super) fn complaint(
    log: &mut Journal,
    raised: Timestamp,
    guest: Guest<'_>,
    reopened: bool,
    dice: &mut Dice,
) {
    let (kind, category, text, remedy) = dice.pick(&[
        ("technical", "air_conditioning", "AC kurang dingin", "AC dibersihkan, kamar dipindah"),
        ("technical", "wifi", "Wifi putus-putus", "Pemancar diganti"),
        ("service", "breakfast", "Sarapan habis sebelum pukul 09.00", "Sarapan diantar ke kamar"),
        ("service", "cleanliness", "Kamar mandi belum bersih", "Kamar dibersihkan lagi"),
        ("billing", "invoice", "Tagihan tercatat dua kali", "Tagihan dibetulkan"),
        ("staff", "waiting", "Menunggu lama di meja depan", "Petugas ditambah pada jam ramai"),
    ]);
    let severity = dice.pick(&["low", "normal", "normal", "high"]);
    let complaint = log.name("k");
    let data = json!({
        "complaint": complaint, "kind": kind, "category": category, "severity": severity, "text": text, "mood": "upset",
    });
    let reference = log.record(
        raised,
        guest.id,
        theirs("complaint.raised", COMPLAINT_DESK, guest.channel),
        &data,
    );
    log.complaints.extend(reference.map(|reference| (raised, category, reference)));
    let about = json!({"about": format!("complaint/{complaint}"), "complete": false});
    let answered = later(raised, dice.between(8, 50));
    log.record(
        answered,
        guest.id,
        ours("interaction.answered", COMPLAINT_DESK, guest.clerk, guest.channel),
        &about,
    );
    let resolve = |log: &mut Journal, at| {
        let data =
            json!({"complaint": complaint, "remedy": remedy, "fault": "ours", "accepted": true});
        log.record(at, guest.id, quiet("complaint.resolved", COMPLAINT_DESK, guest.clerk), &data);
    };
    let resolved = later(answered, dice.between(40, 150));
    resolve(log, resolved);
    if reopened {
        let back = later(resolved, 3 * 24 * 60);
        let data = json!({"complaint": complaint, "reason": "Terjadi lagi"});
        log.record(back, guest.id, quiet("complaint.reopened", COMPLAINT_DESK, "customer"), &data);
        resolve(log, later(back, 70));
    }
}

/// A short survey after a visit, its reply, our thanks, and care if the mark is low.
pub(super) fn survey(
    log: &mut Journal,
    asked: Timestamp,
    guest: Guest<'_>,
    visit: &str,
    dice: &mut Dice,
) {
    let feedback = log.name("f");
    let data = json!({
        "feedback": feedback, "instrument": "csat", "about": format!("visit/{visit}"), "questions": 2, "seconds": 40,
    });
    log.record(asked, guest.id, quiet("feedback.requested", PMS, "system/survey"), &data);
    if !dice.chance(60) {
        return;
    }
    let score = dice.pick(&[5, 5, 5, 4, 4, 4, 3, 2]);
    let text = if score > 2 { "Pelayanan ramah, terima kasih" } else { "Air panas lama sekali" };
    let data = json!({"feedback": feedback, "instrument": "csat", "score": score, "topic": "stay", "text": text});
    let received = later(asked, dice.between(10, 90));
    log.record(received, guest.id, theirs("feedback.received", CHAT, "whatsapp"), &data);
    let thanks = json!({"for": format!("feedback/{feedback}"), "form": "message"});
    log.record(
        later(received, 25),
        guest.id,
        ours("interaction.thanked", CHAT, guest.clerk, "whatsapp"),
        &thanks,
    );
    if score <= 2 {
        contact(log, later(received, 45), guest, "care", "reached");
    }
}
