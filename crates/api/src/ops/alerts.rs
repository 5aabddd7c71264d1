//! `alerts.*` and `worklist.*`: what rings, in the order of fairness, and who takes it.
//!
//! Nobody ends an alert here: the fact it waits for does. A decision rests on what the read models
//! know and is appended only if the alert's stream is still where they saw it.

use std::collections::HashMap;

use events::kind::Kind;
use events::problem::{Code, Problem};
use events::spoken::time;
use events::time::spell;
use jiff::SignedDuration;
use projections::alerts::query::{self, Found, Wanted};
use projections::alerts::sentence::Reader;
use projections::alerts::{Status, due};
use projections::listing::Window;
use projections::{Dossier, Key};
use reactions::command::{self, Refusal};
use reactions::worklist::{HandOut, Queue};
use serde_json::{Map, Value, json};

use super::view::{Look, look};
use super::{Body, Handler, Operation};
use crate::answer::{Reply, missing, put, unread};
use crate::app::{App, Caller};
use crate::page::{Cursors, List, Walk};
use crate::params::{Params, invalid};
use crate::record::{Draft, ai_may, created, record, refused};
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
    look: &Look,
    caller: &Caller,
    holders: &HashMap<Key, Dossier>,
    history: bool,
) -> Value {
    let dossier = holders.get(&(caller.tenant().clone(), it.holder.clone()));
    let reader = Reader {
        now: look.now,
        zone: &look.policies.calendar.zone,
        sees_personal: caller.sees_personal(),
    };
    let mut out = it.to_json(dossier, reader, history);
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

/// One page of alerts, and the ways on.
async fn page_of(
    app: &App,
    look: &mut Look,
    caller: &Caller,
    walk: &Walk<'_>,
    window: &Window,
    wanted: &Wanted,
) -> Result<(Vec<Found>, Cursors), Box<Problem>> {
    let (log, tenant) = (&app.log, caller.tenant());
    let found = query::list(&mut look.snapshot, log, tenant, wanted, window)
        .await
        .map_err(|error| unread(&error))?;
    let (found, mut sides, ends) = walk.ordered(found);
    if let Some(other) = ends.other(&sides, window) {
        let other = query::list(&mut look.snapshot, log, tenant, wanted, &other).await;
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
    };
    let cursor = read.text("cursor");
    read.done()?;
    let (mut walk, window) = list.window(cursor, limit)?;
    let mut look = look(app, caller, &params).await?;
    walk.begin(look.snapshot.moment());
    let (found, cursors) = page_of(app, &mut look, caller, &walk, &window, &wanted).await?;
    let items = told_all(&mut look, caller, &found).await?;
    Ok(look.page(&items, cursors))
}

async fn told_all(
    look: &mut Look,
    caller: &Caller,
    found: &[Found],
) -> Result<Vec<Value>, Box<Problem>> {
    let holders = holders(look, caller, found).await?;
    Ok(found.iter().map(|it| told(it, look, caller, &holders, false)).collect())
}

async fn told_one(look: &mut Look, caller: &Caller, found: &Found) -> Result<Value, Box<Problem>> {
    let holders = holders(look, caller, std::slice::from_ref(found)).await?;
    Ok(told(found, look, caller, &holders, true))
}

async fn holders(
    look: &mut Look,
    caller: &Caller,
    found: &[Found],
) -> Result<HashMap<Key, Dossier>, Box<Problem>> {
    let key = |it: &Found| (caller.tenant().clone(), it.holder.clone());
    look.dossiers(found.iter().map(key).collect()).await
}

async fn one(look: &mut Look, caller: &Caller, id: &str) -> Result<Found, Box<Problem>> {
    query::get(&mut look.snapshot, caller.tenant(), id)
        .await
        .map_err(|error| unread(&error))?
        .ok_or_else(|| missing("alert", "peringatan", "id"))
}

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let id = params.read().text("id").unwrap_or_default().to_owned();
    let mut look = look(app, caller, &params).await?;
    let found = one(&mut look, caller, &id).await?;
    let version = found.alert.version;
    let body = told_one(&mut look, caller, &found).await?;
    Ok(look.answer(body).etag(version))
}

