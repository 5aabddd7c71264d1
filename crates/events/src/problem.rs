//! Everything a client can be told went wrong: one catalogue for HTTP, NATS, the command line and
//! quarantine, in two languages.
//!
//! A [`Code`] never changes and is never translated; titles and details are. A [`Problem`] never
//! carries a personal value: findings name the place and the rule, not what stood there.

use serde_json::{Map, Value, json};

use crate::envelope::Receipt;
use crate::time::spell;

/// One sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Text {
    /// Indonesian.
    pub id: String,
    /// English.
    pub en: String,
}

impl Text {
    /// Both spellings of one sentence.
    #[must_use]
    pub fn new(en: impl Into<String>, id: impl Into<String>) -> Self {
        Self { id: id.into(), en: en.into() }
    }

    /// The spelling in one language.
    #[must_use]
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::En => &self.en,
            Language::Id => &self.id,
        }
    }
}

/// The languages that people are answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Bahasa Indonesia.
    Id,
}

impl Language {
    /// The BCP 47 tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Id => "id",
        }
    }

    /// The first of the two that an `Accept-Language` value or a bare tag names.
    #[must_use]
    pub fn first_of(accepted: &str) -> Option<Self> {
        accepted.split(',').find_map(|it| {
            let tag = it.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            match tag.split('-').next() {
                Some("en") => Some(Self::En),
                Some("id" | "in") => Some(Self::Id),
                _ => None,
            }
        })
    }
}

