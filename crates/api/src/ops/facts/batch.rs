//! Several events in one request: all or nothing (R1), or each by itself (R2).
//!
//! An id that stands twice in a batch with the same content is one event with one receipt; with
//! other content it is refused, and both places are named (bad input B50).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use events::cloudevents::{self, Sender};
use events::envelope::Incoming;
use events::problem::{Code, Problem};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Proven;
use super::newcomers::{self, Notes};
use crate::answer::{ReceiptOut, Reply, unappended};
use crate::app::{App, Caller};
use crate::ops::refused;

/// The answer to a batch that was recorded.
#[derive(Serialize)]
struct BatchOut<'a> {
    outcome: &'static str,
    recorded: usize,
    duplicates: usize,
    first_position: Option<i64>,
    last_position: Option<i64>,
    items: Vec<&'a ReceiptOut>,
}

/// Reads every event; the first that is refused refuses the batch, with its index.
pub(super) fn check(
    items: &[&RawValue],
    sender: &Sender<'_>,
) -> Result<Vec<Incoming>, (usize, Box<Problem>)> {
    let read = |(index, item): (usize, &&RawValue)| {
        item_of(item, sender).map_err(|problem| (index, Box::new(problem.in_item(index))))
    };
    items.iter().enumerate().map(read).collect()
}

fn item_of(item: &RawValue, sender: &Sender<'_>) -> Result<Incoming, Box<Problem>> {
    cloudevents::structured(item.get().as_bytes(), sender).map_err(|mut problem| {
        let tenant = problem.errors.first().is_some_and(|it| it.pointer == "/tenant");
        if problem.code == Code::SubjectMismatch && tenant {
            problem.code = Code::TenantMixed;
        }
        problem
    })
}

/// All or nothing, in one transaction.
pub(super) async fn together(
    app: &App,
    caller: &Caller,
    items: &[&RawValue],
) -> Result<Reply, Box<Problem>> {
    let proven = Proven::of(app, caller).await?;
    let checked = match check(items, &proven.sender()) {
        Ok(incoming) => match newcomers::admit(app, caller, &incoming).await {
            Ok(()) => Ok(incoming),
            Err((index, problem)) => Err((index, Box::new(problem.in_item(index)))),
        },
        Err(refused) => Err(refused),
    };
    let incoming = match checked {
        Ok(incoming) => incoming,
        Err((index, problem)) => {
            let bytes = items.get(index).map_or("", |it| it.get()).as_bytes();
            return Err(refused::keep(app, caller, bytes, None, problem).await);
        }
    };
    let (mut unique, places) = fold_repeats(incoming)?;
    let notes = Notes::take(&mut unique);
    let timer = app.metrics.append_timer(caller.face);
    let appended = app.appender.append_telling_firsts(unique).await;
    timer.stop();
    let appended = match appended {
        Ok(appended) => appended,
        Err(error) => {
            let problem = unappended(&error);
            let Some(index) = index_of(&error, &places) else { return Err(problem) };
            let bytes = items.get(index).map_or("", |it| it.get()).as_bytes();
            let problem = refused::with_fields(app, caller, bytes, None, problem).await;
            return Err(Box::new(problem.in_item(index)));
        }
    };
    let receipts = notes.receipts(caller, &appended);
    for it in &receipts {
        app.metrics.event(caller, if it.is_new() { "recorded" } else { "duplicate" });
    }
    Ok(batch_reply(&receipts, &places))
}

/// Which item of the request an append refused.
fn index_of(error: &store::AppendError, places: &[usize]) -> Option<usize> {
    match error {
        store::AppendError::EventIdConflict { index, .. }
        | store::AppendError::VersionConflict { index, .. }
        | store::AppendError::IdTwice { index } => places.iter().position(|it| it == index),
        _ => None,
    }
}

