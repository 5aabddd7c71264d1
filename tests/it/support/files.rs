//! The files of the repository, for tests that read the code itself.

use std::path::{Path, PathBuf};

use events::kind::Kind;
use serde_json::Value;

/// The folder of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below a folder, by name; what version control does not keep is left out.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_symlink() || name == ".git" || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The files below a folder of the repository whose name ends so.
pub fn files_of(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files = files_below(&root().join(folder));
    files.retain(|it| it.extension().is_some_and(|it| it == ending));
    files
}

/// A path as it is written in the repository.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The example data of a kind in its newest version.
pub fn golden(kind: Kind) -> Value {
    let name = format!("{}.v{}.json", kind.name(), kind.newest_version());
    let path = root().join("schemas/events/golden").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
