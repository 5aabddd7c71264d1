//! Which policy was in force when.
//!
//! Promises: the answer depends on the set of published versions, not on the order in which they
//! arrive. At any instant the version with the latest `effective_from` not after it is in force,
//! of two with the same one the higher version. A version never changes: the same version with
//! another body is refused, with the same body it changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Finding, NAMES, Policies, Published, Section, unknown_policy};

/// All versions of all policies of one tenant.
#[derive(Debug, Clone)]
pub struct PolicyHistory {
    versions: BTreeMap<String, BTreeMap<u64, (Published, Section)>>,
    /// The set in force from each instant at which something changes; never empty.
    timeline: BTreeMap<Timestamp, Arc<Policies>>,
    defaults: Arc<Policies>,
}

impl PolicyHistory {
    /// Only the defaults, version 1 of everything.
    #[must_use]
    pub fn new() -> Self {
        let defaults = Arc::new(Policies::default());
        Self { versions: BTreeMap::new(), timeline: BTreeMap::new(), defaults }
    }

    /// Adds a published version. Answers whether it was new; all faults of a body that cannot be
    /// read, of a hash that is not the body's, or of a version that is taken by another body.
    pub fn publish(&mut self, published: Published) -> Result<bool, Vec<Finding>> {
        if !NAMES.contains(&published.name.as_str()) {
            return Err(vec![unknown_policy(&published.name)]);
        }
        let Published { name, version, effective_from, body, .. } = &published;
        let honest = Published::new(name, *version, *effective_from, body.clone());
        if honest.hash != published.hash {
            let (en, id) =
                ("is not the SHA-256 of the canonical body", "bukan SHA-256 dari isi kanonis");
            return Err(vec![fault("/hash", "hash", en, id)]);
        }
        if let Some(taken) = self.version(name, *version) {
            if *taken == published {
                return Ok(false);
            }
            let next = self.next_version(name);
            let en = format!("is taken; the next version is {next}");
            let id = format!("sudah dipakai; versi berikutnya {next}");
            return Err(vec![fault("/version", "version_taken", &en, &id)]);
        }
        let section = Section::parse(name, body)?;
        let all = self.versions.entry(name.clone()).or_default();
        all.insert(*version, (published, section));
        self.rebuild();
        Ok(true)
    }

    /// The policies in force at an instant.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> Arc<Policies> {
        let latest = self.timeline.range(..=at).next_back();
        Arc::clone(latest.map_or(&self.defaults, |(_, policies)| policies))
    }

    /// All versions of a policy, the default first; none if there is no policy of that name.
    #[must_use]
    pub fn versions(&self, name: &str) -> Vec<&Published> {
        let later = self.versions.get(name).into_iter().flat_map(BTreeMap::values);
        self.defaults.get(name).into_iter().chain(later.map(|(published, _)| published)).collect()
    }

    /// One version of a policy.
    #[must_use]
    pub fn version(&self, name: &str, version: u64) -> Option<&Published> {
        self.versions(name).into_iter().find(|published| published.version == version)
    }

    /// The number the next version of a policy gets.
    #[must_use]
    pub fn next_version(&self, name: &str) -> u64 {
        let highest = self.versions(name).last().map_or(0, |published| published.version);
        highest.saturating_add(1)
    }

    /// The first instant after `at` at which another set of policies comes into force.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.timeline.range((Excluded(at), Unbounded)).next().map(|(from, _)| *from)
    }

    /// Publishing is rare and reading is not, so the sets in force are made here.
    fn rebuild(&mut self) {
        let mut all: Vec<_> = self.versions.values().flat_map(BTreeMap::values).collect();
        all.sort_by_key(|(published, _)| (published.effective_from, published.version));
        let mut policies = Policies::default();
        self.timeline.clear();
        for (published, section) in all {
            policies.replace(published.clone(), section.clone());
            self.timeline.insert(published.effective_from, Arc::new(policies.clone()));
        }
    }
}

impl Default for PolicyHistory {
    fn default() -> Self {
        Self::new()
    }
}

fn fault(pointer: &str, rule: &'static str, en: &str, id: &str) -> Finding {
    let (pointer, detail) = (pointer.to_owned(), en.to_owned());
    Finding { pointer, rule, detail, indonesian: id.to_owned() }
}
