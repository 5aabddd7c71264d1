//! The journal the story is written into: makes envelopes, ids and marks.
//!
//! Promises that no fact lies after the story's end, that everything older than fourteen
//! days carries `imported`, and that a decision which only Sapa may take is written only
//! among the imported facts; what would break one of these is left out.
//! It also keeps, for the customer being written, the days that move the two clocks of silence.

use std::collections::BTreeSet;

use events::kind::Kind;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::calendar::Calendar;
use super::{Plan, StoryEvent};

/// The namespace of every id Sapa derives: version 5 of the URL namespace and `urn:sapa`.
const NAMESPACE: Uuid = Uuid::from_u128(0x8eb4_0708_1dce_5417_9f79_0783_87c7_8a12);

/// Facts older than this many hours were loaded later and carry `imported`.
pub(super) const FRESH_HOURS: i64 = 14 * 24;

/// What happened, and through which hands: the parts of an envelope that are not about whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act<'a> {
    /// `<topic>.<action>`.
    pub(super) kind: &'static str,
    /// The publishing system.
    pub(super) source: &'static str,
    /// `customer`, `staff/<id>`, `ai/<id>` or `system/<id>`.
    pub(super) actor: &'a str,
    /// Where it happened, for the kinds that say so.
    pub(super) channel: Option<&'static str>,
}

/// An act of the customer.
pub(super) fn theirs(
    kind: &'static str,
    source: &'static str,
    channel: &'static str,
) -> Act<'static> {
    Act { kind, source, actor: "customer", channel: Some(channel) }
}

/// An act of ours towards the customer.
pub(super) fn ours<'a>(
    kind: &'static str,
    source: &'static str,
    actor: &'a str,
    channel: &'static str,
) -> Act<'a> {
    Act { kind, source, actor, channel: Some(channel) }
}

/// A fact without a channel: bookings, payments, notes.
pub(super) fn quiet<'a>(kind: &'static str, source: &'static str, actor: &'a str) -> Act<'a> {
    Act { kind, source, actor, channel: None }
}

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: &'a str,
    actor: &'a str,
    actorkind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    imported: bool,
    datacontenttype: &'static str,
    data: &'a Value,
}

/// The days on which each side was heard, of one customer.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Days on which the customer did something (*they*).
    pub(super) they: BTreeSet<i64>,
    /// Days on which we did something for the customer (*we*).
    pub(super) we: BTreeSet<i64>,
}

/// The story as it is being written.
#[derive(Debug)]
pub(super) struct Journal {
    /// Local days and hours.
    pub(super) calendar: Calendar,
    /// The end of the story.
    pub(super) now: Timestamp,
    /// The clocks of the customer being written.
    pub(super) clocks: Clocks,
    /// Complaints so far: when, about what, and the reference of the fact.
    pub(super) complaints: Vec<(Timestamp, &'static str, String)>,
    fresh_from: Timestamp,
    seed: u64,
    serial: u64,
    events: Vec<StoryEvent>,
}

impl Journal {
    /// An empty journal for a plan.
    pub(super) fn new(plan: &Plan) -> Self {
        let fresh = SignedDuration::from_hours(FRESH_HOURS);
        Self {
            calendar: Calendar::new(plan),
            now: plan.now,
            clocks: Clocks::default(),
            complaints: Vec::new(),
            fresh_from: plan.now.saturating_sub(fresh).unwrap_or(plan.now),
            seed: plan.seed,
            serial: 0,
            events: Vec::new(),
        }
    }

    /// Begins the next customer: the clocks start empty.
    pub(super) fn turn_page(&mut self) {
        self.clocks = Clocks::default();
    }

    /// An id such as `q-481` that no other thing of the story has.
    pub(super) fn name(&self, letter: &str) -> String {
        format!("{letter}-{}", self.serial + 1)
    }

    /// True if a fact of this moment is history loaded later.
    pub(super) fn is_imported(&self, at: Timestamp) -> bool {
        at < self.fresh_from
    }

