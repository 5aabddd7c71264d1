//! `Idempotency-Key`: a command that is sent again is answered again and not done again (I2).
//!
//! The key is claimed before the command runs and given back when it recorded nothing. A claim whose
//! request died is taken over after [`ABANDONED_AFTER`]: the events a command appends have ids
//! computed from its key, so running it twice records them once.

use events::problem::{Code, Problem};
use jiff::SignedDuration;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use store::commands::{self, Earlier};

use crate::answer::{Reply, unread, unwritten};
use crate::app::{App, Caller};
use crate::ops::Operation;

/// Characters of a key.
pub const KEY_CHARS_MAX: usize = 128;
/// A first request that did not answer for so long is dead: longer than any answer may take.
pub const ABANDONED_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// Reads the header: 1 to 128 visible characters, bare or in double quotes.
pub fn key(header: &str) -> Result<String, Box<Problem>> {
    let bare = header.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(header);
    let fits = (1..=KEY_CHARS_MAX).contains(&bare.len())
        && bare.bytes().all(|it| it.is_ascii_graphic() || it == b' ');
    if fits {
        return Ok(bare.to_owned());
    }
    Err(crate::params::invalid(
        "Idempotency-Key",
        "range",
        "must have 1 to 128 visible characters",
        "harus 1 sampai 128 karakter yang terlihat",
    ))
}

/// What to do with a request that carries a key.
#[derive(Debug)]
pub enum Claim {
    /// Run it.
    Ours,
    /// It was answered so.
    Answered(Reply),
}

/// Equal for the same request, whichever face it came through.
#[must_use]
pub fn fingerprint(operation: &Operation, caller: &Caller, params: &Map<String, Value>) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(operation.id.as_bytes());
    hash.update(b"\n");
    hash.update(caller.actor.as_ref().map_or("", |it| it.as_str()).as_bytes());
    hash.update(b"\n");
    // serde_json's objects are sorted by name, so equal parameters have equal text.
    hash.update(Value::from(params.clone()).to_string().as_bytes());
    hash.finalize().to_vec()
}

/// Claims the key, or finds the first answer.
pub async fn claim(
    app: &App,
    caller: &Caller,
    operation: &Operation,
    key: &str,
    request: &[u8],
) -> Result<Claim, Box<Problem>> {
    let now = app.clock.now();
    let earlier = commands::begin(app.db(), caller.tenant(), operation.id, key, request, now)
        .await
        .map_err(|error| unread(&error))?;
    match earlier {
        Earlier::Nothing => Ok(Claim::Ours),
        Earlier::Running { request: first, .. } | Earlier::Answered { request: first, .. }
            if first != request =>
        {
            Err(reused())
        }
        Earlier::Running { started_at, .. } => {
            let dead = ABANDONED_AFTER < now.duration_since(started_at);
            if dead { Ok(Claim::Ours) } else { Err(in_progress()) }
        }
        Earlier::Answered { status, answer, .. } => {
            Ok(Claim::Answered(Reply::new(status, answer).header("idempotent-replayed", "true")))
        }
    }
}

/// Keeps the answer under its key, or gives the key back when nothing was recorded.
pub async fn settle(
    app: &App,
    caller: &Caller,
    operation: &Operation,
    key: &str,
    outcome: &Result<Reply, Box<Problem>>,
) {
    let (db, tenant) = (app.db(), caller.tenant());
    let kept = match outcome {
        Ok(reply) => {
            commands::finish(db, tenant, operation.id, key, reply.status, &reply.body).await
        }
        Err(_) => commands::forget(db, tenant, operation.id, key).await,
    };
    if let Err(error) = kept {
        // The command is done; sent again it runs again and records nothing twice.
        let _ = unwritten(error);
    }
}

fn reused() -> Box<Problem> {
    Box::new(
        Problem::new(
            Code::IdempotencyKeyReused,
            "This key was used for a request with other parameters.",
            "Kunci ini dipakai untuk permintaan dengan parameter lain.",
        )
        .hint(
            "Use a new key for every new request.",
            "Pakai kunci baru untuk setiap permintaan baru.",
        ),
    )
}

fn in_progress() -> Box<Problem> {
    Box::new(Problem::new(
        Code::InProgress,
        "The first request under this key is still running.",
        "Permintaan pertama dengan kunci ini masih berjalan.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_bare_or_quoted() {
        assert_eq!(key("4f1c-retry-1").unwrap(), "4f1c-retry-1");
        assert_eq!(key("\"4f1c-retry-1\"").unwrap(), "4f1c-retry-1");
        for wrong in ["", "\"\"", "a\u{7}", &"x".repeat(129)] {
            assert!(key(wrong).is_err(), "{wrong:?}");
        }
    }
}
