//! The workload: clients that record, repeat, contradict, send rubbish, and read what they wrote.
//!
//! Every client sends one thing at a time, so the order of its history is an order it may rely on.
//! Values are (client, counter) pairs, so that what is lost can be told to be a beginning, a middle
//! or an end.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use events::time::{Clock as _, spell};
use jiff::SignedDuration;
use sapa::clock::SystemClock;
use serde_json::{Value, json};
use tests::dice::Dice;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Clients at work.
pub const CLIENTS: u64 = 8;
/// Whom everything is about.
pub const CUSTOMERS: u64 = 200;
/// The sixth event of a client is about somebody who has been silent ever since a hundred days ago.
const SILENT_AT: u64 = 6;
/// After so long their silence has rung, and somebody has spoken with them in between: 84 days ago.
const SPOKEN_AFTER: Duration = Duration::from_secs(4);
/// What each of them rests: together they do some 150 things a second.
const REST: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(85));
/// How long an answer is waited for.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// What a client heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is in the log, and where.
    Recorded(Value),
    /// The broker has it.
    Accepted,
    /// It is not in the log, and why.
    Refused(u16, String),
    /// No answer, or one that says nothing.
    Unknown,
    /// A read, and whether it kept what it promises.
    Read(Result<(), String>),
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Deed {
    /// A new event.
    Record,
    /// An event again that was answered before.
    Repeat,
    /// Other content under a known id.
    Contradict,
    /// What no rule allows.
    Rubbish,
    /// A question.
    Read,
}

/// On which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Published to `SAPA_IN`.
    Stream,
    /// `POST /v1/events`.
    Http,
    /// `POST /v1/events` with several.
    Batch,
    /// `api.events.append` over NATS.
    Request,
}

/// One line of the history.
#[derive(Clone, Debug)]
pub struct Op {
    /// Who.
    pub client: u64,
    /// What.
    pub deed: Deed,
    /// How.
    pub face: Face,
    /// The event's id; its source is the client's.
    pub id: String,
    /// About whom.
    pub customer: String,
    /// Its content, to find it again in the log.
    pub data: Value,
    /// Seconds from the start of the run.
    pub begun: f64,
    /// When the answer came.
    pub ended: f64,
    /// What it was.
    pub outcome: Outcome,
}

/// The source of a client's events.
pub fn source(client: u64) -> String {
    format!("/client-{client}")
}

/// Where clients send things.
#[derive(Clone, Debug)]
pub struct Doors {
    /// The addresses of all instances.
    pub urls: Vec<String>,
    /// A key that may do everything.
    pub key: String,
    /// Where the brokers are, with commas.
    pub nats: String,
    /// Whether colleagues promise things to each other, too.
    pub colleagues: bool,
}

/// Whether a customer is one whose silences are looked at.
pub fn is_silent(customer: &str) -> bool {
    customer.starts_with("s-")
}

/// Clients at work, and what they tell.
pub struct Load {
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    told: mpsc::UnboundedReceiver<Op>,
}

impl Load {
    /// Starts all of them.
    pub async fn start(doors: Doors, dice: &mut Dice, began: Instant) -> Self {
        let stop = CancellationToken::new();
        let (tell, told) = mpsc::unbounded_channel();
        let doors = Arc::new(doors);
        let mut tasks = Vec::new();
        for client in 0..CLIENTS {
            let client = Client {
                client,
                doors: Arc::clone(&doors),
                http: http_client(),
                stream: connect(&doors.nats).await,
                dice: Dice::new(dice.seed()),
                counter: 0,
                silent_since: None,
                spoken: false,
                past: Vec::new(),
                last_receipt: 0,
                last_seen: 0,
                began,
            };
            tasks.push(tokio::spawn(client.run(stop.clone(), tell.clone())));
        }
        Self { stop, tasks, told }
    }

    /// Lets every client finish what it has begun; the history, by the end of each.
    pub async fn stop(mut self) -> Vec<Op> {
        self.stop.cancel();
        for it in self.tasks {
            it.await.unwrap();
        }
        let mut history = Vec::new();
        while let Ok(it) = self.told.try_recv() {
            history.push(it);
        }
        history.sort_by(|a, b| a.begun.total_cmp(&b.begun));
        history
    }
}

/// A client that waits two seconds for an answer and goes through no proxy.
pub fn http_client() -> reqwest::Client {
    sapa::client::install_cryptography();
    reqwest::Client::builder().timeout(ANSWER_WAIT).no_proxy().build().unwrap()
}

