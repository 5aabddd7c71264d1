//! What should happen to a customer's alerts, and from when.
//!
//! Pure, and the only judge of it: the agenda keeps the earliest of these instants, and the reaction
//! appends what has become due. After that is folded, the same question has another answer.
//!
//! Everything here follows from one question, which the facts alone answer: since when was this
//! silence or debt overdue, and what ended it ([`neglect::watch`](crate::neglect::watch))? An alert
//! is right if that was so when it was raised. What Sapa recorded about alerts only says what is left
//! to be recorded.

use std::collections::BTreeMap;

use events::fact::alert::{EscalationReason, Severity};
use events::id::{CustomerId, EventRef, Ident, Slug, Tenant};
use events::mint;
use events::policy::Policies;
use jiff::{SignedDuration, Timestamp};

use super::fold::{Alert, Status};
pub use super::steps::STEP_MAX;
use super::steps::{Reached, acknowledged_until, present};
use crate::dossier::{Dossier, Holder};
use crate::neglect::{Interval, Obligation, Timer, Which, clock};

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

/// A reason to ring: something that is overdue, or will be if nothing else happens.
struct Cause {
    kind: &'static str,
    episode: String,
    /// Since when it is overdue.
    from: Timestamp,
    due_at: Timestamp,
    severity: Severity,
    because: Vec<EventRef>,
    stop_by: &'static str,
    policy: &'static str,
    policy_version: u64,
    imported: bool,
    owner: Option<Ident>,
}

/// What the facts say about an alert.
enum Verdict<'a> {
    /// It was overdue when it was raised.
    Right(Standing<'a>),
    /// It was not, or there is no such thing.
    Mistaken,
    /// It is of a kind that no rule here judges, or is too long ago.
    Unknown,
}

/// Something that was overdue, as the facts stand.
#[derive(Clone)]
struct Standing<'a> {
    from: Timestamp,
    due_at: Timestamp,
    /// How urgent, where that may change.
    severity: Option<Severity>,
    ended: Option<&'a (Timestamp, EventRef)>,
    held: Vec<Interval>,
}

impl<'a> Standing<'a> {
    fn of(timer: &'a Timer) -> Option<Self> {
        let (from, due_at) = timer.moment()?;
        Some(Self { from, due_at, severity: None, ended: timer.ended(), held: timer.held() })
    }
}

/// Everything that is or will be due about a customer's alerts, as facts and policies stand. Of the
/// steps in which an alert is passed on, it is the one that is present `now`.
#[must_use]
pub fn dues(
    tenant: &Tenant,
    holder: &Holder,
    dossier: &Dossier,
    policies: &Policies,
    now: Timestamp,
) -> Vec<Due> {
    let customer = holder.as_customer();
    let mut dues = Vec::new();
    for cause in causes(dossier, policies) {
        if let Some(due) = ring(tenant, customer.as_ref(), dossier, policies, cause) {
            dues.push(due);
        }
    }
    let known_at = dossier.seen.recorded_at.unwrap_or(Timestamp::UNIX_EPOCH);
    let standings = standings(tenant, customer.as_ref(), dossier);
    for (id, alert) in &dossier.alerts.alerts {
        let what = match verdict(id, alert, dossier, &standings) {
            // A fact recorded after the alert says so; the alert's own event is never that fact.
            Verdict::Mistaken => is_to_be_withdrawn(alert, policies).then(|| {
                let what = What::Withdraw { because: evidence(dossier, alert) };
                (known_at.max(alert.since), what)
            }),
            _ if !alert.status.is_open() => None,
            Verdict::Right(Standing { ended: Some((at, by)), .. }) => {
                Some((*at, What::Resolve { by: by.clone() }))
            }
            Verdict::Right(it) => next(id, alert, &it.held, policies, now),
            Verdict::Unknown => next(id, alert, &[], policies, now),
        };
        if let Some((at, what)) = what {
            let (team, rationed) = (alert.team.clone(), false);
            dues.push(Due { at, alert: id.clone(), rationed, team, what });
        }
    }
    dues
}

