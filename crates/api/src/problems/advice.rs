//! Why each problem happens and what to do about it: two sentences per code and language.

use events::problem::{Code, Text};

/// What the page of a code says.
pub(super) struct Advice {
    pub(super) cause: Text,
    pub(super) remedy: Text,
}

/// The sentences of a code: cause and remedy in English, cause and remedy in Indonesian.
pub(super) fn advice(code: Code) -> Advice {
    let [cause_en, remedy_en, cause_id, remedy_id] = sentences(code);
    Advice { cause: Text::new(cause_en, cause_id), remedy: Text::new(remedy_en, remedy_id) }
}

fn sentences(code: Code) -> [&'static str; 4] {
    body(code).or_else(|| access(code)).or_else(|| event(code)).unwrap_or_else(|| state(code))
}

/// Problems of bytes and JSON.
#[rustfmt::skip]
fn body(code: Code) -> Option<[&'static str; 4]> {
    Some(match code {
        Code::BodyEmpty => ["The request has no body.", "Send one event, or the members of the command, as JSON.", "Permintaan tidak berisi.", "Kirim satu peristiwa, atau anggota perintah, sebagai JSON."],
        Code::Utf8Invalid => ["A byte of the body is not part of any UTF-8 character.", "Encode the body as UTF-8; the message names the byte.", "Satu byte isi bukan bagian karakter UTF-8.", "Kodekan isi sebagai UTF-8; pesan menyebut bytenya."],
        Code::JsonBom => ["The body begins with a byte-order mark.", "Write the file as UTF-8 without a byte-order mark.", "Isi diawali tanda urutan byte.", "Simpan berkas sebagai UTF-8 tanpa tanda urutan byte."],
        Code::JsonSyntax => ["The body is not JSON, or not of the form that is read here.", "Mend the JSON at the line and column of the message.", "Isi bukan JSON, atau bukan bentuk yang dibaca di sini.", "Perbaiki JSON pada baris dan kolom dalam pesan."],
        Code::JsonTrailing => ["Something stands behind the JSON document.", "Send one document; for several events send an array.", "Ada sesuatu di belakang dokumen JSON.", "Kirim satu dokumen; untuk beberapa peristiwa kirim larik."],
        Code::TooDeep => ["Objects or arrays stand more than 16 deep in one another.", "Flatten the data.", "Objek atau larik bersarang lebih dari 16 tingkat.", "Ratakan datanya."],
        Code::TooManyValues => ["An object has more than 256 members, an array more than 1,000 elements, or an event more than 4,096 values.", "Split it into several events.", "Objek memiliki lebih dari 256 anggota, larik lebih dari 1.000 unsur, atau peristiwa lebih dari 4.096 nilai.", "Pecah menjadi beberapa peristiwa."],
        Code::DuplicateKey => ["One name stands twice in an object, so one value would be lost.", "Leave one of them out.", "Satu nama muncul dua kali dalam objek, sehingga satu nilai akan hilang.", "Hilangkan salah satu."],
        Code::BatchSize => ["A batch was empty or had more than 512 events.", "Send 1 to 512 events at once.", "Kumpulan kosong atau berisi lebih dari 512 peristiwa.", "Kirim 1 sampai 512 peristiwa sekaligus."],
        Code::TooLarge => ["The body is over its limit: 65,536 bytes for an event or command, 4 MiB for a batch.", "Send fewer events at once; put files elsewhere and send a link.", "Isi melampaui batas: 65.536 byte untuk peristiwa atau perintah, 4 MiB untuk kumpulan.", "Kirim lebih sedikit sekaligus; simpan berkas di tempat lain dan kirim tautannya."],
        Code::ReplyTooLarge => ["The answer does not fit into one NATS message.", "Ask for a smaller page with `limit`, or ask over HTTP.", "Jawaban tidak muat dalam satu pesan NATS.", "Minta halaman lebih kecil dengan `limit`, atau tanyakan lewat HTTP."],
        Code::UriTooLong => ["Path and query are longer than 8 KiB.", "Ask with fewer or shorter parameters.", "Jalur dan kueri lebih dari 8 KiB.", "Gunakan parameter yang lebih sedikit atau lebih pendek."],
        Code::HeadersTooLarge => ["There are more than 64 headers or 16 KiB of them.", "Send fewer headers; cookies of other sites are a frequent cause.", "Ada lebih dari 64 header atau 16 KiB.", "Kirim lebih sedikit header; kuki situs lain sering menjadi sebab."],
        Code::MediaType => ["The content type is not one that is read here.", "Send application/json, application/cloudevents+json or application/cloudevents-batch+json.", "Jenis konten tidak dibaca di sini.", "Kirim application/json, application/cloudevents+json, atau application/cloudevents-batch+json."],
        Code::ContentEncoding => ["The body is compressed.", "Send it uncompressed.", "Isi terkompresi.", "Kirim tanpa kompresi."],
        Code::ReadTimeout => ["The body took longer than 10 seconds to arrive.", "Send it again; nothing was recorded.", "Isi tiba lebih lama dari 10 detik.", "Kirim lagi; tidak ada yang tercatat."],
        _ => return None,
    })
}

