//! Commands into events: drafted, taken through the validator everybody's events go through, and
//! appended as one request.
//!
//! With an idempotency key the ids of the events are computed from it, so a command that runs twice
//! records once (I2). What a command must not know (which rule decides) is not here.

use events::cloudevents::{self, Sender};
use events::envelope::{Incoming, Receipt};
use events::id::{ActorKind, CustomerId, EventRef, Stream};
use events::kind::Kind;
use events::mint;
use events::policy::Policies;
use events::problem::{Code, Problem};
use events::time::spell;
use serde_json::{Map, Value, json};
use store::{AppendError, Appended};

use crate::answer::{ReceiptOut, Reply, Warned, missing, put, unappended, unread};
use crate::app::{App, Caller};
use crate::params::{Params, invalid};

/// An event that a command wants to record.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What happened.
    pub kind: Kind,
    /// Whom it is about.
    pub customer: Option<CustomerId>,
    /// The way a contact took.
    pub channel: Option<String>,
    /// When it happened, if not now.
    pub time: Option<String>,
    /// The data; the schema refuses members it does not know.
    pub data: Map<String, Value>,
    /// The version that the stream must be at.
    pub expected_version: Option<i64>,
    /// The thread it belongs to.
    pub correlation: Option<String>,
}

impl Draft {
    /// A draft of a kind.
    #[must_use]
    pub fn new(kind: Kind, data: Map<String, Value>) -> Self {
        Self {
            kind,
            customer: None,
            channel: None,
            time: None,
            data,
            expected_version: None,
            correlation: None,
        }
    }

    /// The same about a customer.
    #[must_use]
    pub fn about(mut self, customer: Option<CustomerId>) -> Self {
        self.customer = customer;
        self
    }

    /// The same, only if the stream is at this version.
    #[must_use]
    pub fn at_version(mut self, version: i64) -> Self {
        self.expected_version = Some(version);
        self
    }
}

/// Records what a command came to: all of it or nothing.
pub async fn record(
    app: &App,
    caller: &Caller,
    operation: &str,
    drafts: Vec<Draft>,
) -> Result<Vec<ReceiptOut>, Box<Problem>> {
    let mut incoming = Vec::with_capacity(drafts.len());
    for (n, draft) in (1_u32..).zip(&drafts) {
        incoming.push(checked(app, caller, operation, n, draft)?);
    }
    let references: Vec<EventRef> = incoming.iter().map(Incoming::reference).collect();
    let warnings: Vec<_> = incoming.iter_mut().map(|it| std::mem::take(&mut it.warnings)).collect();
    let timer = app.metrics.append_timer(caller.face);
    let appended = app.appender.append(incoming).await;
    timer.stop();
    match appended {
        Ok(appended) => {
            for it in &appended {
                let outcome = if it.is_new() { "recorded" } else { "duplicate" };
                app.metrics.event(caller, outcome);
            }
            let out = appended.iter().zip(warnings);
            let receipt =
                |(it, warnings)| ReceiptOut::of(it, Warned::of(warnings, caller.language));
            Ok(out.map(receipt).collect())
        }
        // The first run of this command died after it had recorded: its events are the answer.
        Err(AppendError::EventIdConflict { .. }) if caller.idempotency_key.is_some() => {
            earlier(app, caller, &references).await
        }
        Err(error) => {
            app.metrics.event(caller, "conflict");
            let mut problem = unappended(&error);
            if problem.code == Code::VersionConflict && caller.if_match.is_some() {
                problem.rule = Some("if_match");
            }
            Err(problem)
        }
    }
}

async fn earlier(
    app: &App,
    caller: &Caller,
    references: &[EventRef],
) -> Result<Vec<ReceiptOut>, Box<Problem>> {
    let mut receipts = Vec::with_capacity(references.len());
    for it in references {
        let found = app.log.find(caller.tenant(), it).await.map_err(|error| unread(&error))?;
        let found: Receipt = found.ok_or_else(|| Box::new(Problem::of(Code::Internal)))?;
        receipts.push(ReceiptOut::of(&Appended::Duplicate(found), Warned::default()));
    }
    Ok(receipts)
}

fn checked(
    app: &App,
    caller: &Caller,
    operation: &str,
    n: u32,
    draft: &Draft,
) -> Result<Incoming, Box<Problem>> {
    let now = app.clock.now();
    let id = match &caller.idempotency_key {
        Some(key) => mint::command_id(caller.tenant(), operation, key, n),
        None => app.ids.new_id(),
    };
    let actor = caller.actor.as_ref().map_or("system/api", |it| it.as_str());
    let mut attributes = Map::new();
    let mut set = |name: &str, value: Value| attributes.insert(name.to_owned(), value);
    set("specversion", "1.0".into());
    set("id", id.to_string().into());
    set("source", caller.own_source.into());
    set("type", draft.kind.type_name(draft.kind.newest_version()).into());
    set("time", draft.time.clone().unwrap_or_else(|| spell(now)).into());
    set("actor", actor.into());
    for (name, value) in [
        ("subject", draft.customer.as_ref().map(CustomerId::as_str)),
        ("channel", draft.channel.as_deref()),
        ("correlationid", draft.correlation.as_deref()),
        ("traceparent", caller.trace.as_deref()),
        // Whose key it was stands beside the person it acted for.
        ("apikey", caller.key_id.as_deref()),
    ] {
        if let Some(value) = value {
            set(name, value.into());
        }
    }
    let sender = Sender {
        tenant: caller.tenant(),
        now,
        may_import: true,
        sources: None,
        route: None,
        key: &caller.tenant.fingerprint_key,
        refuse_unknown_fields: true,
        venues: &[],
    };
    let data = Value::from(draft.data.clone()).to_string();
    let mut incoming = cloudevents::binary(attributes, data.as_bytes(), &sender)
        .map_err(|problem| of_command(problem, draft.kind))?;
    incoming.expected_version = caller.if_match.or(draft.expected_version);
    Ok(incoming)
}

