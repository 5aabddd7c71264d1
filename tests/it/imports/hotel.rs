//! 40,060 bookings of a resort hotel on both databases: what the log and the read models say
//! equals the totals that were counted in the file, and history rings softly.
//!
//! Not in the mapping, so nothing here can tell: see [`NOT_MAPPED`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use events::time::Clock as _;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use store::db::Place;
use store::on_tx;
use store::sql::SqlTime;

use super::{Days, Imported, fingerprint, import, reader};
use crate::house::{House, instant, local};
use crate::support::{database, files::root};

/// Totals about columns that the map leaves out: accounts and agents, guests as they were counted,
/// wishes, the guest's earlier stays, the room of those who never came, and rows as rows.
const NOT_MAPPED: [&str; 12] = [
    "agents",
    "bookings_of_top_agents",
    "bookings_of_top_companies",
    "children_NA",
    "companies",
    "companies_with_at_least_n_checked_out_bookings",
    "neither_company_nor_agent",
    "repeated_guest_bookings",
    "room_not_as_reserved",
    "rows_equal_to_an_earlier_row",
    "special_requests",
    "zero_guests",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hotel_imported_on_sqlite_gives_every_total_and_rings_softly() {
    let house = House::sqlite().await;
    the_hotel_gives_every_total(&house).await;
    imported_silences_ring_so_many_a_day(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hotel_imported_on_postgres_gives_every_total() {
    let house = House::at(Place::Server(database().await), None).await;
    the_hotel_gives_every_total(&house).await;
}

async fn the_hotel_gives_every_total(house: &House) {
    house.clock.set(instant("2026-07-01T08:00:00+07:00"));
    let expected = std::fs::read(root().join("tests/fixtures/hotel_h1/expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let events = expected["events"].as_u64().unwrap();

    // When the file is imported, every row of it becomes events.
    let began = Instant::now();
    let all = Imported { recorded: events, duplicates: 0 };
    assert_eq!(import(house, file()).await, all);
    eprintln!("imported after {:.1?}", began.elapsed());
    let before = fingerprint(house).await;
    eprintln!("folded after {:.1?}", began.elapsed());

    // Then log and timeline give the totals of the file.
    let bookings = bookings(house).await;
    let mut counted = bookings.totals();
    counted["as_of_end_of_day"] = as_of_end_of_day(house, &expected["as_of_end_of_day"]).await;
    compare(&counted, &expected);
    read_models_agree(house, &expected).await;
    eprintln!("counted after {:.1?}", began.elapsed());

    // When it is imported again, every row says that it is known, and nothing changes.
    let again = Imported { recorded: 0, duplicates: events };
    assert_eq!(import(house, file()).await, again);
    assert!(before == fingerprint(house).await, "a second import changed something");
    eprintln!("imported again after {:.1?}", began.elapsed());
}

/// The events of the file; there is no row that gives none.
fn file() -> impl Iterator<Item = Vec<u8>> {
    let path = root().join("tests/fixtures/hotel_h1/hotel_h1.csv.gz");
    reader(&path, "hotel").map(|it| it.unwrap().outcome.unwrap())
}

/// Every total that was counted is expected so, and only those of [`NOT_MAPPED`] were not counted.
fn compare(counted: &Value, expected: &Value) {
    let (counted, expected) = (counted.as_object().unwrap(), expected.as_object().unwrap());
    for (name, value) in counted {
        assert_eq!(Some(value), expected.get(name), "{name}");
    }
    let left: BTreeSet<&str> =
        expected.keys().map(String::as_str).filter(|it| !counted.contains_key(*it)).collect();
    assert_eq!(left, NOT_MAPPED.into());
}

/// What the log says about one booking.
#[derive(Debug, Default)]
struct Booking {
    requested: Date,
    starts: Date,
    ends: Date,
    priced: bool,
    waitlisted: bool,
    confirmed: Option<Date>,
    changes: u64,
    cancelled: Option<Date>,
    missed: Option<Date>,
    arrived: Option<Date>,
    quality: String,
    /// Sold for, or below zero taken back for.
    paid: Option<i64>,
    departed: Option<Date>,
    fulfilled: bool,
}

#[derive(Debug, Default)]
struct Bookings {
    by_customer: BTreeMap<String, Booking>,
    by_type: BTreeMap<String, u64>,
}

/// Reads the whole log once.
async fn bookings(house: &House) -> Bookings {
    let (mut found, mut after, days) = (Bookings::default(), 0, Days::new());
    loop {
        let page = house.log.read_after(after, 2_000).await.unwrap();
        let Some(last) = page.last() else { return found };
        after = last.position;
        for it in page {
            assert!(it.attributes.imported && it.source.as_str().starts_with("/import/"));
            let name = it.kind.type_name(it.schema_version);
            *found.by_type.entry(name).or_default() += 1;
            let data: Value = serde_json::from_str(&it.data).unwrap();
            let customer = it.customer.as_ref().unwrap().as_str().to_owned();
            let booking = found.by_customer.entry(customer).or_default();
            booking.note(it.kind.name(), days.of(it.occurred_at), &data, &days);
        }
    }
}

impl Booking {
    fn note(&mut self, kind: &str, day: Date, data: &Value, days: &Days) {
        let at = |name: &str| days.of(data[name].as_str().unwrap().parse().unwrap());
        match kind {
            "booking.requested" => {
                (self.requested, self.starts, self.ends) = (day, at("starts_at"), at("ends_at"));
                self.priced = data["price"]["amount"].is_i64();
            }
            "booking.waitlisted" => self.waitlisted = true,
            "booking.confirmed" => self.confirmed = Some(day),
            "interaction.noted" => {
                let words: Vec<&str> = data["text"].as_str().unwrap().split(' ').collect();
                self.changes = words[2].parse().unwrap();
            }
            "booking.cancelled" => self.cancelled = Some(day),
            "booking.fulfilled" if data["no_show"] == true => self.missed = Some(day),
            "booking.fulfilled" => self.fulfilled = true,
            "interaction.arrived" => self.arrived = Some(day),
            "interaction.served" => self.quality = data["quality"].as_str().unwrap().to_owned(),
            "purchase.recorded" => {
                let amount = data["amount"]["amount"].as_i64().unwrap();
                self.paid = Some(if data["kind"] == "return" { -amount } else { amount });
            }
            "interaction.departed" => self.departed = Some(day),
            other => panic!("{other} is not in the map"),
        }
    }

    fn nights(&self) -> i64 {
        (self.ends - self.starts).get_days().into()
    }
}

impl Bookings {
    fn count(&self, which: impl Fn(&Booking) -> bool) -> u64 {
        self.by_customer.values().filter(|it| which(it)).count().try_into().unwrap()
    }

    fn ends(&self, day: impl Fn(&Booking) -> Option<Date>) -> [String; 2] {
        let days: BTreeSet<Date> = self.by_customer.values().filter_map(day).collect();
        [days.first().unwrap().to_string(), days.last().unwrap().to_string()]
    }

    /// Everything but the states of single days.
    fn totals(&self) -> Value {
        let all = self.by_customer.values();
        let days_before =
            |it: &Booking| it.cancelled.map(|day| i64::from((it.starts - day).get_days()));
        let stays = || all.clone().filter(|it| it.departed.is_some());
        assert_eq!(self.count(|it| !it.priced), 1, "the row with a negative rate has no price");
        assert_eq!(self.count(|it| it.confirmed.is_none()), 0);
        assert_eq!(self.count(|it| it.fulfilled != it.departed.is_some()), 0);
        assert!(!self.by_customer["H1-014970"].priced);
        assert_eq!(self.by_customer["H1-014970"].paid, Some(-6_380));
        json!({
            "rows": self.by_customer.len(),
            "events": self.by_type.values().sum::<u64>(),
            "events_under_the_mapping": self.by_type,
            "requested": self.count(|it| it.requested != Date::default()),
            "adr_negative": self.count(|it| it.paid.is_some_and(|it| it < 0)),
            "bookings_changed": self.count(|it| 0 < it.changes),
            "changes": all.clone().map(|it| it.changes).sum::<u64>(),
            "cancelled": self.count(|it| it.cancelled.is_some()),
            "cancelled_on_the_day_of_arrival": self.count(|it| days_before(it) == Some(0)),
            "cancelled_on_the_day_of_request":
                self.count(|it| it.cancelled == Some(it.requested)),
            "cancelled_within_7_days_of_arrival":
                self.count(|it| days_before(it).is_some_and(|it| it <= 7)),
            "checked_out": self.count(|it| it.departed.is_some()),
            "checked_out_on_the_day_of_arrival":
                self.count(|it| it.departed.is_some() && it.departed == it.arrived),
            "checked_out_other_than_arrival_plus_nights":
                self.count(|it| it.departed.is_some_and(|day| day != it.ends)),
            "checked_out_room_not_as_reserved": self.count(|it| it.quality == "below"),
            "checked_out_with_zero_amount": self.count(|it| it.paid == Some(0)),
            "checked_out_zero_nights":
                self.count(|it| it.departed.is_some() && it.nights() == 0),
            "no_show": self.count(|it| it.missed.is_some()),
            "no_show_dated_other_than_arrival":
                self.count(|it| it.missed.is_some_and(|day| day != it.starts)),
            "same_day_bookings": self.count(|it| it.requested == it.starts),
            "wait_listed": self.count(|it| it.waitlisted),
            "wait_listed_and_cancelled_on_the_day_the_wait_ended":
                self.count(|it| it.waitlisted && it.cancelled == it.confirmed),
            "revenue_of_checked_out_minor": stays().filter_map(|it| it.paid).sum::<i64>(),
            "nights_of_checked_out": stays().map(Booking::nights).sum::<i64>(),
            "request_dates": self.ends(|it| Some(it.requested)),
            "arrival_dates": self.ends(|it| Some(it.starts)),
            "status_dates": self.ends(|it| it.cancelled.or(it.missed).or(it.departed)),
            "by_month": self.by_month(),
        })
    }

    fn by_month(&self) -> Value {
        let mut months: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
        for it in self.by_customer.values() {
            for (name, day) in [
                ("arrivals_planned", Some(it.starts)),
                ("cancelled", it.cancelled),
                ("checked_out", it.departed),
                ("no_show", it.missed),
            ] {
                let Some(day) = day else { continue };
                let month = day.strftime("%Y-%m").to_string();
                *months.entry(month).or_default().entry(name).or_default() += 1;
            }
        }
        json!(months)
    }
}

/// How many bookings stood how at the end of each day that is asked for: out of the timeline alone.
async fn as_of_end_of_day(house: &House, asked: &Value) -> Value {
    let mut snapshot = house.snapshot().await;
    let lines: Vec<(String, String, SqlTime)> = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(
            "SELECT holder, kind, occurred_at FROM timeline ORDER BY holder, occurred_at, position",
        )
        .fetch_all(conn)
        .await
        .unwrap()
    });
    let days = Days::new();
    let lines: Vec<(String, String, Date)> =
        lines.into_iter().map(|(holder, kind, at)| (holder, kind, days.of(at.0))).collect();
    let mut answer = json!({});
    for text in asked.as_object().unwrap().keys() {
        let day: Date = text.parse().unwrap();
        let mut states: BTreeMap<&str, &str> = BTreeMap::new();
        for (holder, kind, _) in lines.iter().filter(|it| it.2 <= day) {
            let before = states.get(holder.as_str()).copied();
            let after = match (kind.as_str(), before) {
                ("booking.requested", None) => "requested",
                ("booking.waitlisted", Some("requested")) => "waiting",
                ("booking.confirmed", Some("requested" | "waiting")) => "confirmed_to_come",
                ("booking.cancelled", Some("confirmed_to_come")) => "cancelled",
                ("booking.fulfilled", Some("confirmed_to_come")) => "no_show",
                ("interaction.arrived", Some("confirmed_to_come")) => "in_house",
                ("interaction.departed", Some("in_house")) => "checked_out",
                ("interaction.noted", Some(before)) => before,
                ("interaction.served" | "purchase.recorded", Some("in_house")) => "in_house",
                ("booking.fulfilled", Some("checked_out")) => "checked_out",
                other => panic!("{holder}: {other:?}"),
            };
            states.insert(holder, after);
        }
        let mut counts: BTreeMap<&str, u64> =
            ["waiting", "confirmed_to_come", "in_house", "checked_out", "cancelled", "no_show"]
                .map(|it| (it, 0))
                .into();
        for state in states.values() {
            *counts.get_mut(state).expect("nobody is left without an answer") += 1;
        }
        counts.insert("requested", states.len().try_into().unwrap());
        answer[text] = json!(counts);
    }
    answer
}

/// Cards, tiers and clocks of 40,060 customers; nothing is owed for what is long past.
async fn read_models_agree(house: &House, expected: &Value) {
    let (rows, stays) = (expected["rows"].as_i64(), expected["checked_out"].as_i64());
    let mut snapshot = house.snapshot().await;
    let (cards, value, days): (Vec<String>, i64, i64) = on_tx!(&mut snapshot.tx, conn => {
        let cards = sqlx::query_scalar("SELECT card FROM cards").fetch_all(&mut *conn).await.unwrap();
        let sums = "SELECT CAST(sum(value) AS BIGINT), CAST(sum(days) AS BIGINT) FROM loyalty";
        let (value, days) = sqlx::query_as(sums).fetch_one(conn).await.unwrap();
        (cards, value, days)
    });
    let visits = cards.iter().map(|it| serde_json::from_str::<Value>(it).unwrap());
    let visits: i64 = visits.map(|it| it["visits"].as_i64().unwrap()).sum();
    assert_eq!((i64::try_from(cards.len()).ok(), Some(visits)), (rows, stays));
    // A stay and its bill on one date count once.
    assert_eq!(
        (Some(value), Some(days)),
        (expected["revenue_of_checked_out_minor"].as_i64(), stays)
    );
    for (table, wanted) in [
        ("timeline", expected["events"].as_i64()),
        ("dossiers", rows),
        ("loyalty WHERE tier = 'secondary'", stays),
        ("loyalty", rows),
        ("clocks WHERE clock = 'they'", rows),
        ("clocks WHERE clock = 'we'", rows),
        ("obligations", Some(0)),
        ("promises", Some(0)),
        ("alerts", Some(0)),
        ("parked", Some(0)),
    ] {
        assert_eq!(Some(count(house, table).await), wanted, "{table}");
    }
}

async fn count(house: &House, table: &str) -> i64 {
    let mut snapshot = house.snapshot().await;
    let question = format!("SELECT count(*) FROM {table}");
    on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_scalar(sqlx::AssertSqlSafe(question)).fetch_one(conn).await.unwrap()
    })
}

/// History opens nothing, and of its silences so many ring a day, the most overdue first.
async fn imported_silences_ring_so_many_a_day(house: &House) {
    let a_day = house.snapshot().await.policies_of(&crate::house::main_tenant());
    let a_day = a_day.in_force(house.clock.now()).alert.import_alerts_per_day;

    // When the import has ended, and the reactions come to rest, the first ration has rung.
    let began = Instant::now();
    house.settle().await;
    assert_eq!(rations(house).await, []);
    house.clock.set(house.clock.now() + reactions::reactor::IMPORT_QUIET);
    house.settle().await;
    eprintln!("at rest after {:.1?}", began.elapsed());
    assert_eq!(rations(house).await, [("2026-07-01".to_owned(), a_day)]);
    let rang_at = house.clock.now();

    // When a day goes by, so rings the next.
    house.pass_until("2026-07-02T08:00:00+07:00").await;
    assert_eq!(
        rations(house).await,
        [("2026-07-01".to_owned(), a_day), ("2026-07-02".to_owned(), a_day)]
    );
    let (rung, waiting) = overdue_since(house).await;
    assert!(rung <= waiting, "{} waits while {} rang", local(&json!(waiting)), local(&json!(rung)));

    // Nobody could take them before they rang: they went up from then on, and a step at a time.
    let raised = house.recorded("alert.raised").await;
    assert!(raised.iter().all(|it| it.attributes.imported));
    let escalated = house.recorded("alert.escalated").await;
    assert!(escalated.iter().all(|it| rang_at < it.occurred_at));
    assert!(escalated.len() <= 3 * usize::try_from(a_day).unwrap());
    assert_eq!(count(house, "obligations").await, 0);
    let stays = house.recorded("loyalty.tier_changed").await;
    assert_eq!(
        count(house, "loyalty WHERE tier = 'secondary'").await,
        i64::try_from(stays.len()).unwrap()
    );
    eprintln!("a day later after {:.1?}", began.elapsed());
}

/// How many alerts of imported silences rang on which day; they all are one team's.
async fn rations(house: &House) -> Vec<(String, i64)> {
    let mut snapshot = house.snapshot().await;
    on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(
            "SELECT rationed_on, count(*) FROM alerts GROUP BY team, rationed_on ORDER BY 1",
        )
        .fetch_all(conn)
        .await
        .unwrap()
    })
}

/// Since when the least overdue customer who rang was overdue, and the most overdue who waits. What
/// was held back by a booking until it began is overdue since then, also if nobody came. Whoever is
/// overdue has rung or waits.
async fn overdue_since(house: &House) -> (Timestamp, Timestamp) {
    let mut snapshot = house.snapshot().await;
    let (rung, waiting, lost): (SqlTime, SqlTime, i64) = on_tx!(&mut snapshot.tx, conn => {
        sqlx::query_as(
            "SELECT (SELECT max(first) FROM (SELECT min(due_at) AS first FROM alerts GROUP BY holder) AS rung),
                    (SELECT min(act_at) FROM agenda
                      WHERE queue = 'rationed'
                        AND holder NOT IN (SELECT holder FROM alerts)),
                    (SELECT count(*) FROM clocks
                      WHERE NOT muted AND NOT resting AND effective_due_at <= $1
                        AND holder NOT IN (SELECT holder FROM alerts)
                        AND holder NOT IN (SELECT holder FROM agenda WHERE queue = 'rationed'))",
        )
        .bind(SqlTime(house.clock.now()))
        .fetch_one(conn)
        .await
        .unwrap()
    });
    assert_eq!(lost, 0);
    (rung.0, waiting.0)
}
