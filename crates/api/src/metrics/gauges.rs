//! What is read when somebody scrapes: the log's head, what waits, and what the read models hold.
//!
//! What takes a statement over many rows is asked seldom, however often somebody scrapes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use projections::tally::{self, Tally};
use projections::upkeep::{self, About, State};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ALERT_KINDS, CLOCK_STATES, CLOCKS, OBLIGATIONS, SEVERITIES};
use crate::app::{App, STREAMS_MAX};
use crate::surroundings::Sample;

/// How old what was counted in the read models may be.
const COUNTED_EVERY: Duration = Duration::from_secs(5);
/// Counting takes at most one part in so many of the time.
const SHARE: u32 = 50;

/// What was counted last, when, and how long that took.
#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<Option<(Instant, Duration, Arc<Tally>)>>);

/// Everything that is read now.
pub(crate) async fn samples(app: &App) -> Vec<Sample> {
    let free = app.streams.available_permits();
    let mut samples = vec![
        Sample::of("sapa_append_queue_requests", count(app.appender.waiting())),
        Sample::of("sapa_sse_clients", count(STREAMS_MAX.saturating_sub(free))),
    ];
    let (log, views) = (app.db().open_connections(), app.views.live().db.open_connections());
    for (state, connections) in [("idle", log.0 + views.0), ("used", log.1 + views.1)] {
        let sample = Sample::of("sapa_db_pool_connections", count(connections));
        samples.push(sample.with("state", state));
    }
    if let Ok(open) = store::quarantine::count_open(app.db()).await {
        let of_code = |(code, rows): (String, i64)| {
            Sample::of("sapa_quarantine_open", float(rows)).with("code", code)
        };
        samples.extend(open.into_iter().map(of_code));
    }
    if let Ok(head) = app.log.head().await {
        samples.push(Sample::of("sapa_log_position", float(head)));
        samples.extend(of_views(app, head).await);
    }
    samples
}

/// How far the read models are, who is set aside, and what they hold.
async fn of_views(app: &App, head: i64) -> Vec<Sample> {
    let Ok(mut snapshot) = app.views.snapshot().await else { return Vec::new() };
    let position = snapshot.position;
    let parked = projections::parked::load(&mut snapshot.tx).await.unwrap_or_default();
    drop(snapshot);
    let parked = parked.iter().filter(|it| !it.skipped).count();
    let lags = lags(app, position, head).await;
    let folding = upkeep::load(app.db(), About::Folding).await.unwrap_or_default();
    let is_paused = folding.is_some_and(|it| it.state == State::Paused);
    let mut samples = Vec::new();
    for name in projections::NAMES {
        for (series, value) in [
            ("sapa_projection_position", float(position)),
            ("sapa_projection_parked_customers", count(parked)),
            ("sapa_projection_paused", f64::from(u8::from(is_paused))),
        ] {
            samples.push(Sample::of(series, value).with("projection", name));
        }
        for (tenant, lag) in &lags {
            let sample = Sample::of("sapa_projection_lag_events", float(*lag));
            samples.push(sample.with("projection", name).with("tenant", tenant));
        }
    }
    if let Some(tally) = counted(app).await {
        samples.extend(of_tally(&tally, &tenants(app)));
    }
    samples
}

/// How far the read models are behind, of each tenant where that is told.
async fn lags(app: &App, position: i64, head: i64) -> Vec<(String, i64)> {
    if !app.metrics.by_tenant() {
        return vec![(String::new(), (head - position).max(0))];
    }
    let found = app.log.count_after(position).await.unwrap_or_default();
    let of = |tenant: &String| found.iter().find(|it| it.0 == *tenant).map_or(0, |it| it.1);
    tenants(app)
        .into_iter()
        .map(|it| {
            let lag = of(&it);
            (it, lag)
        })
        .collect()
}

/// Whose series there are: each tenant's, or one for all of them together.
fn tenants(app: &App) -> Vec<String> {
    if app.metrics.by_tenant() {
        app.tenants.all().iter().map(|it| it.tenant.to_string()).collect()
    } else {
        vec![String::new()]
    }
}

/// What the read models hold, not older than [`COUNTED_EVERY`] or [`SHARE`] times what counting takes.
async fn counted(app: &App) -> Option<Arc<Tally>> {
    let mut kept = app.gauges.0.lock().await;
    if let Some((at, took, tally)) = &*kept
        && at.elapsed() < COUNTED_EVERY.max(*took * SHARE)
    {
        return Some(Arc::clone(tally));
    }
    let began = Instant::now();
    let now: Timestamp = app.clock.now();
    let mut snapshot = app.views.snapshot().await.ok()?;
    match tally::count(&mut snapshot, now, &tenants(app)).await {
        Ok(tally) => {
            let tally = Arc::new(tally);
            *kept = Some((Instant::now(), began.elapsed(), Arc::clone(&tally)));
            Some(tally)
        }
        Err(error) => {
            tracing::debug!(%error, "the read models could not be counted");
            None
        }
    }
}

/// Every series of the tally, those that count nothing too: what was there before has to go to 0.
fn of_tally(tally: &Tally, tenants: &[String]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for tenant in tenants {
        let is_own = |it: &str| tenant.is_empty() || it == tenant;
        for kind in ALERT_KINDS {
            for severity in SEVERITIES {
                let same = tally
                    .alerts
                    .iter()
                    .filter(|it| is_own(&it.0) && it.1 == *kind && it.2 == *severity);
                let sample = Sample::of("sapa_alerts_open", float(same.map(|it| it.3).sum()));
                samples.push(
                    sample.with("kind", *kind).with("severity", *severity).with("tenant", tenant),
                );
            }
        }
        for clock in CLOCKS {
            for state in CLOCK_STATES {
                let same = tally
                    .clocks
                    .iter()
                    .filter(|it| is_own(&it.0) && it.1 == *clock && it.2 == *state);
                let sample = Sample::of("sapa_clock_customers", float(same.map(|it| it.3).sum()));
                samples.push(
                    sample.with("clock", *clock).with("state", *state).with("tenant", tenant),
                );
            }
        }
    }
    for obligation in OBLIGATIONS {
        let open = tally.obligations.iter().find(|it| it.0 == *obligation).map_or(0, |it| it.1);
        samples
            .push(Sample::of("sapa_obligations_open", float(open)).with("obligation", *obligation));
    }
    samples.push(Sample::of("sapa_promises_overdue", float(tally.promises_overdue)));
    samples
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no count here nears 2^53")]
fn float(it: i64) -> f64 {
    it as f64
}

fn count(it: usize) -> f64 {
    store::meter::number(it)
}
