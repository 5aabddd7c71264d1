//! One process of the service, put together: log, writer, broker, faces, and under the lease the
//! read models, the reactions and the relay. It answers before anything is rebuilt. It refuses to
//! start on a setting that would break a promise, and says which.

pub mod checks;
pub mod compose;
pub mod first;
pub mod housekeeping;
pub mod leader;
pub mod lock;
pub mod nats;
pub mod pipes;
mod refusals;
pub mod service;
pub mod term;
pub mod told;
pub mod upkeep;
pub mod work;

use std::path::Path;

use crate::exit::Failure;

/// Makes a folder that only its owner may look into.
pub fn private_folder(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::file("make", path, &error))
}

/// Writes a file that only its owner may read; an old one is replaced in one step.
pub fn private_file(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let staged = path.with_extension("new");
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&staged)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&staged, path));
    written.map_err(|error| Failure::file("write", path, &error))
}
