//! What should happen to a customer's alerts, and from when.
//!
//! Pure, and the only judge of it: the agenda keeps the earliest of these instants, and the reaction
//! appends what has become due. After that is folded, the same question has another answer.

use events::calendar::Calendar;
use events::fact::alert::{EscalationReason, Severity};
use events::id::{CustomerId, EventRef, Ident, Slug, Tenant};
use events::mint;
use events::policy::Policies;
use jiff::{SignedDuration, Timestamp};

use super::fold::{Alert, Basis, Status};
use crate::dossier::{Dossier, Holder};
use crate::neglect::{Obligation, Which, clock};

/// The last step of escalation: the manager.
pub const STEP_MAX: u32 = 2;

/// One thing to append, once its time has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// From when; what follows from a recorded fact is due at once.
    pub at: Timestamp,
    /// The alert.
    pub alert: Ident,
    /// It rings on imported history: at most so many a day per team.
    pub rationed: bool,
    /// Whose team it counts for.
    pub team: Slug,
    /// What to append.
    pub what: What,
}

/// What to append.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// `alert.raised`.
    Raise(Box<Raise>),
    /// `alert.escalated` to this person.
    Escalate {
        /// The step reached.
        step: u32,
        /// Whom it rings with now.
        to: Ident,
        /// Why.
        reason: EscalationReason,
    },
    /// `alert.resolved` by this event.
    Resolve {
        /// The right act.
        by: EventRef,
    },
    /// `alert.withdrawn`, because of these.
    Withdraw {
        /// The facts that show it was not overdue.
        because: Vec<EventRef>,
    },
}

/// The content of an `alert.raised`.
#[derive(Clone, Debug, PartialEq)]
pub struct Raise {
    /// Kind of alert.
    pub kind: Slug,
    /// Which time.
    pub occurrence: u32,
    /// How urgent.
    pub severity: Severity,
    /// When the episode became overdue.
    pub due_at: Timestamp,
    /// Who has it.
    pub owner: Ident,
    /// Whose team.
    pub team: Slug,
    /// Why it rings.
    pub because: Vec<EventRef>,
    /// What stops it.
    pub stop_by: Slug,
    /// Which policy.
    pub policy: Slug,
    /// And its version.
    pub policy_version: u64,
    /// The basis of its id.
    pub basis: String,
}

/// A reason to ring, as the clocks stand now.
struct Cause {
    kind: &'static str,
    episode: String,
    due_at: Timestamp,
    severity: Severity,
    because: Vec<EventRef>,
    stop_by: &'static str,
    policy: &'static str,
    policy_version: u64,
    imported: bool,
    owner: Option<Ident>,
}

/// Everything that is or will be due about a customer's alerts, as facts and policies stand.
#[must_use]
pub fn dues(tenant: &Tenant, holder: &Holder, dossier: &Dossier, policies: &Policies) -> Vec<Due> {
    let customer = holder.as_customer();
    let mut dues = Vec::new();
    for cause in causes(dossier, policies) {
        if let Some(due) = ring(tenant, customer.as_ref(), dossier, policies, cause) {
            dues.push(due);
        }
    }
    let now = dossier.seen.recorded_at.unwrap_or(Timestamp::UNIX_EPOCH);
    for (id, alert) in &dossier.alerts.alerts {
        let what = if is_mistaken(alert, dossier, policies) {
            // A fact recorded after the alert says so; the alert's own event is never that fact.
            (alert.status != Status::Withdrawn).then(|| {
                (now.max(alert.since), What::Withdraw { because: evidence(dossier, alert) })
            })
        } else if alert.status.is_open() {
            Some(next(id, alert, dossier, policies))
        } else {
            None
        };
        if let Some((at, what)) = what {
            let (team, rationed) = (alert.team.clone(), false);
            dues.push(Due { at, alert: id.clone(), rationed, team, what });
        }
    }
    dues
}

