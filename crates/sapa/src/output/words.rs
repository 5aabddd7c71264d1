//! What codes and members are called in tables, in both languages. Machines get the codes: tables
//! are for people.

use events::kind::Kind;
use events::problem::{Code, Language};
use events::schema;

/// Members whose values are codes, which have words.
const CODED: &[&str] = &[
    "act",
    "actor",
    "cause",
    "channel",
    "clock",
    "direction",
    "kind",
    "neglect",
    "obligation",
    "outcome",
    "owe",
    "phase",
    "privileges",
    "severity",
    "state",
    "stop_by",
    "they",
    "tier",
    "type",
    "we",
    "why",
];

/// Code, English, Indonesian.
#[rustfmt::skip]
const WORDS: &[(&str, &str, &str)] = &[
    ("accepted", "accepted", "diterima"),
    ("acknowledged", "acknowledged", "ditanggapi"),
    ("answer", "answer", "jawaban"),
    ("any", "any time", "kapan saja"),
    ("booking_conflict", "booking conflict", "bentrok pemesanan"),
    ("broken", "broken", "ingkar"),
    ("building", "being built", "sedang dibangun"),
    ("care", "care", "perhatian"),
    ("confirmed", "confirmed", "dipastikan"),
    ("contact", "contact", "hubungi"),
    ("covered", "covered", "tertutup janji"),
    ("critical", "critical", "kritis"),
    ("customer", "customer", "pelanggan"),
    ("debate", "endless debate", "debat kusir"),
    ("decision", "decision", "keputusan"),
    ("desk", "desk", "meja depan"),
    ("discarded", "discarded", "dibuang"),
    ("due_soon", "due soon", "segera jatuh tempo"),
    ("duplicate", "duplicate", "duplikat"),
    ("earned", "earned", "diraih"),
    ("email", "email", "surel"),
    ("escalated", "escalated", "dinaikkan"),
    ("failed", "failed", "gagal"),
    ("held", "held", "ditahan"),
    ("import", "import", "impor"),
    ("in", "in", "masuk"),
    ("internal", "internal", "internal"),
    ("kept", "kept", "ditepati"),
    ("lapsed", "lapsed", "lewat masa"),
    ("late", "late", "terlambat"),
    ("live", "live", "aktif"),
    ("manual", "set by hand", "ditetapkan"),
    ("muted", "muted", "didiamkan"),
    ("no_show", "did not come", "tidak datang"),
    ("notice", "notice", "perhatikan"),
    ("ok", "in time", "tepat waktu"),
    ("open", "open", "terbuka"),
    ("organisation", "organisation", "organisasi"),
    ("other", "other", "lain"),
    ("out", "out", "keluar"),
    ("overdue", "overdue", "lewat waktu"),
    ("owe", "what we owe", "utang kita"),
    ("paused", "paused", "dijeda"),
    ("person", "person", "perorangan"),
    ("personal_contact", "a personal contact", "kontak pribadi"),
    ("phone", "phone", "telepon"),
    ("previous", "previous", "sebelumnya"),
    ("primary", "primary", "primer"),
    ("promise", "promise", "janji"),
    ("prospect", "prospect", "calon"),
    ("quarantined", "quarantined", "dikarantina"),
    ("raised", "raised", "menyala"),
    ("ready", "ready", "siap"),
    ("recency_days", "days since the last one", "hari sejak yang terakhir"),
    ("recorded", "recorded", "tercatat"),
    ("refund", "refund", "pengembalian dana"),
    ("released", "released", "dilepas"),
    ("reply", "reply", "balasan"),
    ("resolution", "resolution", "penyelesaian"),
    ("resolved", "resolved", "selesai"),
    ("resting", "resting", "istirahat"),
    ("retired", "retired", "dihapus"),
    ("returned", "returned", "dikembalikan"),
    ("same_day", "same day", "hari yang sama"),
    ("secondary", "secondary", "sekunder"),
    ("settle", "settle the promise", "selesaikan janji"),
    ("snoozed", "snoozed", "ditunda"),
    ("suspended", "suspended", "ditangguhkan"),
    ("tell", "tell what became of it", "kabari hasilnya"),
    ("tenure_days", "days as a customer", "hari menjadi pelanggan"),
    ("thanks", "thanks", "terima kasih"),
    ("they", "they are silent", "mereka diam"),
    ("they_silent", "they are silent", "mereka diam"),
    ("trend", "trend", "tren"),
    ("verified", "verified", "terbukti sama"),
    ("verifying", "being verified", "sedang diperiksa"),
    ("visit", "visit", "kunjungan"),
    ("warning", "warning", "waspada"),
    ("we", "we are silent", "kita diam"),
    ("we_owe", "what we owe", "utang kita"),
    ("we_silent", "we are silent", "kita diam"),
    ("web", "web", "web"),
    ("whatsapp", "WhatsApp", "WhatsApp"),
    ("window_count", "qualifying days", "hari transaksi"),
    ("withdrawn", "withdrawn", "ditarik"),
];

