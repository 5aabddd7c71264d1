//! How far an import came, so that the next run can begin there.
//!
//! Only a convenience: a run from the first row is always right, since every row recorded before
//! is a duplicate. So a checkpoint that is missing, damaged, or of another file or map counts as
//! row 0. A checkpoint is cleared when a file is done; the second run is then all duplicates.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Enough to tell two exports apart, and read in a moment.
const FINGERPRINT_BYTES: u64 = 1024 * 1024;

/// What a file is recognised by: its size and a hash of its beginning. Not proof of sameness: a
/// file edited far inside to the same size has the same fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Bytes, compressed as they are.
    pub size: u64,
    /// SHA-256 of the first MiB, in hexadecimal.
    pub sha256: String,
}

impl Fingerprint {
    /// Takes the fingerprint of a file.
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut start = Vec::new();
        file.take(FINGERPRINT_BYTES).read_to_end(&mut start)?;
        Ok(Self { size, sha256: HEXLOWER.encode(&Sha256::digest(&start)) })
    }
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    file: Fingerprint,
    map: String,
    row: u64,
}

/// The last row of which every event was recorded or quarantined; 0 when nothing is known.
/// `map_hash` is [`super::Map::hash`], or an empty text without a map.
pub fn load(data_dir: &Path, file: &Fingerprint, map_hash: &str) -> io::Result<u64> {
    let bytes = match fs::read(place(data_dir, file, map_hash)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    Ok(serde_json::from_slice::<Checkpoint>(&bytes)
        .ok()
        .filter(|checkpoint| checkpoint.file == *file && checkpoint.map == map_hash)
        .map_or(0, |checkpoint| checkpoint.row))
}

/// Remembers a row. The old checkpoint stays whole until the new one replaces it.
pub fn store(data_dir: &Path, file: &Fingerprint, map_hash: &str, row: u64) -> io::Result<()> {
    let place = place(data_dir, file, map_hash);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let checkpoint = Checkpoint { file: file.clone(), map: map_hash.to_owned(), row };
    let unfinished = place.with_extension("unfinished");
    fs::write(&unfinished, serde_json::to_vec(&checkpoint)?)?;
    fs::rename(unfinished, place)
}

/// Forgets what [`store()`] remembered, when the file is done.
pub fn clear(data_dir: &Path, file: &Fingerprint, map_hash: &str) -> io::Result<()> {
    match fs::remove_file(place(data_dir, file, map_hash)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn place(data_dir: &Path, file: &Fingerprint, map_hash: &str) -> PathBuf {
    let both = format!("{} {} {map_hash}", file.size, file.sha256);
    let name: String = HEXLOWER.encode(&Sha256::digest(both)).chars().take(16).collect();
    data_dir.join("import").join(format!("{name}.json"))
}
