//! A map: how the rows of a table become events. Read from TOML, checked whole, then applied.
//!
//! The language is explained at the top of `maps/hotel_h1.toml`: `[source]` describes the file,
//! `[values]` names what is made of its columns, `[every]` and `[[event]]` say what each row tells.
//! A map has no loops and no clock, and row 7 knows nothing of row 6, except for the counting of
//! `nth`. What can be found wrong without a file is found when the map is read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;

use data_encoding::HEXLOWER;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::csv::Delimiter;
use super::doc::{Doc, Node, members};
use super::event::{Attributes, Event, attributes};
use super::fault::{Fault, FileError, MapError, did_you_mean, listed};
use super::forms::{Counters, Form};
use super::template::{Column, Row, Scope};
use super::value::push_json_text;

/// The maps that come with the program, by the name `--map` takes.
pub const SHIPPED: [(&str, &str); 2] = [
    ("hotel_h1", include_str!("../../maps/hotel_h1.toml")),
    ("cdnow_sample", include_str!("../../maps/cdnow_sample.toml")),
];

const TABLES: [&str; 4] = ["source", "values", "every", "event"];
const SOURCE_KEYS: [&str; 8] =
    ["source", "format", "delimiter", "columns", "nulls", "zone", "imported", "personal"];

/// A map that was read and found right.
#[derive(Clone, Debug)]
pub struct Map {
    name: String,
    hash: String,
    source: Source,
    /// The source as JSON.
    quoted_source: String,
    columns: Vec<Column>,
    values: Vec<(String, Form)>,
    events: Vec<Event>,
    counters: usize,
}

/// What `[source]` says about the file.
#[derive(Clone, Debug)]
struct Source {
    uri: String,
    delimiter: Delimiter,
    columns: Option<Vec<String>>,
    nulls: Vec<String>,
    zone: TimeZone,
    imported: bool,
    personal: Vec<String>,
}

/// Where in a file's rows the columns of a map stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Binding {
    /// The names of all columns of the file.
    pub(super) names: Vec<String>,
    /// For each column the map uses, its place in the file.
    places: Vec<usize>,
}

impl Binding {
    /// The place in the file of a column the map uses.
    pub(super) fn place(&self, column: usize) -> Option<usize> {
        self.places.get(column).copied()
    }
}

