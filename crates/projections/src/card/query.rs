//! Cards: one in full, or a list of short ones.
//!
//! Promises: a card without `pii` has no name and no value of a trait. What other read models know
//! is left to [`Pieces`]; until it is put in, it is empty, never made up.

use std::collections::BTreeSet;

use events::fact::customer::{Consent, Party, Purpose};
use events::id::{Actor, CustomerId, Ident, Slug, Tenant};
use events::money::Money;
use events::policy::Policies;
use events::time::parse_instant;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder};
use store::sql::SqlTime;
use store::{ReadError, on_tx};

use super::fold::{Move, State};
use super::habit::{Shown, most, shown};
use super::table::key;
use crate::dossier::Holder;
use crate::runner::load_dossiers;
use crate::timeline::query::spelled;
use crate::views::Snapshot;

/// Who a customer is: the members of the answer, but for `masked` and `as_of`.
#[derive(Clone, Debug, Serialize)]
pub struct Card {
    /// The id that was asked for.
    pub customer: CustomerId,
    /// The id that answers, if that was merged.
    pub canonical_id: CustomerId,
    /// Other ids of the same customer.
    pub aliases: Vec<CustomerId>,
    /// How the customer wishes to be called. Personal.
    pub name: Option<String>,
    /// A person or an organisation.
    pub kind: Option<Party>,
    /// The language to speak with them.
    pub language: Option<String>,
    /// Who looks after them.
    pub owner: Option<Ident>,
    /// Whose team that is.
    pub team: Option<Slug>,
    /// When they last turned to us.
    pub last_in: Option<In>,
    /// When somebody of us last turned to them.
    pub last_out: Option<Out>,
    /// How often they came.
    pub visits: i64,
    /// Money they brought in the year up to today.
    pub value_12m: Money,
    /// Money they brought in all.
    pub value_total: Money,
    /// The held or confirmed booking that comes next.
    pub next_booking: Option<NextBooking>,
    /// At most seven habits and tastes, the strongest first.
    pub habits: Vec<Habit>,
    /// Needs, which do not fade.
    pub needs: Vec<Habit>,
    /// What there is to be glad about.
    pub milestones: Vec<String>,
    /// How they are best reached.
    pub preferred: Option<Preferred>,
    /// What they allowed or withdrew; null where they never said.
    pub consent: Consents,
    /// What other read models know.
    #[serde(flatten)]
    pub pieces: Pieces,
}

/// A move towards us.
#[derive(Clone, Debug, Serialize)]
pub struct In {
    /// When.
    #[serde(serialize_with = "spelled")]
    pub at: Timestamp,
    /// The type of the event.
    pub r#type: String,
}

/// A move of ours.
#[derive(Clone, Debug, Serialize)]
pub struct Out {
    /// When.
    #[serde(serialize_with = "spelled")]
    pub at: Timestamp,
    /// The type of the event.
    pub r#type: String,
    /// Who.
    pub actor: Actor,
}

/// A place that is kept for the customer.
#[derive(Clone, Debug, Serialize)]
pub struct NextBooking {
    /// The booking.
    pub booking: String,
    /// Where.
    pub venue: Ident,
    /// From when.
    #[serde(serialize_with = "spelled")]
    pub starts_at: Timestamp,
    /// Until when.
    #[serde(serialize_with = "spelled")]
    pub ends_at: Timestamp,
    /// `held` or `confirmed`.
    pub state: &'static str,
}

/// A habit or need as answered.
#[derive(Clone, Debug, Serialize)]
pub struct Habit {
    /// What it concerns.
    pub r#trait: String,
    /// What was seen. Personal.
    pub value: String,
    /// How much it counts, 0 to 100.
    pub strength: u8,
    /// The event that noted it; null where bookings show it.
    pub event: Option<events::id::EventRef>,
}

/// How a customer is best reached.
#[derive(Clone, Debug, Serialize)]
pub struct Preferred {
    /// The channel of most contacts.
    pub channel: events::envelope::Channel,
    /// The local hour of most contacts, 0 to 23.
    pub hour: Option<i8>,
}

