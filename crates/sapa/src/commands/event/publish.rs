//! `sapa event publish`: one event from flags, or one or many from a file, over HTTP or NATS.
//! The id is made and said before anything is sent, so that sending again is safe. Over NATS the
//! broker's word is `accepted`; `--wait` goes on until the log's word, `recorded`, is there.

use std::path::PathBuf;

use async_nats::HeaderMap;
use async_nats::jetstream;
use clap::{Args, ValueEnum};
use events::id::{Actor, Tenant};
use events::kind::Kind;
use events::time::{Clock, spell};
use serde_json::{Value, json};

use crate::broker;
use crate::client::{Call, Method};
use crate::clock::SystemClock;
use crate::commands::schema::kind_and_version;
use crate::commands::session::Session;
use crate::commands::{input, json_argument, object};
use crate::exit::{Exit, Failure};
use crate::say;

/// Which way an event goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Recorded when answered
    #[default]
    Http,
    /// Accepted by the broker, recorded soon after
    Nats,
}

/// Its arguments.
#[derive(Debug, Args)]
pub struct Publish {
    /// Events as JSON, one or an array: a file, or - for standard input
    #[arg(conflicts_with = "type", required_unless_present = "type")]
    pub file: Option<PathBuf>,
    /// topic.action in its newest version, or sapa.topic.action.vN
    #[arg(long)]
    pub r#type: Option<String>,
    /// Whom it is about
    #[arg(long)]
    pub customer: Option<String>,
    /// The data, as JSON
    #[arg(long, default_value = "{}")]
    pub data: String,
    /// When it happened [default: now]
    #[arg(long)]
    pub time: Option<String>,
    /// desk, phone, whatsapp, email, web, visit or other
    #[arg(long)]
    pub channel: Option<String>,
    /// Its id at the source [default: a new one, said before sending]
    #[arg(long)]
    pub id: Option<String>,
    /// Who sends it
    #[arg(long, default_value = "/cli")]
    pub source: String,
    /// Which way it goes
    #[arg(long, value_enum, default_value_t)]
    pub via: Via,
}

impl Publish {
    /// Sends.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let bytes = match &self.file {
            Some(file) => input(file)?,
            None => self.event(session)?.to_string().into_bytes(),
        };
        match self.via {
            // A dry run is judged by the rules that recording follows, by the server itself.
            Via::Http if session.globals.dry_run => judge(session, bytes).await,
            Via::Http => {
                let call = Call::new(Method::POST, &["v1", "events"])
                    .sending(media_type(&bytes), bytes)
                    .columns(&["outcome", "position", "stream", "version", "source", "id"]);
                let (exit, answer) = session.ask_and_keep(call).await?;
                for warning in warnings(&answer.json()) {
                    session.output.note(&warning);
                }
                Ok(exit)
            }
            Via::Nats => over_nats(session, &bytes).await,
        }
    }

    /// The event that the flags describe.
    fn event(&self, session: &Session) -> Result<Value, Failure> {
        let (kind, version) = kind_and_version(self.r#type.as_deref().unwrap_or_default())?;
        let actor = actor(session)?;
        let id = self.id.clone().unwrap_or_else(|| {
            let id = session.new_id();
            session.output.note(&format!("id {id}"));
            id
        });
        let time = self.time.clone().unwrap_or_else(|| spell(SystemClock.now()));
        Ok(object([
            ("specversion", Some(json!("1.0"))),
            ("id", Some(json!(id))),
            ("source", Some(json!(self.source))),
            ("type", Some(json!(kind.type_name(version)))),
            ("time", Some(json!(time))),
            ("subject", self.customer.as_ref().map(|it| json!(it))),
            ("actor", Some(json!(actor.as_str()))),
            ("actorkind", Some(json!(actor.kind().as_str()))),
            ("channel", self.channel.as_ref().map(|it| json!(it))),
            ("data", Some(json_argument("--data", &self.data)?)),
        ]))
    }
}

/// What the receipts warn of, each with its place.
fn warnings(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array();
    let receipts = items.map_or_else(|| std::slice::from_ref(answer), Vec::as_slice);
    let details = receipts.iter().filter_map(|it| it["warning_details"].as_array()).flatten();
    let text = |it: &Value, name: &str| it[name].as_str().unwrap_or_default().to_owned();
    let line = |it: &Value| {
        let (word, place) = (text(it, "warning"), text(it, "pointer"));
        format!("{word} {place}: {}", text(it, "detail"))
    };
    details.map(line).collect()
}

