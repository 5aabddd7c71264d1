//! Tables for people: chosen members of each item, or the members of one object that hold something.
//! Texts in two languages appear in the wanted one, codes as words, instants in the wanted zone.
//! Cells of CSV are for machines: codes stay codes, times stay UTC, and no cell holds JSON.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Output, words};
use crate::say;

/// Columns when a command names none.
const COLUMNS_MAX: usize = 8;
/// Members of an answer that are about the answer and not about what was asked for.
const ASIDE: &[&str] = &["as_of", "masked"];
/// Members that come first in a line, since they say when.
const WHEN: &[&str] = &["at", "date", "occurred_at"];

/// A member by dotted name.
#[must_use]
pub fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    name.split('.').try_fold(value, |value, part| value.get(part))
}

/// The named columns, or the first members of the first item.
fn columns_of(items: &[Value], named: &[&str]) -> Vec<String> {
    if !named.is_empty() {
        return named.iter().map(|it| (*it).to_owned()).collect();
    }
    let first = items.first().and_then(Value::as_object);
    let members = first.into_iter().flat_map(Map::keys);
    members.filter(|it| !ASIDE.contains(&it.as_str())).take(COLUMNS_MAX).cloned().collect()
}

/// One line an item.
pub(super) fn of_items(output: &Output, items: &[Value], named: &[&str]) -> String {
    if items.is_empty() {
        return say!("nothing", "tidak ada");
    }
    let columns = columns_of(items, named);
    let mut table = plain();
    table.set_header(columns.iter().map(|it| words::heading(it, output.language)));
    for item in items {
        let cell =
            |name: &String| member(item, name).map_or_else(dash, |it| shown(output, name, it));
        table.add_row(columns.iter().map(cell));
    }
    tidy(&table)
}

/// One line a member that holds something; all of them, or those that are named, in that order.
pub(super) fn of_object(output: &Output, value: &Value, named: &[&str]) -> String {
    let mut rows = Vec::new();
    if named.is_empty() {
        flatten(output, "", "", value, &mut rows);
    }
    for name in named {
        let (name, parts) = split(name);
        let heading = words::heading(name, output.language);
        match (member(value, name), parts) {
            (Some(Value::Array(items)), Some(parts)) => {
                for (index, item) in items.iter().enumerate() {
                    let heading = if index == 0 { heading.clone() } else { String::new() };
                    rows.push((heading, chosen(output, item, parts)));
                }
            }
            (Some(value), _) => flatten(output, name, &heading, value, &mut rows),
            (None, _) => {}
        }
    }
    let mut table = plain();
    for (name, cell) in rows {
        table.add_row([name, cell]);
    }
    tidy(&table)
}

/// A column `history:at,to,by` is the member `history`, of whose items these members are shown.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once(':').map_or((name, None), |(name, parts)| (name, Some(parts)))
}

/// The chosen members of an item in one line, as far as they hold something.
fn chosen(output: &Output, item: &Value, parts: &str) -> String {
    let part = |name: &str| {
        let value = item.get(name).filter(|it| !it.is_null())?;
        let text = shown(output, name, value);
        let word = match name {
            // What a history moved to is a state.
            "to" => words::known(&text, output.language),
            "rule" => Some(words::word(&text, output.language)),
            _ => None,
        };
        Some(word.unwrap_or(text))
    };
    parts.split(',').filter_map(part).collect::<Vec<_>>().join("  ")
}

fn flatten(
    output: &Output,
    name: &str,
    heading: &str,
    value: &Value,
    rows: &mut Vec<(String, String)>,
) {
    match value {
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        // The content of a policy: its names are what a person writes into the file.
        Value::Object(_) if name == "body" => settings(output, "", value, rows),
        Value::Object(members) if !is_leaf(value) => {
            for (name, value) in members.iter().filter(|(it, _)| !ASIDE.contains(&it.as_str())) {
                let own = words::heading(name, output.language);
                let own = if heading.is_empty() || heading == own {
                    own
                } else {
                    format!("{heading}, {own}")
                };
                flatten(output, name, &own, value, rows);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                let heading = if index == 0 { heading.to_owned() } else { String::new() };
                rows.push((heading, shown(output, name, item)));
            }
        }
        other => rows.push((heading.to_owned(), shown(output, name, other))),
    }
}

