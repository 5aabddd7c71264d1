//! `events.*`: facts into the log, and facts out of it.
//!
//! An answer of `append` says `recorded` and means it: the transaction is committed. A batch is one
//! transaction unless the caller asked for `atomic=false`. What cannot be understood because it is
//! newer than this server is refused and kept.

use events::cloudevents::{self, Sender};
use events::envelope::Incoming;
use events::id::{CustomerId, Ident};
use events::json::INTEGER_MAX;
use events::kind::Kind;
use events::problem::{Code, Problem};
use events::wire::Form;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::log::Filter;

use super::{Body, Handler, Method, Operation, mask, refused};
use crate::answer::{AsOf, ReceiptOut, Reply, Warned, missing, page, unappended, unread};
use crate::app::{App, Caller};
use crate::page::{Cursors, List};
use crate::params::{Params, Raw, invalid};
use crate::scope::Scope;

mod batch;
mod import;
pub(crate) mod newcomers;

/// Positions that one page looks at; a page of a rare kind goes on behind its cursor.
const SCAN_MAX: usize = 10_240;

const APPEND: Handler = |app, caller, params| Box::pin(append(app, caller, params));
const VALIDATE: Handler = |app, caller, params| Box::pin(validate(app, caller, params));
const IMPORT: Handler = |app, caller, params| Box::pin(import::import(app, caller, params));
const IMPORT_END: Handler = |app, caller, params| Box::pin(import::end(app, caller, params));
const TARGET: Handler = |app, caller, params| Box::pin(import::target(app, caller, params));
const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::Post,
        body: Body::Events,
        ..Operation::read("events.append", "/v1/events", Scope::EventsAppend, &["atomic"], APPEND)
    },
    Operation {
        method: Method::Post,
        body: Body::Events,
        ..Operation::read(
            "events.validate",
            "/v1/events/validate",
            Scope::EventsAppend,
            &["atomic"],
            VALIDATE,
        )
    },
    Operation {
        method: Method::Post,
        body: Body::Events,
        on_nats: false,
        ..Operation::read("events.import", "/v1/events/import", Scope::Import, &["dry_run"], IMPORT)
    },
    Operation {
        on_nats: false,
        ..Operation::read(
            "events.import_target",
            "/v1/events/import",
            Scope::Import,
            &["source", "id"],
            TARGET,
        )
    },
    Operation::command(
        "events.import_end",
        "/v1/events/import/end",
        Scope::Import,
        Body::Members,
        &[],
        IMPORT_END,
    ),
    Operation::read(
        "events.list",
        "/v1/events",
        Scope::EventsRead,
        &["after", "cursor", "limit", "topic", "type", "customer", "stream", "from", "to"],
        LIST,
    ),
    Operation::read("events.get", "/v1/events/{position}", Scope::EventsRead, &["position"], GET),
];

/// What is proven about a caller who sends events.
#[derive(Debug)]
pub struct Proven<'a> {
    app: &'a App,
    caller: &'a Caller,
    venues: Vec<Ident>,
}

impl<'a> Proven<'a> {
    /// Finds out which venues the key decides for: those it names and whose policy says that another
    /// system decides. Keys that name none, which are nearly all, cost nothing.
    pub async fn of(app: &'a App, caller: &'a Caller) -> Result<Self, Box<Problem>> {
        let mut venues = caller.venues.to_vec();
        if !venues.is_empty() {
            let policies = app.policies(caller.tenant()).await?;
            venues.retain(|it| policies.is_external(it.as_str()));
        }
        Ok(Self { app, caller, venues })
    }

    /// The same for the one validator.
    #[must_use]
    pub fn sender(&self) -> Sender<'_> {
        Sender {
            tenant: self.caller.tenant(),
            now: self.app.clock.now(),
            may_import: self.caller.scopes.allow(Scope::Import),
            sources: self.caller.sources.as_deref(),
            route: None,
            key: &self.caller.tenant.fingerprint_key,
            refuse_unknown_fields: self.app.settings.refuse_unknown_fields,
            venues: &self.venues,
        }
    }
}

/// What was sent: one event, or several.
enum Sent<'a> {
    One(&'a [u8]),
    Binary(&'a serde_json::Map<String, Value>, &'a [u8]),
    Many(Vec<&'a RawValue>),
}

/// The body of `events.append` over request-reply when it holds several events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    atomic: Option<bool>,
}

