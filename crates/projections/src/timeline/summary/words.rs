//! The closed words of facts in both languages: English first, Indonesian second.

use events::fact::booking::{CancelledBy, ConflictRule, DeclineReason, HoldReason, OfferKind};
use events::fact::complaint::{self, ComplaintKind, Fault, Severity};
use events::fact::customer::{Consent, IdKind, Party, Polarity, Purpose};
use events::fact::improvement::Verdict;
use events::fact::interaction::{self, Farewell, Manner, Outcome, Quality, Thanks};
use events::fact::loyalty::Cause;
use events::fact::payment::PaymentKind;
use events::fact::promise::How;
use events::fact::{alert, reward};
use events::money::Money;
use events::spoken::word;

/// One word or phrase in English and in Indonesian.
pub(super) type Both = (&'static str, &'static str);

pub(super) fn party(it: Party) -> Both {
    match it {
        Party::Person => ("a person", "perorangan"),
        Party::Org => ("an organisation", "organisasi"),
    }
}

pub(super) fn id_kind(it: IdKind) -> Both {
    match it {
        IdKind::Phone => ("telephone number", "nomor telepon"),
        IdKind::Email => ("e-mail address", "alamat surel"),
        IdKind::Member => ("member number", "nomor anggota"),
        IdKind::Account => ("account number", "nomor rekening"),
        IdKind::Name => ("name", "nama"),
    }
}

pub(super) fn polarity(it: Polarity) -> Both {
    match it {
        Polarity::Is => ("is", "adalah"),
        Polarity::Likes => ("likes", "suka"),
        Polarity::Dislikes => ("dislikes", "tidak suka"),
        Polarity::Needs => ("needs", "perlu"),
    }
}

pub(super) fn consent(purpose: Purpose, state: Consent) -> (Both, Both) {
    let purpose = match purpose {
        Purpose::Contact => ("contact", "dihubungi"),
        Purpose::Survey => ("surveys", "disurvei"),
        Purpose::Marketing => ("marketing", "menerima promosi"),
        Purpose::Sensitive => ("sensitive data", "data sensitif"),
    };
    let state = match state {
        Consent::Given => ("given", "diberikan"),
        Consent::Withdrawn => ("withdrawn", "dicabut"),
    };
    (purpose, state)
}

pub(super) fn manner(it: Manner) -> Both {
    match it {
        Manner::Door => ("at the door", "di pintu"),
        Manner::Queue => ("in the queue", "di antrean"),
        Manner::Phone => ("by telephone", "lewat telepon"),
        Manner::Chat => ("by chat", "lewat obrolan"),
        Manner::Online => ("online", "secara daring"),
    }
}

pub(super) fn farewell(it: Farewell) -> Both {
    match it {
        Farewell::Door => ("at the door", "di pintu"),
        Farewell::Car => ("at the car", "di mobil"),
        Farewell::Phone => ("by telephone", "lewat telepon"),
    }
}

pub(super) fn purpose(it: interaction::Purpose) -> Both {
    match it {
        interaction::Purpose::FollowUp => ("follow-up", "tindak lanjut"),
        interaction::Purpose::Courtesy => ("courtesy", "sapaan"),
        interaction::Purpose::Care => ("care", "perhatian"),
        interaction::Purpose::Thanks => ("thanks", "terima kasih"),
        interaction::Purpose::Reminder => ("reminder", "pengingat"),
        interaction::Purpose::Sales => ("sales", "penawaran"),
        interaction::Purpose::YouSaidWeDid => ("you said, we did", "masukan yang kami kerjakan"),
    }
}

/// What a planned contact is for; a purpose that is none of ours is shown as it was recorded.
pub(super) fn plan(it: &str) -> (String, String) {
    let (en, id) = match it {
        "follow_up" => purpose(interaction::Purpose::FollowUp),
        "courtesy" => purpose(interaction::Purpose::Courtesy),
        "care" => purpose(interaction::Purpose::Care),
        "thanks" => purpose(interaction::Purpose::Thanks),
        "reminder" => purpose(interaction::Purpose::Reminder),
        "sales" => purpose(interaction::Purpose::Sales),
        "you_said_we_did" => purpose(interaction::Purpose::YouSaidWeDid),
        _ => return (word(it), word(it)),
    };
    (en.to_owned(), id.to_owned())
}

pub(super) fn outcome(it: Outcome) -> Both {
    match it {
        Outcome::Reached => ("reached", "tersambung"),
        Outcome::LeftMessage => ("left a message", "meninggalkan pesan"),
        Outcome::NoAnswer => ("no answer", "tidak dijawab"),
    }
}

pub(super) fn quality(it: Quality) -> Both {
    match it {
        Quality::Ok => ("as it should be", "sesuai standar"),
        Quality::Below => ("below standard", "di bawah standar"),
    }
}

