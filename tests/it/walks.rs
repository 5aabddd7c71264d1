//! A list that is read page by page, while what it shows is changed between the pages: each item that
//! was there at the first page, and belongs to the list all the time, comes exactly once and in the
//! order of the first page. Every list, forward and back, on both databases, over random histories.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use projections::card::{self, Sort};
use projections::earlier::Moment;
use projections::listing::{Place, Window};
use projections::{alerts, loyalty, neglect, promises, timeline};
use serde_json::{Value, json};
use tests::dice::Dice;

use crate::house::{House, instant, main_tenant, stories};

stories![
    lists_are_read_once_however_they_change,
    a_reader_who_follows_the_order_of_the_moment_misses_items,
];

/// Random histories on each database.
const HISTORIES: u64 = 1_000;
/// Histories that share a log.
const PER_LOG: u64 = 25;
/// Customers of a log.
const CUSTOMERS: usize = 6;
/// More than any list here has.
const ALL: i64 = 10_000;
const TEAMS: [&str; 2] = ["frontdesk", "marketing"];

/// A list, with a filter that items can leave and come back to.
#[derive(Clone, Copy, Debug)]
enum List {
    Customers(Sort),
    CustomersOfATeam,
    Clocks,
    ClocksOfATier,
    Owed,
    Alerts,
    Waiting,
    Promises,
    OpenPromises,
    Loyalty,
    Timeline,
    Log,
}

const LISTS: [List; 14] = [
    List::Customers(Sort::LastIn),
    List::Customers(Sort::LastOut),
    List::Customers(Sort::Name),
    List::CustomersOfATeam,
    List::Clocks,
    List::ClocksOfATier,
    List::Owed,
    List::Alerts,
    List::Waiting,
    List::Promises,
    List::OpenPromises,
    List::Loyalty,
    List::Timeline,
    List::Log,
];

/// Items of a page: what tells each apart, and its place.
type Page = Vec<(String, Place)>;

fn named<T>(found: Vec<(Place, T)>, name: impl Fn(&T) -> String) -> Page {
    found.into_iter().map(|(place, it)| (name(&it), place)).collect()
}

fn member(row: &Value, names: &[&str]) -> String {
    names.iter().map(|it| row[*it].to_string()).collect::<Vec<_>>().join(" ")
}

impl List {
    /// One page of a list whose order can change.
    async fn page(self, house: &House, window: &Window) -> Page {
        let (mut snapshot, tenant, log) = (house.snapshot().await, main_tenant(), &house.log);
        let (snapshot, now) = (&mut snapshot, events::time::Clock::now(&*house.clock));
        match self {
            Self::Customers(sort) => {
                let filter = card::Filter::default();
                let found = card::list(snapshot, log, &tenant, &filter, sort, window, true).await;
                named(found.unwrap(), |it| member(it, &["customer"]))
            }
            Self::CustomersOfATeam => {
                let filter = card::Filter { team: Some(TEAMS[0].to_owned()), ..Default::default() };
                let sort = Sort::LastIn;
                let found = card::list(snapshot, log, &tenant, &filter, sort, window, true).await;
                named(found.unwrap(), |it| member(it, &["customer"]))
            }
            Self::Clocks | Self::ClocksOfATier | Self::Owed => {
                let mut wanted = neglect::query::Wanted::default();
                match self {
                    Self::Owed => wanted.clock = Some("owe".to_owned()),
                    Self::ClocksOfATier => wanted.tier = Some("secondary".to_owned()),
                    _ => {}
                }
                let found =
                    neglect::query::list(snapshot, log, &tenant, &wanted, now, window).await;
                let names = ["customer", "clock", "obligation", "opened_by"];
                named(found.unwrap(), |it| member(it, &names))
            }
            Self::Alerts | Self::Waiting => {
                let state = if matches!(self, Self::Alerts) { "all" } else { "waiting" };
                let state = Some(state.to_owned());
                let wanted = alerts::query::Wanted { state, ..Default::default() };
                let found = alerts::query::list(snapshot, log, &tenant, &wanted, window).await;
                named(found.unwrap(), |it| it.id.to_string())
            }
            Self::Promises | Self::OpenPromises => {
                let states = if matches!(self, Self::OpenPromises) { vec!["open"] } else { vec![] };
                let wanted = promises::query::Wanted { states, ..Default::default() };
                let found =
                    promises::query::list(snapshot, log, &tenant, &wanted, now, window).await;
                named(found.unwrap(), |it| it.promise.clone())
            }
            Self::Loyalty | Self::Timeline | Self::Log => Page::new(),
        }
    }

