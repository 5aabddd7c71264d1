//! What one segment of the log changes, in memory: dossiers folded one fact at a time, or from nothing
//! where a fact came out of order. Pure: nothing here asks the database.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::calendar::Calendar;
use events::envelope::Recorded;
use events::fact::Fact;
use events::id::EventRef;
use events::policy::Policies;
use jiff::Timestamp;

use crate::ahead::staged;
use crate::dossier::Dossier;
use crate::entry::Entry;
use crate::rows::{Key, Shown};
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
    /// Folds one fact of one holder, if it comes in order; otherwise marks the holder.
    pub(crate) fn fold(
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
            dossier.apply(&entry);
        }
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
        facts.sort_by_key(|(it, _)| (it.occurred_at, it.position));
        let calendar: &Calendar = &policies.calendar;
        let mut dossier = Dossier::default();
        let mut rows = Vec::with_capacity(facts.len());
        // Out of order: something that happened later was recorded before.
        let mut least = i64::MAX;
        let mut overtaken: Vec<bool> = facts
            .iter()
            .rev()
            .map(|(it, _)| {
                let overtaken = least < it.position;
                // What was taken back overtakes nothing, as when it is folded one by one.
                if it.customer.is_some() && !voided.contains_key(&it.reference()) {
                    least = least.min(it.position);
                }
                overtaken
            })
            .collect();
        overtaken.reverse();
        for ((event, fact), out_of_order) in facts.iter().zip(overtaken) {
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
                dossier.apply(&entry);
            }
        }
        // The rows of this segment, if any were made before the holder was marked, are in here too.
        self.timeline.insert(key.clone(), rows);
        let dossier = staged(&facts, dossier, voided, calendar, recorded_until);
        let next = dossier.ahead.first().map(|it| it.from);
        self.dossiers.insert(key.clone(), dossier);
        self.touched.insert(key.clone());
        next
    }
}
