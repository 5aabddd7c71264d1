//! `loyalty.*`: which tier, why, until when; and a tier that somebody decides by hand.

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::CustomerId;
use events::kind::Kind;
use events::policy::{Policies, PolicyHistory};
use events::problem::{Code, Problem};
use events::tier::Tier;
use jiff::civil::Date;
use projections::dossier::Place;
use projections::loyalty::explain::{Branch, Detail, answer};
use projections::loyalty::{query, view};
use projections::{Entry, Holder, voided_among};
use serde_json::{Value, json};

use super::view::{Look, customer, look};
use super::{Body, Handler, Operation};
use crate::answer::{Reply, put, unread};
use crate::app::{App, Caller};
use crate::page::List;
use crate::params::Params;
use crate::record::{Draft, ai_may, created, known_customer, record, who};
use crate::scope::Scope;

const TIERS: [&str; 3] = ["prospect", "secondary", "primary"];

const GET: Handler = |app, caller, params| Box::pin(one(app, caller, params, Detail::Short));
const EXPLAIN: Handler = |app, caller, params| Box::pin(one(app, caller, params, Detail::Full));
const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const SET: Handler = |app, caller, params| Box::pin(set(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::view("loyalty.get", "/v1/customers/{id}/loyalty", &["id", "at", "known_at"], GET),
    Operation::view(
        "loyalty.explain",
        "/v1/customers/{id}/loyalty/explain",
        &["id", "at", "known_at", "policy_version"],
        EXPLAIN,
    ),
    Operation::view(
        "loyalty.list",
        "/v1/loyalty",
        &["tier", "lapsing_before", "one_step_from", "limit", "cursor"],
        LIST,
    ),
    Operation::command(
        "loyalty.set",
        "/v1/customers/{id}/tier",
        Scope::CustomerWrite,
        Body::Members,
        &["id", "tier", "reason", "until"],
        SET,
    ),
];

fn tier(word: &str) -> Option<Tier> {
    Tier::ALL.into_iter().find(|it| it.name() == word)
}

async fn one(
    app: &App,
    caller: &Caller,
    params: Params,
    detail: Detail,
) -> Result<Reply, Box<Problem>> {
    let customer = customer(&params)?;
    let mut read = params.read();
    let at = read.date("at");
    let known_at = read.position("known_at");
    let version = read.integer("policy_version", 1..=i64::from(u32::MAX));
    read.done()?;
    let mut look = look(app, caller, &params).await?;
    super::facts::reached(look.as_of.head, known_at)?;
    let dossier = look.dossier(caller.tenant(), &customer).await?;
    let history = look.snapshot.policies_of(caller.tenant());
    let calendar = look.policies.calendar.clone();
    let today = calendar.local_date(look.now);
    let on = at.unwrap_or(today);
    let policies = view::policies_on(&history, on, &calendar);
    let policies = with_version(policies.as_ref().clone(), &history, version)?;
    let mut answer = if on == today && known_at.is_none() {
        let snapshot = &mut look.snapshot;
        let tenant = caller.tenant();
        let state = &dossier.loyalty;
        let found = query::get(snapshot, tenant, &customer, state, &policies, on, detail).await;
        let found = found.map_err(|error| unread(&error))?;
        serde_json::to_value(found).unwrap_or_default()
    } else {
        as_of(app, caller, &customer, on, known_at, &policies).await?
    };
    if detail == Detail::Short
        && let Some(members) = answer.as_object_mut()
    {
        for name in ["conditions", "counted", "not_counted", "sentence"] {
            members.remove(name);
        }
    }
    Ok(look.answer(answer))
}

/// Another version of the policy, as if it had been in force.
fn with_version(
    mut policies: Policies,
    history: &PolicyHistory,
    version: Option<i64>,
) -> Result<Policies, Box<Problem>> {
    let Some(version) = version.and_then(|it| u64::try_from(it).ok()) else { return Ok(policies) };
    let published = history.version("loyalty", version).ok_or_else(|| {
        crate::answer::missing("loyalty policy", "kebijakan loyalitas", "policy_version")
    })?;
    // A version that was published once has been read before, so it has no faults now.
    policies.apply(published.clone()).map_err(|_| Box::new(Problem::of(Code::Internal)))?;
    Ok(policies)
}

/// What was known on a date, folded out of the log: nothing later has any influence.
async fn as_of(
    app: &App,
    caller: &Caller,
    customer: &CustomerId,
    on: Date,
    known_at: Option<i64>,
    policies: &Policies,
) -> Result<Value, Box<Problem>> {
    let facts = app
        .log
        .read_customers(caller.tenant(), &[customer], known_at.unwrap_or(i64::MAX))
        .await
        .map_err(|error| unread(&error))?;
    let voided = voided_among(&facts);
    let calendar = &policies.calendar;
    let mut read: Vec<(Recorded, Fact, Date)> = facts
        .into_iter()
        .filter(|it| !voided.contains(&it.reference()))
        .filter_map(|it| {
            let fact = it.fact().ok()?;
            let day = calendar.local_date(it.occurred_at);
            Some((it, fact, day))
        })
        .collect();
    read.sort_by_cached_key(|(it, _, _)| Place::of(it));
    let entries: Vec<Entry<'_>> =
        read.iter().map(|(event, fact, day)| Entry { event, fact, day: *day }).collect();
    let answer = query::as_of(customer, &entries, on, policies, calendar);
    Ok(serde_json::to_value(answer).unwrap_or_default())
}

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let list = List::new(&caller.tenant, "loyalty.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let wanted = query::Wanted {
        tier: read.word("tier", &TIERS).and_then(tier),
        lapsing_before: read.date("lapsing_before"),
        one_step_from: read.word("one_step_from", &TIERS).and_then(tier),
        after: None,
        back: false,
    };
    let cursor = read.text("cursor");
    read.done()?;
    let walk = list.walk(cursor, limit)?;
    let after = |place: Option<&str>| place.map(str::to_owned);
    let mut wanted = query::Wanted { after: after(walk.place()), back: walk.is_back(), ..wanted };
    let mut look = look(app, caller, &params).await?;
    let today = look.policies.calendar.local_date(look.now);
    let tenant = caller.tenant();
    let found = query::list(&mut look.snapshot, tenant, &wanted, today, walk.rows())
        .await
        .map_err(|error| unread(&error))?;
    let (found, mut sides) = walk.page(found, |it| it.customer.as_str().to_owned());
    if let Some((back, place)) = sides.unknown() {
        (wanted.back, wanted.after) = (back, after(place));
        let other = query::list(&mut look.snapshot, tenant, &wanted, today, 1).await;
        sides.tell(!other.map_err(|error| unread(&error))?.is_empty());
    }
    let counts = query::counts(&mut look.snapshot, tenant).await.map_err(|error| unread(&error))?;
    let mut items: Vec<Value> =
        found.iter().map(|it| serde_json::to_value(it).unwrap_or_default()).collect();
    let people = look.add_people(caller, &mut items).await?;
    for (row, it) in items.iter_mut().zip(&found) {
        let Some(dossier) = people.get(&(tenant.clone(), Holder::customer(&it.customer))) else {
            continue;
        };
        let (policies, calendar) = (&look.policies, &look.policies.calendar);
        let (state, branch) = (&dossier.loyalty, Branch::default());
        let tier = answer(&it.customer, state, today, policies, calendar, branch, Detail::Short);
        put(row, "cause", serde_json::to_value(tier.cause).unwrap_or_default());
    }
    let cursors = walk.cursors(&sides);
    let (next, prev) = (&cursors.next, &cursors.prev);
    let body =
        json!({ "items": items, "next_cursor": next, "prev_cursor": prev, "counts": counts });
    Ok(Reply { cursors, ..look.answer(body) })
}

