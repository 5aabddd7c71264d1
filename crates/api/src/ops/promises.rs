//! `promises.*`: what we have promised whom by when, and whether we keep our word.

use events::fact::promise::How;
use events::id::{CustomerId, Ident};
use events::kind::Kind;
use events::problem::{Code, Problem, Text};
use events::schema;
use events::spoken::time;
use events::time::spell;
use jiff::{SignedDuration, Timestamp};
use projections::promises::Standing;
use projections::promises::due::{Refusal, may_settle};
use projections::promises::query::{self, By, Found, STATES, Wanted};
use projections::{Holder, Key};
use serde_json::{Map, Value, json};

use super::view::{Look, look};
use super::{Body, Handler, Operation};
use crate::answer::{ReceiptOut, Reply, missing, put, unread};
use crate::app::{App, Caller};
use crate::page::List;
use crate::params::{Params, invalid};
use crate::record::{Draft, ai_may, created, known_customer, record, refused, strip};
use crate::scope::Scope;

/// Days that reliability is told for when nobody says.
const RELIABILITY_HOURS: i64 = 24 * 90;

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));
const MAKE: Handler = |app, caller, params| Box::pin(make(app, caller, params));
const SETTLE: Handler = |app, caller, params| Box::pin(settle(app, caller, params));
const RELIABILITY: Handler = |app, caller, params| Box::pin(reliability(app, caller, params));
const QUOTE: Handler = |app, caller, params| Box::pin(quote(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::view(
        "promises.list",
        "/v1/promises",
        &[
            "customer",
            "owner",
            "team",
            "to",
            "state",
            "due_within",
            "about",
            "topic",
            "limit",
            "cursor",
        ],
        LIST,
    ),
    Operation::view("promises.get", "/v1/promises/{id}", &["id"], GET),
    Operation::view(
        "promises.reliability",
        "/v1/promises/reliability",
        &["by", "from", "to"],
        RELIABILITY,
    ),
    Operation::view("promises.quote", "/v1/promises/quote", &["topic"], QUOTE),
    Operation::command(
        "promises.make",
        "/v1/promises",
        Scope::PromiseWrite,
        Body::Data,
        &["customer", "promise", "what", "due_at", "owner", "to", "about", "topic"],
        MAKE,
    ),
    Operation::command(
        "promises.settle",
        "/v1/promises/{id}/settle",
        Scope::PromiseWrite,
        Body::Members,
        &["id", "how", "by", "new_due_at", "told"],
        SETTLE,
    ),
];

/// A promise as this caller may see it.
pub(super) fn told(it: &Found, caller: &Caller, now: Timestamp) -> Value {
    let mut out = it.to_json(now);
    let personal = schema::personal_pointers(Kind::PromiseMade).contains(&"what");
    let masked = personal && !caller.sees_personal();
    if masked && let Some(members) = out.as_object_mut() {
        members.remove("what");
    }
    put(&mut out, "masked", if masked { json!(["/what"]) } else { json!([]) });
    out
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let list = List::new(&caller.tenant, "promises.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let text = |it: Option<&str>| it.map(str::to_owned);
    let within = read.duration("due_within").and_then(|it| SignedDuration::try_from(it).ok());
    let wanted = Wanted {
        customer: read.parsed("customer"),
        owner: text(read.text("owner")),
        team: text(read.text("team")),
        to: text(read.text("to")),
        states: read.words("state", &STATES),
        due_by: within.and_then(|it| app.clock.now().checked_add(it).ok()),
        about: text(read.text("about")),
        topic: text(read.text("topic")),
    };
    let cursor = read.text("cursor");
    read.done()?;
    let (mut walk, window) = list.window(cursor, limit)?;
    let mut look = look(app, caller, &params).await?;
    walk.begin(look.snapshot.moment());
    let (log, tenant, now) = (&app.log, caller.tenant(), look.now);
    let found = query::list(&mut look.snapshot, log, tenant, &wanted, now, &window)
        .await
        .map_err(|error| unread(&error))?;
    let (found, mut sides, ends) = walk.ordered(found);
    if let Some(other) = ends.other(&sides, &window) {
        let other = query::list(&mut look.snapshot, log, tenant, &wanted, now, &other).await;
        sides.tell(!other.map_err(|error| unread(&error))?.is_empty());
    }
    let items: Vec<Value> = found.iter().map(|it| told(it, caller, now)).collect();
    Ok(look.page(&items, walk.cursors(&sides)))
}

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let id = params.read().text("id").unwrap_or_default().to_owned();
    let mut look = look(app, caller, &params).await?;
    let found = query::get(&mut look.snapshot, caller.tenant(), &id)
        .await
        .map_err(|error| unread(&error))?
        .ok_or_else(|| missing("promise", "janji", "id"))?;
    let (version, now) = (found.version, look.now);
    Ok(look.answer(told(&found, caller, now)).etag(version))
}

async fn reliability(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let by = read.word("by", &["owner", "team", "topic"]).unwrap_or("owner");
    let (from, to) = (read.instant("from"), read.instant("to"));
    read.done()?;
    let mut look = look(app, caller, &params).await?;
    let to = to.unwrap_or(look.now);
    let from = from.or_else(|| to.checked_sub(SignedDuration::from_hours(RELIABILITY_HOURS)).ok());
    let from = from.unwrap_or(Timestamp::UNIX_EPOCH);
    let column = match by {
        "team" => By::Team,
        "topic" => By::Topic,
        _ => By::Owner,
    };
    let rows = query::reliability(&mut look.snapshot, caller.tenant(), column, from, to)
        .await
        .map_err(|error| unread(&error))?;
    Ok(look.answer(json!({ "by": by, "from": spell(from), "to": spell(to), "items": rows })))
}

async fn quote(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let topic = read.text("topic");
    let topic = read.required("topic", topic).unwrap_or_default();
    read.done()?;
    let mut look = look(app, caller, &params).await?;
    let (now, policies) = (look.now, look.policies.clone());
    let rule = &policies.promise;
    let quote = query::quote(&mut look.snapshot, caller.tenant(), topic, now, rule)
        .await
        .map_err(|error| unread(&error))?;
    Ok(look.answer(serde_json::to_value(quote).unwrap_or_default()))
}

/// The answer of a command about a promise: receipts, and the promise as it stands now.
async fn shown(app: &App, caller: &Caller, receipts: &[ReceiptOut], id: &str) -> Reply {
    let position = receipts.iter().map(|it| it.position).max().unwrap_or_default();
    let look = super::view::after(app, caller, position).await;
    let object = match look {
        Ok(mut look) => {
            let found = query::get(&mut look.snapshot, caller.tenant(), id).await;
            found.ok().flatten().map(|it| ("promise", told(&it, caller, look.now)))
        }
        Err(_) => None,
    };
    created(receipts, object)
}

async fn make(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let policies = app.policies(caller.tenant()).await?;
    ai_may(caller, &policies, Some("promise"))?;
    strip(&mut params);
    let customer = match params.take("customer") {
        None => None,
        named => Some(known_customer(app, caller, "customer", named).await?),
    };
    if customer.is_some() == params.has("to") {
        return Err(invalid(
            "customer",
            "required",
            "a promise is made to a customer, or with `to` to a colleague",
            "janji dibuat kepada pelanggan, atau dengan `to` kepada rekan",
        ));
    }
    let id = match params.values().get("promise").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => app.ids.new_id().to_string(),
    };
    params.set("promise", id.as_str().into());
    let draft = Draft::new(Kind::PromiseMade, params.into_data()).about(customer);
    // A name is given to one promise only; with a key the second run finds its own first.
    let draft = if caller.idempotency_key.is_some() { draft } else { draft.at_version(0) };
    let receipts = record(app, caller, "promises.make", vec![draft]).await.map_err(|problem| {
        if problem.code == Code::VersionConflict && caller.if_match.is_none() {
            return Box::new(Problem::new(
                Code::AlreadyExists,
                "There is a promise of this name.",
                "Sudah ada janji dengan nama ini.",
            ));
        }
        problem
    })?;
    Ok(shown(app, caller, &receipts, &id).await)
}

