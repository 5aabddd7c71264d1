//! How fields are read that serde would read too leniently.
//!
//! jiff accepts more spellings than RFC 3339 and finer instants than the databases keep, so every
//! instant goes through [`parse_instant`].

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

use crate::time::parse_instant;

/// An instant, strict and cut to whole microseconds.
pub(super) fn instant<'de, D: Deserializer<'de>>(input: D) -> Result<Timestamp, D::Error> {
    let text = Cow::<'de, str>::deserialize(input)?;
    parse_instant(&text).map_err(de::Error::custom)
}

/// The same where the field may be absent; absence itself is serde's `default`.
pub(super) fn maybe_instant<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Timestamp>, D::Error> {
    instant(input).map(Some)
}

/// The default of a switch that is on unless somebody says otherwise.
pub(super) fn yes() -> bool {
    true
}
