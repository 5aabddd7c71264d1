//! 6,919 purchases at an online music shop, 28 years later: every customer's tier and clocks equal
//! what this file computes from the bare text, slowly and in another way: the tier day by day from
//! its conditions, deadlines by counting days up until they are reached.
//!
//! The data carry no licence, so they are not in the repository: without them the test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;

use events::time::Clock as _;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use projections::agenda::{self, Queue};
use projections::runner;
use serde_json::{Value, json};
use store::on_tx;
use store::sql::SqlTime;

use super::{Days, Imported, caught_up, import, reader};
use crate::house::{House, instant, main_tenant};
use crate::support::files::root;

/// Weekdays and distances stay what they were, and no 29 February comes in.
const YEARS_LATER: i16 = 28;
/// Late enough that some have become primary, some will, and some never can again.
const NOW: &str = "2027-02-15T10:00:00+07:00";
const TODAY: Date = jiff::civil::date(2027, 2, 15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tier_and_clock_of_the_music_shop_equals_a_slow_recomputation() {
    let Some(folder) = folder() else {
        // Past the harness: a test that did not run must not look like one that did.
        writeln!(std::io::stderr(), "absent: cdnow_sample").unwrap();
        return;
    };
    let house = House::sqlite().await;
    house.clock.set(instant(NOW));
    let file = folder.join("CDNOW_sample.txt");
    let customers = customers(&std::fs::read_to_string(&file).unwrap());
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();

    let events = reader(&file, "cdnow").map(|it| later(&it.unwrap().outcome.unwrap()));
    let all = Imported { recorded: expected["rows"].as_u64().unwrap(), duplicates: 0 };
    assert_eq!(import(&house, events).await, all);
    caught_up(&house).await;
    record_tiers(&house).await;

    let tiers = loyalty_rows(&house).await;
    let clocks = clock_rows(&house).await;
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (id, it) in &customers {
        let slow = it.loyalty();
        *seen.entry(slow.tier.clone()).or_default() += 1;
        assert_eq!(tiers[id], slow, "{id}: {:?}", it.days);
        assert_eq!(clocks[&(id.clone(), "they".to_owned())], it.they(), "{id}: {:?}", it.days);
        assert_eq!(clocks[&(id.clone(), "we".to_owned())], it.we(), "{id}: {:?}", it.days);
    }
    assert_eq!((tiers.len(), clocks.len()), (customers.len(), 2 * customers.len()));
    assert!(seen["primary"] > 100 && seen["secondary"] > 1_000, "{seen:?}");
    totals(&house, &tiers, &expected).await;
}

fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("SAPA_TEST_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    Some(data.join("cdnow_sample")).filter(|it| it.is_dir())
}

/// An event of the file, moved to a time in which clocks run.
fn later(event: &[u8]) -> Vec<u8> {
    let mut event: Value = serde_json::from_slice(event).unwrap();
    let members = event.as_object_mut().unwrap();
    assert_eq!(members.remove("imported"), Some(json!(true)));
    let time = members["time"].as_str().unwrap();
    let year: i16 = time[..4].parse().unwrap();
    let moved = format!("{}{}", year + YEARS_LATER, &time[4..]);
    members.insert("time".to_owned(), moved.into());
    event.to_string().into_bytes()
}

/// Lets the tiers be recorded, which clocks go by. Nothing else reacts here: everybody who has been
/// silent for a year would ring at once.
async fn record_tiers(house: &House) {
    let (tenant, now) = (main_tenant(), house.clock.now());
    loop {
        let mut snapshot = house.snapshot().await;
        let due = agenda::due(&mut snapshot.tx, Queue::Loyalty, now, 1_000).await.unwrap();
        let keys: BTreeSet<_> = due.into_iter().collect();
        let found = runner::load_dossiers(&mut snapshot.tx, &keys).await.unwrap();
        let history = snapshot.policies_of(&tenant);
        let policies = history.in_force(now);
        let decide = |holder, dossier| {
            reactions::loyalty::decide::decide(&tenant, holder, dossier, &policies, &history, now)
        };
        let drafts = found.iter().flat_map(|((_, holder), dossier)| decide(holder, dossier));
        let events: Vec<_> = drafts.map(|it| it.check(&tenant, b"key", now).unwrap()).collect();
        drop(snapshot);
        if events.is_empty() {
            return;
        }
        house.appender.append(events).await.unwrap();
        caught_up(house).await;
    }
}

/// One customer of the file: what was paid on which date.
#[derive(Debug, Default)]
struct Customer {
    days: BTreeSet<Date>,
    value: i64,
}

/// The file, read by hand.
fn customers(text: &str) -> BTreeMap<String, Customer> {
    let mut found: BTreeMap<String, Customer> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let day: Date = words[2].parse().unwrap();
        let day = Date::new(day.year() + YEARS_LATER, day.month(), day.day()).unwrap();
        let (dollars, cents) = words[4].split_once('.').unwrap();
        let it = found.entry(format!("cdnow-{}", words[0])).or_default();
        it.days.insert(day);
        it.value += format!("{dollars}{cents:0<2}").parse::<i64>().unwrap();
    }
    found
}

