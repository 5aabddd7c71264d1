//! The people with names: those of the ten acceptance stories, in the state the demo shows.
//!
//! Promises that what `look_at` says of four of them is true of the facts written here, at
//! any `now`: everybody acts while the desk is open, so what is owed is dated back from `now` in
//! opening hours and from the last closing time at night. Their halls are booked by hand, so that no two bookings meet.

use jiff::{Timestamp, TimestampRound, Unit};
use serde_json::{Value, json};

use super::Plan;
use super::dice::Dice;
use super::episodes::{
    BOOKING_SITE, CHAT, COMPLAINT_DESK, FRONT_DESK, Guest, PMS, Slot, TELEPHONE, assign, book,
    contact, fulfil, later, register, request, rupiah, stay,
};
use super::journal::{Journal, ours, quiet, theirs};
use super::names;
use super::venues::{Rooms, room};

/// How many people with names there are.
pub(super) const COUNT: usize = 14;

/// Minutes past which Rina's promised answer is.
const RINA_WAITS: i64 = 40;
/// Days between Sari's calls and the morning on which the silence is too long.
const SARI_CALLS: [i64; 3] = [114, 93, 72];

/// Writes everybody with a name. Must come before the crowd, which takes the rooms left over.
pub(super) fn write(plan: &Plan, log: &mut Journal, rooms: &mut Rooms) {
    let cast = Cast::new(plan, log);
    sari(&cast, log);
    rina(&cast, log);
    waiting(&cast, log, TONO, "Tono Subagja", 120);
    waiting(&cast, log, MAYA, "Maya Lestari", 30);
    wati(&cast, log);
    hendra(&cast, log);
    nusantara(&cast, log);
    lina(&cast, log);
    race(&cast, log);
    ida(&cast, log, rooms);
    budi(&cast, log);
    ratna(&cast, log);
    graha(&cast, log);
}

/// The four lines under "Look at these first": id, Indonesian, English.
pub(super) fn lines(plan: &Plan) -> Vec<(String, String, String)> {
    let log = Journal::new(plan);
    let cast = Cast::new(plan, &log);
    let [first, .., last] = SARI_CALLS;
    let silent = last - cast.morning;
    let usual = (first - last + 30) / 3;
    let due = log.calendar.said(later(cast.base, -RINA_WAITS), plan.now);
    let now = log.calendar.said(plan.now, plan.now);
    let line = |id: &str, indonesian: String, english: String| (id.to_owned(), indonesian, english);
    vec![
        line(
            SARI.id,
            format!("kami diam {silent} hari, biasanya {usual}"),
            format!("we have been silent for {silent} days, usually {usual}"),
        ),
        line(
            RINA.id,
            format!("dijanjikan jawaban sampai {}; sekarang {}", due.id, now.id),
            format!("was promised an answer by {}; it is {}", due.en, now.en),
        ),
        line(
            WATI.id,
            "kembali untuk ketiga kalinya dalam satu keluhan tanpa keputusan".to_owned(),
            "third return in one complaint without a decision".to_owned(),
        ),
        line(
            HENDRA.id,
            "ingin aula di tepi sungai; sudah terisi".to_owned(),
            "wants the hall by the river; it is taken".to_owned(),
        ),
    ]
}

