//! Connections to NATS: signed in as configured, named, with bounded waits. Each role has a
//! connection of its own, to whichever server of a cluster is there. A server of a version that Sapa
//! was not tested on is refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions};
use serde_json::Value;

use crate::client::Call;
use crate::commands::session::Session;
use crate::config::Nats;
use crate::exit::{Exit, Failure};
use crate::say;
use crate::servers::version::{NATS_ACCEPTED, Version};

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer may take.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// Connects for one role: `ingest`, `relay`, `api`, `setup` or none of them.
///
/// `token` is that of a managed server. With `patient` the connection is made in the background
/// and this returns before it stands. `url` may name several servers of one cluster, separated by
/// commas: any of them will do, and when it goes away another one is taken.
pub async fn connect(
    nats: &Nats,
    role: &str,
    url: &str,
    token: Option<&str>,
    patient: bool,
) -> Result<Client, Failure> {
    let mut options = ConnectOptions::new()
        .name(format!("sapa {role}"))
        .custom_inbox_prefix(inbox(role))
        .connection_timeout(CONNECT_PATIENCE)
        .request_timeout(Some(REQUEST_PATIENCE));
    if patient {
        options = options.retry_on_initial_connect().max_reconnects(None);
    }
    let login = Login::of(nats, role, token)?;
    options = login.sign_in(options)?;
    if let Some(path) = &nats.login.tls_ca {
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    crate::client::install_cryptography();
    options.connect(servers(url)).await.map_err(|error| match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            login.refused(url)
        }
        _ => {
            let at = shown(url);
            Failure::new(
                Exit::Unavailable,
                say!(
                    "cannot connect to NATS at {at}: {error}",
                    "tidak dapat terhubung ke NATS di {at}: {error}"
                ),
                say!(
                    "Check nats.url, and that nats-server runs; then run `sapa doctor`.",
                    "Periksa nats.url dan apakah nats-server berjalan; lalu jalankan `sapa doctor`."
                ),
            )
        }
    })
}

/// Where answers to a role come in: what its credential may subscribe to, and no other role's may.
fn inbox(role: &str) -> String {
    match role {
        "ingest" | "relay" | "api" | "setup" => format!("_INBOX_{role}"),
        _ => "_INBOX".to_owned(),
    }
}

/// What a connection presents, and the setting that it comes from.
enum Login {
    /// A token and a key in one file.
    Credentials { setting: String, path: PathBuf, text: String },
    /// A key alone.
    Key { setting: String, path: PathBuf, seed: String },
    /// A user with a password.
    User { name: String, password: String },
    /// The token of a setting, or of a server that `sapa serve` runs.
    Token { setting: &'static str, token: String },
    /// Nothing.
    Nobody,
}

impl Login {
    fn of(nats: &Nats, role: &str, token: Option<&str>) -> Result<Self, Failure> {
        let login = &nats.login;
        let own = nats.creds_of.iter().find(|(it, _)| *it == role);
        let own = own.map(|(it, path)| (format!("nats.{it}.creds"), path));
        let all = login.creds.as_ref().map(|it| ("nats.creds".to_owned(), it));
        let key = login.nkey.as_ref().map(|it| ("nats.nkey".to_owned(), it));
        if let Some((setting, path)) = own.or(all).or(key) {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::file("read", path, &error))?;
            return Self::of_file(setting, path, text);
        }
        Ok(match (&login.user, token, &login.token) {
            (Some(name), ..) => Self::User {
                name: name.clone(),
                password: login.password.clone().unwrap_or_default(),
            },
            (None, Some(token), _) => Self::Token { setting: MANAGED, token: token.to_owned() },
            (None, None, Some(token)) => {
                Self::Token { setting: "nats.token", token: token.clone() }
            }
            _ => Self::Nobody,
        })
    }

    /// A file of credentials holds a token and a seed; one that `sapa nats config` wrote, a seed alone.
    fn of_file(setting: String, path: &Path, text: String) -> Result<Self, Failure> {
        let path = path.to_owned();
        if text.contains("BEGIN NATS USER JWT") {
            return Ok(Self::Credentials { setting, path, text });
        }
        let seed = text.lines().map(str::trim).find(|it| it.starts_with("SU"));
        match seed.map(str::to_owned) {
            Some(seed) => Ok(Self::Key { setting, path, seed }),
            None => Err(Failure::config(
                format!("{} ({setting}) holds no credentials of a NATS user", path.display()),
                "Name a .creds file, or a file with the seed of an nkey (it begins with SU).",
            )),
        }
    }

    fn sign_in(&self, options: ConnectOptions) -> Result<ConnectOptions, Failure> {
        Ok(match self {
            Self::Credentials { path, text, .. } => {
                options.credentials(text).map_err(|error| Failure::file("read", path, &error))?
            }
            Self::Key { seed, .. } => options.nkey(seed.clone()),
            Self::User { name, password } => {
                options.user_and_password(name.clone(), password.clone())
            }
            Self::Token { token, .. } => options.token(token.clone()),
            Self::Nobody => options,
        })
    }

    /// The server knows nobody of that name. Nothing gets better by itself.
    fn refused(&self, url: &str) -> Failure {
        let (what, remedy) = match self {
            Self::Credentials { setting, path, .. } | Self::Key { setting, path, .. } => (
                format!("the credentials in {} ({setting})", path.display()),
                "Check that the server knows this user; `sapa nats config DIR` writes users and \
                 their files.",
            ),
            Self::User { name, .. } => (
                format!("the user {name} (nats.user, nats.password)"),
                "Check the user and the password in the server's configuration.",
            ),
            Self::Token { setting, .. } => (
                format!("the token of {setting}"),
                "Check the token in the server's configuration. The nats-server of `sapa serve` keeps \
                 its own in nats/token of the data folder (SAPA_NATS__TOKEN_FILE=<data_dir>/nats/token).",
            ),
            Self::Nobody => (
                "a connection without a login".to_owned(),
                "Set nats.creds, nats.nkey, nats.user or nats.token. The nats-server of `sapa serve` \
                 asks for the token in nats/token of its data folder \
                 (SAPA_NATS__TOKEN_FILE=<data_dir>/nats/token).",
            ),
        };
        Failure::new(Exit::Forbidden, format!("NATS at {} refuses {what}", shown(url)), remedy)
    }
}

