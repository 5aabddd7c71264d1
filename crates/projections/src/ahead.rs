//! Facts that claim to be from the future (`clock_suspect`): recorded and shown at once, but moving
//! nothing until their time has come (product 3.2).
//!
//! The rule, which knows the log only: a fact that was recorded more than five minutes before the time
//! it gives is left out of its customer's dossier until an event is folded that was recorded at or
//! after that time, whosever that is; just before it, the customer is folded anew. So rows follow from
//! the log, as they do with policies.
//!
//! Nobody has to wait for such an event. Beside the dossier as it stands lie its [`Stage`]s: how it
//! will be from each of those moments on. What is due is computed for each stage within its own
//! time and kept in the agenda; a tick, and every answer that is read from a dossier, asks
//! [`Dossier::at`] the moment. In a silent log the rows follow when the moment has come
//! ([`Runner::come_true`]), as the next event would have made them follow; so a build that is
//! compared with them lets time go on as far.
//!
//! What has no customer (promises between colleagues, voids as such) is folded as it comes.

use std::collections::BTreeSet;

use events::envelope::Recorded;
use events::policy::Policies;
use events::time::{parse_instant, spell};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::Tx;
use store::checkpoint::{self, Checkpoint};

use crate::agenda::{self, Queue};
use crate::dossier::Dossier;
use crate::entry::Entry;
use crate::runner::{CHECKPOINT, RunError, Runner};

/// Stages of one customer. With more moments than that, the last ones wait for the very last.
const STAGES_MAX: usize = 16;

/// How a dossier will be from a moment on, if nothing more is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// From when.
    pub from: Timestamp,
    /// How it will be.
    pub dossier: Dossier,
}

/// A dossier within the time in which it holds.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// From when; the first one holds since ever.
    pub from: Timestamp,
    /// Until just before.
    pub until: Option<Timestamp>,
    /// How it is then.
    pub dossier: &'a Dossier,
}

impl Dossier {
    /// How it is at an instant, as far as is recorded.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> &Self {
        let stage = self.ahead.iter().rev().find(|it| it.from <= now);
        stage.map_or(self, |it| &it.dossier)
    }

    /// The same, for whoever has no other use of it.
    #[must_use]
    pub fn into_at(mut self, now: Timestamp) -> Self {
        match self.ahead.iter().rposition(|it| it.from <= now) {
            Some(place) => self.ahead.swap_remove(place).dossier,
            None => self,
        }
    }

    /// Now and everything ahead, one after the other.
    pub fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        let froms = self.ahead.iter().map(|it| it.from);
        let untils = froms.clone().map(Some).chain([None]);
        let dossiers = [self].into_iter().chain(self.ahead.iter().map(|it| &it.dossier));
        [Timestamp::MIN]
            .into_iter()
            .chain(froms)
            .zip(untils)
            .zip(dossiers)
            .map(|((from, until), dossier)| Span { from, until, dossier })
    }
}

/// The dossier at the moment up to which the log was recorded, with its stages. `facts` are all of
/// one customer that stand, in their order, and `whole` is what they come to.
pub(crate) fn staged(
    facts: &[Entry<'_>],
    whole: Dossier,
    policies: &Policies,
    recorded_until: Timestamp,
) -> Dossier {
    let waits = |it: &Entry<'_>, now: Timestamp| it.event.is_clock_suspect() && now < it.at();
    let waiting = facts.iter().filter(|it| waits(it, recorded_until));
    let mut moments: BTreeSet<Timestamp> = waiting.map(Entry::at).collect();
    let Some(last) = moments.pop_last() else { return whole };
    let folded =
        |now: Timestamp| Dossier::fold(facts.iter().filter(|it| !waits(it, now)), policies);
    let mut now = folded(recorded_until);
    let earlier = moments.into_iter().take(STAGES_MAX - 1);
    now.ahead = earlier.map(|from| Stage { from, dossier: folded(from) }).collect();
    now.ahead.push(Stage { from: last, dossier: whole });
    now
}

impl Runner {
    /// How many events come before the first that was recorded when a policy is in force, or a fact
    /// has come true, that is not taken in yet; `None` if all of them do.
    pub(crate) fn cut(&self, page: &[Recorded]) -> Option<usize> {
        let mut next = [self.book().next_effective(), self.ahead].into_iter().flatten().min();
        for (place, event) in page.iter().enumerate() {
            if 0 < place && next.is_some_and(|it| it <= event.recorded_at) {
                return Some(place);
            }
            if event.is_clock_suspect() {
                let at = event.occurred_at;
                next = Some(next.map_or(at, |it| it.min(at)));
            }
        }
        None
    }

    /// Folds those anew of whom a fact has come true by the time an event was recorded, with
    /// everything up to `end`.
    pub(crate) async fn arrive(
        &mut self,
        tx: &mut Tx,
        recorded_at: Timestamp,
        end: i64,
    ) -> Result<(), RunError> {
        if self.ahead.is_none_or(|at| recorded_at < at) {
            return Ok(());
        }
        let due = agenda::due(tx, Queue::Ahead, recorded_at, i64::MAX).await?;
        self.replay(tx, due, end, recorded_at).await?;
        self.ahead = agenda::next_ahead(tx, recorded_at).await?;
        Ok(())
    }

    /// Folds those anew of whom a fact has come true although nothing was recorded since; `false` if
    /// there is nobody. How far time has gone is stored, for builds that are compared with this one.
    pub async fn come_true(&mut self, now: Timestamp) -> Result<bool, RunError> {
        if self.ahead.is_none_or(|at| now < at) {
            return Ok(false);
        }
        let mut tx = self.db.begin_write().await?;
        self.arrive(&mut tx, now, self.at.position).await?;
        let to = Checkpoint { detail: Some(spell(now)), ..self.at.clone() };
        checkpoint::advance(&mut tx, CHECKPOINT, &self.at, &to).await?;
        tx.commit().await?;
        self.at = to;
        Ok(true)
    }
}

/// How far time has gone in a build beyond what was recorded, if it has.
pub(crate) fn gone_to(detail: Option<&str>) -> Option<Timestamp> {
    parse_instant(detail?).ok()
}
