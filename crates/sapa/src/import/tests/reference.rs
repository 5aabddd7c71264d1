//! `docs/reference/import-maps.md` is the whole language: every word that the parser knows stands in it,
//! and every map in it is one.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::shipped::SHIPPED;
use super::super::{Map, date_forms, event, forms, map, source, spelling};

fn reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/import-maps.md");
    std::fs::read_to_string(path).unwrap()
}

/// The words of everything that is set as code.
fn words(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.split('`').skip(1).step_by(2).flat_map(|code| code.split(|c| !is_part(c))).collect()
}

#[test]
fn every_word_of_the_language_is_explained() {
    let text = reference().replace("```", "`");
    let words = words(&text);
    let forms = forms::FORMS.iter().flat_map(|(form, parts)| parts.iter().chain([form]));
    let known = map::TABLES
        .iter()
        .chain(&map::SETTING_KEYS)
        .chain(&source::KEYS)
        .chain(&source::FORMATS)
        .chain(&source::ENCODINGS)
        .chain(&spelling::KEYS)
        .chain(&date_forms::WORDS)
        .chain(&event::ATTRIBUTES)
        .chain(&["type", "when", "data", "tab", "blank", "none", "space", "row", "null"])
        .copied()
        .chain(forms.copied())
        .chain(forms::UNITS.iter().map(|(unit, _)| *unit))
        .chain(SHIPPED.iter().map(|map| map.name));
    let missing: Vec<&str> = known.filter(|word| !words.contains(word)).collect();
    assert!(missing.is_empty(), "the reference does not explain {missing:?}");
}

#[test]
fn every_map_of_the_reference_is_one() {
    let text = reference();
    let maps: Vec<&str> =
        text.split("```toml").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(4 <= maps.len(), "{} maps", maps.len());
    for map in maps {
        let set = [("venue".to_owned(), "aula-taman".to_owned())];
        let set = if map.contains("[settings]") { &set[..] } else { &[] };
        Map::parse_with("import-maps.md", map, set).unwrap();
    }
}

#[test]
fn every_shipped_map_and_its_settings_stand_in_the_reference() {
    let text = reference();
    for shipped in SHIPPED {
        let line = text.lines().find(|it| it.starts_with(&format!("| `{}` |", shipped.name)));
        let line = line.unwrap_or_else(|| panic!("no line for {}", shipped.name));
        let table: toml::Table = shipped.text.parse().unwrap();
        for name in table.get("settings").and_then(toml::Value::as_table).into_iter().flatten() {
            assert!(line.contains(&format!("`{}`", name.0)), "{}: {}", shipped.name, name.0);
        }
    }
}