pub(super) fn thanks(it: Thanks) -> Both {
    match it {
        Thanks::InPerson => ("in person", "secara langsung"),
        Thanks::Note => ("with a note", "dengan kartu"),
        Thanks::Message => ("with a message", "dengan pesan"),
        Thanks::Gift => ("with a gift", "dengan hadiah"),
    }
}

pub(super) fn hold(it: HoldReason) -> Both {
    match it {
        HoldReason::Free => ("it was free", "masih kosong"),
        HoldReason::OfferAccepted => ("offer accepted", "tawaran diterima"),
        HoldReason::CalledIn => ("deposit called in", "uang muka ditagih"),
        HoldReason::Courtesy => ("as a courtesy", "sebagai kebaikan"),
    }
}

pub(super) fn declined(it: DeclineReason) -> Both {
    match it {
        DeclineReason::Taken => ("taken", "sudah terisi"),
        DeclineReason::Capacity => ("too many guests", "tamu terlalu banyak"),
        DeclineReason::Closed => ("closed", "tutup"),
        DeclineReason::Past => ("in the past", "sudah lewat"),
        DeclineReason::Duplicate => ("asked twice", "permintaan ganda"),
    }
}

pub(super) fn offer(it: OfferKind) -> Both {
    match it {
        OfferKind::Waitlist => ("from the waitlist", "dari daftar tunggu"),
        OfferKind::Alternative => ("as an alternative", "sebagai alternatif"),
    }
}

pub(super) fn cancelled_by(it: CancelledBy) -> Both {
    match it {
        CancelledBy::Customer => ("by the customer", "oleh pelanggan"),
        CancelledBy::Venue => ("by the venue", "oleh pengelola"),
        CancelledBy::HoldExpired => ("hold expired", "masa tahan habis"),
        CancelledBy::OfferExpired => ("offer expired", "masa tawaran habis"),
    }
}

pub(super) fn conflict(it: ConflictRule) -> Both {
    match it {
        ConflictRule::Overlap => ("overlap", "tumpang tindih"),
        ConflictRule::PaidWithoutHold => ("paid without a hold", "dibayar tanpa ditahan"),
        ConflictRule::ExternalOverlap => ("overlap outside", "tumpang tindih di luar"),
    }
}

pub(super) fn payment(it: PaymentKind) -> Both {
    match it {
        PaymentKind::Deposit => ("Deposit", "Uang muka"),
        PaymentKind::Balance => ("Balance", "Pelunasan"),
        PaymentKind::Full => ("Payment", "Pembayaran penuh"),
        PaymentKind::Refund => ("Refund", "Pengembalian dana"),
    }
}

pub(super) fn reward(it: reward::Entry) -> Both {
    match it {
        reward::Entry::Grant => ("Reward granted", "Penghargaan diberikan"),
        reward::Entry::Redeem => ("Reward redeemed", "Penghargaan dipakai"),
        reward::Entry::Expire => ("Reward expired", "Penghargaan hangus"),
        reward::Entry::Reverse => ("Reward reversed", "Penghargaan dibatalkan"),
    }
}

pub(super) fn cause(it: Cause) -> Both {
    match it {
        Cause::Earned => ("earned", "diraih"),
        Cause::Lapsed => ("lapsed", "berakhir"),
        Cause::Manual => ("set by hand", "ditetapkan manual"),
        Cause::Merged => ("records merged", "data digabung"),
        Cause::Unmerged => ("merge undone", "gabungan dipisah"),
        Cause::Policy => ("policy changed", "kebijakan berubah"),
    }
}

pub(super) fn complaint(it: ComplaintKind) -> Both {
    match it {
        ComplaintKind::Technical => ("Technical complaint", "Keluhan teknis"),
        ComplaintKind::Service => ("Service complaint", "Keluhan layanan"),
        ComplaintKind::Billing => ("Billing complaint", "Keluhan tagihan"),
        ComplaintKind::Staff => ("Complaint about staff", "Keluhan tentang petugas"),
        ComplaintKind::Other => ("Complaint", "Keluhan"),
    }
}

pub(super) fn severity(it: Severity) -> Both {
    match it {
        Severity::Low => ("low", "rendah"),
        Severity::Normal => ("normal", "biasa"),
        Severity::High => ("high", "tinggi"),
    }
}

pub(super) fn escalated(it: complaint::EscalationReason) -> Both {
    match it {
        complaint::EscalationReason::Debate => ("going in circles", "berputar-putar"),
        complaint::EscalationReason::Reopened => ("reopened", "dibuka lagi"),
        complaint::EscalationReason::Overdue => ("overdue", "lewat waktu"),
        complaint::EscalationReason::Manual => ("by hand", "secara manual"),
    }
}

