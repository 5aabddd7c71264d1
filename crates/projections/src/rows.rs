//! Rows into tables, many at once: the two shapes of writing that every `table.rs` uses.

use events::id::Tenant;
use sqlx::QueryBuilder;
use store::sql::ROWS_PER_STATEMENT_MAX;
use store::{Tx, on_tx};

use crate::dossier::Holder;

/// Whose rows.
pub type Key = (Tenant, Holder);

/// Deletes all rows of some holders. `head` is `DELETE FROM <table> WHERE (holder, tenant) IN (`.
pub(crate) async fn delete(
    tx: &mut Tx,
    head: &'static str,
    holders: &[&Key],
) -> Result<(), sqlx::Error> {
    for chunk in holders.chunks(ROWS_PER_STATEMENT_MAX) {
        on_tx!(tx, conn => {
            QueryBuilder::new(head)
                .push_values(chunk, |mut row, (tenant, holder)| {
                    row.push_bind(holder.as_str()).push_bind(tenant.as_str());
                })
                .push(")")
                .build()
                .persistent(false)
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}
