//! Folds customers from nothing, out of the log: after a late fact, a void, a policy, or a fact from the
//! future that has come true.
//!
//! Histories are read for many customers with one statement, and only so many facts lie in memory at
//! once, or those of one customer.

use std::collections::{BTreeMap, BTreeSet};

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::{CustomerId, Stream, Tenant};
use jiff::Timestamp;
use store::Tx;

use crate::dossier::Holder;
use crate::rows::Key;
use crate::runner::{RunError, Runner};
use crate::work::Work;

/// Customers whose histories are read at once.
const CUSTOMERS_MAX: usize = 512;
/// Facts of them that lie in memory at once, if they are not those of one customer.
const FACTS_MAX: i64 = 8_192;
/// Facts of a stream that are read at once.
const STREAM_MAX: usize = 1_000;

/// All facts of some customers of a tenant that can be read.
pub(crate) type Facts = BTreeMap<CustomerId, Vec<(Recorded, Fact)>>;

impl Runner {
    /// Replays customers with everything up to a position, and writes their rows.
    pub(crate) async fn replay(
        &mut self,
        tx: &mut Tx,
        keys: impl IntoIterator<Item = Key>,
        end: i64,
        recorded_until: Timestamp,
    ) -> Result<(), RunError> {
        let keys: Vec<Key> = keys.into_iter().collect();
        for some in keys.chunks(CUSTOMERS_MAX) {
            let some: BTreeSet<Key> = some.iter().cloned().collect();
            let mut work = Work::loaded(tx, &some, &self.book).await?;
            work.dirty = some;
            self.refold(tx, &mut work, end, recorded_until).await?;
            self.write(tx, &work).await?;
        }
        Ok(())
    }

    /// Folds those who are marked anew, up to a position. What is from the future waits if it lies
    /// after `recorded_until`.
    pub(crate) async fn refold(
        &mut self,
        tx: &mut Tx,
        work: &mut Work,
        end: i64,
        recorded_until: Timestamp,
    ) -> Result<(), RunError> {
        let mut by_tenant: BTreeMap<Tenant, Vec<(CustomerId, i64)>> = BTreeMap::new();
        let mut streams: Vec<Key> = Vec::new();
        for key in work.dirty.iter().filter(|it| !self.parked.contains_key(*it)) {
            match key.1.as_customer() {
                Some(customer) => {
                    let facts = work.dossiers.get(key).map_or(0, |it| it.seen.count);
                    by_tenant.entry(key.0.clone()).or_default().push((customer, facts));
                }
                None => streams.push(key.clone()),
            }
        }
        for (tenant, customers) in &by_tenant {
            for slice in slices(customers) {
                let wanted: Vec<&CustomerId> = slice.iter().map(|(it, _)| it).collect();
                let facts = self.log.read_customers(tenant, &wanted, end).await?;
                let mut own: Facts = wanted.iter().map(|it| ((*it).clone(), Vec::new())).collect();
                for event in facts {
                    let Ok(fact) = event.fact() else { continue };
                    if let Some(own) = event.customer.as_ref().and_then(|it| own.get_mut(it)) {
                        own.push((event, fact));
                    }
                }
                self.fold_anew(tx, work, tenant, own, end, recorded_until).await?;
            }
        }
        for key in &streams {
            self.refold_stream(tx, work, key, end).await?;
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

    /// Folds a promise between colleagues and the alerts about it from nothing, in the order of the
    /// log, which is the order in which such facts are folded.
    async fn refold_stream(
        &mut self,
        tx: &mut Tx,
        work: &mut Work,
        key: &Key,
        end: i64,
    ) -> Result<(), RunError> {
        let (tenant, holder) = key;
        let alerts = work.dossiers.get(key).map(|it| it.alerts.alerts.keys());
        let alerts = alerts.into_iter().flatten().map(|it| format!("alert/{it}"));
        let streams: Vec<String> = [holder.as_str().to_owned()].into_iter().chain(alerts).collect();
        let mut own: Vec<(Recorded, Fact)> = Vec::new();
        for stream in streams.iter().filter_map(|it| it.parse::<Stream>().ok()) {
            let mut version = 0;
            loop {
                let page = self.log.read_stream(tenant, &stream, version, STREAM_MAX).await?;
                let is_last = page.len() < STREAM_MAX;
                version = page.last().map_or(version, |it| it.version);
                let wanted = |it: &Recorded| {
                    it.position <= end
                        && Holder::of(it).as_ref() == Some(holder)
                        && !self.skipped.contains(&(tenant.clone(), it.position))
                };
                for event in page.into_iter().filter(wanted) {
                    let Ok(fact) = event.fact() else { continue };
                    own.push((event, fact));
                }
                if is_last {
                    break;
                }
            }
        }
        own.sort_by_key(|(it, _)| it.position);
        let voided = self.voided(tx, own.iter().map(|(it, _)| it)).await?;
        let policies = self.book.active(tenant).clone();
        work.start_stream_over(key, &own, &voided, &policies);
        Ok(())
    }
}

/// Customers in slices whose histories are in memory at once. How many facts each has is what their
/// dossier remembers, which is near enough.
fn slices(customers: &[(CustomerId, i64)]) -> Vec<&[(CustomerId, i64)]> {
    let (mut slices, mut rest, mut facts, mut len) = (Vec::new(), customers, 0, 0);
    for (_, more) in customers {
        if 0 < len && (len == CUSTOMERS_MAX || FACTS_MAX < facts + more) {
            let (slice, after) = rest.split_at(len);
            slices.push(slice);
            (rest, facts, len) = (after, 0, 0);
        }
        facts += more;
        len += 1;
    }
    if !rest.is_empty() {
        slices.push(rest);
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_is_read_alone_and_nobody_is_left_out() {
        let counts = [1, FACTS_MAX - 1, 1, 3 * FACTS_MAX, 5];
        let customers: Vec<(CustomerId, i64)> = counts
            .iter()
            .enumerate()
            .map(|(n, count)| (format!("c-{n}").parse().unwrap(), *count))
            .collect();
        let lengths: Vec<usize> = slices(&customers).iter().map(|it| it.len()).collect();
        assert_eq!(lengths, [2, 1, 1, 1]);
        let many: Vec<(CustomerId, i64)> =
            (0..1_100).map(|n| (format!("c-{n}").parse().unwrap(), 1)).collect();
        let lengths: Vec<usize> = slices(&many).iter().map(|it| it.len()).collect();
        assert_eq!(lengths, [512, 512, 76]);
        assert!(slices(&[]).is_empty());
    }
}
