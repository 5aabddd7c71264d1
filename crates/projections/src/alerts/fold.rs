//! The life of an alert (product 6.15), one of its events after another.

use std::collections::BTreeMap;

use events::fact::Fact;
use events::fact::alert::{EscalationReason, Severity};
use events::fact::interaction::Outcome;
use events::id::{EventRef, Ident, Slug};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::neglect::{self, Inputs, Which};
use crate::promises;

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

/// What an alert rang on, kept so that a late fact can be held against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The clock as it stood when it rang.
    Silence(Option<Inputs>),
    /// The obligation was open when it rang.
    Owe {
        /// Which: what is owed and the event that opened it.
        episode: Option<String>,
    },
    /// A kind that no rule here judges.
    Other,
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
    /// For those: the UTC date on which it was recorded.
    pub rationed_on: Option<String>,
    /// What it rang on.
    pub basis: Basis,
    /// The first right act after it became due.
    pub stopped: Option<(Timestamp, EventRef)>,
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
    /// Folds one fact in, while the clocks still stand as they stood before it.
    pub fn apply(
        &mut self,
        entry: &Entry<'_>,
        clocks: &neglect::State,
        _promises: &promises::State,
    ) {
        if !entry.is_alert() {
            self.stop(entry);
            return;
        }
        match entry.fact {
            Fact::AlertRaised(it) => self.raise(entry, it, clocks),
            Fact::AlertAcknowledged(it) => self.change(entry, &it.alert, |alert| {
                alert.ack_until = Some(it.until);
                alert.owner = it.by.clone();
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

    fn raise(
        &mut self,
        entry: &Entry<'_>,
        it: &events::fact::alert::Raised,
        clocks: &neglect::State,
    ) {
        if let Some(known) = self.alerts.get_mut(&it.alert) {
            known.occurrence = it.occurrence;
            known.raised_at = entry.at();
            known.due_at = it.due_at;
            known.because.clone_from(&it.because);
            // It rings on what is known now, so that is what a later fact is held against.
            known.basis = basis(it, clocks);
            known.snoozed_until = None;
            known.ended_by = None;
            known.stopped = None;
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
            snoozed_until: None,
            snoozes: 0,
            because: it.because.clone(),
            stop_by: it.stop_by.clone(),
            policy: it.policy.clone(),
            policy_version: it.policy_version,
            imported: entry.is_imported(),
            rationed_on: entry.is_imported().then(|| ration_day(entry.event.recorded_at)),
            basis: basis(it, clocks),
            stopped: None,
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
        }
        alert.note(entry, to, entry.event.attributes.actor.to_string(), note);
    }

    /// Notices the first right act after each alert became due.
    fn stop(&mut self, entry: &Entry<'_>) {
        let they = entry.resets_they()
            || matches!(entry.fact, Fact::InteractionContacted(it) if it.outcome == Outcome::Reached);
        let we = entry.resets_we();
        if !they && !we {
            return;
        }
        for alert in self.alerts.values_mut().filter(|it| it.stopped.is_none()) {
            let right = match alert.kind.as_str() {
                "they_silent" => they,
                "we_silent" => we,
                _ => false,
            };
            if right && alert.due_at < entry.at() {
                alert.stopped = Some((entry.at(), entry.reference()));
            }
        }
    }
}

impl Alert {
    fn note(&mut self, entry: &Entry<'_>, to: Status, by: String, note: Option<String>) {
        self.status = to;
        self.since = entry.at();
        if entry.is_imported() {
            // It is about history: nobody could take it before that was loaded, so the time in
            // which somebody should have taken it does not begin in the past.
            self.since = self.since.max(entry.event.recorded_at);
        }
        self.version += 1;
        self.history.push(Change { at: entry.at(), event: entry.reference(), to, by, note });
        if HISTORY_MAX < self.history.len() {
            self.history.remove(0);
        }
    }
}

/// The facts before an alert rang are all folded when it is, whenever they were recorded: so this
/// is what the clock should have read.
fn basis(it: &events::fact::alert::Raised, clocks: &neglect::State) -> Basis {
    let which = [Which::They, Which::We].into_iter().find(|w| w.alert_kind() == it.kind.as_str());
    match which {
        Some(which) => Basis::Silence(clocks.inputs(which)),
        None if it.kind.as_str() == "we_owe" => {
            let stop_by = it.stop_by.as_str();
            let opened_by = it.because.first();
            let open = clocks.obligations.iter().find(|o| {
                o.is_open() && o.owed.as_str() == stop_by && Some(&o.opened_by) == opened_by
            });
            Basis::Owe { episode: open.map(neglect::Obligation::episode) }
        }
        None => Basis::Other,
    }
}

/// The day a ration belongs to, the same for every tenant: a UTC date.
#[must_use]
pub fn ration_day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn reason(it: EscalationReason) -> &'static str {
    it.as_str()
}