const fn person(id: &'static str, clerk: &'static str, channel: &'static str) -> Guest<'static> {
    Guest { id, clerk, channel }
}
const SARI: Guest<'static> = person("c-sari", "staff/dewi", "phone");
const RINA: Guest<'static> = person("c-rina", "staff/ani", "whatsapp");
const TONO: Guest<'static> = person("c-tono", "staff/joko", "whatsapp");
const MAYA: Guest<'static> = person("c-maya", "staff/intan", "whatsapp");
const WATI: Guest<'static> = person("c-wati", "staff/dewi", "phone");
const HENDRA: Guest<'static> = person("c-hendra", "staff/rudi", "phone");
const LINA: Guest<'static> = person("c-lina", "staff/ani", "phone");
const AYU: Guest<'static> = person("c-ayu", "staff/intan", "whatsapp");
const BIMA: Guest<'static> = person("c-bima", "staff/bayu", "whatsapp");
const IDA: Guest<'static> = person("c-ida", "staff/dewi", "whatsapp");
const BUDI: Guest<'static> = person("c-budi", "staff/bayu", "phone");
const RATNA: Guest<'static> = person("c-ratna", "staff/dewi", "phone");
const NUSANTARA: Guest<'static> = person("pt-nusantara", "staff/rudi", "email");
const GRAHA: Guest<'static> = person("pt-graha", "staff/rudi", "email");

/// What the people share: the moments the story is dated back from.
struct Cast {
    seed: u64,
    /// `now`, or when the desk last closed, without its seconds.
    base: Timestamp,
    /// The day of the last 09:00, when alerts ring: 0, or -1 before that hour.
    morning: i64,
    /// The Saturday everybody wants the hall by the river for.
    wanted: i64,
}

impl Cast {
    fn new(plan: &Plan, log: &Journal) -> Self {
        let whole = TimestampRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Trunc);
        Self {
            seed: plan.seed,
            base: log.calendar.desk_time(plan.now).round(whole).unwrap_or(plan.now),
            morning: if plan.now < log.calendar.at(0, 9 * 60) { -1 } else { 0 },
            wanted: log.calendar.saturday_from(24),
        }
    }

    /// Opens a customer's page: the name, a telephone number, an owner.
    fn enter(&self, log: &mut Journal, guest: Guest<'_>, kind: &str, name: &str, day: i64) {
        log.turn_page();
        // The lane of the dice and the number keep clear of the crowd's.
        let number = 90_000 + guest.id.bytes().map(u32::from).sum::<u32>();
        let mut dice = Dice::new(self.seed, u64::from(number) << 20);
        let at = log.calendar.at(log.calendar.open_day(day), 9 * 60 + 30);
        let data = json!({"kind": kind, "name": name, "language": "id"});
        register(log, at, guest, &data, &names::phone(number, &mut dice));
        assign(log, later(at, 15), guest);
    }
}

/// Calls at 10:00 on the given days, each of them reached.
fn calls(log: &mut Journal, guest: Guest<'_>, days: &[i64]) {
    for day in days {
        contact(log, log.calendar.at(*day, 10 * 60), guest, "courtesy", "reached");
    }
}

fn message(log: &mut Journal, at: Timestamp, guest: Guest<'_>, about: &str, text: &str) {
    let data = json!({"about": about, "text": text});
    log.record(at, guest.id, theirs("interaction.messaged", CHAT, "whatsapp"), &data);
}

fn sale(log: &mut Journal, day: i64, guest: Guest<'_>) -> String {
    let purchase = log.name("pu");
    let data = json!({
        "purchase": purchase, "kind": "sale", "amount": rupiah(95_000),
        "lines": [{"item": "Makan siang paket", "quantity": 1}],
    });
    log.record(
        log.calendar.at(day, 12 * 60 + 30),
        guest.id,
        quiet("purchase.recorded", "/till", "customer"),
        &data,
    );
    format!("purchase/{purchase}")
}

/// A hall for a day, 08:00 to 16:00.
fn hall<'a>(log: &Journal, venue: &'a str, day: i64, party: i64) -> Slot<'a> {
    let price = if venue == "aula-sungai" { 15_000_000 } else { 12_000_000 };
    Slot {
        venue,
        starts: log.calendar.at(day, 8 * 60),
        ends: log.calendar.at(day, 16 * 60),
        party,
        price,
    }
}

/// A hall booked two months before and used, all of it long ago; answers the fact's reference.
fn used_hall(
    log: &mut Journal,
    guest: Guest<'_>,
    venue: &str,
    day: i64,
    party: i64,
) -> Option<String> {
    let slot = hall(log, venue, day, party);
    let asked = log.calendar.at(log.calendar.open_day(day - 60), 10 * 60);
    let booking = book(log, asked, guest, slot, Some("Acara tahunan"));
    fulfil(log, later(slot.ends, 5), guest, &booking, venue)
}

