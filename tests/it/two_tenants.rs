//! Two tenants on one running program: everything that one can do the other can do too, over HTTP, NATS
//! and the command line, and nothing of one is ever in an answer to the other.

use std::collections::BTreeSet;

use api::ops::{self, Body, Operation};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap};
use reqwest::Method;
use sapa::servers::postgres::Cluster;
use serde_json::{Value, json};

use crate::program::{Program, free_port, http_client};
use crate::support_nats::eventually;

/// What each tenant says, and the other must never hear.
const MAIN: &str = "canary-of-main";
const BANK: &str = "canary-of-the-bank";
/// Operations that look after the server and not after one tenant.
const OF_SERVER: [&str; 2] = ["tenants.put", "projections.act"];

/// A program with two tenants.
struct Two {
    program: Program,
    main: String,
    bank: String,
    nats: Client,
    _cluster: Option<Cluster>,
}

/// An answer: its status and its body.
type Answer = (u16, Value);

impl Two {
    async fn sqlite() -> Self {
        Self::start(&[], None).await
    }

    async fn postgres() -> Self {
        let (cluster, url) = crate::survival::cluster().await;
        Self::start(&[("database.url", url.as_str())], Some(cluster)).await
    }

    async fn start(more: &[(&str, &str)], cluster: Option<Cluster>) -> Self {
        let port = free_port().to_string();
        let own = [("nats.fetch", "true"), ("nats.managed_port", port.as_str())];
        let mut program = Program::new(&[&own[..], more].concat());
        program.start();
        program.ready().await;
        let main = program.key();
        let token = program.data().join("nats").join("token");
        let token = std::fs::read_to_string(token).unwrap().trim().to_owned();
        let options = async_nats::ConnectOptions::with_token(token);
        let nats = options.connect(format!("nats://127.0.0.1:{port}")).await.unwrap();
        let mut two = Self { program, main, bank: String::new(), nats, _cluster: cluster };
        two.cli(&["tenant", "add", "bank", "--name", "Bank", "--zone", "Asia/Makassar"]).await;
        let made =
            two.cli(&["key", "create", "boss", "--scope", "admin", "--tenant", "bank"]).await;
        assert_eq!(made["tenant"], "bank", "{made}");
        two.bank = made["key"].as_str().unwrap().to_owned();
        two
    }

    /// Runs a command with the key of the first tenant, which the folder holds.
    async fn cli(&self, args: &[&str]) -> Value {
        self.cli_with(None, args).await
    }

    async fn cli_with(&self, key: Option<&str>, args: &[&str]) -> Value {
        let (code, out, err) = self.cli_raw(key, args).await;
        assert_eq!(code, Some(0), "sapa {args:?}: {err}{out}");
        serde_json::from_str(&out).unwrap_or_default()
    }

    async fn cli_raw(&self, key: Option<&str>, args: &[&str]) -> (Option<i32>, String, String) {
        let mut all = args.to_vec();
        all.push("--json");
        all.extend(key.iter().flat_map(|it| ["--key", *it]));
        let done = self.program.output(&all).await;
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    }

    async fn http(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let url = format!("{}{path}", self.program.url());
        let mut request = http_client().request(method, url).bearer_auth(key);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let answer = request.timeout(std::time::Duration::from_secs(20)).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn get(&self, key: &str, path: &str) -> Answer {
        self.http(key, Method::GET, path, None).await
    }

    /// Asks over NATS, with a key or with none.
    async fn request(&self, tenant: &str, key: Option<&str>, id: &str, body: &Value) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert("Authorization", format!("Bearer {key}"));
        }
        let subject = format!("sapa.v1.{tenant}.api.{id}");
        let asked = self.nats.request_with_headers(subject, headers, body.to_string().into());
        let answer = asked.await.unwrap_or_else(|error| panic!("{id}: {error}"));
        let headers = answer.headers.unwrap();
        let status = headers.get("Sapa-Status").unwrap().as_str().parse().unwrap();
        (status, serde_json::from_slice(&answer.payload).unwrap_or_default())
    }

    async fn publish(&self, context: &Context, tenant: &str, event: &Value) {
        let subject = format!("sapa.v1.{tenant}.in.interaction.noted");
        context.publish(subject, event.to_string().into()).await.unwrap().await.unwrap();
    }

    async fn caught_up(&self, key: &str) {
        eventually("the read models have caught up", async || {
            self.get(key, "/v1/projections/card").await.1["caught_up"] == true
        })
        .await;
    }
}