/// Who acts: as said, else the person at this terminal.
fn actor(session: &Session) -> Result<Actor, Failure> {
    let user = || std::env::var("USER").unwrap_or_default();
    let text = session.globals.actor.clone().unwrap_or_else(|| format!("staff/{}", user()));
    match text.parse() {
        Ok(actor) => Ok(actor),
        Err(_) if session.globals.actor.is_none() => {
            "staff/cli".parse().map_err(|_| Failure::internal("no actor"))
        }
        Err(error) => Err(Failure::new(
            Exit::Usage,
            format!("--actor: {error}"),
            say!("Write one such as --actor staff/dewi.", "Tulis misalnya --actor staff/dewi."),
        )),
    }
}

/// One event or a batch, by the first character.
pub(super) fn media_type(bytes: &[u8]) -> &'static str {
    match bytes.trim_ascii_start().first() {
        Some(b'[') => "application/cloudevents-batch+json",
        _ => "application/cloudevents+json",
    }
}

/// What the server would say to an event; it records nothing.
async fn judge(session: &Session, bytes: Vec<u8>) -> Result<Exit, Failure> {
    let answer = session.client()?.call(&validation(bytes)).await?;
    session.output.answer(&answer, &[])
}

fn validation(bytes: Vec<u8>) -> Call {
    Call::new(Method::POST, &["v1", "events", "validate"]).sending(media_type(&bytes), bytes)
}

/// Over NATS no key is sent, so the server is asked over HTTP whether the key belongs to the tenant
/// of the subject. Ends with the refusal, if it does not.
async fn foreign_tenant(session: &Session, bytes: &[u8]) -> Result<Option<Exit>, Failure> {
    if session.key()?.is_none() {
        return Ok(None);
    }
    let named = Session { tenant: Some(session.config.tenant.to_string()), ..session.clone() };
    let answer = named.client()?.call(&validation(bytes.to_vec())).await?;
    let code = answer.json();
    let code = code.get("code").and_then(Value::as_str).unwrap_or_default();
    if !["tenant_unknown", "token_invalid"].contains(&code) {
        return Ok(None);
    }
    session.output.answer(&answer, &[]).map(Some)
}

/// Publishes one event, waits for the broker, and for the log if that is wanted.
async fn over_nats(session: &Session, bytes: &[u8]) -> Result<Exit, Failure> {
    let invalid = |what: String| {
        let remedy = say!(
            "Over NATS send one structured event at a time.",
            "Lewat NATS kirim satu peristiwa terstruktur setiap kali."
        );
        Failure::new(Exit::Invalid, what, remedy)
    };
    let event: Value = serde_json::from_slice(bytes)
        .map_err(|_| invalid(say!("the event is not JSON", "peristiwanya bukan JSON")))?;
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = Kind::parse_type(text("type"))
        .map_err(|_| {
            invalid(say!("the event's type is not known", "jenis peristiwanya tidak dikenal"))
        })?
        .0;
    let tenant: &Tenant = &session.config.tenant;
    let subject = events::subject::ingress(tenant, kind);
    if session.globals.dry_run {
        session.output.note(&say!("would publish on {subject}", "akan menerbitkan ke {subject}"));
        return judge(session, bytes.to_vec()).await;
    }
    if let Some(exit) = foreign_tenant(session, bytes).await? {
        return Ok(exit);
    }
    let context = jetstream::new(broker::of_command_line(session).await?);
    let mut headers = HeaderMap::new();
    headers.insert("Content-Type", "application/cloudevents+json");
    headers.insert("Nats-Msg-Id", format!("{tenant}:{}:{}", text("source"), text("id")));
    let refused = |error: String| {
        Failure::new(
            Exit::Unavailable,
            say!(
                "the broker did not accept the event: {error}",
                "broker tidak menerima peristiwanya: {error}"
            ),
            say!(
                "Look at `sapa doctor`; sending the same id again is safe.",
                "Lihat `sapa doctor`; mengirim lagi id yang sama itu aman."
            ),
        )
    };
    let ack = context
        .publish_with_headers(subject, headers, bytes.to_vec().into())
        .await
        .map_err(|error| refused(error.to_string()))?
        .await
        .map_err(|error| refused(error.to_string()))?;
    if session.globals.wait.is_some() {
        return session.ask(super::receipt(text("source"), text("id"))).await;
    }
    let answer = json!({
        "outcome": "accepted", "source": text("source"), "id": text("id"),
        "stream": ack.stream, "sequence": ack.sequence, "duplicate": ack.duplicate,
    });
    session.output.value(&answer, &[])?;
    Ok(Exit::Done)
}