/// The small customer: reached three times, then forgotten.
fn sari(cast: &Cast, log: &mut Journal) {
    cast.enter(log, SARI, "person", "Sari Wulandari", -330);
    let lunch = sale(log, -300, SARI);
    calls(log, SARI, &SARI_CALLS.map(|day| cast.morning - day));
    let note = json!({"text": "Suka meja dekat jendela; pernah bertanya soal kafe baru", "visibility": "team"});
    log.record(
        log.calendar.at(-30, 11 * 60),
        SARI.id,
        quiet("interaction.noted", FRONT_DESK, "staff/dewi"),
        &note,
    );
    message(
        log,
        log.calendar.at(-5, 9 * 60 + 20),
        SARI,
        &lunch,
        "Apa kabar, kafe barunya sudah buka?",
    );
}

/// Asked and half answered on the working day before, and promised the rest for `overdue` minutes
/// before the desk last was open.
fn promised(cast: &Cast, log: &mut Journal, guest: Guest<'_>, overdue: i64, what: &str) {
    let due = later(cast.base, -overdue);
    let inquiry = log.name("q");
    let about = format!("inquiry/{inquiry}");
    let before = log.calendar.open_day(log.calendar.day_of(due) - 1);
    let at = log.calendar.at(before, 10 * 60 + 50);
    let asked =
        json!({"inquiry": inquiry, "topic": "price", "text": "Berapa harganya untuk 200 tamu?"});
    log.record(at, guest.id, theirs("interaction.inquired", CHAT, guest.channel), &asked);
    let partly = json!({"about": about, "complete": false, "missing": what, "text": "Kami hitung dulu ya, Bu"});
    log.record(
        later(at, 10),
        guest.id,
        ours("interaction.answered", CHAT, guest.clerk, guest.channel),
        &partly,
    );
    let made = json!({
        "promise": log.name("p"), "what": what, "due_at": log.calendar.text(due),
        "owner": guest.clerk.trim_start_matches("staff/"), "about": about, "topic": "price",
    });
    log.record(later(at, 11), guest.id, quiet("promise.made", FRONT_DESK, guest.clerk), &made);
}

fn rina(cast: &Cast, log: &mut Journal) {
    cast.enter(log, RINA, "person", "Rina Kartika", -40);
    calls(log, RINA, &[-38, -15]);
    promised(cast, log, RINA, RINA_WAITS, "Harga akhir untuk 200 tamu");
}

/// Tono and Maya: also promised something, and waiting.
fn waiting(cast: &Cast, log: &mut Journal, guest: Guest<'_>, name: &str, overdue: i64) {
    cast.enter(log, guest, "person", name, -210);
    sale(log, -205, guest);
    calls(log, guest, &[-200, -160, -121, -80, -41, -11]);
    sale(log, -20, guest);
    promised(cast, log, guest, overdue, "Daftar menu untuk rombongan");
}

/// One complaint, three answers, three returns, no decision.
fn wati(cast: &Cast, log: &mut Journal) {
    cast.enter(log, WATI, "person", "Wati Susanti", -260);
    let earlier = log.calendar.saturday_from(-206);
    used_hall(log, WATI, "aula-taman", earlier, 120);
    calls(log, WATI, &[-190, -150, -110, -70, -40, -17]);
    let day = log.calendar.last_open_day(log.now, 11 * 60 + 35);
    let at = |log: &Journal, minute: i64| log.calendar.at(day, 10 * 60 + minute);
    let complaint = "k-55";
    let raised = json!({
        "complaint": complaint, "kind": "technical", "category": "air_conditioning", "severity": "normal",
        "venue": "aula-taman", "text": "AC mati sejak pagi, tamu kepanasan",
        "wanted": "AC menyala atau pindah aula", "mood": "upset",
    });
    log.record(at(log, 0), WATI.id, theirs("complaint.raised", COMPLAINT_DESK, "phone"), &raised);
    let about = format!("complaint/{complaint}");
    for (answered, answer, returned, reply) in [
        (
            20,
            "Teknisi sedang diperiksa jadwalnya",
            40,
            "Sudah dua puluh menit, belum ada yang datang",
        ),
        (60, "Mohon maaf, teknisi masih di kamar lain", 70, "Maaf saja tidak mendinginkan ruangan"),
        (90, "Pindah aula harus menunggu manajer", 95, "Jadi siapa yang bisa memutuskan?"),
    ] {
        let data = json!({"about": about, "complete": false, "text": answer});
        log.record(
            at(log, answered),
            WATI.id,
            ours("interaction.answered", TELEPHONE, "staff/ani", "phone"),
            &data,
        );
        let data = json!({"about": about, "text": reply, "mood": "upset"});
        log.record(
            at(log, returned),
            WATI.id,
            theirs("interaction.messaged", TELEPHONE, "phone"),
            &data,
        );
    }
}