/// The silences and debts that ring now or at a known time.
fn causes(dossier: &Dossier, policies: &Policies) -> Vec<Cause> {
    let clocks = &dossier.neglect;
    let mut causes = Vec::new();
    for which in [Which::They, Which::We] {
        let Some(clock) = clocks.inputs(which).map(|it| it.clock(policies)) else { continue };
        if !clock.rings() {
            continue;
        }
        let (because, imported) = clocks.because(which);
        causes.push(Cause {
            kind: which.alert_kind(),
            episode: clock.episode(),
            due_at: clock.effective_due_at,
            severity: if which == Which::We { Severity::Warning } else { Severity::Notice },
            because,
            stop_by: if which == Which::We { "personal_contact" } else { "inbound" },
            policy: "neglect",
            policy_version: policies.neglect.version(),
            imported,
            owner: clocks.owner.clone(),
        });
    }
    for it in clocks.obligations.iter().filter(|it| it.is_open() && it.is_wanted(policies)) {
        if clocks.covered_by(it).is_some() {
            continue;
        }
        let Some(due_at) = it.due_at(policies) else { continue };
        causes.push(owed(it, due_at, dossier, policies));
    }
    causes
}

fn owed(it: &Obligation, due_at: Timestamp, dossier: &Dossier, policies: &Policies) -> Cause {
    let critical = it.is_critical() || it.promised_for.is_some();
    let mut because = vec![it.opened_by.clone()];
    because.extend(it.broken_by.clone());
    Cause {
        kind: "we_owe",
        episode: it.episode(),
        due_at,
        severity: if critical { Severity::Critical } else { Severity::Warning },
        because,
        stop_by: it.owed.as_str(),
        policy: "owe",
        policy_version: policies.owe.version(),
        imported: false,
        owner: it.owner.clone().or_else(|| dossier.neglect.owner.clone()),
    }
}

/// Raises a cause, unless its alert has rung and nothing has brought it back.
fn ring(
    tenant: &Tenant,
    customer: Option<&CustomerId>,
    dossier: &Dossier,
    policies: &Policies,
    cause: Cause,
) -> Option<Due> {
    let basis = clock::basis(cause.kind, customer, &cause.episode);
    let first = mint::reaction_id(tenant, "neglect", "alert.raised", &basis, 1);
    let alert: Ident = first.to_string().parse().ok()?;
    let (occurrence, at) = match dossier.alerts.alerts.get(&alert) {
        None => (1, cause.due_at),
        Some(it) => match it.status {
            Status::Withdrawn => (it.occurrence + 1, cause.due_at.max(it.since)),
            Status::Resolved if it.stopped.is_none() => (it.occurrence + 1, it.since),
            _ => return None,
        },
    };
    let (team_name, team) = responsible(dossier, policies);
    let owner = cause.owner.or_else(|| team.parse().ok())?;
    let raise = Raise {
        kind: slug(cause.kind),
        occurrence,
        severity: cause.severity,
        due_at: cause.due_at,
        owner,
        team: team_name.clone(),
        because: cause.because,
        stop_by: slug(cause.stop_by),
        policy: slug(cause.policy),
        policy_version: cause.policy_version,
        basis,
    };
    let what = What::Raise(Box::new(raise));
    Some(Due { at, alert, rationed: cause.imported, team: team_name, what })
}

/// The customer's team, else the default one; and its lead.
fn responsible<'p>(dossier: &Dossier, policies: &'p Policies) -> (Slug, &'p str) {
    let own = dossier.neglect.team.as_ref();
    let team = own.and_then(|it| policies.team.get(it.as_str()).map(|team| (it.clone(), team)));
    let (name, team) = team.unwrap_or_else(|| {
        let (name, team) = policies.default_team();
        let name = name.parse().expect("policies name their teams by slugs");
        (name, team)
    });
    (name, &team.lead)
}

/// A late, voiding or merging fact shows that it was not overdue at its time.
fn is_mistaken(alert: &Alert, dossier: &Dossier, policies: &Policies) -> bool {
    match &alert.basis {
        Basis::Silence(Some(inputs)) => alert.due_at < inputs.clock(policies).effective_due_at,
        Basis::Silence(None) | Basis::Owe { episode: None } => true,
        Basis::Owe { episode: Some(episode) } => {
            let own = dossier.neglect.obligations.iter().find(|it| it.episode() == *episode);
            // Closed by something that happened in time, whenever it was recorded.
            own.is_some_and(|it| it.closed.as_ref().is_some_and(|(at, _)| *at <= alert.due_at))
        }
        Basis::Other => false,
    }
}

