//! Whether two builds of the read models are the same: rows and SHA-256 of every table, each table
//! in the order of its keys. Reads only, within one transaction for each build.

use sha2::{Digest, Sha256};
use store::db::Tx;
use store::error::ReadError;
use store::on_tx;

use crate::runner::Runner;

/// A table, its number of rows, and the SHA-256 of its rows.
pub type Hashed = (&'static str, i64, String);

const DOSSIERS: &str = "
    SELECT holder, tenant, dossier
      FROM dossiers
     ORDER BY holder, tenant";

/// The tables of the read models, each with its rows in the order of their keys as one text.
const TABLES: [(&str, &str); 12] = [
    (
        "agenda",
        "SELECT holder || '|' || tenant || '|' || queue || '|' || CAST(act_at AS TEXT) || '|' || team FROM agenda ORDER BY holder, queue, tenant",
    ),
    (
        "voids",
        "SELECT event_id || '|' || source || '|' || tenant || '|' || by_event_id || '|' || by_source FROM voids ORDER BY event_id, source, tenant, position",
    ),
    (
        "addressed",
        "SELECT holder || '|' || tenant || '|' || CAST(position AS TEXT) FROM addressed ORDER BY holder, tenant, position",
    ),
    (
        "policies",
        "SELECT name || '|' || tenant || '|' || CAST(version AS TEXT) || '|' || body || '|' || CAST(active AS TEXT) FROM policies ORDER BY position, tenant",
    ),
    (
        "clocks",
        "SELECT holder || '|' || tenant || '|' || clock || '|' || tier || '|' || coalesce(owner, '') || '|' || coalesce(team, '') || '|' || CAST(days AS TEXT) || first || last || CAST(rhythm_days AS TEXT) || CAST(warn_at AS TEXT) || CAST(due_at AS TEXT) || coalesce(CAST(suspended_until AS TEXT), '') || CAST(effective_due_at AS TEXT) || CAST(muted AS TEXT) || CAST(resting AS TEXT) || because FROM clocks ORDER BY holder, clock, tenant",
    ),
    (
        "obligations",
        "SELECT holder || '|' || tenant || '|' || obligation || '|' || opened_by || CAST(opened_at AS TEXT) || coalesce(about, '') || coalesce(CAST(due_at AS TEXT), '') || coalesce(CAST(warn_at AS TEXT), '') || CAST(paused AS TEXT) || coalesce(covered_by, '') || coalesce(owner, '') || coalesce(closed_by, '') FROM obligations ORDER BY holder, opened_by, obligation, tenant",
    ),
    (
        "alerts",
        "SELECT alert || '|' || tenant || '|' || holder || '|' || status || CAST(fair_at AS TEXT) || body FROM alerts ORDER BY alert, tenant",
    ),
    ("timeline", timeline_text()),
    ("cards", cards_text()),
    ("identifiers", identifiers_text()),
    ("loyalty", loyalty_text()),
    ("promises", promises_text()),
];

const fn timeline_text() -> &'static str {
    crate::timeline::table::AS_TEXT
}

const fn cards_text() -> &'static str {
    crate::card::table::AS_TEXT
}

const fn identifiers_text() -> &'static str {
    crate::card::table::IDENTIFIERS_AS_TEXT
}

const fn loyalty_text() -> &'static str {
    crate::loyalty::table::AS_TEXT
}

const fn promises_text() -> &'static str {
    crate::promises::table::AS_TEXT
}

/// The first table in which two builds differ.
pub(crate) fn difference(one: Vec<Hashed>, other: Vec<Hashed>) -> Option<&'static str> {
    one.into_iter().zip(other).find(|(one, other)| one != other).map(|((table, ..), _)| table)
}

/// Rows and SHA-256 of every table of a build.
pub async fn hashes(runner: &Runner) -> Result<Vec<Hashed>, ReadError> {
    let mut tx = runner.db().begin_write().await?;
    let hashes = hashes_in(&mut tx).await;
    tx.rollback().await?;
    hashes
}

/// The same inside a transaction, which may take as long as it takes.
pub async fn hashes_in(tx: &mut Tx) -> Result<Vec<Hashed>, ReadError> {
    use futures_util::TryStreamExt as _;
    if let Tx::Postgres(tx) = tx {
        sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut **tx).await?;
    }
    let mut hashes = vec![dossiers(tx).await?];
    for (table, text) in TABLES {
        let mut hash = Sha256::new();
        let mut rows = 0;
        on_tx!(tx, conn => {
            let mut found = sqlx::query_scalar::<_, String>(text).fetch(conn);
            while let Some(row) = found.try_next().await? {
                hash.update(row.as_bytes());
                hash.update(b"\n");
                rows += 1;
            }
        });
        hashes.push((table, rows, hex(hash)));
    }
    Ok(hashes)
}

/// What the folds remember, which is no text.
async fn dossiers(tx: &mut Tx) -> Result<Hashed, ReadError> {
    use futures_util::TryStreamExt as _;
    let (mut hash, mut rows) = (Sha256::new(), 0);
    on_tx!(tx, conn => {
        let mut found = sqlx::query_as::<_, (String, String, Vec<u8>)>(DOSSIERS).fetch(conn);
        while let Some((holder, tenant, dossier)) = found.try_next().await? {
            for part in [holder.as_bytes(), b"|", tenant.as_bytes(), b"|", &dossier, b"\n"] {
                hash.update(part);
            }
            rows += 1;
        }
    });
    Ok(("dossiers", rows, hex(hash)))
}

fn hex(hash: Sha256) -> String {
    data_encoding::HEXLOWER.encode(&hash.finalize())
}
