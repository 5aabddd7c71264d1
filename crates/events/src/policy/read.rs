//! Reading the body of a policy: every fault is found in one pass and named by its place.
//!
//! Promises: a [`Finding`] has a JSON pointer into the body, a rule that never changes its name,
//! and a sentence that says what would be right. Reading never stops at the first fault: a member
//! that is wrong is noted and a stand-in is read, so the caller must ask for the findings.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Map, Value};

/// One fault in the body of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// JSON pointer from the body's root; empty for the body as a whole.
    pub pointer: String,
    /// What kind of fault it is: a stable word such as `range` or `unknown_field`.
    pub rule: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
    /// The same in Indonesian.
    #[serde(skip)]
    pub indonesian: String,
}

/// A place in a body and what stands there, if anything.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pointer: String,
    value: Option<&'a Value>,
    findings: &'a RefCell<Vec<Finding>>,
}

/// The members of an object; whoever has read them all calls [`Members::done`].
#[derive(Debug)]
pub(super) struct Members<'a> {
    node: Node<'a>,
    map: Option<&'a Map<String, Value>>,
    asked: RefCell<Vec<&'static str>>,
}

/// Reads a whole body, and gives what was read or all findings, ordered by place.
pub(super) fn read_body<T>(
    body: &Value,
    read: impl for<'a> FnOnce(&Node<'a>) -> T,
) -> Result<T, Vec<Finding>> {
    let findings = RefCell::new(Vec::new());
    let value = read(&Node { pointer: String::new(), value: Some(body), findings: &findings });
    let mut findings = findings.into_inner();
    findings.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    if findings.is_empty() { Ok(value) } else { Err(findings) }
}

impl<'a> Node<'a> {
    /// Notes a fault of this place.
    pub(super) fn fault(
        &self,
        rule: &'static str,
        detail: impl Into<String>,
        indonesian: impl Into<String>,
    ) {
        let (pointer, detail) = (self.pointer.clone(), detail.into());
        let finding = Finding { pointer, rule, detail, indonesian: indonesian.into() };
        self.findings.borrow_mut().push(finding);
    }

    /// Whether anything stands here.
    pub(super) fn is_present(&self) -> bool {
        self.value.is_some()
    }

    /// The members of the object that stands here.
    pub(super) fn members(&self) -> Members<'a> {
        let map = self.value.and_then(Value::as_object);
        if map.is_none() && self.value.is_some() {
            self.fault(
                "type",
                "must be an object with named members",
                "harus objek dengan anggota bernama",
            );
        }
        Members { node: self.clone(), map, asked: RefCell::new(Vec::new()) }
    }

    /// Every member of the object that stands here, by its own name.
    pub(super) fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let Some(map) = self.members().map else { return Vec::new() };
        map.iter().map(|(name, value)| (name.as_str(), self.child(name, Some(value)))).collect()
    }

    /// The items of the list that stands here.
    pub(super) fn items(&self) -> Vec<Node<'a>> {
        let Some(list) = self.value.and_then(Value::as_array) else {
            if self.value.is_some() {
                self.fault("type", "must be a list", "harus daftar");
            }
            return Vec::new();
        };
        let items = list.iter().enumerate();
        items.map(|(index, item)| self.child(&index.to_string(), Some(item))).collect()
    }

    /// A set of things, none of them named twice.
    pub(super) fn set<T: Ord>(&self, read: impl Fn(&Node<'a>) -> Option<T>) -> BTreeSet<T> {
        let mut set = BTreeSet::new();
        for item in self.items() {
            if let Some(value) = read(&item)
                && !set.insert(value)
            {
                item.fault(
                    "duplicate",
                    "stands here twice; leave one out",
                    "tertulis dua kali; hapus salah satu",
                );
            }
        }
        set
    }

    /// Named things; each name must be an id or a slug, as `name` checks it.
    pub(super) fn named<T>(
        &self,
        is_name: impl Fn(&str) -> bool,
        read: impl Fn(&Node<'a>) -> T,
    ) -> BTreeMap<String, T> {
        let mut all = BTreeMap::new();
        for (name, node) in self.entries() {
            if !is_name(name) {
                node.fault(
                    "bad_id",
                    "its name may hold letters, digits, - and _ only",
                    "namanya hanya boleh huruf, angka, - dan _",
                );
            }
            all.insert(name.to_owned(), read(&node));
        }
        all
    }

    /// A whole number within `range`.
    pub(super) fn int(&self, range: RangeInclusive<i64>) -> i64 {
        let Some(value) = self.value else { return *range.start() };
        let Some(number) = value.as_i64() else {
            self.fault("type", "must be a whole number", "harus bilangan bulat");
            return *range.start();
        };
        if !range.contains(&number) {
            self.fault(
                "range",
                format!("must be {} to {}", range.start(), range.end()),
                format!("harus {} sampai {}", range.start(), range.end()),
            );
        }
        number
    }

    /// A number, whole or decimal, within `range`.
    pub(super) fn number(&self, range: RangeInclusive<f64>) -> f64 {
        let Some(value) = self.value else { return *range.start() };
        let Some(number) = value.as_f64() else {
            self.fault("type", "must be a number", "harus bilangan");
            return *range.start();
        };
        if !range.contains(&number) {
            self.fault(
                "range",
                format!("must be {} to {}", range.start(), range.end()),
                format!("harus {} sampai {}", range.start(), range.end()),
            );
        }
        number
    }

    /// Yes or no.
    pub(super) fn bool(&self) -> bool {
        let Some(value) = self.value else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.fault("type", "must be true or false", "harus true atau false");
            false
        })
    }

    /// A text.
    pub(super) fn text(&self) -> &'a str {
        let Some(value) = self.value else { return "" };
        value.as_str().unwrap_or_else(|| {
            self.fault("type", "must be a text in quotes", "harus teks dalam tanda kutip");
            ""
        })
    }

    /// A text that `is_valid` accepts, and what to say when it does not.
    pub(super) fn name(&self, is_valid: impl Fn(&str) -> bool) -> String {
        let text = self.text();
        if self.value.is_some_and(Value::is_string) && !is_valid(text) {
            self.fault(
                "bad_id",
                "must be 1 to 64 letters, digits, - or _, without spaces",
                "harus 1 sampai 64 huruf, angka, - atau _, tanpa spasi",
            );
        }
        text.to_owned()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text();
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() && self.value.is_some_and(Value::is_string) {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.fault(
                "choice",
                format!("must be one of: {}", words.join(", ")),
                format!("harus salah satu dari: {}", words.join(", ")),
            );
        }
        found
    }

    /// A local date, `YYYY-MM-DD`.
    pub(super) fn date(&self) -> Option<Date> {
        let text = self.text();
        let date = text.parse().ok().filter(|_| text.len() == 10);
        if date.is_none() && self.value.is_some_and(Value::is_string) {
            self.fault(
                "time_invalid",
                "must be a date such as 2026-08-17",
                "harus tanggal, misalnya 2026-08-17",
            );
        }
        date
    }

    fn child(&self, name: &str, value: Option<&'a Value>) -> Node<'a> {
        let token = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{token}", self.pointer);
        Node { pointer, value, findings: self.findings }
    }
}

