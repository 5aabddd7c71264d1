//! What the parts of a process tell `/readyz` and `/metrics`: numbers read when somebody asks.
//! Nothing here waits, and nothing here is a reason to stop.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use api::surroundings::{Action, Alone, Check, Sample, State, Surroundings, Unpark};
use async_nats::Client;
use async_nats::connection::State as Connection;
use events::id::Tenant;
use events::problem::Problem;
use events::time::Clock;
use futures_util::future::BoxFuture;

use super::upkeep::Upkeep;
use crate::clock::SystemClock;

/// The database may be away this long before ingest counts as degraded, in seconds.
const STUCK_SECONDS: i64 = 60;

/// The connections to the broker, by role.
#[derive(Debug, Default)]
pub struct Connections {
    /// Role and connection.
    pub clients: Vec<(&'static str, Client)>,
    /// Not ready while one of them is down.
    pub required: bool,
}

/// The numbers of one process.
#[derive(Debug, Default)]
pub struct Told {
    /// What ingest counts.
    pub ingest: Arc<ingest::Counters>,
    /// What the relay counts.
    pub relay: Arc<delivery::Counters>,
    /// The connections, once they are made.
    pub connections: OnceLock<Connections>,
    /// What can be done with the read models here, where this process may come to lead.
    pub upkeep: OnceLock<Arc<Upkeep>>,
    epoch: AtomicI64,
}

impl Told {
    /// Says under which epoch this process leads; 0: it does not.
    pub fn leads(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// The epoch under which this process leads, or 0.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Relaxed)
    }

    fn nats(&self) -> Check {
        let Some(all) = self.connections.get() else {
            return Check::new("nats", State::Ok, "off");
        };
        let down: Vec<&str> =
            all.clients.iter().filter(|(_, it)| !is_up(it)).map(|(role, _)| *role).collect();
        let state = match (down.is_empty(), all.required) {
            (true, _) => return Check::new("nats", State::Ok, "connected"),
            (false, false) => State::Degraded,
            (false, true) => State::Failed,
        };
        Check::new("nats", state, format!("disconnected: {}", down.join(", ")))
    }

    fn ingest(&self) -> Check {
        let now = SystemClock.now();
        let stuck = self.ingest.stuck_since().map(|it| now.duration_since(it).as_secs());
        match stuck.filter(|it| STUCK_SECONDS <= *it) {
            Some(seconds) => Check::new(
                "ingest",
                State::Degraded,
                format!("the database is away for {seconds} s"),
            ),
            None => Check::new("ingest", State::Ok, "ok"),
        }
    }

    fn relay(&self) -> Check {
        match self.relay.rolled_back_at.load(Ordering::Relaxed) {
            0 => {
                let lag = self.relay.lag.load(Ordering::Relaxed);
                Check::new("relay", State::Ok, format!("lag {lag}"))
            }
            position => Check::new(
                "relay",
                State::Failed,
                format!("log_rollback: the log does not hold what went out at {position}"),
            ),
        }
    }
}

fn is_up(client: &Client) -> bool {
    client.connection_state() == Connection::Connected
}

impl Surroundings for Told {
    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.nats()];
        if self.connections.get().is_some() {
            checks.push(self.ingest());
            checks.push(self.relay());
        }
        let epoch = self.epoch();
        let role =
            if epoch == 0 { "another instance leads".to_owned() } else { format!("epoch {epoch}") };
        checks.push(Check::new("leader", State::Ok, role));
        checks
    }

    fn samples(&self) -> Vec<Sample> {
        let number = |name, it: u64| Sample::of(name, as_number(it));
        let load = |it: &std::sync::atomic::AtomicU64| it.load(Ordering::Relaxed);
        let position = |it: &AtomicI64| u64::try_from(it.load(Ordering::Relaxed)).unwrap_or(0);
        let (ingest, relay) = (&self.ingest, &self.relay);
        let outcome = |outcome: &str, it: &std::sync::atomic::AtomicU64| {
            number("sapa_events_total", load(it)).with("path", "nats").with("outcome", outcome)
        };
        let mut samples = vec![
            outcome("recorded", &ingest.recorded),
            outcome("duplicate", &ingest.duplicates),
            outcome("quarantined", &ingest.quarantined),
            number("sapa_ingest_redelivered_total", load(&ingest.redelivered)),
            number("sapa_ingest_pull_rebuilds_total", load(&ingest.pull_rebuilds)),
            number("sapa_ingest_takeovers_total", load(&ingest.takeovers)),
            number("sapa_relay_position", position(&relay.position)).with("sink", "nats"),
            number("sapa_relay_lag_events", position(&relay.lag)).with("sink", "nats"),
            number("sapa_relay_fenced_total", load(&relay.fenced)).with("sink", "nats"),
            number("sapa_log_rollbacks_total", load(&relay.log_rollbacks)),
            number("sapa_lease_held", u64::from(self.epoch() != 0)).with("role", "leader"),
        ];
        for (role, client) in self.connections.get().iter().flat_map(|it| &it.clients) {
            let up = number("sapa_nats_connected", u64::from(is_up(client)));
            let reconnects = client.statistics().connects.load(Ordering::Relaxed).saturating_sub(1);
            samples.push(up.with("connection", *role));
            samples
                .push(number("sapa_nats_reconnects_total", reconnects).with("connection", *role));
        }
        samples.push(
            number("sapa_broker_rollbacks_total", load(&ingest.broker_rollbacks))
                .with("connection", "ingest"),
        );
        samples.push(
            number("sapa_broker_rollbacks_total", load(&relay.broker_rollbacks))
                .with("connection", "relay"),
        );
        samples.extend(self.upkeep.get().iter().flat_map(|it| it.samples()));
        samples
    }

    fn project(&self, action: Action) -> BoxFuture<'_, Result<(), Box<Problem>>> {
        match self.upkeep.get() {
            Some(upkeep) => Box::pin(upkeep.act(action)),
            None => Alone.project(action),
        }
    }

    fn unpark<'a>(
        &'a self,
        tenant: &'a Tenant,
        customer: &'a str,
        how: Unpark,
    ) -> BoxFuture<'a, Result<bool, Box<Problem>>> {
        match self.upkeep.get() {
            Some(upkeep) => Box::pin(upkeep.unpark(tenant, customer, how)),
            None => Alone.unpark(tenant, customer, how),
        }
    }
}

/// A counter as a number of the exposition format; exact up to 2^32, which is enough for a rate.
pub(super) fn as_number(it: u64) -> f64 {
    let (high, low) = (u32::try_from(it >> 32), u32::try_from(it & u64::from(u32::MAX)));
    f64::from(high.unwrap_or(u32::MAX)) * 4_294_967_296.0 + f64::from(low.unwrap_or(u32::MAX))
}
