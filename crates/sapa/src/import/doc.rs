//! A TOML document that remembers where everything stands.
//!
//! Maps are checked by hand and not by derived deserialisation, so that a fault names its line, its
//! key and its remedy, and so that tables keep the order they are written in.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::MapError;

/// The text of a map and what it is called in faults.
pub(super) struct Doc<'d> {
    pub(super) file: &'d str,
    pub(super) text: &'d str,
}

impl Doc<'_> {
    /// A fault at a byte of the text.
    pub(super) fn fault(
        &self,
        at: usize,
        key: &str,
        rule: impl Into<String>,
        remedy: impl Into<String>,
    ) -> MapError {
        MapError {
            file: self.file.to_owned(),
            line: self.line(at),
            key: key.to_owned(),
            rule: rule.into(),
            remedy: remedy.into(),
        }
    }

    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// One value of the document with its full key.
#[derive(Clone)]
pub(super) struct Node<'d> {
    pub(super) doc: &'d Doc<'d>,
    pub(super) key: String,
    pub(super) at: usize,
    pub(super) value: &'d DeValue<'d>,
}

impl<'d> Node<'d> {
    pub(super) fn fault(&self, rule: impl Into<String>, remedy: impl Into<String>) -> MapError {
        self.doc.fault(self.at, &self.key, rule, remedy)
    }

    pub(super) fn line(&self) -> usize {
        self.doc.line(self.at)
    }

    pub(super) fn text(&self) -> Result<&'d str, MapError> {
        self.value.as_str().ok_or_else(|| self.not("a text", "write it in quotes"))
    }

    pub(super) fn truth(&self) -> Result<bool, MapError> {
        self.value.as_bool().ok_or_else(|| self.not("true or false", "write it without quotes"))
    }

    /// The members of a table in the order they are written.
    pub(super) fn table(&self) -> Result<Vec<(&'d str, Self)>, MapError> {
        let table = self
            .value
            .as_table()
            .ok_or_else(|| self.not("a table", "write `key = value` pairs in it"))?;
        Ok(members(self.doc, &self.key, table))
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Result<Vec<Self>, MapError> {
        let list =
            self.value.as_array().ok_or_else(|| self.not("a list", "write it in brackets"))?;
        Ok(list.iter().map(|element| self.element(element)).collect())
    }

    /// The elements of a list, or the value itself as the only one.
    pub(super) fn one_or_more(&self) -> Result<Vec<Self>, MapError> {
        if self.value.as_array().is_some() { self.list() } else { Ok(vec![self.clone()]) }
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, MapError> {
        self.list()?.iter().map(|node| node.text().map(str::to_owned)).collect()
    }

    fn element(&self, element: &'d Spanned<DeValue<'d>>) -> Self {
        Self {
            doc: self.doc,
            key: self.key.clone(),
            at: element.span().start,
            value: element.get_ref(),
        }
    }

    fn not(&self, wanted: &str, remedy: &str) -> MapError {
        self.fault(format!("this is {}, not {wanted}", self.value.type_str()), remedy)
    }
}

/// The members of a table in the order they are written; `above` is the key of the table.
pub(super) fn members<'d>(
    doc: &'d Doc<'d>,
    above: &str,
    table: &'d DeTable<'d>,
) -> Vec<(&'d str, Node<'d>)> {
    let mut members: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let name: &'d str = key.get_ref();
            let full = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
            (name, Node { doc, key: full, at: key.span().start, value: value.get_ref() })
        })
        .collect();
    members.sort_by_key(|(_, node)| node.at);
    members
}
