//! The one runner of all read models: a dense page of the log in, rows and checkpoint out, in one
//! transaction.
//!
//! Everything stands at one position. A page is folded in segments: before the first event that was
//! recorded after a policy became effective, the policy takes hold and everybody's rows are made
//! anew; so the rows do not depend on how the log was cut into pages. A customer whose event cannot
//! be folded is parked; all others go on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::{CustomerId, EventRef, Tenant};
use events::planted::{Mistake, planted};
use jiff::Timestamp;
use store::checkpoint::{self, Checkpoint};
use store::db::{Family, Step};
use store::error::ReadError;
use store::{Db, Log, Tx, failpoint, step};

use crate::addressed::any_addressed;
use crate::dossier::Holder;
use crate::dossiers::{holders_after, upsert_dossiers};
use crate::policies::{Book, table as policy_table};
use crate::rows::{self, Before, Key, Touched};
use crate::unpark::Decoded;
use crate::voids::{any_voids, effective_voids, insert_void};
use crate::work::Work;
use crate::{agenda, parked, timeline};

pub use crate::dossiers::load_dossiers;
pub use crate::run_error::RunError;

/// Name of the checkpoint of the read models.
pub const CHECKPOINT: &str = "views";
/// Customers whose facts are read at once to be folded anew.
const REFOLDED_MAX: usize = 500;
/// Events of one page.
pub const PAGE_EVENTS_MAX: usize = 1_000;

/// All facts of some customers of a tenant that can be read.
pub(crate) type Facts = BTreeMap<CustomerId, Vec<(Recorded, Fact)>>;

/// The tables of the read models.
pub const VIEWS_STEPS: &[Step] = &[
    step!(101, "0101_views_core"),
    step!(102, "0102_views_timeline"),
    step!(103, "0103_views_card"),
    step!(104, "0104_views_loyalty"),
    step!(105, "0105_views_neglect"),
    step!(106, "0106_views_promises"),
    step!(107, "0107_views_alerts"),
    step!(108, "0108_views_addressed"),
];

/// How far one step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The position reached.
    pub position: i64,
    /// Events folded in this step; 0 when the log's head is reached.
    pub events: usize,
}

/// Folds the log into one generation of read models.
#[derive(Debug)]
pub struct Runner {
    pub(crate) log: Log,
    pub(crate) db: Db,
    book: Book,
    pub(crate) parked: HashMap<Key, Option<i64>>,
    pub(crate) skipped: HashSet<(Tenant, i64)>,
    pub(crate) has_voids: bool,
    pub(crate) has_addressed: bool,
    /// When the next fact from the future comes true.
    pub(crate) ahead: Option<Timestamp>,
    /// Customers are folded later, each at once: see `founding`.
    pub(crate) is_founding: bool,
    pub(crate) at: Checkpoint,
    page_events_max: usize,
}

impl Runner {
    /// Takes the read models of a generation over under an epoch.
    pub async fn open(log: Log, db: Db, generation: i64, epoch: i64) -> Result<Self, RunError> {
        db.migrate(Family::Views(generation), VIEWS_STEPS)
            .await
            .map_err(|error| RunError::Unavailable(sqlx::Error::Migrate(Box::new(error))))?;
        Self::take(log, db, epoch).await
    }

    /// Whether the read models still stand where the runner left them. A server that was killed may
    /// have forgotten the last commits, which nothing tells a runner that has nothing to fold.
    pub async fn is_in_place(&self) -> Result<bool, ReadError> {
        Ok(checkpoint::load(&self.db, CHECKPOINT).await? == self.at)
    }

    /// Takes them over again from what is stored, after a step of which the end is not known: its
    /// commit may have happened although the answer was lost, or have been forgotten.
    pub async fn reload(&mut self) -> Result<(), RunError> {
        let stored = Self::take(self.log.clone(), self.db.clone(), self.at.epoch).await?;
        *self = stored.with_page(self.page_events_max);
        Ok(())
    }

