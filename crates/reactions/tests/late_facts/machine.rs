//! The folds and the reactions over a log that is a list in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::cloudevents::{self, Sender};
use events::envelope::{Incoming, Recorded};
use events::fact::Fact;
use events::id::{EventRef, Tenant};
use events::kind::Kind;
use events::policy::{Policies, PolicyHistory};
use jiff::Timestamp;
use projections::alerts::due::What;
use projections::alerts::{Status, due};
use projections::dossier::put_in_order;
use projections::neglect::Which;
use projections::{Dossier, Entry, Holder, loyalty, promises};
use reactions::draft::Draft;
use serde_json::{Value, json};

use super::history::{History, Raw};

const KEY: &[u8] = b"a key of thirty-two bytes, or so";
/// Rounds in which the reactions have to come to rest.
const ROUNDS_MAX: usize = 60;

/// How an alert ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Open,
    Resolved,
    Withdrawn,
}

/// The log of one customer and what follows from it.
#[derive(Debug)]
pub(crate) struct Machine {
    tenant: Tenant,
    holder: Holder,
    policies: Policies,
    /// Whether alerts are passed on.
    escalates: bool,
    log: Vec<(Recorded, Fact)>,
    known: BTreeSet<EventRef>,
    dossier: Dossier,
}

/// How everything stands in the end.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    open_alerts: BTreeSet<String>,
    obligations: BTreeSet<String>,
    clocks: Vec<String>,
    tier: String,
    promises: Vec<String>,
}

impl Summary {
    /// How everything stands in a dossier under the default policies.
    pub(crate) fn of(holder: &Holder, dossier: &Dossier) -> Self {
        let (tenant, policies) = ("main".parse().unwrap(), &Policies::default());
        let clocks = &dossier.neglect;
        let present = due::present_terms(&tenant, holder, dossier);
        let open = dossier.alerts.alerts.iter().filter(|(_, it)| it.status.is_open());
        Self {
            open_alerts: open
                .map(|(id, it)| {
                    let (due_at, severity) =
                        present.get(id).copied().unwrap_or((it.due_at, it.severity));
                    format!("{} {id} due {due_at} {} {}", it.kind, severity.as_str(), it.stop_by)
                })
                .collect(),
            obligations: clocks
                .obligations
                .iter()
                .map(|it| {
                    let covered = clocks.covered_by(it).map(|it| it.opened_by.to_string());
                    format!(
                        "{} due {:?} closed {:?} paused {:?} covered {covered:?} overdue {:?}",
                        it.episode(),
                        it.due_at(policies),
                        it.closed,
                        it.paused_at,
                        it.timer.moment().filter(|_| it.timer.overdue.is_some() || it.is_open()),
                    )
                })
                .collect(),
            clocks: [Which::They, Which::We]
                .into_iter()
                .map(|which| {
                    let clock = clocks.inputs(which).map(|it| it.clock(policies));
                    format!("{clock:?} {:?}", clocks.because(which))
                })
                .collect(),
            tier: format!(
                "{:?} {:?}",
                loyalty::table::row(&dossier.loyalty, policies).tier,
                clocks.tier
            ),
            promises: dossier
                .promises
                .iter()
                .map(|(id, it)| {
                    format!(
                        "{id} {:?} due {} rounds {} {:?}",
                        it.standing(),
                        it.due_at,
                        it.rounds,
                        it.fulfilled
                    )
                })
                .collect(),
        }
    }

    /// Where two of them differ.
    pub(crate) fn agrees(&self, other: &Self) -> Result<(), String> {
        let differs = |what: &str, one: String, other: String| {
            Err(format!("{what}\n  in order    {one}\n  in disorder {other}"))
        };
        if self.promises != other.promises {
            return differs(
                "promises",
                format!("{:?}", self.promises),
                format!("{:?}", other.promises),
            );
        }
        if self.tier != other.tier {
            return differs("tier", self.tier.clone(), other.tier.clone());
        }
        if self.clocks != other.clocks {
            return differs("clocks", format!("{:?}", self.clocks), format!("{:?}", other.clocks));
        }
        if self.obligations != other.obligations {
            let (one, two) = (&self.obligations, &other.obligations);
            return differs("obligations", format!("{:?}", one - two), format!("{:?}", two - one));
        }
        if self.open_alerts != other.open_alerts {
            let (one, two) = (&self.open_alerts, &other.open_alerts);
            return differs("open alerts", format!("{:?}", one - two), format!("{:?}", two - one));
        }
        Ok(())
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (it, _) in &self.log {
            let voids =
                it.attributes.voids.as_ref().map_or(String::new(), |it| format!(" voids {it}"));
            writeln!(
                f,
                "{:>3} {} (recorded {}) {} {} {}{voids}",
                it.position, it.occurred_at, it.recorded_at, it.kind, it.id, it.data
            )?;
        }
        Ok(())
    }
}

