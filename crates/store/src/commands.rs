//! What a command with an idempotency key was answered, so that it can be answered again.

use events::id::Tenant;
use jiff::Timestamp;

use crate::db::Db;
use crate::error::ReadError;
use crate::sql::SqlTime;
use crate::{on_db, on_tx};

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nobody has used it: it is ours now.
    Nothing,
    /// The first request has not been answered yet.
    Running {
        /// SHA-256 of that request.
        request: Vec<u8>,
        /// When it began.
        started_at: Timestamp,
    },
    /// The first request was answered so.
    Answered {
        /// SHA-256 of that request.
        request: Vec<u8>,
        /// HTTP status.
        status: u16,
        /// The body.
        answer: String,
    },
}

const BEGIN: &str = "
    INSERT INTO commands (operation, key, tenant, request, status, answer, started_at)
    VALUES ($1, $2, $3, $4, NULL, NULL, $5)
    ON CONFLICT (key, operation, tenant) DO NOTHING";

const GET: &str = "
    SELECT request, status, answer, started_at
      FROM commands
     WHERE key = $2
       AND operation = $1
       AND tenant = $3";

const FINISH: &str = "
    UPDATE commands
       SET status = $4,
           answer = $5
     WHERE key = $2
       AND operation = $1
       AND tenant = $3";

const FORGET: &str = "
    DELETE FROM commands
     WHERE key = $2
       AND operation = $1
       AND tenant = $3
       AND status IS NULL";

/// Request, status, answer, start.
type Row = (Vec<u8>, Option<i64>, Option<String>, SqlTime);

/// Claims a key for a request, or says what became of the first request under it.
pub async fn begin(
    db: &Db,
    tenant: &Tenant,
    operation: &str,
    key: &str,
    request: &[u8],
    now: Timestamp,
) -> Result<Earlier, ReadError> {
    let mut tx = db.begin_write().await?;
    let claimed = on_tx!(&mut tx, conn => {
        sqlx::query(BEGIN)
            .bind(operation)
            .bind(key)
            .bind(tenant.as_str())
            .bind(request)
            .bind(SqlTime(now))
            .execute(conn)
            .await?
            .rows_affected()
    });
    tx.commit().await?;
    if claimed == 1 {
        return Ok(Earlier::Nothing);
    }
    let row: Option<Row> = on_db!(db, pool => {
        sqlx::query_as(GET)
            .bind(operation)
            .bind(key)
            .bind(tenant.as_str())
            .fetch_optional(pool)
            .await
    })?;
    Ok(match row {
        None => Earlier::Nothing,
        Some((request, Some(status), answer, _)) => Earlier::Answered {
            request,
            status: u16::try_from(status).unwrap_or(500),
            answer: answer.unwrap_or_default(),
        },
        Some((request, None, _, started_at)) => {
            Earlier::Running { request, started_at: started_at.0 }
        }
    })
}

/// Stores the answer of a request whose key was claimed.
pub async fn finish(
    db: &Db,
    tenant: &Tenant,
    operation: &str,
    key: &str,
    status: u16,
    answer: &str,
) -> Result<(), sqlx::Error> {
    let mut tx = db.begin_write().await?;
    on_tx!(&mut tx, conn => {
        sqlx::query(FINISH)
            .bind(operation)
            .bind(key)
            .bind(tenant.as_str())
            .bind(i64::from(status))
            .bind(answer)
            .execute(conn)
            .await?;
    });
    tx.commit().await
}

/// Gives a claimed key back: the request recorded nothing and may be sent again.
pub async fn forget(
    db: &Db,
    tenant: &Tenant,
    operation: &str,
    key: &str,
) -> Result<(), sqlx::Error> {
    let mut tx = db.begin_write().await?;
    on_tx!(&mut tx, conn => {
        sqlx::query(FORGET)
            .bind(operation)
            .bind(key)
            .bind(tenant.as_str())
            .execute(conn)
            .await?;
    });
    tx.commit().await
}