    async fn take(log: Log, db: Db, epoch: i64) -> Result<Self, RunError> {
        let mut tx = db.begin_write().await?;
        checkpoint::claim(&mut tx, CHECKPOINT, epoch).await?;
        let book = Book::stored(&policy_table::load(&mut tx).await?);
        let stored = parked::load(&mut tx).await?;
        let has_voids = any_voids(&mut tx).await?;
        let has_addressed = any_addressed(&mut tx).await?;
        let ahead = agenda::next_ahead(&mut tx, Timestamp::UNIX_EPOCH).await?;
        tx.commit().await?;
        let at = checkpoint::load(&db, CHECKPOINT).await?;
        let mut runner = Self {
            log,
            db,
            book,
            parked: HashMap::new(),
            skipped: HashSet::new(),
            has_voids,
            has_addressed,
            ahead,
            is_founding: false,
            at: Checkpoint { epoch, ..at },
            page_events_max: PAGE_EVENTS_MAX,
        };
        runner.remember_parked(stored);
        runner.check_log().await?;
        Ok(runner)
    }

    /// Folds pages of another size: for rebuilds, and for tests that cut the log differently.
    #[must_use]
    pub fn with_page(mut self, events: usize) -> Self {
        self.page_events_max = events.max(1);
        self
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.at.position
    }

    /// How many events a page of its may have.
    #[must_use]
    pub fn page_events_max(&self) -> usize {
        self.page_events_max
    }

    /// Whether a customer waits at the event of a position.
    #[must_use]
    pub fn is_parked_at(&self, tenant: &Tenant, holder: &Holder, position: i64) -> bool {
        self.parked.get(&(tenant.clone(), holder.clone())) == Some(&Some(position))
    }

    /// Its policies.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Its database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The event at the checkpoint is still the one that was seen there.
    async fn check_log(&self) -> Result<(), RunError> {
        if self.at.position == 0 {
            return Ok(());
        }
        let there = self.log.reference_at(self.at.position).await?;
        if there == self.at.event && there.is_some() {
            return Ok(());
        }
        Err(RunError::Rollback { position: self.at.position })
    }

    pub(crate) fn remember_parked(&mut self, stored: Vec<parked::Parked>) {
        self.parked.clear();
        self.skipped.clear();
        for it in stored {
            if it.skipped {
                self.skipped.insert((it.tenant, it.position));
            } else {
                self.parked.insert((it.tenant, it.holder), Some(it.position));
            }
        }
    }

    /// Folds one page, if there is one.
    pub async fn step(&mut self) -> Result<Progress, RunError> {
        self.step_to(i64::MAX).await
    }

