//! Whose turn it is (product 6.4).
//!
//! What a person would do next comes first: critical, then warnings, then notices, and within such a
//! band whoever waits longest, head starts included. So that nobody starves, after `run_max` hand-outs
//! in a row that went ahead of a less urgent band, the longest waiting of all less urgent bands is next.
//!
//! How many went ahead is written into the hand-out itself (`run` of `alert.acknowledged`), so every
//! instance and every rebuild counts alike.

use events::id::Tenant;
use events::policy::Policies;
use jiff::Timestamp;
use projections::Snapshot;
use projections::alerts::query::{self, Found, WAITING, Wanted};
use projections::listing::Window;
use store::Log;
use store::error::ReadError;

/// The bands, the most urgent first.
const BANDS: [&str; 3] = ["critical", "warning", "notice"];
/// Alerts of a band that are looked at: others may take the first ones at the same moment.
const LOOKED_AT: i64 = 100;

/// Where a waiting alert stands within its band: its due time less its head start, its due time, its
/// id.
type Standing = (Timestamp, Timestamp, String);

/// The band that has its turn, and the run that the hand-out carries. `first` are the first of each
/// band; `last` are the run and the band of the last hand-out.
fn turn(
    first: [Option<&Standing>; 3],
    (run, band): (i64, usize),
    run_max: i64,
) -> Option<(usize, i64)> {
    let waiting = |band: &usize| first.get(*band).copied().flatten();
    // Of all bands below one, that whose first has waited longest.
    let below = |band: usize| {
        (band + 1..first.len()).filter(|it| waiting(it).is_some()).min_by_key(waiting)
    };
    let is_over = run_max <= run;
    if let Some(lower) = below(band).filter(|_| is_over) {
        return Some((lower, 0));
    }
    let urgent = first.iter().position(Option::is_some)?;
    let run = if is_over { 0 } else { run };
    Some((urgent, if below(urgent).is_some() { run + 1 } else { 0 }))
}

/// What waits in a team, and how it was handed out so far.
#[derive(Debug)]
pub struct Queue {
    /// By band, in their order.
    bands: [Vec<(Standing, Found)>; 3],
    /// The run and the band of the last hand-out.
    last: (i64, usize),
    run_max: i64,
}

/// An alert to hand out.
#[derive(Debug)]
pub struct HandOut {
    /// The alert.
    pub found: Found,
    /// How many in a row went ahead of a less urgent band that waits, with this one.
    pub run: i64,
}

impl Queue {
    /// What waits in a team, or in all of them.
    pub async fn of(
        snapshot: &mut Snapshot,
        log: &Log,
        tenant: &Tenant,
        team: Option<&str>,
        policies: &Policies,
    ) -> Result<Self, ReadError> {
        let mut bands = [const { Vec::new() }; 3];
        for (band, severity) in bands.iter_mut().zip(BANDS) {
            let wanted = Wanted {
                state: Some(WAITING.to_owned()),
                severity: Some(severity.to_owned()),
                team: team.map(str::to_owned),
                ..Wanted::default()
            };
            let found =
                query::list(snapshot, log, tenant, &wanted, &Window::first(LOOKED_AT)).await?;
            band.extend(found.into_iter().map(|(_, it)| (it.standing(), it)));
        }
        let (run, band) = query::last_run(snapshot, tenant, team).await?;
        let last = (run, usize::try_from(band).unwrap_or_default());
        Ok(Self { bands, last, run_max: policies.fairness.run_max })
    }
}

/// Takes out the alert whose turn it is. Asked again, it answers as if somebody else had taken that
/// one at the same moment.
impl Iterator for Queue {
    type Item = HandOut;

    fn next(&mut self) -> Option<HandOut> {
        let first = self.bands.each_ref().map(|it| it.first().map(|(standing, _)| standing));
        let (band, run) = turn(first, self.last, self.run_max)?;
        let (_, found) = self.bands.get_mut(band)?.remove(0);
        Some(HandOut { found, run })
    }
}

#[cfg(test)]
mod tests;
