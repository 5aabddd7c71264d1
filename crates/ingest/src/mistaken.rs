//! Mistakes of this crate that a build with the feature `faults` can be told to make, and no other.

use std::sync::atomic::{AtomicU64, Ordering};

use events::envelope::Incoming;
use events::planted::{Mistake, planted};

use crate::wire::Taken;

/// The highest sequence that [`Mistake::DedupeBySequence`] has seen.
static HIGHEST: AtomicU64 = AtomicU64::new(0);

/// Leaves out what counts as a repetition by mistake, and takes away by what events differ.
pub(crate) fn change(messages: &[Taken], pending: &mut Vec<(usize, Incoming)>) {
    if planted(Mistake::DedupeBySequence) {
        pending.retain(|(index, _)| {
            let sequence = messages.get(*index).map_or(0, |it| it.stream_sequence);
            HIGHEST.fetch_max(sequence, Ordering::Relaxed) < sequence
        });
    }
    if planted(Mistake::DedupeWithoutSource) {
        for (_, it) in pending {
            it.source = "/any".parse().expect("a valid source");
        }
    }
}
