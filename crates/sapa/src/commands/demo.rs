//! `sapa demo`: a hotel with a year of history, in one command.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use events::problem::Language;
use events::time::{Clock, parse_instant, spell};

use crate::cli::Format;
use crate::clock::SystemClock;
use crate::commands::session::Session;
use crate::config::{Config, NatsMode, duration};
use crate::demo::marker::{self, Marker};
use crate::demo::record;
use crate::demo::story::{self, Plan};
use crate::demo::tell::{self, Ready};
use crate::exit::{Exit, Failure};
use crate::lifecycle::{Signals, Task};
use crate::say;
use crate::serve::first::admin_key_file;
use crate::serve::private_folder;
use crate::serve::service::{Mode, Service};
use crate::servers::ServerError;
use crate::servers::nats::{Search, locate, version};

/// Customers of a story when nobody says.
const CUSTOMERS: u32 = 500;
/// Days of it.
const DAYS: u32 = 365;
/// What chance follows from.
const SEED: u64 = 7;

/// Its arguments.
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Customers in all [default: 500]
    #[arg(long)]
    pub customers: Option<u32>,
    /// Days of history [default: 365]
    #[arg(long)]
    pub days: Option<u32>,
    /// Everything that chance decides follows from it [default: 7]
    #[arg(long)]
    pub seed: Option<u64>,
    /// The end of the story [default: now]
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// How often a new event comes, or off
    #[arg(long, default_value = "2s", value_name = "DURATION|off")]
    pub live: String,
    /// Remove the demo's data and start a new story
    #[arg(long)]
    pub fresh: bool,
    /// Where its data lies [default: ./sapa-data/demo]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The port of HTTP [default: 7272]
    #[arg(long)]
    pub port: Option<u16>,
    /// Without NATS
    #[arg(long)]
    pub no_nats: bool,
    /// Fetch nothing
    #[arg(long)]
    pub offline: bool,
}

impl Demo {
    /// The settings among its arguments.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, String, &'static str)> {
        [
            ("data_dir", self.data_dir.clone(), "--data-dir"),
            ("http.addr", self.port.map(|it| format!("127.0.0.1:{it}")), "--port"),
            ("nats.mode", self.no_nats.then(|| "off".to_owned()), "--no-nats"),
            ("nats.fetch", self.offline.then(|| "false".to_owned()), "--offline"),
        ]
        .into_iter()
        .filter_map(|(key, value, flag)| Some((key, value?, flag)))
        .collect()
    }

    /// Plays.
    pub async fn run(self, session: Session) -> Result<Exit, Failure> {
        let started = Instant::now();
        let every = self.every()?;
        let mut signals = Signals::listen().map_err(Failure::internal)?;
        let (marker, plan) = self.marker(&session)?;
        let mut config = session.config.clone();
        let missing = find_nats(&session, &mut config).await?;
        let mut service = tokio::select! {
            service = Service::start(config, Mode::Demo) => service?,
            () = signals.next() => return Ok(Exit::Done),
        };
        let key = key(&session)?;
        let played = tokio::select! {
            played = play(&session, &service, &key, marker, &plan) => Some(played),
            () = signals.next() => None,
        };
        let Some(played) = played else { return Ok(service.run(std::future::ready(())).await) };
        let (marker, position) = match played {
            Ok(it) => it,
            Err(failure) => {
                service.run(std::future::ready(())).await;
                return Err(failure);
            }
        };
        let look_at =
            story::look_at(&plan).into_iter().map(|(customer, id, en)| match session.config.lang {
                Language::Id => (customer, id),
                Language::En => (customer, en),
            });
        let ready = Ready {
            language: session.config.lang,
            program: session.program.clone(),
            http: format!("http://{}", service.http),
            nats: service.nats.clone().ok_or_else(|| missing.unwrap_or_default()),
            tenant: session.config.tenant.to_string(),
            folder: tell::shown(&session.config.data_dir),
            position,
            marker,
            look_at: look_at.collect(),
            took: started.elapsed(),
        };
        let as_json = session.globals.json || session.globals.output == Some(Format::Json);
        let page = if as_json { ready.to_json().to_string() } else { ready.to_text() };
        session.output.text(&page)?;
        if let Some(every) = every {
            let live = record::Live::new(&service, &key)?;
            service.tasks().start(Task::Live, |stop| record::live(live, plan, every, stop));
        }
        Ok(service.run(async move { signals.next().await }).await)
    }

    /// How often a new event comes; none: never.
    fn every(&self) -> Result<Option<Duration>, Failure> {
        match self.live.as_str() {
            "off" => Ok(None),
            text => duration(text).filter(|it| !it.is_zero()).map(Some).ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    say!("--live is not a duration", "--live bukan durasi"),
                    say!("Write one such as 2s, or off.", "Tulis misalnya 2s, atau off."),
                )
            }),
        }
    }

    /// Refuses sizes that are not those of the story in the folder: it is recorded and stays as it is.
    fn refuse_another_story(&self, marker: &Marker, folder: &Path) -> Result<(), Failure> {
        let now = self.now.as_deref().map(parse_instant).transpose().ok().flatten();
        let same = self.customers.is_none_or(|it| it == marker.customers)
            && self.days.is_none_or(|it| it == marker.days)
            && self.seed.is_none_or(|it| it == marker.seed)
            && now.is_none_or(|it| spell(it) == marker.now);
        if same {
            return Ok(());
        }
        let (folder, Marker { customers, days, seed, now, .. }) = (folder.display(), marker);
        Err(Failure::new(
            Exit::Usage,
            say!(
                "{folder} holds another story: {customers} customers, {days} days, seed {seed}, until {now}",
                "{folder} memuat cerita lain: {customers} pelanggan, {days} hari, seed {seed}, sampai {now}"
            ),
            say!(
                "Leave the sizes out to go on with it, or add --fresh to begin a new one.",
                "Hilangkan ukurannya untuk melanjutkan, atau tambahkan --fresh untuk memulai yang baru."
            ),
        ))
    }

    /// The story of the folder, or a new one.
    fn marker(&self, session: &Session) -> Result<(Marker, Plan), Failure> {
        let folder = &session.config.data_dir;
        if self.fresh {
            marker::remove(folder)?;
        }
        marker::refuse_others(folder)?;
        if let Some(marker) = Marker::read(folder) {
            self.refuse_another_story(&marker, folder)?;
            let plan = marker.plan()?;
            return Ok((marker, plan));
        }
        let now = match &self.now {
            Some(text) => parse_instant(text).map_err(|error| {
                Failure::new(
                    Exit::Usage,
                    format!("--now: {error}"),
                    say!(
                        "Write one such as 2026-11-21T10:00:00+07:00.",
                        "Tulis misalnya 2026-11-21T10:00:00+07:00."
                    ),
                )
            })?,
            None => SystemClock.now(),
        };
        let customers = self.customers.unwrap_or(CUSTOMERS);
        let (days, seed) = (self.days.unwrap_or(DAYS), self.seed.unwrap_or(SEED));
        let plan = Plan { customers, days, seed, now, tenant_zone: session.output.zone.clone() };
        let marker = Marker::of(&plan, &session.config.time_zone);
        private_folder(folder)?;
        marker.write(folder)?;
        Ok((marker, plan))
    }
}

