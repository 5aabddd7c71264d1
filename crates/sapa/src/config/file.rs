//! One configuration file: its values by dotted name, each with its line and column. A table in
//! the place of a value, a value in the place of a table, and every unknown name are refused.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::layers::{Origin, Resolved, unknown};
use super::value::{Misfit, Setting, Sort};
use super::{ConfigError, KEYS, Key, table};
use crate::say;

/// Reads a file; `None` if it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<(&'static Key, Resolved)>>, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(ConfigError {
                place: path.display().to_string(),
                fault: say!("cannot be read ({error})", "tidak dapat dibaca ({error})"),
                remedy: say!(
                    "check that it is a file of UTF-8 text that this user may read",
                    "periksa bahwa ini berkas teks UTF-8 yang boleh dibaca pengguna ini"
                ),
            });
        }
    };
    parse(path, &text).map(Some)
}

/// Reads the text of a file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<(&'static Key, Resolved)>, ConfigError> {
    let file = File { path: path.to_path_buf(), text };
    let root = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |it| it.start);
        let why = error.message();
        let fault = say!("is not valid TOML: {why}", "bukan TOML yang sah: {why}");
        file.fault(at, fault, say!("correct this line", "perbaiki baris ini"))
    })?;
    let mut found = Vec::new();
    file.table("", root.get_ref(), &mut found)?;
    Ok(found)
}

struct File<'t> {
    path: PathBuf,
    text: &'t str,
}

impl File<'_> {
    fn table(
        &self,
        prefix: &str,
        members: &DeTable<'_>,
        found: &mut Vec<(&'static Key, Resolved)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in members {
            self.member(prefix, name, value, found)?;
        }
        Ok(())
    }

    fn member(
        &self,
        prefix: &str,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        found: &mut Vec<(&'static Key, Resolved)>,
    ) -> Result<(), ConfigError> {
        let at = name.span().start;
        let full = format!("{prefix}{}", name.get_ref());
        let group = format!("{full}.");
        let is_group = KEYS.iter().any(|it| it.name.starts_with(&group));
        match (table::find(&full), value.get_ref()) {
            (None, DeValue::Table(members)) if is_group => self.table(&group, members, found),
            (None, _) if is_group => {
                let remedy = say!(
                    "write [{full}] and its members below",
                    "tulis [{full}] dan anggotanya di bawahnya"
                );
                let fault = say!(
                    "`{full}` is a group of keys, not a key",
                    "`{full}` adalah kelompok kunci, bukan kunci"
                );
                Err(self.fault(at, fault, remedy))
            }
            (None, _) => {
                let (fault, remedy) =
                    unknown(&say!("key", "kunci"), &full, KEYS.iter().map(|it| it.name));
                Err(self.fault(at, fault, remedy))
            }
            (Some(key), value) => {
                let setting = setting(key.sort, value).map_err(|(fault, remedy)| {
                    self.fault(at, format!("`{full}` {fault}"), remedy)
                })?;
                found.push((key, Resolved { setting, origin: self.origin(at) }));
                Ok(())
            }
        }
    }

    fn origin(&self, at: usize) -> Origin {
        let (line, column) = place(self.text, at);
        Origin::File { path: self.path.clone(), line, column }
    }

    fn fault(&self, at: usize, fault: String, remedy: impl Into<String>) -> ConfigError {
        ConfigError { place: self.origin(at).to_string(), fault, remedy: remedy.into() }
    }
}

fn setting(sort: Sort, value: &DeValue<'_>) -> Result<Setting, Misfit> {
    match value {
        DeValue::Array(items) => sort.read_list(texts(items)?),
        other => sort.read(&scalar(other)?),
    }
}

fn texts(items: &DeArray<'_>) -> Result<Vec<String>, Misfit> {
    items.iter().map(|it| scalar(it.get_ref())).collect()
}

fn scalar(value: &DeValue<'_>) -> Result<String, Misfit> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => {
            Ok(number.as_str().trim_start_matches('+').replace('_', ""))
        }
        other => {
            let found = other.type_str();
            Err((
                say!("is a {found}", "berupa {found}"),
                say!("write a text or a number", "tulis teks atau angka"),
            ))
        }
    }
}

/// Line and column, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |it| it.chars().count()) + 1;
    (line, column)
}
