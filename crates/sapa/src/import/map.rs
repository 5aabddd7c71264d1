//! A map: how the rows of a file become events. Read from TOML, checked whole, then applied.
//!
//! The language is described in `docs/reference/import-maps.md`: `[source]` describes the file,
//! `[settings]` names what is chosen on the command line, `[values]` names what is made of the
//! columns, `[every]` and `[[event]]` say what each row tells. A map has no loops and no clock, and
//! row 7 knows nothing of row 6, except for the counting of `nth`. What can be found wrong without a
//! file is found when the map is read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;

use data_encoding::HEXLOWER;
use events::cloudevents::BATCH_EVENTS_MAX;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::doc::{Doc, Node, members};
use super::event::{Attributes, Event, attributes};
use super::fault::{Fault, FileError, MapError, did_you_mean, listed};
use super::forms::{Counters, Form};
use super::shipped;
use super::source::{Format, Source};
use super::template::{Column, Row, Scope};
use super::value::push_json_text;

/// The tables of a map.
pub(super) const TABLES: [&str; 5] = ["source", "settings", "values", "every", "event"];
/// The keys of one setting.
pub(super) const SETTING_KEYS: [&str; 2] = ["about", "default"];

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
    settings: Vec<(String, String)>,
    reads_numbers: bool,
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
    /// A shipped map by its name, or a file by its path, with what is set on the command line.
    pub fn load(name_or_path: &str, settings: &[(String, String)]) -> Result<Self, MapError> {
        if let Some(map) = shipped::find(name_or_path) {
            return Self::parse_with(&format!("maps/{}.toml", map.name), map.text, settings);
        }
        let text = fs::read_to_string(name_or_path).map_err(|error| {
            let names: Vec<&str> = shipped::SHIPPED.iter().map(|map| map.name).collect();
            MapError {
                file: name_or_path.to_owned(),
                line: 1,
                key: "--map".to_owned(),
                rule: format!("cannot be read: {error}"),
                remedy: format!("name a file, or one of the shipped maps {}", listed(&names)),
            }
        })?;
        Self::parse_with(name_or_path, &text, settings)
    }

    /// Reads a map that needs no settings; `file` is what faults call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, MapError> {
        Self::parse_with(file, text, &[])
    }

    /// Reads a map; `file` is what faults call it.
    pub fn parse_with(file: &str, text: &str, set: &[(String, String)]) -> Result<Self, MapError> {
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
        let settings = read_settings(&doc, find("settings"), set)?;
        let source = find("source")
            .ok_or_else(|| missing("source", "add [source] with `source` and `format`"))?;
        let source = Source::read(source, &settings)?;

        let mut scope = Scope {
            declared: source.declared_columns().map(<[String]>::to_vec),
            settings,
            ..Scope::default()
        };
        let values = find("values").map_or(Ok(Vec::new()), Node::table)?;
        scope.all_values = values.iter().map(|(name, _)| (*name).to_owned()).collect();
        let values = read_values(&values, &mut scope)?;
        let every = match find("every") {
            Some(node) => attributes(node, &[], &mut scope)?,
            None => Attributes::new(),
        };
        let events = find("event").ok_or_else(|| missing("event", "add at least one [[event]]"))?;
        let events = read_events(events, &every, source.imported, &mut scope)?;

        let set = serde_json::to_string(&scope.settings).unwrap_or_default();
        let mut map = Self {
            name: file.to_owned(),
            hash: HEXLOWER.encode(&Sha256::digest(format!("{text}{set}"))),
            quoted_source: String::new(),
            columns: scope.used,
            counters: scope.counters,
            reads_numbers: scope.reads_numbers,
            settings: scope.settings,
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

    /// How the file is built.
    pub(super) fn description(&self) -> &Source {
        &self.source
    }

    /// The map reads numbers and does not say how the file writes them.
    #[must_use]
    pub fn leaves_numbers_open(&self) -> bool {
        self.reads_numbers && self.source.spelling.numbers.is_open()
    }

    pub(super) fn is_personal(&self, column: &str) -> bool {
        !self.is_table() || self.source.personal.iter().any(|personal| personal == column)
    }

    /// What people wrote freely (chats, calendars) is personal without being declared so.
    pub(super) fn has_personal(&self) -> bool {
        !self.is_table() || !self.source.personal.is_empty()
    }

    fn is_table(&self) -> bool {
        matches!(self.source.format, Format::Table { .. })
    }

    /// The names of the columns that the map uses.
    pub(super) fn used_columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
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
        if let Some((name, _)) =
            self.settings.iter().find(|(name, _)| known.contains(&name.as_str()))
        {
            return Err(refused(
                format!("`{name}` is a column here and a setting of {}", self.name),
                "give the setting another name".to_owned(),
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
            match event.of(&row, &self.quoted_source) {
                Ok(Some(json)) => out.push(json.into_bytes()),
                Ok(None) => {}
                Err(mut fault) => {
                    fault.event_id = self.events.iter().find_map(|it| it.id_of(&row));
                    return Err(fault);
                }
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
        // Only a table can have a column that is there and empty.
        let empty_is_null = !self.is_table();
        let meant = |text: &&str| {
            let is_null = self.source.nulls.iter().any(|null| null == text);
            !is_null && (!empty_is_null || !text.is_empty())
        };
        let cell = |place: &usize| fields.get(*place).map(AsRef::as_ref).filter(meant);
        binding.places.iter().map(cell).collect()
    }

    fn row<'r>(
        &'r self,
        number: u64,
        cells: &'r [Option<&'r str>],
        counters: &mut Counters,
    ) -> Row<'r> {
        let (spelling, values) = (&self.source.spelling, Vec::with_capacity(self.values.len()));
        let mut row = Row { number, spelling, cells, values };
        for (name, form) in &self.values {
            // A value nobody asks for may be wrong: its fault waits until an event uses it.
            let value = form.eval(&row, counters).map_err(|fault| fault.of_value(name));
            row.values.push(value);
        }
        row
    }
}

/// What is chosen on the command line: given, or the default that the map names.
fn read_settings(
    doc: &Doc<'_>,
    node: Option<&Node<'_>>,
    set: &[(String, String)],
) -> Result<Vec<(String, String)>, MapError> {
    let members = node.map_or(Ok(Vec::new()), Node::table)?;
    let known: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    if let Some((name, _)) = set.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        let remedy = match known.as_slice() {
            [] => "this map has no settings; take it away".to_owned(),
            known => did_you_mean(name, known),
        };
        return Err(doc.fault(0, &format!("--set {name}"), "the map has no such setting", remedy));
    }
    let mut settings = Vec::with_capacity(members.len());
    for (name, node) in &members {
        if *name == "row" {
            return Err(node.fault("`row` already names the row", "choose another name"));
        }
        let parts = node.table()?;
        if let Some((key, part)) = parts.iter().find(|(key, _)| !SETTING_KEYS.contains(key)) {
            let rule = format!("a setting has no `{key}`");
            return Err(part.fault(rule, did_you_mean(key, &SETTING_KEYS)));
        }
        let part =
            |wanted: &str| parts.iter().find(|(key, _)| *key == wanted).map(|(_, node)| node);
        let about = part("about").ok_or_else(|| {
            node.fault("`about` is missing", "say what the setting is for, for whoever imports")
        })?;
        let about = about.text()?;
        let given = set.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
        let value = match (given, part("default")) {
            (Some(value), _) => value,
            (None, Some(default)) => default.text()?.to_owned(),
            (None, None) => {
                let remedy = format!("add --set {name}=…: {about}");
                return Err(node.fault("the map needs this setting", remedy));
            }
        };
        settings.push(((*name).to_owned(), value));
    }
    Ok(settings)
}

fn read_values(
    nodes: &[(&str, Node<'_>)],
    scope: &mut Scope,
) -> Result<Vec<(String, Form)>, MapError> {
    let mut values = Vec::with_capacity(nodes.len());
    for (name, node) in nodes {
        let declared = scope.declared.iter().flatten().any(|column| column == name);
        let set = scope.settings.iter().any(|(setting, _)| setting == name);
        if declared || set || *name == "row" {
            let rule = format!("`{name}` already names a column, a setting or the row");
            return Err(node.fault(rule, "choose another name"));
        }
        let form = Form::compile(node, scope)?;
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
    // A row is recorded as one request.
    if BATCH_EVENTS_MAX < events.len() {
        let rule = format!("a row has at most {BATCH_EVENTS_MAX} events");
        return Err(node.fault(rule, "split the map into two"));
    }
    Ok(events)
}
