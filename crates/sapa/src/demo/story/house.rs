//! The house of the story: its team and its halls, as policies that hold from before the first fact.
//! A house of its own has other people; these are published by the demo and by nobody else.

use events::policy::{Published, from_toml};
use events::time::spell;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::journal::{Journal, quiet};

/// The policies of the hotel.
const TEXT: &str = include_str!("house.toml");
/// The version that follows on the defaults.
const VERSION: u64 = 2;

/// Publishes the policies of the house the day before the first fact.
pub(super) fn write(log: &mut Journal) {
    let Some(first) = log.first() else { return };
    let at = first - SignedDuration::from_hours(24);
    let bodies = from_toml(TEXT).expect("the policies of the demo are valid TOML");
    for (name, body) in bodies {
        let it = Published::new(&name, VERSION, Timestamp::UNIX_EPOCH, body);
        let data = json!({
            "name": it.name, "version": it.version, "effective_from": spell(it.effective_from),
            "hash": it.hash, "body": it.body,
        });
        log.record_of_house(at, quiet("policy.published", "/console", "staff/sri"), &data);
    }
}

#[cfg(test)]
mod tests {
    use events::policy::Section;

    use super::*;
    use crate::demo::story::venues::HALLS;

    #[test]
    fn the_policies_of_the_house_are_valid_and_know_every_hall() {
        let bodies = from_toml(TEXT).unwrap();
        for (name, body) in &bodies {
            assert!(Section::parse(name, body).is_ok(), "{name}");
        }
        for hall in HALLS {
            assert!(bodies["venues"].get(hall).is_some(), "{hall}");
        }
    }
}
