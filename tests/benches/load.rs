//! Events to measure with: the same ones in every run, through the one validator.

use events::envelope::Incoming;
use events::id::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::event::{self, anybody};

/// Bytes of the data of a note, with its member names.
pub const NOTE_DATA_BYTES: usize = 400;

/// When measured time begins.
pub const BEGIN: &str = "2025-01-01T00:00:00Z";

/// The tenant everything belongs to.
pub fn tenant() -> Tenant {
    "main".parse().expect("a valid tenant")
}

/// An instant so many seconds after the beginning.
pub fn seconds_on(seconds: u64) -> Timestamp {
    let begin: Timestamp = BEGIN.parse().expect("a valid instant");
    begin + SignedDuration::from_secs(i64::try_from(seconds).expect("within measured time"))
}

/// A note of 400 bytes about one of so many customers, as CloudEvents JSON.
pub fn note(n: u64, customers: u64, at: Timestamp) -> Value {
    let text = "x".repeat(NOTE_DATA_BYTES - r#"{"text":"","visibility":"team"}"#.len());
    envelope(
        "interaction.noted",
        n,
        n % customers,
        at,
        &json!({ "visibility": "team", "text": text }),
    )
}

/// One event of a shop's day: contacts, purchases, services and notes; event `n` of a history that
/// goes round all customers.
pub fn mixed(n: u64, customers: u64, at: Timestamp) -> Value {
    let customer = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % customers;
    match n % 10 {
        0..=3 => {
            let data = json!({ "purpose": "courtesy", "outcome": "reached", "text": "Asked how the stay was." });
            envelope("interaction.contacted", n, customer, at, &data)
        }
        4..=6 => {
            let amount = json!({ "amount": 50_000 + (n % 97) * 1_000, "currency": "IDR" });
            let data = json!({ "purchase": format!("p-{n}"), "kind": "sale", "amount": amount });
            envelope("purchase.recorded", n, customer, at, &data)
        }
        7 | 8 => envelope("interaction.served", n, customer, at, &json!({ "service": "room" })),
        _ => note(n, customers, at),
    }
}

fn envelope(kind: &str, n: u64, customer: u64, at: Timestamp, data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": format!("e-{n}"), "source": "/measure",
        "type": format!("sapa.{kind}.v1"), "time": events::time::spell(at),
        "subject": format!("c-{customer}"), "actor": "staff/dewi", "channel": "phone", "data": data,
    })
}

/// What the validator makes of an event.
pub fn incoming(event: &Value, now: Timestamp) -> Incoming {
    let tenant = tenant();
    event::incoming(event.to_string().as_bytes(), &anybody(&tenant, now))
}