    /// Whether items can leave it and come back without being gone.
    fn is_filtered(self) -> bool {
        matches!(
            self,
            Self::CustomersOfATeam
                | Self::ClocksOfATier
                | Self::Owed
                | Self::Waiting
                | Self::OpenPromises
        )
    }

    /// Whether its order cannot change, so that it is read by a place alone.
    fn is_settled(self) -> bool {
        matches!(self, Self::Loyalty | Self::Timeline | Self::Log)
    }
}

/// Somebody on the way through a list.
struct Walk {
    list: List,
    back: bool,
    began: Option<Moment>,
    limit: i64,
    /// Everything that was there at the first page, in order.
    first: Vec<String>,
    /// How often each of them was still there when a page was read.
    there: HashMap<String, usize>,
    pages: usize,
    seen: Vec<String>,
    after: Option<Place>,
    settled: Option<String>,
    is_done: bool,
}

impl Walk {
    async fn begin(house: &House, list: List, back: bool, pages: i64) -> Self {
        let moment = house.snapshot().await.moment();
        let mut walk = Self {
            list,
            back,
            began: Some(moment),
            limit: ALL,
            first: Vec::new(),
            there: HashMap::new(),
            pages: 0,
            seen: Vec::new(),
            after: None,
            settled: None,
            is_done: false,
        };
        walk.first = walk.all(house).await;
        // A few pages, however many items there are.
        walk.limit = i64::try_from(walk.first.len()).unwrap() / pages + 1;
        walk
    }

    async fn all(&self, house: &House) -> Vec<String> {
        if self.list.is_settled() {
            return self.settled_page(house, None, ALL).await.0;
        }
        let window = Window { back: self.back, ..Window::first(ALL) };
        let found = self.list.page(house, &window).await;
        found.into_iter().map(|(name, _)| name).collect()
    }

    /// One page, and a note of what belongs to the list by then.
    async fn turn(&mut self, house: &House) {
        self.pages += 1;
        for name in self.all(house).await {
            *self.there.entry(name).or_default() += 1;
        }
        if self.list.is_settled() {
            let (page, on) = self.settled_page(house, self.settled.clone(), self.limit).await;
            self.seen.extend(page);
            self.settled.clone_from(&on);
            self.is_done = on.is_none();
            return;
        }
        let (after, began) = (self.after.clone(), self.began);
        let window = Window { began, after, back: self.back, rows: self.limit };
        let page = self.list.page(house, &window).await;
        self.is_done = i64::try_from(page.len()).unwrap() < self.limit;
        self.after = page.last().map(|(_, place)| place.clone()).or(self.after.take());
        self.seen.extend(page.into_iter().map(|(name, _)| name));
    }

