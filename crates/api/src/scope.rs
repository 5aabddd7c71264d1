//! What a credential may do: the scopes, and the sets that people ask for by name.
//!
//! Default is to deny: an operation names the one scope that opens it, and `admin` opens all.

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Publish facts of open kinds.
    EventsAppend,
    /// Publish decision kinds, old dates and `imported`.
    Import,
    /// Read the log, streams and the live stream.
    EventsRead,
    /// Read what is known of customers.
    TimelineRead,
    /// See personal fields.
    PiiRead,
    /// Command interactions, complaints, feedback and improvements.
    InteractionWrite,
    /// Merge, assign, note traits, give rewards, set a tier.
    CustomerWrite,
    /// Command bookings and payments.
    BookingWrite,
    /// Make and settle promises.
    PromiseWrite,
    /// Take, acknowledge, put off and pass on alerts.
    AlertAck,
    /// Publish policies.
    PolicyWrite,
    /// Rebuild and swap read models.
    ProjectionManage,
    /// Look after quarantine.
    QuarantineManage,
    /// Look after webhooks.
    WebhookManage,
    /// Make and revoke keys.
    KeyManage,
    /// Read metrics and the state of read models.
    MetricsRead,
    /// Forget a customer.
    EraseExecute,
    /// Everything.
    Admin,
}

impl Scope {
    /// All of them, in the order of the documents.
    pub const ALL: [Self; 18] = [
        Self::EventsAppend,
        Self::Import,
        Self::EventsRead,
        Self::TimelineRead,
        Self::PiiRead,
        Self::InteractionWrite,
        Self::CustomerWrite,
        Self::BookingWrite,
        Self::PromiseWrite,
        Self::AlertAck,
        Self::PolicyWrite,
        Self::ProjectionManage,
        Self::QuarantineManage,
        Self::WebhookManage,
        Self::KeyManage,
        Self::MetricsRead,
        Self::EraseExecute,
        Self::Admin,
    ];

    /// The word in keys and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventsAppend => "events:append",
            Self::Import => "import",
            Self::EventsRead => "events:read",
            Self::TimelineRead => "timeline:read",
            Self::PiiRead => "pii:read",
            Self::InteractionWrite => "interaction:write",
            Self::CustomerWrite => "customer:write",
            Self::BookingWrite => "booking:write",
            Self::PromiseWrite => "promise:write",
            Self::AlertAck => "alert:ack",
            Self::PolicyWrite => "policy:write",
            Self::ProjectionManage => "projection:manage",
            Self::QuarantineManage => "quarantine:manage",
            Self::WebhookManage => "webhook:manage",
            Self::KeyManage => "key:manage",
            Self::MetricsRead => "metrics:read",
            Self::EraseExecute => "erase:execute",
            Self::Admin => "admin",
        }
    }

    /// The scope of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    const fn bit(self) -> u32 {
        match self {
            Self::EventsAppend => 1,
            Self::Import => 1 << 1,
            Self::EventsRead => 1 << 2,
            Self::TimelineRead => 1 << 3,
            Self::PiiRead => 1 << 4,
            Self::InteractionWrite => 1 << 5,
            Self::CustomerWrite => 1 << 6,
            Self::BookingWrite => 1 << 7,
            Self::PromiseWrite => 1 << 8,
            Self::AlertAck => 1 << 9,
            Self::PolicyWrite => 1 << 10,
            Self::ProjectionManage => 1 << 11,
            Self::QuarantineManage => 1 << 12,
            Self::WebhookManage => 1 << 13,
            Self::KeyManage => 1 << 14,
            Self::MetricsRead => 1 << 15,
            Self::EraseExecute => 1 << 16,
            Self::Admin => 1 << 17,
        }
    }
}

/// The named sets of scopes: name and members.
pub const SETS: [(&str, &[Scope]); 5] = [
    ("publisher", &[Scope::EventsAppend]),
    (
        "agent",
        &[
            Scope::TimelineRead,
            Scope::PiiRead,
            Scope::EventsRead,
            Scope::InteractionWrite,
            Scope::CustomerWrite,
            Scope::BookingWrite,
            Scope::PromiseWrite,
            Scope::AlertAck,
        ],
    ),
    ("assistant", &[Scope::TimelineRead, Scope::InteractionWrite]),
    ("alerting", &[Scope::TimelineRead, Scope::AlertAck]),
    (
        "operator",
        &[
            Scope::EventsRead,
            Scope::ProjectionManage,
            Scope::QuarantineManage,
            Scope::WebhookManage,
            Scope::MetricsRead,
        ],
    ),
];

/// The scopes of one credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// Exactly these.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |all, it| all | it.bit()))
    }

    /// The set of a name, such as `agent`.
    #[must_use]
    pub fn set(name: &str) -> Option<Self> {
        SETS.iter().find(|(it, _)| *it == name).map(|(_, scopes)| Self::of(scopes))
    }

    /// The scopes of some words; words that are no scope grant nothing.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self(words.into_iter().filter_map(Scope::from_word).fold(0, |all, it| all | it.bit()))
    }

    /// Whether a scope is granted; `admin` grants all.
    #[must_use]
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Whether everything in `other` is granted here too.
    #[must_use]
    pub fn cover(self, other: Self) -> bool {
        Scope::ALL.into_iter().all(|it| other.0 & it.bit() == 0 || self.allow(it))
    }

    /// The words, in the order of the documents.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        let granted = |it: &Scope| self.0 & it.bit() != 0;
        Scope::ALL.into_iter().filter(granted).map(Scope::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_a_word_and_a_bit_of_its_own() {
        let all = Scopes::of(&Scope::ALL);
        assert_eq!(all.words().len(), Scope::ALL.len());
        for scope in Scope::ALL {
            assert_eq!(Scope::from_word(scope.as_str()), Some(scope));
        }
    }

    #[test]
    fn only_admin_opens_what_was_not_granted() {
        let publisher = Scopes::set("publisher").unwrap();
        assert!(publisher.allow(Scope::EventsAppend));
        assert!(!publisher.allow(Scope::Import));
        let admin = Scopes::of(&[Scope::Admin]);
        assert!(Scope::ALL.into_iter().all(|it| admin.allow(it)));
        assert!(admin.cover(publisher) && !publisher.cover(admin));
    }

    #[test]
    fn a_word_that_is_no_scope_grants_nothing() {
        assert_eq!(Scopes::from_words(["root", "*"]), Scopes::default());
    }
}
