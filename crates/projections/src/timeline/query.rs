//! Pages of a timeline, newest first: stored rows joined with the log by position.
//!
//! Promises: an entry without `pii` has no personal and no unknown member, not even to a search;
//! a page looks at a bounded number of events and says where to go on.

use std::collections::HashMap;

use events::envelope::{Channel, Recorded};
use events::fact::Mood;
use events::id::{About, Actor, ActorKind, CustomerId, EventRef, Ident, Tenant};
use events::kind::{Direction, Kind};
use events::problem::Text;
use events::{schema, time};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use store::sql::SqlTime;
use store::{Log, ReadError, Tx, on_tx};

use super::fold::{Phase, direction_word};
use super::summary;
use crate::dossier::Holder;
use crate::views::Snapshot;

/// Rows looked at in one step where their data decides.
const STEP_ROWS: usize = 200;
/// Steps of one page: a search looks at 4,000 events and then says where it stopped.
const STEPS_MAX: usize = 20;

/// Where an entry stands: when it happened, and its position.
pub type Place = (Timestamp, i64);

/// What a page may hold. Empty lists and `None` let everything pass.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these kinds.
    pub types: Vec<Kind>,
    /// Only these topics, such as `booking`.
    pub topics: Vec<String>,
    /// Only this phase.
    pub phase: Option<Phase>,
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only this actor (`staff/dewi`) or sort of actor (`ai`).
    pub actor: Option<String>,
    /// Only this channel.
    pub channel: Option<Channel>,
    /// Only this thread, visit or booking.
    pub about: Option<About>,
    /// Only this place.
    pub venue: Option<Ident>,
    /// Happened at or after.
    pub from: Option<Timestamp>,
    /// Happened before.
    pub to: Option<Timestamp>,
    /// Only entries with this text in their data or summary, in any case of letters.
    pub search: Option<String>,
    /// Whether entries that were taken back are listed too.
    pub include_voided: bool,
    /// What we knew when this position was the newest.
    pub known_at: Option<i64>,
    /// The other way: what is newer than the place, or else from the beginning on.
    pub back: bool,
}

/// Some entries, and the place to go on before, if there may be more.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Newest first.
    pub entries: Vec<TimelineEntry>,
    /// The place of the last event looked at, the way it was read.
    pub next: Option<Place>,
}

/// One line of a timeline, as answered.
#[expect(clippy::struct_excessive_bools, reason = "each is a member of the answer")]
#[derive(Clone, Debug, Serialize)]
pub struct TimelineEntry {
    /// Place in the whole log.
    pub position: i64,
    /// The event's name.
    pub event: EventRef,
    /// Its CloudEvents type.
    pub r#type: String,
    /// When it happened.
    #[serde(serialize_with = "spelled")]
    pub occurred_at: Timestamp,
    /// When the log took it.
    #[serde(serialize_with = "spelled")]
    pub recorded_at: Timestamp,
    /// Before, during or after the dealing.
    pub phase: Phase,
    /// Who moved.
    pub direction: Direction,
    /// The way it took.
    pub channel: Option<Channel>,
    /// Who acted.
    pub actor: Actor,
    /// What sort of actor that is.
    pub actorkind: ActorKind,
    /// One sentence, without anything personal.
    pub summary: Text,
    /// The thread it belongs to.
    pub about: Option<About>,
    /// Where.
    pub venue: Option<Ident>,
    /// In which visit.
    pub visit: Option<Ident>,
    /// How the customer seemed.
    pub mood: Option<Mood>,
    /// The data as recorded, without what `masked` lists.
    pub data: Value,
    /// The id it was recorded under, if that was merged into this one.
    pub via: Option<CustomerId>,
    /// Recorded more than an hour after it happened.
    pub late: bool,
    /// From a clock that was ahead.
    pub clock_suspect: bool,
    /// Recorded after a later fact of the same customer.
    pub out_of_order: bool,
    /// History that was loaded later.
    pub imported: bool,
    /// It refers to something unknown.
    pub dangling: bool,
    /// The event that takes it back.
    pub voided_by: Option<EventRef>,
    /// Whether its personal content was destroyed.
    pub erased: bool,
    /// Pointers of the members withheld.
    pub masked: Vec<String>,
}

/// The row as both databases return it.
#[derive(Debug, FromRow)]
struct Line {
    occurred_at: SqlTime,
    position: i64,
    phase: String,
    direction: String,
    out_of_order: bool,
    dangling: bool,
    voided_by: Option<String>,
}

const PAGE_HEAD: &str = "
    SELECT occurred_at, position, phase, direction, out_of_order, dangling, voided_by
      FROM timeline
     WHERE holder = ";

/// A customer's entries before a place, at most `limit` of them, newest first. With `back` those after
/// it, and newest first all the same.
#[expect(clippy::too_many_arguments, reason = "each is one word of the question")]
pub async fn page(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    customer: &CustomerId,
    filter: &Filter,
    before: Option<Place>,
    limit: usize,
    pii: bool,
) -> Result<Page, ReadError> {
    let mut page = read(snapshot, log, tenant, customer, filter, before, limit, pii).await?;
    if filter.back {
        page.entries.reverse();
    }
    Ok(page)
}

