//! What an operator does with the read models of a running program: a rebuild that is watched and
//! swapped in, a way back, one thing at a time, a pause, and customers whose event cannot be folded.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use sapa::clock::SystemClock;
use sapa::servers::postgres::Cluster;
use serde_json::{Value, json};
use store::db::Place;
use store::{Appender, Bell, Log, Writer};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::program::{Program, http_client};
use crate::support::{Event, event};
use crate::support_nats::{eventually, spawn};

/// Enough for a rebuild of several pages, so that it can be met at work.
const MANY: usize = 12_000;
/// Whom they are about.
const CUSTOMERS: usize = 300;
/// Events of one append.
const BATCH: usize = 500;

/// A program without a broker, and a second way into its log.
struct Running {
    program: Program,
    place: Place,
    log: Log,
    appender: Appender,
    stop: CancellationToken,
    _cluster: Option<Cluster>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    async fn sqlite() -> Self {
        let program = Program::new(&[("nats.mode", "off")]);
        let place = Place::Folder(program.data());
        Self::at(program, place, None).await
    }

    async fn postgres() -> Self {
        let (cluster, url) = crate::survival::cluster().await;
        let program = Program::new(&[("nats.mode", "off"), ("database.url", &url)]);
        let place = Place::parse(&url).unwrap();
        Self::at(program, place, Some(cluster)).await
    }

    async fn at(mut program: Program, place: Place, cluster: Option<Cluster>) -> Self {
        program.start();
        program.ready().await;
        let log = Log::open(&place, 2, Uuid::from_u128(1)).await.unwrap();
        let (writer, appender) =
            Writer::new(log.db().clone(), Arc::new(SystemClock), Bell::default(), 64);
        let stop = CancellationToken::new();
        spawn(writer.run(stop.clone()));
        Self { program, place, log, appender, stop, _cluster: cluster }
    }

    async fn record(&self, events: Vec<Event>) {
        let events = events.into_iter().map(Event::incoming).collect();
        self.appender.append(events).await.unwrap();
    }

    /// Records a history that takes a while to fold.
    async fn record_many(&self) {
        for first in (0..MANY).step_by(BATCH) {
            let customer = |n: usize| format!("c-{}", n % CUSTOMERS);
            let events = (first..first + BATCH)
                .map(|n| event("interaction.greeted").customer(&customer(n)))
                .collect();
            self.record(events).await;
        }
        self.caught_up().await;
    }

    /// Records an event whose data no schema allows, past the validator.
    async fn record_broken(&self, customer: &str) {
        let mut broken = event("interaction.greeted").customer(customer).incoming();
        broken.data = r#"{"by_name":"perhaps"}"#.into();
        self.appender.append(vec![broken]).await.unwrap();
    }

    async fn ask(&self, method: Method, path: &str) -> (u16, Value) {
        let request = http_client()
            .request(method, format!("{}{path}", self.program.url()))
            .timeout(Duration::from_secs(20))
            .bearer_auth(self.program.key());
        answered(request).await
    }

    async fn status(&self) -> Value {
        let (status, body) = self.ask(Method::GET, "/v1/projections/card").await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Asks for something to be done; the status that the answer shows.
    async fn does(&self, action: &str) -> Value {
        let (status, body) =
            self.ask(Method::POST, &format!("/v1/projections/card/{action}")).await;
        assert_eq!(status, 202, "{action}: {body}");
        body
    }

    /// Asks for something that is refused; why.
    async fn refuses(&self, action: &str) -> String {
        let (status, body) =
            self.ask(Method::POST, &format!("/v1/projections/card/{action}")).await;
        assert_eq!(status, 409, "{action}: {body}");
        assert!(body["hint"].as_str().is_some_and(|it| it.contains(' ')), "{body}");
        body["code"].as_str().unwrap().to_owned()
    }

    /// Runs a command against it, to its end.
    async fn cli(&self, args: &[&str]) {
        let url = self.program.url();
        self.program.run(&[args, &["--server", &url]].concat()).await;
    }

    async fn caught_up(&self) {
        eventually("the read models have caught up", async || {
            let head = self.log.head().await.unwrap();
            self.status().await["position"] == head
        })
        .await;
    }

    /// The generation that is made for new policies, as soon as one is.
    async fn activation(&self) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.status().await["activation"].clone();
            if !seen.is_null() {
                return seen;
            }
            assert!(tokio::time::Instant::now() < deadline, "no generation is made");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// `/readyz` is degraded and not failed, and it and the metrics name what is paused.
    async fn says_what_is_paused(&self) {
        let url = format!("{}/readyz?verbose", self.program.url());
        let answer = http_client().get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        let line = text.lines().find(|it| it.contains("projections")).unwrap_or_default();
        let says = ["[!]", "paused by an operator", "timeline, card, loyalty", "policies"];
        assert!(says.iter().all(|it| line.contains(it)), "{text}");
        let url = format!("{}/metrics", self.program.url());
        let text = http_client().get(url).send().await.unwrap().text().await.unwrap();
        for name in ["timeline", "policies"] {
            let wanted = format!("sapa_projection_paused{{projection=\"{name}\"}} 1");
            assert!(text.contains(&wanted), "{wanted} is not in the metrics");
        }
    }

    /// Waits until the rebuild has come to an end; how it stood every time it was looked at.
    async fn watch(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let rebuild = self.status().await["rebuild"].clone();
            let state = rebuild["state"].as_str().map(str::to_owned);
            seen.push(rebuild);
            match state.as_deref() {
                Some("building" | "verifying") => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                _ => return seen,
            }
        }
    }
}

