//! When an import of a tenant was said to have ended. It lies beside the checkpoints, as the place in
//! the log up to which history is loaded, so an instance that starts later knows it too.

use events::id::Tenant;
use events::time::{parse_instant, spell};
use jiff::Timestamp;

use crate::checkpoint;
use crate::db::Db;
use crate::error::ReadError;
use crate::on_tx;

const END: &str = "
    INSERT INTO checkpoints (name, position, source, event_id, epoch, detail)
    VALUES ($1, $2, NULL, NULL, 0, $3)
    ON CONFLICT (name)
    DO UPDATE SET position = excluded.position, detail = excluded.detail";

fn name(tenant: &Tenant) -> String {
    format!("import.{tenant}")
}

/// Remembers that everything an import had to load was recorded by an instant.
pub async fn end(
    db: &Db,
    tenant: &Tenant,
    position: i64,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut tx = db.begin_write().await?;
    on_tx!(&mut tx, conn => {
        sqlx::query(END)
            .bind(name(tenant))
            .bind(position)
            .bind(spell(at))
            .execute(conn)
            .await?;
    });
    tx.commit().await
}

/// When an import of a tenant was said to have ended last.
pub async fn ended_at(db: &Db, tenant: &Tenant) -> Result<Option<Timestamp>, ReadError> {
    let detail = checkpoint::load(db, &name(tenant)).await?.detail;
    Ok(detail.and_then(|it| parse_instant(&it).ok()))
}
