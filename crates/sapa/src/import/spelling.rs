//! How a file spells numbers, dates and times, as `[source]` declares it once for the whole map.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::date_forms::{DateForm, Use, Zones};
use super::doc::Node;
use super::fault::MapError;
use super::numbers::NumberForm;

/// The keys of `[source]` that are read here.
pub(super) const KEYS: [&str; 7] =
    ["decimal", "thousands", "dates", "times", "instants", "zone", "zones"];

/// What `[source]` says about the spelling of its values.
#[derive(Clone, Debug, Default)]
pub(super) struct Spelling {
    pub(super) numbers: NumberForm,
    /// Forms of days; none is ISO 8601.
    pub(super) dates: Vec<DateForm>,
    /// Forms of times of day.
    pub(super) times: Vec<DateForm>,
    /// Forms of texts that hold both.
    pub(super) instants: Vec<DateForm>,
    /// Where local times are, if the map says so.
    pub(super) zone: Option<TimeZone>,
    /// Zones by the name that the file gives them.
    pub(super) zones: Zones,
}

impl Spelling {
    /// Reads the keys of `[source]`; `text` is the text of a node with settings put in.
    pub(super) fn read<'n, 'd: 'n>(
        find: impl Fn(&str) -> Option<&'n Node<'d>>,
        text: impl Fn(&Node<'d>) -> Result<String, MapError>,
    ) -> Result<Self, MapError> {
        let forms = |key: &str, wanted| {
            find(key).map_or(Ok(Vec::new()), |node| DateForm::compile_all(node, wanted))
        };
        let zone_of = |node: &Node<'d>| {
            let name = text(node)?;
            zone_named(&name).ok_or_else(|| {
                let remedy = "write one such as \"Asia/Jakarta\" or \"UTC\"";
                node.fault(format!("`{name}` is not a time zone"), remedy)
            })
        };
        let mut zones: Zones = HashMap::new();
        for (name, node) in find("zones").map_or(Ok(Vec::new()), Node::table)? {
            zones.insert(name.to_owned(), zone_of(&node)?);
        }
        Ok(Self {
            numbers: NumberForm::compile(find("decimal"), find("thousands"))?,
            dates: forms("dates", Use::Date)?,
            times: forms("times", Use::Time)?,
            instants: forms("instants", Use::Instant)?,
            zone: find("zone").map(zone_of).transpose()?,
            zones,
        })
    }

    /// The zone of local times: UTC where the map does not say.
    pub(super) fn zone(&self) -> &TimeZone {
        static UTC: TimeZone = TimeZone::UTC;
        self.zone.as_ref().unwrap_or(&UTC)
    }
}

/// A zone of the time zone database.
pub(super) fn zone_named(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}
