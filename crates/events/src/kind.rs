//! Every kind of fact, one line each: what follows from a type is decided here and nowhere else.
//!
//! A kind knows what follows from its type alone: its phase, its direction, the family of its
//! stream, whether a publisher may send it and whether it needs a customer. What depends on the
//! data is in [`crate::fact`]. A name that is not in this table is refused, with the nearest one
//! that is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// When in a customer's dealings a fact belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseRule {
    /// Before the dealing: a greeting, an arrival.
    Before,
    /// While it goes on: recommendations, bookings, payments.
    During,
    /// When it is over: thanks, farewell, feedback, rewards.
    After,
    /// It follows from what else is open with the customer at that moment.
    Any,
    /// It follows from the step of the visit's ritual; `during` where there is none.
    Ritual,
}

/// Who moved: the customer towards us, we towards the customer, or nobody outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the customer to us.
    In,
    /// From us to the customer.
    Out,
    /// Among ourselves.
    Internal,
    /// The data decides: `by` of a cancellation, `kind` of a payment.
    Either,
}

/// The family of streams a kind is written to. Senders cannot choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// `customer/<id>`.
    Customer,
    /// `venue/<id>`.
    Venue,
    /// `complaint/<id>`.
    Complaint,
    /// `promise/<id>`.
    Promise,
    /// `alert/<id>`.
    Alert,
    /// `improvement/<id>`.
    Improvement,
    /// `policy/<name>`.
    Policy,
}

impl Family {
    /// The first part of the stream's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Venue => "venue",
            Self::Complaint => "complaint",
            Self::Promise => "promise",
            Self::Alert => "alert",
            Self::Improvement => "improvement",
            Self::Policy => "policy",
        }
    }
}

/// Whether the envelope names a customer in `subject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CustomerRule {
    /// The fact is about a customer and refused without one.
    Required,
    /// It may be about a customer: a promise to a colleague is not.
    Optional,
    /// It is about nobody: improvements and policies.
    Never,
}

/// Who may publish a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Publish {
    Open,
    Reserved,
}

/// One line of the table.
struct Row {
    topic: &'static str,
    action: &'static str,
    name: &'static str,
    newest: u32,
    phase: PhaseRule,
    direction: Direction,
    family: Family,
    publish: Publish,
    customer: CustomerRule,
}

macro_rules! kinds {
    ($($kind:ident, $topic:literal, $action:literal, $newest:literal, $phase:ident,
        $direction:ident, $family:ident, $publish:ident, $customer:ident;)+) => {
        /// What happened, in two words: the topic and the action of the event's type.
        ///
        /// Written `topic.action` in JSON, in subjects and in columns. Ordered as in the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(
                #[doc = concat!("`", $topic, ".", $action, "`")]
                $kind,
            )+
        }

        impl Kind {
            /// Every kind, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            fn row(self) -> &'static Row {
                match self {
                    $(Self::$kind => const {
                        &Row {
                            topic: $topic,
                            action: $action,
                            name: concat!($topic, ".", $action),
                            newest: $newest,
                            phase: PhaseRule::$phase,
                            direction: Direction::$direction,
                            family: Family::$family,
                            publish: Publish::$publish,
                            customer: CustomerRule::$customer,
                        }
                    },)+
                }
            }

            /// The kind called `topic.action`, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                $(
                    if name == concat!($topic, ".", $action) {
                        return Some(Self::$kind);
                    }
                )+
                None
            }
        }
    };
}