/// The settings of a policy by their dotted names, as they stand in its file.
fn settings(output: &Output, at: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value.as_object() {
        Some(members) => {
            for (name, value) in members {
                let name = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                settings(output, &name, value, rows);
            }
        }
        None => rows.push((at.to_owned(), raw(output, value))),
    }
}

/// A sentence in two languages or an amount: an object that is one value to a person.
fn is_leaf(value: &Value) -> bool {
    let has = |name| value.get(name).is_some();
    (has("id") && has("en")) || (has("amount") && has("currency"))
}

/// A sentence or an amount as text.
fn leaf(output: &Output, value: &Value) -> Option<String> {
    let sentence = value.get(output.language.tag()).and_then(Value::as_str);
    if let Some(sentence) = sentence.filter(|_| value.get("en").is_some()) {
        return Some(sentence.to_owned());
    }
    let (amount, currency) = (value.get("amount")?, value.get("currency")?);
    Some(format!("{} {amount}", currency.as_str().unwrap_or_default()))
}

/// The members of an object that are worth a place in one line, what says when in front.
fn in_one_line(output: &Output, members: &Map<String, Value>) -> String {
    let is_when = |name: &str| WHEN.contains(&name);
    let (mut first, rest): (Vec<_>, Vec<_>) = members
        .iter()
        .filter(|(_, it)| !it.is_null() && !it.as_array().is_some_and(Vec::is_empty))
        .filter(|(it, _)| !ASIDE.contains(&it.as_str()))
        .partition(|(it, _)| is_when(it));
    first.extend(rest);
    let part = |(name, value): (&String, &Value)| {
        let text = shown(output, name, value);
        match value {
            Value::String(_) if words::is_code(&text) => words::word(&text, output.language),
            Value::String(_) => text,
            Value::Object(_) if is_leaf(value) => text,
            _ => format!("{} {text}", words::heading(name, output.language)),
        }
    };
    first.into_iter().map(part).collect::<Vec<_>>().join("  ")
}

/// A value as a person reads it.
pub(super) fn shown(output: &Output, name: &str, value: &Value) -> String {
    match value {
        Value::Null => dash(),
        Value::Bool(true) => say!("yes", "ya"),
        Value::Bool(false) => say!("no", "tidak"),
        Value::Number(number) => number.to_string(),
        Value::String(text) => instant(output, text)
            .or_else(|| words::of_code(name, text, output.language))
            .unwrap_or_else(|| text.clone()),
        Value::Array(items) if items.is_empty() => dash(),
        Value::Array(items) => {
            items.iter().map(|it| shown(output, name, it)).collect::<Vec<_>>().join(", ")
        }
        Value::Object(members) => match (leaf(output, value), members.get(name)) {
            (Some(text), _) => text,
            // `{"tier": "primary", "since": …}` in a column of tiers is that tier.
            (None, Some(own)) if own.is_string() => shown(output, name, own),
            _ => in_one_line(output, members),
        },
    }
}

