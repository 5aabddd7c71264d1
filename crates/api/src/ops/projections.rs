//! `projections.*`: how far the read models are, and who is set aside.

use events::problem::Problem;
use events::time::spell;
use projections::{NAMES, parked};
use serde_json::{Value, json};
use store::lease::LEADER;
use store::{generations, lease};

use super::view::{Look, look};
use super::{Handler, Method, Operation};
use crate::answer::{Reply, not_found, unread};
use crate::app::{App, Caller};
use crate::params::Params;
use crate::scope::Scope;

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));
const PARKED: Handler = |app, caller, params| Box::pin(list_parked(app, caller, params));
const ACT: Handler = |app, caller, params| Box::pin(act(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::read("projections.list", "/v1/projections", Scope::MetricsRead, &[], LIST),
    Operation::read(
        "projections.get",
        "/v1/projections/{name}",
        Scope::MetricsRead,
        &["name"],
        GET,
    ),
    Operation::manage(
        "projections.parked",
        Method::Get,
        "/v1/projections/{name}/parked",
        Scope::MetricsRead,
        &["name"],
        PARKED,
    ),
    Operation::manage(
        "projections.act",
        Method::Post,
        "/v1/projections/{name}/{action}",
        Scope::ProjectionManage,
        &["name", "action"],
        ACT,
    ),
];

/// The state of the read models: they are folded together, so all stand at one position.
async fn status(app: &App, look: &mut Look) -> Result<Value, Box<Problem>> {
    let builds = generations::list(app.db()).await.map_err(|error| unread(&error))?;
    let parked = parked::load(&mut look.snapshot.tx).await.map_err(|error| unread(&error))?;
    let holder = lease::holder(app.db(), LEADER).await.map_err(|error| unread(&error))?;
    let build = |state: &str| builds.iter().rfind(|it| it.state == state);
    let previous = build("previous")
        .map(|it| json!({ "generation": it.generation, "created_at": spell(it.created_at) }));
    let rebuild = build("building").map(|it| {
        json!({ "generation": it.generation, "state": "building", "created_at": spell(it.created_at) })
    });
    Ok(json!({
        "state": "live",
        "generation": look.snapshot.generation,
        "position": look.as_of.position,
        "head": look.as_of.head,
        "lag": look.as_of.lag,
        "caught_up": look.as_of.lag == 0,
        "parked_customers": parked.iter().filter(|it| !it.skipped).count(),
        "holder": holder.as_ref().map(|(name, _, _)| name),
        "epoch": holder.as_ref().map(|(_, epoch, _)| epoch),
        "rebuild": rebuild,
        "previous": previous,
    }))
}

fn named(name: &str, status: &Value) -> Value {
    let mut out = json!({ "name": name });
    if let (Some(out), Some(status)) = (out.as_object_mut(), status.as_object()) {
        out.extend(status.clone());
    }
    out
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let mut look = look(app, caller, &params).await?;
    let status = status(app, &mut look).await?;
    let items: Vec<Value> = NAMES.iter().map(|it| named(it, &status)).collect();
    Ok(look.page(&items, None))
}

fn name(params: &Params) -> Result<&'static str, Box<Problem>> {
    let wanted = params.values().get("name").and_then(Value::as_str);
    NAMES.into_iter().find(|it| Some(*it) == wanted).ok_or_else(not_found)
}

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let name = name(&params)?;
    let mut look = look(app, caller, &params).await?;
    let status = status(app, &mut look).await?;
    Ok(look.answer(named(name, &status)))
}

async fn list_parked(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    name(&params)?;
    let mut look = look(app, caller, &Params::default()).await?;
    let all = parked::load(&mut look.snapshot.tx).await.map_err(|error| unread(&error))?;
    let items: Vec<Value> = all
        .iter()
        .filter(|it| it.tenant == *caller.tenant())
        .map(|it| {
            json!({
                "customer": it.holder.as_str(),
                "position": it.position,
                "error": it.error,
                "attempts": it.attempts,
                "waiting": it.waiting,
                "since": spell(it.since),
                "skipped": it.skipped,
            })
        })
        .collect();
    Ok(look.page(&items, None))
}

async fn act(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let name = name(&params)?;
    let mut read = params.read();
    let actions = ["rebuild", "swap", "rollback", "retire", "pause", "resume", "verify"];
    let action = read.word("action", &actions);
    read.done().map_err(|_| not_found())?;
    let action = action.ok_or_else(not_found)?;
    app.surroundings.project(action).await?;
    let mut look = look(app, caller, &Params::default()).await?;
    let status = status(app, &mut look).await?;
    Ok(Reply::of(202, &named(name, &status)))
}
