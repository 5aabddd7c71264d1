//! API keys: who may do what, for which tenant, as which source.
//!
//! Only a SHA-256 of the secret is stored. A slow hash protects passwords that people choose; a key
//! is 256 random bits and needs none.

use events::id::{Actor, Ident, Source, Tenant};
use jiff::Timestamp;
use sqlx::FromRow;

use crate::db::Db;
use crate::error::ReadError;
use crate::sql::SqlTime;
use crate::{on_db, on_tx};

/// A stored key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The eight characters in front of the secret.
    pub key_id: String,
    /// Whose data it opens.
    pub tenant: Tenant,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: Vec<u8>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// The sources it may send as; empty means any.
    pub sources: Vec<Source>,
    /// The venues whose own system it is: it may send decisions about their bookings.
    pub venues: Vec<Ident>,
    /// It may not send events about customers nobody has heard of.
    pub refuses_unknown_customers: bool,
    /// Whom it acts for when a request does not say.
    pub actor: Option<Actor>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// What happens to an event about a customer nobody has heard of.
const RECORD: &str = "record";
const REFUSE: &str = "refuse";

const ADD: &str = "
    INSERT INTO api_keys (key_id, tenant, name, hash, scopes, sources, actor, created_at,
                          expires_at, venues, unknown_customers, revoked_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL)";

const GET: &str = "
    SELECT key_id, tenant, name, hash, scopes, sources, venues, unknown_customers, actor, created_at,
           expires_at, revoked_at
      FROM api_keys
     WHERE key_id = $1";

const LIST: &str = "
    SELECT key_id, tenant, name, hash, scopes, sources, venues, unknown_customers, actor, created_at,
           expires_at, revoked_at
      FROM api_keys
     WHERE tenant = $1
     ORDER BY created_at, key_id";

const REVOKE: &str = "
    UPDATE api_keys
       SET revoked_at = $3
     WHERE key_id = $1
       AND tenant = $2
       AND revoked_at IS NULL";

const ANY: &str = "
    SELECT count(*)
      FROM api_keys";

/// Stores a new key.
pub async fn add(db: &Db, key: &ApiKey) -> Result<(), sqlx::Error> {
    let text = |it: &Vec<String>| serde_json::Value::from(it.clone()).to_string();
    let sources = key.sources.iter().map(ToString::to_string).collect();
    let venues = key.venues.iter().map(ToString::to_string).collect();
    let unknown = if key.refuses_unknown_customers { REFUSE } else { RECORD };
    let mut tx = db.begin_write().await?;
    on_tx!(&mut tx, conn => {
        sqlx::query(ADD)
            .bind(&key.key_id)
            .bind(key.tenant.as_str())
            .bind(&key.name)
            .bind(&key.hash)
            .bind(text(&key.scopes))
            .bind(text(&sources))
            .bind(key.actor.as_ref().map(Actor::as_str))
            .bind(SqlTime(key.created_at))
            .bind(key.expires_at.map(SqlTime))
            .bind(text(&venues))
            .bind(unknown)
            .execute(conn)
            .await?;
    });
    tx.commit().await
}

/// The key of an id, whatever its state.
pub async fn get(db: &Db, key_id: &str) -> Result<Option<ApiKey>, ReadError> {
    let row: Option<Row> =
        on_db!(db, pool => sqlx::query_as(GET).bind(key_id).fetch_optional(pool).await)?;
    row.map(ApiKey::try_from).transpose()
}

/// A tenant's keys, oldest first.
pub async fn list(db: &Db, tenant: &Tenant) -> Result<Vec<ApiKey>, ReadError> {
    let rows: Vec<Row> =
        on_db!(db, pool => sqlx::query_as(LIST).bind(tenant.as_str()).fetch_all(pool).await)?;
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// Takes a key back; `false` if there was nothing to take.
pub async fn revoke(
    db: &Db,
    tenant: &Tenant,
    key_id: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut tx = db.begin_write().await?;
    let revoked = on_tx!(&mut tx, conn => {
        sqlx::query(REVOKE)
            .bind(key_id)
            .bind(tenant.as_str())
            .bind(SqlTime(now))
            .execute(conn)
            .await?
            .rows_affected()
    });
    tx.commit().await?;
    Ok(revoked == 1)
}

/// Whether there is any key at all.
pub async fn any(db: &Db) -> Result<bool, ReadError> {
    let count: i64 = on_db!(db, pool => sqlx::query_scalar(ANY).fetch_one(pool).await)?;
    Ok(0 < count)
}

#[derive(Debug, FromRow)]
struct Row {
    key_id: String,
    tenant: String,
    name: String,
    hash: Vec<u8>,
    scopes: String,
    sources: String,
    venues: String,
    unknown_customers: String,
    actor: Option<String>,
    created_at: SqlTime,
    expires_at: Option<SqlTime>,
    revoked_at: Option<SqlTime>,
}

impl TryFrom<Row> for ApiKey {
    type Error = ReadError;
    fn try_from(row: Row) -> Result<Self, ReadError> {
        let corrupt =
            |column| ReadError::Corrupt { table: "api_keys", column, key: row.key_id.clone() };
        Ok(Self {
            tenant: row.tenant.parse().map_err(|_| corrupt("tenant"))?,
            scopes: serde_json::from_str(&row.scopes).map_err(|_| corrupt("scopes"))?,
            sources: serde_json::from_str(&row.sources).map_err(|_| corrupt("sources"))?,
            venues: serde_json::from_str(&row.venues).map_err(|_| corrupt("venues"))?,
            refuses_unknown_customers: row.unknown_customers == REFUSE,
            actor: row.actor.map(|it| it.parse()).transpose().map_err(|_| corrupt("actor"))?,
            name: row.name,
            hash: row.hash,
            created_at: row.created_at.0,
            expires_at: row.expires_at.map(|it| it.0),
            revoked_at: row.revoked_at.map(|it| it.0),
            key_id: row.key_id,
        })
    }
}