/// Leaves out what stands there twice: the events once each, and for every item which one it is.
fn fold_repeats(incoming: Vec<Incoming>) -> Result<(Vec<Incoming>, Vec<usize>), Box<Problem>> {
    let mut seen = HashMap::with_capacity(incoming.len());
    let mut unique: Vec<Incoming> = Vec::with_capacity(incoming.len());
    let mut places = Vec::with_capacity(incoming.len());
    for (index, it) in incoming.into_iter().enumerate() {
        match seen.entry(it.reference()) {
            Entry::Vacant(free) => {
                free.insert((unique.len(), index));
                places.push(unique.len());
                unique.push(it);
            }
            Entry::Occupied(taken) => {
                let (place, first) = *taken.get();
                if !unique.get(place).is_some_and(|known| is_same(known, &it)) {
                    return Err(batch_duplicate(&it, first, index));
                }
                places.push(place);
            }
        }
    }
    Ok((unique, places))
}

/// One event, as far as its content goes; a time with digits cut off is the same time.
fn is_same(known: &Incoming, it: &Incoming) -> bool {
    known.fingerprint == it.fingerprint || known.differs_by_cut_time(it)
}

fn batch_duplicate(it: &Incoming, first: usize, second: usize) -> Box<Problem> {
    let mut problem = Problem::at(
        Code::BatchDuplicate,
        "/id",
        format!("Items {first} and {second} have the same id and other content."),
        format!("Butir {first} dan {second} memiliki id yang sama dengan isi lain."),
    )
    .in_item(second)
    .member("indexes", json!([first, second]));
    problem.event_id = Some(it.id.to_string());
    Box::new(problem)
}

fn batch_reply(receipts: &[ReceiptOut], places: &[usize]) -> Reply {
    let new = || receipts.iter().filter(|it| it.is_new());
    let recorded = new().count();
    let positions = || new().map(|it| it.position);
    let items: Vec<&ReceiptOut> = places.iter().filter_map(|it| receipts.get(*it)).collect();
    let out = BatchOut {
        outcome: if 0 < recorded { "recorded" } else { "duplicate" },
        recorded,
        duplicates: items.len() - recorded,
        first_position: positions().min(),
        last_position: positions().max(),
        items,
    };
    let last = out.last_position.or_else(|| receipts.iter().map(|it| it.position).max());
    let reply = Reply::of(if 0 < recorded { 201 } else { 200 }, &out)
        .header("sapa-position", last.unwrap_or_default().to_string());
    if 0 < recorded { reply } else { reply.header("idempotent-replayed", "true") }
}

/// Each by itself: the good ones are recorded, the others answered with their problem.
pub(super) async fn each(
    app: &App,
    caller: &Caller,
    items: &[&RawValue],
) -> Result<Reply, Box<Problem>> {
    let proven = Proven::of(app, caller).await?;
    let sender = proven.sender();
    let mut seen = HashMap::with_capacity(items.len());
    let mut good: Vec<Incoming> = Vec::with_capacity(items.len());
    let mut checked = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let read = item_of(item, &sender).map_err(|problem| problem.in_item(index).into());
        let outcome = read.and_then(|it| {
            let (first, place) = *seen.entry(it.reference()).or_insert((index, good.len()));
            if good.get(place).is_some_and(|known| !is_same(known, &it)) {
                return Err(batch_duplicate(&it, first, index));
            }
            good.push(it);
            Ok(())
        });
        checked.push(outcome);
    }
    let refused = newcomers::refused(app, caller, &good).await?;
    let mut good = refuse_newcomers(good, &refused, &mut checked);
    let notes = Notes::take(&mut good);
    let timer = app.metrics.append_timer(caller.face);
    let appended = app.appender.append_each_telling_firsts(good).await;
    timer.stop();
    let mut receipts = notes.receipts_of_each(caller, appended).into_iter();
    let mut outcomes = Vec::with_capacity(items.len());
    for (index, (outcome, item)) in checked.into_iter().zip(items).enumerate() {
        let bytes = item.get().as_bytes();
        outcomes.push(match outcome {
            Ok(()) => match receipts.next() {
                Some(Ok(it)) => Ok(it),
                Some(Err(error)) => {
                    let problem = unappended(&error);
                    let problem = refused::with_fields(app, caller, bytes, None, problem).await;
                    Err(Box::new(problem.in_item(index)))
                }
                None => Err(Box::new(Problem::of(Code::Internal).in_item(index))),
            },
            Err(problem) => Err(refused::keep(app, caller, bytes, None, problem).await),
        });
    }
    for it in outcomes.iter().filter_map(|it| it.as_ref().ok()) {
        app.metrics.event(caller, if it.is_new() { "recorded" } else { "duplicate" });
    }
    Ok(each_reply(app, caller, &outcomes))
}

