//! The read models of a whole log at once, customer by customer, into tables that are empty.
//!
//! A dossier is a function of the set of a customer's facts, so nobody has to be folded page by page:
//! first comes what stands apart from customers (policies, promises between colleagues, improvements,
//! and what takes what back), in the order of the log; then each customer is read and folded once, and
//! their rows are written once, in the order of the tables. What has been done is committed with the
//! rows it vouches for, so it goes on after an interruption where it was. The rows are those that
//! folding page by page gives; a rebuild compares them.

use std::collections::{BTreeMap, VecDeque};

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::{CustomerId, Tenant};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::checkpoint::{self, Checkpoint};
use store::error::ReadError;
use store::{Log, Tx};
use tokio_util::sync::CancellationToken;

use crate::dossier::Holder;
use crate::parked;
use crate::replay::Facts;
use crate::runner::{CHECKPOINT, RunError, Runner};
use crate::unpark::undecodable;
use crate::voids::insert_void;
use crate::work::Work;

/// Facts that stand apart, read at once.
const APART_MAX: usize = 1_000;
/// Customers that are counted at once.
const COUNTED_MAX: usize = 4_096;
/// Facts of the customers that are folded and committed together: enough to fill statements, and few
/// enough to lie in memory twice.
const FACTS_MAX: i64 = 8_192;

/// How far it is; kept beside the checkpoint, which stays at 0 until everything is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Founding {
    /// The position up to which everything is folded in the end.
    end: i64,
    /// Up to where is taken in what stands apart.
    apart: i64,
    /// The last customer id that was folded, if what stands apart is done.
    after: String,
    /// Facts folded so far.
    folded: i64,
}

/// Customer ids that are folded together, in their order.
struct Slice {
    customers: Vec<String>,
    facts: Vec<Recorded>,
}

impl Runner {
    /// Folds everything up to a position; `false` if it was asked to stop before. `report` is told how
    /// many facts are folded.
    ///
    /// Begun before, it goes on to the position that was its end then.
    pub async fn found(
        &mut self,
        end: i64,
        stop: &CancellationToken,
        mut report: impl FnMut(i64) + Send,
    ) -> Result<bool, RunError> {
        let stored = self.at.detail.as_deref().and_then(|it| serde_json::from_str(it).ok());
        let begin = || Founding { end, apart: 0, after: String::new(), folded: 0 };
        let mut done: Founding = stored.unwrap_or_else(begin);
        let last = self.log.read_after((done.end - 1).max(0), 1).await?;
        let Some(last) = last.first() else { return Ok(true) };
        while done.apart < done.end {
            if stop.is_cancelled() {
                return Ok(false);
            }
            done = self.found_apart(done, last.recorded_at).await?;
            report(done.folded);
        }
        let log = self.log.clone();
        let mut counted = VecDeque::new();
        let mut next = slice_after(&log, &done, &mut counted).await?;
        while let Some(slice) = next {
            if stop.is_cancelled() {
                return Ok(false);
            }
            // While these are written, the next ones are read.
            let ahead = Founding {
                after: slice.customers.last().cloned().unwrap_or_default(),
                folded: done.folded + i64::try_from(slice.facts.len()).unwrap_or_default(),
                ..done
            };
            let (written, read) = tokio::join!(
                self.found_slice(slice, &ahead, last.recorded_at),
                slice_after(&log, &ahead, &mut counted)
            );
            written?;
            next = read?;
            done = ahead;
            report(done.folded);
        }
        let mut tx = self.db.begin_write().await?;
        let to = Checkpoint {
            position: last.position,
            event: Some(last.reference()),
            epoch: self.at.epoch,
            detail: None,
        };
        checkpoint::advance(&mut tx, CHECKPOINT, &self.at, &to).await?;
        tx.commit().await?;
        self.at = to;
        Ok(true)
    }

    /// Takes in a page of what stands apart, and after the last one the policies that are in force.
    async fn found_apart(
        &mut self,
        done: Founding,
        recorded_until: Timestamp,
    ) -> Result<Founding, RunError> {
        let page = self.log.read_apart(done.apart, done.end, APART_MAX).await?;
        let is_last = page.len() < APART_MAX;
        let apart = page.last().filter(|_| !is_last).map_or(done.end, |it| it.position);
        let mut tx = self.db.begin_write().await?;
        let (takes_back, loose): (Vec<Recorded>, Vec<Recorded>) =
            page.into_iter().partition(|it| it.customer.is_some());
        for event in &takes_back {
            if let Some(target) = &event.attributes.voids {
                insert_void(&mut tx, event, target).await?;
                self.has_voids = true;
            }
        }
        self.is_founding = true;
        let folded = self.fold_apart(&mut tx, &loose, &takes_back, apart).await;
        self.is_founding = false;
        folded?;
        if is_last {
            self.take_hold(&mut tx, recorded_until, done.end, None).await?;
        }
        let loose = i64::try_from(loose.len()).unwrap_or_default();
        let done = Founding { apart, folded: done.folded + loose, ..done };
        self.keep(tx, &done).await?;
        Ok(done)
    }