/// Problems of address, identity and access.
#[rustfmt::skip]
fn access(code: Code) -> Option<[&'static str; 4]> {
    Some(match code {
        Code::TokenInvalid => ["There is no key, or it is unknown, expired or revoked.", "Send `Authorization: Bearer <key>`; make one with `sapa key create`.", "Tidak ada kunci, atau kunci tidak dikenal, kedaluwarsa, atau dicabut.", "Kirim `Authorization: Bearer <kunci>`; buat dengan `sapa key create`."],
        Code::ScopeMissing => ["The key is valid and lacks the scope of this operation.", "Ask for a key with the scope that the message names.", "Kunci sah tetapi tidak memiliki cakupan operasi ini.", "Minta kunci dengan cakupan yang disebut dalam pesan."],
        Code::SourceForbidden => ["The key may send only as certain sources.", "Use a source of this key, or a key of that source.", "Kunci hanya boleh mengirim sebagai sumber tertentu.", "Gunakan sumber milik kunci ini, atau kunci milik sumber itu."],
        Code::ReservedType => ["This kind is a decision: Sapa's rules record it, the system of a venue with `authority = \"external\"` whose key names the venue, or an import.", "Send what happened. For a venue that another system decides about, publish policy `venues` with `authority = \"external\"` and make a key with `sapa key create NAME --set publisher --venue ID`.", "Jenis ini adalah keputusan: dicatat aturan Sapa, sistem tempat dengan `authority = \"external\"` yang kuncinya menyebut tempat itu, atau impor.", "Kirim kejadiannya. Untuk tempat yang diputuskan sistem lain, terbitkan kebijakan `venues` dengan `authority = \"external\"` dan buat kunci dengan `sapa key create NAMA --set publisher --venue ID`."],
        Code::TenantMixed => ["The events of a batch name different tenants, or another one than the key's.", "Send one batch per tenant, with its key; the attribute `tenant` may be left out.", "Peristiwa dalam kumpulan menyebut penyewa yang berbeda.", "Kirim satu kumpulan per penyewa dengan kuncinya; atribut `tenant` boleh dihilangkan."],
        Code::Csrf => ["A form was sent from another site.", "Open the page of this server and send the form there.", "Formulir dikirim dari situs lain.", "Buka halaman server ini dan kirim formulirnya di sana."],
        Code::HostNotAllowed => ["The Host header names a server that this is not; some attacks on local programs look like this.", "Use an address of this server, or let the operator add the name to http.allowed_hosts.", "Header Host menyebut server lain; sebagian serangan pada program lokal tampak seperti ini.", "Gunakan alamat server ini, atau minta operator menambahkan namanya ke http.allowed_hosts."],
        Code::RateLimited => ["This key, or this tenant, has reached its limit.", "Wait as long as Retry-After says.", "Kunci atau penyewa ini telah mencapai batasnya.", "Tunggu selama yang disebut Retry-After."],
        Code::RouteUnknown => ["There is no page and no operation at this address.", "GET / lists what there is.", "Tidak ada halaman atau operasi di alamat ini.", "GET / memuat daftar yang ada."],
        Code::MethodNotAllowed => ["The address exists and is not used with this method.", "See the Allow header, or GET /.", "Alamatnya ada tetapi tidak dipakai dengan metode ini.", "Lihat header Allow, atau GET /."],
        Code::NotAcceptable => ["The Accept header leaves out JSON.", "Accept application/json, or leave the header out.", "Header Accept tidak memuat JSON.", "Terima application/json, atau hilangkan header itu."],
        Code::TenantUnknown => ["No tenant has this name, or the key belongs to another one.", "See `sapa tenant list`.", "Tidak ada penyewa dengan nama ini, atau kuncinya milik penyewa lain.", "Lihat `sapa tenant list`."],
        Code::NotFound => ["There is nothing under this id for this tenant.", "Check the id.", "Tidak ada apa pun dengan id ini pada penyewa ini.", "Periksa id-nya."],
        Code::CustomerUnknown => ["Nothing was ever recorded about this customer.", "Check the id, or record a first fact.", "Belum ada yang tercatat tentang pelanggan ini.", "Periksa id-nya, atau catat fakta pertama."],
        Code::QueryInvalid => ["A parameter is unknown, missing, or not of its type or range.", "See `errors`: each names a parameter and its rule.", "Sebuah parameter tidak dikenal, tidak ada, atau tidak sesuai jenis atau rentangnya.", "Lihat `errors`: masing-masing menyebut parameter dan aturannya."],
        Code::CursorInvalid => ["The cursor was changed, or belongs to another list, filter, tenant or log.", "Ask for the first page again, without `cursor`.", "Kursor diubah, atau milik daftar, penyaring, penyewa, atau catatan lain.", "Minta halaman pertama lagi, tanpa `cursor`."],
        Code::PositionUnknown => ["`at_least` is above the highest position in the log.", "Send a position that an answer gave you.", "`at_least` melebihi posisi tertinggi dalam catatan.", "Kirim posisi yang pernah diberikan sebuah jawaban."],
        _ => return None,
    })
}

