//! What is due about a customer's tier, as events.

use events::id::Tenant;
use events::kind::Kind;
use events::mint;
use events::policy::{Policies, PolicyHistory};
use events::time::spell;
use jiff::Timestamp;
use projections::loyalty::due::{self, Change};
use projections::{Dossier, Holder};
use serde_json::json;

use crate::draft::Draft;

/// The name of this reaction.
pub const LOYALTY: &str = "loyalty";

/// The next change of tier, if its time has come. The one after it is decided when this one shows.
#[must_use]
pub fn decide(
    tenant: &Tenant,
    holder: &Holder,
    dossier: &Dossier,
    policies: &Policies,
    history: &PolicyHistory,
    now: Timestamp,
) -> Vec<Draft> {
    let change = due::next_change(&dossier.loyalty, history, &policies.calendar);
    let change = change.filter(|it| it.at <= now && holder.as_customer().is_some());
    // A change that was taken back and is right after all is recorded once more.
    let occurrence = |it: &Change| dossier.loyalty.changes_at(it.at) + 1;
    change.iter().map(|it| draft(tenant, holder, it, occurrence(it))).collect()
}

fn draft(tenant: &Tenant, holder: &Holder, it: &Change, occurrence: u32) -> Draft {
    let kind = Kind::LoyaltyTierChanged;
    let basis = format!(
        "{}|{}|{}|{}|{}",
        holder.as_str(),
        it.from.name(),
        it.to.name(),
        it.cause.as_str(),
        spell(it.at)
    );
    let id = mint::reaction_id(tenant, LOYALTY, kind.name(), &basis, occurrence);
    let mut data = json!({
        "from": it.from.name(),
        "to": it.to.name(),
        "cause": it.cause.as_str(),
        "policy_version": it.policy_version,
        "evidence": it.evidence,
    });
    if let (Some(on), Some(members)) = (it.lapses_on, data.as_object_mut()) {
        members.insert("lapses_on".to_owned(), json!(on));
    }
    Draft::of(LOYALTY, kind, id, it.at, data).about(holder.as_customer())
}
