//! The verdict: each invariant against what the clients were told and the log that is there.
//!
//! An invariant that could not be looked at says so; it is not held.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use events::envelope::Recorded;
use events::id::Tenant;
use projections::rebuild::hashes;
use projections::runner::RunError;
use projections::{Runner, Views, parked};
use sapa::clock::SystemClock;
use serde_json::{Value, json};
use store::ReadError;
use store::quarantine;
use tests::read::{Sent, recorded, sent};

use crate::brokers;
use crate::load::{Deed, Face, Op, Outcome, source};
use crate::nemesis::{Event, Fault};
use crate::obligations::{nobody_is_forgotten, one_alert_an_episode, promises_break_once};
use crate::settle::Quiet;
use crate::world::World;
use crate::{poison, rolling};

/// What healing may take: a lease, the broker's pin, and the work that is left.
const HEALED_WITHIN: Duration = Duration::from_secs(30);
/// An epoch that no term of a run reaches.
const LAST_EPOCH: i64 = 1 << 40;
/// What the density of the log is called.
const NO_HOLE: &str = "Positions of the log and versions of streams have no hole.";
/// Examples that a verdict shows.
const SHOWN: usize = 5;

/// What became of one invariant.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its number, such as `I1`.
    pub id: &'static str,
    /// What it says.
    pub says: &'static str,
    /// What was looked at.
    pub looked_at: String,
    /// What contradicts it; none where it holds.
    pub against: Vec<String>,
}

impl Verdict {
    /// One that something was looked at for.
    pub fn new(
        id: &'static str,
        says: &'static str,
        looked_at: String,
        against: Vec<String>,
    ) -> Self {
        Self { id, says, looked_at, against }
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let shown: Vec<&String> = self.against.iter().take(SHOWN).collect();
        json!({ "id": self.id, "says": self.says, "looked_at": self.looked_at,
                "holds": self.against.is_empty(), "count": self.against.len(), "against": shown })
    }
}

/// What was lost, where in a client's sequence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost {
    /// Before everything of that client that is there.
    pub prefix: usize,
    /// Between things that are there: always a fault.
    pub middle: usize,
    /// After everything that is there.
    pub tail: usize,
}

/// All that is judged by.
pub struct Found {
    /// One verdict per invariant.
    pub verdicts: Vec<Verdict>,
    /// What was lost, and where.
    pub lost: Lost,
    /// How many facts the log holds.
    pub facts: usize,
    /// Seconds from healing until it was quiet.
    pub healed: Option<f64>,
}

impl Found {
    /// Where a position is missing nothing that reads the log goes on, this judge included.
    fn of_a_hole(hole: String) -> Self {
        let verdict = Verdict::new("I4", NO_HOLE, "nothing else".to_owned(), vec![hole]);
        Self { verdicts: vec![verdict], lost: Lost::default(), facts: 0, healed: None }
    }
}

/// The read models as the instances left them.
pub async fn views(world: &World) -> Views {
    Views::open(world.place.clone(), world.log.clone(), Arc::new(SystemClock), 2).await.unwrap()
}

/// Judges everything. The instances have stopped; the servers run.
pub async fn judge(
    world: &World,
    context: &Context,
    history: &[Op],
    faults: &[Event],
    healed: Result<Quiet, String>,
) -> Found {
    let facts = match recorded(&world.log).await {
        Err(hole @ ReadError::Hole { .. }) => return Found::of_a_hole(hole.to_string()),
        facts => facts.unwrap(),
    };
    let log = Index::of(&facts);
    let (i1, lost) = nothing_lost(history, faults, &log);
    let kept = kept(world).await;
    let folds = views_equal_a_rebuild(world, &facts).await;
    let mut verdicts = vec![
        i1,
        nothing_doubled(&facts, history),
        in_order(history, &log),
        dense(&facts),
        out_complete(&facts, context, healed.as_ref().map_or(0, |it| it.head)).await,
        folds.0,
        folds.1,
        times_rise(&facts),
        reads_are_honest(history),
        one_alert_an_episode(&facts),
        nobody_is_forgotten(&facts, healed.as_ref().map_or(0, |it| it.head)),
        promises_break_once(&facts),
        rubbish_is_kept(history, faults, &kept, &log),
        errors_are_honest(history, &log),
    ];
    let took = match &healed {
        Ok(it) if it.after <= HEALED_WITHIN => vec![],
        Ok(it) => vec![format!("quiet only {:.1?} after healing", it.after)],
        Err(why) => vec![why.clone()],
    };
    let looked = healed
        .as_ref()
        .map_or_else(Clone::clone, |it| format!("quiet {:.1?} after healing", it.after));
    verdicts.push(Verdict::new("I14", "After healing it becomes quiet within 30 s.", looked, took));
    let anomalies: Vec<String> =
        world.instances.iter().flat_map(|it| it.anomalies.iter().cloned()).collect();
    let starts: u32 = world.instances.iter().map(|it| it.starts).sum();
    verdicts.push(Verdict::new(
        "F11",
        "A program ends only when asked or when a server is away, and within 15 s.",
        format!("{starts} starts"),
        anomalies,
    ));
    verdicts.extend(rolling::verdict(&world.rolls));
    verdicts.extend(brokers::nothing_without_a_quorum(history, faults));
    Found {
        verdicts,
        lost,
        facts: facts.len(),
        healed: healed.ok().map(|it| it.after.as_secs_f64()),
    }
}

