//! NATS subjects, both ways, out of checked tokens only.
//!
//! `sapa.v1.<tenant>.in.<topic>.<action>` brings events in, `….out.<topic>.<action>.<customer>` and
//! `….alert.<kind>.<customer>` take them out. No other place in the workspace spells a subject: the
//! client library and the server would store a message under the literal subject `….>`.

use data_encoding::BASE32_NOPAD;

use crate::id::{CustomerId, Ident, Tenant};
use crate::kind::Kind;

/// Everything that this system's subjects begin with.
pub const ROOT: &str = "sapa.v1";
/// What `SAPA_OUT` holds, as one filter: the relay's fence.
pub const ALL: &str = "sapa.v1.>";
/// What publishers may publish to.
pub const IN_FILTER: &str = "sapa.v1.*.in.*.*";
/// The same, stamped with the publisher's account by the server.
pub const FROM_FILTER: &str = "sapa.v1.*.from.*.*.*";
/// Recorded facts.
pub const OUT_FILTER: &str = "sapa.v1.*.out.*.*.*";
/// Recorded alerts.
pub const ALERT_FILTER: &str = "sapa.v1.*.alert.*.*";
/// Longest subject that Sapa publishes, in characters.
pub const CHARS_MAX: usize = 256;

/// A message's way in, as its subject tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// Whose data it is.
    pub tenant: Tenant,
    /// Which account published it, where the server stamps that into the subject.
    pub publisher: Option<Ident>,
    /// Topic token; the event's type must agree.
    pub topic: String,
    /// Action token; the event's type must agree.
    pub action: String,
}

/// The subject is not one of ours, or a token is outside its alphabet (bad input B19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subject is sapa.v1.<tenant>.in.<topic>.<action> with tokens of a-z 0-9 _")]
pub struct SubjectError;

impl Ingress {
    /// Reads the subject of a message on `SAPA_IN`.
    pub fn parse(subject: &str) -> Result<Self, SubjectError> {
        let rest = subject.strip_prefix(ROOT).and_then(|it| it.strip_prefix('.'));
        let tokens: Vec<&str> = rest.ok_or(SubjectError)?.split('.').collect();
        let (tenant, publisher, topic, action) = match tokens[..] {
            [tenant, "in", topic, action] => (tenant, None, topic, action),
            [tenant, "from", publisher, topic, action] => {
                let publisher = publisher.parse().map_err(|_| SubjectError)?;
                (tenant, Some(publisher), topic, action)
            }
            _ => return Err(SubjectError),
        };
        if !is_word(topic) || !is_word(action) {
            return Err(SubjectError);
        }
        let tenant = tenant.parse().map_err(|_| SubjectError)?;
        Ok(Self { tenant, publisher, topic: topic.to_owned(), action: action.to_owned() })
    }
}

fn is_word(token: &str) -> bool {
    (1..=32).contains(&token.len())
        && token.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Where publishers send this kind.
#[must_use]
pub fn ingress(tenant: &Tenant, kind: Kind) -> String {
    format!("{ROOT}.{tenant}.in.{}.{}", kind.topic(), kind.action())
}

/// Where a recorded fact goes out.
#[must_use]
pub fn out(tenant: &Tenant, kind: Kind, customer: Option<&CustomerId>) -> String {
    format!("{ROOT}.{tenant}.out.{}.{}.{}", kind.topic(), kind.action(), token(customer))
}

/// Where a recorded alert goes out; `alert_kind` is a word such as `we_silent`.
#[must_use]
pub fn alert(tenant: &Tenant, alert_kind: &str, customer: Option<&CustomerId>) -> String {
    let kind = if is_word(alert_kind) { alert_kind } else { "_" };
    format!("{ROOT}.{tenant}.alert.{kind}.{}", token(customer))
}

/// Where operators hear of a quarantined message; `code` is a word of the problem catalogue.
#[must_use]
pub fn quarantine(tenant: &Tenant, code: &str) -> String {
    format!("{ROOT}.{tenant}.quarantine.{code}")
}

/// A customer as one subject token: itself where it is safe, otherwise `b32-` and lower-case base32.
///
/// The second clause (an id that itself begins with `b32-` is encoded) keeps the coding injective.
#[must_use]
pub fn token(customer: Option<&CustomerId>) -> String {
    let Some(id) = customer.map(CustomerId::as_str) else { return "_".to_owned() };
    let safe = id.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    if safe && !id.starts_with("b32-") {
        return id.to_owned();
    }
    format!("b32-{}", BASE32_NOPAD.encode(id.as_bytes()).to_ascii_lowercase())
}

/// The customer behind a token; `None` for `_` and for what no id encodes to.
#[must_use]
pub fn customer(token: &str) -> Option<CustomerId> {
    let Some(encoded) = token.strip_prefix("b32-") else { return token.parse().ok() };
    let bytes = BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes()).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn face_id4_subject_token_vectors() {
        for (id, wanted) in [
            ("c-1029", "c-1029"),
            ("0812", "0812"),
            ("H1:204", "b32-jaytumrqgq"),
            ("a.b", "b32-mexge"),
            ("b32-x", "b32-miztelly"),
        ] {
            let customer_id: CustomerId = id.parse().unwrap();
            assert_eq!(token(Some(&customer_id)), wanted);
            assert_eq!(customer(wanted), Some(customer_id));
        }
        assert_eq!(token(None), "_");
        assert_eq!(customer("_"), None);
    }

    #[test]
    fn a_subject_is_read_token_by_token() {
        let it = Ingress::parse("sapa.v1.main.in.booking.requested").unwrap();
        assert_eq!((it.topic.as_str(), it.action.as_str()), ("booking", "requested"));
        let it = Ingress::parse("sapa.v1.main.from.crs.booking.requested").unwrap();
        assert_eq!(it.publisher.unwrap().as_str(), "crs");
        for wrong in [
            "sapa.v1.main.in.booking.*",
            "sapa.v1.main.in.booking.>",
            "sapa.v1.main.in.booking",
            "sapa.v1.MAIN.in.booking.requested",
            "sapa.v2.main.in.booking.requested",
            "sapa.v1.main.out.booking.requested.c",
        ] {
            assert_eq!(Ingress::parse(wrong), Err(SubjectError), "{wrong}");
        }
    }
}
