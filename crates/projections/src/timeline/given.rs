//! Facts for tests: who did what when, and everything else filled in.

use events::envelope::{Attributes, Channel, Recorded};
use events::fact::Fact;
use events::id::EventRef;
use events::kind::Kind;
use events::policy::Policies;
use jiff::Timestamp;

use crate::entry::Entry;

/// A local time in Jakarta: `2026-10-03 14:00`.
pub(crate) fn at(text: &str) -> Timestamp {
    format!("{}:00+07:00", text.replace(' ', "T")).parse().unwrap()
}

/// A fact of `c-ida`, recorded when it happened, by staff unless the customer moved.
pub(crate) fn event(position: i64, kind: &str, when: &str, data: &str) -> Recorded {
    let kind: Kind = kind.parse().unwrap();
    let actor = match kind.direction() {
        events::kind::Direction::In => "customer",
        _ => "staff/dewi",
    };
    Recorded {
        position,
        tenant: "main".parse().unwrap(),
        stream: "customer/c-ida".parse().unwrap(),
        version: position,
        source: "/hotel/front-desk".parse().unwrap(),
        id: format!("e-{position}").parse().unwrap(),
        kind,
        schema_version: kind.newest_version(),
        customer: Some("c-ida".parse().unwrap()),
        occurred_at: at(when),
        recorded_at: at(when),
        causation_id: None,
        correlation_id: None,
        trace: None,
        attributes: Attributes {
            actor: actor.parse().unwrap(),
            channel: Some(Channel::Desk),
            voids: None,
            imported: false,
            dataschema: None,
            extensions: std::collections::BTreeMap::new(),
        },
        data: data.into(),
    }
}

/// Shows a fact to a fold, with the day it has in Jakarta.
pub(crate) fn with<T>(event: &Recorded, see: impl FnOnce(&Entry<'_>) -> T) -> T {
    let fact: Fact = event.fact().unwrap();
    let day = Policies::default().calendar.local_date(event.occurred_at);
    see(&Entry { event, fact: &fact, day })
}

/// The reference of the fact at a position.
pub(crate) fn reference(position: i64) -> EventRef {
    format!("/hotel/front-desk#e-{position}").parse().unwrap()
}