// kind, topic, action, newest version, phase, direction, family of the stream, who may publish,
// whether it names a customer.
kinds! {
    CustomerRegistered,       "customer",    "registered",       1, Any,    Internal, Customer,    Open,     Required;
    CustomerIdentified,       "customer",    "identified",       1, Any,    Internal, Customer,    Open,     Required;
    CustomerMerged,           "customer",    "merged",           1, Any,    Internal, Customer,    Open,     Required;
    CustomerUnmerged,         "customer",    "unmerged",         1, Any,    Internal, Customer,    Open,     Required;
    CustomerTraitNoted,       "customer",    "trait_noted",      1, Any,    Internal, Customer,    Open,     Required;
    CustomerConsentChanged,   "customer",    "consent_changed",  1, Any,    Internal, Customer,    Open,     Required;
    CustomerAssigned,         "customer",    "assigned",         1, Any,    Internal, Customer,    Open,     Required;
    CustomerErased,           "customer",    "erased",           1, Any,    Internal, Customer,    Reserved, Required;
    InteractionGreeted,       "interaction", "greeted",          1, Before, Out,      Customer,    Open,     Required;
    InteractionInquired,      "interaction", "inquired",         1, Any,    In,       Customer,    Open,     Required;
    InteractionMessaged,      "interaction", "messaged",         1, Any,    In,       Customer,    Open,     Required;
    InteractionAnswered,      "interaction", "answered",         1, Any,    Out,      Customer,    Open,     Required;
    InteractionRecommended,   "interaction", "recommended",      1, During, Out,      Customer,    Open,     Required;
    InteractionContacted,     "interaction", "contacted",        1, Any,    Out,      Customer,    Open,     Required;
    InteractionPlanned,       "interaction", "planned",          1, Any,    Internal, Customer,    Open,     Required;
    InteractionArrived,       "interaction", "arrived",          1, Before, In,       Customer,    Open,     Required;
    InteractionServed,        "interaction", "served",           1, Ritual, Out,      Customer,    Open,     Required;
    InteractionThanked,       "interaction", "thanked",          1, After,  Out,      Customer,    Open,     Required;
    InteractionDeparted,      "interaction", "departed",         1, After,  In,       Customer,    Open,     Required;
    InteractionNoted,         "interaction", "noted",            1, Any,    Internal, Customer,    Open,     Required;
    BookingRequested,         "booking",     "requested",        1, During, In,       Customer,    Open,     Required;
    BookingHeld,              "booking",     "held",             1, During, Out,      Venue,       Reserved, Required;
    BookingConfirmed,         "booking",     "confirmed",        1, During, Out,      Venue,       Reserved, Required;
    BookingDeclined,          "booking",     "declined",         1, During, Out,      Venue,       Reserved, Required;
    BookingWaitlisted,        "booking",     "waitlisted",       1, During, Out,      Venue,       Reserved, Required;
    BookingOffered,           "booking",     "offered",          1, During, Out,      Venue,       Reserved, Required;
    BookingChanged,           "booking",     "changed",          1, During, Out,      Venue,       Reserved, Required;
    BookingCancelled,         "booking",     "cancelled",        1, During, Either,   Venue,       Open,     Required;
    BookingConflictDetected,  "booking",     "conflict_detected",1, During, Internal, Venue,       Reserved, Optional;
    BookingFulfilled,         "booking",     "fulfilled",        1, After,  In,       Venue,       Open,     Required;
    PaymentRecorded,          "payment",     "recorded",         1, During, Either,   Customer,    Open,     Required;
    PurchaseRecorded,         "purchase",    "recorded",         1, During, In,       Customer,    Open,     Required;
    ReferralRecorded,         "referral",    "recorded",         1, After,  In,       Customer,    Open,     Required;
    RewardPosted,             "reward",      "posted",           1, After,  Out,      Customer,    Open,     Required;
    LoyaltyTierChanged,       "loyalty",     "tier_changed",     1, Any,    Internal, Customer,    Reserved, Required;
    ComplaintRaised,          "complaint",   "raised",           1, Any,    In,       Complaint,   Open,     Required;
    ComplaintEscalated,       "complaint",   "escalated",        1, Any,    Internal, Complaint,   Open,     Required;
    ComplaintResolved,        "complaint",   "resolved",         1, Any,    Out,      Complaint,   Open,     Required;
    ComplaintReopened,        "complaint",   "reopened",         1, Any,    In,       Complaint,   Open,     Required;
    PromiseMade,              "promise",     "made",             1, Any,    Out,      Promise,     Open,     Optional;
    PromiseSettled,           "promise",     "settled",          1, Any,    Out,      Promise,     Open,     Optional;
    FeedbackRequested,        "feedback",    "requested",        2, After,  Out,      Customer,    Open,     Required;
    FeedbackReceived,         "feedback",    "received",         1, After,  In,       Customer,    Open,     Required;
    ImprovementProposed,      "improvement", "proposed",         1, Any,    Internal, Improvement, Open,     Never;
    ImprovementMade,          "improvement", "made",             1, Any,    Internal, Improvement, Open,     Never;
    ImprovementAssessed,      "improvement", "assessed",         1, Any,    Internal, Improvement, Open,     Never;
    AlertRaised,              "alert",       "raised",           1, Any,    Internal, Alert,       Reserved, Optional;
    AlertAcknowledged,        "alert",       "acknowledged",     1, Any,    Internal, Alert,       Open,     Optional;
    AlertSnoozed,             "alert",       "snoozed",          1, Any,    Internal, Alert,       Open,     Optional;
    AlertEscalated,           "alert",       "escalated",        1, Any,    Internal, Alert,       Reserved, Optional;
    AlertResolved,            "alert",       "resolved",         1, Any,    Internal, Alert,       Reserved, Optional;
    AlertWithdrawn,           "alert",       "withdrawn",        1, Any,    Internal, Alert,       Reserved, Optional;
    PolicyPublished,          "policy",      "published",        1, Any,    Internal, Policy,      Open,     Never;
}

