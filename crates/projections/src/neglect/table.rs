//! Clocks and obligations: what their tables show of a holder.

use super::clock::Which;
use crate::dossier::Dossier;
use crate::policies::Rules;
use crate::rows::{Key, Row, Table, row, text_of};

/// The clocks that run for a customer.
pub(crate) const CLOCKS: Table = Table {
    name: "clocks",
    key: &["holder", "clock", "tenant"],
    apart: 1,
    columns: &[
        "holder",
        "tenant",
        "clock",
        "tier",
        "owner",
        "team",
        "days",
        "first",
        "last",
        "rhythm_days",
        "warn_at",
        "due_at",
        "suspended_until",
        "effective_due_at",
        "muted",
        "resting",
        "because",
        "policy_version",
    ],
    rows: clocks,
};

/// What is owed and was owed lately.
pub(crate) const OBLIGATIONS: Table = Table {
    name: "obligations",
    key: &["holder", "opened_by", "obligation", "tenant"],
    apart: 2,
    columns: &[
        "holder",
        "tenant",
        "obligation",
        "opened_by",
        "opened_at",
        "about",
        "due_at",
        "warn_at",
        "paused",
        "covered_by",
        "owner",
        "team",
        "closed_by",
        "closed_at",
    ],
    rows: obligations,
};

fn clocks(key: &Key, dossier: &Dossier, rules: &Rules<'_>) -> Vec<Row> {
    let (state, policies) = (&dossier.neglect, rules.active);
    let one = |which| {
        let clock = state.inputs(which)?.clock(policies);
        let (because, _) = state.because(which);
        Some(row![
            key,
            clock.which.as_str(),
            state.tier.name(),
            state.owner.as_ref().map(ToString::to_string),
            state.team.as_ref().map(ToString::to_string),
            clock.count,
            clock.span.first.to_string(),
            clock.span.last.to_string(),
            clock.rhythm.to_f64(),
            clock.warn_at,
            clock.due_at,
            clock.suspended_until,
            clock.effective_due_at,
            clock.muted,
            clock.resting,
            text_of(&because),
            i64::try_from(policies.neglect.version()).unwrap_or(i64::MAX),
        ])
    };
    [Which::They, Which::We].into_iter().filter_map(one).collect()
}

fn obligations(key: &Key, dossier: &Dossier, rules: &Rules<'_>) -> Vec<Row> {
    let (state, policies) = (&dossier.neglect, rules.active);
    let wanted = state.obligations.iter().filter(|it| it.is_wanted(policies));
    wanted
        .map(|it| {
            row![
                key,
                it.owed.as_str(),
                it.opened_by.to_string(),
                it.opened_at,
                it.about.as_ref().map(ToString::to_string),
                it.due_at(policies),
                it.warn_at(policies),
                it.is_open() && it.paused_at.is_some(),
                state
                    .covered_by(it)
                    .and_then(|promise| promise.about.as_ref())
                    .map(ToString::to_string),
                it.owner.as_ref().or(state.owner.as_ref()).map(ToString::to_string),
                state.team.as_ref().map(ToString::to_string),
                it.closed.as_ref().map(|(_, by)| by.to_string()),
                it.closed.as_ref().map(|(at, _)| *at),
            ]
        })
        .collect()
}
