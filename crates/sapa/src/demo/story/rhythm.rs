//! When silence is overdue, by the default policy `neglect`, in whole local days.
//!
//! The story needs it to keep most customers well looked after; the rule itself lives with
//! the neglect view, and a test of the story compares nothing with it but the outcome.

use std::collections::BTreeSet;

/// The numbers of one clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    gap: i64,
    shortest: i64,
    longest: i64,
    first_due: i64,
}

/// They are silent.
pub(super) const THEY: Rule = Rule { gap: 60, shortest: 7, longest: 120, first_due: 45 };
/// We are silent towards prospects and secondary customers.
pub(super) const WE: Rule = Rule { gap: 30, shortest: 7, longest: 30, first_due: 14 };
/// We are silent towards primary customers.
pub(super) const WE_PRIMARY: Rule = Rule { gap: 30, shortest: 7, longest: 20, first_due: 14 };

/// The day at whose 09:00 this clock is overdue; none if nothing ever moved it.
pub(super) fn due_day(days: &BTreeSet<i64>, rule: Rule) -> Option<i64> {
    let (first, last) = (days.first()?, days.last()?);
    let count = i64::try_from(days.len()).unwrap_or(i64::MAX);
    if count == 1 {
        return Some(last + rule.first_due);
    }
    // Three rhythms, rounded up; clamping after the rounding is the same, the bounds being whole.
    let wait = (3 * (last - first + rule.gap) + count - 1) / count;
    Some(last + wait.clamp(3 * rule.shortest, 3 * rule.longest))
}
