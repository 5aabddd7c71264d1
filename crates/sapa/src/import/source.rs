//! `[source]` of a map: what kind of file it is for and how that file spells things.

use std::borrow::Cow;

use regex::Regex;
use toml::de::DeValue;

use super::csv::Delimiter;
use super::doc::Node;
use super::fault::{MapError, did_you_mean, listed};
use super::forms::pattern;
use super::spelling::{self, Spelling};
use super::template::{Expr, Scope};

/// The keys of `[source]` besides those of its spelling.
pub(super) const KEYS: [&str; 11] = [
    "source",
    "format",
    "delimiter",
    "columns",
    "skip",
    "rows",
    "continues",
    "encoding",
    "nulls",
    "imported",
    "personal",
];
/// What a file can be.
pub(super) const FORMATS: [&str; 3] = ["csv", "text", "ics"];
/// How the bytes of a file are letters.
pub(super) const ENCODINGS: [&str; 3] = ["utf-8", "latin-1", "windows-1252"];

/// What the bytes from 0x80 to 0x9f are on Windows; five of them are nothing.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// What `[source]` says about the file.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) uri: String,
    pub(super) format: Format,
    pub(super) encoding: Encoding,
    /// Lines before the header, or before the first row.
    pub(super) skip: usize,
    pub(super) nulls: Vec<String>,
    pub(super) spelling: Spelling,
    pub(super) imported: bool,
    pub(super) personal: Vec<String>,
}

/// How rows stand in the file.
#[derive(Clone, Debug)]
pub(super) enum Format {
    Table {
        delimiter: Delimiter,
        /// Of a file without a header.
        columns: Option<Vec<String>>,
        /// How many of the last columns a row may lack.
        optional: usize,
    },
    Text(TextRows),
    Calendar,
}

/// Rows that begin with a line of a known shape and may run over several lines.
#[derive(Clone, Debug)]
pub(super) struct TextRows {
    /// Tried in their order.
    pub(super) patterns: Vec<Regex>,
    /// The names of their groups.
    pub(super) columns: Vec<String>,
    /// The column that takes up the lines that begin no row.
    pub(super) continues: Option<usize>,
}

/// How bytes are letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Latin1,
    Windows1252,
}

impl Encoding {
    /// The letters, unless the bytes are not in this encoding.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        let plain = std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        match self {
            Self::Utf8 => plain,
            // ASCII is the same in all three.
            _ if bytes.is_ascii() => plain,
            Self::Latin1 => Some(bytes.iter().copied().map(char::from).collect()),
            Self::Windows1252 => Some(bytes.iter().copied().map(windows).collect()),
        }
    }
}

fn windows(byte: u8) -> char {
    let special = byte.checked_sub(0x80).and_then(|it| WINDOWS_1252.get(usize::from(it)));
    special.copied().unwrap_or_else(|| char::from(byte))
}

impl Source {
    pub(super) fn read(node: &Node<'_>, settings: &[(String, String)]) -> Result<Self, MapError> {
        let members = node.table()?;
        for (key, member) in &members {
            if !KEYS.contains(key) && !spelling::KEYS.contains(key) {
                let known: Vec<&str> = KEYS.iter().chain(&spelling::KEYS).copied().collect();
                let rule = format!("[source] has no `{key}`");
                return Err(member.fault(rule, did_you_mean(key, &known)));
            }
        }
        let find = |key: &str| members.iter().find(|(name, _)| *name == key).map(|(_, node)| node);
        let texts = |key: &str| find(key).map(Node::texts).transpose();
        let text = |node: &Node<'_>| settled(node, settings);
        let source = find("source").ok_or_else(|| {
            node.fault("`source` is missing", "add it, such as source = \"/import/hotel\"")
        })?;
        let spelling = Spelling::read(find, text)?;
        Ok(Self {
            uri: text(source)?,
            format: format(node, find)?,
            encoding: find("encoding").map_or(Ok(Encoding::Utf8), encoding)?,
            skip: find("skip").map_or(Ok(0), count)?,
            nulls: texts("nulls")?.unwrap_or_else(|| vec![String::new()]),
            spelling,
            imported: find("imported").map_or(Ok(true), Node::truth)?,
            personal: texts("personal")?.unwrap_or_default(),
        })
    }

    /// The columns that are known without looking into a file.
    pub(super) fn declared_columns(&self) -> Option<&[String]> {
        match &self.format {
            Format::Table { columns, .. } => columns.as_deref(),
            Format::Text(rows) => Some(&rows.columns),
            Format::Calendar => None,
        }
    }
}

/// A text in which settings stand, such as a zone that is chosen on the command line.
fn settled(node: &Node<'_>, settings: &[(String, String)]) -> Result<String, MapError> {
    let mut scope =
        Scope { declared: Some(Vec::new()), settings: settings.to_vec(), ..Scope::default() };
    match Expr::template(node.text()?, node, &mut scope)? {
        Expr::Literal(text) => Ok(text),
        _ => Err(node.fault("this is the same for every row", "name settings only")),
    }
}

