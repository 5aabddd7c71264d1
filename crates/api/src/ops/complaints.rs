//! `complaints.*` and `improvements.*`: commands about what went wrong and what gets better.
//!
//! Which complaints there are is shown by the timeline and by what we owe; their own read model is
//! not built yet, so the list and the single complaint are refused with what to ask instead.

use events::cloudevents::not_built;
use events::kind::Kind;
use events::problem::{Code, Problem};
use serde_json::{Value, json};

use super::{Body, Handler, Operation};
use crate::answer::Reply;
use crate::app::{App, Caller};
use crate::params::Params;
use crate::record::{Draft, ai_may, created, known_customer, known_object, record, strip};
use crate::scope::Scope;

const LIST: Handler = |_, _, _| {
    Box::pin(std::future::ready(Err(no_answer_yet(
        "The list of complaints is not built yet.",
        "Daftar keluhan belum dibuat.",
        "Ask what is owed with `GET /v1/neglect?clock=owe` (`sapa neglect list --clock owe`), or a customer's complaints with `GET /v1/customers/{id}/timeline?topic=complaint`.",
        "Tanyakan utang kita dengan `GET /v1/neglect?clock=owe` (`sapa neglect list --clock owe`), atau keluhan seorang pelanggan dengan `GET /v1/customers/{id}/timeline?topic=complaint`.",
    ))))
};
const GET: Handler = |_, _, _| {
    Box::pin(std::future::ready(Err(no_answer_yet(
        "The page of one complaint is not built yet.",
        "Halaman satu keluhan belum dibuat.",
        "Read its facts with `GET /v1/streams/complaint/{id}` (`sapa event list --stream complaint/ID`).",
        "Baca faktanya dengan `GET /v1/streams/complaint/{id}` (`sapa event list --stream complaint/ID`).",
    ))))
};
const RAISE: Handler = |app, caller, params| Box::pin(raise(app, caller, params));
const RESOLVE: Handler = |app, caller, params| {
    Box::pin(follow(
        app,
        caller,
        params,
        "complaints.resolve",
        Kind::ComplaintResolved,
        Some("remedy"),
    ))
};
const REOPEN: Handler = |app, caller, params| {
    Box::pin(follow(
        app,
        caller,
        params,
        "complaints.reopen",
        Kind::ComplaintReopened,
        Some("note"),
    ))
};
const ESCALATE: Handler = |app, caller, params| {
    Box::pin(follow(app, caller, params, "complaints.escalate", Kind::ComplaintEscalated, None))
};
const PROPOSE: Handler = |app, caller, params| Box::pin(propose(app, caller, params));
const MAKE: Handler = |app, caller, params| {
    Box::pin(follow(app, caller, params, "improvements.make", Kind::ImprovementMade, None))
};
const ASSESS: Handler = |app, caller, params| {
    Box::pin(follow(app, caller, params, "improvements.assess", Kind::ImprovementAssessed, None))
};

const fn command(
    id: &'static str,
    path: &'static str,
    parameters: &'static [&'static str],
    handler: Handler,
) -> Operation {
    Operation::command(id, path, Scope::InteractionWrite, Body::Data, parameters, handler)
}

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::view(
        "complaints.list",
        "/v1/complaints",
        &[
            "customer",
            "state",
            "kind",
            "category",
            "severity",
            "returns_min",
            "owner",
            "from",
            "to",
            "limit",
            "cursor",
        ],
        LIST,
    ),
    Operation::view("complaints.get", "/v1/complaints/{id}", &["id"], GET),
    command(
        "complaints.raise",
        "/v1/complaints",
        &["customer", "channel", "time", "complaint"],
        RAISE,
    ),
    command(
        "complaints.resolve",
        "/v1/complaints/{id}/resolve",
        &["id", "remedy", "fault", "accepted"],
        RESOLVE,
    ),
    command("complaints.reopen", "/v1/complaints/{id}/reopen", &["id", "reason"], REOPEN),
    command(
        "complaints.escalate",
        "/v1/complaints/{id}/escalate",
        &["id", "to", "reason"],
        ESCALATE,
    ),
    command(
        "improvements.propose",
        "/v1/improvements",
        &["improvement", "title", "topic", "because"],
        PROPOSE,
    ),
    command(
        "improvements.make",
        "/v1/improvements/{id}/make",
        &["id", "what", "measure", "because"],
        MAKE,
    ),
    command(
        "improvements.assess",
        "/v1/improvements/{id}/assess",
        &["id", "weeks", "before", "after", "verdict"],
        ASSESS,
    ),
];

/// Refuses a question whose read model is not built yet, and names what to ask instead.
fn no_answer_yet(en: &str, id: &str, instead_en: &str, instead_id: &str) -> Box<Problem> {
    Box::new(Problem::new(Code::NotBuilt, en, id).hint(instead_en, instead_id))
}

/// The id that was sent, or a new one.
fn named(app: &App, params: &mut Params, member: &str) -> String {
    let id = match params.values().get(member).and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => app.ids.new_id().to_string(),
    };
    params.set(member, id.as_str().into());
    id
}

async fn raise(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let policies = app.policies(caller.tenant()).await?;
    ai_may(caller, &policies, Some("note"))?;
    strip(&mut params);
    let customer = params.take("customer");
    let customer = known_customer(app, caller, "customer", customer).await?;
    let id = named(app, &mut params, "complaint");
    let text = |it: Option<Value>| it.and_then(|it| it.as_str().map(str::to_owned));
    let (channel, time) = (text(params.take("channel")), text(params.take("time")));
    let mut draft =
        Draft::new(Kind::ComplaintRaised, params.into_data()).about(Some(customer.clone()));
    draft.channel = channel;
    draft.time = time;
    let receipts = record(app, caller, "complaints.raise", vec![draft]).await?;
    let complaint = json!({ "complaint": id, "customer": customer });
    Ok(created(&receipts, Some(("complaint", complaint))))
}

async fn propose(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let policies = app.policies(caller.tenant()).await?;
    ai_may(caller, &policies, None)?;
    strip(&mut params);
    let id = named(app, &mut params, "improvement");
    let draft = Draft::new(Kind::ImprovementProposed, params.into_data());
    let receipts = record(app, caller, "improvements.propose", vec![draft]).await?;
    Ok(created(&receipts, Some(("improvement", json!({ "improvement": id })))))
}

/// What follows on something that exists: 404 if it does not.
async fn follow(
    app: &App,
    caller: &Caller,
    mut params: Params,
    operation: &'static str,
    kind: Kind,
    act: Option<&str>,
) -> Result<Reply, Box<Problem>> {
    if !kind.is_built() {
        return Err(not_built(kind));
    }
    let policies = app.policies(caller.tenant()).await?;
    ai_may(caller, &policies, act)?;
    strip(&mut params);
    let family = kind.family().as_str();
    let id = params.take("id");
    let id = id.as_ref().and_then(Value::as_str).unwrap_or_default();
    let customer = known_object(app, caller, family, id).await?;
    params.set(family, id.into());
    if kind == Kind::ComplaintEscalated && !params.has("reason") {
        params.set("reason", "manual".into());
    }
    let object = json!({ family: id, "customer": customer });
    let draft = Draft::new(kind, params.into_data()).about(customer);
    let receipts = record(app, caller, operation, vec![draft]).await?;
    Ok(created(&receipts, Some((family, object))))
}
