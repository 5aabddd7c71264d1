//! The parts of a card that other read models know, as they answer them, and the next act.

use events::id::CustomerId;
use events::problem::{Problem, Text};
use projections::card::Pieces;
use projections::loyalty::explain::{Branch, Detail, answer};
use projections::promises::query as promises;
use projections::{Dossier, alerts, neglect};
use serde_json::{Value, json};

use super::super::view::Look;
use crate::answer::unread;
use crate::app::Caller;

/// Open things of one customer that a card shows.
const SHOWN_MAX: i64 = 50;

/// Everything that other read models say on a card.
pub(super) async fn of(
    look: &mut Look,
    caller: &Caller,
    customer: &CustomerId,
    dossier: &Dossier,
) -> Result<Pieces, Box<Problem>> {
    let tenant = caller.tenant();
    let today = look.policies.calendar.local_date(look.now);
    let loyalty = answer(
        customer,
        &dossier.loyalty,
        today,
        &look.policies,
        &look.policies.calendar,
        Branch::default(),
        Detail::Full,
    );
    let wanted =
        promises::Wanted { customer: Some(customer.clone()), ..promises::Wanted::default() };
    let made = promises::list(&mut look.snapshot, tenant, &wanted, look.now, SHOWN_MAX)
        .await
        .map_err(|error| unread(&error))?;
    let clocks = neglect::query::of_customer(&mut look.snapshot, tenant, customer, look.now)
        .await
        .map_err(|error| unread(&error))?;
    let wanted = alerts::query::Wanted {
        customer: Some(customer.clone()),
        ..alerts::query::Wanted::default()
    };
    let ringing = alerts::query::list(&mut look.snapshot, tenant, &wanted, SHOWN_MAX)
        .await
        .map_err(|error| unread(&error))?;

    let owed: Vec<_> = made.into_iter().filter(|it| it.standing.is_owed()).collect();
    let open = open_obligations(&clocks);
    let neglect = states(&clocks, &open);
    let broken =
        owed.iter().find(|it| it.state(look.now) == "broken").map(|it| it.promise.as_str());
    let next_act = next_act(broken, &open, &clocks);
    Ok(Pieces {
        tier: json!({
            "tier": loyalty.tier,
            "since": loyalty.since,
            "lapses_on": loyalty.lapses_on,
            "held": loyalty.held,
        }),
        qualifying_days: json!(loyalty.counted.map_or(0, |it| it.len())),
        open_promises: owed
            .iter()
            .map(|it| super::super::promises::told(it, caller, look.now))
            .collect(),
        open_complaints: complaints(&open),
        open_obligations: json!(open),
        alerts: ringing.iter().map(|it| json!(it.id)).collect(),
        debate: Value::Null,
        survey_next_allowed_at: Value::Null,
        neglect,
        next_act,
    })
}

fn open_obligations(clocks: &Value) -> Vec<Value> {
    let all = clocks.get("obligations").and_then(Value::as_array);
    let is_open = |it: &&Value| it.get("closed_by").is_none_or(Value::is_null);
    let mut open: Vec<Value> = all.into_iter().flatten().filter(is_open).cloned().collect();
    let due = |it: &Value| it.get("due_at").and_then(Value::as_str).unwrap_or("9").to_owned();
    open.sort_by_key(due);
    open
}

/// Complaints of which something is still owed.
fn complaints(open: &[Value]) -> Value {
    let mut found: Vec<&str> = open
        .iter()
        .filter_map(|it| it.get("about")?.as_str()?.strip_prefix("complaint/"))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|it| json!({ "complaint": it })).collect()
}

fn word<'a>(it: &'a Value, name: &str) -> &'a str {
    it.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// `{they, we, owe}`: the state of each clock, and of what is owed the worst.
fn states(clocks: &Value, open: &[Value]) -> Value {
    let all = || clocks.get("clocks").and_then(Value::as_array).into_iter().flatten();
    let state =
        |clock: &str| all().find(|it| word(it, "clock") == clock).map(|it| word(it, "state"));
    let worst = ["overdue", "due_soon"]
        .into_iter()
        .find(|state| open.iter().any(|it| word(it, "state") == *state));
    json!({ "they": state("they"), "we": state("we"), "owe": worst.unwrap_or("ok") })
}

/// The first that applies: a broken promise, what we owe, a silence of ours past its time.
fn next_act(broken: Option<&str>, open: &[Value], clocks: &Value) -> Value {
    if let Some(promise) = broken {
        let why = Text::new(
            format!("Promise {promise} is broken."),
            format!("Janji {promise} dilanggar."),
        );
        return json!({ "act": "settle", "why": why });
    }
    if let Some(it) = open.iter().find(|it| !matches!(word(it, "state"), "paused" | "covered")) {
        let (owed, due) = (word(it, "obligation"), word(it, "due_at"));
        let why = Text::new(
            format!("We owe: {owed}, due {due}."),
            format!("Kita berutang: {owed}, batas {due}."),
        );
        return json!({ "act": owed, "why": why });
    }
    let silent = clocks.get("clocks").and_then(Value::as_array).into_iter().flatten();
    let silent =
        silent.into_iter().find(|it| word(it, "clock") == "we" && word(it, "state") == "overdue");
    match silent {
        Some(it) => json!({ "act": "contact", "why": it.get("sentence") }),
        None => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_comes_before_a_debt_and_a_debt_before_a_silence() {
        let silent =
            json!({"clocks": [{"clock": "we", "state": "overdue", "sentence": {"en": "x"}}]});
        let owed = [json!({"obligation": "answer", "state": "overdue", "due_at": "2026"})];
        assert_eq!(next_act(Some("p-1"), &owed, &silent)["act"], "settle");
        assert_eq!(next_act(None, &owed, &silent)["act"], "answer");
        assert_eq!(next_act(None, &[], &silent)["act"], "contact");
        assert_eq!(next_act(None, &[], &json!({})), Value::Null);
    }

    #[test]
    fn a_complaint_with_two_debts_is_one_complaint() {
        let open =
            [json!({"about": "complaint/k-1"}), json!({"about": "complaint/k-1"}), json!({})];
        assert_eq!(complaints(&open), json!([{"complaint": "k-1"}]));
    }
}
