//! The one runner of all read models: a dense page of the log in, rows and checkpoint out, in one
//! transaction.
//!
//! Everything stands at one position. A page is folded in segments: before the first event that was
//! recorded after a policy became effective, the policy takes hold and everybody's rows are made
//! anew; so the rows do not depend on how the log was cut into pages. A customer whose event cannot
//! be folded is parked; all others go on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use events::calendar::Calendar;
use events::envelope::Recorded;
use events::fact::Fact;
use events::id::{CustomerId, EventRef, Tenant};
use events::policy::Policies;
use jiff::Timestamp;
use sqlx::QueryBuilder;
use store::checkpoint::{self, Checkpoint, MoveError};
use store::db::{Family, Step};
use store::error::ReadError;
use store::sql::ROWS_PER_STATEMENT_MAX;
use store::{Db, Log, Tx, on_tx, step};

use crate::agenda;
use crate::dossier::{Dossier, Holder};
use crate::entry::Entry;
use crate::policies::{Book, Rules, table as policy_table};
use crate::rows::Key;
use crate::{alerts, card, loyalty, neglect, parked, promises, timeline};

/// Name of the checkpoint of the read models.
pub const CHECKPOINT: &str = "views";
/// Events of one page.
pub const PAGE_EVENTS_MAX: usize = 1_000;
/// Dossiers in memory at once while everybody's rows are made anew.
pub const SWEEP_HOLDERS_MAX: usize = 500;

/// The tables of the read models.
pub const VIEWS_STEPS: &[Step] = &[
    step!(101, "0101_views_core"),
    step!(102, "0102_views_timeline"),
    step!(103, "0103_views_card"),
    step!(104, "0104_views_loyalty"),
    step!(105, "0105_views_neglect"),
    step!(106, "0106_views_promises"),
    step!(107, "0107_views_alerts"),
];

/// Why the runner stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another instance runs the read models now.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The read models do not stand where the runner left them: [`Runner::reload`], and go on.
    #[error("the database no longer holds the last commits under {0}")]
    Elsewhere(String),
    /// The database could not be asked; try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// The log could not be read.
    #[error("the log cannot be read: {0}")]
    Log(#[from] ReadError),
    /// The log is shorter than the read models, or another event stands where they left off.
    #[error(
        "log rollback: the read models stand at {position}, where the log holds another event. Run `sapa recover`."
    )]
    Rollback {
        /// Where the read models stand.
        position: i64,
    },
}