/// A caller of a command sent parameters and no event: faults are told by their names.
fn of_command(mut problem: Box<Problem>, kind: Kind) -> Box<Problem> {
    problem.event_id = None;
    for it in &mut problem.errors {
        let name = it.pointer.strip_prefix("/data").unwrap_or(&it.pointer);
        it.pointer = match name.trim_start_matches('/') {
            "subject" => "customer".to_owned(),
            name => name.to_owned(),
        };
    }
    problem
        .more_members
        .insert("event_type".to_owned(), kind.type_name(kind.newest_version()).into());
    problem
}

/// 201 with the receipts, and the object as the read models show it now.
#[must_use]
pub fn created(receipts: &[ReceiptOut], object: Option<(&str, Value)>) -> Reply {
    let mut body = json!({ "receipts": receipts });
    if let Some((name, object)) = object {
        put(&mut body, name, object);
    }
    let reply = Reply::of(201, &body);
    match receipts.iter().map(|it| it.position).max() {
        Some(last) => reply.header("sapa-position", last.to_string()),
        None => reply,
    }
}

/// The customer of a command: known by at least one fact, or 404 (bad input B52).
pub async fn known_customer(
    app: &App,
    caller: &Caller,
    name: &str,
    id: Option<Value>,
) -> Result<CustomerId, Box<Problem>> {
    let text = id.as_ref().and_then(Value::as_str).ok_or_else(|| {
        invalid(name, "required", "is required, as text", "wajib diisi, berupa teks")
    })?;
    let unknown = || Box::new(Problem::of(Code::CustomerUnknown));
    let customer: CustomerId = text.parse().map_err(|_| unknown())?;
    let stream: Stream = format!("customer/{customer}").parse().map_err(|_| unknown())?;
    let tenant = caller.tenant();
    let own = app.log.read_stream(tenant, &stream, 0, 1).await.map_err(|error| unread(&error))?;
    if !own.is_empty() {
        return Ok(customer);
    }
    // A customer who only ever booked or complained stands in the streams of those.
    let any = app
        .log
        .read_customers(tenant, &[&customer], i64::MAX)
        .await
        .map_err(|error| unread(&error))?;
    if any.is_empty() { Err(unknown()) } else { Ok(customer) }
}

/// The stream of an object that a command is about, and whom it concerns: from its first event.
pub async fn known_object(
    app: &App,
    caller: &Caller,
    family: &str,
    id: &str,
) -> Result<Option<CustomerId>, Box<Problem>> {
    let missing = || {
        let in_indonesian = match family {
            "complaint" => "keluhan",
            "promise" => "janji",
            "improvement" => "perbaikan",
            "alert" => "peringatan",
            other => other,
        };
        missing(family, in_indonesian, "id")
    };
    let stream: Stream = format!("{family}/{id}").parse().map_err(|_| missing())?;
    let first = app
        .log
        .read_stream(caller.tenant(), &stream, 0, 1)
        .await
        .map_err(|error| unread(&error))?;
    first.into_iter().next().map(|it| it.customer).ok_or_else(missing)
}

/// Refuses what an assistant may not do (H7). `None` is what no policy can grant.
pub fn ai_may(caller: &Caller, policies: &Policies, act: Option<&str>) -> Result<(), Box<Problem>> {
    let assistant = caller.actor.as_ref().is_some_and(|it| it.kind() == ActorKind::Ai);
    if !assistant || act.is_some_and(|it| policies.ai.ai_may.contains(it)) {
        return Ok(());
    }
    let allowed: Vec<&str> = policies.ai.ai_may.iter().copied().collect();
    let list = allowed.join(", ");
    Err(refused(
        "ai_may",
        format!("An assistant may do: {list}. This is left to a person."),
        format!("Asisten boleh melakukan: {list}. Ini diserahkan kepada orang."),
    ))
}

/// A command that a rule of the trade refuses; nothing was recorded (I4).
#[must_use]
pub fn refused(rule: &'static str, en: impl Into<String>, id: impl Into<String>) -> Box<Problem> {
    let mut problem = Problem::new(Code::CommandRefused, en, id);
    problem.rule = Some(rule);
    Box::new(problem)
}

/// Takes the generic parameters out, so that what is left is the data of an event.
pub fn strip(params: &mut Params) {
    for name in ["lang", "tz"] {
        params.take(name);
    }
}

/// Who a command is recorded for, as an id: the person, or `api`.
#[must_use]
pub fn who(caller: &Caller) -> String {
    caller.actor.as_ref().map_or_else(|| "api".to_owned(), |it| it.id().to_owned())
}