impl Machine {
    pub(crate) fn new(customer: &str, escalates: bool) -> Self {
        Self {
            tenant: "main".parse().unwrap(),
            holder: Holder::stored(customer),
            policies: Policies::default(),
            escalates,
            log: Vec::new(),
            known: BTreeSet::new(),
            dossier: Dossier::default(),
        }
    }

    /// Records a history in order, and lets the reactions look whenever something is due.
    pub(crate) fn in_order(
        customer: &str,
        history: &History,
        end: Timestamp,
    ) -> Result<Self, String> {
        let mut machine = Self::new(customer, false);
        let mut facts = history.standing();
        facts.sort_by_key(|it| it.time);
        for same in facts.chunk_by(|a, b| a.time == b.time) {
            machine.pass_until(same[0].time)?;
            for it in same {
                machine.record(it, it.time);
            }
            machine.rest(same[0].time)?;
        }
        machine.pass_until(end)?;
        machine.rest(end)?;
        Ok(machine)
    }

    /// Records what a publisher sends.
    pub(crate) fn record(&mut self, raw: &Raw, now: Timestamp) {
        let event = raw.event(self.holder.as_str());
        let sender = Sender {
            tenant: &self.tenant,
            now,
            may_import: true,
            sources: None,
            route: None,
            key: KEY,
            refuse_unknown_fields: true,
            venues: &[],
        };
        let read = cloudevents::structured(event.to_string().as_bytes(), &sender);
        let incoming = read.unwrap_or_else(|it| panic!("{it} {:?} in {event}", it.errors));
        assert!(self.append(incoming, now), "a history has each id once");
    }

    /// Whether it was new.
    fn append(&mut self, it: Incoming, now: Timestamp) -> bool {
        if !self.known.insert(it.reference()) {
            return false;
        }
        let version = self.log.iter().filter(|(own, _)| own.stream == it.stream).count() + 1;
        let recorded = Recorded {
            position: i64::try_from(self.log.len()).unwrap() + 1,
            tenant: it.tenant,
            stream: it.stream,
            version: i64::try_from(version).unwrap(),
            source: it.source,
            id: it.id,
            kind: it.kind,
            schema_version: it.schema_version,
            customer: it.customer,
            occurred_at: it.occurred_at,
            recorded_at: now,
            causation_id: it.causation_id,
            correlation_id: it.correlation_id,
            trace: it.trace,
            attributes: it.attributes,
            data: it.data,
        };
        let fact = recorded.fact().unwrap();
        let voids = recorded.attributes.voids.is_some() || self.is_voided(&recorded.reference());
        let applies = !voids && self.dossier.is_in_order(&recorded);
        if applies {
            let day = self.policies.calendar.local_date(recorded.occurred_at);
            let entry = Entry { event: &recorded, fact: &fact, day };
            self.dossier.apply(&entry, &self.policies);
        }
        self.log.push((recorded, fact));
        if !applies {
            self.restart();
        }
        true
    }

    /// Forgets everything but the log, and folds that.
    pub(crate) fn restart(&mut self) {
        self.dossier = self.fold();
    }

    fn fold(&self) -> Dossier {
        let standing = self.log.iter().filter(|(it, _)| !self.is_voided(&it.reference()));
        let mut facts: Vec<(&Recorded, &Fact)> = standing.map(|(it, fact)| (it, fact)).collect();
        put_in_order(&mut facts);
        let calendar = &self.policies.calendar;
        let entries: Vec<Entry<'_>> = facts
            .into_iter()
            .map(|(event, fact)| Entry { event, fact, day: calendar.local_date(event.occurred_at) })
            .collect();
        Dossier::fold(&entries, &self.policies)
    }

    fn is_voided(&self, id: &EventRef) -> bool {
        let own = self.log.iter().filter(|(it, _)| it.attributes.voids.as_ref() == Some(id));
        own.into_iter().any(|(it, _)| !self.is_voided(&it.reference()))
    }

    /// The reactions look until nothing is left to be recorded.
    pub(crate) fn rest(&mut self, now: Timestamp) -> Result<(), String> {
        for _ in 0..ROUNDS_MAX {
            let mut is_quiet = true;
            for drafts in 0..3 {
                for draft in self.drafts(drafts, now) {
                    let Ok(it) = draft.check(&self.tenant, KEY, now) else {
                        return Err(format!("the validator refuses {draft:?}"));
                    };
                    if self.append(it, now) {
                        is_quiet = false;
                    }
                }
            }
            if is_quiet {
                let left: Vec<Draft> = (0..3).flat_map(|it| self.drafts(it, now)).collect();
                return match left.first() {
                    None => Ok(()),
                    Some(it) => Err(format!("is asked for again and again: {it:?}")),
                };
            }
        }
        Err(format!("the reactions do not come to rest:\n{self}"))
    }