async fn set(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let policies = app.policies(caller.tenant()).await?;
    ai_may(caller, &policies, Some("tier"))?;
    let id = params.take("id");
    let customer = known_customer(app, caller, "id", id).await?;
    let mut read = params.read();
    let wanted = read.word("tier", &TIERS);
    let wanted = read.required("tier", wanted).unwrap_or_default();
    let reason = read.text("reason");
    let reason = read.required("reason", reason).unwrap_or_default();
    let until = read.date("until");
    let until = read.required("until", until);
    read.done()?;
    let mut look: Look = look(app, caller, &Params::default()).await?;
    let dossier = look.dossier(caller.tenant(), &customer).await?;
    let calendar = &look.policies.calendar;
    let today = calendar.local_date(look.now);
    if until.is_some_and(|it| it <= today) {
        return Err(crate::params::invalid(
            "until",
            "range",
            "must lie ahead",
            "harus di masa depan",
        ));
    }
    let before = view::View::new(&dossier.loyalty, today, &look.policies, calendar).tier();
    let mut data = json!({
        "from": before.name(),
        "to": wanted,
        "cause": "manual",
        "policy_version": look.policies.loyalty.version(),
        "evidence": [],
        "by": who(caller),
        "reason": reason,
    });
    if let Some(until) = until {
        put(&mut data, "until", until.to_string());
    }
    let Value::Object(data) = data else { return Err(Problem::of(Code::Internal).into()) };
    let draft = Draft::new(Kind::LoyaltyTierChanged, data).about(Some(customer.clone()));
    let receipts = record(app, caller, "loyalty.set", vec![draft]).await?;
    let position = receipts.iter().map(|it| it.position).max().unwrap_or_default();
    let shown = async {
        let mut look = super::view::after(app, caller, position).await?;
        let state = look.dossier(caller.tenant(), &customer).await?.loyalty;
        let policies = look.policies.clone();
        let found = query::get(
            &mut look.snapshot,
            caller.tenant(),
            &customer,
            &state,
            &policies,
            today,
            Detail::Short,
        );
        let found = found.await.map_err(|error| unread(&error))?;
        Ok::<Value, Box<Problem>>(serde_json::to_value(found).unwrap_or_default())
    };
    Ok(created(&receipts, shown.await.ok().map(|it| ("loyalty", it))))
}
