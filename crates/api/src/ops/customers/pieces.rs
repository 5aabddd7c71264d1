//! The parts of a card that other read models know, as they answer them, and the next act.

use events::id::CustomerId;
use events::problem::{Problem, Text};
use events::spoken::{duration, time};
use events::time::parse_instant;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use projections::card::Pieces;
use projections::listing::Window;
use projections::loyalty::explain::{Branch, Detail, answer};
use projections::promises::query as promises;
use projections::{Dossier, alerts, neglect};
use serde_json::{Value, json};
use store::Log;

use super::super::view::Look;
use crate::answer::unread;
use crate::app::Caller;

/// Open things of one customer that a card shows.
const SHOWN_MAX: i64 = 50;

/// Everything that other read models say on a card.
pub(super) async fn of(
    log: &Log,
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
    let some = Window::first(SHOWN_MAX);
    let made = promises::list(&mut look.snapshot, log, tenant, &wanted, look.now, &some)
        .await
        .map_err(|error| unread(&error))?;
    let clocks = neglect::query::of_customer(customer, &dossier.neglect, &look.policies, look.now);
    let wanted = alerts::query::Wanted {
        customer: Some(customer.clone()),
        ..alerts::query::Wanted::default()
    };
    let ringing = alerts::query::list(&mut look.snapshot, log, tenant, &wanted, &some)
        .await
        .map_err(|error| unread(&error))?;

    let owed: Vec<_> =
        made.into_iter().map(|(_, it)| it).filter(|it| it.standing.is_owed()).collect();
    let open = open_obligations(&clocks);
    let neglect = states(&clocks, &open);
    let zone = &look.policies.calendar.zone;
    let broken = owed.iter().find(|it| it.state(look.now) == "broken");
    let broken = broken.map(|it| {
        let what = Some(it.what.as_str()).filter(|_| caller.sees_personal());
        broken_promise(what, it.due_at, look.now, zone)
    });
    let next_act = next_act(broken, &open, &clocks, look.now, zone);
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
        alerts: ringing.iter().map(|(_, it)| json!(it.id)).collect(),
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

/// Why a broken promise comes first.
fn broken_promise(what: Option<&str>, due: Timestamp, now: Timestamp, zone: &TimeZone) -> Text {
    let late = duration(now.duration_since(due));
    let due = time(due, now, zone);
    let (what, apa) = what.map_or(("What we promised", "Yang kita janjikan"), |it| (it, it));
    Text::new(
        format!("{what}, promised by {}: {} late", due.en, late.en),
        format!("{apa}, dijanjikan sampai {}: terlambat {}", due.id, late.id),
    )
}

/// The first that applies: a broken promise, what we owe, a silence of ours past its time.
fn next_act(
    broken: Option<Text>,
    open: &[Value],
    clocks: &Value,
    now: Timestamp,
    zone: &TimeZone,
) -> Value {
    if let Some(why) = broken {
        return json!({ "act": "settle", "why": why });
    }
    if let Some(it) = open.iter().find(|it| !matches!(word(it, "state"), "paused" | "covered")) {
        let act = word(it, "obligation");
        let (owed, utang) = alerts::sentence::owed(act);
        let why = match parse_instant(word(it, "due_at")) {
            Ok(due) => {
                let due = time(due, now, zone);
                Text::new(
                    format!("We owe {owed}, due {}.", due.en),
                    format!("Kita berutang {utang}, batas {}.", due.id),
                )
            }
            Err(_) => Text::new(format!("We owe {owed}."), format!("Kita berutang {utang}.")),
        };
        return json!({ "act": act, "why": why });
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
        let now = parse_instant("2026-12-01T02:40:00+07:00").unwrap();
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        let act = |broken, open: &[Value], clocks: &Value| {
            next_act(broken, open, clocks, now, &zone)["act"].clone()
        };
        assert_eq!(act(Some(Text::default()), &owed, &silent), "settle");
        assert_eq!(act(None, &owed, &silent), "answer");
        assert_eq!(act(None, &[], &silent), "contact");
        assert_eq!(next_act(None, &[], &json!({}), now, &zone), Value::Null);
    }

    #[test]
    fn what_is_owed_is_said_in_words_with_its_time_as_people_say_it() {
        let now = parse_instant("2026-12-01T02:40:00+07:00").unwrap();
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        let due = "2026-12-01T03:00:00.000000Z";
        let owed = [json!({"obligation": "answer", "state": "ok", "due_at": due})];
        let why = &next_act(None, &owed, &json!({}), now, &zone)["why"];
        assert_eq!(why["en"], "We owe an answer, due 10:00.");
        assert_eq!(why["id"], "Kita berutang jawaban, batas pukul 10.00.");
        let due = parse_instant("2026-11-30T09:00:00+07:00").unwrap();
        let why = broken_promise(Some("Price for 200 guests"), due, now, &zone);
        let wanted = "Price for 200 guests, promised by 30 November, 09:00: 17 hours late";
        assert_eq!(why.en, wanted);
    }

    #[test]
    fn a_complaint_with_two_debts_is_one_complaint() {
        let open =
            [json!({"about": "complaint/k-1"}), json!({"about": "complaint/k-1"}), json!({})];
        assert_eq!(complaints(&open), json!([{"complaint": "k-1"}]));
    }
}