/// A note about a customer that both tenants have, under an id that both use.
fn note(id: &str, text: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/desk", "type": "sapa.interaction.noted.v1",
        "subject": "c-1", "time": jiff::Timestamp::now().to_string(), "actor": "staff/dewi",
        "data": { "text": text, "visibility": "team" },
    })
}

fn fact(id: &str, kind: &str, hours_ago: i64, data: &Value) -> Value {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours_ago);
    json!({
        "specversion": "1.0", "id": id, "source": "/desk", "type": format!("sapa.{kind}.v1"),
        "subject": "c-1", "time": at.to_string(), "actor": "customer", "channel": "phone", "data": data,
    })
}

/// Fills a tenant through every way in, with what only it says.
async fn fill(two: &Two, context: &Context, tenant: &str, key: &str, canary: &str) {
    let registered = json!({
        "specversion": "1.0", "id": "r-1", "source": "/desk", "type": "sapa.customer.registered.v1",
        "subject": "c-1", "time": "2026-01-05T10:00:00+07:00", "actor": "staff/dewi",
        "data": { "kind": "person", "name": canary },
    });
    let asked = json!({ "inquiry": format!("q-{tenant}"), "topic": "price", "text": canary });
    let complained = json!({
        "complaint": format!("k-{tenant}"), "kind": "service", "category": "noise",
        "severity": "high", "text": canary,
    });
    let events = json!([
        registered,
        fact("q-1", "interaction.inquired", 24 * 9, &asked),
        fact("k-1", "complaint.raised", 24 * 9, &complained),
        note("n-http", canary),
    ]);
    let (status, answer) = two.http(key, Method::POST, "/v1/events", Some(&events)).await;
    assert_eq!(status, 201, "{answer}");
    // The command line, and through it the tenant that is named.
    let data = json!({ "text": canary, "visibility": "team" }).to_string();
    let published = [
        "event",
        "publish",
        "--type",
        "interaction.noted",
        "--customer",
        "c-1",
        "--id",
        "n-cli",
        "--source",
        "/desk",
        "--actor",
        "staff/dewi",
        "--data",
        &data,
        "--tenant",
        tenant,
    ];
    let answer = two.cli_with(Some(key), &published).await;
    assert_eq!(answer["outcome"], "recorded");
    let nats = published.map(|it| if it == "n-cli" { "n-cli-nats" } else { it });
    let answer = two.cli_with(Some(key), &[&nats[..], &["--via", "nats"]].concat()).await;
    assert_eq!(answer["outcome"], "accepted");
    // A publisher of its own, and request-reply.
    two.publish(context, tenant, &note("n-nats", canary)).await;
    let (status, answer) =
        two.request(tenant, Some(key), "events.append", &note("n-request", canary)).await;
    assert_eq!(status, 201, "{answer}");
    let promise = json!({
        "customer": "c-1", "promise": format!("p-{tenant}"), "what": canary, "owner": "ani",
        "due_at": "2030-01-02T10:00:00+07:00",
    });
    let (status, answer) = two.http(key, Method::POST, "/v1/promises", Some(&promise)).await;
    assert_eq!(status, 201, "{answer}");
    let unknown = json!({
        "specversion": "1.0", "id": "u-1", "source": "/desk", "type": "sapa.gate.opened.v1",
        "time": "2026-01-05T10:00:00+07:00", "actor": "customer", "data": { "canary": canary },
    });
    let (status, answer) = two.http(key, Method::POST, "/v1/events", Some(&unknown)).await;
    assert_eq!((status, answer["quarantine_id"].is_string()), (422, true), "{answer}");
    for id in ["n-cli-nats", "n-nats"] {
        let path = format!("/v1/receipts?source=/desk&id={id}&wait=5s");
        let (status, answer) = two.get(key, &path).await;
        assert_eq!((status, &answer["outcome"]), (200, &json!("recorded")), "{id}: {answer}");
    }
}

