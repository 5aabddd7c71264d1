//! Every setting has an effect, and every metric moves: two tables with a case for each line of the
//! program's own tables, played in a whole service in this process.

mod metrics;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use sapa::config::{Config, Profile, Surroundings};
use sapa::exit::Exit;
use sapa::serve::compose::Parts;
use sapa::serve::service::{Base, Mode, Service};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::program::http_client;
use crate::support_nats::{eventually, nats_program, spawn};

/// A service on SQLite with a nats-server of its own.
pub struct Live {
    pub base: Base,
    pub parts: Parts,
    pub url: String,
    pub nats: Option<String>,
    pub folder: TempDir,
    stop: CancellationToken,
    ended: JoinHandle<Exit>,
}

/// A configuration of these settings alone.
pub fn config(settings: &[(&'static str, &str)]) -> Result<Config, sapa::config::ConfigError> {
    let flags = settings.iter().map(|(key, value)| (*key, (*value).to_owned(), "--test")).collect();
    Config::load(&Surroundings { flags, ..Surroundings::default() }, Profile::Service)
}

impl Live {
    /// Starts one in a folder of its own.
    pub async fn start(settings: &[(&'static str, &str)]) -> Self {
        nats_program().await;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut all = vec![("data_dir", data.to_str().unwrap()), ("http.addr", "127.0.0.1:0")];
        all.extend(settings);
        let config = config(&all).unwrap_or_else(|error| panic!("{error}"));
        let service =
            Service::start(config, Mode::Serve).await.unwrap_or_else(|error| panic!("{error}"));
        let (base, parts) = (service.base.clone(), service.parts.clone());
        let (url, nats) = (format!("http://{}", service.http), service.nats.clone());
        let stop = CancellationToken::new();
        let asked = stop.clone();
        let ended = spawn(service.run(async move { asked.cancelled().await }));
        let live = Self { base, parts, url, nats, folder, stop, ended };
        eventually("it is ready", async || live.get("/readyz", None).await.0 == 200).await;
        eventually("it leads", async || live.parts.told.epoch() != 0).await;
        live
    }

    pub async fn stop(self) {
        self.stop.cancel();
        assert_eq!(self.ended.await.unwrap(), Exit::Done);
    }

    /// The key that the first start wrote.
    pub fn key(&self) -> String {
        let path = sapa::serve::first::admin_key_file(&self.folder.path().join("data"));
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    pub async fn get(&self, path: &str, key: Option<&str>) -> (u16, String) {
        let mut request = http_client().get(format!("{}{path}", self.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        match request.send().await {
            Ok(it) => (it.status().as_u16(), it.text().await.unwrap_or_default()),
            Err(error) => (0, error.to_string()),
        }
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = http_client()
            .post(format!("{}{path}", self.url))
            .timeout(Duration::from_secs(20))
            .bearer_auth(self.key())
            .header(
                "Content-Type",
                if path == "/v1/events" {
                    "application/cloudevents+json"
                } else {
                    "application/json"
                },
            )
            .body(body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Records one fact.
    pub async fn record(&self, event: &Value) -> i64 {
        let (status, body) = self.post("/v1/events", event).await;
        assert!(status == 201 || status == 200, "{status} {body}");
        let position = &body["position"];
        position.as_i64().or_else(|| position.as_str()?.parse().ok()).unwrap_or_default()
    }

    /// What `/metrics` shows now.
    pub async fn metrics(&self) -> String {
        let (status, text) = self.get("/metrics", Some(&self.key())).await;
        assert_eq!(status, 200, "{text}");
        text
    }

    /// A connection to its nats-server.
    pub async fn broker(&self) -> Context {
        let token = std::fs::read_to_string(self.folder.path().join("data/nats/token")).unwrap();
        let options = async_nats::ConnectOptions::new().token(token.trim().to_owned());
        jetstream::new(options.connect(self.nats.as_deref().unwrap()).await.unwrap())
    }

    /// Takes the lock of one of its files, as another process may.
    pub async fn lock(&self, file: &str) -> sqlx::SqliteConnection {
        use sqlx::{Connection as _, Executor as _};
        let path = self.folder.path().join("data").join(file);
        let url = format!("sqlite:{}", path.display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let busy = "PRAGMA busy_timeout = 20000";
        connection.execute(busy).await.unwrap();
        connection.execute("BEGIN IMMEDIATE").await.unwrap();
        connection
    }
}

/// A fact of this moment about a customer, as the front desk sends it.
#[expect(clippy::needless_pass_by_value, reason = "callers write the data in place")]
pub fn fact(
    live: &Live,
    id: &str,
    kind: &str,
    customer: &str,
    days_ago: i64,
    data: Value,
) -> Value {
    let at = live.base.clock.now() - jiff::SignedDuration::from_hours(24 * days_ago);
    json!({
        "specversion": "1.0", "id": id, "source": "/desk", "type": format!("sapa.{kind}.v1"),
        "subject": customer, "time": events::time::spell(at), "actor": "staff/dewi",
        "channel": "phone", "data": data,
    })
}

/// A contact of ours.
pub fn contact(live: &Live, id: &str, customer: &str) -> Value {
    fact(
        live,
        id,
        "interaction.contacted",
        customer,
        0,
        json!({"purpose": "courtesy", "outcome": "reached"}),
    )
}

/// A question of the customer's, asked so many days ago.
pub fn question(live: &Live, id: &str, customer: &str, days_ago: i64) -> Value {
    let mut it = fact(
        live,
        id,
        "interaction.inquired",
        customer,
        days_ago,
        json!({"inquiry": id, "topic": "price"}),
    );
    it["actor"] = json!("customer");
    it
}

/// Whether a test of this name stands in the source of the workspace.
pub fn is_a_test(name: &str) -> bool {
    use crate::support::files::files_of;
    let folders = ["crates", "tests"];
    folders.iter().flat_map(|it| files_of(it, "rs")).any(|file| {
        std::fs::read_to_string(file).is_ok_and(|it| it.contains(&format!("fn {name}(")))
    })
}

/// One of the shared parts, to be asked from a case.
pub type House = Arc<Live>;
