//! The cases that need a house of their own, or none.

use std::time::{Duration, Instant};

use sapa::exit::Exit;
use sapa::serve::checks::{self, Verdict};
use sapa::serve::service::{Mode, Service};
use serde_json::{Value, json};

use crate::alive::{Live, config, contact};
use crate::program::{Program, free_port};

pub(super) async fn roles() {
    let live = config(&[("roles", "api"), ("nats.mode", "off")]).unwrap();
    assert!(live.has_role("api") && !live.has_role("ingest"));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let settings =
        [("data_dir", data), ("http.addr", "127.0.0.1:0"), ("roles", "api"), ("nats.mode", "off")];
    let service = Service::start(config(&settings).unwrap(), Mode::Serve).await.unwrap();
    assert!(service.parts.told.upkeep.get().is_none(), "it does not lead");
    assert!(service.nats.is_none(), "there is no broker");
    assert!(!folder.path().join("nats").exists());
}

pub(super) async fn statement_timeout() {
    use sqlx::Executor as _;
    // SQLite: another process holds the lock.
    let live = Live::start(&[("nats.mode", "off"), ("database.statement_timeout", "700ms")]).await;
    let mut lock = live.lock("log.db").await;
    let began = Instant::now();
    let (status, body) = live.post("/v1/events", &contact(&live, "s-1", "c-s1")).await;
    let waited = began.elapsed();
    assert_eq!((status, &body["code"]), (503, &json!("unavailable")), "{body}");
    assert!((500..2_500).contains(&waited.as_millis()), "{waited:?} instead of 700 ms");
    lock.execute("ROLLBACK").await.unwrap();
    live.record(&contact(&live, "s-1", "c-s1")).await;
    live.stop().await;
}

pub(super) async fn writer_queue() {
    use sqlx::Executor as _;
    let live = Live::start(&[
        ("nats.mode", "off"),
        ("database.statement_timeout", "6s"),
        ("writer.queue", "1"),
        ("writer.batch", "1"),
    ])
    .await;
    let mut lock = live.lock("log.db").await;
    let began = Instant::now();
    let posts = (0..4).map(|n| {
        let live = &live;
        async move {
            let (status, _) =
                live.post("/v1/events", &contact(live, &format!("q-{n}"), "c-q")).await;
            (status, began.elapsed())
        }
    });
    let waiting = futures_util::future::join_all(posts);
    let (answers, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        lock.execute("ROLLBACK").await.unwrap();
    });
    let refused =
        answers.iter().filter(|(status, at)| *status == 503 && *at < Duration::from_millis(1_800));
    assert!(1 <= refused.count(), "a queue of one has no place for four: {answers:?}");
    live.stop().await;
}

pub(super) async fn request_timeout() {
    use sqlx::Executor as _;
    let live = Live::start(&[
        ("nats.mode", "off"),
        ("database.statement_timeout", "8s"),
        ("http.request_timeout", "500ms"),
    ])
    .await;
    let mut lock = live.lock("log.db").await;
    let began = Instant::now();
    let (status, body) = live.post("/v1/events", &contact(&live, "t-1", "c-t1")).await;
    assert_eq!(status, 504, "{body}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    lock.execute("ROLLBACK").await.unwrap();
    live.stop().await;
}

pub(super) async fn required_ready() {
    let nobody = format!("nats://127.0.0.1:{}", free_port());
    for (required, wanted) in [("false", 200), ("true", 503)] {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("data_dir", folder.path().to_str().unwrap()),
            ("http.addr", "127.0.0.1:0"),
            ("nats.url", nobody.as_str()),
            ("nats.required_ready", required),
        ];
        let service = Service::start(config(&settings).unwrap(), Mode::Serve).await.unwrap();
        let (state, checks) = api::health::readiness(&service.parts.app).await;
        let status = if state == api::surroundings::State::Failed { 503 } else { 200 };
        assert_eq!(status, wanted, "{checks:?}");
    }
}