    fn drafts(&self, reaction: usize, now: Timestamp) -> Vec<Draft> {
        let (tenant, holder, policies) = (&self.tenant, &self.holder, &self.policies);
        let history = PolicyHistory::new();
        match reaction {
            0 => reactions::promise::decide::decide(tenant, holder, &self.dossier, now),
            1 => reactions::loyalty::decide::decide(
                tenant,
                holder,
                &self.dossier,
                policies,
                &history,
                now,
            ),
            _ => {
                let mut drafts = Vec::new();
                for rationed in [false, true] {
                    drafts.extend(reactions::alert::decide::decide(
                        tenant,
                        holder,
                        &self.dossier,
                        policies,
                        now,
                        rationed,
                    ));
                }
                drafts.retain(|it| self.escalates || it.kind != Kind::AlertEscalated);
                drafts
            }
        }
    }

    /// Lets time pass until just before an instant, looking whenever something is due.
    pub(crate) fn pass_until(&mut self, end: Timestamp) -> Result<(), String> {
        let mut now = Timestamp::UNIX_EPOCH;
        while let Some(at) = self.next_due().filter(|it| now < *it && *it < end) {
            self.rest(at)?;
            now = at;
        }
        Ok(())
    }

    fn next_due(&self) -> Option<Timestamp> {
        let mut moments: Vec<Timestamp> =
            promises::due::dues(&self.dossier.promises).iter().map(|it| it.at).collect();
        let calendar = &self.policies.calendar;
        let history = PolicyHistory::new();
        let change = loyalty::due::next_change(&self.dossier.loyalty, &history, calendar);
        moments.extend(change.map(|it| it.at));
        let (tenant, holder) = (&self.tenant, &self.holder);
        let dues = due::dues(tenant, holder, &self.dossier, &self.policies, Timestamp::MIN);
        let wanted = dues.iter().filter(|it| !matches!(it.what, What::Escalate { .. }));
        moments.extend(wanted.map(|it| it.at));
        moments.into_iter().min()
    }

    /// How everything stands.
    pub(crate) fn summary(&self) -> Summary {
        Summary::of(&self.holder, &self.dossier)
    }

    /// What was folded fact by fact is what a fold of the whole log gives.
    pub(crate) fn is_what_its_facts_say(&self) -> Result<(), String> {
        if self.fold() == self.dossier {
            return Ok(());
        }
        Err("a fold of the whole log gives another dossier".to_owned())
    }

    /// What Sapa recorded.
    pub(crate) fn derived(&self) -> impl Iterator<Item = &Recorded> {
        self.log.iter().map(|(it, _)| it).filter(|it| it.source.as_str().starts_with("/sapa/"))
    }

    /// How each alert ended. Each occurrence ends at most once in each way.
    pub(crate) fn ends(&self) -> Result<BTreeMap<String, Ended>, String> {
        let mut ends: BTreeMap<String, Ended> = BTreeMap::new();
        let mut occurrences: HashMap<String, (i64, bool, bool)> = HashMap::new();
        for it in self.derived() {
            let data: Value = serde_json::from_str(&it.data).unwrap();
            let Some(alert) = data["alert"].as_str().map(str::to_owned) else { continue };
            let own = occurrences.entry(alert.clone()).or_default();
            match it.kind {
                Kind::AlertRaised => {
                    if data["occurrence"] != json!(own.0 + 1) {
                        return Err(format!(
                            "{alert} rings a {}th time after {}",
                            data["occurrence"], own.0
                        ));
                    }
                    if ends.get(&alert) == Some(&Ended::Open) {
                        return Err(format!("{alert} is raised while it is open"));
                    }
                    *own = (own.0 + 1, false, false);
                    ends.insert(alert, Ended::Open);
                }
                Kind::AlertResolved if !own.1 && !own.2 => {
                    own.1 = true;
                    ends.insert(alert, Ended::Resolved);
                }
                Kind::AlertWithdrawn if !own.2 => {
                    own.2 = true;
                    ends.insert(alert, Ended::Withdrawn);
                }
                Kind::AlertResolved | Kind::AlertWithdrawn => {
                    return Err(format!("{alert} ends twice"));
                }
                _ => {}
            }
        }
        for (id, alert) in &self.dossier.alerts.alerts {
            let ended = match alert.status {
                Status::Resolved => Ended::Resolved,
                Status::Withdrawn => Ended::Withdrawn,
                _ => Ended::Open,
            };
            if ends.get(id.as_str()) != Some(&ended) {
                return Err(format!("{id} is {ended:?} and should be {:?}", ends.get(id.as_str())));
            }
        }
        Ok(ends)
    }
}
