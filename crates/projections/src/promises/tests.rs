//! The life of promises, as story S4 tells it.

use events::envelope::{Attributes, Recorded};
use events::fact::Fact;
use events::fact::promise::How;
use events::id::{EventRef, Ident};
use events::kind::Kind;
use events::policy::Policies;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::due::{Due, Refusal, What, dues, may_settle};
use super::{Standing, State};
use crate::entry::Entry;

mod tables;

/// Facts of one holder in the order in which they were recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    facts: Vec<(Recorded, Fact)>,
}

impl Story {
    /// Records a fact of customer `c-1` under an id that other facts name as `/t#<id>`.
    pub(crate) fn add(&mut self, id: &str, kind: &str, time: &str, data: Value) -> &mut Self {
        self.of("c-1", id, kind, time, data)
    }

    /// The same for another customer.
    pub(crate) fn of(
        &mut self,
        customer: &str,
        id: &str,
        kind: &str,
        time: &str,
        data: impl Into<Value>,
    ) -> &mut Self {
        let kind = Kind::from_name(kind).expect("a test names kinds");
        let position = i64::try_from(self.facts.len()).unwrap() + 1;
        let at = at(time);
        let data = data.into().to_string();
        let fact = Fact::parse(kind, &data).expect("a test writes valid data");
        let recorded = Recorded {
            position,
            tenant: "main".parse().unwrap(),
            stream: format!("customer/{customer}").parse().unwrap(),
            version: position,
            source: "/t".parse().unwrap(),
            id: id.parse().unwrap(),
            kind,
            schema_version: 1,
            customer: Some(customer.parse().unwrap()),
            occurred_at: at,
            recorded_at: at,
            causation_id: None,
            correlation_id: None,
            trace: None,
            attributes: Attributes {
                actor: "staff/ani".parse().unwrap(),
                channel: None,
                voids: None,
                imported: false,
                dataschema: None,
                extensions: std::collections::BTreeMap::new(),
            },
            data: data.into(),
        };
        self.facts.push((recorded, fact));
        self
    }

    /// Takes a fact back.
    pub(crate) fn void(&mut self, id: &str) -> &mut Self {
        self.facts.retain(|(it, _)| it.id.as_str() != id);
        self
    }

    /// Marks all facts so far as loaded history.
    pub(crate) fn imported(&mut self) -> &mut Self {
        for (it, _) in &mut self.facts {
            it.attributes.imported = true;
        }
        self
    }

    /// The facts as the runner hands them to a fold.
    pub(crate) fn entries(&self) -> Vec<Entry<'_>> {
        let calendar = &Policies::default().calendar;
        let mut all: Vec<_> = self.facts.iter().collect();
        all.sort_by_key(|(it, _)| (it.occurred_at, it.position));
        all.into_iter()
            .map(|(event, fact)| Entry { event, fact, day: calendar.local_date(event.occurred_at) })
            .collect()
    }

    fn fold(&self) -> State {
        let mut state = State::default();
        for entry in self.entries() {
            state.apply(&entry);
        }
        state
    }

    /// Records what is due up to a moment, as the reaction does, and answers what that was.
    fn react(&mut self, now: &str) -> Vec<Due> {
        let now = at(now);
        let ready = |due: &Due| if due.what == What::Broken { due.at < now } else { due.at <= now };
        let found: Vec<_> = dues(&self.fold()).into_iter().filter(ready).collect();
        for due in &found {
            let mut data = json!({ "promise": due.promise, "how": due.what.how() });
            if let What::Kept { by, voids } = &due.what {
                data["by"] = json!(by);
                if let Some(broken) = voids {
                    self.void(broken.id.as_str());
                }
            }
            if let What::Late { by } = &due.what {
                data["by"] = json!(by);
            }
            let id = format!("{}-{}-{}", due.promise, due.what.how(), due.at);
            self.add(&id, "promise.settled", &due.at.to_string(), data);
            if let Some((it, _)) = self.facts.last_mut() {
                it.source = "/sapa/promise".parse().unwrap();
            }
        }
        found
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a test writes valid instants")
}

fn event(id: &str) -> EventRef {
    format!("/t#{id}").parse().unwrap()
}

fn id(text: &str) -> Ident {
    text.parse().unwrap()
}

fn made(promise: &str, due_at: &str, about: &str) -> Value {
    json!({
        "promise": promise, "what": "Final price for 200 guests", "due_at": due_at,
        "owner": "ani", "about": about, "topic": "price",
    })
}

fn answer(about: &str, complete: bool) -> Value {
    json!({ "about": about, "complete": complete })
}

