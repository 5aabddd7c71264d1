//! The one runner of all read models: a dense page of the log in, rows and checkpoint out, in one
//! transaction.
//!
//! Everything stands at one position. A page is folded in segments (`segment`): before the first event
//! that was recorded after a policy became effective, the policy takes hold and everybody's rows are
//! made anew; so the rows do not depend on how the log was cut into pages. Where that would take long,
//! the runner stops before it, and a generation is made in which it has happened (`activation`). A
//! customer whose event cannot be folded is parked; all others go on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use events::envelope::Recorded;
use events::id::Tenant;
use events::kind::Kind;
use events::planted::{Mistake, planted};
use jiff::Timestamp;
use store::checkpoint::{self, Checkpoint};
use store::db::{Family, Step};
use store::error::ReadError;
use store::{Db, Log, Meter, Tx, failpoint, meter, step};

use crate::addressed::any_addressed;
use crate::dossier::Holder;
use crate::dossiers::{has_more_holders, holders_after, upsert_dossiers};
use crate::policies::{Book, table as policy_table};
use crate::rows::{self, Before, Key, Touched};
use crate::voids::any_voids;
use crate::work::Work;
use crate::{agenda, parked, timeline};

pub use crate::dossiers::load_dossiers;
pub use crate::run_error::RunError;

/// Name of the checkpoint of the read models.
pub const CHECKPOINT: &str = "views";
/// Events of one page, if there are so many: a customer who is in it several times is written once.
pub const PAGE_EVENTS_MAX: usize = 8_000;
/// Data of the events of one page, beyond which no more are read.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Events that are read with one statement.
const READ_EVENTS_MAX: usize = 1_000;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The position reached.
    pub position: i64,
    /// Events folded in this step; 0 when the log's head is reached.
    pub events: usize,
    /// When each of them was recorded.
    pub recorded: Vec<Timestamp>,
    /// Nothing more is folded here: policies come into force for so many customers that a generation
    /// of its own is made for them.
    pub awaits_generation: bool,
}

/// Folds the log into one generation of read models.
#[derive(Debug)]
pub struct Runner {
    pub(crate) log: Log,
    pub(crate) db: Db,
    pub(crate) book: Book,
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
    meter: Arc<dyn Meter>,
    /// Customers whose rows are made anew within a page when a policy changes; with more of them the
    /// runner stops before it. `None`: it never stops.
    pub(crate) in_place_max: Option<usize>,
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
        *self = stored.like(self);
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
            meter: meter::silent(),
            in_place_max: None,
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

