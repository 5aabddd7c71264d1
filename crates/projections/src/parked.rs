//! Customers whose event could not be folded.
//!
//! Their rows stay as they were and say so; everything later of theirs waits in the log; all others
//! go on. A retry folds the customer anew out of the log, a skip does so without the one event.

use events::id::Tenant;
use jiff::Timestamp;
use store::error::ReadError;
use store::sql::SqlTime;
use store::{Tx, on_tx};

use crate::dossier::Holder;

/// One parked customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Whose data.
    pub tenant: Tenant,
    /// Who.
    pub holder: Holder,
    /// The event that could not be folded.
    pub position: i64,
    /// Why, without any content.
    pub error: String,
    /// How often it was tried.
    pub attempts: i64,
    /// Events that wait, the failing one included.
    pub waiting: i64,
    /// When the failing one was recorded.
    pub since: Timestamp,
    /// The event was given up by an operator: folds pass over it.
    pub skipped: bool,
}

const LOAD: &str = "
    SELECT tenant, holder, position, error, attempts, waiting, since, skipped
      FROM parked
     ORDER BY tenant, holder, position";

const INSERT: &str = "
    INSERT INTO parked (tenant, holder, position, error, attempts, waiting, since, skipped)
    VALUES ($1, $2, $3, $4, 1, 1, $5, FALSE)
    ON CONFLICT (holder, position, tenant) DO UPDATE
       SET attempts = parked.attempts + 1, error = excluded.error";

const CARRY: &str = "
    INSERT INTO parked (tenant, holder, position, error, attempts, waiting, since, skipped)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const WAIT: &str = "
    UPDATE parked
       SET waiting = waiting + $3
     WHERE holder = $1
       AND tenant = $2
       AND NOT skipped";

const RELEASE: &str = "
    DELETE FROM parked
     WHERE holder = $1
       AND tenant = $2
       AND NOT skipped";

const SKIP: &str = "
    UPDATE parked
       SET skipped = TRUE
     WHERE holder = $1
       AND tenant = $2
       AND NOT skipped";

type Row = (String, String, i64, String, i64, i64, SqlTime, bool);

/// All of them.
pub async fn load(tx: &mut Tx) -> Result<Vec<Parked>, ReadError> {
    let rows: Vec<Row> = on_tx!(tx, conn => sqlx::query_as(LOAD).fetch_all(conn).await?);
    rows.into_iter()
        .map(|(tenant, holder, position, error, attempts, waiting, since, skipped)| {
            let corrupt =
                ReadError::Corrupt { table: "parked", column: "tenant", key: tenant.clone() };
            Ok(Parked {
                tenant: tenant.parse().map_err(|_| corrupt)?,
                holder: Holder::stored(&holder),
                position,
                error,
                attempts,
                waiting,
                since: since.0,
                skipped,
            })
        })
        .collect()
}

/// Parks a customer at an event.
pub(crate) async fn park(
    tx: &mut Tx,
    tenant: &Tenant,
    holder: &Holder,
    position: i64,
    error: &str,
    since: Timestamp,
) -> Result<(), sqlx::Error> {
    on_tx!(tx, conn => {
        sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(holder.as_str())
            .bind(position)
            .bind(error)
            .bind(SqlTime(since))
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// Writes a row of one build into another one.
pub(crate) async fn carry(tx: &mut Tx, it: &Parked) -> Result<(), sqlx::Error> {
    on_tx!(tx, conn => {
        sqlx::query(CARRY)
            .bind(it.tenant.as_str())
            .bind(it.holder.as_str())
            .bind(it.position)
            .bind(&it.error)
            .bind(it.attempts)
            .bind(it.waiting)
            .bind(SqlTime(it.since))
            .bind(it.skipped)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// Counts events that wait behind a parked one.
pub(crate) async fn wait(
    tx: &mut Tx,
    tenant: &Tenant,
    holder: &Holder,
    events: i64,
) -> Result<(), sqlx::Error> {
    on_tx!(tx, conn => {
        sqlx::query(WAIT)
            .bind(holder.as_str())
            .bind(tenant.as_str())
            .bind(events)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// Takes a customer out, for a new try; `false` if it was not parked.
pub(crate) async fn release(
    tx: &mut Tx,
    tenant: &Tenant,
    holder: &Holder,
) -> Result<bool, sqlx::Error> {
    Ok(on_tx!(tx, conn => {
        sqlx::query(RELEASE)
            .bind(holder.as_str())
            .bind(tenant.as_str())
            .execute(conn)
            .await?
            .rows_affected()
    }) > 0)
}

/// Gives up the failing event of a customer; `false` if it was not parked.
pub(crate) async fn skip(
    tx: &mut Tx,
    tenant: &Tenant,
    holder: &Holder,
) -> Result<bool, sqlx::Error> {
    Ok(on_tx!(tx, conn => {
        sqlx::query(SKIP)
            .bind(holder.as_str())
            .bind(tenant.as_str())
            .execute(conn)
            .await?
            .rows_affected()
    }) > 0)
}
