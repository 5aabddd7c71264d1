//! Faults that are aimed: a script of failpoints for the first start of the first instance, which leads and
//! is pinned then, and a hand that holds it still at the very place where it says that it waits.
//!
//! What comes by chance seldom falls between two commits or between a page and its publication. Only
//! programs with the feature `faults` stumble so; for others a script says nothing.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::nemesis::{self, Event, Fault};
use crate::world::World;

/// How long an instance is held: a lease is over after ten seconds, and another one has to go on.
const HELD: Duration = Duration::from_secs(15);
/// How long the load goes on after that.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// How often it is looked whether one waits.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a fault is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    /// What the first instance stumbles over, as `SAPA_FAIL` says it.
    pub script: &'static str,
    /// Whoever waits at this place is held still.
    pub hold_at: Option<&'static str>,
    /// How long the broker waits for an acknowledgement.
    pub ack_wait: &'static str,
    /// Whether the load has promises between colleagues: they have no customer, so they are folded as they
    /// come, and twice is once too often.
    pub colleagues: bool,
}

/// Lets the script run until a moment; what ended is started again. What there was, in order.
pub async fn watch(world: &mut World, aim: &Aim, began: Instant, until: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    let (mut held, mut until) = (false, until);
    while Instant::now() < until {
        nemesis::tend(world).await;
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(place) = aim.hold_at.filter(|_| !held) else { continue };
        let waits = world.instances[0].said("failpoint: waits");
        if !waits.iter().any(|it| it.contains(place)) {
            continue;
        }
        held = true;
        let from = began.elapsed().as_secs_f64();
        eprintln!("{from:7.1} s  instance 0 is held at {place} for {HELD:.1?}");
        world.instances[0].signal(Signal::STOP);
        world.instances[0].still = true;
        nemesis::wait(world, Some(0), HELD).await;
        world.instances[0].wake();
        let to = began.elapsed().as_secs_f64();
        // What comes later would mend what was broken, customer by customer.
        until = until.min(Instant::now() + AFTERWARDS);
        events.push(Event { fault: Fault::HoldServe, instance: 0, from, to, gap: None });
    }
    nemesis::heal(world).await;
    events
}

/// What a run with an aim has to show for it to count: nobody is held where nobody came.
pub fn missed(aim: &Aim, world: &World, events: &[Event]) -> Option<String> {
    let first = &world.instances[0];
    let acts = aim.script.split(',').filter(|it| !it.is_empty()).count();
    let aborts = aim.script.matches(":abort").count();
    let (waited, started) = (first.said("failpoint: waits").len(), first.starts);
    let hit = acts - aborts <= waited && (aborts == 0 || 1 < started);
    let holds = aim.hold_at.is_none() || !events.is_empty();
    (!hit || !holds).then(|| format!("the script {} did not come to its end", aim.script))
}
