//! One fact as the folds see it: what was recorded, what it says, on which local day.

use events::envelope::Recorded;
use events::fact::Fact;
use events::fact::interaction::Outcome;
use events::fact::payment;
use events::id::{ActorKind, EventRef};
use events::kind::{Direction, Kind};
use jiff::Timestamp;
use jiff::civil::Date;

/// A fact being folded. Facts of one customer are folded in the order of [`crate::dossier::Place`],
/// whatever order they were recorded in; a voided one is not folded at all.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// What the log holds.
    pub event: &'a Recorded,
    /// Its data in today's shape.
    pub fact: &'a Fact,
    /// The local date on which it happened, in the tenant's zone.
    pub day: Date,
}

impl Entry<'_> {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.event.occurred_at
    }

    /// The name other events know it by.
    #[must_use]
    pub fn reference(&self) -> EventRef {
        self.event.reference()
    }

    /// Whether it is history that was loaded later.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.event.attributes.imported
    }

    /// Whether a person or an agent did it, not a program on its own account.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        !self.fact.is_automated() && self.event.attributes.actor.kind() != ActorKind::System
    }

    /// Who moved, where the type alone does not say.
    #[must_use]
    pub fn direction(&self) -> Direction {
        use events::fact::booking::CancelledBy;
        match (self.event.kind.direction(), self.fact) {
            (Direction::Either, Fact::BookingCancelled(it)) => match it.by {
                CancelledBy::Customer => Direction::In,
                _ => Direction::Out,
            },
            (Direction::Either, Fact::PaymentRecorded(it)) => match it.kind {
                payment::PaymentKind::Refund => Direction::Out,
                _ => Direction::In,
            },
            (Direction::Out, Fact::PromiseMade(it)) if it.to.is_some() => Direction::Internal,
            (other, _) => other,
        }
    }

    /// Resets the clock *they are silent* (product 6.1).
    #[must_use]
    pub fn resets_they(&self) -> bool {
        match self.fact {
            Fact::InteractionInquired(_)
            | Fact::InteractionMessaged(_)
            | Fact::InteractionArrived(_)
            | Fact::InteractionDeparted(_)
            | Fact::BookingRequested(_)
            | Fact::PurchaseRecorded(_)
            | Fact::ReferralRecorded(_)
            | Fact::ComplaintRaised(_)
            | Fact::ComplaintReopened(_)
            | Fact::FeedbackReceived(_) => true,
            Fact::BookingFulfilled(it) => !it.no_show,
            Fact::BookingCancelled(_) | Fact::PaymentRecorded(_) => {
                self.direction() == Direction::In
            }
            _ => false,
        }
    }

    /// Resets the clock *we are silent*: personal, and more than an unanswered call (product 6.1).
    #[must_use]
    pub fn resets_we(&self) -> bool {
        let reaches = match self.fact {
            Fact::InteractionGreeted(_)
            | Fact::InteractionServed(_)
            | Fact::InteractionRecommended(_)
            | Fact::InteractionAnswered(_)
            | Fact::InteractionThanked(_)
            | Fact::ComplaintResolved(_) => true,
            Fact::InteractionDeparted(it) => it.farewell,
            Fact::InteractionContacted(it) => it.outcome != Outcome::NoAnswer,
            Fact::PromiseMade(it) => it.to.is_none(),
            _ => false,
        };
        reaches && self.is_personal()
    }

    /// Somebody of ours reached them: that stops the alert that they are silent (product 6.15).
    #[must_use]
    pub fn reaches_them(&self) -> bool {
        matches!(self.fact, Fact::InteractionContacted(it) if it.outcome == Outcome::Reached)
    }

    /// Whether a software agent acted for us.
    #[must_use]
    pub fn is_by_ai(&self) -> bool {
        self.event.attributes.actor.kind() == ActorKind::Ai
    }

    /// Whether it is one of Sapa's own events about alerts.
    #[must_use]
    pub fn is_alert(&self) -> bool {
        self.event.kind.topic() == Kind::AlertRaised.topic()
    }
}
