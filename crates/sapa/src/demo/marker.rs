//! The marker of a demo's data folder: which story it holds, and whether it is whole. Only a
//! folder that carries it is ever removed.

use std::path::{Path, PathBuf};

use events::time::{parse_instant, spell};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::story::Plan;
use crate::exit::{Exit, Failure};
use crate::say;
use crate::serve::private_file;

/// The name of the file.
const NAME: &str = "sapa-demo.json";

/// Which story a folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Customers in all.
    pub customers: u32,
    /// Days of history.
    pub days: u32,
    /// What chance follows from.
    pub seed: u64,
    /// The end of the story, RFC 3339.
    pub now: String,
    /// The zone of the hotel.
    pub zone: String,
    /// Events of the story; 0 until all of them are recorded.
    pub events: usize,
}

impl Marker {
    /// The story of a folder, if it is a demo's.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(place(folder)).ok()?).ok()
    }

    /// Marks a folder.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(Failure::internal)?;
        private_file(&place(folder), &text)
    }

    /// What the story is made from.
    pub fn plan(&self) -> Result<Plan, Failure> {
        let damaged = || {
            Failure::new(
                Exit::Config,
                say!("{NAME} cannot be read any more", "{NAME} tidak dapat dibaca lagi"),
                say!("Start with --fresh.", "Jalankan dengan --fresh."),
            )
        };
        Ok(Plan {
            customers: self.customers,
            days: self.days,
            seed: self.seed,
            now: parse_instant(&self.now).map_err(|_| damaged())?,
            tenant_zone: TimeZone::get(&self.zone).map_err(|_| damaged())?,
        })
    }

    /// The marker of a plan whose story is not recorded yet.
    #[must_use]
    pub fn of(plan: &Plan, zone: &str) -> Self {
        Self {
            customers: plan.customers,
            days: plan.days,
            seed: plan.seed,
            now: spell(plan.now),
            zone: zone.to_owned(),
            events: 0,
        }
    }
}

/// Removes a demo's folder; any other is refused.
pub fn remove(folder: &Path) -> Result<(), Failure> {
    refuse_others(folder)?;
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file("remove", folder, &error))
        }
        _ => Ok(()),
    }
}

/// Refuses a folder that holds something and carries no marker.
pub fn refuse_others(folder: &Path) -> Result<(), Failure> {
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut it| it.next().is_none());
    if is_empty || place(folder).is_file() {
        return Ok(());
    }
    let folder = folder.display();
    Err(Failure::new(
        Exit::Config,
        say!("{folder} is not a demo's folder", "{folder} bukan folder demo"),
        say!("Choose another one with --data-dir.", "Pilih yang lain dengan --data-dir."),
    ))
}

fn place(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_folder_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        assert!(refuse_others(&data).is_ok());
        std::fs::write(data.join("log.db"), "somebody's").unwrap();
        assert_eq!(remove(&data).unwrap_err().exit, Exit::Config);
        assert!(data.join("log.db").is_file());
        let plan = Plan {
            customers: 20,
            days: 30,
            seed: 7,
            now: "2026-06-24T02:00:00Z".parse().unwrap(),
            tenant_zone: TimeZone::UTC,
        };
        let marker = Marker::of(&plan, "UTC");
        marker.write(&data).unwrap();
        assert_eq!(Marker::read(&data), Some(marker));
        remove(&data).unwrap();
        assert!(!data.exists());
    }
}
