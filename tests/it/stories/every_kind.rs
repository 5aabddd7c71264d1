//! Every kind that is taken changes something that somebody can see; the others are refused until
//! they do. And a message about nothing in particular is a message.

use events::cloudevents::structured;
use events::kind::{CustomerRule, Kind};
use events::policy::Published;
use events::problem::Code;
use serde_json::{Value, json};
use tests::event::anybody;

use crate::house::{House, instant, main_tenant, stories};
use crate::support::files::golden;

stories![every_kind_changes_a_read_model_or_is_refused, a_message_needs_no_matter];

/// Kinds that no read model shows: their effect is that a command finds what they began.
const FOR_COMMANDS: [Kind; 1] = [Kind::ImprovementProposed];

fn event_of(kind: Kind, number: usize, at: &str) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": format!("k-{number}"), "source": "/test", "time": at,
        "type": kind.type_name(kind.newest_version()), "actor": "staff/dewi", "channel": "phone",
        "data": golden(kind),
    });
    if kind.customer() != CustomerRule::Never {
        event["subject"] = json!(format!("c-{number}"));
    }
    match kind {
        Kind::ImprovementMade => event["data"]["because"] = json!(["/test#complaint"]),
        Kind::PolicyPublished => {
            let (from, body) = ("2026-05-01T00:00:00+07:00", json!({}));
            let hash = Published::new("venues", 2, instant(from), body.clone()).hash;
            event["data"] = json!({
                "name": "venues", "version": 2, "effective_from": from, "hash": hash, "body": body,
            });
        }
        _ => {}
    }
    event
}

async fn every_kind_changes_a_read_model_or_is_refused(house: House) {
    let at = "2026-05-02T09:00:00+07:00";
    let complaint = json!({ "id": "complaint", "time": at, "subject": "c-0", "data": golden(Kind::ComplaintRaised) });
    house.pass_until(at).await;
    house.event(complaint, "complaint.raised").await;
    let mut without_effect = Vec::new();
    for (number, kind) in (1..).zip(Kind::ALL.iter().copied()) {
        let event = event_of(kind, number, at).to_string();
        let tenant = main_tenant();
        let read = structured(event.as_bytes(), &anybody(&tenant, instant(at)));
        if !kind.is_built() {
            assert_eq!(read.unwrap_err().code, Code::NotBuilt, "{kind}");
            continue;
        }
        let before = house.hashes().await;
        house.take(read.unwrap_or_else(|it| panic!("{kind}: {it} {:?}", it.errors))).await;
        if house.hashes().await == before {
            without_effect.push(kind);
        }
    }
    assert_eq!(without_effect, FOR_COMMANDS);
}

async fn a_message_needs_no_matter(house: House) {
    let data = json!({ "inquiry": "q-1", "topic": "price" });
    house.fact("2026-06-01T10:00:00+07:00", "c-1", "interaction.inquired", data).await;
    house.fact("2026-06-05T10:00:00+07:00", "c-1", "interaction.messaged", json!({})).await;
    let they = house.clock_of("c-1", "they").await;
    assert_eq!(they["last"], "2026-06-05", "{they}");
    let timeline = house.timeline("c-1").await;
    let last = timeline.last().unwrap();
    assert_eq!((last.summary.en.as_str(), last.dangling), ("Wrote to us", false));
    let neglect = house.neglect("c-1").await;
    assert_eq!(neglect["obligations"].as_array().unwrap().len(), 1, "{neglect}");
}