impl<'a> Members<'a> {
    /// A member that must be there.
    pub(super) fn get(&self, name: &'static str) -> Node<'a> {
        let node = self.optional(name);
        if self.map.is_some() && !node.is_present() {
            node.fault(
                "required",
                "is missing; a policy is always written whole",
                "tidak ada; kebijakan selalu ditulis lengkap",
            );
        }
        node
    }

    /// A member that may be left out.
    pub(super) fn optional(&self, name: &'static str) -> Node<'a> {
        self.asked.borrow_mut().push(name);
        self.node.child(name, self.map.and_then(|map| map.get(name)))
    }

    /// Refuses members that nobody asked for.
    pub(super) fn done(self) {
        let asked = self.asked.into_inner();
        for (name, value) in self.map.into_iter().flatten() {
            if asked.contains(&name.as_str()) {
                continue;
            }
            let (en, id) = match closest(name, asked.iter().copied()) {
                Some(known) => (
                    format!("is not known; did you mean `{known}`?"),
                    format!("tidak dikenal; maksud Anda `{known}`?"),
                ),
                None => (
                    format!("is not known; known here: {}", asked.join(", ")),
                    format!("tidak dikenal; yang dikenal di sini: {}", asked.join(", ")),
                ),
            };
            self.node.child(name, Some(value)).fault("unknown_field", en, id);
        }
    }
}

/// A slug: `[a-z0-9][a-z0-9_-]{0,63}`.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    first && rest && text.len() <= 64
}

/// An id of a venue, a member of staff and the like: `[A-Za-z0-9][A-Za-z0-9._:-]{0,63}`.
pub(super) fn is_id(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
    first && rest && text.len() <= 64
}

/// The known word nearest to a misspelt one, if one is near enough to be meant: at most one edit
/// for each three letters begun.
pub fn closest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let most = word.chars().count().div_ceil(3);
    known
        .into_iter()
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance: letters inserted, left out or replaced.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (index, left) in a.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal + usize::from(left != right);
            diagonal = *cell;
            previous = changed.min(diagonal + 1).min(previous + 1);
            *cell = previous;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_the_word_that_was_meant() {
        let known = ["warn_percent", "thanks", "thanks_for"];
        assert_eq!(closest("warn_per_cent", known), Some("warn_percent"));
        assert_eq!(closest("thank", known), Some("thanks"));
        assert_eq!(closest("colour", known), None);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
    }

    #[test]
    fn slugs_and_ids_follow_their_grammar() {
        assert!(is_slug("hotel_stay") && is_slug("0-a") && is_slug(&"a".repeat(64)));
        assert!(!is_slug("Hotel") && !is_slug("_a") && !is_slug("") && !is_slug(&"a".repeat(65)));
        assert!(is_id("H1:204") && !is_id("a b") && !is_id(""));
    }
}
