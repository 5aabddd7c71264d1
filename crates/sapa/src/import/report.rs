//! How a fault of a row is reported: its place, its column, and the row around it, without what the
//! map calls personal.

use std::borrow::Cow;

use super::fault::{Fault, RowError};
use super::map::{Binding, Map};

/// How much of a field an excerpt shows.
const EXCERPT_CHARS: usize = 40;
const NOT_SHOWN: &str = "(not shown: the row may hold personal data)";

/// Adds the place to a fault, and hides what is personal.
pub(super) fn explain(
    map: &Map,
    binding: &Binding,
    line: u64,
    raw: &[u8],
    fields: &[Cow<'_, str>],
    fault: Fault,
) -> RowError {
    let column = fault.column.and_then(|column| map.column(column)).map(str::to_owned);
    // A value that was made of several columns may hold any of them.
    let may_quote = match &column {
        Some(column) => !map.is_personal(column),
        None => !map.has_personal(),
    };
    let quoting = fault.quoting.filter(|_| may_quote);
    let shown: Vec<String> = binding
        .names
        .iter()
        .zip(fields)
        .map(|(name, field)| {
            if map.is_personal(name) && !field.is_empty() {
                "***".to_owned()
            } else {
                shortened_to(field, EXCERPT_CHARS)
            }
        })
        .collect();
    let place = fault.column.and_then(|column| binding.place(column));
    let excerpt = match place.filter(|_| !fields.is_empty()) {
        Some(place) => pointed(&shown, place),
        None if map.has_personal() => NOT_SHOWN.to_owned(),
        None => shortened_to(&String::from_utf8_lossy(raw), 2 * EXCERPT_CHARS),
    };
    RowError {
        line,
        column,
        rule: fault.rule,
        detail: quoting.unwrap_or(fault.detail),
        excerpt,
        raw: raw.to_vec(),
        event: fault.event_id.map(|id| (map.source().to_owned(), id)),
    }
}

/// The field at fault between its neighbours, and a line below that points at it.
fn pointed(fields: &[String], place: usize) -> String {
    let field = fields.get(place).map_or("", String::as_str);
    let before = fields.get(place.saturating_sub(2)..place).unwrap_or_default();
    let after = fields.get(place + 1..).unwrap_or_default();
    let mut text = if place > 2 { "…,".to_owned() } else { String::new() };
    for field in before {
        text.push_str(field);
        text.push(',');
    }
    let blanks = " ".repeat(text.chars().count());
    text.push_str(field);
    for field in after.iter().take(2) {
        text.push(',');
        text.push_str(field);
    }
    if after.len() > 2 {
        text.push_str(",…");
    }
    format!("{text}\n{blanks}{}", "^".repeat(field.chars().count().max(1)))
}

/// One line of at most so many characters, with `…` where something was cut.
fn shortened_to(text: &str, chars: usize) -> String {
    let mut all = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = all.by_ref().take(chars).collect();
    if all.next().is_some() {
        short.push('…');
    }
    short
}
