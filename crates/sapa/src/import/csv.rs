//! One row of a table, taken apart into its fields.
//!
//! RFC 4180 with a choice of delimiter, or fields set apart by blanks. Strict about quotes: text
//! after a closing quote is a fault and not a guess, because a stray quote would otherwise swallow
//! the rows after it. Rows are taken apart here and not by a reader of whole files, so that a row
//! with a stray quote costs that row and the next line is read as if nothing had happened.

use std::borrow::Cow;

/// What stands between two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// Exactly one of this ASCII character; fields may be quoted.
    Character(char),
    /// Any number of blanks; no quotes.
    Blank,
}

/// How taking a row apart ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// The fields are complete.
    Whole,
    /// A quoted field goes on in the next line.
    Open,
    /// Something other than a delimiter follows a closing quote.
    Stray,
}

/// Takes `record` apart into `fields`, which is emptied first. Blanks around a field are dropped.
pub(super) fn split<'r>(
    record: &'r str,
    delimiter: Delimiter,
    fields: &mut Vec<Cow<'r, str>>,
) -> Split {
    fields.clear();
    match delimiter {
        Delimiter::Blank => {
            fields.extend(record.split_ascii_whitespace().map(Cow::Borrowed));
            Split::Whole
        }
        Delimiter::Character(character) if record.contains('"') => {
            split_quoted(record, character, fields)
        }
        Delimiter::Character(character) => {
            fields.extend(record.split(character).map(|field| Cow::Borrowed(field.trim())));
            Split::Whole
        }
    }
}

/// The slower way, for a record with a quote somewhere.
fn split_quoted<'r>(record: &'r str, delimiter: char, fields: &mut Vec<Cow<'r, str>>) -> Split {
    let mut rest = record;
    loop {
        // A delimiter may itself be a blank (a tab): only blanks that are none may be dropped.
        let start = rest.trim_start_matches(|c: char| c != delimiter && c.is_whitespace());
        let Some(quoted) = start.strip_prefix('"') else {
            // A quote inside an unquoted field is a plain character: 5" pipe.
            let Some((field, after)) = rest.split_once(delimiter) else {
                fields.push(Cow::Borrowed(rest.trim()));
                return Split::Whole;
            };
            fields.push(Cow::Borrowed(field.trim()));
            rest = after;
            continue;
        };
        let Some((field, after)) = closed(quoted) else { return Split::Open };
        fields.push(field);
        let after = after.trim_start_matches(|c: char| c != delimiter && c.is_whitespace());
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None if after.is_empty() => return Split::Whole,
            None => return Split::Stray,
        }
    }
}

/// The text up to the closing quote, with doubled quotes made single, and what follows it.
fn closed(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let (field, after) = quoted.split_once('"')?;
    if !after.starts_with('"') {
        return Some((Cow::Borrowed(field), after));
    }
    let (mut text, mut rest) = (field.to_owned(), after);
    while let Some(doubled) = rest.strip_prefix('"') {
        let (field, after) = doubled.split_once('"')?;
        text.push('"');
        text.push_str(field);
        rest = after;
    }
    Some((Cow::Owned(text), rest))
}