/// Wants the hall by the river, which PT Nusantara has paid for.
fn hendra(cast: &Cast, log: &mut Journal) {
    cast.enter(log, HENDRA, "person", "Hendra Gunawan", -1_150);
    let last = log.calendar.saturday_from(-346);
    for day in [last - 728, last - 364, last] {
        used_hall(log, HENDRA, "aula-sungai", day, 180);
    }
    calls(log, HENDRA, &[-330, -250, -170, -90, -50, -9]);
    let slot = hall(log, "aula-sungai", cast.wanted, 200);
    let booking = log.name("b");
    request(
        log,
        later(cast.base, -20),
        HENDRA,
        &booking,
        slot,
        Some("Kumpul keluarga, pemandangan sungai"),
    );
}

fn nusantara(cast: &Cast, log: &mut Journal) {
    cast.enter(log, NUSANTARA, "org", "PT Nusantara", -900);
    for near in [-810, -460, -180] {
        let day = log.calendar.saturday_from(near);
        used_hall(log, NUSANTARA, "aula-sungai", day, 250);
    }
    calls(log, NUSANTARA, &[-300, -200, -100, -52, -28, -8]);
    let slot = hall(log, "aula-sungai", cast.wanted, 280);
    let asked = log.calendar.at(log.calendar.open_day(-45), 10 * 60);
    book(log, asked, NUSANTARA, slot, Some("Rapat kerja tahunan"));
}

/// Asked for the same day later than PT Nusantara: first on the waitlist.
fn lina(cast: &Cast, log: &mut Journal) {
    cast.enter(log, LINA, "person", "Lina Marlina", -250);
    sale(log, -230, LINA);
    calls(log, LINA, &[-240, -200, -160, -120, -84, -47, -10]);
    let slot = hall(log, "aula-sungai", cast.wanted, 150);
    let asked = log.calendar.at(log.calendar.open_day(-38), 13 * 60);
    let booking = log.name("b");
    request(log, asked, LINA, &booking, slot, Some("Syukuran"));
    let data = json!({
        "booking": booking, "venue": slot.venue, "starts_at": log.calendar.text(slot.starts),
        "ends_at": log.calendar.text(slot.ends), "place": 1, "rule": "paid_first",
    });
    log.record(later(asked, 3), LINA.id, quiet("booking.waitlisted", PMS, "system/pms"), &data);
}

/// Ayu and Bima ask for one free slot, a minute apart, at two desks.
fn race(cast: &Cast, log: &mut Journal) {
    for (guest, name, ago) in [(AYU, "Ayu Paramita", 26), (BIMA, "Bima Nugraha", 25)] {
        cast.enter(log, guest, "person", name, -100);
        calls(log, guest, &[-95, -60, -34, -12]);
        let slot = hall(log, "aula-sungai", cast.wanted + 14, 160);
        let booking = log.name("b");
        request(log, later(cast.base, -ago), guest, &booking, slot, Some("Pernikahan"));
    }
}