/// An instant in the wanted zone, to the minute.
pub(super) fn instant(output: &Output, text: &str) -> Option<String> {
    if text.len() < 20 || !text.ends_with('Z') {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    Some(at.to_zoned(output.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string())
}

/// Header and rows of CSV: the named columns, or every member of the items by its dotted name.
pub(super) fn csv(output: &Output, items: &[Value], named: &[&str]) -> Vec<Vec<String>> {
    let mut columns: Vec<String> = named.iter().map(|it| split(it).0.to_owned()).collect();
    if columns.is_empty() {
        for it in items {
            leaves("", it, &mut columns);
        }
    }
    let cell = |item: &Value, name: &String| {
        member(item, name).map(|it| raw(output, it)).unwrap_or_default()
    };
    let rows = items.iter().map(|item| columns.iter().map(|it| cell(item, it)).collect());
    let rows: Vec<Vec<String>> = rows.collect();
    [vec![columns.clone()], rows].concat()
}

fn leaves(at: &str, value: &Value, columns: &mut Vec<String>) {
    match value.as_object().filter(|_| !is_leaf(value)) {
        Some(members) => {
            for (name, value) in members.iter().filter(|(it, _)| !ASIDE.contains(&it.as_str())) {
                let name = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                leaves(&name, value, columns);
            }
        }
        None if !at.is_empty() && !columns.iter().any(|it| it == at) => columns.push(at.to_owned()),
        None => {}
    }
}

/// A value as a cell of CSV: lists are separated by semicolons, members of objects are `name=value`.
fn raw(output: &Output, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            items.iter().map(|it| raw(output, it)).collect::<Vec<_>>().join("; ")
        }
        Value::Object(members) => leaf(output, value).unwrap_or_else(|| {
            let pairs = members.iter().filter(|(_, it)| !it.is_null());
            let pairs = pairs.map(|(name, it)| format!("{name}={}", raw(output, it)));
            pairs.collect::<Vec<_>>().join(" ")
        }),
        other => other.to_string(),
    }
}

fn dash() -> String {
    "-".to_owned()
}

pub(super) fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// Without the blanks at the ends of lines.
pub(super) fn tidy(table: &Table) -> String {
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
        let server = String::new();
        Output { format: Format::Table, language, zone, color: false, quiet: true, server }
    }

    #[test]
    fn texts_appear_in_the_wanted_language_codes_as_words_and_times_in_the_wanted_zone() {
        let item = json!({"at": "2026-06-24T02:00:00.000000Z", "sentence": {"id": "Lama", "en": "Long"},
                          "paid": {"amount": 5, "currency": "IDR"}, "owner": null, "state": "due_soon",
                          "tier": {"tier": "primary", "since": null}});
        let columns = ["at", "sentence", "paid", "owner", "state", "tier"];
        let table = of_items(&output(Language::Id), &[item], &columns);
        let line = table.lines().nth(1).unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>().join(" "),
            "2026-06-24 09:00 Lama IDR 5 - segera jatuh tempo primer"
        );
        assert!(table.lines().next().unwrap().contains("golongan"), "{table}");
    }

    #[test]
    fn an_object_shows_the_members_that_hold_something_and_lists_by_line() {
        let value = json!({"customer": "c-1", "tier": {"tier": "primary", "since": "2026-01-01"},
                           "clocks": [{"clock": "we", "state": "ok"}], "owner": null, "as_of": {"position": 1}});
        let table = of_object(&output(Language::En), &value, &[]);
        let lines: Vec<String> =
            table.lines().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "clocks we are silent in time",
                "customer c-1",
                "tier, since 2026-01-01",
                "tier primary"
            ]
        );
    }

    #[test]
    fn a_cell_of_csv_is_never_json() {
        let item = json!({"tier": {"tier": "primary", "since": null}, "scopes": ["a", "b"],
                          "history": [{"at": "x", "by": "dewi"}], "sentence": {"id": "Lama", "en": "Long"}});
        let rows = csv(&output(Language::En), std::slice::from_ref(&item), &[]);
        assert_eq!(rows[0], ["history", "scopes", "sentence", "tier.since", "tier.tier"]);
        assert_eq!(rows[1], ["at=x by=dewi", "a; b", "Long", "", "primary"]);
        assert_eq!(csv(&output(Language::En), &[item], &["tier"])[1], ["tier=primary"]);
    }
}
