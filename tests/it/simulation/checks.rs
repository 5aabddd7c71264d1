//! What has to be true when a run has come to rest, judged from what the publishers were told and
//! what the broker still owed, by rules that know nothing of how ingest and relay work.

use std::collections::BTreeMap;

use crate::simulation::ledger::{Entry, Kept};
use crate::simulation::publishers::{INTO_STREAM, Op, Sort};
use crate::simulation::world::World;

/// The first rule that is broken.
pub fn check(world: &World) -> Result<(), String> {
    if let Some(wrong) = world.wrongs.first() {
        return Err(wrong.clone());
    }
    nothing_accepted_is_missing(world)?;
    nothing_was_invented(world)?;
    the_order_of_the_stream_is_kept(world)?;
    answers_were_honest(world)?;
    everything_went_out_in_order(world)
}

fn ensure(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}

fn data_of(world: &World, op: &Op) -> Option<String> {
    let entry = world.ledger.find(&format!("/p-{}", op.publisher), &op.id)?;
    Some(entry.event.data.to_string())
}

/// I1, I10: what the broker accepted and kept is recorded, or in quarantine for its own fault.
fn nothing_accepted_is_missing(world: &World) -> Result<(), String> {
    for ((message, incarnation, sequence), op) in world.inbound.accepted.iter().zip(&world.sent_for)
    {
        let (serial, op) = (message.serial, &world.ops[*op]);
        if world.is_excused(serial) {
            continue;
        }
        let kept =
            Kept { incarnation: *incarnation, sequence: *sequence, body: message.body.to_string() };
        let code = world.ledger.quarantine.get(&kept).map(String::as_str);
        let recorded = data_of(world, op);
        let told = || {
            format!(
                "p-{} {} #{serial} at sequence {sequence}: recorded {recorded:?}, quarantine {code:?}",
                op.publisher, op.id
            )
        };
        match op.sort {
            Sort::Broken => {
                ensure(code.is_some(), || format!("I10: a broken one is gone: {}", told()))?;
            }
            Sort::Poison => {
                ensure(code == Some("internal"), || format!("I10: poison is gone: {}", told()))?;
            }
            Sort::Valid if recorded.as_ref() == Some(&op.data) => {
                ensure(code.is_none() || world.given_up.contains(&op.id), || {
                    format!("I10: recorded and kept in quarantine: {}", told())
                })?;
            }
            Sort::Valid => {
                let conflict = recorded.is_some() && code == Some("event_id_conflict");
                ensure(conflict || world.given_up.contains(&op.id), || {
                    format!("I1: accepted and missing: {}", told())
                })?;
            }
        }
    }
    Ok(())
}

/// I2, I6: each fact was sent by somebody, stands once, and time does not run back.
fn nothing_was_invented(world: &World) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    let mut last = jiff::Timestamp::UNIX_EPOCH;
    for (it, position) in world.ledger.entries.iter().zip(1..) {
        ensure(it.receipt.position == position, || format!("I4: a hole at {position}"))?;
        ensure(last <= it.receipt.recorded_at, || format!("I6: time runs back at {position}"))?;
        last = it.receipt.recorded_at;
        let earlier = seen.insert((it.event.source.to_string(), it.event.id.to_string()), position);
        ensure(earlier.is_none(), || format!("I2: {} stands twice", it.event.id))?;
        ensure(sent(world, it).next().is_some(), || format!("nobody sent {}", it.event.id))?;
    }
    for (kept, code) in &world.ledger.quarantine {
        let from = world.inbound.accepted.iter().any(|(message, incarnation, sequence)| {
            *incarnation == kept.incarnation
                && *sequence == kept.sequence
                && *message.body == *kept.body
        });
        ensure(from, || format!("I10: {code} in quarantine was never published: {kept:?}"))?;
    }
    Ok(())
}

fn sent<'a>(world: &'a World, it: &'a Entry) -> impl Iterator<Item = (usize, &'a Op)> {
    world.ops.iter().enumerate().filter(|(_, op)| {
        it.event.source.as_str() == format!("/p-{}", op.publisher)
            && it.event.id.as_str() == op.id
            && *it.event.data == *op.data
    })
}

/// I3: facts stand in the order in which their messages were accepted. What the broker has lost in
/// between has no such order.
fn the_order_of_the_stream_is_kept(world: &World) -> Result<(), String> {
    let mut serials: BTreeMap<(usize, &str), Vec<u64>> = BTreeMap::new();
    for ((message, ..), op) in world.inbound.accepted.iter().zip(&world.sent_for) {
        let op = &world.ops[*op];
        if op.sort != Sort::Valid {
            continue;
        }
        serials.entry((op.publisher, &op.id)).or_default().push(message.serial);
    }
    let mut last: Option<(u64, &str)> = None;
    for it in &world.ledger.entries {
        let Some((_, op)) = sent(world, it).next() else { continue };
        if op.publisher == INTO_STREAM || world.given_up.contains(&op.id) {
            continue;
        }
        let own = serials.get(&(op.publisher, op.id.as_str())).map_or(&[][..], Vec::as_slice);
        if own.iter().any(|it| world.is_excused(*it)) {
            continue;
        }
        let Some(first) = own.iter().min().copied() else { continue };
        let content = &world.ops[world.sent_for[usize::try_from(first).unwrap()]].data;
        ensure(**content == *it.event.data, || {
            format!("I3: of p-{} {} the later content won", op.publisher, op.id)
        })?;
        if let Some((before, id)) = last {
            ensure(before < first, || {
                format!("I3: #{first} ({}) stands after #{before} ({id})", op.id)
            })?;
        }
        last = Some((first, &op.id));
    }
    Ok(())
}

/// I1, I3, I11: a receipt names the place where the event stands, and one publisher's places rise.
fn answers_were_honest(world: &World) -> Result<(), String> {
    let mut last = 0;
    let mut seen = BTreeMap::new();
    for op in world.ops.iter().filter(|it| it.publisher == INTO_STREAM) {
        let Some(position) = op.recorded else { return Err(format!("{} was not answered", op.id)) };
        let entry = usize::try_from(position - 1).ok().and_then(|it| world.ledger.entries.get(it));
        let stands =
            entry.is_some_and(|it| it.event.id.as_str() == op.id && *it.event.data == *op.data);
        ensure(stands, || format!("I1: {} is not at {position}", op.id))?;
        if let Some(first) = seen.insert(&op.id, position) {
            ensure(first == position, || format!("I2: {} at {first} and {position}", op.id))?;
        } else {
            ensure(last < position, || format!("I3: {} at {position} after {last}", op.id))?;
            last = position;
        }
    }
    Ok(())
}

/// I4: `SAPA_OUT` holds every position in order, except what was purged.
fn everything_went_out_in_order(world: &World) -> Result<(), String> {
    let purged = &world.outbound.purged;
    let mut wanted = (1..=world.ledger.head()).filter(|it| !purged.contains(it));
    let mut last = 0;
    for it in world.outbound.messages() {
        let position = it.position;
        let index = usize::try_from(position - 1).unwrap();
        let fact = &world.ledger.entries[index].event;
        ensure(it.name == format!("{} {}", fact.source, fact.id), || {
            format!("I4: another fact went out as {position}")
        })?;
        if purged.contains(&position) && last < position {
            continue;
        }
        ensure(wanted.next() == Some(position), || {
            format!("I4: {position} went out after {last}")
        })?;
        last = position;
    }
    ensure(wanted.next().is_none(), || format!("I4: nothing went out after {last}"))
}