/// Problems of an event's envelope and data.
#[rustfmt::skip]
fn event(code: Code) -> Option<[&'static str; 4]> {
    Some(match code {
        Code::EventIdMissing => ["An event without an id could be recorded twice.", "Make an id, store it, then send; UUIDv7 is advised.", "Peristiwa tanpa id bisa tercatat dua kali.", "Buat id, simpan, lalu kirim; disarankan UUIDv7."],
        Code::EventIdInvalid => ["The id is empty, too long, or has characters that cannot be kept.", "Use 1 to 64 printable characters without outer spaces.", "Id kosong, terlalu panjang, atau memuat karakter yang tidak dapat disimpan.", "Gunakan 1 sampai 64 karakter tercetak tanpa spasi luar."],
        Code::Specversion => ["The attribute `specversion` is missing or not `1.0`.", "Send `\"specversion\": \"1.0\"`.", "Atribut `specversion` tidak ada atau bukan `1.0`.", "Kirim `\"specversion\": \"1.0\"`."],
        Code::HeaderEncoding => ["A `ce-` header is not percent-encoded UTF-8.", "Percent-encode what is not printable ASCII.", "Sebuah header `ce-` bukan UTF-8 yang dikodekan dengan persen.", "Kodekan dengan persen yang bukan ASCII tercetak."],
        Code::ModeAmbiguous => ["The content type says structured and `ce-` headers say binary.", "Use one of the two modes.", "Jenis konten menyatakan terstruktur dan header `ce-` menyatakan biner.", "Gunakan salah satu mode."],
        Code::BadId => ["An id has characters outside its grammar.", "Use A-Z a-z 0-9 . _ - : and begin with a letter or digit.", "Sebuah id memuat karakter di luar tata bahasanya.", "Gunakan A-Z a-z 0-9 . _ - : dan mulai dengan huruf atau angka."],
        Code::IdPersonal => ["The customer id looks like a telephone number or an address.", "Use an opaque id; record the number with customer.identified.", "Id pelanggan tampak seperti nomor telepon atau alamat.", "Gunakan id tanpa makna; catat nomornya dengan customer.identified."],
        Code::SubjectMismatch => ["Subject, type and tenant of the event do not say the same.", "Publish to the subject of the type; leave `tenant` out.", "Subjek, jenis, dan penyewa peristiwa tidak menyatakan hal yang sama.", "Terbitkan ke subjek jenis itu; hilangkan `tenant`."],
        Code::UnknownType => ["No kind of event has this type; the bytes were kept in quarantine.", "Correct the type, see /schemas; after an upgrade use `sapa quarantine retry`.", "Tidak ada jenis peristiwa ini; byte-nya disimpan di karantina.", "Perbaiki jenisnya, lihat /schemas; setelah pemutakhiran gunakan `sapa quarantine retry`."],
        Code::SchemaTooNew => ["The publisher knows a newer version than this server; the bytes were kept in quarantine.", "Upgrade the server, then `sapa quarantine retry`.", "Penerbit mengenal versi yang lebih baru daripada server ini; byte-nya disimpan di karantina.", "Mutakhirkan server, lalu `sapa quarantine retry`."],
        Code::SchemaInvalid => ["The data breaks its JSON Schema or a rule of its kind.", "See `errors`: each names a place and its rule; nothing was recorded.", "Data melanggar JSON Schema atau aturan jenisnya.", "Lihat `errors`: masing-masing menyebut tempat dan aturannya; tidak ada yang tercatat."],
        Code::TimeZoneMissing => ["A time without an offset may mean any of 38 instants.", "Send `+07:00` or `Z` with it.", "Waktu tanpa selisih zona dapat berarti banyak saat.", "Kirim bersama `+07:00` atau `Z`."],
        Code::TimeInvalid => ["The time is not strict RFC 3339, or not a date of the calendar.", "Send for instance 2026-11-21T10:00:00+07:00.", "Waktu bukan RFC 3339 yang ketat, atau bukan tanggal kalender.", "Kirim misalnya 2026-11-21T10:00:00+07:00."],
        Code::TimeRange => ["The time lies before 1970 or after 2100.", "Check the year.", "Waktu sebelum 1970 atau sesudah 2100.", "Periksa tahunnya."],
        Code::TimeFuture => ["The event claims to have happened more than 24 hours from now.", "Check the clock of the sender; plans have kinds of their own.", "Peristiwa mengaku terjadi lebih dari 24 jam dari sekarang.", "Periksa jam pengirim; rencana memiliki jenis tersendiri."],
        Code::TimeOld => ["The event lies more than 20 years back.", "Mark old history with `imported`, with a key that may import.", "Peristiwa terjadi lebih dari 20 tahun lalu.", "Tandai riwayat lama dengan `imported`, dengan kunci yang boleh mengimpor."],
        Code::BatchDuplicate => ["One id stands twice in the batch with different content.", "Give each event an id of its own.", "Satu id muncul dua kali dalam kumpulan dengan isi berbeda.", "Beri setiap peristiwa id tersendiri."],
        Code::EventIdConflict => ["This source has recorded this id with other content.", "If it is another event, give it a new id; `receipt` says what is recorded.", "Sumber ini telah mencatat id ini dengan isi lain.", "Jika peristiwa lain, beri id baru; `receipt` menyebut yang tercatat."],
        _ => return None,
    })
}