/// Since when each open alert is due, and how urgent it is, as is known now.
#[must_use]
pub fn present_terms(
    tenant: &Tenant,
    holder: &Holder,
    dossier: &Dossier,
) -> BTreeMap<Ident, (Timestamp, Severity)> {
    let standings = standings(tenant, holder.as_customer().as_ref(), dossier);
    let open = dossier.alerts.alerts.iter().filter(|(_, it)| it.status.is_open());
    open.filter_map(|(id, alert)| match verdict(id, alert, dossier, &standings) {
        Verdict::Right(it) => {
            Some((id.clone(), (it.due_at, it.severity.unwrap_or(alert.severity))))
        }
        _ => None,
    })
    .collect()
}

/// The silences and debts that ring now or at a known time.
fn causes(dossier: &Dossier, policies: &Policies) -> Vec<Cause> {
    let clocks = &dossier.neglect;
    let mut causes = Vec::new();
    for which in [Which::They, Which::We] {
        let Some(clock) = clocks.inputs(which).map(|it| it.clock(policies)) else { continue };
        let timer = &clocks.watch_of(which).timer;
        let (from, due_at) = match &timer.overdue {
            Some(it) if it.ended.is_some() => continue,
            Some(it) => (it.from, it.due_at),
            None if clock.rings() => {
                (clock.effective_due_at.max(timer.since), clock.effective_due_at)
            }
            None => continue,
        };
        let (because, imported) = clocks.because(which);
        causes.push(Cause {
            kind: which.alert_kind(),
            episode: clock.episode(),
            from,
            due_at,
            severity: if which == Which::We { Severity::Warning } else { Severity::Notice },
            because,
            stop_by: if which == Which::We { "personal_contact" } else { "inbound" },
            policy: "neglect",
            policy_version: policies.neglect.version(),
            imported,
            owner: clocks.owner.clone(),
        });
    }
    for it in clocks.obligations.iter().filter(|it| it.is_open()) {
        if let Some(moment) = it.timer.moment() {
            causes.push(owed(it, moment, dossier, policies));
        }
    }
    causes
}

fn owed(
    it: &Obligation,
    (from, due_at): Interval,
    dossier: &Dossier,
    policies: &Policies,
) -> Cause {
    let mut because = vec![it.opened_by.clone()];
    because.extend(it.broken_by.clone());
    Cause {
        kind: "we_owe",
        episode: it.episode(),
        from,
        due_at,
        severity: severity(it),
        because,
        stop_by: it.owed.as_str(),
        policy: "owe",
        policy_version: policies.owe.version(),
        imported: false,
        owner: it.owner.clone().or_else(|| dossier.neglect.owner.clone()),
    }
}

fn severity(it: &Obligation) -> Severity {
    let critical = it.is_critical() || it.promised_for.is_some();
    if critical { Severity::Critical } else { Severity::Warning }
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
    let alert = id_of(tenant, &basis);
    let (occurrence, at) = match dossier.alerts.alerts.get(&alert) {
        None => (1, cause.from),
        // What it was withdrawn or resolved for is gone again.
        Some(it) if !it.status.is_open() => (it.occurrence + 1, cause.from.max(it.since)),
        Some(_) => return None,
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

/// The id of the alert about an episode.
fn id_of(tenant: &Tenant, basis: &str) -> Ident {
    let id = mint::reaction_id(tenant, "neglect", "alert.raised", basis, 1).to_string();
    id.parse().expect("a UUID is an id")
}

/// Everything that is, was or will be overdue, by the id of its alert; nothing if no alert asks.
fn standings<'a>(
    tenant: &Tenant,
    customer: Option<&CustomerId>,
    dossier: &'a Dossier,
) -> BTreeMap<Ident, Standing<'a>> {
    let mut found = BTreeMap::new();
    if dossier.alerts.alerts.values().all(|it| it.status == Status::Withdrawn) {
        return found;
    }
    let clocks = &dossier.neglect;
    let mut add = |kind: &str, episode: &str, standing: Option<Standing<'a>>| {
        if let Some(standing) = standing {
            found.insert(id_of(tenant, &clock::basis(kind, customer, episode)), standing);
        }
    };
    for it in &clocks.past {
        let overdue = &it.overdue;
        let ended = overdue.ended.as_ref();
        let held = overdue.held.clone();
        let (from, due_at) = (overdue.from, overdue.due_at);
        let standing = Standing { from, due_at, severity: None, ended, held };
        add(&it.kind, &it.episode, Some(standing));
    }
    for which in [Which::They, Which::We] {
        let watch = clocks.watch_of(which);
        if let Some(day) = watch.episode {
            add(which.alert_kind(), &day.to_string(), Standing::of(&watch.timer));
        }
    }
    for it in &clocks.obligations {
        // What was met in time was never overdue.
        if it.is_open() || it.timer.overdue.is_some() {
            let standing = Standing::of(&it.timer);
            let severity = Some(severity(it));
            add("we_owe", &it.episode(), standing.map(|it| Standing { severity, ..it }));
        }
    }
    found
}

