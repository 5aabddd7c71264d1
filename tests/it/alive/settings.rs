//! Every key of the configuration has an effect: a case for each, which fails where nothing follows
//! from the value. Keys of parts that are not built are refused by `config check` and `serve` alike.

mod apart;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::surroundings::Action;
use api::surroundings::Surroundings as _;
use async_nats::HeaderMap;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use sapa::config::KEYS;
use serde_json::json;
use store::{Db, generations, quarantine};

use super::{House, Live, contact, is_a_test, question};
use crate::program::{Program, free_port, http_client};
use crate::support_nats::eventually;

/// What shows that a setting does something.
enum Case {
    /// Looked at in the one house that runs with [`CHANGED`].
    Here(&'static str, fn(House) -> LocalBoxFuture<'static, ()>),
    /// Looked at apart from it.
    Apart(&'static str, fn() -> LocalBoxFuture<'static, ()>),
    /// Not built: this value is refused.
    NotBuilt(&'static str),
    /// Held by a test of this name.
    Test(&'static str),
}

use Case::{Apart, Here, NotBuilt, Test};

macro_rules! here {
    ($function:path) => {
        Here(stringify!($function), |house| $function(house).boxed_local())
    };
}

macro_rules! apart {
    ($function:path) => {
        Apart(stringify!($function), || $function().boxed_local())
    };
}

/// The settings of the house, none of them the default.
const CHANGED: &[(&str, &str)] = &[
    ("tenant", "house"),
    ("lang", "id"),
    ("time_zone", "Asia/Makassar"),
    ("database.pool_max", "3"),
    ("database.acquire_timeout", "300ms"),
    ("nats.mode", "managed"),
    ("nats.max_age", "2d"),
    ("nats.in_max_bytes", "3MiB"),
    ("nats.out_max_bytes", "5MiB"),
    ("nats.ack_wait", "7s"),
    ("nats.reply_prefixes", "_INBOX.,_ANSWER."),
    ("nats.default_scopes", "timeline:read"),
    ("events.unknown_fields", "refuse"),
    ("quarantine.max_age", "1s"),
    ("writer.batch", "3"),
    ("http.public_url", "https://sapa.example"),
    ("http.allowed_hosts", "127.0.0.1,front.example"),
    ("http.behind_proxy", "true"),
    ("http.trusted_proxies", "192.0.2.0/24"),
    ("http.max_connections", "12"),
    ("http.rate_per_key", "300"),
    ("metrics.open", "false"),
    ("metrics.tenant_label", "true"),
    ("projections.batch", "1"),
    ("projections.max_lag_ready", "1s"),
    ("projections.keep_old", "1s"),
    ("reactions.tick", "150ms"),
    ("reactions.batch", "1"),
    ("delivery.batch", "2"),
];

const CASES: &[(&str, Case)] = &[
    ("data_dir", here!(data_dir)),
    ("tenant", here!(tenant)),
    ("lang", here!(tenant)),
    ("time_zone", here!(tenant)),
    ("roles", apart!(apart::roles)),
    ("database.url", Test("a_rebuild_is_watched_swapped_in_and_taken_back_on_postgres")),
    ("database.pool_max", here!(connections)),
    ("database.acquire_timeout", here!(connections)),
    ("database.statement_timeout", apart!(apart::statement_timeout)),
    ("nats.mode", apart!(apart::roles)),
    ("nats.url", apart!(apart::required_ready)),
    ("nats.context", NotBuilt("mine")),
    ("nats.creds", Test("every_way_to_sign_in_is_presented_and_a_refusal_names_it")),
    ("nats.nkey", Test("every_way_to_sign_in_is_presented_and_a_refusal_names_it")),
    ("nats.user", Test("every_way_to_sign_in_is_presented_and_a_refusal_names_it")),
    ("nats.password", Test("every_way_to_sign_in_is_presented_and_a_refusal_names_it")),
    ("nats.token", Test("every_way_to_sign_in_is_presented_and_a_refusal_names_it")),
    ("nats.tls_ca", Test("every_way_to_sign_in_is_presented_and_a_refusal_names_it")),
    ("nats.monitor_url", apart!(apart::durability)),
    ("nats.accept_lazy_sync", apart!(apart::durability)),
    ("nats.replicas", apart!(apart::durability)),
    ("nats.max_age", here!(streams)),
    ("nats.in_max_bytes", here!(streams)),
    ("nats.out_max_bytes", here!(streams)),
    ("nats.ack_wait", here!(streams)),
    ("nats.server_bin", apart!(apart::server_bin)),
    ("nats.managed_port", here!(managed_port)),
    ("nats.fetch", apart!(apart::fetch)),
    ("nats.reply_prefixes", here!(requests)),
    ("nats.require_token", apart!(apart::require_token)),
    ("nats.default_scopes", here!(requests)),
    ("nats.required_ready", apart!(apart::required_ready)),
    (
        "nats.ingest.creds",
        Test("the_written_accounts_let_each_service_do_its_work_and_nothing_else"),
    ),
    (
        "nats.relay.creds",
        Test("the_written_accounts_let_each_service_do_its_work_and_nothing_else"),
    ),
    ("nats.api.creds", Test("the_written_accounts_let_each_service_do_its_work_and_nothing_else")),
    (
        "nats.setup.creds",
        Test("the_written_accounts_let_each_service_do_its_work_and_nothing_else"),
    ),
    ("events.unknown_fields", here!(refused_and_expired)),
    ("quarantine.max_age", here!(refused_and_expired)),
    ("writer.queue", apart!(apart::writer_queue)),
    ("writer.batch", here!(writer_batch)),
    ("http.addr", here!(http)),
    ("http.public_url", here!(http)),
    ("http.allowed_hosts", here!(http)),
    ("http.tls_cert", NotBuilt("cert.pem")),
    ("http.tls_key", NotBuilt("key.pem")),
    ("http.behind_proxy", apart!(apart::open_addresses)),
    ("http.trusted_proxies", here!(http)),
    ("http.max_connections", here!(max_connections)),
    ("http.request_timeout", apart!(apart::request_timeout)),
    ("http.rate_per_key", here!(rate_per_key)),
    ("auth.mode", apart!(apart::open_addresses)),
    ("metrics.open", here!(metrics)),
    ("metrics.tenant_label", here!(metrics)),
    ("projections.batch", here!(projections_batch)),
    ("projections.max_lag_ready", here!(max_lag_ready)),
    ("projections.keep_old", here!(keep_old)),
    ("reactions.tick", here!(reactions)),
    ("reactions.batch", here!(reactions)),
    ("delivery.batch", here!(delivery_batch)),
    ("webhooks.allow_private", NotBuilt("true")),
    ("webhooks.max_per_tenant", NotBuilt("3")),
    ("alertmanager.urls", NotBuilt("http://127.0.0.1:9093")),
    ("alertmanager.resend", NotBuilt("30s")),
    ("shutdown.grace", Test("the_grace_period_ends_a_stop")),
    ("log.level", apart!(apart::log_lines)),
    ("log.format", apart!(apart::log_lines)),
];

#[test]
fn every_setting_has_a_case() {
    let named: BTreeSet<&str> = CASES.iter().map(|it| it.0).collect();
    let known: BTreeSet<&str> = KEYS.iter().map(|it| it.name).collect();
    assert_eq!(named, known, "a setting without a case, or a case without a setting");
    for (key, case) in CASES {
        let is_changed = CHANGED.iter().any(|it| it.0 == *key);
        match case {
            Here(..) => assert!(
                is_changed || ["data_dir", "http.addr", "nats.managed_port"].contains(key),
                "{key} has its default in the house"
            ),
            Test(name) => assert!(is_a_test(name), "{key}: there is no test {name}"),
            Apart(..) | NotBuilt(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_setting_of_a_running_house_has_its_effect() {
    let port = free_port().to_string();
    let all: Vec<(&str, &str)> =
        CHANGED.iter().copied().chain([("nats.managed_port", port.as_str())]).collect();
    let all: Vec<(&'static str, &str)> =
        all.iter().map(|(key, value)| (of_table(key), *value)).collect();
    let house = Arc::new(Live::start(&all).await);
    let mut done = BTreeSet::new();
    for (key, case) in CASES {
        if let Here(name, look) = case
            && done.insert(*name)
        {
            eprintln!("{key}: {name}");
            look(Arc::clone(&house)).await;
        }
    }
    Arc::into_inner(house).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_other_setting_has_its_effect() {
    let mut done = BTreeSet::new();
    for (key, case) in CASES {
        if let Apart(name, look) = case
            && done.insert(*name)
        {
            eprintln!("{key}: {name}");
            look().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_of_a_part_that_is_not_built_is_refused_by_check_and_serve_alike() {
    for (key, case) in CASES {
        let NotBuilt(value) = case else { continue };
        let program = Program::new(&[(key, value), ("nats.mode", "off")]);
        for command in [&["config", "check"][..], &["serve"]] {
            let done = program.output(command).await;
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(78), "{key} {command:?}: {said}");
            assert!(
                said.contains("not built") && said.contains(key) && said.contains("use "),
                "{said}"
            );
        }
        assert!(!program.data().join("log.db").exists(), "{key}: nothing is made before");
    }
}

/// The name in the program's table, which lives as long as the program.
fn of_table(name: &str) -> &'static str {
    KEYS.iter().find(|it| it.name == name).map_or("", |it| it.name)
}

async fn data_dir(house: House) {
    for file in ["log.db", "views-1.db", "admin.key", "nats/token"] {
        assert!(house.folder.path().join("data").join(file).is_file(), "{file}");
    }
}

async fn tenant(house: House) {
    let all = store::tenants::list(house.base.log.db()).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].tenant.as_str(), all[0].zone.as_str()), ("house", "Asia/Makassar"));
    let (_, text) = house.get("/v1/nothing", Some(&house.key())).await;
    assert!(text.contains("Tidak ada apa pun"), "{text}");
}

async fn connections(house: House) {
    let Db::Sqlite { reads, .. } = house.base.log.db() else { unreachable!("it is SQLite") };
    assert_eq!(reads.options().get_max_connections(), 3);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(reads.acquire().await.unwrap());
    }
    let began = Instant::now();
    assert!(house.base.log.head().await.is_err());
    let waited = began.elapsed();
    assert!((250..1_500).contains(&waited.as_millis()), "{waited:?} instead of 300 ms");
}

async fn managed_port(house: House) {
    let url = house.nats.clone().unwrap();
    let set = house.base.config.nats.managed_port;
    assert!(url.ends_with(&format!(":{set}")) && set != 4272, "{url}");
}

async fn streams(house: House) {
    let context = house.broker().await;
    let info = |it: &str| it.to_owned();
    let of = async |stream: &str| {
        context.get_stream(info(stream)).await.unwrap().cached_info().config.clone()
    };
    let (incoming, outgoing) = (of("SAPA_IN").await, of("SAPA_OUT").await);
    assert_eq!((incoming.max_bytes, outgoing.max_bytes), (3 << 20, 5 << 20));
    assert_eq!(outgoing.max_age, Duration::from_hours(48));
    let stream = context.get_stream("SAPA_IN").await.unwrap();
    let consumer = stream.consumer_info("ingest").await.unwrap();
    assert_eq!(consumer.config.ack_wait, Duration::from_secs(7));
}

async fn requests(house: House) {
    use futures_util::StreamExt as _;
    let context = house.broker().await;
    let client = context.client();
    let mut answers = client.subscribe("_ANSWER.1").await.unwrap();
    let ask = "sapa.v1.house.api.customers.list";
    client.publish_with_reply(ask, "_ANSWER.1", "{}".into()).await.unwrap();
    let answer =
        tokio::time::timeout(Duration::from_secs(5), answers.next()).await.unwrap().unwrap();
    let status = |it: &async_nats::Message| {
        it.headers.as_ref().unwrap().get("Sapa-Status").unwrap().to_string()
    };
    assert_eq!(status(&answer), "200", "timeline:read is among the default scopes");
    let answer = client.request("sapa.v1.house.api.events.list", "{}".into()).await.unwrap();
    assert_eq!(status(&answer), "403", "events:read is not");
}

async fn refused_and_expired(house: House) {
    let mut event = contact(&house, "x-1", "c-x1");
    event["data"]["unheard_of"] = json!(1);
    let (status, body) = house.post("/v1/events", &event).await;
    assert_eq!((status, &body["code"]), (422, &json!("schema_invalid")), "{body}");
    let context = house.broker().await;
    let subject = "sapa.v1.house.in.interaction.contacted";
    context.publish(subject, "{ no json".into()).await.unwrap().await.unwrap();
    let (home, all) = ("house".parse().unwrap(), quarantine::Wanted::default());
    eventually("its bytes are given up", async || {
        let rows = quarantine::list(house.base.log.db(), &home, &all, 10).await.unwrap();
        rows.iter().any(|it| {
            let note = it.note.as_deref().unwrap_or_default();
            it.code == "json_syntax" && it.state == "discarded" && note.contains("max_age")
        })
    })
    .await;
}

async fn writer_batch(house: House) {
    let before = house.metrics().await;
    let events =
        (0..60).map(|n| crate::support::event("interaction.greeted").id(&format!("w-{n}")));
    let events: Vec<_> = events.map(|it| it.customer("c-w").tenant("house").incoming()).collect();
    for it in house.base.appender.append_each(events).await {
        assert!(it.unwrap().is_new());
    }
    let of = |text: &str, what: &str| -> f64 {
        let name = format!("sapa_append_group_requests_{what} ");
        let line = text.lines().find_map(|it| it.strip_prefix(&name).map(str::to_owned));
        line.unwrap().parse().unwrap()
    };
    let after = house.metrics().await;
    let commits = of(&after, "count") - of(&before, "count");
    let requests = of(&after, "sum") - of(&before, "sum");
    assert!(
        60.0 <= requests && requests / commits <= 3.0,
        "{requests} requests in {commits} commits"
    );
}

async fn http(house: House) {
    assert!(!house.url.ends_with(":7272"));
    let (_, text) = house.get("/v1/nothing", Some(&house.key())).await;
    assert!(text.contains("\"https://sapa.example/problems/route_unknown\""), "{text}");
    for (host, wanted) in [("front.example", 200), ("other.example", 421)] {
        let request = http_client().get(format!("{}/livez", house.url)).header("Host", host);
        assert_eq!(request.send().await.unwrap().status().as_u16(), wanted, "{host}");
    }
    let proxies = &house.parts.app.settings.proxies;
    let admits = |it: &str| api::http::proxy::admits(proxies, it.parse().unwrap());
    assert!(admits("192.0.2.9") && admits("127.0.0.1") && !admits("198.51.100.1"));
}

async fn max_connections(house: House) {
    let address = house.url.trim_start_matches("http://").to_owned();
    let mut open = Vec::new();
    for _ in 0..12 {
        open.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    let client = http_client();
    let ask =
        || client.get(format!("{}/livez", house.url)).timeout(Duration::from_millis(700)).send();
    eventually("nobody else is answered", async || ask().await.is_err()).await;
    drop(open);
    eventually("there is a place again", async || ask().await.is_ok()).await;
}

async fn rate_per_key(house: House) {
    let (client, key) = (http_client(), house.key());
    let ask = || client.get(format!("{}/v1/keys", house.url)).bearer_auth(&key).send();
    eventually("too many requests are refused", async || {
        let many = futures_util::future::join_all((0..8).map(|_| ask())).await;
        many.into_iter().any(|it| it.unwrap().status().as_u16() == 429)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
}

async fn metrics(house: House) {
    assert_eq!(house.get("/metrics", None).await.0, 401, "a key is needed");
    let text = house.metrics().await;
    for series in [
        "sapa_events_total{",
        "sapa_alerts_open{",
        "sapa_clock_customers{",
        "sapa_projection_lag_events{",
    ] {
        let mut own = text.lines().filter(|it| it.starts_with(series)).peekable();
        assert!(own.peek().is_some() && own.all(|it| it.contains("tenant=\"house\"")), "{series}");
    }
    assert!(
        !text.lines().any(|it| it.starts_with("sapa_obligations_open") && it.contains("tenant="))
    );
}

async fn projections_batch(house: House) {
    let head = house.base.log.head().await.unwrap();
    house.parts.views.wait_for(head, Duration::from_secs(20)).await.unwrap();
    let events =
        (0..200).map(|n| crate::support::event("interaction.greeted").id(&format!("p-{n}")));
    let events: Vec<_> = events.map(|it| it.customer("c-p").tenant("house").incoming()).collect();
    let mut between = 0;
    let (append, ()) = tokio::join!(house.base.appender.append(events), async {
        let end = head + 200;
        loop {
            let position = house.parts.views.position().await.unwrap();
            between += usize::from(head < position && position < end);
            if end <= position {
                break;
            }
        }
    });
    append.unwrap();
    assert!(3 < between, "200 events of one commit were folded in one transaction");
}

async fn reactions(house: House) {
    let number = |text: &str, line: &str| -> f64 {
        let found = text.lines().find_map(|it| it.strip_prefix(line).map(str::to_owned));
        found.map_or(0.0, |it| it.trim().parse().unwrap())
    };
    let ticks = "sapa_reaction_tick_seconds_count{reaction=\"alert\"}";
    let before = number(&house.metrics().await, ticks);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ticked = number(&house.metrics().await, ticks) - before;
    assert!(9.0 <= ticked, "{ticked} ticks in 3 s at 150 ms");

    let appends = "sapa_append_duration_seconds_count{path=\"own\"}";
    let before = number(&house.metrics().await, appends);
    house.parts.told.project(Action::Pause).await.unwrap();
    for n in 0..5 {
        house.record(&question(&house, &format!("r-{n}"), &format!("c-r{n}"), 12)).await;
    }
    house.parts.told.project(Action::Resume).await.unwrap();
    eventually("each customer was decided about alone", async || {
        5.0 <= number(&house.metrics().await, appends) - before
    })
    .await;
}

async fn delivery_batch(house: House) {
    let head = house.base.log.head().await.unwrap();
    let relayed = || house.parts.told.relay.position.load(std::sync::atomic::Ordering::Relaxed);
    eventually("everything is published", async || head <= relayed()).await;
    let context = house.broker().await;
    let stream = context.get_stream("SAPA_OUT").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut largest = 0;
    for sequence in last.saturating_sub(100).max(1)..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let headers: &HeaderMap = &message.headers;
        let place = headers.get("Nats-Batch-Sequence").and_then(|it| it.as_str().parse().ok());
        largest = largest.max(place.unwrap_or(1));
    }
    assert_eq!(largest, 2, "messages of one published batch");
}

async fn max_lag_ready(house: House) {
    use sqlx::Executor as _;
    let live = house.parts.views.live().generation;
    let mut lock = house.lock(&format!("views-{live}.db")).await;
    house.record(&contact(&house, "l-1", "c-l1")).await;
    eventually("it is not ready", async || {
        let (status, text) = house.get("/readyz?verbose", None).await;
        status == 503 && text.contains("[-] projections")
    })
    .await;
    lock.execute("ROLLBACK").await.unwrap();
    eventually("it is ready again", async || house.get("/readyz", None).await.0 == 200).await;
}

async fn keep_old(house: House) {
    let db = house.base.log.db().clone();
    let live = house.parts.views.live().generation;
    house.parts.told.project(Action::Rebuild).await.unwrap();
    eventually("the new build answers", async || {
        // It is refused until the build is ready.
        let _ = house.parts.told.project(Action::Swap).await;
        house.parts.views.refresh().await.unwrap();
        house.parts.views.live().generation != live
    })
    .await;
    eventually("the build before is deleted", async || {
        let all = generations::list(&db).await.unwrap();
        all.iter().any(|it| it.generation == live && it.state == "retired")
    })
    .await;
    assert!(!house.folder.path().join(format!("data/views-{live}.db")).exists());
}
