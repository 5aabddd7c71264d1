//! Random histories of one customer, of every kind of fact that a clock, a debt, a promise or a tier
//! depends on. Times fall on few instants, so that many of them are equal, or equal to a due time.

use events::time::spell;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Dice;

/// A fact as a publisher would send it.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) time: Timestamp,
    pub(crate) actor: &'static str,
    pub(crate) voids: Option<String>,
    pub(crate) imported: bool,
    pub(crate) data: Value,
}

impl Raw {
    /// The event about a customer.
    pub(crate) fn event(&self, customer: &str) -> Value {
        let mut event = json!({
            "specversion": "1.0", "id": format!("{customer}-{}", self.id), "source": "/test",
            "subject": customer, "type": format!("sapa.{}.v1", self.kind),
            "time": spell(self.time), "actor": self.actor, "channel": "phone", "data": self.data,
        });
        if let Some(id) = &self.voids {
            event["voids"] = json!(format!("/test#{customer}-{id}"));
        }
        if self.imported {
            event["imported"] = json!(true);
        }
        event
    }
}

/// Facts, in no order.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) facts: Vec<Raw>,
}

/// How many hours after the beginning the last fact may be.
const HOURS: u64 = 24 * 100;

fn begin() -> Timestamp {
    "2026-05-04T00:00:00+07:00".parse().unwrap()
}

/// A moment, mostly within working hours; often one that others have too.
fn moment(dice: &mut Dice) -> Timestamp {
    let hours = [8, 9, 9, 10, 11, 12, 13, 15, 15, 17, 20][dice.index(11)];
    let days = match dice.below(3) {
        0 => [0, 1, 14, 21, 40][dice.index(5)],
        _ => dice.below(HOURS / 24),
    };
    let minutes = if dice.percent(20) { dice.below(60) } else { 0 };
    let hours = i64::try_from(24 * days + hours).unwrap();
    begin()
        + SignedDuration::from_hours(hours)
        + SignedDuration::from_mins(i64::try_from(minutes).unwrap())
}

