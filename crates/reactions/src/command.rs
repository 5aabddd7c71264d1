//! Commands about alerts: checked against what is known, and refused with a rule.
//!
//! Pure: the API asks the read models, hands the answer in, and appends what comes out.

use events::policy::Policies;
use jiff::{SignedDuration, Timestamp};
use projections::alerts::{Alert, Status};

/// Why a command about an alert is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its state does not allow it.
    #[error("the alert is {}", .0.as_str())]
    State(Status),
    /// A snooze needs a time that lies ahead.
    #[error("the time must lie ahead")]
    Past,
    /// It was snoozed as often or as long as policy allows.
    #[error("an alert may be snoozed {times} times, until {until} at most")]
    SnoozeMax {
        /// How often.
        times: i64,
        /// How far.
        until: Timestamp,
    },
}

/// Until when an acknowledgement holds: as asked, at most `ack_hours_max` from now.
pub fn acknowledge(
    alert: &Alert,
    until: Option<Timestamp>,
    policies: &Policies,
    now: Timestamp,
) -> Result<Timestamp, Refusal> {
    if !matches!(alert.status, Status::Raised | Status::Escalated | Status::Acknowledged) {
        return Err(Refusal::State(alert.status));
    }
    let latest = now + SignedDuration::from_hours(policies.alert.ack_hours_max);
    match until {
        Some(until) if until <= now => Err(Refusal::Past),
        Some(until) => Ok(until.min(latest)),
        None => Ok(latest),
    }
}

/// Until when a snooze holds; a debt can be put off by one day only.
pub fn snooze(
    alert: &Alert,
    until: Timestamp,
    policies: &Policies,
    now: Timestamp,
) -> Result<Timestamp, Refusal> {
    if !matches!(alert.status, Status::Raised | Status::Escalated | Status::Acknowledged) {
        return Err(Refusal::State(alert.status));
    }
    if until <= now {
        return Err(Refusal::Past);
    }
    let rule = &policies.alert;
    let days = if alert.kind.as_str() == "we_owe" { 1 } else { rule.snooze_max_days };
    let latest = now + SignedDuration::from_hours(24 * days);
    if latest < until || rule.snooze_max_times <= alert.snoozes {
        return Err(Refusal::SnoozeMax { times: rule.snooze_max_times, until: latest });
    }
    Ok(until)
}

/// The step that a manual escalation reaches.
pub fn escalate(alert: &Alert) -> Result<u32, Refusal> {
    if !alert.status.is_open() {
        return Err(Refusal::State(alert.status));
    }
    Ok((alert.step + 1).min(projections::alerts::due::STEP_MAX))
}
