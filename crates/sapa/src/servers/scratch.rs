//! Temporary folders for servers, named after the process that owns them.
//! A process that was killed cannot clean up, so the next one removes what dead owners left.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// How many names are tried before giving up.
const NAMES: u32 = 10_000;

/// Makes an empty folder `<temp>/<prefix>-<pid>-<n>` that only this user can enter.
pub(crate) fn create(prefix: &str) -> io::Result<PathBuf> {
    let temp = std::env::temp_dir();
    sweep(&temp, prefix);
    for number in 0..NAMES {
        let folder = temp.join(format!("{prefix}-{}-{number}", std::process::id()));
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("every name for a temporary folder is taken"))
}

/// Removes folders whose owner is gone. What cannot be removed stays: it is only room on disk.
fn sweep(temp: &Path, prefix: &str) {
    for entry in std::fs::read_dir(temp).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|it| owner(it, prefix));
        if owner.is_some_and(|it| !is_alive(it)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The process id in the name of one of our folders.
fn owner(name: &str, prefix: &str) -> Option<Pid> {
    let (pid, number) = name.strip_prefix(prefix)?.strip_prefix('-')?.split_once('-')?;
    number.parse::<u32>().ok()?;
    Pid::from_raw(pid.parse().ok()?)
}

fn is_alive(pid: Pid) -> bool {
    rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_folders_of_one_process_differ_and_are_left_alone_while_it_lives() {
        let first = create("sapa-scratch-test").unwrap();
        let second = create("sapa-scratch-test").unwrap();
        assert_ne!(first, second);
        assert!(first.is_dir());
        std::fs::remove_dir(first).unwrap();
        std::fs::remove_dir(second).unwrap();
    }

    #[test]
    fn only_our_own_names_have_an_owner() {
        assert!(owner("sapa-pg-17-0", "sapa-pg").is_some());
        for other in ["sapa-pg", "sapa-pg-17", "sapa-pg-x-0", "sapa-pg-17-x", "other-17-0"] {
            assert_eq!(owner(other, "sapa-pg"), None, "{other}");
        }
    }
}
