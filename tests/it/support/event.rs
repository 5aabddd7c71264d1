//! Events in one line: everything a test does not say is filled with what is valid, and the bytes
//! go through the one validator like anybody else's.

use std::sync::atomic::{AtomicU64, Ordering};

use events::cloudevents::Sender;
use events::envelope::Incoming;
use events::id::Tenant;
use events::kind::{CustomerRule, Kind};
use serde_json::{Map, Value, json};
use tests::event::{anybody, incoming};

use super::files::golden;
use super::{NOW, at};

/// An event on its way to the door.
#[derive(Clone, Debug)]
pub struct Event {
    tenant: Tenant,
    members: Map<String, Value>,
}

/// A valid event of a kind: by Dewi at the desk, a minute before [`NOW`], about the customer `c-1`,
/// with an id of its own and the data of the golden file.
pub fn event(kind: &str) -> Event {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let known = Kind::from_name(kind).unwrap_or_else(|| panic!("no kind {kind}"));
    let members = json!({
        "specversion": "1.0",
        "id": format!("e-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        "source": "/front-desk",
        "type": known.type_name(known.newest_version()),
        "time": "2026-10-03T14:59:00+07:00",
        "actor": "staff/dewi",
        "channel": "desk",
        "data": golden(known),
    });
    let Value::Object(members) = members else { unreachable!("an object was written") };
    let event = Event { tenant: super::main_tenant(), members };
    if known.customer() == CustomerRule::Never { event } else { event.customer("c-1") }
}

impl Event {
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub fn id(self, id: &str) -> Self {
        self.with("id", id)
    }

    pub fn source(self, source: &str) -> Self {
        self.with("source", source)
    }

    pub fn customer(self, id: &str) -> Self {
        self.with("subject", id)
    }

    pub fn at(self, time: &str) -> Self {
        self.with("time", time)
    }

    pub fn data(self, data: Value) -> Self {
        self.with("data", data)
    }

    /// The same data with one member more, or another value in it.
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members["data"][name] = value.into();
        self
    }

    pub fn expecting(self, version: i64) -> Self {
        self.with("expectedversion", version)
    }

    pub fn tenant(mut self, tenant: &str) -> Self {
        self.tenant = tenant.parse().unwrap();
        self
    }

    /// What travels.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.members).unwrap()
    }

    /// What the door lets in, or a panic with what it says.
    pub fn incoming(self) -> Incoming {
        // Some of the tests are about members that nobody knows.
        let sender = anybody(&self.tenant, at(NOW));
        let sender = Sender { refuse_unknown_fields: false, ..sender };
        incoming(&self.bytes(), &sender)
    }
}
