//! Looking at the read models: one snapshot per answer, after waiting for what the caller has seen.
//!
//! Every answer made from read models goes through [`look`], so `at_least`, `wait` and `as_of` mean
//! the same everywhere (R4 to R7).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use events::id::{CustomerId, Tenant};
use events::policy::Policies;
use events::problem::{Code, Problem};
use jiff::Timestamp;
use projections::{Dossier, Holder, Key, Snapshot};
use serde::Serialize;
use serde_json::Value;

use crate::answer::{AsOf, Reply, json, put, unread};
use crate::app::{App, Caller};
use crate::page::Cursors;
use crate::params::{Params, WAIT_DEFAULT};

/// The read models at one position, and what is said about that position.
#[derive(Debug)]
pub struct Look {
    /// One read transaction.
    pub snapshot: Snapshot,
    /// How far it goes.
    pub as_of: AsOf,
    /// The time of the question.
    pub now: Timestamp,
    /// The policies in force now.
    pub policies: Arc<Policies>,
}

/// Waits for what the caller has seen, and looks.
pub async fn look(app: &App, caller: &Caller, params: &Params) -> Result<Look, Box<Problem>> {
    let mut read = params.read();
    let at_least = read.position("at_least").or(caller.at_least).unwrap_or_default();
    let wait = read.wait(WAIT_DEFAULT);
    read.done()?;
    let head = app.log.head().await.map_err(|error| unread(&error))?;
    super::facts::reached(head, Some(at_least))?;
    if 0 < at_least {
        app.views.wait_for(at_least, wait).await.map_err(|error| unread(&error))?;
    }
    at(app, caller.tenant(), head, at_least).await
}

/// Looks once a command has recorded, so that its answer shows what it did.
pub async fn after(app: &App, caller: &Caller, position: i64) -> Result<Look, Box<Problem>> {
    app.views.wait_for(position, WAIT_DEFAULT).await.map_err(|error| unread(&error))?;
    at(app, caller.tenant(), position, position).await
}

async fn at(app: &App, tenant: &Tenant, head: i64, at_least: i64) -> Result<Look, Box<Problem>> {
    let snapshot = app.views.snapshot().await.map_err(|error| unread(&error))?;
    let position = snapshot.position;
    let head = head.max(position);
    let reached = at_least <= position;
    let now = app.clock.now();
    let policies = snapshot.policies_of(tenant).in_force(now);
    let as_of = AsOf { position, head, lag: head - position, reached };
    Ok(Look { snapshot, as_of, now, policies })
}

impl Look {
    /// An answer about one thing, with `as_of`.
    #[must_use]
    pub fn answer(&self, mut body: Value) -> Reply {
        put(&mut body, "as_of", serde_json::to_value(self.as_of).unwrap_or_default());
        Reply::new(200, json(&body)).header("sapa-position", self.as_of.position.to_string())
    }

    /// A page of items, with `as_of`.
    #[must_use]
    pub fn page(&self, items: &[impl Serialize], cursors: Cursors) -> Reply {
        let items: Vec<String> = items.iter().map(json).collect();
        crate::answer::page(&items, cursors, self.as_of)
    }

    /// What is known of one customer; 404 if nothing ever was.
    pub async fn dossier(
        &mut self,
        tenant: &Tenant,
        customer: &CustomerId,
    ) -> Result<Dossier, Box<Problem>> {
        let key: Key = (tenant.clone(), Holder::customer(customer));
        let mut found = self.dossiers(BTreeSet::from([key.clone()])).await?;
        found.remove(&key).ok_or_else(|| Box::new(Problem::of(Code::CustomerUnknown)))
    }

    /// What is known of some holders.
    pub async fn dossiers(
        &mut self,
        keys: BTreeSet<Key>,
    ) -> Result<HashMap<Key, Dossier>, Box<Problem>> {
        let found = self.snapshot.dossiers(&keys).await;
        let found = found.map_err(|error| unread(&error))?;
        let now = self.now;
        Ok(found.into_iter().map(|(key, it)| (key, it.into_at(now))).collect())
    }

    /// Adds to rows that name a `customer` who that is: `name`, and where a row does not say it
    /// `tier`, `owner` and `team`. Whoever may not see names finds `/name` in `masked`.
    pub async fn add_people(
        &mut self,
        caller: &Caller,
        rows: &mut [Value],
    ) -> Result<HashMap<Key, Dossier>, Box<Problem>> {
        let key = |row: &Value| -> Option<Key> {
            let customer = row.get("customer")?.as_str()?.parse().ok()?;
            Some((caller.tenant().clone(), Holder::customer(&customer)))
        };
        let found = self.dossiers(rows.iter().filter_map(key).collect()).await?;
        for row in rows {
            let person = key(row).and_then(|it| found.get(&it)).map(|it| &it.card);
            let text = |it: Option<&str>| Value::from(it);
            for (member, value) in [
                ("tier", person.map(projections::card::State::tier_name)),
                ("owner", person.and_then(|it| it.owner.as_ref()).map(AsRef::as_ref)),
                ("team", person.and_then(|it| it.team.as_ref()).map(AsRef::as_ref)),
            ] {
                if row.get(member).is_none_or(Value::is_null) {
                    put(row, member, text(value));
                }
            }
            let masked = person.is_some_and(|it| it.name.is_some()) && !caller.sees_personal();
            if caller.sees_personal() {
                put(row, "name", text(person.and_then(|it| it.name.as_deref())));
            }
            put(row, "masked", if masked { vec!["/name"] } else { Vec::new() });
        }
        Ok(found)
    }
}

/// The customer that the path names; what cannot be an id is nobody.
pub fn customer(params: &Params) -> Result<CustomerId, Box<Problem>> {
    let unknown = || Box::new(Problem::of(Code::CustomerUnknown));
    let id = params.values().get("id").and_then(Value::as_str).ok_or_else(unknown)?;
    id.parse().map_err(|_| unknown())
}
