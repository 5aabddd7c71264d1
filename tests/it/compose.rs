//! The files that start Sapa in containers, read line by line: what they open, what they pin, what
//! they keep secret, and that every setting in them is one of ours. `.ci/run` holds the Compose
//! file against the published schema as well.

use std::collections::BTreeSet;

use sapa::config::{KEYS, Key};

use crate::support::files::root;

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of a file that are no comments.
fn lines(path: &str) -> Vec<String> {
    let text = text(path);
    text.lines().filter(|it| !it.trim_start().starts_with('#')).map(str::to_owned).collect()
}

fn compose() -> Vec<String> {
    lines("docker-compose.yml")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The lines below `head`, which are further in than it.
fn below(lines: &[String], head: &str) -> Vec<String> {
    let at = lines.iter().position(|it| it == head).unwrap_or_else(|| panic!("no line `{head}`"));
    let inside = |it: &&String| it.is_empty() || indent(head) < indent(it);
    lines[at + 1..].iter().take_while(inside).cloned().collect()
}

/// The names directly below `head`.
fn names(lines: &[String], head: &str) -> BTreeSet<String> {
    let found = below(lines, head);
    let own = found.iter().filter(|it| !it.is_empty() && indent(it) == indent(head) + 2);
    own.map(|it| it.trim().trim_end_matches(':').to_owned()).collect()
}

fn service(name: &str) -> Vec<String> {
    below(&compose(), &format!("  {name}:"))
}

fn says(lines: &[String], wanted: &str) -> bool {
    lines.iter().any(|it| it.trim() == wanted)
}

#[test]
fn the_services_are_those_that_are_documented() {
    let wanted = ["nats", "postgres", "sapa", "setup"].map(str::to_owned);
    assert_eq!(names(&compose(), "services:"), BTreeSet::from(wanted));
}

#[test]
fn every_image_is_pinned() {
    let images: Vec<String> = compose()
        .iter()
        .filter_map(|it| it.trim().strip_prefix("image: ").map(str::to_owned))
        .collect();
    assert_eq!(images, ["nats:2.15-alpine", "postgres:18-alpine", "sapa:local", "sapa:local"]);
    let stages = lines("crates/sapa/Dockerfile");
    let stages: Vec<&str> = stages.iter().filter_map(|it| it.strip_prefix("FROM ")).collect();
    assert_eq!(stages.len(), 2, "one stage builds, one runs: {stages:?}");
    for it in stages {
        let image = it.split(' ').next().unwrap();
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|it| it != "latest"), "{image} has no tag");
    }
}

#[test]
fn every_port_is_open_on_this_machine_only() {
    let lines = compose();
    let mut found = 0;
    for (at, line) in lines.iter().enumerate().filter(|(_, it)| it.trim() == "ports:") {
        for port in lines[at + 1..].iter().take_while(|it| indent(line) < indent(it)) {
            assert!(port.trim().starts_with("- \"127.0.0.1:"), "{port}");
            found += 1;
        }
    }
    assert_eq!(found, 3);
    assert!(!lines.iter().any(|it| it.contains("network_mode") || it.contains("privileged")));
}

#[test]
fn no_secret_stands_in_the_file() {
    let lines = compose();
    let secrets: Vec<&String> = lines
        .iter()
        .filter(|it| {
            ["PASSWORD", "TOKEN", "--auth", "postgres://"].iter().any(|word| it.contains(word))
        })
        .collect();
    assert!(5 <= secrets.len());
    for it in secrets {
        let asked =
            it.contains("${POSTGRES_PASSWORD:?set it}") || it.contains("${NATS_TOKEN:?set it}");
        assert!(asked, "must come from outside and must be set: {it}");
    }
}

#[test]
fn the_broker_writes_before_it_acknowledges() {
    let nats = below(&compose(), "    content: |");
    for wanted in ["jetstream {", "store_dir: \"/data\"", "sync_interval: always", "strict: true"] {
        assert!(says(&nats, wanted), "{wanted}");
    }
    assert!(nats.iter().any(|it| it.trim().starts_with("max_file_store: ")));
    assert!(says(&service("nats"), "- nats:/data"), "the stream outlives the container");
    // So that the start-up check can see it.
    assert!(says(&service("sapa"), "SAPA_NATS__MONITOR_URL: http://nats:8222"));
}

#[test]
fn what_keeps_running_is_asked_whether_it_is_well_and_outlives_its_container() {
    for name in ["nats", "postgres", "sapa"] {
        let own = service(name);
        assert!(says(&own, "healthcheck:"), "{name}");
        assert!(own.iter().any(|it| it.trim().starts_with("test: [\"CMD\"")), "{name}");
        assert!(says(&own, "restart: unless-stopped"), "{name}");
        assert!(own.iter().any(|it| it.trim().starts_with(&format!("- {name}:/"))), "{name}");
    }
    assert_eq!(
        names(&compose(), "volumes:"),
        ["nats", "postgres", "sapa"].map(str::to_owned).into()
    );
}

#[test]
fn sapa_starts_when_what_it_stands_on_is_ready() {
    let own = below(&service("sapa"), "    depends_on:");
    let own: Vec<&str> = own.iter().map(|it| it.trim()).collect();
    assert_eq!(
        own,
        [
            "postgres:",
            "condition: service_healthy",
            "setup:",
            "condition: service_completed_successfully",
        ]
    );
    let setup = below(&service("setup"), "    depends_on:");
    let setup: Vec<&str> = setup.iter().map(|it| it.trim()).collect();
    assert_eq!(setup, ["nats:", "condition: service_healthy"]);
}

#[test]
fn every_setting_is_one_of_ours() {
    let known: BTreeSet<String> = KEYS.iter().map(Key::variable).collect();
    let mut found = BTreeSet::new();
    for path in ["docker-compose.yml", "crates/sapa/Dockerfile"] {
        let text = text(path);
        for (at, _) in text.match_indices("SAPA_") {
            let rest = &text[at..];
            let end =
                rest.find(|it: char| !it.is_ascii_uppercase() && it != '_').unwrap_or(rest.len());
            found.insert(rest[..end].to_owned());
        }
    }
    // How the settings of the broker are called together.
    found.remove("SAPA_NATS__");
    assert!(6 <= found.len(), "{found:?}");
    let unknown: Vec<_> = found.difference(&known).collect();
    assert!(unknown.is_empty(), "no such setting: {unknown:?}");
}

#[test]
fn the_image_runs_as_nobody_and_can_be_asked_whether_it_is_well() {
    let lines = lines("crates/sapa/Dockerfile");
    assert!(says(&lines, "USER 65532:65532"));
    let asked = lines
        .iter()
        .any(|it| it.starts_with("HEALTHCHECK ") && it.ends_with("CMD [\"/sapa\", \"health\"]"));
    assert!(asked);
    assert!(says(&lines, "ENTRYPOINT [\"/sapa\"]"));
}

#[test]
fn the_image_is_built_from_every_crate() {
    let lines = lines("crates/sapa/Dockerfile");
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let wanted = format!("COPY crates/{name}/Cargo.toml crates/{name}/");
        assert!(says(&lines, &wanted), "no line `{wanted}`");
    }
}
