//! A backup in one file: a tar archive with `manifest.json` in front and the files behind it.
//!
//! Promises that an archive has its name only once it is whole and on disk, that it is readable by
//! its owner only, and that nothing is unpacked but the files that the manifest names, each with the
//! length and the SHA-256 that stand there.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::exit::{Exit, Failure};

/// The layout of an archive. A program refuses one that is newer than it knows.
const FORMAT: u32 = 1;
/// The name of the manifest.
const MANIFEST: &str = "manifest.json";
/// No manifest is longer.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What a backup holds, and of which log it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout.
    pub format: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// When it was made.
    pub created_at: String,
    /// The identity of the log.
    pub log_id: String,
    /// Every event up to this position is in it.
    pub position: i64,
    /// When the event at that position was recorded.
    pub recorded_at: String,
    /// The last migration step of the log's tables.
    pub step: i64,
    /// The read models, if they are in it.
    pub read_models: Option<ReadModels>,
    /// The files in the order in which they follow.
    pub files: Vec<Packed>,
}

/// The read models of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadModels {
    /// The build that answered.
    pub generation: i64,
    /// Where it stood: at or below the position of the log.
    pub position: i64,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its path below the data folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

impl Manifest {
    /// One of this version without files.
    #[must_use]
    pub fn new(created_at: String, content: &store::copy::LogContent) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            log_id: content.log_id.clone(),
            position: content.position,
            recorded_at: events::time::spell(content.recorded_at),
            step: content.step,
            read_models: None,
            files: Vec::new(),
        }
    }
}

/// Packs files of a folder, named by their paths in it, and completes the manifest.
pub fn pack(
    to: &Path,
    folder: &Path,
    names: &[String],
    mut manifest: Manifest,
) -> Result<Manifest, Failure> {
    for name in names {
        let path = folder.join(name);
        let (bytes, sha256) =
            digest(&path).map_err(|error| Failure::file("read", &path, &error))?;
        manifest.files.push(Packed { name: name.clone(), bytes, sha256 });
    }
    let staged = staged(to);
    let packed = write(&staged, folder, &manifest).and_then(|()| {
        std::fs::rename(&staged, to)?;
        File::open(parent(to))?.sync_all()
    });
    packed.map_err(|error| {
        // Half an archive is worth nothing.
        let _ = std::fs::remove_file(&staged);
        Failure::file("write", to, &error)
    })?;
    Ok(manifest)
}

fn write(staged: &Path, folder: &Path, manifest: &Manifest) -> std::io::Result<()> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(staged)?;
    let mut archive = tar::Builder::new(file);
    archive.mode(tar::HeaderMode::Deterministic);
    let text = serde_json::to_vec_pretty(manifest)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(text.len()).unwrap_or(u64::MAX));
    header.set_mode(0o600);
    archive.append_data(&mut header, MANIFEST, &text[..])?;
    for it in &manifest.files {
        let mut header = tar::Header::new_gnu();
        header.set_size(it.bytes);
        header.set_mode(0o600);
        archive.append_data(&mut header, &it.name, File::open(folder.join(&it.name))?)?;
    }
    archive.into_inner()?.sync_all()
}

/// Reads the manifest of an archive.
pub fn manifest(from: &Path) -> Result<Manifest, Failure> {
    let file = File::open(from).map_err(|error| Failure::file("read", from, &error))?;
    let mut archive = tar::Archive::new(file);
    let read = archive.entries().and_then(|mut entries| {
        let Some(first) = entries.next() else { return Ok(None) };
        let first = first?;
        if first.path()?.as_ref() != Path::new(MANIFEST) {
            return Ok(None);
        }
        let mut text = Vec::new();
        first.take(MANIFEST_BYTES_MAX).read_to_end(&mut text)?;
        Ok(Some(text))
    });
    let text = read.ok().flatten().ok_or_else(|| not_a_backup(from))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| not_a_backup(from))?;
    if FORMAT < manifest.format {
        return Err(Failure::new(
            Exit::Config,
            format!(
                "{} has layout {}, and this version of Sapa knows layouts up to {FORMAT}",
                from.display(),
                manifest.format
            ),
            format!("Restore it with Sapa {} or newer.", manifest.program),
        ));
    }
    Ok(manifest)
}