/// What shows the mistake: the newest reset of the clock, or the closing fact.
fn evidence(dossier: &Dossier, alert: &Alert) -> Vec<EventRef> {
    let clocks = &dossier.neglect;
    let newest = match alert.kind.as_str() {
        "they_silent" => clocks.they.newest.clone(),
        "we_silent" => clocks.we.newest.clone(),
        _ => {
            let opened_by = alert.because.first();
            let own = clocks.obligations.iter().find(|it| Some(&it.opened_by) == opened_by);
            own.and_then(|it| it.closed.clone())
        }
    };
    newest.map(|(_, event)| vec![event]).unwrap_or_default()
}

/// What happens to an open alert next.
fn next(id: &Ident, alert: &Alert, dossier: &Dossier, policies: &Policies) -> (Timestamp, What) {
    let stopped = match &alert.basis {
        Basis::Owe { episode: Some(episode) } => {
            let own = dossier.neglect.obligations.iter().find(|it| it.episode() == *episode);
            own.and_then(|it| it.closed.clone())
        }
        _ => alert.stopped.clone(),
    };
    if let Some((at, by)) = stopped {
        return (at, What::Resolve { by });
    }
    let rule = &policies.alert;
    match (alert.status, alert.ack_until, alert.snoozed_until) {
        (Status::Acknowledged, Some(until), _) => {
            let latest = alert.since + SignedDuration::from_hours(rule.ack_hours_max);
            escalate(alert, policies, until.min(latest), EscalationReason::AckExpired)
        }
        (Status::Snoozed, _, Some(until)) => {
            let at = until.min(snoozed_at_most(alert, policies));
            (at, What::Raise(Box::new(again(id, alert, at))))
        }
        _ => {
            let at = unattended_until(alert, &policies.calendar, &rule.escalate_after);
            escalate(alert, policies, at, EscalationReason::Unacknowledged)
        }
    }
}

/// The latest instant a snooze may last to (product 6.15).
#[must_use]
pub fn snoozed_at_most(alert: &Alert, policies: &Policies) -> Timestamp {
    let days = match alert.kind.as_str() {
        "we_owe" => 1,
        _ => policies.alert.snooze_max_days,
    };
    alert.since + SignedDuration::from_hours(24 * days)
}

/// Nobody takes it: so long per step in working hours; at the last step every day.
fn unattended_until(alert: &Alert, calendar: &Calendar, escalate_after: &[i64]) -> Timestamp {
    let step = usize::try_from(alert.step).unwrap_or(usize::MAX);
    match escalate_after.get(step) {
        Some(hours) if alert.step < STEP_MAX => calendar.add_working(alert.since, hours * 60),
        _ => alert.since + SignedDuration::from_hours(24),
    }
}

fn escalate(
    alert: &Alert,
    policies: &Policies,
    at: Timestamp,
    reason: EscalationReason,
) -> (Timestamp, What) {
    let step = (alert.step + 1).min(STEP_MAX);
    let to = superior(alert, policies, step).unwrap_or_else(|| alert.owner.clone());
    (at, What::Escalate { step, to, reason })
}

/// The person of a step in the alert's team: 1 its lead, 2 its manager.
#[must_use]
pub fn superior(alert: &Alert, policies: &Policies, step: u32) -> Option<Ident> {
    let team = policies.team.get(alert.team.as_str()).unwrap_or_else(|| policies.default_team().1);
    let name = if step < STEP_MAX { &team.lead } else { &team.manager };
    name.parse().ok()
}

/// The same alert once more, after a snooze.
fn again(id: &Ident, alert: &Alert, at: Timestamp) -> Raise {
    Raise {
        kind: alert.kind.clone(),
        occurrence: alert.occurrence + 1,
        severity: alert.severity,
        due_at: alert.due_at,
        owner: alert.owner.clone(),
        team: alert.team.clone(),
        because: alert.because.clone(),
        stop_by: alert.stop_by.clone(),
        policy: alert.policy.clone(),
        policy_version: alert.policy_version.into(),
        basis: format!("{id}|{at}"),
    }
}

fn slug(word: &'static str) -> Slug {
    word.parse().expect("the words of alerts are slugs")
}