async fn new_policies_hold_after_a_kill(mut it: Running) {
    // So many customers that policies do not change in place.
    for first in (0..3 * MANY).step_by(BATCH) {
        let customer = |n: usize| format!("c-{}", n % (MANY / 4));
        let events = (first..first + BATCH)
            .map(|n| event("interaction.greeted").customer(&customer(n)))
            .collect();
        it.record(events).await;
    }
    it.caught_up().await;
    let before = it.status().await;
    assert_eq!((&before["generation"], &before["activation"]), (&json!(1), &Value::Null));
    let mut calendar = events::policy::Policies::default().get("calendar").unwrap().body.clone();
    calendar["zone"] = json!("Asia/Makassar");
    let publishing = http_client()
        .post(format!("{}/v1/policies/calendar", it.program.url()))
        .bearer_auth(it.program.key())
        .header("content-type", "application/json")
        .body(
            json!({ "body": calendar, "effective_from": events::time::spell(events::time::Clock::now(&SystemClock)) })
                .to_string(),
        );
    // Its answer waits until the policy can be seen; nobody waits for that here.
    spawn(async move { drop(publishing.send().await) });
    let begun = it.activation().await;
    assert_eq!(begun["state"], "building", "{begun}");
    // Nobody is turned away meanwhile, and answers stand where they stood.
    let asked = http_client().get(format!("{}/readyz", it.program.url())).send().await.unwrap();
    assert_eq!(asked.status(), 200);
    it.program.kill().await;
    it.program.start();
    it.program.ready().await;
    it.caught_up().await;
    eventually("nothing is being made", async || it.status().await["activation"] == Value::Null)
        .await;
    let after = it.status().await;
    assert_eq!(after["generation"], begun["generation"], "{after}");
    it.cli(&["projection", "verify", "card", "--wait", "60s"]).await;
    let verified = it.status().await["verification"].clone();
    assert_eq!((&verified["state"], &verified["differs_in"]), (&json!("verified"), &Value::Null));
}

async fn answered(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
}

