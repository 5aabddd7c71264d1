//! What is counted, under the names of the table of metrics, as OpenMetrics text.
//!
//! Every series with fixed labels exists from the start, with 0. Faces count as they go; what other
//! parts count is asked of them when somebody scrapes. No label ever holds a customer or an event.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use store::meter::{Label, Meter};
use tokio::time::{Duration, Instant};

use crate::app::{Caller, Face};
use crate::surroundings::Sample;

pub(crate) mod gauges;
mod table;

pub use table::{
    ALERT_KINDS, BY_TENANT, CLOCK_STATES, CLOCKS, Kind, OBLIGATIONS, ROLES, SEVERITIES, Series,
    TABLE,
};

/// The media type of what [`Metrics::text`] gives.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const EVENTS: &str = "sapa_events_total";

type Labels = Vec<(&'static str, Cow<'static, str>)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug)]
enum Instrument {
    Counter(Family<Labels, Counter<f64, AtomicU64>>),
    Gauge(Family<Labels, Gauge<f64, AtomicU64>>),
    Histogram(Histograms),
}

/// All series of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    instruments: HashMap<&'static str, Instrument>,
    /// The hot ones, found without looking them up.
    events: HashMap<(&'static str, &'static str), Counter<f64, AtomicU64>>,
    appends: HashMap<&'static str, Histogram>,
    /// The label `tenant` is shown on [`BY_TENANT`].
    tenant_label: bool,
    /// What the counters of other parts showed last.
    taken: Mutex<HashMap<(&'static str, Labels), f64>>,
}

/// 100 µs to 13 s, doubling: from a commit in memory to a request that timed out.
fn buckets() -> Histogram {
    const START_SECONDS: f64 = 0.000_1;
    const LENGTH: u16 = 18;
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        START_SECONDS,
        2.0,
        LENGTH,
    ))
}

impl Metrics {
    /// All series, with 0; those of [`BY_TENANT`] with the label `tenant` come with a tenant.
    #[must_use]
    pub fn new(version: &'static str, commit: &'static str, tenant_label: bool) -> Self {
        let mut registry = Registry::default();
        let mut instruments = HashMap::new();
        for series in TABLE {
            let instrument = register(&mut registry, series);
            if !(tenant_label && BY_TENANT.contains(&series.name)) {
                for labels in series.fixed() {
                    touch(&instrument, &labels);
                }
            }
            instruments.insert(series.name, instrument);
        }
        let mut it = Self {
            registry,
            instruments,
            events: HashMap::new(),
            appends: HashMap::new(),
            tenant_label,
            taken: Mutex::default(),
        };
        it.set("sapa_build_info", &[("version", version), ("commit", commit)], 1.0);
        for path in table::PATHS {
            for outcome in table::OUTCOMES {
                let labels = owned(&[("path", path), ("outcome", outcome)]);
                if let Some(Instrument::Counter(all)) = it.instruments.get(EVENTS)
                    && !tenant_label
                {
                    it.events.insert((path, outcome), all.get_or_create_owned(&labels));
                }
            }
            let labels = owned(&[("path", path)]);
            if let Some(Instrument::Histogram(all)) =
                it.instruments.get("sapa_append_duration_seconds")
            {
                it.appends.insert(path, all.get_or_create_owned(&labels));
            }
        }
        it
    }

    /// Makes the series of a tenant, with 0.
    pub fn know_tenant(&self, tenant: &str) {
        for series in TABLE.iter().filter(|it| self.tenant_label && BY_TENANT.contains(&it.name)) {
            let Some(instrument) = self.instruments.get(series.name) else { continue };
            for mut labels in series.fixed() {
                labels.push(("tenant", Cow::Owned(tenant.to_owned())));
                touch(instrument, &labels);
            }
        }
    }

    /// Whether series say whose they are.
    #[must_use]
    pub fn by_tenant(&self) -> bool {
        self.tenant_label
    }