/// A first stay in three phases; only the farewell drink was forgotten.
fn ida(cast: &Cast, log: &mut Journal, rooms: &mut Rooms) {
    let day = log.calendar.saturday_from(-9);
    cast.enter(log, IDA, "person", "Ida Farida", day - 13);
    rooms.reserve(12, day, 1);
    let venue = room(12);
    let starts = log.calendar.at(day, 14 * 60);
    let slot = Slot {
        venue: &venue,
        starts,
        ends: log.calendar.at(day + 1, 12 * 60),
        party: 2,
        price: 850_000,
    };
    let asked = log.calendar.at(day - 13, 10 * 60);
    let booking = book(log, asked, IDA, slot, None);
    stay(log, starts, 1, IDA, &venue, Some(&booking), "farewell_drink");
    let habit = json!({"trait": "coffee", "value": "Kopi dengan dua gula", "polarity": "likes", "confidence": 80});
    log.record(
        later(starts, 60),
        IDA.id,
        quiet("customer.trait_noted", FRONT_DESK, IDA.clerk),
        &habit,
    );
}

/// Called twice, then served a dinner that came from a tablet without a network.
fn budi(cast: &Cast, log: &mut Journal) {
    cast.enter(log, BUDI, "person", "Budi Santoso", -400);
    let earlier = log.calendar.saturday_from(-390);
    used_hall(log, BUDI, "aula-kota", earlier, 60);
    calls(log, BUDI, &[-130, -100]);
    let dinner =
        json!({"service": "dinner", "quality": "ok", "text": "Dicatat di tablet tanpa jaringan"});
    let at = log.calendar.at(-20, 19 * 60);
    log.record(
        at,
        BUDI.id,
        ours("interaction.served", "/hotel/tablet", BUDI.clerk, "visit"),
        &dinner,
    );
    sale(log, -20, BUDI);
}

/// Three years, one booking each: primary two days after the third.
fn ratna(cast: &Cast, log: &mut Journal) {
    cast.enter(log, RATNA, "person", "Ratna Puspita", -1_110);
    let last = log.calendar.saturday_from(-306);
    let first = last - 728;
    let evidence: Vec<String> = [first, last - 364, last]
        .into_iter()
        .filter_map(|day| used_hall(log, RATNA, "aula-taman", day, 90))
        .collect();
    let tier = |log: &mut Journal, at: Timestamp, data: &Value| {
        log.record(
            at,
            RATNA.id,
            quiet("loyalty.tier_changed", "/sapa/loyalty", "system/loyalty"),
            data,
        );
    };
    let earned = json!({
        "from": "prospect", "to": "secondary", "cause": "earned", "policy_version": 1,
        "evidence": evidence.iter().take(1).collect::<Vec<_>>(),
    });
    tier(log, log.calendar.at(first, 16 * 60 + 5), &earned);
    let earned = json!({
        "from": "secondary", "to": "primary", "cause": "earned", "policy_version": 1,
        "lapses_on": log.calendar.date(first + 1_095).to_string(), "evidence": evidence,
    });
    tier(log, log.calendar.at(first + 730, 0), &earned);
    calls(log, RATNA, &[-280, -220, -160, -100, -55, -13]);
}

/// A large customer whose silence became too long this morning: an hour late, not forty-nine.
fn graha(cast: &Cast, log: &mut Journal) {
    cast.enter(log, GRAHA, "org", "PT Graha", -1_000);
    for near in [-940, -600, -250] {
        let day = log.calendar.saturday_from(near);
        used_hall(log, GRAHA, "aula-kota", day, 100);
    }
    calls(log, GRAHA, &[-100, -80, -60].map(|day| cast.morning + day));
    message(
        log,
        log.calendar.at(-9, 9 * 60),
        GRAHA,
        "visit/graha-tahunan",
        "Terima kasih, acaranya lancar",
    );
    let known = json!({"id_kind": "email", "value": "acara@graha.example", "strength": "strong", "verified": true});
    log.record(
        log.calendar.at(-240, 9 * 60),
        GRAHA.id,
        quiet("customer.identified", BOOKING_SITE, "customer"),
        &known,
    );
}