async fn is_watched_swapped_in_and_taken_back(mut it: Running) {
    it.record_many().await;
    let head = it.log.head().await.unwrap();
    let begun = it.does("rebuild").await;
    assert_eq!(begun["rebuild"]["generation"], 2, "{begun}");
    assert_eq!((begun["generation"].as_i64(), &begun["state"]), (Some(1), &json!("live")));
    for action in ["rebuild", "verify", "swap", "rollback", "pause"] {
        assert_eq!(it.refuses(action).await, "projection_busy");
    }
    let seen = it.watch().await;
    let percents: Vec<i64> =
        seen.iter().filter_map(|it| it["percent"].as_i64()).filter(|it| *it < 100).collect();
    assert!(percents.is_sorted() && seen.len() > 1, "{seen:?}");
    let last = seen.last().unwrap();
    assert_eq!(last["state"], "ready", "{last}");
    // The house goes on deciding meanwhile, so the log has grown.
    assert!(last["position"].as_i64().is_some_and(|it| head <= it), "{last}");
    assert_eq!(last["position"], last["target"]);
    assert_eq!((&last["percent"], &last["differs_in"]), (&json!(100), &Value::Null));
    assert!(last["events_per_second"].as_i64().is_some_and(|it| 0 < it), "{last}");

    // What is recorded in between is in the new build when it answers.
    it.record(vec![event("interaction.greeted").customer("c-new")]).await;
    let swapped = it.does("swap").await;
    assert_eq!((&swapped["generation"], &swapped["rebuild"]), (&json!(2), &Value::Null));
    assert_eq!(swapped["previous"]["generation"], 1);
    assert!(swapped["position"].as_i64().is_some_and(|it| head < it), "{swapped}");
    assert_eq!(it.refuses("swap").await, "command_refused");
    it.record(vec![event("interaction.greeted").customer("c-newer")]).await;
    it.caught_up().await;

    // Back to the first one, which the runner brings up to date and goes on with.
    let back = it.does("rollback").await;
    assert_eq!(back["generation"], 1);
    assert!(swapped["position"].as_i64() < back["position"].as_i64(), "{back}");
    it.record(vec![event("interaction.greeted").customer("c-newest")]).await;
    it.caught_up().await;
    it.program.stop().await;
    it.program.start();
    it.program.ready().await;
    it.record(vec![event("interaction.greeted").customer("c-after")]).await;
    it.caught_up().await;
    assert_eq!(it.status().await["generation"], 1);
    let (status, card) = it.ask(Method::GET, "/v1/customers/c-after").await;
    assert_eq!(status, 200, "{card}");

    // To retire a build that is being made stops it.
    it.does("rebuild").await;
    it.does("retire").await;
    let stopped = it.watch().await.pop().unwrap();
    assert_eq!((&stopped["state"], &stopped["generation"]), (&json!("failed"), &json!(3)));
    let retired = it.does("retire").await;
    assert_eq!((&retired["previous"], &retired["rebuild"]), (&Value::Null, &Value::Null));
    if let Place::Folder(folder) = &it.place {
        assert!(folder.join("views-1.db").exists() && !folder.join("views-2.db").exists());
    }
    assert_eq!(it.refuses("retire").await, "command_refused");
    assert_eq!(it.refuses("rollback").await, "command_refused");
}