/// Problems of state, rules and operation.
#[rustfmt::skip]
fn state(code: Code) -> [&'static str; 4] {
    match code {
        Code::VersionConflict => ["Somebody else wrote first.", "Read again, decide again, send again.", "Orang lain menulis lebih dahulu.", "Baca lagi, putuskan lagi, kirim lagi."],
        Code::InProgress => ["The first request with this Idempotency-Key has not been answered yet.", "Wait a second and send the same again.", "Permintaan pertama dengan Idempotency-Key ini belum dijawab.", "Tunggu sedetik dan kirim lagi yang sama."],
        Code::IdempotencyKeyReused => ["The Idempotency-Key belongs to another request.", "Make a new key for every new request.", "Idempotency-Key milik permintaan lain.", "Buat kunci baru untuk setiap permintaan baru."],
        Code::CommandRefused => ["A business rule does not allow this now; `rule` names it.", "Do what the message asks for first, or wait until the time it names.", "Sebuah aturan belum mengizinkan ini; `rule` menyebutnya.", "Lakukan dahulu yang diminta pesan ini, atau tunggu sampai waktu yang disebutnya."],
        Code::NotBuilt => ["This version does not have this yet; nothing was recorded.", "Use what the message names instead.", "Versi ini belum memilikinya; tidak ada yang tercatat.", "Gunakan yang disebut dalam pesan sebagai gantinya."],
        Code::AlertState => ["The alert has ended, or is in a state that does not allow this.", "Read the alert again; only the fact it waits for ends it.", "Peringatan sudah berakhir, atau keadaannya tidak mengizinkan ini.", "Baca lagi peringatannya; hanya fakta yang ditunggunya yang mengakhirinya."],
        Code::ProjectionBusy => ["A rebuild of this read model is running.", "Wait for it, or retire it.", "Pembangunan ulang model baca ini sedang berjalan.", "Tunggu selesai, atau hentikan."],
        Code::AlreadyExists => ["Something else has this name.", "Choose another name.", "Hal lain sudah memakai nama ini.", "Pilih nama lain."],
        Code::PolicyInvalid => ["The policy has members or values that its rules do not allow.", "See `errors`; `sapa policy check` tells the same before you send.", "Kebijakan memuat anggota atau nilai yang tidak diizinkan.", "Lihat `errors`; `sapa policy check` menyebut hal yang sama sebelum dikirim."],
        Code::WebhookUrlRefused => ["The address is private, or not https.", "Use a public https address.", "Alamatnya privat, atau bukan https.", "Gunakan alamat https publik."],
        Code::Unavailable => ["The log, or a part that is needed, does not answer.", "Send the same again with the same id, after Retry-After.", "Catatan, atau bagian yang diperlukan, tidak menjawab.", "Kirim lagi yang sama dengan id yang sama, setelah Retry-After."],
        Code::Timeout => ["The answer took too long; what was sent may be recorded all the same.", "Ask for the receipt, or send again with the same id.", "Jawaban terlalu lama; yang dikirim mungkin tetap tercatat.", "Minta tanda terimanya, atau kirim lagi dengan id yang sama."],
        _ => ["Something failed that should not; it stands in our log under the request id.", "Send the same again; tell the operator the request id if it stays.", "Ada yang gagal dan seharusnya tidak; tercatat di log kami dengan id permintaan.", "Kirim lagi yang sama; beri tahu operator id permintaannya bila tetap terjadi."],
    }
}
