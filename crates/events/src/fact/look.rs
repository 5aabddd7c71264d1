//! What a reader wants to know of any fact without knowing its kind: where, when in which visit,
//! about what, in which mood.

use super::{Fact, Mood};
use crate::id::{About, Ident};

/// One field that every `interaction.*` has.
macro_rules! of_interaction {
    ($fact:expr, $it:ident => $found:expr, $other:ident => $else:expr) => {
        match $fact {
            Fact::InteractionGreeted($it) => $found,
            Fact::InteractionInquired($it) => $found,
            Fact::InteractionMessaged($it) => $found,
            Fact::InteractionAnswered($it) => $found,
            Fact::InteractionRecommended($it) => $found,
            Fact::InteractionContacted($it) => $found,
            Fact::InteractionPlanned($it) => $found,
            Fact::InteractionArrived($it) => $found,
            Fact::InteractionServed($it) => $found,
            Fact::InteractionThanked($it) => $found,
            Fact::InteractionDeparted($it) => $found,
            Fact::InteractionNoted($it) => $found,
            $other => $else,
        }
    };
}

/// A field that is there, wherever the struct requires it and wherever it does not.
trait Maybe<T> {
    fn maybe(&self) -> Option<&T>;
}

impl<T> Maybe<T> for T {
    fn maybe(&self) -> Option<&T> {
        Some(self)
    }
}

impl<T> Maybe<T> for Option<T> {
    fn maybe(&self) -> Option<&T> {
        self.as_ref()
    }
}

impl Fact {
    /// The id in the name of the stream, for the families other than `customer`, whose id is the
    /// envelope's subject. An offer of several venues belongs to the first.
    #[must_use]
    pub fn stream_key(&self) -> Option<&str> {
        Some(match self {
            Self::BookingHeld(it) => it.venue.as_str(),
            Self::BookingConfirmed(it) => it.venue.as_str(),
            Self::BookingDeclined(it) => it.venue.as_str(),
            Self::BookingWaitlisted(it) => it.venue.as_str(),
            Self::BookingOffered(it) => it.options.first()?.venue.as_str(),
            Self::BookingChanged(it) => it.venue.as_str(),
            Self::BookingCancelled(it) => it.venue.as_str(),
            Self::BookingConflictDetected(it) => it.venue.as_str(),
            Self::BookingFulfilled(it) => it.venue.as_str(),
            Self::PolicyPublished(it) => it.name.as_str(),
            _ => return self.matter().map(Ident::as_str),
        })
    }

    /// The complaint, promise, alert or improvement whose stream this is.
    fn matter(&self) -> Option<&Ident> {
        match self {
            Self::AlertRaised(it) => Some(&it.alert),
            Self::AlertAcknowledged(it) => Some(&it.alert),
            Self::AlertSnoozed(it) => Some(&it.alert),
            Self::AlertEscalated(it) => Some(&it.alert),
            Self::AlertResolved(it) => Some(&it.alert),
            Self::AlertWithdrawn(it) => Some(&it.alert),
            _ => self.complaint().or_else(|| self.promise()).or_else(|| self.improvement()),
        }
    }

    /// The complaint that a `complaint.*` is part of.
    #[must_use]
    pub fn complaint(&self) -> Option<&Ident> {
        match self {
            Self::ComplaintRaised(it) => Some(&it.complaint),
            Self::ComplaintEscalated(it) => Some(&it.complaint),
            Self::ComplaintResolved(it) => Some(&it.complaint),
            Self::ComplaintReopened(it) => Some(&it.complaint),
            _ => None,
        }
    }

    /// The promise that a `promise.*` is part of.
    #[must_use]
    pub fn promise(&self) -> Option<&Ident> {
        match self {
            Self::PromiseMade(it) => Some(&it.promise),
            Self::PromiseSettled(it) => Some(&it.promise),
            _ => None,
        }
    }

    /// The improvement that an `improvement.*` is part of.
    #[must_use]
    pub fn improvement(&self) -> Option<&Ident> {
        match self {
            Self::ImprovementProposed(it) => Some(&it.improvement),
            Self::ImprovementMade(it) => Some(&it.improvement),
            Self::ImprovementAssessed(it) => Some(&it.improvement),
            _ => None,
        }
    }

