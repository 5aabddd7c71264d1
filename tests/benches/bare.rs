//! P11, the other side: the database alone, as the table of the log grows in it.
//!
//! The same table with the same indexes and settings takes rows that the database makes up by
//! itself, as many in a transaction as a batch of ours. Nothing is looked up, judged or answered. So
//! whatever slows down here is the database's own growth, and no log on it can do better.

use std::time::Instant;

use store::on_tx;

use crate::folded::{BATCH, On};
use crate::ground::{Ground, OpenLog, rate};
use crate::load;

/// One stream and one customer each, picked as the mixed history does: in no order.
const INSERT: &str = "
    WITH RECURSIVE made (n) AS
         (SELECT CAST($1 AS BIGINT) UNION ALL SELECT n + 1 FROM made WHERE n + 1 < $2),
         picked (n, customer) AS
         (SELECT n, 'c-' || (n * 2654435761 % 4294967296 % $3) FROM made)
    INSERT INTO events (position, tenant, stream, version, source, event_id, type, customer_id,
                        occurred_at, recorded_at, attributes, fingerprint, data)
    SELECT n, 'main', 'customer/' || customer, n, '/measure', 'e-' || n,
           'sapa.interaction.contacted.v1', customer, '2025-01-01T00:00:00.000000Z',
           '2025-01-01T00:00:00.000000Z', '{\"actor\":\"staff/dewi\",\"channel\":\"phone\"}', $4, $5
      FROM picked";

/// A table in a fresh database.
pub struct Bare {
    log: OpenLog,
    /// Rows that it has.
    rows: u64,
}

impl Bare {
    /// An empty one.
    pub async fn open(ground: &Ground, on: On) -> Self {
        Self { log: on.open(ground).await, rows: 0 }
    }

    /// Inserts rows until there are so many, about one of so many customers each; rows a second in
    /// each stretch of the last ones.
    pub async fn grow(
        &mut self,
        rows: u64,
        customers: u64,
        stretch: u64,
        stretches: usize,
    ) -> Vec<f64> {
        let mut rates = Vec::new();
        while self.rows < rows {
            let (began, from) = (Instant::now(), self.rows);
            while self.rows < rows.min(from + stretch) {
                let to = rows.min(from + stretch).min(self.rows + BATCH);
                self.insert(self.rows, to, customers).await;
                self.rows = to;
            }
            rates.push(rate(self.rows - from, began.elapsed()));
        }
        rates.split_off(rates.len().saturating_sub(stretches))
    }

    async fn insert(&self, from: u64, to: u64, customers: u64) {
        let number = |it: u64| i64::try_from(it).expect("fewer than 2^63 rows");
        let data = load::mixed(0, 1, load::seconds_on(0))["data"].to_string();
        let mut tx = self.log.log.db().begin_write().await.unwrap();
        on_tx!(&mut tx, conn => sqlx::query(INSERT)
            .bind(number(from) + 1)
            .bind(number(to) + 1)
            .bind(number(customers))
            .bind(vec![7_u8; 32])
            .bind(data)
            .execute(conn)
            .await
            .map(drop))
        .unwrap();
        tx.commit().await.unwrap();
    }
}