/// Rina asks, Ani answers partly and promises Monday at ten.
fn rina() -> Story {
    let mut story = Story::default();
    let asked = json!({ "inquiry": "q-88", "topic": "price" });
    story
        .add("ask", "interaction.inquired", "2026-05-09T12:30:00+07:00", asked)
        .add(
            "part",
            "interaction.answered",
            "2026-05-09T12:40:00+07:00",
            answer("inquiry/q-88", false),
        )
        .add(
            "made",
            "promise.made",
            "2026-05-09T12:40:00+07:00",
            made("p-310", "2026-05-11T10:00:00+07:00", "inquiry/q-88"),
        );
    story
}

fn second() -> Story {
    let mut story = Story::default();
    let data = made("p-2", "2026-05-11T15:00:00+07:00", "inquiry/q-2");
    story.add("made", "promise.made", "2026-05-11T09:30:00+07:00", data);
    story
}

#[test]
fn a_complete_answer_before_the_time_keeps_the_promise() {
    let mut story = rina();
    let open = story.fold();
    assert_eq!(open.get(&id("p-310")).unwrap().standing(), Standing::Open);
    let about = "inquiry/q-88".parse().unwrap();
    let (covering, promise) = open.covering(&about).unwrap();
    assert_eq!((covering.as_str(), promise.due_at), ("p-310", at("2026-05-11T10:00+07:00")));
    assert_eq!(story.react("2026-05-10T23:59:00+07:00"), []);

    story.add(
        "answer",
        "interaction.answered",
        "2026-05-11T09:20:00+07:00",
        answer("inquiry/q-88", true),
    );
    let what = What::Kept { by: event("answer"), voids: None };
    let due = Due { promise: id("p-310"), at: at("2026-05-11T09:20+07:00"), occurrence: 1, what };
    assert_eq!(story.react("2026-05-11T09:20:00+07:00"), [due]);
    let promise = story.fold().get(&id("p-310")).unwrap().clone();
    assert_eq!((promise.standing(), promise.margin_minutes()), (Standing::Kept, Some(40)));
    assert_eq!(promise.fulfilled.unwrap().by, event("answer"));
    assert_eq!(dues(&story.fold()), [], "deciding twice decides nothing");
}

#[test]
fn what_was_due_and_not_done_is_broken_then_late_and_kept_once_the_truth_arrives() {
    let mut story = second();
    let due_at = at("2026-05-11T15:00+07:00");
    let broken = Due { promise: id("p-2"), at: due_at, occurrence: 1, what: What::Broken };
    assert_eq!(dues(&story.fold()), std::slice::from_ref(&broken));
    assert_eq!(story.react("2026-05-11T15:00:00+07:00"), [], "it is not late at three sharp");
    assert_eq!(story.react("2026-05-11T15:00:01+07:00"), [broken]);
    assert_eq!(story.fold().get(&id("p-2")).unwrap().standing(), Standing::Broken);
    assert_eq!(dues(&story.fold()), []);
    let broken_ref = story.fold().get(&id("p-2")).unwrap().broken.clone();

    let tuesday = "2026-05-12T10:30:00+07:00";
    story.add("late", "interaction.answered", tuesday, answer("inquiry/q-2", true));
    let late = What::Late { by: event("late") };
    let found = story.react(tuesday);
    assert_eq!(found, [Due { promise: id("p-2"), at: at(tuesday), occurrence: 1, what: late }]);
    let promise = story.fold().get(&id("p-2")).unwrap().clone();
    assert_eq!((promise.standing(), promise.margin_minutes()), (Standing::Late, Some(-1_170)));
    assert_eq!(dues(&story.fold()), []);

    let monday = "2026-05-11T14:50:00+07:00";
    story.add("early", "interaction.answered", monday, answer("inquiry/q-2", true));
    let kept = What::Kept { by: event("early"), voids: broken_ref };
    let found = story.react("2026-05-12T11:00:00+07:00");
    assert_eq!(found, [Due { promise: id("p-2"), at: at(monday), occurrence: 2, what: kept }]);
    let promise = story.fold().get(&id("p-2")).unwrap().clone();
    assert_eq!((promise.standing(), promise.margin_minutes()), (Standing::Kept, Some(10)));
    assert_eq!(promise.broken, None);
    assert_eq!(dues(&story.fold()), []);
}

#[test]
fn after_down_time_both_decisions_are_due_in_the_order_of_their_time() {
    let mut story = second();
    let tuesday = "2026-05-12T10:30:00+07:00";
    story.add("late", "interaction.answered", tuesday, answer("promise/p-2", true));
    let found: Vec<_> =
        story.react("2026-05-13T00:00:00+07:00").iter().map(|it| it.what.how()).collect();
    assert_eq!(found, [How::Broken, How::Late]);
    assert_eq!(dues(&story.fold()), []);
}

