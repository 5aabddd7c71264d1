//! The accounts that `sapa nats config` writes, with a real nats-server: each service does its work with
//! its own key and nothing else, and a login that is refused says which file or setting it came from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, ConnectOptions};
use sapa::exit::Exit;
use sapa::servers::nats::{NatsOptions, NatsServer};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::alive::config;
use crate::program::Program;
use crate::support_nats::{eventually, nats_program};

/// How long is waited for what must not come.
const NEVER: Duration = Duration::from_millis(600);

/// A port with which the one for monitoring, 4000 above it, is free too.
fn free_pair() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    std::iter::repeat_with(crate::program::free_port)
        .find(|it| it.checked_add(4_000).is_some_and(is_free))
        .unwrap()
}

/// A nats-server on the written configuration, which ends with the test.
struct Broker {
    _child: Child,
    folder: PathBuf,
    url: String,
}

impl Broker {
    async fn start(program: &Path, folder: PathBuf, port: u16) -> Self {
        let file = folder.join("nats-server.conf");
        let checked = Command::new(program).arg("-t").arg("-c").arg(&file).output().await.unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let mut command = Command::new(program);
        command.arg("-c").arg(&file).kill_on_drop(true);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let child = command.spawn().unwrap();
        let broker = Self { _child: child, folder, url: format!("nats://127.0.0.1:{port}") };
        eventually("nats-server answers", async || broker.try_user("ops").await.is_some()).await;
        broker
    }

    fn seed(&self, user: &str) -> String {
        let text = std::fs::read_to_string(self.folder.join(format!("{user}.nk"))).unwrap();
        text.trim().to_owned()
    }

    async fn try_user(&self, user: &str) -> Option<Client> {
        let options = ConnectOptions::new()
            .nkey(self.seed(user))
            .custom_inbox_prefix(format!("_INBOX_{user}"))
            .request_timeout(Some(Duration::from_secs(5)));
        options.connect(&self.url).await.ok()
    }

    async fn user(&self, user: &str) -> Client {
        self.try_user(user).await.unwrap_or_else(|| panic!("{user} cannot sign in"))
    }
}

fn booking(id: &str) -> Value {
    let mut it = crate::support_nats::event(id);
    it["type"] = json!("sapa.booking.requested.v1");
    it["subject"] = json!("c-hendra");
    let golden = include_str!("../../schemas/events/golden/booking.requested.v1.json");
    it["data"] = serde_json::from_str(golden).unwrap();
    it
}

fn question(id: &str) -> Value {
    let at = jiff::SignedDuration::from_hours(24 * 12);
    let now = events::time::Clock::now(&sapa::clock::SystemClock);
    json!({
        "specversion": "1.0", "id": id, "source": "/desk", "type": "sapa.interaction.inquired.v1",
        "subject": "c-sari", "time": events::time::spell(now - at), "actor": "customer",
        "actorkind": "customer", "channel": "phone", "data": {"inquiry": id, "topic": "price"},
    })
}

/// Publishes to the stream; whether the server took it.
async fn publishes(client: &Client, subject: &str, body: &Value) -> bool {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(NEVER);
    let sent = context.publish(subject.to_owned(), body.to_string().into()).await;
    match sent {
        Ok(it) => it.await.is_ok(),
        Err(_) => false,
    }
}

