//! A whole house without its faces: log, read models, reactions and a clock that is moved by hand.
//!
//! Stories are acted out in it: facts are recorded when they happen unless said otherwise, time
//! passes from one due moment to the next, and what is true then can be asked.

use std::sync::Arc;

use events::envelope::Incoming;
use events::id::{CustomerId, Tenant};
use events::policy::Published;
use events::time::{Clock, FixedClock};
use jiff::Timestamp;
use projections::agenda::Queue;
use projections::alerts::sentence::Reader;
use projections::card::{self, Card};
use projections::listing::Window;
use projections::loyalty::explain::{Answer, Detail};
use projections::promises::query::{By, Reliability};
use projections::timeline::{self, TimelineEntry};
use projections::{Holder, Runner, Snapshot, Views, keeper, loyalty, promises, rebuild, runner};
use reactions::Reactor;
use serde_json::{Value, json};
use store::db::Place;
use store::sql::SqlTime;
use store::{Appended, Appender, Bell, Log, Writer, on_tx};
use tests::event::{self, anybody};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Everything between the log and the reactions.
pub struct House {
    pub log: Log,
    pub appender: Appender,
    pub views: Views,
    pub clock: Arc<FixedClock>,
    pub runner: Arc<Mutex<Runner>>,
    reactor: Reactor,
    stop: CancellationToken,
    _folder: Option<tempfile::TempDir>,
}

pub fn main_tenant() -> Tenant {
    "main".parse().unwrap()
}