impl History {
    /// One that follows from the dice.
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let mut history = Self { facts: Vec::new() };
        let facts = 3 + dice.index(13);
        for _ in 0..facts {
            history.add(dice);
        }
        history
    }

    /// The last moment of it.
    pub(crate) fn end(&self) -> Timestamp {
        self.facts.iter().map(|it| it.time).max().unwrap_or_else(begin)
    }

    /// What is left of it without what was taken back. A void that was taken back itself takes
    /// nothing back.
    pub(crate) fn standing(&self) -> Vec<Raw> {
        let is_standing = |it: &&Raw| !self.is_voided(&it.id, 0);
        let bare = |it: &Raw| Raw { voids: None, ..it.clone() };
        self.facts.iter().filter(is_standing).map(bare).collect()
    }

    fn is_voided(&self, id: &str, depth: usize) -> bool {
        assert!(depth <= self.facts.len(), "a fact takes back only what was made before it");
        let own = self.facts.iter().filter(|it| it.voids.as_deref() == Some(id));
        own.into_iter().any(|it| !self.is_voided(&it.id, depth + 1))
    }

    fn push(&mut self, kind: &'static str, actor: &'static str, time: Timestamp, data: Value) {
        let id = format!("f-{}", self.facts.len());
        self.facts.push(Raw { id, kind, time, actor, voids: None, imported: false, data });
    }

    fn add(&mut self, dice: &mut Dice) {
        let (time, number) = (moment(dice), self.facts.len());
        // Few names, so that facts meet.
        let name = |dice: &mut Dice, topic: &str| format!("{topic}-{}", dice.below(2));
        let staff = if dice.percent(15) { "ai/desk-bot" } else { "staff/dewi" };
        match dice.below(100) {
            0..14 => {
                let purpose = ["courtesy", "thanks", "care", "follow_up"][dice.index(4)];
                let outcome = ["reached", "reached", "left_message", "no_answer"][dice.index(4)];
                let data = json!({ "purpose": purpose, "outcome": outcome });
                self.push("interaction.contacted", staff, time, data);
            }
            14..18 => self.push("interaction.greeted", staff, time, json!({ "by_name": true })),
            18..28 => self.opening(dice, time),
            28..40 => self.answer(dice, time, staff),
            40..52 => self.promise(dice, time),
            52..60 => self.settled(dice, time),
            60..67 => {
                let at =
                    time + SignedDuration::from_hours(i64::try_from(dice.below(24 * 60)).unwrap());
                let mut data = json!({
                    "plan": name(dice, "plan"), "at": spell(at), "owner": "dewi", "purpose": "courtesy",
                });
                if dice.percent(45) {
                    data["cancelled"] = json!(true);
                }
                self.push("interaction.planned", "staff/dewi", time, data);
            }
            67..74 => {
                let state = ["given", "withdrawn"][dice.index(2)];
                let data = json!({ "purpose": "contact", "state": state, "basis": "Said so" });
                self.push("customer.consent_changed", "staff/dewi", time, data);
            }
            74..84 => {
                let booking = name(dice, "b");
                self.booking(dice, time, &booking);
            }
            84..88 => {
                let amount = json!({ "amount": 90_000, "currency": "IDR" });
                let data =
                    json!({ "purchase": format!("s-{number}"), "kind": "sale", "amount": amount });
                self.push("purchase.recorded", "customer", time, data);
            }
            88..91 => self.push(
                "complaint.resolved",
                staff,
                time,
                json!({
                    "complaint": name(dice, "k"), "remedy": "Done", "fault": "ours",
                }),
            ),
            _ => self.void(dice, time),
        }
    }

    /// Something that opens a debt; its name is given out once.
    fn opening(&mut self, dice: &mut Dice, time: Timestamp) {
        let free = |kind: &str, member: &str, topic: &str| {
            let taken = self.facts.iter().filter(|it| it.kind == kind).collect::<Vec<_>>();
            (0..2)
                .map(|it| format!("{topic}-{it}"))
                .find(|name| taken.iter().all(|it| it.data[member] != json!(name)))
        };
        match dice.below(5) {
            0 | 1 => {
                let Some(inquiry) = free("interaction.inquired", "inquiry", "q") else { return };
                let urgency = ["normal", "high"][dice.index(2)];
                let data = json!({ "inquiry": inquiry, "topic": "price", "urgency": urgency });
                self.push("interaction.inquired", "customer", time, data);
            }
            2 => {
                let Some(complaint) = free("complaint.raised", "complaint", "k") else { return };
                let severity = ["low", "normal", "high"][dice.index(3)];
                let data = json!({
                    "complaint": complaint, "kind": "service", "category": "noise",
                    "severity": severity, "text": "It is loud",
                });
                self.push("complaint.raised", "customer", time, data);
            }
            3 => {
                let data =
                    json!({ "complaint": format!("k-{}", dice.below(2)), "reason": "Again" });
                self.push("complaint.reopened", "customer", time, data);
            }
            _ => {
                let data = json!({ "instrument": "csat", "score": 1 + dice.below(5) });
                self.push("feedback.received", "customer", time, data);
            }
        }
    }

    fn answer(&mut self, dice: &mut Dice, time: Timestamp, staff: &'static str) {
        let about = Self::about(dice);
        if dice.percent(25) {
            self.push("interaction.messaged", "customer", time, json!({ "about": about }));
            return;
        }
        let mut data = json!({ "about": about, "complete": dice.percent(60) });
        if dice.percent(25) {
            data["waiting"] = json!(true);
        }
        if dice.percent(10) {
            data["automated"] = json!(true);
        }
        self.push("interaction.answered", staff, time, data);
    }

    fn about(dice: &mut Dice) -> String {
        let topic = ["inquiry/q", "inquiry/q", "complaint/k", "promise/p"][dice.index(4)];
        format!("{topic}-{}", dice.below(2))
    }

    fn promise(&mut self, dice: &mut Dice, time: Timestamp) {
        let made = self.facts.iter().filter(|it| it.kind == "promise.made").count();
        if 2 <= made {
            return;
        }
        let hours = [1, 4, 24, 24 * 7, 24 * 30][dice.index(5)];
        let mut data = json!({
            "promise": format!("p-{made}"), "what": "Call back", "owner": "ani",
            "due_at": spell(time + SignedDuration::from_hours(hours)),
        });
        if dice.percent(70) {
            let topic = ["inquiry/q", "complaint/k"][dice.index(2)];
            data["about"] = json!(format!("{topic}-{}", dice.below(2)));
        }
        self.push("promise.made", "staff/ani", time, data);
    }

    fn settled(&mut self, dice: &mut Dice, time: Timestamp) {
        let promise = format!("p-{}", dice.below(2));
        let data = match dice.below(4) {
            0 | 1 => {
                let hours = [2, 24, 24 * 14][dice.index(3)];
                json!({
                    "promise": promise, "how": "renegotiated", "told": dice.percent(85),
                    "new_due_at": spell(time + SignedDuration::from_hours(hours)),
                })
            }
            2 => json!({ "promise": promise, "how": "released" }),
            _ => json!({ "promise": promise, "how": "kept" }),
        };
        self.push("promise.settled", "staff/ani", time, data);
    }

    fn booking(&mut self, dice: &mut Dice, time: Timestamp, booking: &str) {
        let starts = time + SignedDuration::from_hours(i64::try_from(dice.below(24 * 40)).unwrap());
        let ends = starts + SignedDuration::from_hours(8);
        let slot = json!({
            "booking": booking, "venue": "aula-taman",
            "starts_at": spell(starts), "ends_at": spell(ends),
        });
        let with = |more: Value| {
            let mut data = slot.clone();
            for (name, value) in more.as_object().unwrap() {
                data[name] = value.clone();
            }
            data
        };
        let money = |amount: i64| json!({ "amount": amount, "currency": "IDR" });
        match dice.below(6) {
            0 => self.push("booking.requested", "customer", time, with(json!({ "party": 20 }))),
            1 => self.push(
                "booking.confirmed",
                "system/booking",
                time,
                with(json!({ "paid": money(5) })),
            ),
            2 => {
                let data = json!({
                    "booking": booking, "venue": "aula-taman", "by": "customer",
                    "refund_due": money(i64::try_from(dice.below(2)).unwrap() * 1_000),
                });
                self.push("booking.cancelled", "customer", time, data);
            }
            3 => {
                let data = json!({
                    "payment": format!("y-{}", self.facts.len()), "kind": "refund",
                    "amount": money(1_000), "booking": booking,
                });
                self.push("payment.recorded", "staff/dewi", time, data);
            }
            _ => {
                let no_show = dice.percent(20);
                let data = json!({ "booking": booking, "venue": "aula-taman", "no_show": no_show });
                self.push("booking.fulfilled", "customer", time, data);
            }
        }
    }

    /// Takes something back, perhaps something that takes back itself.
    fn void(&mut self, dice: &mut Dice, time: Timestamp) {
        if self.facts.is_empty() {
            return;
        }
        let target = self.facts[dice.index(self.facts.len())].id.clone();
        let data = json!({ "text": "It was a mistake", "visibility": "team" });
        self.push("interaction.noted", "staff/dewi", time, data);
        if let Some(own) = self.facts.last_mut() {
            own.voids = Some(target);
        }
    }
}
