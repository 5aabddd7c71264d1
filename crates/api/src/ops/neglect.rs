//! `neglect.*`: who is being forgotten: they are silent, we are silent, we owe.

use events::problem::Problem;
use events::time::{parse_instant, spell};
use jiff::SignedDuration;
use projections::neglect::query;
use serde_json::Value;

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
    Operation::view("neglect.get", "/v1/customers/{id}/neglect", &["id", "at"], GET),
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
    read.done()?;
    let mut look = look(app, caller, &params).await?;
    look.dossier(caller.tenant(), &customer).await?;
    let at =
        date.map(|it| look.policies.calendar.at_alert_hour(it)).or(instant).unwrap_or(look.now);
    let found = query::of_customer(&mut look.snapshot, caller.tenant(), &customer, at)
        .await
        .map_err(|error| unread(&error))?;
    Ok(look.answer(found))
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
        after: None,
        back: false,
    };
    let cursor = read.text("cursor");
    read.done()?;
    let walk = list.walk(cursor, limit)?;
    let after = |place: Option<&str>| {
        let (at, holder, clock) = serde_json::from_str::<(String, String, String)>(place?).ok()?;
        Some((parse_instant(&at).ok()?, holder, clock))
    };
    let mut wanted = query::Wanted { after: after(walk.place()), back: walk.is_back(), ..wanted };
    let mut look = look(app, caller, &params).await?;
    let at = look.now;
    let tenant = caller.tenant();
    let found = query::list(&mut look.snapshot, tenant, &wanted, at, walk.rows())
        .await
        .map_err(|error| unread(&error))?;
    let (found, mut sides) = walk
        .page(found, |((at, holder, clock), _)| crate::answer::json(&(spell(*at), holder, clock)));
    if let Some((back, place)) = sides.unknown() {
        (wanted.back, wanted.after) = (back, after(place));
        let other = query::list(&mut look.snapshot, tenant, &wanted, at, 1).await;
        sides.tell(!other.map_err(|error| unread(&error))?.is_empty());
    }
    let items: Vec<Value> = found.into_iter().map(|(_, row)| row).collect();
    Ok(look.page(&items, walk.cursors(&sides)))
}
