//! `sapa restore FILE`: a backup becomes the log of the data folder, while no server runs. On
//! PostgreSQL it prints the commands that do the same there.
//!
//! Promises that nothing is changed before everything is unpacked and checked, and that a log which
//! is there is set aside and never deleted. A restore that was interrupted keeps a server from
//! starting, so that no empty log is begun in its place.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use events::time::Clock;
use serde_json::json;
use store::copy::{self, LogContent};
use store::db::{LOG_STEPS, Place};

use super::backup::{LOG, SECRETS, described, print, quoted, views_file, without_password};
use super::confirm;
use crate::archive::{self, Manifest};
use crate::clock::SystemClock;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::serve::lock::{Lock, UNFINISHED_RESTORE};
use crate::serve::private_folder;

/// Its arguments.
#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `sapa backup` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

impl Restore {
    /// Checks, sets aside what is there, and puts the backup in its place.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let folder = match &session.config.database.place {
            Place::Folder(folder) => folder.clone(),
            Place::Server(url) => return print(session, &commands(url, &self.file)),
        };
        let manifest = archive::manifest(&self.file)?;
        refuse_newer(&manifest)?;
        for it in [&folder, &session.config.data_dir] {
            private_folder(it)?;
        }
        let _lock = Lock::take(&folder)?;
        let old = present(&folder)?;
        if folder.join(LOG).is_file() {
            confirm(&session.globals, &replaced(&folder, &manifest).await)?;
        }
        if session.globals.dry_run {
            session.output.value(&described(&self.file, &manifest), &[])?;
            return Ok(Exit::Done);
        }
        let stage = folder.join(UNFINISHED_RESTORE);
        session.output.note("unpacking");
        if let Err(failure) = self.unpack(&manifest, &stage).await {
            // Nothing has been moved yet.
            let _ = std::fs::remove_dir_all(&stage);
            return Err(failure);
        }
        let aside = set_aside(&folder, &session.config.data_dir, &old)?;
        put_in_place(&stage, &folder, &session.config.data_dir, &manifest)?;
        let mut answer = described(&self.file, &manifest);
        if let Some(members) = answer.as_object_mut() {
            let aside = aside.map(|it| it.display().to_string());
            members.insert("restored_to".to_owned(), json!(folder.display().to_string()));
            members.insert("set_aside".to_owned(), json!(aside));
        }
        session.output.value(&answer, &[])?;
        session.output.note("next: `sapa recover`, which looks whether facts went out that this log does not hold; then `sapa serve`");
        Ok(Exit::Done)
    }

    async fn unpack(&self, manifest: &Manifest, stage: &Path) -> Result<(), Failure> {
        match std::fs::remove_dir_all(stage) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::file("remove", stage, &error));
            }
            _ => {}
        }
        private_folder(stage)?;
        let known = known_names(manifest);
        if let Some(it) = manifest.files.iter().find(|it| !known.contains(&it.name)) {
            return Err(Failure::new(
                Exit::Invalid,
                format!("{} holds {}, which belongs to no backup", self.file.display(), it.name),
                "Name a file that `sapa backup FILE` wrote.",
            ));
        }
        archive::unpack(&self.file, manifest, stage)?;
        let LogContent { log_id, position, step, .. } = copy::log_content(&stage.join(LOG)).await?;
        if (&log_id, position, step) != (&manifest.log_id, manifest.position, manifest.step) {
            return Err(Failure::new(
                Exit::Invalid,
                format!(
                    "{} holds log {log_id} up to position {position}, and its manifest says log {} up to position {}",
                    self.file.display(),
                    manifest.log_id,
                    manifest.position
                ),
                "Restore another backup; nothing was changed.",
            ));
        }
        Ok(())
    }
}

/// The names that a backup of ours may hold.
fn known_names(manifest: &Manifest) -> Vec<String> {
    let views = manifest.read_models.map(|it| views_file(it.generation));
    let secrets = SECRETS.map(str::to_owned);
    [LOG.to_owned()].into_iter().chain(views).chain(secrets).collect()
}

