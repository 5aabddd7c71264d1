//! `customers.*`: who somebody is in ten lines, lists of them, and what we decide about them.

use std::future::ready;

use events::cloudevents::not_built;
use events::id::Stream;
use events::kind::{Direction, Kind};
use events::problem::{Problem, Text};
use events::spoken::{grouped, matter};
use projections::card::{self, Card, Sort};
use projections::loyalty::explain::Detail;
use serde_json::{Map, Value, json};

use super::view::{Look, customer, look};
use super::{Body, Handler, Operation};
use crate::answer::{Reply, missing, unread};
use crate::app::{App, Caller};
use crate::page::List;
use crate::params::{Params, invalid};
use crate::record::{Draft, ai_may, created, known_customer, record, strip};
use crate::scope::Scope;

mod pieces;

const LIST: Handler = |app, caller, params| Box::pin(list(app, caller, params));
const GET: Handler = |app, caller, params| Box::pin(get(app, caller, params));
// Joining customers and taking them apart would be recorded and change nothing yet.
const MERGE: Handler = |_, _, _| Box::pin(ready(Err(not_built(Kind::CustomerMerged))));
const UNMERGE: Handler = |_, _, _| Box::pin(ready(Err(not_built(Kind::CustomerUnmerged))));
const ASSIGN: Handler = |app, caller, params| Box::pin(assign(app, caller, params));
const TRAIT: Handler = |app, caller, params| Box::pin(note_trait(app, caller, params));
const CONTACT: Handler = |app, caller, params| Box::pin(contact(app, caller, params));
const PLAN: Handler = |app, caller, params| Box::pin(plan(app, caller, params));
const REWARD: Handler = |app, caller, params| Box::pin(reward(app, caller, params));

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation::view(
        "customers.list",
        "/v1/customers",
        &["search", "tier", "owner", "team", "sort", "limit", "cursor"],
        LIST,
    ),
    Operation::view("customers.get", "/v1/customers/{id}", &["id"], GET),
    Operation::command(
        "customers.merge",
        "/v1/customers/{id}/merge",
        Scope::CustomerWrite,
        Body::Data,
        &["id", "absorbed", "reason", "evidence"],
        MERGE,
    ),
    Operation::command(
        "customers.unmerge",
        "/v1/customers/{id}/unmerge",
        Scope::CustomerWrite,
        Body::Data,
        &["id", "merge", "reason"],
        UNMERGE,
    ),
    Operation::command(
        "customers.assign",
        "/v1/customers/{id}/assign",
        Scope::CustomerWrite,
        Body::Data,
        &["id", "owner", "team", "brief"],
        ASSIGN,
    ),
    Operation::command(
        "customers.trait",
        "/v1/customers/{id}/traits",
        Scope::CustomerWrite,
        Body::Data,
        &["id", "trait", "value", "polarity", "confidence", "forget", "expires_at"],
        TRAIT,
    ),
    Operation::command(
        "customers.contact",
        "/v1/customers/{id}/contacts",
        Scope::InteractionWrite,
        Body::Data,
        &["id", "action", "channel", "time"],
        CONTACT,
    ),
    Operation::command(
        "customers.plan",
        "/v1/customers/{id}/plans",
        Scope::InteractionWrite,
        Body::Data,
        &["id", "at", "owner", "purpose", "plan", "cancelled"],
        PLAN,
    ),
    Operation::command(
        "customers.reward",
        "/v1/customers/{id}/rewards",
        Scope::CustomerWrite,
        Body::Data,
        &["id", "entry", "reward", "item", "value", "surprise", "reason", "of"],
        REWARD,
    ),
];

async fn list(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let list = List::new(&caller.tenant, "customers.list", params.values(), &app.log_id);
    let mut read = params.read();
    let limit = read.limit();
    let text = |it: Option<&str>| it.map(str::to_owned);
    let filter = card::Filter {
        search: text(read.text("search")),
        tier: text(read.word("tier", &["prospect", "secondary", "primary"])),
        owner: text(read.text("owner")),
        team: text(read.text("team")),
    };
    let sort = match read.word("sort", &["last_in", "last_out", "name"]) {
        Some("last_out") => Sort::LastOut,
        Some("name") => Sort::Name,
        _ => Sort::LastIn,
    };
    let cursor = read.text("cursor");
    read.done()?;
    // Who has which name can be found out by searching, and by where a name stands in an order.
    if filter.search.is_some() || sort == Sort::Name {
        caller.needs(Scope::PiiRead)?;
    }
    let (mut walk, window) = list.window(cursor, limit)?;
    let mut look = look(app, caller, &params).await?;
    walk.begin(look.snapshot.moment());
    let (log, tenant, pii) = (&app.log, caller.tenant(), caller.sees_personal());
    let snapshot = &mut look.snapshot;
    let found = card::list(snapshot, log, tenant, &filter, sort, &window, pii)
        .await
        .map_err(|error| unread(&error))?;
    let (cards, mut sides, ends) = walk.ordered(found);
    if let Some(other) = ends.other(&sides, &window) {
        let other = card::list(snapshot, log, tenant, &filter, sort, &other, pii).await;
        sides.tell(!other.map_err(|error| unread(&error))?.is_empty());
    }
    Ok(look.page(&cards, walk.cursors(&sides)))
}