/// The facts by source and id.
struct Index<'a>(HashMap<(&'a str, &'a str), Vec<&'a Recorded>>);

impl<'a> Index<'a> {
    fn of(facts: &'a [Recorded]) -> Self {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for it in facts {
            all.entry((it.source.as_str(), it.id.as_str())).or_default().push(it);
        }
        Self(all)
    }

    fn find(&self, op: &Op) -> Option<&'a Recorded> {
        let key = (source(op.client), op.id.clone());
        self.0.get(&(key.0.as_str(), key.1.as_str())).and_then(|it| it.first().copied())
    }
}

fn name(op: &Op) -> String {
    format!("{} {} at {:.1} s by {:?}", source(op.client), op.id, op.begun, op.face)
}

/// What was only accepted may be gone with the tail of the broker's files (F16), and only then.
fn may_be_lost(op: &Op, faults: &[Event]) -> bool {
    let lost = faults.iter().filter(|it| it.fault == Fault::RollBackNats);
    lost.into_iter().any(|it| it.from <= op.ended && op.begun <= it.to)
}

fn nothing_lost(history: &[Op], faults: &[Event], log: &Index<'_>) -> (Verdict, Lost) {
    let (mut against, mut recorded, mut accepted) = (vec![], 0, 0);
    let mut lost = Lost::default();
    let mut by_client: BTreeMap<u64, Vec<bool>> = BTreeMap::new();
    for op in history.iter().filter(|it| it.deed == Deed::Record) {
        let found = log.find(op);
        match &op.outcome {
            Outcome::Recorded(receipt) => {
                recorded += 1;
                by_client.entry(op.client).or_default().push(found.is_some());
                match found {
                    None => against.push(format!("{} was recorded and is not there", name(op))),
                    Some(it) => {
                        let data: Value = serde_json::from_str(&it.data).unwrap_or_default();
                        if receipt["position"] != it.position || receipt["version"] != it.version {
                            against.push(format!("{}: {receipt} and {}", name(op), it.position));
                        }
                        if data != op.data {
                            against.push(format!("{} has other content", name(op)));
                        }
                    }
                }
            }
            Outcome::Accepted => {
                accepted += 1;
                let excused = may_be_lost(op, faults);
                by_client.entry(op.client).or_default().push(found.is_some() || excused);
                if found.is_none() && !excused {
                    against.push(format!("{} was accepted and is not there", name(op)));
                }
            }
            _ => {}
        }
    }
    for there in by_client.values() {
        let (first, last) = (there.iter().position(|it| *it), there.iter().rposition(|it| *it));
        for (n, _) in there.iter().enumerate().filter(|(_, it)| !**it) {
            match (first, last) {
                (Some(first), _) if n < first => lost.prefix += 1,
                (_, Some(last)) if n < last => lost.middle += 1,
                _ => lost.tail += 1,
            }
        }
    }
    let says = "What was acknowledged is in the log, with its content.";
    let looked = format!("{recorded} recorded, {accepted} accepted");
    (Verdict::new("I1", says, looked, against), lost)
}

