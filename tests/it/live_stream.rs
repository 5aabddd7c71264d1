//! Server-sent events against a running service: who reconnects with the last id it saw misses
//! nothing and sees nothing twice, also when the service was stopped or killed in between.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use crate::program::Program;

/// How long the next message may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing has to come to count as nothing.
const QUIET: Duration = Duration::from_millis(300);

/// One open stream.
struct Stream {
    response: Response,
    waiting: String,
}

/// What came: id, event and data.
#[derive(Debug, PartialEq)]
struct Message {
    id: Option<i64>,
    event: String,
    data: Value,
}

impl Stream {
    async fn message(&mut self) -> Message {
        let next = async {
            loop {
                if let Some((message, rest)) = self.waiting.split_once("\n\n") {
                    let message = message.to_owned();
                    self.waiting = rest.to_owned();
                    return message;
                }
                let chunk = self.response.chunk().await.unwrap().expect("the stream goes on");
                self.waiting.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        let message = tokio::time::timeout(PATIENCE, next).await.expect("something comes");
        let field = |name: &str| {
            let prefix = format!("{name}: ");
            message.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default()
        };
        Message {
            id: field("id").parse().ok(),
            event: field("event").to_owned(),
            data: serde_json::from_str(field("data")).unwrap_or_default(),
        }
    }

    /// The ids and positions of the next so many facts.
    async fn facts(&mut self, count: usize) -> Vec<(String, i64)> {
        let mut found = Vec::new();
        while found.len() < count {
            let it = self.message().await;
            assert_eq!(it.event, "sapa.interaction.contacted.v1", "{it:?}");
            assert_eq!(it.data["position"].as_str().unwrap().parse().ok(), it.id, "S1");
            found.push((it.data["id"].as_str().unwrap().to_owned(), it.id.unwrap()));
        }
        found
    }

    async fn is_quiet(&mut self) -> bool {
        self.waiting.is_empty() && tokio::time::timeout(QUIET, self.response.chunk()).await.is_err()
    }
}

struct Desk {
    program: Program,
    http: reqwest::Client,
    key: String,
}

impl Desk {
    async fn open() -> Self {
        sapa::client::install_cryptography();
        let mut program = Program::new(&[("nats.mode", "off")]);
        program.start();
        program.ready().await;
        let key = program.key();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { program, http, key }
    }

    /// Records facts and gives their ids with their positions.
    async fn record(&self, ids: &[&str]) -> Vec<(String, i64)> {
        let mut recorded = Vec::new();
        for id in ids {
            let event = json!({
                "specversion": "1.0", "id": id, "source": "/desk", "subject": "c-sari",
                "type": "sapa.interaction.contacted.v1", "time": "2024-03-02T10:00:00+07:00",
                "actor": "staff/rudi", "channel": "phone", "imported": true,
                "data": {"purpose": "care", "outcome": "reached"},
            });
            let request = self.http.post(format!("{}/v1/events", self.program.url()));
            let request = request.bearer_auth(&self.key).header("Content-Type", "application/json");
            let answer = request.body(event.to_string()).send().await.unwrap();
            let receipt: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!(receipt["outcome"], "recorded", "{receipt}");
            recorded.push(((*id).to_owned(), receipt["position"].as_i64().unwrap()));
        }
        recorded
    }

    async fn stream(&self, query: &str, last_seen: Option<i64>) -> Stream {
        let url = format!("{}/v1/stream?{query}", self.program.url());
        let mut request = self.http.get(url).bearer_auth(&self.key);
        if let Some(last_seen) = last_seen {
            request = request.header("Last-Event-ID", last_seen.to_string());
        }
        let response = request.header("Accept", "text/event-stream").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut stream = Stream { response, waiting: String::new() };
        let first = stream.message().await;
        assert_eq!((first.id, first.event.as_str()), (None, ""), "it begins with how to come back");
        stream
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_with_the_last_id_misses_nothing_and_sees_nothing_twice() {
    let mut desk = Desk::open().await;
    let early = desk.record(&["1", "2", "3"]).await;

    let mut stream = desk.stream("after=0&topic=interaction", None).await;
    assert_eq!(stream.facts(3).await, early, "from the beginning");
    let live = desk.record(&["4"]).await;
    assert_eq!(stream.facts(1).await, live, "and then as it is recorded");
    drop(stream);

    let missed = desk.record(&["5", "6"]).await;
    // The header wins over the parameter, as a browser sends both when it comes back.
    let mut stream = desk.stream("after=0&topic=interaction", Some(live[0].1)).await;
    assert_eq!(stream.facts(2).await, missed);
    assert!(stream.is_quiet().await, "nothing twice");

    desk.program.stop().await;
    let goodbye = stream.message().await;
    assert_eq!((goodbye.event.as_str(), &goodbye.data["reason"]), ("bye", &json!("shutdown")));

    desk.program.start();
    desk.program.ready().await;
    let after_stop = desk.record(&["7"]).await;
    let mut stream = desk.stream("topic=interaction", Some(missed[0].1)).await;
    assert_eq!(stream.facts(2).await, [missed[1..].to_vec(), after_stop.clone()].concat());

    desk.program.kill().await;
    desk.program.start();
    desk.program.ready().await;
    let mut stream = desk.stream("topic=interaction", Some(after_stop[0].1)).await;
    assert!(stream.is_quiet().await, "nothing twice after a crash");
    let after_crash = desk.record(&["8"]).await;
    assert_eq!(stream.facts(1).await, after_crash);

    // Without a place it begins at the head; a filter that fits nothing stays quiet.
    let mut head = desk.stream("topic=interaction", None).await;
    let mut other = desk.stream("topic=booking", None).await;
    let last = desk.record(&["9"]).await;
    assert_eq!(head.facts(1).await, last);
    assert!(other.is_quiet().await);
    desk.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_refused_with_the_reason_and_opens_for_nobody_without_a_key() {
    let mut desk = Desk::open().await;
    for (query, key, status, code) in [
        ("topic=weather", desk.key.as_str(), 422, "query_invalid"),
        ("after=yesterday", desk.key.as_str(), 422, "query_invalid"),
        ("tz=WIB", desk.key.as_str(), 422, "query_invalid"),
        ("colour=blue", desk.key.as_str(), 422, "query_invalid"),
        ("", "nonsense", 401, "token_invalid"),
    ] {
        let url = format!("{}/v1/stream?{query}", desk.program.url());
        let answer = desk.http.get(url).bearer_auth(key).send().await.unwrap();
        assert_eq!(answer.status(), status, "{query}");
        let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(problem["code"], code, "{query}");
    }
    desk.program.stop().await;
}
