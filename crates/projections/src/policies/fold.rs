//! Policies by tenant, as the log tells them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use events::envelope::Recorded;
use events::fact::Fact;
use events::id::Tenant;
use events::kind::Kind;
use events::policy::{Policies, PolicyHistory, Published};
use jiff::Timestamp;

/// One published version, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Whose.
    pub tenant: Tenant,
    /// The content.
    pub published: Published,
    /// The position of its event.
    pub position: i64,
    /// Whether it has taken hold for the rows.
    pub active: bool,
}

/// What the rows of one tenant are made with.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    /// The policies that have taken hold.
    pub active: &'a Policies,
    /// All versions by time.
    pub history: &'a PolicyHistory,
}

/// All policies of all tenants.
#[derive(Clone, Debug, Default)]
pub struct Book {
    histories: HashMap<Tenant, PolicyHistory>,
    active: HashMap<Tenant, Arc<Policies>>,
    waiting: BTreeMap<(Timestamp, i64), (Tenant, Published)>,
    defaults: Arc<Policies>,
    no_history: PolicyHistory,
}

impl Book {
    /// The book as it stood when these versions were stored, in the order of their positions.
    #[must_use]
    pub fn stored(versions: &[Version]) -> Self {
        let mut book = Self::default();
        for it in versions {
            // A stored version was accepted when it was folded, so it is accepted again.
            let history = book.histories.entry(it.tenant.clone()).or_default();
            let _ = history.publish(it.published.clone());
            if !it.active {
                let key = (it.published.effective_from, it.position);
                book.waiting.insert(key, (it.tenant.clone(), it.published.clone()));
            }
        }
        let mut active: Vec<&Version> = versions.iter().filter(|it| it.active).collect();
        active.sort_by_key(|it| (it.published.effective_from, it.position));
        for it in active {
            book.activate(&it.tenant, it.published.clone());
        }
        book
    }

    /// The policies that the rows of a tenant are made with.
    #[must_use]
    pub fn active(&self, tenant: &Tenant) -> &Arc<Policies> {
        self.active.get(tenant).unwrap_or(&self.defaults)
    }

    /// The rules of a tenant.
    #[must_use]
    pub fn rules(&self, tenant: &Tenant) -> Rules<'_> {
        Rules {
            active: self.active(tenant),
            history: self.histories.get(tenant).unwrap_or(&self.no_history),
        }
    }

    /// All versions by time, per tenant.
    #[must_use]
    pub fn histories(&self) -> &HashMap<Tenant, PolicyHistory> {
        &self.histories
    }

    /// Folds a `policy.published` in; `None` if its body is not a policy, which changes nothing.
    pub fn publish(&mut self, event: &Recorded, fact: &Fact) -> Option<Version> {
        let Fact::PolicyPublished(it) = fact else { return None };
        let body = serde_json::Value::Object(it.body.clone());
        let published =
            Published::new(it.name.as_str(), it.version.into(), it.effective_from, body);
        let history = self.histories.entry(event.tenant.clone()).or_default();
        if !history.publish(published.clone()).unwrap_or(false) {
            return None;
        }
        let key = (published.effective_from, event.position);
        self.waiting.insert(key, (event.tenant.clone(), published.clone()));
        let tenant = event.tenant.clone();
        Some(Version { tenant, published, position: event.position, active: false })
    }

    /// Lets everything take hold that is effective by the time an event was recorded; answers with
    /// the positions of what did, and whose it is.
    pub fn advance(&mut self, recorded_at: Timestamp) -> Vec<(Tenant, i64)> {
        let mut taken = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            if recorded_at < entry.key().0 {
                break;
            }
            let ((_, position), (tenant, published)) = entry.remove_entry();
            self.activate(&tenant, published);
            taken.push((tenant, position));
        }
        taken
    }

    /// Whether an event publishes a version that changes something.
    #[must_use]
    pub fn accepts(&self, event: &Recorded) -> bool {
        event.kind == Kind::PolicyPublished
            && event.fact().is_ok_and(|it| self.clone().publish(event, &it).is_some())
    }

    /// For whom a published version takes hold by an instant.
    pub fn due(&self, recorded_at: Timestamp) -> impl Iterator<Item = &Tenant> {
        let due = self.waiting.iter().take_while(move |((from, _), _)| *from <= recorded_at);
        due.map(|(_, (tenant, _))| tenant)
    }

    /// When the next published version takes hold.
    #[must_use]
    pub fn next_effective(&self) -> Option<Timestamp> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    fn activate(&mut self, tenant: &Tenant, published: Published) {
        let active = self.active.entry(tenant.clone()).or_insert_with(|| self.defaults.clone());
        let newer = active
            .get(&published.name)
            .is_none_or(|it| it.effective_from <= published.effective_from);
        if newer {
            // The history has accepted this body, so it applies.
            let _ = Arc::make_mut(active).apply(published);
        }
    }
}