/// A row of the table `loyalty`.
#[derive(Debug, Clone, PartialEq)]
struct Loyalty {
    tier: String,
    since: Option<Date>,
    eligible_on: Option<Date>,
    lapses_on: Option<Date>,
    days: i64,
    first: Option<Date>,
    last: Option<Date>,
    value: i64,
}

/// A row of the table `clocks`; the rhythm in tenths of a day.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    tier: String,
    days: i64,
    first: Date,
    last: Date,
    rhythm_tenths: i64,
    warn_at: Timestamp,
    due_at: Timestamp,
    effective_due_at: Timestamp,
    is_silenced: bool,
}

fn days_between(from: Date, to: Date) -> i64 {
    (to - from).get_days().into()
}

impl Customer {
    /// The conditions of the product's paragraph on loyalty, as they are written.
    fn tier_on(&self, day: Date) -> &'static str {
        let known: Vec<Date> = self.days.iter().copied().filter(|it| *it <= day).collect();
        let (Some(first), Some(last)) = (known.first(), known.last()) else { return "prospect" };
        let tenure = 730 <= days_between(*first, day);
        let often = 3 <= known.iter().filter(|it| days_between(**it, day) < 1_095).count();
        let lately = days_between(*last, day) < 540;
        if tenure && often && lately { "primary" } else { "secondary" }
    }

    /// The tier of every day up to today.
    fn history(&self) -> Vec<(Date, &'static str)> {
        let first = *self.days.first().unwrap();
        first
            .series(1.day())
            .take_while(|it| *it <= TODAY)
            .map(|it| (it, self.tier_on(it)))
            .collect()
    }

    /// The row is as of the newest fact: a purchase, or the last change of tier that was recorded.
    fn loyalty(&self) -> Loyalty {
        let history = self.history();
        let mut changes = history.windows(2).filter(|it| it[0].1 != it[1].1).map(|it| it[1].0);
        let (first, last) = (*self.days.first().unwrap(), *self.days.last().unwrap());
        let on = changes.next_back().map_or(last, |it| it.max(last));
        let tier = self.tier_on(on);
        let since =
            history.iter().rev().skip_while(|it| on < it.0).take_while(|it| it.1 == tier).last();
        let since = since.map(|it| it.0);
        let ahead = || on.series(1.day()).skip(1).take(4_000);
        let is_primary = tier == "primary";
        Loyalty {
            tier: tier.to_owned(),
            since,
            eligible_on: if is_primary {
                since
            } else {
                ahead().find(|it| self.tier_on(*it) == "primary")
            },
            lapses_on: ahead().find(|it| is_primary && self.tier_on(*it) != "primary"),
            days: self.days.len().try_into().unwrap(),
            first: Some(first),
            last: Some(last),
            value: self.value,
        }
    }

    /// Their silence: dates with a purchase, one gap of the population, from 7 to 120 days.
    fn they(&self) -> Row {
        let (first, last) = (*self.days.first().unwrap(), *self.days.last().unwrap());
        self.row(first, last, self.days.len().try_into().unwrap(), 60, 120, (30, 45))
    }

    /// Ours: nobody ever wrote to them, so it counts from their first purchase, and no contacts.
    fn we(&self) -> Row {
        let first = *self.days.first().unwrap();
        let most = if self.tier_on(TODAY) == "primary" { 20 } else { 30 };
        Row { days: 0, ..self.row(first, first, 1, 30, most, (10, 14)) }
    }

    fn row(
        &self,
        first: Date,
        last: Date,
        days: i64,
        one_gap: i64,
        most: i64,
        single: (i64, i64),
    ) -> Row {
        // `above / days` is the mean gap; bounds are compared without dividing.
        let above = (days_between(first, last) + one_gap).clamp(7 * days, most * days);
        let count_up = |times: i64| (0..10_000).find(|n| times * above <= n * days).unwrap();
        let (warn, due) = if days == 1 { single } else { (count_up(2), count_up(3)) };
        let at_nine = |after: i64| {
            let day = last.checked_add(after.days()).unwrap();
            format!("{day}T09:00:00+07:00").parse::<Timestamp>().unwrap()
        };
        Row {
            tier: self.tier_on(TODAY).to_owned(),
            days,
            first,
            last,
            rhythm_tenths: (0..100_000).find(|it| 20 * above < (2 * it + 1) * days).unwrap(),
            warn_at: at_nine(warn),
            due_at: at_nine(due),
            effective_due_at: at_nine(due),
            is_silenced: false,
        }
    }
}