/// Whether anything may lie past a place: one row is looked at, and not what it says.
pub async fn is_past(
    snapshot: &mut Snapshot,
    tenant: &Tenant,
    customer: &CustomerId,
    filter: &Filter,
    place: Option<Place>,
) -> Result<bool, ReadError> {
    let holder = Holder::customer(customer);
    Ok(!select(&mut snapshot.tx, tenant, &holder, filter, place, 1).await?.is_empty())
}

#[expect(clippy::too_many_arguments, reason = "each is one word of the question")]
async fn read(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    customer: &CustomerId,
    filter: &Filter,
    before: Option<Place>,
    limit: usize,
    pii: bool,
) -> Result<Page, ReadError> {
    let policies = snapshot.policies_of(tenant);
    let holder = Holder::customer(customer);
    let needle = filter.search.as_deref().map(str::to_lowercase);
    let step = if needle.is_some() || filter.known_at.is_some() { STEP_ROWS } else { limit + 1 };
    let mut page = Page { entries: Vec::new(), next: before };
    for _ in 0..STEPS_MAX {
        let lines = select(&mut snapshot.tx, tenant, &holder, filter, page.next, step).await?;
        let is_end = lines.len() < step;
        let events = events_of(log, tenant, &lines).await?;
        let voids = voids_of(log, tenant, filter, &lines).await?;
        for line in lines {
            if page.entries.len() == limit {
                return Ok(page);
            }
            let (at, position) = (line.occurred_at.0, line.position);
            page.next = Some((at, position));
            let event = events.get(&position).ok_or_else(|| corrupt("position", position))?;
            let mut entry =
                answer(line, event, customer, pii, &policies.in_force(at).calendar.zone)?;
            let is_known = |it: &EventRef| voids.as_ref().is_none_or(|known| known.contains(it));
            entry.voided_by = entry.voided_by.filter(is_known);
            let is_listed = filter.include_voided || entry.voided_by.is_none();
            if is_listed && needle.as_deref().is_none_or(|needle| mentions(&entry, needle)) {
                page.entries.push(entry);
            }
        }
        if is_end {
            page.next = None;
            return Ok(page);
        }
    }
    Ok(page)
}

/// The rows before a place that pass what a row can tell.
async fn select(
    tx: &mut Tx,
    tenant: &Tenant,
    holder: &Holder,
    filter: &Filter,
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<Line>, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // What is voided by now may not have been when the asker wants to look.
    let hides_voided = !filter.include_voided && filter.known_at.is_none();
    on_tx!(tx, conn => {
        let mut query = QueryBuilder::new(PAGE_HEAD);
        query.push_bind(holder.as_str()).push(" AND tenant = ").push_bind(tenant.as_str());
        if let Some((at, position)) = before {
            query.push(" AND (occurred_at, position) ");
            query.push(if filter.back { "> (" } else { "< (" }).push_bind(SqlTime(at));
            query.push(", ").push_bind(position).push(")");
        }
        if let Some(known_at) = filter.known_at {
            query.push(" AND position <= ").push_bind(known_at);
        }
        if hides_voided {
            query.push(" AND voided_by IS NULL");
        }
        if let Some(from) = filter.from {
            query.push(" AND occurred_at >= ").push_bind(SqlTime(from));
        }
        if let Some(to) = filter.to {
            query.push(" AND occurred_at < ").push_bind(SqlTime(to));
        }
        if let Some(about) = &filter.about {
            query.push(" AND (about = ").push_bind(about.as_str());
            match about.topic() {
                "visit" => { query.push(" OR visit = ").push_bind(about.id()); }
                "booking" => { query.push(" OR booking = ").push_bind(about.id()); }
                _ => {}
            }
            query.push(")");
        }
        for (column, wanted) in words(filter) {
            query.push(column).push_bind(wanted);
        }
        for (column, wanted) in [
            (" AND kind IN (", filter.types.iter().map(|it| it.name()).collect::<Vec<_>>()),
            (" AND topic IN (", filter.topics.iter().map(String::as_str).collect()),
        ] {
            if !wanted.is_empty() {
                query.push(column);
                let mut list = query.separated(", ");
                for it in wanted {
                    list.push_bind(it);
                }
                query.push(")");
            }
        }
        query.push(if filter.back {
            " ORDER BY occurred_at, position LIMIT "
        } else {
            " ORDER BY occurred_at DESC, position DESC LIMIT "
        });
        query.push_bind(limit);
        query.build_query_as().fetch_all(conn).await
    })
}

/// Columns that must equal a word, as far as the filter names one.
fn words(filter: &Filter) -> Vec<(&'static str, &str)> {
    let actor = filter.actor.as_deref();
    let is_sort = actor.is_some_and(|it| !it.contains('/'));
    [
        (" AND phase = ", filter.phase.map(Phase::as_str)),
        (" AND direction = ", filter.direction.map(direction_word)),
        (" AND channel = ", filter.channel.map(Channel::as_str)),
        (" AND venue = ", filter.venue.as_ref().map(Ident::as_str)),
        (" AND actorkind = ", actor.filter(|_| is_sort)),
        (" AND actor = ", actor.filter(|_| !is_sort)),
    ]
    .into_iter()
    .filter_map(|(column, wanted)| wanted.map(|it| (column, it)))
    .collect()
}

