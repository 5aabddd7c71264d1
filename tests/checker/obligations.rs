//! The verdict on what is owed to customers: alerts ring once, for everybody, and promises break once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::EventRef;
use events::kind::Kind;
use jiff::SignedDuration;
use serde_json::Value;

use crate::judge::Verdict;
use crate::load;

/// I8: by the log itself.
pub fn one_alert_an_episode(facts: &[Recorded]) -> Verdict {
    let mut against = Vec::new();
    let mut open: BTreeMap<String, bool> = BTreeMap::new();
    let mut rung = BTreeSet::new();
    for it in facts {
        let Ok(data) = serde_json::from_str::<Value>(&it.data) else { continue };
        let alert = data["alert"].as_str().unwrap_or_default().to_owned();
        match it.kind {
            Kind::AlertRaised => {
                if !rung.insert((alert.clone(), data["occurrence"].as_u64())) {
                    against.push(format!("{alert} rang twice for one episode, at {}", it.position));
                }
                if open.insert(alert.clone(), true) == Some(true) {
                    against.push(format!("{alert} rang at {} while it was open", it.position));
                }
            }
            Kind::AlertResolved | Kind::AlertWithdrawn => {
                if open.insert(alert.clone(), false) != Some(true) {
                    against.push(format!("{alert} was closed at {} and was not open", it.position));
                }
            }
            _ => {}
        }
    }
    let says = "An alert rings once an episode and is closed once.";
    Verdict::new("I8", says, format!("{} alerts rang", rung.len()), against)
}

/// Every inquiry of the load is days old and nobody answers it, and whoever is called silent has been so
/// for months, twice: each of these has to ring, and rings once.
pub fn nobody_is_forgotten(facts: &[Recorded], head: i64) -> Verdict {
    let mut rung: HashMap<(String, EventRef), BTreeSet<String>> = HashMap::new();
    for it in facts.iter().filter(|it| it.kind == Kind::AlertRaised) {
        let Ok(Fact::AlertRaised(it)) = it.fact() else { continue };
        for because in &it.because {
            let key = (it.kind.to_string(), because.clone());
            rung.entry(key).or_default().insert(it.alert.to_string());
        }
    }
    let (mut against, mut count) = (vec![], 0);
    // What was recorded after it was quiet had no time to ring.
    for it in facts.iter().take_while(|it| it.position <= head) {
        let silent = it.customer.as_ref().is_some_and(|it| load::is_silent(it.as_str()));
        let kind = match it.kind {
            Kind::InteractionInquired => "we_owe",
            Kind::InteractionContacted if silent => "we_silent",
            _ => continue,
        };
        count += 1;
        let alerts = rung.get(&(kind.to_owned(), it.reference())).map_or(0, BTreeSet::len);
        if alerts != 1 {
            against.push(format!("{alerts} alerts {kind} rang because of {}", it.reference()));
        }
    }
    let says =
        "Whoever waits for an answer or has been silent for too long has an alert of their own.";
    Verdict::new("I8", says, format!("{count} neglects"), against)
}

/// I9: every promise of the load is left to break.
pub fn promises_break_once(facts: &[Recorded]) -> Verdict {
    let mut against = Vec::new();
    let mut due: BTreeMap<String, jiff::Timestamp> = BTreeMap::new();
    let mut broken: BTreeMap<String, u32> = BTreeMap::new();
    for it in facts {
        let Ok(data) = serde_json::from_str::<Value>(&it.data) else { continue };
        let promise = data["promise"].as_str().unwrap_or_default().to_owned();
        match it.kind {
            Kind::PromiseMade => {
                if let Some(at) = data["due_at"].as_str().and_then(|it| it.parse().ok()) {
                    due.insert(promise, at);
                }
            }
            Kind::PromiseSettled if data["how"] == "broken" => {
                if due.get(&promise).is_none_or(|at| it.recorded_at < *at) {
                    against
                        .push(format!("{promise} was broken at {} before it was due", it.position));
                }
                *broken.entry(promise).or_default() += 1;
            }
            _ => {}
        }
    }
    let end = facts.last().map(|it| it.recorded_at - SignedDuration::from_secs(10));
    for (promise, at) in &due {
        let times = broken.get(promise).copied().unwrap_or(0);
        if times != 1 && end.is_some_and(|end| *at < end) {
            against.push(format!("{promise}, due {at}, was broken {times} times"));
        }
    }
    let says = "A promise that nobody kept breaks once, and never before it is due.";
    Verdict::new("I9", says, format!("{} promises", due.len()), against)
}