/// What an operation can be asked about: things of that tenant by name, and one that is nobody's.
fn value_of(name: &str, operation: &Operation, things: &Value) -> String {
    let thing = |name: &str| things[name].as_str().unwrap_or("nobody").to_owned();
    match (operation.resource(), name) {
        ("customers" | "timeline" | "loyalty" | "neglect", "id") | (_, "customer") => "c-1".into(),
        ("policies", "name") => "neglect".into(),
        (_, "name") => "card".into(),
        (_, "position") => thing("position"),
        ("streams", "kind") => "customer".into(),
        ("streams", "id") => "c-1".into(),
        (_, "tenant") => "third".into(),
        ("projections", "action") if operation.id == "projections.act" => "verify".into(),
        (_, "action") => "retry".into(),
        (resource, "id") => thing(resource),
        _ => "x".into(),
    }
}

fn path_of(operation: &Operation, things: &Value) -> String {
    let part = |it: &str| match it.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        Some(name) => value_of(name, operation, things),
        None => it.to_owned(),
    };
    operation.path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The things of a tenant, by the resource that shows them.
async fn things(two: &Two, key: &str, tenant: &str) -> Value {
    let first = async |path: &str, member: &str| {
        let (status, answer) = two.get(key, path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer["items"][0][member].clone()
    };
    let position = first("/v1/events?limit=1", "position").await;
    json!({
        "alerts": first("/v1/alerts", "alert").await,
        "quarantine": first("/v1/quarantine", "quarantine_id").await,
        "keys": first("/v1/keys", "id").await,
        "position": position,
        "promises": format!("p-{tenant}"),
        "complaints": format!("k-{tenant}"),
    })
}

async fn each_is_whole_and_neither_hears_the_other(two: Two) {
    let context = jetstream::new(two.nats.clone());
    let (main, bank) = (two.main.clone(), two.bank.clone());
    fill(&two, &context, "main", &main, MAIN).await;
    fill(&two, &context, "bank", &bank, BANK).await;
    two.caught_up(&main).await;
    for key in [&main, &bank] {
        eventually("what is owed rings in each tenant", async || {
            two.get(key, "/v1/alerts").await.1["items"].as_array().is_some_and(|it| !it.is_empty())
        })
        .await;
    }
    let own = things(&two, &bank, "bank").await;
    let foreign = things(&two, &main, "main").await;
    let nobody = json!({ "position": "999999" });

    // Every route: it works for the second tenant, holds what is its own, and what is the first
    // tenant's is not there, with the same words as what never was.
    let mut worked = BTreeSet::new();
    for operation in ops::table().iter().filter(|it| !it.writes()) {
        for (key, heard, unheard) in [(&bank, BANK, MAIN), (&main, MAIN, BANK)] {
            let things = if key == &bank { &own } else { &foreign };
            let mut path = path_of(operation, things);
            path.push_str(match operation.id {
                "receipts.get" => "?source=/desk&id=n-nats",
                "promises.quote" => "?topic=price",
                _ => "",
            });
            let (status, answer) = two.get(key, &path).await;
            assert!([200, 404, 409].contains(&status), "{path}: {status} {answer}");
            let text = answer.to_string();
            assert!(!text.contains(unheard), "{path} tells of the other tenant: {text}");
            if text.contains(heard) {
                worked.insert((operation.id, heard));
            }
        }
        let (there, nowhere) = (path_of(operation, &foreign), path_of(operation, &nobody));
        if there != nowhere {
            let (one, two) = (two.get(&bank, &there).await, two.get(&bank, &nowhere).await);
            assert_eq!(one.0, two.0, "{there}: {}", one.1);
            assert_eq!(one.1["detail"], two.1["detail"], "{there}");
        }
    }
    for id in [
        "customers.list",
        "customers.get",
        "timeline.list",
        "events.list",
        "promises.list",
        "quarantine.get",
    ] {
        for canary in [MAIN, BANK] {
            assert!(worked.contains(&(id, canary)), "{id} does not show what is {canary}");
        }
    }
    // Every route that writes: the second tenant's admin may use it, on what is its own.
    for operation in ops::table().iter().filter(|it| it.writes() && it.id != "keys.revoke") {
        let method = Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
        let body = (operation.body != Body::Events).then(|| json!({}));
        let body = body.unwrap_or_else(|| note("n-route", BANK));
        let path = path_of(operation, &own);
        let (status, answer) = two.http(&bank, method, &path, Some(&body)).await;
        let of_server = OF_SERVER.contains(&operation.id);
        assert_eq!(status == 403, of_server, "{}: {status} {answer}", operation.id);
        assert!(status != 401 && status < 500, "{}: {status} {answer}", operation.id);
        assert!(!answer.to_string().contains(MAIN), "{}: {answer}", operation.id);
    }

    // Every subject: the key of one tenant opens its own subjects and no others.
    for operation in ops::table().iter().filter(|it| it.on_nats && !it.writes()) {
        let mut body = json!({});
        for name in
            operation.path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
        {
            body[name] = json!(value_of(name, operation, &own));
        }
        let (status, answer) = two.request("bank", Some(&bank), operation.id, &body).await;
        assert!([200, 404, 409, 422].contains(&status), "{}: {status} {answer}", operation.id);
        assert!(!answer.to_string().contains(MAIN), "{}: {answer}", operation.id);
        let (status, answer) = two.request("bank", Some(&main), operation.id, &body).await;
        assert_eq!((status, &answer["code"]), (404, &json!("tenant_unknown")), "{}", operation.id);
    }
    the_tenant_that_is_named_is_the_tenant_of_the_key(&two).await;
    what_goes_out_is_under_the_subjects_of_its_tenant(&context).await;
    a_second_tenant_is_run_from_the_command_line(&two).await;
    what_was_sent_to_nobody_is_looked_after_by_the_server(&two, &context).await;
}

/// `--tenant`, the header and the subject choose nothing: they have to agree with the key.
async fn the_tenant_that_is_named_is_the_tenant_of_the_key(two: &Two) {
    let head = two.get(&two.main, "/v1/events?limit=1").await.1["as_of"]["head"].clone();
    let data = json!({ "text": "x", "visibility": "team" }).to_string();
    for via in ["http", "nats"] {
        let wrong = [
            "event",
            "publish",
            "--type",
            "interaction.noted",
            "--customer",
            "c-1",
            "--actor",
            "staff/dewi",
            "--data",
            &data,
            "--tenant",
            "bank",
            "--via",
            via,
        ];
        let (code, out, err) = two.cli_raw(Some(&two.main), &wrong).await;
        assert_eq!(code, Some(3), "{via}: {err}{out}");
        let problem: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(problem["code"], "tenant_unknown", "{via}: {out}");
    }
    let (code, ..) = two.cli_raw(Some(&two.main), &["customer", "list", "--tenant", "bank"]).await;
    assert_eq!(code, Some(3));
    // An admin of the second tenant is no admin of the server.
    for args in [
        &["key", "create", "x", "--scope", "admin", "--tenant", "main"][..],
        &["key", "list", "--tenant", "main"],
        &["tenant", "add", "third"],
    ] {
        let (code, out, err) = two.cli_raw(Some(&two.bank), args).await;
        assert!([Some(3), Some(77)].contains(&code), "{args:?}: {code:?} {err}{out}");
    }
    let (code, out, _) =
        two.cli_raw(None, &["key", "create", "x", "--scope", "admin", "--tenant", "nobody"]).await;
    assert_eq!(code, Some(3), "{out}");
    let now = two.get(&two.main, "/v1/events?limit=1").await.1["as_of"]["head"].clone();
    let text = two.get(&two.main, "/v1/events?limit=500").await.1.to_string();
    assert!(!text.contains("\"text\":\"x\""), "nothing was recorded between {head} and {now}");
}

async fn what_goes_out_is_under_the_subjects_of_its_tenant(context: &Context) {
    let stream = context.get_stream("SAPA_OUT").await.unwrap();
    for (tenant, canary) in [("main", MAIN), ("bank", BANK)] {
        let subject = format!("sapa.v1.{tenant}.out.customer.registered.c-1");
        eventually("it goes out", async || {
            let message = stream.get_last_raw_message_by_subject(&subject).await;
            message.is_ok_and(|it| String::from_utf8_lossy(&it.payload).contains(canary))
        })
        .await;
        let alert = format!("sapa.v1.{tenant}.alert.we_owe.c-1");
        assert!(stream.get_last_raw_message_by_subject(&alert).await.is_ok(), "{alert}");
    }
}

/// Policies, alerts and keys of the second tenant, without touching the first.
async fn a_second_tenant_is_run_from_the_command_line(two: &Two) {
    let file = two.program.folder().join("calendar.toml");
    let calendar = "[calendar]\nzone = \"Asia/Makassar\"\nworking = { mon-fri = [\"09:00-15:00\"], sat = [], sun = [] }\n\
                    daytime = \"08:00-20:00\"\nholidays = []\nalert_hour = \"09:00\"\n";
    std::fs::write(&file, calendar).unwrap();
    let bank = Some(two.bank.as_str());
    let file = file.to_str().unwrap();
    two.cli_with(bank, &["policy", "publish", file, "--tenant", "bank"]).await;
    two.caught_up(&two.bank).await;
    let zone = async |key: &str| {
        let (_, answer) = two.get(key, "/v1/policies/calendar").await;
        answer["body"]["zone"].clone()
    };
    assert_eq!(
        (zone(&two.bank).await, zone(&two.main).await),
        (json!("Asia/Makassar"), json!("Asia/Jakarta"))
    );
    let before = two.cli(&["worklist", "show"]).await["items"].as_array().unwrap().len();
    let taken = ["worklist", "next", "--tenant", "bank", "--actor", "staff/ani"];
    let taken = two.cli_with(bank, &taken).await;
    assert_eq!(
        (&taken["alert"]["owner"], &taken["alert"]["state"]),
        (&json!("ani"), &json!("acknowledged"))
    );
    assert_eq!(two.cli(&["worklist", "show"]).await["items"].as_array().unwrap().len(), before);
    // Without a person the one who has an alert keeps it.
    let waiting = two.cli(&["worklist", "show"]).await["items"][0].clone();
    let id = waiting["alert"].as_str().unwrap();
    let taken = two.cli(&["alert", "ack", id]).await;
    assert_eq!(taken["alert"]["owner"], waiting["owner"], "{taken}");
    for args in [
        &["tenant", "list"][..],
        &["projection", "list"],
        &["projection", "status", "card"],
        &["projection", "parked", "list", "card"],
        &["quarantine", "list"],
        &["loyalty", "list"],
        &["neglect", "list"],
        &["customer", "show", "c-1"],
    ] {
        let answer = two.cli_with(bank, &[args, &["--tenant", "bank"]].concat()).await.to_string();
        assert!(!answer.contains(MAIN), "{args:?}: {answer}");
    }
    let tenants = two.cli_with(bank, &["tenant", "list"]).await;
    assert_eq!(tenants["items"].as_array().unwrap().len(), 1, "{tenants}");
    // A key of the set `alerting` hears alerts, and nothing else.
    let made = two.cli_with(bank, &["key", "create", "pager", "--set", "alerting"]).await;
    let pager = made["key"].as_str().unwrap();
    let open = async |query: &str| {
        let url = format!("{}/v1/stream?{query}", two.program.url());
        let asked = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
        asked.bearer_auth(pager).send().await.unwrap()
    };
    assert_eq!(open("topic=booking").await.status(), 403);
    assert_eq!(open("type=sapa.interaction.noted.v1").await.status(), 403);
    for query in ["after=0", "after=0&topic=alert"] {
        let mut stream = open(query).await;
        assert_eq!(stream.status(), 200, "{query}");
        let mut heard = String::new();
        while !heard.contains("\n\nid: ") || !heard.contains("data: ") {
            let chunk =
                tokio::time::timeout(std::time::Duration::from_secs(20), stream.chunk()).await;
            heard.push_str(&String::from_utf8_lossy(&chunk.unwrap().unwrap().unwrap()));
        }
        let kinds = heard.lines().filter_map(|it| it.strip_prefix("event: "));
        let kinds: BTreeSet<&str> = kinds.collect();
        assert!(kinds.iter().all(|it| it.starts_with("sapa.alert.")), "{query}: {kinds:?}");
        assert!(!heard.contains("\"tenant\":\"main\""), "{heard}");
    }
}

/// A message for a tenant that does not exist is in the list of the server's admin and of nobody
/// else, says so in the log without its content, and is recorded once the tenant is there.
async fn what_was_sent_to_nobody_is_looked_after_by_the_server(two: &Two, context: &Context) {
    two.publish(context, "hotel-b", &note("n-lost", "canary-of-nobody")).await;
    let mut id = String::new();
    eventually("it is kept", async || {
        let found = two.cli(&["quarantine", "list", "--code", "tenant_unknown"]).await;
        let first = found["items"][0]["quarantine_id"].as_str().unwrap_or_default();
        id = first.to_owned();
        !id.is_empty()
    })
    .await;
    let shown = two.cli(&["quarantine", "show", &id]).await;
    assert_eq!((&shown["tenant"], &shown["state"]), (&json!("hotel-b"), &json!("open")));
    let bank = Some(two.bank.as_str());
    let found = two.cli_with(bank, &["quarantine", "list", "--code", "tenant_unknown"]).await;
    assert_eq!(found["items"], json!([]));
    assert_eq!(two.cli_raw(bank, &["quarantine", "show", &id]).await.0, Some(3));
    let said = two.program.said();
    assert!(
        said.contains("messages were quarantined") && said.contains("tenant_unknown"),
        "{said}"
    );
    assert!(!said.contains("canary-of-nobody"), "{said}");

    let (code, out, _) = two.cli_raw(None, &["quarantine", "retry", &id]).await;
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("sapa tenant add hotel-b"), "{out}");
    two.cli(&["tenant", "add", "hotel-b"]).await;
    let released = two.cli(&["quarantine", "retry", &id]).await;
    assert_eq!(released["outcome"], "recorded", "{released}");
    let made = two.cli(&["key", "create", "boss", "--scope", "admin", "--tenant", "hotel-b"]).await;
    let hotel = made["key"].as_str().unwrap();
    let (status, receipt) = two.get(hotel, "/v1/receipts?source=/desk&id=n-lost").await;
    assert_eq!((status, &receipt["outcome"]), (200, &json!("recorded")), "{receipt}");
    let (status, _) = two.get(&two.main, "/v1/receipts?source=/desk&id=n-lost").await;
    assert_eq!(status, 404);
    // What is published right after a tenant was added is recorded, not kept.
    two.cli(&["tenant", "add", "hotel-c"]).await;
    two.publish(context, "hotel-c", &note("n-first", "first")).await;
    let made = two.cli(&["key", "create", "boss", "--scope", "admin", "--tenant", "hotel-c"]).await;
    let hotel = made["key"].as_str().unwrap();
    let (_, receipt) = two.get(hotel, "/v1/receipts?source=/desk&id=n-first&wait=5s").await;
    assert_eq!(receipt["outcome"], "recorded", "{receipt}");
}

mod sqlite {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_tenants_are_each_whole_and_neither_hears_the_other() {
        super::each_is_whole_and_neither_hears_the_other(super::Two::sqlite().await).await;
    }
}

mod postgres {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_tenants_are_each_whole_and_neither_hears_the_other() {
        super::each_is_whole_and_neither_hears_the_other(super::Two::postgres().await).await;
    }
}
