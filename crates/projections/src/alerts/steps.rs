//! How an alert that nobody takes is passed on (product 6.15).
//!
//! So long per step in working hours, at the last step every day. What lies in the past is not made
//! up for: only the step that is present now is due. While nobody is to be reminded, the time stands
//! still.

use events::calendar::Calendar;
use events::fact::alert::EscalationReason;
use events::policy::Policies;
use jiff::{SignedDuration, Timestamp};

use super::fold::{Alert, Status};
use crate::neglect::Interval;

/// The last step of escalation: the manager.
pub const STEP_MAX: u32 = 2;
/// How often the last step is repeated.
const REPEATED_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// A step that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) at: Timestamp,
    pub(super) step: u32,
    pub(super) reason: EscalationReason,
}

/// The step that is present at an instant: the last that has been reached by then, else the first
/// that will be. `None` while nothing but a new fact lets time go on.
pub(super) fn present(
    alert: &Alert,
    held: &[Interval],
    policies: &Policies,
    now: Timestamp,
) -> Option<Reached> {
    let mut reached = first(alert, held, policies)?;
    while let Some(at) = unattended_until(reached.step, reached.at, held, policies)
        && at <= now
        && reached.at < at
    {
        let step = (reached.step + 1).min(STEP_MAX);
        reached = Reached { at, step, reason: EscalationReason::Unacknowledged };
    }
    Some(reached)
}

fn first(alert: &Alert, held: &[Interval], policies: &Policies) -> Option<Reached> {
    let step = (alert.step + 1).min(STEP_MAX);
    if alert.status == Status::Acknowledged && alert.ack_until.is_some() {
        let at = acknowledged_until(alert, held, policies)?;
        return Some(Reached { at, step, reason: EscalationReason::AckExpired });
    }
    let at = unattended_until(alert.step, alert.since, held, policies)?;
    Some(Reached { at, step, reason: EscalationReason::Unacknowledged })
}

/// How long whoever took an alert has it.
pub(super) fn acknowledged_until(
    alert: &Alert,
    held: &[Interval],
    policies: &Policies,
) -> Option<Timestamp> {
    let latest = alert.since + SignedDuration::from_hours(policies.alert.ack_hours_max);
    released(alert.ack_until?.min(latest), held)
}

/// When nobody has taken a step for long enough that began at an instant.
fn unattended_until(
    step: u32,
    since: Timestamp,
    held: &[Interval],
    policies: &Policies,
) -> Option<Timestamp> {
    let place = usize::try_from(step).unwrap_or(usize::MAX);
    match policies.alert.escalate_after.get(place) {
        Some(hours) if step < STEP_MAX => working(&policies.calendar, since, hours * 60, held),
        _ => elapsed(since, REPEATED_EVERY, held),
    }
}

/// An instant, or the end of the time in which it lies.
fn released(at: Timestamp, held: &[Interval]) -> Option<Timestamp> {
    let at = held.iter().fold(at, |at, (from, to)| if *from <= at { at.max(*to) } else { at });
    (at < Timestamp::MAX).then_some(at)
}

/// Working minutes from an instant, without those in which time stands still.
fn working(
    calendar: &Calendar,
    since: Timestamp,
    minutes: i64,
    held: &[Interval],
) -> Option<Timestamp> {
    let (mut at, mut left) = (since, minutes);
    for (from, to) in held.iter().filter(|(_, to)| since < *to) {
        let from = (*from).max(at);
        let until = calendar.add_working(at, left);
        if until <= from {
            return Some(until);
        }
        left -= calendar.working_between(at, from);
        at = at.max(*to);
        if at == Timestamp::MAX {
            return None;
        }
    }
    Some(calendar.add_working(at, left))
}

/// The same in time by the clock.
fn elapsed(since: Timestamp, during: SignedDuration, held: &[Interval]) -> Option<Timestamp> {
    let (mut at, mut left) = (since, during);
    for (from, to) in held.iter().filter(|(_, to)| since < *to) {
        let from = (*from).max(at);
        if at + left <= from {
            return Some(at + left);
        }
        left -= from.duration_since(at);
        at = at.max(*to);
        if at == Timestamp::MAX {
            return None;
        }
    }
    at.checked_add(left).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{}:00+07:00", text.replace(' ', "T")).parse().unwrap()
    }

    #[test]
    fn time_stands_still_while_it_is_held() {
        let calendar = &Policies::default().calendar;
        // Monday to Friday eight to five.
        let monday = at("2026-05-04 09:00");
        let held = [(at("2026-05-04 10:00"), at("2026-05-05 10:00"))];
        assert_eq!(working(calendar, monday, 240, &[]), Some(at("2026-05-04 13:00")));
        assert_eq!(working(calendar, monday, 60, &held), Some(at("2026-05-04 10:00")));
        assert_eq!(working(calendar, monday, 240, &held), Some(at("2026-05-05 13:00")));
        assert_eq!(elapsed(monday, REPEATED_EVERY, &held), Some(at("2026-05-06 09:00")));
        let for_ever = [(at("2026-05-04 10:00"), Timestamp::MAX)];
        assert_eq!(working(calendar, monday, 240, &for_ever), None);
        assert_eq!(elapsed(monday, REPEATED_EVERY, &for_ever), None);
        assert_eq!(released(at("2026-05-04 12:00"), &held), Some(at("2026-05-05 10:00")));
        assert_eq!(released(at("2026-05-04 12:00"), &for_ever), None);
    }

    #[test]
    fn it_began_within_the_time_in_which_it_is_held() {
        let calendar = &Policies::default().calendar;
        let held = [(at("2026-05-04 08:00"), at("2026-05-06 10:00"))];
        let since = at("2026-05-05 09:00");
        assert_eq!(working(calendar, since, 60, &held), Some(at("2026-05-06 11:00")));
        assert_eq!(elapsed(since, REPEATED_EVERY, &held), Some(at("2026-05-07 10:00")));
    }
}