async fn loyalty_rows(house: &House) -> BTreeMap<String, Loyalty> {
    use sqlx::Row as _;
    let mut snapshot = house.snapshot().await;
    let text = "SELECT holder, tier, since, eligible_on, lapses_on, days, first, last, value
                  FROM loyalty";
    on_tx!(&mut snapshot.tx, conn => {
        let rows = sqlx::query(text).fetch_all(conn).await.unwrap();
        rows.iter().map(|row| {
            let day = |column| {
                let text: Option<String> = row.get::<_, usize>(column);
                text.map(|it| it.parse().unwrap())
            };
            (
                row.get(0),
                Loyalty {
                    tier: row.get(1),
                    since: day(2),
                    eligible_on: day(3),
                    lapses_on: day(4),
                    days: row.get(5),
                    first: day(6),
                    last: day(7),
                    value: row.get(8),
                },
            )
        })
        .collect()
    })
}

async fn clock_rows(house: &House) -> BTreeMap<(String, String), Row> {
    use sqlx::Row as _;
    let mut snapshot = house.snapshot().await;
    let text = "SELECT holder, clock, tier, days, first, last, rhythm_days, warn_at, due_at,
                       effective_due_at, muted, resting, suspended_until FROM clocks";
    on_tx!(&mut snapshot.tx, conn => {
        let rows = sqlx::query(text).fetch_all(conn).await.unwrap();
        rows.iter().map(|row| {
            let at = |column| row.get::<SqlTime, usize>(column).0;
            let day = |column| row.get::<String, usize>(column).parse().unwrap();
            let suspended: Option<SqlTime> = row.get(12);
            let rhythm_tenths = format!("{:.0}", row.get::<f64, usize>(6) * 10.0).parse().unwrap();
            (
                (row.get(0), row.get(1)),
                Row {
                    tier: row.get(2),
                    days: row.get(3),
                    first: day(4),
                    last: day(5),
                    rhythm_tenths,
                    warn_at: at(7),
                    due_at: at(8),
                    effective_due_at: at(9),
                    is_silenced: row.get(10) || row.get(11) || suspended.is_some(),
                },
            )
        })
        .collect()
    })
}

/// What the timeline says was bought: when, of what worth.
struct Bought {
    holder: String,
    day: Date,
}