/// Records the story unless it is there, and waits until everything has caught up.
async fn play(
    session: &Session,
    service: &Service,
    key: &str,
    mut marker: Marker,
    plan: &Plan,
) -> Result<(Marker, i64), Failure> {
    let wanted = session.config.http.addr.port();
    if wanted != 0 && service.http.port() != wanted {
        let port = service.http.port();
        session.output.note(&say!(
            "port {wanted} is busy; listening on {port} instead",
            "port {wanted} sedang dipakai; mendengarkan di {port}"
        ));
    }
    if marker.events == 0 {
        let began = Instant::now();
        marker.events = record::story(service, key, plan).await?;
        let seconds = began.elapsed().as_secs_f64();
        let events = marker.events;
        session.output.note(&say!(
            "story: {events} events in {seconds:.1} s",
            "cerita: {events} peristiwa dalam {seconds:.1} dtk"
        ));
        let position = record::settle(service, plan.now).await?;
        marker.write(&session.config.data_dir)?;
        return Ok((marker, position));
    }
    let events = marker.events;
    session.output.note(&say!(
        "story: {events} events, recorded before",
        "cerita: {events} peristiwa, sudah tercatat"
    ));
    let position = record::settle(service, service.base.clock.now()).await?;
    Ok((marker, position))
}

/// Finds or fetches nats-server; without one the demo goes on and says what is missing.
async fn find_nats(session: &Session, config: &mut Config) -> Result<Option<String>, Failure> {
    if config.nats.mode != NatsMode::Managed {
        let is_off = config.nats.mode == NatsMode::Off;
        return Ok(is_off.then(|| {
            say!(
                "nats.mode = off; start without --no-nats to add it",
                "nats.mode = off; jalankan tanpa --no-nats untuk menambahkannya"
            )
        }));
    }
    let configured = config.nats.server_bin.clone();
    let search = Search { configured, fetch: config.nats.fetch, quiet: session.globals.quiet };
    let found = tokio::task::spawn_blocking(move || {
        let path = locate(&search)?;
        let version = version(&path).map_or_else(|it| it.why, |it| it.to_string());
        Ok::<_, ServerError>((path, version))
    });
    match found.await.map_err(Failure::internal)? {
        Ok((path, version)) => {
            session.output.note(&format!("nats-server {version}: {}", path.display()));
            config.nats.server_bin = Some(path);
            Ok(None)
        }
        Err(error) => {
            session.output.note(&format!("{error}"));
            config.nats.mode = NatsMode::Off;
            let program = &session.program;
            Ok(Some(say!(
                "add it with: {program} servers fetch nats",
                "tambahkan dengan: {program} servers fetch nats"
            )))
        }
    }
}

/// The demo's own key.
fn key(session: &Session) -> Result<String, Failure> {
    let path = admin_key_file(&session.config.data_dir);
    let text =
        std::fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
    Ok(text.trim().to_owned())
}
