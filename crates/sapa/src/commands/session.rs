//! What every command works with: the configuration, how it prints, and whom it asks with which
//! key. The key is looked for in `--key`, `SAPA_KEY`, `SAPA_KEY_FILE`, and then beside the data of
//! a server on this machine; the one that listens where `--server` points comes first.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use tracing::debug;

use crate::cli::Globals;
use crate::client::{Answer, Call, Client, Method};
use crate::clock::SystemIds;
use crate::config::{Config, Profile, Surroundings};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::serve::lock::Instance;
use crate::telemetry::{self, Loudness};

/// Where a server listens when nobody says otherwise.
pub const SERVER: &str = "http://127.0.0.1:7272";

/// Folders in which a local server may keep its key.
const LOCAL_FOLDERS: [&str; 2] = ["./sapa-data", "./sapa-data/demo"];

/// One run of the program.
#[derive(Clone, Debug)]
pub struct Session {
    /// What was typed.
    pub globals: Globals,
    /// What is set.
    pub config: Config,
    /// How to print.
    pub output: Output,
    /// The path this program was started with.
    pub program: String,
}

impl Session {
    /// Reads the configuration and starts telling.
    pub fn open(
        globals: &Globals,
        profile: Profile,
        flags: Vec<(&'static str, String, &'static str)>,
    ) -> Result<Self, Failure> {
        let all = globals.flags().into_iter().chain(flags).collect();
        let from = Surroundings::of_this_process(all, globals.config.clone());
        let config = Config::load(&from, profile)?;
        let no_color = globals.no_color || from.variables.contains_key("NO_COLOR");
        let loud = Loudness { quiet: globals.quiet, verbose: globals.verbose };
        let is_default = config.origin("log.level") == Some(&crate::config::Origin::Default);
        let level =
            if profile != Profile::Service && is_default { "warn" } else { &config.log_level };
        telemetry::start(level, &config.log_format, !no_color, loud)?;
        let output = Output {
            format: Output::format_of(globals.output, globals.json),
            language: config.lang,
            zone: TimeZone::get(&config.time_zone).unwrap_or(TimeZone::UTC),
            color: !no_color,
            quiet: globals.quiet,
        };
        let program = std::env::args().next().unwrap_or_else(|| "sapa".to_owned());
        Ok(Self { globals: globals.clone(), config, output, program })
    }

    /// The server to ask.
    #[must_use]
    pub fn server(&self) -> &str {
        self.globals.server.as_deref().unwrap_or(SERVER)
    }

    /// A client with everything that goes with each question.
    pub fn client(&self) -> Result<Client, Failure> {
        let mut headers = vec![("Accept-Language", self.config.lang.tag().to_owned())];
        let key = self.key()?.map(|key| ("Authorization", format!("Bearer {key}")));
        headers.extend(key);
        headers.extend(self.globals.actor.clone().map(|it| ("Sapa-Actor", it)));
        headers.extend(self.globals.at_least.map(|it| ("Sapa-At-Least", it.to_string())));
        Client::new(self.server(), headers)
    }

    /// Asks one question and prints the answer.
    pub async fn ask(&self, call: Call) -> Result<Exit, Failure> {
        let (exit, _) = self.ask_and_keep(call).await?;
        Ok(exit)
    }

    /// Asks one question, prints the answer and hands it back.
    pub async fn ask_and_keep(&self, call: Call) -> Result<(Exit, Answer), Failure> {
        let call = self.completed(call);
        if self.globals.dry_run && call.method != Method::GET {
            self.output.note(&format!("would send {} {}", call.method, call.target()));
            return Ok((Exit::Done, Answer { status: 200, body: Vec::new() }));
        }
        debug!(method = %call.method, path = %call.path, "ask");
        let answer = self.client()?.call(&call).await?;
        let exit = self.output.answer(&answer, call.columns)?;
        Ok((self.reached(exit, &answer), answer))
    }

    /// Adds what the person asked of every question.
    #[must_use]
    pub fn completed(&self, call: Call) -> Call {
        if call.method == Method::GET {
            return call
                .with("tz", self.globals.tz.as_ref())
                .with("wait", self.globals.wait.as_ref());
        }
        call
    }

    /// An answer that did not reach the wanted position is one to ask for again.
    fn reached(&self, exit: Exit, answer: &Answer) -> Exit {
        if exit != Exit::Done || self.globals.at_least.is_none() {
            return exit;
        }
        let reached = answer.json().pointer("/as_of/reached").and_then(serde_json::Value::as_bool);
        if reached == Some(false) { Exit::Later } else { exit }
    }

    /// The first key there is.
    pub fn key(&self) -> Result<Option<String>, Failure> {
        if let Some(key) = &self.globals.key {
            return Ok(Some(key.clone()));
        }
        if let Ok(key) = std::env::var("SAPA_KEY") {
            return Ok(Some(key));
        }
        if let Some(path) = std::env::var_os("SAPA_KEY_FILE").map(PathBuf::from) {
            return read_key(&path).map(Some).map_err(|error| Failure::file("read", &path, &error));
        }
        let file = self.local_folder().map(|it| it.join("admin.key"));
        Ok(file.and_then(|it| read_key(&it).ok()))
    }

    /// The data folder of a server on this machine: the one that listens where we ask, else the
    /// first that has a key.
    #[must_use]
    pub fn local_folder(&self) -> Option<PathBuf> {
        let own = [self.config.data_dir.clone()];
        let folders = || own.iter().cloned().chain(LOCAL_FOLDERS.iter().map(PathBuf::from));
        let listens = |it: &PathBuf| {
            Instance::read(it).is_some_and(|it| it.http.as_deref() == Some(self.server()))
        };
        folders().find(listens).or_else(|| folders().find(|it| it.join("admin.key").is_file()))
    }

    /// A new id for something this command makes.
    #[must_use]
    pub fn new_id(&self) -> String {
        use events::mint::Ids;
        SystemIds.new_id().to_string()
    }
}

fn read_key(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path).map(|it| it.trim().to_owned())
}
