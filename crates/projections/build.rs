//! Computes the version of the folds: a fingerprint of the code and of the tables from which the rows
//! of the read models follow. Nobody has to remember to raise a number, and a changed fold is always
//! noticed; a changed comment makes the read models be built anew once, which is only work.

use std::path::{Path, PathBuf};

/// What the rows follow from, beside the log.
const SOURCES: [(&str, &str); 4] = [
    ("src", "rs"),
    ("../events/src", "rs"),
    ("../events/src", "toml"),
    ("../../schemas/sql", "sql"),
];
/// FNV-1a with 64 bits: it has to tell versions apart, and keeps out nobody.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let mut hash = OFFSET;
    for (folder, ending) in SOURCES {
        for file in files(Path::new(folder), ending) {
            println!("cargo::rerun-if-changed={}", file.display());
            let name = file.to_string_lossy().into_owned();
            let text = std::fs::read(&file).expect("a file that was just listed can be read");
            for byte in name.bytes().chain([0]).chain(text).chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            }
        }
    }
    println!("cargo::rustc-env=SAPA_FOLDS={hash:016x}");
}

/// The files below a folder with this ending, in one order everywhere. Tests decide no row, nor do
/// the tables of the log.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            found.extend(files(&path, ending));
        } else if name.ends_with(&format!(".{ending}"))
            && name != "tests.rs"
            && !name.starts_with("00")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}
