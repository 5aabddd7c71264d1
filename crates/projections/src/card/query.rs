//! Cards: one in full, or a list of short ones.
//!
//! Promises: a card without `pii` has no name and no value of a trait. What other read models know
//! is left to [`Pieces`]; until it is put in, it is empty, never made up.

use std::collections::BTreeSet;

use events::fact::customer::{Consent, Party, Purpose};
use events::id::{Actor, CustomerId, Ident, Slug, Tenant};
use events::money::Money;
use events::policy::Policies;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use store::sql::SqlTime;
use store::{Log, ReadError};

use super::fold::{Move, State};
use super::habit::{Shown, shown, usual};
use super::table::CARDS;
use super::words::asked;
use crate::dossier::Holder;
use crate::listing::{Listed, Order, Part, Place, Question, Window, page};
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
    let channel = usual(&state.channels)?;
    // Hours were counted in UTC; the zone is asked on the day of the answer.
    let local = |hour: i8| {
        let day = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let at = day.at(hour, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some(policies.calendar.zone.to_datetime(at).hour())
    };
    Some(Preferred { channel: *channel, hour: usual(&state.hours).and_then(|hour| local(*hour)) })
}

/// A customer's card at an instant; `None` if nothing was ever recorded about them.
pub async fn get(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    customer: &CustomerId,
    now: Timestamp,
) -> Result<Option<Card>, ReadError> {
    let key = (tenant.clone(), Holder::customer(customer));
    let mut found = snapshot.dossiers(&BTreeSet::from([key.clone()])).await?;
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
    /// How the words of their name (in any order), their id, or a mark of theirs begin. It tells who
    /// has which name, so it is for askers with `pii` only.
    pub search: Option<String>,
    /// Only this tier.
    pub tier: Option<String>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only this team's.
    pub team: Option<String>,
}

/// A short card and its place in the list: the sort key (an instant, or the name in small letters,
/// which is personal) and the id.
pub type Placed = (Place, Value);

/// One sort order: its rows, and how they are compared.
macro_rules! sorted_by {
    ($row:ident, $order:ident, $column:literal, $kind:ty, $descending:literal, $part:expr) => {
        #[derive(Debug, FromRow)]
        struct $row {
            holder: String,
            sort_key: $kind,
            card: String,
        }

        impl Listed for $row {
            fn holder(&self) -> &str {
                &self.holder
            }

            fn apart(&self) -> [&str; 2] {
                ["", ""]
            }

            fn place(&self) -> Place {
                vec![$part(&self.sort_key), Part::Text(self.holder.clone())]
            }
        }

        impl From<$row> for (String, String) {
            fn from(it: $row) -> Self {
                (it.holder, it.card)
            }
        }

        const $order: (Order, &str) = (
            Order {
                table: &CARDS,
                columns: &[$column, "holder"],
                compared: concat!("(", $column, ", holder)"),
                sorted: [concat!($column, ", holder"), concat!($column, " DESC, holder DESC")],
                descending: $descending,
            },
            concat!("SELECT holder, ", $column, " AS sort_key, card FROM cards WHERE tenant = "),
        );
    };
}

fn instant(it: &SqlTime) -> Part {
    Part::Time(it.0)
}

fn text(it: &str) -> Part {
    Part::Text(it.to_owned())
}

sorted_by!(ByIn, LAST_IN, "last_in_at", SqlTime, true, instant);
sorted_by!(ByOut, LAST_OUT, "last_out_at", SqlTime, true, instant);
sorted_by!(ByName, NAME, "name_key", String, false, text);

/// One page of short cards:
/// `{customer, name, kind, language, owner, team, tier, last_in, last_out, visits, masked}`.
pub async fn list(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    filter: &Filter,
    sort: Sort,
    window: &Window,
    pii: bool,
) -> Result<Vec<Placed>, ReadError> {
    let rows = match sort {
        Sort::LastIn => rows::<ByIn>(snapshot, log, tenant, filter, &LAST_IN, window).await?,
        Sort::LastOut => rows::<ByOut>(snapshot, log, tenant, filter, &LAST_OUT, window).await?,
        Sort::Name => rows::<ByName>(snapshot, log, tenant, filter, &NAME, window).await?,
    };
    let mut cards = Vec::with_capacity(rows.len());
    for (place, (holder, card)) in rows {
        let corrupt = |_| ReadError::Corrupt { table: "cards", column: "card", key: holder };
        let mut card: Value = serde_json::from_str(&card).map_err(corrupt)?;
        let masked = !pii && withhold(&mut card, "name");
        if let Some(members) = card.as_object_mut() {
            let masked = if masked { json!(["/name"]) } else { json!([]) };
            members.insert("masked".to_owned(), masked);
        }
        cards.push((place, card));
    }
    Ok(cards)
}

async fn rows<R>(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    filter: &Filter,
    (order, head): &(Order, &'static str),
    window: &Window,
) -> Result<Vec<(Place, (String, String))>, ReadError>
where
    R: Listed + Send + Unpin + Into<(String, String)>,
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
{
    let mut question = Question::new(head);
    question.value(tenant.as_str());
    question.and(" AND tier = ", filter.tier.as_deref());
    question.and(" AND owner = ", filter.owner.as_deref());
    question.and(" AND team = ", filter.team.as_deref());
    for beginnings in filter.search.as_deref().map(asked).unwrap_or_default() {
        question.sql(" AND holder IN (SELECT holder FROM identifiers WHERE tenant = ");
        question.value(tenant.as_str());
        for (n, it) in beginnings.iter().enumerate() {
            question.sql(if n == 0 { " AND (" } else { " OR " }).sql("(value_key >= ");
            question.value(it.as_str()).sql(" AND value_key < ");
            question.value(format!("{it}{}", char::MAX)).sql(")");
        }
        question.sql("))");
    }
    let found: Vec<(Place, R)> = page(snapshot, log, tenant, order, window, &question).await?;
    Ok(found.into_iter().map(|(place, row)| (place, row.into())).collect())
}

#[cfg(test)]
mod tests;
