//! What each operation answers, in one sentence: for the reference and, later, the `OpenAPI` document.

/// The sentence of an operation; every operation of the table has one.
#[must_use]
#[rustfmt::skip]
pub fn summary(id: &str) -> Option<&'static str> {
    Some(match id {
        "events.append" => "Records one event or a batch of 1 to 512, whole or not at all, and answers with receipts; `atomic=false` records the valid ones of a batch and answers for each.",
        "events.validate" => "Judges an event as `events.append` would and records nothing.",
        "events.import" => "Records a batch of imported rows, each whole or not at all; a faulty row goes to quarantine whole, with its file and line. `dry_run=true` judges the same and records nothing.",
        "events.import_target" => "Which log and tenant an import would go to, and how much one request may hold.",
        "events.import_end" => "Says that an import has ended, so that alerts about imported history may be raised.",
        "events.list" => "Recorded events by position, oldest first.",
        "events.get" => "The event at a position.",
        "streams.get" => "The events of one stream with its version.",
        "receipts.get" => "What became of an event: its receipt, or where it lies in quarantine; `wait` waits for it.",
        "customers.list" => "Short cards of customers; `search` takes words of a name or the digits of a telephone number and needs `pii:read`.",
        "customers.get" => "The card of one customer: who, tier, clocks, what we owe, what to do next, habits.",
        "customers.merge" => "Not built yet: says that two records are one person.",
        "customers.unmerge" => "Not built yet: takes a merge apart again.",
        "customers.assign" => "Gives a customer an owner and a team.",
        "customers.trait" => "Notes or forgets a trait.",
        "customers.contact" => "Records something that passed between a customer and us; `action` is any `interaction.*`.",
        "customers.plan" => "Plans the next contact, or cancels a plan.",
        "customers.reward" => "Grants, redeems, expires or reverses a reward.",
        "timeline.list" => "Everything that happened with a customer, newest first.",
        "loyalty.get" => "The tier of a customer, since when, until when.",
        "loyalty.explain" => "The same with every event counted and not counted, and what is missing for the next tier.",
        "loyalty.set" => "Sets a tier by hand, with a reason and an end.",
        "loyalty.list" => "Customers by tier, by what lapses soon, or by what is missing.",
        "neglect.get" => "The clocks *they*, *we* and *owe* of a customer.",
        "neglect.list" => "Clocks of all customers, earliest due first.",
        "worklist.list" => "Whom a team should turn to, in the order of fairness.",
        "worklist.next" => "Hands out the next alert of a team and acknowledges it for `fairness.claim_minutes`.",
        "complaints.raise" => "Records a complaint.",
        "complaints.resolve" => "Says how a complaint was resolved and whose fault it was.",
        "complaints.reopen" => "Says that a resolved complaint has come back.",
        "complaints.escalate" => "Passes a complaint on to somebody.",
        "improvements.propose" => "Proposes a change, with the events that call for it.",
        "improvements.make" => "Says that a change was made; each customer behind it is owed the news.",
        "improvements.assess" => "Not built yet: says whether a change helped.",
        "complaints.list" => "Not built yet: complaints and their state; the answer names what to ask instead.",
        "complaints.get" => "Not built yet: one complaint with its thread; the answer names what to ask instead.",
        "promises.list" => "Promises, earliest due first.",
        "promises.get" => "One promise.",
        "promises.make" => "Makes a promise with a time.",
        "promises.settle" => "Settles a promise as kept, renegotiated or released.",
        "promises.reliability" => "How many promises were kept, late and broken, by owner, team or topic.",
        "promises.quote" => "How long answers about a topic took, and what time to promise.",
        "alerts.list" => "Alerts, open ones unless `state` says otherwise, in the order of fairness.",
        "alerts.get" => "One alert with its history.",
        "alerts.ack" => "Takes an alert until a time; an alert that somebody has taken answers `alert_state`.",
        "alerts.snooze" => "Puts an alert off with a reason.",
        "alerts.escalate" => "Passes an alert on, to the next step or to a person.",
        "policies.list" => "The policies in force.",
        "policies.get" => "One policy in one version.",
        "policies.publish" => "Publishes a new version of a policy from a moment on.",
        "projections.list" => "The read models: how far each is, what is paused, what is being rebuilt.",
        "projections.get" => "One read model.",
        "projections.act" => "Rebuilds, swaps, rolls back, retires, pauses, resumes or verifies.",
        "projections.parked" => "Customers that were set aside because an event of theirs could not be read.",
        "projections.unpark" => "Tries a parked customer again, or goes on without the event.",
        "quarantine.list" => "Messages that could not be understood.",
        "quarantine.get" => "One of them with its reason.",
        "quarantine.retry" => "Sends the same bytes the same way again.",
        "quarantine.discard" => "Gives a message up, with a note; its bytes are removed.",
        "keys.list" => "The keys of the tenant, without their secrets.",
        "keys.make" => "Makes a key; its secret is shown this once.",
        "keys.revoke" => "Revokes a key.",
        "tenants.list" => "The tenants.",
        "tenants.put" => "Makes a tenant, or changes its zone and language.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn every_operation_has_a_summary() {
        for it in super::super::table() {
            assert!(summary(it.id).is_some(), "{} needs a sentence in summary.rs", it.id);
        }
    }
}
