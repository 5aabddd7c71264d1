//! A tier in one sentence, in both languages, made from figures only.

use events::problem::Text;
use events::tier::Tier;
use jiff::civil::Date;

use super::view::View;
use crate::neglect::query::{MONTHS_EN, MONTHS_ID};

/// Which tier, since when and on what it rests.
pub(super) fn sentence(view: &View<'_>, since: Option<Date>) -> Text {
    let tier = view.tier();
    if let Some((_, manual)) = view.manual() {
        let by = manual.by.as_ref().map_or("-", |it| it.as_str());
        return Text::new(
            format!("{}, set by {by} until {}.", english(tier), day(manual.until, &MONTHS_EN)),
            format!(
                "{}, ditetapkan oleh {by} sampai {}.",
                indonesian(tier),
                day(manual.until, &MONTHS_ID)
            ),
        );
    }
    let (Some(since), Some((first, _))) = (since, view.counted().next()) else {
        return Text::new("Prospect: no qualifying day yet.", "Prospek: belum ada hari transaksi.");
    };
    let rule = &view.policies().loyalty.primary;
    let conditions = view.standing().conditions(view.on());
    let count = conditions.iter().find(|it| it.name == "window_count");
    let have = count.and_then(|it| it.have).unwrap_or_default();
    let (needed, window) = (rule.window_count, rule.window_days);
    let mut text = Text::new(
        format!(
            "{} since {}: {have} of {needed} qualifying days within {} days, customer since {}.",
            english(tier),
            day(since, &MONTHS_EN),
            grouped(window, ','),
            day(first, &MONTHS_EN)
        ),
        format!(
            "{} sejak {}: {have} dari {needed} hari transaksi dalam {} hari, pelanggan sejak {}.",
            indonesian(tier),
            day(since, &MONTHS_ID),
            grouped(window, '.'),
            day(first, &MONTHS_ID)
        ),
    );
    if tier == Tier::Primary && view.standing().is_held(view.on()) {
        text.en.push_str(" Nobody is demoted while we are at fault.");
        text.id.push_str(" Tidak ada penurunan selama kesalahan ada pada kita.");
    }
    text
}

fn english(tier: Tier) -> &'static str {
    match tier {
        Tier::Prospect => "Prospect",
        Tier::Secondary => "Secondary",
        Tier::Primary => "Primary",
    }
}

fn indonesian(tier: Tier) -> &'static str {
    match tier {
        Tier::Prospect => "Prospek",
        Tier::Secondary => "Sekunder",
        Tier::Primary => "Primer",
    }
}

/// `16 March 2026`.
fn day(date: Date, months: &[&str; 12]) -> String {
    let month = usize::try_from(date.month()).unwrap_or(1).saturating_sub(1);
    let name = months.get(month).copied().unwrap_or_default();
    format!("{} {name} {}", date.day(), date.year())
}

/// A whole number with a sign between the thousands.
fn grouped(number: i64, sign: char) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            out.push(sign);
        }
        out.push(digit);
    }
    out
}
