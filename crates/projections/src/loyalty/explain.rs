//! The answer about one customer's loyalty on one date, with everything it rests on.
//!
//! Promises: folding exactly the counted events with the named version of the policy gives the
//! tier; taking one of them away changes the listed figures accordingly.

use events::calendar::Calendar;
use events::fact::loyalty::Cause;
use events::id::{CustomerId, EventRef, Ident};
use events::money::{Currency, Money};
use events::policy::Policies;
use events::problem::Text;
use events::tier::{Condition, Tier};
use jiff::civil::Date;
use serde::Serialize;

use super::fold::State;
use super::sentence::sentence;
use super::view::View;

/// The answer. Members that only an explanation has are absent from the short one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Whose.
    pub customer: CustomerId,
    /// Which tier.
    pub tier: Tier,
    /// On which date.
    pub at: Date,
    /// Since when; none for a prospect.
    pub since: Option<Date>,
    /// Why.
    pub cause: Option<Cause>,
    /// The version of policy `loyalty` that decided.
    pub policy_version: u64,
    /// What the highest tier needs, and what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<Condition>>,
    /// The events that count, the first of each date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Vec<Counted>>,
    /// The events that look as if they counted, and why they do not; the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_counted: Option<Vec<NotCounted>>,
    /// What is missing for the tier above.
    pub next_tier: Option<NextTier>,
    /// When the tier lapses if nothing more happens; none while it is held.
    pub lapses_on: Option<Date>,
    /// At fault now, or days given back for having been.
    pub held: Option<Held>,
    /// Who decided the tier, and until when.
    pub manual: Option<ManualAnswer>,
    /// What customers of this tier are granted.
    pub privileges: Vec<String>,
    /// The ledger.
    pub rewards: Rewards,
    /// Whom the customer brought.
    pub referrals: Referrals,
    /// The tier in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<Text>,
}

/// An event that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Which.
    pub event: EventRef,
    /// On which local date.
    pub date: Date,
}

/// An event that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotCounted {
    /// Which.
    pub event: EventRef,
    /// `no_show`, `returned` or `same_day`.
    pub why: String,
}

/// The tier above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextTier {
    /// Which.
    pub tier: Tier,
    /// The conditions that are not met.
    pub missing: Vec<Condition>,
}

/// What keeps a tier from lapsing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Since when we are at fault; none when the days are only given back.
    pub since: Option<Date>,
    /// Days by which the lapse has moved.
    pub days: i64,
    /// `complaint/…`, `promise/…` or `booking/…`.
    pub by: Vec<String>,
}

/// A tier that somebody decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManualAnswer {
    /// Who.
    pub by: Option<Ident>,
    /// The date on which it no longer holds.
    pub until: Date,
    /// Why.
    pub reason: Option<String>,
}

/// The ledger of rewards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rewards {
    /// How many rewards were granted.
    pub granted: i64,
    /// How many of them were used, in whole or in part.
    pub redeemed: i64,
    /// Those with something left.
    pub open: Vec<OpenReward>,
}

/// A reward with something left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenReward {
    /// Which.
    pub reward: Ident,
    /// What it is.
    pub item: String,
    /// What is left of it.
    pub balance: Money,
}

/// Whom a customer brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Referrals {
    /// How many directly.
    pub direct: i64,
    /// How many together with whom those brought.
    pub branch: i64,
    /// What the branch has paid us.
    pub value: Money,
}

/// What only the tables know about a customer's referrals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// How many people.
    pub count: i64,
    /// What they have paid us, in minor units.
    pub value: i64,
}

/// How much of the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The tier and what follows from it.
    Short,
    /// Everything it rests on too.
    Full,
}

