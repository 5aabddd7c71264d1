//! What takes what back: the table of voids, and which of them stand.
//!
//! A void that is itself voided does nothing, so chains are followed. Rows are only added; a chain
//! that is longer than anybody writes is cut, and its last void stands.

use std::collections::{HashMap, HashSet};

use events::envelope::Recorded;
use events::id::{EventRef, Tenant};
use sqlx::QueryBuilder;
use store::error::ReadError;
use store::sql::lists;
use store::{Tx, on_tx};

const ANY_VOIDS: &str = "
    SELECT count(*)
      FROM voids";

/// Whether anything was ever taken back.
pub(crate) async fn any_voids(tx: &mut Tx) -> Result<bool, sqlx::Error> {
    let count: i64 = on_tx!(tx, conn => sqlx::query_scalar(ANY_VOIDS).fetch_one(conn).await?);
    Ok(0 < count)
}

const INSERT_VOID: &str = "
    INSERT INTO voids (event_id, source, tenant, by_event_id, by_source, position)
    VALUES ($1, $2, $3, $4, $5, $6)";

/// Remembers that an event takes another one back.
pub(crate) async fn insert_void(
    tx: &mut Tx,
    by: &Recorded,
    target: &EventRef,
) -> Result<(), sqlx::Error> {
    on_tx!(tx, conn => {
        sqlx::query(INSERT_VOID)
            .bind(target.id.as_str())
            .bind(target.source.as_str())
            .bind(by.tenant.as_str())
            .bind(by.id.as_str())
            .bind(by.source.as_str())
            .bind(by.position)
            .execute(conn)
            .await?;
    });
    Ok(())
}

const VOIDS_HEAD: &str = "SELECT event_id, source, by_event_id, by_source FROM voids
    WHERE (event_id, source, tenant) IN (";

/// Chains of voids that are followed: a correction of a correction of a correction.
pub(crate) const VOID_DEPTH_MAX: usize = 8;

/// What is voided among some references up to a position, and by what. A void that is itself voided does nothing.
pub(crate) async fn effective_voids(
    tx: &mut Tx,
    tenant: &Tenant,
    references: Vec<EventRef>,
    until: i64,
) -> Result<HashMap<EventRef, EventRef>, ReadError> {
    let mut known: HashMap<EventRef, Vec<EventRef>> = HashMap::new();
    let mut ask = references.clone();
    for _ in 0..VOID_DEPTH_MAX {
        let mut next = Vec::new();
        for chunk in lists(&ask) {
            let rows: Vec<(String, String, String, String)> = on_tx!(tx, conn => {
                let mut query = QueryBuilder::new(VOIDS_HEAD);
                query.push_values(chunk, |mut row, it| {
                    row.push_bind(it.id.as_str())
                        .push_bind(it.source.as_str())
                        .push_bind(tenant.as_str());
                });
                query.push(") AND position <= ").push_bind(until).push(" ORDER BY position");
                query.build_query_as().fetch_all(conn).await?
            });
            for (id, source, by_id, by_source) in rows {
                let target = reference(&source, &id)?;
                let by = reference(&by_source, &by_id)?;
                if !known.contains_key(&by) {
                    next.push(by.clone());
                }
                known.entry(target).or_default().push(by);
            }
        }
        if next.is_empty() {
            break;
        }
        ask = next;
    }
    let voided_by = |it: &EventRef| standing(it, &known, VOID_DEPTH_MAX);
    Ok(references.into_iter().filter_map(|it| voided_by(&it).map(|by| (it, by))).collect())
}

/// What is taken back among some facts, by each other. What voids must itself not be voided.
#[must_use]
pub fn voided_among(facts: &[Recorded]) -> HashSet<EventRef> {
    let mut known: HashMap<EventRef, Vec<EventRef>> = HashMap::new();
    for it in facts {
        if let Some(target) = &it.attributes.voids {
            known.entry(target.clone()).or_default().push(it.reference());
        }
    }
    let is_voided = |it: &&EventRef| standing(it, &known, VOID_DEPTH_MAX).is_some();
    known.keys().filter(is_voided).cloned().collect()
}

/// The first void of an event that stands.
fn standing(
    event: &EventRef,
    known: &HashMap<EventRef, Vec<EventRef>>,
    depth: usize,
) -> Option<EventRef> {
    let voids = known.get(event)?;
    let stands = |by: &&EventRef| depth == 0 || standing(by, known, depth - 1).is_none();
    voids.iter().find(stands).cloned()
}

fn reference(source: &str, id: &str) -> Result<EventRef, ReadError> {
    let corrupt = || ReadError::Corrupt { table: "voids", column: "event_id", key: id.to_owned() };
    let source = source.parse().map_err(|_| corrupt())?;
    let id = id.parse().map_err(|_| corrupt())?;
    Ok(EventRef { source, id })
}
