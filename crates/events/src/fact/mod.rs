//! What can be known about an event beyond its envelope: one struct per kind, with its fields.
//!
//! A [`Fact`] is the newest shape of the data; older shapes are carried forward by
//! [`crate::upcast`] first. Members that are not known here are ignored and stay in the raw data.
//! Reading assumes that [`crate::schema`] has seen the data, and refuses what does not fit the
//! types all the same; what the data means is examined by [`check`].

use serde::{Deserialize, Serialize};

use crate::kind::Kind;

pub mod alert;
pub mod booking;
pub mod complaint;
pub mod customer;
pub mod feedback;
pub mod improvement;
pub mod interaction;
pub mod loyalty;
pub mod payment;
pub mod policy;
pub mod promise;
pub mod purchase;
pub mod referral;
pub mod reward;

mod check;
mod contact;
mod currency;
mod look;
mod read;

pub use check::{check, personal_ids, reserved};
pub use contact::{is_email, to_e164};

/// A closed set of words: the enum, its spelling in JSON and columns, and the way back.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(
                #[doc = concat!("`", $text, "`")]
                #[serde(rename = $text)]
                $word,
            )+
        }

        impl $name {
            /// Every word, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// The word, as it stands in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }

            /// The value that a word stands for, if it is one of this set.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.pad(self.as_str())
            }
        }
    };
}
use words;

words!(
    /// How a customer seemed.
    pub enum Mood {
        Calm = "calm",
        Upset = "upset",
        Angry = "angry",
    }
);

/// Ties each kind to its struct: the enum, reading, writing and the way back to the kind.
macro_rules! facts {
    ($($kind:ident($topic:ident::$data:ident),)+) => {
        /// The data of one event, in its newest shape.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Fact {
            $(
                #[doc = concat!("See [`", stringify!($topic), "::", stringify!($data), "`].")]
                $kind($topic::$data),
            )+
        }

        impl Fact {
            /// Reads the newest shape of a kind's data.
            pub fn parse(kind: Kind, data: &str) -> Result<Self, serde_json::Error> {
                match kind {
                    $(Kind::$kind => serde_json::from_str(data).map(Self::$kind),)+
                }
            }

            /// The data as JSON, in the order of the catalogue; what is absent stays absent.
            pub fn to_json(&self) -> Result<String, serde_json::Error> {
                match self {
                    $(Self::$kind(it) => serde_json::to_string(it),)+
                }
            }

            /// Which kind of fact this is.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)+
                }
            }
        }

        $(
            impl From<$topic::$data> for Fact {
                fn from(it: $topic::$data) -> Self {
                    Self::$kind(it)
                }
            }
        )+
    };
}

facts! {
    CustomerRegistered(customer::Registered),
    CustomerIdentified(customer::Identified),
    CustomerMerged(customer::Merged),
    CustomerUnmerged(customer::Unmerged),
    CustomerTraitNoted(customer::TraitNoted),
    CustomerConsentChanged(customer::ConsentChanged),
    CustomerAssigned(customer::Assigned),
    CustomerErased(customer::Erased),
    InteractionGreeted(interaction::Greeted),
    InteractionInquired(interaction::Inquired),
    InteractionMessaged(interaction::Messaged),
    InteractionAnswered(interaction::Answered),
    InteractionRecommended(interaction::Recommended),
    InteractionContacted(interaction::Contacted),
    InteractionPlanned(interaction::Planned),
    InteractionArrived(interaction::Arrived),
    InteractionServed(interaction::Served),
    InteractionThanked(interaction::Thanked),
    InteractionDeparted(interaction::Departed),
    InteractionNoted(interaction::Noted),
    BookingRequested(booking::Requested),
    BookingHeld(booking::Held),
    BookingConfirmed(booking::Confirmed),
    BookingDeclined(booking::Declined),
    BookingWaitlisted(booking::Waitlisted),
    BookingOffered(booking::Offered),
    BookingChanged(booking::Changed),
    BookingCancelled(booking::Cancelled),
    BookingConflictDetected(booking::ConflictDetected),
    BookingFulfilled(booking::Fulfilled),
    PaymentRecorded(payment::Recorded),
    PurchaseRecorded(purchase::Recorded),
    ReferralRecorded(referral::Recorded),
    RewardPosted(reward::Posted),
    LoyaltyTierChanged(loyalty::TierChanged),
    ComplaintRaised(complaint::Raised),
    ComplaintEscalated(complaint::Escalated),
    ComplaintResolved(complaint::Resolved),
    ComplaintReopened(complaint::Reopened),
    PromiseMade(promise::Made),
    PromiseSettled(promise::Settled),
    FeedbackRequested(feedback::Requested),
    FeedbackReceived(feedback::Received),
    ImprovementProposed(improvement::Proposed),
    ImprovementMade(improvement::Made),
    ImprovementAssessed(improvement::Assessed),
    AlertRaised(alert::Raised),
    AlertAcknowledged(alert::Acknowledged),
    AlertSnoozed(alert::Snoozed),
    AlertEscalated(alert::Escalated),
    AlertResolved(alert::Resolved),
    AlertWithdrawn(alert::Withdrawn),
    PolicyPublished(policy::Published),
}