/// The file of the token of a server that `sapa serve` runs.
const MANAGED: &str = "nats/token in the data folder";

/// Refuses a server that Sapa was not tested on.
pub fn check_version(client: &Client) -> Result<String, Failure> {
    let found = client.server_info().version;
    match Version::found_in(&found) {
        Some(version) if version.is_accepted_nats() => Ok(found),
        _ => Err(Failure::config(
            say!(
                "nats-server {found} is not supported; {NATS_ACCEPTED} are",
                "nats-server {found} tidak didukung; yang didukung {NATS_ACCEPTED}"
            ),
            say!(
                "Install 2.15.x, or run `sapa servers fetch nats`.",
                "Pasang 2.15.x, atau jalankan `sapa servers fetch nats`."
            ),
        )),
    }
}

/// The connection of a command to the broker of the server that is asked. No address is guessed:
/// another broker on this machine would accept what nobody there ever records.
pub async fn of_command_line(session: &Session) -> Result<Client, Failure> {
    let nats = &session.config.nats;
    if session.globals.nats.is_some()
        && let Some(url) = &nats.url
    {
        return connect(nats, "command line", url, None, false).await;
    }
    let told = told_by(session).await?;
    let url = nats.url.as_ref().unwrap_or(&told);
    let is_here =
        |it: &str| ["127.0.0.1", "localhost", "[::1]"].iter().any(|here| it.contains(here));
    if nats.url.is_none() && is_here(url) && !is_here(&session.server) {
        let server = &session.server;
        return Err(Failure::new(
            Exit::Config,
            say!(
                "the broker of {server} listens on that machine only ({url})",
                "broker milik {server} hanya mendengarkan di mesin itu ({url})"
            ),
            say!(
                "Name one that reaches it with --nats.",
                "Sebutkan alamat yang mencapainya dengan --nats."
            ),
        ));
    }
    let folder = session.own_folder();
    let token = folder.and_then(|it| std::fs::read_to_string(it.join("nats").join("token")).ok());
    connect(nats, "command line", url, token.as_deref().map(str::trim), false).await
}

/// The broker that the server calls its own.
async fn told_by(session: &Session) -> Result<String, Failure> {
    let answer = session.client()?.call(&Call::get(&["version"])).await?.json();
    let url = answer.get("nats").and_then(Value::as_str).map(str::to_owned);
    url.ok_or_else(|| {
        let server = &session.server;
        Failure::new(
            Exit::Unavailable,
            say!("{server} has no NATS server", "{server} tidak memiliki server NATS"),
            say!(
                "Send it over HTTP, or set nats.mode on that server.",
                "Kirim lewat HTTP, atau atur nats.mode di server itu."
            ),
        )
    })
}

/// The servers that a setting names.
fn servers(urls: &str) -> Vec<&str> {
    urls.split(',').map(str::trim).filter(|it| !it.is_empty()).collect()
}

/// The servers that a setting names, without user and password.
#[must_use]
pub fn without_login(urls: &str) -> String {
    let bare = |url: &str| match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let (head, host) = (url.get(..scheme + 3), url.get(at + 1..));
            format!("{}{}", head.unwrap_or_default(), host.unwrap_or_default())
        }
        _ => url.to_owned(),
    };
    servers(urls).into_iter().map(bare).collect::<Vec<_>>().join(",")
}

/// URLs without their passwords.
fn shown(urls: &str) -> String {
    servers(urls).into_iter().map(without_password).collect::<Vec<_>>().join(",")
}

fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let (head, tail) = (url.get(..scheme), url.get(at..));
            format!("{}://***{}", head.unwrap_or_default(), tail.unwrap_or_default())
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_names_its_file_and_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ingest.nk");
        std::fs::write(&path, "# ingest\nSUAAAA\n").unwrap();
        let key = Login::of_file("nats.ingest.creds".to_owned(), &path, "x\nSUAAAA\n".to_owned());
        let Ok(key) = key else { panic!("it holds a seed") };
        let said = key.refused("nats://ann:s3cret@one:4222");
        assert_eq!(said.exit, Exit::Forbidden);
        assert!(said.what.contains("ingest.nk (nats.ingest.creds)"), "{}", said.what);
        assert!(!said.what.contains("s3cret") && !said.what.contains("SUAAAA"), "{}", said.what);
        let said = Login::Nobody.refused("nats://one:4222");
        assert!(said.remedy.contains("nats/token"), "{}", said.remedy);
        let empty = Login::of_file("nats.creds".to_owned(), &path, "nothing".to_owned());
        assert!(empty.err().unwrap().what.contains("(nats.creds)"));
    }

    #[test]
    fn a_setting_may_name_several_servers_and_none_of_their_passwords_is_shown() {
        let urls = "nats://ann:s3cret@one:4222, nats://two:4222,";
        assert_eq!(servers(urls), ["nats://ann:s3cret@one:4222", "nats://two:4222"]);
        assert_eq!(shown(urls), "nats://***@one:4222,nats://two:4222");
        assert_eq!(without_login(urls), "nats://one:4222,nats://two:4222");
    }
}
