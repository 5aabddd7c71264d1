//! Names and ids: parsed once at the border, never a bare string again.
//!
//! Each type accepts exactly the grammar of its line in the table of names and refuses everything
//! else with an [`IdError`] that says which rule was broken. None of them echoes the value: a wrong
//! customer id may be somebody's telephone number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an id of the wanted sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Characters, length or form do not fit the grammar.
    #[error("{0}")]
    Grammar(&'static str),
    /// The id looks like an e-mail address (bad input B69).
    #[error(
        "use an opaque customer id; addresses and telephone numbers belong in customer.identified"
    )]
    Personal,
}

/// Gives a checked text the traits that every id has.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text, as it was sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> Result<(), IdError> = $check;
                check(text).map(|()| Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Whose data this is: `[a-z0-9_-]{1,32}`. Part of every key, subject and credential.
    Tenant,
    |text| {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        fits.then_some(()).ok_or(IdError::Grammar("a tenant is 1 to 32 of a-z 0-9 _ -"))
    }
);

id!(
    /// A guest, member or account holder, as the publishing services know them. Opaque.
    ///
    /// What looks like a telephone number is refused at the door and not here, because old systems
    /// whose history is imported do number their customers that way.
    CustomerId,
    |text| {
        if text.contains('@') {
            return Err(IdError::Personal);
        }
        identifier(text)
    }
);

id!(
    /// Any other id of the trade: venue, booking, complaint, promise, visit, staff.
    Ident,
    identifier
);

id!(
    /// A short name out of a list: topic, category, service, team, tier, rule, policy.
    Slug,
    |text| {
        let mut bytes = text.bytes();
        let fits = text.len() <= 64
            && bytes.next().is_some_and(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9'))
            && bytes.all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        fits.then_some(()).ok_or(IdError::Grammar("a slug is 1 to 64 of a-z 0-9 _ -, first a letter or digit"))
    }
);

id!(
    /// The id that the sender gave an event: 1 to 64 characters, kept byte for byte.
    EventId,
    |text| {
        let chars = text.chars().count();
        let fits = (1..=64).contains(&chars)
            && text.trim() == text
            && !text.chars().any(char::is_control)
            && !is_nil_or_max(text);
        fits.then_some(()).ok_or(IdError::Grammar(
            "an event id is 1 to 64 characters without control characters or outer spaces, not a nil or max UUID",
        ))
    }
);

id!(
    /// Who sent an event: a URI reference without `#`, 1 to 256 bytes.
    Source,
    |text| {
        let fits = (1..=256).contains(&text.len())
            && text.bytes().all(|it| it.is_ascii_graphic() && !matches!(it, b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'));
        fits.then_some(()).ok_or(IdError::Grammar("a source is a URI reference without #, 1 to 256 bytes"))
    }
);

id!(
    /// What a fact is about: `<topic>/<id>`, such as `complaint/k-55`.
    About,
    |text| {
        const TOPICS: [&str; 9] = [
            "inquiry", "booking", "complaint", "promise", "feedback", "improvement", "visit",
            "purchase", "referral",
        ];
        let (topic, id) = text.split_once('/').ok_or(IdError::Grammar("a reference is <topic>/<id>"))?;
        if !TOPICS.contains(&topic) {
            return Err(IdError::Grammar(
                "a reference begins with inquiry, booking, complaint, promise, feedback, improvement, visit, purchase or referral",
            ));
        }
        identifier(id)
    }
);

id!(
    /// Who acted: `customer`, `staff/<id>`, `ai/<id>` or `system/<id>`.
    Actor,
    |text| match text.split_once('/') {
        None if text == "customer" => Ok(()),
        Some(("staff" | "ai" | "system", id)) => identifier(id),
        _ => Err(IdError::Grammar("an actor is customer, staff/<id>, ai/<id> or system/<id>")),
    }
);

id!(
    /// The stream an event belongs to: `<family>/<id>`. It follows from the type.
    Stream,
    |text| {
        let (_, id) = text.split_once('/').ok_or(IdError::Grammar("a stream is <family>/<id>"))?;
        identifier(id)
    }
);

impl About {
    /// Joins a topic of the list above and an id.
    #[must_use]
    pub fn new(topic: &'static str, id: &str) -> Option<Self> {
        format!("{topic}/{id}").parse().ok()
    }

    /// The topic before the slash.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.split_once('/').map_or("", |(topic, _)| topic)
    }

    /// The id after the slash.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }
}

/// The first part of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// The person all this is for.
    Customer,
    /// A human who works for us.
    Staff,
    /// A software agent acting for us.
    Ai,
    /// A program.
    System,
}

impl ActorKind {
    /// The word in the attribute `actorkind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Ai => "ai",
            Self::System => "system",
        }
    }
}

