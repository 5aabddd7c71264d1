//! Waiting until it is quiet: nothing waits at the broker, everything recorded is folded and sent.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::pull;
use tests::read::last_sent;
use tokio::time::Instant;

use crate::judge::views;
use crate::world::World;

/// Nothing new for so long is the end: the reactions look once a second.
const QUIET: Duration = Duration::from_secs(3);
/// How long it is waited for nevertheless.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// That it became quiet.
#[derive(Clone, Copy, Debug)]
pub struct Quiet {
    /// How long that took.
    pub after: Duration,
    /// Where the log stood then. What is decided after that may go out with the next start only.
    pub head: i64,
}

/// Waits until everything is quiet, unless that does not happen.
pub async fn settle(
    world: &mut World,
    context: &Context,
    patience: Duration,
) -> Result<Quiet, String> {
    let began = Instant::now();
    let views = views(world).await;
    let mut quiet_since = Instant::now();
    let mut head_before = -1;
    loop {
        for it in &mut world.instances {
            it.tend();
        }
        let waiting = ingest_waiting(context).await;
        let head = world.log.head().await.unwrap_or(-1);
        let folded = views.position().await.unwrap_or(-2);
        let sent = last_sent(context).await;
        let done = waiting == Some(0) && folded == head && sent == head && head == head_before;
        if !done {
            quiet_since = Instant::now();
        } else if QUIET <= quiet_since.elapsed() {
            return Ok(Quiet { after: quiet_since.duration_since(began), head });
        }
        if patience < began.elapsed() {
            return Err(format!(
                "not quiet after {patience:?}: {waiting:?} messages wait, the log is at {head}, the read models at {folded}, the relay at {sent}"
            ));
        }
        head_before = head;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn ingest_waiting(context: &Context) -> Option<u64> {
    let stream = context.get_stream("SAPA_IN").await.ok()?;
    let consumer = stream.get_consumer::<pull::Config>("ingest").await.ok()?;
    let info = consumer.cached_info();
    Some(info.num_pending + u64::try_from(info.num_ack_pending).unwrap_or(0))
}
