//! What one segment of the log changes for some customers, in memory: dossiers folded one fact at a
//! time, or from nothing where a fact came out of order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::calendar::Calendar;
use events::envelope::Recorded;
use events::fact::Fact;
use events::id::EventRef;
use events::policy::Policies;
use jiff::Timestamp;
use store::Tx;
use store::error::ReadError;

use crate::ahead::staged;
use crate::dossier::{Dossier, put_in_order};
use crate::dossiers::load_dossiers;
use crate::entry::Entry;
use crate::policies::Book;
use crate::rows::{self, Key, Shown};
use crate::timeline;

/// What one segment changes, in memory.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) dossiers: HashMap<Key, Dossier>,
    /// What the tables show of those that were loaded.
    pub(crate) shown: HashMap<Key, Shown>,
    /// Holders that have rows already.
    pub(crate) known: BTreeSet<Key>,
    pub(crate) touched: BTreeSet<Key>,
    /// To be folded anew.
    pub(crate) dirty: BTreeSet<Key>,
    /// Rows of timelines by holder, so that they are written side by side.
    pub(crate) timeline: BTreeMap<Key, Vec<timeline::fold::Row>>,
}

impl Work {
    /// Some holders as they stand: their dossiers, and what the tables show of them, which were made
    /// with these policies.
    pub(crate) async fn loaded(
        tx: &mut Tx,
        keys: &BTreeSet<Key>,
        book: &Book,
    ) -> Result<Self, ReadError> {
        let dossiers = load_dossiers(tx, keys).await?;
        let shown = dossiers
            .iter()
            .map(|(key, it)| (key.clone(), rows::shown(key, it, &book.rules(&key.0))))
            .collect();
        let known = dossiers.keys().cloned().collect();
        Ok(Self { dossiers, shown, known, ..Self::default() })
    }

    /// Folds one fact of one holder, if it comes in order; otherwise marks the holder, and says `false`.
    pub(crate) fn fold(
        &mut self,
        key: &Key,
        event: &Recorded,
        fact: &Fact,
        voided_by: Option<&EventRef>,
        policies: &Policies,
    ) -> bool {
        let dossier = self.dossiers.entry(key.clone()).or_default();
        let ordered = key.1.as_customer().is_none() || dossier.is_in_order(event);
        if !ordered {
            self.dirty.insert(key.clone());
            return false;
        }
        let entry = Entry { event, fact, day: policies.calendar.local_date(event.occurred_at) };
        // What only concerns a customer, and is not about them, is in no timeline.
        if event.customer.is_some() {
            let row = timeline::fold::row(
                &dossier.timeline,
                &key.1,
                &entry,
                policies,
                false,
                voided_by.cloned(),
            );
            self.timeline.entry(key.clone()).or_default().push(row);
        }
        if voided_by.is_none() {
            dossier.apply(&entry, policies);
        }
        self.touched.insert(key.clone());
        true
    }

    /// Folds what has no customer from nothing, given its facts in the order of the log.
    pub(crate) fn start_stream_over(
        &mut self,
        key: &Key,
        facts: &[(Recorded, Fact)],
        voided: &HashMap<EventRef, EventRef>,
        policies: &Policies,
    ) {
        let mut dossier = Dossier::default();
        for (event, fact) in facts.iter().filter(|it| !voided.contains_key(&it.0.reference())) {
            let day = policies.calendar.local_date(event.occurred_at);
            dossier.apply(&Entry { event, fact, day }, policies);
        }
        self.dossiers.insert(key.clone(), dossier);
        self.touched.insert(key.clone());
    }

    /// Folds a customer from nothing. Says when the next of their facts from the future comes true.
    pub(crate) fn start_over(
        &mut self,
        key: &Key,
        mut facts: Vec<(&Recorded, &Fact)>,
        voided: &HashMap<EventRef, EventRef>,
        policies: &Policies,
        recorded_until: Timestamp,
    ) -> Option<Timestamp> {
        put_in_order(&mut facts);
        let calendar: &Calendar = &policies.calendar;
        let mut dossier = Dossier::default();
        let mut rows = Vec::with_capacity(facts.len());
        let mut standing = Vec::with_capacity(facts.len());
        for ((event, fact), out_of_order) in facts.iter().zip(overtaken(&facts, voided)) {
            let voided_by = voided.get(&event.reference());
            let entry = Entry { event, fact, day: calendar.local_date(event.occurred_at) };
            if event.customer.is_some() {
                rows.push(timeline::fold::row(
                    &dossier.timeline,
                    &key.1,
                    &entry,
                    policies,
                    out_of_order,
                    voided_by.cloned(),
                ));
            }
            if voided_by.is_none() {
                dossier.apply_fact(&entry, policies);
                standing.push(entry);
            }
        }
        dossier.apply_alerts(&standing);
        // The rows of this segment, if any were made before the holder was marked, are in here too.
        self.timeline.insert(key.clone(), rows);
        let dossier = staged(&standing, dossier, policies, recorded_until);
        let next = dossier.ahead.first().map(|it| it.from);
        self.dossiers.insert(key.clone(), dossier);
        self.touched.insert(key.clone());
        next
    }
}

/// Which facts are out of order: something that happened later was recorded before. What was taken
/// back overtakes nothing, as when it is folded one by one.
fn overtaken(facts: &[(&Recorded, &Fact)], voided: &HashMap<EventRef, EventRef>) -> Vec<bool> {
    let mut overtaken = vec![false; facts.len()];
    let mut least = i64::MAX;
    let mut end = facts.len();
    for same in facts.chunk_by(|(a, _), (b, _)| a.occurred_at == b.occurred_at).rev() {
        let begin = end - same.len();
        for ((it, _), overtaken) in same.iter().zip(overtaken.iter_mut().skip(begin)) {
            *overtaken = least < it.position;
        }
        let counts = |it: &&(&Recorded, &Fact)| {
            it.0.customer.is_some() && !voided.contains_key(&it.0.reference())
        };
        least = same.iter().filter(counts).map(|(it, _)| it.position).fold(least, i64::min);
        end = begin;
    }
    overtaken
}
