//! The table of tasks, and how they stop: the only file that spawns.
//!
//! First signal: the workers stop taking work and finish what they have; when they are done, what
//! they stand on stops too. Second signal, or the end of the grace period: leave. A task that ends
//! on its own stops the process, since nothing here is meant to end.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// Every long-running task there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Appends to the log.
    Writer,
    /// Records what comes in over NATS.
    Ingest,
    /// Takes the lease, and runs the three below while it has it.
    Leader,
    /// Keeps the read models up.
    Views,
    /// Rebuilds and compares read models when an operator asks.
    Rebuild,
    /// Answers from the build that another instance swapped in.
    Follow,
    /// Throws away what is kept long enough.
    Housekeeping,
    /// Looks at due times and decides.
    Reactions,
    /// Publishes what was recorded.
    Relay,
    /// Answers over HTTP.
    Http,
    /// Answers over NATS.
    Requests,
    /// Watches the managed nats-server.
    NatsServer,
    /// Sends the demo's next events.
    Live,
}

/// How it all ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A signal came and everybody finished.
    Asked,
    /// A signal came and somebody did not finish in time.
    Overdue,
    /// A task ended on its own or panicked.
    Failed(Task),
}

/// The running tasks: workers, and what they stand on.
#[derive(Debug)]
pub struct Tasks {
    workers: Crew,
    ground: Crew,
    grace: Duration,
}

/// Tasks that stop together.
#[derive(Debug, Default)]
struct Crew {
    running: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, Task>,
    soft: CancellationToken,
}

impl Tasks {
    /// No tasks yet; a stop may take `grace`.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { workers: Crew::default(), ground: Crew::default(), grace }
    }

    /// Starts a worker. It gets the token that asks it to stop.
    pub fn start<F>(&mut self, task: Task, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.workers.start(task, run);
    }

    /// Starts what workers stand on: it is asked to stop when all of them have ended.
    pub fn found<F>(&mut self, task: Task, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.ground.start(task, run);
    }

    /// Cancelled when the workers are asked to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.workers.soft.clone()
    }

    /// Runs until `asked` (the first signal) or until a task ends; then stops everything.
    pub async fn run(
        mut self,
        asked: impl Future<Output = ()>,
        hard: impl Future<Output = ()>,
    ) -> Ended {
        let first = tokio::select! {
            () = asked => None,
            Some(it) = self.workers.next_to_end() => Some(it),
            Some(it) = self.ground.next_to_end() => Some(it),
        };
        let in_time = {
            let (workers, ground) = (&mut self.workers, &mut self.ground);
            let everybody = async {
                workers.finish().await;
                ground.finish().await;
            };
            tokio::select! {
                () = everybody => true,
                () = tokio::time::sleep(self.grace) => false,
                () = hard => false,
            }
        };
        match first {
            Some(task) => Ended::Failed(task),
            None if in_time => Ended::Asked,
            None => Ended::Overdue,
        }
    }
}

impl Crew {
    #[expect(clippy::disallowed_methods, reason = "this is the table of tasks")]
    fn start<F>(&mut self, task: Task, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let handle = self.running.spawn(run(self.soft.clone()));
        self.names.insert(handle.id(), task);
    }

    /// Asks everybody to stop, and waits for them.
    async fn finish(&mut self) {
        self.soft.cancel();
        while self.next_to_end().await.is_some() {}
    }

    /// Logs how the next task ended, and says which it was.
    async fn next_to_end(&mut self) -> Option<Task> {
        let (id, result) = match self.running.join_next_with_id().await? {
            Ok((id, result)) => (id, result),
            Err(panic) => (panic.id(), Err(panic.into())),
        };
        let task = self.names.get(&id).copied()?;
        match result {
            Ok(()) if self.soft.is_cancelled() => tracing::debug!(?task, "task ended"),
            Ok(()) => tracing::error!(?task, "task ended without being asked"),
            Err(error) => tracing::error!(?task, error = %format!("{error:#}"), "task failed"),
        }
        Some(task)
    }
}

/// The signals that ask a process to stop, heard from now on.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens for SIGINT and SIGTERM from now on.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A signal after the moment this future is first polled: the second of a stop.
pub async fn another_signal() {
    match Signals::listen() {
        Ok(mut signals) => signals.next().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    async fn obedient(stop: CancellationToken) -> anyhow::Result<()> {
        stop.cancelled().await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn asked_to_stop_everybody_finishes_first() {
        let mut tasks = Tasks::new(GRACE);
        let written = Arc::new(AtomicUsize::new(0));
        let (by_worker, seen) = (Arc::clone(&written), Arc::clone(&written));
        tasks.start(Task::Ingest, |stop| async move {
            stop.cancelled().await;
            sleep(Duration::from_secs(4)).await;
            by_worker.store(1, Ordering::SeqCst);
            Ok(())
        });
        tasks.found(Task::Writer, |stop| async move {
            stop.cancelled().await;
            // Whoever writes for others ends after them.
            anyhow::ensure!(seen.load(Ordering::SeqCst) == 1);
            seen.store(2, Ordering::SeqCst);
            Ok(())
        });
        let started = Instant::now();
        assert_eq!(tasks.run(ready(()), pending()).await, Ended::Asked);
        assert_eq!(written.load(Ordering::SeqCst), 2);
        assert_eq!(started.elapsed().as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_does_not_wait() {
        let mut tasks = Tasks::new(GRACE);
        tasks.start(Task::Http, |_| async { pending().await });
        let started = Instant::now();
        let ended = tasks.run(ready(()), sleep(Duration::from_secs(1))).await;
        assert_eq!(ended, Ended::Overdue);
        assert_eq!(started.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_grace_period_ends_a_stop() {
        let mut tasks = Tasks::new(GRACE);
        tasks.start(Task::Http, |_| async { pending().await });
        let started = Instant::now();
        assert_eq!(tasks.run(ready(()), pending()).await, Ended::Overdue);
        assert_eq!(started.elapsed(), GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_stops_the_process() {
        let mut tasks = Tasks::new(GRACE);
        tasks.found(Task::Writer, obedient);
        tasks.start(Task::Views, |_| async {
            sleep(Duration::from_secs(1)).await;
            panic!("a fold met what it did not expect");
        });
        assert_eq!(tasks.run(pending(), pending()).await, Ended::Failed(Task::Views));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_just_ends_stops_the_process() {
        let mut tasks = Tasks::new(GRACE);
        tasks.start(Task::Relay, obedient);
        tasks.found(Task::Writer, |_| async { Ok(()) });
        assert_eq!(tasks.run(pending(), pending()).await, Ended::Failed(Task::Writer));
    }
}