async fn settle(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut read = params.read();
    let id: Option<Ident> = read.parsed("id");
    let words: Vec<&'static str> = How::ALL.iter().map(|it| it.as_str()).collect();
    let how = read.word("how", &words).and_then(How::from_word);
    let how = read.required("how", how);
    let by = read.text("by");
    let new_due_at = read.instant("new_due_at");
    let told = read.truth("told").unwrap_or_default();
    read.done()?;
    let (Some(id), Some(how)) = (id, how) else { return Err(missing("promise", "janji", "id")) };
    let mut look = look(app, caller, &Params::default()).await?;
    ai_may(caller, &look.policies, Some("promise"))?;
    let found = query::get(&mut look.snapshot, caller.tenant(), id.as_str())
        .await
        .map_err(|error| unread(&error))?
        .ok_or_else(|| missing("promise", "janji", "id"))?;
    let customer: Option<CustomerId> = found.customer.as_deref().and_then(|it| it.parse().ok());
    let holder = match &customer {
        Some(customer) => Holder::customer(customer),
        None => Holder::stored(&format!("promise/{id}")),
    };
    let key: Key = (caller.tenant().clone(), holder);
    let dossier = look
        .dossiers([key.clone()].into())
        .await?
        .remove(&key)
        .ok_or_else(|| missing("promise", "janji", "id"))?;
    let promise = dossier.promises.get(&id).ok_or_else(|| missing("promise", "janji", "id"))?;
    let rule = &look.policies.promise;
    may_settle(promise, how, look.now, new_due_at, told, rule)
        .map_err(|refusal| refusal_told(&refusal, &look))?;
    let mut data = Map::new();
    data.insert("promise".to_owned(), json!(id));
    data.insert("how".to_owned(), json!(how));
    data.insert("told".to_owned(), told.into());
    if let Some(by) = by {
        data.insert("by".to_owned(), by.into());
    }
    if let Some(at) = new_due_at {
        data.insert("new_due_at".to_owned(), spell(at).into());
    }
    let draft = Draft::new(Kind::PromiseSettled, data).about(customer).at_version(found.version);
    let receipts = record(app, caller, "promises.settle", vec![draft]).await?;
    Ok(shown(app, caller, &receipts, id.as_str()).await)
}