/// Whether anybody answers a request.
async fn is_answered(client: &Client, subject: &str, body: &str) -> bool {
    let asked = client.request(subject.to_owned(), body.to_owned().into());
    matches!(tokio::time::timeout(NEVER, asked).await, Ok(Ok(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_written_accounts_let_each_service_do_its_work_and_nothing_else() {
    let (program, port) = (nats_program().await, free_pair());
    let mut sapa = Program::new(&[]);
    let folder = sapa.folder().join("nats-config");
    let text = |it: &Path| it.to_str().unwrap().to_owned();
    let listen = format!("127.0.0.1:{port}");
    let dir = text(&folder);
    let write = ["nats", "config", &dir, "--listen", &listen, "--publisher", "desk"];
    sapa.run(&write).await;
    let kept = std::fs::read_to_string(folder.join("ingest.nk")).unwrap();
    // A service is added later: the keys that are there stay.
    sapa.run(&[&write[..], &["--publisher", "crs:booking"]].concat()).await;
    assert_eq!(std::fs::read_to_string(folder.join("ingest.nk")).unwrap(), kept);
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |it: &str| folder.join(it).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("ingest.nk"), mode("nats-server.conf"), mode(".")), (0o600, 0o600, 0o700));
    }
    let broker = Broker::start(&program, folder.clone(), port).await;

    // As the command says: set up once with the key of setup, then serve without it.
    for role in ["ingest", "relay", "api", "setup"] {
        let key = text(&folder.join(format!("{role}.nk")));
        sapa.set(&format!("nats.{role}.creds"), &key);
    }
    sapa.set("nats.url", &broker.url);
    sapa.set("nats.monitor_url", &format!("http://127.0.0.1:{}", port + 4_000));
    sapa.run(&["setup", "--alert-consumer", "pager"]).await;
    sapa.start();
    sapa.ready().await;

    let (desk, crs) = (broker.user("desk").await, broker.user("crs").await);
    let greet = "sapa.v1.main.in.interaction.inquired";
    let book = "sapa.v1.main.in.booking.requested";
    assert!(publishes(&desk, greet, &question("a-1")).await, "the desk publishes what it likes");
    assert!(publishes(&crs, book, &booking("a-2")).await, "the reservation system its bookings");
    assert!(!publishes(&crs, greet, &question("a-3")).await, "and nothing else");
    assert!(
        is_answered(&desk, "sapa.v1.main.api.events.append", &question("a-4").to_string()).await
    );
    assert!(!is_answered(&desk, "sapa.v1.main.api.customers.list", "{}").await);

    let agent = broker.user("agent").await;
    let events = async || -> usize {
        let answer = agent.request("sapa.v1.main.api.events.list", "{}".into()).await.unwrap();
        let body: Value = serde_json::from_slice(&answer.payload).unwrap();
        body["items"].as_array().map_or(0, Vec::len)
    };
    eventually("what was published is recorded", async || 3 <= events().await).await;
    assert!(!publishes(&agent, greet, &question("a-5")).await);
    // A reply subject that a responder with too many rights would publish to.
    agent
        .publish_with_reply(
            "sapa.v1.main.api.events.list",
            "$JS.API.STREAM.DELETE.SAPA_OUT",
            "{}".into(),
        )
        .await
        .unwrap();
    agent.flush().await.unwrap();

    let pager = broker.user("pager").await;
    let info = "$JS.API.CONSUMER.INFO.SAPA_OUT.pager";
    assert!(is_answered(&pager, info, "").await, "the pager sees its own consumer");
    assert!(!is_answered(&pager, "$JS.API.STREAM.MSG.GET.SAPA_OUT", r#"{"seq":1}"#).await);

    let ops = broker.user("ops").await;
    assert!(is_answered(&ops, "$SRV.PING.sapa", "").await, "people on duty see the service");
    assert!(
        is_answered(&ops, "$JS.API.STREAM.INFO.SAPA_OUT", "").await,
        "and the stream, which is still there"
    );
    assert!(!is_answered(&ops, "$JS.API.STREAM.MSG.GET.SAPA_OUT", r#"{"seq":1}"#).await);
    for (user, subject) in [
        ("ingest", "$JS.API.STREAM.PURGE.SAPA_OUT"),
        ("relay", "$JS.API.STREAM.DELETE.SAPA_OUT"),
        ("api", "$JS.API.STREAM.INFO.SAPA_IN"),
        ("ingest", "$JS.API.STREAM.INFO.SAPA_OUT"),
    ] {
        assert!(!is_answered(&broker.user(user).await, subject, "").await, "{user} {subject}");
    }
    sapa.stop().await;

    // The next instance need not wait for the pin: the stop has given it back, which `ingest` may.
    let started = std::time::Instant::now();
    sapa.start();
    sapa.ready().await;
    assert!(publishes(&desk, greet, &question("a-6")).await);
    eventually("it is recorded", async || 4 <= events().await).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    sapa.stop().await;

    // Another broker's key, named by its file and its setting.
    let other = Program::new(&[]);
    let elsewhere = text(&other.folder().join("other"));
    other.run(&["nats", "config", &elsewhere]).await;
    sapa.set("nats.ingest.creds", &format!("{elsewhere}/ingest.nk"));
    let refused = sapa.output(&["serve"]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(77), "{said}");
    assert!(said.contains("other/ingest.nk (nats.ingest.creds)"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_sign_in_is_presented_and_a_refusal_names_it() {
    let program = nats_program().await;
    let folder = tempfile::tempdir().unwrap();
    let key = Program::new(&[]);
    key.run(&["nats", "config", folder.path().join("keys").to_str().unwrap()]).await;
    let written = std::fs::read_to_string(folder.path().join("keys/nats-server.conf")).unwrap();
    let public =
        written.split("nkey: ").nth(1).unwrap().split([' ', ',']).next().unwrap().to_owned();
    let seed_of = |it: &str| folder.path().join("keys").join(it).to_str().unwrap().to_owned();
    let seed = ["setup", "ingest", "relay", "api", "ops", "sys", "publisher", "agent", "pager"]
        .iter()
        .map(|it| seed_of(&format!("{it}.nk")))
        .find(|it| {
            let seed = std::fs::read_to_string(it).unwrap();
            nkeys_public(seed.trim()) == public
        })
        .unwrap();
    let users = format!(
        "authorization {{ users: [ {{ user: ann, password: \"s3cret\" }}, {{ nkey: {public} }} ] }}"
    );
    let options = NatsOptions { extra: Some(users), ..NatsOptions::new(folder.path().join("one")) };
    let by_name = NatsServer::start(&program, options).await.unwrap();
    let options = NatsOptions {
        token: Some("t0ken".to_owned()),
        ..NatsOptions::new(folder.path().join("two"))
    };
    let by_token = NatsServer::start(&program, options).await.unwrap();

    let (name, token) = (by_name.url(), by_token.url());
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, "").unwrap();
    let ca = ca.to_str().unwrap();
    let wrong = seed_of(if seed.ends_with("pager.nk") { "agent.nk" } else { "pager.nk" });
    for (url, settings, wanted) in [
        (&name, vec![("nats.user", "ann"), ("nats.password", "s3cret")], None),
        (&name, vec![("nats.user", "ann"), ("nats.password", "wrong")], Some("ann (nats.user")),
        (&name, vec![("nats.nkey", seed.as_str())], None),
        (&name, vec![("nats.nkey", wrong.as_str())], Some("(nats.nkey)")),
        (&name, vec![("nats.creds", seed.as_str())], None),
        (&name, vec![("nats.creds", wrong.as_str())], Some("(nats.creds)")),
        (&name, vec![], Some("without a login")),
        (&token, vec![("nats.token", "t0ken")], None),
        (&token, vec![("nats.token", "wrong")], Some("nats.token")),
        (&token, vec![("nats.token", "t0ken"), ("nats.tls_ca", ca)], Some("cannot connect")),
    ] {
        let config = config(&settings).unwrap();
        let tried = sapa::broker::connect(&config.nats, "ingest", url, None, false).await;
        match (tried, wanted) {
            (Ok(_), None) => {}
            (Err(refused), Some(wanted)) => {
                assert!(refused.what.contains(wanted), "{}", refused.what);
                let is_login = wanted != "cannot connect";
                assert_eq!(refused.exit == Exit::Forbidden, is_login, "{settings:?}");
                assert!(!refused.to_string().contains("s3cret"));
            }
            (tried, wanted) => panic!("{settings:?}: {wanted:?}, {:?}", tried.err()),
        }
    }
}

/// The public key of a seed, as the server's configuration spells it.
fn nkeys_public(seed: &str) -> String {
    nkeys::KeyPair::from_seed(seed).unwrap().public_key()
}