/// Member, English, Indonesian: where the member's own name does not read well as a heading.
#[rustfmt::skip]
const HEADINGS: &[(&str, &str, &str)] = &[
    ("about", "about", "tentang"),
    ("ack_until", "taken until", "ditanggapi sampai"),
    ("actor", "actor", "pelaku"),
    ("alert", "alert", "peringatan"),
    ("alerts", "alerts", "peringatan"),
    ("applies_to", "applies to", "berlaku untuk"),
    ("attempts", "attempts", "percobaan"),
    ("because", "because", "sebab"),
    ("body", "content", "isi"),
    ("bytes", "bytes", "byte"),
    ("cause", "cause", "sebab"),
    ("caught_up", "caught up", "terkejar"),
    ("channel", "channel", "saluran"),
    ("check", "check", "pemeriksaan"),
    ("clock", "clock", "jam"),
    ("clocks", "clocks", "jam"),
    ("code", "problem", "masalah"),
    ("complaint", "complaint", "keluhan"),
    ("conditions", "conditions", "syarat"),
    ("counted", "counted", "dihitung"),
    ("created_at", "made at", "dibuat"),
    ("count", "contacts", "kontak"),
    ("customer", "customer", "pelanggan"),
    ("database", "database", "basis data"),
    ("difference", "difference", "perbedaan"),
    ("direction", "direction", "arah"),
    ("due_at", "due at", "jatuh tempo"),
    ("duplicate", "duplicate", "duplikat"),
    ("effective_due_at", "due at", "jatuh tempo"),
    ("effective_from", "in force from", "berlaku sejak"),
    ("epoch", "epoch", "masa"),
    ("error", "error", "kesalahan"),
    ("errors", "where", "di mana"),
    ("event", "event", "peristiwa"),
    ("event_id", "event id", "id peristiwa"),
    ("expires_at", "ends at", "berakhir"),
    ("face", "way in", "jalur masuk"),
    ("first_due_at", "first due at", "tempo semula"),
    ("fulfilled_at", "fulfilled at", "dipenuhi"),
    ("fulfilled_by", "fulfilled by", "dipenuhi oleh"),
    ("generation", "generation", "generasi"),
    ("hash", "hash", "hash"),
    ("head", "end of the log", "ujung catatan"),
    ("headers", "headers", "header"),
    ("held", "held", "ditahan"),
    ("history", "history", "riwayat"),
    ("holder", "leader", "pemimpin"),
    ("id", "id", "id"),
    ("key", "key", "kunci"),
    ("kind", "kind", "jenis"),
    ("lag", "behind by", "tertinggal"),
    ("language", "language", "bahasa"),
    ("lapses_on", "lapses on", "berakhir"),
    ("last", "last contact", "kontak terakhir"),
    ("last_in.at", "last heard from", "terakhir dari mereka"),
    ("last_out.at", "last heard of us", "terakhir dari kita"),
    ("manual", "set by hand", "ditetapkan"),
    ("margin_minutes", "minutes early", "menit lebih awal"),
    ("made_at", "made at", "dibuat"),
    ("name", "name", "nama"),
    ("next_tier", "next tier", "golongan berikut"),
    ("not_counted", "not counted", "tidak dihitung"),
    ("note", "note", "catatan"),
    ("obligations", "what we owe", "utang kita"),
    ("occurred_at", "when", "kapan"),
    ("occurrence", "how often", "kali ke"),
    ("origin", "from", "asal"),
    ("outcome", "outcome", "hasil"),
    ("owner", "owner", "penanggung jawab"),
    ("parked_customers", "customers set aside", "pelanggan ditahan"),
    ("path", "path", "lokasi"),
    ("payload", "message", "pesan"),
    ("percent", "percent", "persen"),
    ("personal", "personal members", "anggota pribadi"),
    ("phase", "phase", "tahap"),
    ("policies", "policies", "kebijakan"),
    ("policy", "policy", "kebijakan"),
    ("policy_version", "policy version", "versi kebijakan"),
    ("position", "position", "posisi"),
    ("previous", "build before", "bangunan sebelumnya"),
    ("privileges", "privileges", "keistimewaan"),
    ("promise", "promise", "janji"),
    ("quarantine_id", "id", "id"),
    ("raised_at", "raised at", "menyala sejak"),
    ("rebuild", "rebuild", "pembangunan ulang"),
    ("received_at", "received at", "diterima"),
    ("recordedat", "recorded at", "tercatat"),
    ("recorded_at", "recorded at", "tercatat"),
    ("referrals", "referrals", "getok tular"),
    ("remedy", "what to do", "yang perlu dilakukan"),
    ("revoked_at", "revoked at", "dicabut"),
    ("rewards", "rewards", "penghargaan"),
    ("rhythm_days", "usual days", "hari biasanya"),
    ("rounds", "times moved", "kali digeser"),
    ("rows", "rows", "baris"),
    ("same", "same", "sama"),
    ("scopes", "scopes", "cakupan"),
    ("sentence", "in words", "keterangan"),
    ("sequence", "sequence", "urutan"),
    ("server", "server", "server"),
    ("severity", "severity", "tingkat"),
    ("sha256", "SHA-256", "SHA-256"),
    ("since", "since", "sejak"),
    ("snoozed_until", "snoozed until", "ditunda sampai"),
    ("source", "source", "sumber"),
    ("sources", "sources", "sumber"),
    ("state", "state", "keadaan"),
    ("step", "step", "langkah"),
    ("steps", "steps", "langkah"),
    ("stop_by", "ends with", "berakhir dengan"),
    ("stream", "stream", "aliran"),
    ("streamversion", "version in its stream", "versi dalam aliran"),
    ("stream_sequence", "sequence", "urutan"),
    ("subject", "subject", "subjek"),
    ("summary", "what", "isi"),
    ("table", "table", "tabel"),
    ("target", "target", "sasaran"),
    ("team", "team", "tim"),
    ("tenant", "tenant", "penyewa"),
    ("text", "text", "teks"),
    ("tier", "tier", "golongan"),
    ("tier.tier", "tier", "golongan"),
    ("time", "when", "kapan"),
    ("title", "title", "judul"),
    ("to", "to", "menjadi"),
    ("topic", "topic", "topik"),
    ("type", "kind", "jenis"),
    ("valid", "valid", "sah"),
    ("value", "value", "nilai"),
    ("visits", "visits", "kunjungan"),
    ("verification", "verification", "pemeriksaan"),
    ("version", "version", "versi"),
    ("waiting", "waiting", "menunggu"),
    ("warnings", "warnings", "catatan"),
    ("what", "what", "apa"),
    ("who", "who", "siapa"),
    ("zone", "zone", "zona"),
];

