//! Which instance runs what only one may run: read models, reactions and relay.
//!
//! A lease is a hint about who should try; the epoch is the proof. Every take-over raises it, and
//! checkpoints and the relay refuse what comes under an older one.

use jiff::{SignedDuration, Timestamp};

use crate::db::Db;
use crate::error::ReadError;
use crate::sql::SqlTime;
use crate::{on_db, on_tx};

/// The lease of the one leader.
pub const LEADER: &str = "leader";
/// How long a lease lasts without being renewed.
pub const LEASE: SignedDuration = SignedDuration::from_secs(10);
/// How often its holder renews it.
pub const RENEW_EVERY: std::time::Duration = std::time::Duration::from_secs(3);

/// A lease in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Raised at every take-over.
    pub epoch: i64,
    /// Not to be trusted after this.
    pub expires_at: Timestamp,
}

const TAKE: &str = "
    INSERT INTO leases (name, holder, epoch, expires_at)
    VALUES ($1, $2, 1, $3)
    ON CONFLICT (name) DO UPDATE
       SET holder = excluded.holder,
           epoch = CASE WHEN leases.holder = excluded.holder THEN leases.epoch
                        ELSE leases.epoch + 1 END,
           expires_at = excluded.expires_at
     WHERE leases.holder = excluded.holder
        OR leases.expires_at < $4
    RETURNING epoch";

const RELEASE: &str = "
    UPDATE leases
       SET expires_at = $3
     WHERE name = $1
       AND holder = $2";

const HOLDER: &str = "
    SELECT holder, epoch, expires_at
      FROM leases
     WHERE name = $1";

/// Takes or renews a lease; `None` while somebody else holds it.
///
/// `holder` names one start of one process: a process that restarts is another holder.
pub async fn take(
    db: &Db,
    name: &str,
    holder: &str,
    now: Timestamp,
) -> Result<Option<Held>, sqlx::Error> {
    let expires_at = now + LEASE;
    let mut tx = db.begin_write().await?;
    let epoch: Option<i64> = on_tx!(&mut tx, conn => {
        sqlx::query_scalar(TAKE)
            .bind(name)
            .bind(holder)
            .bind(SqlTime(expires_at))
            .bind(SqlTime(now))
            .fetch_optional(conn)
            .await?
    });
    tx.commit().await?;
    Ok(epoch.map(|epoch| Held { epoch, expires_at }))
}

/// Gives a lease back, so that the next holder need not wait for it to expire.
pub async fn release(db: &Db, name: &str, holder: &str, now: Timestamp) -> Result<(), sqlx::Error> {
    let mut tx = db.begin_write().await?;
    on_tx!(&mut tx, conn => {
        sqlx::query(RELEASE)
            .bind(name)
            .bind(holder)
            .bind(SqlTime(now - SignedDuration::from_secs(1)))
            .execute(conn)
            .await?;
    });
    tx.commit().await
}

/// Who holds a lease, under which epoch, until when.
pub async fn holder(db: &Db, name: &str) -> Result<Option<(String, i64, Timestamp)>, ReadError> {
    let row: Option<(String, i64, SqlTime)> =
        on_db!(db, pool => sqlx::query_as(HOLDER).bind(name).fetch_optional(pool).await)?;
    Ok(row.map(|(holder, epoch, expires_at)| (holder, epoch, expires_at.0)))
}
