//! What has to hold of every history, and the test that tries so many of them.

use std::collections::{BTreeMap, BTreeSet};

use events::envelope::Recorded;
use events::kind::Kind;
use jiff::{SignedDuration, Timestamp};

use super::Dice;
use super::history::History;
use super::machine::{Ended, Machine, Summary};

/// Histories in every run of the tests.
const SEEDS: u64 = 3_000;

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
            // The last of these was over before anybody knew that it had been right after all.
            (None, Ended::Withdrawn)
            | (Some(Ended::Open), Ended::Open)
            | (Some(Ended::Resolved), Ended::Resolved | Ended::Withdrawn) => {}
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
