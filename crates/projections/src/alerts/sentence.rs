//! What an alert says in one sentence: plain words, never codes (article 004).
//!
//! Made when it is read, so it knows how late it is by now. Names and what was promised are said to
//! those only who may see them.

use events::id::{CustomerId, EventRef};
use events::problem::Text;
use events::spoken::{counted, duration, time};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::fold::Alert;
use crate::dossier::{Dossier, Holder};
use crate::neglect::{Inputs, Which};

/// Who reads a sentence, and when.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The moment of the question.
    pub now: Timestamp,
    /// The tenant's zone.
    pub zone: &'a TimeZone,
    /// Whether names and texts of customers may be said.
    pub sees_personal: bool,
}

/// What an alert says. `dossier` is that of its holder, where it is known.
#[must_use]
pub fn sentence(
    alert: &Alert,
    holder: &Holder,
    dossier: Option<&Dossier>,
    reader: Reader<'_>,
) -> Text {
    let customer = holder.as_customer();
    let name = dossier.and_then(|it| it.card.name.as_deref()).filter(|_| reader.sees_personal);
    let id = customer.as_ref().map_or("", CustomerId::as_str);
    let who = name.unwrap_or(id);
    let end = if alert.status.is_open() { reader.now } else { alert.since };
    match alert.kind.as_str() {
        "we_silent" => we_silent(alert, who, dossier, end, reader),
        "they_silent" => they_silent(alert, who, dossier, end, reader),
        "we_owe" => we_owe(alert, who, dossier, end, reader),
        "debate" => Text::new(
            format!("The conversation with {who} goes round in circles."),
            format!("Percakapan dengan {who} berputar-putar."),
        ),
        "booking_conflict" => Text::new(
            format!("A booking of {who} clashes with another one."),
            format!("Booking {who} bentrok dengan booking lain."),
        ),
        "trend" => Text::new(
            "Customers complain of the same thing more often than usual.",
            "Keluhan yang sama datang lebih sering daripada biasanya.",
        ),
        _ if who.is_empty() => Text::new("Something needs attention.", "Ada yang perlu perhatian."),
        _ => Text::new(format!("{who} needs attention."), format!("{who} perlu perhatian.")),
    }
}

/// Since which day it has been silent, and how many days that is; none if it is not that silence any
/// more.
fn silence(
    alert: &Alert,
    dossier: Option<&Dossier>,
    which: Which,
    end: Timestamp,
    zone: &TimeZone,
) -> Option<(Inputs, Text)> {
    let inputs = dossier?.neglect.inputs(which)?;
    let (last, due) = (inputs.days.last, zone.to_datetime(alert.due_at).date());
    let days = events::calendar::days_between(last, zone.to_datetime(end).date());
    (last < due).then(|| (inputs, counted(days.max(0), "day", "hari")))
}

fn we_silent(
    alert: &Alert,
    who: &str,
    dossier: Option<&Dossier>,
    end: Timestamp,
    reader: Reader<'_>,
) -> Text {
    match silence(alert, dossier, Which::We, end, reader.zone) {
        Some((inputs, days)) if inputs.is_first_contact => Text::new(
            format!("{who} turned to us {} ago and has not heard from us yet.", days.en),
            format!("{who} menghubungi kita {} yang lalu dan belum mendapat kabar.", days.id),
        ),
        Some((_, days)) => Text::new(
            format!("{who} has not heard from us for {}.", days.en),
            format!("{who} belum mendengar kabar dari kita selama {}.", days.id),
        ),
        None => {
            let due = time(alert.due_at, reader.now, reader.zone);
            Text::new(
                format!("{who} should have heard from us by {}.", due.en),
                format!("{who} seharusnya mendengar kabar dari kita sampai {}.", due.id),
            )
        }
    }
}

fn they_silent(
    alert: &Alert,
    who: &str,
    dossier: Option<&Dossier>,
    end: Timestamp,
    reader: Reader<'_>,
) -> Text {
    if let Some((_, days)) = silence(alert, dossier, Which::They, end, reader.zone) {
        return Text::new(
            format!("{who} has not been in touch for {}.", days.en),
            format!("{who} sudah {} tidak menghubungi kita.", days.id),
        );
    }
    let due = time(alert.due_at, reader.now, reader.zone);
    Text::new(
        format!("{who} was expected to be in touch by {}.", due.en),
        format!("{who} diperkirakan menghubungi kita sampai {}.", due.id),
    )
}

/// What is owed: as the object of "we owe".
#[must_use]
pub fn owed(word: &str) -> (&'static str, &'static str) {
    match word {
        "answer" => ("an answer", "jawaban"),
        "decision" => ("a decision about a booking", "keputusan tentang booking"),
        "reply" => ("a reply to a complaint", "balasan atas keluhan"),
        "resolution" => ("the solution of a complaint", "penyelesaian keluhan"),
        "thanks" => ("thanks", "ucapan terima kasih"),
        "care" => ("a call after poor feedback", "telepon setelah masukan yang buruk"),
        "refund" => ("a refund", "pengembalian dana"),
        "tell" => ("news of what we changed", "kabar tentang yang kita perbaiki"),
        _ => ("something we promised", "sesuatu yang kita janjikan"),
    }
}

fn we_owe(
    alert: &Alert,
    who: &str,
    dossier: Option<&Dossier>,
    end: Timestamp,
    reader: Reader<'_>,
) -> Text {
    let due = time(alert.due_at, reader.now, reader.zone);
    let late = duration(end.duration_since(alert.due_at));
    if alert.stop_by.as_str() == "promise" {
        let opened_by = alert.because.first();
        let promise = dossier.zip(opened_by).and_then(|(it, event)| promised(it, event));
        let what = promise.map(|(what, _)| what).filter(|_| reader.sees_personal);
        let colleague = promise.and_then(|(_, to)| to);
        let to = colleague.unwrap_or(who);
        return match what {
            Some(what) => Text::new(
                format!("{what}, promised to {to} by {}: {} late", due.en, late.en),
                format!("{what}, dijanjikan kepada {to} sampai {}: terlambat {}", due.id, late.id),
            ),
            None => Text::new(
                format!("A promise to {to} by {}: {} late", due.en, late.en),
                format!("Janji kepada {to} sampai {}: terlambat {}", due.id, late.id),
            ),
        };
    }
    let (owed, utang) = owed(alert.stop_by.as_str());
    Text::new(
        format!("We owe {who} {owed}, due {}: {} late", due.en, late.en),
        format!("Kita berutang {utang} kepada {who}, batas {}: terlambat {}", due.id, late.id),
    )
}

/// What was promised by an event, and to which colleague.
fn promised<'a>(dossier: &'a Dossier, made: &EventRef) -> Option<(&'a str, Option<&'a str>)> {
    let promise = dossier.promises.made_by(made)?;
    Some((promise.what.as_str(), promise.to.as_ref().map(AsRef::as_ref)))
}
