//! `metrics.md`, from the table of series.

use std::fmt::Write as _;

use api::metrics::{Kind, TABLE};

use super::{cell, heading};

const PREFACE: &str = "\
`GET /metrics` answers in OpenMetrics text; the scope is `metrics:read` unless `metrics.open` is set. \
Every series with fixed label values exists from the start with 0, and none is renamed within a major \
version. No label ever holds a customer, an event id or a word that a person typed.

";

pub fn render() -> String {
    let mut text = heading("Metrics", "`crates/api/src/metrics/table.rs`") + PREFACE;
    text.push_str("| Name | Type | Labels | What it counts |\n|---|---|---|---|\n");
    for series in TABLE {
        let labels: Vec<String> = series
            .labels
            .iter()
            .map(|(name, values)| match values {
                [] => format!("`{name}`"),
                _ => format!("`{name}`: {}", values.join(", ")),
            })
            .collect();
        let kind = match series.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join("; ") };
        let _ = writeln!(
            text,
            "| `{}` | {kind} | {} | {} |",
            series.name,
            cell(&labels),
            cell(series.help)
        );
    }
    text
}
