//! `/schemas`: the catalogue of event types, and the JSON Schema of each, as publishers fetch them.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use events::schema;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::answer::json as text;

static CATALOGUE: LazyLock<String> = LazyLock::new(|| {
    let newest = |it: &schema::Entry| it.kind.newest_version() == it.version;
    let line = |it: &schema::Entry| {
        json!({
            "type": it.type_name,
            "title": it.title,
            "who": it.who,
            "stream": it.stream,
            "phase": it.phase,
            "personal": it.personal,
            "url": format!("/schemas/events/{}.v{}.json", it.kind.name(), it.version),
            "deprecated": !newest(it),
            // What is not built yet is refused with `not_built`.
            "built": it.kind.is_built(),
        })
    };
    text(&schema::catalogue().iter().map(line).collect::<Vec<_>>())
});

/// The catalogue: one line per type and version.
#[must_use]
pub fn catalogue() -> &'static str {
    &CATALOGUE
}

/// The schema in a file such as `booking.requested.v1.json`.
#[must_use]
pub fn file(name: &str) -> Option<&'static str> {
    let type_name = format!("sapa.{}", name.strip_suffix(".json")?);
    schema::catalogue().iter().find(|it| it.type_name == type_name).map(|it| it.text)
}

/// The `ETag` of a document: it changes when the text does.
#[must_use]
pub fn etag(text: &str) -> String {
    let hash = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
    format!("\"{}\"", hash.get(..16).unwrap_or(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_catalogue_leads_to_its_schema() {
        let lines: serde_json::Value = serde_json::from_str(catalogue()).unwrap();
        let lines = lines.as_array().unwrap();
        assert_eq!(lines.len(), schema::catalogue().len());
        for line in lines {
            let name = line["url"].as_str().unwrap().strip_prefix("/schemas/events/").unwrap();
            assert!(file(name).is_some(), "{name}");
        }
        assert!(file("weather.changed.v1.json").is_none());
    }
}