    /// The thread it belongs to: what it says it is about, else the matter it opens or moves.
    #[must_use]
    pub fn about(&self) -> Option<About> {
        let explicit = match self {
            Self::InteractionThanked(it) => Some(&it.r#for),
            Self::PromiseMade(it) => it.about.as_ref(),
            Self::FeedbackRequested(it) => it.about.as_ref(),
            other => of_interaction!(other, it => it.about.maybe(), _other => None),
        };
        explicit.cloned().or_else(|| self.thread())
    }

    /// The thread that follows from the fact's own ids.
    fn thread(&self) -> Option<About> {
        let (topic, id) = match self {
            Self::InteractionInquired(it) => ("inquiry", it.inquiry.as_str()),
            Self::PurchaseRecorded(it) => ("purchase", it.purchase.as_str()),
            Self::ReferralRecorded(it) => ("referral", it.referred.as_str()),
            Self::FeedbackRequested(it) => ("feedback", it.feedback.as_str()),
            Self::FeedbackReceived(it) => ("feedback", it.feedback.as_ref()?.as_str()),
            // The visit comes before the booking it is for: an arrival is part of the visit.
            _ => [
                ("complaint", self.complaint()),
                ("promise", self.promise()),
                ("improvement", self.improvement()),
                ("visit", self.visit()),
                ("booking", self.booking()),
            ]
            .into_iter()
            .find_map(|(topic, id)| id.map(|it| (topic, it.as_str())))?,
        };
        About::new(topic, id)
    }

    /// The hall or place it happened at or concerns. For an offer, the first place offered.
    #[must_use]
    pub fn venue(&self) -> Option<&Ident> {
        match self {
            Self::BookingRequested(it) => Some(&it.venue),
            Self::BookingHeld(it) => Some(&it.venue),
            Self::BookingConfirmed(it) => Some(&it.venue),
            Self::BookingDeclined(it) => Some(&it.venue),
            Self::BookingWaitlisted(it) => Some(&it.venue),
            Self::BookingOffered(it) => it.options.first().map(|it| &it.venue),
            Self::BookingChanged(it) => Some(&it.venue),
            Self::BookingCancelled(it) => Some(&it.venue),
            Self::BookingConflictDetected(it) => Some(&it.venue),
            Self::BookingFulfilled(it) => Some(&it.venue),
            Self::ComplaintRaised(it) => it.venue.as_ref(),
            other => of_interaction!(other, it => it.venue.as_ref(), _other => None),
        }
    }

    /// The visit it belongs to.
    #[must_use]
    pub fn visit(&self) -> Option<&Ident> {
        of_interaction!(self, it => it.visit.maybe(), _other => None)
    }

    /// How the customer seemed.
    #[must_use]
    pub fn mood(&self) -> Option<Mood> {
        match self {
            Self::ComplaintRaised(it) => it.mood,
            other => of_interaction!(other, it => it.mood, _other => None),
        }
    }

    /// Whether a program did it. Only an interaction can say so; elsewhere the actor does.
    #[must_use]
    pub fn is_automated(&self) -> bool {
        of_interaction!(self, it => it.automated, _other => false)
    }

    /// The booking it is part of or concerns. A conflict concerns several and names none here.
    #[must_use]
    pub fn booking(&self) -> Option<&Ident> {
        match self {
            Self::BookingRequested(it) => Some(&it.booking),
            Self::BookingHeld(it) => Some(&it.booking),
            Self::BookingConfirmed(it) => Some(&it.booking),
            Self::BookingDeclined(it) => Some(&it.booking),
            Self::BookingWaitlisted(it) => Some(&it.booking),
            Self::BookingOffered(it) => Some(&it.booking),
            Self::BookingChanged(it) => Some(&it.booking),
            Self::BookingCancelled(it) => Some(&it.booking),
            Self::BookingFulfilled(it) => Some(&it.booking),
            Self::InteractionArrived(it) => it.booking.as_ref(),
            Self::PaymentRecorded(it) => it.booking.as_ref(),
            Self::ComplaintRaised(it) => it.booking.as_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    fn fact(kind: Kind, data: &str) -> Fact {
        Fact::parse(kind, data).unwrap()
    }

    #[test]
    fn a_fact_is_about_what_it_says_or_else_about_the_matter_it_moves() {
        let about = |kind, data| fact(kind, data).about().map(|it| it.to_string());
        assert_eq!(
            about(Kind::InteractionMessaged, r#"{"about":"complaint/k-55"}"#).as_deref(),
            Some("complaint/k-55")
        );
        assert_eq!(
            about(Kind::InteractionInquired, r#"{"inquiry":"q-88","topic":"price"}"#).as_deref(),
            Some("inquiry/q-88")
        );
        assert_eq!(
            about(Kind::InteractionGreeted, r#"{"by_name":true,"visit":"v-1"}"#).as_deref(),
            Some("visit/v-1")
        );
        assert_eq!(about(Kind::InteractionGreeted, r#"{"by_name":true}"#), None);
        assert_eq!(
            about(Kind::InteractionArrived, r#"{"visit":"v-1","booking":"b-1"}"#).as_deref(),
            Some("visit/v-1")
        );
        assert_eq!(
            about(Kind::InteractionThanked, r#"{"for":"purchase/f-1","form":"note"}"#).as_deref(),
            Some("purchase/f-1")
        );
        assert_eq!(
            about(Kind::ReferralRecorded, r#"{"referred":"c-2"}"#).as_deref(),
            Some("referral/c-2")
        );
    }

    #[test]
    fn the_stream_follows_from_the_data_outside_the_family_of_customers() {
        let cancelled = fact(
            Kind::BookingCancelled,
            r#"{"booking":"b-1","venue":"aula-taman","by":"customer"}"#,
        );
        assert_eq!(cancelled.stream_key(), Some("aula-taman"));
        let resolved = fact(Kind::AlertResolved, r#"{"alert":"a-1","by":"/console#e-1"}"#);
        assert_eq!(resolved.stream_key(), Some("a-1"));
        let greeted = fact(Kind::InteractionGreeted, r#"{"by_name":true,"venue":"lobby"}"#);
        assert_eq!(greeted.stream_key(), None);
        assert_eq!(greeted.venue().map(Ident::as_str), Some("lobby"));
        assert!(!greeted.is_automated());
    }
}