fn nothing_doubled(facts: &[Recorded], history: &[Op]) -> Verdict {
    let mut seen = HashSet::new();
    let mut against = Vec::new();
    for it in facts {
        if !seen.insert((it.tenant.as_str(), it.source.as_str(), it.id.as_str())) {
            against.push(format!("{} {} stands twice, at {} too", it.source, it.id, it.position));
        }
    }
    let repeats = history.iter().filter(|it| it.deed == Deed::Repeat);
    let mut count = 0;
    for it in repeats {
        count += 1;
        if let Outcome::Refused(_, why) = &it.outcome {
            against.push(format!("{} again: {why}", name(it)));
        }
    }
    let looked = format!("{} facts, {count} repeats", facts.len());
    Verdict::new(
        "I2",
        "Everything has its effect once; a repeat has the first receipt.",
        looked,
        against,
    )
}

fn in_order(history: &[Op], log: &Index<'_>) -> Verdict {
    let (mut against, mut count) = (vec![], 0);
    let mut last: HashMap<(u64, &str, bool), (i64, f64, String)> = HashMap::new();
    for op in history.iter().filter(|it| it.deed == Deed::Record) {
        // What is answered is in order; what is accepted is in the order of the stream.
        let answered = matches!(op.outcome, Outcome::Recorded(_));
        if !answered && op.outcome != Outcome::Accepted {
            continue;
        }
        let Some(found) = log.find(op) else { continue };
        count += 1;
        let key = (op.client, op.customer.as_str(), answered);
        if let Some((position, ended, before)) = last.get(&key)
            && *ended <= op.begun
            && found.position < *position
        {
            against.push(format!(
                "{} at {} overtook {before} at {position}",
                name(op),
                found.position
            ));
        }
        last.insert(key, (found.position, op.ended, name(op)));
    }
    let says = "What a client sent about a customer one after the other stands so in the log.";
    Verdict::new("I3", says, format!("{count} events"), against)
}

fn dense(facts: &[Recorded]) -> Verdict {
    let mut against = Vec::new();
    let mut versions: HashMap<(&str, &str), i64> = HashMap::new();
    for (it, position) in facts.iter().zip(1..) {
        let version = versions.entry((it.tenant.as_str(), it.stream.as_str())).or_default();
        *version += 1;
        if it.position != position || it.version != *version {
            against.push(format!("{} at {position}: version {}", it.position, it.version));
        }
    }
    Verdict::new("I4", NO_HOLE, format!("{} facts", facts.len()), against)
}

async fn out_complete(facts: &[Recorded], context: &Context, head: i64) -> Verdict {
    let mut against = Vec::new();
    let sent = sent(context).await;
    let mut next = 1;
    let mut repeats = 0;
    for Sent { position, body } in &sent {
        match position.cmp(&next) {
            std::cmp::Ordering::Equal => next += 1,
            std::cmp::Ordering::Less => repeats += 1,
            std::cmp::Ordering::Greater => {
                against.push(format!("{position} went out where {next} was next"));
                next = position + 1;
            }
        }
        let fact = usize::try_from(position - 1).ok().and_then(|it| facts.get(it));
        if fact
            .is_none_or(|it| body["id"] != it.id.as_str() || body["source"] != it.source.as_str())
        {
            against.push(format!("another event went out as {position}"));
        }
    }
    if next - 1 < head {
        against.push(format!("{} of {head} went out", next - 1));
    }
    if 0 < repeats {
        against.push(format!("{repeats} positions went out again although the fence held"));
    }
    let says = "Every position goes out in order, none is left out, none doubled by two relays.";
    Verdict::new("I4", says, format!("{} messages", sent.len()), against)
}

