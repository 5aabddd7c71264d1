//! How far an import came, so that the next run can begin there.
//!
//! Only a convenience: a run from the first row is always right, since every row recorded before
//! is a duplicate. So progress that is missing, damaged, or of another file, map, log or tenant counts
//! as row 0, and so does progress whose last event is not in the log where it was: a log that was restored
//! from a backup of before keeps its identity. It is forgotten when a file is done; the second run is then all duplicates.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Enough to tell two exports apart, and read in a moment.
const FINGERPRINT_BYTES: u64 = 1024 * 1024;

/// What a file is recognised by: its size, when it was changed, and a hash of its beginning. A copy of
/// a file is another one, which costs time and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Bytes, compressed as they are.
    pub size: u64,
    /// Nanoseconds since 1970, as text.
    pub modified: String,
    /// SHA-256 of the first MiB, in hexadecimal.
    pub sha256: String,
}

impl Fingerprint {
    /// Takes the fingerprint of a file.
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let modified = metadata.modified().ok().and_then(|it| it.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or_else(String::new, |it| it.as_nanos().to_string());
        let size = metadata.len();
        let mut start = Vec::new();
        file.take(FINGERPRINT_BYTES).read_to_end(&mut start)?;
        Ok(Self { size, modified, sha256: HEXLOWER.encode(&Sha256::digest(&start)) })
    }
}

/// What is imported, through which map, and into which log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undertaking {
    /// The file.
    pub file: Fingerprint,
    /// [`super::Map::hash`], or an empty text without a map.
    pub map: String,
    /// The identity of the log.
    pub log_id: String,
    /// The tenant.
    pub tenant: String,
}

/// How far an import came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The last row that was recorded or quarantined.
    pub row: u64,
    /// The last event that the log took of it; nothing where every row so far was bad.
    pub last: Option<Last>,
}

/// An event, and where the log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// Its source.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Its position.
    pub position: i64,
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    of: Undertaking,
    reached: Reached,
}

/// How far an earlier run came; row 0 when nothing is known.
pub fn load(data_dir: &Path, of: &Undertaking) -> io::Result<Reached> {
    let bytes = match fs::read(place(data_dir, of)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Reached::default()),
        Err(error) => return Err(error),
    };
    Ok(serde_json::from_slice::<Checkpoint>(&bytes)
        .ok()
        .filter(|checkpoint| checkpoint.of == *of)
        .map_or_else(Reached::default, |checkpoint| checkpoint.reached))
}

/// Remembers how far it came. The old checkpoint stays whole until the new one replaces it.
pub fn store(data_dir: &Path, of: &Undertaking, reached: &Reached) -> io::Result<()> {
    let place = place(data_dir, of);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = place.with_extension("unfinished");
    let checkpoint = Checkpoint { of: of.clone(), reached: reached.clone() };
    fs::write(&unfinished, serde_json::to_vec(&checkpoint)?)?;
    fs::rename(unfinished, place)
}

/// Forgets what [`store()`] remembered, when the file is done.
pub fn clear(data_dir: &Path, of: &Undertaking) -> io::Result<()> {
    match fs::remove_file(place(data_dir, of)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn place(data_dir: &Path, of: &Undertaking) -> PathBuf {
    let file = &of.file;
    let all =
        [&file.size.to_string(), &file.modified, &file.sha256, &of.map, &of.log_id, &of.tenant];
    let all = all.map(String::as_str).join(" ");
    let name: String = HEXLOWER.encode(&Sha256::digest(all)).chars().take(16).collect();
    data_dir.join("import").join(format!("{name}.json"))
}
