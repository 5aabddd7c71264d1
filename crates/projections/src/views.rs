//! The read models as others see them: one consistent snapshot per question.

use std::collections::HashMap;
use std::sync::Arc;

use events::id::Tenant;
use events::policy::PolicyHistory;
use store::Tx;

/// Everything one answer is made of: one read transaction over all read models, at one position.
#[derive(Debug)]
pub struct Snapshot {
    /// The transaction; read only. Query with `store::on_tx!(&mut snapshot.tx, conn => …)`.
    pub tx: Tx,
    /// The position up to which everything is folded.
    pub position: i64,
    /// Policies by tenant, as far as they are folded.
    pub policies: Arc<HashMap<Tenant, PolicyHistory>>,
}

impl Snapshot {
    /// A tenant's policies; the defaults where it has published none.
    #[must_use]
    pub fn policies_of(&self, tenant: &Tenant) -> PolicyHistory {
        self.policies.get(tenant).cloned().unwrap_or_default()
    }
}