    /// The same, and not past a position.
    pub async fn step_to(&mut self, end: i64) -> Result<Progress, RunError> {
        let left = usize::try_from(end.saturating_sub(self.at.position)).unwrap_or(0);
        failpoint::pass("projections.before_page").await;
        let page = self.log.read_after(self.at.position, left.min(self.page_events_max)).await?;
        let Some(last) = page.last() else {
            return Ok(Progress { position: self.at.position, events: 0 });
        };
        failpoint::pass("projections.after_page").await;
        let to = Checkpoint {
            position: last.position,
            event: Some(last.reference()),
            epoch: self.at.epoch,
            detail: None,
        };
        let mut tx = self.db.begin_write().await?;
        let (book, ahead) = (self.book.clone(), self.ahead);
        let outcome = self.fold_page(&mut tx, &page).await;
        if planted(Mistake::CheckpointApart) {
            tx.commit().await?;
            tx = self.db.begin_write().await?;
        }
        failpoint::pass("projections.before_checkpoint").await;
        let outcome = match outcome {
            Ok(()) => {
                checkpoint::advance(&mut tx, CHECKPOINT, &self.at, &to).await.map_err(Into::into)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            (self.book, self.ahead) = (book, ahead);
            tx.rollback().await?;
            let mut tx = self.db.begin_write().await?;
            let stored = parked::load(&mut tx).await?;
            tx.rollback().await?;
            self.remember_parked(stored);
            return Err(error);
        }
        tx.commit().await?;
        self.at = to;
        Ok(Progress { position: last.position, events: page.len() })
    }

    pub(crate) async fn fold_page(
        &mut self,
        tx: &mut Tx,
        page: &[Recorded],
    ) -> Result<(), RunError> {
        let mut rest = page;
        while let Some(first) = rest.first() {
            self.take_hold(tx, first.recorded_at, first.position - 1).await?;
            self.arrive(tx, first.recorded_at, first.position - 1).await?;
            let cut = self.cut(rest);
            // A policy that is published ends its segment: the next event may already feel it.
            let publishes = rest.iter().position(|it| it.kind.topic() == "policy");
            let end =
                [cut, publishes.map(|it| it + 1)].into_iter().flatten().min().unwrap_or(rest.len());
            let (segment, after) = rest.split_at(end);
            let folded = self.fold_segment(tx, segment).await?;
            if folded < segment.len() {
                (_, rest) = rest.split_at(folded);
                continue;
            }
            if let Some(last) = segment.last().filter(|it| it.kind.topic() == "policy") {
                // Tiers look ahead, so a policy that is only announced changes dates already.
                if !self.take_hold(tx, last.recorded_at, last.position).await? {
                    self.sweep(tx, &last.tenant, last.position, last.recorded_at).await?;
                }
            }
            rest = after;
        }
        Ok(())
    }

    /// Lets policies take hold that are effective by the time an event was recorded, and makes the
    /// rows of their tenants anew; `false` if there were none.
    pub(crate) async fn take_hold(
        &mut self,
        tx: &mut Tx,
        recorded_at: Timestamp,
        end: i64,
    ) -> Result<bool, RunError> {
        let taken = self.book.advance(recorded_at);
        let mut tenants = BTreeSet::new();
        for (tenant, position) in taken {
            policy_table::activate(tx, &tenant, position).await?;
            tenants.insert(tenant);
        }
        for tenant in &tenants {
            self.sweep(tx, tenant, end, recorded_at).await?;
        }
        Ok(!tenants.is_empty())
    }

    /// Folds events between which no policy changes, up to the first that cannot be folded: what
    /// its customer did before it counts, however the log was cut. Says how many it folded.
    async fn fold_segment(&mut self, tx: &mut Tx, events: &[Recorded]) -> Result<usize, RunError> {
        let mut work = Work::default();
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
        let (events, _) = events.split_at(facts.len());
        let keys: BTreeSet<Key> = events
            .iter()
            .filter_map(|it| Some((it.tenant.clone(), Holder::of(it)?)))
            .filter(|it| !self.parked.contains_key(it))
            .collect();
        work.dossiers = load_dossiers(tx, &keys).await?;
        work.known = work.dossiers.keys().cloned().collect();
        work.shown = work
            .dossiers
            .iter()
            .map(|(key, it)| (key.clone(), rows::shown(key, it, &self.book.rules(&key.0))))
            .collect();
        self.note_voids(tx, events, &mut work).await?;
        let addressed = self.address(tx, events, &facts, &mut work).await?;
        let voided = self.voided(tx, events).await?;
        for (event, fact) in events.iter().zip(&facts) {
            let Some(fact) = fact else { continue };
            let own = Holder::of(event).map(|it| (event.tenant.clone(), it));
            let others = addressed.get(&event.position).filter(|_| !self.is_founding);
            let others = others.into_iter().flatten();
            for key in own.iter().chain(others) {
                if self.parked.contains_key(key) || work.dirty.contains(key) {
                    continue;
                }
                let policies = self.book.active(&event.tenant).clone();
                work.fold(key, event, fact, voided.get(&event.reference()), &policies);
            }
        }
        if let Some(last) = events.last() {
            self.refold(tx, &mut work, last.position, last.recorded_at).await?;
        }
        self.write(tx, &work).await?;
        Ok(events.len())
    }

    /// Remembers what takes what back; the customers of what was taken back are folded anew.
    async fn note_voids(
        &mut self,
        tx: &mut Tx,
        events: &[Recorded],
        work: &mut Work,
    ) -> Result<(), RunError> {
        let mut targets: BTreeMap<Tenant, Vec<EventRef>> = BTreeMap::new();
        for event in events {
            let Some(target) = &event.attributes.voids else { continue };
            insert_void(tx, event, target).await?;
            self.has_voids = true;
            targets.entry(event.tenant.clone()).or_default().push(target.clone());
        }
        if self.is_founding {
            return Ok(());
        }
        let end = events.last().map_or(0, |it| it.position);
        for (tenant, targets) in targets {
            self.mark(tx, &tenant, targets, end, work).await?;
        }
        Ok(())
    }

    /// Which of these events are voided, and by what. What voids must itself not be voided.
    async fn voided<'a>(
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
            voided.extend(effective_voids(tx, tenant, references).await?);
        }
        Ok(voided)
    }

    /// Folds customers anew out of the log, up to a position. What is from the future waits if it
    /// lies after `recorded_until`.
    pub(crate) async fn refold(
        &mut self,
        tx: &mut Tx,
        work: &mut Work,
        end: i64,
        recorded_until: Timestamp,
    ) -> Result<(), RunError> {
        let mut by_tenant: BTreeMap<Tenant, Vec<CustomerId>> = BTreeMap::new();
        for (tenant, holder) in &work.dirty {
            // What has no customer has no order either: its facts are folded as they come.
            if let Some(customer) = holder.as_customer()
                && !self.parked.contains_key(&(tenant.clone(), holder.clone()))
            {
                by_tenant.entry(tenant.clone()).or_default().push(customer);
            }
        }
        let mut slices: Vec<(&Tenant, &[CustomerId])> = Vec::new();
        for (tenant, all) in &by_tenant {
            slices.extend(all.chunks(REFOLDED_MAX).map(|some| (tenant, some)));
        }
        for (tenant, customers) in slices {
            let wanted: Vec<&CustomerId> = customers.iter().collect();
            let facts = self.log.read_customers(tenant, &wanted, end).await?;
            let mut own: Facts = customers.iter().map(|it| (it.clone(), Vec::new())).collect();
            for event in facts {
                let Ok(fact) = event.fact() else { continue };
                if let Some(own) = event.customer.as_ref().and_then(|it| own.get_mut(it)) {
                    own.push((event, fact));
                }
            }
            self.fold_anew(tx, work, tenant, own, end, recorded_until).await?;
        }
        Ok(())
    }

    /// Folds customers of a tenant from nothing, given all their own facts up to a position.
    pub(crate) async fn fold_anew(
        &mut self,
        tx: &mut Tx,
        work: &mut Work,
        tenant: &Tenant,
        own: Facts,
        end: i64,
        recorded_until: Timestamp,
    ) -> Result<(), RunError> {
        let customers: Vec<CustomerId> = own.keys().cloned().collect();
        let improvements = self.improvements(tx, tenant, &customers, end).await?;
        let events = own.values().flatten().map(|(it, _)| it).chain(improvements.facts());
        let voided = self.voided(tx, events).await?;
        let policies = self.book.active(tenant).clone();
        for (customer, own) in &own {
            let key = (tenant.clone(), Holder::customer(customer));
            let mut own: Vec<(&Recorded, &Fact)> = own.iter().map(|it| (&it.0, &it.1)).collect();
            own.extend(improvements.of(customer, &own, &voided));
            own.retain(|(it, _)| !self.skipped.contains(&(tenant.clone(), it.position)));
            let next = work.start_over(&key, own, &voided, &policies, recorded_until);
            self.ahead = self.ahead.into_iter().chain(next).min();
        }
        Ok(())
    }

    /// Makes everybody's rows of a tenant anew, after a policy took hold.
    async fn sweep(
        &mut self,
        tx: &mut Tx,
        tenant: &Tenant,
        end: i64,
        recorded_until: Timestamp,
    ) -> Result<(), RunError> {
        let mut after = String::new();
        loop {
            let holders = holders_after(tx, tenant, &after).await?;
            let Some(last) = holders.last() else { return Ok(()) };
            after = last.as_str().to_owned();
            let keys: BTreeSet<Key> = holders.into_iter().map(|it| (tenant.clone(), it)).collect();
            let mut work = Work { dossiers: load_dossiers(tx, &keys).await?, ..Work::default() };
            work.known = keys.clone();
            work.touched = keys.clone();
            // The zone decides on which day a fact happened, so its customers are folded anew.
            work.dirty = keys;
            self.refold(tx, &mut work, end, recorded_until).await?;
            self.write(tx, &work).await?;
        }
    }

    /// Writes everything that a segment changed.
    pub(crate) async fn write(&self, tx: &mut Tx, work: &Work) -> Result<(), RunError> {
        let touched: Vec<Touched<'_>> = work
            .touched
            .iter()
            .filter_map(|key| {
                let dossier = work.dossiers.get(key)?;
                let before = match work.shown.get(key) {
                    Some(shown) => Before::Rows(shown),
                    None if work.known.contains(key) => Before::Unknown,
                    None => Before::Nothing,
                };
                Some(Touched { key, dossier, rules: self.book.rules(&key.0), before })
            })
            .collect();
        timeline::table::upsert(tx, work.timeline.values().flatten()).await?;
        upsert_dossiers(tx, &touched).await?;
        rows::replace(tx, &touched).await?;
        Ok(())
    }
}