async fn get(app: &App, caller: &Caller, params: Params) -> Result<Reply, Box<Problem>> {
    let customer = customer(&params)?;
    let mut look = look(app, caller, &params).await?;
    let card = full(app, &mut look, caller, &customer).await?;
    Ok(look.answer(card))
}

/// The card with everything that other read models know.
async fn full(
    app: &App,
    look: &mut Look,
    caller: &Caller,
    customer: &events::id::CustomerId,
) -> Result<Value, Box<Problem>> {
    let dossier = look.dossier(caller.tenant(), customer).await?;
    let pieces = pieces::of(&app.log, look, caller, customer, &dossier).await?;
    let card = Card::of(customer, &dossier.card, &look.policies, look.now).compose(pieces);
    Ok(card.to_json(caller.sees_personal()))
}

/// Records about a customer, and answers with their card as it is then.
async fn about_customer(
    app: &App,
    caller: &Caller,
    operation: &str,
    customer: events::id::CustomerId,
    draft: Draft,
) -> Result<Reply, Box<Problem>> {
    let draft = draft.about(Some(customer.clone()));
    let receipts = record(app, caller, operation, vec![draft]).await?;
    let position = receipts.iter().map(|it| it.position).max().unwrap_or_default();
    // What was recorded is recorded, whether or not it can be shown.
    let shown = async {
        let mut look = super::view::after(app, caller, position).await?;
        full(app, &mut look, caller, &customer).await
    };
    let card = shown.await.ok().filter(|_| caller.scopes.allow(Scope::TimelineRead));
    Ok(created(&receipts, card.map(|it| ("customer", it))))
}

/// The customer in the path, what the assistant may do, and the data that is left.
async fn begin(
    app: &App,
    caller: &Caller,
    params: &mut Params,
    act: Option<&str>,
) -> Result<events::id::CustomerId, Box<Problem>> {
    let policies = app.policies(caller.tenant()).await?;
    ai_may(caller, &policies, act)?;
    strip(params);
    let id = params.take("id");
    known_customer(app, caller, "id", id).await
}

async fn assign(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let customer = begin(app, caller, &mut params, None).await?;
    let draft = Draft::new(Kind::CustomerAssigned, params.into_data());
    about_customer(app, caller, "customers.assign", customer, draft).await
}

async fn note_trait(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let customer = begin(app, caller, &mut params, Some("trait")).await?;
    let draft = Draft::new(Kind::CustomerTraitNoted, params.into_data());
    about_customer(app, caller, "customers.trait", customer, draft).await
}

/// Kinds that a person can record about a dealing with a customer.
fn contact_kind(action: &str) -> Option<Kind> {
    let kind: Kind = format!("interaction.{action}").parse().ok()?;
    (kind.direction() != Direction::Internal || kind == Kind::InteractionNoted).then_some(kind)
}

async fn contact(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let action = params.take("action");
    let action = action.as_ref().and_then(Value::as_str).unwrap_or_default();
    let kind = contact_kind(action).ok_or_else(|| {
        let known = Kind::ALL.iter().filter(|it| contact_kind(it.action()) == Some(**it));
        let known: Vec<&str> = known.map(|it| it.action()).collect();
        let list = known.join(", ");
        invalid(
            "action",
            "type",
            format!("must be one of {list}"),
            format!("harus salah satu dari {list}"),
        )
    })?;
    // To write down what somebody said is a note; whatever goes out to a customer is an answer.
    let act = if kind.direction() == Direction::Out { "answer" } else { "note" };
    let customer = begin(app, caller, &mut params, Some(act)).await?;
    let text = |it: Option<Value>| it.and_then(|it| it.as_str().map(str::to_owned));
    let mut draft = Draft::new(kind, Map::new());
    draft.channel = text(params.take("channel"));
    draft.time = text(params.take("time"));
    draft.data = params.into_data();
    about_customer(app, caller, "customers.contact", customer, draft).await
}

async fn plan(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let customer = begin(app, caller, &mut params, Some("plan")).await?;
    let mut read = params.read();
    let cancelled = read.truth("cancelled").unwrap_or_default();
    let plan = read.text("plan").map(str::to_owned);
    let plan = if cancelled { read.required("plan", plan) } else { plan };
    read.done()?;
    let mut data = match (&plan, cancelled) {
        (Some(plan), true) => earlier_plan(app, caller, &customer, plan).await?,
        _ => Map::new(),
    };
    data.extend(params.into_data());
    let plan = plan.unwrap_or_else(|| app.ids.new_id().to_string());
    data.insert("plan".to_owned(), plan.into());
    data.insert("cancelled".to_owned(), cancelled.into());
    let draft = Draft::new(Kind::InteractionPlanned, data);
    about_customer(app, caller, "customers.plan", customer, draft).await
}

