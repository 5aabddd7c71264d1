//! `sapa backup FILE`: the log of a data folder and its read models in one file, taken while a server
//! writes. On PostgreSQL it prints the commands that do the same there.
//!
//! The read models are copied before the log, so they are never ahead of it: what they lack, the log
//! of the backup holds. Should another build of them be swapped in meanwhile, they are left out, and
//! built anew after a restore.

use std::path::{Path, PathBuf};

use clap::Args;
use events::time::{Clock, spell};
use projections::runner::CHECKPOINT;
use serde_json::{Value, json};
use store::copy;
use store::db::Place;

use super::confirm;
use crate::archive::{self, Manifest, ReadModels};
use crate::cli::Format;
use crate::clock::SystemClock;
use crate::commands::session::Session;
use crate::exit::{Exit, Failure};
use crate::serve::private_folder;

/// The file of the log in a data folder, and in a backup.
pub const LOG: &str = "log.db";
/// Files of the data folder without which nobody could sign in after a restore.
pub const SECRETS: [&str; 2] = ["admin.key", "nats/token"];

/// Its arguments.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

impl Backup {
    /// Copies, packs, and says what is in it.
    pub async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let folder = match &session.config.database.place {
            Place::Folder(folder) => folder,
            Place::Server(url) => return print(session, &commands(url, &self.file)),
        };
        if !folder.join(LOG).is_file() {
            return Err(Failure::new(
                Exit::NotFound,
                format!("there is no log in {}", folder.display()),
                "Run it in the folder of the server, or name its data with SAPA_DATA_DIR.",
            ));
        }
        if !archive::parent(&self.file).is_dir() {
            return Err(Failure::new(
                Exit::NotFound,
                format!("there is no folder {}", archive::parent(&self.file).display()),
                "Make it first, or name another file.",
            ));
        }
        if session.globals.dry_run {
            let (from, to) = (folder.display(), self.file.display());
            session.output.note(&format!("would copy the log of {from} into {to}"));
            return Ok(Exit::Done);
        }
        if self.file.exists() {
            confirm(
                &session.globals,
                &format!("{} is there and is replaced", self.file.display()),
            )?;
        }
        // Beside the file, where there has to be room anyway.
        let stage = PathBuf::from(format!("{}.copies", self.file.display()));
        let packed = self.pack(session, folder, &stage).await;
        // It was made here, and holds nothing that is not in the file.
        let _ = std::fs::remove_dir_all(&stage);
        let manifest = packed?;
        session.output.value(&described(&self.file, &manifest), &[])?;
        Ok(Exit::Done)
    }

    async fn pack(
        &self,
        session: &Session,
        folder: &Path,
        stage: &Path,
    ) -> Result<Manifest, Failure> {
        let _ = std::fs::remove_dir_all(stage);
        private_folder(&stage.join("nats"))?;
        let generation = copy::live_generation(&folder.join(LOG)).await?;
        let views = generation.map(views_file).filter(|it| folder.join(it).is_file());
        if let Some(views) = &views {
            session.output.note("copying the read models");
            copy::copy(&folder.join(views), &stage.join(views)).await?;
        }
        session.output.note("copying the log");
        copy::copy(&folder.join(LOG), &stage.join(LOG)).await?;
        session.output.note("checking the copy");
        let content = copy::log_content(&stage.join(LOG)).await?;
        let mut manifest = Manifest::new(spell(SystemClock.now()), &content);
        let mut names = vec![LOG.to_owned()];
        if let (Some(generation), Some(views)) = (generation, views)
            && content.generation == Some(generation)
        {
            let position = copy::stands_at(&stage.join(&views), CHECKPOINT).await?;
            manifest.read_models = Some(ReadModels { generation, position });
            names.push(views);
        }
        for name in SECRETS {
            let path = session.config.data_dir.join(name);
            match std::fs::copy(&path, stage.join(name)) {
                Ok(_) => names.push(name.to_owned()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::file("read", &path, &error)),
            }
        }
        session.output.note("writing the file");
        archive::pack(&self.file, stage, &names, manifest)
    }
}

/// The file of a build of the read models.
#[must_use]
pub fn views_file(generation: i64) -> String {
    format!("views-{generation}.db")
}

/// What is told of a backup.
#[must_use]
pub fn described(file: &Path, it: &Manifest) -> Value {
    json!({
        "file": file.display().to_string(),
        "created_at": it.created_at,
        "log_id": it.log_id,
        "position": it.position,
        "recorded_at": it.recorded_at,
        "read_models": it.read_models.map(|it| it.position),
        "files": it.files.len(),
        "bytes": it.files.iter().map(|it| it.bytes).sum::<u64>(),
    })
}

/// Prints commands, one a line, so that a shell can read them.
pub fn print(session: &Session, commands: &[String]) -> Result<Exit, Failure> {
    if session.output.format == Format::Json {
        session.output.value(&json!({ "commands": commands }), &[])?;
    } else {
        session.output.text(&commands.join("\n"))?;
    }
    Ok(Exit::Done)
}

fn commands(url: &str, file: &Path) -> Vec<String> {
    let (file, url) = (quoted(&file.display().to_string()), quoted(&without_password(url)));
    vec![
        "# On PostgreSQL its own tools do this. One snapshot has log and read models at one moment."
            .to_owned(),
        "# The password is asked for, or comes from PGPASSWORD or ~/.pgpass.".to_owned(),
        format!("pg_dump --format=custom --file={file} {url}"),
    ]
}

/// A word as a shell reads it.
#[must_use]
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The address of a database without the password in it.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((login, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = login.split_once(':').map_or(login, |(user, _)| user);
    format!("{scheme}://{user}@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_for_postgresql_hold_no_password_and_survive_a_shell() {
        let url = "postgres://sapa:s3cr@t@db:5432/sapa";
        assert_eq!(without_password(url), "postgres://sapa@db:5432/sapa");
        assert_eq!(without_password("postgres:///sapa?host=/run"), "postgres:///sapa?host=/run");
        let told = commands(url, Path::new("it's.dump"));
        assert_eq!(
            told.last().unwrap(),
            r"pg_dump --format=custom --file='it'\''s.dump' 'postgres://sapa@db:5432/sapa'"
        );
    }
}
