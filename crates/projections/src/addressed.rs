//! Facts that concern customers whom they do not name: whoever is behind an improvement is to hear of
//! it (product 6.12).
//!
//! An improvement lists the events behind it. Each customer of one of those that was recorded before
//! it and stands has it folded into their dossier. Who that may be is written once, when the
//! improvement is read, and does not change after; whether an event behind it stands is asked each
//! time, so a void is as if that event had never been. No timeline shows it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::{CustomerId, EventRef, Tenant};
use events::kind::Kind;
use sqlx::QueryBuilder;
use store::error::ReadError;
use store::sql::{ROWS_PER_STATEMENT_MAX, lists};
use store::{Log, Tx, on_tx};

use crate::dossier::Holder;
use crate::rows::Key;
use crate::runner::{RunError, Runner};
use crate::voids::{VOID_DEPTH_MAX, effective_voids};

const ANY_ADDRESSED: &str = "
    SELECT count(*)
      FROM addressed";

/// Whether anybody is behind an improvement.
pub(crate) async fn any_addressed(tx: &mut Tx) -> Result<bool, sqlx::Error> {
    let count: i64 = on_tx!(tx, conn => sqlx::query_scalar(ANY_ADDRESSED).fetch_one(conn).await?);
    Ok(0 < count)
}

const INSERT_HEAD: &str = "INSERT INTO addressed (holder, tenant, position) ";

async fn insert(
    tx: &mut Tx,
    tenant: &Tenant,
    rows: &[(&CustomerId, i64)],
) -> Result<(), sqlx::Error> {
    for chunk in rows.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(INSERT_HEAD)
                .push_values(chunk, |mut row, (customer, position)| {
                    row.push_bind(customer.as_str())
                        .push_bind(tenant.as_str())
                        .push_bind(*position);
                })
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}

const HOLDERS_AT: &str = "
    SELECT holder
      FROM addressed
     WHERE position = $1
       AND tenant = $2
     ORDER BY holder";

/// Whom the improvement at a position may concern.
pub(crate) async fn holders_at(
    tx: &mut Tx,
    tenant: &Tenant,
    position: i64,
) -> Result<Vec<Holder>, sqlx::Error> {
    let found: Vec<String> = on_tx!(tx, conn => {
        sqlx::query_scalar(HOLDERS_AT)
            .bind(position)
            .bind(tenant.as_str())
            .fetch_all(conn)
            .await?
    });
    Ok(found.iter().map(|it| Holder::stored(it)).collect())
}

const POSITIONS_HEAD: &str = "SELECT holder, position FROM addressed WHERE (holder, tenant) IN (";

/// The improvements that may concern some customers, up to a position.
async fn positions_of(
    tx: &mut Tx,
    tenant: &Tenant,
    customers: &[CustomerId],
    end: i64,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let mut found = Vec::new();
    for chunk in lists(customers) {
        let rows: Vec<(String, i64)> = on_tx!(tx, conn => {
            let mut query = QueryBuilder::new(POSITIONS_HEAD);
            query.push_values(chunk, |mut row, it| {
                row.push_bind(it.as_str()).push_bind(tenant.as_str());
            });
            query.push(") AND position <= ").push_bind(end);
            query.build_query_as().fetch_all(conn).await?
        });
        found.extend(rows);
    }
    Ok(found)
}

/// What an improvement rests on; nothing for any other fact.
fn because(fact: &Fact) -> &[EventRef] {
    match fact {
        Fact::ImprovementMade(it) => &it.because,
        _ => &[],
    }
}

/// The improvements that may concern some customers.
#[derive(Debug, Default)]
pub(crate) struct Improvements {
    made: Vec<(Recorded, Fact, HashSet<EventRef>)>,
    /// Places in `made`, by customer.
    of: HashMap<String, Vec<usize>>,
}

impl Improvements {
    /// Their events.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &Recorded> {
        self.made.iter().map(|(it, ..)| it)
    }

    /// Those that concern a customer: one of their facts is behind it, came before it and stands.
    pub(crate) fn of(
        &self,
        customer: &CustomerId,
        own: &[(&Recorded, &Fact)],
        voided: &HashMap<EventRef, EventRef>,
    ) -> Vec<(&Recorded, &Fact)> {
        let places = self.of.get(customer.as_str()).into_iter().flatten();
        let made = places.filter_map(|it| self.made.get(*it));
        let is_behind = |(made, _, because): &&(Recorded, Fact, HashSet<EventRef>)| {
            own.iter().filter(|(it, _)| it.position < made.position).any(|(it, _)| {
                let reference = it.reference();
                because.contains(&reference) && !voided.contains_key(&reference)
            })
        };
        made.filter(is_behind).map(|(it, fact, _)| (it, fact)).collect()
    }
}