/// The events behind some rows, by position.
async fn events_of(
    log: &Log,
    tenant: &Tenant,
    lines: &[Line],
) -> Result<HashMap<i64, Recorded>, ReadError> {
    let positions: Vec<i64> = lines.iter().map(|it| it.position).collect();
    let events = log.read_positions(tenant, &positions).await?;
    Ok(events.into_iter().map(|it| (it.position, it)).collect())
}

/// With `known_at`: the voiding events that were recorded by then.
async fn voids_of(
    log: &Log,
    tenant: &Tenant,
    filter: &Filter,
    lines: &[Line],
) -> Result<Option<Vec<EventRef>>, ReadError> {
    let Some(known_at) = filter.known_at else { return Ok(None) };
    let references = lines.iter().filter_map(|it| it.voided_by.as_deref()?.parse().ok());
    let references: Vec<EventRef> = references.collect();
    let found = log.read_references(tenant, &references).await?;
    Ok(Some(found.iter().filter(|it| it.position <= known_at).map(Recorded::reference).collect()))
}

/// One entry out of its row and its event.
fn answer(
    line: Line,
    event: &Recorded,
    customer: &CustomerId,
    pii: bool,
    zone: &jiff::tz::TimeZone,
) -> Result<TimelineEntry, ReadError> {
    let at = event.position;
    let fact = event.fact().map_err(|_| corrupt("data", at))?;
    let mut data: Value = serde_json::from_str(&event.data).map_err(|_| corrupt("data", at))?;
    let masked = if pii { Vec::new() } else { mask(event, &mut data) };
    let voided_by = line.voided_by.map(|it| it.parse()).transpose();
    Ok(TimelineEntry {
        position: at,
        event: event.reference(),
        r#type: event.kind.type_name(event.schema_version),
        occurred_at: event.occurred_at,
        recorded_at: event.recorded_at,
        phase: Phase::from_word(&line.phase).ok_or_else(|| corrupt("phase", at))?,
        direction: direction(&line.direction).ok_or_else(|| corrupt("direction", at))?,
        channel: event.attributes.channel,
        actor: event.attributes.actor.clone(),
        actorkind: event.attributes.actor.kind(),
        summary: summary::summary(&fact, zone),
        about: fact.about(),
        venue: fact.venue().cloned(),
        visit: fact.visit().cloned(),
        mood: fact.mood(),
        data,
        via: event.customer.clone().filter(|it| it != customer),
        late: event.is_late(),
        clock_suspect: event.is_clock_suspect(),
        out_of_order: line.out_of_order,
        imported: event.attributes.imported,
        dangling: line.dangling,
        voided_by: voided_by.map_err(|_| corrupt("voided_by", at))?,
        erased: false,
        masked,
    })
}

/// Takes out what is about the person and what no schema knows; says which members that were.
fn mask(event: &Recorded, data: &mut Value) -> Vec<String> {
    let personal = schema::personal_pointers(event.kind).iter().map(ToString::to_string);
    let unknown = schema::unknown_fields(event.kind, event.schema_version, data);
    let mut masked = Vec::new();
    for pointer in personal.chain(unknown) {
        let (parent, name) = match pointer.rsplit_once('/') {
            Some((parent, name)) => (format!("/{parent}"), name),
            None => (String::new(), pointer.as_str()),
        };
        let name = name.replace("~1", "/").replace("~0", "~");
        let members = data.pointer_mut(&parent).and_then(Value::as_object_mut);
        if members.and_then(|it| it.remove(&name)).is_some() {
            masked.push(format!("/data/{pointer}"));
        }
    }
    masked
}

/// Whether an entry, as it is answered, has a text anywhere in its data or summary.
fn mentions(entry: &TimelineEntry, needle: &str) -> bool {
    fn has(value: &Value, needle: &str) -> bool {
        match value {
            Value::String(text) => text.to_lowercase().contains(needle),
            Value::Number(number) => number.to_string().contains(needle),
            Value::Array(list) => list.iter().any(|it| has(it, needle)),
            Value::Object(members) => members.values().any(|it| has(it, needle)),
            Value::Null | Value::Bool(_) => false,
        }
    }
    [&entry.summary.id, &entry.summary.en].iter().any(|it| it.to_lowercase().contains(needle))
        || has(&entry.data, needle)
}

fn direction(word: &str) -> Option<Direction> {
    [Direction::In, Direction::Out, Direction::Internal, Direction::Either]
        .into_iter()
        .find(|it| direction_word(*it) == word)
}

/// Instants in answers: UTC with six digits.
pub(crate) fn spelled<S: Serializer>(it: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time::spell(*it))
}

fn corrupt(column: &'static str, position: i64) -> ReadError {
    ReadError::Corrupt { table: "timeline", column, key: format!("position {position}") }
}

#[cfg(test)]
mod tests;