/// What a plan said when it was made; a cancellation repeats it.
async fn earlier_plan(
    app: &App,
    caller: &Caller,
    customer: &events::id::CustomerId,
    plan: &str,
) -> Result<Map<String, Value>, Box<Problem>> {
    const PAGE: usize = 500;
    let not_found = || missing("plan", "rencana", "plan");
    let stream: Stream = format!("customer/{customer}").parse().map_err(|_| not_found())?;
    let mut after = 0;
    let mut found = None;
    loop {
        let page = app
            .log
            .read_stream(caller.tenant(), &stream, after, PAGE)
            .await
            .map_err(|error| unread(&error))?;
        let planned = page.iter().filter(|it| it.kind == Kind::InteractionPlanned);
        let mut data =
            planned.filter_map(|it| serde_json::from_str::<Map<String, Value>>(&it.data).ok());
        found = data.rfind(|it| it.get("plan") == Some(&json!(plan))).or(found);
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.version,
            _ => return found.ok_or_else(not_found),
        }
    }
}

async fn reward(app: &App, caller: &Caller, mut params: Params) -> Result<Reply, Box<Problem>> {
    let customer = begin(app, caller, &mut params, Some("reward")).await?;
    let mut read = params.read();
    let entry = read.word("entry", &["grant", "redeem", "expire", "reverse"]);
    let entry = read.required("entry", entry).unwrap_or_default();
    let reward: Option<events::id::Ident> = read.parsed("reward");
    read.done()?;
    let mut look = super::view::look(app, caller, &Params::default()).await?;
    let dossier = look.dossier(caller.tenant(), &customer).await?;
    if entry == "grant" {
        fix_first(&look, &customer, &dossier)?;
    }
    let amount = params.values().get("value").and_then(|it| it.get("amount")?.as_i64());
    if matches!(entry, "redeem" | "expire")
        && let (Some(reward), Some(amount)) = (&reward, amount)
        && dossier.loyalty.balance(reward) < amount
    {
        let balance = dossier.loyalty.balance(reward);
        return Err(crate::record::refused(
            "balance",
            format!(
                "The balance of this reward is {}, which is less than {}.",
                grouped(balance, ','),
                grouped(amount, ',')
            ),
            format!(
                "Saldo hadiah ini {}, kurang dari {}.",
                grouped(balance, '.'),
                grouped(amount, '.')
            ),
        ));
    }
    let draft = Draft::new(Kind::RewardPosted, params.into_data());
    about_customer(app, caller, "customers.reward", customer, draft).await
}

/// A gift to somebody we are at fault with has to wait until that is put right.
fn fix_first(
    look: &Look,
    customer: &events::id::CustomerId,
    dossier: &projections::Dossier,
) -> Result<(), Box<Problem>> {
    let calendar = &look.policies.calendar;
    let today = calendar.local_date(look.now);
    let branch = projections::loyalty::explain::Branch::default();
    let answer = projections::loyalty::explain::answer(
        customer,
        &dossier.loyalty,
        today,
        &look.policies,
        calendar,
        branch,
        Detail::Short,
    );
    let Some(held) = answer.held.filter(|it| it.since.is_some()) else { return Ok(()) };
    let matters: Vec<Text> = held.by.iter().map(|it| matter(it)).collect();
    let list = |of: fn(&Text) -> &str| matters.iter().map(of).collect::<Vec<_>>().join(", ");
    let (en, id) = (list(|it| &it.en), list(|it| &it.id));
    let mut problem = crate::record::refused(
        "fix_first",
        format!("We are at fault with this customer: {en}. Mend that first, then give."),
        format!("Kita masih bersalah kepada pelanggan ini: {id}. Perbaiki dahulu, lalu beri."),
    );
    problem.more_members.insert("alternatives".to_owned(), json!(held.by));
    Err(problem)
}

#[cfg(test)]
mod tests {
    use events::problem::Code;

    use super::*;

    #[test]
    fn a_contact_is_any_dealing_with_a_customer_and_no_plan() {
        assert_eq!(contact_kind("contacted"), Some(Kind::InteractionContacted));
        assert_eq!(contact_kind("inquired"), Some(Kind::InteractionInquired));
        assert_eq!(contact_kind("noted"), Some(Kind::InteractionNoted));
        assert_eq!(contact_kind("planned"), None);
        assert_eq!(contact_kind("shouted"), None);
    }

    #[test]
    fn an_unknown_customer_is_told_by_one_code() {
        let mut params = Params::default();
        params.set("id", "not an id".into());
        assert_eq!(customer(&params).unwrap_err().code, Code::CustomerUnknown);
    }
}