/// What the read models show, and who waits in them.
async fn views_equal_a_rebuild(world: &World, facts: &[Recorded]) -> (Verdict, Verdict) {
    let views = views(world).await;
    let live = views.live();
    let log = world.log.clone();
    let opened = Runner::open(log.clone(), live.db, live.generation, LAST_EPOCH).await;
    let mut folded = opened.unwrap();
    let stuck = catch_up(&mut folded).await.err();
    let generation = live.generation + 1_000;
    let fresh = views.open_generation(generation).await.unwrap();
    let mut fresh = Runner::open(log, fresh.db, generation, 1).await.unwrap();
    catch_up(&mut fresh).await.expect("what the log holds can be folded from its beginning");
    let (ours, theirs) = (hashes(&folded).await.unwrap(), hashes(&fresh).await.unwrap());
    let pairs = ours.iter().zip(&theirs).filter(|(a, b)| a != b);
    let mut against: Vec<String> =
        pairs.map(|(a, b)| format!("{}: {} rows and {}", a.0, a.1, b.1)).collect();
    against.extend(stuck.map(|it| format!("they cannot go on from {}: {it}", folded.position())));
    let rows: i64 = ours.iter().map(|it| it.1).sum();
    let says = "Every read model equals the fold of the log from its beginning, byte for byte.";
    let mut tx = folded.db().begin_write().await.unwrap();
    let waiting = parked::load(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    let equal = Verdict::new("I5", says, format!("{} tables, {rows} rows", ours.len()), against);
    (equal, poison::parked_and_nobody_else(facts, &waiting))
}

async fn catch_up(runner: &mut Runner) -> Result<(), RunError> {
    while runner.step().await?.events != 0 {}
    Ok(())
}

fn times_rise(facts: &[Recorded]) -> Verdict {
    let pairs = facts.windows(2).filter(|it| it[1].recorded_at < it[0].recorded_at);
    let against = pairs.map(|it| format!("{} before {}", it[1].position, it[0].position)).collect();
    Verdict::new("I6", "recorded_at never goes back.", format!("{} facts", facts.len()), against)
}

fn reads_are_honest(history: &[Op]) -> Verdict {
    let (mut against, mut count) = (vec![], 0);
    for op in history {
        if let Outcome::Read(it) = &op.outcome {
            count += 1;
            against.extend(it.as_ref().err().map(|why| format!("{}: {why}", name(op))));
        }
    }
    let says = "An answer shows what it says it shows, and a session never goes back.";
    Verdict::new("I7", says, format!("{count} reads"), against)
}

/// Ids of what is in quarantine, and how often.
async fn kept(world: &World) -> HashMap<(String, String), u32> {
    let tenant: Tenant = "main".parse().expect("a tenant");
    let mut all: HashMap<(String, String), u32> = HashMap::new();
    let mut wanted = quarantine::Wanted::default();
    loop {
        let page = quarantine::list(world.log.db(), &tenant, &wanted, 500).await.unwrap();
        let Some(last) = page.last() else { return all };
        wanted.after = Some((last.received_at, last.quarantine_id.clone()));
        for it in page {
            *all.entry((it.source.unwrap_or_default(), it.event_id.unwrap_or_default()))
                .or_default() += 1;
        }
    }
}

fn rubbish_is_kept(
    history: &[Op],
    faults: &[Event],
    kept: &HashMap<(String, String), u32>,
    log: &Index<'_>,
) -> Verdict {
    let (mut against, mut count) = (vec![], 0);
    for op in history.iter().filter(|it| it.deed == Deed::Rubbish) {
        count += 1;
        let times = kept.get(&(source(op.client), op.id.clone())).copied().unwrap_or(0);
        if log.find(op).is_some() {
            against.push(format!("{} was recorded", name(op)));
        }
        match (&op.outcome, op.face) {
            (Outcome::Recorded(_), _) => {
                against.push(format!("{} was answered recorded", name(op)))
            }
            (Outcome::Accepted, Face::Stream) if times != 1 && !may_be_lost(op, faults) => {
                against.push(format!("{} is in quarantine {times} times", name(op)));
            }
            _ => {}
        }
    }
    let says = "What nobody can understand is kept once and never recorded.";
    Verdict::new("I10", says, format!("{count} messages of rubbish"), against)
}

fn errors_are_honest(history: &[Op], log: &Index<'_>) -> Verdict {
    let (mut against, mut count) = (vec![], 0);
    for op in history {
        match (op.deed, &op.outcome) {
            (Deed::Record, Outcome::Refused(status, code)) => {
                count += 1;
                against.push(format!("{} was refused: {status} {code}", name(op)));
                if log.find(op).is_some() {
                    against.push(format!("{} was refused and is recorded", name(op)));
                }
            }
            (Deed::Contradict, Outcome::Refused(_, code)) => {
                count += 1;
                if code != "event_id_conflict" {
                    against.push(format!("{} with other content: {code}", name(op)));
                }
            }
            (Deed::Contradict, Outcome::Recorded(_)) => {
                against.push(format!("{} with other content was answered recorded", name(op)));
            }
            _ => {}
        }
        if op.deed == Deed::Contradict
            && log.find(op).is_some_and(|it| {
                it.customer.as_ref().is_some_and(|it| it.as_str() == "c-somebody-else")
            })
        {
            against.push(format!("{}: the other content is recorded", name(op)));
        }
    }
    let says = "What is refused is not there, and other content under a known id is refused.";
    Verdict::new("I11", says, format!("{count} refusals"), against)
}
