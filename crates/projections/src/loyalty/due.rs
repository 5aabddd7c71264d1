//! The next change of tier that is to be recorded, one after the other through a long history.
//!
//! Promises: it terminates, because each answer lies after the change recorded last, or corrects it
//! on its own date; once recorded, the same change is not asked for again; a tier that somebody
//! decided holds until its date.

use std::collections::BTreeMap;

use events::calendar::{Calendar, add_days};
use events::fact::loyalty::Cause;
use events::id::EventRef;
use events::policy::{Policies, PolicyHistory};
use events::tier::Tier;
use jiff::Timestamp;
use jiff::civil::Date;

use super::fold::State;
use super::view::{View, before, policies_on, refund_due};

/// So many events are named as evidence, the newest.
const EVIDENCE_MAX: usize = 20;

/// A change of tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When the rule became or becomes true: midnight of the date where time alone decides, else
    /// the time of the fact that decided.
    pub at: Timestamp,
    /// The local date of it.
    pub date: Date,
    /// The tier before.
    pub from: Tier,
    /// The tier from then on.
    pub to: Tier,
    /// Why. The end of a tier that somebody decided is `earned` or `lapsed`.
    pub cause: Cause,
    /// The events that show it, oldest first.
    pub evidence: Vec<EventRef>,
    /// When it lapses unless earned again.
    pub lapses_on: Option<Date>,
    /// The version of policy `loyalty` that decides.
    pub policy_version: u64,
}

/// From where, and with which tier, the history is walked.
struct Start {
    day: Date,
    /// No change is recorded before this.
    floor: Timestamp,
    tier: Tier,
    /// Why the tier may differ on the first day already.
    cause: Option<Cause>,
}

/// The next change after the one recorded last; it may lie in the past or in the future. None if
/// nothing that is known leads to another tier.
#[must_use]
pub fn next_change(state: &State, history: &PolicyHistory, calendar: &Calendar) -> Option<Change> {
    let start = start(state, calendar)?;
    let mut projected = None;
    let mut moments = moments(state, history, calendar, &start);
    let mut cursor = start.day;
    loop {
        let policies = policies_on(history, cursor, calendar);
        let view = View::new(state, cursor, &policies, calendar);
        let standing = view.standing();
        if standing.tier_at(cursor) != start.tier {
            return Some(change_on(&view, &start, projected, history, calendar));
        }
        projected = standing.next_change(cursor, start.tier);
        let quiet_until = match start.tier {
            Tier::Prospect => cursor,
            // Coming again makes nobody primary before the tenure is long enough,
            Tier::Secondary => view
                .counted()
                .next()
                .map_or(cursor, |(first, _)| add_days(first, policies.loyalty.primary.tenure_days)),
            // and it never shortens what was earned before.
            Tier::Primary => projected.map_or(Date::MAX, |(date, _)| date),
        };
        let next = next_moment(&mut moments, quiet_until);
        match (projected, next) {
            (Some((date, to)), next) if next.is_none_or(|next| date < next) => {
                let at = calendar.start_of(date).max(start.floor);
                return Some(change(&view, &start, date, at, to, direction(start.tier, to)));
            }
            (_, Some(next)) => cursor = next,
            _ => return None,
        }
    }
}

/// The next date to look at: of visits in a row that can change nothing, only the last.
fn next_moment(moments: &mut BTreeMap<Date, What>, quiet_until: Date) -> Option<Date> {
    let (mut next, mut what) = moments.pop_first()?;
    while what == What::Visit
        && let Some(entry) = moments.first_entry()
        && *entry.get() == What::Visit
        && *entry.key() < quiet_until
    {
        (next, what) = entry.remove_entry();
    }
    Some(next)
}

fn start(state: &State, calendar: &Calendar) -> Option<Start> {
    let mut start = match state.recorded() {
        Some(it) => Start { day: it.since, floor: it.at, tier: it.tier, cause: None },
        None => Start {
            day: *state.days.keys().next()?,
            floor: Timestamp::MIN,
            tier: Tier::Prospect,
            cause: None,
        },
    };
    if let Some(it) = &state.identity
        && start.floor <= it.when.at
    {
        (start.day, start.floor) = (it.when.day.max(start.day), it.when.at);
        start.cause = Some(it.cause);
    }
    if let Some(manual) = state.recorded().and_then(|it| it.manual.as_ref())
        && start.day < manual.until
    {
        (start.day, start.floor) = (manual.until, calendar.start_of(manual.until));
        start.cause = None;
    }
    Some(start)
}

