//! `alerts.*` and `worklist.*`: what rings, in the order of fairness, and who takes it.
//!
//! Nobody ends an alert here: the fact it waits for does. A decision rests on what the read models
//! know and is appended only if the alert's stream is still where they saw it.

use std::collections::HashMap;

use events::id::CustomerId;
use events::kind::Kind;
use events::problem::{Code, Problem};
use events::time::{parse_instant, spell};
use jiff::{SignedDuration, Timestamp};
use projections::alerts::query::{self, Found, Wanted};
use projections::alerts::{Status, due};
use reactions::command::{self, Refusal};
use serde_json::{Map, Value, json};

use super::view::{Look, look};
use super::{Body, Handler, Operation};
use crate::answer::{Reply, not_found, put, unread};
use crate::app::{App, Caller};
use crate::page::{Cursors, List, Walk};
use crate::params::{Params, invalid};
use crate::record::{Draft, ai_may, created, record, refused, who};
use crate::scope::Scope;

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));
const ACK: Handler = |app, caller, params| Box::pin(ack(app, caller, params));
const SNOOZE: Handler = |app, caller, params| Box::pin(snooze(app, caller, params));
const ESCALATE: Handler = |app, caller, params| Box::pin(escalate(app, caller, params));
const WORKLIST: Handler = |app, caller, params| Box::pin(worklist(app, caller, params));
const NEXT: Handler = |app, caller, params| Box::pin(next(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::view("worklist.list", "/v1/worklist", &["team", "limit", "cursor"], WORKLIST),
    Operation::command(
        "worklist.next",
        "/v1/worklist/next",
        Scope::AlertAck,
        Body::Members,
        &["team"],
        NEXT,
    ),
    Operation::view(
        "alerts.list",
        "/v1/alerts",
        &["state", "kind", "severity", "customer", "owner", "team", "limit", "cursor"],
        LIST,
    ),
    Operation::view("alerts.get", "/v1/alerts/{id}", &["id"], GET),
    Operation::command(
        "alerts.ack",
        "/v1/alerts/{id}/ack",
        Scope::AlertAck,
        Body::Members,
        &["id", "until"],
        ACK,
    ),
    Operation::command(
        "alerts.snooze",
        "/v1/alerts/{id}/snooze",
        Scope::AlertAck,
        Body::Members,
        &["id", "until", "for", "reason"],
        SNOOZE,
    ),
    Operation::command(
        "alerts.escalate",
        "/v1/alerts/{id}/escalate",
        Scope::AlertAck,
        Body::Members,
        &["id", "to"],
        ESCALATE,
    ),
];

const STATES: [&str; 8] =
    ["open", "all", "raised", "acknowledged", "snoozed", "escalated", "resolved", "withdrawn"];
const KINDS: [&str; 6] =
    ["they_silent", "we_silent", "we_owe", "debate", "booking_conflict", "trend"];

/// An alert as this caller may see it.
fn told(
    it: &Found,
    caller: &Caller,
    names: &HashMap<CustomerId, String>,
    now: Timestamp,
    history: bool,
) -> Value {
    let customer = it.holder.as_customer();
    let name = customer.as_ref().and_then(|it| names.get(it)).map(String::as_str);
    let mut out = it.to_json(name, now, history);
    let mut masked = Vec::new();
    if !caller.sees_personal() {
        // A note is free text about a customer.
        let changes = out.get_mut("history").and_then(Value::as_array_mut);
        for (index, it) in changes.into_iter().flatten().enumerate() {
            let note = it.as_object_mut().and_then(|it| it.remove("note"));
            if note.is_some_and(|it| !it.is_null()) {
                masked.push(format!("/history/{index}/note"));
            } else {
                put(it, "note", Value::Null);
            }
        }
    }
    put(&mut out, "masked", json!(masked));
    out
}

fn place(it: &Found) -> String {
    let (fair_at, due_at, id) = &it.place;
    format!("{} {} {id}", spell(*fair_at), spell(*due_at))
}

fn after(place: Option<&str>) -> Option<query::Place> {
    let mut parts = place?.splitn(3, ' ');
    let mut instant = || parts.next().and_then(|it| parse_instant(it).ok());
    let (fair_at, due_at) = (instant(), instant());
    fair_at.zip(due_at).zip(parts.next()).map(|((fair, due), id)| (fair, due, id.to_owned()))
}

/// One page of alerts, and the ways on.
async fn page_of(
    look: &mut Look,
    caller: &Caller,
    walk: &Walk<'_>,
    mut wanted: Wanted,
) -> Result<(Vec<Found>, Cursors), Box<Problem>> {
    (wanted.after, wanted.back) = (after(walk.place()), walk.is_back());
    let found = query::list(&mut look.snapshot, caller.tenant(), &wanted, walk.rows())
        .await
        .map_err(|error| unread(&error))?;
    let (found, mut sides) = walk.page(found, place);
    if let Some((back, place)) = sides.unknown() {
        (wanted.back, wanted.after) = (back, after(place));
        let other = query::list(&mut look.snapshot, caller.tenant(), &wanted, 1).await;
        sides.tell(!other.map_err(|error| unread(&error))?.is_empty());
    }
    let cursors = walk.cursors(&sides);
    Ok((found, cursors))
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let list = List::new(&caller.tenant, "alerts.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let text = |it: Option<&str>| it.map(str::to_owned);
    let wanted = Wanted {
        state: text(read.word("state", &STATES)),
        kind: text(read.word("kind", &KINDS)),
        severity: text(read.word("severity", &["notice", "warning", "critical"])),
        customer: read.parsed("customer"),
        owner: text(read.text("owner")),
        team: text(read.text("team")),
        ..Wanted::default()
    };
    let cursor = read.text("cursor");
    read.done()?;
    let walk = list.walk(cursor, limit)?;
    let mut look = look(app, caller, &params).await?;
    let (found, cursors) = page_of(&mut look, caller, &walk, wanted).await?;
    let items = told_all(&mut look, caller, &found).await?;
    Ok(look.page(&items, cursors))
}

async fn told_all(
    look: &mut Look,
    caller: &Caller,
    found: &[Found],
) -> Result<Vec<Value>, Box<Problem>> {
    let customers = found.iter().filter_map(|it| it.holder.as_customer());
    let names = look.names(caller, customers).await?;
    Ok(found.iter().map(|it| told(it, caller, &names, look.now, false)).collect())
}

async fn one(look: &mut Look, caller: &Caller, id: &str) -> Result<Found, Box<Problem>> {
    query::get(&mut look.snapshot, caller.tenant(), id)
        .await
        .map_err(|error| unread(&error))?
        .ok_or_else(not_found)
}

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let id = params.read().text("id").unwrap_or_default().to_owned();
    let mut look = look(app, caller, &params).await?;
    let found = one(&mut look, caller, &id).await?;
    let names = look.names(caller, found.holder.as_customer()).await?;
    let version = found.alert.version;
    let body = told(&found, caller, &names, look.now, true);
    Ok(look.answer(body).etag(version))
}

/// Whose turn it is in a team: alerts that nobody has taken.
async fn worklist(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let list = List::new(&caller.tenant, "worklist.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let team = read.text("team").map(str::to_owned);
    let cursor = read.text("cursor");
    read.done()?;
    let walk = list.walk(cursor, limit)?;
    let wanted = Wanted { team, ..Wanted::default() };
    let mut look = look(app, caller, &params).await?;
    let (found, cursors) = page_of(&mut look, caller, &walk, wanted).await?;
    let waiting: Vec<Found> = found.into_iter().filter(is_waiting).collect();
    let items = told_all(&mut look, caller, &waiting).await?;
    Ok(look.page(&items, cursors))
}

fn is_waiting(it: &Found) -> bool {
    matches!(it.alert.status, Status::Raised | Status::Escalated)
}

/// Hands out the alert whose turn it is; if two ask at once, each gets another one.
async fn next(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    const LOOKED_AT: i64 = 100;
    let mut read = params.read();
    let team = read.text("team").map(str::to_owned);
    read.done()?;
    let mut look = look(app, caller, &Params::default()).await?;
    ai_may(caller, &look.policies, None)?;
    let wanted = Wanted { team, ..Wanted::default() };
    let found = query::list(&mut look.snapshot, caller.tenant(), &wanted, LOOKED_AT)
        .await
        .map_err(|error| unread(&error))?;
    let minutes = look.policies.fairness.claim_minutes;
    let until = look.now + SignedDuration::from_mins(minutes);
    for it in found.iter().filter(|it| is_waiting(it)) {
        let draft =
            draft(Kind::AlertAcknowledged, it, json!({"until": spell(until), "by": who(caller)}));
        match record(app, caller, "worklist.next", vec![draft]).await {
            Err(problem) if problem.code == Code::VersionConflict => {}
            Err(problem) => return Err(problem),
            Ok(receipts) => return Ok(shown(app, caller, &receipts, it.id.as_str()).await),
        }
    }
    Ok(look.answer(json!({ "alert": null })))
}

/// An event about an alert, appended only if nothing has happened to it since we looked.
fn draft(kind: Kind, it: &Found, data: Value) -> Draft {
    let mut members = match data {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    members.insert("alert".to_owned(), json!(it.id));
    let customer = it.holder.as_customer();
    let mut draft = Draft::new(kind, members).at_version(it.alert.version);
    if customer.is_none() {
        draft.correlation = Some(it.holder.as_str().to_owned());
    }
    draft.about(customer)
}

async fn shown(
    app: &App,
    caller: &Caller,
    receipts: &[crate::answer::ReceiptOut],
    id: &str,
) -> Reply {
    let position = receipts.iter().map(|it| it.position).max().unwrap_or_default();
    let alert = async {
        let mut look = super::view::after(app, caller, position).await?;
        let found = one(&mut look, caller, id).await?;
        let names = look.names(caller, found.holder.as_customer()).await?;
        Ok::<Value, Box<Problem>>(told(&found, caller, &names, look.now, true))
    };
    created(receipts, alert.await.ok().map(|it| ("alert", it)))
}

async fn begin(app: &App, caller: &Caller, id: &str) -> Result<(Look, Found), Box<Problem>> {
    let mut look = look(app, caller, &Params::default()).await?;
    ai_may(caller, &look.policies, None)?;
    let found = one(&mut look, caller, id).await?;
    Ok((look, found))
}

async fn ack(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let id = read.text("id").unwrap_or_default();
    let until = read.instant("until");
    read.done()?;
    let (look, found) = begin(app, caller, id).await?;
    let until = command::acknowledge(&found.alert, until, &look.policies, look.now)
        .map_err(|it| refusal_told(&it))?;
    let data = json!({ "until": spell(until), "by": who(caller) });
    let draft = draft(Kind::AlertAcknowledged, &found, data);
    let receipts = record(app, caller, "alerts.ack", vec![draft]).await?;
    Ok(shown(app, caller, &receipts, id).await)
}

async fn snooze(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let id = read.text("id").unwrap_or_default();
    let until = read.instant("until");
    let during = read.duration("for").and_then(|it| SignedDuration::try_from(it).ok());
    let reason = read.text("reason");
    let reason = read.required("reason", reason).unwrap_or_default();
    if until.is_some() == during.is_some() {
        read.fault(
            "until",
            "required",
            "send either `until` or `for`",
            "kirim `until` atau `for`, salah satu",
        );
    }
    read.done()?;
    let (look, found) = begin(app, caller, id).await?;
    let until = until.or_else(|| look.now.checked_add(during?).ok());
    let until = until
        .ok_or_else(|| invalid("for", "range", "lies too far ahead", "terlalu jauh di depan"))?;
    let until = command::snooze(&found.alert, until, &look.policies, look.now)
        .map_err(|it| refusal_told(&it))?;
    let data = json!({ "until": spell(until), "by": who(caller), "reason": reason });
    let draft = draft(Kind::AlertSnoozed, &found, data);
    let receipts = record(app, caller, "alerts.snooze", vec![draft]).await?;
    Ok(shown(app, caller, &receipts, id).await)
}

async fn escalate(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let id = read.text("id").unwrap_or_default();
    let to: Option<events::id::Ident> = read.parsed("to");
    read.done()?;
    let (look, found) = begin(app, caller, id).await?;
    let step = command::escalate(&found.alert).map_err(|it| refusal_told(&it))?;
    let to = to
        .or_else(|| due::superior(&found.alert, &look.policies, step))
        .unwrap_or_else(|| found.alert.owner.clone());
    let data = json!({ "step": step, "to": to, "reason": "manual" });
    let draft = draft(Kind::AlertEscalated, &found, data);
    let receipts = record(app, caller, "alerts.escalate", vec![draft]).await?;
    Ok(shown(app, caller, &receipts, id).await)
}

fn refusal_told(refusal: &Refusal) -> Box<Problem> {
    match refusal {
        Refusal::State(status) => {
            let word = status.as_str();
            Box::new(
                Problem::new(
                    Code::AlertState,
                    format!("The alert is {word}; this is not possible then."),
                    format!("Peringatan ini {word}; hal ini tidak dimungkinkan."),
                )
                .member("state", word),
            )
        }
        Refusal::Past => invalid("until", "range", "must lie ahead", "harus di masa depan"),
        Refusal::SnoozeMax { times, until } => {
            let mut problem = refused(
                "snooze_max",
                refusal.to_string(),
                format!(
                    "peringatan boleh ditunda {times} kali, paling lama sampai {}",
                    spell(*until)
                ),
            );
            problem
                .more_members
                .insert("alternatives".to_owned(), json!({ "until": spell(*until) }));
            problem
        }
    }
}
