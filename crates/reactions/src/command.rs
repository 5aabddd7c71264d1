//! Commands about alerts: checked against what is known, and refused with a rule.
//!
//! Pure: the API asks the read models, hands the answer in, and appends what comes out.

use events::id::Ident;
use events::policy::Policies;
use jiff::{SignedDuration, Timestamp};
use projections::alerts::due::STEP_MAX;
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
    /// It was snoozed as often as policy allows.
    #[error("this alert was snoozed {times} times, and the policy allows no more")]
    SnoozedOften {
        /// How often.
        times: i64,
    },
    /// It would be snoozed for longer than policy allows.
    #[error("this alert may be snoozed until {until} at the latest")]
    SnoozedLong {
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
    // Whoever has it keeps it until the time they said; asking again does not put that off.
    if !matches!(alert.status, Status::Raised | Status::Escalated) {
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
    if rule.snooze_max_times <= alert.snoozes {
        return Err(Refusal::SnoozedOften { times: rule.snooze_max_times });
    }
    if latest < until {
        return Err(Refusal::SnoozedLong { until: latest });
    }
    Ok(until)
}

/// The step that a manual escalation reaches. Who has the last step already is not told once more.
pub fn escalate(alert: &Alert, to: &Ident) -> Result<u32, Refusal> {
    let is_there = alert.status == Status::Escalated && alert.step == STEP_MAX;
    if !alert.status.is_open() || (is_there && alert.owner == *to) {
        return Err(Refusal::State(alert.status));
    }
    Ok(next_step(alert))
}

/// The step after the present one.
#[must_use]
pub fn next_step(alert: &Alert) -> u32 {
    (alert.step + 1).min(STEP_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(status: &str, step: u32) -> Alert {
        let at = "2026-06-24T02:00:00Z";
        serde_json::from_value(serde_json::json!({
            "kind": "we_silent", "occurrence": 1, "severity": "warning", "status": status,
            "step": step, "raised_at": at, "since": at, "due_at": at, "owner": "sri",
            "team": "frontdesk", "ack_until": null, "snoozed_until": null, "snoozes": 0,
            "because": [], "stop_by": "personal_contact", "policy": "neglect",
            "policy_version": 1, "imported": false, "rationed_at": null, "ended_by": null,
            "history": [], "version": 1,
        }))
        .unwrap()
    }

    #[test]
    fn an_alert_is_acknowledged_once() {
        let (policies, now) = (Policies::default(), "2026-06-24T03:00:00Z".parse().unwrap());
        let take = |status: &str| acknowledge(&alert(status, 0), None, &policies, now);
        assert!(take("raised").is_ok() && take("escalated").is_ok());
        for (status, word) in [
            ("acknowledged", Status::Acknowledged),
            ("snoozed", Status::Snoozed),
            ("resolved", Status::Resolved),
            ("withdrawn", Status::Withdrawn),
        ] {
            assert_eq!(take(status), Err(Refusal::State(word)));
        }
    }

    #[test]
    fn an_alert_is_put_off_once_at_a_time() {
        let (policies, now) = (Policies::default(), "2026-06-24T03:00:00Z".parse().unwrap());
        let until = "2026-06-25T03:00:00Z".parse().unwrap();
        assert_eq!(snooze(&alert("acknowledged", 0), until, &policies, now), Ok(until));
        let again = snooze(&alert("snoozed", 0), until, &policies, now);
        assert_eq!(again, Err(Refusal::State(Status::Snoozed)));
    }

    #[test]
    fn who_has_the_last_step_is_not_told_again() {
        let (manager, other) = ("sri".parse().unwrap(), "rudi".parse().unwrap());
        assert_eq!(escalate(&alert("raised", 0), &manager), Ok(1));
        assert_eq!(escalate(&alert("escalated", 1), &manager), Ok(2));
        assert_eq!(escalate(&alert("escalated", 2), &other), Ok(2));
        let again = escalate(&alert("escalated", 2), &manager);
        assert_eq!(again, Err(Refusal::State(Status::Escalated)));
        let ended = escalate(&alert("resolved", 1), &manager);
        assert_eq!(ended, Err(Refusal::State(Status::Resolved)));
    }
}