impl Map {
    /// A shipped map by its name, or a file by its path.
    pub fn load(name_or_path: &str) -> Result<Self, MapError> {
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(&format!("maps/{name}.toml"), text);
        }
        let text = fs::read_to_string(name_or_path).map_err(|error| {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            MapError {
                file: name_or_path.to_owned(),
                line: 1,
                key: "--map".to_owned(),
                rule: format!("cannot be read: {error}"),
                remedy: format!("name a file, or one of the shipped maps {}", listed(&names)),
            }
        })?;
        Self::parse(name_or_path, &text)
    }

    /// Reads a map; `file` is what faults call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, MapError> {
        let doc = Doc { file, text };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            doc.fault(at, "TOML", error.message(), "correct the line; everything is `key = value`")
        })?;
        let tables = members(&doc, "", table.get_ref());
        for (key, node) in &tables {
            if !TABLES.contains(key) {
                let rule = format!("a map has no table `{key}`");
                return Err(node.fault(rule, did_you_mean(key, &TABLES)));
            }
        }
        let find = |key: &str| tables.iter().find(|(name, _)| *name == key).map(|(_, node)| node);
        let missing = |key: &str, remedy: &str| {
            doc.fault(0, key, format!("`{key}` is missing"), remedy.to_owned())
        };
        let source = find("source")
            .ok_or_else(|| missing("source", "add [source] with `source` and `format`"))?;
        let source = Source::read(source)?;

        let mut scope = Scope { declared: source.columns.clone(), ..Scope::default() };
        let values = find("values").map_or(Ok(Vec::new()), Node::table)?;
        scope.all_values = values.iter().map(|(name, _)| (*name).to_owned()).collect();
        let values = read_values(&values, &mut scope, &source)?;
        let every = match find("every") {
            Some(node) => attributes(node, &[], &mut scope)?,
            None => Attributes::new(),
        };
        let events = find("event").ok_or_else(|| missing("event", "add at least one [[event]]"))?;
        let events = read_events(events, &every, source.imported, &mut scope)?;

        let mut map = Self {
            name: file.to_owned(),
            hash: HEXLOWER.encode(&Sha256::digest(text)),
            quoted_source: String::new(),
            columns: scope.used,
            counters: scope.counters,
            source,
            values,
            events,
        };
        map.set_source(map.source.uri.clone());
        Ok(map)
    }

    /// The same map for another CloudEvents source. Its events are other events: sources and ids
    /// together make an identity.
    #[must_use]
    pub fn with_source(mut self, source: &str) -> Self {
        self.hash = HEXLOWER.encode(&Sha256::digest(format!("{} {source}", self.hash)));
        self.set_source(source.to_owned());
        self
    }

    /// The CloudEvents source of its events.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source.uri
    }

    /// SHA-256 in hexadecimal: two maps with one hash make the same events of the same file.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    fn set_source(&mut self, source: String) {
        self.quoted_source.clear();
        push_json_text(&source, &mut self.quoted_source);
        self.source.uri = source;
    }

    pub(super) fn delimiter(&self) -> Delimiter {
        self.source.delimiter
    }

    /// The columns of a file without a header.
    pub(super) fn declared_columns(&self) -> Option<&[String]> {
        self.source.columns.as_deref()
    }

    pub(super) fn is_personal(&self, column: &str) -> bool {
        self.source.personal.iter().any(|personal| personal == column)
    }

    pub(super) fn has_personal(&self) -> bool {
        !self.source.personal.is_empty()
    }

    /// The name of a column the map uses.
    pub(super) fn column(&self, column: usize) -> Option<&str> {
        self.columns.get(column).map(|column| column.name.as_str())
    }

    pub(super) fn counters(&self) -> Counters {
        vec![HashMap::new(); self.counters]
    }

    /// Finds the columns of the map in a header; `file` and `line` are where the header stands.
    pub(super) fn bind(
        &self,
        file: &str,
        line: u64,
        header: &[Cow<'_, str>],
    ) -> Result<Binding, FileError> {
        let refused = |rule: String, remedy: String| FileError::Refused {
            file: file.to_owned(),
            line,
            rule,
            remedy,
        };
        let known: Vec<&str> = header.iter().map(AsRef::as_ref).collect();
        if let Some((name, _)) = self.values.iter().find(|(name, _)| known.contains(&name.as_str()))
        {
            return Err(refused(
                format!("`{name}` is a column here and a value of {}", self.name),
                "give the value another name".to_owned(),
            ));
        }
        let mut places = Vec::with_capacity(self.columns.len());
        for Column { name, line, key } in &self.columns {
            let mut found = known.iter().enumerate().filter(|(_, column)| *column == name);
            let Some((place, _)) = found.next() else {
                let values = self.values.iter().map(|(name, _)| name.as_str());
                let names: Vec<&str> = known.iter().copied().chain(values).collect();
                return Err(refused(
                    format!("no column `{name}`, which {}:{line} uses in `{key}`", self.name),
                    did_you_mean(name, &names),
                ));
            };
            if found.next().is_some() {
                return Err(refused(
                    format!("two columns are called `{name}`"),
                    "give one of them another name".to_owned(),
                ));
            }
            places.push(place);
        }
        Ok(Binding { names: header.iter().map(|name| name.clone().into_owned()).collect(), places })
    }

    /// The events of one row, each as JSON, added to `out`: all of them or a fault.
    pub(super) fn apply(
        &self,
        binding: &Binding,
        number: u64,
        fields: &[Cow<'_, str>],
        counters: &mut Counters,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), Fault> {
        let cells = self.cells(binding, fields);
        let row = self.row(number, &cells, counters);
        for event in &self.events {
            if let Some(json) = event.of(&row, &self.quoted_source)? {
                out.push(json.into_bytes());
            }
        }
        Ok(())
    }

    /// Counts a row that is passed over, so that `nth` goes on as if it had been read.
    pub(super) fn count(
        &self,
        binding: &Binding,
        number: u64,
        fields: &[Cow<'_, str>],
        counters: &mut Counters,
    ) {
        if self.counters > 0 {
            let cells = self.cells(binding, fields);
            self.row(number, &cells, counters);
        }
    }

    fn cells<'r>(&self, binding: &Binding, fields: &'r [Cow<'_, str>]) -> Vec<Option<&'r str>> {
        let meant = |text: &&str| !self.source.nulls.iter().any(|null| null == text);
        let cell = |place: &usize| fields.get(*place).map(AsRef::as_ref).filter(meant);
        binding.places.iter().map(cell).collect()
    }

    fn row<'r>(
        &'r self,
        number: u64,
        cells: &'r [Option<&'r str>],
        counters: &mut Counters,
    ) -> Row<'r> {
        let mut row = Row { number, cells, values: Vec::with_capacity(self.values.len()) };
        for (name, form) in &self.values {
            // A value nobody asks for may be wrong: its fault waits until an event uses it.
            let value = form.eval(&row, counters).map_err(|mut fault| {
                if !fault.detail.starts_with("value ") {
                    fault.detail = format!("value `{name}`: {}", fault.detail);
                }
                fault
            });
            row.values.push(value);
        }
        row
    }
}

