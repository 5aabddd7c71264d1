//! Conflicts that are none: the log holds the event, and its time came back with digits cut off.
//!
//! A client that keeps milliseconds sends an event back with another `time` and so another
//! fingerprint. The rule is [`Recorded::differs_by_cut_time`]; here the log is asked, and the events
//! get the fingerprint that is recorded, so that they are judged as the duplicates they are.

use std::collections::{BTreeMap, HashMap};

use events::envelope::{Incoming, Recorded};
use events::id::Tenant;

use crate::error::ReadError;
use crate::log::Log;
use crate::writer::{Judged, Outcome};

/// Looks at every conflict of some requests; answers for each request whether anything was
/// recognised in it, so that it has to be judged again.
pub(crate) async fn recognise(
    log: &Log,
    requests: &mut [(&mut Vec<Incoming>, &[Judged])],
) -> Result<Vec<bool>, ReadError> {
    let originals = originals(log, requests).await?;
    let mut again = Vec::with_capacity(requests.len());
    for (events, judged) in requests {
        let mut is_any = false;
        for (event, it) in events.iter_mut().zip(judged.iter()) {
            let original = originals.get(&it.receipt.position);
            let Some((recorded, fingerprint)) = original else { continue };
            if it.outcome == Outcome::EventIdConflict && recorded.differs_by_cut_time(event) {
                event.fingerprint = *fingerprint;
                is_any = true;
            }
        }
        again.push(is_any);
    }
    Ok(again)
}

/// What the log holds where there are conflicts, by position.
async fn originals(
    log: &Log,
    requests: &[(&mut Vec<Incoming>, &[Judged])],
) -> Result<HashMap<i64, (Recorded, [u8; 32])>, ReadError> {
    let mut places: BTreeMap<Tenant, Vec<i64>> = BTreeMap::new();
    for (events, judged) in requests {
        for (event, it) in events.iter().zip(judged.iter()) {
            if it.outcome == Outcome::EventIdConflict {
                places.entry(event.tenant.clone()).or_default().push(it.receipt.position);
            }
        }
    }
    let mut found = HashMap::new();
    for (tenant, positions) in places {
        let mut fingerprints = log.fingerprints(&positions).await?;
        for it in log.read_positions(&tenant, &positions).await? {
            let fingerprint = fingerprints.remove(&it.position).and_then(|it| it.try_into().ok());
            if let Some(fingerprint) = fingerprint {
                found.insert(it.position, (it, fingerprint));
            }
        }
    }
    Ok(found)
}