/// A connection of its own.
pub async fn connect(url: &str) -> Context {
    let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    let client = options.connect(url.split(',').collect::<Vec<_>>()).await.unwrap();
    let mut context = jetstream::new(client);
    context.set_timeout(ANSWER_WAIT);
    context
}

struct Client {
    client: u64,
    doors: Arc<Doors>,
    http: reqwest::Client,
    stream: Context,
    dice: Dice,
    counter: u64,
    /// When the silent customer was last greeted, as far as the run is concerned.
    silent_since: Option<Instant>,
    /// And whether somebody spoke with them since.
    spoken: bool,
    /// Events that were answered `recorded`: id, whole event, receipt.
    past: Vec<(String, Value, Value)>,
    last_receipt: i64,
    last_seen: i64,
    began: Instant,
}

impl Client {
    async fn run(mut self, stop: CancellationToken, tell: mpsc::UnboundedSender<Op>) {
        while !stop.is_cancelled() {
            tokio::time::sleep(self.dice.between(REST.0, REST.1)).await;
            if let Some(op) = self.silence().await {
                let _ = tell.send(op);
                continue;
            }
            let ops = match self.dice.below(100) {
                0..8 if !self.past.is_empty() => vec![self.repeat().await],
                8..11 if !self.past.is_empty() => vec![self.contradict().await],
                11..16 => vec![self.rubbish().await],
                16..26 => self.read().await.into_iter().collect(),
                26..30 => self.batch().await,
                it => {
                    let face = match it {
                        ..60 => Face::Http,
                        60..90 => Face::Stream,
                        _ => Face::Request,
                    };
                    vec![self.record(face).await]
                }
            };
            for op in ops {
                let _ = tell.send(op);
            }
        }
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn event(&mut self) -> Value {
        self.counter += 1;
        let n = self.counter;
        let value = format!("{}:{n}", self.client);
        let customer = format!("c-{}", self.dice.skewed(CUSTOMERS));
        let wall = SystemClock.now();
        let (kind, hours, data) = match self.dice.below(100) {
            // Asked days ago and not answered: somebody is being forgotten.
            0..4 => {
                let inquiry = format!("q-{}-{n}", self.client);
                (
                    "interaction.inquired",
                    96,
                    json!({"inquiry": inquiry, "topic": "hours", "text": value}),
                )
            }
            4..8 => {
                let due = wall
                    + SignedDuration::from_secs(
                        3 + i64::from(u8::try_from(self.dice.below(5)).unwrap_or(0)),
                    );
                let promise = format!("p-{}-{n}", self.client);
                (
                    "promise.made",
                    0,
                    json!({"promise": promise, "what": value, "due_at": spell(due), "owner": "dewi"}),
                )
            }
            8..25 => {
                let amount = json!({"amount": 50_000, "currency": "IDR"});
                (
                    "purchase.recorded",
                    0,
                    json!({"purchase": format!("{}-{n}", self.client), "kind": "sale", "amount": amount}),
                )
            }
            25..60 => (
                "interaction.contacted",
                1,
                json!({"purpose": "courtesy", "outcome": "reached", "text": value}),
            ),
            _ => ("interaction.greeted", 2, json!({"by_name": true, "text": value})),
        };
        let time = wall - SignedDuration::from_hours(hours);
        let mut event = json!({
            "specversion": "1.0", "id": format!("e-{n}"), "source": source(self.client),
            "type": format!("sapa.{kind}.v1"), "time": spell(time), "subject": customer,
            "actor": if kind == "interaction.inquired" { "customer" } else { "staff/dewi" },
            "channel": "desk", "data": data,
        });
        // Every second promise is one between colleagues, and about no customer.
        if kind == "promise.made" && n.is_multiple_of(2) && self.doors.colleagues {
            event.as_object_mut().expect("an object was written").remove("subject");
        }
        event
    }

    fn op(&self, deed: Deed, face: Face, event: &Value, begun: f64, outcome: Outcome) -> Op {
        Op {
            client: self.client,
            deed,
            face,
            id: event["id"].as_str().unwrap_or_default().to_owned(),
            customer: event["subject"].as_str().unwrap_or_default().to_owned(),
            data: event["data"].clone(),
            begun,
            ended: self.now(),
            outcome,
        }
    }

    /// Sends a new event; where the outcome is unknown, mostly again under the same id.
    async fn record(&mut self, face: Face) -> Op {
        let event = self.event();
        self.record_event(face, event).await
    }

    async fn record_event(&mut self, face: Face, event: Value) -> Op {
        let begun = self.now();
        let mut outcome = self.send(face, &event).await;
        let mut tries = 1;
        while outcome == Outcome::Unknown && tries < 4 && self.dice.percent(85) {
            tokio::time::sleep(Duration::from_millis(100 << tries)).await;
            tries += 1;
            outcome = self.send(face, &event).await;
        }
        self.remember(&event, &outcome);
        self.op(Deed::Record, face, &event, begun, outcome)
    }

    fn remember(&mut self, event: &Value, outcome: &Outcome) {
        if let Outcome::Recorded(receipt) = outcome {
            self.last_receipt = receipt["position"].as_i64().unwrap_or(0);
            let id = event["id"].as_str().unwrap_or_default().to_owned();
            self.past.push((id, event.clone(), receipt.clone()));
        }
    }

    /// Somebody is greeted once, is forgotten, spoken with once, and forgotten again: two silences of one
    /// customer that both ring within the run.
    async fn silence(&mut self) -> Option<Op> {
        let due = match self.silent_since {
            None => SILENT_AT <= self.counter,
            Some(since) => !self.spoken && SPOKEN_AFTER < since.elapsed(),
        };
        if !due {
            return None;
        }
        self.spoken = self.silent_since.is_some();
        let (kind, days, data) = if self.spoken {
            let data = json!({"purpose": "courtesy", "outcome": "reached"});
            ("interaction.contacted", 84, data)
        } else {
            ("interaction.greeted", 100, json!({"by_name": true}))
        };
        let mut event = self.event();
        event["type"] = format!("sapa.{kind}.v1").into();
        event["time"] = spell(SystemClock.now() - SignedDuration::from_hours(24 * days)).into();
        event["subject"] = format!("s-{}", self.client).into();
        event["actor"] = "staff/dewi".into();
        event["data"] = data;
        let op = self.record_event(Face::Http, event).await;
        self.silent_since = Some(Instant::now());
        Some(op)
    }

    async fn batch(&mut self) -> Vec<Op> {
        let count = 2 + self.dice.below(9);
        let events: Vec<Value> = (0..count).map(|_| self.event()).collect();
        let begun = self.now();
        let body = Value::from(events.clone()).to_string();
        let answered = self.post("application/cloudevents-batch+json", body).await;
        let outcomes: Vec<Outcome> = match answered {
            Some((status @ 200..300, body)) => {
                let receipts = body["items"].as_array().cloned();
                let receipts = receipts.unwrap_or_default();
                assert!(receipts.len() == events.len(), "{status}: {body}");
                receipts.into_iter().map(Outcome::Recorded).collect()
            }
            other => vec![answer(other); events.len()],
        };
        let mut ops = Vec::new();
        for (event, outcome) in events.iter().zip(outcomes) {
            self.remember(event, &outcome);
            ops.push(self.op(Deed::Record, Face::Batch, event, begun, outcome));
        }
        ops
    }

    /// The same event again has the same receipt, whenever and by whichever way.
    async fn repeat(&mut self) -> Op {
        let (_, event, receipt) = self.pick();
        let face = if self.dice.percent(50) { Face::Http } else { Face::Stream };
        let begun = self.now();
        let mut outcome = self.send(face, &event).await;
        if let Outcome::Recorded(again) = &outcome
            && again["position"] != receipt["position"]
        {
            outcome = Outcome::Refused(200, format!("another receipt: {receipt} and {again}"));
        }
        self.op(Deed::Repeat, face, &event, begun, outcome)
    }

    async fn contradict(&mut self) -> Op {
        let (_, mut event, _) = self.pick();
        event["subject"] = "c-somebody-else".into();
        let begun = self.now();
        let outcome = self.send(Face::Http, &event).await;
        self.op(Deed::Contradict, Face::Http, &event, begun, outcome)
    }

    async fn rubbish(&mut self) -> Op {
        let mut event = self.event();
        event["id"] = format!("bad-{}", self.counter).into();
        event["data"] = json!({"by_name": "perhaps"});
        event["type"] = "sapa.interaction.greeted.v1".into();
        let face = if self.dice.percent(50) { Face::Http } else { Face::Stream };
        let begun = self.now();
        let outcome = self.send(face, &event).await;
        self.op(Deed::Rubbish, face, &event, begun, outcome)
    }

    /// A timeline that is at least as new as the last receipt, and never older than the last look.
    async fn read(&mut self) -> Option<Op> {
        let about_somebody = |it: &&(String, Value, Value)| it.1["subject"].is_string();
        let (id, event, receipt) = self.past.iter().rev().find(about_somebody).cloned()?;
        let position = receipt["position"].as_i64().unwrap_or(0);
        let customer = event["subject"].as_str().unwrap_or_default();
        let instance = self.index();
        let url = &self.doors.urls[instance];
        let ask = format!(
            "{url}/v1/customers/{customer}/timeline?limit=500&at_least={position}&wait=1500ms"
        );
        let begun = self.now();
        let sent = self.http.get(ask).bearer_auth(&self.doors.key).send().await;
        let mut outcome = Outcome::Unknown;
        if let Ok(answered) = sent
            && answered.status().is_success()
            && let Ok(text) = answered.text().await
            && let Ok(body) = serde_json::from_str::<Value>(&text)
        {
            let seen = body["as_of"]["position"].as_i64().unwrap_or(-1);
            let reached = body["as_of"]["reached"] != Value::Bool(false);
            let whole = body["next_cursor"].is_null();
            let there = body["items"]
                .as_array()
                .is_some_and(|items| items.iter().any(|it| it["position"] == position));
            outcome = Outcome::Read(if seen < self.last_seen {
                Err(format!("went back from {} to {seen}", self.last_seen))
            } else if reached && position <= seen && whole && !there {
                Err(format!("{id} of {customer} at {position} is not on the timeline as of {seen}"))
            } else {
                Ok(())
            });
            self.last_seen = self.last_seen.max(seen);
        }
        Some(self.op(Deed::Read, Face::Http, &event, begun, outcome))
    }

    fn pick(&mut self) -> (String, Value, Value) {
        let at = self.dice.below(self.past.len() as u64);
        self.past[usize::try_from(at).unwrap_or(0)].clone()
    }

    fn index(&mut self) -> usize {
        usize::try_from(self.dice.below(self.doors.urls.len() as u64)).unwrap_or(0)
    }

    async fn send(&mut self, face: Face, event: &Value) -> Outcome {
        let body = event.to_string();
        match face {
            Face::Http | Face::Batch => {
                answer(self.post("application/cloudevents+json", body).await)
            }
            Face::Stream => {
                let kind = event["type"].as_str().unwrap_or_default();
                let kind = kind.trim_start_matches("sapa.").trim_end_matches(".v1");
                let publish = async {
                    let subject = format!("sapa.v1.main.in.{kind}");
                    self.stream.publish(subject, body.into()).await.ok()?.await.ok()
                };
                match tokio::time::timeout(ANSWER_WAIT, publish).await {
                    Ok(Some(_)) => Outcome::Accepted,
                    _ => Outcome::Unknown,
                }
            }
            Face::Request => {
                let client = self.stream.client();
                let asked = client.request("sapa.v1.main.api.events.append", body.into());
                let Ok(Ok(answered)) = tokio::time::timeout(ANSWER_WAIT, asked).await else {
                    return Outcome::Unknown;
                };
                let status = answered.headers.as_ref().and_then(|it| it.get("Sapa-Status"));
                let status = status.and_then(|it| it.as_str().parse().ok());
                if answered.payload.is_empty() {
                    // Whoever asked cannot tell it from nothing.
                    return Outcome::Refused(0, "an answer without a body".to_owned());
                }
                let body = serde_json::from_slice(&answered.payload).ok();
                answer(status.zip(body))
            }
        }
    }

    async fn post(&mut self, kind: &str, body: String) -> Option<(u16, Value)> {
        let instance = self.index();
        let url = format!("{}/v1/events", self.doors.urls[instance]);
        let call = self.http.post(url).bearer_auth(&self.doors.key);
        let answered = call.header("content-type", kind).body(body).send().await.ok()?;
        let status = answered.status().as_u16();
        // A body that breaks off is no answer.
        let body = serde_json::from_str(&answered.text().await.ok()?).ok()?;
        Some((status, body))
    }
}

/// What an answer says: only a refusal that names the sender's fault says that nothing was recorded.
fn answer(answered: Option<(u16, Value)>) -> Outcome {
    match answered {
        Some((200 | 201, body)) => Outcome::Recorded(body),
        Some((408 | 429, _)) | None => Outcome::Unknown,
        Some((status @ 400..500, body)) => {
            Outcome::Refused(status, body["code"].as_str().unwrap_or_default().to_owned())
        }
        Some(_) => Outcome::Unknown,
    }
}