/// Whether a late, voiding or merging fact shows that it was not overdue when it was raised.
fn verdict<'a>(
    id: &Ident,
    alert: &Alert,
    dossier: &Dossier,
    standings: &BTreeMap<Ident, Standing<'a>>,
) -> Verdict<'a> {
    if !matches!(alert.kind.as_str(), "they_silent" | "we_silent" | "we_owe") {
        return Verdict::Unknown;
    }
    match standings.get(id) {
        Some(it) if it.from <= alert.raised_at => Verdict::Right(it.clone()),
        None if dossier.neglect.forgotten.is_some_and(|it| alert.due_at <= it) => Verdict::Unknown,
        _ => Verdict::Mistaken,
    }
}

/// An alert that has ended was right by the policy it was raised under; another one judges only what
/// still rings.
fn is_to_be_withdrawn(alert: &Alert, policies: &Policies) -> bool {
    let active = match alert.policy.as_str() {
        "owe" => policies.owe.version(),
        _ => policies.neglect.version(),
    };
    match alert.status {
        Status::Withdrawn => false,
        Status::Resolved => u64::from(alert.policy_version) == active,
        _ => true,
    }
}

/// What shows the mistake: the newest reset of the clock, the closing fact, the promise in its place,
/// or the answer since which we wait.
fn evidence(dossier: &Dossier, alert: &Alert) -> Vec<EventRef> {
    let clocks = &dossier.neglect;
    let newest = match alert.kind.as_str() {
        "they_silent" => clocks.they.newest.clone(),
        "we_silent" => clocks.we.newest.clone(),
        _ => {
            let opened_by = alert.because.first();
            let own = clocks.obligations.iter().find(|it| {
                Some(&it.opened_by) == opened_by && it.owed.as_str() == alert.stop_by.as_str()
            });
            let covering = own.and_then(|it| clocks.covered_by(it));
            let covering = covering.map(|it| it.opened_by.clone());
            let waits = own.and_then(|it| it.paused_by.clone());
            let closed = own.and_then(|it| it.closed.as_ref()).map(|(_, by)| by.clone());
            return closed.or(covering).or(waits).into_iter().collect();
        }
    };
    newest.map(|(_, event)| vec![event]).unwrap_or_default()
}

/// What happens to an open alert next, if nothing stops it.
fn next(
    id: &Ident,
    alert: &Alert,
    held: &[Interval],
    policies: &Policies,
    now: Timestamp,
) -> Option<(Timestamp, What)> {
    if let (Status::Snoozed, Some(until)) = (alert.status, alert.snoozed_until) {
        let at = until.min(snoozed_at_most(alert, policies));
        return Some((at, What::Raise(Box::new(again(id, alert, at)))));
    }
    if let (Status::Acknowledged, Some(owner)) = (alert.status, &alert.claimed_from) {
        // Whoever took it from the worklist let it go: it waits again, where it stood.
        let at = acknowledged_until(alert, held, policies)?;
        let raise = Raise { owner: owner.clone(), ..again(id, alert, at) };
        return Some((at, What::Raise(Box::new(raise))));
    }
    let Reached { at, step, reason } = present(alert, held, policies, now)?;
    let to = superior(alert, policies, step).unwrap_or_else(|| alert.owner.clone());
    Some((at, What::Escalate { step, to, reason }))
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