impl Actor {
    /// What sort of actor this is.
    #[must_use]
    pub fn kind(&self) -> ActorKind {
        match self.0.split_once('/') {
            Some(("staff", _)) => ActorKind::Staff,
            Some(("ai", _)) => ActorKind::Ai,
            Some(_) => ActorKind::System,
            None => ActorKind::Customer,
        }
    }

    /// The id after the slash; `customer` for the customer.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("customer", |(_, id)| id)
    }
}

/// One event named from another: `<source>#<id>`, split at the first `#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef {
    /// Who sent it.
    pub source: Source,
    /// Its id there.
    pub id: EventId,
}

impl FromStr for EventRef {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (source, id) =
            text.split_once('#').ok_or(IdError::Grammar("an event reference is <source>#<id>"))?;
        Ok(Self { source: source.parse()?, id: id.parse()? })
    }
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.source, self.id)
    }
}

impl Serialize for EventRef {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn identifier(text: &str) -> Result<(), IdError> {
    let mut bytes = text.bytes();
    let fits = text.len() <= 64
        && bytes.next().is_some_and(|it| it.is_ascii_alphanumeric())
        && bytes.all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b':' | b'-'));
    fits.then_some(()).ok_or(IdError::Grammar(
        "an id is 1 to 64 of A-Z a-z 0-9 . _ - : and begins with a letter or digit",
    ))
}

/// `(0|62|0062)8` and 7 to 11 digits, with or without a leading plus: an Indonesian mobile number.
///
/// Written in groups, as people write it, it has at least 10 digits: shorter groups of digits are
/// the numbers that branches and years are made of.
#[must_use]
pub fn looks_like_a_mobile_number(text: &str) -> bool {
    const BETWEEN: [char; 5] = ['-', '.', ' ', '(', ')'];
    if !text.starts_with(['+', '(', '0', '6']) {
        return false;
    }
    let is_grouped = text.contains(BETWEEN);
    let bare = text.trim_start_matches('(');
    let digits: String =
        bare.strip_prefix('+').unwrap_or(bare).chars().filter(|it| !BETWEEN.contains(it)).collect();
    let national = ["0062", "62", "0"].iter().find_map(|it| digits.strip_prefix(it));
    let least = if is_grouped { 8 } else { 7 };
    national.and_then(|it| it.strip_prefix('8')).is_some_and(|rest| {
        (least..=11).contains(&rest.len()) && rest.bytes().all(|it| it.is_ascii_digit())
    })
}

fn is_nil_or_max(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok_and(|it| it.is_nil() || it.is_max())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_id_is_opaque() {
        assert!("c-1029".parse::<CustomerId>().is_ok());
        assert!("H1:204".parse::<CustomerId>().is_ok());
        assert_eq!("ibu@example.org".parse::<CustomerId>(), Err(IdError::Personal));
        assert!(looks_like_a_mobile_number("081234567890"));
        assert!(looks_like_a_mobile_number("+6281234567890"));
        for grouped in
            ["0812-3456-7890", "+62-812-3456-7890", "62.812.3456.789", "(0812) 3456 7890"]
        {
            assert!(looks_like_a_mobile_number(grouped), "{grouped}");
        }
        for other in ["0812", "08-2026-17", "62-2026-0001234", "c-081234567890", "0812-3456-789x"] {
            assert!(!looks_like_a_mobile_number(other), "{other}");
        }
        for wrong in ["", "_", "-a", "a b", "a/b", "../x", &"x".repeat(65)] {
            assert!(matches!(wrong.parse::<CustomerId>(), Err(IdError::Grammar(_))), "{wrong}");
        }
    }

    #[test]
    fn an_event_reference_splits_at_the_first_hash() {
        let it: EventRef = "/hotel/pms#a#b".parse().unwrap();
        assert_eq!((it.source.as_str(), it.id.as_str()), ("/hotel/pms", "a#b"));
        assert_eq!(it.to_string(), "/hotel/pms#a#b");
    }

    #[test]
    fn an_event_id_is_not_a_nil_uuid() {
        for wrong in ["", " a", "a\u{7}", "00000000-0000-0000-0000-000000000000"] {
            assert!(wrong.parse::<EventId>().is_err(), "{wrong:?}");
        }
        assert!("77 a".parse::<EventId>().is_ok());
    }

    #[test]
    fn the_kind_of_an_actor_is_its_first_part() {
        assert_eq!("staff/dewi".parse::<Actor>().unwrap().kind(), ActorKind::Staff);
        assert_eq!("customer".parse::<Actor>().unwrap().kind(), ActorKind::Customer);
        assert!("dewi".parse::<Actor>().is_err());
    }
}
