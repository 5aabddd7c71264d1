//! Ids that Sapa makes: new ones for what happens once, computed ones for what must come out the
//! same twice.
//!
//! A reaction that runs again, on another instance or after a crash, computes the same id and the
//! log answers `duplicate`: that is how nothing fires twice.

use uuid::Uuid;

use crate::id::{EventId, Tenant};

/// The namespace of every computed id: UUIDv5 of the URL namespace and `urn:sapa`.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x8eb4_0708_1dce_5417_9f79_0783_87c7_8a12);

/// Where new ids come from. The random one is `sapa::clock`; tests and simulation hand in their own.
pub trait Ids: Send + Sync + std::fmt::Debug {
    /// A new UUIDv7.
    fn new_id(&self) -> Uuid;
}

/// The id of an event that a reaction appends: the same for the same basis, for ever.
#[must_use]
pub fn reaction_id(
    tenant: &Tenant,
    reaction: &str,
    kind: &str,
    basis: &str,
    occurrence: u32,
) -> Uuid {
    let name = format!("{tenant}|{reaction}|{kind}|{basis}|{occurrence}");
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The id of the `n`-th event (from 1) that a command with an idempotency key appends.
#[must_use]
pub fn command_id(tenant: &Tenant, operation: &str, key: &str, n: u32) -> Uuid {
    let name = match n {
        0 | 1 => format!("{tenant}\n{operation}\n{key}"),
        _ => format!("{tenant}\n{operation}\n{key}\n{n}"),
    };
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// A UUID as the id of an event.
#[must_use]
pub fn event_id(it: Uuid) -> EventId {
    it.to_string().parse().expect("a UUID fits the grammar of event ids")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_that_of_urn_sapa() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:sapa"));
    }

    #[test]
    fn the_published_vectors_hold() {
        let main: Tenant = "main".parse().unwrap();
        let alert = reaction_id(&main, "neglect", "alert.raised", "we_silent|c-sari|2026-04-13", 1);
        assert_eq!(alert.to_string(), "ce320430-85c2-5241-a8dc-9124f3b78af0");
        let ack = command_id(&main, "alerts.ack", "4f1c-retry-1", 1);
        assert_eq!(ack.to_string(), "c6bcbbbf-b632-5e49-b27b-e79c391764e4");
    }
}
