//! One short sentence for every kind of fact, in both languages.
//!
//! Dates are said with their year, since an entry of a timeline is read in any year.
//!
//! Promises: made from ids, short names, closed words, money and times only, never from what
//! somebody wrote or from a member that is about a person; so it may be shown to anybody who may
//! see the timeline.

use events::fact::{Fact, alert, booking, complaint, customer, interaction, promise};
use events::id::Ident;
use events::problem::Text;
use events::schema;
use events::spoken::{counted, full_time, matter, word};
use jiff::Timestamp;
use jiff::tz::TimeZone;

mod words;

use words::{Both, money};

/// What happened, in one sentence. Times are local to `zone`.
#[must_use]
pub fn summary(fact: &Fact, zone: &TimeZone) -> Text {
    customer(fact)
        .or_else(|| contact(fact, zone))
        .or_else(|| visit(fact))
        .or_else(|| booked(fact, zone))
        .or_else(|| ended(fact))
        .or_else(|| trade(fact))
        .or_else(|| complained(fact))
        .or_else(|| promised(fact, zone))
        .or_else(|| listened(fact))
        .or_else(|| alerted(fact, zone))
        .unwrap_or_else(|| {
            let kind = fact.kind();
            let entry = schema::entry_of(kind, kind.newest_version());
            entry.map_or_else(|| Text::new(kind.name(), kind.name()), |it| it.title.clone())
        })
}

/// A sentence whose parts are the same words in both languages.
fn say(en: &str, id: &str, part: impl std::fmt::Display) -> Text {
    Text::new(format!("{en}{part}"), format!("{id}{part}"))
}

/// A sentence that ends in a word of its own in each language.
fn with(en: impl Into<String>, id: impl Into<String>, words: Option<Both>, join: &str) -> Text {
    let (mut en, mut id) = (en.into(), id.into());
    if let Some((english, indonesian)) = words {
        en.push_str(join);
        en.push_str(english);
        id.push_str(join);
        id.push_str(indonesian);
    }
    Text::new(en, id)
}

/// Adds the place in brackets, if there is one.
fn at_place(text: Text, venue: Option<&Ident>) -> Text {
    match venue {
        Some(venue) => {
            Text::new(format!("{} ({venue})", text.en), format!("{} ({venue})", text.id))
        }
        None => text,
    }
}