/// Finds out how many events there are; the second value is `atomic` where the body says it.
fn split(raw: &Raw) -> Result<(Sent<'_>, Option<bool>), Box<Problem>> {
    match &raw.form {
        Form::Binary(attributes) => Ok((Sent::Binary(attributes, &raw.bytes), None)),
        Form::Batch => Ok((Sent::Many(cloudevents::batch(&raw.bytes)?), None)),
        _ if !raw.may_wrap => Ok((Sent::One(&raw.bytes), None)),
        _ => {
            // An event has no member `events` of its own that could also be a list of objects.
            let message: Option<Message<'_>> = serde_json::from_slice(&raw.bytes).ok();
            let Some(Message { events, atomic }) = message else {
                return Ok((Sent::One(&raw.bytes), None));
            };
            if (1..=cloudevents::BATCH_EVENTS_MAX).contains(&events.len()) {
                return Ok((Sent::Many(events), atomic));
            }
            Err(Box::new(Problem::of(Code::BatchSize)))
        }
    }
}

fn raw(params: &Params) -> Result<&Raw, Box<Problem>> {
    params.raw.as_ref().ok_or_else(|| Box::new(Problem::of(Code::BodyEmpty)))
}

fn atomic(params: &Params) -> Result<bool, Box<Problem>> {
    let mut read = params.read();
    let atomic = read.truth("atomic");
    read.done()?;
    Ok(atomic.unwrap_or(true))
}

async fn append(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let atomic = atomic(&params)?;
    let raw = raw(&params)?;
    let outcome = match split(raw) {
        Ok((Sent::One(bytes), _)) => one(app, caller, bytes, None).await,
        Ok((Sent::Binary(attributes, data), _)) => one(app, caller, data, Some(attributes)).await,
        Ok((Sent::Many(items), said)) if said.unwrap_or(atomic) => {
            batch::together(app, caller, &items).await
        }
        Ok((Sent::Many(items), _)) => batch::each(app, caller, &items).await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &outcome {
        app.metrics.event(caller, refusal_word(problem));
    }
    outcome
}

fn refusal_word(problem: &Problem) -> &'static str {
    match problem.code {
        Code::EventIdConflict | Code::VersionConflict => "conflict",
        _ if problem.quarantine_id.is_some() => "quarantined",
        _ => "refused",
    }
}

async fn one(
    app: &App,
    caller: &Caller,
    bytes: &[u8],
    attributes: Option<&serde_json::Map<String, Value>>,
) -> Result<Reply, Box<Problem>> {
    let proven = Proven::of(app, caller).await?;
    let sender = proven.sender();
    let read = match attributes {
        None => cloudevents::structured(bytes, &sender),
        Some(attributes) => cloudevents::binary(attributes.clone(), bytes, &sender),
    };
    let incoming = match read {
        Ok(incoming) => incoming,
        Err(problem) => return Err(refused::keep(app, caller, bytes, attributes, problem).await),
    };
    match record(app, caller, incoming).await {
        Ok(receipt) => Ok(receipt_reply(&receipt)),
        Err(problem) => Err(refused::with_fields(app, caller, bytes, attributes, problem).await),
    }
}

/// Appends one checked event and answers with its receipt.
pub async fn record(
    app: &App,
    caller: &Caller,
    incoming: Incoming,
) -> Result<ReceiptOut, Box<Problem>> {
    let mut incoming = vec![incoming];
    newcomers::admit(app, caller, &incoming).await.map_err(|(_, problem)| problem)?;
    let notes = newcomers::Notes::take(&mut incoming);
    let id = notes.first_id();
    let timer = app.metrics.append_timer(caller.face);
    let appended = app.appender.append_telling_firsts(incoming).await;
    timer.stop();
    match appended {
        Ok(appended) if appended.len() == 1 => {
            for it in &appended {
                app.metrics.event(caller, if it.is_new() { "recorded" } else { "duplicate" });
            }
            let receipt = notes.receipts(caller, &appended).pop();
            receipt.ok_or_else(|| Box::new(Problem::of(Code::Internal)))
        }
        Ok(_) => Err(Box::new(Problem::of(Code::Internal))),
        Err(error) => {
            let mut problem = unappended(&error);
            problem.event_id = id;
            Err(problem)
        }
    }
}

