//! A tier in one sentence, in both languages, made from figures only.

use events::problem::Text;
use events::spoken::{counted, full_date, grouped};
use events::tier::Tier;
use jiff::civil::Date;

use super::view::View;

/// Which tier, since when and on what it rests.
pub(super) fn sentence(view: &View<'_>, since: Option<Date>) -> Text {
    let tier = view.tier();
    if let Some((_, manual)) = view.manual() {
        let by = manual.by.as_ref().map_or("-", |it| it.as_str());
        let until = full_date(manual.until);
        return Text::new(
            format!("{}, set by {by} until {}.", english(tier), until.en),
            format!("{}, ditetapkan oleh {by} sampai {}.", indonesian(tier), until.id),
        );
    }
    let (Some(since), Some((first, _))) = (since, view.counted().next()) else {
        return Text::new("Prospect: no qualifying day yet.", "Prospek: belum ada hari transaksi.");
    };
    let rule = &view.policies().loyalty.primary;
    let conditions = view.standing().conditions(view.on());
    let count = conditions.iter().find(|it| it.name == "window_count");
    let have = count.and_then(|it| it.have).unwrap_or_default();
    let (since, first) = (full_date(since), full_date(first));
    let (days, window) = (days(have, rule.window_count), rule.window_days);
    let mut text = Text::new(
        format!(
            "{} since {}: {} within {} days, customer since {}.",
            english(tier),
            since.en,
            days.en,
            grouped(window, ','),
            first.en
        ),
        format!(
            "{} sejak {}: {} dalam {} hari, pelanggan sejak {}.",
            indonesian(tier),
            since.id,
            days.id,
            grouped(window, '.'),
            first.id
        ),
    );
    if tier == Tier::Primary && view.standing().is_held(view.on()) {
        text.en.push_str(" Nobody is demoted while we are at fault.");
        text.id.push_str(" Tidak ada penurunan selama kesalahan ada pada kita.");
    }
    text
}

/// How many qualifying days there are of those that are needed: "3 of 3 qualifying days", or "5
/// qualifying days (3 needed)" where there are more.
fn days(have: i64, needed: i64) -> Text {
    if have <= needed {
        return Text::new(
            format!("{have} of {}", counted(needed, "qualifying day", "hari transaksi").en),
            format!("{have} dari {needed} hari transaksi"),
        );
    }
    let days = counted(have, "qualifying day", "hari transaksi");
    Text::new(format!("{} ({needed} needed)", days.en), format!("{} (perlu {needed})", days.id))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_days_than_are_needed_are_not_a_part_of_them() {
        assert_eq!(days(2, 3).en, "2 of 3 qualifying days");
        assert_eq!(days(3, 3), Text::new("3 of 3 qualifying days", "3 dari 3 hari transaksi"));
        let more = Text::new("5 qualifying days (3 needed)", "5 hari transaksi (perlu 3)");
        assert_eq!(days(5, 3), more);
    }
}
