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
use projections::{Dossier, Holder, Key, Snapshot, runner};
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
    if head < at_least {
        return Err(Box::new(Problem::new(
            Code::PositionUnknown,
            format!("The log is at {head}; {at_least} has not been reached yet."),
            format!("Catatan berada di {head}; {at_least} belum tercapai."),
        )));
    }
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
    pub fn page(&self, items: &[Value], cursors: Cursors) -> Reply {
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
        let found = runner::load_dossiers(&mut self.snapshot.tx, &keys).await;
        let found = found.map_err(|error| unread(&error))?;
        let now = self.now;
        Ok(found.into_iter().map(|(key, it)| (key, it.into_at(now))).collect())
    }

    /// The names of some customers, for those who may see them.
    pub async fn names(
        &mut self,
        caller: &Caller,
        customers: impl IntoIterator<Item = CustomerId>,
    ) -> Result<HashMap<CustomerId, String>, Box<Problem>> {
        if !caller.sees_personal() {
            return Ok(HashMap::new());
        }
        let key = |it: CustomerId| (caller.tenant().clone(), Holder::customer(&it));
        let found = self.dossiers(customers.into_iter().map(key).collect()).await?;
        let (policies, now) = (Arc::clone(&self.policies), self.now);
        Ok(found
            .into_iter()
            .filter_map(|((_, holder), dossier)| {
                let customer = holder.as_customer()?;
                let card = projections::card::Card::of(&customer, &dossier.card, &policies, now);
                card.name.map(|name| (customer, name))
            })
            .collect())
    }
}

/// The customer that the path names; what cannot be an id is nobody.
pub fn customer(params: &Params) -> Result<CustomerId, Box<Problem>> {
    let unknown = || Box::new(Problem::of(Code::CustomerUnknown));
    let id = params.values().get("id").and_then(Value::as_str).ok_or_else(unknown)?;
    id.parse().map_err(|_| unknown())
}
