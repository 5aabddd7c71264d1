//! Late facts as a property: a history that was recorded in any order, with any restarts between,
//! ends as if it had been recorded in order.
//!
//! A seed decides a history of one customer, the order in which it is recorded, and when the reactions
//! look. Everything runs as in the product, but the log is a list in memory. `SAPA_SEED=7` runs one
//! seed and shows what was recorded; `SAPA_SEEDS=20000` runs more of them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be made up fails loudly"
)]

mod history;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod property;

use std::collections::{BTreeMap, BTreeSet};

use events::envelope::Recorded;
use events::kind::Kind;
use history::History;
use jiff::{SignedDuration, Timestamp};
use machine::{Ended, Machine, Summary};

/// Histories in every run of the tests.
const SEEDS: u64 = 3_000;

/// Numbers that follow from a seed (`SplitMix64`).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        it ^ (it >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap())).unwrap()
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Records a history late and in disorder, and lets the reactions look now and then. Says how often.
fn in_disorder(
    dice: &mut Dice,
    history: &History,
    end: Timestamp,
) -> Result<(Machine, usize), String> {
    let mut machine = Machine::new("c-1", true);
    let all_at_once = dice.percent(15);
    let mut arrivals: Vec<(Timestamp, u64, usize)> = Vec::new();
    for (index, it) in history.facts.iter().enumerate() {
        let hours = match dice.below(6) {
            0..3 => 0,
            3 => i64::try_from(dice.below(12)).unwrap(),
            4 => i64::try_from(dice.below(24 * 20)).unwrap(),
            _ => 24 * 400,
        };
        let at =
            if all_at_once { end } else { (it.time + SignedDuration::from_hours(hours)).min(end) };
        arrivals.push((at, dice.next(), index));
    }
    arrivals.sort();
    let (mut now, mut looks) = (Timestamp::UNIX_EPOCH, 0);
    for (at, _, index) in arrivals {
        if now < at && dice.percent(60) {
            // The reactions look between two facts, perhaps after a long time of standing still.
            let between = at.duration_since(now).as_secs();
            let part = i64::try_from(dice.below(1_000)).unwrap();
            let then =
                now.max(at - SignedDuration::from_secs(between.min(90 * 86_400) * part / 1_000));
            machine.rest(then)?;
            looks += 1;
        }
        now = now.max(at);
        machine.record(&history.facts[index], now);
        if dice.percent(20) {
            machine.restart();
        }
        if dice.percent(50) {
            machine.rest(now)?;
            looks += 1;
        }
    }
    machine.rest(end)?;
    Ok((machine, looks + 1))
}

/// What is wrong about a history, if anything is.
fn judge(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed);
    let history = History::random(&mut dice);
    let end =
        history.end() + SignedDuration::from_hours(i64::try_from(dice.below(24 * 60)).unwrap());
    let ordered = Machine::in_order("c-1", &history, end)?;
    let (disordered, looks) = in_disorder(&mut dice, &history, end)?;
    if std::env::var_os("SAPA_SEED").is_some() {
        eprintln!("end {end}\nin order\n{ordered}\nin disorder\n{disordered}");
    }
    let (one, other): (Summary, Summary) = (ordered.summary(), disordered.summary());
    one.agrees(&other)?;
    disordered.is_what_its_facts_say()?;
    // Whatever is recorded in order rings when it is due, and never by mistake.
    let mistaken = |it: &&Recorded| {
        let is_again = it.kind == Kind::AlertRaised && !it.data.contains("\"occurrence\":1,");
        is_again || it.kind == Kind::AlertWithdrawn
    };
    if let Some(it) = ordered.derived().find(mistaken) {
        return Err(format!("recorded in order, {} {}", it.kind, it.data));
    }
    let (right, found) = (ordered.ends()?, disordered.ends()?);
    withdrawn_if_wrong(&right, &found)?;
    is_bounded(&history, &disordered, looks)
}

/// What rang on something that turned out wrong is withdrawn, and only that is not told as right.
fn withdrawn_if_wrong(
    right: &BTreeMap<String, Ended>,
    found: &BTreeMap<String, Ended>,
) -> Result<(), String> {
    for (alert, ended) in found {
        match (right.get(alert), ended) {
            // It was wrong and was taken back, or it was over before anybody knew that it had been right.
            (None | Some(Ended::Resolved), Ended::Withdrawn)
            | (Some(Ended::Open), Ended::Open)
            | (Some(Ended::Resolved), Ended::Resolved) => {}
            (None, other) => return Err(format!("{alert} was wrong and is {other:?}")),
            (Some(one), other) => return Err(format!("{alert} is {other:?}, should be {one:?}")),
        }
    }
    Ok(())
}

/// Derived events follow facts and looks, however much time passes between them.
fn is_bounded(history: &History, machine: &Machine, looks: usize) -> Result<(), String> {
    let alerts: BTreeSet<String> = machine.ends()?.into_keys().collect();
    let derived = machine.derived().count();
    let steps = machine.derived().filter(|it| it.kind == Kind::AlertEscalated).count();
    let facts = history.facts.len();
    if looks * alerts.len() < steps {
        return Err(format!("{steps} steps of {} alerts in {looks} looks", alerts.len()));
    }
    if 6 * facts < derived - steps {
        return Err(format!("{derived} derived events, {steps} of them steps, of {facts} facts"));
    }
    Ok(())
}

#[test]
fn the_order_in_which_facts_are_recorded_does_not_matter() {
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    if let Some(seed) = number("SAPA_SEED") {
        judge(seed).unwrap();
        return;
    }
    let seeds = number("SAPA_SEEDS").unwrap_or(SEEDS);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                scope.spawn(move || {
                    let own = (0..seeds).filter(|it| it % 4 == worker);
                    own.filter_map(|seed| Some(format!("seed {seed}: {}", judge(seed).err()?)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|it| it.join().unwrap()).collect()
    });
    let shown: Vec<&str> = failed.iter().take(10).map(String::as_str).collect();
    assert!(failed.is_empty(), "{} of {seeds} histories:\n{}", failed.len(), shown.join("\n"));
}