/// What waits in a team, the most urgent first, and which of it is handed out next.
async fn worklist(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let list = List::new(&caller.tenant, "worklist.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let team = read.text("team").map(str::to_owned);
    let cursor = read.text("cursor");
    read.done()?;
    let (mut walk, window) = list.window(cursor, limit)?;
    let state = Some(query::WAITING.to_owned());
    let wanted = Wanted { team, state, ..Wanted::default() };
    let mut look = look(app, caller, &params).await?;
    walk.begin(look.snapshot.moment());
    let (found, cursors) = page_of(app, &mut look, caller, &walk, &window, &wanted).await?;
    let items = told_all(&mut look, caller, &found).await?;
    let next = queue(app, &mut look, caller, wanted.team.as_deref()).await?.next();
    let (on, back) = (&cursors.next, &cursors.prev);
    let next = next.map(|it| it.found.id);
    let body = json!({ "items": items, "next": next, "next_cursor": on, "prev_cursor": back });
    Ok(Reply { cursors, ..look.answer(body) })
}

async fn queue(
    app: &App,
    look: &mut Look,
    caller: &Caller,
    team: Option<&str>,
) -> Result<Queue, Box<Problem>> {
    let policies = look.policies.clone();
    Queue::of(&mut look.snapshot, &app.log, caller.tenant(), team, &policies)
        .await
        .map_err(|error| unread(&error))
}

/// Hands out the alert whose turn it is; if two ask at once, each gets another one.
async fn next(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let team = read.text("team");
    read.done()?;
    let mut look = look(app, caller, &Params::default()).await?;
    ai_may(caller, &look.policies, None)?;
    let minutes = look.policies.fairness.claim_minutes;
    let until = look.now + SignedDuration::from_mins(minutes);
    for HandOut { found, run } in queue(app, &mut look, caller, team).await? {
        let data = json!({ "until": spell(until), "by": taker(caller, &found), "run": run });
        let draft = draft(Kind::AlertAcknowledged, &found, data);
        match record(app, caller, "worklist.next", vec![draft]).await {
            Err(problem) if problem.code == Code::VersionConflict => {}
            Err(problem) => return Err(problem),
            Ok(receipts) => {
                tally(app, &found, "acknowledged");
                return Ok(shown(app, caller, &receipts, found.id.as_str()).await);
            }
        }
    }
    Ok(look.answer(json!({ "alert": null })))
}

/// Who takes an alert on: the person that the request names, else whoever has it already.
fn taker(caller: &Caller, it: &Found) -> String {
    caller.actor.as_ref().map_or_else(|| it.alert.owner.to_string(), |it| it.id().to_owned())
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
        told_one(&mut look, caller, &found).await
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
        .map_err(|it| refusal_told(&it, &look))?;
    let data = json!({ "until": spell(until), "by": taker(caller, &found) });
    let draft = draft(Kind::AlertAcknowledged, &found, data);
    let receipts = record(app, caller, "alerts.ack", vec![draft]).await?;
    tally(app, &found, "acknowledged");
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
        .map_err(|it| refusal_told(&it, &look))?;
    let data = json!({ "until": spell(until), "by": taker(caller, &found), "reason": reason });
    let draft = draft(Kind::AlertSnoozed, &found, data);
    let receipts = record(app, caller, "alerts.snooze", vec![draft]).await?;
    tally(app, &found, "snoozed");
    Ok(shown(app, caller, &receipts, id).await)
}

async fn escalate(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let id = read.text("id").unwrap_or_default();
    let to: Option<events::id::Ident> = read.parsed("to");
    read.done()?;
    let (look, found) = begin(app, caller, id).await?;
    let step = command::next_step(&found.alert);
    let to = to
        .or_else(|| due::superior(&found.alert, &look.policies, step))
        .unwrap_or_else(|| found.alert.owner.clone());
    let step = command::escalate(&found.alert, &to).map_err(|it| refusal_told(&it, &look))?;
    let data = json!({ "step": step, "to": to, "reason": "manual" });
    let draft = draft(Kind::AlertEscalated, &found, data);
    let receipts = record(app, caller, "alerts.escalate", vec![draft]).await?;
    tally(app, &found, "escalated");
    Ok(shown(app, caller, &receipts, id).await)
}

/// Counts what was done about an alert.
fn tally(app: &App, found: &query::Found, action: &str) {
    let labels = [("kind", found.alert.kind.as_str()), ("action", action)];
    app.metrics.count("sapa_alert_events_total", &labels);
}

fn refusal_told(refusal: &Refusal, look: &Look) -> Box<Problem> {
    match refusal {
        Refusal::State(status) => {
            let (en, id) = match status {
                Status::Raised => ("is waiting for somebody", "sedang menunggu ditanggapi"),
                Status::Acknowledged => ("has been taken already", "sudah ditanggapi"),
                Status::Snoozed => ("has been put off", "sedang ditunda"),
                Status::Escalated => ("was passed on", "sudah dinaikkan"),
                Status::Resolved => ("is resolved", "sudah selesai"),
                Status::Withdrawn => ("was withdrawn", "sudah ditarik"),
            };
            let problem = Problem::new(
                Code::AlertState,
                format!("This alert {en}, so it cannot be done."),
                format!("Peringatan ini {id}, jadi hal itu tidak dapat dilakukan."),
            );
            Box::new(problem.member("state", status.as_str()))
        }
        Refusal::Past => invalid("until", "range", "must lie ahead", "harus di masa depan"),
        Refusal::SnoozedOften { times } => refused(
            "snooze_max",
            format!("This alert has been put off {times} times, as often as the policy allows."),
            format!("Peringatan ini sudah ditunda {times} kali, batas kebijakan."),
        ),
        Refusal::SnoozedLong { until } => {
            let latest = time(*until, look.now, &look.policies.calendar.zone);
            let mut problem = refused(
                "snooze_max",
                format!("This alert may be put off until {} at most.", latest.en),
                format!("Peringatan ini boleh ditunda paling lama sampai {}.", latest.id),
            );
            let alternatives = json!({ "until": spell(*until) });
            problem.more_members.insert("alternatives".to_owned(), alternatives);
            problem
        }
    }
}
