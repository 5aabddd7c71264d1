//! `projections.*`: how far the read models are, what is done with them, and who is set aside.
//!
//! All of them are folded together, so what is asked of one is done with all, and the answer names
//! them (`applies_to`). What is done, the leader does; here it is only asked for and reported.

use events::problem::{Code, Problem};
use events::time::spell;
use projections::upkeep::{self, About, Record, State};
use projections::{NAMES, parked};
use serde_json::{Value, json};
use store::lease::LEADER;
use store::{generations, lease};

use super::view::{Look, look};
use super::{Handler, Method, Operation};
use crate::answer::{Reply, missing, put, unread};
use crate::app::{App, Caller};
use crate::page::Cursors;
use crate::params::Params;
use crate::scope::Scope;
use crate::surroundings::{Action, Unpark};

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));
const PARKED: Handler = |app, caller, params| Box::pin(list_parked(app, caller, params));
const ACT: Handler = |app, caller, params| Box::pin(act(app, caller, params));
const UNPARK: Handler = |app, caller, params| Box::pin(unpark(app, caller, params));

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
    Operation::manage(
        "projections.unpark",
        Method::Post,
        "/v1/projections/{name}/parked/{customer}/{action}",
        Scope::ProjectionManage,
        &["name", "customer", "action"],
        UNPARK,
    ),
];

/// The state of the read models: they are folded together, so all stand at one position.
async fn status(app: &App, look: &mut Look) -> Result<Value, Box<Problem>> {
    let builds = generations::list(app.db()).await.map_err(|error| unread(&error))?;
    let parked = parked::load(&mut look.snapshot.tx).await.map_err(|error| unread(&error))?;
    let holder = lease::holder(app.db(), LEADER).await.map_err(|error| unread(&error))?;
    let build = |state: &str| builds.iter().rfind(|it| it.state == state);
    let record = async |about| upkeep::load(app.db(), about).await.map_err(|error| unread(&error));
    let previous = build("previous")
        .map(|it| json!({ "generation": it.generation, "created_at": spell(it.created_at) }));
    // A build that answers, or is gone, is none any more that is being made.
    let is_beside = |it: &Record| {
        let same = builds.iter().find(|build| build.generation == it.generation);
        same.is_some_and(|it| it.state == "building" || it.state == "failed")
    };
    let rebuild = record(About::Rebuild).await?.filter(is_beside);
    let verification = record(About::Verify).await?;
    let activation = record(About::Activation).await?.filter(|it| it.state.is_running());
    let activation = activation.filter(is_beside);
    let folding = record(About::Folding).await?.map_or(State::Live, |it| it.state);
    Ok(json!({
        "state": folding.as_str(),
        "generation": look.snapshot.generation,
        "position": look.as_of.position,
        "head": look.as_of.head,
        "lag": look.as_of.lag,
        "caught_up": look.as_of.lag == 0,
        "parked_customers": parked.iter().filter(|it| !it.skipped).count(),
        "holder": holder.as_ref().map(|(name, _, _)| name),
        "epoch": holder.as_ref().map(|(_, epoch, _)| epoch),
        "rebuild": rebuild.as_ref().map(told),
        "verification": verification.as_ref().map(told),
        "activation": activation.as_ref().map(told),
        "previous": previous,
    }))
}

/// A rebuild or a verification, as it is told.
fn told(it: &Record) -> Value {
    json!({
        "generation": it.generation,
        "state": it.state.as_str(),
        "position": it.position,
        "target": it.target,
        "percent": it.percent(),
        "events_per_second": it.events_per_second,
        "eta_seconds": if it.state.is_running() { it.eta_seconds() } else { None },
        "begun_at": spell(it.begun_at),
        "at": spell(it.at),
        "differs_in": it.differs_in,
        "reason": it.reason,
    })
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
    Ok(look.page(&items, Cursors::default()))
}

fn name(params: &Params) -> Result<&'static str, Box<Problem>> {
    let wanted = params.values().get("name").and_then(Value::as_str);
    NAMES
        .into_iter()
        .find(|it| Some(*it) == wanted)
        .ok_or_else(|| missing("projection", "proyeksi", "name"))
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
    let items: Vec<Value> =
        all.iter().filter(|it| it.tenant == *caller.tenant()).map(shown).collect();
    Ok(look.page(&items, Cursors::default()))
}

fn no_action() -> Box<Problem> {
    missing("act on a projection", "tindakan pada proyeksi", "action")
}

async fn act(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    if *caller.tenant() != app.settings.home {
        return Err(Box::new(Problem::new(
            Code::ScopeMissing,
            "The read models of all tenants are built together; this needs a key of the server's own tenant.",
            "Model baca semua penyewa dibangun bersama; ini memerlukan kunci penyewa milik server.",
        )));
    }
    let name = name(&params)?;
    let mut read = params.read();
    let word = read.word("action", &Action::ALL.map(Action::as_str));
    read.done().map_err(|_| no_action())?;
    let action = Action::ALL.into_iter().find(|it| Some(it.as_str()) == word);
    app.surroundings.project(action.ok_or_else(no_action)?).await?;
    let mut look = look(app, caller, &Params::default()).await?;
    let mut body = named(name, &status(app, &mut look).await?);
    put(&mut body, "applies_to", json!(NAMES));
    Ok(Reply::of(202, &body))
}

async fn unpark(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    name(&params)?;
    let mut read = params.read();
    let how = match read.word("action", &["retry", "skip"]) {
        Some("retry") => Unpark::Retry,
        Some(_) => Unpark::Skip,
        None => return Err(no_action()),
    };
    let customer =
        read.text("customer").ok_or_else(|| missing("customer", "pelanggan", "customer"))?;
    if !app.surroundings.unpark(caller.tenant(), customer, how).await? {
        return Err(Box::new(
            Problem::new(
                Code::NotFound,
                "Nobody of this name is parked here.",
                "Tidak ada yang ditahan dengan nama ini.",
            )
            .hint(
                "`sapa projection parked list NAME` shows who is.",
                "`sapa projection parked list NAME` menunjukkan siapa saja.",
            ),
        ));
    }
    let mut look = look(app, caller, &Params::default()).await?;
    let all = parked::load(&mut look.snapshot.tx).await.map_err(|error| unread(&error))?;
    let own = |it: &&parked::Parked| {
        it.tenant == *caller.tenant() && it.holder.as_str() == customer && !it.skipped
    };
    let still = all.iter().find(own).map(shown);
    Ok(Reply::of(202, &json!({ "customer": customer, "parked": still })))
}

fn shown(it: &parked::Parked) -> Value {
    json!({
        "customer": it.holder.as_str(),
        "position": it.position,
        "error": it.error,
        "attempts": it.attempts,
        "waiting": it.waiting,
        "since": spell(it.since),
        "skipped": it.skipped,
    })
}