/// The totals of the file, out of the timeline, the log and the tiers.
async fn totals(house: &House, tiers: &BTreeMap<String, Loyalty>, expected: &Value) {
    let (days, mut amounts, mut after) = (Days::new(), BTreeMap::new(), 0);
    let (mut items, mut free) = (0, 0);
    loop {
        let page = house.log.read_after(after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.position;
        for it in page.into_iter().filter(|it| it.kind.name() == "purchase.recorded") {
            let data: Value = serde_json::from_str(&it.data).unwrap();
            let amount = data["amount"]["amount"].as_i64().unwrap();
            items += data["lines"][0]["quantity"].as_i64().unwrap();
            free += i64::from(amount == 0);
            *amounts.entry(days.of(it.occurred_at)).or_insert(0) += amount;
        }
    }
    assert_eq!(
        (json!(items), json!(free)),
        (expected["items"].clone(), expected["zero_amount_rows"].clone())
    );

    let bought = bought(house, &days).await;
    for (text, wanted) in expected["as_of_end_of_day"].as_object().unwrap() {
        let day = moved(text);
        let mut known: BTreeMap<&str, BTreeSet<Date>> = BTreeMap::new();
        let mut rows = 0;
        for it in bought.iter().filter(|it| it.day <= day) {
            rows += 1;
            known.entry(&it.holder).or_default().insert(it.day);
        }
        assert_eq!(json!(rows), wanted["rows"], "{text}");
        assert_eq!(json!(known.len()), wanted["customers"], "{text}");
        assert_eq!(
            json!(amounts.range(..=day).map(|it| it.1).sum::<i64>()),
            wanted["amount_minor"]
        );
        for (n, count) in each(&wanted["customers_with_at_least_n_purchase_days"]) {
            assert_eq!(number(known.values().filter(|it| n <= number(it.len())).count()), count);
        }
        for (n, count) in each(&wanted["silent_more_than_n_days"]) {
            let silent = |it: &&BTreeSet<Date>| n < days_between(*it.last().unwrap(), day);
            assert_eq!(number(known.values().filter(silent).count()), count, "{text}: {n}");
        }
    }

    let count =
        |which: &dyn Fn(&Loyalty) -> bool| number(tiers.values().filter(|it| which(it)).count());
    for (n, wanted) in each(&expected["customers_with_at_least_n_purchase_days"]) {
        assert_eq!(count(&|it| n <= it.days), wanted);
    }
    for (n, wanted) in each(&expected["last_purchase_more_than_n_days_before_1998-06-30"]) {
        let end = moved("1998-06-30");
        assert_eq!(count(&|it| n < days_between(it.last.unwrap(), end)), wanted);
    }
    assert_eq!(json!(tiers.values().map(|it| it.value).sum::<i64>()), expected["amount_minor"]);
    assert_eq!(json!(tiers.values().map(|it| it.days).sum::<i64>()), expected["purchase_days"]);
    for (id, wanted) in expected["top_customers_by_amount_minor"].as_object().unwrap() {
        assert_eq!(json!(tiers[&format!("cdnow-{id}")].value), *wanted);
    }
    for (id, wanted) in expected["purchase_days_of_single_customers"].as_object().unwrap() {
        let it = &tiers[&format!("cdnow-{id}")];
        assert_eq!(
            (json!(it.days), json!(it.value)),
            (wanted["count"].clone(), wanted["amount_minor"].clone())
        );
        assert_eq!(it.first, Some(moved(wanted["first"].as_str().unwrap())));
        assert_eq!(it.last, Some(moved(wanted["last"].as_str().unwrap())));
    }
}

async fn bought(house: &House, days: &Days) -> Vec<Bought> {
    let mut snapshot = house.snapshot().await;
    let lines: Vec<(String, SqlTime)> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as("SELECT holder, occurred_at FROM timeline WHERE kind = 'purchase.recorded'")
            .fetch_all(conn)
            .await
            .unwrap()
    });
    lines.into_iter().map(|(holder, at)| Bought { holder, day: days.of(at.0) }).collect()
}

fn moved(text: &str) -> Date {
    let day: Date = text.parse().unwrap();
    Date::new(day.year() + YEARS_LATER, day.month(), day.day()).unwrap()
}

/// `{"30": 2214, …}` as numbers.
fn each(counts: &Value) -> Vec<(i64, i64)> {
    let counts = counts.as_object().unwrap();
    counts.iter().map(|(n, count)| (n.parse().unwrap(), count.as_i64().unwrap())).collect()
}

fn number(count: usize) -> i64 {
    count.try_into().unwrap()
}
