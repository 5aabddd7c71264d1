//! P5: everything that waits in `SAPA_IN`, until it is recorded, every read model has caught up and
//! all of it is relayed to `SAPA_OUT`. The real program, the real broker, fsync everywhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, Context};
use futures_util::StreamExt as _;
use sapa::import::{Map, Plan, Reader};
use sapa::servers::Guard;
use sapa::servers::guard::guard_program;
use sapa::servers::nats::{NatsOptions, NatsServer, Search};
use serde_json::Value;

use crate::ground::{Ground, broker, memory_mb, rate};
use crate::report::{Goal, Line, Report};
use crate::serving::Serving;

/// Publishes that wait for the broker at once.
const WINDOW: usize = 2_000;
/// How often the program is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Measures the drain of the hotel's events on both databases.
pub async fn measure(ground: &Ground, report: &mut Report) {
    let wanted = usize::try_from(ground.amount(243_995)).unwrap();
    let events: Vec<Vec<u8>> = hotel().take(wanted).collect();
    // The broker's files are filled once and copied for each round.
    let filled = tempfile::tempdir().unwrap();
    fill(ground, filled.path(), &events).await;
    let rounds = ground.rounds.min(3);
    for (name, goal) in [("SQLite", 12_000.0), ("PostgreSQL", 10_000.0)] {
        let (mut whole, mut loaded) = (vec![], vec![]);
        for _ in 0..rounds {
            let database = match name {
                "SQLite" => None,
                _ => Some(ground.database().await),
            };
            let (per_second, memory) = drained(ground, filled.path(), database, events.len()).await;
            whole.push(per_second);
            loaded.push(memory);
        }
        let what = format!("{} events of the hotel drained, folded, relayed, {name}", events.len());
        report.add(Line::plain("P5", what, &whole, "events/s").goal(Goal::AtLeast(goal)));
        let what = format!("memory of the program at most meanwhile, {name}");
        report.add(Line::plain("P10", what, &loaded, "MB").goal(Goal::AtMost(200.0)));
    }
}

/// The hotel's events in the order of its file.
pub fn hotel() -> impl Iterator<Item = Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path: PathBuf = root.join("fixtures/hotel_h1/hotel_h1.csv.gz");
    let plan = Plan::Mapped(Box::new(Map::load("hotel", &[]).unwrap()));
    Reader::open(&path, plan, 0).unwrap().filter_map(|it| it.unwrap().outcome.ok())
}

async fn fill(ground: &Ground, folder: &Path, events: &[Vec<u8>]) {
    let Guard::Program(_) = guard_program() else { panic!("no program to guard the servers") };
    let search = Search { fetch: true, ..Search::default() };
    let program = sapa::servers::nats::locate(&search).unwrap();
    // Filling is not measured, so it does not sync every write.
    let options = NatsOptions { sync_always: false, ..NatsOptions::new(folder) };
    let server = NatsServer::start(&program, options).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let settings = [("SAPA_NATS__URL", server.url())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    Serving::run(&ground.program, home.path(), &["setup"], &settings).await;
    let context = context(&server.url()).await;
    let began = Instant::now();
    let publish = async |event: &Vec<u8>| {
        let parsed: Value = serde_json::from_slice(event).unwrap();
        let kind =
            parsed["type"].as_str().unwrap().trim_start_matches("sapa.").trim_end_matches(".v1");
        let subject = format!("sapa.v1.main.in.{kind}");
        context.publish(subject, event.clone().into()).await.unwrap().await.unwrap();
    };
    futures_util::stream::iter(events.iter().map(publish))
        .buffered(WINDOW)
        .collect::<Vec<()>>()
        .await;
    eprintln!(
        "     {} messages wait in SAPA_IN, published in {:.0?}",
        events.len(),
        began.elapsed()
    );
    server.stop().await;
}

async fn context(url: &str) -> Context {
    jetstream::new(async_nats::connect(url).await.unwrap())
}

/// Events a second from the start of the program until everything has arrived everywhere, and the
/// memory it needed.
async fn drained(
    ground: &Ground,
    filled: &Path,
    database: Option<String>,
    count: usize,
) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    copy(filled, &folder.path().join("nats"));
    let server = broker(&folder.path().join("nats")).await;
    let home = tempfile::tempdir().unwrap();
    let mut settings = vec![
        ("SAPA_NATS__URL", server.url()),
        ("SAPA_NATS__DEFAULT_SCOPES", "events:append,import".to_owned()),
    ];
    settings.extend(database.map(|it| ("DATABASE_URL", it)));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let serving = Serving::start(&ground.program, home.path(), &["serve"], &settings);
    let ended = arrived(&serving, count as u64).await;
    let memory = memory_mb(serving.pid(), "VmHWM");
    serving.end().await;
    server.stop().await;
    (rate(count as u64, ended), memory)
}

/// Waits until the log holds so many, the read models stand at its head and so does the relay.
async fn arrived(serving: &Serving, count: u64) -> Duration {
    serving.answers().await;
    let (mut recorded, mut folded) = (None, None);
    loop {
        let Some((_, body)) = serving.get("/metrics", "").await else {
            panic!("it is gone: {}", serving.said());
        };
        let text = String::from_utf8(body).unwrap();
        let read = |name: &str| {
            let line = text.lines().find_map(|it| it.strip_prefix(name)).unwrap_or_default();
            line.trim().parse::<f64>().unwrap_or(0.0)
        };
        let head = read("sapa_log_position ");
        let views = read("sapa_projection_position{projection=\"timeline\"}");
        let relay = read("sapa_relay_position{sink=\"nats\"}");
        #[expect(clippy::cast_precision_loss, reason = "a count of events")]
        let wanted = count as f64;
        let elapsed = serving.began.elapsed();
        if wanted <= head && recorded.is_none() {
            recorded = Some(elapsed);
        }
        if wanted <= views && folded.is_none() {
            folded = Some(elapsed);
        }
        if wanted <= relay && wanted <= views {
            eprintln!(
                "     recorded {:.1?}, folded {:.1?}, all of it {elapsed:.1?} after the start",
                recorded.unwrap_or_default(),
                folded.unwrap_or_default(),
            );
            return elapsed;
        }
        assert!(elapsed < Duration::from_mins(30), "it does not arrive: {}", serving.said());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            it if it.is_dir() => copy(&entry.path(), &target),
            it if it.is_file() => drop(std::fs::copy(entry.path(), &target).unwrap()),
            _ => {}
        }
    }
}
