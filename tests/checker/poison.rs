//! An event that no fold of this version can read, in the log between others of the same customer (F53):
//! it is written through a second way into the log, because no door lets it in.
//!
//! Its customer must stop there, with all that comes later, and nobody else may notice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use events::envelope::{Incoming, Recorded};
use events::id::Tenant;
use events::time::{Clock as _, spell};
use jiff::SignedDuration;
use projections::parked::Parked;
use sapa::clock::SystemClock;
use serde_json::json;
use store::{Bell, Writer};
use tests::event::{anybody, incoming};
use tokio_util::sync::CancellationToken;

use crate::judge::Verdict;
use crate::world::World;

/// How many follow the one that cannot be read.
const FOLLOWING: usize = 3;
/// Between two of them.
const BETWEEN: Duration = Duration::from_millis(200);
/// How long a database that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records a readable event, a broken one, and readable ones after it, about a customer of their own.
pub async fn strike(world: &mut World) {
    world.poisoned += 1;
    let customer = format!("k-{}", world.poisoned);
    let (writer, appender) =
        Writer::new(world.log.db().clone(), Arc::new(SystemClock), Bell::default(), 16);
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    let mut events: Vec<Incoming> = (0..2 + FOLLOWING).map(|n| greeting(&customer, n)).collect();
    events[1].data = r#"{"by_name":"perhaps"}"#.into();
    for event in events {
        // A database that is away is another fault; what did not get in is not looked for.
        let _ = tokio::time::timeout(PATIENCE, appender.append(vec![event])).await;
        // Some of those after it come in its page, and some find their customer parked.
        tokio::time::sleep(BETWEEN).await;
    }
    stop.cancel();
    let _ = writing.await;
}

fn greeting(customer: &str, n: usize) -> Incoming {
    let tenant: Tenant = "main".parse().expect("a tenant");
    let now = SystemClock.now();
    let event = json!({
        "specversion": "1.0", "id": format!("{customer}-{n}"), "source": "/poison",
        "type": "sapa.interaction.greeted.v1", "time": spell(now - SignedDuration::from_secs(1)),
        "subject": customer, "actor": "staff/dewi", "channel": "desk", "data": {"by_name": true},
    });
    incoming(event.to_string().as_bytes(), &anybody(&tenant, now))
}

/// Whether exactly those are parked whose event cannot be read, each with all that came after it.
pub fn parked_and_nobody_else(facts: &[Recorded], parked: &[Parked]) -> Verdict {
    let mut wanted: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for it in facts {
        let Some(customer) = &it.customer else { continue };
        match wanted.get_mut(customer.as_str()) {
            Some((_, waiting)) => *waiting += 1,
            None if it.fact().is_err() => {
                wanted.insert(customer.as_str(), (it.position, 1));
            }
            None => {}
        }
    }
    let found: BTreeMap<&str, (i64, i64)> =
        parked.iter().map(|it| (it.holder.as_str(), (it.position, it.waiting))).collect();
    let mut against = Vec::new();
    for (customer, (position, waiting)) in &wanted {
        if found.get(customer) != Some(&(*position, *waiting)) {
            let there = found.get(customer);
            against.push(format!(
                "{customer} has {waiting} events from {position} on that wait, and stands as {there:?}"
            ));
        }
    }
    for customer in found.keys().filter(|it| !wanted.contains_key(*it)) {
        against.push(format!("{customer} is parked although all of theirs can be read"));
    }
    let says = "An event that cannot be folded stops its customer there, and nobody else.";
    Verdict::new("I10", says, format!("{} parked", wanted.len()), against)
}