/// Unpacks what the manifest names into an empty folder and checks it.
pub fn unpack(from: &Path, manifest: &Manifest, folder: &Path) -> Result<(), Failure> {
    let file = File::open(from).map_err(|error| Failure::file("read", from, &error))?;
    let mut archive = tar::Archive::new(file);
    let mut entries = archive.entries().map_err(|_| not_a_backup(from))?.skip(1);
    for it in &manifest.files {
        let entry = entries.next().and_then(Result::ok);
        let entry =
            entry.filter(|entry| entry.path().is_ok_and(|path| path == Path::new(&it.name)));
        let entry = entry.ok_or_else(|| damaged(from, &it.name))?;
        let to = folder.join(&it.name);
        crate::serve::private_folder(parent(&to))?;
        let (bytes, sha256) =
            write_out(entry, &to).map_err(|error| Failure::file("write", &to, &error))?;
        if (bytes, &sha256) != (it.bytes, &it.sha256) {
            return Err(damaged(from, &it.name));
        }
    }
    Ok(())
}

fn write_out(from: impl Read, to: &Path) -> std::io::Result<(u64, String)> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let digest = each_chunk(from, |chunk| file.write_all(chunk))?;
    file.sync_all()?;
    Ok(digest)
}

fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    each_chunk(File::open(path)?, |_| Ok(()))
}

/// Length and SHA-256 of what is read, each piece of which is handed on.
fn each_chunk(
    mut from: impl Read,
    mut hand_on: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<(u64, String)> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer)?;
        let chunk = buffer.get(..count).unwrap_or_default();
        if chunk.is_empty() {
            return Ok((bytes, data_encoding::HEXLOWER.encode(&hash.finalize())));
        }
        hash.update(chunk);
        hand_on(chunk)?;
        bytes += u64::try_from(count).unwrap_or_default();
    }
}

/// The name of an archive that is not whole yet.
fn staged(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".unfinished");
    PathBuf::from(name)
}

/// The folder of a file.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn not_a_backup(from: &Path) -> Failure {
    Failure::new(
        Exit::Invalid,
        format!("{} is not a backup of Sapa", from.display()),
        "Name a file that `sapa backup FILE` wrote; unpack it first if you have packed it since.",
    )
}

fn damaged(from: &Path, name: &str) -> Failure {
    Failure::new(
        Exit::Invalid,
        format!("{} is damaged: {name} is not as the manifest says", from.display()),
        "Restore another backup; nothing was changed.",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn content() -> store::copy::LogContent {
        store::copy::LogContent {
            log_id: "log".to_owned(),
            position: 7,
            recorded_at: jiff::Timestamp::UNIX_EPOCH,
            step: 3,
            generation: None,
        }
    }

    fn packed(folder: &Path) -> (PathBuf, Manifest) {
        std::fs::create_dir_all(folder.join("in/nats")).unwrap();
        std::fs::write(folder.join("in/log.db"), vec![1; 3_000_000]).unwrap();
        std::fs::write(folder.join("in/nats/token"), "t").unwrap();
        let names = ["log.db".to_owned(), "nats/token".to_owned()];
        let to = folder.join("backup.tar");
        let manifest = Manifest::new("now".to_owned(), &content());
        let written = pack(&to, &folder.join("in"), &names, manifest).unwrap();
        (to, written)
    }

    #[test]
    fn what_was_packed_comes_out_again_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let (archive, written) = packed(folder.path());
        assert_eq!(archive.metadata().unwrap().mode() & 0o777, 0o600);
        let read = manifest(&archive).unwrap();
        assert_eq!(read, written);
        let out = folder.path().join("out");
        unpack(&archive, &read, &out).unwrap();
        assert_eq!(std::fs::read(out.join("log.db")).unwrap(), vec![1; 3_000_000]);
        assert_eq!(out.join("nats/token").metadata().unwrap().mode() & 0o777, 0o600);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 3, "nothing unfinished is left: {left:?}");
    }

    #[test]
    fn a_changed_byte_is_found_and_other_files_are_no_backups() {
        let folder = tempfile::tempdir().unwrap();
        let (archive, written) = packed(folder.path());
        let mut bytes = std::fs::read(&archive).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&archive, &bytes).unwrap();
        let error = unpack(&archive, &written, &folder.path().join("out")).unwrap_err();
        assert!(error.what.contains("log.db is not as the manifest says"), "{error}");
        let cut = folder.path().join("cut.tar");
        std::fs::write(&cut, &bytes[..middle]).unwrap();
        assert!(unpack(&cut, &written, &folder.path().join("out-2")).is_err());
        std::fs::write(&cut, "text").unwrap();
        assert!(manifest(&cut).unwrap_err().what.contains("is not a backup"));
    }
}
