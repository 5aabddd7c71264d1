//! The table of metrics: names, sorts, labels, and the label values that exist from the start.

use std::borrow::Cow;

/// What sort of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often how much.
    Histogram,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// The name that never changes inside a major version.
    pub name: &'static str,
    /// What sort of series.
    pub kind: Kind,
    /// Its labels, each with the values that are fixed; empty where they come up as they happen.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// One sentence.
    pub help: &'static str,
}

impl Series {
    /// Every combination of fixed label values; one without labels is one combination. The label
    /// `tenant` is not among them.
    #[must_use]
    pub fn fixed(&self) -> Vec<Vec<(&'static str, Cow<'static, str>)>> {
        let mut all = vec![Vec::new()];
        for (name, values) in self.labels {
            all = all
                .into_iter()
                .flat_map(|before: Vec<_>| {
                    values.iter().map(move |value| {
                        let mut labels = before.clone();
                        labels.push((*name, Cow::Borrowed(*value)));
                        labels
                    })
                })
                .collect();
        }
        all
    }
}

/// Ways into the log.
pub(super) const PATHS: [&str; 5] = ["nats", "http", "request", "import", "own"];
/// What became of an event.
pub(super) const OUTCOMES: [&str; 5] =
    ["recorded", "duplicate", "conflict", "refused", "quarantined"];
const ANY: &[&str] = &[];
/// Kinds of alerts.
pub const ALERT_KINDS: &[&str] =
    &["they_silent", "we_silent", "we_owe", "debate", "booking_conflict", "trend"];
/// How loud alerts are.
pub const SEVERITIES: &[&str] = &["notice", "warning", "critical"];
const ALERT_ACTIONS: &[&str] =
    &["raised", "acknowledged", "snoozed", "escalated", "resolved", "withdrawn"];
const SINKS: &[&str] = &["nats"];
const CONNECTIONS: &[&str] = &["ingest", "relay", "api"];
/// What the leader does: each role holds the lease when it does.
pub const ROLES: &[&str] = &["project", "react", "deliver"];
/// The clocks of silence, as they are kept.
pub const CLOCKS: &[&str] = &["they", "we"];
/// How a clock may stand.
pub const CLOCK_STATES: &[&str] = projections::tally::CLOCK_STATES;
/// What may be owed.
pub const OBLIGATIONS: &[&str] =
    &["answer", "decision", "reply", "resolution", "promise", "thanks", "care", "refund", "tell"];
const PROJECTIONS: &[&str] = &projections::NAMES;
const REACTIONS: &[&str] = &["promise", "loyalty", "alert", "rationed"];
/// Series that say whose they are when `metrics.tenant_label` is on.
pub const BY_TENANT: &[&str] = &[
    "sapa_events_total",
    "sapa_projection_lag_events",
    "sapa_alerts_open",
    "sapa_clock_customers",
];

const fn line(
    name: &'static str,
    kind: Kind,
    labels: &'static [(&'static str, &'static [&'static str])],
    help: &'static str,
) -> Series {
    Series { name, kind, labels, help }
}

use Kind::{Counter, Gauge, Histogram};

