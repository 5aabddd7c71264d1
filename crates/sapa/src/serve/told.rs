//! What the parts of a process tell `/readyz` and `/metrics`: numbers read when somebody asks.
//! Nothing here waits, and nothing here is a reason to stop.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use api::surroundings::{Action, Alone, Check, Sample, State, Surroundings, Unpark};
use async_nats::Client;
use async_nats::connection::State as Connection;
use events::id::Tenant;
use events::problem::Problem;
use events::time::Clock;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

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
    /// Where the broker is, without credentials, once that is known.
    pub broker: OnceLock<String>,
    /// Who leads, if it is another instance; none: nobody, or not known yet.
    pub other: Mutex<Option<String>>,
    /// This process runs a nats-server on a database that others may share.
    pub has_own_broker: AtomicBool,
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

    /// Who leads.
    fn leader(&self) -> Check {
        let told = |state, it: String| Check::new("leader", state, it);
        let other = self.other.lock().expect("no holder of this lock can panic").clone();
        match (self.epoch(), other) {
            (0, Some(it)) if self.has_own_broker.load(Ordering::Relaxed) => told(
                State::Degraded,
                format!("{it} leads, and facts leave through its broker: set nats.url to one broker for all instances"),
            ),
            (0, Some(it)) => told(State::Ok, format!("{it} leads")),
            (0, None) if self.upkeep.get().is_some() => {
                told(State::Degraded, "no instance leads; this one is trying to".to_owned())
            }
            (0, None) => told(
                State::Degraded,
                "no instance leads, so nothing is folded, decided or published: start one with the roles project, react and deliver".to_owned(),
            ),
            (epoch, _) => told(State::Ok, format!("epoch {epoch}")),
        }
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
            None => self.stream_in(now),
        }
    }

    /// What is wrong with `SAPA_IN`, though it can be recorded from.
    fn stream_in(&self, now: Timestamp) -> Check {
        let degraded = |detail: String| Check::new("ingest", State::Degraded, detail);
        if self.ingest.unpinned.load(Ordering::Relaxed) {
            return degraded(
                "the consumer SAPA_IN/ingest was changed by another client: messages come without \
                 Nats-Pin-Id, so two instances may take them side by side; run `sapa setup`"
                    .to_owned(),
            );
        }
        let kept = self.ingest.kept_seconds.load(Ordering::Relaxed);
        let age = self.ingest.oldest_at().map_or(0, |it| now.duration_since(it).as_secs());
        if 0 < kept && kept / 2 < age {
            return degraded(format!(
                "the oldest message waits for {age} s and expires after {kept} s"
            ));
        }
        Check::new("ingest", State::Ok, "ok")
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
        if let Some(it) = self.upkeep.get().and_then(|it| it.upgrade()) {
            checks.push(Check::new("read models", State::Degraded, it));
        }
        checks.push(self.leader());
        checks
    }

    fn samples(&self) -> Vec<Sample> {
        let number = |name, it: u64| Sample::of(name, as_number(it));
        let load = |it: &std::sync::atomic::AtomicU64| it.load(Ordering::Relaxed);
        let position = |it: &AtomicI64| u64::try_from(it.load(Ordering::Relaxed)).unwrap_or(0);
        let (ingest, relay) = (&self.ingest, &self.relay);
        let now = SystemClock.now();
        let age =
            ingest.oldest_at().map_or(0.0, |it| now.duration_since(it).as_secs_f64().max(0.0));
        let mut samples = vec![
            number("sapa_ingest_pending_messages", load(&ingest.pending)),
            Sample::of("sapa_ingest_oldest_age_seconds", age),
            Sample::of("sapa_ingest_fill_ratio", as_number(load(&ingest.fill)) / 1_000_000.0),
            number("sapa_ingest_redelivered_total", load(&ingest.redelivered)),
            number("sapa_ingest_pull_rebuilds_total", load(&ingest.pull_rebuilds)),
            number("sapa_ingest_takeovers_total", load(&ingest.takeovers)),
            number("sapa_relay_position", position(&relay.position)).with("sink", "nats"),
            number("sapa_relay_lag_events", position(&relay.lag)).with("sink", "nats"),
            number("sapa_relay_fenced_total", load(&relay.fenced)).with("sink", "nats"),
            number("sapa_log_rollbacks_total", load(&relay.log_rollbacks)),
            number(
                "sapa_broker_rollbacks_total",
                load(&ingest.broker_rollbacks) + load(&relay.broker_rollbacks),
            ),
        ];
        for role in api::metrics::ROLES {
            let held = number("sapa_lease_held", u64::from(self.epoch() != 0));
            samples.push(held.with("role", *role));
        }
        for (role, client) in self.connections.get().iter().flat_map(|it| &it.clients) {
            let up = number("sapa_nats_connected", u64::from(is_up(client)));
            let reconnects = client.statistics().connects.load(Ordering::Relaxed).saturating_sub(1);
            samples.push(up.with("connection", *role));
            samples
                .push(number("sapa_nats_reconnects_total", reconnects).with("connection", *role));
        }
        samples.extend(self.upkeep.get().iter().flat_map(|it| it.samples()));
        samples
    }

    fn broker(&self) -> Option<String> {
        self.broker.get().cloned()
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