    /// Counts what it does.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = meter;
        self
    }

    /// Where its numbers go.
    pub(crate) fn meter(&self) -> &Arc<dyn Meter> {
        &self.meter
    }

    /// Stops before a change of policies that concerns more customers than this: see
    /// [`crate::activation`].
    #[must_use]
    pub fn with_in_place_max(mut self, customers: usize) -> Self {
        self.in_place_max = Some(customers);
        self
    }

    /// With the limits of another one.
    #[must_use]
    pub(crate) fn like(mut self, other: &Self) -> Self {
        self.page_events_max = other.page_events_max;
        self.in_place_max = other.in_place_max;
        self.meter = Arc::clone(&other.meter);
        self
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.at.position
    }

    /// How many events a page of its may have.
    pub(crate) fn page_max(&self) -> i64 {
        i64::try_from(self.page_events_max).unwrap_or(i64::MAX)
    }

    /// Where the log ends.
    pub(crate) async fn head(&self) -> Result<i64, ReadError> {
        self.log.head().await
    }

    /// Under which epoch it writes.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.at.epoch
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
        failpoint::pass("projections.before_page").await;
        let page = self.read_page(end).await?;
        let nothing = Progress {
            position: self.at.position,
            events: 0,
            recorded: Vec::new(),
            awaits_generation: false,
        };
        if page.is_empty() {
            return Ok(nothing);
        }
        failpoint::pass("projections.after_page").await;
        let mut tx = self.db.begin_write().await?;
        let (book, ahead) = (self.book.clone(), self.ahead);
        let folded = self.fold_page(&mut tx, &page).await;
        if planted(Mistake::CheckpointApart) {
            tx.commit().await?;
            tx = self.db.begin_write().await?;
        }
        failpoint::pass("projections.before_checkpoint").await;
        let outcome = match folded {
            Ok(folded) => self.advance(&mut tx, page.get(..folded).unwrap_or_default()).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Some(to)) => {
                tx.commit().await?;
                let events = usize::try_from(to.position - self.at.position).unwrap_or_default();
                let recorded = page.iter().take(events).map(|it| it.recorded_at).collect();
                self.at = to;
                Ok(Progress { position: self.at.position, events, recorded, ..nothing })
            }
            Ok(None) => {
                tx.rollback().await?;
                Ok(Progress { awaits_generation: true, ..nothing })
            }
            Err(error) => {
                (self.book, self.ahead) = (book, ahead);
                tx.rollback().await?;
                let mut tx = self.db.begin_write().await?;
                let stored = parked::load(&mut tx).await?;
                tx.rollback().await?;
                self.remember_parked(stored);
                Err(error)
            }
        }
    }

    /// The page that comes next: as many events as it may have, unless they are large.
    async fn read_page(&self, end: i64) -> Result<Vec<Recorded>, RunError> {
        let left = usize::try_from(end.saturating_sub(self.at.position)).unwrap_or(0);
        let wanted = left.min(self.page_events_max);
        let (mut page, mut bytes) = (Vec::new(), 0);
        while page.len() < wanted && bytes < PAGE_BYTES_MAX {
            let after = page.last().map_or(self.at.position, |it: &Recorded| it.position);
            let limit = READ_EVENTS_MAX.min(wanted - page.len());
            let more = self.log.read_after(after, limit).await?;
            let is_last = more.len() < limit;
            bytes += more.iter().map(|it| it.data.len()).sum::<usize>();
            page.extend(more);
            if is_last {
                break;
            }
        }
        Ok(page)
    }

    /// Moves the checkpoint behind events that are folded; `None` if there are none.
    pub(crate) async fn advance(
        &self,
        tx: &mut Tx,
        folded: &[Recorded],
    ) -> Result<Option<Checkpoint>, RunError> {
        let Some(last) = folded.last() else { return Ok(None) };
        let to = Checkpoint {
            position: last.position,
            event: Some(last.reference()),
            epoch: self.at.epoch,
            detail: self.at.detail.clone(),
        };
        checkpoint::advance(tx, CHECKPOINT, &self.at, &to).await?;
        Ok(Some(to))
    }

    /// Folds events in segments, and says how many: all of them, or those before a change of policies
    /// that is not made in place.
    pub(crate) async fn fold_page(
        &mut self,
        tx: &mut Tx,
        page: &[Recorded],
    ) -> Result<usize, RunError> {
        let mut rest = page;
        while let Some(first) = rest.first() {
            if self.stops_before(tx, first).await? {
                break;
            }
            self.come_into_force(tx, first).await?;
            let (segment, after) = rest.split_at(self.segment_end(rest));
            // Rows made before a policy was announced are compared with those made after it.
            let published = segment.last().filter(|it| self.book.accepts(it));
            let before = published.map(|_| self.book.clone());
            let folded = self.fold_segment(tx, segment).await?;
            if folded < segment.len() {
                (_, rest) = rest.split_at(folded);
                continue;
            }
            if let (Some(last), Some(before)) = (published, before) {
                // Tiers look ahead, so a policy that is only announced changes dates already.
                let (at, end) = (last.recorded_at, last.position);
                if !self.take_hold(tx, at, end, Some(&before)).await? {
                    self.sweep(tx, &last.tenant, &before, end, at).await?;
                }
            }
            rest = after;
        }
        Ok(page.len() - rest.len())
    }

    /// Lets policies take hold and facts from the future come true that do so before an event.
    pub(crate) async fn come_into_force(
        &mut self,
        tx: &mut Tx,
        event: &Recorded,
    ) -> Result<(), RunError> {
        let (recorded_at, end) = (event.recorded_at, event.position - 1);
        self.take_hold(tx, recorded_at, end, None).await?;
        self.arrive(tx, recorded_at, end).await
    }

    /// How many events come before policies change or a fact from the future comes true. A policy that
    /// is published is a segment of its own: the next event may already feel it.
    fn segment_end(&self, rest: &[Recorded]) -> usize {
        let published = rest.iter().position(|it| it.kind == Kind::PolicyPublished);
        let published = published.map(|it| it.max(1));
        [self.cut(rest), published].into_iter().flatten().min().unwrap_or(rest.len())
    }

    /// Whether policies change at an event for more customers than is done in place.
    async fn stops_before(&self, tx: &mut Tx, event: &Recorded) -> Result<bool, RunError> {
        let Some(max) = self.in_place_max else { return Ok(false) };
        let mut tenants: BTreeSet<&Tenant> = self.book.due(event.recorded_at).collect();
        if self.book.accepts(event) {
            tenants.insert(&event.tenant);
        }
        for tenant in tenants {
            if has_more_holders(tx, tenant, max).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets policies take hold that are effective by the time an event was recorded, and makes the
    /// rows of their tenants anew; `false` if there were none. `made_with`: what the rows were made
    /// with, if those policies are not the present ones.
    pub(crate) async fn take_hold(
        &mut self,
        tx: &mut Tx,
        recorded_at: Timestamp,
        end: i64,
        made_with: Option<&Book>,
    ) -> Result<bool, RunError> {
        if self.book.next_effective().is_none_or(|it| recorded_at < it) {
            return Ok(false);
        }
        let before = made_with.map_or_else(|| self.book.clone(), Book::clone);
        let mut tenants = BTreeSet::new();
        for (tenant, position) in self.book.advance(recorded_at) {
            policy_table::activate(tx, &tenant, position).await?;
            tenants.insert(tenant);
        }
        for tenant in &tenants {
            self.sweep(tx, tenant, &before, end, recorded_at).await?;
        }
        Ok(true)
    }

    /// Makes everybody's rows of a tenant anew, after policies changed from those `before`.
    async fn sweep(
        &mut self,
        tx: &mut Tx,
        tenant: &Tenant,
        before: &Book,
        end: i64,
        recorded_until: Timestamp,
    ) -> Result<(), RunError> {
        let mut after = String::new();
        loop {
            let holders = holders_after(tx, tenant, &after).await?;
            let Some(last) = holders.last() else { return Ok(()) };
            after = last.as_str().to_owned();
            let keys: BTreeSet<Key> = holders.into_iter().map(|it| (tenant.clone(), it)).collect();
            let mut work = Work::loaded(tx, &keys, before).await?;
            work.touched.clone_from(&keys);
            // The zone decides on which day a fact happened, so its customers are folded anew. What
            // has no customer keeps its day.
            work.dirty = keys.into_iter().filter(|it| it.1.as_customer().is_some()).collect();
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
