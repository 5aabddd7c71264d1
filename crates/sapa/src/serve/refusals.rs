//! Why something is not done with the read models, in words that name the remedy.

use std::fmt;

use api::surroundings::Action;
use events::problem::{Code, Problem};

/// Another thing is being done.
pub(super) fn busy(with: Action) -> Box<Problem> {
    let with = with.as_str();
    let mut problem = Problem::new(
        Code::ProjectionBusy,
        format!("The read models are busy with another {with}."),
        format!("Model baca sedang menjalankan {with} lain."),
    )
    .hint(
        "Wait until `sapa projection status NAME` shows that it has ended, then ask again.",
        "Tunggu sampai `sapa projection status NAME` menunjukkan selesai, lalu minta lagi.",
    );
    problem.rule = Some("one_at_a_time");
    Box::new(problem)
}

/// Folding is paused.
pub(super) fn paused() -> Box<Problem> {
    refused(
        "paused",
        "The read models are paused.",
        "Model baca sedang dijeda.",
        "Resume them first: `sapa projection resume NAME`.",
        "Lanjutkan dahulu: `sapa projection resume NAME`.",
    )
}

/// There is no build that an action could be about.
pub(super) fn nothing_to(action: Action) -> Box<Problem> {
    match action {
        Action::Swap => refused(
            "no_build",
            "No build is ready to be swapped in.",
            "Belum ada bangunan yang siap ditukar.",
            "Rebuild first, and look why the last one failed if it did: `sapa projection status NAME`.",
            "Bangun ulang dahulu, dan lihat sebab kegagalan terakhir: `sapa projection status NAME`.",
        ),
        _ => refused(
            "no_build",
            "There is no build before the live one.",
            "Tidak ada bangunan sebelum yang berjalan.",
            "A build is kept after a swap until it is retired or the next swap; rebuild to get a new one.",
            "Bangunan lama disimpan setelah penukaran sampai dipensiunkan atau ditukar lagi; bangun ulang untuk yang baru.",
        ),
    }
}

/// It was begun and did not come to its end.
pub(super) fn failed(action: Action, reason: &str) -> Box<Problem> {
    let action = action.as_str();
    Box::new(
        Problem::new(
            Code::Unavailable,
            format!("The {action} did not come to its end: {reason}."),
            format!("{action} tidak selesai: {reason}."),
        )
        .hint(
            "Look at `sapa projection status NAME`; ask again when the database answers.",
            "Lihat `sapa projection status NAME`; minta lagi bila basis data menjawab.",
        ),
    )
}

/// Another instance leads.
pub(super) fn elsewhere(holder: &str) -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::Unavailable,
            format!("This instance does not look after the read models: {holder} leads."),
            format!("Instans ini tidak mengurus model baca: {holder} yang memimpin."),
        )
        .hint(
            "Send the request to that instance; its name is host, process and start.",
            "Kirim permintaan ke instans itu; namanya adalah host, proses, dan saat mulai.",
        )
        .member("holder", holder),
    )
}

/// Nobody leads at the moment.
pub(super) fn nobody_leads() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::Unavailable,
            "No instance looks after the read models at the moment.",
            "Saat ini tidak ada instans yang mengurus model baca.",
        )
        .hint(
            "Ask again in ten seconds, when the next one leads; one of them needs the role `project`.",
            "Minta lagi dalam sepuluh detik, saat instans berikut memimpin; satu instans perlu peran `project`.",
        ),
    )
}

/// The database did not answer; what it said goes to the log of the process.
pub(super) fn away(error: &dyn fmt::Display) -> Box<Problem> {
    tracing::warn!(%error, "the read models cannot be looked after");
    Box::new(
        Problem::new(
            Code::Unavailable,
            "The database did not answer; it is not known whether this was done.",
            "Basis data tidak menjawab; belum diketahui apakah ini sudah dilakukan.",
        )
        .hint(
            "Look at `sapa projection status NAME`, then ask again.",
            "Lihat `sapa projection status NAME`, lalu minta lagi.",
        ),
    )
}

fn refused(rule: &'static str, en: &str, id: &str, hint: &str, petunjuk: &str) -> Box<Problem> {
    let mut problem = Problem::new(Code::CommandRefused, en, id).hint(hint, petunjuk);
    problem.rule = Some(rule);
    Box::new(problem)
}