impl Kind {
    /// The first word of the name: what it is about.
    #[must_use]
    pub fn topic(self) -> &'static str {
        self.row().topic
    }

    /// The second word of the name: what happened, in the past tense.
    #[must_use]
    pub fn action(self) -> &'static str {
        self.row().action
    }

    /// `topic.action`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The `CloudEvents` type of one version: `sapa.<topic>.<action>.v<version>`.
    #[must_use]
    pub fn type_name(self, version: u32) -> String {
        format!("{PREFIX}{}.v{version}", self.name())
    }

    /// Reads a `CloudEvents` type: which kind, in which version.
    pub fn parse_type(text: &str) -> Result<(Self, u32), TypeError> {
        let Some(rest) = text.strip_prefix(PREFIX) else {
            // `booking.requested` is how the command line and this table spell it.
            let name = text.rsplit_once(".v").map_or(text, |(name, _)| name);
            return Err(match Self::from_name(name) {
                None => TypeError::NotOurs,
                known => TypeError::Unknown { did_you_mean: known },
            });
        };
        let (name, version) = rest.rsplit_once(".v").unwrap_or((rest, ""));
        let Some(kind) = Self::from_name(name) else {
            return Err(TypeError::Unknown { did_you_mean: nearest(name) });
        };
        let digits = !version.is_empty() && version.bytes().all(|it| it.is_ascii_digit());
        if !digits || version.starts_with('0') {
            return Err(TypeError::Unknown { did_you_mean: Some(kind) });
        }
        let newest = kind.newest_version();
        match version.parse::<u32>() {
            Ok(version) if version <= newest => Ok((kind, version)),
            _ => Err(TypeError::TooNew { kind, newest }),
        }
    }

    /// The newest version of the data this program knows, from 1.
    #[must_use]
    pub fn newest_version(self) -> u32 {
        self.row().newest
    }

    /// The phase, or the rule that finds it.
    #[must_use]
    pub fn phase(self) -> PhaseRule {
        self.row().phase
    }

    /// Who moved.
    #[must_use]
    pub fn direction(self) -> Direction {
        self.row().direction
    }

    /// The family of the stream it is written to.
    #[must_use]
    pub fn family(self) -> Family {
        self.row().family
    }

    /// Whether it is a decision: only our own reactions and commands, an importer, or the system
    /// of an external venue may send it. [`crate::fact::reserved`] adds what the data decides.
    #[must_use]
    pub fn is_reserved(self) -> bool {
        self.row().publish == Publish::Reserved
    }

    /// Whether anything follows from it in this version. What would be recorded and change nothing is
    /// refused (`not_built`); what is recorded already stays readable.
    #[must_use]
    pub fn is_built(self) -> bool {
        use Kind::{CustomerErased, CustomerMerged, CustomerUnmerged, ImprovementAssessed};
        !matches!(self, CustomerMerged | CustomerUnmerged | CustomerErased | ImprovementAssessed)
    }

    /// Whether a publisher is told of it when a type is misspelled: open, and built.
    fn is_offered(self) -> bool {
        self.is_built() && !self.is_reserved()
    }

    /// The actions of a topic that a publisher may send.
    #[must_use]
    pub fn offered_actions(topic: &str) -> Vec<&'static str> {
        let own = Self::ALL.iter().filter(|it| it.topic() == topic && it.is_offered());
        own.map(|it| it.action()).collect()
    }

    /// Whether `subject` must, may or may not name a customer.
    #[must_use]
    pub fn customer(self) -> CustomerRule {
        self.row().customer
    }

    /// Whether the envelope must say over which channel it happened: whatever passed between
    /// a customer and us, and complaints and feedback.
    #[must_use]
    pub fn requires_channel(self) -> bool {
        match self {
            Self::ComplaintRaised | Self::FeedbackReceived => true,
            _ => self.topic() == "interaction" && self.direction() != Direction::Internal,
        }
    }
}

const PREFIX: &str = "sapa.";

/// Why a `CloudEvents` type names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// It does not begin with `sapa.`.
    #[error("the type does not begin with `sapa.`")]
    NotOurs,
    /// It begins like ours, and no kind has that name or spelling.
    #[error("unknown type{}", hint(.did_you_mean.as_ref()))]
    Unknown {
        /// The kind with the nearest name, if one is near enough to be a slip.
        did_you_mean: Option<Kind>,
    },
    /// The kind is known, the version is not yet.
    #[error("this server knows `{kind}` up to v{newest}")]
    TooNew {
        /// The kind.
        kind: Kind,
        /// The newest version known here.
        newest: u32,
    },
}

fn hint(did_you_mean: Option<&Kind>) -> String {
    did_you_mean.map_or_else(String::new, |kind| {
        format!("; did you mean `{}`?", kind.type_name(kind.newest_version()))
    })
}

