//! What the schema cannot say: intervals, amounts, contacts, and members that belong together.
//!
//! A fact is refused for being malformed, never for being surprising. No finding repeats a value.

use jiff::Timestamp;

use super::booking::CancelledBy;
use super::contact::{is_email, to_e164};
use super::customer::{IdKind, Scope};
use super::feedback::Instrument;
use super::loyalty::Cause;
use super::promise::How;
use super::{Fact, currency};
use crate::id::{CustomerId, looks_like_a_mobile_number};
use crate::money::Money;
use crate::problem::Finding;

/// The calling code that national telephone numbers are read in.
const COUNTRY: &str = "62";

/// Whether the data makes a decision of it that only Sapa takes, or its kind does.
#[must_use]
pub fn reserved(fact: &Fact) -> bool {
    let by_data = match fact {
        Fact::BookingCancelled(it) => {
            matches!(it.by, CancelledBy::HoldExpired | CancelledBy::OfferExpired)
        }
        Fact::PromiseSettled(it) => it.how == How::Broken,
        _ => false,
    };
    by_data || fact.kind().is_reserved()
}

/// Everything in the data that is well spelled and still cannot be meant. `time` is when the event
/// says it happened.
#[must_use]
pub fn check(fact: &Fact, time: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    intervals(fact, &mut findings);
    deadlines(fact, time, &mut findings);
    amounts(fact, &mut findings);
    match fact {
        Fact::CustomerIdentified(it) => match it.id_kind {
            IdKind::Phone if to_e164(&it.value, COUNTRY).is_none() => findings.push(phone()),
            IdKind::Email if !is_email(&it.value) => findings.push(email()),
            _ => {}
        },
        Fact::FeedbackReceived(it) => {
            if let (Some(instrument), Some(score)) = (it.instrument, it.score) {
                findings.extend(score_outside(instrument, score));
            }
        }
        _ => {}
    }
    together(fact, &mut findings);
    findings
}

/// Customer ids in the data that look like a telephone number. Old systems have long numeric ids,
/// so an importer is let off; everybody else is told to use an opaque id.
#[must_use]
pub fn personal_ids(fact: &Fact) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |at: String, it: &CustomerId| {
        if looks_like_a_mobile_number(it.as_str()) {
            findings.push(Finding::new(
                at,
                "id_personal",
                "use an opaque customer id; telephone numbers belong in customer.identified",
                "gunakan id pelanggan yang tidak bermakna; nomor telepon tempatnya di customer.identified",
            ));
        }
    };
    match fact {
        Fact::CustomerRegistered(it) => {
            if let Some(referred_by) = &it.referred_by {
                look("/data/referred_by".to_owned(), referred_by);
            }
        }
        Fact::CustomerMerged(it) => {
            for (index, absorbed) in it.absorbed.iter().enumerate() {
                look(format!("/data/absorbed/{index}"), absorbed);
            }
        }
        Fact::ReferralRecorded(it) => look("/data/referred".to_owned(), &it.referred),
        _ => {}
    }
    findings
}

fn intervals(fact: &Fact, findings: &mut Vec<Finding>) {
    let mut span = |at: &str, starts_at: Timestamp, ends_at: Timestamp| {
        if ends_at <= starts_at {
            findings.push(Finding::new(
                format!("/data{at}/ends_at"),
                "interval",
                "must be after `starts_at`",
                "harus setelah `starts_at`",
            ));
        }
    };
    match fact {
        Fact::BookingRequested(it) => span("", it.starts_at, it.ends_at),
        Fact::BookingHeld(it) => span("", it.starts_at, it.ends_at),
        Fact::BookingConfirmed(it) => span("", it.starts_at, it.ends_at),
        Fact::BookingWaitlisted(it) => span("", it.starts_at, it.ends_at),
        Fact::BookingConflictDetected(it) => span("", it.starts_at, it.ends_at),
        Fact::BookingChanged(it) => {
            span("/from", it.from.starts_at, it.from.ends_at);
            span("/to", it.to.starts_at, it.to.ends_at);
        }
        Fact::BookingOffered(it) => {
            for (index, choice) in it.options.iter().enumerate() {
                span(&format!("/options/{index}"), choice.starts_at, choice.ends_at);
            }
        }
        _ => {}
    }
}

/// A due time that is merely past by now is fine (a tablet that was offline); one before the
/// promise itself is a slip.
fn deadlines(fact: &Fact, time: Timestamp, findings: &mut Vec<Finding>) {
    let (name, due_at) = match fact {
        Fact::PromiseMade(it) => ("due_at", Some(it.due_at)),
        Fact::PromiseSettled(it) => ("new_due_at", it.new_due_at),
        _ => return,
    };
    if due_at.is_some_and(|it| it < time) {
        findings.push(Finding::new(
            format!("/data/{name}"),
            "promise_past",
            "is before the `time` of the event",
            "lebih awal daripada `time` peristiwa",
        ));
    }
}

