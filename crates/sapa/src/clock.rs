//! The clock on the wall and the dice: the one place that reads the time and makes random values.
//! Everything else is handed a [`Clock`], an [`Ids`] or the bytes it needs, so that the same inputs
//! give the same log.

use data_encoding::BASE64URL_NOPAD;
use events::mint::Ids;
use events::time::{Clock, whole_micros};
use jiff::Timestamp;
use uuid::Uuid;

/// The time of this machine, in whole microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody is handed")]
    fn now(&self) -> Timestamp {
        whole_micros(Timestamp::now())
    }
}

/// New ids of version 7: ordered by time, unique without asking anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "these are the ids that everybody is handed")]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Random bytes out of the operating system: keys, and keys of fingerprints.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A secret of an API key: 256 random bits in 43 characters.
#[must_use]
pub fn secret() -> String {
    BASE64URL_NOPAD.encode(&random::<32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_whole_microseconds() {
        assert_eq!(SystemClock.now().as_nanosecond() % 1_000, 0);
    }

    #[test]
    fn ids_are_version_7_and_never_come_twice() {
        let (one, two) = (SystemIds.new_id(), SystemIds.new_id());
        assert_eq!(one.get_version_num(), 7);
        assert_ne!(one, two);
    }

    #[test]
    fn a_secret_has_43_characters_that_fit_a_header() {
        let text = secret();
        assert_eq!(text.len(), 43);
        assert!(text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)));
        assert_ne!(text, secret());
    }
}
