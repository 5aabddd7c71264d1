//! `/livez`, `/startupz`, `/readyz`: for machines the status, for people one line per part.
//!
//! Ready means that the log can be written, that nothing the process needs has failed, and that it
//! is not on its way down. NATS away is `degraded` and still ready, because HTTP goes on recording; so
//! are read models that an operator has paused.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use events::time::spell;
use projections::upkeep::{self, About};
use projections::{NAMES, activation};
use tokio::time::{Duration, Instant};

use crate::app::App;
use crate::surroundings::{Check, State};

/// Asking whether the log can be written takes the write lock, so the answer is kept this long.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// A database that takes longer than this to open a transaction is not writable.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where in its life this process is.
#[derive(Debug, Default)]
pub struct Health {
    started: AtomicBool,
    stopping: AtomicBool,
    log: Mutex<Option<(Instant, Check)>>,
}

impl Health {
    /// Migrations are done, checks passed, listeners up.
    pub fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// On the way down.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it has come up.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// Whether it is on its way down.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// The state of the whole and of each part.
pub async fn readiness(app: &App) -> (State, Vec<Check>) {
    let mut checks = vec![log(app).await];
    if app.health.is_stopping() {
        checks.push(Check::new("process", State::Failed, "is shutting down"));
    } else if !app.health.is_started() {
        checks.push(Check::new("process", State::Failed, "is starting"));
    }
    checks.push(read_models(app).await);
    checks.extend(app.surroundings.checks());
    let worst = checks.iter().map(|it| it.state).max().unwrap_or(State::Ok);
    (worst, checks)
}

async fn log(app: &App) -> Check {
    let earlier = app.health.log.lock().ok().and_then(|it| it.clone());
    if let Some((at, check)) = earlier
        && at.elapsed() < BELIEVED_FOR
    {
        return check;
    }
    let writable = async {
        let tx = app.db().begin_write().await?;
        tx.rollback().await
    };
    let check = match tokio::time::timeout(PATIENCE, writable).await {
        Ok(Ok(())) => Check::new("log", State::Ok, "ok"),
        Ok(Err(error)) => {
            tracing::warn!(error = ?error, "the log cannot be written");
            Check::new("log", State::Failed, "cannot be written")
        }
        Err(_) => Check::new("log", State::Failed, "does not answer"),
    };
    if let Ok(mut kept) = app.health.log.lock() {
        *kept = Some((Instant::now(), check.clone()));
    }
    check
}

/// How long the oldest event that the read models have not folded has been waiting, unless it waits
/// for a reason: an operator has paused them, or a generation is being made for new policies.
async fn read_models(app: &App) -> Check {
    let unknown = |_| Check::new("projections", State::Failed, "do not answer");
    let looked = async {
        let position = app.views.position().await.map_err(unknown)?;
        let next = app.log.read_after(position, 1).await.map_err(unknown)?;
        let head = app.log.head().await.map_err(unknown)?;
        let folding = upkeep::load(app.db(), About::Folding).await.map_err(unknown)?;
        Ok::<_, Check>((position, head, next.into_iter().next(), folding))
    };
    let (position, head, next, folding) = match looked.await {
        Ok(found) => found,
        Err(check) => return check,
    };
    let lag = (head - position).max(0);
    if let Some(paused) = folding.filter(|it| it.state == upkeep::State::Paused) {
        let names = NAMES.join(", ");
        let detail = format!(
            "paused by an operator since {} at {position}, lag {lag}: {names}",
            spell(paused.begun_at)
        );
        return Check::new("projections", State::Degraded, detail);
    }
    let Some(next) = next else {
        return Check::new("projections", State::Ok, format!("ok at {position}"));
    };
    let now = app.clock.now();
    let detail = format!("at {position}, lag {lag}");
    if now.duration_since(next.recorded_at).unsigned_abs() <= app.settings.lag_max {
        return Check::new("projections", State::Ok, detail);
    }
    match upkeep::load(app.db(), About::Activation).await {
        Ok(Some(it)) if activation::is_fresh(&it, now) => {
            let detail = format!("{detail}; new policies {} %", it.percent());
            Check::new("projections", State::Ok, detail)
        }
        _ => Check::new("projections", State::Failed, detail),
    }
}

/// The lines of `?verbose`, or the one word without it.
#[must_use]
pub fn text(state: State, checks: &[Check], verbose: bool) -> String {
    let word = match state {
        State::Ok => "ok",
        State::Degraded => "degraded",
        State::Failed => "not ready",
    };
    if !verbose {
        return format!("{word}\n");
    }
    let mut text = String::new();
    for it in checks {
        let mark = match it.state {
            State::Ok => "[+]",
            State::Degraded => "[!]",
            State::Failed => "[-]",
        };
        let _ = writeln!(text, "{mark} {} {}", it.name, it.detail);
    }
    text.push_str(word);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_has_one_line_per_part_and_the_word_last() {
        let checks = [
            Check::new("log", State::Ok, "ok"),
            Check::new("nats", State::Degraded, "disconnected 42 s"),
            Check::new("projection neglect", State::Failed, "lag 48211"),
        ];
        let wanted =
            "[+] log ok\n[!] nats disconnected 42 s\n[-] projection neglect lag 48211\nnot ready\n";
        assert_eq!(text(State::Failed, &checks, true), wanted);
        assert_eq!(text(State::Degraded, &checks, false), "degraded\n");
    }
}
