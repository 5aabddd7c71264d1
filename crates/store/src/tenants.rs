//! Whose data there is. An unknown tenant is refused, never made by use.

use events::id::Tenant;
use events::problem::Language;
use jiff::Timestamp;

use crate::db::Db;
use crate::error::ReadError;
use crate::sql::SqlTime;
use crate::{on_db, on_tx};

/// One business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its word in subjects and keys.
    pub tenant: Tenant,
    /// What people call it.
    pub name: String,
    /// IANA zone in which its days begin.
    pub zone: String,
    /// Language of texts when a request does not say.
    pub language: Language,
    /// Key of its fingerprints: 32 random bytes.
    pub fingerprint_key: Vec<u8>,
}

const LIST: &str = "
    SELECT tenant, name, zone, language, fingerprint_key
      FROM tenants
     ORDER BY tenant";

const ADD: &str = "
    INSERT INTO tenants (tenant, name, zone, language, fingerprint_key, created_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant) DO NOTHING";

/// All tenants, by name.
pub async fn list(db: &Db) -> Result<Vec<Profile>, ReadError> {
    let rows: Vec<(String, String, String, String, Vec<u8>)> =
        on_db!(db, pool => sqlx::query_as(LIST).fetch_all(pool).await)?;
    rows.into_iter()
        .map(|(tenant, name, zone, language, fingerprint_key)| {
            let corrupt =
                || ReadError::Corrupt { table: "tenants", column: "tenant", key: tenant.clone() };
            Ok(Profile {
                tenant: tenant.parse().map_err(|_| corrupt())?,
                name,
                zone,
                language: Language::first_of(&language).unwrap_or_default(),
                fingerprint_key,
            })
        })
        .collect()
}

/// Adds a tenant; `false` if it is there already, which stays as it is.
pub async fn add(db: &Db, it: &Profile, now: Timestamp) -> Result<bool, sqlx::Error> {
    let mut tx = db.begin_write().await?;
    let added = on_tx!(&mut tx, conn => {
        sqlx::query(ADD)
            .bind(it.tenant.as_str())
            .bind(&it.name)
            .bind(&it.zone)
            .bind(it.language.tag())
            .bind(&it.fingerprint_key)
            .bind(SqlTime(now))
            .execute(conn)
            .await?
            .rows_affected()
    });
    tx.commit().await?;
    Ok(added == 1)
}
