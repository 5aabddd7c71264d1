//! When silence would ring for a customer of the story, by the default policy `neglect`.
//!
//! The rule is the product's own; here it is only asked, in days counted from the story's end,
//! so that the story can keep most customers well looked after. Suspension, which only makes
//! an alert later, is left out.

use std::collections::BTreeSet;

use events::calendar::{add_days, days_between};
use events::policy::{ClockPolicy, Policies};
use events::silence::Silence;
use events::tier::Tier;
use jiff::civil::Date;

/// Any date would do: the rule depends on differences alone.
const ORIGIN: Date = Date::constant(2000, 1, 1);

/// The two clocks of silence as they stand in the defaults.
#[derive(Debug, Clone)]
pub(super) struct Rhythms {
    they: ClockPolicy,
    we: ClockPolicy,
}

impl Rhythms {
    /// The clocks of the default policy.
    pub(super) fn new() -> Self {
        let policies = Policies::default();
        Self { they: policies.neglect.they.clone(), we: policies.neglect.we.clone() }
    }

    /// The day at whose alert hour *they are silent* rings; none if they never did anything.
    pub(super) fn they_ring_on(&self, days: &BTreeSet<i64>, tier: Tier) -> Option<i64> {
        due_day(days, &self.they, tier).filter(|_| self.they.tiers.contains(&tier))
    }

    /// The day at whose alert hour *we are silent* rings; none if we never did anything.
    pub(super) fn we_ring_on(&self, days: &BTreeSet<i64>, tier: Tier) -> Option<i64> {
        due_day(days, &self.we, tier).filter(|_| self.we.tiers.contains(&tier))
    }
}

fn due_day(days: &BTreeSet<i64>, clock: &ClockPolicy, tier: Tier) -> Option<i64> {
    let silence = Silence {
        count: i64::try_from(days.len()).unwrap_or(i64::MAX),
        first: add_days(ORIGIN, *days.first()?),
        last: add_days(ORIGIN, *days.last()?),
    };
    Some(days_between(ORIGIN, silence.due_on(clock, tier)))
}