    /// Counts an event of a caller by its way and its outcome.
    pub fn event(&self, caller: &Caller, outcome: &'static str) {
        let path = caller.face.as_str();
        match self.events.get(&(path, outcome)) {
            Some(counter) => {
                counter.inc();
            }
            None => self.count(
                EVENTS,
                &[("path", path), ("outcome", outcome), ("tenant", caller.tenant().as_str())],
            ),
        }
    }

    /// Counts a message that went into quarantine.
    pub fn quarantined(&self, code: &str) {
        self.count("sapa_quarantine_total", &[("code", code)]);
    }

    /// Starts to time an append.
    #[must_use]
    pub fn append_timer(&self, face: Face) -> Timer<'_> {
        Timer { histogram: self.appends.get(face.as_str()), started: Instant::now() }
    }

    /// Adds one to a counter.
    pub fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        if let Some(Instrument::Counter(all)) = self.instruments.get(name) {
            all.get_or_create(&self.labels(labels)).inc();
        }
    }

    /// Sets a gauge.
    pub fn set(&self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        if let Some(Instrument::Gauge(all)) = self.instruments.get(name) {
            all.get_or_create(&self.labels(labels)).set(value);
        }
    }

    /// Adds a value to a histogram: seconds, or how many.
    pub fn observe(&self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        if let Some(Instrument::Histogram(all)) = self.instruments.get(name) {
            all.get_or_create(&self.labels(labels)).observe(value);
        }
    }

    /// Counts one HTTP request and how long it took.
    pub fn http(&self, route: &str, method: &str, status: u16, took: Duration) {
        let status = status.to_string();
        let labels = [("route", route), ("method", method), ("status", status.as_str())];
        self.count("sapa_http_requests_total", &labels);
        self.observe("sapa_http_request_duration_seconds", &labels, took.as_secs_f64());
    }

    /// Counts one request over NATS and how long it took.
    pub fn request(&self, endpoint: &str, status: u16, took: Duration) {
        let status = status.to_string();
        self.count(
            "sapa_api_requests_total",
            &[("endpoint", endpoint), ("status", status.as_str())],
        );
        let seconds = took.as_secs_f64();
        self.observe("sapa_api_request_duration_seconds", &[("endpoint", endpoint)], seconds);
    }

    /// Takes over what other parts counted: a gauge is set, a counter moves up by what is new.
    pub fn take(&self, samples: &[Sample]) {
        let mut taken = self.taken.lock().expect("no holder of this lock can panic");
        for it in samples {
            let given: Vec<Label<'_>> =
                it.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let labels = self.labels(&given);
            match self.instruments.get(it.name) {
                Some(Instrument::Gauge(all)) => {
                    all.get_or_create(&labels).set(it.value);
                }
                Some(Instrument::Counter(all)) => {
                    let counter = all.get_or_create_owned(&labels);
                    let before = taken.entry((it.name, labels)).or_default();
                    if *before < it.value {
                        counter.inc_by(it.value - *before);
                        *before = it.value;
                    }
                }
                _ => {
                    tracing::debug!(
                        name = it.name,
                        "a sample has no place in the table of metrics"
                    );
                }
            }
        }
    }

    /// Labels as they are shown.
    fn labels(&self, given: &[Label<'_>]) -> Labels {
        let shown = given.iter().filter(|(name, _)| self.tenant_label || *name != "tenant");
        shown.map(|(name, value)| (*name, Cow::Owned((*value).to_owned()))).collect()
    }

    /// All series as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        // The library writes braces around no labels at all, which older readers stumble over.
        text.replace("{} ", " ")
    }
}

/// The other parts count as they go.
impl Meter for Metrics {
    fn count(&self, name: &'static str, labels: &[Label<'_>], by: usize) {
        if let Some(Instrument::Counter(all)) = self.instruments.get(name) {
            all.get_or_create(&self.labels(labels)).inc_by(store::meter::number(by));
        }
    }

    fn observe(&self, name: &'static str, labels: &[Label<'_>], values: &[f64]) {
        if let Some(Instrument::Histogram(all)) = self.instruments.get(name) {
            let histogram = all.get_or_create_owned(&self.labels(labels));
            for it in values {
                histogram.observe(*it);
            }
        }
    }
}

