//! A new release under load: each instance in its turn is asked to end, ends with 0 in time, and is
//! ready again before the next one is asked. Whatever is not so is told and breaks an invariant.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::judge::Verdict;
use crate::world::{Instance, World, is_ready};

/// How long an instance may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What was restarted in this way, and what was not as it should be.
#[derive(Clone, Debug, Default)]
pub struct Rolls {
    /// Instances that were asked to end.
    pub count: usize,
    /// The longest that one took.
    pub longest: Duration,
    /// What was wrong.
    pub against: Vec<String>,
}

/// Restarts all instances, one after the other.
pub async fn roll(world: &mut World) {
    for n in 0..world.instances.len() {
        // Whatever the last fault left behind is not what is looked at.
        if !readies(&mut world.instances, n).await {
            world.rolls.against.push(format!("instance {n} is not ready before its restart"));
            return;
        }
        let began = Instant::now();
        let it = &mut world.instances[n];
        it.signal(Signal::TERM);
        let ended = it.ended(ENDS_WITHIN).await;
        world.rolls.count += 1;
        world.rolls.longest = world.rolls.longest.max(began.elapsed());
        match ended {
            Some(status) if status.success() => {}
            Some(status) => world.rolls.against.push(format!("instance {n} ended with {status}")),
            None => {
                world.rolls.against.push(format!("instance {n} did not end in {ENDS_WITHIN:?}"));
                it.kill().await;
            }
        }
        world.instances[n].start();
        if !readies(&mut world.instances, n).await {
            world.rolls.against.push(format!("instance {n} is not ready after its restart"));
            return;
        }
    }
}

/// Waits until an instance is ready; those that ended because a server was away are started again.
async fn readies(instances: &mut [Instance], n: usize) -> bool {
    let client = crate::load::http_client();
    let began = Instant::now();
    while began.elapsed() < READY_WITHIN {
        for it in instances.iter_mut() {
            it.tend();
        }
        if is_ready(&client, instances[n].http).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Whether all of them ended and came back as they should; nothing if none was restarted.
pub fn verdict(rolls: &Rolls) -> Option<Verdict> {
    if rolls.count == 0 && rolls.against.is_empty() {
        return None;
    }
    let says = "In a rolling restart each instance ends with 0 within 10 s and is ready again.";
    let looked = format!("{} restarts, the longest end took {:.1?}", rolls.count, rolls.longest);
    Some(Verdict::new("F11", says, looked, rolls.against.clone()))
}