pub(super) fn fault(it: Fault) -> Both {
    match it {
        Fault::Ours => ("our fault", "kesalahan kita"),
        Fault::Theirs => ("their fault", "kesalahan pelanggan"),
        Fault::Nobody => ("nobody's fault", "bukan kesalahan siapa pun"),
    }
}

pub(super) fn settled(it: How) -> Both {
    match it {
        How::Kept => ("Promise kept", "Janji ditepati"),
        How::Late => ("Promise kept late", "Janji ditepati terlambat"),
        How::Broken => ("Promise broken", "Janji dilanggar"),
        How::Renegotiated => ("Promise renegotiated", "Janji disepakati ulang"),
        How::Released => ("Promise released", "Janji dilepaskan"),
    }
}

pub(super) fn verdict(it: Verdict) -> Both {
    match it {
        Verdict::Better => ("better", "lebih baik"),
        Verdict::Same => ("the same", "sama saja"),
        Verdict::Worse => ("worse", "lebih buruk"),
    }
}

pub(super) fn loudness(it: alert::Severity) -> Both {
    match it {
        alert::Severity::Notice => ("notice", "pemberitahuan"),
        alert::Severity::Warning => ("warning", "peringatan"),
        alert::Severity::Critical => ("critical", "kritis"),
    }
}

pub(super) fn alert_escalated(it: alert::EscalationReason) -> Both {
    match it {
        alert::EscalationReason::Unacknowledged => ("nobody took it", "belum ditanggapi"),
        alert::EscalationReason::AckExpired => ("time ran out", "waktu habis"),
        alert::EscalationReason::Manual => ("by hand", "secara manual"),
    }
}

pub(super) fn tier(name: &str) -> (String, String) {
    let (en, id) = match name {
        "prospect" => ("prospect", "prospek"),
        "secondary" => ("secondary", "sekunder"),
        "primary" => ("primary", "primer"),
        other => (other, other),
    };
    (en.to_owned(), id.to_owned())
}

/// What an alert rings for.
pub(super) fn alert_kind(it: &str) -> Both {
    match it {
        "they_silent" => ("the customer is silent", "pelanggan diam"),
        "we_silent" => ("we are silent", "kita diam"),
        "we_owe" => ("we owe something", "kita berutang sesuatu"),
        "debate" => ("going in circles", "berputar-putar"),
        "booking_conflict" => ("bookings clash", "booking bentrok"),
        "trend" => ("more complaints than usual", "keluhan lebih sering"),
        _ => ("something needs attention", "ada yang perlu perhatian"),
    }
}

/// Services that have a name in Indonesian; any other is shown as it was recorded.
pub(super) fn service(it: &str) -> (String, String) {
    let id = match it {
        "welcome_drink" => "minuman selamat datang",
        "farewell_drink" => "minuman perpisahan",
        "luggage_in" => "membawakan barang masuk",
        "luggage_out" => "membawakan barang keluar",
        "help_offered" => "menawarkan bantuan",
        "paperwork" => "mengurus berkas",
        "anything_else" => "menanyakan keperluan lain",
        "setup_check" => "memeriksa persiapan",
        "hall_tour" => "mengantar melihat aula",
        "breakfast" => "sarapan",
        "dinner" => "makan malam",
        "lunch" => "makan siang",
        _ => return (word(it), word(it)),
    };
    (word(it), id.to_owned())
}

/// Surveys by their usual names.
pub(super) fn instrument(it: &str) -> String {
    match it {
        "csat" | "nps" | "ces" => it.to_uppercase(),
        other => word(other),
    }
}

/// An amount as people write it: `Rp 6,000,000` in English, `Rp 6.000.000` in Indonesian.
pub(super) fn money(it: &Money) -> (String, String) {
    let code = it.currency.as_str();
    let digits = match code {
        "IDR" | "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "PYG" | "UGX" | "XAF" | "XOF" | "XPF"
        | "RWF" | "KMF" | "GNF" | "DJF" | "BIF" | "VUV" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    };
    let unit = if code == "IDR" { "Rp" } else { code };
    let one = 10_u64.pow(digits);
    let (whole, rest) = (it.amount.unsigned_abs() / one, it.amount.unsigned_abs() % one);
    let sign = if it.amount < 0 { "-" } else { "" };
    let write = |thousands: char, decimal: char| {
        let whole = grouped(whole, thousands);
        let width = usize::try_from(digits).unwrap_or_default();
        match digits {
            0 => format!("{sign}{unit} {whole}"),
            _ => format!("{sign}{unit} {whole}{decimal}{rest:0width$}"),
        }
    };
    (write(',', '.'), write('.', ','))
}

fn grouped(number: u64, mark: char) -> String {
    let plain = number.to_string();
    let mut text = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if 0 < index && (plain.len() - index).is_multiple_of(3) {
            text.push(mark);
        }
        text.push(digit);
    }
    text
}