/// Consents by purpose.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Consents {
    /// To be contacted at all.
    pub contact: Option<Consent>,
    /// To be asked how it was.
    pub survey: Option<Consent>,
    /// To be sent offers.
    pub marketing: Option<Consent>,
    /// To keep what is sensitive.
    pub sensitive: Option<Consent>,
}

/// The members that other read models fill in, as they answer them.
#[derive(Clone, Debug, Serialize)]
pub struct Pieces {
    /// `{tier, since, lapses_on, held}`.
    pub tier: Value,
    /// How many days count for the tier.
    pub qualifying_days: Value,
    /// Promises that are open.
    pub open_promises: Value,
    /// Complaints that are open.
    pub open_complaints: Value,
    /// What we owe.
    pub open_obligations: Value,
    /// What rings.
    pub alerts: Value,
    /// `{about, returns}`, if something goes back and forth.
    pub debate: Value,
    /// When they may be asked how it was.
    pub survey_next_allowed_at: Value,
    /// `{they, we, owe}`.
    pub neglect: Value,
    /// `{act, why}`.
    pub next_act: Value,
}

impl Pieces {
    /// Nothing known but the tier they were last moved to.
    #[must_use]
    pub fn with_tier(tier: &str) -> Self {
        Self {
            tier: json!({ "tier": tier, "since": null, "lapses_on": null, "held": null }),
            qualifying_days: Value::Null,
            open_promises: json!([]),
            open_complaints: json!([]),
            open_obligations: json!([]),
            alerts: json!([]),
            debate: Value::Null,
            survey_next_allowed_at: Value::Null,
            neglect: Value::Null,
            next_act: Value::Null,
        }
    }
}

impl Card {
    /// The card of a customer at an instant, with what one fold knows.
    #[must_use]
    pub fn of(customer: &CustomerId, state: &State, policies: &Policies, now: Timestamp) -> Self {
        let today = policies.calendar.local_date(now);
        let (value_12m, value_total) = state.value_at(today);
        let (habits, needs) = shown(&state.traits, &state.observed, now, today, &policies.habit);
        let consent = |it: Purpose| state.consent.get(&it).copied();
        let text = |it: &Option<Box<str>>| it.as_deref().map(str::to_owned);
        Self {
            customer: customer.clone(),
            canonical_id: customer.clone(),
            aliases: Vec::new(),
            name: text(&state.name),
            kind: state.kind,
            language: text(&state.language),
            owner: state.owner.clone(),
            team: state.team.clone(),
            last_in: state.last_in.as_ref().map(In::from),
            last_out: state.last_out.as_ref().map(Out::from),
            visits: state.visits,
            value_12m,
            value_total,
            next_booking: next_booking(state, now),
            habits: habits.into_iter().map(Habit::from).collect(),
            needs: needs.into_iter().map(Habit::from).collect(),
            milestones: state.milestones(today),
            preferred: preferred(state, policies, now),
            consent: Consents {
                contact: consent(Purpose::Contact),
                survey: consent(Purpose::Survey),
                marketing: consent(Purpose::Marketing),
                sensitive: consent(Purpose::Sensitive),
            },
            pieces: Pieces::with_tier(state.tier_name()),
        }
    }

    /// The same card with what other read models know.
    #[must_use]
    pub fn compose(self, pieces: Pieces) -> Self {
        Self { pieces, ..self }
    }

    /// The answer, with `masked`. Without `pii` names and values of traits are absent.
    #[must_use]
    pub fn to_json(&self, pii: bool) -> Value {
        let mut card = serde_json::to_value(self).expect("a card has no keys that are not text");
        let mut masked = Vec::new();
        if !pii {
            masked.extend(withhold(&mut card, "name").then(|| "/name".to_owned()));
            for list in ["habits", "needs"] {
                let items = card.get_mut(list).and_then(Value::as_array_mut);
                for (index, it) in items.into_iter().flatten().enumerate() {
                    let gone = withhold(it, "value");
                    masked.extend(gone.then(|| format!("/{list}/{index}/value")));
                }
            }
        }
        if let Some(members) = card.as_object_mut() {
            members.insert("masked".to_owned(), json!(masked));
        }
        card
    }
}