/// Takes out what is about customers that the key may not make, and says so at their items.
fn refuse_newcomers(
    good: Vec<Incoming>,
    refused: &[bool],
    checked: &mut [Result<(), Box<Problem>>],
) -> Vec<Incoming> {
    let mut outcomes = checked.iter_mut().enumerate().filter(|(_, it)| it.is_ok());
    let mut left = Vec::with_capacity(good.len());
    for (it, is_refused) in good.into_iter().zip(refused) {
        let Some((index, outcome)) = outcomes.next() else { break };
        if *is_refused {
            *outcome = Err(Box::new(newcomers::unknown_customer(&it).in_item(index)));
        } else {
            left.push(it);
        }
    }
    left
}

fn each_reply(app: &App, caller: &Caller, outcomes: &[Result<ReceiptOut, Box<Problem>>]) -> Reply {
    let good = || outcomes.iter().filter_map(|it| it.as_ref().ok());
    let recorded = good().filter(|it| it.is_new()).count();
    let refused = outcomes.len() - good().count();
    let item = |it: &Result<ReceiptOut, Box<Problem>>| match it {
        Ok(receipt) => serde_json::to_value(receipt).unwrap_or_default(),
        Err(problem) => {
            app.metrics.event(caller, super::refusal_word(problem));
            problem.to_json(caller.language, Some(&caller.request_id), &app.settings.public_url)
        }
    };
    let positions = || good().filter(|it| it.is_new()).map(|it| it.position);
    let body = json!({
        "outcome": if 0 < recorded { "recorded" } else if 0 < refused { "refused" } else { "duplicate" },
        "recorded": recorded,
        "duplicates": good().count() - recorded,
        "refused": refused,
        "first_position": positions().min(),
        "last_position": positions().max(),
        "items": outcomes.iter().map(item).collect::<Vec<Value>>(),
    });
    let status = match (refused, recorded) {
        (0, 0) => 200,
        (0, _) => 201,
        _ => 207,
    };
    let reply = Reply::of(status, &body);
    match positions().max() {
        Some(last) => reply.header("sapa-position", last.to_string()),
        None => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(id: &str, purpose: &str) -> Incoming {
        let text = json!({
            "specversion": "1.0", "id": id, "source": "/desk", "subject": "c-1",
            "type": "sapa.interaction.contacted.v1", "time": "2026-06-26T10:20:00+07:00",
            "actor": "staff/rudi", "actorkind": "staff", "channel": "phone",
            "data": {"purpose": purpose, "outcome": "reached"}
        });
        let tenant = "main".parse().unwrap();
        let sender = Sender {
            tenant: &tenant,
            now: "2026-06-26T10:20:00+07:00".parse().unwrap(),
            may_import: false,
            sources: None,
            route: None,
            key: b"key",
            refuse_unknown_fields: false,
            venues: &[],
        };
        cloudevents::structured(text.to_string().as_bytes(), &sender).unwrap()
    }

    #[test]
    fn an_event_that_stands_twice_is_recorded_once() {
        let batch =
            vec![incoming("1", "courtesy"), incoming("2", "courtesy"), incoming("1", "courtesy")];
        let (unique, places) = fold_repeats(batch).unwrap();
        assert_eq!((unique.len(), places), (2, vec![0, 1, 0]));
    }

    #[test]
    fn one_id_with_two_contents_is_refused_and_both_places_are_named() {
        let batch = vec![incoming("1", "courtesy"), incoming("1", "care")];
        let Err(problem) = fold_repeats(batch) else { panic!("it was taken") };
        assert_eq!(problem.code, Code::BatchDuplicate);
        assert_eq!(problem.more_members["indexes"], json!([0, 1]));
        assert_eq!(problem.errors[0].pointer, "/1/id");
    }
}
