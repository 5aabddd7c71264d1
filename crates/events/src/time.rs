//! Time: strict RFC 3339 in, whole microseconds inside, one clock that is handed around.
//!
//! jiff reads more than RFC 3339 allows (a space for the `T`, a leap second, a contradicting zone
//! suffix), so the spelling is checked here before jiff sees it. Nobody in the workspace asks the
//! wall for the time except `sapa::clock`; everybody else is given a [`Clock`].

use std::sync::Mutex;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// Why a text is not an instant we accept. The names are the codes of the problem catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// There is no offset (bad input B36).
    #[error("the time has no offset; send +07:00 or Z")]
    ZoneMissing,
    /// Not RFC 3339, or not a date of the calendar (B37).
    #[error("the time is not a valid RFC 3339 instant, such as 2026-11-21T10:00:00+07:00")]
    Invalid,
    /// Outside 1970 to 2100 (B38).
    #[error("dates lie between 1970 and 2100")]
    Range,
}

/// Reads a strict RFC 3339 instant with offset and cuts it to whole microseconds.
pub fn parse_instant(text: &str) -> Result<Timestamp, TimeError> {
    let rest = spelled_date_and_time(text)?;
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=9).contains(&digits) {
                return Err(TimeError::Invalid);
            }
            fraction.get(digits..).unwrap_or_default()
        }
        None => rest,
    };
    match rest.as_bytes() {
        [] => return Err(TimeError::ZoneMissing),
        [b'Z'] => {}
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2].iter().all(|it| it.is_ascii_digit());
            let minutes =
                |tens: &u8, ones: &u8| i32::from(tens - b'0') * 10 + i32::from(ones - b'0');
            if !digits || 59 < minutes(m1, m2) || 14 * 60 < minutes(h1, h2) * 60 + minutes(m1, m2) {
                return Err(TimeError::Invalid);
            }
        }
        _ => return Err(TimeError::Invalid),
    }
    let year: u16 = text.get(..4).and_then(|it| it.parse().ok()).ok_or(TimeError::Invalid)?;
    if !(1970..=2100).contains(&year) {
        return Err(TimeError::Range);
    }
    text.parse().map(whole_micros).map_err(|_| TimeError::Invalid)
}

/// Checks `2026-11-21T10:00:00` at the front and gives what follows it.
fn spelled_date_and_time(text: &str) -> Result<&str, TimeError> {
    const FORM: &[u8; 19] = b"0000-00-00T00:00:00";
    let head = text.as_bytes().get(..FORM.len());
    let fits = head.is_some_and(|head| {
        head.iter().zip(FORM).all(|(it, form)| match form {
            b'0' => it.is_ascii_digit(),
            other => it == other,
        })
    });
    if fits {
        // A leap second is a valid spelling and no instant that can be stored.
        return match text.get(17..19) {
            Some("60") => Err(TimeError::Invalid),
            _ => Ok(text.get(FORM.len()..).unwrap_or_default()),
        };
    }
    // `2026-11-21T10:00` is somebody's form field: what it lacks first is an offset.
    let short = text.len() <= 16 && text.parse::<jiff::civil::DateTime>().is_ok();
    Err(if short { TimeError::ZoneMissing } else { TimeError::Invalid })
}

/// Cuts an instant to whole microseconds: what both databases can store and give back unchanged.
///
/// Every instant from outside passes here once, the clock's included.
#[must_use]
pub fn whole_micros(it: Timestamp) -> Timestamp {
    let cut = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::Floor);
    it.round(cut).unwrap_or(it)
}

/// Whether one of two instants is the other with its last digits cut off, down to whole seconds: what
/// a client does that keeps milliseconds. Equal instants are not.
#[must_use]
pub fn is_cut_from(one: Timestamp, other: Timestamp) -> bool {
    const MICROS_PER_SECOND: i64 = 1_000_000;
    let (early, late) = (one.min(other).as_microsecond(), one.max(other).as_microsecond());
    let steps = std::iter::successors(Some(10), |it| Some(it * 10));
    let mut steps = steps.take_while(|it| *it <= MICROS_PER_SECOND);
    early < late && steps.any(|step| late - late.rem_euclid(step) == early)
}

/// The one spelling of instants in answers: UTC with six fraction digits.
#[must_use]
pub fn spell(it: Timestamp) -> String {
    format!("{it:.6}")
}

/// What time it is. The one that looks at the wall is `sapa::clock`; everybody else is handed one.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now, in whole microseconds.
    fn now(&self) -> Timestamp;
}

/// A clock that stands still until it is moved: for tests, simulation and replays.
#[derive(Debug)]
pub struct FixedClock(Mutex<Timestamp>);

impl FixedClock {
    /// A clock that shows `at`.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self(Mutex::new(whole_micros(at)))
    }

    /// Moves the hands.
    pub fn set(&self, at: Timestamp) {
        *self.0.lock().expect("no holder of this lock can panic") = whole_micros(at);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no holder of this lock can panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_cut_from_another_when_only_its_last_digits_are_gone() {
        let cut = |one: &str, other: &str| {
            let at = |it: &str| format!("2026-11-21T10:00:{it}Z").parse::<Timestamp>().unwrap();
            assert_eq!(is_cut_from(at(one), at(other)), is_cut_from(at(other), at(one)));
            is_cut_from(at(one), at(other))
        };
        for short in ["00", "00.1", "00.12", "00.123", "00.1234", "00.12345"] {
            assert!(cut(short, "00.123456"), "{short}");
        }
        for other in ["00.123456", "00.124", "00.122", "00.2", "01", "00.123455"] {
            assert!(!cut(other, "00.123456"), "{other}");
        }
        // Rounded is not cut, and a minute is more than digits.
        assert!(!cut("00.9", "00.899") && !cut("00", "30"));
    }

    #[test]
    fn only_rfc_3339_with_an_offset_is_read() {
        for (text, wanted) in [
            ("2026-11-21T10:00:00+07:00", Ok(())),
            ("2026-11-21T10:00:00.123456789Z", Ok(())),
            ("2026-11-21T10:00", Err(TimeError::ZoneMissing)),
            ("2026-11-21T10:00:00", Err(TimeError::ZoneMissing)),
            ("2026-02-30T10:00:00Z", Err(TimeError::Invalid)),
            ("2026-11-21T24:00:00Z", Err(TimeError::Invalid)),
            ("2026-11-21T23:59:60Z", Err(TimeError::Invalid)),
            ("2026-11-21T10:00:00+15:00", Err(TimeError::Invalid)),
            ("2026-11-21T10:00:00+14:30", Err(TimeError::Invalid)),
            ("2026-11-21T10:00:00+07:00[Asia/Tokyo]", Err(TimeError::Invalid)),
            ("20261121T100000Z", Err(TimeError::Invalid)),
            ("2026-11-21 10:00:00Z", Err(TimeError::Invalid)),
            ("2026-11-21T10:00:00,5Z", Err(TimeError::Invalid)),
            ("1969-12-31T23:59:59Z", Err(TimeError::Range)),
            ("2101-01-01T00:00:00Z", Err(TimeError::Range)),
        ] {
            assert_eq!(parse_instant(text).map(|_| ()), wanted, "{text}");
        }
    }

    #[test]
    fn instants_are_cut_to_microseconds_towards_the_past() {
        let it = parse_instant("2026-11-21T10:00:00.123456999Z").unwrap();
        assert_eq!(spell(it), "2026-11-21T10:00:00.123456Z");
        let early = parse_instant("1970-01-01T00:00:00.0000019Z").unwrap();
        assert_eq!(early.as_nanosecond(), 1_000);
    }
}
