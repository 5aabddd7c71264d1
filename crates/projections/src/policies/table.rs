//! Published versions, in the order of the log.

use events::id::Tenant;
use events::policy::Published;
use store::error::ReadError;
use store::sql::SqlTime;
use store::{Tx, on_tx};

use super::fold::Version;

const INSERT: &str = "
    INSERT INTO policies (tenant, name, version, effective_from, body, position, active)
    VALUES ($1, $2, $3, $4, $5, $6, FALSE)";

const ACTIVATE: &str = "
    UPDATE policies
       SET active = TRUE
     WHERE tenant = $1
       AND position = $2";

const LOAD: &str = "
    SELECT tenant, name, version, effective_from, body, position, active
      FROM policies
     ORDER BY position";

/// Stores a version that does not hold yet.
pub(crate) async fn insert(tx: &mut Tx, it: &Version) -> Result<(), sqlx::Error> {
    on_tx!(tx, conn => {
        sqlx::query(INSERT)
            .bind(it.tenant.as_str())
            .bind(&it.published.name)
            .bind(i64::try_from(it.published.version).unwrap_or(i64::MAX))
            .bind(SqlTime(it.published.effective_from))
            .bind(it.published.body.to_string())
            .bind(it.position)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// Says that a version holds from now on.
pub(crate) async fn activate(
    tx: &mut Tx,
    tenant: &Tenant,
    position: i64,
) -> Result<(), sqlx::Error> {
    on_tx!(tx, conn => {
        sqlx::query(ACTIVATE).bind(tenant.as_str()).bind(position).execute(conn).await?;
    });
    Ok(())
}

/// All versions, in the order of the log.
pub(crate) async fn load(tx: &mut Tx) -> Result<Vec<Version>, ReadError> {
    type Row = (String, String, i64, SqlTime, String, i64, bool);
    let rows: Vec<Row> = on_tx!(tx, conn => sqlx::query_as(LOAD).fetch_all(conn).await?);
    rows.into_iter()
        .map(|(tenant, name, version, effective_from, body, position, active)| {
            let corrupt = |column| ReadError::Corrupt {
                table: "policies",
                column,
                key: format!("position {position}"),
            };
            let body = serde_json::from_str(&body).map_err(|_| corrupt("body"))?;
            let version = u64::try_from(version).map_err(|_| corrupt("version"))?;
            Ok(Version {
                tenant: tenant.parse().map_err(|_| corrupt("tenant"))?,
                published: Published::new(&name, version, effective_from.0, body),
                position,
                active,
            })
        })
        .collect()
}
