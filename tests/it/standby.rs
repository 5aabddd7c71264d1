//! A database that failed over to a standby without the last commits: nothing goes out under numbers
//! that were used, whoever asks is told, and what an operator is told to do helps.
//!
//! What was recorded and not replicated is lost; that is what an asynchronous standby means. What must not happen is that readers of `SAPA_OUT` get
//! another event under a position they know, or never get one.

use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use futures_util::StreamExt as _;
use sapa::servers::guard::guard_program;
use sapa::servers::nats::{NatsOptions, NatsServer};
use sapa::servers::postgres::{self, Cluster, ClusterOptions};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::program::{Program, http_client};
use crate::support_nats::{event, eventually, nats_program, spawn};
use crate::survival_load::connect;

/// Longer than the relay sleeps when no bell rings, and than a lease is looked for.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

/// An address that stays the same while what is behind it changes.
async fn door(to: SocketAddr) -> (u16, watch::Sender<SocketAddr>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (point, pointed) = watch::channel(to);
    spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let to = *pointed.borrow();
            spawn(async move {
                if let Ok(mut server) = TcpStream::connect(to).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    (port, point)
}

fn address(cluster: &Cluster) -> SocketAddr {
    let url = cluster.url("sapa");
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Everything that one run of this needs.
struct Hotel {
    program: Program,
    context: Context,
    client: reqwest::Client,
    sent: usize,
}

impl Hotel {
    /// Records so many greetings over HTTP.
    async fn record(&mut self, count: usize) {
        for _ in 0..count {
            self.sent += 1;
            let body = event(&format!("e-{}", self.sent)).to_string();
            let is_recorded = async || {
                let call = self.client.post(format!("{}/v1/events", self.program.url()));
                let call = call.header("content-type", "application/cloudevents+json");
                let asked = call.bearer_auth(self.program.key()).body(body.clone()).send().await;
                asked.is_ok_and(|it| it.status().is_success())
            };
            eventually("it is recorded", is_recorded).await;
        }
    }

    /// What went out: position and id, in the order of the stream.
    async fn out(&self) -> Vec<(i64, String)> {
        let Ok(stream) = self.context.get_stream("SAPA_OUT").await else { return Vec::new() };
        let count = usize::try_from(stream.cached_info().state.messages).unwrap();
        let config = pull::Config { ack_policy: AckPolicy::None, ..Default::default() };
        let consumer = stream.create_consumer(config).await.unwrap();
        let messages = consumer.messages().await.unwrap();
        let read = messages.take(count).map(|it| {
            let it = it.unwrap();
            let position = it.headers.as_ref().unwrap().get("Sapa-Position").unwrap().as_str();
            let body: Value = serde_json::from_slice(&it.payload).unwrap();
            (position.parse().unwrap(), body["id"].as_str().unwrap().to_owned())
        });
        read.collect().await
    }

    /// Waits until the greeting that was sent last has gone out.
    async fn all_is_out(&self) {
        let last = format!("e-{}", self.sent);
        eventually("all of it goes out", async || {
            self.out().await.iter().any(|(_, id)| *id == last)
        })
        .await;
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let asked = self.client.get(format!("{}{path}", self.program.url()));
        match asked.bearer_auth(self.program.key()).send().await {
            Ok(it) => (it.status().as_u16(), it.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    /// Waits until it says that the log was rolled back, and is not ready because of it.
    async fn tells(&self) {
        eventually("it says that the log was rolled back", async || {
            let (status, text) = self.get("/readyz?verbose").await;
            status == 503 && text.contains("log_rollback")
        })
        .await;
        assert!(self.program.said().contains("log_rollback"), "{}", self.program.said());
    }
}

/// What the log holds: position and id.
async fn log_of(cluster: &Cluster) -> Vec<(i64, String)> {
    let rows = cluster.query("sapa", "SELECT position, event_id FROM log.events ORDER BY position");
    let rows = rows.await.unwrap();
    let row = |it: &str| {
        let (position, id) = it.split_once('|').unwrap();
        (position.parse().unwrap(), id.to_owned())
    };
    rows.lines().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f36_a_standby_that_misses_commits_publishes_nothing_under_their_positions() {
    let options =
        ClusterOptions { fsync: true, tcp: true, guard: guard_program(), ..Default::default() };
    let programs = postgres::locate(true).unwrap_or_else(|error| panic!("{error}"));
    let mut primary = Cluster::start(programs, options).await.unwrap();
    primary.create_database("sapa").await.unwrap();
    let (port, point) = door(address(&primary)).await;
    let url = primary.url("sapa");
    let url = url.replace(&format!(":{}/", address(&primary).port()), &format!(":{port}/"));

    let nats = nats_program().await;
    let folder = tempfile::tempdir().unwrap();
    let nats = NatsServer::start(&nats, NatsOptions::new(folder.path())).await.unwrap();
    let mut program = Program::new(&[("nats.url", nats.url().as_str()), ("database.url", &url)]);
    program.run(&["setup"]).await;
    program.start();
    program.ready().await;
    let context = connect(nats.port()).await;
    let mut hotel = Hotel { program, context, client: http_client(), sent: 0 };

    // Ten that the standby has, and ten that it does not.
    hotel.record(10).await;
    let standby = primary.standby("late").await.unwrap();
    standby.set("primary_conninfo", "").await.unwrap();
    eventually("it follows no more", async || {
        let count = primary.query("sapa", "SELECT count(*) FROM pg_stat_replication").await;
        count.is_ok_and(|it| it == "0")
    })
    .await;
    hotel.record(10).await;
    hotel.all_is_out().await;
    tokio::time::sleep(LONG_ENOUGH).await;

    // It takes over under a program that runs, whose log grows past what went out.
    primary.kill9().await;
    // What was on its way has arrived, and nothing more can follow.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let out = hotel.out().await;
    let kept = log_of(&standby).await.len();
    assert!(10 <= kept && kept + 10 <= out.len(), "{kept} of {}", out.len());
    standby.promote().await.unwrap();
    point.send_replace(address(&standby));
    hotel.record(5).await;
    hotel.tells().await;
    let (_, metrics) = hotel.get("/metrics").await;
    let rollbacks = metrics.lines().find(|it| it.starts_with("sapa_log_rollbacks_total"));
    assert!(rollbacks.is_some_and(|it| !it.ends_with(" 0")), "{rollbacks:?}");
    while log_of(&standby).await.len() <= out.len() {
        hotel.record(5).await;
    }
    tokio::time::sleep(LONG_ENOUGH).await;
    assert_eq!(hotel.out().await, out, "something went out");

    // Nor after a start, when the numbers alone look as if nothing had happened.
    hotel.program.stop().await;
    hotel.program.start();
    hotel.tells().await;
    tokio::time::sleep(LONG_ENOUGH).await;
    assert_eq!(hotel.out().await, out, "something went out after a start");

    // What it says that a person can do helps.
    hotel.program.stop().await;
    hotel.context.delete_stream("SAPA_OUT").await.unwrap();
    hotel.program.run(&["setup"]).await;
    hotel.program.start();
    hotel.program.ready().await;
    hotel.all_is_out().await;
    let out = hotel.out().await;
    assert_eq!(log_of(&standby).await[..out.len()], out[..], "what went out is not the log");
    hotel.program.stop().await;
}