/// What happened on a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Nothing but stays or sales.
    Visit,
    /// Anything else a tier may depend on.
    Other,
}

/// The dates after the start on which something happened that a tier may depend on.
fn moments(
    state: &State,
    history: &PolicyHistory,
    calendar: &Calendar,
    start: &Start,
) -> BTreeMap<Date, What> {
    let visits = state.days.range(start.day..).map(|(day, _)| (*day, What::Visit));
    let mut moments: BTreeMap<Date, What> = visits.collect();
    let mut other = |day: Date| moments.insert(day, What::Other);
    for it in state.days.values().flatten().filter_map(|it| it.returned) {
        other(it.day);
    }
    for span in &state.faults {
        other(span.from.day);
        span.to.map(|it| other(it.day));
    }
    for refund in &state.refunds {
        let due = refund_due(refund, &history.in_force(refund.opened), calendar);
        other(calendar.local_date(due));
        refund.closed.map(|it| other(it.day));
    }
    let mut at = calendar.start_of(start.day);
    while let Some(next) = history.next_change(at) {
        other(calendar.local_date(next));
        at = next;
    }
    moments.into_iter().filter(|(day, _)| start.day < *day).collect()
}

/// The change on the date of a view, on which something happened.
fn change_on(
    view: &View<'_>,
    start: &Start,
    projected: Option<(Date, Tier)>,
    history: &PolicyHistory,
    calendar: &Calendar,
) -> Change {
    let (day, midnight) = (view.on(), calendar.start_of(view.on()));
    let to = view.standing().tier_at(day);
    if day == start.day
        && let Some(cause) = start.cause
    {
        return change(view, start, day, start.floor, to, cause);
    }
    let cause = direction(start.tier, to);
    if projected == Some((day, to)) {
        return change(view, start, day, midnight.max(start.floor), to, cause);
    }
    if let Some(at) = policy_moment(view, start.tier, history, calendar) {
        return change(view, start, day, at.max(start.floor), to, Cause::Policy);
    }
    let at = moment(view.state(), day, start.tier < to).unwrap_or(midnight);
    change(view, start, day, at.max(start.floor), to, cause)
}

/// When a policy came into force on the date of a view, if it alone explains the change.
fn policy_moment(
    view: &View<'_>,
    current: Tier,
    history: &PolicyHistory,
    calendar: &Calendar,
) -> Option<Timestamp> {
    let at = view.policies().loyalty.effective_from();
    if calendar.local_date(at) != view.on() {
        return None;
    }
    let earlier: std::sync::Arc<Policies> = history.in_force(before(at));
    let as_before = View::new(view.state(), view.on(), &earlier, calendar);
    (as_before.standing().tier_at(view.on()) == current).then_some(at)
}

/// The fact of a date that moves a tier up or down: a stay or a sale up, a return or the end of a
/// fault down.
fn moment(state: &State, day: Date, up: bool) -> Option<Timestamp> {
    if up {
        return state.days.get(&day).and_then(|all| all.first()).map(|it| it.at);
    }
    let returned = state.days.values().flatten().filter_map(|it| it.returned);
    let ended = state.faults.iter().filter_map(|it| it.to);
    let paid = state.refunds.iter().filter_map(|it| it.closed);
    let all = returned.chain(ended).chain(paid);
    all.filter(|it| it.day == day).map(|it| it.at).max()
}

fn direction(from: Tier, to: Tier) -> Cause {
    if from < to { Cause::Earned } else { Cause::Lapsed }
}

fn change(
    view: &View<'_>,
    start: &Start,
    date: Date,
    at: Timestamp,
    to: Tier,
    cause: Cause,
) -> Change {
    let evidence = view.in_window(date);
    let skip = evidence.len().saturating_sub(EVIDENCE_MAX);
    Change {
        at,
        date,
        from: start.tier,
        to,
        cause,
        evidence: evidence.into_iter().skip(skip).map(|it| it.event.clone()).collect(),
        lapses_on: if to == Tier::Primary { view.standing().lapses_on(date) } else { None },
        policy_version: view.policies().loyalty.version(),
    }
}
