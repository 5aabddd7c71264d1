//! The lock of a data folder: one process at a time, and where that process listens. The kernel
//! lets go of it when the process dies, however it dies; the text inside is for people and for the
//! command line, which finds the key and the broker of a local server through it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};
use crate::say;

/// The folder in which a restore unpacks. While it is there, the data folder may hold half of it.
pub const UNFINISHED_RESTORE: &str = "restore.unfinished";

/// The name of the file.
const NAME: &str = "sapa.lock";

/// Who holds a data folder, and where it listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// This start of the machine.
    pub boot_id: String,
    /// Its address over HTTP.
    pub http: Option<String>,
    /// Its broker.
    pub nats: Option<String>,
}

impl Instance {
    /// This process.
    #[must_use]
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            host: read("/proc/sys/kernel/hostname"),
            pid: std::process::id(),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            http: None,
            nats: None,
        }
    }

    /// What the last holder of a folder wrote, if it can be read.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(NAME)).ok()?).ok()
    }

    /// The process that holds a folder now. One that was killed leaves its address behind, where
    /// another server may listen by now: so the process has to be there, on this machine and since
    /// this start of it.
    #[must_use]
    pub fn running(folder: &Path) -> Option<Self> {
        let (it, this) = (Self::read(folder)?, Self::this());
        let here = it.host == this.host && it.boot_id == this.boot_id;
        let pid = i32::try_from(it.pid).ok().and_then(Pid::from_raw)?;
        // Somebody else's process is there too, although it may not be signalled.
        let lives = test_kill_process(pid).map_or_else(|error| error == Errno::PERM, |()| true);
        (here && lives).then_some(it)
    }
}

/// A folder that is held. It is free again when this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    held: Instance,
}

impl Lock {
    /// Takes a folder, or says who has it.
    pub fn take(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| Failure::file("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refused(&file, folder)),
            Err(TryLockError::Error(error)) => return Err(Failure::file("lock", &path, &error)),
        }
        let mut lock = Self { file, held: Instance::this() };
        lock.write()?;
        Ok(lock)
    }

    /// Writes down where this process listens.
    pub fn tell(&mut self, http: Option<String>, nats: Option<String>) -> Result<(), Failure> {
        self.held.http = http;
        self.held.nats = nats;
        self.write()
    }

    fn write(&mut self) -> Result<(), Failure> {
        let text = serde_json::to_vec(&self.held).map_err(Failure::internal)?;
        let mut rewrite = || {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&text)
        };
        rewrite().map_err(|error| Failure::file("write", Path::new(NAME), &error))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // What a holder wrote is no longer true once it lets go.
        let _ = self.file.set_len(0);
    }
}

fn refused(mut file: &File, folder: &Path) -> Failure {
    let mut text = String::new();
    // Without the text the message is shorter and as true.
    let _ = file.read_to_string(&mut text);
    let who = serde_json::from_str::<Instance>(&text).map_or_else(
        |_| say!("another process", "proses lain"),
        |Instance { pid, host, .. }| say!("process {pid} on {host}", "proses {pid} di {host}"),
    );
    let folder = folder.display();
    Failure::new(
        Exit::Config,
        say!("{folder} is in use by {who}", "{folder} dipakai oleh {who}"),
        say!(
            "Stop that process, choose another data_dir, or use PostgreSQL for several instances.",
            "Hentikan proses itu, pilih data_dir lain, atau gunakan PostgreSQL untuk beberapa instans."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_is_told_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut lock = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        assert_eq!(error.exit, Exit::Config);
        assert!(error.what.contains(&format!("process {}", std::process::id())), "{error}");
        lock.tell(Some("http://127.0.0.1:1".into()), None).unwrap();
        let told = Instance::running(folder.path()).unwrap();
        assert_eq!(told.http.as_deref(), Some("http://127.0.0.1:1"));
        let gone = Instance { pid: 0x3fff_ffff, ..told };
        std::fs::write(folder.path().join(NAME), serde_json::to_vec(&gone).unwrap()).unwrap();
        assert_eq!(Instance::running(folder.path()), None, "its address is nobody's now");
        drop(lock);
        assert_eq!(Instance::read(folder.path()), None);
        assert!(Lock::take(folder.path()).is_ok());
    }
}
