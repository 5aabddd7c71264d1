//! Customers as they stood at an earlier position of the log, folded from it.
//!
//! A dossier is a function of the set of a customer's facts, so an earlier one needs no history of its
//! own: the facts up to that position are read and folded again, with the policies that had taken hold
//! for the rows by then. What it costs is one customer's history.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::{CustomerId, EventRef, Tenant};
use events::kind::Kind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::error::ReadError;
use store::sql::SqlTime;
use store::{Log, Tx, on_tx};

use crate::addressed::{holders_at, improvements};
use crate::dossier::{Dossier, Holder};
use crate::entry::Entry;
use crate::parked;
use crate::policies::{Book, table as policy_table};
use crate::rows::Key;
use crate::views::Snapshot;
use crate::voids::{VOID_DEPTH_MAX, effective_voids};
use crate::work::Work;

/// Events of the log that are looked through at once.
const PAGE: usize = 1_000;
/// Facts of one stream that are folded.
const STREAM_MAX: usize = 10_000;

/// A moment of the read models: how far the log was folded, and with which policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The position up to which the log was folded.
    pub position: i64,
    /// The newest effective date of the policies that had taken hold for the rows.
    pub policies_until: Option<Timestamp>,
}

/// The read models at an earlier moment.
pub(crate) struct Earlier {
    moment: Moment,
    /// When the last event up to that moment was recorded.
    recorded_at: Timestamp,
    pub(crate) book: Book,
    /// Tenants for whose rows other policies have taken hold since.
    other_rules: BTreeSet<Tenant>,
    skipped: BTreeSet<(Tenant, i64)>,
}

/// Whose rows may differ between a moment and now.
pub(crate) enum Changed {
    /// These.
    Some(BTreeSet<Holder>),
    /// Anybody's: other policies have taken hold.
    Anybody,
}

impl Changed {
    /// Whether the rows of a holder may differ.
    pub(crate) fn has(&self, holder: &str) -> bool {
        match self {
            Self::Some(holders) => holders.contains(&Holder::stored(holder)),
            Self::Anybody => true,
        }
    }
}

impl Earlier {
    /// Goes back to a moment.
    pub(crate) async fn at(
        snapshot: &mut Snapshot,
        log: &Log,
        moment: Moment,
    ) -> Result<Self, ReadError> {
        let last = log.read_after((moment.position - 1).max(0), 1).await?;
        let recorded_at = last.first().map_or(Timestamp::MIN, |it| it.recorded_at);
        let mut versions = policy_table::load(&mut snapshot.tx).await?;
        let mut other_rules = BTreeSet::new();
        for it in &mut versions {
            let until = moment.policies_until.filter(|_| it.position <= moment.position);
            let was_active = until.is_some_and(|at| it.published.effective_from <= at);
            if was_active != it.active {
                other_rules.insert(it.tenant.clone());
            }
            it.active = was_active;
        }
        versions.retain(|it| it.position <= moment.position);
        let skipped = parked::load(&mut snapshot.tx).await?;
        let skipped = skipped.into_iter().filter(|it| it.skipped);
        let skipped = skipped.map(|it| (it.tenant, it.position)).collect();
        let book = Book::stored(&versions);
        Ok(Self { moment, recorded_at, book, other_rules, skipped })
    }

