//! A customer's card in ten lines: who, tier, owner, clocks, what we owe, the next act, the last
//! contacts, what comes, habits, alerts. What a key may not see is not there.

use serde_json::Value;

use super::table::{self, member, shown};
use super::{Output, words};
use crate::say;

/// Habits and needs in one line.
const TRAITS_MAX: usize = 4;
/// Debts and promises in one line.
const OWED_MAX: usize = 3;

/// The ten lines.
pub(super) fn lines(output: &Output, card: &Value) -> String {
    let mut table = table::plain();
    for (heading, text) in [
        (say!("customer", "pelanggan"), who(output, card)),
        (say!("tier", "golongan"), tier(output, card)),
        (say!("looked after by", "diurus oleh"), owner(output, card)),
        (say!("clocks", "jam"), clocks(output, card)),
        (say!("what we owe", "utang kita"), owed(output, card)),
        (say!("next act", "langkah berikut"), next_act(output, card)),
        (say!("last contacts", "kontak terakhir"), contacts(output, card)),
        (say!("business", "usaha"), business(output, card)),
        (say!("habits and needs", "kebiasaan dan kebutuhan"), traits(card)),
        (say!("alerts", "peringatan"), alerts(card)),
    ] {
        table.add_row([heading, text.unwrap_or_else(|| "-".to_owned())]);
    }
    table::tidy(&table)
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    member(value, name).and_then(Value::as_str)
}

fn word(output: &Output, code: &str) -> String {
    words::word(code, output.language)
}

fn when(output: &Output, value: &Value, name: &str) -> Option<String> {
    member(value, name).filter(|it| !it.is_null()).map(|it| shown(output, name, it))
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    member(value, name).and_then(Value::as_array).map_or(&[], |it| it.as_slice())
}