async fn is_interrupted_and_can_be_begun_again(mut it: Running) {
    it.record_many().await;
    it.does("rebuild").await;
    it.program.stop().await;
    it.program.start();
    it.program.ready().await;
    eventually("somebody leads", async || it.status().await["rebuild"]["state"] == "failed").await;
    assert!(it.status().await["rebuild"]["reason"].as_str().unwrap().contains("stopped"));
    assert_eq!(it.refuses("swap").await, "command_refused");
    // The words of the command line, each once.
    it.cli(&["projection", "rebuild", "card", "--wait", "60s"]).await;
    it.cli(&["projection", "swap", "card"]).await;
    assert_eq!(it.status().await["generation"], 3);
    it.cli(&["projection", "rollback", "card"]).await;
    assert_eq!(it.status().await["generation"], 1);
    it.cli(&["projection", "retire", "card", "--yes"]).await;
    it.cli(&["projection", "verify", "card", "--wait", "60s"]).await;
    let verified = it.status().await["verification"].clone();
    assert_eq!((&verified["state"], &verified["differs_in"]), (&json!("verified"), &Value::Null));

    let paused = it.does("pause").await;
    let names = json!(["timeline", "card", "loyalty", "neglect", "promises", "alerts", "policies"]);
    assert_eq!(paused["applies_to"], names, "{paused}");
    it.cli(&["projection", "pause", "card"]).await;
    let before = it.status().await;
    assert_eq!(before["state"], "paused");
    it.says_what_is_paused().await;
    assert_eq!(it.refuses("rebuild").await, "command_refused");
    it.record(vec![event("interaction.greeted")]).await;
    it.program.stop().await;
    it.program.start();
    eventually("it answers again", async || {
        let url = format!("{}/healthz", it.program.url());
        http_client().get(url).send().await.is_ok()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    it.says_what_is_paused().await;
    let still = it.status().await;
    assert_eq!((&still["state"], &still["position"]), (&json!("paused"), &before["position"]));
    eventually("somebody leads", async || {
        let (status, _) = it.ask(Method::POST, "/v1/projections/card/resume").await;
        status == 202
    })
    .await;
    it.caught_up().await;
    it.cli(&["projection", "list"]).await;
    it.cli(&["projection", "status", "card"]).await;
}

async fn are_tried_again_and_given_up_by_their_own_tenant(it: Running) {
    it.record(vec![event("interaction.greeted").customer("c-1")]).await;
    it.record_broken("c-1").await;
    it.record(vec![event("interaction.greeted").customer("c-1")]).await;
    it.record_broken("c-2").await;
    it.caught_up().await;
    let list = async || it.ask(Method::GET, "/v1/projections/card/parked").await.1["items"].clone();
    let parked = list().await;
    assert_eq!((&parked[0]["customer"], &parked[0]["waiting"]), (&json!("c-1"), &json!(2)));
    let does = async |customer: &str, action: &str| {
        it.ask(Method::POST, &format!("/v1/projections/card/parked/{customer}/{action}")).await
    };

    let (status, again) = does("c-1", "retry").await;
    assert_eq!((status, &again["parked"]["attempts"]), (202, &json!(2)), "{again}");
    let (status, given_up) = does("c-1", "skip").await;
    assert_eq!((status, &given_up["parked"]), (202, &Value::Null), "{given_up}");
    assert_eq!(list().await[0]["skipped"], true);
    // Only what was recorded: these greetings are long ago, so an alert may stand beside them by now.
    let greetings = "/v1/customers/c-1/timeline?type=interaction.greeted";
    let (_, timeline) = it.ask(Method::GET, greetings).await;
    assert_eq!(timeline["items"].as_array().unwrap().len(), 2, "{timeline}");
    for (customer, action) in [("c-1", "retry"), ("c-9", "skip"), ("c-2", "forget")] {
        let (status, refused) = does(customer, action).await;
        assert_eq!((status, &refused["code"]), (404, &json!("not_found")), "{customer} {action}");
    }
    it.cli(&["projection", "parked", "retry", "card", "c-2"]).await;
    it.cli(&["projection", "parked", "skip", "card", "c-2"]).await;
    it.cli(&["projection", "parked", "list", "card"]).await;
    let left = list().await;
    assert!(left.as_array().unwrap().iter().all(|it| it["skipped"] == true), "{left}");
    assert_eq!(it.status().await["parked_customers"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_is_watched_swapped_in_and_taken_back_on_sqlite() {
    is_watched_swapped_in_and_taken_back(Running::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_is_watched_swapped_in_and_taken_back_on_postgres() {
    is_watched_swapped_in_and_taken_back(Running::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_interrupted_has_failed_and_can_be_begun_again() {
    is_interrupted_and_can_be_begun_again(Running::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_for_many_customers_hold_after_a_kill_in_the_middle_on_sqlite() {
    new_policies_hold_after_a_kill(Running::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_for_many_customers_hold_after_a_kill_in_the_middle_on_postgres() {
    new_policies_hold_after_a_kill(Running::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_customers_are_tried_again_and_given_up_by_their_own_tenant() {
    are_tried_again_and_given_up_by_their_own_tenant(Running::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_does_not_lead_says_who_does_and_follows_a_swap() {
    let first = Running::postgres().await;
    eventually("it leads", async || first.status().await["holder"].is_string()).await;
    first.record(vec![event("interaction.greeted").customer("c-1")]).await;
    first.caught_up().await;
    let Place::Server(url) = first.place.clone() else { panic!("it lives on a server") };
    let mut second = Program::new(&[("nats.mode", "off"), ("database.url", &url)]);
    second.start();
    second.ready().await;
    let ask = async |method: Method, path: &str| {
        let request = http_client().request(method, format!("{}{path}", second.url()));
        answered(request.bearer_auth(first.program.key())).await
    };
    let (status, refused) = ask(Method::POST, "/v1/projections/card/rebuild").await;
    assert_eq!((status, &refused["code"]), (503, &json!("unavailable")), "{refused}");
    assert_eq!(refused["holder"], first.status().await["holder"]);
    first.does("rebuild").await;
    assert_eq!(first.watch().await.last().unwrap()["state"], "ready");
    let (_, seen) = ask(Method::GET, "/v1/projections/card").await;
    assert_eq!((&seen["rebuild"]["state"], &seen["generation"]), (&json!("ready"), &json!(1)));
    first.does("swap").await;
    eventually("the other one answers from it", async || {
        ask(Method::GET, "/v1/projections/card").await.1["generation"] == 2
    })
    .await;
    second.stop().await;
}