/// What is said about a customer on a date, from a state that holds nothing later and the policies
/// in force on that date (see [`super::view::policies_on`]).
#[must_use]
pub fn answer(
    customer: &CustomerId,
    state: &State,
    on: Date,
    policies: &Policies,
    calendar: &Calendar,
    branch: Branch,
    detail: Detail,
) -> Answer {
    let view = View::new(state, on, policies, calendar);
    let (tier, since) = (view.tier(), since(&view));
    let standing = view.standing();
    let full = detail == Detail::Full;
    Answer {
        customer: customer.clone(),
        tier,
        at: on,
        since,
        cause: cause(&view, since),
        policy_version: policies.loyalty.version(),
        conditions: full.then(|| standing.conditions(on)),
        counted: full.then(|| {
            let counted = |(date, it): (Date, &super::fold::Evidence)| Counted {
                event: it.event.clone(),
                date,
            };
            view.counted().map(counted).collect()
        }),
        not_counted: full.then(|| not_counted(&view)),
        next_tier: next_tier(&view),
        lapses_on: if view.manual().is_some() { None } else { standing.lapses_on(on) },
        held: held(&view),
        manual: view.manual().map(|(_, it)| ManualAnswer {
            by: it.by.clone(),
            until: it.until,
            reason: it.reason.clone(),
        }),
        privileges: policies.loyalty.privileges.get(&tier).cloned().unwrap_or_default(),
        rewards: rewards(state),
        referrals: referrals(state, branch),
        sentence: full.then(|| sentence(&view, since)),
    }
}

fn since(view: &View<'_>) -> Option<Date> {
    match (view.manual(), view.state().recorded()) {
        (Some(_), Some(recorded)) => Some(recorded.since),
        _ => view.standing().since(view.on()),
    }
}

/// The recorded cause, as long as nothing has changed since; else what the rule says.
fn cause(view: &View<'_>, since: Option<Date>) -> Option<Cause> {
    let since = since?;
    let tier = view.tier();
    let recorded = view.state().recorded().filter(|it| {
        let holds = it.tier == tier && since <= it.since && it.since <= view.on();
        // The end of a merge leaves a customer as if there had been none.
        holds && it.cause != Cause::Unmerged && (it.manual.is_none() || view.manual().is_some())
    });
    recorded.map(|it| it.cause).or_else(|| {
        let first = view.counted().next().map(|(day, _)| day);
        let fell = tier == Tier::Secondary && first != Some(since);
        Some(if fell { Cause::Lapsed } else { Cause::Earned })
    })
}

fn not_counted(view: &View<'_>) -> Vec<NotCounted> {
    let on = view.on();
    let skipped = view.state().skipped.iter().filter(|it| it.day <= on);
    let mut all: Vec<(Date, NotCounted)> = skipped
        .map(|it| (it.day, NotCounted { event: it.event.clone(), why: it.why.clone() }))
        .collect();
    let again = view.same_day();
    all.extend(again.map(|(day, it)| {
        (day, NotCounted { event: it.event.clone(), why: "same_day".to_owned() })
    }));
    all.sort_by_key(|(day, _)| *day);
    let skip = all.len().saturating_sub(super::fold::KEPT_MAX);
    all.into_iter().skip(skip).map(|(_, it)| it).collect()
}

fn next_tier(view: &View<'_>) -> Option<NextTier> {
    match view.tier() {
        Tier::Primary => None,
        Tier::Secondary => {
            let conditions = view.standing().conditions(view.on());
            let missing = conditions.into_iter().filter(|it| !it.met).collect();
            Some(NextTier { tier: Tier::Primary, missing })
        }
        Tier::Prospect => {
            let first = Condition { name: "qualifying_days", needed: 1, have: Some(0), met: false };
            Some(NextTier { tier: Tier::Secondary, missing: vec![first] })
        }
    }
}

fn held(view: &View<'_>) -> Option<Held> {
    let on = view.on();
    let standing = view.standing();
    let days = standing.held_days(on);
    let since = standing.faults.since(on);
    (since.is_some() || 0 < days).then(|| Held { since, days, by: view.held_by() })
}

fn rewards(state: &State) -> Rewards {
    let count = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
    let open = state.rewards.iter().filter(|(_, it)| 0 < it.balance());
    Rewards {
        granted: count(state.rewards.len()),
        redeemed: count(state.rewards.values().filter(|it| 0 < it.redeemed).count()),
        open: open
            .map(|(id, it)| OpenReward {
                reward: id.clone(),
                item: it.item.clone(),
                balance: Money { amount: it.balance(), ..it.granted },
            })
            .collect(),
    }
}

fn referrals(state: &State, branch: Branch) -> Referrals {
    let currency = state.value.map_or(Currency::IDR, |it| it.currency);
    let direct = i64::try_from(state.referred.len()).unwrap_or(i64::MAX);
    let value = Money { amount: branch.value, currency };
    Referrals { direct, branch: branch.count.max(direct), value }
}