fn customer(fact: &Fact) -> Option<Text> {
    Some(match fact {
        Fact::CustomerRegistered(it) => {
            let (en, id) = words::party(it.kind);
            Text::new(format!("Registered as {en}"), format!("Terdaftar sebagai {id}"))
        }
        Fact::CustomerIdentified(it) => identified(it),
        Fact::CustomerMerged(it) => {
            let absorbed: Vec<&str> = it.absorbed.iter().map(AsRef::as_ref).collect();
            say("Merged with ", "Digabung dengan ", absorbed.join(", "))
        }
        Fact::CustomerUnmerged(_) => Text::new("Merge undone", "Gabungan dipisah"),
        Fact::CustomerTraitNoted(it) => {
            let name = word(it.r#trait.as_str());
            let start = if it.forget {
                ("Trait taken back", "Kebiasaan dicabut")
            } else {
                ("Trait noted", "Kebiasaan dicatat")
            };
            let (en, id) = words::polarity(it.polarity);
            Text::new(format!("{}: {name} ({en})", start.0), format!("{}: {name} ({id})", start.1))
        }
        Fact::CustomerConsentChanged(it) => {
            let (purpose, state) = words::consent(it.purpose, it.state);
            Text::new(
                format!("Consent to {} {}", purpose.0, state.0),
                format!("Persetujuan untuk {} {}", purpose.1, state.1),
            )
        }
        Fact::CustomerAssigned(it) => Text::new(
            format!("Looked after by {}, team {}", it.owner, it.team),
            format!("Ditangani {}, tim {}", it.owner, it.team),
        ),
        Fact::CustomerErased(it) => match it.scope {
            customer::Scope::All => Text::new("Personal data erased", "Data pribadi dihapus"),
            customer::Scope::Before => {
                Text::new("Older personal data erased", "Data pribadi lama dihapus")
            }
        },
        _ => return None,
    })
}

fn identified(it: &customer::Identified) -> Text {
    let (en, id) = words::id_kind(it.id_kind);
    let (checked, diperiksa) =
        if it.verified { (", verified", ", terverifikasi") } else { ("", "") };
    Text::new(format!("Identified by {en}{checked}"), format!("Dikenali lewat {id}{diperiksa}"))
}

fn contact(fact: &Fact, zone: &TimeZone) -> Option<Text> {
    Some(match fact {
        Fact::InteractionInquired(it) => {
            let urgent = it.urgency == Some(interaction::Urgency::High);
            let topic = word(it.topic.as_str());
            with(
                format!("Asked about {topic}"),
                format!("Bertanya tentang {topic}"),
                urgent.then_some(("urgent", "mendesak")),
                ", ",
            )
        }
        Fact::InteractionMessaged(it) => match it.about.as_ref().map(|it| matter(it.as_ref())) {
            Some(about) => Text::new(
                format!("Wrote about {}", about.en),
                format!("Mengirim pesan tentang {}", about.id),
            ),
            None => Text::new("Wrote to us", "Mengirim pesan"),
        },
        Fact::InteractionAnswered(it) => {
            let state = match (it.complete, it.waiting) {
                (true, _) => ("complete", "lengkap"),
                (false, true) => ("waiting for the customer", "menunggu pelanggan"),
                (false, false) => ("something is left open", "masih ada yang terbuka"),
            };
            let about = matter(it.about.as_ref());
            let (en, id) = (format!("Answered {}", about.en), format!("Menjawab {}", about.id));
            with(en, id, Some(state), ", ")
        }
        Fact::InteractionRecommended(it) => {
            let taken = it.accepted.map(|taken| {
                if taken { ("accepted", "diterima") } else { ("not accepted", "tidak diterima") }
            });
            with("Recommended something", "Memberi saran", taken, ", ")
        }
        Fact::InteractionContacted(it) => {
            let (purpose, outcome) = (words::purpose(it.purpose), words::outcome(it.outcome));
            let (en, id) =
                (format!("Contacted ({})", purpose.0), format!("Dihubungi ({})", purpose.1));
            with(en, id, Some(outcome), ": ")
        }
        Fact::InteractionPlanned(it) => {
            let start = if it.cancelled {
                ("Plan dropped", "Rencana dibatalkan")
            } else {
                ("Planned", "Direncanakan")
            };
            let (purpose, at) = (words::plan(it.purpose.as_str()), full_time(it.at, zone));
            Text::new(
                format!("{}: {}, {}, {}", start.0, purpose.0, at.en, it.owner),
                format!("{}: {}, {}, {}", start.1, purpose.1, at.id, it.owner),
            )
        }
        Fact::InteractionNoted(it) => match it.visibility {
            interaction::Visibility::Team => Text::new("Note for the team", "Catatan untuk tim"),
            interaction::Visibility::Managers => {
                Text::new("Note for managers", "Catatan untuk pimpinan")
            }
        },
        _ => return None,
    })
}

fn visit(fact: &Fact) -> Option<Text> {
    let text = match fact {
        Fact::InteractionGreeted(it) => {
            let start = if it.by_name {
                ("Greeted by name", "Disapa dengan nama")
            } else {
                ("Greeted", "Disapa")
            };
            with(start.0, start.1, it.manner.map(words::manner), " ")
        }
        Fact::InteractionArrived(it) => match it.party {
            Some(party) => Text::new(
                format!("Arrived, party of {party}"),
                format!("Tiba, rombongan {party} orang"),
            ),
            None => Text::new("Arrived", "Tiba"),
        },
        Fact::InteractionServed(it) => {
            let (en, id) = words::service(it.service.as_str());
            let (en, id) = (format!("Served: {en}"), format!("Dilayani: {id}"));
            with(en, id, it.quality.map(words::quality), ", ")
        }
        Fact::InteractionThanked(it) => {
            let ((en, id), about) = (words::thanks(it.form), matter(it.r#for.as_ref()));
            Text::new(
                format!("Thanked for {} {en}", about.en),
                format!("Diberi terima kasih untuk {} {id}", about.id),
            )
        }
        Fact::InteractionDeparted(it) => {
            let start = if it.farewell {
                ("Left, seen off", "Pulang, dilepas")
            } else {
                ("Left without a farewell", "Pulang tanpa salam perpisahan")
            };
            with(start.0, start.1, it.manner.map(words::farewell), " ")
        }
        _ => return None,
    };
    Some(at_place(text, fact.venue()))
}

fn booked(fact: &Fact, zone: &TimeZone) -> Option<Text> {
    let slot = |venue: &Ident, starts_at| slot(venue, starts_at, zone);
    Some(match fact {
        Fact::BookingRequested(it) => {
            let slot = slot(&it.venue, it.starts_at);
            Text::new(
                format!("Booking requested: {}, {}", slot.en, guests(it.party).en),
                format!("Booking diminta: {}, {}", slot.id, guests(it.party).id),
            )
        }
        Fact::BookingHeld(it) => held(it, zone),
        Fact::BookingConfirmed(it) => {
            let ((en, id), slot) = (money(&it.paid), slot(&it.venue, it.starts_at));
            Text::new(
                format!("Booking confirmed: {}, {en} paid", slot.en),
                format!("Booking dikonfirmasi: {}, {id} dibayar", slot.id),
            )
        }
        Fact::BookingWaitlisted(it) => {
            let slot = slot(&it.venue, it.starts_at);
            Text::new(
                format!("Waitlisted: {}, place {}", slot.en, it.place),
                format!("Masuk daftar tunggu: {}, urutan {}", slot.id, it.place),
            )
        }
        Fact::BookingOffered(it) => {
            let (en, id) = words::offer(it.kind);
            let (count, until) = (it.options.len(), full_time(it.offer_until, zone));
            Text::new(
                format!("Offered {en}: {count} to choose from, until {}", until.en),
                format!("Ditawarkan {id}: {count} pilihan, sampai {}", until.id),
            )
        }
        Fact::BookingChanged(it) => {
            let slot = slot(&it.venue, it.to.starts_at);
            Text::new(
                format!("Booking changed: {}, {}", slot.en, guests(it.to.party).en),
                format!("Booking diubah: {}, {}", slot.id, guests(it.to.party).id),
            )
        }
        Fact::BookingConflictDetected(it) => {
            let slot = slot(&it.venue, it.starts_at);
            let (en, id) = (format!("Conflict: {}", slot.en), format!("Bentrok: {}", slot.id));
            with(en, id, Some(words::conflict(it.rule)), ", ")
        }
        _ => return None,
    })
}

fn held(it: &booking::Held, zone: &TimeZone) -> Text {
    let slot = slot(&it.venue, it.starts_at, zone);
    let until = full_time(it.hold_until, zone);
    let (en, id) = words::hold(it.reason);
    Text::new(
        format!("Held until {}: {} ({en})", until.en, slot.en),
        format!("Ditahan sampai {}: {} ({id})", until.id, slot.id),
    )
}

/// A place and when it is taken.
fn slot(venue: &Ident, starts_at: Timestamp, zone: &TimeZone) -> Text {
    let at = full_time(starts_at, zone);
    Text::new(format!("{venue}, {}", at.en), format!("{venue}, {}", at.id))
}

fn guests(party: u32) -> Text {
    counted(i64::from(party), "guest", "tamu")
}

fn ended(fact: &Fact) -> Option<Text> {
    Some(match fact {
        Fact::BookingDeclined(it) => with(
            format!("Booking declined: {}", it.venue),
            format!("Booking ditolak: {}", it.venue),
            Some(words::declined(it.reason)),
            ", ",
        ),
        Fact::BookingCancelled(it) => {
            let (by, oleh) = words::cancelled_by(it.by);
            let (mut en, mut id) = (
                format!("Booking cancelled: {}, {by}", it.venue),
                format!("Booking dibatalkan: {}, {oleh}", it.venue),
            );
            if let Some(due) = it.refund_due.as_ref().filter(|it| it.amount > 0) {
                let (amount, jumlah) = money(due);
                en = format!("{en}, {amount} to refund");
                id = format!("{id}, {jumlah} harus dikembalikan");
            }
            Text::new(en, id)
        }
        Fact::BookingFulfilled(it) => {
            if it.no_show {
                say("Nobody came: ", "Tidak datang: ", &it.venue)
            } else {
                say("Booking fulfilled: ", "Booking terlaksana: ", &it.venue)
            }
        }
        _ => return None,
    })
}

fn trade(fact: &Fact) -> Option<Text> {
    let priced = |words: Both, amount| {
        let (en, id) = money(amount);
        Text::new(format!("{}: {en}", words.0), format!("{}: {id}", words.1))
    };
    Some(match fact {
        Fact::PaymentRecorded(it) => priced(words::payment(it.kind), &it.amount),
        Fact::PurchaseRecorded(it) => {
            use events::fact::purchase::PurchaseKind;
            let words = match it.kind {
                PurchaseKind::Sale => ("Bought", "Membeli"),
                PurchaseKind::Return => ("Brought back", "Mengembalikan barang"),
            };
            priced(words, &it.amount)
        }
        Fact::RewardPosted(it) => priced(words::reward(it.entry), &it.value),
        Fact::ReferralRecorded(it) => say("Brought a friend: ", "Mengajak teman: ", &it.referred),
        Fact::LoyaltyTierChanged(it) => {
            let (from, to) = (words::tier(it.from.as_str()), words::tier(it.to.as_str()));
            let (en, id) = (
                format!("Tier changed from {} to {}", from.0, to.0),
                format!("Golongan berubah dari {} menjadi {}", from.1, to.1),
            );
            with(en, id, Some(words::cause(it.cause)), ": ")
        }
        _ => return None,
    })
}

fn complained(fact: &Fact) -> Option<Text> {
    Some(match fact {
        Fact::ComplaintRaised(it) => {
            let (en, id) = words::complaint(it.kind);
            let category = word(it.category.as_str());
            let (en, id) = (format!("{en}: {category}"), format!("{id}: {category}"));
            with(en, id, Some(words::severity(it.severity)), ", ")
        }
        Fact::ComplaintEscalated(it) => complaint_escalated(it),
        Fact::ComplaintResolved(it) => {
            let (en, id) = words::fault(it.fault);
            let (taken, diterima) = match it.accepted {
                Some(true) => (", accepted", ", diterima"),
                Some(false) => (", not accepted", ", tidak diterima"),
                None => ("", ""),
            };
            Text::new(
                format!("Complaint {} resolved: {en}{taken}", it.complaint),
                format!("Keluhan {} selesai: {id}{diterima}", it.complaint),
            )
        }
        Fact::ComplaintReopened(it) => Text::new(
            format!("Complaint {} reopened", it.complaint),
            format!("Keluhan {} dibuka lagi", it.complaint),
        ),
        _ => return None,
    })
}

fn complaint_escalated(it: &complaint::Escalated) -> Text {
    let (en, id) = words::escalated(it.reason);
    Text::new(
        format!("Complaint {} handed to {}: {en}", it.complaint, it.to),
        format!("Keluhan {} diserahkan ke {}: {id}", it.complaint, it.to),
    )
}

fn promised(fact: &Fact, zone: &TimeZone) -> Option<Text> {
    Some(match fact {
        Fact::PromiseMade(it) => {
            let due = full_time(it.due_at, zone);
            let (to, kepada) = match &it.to {
                Some(to) => (format!(" to {to}"), format!(" kepada {to}")),
                None => (String::new(), String::new()),
            };
            Text::new(
                format!("Promised{to} by {}, {} takes care", due.en, it.owner),
                format!("Dijanjikan{kepada} sampai {}, ditangani {}", due.id, it.owner),
            )
        }
        Fact::PromiseSettled(it) => settled(it, zone),
        _ => return None,
    })
}

fn settled(it: &promise::Settled, zone: &TimeZone) -> Text {
    let (en, id) = words::settled(it.how);
    match it.new_due_at.map(|due| full_time(due, zone)) {
        Some(due) => {
            Text::new(format!("{en}: now by {}", due.en), format!("{id}: menjadi {}", due.id))
        }
        None => Text::new(en, id),
    }
}

fn listened(fact: &Fact) -> Option<Text> {
    Some(match fact {
        Fact::FeedbackRequested(it) => {
            let instrument = words::instrument(it.instrument.as_str());
            let questions = counted(i64::from(it.length.questions), "question", "pertanyaan");
            Text::new(
                format!("Feedback requested ({instrument}), {}", questions.en),
                format!("Masukan diminta ({instrument}), {}", questions.id),
            )
        }
        Fact::FeedbackReceived(it) => {
            let (mut en, mut id) = if it.suggestion {
                ("Suggestion".to_owned(), "Saran".to_owned())
            } else {
                ("Feedback".to_owned(), "Masukan".to_owned())
            };
            if let Some(topic) = &it.topic {
                let topic = word(topic.as_str());
                en = format!("{en} about {topic}");
                id = format!("{id} tentang {topic}");
            }
            match (it.instrument, it.score) {
                (Some(instrument), Some(score)) => {
                    let instrument = words::instrument(instrument.as_str());
                    say(&en, &id, format!(": {instrument} {score}"))
                }
                (None, Some(score)) => say(&en, &id, format!(": {score}")),
                _ => Text::new(en, id),
            }
        }
        Fact::ImprovementProposed(it) => {
            say("Improvement proposed: ", "Perbaikan diusulkan: ", word(it.topic.as_str()))
        }
        Fact::ImprovementMade(it) => {
            say("Improvement made: ", "Perbaikan dilakukan: ", &it.improvement)
        }
        Fact::ImprovementAssessed(it) => with(
            format!("Improvement {} assessed", it.improvement),
            format!("Perbaikan {} dinilai", it.improvement),
            Some(words::verdict(it.verdict)),
            ": ",
        ),
        Fact::PolicyPublished(it) => Text::new(
            format!("Policy {} published, version {}", it.name, it.version),
            format!("Kebijakan {} diterbitkan, versi {}", it.name, it.version),
        ),
        _ => return None,
    })
}

fn alerted(fact: &Fact, zone: &TimeZone) -> Option<Text> {
    Some(match fact {
        Fact::AlertRaised(it) => {
            let ((en, id), (how, tingkat)) =
                (words::alert_kind(it.kind.as_str()), words::loudness(it.severity));
            Text::new(
                format!("Alert for {}: {en} ({how})", it.owner),
                format!("Peringatan untuk {}: {id} ({tingkat})", it.owner),
            )
        }
        Fact::AlertAcknowledged(it) => {
            let until = full_time(it.until, zone);
            Text::new(
                format!("Alert taken by {} until {}", it.by, until.en),
                format!("Peringatan ditanggapi {} sampai {}", it.by, until.id),
            )
        }
        Fact::AlertSnoozed(it) => {
            let until = full_time(it.until, zone);
            Text::new(
                format!("Alert put off by {} until {}", it.by, until.en),
                format!("Peringatan ditunda {} sampai {}", it.by, until.id),
            )
        }
        Fact::AlertEscalated(it) => alert_escalated(it),
        Fact::AlertResolved(_) => Text::new("Alert resolved", "Peringatan selesai"),
        Fact::AlertWithdrawn(_) => Text::new("Alert withdrawn", "Peringatan ditarik"),
        _ => return None,
    })
}

fn alert_escalated(it: &alert::Escalated) -> Text {
    let (en, id) = words::alert_escalated(it.reason);
    Text::new(
        format!("Alert passed on to {}: {en}", it.to),
        format!("Peringatan dinaikkan ke {}: {id}", it.to),
    )
}

#[cfg(test)]
mod tests;
