//! Tables for people: chosen members of each item, or every member of one object. Texts in two
//! languages appear in the wanted one, instants in the wanted zone. Never used for machines.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::Value;

use super::Output;

/// Columns when a command names none.
const COLUMNS_MAX: usize = 8;

/// A member by dotted name.
#[must_use]
pub fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    name.split('.').try_fold(value, |value, part| value.get(part))
}

/// The named columns, or the first members of the first item.
pub(super) fn columns_of(items: &[Value], named: &[&str]) -> Vec<String> {
    if !named.is_empty() {
        return named.iter().map(|it| (*it).to_owned()).collect();
    }
    let first = items.first().and_then(Value::as_object);
    first.into_iter().flat_map(|it| it.keys().take(COLUMNS_MAX).cloned()).collect()
}

/// One line an item.
pub(super) fn of_items(output: &Output, items: &[Value], named: &[&str]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    let columns = columns_of(items, named);
    let mut table = plain();
    table.set_header(columns.iter().map(|it| heading(it)));
    for item in items {
        let cell = |name: &String| member(item, name).map_or_else(dash, |it| shown(output, it));
        table.add_row(columns.iter().map(cell));
    }
    tidy(&table)
}

/// One line a member.
pub(super) fn of_object(output: &Output, value: &Value) -> String {
    let mut table = plain();
    let mut rows = Vec::new();
    flatten(output, "", value, &mut rows);
    for (name, cell) in rows {
        table.add_row([name, cell]);
    }
    tidy(&table)
}

fn flatten(output: &Output, at: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if !is_leaf(value) => {
            for (name, value) in members {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                flatten(output, &at, value, rows);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                let name = if index == 0 { at.to_owned() } else { String::new() };
                rows.push((name, in_one_line(output, item)));
            }
        }
        other => rows.push((at.to_owned(), shown(output, other))),
    }
}

/// A sentence in two languages or an amount: an object that is one value to a person.
fn is_leaf(value: &Value) -> bool {
    let has = |name| value.get(name).is_some();
    (has("id") && has("en")) || (has("amount") && has("currency"))
}

/// Members worth a place in one line.
fn in_one_line(output: &Output, item: &Value) -> String {
    let Some(members) = item.as_object().filter(|_| !is_leaf(item)) else {
        return shown(output, item);
    };
    let parts = members.iter().filter(|(_, value)| !value.is_null() && !value.is_array());
    let parts = parts.map(|(name, value)| match value {
        Value::String(_) => shown(output, value),
        _ if is_leaf(value) => shown(output, value),
        _ => format!("{name} {}", shown(output, value)),
    });
    parts.collect::<Vec<_>>().join("  ")
}

fn shown(output: &Output, value: &Value) -> String {
    match value {
        Value::Null => dash(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => instant(output, text).unwrap_or_else(|| text.clone()),
        Value::Array(items) if items.is_empty() => dash(),
        Value::Array(items) => {
            items.iter().map(|it| shown(output, it)).collect::<Vec<_>>().join(", ")
        }
        Value::Object(members) => {
            let sentence = members.get(output.language.tag()).and_then(Value::as_str);
            let amount = members.get("amount").zip(members.get("currency"));
            match (sentence, amount) {
                (Some(sentence), _) if is_leaf(value) => sentence.to_owned(),
                (_, Some((amount, currency))) => format!("{} {amount}", raw(currency)),
                _ => value.to_string(),
            }
        }
    }
}

/// An instant in the wanted zone, to the minute.
fn instant(output: &Output, text: &str) -> Option<String> {
    if text.len() < 20 || !text.ends_with('Z') {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    Some(at.to_zoned(output.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string())
}

/// A value as a cell of CSV.
pub(super) fn raw(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn heading(name: &str) -> String {
    name.replace(['_', '.'], " ")
}

fn dash() -> String {
    "-".to_owned()
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// Without the blanks at the ends of lines.
fn tidy(table: &Table) -> String {
    let text = table.to_string();
    let line = |it: &str| it.strip_prefix(' ').unwrap_or(it).trim_end().to_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use events::problem::Language;
    use jiff::tz::TimeZone;
    use serde_json::json;

    use super::*;
    use crate::cli::Format;

    fn output(language: Language) -> Output {
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        Output { format: Format::Table, language, zone, color: false, quiet: true }
    }

    #[test]
    fn texts_appear_in_the_wanted_language_and_times_in_the_wanted_zone() {
        let item = json!({"at": "2026-06-24T02:00:00.000000Z", "sentence": {"id": "Lama", "en": "Long"},
                          "paid": {"amount": 5, "currency": "IDR"}, "owner": null});
        let table = of_items(&output(Language::Id), &[item], &["at", "sentence", "paid", "owner"]);
        let line = table.lines().nth(1).unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["2026-06-24", "09:00", "Lama", "IDR", "5", "-"]
        );
    }

    #[test]
    fn an_object_shows_every_member_and_lists_by_line() {
        let value = json!({"customer": "c-1", "tier": {"tier": "primary"}, "clocks": [{"clock": "we", "state": "ok"}]});
        let table = of_object(&output(Language::En), &value);
        let text: Vec<&str> = table.split_whitespace().collect();
        assert_eq!(
            text,
            ["clocks", "we", "ok", "customer", "c-1", "tier.tier", "primary"],
            "{table}"
        );
    }
}
