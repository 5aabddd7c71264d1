//! Tiers and referrals: rows in.
//!
//! A row holds dates where it can, not figures that a passing day would change, so that a list asks
//! for any date.

use events::calendar::add_days;
use events::policy::Policies;
use events::tier::Tier;
use jiff::civil::Date;

use super::fold::State;
use super::view::View;
use crate::rows::{self, Table};

/// Both tables as one column of text, in the order of their keys.
pub(crate) const AS_TEXT: &str = "
    SELECT line FROM (
        SELECT 'l|' || holder || '|' || tenant || '|' || tier || '|' || coalesce(since, '') || '|'
               || coalesce(lapses_on, '') || '|' || coalesce(eligible_on, '') || '|'
               || CAST(held AS TEXT) || '|' || CAST(days AS TEXT) || '|' || coalesce(first, '')
               || '|' || coalesce(last, '') || '|' || coalesce(tenure_on, '') || '|'
               || coalesce(count_until, '') || '|' || coalesce(almost_until, '') || '|'
               || coalesce(recency_until, '') || '|' || coalesce(manual_until, '') || '|'
               || CAST(value AS TEXT) || '|' || CAST(policy_version AS TEXT) AS line
          FROM loyalty
        UNION ALL
        SELECT 'r|' || holder || '|' || tenant || '|' || referred
          FROM loyalty_referrals
    ) AS both_tables
    ORDER BY line";

/// One customer's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The tier, as of the newest fact.
    pub tier: Tier,
    /// Since when.
    pub since: Option<Date>,
    /// When it lapses; none while held.
    pub lapses_on: Option<Date>,
    /// When time alone makes, or made, the customer primary.
    pub eligible_on: Option<Date>,
    /// At fault.
    pub held: bool,
    /// How many qualifying dates.
    pub days: i64,
    /// The first of them.
    pub first: Option<Date>,
    /// The last of them.
    pub last: Option<Date>,
    /// From when on the tenure is long enough.
    pub tenure_on: Option<Date>,
    /// Until when enough dates count.
    pub count_until: Option<Date>,
    /// Until when all but one count that are needed.
    pub almost_until: Option<Date>,
    /// Until when the last date is recent enough.
    pub recency_until: Option<Date>,
    /// Until when somebody's decision holds.
    pub manual_until: Option<Date>,
    /// What the customer paid, in minor units.
    pub value: i64,
    /// The version of policy `loyalty`.
    pub policy_version: i64,
}

/// A customer's row as of the newest fact, or of the policy if that is newer.
#[must_use]
pub fn row(state: &State, policies: &Policies) -> Row {
    let calendar = &policies.calendar;
    let effective = calendar.local_date(policies.loyalty.effective_from());
    let on = state.last_day().map_or(effective, |day| day.max(effective));
    let view = View::new(state, on, policies, calendar);
    let days: Vec<Date> = view.counted().map(|(day, _)| day).collect();
    let rule = &policies.loyalty.primary;
    let (first, last) = (days.first().copied(), days.last().copied());
    let newest = |n: i64| {
        let n = usize::try_from(n).ok()?;
        days.get(days.len().checked_sub(n)?).copied()
    };
    let in_window = |n: i64| if n < 1 { Some(Date::MAX) } else { newest(n) };
    let until = |day: Option<Date>, days| day.map(|day| add_days(day, days));
    let manual = view.manual();
    let standing = view.standing();
    Row {
        tier: view.tier(),
        since: match manual {
            Some(_) => state.recorded().map(|it| it.since),
            None => standing.since(on),
        },
        lapses_on: if manual.is_some() { None } else { standing.lapses_on(on) },
        eligible_on: standing.eligible_on(on),
        held: standing.is_held(on),
        days: i64::try_from(days.len()).unwrap_or(i64::MAX),
        first,
        last,
        tenure_on: until(first, rule.tenure_days),
        count_until: until(newest(rule.window_count), rule.window_days),
        almost_until: until(in_window(rule.window_count - 1), rule.window_days),
        recency_until: until(last, rule.recency_days),
        manual_until: manual.map(|(_, it)| it.until),
        value: state.value.map_or(0, |it| it.amount),
        policy_version: i64::try_from(policies.loyalty.version()).unwrap_or(i64::MAX),
    }
}

/// One row a customer.
pub(crate) const LOYALTY: Table = Table {
    name: "loyalty",
    key: &["holder", "tenant"],
    apart: 0,
    columns: &[
        "holder",
        "tenant",
        "tier",
        "since",
        "lapses_on",
        "eligible_on",
        "held",
        "days",
        "first",
        "last",
        "tenure_on",
        "count_until",
        "almost_until",
        "recency_until",
        "manual_until",
        "value",
        "policy_version",
    ],
    rows: |key, dossier, rules| {
        if key.1.as_customer().is_none() {
            return Vec::new();
        }
        let it = row(&dossier.loyalty, rules.active);
        let text = |date: Option<Date>| date.map(|it| it.to_string());
        vec![rows::row![
            key,
            it.tier.name(),
            text(it.since),
            text(it.lapses_on),
            text(it.eligible_on),
            it.held,
            it.days,
            text(it.first),
            text(it.last),
            text(it.tenure_on),
            text(it.count_until),
            text(it.almost_until),
            text(it.recency_until),
            text(it.manual_until),
            it.value,
            it.policy_version,
        ]]
    },
};

/// Whom a customer brought, one row each.
pub(crate) const REFERRALS: Table = Table {
    name: "loyalty_referrals",
    key: &["holder", "referred", "tenant"],
    apart: 1,
    columns: &["holder", "tenant", "referred"],
    rows: |key, dossier, _| {
        if key.1.as_customer().is_none() {
            return Vec::new();
        }
        dossier.loyalty.referred.iter().map(|it| rows::row![key, it.as_str()]).collect()
    },
};
