//! `neglect.*`: who is being forgotten: they are silent, we are silent, we owe.

use events::problem::Problem;
use events::time::{parse_instant, spell};
use jiff::SignedDuration;
use projections::neglect::query;
use serde_json::Value;

use super::view::{customer, look, one_more};
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
    };
    let cursor = read.text("cursor");
    read.done()?;
    let after = match cursor {
        None => None,
        Some(cursor) => serde_json::from_str::<(String, String, String)>(&list.place(cursor)?)
            .ok()
            .and_then(|(at, holder, clock)| Some((parse_instant(&at).ok()?, holder, clock))),
    };
    let wanted = query::Wanted { after, ..wanted };
    let mut look = look(app, caller, &params).await?;
    let at = look.now;
    let mut found = query::list(&mut look.snapshot, caller.tenant(), &wanted, at, one_more(limit))
        .await
        .map_err(|error| unread(&error))?;
    let more = limit < found.len();
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|((at, holder, clock), _)| {
        list.cursor(&crate::answer::json(&(spell(*at), holder, clock)))
    });
    let items: Vec<Value> = found.into_iter().map(|(_, row)| row).collect();
    Ok(look.page(&items, next.as_deref()))
}