fn refusal_told(refusal: &Refusal, look: &Look) -> Box<Problem> {
    let said = |at| time(at, look.now, &look.policies.calendar.zone);
    let text = match refusal {
        Refusal::AlreadySettled(standing) => {
            let (en, id) = match standing {
                Standing::Late => ("kept late", "ditepati terlambat"),
                Standing::Kept => ("kept", "ditepati"),
                Standing::Released => ("released", "dilepaskan"),
                Standing::Broken => ("broken", "dilanggar"),
                Standing::Open => ("settled", "diselesaikan"),
            };
            Text::new(format!("This promise was {en} already."), format!("Janji ini sudah {id}."))
        }
        Refusal::RenegotiateLate(at) => {
            let due = said(*at);
            Text::new(
                format!("This promise was due {}; it can be moved only before that.", due.en),
                format!("Janji ini jatuh tempo {}; hanya bisa digeser sebelum itu.", due.id),
            )
        }
        Refusal::RenegotiateMax(times) => Text::new(
            format!("This promise was moved {times} times, as often as the policy allows."),
            format!("Janji ini sudah digeser {times} kali, batas kebijakan."),
        ),
        Refusal::NotTold => Text::new(
            "A promise may be moved once the customer was told: then send `told: true`.",
            "Janji boleh digeser setelah pelanggan diberi tahu: lalu kirim `told: true`.",
        ),
        Refusal::NotLater(at) => {
            let due = said(*at);
            Text::new(
                format!("The new time must be later than {}.", due.en),
                format!("Waktu baru harus setelah {}.", due.id),
            )
        }
        Refusal::Reserved => Text::new(
            "Sapa decides itself that a promise is broken, once it is due.",
            "Sapa sendiri yang menetapkan bahwa janji dilanggar, saat jatuh tempo.",
        ),
    };
    refused(refusal.rule(), text.en, text.id)
}
