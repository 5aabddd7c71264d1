//! Folds one segment of a page: events between which no policy changes.
//!
//! A segment is read in the order of the log and folded customer by customer: what it says about one
//! customer is applied to their dossier, or replayed once together with everything before it if any of
//! it came late. Customers are taken some hundreds at a time in the order of the tables, so memory does
//! not grow with the page, and neighbouring rows are written together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::{EventRef, Tenant};
use store::Tx;

use crate::dossier::Holder;
use crate::policies::table as policy_table;
use crate::rows::Key;
use crate::runner::{RunError, Runner};
use crate::unpark::Decoded;
use crate::voids::{effective_voids, insert_void};
use crate::work::Work;

/// Customers whose dossiers and rows are in memory at once.
const CUSTOMERS_MAX: usize = 512;

/// A segment as it is folded.
struct Segment<'a> {
    events: &'a [Recorded],
    /// What each event says; nothing where it is not folded.
    facts: &'a [Option<Fact>],
    voided: HashMap<EventRef, EventRef>,
    /// Of these an earlier fact was taken back.
    replayed: BTreeSet<Key>,
}

impl Runner {
    /// Folds events between which no policy changes, up to the first that cannot be folded: what
    /// its customer did before it counts, however the log was cut. Says how many it folded.
    pub(crate) async fn fold_segment(
        &mut self,
        tx: &mut Tx,
        events: &[Recorded],
    ) -> Result<usize, RunError> {
        let facts = self.readable(tx, events).await?;
        let (events, _) = events.split_at(facts.len());
        let replayed = self.note_voids(tx, events).await?;
        let addressed = self.address(tx, events, &facts).await?;
        let voided = self.voided(tx, events).await?;
        let mut concerned: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (place, (event, _)) in
            events.iter().zip(&facts).enumerate().filter(|it| it.1.1.is_some())
        {
            let own = Holder::of(event).map(|it| (event.tenant.clone(), it));
            let others = addressed.get(&event.position).filter(|_| !self.is_founding);
            for key in own.iter().chain(others.into_iter().flatten()) {
                concerned.entry(key.clone()).or_default().push(place);
            }
        }
        for key in &replayed {
            concerned.entry(key.clone()).or_default();
        }
        concerned.retain(|key, _| !self.parked.contains_key(key));
        let segment = Segment { events, facts: &facts, voided, replayed };
        let concerned: Vec<(Key, Vec<usize>)> = concerned.into_iter().collect();
        for customers in concerned.chunks(CUSTOMERS_MAX) {
            self.fold_customers(tx, &segment, customers).await?;
        }
        Ok(events.len())
    }

    /// What the events say, up to the first that cannot be folded. If that is the very first, its
    /// customer is parked. Policies are entered as they come.
    async fn readable(
        &mut self,
        tx: &mut Tx,
        events: &[Recorded],
    ) -> Result<Vec<Option<Fact>>, RunError> {
        let mut facts: Vec<Option<Fact>> = Vec::with_capacity(events.len());
        for event in events {
            let fact = match self.decode(tx, event).await? {
                Decoded::Fact(fact) => Some(*fact),
                Decoded::Waits => None,
                Decoded::Broken(_) if !facts.is_empty() => break,
                Decoded::Broken(error) => {
                    self.park(tx, event, &error).await?;
                    None
                }
            };
            if let Some(fact) = &fact
                && let Some(version) = self.book.publish(event, fact)
            {
                policy_table::insert(tx, &version).await?;
            }
            facts.push(fact);
        }
        Ok(facts)
    }

    /// Folds what a segment says about some customers, and writes their rows.
    async fn fold_customers(
        &mut self,
        tx: &mut Tx,
        segment: &Segment<'_>,
        customers: &[(Key, Vec<usize>)],
    ) -> Result<(), RunError> {
        let Some(last) = segment.events.last() else { return Ok(()) };
        let keys = customers.iter().map(|(key, _)| key.clone()).collect();
        let mut work = Work::loaded(tx, &keys, &self.book).await?;
        for (key, places) in customers {
            if segment.replayed.contains(key) {
                work.dirty.insert(key.clone());
                if key.1.as_customer().is_some() {
                    continue;
                }
                // Of a promise between colleagues the dossier says which alerts there are to be read.
            }
            let policies = self.book.active(&key.0).clone();
            for place in places {
                let (event, fact) = (segment.events.get(*place), segment.facts.get(*place));
                let (Some(event), Some(Some(fact))) = (event, fact) else { continue };
                let voided_by = segment.voided.get(&event.reference());
                if !work.fold(key, event, fact, voided_by, &policies) {
                    // All of it is replayed at once, this and what follows.
                    break;
                }
            }
        }
        self.refold(tx, &mut work, last.position, last.recorded_at).await?;
        self.write(tx, &work).await
    }

    /// Remembers what takes what back; the customers of what was taken back are replayed.
    async fn note_voids(
        &mut self,
        tx: &mut Tx,
        events: &[Recorded],
    ) -> Result<BTreeSet<Key>, RunError> {
        let voiding: Vec<&Recorded> =
            events.iter().filter(|it| it.attributes.voids.is_some()).collect();
        for event in &voiding {
            let Some(target) = &event.attributes.voids else { continue };
            insert_void(tx, event, target).await?;
            self.has_voids = true;
        }
        let end = events.last().map_or(0, |it| it.position);
        self.taken_back(tx, &voiding, end).await
    }

    /// Of whom these events take something back. Customers who are folded later are left out.
    pub(crate) async fn taken_back(
        &self,
        tx: &mut Tx,
        voiding: &[&Recorded],
        end: i64,
    ) -> Result<BTreeSet<Key>, RunError> {
        let mut targets: BTreeMap<Tenant, Vec<EventRef>> = BTreeMap::new();
        for event in voiding {
            let target = event.attributes.voids.clone();
            targets.entry(event.tenant.clone()).or_default().extend(target);
        }
        let mut found = BTreeSet::new();
        for (tenant, targets) in targets {
            self.mark(tx, &tenant, targets, end, &mut found).await?;
        }
        if self.is_founding {
            found.retain(|it| it.1.as_customer().is_none());
        }
        Ok(found)
    }

    /// Which of these events are voided, and by what. What voids must itself not be voided.
    pub(crate) async fn voided<'a>(
        &self,
        tx: &mut Tx,
        events: impl IntoIterator<Item = &'a Recorded>,
    ) -> Result<HashMap<EventRef, EventRef>, RunError> {
        if !self.has_voids {
            return Ok(HashMap::new());
        }
        let mut by_tenant: BTreeMap<&Tenant, Vec<EventRef>> = BTreeMap::new();
        for event in events {
            by_tenant.entry(&event.tenant).or_default().push(event.reference());
        }
        let mut voided = HashMap::new();
        for (tenant, references) in by_tenant {
            voided.extend(effective_voids(tx, tenant, references, i64::MAX).await?);
        }
        Ok(voided)
    }
}