/// Takes a member out, if it holds anything.
fn withhold(object: &mut Value, name: &str) -> bool {
    let members = object.as_object_mut();
    members.and_then(|it| it.remove(name)).is_some()
}

impl From<&Move> for In {
    fn from(it: &Move) -> Self {
        Self { at: it.at, r#type: it.r#type.to_string() }
    }
}

impl From<&Move> for Out {
    fn from(it: &Move) -> Self {
        Self { at: it.at, r#type: it.r#type.to_string(), actor: it.actor.clone() }
    }
}

impl From<Shown> for Habit {
    fn from(it: Shown) -> Self {
        Self { r#trait: it.r#trait, value: it.value, strength: it.strength, event: it.event }
    }
}

fn next_booking(state: &State, now: Timestamp) -> Option<NextBooking> {
    let (booking, slot) = state.next_booking(now)?;
    Some(NextBooking {
        booking: booking.to_owned(),
        venue: slot.venue.clone(),
        starts_at: slot.starts_at,
        ends_at: slot.ends_at,
        state: if slot.is_confirmed { "confirmed" } else { "held" },
    })
}

fn preferred(state: &State, policies: &Policies, now: Timestamp) -> Option<Preferred> {
    let (channel, _) = most(&state.channels)?;
    // Hours were counted in UTC; the zone is asked on the day of the answer.
    let local = |hour: i8| {
        let day = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let at = day.at(hour, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some(policies.calendar.zone.to_datetime(at).hour())
    };
    Some(Preferred {
        channel: *channel,
        hour: most(&state.hours).and_then(|(hour, _)| local(*hour)),
    })
}

/// A customer's card at an instant; `None` if nothing was ever recorded about them.
pub async fn get(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    customer: &CustomerId,
    now: Timestamp,
) -> Result<Option<Card>, ReadError> {
    let key = (tenant.clone(), Holder::customer(customer));
    let mut found = load_dossiers(&mut snapshot.tx, &BTreeSet::from([key.clone()])).await?;
    let Some(dossier) = found.remove(&key) else { return Ok(None) };
    let policies = snapshot.policies_of(tenant).in_force(now);
    Ok(Some(Card::of(customer, &dossier.at(now).card, &policies, now)))
}

/// In which order customers are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Who turned to us last, first.
    #[default]
    LastIn,
    /// Whom we turned to last, first.
    LastOut,
    /// By name; who has none last.
    Name,
}

/// Which customers are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// How their id, a word of their name, or a mark of theirs begins. It tells who has which
    /// name, so it is for askers with `pii` only.
    pub search: Option<String>,
    /// Only this tier.
    pub tier: Option<String>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only this team's.
    pub team: Option<String>,
    /// The other way: from there, or from the end, towards the beginning.
    pub back: bool,
}

/// Where a customer stands in a list: the sort key (an instant, or the name in small letters, which
/// is personal) and the id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Place {
    /// What the list is sorted by.
    pub key: String,
    /// The customer.
    pub holder: String,
}

/// A short card and its place in the list.
pub type Placed = (Place, Value);

#[derive(Debug, FromRow)]
struct Row {
    holder: String,
    name_key: String,
    last_in_at: SqlTime,
    last_out_at: SqlTime,
    card: String,
}

const LIST_HEAD: &str = "
    SELECT holder, name_key, last_in_at, last_out_at, card
      FROM cards
     WHERE tenant = ";

/// Short cards after a place, at most `limit`, the nearest first:
/// `{customer, name, kind, language, owner, team, tier, last_in, last_out, visits, masked}`.
pub async fn list(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    filter: &Filter,
    sort: Sort,
    after: Option<&Place>,
    limit: i64,
    pii: bool,
) -> Result<Vec<Placed>, ReadError> {
    let rows = select(snapshot, tenant, filter, sort, after, limit).await?;
    let mut cards = Vec::with_capacity(rows.len());
    for row in rows {
        let mut card: Value = serde_json::from_str(&row.card).map_err(|_| ReadError::Corrupt {
            table: "cards",
            column: "card",
            key: row.holder.clone(),
        })?;
        let masked = !pii && withhold(&mut card, "name");
        if let Some(members) = card.as_object_mut() {
            let masked = if masked { json!(["/name"]) } else { json!([]) };
            members.insert("masked".to_owned(), masked);
        }
        cards.push((place(&row, sort), card));
    }
    Ok(cards)
}

fn place(row: &Row, sort: Sort) -> Place {
    let key = match sort {
        Sort::LastIn => events::time::spell(row.last_in_at.0),
        Sort::LastOut => events::time::spell(row.last_out_at.0),
        Sort::Name => row.name_key.clone(),
    };
    Place { key, holder: row.holder.clone() }
}

async fn select(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    filter: &Filter,
    sort: Sort,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    // A place that is no instant was made for another order: the list begins anew.
    let at = after.and_then(|it| parse_instant(&it.key).ok());
    let search = filter.search.as_deref().map(|it| key(it.trim()));
    on_tx!(&mut snapshot.tx, conn => {
        let mut query = QueryBuilder::new(LIST_HEAD);
        query.push_bind(tenant.as_str());
        for (column, wanted) in [
            (" AND tier = ", filter.tier.as_deref()),
            (" AND owner = ", filter.owner.as_deref()),
            (" AND team = ", filter.team.as_deref()),
        ] {
            if let Some(wanted) = wanted {
                query.push(column).push_bind(wanted);
            }
        }
        if let Some(search) = &search {
            query.push(" AND holder IN (SELECT holder FROM identifiers WHERE value_key >= ");
            query.push_bind(search.as_str()).push(" AND value_key < ");
            query.push_bind(format!("{search}{}", char::MAX)).push(" AND tenant = ");
            query.push_bind(tenant.as_str()).push(")");
        }
        match (sort, after, at) {
            (Sort::Name, Some(after), _) => {
                let past = if filter.back { " AND (name_key, holder) < (" } else { " AND (name_key, holder) > (" };
                query.push(past).push_bind(after.key.as_str());
                query.push(", ").push_bind(after.holder.as_str()).push(")");
            }
            (Sort::LastIn, Some(after), Some(at)) => {
                let past = if filter.back { " AND (last_in_at, holder) > (" } else { " AND (last_in_at, holder) < (" };
                query.push(past).push_bind(SqlTime(at));
                query.push(", ").push_bind(after.holder.as_str()).push(")");
            }
            (Sort::LastOut, Some(after), Some(at)) => {
                let past = if filter.back { " AND (last_out_at, holder) > (" } else { " AND (last_out_at, holder) < (" };
                query.push(past).push_bind(SqlTime(at));
                query.push(", ").push_bind(after.holder.as_str()).push(")");
            }
            _ => {}
        }
        query.push(match (sort, filter.back) {
            (Sort::LastIn, false) => " ORDER BY last_in_at DESC, holder DESC LIMIT ",
            (Sort::LastIn, true) => " ORDER BY last_in_at, holder LIMIT ",
            (Sort::LastOut, false) => " ORDER BY last_out_at DESC, holder DESC LIMIT ",
            (Sort::LastOut, true) => " ORDER BY last_out_at, holder LIMIT ",
            (Sort::Name, false) => " ORDER BY name_key, holder LIMIT ",
            (Sort::Name, true) => " ORDER BY name_key DESC, holder DESC LIMIT ",
        });
        query.push_bind(limit).build_query_as().persistent(false).fetch_all(conn).await
    })
}

#[cfg(test)]
mod tests;