pub(super) async fn require_token() {
    for (required, wanted) in [("false", "200"), ("true", "401")] {
        let port = free_port().to_string();
        let live =
            Live::start(&[("nats.require_token", required), ("nats.managed_port", &port)]).await;
        let context = live.broker().await;
        let client = context.client();
        let answer = client.request("sapa.v1.main.api.customers.list", "{}".into()).await.unwrap();
        assert_eq!(answer.headers.unwrap().get("Sapa-Status").unwrap().as_str(), wanted);
        live.stop().await;
    }
}

pub(super) async fn durability() {
    use sapa::servers::nats::{NatsOptions, NatsServer, Search, locate};
    let program =
        tokio::task::spawn_blocking(|| locate(&Search { fetch: true, ..Search::default() }));
    let program = program.await.unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = NatsOptions { sync_always: false, ..NatsOptions::new(folder.path()) };
    let server = NatsServer::start(&program, options).await.unwrap();
    let monitor = server.monitor_url();
    for (settings, wanted) in [
        (Vec::new(), Verdict::Warning),
        (vec![("nats.monitor_url", monitor.as_str())], Verdict::Refused),
        (vec![("nats.monitor_url", &monitor), ("nats.accept_lazy_sync", "true")], Verdict::Warning),
        (vec![("nats.monitor_url", &monitor), ("nats.replicas", "3")], Verdict::Fine),
    ] {
        let config = config(&settings).unwrap();
        let found = checks::durability(&config, config.nats.monitor_url.as_deref()).await;
        assert_eq!(found.verdict, wanted, "{settings:?}: {}", found.found);
    }
}

pub(super) async fn server_bin() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no-such-server");
    let settings = [
        ("data_dir", folder.path().to_str().unwrap()),
        ("http.addr", "127.0.0.1:0"),
        ("nats.server_bin", missing.to_str().unwrap()),
    ];
    let refused = Service::start(config(&settings).unwrap(), Mode::Serve).await.err().unwrap();
    assert!(refused.what.contains("no-such-server"), "{refused}");
    assert_eq!(refused.exit, Exit::Unavailable);
}

pub(super) async fn fetch() {
    for (fetch, wanted) in [("true", "will be fetched"), ("false", "nats-server")] {
        let mut program = Program::new(&[("nats.fetch", fetch)]);
        let empty = program.folder().join("empty").display().to_string();
        for name in ["PATH", "HOME", "XDG_CACHE_HOME"] {
            program.variable(name, &empty);
        }
        let done = program.output(&["doctor", "--json"]).await;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(said.contains(wanted), "{said}");
        assert_eq!(done.status.code() == Some(0), fetch == "true", "{said}");
    }
}

pub(super) async fn open_addresses() {
    let open = ("http.addr", "0.0.0.0:7272");
    let found =
        |settings: &[(&'static str, &str)]| checks::settings(&config(settings).unwrap()).verdict;
    assert_eq!(found(&[open]), Verdict::Refused);
    assert_eq!(found(&[open, ("http.behind_proxy", "true")]), Verdict::Fine);
    assert_eq!(
        found(&[("http.trusted_proxies", "10.0.0.1")]),
        Verdict::Refused,
        "nothing follows from it"
    );
    assert!(config(&[open, ("auth.mode", "local")]).unwrap_err().to_string().contains("auth.mode"));
}

pub(super) async fn log_lines() {
    let says = async |level: &str, format: &str| {
        let settings = [("nats.mode", "off"), ("log.level", level)];
        let mut program = Program::new(&settings);
        program.set("log.format", format);
        program.start();
        program.ready().await;
        program.stop().await;
        program.said()
    };
    let said = says("info", "json").await;
    let first: Value =
        serde_json::from_str(said.lines().find(|it| it.contains("serving")).unwrap()).unwrap();
    assert_eq!(first["level"], "INFO", "{said}");
    assert!(!says("warn", "text").await.contains("serving"));
}
