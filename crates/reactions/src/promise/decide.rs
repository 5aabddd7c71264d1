//! What is due about a customer's promises, as events.

use events::id::Tenant;
use events::kind::Kind;
use events::mint;
use events::time::spell;
use jiff::Timestamp;
use projections::promises::due::{self, Due, What};
use projections::{Dossier, Holder};
use serde_json::json;

use crate::draft::Draft;

/// The name of this reaction.
pub const PROMISE: &str = "promise";

/// Everything that has become due, in the order in which it did.
#[must_use]
pub fn decide(tenant: &Tenant, holder: &Holder, dossier: &Dossier, now: Timestamp) -> Vec<Draft> {
    let dues = due::dues(&dossier.promises).into_iter();
    dues.filter(|it| it.at <= now).map(|it| draft(tenant, holder, &it)).collect()
}

fn draft(tenant: &Tenant, holder: &Holder, due: &Due) -> Draft {
    let kind = Kind::PromiseSettled;
    let how = due.what.how().as_str();
    // The due time is part of it: a promise that was renegotiated can be broken once more.
    let basis = format!("{}|{how}|{}", due.promise, spell(due.at));
    let id = mint::reaction_id(tenant, PROMISE, kind.name(), &basis, due.occurrence);
    let mut data = json!({ "promise": due.promise, "how": how });
    let mut voided = None;
    if let What::Kept { by, .. } | What::Late { by } = &due.what
        && let Some(members) = data.as_object_mut()
    {
        members.insert("by".to_owned(), json!(by));
    }
    if let What::Kept { voids, .. } = &due.what {
        voided.clone_from(voids);
    }
    let mut draft = Draft::of(PROMISE, kind, id, due.at, data).about(holder.as_customer());
    draft.voids = voided;
    draft
}
