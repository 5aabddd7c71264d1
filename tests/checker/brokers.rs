//! The brokers: one nats-server, or three that hold three copies of every stream, each in a folder of
//! its own and written through to disk. Any of them can be killed and comes back on the same files and
//! ports. Here too: what goes wrong in a cluster only, and what is judged of it (F22, F23).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::Config;
use sapa::servers::guard::guard_program;
use sapa::servers::nats::{NatsOptions, NatsServer, PortChoice, Search};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::judge::Verdict;
use crate::load::{Face, Op, Outcome};
use crate::nemesis::{Event, Fault};
use crate::world::{copy, free_port};

/// How long a cluster may take until it holds its first stream.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(30);
/// An acknowledgement that was on its way when the quorum was lost has arrived after so many seconds.
const ON_ITS_WAY: f64 = 5.0;

/// One nats-server.
struct Broker {
    folder: PathBuf,
    port: u16,
    /// What makes it one of a cluster.
    extra: Option<String>,
    server: Option<NatsServer>,
}

/// All of them.
pub struct Brokers {
    program: PathBuf,
    all: Vec<Broker>,
}

impl Brokers {
    /// Starts so many, and waits until streams can be made.
    pub async fn start(folder: PathBuf, count: usize) -> Self {
        let found = tokio::task::spawn_blocking(|| {
            sapa::servers::nats::locate(&Search { fetch: true, ..Search::default() })
        });
        let program = found.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
        let routes: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let all = (0..count).map(|n| Broker {
            folder: folder.join(n.to_string()),
            port: free_port(),
            extra: (1 < count).then(|| cluster(n, &routes)),
            server: None,
        });
        let mut brokers = Self { program, all: all.collect() };
        brokers.revive().await;
        if 1 < count {
            brokers.elected().await;
        }
        brokers
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Where each of them listens.
    pub fn ports(&self) -> Vec<u16> {
        self.all.iter().map(|it| it.port).collect()
    }

    /// Where clients connect: all of them, with commas.
    pub fn url(&self) -> String {
        urls(&self.ports())
    }

    /// `kill -9` of one of them.
    pub async fn kill(&mut self, n: usize) {
        if let Some(server) = self.all[n].server.take() {
            server.kill().await;
        }
    }

    /// Keeps a copy of the only one's files, or puts it back; it must not run.
    pub fn copy(&self, keep: bool) {
        let folder = &self.all[0].folder;
        let aside = folder.with_extension("aside");
        let (from, to) = if keep { (folder, &aside) } else { (&aside, folder) };
        let _ = std::fs::remove_dir_all(to);
        copy(from, to).unwrap();
    }

    /// Starts those again that do not run.
    pub async fn revive(&mut self) {
        for it in self.all.iter_mut().filter(|it| it.server.is_none()) {
            let options = NatsOptions {
                port: PortChoice::Exactly(it.port),
                guard: guard_program(),
                extra: it.extra.clone(),
                ..NatsOptions::new(&it.folder)
            };
            it.server = Some(NatsServer::start(&self.program, options).await.unwrap());
        }
    }

    /// Waits until the cluster makes a stream with a copy on each server.
    async fn elected(&self) {
        let context = crate::load::connect(&self.url()).await;
        let probe = Config {
            name: "PROBE".to_owned(),
            subjects: vec!["probe".to_owned()],
            num_replicas: self.count(),
            ..Default::default()
        };
        let began = Instant::now();
        while let Err(error) = context.create_stream(probe.clone()).await {
            assert!(
                began.elapsed() < CLUSTER_PATIENCE,
                "the brokers do not find together: {error}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        context.delete_stream("PROBE").await.unwrap();
    }

    /// Which of them leads something; the first if nobody says.
    async fn leader(&self, context: &Context, what: Led) -> usize {
        let asked = tokio::time::timeout(Duration::from_secs(5), leader(context, what)).await;
        let name = asked.ok().flatten().unwrap_or_default();
        (0..self.count()).find(|n| server_name(*n) == name).unwrap_or(0)
    }
}

/// `nats://…` for each port, with commas.
pub fn urls(ports: &[u16]) -> String {
    let urls = ports.iter().map(|it| format!("nats://127.0.0.1:{it}"));
    urls.collect::<Vec<_>>().join(",")
}

fn server_name(n: usize) -> String {
    format!("sapa-{n}")
}

/// Nobody is told of the others' addresses: who goes through a proxy has to stay there.
fn cluster(n: usize, routes: &[u16]) -> String {
    let mut all = String::new();
    for (_, port) in routes.iter().enumerate().filter(|(it, _)| *it != n) {
        let _ = write!(all, "\"nats://127.0.0.1:{port}\", ");
    }
    format!(
        "server_name: {}\ncluster {{ name: sapa, listen: \"127.0.0.1:{}\", no_advertise: true, routes: [{}] }}",
        server_name(n),
        routes[n],
        all.trim_end_matches(", "),
    )
}

/// What a server can lead.
#[derive(Clone, Copy, Debug)]
enum Led {
    In,
    Ingest,
    Out,
}

const ALL_LED: [Led; 3] = [Led::In, Led::Ingest, Led::Out];

async fn leader(context: &Context, what: Led) -> Option<String> {
    let name = if matches!(what, Led::Out) { "SAPA_OUT" } else { "SAPA_IN" };
    let stream = context.get_stream(name).await.ok()?;
    if !matches!(what, Led::Ingest) {
        return stream.cached_info().cluster.clone()?.leader;
    }
    let consumer = stream.get_consumer::<pull::Config>("ingest").await.ok()?;
    consumer.cached_info().cluster.clone()?.leader
}

/// Kills whoever leads what the moment of the fault decides; which one it was.
pub async fn kill_leader(brokers: &mut Brokers, lasts: Duration) -> usize {
    let what = ALL_LED[lasts.subsec_micros() as usize % ALL_LED.len()];
    let context = crate::load::connect(&brokers.url()).await;
    let n = brokers.leader(&context, what).await;
    eprintln!("            it leads {what:?}: server {n}");
    brokers.kill(n).await;
    n
}

/// Every leader is told to give way to another.
pub async fn step_down(brokers: &Brokers) {
    let context = crate::load::connect(&brokers.url()).await;
    for what in [
        "STREAM.LEADER.STEPDOWN.SAPA_IN",
        "CONSUMER.LEADER.STEPDOWN.SAPA_IN.ingest",
        "STREAM.LEADER.STEPDOWN.SAPA_OUT",
    ] {
        let asked: Result<Value, _> = context.request(what.to_owned(), &json!({})).await;
        match asked {
            Ok(it) if it["success"] == true => {}
            other => eprintln!("            {what}: {other:?}"),
        }
    }
}

/// Two of three are killed, one of which leads `SAPA_IN`.
pub async fn lose_quorum(brokers: &mut Brokers) {
    let context = crate::load::connect(&brokers.url()).await;
    let n = brokers.leader(&context, Led::In).await;
    brokers.kill(n).await;
    brokers.kill((n + 1) % brokers.count()).await;
}

/// Of all acknowledgements none may have come while two of three were away.
pub fn nothing_without_a_quorum(history: &[Op], faults: &[Event]) -> Option<Verdict> {
    let gaps: Vec<(f64, f64)> = faults
        .iter()
        .filter(|it| it.fault == Fault::NoQuorum)
        .filter_map(|it| it.gap.map(|(from, to)| (from + ON_ITS_WAY, to)))
        .collect();
    let longest = gaps.iter().map(|it| it.1 - it.0).fold(0.0, f64::max);
    if longest <= 0.0 {
        return None;
    }
    let is_in = |at: f64| gaps.iter().any(|it| it.0 < at && at < it.1);
    let published = history.iter().filter(|it| it.face == Face::Stream);
    let (mut tried, mut against) = (0, Vec::new());
    for op in published.filter(|it| is_in(it.ended)) {
        tried += 1;
        if op.outcome == Outcome::Accepted {
            against
                .push(format!("client {} {} was accepted at {:.1} s", op.client, op.id, op.ended));
        }
    }
    let says = "While two of three servers are away, nothing is accepted.";
    let looked = format!("{} outages, {tried} publications tried during them", gaps.len());
    Some(Verdict::new("F23", says, looked, against))
}