fn format<'n, 'd: 'n>(
    source: &Node<'_>,
    find: impl Fn(&str) -> Option<&'n Node<'d>>,
) -> Result<Format, MapError> {
    let word = find("format").map_or(Ok("csv"), Node::text)?;
    let only = |keys: &[&str], formats: &str| {
        for key in keys {
            if let Some(node) = find(key) {
                let remedy = format!("take it away, or write format = \"{formats}\"");
                return Err(
                    node.fault(format!("a file of format \"{word}\" has no `{key}`"), remedy)
                );
            }
        }
        Ok(())
    };
    match word {
        "csv" => {
            only(&["rows", "continues"], "text")?;
            let (columns, optional) = match find("columns") {
                None => (None, 0),
                Some(node) => {
                    let (columns, optional) = columns(node)?;
                    (Some(columns), optional)
                }
            };
            let delimiter = find("delimiter").map_or(Ok(Delimiter::Character(',')), delimiter)?;
            Ok(Format::Table { delimiter, columns, optional })
        }
        "text" => {
            only(&["columns", "delimiter"], "csv")?;
            text_rows(source, find).map(Format::Text)
        }
        "ics" => {
            only(&["columns", "delimiter"], "csv")?;
            only(&["rows", "continues"], "text")?;
            Ok(Format::Calendar)
        }
        other => {
            let remedy = format!("write one of {}; JSON Lines need no map", listed(&FORMATS));
            let rule = format!("`{other}` is not a format");
            Err(match find("format") {
                Some(node) => node.fault(rule, remedy),
                None => source.fault(rule, remedy),
            })
        }
    }
}

/// Names of columns; the last ones may end in `?`, which says that rows may lack them.
fn columns(node: &Node<'_>) -> Result<(Vec<String>, usize), MapError> {
    let mut columns = Vec::new();
    let mut optional = 0;
    for name in node.texts()? {
        match name.strip_suffix('?') {
            Some(plain) => {
                optional += 1;
                columns.push(plain.to_owned());
            }
            None if 0 < optional => {
                let rule = format!("`{name}` follows a column that rows may lack");
                return Err(node.fault(rule, "only the last columns may end in `?`"));
            }
            None => columns.push(name),
        }
    }
    Ok((columns, optional))
}

fn text_rows<'n, 'd: 'n>(
    source: &Node<'_>,
    find: impl Fn(&str) -> Option<&'n Node<'d>>,
) -> Result<TextRows, MapError> {
    let node = find("rows").ok_or_else(|| {
        let remedy = "add rows = ['^(?<day>[0-9/]+) (?<text>.*)$']: the first line of a row";
        source.fault("`rows` is missing", remedy)
    })?;
    let patterns = node.one_or_more()?.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
    let mut columns: Vec<String> = Vec::new();
    for name in patterns.iter().flat_map(|it| it.capture_names().flatten()) {
        if !columns.iter().any(|it| it == name) {
            columns.push(name.to_owned());
        }
    }
    if columns.is_empty() {
        return Err(node.fault("no group has a name", "name the parts, such as (?<text>.*)"));
    }
    let continues = match find("continues") {
        None => None,
        Some(node) => {
            let name = node.text()?;
            let known: Vec<&str> = columns.iter().map(String::as_str).collect();
            let place = known.iter().position(|it| *it == name);
            Some(place.ok_or_else(|| {
                node.fault(format!("no group is called `{name}`"), did_you_mean(name, &known))
            })?)
        }
    };
    Ok(TextRows { patterns, columns, continues })
}

fn count(node: &Node<'_>) -> Result<usize, MapError> {
    let number = match node.value {
        DeValue::Integer(number) => number.as_str().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| node.fault("not a number of lines", "write a whole number such as 1"))
}

fn encoding(node: &Node<'_>) -> Result<Encoding, MapError> {
    match node.text()? {
        "utf-8" => Ok(Encoding::Utf8),
        "latin-1" => Ok(Encoding::Latin1),
        "windows-1252" => Ok(Encoding::Windows1252),
        other => Err(node.fault(
            format!("`{other}` is not an encoding known here"),
            format!("write one of {}", listed(&ENCODINGS)),
        )),
    }
}

fn delimiter(node: &Node<'_>) -> Result<Delimiter, MapError> {
    match node.text()? {
        "blank" => return Ok(Delimiter::Blank),
        "tab" => return Ok(Delimiter::Character('\t')),
        text => {
            let mut characters = text.chars();
            if let (Some(character), None) = (characters.next(), characters.next())
                && character.is_ascii()
                && !matches!(character, '"' | '\n' | '\r')
            {
                return Ok(Delimiter::Character(character));
            }
        }
    }
    Err(node.fault("not a delimiter", "write one ASCII character, \"tab\", or \"blank\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_old_programs_are_read_as_declared() {
        let bytes = b"Caf\xe9 \x80 5";
        assert_eq!(Encoding::Utf8.decode(bytes), None);
        assert_eq!(Encoding::Latin1.decode(bytes).as_deref(), Some("Café \u{80} 5"));
        assert_eq!(Encoding::Windows1252.decode(bytes).as_deref(), Some("Café € 5"));
    }
}