impl From<MoveError> for RunError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Fenced { name } => Self::Fenced(name),
            MoveError::Elsewhere { name } => Self::Elsewhere(name),
            MoveError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

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
    log: Log,
    db: Db,
    book: Book,
    parked: HashMap<Key, Option<i64>>,
    skipped: HashSet<(Tenant, i64)>,
    has_voids: bool,
    at: Checkpoint,
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
        tx.commit().await?;
        let at = checkpoint::load(&db, CHECKPOINT).await?;
        let mut runner = Self {
            log,
            db,
            book,
            parked: HashMap::new(),
            skipped: HashSet::new(),
            has_voids,
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

    fn remember_parked(&mut self, stored: Vec<parked::Parked>) {
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
        let page = self.log.read_after(self.at.position, self.page_events_max).await?;
        let Some(last) = page.last() else {
            return Ok(Progress { position: self.at.position, events: 0 });
        };
        let to = Checkpoint {
            position: last.position,
            event: Some(last.reference()),
            epoch: self.at.epoch,
            detail: None,
        };
        let mut tx = self.db.begin_write().await?;
        let book = self.book.clone();
        let outcome = self.fold_page(&mut tx, &page).await;
        let outcome = match outcome {
            Ok(()) => {
                checkpoint::advance(&mut tx, CHECKPOINT, &self.at, &to).await.map_err(Into::into)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            self.book = book;
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

    async fn fold_page(&mut self, tx: &mut Tx, page: &[Recorded]) -> Result<(), RunError> {
        let mut rest = page;
        while let Some(first) = rest.first() {
            self.take_hold(tx, first.recorded_at, first.position - 1).await?;
            let next = self.book.next_effective();
            let cut =
                rest.iter().skip(1).position(|it| next.is_some_and(|at| at <= it.recorded_at));
            // A policy that is published ends its segment: the next event may already feel it.
            let publishes = rest.iter().position(|it| it.kind.topic() == "policy");
            let end = [cut.map(|it| it + 1), publishes.map(|it| it + 1)]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(rest.len());
            let (segment, after) = rest.split_at(end);
            let folded = self.fold_segment(tx, segment).await?;
            if folded < segment.len() {
                (_, rest) = rest.split_at(folded);
                continue;
            }
            if let Some(last) = segment.last().filter(|it| it.kind.topic() == "policy") {
                // Tiers look ahead, so a policy that is only announced changes dates already.
                if !self.take_hold(tx, last.recorded_at, last.position).await? {
                    self.sweep(tx, &last.tenant, last.position).await?;
                }
            }
            rest = after;
        }
        Ok(())
    }

    /// Lets policies take hold that are effective by the time an event was recorded, and makes the
    /// rows of their tenants anew; `false` if there were none.
    async fn take_hold(
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
            self.sweep(tx, tenant, end).await?;
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
        self.note_voids(tx, events, &mut work).await?;
        let voided = self.voided(tx, events).await?;
        for (event, fact) in events.iter().zip(&facts) {
            let (Some(holder), Some(fact)) = (Holder::of(event), fact) else { continue };
            let key = (event.tenant.clone(), holder);
            if self.parked.contains_key(&key) || work.dirty.contains(&key) {
                continue;
            }
            let policies = self.book.active(&event.tenant).clone();
            work.fold(&key, event, fact, voided.get(&event.reference()), &policies);
        }
        self.refold(tx, &mut work, events).await?;
        self.write(tx, &work).await?;
        Ok(events.len())
    }

    /// The fact, if it can be folded now.
    async fn decode(&self, tx: &mut Tx, event: &Recorded) -> Result<Decoded, RunError> {
        if self.skipped.contains(&(event.tenant.clone(), event.position)) {
            return Ok(Decoded::Waits);
        }
        let holder = Holder::of(event);
        let key = holder.map(|it| (event.tenant.clone(), it));
        if let Some((tenant, holder)) = &key
            && self.parked.contains_key(&(tenant.clone(), holder.clone()))
        {
            parked::wait(tx, tenant, holder, 1).await?;
            return Ok(Decoded::Waits);
        }
        Ok(match event.fact() {
            Ok(fact) => Decoded::Fact(Box::new(fact)),
            // serde's sentence may quote a value: only its place is kept.
            Err(error) => Decoded::Broken(format!(
                "{} does not decode at column {}",
                event.kind,
                error.column()
            )),
        })
    }

    /// Parks whoever an event is about that cannot be folded.
    async fn park(&mut self, tx: &mut Tx, event: &Recorded, error: &str) -> Result<(), RunError> {
        tracing::error!(event.position = event.position, %error, "customer parked");
        if let Some(holder) = Holder::of(event) {
            let (position, at) = (event.position, event.recorded_at);
            parked::park(tx, &event.tenant, &holder, position, error, at).await?;
            self.parked.insert((event.tenant.clone(), holder), Some(position));
        }
        Ok(())
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
        for (tenant, targets) in targets {
            for fact in self.log.read_references(&tenant, &targets).await? {
                let end = events.last().map_or(0, |it| it.position);
                if let Some(holder) = Holder::of(&fact)
                    && fact.position <= end
                {
                    work.dirty.insert((tenant.clone(), holder));
                }
            }
        }
        Ok(())
    }

    /// Which of these events are voided, and by what. What voids must itself not be voided.
    async fn voided(
        &self,
        tx: &mut Tx,
        events: &[Recorded],
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

    /// Folds customers anew out of the log, up to the end of the segment.
    async fn refold(
        &mut self,
        tx: &mut Tx,
        work: &mut Work,
        events: &[Recorded],
    ) -> Result<(), RunError> {
        let Some(end) = events.last().map(|it| it.position) else { return Ok(()) };
        let mut by_tenant: BTreeMap<Tenant, Vec<CustomerId>> = BTreeMap::new();
        for (tenant, holder) in &work.dirty {
            // What has no customer has no order either: its facts are folded as they come.
            if let Some(customer) = holder.as_customer()
                && !self.parked.contains_key(&(tenant.clone(), holder.clone()))
            {
                by_tenant.entry(tenant.clone()).or_default().push(customer);
            }
        }
        for (tenant, customers) in by_tenant {
            let wanted: Vec<&CustomerId> = customers.iter().collect();
            let facts = self.log.read_customers(&tenant, &wanted, end).await?;
            let voided = self.voided(tx, &facts).await?;
            let policies = self.book.active(&tenant).clone();
            let mut own: HashMap<CustomerId, Vec<&Recorded>> = HashMap::new();
            for fact in &facts {
                if let Some(customer) = &fact.customer {
                    own.entry(customer.clone()).or_default().push(fact);
                }
            }
            for customer in &customers {
                let key = (tenant.clone(), Holder::customer(customer));
                let own = own.remove(customer).unwrap_or_default();
                let skipped =
                    |it: &&Recorded| !self.skipped.contains(&(tenant.clone(), it.position));
                let own: Vec<&Recorded> = own.into_iter().filter(skipped).collect();
                work.start_over(&key, own, &voided, &policies);
            }
        }
        Ok(())
    }

    /// Makes everybody's rows of a tenant anew, after a policy took hold.
    async fn sweep(&mut self, tx: &mut Tx, tenant: &Tenant, end: i64) -> Result<(), RunError> {
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
            let all: Vec<Recorded> = self.log.read_after(end - 1, 1).await?;
            self.refold(tx, &mut work, &all).await?;
            self.write(tx, &work).await?;
        }
    }

    /// Writes everything that a segment changed.
    async fn write(&self, tx: &mut Tx, work: &Work) -> Result<(), RunError> {
        let touched: Vec<(&Key, &Dossier, Rules<'_>)> = work
            .touched
            .iter()
            .filter_map(|key| {
                let dossier = work.dossiers.get(key)?;
                Some((key, dossier, self.book.rules(&key.0)))
            })
            .collect();
        let known: Vec<&Key> = work.touched.iter().filter(|it| work.known.contains(it)).collect();
        timeline::table::upsert(tx, &work.timeline).await?;
        upsert_dossiers(tx, &touched).await?;
        let mut clocks = Vec::new();
        let mut obligations = Vec::new();
        let mut rings = Vec::new();
        let mut appointments = Vec::new();
        for (key, dossier, rules) in &touched {
            let policies = rules.active;
            clocks.extend(
                neglect::table::clocks(&dossier.neglect, policies).into_iter().map(|it| (*key, it)),
            );
            obligations.extend(
                neglect::table::obligations(&dossier.neglect, policies)
                    .into_iter()
                    .map(|it| (*key, it)),
            );
            rings.extend(
                alerts::table::rows_of(&dossier.alerts, policies).into_iter().map(|it| (*key, it)),
            );
            appointments.extend(
                agenda::appointments(&key.0, &key.1, dossier, rules)
                    .into_iter()
                    .map(|it| (*key, it)),
            );
        }
        neglect::table::replace_clocks(tx, &known, &clocks).await?;
        neglect::table::replace_obligations(tx, &known, &obligations).await?;
        alerts::table::replace(tx, &known, &rings).await?;
        agenda::replace(tx, &known, &appointments).await?;
        card::table::write(tx, &known, &touched).await?;
        loyalty::table::write(tx, &known, &touched).await?;
        promises::table::write(tx, &known, &touched).await?;
        Ok(())
    }

    /// Tries a parked customer again; `false` if it was not parked.
    pub async fn retry(&mut self, tenant: &Tenant, holder: &Holder) -> Result<bool, RunError> {
        self.unpark(tenant, holder, false).await
    }

    /// Gives up the event that a customer is parked at; `false` if it was not parked.
    pub async fn skip(&mut self, tenant: &Tenant, holder: &Holder) -> Result<bool, RunError> {
        self.unpark(tenant, holder, true).await
    }

    async fn unpark(
        &mut self,
        tenant: &Tenant,
        holder: &Holder,
        skip: bool,
    ) -> Result<bool, RunError> {
        let key = (tenant.clone(), holder.clone());
        if !self.parked.contains_key(&key) {
            return Ok(false);
        }
        let mut tx = self.db.begin_write().await?;
        if skip {
            parked::skip(&mut tx, tenant, holder).await?;
            let stored = parked::load(&mut tx).await?;
            self.remember_parked(stored);
        }
        let facts = self.facts_of(tenant, holder).await?;
        let broken = facts.iter().find_map(|it| Some((it, it.fact().err()?)));
        let end = match &broken {
            Some((event, _)) => event.position - 1,
            None => self.at.position,
        };
        if broken.is_none() && !skip {
            parked::release(&mut tx, tenant, holder).await?;
            self.parked.remove(&key);
        }
        // Tried again in vain, the rows stay as they were.
        if skip || broken.is_none() {
            let mut work = Work::default();
            work.known.insert(key.clone());
            work.dirty.insert(key);
            let last = self.log.read_after(end - 1, 1).await?;
            self.refold(&mut tx, &mut work, &last).await?;
            self.write(&mut tx, &work).await?;
        }
        if let Some((event, error)) = broken {
            let error = format!("{} does not decode at column {}", event.kind, error.column());
            self.park(&mut tx, event, &error).await?;
            if skip {
                let behind = facts.iter().filter(|it| event.position < it.position).count();
                let behind = i64::try_from(behind).unwrap_or(i64::MAX);
                parked::wait(&mut tx, tenant, holder, behind).await?;
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    /// What is recorded about a customer up to here, by position, without what was given up.
    async fn facts_of(&self, tenant: &Tenant, holder: &Holder) -> Result<Vec<Recorded>, RunError> {
        let Some(customer) = holder.as_customer() else { return Ok(Vec::new()) };
        let mut facts = self.log.read_customers(tenant, &[&customer], self.at.position).await?;
        facts.retain(|it| !self.skipped.contains(&(tenant.clone(), it.position)));
        facts.sort_by_key(|it| it.position);
        Ok(facts)
    }
}

/// What can be done with an event now.
enum Decoded {
    /// It is folded.
    Fact(Box<Fact>),
    /// It was given up, or its customer is parked.
    Waits,
    /// It does not decode, and why.
    Broken(String),
}

/// What one segment changes, in memory.
#[derive(Default)]
struct Work {
    dossiers: HashMap<Key, Dossier>,
    /// Holders that have rows already.
    known: BTreeSet<Key>,
    touched: BTreeSet<Key>,
    /// To be folded anew.
    dirty: BTreeSet<Key>,
    timeline: Vec<timeline::fold::Row>,
}

impl Work {
    /// Folds one fact of one holder, if it comes in order; otherwise marks the holder.
    fn fold(
        &mut self,
        key: &Key,
        event: &Recorded,
        fact: &Fact,
        voided_by: Option<&EventRef>,
        policies: &Policies,
    ) {
        let dossier = self.dossiers.entry(key.clone()).or_default();
        let ordered = key.1.as_customer().is_none() || dossier.is_in_order(event);
        if !ordered {
            self.dirty.insert(key.clone());
            return;
        }
        let entry = Entry { event, fact, day: policies.calendar.local_date(event.occurred_at) };
        if key.1.as_customer().is_some() {
            let row = timeline::fold::row(
                &dossier.timeline,
                &key.1,
                &entry,
                policies,
                false,
                voided_by.cloned(),
            );
            self.timeline.push(row);
        }
        if voided_by.is_none() {
            dossier.apply(&entry);
        }
        self.touched.insert(key.clone());
    }

    /// Folds a customer from nothing.
    fn start_over(
        &mut self,
        key: &Key,
        mut facts: Vec<&Recorded>,
        voided: &HashMap<EventRef, EventRef>,
        policies: &Policies,
    ) {
        facts.sort_by_key(|it| (it.occurred_at, it.position));
        let calendar: &Calendar = &policies.calendar;
        let mut dossier = Dossier::default();
        let mut rows = Vec::with_capacity(facts.len());
        // Out of order: something that happened later was recorded before.
        let mut least = i64::MAX;
        let mut overtaken: Vec<bool> = facts
            .iter()
            .rev()
            .map(|it| {
                let overtaken = least < it.position;
                // What was taken back overtakes nothing, as when it is folded one by one.
                if !voided.contains_key(&it.reference()) {
                    least = least.min(it.position);
                }
                overtaken
            })
            .collect();
        overtaken.reverse();
        for (event, out_of_order) in facts.into_iter().zip(overtaken) {
            let Ok(fact) = event.fact() else { continue };
            let voided_by = voided.get(&event.reference());
            let entry = Entry { event, fact: &fact, day: calendar.local_date(event.occurred_at) };
            rows.push(timeline::fold::row(
                &dossier.timeline,
                &key.1,
                &entry,
                policies,
                out_of_order,
                voided_by.cloned(),
            ));
            if voided_by.is_none() {
                dossier.apply(&entry);
            }
        }
        // The rows of this segment, if any were made before the holder was marked, are in here too.
        let own = key.1.clone();
        self.timeline.retain(|it| it.holder != own || it.tenant != key.0);
        self.timeline.extend(rows);
        self.dossiers.insert(key.clone(), dossier);
        self.touched.insert(key.clone());
    }
}

const LOAD_HEAD: &str = "SELECT holder, tenant, dossier FROM dossiers WHERE (holder, tenant) IN (";

/// The dossiers of some holders; who has none is left out.
pub async fn load_dossiers(
    tx: &mut Tx,
    keys: &BTreeSet<Key>,
) -> Result<HashMap<Key, Dossier>, ReadError> {
    let keys: Vec<&Key> = keys.iter().collect();
    let mut found = HashMap::new();
    for chunk in keys.chunks(ROWS_PER_STATEMENT_MAX) {
        let stored: Vec<(String, String, String)> = on_tx!(tx, conn => {
            let mut query = QueryBuilder::new(LOAD_HEAD);
            query.push_values(chunk, |mut row, (tenant, holder)| {
                row.push_bind(holder.as_str()).push_bind(tenant.as_str());
            });
            query.push(")");
            query.build_query_as().persistent(false).fetch_all(conn).await?
        });
        for (holder, tenant, text) in stored {
            let corrupt =
                |column| ReadError::Corrupt { table: "dossiers", column, key: holder.clone() };
            let dossier = serde_json::from_str(&text).map_err(|_| corrupt("dossier"))?;
            let tenant = tenant.parse().map_err(|_| corrupt("tenant"))?;
            found.insert((tenant, Holder::stored(&holder)), dossier);
        }
    }
    Ok(found)
}

const UPSERT_HEAD: &str = "INSERT INTO dossiers (holder, tenant, dossier) ";
const UPSERT_TAIL: &str = " ON CONFLICT (holder, tenant) DO UPDATE SET dossier = excluded.dossier";

async fn upsert_dossiers(
    tx: &mut Tx,
    touched: &[(&Key, &Dossier, Rules<'_>)],
) -> Result<(), sqlx::Error> {
    for chunk in touched.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(UPSERT_HEAD)
                .push_values(chunk, |mut row, ((tenant, holder), dossier, _)| {
                    let text = serde_json::to_string(dossier).expect("folds keep plain data");
                    row.push_bind(holder.as_str()).push_bind(tenant.as_str()).push_bind(text);
                })
                .push(UPSERT_TAIL)
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}

const HOLDERS_AFTER: &str = "
    SELECT holder
      FROM dossiers
     WHERE tenant = $1
       AND holder > $2
     ORDER BY holder
     LIMIT $3";

async fn holders_after(
    tx: &mut Tx,
    tenant: &Tenant,
    after: &str,
) -> Result<Vec<Holder>, ReadError> {
    let limit = i64::try_from(SWEEP_HOLDERS_MAX).unwrap_or(i64::MAX);
    let found: Vec<(String,)> = on_tx!(tx, conn => {
        sqlx::query_as(HOLDERS_AFTER)
            .bind(tenant.as_str())
            .bind(after)
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    Ok(found.into_iter().map(|(it,)| Holder::stored(&it)).collect())
}

const ANY_VOIDS: &str = "
    SELECT count(*)
      FROM voids";

async fn any_voids(tx: &mut Tx) -> Result<bool, sqlx::Error> {
    let count: i64 = on_tx!(tx, conn => sqlx::query_scalar(ANY_VOIDS).fetch_one(conn).await?);
    Ok(0 < count)
}

const INSERT_VOID: &str = "
    INSERT INTO voids (event_id, source, tenant, by_event_id, by_source, position)
    VALUES ($1, $2, $3, $4, $5, $6)";

async fn insert_void(tx: &mut Tx, by: &Recorded, target: &EventRef) -> Result<(), sqlx::Error> {
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
const VOID_DEPTH_MAX: usize = 8;

/// What is voided among some references, and by what. A void that is itself voided does nothing.
async fn effective_voids(
    tx: &mut Tx,
    tenant: &Tenant,
    references: Vec<EventRef>,
) -> Result<HashMap<EventRef, EventRef>, ReadError> {
    let mut known: HashMap<EventRef, Vec<EventRef>> = HashMap::new();
    let mut ask = references.clone();
    for _ in 0..VOID_DEPTH_MAX {
        let mut next = Vec::new();
        for chunk in ask.chunks(ROWS_PER_STATEMENT_MAX) {
            let rows: Vec<(String, String, String, String)> = on_tx!(tx, conn => {
                let mut query = QueryBuilder::new(VOIDS_HEAD);
                query.push_values(chunk, |mut row, it| {
                    row.push_bind(it.id.as_str())
                        .push_bind(it.source.as_str())
                        .push_bind(tenant.as_str());
                });
                query.push(") ORDER BY position");
                query.build_query_as().persistent(false).fetch_all(conn).await?
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