fn amounts(fact: &Fact, findings: &mut Vec<Finding>) {
    let mut amount = |at: &str, it: &Money| {
        if !(0..=Money::AMOUNT_MAX).contains(&it.amount) {
            findings.push(Finding::new(
                format!("/data{at}/amount"),
                "number_range",
                "amounts are integers, 0 to 10^15, IDR in whole rupiah",
                "jumlah uang adalah bilangan bulat 0 sampai 10^15, IDR dalam rupiah utuh",
            ));
        }
        if !currency::is_listed(it.currency.as_str()) {
            findings.push(Finding::new(
                format!("/data{at}/currency"),
                "range",
                "must be a currency of ISO 4217, such as IDR",
                "harus mata uang ISO 4217, misalnya IDR",
            ));
        }
    };
    let mut optional = |at: &str, it: Option<&Money>| {
        if let Some(it) = it {
            amount(at, it);
        }
    };
    match fact {
        Fact::BookingRequested(it) => optional("/price", it.price.as_ref()),
        Fact::BookingHeld(it) => {
            optional("/price", Some(&it.price));
            optional("/deposit_due", Some(&it.deposit_due));
        }
        Fact::BookingConfirmed(it) => optional("/paid", Some(&it.paid)),
        Fact::BookingCancelled(it) => optional("/refund_due", it.refund_due.as_ref()),
        Fact::BookingOffered(it) => {
            for (index, choice) in it.options.iter().enumerate() {
                optional(&format!("/options/{index}/price"), choice.price.as_ref());
            }
        }
        Fact::PaymentRecorded(it) => optional("/amount", Some(&it.amount)),
        Fact::PurchaseRecorded(it) => optional("/amount", Some(&it.amount)),
        Fact::RewardPosted(it) => optional("/value", Some(&it.value)),
        _ => {}
    }
}

fn phone() -> Finding {
    Finding::new(
        "/data/value",
        "phone",
        "is not a telephone number; write it in international form, +62 and so on",
        "bukan nomor telepon; tulis dalam bentuk internasional, +62 dan seterusnya",
    )
}

fn email() -> Finding {
    Finding::new(
        "/data/value",
        "email",
        "is not one e-mail address of the form name@domain",
        "bukan satu alamat surel berbentuk nama@domain",
    )
}

fn score_outside(instrument: Instrument, score: u8) -> Option<Finding> {
    let (least, most) = match instrument {
        Instrument::Csat => (1, 5),
        Instrument::Nps => (0, 10),
        Instrument::Ces => (1, 7),
    };
    (!(least..=most).contains(&score)).then(|| {
        Finding::new(
            "/data/score",
            "range",
            format!("with `{instrument}` it must be {least} to {most}"),
            format!("dengan `{instrument}` harus {least} sampai {most}"),
        )
    })
}

