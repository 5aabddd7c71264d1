//! `sapa nats config`: a nats-server configuration in which each service may do what it needs and
//! nothing else, and one file with a key for each of them. Run again with more names it adds them and
//! keeps the keys that are there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::clock::random;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::nats_accounts::{Layout, Publisher, User, is_name};
use crate::serve::{private_file, private_folder};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Nats {
    /// Write a server configuration, a key for every service, and the settings of Sapa
    Config {
        /// The folder for all of it; its files are readable by this user only
        dir: PathBuf,
        /// A service that publishes facts: NAME, or NAME:TOPIC,TOPIC for some topics only
        #[arg(long, value_name = "NAME", default_value = "publisher")]
        publisher: Vec<String>,
        /// A service that asks and acts over request-reply
        #[arg(long, value_name = "NAME", default_value = "agent")]
        agent: Vec<String>,
        /// A service that takes alerts from its consumer of this name
        #[arg(long, value_name = "NAME", default_value = "pager")]
        alert_consumer: Vec<String>,
        /// Where the server listens
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4222")]
        listen: SocketAddr,
    },
}

impl Nats {
    /// Writes.
    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        let Self::Config { dir, publisher, agent, alert_consumer, listen } = self;
        let publishers: Result<Vec<_>, _> = publisher.iter().map(|it| publisher_of(it)).collect();
        let every = |all: Vec<String>| all.iter().map(|it| named(it)).collect::<Result<_, _>>();
        let config = &session.config;
        private_folder(&dir)?;
        let dir = dir.canonicalize().map_err(|error| Failure::file("find", &dir, &error))?;
        let folder = dir.to_str().ok_or_else(|| {
            Failure::config("the folder's name is not valid UTF-8", "Choose a plain name.")
        })?;
        let layout = Layout {
            tenant: config.tenant.to_string(),
            publishers: publishers?,
            agents: every(agent)?,
            alert_consumers: every(alert_consumer)?,
            listen,
            store_dir: format!("{folder}/jetstream"),
            file_store_bytes: config.nats.in_max_bytes.saturating_add(config.nats.out_max_bytes),
        };
        let users = layout.users();
        let mut names = BTreeSet::new();
        if let Some(twice) = users.iter().find(|it| !names.insert(&it.name)) {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} is named twice", twice.name),
                "Give each service a name of its own; Sapa's own are setup, ingest, relay, api, ops and sys.",
            ));
        }
        let mut keys = Vec::new();
        for user in &users {
            keys.push((user.name.clone(), public_key(&dir, user)?));
        }
        private_file(&dir.join("nats-server.conf"), &layout.server_config(&keys))?;
        private_file(&dir.join("sapa.toml"), &settings(&layout, folder))?;
        let lines: Vec<Value> = users
            .iter()
            .map(|it| json!({"service": it.name, "key": file_of(&dir, it), "may": it.may}))
            .collect();
        session.output.value(&Value::from(lines), &["service", "key", "may"])?;
        let pagers = layout
            .alert_consumers
            .iter()
            .fold(String::new(), |all, it| all + " --alert-consumer " + it);
        session.output.note(&format!(
            "next:\n  nats-server -c {folder}/nats-server.conf\n  \
             SAPA_NATS__SETUP__CREDS={folder}/setup.nk sapa --config {folder}/sapa.toml setup{pagers}\n  \
             sapa --config {folder}/sapa.toml serve\n\
             A client signs in with its .nk file: it holds the seed of an nkey."
        ));
        Ok(Exit::Done)
    }
}

/// `NAME` or `NAME:TOPIC,TOPIC`.
fn publisher_of(text: &str) -> Result<Publisher, Failure> {
    let (name, topics) = text.split_once(':').unwrap_or((text, ""));
    let topics: Vec<String> =
        topics.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let known = |it: &String| events::kind::Kind::ALL.iter().any(|kind| kind.topic() == it);
    if let Some(unknown) = topics.iter().find(|it| !known(it)) {
        return Err(Failure::new(
            Exit::Usage,
            format!("there is no topic `{unknown}`"),
            "`sapa schema list` names them; the topic is the part before the dot.",
        ));
    }
    Ok(Publisher { name: named(name)?, topics })
}

fn named(name: &str) -> Result<String, Failure> {
    if is_name(name) {
        return Ok(name.to_owned());
    }
    Err(Failure::new(
        Exit::Usage,
        format!("`{name}` is no name of a service"),
        "Write 1 to 32 of a-z 0-9 _ -, beginning with a letter.",
    ))
}

fn file_of(dir: &Path, user: &User) -> String {
    dir.join(format!("{}.nk", user.name)).display().to_string()
}

/// The public half of a user's key, which is made if it is not there yet.
fn public_key(dir: &Path, user: &User) -> Result<String, Failure> {
    let path = dir.join(format!("{}.nk", user.name));
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::config(
            format!("{} holds no seed of a NATS user: {error}", path.display()),
            "Remove the file to have a new key made.",
        )
    };
    let pair = match std::fs::read_to_string(&path) {
        Ok(seed) => nkeys::KeyPair::from_seed(seed.trim()).map_err(|error| unusable(&error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let pair = nkeys::KeyPair::new_from_raw(nkeys::KeyPairType::User, random())
                .map_err(Failure::internal)?;
            let seed = pair.seed().map_err(Failure::internal)?;
            private_file(&path, &format!("{seed}\n"))?;
            pair
        }
        Err(error) => return Err(Failure::file("read", &path, &error)),
    };
    Ok(pair.public_key())
}

/// What `sapa serve` needs to know.
fn settings(layout: &Layout, folder: &str) -> String {
    format!(
        "# Written by `sapa nats config`. The key of setup is not here: the service has no use for it.\n\
         tenant = \"{tenant}\"\n\n\
         [nats]\n\
         mode = \"external\"\n\
         url = \"nats://{listen}\"\n\
         monitor_url = \"http://127.0.0.1:{monitor}\"\n\
         ingest.creds = \"{folder}/ingest.nk\"\n\
         relay.creds = \"{folder}/relay.nk\"\n\
         api.creds = \"{folder}/api.nk\"\n",
        tenant = layout.tenant,
        listen = layout.listen,
        monitor = layout.monitor_port(),
    )
}
