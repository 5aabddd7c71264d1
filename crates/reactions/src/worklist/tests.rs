//! Fairness as properties, over random histories of a team: alerts come in, are handed out, and are
//! then done or left until the claim lapses.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

/// Hours that a debt comes earlier.
const HEAD_START: i64 = 48;

/// One thing that happens in a team.
#[derive(Clone, Debug)]
enum Act {
    /// An alert of a band rings, overdue for so many hours, with or without a head start.
    Rings { band: usize, late: i64, ahead: bool },
    /// Somebody asks for the next one, and does it or leaves it.
    Next { done: bool },
    /// So many minutes pass.
    Passes(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0_usize..3, 0_i64..400, any::<bool>())
            .prop_map(|(band, late, ahead)| Act::Rings { band, late, ahead }),
        4 => prop::bool::weighted(0.8).prop_map(|done| Act::Next { done }),
        1 => (1_i64..90).prop_map(Act::Passes),
    ];
    prop::collection::vec(act, 1..120)
}

/// One alert that waits.
#[derive(Clone, Debug)]
struct Waits {
    band: usize,
    due_at: Timestamp,
    standing: Standing,
    /// Which of all that ever waited it is.
    number: usize,
    /// Hand-outs of the team before it waited.
    since: i64,
}

/// A team, its queue and what has been handed out.
#[derive(Default)]
struct Team {
    now: Timestamp,
    waiting: BTreeMap<String, Waits>,
    claimed: Vec<(Timestamp, Waits)>,
    last: (i64, usize),
    count: usize,
    /// Everything that ever waited: its band, when it was due, and which hand-out it was.
    came: Vec<(usize, Timestamp, Option<i64>)>,
    hand_outs: i64,
}

impl Team {
    fn ring(&mut self, band: usize, due_at: Timestamp, ahead: bool) {
        self.count += 1;
        let id = format!("a-{:04}", self.count);
        let head = if ahead { HEAD_START } else { 0 };
        let standing = (due_at - SignedDuration::from_hours(head), due_at, id.clone());
        self.wait(id, Waits { band, due_at, standing, number: 0, since: 0 });
    }

    fn wait(&mut self, id: String, it: Waits) {
        let (number, since) = (self.came.len(), self.hand_outs);
        self.came.push((it.band, it.due_at, None));
        self.waiting.insert(id, Waits { number, since, ..it });
    }

    fn first(&self, band: usize) -> Option<&Standing> {
        let own = self.waiting.values().filter(|it| it.band == band);
        own.map(|it| &it.standing).min()
    }

    /// Hands one out and checks it against everybody who waits on.
    fn next(&mut self, run_max: i64, done: bool) {
        let first = [self.first(0), self.first(1), self.first(2)];
        let Some((band, run)) = turn(first, self.last, run_max) else {
            assert!(self.waiting.is_empty());
            return;
        };
        let (_, _, id) = first[band].expect("a band with a turn waits").clone();
        let it = self.waiting.remove(&id).expect("it waits");
        self.last = (run, band);
        self.hand_outs += 1;
        self.came[it.number].2 = Some(self.hand_outs);
        for other in self.waiting.values() {
            // F1: within a band nobody waits longer by more than the head start.
            let longer = it.due_at.duration_since(other.due_at);
            let is_fair = longer <= SignedDuration::from_hours(HEAD_START);
            assert!(other.band != band || is_fair, "{other:?} waits and {it:?} is handed out");
        }
        self.starves_nobody(&it, run_max);
        if !done {
            self.claimed.push((self.now + SignedDuration::from_mins(30), it));
        }
    }

    /// F2: whoever is handed out had to wait for at most `run_max + 1` times as many hand-outs as
    /// stood in its and the less urgent bands, or in those between it and the most urgent one, with
    /// a due time that counts before its own; and for one more, if a turn was owed to a less urgent
    /// band when it began to wait. A claim that lapsed stands there once more.
    fn starves_nobody(&self, it: &Waits, run_max: i64) {
        let until = it.due_at + SignedDuration::from_hours(HEAD_START);
        let counts = |(band, due_at, handed): &&(usize, Timestamp, Option<i64>)| {
            let waited_too = handed.is_none_or(|at| it.since < at);
            waited_too && (1.min(it.band)..3).contains(band) && *due_at <= until
        };
        let before = self.came.iter().filter(counts).count();
        let most = (run_max + 1) * i64::try_from(before).expect("few") + 1;
        let waited = self.hand_outs - it.since;
        assert!(waited <= most, "{it:?} was handed out after {waited} and not {most} hand-outs");
    }

    fn pass(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
        let (lapsed, held) = std::mem::take(&mut self.claimed)
            .into_iter()
            .partition(|(until, _): &(Timestamp, Waits)| *until <= self.now);
        self.claimed = held;
        for (_, it) in lapsed {
            self.wait(it.standing.2.clone(), it);
        }
    }
}

fn played(acts: &[Act], run_max: i64) -> Team {
    let mut team = Team { now: "2026-11-30T03:00:00Z".parse().expect("a time"), ..Team::default() };
    for act in acts {
        match act {
            Act::Rings { band, late, ahead } => {
                let due_at = team.now - SignedDuration::from_hours(*late);
                team.ring(*band, due_at, *ahead);
            }
            Act::Next { done } => team.next(run_max, *done),
            Act::Passes(minutes) => team.pass(*minutes),
        }
    }
    team
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_band_is_unfair_and_nobody_starves(acts in acts(), run_max in 1_i64..6) {
        let mut team = played(&acts, run_max);
        // Whatever waits is handed out in the end.
        for _ in 0..=team.waiting.len() {
            team.next(run_max, true);
        }
        prop_assert!(team.waiting.is_empty());
    }
}

fn standing(hours: i64, id: &str) -> Standing {
    let at = Timestamp::from_second(1_780_000_000 + hours * 3_600).expect("a time");
    (at, at, id.to_owned())
}

#[test]
fn the_most_urgent_band_comes_first_however_long_others_wait() {
    let (critical, notice) = (standing(0, "c"), standing(-6_000, "n"));
    assert_eq!(turn([Some(&critical), None, Some(&notice)], (0, 0), 3), Some((0, 1)));
}

#[test]
fn after_run_max_in_a_row_the_longest_waiting_of_the_others_is_next() {
    let (critical, warning, notice) = (standing(0, "c"), standing(-5, "w"), standing(-9, "n"));
    let first = [Some(&critical), Some(&warning), Some(&notice)];
    for (run, run_max, expected) in
        [(0, 3, (0, 1)), (2, 3, (0, 3)), (3, 3, (2, 0)), (1, 1, (2, 0)), (3, 5, (0, 4))]
    {
        assert_eq!(turn(first, (run, 0), run_max), Some(expected), "run {run} of {run_max}");
    }
}

#[test]
fn a_run_counts_only_while_somebody_less_urgent_waits() {
    let critical = standing(0, "c");
    assert_eq!(turn([Some(&critical), None, None], (3, 0), 3), Some((0, 0)));
    assert_eq!(turn([None, None, None], (3, 0), 3), None);
}

#[test]
fn a_run_of_the_most_urgent_gives_way_to_all_others_also_when_none_of_them_is_left() {
    let (warning, notice) = (standing(-9, "w"), standing(-5, "n"));
    assert_eq!(turn([None, Some(&warning), Some(&notice)], (3, 0), 3), Some((1, 0)));
    // After a run of warnings it is the turn of a notice, however long the warnings wait.
    assert_eq!(turn([None, Some(&warning), Some(&notice)], (3, 1), 3), Some((2, 0)));
}