/// The kind a slip of the hand was meant to be: at most a third of its letters are wrong.
fn nearest(name: &str) -> Option<Kind> {
    // Nobody mistypes a name into one twice as long; and the distance is quadratic.
    if name.len() > 64 {
        return None;
    }
    let offered = Kind::ALL.iter().filter(|it| it.is_offered());
    let distances = offered.map(|kind| (distance(name, kind.name()), *kind));
    let (off_by, kind) = distances.min()?;
    (off_by * 3 <= kind.name().len()).then_some(kind)
}

/// How many letters must be put in, left out or changed to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let mut above: Vec<usize> = (0..=to.chars().count()).collect();
    for (row, left) in from.chars().enumerate() {
        let mut diagonal = row;
        let mut before = row + 1;
        let mut line = vec![before];
        for (right, &up) in to.chars().zip(above.iter().skip(1)) {
            let changed = diagonal + usize::from(left != right);
            before = changed.min(up + 1).min(before + 1);
            line.push(before);
            diagonal = up;
        }
        above = line;
    }
    above.last().copied().unwrap_or_default()
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// There is no kind of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such kind of fact")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or(UnknownKind)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(input)?;
        name.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_53_kinds_and_each_is_found_by_its_name_and_type() {
        assert_eq!(Kind::ALL.len(), 53);
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            let newest = kind.newest_version();
            assert_eq!(Kind::parse_type(&kind.type_name(newest)), Ok((kind, newest)));
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{}.{}\"", kind.topic(), kind.action()));
            assert_eq!(serde_json::from_str::<Kind>(&json).unwrap(), kind);
        }
        assert!(Kind::ALL.is_sorted());
    }

    #[test]
    fn a_slip_in_the_type_is_answered_with_the_type_that_was_meant() {
        let unknown = |text: &str| Kind::parse_type(text).unwrap_err();
        let meant = |kind| TypeError::Unknown { did_you_mean: Some(kind) };
        assert_eq!(unknown("sapa.booking.request.v1"), meant(Kind::BookingRequested));
        assert_eq!(unknown("sapa.interaction.greet.v1"), meant(Kind::InteractionGreeted));
        assert_eq!(unknown("sapa.booking.requested"), meant(Kind::BookingRequested));
        assert_eq!(unknown("sapa.booking.requested.v0"), meant(Kind::BookingRequested));
        assert_eq!(unknown("sapa.booking.requested.v01"), meant(Kind::BookingRequested));
        assert_eq!(unknown("booking.requested"), meant(Kind::BookingRequested));
        assert_eq!(unknown("booking.requested.v1"), meant(Kind::BookingRequested));
        // A kind that only Sapa records is no help to whoever mistyped one.
        assert_eq!(unknown("sapa.booking.foo.v1"), TypeError::Unknown { did_you_mean: None });
        assert_eq!(unknown("sapa.booking.hold.v1"), TypeError::Unknown { did_you_mean: None });
        assert_eq!(unknown("sapa.weather.changed.v1"), TypeError::Unknown { did_you_mean: None });
        assert_eq!(unknown("sapa."), TypeError::Unknown { did_you_mean: None });
        assert_eq!(unknown("com.example.order.v1"), TypeError::NotOurs);
        assert_eq!(unknown(""), TypeError::NotOurs);
        assert_eq!(
            unknown("sapa.booking.request.v1").to_string(),
            "unknown type; did you mean `sapa.booking.requested.v1`?"
        );
    }

    #[test]
    fn of_a_topic_those_actions_are_offered_that_a_publisher_may_send() {
        assert_eq!(Kind::offered_actions("booking"), ["requested", "cancelled", "fulfilled"]);
        assert!(!Kind::offered_actions("customer").contains(&"merged"));
        assert!(Kind::offered_actions("weather").is_empty());
    }

    #[test]
    fn a_version_from_the_future_names_the_newest_one_known() {
        let kind = Kind::FeedbackRequested;
        assert_eq!(Kind::parse_type("sapa.feedback.requested.v1"), Ok((kind, 1)));
        let too_new = Err(TypeError::TooNew { kind, newest: 2 });
        assert_eq!(Kind::parse_type("sapa.feedback.requested.v3"), too_new);
        assert_eq!(Kind::parse_type("sapa.feedback.requested.v99999999999"), too_new);
    }

    #[test]
    fn what_passed_between_a_customer_and_us_has_a_channel() {
        let channelled = |kind: &Kind| kind.requires_channel();
        assert_eq!(Kind::ALL.iter().copied().filter(channelled).count(), 12);
        assert!(Kind::InteractionGreeted.requires_channel());
        assert!(!Kind::InteractionNoted.requires_channel());
        assert!(!Kind::InteractionPlanned.requires_channel());
        assert!(!Kind::BookingRequested.requires_channel());
    }

    #[test]
    fn a_word_is_as_far_from_another_as_the_letters_that_differ() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