    /// A page of a list that is read by a place alone, and the place to go on from.
    async fn settled_page(
        &self,
        house: &House,
        after: Option<String>,
        limit: i64,
    ) -> (Vec<String>, Option<String>) {
        let (mut snapshot, tenant) = (house.snapshot().await, main_tenant());
        let count = usize::try_from(limit).unwrap();
        match self.list {
            List::Loyalty => {
                let today = "2026-09-20".parse().unwrap();
                let wanted =
                    loyalty::query::Wanted { after, back: self.back, ..Default::default() };
                let found = loyalty::query::list(&mut snapshot, &tenant, &wanted, today, limit);
                let page: Vec<String> =
                    found.await.unwrap().iter().map(|it| it.customer.to_string()).collect();
                let on = page.last().filter(|_| page.len() == count).cloned();
                (page, on)
            }
            List::Timeline => {
                let customer = "c-0".parse().unwrap();
                let filter = timeline::Filter {
                    back: self.back,
                    include_voided: true,
                    ..Default::default()
                };
                let place = after.and_then(|it| {
                    let (at, position) = it.split_once(' ')?;
                    Some((at.parse().ok()?, position.parse().ok()?))
                });
                let page = timeline::page(
                    &mut snapshot,
                    &house.log,
                    &tenant,
                    &customer,
                    &filter,
                    place,
                    count,
                    true,
                );
                let page = page.await.unwrap();
                let mut names: Vec<String> =
                    page.entries.iter().map(|it| it.event.to_string()).collect();
                if self.back {
                    names.reverse();
                }
                (names, page.next.map(|(at, position)| format!("{at} {position}")))
            }
            _ => {
                let filter = store::log::Filter::default();
                let at: i64 = after.map_or(0, |it| it.parse().unwrap());
                let (found, seen) = if self.back {
                    let at = if at == 0 { snapshot.position + 1 } else { at };
                    house.log.search_before(&tenant, at, &filter, count, 10_000).await.unwrap()
                } else {
                    house.log.search_after(&tenant, at, &filter, count, 10_000).await.unwrap()
                };
                let mut names: Vec<String> =
                    found.iter().map(|it| it.reference().to_string()).collect();
                if self.back {
                    names.reverse();
                }
                let is_end = if self.back { seen <= 1 } else { found.len() < count };
                (names, (!is_end).then(|| seen.to_string()))
            }
        }
    }

    /// What is wrong with it, if anything.
    fn fault(&self) -> Option<String> {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for it in &self.seen {
            *times.entry(it).or_default() += 1;
        }
        if let Some((name, count)) = times.iter().find(|(_, count)| 1 < **count) {
            return Some(format!("{name} came {count} times"));
        }
        let stayed = |it: &&String| self.there.get(*it) == Some(&self.pages);
        let missing = self.first.iter().filter(stayed).find(|it| !times.contains_key(it.as_str()));
        if let Some(name) = missing {
            return Some(format!("{name} never came"));
        }
        if self.list.is_settled() {
            return None;
        }
        let place = |it: &String| self.first.iter().position(|other| other == it);
        let places: Vec<Option<usize>> = self.seen.iter().map(place).collect();
        let stranger = places.iter().position(Option::is_none);
        // What was there and did not belong to a filtered list may come to belong to it.
        if let Some(at) = stranger.filter(|_| !self.list.is_filtered()) {
            return Some(format!("{} was not there at first", self.seen[at]));
        }
        let places: Vec<usize> = places.into_iter().flatten().collect();
        (!places.is_sorted()).then(|| "the order changed on the way".to_owned())
    }
}

