//! What has to be true once everything was killed and has come back: of the log, of the read models,
//! of what went out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::pull;
use events::envelope::Recorded;
use events::kind::Kind;
use events::time::spell;
use jiff::Timestamp;
use projections::rebuild::hashes;
use projections::{Runner, Views};
use sapa::clock::SystemClock;
use store::Log;
use store::db::Place;
use tests::read::{last_sent, sent};

use crate::support_nats::eventually;
use crate::survival_load::Note;

/// Nothing new for so long is the end: the reactions look once a second.
const QUIET: Duration = Duration::from_secs(3);
/// An epoch that no term of a test reaches.
const LAST_EPOCH: i64 = 1 << 40;

/// Waits until everything accepted is recorded, folded and sent on, and nothing more follows.
pub async fn settled(place: &Place, log: &Log, context: &Context) {
    eventually("the stream is recorded", async || {
        let Ok(stream) = context.get_stream("SAPA_IN").await else { return false };
        let consumer = stream.get_consumer::<pull::Config>("ingest").await;
        consumer.is_ok_and(|it| {
            let info = it.cached_info();
            info.num_pending == 0 && info.num_ack_pending == 0
        })
    })
    .await;
    let views = views(place, log).await;
    let mut before = (0, tokio::time::Instant::now());
    eventually("all of it is folded and sent on, and it is quiet", async || {
        let head = log.head().await.unwrap();
        if head != before.0 {
            before = (head, tokio::time::Instant::now());
        }
        let sent = last_sent(context).await;
        QUIET <= before.1.elapsed() && sent == head && views.position().await.unwrap() == head
    })
    .await;
}

async fn views(place: &Place, log: &Log) -> Views {
    Views::open(place.clone(), log.clone(), Arc::new(SystemClock), 2).await.unwrap()
}

/// Positions and versions without holes; each note's event once, as its receipt says, and what one
/// publisher sent in its order.
pub fn the_log_holds(facts: &[Recorded], notes: &[Vec<Note>]) {
    let mut versions: HashMap<(&str, &str), i64> = HashMap::new();
    let mut by_id: HashMap<(&str, &str), Vec<&Recorded>> = HashMap::new();
    for (it, position) in facts.iter().zip(1..) {
        assert_eq!(it.position, position, "the log has a hole or a fold");
        let version = versions.entry((it.tenant.as_str(), it.stream.as_str())).or_default();
        *version += 1;
        assert_eq!(it.version, *version, "{} at {position}", it.stream);
        by_id.entry((it.source.as_str(), it.id.as_str())).or_default().push(it);
    }
    for notes in notes {
        let mut last = 0;
        for note in notes {
            let found = by_id.get(&(note.source.as_str(), note.id.as_str()));
            let found = found.map_or(&[][..], Vec::as_slice);
            let [it] = found else {
                panic!("{note:?} stands in the log {} times: {found:?}", found.len());
            };
            if let Some(receipt) = &note.receipt {
                assert_eq!(receipt["position"], it.position, "{note:?}");
                assert_eq!(receipt["version"], it.version, "{note:?}");
                assert_eq!(receipt["stream"], it.stream.as_str(), "{note:?}");
                assert_eq!(receipt["recorded_at"], spell(it.recorded_at), "{note:?}");
            }
            assert!(last < it.position, "{note:?} at {} overtook {last}", it.position);
            last = it.position;
        }
    }
}

/// A fresh build of the read models is the same as the one that was folded meanwhile.
pub async fn the_views_equal_a_rebuild(place: &Place, log: &Log) {
    let views = views(place, log).await;
    let live = views.live();
    let mut folded = Runner::open(log.clone(), live.db, live.generation, LAST_EPOCH).await.unwrap();
    catch_up(&mut folded).await;
    let generation = live.generation + 1;
    let fresh = views.open_generation(generation).await.unwrap();
    let mut fresh = Runner::open(log.clone(), fresh.db, generation, 1).await.unwrap();
    catch_up(&mut fresh).await;
    assert_eq!(folded.position(), fresh.position());
    assert_eq!(folded.position(), log.head().await.unwrap());
    let (folded, fresh) = (hashes(&folded).await.unwrap(), hashes(&fresh).await.unwrap());
    assert_eq!(folded, fresh);
    assert!(folded.iter().any(|(table, rows, _)| *table == "timeline" && 0 < *rows));
}

async fn catch_up(runner: &mut Runner) {
    while runner.step().await.unwrap().events != 0 {}
}

/// Every position went out once and in order, as the log has it, and each alert under one id.
pub async fn all_went_out_once(facts: &[Recorded], context: &Context) {
    let out = sent(context).await;
    let positions: Vec<i64> = out.iter().map(|it| it.position).collect();
    let wanted: Vec<i64> = (1..).take(out.len()).collect();
    let at = positions.iter().zip(&wanted).position(|(a, b)| a != b);
    assert_eq!(at, None, "the order that went out: {:?}", at.map(|at| around(&positions, at)));
    assert!(out.len() <= facts.len());
    let mut raised: BTreeMap<(String, u64), Vec<&str>> = BTreeMap::new();
    for (it, fact) in out.iter().zip(facts) {
        assert_eq!(it.body["id"], fact.id.as_str(), "position {}", it.position);
        assert_eq!(it.body["source"], fact.source.as_str(), "position {}", it.position);
        if fact.kind == Kind::AlertRaised {
            let data = &it.body["data"];
            let alert = data["alert"].as_str().unwrap().to_owned();
            let key = (alert, data["occurrence"].as_u64().unwrap());
            raised.entry(key).or_default().push(fact.id.as_str());
        }
    }
    for (alert, ids) in &raised {
        assert_eq!(ids.len(), 1, "{alert:?} went out as {ids:?}");
    }
    assert!(10 < raised.len(), "only {} alerts rang: the load forgot nobody", raised.len());
    println!("{} events, {} of them alerts that rang", facts.len(), raised.len());
}

fn around(positions: &[i64], at: usize) -> &[i64] {
    &positions[at.saturating_sub(5)..(at + 5).min(positions.len())]
}

/// Ends the lease of a holder that is known to be dead, as ten seconds of waiting would.
pub async fn forget_the_dead_leader(log: &Log) {
    use store::lease::{LEADER, holder, release};
    if let Some((dead, _, _)) = holder(log.db(), LEADER).await.unwrap() {
        release(log.db(), LEADER, &dead, Timestamp::now()).await.unwrap();
    }
}