/// The improvements that may concern some customers, up to a position.
pub(crate) async fn improvements(
    tx: &mut Tx,
    log: &Log,
    tenant: &Tenant,
    customers: &[CustomerId],
    end: i64,
) -> Result<Improvements, ReadError> {
    let mut found = Improvements::default();
    let rows = positions_of(tx, tenant, customers, end).await?;
    let positions: BTreeSet<i64> = rows.iter().map(|(_, position)| *position).collect();
    let positions: Vec<i64> = positions.into_iter().collect();
    let mut places = HashMap::new();
    for event in log.read_positions(tenant, &positions).await? {
        let Ok(fact) = event.fact() else { continue };
        let because = because(&fact).iter().cloned().collect();
        places.insert(event.position, found.made.len());
        found.made.push((event, fact, because));
    }
    for (holder, position) in rows {
        if let Some(place) = places.get(&position) {
            found.of.entry(holder).or_default().push(*place);
        }
    }
    Ok(found)
}

impl Runner {
    /// Finds out whom the improvements of a segment concern, by position.
    pub(crate) async fn address(
        &mut self,
        tx: &mut Tx,
        events: &[Recorded],
        facts: &[Option<Fact>],
    ) -> Result<HashMap<i64, Vec<Key>>, RunError> {
        let mut made: BTreeMap<Tenant, Vec<(i64, &[EventRef])>> = BTreeMap::new();
        for (event, fact) in events.iter().zip(facts) {
            let because = fact.as_ref().map_or(&[][..], because);
            if !because.is_empty() {
                made.entry(event.tenant.clone()).or_default().push((event.position, because));
            }
        }
        let mut addressed: HashMap<i64, Vec<Key>> = HashMap::new();
        for (tenant, made) in made {
            let wanted: Vec<EventRef> =
                made.iter().flat_map(|(_, because)| because.iter().cloned()).collect();
            let found = self.log.read_references(&tenant, &wanted).await?;
            let voided = effective_voids(tx, &tenant, wanted, i64::MAX).await?;
            let behind: HashMap<EventRef, (i64, &CustomerId)> = found
                .iter()
                .filter_map(|it| Some((it.reference(), (it.position, it.customer.as_ref()?))))
                .collect();
            for (position, because) in made {
                let before = |it: &&EventRef| behind.get(it).filter(|(at, _)| *at < position);
                let all: BTreeSet<&CustomerId> =
                    because.iter().filter_map(|it| Some(before(&it)?.1)).collect();
                let rows: Vec<(&CustomerId, i64)> =
                    all.into_iter().map(|it| (it, position)).collect();
                insert(tx, &tenant, &rows).await?;
                self.has_addressed |= !rows.is_empty();
                let standing: BTreeSet<&CustomerId> = because
                    .iter()
                    .filter(|it| !voided.contains_key(it))
                    .filter_map(|it| Some(before(&it)?.1))
                    .collect();
                let keys = standing.into_iter().map(|it| (tenant.clone(), Holder::customer(it)));
                addressed.insert(position, keys.collect());
            }
        }
        Ok(addressed)
    }

    /// The improvements that may concern some customers, up to a position.
    pub(crate) async fn improvements(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        customers: &[CustomerId],
        end: i64,
    ) -> Result<Improvements, RunError> {
        if !self.has_addressed {
            return Ok(Improvements::default());
        }
        Ok(improvements(tx, &self.log, tenant, customers, end).await?)
    }

    /// Marks everybody whose facts are to be read anew because these were taken back: whom they are
    /// about, whom they concern, and the same of what they had taken back themselves.
    pub(crate) async fn mark(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        mut targets: Vec<EventRef>,
        end: i64,
        marked: &mut BTreeSet<Key>,
    ) -> Result<(), ReadError> {
        for _ in 0..VOID_DEPTH_MAX {
            if targets.is_empty() {
                return Ok(());
            }
            let mut next = Vec::new();
            for fact in self.log.read_references(tenant, &targets).await? {
                if end < fact.position {
                    continue;
                }
                let mut holders: Vec<Holder> = Holder::of(&fact).into_iter().collect();
                if self.has_addressed && fact.kind == Kind::ImprovementMade {
                    holders.extend(holders_at(tx, tenant, fact.position).await?);
                }
                marked.extend(holders.into_iter().map(|it| (tenant.clone(), it)));
                next.extend(fact.attributes.voids);
            }
            targets = next;
        }
        Ok(())
    }
}
