//! The configuration file of the managed nats-server: this machine only, JetStream on disk,
//! small messages, strict. It is readable by its owner only, because it may hold the token.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::NatsOptions;
use crate::servers::ServerError;

/// The port that stands for any free one.
const ANY: &str = "-1";

/// Writes the configuration into `folder` and returns its path.
pub(super) fn write(
    folder: &Path,
    options: &NatsOptions,
    port: Option<u16>,
) -> Result<PathBuf, ServerError> {
    let path = folder.join("nats-server.conf");
    let text = text(folder, options, port)?;
    // A file from an earlier run may be open to others: a new one gets the mode it is made with.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(ServerError::folder("replace", &path)(error));
        }
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(ServerError::folder("write", &path))?;
    Ok(path)
}

fn text(folder: &Path, options: &NatsOptions, port: Option<u16>) -> Result<String, ServerError> {
    let port = port.map_or_else(|| ANY.to_owned(), |it| it.to_string());
    let path = folder.to_str().ok_or_else(|| ServerError::Option {
        option: "data_dir",
        rule: "is not valid UTF-8, which nats-server's configuration needs".to_owned(),
        remedy: "choose a data folder with a plain name",
    })?;
    let sync = if options.sync_always { "always" } else { "\"2m\"" };
    let mut text = format!(
        "server_name: sapa\n\
         listen: \"127.0.0.1:{port}\"\n\
         http: \"127.0.0.1:{ANY}\"\n\
         max_payload: 1048576\n\
         ports_file_dir: {folder}\n\
         pid_file: {pid}\n\
         logfile: {log}\n\
         logfile_size_limit: 16MB\n\
         logfile_max_num: 2\n\
         jetstream {{ store_dir: {folder}, sync_interval: {sync}, strict: true, \
         max_memory_store: 64MB, max_file_store: 40GB }}\n",
        folder = quoted(path),
        pid = quoted(&format!("{path}/nats-server.pid")),
        log = quoted(&format!("{path}/nats-server.log")),
    );
    if let Some(token) = &options.token {
        text.extend(["authorization { token: \"", plain(token)?, "\" }\n"]);
    }
    if let Some(extra) = &options.extra {
        text.push_str(extra);
        text.push('\n');
    }
    Ok(text)
}

/// A string as nats-server reads it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A token that means the same in the file and on the wire. A leading `$` would be a hash.
fn plain(token: &str) -> Result<&str, ServerError> {
    let allowed = |it: u8| it.is_ascii_alphanumeric() || b"-_.~".contains(&it);
    if !token.is_empty() && token.bytes().all(allowed) {
        return Ok(token);
    }
    Err(ServerError::Option {
        option: "the token of the managed nats-server",
        rule: "may hold ASCII letters, digits and -_.~ only, and at least one".to_owned(),
        remedy: "remove nats/token in the data folder and start again",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(options: &NatsOptions) -> Result<String, ServerError> {
        text(Path::new("/data/a \"b\"/nats"), options, Some(4272))
    }

    #[test]
    fn the_server_listens_on_this_machine_only_and_writes_through() {
        let text = written(&NatsOptions::new("/data")).unwrap();
        assert!(text.contains("listen: \"127.0.0.1:4272\"\n"), "{text}");
        assert!(text.contains("sync_interval: always"), "{text}");
        assert!(text.contains("store_dir: \"/data/a \\\"b\\\"/nats\""), "{text}");
        assert!(!text.contains("authorization"), "{text}");
    }

    #[test]
    fn a_token_that_could_end_the_string_is_refused() {
        for bad in ["", "a\"b", "a b", "$2a$11$x", "a\nb"] {
            let options = NatsOptions { token: Some(bad.to_owned()), ..NatsOptions::new("/data") };
            assert!(written(&options).is_err(), "{bad:?}");
        }
        let options = NatsOptions { token: Some("s3cr-et_".into()), ..NatsOptions::new("/data") };
        assert!(written(&options).unwrap().contains("authorization { token: \"s3cr-et_\" }"));
    }
}
