//! Connections to NATS: signed in as configured, named, with bounded waits. Each role has a
//! connection of its own, to whichever server of a cluster is there. A server of a version that Sapa
//! was not tested on is refused.

use std::time::Duration;

use async_nats::{Client, ConnectOptions};

use crate::commands::session::Session;
use crate::config::Nats;
use crate::exit::{Exit, Failure};
use crate::serve::lock::Instance;
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
        .connection_timeout(CONNECT_PATIENCE)
        .request_timeout(Some(REQUEST_PATIENCE));
    if patient {
        options = options.retry_on_initial_connect().max_reconnects(None);
    }
    let login = &nats.login;
    let own = nats.creds_of.iter().find(|(it, _)| *it == role).map(|(_, path)| path);
    if let Some(path) = own.or(login.creds.as_ref()) {
        options = options
            .credentials_file(path)
            .await
            .map_err(|error| Failure::file("read", path, &error))?;
    } else if let Some(path) = &login.nkey {
        let seed =
            std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
        options = options.nkey(seed.trim().to_owned());
    } else if let Some(user) = &login.user {
        options =
            options.user_and_password(user.clone(), login.password.clone().unwrap_or_default());
    } else if let Some(token) = token.or(login.token.as_deref()) {
        options = options.token(token.to_owned());
    }
    if let Some(path) = &login.tls_ca {
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    crate::client::install_cryptography();
    options.connect(servers(url)).await.map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!("cannot connect to NATS at {}: {error}", shown(url)),
            "Check nats.url and the credentials, then run `sapa doctor`.",
        )
    })
}

/// Refuses a server that Sapa was not tested on.
pub fn check_version(client: &Client) -> Result<String, Failure> {
    let found = client.server_info().version;
    match Version::found_in(&found) {
        Some(version) if version.is_accepted_nats() => Ok(found),
        _ => Err(Failure::config(
            format!("nats-server {found} is not accepted; {NATS_ACCEPTED} are"),
            "Install 2.15.x, or run `sapa servers fetch nats`.",
        )),
    }
}

/// The connection of a command: the configured server, or the one that a server on this machine
/// runs.
pub async fn of_command_line(session: &Session) -> Result<Client, Failure> {
    let nats = &session.config.nats;
    if let Some(url) = &nats.url {
        return connect(nats, "command line", url, None, false).await;
    }
    let folder = session.local_folder();
    let running = folder.as_deref().and_then(Instance::read);
    let url = running
        .and_then(|it| it.nats)
        .unwrap_or_else(|| format!("nats://127.0.0.1:{}", nats.managed_port));
    let token = folder.and_then(|it| std::fs::read_to_string(it.join("nats").join("token")).ok());
    connect(nats, "command line", &url, token.as_deref().map(str::trim), false).await
}

/// The servers that a setting names.
fn servers(urls: &str) -> Vec<&str> {
    urls.split(',').map(str::trim).filter(|it| !it.is_empty()).collect()
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
    fn a_setting_may_name_several_servers_and_none_of_their_passwords_is_shown() {
        let urls = "nats://ann:s3cret@one:4222, nats://two:4222,";
        assert_eq!(servers(urls), ["nats://ann:s3cret@one:4222", "nats://two:4222"]);
        assert_eq!(shown(urls), "nats://***@one:4222,nats://two:4222");
    }
}
