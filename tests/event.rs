//! From an event as it travels to what an append takes, through the one validator.

use events::cloudevents::{Sender, structured};
use events::envelope::Incoming;
use events::id::Tenant;
use jiff::Timestamp;

/// Somebody who may say anything about a tenant, by whatever way, and misspells nothing.
#[must_use]
pub fn anybody(tenant: &Tenant, now: Timestamp) -> Sender<'_> {
    Sender {
        tenant,
        now,
        may_import: true,
        sources: None,
        route: None,
        key: b"a key of thirty-two bytes, or so",
        refuse_unknown_fields: true,
        venues: &[],
    }
}

/// What the validator makes of an event in the structured form, or a panic with what it says.
#[must_use]
pub fn incoming(event: &[u8], sender: &Sender<'_>) -> Incoming {
    structured(event, sender).unwrap_or_else(|problem| {
        panic!("{problem} {:?} in {}", problem.errors, String::from_utf8_lossy(event))
    })
}
