//! How many requests a second one key may make: the generic cell rate algorithm, one number a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use events::problem::{Code, Problem};

use crate::app::App;

/// Keys remembered at once.
const KEYS_MAX: usize = 4_096;
/// How far ahead of its rate a key may run: a second's worth.
const BURST_MICROS: i64 = 1_000_000;

/// Lets a request of a key through, or says when to come back.
pub fn admit(app: &App, key_id: &str) -> Result<(), Box<Problem>> {
    let rate = i64::from(app.settings.rate_per_key);
    if rate == 0 {
        return Ok(());
    }
    let now = app.clock.now().as_microsecond();
    let wait = next(&cell(app, key_id), now, 1_000_000 / rate);
    if wait == 0 {
        return Ok(());
    }
    let seconds = u32::try_from(wait / 1_000_000 + 1).unwrap_or(1);
    let mut problem = Problem::new(
        Code::RateLimited,
        format!("This key may make {rate} requests a second."),
        format!("Kunci ini boleh membuat {rate} permintaan per detik."),
    );
    problem.retry_after_seconds = Some(seconds);
    Err(Box::new(problem))
}

fn cell(app: &App, key_id: &str) -> Arc<AtomicI64> {
    if let Ok(cells) = app.rates.read()
        && let Some(cell) = cells.get(key_id)
    {
        return Arc::clone(cell);
    }
    let Ok(mut cells) = app.rates.write() else { return Arc::default() };
    if KEYS_MAX <= cells.len() {
        cells.clear();
    }
    Arc::clone(cells.entry(key_id.to_owned()).or_default())
}

/// Moves the cell on and answers 0, or answers how many microseconds are missing.
fn next(cell: &AtomicI64, now: i64, interval: i64) -> i64 {
    let mut arrival = cell.load(Ordering::Relaxed);
    loop {
        let earliest = arrival.max(now);
        let missing = earliest - now - BURST_MICROS;
        if 0 < missing {
            return missing;
        }
        let moved = earliest + interval;
        match cell.compare_exchange_weak(arrival, moved, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return 0,
            Err(other) => arrival = other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let cell = AtomicI64::new(0);
        let interval = 100_000; // ten a second
        let passed = (0..30).filter(|_| next(&cell, 1_000_000, interval) == 0).count();
        assert_eq!(passed, 11);
        assert!(0 < next(&cell, 1_000_000, interval));
        assert_eq!(next(&cell, 1_200_000, interval), 0);
    }
}