pub fn instant(text: &str) -> Timestamp {
    events::time::parse_instant(text).unwrap()
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl House {
    /// On SQLite, in a folder of its own.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        Self::at(place, Some(folder)).await
    }

    /// In a fresh database of the server of this run.
    pub async fn postgres() -> Self {
        Self::at(Place::Server(crate::support::database().await), None).await
    }

    /// Another one of its kind, empty.
    pub async fn another(&self) -> Self {
        match self.views.place() {
            Place::Folder(_) => Self::sqlite().await,
            Place::Server(_) => Self::postgres().await,
        }
    }

    /// What its clock shows.
    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Wherever the log is to live.
    pub async fn at(place: Place, folder: Option<tempfile::TempDir>) -> Self {
        let clock = Arc::new(FixedClock::at(instant("2020-01-01T00:00:00Z")));
        let handed: Arc<dyn Clock> = clock.clone();
        // The tests' PostgreSQL runs without fsync, which the product refuses.
        let log = Log::open_unsafe_durability(&place, 4, Uuid::from_u128(7)).await.unwrap();
        let bell = Bell::default();
        let (writer, appender) = Writer::new(log.db().clone(), handed.clone(), bell.clone(), 1_024);
        let stop = CancellationToken::new();
        tokio::spawn(writer.run(stop.clone()));
        let views = Views::open(place.clone(), log.clone(), handed, 4).await.unwrap();
        let live = views.live();
        let runner = Runner::open(log.clone(), live.db, live.generation, 1).await.unwrap();
        let runner = Arc::new(Mutex::new(runner));
        tokio::spawn(keeper::keep_up(runner.clone(), views.clone(), bell, stop.clone()));
        let reactor = Reactor::new(
            views.clone(),
            appender.clone(),
            Arc::new(|_: &Tenant| Some(b"key".to_vec())),
        );
        Self { log, appender, views, clock, runner, reactor, stop, _folder: folder }
    }

    /// Records a fact at the moment it happens.
    pub async fn fact(&self, at: &str, customer: &str, kind: &str, data: Value) -> Appended {
        self.pass_until(at).await;
        self.late(at, customer, kind, data).await
    }

    /// Records a fact now that happened at another time.
    pub async fn late(&self, at: &str, customer: &str, kind: &str, data: Value) -> Appended {
        let id = format!("{customer}-{kind}-{at}");
        self.event(json!({ "id": id, "time": at, "subject": customer, "data": data }), kind).await
    }

    /// Records an event whose attributes are given; what is missing is filled in.
    pub async fn event(&self, event: Value, kind: &str) -> Appended {
        self.take(self.incoming(event, kind)).await
    }

    /// Hands an event to the log as it is, past the validator.
    pub async fn take(&self, incoming: Incoming) -> Appended {
        let mut done = self.appender.append(vec![incoming]).await.unwrap();
        self.settle().await;
        done.remove(0)
    }

    /// Publishes a version of a policy now, which is in force from a time on.
    pub async fn publish(&self, name: &str, version: u64, from: &str, body: Value) -> Appended {
        self.take(self.policy(name, version, from, &body)).await
    }

    /// The event that publishes a version of a policy.
    pub fn policy(&self, name: &str, version: u64, from: &str, body: &Value) -> Incoming {
        let hash = Published::new(name, version, instant(from), body.clone()).hash;
        let data = json!({
            "name": name, "version": version, "effective_from": from, "hash": hash, "body": body,
        });
        let (id, time) = (format!("{name}-{version}"), events::time::spell(self.clock.now()));
        self.incoming(json!({ "id": id, "time": time, "data": data }), "policy.published")
    }

    /// What the validator makes of an event; what is missing in it is filled in.
    pub fn incoming(&self, mut event: Value, kind: &str) -> Incoming {
        let members = event.as_object_mut().unwrap();
        let direction = kind.parse::<events::kind::Kind>().unwrap().direction();
        let actor =
            if direction == events::kind::Direction::In { "customer" } else { "staff/dewi" };
        for (name, value) in [
            ("specversion", "1.0"),
            ("source", "/test"),
            ("type", &format!("sapa.{kind}.v1")),
            ("actor", actor),
            ("channel", "phone"),
        ] {
            members.entry(name).or_insert_with(|| value.into());
        }
        let tenant = main_tenant();
        let sender = anybody(&tenant, self.clock.now());
        event::incoming(event.to_string().as_bytes(), &sender)
    }

    /// Lets time pass, stopping wherever something becomes due.
    pub async fn pass_until(&self, at: &str) {
        let at = instant(at);
        self.settle().await;
        while let Some(next) = self.next_due().await {
            if at < next {
                break;
            }
            let next = next.max(self.clock.now());
            self.clock.set(next);
            self.settle().await;
            if self.next_due().await.is_some_and(|it| it <= next) {
                break;
            }
        }
        if self.clock.now() < at {
            self.clock.set(at);
        }
        self.settle().await;
    }

    /// Everything folded and everything due appended.
    pub async fn settle(&self) {
        for _ in 0..200 {
            let head = self.log.head().await.unwrap();
            assert!(self.views.wait_for(head, std::time::Duration::from_secs(20)).await.unwrap());
            let ticked = self.reactor.tick(self.clock.now()).await.unwrap();
            if ticked.appended == 0 && !ticked.behind {
                return;
            }
        }
        panic!("the reactions do not come to rest");
    }

    /// One round of the reactions.
    pub async fn tick(&self) -> reactions::reactor::Ticked {
        self.reactor.tick(self.clock.now()).await.unwrap()
    }

    async fn next_due(&self) -> Option<Timestamp> {
        let mut snapshot = self.snapshot().await;
        let at: Option<SqlTime> = on_tx!(&mut snapshot.tx, conn => {
            sqlx::query_scalar("SELECT act_at FROM agenda WHERE queue NOT IN ($1, $2, $3) ORDER BY act_at LIMIT 1")
                .bind(Queue::Rationed.as_str())
                .bind(Queue::Ahead.as_str())
                .bind(Queue::Import.as_str())
                .fetch_optional(conn)
                .await
                .unwrap()
        });
        at.map(|it| it.0)
    }

    pub async fn snapshot(&self) -> Snapshot {
        self.views.snapshot().await.unwrap()
    }

    /// The clocks and obligations of a customer now.
    pub async fn neglect(&self, customer: &str) -> Value {
        let customer: CustomerId = customer.parse().unwrap();
        let mut snapshot = self.snapshot().await;
        let policies = snapshot.policies_of(&main_tenant()).in_force(self.clock.now());
        let key = (main_tenant(), Holder::customer(&customer));
        let found = runner::load_dossiers(&mut snapshot.tx, &[key.clone()].into()).await.unwrap();
        let state = found.get(&key).map(|it| it.at(self.clock.now()).neglect.clone());
        let (state, now) = (state.unwrap_or_default(), self.clock.now());
        projections::neglect::query::of_customer(&customer, &state, &policies, now)
    }

    /// One clock of a customer.
    pub async fn clock_of(&self, customer: &str, clock: &str) -> Value {
        let found = self.neglect(customer).await;
        let clocks = found["clocks"].as_array().unwrap();
        clocks.iter().find(|it| it["clock"] == clock).cloned().unwrap_or(Value::Null)
    }

    /// All alerts about a customer, with their history.
    pub async fn alerts(&self, customer: &str) -> Vec<Value> {
        let wanted = projections::alerts::query::Wanted {
            state: Some("all".into()),
            customer: Some(customer.parse().unwrap()),
            ..Default::default()
        };
        let (mut snapshot, tenant) = (self.snapshot().await, main_tenant());
        let window = Window::first(100);
        let found =
            projections::alerts::query::list(&mut snapshot, &self.log, &tenant, &wanted, &window);
        let found = found.await.unwrap();
        let dossier = self.dossier(customer).await;
        let now = self.clock.now();
        let policies = snapshot.policies_of(&tenant).in_force(now);
        let reader = Reader { now, zone: &policies.calendar.zone, sees_personal: true };
        found.iter().map(|(_, it)| it.to_json(Some(&dossier), reader, true)).collect()
    }

    /// Of the alerts about a customer that such an act stops, the one that became due last.
    pub async fn alert(&self, customer: &str, stop_by: &str) -> Value {
        let found = self.alerts(customer).await.into_iter();
        let newest = found
            .filter(|it| it["stop_by"] == stop_by)
            .max_by_key(|it| it["due_at"].as_str().map(str::to_owned));
        newest.unwrap_or(Value::Null)
    }

    /// What we owe or owed a customer about a matter, of one kind.
    pub async fn obligation(&self, customer: &str, owed: &str, about: &str) -> Value {
        let found = self.neglect(customer).await;
        let all = found["obligations"].as_array().unwrap();
        let is_it = |it: &&Value| it["obligation"] == owed && it["about"] == about;
        all.iter().find(is_it).cloned().unwrap_or(Value::Null)
    }

    /// A promise as it is answered now.
    pub async fn promise(&self, promise: &str) -> Value {
        let mut snapshot = self.snapshot().await;
        let found = promises::query::get(&mut snapshot, &main_tenant(), promise).await.unwrap();
        found.map_or(Value::Null, |it| it.to_json(self.clock.now()))
    }

    /// How reliable each owner was, for promises due between two instants.
    pub async fn reliability(&self, from: &str, to: &str) -> Vec<Reliability> {
        let (mut snapshot, tenant) = (self.snapshot().await, main_tenant());
        let (from, to) = (instant(from), instant(to));
        promises::query::reliability(&mut snapshot, &tenant, By::Owner, from, to).await.unwrap()
    }

    /// A customer's timeline with what was taken back, oldest first.
    pub async fn timeline(&self, customer: &str) -> Vec<TimelineEntry> {
        let (mut snapshot, tenant) = (self.snapshot().await, main_tenant());
        let customer = customer.parse().unwrap();
        let filter = timeline::Filter { include_voided: true, ..Default::default() };
        let page = timeline::page(
            &mut snapshot,
            &self.log,
            &tenant,
            &customer,
            &filter,
            None,
            1_000,
            true,
        );
        let mut entries = page.await.unwrap().entries;
        entries.reverse();
        entries
    }

    /// A customer's tier today, with everything it rests on.
    pub async fn loyalty(&self, customer: &str) -> Answer {
        let dossier = self.dossier(customer).await;
        let (mut snapshot, tenant) = (self.snapshot().await, main_tenant());
        let policies = snapshot.policies_of(&tenant).in_force(self.clock.now());
        let today = policies.calendar.local_date(self.clock.now());
        let (customer, state) = (customer.parse().unwrap(), &dossier.loyalty);
        let get = loyalty::query::get;
        get(&mut snapshot, &tenant, &customer, state, &policies, today, Detail::Full).await.unwrap()
    }

    /// A customer's card as it will read at an instant if nothing more happens.
    pub async fn card(&self, customer: &str, at: &str) -> Card {
        let (mut snapshot, tenant) = (self.snapshot().await, main_tenant());
        let customer = customer.parse().unwrap();
        let card = card::get(&mut snapshot, &tenant, &customer, instant(at)).await.unwrap();
        card.expect("something was recorded about them")
    }

    /// Rows and hash of every table of the build that answers.
    pub async fn hashes(&self) -> Vec<(&'static str, i64, String)> {
        rebuild::hashes(&*self.runner.lock().await).await.unwrap()
    }

    /// What the folds remember of a customer.
    pub async fn dossier(&self, customer: &str) -> projections::Dossier {
        let key = (main_tenant(), Holder::stored(customer));
        let mut snapshot = self.snapshot().await;
        let found = runner::load_dossiers(&mut snapshot.tx, &[key.clone()].into()).await.unwrap();
        found.get(&key).cloned().unwrap_or_default()
    }

    /// The facts of the log that have a kind, oldest first.
    pub async fn recorded(&self, kind: &str) -> Vec<events::envelope::Recorded> {
        let mut found = Vec::new();
        let mut after = 0;
        loop {
            let page = self.log.read_after(after, 500).await.unwrap();
            let Some(last) = page.last() else { return found };
            after = last.position;
            found.extend(page.into_iter().filter(|it| it.kind.name() == kind));
        }
    }
}

/// An instant in answers, as it is told in Jakarta: `2026-06-24 09:00`.
pub fn local(value: &Value) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    let at: Timestamp = text.parse().unwrap();
    at.to_zoned(jiff::tz::TimeZone::get("Asia/Jakarta").unwrap())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

/// Turns each story into one test per database.
macro_rules! stories {
    ($($story:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::house::House::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::house::House::postgres().await).await;
            })+
        }
    };
}
pub(crate) use stories;
