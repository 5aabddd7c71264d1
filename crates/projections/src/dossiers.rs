//! Where dossiers are kept: one row a holder. Reads and writes in pages that fit a statement; refuses a
//! row that does not read as a dossier.
//!
//! A row is `MessagePack` in which members stand by their place and have no names, so the empty ones take
//! a byte each. A build whose dossiers have another shape cannot read these, and is made anew from the
//! log like any other.

use std::collections::{BTreeSet, HashMap};

use events::id::Tenant;
use sqlx::QueryBuilder;
use store::error::ReadError;
use store::sql::lists;
use store::{Tx, on_tx};

use crate::dossier::{Dossier, Holder};
use crate::rows::{self, Key, Row, Touched, row};

/// Dossiers in memory at once while everybody's rows are made anew.
const SWEEP_HOLDERS_MAX: usize = 500;

const LOAD_HEAD: &str = "SELECT holder, tenant, dossier FROM dossiers WHERE (holder, tenant) IN (";

/// The dossiers of some holders; who has none is left out.
pub async fn load_dossiers(
    tx: &mut Tx,
    keys: &BTreeSet<Key>,
) -> Result<HashMap<Key, Dossier>, ReadError> {
    let keys: Vec<&Key> = keys.iter().collect();
    let mut found = HashMap::new();
    for chunk in lists(&keys) {
        let stored: Vec<(String, String, Vec<u8>)> = on_tx!(tx, conn => {
            let mut query = QueryBuilder::new(LOAD_HEAD);
            query.push_values(chunk, |mut row, (tenant, holder)| {
                row.push_bind(holder.as_str()).push_bind(tenant.as_str());
            });
            query.push(")");
            query.build_query_as().fetch_all(conn).await?
        });
        for (holder, tenant, bytes) in stored {
            let corrupt =
                |column| ReadError::Corrupt { table: "dossiers", column, key: holder.clone() };
            let dossier = rmp_serde::from_slice(&bytes).map_err(|_| corrupt("dossier"))?;
            let tenant = tenant.parse().map_err(|_| corrupt("tenant"))?;
            found.insert((tenant, Holder::stored(&holder)), dossier);
        }
    }
    Ok(found)
}

const UPSERT_TAIL: &str = "ON CONFLICT (holder, tenant) DO UPDATE SET dossier = excluded.dossier";

/// Writes the dossiers of some holders.
pub(crate) async fn upsert_dossiers(
    tx: &mut Tx,
    touched: &[Touched<'_>],
) -> Result<(), sqlx::Error> {
    let row = |it: &Touched<'_>| {
        row![it.key, rmp_serde::to_vec(it.dossier).expect("folds keep plain data")]
    };
    let rows: Vec<Row> = touched.iter().map(row).collect();
    rows::insert(tx, "dossiers", &["holder", "tenant", "dossier"], &rows, UPSERT_TAIL).await
}

const COUNT_HOLDERS: &str = "
    SELECT count(*)
      FROM (SELECT holder
              FROM dossiers
             WHERE tenant = $1
             LIMIT $2) AS found";

/// Whether a tenant has more holders than so many.
pub(crate) async fn has_more_holders(
    tx: &mut Tx,
    tenant: &Tenant,
    than: usize,
) -> Result<bool, sqlx::Error> {
    let than = i64::try_from(than).unwrap_or(i64::MAX);
    let count: i64 = on_tx!(tx, conn => {
        sqlx::query_scalar(COUNT_HOLDERS)
            .bind(tenant.as_str())
            .bind(than.saturating_add(1))
            .fetch_one(conn)
            .await?
    });
    Ok(than < count)
}

const HOLDERS_AFTER: &str = "
    SELECT holder
      FROM dossiers
     WHERE tenant = $1
       AND holder > $2
     ORDER BY holder
     LIMIT $3";

/// The holders of a tenant that follow one, in their order.
pub(crate) async fn holders_after(
    tx: &mut Tx,
    tenant: &Tenant,
    after: &str,
) -> Result<Vec<Holder>, ReadError> {
    let limit = i64::try_from(SWEEP_HOLDERS_MAX).unwrap_or(i64::MAX);
    let found: Vec<(String,)> = on_tx!(tx, conn => {
        sqlx::query_as(HOLDERS_AFTER)
            .bind(tenant.as_str())
            .bind(after)
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    Ok(found.into_iter().map(|(it,)| Holder::stored(&it)).collect())
}
