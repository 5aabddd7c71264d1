//! The life of an alert (product 6.15), one of its events after another, as they were recorded.
//!
//! It says who was told what. Whether an alert should ring follows from the facts: see [`super::due`].

use std::collections::BTreeMap;

use events::fact::Fact;
use events::fact::alert::{EscalationReason, Severity};
use events::id::{EventRef, Ident, Slug};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entry::Entry;

/// Changes of one alert that are remembered.
pub const HISTORY_MAX: usize = 100;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It rings and nobody has it.
    Raised,
    /// Somebody has it until a time.
    Acknowledged,
    /// Put off until a time.
    Snoozed,
    /// It rings with the next person.
    Escalated,
    /// The right act was done.
    Resolved,
    /// It should never have rung.
    Withdrawn,
}

impl Status {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Escalated => "escalated",
            Self::Resolved => "resolved",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Not resolved and not withdrawn.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Withdrawn)
    }
}

/// One change of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The event that says so.
    pub event: EventRef,
    /// The state from then on.
    pub to: Status,
    /// Who.
    pub by: String,
    /// Why, for a snooze; which reason, for an escalation.
    pub note: Option<String>,
}

/// A hand-out of the worklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// The position of its event.
    pub position: i64,
    /// How many hand-outs in a row went ahead of a lower band that waited, with this one.
    pub run: u32,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// `we_silent`, `we_owe` …
    pub kind: Slug,
    /// Which time the episode rings, from 1.
    pub occurrence: u32,
    /// How urgent.
    pub severity: Severity,
    /// Where it stands.
    pub status: Status,
    /// 0 owner, 1 lead, 2 manager.
    pub step: u32,
    /// When this occurrence was raised.
    pub raised_at: Timestamp,
    /// When the present state began.
    pub since: Timestamp,
    /// When the episode became overdue.
    pub due_at: Timestamp,
    /// Who has it now.
    pub owner: Ident,
    /// Whose team.
    pub team: Slug,
    /// Acknowledged until then, as it was asked for.
    pub ack_until: Option<Timestamp>,
    /// It was handed out by the worklist; if that lapses it goes back to this owner.
    pub claimed_from: Option<Ident>,
    /// When the worklist last handed it out.
    pub handed: Option<Handed>,
    /// Snoozed until then, as it was asked for.
    pub snoozed_until: Option<Timestamp>,
    /// How often it was snoozed.
    pub snoozes: i64,
    /// The events it rang on.
    pub because: Vec<EventRef>,
    /// The act that stops it.
    pub stop_by: Slug,
    /// The policy that rang it.
    pub policy: Slug,
    /// And its version.
    pub policy_version: u32,
    /// It rang on imported history only, and counts against the ration of its team.
    pub imported: bool,
    /// For those: when it was recorded first.
    pub rationed_at: Option<Timestamp>,
    /// The event that ended it.
    pub ended_by: Option<EventRef>,
    /// Its changes, the newest last.
    pub history: Vec<Change>,
    /// Events about it so far.
    pub version: i64,
}

/// What this fold remembers of one customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// All alerts, by id.
    pub alerts: BTreeMap<Ident, Alert>,
}

impl State {
    /// Folds one event about an alert in, after all that was recorded before it; others say nothing.
    pub fn apply(&mut self, entry: &Entry<'_>) {
        match entry.fact {
            Fact::AlertRaised(it) => self.raise(entry, it),
            Fact::AlertAcknowledged(it) => self.change(entry, &it.alert, |alert| {
                alert.ack_until = Some(it.until);
                let owner = std::mem::replace(&mut alert.owner, it.by.clone());
                alert.claimed_from = it.run.map(|_| alert.claimed_from.take().unwrap_or(owner));
                if let Some(run) = it.run {
                    alert.handed = Some(Handed { position: entry.event.position, run });
                }
                (Status::Acknowledged, None)
            }),
            Fact::AlertSnoozed(it) => self.change(entry, &it.alert, |alert| {
                alert.snoozed_until = Some(it.until);
                alert.snoozes += 1;
                (Status::Snoozed, Some(it.reason.clone()))
            }),
            Fact::AlertEscalated(it) => self.change(entry, &it.alert, |alert| {
                alert.step = it.step;
                alert.owner = it.to.clone();
                (Status::Escalated, Some(reason(it.reason).to_owned()))
            }),
            Fact::AlertResolved(it) => self.change(entry, &it.alert, |alert| {
                alert.ended_by = Some(it.by.clone());
                (Status::Resolved, None)
            }),
            Fact::AlertWithdrawn(it) => self.change(entry, &it.alert, |alert| {
                alert.ended_by = Some(entry.reference());
                (Status::Withdrawn, None)
            }),
            _ => {}
        }
    }

    fn raise(&mut self, entry: &Entry<'_>, it: &events::fact::alert::Raised) {
        if let Some(known) = self.alerts.get_mut(&it.alert) {
            known.occurrence = it.occurrence;
            known.raised_at = entry.at();
            known.due_at = it.due_at;
            known.because.clone_from(&it.because);
            if known.claimed_from.take().is_some() {
                known.owner = it.owner.clone();
            }
            (known.ack_until, known.snoozed_until) = (None, None);
            known.ended_by = None;
            let by = entry.event.attributes.actor.to_string();
            known.note(entry, Status::Raised, by, None);
            return;
        }
        let mut alert = Alert {
            kind: it.kind.clone(),
            occurrence: it.occurrence,
            severity: it.severity,
            status: Status::Raised,
            step: 0,
            raised_at: entry.at(),
            since: entry.at(),
            due_at: it.due_at,
            owner: it.owner.clone(),
            team: it.team.clone(),
            ack_until: None,
            claimed_from: None,
            handed: None,
            snoozed_until: None,
            snoozes: 0,
            because: it.because.clone(),
            stop_by: it.stop_by.clone(),
            policy: it.policy.clone(),
            policy_version: it.policy_version,
            imported: entry.is_imported(),
            rationed_at: entry.is_imported().then_some(entry.event.recorded_at),
            ended_by: None,
            history: Vec::new(),
            version: 0,
        };
        alert.note(entry, Status::Raised, entry.event.attributes.actor.to_string(), None);
        self.alerts.insert(it.alert.clone(), alert);
    }

    fn change(
        &mut self,
        entry: &Entry<'_>,
        alert: &Ident,
        change: impl FnOnce(&mut Alert) -> (Status, Option<String>),
    ) {
        let Some(alert) = self.alerts.get_mut(alert) else { return };
        let ends = matches!(entry.fact, Fact::AlertResolved(_) | Fact::AlertWithdrawn(_));
        // What is ended stays so until it is raised again; only a withdrawal still counts.
        if !alert.status.is_open() && !matches!(entry.fact, Fact::AlertWithdrawn(_)) {
            return;
        }
        let (to, note) = change(alert);
        if !ends && to != Status::Acknowledged {
            alert.ack_until = None;
            alert.claimed_from = None;
        }
        alert.note(entry, to, entry.event.attributes.actor.to_string(), note);
    }
}

impl Alert {
    fn note(&mut self, entry: &Entry<'_>, to: Status, by: String, note: Option<String>) {
        self.status = to;
        self.since = entry.at();
        if to == Status::Raised {
            // Nobody could take it before it was recorded, however long it has been due.
            self.since = self.since.max(entry.event.recorded_at);
        }
        self.version += 1;
        self.history.push(Change { at: entry.at(), event: entry.reference(), to, by, note });
        if HISTORY_MAX < self.history.len() {
            self.history.remove(0);
        }
    }
}

fn reason(it: EscalationReason) -> &'static str {
    it.as_str()
}
