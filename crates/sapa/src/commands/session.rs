//! What every command works with: the configuration, how it prints, and whom it asks with which
//! key. The server is `--server`, else `SAPA_SERVER`, else the address that is configured here. The
//! key is looked for in `--key`, `SAPA_KEY`, `SAPA_KEY_FILE`, and then beside the data of that very
//! server, if it runs on this machine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use store::db::Place;
use tracing::debug;

use crate::cli::Globals;
use crate::client::{Answer, Call, Client, Method};
use crate::clock::SystemIds;
use crate::config::{Config, Profile, Surroundings};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::say;
use crate::serve::lock::Instance;
use crate::telemetry::{self, Loudness};

/// Folders in which a local server may keep its key.
const LOCAL_FOLDERS: [&str; 2] = ["./sapa-data", "./sapa-data/demo"];

/// One run of the program.
#[derive(Clone, Debug)]
pub struct Session {
    /// What was typed.
    pub globals: Globals,
    /// What is set.
    pub config: Config,
    /// The server to ask.
    pub server: String,
    /// The tenant that somebody named; the server refuses a key of another one.
    pub tenant: Option<String>,
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
        say::choose(config.lang);
        let server = globals.server.clone().or_else(|| from.variables.get("SAPA_SERVER").cloned());
        let server = server.unwrap_or_else(|| configured(&config));
        let is_named = config.origin("tenant") != Some(&crate::config::Origin::Default);
        let tenant = is_named.then(|| config.tenant.to_string());
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
            server: server.clone(),
        };
        let program = std::env::args().next().unwrap_or_else(|| "sapa".to_owned());
        Ok(Self { globals: globals.clone(), config, server, tenant, output, program })
    }

    /// A client with everything that goes with each question.
    pub fn client(&self) -> Result<Client, Failure> {
        let mut headers = vec![("Accept-Language", self.config.lang.tag().to_owned())];
        let key = self.key()?.map(|key| ("Authorization", format!("Bearer {key}")));
        headers.extend(key);
        headers.extend(self.tenant.clone().map(|it| ("Sapa-Tenant", it)));
        headers.extend(self.globals.actor.clone().map(|it| ("Sapa-Actor", it)));
        headers.extend(self.globals.at_least.map(|it| ("Sapa-At-Least", it.to_string())));
        Client::new(&self.server, headers)
    }

    /// The same without a tenant that the key has to belong to: for commands that name one themselves.
    #[must_use]
    pub fn of_any_tenant(&self) -> Self {
        Self { tenant: None, ..self.clone() }
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
            let (method, target, server) = (&call.method, call.target(), &self.server);
            self.output.note(&say!(
                "would send {method} {target} to {server}",
                "akan mengirim {method} {target} ke {server}"
            ));
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
    #[must_use]
    pub fn reached(&self, exit: Exit, answer: &Answer) -> Exit {
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
        let file = self.own_folder().map(|it| it.join("admin.key"));
        Ok(file.and_then(|it| read_key(&it).ok()))
    }

    /// The data folder on this machine of the very server that is asked: the key in it opens that
    /// server and is shown to no other.
    #[must_use]
    pub fn own_folder(&self) -> Option<PathBuf> {
        if let Some(found) = self.running() {
            return Some(found.0);
        }
        // With PostgreSQL no file says who runs; what this folder configures is its own server.
        let is_configured = is_same_server(&self.server, &configured(&self.config));
        let on_server = matches!(self.config.database.place, Place::Server(_));
        (is_configured && on_server).then(|| self.config.data_dir.clone())
    }

    /// The process on this machine that listens where we ask, and its data folder.
    #[must_use]
    pub fn running(&self) -> Option<(PathBuf, Instance)> {
        let own = [self.config.data_dir.clone()];
        own.into_iter().chain(LOCAL_FOLDERS.iter().map(PathBuf::from)).find_map(|folder| {
            let it = Instance::running(&folder)?;
            let listens = it.http.as_ref().is_some_and(|it| is_same_server(it, &self.server));
            listens.then_some((folder, it))
        })
    }

    /// A new id for something this command makes.
    #[must_use]
    pub fn new_id(&self) -> String {
        use events::mint::Ids;
        SystemIds.new_id().to_string()
    }
}

/// The address of the server that the configuration describes, from this machine.
fn configured(config: &Config) -> String {
    let addr = config.http.addr;
    let port = addr.port();
    match addr.ip() {
        IpAddr::V4(it) if it.is_unspecified() => format!("http://127.0.0.1:{port}"),
        IpAddr::V6(it) if it.is_unspecified() => format!("http://[::1]:{port}"),
        _ => format!("http://{addr}"),
    }
}

/// Whether two addresses name one server: the same port of the same host, where all names of this
/// machine are one.
fn is_same_server(one: &str, two: &str) -> bool {
    let parts = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split('/').next().unwrap_or(rest).to_ascii_lowercase();
        let (host, port) = rest.rsplit_once(':')?;
        let here = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]"].contains(&host);
        Some((if here { "localhost".to_owned() } else { host.to_owned() }, port.to_owned()))
    };
    parts(one).is_some() && parts(one) == parts(two)
}

fn read_key(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path).map(|it| it.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_one_server_and_other_ports_are_others() {
        let here = "http://127.0.0.1:7272";
        for same in ["http://localhost:7272/", "http://0.0.0.0:7272", "http://[::1]:7272"] {
            assert!(is_same_server(here, same), "{same}");
        }
        for other in ["http://127.0.0.1:7273", "http://10.0.0.1:7272", "http://localhost", ""] {
            assert!(!is_same_server(here, other), "{other}");
        }
    }
}
