//! `neglect.*`: who is being forgotten: they are silent, we are silent, we owe.

use events::problem::Problem;
use jiff::SignedDuration;
use projections::earlier::as_of;
use projections::neglect::query;
use serde_json::Value;

use super::facts::reached;
use super::view::{customer, look};
use super::{Handler, Operation};
use crate::answer::{Reply, unread};
use crate::app::{App, Caller};
use crate::page::List;
use crate::params::Params;

const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));
const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::view("neglect.get", "/v1/customers/{id}/neglect", &["id", "at", "known_at"], GET),
    Operation::view(
        "neglect.list",
        "/v1/neglect",
        &[
            "clock",
            "state",
            "team",
            "owner",
            "tier",
            "due_before",
            "due_within",
            "resting",
            "limit",
            "cursor",
        ],
        LIST,
    ),
];

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let customer = customer(&params)?;
    let mut read = params.read();
    let is_date =
        params.values().get("at").and_then(Value::as_str).is_some_and(|it| it.len() == 10);
    let (date, instant) =
        if is_date { (read.date("at"), None) } else { (None, read.instant("at")) };
    let known_at = read.position("known_at");
    read.done()?;
    let mut look = look(app, caller, &params).await?;
    reached(look.as_of.head, known_at)?;
    let tenant = caller.tenant();
    let dossier = look.dossier(tenant, &customer).await?;
    let at = date.map(|it| look.policies.calendar.at_alert_hour(it)).or(instant);
    if at.is_none() && known_at.is_none() {
        let policies = &look.policies;
        let found = query::of_customer(&customer, &dossier.neglect, policies, look.now);
        return Ok(look.answer(found));
    }
    let (at, known_at) = (at.unwrap_or(look.now), known_at.unwrap_or(i64::MAX));
    let then = as_of(&mut look.snapshot, &app.log, tenant, &customer, at, known_at)
        .await
        .map_err(|error| unread(&error))?;
    let policies = look.snapshot.policies_of(tenant).in_force(at);
    Ok(look.answer(query::of_customer(&customer, &then.neglect, &policies, at)))
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    const STATES: [&str; 6] = ["ok", "due_soon", "overdue", "suspended", "resting", "muted"];
    let list = List::new(&caller.tenant, "neglect.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let text = |it: Option<&str>| it.map(str::to_owned);
    let within = read.duration("due_within").and_then(|it| SignedDuration::try_from(it).ok());
    let now = app.clock.now();
    let resting = read.truth("resting").unwrap_or_default();
    let state = read.word("state", &STATES);
    let wanted = query::Wanted {
        clock: text(read.word("clock", &["they", "we", "owe"])),
        state: text(state.or(resting.then_some("resting"))),
        team: text(read.text("team")),
        owner: text(read.text("owner")),
        tier: text(read.word("tier", &["prospect", "secondary", "primary"])),
        due_before: read.instant("due_before").or_else(|| now.checked_add(within?).ok()),
    };
    let cursor = read.text("cursor");
    read.done()?;
    let (mut walk, window) = list.window(cursor, limit)?;
    let mut look = look(app, caller, &params).await?;
    walk.begin(look.snapshot.moment());
    let (log, tenant, at) = (&app.log, caller.tenant(), look.now);
    let found = query::list(&mut look.snapshot, log, tenant, &wanted, at, &window)
        .await
        .map_err(|error| unread(&error))?;
    let (mut items, mut sides, ends) = walk.ordered(found);
    if let Some(other) = ends.other(&sides, &window) {
        let other = query::list(&mut look.snapshot, log, tenant, &wanted, at, &other).await;
        sides.tell(!other.map_err(|error| unread(&error))?.is_empty());
    }
    look.add_people(caller, &mut items).await?;
    Ok(look.page(&items, walk.cursors(&sides)))
}
