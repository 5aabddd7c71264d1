//! A synchronous standby of PostgreSQL and the fail-over to it: the first one is killed, the standby is
//! promoted, the proxies lead to it, and it gets a standby of its own. `DATABASE_URL` stays as it is.

use std::time::Duration;

use sapa::servers::postgres::Cluster;
use store::Log;
use store::db::Place;
use tokio::time::Instant;
use uuid::Uuid;

use crate::world::{World, local, split};

/// The name of the standby's connection.
const NAME: &str = "second";
/// How long a standby may take to have all of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of a cluster that will have a standby.
pub fn settings() -> Vec<(String, String)> {
    let all = [
        // A standby that was away for some seconds finds what it missed, and comes back soon.
        ("wal_keep_size", "1GB"),
        ("wal_retrieve_retry_interval", "300ms"),
        ("synchronous_commit", "on"),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A standby of a cluster, for which every commit waits from now on.
pub async fn of(primary: &Cluster) -> Cluster {
    let standby = primary.standby(NAME).await.unwrap();
    primary.set("synchronous_standby_names", NAME).await.unwrap();
    assert!(caught_up(primary).await, "the standby does not follow");
    standby
}

/// Waits until the standby is waited for and has all that is there now. What is committed after that
/// waits for it, so only what nobody was told of can be missing. Right after a crash of the first one
/// it is otherwise: it shows what it had not yet been able to pass on.
async fn caught_up(primary: &Cluster) -> bool {
    let began = Instant::now();
    let now = primary.query("sapa", "SELECT pg_current_wal_flush_lsn()").await;
    let now = now.unwrap_or_default();
    let asked = format!(
        "SELECT count(*) FROM pg_stat_replication
          WHERE state = 'streaming' AND sync_state = 'sync' AND '{now}'::pg_lsn <= flush_lsn"
    );
    while began.elapsed() < PATIENCE {
        if primary.query("sapa", &asked).await.is_ok_and(|it| it == "1") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Kills the first, promotes the second, and leads everybody to it.
pub async fn fail_over(world: &mut World) {
    let (Some(primary), Some(standby)) = (&mut world.cluster, world.standby.take()) else { return };
    assert!(caught_up(primary).await, "the standby does not follow");
    primary.kill9().await;
    standby.promote().await.unwrap();
    let url = standby.url("sapa");
    let (_, port) = split(&url);
    for it in &world.instances {
        if let Some(proxy) = &it.database {
            proxy.point(local(port));
        }
    }
    world.place = Place::parse(&url).expect("the cluster names its databases so");
    world.log = Log::open(&world.place, 2, Uuid::from_u128(1)).await.unwrap();
    // The first one is gone for good, with its files.
    world.cluster = Some(standby);
}

/// The one that was promoted gets a standby too.
pub async fn restore(world: &mut World) {
    if let Some(primary) = &world.cluster {
        world.standby = Some(of(primary).await);
    }
}