    /// Writes one fact about `subject`; answers its reference `<source>#<id>`, or none if the
    /// fact may not stand in the story (see the head of this file).
    pub(super) fn record(
        &mut self,
        at: Timestamp,
        subject: &str,
        act: Act<'_>,
        data: &Value,
    ) -> Option<String> {
        self.write(at, Some(subject), act, data)
    }

    /// Writes one fact without a customer.
    pub(super) fn record_of_house(
        &mut self,
        at: Timestamp,
        act: Act<'_>,
        data: &Value,
    ) -> Option<String> {
        self.write(at, None, act, data)
    }

    fn write(
        &mut self,
        at: Timestamp,
        subject: Option<&str>,
        act: Act<'_>,
        data: &Value,
    ) -> Option<String> {
        let imported = self.is_imported(at);
        if at > self.now || (!imported && Kind::from_name(act.kind).is_some_and(Kind::is_reserved))
        {
            return None;
        }
        self.serial += 1;
        let id = event_id(&format!("story|{}|{}", self.seed, self.serial));
        self.move_clocks(at, act, data);
        let reference = format!("{}#{id}", act.source);
        let event = compose(&self.calendar, &id, at, subject, act, imported, data);
        self.events.push(event);
        Some(reference)
    }

    fn move_clocks(&mut self, at: Timestamp, act: Act<'_>, data: &Value) {
        let day = self.calendar.day_of(at);
        let says =
            |member: &str, text: &str| data.get(member).and_then(Value::as_str) == Some(text);
        let theirs = match act.kind {
            "interaction.inquired"
            | "interaction.messaged"
            | "interaction.arrived"
            | "interaction.departed"
            | "booking.requested"
            | "purchase.recorded"
            | "complaint.raised"
            | "complaint.reopened"
            | "feedback.received"
            | "referral.recorded"
            | "booking.fulfilled" => true,
            "booking.cancelled" => says("by", "customer"),
            "payment.recorded" => !says("kind", "refund"),
            _ => false,
        };
        let ours = match act.kind {
            "interaction.greeted"
            | "interaction.served"
            | "interaction.recommended"
            | "interaction.answered"
            | "interaction.thanked"
            | "complaint.resolved"
            | "promise.made" => true,
            "interaction.contacted" => !says("outcome", "no_answer"),
            "interaction.departed" => data.get("farewell").and_then(Value::as_bool) == Some(true),
            _ => false,
        };
        if theirs {
            self.clocks.they.insert(day);
        }
        if ours {
            self.clocks.we.insert(day);
        }
    }

    /// The moment of the first fact so far.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.events.iter().map(|it| it.time).min()
    }

    /// The whole story in the order of its moments; facts of one moment stay as written.
    pub(super) fn into_events(self) -> Vec<StoryEvent> {
        let mut events = self.events;
        events.sort_by_key(|event| event.time);
        events
    }
}

/// The id that follows from `name`.
pub(super) fn event_id(name: &str) -> String {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).hyphenated().to_string()
}

/// One structured event.
pub(super) fn compose(
    calendar: &Calendar,
    id: &str,
    at: Timestamp,
    subject: Option<&str>,
    act: Act<'_>,
    imported: bool,
    data: &Value,
) -> StoryEvent {
    let (topic, action) = act.kind.split_once('.').expect("every kind is topic and action");
    let envelope = Envelope {
        specversion: "1.0",
        id,
        source: act.source,
        kind: format!("sapa.{}.v1", act.kind),
        subject,
        time: &calendar.text(at),
        actor: act.actor,
        actorkind: act.actor.split('/').next().unwrap_or(act.actor),
        channel: act.channel,
        imported,
        datacontenttype: "application/json",
        data,
    };
    let json = serde_json::to_string(&envelope).expect("text and numbers have a JSON form");
    StoryEvent { time: at, json, topic_action: (topic.to_owned(), action.to_owned()) }
}