    /// Folds what is about nobody, and anew what a customer's event took back of it.
    async fn fold_apart(
        &mut self,
        tx: &mut Tx,
        loose: &[Recorded],
        takes_back: &[Recorded],
        end: i64,
    ) -> Result<(), RunError> {
        self.fold_page(tx, loose).await?;
        let takes_back: Vec<&Recorded> = takes_back.iter().collect();
        let replayed = self.taken_back(tx, &takes_back, end).await?;
        self.replay(tx, replayed, end, Timestamp::MAX).await
    }

    /// Folds and writes some customers.
    async fn found_slice(
        &mut self,
        slice: Slice,
        done: &Founding,
        recorded_until: Timestamp,
    ) -> Result<(), RunError> {
        let mut tx = self.db.begin_write().await?;
        let mut work = Work::default();
        let mut own: BTreeMap<Tenant, Facts> = BTreeMap::new();
        for (key, mut facts) in by_holder(slice.facts) {
            let (tenant, customer) = key;
            facts.retain(|it| !self.skipped.contains(&(tenant.clone(), it.position)));
            let (read, broken) = readable(facts);
            // Who has nothing that can be read has no dossier.
            let facts = Some((customer.clone(), read)).filter(|it| !it.1.is_empty());
            let facts: Facts = facts.into_iter().collect();
            match broken {
                None => own.entry(tenant).or_default().extend(facts),
                // Parked where it could not go on, as if it had been folded until then.
                Some(Broken { event, error, behind }) => {
                    let (end, until) = (event.position - 1, event.recorded_at);
                    self.fold_anew(&mut tx, &mut work, &tenant, facts, end, until).await?;
                    self.park(&mut tx, &event, &undecodable(&event, &error)).await?;
                    parked::wait(&mut tx, &tenant, &Holder::customer(&customer), behind).await?;
                }
            }
        }
        for (tenant, own) in own {
            self.fold_anew(&mut tx, &mut work, &tenant, own, done.end, recorded_until).await?;
        }
        self.write(&mut tx, &work).await?;
        self.keep(tx, done).await
    }

    /// Commits with how far it is.
    async fn keep(&mut self, mut tx: Tx, done: &Founding) -> Result<(), RunError> {
        let detail = serde_json::to_string(done).expect("numbers and a text");
        let to = Checkpoint { detail: Some(detail), ..self.at.clone() };
        checkpoint::advance(&mut tx, CHECKPOINT, &self.at, &to).await?;
        tx.commit().await?;
        self.at = to;
        Ok(())
    }
}

/// Facts by whom they are about, each in the order of the log.
fn by_holder(facts: Vec<Recorded>) -> BTreeMap<(Tenant, CustomerId), Vec<Recorded>> {
    let mut found: BTreeMap<_, Vec<Recorded>> = BTreeMap::new();
    for fact in facts {
        if let Some(customer) = fact.customer.clone() {
            found.entry((fact.tenant.clone(), customer)).or_default().push(fact);
        }
    }
    for facts in found.values_mut() {
        facts.sort_by_key(|it| it.position);
    }
    found
}

/// The first event of a customer that cannot be folded, and how many wait behind it.
struct Broken {
    event: Recorded,
    error: serde_json::Error,
    behind: i64,
}

/// Facts up to the first that does not decode.
fn readable(events: Vec<Recorded>) -> (Vec<(Recorded, Fact)>, Option<Broken>) {
    let mut facts = Vec::with_capacity(events.len());
    let mut events = events.into_iter();
    while let Some(event) = events.next() {
        match event.fact() {
            Ok(fact) => facts.push((event, fact)),
            Err(error) => {
                let behind = i64::try_from(events.len()).unwrap_or(i64::MAX);
                return (facts, Some(Broken { event, error, behind }));
            }
        }
    }
    (facts, None)
}

/// The customers that come next, with all their facts; `None` after the last one.
async fn slice_after(
    log: &Log,
    done: &Founding,
    counted: &mut VecDeque<(String, i64)>,
) -> Result<Option<Slice>, ReadError> {
    if counted.is_empty() {
        counted.extend(log.count_by_customer(&done.after, done.end, COUNTED_MAX).await?);
    }
    let (mut customers, mut facts) = (Vec::new(), 0);
    while let Some((_, more)) = counted.front()
        && (customers.is_empty() || facts + more <= FACTS_MAX)
    {
        facts += more;
        customers.extend(counted.pop_front().map(|(it, _)| it));
    }
    if customers.is_empty() {
        return Ok(None);
    }
    let facts = log.read_customer_ids(&customers, done.end).await?;
    Ok(Some(Slice { customers, facts }))
}