impl Source {
    fn read(node: &Node<'_>) -> Result<Self, MapError> {
        let members = node.table()?;
        for (key, member) in &members {
            if !SOURCE_KEYS.contains(key) {
                let rule = format!("[source] has no `{key}`");
                return Err(member.fault(rule, did_you_mean(key, &SOURCE_KEYS)));
            }
        }
        let find = |key: &str| members.iter().find(|(name, _)| *name == key).map(|(_, node)| node);
        let texts = |key: &str| find(key).map(Node::texts).transpose();
        let source = find("source").ok_or_else(|| {
            node.fault("`source` is missing", "add it, such as source = \"/import/hotel\"")
        })?;
        if let Some(format) = find("format")
            && format.text()? != "csv"
        {
            return Err(format.fault(
                "a map reads tables only",
                "write format = \"csv\"; events in JSON Lines need no map",
            ));
        }
        let zone = match find("zone") {
            None => TimeZone::UTC,
            Some(zone) => TimeZone::get(zone.text()?).map_err(|_| {
                let rule = format!("`{}` is not a time zone", zone.text().unwrap_or_default());
                zone.fault(rule, "write one such as \"Asia/Jakarta\" or \"UTC\"")
            })?,
        };
        Ok(Self {
            uri: source.text()?.to_owned(),
            delimiter: find("delimiter").map_or(Ok(Delimiter::Character(',')), delimiter)?,
            columns: texts("columns")?,
            nulls: texts("nulls")?.unwrap_or_else(|| vec![String::new()]),
            zone,
            imported: find("imported").map_or(Ok(true), Node::truth)?,
            personal: texts("personal")?.unwrap_or_default(),
        })
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

fn read_values(
    nodes: &[(&str, Node<'_>)],
    scope: &mut Scope,
    source: &Source,
) -> Result<Vec<(String, Form)>, MapError> {
    let mut values = Vec::with_capacity(nodes.len());
    for (name, node) in nodes {
        let declared = source.columns.iter().flatten().any(|column| column == name);
        if declared || *name == "row" {
            let rule = format!("`{name}` already names a column or the row");
            return Err(node.fault(rule, "choose another name"));
        }
        let form = Form::compile(node, scope, &source.zone)?;
        scope.values.push((*name).to_owned());
        values.push(((*name).to_owned(), form));
    }
    Ok(values)
}

fn read_events(
    node: &Node<'_>,
    every: &Attributes,
    imported: bool,
    scope: &mut Scope,
) -> Result<Vec<Event>, MapError> {
    let mut events: Vec<Event> = Vec::new();
    for node in node.list()? {
        let event = Event::compile(&node, every, imported, scope)?;
        if events.iter().any(|other| other.id() == event.id()) {
            return Err(node.fault(
                "another event has the same id",
                "end each id with a word of its own, such as \"{key}-requested\"",
            ));
        }
        events.push(event);
    }
    Ok(events)
}