/// All series, in the order of the documents.
#[rustfmt::skip]
pub const TABLE: &[Series] = &[
    line("sapa_build_info", Gauge, &[("version", ANY), ("commit", ANY)], "The build that runs"),
    line("sapa_events_total", Counter, &[("path", &PATHS), ("outcome", &OUTCOMES)], "Events by way and outcome"),
    line("sapa_append_duration_seconds", Histogram, &[("path", &PATHS)], "From handing in to the commit"),
    line("sapa_append_group_requests", Histogram, &[], "Requests of one commit"),
    line("sapa_append_queue_requests", Gauge, &[], "Requests that wait for a commit"),
    line("sapa_log_position", Gauge, &[], "The highest position in the log"),
    line("sapa_log_rollbacks_total", Counter, &[], "Times the log was found to have gone back"),
    line("sapa_ingest_pending_messages", Gauge, &[], "Messages in SAPA_IN that are not recorded yet"),
    line("sapa_ingest_oldest_age_seconds", Gauge, &[], "Age of the oldest of them"),
    line("sapa_ingest_fill_ratio", Gauge, &[], "How full SAPA_IN is, 0 to 1"),
    line("sapa_ingest_redelivered_total", Counter, &[], "Messages that came again"),
    line("sapa_ingest_pull_rebuilds_total", Counter, &[], "Pulls that had gone silent"),
    line("sapa_ingest_takeovers_total", Counter, &[], "Times this instance took the pin over"),
    line("sapa_quarantine_total", Counter, &[("code", ANY)], "Messages kept in quarantine"),
    line("sapa_quarantine_open", Gauge, &[("code", ANY)], "Messages that wait in quarantine"),
    line("sapa_visible_seconds", Histogram, &[("projection", PROJECTIONS)], "From recording to the read model"),
    line("sapa_projection_position", Gauge, &[("projection", PROJECTIONS)], "How far a read model has read"),
    line("sapa_projection_lag_events", Gauge, &[("projection", PROJECTIONS)], "How far it is behind"),
    line("sapa_projection_parked_customers", Gauge, &[("projection", PROJECTIONS)], "Customers set aside after a fault"),
    line("sapa_projection_paused", Gauge, &[("projection", PROJECTIONS)], "1 while an operator has paused it"),
    line("sapa_projection_failures_total", Counter, &[("projection", PROJECTIONS)], "Batches that failed"),
    line("sapa_rebuild_position", Gauge, &[("projection", ANY), ("generation", ANY)], "How far a rebuild has got"),
    line("sapa_reaction_tick_seconds", Histogram, &[("reaction", REACTIONS)], "How long one round takes"),
    line("sapa_reaction_events_total", Counter, &[("reaction", REACTIONS)], "Events a reaction recorded"),
    line("sapa_reaction_late_seconds", Histogram, &[("reaction", REACTIONS)], "From due to recorded"),
    line("sapa_relay_position", Gauge, &[("sink", SINKS)], "How far has been published"),
    line("sapa_relay_lag_events", Gauge, &[("sink", SINKS)], "How far publishing is behind"),
    line("sapa_relay_fenced_total", Counter, &[("sink", SINKS)], "Times another relay had published"),
    line("sapa_alerts_open", Gauge, &[("kind", ALERT_KINDS), ("severity", SEVERITIES)], "Open alerts"),
    line("sapa_alert_events_total", Counter, &[("kind", ALERT_KINDS), ("action", ALERT_ACTIONS)], "Alert events"),
    line("sapa_clock_customers", Gauge, &[("clock", CLOCKS), ("state", CLOCK_STATES)], "Customers by clock and state"),
    line("sapa_obligations_open", Gauge, &[("obligation", OBLIGATIONS)], "What we owe"),
    line("sapa_promises_overdue", Gauge, &[], "Promises past their time"),
    line("sapa_http_requests_total", Counter, &[("route", ANY), ("method", ANY), ("status", ANY)], "HTTP requests"),
    line("sapa_http_request_duration_seconds", Histogram, &[("route", ANY), ("method", ANY), ("status", ANY)], "How long they take"),
    line("sapa_api_requests_total", Counter, &[("endpoint", ANY), ("status", ANY)], "Requests over NATS"),
    line("sapa_api_request_duration_seconds", Histogram, &[("endpoint", ANY)], "How long they take"),
    line("sapa_api_refused_total", Counter, &[("reason", &["no_reply", "reply_refused"])], "Requests that were not answered"),
    line("sapa_sse_clients", Gauge, &[], "Live streams that are open"),
    line("sapa_sse_cut_total", Counter, &[("reason", &["slow", "shutdown", "revoked"])], "Live streams that were ended"),
    line("sapa_nats_connected", Gauge, &[("connection", CONNECTIONS)], "1 while connected"),
    line("sapa_nats_reconnects_total", Counter, &[("connection", CONNECTIONS)], "Times a connection came back"),
    line("sapa_broker_rollbacks_total", Counter, &[], "Times the broker was found to have gone back"),
    line("sapa_lease_held", Gauge, &[("role", ROLES)], "1 while this instance holds the lease"),
    line("sapa_db_pool_connections", Gauge, &[("state", &["idle", "used"])], "Connections to the database"),
    line("sapa_db_retries_total", Counter, &[("reason", &["connection_lost", "no_connection", "refused", "rival"])], "Attempts that were repeated"),
];
