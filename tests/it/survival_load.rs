//! The load under which things are killed: publishers that send each event until it is answered,
//! always under the same id, and note what they were told.
//!
//! A publisher sends one event at a time, so the order of its notes is the order it may rely on.

use std::time::Duration;

use async_nats::jetstream::{self, Context};
use events::time::spell;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tests::dice::Dice;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::program::http_client;
use crate::support::event;
use crate::support_nats::spawn;

/// Whom everything is about.
const CUSTOMERS: u64 = 40;
/// Publishers over HTTP, and as many into the stream.
const PUBLISHERS: usize = 3;
/// What each of them rests after an event: together they send some 150 a second.
const REST: Duration = Duration::from_millis(35);
/// How long the broker's answer may take before the event is sent again.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// What is rested after a failure.
const RETRY_REST: Duration = Duration::from_millis(50);

/// What one publisher was told about one event.
#[derive(Clone, Debug)]
pub struct Note {
    pub source: String,
    pub id: String,
    /// The receipt, where the answer was `recorded`; none where it was `accepted`.
    pub receipt: Option<Value>,
}

/// Publishers at work.
pub struct Load {
    stop: CancellationToken,
    publishers: Vec<JoinHandle<Vec<Note>>>,
}

impl Load {
    /// Starts to send: over HTTP to whichever of the addresses answers, and to the server at a port.
    pub async fn start(urls: &[String], key: &str, nats: u16, dice: &mut Dice) -> Self {
        let stop = CancellationToken::new();
        let mut publishers = Vec::new();
        for n in 0..PUBLISHERS {
            let voice = |face: &str, dice: &mut Dice| Voice {
                source: format!("/{face}-{n}"),
                sent: 0,
                dice: Dice::new(dice.seed()),
                stop: stop.clone(),
            };
            let http = voice("http", dice);
            publishers.push(spawn(over_http(http, urls.to_vec(), key.to_owned())));
            publishers.push(spawn(into_stream(voice("nats", dice), connect(nats).await)));
        }
        Self { stop, publishers }
    }

    /// Waits until each event that was begun has been answered; the notes of each publisher.
    pub async fn stop(self) -> Vec<Vec<Note>> {
        self.stop.cancel();
        let mut notes = Vec::new();
        for it in self.publishers {
            notes.push(it.await.unwrap());
        }
        notes
    }
}

/// A connection of its own.
pub async fn connect(port: u16) -> Context {
    let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    let client = options.connect(format!("nats://127.0.0.1:{port}")).await.unwrap();
    let mut context = jetstream::new(client);
    context.set_timeout(ANSWER_WAIT);
    context
}

/// What one publisher has to say.
struct Voice {
    source: String,
    sent: u64,
    dice: Dice,
    stop: CancellationToken,
}

impl Voice {
    /// The next event: its id, its kind and its bytes; none once it was asked to stop.
    async fn next(&mut self) -> Option<(String, &'static str, Vec<u8>)> {
        tokio::time::sleep(REST).await;
        if self.stop.is_cancelled() {
            return None;
        }
        self.sent += 1;
        let id = format!("e-{}", self.sent);
        let (kind, hours) = match self.dice.below(100) {
            // Asked days ago and not answered: somebody is being forgotten.
            0..5 => ("interaction.inquired", 96 + self.dice.below(24)),
            5..50 => ("interaction.contacted", self.dice.below(72)),
            _ => ("interaction.greeted", self.dice.below(72)),
        };
        let time = Timestamp::now() - SignedDuration::from_hours(i64::try_from(hours).unwrap());
        let mut event = event(kind)
            .id(&id)
            .source(&self.source)
            .customer(&format!("c-{}", self.dice.below(CUSTOMERS)))
            .at(&spell(time));
        if kind == "interaction.inquired" {
            event = event.member("inquiry", format!("q-{}", self.dice.seed()));
        }
        Some((id, kind, event.bytes()))
    }
}

async fn over_http(mut voice: Voice, urls: Vec<String>, key: String) -> Vec<Note> {
    let client = http_client();
    let mut notes = Vec::new();
    let mut at = 0;
    while let Some((id, _, bytes)) = voice.next().await {
        let receipt = loop {
            let call = client
                .post(format!("{}/v1/events", urls[at % urls.len()]))
                .header("authorization", format!("Bearer {key}"))
                .header("content-type", "application/cloudevents+json")
                .body(bytes.clone());
            if let Ok(answer) = call.send().await {
                let status = answer.status().as_u16();
                // A body that breaks off is no answer.
                if let Ok(body) = answer.text().await {
                    match status {
                        200 | 201 => break serde_json::from_str(&body).unwrap(),
                        429 | 500.. => {}
                        _ => panic!("{status}: {body}"),
                    }
                }
            }
            at += 1;
            tokio::time::sleep(RETRY_REST).await;
        };
        notes.push(Note { source: voice.source.clone(), id, receipt: Some(receipt) });
    }
    notes
}

async fn into_stream(mut voice: Voice, context: Context) -> Vec<Note> {
    let mut notes = Vec::new();
    while let Some((id, kind, bytes)) = voice.next().await {
        let subject = format!("sapa.v1.main.in.{kind}");
        loop {
            let publish = async {
                let sent = context.publish(subject.clone(), bytes.clone().into()).await.ok()?;
                sent.await.ok()
            };
            if let Ok(Some(_)) = tokio::time::timeout(ANSWER_WAIT, publish).await {
                break;
            }
            tokio::time::sleep(RETRY_REST).await;
        }
        notes.push(Note { source: voice.source.clone(), id, receipt: None });
    }
    notes
}