macro_rules! codes {
    ($($name:ident $code:literal $status:literal $retry:literal $en:literal $id:literal,)+) => {
        /// The code of a problem: stable, English, never translated.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $en] $name,)+
        }

        impl Code {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word in `code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// Whether the same bytes may succeed later.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retry,)+ }
            }

            /// The title in one language.
            #[must_use]
            pub const fn title(self, language: Language) -> &'static str {
                match language {
                    Language::En => match self { $(Self::$name => $en,)+ },
                    Language::Id => match self { $(Self::$name => $id,)+ },
                }
            }

            /// The code of a word, if it is one.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }
    };
}

codes! {
    BodyEmpty "body_empty" 400 false "The body is empty" "Isi permintaan kosong",
    Utf8Invalid "utf8_invalid" 400 false "The body is not valid UTF-8" "Isi bukan UTF-8 yang sah",
    JsonBom "json_bom" 400 false "Remove the byte-order mark" "Hapus tanda urutan byte di awal",
    JsonSyntax "json_syntax" 400 false "The JSON is not valid" "JSON tidak sah",
    JsonTrailing "json_trailing" 400 false "There is text after the JSON document" "Ada teks setelah dokumen JSON",
    TooDeep "too_deep" 400 false "The JSON is nested too deeply" "JSON bersarang terlalu dalam",
    TooManyValues "too_many_values" 400 false "The JSON has too many members" "JSON memiliki terlalu banyak anggota",
    DuplicateKey "duplicate_key" 400 false "A member occurs twice" "Sebuah anggota muncul dua kali",
    BatchSize "batch_size" 400 false "A batch holds 1 to 512 events" "Satu kumpulan berisi 1 sampai 512 peristiwa",
    EventIdMissing "event_id_missing" 400 false "Every event needs an id" "Setiap peristiwa harus memiliki id",
    Specversion "specversion" 400 false "Only CloudEvents 1.0 is read" "Hanya CloudEvents 1.0 yang dibaca",
    HeaderEncoding "header_encoding" 400 false "A header is not encoded correctly" "Pengodean sebuah header salah",
    ModeAmbiguous "mode_ambiguous" 400 false "The event is both structured and binary" "Peristiwa terstruktur dan biner sekaligus",
    CursorInvalid "cursor_invalid" 400 false "The cursor does not belong to this list" "Kursor bukan milik daftar ini",
    PositionUnknown "position_unknown" 400 false "This position has not been reached yet" "Posisi ini belum tercapai",
    TokenInvalid "token_invalid" 401 false "Sign in, or send a valid key" "Masuk, atau kirim kunci yang sah",
    ScopeMissing "scope_missing" 403 false "The key may not do this" "Kunci tidak mengizinkan tindakan ini",
    SourceForbidden "source_forbidden" 403 false "This key may not send as that source" "Kunci ini tidak boleh mengirim sebagai sumber itu",
    ReservedType "reserved_type" 403 false "Only Sapa records this kind of event" "Jenis peristiwa ini hanya dicatat oleh Sapa",
    TenantMixed "tenant_mixed" 403 false "A batch belongs to one tenant" "Satu kumpulan milik satu penyewa",
    Csrf "csrf" 403 false "The form did not come from this site" "Formulir tidak berasal dari situs ini",
    CustomerUnknown "customer_unknown" 404 false "This customer is not known" "Pelanggan ini tidak dikenal",
    NotFound "not_found" 404 false "This does not exist" "Ini tidak ada",
    TenantUnknown "tenant_unknown" 404 false "This tenant does not exist" "Penyewa ini tidak ada",
    RouteUnknown "route_unknown" 404 false "There is nothing at this address" "Tidak ada apa pun di alamat ini",
    MethodNotAllowed "method_not_allowed" 405 false "This method is not allowed here" "Metode ini tidak diizinkan di sini",
    NotAcceptable "not_acceptable" 406 false "Only JSON can be answered here" "Di sini hanya ada jawaban JSON",
    ReadTimeout "read_timeout" 408 true "The request did not arrive in time" "Permintaan tidak tiba tepat waktu",
    EventIdConflict "event_id_conflict" 409 false "This id was recorded with other content" "Id ini sudah tercatat dengan isi lain",
    VersionConflict "version_conflict" 409 false "The version has moved on" "Versinya sudah berubah",
    InProgress "in_progress" 409 true "The first request is still running" "Permintaan pertama masih berjalan",
    CommandRefused "command_refused" 409 false "A rule does not allow this now" "Sebuah aturan belum mengizinkan ini",
    NotBuilt "not_built" 409 false "This is not available in this version" "Ini belum tersedia di versi ini",
    AlertState "alert_state" 409 false "The alert's state does not allow this" "Keadaan peringatan tidak mengizinkan ini",
    ProjectionBusy "projection_busy" 409 true "Another rebuild is running" "Pembangunan ulang lain sedang berjalan",
    AlreadyExists "already_exists" 409 false "This name is taken" "Nama ini sudah dipakai",
    TooLarge "too_large" 413 false "The event or batch is too large" "Peristiwa atau kumpulan terlalu besar",
    ReplyTooLarge "reply_too_large" 413 false "The answer is too large for one message" "Jawaban terlalu besar untuk satu pesan",
    UriTooLong "uri_too_long" 414 false "The address is too long" "Alamat terlalu panjang",
    MediaType "media_type" 415 false "This content type is not supported" "Jenis konten ini tidak didukung",
    ContentEncoding "content_encoding" 415 false "Compressed bodies are not accepted" "Isi terkompresi tidak diterima",
    HostNotAllowed "host_not_allowed" 421 false "This server does not answer for that host" "Server ini tidak melayani nama host itu",
    BadId "bad_id" 422 false "An id has forbidden characters" "Sebuah id memuat karakter terlarang",
    IdPersonal "id_personal" 422 false "Use an opaque customer id" "Gunakan id pelanggan yang tidak bermakna",
    EventIdInvalid "event_id_invalid" 422 false "The event id is not valid" "Id peristiwa tidak sah",
    SubjectMismatch "subject_mismatch" 422 false "Subject, type and tenant do not agree" "Subjek, jenis, dan penyewa tidak sesuai",
    UnknownType "unknown_type" 422 false "This kind of event is not known" "Jenis peristiwa ini tidak dikenal",
    SchemaTooNew "schema_too_new" 422 false "This version is newer than the server" "Versi ini lebih baru daripada server",
    SchemaInvalid "schema_invalid" 422 false "The data does not match its schema" "Data peristiwa tidak sesuai skema",
    TimeZoneMissing "time_zone_missing" 422 false "The time has no offset" "Waktu tidak memuat selisih zona",
    TimeInvalid "time_invalid" 422 false "The time is not valid" "Waktu tidak sah",
    TimeRange "time_range" 422 false "The time lies outside 1970–2100" "Waktu di luar 1970–2100",
    TimeFuture "time_future" 422 false "The time lies too far ahead" "Waktu terlalu jauh di depan",
    TimeOld "time_old" 422 false "The time lies too far back" "Waktu terlalu jauh di belakang",
    BatchDuplicate "batch_duplicate" 422 false "One id occurs twice with other content" "Satu id muncul dua kali dengan isi lain",
    IdempotencyKeyReused "idempotency_key_reused" 422 false "This key was used for another request" "Kunci ini dipakai untuk permintaan lain",
    QueryInvalid "query_invalid" 422 false "A parameter is not valid" "Sebuah parameter tidak sah",
    PolicyInvalid "policy_invalid" 422 false "The policy is not valid" "Kebijakan tidak sah",
    WebhookUrlRefused "webhook_url_refused" 422 false "This address may not be called" "Alamat ini tidak boleh dipanggil",
    RateLimited "rate_limited" 429 true "Too many requests" "Terlalu banyak permintaan",
    HeadersTooLarge "headers_too_large" 431 false "The headers are too large" "Header terlalu besar",
    Internal "internal" 500 true "Something went wrong on our side" "Terjadi kesalahan di pihak kami",
    Unavailable "unavailable" 503 true "Not recorded; send again with the same id" "Belum tercatat; kirim lagi dengan id yang sama",
    Timeout "timeout" 504 true "The answer took too long" "Jawaban terlalu lama",
}

/// One thing wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// RFC 6901 pointer from the event's root, or the name of a parameter.
    pub pointer: String,
    /// The rule that was broken: a stable English word.
    pub rule: &'static str,
    /// What the rule asks for.
    pub detail: Text,
}

impl Finding {
    /// A finding with its sentence in both languages.
    #[must_use]
    pub fn new(
        pointer: impl Into<String>,
        rule: &'static str,
        en: impl Into<String>,
        id: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), rule, detail: Text::new(en, id) }
    }
}

/// Findings in one answer; the rest is counted.
pub const FINDINGS_MAX: usize = 20;

/// A refusal, as every face tells it (RFC 9457).
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What sort of problem.
    pub code: Code,
    /// This case in one sentence.
    pub detail: Text,
    /// What to do about it.
    pub hint: Option<Text>,
    /// The places and rules, at most [`FINDINGS_MAX`] of them in an answer.
    pub errors: Vec<Finding>,
    /// The event's id, where one was read.
    pub event_id: Option<String>,
    /// Which item of a batch, from 0.
    pub index: Option<usize>,
    /// What the log holds instead.
    pub receipt: Option<Receipt>,
    /// Under which id the bytes were kept.
    pub quarantine_id: Option<String>,
    /// The rule of the trade that refused a command.
    pub rule: Option<&'static str>,
    /// Seconds to wait before sending again.
    pub retry_after_seconds: Option<u32>,
    /// Members particular to one rule, such as `next_allowed_at` or `did_you_mean`.
    pub more_members: Map<String, Value>,
}

impl Problem {
    /// A problem with its sentence in both languages.
    #[must_use]
    pub fn new(code: Code, en: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            code,
            detail: Text::new(en, id),
            hint: None,
            errors: Vec::new(),
            event_id: None,
            index: None,
            receipt: None,
            quarantine_id: None,
            rule: None,
            retry_after_seconds: code.is_retryable().then_some(1),
            more_members: Map::new(),
        }
    }

    /// A problem that its title says all about.
    #[must_use]
    pub fn of(code: Code) -> Self {
        Self::new(code, code.title(Language::En), code.title(Language::Id))
    }

    /// A problem at one place.
    #[must_use]
    pub fn at(
        code: Code,
        pointer: impl Into<String>,
        en: impl Into<String>,
        id: impl Into<String>,
    ) -> Self {
        let (en, id) = (en.into(), id.into());
        let finding = Finding::new(pointer, code.as_str(), en.clone(), id.clone());
        Self { errors: vec![finding], ..Self::new(code, en, id) }
    }

    /// An id that was recorded with other content; `fields` names what differs, where that is known
    /// (bad input B23).
    #[must_use]
    pub fn id_conflict(original: &Receipt, fields: &[String]) -> Self {
        let at = spell(original.recorded_at);
        let (mut en, mut id) = (String::new(), String::new());
        if !fields.is_empty() {
            let names = fields.join(", ");
            en = format!(" (fields: {names})");
            id = format!(" (bagian: {names})");
        }
        let mut problem = Self::at(
            Code::EventIdConflict,
            "/id",
            format!("This id was recorded at {at} with other content{en}. Nothing was changed."),
            format!("Id ini tercatat pada {at} dengan isi lain{id}. Tidak ada yang diubah."),
        );
        problem.event_id = Some(original.id.to_string());
        problem.receipt = Some(original.clone());
        problem.hint(
            "If this is another event, give it an id of its own.",
            "Jika ini peristiwa lain, beri id tersendiri.",
        )
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, en: impl Into<String>, id: impl Into<String>) -> Self {
        self.hint = Some(Text::new(en, id));
        self
    }

    /// Adds the findings behind it.
    #[must_use]
    pub fn findings(mut self, errors: Vec<Finding>) -> Self {
        self.errors = errors;
        self
    }

    /// Adds one more member.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more_members.insert(name.to_owned(), value.into());
        self
    }

    /// Says which item of a batch it is about: `index`, and pointers that begin with it.
    #[must_use]
    pub fn in_item(mut self, index: usize) -> Self {
        self.index = Some(index);
        for it in &mut self.errors {
            it.pointer = format!("/{index}{}", it.pointer);
        }
        self
    }

    /// The document. `instance` is the request id; `base` is the public URL or nothing.
    #[must_use]
    pub fn to_json(&self, language: Language, instance: Option<&str>, base: &str) -> Value {
        let code = self.code.as_str();
        let mut out = json!({
            "type": format!("{base}/problems/{code}"),
            "title": self.code.title(language),
            "status": self.code.status(),
            "code": code,
            "detail": self.detail.in_language(language),
            "retryable": self.code.is_retryable(),
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let (Some(value), Some(members)) = (value, out.as_object_mut()) {
                members.insert(name.to_owned(), value);
            }
        };
        set("instance", instance.map(|it| format!("urn:uuid:{it}").into()));
        set("hint", self.hint.as_ref().map(|it| it.in_language(language).into()));
        set("event_id", self.event_id.clone().map(Value::from));
        set("index", self.index.map(Value::from));
        set("receipt", self.receipt.as_ref().map(Receipt::to_json));
        set("quarantine_id", self.quarantine_id.clone().map(Value::from));
        set("rule", self.rule.map(Value::from));
        set("retry_after_seconds", self.retry_after_seconds.map(Value::from));
        let shown = self.errors.iter().take(FINDINGS_MAX).map(|it| {
            json!({"pointer": it.pointer, "rule": it.rule, "detail": it.detail.in_language(language)})
        });
        set("errors", (!self.errors.is_empty()).then(|| shown.collect()));
        let more = self.errors.len().saturating_sub(FINDINGS_MAX);
        set("more", (0 < more).then(|| more.into()));
        for (name, value) in &self.more_members {
            set(name, Some(value.clone()));
        }
        out
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail.en)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_title_in_both_languages() {
        for code in Code::ALL {
            assert_ne!(code.title(Language::En), code.title(Language::Id), "{}", code.as_str());
            assert_eq!(Code::from_word(code.as_str()), Some(*code));
        }
    }

    #[test]
    fn the_first_language_we_speak_is_taken() {
        assert_eq!(Language::first_of("fr-FR, id;q=0.8, en"), Some(Language::Id));
        assert_eq!(Language::first_of("de"), None);
    }
}