/// An older program cannot read the tables of a newer one.
fn refuse_newer(manifest: &Manifest) -> Result<(), Failure> {
    let known = LOG_STEPS.last().map_or(0, |it| it.version);
    if manifest.step <= known {
        return Ok(());
    }
    Err(Failure::config(
        format!(
            "the backup was made by Sapa {}, whose tables are newer (step {}) than this version knows (step {known})",
            manifest.program, manifest.step
        ),
        format!("Restore it with Sapa {} or newer.", manifest.program),
    ))
}

/// What is asked before a log is replaced.
async fn replaced(folder: &Path, manifest: &Manifest) -> String {
    let backup = format!("the backup of {} at position {}", manifest.created_at, manifest.position);
    match copy::log_content(&folder.join(LOG)).await {
        Ok(it) if it.log_id == manifest.log_id => format!(
            "the log in {} at position {} is set aside for {backup}",
            folder.display(),
            it.position
        ),
        Ok(it) => format!(
            "{} holds another log ({}, position {}), which is set aside for {backup}",
            folder.display(),
            it.log_id,
            it.position
        ),
        Err(_) => {
            format!("the log in {} cannot be read; it is set aside for {backup}", folder.display())
        }
    }
}

/// The files of the log and of the read models that are there.
fn present(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| Failure::file("read", folder, &error))?;
    let names = entries.flatten().map(|it| it.file_name().to_string_lossy().into_owned());
    let is_ours = |it: &String| {
        let (stem, _) = it.split_once(".db").unwrap_or((it, ""));
        it.contains(".db") && (stem == "log" || stem.starts_with("views-"))
    };
    Ok(names.filter(is_ours).collect())
}

/// Moves what is there into a folder of its own.
fn set_aside(folder: &Path, data_dir: &Path, old: &[String]) -> Result<Option<PathBuf>, Failure> {
    if old.is_empty() {
        return Ok(None);
    }
    let now = SystemClock.now().strftime("%Y%m%dT%H%M%S.%3fZ");
    let aside = folder.join(format!("before-restore-{now}"));
    private_folder(&aside)?;
    let key = data_dir.join("admin.key");
    let moved = old.iter().map(|it| (folder.join(it), aside.join(it)));
    for (from, to) in moved.chain(key.is_file().then(|| (key.clone(), aside.join("admin.key")))) {
        std::fs::rename(&from, &to).map_err(|error| Failure::file("move", &from, &error))?;
    }
    Ok(Some(aside))
}

/// Moves what was unpacked to where it belongs, the log last, and makes that lasting.
fn put_in_place(
    stage: &Path,
    folder: &Path,
    data_dir: &Path,
    manifest: &Manifest,
) -> Result<(), Failure> {
    for it in manifest.files.iter().rev() {
        let from = stage.join(&it.name);
        let is_secret = SECRETS.contains(&it.name.as_str());
        let to = if is_secret { data_dir.join(&it.name) } else { folder.join(&it.name) };
        if it.name == "nats/token" && to.is_file() {
            // The services beside this broker sign in with the one that is there.
            continue;
        }
        private_folder(archive::parent(&to))?;
        move_file(&from, &to).map_err(|error| Failure::file("move", &from, &error))?;
    }
    let sync = |it: &Path| File::open(it).and_then(|it| it.sync_all());
    sync(folder).map_err(|error| Failure::file("write", folder, &error))?;
    std::fs::remove_dir_all(stage).map_err(|error| Failure::file("remove", stage, &error))?;
    sync(folder).map_err(|error| Failure::file("write", folder, &error))
}

/// Renames, or copies where the two folders are on different disks.
fn move_file(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            std::fs::copy(from, to).map(drop)
        }
        moved => moved,
    }
}

fn commands(url: &str, file: &Path) -> Vec<String> {
    let (file, url) = (quoted(&file.display().to_string()), quoted(&without_password(url)));
    vec![
        "# Stop every instance first, and restore into a database that is empty.".to_owned(),
        "# The password is asked for, or comes from PGPASSWORD or ~/.pgpass.".to_owned(),
        format!("pg_restore --exit-on-error --no-owner --dbname={url} {file}"),
        "# Then look whether facts went out that this log does not hold:".to_owned(),
        "sapa recover".to_owned(),
    ]
}
