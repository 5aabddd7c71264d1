//! How the runner parks a customer whose event cannot be folded or stored, and takes one out again: tried once
//! more, or without the event that an operator gives up. Everybody else goes on. After an error of
//! the database the runner has to be reloaded.

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::Tenant;
use events::planted::{Mistake, planted};
use jiff::Timestamp;
use store::Tx;

use crate::dossier::Holder;
use crate::parked;
use crate::runner::{RunError, Runner};

/// What can be done with an event now.
pub(crate) enum Decoded {
    /// It is folded.
    Fact(Box<Fact>),
    /// It was given up, or its customer is parked.
    Waits,
    /// It does not decode, and why.
    Broken(String),
}

/// Why an event cannot be folded. serde's sentence may quote a value: only its place is kept.
pub(crate) fn undecodable(event: &Recorded, error: &serde_json::Error) -> String {
    format!("{} does not decode at column {}", event.kind, error.column())
}

impl Runner {
    /// The fact, if it can be folded now.
    pub(crate) async fn decode(&self, tx: &mut Tx, event: &Recorded) -> Result<Decoded, RunError> {
        if self.skipped.contains(&(event.tenant.clone(), event.position)) {
            return Ok(Decoded::Waits);
        }
        let holder = Holder::of(event);
        let key = holder.map(|it| (event.tenant.clone(), it));
        if let Some((tenant, holder)) = &key
            && self.parked.contains_key(&(tenant.clone(), holder.clone()))
        {
            parked::wait(tx, tenant, holder, 1).await?;
            return Ok(Decoded::Waits);
        }
        Ok(match event.fact() {
            Ok(fact) => Decoded::Fact(Box::new(fact)),
            Err(error) => Decoded::Broken(undecodable(event, &error)),
        })
    }

    /// Parks whoever an event is about that cannot be folded.
    pub(crate) async fn park(
        &mut self,
        tx: &mut Tx,
        event: &Recorded,
        error: &str,
    ) -> Result<(), RunError> {
        tracing::error!(event.position = event.position, %error, "customer parked");
        if let Some(holder) = Holder::of(event) {
            let (position, at) = (event.position, event.recorded_at);
            parked::park(tx, &event.tenant, &holder, position, error, at).await?;
            if !planted(Mistake::ParkedGoesOn) {
                self.parked.insert((event.tenant.clone(), holder), Some(position));
            }
        }
        Ok(())
    }

    /// Parks the customer of the next event, whose rows the database refuses with a code, and goes past
    /// it; `false` if the event is about nobody.
    pub(crate) async fn park_next(&mut self, code: &str) -> Result<bool, RunError> {
        let page = self.log.read_after(self.at.position, 1).await?;
        let Some(event) = page.first().filter(|it| Holder::of(it).is_some()) else {
            return Ok(false);
        };
        let mut tx = self.db.begin_write().await?;
        // What comes into force before the event does not wait for it, and is not refused because of it.
        self.come_into_force(&mut tx, event).await?;
        self.park(&mut tx, event, &format!("the database refuses its rows with {code}")).await?;
        let to = self.advance(&mut tx, &page).await?;
        tx.commit().await?;
        self.at = to.unwrap_or_else(|| self.at.clone());
        Ok(true)
    }

    /// Tries a parked customer again; `false` if it was not parked.
    pub async fn retry(&mut self, tenant: &Tenant, holder: &Holder) -> Result<bool, RunError> {
        self.unpark(tenant, holder, false).await
    }

    /// Gives up the event that a customer is parked at; `false` if it was not parked.
    pub async fn skip(&mut self, tenant: &Tenant, holder: &Holder) -> Result<bool, RunError> {
        self.unpark(tenant, holder, true).await
    }

    async fn unpark(
        &mut self,
        tenant: &Tenant,
        holder: &Holder,
        skip: bool,
    ) -> Result<bool, RunError> {
        let key = (tenant.clone(), holder.clone());
        if !self.parked.contains_key(&key) {
            return Ok(false);
        }
        let mut tx = self.db.begin_write().await?;
        if skip {
            parked::skip(&mut tx, tenant, holder).await?;
            let stored = parked::load(&mut tx).await?;
            self.remember_parked(stored);
        }
        let facts = self.facts_of(tenant, holder).await?;
        let broken = facts.iter().find_map(|it| Some((it, it.fact().err()?)));
        let here = self.log.read_after((self.at.position - 1).max(0), 1).await?;
        let here = here.first().map_or(Timestamp::UNIX_EPOCH, |it| it.recorded_at);
        let (end, recorded_until) = match &broken {
            Some((event, _)) => (event.position - 1, event.recorded_at),
            None => (self.at.position, here),
        };
        if broken.is_none() && !skip {
            parked::release(&mut tx, tenant, holder).await?;
            self.parked.remove(&key);
        }
        // Tried again in vain, the rows stay as they were.
        if skip || broken.is_none() {
            self.replay(&mut tx, [key], end, recorded_until).await?;
        }
        if let Some((event, error)) = broken {
            self.park(&mut tx, event, &undecodable(event, &error)).await?;
            if skip {
                let behind = facts.iter().filter(|it| event.position < it.position).count();
                let behind = i64::try_from(behind).unwrap_or(i64::MAX);
                parked::wait(&mut tx, tenant, holder, behind).await?;
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    /// What is recorded about a customer up to here, by position, without what was given up.
    async fn facts_of(&self, tenant: &Tenant, holder: &Holder) -> Result<Vec<Recorded>, RunError> {
        let Some(customer) = holder.as_customer() else { return Ok(Vec::new()) };
        let mut facts = self.log.read_customers(tenant, &[&customer], self.at.position).await?;
        facts.retain(|it| !self.skipped.contains(&(tenant.clone(), it.position)));
        facts.sort_by_key(|it| it.position);
        Ok(facts)
    }
}
