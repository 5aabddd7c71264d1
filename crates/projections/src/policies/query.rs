//! Policies, as people ask for them.

use events::id::Tenant;
use events::policy::{Policies, Published};
use events::time::spell;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::views::Snapshot;

/// Every policy by name, with the version in force at an instant.
#[must_use]
pub fn list(snapshot: &Snapshot, tenant: &Tenant, at: Timestamp) -> Vec<Value> {
    let history = snapshot.policies_of(tenant);
    let in_force = history.in_force(at);
    let names = in_force.published();
    names
        .into_iter()
        .map(|it| {
            let newest = history.next_version(&it.name).saturating_sub(1);
            json!({
                "name": it.name,
                "version": it.version,
                "newest_version": newest,
                "effective_from": spell(it.effective_from),
                "hash": it.hash,
            })
        })
        .collect()
}

/// One policy: a version of it, or the one in force at an instant.
#[must_use]
pub fn get(
    snapshot: &Snapshot,
    tenant: &Tenant,
    name: &str,
    version: Option<u64>,
    at: Timestamp,
) -> Option<Value> {
    let history = snapshot.policies_of(tenant);
    let in_force = history.in_force(at);
    let wanted: Option<&Published> = match version {
        Some(version) => history.version(name, version),
        None => Policies::get(&in_force, name),
    };
    wanted.map(|it| {
        json!({
            "name": it.name,
            "version": it.version,
            "effective_from": spell(it.effective_from),
            "hash": it.hash,
            "body": it.body,
            "in_force": in_force.get(name).is_some_and(|now| now.version == it.version),
        })
    })
}