/// What a member is called at the head of a column.
pub(super) fn heading(name: &str, language: Language) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let of = |wanted: &str| HEADINGS.iter().find(|(it, ..)| *it == wanted);
    match of(name).or_else(|| of(last)) {
        Some((_, en, id)) => match language {
            Language::En => (*en).to_owned(),
            Language::Id => (*id).to_owned(),
        },
        None => last.replace('_', " "),
    }
}

/// The word for a code, in a member that holds codes.
pub(super) fn of_code(name: &str, code: &str, language: Language) -> Option<String> {
    let last = name.rsplit('.').next().unwrap_or(name);
    if last == "code" {
        return Code::from_word(code).map(|it| it.title(language).to_owned());
    }
    // The only actor without an id.
    if !CODED.contains(&last) || (last == "actor" && code != "customer") {
        return None;
    }
    if let Some(title) = of_kind(code, language) {
        return Some(title);
    }
    Some(word(code, language))
}

/// The word for a code.
pub(crate) fn word(code: &str, language: Language) -> String {
    match (WORDS.iter().find(|(it, ..)| *it == code), language) {
        (Some((_, en, _)), Language::En) => (*en).to_owned(),
        (Some((_, _, id)), Language::Id) => (*id).to_owned(),
        (None, _) => code.replace('_', " "),
    }
}

/// Whether a text is a code such as `tenure_days`.
pub(crate) fn is_code(text: &str) -> bool {
    text.contains('_') && text.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')
}

/// The word for a code that is known as one.
pub(crate) fn known(code: &str, language: Language) -> Option<String> {
    WORDS.iter().any(|(it, ..)| *it == code).then(|| word(code, language))
}

/// The title of a kind of event, from its schema.
pub(crate) fn of_kind(type_name: &str, language: Language) -> Option<String> {
    let (kind, version) = Kind::parse_type(type_name).ok()?;
    let title = &schema::entry_of(kind, version)?.title;
    Some(title.in_language(language).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_an_answer_may_hold_has_a_word_in_both_languages() {
        let lists: [&[&str]; 8] = [
            &["prospect", "secondary", "primary", "earned"],
            &["they_silent", "we_silent", "we_owe", "debate", "booking_conflict", "trend"],
            &["notice", "warning", "critical"],
            &["raised", "acknowledged", "snoozed", "escalated", "resolved", "withdrawn"],
            &["open", "due_soon", "overdue", "broken", "late", "kept", "released"],
            &["ok", "suspended", "resting", "muted", "paused", "covered"],
            &[
                "answer",
                "decision",
                "reply",
                "resolution",
                "promise",
                "thanks",
                "care",
                "refund",
                "tell",
            ],
            &[
                "desk", "phone", "whatsapp", "email", "web", "visit", "other", "in", "out",
                "internal",
            ],
        ];
        for code in lists.concat() {
            assert!(WORDS.iter().any(|(it, ..)| *it == code), "{code}");
        }
        for (code, en, id) in WORDS.iter().chain(HEADINGS) {
            for word in [en, id] {
                assert!(!word.is_empty() && !word.contains('_'), "{code}: {word}");
            }
        }
    }

    #[test]
    fn a_kind_is_shown_by_its_title_and_other_members_keep_their_values() {
        let kind = "sapa.interaction.messaged.v1";
        assert_ne!(of_code("type", kind, Language::En), of_code("type", kind, Language::Id));
        assert_eq!(of_code("what", "we_owe", Language::En), None);
        assert_eq!(
            of_code("state", "not_yet_known", Language::En).as_deref(),
            Some("not yet known")
        );
    }
}