/// 201 for what is new, 200 for what was here.
fn receipt_reply(it: &ReceiptOut) -> Reply {
    let reply = Reply::of(if it.is_new() { 201 } else { 200 }, it)
        .header("sapa-position", it.position.to_string())
        .header("location", format!("/v1/events/{}", it.position));
    if it.is_new() { reply } else { reply.header("idempotent-replayed", "true") }
}

async fn validate(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    atomic(&params)?;
    let proven = Proven::of(app, caller).await?;
    let sender = proven.sender();
    let (sent, _) = split(raw(&params)?)?;
    let (items, is_one) = match sent {
        Sent::One(bytes) => (vec![cloudevents::structured(bytes, &sender)?], true),
        Sent::Binary(attributes, data) => {
            (vec![cloudevents::binary(attributes.clone(), data, &sender)?], true)
        }
        Sent::Many(items) => {
            (batch::check(&items, &sender).map_err(|(_, problem)| problem)?, false)
        }
    };
    let admitted = newcomers::admit(app, caller, &items).await;
    admitted.map_err(|(index, it)| if is_one { it } else { Box::new(it.in_item(index)) })?;
    let new = newcomers::unknown(app, caller, &items).await?;
    let valid = |(it, is_new): (&Incoming, &bool)| {
        let warnings = newcomers::with_new(&it.warnings, *is_new);
        let mut answer = json!({ "stream": it.stream });
        Warned::of(warnings, caller.language).put(&mut answer);
        answer
    };
    let mut told: Vec<Value> = items.iter().zip(&new).map(valid).collect();
    let mut answer = if is_one { told.remove(0) } else { json!({ "items": told }) };
    crate::answer::put(&mut answer, "valid", true);
    Ok(Reply::ok(&answer))
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let list = List::new(&caller.tenant, "events.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let after = read.position("after");
    let cursor = read.text("cursor");
    let customer: Option<CustomerId> = read.parsed("customer");
    let stream = read.parsed("stream");
    let (from, to) = (read.instant("from"), read.instant("to"));
    let topics = read.texts("topic");
    let types = read.texts("type");
    read.done()?;
    let walk = list.walk(cursor, limit)?;
    let place: Option<i64> = walk.place().and_then(|it| it.parse().ok());
    let head = app.log.head().await.map_err(|error| unread(&error))?;
    reached(head, after)?;
    let Some(type_prefixes) = prefixes(&topics, &types)? else {
        return Ok(page(&[], Cursors::default(), AsOf::log(head)));
    };
    let filter = Filter { customer, stream, type_prefixes, from, to };
    let (log, tenant) = (&app.log, caller.tenant());
    // Looked at is what lies behind `after` and before `until`; events may lie on both sides of it.
    let (found, after, until) = if walk.is_back() {
        let until = place.unwrap_or(head + 1);
        let found = log.search_before(tenant, until, &filter, limit, SCAN_MAX).await;
        found.map(|(found, seen)| (found, seen - 1, until))
    } else {
        let after = place.or(after).unwrap_or_default();
        let found = log.search_after(tenant, after, &filter, limit, SCAN_MAX).await;
        found.map(|(found, seen)| (found, after, seen + 1))
    }
    .map_err(|error| unread(&error))?;
    let items: Vec<String> = found.iter().map(|it| mask::write(it, caller)).collect();
    let cursors = Cursors {
        next: (until <= head).then(|| walk.on_from(&(until - 1).to_string())),
        prev: (0 < after).then(|| walk.back_from(&(after + 1).to_string())),
    };
    Ok(page(&items, cursors, AsOf::log(head.max(until - 1))))
}

/// Refuses a position that the log has not reached: whoever names one has seen another log.
pub fn reached(head: i64, wanted: Option<i64>) -> Result<(), Box<Problem>> {
    let Some(wanted) = wanted.filter(|it| head < *it) else { return Ok(()) };
    Err(Box::new(Problem::new(
        Code::PositionUnknown,
        format!("The log is at {head}; {wanted} has not been reached yet."),
        format!("Catatan berada di {head}; {wanted} belum tercapai."),
    )))
}

/// What the types of a list begin with; `None` when topics and types exclude each other.
pub fn prefixes(topics: &[&str], types: &[&str]) -> Result<Option<Vec<String>>, Box<Problem>> {
    let by_topic: Vec<String> = topics.iter().map(|it| format!("sapa.{it}.")).collect();
    if let Some(index) = by_topic
        .iter()
        .position(|it| !Kind::ALL.iter().any(|kind| kind.type_name(1).starts_with(it)))
    {
        let topic: String = topics.get(index).unwrap_or(&"").chars().take(32).collect();
        return Err(invalid(
            "topic",
            "type",
            format!("there is no topic `{topic}`; see /schemas"),
            format!("tidak ada topik `{topic}`; lihat /schemas"),
        ));
    }
    let mut by_type = Vec::with_capacity(types.len());
    for it in types {
        by_type.push(type_prefix(it)?);
    }
    if by_type.is_empty() || by_topic.is_empty() {
        by_type.extend(by_topic);
        return Ok(Some(by_type));
    }
    by_type.retain(|it| by_topic.iter().any(|topic| it.starts_with(topic.as_str())));
    Ok((!by_type.is_empty()).then_some(by_type))
}

/// A type in full, or without its version, which means every version.
fn type_prefix(text: &str) -> Result<String, Box<Problem>> {
    use events::kind::TypeError;
    let unversioned = format!("{text}.v1");
    let meant = match Kind::parse_type(text) {
        Ok(_) | Err(TypeError::TooNew { .. }) => return Ok(text.to_owned()),
        Err(_) if Kind::parse_type(&unversioned).is_ok() => return Ok(format!("{text}.")),
        Err(TypeError::Unknown { did_you_mean }) => did_you_mean,
        Err(TypeError::NotOurs) => None,
    };
    let meant = meant.map(|kind| kind.type_name(kind.newest_version()));
    let (en, id) = match &meant {
        Some(meant) => (format!("did you mean `{meant}`?"), format!("maksud Anda `{meant}`?")),
        None => (
            "there is no such type; see /schemas".to_owned(),
            "tidak ada jenis itu; lihat /schemas".to_owned(),
        ),
    };
    let mut problem = invalid("type", "type", en, id);
    if let Some(meant) = meant {
        problem.more_members.insert("did_you_mean".to_owned(), meant.into());
    }
    Err(problem)
}

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let position = read.integer("position", 1..=INTEGER_MAX);
    let position = read.required("position", position);
    read.done()?;
    let position = position.unwrap_or_default();
    let found = app
        .log
        .read_positions(caller.tenant(), &[position])
        .await
        .map_err(|error| unread(&error))?;
    let it = found.first().ok_or_else(|| missing("event", "peristiwa", "position"))?;
    Ok(Reply::new(200, mask::write(it, caller)).header("sapa-position", position.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_types_narrow_each_other() {
        let wanted = |topics: &[&str], types: &[&str]| prefixes(topics, types).unwrap();
        assert_eq!(wanted(&[], &[]), Some(vec![]));
        assert_eq!(wanted(&["booking"], &[]), Some(vec!["sapa.booking.".to_owned()]));
        let both = wanted(&["booking"], &["sapa.booking.requested", "sapa.alert.raised.v1"]);
        assert_eq!(both, Some(vec!["sapa.booking.requested.".to_owned()]));
        assert_eq!(wanted(&["booking"], &["sapa.alert.raised.v1"]), None);
    }

    #[test]
    fn a_type_that_does_not_exist_is_refused_with_the_one_that_was_meant() {
        let problem = prefixes(&[], &["sapa.booking.request.v1"]).unwrap_err();
        assert_eq!(problem.code, Code::QueryInvalid);
        assert_eq!(problem.more_members["did_you_mean"], "sapa.booking.requested.v1");
        assert!(prefixes(&["weather"], &[]).is_err());
    }

    #[test]
    fn a_message_holds_one_event_or_several() {
        let form = Form::Structured;
        let raw =
            |text: &'static str| Raw { bytes: text.into(), form: form.clone(), may_wrap: true };
        let one = raw(r#"{"specversion":"1.0","id":"1"}"#);
        assert!(matches!(split(&one), Ok((Sent::One(_), None))));
        let many = raw(r#"{"events":[{"id":"1"},{"id":"2"}],"atomic":false}"#);
        assert!(matches!(split(&many), Ok((Sent::Many(items), Some(false))) if items.len() == 2));
        let none = raw(r#"{"events":[]}"#);
        assert_eq!(split(&none).err().unwrap().code, Code::BatchSize);
    }
}