/// Members that are required, or make sense, only in the company of another.
fn together(fact: &Fact, findings: &mut Vec<Finding>) {
    let mut with = |name: &str, present: bool, wanted: bool, company: &str| {
        if present == wanted {
            return;
        }
        let pointer = format!("/data/{name}");
        findings.push(if wanted {
            Finding::new(
                pointer,
                "required",
                format!("is required with `{company}`"),
                format!("wajib ada dengan `{company}`"),
            )
        } else {
            Finding::new(
                pointer,
                "range",
                format!("goes only with `{company}`"),
                format!("hanya untuk `{company}`"),
            )
        });
    };
    match fact {
        Fact::CustomerErased(it) => {
            with("before", it.before.is_some(), it.scope == Scope::Before, "scope: before");
        }
        Fact::PromiseSettled(it) => {
            let wanted = it.how == How::Renegotiated;
            with("new_due_at", it.new_due_at.is_some(), wanted, "how: renegotiated");
        }
        Fact::LoyaltyTierChanged(it) => {
            let wanted = it.cause == Cause::Manual;
            with("until", it.until.is_some(), wanted, "cause: manual");
            with("by", it.by.is_some(), wanted, "cause: manual");
            with("reason", it.reason.is_some(), wanted, "cause: manual");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    fn found(kind: Kind, data: &str) -> Vec<(String, &'static str)> {
        let time = "2026-07-10T10:00:00+07:00".parse().unwrap();
        let fact = Fact::parse(kind, data).unwrap();
        check(&fact, time).into_iter().map(|it| (it.pointer, it.rule)).collect()
    }

    fn one(pointer: &str, rule: &'static str) -> Vec<(String, &'static str)> {
        vec![(pointer.to_owned(), rule)]
    }

    const SLOT: &str =
        r#""starts_at":"2026-08-15T16:00:00+07:00","ends_at":"2026-08-15T08:00:00+07:00""#;

    #[test]
    fn a_slot_ends_after_it_starts() {
        let data = format!(r#"{{"booking":"b-1","venue":"v-1",{SLOT},"party":2}}"#);
        assert_eq!(found(Kind::BookingRequested, &data), one("/data/ends_at", "interval"));
        let data = format!(
            r#"{{"offer":"o-1","booking":"b-1","kind":"waitlist","options":[{{"venue":"v-1",{SLOT}}}],
                "offer_until":"2026-07-11T10:00:00+07:00"}}"#
        );
        assert_eq!(found(Kind::BookingOffered, &data), one("/data/options/0/ends_at", "interval"));
    }

    #[test]
    fn a_promise_is_not_due_before_it_was_made() {
        let made = |due: &str| {
            let data = format!(r#"{{"promise":"p","what":"call","due_at":"{due}","owner":"ani"}}"#);
            found(Kind::PromiseMade, &data)
        };
        assert_eq!(made("2026-07-10T09:59:59+07:00"), one("/data/due_at", "promise_past"));
        assert!(made("2026-07-10T10:00:00+07:00").is_empty());
    }

    #[test]
    fn a_contact_is_one_that_can_be_used() {
        let identified = |kind: &str, value: &str| {
            let data = format!(r#"{{"id_kind":"{kind}","value":"{value}","strength":"strong"}}"#);
            found(Kind::CustomerIdentified, &data)
        };
        assert!(identified("phone", "0812-3456-7890").is_empty());
        assert_eq!(identified("phone", "ask Budi"), one("/data/value", "phone"));
        assert_eq!(identified("email", r"a@b.id\r\nBcc: x@y.z"), one("/data/value", "email"));
        assert!(identified("member", "ask Budi").is_empty());
    }

    #[test]
    fn an_amount_has_a_currency_that_exists() {
        let paid = |amount: &str, currency: &str| {
            let data = format!(
                r#"{{"payment":"p","kind":"full","amount":{{"amount":{amount},"currency":"{currency}"}}}}"#
            );
            found(Kind::PaymentRecorded, &data)
        };
        assert!(paid("6000000", "IDR").is_empty());
        assert_eq!(paid("-1", "IDR"), one("/data/amount/amount", "number_range"));
        assert_eq!(paid("1000000000000001", "IDR"), one("/data/amount/amount", "number_range"));
        assert_eq!(paid("1", "RPX"), one("/data/amount/currency", "range"));
    }

    #[test]
    fn a_score_fits_its_instrument() {
        let scored = |data: &str| found(Kind::FeedbackReceived, data);
        assert_eq!(scored(r#"{"instrument":"csat","score":6}"#), one("/data/score", "range"));
        assert!(scored(r#"{"instrument":"nps","score":0}"#).is_empty());
    }

    #[test]
    fn members_that_belong_together_come_together() {
        let settled = |data: &str| found(Kind::PromiseSettled, data);
        assert_eq!(
            settled(r#"{"promise":"p","how":"renegotiated"}"#),
            one("/data/new_due_at", "required")
        );
        let changed = r#"{"from":"a","to":"b","cause":"earned","policy_version":1,"evidence":[],"by":"dewi"}"#;
        assert_eq!(found(Kind::LoyaltyTierChanged, changed), one("/data/by", "range"));
    }

    #[test]
    fn a_telephone_number_is_no_customer_id() {
        let looks = |data: &str| {
            personal_ids(&Fact::parse(Kind::CustomerMerged, data).unwrap())
                .into_iter()
                .map(|it| it.pointer)
                .collect::<Vec<_>>()
        };
        let merged = r#"{"absorbed":["c-1","081234567890"],"reason":"same person"}"#;
        assert_eq!(looks(merged), ["/data/absorbed/1"]);
    }

    #[test]
    fn decisions_are_reserved_by_kind_or_by_what_the_data_says() {
        let is = |kind, data: &str| reserved(&Fact::parse(kind, data).unwrap());
        let cancelled = |by: &str| {
            is(Kind::BookingCancelled, &format!(r#"{{"booking":"b","venue":"v","by":"{by}"}}"#))
        };
        assert!(cancelled("hold_expired"));
        assert!(!cancelled("customer"));
        assert!(is(Kind::PromiseSettled, r#"{"promise":"p","how":"broken"}"#));
        assert!(!is(Kind::PromiseSettled, r#"{"promise":"p","how":"kept"}"#));
        assert!(is(Kind::AlertResolved, r#"{"alert":"a","by":"/console#e"}"#));
    }
}