    /// Whose rows may differ between this moment and the snapshot.
    pub(crate) async fn changed(
        &self,
        snapshot: &mut Snapshot,
        log: &Log,
        tenant: &Tenant,
    ) -> Result<Changed, ReadError> {
        if self.other_rules.contains(tenant) {
            return Ok(Changed::Anybody);
        }
        let mut holders = arrived(&mut snapshot.tx, tenant, self.recorded_at).await?;
        // Another instance may be behind the one that gave out the first page.
        let mut after = self.moment.position.min(snapshot.position);
        let end = self.moment.position.max(snapshot.position);
        while after < end {
            let left = usize::try_from(end - after).unwrap_or(PAGE);
            let page = log.read_after(after, left.min(PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            let own: Vec<&Recorded> = page.iter().filter(|it| it.tenant == *tenant).collect();
            holders.extend(own.iter().filter_map(|it| Holder::of(it)));
            for made in own.iter().filter(|it| it.kind == Kind::ImprovementMade) {
                holders.extend(holders_at(&mut snapshot.tx, tenant, made.position).await?);
            }
            let targets = own.iter().filter_map(|it| it.attributes.voids.clone()).collect();
            holders.extend(taken_back(&mut snapshot.tx, log, tenant, targets).await?);
        }
        Ok(Changed::Some(holders))
    }

    /// The dossiers of some holders at this moment; who had none is left out.
    pub(crate) async fn dossiers(
        &self,
        snapshot: &mut Snapshot,
        log: &Log,
        tenant: &Tenant,
        holders: &[Holder],
    ) -> Result<HashMap<Key, Dossier>, ReadError> {
        let customers: Vec<CustomerId> = holders.iter().filter_map(Holder::as_customer).collect();
        let mut work = Work::default();
        self.customers(&mut snapshot.tx, log, tenant, &customers, &mut work).await?;
        let rest = holders.iter().filter(|it| it.as_customer().is_none());
        for holder in rest {
            let key = (tenant.clone(), holder.clone());
            if let Some(dossier) = self.stream(snapshot, log, &key).await? {
                work.dossiers.insert(key, dossier);
            }
        }
        Ok(work.dossiers)
    }

    async fn customers(
        &self,
        tx: &mut Tx,
        log: &Log,
        tenant: &Tenant,
        customers: &[CustomerId],
        work: &mut Work,
    ) -> Result<(), ReadError> {
        let end = self.moment.position;
        let wanted: Vec<&CustomerId> = customers.iter().collect();
        let mut own: BTreeMap<CustomerId, Vec<(Recorded, Fact)>> = BTreeMap::new();
        for event in log.read_customers(tenant, &wanted, end).await? {
            let is_skipped = self.skipped.contains(&(tenant.clone(), event.position));
            let (Some(customer), Ok(fact)) = (event.customer.clone(), event.fact()) else {
                continue;
            };
            if !is_skipped {
                own.entry(customer).or_default().push((event, fact));
            }
        }
        let known: Vec<CustomerId> = own.keys().cloned().collect();
        let improvements = improvements(tx, log, tenant, &known, end).await?;
        let events = own.values().flatten().map(|(it, _)| it).chain(improvements.facts());
        let references = events.map(Recorded::reference).collect();
        let voided = effective_voids(tx, tenant, references, end).await?;
        let policies = self.book.active(tenant).clone();
        for (customer, own) in &own {
            let key = (tenant.clone(), Holder::customer(customer));
            let mut own: Vec<(&Recorded, &Fact)> = own.iter().map(|it| (&it.0, &it.1)).collect();
            own.extend(improvements.of(customer, &own, &voided));
            work.start_over(&key, own, &voided, &policies, self.recorded_at);
        }
        Ok(())
    }

    /// A holder without a customer: its own stream and those of its alerts, as they came.
    async fn stream(
        &self,
        snapshot: &mut Snapshot,
        log: &Log,
        key: &Key,
    ) -> Result<Option<Dossier>, ReadError> {
        let (tenant, holder) = key;
        let now = snapshot.dossiers(&BTreeSet::from([key.clone()])).await?;
        let alerts = now.get(key).into_iter().flat_map(|it| it.alerts.alerts.keys());
        let streams = alerts.map(|it| format!("alert/{it}")).chain([holder.as_str().to_owned()]);
        let mut facts = Vec::new();
        for stream in streams {
            let Ok(stream) = stream.parse() else { continue };
            facts.extend(log.read_stream(tenant, &stream, 0, STREAM_MAX).await?);
        }
        facts.retain(|it| it.position <= self.moment.position);
        facts.sort_by_key(|it| it.position);
        let references: Vec<EventRef> = facts.iter().map(Recorded::reference).collect();
        let end = self.moment.position;
        let voided = effective_voids(&mut snapshot.tx, tenant, references, end).await?;
        let policies = self.book.active(tenant);
        let mut dossier = None;
        for event in facts.iter().filter(|it| !voided.contains_key(&it.reference())) {
            let Ok(fact) = event.fact() else { continue };
            let day = policies.calendar.local_date(event.occurred_at);
            let dossier = dossier.get_or_insert_with(Dossier::default);
            dossier.apply(&Entry { event, fact: &fact, day }, policies);
        }
        Ok(dossier)
    }
}

/// A customer as of a time: the facts that happened by then and that were recorded up to a position,
/// under the policies of then.
pub async fn as_of(
    snapshot: &mut Snapshot,
    log: &Log,
    tenant: &Tenant,
    customer: &CustomerId,
    at: Timestamp,
    known_at: i64,
) -> Result<Dossier, ReadError> {
    let policies = snapshot.policies_of(tenant).in_force(at);
    let known_at = known_at.min(snapshot.position);
    let mut own = Vec::new();
    for event in log.read_customers(tenant, &[customer], known_at).await? {
        if let Ok(fact) = event.fact() {
            own.push((event, fact));
        }
    }
    let tx = &mut snapshot.tx;
    let improvements =
        improvements(tx, log, tenant, std::slice::from_ref(customer), known_at).await?;
    let events = own.iter().map(|(it, _)| it).chain(improvements.facts());
    let voided =
        effective_voids(tx, tenant, events.map(Recorded::reference).collect(), known_at).await?;
    let mut facts: Vec<(&Recorded, &Fact)> = own.iter().map(|it| (&it.0, &it.1)).collect();
    facts.extend(improvements.of(customer, &facts, &voided));
    facts.retain(|(it, _)| it.occurred_at <= at);
    let key = (tenant.clone(), Holder::customer(customer));
    let mut work = Work::default();
    work.start_over(&key, facts, &voided, &policies, Timestamp::MAX);
    Ok(work.dossiers.remove(&key).unwrap_or_default())
}

/// Whom it concerns that these were taken back.
async fn taken_back(
    tx: &mut Tx,
    log: &Log,
    tenant: &Tenant,
    mut targets: Vec<EventRef>,
) -> Result<BTreeSet<Holder>, ReadError> {
    let mut holders = BTreeSet::new();
    for _ in 0..VOID_DEPTH_MAX {
        if targets.is_empty() {
            break;
        }
        let mut next = Vec::new();
        for fact in log.read_references(tenant, &targets).await? {
            holders.extend(Holder::of(&fact));
            if fact.kind == Kind::ImprovementMade {
                holders.extend(holders_at(tx, tenant, fact.position).await?);
            }
            next.extend(fact.attributes.voids);
        }
        targets = next;
    }
    Ok(holders)
}

const ARRIVED: &str = "
    SELECT holder
      FROM cards
     WHERE tenant = $1
       AND arrived_at > $2";

/// Customers of whom a fact from the future has come true since a moment.
async fn arrived(
    tx: &mut Tx,
    tenant: &Tenant,
    since: Timestamp,
) -> Result<BTreeSet<Holder>, ReadError> {
    let since = since.max(Timestamp::UNIX_EPOCH);
    let found: Vec<String> = on_tx!(tx, conn => {
        sqlx::query_scalar(ARRIVED)
            .bind(tenant.as_str())
            .bind(SqlTime(since))
            .fetch_all(conn)
            .await?
    });
    Ok(found.iter().map(|it| Holder::stored(it)).collect())
}