/// Random facts about a few customers.
struct World {
    dice: Dice,
    count: u64,
    references: Vec<String>,
    promises: Vec<(String, Option<String>)>,
    alerts: Vec<String>,
    inquiries: Vec<(String, String)>,
    policies: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice::apart(seed),
            count: 0,
            references: Vec::new(),
            promises: Vec::new(),
            alerts: Vec::new(),
            inquiries: Vec::new(),
            policies: 1,
        }
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.dice.index(all.len())) }
    }

    /// Some facts recorded now, of this moment, of an earlier one or of one that is still to come.
    async fn go_on(&mut self, house: &House, facts: u64) {
        let ahead = SignedDuration::from_secs(i64::try_from(self.dice.skewed(200_000)).unwrap());
        house.clock.set(house.clock_now() + ahead);
        for _ in 0..facts {
            let now = house.clock_now();
            let minutes = i64::try_from(self.dice.below(40_000)).unwrap();
            let at = match self.dice.below(10) {
                0..6 => now,
                6..9 => now - SignedDuration::from_mins(minutes),
                _ => now + SignedDuration::from_mins(6 + minutes % 60),
            };
            let (kind, subject, data, voids) = self.fact(at);
            self.count += 1;
            let id = format!("e-{}", self.count);
            let mut event = json!({ "id": id, "time": events::time::spell(at), "data": data });
            if let Some(subject) = subject {
                event["subject"] = json!(subject);
            }
            if let Some(voids) = voids {
                event["voids"] = json!(voids);
            }
            let incoming = house.incoming(event, kind);
            house.appender.append(vec![incoming]).await.unwrap();
            self.references.push(format!("/test#{id}"));
        }
        let head = house.log.head().await.unwrap();
        assert!(house.views.wait_for(head, Duration::from_secs(20)).await.unwrap());
    }

    #[expect(clippy::too_many_lines, reason = "one arm a kind of fact")]
    fn fact(&mut self, at: Timestamp) -> (&'static str, Option<String>, Value, Option<String>) {
        let customer = format!("c-{}", self.dice.index(CUSTOMERS));
        let about = Some(customer.clone());
        let number = self.count;
        let due = events::time::spell(
            at + SignedDuration::from_hours(1 + i64::try_from(self.dice.below(400)).unwrap()),
        );
        let topic = ["price", "menu"][self.dice.index(2)];
        match self.dice.below(17) {
            0 | 1 => {
                let outcome = ["reached", "left_message", "no_answer"][self.dice.index(3)];
                let data = json!({ "purpose": "courtesy", "outcome": outcome });
                ("interaction.contacted", about, data, None)
            }
            2 | 3 => {
                let inquiry = format!("q-{number}");
                self.inquiries.push((inquiry.clone(), customer));
                let data = json!({ "inquiry": inquiry, "topic": topic });
                ("interaction.inquired", about, data, None)
            }
            4 => match self.pick(&self.inquiries.clone()) {
                Some((inquiry, customer)) => {
                    let complete = self.dice.percent(60);
                    let data =
                        json!({ "about": format!("inquiry/{inquiry}"), "complete": complete });
                    ("interaction.answered", Some(customer.clone()), data, None)
                }
                None => self.named(&customer),
            },
            5 | 6 => self.named(&customer),
            7 => {
                let (owner, team) =
                    (["ani", "dewi"][self.dice.index(2)], TEAMS[self.dice.index(2)]);
                ("customer.assigned", about, json!({ "owner": owner, "team": team }), None)
            }
            8 => {
                let tiers = ["prospect", "secondary", "primary"];
                let data = json!({
                    "from": tiers[self.dice.index(3)], "to": tiers[self.dice.index(3)],
                    "cause": "earned", "policy_version": 1, "evidence": [],
                });
                ("loyalty.tier_changed", about, data, None)
            }
            9 => {
                let promise = format!("p-{number}");
                let to = self.dice.percent(25);
                let own = (!to).then(|| customer.clone());
                self.promises.push((promise.clone(), own.clone()));
                let mut data = json!({
                    "promise": promise, "what": "A call", "owner": "ani", "due_at": due,
                });
                if to {
                    data["to"] = json!("rudi");
                }
                ("promise.made", own, data, None)
            }
            10 | 11 => match self.pick(&self.promises.clone()) {
                Some((promise, customer)) => {
                    let data = if self.dice.percent(60) {
                        json!({
                            "promise": promise, "how": "renegotiated", "told": true,
                            "new_due_at": due,
                        })
                    } else {
                        json!({ "promise": promise, "how": "kept" })
                    };
                    ("promise.settled", customer.clone(), data, None)
                }
                None => self.named(&customer),
            },
            12 => {
                let data = json!({
                    "complaint": format!("k-{number}"), "kind": "service", "category": "noise",
                    "severity": "high", "text": "x",
                });
                ("complaint.raised", about, data, None)
            }
            13 => self.alert(about, &due),
            14 => match self.references.len() {
                0 => self.named(&customer),
                len => {
                    let target = self.references[self.dice.index(len)].clone();
                    let data = json!({ "text": "taken back", "visibility": "team" });
                    ("interaction.noted", about, data, Some(target))
                }
            },
            15 if self.dice.percent(20) => self.policy(at),
            _ => {
                let data = json!({
                    "purchase": format!("s-{number}"), "kind": "sale",
                    "amount": { "amount": 90_000, "currency": "IDR" },
                });
                ("purchase.recorded", about, data, None)
            }
        }
    }

    fn named(&mut self, customer: &str) -> (&'static str, Option<String>, Value, Option<String>) {
        let name = format!("{} Kartika", ["Ani", "Budi", "Sari", "Zul"][self.dice.index(4)]);
        let data = json!({ "kind": "person", "name": name });
        ("customer.registered", Some(customer.to_owned()), data, None)
    }

    fn alert(
        &mut self,
        about: Option<String>,
        due: &str,
    ) -> (&'static str, Option<String>, Value, Option<String>) {
        let known = self.pick(&self.alerts.clone()).cloned().filter(|_| self.dice.percent(60));
        if let Some(alert) = known {
            let (id, customer) = alert.split_once(' ').unwrap();
            let data = json!({ "alert": id, "until": due, "by": "ani" });
            return ("alert.acknowledged", Some(customer.to_owned()), data, None);
        }
        let id = format!("a-{}", self.count);
        self.alerts.push(format!("{id} {}", about.clone().unwrap_or_default()));
        let kind = ["we_owe", "debate", "they_silent"][self.dice.index(3)];
        let severity = ["critical", "warning", "notice"][self.dice.index(3)];
        let data = json!({
            "alert": id, "kind": kind, "occurrence": 1, "severity": severity, "due_at": due,
            "owner": "ani", "team": TEAMS[self.dice.index(2)], "because": [], "stop_by": "answer",
            "policy": "owe", "policy_version": 1,
        });
        ("alert.raised", about, data, None)
    }

    fn policy(&mut self, at: Timestamp) -> (&'static str, Option<String>, Value, Option<String>) {
        self.policies += 1;
        let hours = self.dice.below(100);
        let body = json!({
            "head_start_hours": {
                "we_owe": hours, "debate": 48, "prospect": hours / 2, "secondary": 0, "primary": 0,
            },
            "head_start_max_hours": 200, "run_max": 3, "claim_minutes": 30,
        });
        let published = events::policy::Published::new("fairness", self.policies, at, body.clone());
        let data = json!({
            "name": "fairness", "version": self.policies, "hash": published.hash,
            "effective_from": events::time::spell(at), "body": body,
        });
        ("policy.published", None, data, None)
    }
}