/// The parts that are there, with commas between them.
fn joined(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().filter(|it| !it.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn who(output: &Output, card: &Value) -> Option<String> {
    let id = text(card, "customer").unwrap_or_default();
    let who = text(card, "name").map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"));
    let kind = text(card, "kind").map(|it| word(output, it));
    let language = text(card, "language").map(|it| say!("speaks {it}", "berbahasa {it}"));
    joined([Some(who), kind, language])
}

fn tier(output: &Output, card: &Value) -> Option<String> {
    let tier = card.get("tier")?;
    let name = shown(output, "tier", tier);
    let since = text(tier, "since").map(|it| say!("since {it}", "sejak {it}"));
    let lapses = text(tier, "lapses_on").map(|it| say!("until {it}", "sampai {it}"));
    let held = tier.get("held").filter(|it| !it.is_null()).map(|_| say!("held", "ditahan"));
    joined([Some(name), since, lapses, held])
}

fn owner(_: &Output, card: &Value) -> Option<String> {
    let team = text(card, "team").map(|it| say!("team {it}", "tim {it}"));
    joined([text(card, "owner").map(str::to_owned), team])
}

fn clocks(output: &Output, card: &Value) -> Option<String> {
    let of = |clock: &str| {
        let state = text(card.get("neglect")?, clock)?;
        Some(format!("{}: {}", word(output, clock), word(output, state)))
    };
    joined(["they", "we", "owe"].map(of))
}

fn owed(output: &Output, card: &Value) -> Option<String> {
    let of_debt = |it: &Value| {
        let what = word(output, text(it, "obligation")?);
        let due = when(output, it, "due_at").map(|it| say!("by {it}", "sampai {it}"));
        Some(joined([Some(what), due])?.replace(", ", " "))
    };
    let of_promise = |it: &Value| {
        let what = text(it, "what").unwrap_or_default();
        let promise = word(output, "promise");
        let due = when(output, it, "due_at").map(|it| say!("by {it}", "sampai {it}"));
        let state = text(it, "state").map(|it| word(output, it)).unwrap_or_default();
        Some(format!("{promise} \"{what}\" {} ({state})", due.unwrap_or_default()))
    };
    // A promise is also a debt; it is told once, with its words.
    let debts = items(card, "open_obligations").iter();
    let debts = debts.filter(|it| text(it, "obligation") != Some("promise")).map(of_debt);
    let promises = items(card, "open_promises").iter().map(of_promise);
    let all: Vec<String> = promises.chain(debts).flatten().collect();
    let more = all.len().saturating_sub(OWED_MAX);
    let more = (0 < more).then(|| say!("{more} more", "{more} lagi"));
    joined(all.into_iter().take(OWED_MAX).map(Some).chain([more]))
        .or_else(|| Some(say!("nothing", "tidak ada")))
}

fn next_act(output: &Output, card: &Value) -> Option<String> {
    let act = card.get("next_act").filter(|it| !it.is_null())?;
    let why = act.get("why").filter(|it| !it.is_null()).map(|it| shown(output, "why", it));
    let act = word(output, text(act, "act")?);
    Some(why.map_or_else(|| act.clone(), |why| format!("{act}: {why}")))
}

fn contacts(output: &Output, card: &Value) -> Option<String> {
    let of = |name: &str, who: String| {
        let contact = card.get(name).filter(|it| !it.is_null())?;
        let at = when(output, contact, "at")?;
        let kind = words::of_kind(text(contact, "type")?, output.language);
        let actor = text(contact, "actor").map(str::to_owned);
        Some(format!("{who} {at} ({})", joined([kind, actor])?))
    };
    joined([of("last_in", say!("they", "mereka")), of("last_out", say!("we", "kita"))])
}

fn business(output: &Output, card: &Value) -> Option<String> {
    let booking = card.get("next_booking").filter(|it| !it.is_null()).and_then(|it| {
        let (venue, at) = (text(it, "venue")?, when(output, it, "starts_at")?);
        Some(say!("next booking {venue} on {at}", "pemesanan berikut {venue} pada {at}"))
    });
    let visits = card.get("visits").and_then(Value::as_i64);
    let visits = visits.map(|it| say!("{it} visits", "{it} kunjungan"));
    let value = card.get("value_12m").map(|it| {
        let value = shown(output, "value_12m", it);
        say!("{value} in twelve months", "{value} dalam dua belas bulan")
    });
    joined([booking, visits, value])
}

fn traits(card: &Value) -> Option<String> {
    let all = items(card, "habits").iter().chain(items(card, "needs"));
    let of = |it: &Value| {
        let name = text(it, "trait")?.replace('_', " ");
        Some(text(it, "value").map_or_else(|| name.clone(), |value| format!("{name}: {value}")))
    };
    joined(all.take(TRAITS_MAX).map(of))
}

fn alerts(card: &Value) -> Option<String> {
    let ids = items(card, "alerts").iter().filter_map(Value::as_str);
    joined(ids.map(|it| Some(it.to_owned())))
}

#[cfg(test)]
mod tests {
    use events::problem::Language;
    use jiff::tz::TimeZone;
    use serde_json::json;

    use super::*;
    use crate::cli::Format;

    #[test]
    fn a_card_is_ten_lines() {
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        let server = String::new();
        let language = Language::En;
        let output =
            Output { format: Format::Table, language, zone, color: false, quiet: true, server };
        let card = json!({
            "customer": "c-sari", "name": "Sari Wulandari", "kind": "person", "language": "id",
            "owner": "dewi", "team": "frontdesk", "visits": 3,
            "tier": {"tier": "secondary", "since": "2025-11-08", "lapses_on": null, "held": null},
            "last_in": {"at": "2026-05-02T04:10:00.000000Z", "type": "sapa.interaction.messaged.v1"},
            "last_out": null, "next_booking": null, "alerts": ["ce320430"],
            "value_12m": {"amount": 4_200_000, "currency": "IDR"},
            "open_obligations": [{"obligation": "answer", "due_at": "2026-05-02T06:10:00.000000Z"}],
            "open_promises": [], "habits": [{"trait": "coffee", "value": "two sugars"}], "needs": [],
            "neglect": {"they": "ok", "we": "overdue", "owe": "due_soon"},
            "next_act": {"act": "contact", "why": {"en": "Not contacted for 72 days", "id": "72 hari"}},
        });
        let text = lines(&output, &card);
        let found: Vec<String> =
            text.lines().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(found.len(), 10, "{text}");
        assert_eq!(found[0], "customer Sari Wulandari (c-sari), person, speaks id");
        assert_eq!(
            found[3],
            "clocks they are silent: in time, we are silent: overdue, what we owe: due soon"
        );
        assert_eq!(found[4], "what we owe answer by 2026-05-02 13:10");
        assert_eq!(found[5], "next act contact: Not contacted for 72 days");
        assert!(found[6].starts_with("last contacts they 2026-05-02 11:10 ("), "{text}");
        assert_eq!(found[8], "habits and needs coffee: two sugars");
    }
}
