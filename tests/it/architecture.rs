//! Which crate may use which, under which licences the whole may be given away, and what there may
//! be only one of. The lists of licences and of single versions stand in `.deny.toml`, so that
//! whoever has `cargo deny` checks the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::process::Command;

use serde_json::Value;
use toml::Table;

use crate::support::files::root;

/// What each crate may name, beside the small libraries below.
const MAY_USE: &[(&str, &[&str])] = &[
    ("events", &["jsonschema", "toml", "unicode-normalization"]),
    ("store", &["events", "jiff-sqlx", "sqlx", "tokio", "tokio-util"]),
    ("ingest", &["events", "store", "async-nats", "bytes", "futures-util", "tokio", "tokio-util"]),
    (
        "projections",
        &[
            "events",
            "store",
            "futures-util",
            "rmp-serde",
            "sqlx",
            "tokio",
            "tokio-util",
            "unicode-normalization",
        ],
    ),
    ("reactions", &["events", "store", "projections", "tokio", "tokio-util"]),
    (
        "delivery",
        &[
            "events",
            "store",
            "async-nats",
            "bytes",
            "futures-util",
            "reqwest",
            "tokio",
            "tokio-util",
        ],
    ),
    (
        "api",
        &[
            "events",
            "store",
            "projections",
            "reactions",
            "async-nats",
            "axum",
            "bytes",
            "futures-util",
            "hmac",
            "hyper",
            "hyper-util",
            "prometheus-client",
            "tokio",
            "tokio-util",
            "tower",
            "tower-http",
        ],
    ),
    (
        "sapa",
        &[
            "events",
            "store",
            "ingest",
            "projections",
            "reactions",
            "delivery",
            "api",
            "anyhow",
            "async-nats",
            "bytes",
            "clap",
            "comfy-table",
            "csv",
            "flate2",
            "futures-util",
            "hmac",
            "hyper",
            "hyper-util",
            "icalendar",
            "indicatif",
            "mimalloc",
            "nkeys",
            "prometheus-client",
            "regex",
            "reqwest",
            "rustix",
            "rustls",
            "tar",
            "tokio",
            "tokio-util",
            "toml",
            "tracing-subscriber",
            "unicode-normalization",
        ],
    ),
];

/// What any crate may name: values, their spelling, and how errors and spans are written.
const SMALL: &[&str] =
    &["data-encoding", "jiff", "serde", "serde_json", "sha2", "thiserror", "tracing", "uuid"];

/// What may be named for tests only.
const FOR_TESTS: &[&str] = &["proptest", "tempfile", "tokio"];

#[test]
fn arrows_point_one_way() {
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let manifest: Table =
            std::fs::read_to_string(path.join("Cargo.toml")).unwrap().parse().unwrap();
        let row = MAY_USE.iter().find(|(it, _)| *it == name);
        let (_, allowed) = row.unwrap_or_else(|| panic!("crates/{name} is not in MAY_USE"));
        for it in named(&manifest, "dependencies") {
            let may = allowed.contains(&&*it) || SMALL.contains(&&*it);
            assert!(may, "crates/{name} must not use {it}");
        }
        for it in named(&manifest, "dev-dependencies") {
            let may = allowed.contains(&&*it) || FOR_TESTS.contains(&&*it) || SMALL.contains(&&*it);
            assert!(may, "the tests of crates/{name} must not use {it}");
        }
        seen.insert(name);
    }
    assert_eq!(seen.len(), MAY_USE.len(), "a row of MAY_USE has no crate: {seen:?}");
}

fn named(manifest: &Table, section: &str) -> Vec<String> {
    let section = manifest.get(section).and_then(toml::Value::as_table);
    section.map(|it| it.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn every_licence_is_one_we_may_pass_on() {
    let deny = deny();
    let allowed: HashSet<&str> = deny["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    for it in packages() {
        let (name, licence) = (&it["name"], it["license"].as_str().unwrap_or("nothing"));
        assert!(permits(licence, &allowed), "{name} is under {licence}");
    }
}

#[test]
fn there_is_one_of_what_there_must_be_one_of() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for it in packages() {
        let name = it["name"].as_str().unwrap().to_owned();
        versions.entry(name).or_default().insert(it["version"].as_str().unwrap().to_owned());
    }
    for it in deny()["bans"]["deny"].as_array().unwrap() {
        assert_eq!(it["deny-multiple-versions"].as_bool(), Some(true));
        let name = it["crate"].as_str().unwrap();
        let found = versions.get(name).unwrap_or_else(|| panic!("{name} is not used any more"));
        assert_eq!(found.len(), 1, "{name} comes as {found:?}");
    }
}

fn deny() -> Table {
    std::fs::read_to_string(root().join(".deny.toml")).unwrap().parse().unwrap()
}

/// Every package that is built on this machine, as the lock file has it.
fn packages() -> Vec<Value> {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|it| it.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let built: HashSet<&Value> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    let mut packages = metadata["packages"].as_array().unwrap().clone();
    packages.retain(|it| built.contains(&it["id"]));
    assert!(100 < packages.len(), "{} packages", packages.len());
    packages
}

/// Whether an SPDX expression can be met with the allowed licences alone. `AND` binds closer than
/// `OR`; the old spelling `A/B` means `OR`; an exception (`WITH`) only gives more.
fn permits(expression: &str, allowed: &HashSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let permitted = any_of(&mut words, allowed);
    permitted && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &HashSet<&str>) -> bool {
    let mut permitted = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        permitted |= all_of(words, allowed);
    }
    permitted
}

fn all_of(words: &mut Words<'_>, allowed: &HashSet<&str>) -> bool {
    let mut permitted = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        permitted &= one(words, allowed);
    }
    permitted
}

fn one(words: &mut Words<'_>, allowed: &HashSet<&str>) -> bool {
    match words.next() {
        Some("(") => {
            let permitted = any_of(words, allowed);
            words.next_if_eq(&")").is_some() && permitted
        }
        Some(licence) => {
            if words.next_if_eq(&"WITH").is_some() {
                words.next();
            }
            allowed.contains(licence)
        }
        None => false,
    }
}

#[test]
fn a_licence_is_read_as_an_expression() {
    let allowed = HashSet::from(["MIT", "Apache-2.0", "Unicode-3.0"]);
    for permitted in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-2.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        "GPL-3.0 AND ISC OR MIT AND Apache-2.0",
    ] {
        assert!(permits(permitted, &allowed), "{permitted}");
    }
    for refused in ["GPL-3.0", "MIT AND GPL-3.0", "MIT AND (GPL-3.0 OR ISC)", "", "(MIT", "MIT MIT"]
    {
        assert!(!permits(refused, &allowed), "{refused}");
    }
}