#[test]
fn a_promise_is_moved_before_it_is_due_and_only_if_the_customer_was_told() {
    let mut story = Story::default();
    story.add(
        "made",
        "promise.made",
        "2026-05-12T15:00:00+07:00",
        made("p-3", "2026-05-13T12:00:00+07:00", "inquiry/q-3"),
    );
    let state = story.fold();
    let promise = state.get(&id("p-3")).unwrap();
    let later = Some(at("2026-05-13T16:00+07:00"));
    let policies = Policies::default();
    let policy = &policies.promise;
    let ask = |now: &str, new, told| {
        may_settle(promise, How::Renegotiated, at(now), new, told, policy).map_err(|it| it.rule())
    };
    assert_eq!(ask("2026-05-13T11:00+07:00", later, true), Ok(()));
    assert_eq!(ask("2026-05-13T11:00+07:00", later, false), Err("not_told"));
    assert_eq!(ask("2026-05-13T12:01+07:00", later, true), Err("renegotiate_late"));
    assert_eq!(ask("2026-05-13T11:00+07:00", Some(promise.due_at), true), Err("not_later"));

    let moved = json!({
        "promise": "p-3", "how": "renegotiated", "told": true,
        "new_due_at": "2026-05-13T16:00:00+07:00",
    });
    story.add("moved", "promise.settled", "2026-05-13T11:00:00+07:00", moved);
    assert_eq!(dues(&story.fold())[0].at, at("2026-05-13T16:00+07:00"));
    let done = json!({ "promise": "p-3", "how": "kept" });
    story.add("done", "promise.settled", "2026-05-13T15:00:00+07:00", done);
    let state = story.fold();
    let promise = state.get(&id("p-3")).unwrap();
    assert_eq!((promise.standing(), promise.rounds), (Standing::Kept, 1));
    assert_eq!(promise.first_due_at, at("2026-05-13T12:00+07:00"));
    assert_eq!(dues(&state), [], "whoever settled it has recorded it already");
    let now = at("2026-05-13T15:30+07:00");
    let refused = may_settle(promise, How::Released, now, None, false, policy);
    assert_eq!(refused, Err(Refusal::AlreadySettled(Standing::Kept)));
}

#[test]
fn a_third_move_is_refused_and_an_untold_one_moves_nothing() {
    let mut story = second();
    for (n, hour, told) in [(1, 16, true), (2, 17, true), (3, 18, false)] {
        let data = json!({
            "promise": "p-2", "how": "renegotiated", "told": told,
            "new_due_at": format!("2026-05-11T{hour}:00:00+07:00"),
        });
        let time = format!("2026-05-11T10:0{n}:00+07:00");
        story.add(&format!("m-{n}"), "promise.settled", &time, data);
    }
    let state = story.fold();
    let promise = state.get(&id("p-2")).unwrap();
    assert_eq!((promise.rounds, promise.due_at), (3, at("2026-05-11T17:00+07:00")));
    let new = Some(at("2026-05-11T19:00+07:00"));
    let policies = Policies::default();
    let policy = &policies.promise;
    let asked =
        may_settle(promise, How::Renegotiated, at("2026-05-11T11:00+07:00"), new, true, policy);
    assert_eq!(asked.map_err(|it| it.rule()), Err("renegotiate_max"));
}

#[test]
fn a_complaint_resolved_keeps_the_promise_about_it_and_history_asks_for_nothing() {
    let mut story = Story::default();
    story.add(
        "made",
        "promise.made",
        "2026-05-16T11:50:00+07:00",
        made("p-5", "2026-05-18T10:00:00+07:00", "complaint/k-55"),
    );
    let mut missed = story.clone();
    assert_eq!(dues(&missed.imported().fold()), []);
    let data = json!({ "complaint": "k-55", "remedy": "Repaired", "fault": "ours" });
    story.add("fixed", "complaint.resolved", "2026-05-18T09:30:00+07:00", data);
    let found = story.react("2026-05-18T09:30:00+07:00");
    assert_eq!(found[0].what, What::Kept { by: event("fixed"), voids: None });
}

#[test]
fn whoever_is_released_owes_nothing_more() {
    let mut story = second();
    let data = json!({ "promise": "p-2", "how": "released" });
    story.add("free", "promise.settled", "2026-05-11T12:00:00+07:00", data);
    story.add(
        "answer",
        "interaction.answered",
        "2026-05-11T16:00:00+07:00",
        answer("inquiry/q-2", true),
    );
    let state = story.fold();
    let promise = state.get(&id("p-2")).unwrap();
    assert_eq!((promise.standing(), promise.fulfilled.as_ref()), (Standing::Released, None));
    assert_eq!(dues(&state), []);
}

#[test]
fn a_quote_is_the_nearest_rank_rounded_up_to_half_an_hour() {
    let quote = super::query::quote_of("price", (1..=20).map(|it| it * 10).collect(), 20);
    assert_eq!((quote.n, quote.p50, quote.p80), (20, Some(100), Some(160)));
    assert_eq!(quote.suggestion, Some(180));
    let few = super::query::quote_of("price", vec![10, 20], 20);
    assert_eq!((few.n, few.p80, few.suggestion), (2, Some(20), None));
    assert_eq!(super::query::quote_of("price", vec![], 0).p80, None);
}