fn owned(labels: &[(&'static str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| (*name, Cow::Owned((*value).to_owned()))).collect()
}

fn register(registry: &mut Registry, series: &Series) -> Instrument {
    // The registry adds the `_total` of counters by itself.
    let name = series.name.strip_suffix("_total").unwrap_or(series.name);
    match series.kind {
        Kind::Counter => {
            let family = Family::default();
            registry.register(name, series.help, family.clone());
            Instrument::Counter(family)
        }
        Kind::Gauge => {
            let family = Family::default();
            registry.register(name, series.help, family.clone());
            Instrument::Gauge(family)
        }
        Kind::Histogram => {
            let family: Histograms = Family::new_with_constructor(buckets);
            registry.register(name, series.help, family.clone());
            Instrument::Histogram(family)
        }
    }
}

fn touch(instrument: &Instrument, labels: &Labels) {
    match instrument {
        Instrument::Counter(all) => drop(all.get_or_create(labels)),
        Instrument::Gauge(all) => drop(all.get_or_create(labels)),
        Instrument::Histogram(all) => drop(all.get_or_create(labels)),
    }
}

/// Times one append.
#[derive(Debug)]
pub struct Timer<'a> {
    histogram: Option<&'a Histogram>,
    started: Instant,
}

impl Timer<'_> {
    /// Ends here.
    pub fn stop(self) {
        if let Some(histogram) = self.histogram {
            histogram.observe(self.started.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_from_the_start() {
        let text = Metrics::new("0.1.0", "abc", false).text();
        for series in TABLE.iter().filter(|it| !it.fixed().is_empty()) {
            let name = series.name.trim_end_matches("_total");
            assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
        }
        assert!(text.contains("sapa_build_info{version=\"0.1.0\",commit=\"abc\"} 1"));
        assert!(text.contains("sapa_events_total{path=\"http\",outcome=\"recorded\"} 0"));
        assert!(text.contains("\nsapa_log_position 0"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_counter_of_another_part_adds_to_ours_and_never_goes_down() {
        let metrics = Metrics::new("0", "0", false);
        metrics.count("sapa_ingest_redelivered_total", &[]);
        for value in [3.0, 5.0, 4.0] {
            metrics.take(&[Sample::of("sapa_ingest_redelivered_total", value)]);
        }
        metrics.take(&[Sample::of("sapa_ingest_pending_messages", 4.0)]);
        let text = metrics.text();
        assert!(text.contains("sapa_ingest_redelivered_total 6.0"), "{text}");
        assert!(text.contains("sapa_ingest_pending_messages 4.0"));
    }

    #[test]
    fn a_tenant_is_named_on_some_series_and_only_where_that_is_set() {
        let labels = [("path", "own"), ("outcome", "recorded"), ("tenant", "berlin")];
        let own = "sapa_events_total{path=\"own\",outcome=\"recorded\"";
        for (tenant_label, wanted) in
            [(false, format!("{own}}} 3.0")), (true, format!("{own},tenant=\"berlin\"}} 3.0"))]
        {
            let metrics = Metrics::new("0", "0", tenant_label);
            Meter::count(&metrics, EVENTS, &labels, 3);
            assert!(metrics.text().contains(&wanted), "{}", metrics.text());
        }
        let metrics = Metrics::new("0", "0", true);
        metrics.know_tenant("berlin");
        let open = "sapa_alerts_open{kind=\"we_owe\",severity=\"notice\",tenant=\"berlin\"} 0.0";
        assert!(metrics.text().contains(open), "{}", metrics.text());
        assert!(!metrics.text().contains("sapa_relay_position{sink=\"nats\",tenant"));
    }
}
