//! `sapa config`: what is set, where it came from, and what may be set.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::object;
use crate::cli::Format;
use crate::commands::session::Session;
use crate::config::{KEYS, Key, Setting, Sort};
use crate::exit::{Exit, Failure};
use crate::say;
use crate::serve::checks;

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Every value; with --origin also where it came from. Secrets appear as ***
    Show {
        #[arg(long)]
        origin: bool,
    },
    /// Whether the configuration is valid
    Check,
    /// Every key, as JSON Schema
    Schema,
    /// Write a file with every key and its default
    Init {
        /// The file to write
        #[arg(default_value = "sapa.toml")]
        file: PathBuf,
    },
}

impl Config {
    /// Prints or writes.
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::Show { origin } => show(session, origin)?,
            Self::Check => {
                // What `serve` refuses before it starts anything; reading it was the rest of the check.
                checks::settings(&session.config).refuse()?;
                session.output.note(&say!("the configuration is valid", "konfigurasinya sah"));
            }
            Self::Schema => {
                let schema = serde_json::to_string_pretty(&schema()).map_err(Failure::internal)?;
                session.output.text(&schema)?;
            }
            Self::Init { file } => init(session, &file)?,
        }
        Ok(Exit::Done)
    }
}

fn show(session: &Session, origin: bool) -> Result<(), Failure> {
    let lines: Vec<Value> = session
        .config
        .values()
        .map(|(key, it)| {
            let value = match &it.setting {
                Setting::Nothing => Value::Null,
                _ if key.secret => json!("***"),
                other => json!(other.to_string()),
            };
            let origin = origin.then(|| json!(it.origin.to_string()));
            object([("key", Some(json!(key.name))), ("value", Some(value)), ("origin", origin)])
        })
        .collect();
    if session.output.format == Format::Json {
        return session.output.value(&Value::from(lines), &[]);
    }
    let columns: &[&str] = if origin { &["key", "value", "origin"] } else { &["key", "value"] };
    session.output.value(&Value::from(lines), columns)
}

/// The schema of the file: one nested member a key.
fn schema() -> Value {
    let mut root = group("");
    root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".into(), json!("sapa.toml"));
    Value::Object(root)
}

/// The members below a prefix, and the groups among them.
fn group(prefix: &str) -> Map<String, Value> {
    let mut members = Map::new();
    for key in KEYS {
        let Some(rest) = key.name.strip_prefix(prefix) else { continue };
        match rest.split_once('.') {
            None => drop(members.insert(rest.to_owned(), member(key))),
            Some((name, _)) if !members.contains_key(name) => {
                let below = group(&format!("{prefix}{name}."));
                members.insert(name.to_owned(), Value::Object(below));
            }
            Some(_) => {}
        }
    }
    let mut group = Map::new();
    group.insert("type".into(), json!("object"));
    group.insert("additionalProperties".into(), json!(false));
    group.insert("properties".into(), Value::Object(members));
    group
}

fn member(key: &Key) -> Value {
    let mut it = Map::new();
    it.insert("type".into(), json!(key.sort.json_type()));
    it.insert("description".into(), json!(key.meaning));
    it.insert("x-env".into(), json!(key.variable()));
    match key.sort {
        Sort::OneOf(words) => drop(it.insert("enum".into(), json!(words))),
        Sort::Words(words) => drop(it.insert("items".into(), json!({"enum": words}))),
        Sort::Texts | Sort::Scopes => drop(it.insert("items".into(), json!({"type": "string"}))),
        Sort::Count(min, max) => {
            it.insert("minimum".into(), json!(min));
            it.insert("maximum".into(), json!(max));
        }
        Sort::Duration => drop(it.insert("pattern".into(), json!("^[0-9]+(ms|s|m|h|d)$"))),
        _ => {}
    }
    if let Some(default) = default(key) {
        it.insert("default".into(), default);
    }
    if let Some(instead) = key.later {
        it.insert("deprecated".into(), json!(true));
        it.insert("description".into(), json!(format!("not built; use {instead}")));
    }
    Value::Object(it)
}

fn default(key: &Key) -> Option<Value> {
    if key.default.is_empty() {
        return None;
    }
    Some(match key.sort {
        Sort::Flag => json!(key.default == "true"),
        Sort::Count(..) => json!(key.default.parse::<u64>().ok()?),
        Sort::Texts | Sort::Words(_) | Sort::Scopes => {
            json!(key.default.split(',').map(str::trim).collect::<Vec<_>>())
        }
        _ => json!(key.default),
    })
}

/// Writes a file in which every line is a comment that can be taken out of it.
fn init(session: &Session, file: &Path) -> Result<(), Failure> {
    use std::fmt::Write as _;
    let mut text =
        String::from("# Sapa. Every key with its default; remove the # to change one.\n");
    let mut group = "";
    for key in KEYS.iter().filter(|it| it.later.is_none()) {
        let (of, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        // Writing into a string cannot fail.
        if of != group {
            let _ = write!(text, "\n[{of}]\n");
            group = of;
        }
        let value = default(key).map_or_else(|| "\"\"".to_owned(), |it| it.to_string());
        let _ = writeln!(text, "# {}\n# {name} = {value}", key.meaning);
    }
    let opened = std::fs::File::create_new(file);
    opened
        .and_then(|mut it| std::io::Write::write_all(&mut it, text.as_bytes()))
        .map_err(|error| Failure::file("write", file, &error))?;
    let file = file.display();
    session.output.note(&say!("{file} is written", "{file} sudah ditulis"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_every_key_of_the_table_and_no_other() {
        fn leaves(at: &str, node: &Value, found: &mut Vec<String>) {
            for (name, node) in node["properties"].as_object().into_iter().flatten() {
                let full = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                if node["type"] == "object" { leaves(&full, node, found) } else { found.push(full) }
            }
        }
        let mut found = Vec::new();
        leaves("", &schema(), &mut found);
        let mut wanted: Vec<String> = KEYS.iter().map(|it| it.name.to_owned()).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    }
}