/// Reads some lists of one log while it grows; counts what went wrong, at most one fault a walk.
async fn read(house: &House, seed: u64, histories: u64, keeps_order: bool) -> Vec<String> {
    let mut world = World::new(seed);
    house.clock.set(instant("2026-06-01T10:00:00+07:00"));
    world.go_on(house, 20).await;
    let mut faults = Vec::new();
    for history in 0..histories {
        let mut walks = Vec::new();
        for _ in 0..3 {
            let list = LISTS[world.dice.index(LISTS.len())];
            let (back, pages) = (world.dice.percent(40), 2 + world.dice.below(4));
            let pages = i64::try_from(pages).unwrap();
            let mut walk = Walk::begin(house, list, back, pages).await;
            if !keeps_order {
                walk.began = None;
            }
            walks.push(walk);
        }
        for turn in 0..1_000 {
            for walk in walks.iter_mut().filter(|it| !it.is_done) {
                walk.turn(house).await;
            }
            if walks.iter().all(|it| it.is_done) {
                break;
            }
            // The log itself has an end only once nothing is recorded any more.
            if turn < 12 && world.dice.percent(60) {
                let facts = 1 + world.dice.below(3);
                world.go_on(house, facts).await;
            }
        }
        for walk in walks {
            assert!(walk.is_done, "{:?} has no end", walk.list);
            if let Some(fault) = walk.fault() {
                let (list, back) = (walk.list, walk.back);
                faults.push(format!("seed {seed}, history {history}, {list:?} {back}: {fault}"));
            }
        }
    }
    faults
}

/// One log after the other, by the first house and others like it.
async fn lists_are_read_once_however_they_change(house: House) {
    let mut house = house;
    for log in 0..HISTORIES / PER_LOG {
        let faults = read(&house, log, PER_LOG, true).await;
        assert!(faults.is_empty(), "{faults:#?}");
        house = house.another().await;
    }
}

/// The same without the moment of the first page finds the fault that it is there for.
async fn a_reader_who_follows_the_order_of_the_moment_misses_items(house: House) {
    let faults = read(&house, 7, 4 * PER_LOG, false).await;
    assert!(faults.iter().any(|it| it.contains("never came")), "{faults:#?}");
    assert!(faults.iter().any(|it| it.contains("times")), "{faults:#?}");
}
